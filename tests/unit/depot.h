/* What tests of the projects' service share: a real store in a scratch folder, a loop on a fake clock, a GitHub and a
 * disk that live in the test, a catalogue, and what others were told. A test program includes it once, and must not
 * link the real rooms of GitHub and discovery otherwise. */
#ifndef LARDER_TESTS_DEPOT_H
#define LARDER_TESTS_DEPOT_H

#include <sched.h>
#include <stdatomic.h>

#include "domains/artifacts/refresh.h"
#include "fake_github.h"
#include "larder/log.h"
#include "larder/record.h"
#include "peer.h"
#include "store_fixture.h"

#define DEPOT_NOW INT64_C(1768472430000) /* Thu, 15 Jan 2026 10:20:30 GMT */
#define DEPOT_INTERVAL HOURS(6)

/* ---- a disk: folders that are projects; changed by tests only while no job runs. With DEPOT_REAL_DISK: none ---- */
typedef struct fake_folder {
    char path[200];
    found_artifact artifacts[8];
    size_t n;
    bool is_gone;
    int error;       /* of reading it */
    const char *why; /* what of it cannot be read */
    bool misses_folders, misses_lineage;
    unsigned reads;
} fake_folder;
static fake_folder fake_disk[64];
static size_t fake_disk_n;
static bool fake_root_is_there = true;

#ifndef DEPOT_REAL_DISK
bool discover_notices(str name)
{
    return name.n > 0;
}

bool discover_is_profile(str name)
{
    return name.n > 0;
}

bool discover_leads_on(str name)
{
    return name.n > 0;
}

int discover_folders_of(arena *a, str path, strs *ret_folders)
{
    (void)a, (void)path;
    *ret_folders = (strs){0};
    return 0;
}

int discover_projects(arena *a, str root, strs *ret_paths, strs *ret_folders, str *ret_why)
{
    str *v = arena_array(a, str, COUNT_OF(fake_disk));
    size_t n = 0;

    if (!v)
        return -ENOMEM;
    for (size_t i = 0; i < fake_disk_n && fake_root_is_there; i++)
        if (!fake_disk[i].is_gone && str_starts(str_c(fake_disk[i].path), root))
            v[n++] = str_c(fake_disk[i].path);
    *ret_paths = (strs){v, n};
    *ret_folders = (strs){0};
    *ret_why = fake_root_is_there ? STR_NULL : STR("the root is not there");
    return 0;
}

static atomic_bool fake_disk_is_slow; /* until it is set back, on the loop, no folder has been read */

int discover_read(arena *a, str root, str path, found_project *ret_project)
{
    while (atomic_load(&fake_disk_is_slow))
        (void)sched_yield();
    for (size_t i = 0; i < fake_disk_n; i++) {
        fake_folder *f = &fake_disk[i];
        if (!str_eq(str_c(f->path), path))
            continue;
        if (f->is_gone || !str_starts(path, root))
            return -ENOENT;
        f->reads++;
        if (f->error)
            return f->error;
        *ret_project = (found_project){.path = str_c(f->path),
                                       .name = str_from(path, (size_t)str_rchr(path, '/') + 1),
                                       .artifacts = arena_array(a, found_artifact, COUNT_OF(f->artifacts)),
                                       .n = f->n,
                                       .misses_folders = f->misses_folders,
                                       .misses_lineage = f->misses_lineage,
                                       .why = str_c(f->why)};
        if (!ret_project->artifacts)
            return -ENOMEM;
        memcpy(ret_project->artifacts, f->artifacts, f->n * sizeof(*f->artifacts));
        return 0;
    }
    return -ENOENT;
}

#endif

static inline fake_folder *disk_add(const char *path)
{
    assert_true(fake_disk_n < COUNT_OF(fake_disk));
    fake_folder *f = &fake_disk[fake_disk_n++];
    *f = (fake_folder){0};
    snprintf(f->path, sizeof(f->path), "%s", path);
    return f;
}

static inline void disk_put(fake_folder *f, const char *name, const char *source, const char *version, const char *hash)
{
    f->artifacts[f->n++] = (found_artifact){.name = str_c(name),
                                            .type = STR("skill"),
                                            .path = STR(".claude/skills/x"),
                                            .source = str_c(source),
                                            .version = str_c(version),
                                            .content_hash = str_c(hash)};
}

