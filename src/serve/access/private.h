/* What the files of this room share. */
#ifndef LARDER_ACCESS_PRIVATE_H
#define LARDER_ACCESS_PRIVATE_H

#include <uthash.h>

#include "larder/access.h"
#include "larder/hash.h"

#define ACCESS_ID_LEN 12
#define KNOWN_KEYS 1024
#define CLIENTS_MAX 100000 /* rows of the limits' table; about 40 MB when full */

typedef struct known_key {
    uint64_t tag[2]; /* SipHash of the secret under a key of this process */
    bool is_used;
    uint8_t id[8];   /* the beginning of the secret's SHA-256: names its client */
    uint32_t scopes;
    int64_t per_minute, per_hour, concurrent; /* as access_key */
} known_key;

/* A window of 60 s or 60 min that slides by slots: what falls out of it is taken from the sum. */
#define WINDOW_SLOTS 60
typedef struct window {
    uint16_t slot[WINDOW_SLOTS];
    uint32_t sum;
    int64_t newest; /* number of the slot that is being filled */
} window;

typedef struct client_id { /* a key's id, or an address */
    uint8_t bytes[16];
    uint8_t kind;
} client_id;

struct access_client {
    client_id id;
    UT_hash_handle hh;
    list idle; /* by last use, for eviction; linked while nothing is under way */
    window minute, hour;
    uint32_t under_way;
};

struct access_control {
    store *store;
    clk *clock;
    access_options o;
    siphash_key sip;
    uint64_t generation;
    known_key known[KNOWN_KEYS];
    access_client *clients;
    size_t n_clients;
    list idle; /* longest first */
    access_client *last; /* of the request before: often the same client asks again */
};

uint32_t access_scope_bits(const access_key *k);
/* Constant-time against the table; -EACCES when there is no such key. *ret_key lives until the next call. */
int access_find_key(access_control *a, store_view *v, str secret, const known_key **ret_key);

void window_turn(window *w, int64_t now_ms, int64_t slot_ms); /* lets old slots fall out */
int64_t window_room_at(const window *w, int64_t now_ms, int64_t slot_ms, uint32_t limit); /* ms until there is room */

#endif
