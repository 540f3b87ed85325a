/* route: from a request to a handler and back. Endpoints are rows; the dispatcher does what is the same for
 * all.
 *
 * Order: body cap (a row's own is for who may come in; of others, a body that may be longer than anywhere else is
 * refused with its head, in the order key -> limits -> scope) -> match path -> method allowed (405 with Allow; HEAD
 * is served by GET's row; OPTIONS answers Allow) -> key -> limits (429) -> no key or scope (401, 403) -> without a key,
 * what a page of another site could ask for (403: a name of its own as Host where access is open because all is local;
 * a change whose Origin is not the Host) -> If-None-Match against what the row's answer depends on (304) -> decode
 * path, query and body into structs, naming the first bad field -> handler -> a negative result becomes the family's
 * error body -> metrics, log.
 * Requests that match no row of a family with limits count as well.
 *
 * To add an endpoint: a row in its resource's table (src/serve/api/<resource>.c) and a handler:
 *
 *     { HTTP_M_GET, "/api/v1/marketplace/sources/{id}", &family_sources, SCOPE_SOURCES_READ, LIMIT_NONE,
 *       .params = &source_ref_schema, .reply = &source_schema, .etag_of = {&sources_ks}, .handle =
 *       get_source, .summary = "One source" },
 *
 *     static int get_source(call *c)
 *     {
 *         const source_ref *in = c->params;
 *         ...
 *         return reply_entity(c, 200, &source_schema, &found);
 *     }
 *
 * A body of more than ROUTE_BODY_ON_LOOP bytes is read on a worker; the handler runs on the loop all the same.
 *
 * Path parameters and query parameters are decoded together into `params`: a {name} of the path is a REQUIRED
 * field of it, never empty; an encoded slash in it is data. Where a path fits a row literally, rows with a
 * {name} in that place are not tried. A handler returns 0 when it replied or deferred, or a negative errno.
 * It owns no memory: c->arena is the request's. */
#ifndef LARDER_ROUTE_H
#define LARDER_ROUTE_H

#include "larder/access.h"
#include "larder/http.h"
#include "larder/schema.h"
#include "larder/store.h"

typedef struct call call;
typedef struct route route;
typedef struct router router;

typedef enum limit_class {
    LIMIT_NONE,
    LIMIT_KEY,    /* a key's requests count; anonymous ones, where the family is open, don't */
    LIMIT_CLIENT, /* all count, by key or by address */
} limit_class;

/* A family: a path prefix (whole segments), its error bodies, and the status for input that does not fit. */
typedef struct family {
    const char *name;    /* also the OpenAPI tag */
    const char *prefix;
    const char *doc;     /* one line for the document */
    void (*error_body)(json *w, int status, str text); /* writes one JSON value */
    const schema *error; /* its shape */
    int bad_params;      /* status for path and query parameters out of bounds */
    int bad_body;        /* status for a body that is JSON but does not fit its schema; broken JSON is 400 */
    const char *not_authorised; /* 401's text */
    /* A family with keys of its own (NULL: access.h's): whether the request may come in. Asked before anything else, so
     * that without a key nobody learns which paths there are. Its rows say SCOPE_PUBLIC and LIMIT_NONE. */
    bool (*admits)(const call *c);
    /* What clients of such a family expect, where it differs; NULL or false: as everybody does. */
    const char *not_found;  /* 404's text */
    const char *broken_json; /* what stands before what is wrong with a body that is no JSON */
    bool hides_methods;     /* a path's other methods are 404, as a path that there isn't */
    limit_class limits;  /* of requests that match none of its rows */
} family;
void error_body_detail(json *w, int status, str text); /* {"detail": text} */
extern const schema error_detail_schema;

