/* render: pages out of a fleet of render services (Chromium behind HTTP or HTTPS), and pages as their origin has them.
 *
 * Words
 *   service   one render service: a fixed one, whose /health is polled, or one that registered itself and says so again
 *             every second; three seconds after its last word it is gone.
 *   tab       what a service renders one page in. Load is the larger of what it tells and what we gave it.
 *   reserve   a share of all tabs of the healthy services, kept free for others: we start nothing that would use one
 *             of them. At least one tab is ours, unless the share is 1.
 *   healthy   answers its polls (or heartbeats), and its breaker is not open.
 *   breaker   opens after 5 failures in a row that are the service's own (no connection, no valid answer, 503, 504, no
 *             Chromium); after a pause that doubles from 1 s to 60 s, with jitter, it is half open: one page may try.
 *   bypass    a page fetched from its origin by our own client instead of rendered; needs no tab.
 *
 * A page's host is looked up before anything is sent: where one of its addresses is not public (loopback, private,
 * link-local, multicast, ...) the page is refused, unless allow_private. A verdict is kept for 10 s. The bypass checks
 * each address it connects to instead.
 *
 * An operation is one struct of the caller's: fill the `in` part, start it, on_done runs exactly once, later, also
 * after render_cancel and on close. Before it, on_head runs once, when what comes is known to be a page, and on_piece
 * for each part of the page (never for an empty one). HTML over 20 MiB or metadata over 1 MiB fail the operation;
 * a page is whole only when on_done says so. Nothing is tried twice here: that is the scheduler's.
 *
 * Deadlines: 3 s for a connection; in all min(timeout_ms, options.max_timeout_ms) + extra_wait_ms + 10 s. */
#ifndef LARDER_RENDER_H
#define LARDER_RENDER_H

#include "larder/client.h"

typedef struct render_fleet render_fleet;
typedef struct render_op render_op;

/* ---- an operation ---- */

/* clang-format off */
#define RENDER_RESULTS(X)                                                                            \
    X(OK, "ok")                     /* a page, whatever its status: also a redirect or a 404 */      \
    X(SOFT_TIMEOUT, "soft_timeout") /* a page that was not finished in time: partial */              \
    X(EMPTY, "empty_page")          /* 2xx without a byte of HTML */                                 \
    X(FAILED_FOR_NOW, "failed")     /* can pass later: worth another try */                          \
    X(FAILED, "failed_for_good")    /* will fail again */                                            \
    X(CANCELLED, "cancelled")       /* by render_cancel or close, or on_head or on_piece returned an error */
typedef enum render_result {
#define RENDER_RESULT_ENUM(id, label) RENDER_##id,
    RENDER_RESULTS(RENDER_RESULT_ENUM)
#undef RENDER_RESULT_ENUM
    RENDER_RESULT_COUNT
} render_result;
/* clang-format on */
const char *render_result_name(render_result r); /* the label */

#define RENDER_HTML_MAX ((size_t)20 << 20)
#define RENDER_METADATA_MAX ((size_t)1 << 20)
#define RENDER_ID_LEN 24 /* "recache-" and 16 hex digits */

struct render_op {
    /* in; texts are copied by render_start */
    bool bypass;
    str url;
    str user_agent;         /* null: the browser's own, or the client's */
    int64_t timeout_ms;     /* until the wait event; 0: options.max_timeout_ms. bypass: for all */
    unsigned width, height; /* of the viewport; this and what follows is not for the bypass */
    int64_t extra_wait_ms;  /* after the event */
    str wait_for;           /* "DOMContentLoaded", "load", "networkIdle", "networkAlmostIdle"; null: its default */
    const str *blocked_patterns, *blocked_resource_types;
    size_t n_blocked_patterns, n_blocked_resource_types;
    bool strip_scripts;

    /* The out part down to `timed_out` is there. Negative: the operation ends as CANCELLED. May be NULL. */
    int (*on_head)(render_op *op);
    int (*on_piece)(render_op *op, str html); /* in order; negative as above. It may pause and cancel */
    void (*on_done)(render_op *op);
    void *user;

    /* out */
    render_result result;         /* in on_done */
    int status;                   /* the page's own: 200, 301, 404...; 0: none */
    str final_url;                /* where it was at the end, or where a redirect leads; null: unknown */
    const client_header *headers; /* the page's, as told; Set-Cookie is left out */
    size_t n_headers;
    str title;                          /* null: none told */
    int index_status;                   /* 1 indexable, 2 not a 200, 3 blocked by meta, 4 not canonical; 0: not told */
    bool timed_out;                     /* what comes is partial */
    uint64_t html_bytes;                /* given to on_piece */
    int64_t render_ms;                  /* as the service says; 0: not told */
    str error_type;                     /* the service's word ("network_error"), or one of those below; null when OK */
    str why;                            /* for people: "https://render-1:9443: connection refused"; null when OK */
    bool service_failed;                /* the service is to blame, not the page: another one may do it at once */
    char request_id[RENDER_ID_LEN + 1]; /* what the service knows this operation by */
    arena arena;                        /* backs the out part, until render_op_done */
    void *impl;                         /* the room's own */
};
/* error_type where the service has none to give: "service_unreachable", "service_error", "service_timeout",
 * "bad_answer", "metadata_too_large", "response_too_large", "invalid_url", "address_not_public", "name_not_found",
 * "network_error", "out_of_memory", "cancelled". */

