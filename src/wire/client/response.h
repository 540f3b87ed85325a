/* One HTTP/1.x response out of a stream of bytes (RFC 9112), over llhttp and with our own checks on top. Pure: bytes go
 * in, events come out, one at a time, so that the caller stops wherever he likes; how the bytes were cut does not
 * matter.
 *
 *   for (;;) switch (client_response_next(&r, &input)) {
 *       RESPONSE_MORE   input is used up: come back with more, or client_response_eof
 *       RESPONSE_HEAD   status, headers are there; now is the time to set `decode` and `max_body` for this answer
 *       RESPONSE_PIECE  `piece` is the next part of the body, with its content coding undone
 *       RESPONSE_END    what is left of input is not part of this answer
 *   }
 *
 * Interim answers (1xx) are skipped, trailers dropped. */
#ifndef LARDER_CLIENT_RESPONSE_H
#define LARDER_CLIENT_RESPONSE_H

#include <llhttp.h>

#include "decode.h"
#include "larder/client.h"

#define RESPONSE_HEADERS_MAX 128

typedef enum response_event { RESPONSE_MORE, RESPONSE_HEAD, RESPONSE_PIECE, RESPONSE_END } response_event;

typedef struct response {
    /* in */
    bool to_head;    /* it answers a HEAD request */
    bool decode;     /* undo Content-Encoding */
    size_t max_head; /* bytes of status line, headers and trailers, interim answers included */
    size_t max_body; /* bytes of all pieces */
    /* out */
    int status;
    client_header *headers; /* in the arena */
    size_t n_headers;
    str piece;       /* until the next call */
    bool keep_alive; /* after RESPONSE_END: the connection may serve another request */
    const char *why; /* after a negative result, for people; static */

    /* its own */
    arena *arena;
    llhttp_t parser;
    struct response_span {
        uint32_t name, value, end; /* offsets in `text` */
    } spans[RESPONSE_HEADERS_MAX];
    buf text; /* names and values, one after the other */
    size_t n_spans;
    bool in_header; /* a name has begun and its value has not ended */
    bool interim;   /* the head under way is of a 1xx answer */
    bool has_head, told_head, ended;
    size_t head_bytes, body_bytes;
    uint64_t content_length; /* 0 when there is none */
    str raw;                 /* of the body, as sent, not given out yet */
    decoder *decoder;
    bool body_begun; /* the decoder, if any, is there */
    int err;
} response;

/* `a` gets the headers. */
void client_response_init(response *r, arena *a, bool to_head, size_t max_head, size_t max_body);
void client_response_done(response *r); /* zeroed, initialised or done already */
/* A response_event, or -EPROTO (no valid HTTP), -EMSGSIZE (head), -EFBIG (body past max_body), -ENOMEM. Cuts what was
 * used off *input; the body's pieces point into it: those bytes stay until the next call. */
int client_response_next(response *r, str *input);
/* The connection has ended: RESPONSE_END when the body was delimited by that, else -ECONNRESET or another error as
 * above. Only after RESPONSE_MORE. */
int client_response_eof(response *r);
str client_header_of(const client_header *headers, size_t n, const char *name); /* the first, any case; or null */
str client_response_header(const response *r, const char *name);                /* the same */

#endif
