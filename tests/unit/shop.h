/* What tests of the sources' service share: a real store in a scratch folder, a loop on a fake clock, a GitHub that
 * lives in the test, and what search would be told. A test program includes it once. */
#ifndef LARDER_TESTS_SHOP_H
#define LARDER_TESTS_SHOP_H

#include "domains/sources/service.h"
#include "fake_github.h"
#include "larder/json.h"
#include "larder/log.h"
#include "larder/record.h"
#include "peer.h"
#include "store_fixture.h"

#define SHOP_NOW INT64_C(1768472430000) /* Thu, 15 Jan 2026 10:20:30 GMT */
#define SHOP_INTERVAL HOURS(6)

typedef struct shown { /* what search has learnt */
    char *id, *name;
    unsigned type;
    int64_t updated_at;
} shown;

typedef struct shop {
    fake_clk clock;
    loop *loop;
    char dir[64];
    store *store;
    github github;
    sources *sources;
    sources_options options;
    shown *shown;
    size_t n_shown, cap_shown;
    unsigned told, reindexed; /* batches, and calls of on_reindex */
    bool closed, stopped;
} shop;

static keyspace *const shop_keyspaces[] = {&sources_ks, &entries_ks, &validators_ks};

/* ---- search ---- */
static inline shown *shop_shown(shop *w, str id)
{
    for (size_t i = 0; i < w->n_shown; i++)
        if (str_eq(str_c(w->shown[i].id), id))
            return &w->shown[i];
    return NULL;
}

static inline void shop_hide(shop *w, shown *s)
{
    free(s->id);
    free(s->name);
    *s = w->shown[--w->n_shown];
}

static inline void shop_show(shop *w, str id, str name, unsigned type, int64_t updated_at)
{
    shown *s = shop_shown(w, id);
    if (s)
        shop_hide(w, s);
    if (w->n_shown == w->cap_shown) {
        w->cap_shown = w->cap_shown ? w->cap_shown * 2 : 64;
        w->shown = realloc(w->shown, w->cap_shown * sizeof(*w->shown));
        assert_non_null(w->shown);
    }
    w->shown[w->n_shown++] = (shown){strndup(id.p, id.n), strndup(name.p, name.n), type, updated_at};
}

static inline void shop_on_entries(void *arg, const entry_change *changes, size_t n)
{
    shop *w = arg;
    assert_in_range(n, 1, SOURCES_BATCH);
    w->told++;
    for (size_t i = 0; i < n; i++) {
        shown *s = shop_shown(w, changes[i].id);
        if (changes[i].live)
            shop_show(w, changes[i].id, changes[i].name, artifact_type_number(changes[i].type), changes[i].updated_at);
        else if (s)
            shop_hide(w, s);
    }
}

static inline int shop_learn(void *arg, const entry_live *e)
{
    shop_show(arg, e->id, e->name, e->type, e->updated_at);
    return 0;
}

/* As after a start: what search would learn from the store. */
static inline void shop_relearn(shop *w)
{
    while (w->n_shown > 0)
        shop_hide(w, &w->shown[0]);
    store_view *v = store_read_begin(w->store);
    assert_int_equal(entries_live_each(v, shop_learn, w), 0);
    store_read_end(v);
}

static inline void shop_on_reindex(void *arg)
{
    shop *w = arg;
    w->reindexed++;
    shop_relearn(w);
}

/* ---- life ---- */
static inline void shop_on_closed(void *arg)
{
    *(bool *)arg = true;
}

static inline void shop_open_store(shop *w, uint64_t max_size)
{
    const store_options o = {.dir = w->dir,
                             .max_size = max_size,
                             .keyspaces = shop_keyspaces,
                             .n_keyspaces = COUNT_OF(shop_keyspaces),
                             .schema_version = 1,
                             .probe_ms = 20};
    str why = STR_NULL;
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    if (store_open(&o, w->loop, &a, &w->store, &why) < 0)
        fail_msg("store_open: " STR_FMT, STR_ARG(why));
    w->options.store = w->store;
}

