/* What the files of this room share.
 *
 *     client ─┬─ calls, all under way
 *             └─ origins ─┬─ idle: connections without a call, the one used last at the end
 *                         └─ waiting: calls without a connection, first come first served
 *
 * A connection belongs to one call while it is opened and used. Calls end through one post to the loop, so that on_done
 * never runs inside anything else; connections close through uv. Both are freed there and nowhere else. */
#ifndef LARDER_CLIENT_PRIVATE_H
#define LARDER_CLIENT_PRIVATE_H

#include <uv.h>

#include "larder/client.h"
#include "response.h"
#include "url.h"

typedef struct call call;
typedef struct conn conn;
typedef struct origin origin;

#define CLIENT_INPUT_SIZE ((size_t)65536)

/* ---- client ---- */

#define STATS_ORIGINS 64
#define STATS_RESULTS (CLIENT_FAILURE_COUNT + 4) /* the failures, then 2xx .. 5xx (and above) */

typedef struct stats {
    str origin;
    uint64_t counts[STATS_RESULTS];
} stats;

struct client {
    loop *loop;
    tls_trust *trust; /* may be NULL */
    client_options options;
    char *user_agent;
    list calls, lookups;
    origin **origins; /* sorted by key */
    size_t n_origins, cap_origins;
    size_t open_conns;              /* whose memory is still in use */
    stats stats[STATS_ORIGINS + 1]; /* the last is "other" */
    size_t n_stats;
    char *scratch; /* where bytes land that are used or thrown away at once */
    bool closing, closed_posted;
    post closed_post;
    void (*closed)(void *arg);
    void *closed_arg;
};

void client_check_closed(client *c); /* after a call or connection went */

/* ---- origin ---- */

struct origin {
    client *client;
    str key; /* "https://host:port", NUL-terminated */
    list idle, waiting;
    unsigned n_conns, n_calls;
    bool dispatching;
    int64_t used_at;
    stats *stats;

    unsigned failures;  /* in a row */
    int64_t open_until; /* mono ms; 0: the breaker is closed */
    int64_t pause_ms;
    call *probe; /* the one that may try while the breaker is open */
    const char *last_why;

    tls_ticket *ticket;
    int64_t ticket_at;
};

origin *client_origin_get(client *c, const url *u); /* NULL: out of memory */
void client_origin_free(origin *o);
/* Gives the call a connection, now or later, or refuses it (the breaker); the call hears in each case. */
void client_origin_admit(origin *o, call *k);
void client_origin_next(origin *o); /* room has come: whoever waits may go on */
void client_origin_leave(origin *o, call *k);
/* Books a finished attempt: `failure`, or with CLIENT_NONE the status. `why` is static. */
void client_origin_book(origin *o, client_failure failure, int status, const char *why);
void client_origin_forgive(origin *o); /* closes the breaker */
void client_origin_drop_idle(origin *o);
void client_origin_keep_ticket(origin *o, tls_ticket *ticket); /* takes it; NULL forgets the old one */
const tls_ticket *client_origin_ticket(const origin *o);

/* ---- connection ---- */

enum { CONN_RESOLVING, CONN_CONNECTING, CONN_NEXT, CONN_HANDSHAKING, CONN_BUSY, CONN_IDLE, CONN_CLOSING };

struct conn {
    client *client;
    origin *origin; /* NULL once closing */
    call *call;     /* NULL when idle or closing */
    list link;      /* in origin->idle */
    unsigned state;

    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_getaddrinfo_t resolve;
    uv_write_t write;
    job handshake;
    int handshake_result;
    tls_ticket *ticket; /* from the handshake, until the origin has it */
    post turn;
    /* What holds the memory: */
    bool tcp_open, resolving, shaking, turn_posted;

    timer timer;      /* an address's share, a deadline, or the idle time */
    int64_t deadline; /* for opening; mono ms */
    struct sockaddr_storage *addresses;
    size_t n_addresses, next_address;
    int connect_error; /* of the last address */

