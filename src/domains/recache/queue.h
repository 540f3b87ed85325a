/* The queue's records, and the rules by which they change; for this room. */
#ifndef LARDER_RECACHE_QUEUE_PRIVATE_H
#define LARDER_RECACHE_QUEUE_PRIVATE_H

#include "larder/recache_hosts.h"
#include "larder/recache_queue.h"

/* host 4, lane 1, due 8, hash 8, dimension 2 bytes; big-endian, so that keys sort as the numbers do */
#define QUEUE_KEY_LEN 23
#define QUEUE_DUE_AT 5  /* what is before: one lane's prefix */
#define QUEUE_HASH_AT 13
#define QUEUE_DIMENSION_AT 21
/* The bypass goes first: it is quick, and needs no tab. */
#define QUEUE_LANES (2 * RECACHE_PRIORITIES)
#define LANE_OF(priority, dimension) (2 * (unsigned)(priority) + ((dimension) != RECACHE_DIMENSION_BYPASS))
#define LANE_TRIED QUEUE_LANES /* of tallies alone: the host's entries that were tried before */
#define LANE_PRIORITY(lane) ((recache_priority)((lane) / 2))
#define LANE_IS_FETCHED(lane) ((lane) % 2 == 0)
#define URL_KEY_LEN 14  /* host, hash, dimension: what an entry is known by, and a dead letter's key */
#define DEAD_TIME_KEY_LEN (4 + 8 + URL_KEY_LEN) /* in RECACHE_DEAD_BY_TIME: host, complement of the time, key */

void be_put(char *out, size_t n, uint64_t v);
uint64_t be_get(const char *p, size_t n);

void queue_key(const recache_entry *e, char out[QUEUE_KEY_LEN]);
void lane_prefix(uint32_t host, unsigned lane, char out[QUEUE_DUE_AT]);
void url_key(uint32_t host, uint64_t hash, uint16_t dimension, char out[URL_KEY_LEN]);
/* The URL points into `value`. -EPROTO. */
int queue_decode(str key, str value, recache_entry *ret_entry);
int queue_decode_key(str key, recache_entry *ret_entry); /* without what the value holds */

/* ---- on the writer (queue_txn.c) ---- */
/* Finds the entry of a URL and dimension; the text is good until the next write. -ENOENT. */
int queue_find(store_txn *t, uint32_t host, uint64_t hash, uint16_t dimension, recache_entry *ret_entry);
int queue_warm_up_apply(store_txn *t, store_op *op); /* what queue_find needs in memory: else its first call makes it */
/* Queues e, unless it is queued already: then the higher priority and, in the same one, the earlier time wins, and its
 * attempts are counted anew where that changes it. */
int queue_want(store_txn *t, const recache_entry *e, bool *ret_was_there);
int queue_put(store_txn *t, const recache_entry *e);
/* Each entry needs room for the page that comes of it. -ENOSPC: there is none for more of them than are queued. */
int queue_check_room(store_txn *t);
/* What becomes of an entry that was worked on, as `e` says it was when it was taken. One that was moved meanwhile
 * stays: somebody wants it once more. */
int queue_done(store_txn *t, const recache_entry *e);
int queue_again(store_txn *t, const recache_entry *e, int64_t due, unsigned attempts);
/* It becomes a dead letter. Where the host has `most` of them, old ones make room: how many, in *ret_dropped. */
int queue_dead(store_txn *t, const recache_entry *e, const recache_dead *why, int64_t most, unsigned *ret_dropped);

#endif