/* ---- the depot ---- */
typedef struct depot {
    fake_clk clock;
    loop *loop;
    char dir[64];
    store *store;
    github github;
    projects *projects;
    projects_options options;
    bool closed, stopped;
    /* told */
    unsigned events[PROJECT_CHANGED + 1];
    unsigned batches;
    char last_outdated[80];
    int64_t most_running;
    struct depot_seen { /* of one project's refreshes */
        char id[80];
        unsigned n;
        bool runs;
        int64_t last, shortest, longest; /* gaps, ms */
    } seen[256];
    size_t n_seen;
    /* what the catalogue says of acme/listed */
    upstream_answer catalogue;
    unsigned catalogue_asked;
} depot;

static keyspace *const depot_keyspaces[] = {&projects_ks, &artifacts_ks, &project_changes_ks, &refresh_state_ks,
                                            &upstream_ks};
static str depot_roots[1];

static inline void depot_on_artifacts(void *arg, const artifact_change *changes, size_t n)
{
    depot *d = arg;
    (void)changes;
    assert_in_range(n, 1, PROJECTS_BATCH);
    d->batches++;
}

static inline struct depot_seen *depot_seen(depot *d, str id)
{
    for (size_t i = 0; i < d->n_seen; i++)
        if (str_eq(str_c(d->seen[i].id), id))
            return &d->seen[i];
    assert_true(d->n_seen < COUNT_OF(d->seen));
    struct depot_seen *s = &d->seen[d->n_seen++];
    *s = (struct depot_seen){.shortest = INT64_MAX};
    snprintf(s->id, sizeof(s->id), STR_FMT, STR_ARG(id));
    return s;
}

/* Never two at a time of one project. */
static inline void depot_see(depot *d, const projects_event *e)
{
    struct depot_seen *s = depot_seen(d, e->project_id);
    const int64_t now = d->clock.wall_ms;
    assert_true(s->runs == (e->kind == REFRESH_FINISHED));
    s->runs = e->kind == REFRESH_STARTED;
    if (s->runs && s->n++ > 0) {
        const int64_t gap = now - s->last;
        s->shortest = gap < s->shortest ? gap : s->shortest;
        s->longest = gap > s->longest ? gap : s->longest;
    }
    if (s->runs)
        s->last = now;
}

static inline void depot_on_event(void *arg, const projects_event *e)
{
    depot *d = arg;
    d->events[e->kind]++;
    if (e->project_id.p && (e->kind == REFRESH_STARTED || e->kind == REFRESH_FINISHED))
        depot_see(d, e);
    if (e->kind == ARTIFACT_OUTDATED)
        snprintf(d->last_outdated, sizeof(d->last_outdated), STR_FMT " " STR_FMT "->" STR_FMT,
                 STR_ARG(e->artifact_name), STR_ARG(e->deployed_version), STR_ARG(e->upstream_version));
    if ((int64_t)d->projects->running > d->most_running)
        d->most_running = d->projects->running;
}

static inline int depot_catalogue(void *arg, store_view *v, arena *a, str owner, str repo, str path, str ref,
                                  upstream_answer *ret_answer)
{
    depot *d = arg;
    (void)v, (void)a, (void)path, (void)ref;
    *ret_answer = (upstream_answer){0};
    if (str_eq(owner, STR("acme")) && str_eq(repo, STR("listed"))) {
        *ret_answer = d->catalogue;
        ret_answer->is_registered = true;
        d->catalogue_asked++;
    }
    return 0;
}

static inline void depot_on_closed(void *arg)
{
    *(bool *)arg = true;
}

static inline void depot_open_store(depot *d)
{
    const store_options o = {.dir = d->dir,
                             .max_size = 64 * MIB,
                             .keyspaces = depot_keyspaces,
                             .n_keyspaces = COUNT_OF(depot_keyspaces),
                             .schema_version = 1,
                             .probe_ms = 20};
    str why = STR_NULL;
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    if (store_open(&o, d->loop, &a, &d->store, &why) < 0)
        fail_msg("store_open: " STR_FMT, STR_ARG(why));
    d->options.store = d->store;
}

static inline void depot_open_projects(depot *d)
{
    d->stopped = false;
    assert_int_equal(projects_new(&d->options, &d->projects), 0);
    assert_int_equal(projects_start(d->projects), 0);
}

