/* What render services send: length-prefixed metadata, JSON of failures, /health, registrations. Foreign bytes: what is
 * not as it should be is an error, never followed. */
#include "render_private.h"

#include <ctype.h>
#include <stdio.h>

#include "larder/json.h"

#define HEADERS_MAX 64
#define TEXT_MAX ((size_t)512) /* code points of a title or an error kept */
#define ID_MAX 128
#define HOST_MAX 253

/* ---- the frame ---- */

int render_frame_feed(frame *f, str *input)
{
    while (f->n_prefix < 4) {
        if (input->n == 0)
            return 0;
        f->length = f->length << 8 | (uint8_t)input->p[0];
        f->n_prefix++;
        *input = str_from(*input, 1);
    }
    if (f->length == 0)
        return -EPROTO;
    if (f->length > RENDER_METADATA_MAX)
        return -EMSGSIZE;
    const str part = str_head(*input, f->length - f->metadata.n);
    buf_str(&f->metadata, part); /* grows with what has come, not with what is promised */
    *input = str_from(*input, part.n);
    return f->metadata.err < 0 ? f->metadata.err : f->metadata.n == f->length;
}

/* ---- metadata ---- */

/* Copies into the operation's memory; the first failure stays in `err`. */
typedef struct copier {
    arena *arena;
    int err;
} copier;

static str copy(copier *c, str s) /* null for null and empty */
{
    if (s.n == 0)
        return STR_NULL;
    const str dup = arena_dup(c->arena, s);
    if (!dup.p)
        c->err = -ENOMEM;
    return dup;
}

static str copy_of(copier *c, const json_value *object, const char *key)
{
    return copy(c, json_string(json_get(object, key)));
}

static bool is_header_name(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && (s.p[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", s.p[i])))
            return false;
    return s.n > 0;
}

bool render_header_is_kept(str header, str value)
{
    /* Of one connection, of the body as it was sent, or of one visitor. */
    static const char *const left_out[] = {
        "set-cookie", "set-cookie2", "connection",     "keep-alive", "transfer-encoding", "te",
        "trailer",    "upgrade",     "content-length", "date",       "content-encoding",  "proxy-authenticate"};
    for (size_t i = 0; i < COUNT_OF(left_out); i++)
        if (str_eq_nocase(header, str_c(left_out[i])))
            return false;
    for (size_t i = 0; i < value.n; i++)
        if (((uint8_t)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 127)
            return false;
    return is_header_name(header);
}

static void take_header(copier *c, render_op *op, client_header *out, str header, str value)
{
    if (value.p && op->n_headers < HEADERS_MAX && render_header_is_kept(header, value)) {
        const str kept = arena_dup(c->arena, value); /* an empty one too */
        if (!kept.p)
            c->err = -ENOMEM;
        out[op->n_headers++] = (client_header){copy(c, header), kept};
    }
}

/* {"content-type": ["text/html"], ...} */
static void take_headers(copier *c, render_op *op, const json_value *headers)
{
    client_header *out;
    const json_value *values;
    str header;

    if (json_count(headers) == 0 || !json_is(headers, JSON_OBJECT))
        return;
    out = arena_array(c->arena, client_header, HEADERS_MAX);
    if (!out) {
        c->err = -ENOMEM;
        return;
    }
    op->headers = out;
    for (void *it = NULL; (it = json_next(headers, it, &header, &values)) != NULL;) {
        if (json_is(values, JSON_STRING))
            take_header(c, op, out, header, json_string(values));
        for (size_t i = 0; json_is(values, JSON_ARRAY) && i < json_count(values); i++)
            take_header(c, op, out, header, json_string(json_at(values, i)));
    }
}

static int take_status(const json_value *metrics)
{
    const int64_t status = json_int(json_get(metrics, "status_code"));

    return status >= 100 && status < 600 ? (int)status : 0;
}

int render_answer_parse(render_op *op, str text, answer *ret_answer)
{
    SCOPED(arena_done)
    arena scratch;
    const json_value *v;
    copier c = {&op->arena, 0};

    arena_init(&scratch, json_tree_limit(text.n));
    const int r = json_parse(&scratch, text, &v, NULL);
    if (r < 0 || !json_is(v, JSON_OBJECT))
        return r == -ENOMEM ? r : -EPROTO;
    const json_value *metrics = json_get(v, "metrics"), *seo = json_get(v, "page_seo");
    const json_value *size = json_get(v, "html_size");
    const int64_t index_status = json_int(json_get(seo, "index_status"));
    const int64_t render_ns = json_int(json_get(v, "render_time"));
    const answer a = {
        .success = json_bool(json_get(v, "success")),
        .request_id = copy_of(&c, v, "request_id"),
        .error = copy(&c, utf8_head(json_string(json_get(v, "error")), TEXT_MAX)),
        .error_type = copy(&c, utf8_head(json_string(json_get(v, "error_type")), TEXT_MAX)),
        .html_size = json_is(size, JSON_INT) ? json_int(size) : -1,
    };
    op->status = take_status(metrics);
    op->final_url = copy_of(&c, metrics, "final_url");
    op->timed_out = json_bool(json_get(metrics, "timed_out"));
    op->title = copy(&c, utf8_head(json_string(json_get(seo, "title")), TEXT_MAX));
    op->index_status = index_status >= 1 && index_status <= 4 ? (int)index_status : 0;
    op->render_ms = render_ns > 0 ? render_ns / 1000000 : 0;
    take_headers(&c, op, json_get(v, "headers"));
    if (c.err < 0)
        return c.err;
    *ret_answer = a;
    return 0;
}

/* ---- failures ---- */

verdict render_verdict(str error_type)
{
    static const struct {
        const char *type;
        verdict verdict;
    } known[] = {
        /* the page's */
        {"invalid_url", {RENDER_FAILED, false, false}},
        {"origin_4xx", {RENDER_FAILED, false, false}},
        {"response_too_large", {RENDER_FAILED, false, false}},
        /* Chromium's, and maybe the page's doing: it counts against both */
        {"chrome_crash", {RENDER_FAILED_FOR_NOW, true, false}},
        {"hard_timeout", {RENDER_FAILED_FOR_NOW, true, false}},
        /* the service's alone: nothing was rendered */
        {"chrome_restart_failed", {RENDER_FAILED_FOR_NOW, true, true}},
        {"pool_unavailable", {RENDER_FAILED_FOR_NOW, true, true}},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (str_eq(error_type, str_c(known[i].type)))
            return known[i].verdict;
    return (verdict){RENDER_FAILED_FOR_NOW, false, false};
}

/* ---- health and registration ---- */

/* A number of tabs: 0 when absent, -1 when it is none. */
static int64_t tabs_of(const json_value *v, const char *key)
{
    const json_value *n = json_get(v, key);

    if (json_is(n, JSON_NULL))
        return 0;
    if (!json_is(n, JSON_INT) || json_int(n) < 0)
        return -1;
    return json_int(n) < TABS_MAX ? json_int(n) : TABS_MAX;
}

int render_health_parse(str text, health *ret_health)
{
    SCOPED(arena_done)
    arena scratch;
    const json_value *v;

    arena_init(&scratch, json_tree_limit(text.n));
    const int r = json_parse(&scratch, text, &v, NULL);
    if (r < 0)
        return r == -ENOMEM ? r : -EPROTO;
    const int64_t capacity = tabs_of(v, "pool_size"), load = tabs_of(v, "active_instances");
    if (!str_eq(json_string(json_get(v, "status")), STR("ok")) || capacity < 0 || load < 0)
        return -EPROTO;
    *ret_health = (health){(unsigned)capacity, (unsigned)load};
    return 0;
}

static bool is_id(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] < ' ' || s.p[i] == 127)
            return false;
    return s.n > 0 && s.n <= ID_MAX;
}

static bool is_host(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && (s.p[i] == '\0' || !strchr(".-_:", s.p[i])))
            return false;
    return s.n > 0 && s.n <= HOST_MAX;
}

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EINVAL;
}

