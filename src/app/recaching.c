/* See recaching.h. */
#include "recaching.h"

/* ---- options into rooms ---- */
static recache_options service_options(const recaching *r, const config *c)
{
    return (recache_options){
        .loop = r->loop,
        .renderer = recache_renderer_of(r->fleet),
        .hosts = c->hosts,
        .n_hosts = c->n_hosts,
        .pages_dir = r->api.pages_dir,
        .tick_ms = c->recache_tick_interval,
        .max_in_flight = c->recache_max_in_flight,
        .max_attempts = (unsigned)c->recache_max_attempts,
        .retry_base_ms = c->recache_retry_base_delay,
        .timeout_per_url_ms = c->recache_timeout_per_url,
        .max_fetches = c->recache_max_fetches,
        .max_bytes = (uint64_t)c->recache_max_bytes,
        .max_dead_letters = c->recache_max_dead_letters,
    };
}

static void on_capacity(void *arg)
{
    recaching *r = arg;

    if (r->service)
        recache_poke(r->service);
}

static render_options fleet_options(recaching *r, const config *c, tls_trust *trust)
{
    return (render_options){
        .services = c->services,
        .n_services = c->n_services,
        .services_trust = trust,
        .origins_trust = trust,
        .reserved = c->recache_reserved_for_online,
        .max_timeout_ms = c->recache_timeout_per_url,
        .allow_private = c->recache_allow_private,
        .on_capacity = on_capacity,
        .arg = r,
    };
}

/* What follows it brings one of its own. */
static str without_slash(str prefix)
{
    while (str_ends(prefix, STR("/")))
        prefix.n--;
    return prefix;
}

/* What the endpoints need, in an arena of its own: the configuration may be replaced. */
static int describe(const recaching *r, const config *c, arena *a, api_recache *ret)
{
    const strs keys = c->recache_auth_key;
    uint64_t(*hashes)[2] = arena_alloc(a, (keys.n + 1) * sizeof(*hashes));
    api_recache out = {.fleet = r->fleet,
                       .service = r->service,
                       .n_keys = keys.n,
                       .is_controllable = c->recache_scheduler_control_api,
                       .daemon_id = arena_dup(a, c->recache_daemon_id),
                       .accel_prefix = arena_dup(a, without_slash(c->recache_accel_prefix)),
                       .reserved = c->recache_reserved_for_online,
                       .started_at_mono = r->api.started_at_mono};

    out.pages_dir = r->api.pages_dir.p       ? arena_dup(a, r->api.pages_dir)
                    : c->recache_pages_dir.n ? arena_dup(a, c->recache_pages_dir)
                                             : arena_printf(a, STR_FMT "/pages", STR_ARG(c->data_dir));
    if (!hashes || !out.daemon_id.p || !out.accel_prefix.p || !out.pages_dir.p)
        return -ENOMEM;
    random_bytes(&out.key_seed, sizeof(out.key_seed));
    for (size_t i = 0; i < keys.n; i++)
        siphash24_128(&out.key_seed, keys.v[i].p, keys.v[i].n, hashes[i]);
    out.keys = (const uint64_t(*)[2])hashes;
    *ret = out;
    return 0;
}

/* ---- life ---- */
int recaching_make(recaching *r, loop *l, store *s, const config *c, tls_trust *trust, str *why)
{
    const render_options fleet = fleet_options(r, c, trust);

    r->loop = l;
    arena_init(&r->arena, 0);
    r->api.started_at_mono = loop_now_mono_ms(l);
    int err = render_fleet_new(l, &fleet, &r->fleet);
    if (err == 0)
        err = describe(r, c, &r->arena, &r->api);
    if (err < 0)
        return err;
    recache_options o = service_options(r, c);
    o.store = s;
    err = recache_new(&o, &r->service);
    r->api.service = r->service;
    if (err < 0)
        *why = arena_printf(&r->arena, "recache.pages_dir: " STR_FMT ": %s", STR_ARG(r->api.pages_dir), err_text(err));
    return err;
}

int recaching_start(recaching *r)
{
    return recache_start(r->service);
}

int recaching_configure(recaching *r, const config *c, tls_trust *trust)
{
    const recache_options o = service_options(r, c);
    const render_options fleet = fleet_options(r, c, trust);
    render_change *services = NULL;
    api_recache changed;
    arena fresh;

    arena_init(&fresh, 0);
    int err = describe(r, c, &fresh, &changed);
    if (err == 0)
        err = render_fleet_prepare(r->fleet, &fleet, &services);
    if (err == 0)
        err = recache_configure(r->service, &o);
    if (err < 0) {
        if (services)
            render_fleet_drop(r->fleet, services);
        arena_done(&fresh);
        return err;
    }
    render_fleet_commit(r->fleet, services);
    arena_done(&r->arena);
    r->arena = fresh;
    r->api = changed;
    return 0;
}

static void on_fleet_closed(void *arg)
{
    recaching *r = arg;

    r->fleet = NULL;
    r->stopped(r->stopped_arg);
}

static void on_service_stopped(void *arg)
{
    recaching *r = arg;

    if (r->fleet)
        render_fleet_close(r->fleet, on_fleet_closed, r);
    else
        r->stopped(r->stopped_arg);
}

void recaching_stop(recaching *r, void (*stopped)(void *arg), void *arg)
{
    r->stopped = stopped;
    r->stopped_arg = arg;
    if (r->service)
        recache_stop(r->service, on_service_stopped, r);
    else
        on_service_stopped(r);
}

void recaching_done(recaching *r)
{
    recache_free(r->service);
    if (r->loop)
        arena_done(&r->arena);
}