static inline void shop_open_sources(shop *w)
{
    w->stopped = false;
    assert_int_equal(sources_new(&w->options, &w->sources), 0);
    assert_int_equal(sources_start(w->sources), 0);
}

static inline void shop_open(shop *w)
{
    *w = (shop){0};
    log_setup(LOG_ERROR, LOG_TEXT);
    fake_clk_init(&w->clock, SHOP_NOW);
    random_seed_for_tests(1);
    scratch_folder(w->dir);
    assert_int_equal(loop_new(&w->clock.base, 2, &w->loop), 0);
    fake_init(&w->github, w->loop);
    w->options = (sources_options){.loop = w->loop,
                                   .github = &w->github,
                                   .rescan_interval_ms = SHOP_INTERVAL,
                                   .concurrency = 3,
                                   .max_entries = 10000,
                                   .max_archive_bytes = 16 << 20,
                                   .on_entries = shop_on_entries,
                                   .on_reindex = shop_on_reindex,
                                   .arg = w};
    shop_open_store(w, 64 * MIB);
    shop_open_sources(w);
}

static inline void shop_begin_stop(shop *w)
{
    sources_stop(w->sources, shop_on_closed, &w->stopped);
    assert_false(w->stopped); /* only later */
}

static inline void shop_end_stop(shop *w)
{
    peer_run_until(w->loop, w->stopped);
    assert_true(list_empty(&w->github.asks));
    sources_free(w->sources);
    w->sources = NULL;
}

static inline void shop_stop(shop *w)
{
    shop_begin_stop(w);
    shop_end_stop(w);
}

static inline void shop_close_store(shop *w)
{
    w->closed = false;
    store_close(w->store, shop_on_closed, &w->closed);
    peer_run_until(w->loop, w->closed);
    w->store = NULL;
}

static inline void shop_restart(shop *w)
{
    shop_stop(w);
    shop_close_store(w);
    shop_open_store(w, 64 * MIB);
    shop_relearn(w);
    shop_open_sources(w);
}

static inline void shop_close(shop *w)
{
    mem_fail_at(-1);
    if (w->sources)
        shop_stop(w);
    if (w->store) {
        assert_int_equal(check_faults(w->store, NULL), 0);
        shop_close_store(w);
    }
    fake_done(&w->github);
    while (w->n_shown > 0)
        shop_hide(w, &w->shown[0]);
    free(w->shown);
    loop_close_idle(w->loop);
    assert_int_equal(loop_run(w->loop), 0); /* nothing of ours is left alive */
    loop_free(w->loop);
    remove_folder(w->dir);
    random_seed_for_tests(0);
}

/* ---- time ---- */
/* Nothing goes on that needs no time: scans may wait for quota or room, the timer for what is due later. */
static inline bool shop_is_due(const shop *w, const timer *t)
{
    return timer_is_set(t) && t->due <= w->clock.mono_ns / 1000000;
}

static inline bool shop_is_idle(const shop *w)
{
    const sources *s = w->sources;
    if (s->running > 0 || s->marking || !list_empty(&s->tasks) || !list_empty(&s->queue))
        return false;
    for (list *l = s->active.next; l != &s->active; l = l->next)
        if (!timer_is_set(&CONTAINER_OF(l, scan, link)->wait))
            return false;
    return !shop_is_due(w, &s->rescan) && !shop_is_due(w, &s->deliver);
}

static inline void shop_settle(shop *w)
{
    peer_run_until(w->loop, shop_is_idle(w));
}

static inline void shop_pass(shop *w, int64_t ms)
{
    fake_clk_advance(&w->clock, ms);
    peer_turn(w->loop); /* what is due fires */
    shop_settle(w);
}

