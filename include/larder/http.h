/* http: an HTTP/1.1 and 1.0 server (RFC 9110, 9112) over net's listeners.
 *
 * A connection reads, parses (llhttp, strict, and our own checks on top), hands each whole request to on_request
 * and takes exactly one reply for it, at once or later. Requests of one connection are served one after the other:
 * while one waits for its reply nothing more is parsed or read. That is the backpressure, and the order of
 * pipelining. Replies to the requests of one read leave in one write.
 *
 * Refusals by this room (400, 408, 413, 414, 417, 431, 501, 503, 505) carry the body that `error_body` makes, so
 * that they have the shape of the family the path belongs to; then the connection closes. Chunk extensions and trailers
 * are checked and dropped; of extensions, a quoted value with a backslash in it is refused (llhttp 8.1 knows none).
 *
 * Memory: a request and all it points to live until its reply has been given; within on_request until that returns,
 * too. Texts of a request answered within on_request point into the read buffer, which all connections share: headers,
 * a key among them, stay in it until the next read. An idle connection holds under 1
 * KiB. A reply to a client that has gone is no error: http_reply_send drops it. */
#ifndef LARDER_HTTP_H
#define LARDER_HTTP_H

#include "larder/loop.h"
#include "larder/net.h"

typedef struct http_server http_server;
typedef struct http_request http_request;

typedef enum http_method {
    HTTP_M_GET,
    HTTP_M_HEAD,
    HTTP_M_POST,
    HTTP_M_PUT,
    HTTP_M_PATCH,
    HTTP_M_DELETE,
    HTTP_M_OPTIONS,
    HTTP_M_OTHER /* known to HTTP, but nobody's row */
} http_method;
#define HTTP_METHODS HTTP_M_OTHER
const char *http_method_name(http_method m);

/* Headers that Larder reads, found by http_header_of in one load. To add one: a row here. The letter is the name's
 * first: length and first letter together must be unlike those of every other row (the compiler says so), and the
 * name at least 4 long. What a repeated one means: ONE refuses the request, LIST joins the values with ", " (RFC
 * 9110 section 5.3), FIRST takes the first. */
/* clang-format off */
#define HTTP_KNOWN(X)                                         \
    X(HOST, "host", 'h', ONE)                                 \
    X(CONTENT_TYPE, "content-type", 'c', ONE)                 \
    X(CONTENT_LENGTH, "content-length", 'c', ONE)             \
    X(CONTENT_ENCODING, "content-encoding", 'c', LIST)        \
    X(TRANSFER_ENCODING, "transfer-encoding", 't', ONE)       \
    X(AUTHORIZATION, "authorization", 'a', ONE)               \
    X(X_API_KEY, "x-api-key", 'x', ONE)                       \
    X(IF_NONE_MATCH, "if-none-match", 'i', LIST)              \
    X(IF_MATCH, "if-match", 'i', LIST)                        \
    X(ACCEPT_ENCODING, "accept-encoding", 'a', LIST)          \
    X(X_REQUEST_ID, "x-request-id", 'x', FIRST)               \
    X(X_FORWARDED_FOR, "x-forwarded-for", 'x', LIST)          \
    X(PREFER, "prefer", 'p', LIST)                            \
    X(ORIGIN, "origin", 'o', ONE)                             \
    X(EXPECT, "expect", 'e', LIST)                            \
    X(CONNECTION, "connection", 'c', LIST)                    \
    X(USER_AGENT, "user-agent", 'u', FIRST)                   \
    X(LAST_EVENT_ID, "last-event-id", 'l', FIRST)
/* clang-format on */
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
    http_method method; /* HEAD is given as HEAD: reply as to GET, the body is left out */
    str target;         /* as sent: printable ASCII without '#' */
    str path, query;    /* target cut at the first '?', still encoded; path: "/..." or "*"; query: null without '?' */
    const http_header *headers;
    size_t n_headers;
    str known[HTTP_KNOWN_COUNT]; /* null when absent */
    str body;                    /* null when there is none */
    str request_id;              /* the client's if sane (1..128 of [A-Za-z0-9._-]), else made here */
    net_addr peer;               /* of the socket; see access.h for the client behind a proxy */
    const net_listen *listener;
    int64_t started_ns; /* mono, when its first byte was read */
    arena *arena;       /* the request's memory */
    buf *out;           /* empty: a place to write the reply's body into */
    /* The client of a deferred request has left, or has at least closed its sending side. The reply is still due; it is
     * sent if the other side can take it, else dropped. */
    bool gone;
    void (*on_gone)(http_request *req); /* the handler's, optional: called once, when that happens; may reply */
    void (*on_writable)(http_request *req); /* of a stream: it takes bytes again */
    void *user;                         /* the handler's */
    bool has_secret;                    /* the handler's: what is left of body and arena at the end is zeros */
    str refusal;                        /* on_head's: header lines of its refusal, "Name: value\r\n" each */
    const char *refusal_text;           /* the same, for people; NULL: the status's own */
};
static inline str http_header_of(const http_request *req, http_known h)
{
    return req->known[h];
}

