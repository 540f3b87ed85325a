/* /internal/cache/page and /status: one stored page, and how it all goes. */
#include "recache_shared.h"

#include <stdio.h>

#include "larder/clock.h"
#include "larder/hash.h"

#define NO_TICK "0001-01-01T00:00:00Z" /* what clients of the family take for none */

/* clang-format off */
#define RECACHE_PAGE_QUERY_FIELDS(X, S) \
    X(S, str, host_id,      OPTIONAL, 0, 0, NONE, "host, as configured") \
    X(S, str, url,          OPTIONAL, 0, 0, NONE, "page") \
    X(S, str, dimension_id, OPTIONAL, 0, 0, NONE, "dimension")
SCHEMA_STRUCT(recache_page_query, RECACHE_PAGE_QUERY_FIELDS);
SCHEMA(recache_page_query, RECACHE_PAGE_QUERY_FIELDS, "Which page");
/* clang-format on */

/* ---- a page ---- */
typedef struct page_job {
    str dir;
    recache_page page;
    bool plain; /* the client doesn't take gzip */
    int status;
    buf body;
} page_job;

static int put_headers(call *c, const recache_page *p, recache_page_state state, int64_t now)
{
    char age[DECIMAL_MAX];
    const size_t n = decimal_write(now > p->created_at ? (uint64_t)(now - p->created_at) / 1000 : 0, age);

    reply_header(c, STR("X-Cache"), recache_page_state_name(state));
    reply_header(c, STR("Age"), str_of(age, n));
    int r = p->location.p ? reply_long_header(c, STR("Location"), p->location) : 0;
    for (size_t i = 0; r == 0 && i < p->headers.n; i++)
        r = reply_long_header(c, p->headers.v[i].key, p->headers.v[i].value);
    return r;
}

static str type_of(const recache_page *p)
{
    return p->content_type.p ? p->content_type : STR("text/html; charset=utf-8");
}

static int miss(call *c)
{
    reply_header(c, STR("X-Cache"), STR("miss"));
    return reply_error(c, 404, "page not cached");
}

static void work_page(call *c)
{
    page_job *j = c->user;

    j->status = recache_page_read(c->arena, j->dir, &j->page, j->plain, &j->body);
}

static int then_page(call *c)
{
    page_job *j = c->user;

    if (j->status == -ENOENT || j->status == -EPROTO) { /* it went meanwhile, or somebody damaged it */
        reply_forget_headers(c);
        return miss(c);
    }
    if (j->status < 0)
        return j->status;
    str etag = j->page.etag;
    if (!j->plain && etag.p) /* other bytes, another tag (RFC 9110 section 8.8.3) */
        etag = arena_join(c->arena, etag, STR("-gz"));
    if (!j->plain)
        reply_header(c, STR("Content-Encoding"), STR("gzip"));
    reply_header(c, STR("Vary"), STR("Accept-Encoding"));
    SCOPED(buf_done) buf body = j->body; /* the call, and with it the job, is gone once it has its reply */
    return reply_bytes(c, (int)j->page.status_code, type_of(&j->page), buf_view(&body), etag, true);
}

/* nginx sends the file, as a 200 and as the type that it is told here with the path. */
static int send_by_proxy(call *c, const recache_page *p)
{
    const str prefix = ((const api *)c->app)->recache->accel_prefix;
    const str path = recache_page_path(c->arena, prefix, p, false);

    /* the configuration has seen to it that the prefix is a path */
    if (!path.p || reply_own_header(c, STR("X-Accel-Redirect"), path) < 0)
        return -ENOMEM;
    return reply_bytes(c, (int)p->status_code, type_of(p), STR(""), p->etag, true);
}

static int send_file(call *c, const recache_page *p)
{
    page_job *j = arena_new(c->arena, page_job);

    if (!j)
        return -ENOMEM;
    /* a reload frees the folder's name, and what the view holds goes with it */
    *j = (page_job){.dir = arena_dup(c->arena, ((const api *)c->app)->recache->pages_dir),
                    .page = *p,
                    .plain = !http_accepts_gzip(http_header_of(c->req, HTTP_H_ACCEPT_ENCODING))};
    j->page.file = arena_dup(c->arena, p->file);
    j->page.etag = p->etag.p ? arena_dup(c->arena, p->etag) : STR_NULL;
    j->page.content_type = p->content_type.p ? arena_dup(c->arena, p->content_type) : STR_NULL;
    if (!j->dir.p || !j->page.file.p || (p->etag.p && !j->page.etag.p) ||
        (p->content_type.p && !j->page.content_type.p))
        return -ENOMEM;
    c->user = j;
    return call_job(c, work_page, then_page);
}

