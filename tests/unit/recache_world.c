/* See recache_world.h. */
#include "unit.h"

#include "recache_world.h"

#include <stdio.h>

/* ---- the renderer ---- */
static int start(void *arg, render_op *op)
{
    recache_world *w = arg;
    static const world_answer NONE_GIVEN = {0};
    struct world_tab *tab = &w->under_way[w->n_under_way];
    unsigned rendering = 0;

    for (unsigned i = 0; i < w->n_under_way; i++)
        rendering += !w->under_way[i].bypass;
    if ((!op->bypass && rendering >= w->tabs) || w->n_under_way == WORLD_TABS_MAX) {
        w->busy++;
        return -EBUSY;
    }
    arena_init(&op->arena, 0);
    op->result = RENDER_OK;
    *tab = (struct world_tab){.op = op, .bypass = op->bypass, .answer = NONE_GIVEN};
    tab->answer = w->decide ? w->decide(w, op) : w->answer;
    tab->ends_at = clk_mono_ms(&w->clock.base) + tab->answer.takes_ms;
    w->n_under_way++;
    w->started++;
    rendering += !op->bypass;
    if (rendering > w->most_under_way)
        w->most_under_way = rendering;
    unsigned host = 0;
    if (sscanf(op->url.p, "https://www.%u.", &host) == 1 && host < COUNT_OF(w->starts_of))
        w->starts_of[host]++;
    return 0;
}

static void no_op(render_op *op)
{
    (void)op;
}

static recache_world *the_world; /* cancel has no arg of its own */

static void cancel(render_op *op)
{
    for (unsigned i = 0; i < the_world->n_under_way; i++)
        if (the_world->under_way[i].op == op)
            the_world->under_way[i].cancelled = true;
}

static void op_done(render_op *op)
{
    arena_done(&op->arena);
}

static render_capacity capacity(void *arg)
{
    const recache_world *w = arg;
    unsigned rendering = 0;

    for (unsigned i = 0; i < w->n_under_way; i++)
        rendering += !w->under_way[i].bypass;
    const unsigned free_tabs = w->tabs > rendering ? w->tabs - rendering : 0;
    return (render_capacity){.all = w->tabs, .free = free_tabs, .available = free_tabs};
}

static void finish(recache_world *w, struct world_tab tab)
{
    render_op *op = tab.op;
    const str html = str_c(tab.answer.html ? tab.answer.html : "");
    int r = 0;

    op->result = tab.cancelled ? RENDER_CANCELLED : tab.answer.result;
    op->status = tab.answer.status;
    op->error_type = str_c(tab.answer.error_type);
    op->final_url = str_c(tab.answer.final_url);
    op->service_failed = tab.answer.service_failed;
    op->timed_out = op->result == RENDER_SOFT_TIMEOUT;
    if ((op->result == RENDER_OK || op->result == RENDER_SOFT_TIMEOUT) && html.n > 0) {
        r = op->on_piece(op, str_head(html, html.n / 2 + 1));
        if (r == 0 && html.n > 1)
            r = op->on_piece(op, str_from(html, html.n / 2 + 1));
        op->html_bytes = html.n;
    }
    if (r < 0)
        op->result = RENDER_CANCELLED;
    if (w->on_finish)
        w->on_finish(w, op);
    op->on_done(op);
}

static void let_end(recache_world *w)
{
    const int64_t now = clk_mono_ms(&w->clock.base);

    for (unsigned i = 0; i < w->n_under_way;) {
        struct world_tab tab = w->under_way[i];
        if (tab.ends_at > now && !tab.cancelled) {
            i++;
            continue;
        }
        w->under_way[i] = w->under_way[--w->n_under_way];
        finish(w, tab);
    }
    if (w->recache)
        recache_poke(w->recache);
}

/* ---- life ---- */
static const recache_dimension DIMENSIONS[] = {
    {.id = 0, .name = STR_INIT("bypass"), .action = RECACHE_BYPASS, .width = 1920, .height = 1080},
    {.id = 1, .name = STR_INIT("desktop"), .action = RECACHE_RENDER, .width = 1920, .height = 1080},
    {.id = 2, .name = STR_INIT("mobile"), .action = RECACHE_RENDER, .width = 400, .height = 800},
    {.id = 3, .name = STR_INIT("badbots"), .action = RECACHE_BLOCK},
};
static const int64_t STATUSES[] = {200, 301, 302, 307, 308, 404};

void world_begin(recache_world *w, size_t n_hosts)
{
    char dir[64];

    scratch_folder(dir);
    world_begin_in(w, n_hosts, dir);
}

void world_begin_in(recache_world *w, size_t n_hosts, const char *dir)
{
    static char names[64][32];
    static str domains[64];

    memset(w, 0, sizeof(*w));
    the_world = w;
    snprintf(w->dir, sizeof(w->dir), "%s", dir);
    snprintf(w->pages, sizeof(w->pages), "%s/pages", w->dir);
    fake_clk_init(&w->clock, WORLD_NOW);
    w->n_hosts = n_hosts;
    w->store_size = 4096 * MIB;
    w->tabs = 10;
    w->step_ms = 20;
    w->answer = (world_answer){.result = RENDER_OK, .status = 200, .html = "<html>hello</html>", .takes_ms = 100};
    for (size_t i = 0; i < n_hosts; i++) {
        snprintf(names[i], sizeof(names[i]), "www.%zu.example", i + 1);
        domains[i] = str_c(names[i]);
        w->hosts[i] = (recache_host){
            .id = (uint32_t)i + 1,
            .domains = {&domains[i], 1},
            .dimensions = DIMENSIONS,
            .n_dimensions = COUNT_OF(DIMENSIONS),
            .ttl_ms = HOURS(24),
            .stale_ttl_ms = HOURS(1),
            .bypass_ttl_ms = HOURS(2),
            .hit_interval_ms = HOURS(12),
            .burst = 1,
            .status_codes = STATUSES,
            .n_status_codes = COUNT_OF(STATUSES),
            .tracking = recache_tracking_default,
        };
    }
    w->options = (recache_options){
        .renderer = {start, no_op, no_op, cancel, op_done, capacity, w},
        .hosts = w->hosts,
        .n_hosts = n_hosts,
        .tick_ms = 1000,
        .max_in_flight = 1000,
        .max_attempts = 3,
        .retry_base_ms = 5000,
        .timeout_per_url_ms = 60000,
        .max_fetches = 10,
        .max_dead_letters = 1000000,
    };
    assert_int_equal(loop_new(&w->clock.base, 2, &w->loop), 0);
    world_start(w);
}

