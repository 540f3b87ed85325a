/* Projects against a plain model: seeded random writes of all sizes, and after each of them, and between the steps of
 * the large ones, lists and totals are compared. */
#include "unit.h"

#include "projects_model.h"
#include "store_fixture.h"

#include <stdio.h>

static keyspace *const spaces[] = {&projects_ks, &artifacts_ks, &project_changes_ks, &refresh_state_ks};

typedef struct world {
    char dir[64];
    uint64_t max_size;
    store *store;
    model now_is, after; /* what readers see; and what they will see once the write under way has flipped */
    int64_t now;
    /* the write under way */
    project_write w;
    int fail_at; /* the step that is to fail; -1: none */
    int steps;
    size_t n_flips; /* seen so far */
} world;

static void open_it(world *o)
{
    SCOPED(arena_done) arena a;
    str why = STR_NULL;
    const store_options with = {.dir = o->dir,
                                .max_size = o->max_size,
                                .keyspaces = spaces,
                                .n_keyspaces = COUNT_OF(spaces),
                                .schema_version = 1};

    arena_init(&a, 0);
    if (store_open(&with, NULL, &a, &o->store, &why) < 0)
        fail_msg("store_open: " STR_FMT, STR_ARG(why));
}

static void world_begin(world *o, uint64_t seed, uint64_t max_size)
{
    memset(o, 0, sizeof(*o));
    m_seed(seed);
    o->now = 1700000000000;
    o->fail_at = -1;
    o->max_size = max_size;
    scratch_folder(o->dir);
    open_it(o);
}

static void world_end(world *o)
{
    store_close(o->store, NULL, NULL);
    remove_folder(o->dir);
}

/* Some questions on what readers see. */
static void look(const world *o, const model *m, store_view *v, int questions)
{
    m_check_totals(m, v, o->now);
    m_check_projects(m, v, o->now);
    for (int i = 0; i < questions; i++)
        m_check_artifacts(m, v);
}

static void look_outside(world *o, int questions)
{
    store_view *v = store_read_begin(o->store);

    look(o, &o->now_is, v, questions);
    store_read_end(v);
}

/* Before each step: what is committed is what was before, or all that will be. */
static int watched_apply(store_txn *t, store_op *op)
{
    world *o = CONTAINER_OF(op, world, w.op);
    store_view *v = store_txn_view(t);
    row_state shown;

    assert_int_equal(rows_shown(v, &shown), 0);
    if (op->at > 0) {
        look(o, shown == ROW_COMING ? &o->after : &o->now_is, v, 1);
        o->n_flips += shown == ROW_COMING;
    }
    if (o->steps++ == o->fail_at)
        return -EIO;
    return project_write_apply(t, op);
}

static int run_write(world *o)
{
    assert_int_equal(artifact_log_new(&o->w.log), 0);
    o->w.op = (store_op){.apply = watched_apply, .flags = o->w.forgets ? STORE_FREES : 0};
    o->w.now = o->now;
    o->steps = 0;
    o->w.alone = false;
    int r = store_run(o->store, &o->w.op);
    if (r == -EAGAIN) {
        o->steps = 0;
        o->w.alone = true;
        r = store_run(o->store, &o->w.op);
    }
    project_write_done(&o->w);
    return r;
}

static void recover(world *o)
{
    store_op op = {.apply = project_recover_apply, .flags = STORE_FREES};

    assert_int_equal(store_run(o->store, &op), 0);
}

static bool is_flipped(world *o)
{
    store_view *v = store_read_begin(o->store);
    row_state shown;

    assert_int_equal(rows_shown(v, &shown), 0);
    store_read_end(v);
    return shown == ROW_COMING;
}

