/* The happy path: a piece holds a whole request. START skips to it, HEAD runs llhttp once and points at the head;
 * without a body that is all. With one, BODY points at it, or collects it where chunks or pieces cut it.
 *
 * llhttp is used without callbacks for the texts of the head: head.c takes the whole head apart itself, line by
 * line, and by that refuses what llhttp allows (folded lines, bare LF, empty names). Only a trailer section has to
 * be checked here, for it is dropped unseen.
 *
 * llhttp 8.1 takes no tab behind a framing header's value, where RFC 9110 section 5.5 allows one: parse_head helps. It
 * knows no blanks around a chunk extension's semicolon and no backslash in its quoted value either, which stay refused:
 * nobody sends such. */
#include "parse.h"

static const char OTHER_VERSION[] = "only HTTP/1.1 and HTTP/1.0 are spoken here";

#define MAX_BLANK 8 /* bytes of empty lines before a request line: more is not a mistake but an attack */

static http_parser *parser_of(llhttp_t *ll)
{
    return CONTAINER_OF(ll, http_parser, ll);
}

static int refuse(http_parser *ps, unsigned status, const char *why)
{
    ps->status = (uint16_t)status;
    ps->why = why;
    return HPE_USER;
}

/* ---- llhttp's callbacks ---- */

static int on_headers_complete(llhttp_t *ll)
{
    ll->upgrade = 0; /* Upgrade is ignored: what follows is HTTP */
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *ll)
{
    http_parser *ps = parser_of(ll);
    if (ll->content_length == 0) {
        ps->last_chunk = true;
        return HPE_PAUSED;
    }
    size_t have = ps->collected.n ? ps->collected.n : ps->body.n;
    if (ll->content_length > ps->max_body - have)
        return refuse(ps, 413, "the body is larger than allowed");
    return 0;
}

static int on_chunk_extension(llhttp_t *ll, const char *at, size_t n)
{
    (void)at;
    http_parser *ps = parser_of(ll);
    ps->n += n;
    return ps->n > HTTP_MAX_CHUNK_EXTENSIONS ? refuse(ps, 400, "chunk extensions are too long") : 0;
}

static int on_chunk_extension_name(llhttp_t *ll, const char *at, size_t n)
{
    parser_of(ll)->named |= n > 0;
    return on_chunk_extension(ll, at, n);
}

/* llhttp takes ";=value". (And it takes ";" without anything behind, of which we don't hear.) */
static int on_chunk_extension_name_complete(llhttp_t *ll)
{
    http_parser *ps = parser_of(ll);
    const bool named = ps->named;
    ps->named = false;
    return named ? 0 : refuse(ps, 400, "a chunk extension has no name");
}

static int collect(http_parser *ps, str more)
{
    buf_str(&ps->collected, more);
    return ps->collected.err ? refuse(ps, 503, "out of memory") : 0;
}

/* The body stays where it is while it is one piece; the second piece makes it collected. */
static int keep_body(http_parser *ps)
{
    int r = ps->collected.n == 0 && ps->body.n > 0 ? collect(ps, ps->body) : 0;
    ps->body = STR_NULL;
    return r;
}

static int on_body(llhttp_t *ll, const char *at, size_t n)
{
    http_parser *ps = parser_of(ll);
    if (ps->collected.n == 0 && ps->body.n == 0) {
        ps->body = str_of(at, n);
        return 0;
    }
    int r = keep_body(ps);
    return r ? r : collect(ps, str_of(at, n));
}

static int on_message_complete(llhttp_t *ll)
{
    (void)ll;
    return HPE_PAUSED;
}