/* ---- errands: what a client asks for, and the end of the scan that follows ---- */
typedef struct errand {
    source_task task;
    shop *shop;
    arena arena;
    source_create create;
    source_update update;
    scan_waiter waiter;
    bool waits; /* for the scan too */
    unsigned done, ended;
    bool cut;           /* the scan had no result */
    scan_result result; /* without its texts */
    char error[300];    /* the first of its errors */
} errand;

static inline void errand_on_end(scan_waiter *waiter, const scan_result *result)
{
    errand *e = CONTAINER_OF(waiter, errand, waiter);
    e->ended++;
    e->cut = result == NULL;
    if (!result)
        return;
    e->result = *result;
    e->result.errors.v = NULL;
    if (result->errors.n > 0)
        snprintf(e->error, sizeof(e->error), STR_FMT, STR_ARG(result->errors.v[0]));
}

static inline void errand_on_done(source_task *t)
{
    errand *e = t->user;
    e->done++;
    if (t->ret_id.p)
        t->id = t->ret_id;
    if (t->status == 0 && e->waits) {
        e->waiter.on_end = errand_on_end;
        e->waits = sources_wait(e->shop->sources, t->id, &e->waiter);
    }
}

static inline void errand_begin(errand *e, shop *w, const char *id)
{
    *e = (errand){.shop = w};
    arena_init(&e->arena, 0);
    e->task = (source_task){.arena = &e->arena, .id = str_c(id), .on_done = errand_on_done, .user = e};
}

static inline const json_value *errand_body(errand *e, const schema *s, const char *body, void *out)
{
    const json_value *v;
    schema_error err = {0};
    assert_int_equal(json_parse(&e->arena, str_c(body), &v, NULL), 0);
    if (schema_decode(s, &e->arena, v, 0, out, &err) < 0)
        fail_msg("%s: " STR_FMT, body, STR_ARG(err.text));
    const json_value *map = json_get(v, "manual_map");
    return json_is(map, JSON_NULL) ? NULL : map;
}

static inline void errand_create(errand *e, shop *w, const char *body)
{
    errand_begin(e, w, NULL);
    e->task.manual_map = errand_body(e, &source_create_schema, body, &e->create);
    e->task.create = &e->create;
    sources_create(w->sources, &e->task);
    assert_int_equal(e->done, 0); /* only later */
}

static inline void errand_change(errand *e, shop *w, const char *id, const char *body)
{
    errand_begin(e, w, id);
    e->task.manual_map = errand_body(e, &source_update_schema, body, &e->update);
    e->task.update = &e->update;
    sources_change(w->sources, &e->task);
    assert_int_equal(e->done, 0);
}

static inline void errand_rescan(errand *e, shop *w, const char *id)
{
    errand_begin(e, w, id);
    sources_rescan(w->sources, &e->task);
    assert_int_equal(e->done, 0);
}

static inline void errand_remove(errand *e, shop *w, const char *id)
{
    errand_begin(e, w, id);
    sources_remove(w->sources, &e->task);
    assert_int_equal(e->done, 0);
}

static inline int errand_wait(errand *e)
{
    peer_run_until(e->shop->loop, e->done > 0);
    assert_int_equal(e->done, 1);
    return e->task.status;
}

static inline void errand_end(errand *e)
{
    assert_int_equal(e->done, 1);
    if (e->waits)
        sources_wait_cancel(&e->waiter);
    arena_done(&e->arena);
}

/* ---- the whole of it ---- */
static inline int shop_create(shop *w, const char *body)
{
    errand e;
    errand_create(&e, w, body);
    const int r = errand_wait(&e);
    errand_end(&e);
    shop_settle(w);
    return r;
}

static inline int shop_change(shop *w, const char *id, const char *body)
{
    errand e;
    errand_change(&e, w, id, body);
    const int r = errand_wait(&e);
    errand_end(&e);
    return r;
}

static inline int shop_remove(shop *w, const char *id)
{
    errand e;
    errand_remove(&e, w, id);
    const int r = errand_wait(&e);
    errand_end(&e);
    shop_settle(w);
    return r;
}