static inline void depot_open(depot *d)
{
    *d = (depot){0};
    fake_disk_n = 0;
    fake_root_is_there = true;
    depot_roots[0] = STR("/");
    log_setup(LOG_ERROR, LOG_TEXT);
    fake_clk_init(&d->clock, DEPOT_NOW);
    random_seed_for_tests(1);
    scratch_folder(d->dir);
    assert_int_equal(loop_new(&d->clock.base, 2, &d->loop), 0);
    fake_init(&d->github, d->loop);
    d->options = (projects_options){.loop = d->loop,
                                    .github = &d->github,
                                    .roots = depot_roots,
                                    .n_roots = 1,
                                    .refresh_interval_ms = DEPOT_INTERVAL,
                                    .ttl_ms = DEPOT_INTERVAL,
                                    .concurrency = 3,
                                    .catalogue = depot_catalogue,
                                    .on_artifacts = depot_on_artifacts,
                                    .on_event = depot_on_event,
                                    .arg = d};
    depot_open_store(d);
    depot_open_projects(d);
}

static inline void depot_begin_stop(depot *d)
{
    projects_stop(d->projects, depot_on_closed, &d->stopped);
    assert_false(d->stopped); /* only later */
}

static inline void depot_end_stop(depot *d)
{
    peer_run_until(d->loop, d->stopped);
    assert_true(list_empty(&d->github.asks));
    projects_free(d->projects);
    d->projects = NULL;
}

static inline void depot_restart(depot *d)
{
    depot_begin_stop(d);
    depot_end_stop(d);
    d->closed = false;
    store_close(d->store, depot_on_closed, &d->closed);
    peer_run_until(d->loop, d->closed);
    depot_open_store(d);
    depot_open_projects(d);
}

static inline void depot_close(depot *d)
{
    mem_fail_at(-1);
    if (d->projects) {
        depot_begin_stop(d);
        depot_end_stop(d);
    }
    assert_int_equal(check_faults(d->store, NULL), 0);
    d->closed = false;
    store_close(d->store, depot_on_closed, &d->closed);
    peer_run_until(d->loop, d->closed);
    fake_done(&d->github);
    loop_close_idle(d->loop);
    assert_int_equal(loop_run(d->loop), 0); /* nothing of ours is left alive */
    loop_free(d->loop);
    remove_folder(d->dir);
    random_seed_for_tests(0);
}

/* ---- time ---- */
/* Nothing goes on that needs no time. */
static inline bool depot_is_idle(const depot *d)
{
    const projects *p = d->projects;
    const int64_t mono = d->clock.mono_ns / 1000000;
    return p->running == 0 && !p->reread.is_on && !p->pump_is_posted && !p->notes_run && !p->sweeps && !p->large_runs &&
           list_empty(&p->tasks) && list_empty(&p->asked) && list_empty(&p->waiting) &&
           !p->all[0].is_on && !p->all[1].is_on &&
           list_empty(&p->upstream.questions) && list_empty(&p->dues) && !p->discovery && list_empty(&p->opening) &&
           (!timer_is_set(&p->discover) || p->discover.due > mono) && !timer_is_set(&p->deliver) &&
           timer_is_set(&p->look) && p->look.due > mono;
}

static inline void depot_settle(depot *d)
{
    peer_run_until(d->loop, depot_is_idle(d));
}

static inline void depot_pass(depot *d, int64_t ms)
{
    fake_clk_advance(&d->clock, ms);
    peer_turn(d->loop); /* what is due fires */
    depot_settle(d);
}

/* From one thing that is due to the next; returns how often something was. */
static inline unsigned depot_live(depot *d, int64_t ms)
{
    const int64_t end = d->clock.mono_ns / 1000000 + ms;
    unsigned steps = 0;

    depot_settle(d);
    for (;; steps++) {
        const int64_t now = d->clock.mono_ns / 1000000, look = d->projects->look.due;
        const timer *t = &d->projects->discover;
        const int64_t due = timer_is_set(t) && t->due < look ? t->due : look;
        depot_pass(d, due < end ? due - now : end - now);
        if (due >= end)
            return steps;
    }
}

/* ---- what is stored ---- */
static inline project depot_project(depot *d, arena *a, const char *id)
{
    project found = {0}, p = {0};
    buf b = BUF_INIT;
    store_view *v = store_read_begin(d->store);
    const int r = project_load(v, a, str_c(id), &found);
    assert_int_equal(r, 0);
    record_encode(&project_schema, &found, &b);
    assert_int_equal(record_decode(&project_schema, a, arena_dup(a, buf_view(&b)), &p), 0);
    buf_done(&b);
    store_read_end(v);
    return p;
}

static inline bool depot_has(depot *d, const char *id)
{
    store_view *v = store_read_begin(d->store);
    const bool has = store_has(v, &projects_ks, str_c(id));
    store_read_end(v);
    return has;
}