/* The write was cut off. What is seen is decided by how far it came, before and after it is settled. */
static void after_failure(world *o)
{
    if (is_flipped(o)) {
        o->now_is = o->after;
        assert_int_equal(project_write_status(&o->w, -EIO), 0);
    }
    look_outside(o, 4);
    if (chance(50)) {
        store_close(o->store, NULL, NULL);
        open_it(o);
        look_outside(o, 4);
    }
    if (chance(70))
        recover(o); /* else the next large write does */
}

static void check_effect(const world *o, const m_effect *e, int p)
{
    int64_t live = 0, gone = 0;

    assert_int_equal(o->w.created, e->created);
    assert_int_equal(o->w.status_changed, e->status_changed);
    assert_int_equal(o->w.version, o->after.projects[p].version);
    assert_int_equal(o->w.added, e->added);
    assert_int_equal(o->w.removed, e->removed);
    assert_int_equal(o->w.changed, e->changed);
    for (size_t i = 0; i < o->w.log->n; i++) {
        live += o->w.log->v[i].live;
        gone += !o->w.log->v[i].live;
    }
    assert_int_equal(gone, e->removed);
    assert_true(live >= e->added + e->changed);
}

/* ---- what may happen ---- */
static void write_project(world *o, int p, size_t size, int fail_percent)
{
    static m_content content;
    SCOPED(arena_done) arena a;
    m_project *in = &o->after.projects[p];

    arena_init(&a, 0);
    o->after = o->now_is;
    m_content_draw(in, size, &content);
    o->w = (project_write){.origin = STR("reported"), .next_refresh_at = o->now + 1000 + (int64_t)pick(1000)};
    m_content_texts(&a, p, &content, &o->w);
    o->w.if_match = chance(80) ? 0 : in->exists ? (chance(50) ? in->version : -2) : -1;
    const m_effect e = m_write(in, &content, "reported", o->now, o->w.next_refresh_at);
    o->fail_at = chance((unsigned)fail_percent) ? (int)pick(60) : -1;
    const int r = run_write(o);
    o->fail_at = -1;
    if (r == 0) {
        o->now_is = o->after;
        check_effect(o, &e, p);
    } else {
        assert_int_equal(r, -EIO);
        after_failure(o);
    }
    artifact_log_free(o->w.log);
}

static void forget(world *o, int p)
{
    o->after = o->now_is;
    o->w = (project_write){.id = m_project_id(p), .forgets = true};
    memset(&o->after.projects[p], 0, sizeof(o->after.projects[p]));
    assert_int_equal(run_write(o), o->now_is.projects[p].exists ? 0 : -ENOENT);
    assert_true(!o->now_is.projects[p].exists || o->w.removed == (int64_t)o->now_is.projects[p].n);
    o->now_is = o->after;
    artifact_log_free(o->w.log);
}

static void invalidate(world *o, int p)
{
    project_invalidation i = {.op.apply = project_invalidate_apply, .id = m_project_id(p), .now = o->now};
    int64_t want = 0;
    /* in the order of ids, those that are marked already keep their time */
    int ids[M_PROJECTS];

    for (int j = 0; j < M_PROJECTS; j++) {
        int at = j;
        for (; at > 0 && str_cmp(m_project_id(j), m_project_id(ids[at - 1])) < 0; at--)
            ids[at] = ids[at - 1];
        ids[at] = j;
    }
    for (int j = 0; j < M_PROJECTS; j++) {
        m_project *q = &o->now_is.projects[ids[j]];
        if (!q->exists || (p >= 0 && ids[j] != p))
            continue;
        if (!q->marked)
            q->next_refresh = o->now + want * INVALIDATE_SPREAD_MS;
        q->marked = true;
        want++;
    }
    assert_int_equal(store_run(o->store, &i.op), p >= 0 && want == 0 ? -ENOENT : 0);
    assert_true(i.count == want || want == 0);
}

