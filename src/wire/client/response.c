/* See response.h. The parser's callbacks only note what they saw; the parser pauses at each piece of the body and at
 * the end of the message, and the events are given out from the notes. */
#include "response.h"

static int fail(response *r, int err, const char *why)
{
    if (r->err == 0) {
        r->err = err;
        r->why = err == -ENOMEM ? "out of memory" : why;
    }
    return r->err;
}

/* For llhttp, which wants its own number. */
static int stop(response *r, int err, const char *why)
{
    fail(r, err, why);
    return HPE_USER;
}

static response *of(llhttp_t *parser)
{
    return parser->data;
}

/* ---- head ---- */

static int on_message_begin(llhttp_t *parser)
{
    response *r = of(parser);
    buf_reset(&r->text);
    r->n_spans = 0;
    r->in_header = r->interim = false;
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *p, size_t n)
{
    response *r = of(parser);
    if (r->has_head) { /* a trailer */
        r->head_bytes += n;
        return 0;
    }
    if (!r->in_header) {
        if (r->n_spans == RESPONSE_HEADERS_MAX)
            return stop(r, -EMSGSIZE, "too many headers");
        r->spans[r->n_spans++].name = (uint32_t)r->text.n;
        r->in_header = true;
    }
    buf_put(&r->text, p, n);
    return 0;
}

static int on_header_field_complete(llhttp_t *parser)
{
    response *r = of(parser);
    if (r->has_head)
        return 0;
    bool is_empty = r->in_header && r->spans[r->n_spans - 1].name == r->text.n;
    if (!r->in_header || (is_empty && r->text.err == 0))
        return stop(r, -EPROTO, "a header without a name");
    r->spans[r->n_spans - 1].value = (uint32_t)r->text.n;
    return 0;
}

/* A folded value (RFC 9112 section 5.2) comes in parts without its line ends, and so becomes one line again. */
static int on_header_value(llhttp_t *parser, const char *p, size_t n)
{
    response *r = of(parser);
    if (r->has_head)
        r->head_bytes += n;
    else
        buf_put(&r->text, p, n);
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    response *r = of(parser);
    if (r->has_head)
        return 0;
    r->spans[r->n_spans - 1].end = (uint32_t)r->text.n;
    r->in_header = false;
    return 0;
}

static int keep_headers(response *r)
{
    str text = arena_dup(r->arena, buf_view(&r->text));
    client_header *headers = arena_array(r->arena, client_header, r->n_spans);
    if (r->text.err < 0 || (!text.p && r->text.n > 0) || !headers)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_spans; i++) {
        const struct response_span *s = &r->spans[i];
        str value = str_of(text.p + s->value, s->end - s->value);
        headers[i] = (client_header){str_of(text.p + s->name, s->value - s->name), str_trim(value)};
    }
    r->headers = headers;
    r->n_headers = r->n_spans;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    response *r = of(parser);
    r->interim = parser->status_code >= 100 && parser->status_code < 200;
    if (parser->http_major != 1)
        return stop(r, -EPROTO, "not HTTP/1");
    if (parser->status_code == 101)
        return stop(r, -EPROTO, "a change of protocol nobody asked for");
    if (r->interim)
        return 0;
    if (parser->status_code < 200 || parser->status_code > 999)
        return stop(r, -EPROTO, "bad status");
    if (keep_headers(r) < 0)
        return stop(r, -ENOMEM, NULL);
    str coding = client_response_header(r, "transfer-encoding");
    if (coding.p && !str_eq_nocase(coding, STR("chunked")))
        return stop(r, -EPROTO, "unknown transfer encoding");

    r->status = parser->status_code;
    r->has_head = true;
    if (parser->flags & F_CONTENT_LENGTH)
        r->content_length = parser->content_length;
    return r->to_head || r->status == 204 || r->status == 304; /* 1: no body follows, whatever the headers say */
}

/* ---- body ---- */

static int on_body(llhttp_t *parser, const char *p, size_t n)
{
    response *r = of(parser);
    if (n == 0) /* asked without input whether it goes on */
        return 0;
    r->raw = str_of(p, n);
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
    response *r = of(parser);
    if (r->interim)
        return 0;
    r->keep_alive = llhttp_should_keep_alive(parser) != 0;
    r->ended = true;
    return HPE_PAUSED;
}

