/* What is the same for every endpoint, in this order: match, method, key and scope, limits, If-None-Match, decoding, handler.
 * Where the client or this server still has the answer, the last two are left out.
 * The read scope that the key was looked up in stays open until the handler returns, so that the ETag and the answer speak
 * of the same snapshot. */
#include "router.h"

#include "larder/hash.h"
#include "larder/log.h"

static const int64_t LATENCY_US[] = ROUTE_LATENCY_US;
_Static_assert(COUNT_OF(LATENCY_US) + 1 == ROUTE_LATENCY_BUCKETS, "one bucket more than bounds");

/* ---- figures and the access log ---- */
static void count(route_stats *s, int status, int64_t us)
{
    size_t b = 0;

    while (b < COUNT_OF(LATENCY_US) && us > LATENCY_US[b])
        b++;
    s->latency[b]++;
    s->latency_us_total += (uint64_t)us;
    s->requests++;
    for (size_t i = 0; i < COUNT_OF(s->by_status); i++) {
        if (s->by_status[i].status == 0 || i + 1 == COUNT_OF(s->by_status))
            s->by_status[i].status = status;
        if (s->by_status[i].status == status) {
            s->by_status[i].n++;
            return;
        }
    }
}

static void on_replied(void *arg, http_request *req, int status, size_t body_bytes)
{
    router *r = arg;
    char addr[NET_ADDR_TEXT];

    if (!req) {
        count(&r->stats[0], status, 0);
        return;
    }
    const call_state *st = req->user;
    const int64_t us = (clk_mono_ns(loop_clk(r->o.loop)) - req->started_ns) / 1000;
    count(&r->stats[st ? st->stats : 0], status, us);
    if (!r->o.log_access)
        return;
    const net_addr client = access_client_addr(r->o.access, req);
    const size_t n = net_addr_format(&client, addr);
    log_info("request", LOG_C("method", http_method_name(req->method)), LOG_STR("path", req->path), LOG_INT("status", status),
             LOG_INT("bytes", (int64_t)body_bytes), LOG_INT("us", us), LOG_STR("client", str_of(addr, n)),
             LOG_STR("request_id", req->request_id));
}

/* ---- ETag ---- */
bool route_basis(const call *c, reply_basis *ret_basis)
{
    const router *r = c->router;
    const route *row = c->route;
    reply_basis b = {.store = store_id(r->o.store)};

    if (!row->etag_of[0])
        return false;
    store_view *v = store_read_begin(r->o.store);
    for (size_t i = 0; i < ROUTE_ETAG_KEYSPACES && row->etag_of[i]; i++)
        b.generations[i] = store_generation(v, row->etag_of[i]);
    store_read_end(v);
    b.version = row->etag_version ? row->etag_version(c->app) : 0;
    b.target = hash64(c->req->target.p, c->req->target.n);
    *ret_basis = b;
    return true;
}

/* Null without memory. */
static str etag_of(arena *a, const reply_basis *basis)
{
    const uint64_t h = hash64(basis, sizeof(*basis));
    char *text = arena_alloc(a, HEX_LEN(sizeof(h)));

    if (!text)
        return STR_NULL;
    hex_encode(&h, sizeof(h), text);
    return str_of(text, HEX_LEN(sizeof(h)));
}

/* ---- the steps ---- */
static int decode_params(call *c, const match *m, schema_error *err)
{
    const schema *s = c->route->params;
    buf query = BUF_INIT;

    if (!s)
        return 0;
    c->params = arena_zalloc(c->arena, s->size);
    if (!c->params)
        return -ENOMEM;
    if (m->n_values == 0)
        return schema_decode_query(s, c->arena, c->req->query, c->params, err);
    for (size_t i = 0; i < m->n_values; i++) { /* path parameters first: one decoder for both */
        buf_str(&query, route_param_name(c->route, i));
        buf_char(&query, '=');
        for (size_t k = 0; k < m->values[i].n; k++) {
            if (m->values[i].p[k] == '+' || m->values[i].p[k] == '&') /* plain characters in a path */
                buf_str(&query, m->values[i].p[k] == '+' ? STR("%2B") : STR("%26"));
            else
                buf_char(&query, m->values[i].p[k]);
        }
        if (i + 1 < m->n_values || c->req->query.n)
            buf_char(&query, '&');
    }
    buf_str(&query, c->req->query);
    const str text = query.err ? STR_NULL : arena_dup(c->arena, buf_view(&query));
    buf_done(&query);
    return text.p ? schema_decode_query(s, c->arena, text, c->params, err) : -ENOMEM;
}