static int send_page(call *c, const recache_page *p, int64_t now)
{
    const recache_page_state state = recache_page_state_at(p, now);
    const bool by_proxy = ((const api *)c->app)->recache->accel_prefix.n > 0 && p->status_code == 200;

    if (state == RECACHE_PAGE_MISS)
        return miss(c);
    const int r = put_headers(c, p, state, now);
    if (r < 0)
        return r;
    if (p->status_code == 200 && p->etag.p && http_etag_matches(c->req, p->etag))
        return reply_bytes(c, 200, type_of(p), STR(""), p->etag, true);
    if (!p->file.p)
        return reply_bytes(c, (int)p->status_code, STR_NULL, STR(""), p->etag, true);
    return by_proxy ? send_by_proxy(c, p) : send_file(c, p);
}

static int get_page(call *c)
{
    const recache_page_query *in = c->params;
    const recache_host *h = recache_read_host(c, in->host_id);
    const api *app = c->app;
    int64_t dimension = -1;
    recache_url url;
    recache_page page;
    str why = STR_NULL;

    if (!h)
        return 0;
    if (!in->url.n)
        return reply_error(c, 400, "url is required");
    (void)recache_read_number(c, in->dimension_id, 0, "dimension_id must be a valid integer", &dimension);
    if (c->replied)
        return 0;
    if (dimension < 0)
        return reply_error(c, 400, "dimension_id is required");
    if (!recache_dimension_by_id(h, dimension))
        return reply_error(c, 400, "dimension_id %lld not configured for host '" STR_FMT "'", (long long)dimension,
                           STR_ARG(h->domains.v[0]));
    int r = recache_url_parse(c->arena, in->url, h->tracking, &url, &why);
    if (r == -EINVAL || r == -ENAMETOOLONG)
        return reply_error(c, 400, "url: " STR_FMT, STR_ARG(why));
    if (r < 0)
        return r;
    store_view *v = store_read_begin(app->store);
    r = recache_page_load(v, c->arena, h->id, (uint16_t)dimension, url.hash, &page);
    if (r == 0 && str_eq(page.url, url.text)) {
        r = send_page(c, &page, loop_now_wall_ms(app->loop));
        recache_touch(recache_of(c), h->id, (uint16_t)dimension, url.hash, page.last_access);
    } else if (r == 0 || r == -ENOENT) {
        r = miss(c);
    }
    store_read_end(v);
    return r;
}

/* ---- status ---- */
typedef struct status_job {
    store *store;
    int64_t now;
    const uint32_t *hosts;
    size_t n_hosts;
    int status;
    recache_counts (*counts)[RECACHE_PRIORITIES]; /* of each host */
    int64_t dead, tried;
} status_job;

static void work_status(call *c)
{
    status_job *j = c->user;
    store_view *v;

    (void)c;
    j->status = store_read_begin_job(j->store, &v);
    if (j->status < 0)
        return;
    for (size_t i = 0; j->status == 0 && i < j->n_hosts; i++) {
        j->status = recache_queue_counts(v, j->hosts[i], j->now, j->counts[i]);
        j->dead += recache_dead_count(v, j->hosts[i]);
        j->tried += recache_queue_tried(v, j->hosts[i]);
    }
    store_read_end(v);
}

/* By host, then priority. */
static int write_queues(call *c, const status_job *j, buf *out)
{
    char id[12];
    json w;

    json_begin(&w, out);
    json_object(&w);
    for (size_t i = 0; i < j->n_hosts; i++) {
        const int n = snprintf(id, sizeof(id), "%u", j->hosts[i]);
        json_key(&w, str_of(id, (size_t)n));
        json_object(&w);
        for (unsigned p = 0; p < RECACHE_PRIORITIES; p++) {
            json_key(&w, recache_priority_name((recache_priority)p));
            json_object(&w);
            json_pair_int(&w, "total", j->counts[i][p].total);
            json_pair_int(&w, "due_now", j->counts[i][p].due);
            json_end(&w);
        }
        json_end(&w);
    }
    json_end(&w);
    (void)c;
    return json_finish(&w);
}

