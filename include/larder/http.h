/* http: an HTTP/1.1 and 1.0 server (RFC 9110, 9112) over the loop's listeners.
 *
 * A connection reads, parses (llhttp, strict, and our own checks on top), hands each whole request to on_request and takes
 * exactly one reply for it, at once or later. Requests of one connection are served one after the other: while one waits
 * for its reply nothing more is parsed, and after a little read-ahead nothing more is read: that is the backpressure and
 * the order of pipelining. Replies of one read leave in one write.
 *
 * Refusals by this room (400, 408, 413, 414, 431, 503, ...) carry the body that `error_body` makes, so that they have the
 * shape of the family the path belongs to; then the connection closes.
 *
 * Memory: a request and all it points to live until its reply has been given (then they are the connection's again); texts of a
 * request that was answered within on_request point into the read buffer. An idle connection holds under 1 KiB.
 * Errors in replies given to a client that has gone are not errors: http_reply then drops them. */
#ifndef LARDER_HTTP_H
#define LARDER_HTTP_H

#include "larder/loop.h"
#include "larder/net.h"

typedef struct http_server http_server;
typedef struct http_request http_request;

typedef enum http_method { HTTP_M_GET, HTTP_M_HEAD, HTTP_M_POST, HTTP_M_PUT, HTTP_M_PATCH, HTTP_M_DELETE, HTTP_M_OPTIONS, HTTP_M_OTHER } http_method;
#define HTTP_METHODS HTTP_M_OTHER
const char *http_method_name(http_method m);

/* Headers that Larder reads, found by http_header_of in one load. To add one: a row here. The letter is the name's first:
 * length and first letter together must be unlike those of every other row (the compiler says so). What a repeated one means:
 * ONE refuses the request, LIST joins the values with ", " (RFC 9110 section 5.3), FIRST takes the first. */
#define HTTP_KNOWN(X)                                         \
    X(HOST, "host", 'h', ONE)                                 \
    X(CONTENT_TYPE, "content-type", 'c', ONE)                 \
    X(CONTENT_LENGTH, "content-length", 'c', ONE)             \
    X(TRANSFER_ENCODING, "transfer-encoding", 't', ONE)       \
    X(AUTHORIZATION, "authorization", 'a', ONE)               \
    X(X_API_KEY, "x-api-key", 'x', ONE)                       \
    X(IF_NONE_MATCH, "if-none-match", 'i', LIST)              \
    X(IF_MATCH, "if-match", 'i', LIST)                        \
    X(ACCEPT_ENCODING, "accept-encoding", 'a', LIST)          \
    X(X_REQUEST_ID, "x-request-id", 'x', FIRST)               \
    X(X_FORWARDED_FOR, "x-forwarded-for", 'x', LIST)          \
    X(PREFER, "prefer", 'p', LIST)                            \
    X(EXPECT, "expect", 'e', LIST)                            \
    X(CONNECTION, "connection", 'c', LIST)                    \
    X(USER_AGENT, "user-agent", 'u', FIRST)                   \
    X(LAST_EVENT_ID, "last-event-id", 'l', FIRST)
typedef enum http_known {
#define HTTP_KNOWN_ENUM(id, text, letter, repeated) HTTP_H_##id,
    HTTP_KNOWN(HTTP_KNOWN_ENUM)
#undef HTTP_KNOWN_ENUM
        HTTP_KNOWN_COUNT
} http_known;

typedef struct http_header {
    str name, value; /* the name as sent; the value trimmed */
} http_header;

struct http_request {
    http_method method;      /* HEAD is given as HEAD: reply as to GET, the body is left out */
    str target;              /* as sent */
    str path, query;         /* target cut at the first '?', still encoded; query null when there is no '?' */
    const http_header *headers;
    size_t n_headers;
    str known[HTTP_KNOWN_COUNT]; /* null when absent; a repeated one is joined with ", " where RFC 9110 5.3 allows it */
    str body;
    str request_id;          /* the client's if sane (1..128 of [A-Za-z0-9._-]), else made here */
    net_addr peer;           /* of the socket; see access.h for the client behind a proxy */
    const net_listen *listener;
    int64_t started_ns;      /* mono, when its first byte was seen */
    arena *arena;            /* the request's memory */
    buf *out;                /* empty: a place to write the reply's body into */
    bool gone;               /* the client has left: http_reply still must be called, and does nothing */
    void (*on_gone)(http_request *req); /* the handler's, optional: called once, when that happens */
    void *user;              /* the handler's */
};
static inline str http_header_of(const http_request *req, http_known h)
{
    return req->known[h];
}

typedef struct http_reply {
    int status;
    str content_type;  /* null with an empty body */
    str body;          /* copied or sent before http_reply returns, or in req->out or req->arena, which stay */
    str headers;       /* further lines, each "Name: value\r\n" */
    str etag;          /* opaque text without quotes; null for none. Sent as a strong validator; a compressed body gets its own */
    bool close;        /* end the connection after it */
    bool no_compress;
} http_reply;
/* Exactly once per request (REQUIREd). Frames it with Date, Content-Length, Connection, X-Request-ID, Vary, ETag,
 * Content-Encoding: gzip when accepted and worth it (1 KiB and more; over 64 KiB it is compressed on a worker). */
void http_reply_send(http_request *req, const http_reply *r);
/* A request whose reply comes later: call before on_request returns; moves its texts out of the read buffer. -ENOMEM: reply
 * now instead. */
int http_request_defer(http_request *req);
/* If-None-Match names this etag, or its compressed sister, or is "*" (RFC 9110 section 13.1.2). */
bool http_etag_matches(const http_request *req, str etag);
/* The path's text for status, e.g. "Not Found". */
const char *http_status_text(int status);

typedef struct http_hooks {
    void *arg;
    /* After the head, before the body: 0, or the status to refuse with. *ret_max_body: the body cap of this request (comes in
     * as options.max_body_bytes). Only method, target, path, query, headers are set. */
    int (*on_head)(void *arg, http_request *req, size_t *ret_max_body);
    void (*on_request)(void *arg, http_request *req);
    /* Writes the error body for `path` and gives its content type. */
    str (*error_body)(void *arg, str path, int status, str text, buf *out);
    /* After a reply was handed to the socket or dropped: for the access log and metrics. req is null for refusals without one. */
    void (*on_replied)(void *arg, http_request *req, int status, size_t body_bytes);
} http_hooks;

typedef struct http_options { /* may change while serving: http_server_set_options */
    size_t max_header_bytes, max_body_bytes;
    int64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms, write_timeout_ms;
    size_t max_connections;
    size_t max_buffered;  /* bytes of replies waiting in all connections together; past it requests are answered 503 */
} http_options;

int http_server_new(loop *l, const http_options *o, const http_hooks *hooks, http_server **ret_server);
void http_server_set_options(http_server *s, const http_options *o);
/* Starts to listen; *ret_url gets "http://127.0.0.1:41234" or "unix:PATH" (arena). -EADDRINUSE, -EACCES, ... */
int http_server_listen(http_server *s, const net_listen *where, arena *a, str *ret_url);
/* No new connections; idle ones close, replies say Connection: close; drained(arg) when none is left. */
void http_server_drain(http_server *s, void (*drained)(void *arg), void *arg);
void http_server_cut(http_server *s);  /* closes all connections now; drained still comes */
void http_server_free(http_server *s); /* after drained */

typedef struct http_stats {
    uint64_t connections, accepted, refused_connections, requests, bad_requests, timeouts;
    uint64_t buffered_bytes, bytes_in, bytes_out;
} http_stats;
const http_stats *http_stats_of(const http_server *s);

#endif