enum { /* beside schema.h's ALLOW_EXTRA, which is 1 */
    BODY_OPTIONAL = 2,
    NO_DOCUMENT = 4, /* left out of the OpenAPI document */
    BODY_BY_HAND = 8, /* the schema is for the document: the handler reads body_json, in an order of its own */
    HAS_ETAG = 16,   /* its handler tags the reply itself */
    MAY_WAIT = 32,   /* the client may ask it to wait: call_wait_ms */
    /* Its body may: what the call has of it is zeros when it has ended. What came in pieces was gathered first: copies
     * of them stay in memory until others write there. */
    HAS_SECRET = 64,
};

#define ROUTE_BODY_ON_LOOP 16384
#define ROUTE_ETAG_KEYSPACES 6
struct route {
    http_method method;
    const char *path;
    const family *family;
    access_scope scope;
    limit_class limits;
    const schema *params; /* NULL: none */
    const schema *body;   /* NULL: what is sent is not looked at */
    const schema *reply;  /* NULL: no JSON body */
    int reply_status;     /* of success, for the document; 0 = 200 */
    int other_status;     /* one more that comes with the same body, for the document; 0 = none */
    const char *reply_type; /* NULL = application/json */
    const char *errors;   /* further statuses, for the document: "404 409" */
    /* What a GET's answer depends on beside its target, and nothing else: keyspaces, and a number that
     * changes with what is not in the store (NULL: all of it is). No keyspace: no ETag. With one, an answer
     * may be given again without the handler. */
    keyspace *etag_of[ROUTE_ETAG_KEYSPACES];
    uint64_t (*etag_version)(const void *app);
    unsigned flags;       /* ALLOW_EXTRA, BODY_OPTIONAL, NO_DOCUMENT */
    size_t max_body;      /* 0: http.max_body_bytes */
    int (*handle)(call *c);
    const char *summary;
};

struct call {
    http_request *req;
    const route *route;
    void *params, *body; /* structs of the row's schemas; body NULL when absent and BODY_OPTIONAL */
    const json_value *body_json; /* the body as read, for what a schema cannot say */
    arena *arena;
    json *w;             /* a writer into the reply's body */
    access_grant grant;
    void *app;           /* what router_new was given: the rooms the handlers use */
    router *router;
    str etag;
    str long_headers;    /* and more, by reply_long_header and reply_own_header */
    char headers[512];   /* further reply headers, by reply_header */
    size_t headers_n;
    bool deferred, replied;
    void *user;          /* the handler's, for deferred work */
    /* the handler's; deferred: the client has left; the reply is still due, and dropped */
    void (*on_gone)(call *c);
};

/* ---- replying: each exactly one per call; they return 0 so that a handler can `return reply_...` ---- */
/* what was written to c->w; a writer's error becomes 500 */
int reply_json(call *c, int status);
int reply_entity(call *c, int status, const schema *s, const void *entity);
int reply_empty(call *c, int status);                     /* 204 */
int reply_text(call *c, int status, str content_type, str body); /* body in arena or out */
/* bytes of another kind, with an ETag (null: none) that If-None-Match is held against; `is_packed`: they stay as they
 * are */
int reply_bytes(call *c, int status, str content_type, str body, str etag, bool is_packed);
int reply_error(call *c, int status, const char *fmt, ...) PRINTF_LIKE(3, 4); /* the family's shape */
/* reply_json with a tag of the handler's own; on a GET's, If-None-Match gets its 304. The row says HAS_ETAG. */
int reply_tagged(call *c, int status, str etag);
int reply_document(call *c); /* the OpenAPI 3.1 document of all rows, with an ETag */
/* before the reply; few, short, and ours: never raw input */
void reply_header(call *c, str name, str value);
/* Where that is not so: as long as it likes. A value that is no header's is left out. -ENOMEM */
int reply_long_header(call *c, str name, str value);
/* As long as it likes, and ours: nobody looks at it again. -ENOMEM */
int reply_own_header(call *c, str name, str value);
void reply_forget_headers(call *c); /* those given so far: it is another reply that is due */
/* -ENOENT 404, -EEXIST 409, -EBUSY 409, -EINVAL 422, -ENOSPC 507, -ENOMEM 503, -ECANCELED 503, else 500 */
int reply_errno(call *c, int err);
/* The reply comes later, on the loop: c stays valid until then. -ENOMEM. */
int call_defer(call *c);
/* Runs `work` on a worker, then `then` on the loop (with a deferred call): for reads that touch many records.
 * Touch only the call's arena and an own snapshot in `work`. */