typedef struct services {
    arena *a;
    rs_status *v;
    size_t n;
    bool failed;
} services;

static void add_service(void *arg, const render_service *s)
{
    static const char *const breakers[] = {
        [RENDER_BREAKER_CLOSED] = "closed", [RENDER_BREAKER_OPEN] = "open", [RENDER_BREAKER_HALF_OPEN] = "half_open"};
    services *all = arg;

    if (all->n == RENDER_SERVICES_MAX)
        return;
    rs_status *out = &all->v[all->n++];
    *out = (rs_status){.id = arena_dup(all->a, str_c(s->id)),
                       .url = arena_dup(all->a, str_c(s->url)),
                       .registered = s->registered,
                       .is_reachable = s->is_reachable,
                       .breaker = str_c(breakers[s->breaker]),
                       .capacity = s->capacity,
                       .load = s->load,
                       .in_flight = s->in_flight,
                       .pages = (int64_t)s->pages,
                       .failures = (int64_t)s->failures,
                       .heard_at = s->heard_at,
                       .last_error = s->last_error[0] ? arena_dup(all->a, str_c(s->last_error)) : STR_NULL};
    all->failed |= !out->id.p || !out->url.p;
}

static int then_status(call *c)
{
    const status_job *j = c->user;
    const api *app = c->app;
    const api_recache *room = app->recache;
    const recache_figures f = recache_figures_of(room->service);
    services all = {c->arena, arena_array(c->arena, rs_status, RENDER_SERVICES_MAX), 0, false};
    buf queues = BUF_INIT;
    char tick[RFC3339_LEN + 1];

    if (j->status < 0 || !all.v)
        return j->status < 0 ? j->status : -ENOMEM;
    render_fleet_services(room->fleet, add_service, &all);
    int r = all.failed ? -ENOMEM : write_queues(c, j, &queues);
    if (f.last_tick)
        rfc3339_format(f.last_tick / 1000 * 1000, tick);
    const recache_status out = {
        .daemon = {.daemon_id = room->daemon_id,
                   .uptime_seconds = (loop_now_mono_ms(app->loop) - room->started_at_mono) / 1000,
                   .last_tick = f.last_tick ? str_of(tick, RFC3339_LEN) : STR(NO_TICK)},
        .internal_queue = {.size = f.in_flight + f.storing,
                           .max_size = f.max_in_flight,
                           .capacity_used_percent =
                               (double)(f.in_flight + f.storing) / (double)f.max_in_flight * 100},
        .rs_capacity = {.total_free_tabs = f.capacity.free,
                        .reserved_for_online = f.capacity.reserved,
                        .available_for_recache = f.capacity.available,
                        .reservation_percent = room->reserved * 100},
        .queues = buf_view(&queues),
        .paused = f.paused,
        .in_flight = f.in_flight,
        .storing = f.storing,
        .retrying = j->tried,
        .dead_letters = j->dead,
        .services = {all.v, all.n}};
    if (r == 0)
        r = reply_entity(c, 200, &recache_status_schema, &out);
    buf_done(&queues);
    return r;
}

static int get_status(call *c)
{
    const api *app = c->app;
    status_job *j = arena_new(c->arena, status_job);
    size_t n;
    const recache_host *hosts = recache_hosts(recache_of(c), &n);
    uint32_t *ids = arena_array(c->arena, uint32_t, n + 1);

    if (!j || !ids)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        ids[i] = hosts[i].id;
    *j = (status_job){.store = app->store, .now = loop_now_wall_ms(app->loop), .hosts = ids, .n_hosts = n};
    j->counts = arena_alloc(c->arena, (n + 1) * sizeof(*j->counts));
    if (!j->counts)
        return -ENOMEM;
    c->user = j;
    return call_job(c, work_status, then_status);
}

/* ---- rows ---- */
static const route rows_of_page[] = {
    {HTTP_M_GET, "/internal/cache/page", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .params = &recache_page_query_schema, .reply_type = "text/html", .errors = "404", .handle = get_page,
     .summary = "A stored page, with its own status"},
    {HTTP_M_GET, "/status", &family_recache_status, SCOPE_PUBLIC, LIMIT_NONE, .reply = &recache_status_schema,
     .handle = get_status, .summary = "Queues, capacity and render services"},
};
const route_table recache_page_routes = {rows_of_page, COUNT_OF(rows_of_page)};
