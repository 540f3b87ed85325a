/* /internal: what is done to the queues and pages of the configured hosts. The texts and the order of the checks are
 * what clients of the family rely on, so bodies are read by hand. */
#include "recache_asked.h"

#include "larder/hash.h"

/* ---- the family ---- */
static void error_body(json *w, int status, str text)
{
    (void)status;
    json_object(w);
    json_pair_bool(w, "success", false);
    json_pair_str(w, "status", STR("error"));
    json_pair_str(w, "message", text);
    json_end(w);
}

/* X-Internal-Auth is one of the keys. Only keyed hashes of them are kept; all are compared, in the same time. */
static bool admits(const call *c)
{
    const api_recache *r = ((const api *)c->app)->recache;
    str given = STR_NULL;
    uint64_t hash[2];
    bool fits = false;

    for (size_t i = 0; i < c->req->n_headers && !given.p; i++)
        if (str_eq_nocase(c->req->headers[i].name, STR("X-Internal-Auth")))
            given = c->req->headers[i].value;
    if (given.n == 0)
        return false;
    siphash24_128(&r->key_seed, given.p, given.n, hash);
    for (size_t i = 0; i < r->n_keys; i++)
        fits |= ct_equal(hash, r->keys[i], sizeof(hash));
    return fits;
}

#define FAMILY(prefix_)                                                                                     \
    {                                                                                                       \
        .name = "recache", .prefix = prefix_, .doc = "Pages kept rendered: queues, pages, render services", \
        .error_body = error_body, .error = &recache_error_schema, .bad_params = 400, .bad_body = 400,       \
        .not_authorised = "unauthorized", .admits = admits, .not_found = "not found",                       \
        .broken_json = "invalid json:", .hides_methods = true,                                              \
    }
const family family_recache = FAMILY("/internal");
const family family_recache_status = FAMILY("/status");

void recache_envelope_begin(call *c)
{
    json_object(c->w);
    json_pair_bool(c->w, "success", true);
    json_pair_str(c->w, "status", STR("ok"));
    json_key(c->w, STR("data"));
}

int recache_envelope_end(call *c)
{
    json_end(c->w);
    return reply_json(c, 200);
}

int recache_reply_data(call *c, const schema *s, const void *data)
{
    recache_envelope_begin(c);
    schema_write(s, data, c->w);
    return recache_envelope_end(c);
}

int recache_reply_message(call *c, str message)
{
    json_object(c->w);
    json_pair_bool(c->w, "success", true);
    json_pair_str(c->w, "status", STR("ok"));
    json_pair_str(c->w, "message", message);
    json_end(c->w);
    return reply_json(c, 200);
}

int recache_host_missing(call *c, int status, int64_t id)
{
    return reply_error(c, status, "host_id %lld not found", (long long)id);
}

static int end(int r)
{
    return r == RECACHE_ANSWERED ? 0 : r;
}

/* ---- checks that several endpoints share ---- */
static int check_urls(call *c, const recache_asked *in, size_t most)
{
    if (in->host_id == 0)
        return recache_refuse(c, "host_id is required");
    if (in->urls.n == 0)
        return recache_refuse(c, "urls array cannot be empty");
    if (in->urls.n > most)
        return recache_refuse(c, "urls array cannot exceed %zu entries", most);
    return 0;
}

static int check_priority(call *c, str text, recache_priority *ret)
{
    if (recache_priority_parse(text, ret) < 0 || *ret == RECACHE_AUTO)
        return recache_refuse(c, "priority must be 'high' or 'normal'");
    return 0;
}

static bool is_kept(const recache_host *h, int64_t dimension)
{
    const recache_dimension *d = recache_dimension_by_id(h, dimension);

    return d && d->action != RECACHE_BLOCK;
}