    tls_session *tls;       /* NULL: plain */
    const tls_trust *trust; /* the session's */
    str to_send[2];         /* head and body, not written yet; the call's */
    buf sealed;             /* encrypted, being written */
    bool writing, write_failed;
    bool reading, reused;
    bool any_address; /* its address was not judged */
    int ended; /* 0; UV_EOF or the error that ended the reading side */
    char *in;  /* CLIENT_INPUT_SIZE, while busy */
    str input; /* of `in`, not parsed yet */
};

int client_conn_open(origin *o, call *k, const url *u, int64_t connect_ms); /* -ENOMEM */
int client_conn_take(conn *c, call *k);                                     /* an idle one; -ENOMEM */
void client_conn_send(conn *c, str head, str body);
/* 1: input is there; 0: none now, client_call_pump is called when some comes; -ENODATA: the peer ended properly; or an
 * error, with its text. */
int client_conn_fill(conn *c, const char **ret_why);
void client_conn_stop(conn *c);    /* reads no more until the next fill */
void client_conn_yield(conn *c);   /* the same, and client_call_pump in the next turn */
void client_conn_release(conn *c); /* the call is done with it: into the pool */
void client_conn_close(conn *c);   /* `c` may be gone on return */

/* ---- call ---- */

enum { CALL_NEW, CALL_WAITING, CALL_OPENING, CALL_SENT, CALL_RECEIVING, CALL_BACKOFF, CALL_DONE };

struct call {
    client *client;
    client_call *face;
    list link; /* in client->calls */
    unsigned state;
    post turn;
    bool turn_posted;
    timer total, phase; /* phase: silence while an answer is due, the pause of a backoff */
    int64_t deadline, connect_ms, silence_ms;
    size_t max_body;

    arena arena;   /* URLs */
    url first, at; /* the call's, and the one asked now */
    unsigned redirects, retried;
    bool as_get; /* a redirect turned the method into GET */

    origin *origin;  /* from WAITING to RECEIVING */
    conn *conn;      /* from OPENING to RECEIVING */
    list wait;       /* in origin->waiting */
    bool pooled;     /* on a connection that has served others */
    bool fresh_only; /* such a one was dead: the next is a new one */

    buf request;
    response response;
    int64_t heard_at; /* mono ms: bytes came, or went */
    bool paused;
    bool given;      /* part of a body went to on_body */
    bool discarding; /* the body is a redirect's */
    size_t discarded;
};

void client_call_move(call *k, unsigned to);
void client_call_opened(call *k, conn *c); /* a connection, new or pooled */
void client_call_pump(call *k);            /* input may have come */
void client_call_wrote(call *k);           /* a part of the request went out */
/* The attempt is over without an answer. `why` is static. The connection, if there still is one, gets closed. */
void client_call_failed(call *k, client_failure failure, const char *why); /* outcome.c */
void client_call_refused(call *k);                                         /* by the breaker */
/* Ends the call; `why` is copied. NULL with CLIENT_NONE. */
void client_call_finish(call *k, client_failure failure, const char *why);
void client_call_enter_line(call *k); /* a first or another attempt at k->at */

void client_call_answered(call *k, bool reusable); /* outcome.c; the connection may serve others */

/* lookup.c */
bool client_address_is_public(const struct sockaddr_storage *a);
/* What a look-up's result `status` means; CLIENT_NONE when it found something. `ret_why` is static. */
client_failure client_lookup_failure(int status, const char **ret_why);
/* The URL's address when its host is one, else false. */
bool client_lookup_literal(const url *u, struct sockaddr_storage *ret_address);
void client_lookup_close_all(client *c);

/* request.c */
const char *client_request_check(const client_call *face); /* why it can't be sent; NULL when it can */
void client_request_wipe(call *k);
int client_request_write(call *k);                         /* into k->request; -ENOMEM */
str client_request_method(const call *k);
bool client_request_is_idempotent(const call *k);

#endif