int call_job(call *c, void (*work)(call *c), int (*then)(call *c));
/* Replies with what `write` makes of a view of the store in c->w: here, or, when it is long, on a worker, where it may
 * touch nothing but the call's arena and the view. `failed` (NULL: reply_errno) replies for a negative result. */
int call_read(call *c, int (*write)(call *c, store_view *v), int (*failed)(call *c, int err), bool is_long);
/* How long the client would wait for the result (RFC 7240, Prefer: wait=N), at most 60 s; 0: not at all, or the row
 * does not say MAY_WAIT. */
int64_t call_wait_ms(const call *c);

/* ---- streams: events for clients that stay (text/event-stream) ----
 * A channel keeps its last events; a stream is a reply that follows it, at its client's pace. A client that comes back
 * with Last-Event-ID gets what it has missed. When that is no longer kept, or it falls that far behind, it gets the
 * event `reset` instead: read the state anew. Comments keep quiet streams alive; a key that was revoked ends its own.
 *
 * A stream is no request under way: of those it may have, its client has back what it used. It may have as many streams
 * as it may have requests under way (429), all clients together CHANNEL_STREAMS (503). */
#define CHANNEL_EVENTS 1000
#define CHANNEL_STREAMS 256
#define CHANNEL_EVENT_MAX 8192 /* bytes; a larger one is lost, which clients are told by a reset */
#define CHANNEL_BEAT_MS SECONDS(15)
typedef struct channel channel;
int channel_new(loop *l, channel **ret_channel); /* -ENOMEM */
/* data: JSON, which has no line ends; null: there was something to say, but no memory to say it. */
void channel_send(channel *ch, const char *event, str data);
/* A handler's reply. As reply_errno's: 0, or a negative errno when it has not replied. */
int reply_stream(call *c, channel *ch);
size_t channel_streams(const channel *ch);
void channel_free(channel *ch); /* when the server has drained and the loop has ended; NULL is fine */

/* ---- the router ---- */
typedef struct route_table {
    const route *rows;
    size_t n;
} route_table;
typedef struct router_options {
    loop *loop;
    store *store;
    access_control *access;
    void *app;
    const route_table *tables;
    size_t n_tables;
    const family *const *families; /* of a path the first that fits; of none, the first */
    size_t n_families;
    bool log_access; /* may change: router_set_log_access */
} router_options;
/* Rows, families and lists stay the caller's, and are needed until router_free. -EINVAL for tables that
 * contradict themselves (two rows for one method and path, a {name} that is no field, two schemas of one
 * name...), which a test finds out; -ENOMEM. */
int router_new(const router_options *o, router **ret_router);
void router_free(router *r);
http_hooks router_hooks(router *r);
void router_set_log_access(router *r, bool on);

/* For /metrics: one line of figures per row. Histogram bounds in ROUTE_LATENCY_US, last bucket open. */
#define ROUTE_LATENCY_US                                                                                      \
    {50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000}
#define ROUTE_LATENCY_BUCKETS 17
#define ROUTE_STATUSES 24 /* more than Larder has */
typedef struct route_stats {
    const route *route;  /* NULL: requests that matched no row */
    struct { int status; uint64_t n; } by_status[ROUTE_STATUSES]; /* ends with status 0 */
    uint64_t latency[ROUTE_LATENCY_BUCKETS], latency_us_total; /* without refusals of what was no request */
} route_stats;
size_t router_stats(const router *r, const route_stats **ret_rows);
/* calls whose handler neither replied nor deferred; must stay 0 */
uint64_t router_unanswered(const router *r);

#endif
