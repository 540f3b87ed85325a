/* recache_url: the one spelling of a URL under which its page is queued, stored and found.
 *
 * The rules are those of the gateways that read the pages, so that a key made here is the key made there; they
 * follow Go's net/url:
 *   scheme      missing: https; lower case
 *   host        lower case; must hold a dot, or be localhost; no IPv6 address; one trailing dot and a default port
 *               (80, 443) are removed; user information stays
 *   path        empty is "/"; slashes collapse; "." and ".." are resolved; its escapes keep their spelling where
 *               they are a valid encoding and the path did not change, else they are written anew
 *   query       sorted by key, values of one key keep their order, form-encoded; kept as it is where it can't be
 *               parsed; a bare "?" stays
 *   fragment    dropped
 *   tracking    parameters of the given list are taken out, of a query that can be parsed
 * The key is XXH64, seed 0, of the result. Pure; any thread. */
#ifndef LARDER_RECACHE_URL_H
#define LARDER_RECACHE_URL_H

#include "larder/base.h"
#include "larder/schema.h"

#define RECACHE_URL_MAX 4096 /* bytes of a URL, before and after */

typedef struct recache_url {
    str text; /* normalised, in the arena */
    str host; /* hostname within it: lower case, without port and user information */
    uint64_t hash;
} recache_url;

/* `tracking`: names of parameters to take out; ASCII letters of any case, '*' is any text. -EINVAL with *ret_why
 * (static) when the text is no URL that can be queued; -ENAMETOOLONG with it; -ENOMEM. */
int recache_url_parse(arena *a, str text, strs tracking, recache_url *ret_url, str *ret_why);

/* utm_*, gclid, fbclid, msclkid, _ga, _gl, mc_cid, mc_eid, _ke, ref, referrer. */
extern const strs recache_tracking_default;

/* As in answers: 16 lower-case hex digits. */
#define RECACHE_HASH_LEN 16
void recache_hash_text(uint64_t hash, char out[RECACHE_HASH_LEN]);

#endif