static int decode_body(call *c, schema_error *err, int *ret_status)
{
    const schema *s = c->route->body;
    json_error broken;

    *ret_status = state_of(c)->family->bad_body;
    if (!s || ((c->route->flags & BODY_OPTIONAL) && c->req->body.n == 0))
        return 0;
    int r = json_parse(c->arena, c->req->body, &c->body_json, &broken);
    if (r == -EINVAL) {
        *ret_status = 400;
        err->text = arena_printf(c->arena, "Invalid JSON at byte %zu: %s", broken.offset, broken.text);
    }
    if (r < 0)
        return r;
    c->body = arena_zalloc(c->arena, s->size);
    return c->body ? schema_decode(s, c->arena, c->body_json, c->route->flags & ALLOW_EXTRA, c->body, err) : -ENOMEM;
}

static int refuse_limits(call *c)
{
    const access_grant *g = &c->grant;
    const bool is_hour = str_eq(str_c(g->why), STR("hour"));

    route_header_number(c, STR("Retry-After"), g->retry_after_s);
    if (str_eq(str_c(g->why), STR("concurrent")))
        return reply_error(c, 429, "Rate limit exceeded. Maximum %lld concurrent requests per user", (long long)g->concurrent);
    return reply_error(c, 429, "Rate limit exceeded. Maximum %lld requests per %s per user",
                       (long long)(is_hour ? g->per_hour : g->per_minute), g->why);
}

static int admit(call *c, store_view *v)
{
    access_control *a = c->router->o.access;
    const route *row = c->route;
    const int allowed =
        row->scope == SCOPE_PUBLIC ? 0 : access_admit(a, c->req, v, row->scope, access_is_open(a, row->scope), &c->grant);

    const bool is_counted = row->limits == LIMIT_CLIENT || (row->limits == LIMIT_KEY && c->grant.has_key);
    if (is_counted && (allowed == 0 || allowed == -EACCES || allowed == -EPERM)) {
        const int r = access_enter(a, c->req, &c->grant);
        if (r == -EDQUOT)
            return refuse_limits(c);
        if (r < 0)
            return r;
    }
    if (allowed == -EACCES) {
        reply_header(c, STR("WWW-Authenticate"), STR("Bearer"));
        return reply_error(c, 401, "%s", state_of(c)->family->not_authorised);
    }
    if (allowed == -EPERM)
        return reply_error(c, 403, "This key lacks the scope %s", access_scope_name(row->scope));
    return allowed;
}

static bool asks_for_any(const call *c)
{
    return str_eq(http_header_of(c->req, HTTP_H_IF_NONE_MATCH), STR("*"));
}

/* Answers a GET without its handler, where the client or this server still has the answer. */
static void answer_again(call *c)
{
    call_state *st = state_of(c);
    str body;

    if ((c->req->method != HTTP_M_GET && c->req->method != HTTP_M_HEAD) || !route_basis(c, &st->basis))
        return;
    c->etag = etag_of(c->arena, &st->basis);
    if (!c->etag.p)
        return;
    /* "*" asks whether there is anything: only who has a body knows (see route_send_tagged). */
    if (!asks_for_any(c) && http_etag_matches(c->req, c->etag))
        route_send(c, &(http_reply){.status = 304, .etag = c->etag});
    else if (kept_find(c->router->kept, &st->basis, c->req->target, &body))
        route_send_tagged(c, body);
}

