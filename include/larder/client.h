/* client: outbound HTTP/1.1 over TCP and TLS. Never blocks the loop: names are looked up and handshakes computed on the
 * worker pool, and one connection gets at most half a millisecond of a turn.
 *
 * Words
 *   call      one logical request. It may use several connections (redirects, retries).
 *   origin    scheme, host, port. Each has a pool of connections, at most options.per_origin; calls past that wait in
 *             line. What an origin is known by (breaker, TLS ticket) is forgotten last used first, past 256 of them.
 *   breaker   opens after options.breaker_failures failures in a row (no connection, no valid answer, 500, 502, 503,
 *             504): then calls fail at once, and after a pause that doubles up to 60 s one call may try.
 *
 * Deadlines: connect_ms for name, connection and TLS together, all addresses of a host being tried within it;
 * first_byte_ms for the server's longest silence, before the first byte of its answer or between two; total_ms for the
 * whole call.
 *
 * Retries: GET, HEAD and calls flagged idempotent, at most `retries` times, with exponential backoff and full jitter,
 * when no connection came about, when it ended before the answer was whole, on 429, 500, 502, 503 and 504. Retry-After
 * is honoured when it ends within total_ms; otherwise the answer is given as it is. A call that has given out part of a
 * body is never retried. A pooled connection that turns out dead is replaced without counting as a try.
 *
 * Redirects: at most 5, never from https to http; to another origin only Accept, Accept-Language, Content-Type and
 * User-Agent are sent of the call's headers. 301, 302 (for POST) and 303 turn the method into GET.
 *
 * Lifetime: the call struct and the texts in it are the caller's and stay until on_done, which runs exactly once, never
 * before client_start returned nor from within another function of this face, also after client_cancel and on
 * shutdown. */
#ifndef LARDER_CLIENT_H
#define LARDER_CLIENT_H

#include "larder/loop.h"
#include "larder/tls.h"

typedef struct client client;
typedef struct client_call client_call;

/* What went wrong, for metrics (the label) and for deciding; client_call.why is for people. */
/* clang-format off */
#define CLIENT_FAILURES(X)                                                                      \
    X(NONE, "none")                                                                             \
    X(URL, "bad_url")                 /* also a redirect's */                                   \
    X(REQUEST, "bad_request")         /* method or headers that can't be sent */                \
    X(DNS, "name_not_found")                                                                    \
    X(REFUSED, "connection_refused")                                                            \
    X(CONNECT, "cannot_connect")                                                                \
    X(CERTIFICATE, "certificate_not_trusted")                                                   \
    X(TLS, "tls_failed")                                                                        \
    X(TIMEOUT, "timed_out")                                                                     \
    X(CLOSED, "connection_closed")    /* before the answer was whole */                         \
    X(ADDRESS, "address_not_public")  /* see client_options.public_only */                      \
    X(PROTOCOL, "invalid_response")                                                             \
    X(TOO_LARGE, "response_too_large")                                                          \
    X(REDIRECT, "bad_redirect")       /* too many, or to where we don't go */                   \
    X(BREAKER, "circuit_open")                                                                  \
    X(CANCELLED, "cancelled")                                                                   \
    X(MEMORY, "out_of_memory")                                                                  \
    X(SINK, "rejected_by_reader")     /* on_body returned an error */
typedef enum client_failure {
#define CLIENT_FAILURE_ENUM(id, label) CLIENT_##id,
    CLIENT_FAILURES(CLIENT_FAILURE_ENUM)
#undef CLIENT_FAILURE_ENUM
    CLIENT_FAILURE_COUNT
} client_failure;
/* clang-format on */
const char *client_failure_name(client_failure f); /* the label */

typedef struct client_header {
    str name, value;
} client_header;

struct client_call {              /* zeroed, then filled: */
    str method;                   /* null: GET */
    str url;                      /* http:// or https:// */
    const client_header *headers; /* Host, Connection, Content-Length, Transfer-Encoding, Accept-Encoding are ours */
    size_t n_headers;
    str body;
    bool idempotent; /* may be retried though it is no GET or HEAD */
    unsigned retries;
    bool keeps_quota; /* the caller minds the server's limits himself: 429 is given to him, not asked again */
    int64_t connect_ms, first_byte_ms, total_ms; /* 0: the client's defaults */
    size_t max_body;                             /* bytes after decompression; 0: the client's default */
    bool raw_body;                               /* do not ask for, nor undo, Content-Encoding (archives) */
    bool keeps_redirects;                        /* a redirect is an answer like others */
    bool streams_all;                            /* on_body gets the body of whatever status, not only a 2xx */
    /* When set, the body of a 2xx goes here piece by piece, `status` and `head` being set already, instead of into
     * `reply` (others still do, up to 1 MiB). A negative result ends the call with CLIENT_SINK. It may cancel and
     * pause. */
    int (*on_body)(client_call *call, str piece);
    void (*on_done)(client_call *call);
    void *user;

