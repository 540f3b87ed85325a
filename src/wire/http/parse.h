/* parse: bytes in, requests out; no sockets. llhttp finds where a message's parts begin and end and refuses most of
 * what is malformed; this layer keeps the head in one piece, counts against the limits, collects the body, and
 * checks what llhttp lets pass. The same bytes give the same requests and refusals however they are cut into
 * pieces.
 *
 *     http_parse(ps, p, n, &used) -> PARSED_MORE     all bytes are used, the request isn't complete
 *                                    PARSED_HEAD     ps->head is complete: take it apart (head.h), then call
 *                                                    http_parse_body, which says whether a body follows
 *                                    PARSED_REQUEST  ps->body is complete; the parser is ready for the next request
 *                                    PARSED_BAD      ps->status and ps->why; nothing more can be parsed
 *
 * ps->head and ps->body point into the piece where they lie in it whole, else into the parser's memory. */
#ifndef LARDER_HTTP_PARSE_H
#define LARDER_HTTP_PARSE_H

#include <llhttp.h>

#include "larder/base.h"

#define HTTP_MAX_CHUNK_EXTENSIONS 4096 /* bytes of a body's chunk extensions, which nobody reads */

typedef enum http_parsed { PARSED_MORE, PARSED_HEAD, PARSED_REQUEST, PARSED_BAD } http_parsed;

typedef struct http_parser {
    llhttp_t ll;
    enum { PARSE_START, PARSE_HEAD, PARSE_BODY, PARSE_TRAILERS } phase;
    bool last_chunk; /* llhttp paused behind the last chunk's line, not at the end */
    uint8_t blank;   /* bytes of empty lines before the request line */
    char last;       /* the byte before, in trailers */
    uint16_t status;
    const char *why;
    size_t max_head, max_body; /* bytes */
    bool named;                /* the chunk extension has a name */
    size_t n;                  /* bytes of the head so far; in a body, of chunk extensions and trailers */
    str head, body;            /* body: null when there is none */
    buf stash;                 /* a head that came in pieces */
    buf collected;             /* a body that did; after PARSED_REQUEST the caller may take it */
} http_parser;

void http_parser_init(http_parser *ps, size_t max_head);
void http_parser_done(http_parser *ps); /* may be used again after it, when no request is under way */
http_parsed http_parse(http_parser *ps, const char *p, size_t n, size_t *ret_used);
/* After PARSED_HEAD: true when the body is to be parsed, at most max_body bytes of it; false: the request is
 * complete. */
bool http_parse_body(http_parser *ps, size_t max_body);

/* After PARSED_HEAD. */
static inline bool http_parse_has_body(const http_parser *ps)
{
    return (ps->ll.flags & F_CHUNKED) || ps->ll.content_length > 0;
}
static inline uint64_t http_parse_content_length(const http_parser *ps) /* 0 for chunked bodies */
{
    return (ps->ll.flags & F_CHUNKED) ? 0 : ps->ll.content_length;
}

#endif