/* 0: go on to the handler, unless the call has been answered. */
static int prepare(call *c, const match *m, store_view *v)
{
    schema_error err = {0};
    int status = 0;

    int r = admit(c, v);
    if (r < 0 || c->replied)
        return r;
    answer_again(c);
    if (c->replied)
        return 0;
    r = decode_params(c, m, &err);
    if (r == -EINVAL)
        return reply_error(c, state_of(c)->family->bad_params, STR_FMT, STR_ARG(err.text));
    if (r == 0)
        r = decode_body(c, &err, &status);
    if (r == -EINVAL)
        return reply_error(c, status, STR_FMT, STR_ARG(err.text));
    return r;
}

/* Still within on_request: the call's memory stays, whatever the handler did. */
static void answer_result(call *c, int r)
{
    if (c->replied)
        return;
    if (r < 0) {
        (void)reply_errno(c, r);
    } else if (!c->deferred) {
        c->router->unanswered++;
        log_error("a handler gave no answer", LOG_C("route", c->route->path));
        (void)reply_errno(c, -EPROTO);
    }
}

static void run(call *c, const match *m)
{
    store_view *v = store_read_begin(c->router->o.store);

    int r = prepare(c, m, v);
    if (r == 0 && !c->replied)
        r = c->route->handle(c);
    answer_result(c, r);
    store_read_end(v);
}

static int no_row(call *c, const match *m)
{
    if (!m->node)
        return reply_error(c, 404, "Not Found");
    reply_header(c, STR("Allow"), m->node->allow);
    if (c->req->method == HTTP_M_OPTIONS)
        return reply_empty(c, 204);
    return reply_error(c, 405, "Method Not Allowed");
}

/* Field by field: clearing the room for headers would cost more than all of this. */
static void init(call_state *st, router *r, http_request *req)
{
    call *c = &st->call;

    memset(st, 0, offsetof(call_state, call.headers));
    c->req = req;
    c->arena = req->arena;
    c->w = &st->writer;
    c->app = r->o.app;
    c->router = r;
    c->headers_n = 0;
    c->deferred = c->replied = false;
    c->user = NULL;
    c->on_gone = NULL;
    st->in_request = true;
    st->stats = 0;
}

static void on_request(void *arg, http_request *req)
{
    router *r = arg;
    call_state *st = arena_alloc(req->arena, sizeof(*st));
    const http_method method = req->method == HTTP_M_HEAD ? HTTP_M_GET : req->method;
    match m;

    if (!st) {
        http_reply_send(req, &(http_reply){.status = 503});
        return;
    }
    req->user = st;
    init(st, r, req);
    json_begin(&st->writer, req->out);
    route_match(r, req->path, &m);
    st->call.route = m.node && method < HTTP_M_OTHER ? m.node->rows[method] : NULL;
    if (st->call.route) {
        st->stats = m.node->stats[method];
        st->family = st->call.route->family;
        run(&st->call, &m);
    } else {
        st->family = route_family_of(r, req->path);
        (void)no_row(&st->call, &m);
    }
}

static int on_head(void *arg, http_request *req, size_t *ret_max_body)
{
    const router *r = arg;
    match m;

    if (!r->has_body_caps || req->method >= HTTP_M_OTHER)
        return 0;
    route_match(r, req->path, &m);
    if (m.node && m.node->rows[req->method] && m.node->rows[req->method]->max_body)
        *ret_max_body = m.node->rows[req->method]->max_body;
    return 0;
}

static str on_error_body(void *arg, str path, int status, str text, buf *out)
{
    json w;

    json_begin(&w, out);
    route_family_of(arg, path)->error_body(&w, status, text);
    return json_finish(&w) == 0 ? STR("application/json") : STR_NULL;
}

http_hooks router_hooks(router *r)
{
    return (http_hooks){
        .arg = r, .on_head = on_head, .on_request = on_request, .error_body = on_error_body, .on_replied = on_replied};
}