/* Host, then dimensions, into the task. */
static int check_host(call *c, const recache_asked *in, recache_task *t)
{
    const recache_host *h = recache_host_by_id(recache_of(c), in->host_id);
    uint16_t *dimensions = arena_array(c->arena, uint16_t, in->n_dimension_ids + 1);

    if (!h)
        return recache_refuse(c, "host_id %lld not found", (long long)in->host_id);
    if (!dimensions)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_dimension_ids; i++) {
        if (!is_kept(h, in->dimension_ids[i]))
            return recache_refuse(c, "dimension_id %lld not configured for host '" STR_FMT "'",
                               (long long)in->dimension_ids[i], STR_ARG(h->domains.v[0]));
        dimensions[i] = (uint16_t)in->dimension_ids[i];
    }
    t->host_id = in->host_id;
    t->dimensions = dimensions;
    t->n_dimensions = in->n_dimension_ids;
    return 0;
}

/* ---- tasks ---- */
typedef struct work {
    recache_task task;
    call *c;
    int (*reply)(call *c, const recache_task *t);
} work;

/* A large request is queued in steps: where one fails, what the others did stays, and is told. */
static int reply_cut_off(call *c, const recache_task *t)
{
    json_object(c->w);
    json_pair_bool(c->w, "success", false);
    json_pair_str(c->w, "status", STR("error"));
    json_pair_str(c->w, "message",
                  arena_printf(c->arena, "%s: only a part was done, repeat it", store_refusal_text(t->status)));
    json_pair_int(c->w, "entries_done", (int64_t)t->changed);
    json_end(c->w);
    return reply_json(c, t->status == -ENOMEM || t->status == -ECANCELED ? 503 : 507);
}

static void on_done(recache_task *t)
{
    work *w = t->user;
    call *c = w->c;
    int r = t->status;

    if (r < 0 && r != -ENOENT && t->changed > 0)
        r = reply_cut_off(c, t);
    else if (r == -ENOENT) /* a reload took the host away meanwhile */
        r = recache_host_missing(c, 400, t->host_id);
    else if (r == 0)
        r = w->reply(c, t);
    if (r < 0)
        (void)reply_errno(c, r);
}

static work *work_new(call *c, int (*reply)(call *, const recache_task *))
{
    work *w = arena_new(c->arena, work);

    if (!w)
        return NULL;
    w->c = c;
    w->reply = reply;
    w->task = (recache_task){.arena = c->arena, .on_done = on_done, .user = w};
    return w;
}

static int begin(work *w, void (*start)(recache *, recache_task *))
{
    const int r = call_defer(w->c);

    if (r == 0)
        start(recache_of(w->c), &w->task);
    return r;
}

/* Dimensions that were named twice count twice, as clients of the family know it. */
static int64_t dimensions_count(const recache_task *t)
{
    return (int64_t)(t->n_dimensions ? t->n_dimensions : t->n_dimensions_used);
}

/* ---- recache ---- */
/* In c's arena. NULL: no memory. */
static recache_rejected_url *rejected_urls(call *c, const recache_task *t)
{
    recache_rejected_url *v = arena_array(c->arena, recache_rejected_url, t->n_rejected_listed + 1);

    for (size_t i = 0; v && i < t->n_rejected_listed; i++)
        v[i] = (recache_rejected_url){.url = t->rejected[i].url, .reason = t->rejected[i].reason};
    return v;
}

static int reply_enqueued(call *c, const recache_task *t)
{
    const recache_rejected_url *rejected = rejected_urls(c, t);
    const recache_enqueued out = {.host_id = t->host_id,
                            .urls_count = (int64_t)t->urls.n,
                            .dimension_ids_count = dimensions_count(t),
                            .entries_enqueued = (int64_t)t->accepted,
                            .priority = recache_priority_name(t->priority),
                            .entries_deduplicated = (int64_t)t->deduplicated,
                            .rejected_count = (int64_t)t->n_rejected,
                            .rejected = {rejected, t->n_rejected_listed}};

    return rejected ? recache_reply_data(c, &recache_enqueued_schema, &out) : -ENOMEM;
}

