/* internal: the server's own structs, and who does what with them.
 *
 *   server.c     listeners, options, drain
 *   deadlines.c  when a connection has waited long enough
 *   conn.c       a connection's life: events, parsing, handing up, refusing, closing
 *   output.c     replies on their way: gathered, written, waiting
 *   exchange.c   a request and its reply: memory, deferring
 *   reply.c      what form a reply takes
 *   stream.c     replies that go on
 *
 * A connection owns at most one exchange, the request under way; an exchange outlives its connection when the client
 * leaves before the reply. */
#ifndef LARDER_HTTP_INTERNAL_H
#define LARDER_HTTP_INTERNAL_H

#include "larder/http.h"

#include "frame.h"
#include "gzip.h"
#include "head.h"
#include "parse.h"

#define HTTP_READ_SIZE ((size_t)65536) /* of the one buffer all connections read into */
#define HTTP_STEPS_PER_TURN 64         /* heads and bodies of one connection; then the others have their turn */
#define HTTP_LINGER_MS 5000            /* how long a connection is read on so that the client gets our last reply */
#define HTTP_LINGER_DRAINING_MS 500    /* the same while the server drains */
#define HTTP_LINGER_BYTES ((size_t)16 << 20)
#define HTTP_LINGERING 256 /* connections that do so, beside max_connections; more are closed at once */
#define HTTP_REFUSALS 64 /* connections beyond max_connections that are told so; more are just closed */
#define HTTP_ID_LEN 18

typedef struct http_conn http_conn;
typedef struct http_exchange http_exchange;

struct http_exchange {
    http_request req;
    http_server *server;
    http_conn *conn; /* NULL once the client has gone */
    http_exchange *next_free;
    enum {
        EX_READING,  /* its body is still to come */
        EX_RUNNING,  /* in on_request */
        EX_DEFERRED, /* the handler's, until it replies */
        EX_PACKING,  /* replied, and being compressed by a job */
        EX_STREAMING,
        EX_REPLIED
    } state;
    bool sending;    /* a stream's bytes are on their way down: that the client is gone will be the result */
    bool in_handler; /* on_request is on the stack and may still look at it */
    bool keep_alive;
    bool owns_head, owns_body; /* they are no longer in the read buffer */
    int minor;                 /* of HTTP/1.minor */
    str head;
    buf body, out;
    arena arena;
    char id[HTTP_ID_LEN];
    http_header headers[HTTP_MAX_HEADERS];
};

typedef struct http_listener {
    struct http_listener *next;
    http_server *server;
    net_listener *net;
} http_listener;

struct http_conn {
    net_conn net;
    http_server *server;
    const net_listen *listener;
    net_addr peer;
    enum { CONN_READING, CONN_WAITING, CONN_LINGERING, CONN_CLOSED } state; /* waiting for a reply to the request */

    bool closing;  /* when all has been written */
    bool hung_up;  /* the client sends no more; what it sent before may be unread */
    bool has_more; /* bytes are waiting in the socket while we wait for a reply */
    http_parser parser;
    http_exchange *ex;
    int64_t started_ns; /* first byte of the request under way */
    int64_t body_began_ms;
    buf in; /* read, but not parsed yet */
    size_t in_at;
    buf out; /* to be written when the socket takes it */
    size_t out_at;
    size_t counted;         /* our share of stats.buffered_bytes */
    size_t lingered;        /* bytes */
    list all, ready;        /* the server's lists */
    list slot;              /* deadlines.c */
    int64_t due, looked_at; /* mono ms: the deadline; when deadlines.c will look at it */
};

#define HTTP_WHEEL_SLOTS 256
#define HTTP_WHEEL_TICK_MS 250

struct http_server {
    loop *loop;
    http_options options;
    http_hooks hooks;
    http_stats stats;
    http_listener *listeners;
    unsigned open_listeners;
    unsigned lingering; /* of stats.connections */
    list conns;
    list ready; /* connections with unparsed bytes whose turn has come */
    post ready_post;
    bool ready_posted;

    char *in;             /* HTTP_READ_SIZE, shared by all connections */
    buf gather;           /* replies of the connection being parsed */
    http_conn *gathering; /* that one */
    buf late;             /* a reply of another one */
    buf errors;           /* bodies of refusals */
    http_gzip *gzip;      /* made when first needed */
    buf packed;

    http_exchange *free_exchanges;
    unsigned n_free, n_exchanges; /* kept; in use */
    int64_t turn_ns;              /* when the bytes being parsed were read */
    char next_id[HTTP_ID_LEN];
    char date[HTTP_DATE_LEN + 1];
    int64_t date_from_ms;

    list wheel[HTTP_WHEEL_SLOTS];
    int64_t wheel_at; /* the tick up to which it has turned */
    timer tick;

    bool draining;
    void (*drained)(void *arg);
    void *drained_arg;
    post drained_post;
};

/* server.c */
const char *http_server_date(http_server *s);
void http_server_new_id(http_server *s, char id[HTTP_ID_LEN]);
void http_server_check_drained(http_server *s);
void http_server_schedule(http_conn *c); /* its unparsed bytes have a turn soon */

/* deadlines.c */
#define HTTP_NEVER INT64_MAX
void http_deadlines_init(http_server *s);
/* Connections that count: those that linger are done with. */
static inline uint64_t http_server_busy(const http_server *s)
{
    return s->stats.connections - s->lingering;
}
int http_deadlines_wake(http_server *s); /* before the first connection; the wheel sleeps when there is none. -ENOMEM */
void http_deadline_set_slow(http_conn *c, int64_t due);
/* Once per request and more: a deadline that moves away costs a store. */
static inline void http_deadline_set(http_conn *c, int64_t due)
{
    c->due = due;
    if (due < c->looked_at)
        http_deadline_set_slow(c, due);
}

/* conn.c */
void http_conn_accept(http_listener *ls, int fd, const net_addr *peer);
void http_conn_abort(http_conn *c); /* closes it now; a request under way turns gone */
void http_conn_expired(http_conn *c);
void http_conn_drain(http_conn *c);
void http_conn_take_turn(http_conn *c);
void http_conn_replied(http_conn *c); /* a reply came that was not given in on_request */
void http_conn_sent(http_conn *c);    /* bytes of a stream were put out */

/* output.c: these may abort the connection */
void http_output_reply(http_conn *c, const http_frame *f, str body);
void http_output_text(http_conn *c, str text);
void http_output_flush(http_conn *c); /* what was gathered */
void http_output_writable(http_conn *c);

/* exchange.c */
http_exchange *http_exchange_new(http_conn *c); /* NULL: no memory */
void http_exchange_free(http_exchange *ex);
void http_body_done(http_server *s, buf *body); /* frees it, a large one on a worker */
int http_exchange_own(http_exchange *ex);    /* moves its texts out of the read buffer; -ENOMEM */
void http_exchange_leave(http_exchange *ex); /* its connection goes */
void http_exchange_gone(http_exchange *ex);  /* nobody waits for it any more: its handler is told, once */

/* stream.c */
void http_stream_writable(http_exchange *ex);

#endif
