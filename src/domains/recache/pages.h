/* The pages' records, for this room. */
#ifndef LARDER_RECACHE_PAGES_PRIVATE_H
#define LARDER_RECACHE_PAGES_PRIVATE_H

#include "larder/recache_pages.h"

#define PAGE_KEY_LEN 14 /* host 4, dimension 2, hash 8 bytes; big-endian */
#define PAGE_BLOCK 4096 /* what a page's file takes is counted in these */
/* A read is written down when the one before is so old; until then keep.c remembers it, as long as it can. */
#define ACCESS_GRAIN_MS MINUTES(1)

void page_key(uint32_t host, uint16_t dimension, uint64_t hash, char out[PAGE_KEY_LEN]);
int page_put(store_txn *t, uint64_t hash, const recache_page *p);
uint64_t page_bytes(store_view *v); /* of all files that records name */
uint64_t page_file_room(uint64_t disk_size); /* what one file counts there */

/* Deletes the page. -ENOENT. */
int page_del(store_txn *t, uint32_t host, uint16_t dimension, uint64_t hash);
/* The first page in the order of one of the indexes (oldest): its key, and what it is ordered by. -ENOENT. */
int page_first(store_view *v, int index, char ret_key[PAGE_KEY_LEN], int64_t *ret_time);

/* Name of the file below pages_dir, without .gz; and what a file's name says. */
#define PAGE_NAME_MAX 80
void page_file_name(uint32_t host, uint16_t dimension, uint64_t hash, int64_t version, char out[PAGE_NAME_MAX]);
/* `name`: of the file, without its folder, with .gz. -EINVAL: no page's. */
int page_file_parse(str name, uint32_t *ret_host, uint16_t *ret_dimension, uint64_t *ret_hash);

#endif