/* A rescan that is waited for, without time passing. */
static inline scan_result shop_rescan(shop *w, const char *id)
{
    errand e;
    errand_rescan(&e, w, id);
    e.waits = true;
    assert_int_equal(errand_wait(&e), 0);
    peer_run_until(w->loop, e.ended > 0);
    assert_int_equal(e.ended, 1);
    assert_false(e.cut);
    const scan_result r = e.result;
    e.waits = false;
    errand_end(&e);
    shop_settle(w);
    return r;
}

/* A copy in `a`; fails without it. */
static inline source shop_source(shop *w, arena *a, const char *id)
{
    store_view *v = store_read_begin(w->store);
    source found = {0}, s = {0};
    buf b = BUF_INIT;
    assert_int_equal(source_load(v, a, str_c(id), &found), 0);
    record_encode(&source_schema, &found, &b);
    assert_int_equal(record_decode(&source_schema, a, arena_dup(a, buf_view(&b)), &s), 0);
    buf_done(&b);
    store_read_end(v);
    return s;
}

static inline bool shop_has(shop *w, const char *id)
{
    store_view *v = store_read_begin(w->store);
    const bool has = store_has(v, &sources_ks, str_c(id));
    store_read_end(v);
    return has;
}

/* "type name path status" of all entries of a source, by type, then path; in `a`. */
static inline int shop_compare_lines(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static inline str shop_catalogue(shop *w, arena *a, const char *id)
{
    const entry_filter all = {.max_confidence = 100, .include_excluded = true};
    entry_page page;
    buf b = BUF_INIT;
    store_view *v = store_read_begin(w->store);
    assert_int_equal(entries_list(v, a, str_c(id), &all, ENTRY_SORT_NAME, false, STR_NULL, 5000, &page), 0);
    str *lines = arena_array(a, str, page.n);
    for (size_t i = 0; i < page.n; i++)
        lines[i] =
            arena_printf(a, STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT "\n", STR_ARG(page.items[i].artifact_type),
                         STR_ARG(page.items[i].name), STR_ARG(page.items[i].path), STR_ARG(page.items[i].status));
    store_read_end(v);
    qsort(lines, page.n, sizeof(*lines), shop_compare_lines);
    for (size_t i = 0; i < page.n; i++)
        buf_str(&b, lines[i]);
    const str text = arena_dup(a, b.n ? buf_view(&b) : STR(""));
    buf_done(&b);
    return text;
}

#define assert_catalogue(w, id, wanted)                         \
    do {                                                        \
        arena shop_arena;                                       \
        arena_init(&shop_arena, 0);                             \
        assert_str(shop_catalogue(w, &shop_arena, id), wanted); \
        arena_done(&shop_arena);                                \
    } while (0)

#define assert_status(w, id, wanted)                                     \
    do {                                                                 \
        arena shop_arena;                                                \
        arena_init(&shop_arena, 0);                                      \
        assert_str(shop_source(w, &shop_arena, id).scan_status, wanted); \
        arena_done(&shop_arena);                                         \
    } while (0)

/* What search was told from change to change is what it would learn from the store now. */
static inline void assert_shown_is_stored(shop *w)
{
    shop fresh = {.store = w->store};
    shop_relearn(&fresh);
    assert_int_equal(w->n_shown, fresh.n_shown);
    for (size_t i = 0; i < fresh.n_shown; i++) {
        const shown *s = shop_shown(w, str_c(fresh.shown[i].id));
        assert_non_null(s);
        assert_string_equal(s->name, fresh.shown[i].name);
        assert_int_equal(s->type, fresh.shown[i].type);
        assert_int_equal(s->updated_at, fresh.shown[i].updated_at);
    }
    while (fresh.n_shown > 0)
        shop_hide(&fresh, &fresh.shown[0]);
    free(fresh.shown);
}

#endif