static void note_error(world *o, int p)
{
    m_project *q = &o->now_is.projects[p];
    project_note n = {.op.apply = project_note_apply,
                      .id = m_project_id(p),
                      .error_message = STR("no answer"),
                      .failures = q->failures + 1,
                      .next_refresh_at = o->now + 77};

    assert_int_equal(store_run(o->store, &n.op), q->exists ? 0 : -ENOENT);
    if (!q->exists)
        return;
    assert_int_equal(n.status_changed, !q->error);
    q->error = true;
    q->failures++;
    q->next_refresh = o->now + 77;
}

static void step(world *o)
{
    const int p = (int)pick(M_PROJECTS);

    o->now += chance(20) ? (int64_t)pick(2 * M_TTL) : (int64_t)pick(3000);
    switch (pick(10)) {
    case 0:
        forget(o, p);
        break;
    case 1:
        invalidate(o, chance(30) ? -1 : p);
        break;
    case 2:
        note_error(o, p);
        break;
    case 3:
        write_project(o, p, 250 + pick(400), 30);
        break;
    default:
        write_project(o, p, pick(60), 5);
    }
}

static void check_store(world *o)
{
    SCOPED(buf_done) buf faults = BUF_INIT;

    if (check_faults(o->store, &faults) != 0)
        fail_msg(STR_FMT, STR_ARG(buf_view(&faults)));
}

static void any_walk_of_changes_reads_as_the_model_does(void **state)
{
    static world o;

    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        world_begin(&o, seed, 256 * MIB);
        for (int i = 0; i < 50; i++) {
            step(&o);
            look_outside(&o, 6);
            if (chance(10)) {
                store_close(o.store, NULL, NULL);
                open_it(&o);
            }
        }
        recover(&o);
        look_outside(&o, 30);
        store_view *v = store_read_begin(o.store);
        m_check_rows(&o.now_is, v);
        assert_int_equal(store_count(v, &project_changes_ks), 0);
        store_read_end(v);
        check_store(&o);
        world_end(&o);
    }
    assert_true(o.n_flips > 0);
}

/* ---- large writes ---- */
static void a_large_write_that_is_cut_off_anywhere_is_whole_or_not_at_all(void **state)
{
    static world o;
    bool finished = false;

    (void)state;
    for (int cut = 0; !finished; cut += 1 + cut / 4) {
        static m_content content;
        arena a;
        arena_init(&a, 0);
        world_begin(&o, 7, 256 * MIB);
        write_project(&o, 0, 300, 0);
        write_project(&o, 1, 40, 0);
        o.now += 5;
        o.after = o.now_is;
        m_content_draw(&o.now_is.projects[0], 330, &content);
        o.w = (project_write){.origin = STR("reported"), .next_refresh_at = o.now};
        m_content_texts(&a, 0, &content, &o.w);
        m_write(&o.after.projects[0], &content, "reported", o.now, o.now);
        o.fail_at = cut;
        finished = run_write(&o) == 0;
        o.fail_at = -1;
        if (finished)
            o.now_is = o.after;
        else
            after_failure(&o);
        recover(&o);
        look_outside(&o, 10);
        check_store(&o);
        artifact_log_free(o.w.log);
        world_end(&o);
        arena_done(&a);
    }
}

/* Beside a large change of one project, small ones of others go on; those of the same project wait. */
static void small_writes_go_on_beside_a_large_one(void **state)
{
    static world o;
    static m_content content;
    SCOPED(arena_done) arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&o, 8, 256 * MIB);
    write_project(&o, 0, 300, 0);
    for (int i = 0; i < 2; i++) { /* cut off before the flip, and behind it */
        o.now += 5;
        o.after = o.now_is;
        m_content_draw(&o.now_is.projects[0], 400, &content);
        for (size_t j = 0; j < content.n; j++)
            content.v[j].row.deployed = i; /* all rows change */
        o.w = (project_write){.origin = STR("reported"), .next_refresh_at = o.now};
        m_content_texts(&a, 0, &content, &o.w);
        m_write(&o.after.projects[0], &content, "reported", o.now, o.now);
        o.fail_at = i == 0 ? 4 : 25;
        assert_int_equal(run_write(&o), -EIO);
        o.fail_at = -1;
        assert_int_equal(is_flipped(&o), i);
        if (i == 1)
            o.now_is = o.after;
        artifact_log_free(o.w.log);
        write_project(&o, 1, 30, 0);
        look_outside(&o, 10);
        o.w = (project_write){.id = m_project_id(0), .forgets = true, .op.apply = project_write_apply};
        assert_int_equal(artifact_log_new(&o.w.log), 0);
        assert_int_equal(store_run(o.store, &o.w.op), -EAGAIN);
        project_write_done(&o.w);
        artifact_log_free(o.w.log);
        look_outside(&o, 10);
    }
    recover(&o);
    look_outside(&o, 10);
    world_end(&o);
}