static int begin_body(response *r)
{
    str coding = r->decode ? client_response_header(r, "content-encoding") : STR_NULL;
    int e = client_decoder_new(coding, &r->decoder);
    if (e < 0)
        return fail(r, e == -ENOTSUP ? -EPROTO : e, "a content encoding nobody asked for");
    if (!r->decoder && r->content_length > r->max_body)
        return fail(r, -EFBIG, "the body is too large");
    r->body_begun = true;
    return 0;
}

/* Cuts the next piece off `raw`. May leave it empty, where the decoder has no output yet. */
static int take_piece(response *r)
{
    int e = r->body_begun ? 0 : begin_body(r);
    if (e < 0)
        return e;
    if (r->decoder) {
        e = client_decoder_run(r->decoder, &r->raw, &r->piece);
        if (e < 0)
            return fail(r, e, "the compressed body is damaged");
    } else {
        r->piece = r->raw;
        r->raw = STR_NULL;
    }
    if (r->piece.n > r->max_body - r->body_bytes)
        return fail(r, -EFBIG, "the body is too large");
    r->body_bytes += r->piece.n;
    return 0;
}

/* ---- events ---- */

void client_response_init(response *r, arena *a, bool to_head, size_t max_head, size_t max_body)
{
    static const llhttp_settings_t settings = {
        .on_message_begin = on_message_begin,
        .on_header_field = on_header_field,
        .on_header_field_complete = on_header_field_complete,
        .on_header_value = on_header_value,
        .on_header_value_complete = on_header_value_complete,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
    };
    *r = (response){.arena = a, .to_head = to_head, .decode = true, .max_head = max_head, .max_body = max_body};
    llhttp_init(&r->parser, HTTP_RESPONSE, &settings);
    r->parser.data = r;
}

void client_response_done(response *r)
{
    client_decoder_free(r->decoder);
    buf_done(&r->text);
    r->decoder = NULL;
}

static int parse(response *r, str *input)
{
    if (r->parser.error == HPE_PAUSED)
        llhttp_resume(&r->parser);
    bool in_head = !r->has_head;
    llhttp_errno_t e = llhttp_execute(&r->parser, input->p, input->n);
    size_t used = e == HPE_OK ? input->n : (size_t)(llhttp_get_error_pos(&r->parser) - input->p);
    if (r->err < 0)
        return r->err;
    if (e != HPE_OK && e != HPE_PAUSED)
        return fail(r, -EPROTO, llhttp_get_error_reason(&r->parser));
    if (r->text.err < 0)
        return fail(r, -ENOMEM, NULL);
    *input = str_from(*input, used);
    if (in_head)
        r->head_bytes += used - r->raw.n;
    if (r->head_bytes > r->max_head)
        return fail(r, -EMSGSIZE, "the headers are too large");
    return 0;
}

static int end(response *r)
{
    if (r->decoder && !client_decoder_is_complete(r->decoder))
        return fail(r, -EPROTO, "the compressed body ends too early");
    return RESPONSE_END;
}

int client_response_next(response *r, str *input)
{
    r->piece = STR_NULL;
    for (;;) {
        if (r->has_head && !r->told_head) { /* also when something behind it was wrong */
            r->told_head = true;
            return RESPONSE_HEAD;
        }
        if (r->err < 0)
            return r->err;
        if (r->raw.n > 0 || (r->decoder && r->body_begun)) {
            int e = take_piece(r);
            if (e < 0 || r->piece.n > 0)
                return e < 0 ? e : RESPONSE_PIECE;
        }
        if (r->ended)
            return end(r);
        if (input->n == 0 && r->parser.error != HPE_PAUSED) /* paused, it may have come to the end already */
            return RESPONSE_MORE;
        parse(r, input);
    }
}

int client_response_eof(response *r)
{
    if (r->err < 0)
        return r->err;
    if (llhttp_finish(&r->parser) != HPE_OK && !r->ended)
        return fail(r, -ECONNRESET, "the connection closed in the middle of the answer");
    if (!r->ended)
        return fail(r, -ECONNRESET, "the connection closed before the answer");
    return end(r);
}

str client_header_of(const client_header *headers, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(headers[i].name, str_c(name)))
            return headers[i].value;
    return STR_NULL;
}

str client_response_header(const response *r, const char *name)
{
    return client_header_of(r->headers, r->n_headers, name);
}