/* Gives the page to the healthy service with the smallest share of its tabs in use. -EBUSY: no tab is free above the
 * reserve now (on_capacity tells when one may be); -ENOMEM; -ECANCELED after close: on_done will not run. */
int render_start(render_fleet *f, render_op *op);
void render_pause(render_op *op); /* no pieces until render_resume; the deadline goes on */
void render_resume(render_op *op);
void render_cancel(render_op *op);  /* any time between start and on_done */
void render_op_done(render_op *op); /* frees the out part; harmless when done already */
/* The whole URL that final_url, which may be a relative one, means: in `a`, until that goes. -EINVAL with *ret_why, for
 * people (static): it is none, or there is none; -ENOMEM. */
int render_redirect_url(arena *a, const render_op *op, str *ret_url, const char **ret_why);

/* ---- the fleet ---- */

typedef struct render_service_options { /* texts are copied */
    str url;                            /* http://host:port or https://..., without a path */
    client_header key;                  /* sent with each request; name null: none */
} render_service_options;

typedef struct render_options {             /* texts are copied; zero fields take the defaults */
    const render_service_options *services; /* the fixed ones; at most RENDER_SERVICES_MAX are kept */
    size_t n_services;
    tls_trust *services_trust, *origins_trust; /* NULL: https is refused there. References are taken */
    double reserved;                           /* 0..1 */
    int64_t poll_ms;                           /* of /health; 1 s. Spread by 20 %; slower while it fails */
    int64_t max_timeout_ms;                    /* what a service allows a page at most; 50 s */
    bool allow_private;
    /* Tabs may have become free, or services have come or gone. On the loop, never within another function of this
     * face; after the on_done that freed a tab. May be NULL. */
    void (*on_capacity)(void *arg);
    void *arg;
} render_options;
#define RENDER_SERVICES_MAX 256

int render_fleet_new(loop *l, const render_options *o, render_fleet **ret_fleet); /* -EINVAL (a URL), -ENOMEM */
/* For what begins from now on; services that stay keep what is known of them. On error nothing has changed. */
int render_fleet_set_options(render_fleet *f, const render_options *o);
/* The same in two steps, for who must know that it can be done before anything else changes: after a prepare, whose
 * errors are the same, comes a commit or a drop, before the loop goes on and with the texts of `o` still there. */
typedef struct render_change render_change;
int render_fleet_prepare(render_fleet *f, const render_options *o, render_change **ret_change);
void render_fleet_commit(render_fleet *f, render_change *c);
void render_fleet_drop(render_fleet *f, render_change *c);
/* http:// or https://, a host, perhaps a port, and at most a '/' behind it. */
bool render_is_service_url(str url);
/* Cancels what is under way (their on_done run), then, on the loop, frees the fleet and calls closed(arg). */
void render_fleet_close(render_fleet *f, void (*closed)(void *arg), void *arg);

/* A registration or heartbeat as a service posts it (the JSON: id, address, port, capacity, load, ...), `peer` being
 * the address it came from: that one counts where the JSON says "0.0.0.0", "::" or nothing. -EINVAL with a text for
 * people (static), -ENOSPC (RENDER_SERVICES_MAX), -ENOMEM. */
int render_fleet_register(render_fleet *f, str json, str peer, const char **ret_why);

typedef struct render_capacity { /* of the healthy services, in tabs */
    unsigned all, free, reserved;
    unsigned available; /* what we may use now: free above the reserve */
} render_capacity;
render_capacity render_fleet_capacity(const render_fleet *f);

typedef enum render_breaker { RENDER_BREAKER_CLOSED, RENDER_BREAKER_OPEN, RENDER_BREAKER_HALF_OPEN } render_breaker;
typedef struct render_service {
    const char *id;  /* of a fixed one the URL */
    const char *url; /* these texts until the loop goes on */
    bool registered; /* itself, that is: not a fixed one */
    bool is_reachable;
    render_breaker breaker;
    unsigned capacity, load, in_flight; /* tabs; in_flight: ours, of load */
    int64_t heard_at;                   /* wall ms of its last word; 0: never */
    uint64_t pages, failures;           /* given back well, and failed through its own fault, since the start */
    const char *last_error;             /* "" when none yet */
    int64_t last_error_at;              /* wall ms */
} render_service;
#define RENDER_ERROR_TEXT 160
/* Calls fn for each, fixed ones first in the order of the options, then the others by age. */
void render_fleet_services(const render_fleet *f, void (*fn)(void *arg, const render_service *s), void *arg);

#endif
