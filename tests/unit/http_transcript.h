/* Runs bytes, in pieces, through the parser and the taking apart of heads,
    and writes down what came of it: one text to
 * compare, whoever cut the pieces. Used by unit tests and by the fuzz target. */
#ifndef LARDER_TESTS_HTTP_TRANSCRIPT_H
#define LARDER_TESTS_HTTP_TRANSCRIPT_H

#include "wire/http/head.h"
#include "wire/http/negotiate.h"
#include "wire/http/parse.h"

typedef struct http_transcript {
    buf text;
    size_t max_head, max_body;
    http_parser parser;
    arena arena;
    bool refused;
    const char *why; /* of a refusal; not in the text, for a piece may show two flaws at once */
    int requests;
} http_transcript;

static inline void transcript_begin(http_transcript *t, size_t max_head, size_t max_body)
{
    *t = (http_transcript){.max_head = max_head, .max_body = max_body};
    http_parser_init(&t->parser, max_head);
    arena_init(&t->arena, 0);
}

static inline void transcript_end(http_transcript *t)
{
    http_parser_done(&t->parser);
    arena_done(&t->arena);
    buf_done(&t->text);
}

static inline void transcript_refuse(http_transcript *t, int status, const char *why)
{
    buf_printf(&t->text, "%d\n", status);
    t->why = why;
    t->refused = true;
}

static inline void transcript_head(http_transcript *t)
{
    static const char *const KNOWN[] = {
#define KNOWN_TEXT(id, text, letter, repeated) text,
        HTTP_KNOWN(KNOWN_TEXT)
#undef KNOWN_TEXT
    };
    http_header headers[HTTP_MAX_HEADERS];
    http_request req = {.arena = &t->arena};
    req.method = t->parser.ll.method == HTTP_OPTIONS ? HTTP_M_OPTIONS : HTTP_M_GET;
    int minor = -1;
    const char *why = "";
    int status = http_head_parse(t->parser.head, &req, headers, &minor, &why);
    if (status) {
        transcript_refuse(t, status, why);
        return;
    }
    buf_printf(&t->text, "%s " STR_FMT " path=" STR_FMT " query=%s" STR_FMT " 1.%d%s\n",
               llhttp_method_name((llhttp_method_t)t->parser.ll.method), STR_ARG(req.target), STR_ARG(req.path),
               req.query.p ? "" : "null", STR_ARG(req.query), minor,
               http_head_keeps_alive(&req, minor) ? "" : " close");
    for (size_t i = 0; i < req.n_headers; i++)
        buf_printf(&t->text, "  " STR_FMT "=" STR_FMT "\n", STR_ARG(headers[i].name), STR_ARG(headers[i].value));
    for (size_t i = 0; i < HTTP_KNOWN_COUNT; i++) {
        if (req.known[i].p)
            buf_printf(&t->text, "  %s: " STR_FMT "\n", KNOWN[i], STR_ARG(req.known[i]));
    }
    if (http_accepts_gzip(req.known[HTTP_H_ACCEPT_ENCODING]))
        buf_str(&t->text, STR("  accepts gzip\n"));
    if (http_etag_matches(&req, STR("a")))
        buf_str(&t->text, STR("  has a\n"));
}

static inline void transcript_body(http_transcript *t, str body)
{
    buf_printf(&t->text, "  body %zu\n", body.n);
    buf_str(&t->text, body);
    buf_char(&t->text, '\n');
    t->requests++;
    arena_reset(&t->arena);
}

/* One piece, as from one read: it may go away when this returns. */
static inline void transcript_feed(http_transcript *t, const char *p, size_t n)
{
    size_t used;
    for (size_t at = 0; at < n && !t->refused; at += used) {
        switch (http_parse(&t->parser, p + at, n - at, &used)) {
        case PARSED_MORE:
            REQUIRE(at + used == n);
            break;
        case PARSED_HEAD:
            transcript_head(t);
            if (t->refused)
                return;
            if (http_parse_content_length(&t->parser) > t->max_body)
                transcript_refuse(t, 413, "announced");
            else if (!http_parse_body(&t->parser, t->max_body))
                transcript_body(t, STR_NULL);
            break;
        case PARSED_REQUEST:
            transcript_body(t, t->parser.body);
            break;
        case PARSED_BAD:
            transcript_refuse(t, t->parser.status, t->parser.why);
            break;
        }
    }
}

#endif