static const llhttp_settings_t SETTINGS = {
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_chunk_extension_name = on_chunk_extension_name,
    .on_chunk_extension_name_complete = on_chunk_extension_name_complete,
    .on_chunk_extension_value = on_chunk_extension,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- results ---- */

static http_parsed bad(http_parser *ps, unsigned status, const char *why)
{
    refuse(ps, status, why);
    return PARSED_BAD;
}

/* A version like "HTTP/3.1", which is none of ours; other refusals of a version mean that it is malformed. */
static bool is_other_version(const llhttp_t *ll)
{
    return strcmp(llhttp_get_error_reason(ll), "Invalid HTTP version") == 0;
}

/* What llhttp's refusal means. `first` is the first byte of the request. */
static http_parsed bad_syntax(http_parser *ps, llhttp_errno_t err, char first)
{
    switch (err) {
    case HPE_USER: /* one of our callbacks has said it */
    case HPE_CB_CHUNK_HEADER:
    case HPE_CB_CHUNK_EXTENSION_NAME_COMPLETE:
        return PARSED_BAD;
    case HPE_INVALID_METHOD:
        return first >= 'A' && first <= 'Z' ? bad(ps, 501, "no such method is known here")
                                            : bad(ps, 400, "this is not an HTTP request");
    case HPE_PAUSED_H2_UPGRADE:
        return bad(ps, 505, OTHER_VERSION);
    case HPE_INVALID_VERSION:
        return is_other_version(&ps->ll) ? bad(ps, 505, OTHER_VERSION) : bad(ps, 400, "the HTTP version is malformed");
    case HPE_INVALID_CONSTANT:
        return bad(ps, 400, "the request line is malformed");
    case HPE_INVALID_URL:
        return bad(ps, 400, "the request target is malformed");
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return bad(ps, 400, "Content-Length is repeated, or stands beside Transfer-Encoding");
    case HPE_INVALID_CONTENT_LENGTH:
        return bad(ps, 400, "Content-Length is not a number");
    case HPE_INVALID_TRANSFER_ENCODING:
        return bad(ps, 400, "Transfer-Encoding does not end with chunked");
    case HPE_INVALID_CHUNK_SIZE:
        return bad(ps, 400, "a chunk's size is malformed");
    default:
        return bad(ps, 400, ps->phase == PARSE_HEAD ? "a header line is malformed" : "the body is malformed");
    }
}

static void start_over(http_parser *ps)
{
    llhttp_init(&ps->ll, HTTP_REQUEST, &SETTINGS);
    ps->phase = PARSE_START;
    ps->last_chunk = false;
    ps->blank = 0;
    ps->n = 0;
}

void http_parser_init(http_parser *ps, size_t max_head)
{
    memset(ps, 0, sizeof(*ps));
    ps->max_head = max_head;
    start_over(ps);
}

void http_parser_done(http_parser *ps)
{
    buf_done(&ps->stash);
    buf_done(&ps->collected);
}

/* ---- the head ---- */

/* Skips empty lines; true when a request line begins at p[*at]. */
static bool skip_blank(http_parser *ps, const char *p, size_t n, size_t *at)
{
    while (*at < n && ps->blank < MAX_BLANK && p[*at] == "\r\n"[ps->blank & 1]) {
        ps->blank++;
        ++*at;
    }
    return *at < n;
}

static http_parsed too_long(http_parser *ps, str head)
{
    return str_chr(head, '\n') < 0 ? bad(ps, 414, "the request target is too long")
                                   : bad(ps, 431, "the header section is too large");
}

/* llhttp stumbled over a tab behind Content-Length's digits: true when blanks stand for it and what follows it in the
 * stash, where the head is now, and it is to be parsed again. -ENOMEM shows in the stash. */
static bool blank_out_tabs(http_parser *ps, str head)
{
    size_t at = (size_t)(llhttp_get_error_pos(&ps->ll) - head.p);
    if (at >= head.n || head.p[at] != '\t')
        return false;
    if (head.p != ps->stash.p) {
        buf_reset(&ps->stash);
        buf_str(&ps->stash, head);
    }
    for (; at < ps->stash.n && (ps->stash.p[at] == '\t' || ps->stash.p[at] == ' '); at++)
        ps->stash.p[at] = ' ';
    llhttp_init(&ps->ll, HTTP_REQUEST, &SETTINGS);
    return true;
}

static http_parsed parse_head(http_parser *ps, const char *p, size_t n, size_t *ret_used)
{
    size_t take = n < ps->max_head - ps->n ? n : ps->max_head - ps->n;
    const char *head = p;
    if (ps->n > 0) { /* its beginning came earlier */
        buf_put(&ps->stash, p, take);
        if (ps->stash.err)
            return bad(ps, 503, "out of memory");
        head = ps->stash.p;
    }
    llhttp_errno_t err = llhttp_execute(&ps->ll, head + ps->n, take);
    if (err == HPE_INVALID_CONTENT_LENGTH && blank_out_tabs(ps, str_of(head, ps->n + take))) {
        if (ps->stash.err)
            return bad(ps, 503, "out of memory");
        head = ps->stash.p;
        err = llhttp_execute(&ps->ll, head, ps->n + take);
    }
    if (err == HPE_PAUSED) {
        if (ps->ll.flags & F_TRANSFER_ENCODING) /* head.c takes no coding but chunked; llhttp misses it before a tab */
            ps->ll.flags |= F_CHUNKED;
        *ret_used = (size_t)(llhttp_get_error_pos(&ps->ll) - head) - ps->n;
        ps->n += *ret_used;
        ps->head = str_of(head, ps->n);
        return PARSED_HEAD;
    }
    if (err != HPE_OK)
        return bad_syntax(ps, err, head[0]);

    *ret_used = take;
    if (ps->n + take == ps->max_head)
        return too_long(ps, str_of(head, ps->max_head));
    if (head != ps->stash.p) {
        buf_reset(&ps->stash);
        buf_put(&ps->stash, p, take);
        if (ps->stash.err)
            return bad(ps, 503, "out of memory");
    }
    ps->n += take;
    return PARSED_MORE;
}

/* ---- the body ---- */

bool http_parse_body(http_parser *ps, size_t max_body)
{
    ps->body = STR_NULL;
    buf_reset(&ps->collected);
    if (!http_parse_has_body(ps)) {
        start_over(ps);
        return false;
    }
    llhttp_resume(&ps->ll);
    ps->max_body = max_body;
    ps->n = 0;
    ps->phase = PARSE_BODY;
    return true;
}

static http_parsed end_body(http_parser *ps)
{
    if (ps->collected.n > 0)
        ps->body = buf_view(&ps->collected);
    start_over(ps);
    return PARSED_REQUEST;
}

/* Trailers are dropped, but must be lines that every reader takes for the same lines. */
static bool trailer_lines_are_sound(http_parser *ps, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = p[i], before = ps->last;
        ps->last = c;
        if ((c == '\n') != (before == '\r'))
            return false;
        if (before == '\n' && (c == ' ' || c == '\t' || c == ':'))
            return false;
    }
    return true;
}

