/* The service's life: configuration, heartbeat, beginning and ending. */
#include "service.h"

#include <stdio.h>

#define PUMP_SLICE 16 /* entries begun in a turn of the loop */
#define HOLD_MS SECONDS(1) /* doubled while pages are rendered for nothing.. */
#define HOLD_MAX_MS SECONDS(30)

/* ---- configuration ---- */
static int check_options(const recache_options *o)
{
    if (o->max_in_flight < 1 || o->max_attempts < 1 || o->retry_base_ms < 0 || o->timeout_per_url_ms < 1 ||
        o->max_fetches < 0 || o->tick_ms < 1 || o->max_dead_letters < 1)
        return -EINVAL;
    return recache_hosts_check(o->hosts, o->n_hosts);
}

int settings_new(const recache_options *o, settings **ret_config)
{
    int r = check_options(o);
    settings *c = r < 0 ? NULL : mem_new(settings);

    if (!c)
        return r < 0 ? r : -ENOMEM;
    c->refs = 1;
    c->o = *o;
    c->n_hosts = o->n_hosts;
    arena_init(&c->arena, 0);
    r = recache_hosts_copy(&c->arena, o->hosts, o->n_hosts, &c->hosts);
    if (r < 0) {
        settings_unref(c);
        return r;
    }
    c->o.hosts = c->hosts;
    *ret_config = c;
    return 0;
}

void settings_unref(settings *c)
{
    if (!c || --c->refs > 0)
        return;
    arena_done(&c->arena);
    mem_free(c);
}

const recache_host *recache_host_by_id(const recache *r, int64_t id)
{
    for (size_t i = 0; i < r->config->n_hosts; i++)
        if (r->config->hosts[i].id == id)
            return &r->config->hosts[i];
    return NULL;
}

const recache_host *recache_hosts(const recache *r, size_t *ret_n)
{
    *ret_n = r->config->n_hosts;
    return r->config->hosts;
}

int recache_configure(recache *r, const recache_options *o)
{
    recache_options merged = *o;
    const recache_options *old = &r->config->o;
    settings *c = NULL;

    merged.store = old->store;
    merged.loop = old->loop;
    merged.renderer = old->renderer;
    merged.pages_dir = old->pages_dir;
    int err = settings_new(&merged, &c);
    if (err == 0)
        err = rota_configure(r, c);
    if (err < 0) {
        settings_unref(c);
        return err;
    }
    settings_unref(r->config);
    r->config = c;
    rota_check_again(r);
    rota_wake_all(r);
    return 0;
}

/* ---- beginning work ---- */
static void on_pump(timer *t);

/* False: not running, or no memory, and then the tick comes by. */
static bool pump_in(recache *r, int64_t delay)
{
    return r->started && !r->stopping && loop_timer_set(r->config->o.loop, &r->pump, delay, on_pump) == 0;
}

void recache_pump(recache *r)
{
    if (!r->pump_soon)
        r->pump_soon = pump_in(r, 0);
}

void recache_hold(recache *r)
{
    const int64_t now = loop_now_mono_ms(r->config->o.loop);

    if (now < r->hold_until) /* what was under way when it began */
        return;
    r->hold_ms = r->hold_ms == 0 ? HOLD_MS : r->hold_ms * 2 < HOLD_MAX_MS ? r->hold_ms * 2 : HOLD_MAX_MS;
    r->hold_until = now + r->hold_ms;
}

/* LOOKED: at as many entries as a pump may, and there are more. */
typedef enum pumped { PUMPED_ONE, PUMPED_LOOKED, PUMPED_FULL, PUMPED_NOTHING_DUE, PUMPED_TROUBLE } pumped;

static bool may_render_now(const recache *r)
{
    const recache_renderer *renderer = &r->config->o.renderer;

    return renderer->capacity(renderer->arg).available > 0;
}

static bool may_fetch_now(const recache *r)
{
    return r->fetching < r->config->o.max_fetches;
}

static pumped begin_one(recache *r)
{
    const bool may_render = may_render_now(r), may_fetch = may_fetch_now(r);
    pick p;

    if (!store_is_writable(r->store)) /* what is rendered now could not be kept */
        return PUMPED_TROUBLE;
    if (r->in_flight >= r->config->o.max_in_flight)
        return PUMPED_FULL;
    int err = may_render || may_fetch ? rota_pick(r, may_render, may_fetch, &p) : -ENOENT;
    if (err == -ENOENT && !may_render) /* what is refused needs no tab */
        err = rota_pick_refused(r, &p);
    if (err == -EAGAIN)
        return PUMPED_LOOKED;
    if (err == -ENOENT)
        return may_render || may_fetch ? PUMPED_NOTHING_DUE : PUMPED_FULL;
    if (err < 0)
        return PUMPED_TROUBLE;
    err = work_begin(r, &p);
    if (err < 0) /* it is in no window any more */
        rota_wake(r, p.site->id);
    return err == 0 ? PUMPED_ONE : err == -EBUSY ? PUMPED_FULL : PUMPED_TROUBLE;
}

