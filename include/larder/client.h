/* client: outbound HTTP/1.1 over TCP and TLS. Never blocks the loop: names are looked up and handshakes computed on the
 * worker pool.
 *
 * One `client_call` is one logical request: it may use several connections (redirects, retries). Deadlines: connect, TLS,
 * first byte, total. A pool keeps connections per origin (scheme, host, port), at most options.per_origin of them; calls past
 * that wait in line within their total deadline.
 *
 * Retries: GET and HEAD (or calls flagged idempotent) on connect errors, 429, 500, 502, 503, 504 and connections that die before the first byte:
 * exponential backoff with full jitter, at most `retries` times; Retry-After is honoured when it ends within
 * the total deadline, otherwise the answer is given to the caller as it is. A call whose body has begun to be given out is never retried.
 * Redirects: at most 5, never from https to http; Authorization goes to its own origin only. A circuit breaker per origin
 * opens after `breaker_failures` failures in a row and lets one call try again after a pause that doubles up to 60 s.
 *
 * Lifetime: the call struct and the texts in it are the caller's and stay until on_done, which runs exactly once, never before
 * client_start returned, also after client_cancel and on shutdown. */
#ifndef LARDER_CLIENT_H
#define LARDER_CLIENT_H

#include "larder/loop.h"
#include "larder/tls.h"

typedef struct client client;
typedef struct client_call client_call;

/* What went wrong, for metrics and for deciding; the text beside it is for people. */
#define CLIENT_FAILURES(X)                                                                                          \
    X(NONE, "none") X(URL, "bad url") X(DNS, "name not found") X(REFUSED, "connection refused")                      \
    X(CONNECT, "cannot connect") X(CERTIFICATE, "certificate not trusted") X(TLS, "tls failed") X(TIMEOUT, "timed out") \
    X(CLOSED, "connection closed early") X(PROTOCOL, "invalid response") X(TOO_LARGE, "response too large")           \
    X(REDIRECT, "bad redirect") X(BREAKER, "circuit open") X(CANCELLED, "cancelled") X(MEMORY, "out of memory")       \
    X(SINK, "rejected by the reader")
typedef enum client_failure {
#define CLIENT_FAILURE_ENUM(id, text) CLIENT_##id,
    CLIENT_FAILURES(CLIENT_FAILURE_ENUM)
#undef CLIENT_FAILURE_ENUM
} client_failure;
const char *client_failure_name(client_failure f); /* "timed_out": for labels */

typedef struct client_header {
    str name, value;
} client_header;

struct client_call {
    /* in */
    str method;          /* null: GET */
    str url;             /* http:// or https:// */
    const client_header *headers; /* Host, Content-Length, Connection, Accept-Encoding are ours */
    size_t n_headers;
    str body;
    bool idempotent;     /* may be retried though it is no GET or HEAD */
    unsigned retries;
    int64_t connect_ms, first_byte_ms, total_ms; /* 0: the client's defaults. tls counts within connect_ms */
    size_t max_body;     /* bytes after decompression; 0: the client's default */
    bool raw_body;       /* do not ask for, nor undo, Content-Encoding (archives) */
    /* Streaming: when set, the body of a 2xx goes here piece by piece instead of into `reply`. A negative result ends the call
     * with CLIENT_SINK. Call client_pause to stop for a while, client_resume to go on. */
    int (*on_body)(client_call *c, str piece);
    void (*on_done)(client_call *c);
    void *user;
    /* out, valid in on_done and until the caller frees them with client_call_done */
    client_failure failure;
    str why;             /* "api.github.com: connection refused"; null without failure */
    int status;          /* 0 when there was no answer */
    struct client_head { /* the answer's headers, see client_reply_header */
        client_header *v;
        size_t n;
    } head;
    buf reply;           /* the body, unless streamed */
    str final_url;       /* after redirects */
    unsigned attempts;
    arena arena;         /* backs the out fields */
    void *impl;          /* the client's own */
};

typedef struct client_options {
    const char *user_agent;
    unsigned per_origin;       /* connections; default 6 */
    int64_t idle_ms;           /* how long an unused connection is kept; default 30 s */
    int64_t connect_ms, first_byte_ms, total_ms; /* defaults 10 s, 30 s, 120 s */
    size_t max_body;           /* default 64 MiB */
    size_t max_head;           /* default 64 KiB */
    int64_t retry_base_ms, retry_cap_ms; /* default 500 ms, 30 s */
    unsigned breaker_failures; /* default 8 */
} client_options;

/* Zero fields of o take the defaults. */
int client_new(loop *l, tls_trust *trust, const client_options *o, client **ret_client);
void client_set_trust(client *c, tls_trust *trust); /* for new connections */
/* Cancels what is under way (their on_done run), then closed(arg) on the loop. */
void client_close(client *c, void (*closed)(void *arg), void *arg);

int client_start(client *c, client_call *call); /* -ENOMEM, -ECANCELED after close: on_done will not run */
void client_cancel(client_call *call);           /* any time between start and on_done */
void client_pause(client_call *call);
void client_resume(client_call *call);
void client_call_done(client_call *call);        /* frees the out fields */
str client_reply_header(const client_call *call, const char *name); /* the first of that name, any case; null when absent */

/* For /metrics: counters by origin and by status class or failure, in the order of first use; at most 64 origins, the rest as "other". */
typedef void client_metric_fn(void *arg, str origin, const char *result, uint64_t count);
void client_metrics(const client *c, client_metric_fn *fn, void *arg);

#endif
