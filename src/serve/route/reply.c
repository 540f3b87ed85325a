/* Replies: bodies, error bodies, the headers that all have. */
#include "router.h"

#include <stdio.h>

#include "larder/log.h"

/* clang-format off */
#define ERROR_DETAIL_FIELDS(X, S) \
    X(S, str, detail, REQUIRED, 0, 0, NONE, "what is wrong, in words")
SCHEMA_STRUCT(error_detail, ERROR_DETAIL_FIELDS);
SCHEMA(error_detail, ERROR_DETAIL_FIELDS, "Why a request was refused");
/* clang-format on */

void error_body_detail(json *w, int status, str text)
{
    (void)status;
    json_object(w);
    json_pair_str(w, "detail", text);
    json_end(w);
}

/* ---- headers ---- */
static void put(call *c, str text)
{
    if (!EXPECT(c->headers_n + text.n <= sizeof(c->headers)))
        return;
    memcpy(c->headers + c->headers_n, text.p, text.n);
    c->headers_n += text.n;
}

void reply_header(call *c, str name, str value)
{
    if (!EXPECT(c->headers_n + name.n + value.n + 4 <= sizeof(c->headers)))
        return;
    put(c, name);
    put(c, STR(": "));
    put(c, value);
    put(c, STR("\r\n"));
}

int reply_own_header(call *c, str name, str value)
{
    const str all = arena_join(c->arena, c->long_headers, name, STR(": "), value, STR("\r\n"));
    if (!all.p)
        return -ENOMEM;
    c->long_headers = all;
    return 0;
}

int reply_long_header(call *c, str name, str value)
{
    for (size_t i = 0; i < value.n; i++) {
        const uint8_t byte = (uint8_t)value.p[i];
        if (byte < ' ' ? byte != '\t' : byte == 127)
            return 0;
    }
    return reply_own_header(c, name, value);
}

void reply_forget_headers(call *c)
{
    c->headers_n = 0;
    c->long_headers = STR_NULL;
}

void route_header_number(call *c, str name, int64_t value)
{
    char digits[DECIMAL_MAX];

    put(c, name);
    put(c, STR(": "));
    put(c, str_of(digits, decimal_write(value < 0 ? 0 : (uint64_t)value, digits))); /* none of ours is negative */
    put(c, STR("\r\n"));
}

void route_put_limits(call *c)
{
    const access_grant *g = &c->grant;

    if (g->limit == 0)
        return;
    route_header_number(c, STR("X-RateLimit-Limit"), g->limit);
    route_header_number(c, STR("X-RateLimit-Remaining"), g->remaining);
    route_header_number(c, STR("X-RateLimit-Reset"), g->reset_s);
}

void route_open(call *c, http_reply *rep)
{
    REQUIRE(!c->replied);
    c->replied = true;
    if (c->router->in_then == c)
        c->router->in_then = NULL;
    route_put_limits(c);
    rep->headers = str_of(c->headers, c->headers_n);
    if (c->long_headers.n) {
        const str all = arena_join(c->arena, rep->headers, c->long_headers);
        if (all.p) /* without memory the reply goes without them */
            rep->headers = all;
    }
    access_leave(c->router->o.access, &c->grant);
}

void route_send(call *c, http_reply *rep)
{
    route_open(c, rep);
    http_reply_send(c->req, rep); /* a deferred call's memory is gone now */
}

/* ---- bodies ---- */
void route_send_tagged(call *c, str body)
{
    http_reply rep = {.status = 200, .content_type = STR("application/json"), .body = body, .etag = c->etag};

    if (http_etag_matches(c->req, c->etag)) /* If-None-Match: *, and here it is */
        rep = (http_reply){.status = 304, .etag = c->etag};
    route_send(c, &rep);
}

/* A later reply was read from a later snapshot: the tag stands for it only if nothing was written in
 * between. */
static bool etag_holds(call *c)
{
    const call_state *st = state_of(c);
    reply_basis now;

    return c->etag.p && (st->in_request || (route_basis(c, &now) && memcmp(&now, &st->basis, sizeof(now)) == 0));
}

static int reply_unwritten(call *c, int err)
{
    log_error("a reply could not be written", LOG_C("route", c->route ? c->route->path : "-"), LOG_ERR(err));
    return reply_errno(c, err);
}