/* ---- what goes wrong ---- */
static void no_step_writes_more_than_its_share(void **state)
{
    static world o;

    (void)state;
    world_begin(&o, 9, 256 * MIB);
    write_project(&o, 0, 650, 0);
    /* 650 new rows at five writes each, twice: had it gone in one step, there were no others */
    assert_true(o.steps > 20);
    world_end(&o);
}

static void each_failed_allocation_leaves_what_was(void **state)
{
    static world o;
    static m_content content;

    (void)state;
    world_begin(&o, 10, 64 * MIB);
    write_project(&o, 0, 4, 0);
    bool failed = true;
    for (long nth = 0; failed; nth++) {
        arena a;
        arena_init(&a, 0);
        o.now += 5;
        o.after = o.now_is;
        m_content_draw(&o.now_is.projects[0], 6, &content);
        o.w = (project_write){.origin = STR("reported"), .next_refresh_at = o.now, .now = o.now};
        m_content_texts(&a, 0, &content, &o.w);
        m_write(&o.after.projects[0], &content, "reported", o.now, o.now);
        assert_int_equal(artifact_log_new(&o.w.log), 0);
        o.w.op = (store_op){.apply = project_write_apply};
        mem_fail_at(nth);
        const int r = store_run(o.store, &o.w.op);
        failed = mem_failed();
        mem_fail_at(-1);
        assert_int_equal(r, failed ? -ENOMEM : 0);
        if (r == 0)
            o.now_is = o.after;
        project_write_done(&o.w);
        artifact_log_free(o.w.log);
        arena_done(&a);
        look_outside(&o, 2);
    }
    check_store(&o);
    world_end(&o);
}

static void a_full_store_loses_nothing_and_forgetting_makes_room(void **state)
{
    static world o;
    static m_content content;
    int r = 0, p = 0;

    (void)state;
    world_begin(&o, 11, 4 * MIB);
    for (; r == 0 && p < M_PROJECTS; p += r == 0) {
        arena a;
        arena_init(&a, 0);
        o.after = o.now_is;
        m_content_draw(&o.now_is.projects[p], 600, &content);
        o.w = (project_write){.origin = STR("reported"), .next_refresh_at = o.now};
        m_content_texts(&a, p, &content, &o.w);
        m_write(&o.after.projects[p], &content, "reported", o.now, o.now);
        r = run_write(&o);
        if (r == 0 || is_flipped(&o))
            o.now_is = o.after;
        artifact_log_free(o.w.log);
        arena_done(&a);
        look_outside(&o, 4);
    }
    assert_int_equal(r, -ENOSPC);
    assert_true(p > 1);
    recover(&o);
    look_outside(&o, 10);
    forget(&o, 0);
    forget(&o, 1);
    look_outside(&o, 10);
    write_project(&o, 1, 100, 0);
    look_outside(&o, 10);
    check_store(&o);
    world_end(&o);
}

/* ---- refusals ---- */
static int refused(world *o, int p, int64_t if_match, const char *origin)
{
    static m_content content;
    SCOPED(arena_done) arena a;

    arena_init(&a, 0);
    o->after = o->now_is;
    m_content_draw(&o->now_is.projects[p], 3, &content);
    o->w = (project_write){.origin = str_c(origin), .if_match = if_match};
    m_content_texts(&a, p, &content, &o->w);
    const int r = run_write(o);
    artifact_log_free(o->w.log);
    return r;
}

