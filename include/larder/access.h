/* access: who may ask, and how often.
 *
 * Words
 *   key     a secret given to a client: "lk_" and 43 characters of the base64url alphabet (258 random bits).
 *           The store keeps its SHA-256 and nothing more of it; a keyed, in-memory table makes a known key
 *           cost one look-up.
 *   scope   what a key may do; a row in ACCESS_SCOPES. `admin` includes all.
 *   client  whose budget a request uses: its key, or its address (of IPv6, its /64) when it has none.
 *   limits  sliding windows of a minute and an hour in small slots (never more than the limit in any window,
 *           at most one slot stricter), and requests under way at once. Clients are kept in a bounded table,
 *           the longest idle go first.
 *
 * Keys may be made and revoked by another process (`larder key`): the table is dropped when the keyspace's
 * generation moves. */
#ifndef LARDER_ACCESS_H
#define LARDER_ACCESS_H

#include "larder/http.h"
#include "larder/schema.h"
#include "larder/store.h"

#define ACCESS_SCOPES(X)                                             \
    X(SOURCES_READ, "sources:read", "list and read sources")         \
    X(SOURCES_WRITE, "sources:write", "add, change, rescan sources") \
    X(CACHE_READ, "cache:read", "read the artifact cache")           \
    X(CACHE_WRITE, "cache:write", "report, refresh, invalidate")     \
    X(METRICS, "metrics", "read /metrics")                           \
    X(ADMIN, "admin", "everything")
typedef enum access_scope {
#define ACCESS_SCOPE_ENUM(id, text, doc) SCOPE_##id,
    ACCESS_SCOPES(ACCESS_SCOPE_ENUM)
#undef ACCESS_SCOPE_ENUM
        SCOPE_COUNT,
    SCOPE_PUBLIC /* no key needed; not a key's scope */
} access_scope;
const char *access_scope_name(access_scope s);
int access_scope_parse(str text, access_scope *ret_scope); /* -EINVAL */

#define ACCESS_ID_LEN 12 /* of a key's id: the first hex digits of its SHA-256 */
/* A key as stored; the keyspace's key is the 32 bytes of SHA-256(secret). */
#define ACCESS_KEY_FIELDS(X, S)                                                                              \
    X(S, str,  id,         REQUIRED, 0, 0, NONE, "what list shows and revoke takes: 12 hex digits of the hash") \
    X(S, str,  label,      REQUIRED, 1, 200, NONE, "whose it is")                                            \
    X(S, strs, scopes,     REQUIRED, 0, 0, NONE, "what it may do")                                           \
    X(S, i64,  per_minute, OPTIONAL, 0, 0, NONE, "0: the server's limit; -1: none")                          \
    X(S, i64,  per_hour,   OPTIONAL, 0, 0, NONE, "the same")                                                 \
    X(S, i64,  concurrent, OPTIONAL, 0, 0, NONE, "the same")                                                 \
    X(S, time, created_at, REQUIRED, 0, 0, NONE, "when it was made")
SCHEMA_STRUCT(access_key, ACCESS_KEY_FIELDS);
extern keyspace access_keys_ks;

/* ---- keys: used by the command line and at first start, with or without a server running ---- */
#define ACCESS_SECRET_LEN 46
/* A fresh secret, NUL-terminated: to be told once, and wiped. */
void access_secret_make(char secret[ACCESS_SECRET_LEN + 1]);
/* Stores the key of that secret; `k` gives label, scopes and limits. *ret_id is in the arena. The store's
 * errors. */
int access_key_add(store *s, clk *clock, const access_key *k, const char *secret, arena *a, str *ret_id);
int access_key_revoke(store *s, str id); /* -ENOENT */
int access_key_each(store_view *v, arena *a, void (*fn)(void *arg, const access_key *k), void *arg);

/* ---- requests ---- */
typedef struct access_control access_control;
typedef enum access_mode { ACCESS_AUTO, ACCESS_OPEN, ACCESS_REQUIRED } access_mode;
typedef struct access_options {
    int64_t per_minute, per_hour, concurrent; /* per client */
    const net_cidr *trusted_proxies;          /* borrowed until the next access_set_options */
    size_t n_trusted_proxies;
    /* a peer on a Unix socket counts as a trusted proxy ("unix" in the list) */
    bool trust_unix;
    access_mode sources, metrics;
    /* every listener is loopback or a Unix socket: what `auto` looks at */
    bool all_local;
} access_options;
int access_new(store *s, clk *clock, const access_options *o, access_control **ret_access);
void access_set_options(access_control *a, const access_options *o);
void access_free(access_control *a);

typedef struct access_client access_client; /* a row of the limits' table */
typedef struct access_grant { /* all zero: nobody has been asked */
    access_client *client;  /* whose request is under way; NULL when nothing is counted */
    bool has_key;
    uint8_t identity[16];   /* of the client: the bytes of its key's id and more of them, or its address or /64 */
    uint32_t scopes;        /* bits */
    int64_t per_minute, per_hour, concurrent; /* the client's limits; INT64_MAX for none */
    /* for X-RateLimit-*: the tightest window; limit 0: none. Reset in Unix seconds */
    int64_t limit, remaining, reset_s;
    /* when refused by limits: what they allow; when to come again, at least 1 */
    int64_t maximum, retry_after_s;
    /* of what: "requests per minute", "requests per hour", "concurrent requests" */
    const char *why;
} access_grant;
/* Authorization: Bearer KEY, or X-API-Key; other schemes are none of ours. 0; -EACCES no or unknown key;
 * -EPERM scope missing; the store's errors. `open`: no key needed (but a given wrong one still fails). Fills
 * the grant in any case: without a valid key the client is the address. */
int access_admit(access_control *a, const http_request *req, store_view *v, access_scope need, bool open,
                 access_grant *ret_grant);
/* by mode: SOURCES_* and METRICS may be, PUBLIC is */
bool access_is_open(const access_control *a, access_scope need);
/* Open because of `auto`: only this machine can ask. Its browsers can, too, and the pages in them: one whose own name
 * was made to mean 127.0.0.1 (DNS rebinding) is of the same site as the server then, for a browser. But it asks by that
 * name, so who has no key must ask by one that no page can have: access_names_here. */
bool access_is_open_here(const access_control *a, access_scope need);
/* The Host is an address, localhost, *.localhost, or not given, which no browser does; on a Unix socket, anything. */
bool access_names_here(const http_request *req);
/* Counts the request against the client that access_admit found: 0, or -EDQUOT with why, maximum and
 * retry_after_s (such a request is not counted), or -ENOMEM. After a 0, access_leave once (again does no
 * harm). */
int access_enter(access_control *a, access_grant *g);
void access_leave(access_control *a, access_grant *g);
/* The client's address: the socket's, or, when that is a trusted proxy, the right-most address in
 * X-Forwarded-For that is not itself a trusted proxy. */
net_addr access_client_addr(const access_control *a, const http_request *req);

#endif
