/* What is the same for every endpoint, in this order: match, method, key and scope, limits, If-None-Match,
 * decoding, handler. Where the client or this server still has the answer, the last two are left out.
 * The read scope that the key was looked up in stays open until the handler returns, so that the ETag and the
 * answer speak of the same snapshot. */
#include "router.h"

#include "larder/hash.h"
#include "larder/log.h"

static const int64_t LATENCY_US[] = ROUTE_LATENCY_US;
_Static_assert(COUNT_OF(LATENCY_US) + 1 == ROUTE_LATENCY_BUCKETS, "one bucket more than bounds");
#define SHOWN_HOST 200 /* bytes of a Host that a refusal repeats */

/* ---- figures and the access log ---- */
static void count_status(route_stats *s, int status)
{
    size_t i = 0;

    while (i < ROUTE_STATUSES && s->by_status[i].status != status && s->by_status[i].status != 0)
        i++;
    if (!EXPECT(i < ROUTE_STATUSES))
        return;
    s->by_status[i].status = status;
    s->by_status[i].n++;
}

static void count_latency(route_stats *s, int64_t us)
{
    size_t b = 0;

    while (b < COUNT_OF(LATENCY_US) && us > LATENCY_US[b])
        b++;
    s->latency[b]++;
    s->latency_us_total += (uint64_t)us;
}

/* What could be a secret is left out: the query, and of a key all but its id. */
static void log_request(const router *r, const http_request *req, int status, size_t body_bytes, int64_t us)
{
    const call_state *st = req->user;
    const net_addr client = access_client_addr(r->o.access, req);
    char addr[NET_ADDR_TEXT], key[ACCESS_ID_LEN];
    str key_id = STR_NULL;

    if (st && st->call.grant.has_key) {
        hex_encode(st->call.grant.identity, sizeof(key) / 2, key);
        key_id = str_of(key, sizeof(key));
    }
    const size_t n = net_addr_format(&client, addr);
    log_info("request", LOG_C("method", http_method_name(req->method)), LOG_STR("path", req->path),
             LOG_INT("status", status), LOG_INT("bytes", (int64_t)body_bytes), LOG_INT("us", us),
             LOG_STR("client", str_of(addr, n)), LOG_STR("key", key_id), LOG_STR("request_id", req->request_id));
}

static void on_replied(void *arg, http_request *req, int status, size_t body_bytes)
{
    router *r = arg;

    if (!req) {
        count_status(&r->stats[0], status);
        return;
    }
    const call_state *st = req->user; /* NULL: refused before it got here */
    route_stats *s = &r->stats[st ? st->stats : 0];
    const int64_t us = (clk_mono_ns(loop_clk(r->o.loop)) - req->started_ns) / 1000;
    count_status(s, status);
    count_latency(s, us);
    if (r->o.log_access && log_enabled(LOG_INFO))
        log_request(r, req, status, body_bytes, us);
}