typedef struct http_reply {
    int status;       /* 200 and above */
    str content_type; /* null with an empty body */
    str body;         /* may be that of req->out; others are copied or sent before http_reply_send returns */
    str headers;      /* further lines, each "Name: value\r\n" */
    str etag;         /* opaque text without quotes; null for none. A strong validator; a gzip'd body has "<etag>-gz" */
    bool close;       /* end the connection after it */
    bool no_compress;
} http_reply;
/* Exactly once per request (REQUIREd). Frames it with Date, X-Request-ID, Content-Length, Connection, ETag, Vary
 * and Content-Encoding: gzip when accepted and worth it (text or JSON of 1 KiB and more; over 64 KiB on a worker).
 * 204 and 304 have no body. */
void http_reply_send(http_request *req, const http_reply *r);
/* A request whose reply comes later: call before on_request returns; moves its texts out of the read buffer, so
 * pointers to them taken before are stale. -ENOMEM: reply now instead. */
int http_request_defer(http_request *req);
/* ---- streams: replies whose body goes on for as long as the client stays ----
 * For a deferred request, instead of http_reply_send: the head leaves now, bytes follow whenever there are some, and
 * the end of the body is the end of the connection, which serves no further request. Never compressed; of `r` only
 * status, type and headers count. Nothing is awaited of the client but that it takes what is sent: one that takes
 * nothing for write_timeout_ms is cut off. At most what one http_stream_send gave waits here: more is refused with
 * -EAGAIN until on_writable.
 *
 * on_gone means that the client has left or the server drains: end the stream. Both functions return -EPIPE where they
 * find it so, without calling on_gone. on_replied comes with the head. To HEAD no bytes are sent. */
int http_stream_begin(http_request *req, const http_reply *r);
int http_stream_send(http_request *req, str bytes);
void http_stream_end(http_request *req); /* exactly once after http_stream_begin, whatever that returned */

bool http_accepts_gzip(str accept_encoding); /* null: no */
/* If-None-Match names this etag, or its compressed sister, or is "*" (RFC 9110 section 13.1.2). */
bool http_etag_matches(const http_request *req, str etag);
/* The standard's text for a status, e.g. "Not Found". */
const char *http_status_text(int status);

typedef struct http_hooks {
    void *arg;
    /* Optional. After the head of a request that announces a body, before the body: 0, or the status to refuse with.
     * *ret_max_body: the body cap of this request, comes in as options.max_body_bytes. req->body is not there yet. */
    int (*on_head)(void *arg, http_request *req, size_t *ret_max_body);
    void (*on_request)(void *arg, http_request *req);
    /* Writes the error body for `path` (null where it isn't known) and gives its content type. */
    str (*error_body)(void *arg, str path, int status, str text, buf *out);
    /* Optional. After a reply was handed to the socket or dropped: for the access log and metrics. req is null for
     * refusals of what was no request. */
    void (*on_replied)(void *arg, http_request *req, int status, size_t body_bytes);
} http_hooks;

typedef struct http_options { /* may change while serving: http_server_set_options */
    size_t max_header_bytes;  /* request line and headers; of connections made from now on */
    size_t max_body_bytes;
    int64_t header_timeout_ms; /* from the first byte to the end of the head */
    int64_t body_timeout_ms;   /* without a byte of it, or for a body slower than 1000 bytes per second */
    int64_t idle_timeout_ms;   /* between requests, and before the first: closed without a word */
    int64_t write_timeout_ms;  /* without the client taking a byte */
    size_t max_connections; /* more are told so (503); those whose last reply is out don't count */
    /* Bytes that wait in the buffers of all connections together, unsent or unparsed: while there are more, requests
     * that come are refused with 503. What waits already stays, and what deferred requests hold does not count. */
    size_t max_buffered;
} http_options;

int http_server_new(loop *l, const http_options *o, const http_hooks *hooks, http_server **ret_server); /* -ENOMEM */
void http_server_set_options(http_server *s, const http_options *o);
/* Starts to listen; *ret_url gets "http://127.0.0.1:41234" or "unix:PATH" (arena). -EADDRINUSE, -EACCES, -ENOMEM,
 * ... */
int http_server_listen(http_server *s, const net_listen *where, arena *a, str *ret_url);
/* No new connections; idle ones close, replies say Connection: close; drained(arg) when no connection and no deferred
 * request is left, never before this returns. Once. */
void http_server_drain(http_server *s, void (*drained)(void *arg), void *arg);
void http_server_cut(http_server *s);  /* after drain: closes all connections now; drained still comes */
void http_server_free(http_server *s); /* after drained, or when nothing was ever listened on; NULL is fine */

typedef struct http_stats {
    uint64_t connections, accepted, refused_connections, requests, bad_requests, timeouts;
    uint64_t buffered_bytes, bytes_in, bytes_out;
    uint64_t failed_accepts; /* for want of descriptors or memory: clients wait in the kernel's queue */
    int accept_error;        /* why, the last time */
} http_stats;
const http_stats *http_stats_of(const http_server *s);

#endif