static void on_pump(timer *t)
{
    recache *r = CONTAINER_OF(t, recache, pump);
    const int64_t now = loop_now_mono_ms(r->config->o.loop), held = r->hold_until - now;
    pumped p = PUMPED_ONE;

    r->pump_soon = false;
    if (r->paused || r->stopping)
        return;
    if (held > 0) {
        (void)pump_in(r, held);
        return;
    }
    rota_turn(r);
    for (unsigned n = 0; n < PUMP_SLICE && p == PUMPED_ONE; n++)
        p = begin_one(r);
    if (p == PUMPED_TROUBLE) {
        r->hold_until = now + HOLD_MS;
        (void)pump_in(r, HOLD_MS);
    } else if (p == PUMPED_ONE || p == PUMPED_LOOKED || (p == PUMPED_NOTHING_DUE && r->lacks_reads)) {
        recache_pump(r);
    } else if (p == PUMPED_NOTHING_DUE) {
        const int64_t delay = rota_delay(r, may_render_now(r), may_fetch_now(r));
        if (delay < r->config->o.tick_ms)
            (void)pump_in(r, delay);
    }
}

static void on_tick(timer *t)
{
    recache *r = CONTAINER_OF(t, recache, tick);
    loop *l = r->config->o.loop;

    r->figures.last_tick = loop_now_wall_ms(l);
    keep_tick(r);
    recache_pump(r);
    (void)loop_timer_set(l, &r->tick, r->config->o.tick_ms, on_tick); /* it has its place in the heap */
}

void recache_poke(recache *r)
{
    recache_pump(r);
}

/* ---- life ---- */
static int take_pages_dir(recache *r, str dir)
{
    r->pages_dir = mem_strndup(dir.p, dir.n);
    return r->pages_dir ? page_folders_make(dir) : -ENOMEM;
}

int recache_new(const recache_options *o, recache **ret_recache)
{
    recache *r = mem_new(recache);

    if (!r)
        return -ENOMEM;
    r->store = o->store;
    list_init(&r->working);
    list_init(&r->changes);
    list_init(&r->sitemaps);
    for (size_t i = 0; i < WORK_BUCKETS; i++)
        list_init(&r->buckets[i]);
    int err = settings_new(o, &r->config);
    if (err == 0)
        err = take_pages_dir(r, o->pages_dir);
    if (err == 0)
        err = rota_configure(r, r->config);
    if (err < 0) {
        recache_free(r);
        return err;
    }
    r->last_number = (uint64_t)loop_now_wall_ms(o->loop) * 1000;
    *ret_recache = r;
    return 0;
}

static void on_warm(store_op *op, int status)
{
    recache *r = CONTAINER_OF(op, recache, warm_up);

    (void)status; /* then the first who needs it tries again */
    r->warms_up = false;
    recache_check_stopped(r);
}

static void warm_up(recache *r)
{
    r->warms_up = true;
    r->warm_up = (store_op){.apply = queue_warm_up_apply, .done = on_warm};
    store_submit(r->store, &r->warm_up);
}

int recache_start(recache *r)
{
    loop *l = r->config->o.loop;
    store_view *v = store_read_begin(r->store);

    r->paused = facts_paused(v);
    if (store_count(v, &recache_queue_ks) > 0)
        warm_up(r);
    store_read_end(v);
    const int err = loop_timer_set(l, &r->tick, 0, on_tick);
    r->started = err == 0;
    rota_check_again(r);
    return err;
}

static void on_stopped(post *p)
{
    recache *r = CONTAINER_OF(p, recache, stop);

    r->stopped(r->stopped_arg);
}

void recache_check_stopped(recache *r)
{
    const bool idle =
        r->in_flight == 0 && !r->warms_up && list_empty(&r->changes) && list_empty(&r->sitemaps) && keep_is_idle(r);

    if (!r->stopping || r->told_stopped || !idle)
        return;
    r->told_stopped = true;
    r->stop.fn = on_stopped;
    loop_post(r->config->o.loop, &r->stop);
}

void recache_stop(recache *r, void (*stopped)(void *arg), void *arg)
{
    r->stopping = true;
    r->stopped = stopped;
    r->stopped_arg = arg;
    loop_timer_cancel(r->config->o.loop, &r->tick);
    loop_timer_cancel(r->config->o.loop, &r->pump);
    for (list *l = r->working.next; l != &r->working; l = l->next)
        work_cancel(CONTAINER_OF(l, work, link));
    sitemaps_cancel(r);
    recache_check_stopped(r);
}

void recache_free(recache *r)
{
    if (!r)
        return;
    rota_done(r);
    settings_unref(r->config);
    mem_free(r->pages_dir);
    mem_free(r);
}

/* ---- figures ---- */
recache_figures recache_figures_of(recache *r)
{
    const recache_options *o = &r->config->o;
    recache_figures f = r->figures;
    store_view *v = store_read_begin(r->store);

    f.paused = r->paused;
    f.in_flight = r->in_flight - r->answered;
    f.storing = r->answered;
    f.max_in_flight = o->max_in_flight;
    f.capacity = o->renderer.capacity(o->renderer.arg);
    f.pages_bytes = page_bytes(v);
    store_read_end(v);
    return f;
}

int64_t recache_under_way(recache *r, uint32_t host)
{
    int64_t n = 0;

    for (list *l = r->working.next; l != &r->working; l = l->next)
        n += CONTAINER_OF(l, work, link)->e.host == host;
    return n;
}

const recache_durations *recache_durations_of(const recache *r)
{
    return &r->durations;
}