static http_parsed parse_trailers(http_parser *ps, const char *p, size_t n, size_t *ret_used)
{
    size_t take = n <= ps->max_head - ps->n ? n : ps->max_head - ps->n + 1; /* one more than allowed tells */
    llhttp_errno_t err = llhttp_execute(&ps->ll, p, take);
    if (err != HPE_OK && err != HPE_PAUSED)
        return bad_syntax(ps, err, 0);
    *ret_used = err == HPE_PAUSED ? (size_t)(llhttp_get_error_pos(&ps->ll) - p) : take;
    ps->n += *ret_used;
    if (!trailer_lines_are_sound(ps, p, *ret_used))
        return bad(ps, 400, "a trailer line is malformed");
    if (ps->n > ps->max_head)
        return bad(ps, 431, "the trailer section is too large");
    return err == HPE_PAUSED ? end_body(ps) : PARSED_MORE;
}

static http_parsed parse_body(http_parser *ps, const char *p, size_t n, size_t *ret_used)
{
    llhttp_errno_t err = llhttp_execute(&ps->ll, p, n);
    if (err == HPE_OK) {
        *ret_used = n;
        return keep_body(ps) ? PARSED_BAD : PARSED_MORE;
    }
    if (err != HPE_PAUSED)
        return bad_syntax(ps, err, 0);
    *ret_used = (size_t)(llhttp_get_error_pos(&ps->ll) - p);
    if (!ps->last_chunk)
        return end_body(ps);

    llhttp_resume(&ps->ll); /* behind the line of the last chunk */
    ps->phase = PARSE_TRAILERS;
    ps->last = '\n';
    ps->n = 0;
    size_t more = 0;
    http_parsed step = *ret_used < n ? parse_trailers(ps, p + *ret_used, n - *ret_used, &more) : PARSED_MORE;
    *ret_used += more;
    return step == PARSED_MORE && keep_body(ps) ? PARSED_BAD : step;
}

http_parsed http_parse(http_parser *ps, const char *p, size_t n, size_t *ret_used)
{
    size_t at = 0, used = 0;
    http_parsed step = PARSED_MORE;
    switch (ps->phase) {
    case PARSE_START:
        if (!skip_blank(ps, p, n, &at))
            break;
        if (ps->blank & 1 || p[at] == '\r' || p[at] == '\n') {
            step = bad(ps, 400, "empty lines instead of a request line");
            break;
        }
        ps->phase = PARSE_HEAD;
        /* fall through */
    case PARSE_HEAD:
        step = parse_head(ps, p + at, n - at, &used);
        break;
    case PARSE_BODY:
        step = parse_body(ps, p, n, &used);
        break;
    case PARSE_TRAILERS:
        step = parse_trailers(ps, p, n, &used);
        break;
    }
    *ret_used = at + used;
    return step;
}