static int post_recache(call *c)
{
    work *w = work_new(c, reply_enqueued);
    recache_asked in;
    int r = w ? recache_read_asked(c, &in) : -ENOMEM;

    if (r == 0)
        r = check_urls(c, &in, RECACHE_URLS_MAX);
    if (r == 0)
        r = check_priority(c, in.priority, &w->task.priority);
    if (r == 0)
        r = check_host(c, &in, &w->task);
    if (r != 0)
        return end(r);
    w->task.urls = in.urls;
    return begin(w, recache_enqueue);
}

/* ---- invalidate ---- */
static int reply_invalidated(call *c, const recache_task *t)
{
    const recache_invalidated out = {.host_id = t->host_id,
                                     .urls_count = (int64_t)t->urls.n,
                                     .dimension_ids_count = dimensions_count(t),
                                     .entries_invalidated = (int64_t)t->changed};

    return recache_reply_data(c, &recache_invalidated_schema, &out);
}

static int post_invalidate(call *c)
{
    work *w = work_new(c, reply_invalidated);
    recache_asked in;
    int r = w ? recache_read_asked(c, &in) : -ENOMEM;

    if (r == 0)
        r = check_urls(c, &in, SIZE_MAX);
    if (r == 0)
        r = check_host(c, &in, &w->task);
    if (r != 0)
        return end(r);
    w->task.urls = in.urls;
    return begin(w, recache_invalidate);
}

static int reply_all_invalidated(call *c, const recache_task *t)
{
    const recache_all_invalidated out = {.host_id = t->host_id,
                                         .dimension_ids_count = dimensions_count(t),
                                         .entries_invalidated = (int64_t)t->changed};

    return recache_reply_data(c, &recache_all_invalidated_schema, &out);
}

static int post_invalidate_all(call *c)
{
    work *w = work_new(c, reply_all_invalidated);
    recache_asked in;
    int r = w ? recache_read_asked(c, &in) : -ENOMEM;

    if (r == 0 && in.host_id == 0)
        r = recache_refuse(c, "host_id is required");
    if (r == 0)
        r = check_host(c, &in, &w->task);
    return r != 0 ? end(r) : begin(w, recache_invalidate_all);
}

/* ---- one address ---- */
/* The task's one URL. */
static int check_url(call *c, const recache_asked *in, recache_task *t)
{
    str *url = arena_new(c->arena, str);

    if (in->host_id == 0)
        return recache_refuse(c, "host_id is required");
    if (in->url.n == 0)
        return recache_refuse(c, "url is required");
    if (!url)
        return -ENOMEM;
    *url = in->url;
    t->urls = (strs){url, 1};
    return 0;
}

static int reply_hit(call *c, const recache_task *t)
{
    const recache_hit_done out = {.host_id = t->host_id, .dimension_id = t->dimensions[0], .due_at = t->due_at};

    if (t->n_rejected)
        return reply_error(c, 400, "url: " STR_FMT, STR_ARG(t->rejected[0].reason));
    return recache_reply_data(c, &recache_hit_done_schema, &out);
}

/* Of a dimension that blocks there can't have been a page to serve. */
static int check_blocks(call *c, const recache_asked *in)
{
    const recache_host *h = recache_host_by_id(recache_of(c), in->host_id);
    const recache_dimension *d = h ? recache_dimension_by_id(h, in->dimension_id) : NULL;

    if (!d || d->action != RECACHE_BLOCK)
        return 0;
    return recache_refuse(c, "dimension_id %lld blocks on host '" STR_FMT "': no pages are kept for it",
                  (long long)in->dimension_id, STR_ARG(h->domains.v[0]));
}

static int post_hit(call *c)
{
    work *w = work_new(c, reply_hit);
    recache_asked in;
    int r = w ? recache_read_asked(c, &in) : -ENOMEM;

    if (r == 0)
        r = check_url(c, &in, &w->task);
    if (r != 0)
        return end(r);
    in.dimension_ids = &in.dimension_id; /* none given: bypass, which is 0 */
    in.n_dimension_ids = 1;
    r = check_blocks(c, &in);
    if (r == 0)
        r = check_host(c, &in, &w->task);
    return r != 0 ? end(r) : begin(w, recache_hit);
}