static int take_registration(arena *a, const json_value *v, str peer, registration *ret_registration,
                             const char **ret_why)
{
    const str id = json_string(json_get(v, "id"));
    const int64_t port = json_int(json_get(v, "port")), capacity = tabs_of(v, "capacity"), load = tabs_of(v, "load");
    const json_value *given = json_get(v, "address"); /* absent is null */
    str address = json_string(given);

    if (!json_is(given, JSON_NULL) && !json_is(given, JSON_STRING))
        return refuse(ret_why, "address must be a host name or an IP address");
    /* What a service listens on says nothing about where it is. */
    if (address.n == 0 || str_eq(address, STR("0.0.0.0")) || str_eq(address, STR("::")))
        address = peer;
    if (!is_id(id))
        return refuse(ret_why, "id is required, at most 128 bytes");
    if (!is_host(address))
        return refuse(ret_why, "address must be a host name or an IP address");
    if (port < 1 || port > UINT16_MAX)
        return refuse(ret_why, "port must be between 1 and 65535");
    if (capacity < 0 || load < 0)
        return refuse(ret_why, "capacity and load must be numbers of tabs");
    const registration x = {
        .id = arena_dup(a, id),
        .url = arena_printf(a, str_chr(address, ':') >= 0 ? "http://[" STR_FMT "]:%d" : "http://" STR_FMT ":%d",
                            STR_ARG(address), (int)port),
        .health = {(unsigned)capacity, (unsigned)load},
    };
    if (!x.id.p || !x.url.p)
        return -ENOMEM;
    *ret_registration = x;
    return 0;
}

int render_registration_parse(arena *a, str text, str peer, registration *ret_registration, const char **ret_why)
{
    SCOPED(arena_done)
    arena scratch;
    const json_value *v;

    arena_init(&scratch, json_tree_limit(text.n));
    const int r = json_parse(&scratch, text, &v, NULL);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || !json_is(v, JSON_OBJECT))
        return refuse(ret_why, "invalid json: an object is wanted");
    return take_registration(a, v, peer, ret_registration, ret_why);
}