void world_start(recache_world *w)
{
    static keyspace *const spaces[] = {&recache_queue_ks, &recache_dead_ks, &recache_pages_ks, &recache_facts_ks};
    const store_options o = {.dir = w->dir,
                             .max_size = w->store_size,
                             .keyspaces = spaces,
                             .n_keyspaces = COUNT_OF(spaces),
                             .schema_version = 1};
    str why = STR_NULL;
    arena a;

    arena_init(&a, 0);
    assert_int_equal(store_open(&o, w->loop, &a, &w->store, &why), 0);
    arena_done(&a);
    w->options.store = w->store;
    w->options.loop = w->loop;
    w->options.pages_dir = str_c(w->pages);
    w->options.n_hosts = w->n_hosts;
    assert_int_equal(recache_new(&w->options, &w->recache), 0);
    assert_int_equal(recache_start(w->recache), 0);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void close_store(recache_world *w)
{
    w->closed = false;
    store_close(w->store, set_flag, &w->closed);
    while (!w->closed)
        loop_run_once(w->loop, false);
    w->store = NULL;
}

void world_stop(recache_world *w)
{
    w->stopped = false;
    recache_stop(w->recache, set_flag, &w->stopped);
    for (int i = 0; i < 100000 && !w->stopped; i++)
        world_turn(w, 0);
    assert_true(w->stopped);
    recache_free(w->recache);
    w->recache = NULL;
    close_store(w);
}

void world_leave(recache_world *w)
{
    if (w->recache)
        world_stop(w);
    loop_close_idle(w->loop);
    while (loop_run_once(w->loop, false) > 0) {}
    loop_free(w->loop);
}

void world_end(recache_world *w)
{
    world_leave(w);
    remove_folder(w->dir);
}

/* Files and commits take real time: the clock stands still meanwhile. */
static void let_settle(recache_world *w)
{
    for (int i = 0; i < 3; i++)
        loop_run_once(w->loop, false);
    while (w->recache && recache_figures_of(w->recache).storing > 0)
        loop_run_once(w->loop, true);
}

void world_turn(recache_world *w, int64_t ms)
{
    do {
        const int64_t step = ms < w->step_ms ? ms : w->step_ms;
        let_settle(w);
        let_end(w);
        let_settle(w);
        fake_clk_advance(&w->clock, step);
        ms -= step;
    } while (ms > 0);
}

int64_t world_queued(recache_world *w)
{
    store_view *v = store_read_begin(w->store);
    const int64_t n = (int64_t)store_count(v, &recache_queue_ks);

    store_read_end(v);
    return n;
}

bool world_drain(recache_world *w, int64_t ms)
{
    for (int64_t t = 0; t < ms; t += w->step_ms) {
        if (world_queued(w) == 0 && w->n_under_way == 0)
            return true;
        world_turn(w, w->step_ms);
    }
    return false;
}

/* ---- tasks ---- */
void world_task_ended(recache_task *t)
{
    *(bool *)t->user = true;
}

int world_task(recache_world *w, recache_task *t, world_task_fn fn)
{
    arena own;
    bool done = false;
    const bool has_arena = t->arena != NULL;

    arena_init(&own, 0);
    if (!has_arena)
        t->arena = &own;
    t->on_done = world_task_ended;
    t->user = &done;
    fn(w->recache, t);
    assert_false(done);
    for (int i = 0; i < 2000000 && !done; i++)
        loop_run_once(w->loop, false);
    assert_true(done);
    if (!has_arena) {
        arena_done(&own);
        t->arena = NULL;
    }
    return t->status;
}

int world_enqueue(recache_world *w, int64_t host, const char *url, uint16_t dimension, recache_priority p)
{
    const str urls[] = {str_c(url)};
    recache_task t = {
        .host_id = host, .urls = {urls, 1}, .dimensions = &dimension, .n_dimensions = 1, .priority = p};

    const int r = world_task(w, &t, recache_enqueue);
    return r < 0 ? r : (int)(t.accepted - t.deduplicated);
}

int world_page(recache_world *w, int64_t host, const char *url, uint16_t dimension, arena *a, recache_page *ret_page)
{
    store_view *v = store_read_begin(w->store);
    recache_page p = {0};
    recache_url u;
    str why;

    assert_int_equal(recache_url_parse(a, str_c(url), recache_tracking_default, &u, &why), 0);
    const int r = recache_page_load(v, a, (uint32_t)host, dimension, u.hash, &p);
    if (r == 0)
        *ret_page = p;
    store_read_end(v);
    return r;
}

int64_t world_dead(recache_world *w, int64_t host)
{
    store_view *v = store_read_begin(w->store);
    const int64_t n = recache_dead_count(v, (uint32_t)host);

    store_read_end(v);
    return n;
}