/* "name deployed upstream outdated" of all artifacts of a project, by id; in `a`. */
static inline str depot_artifacts(depot *d, arena *a, const char *id)
{
    const artifact_prefix prefix = artifact_prefix_of(str_c(id));
    store_view *v = store_read_begin(d->store);
    store_cursor *c;
    store_item item;
    buf b = BUF_INIT;
    assert_int_equal(store_walk(v, &artifacts_ks, STORE_BY_KEY, artifact_prefix_view(&prefix), STR_NULL, false, &c), 0);
    while (store_next(c, &item)) {
        artifact x = {0};
        assert_int_equal(record_decode(&artifact_schema, a, item.value, &x), 0);
        buf_printf(&b, STR_FMT " " STR_FMT " " STR_FMT "%s;", STR_ARG(x.name),
                   STR_ARG(x.deployed_version.p ? x.deployed_version : STR("-")),
                   STR_ARG(x.upstream_version.p ? x.upstream_version : STR("-")), x.is_outdated ? " outdated" : "");
    }
    store_cursor_end(c);
    store_read_end(v);
    const str text = arena_dup(a, b.n ? buf_view(&b) : STR(""));
    buf_done(&b);
    return text;
}

#define assert_artifacts(d, id, wanted)                           \
    do {                                                          \
        arena depot_arena;                                        \
        arena_init(&depot_arena, 0);                              \
        assert_str(depot_artifacts(d, &depot_arena, id), wanted); \
        arena_done(&depot_arena);                                 \
    } while (0)

/* ---- what clients ask for ---- */
typedef struct depot_task {
    project_task task;
    arena arena;
    project_report report;
    unsigned done;
} depot_task;

static inline void depot_on_task(project_task *t)
{
    ((depot_task *)t->user)->done++;
}

typedef struct deployed {
    const char *name, *source, *version, *hash, *upstream;
} deployed;

static inline int depot_report(depot *d, const char *id, const deployed *v, size_t n)
{
    depot_task k = {0};
    arena_init(&k.arena, 0);
    report_artifact *rows_v = arena_array(&k.arena, report_artifact, n);
    for (size_t i = 0; i < n; i++)
        rows_v[i] = (report_artifact){.name = str_c(v[i].name),
                                      .type = STR("skill"),
                                      .source = str_c(v[i].source),
                                      .deployed_version = str_c(v[i].version),
                                      .content_hash = str_c(v[i].hash),
                                      .upstream_version = str_c(v[i].upstream)};
    k.report = (project_report){.name = str_c(id), .path = STR("/ci"), .artifacts = {.v = rows_v, .n = n}};
    k.task =
        (project_task){.arena = &k.arena, .id = str_c(id), .report = &k.report, .on_done = depot_on_task, .user = &k};
    projects_report(d->projects, &k.task);
    peer_run_until(d->loop, k.done > 0);
    const int r = k.task.status;
    arena_done(&k.arena);
    return r;
}

static inline int64_t depot_invalidate(depot *d, const char *id)
{
    depot_task k = {0};
    arena_init(&k.arena, 0);
    k.task = (project_task){.arena = &k.arena, .id = str_c(id), .on_done = depot_on_task, .user = &k};
    projects_invalidate(d->projects, &k.task);
    peer_run_until(d->loop, k.done > 0);
    const int64_t r = k.task.status < 0 ? k.task.status : k.task.ret_count;
    arena_done(&k.arena);
    return r;
}

typedef struct wish { /* POST /refresh */
    refresh_task task;
    arena arena;
    unsigned done;
} wish;

static inline void wish_on_done(refresh_task *t)
{
    ((wish *)t->user)->done++;
}

static inline void wish_begin(wish *w, depot *d, const char *id, bool force)
{
    *w = (wish){0};
    arena_init(&w->arena, 0);
    w->task = (refresh_task){.arena = &w->arena, .id = str_c(id), .force = force, .on_done = wish_on_done, .user = w};
    projects_refresh(d->projects, &w->task);
    assert_int_equal(w->done, 0); /* only later */
}

static inline int wish_wait(wish *w, depot *d)
{
    peer_run_until(d->loop, w->done > 0);
    assert_int_equal(w->done, 1);
    return w->task.status;
}

static inline void wish_end(wish *w)
{
    arena_done(&w->arena);
}

/* The number refreshed; negative: the status. */
static inline int64_t depot_refresh(depot *d, const char *id, bool force)
{
    wish w;
    wish_begin(&w, d, id, force);
    const int status = wish_wait(&w, d);
    const int64_t n = status < 0 ? status : w.task.projects_refreshed;
    wish_end(&w);
    depot_settle(d);
    return n;
}

#endif