/* ---- sitemaps ---- */
static void on_sitemap(recache_task *t)
{
    call *c = ((work *)t->user)->c;

    if (t->status == -EBUSY)
        (void)reply_error(c, 503, "%d sitemaps are being read: try again later", RECACHE_SITEMAPS_MAX);
    else if (t->status != -EREMOTEIO)
        on_done(t);
    else
        (void)reply_error(c, 502, "sitemap: " STR_FMT,
                          STR_ARG(t->n_rejected_listed ? t->rejected[0].reason : STR("it cannot be fetched")));
}

/* It must lie on the host. */
static int check_sitemap_url(call *c, const recache_task *t)
{
    const recache_host *h = recache_host_by_id(recache_of(c), t->host_id);
    recache_url u;
    str why = STR_NULL;
    const int r = recache_url_parse(c->arena, t->urls.v[0], h->tracking, &u, &why);

    if (r == -ENOMEM)
        return r;
    if (r < 0)
        return recache_refuse(c, "url: " STR_FMT, STR_ARG(why));
    return recache_host_has_domain(h, u.host) ? 0 : recache_refuse(c, "url: its host is not the host's domain");
}

static int post_sitemap(call *c)
{
    work *w = work_new(c, reply_enqueued);
    recache_asked in;
    int r = w ? recache_read_asked(c, &in) : -ENOMEM;

    if (r == 0)
        r = check_url(c, &in, &w->task);
    if (r == 0)
        r = check_priority(c, in.priority.n ? in.priority : STR("normal"), &w->task.priority);
    if (r == 0)
        r = check_host(c, &in, &w->task);
    if (r == 0)
        r = check_sitemap_url(c, &w->task);
    if (r != 0)
        return end(r);
    w->task.on_done = on_sitemap;
    return begin(w, recache_sitemap);
}

/* ---- dead letters ---- */
static int reply_retried(call *c, const recache_task *t)
{
    const recache_rejected_url *rejected = rejected_urls(c, t);
    const recache_retried out = {.host_id = t->host_id,
                                 .entries_retried = (int64_t)t->changed,
                                 .rejected_count = (int64_t)t->n_rejected,
                                 .rejected = {rejected, t->n_rejected_listed}};

    return rejected ? recache_reply_data(c, &recache_retried_schema, &out) : -ENOMEM;
}

static int post_dead_retry(call *c)
{
    work *w = work_new(c, reply_retried);
    recache_asked in;
    int r = w ? recache_read_asked(c, &in) : -ENOMEM;

    if (r == 0 && in.host_id == 0)
        r = recache_refuse(c, "host_id is required");
    if (r == 0 && in.urls.v && in.urls.n == 0) /* all of the host are meant by giving no list */
        r = recache_refuse(c, "urls array cannot be empty");
    if (r == 0)
        r = check_priority(c, in.priority.n ? in.priority : STR("normal"), &w->task.priority);
    if (r == 0)
        r = check_host(c, &in, &w->task);
    if (r != 0)
        return end(r);
    w->task.urls = in.urls;
    return begin(w, recache_dead_retry);
}

/* ---- the scheduler, the render services ---- */
static int reply_paused(call *c, const recache_task *t)
{
    (void)t;
    return recache_reply_message(c, STR("Scheduler paused"));
}

static int reply_resumed(call *c, const recache_task *t)
{
    (void)t;
    return recache_reply_message(c, STR("Scheduler resumed"));
}

static int set_paused(call *c, bool paused)
{
    work *w = work_new(c, paused ? reply_paused : reply_resumed);

    if (!((const api *)c->app)->recache->is_controllable)
        return reply_error(c, 403, "Scheduler control API not enabled");
    if (!w || call_defer(c) < 0)
        return -ENOMEM;
    recache_pause(recache_of(c), paused, &w->task);
    return 0;
}