int reply_json(call *c, int status)
{
    http_reply rep = {.status = status, .content_type = STR("application/json"), .etag = STR_NULL};
    const int r = json_finish(c->w);

    if (r < 0)
        return reply_unwritten(c, r);
    rep.body = buf_view(c->w->out);
    if (status == 200 && etag_holds(c)) {
        kept_add(c->router->kept, &state_of(c)->basis, c->req->target, &(kept_reply){c->etag, rep.body});
        route_send_tagged(c, rep.body);
        return 0;
    }
    route_send(c, &rep);
    return 0;
}

int reply_tagged(call *c, int status, str etag)
{
    const bool is_get = c->req->method == HTTP_M_GET || c->req->method == HTTP_M_HEAD;
    const int r = json_finish(c->w);
    http_reply rep = {
        .status = status, .content_type = STR("application/json"), .body = buf_view(c->w->out), .etag = etag};

    if (r < 0)
        return reply_unwritten(c, r);
    if (is_get && http_etag_matches(c->req, etag))
        rep = (http_reply){.status = 304, .etag = etag};
    route_send(c, &rep);
    return 0;
}

int reply_entity(call *c, int status, const schema *s, const void *entity)
{
    schema_write(s, entity, c->w);
    return reply_json(c, status);
}

int reply_empty(call *c, int status)
{
    route_send(c, &(http_reply){.status = status});
    return 0;
}

int reply_text(call *c, int status, str content_type, str body)
{
    route_send(c, &(http_reply){.status = status, .content_type = content_type, .body = body});
    return 0;
}

int reply_bytes(call *c, int status, str content_type, str body, str etag, bool is_packed)
{
    http_reply rep = {
        .status = status, .content_type = content_type, .body = body, .etag = etag, .no_compress = is_packed};

    if (status == 200 && etag.p && http_etag_matches(c->req, etag))
        rep = (http_reply){.status = 304, .etag = etag};
    route_send(c, &rep);
    return 0;
}

int reply_document(call *c)
{
    c->etag = c->router->document_tag;
    route_send_tagged(c, c->router->document);
    return 0;
}

static void send_error(call *c, int status, str text)
{
    buf_reset(c->w->out);
    json_begin(c->w, c->w->out);
    state_of(c)->family->error_body(c->w, status, text);
    http_reply rep = {.status = status, .content_type = STR("application/json")};
    if (json_finish(c->w) == 0)
        rep.body = buf_view(c->w->out);
    else
        rep.content_type = STR_NULL; /* no memory for words: the status must do */
    route_send(c, &rep);
}

int reply_error(call *c, int status, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n >= 0)
        text = arena_alloc(c->arena, (size_t)n + 1);
    if (text) {
        va_start(args, fmt);
        (void)vsnprintf(text, (size_t)n + 1, fmt, args);
        va_end(args);
    }
    send_error(c, status, text ? str_of(text, (size_t)n) : str_c(http_status_text(status)));
    return 0;
}

/* From inside to outside, once for all. */
static const struct {
    int err, status;
    const char *text;
} ERRNO_MAP[] = {
    {-ENOENT, 404, "Not Found"},
    {-EEXIST, 409, "Already exists"},
    {-EBUSY, 409, "Busy with an operation of the same kind"},
    {-EINVAL, 422, "Invalid request"},
    {-ENOSPC, 507, "Insufficient storage: the store is full, and takes writes again when there is space"},
    {-EIO, 507, "Insufficient storage: the store's disk fails"},
    {-EROFS, 507, "Insufficient storage: the store cannot be written"},
    {-ENOMEM, 503, "Out of memory, try again"},
    {-EAGAIN, 503, "Too busy, try again"},
    {-ECANCELED, 503, "The server is stopping"},
};

int reply_errno(call *c, int err)
{
    for (size_t i = 0; i < COUNT_OF(ERRNO_MAP); i++) {
        if (ERRNO_MAP[i].err != err)
            continue;
        if (ERRNO_MAP[i].status == 503)
            reply_header(c, STR("Retry-After"), STR("1"));
        send_error(c, ERRNO_MAP[i].status, str_c(ERRNO_MAP[i].text));
        return 0;
    }
    log_error("a request failed", LOG_C("route", c->route ? c->route->path : "-"),
              LOG_STR("request", c->req->request_id), LOG_ERR(err));
    send_error(c, 500, STR("Internal server error"));
    return 0;
}
