/* What the files of this room share. */
#ifndef LARDER_ACCESS_PRIVATE_H
#define LARDER_ACCESS_PRIVATE_H

#include "larder/access.h"
#include "larder/hash.h"

#define HASH_NONFATAL_OOM 1 /* then hh.tbl of what could not be added is NULL */
#define uthash_malloc(n) mem_alloc(n)
#define uthash_free(p, n) mem_free(p)
#include <uthash.h>
/* The table has all its buckets from the first client on: to move those of many thousands would hold the loop. */
#undef HASH_INITIAL_NUM_BUCKETS
#undef HASH_INITIAL_NUM_BUCKETS_LOG2
#undef HASH_BKT_CAPACITY_THRESH
#define HASH_INITIAL_NUM_BUCKETS 65536U /* 1 MB; with CLIENTS_MAX rows three for two */
#define HASH_INITIAL_NUM_BUCKETS_LOG2 16U
#define HASH_BKT_CAPACITY_THRESH 64U /* more in one would make it grow: that does not happen */

#define KNOWN_KEYS 1024
#define CLIENTS_MAX 100000 /* rows of the limits' table; about 60 MB when full */

typedef struct known_key {
    uint64_t tag[2]; /* SipHash of the secret under a key of this process */
    bool is_used;
    uint8_t id[16];  /* the beginning of the secret's SHA-256: names its client */
    uint32_t scopes;
    int64_t per_minute, per_hour, concurrent; /* as access_key */
} known_key;

/* A window of 30 slots, and one for the beginning of the oldest. A slot leaves the sum when its last request has
 * left the window: so no minute (hour), wherever it begins, has more than the limit, and at most a slot's
 * requests are counted for too long. */
#define WINDOW_SLOTS 31
typedef struct window {
    struct {
        uint32_t n, last_ms; /* requests; when the last came, from the slot's beginning */
    } slot[WINDOW_SLOTS];
    uint32_t sum;
    int64_t newest; /* number of the slot that is being filled, since the clock's beginning */
} window;

typedef struct client_id {
    uint8_t bytes[16]; /* access_grant.identity */
    uint8_t has_key;
} client_id;

enum { BY_MINUTE, BY_HOUR, WINDOWS };
struct access_client {
    client_id id;
    UT_hash_handle hh;
    list idle; /* in access_control.idle while nothing is under way */
    window windows[WINDOWS];
    uint32_t under_way;
};

struct access_control {
    store *store;
    clk *clock;
    access_options o;
    siphash_key sip;
    uint64_t generation; /* of the keys that `known` was filled from */
    known_key known[KNOWN_KEYS];
    access_client *clients;
    size_t n_clients;
    list idle; /* clients with nothing under way, longest first: who goes when the table is full */
    access_client *last; /* of the request before: often the same client asks again */
};

uint32_t access_scope_bits(const access_key *k);
/* Constant-time against the table; -EACCES when there is no such key, the store's errors. *ret_key lives
 * until the next call. */
int access_find_key(access_control *a, store_view *v, str secret, const known_key **ret_key);

#endif