static int post_pause(call *c)
{
    return set_paused(c, true);
}

static int post_resume(call *c)
{
    return set_paused(c, false);
}

static int post_register(call *c)
{
    char peer[NET_ADDR_TEXT];
    const char *why = NULL;
    const size_t n = net_addr_format(&c->req->peer, peer);
    const int r = render_fleet_register(((const api *)c->app)->recache->fleet, c->req->body, str_of(peer, n), &why);

    if (r == -EINVAL)
        return reply_error(c, 400, "%s", why);
    if (r == -ENOSPC)
        return reply_error(c, 503, "too many render services");
    return r < 0 ? r : recache_reply_message(c, STR("Registered"));
}

/* ---- rows ---- */
#define URLS_BODY_MAX ((size_t)32 << 20) /* 10,000 URLs of 2,000 bytes, and as many escapes again as one may hope for */

static const route rows_of_recache[] = {
    {HTTP_M_POST, "/internal/cache/recache", &family_recache, SCOPE_PUBLIC, LIMIT_NONE, .body = &recache_request_schema,
     .reply = &recache_enqueued_reply_schema, .flags = BODY_BY_HAND, .max_body = URLS_BODY_MAX, .errors = "507",
     .handle = post_recache, .summary = "Queue pages to be rendered"},
    {HTTP_M_POST, "/internal/cache/invalidate", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .body = &recache_pages_request_schema, .reply = &recache_invalidated_reply_schema, .flags = BODY_BY_HAND,
     .max_body = URLS_BODY_MAX, .errors = "507", .handle = post_invalidate, .summary = "Forget stored pages"},
    {HTTP_M_POST, "/internal/cache/invalidate-all", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .body = &recache_host_request_schema, .reply = &recache_all_invalidated_reply_schema, .flags = BODY_BY_HAND,
     .errors = "507", .handle = post_invalidate_all, .summary = "Forget all stored pages of a host"},
    {HTTP_M_POST, "/internal/cache/hit", &family_recache, SCOPE_PUBLIC, LIMIT_NONE, .body = &recache_hit_request_schema,
     .reply = &recache_hit_reply_schema, .flags = BODY_BY_HAND, .errors = "507", .handle = post_hit,
     .summary = "A bot was served a page: schedule a new copy"},
    {HTTP_M_POST, "/internal/cache/sitemap", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .body = &recache_sitemap_request_schema, .reply = &recache_enqueued_reply_schema, .flags = BODY_BY_HAND,
     .errors = "502 503 507", .handle = post_sitemap, .summary = "Queue the URLs of a sitemap"},
    {HTTP_M_POST, "/internal/cache/dead-letters/retry", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .body = &recache_retry_request_schema, .reply = &recache_retried_reply_schema, .flags = BODY_BY_HAND,
     .max_body = URLS_BODY_MAX, .errors = "507", .handle = post_dead_retry, .summary = "Queue dead letters again"},
    {HTTP_M_POST, "/internal/scheduler/pause", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .reply = &recache_message_schema, .errors = "403 507", .handle = post_pause, .summary = "Begin nothing new"},
    {HTTP_M_POST, "/internal/scheduler/resume", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .reply = &recache_message_schema, .errors = "403 507", .handle = post_resume, .summary = "Go on"},
    {HTTP_M_POST, "/internal/render/register", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .body = &render_registration_schema, .reply = &recache_message_schema, .flags = BODY_BY_HAND, .errors = "503",
     .handle = post_register, .summary = "A render service says that it is there, and how busy"},
    {HTTP_M_POST, "/internal/render/heartbeat", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .body = &render_registration_schema, .reply = &recache_message_schema, .flags = BODY_BY_HAND, .errors = "503",
     .handle = post_register, .summary = "The same, each second"},
};
const route_table recache_routes = {rows_of_recache, COUNT_OF(rows_of_recache)};