static void conditions_are_kept(void **state)
{
    static world o;

    (void)state;
    world_begin(&o, 12, 64 * MIB);
    write_project(&o, 0, 5, 0);
    const int64_t version = o.now_is.projects[0].version;
    assert_int_equal(refused(&o, 0, version + 1, "reported"), -ESTALE);
    assert_int_equal(refused(&o, 0, -1, "reported"), -ESTALE);
    assert_int_equal(refused(&o, 1, -2, "reported"), -ESTALE);
    assert_int_equal(refused(&o, 1, version, "reported"), -ESTALE);
    assert_int_equal(refused(&o, 0, 0, "discovered"), -EEXIST);
    look_outside(&o, 5);
    world_end(&o);
}

static void the_same_report_again_changes_nothing(void **state)
{
    static world o;
    static m_content content;
    SCOPED(arena_done) arena a;

    (void)state;
    arena_init(&a, 0);
    for (size_t size = 5; size <= 305; size += 300) {
        world_begin(&o, 13, 64 * MIB);
        m_content_draw(&o.now_is.projects[0], size, &content);
        for (int i = 0; i < 2; i++) {
            o.w = (project_write){.origin = STR("reported")};
            m_content_texts(&a, 0, &content, &o.w);
            o.after = o.now_is;
            m_write(&o.after.projects[0], &content, "reported", o.now, 0);
            assert_int_equal(run_write(&o), 0);
            o.now_is = o.after;
            assert_int_equal(o.w.log->n, i == 0 ? size : 0);
            assert_int_equal(o.w.added, i == 0 ? size : 0);
            assert_int_equal(o.w.version, 1700000000000);
            artifact_log_free(o.w.log);
            o.now += 1000;
        }
        look_outside(&o, 5);
        world_end(&o);
    }
}

static void what_is_no_cursor_is_refused(void **state)
{
    static world o;
    static const char *const texts[] = {"", "a", "!!", "AAAA", "QABh", "cAAA", "aGVsbG8gd29ybGQ"};
    SCOPED(arena_done) arena a;
    artifact_page page;
    project_page projects_page;
    size_t refused_n = 0;

    (void)state;
    arena_init(&a, 0);
    world_begin(&o, 14, 64 * MIB);
    write_project(&o, 0, 50, 0);
    store_view *v = store_read_begin(o.store);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const page_at at = {.after = str_c(texts[i]), .limit = 5};
        for (int sort = 0; sort < 4; sort++) {
            const artifact_filter f = {.outdated = OUTDATED_YES};
            const int r = artifacts_list(v, &a, &f, (artifact_sort)sort, false, &at, &page);
            assert_true(r == 0 || r == -EINVAL);
            refused_n += r < 0;
        }
        const project_filter f = {STR_NULL, o.now, M_TTL};
        const int r = projects_list(v, &a, &f, &at, &projects_page);
        assert_true(r == 0 || r == -EINVAL);
        refused_n += r < 0;
    }
    assert_true(refused_n > 25);
    store_read_end(v);
    world_end(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_walk_of_changes_reads_as_the_model_does),
        cmocka_unit_test(a_large_write_that_is_cut_off_anywhere_is_whole_or_not_at_all),
        cmocka_unit_test(small_writes_go_on_beside_a_large_one),
        cmocka_unit_test(no_step_writes_more_than_its_share),
        cmocka_unit_test(each_failed_allocation_leaves_what_was),
        cmocka_unit_test(a_full_store_loses_nothing_and_forgetting_makes_room),
        cmocka_unit_test(conditions_are_kept),
        cmocka_unit_test(the_same_report_again_changes_nothing),
        cmocka_unit_test(what_is_no_cursor_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
