/* kept: replies that were written before, given again while nothing they were made of has changed.
 *
 * A reply is found by its target and its basis: the numbers that name the content of everything its row says it depends
 * on. A row that gets an ETag gets this too. What changes a keyspace gives it another number, so nothing is ever taken
 * out because it is wrong; it is only pushed out.
 *
 * Bounds: KEPT_SLOTS replies and KEPT_BYTES in all, no body above KEPT_BODY_MAX. A reply is kept when it is made the
 * second time: who asks for everything once costs no memory. */
#ifndef LARDER_ROUTE_KEPT_H
#define LARDER_ROUTE_KEPT_H

#include "larder/route.h"

#define KEPT_SLOTS 4096
#define KEPT_BYTES ((size_t)16 << 20)
#define KEPT_BODY_MAX ((size_t)256 << 10)

typedef struct reply_basis {
    uint64_t seed, generations[ROUTE_ETAG_KEYSPACES], version, target; /* target: its hash */
} reply_basis;

typedef struct kept kept;
int kept_new(kept **ret_kept); /* -ENOMEM */
void kept_free(kept *k);
typedef struct kept_reply {
    str etag, body;
} kept_reply;
/* What was made for this target on this basis; it lives until the next kept_add. */
bool kept_find(const kept *k, const reply_basis *basis, str target, kept_reply *ret_reply);
/* Copies. Without memory nothing is kept, which harms nobody. */
void kept_add(kept *k, const reply_basis *basis, str target, const kept_reply *reply);

#endif