/* ---- ETag ---- */
bool route_basis(const call *c, reply_basis *ret_basis)
{
    const router *r = c->router;
    const route *row = c->route;
    reply_basis b = {.seed = r->etag_seed};

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
/* What is decoded may point into the texts it was read from, and those in the read buffer don't outlive a
 * deferred call. */
static bool keep(arena *a, str *text)
{
    if (text->n)
        *text = arena_dup(a, *text);
    return text->n == 0 || text->p;
}

static int decode_params(call *c, const match *m, schema_error *err)
{
    const schema *s = c->route->params;
    pair path[PATH_PARAMS_MAX];
    str query = c->req->query;

    if (!s)
        return 0;
    c->params = arena_zalloc(c->arena, s->size);
    if (!c->params || !keep(c->arena, &query))
        return -ENOMEM;
    for (size_t i = 0; i < m->n_values; i++) {
        path[i] = (pair){m->node->names[i], m->values[i]};
        if (!keep(c->arena, &path[i].value))
            return -ENOMEM;
    }
    return schema_decode_params(s, c->arena, path, m->n_values, query, c->params, err);
}

/* Counts the request, if its row says so. What access_admit found, or -EDQUOT where it is one too many. */
static int count(call *c, int allowed)
{
    const limit_class limits = c->route->limits;
    const bool is_counted = limits == LIMIT_CLIENT || (limits == LIMIT_KEY && c->grant.has_key);

    if (!is_counted || (allowed != 0 && allowed != -EACCES && allowed != -EPERM))
        return allowed;
    const int r = access_enter(c->router->o.access, &c->grant);
    return r < 0 ? r : allowed;
}

/* What who may not come in is told: the status, and a text in the arena; headers go with the call. An error that is no
 * refusal comes back as it is. */
static int refusal_of(call *c, int allowed, str *ret_text)
{
    const access_grant *g = &c->grant;

    switch (allowed) {
    case -EDQUOT:
        route_header_number(c, STR("Retry-After"), g->retry_after_s);
        *ret_text = arena_printf(c->arena, "Rate limit exceeded. Maximum %lld %s per user", (long long)g->maximum,
                                 g->why);
        return 429;
    case -EACCES:
        reply_header(c, STR("WWW-Authenticate"), STR("Bearer"));
        *ret_text = str_c(c->route->family->not_authorised);
        return 401;
    case -EPERM:
        *ret_text = arena_printf(c->arena, "This key lacks the scope %s", access_scope_name(c->route->scope));
        return 403;
    default:
        return allowed;
    }
}

static int refuse(call *c, int allowed)
{
    str text;
    const int r = refusal_of(c, allowed, &text);

    return r > 0 ? reply_error(c, r, STR_FMT, STR_ARG(text)) : r;
}

/* A browser sends what any page asks of it, also to a server of its own machine that wants no key, and names the page's
 * site. The page can't read the reply, so there is nothing to refuse where nothing is changed. */
static bool is_cross_site(const call *c)
{
    str origin = http_header_of(c->req, HTTP_H_ORIGIN);
    const ptrdiff_t scheme = str_find(origin, STR("://"));

    if (!origin.p || c->route->method == HTTP_M_GET)
        return false;
    origin = str_from(origin, (size_t)scheme + 3);
    return scheme < 0 || !str_eq_nocase(origin, http_header_of(c->req, HTTP_H_HOST)); /* "null" is nobody's site */
}

static int refuse_cross_site(call *c)
{
    return reply_error(c, 403, "A page of another site may change nothing here without a key");
}

/* Of a request without a key, where none is needed. */
static int admit_stranger(call *c)
{
    if (access_is_open_here(c->router->o.access, c->route->scope) && !access_names_here(c->req))
        return reply_error(c, 403,
                           "Host '" STR_FMT "' could be another site's: without a key, ask for localhost or an address",
                           STR_ARG(str_head(http_header_of(c->req, HTTP_H_HOST), SHOWN_HOST)));
    return is_cross_site(c) ? refuse_cross_site(c) : 0;
}

static int admit(call *c, store_view *v)
{
    access_control *a = c->router->o.access;
    const route *row = c->route;

    if (row->family->admits && is_cross_site(c))
        return reply_error(c, 403, "A page of another site may change nothing here");
    if (row->scope == SCOPE_PUBLIC && row->limits == LIMIT_NONE)
        return is_cross_site(c) ? refuse_cross_site(c) : 0;
    const int allowed = access_admit(a, c->req, v, row->scope, access_is_open(a, row->scope), &c->grant);
    const int r = count(c, allowed);
    if (r < 0)
        return refuse(c, r);
    return c->grant.has_key ? 0 : admit_stranger(c);
}

static bool asks_for_any(const call *c)
{
    return str_eq(http_header_of(c->req, HTTP_H_IF_NONE_MATCH), STR("*"));
}

/* Answers a GET without its handler, where the client or this server still has the answer. */
static void answer_again(call *c)
{
    call_state *st = state_of(c);
    kept_reply again = {STR_NULL, STR_NULL};

    if ((c->req->method != HTTP_M_GET && c->req->method != HTTP_M_HEAD) || !route_basis(c, &st->basis))
        return;
    const bool is_kept = kept_find(c->router->kept, &st->basis, c->req->target, &again);
    c->etag = is_kept ? again.etag : etag_of(c->arena, &st->basis);
    if (!c->etag.p)
        return;
    /* "*" asks whether there is anything: only who has a body knows (see route_send_tagged). */
    if (!asks_for_any(c) && http_etag_matches(c->req, c->etag))
        route_send(c, &(http_reply){.status = 304, .etag = c->etag});
    else if (is_kept)
        route_send_tagged(c, again.body);
}

/* 0: on to the body, unless the call has been answered. */
static int prepare(call *c, const match *m, store_view *v)
{
    schema_error err = {0};

    int r = admit(c, v);
    if (r < 0 || c->replied)
        return r;
    answer_again(c);
    if (c->replied)
        return 0;
    r = decode_params(c, m, &err);
    return r == -EINVAL ? reply_error(c, c->route->family->bad_params, STR_FMT, STR_ARG(err.text)) : r;
}

static int serve(call *c, const match *m, store_view *v)
{
    const int r = prepare(c, m, v);

    if (r < 0 || c->replied)
        return r;
    return route_read_body(c);
}

static int no_row(call *c, const match *m, store_view *v)
{
    access_control *a = c->router->o.access;

    if (str_eq(c->req->path, STR("*"))) { /* only OPTIONS gets here with it: about the server as a whole */
        reply_header(c, STR("Allow"), STR("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        return reply_empty(c, 204);
    }
    if (state_of(c)->family->limits == LIMIT_CLIENT) {
        const int allowed = access_admit(a, c->req, v, SCOPE_PUBLIC, true, &c->grant);
        const int r = allowed < 0 && allowed != -EACCES ? allowed : access_enter(a, &c->grant);
        if (r < 0)
            return refuse(c, r);
    }
    const family *f = state_of(c)->family;
    if (!m->node || f->hides_methods)
        return reply_error(c, 404, "%s", f->not_found ? f->not_found : "Not Found");
    reply_header(c, STR("Allow"), m->node->allow);
    if (c->req->method == HTTP_M_OPTIONS)
        return reply_empty(c, 204);
    return reply_error(c, 405, "Method Not Allowed");
}

void route_answer_result(call *c, int r)
{
    if (r < 0) {
        (void)reply_errno(c, r);
    } else if (!state_of(c)->has_more) {
        c->router->unanswered++;
        log_error("a handler gave no answer", LOG_C("route", c->route->path));
        (void)reply_errno(c, -EPROTO);
    }
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
    st->has_more = false;
}

static void on_request(void *arg, http_request *req)
{
    router *r = arg;
    call_state *st = arena_alloc(req->arena, sizeof(*st));
    const http_method method = req->method == HTTP_M_HEAD ? HTTP_M_GET : req->method;
    int result = 0;
    match m;

    if (!st) {
        http_reply_send(req, &(http_reply){.status = 503});
        return;
    }
    req->user = st;
    init(st, r, req);
    json_begin(&st->writer, req->out);
    route_match(r, req->path, &m);
    call *c = &st->call;
    c->route = m.node && method < HTTP_METHODS ? m.node->rows[method] : NULL;
    req->has_secret = c->route && (c->route->flags & HAS_SECRET); /* also of one that is refused */
    st->stats = c->route ? m.node->stats[method] : 0;
    st->family = c->route ? c->route->family : route_family_of(r, req->path);
    store_view *v = store_read_begin(r->o.store);
    if (st->family->admits && !st->family->admits(c))
        (void)reply_error(c, 401, "%s", st->family->not_authorised);
    else
        result = c->route ? serve(c, &m, v) : no_row(c, &m, v);
    if (!c->replied) /* still within on_request: the call's memory stays, whatever was done with it */
        route_answer_result(c, result);
    store_read_end(v);
}

/* Of a body in chunks nobody knows. */
static bool may_be_longer(str content_length, size_t max)
{
    int64_t n;

    return !content_length.p || str_to_i64(content_length, &n) < 0 || n < 0 || (uint64_t)n > max;
}

static int admit_head(call *c)
{
    access_control *a = c->router->o.access;
    const access_scope scope = c->route->scope;

    if (c->route->family->admits)
        return 0; /* it was asked */
    store_view *v = store_read_begin(c->router->o.store);
    const int r = access_admit(a, c->req, v, scope, access_is_open(a, scope), &c->grant);
    store_read_end(v);
    return r;
}

/* The request ends here, so it is counted here: otherwise keys could be tried without a limit. */
static int refuse_head(call *c, int allowed)
{
    str text = STR_NULL;
    const int status = refusal_of(c, count(c, allowed), &text);

    access_leave(c->router->o.access, &c->grant);
    route_put_limits(c);
    c->req->refusal = arena_dup(c->arena, str_of(c->headers, c->headers_n));
    c->req->refusal_text = text.p;
    return status < 0 ? 503 : status;
}

/* Before the body. A row's own cap is for those who may come in: of a stranger no more is taken than anywhere else.
 * Where no more is coming, on_request says so, and counts it. */
static int on_head(void *arg, http_request *req, size_t *ret_max_body)
{
    router *r = arg;
    const bool asks = http_header_of(req, HTTP_H_EXPECT).p != NULL; /* whether its body is wanted */
    match m;

    if ((!r->has_body_caps && !asks) || req->method >= HTTP_METHODS)
        return 0;
    route_match(r, req->path, &m);
    const route *row = m.node ? m.node->rows[req->method] : NULL;
    const family *f = row ? row->family : route_family_of(r, req->path);
    const bool is_long = may_be_longer(http_header_of(req, HTTP_H_CONTENT_LENGTH), *ret_max_body);
    call c = {.req = req, .route = row, .arena = req->arena, .app = r->o.app, .router = r};
    if (f->admits && !f->admits(&c))
        return is_long ? 401 : 0;
    if (asks && !m.node && f->limits == LIMIT_NONE)
        return 404;
    if (!row || !row->max_body)
        return 0;
    const int allowed = admit_head(&c);
    if (allowed < 0)
        return is_long ? refuse_head(&c, allowed) : 0;
    *ret_max_body = row->max_body;
    return 0;
}

static str on_error_body(void *arg, str path, int status, str text, buf *out)
{
    const family *f = route_family_of(arg, path);
    const char *own = status == 401 ? f->not_authorised : status == 404 ? f->not_found : NULL;
    json w;

    json_begin(&w, out);
    f->error_body(&w, status, own ? str_c(own) : text);
    return json_finish(&w) == 0 ? STR("application/json") : STR_NULL;
}

http_hooks router_hooks(router *r)
{
    return (http_hooks){
        .arg = r, .on_head = on_head, .on_request = on_request, .error_body = on_error_body, .on_replied = on_replied};
}