    /* out, valid in on_done and until client_call_done */
    client_failure failure;
    str why;    /* "api.github.com: connection refused"; null without failure */
    int status; /* 0 when there was no answer */
    struct client_head {
        client_header *v;
        size_t n;
    } head;            /* the answer's headers, see client_reply_header */
    buf reply;         /* the body, unless streamed or failed */
    str final_url;     /* after redirects; null when `url` was bad */
    unsigned attempts; /* 1, and one for each retry; 0 when nothing was tried */
    arena arena;       /* backs the out fields */
    void *impl;        /* the client's own */
};

typedef struct client_options {                  /* zero fields take the defaults */
    const char *user_agent;                      /* copied; "larder" */
    unsigned per_origin;                         /* connections; 6 */
    int64_t idle_ms;                             /* how long an unused connection is kept; 30 s */
    int64_t connect_ms, first_byte_ms, total_ms; /* 10 s, 30 s, 120 s */
    size_t max_body;                             /* 64 MiB */
    size_t max_head;                             /* 64 KiB */
    int64_t retry_base_ms, retry_cap_ms;         /* 500 ms, 30 s */
    unsigned breaker_failures;                   /* 8 */
    /* Connects to public addresses only: not to loopback, private, link-local, multicast, documentation, ... ones. The
     * address itself is judged, just before connecting: whatever a name resolved to earlier, and redirects too. */
    bool public_only;
} client_options;

/* `trust` NULL: https is refused. The client takes a reference. */
int client_new(loop *l, tls_trust *trust, const client_options *o, client **ret_client);
/* For new connections: unused ones are closed, tickets forgotten, and breakers closed, for what failed may work now. */
void client_set_trust(client *c, tls_trust *trust);
void client_set_public_only(client *c, bool on); /* for new connections; unused ones are closed */
/* Cancels what is under way (their on_done run), then, on the loop, frees the client and calls closed(arg). */
void client_close(client *c, void (*closed)(void *arg), void *arg);

/* Whether it is a URL that a call can have: 0; -EINVAL with what is wrong, for people (static); -ENOMEM. */
int client_url_check(arena *a, str url, const char **ret_why);
/* The whole URL that `reference` means on the page `base`, as a redirect has it. -EINVAL, -ENOMEM as above. */
int client_url_join(arena *a, str base, str reference, str *ret_url, const char **ret_why);

int client_start(client *c, client_call *call); /* -ENOMEM, -ECANCELED after close: on_done will not run */
void client_cancel(client_call *call);          /* any time between start and on_done */
/* no on_body until client_resume; the deadline of silence is suspended */
void client_pause(client_call *call);
void client_resume(client_call *call);
void client_call_done(client_call *call); /* frees the out fields; harmless when done already or never started */
/* the first of that name, any case; null when absent */
str client_reply_header(const client_call *call, const char *name);

/* Looks up a URL's host and judges its addresses, for callers that hand the URL to someone else. The struct is the
 * caller's until on_done, which runs exactly once and never within another function of this face. */
typedef struct client_lookup client_lookup;
struct client_lookup {
    str url;
    int64_t timeout_ms; /* 0: the client's connect_ms */
    void (*on_done)(client_lookup *l);
    void *user;
    client_failure failure; /* NONE: all addresses are public; ADDRESS: one is not; DNS, URL, CONNECT, TIMEOUT... */
    const char *why;        /* for people; static; NULL without failure */
};
int client_lookup_start(client *c, client_lookup *l); /* -ENOMEM, -ECANCELED after close: on_done will not run */

/* For /metrics: attempts by origin ("https://api.github.com") and result ("2xx" or a failure's label), origins in the
 * order of first use; at most 64 of them, the rest together as "other". */
typedef void client_metric_fn(void *arg, str origin, const char *result, uint64_t count);
void client_metrics(const client *c, client_metric_fn *fn, void *arg);

#endif
