/* Reports, forgetting, invalidating, as clients ask for them: several at once, large and small, cut off by a stop. */
#include "depot.h"

#define BIG 700 /* artifacts: more than one step writes */

/* ---- reports of any size ---- */
typedef struct big {
    depot_task k;
    unsigned turn; /* the versions it names */
} big;

static void big_begin(big *b, depot *d, const char *id, size_t n, unsigned turn)
{
    *b = (big){.turn = turn};
    arena_init(&b->k.arena, 0);
    report_artifact *v = arena_array(&b->k.arena, report_artifact, n);
    for (size_t i = 0; i < n; i++)
        v[i] = (report_artifact){.name = arena_printf(&b->k.arena, "skill-%zu", i),
                                 .type = STR("Skill"),
                                 .deployed_version = arena_printf(&b->k.arena, "1.0.%u", turn),
                                 .upstream_version = STR("1.0.2")};
    b->k.report = (project_report){
        .name = arena_printf(&b->k.arena, "name %u", turn), .path = STR("/ci"), .artifacts = {.v = v, .n = n}};
    b->k.task = (project_task){
        .arena = &b->k.arena, .id = str_c(id), .report = &b->k.report, .on_done = depot_on_task, .user = &b->k};
    projects_report(d->projects, &b->k.task);
    assert_int_equal(b->k.done, 0); /* only later */
}

static int big_end(big *b, depot *d)
{
    peer_run_until(d->loop, b->k.done > 0);
    assert_int_equal(b->k.done, 1);
    arena_done(&b->k.arena);
    return b->k.task.status;
}

static int forget(depot *d, const char *id)
{
    depot_task k = {0};
    arena_init(&k.arena, 0);
    k.task = (project_task){.arena = &k.arena, .id = str_c(id), .on_done = depot_on_task, .user = &k};
    projects_forget(d->projects, &k.task);
    peer_run_until(d->loop, k.done > 0);
    assert_int_equal(k.done, 1);
    arena_done(&k.arena);
    return k.task.status;
}

/* How many artifacts readers see of a project; all of one report, and the project says the same. */
static size_t seen(depot *d, const char *id)
{
    store_view *v = store_read_begin(d->store);
    const artifact_filter f = {.project_id = str_c(id)};
    const page_at at = {.limit = 2 * BIG};
    artifact_page page;
    project p = {0};
    arena a;
    arena_init(&a, 0);
    const bool exists = project_load(v, &a, str_c(id), &p) == 0;
    assert_int_equal(artifacts_list(v, &a, &f, ARTIFACTS_NAME, false, &at, &page), 0);
    assert_int_equal(page.n, page.total);
    assert_int_equal(page.n, exists ? p.artifact_count : 0);
    for (size_t i = 0; i < page.n; i++) {
        assert_true(str_eq(page.items[i].deployed_version, page.items[0].deployed_version));
        assert_true(str_eq(page.items[i].project_name, p.name));
    }
    const size_t n = page.n;
    arena_done(&a);
    store_read_end(v);
    return n;
}

/* ---- one after the other ---- */
static void a_report_says_whether_it_is_new_and_of_which_version(void **state)
{
    (void)state;
    depot d;
    big b;
    depot_open(&d);
    big_begin(&b, &d, "ci", 3, 1);
    assert_int_equal(big_end(&b, &d), 0);
    assert_true(b.k.task.ret_created);
    const int64_t version = b.k.task.ret_version;
    assert_true(version > 0);
    assert_int_equal(d.events[PROJECT_CHANGED], 1);
    depot_settle(&d);
    assert_int_equal(d.batches, 1);
    assert_int_equal(d.events[ARTIFACT_OUTDATED], 3);
    assert_string_equal(d.last_outdated + 8, "1.0.1->1.0.2");

    big_begin(&b, &d, "ci", 3, 1); /* the same again */
    assert_int_equal(big_end(&b, &d), 0);
    assert_false(b.k.task.ret_created);
    assert_true(b.k.task.ret_version == version);
    depot_settle(&d);
    assert_int_equal(d.batches, 1);

    big_begin(&b, &d, "ci", 2, 2);
    assert_int_equal(big_end(&b, &d), 0);
    assert_true(b.k.task.ret_version > version);
    assert_int_equal(seen(&d, "ci"), 2);
    assert_int_equal(forget(&d, "ci"), 0);
    assert_int_equal(forget(&d, "ci"), -ENOENT);
    assert_int_equal(seen(&d, "ci"), 0);
    assert_int_equal(depot_invalidate(&d, "ci"), -ENOENT);
    depot_close(&d);
}

static int report_with(depot *d, const char *id, report_artifact *v, size_t n, int64_t if_match, char why[200])
{
    depot_task k = {0};
    arena_init(&k.arena, 0);
    k.report = (project_report){.name = STR("x"), .path = STR("/x"), .artifacts = {.v = v, .n = n}};
    k.task = (project_task){.arena = &k.arena,
                            .id = str_c(id),
                            .report = &k.report,
                            .if_match = if_match,
                            .on_done = depot_on_task,
                            .user = &k};
    projects_report(d->projects, &k.task);
    assert_int_equal(k.done, 0);
    peer_run_until(d->loop, k.done > 0);
    snprintf(why, 200, STR_FMT, STR_ARG(k.task.why));
    arena_done(&k.arena);
    return k.task.status;
}

static void what_does_not_fit_is_refused_with_a_word(void **state)
{
    (void)state;
    depot d;
    char why[200], id[PROJECT_ID_MAX + 2] = {0};
    report_artifact v[3] = {{.name = STR("a"), .type = STR("skill")},
                            {.name = STR("b"), .type = STR("MCP-server")},
                            {.name = STR("b"), .type = STR("mcp")}};
    depot_open(&d);
    assert_int_equal(report_with(&d, "ci", v, 3, 0, why), -EINVAL);
    assert_string_equal(why, "artifacts[2]: mcp 'b' is given twice");
    v[1].type = STR("song");
    assert_int_equal(report_with(&d, "ci", v, 3, 0, why), -EINVAL);
    assert_string_equal(why,
                        "artifacts[1].type: Input should be 'agent', 'command', 'composite', 'context_file', 'hook', "
                        "'mcp', 'progress_template', 'project_config', 'rule_file', 'skill', 'spec_file' or "
                        "'workflow'");
    memset(id, 'i', PROJECT_ID_MAX + 1);
    assert_int_equal(report_with(&d, id, v, 1, 0, why), -EINVAL);
    assert_string_equal(why, "id: should have 1 to 200 bytes");
    assert_int_equal(forget(&d, id), -ENOENT);
    assert_int_equal(report_with(&d, "ci", v, 1, -2, why), -ESTALE);
    assert_int_equal(report_with(&d, "ci", v, 1, -1, why), 0);
    assert_int_equal(report_with(&d, "ci", v, 1, -1, why), -ESTALE);
    assert_int_equal(report_with(&d, "ci", v, 1, 5, why), -ESTALE);
    assert_int_equal(seen(&d, "ci"), 1);
    depot_close(&d);
}

/* Large ones are looked through by a worker, and what is wrong with them is told all the same. */
static void what_does_not_fit_in_a_large_one_is_refused_with_a_word(void **state)
{
    (void)state;
    depot d;
    char why[200], names[BIG][16];
    report_artifact v[BIG];
    depot_open(&d);
    for (size_t i = 0; i < BIG; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "s%zu", i);
        v[i] = (report_artifact){.name = str_c(names[i]), .type = STR("skill")};
    }
    v[BIG - 1].type = STR("song");
    assert_int_equal(report_with(&d, "ci", v, BIG, 0, why), -EINVAL);
    assert_int_equal(strncmp(why, "artifacts[699].type: Input should be 'agent', ", 46), 0);
    v[BIG - 1] = (report_artifact){.name = STR("s0"), .type = STR("skill")};
    assert_int_equal(report_with(&d, "ci", v, BIG, 0, why), -EINVAL);
    assert_string_equal(why, "artifacts[699]: skill 's0' is given twice");
    assert_int_equal(report_with(&d, "ci", v, BIG - 1, 0, why), 0);
    assert_int_equal(seen(&d, "ci"), BIG - 1);
    depot_close(&d);
}

/* ---- several at once ---- */
static void large_reports_wait_for_one_another_and_readers_see_whole_ones(void **state)
{
    (void)state;
    depot d;
    big b[5];
    size_t turns = 0, sizes[3] = {0};
    depot_open(&d);
    big_begin(&b[0], &d, "ci", BIG, 1);
    big_begin(&b[1], &d, "ci", BIG / 2, 2);
    big_begin(&b[2], &d, "other", BIG, 3);
    big_begin(&b[3], &d, "small", 5, 4);
    big_begin(&b[4], &d, "ci", 6, 5); /* small, but not always */
    while (b[0].k.done + b[1].k.done + b[2].k.done + b[3].k.done + b[4].k.done < 5 && turns++ < 100000) {
        const size_t n = seen(&d, "ci"), m = seen(&d, "other");
        assert_true(n == 0 || n == BIG || n == BIG / 2 || n == 6);
        assert_true(m == 0 || m == BIG);
        sizes[n == BIG ? 0 : n == BIG / 2 ? 1 : 2]++;
        loop_run_once(d.loop, true);
    }
    assert_true(sizes[0] > 0 && sizes[1] > 0);
    for (size_t i = 0; i < COUNT_OF(b); i++)
        assert_int_equal(big_end(&b[i], &d), 0);
    assert_int_equal(seen(&d, "other"), BIG);
    assert_int_equal(seen(&d, "small"), 5);
    assert_int_equal(forget(&d, "other"), 0);
    assert_int_equal(seen(&d, "other"), 0);
    assert_int_equal(seen(&d, "small"), 5);
    depot_close(&d);
}

static void a_stop_waits_for_what_is_being_written(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 40; turns += 3) {
        depot d;
        big b[3];
        depot_open(&d);
        for (unsigned i = 0; i < COUNT_OF(b); i++)
            big_begin(&b[i], &d, "ci", BIG, i);
        for (unsigned i = 0; i < turns; i++)
            loop_run_once(d.loop, false);
        depot_begin_stop(&d);
        depot_end_stop(&d);
        for (unsigned i = 0; i < COUNT_OF(b); i++)
            assert_int_equal(big_end(&b[i], &d), 0);
        depot_open_projects(&d);
        assert_int_equal(seen(&d, "ci"), BIG);
        depot_close(&d);
    }
}

/* The server is killed under a large report, which a copy of the store made then stands for: readers see all of it or
 * nothing, and the rest is cleared away. */
static void what_a_crash_left_behind_is_cleared_away_at_the_start(void **state)
{
    (void)state;
    unsigned whole = 0, none = 0, rests = 0;
    for (unsigned turns = 1; turns < 100 && (!whole || !none || rests < 3); turns++) {
        depot d;
        big b;
        char copy[64];
        depot_open(&d);
        scratch_folder(copy);
        big_begin(&b, &d, "ci", BIG, 1);
        for (unsigned i = 0; i < turns && !b.k.done; i++)
            loop_run_once(d.loop, true);
        assert_int_equal(store_backup(d.store, copy), 0);
        assert_int_equal(big_end(&b, &d), 0);
        depot_begin_stop(&d);
        depot_end_stop(&d);
        d.closed = false;
        store_close(d.store, depot_on_closed, &d.closed);
        peer_run_until(d.loop, d.closed);
        remove_folder(d.dir);
        assert_int_equal(rename(copy, d.dir), 0);

        depot_open_store(&d);
        const size_t n = seen(&d, "ci");
        assert_true(n == 0 || n == BIG);
        whole += n == BIG;
        none += n == 0;
        store_view *v = store_read_begin(d.store);
        rests += store_count(v, &project_changes_ks) > 0;
        store_read_end(v);
        depot_open_projects(&d);
        depot_settle(&d);
        assert_int_equal(seen(&d, "ci"), n);
        v = store_read_begin(d.store);
        assert_int_equal(store_count(v, &project_changes_ks), 0);
        assert_int_equal(store_count(v, &artifacts_ks), n);
        store_read_end(v);
        depot_close(&d);
    }
    assert_true(whole > 0 && none > 0 && rests > 0);
}

static void each_failed_allocation_is_told_and_leaves_what_was(void **state)
{
    (void)state;
    depot d;
    unsigned failed = 0;
    depot_open(&d);
    for (long nth = 0; nth < 60; nth++) {
        big b;
        const size_t before = seen(&d, "ci"), n = 3 + (size_t)nth % 2;
        mem_fail_at(-1);
        big_begin(&b, &d, "none", 0, 0); /* what is allocated once is there */
        assert_int_equal(big_end(&b, &d), 0);
        b = (big){0};
        arena_init(&b.k.arena, 0);
        report_artifact v[4];
        for (size_t i = 0; i < n; i++)
            v[i] = (report_artifact){.name = str_of(&"abcd"[i], 1), .type = STR("hook"), .deployed_version = STR("1")};
        b.k.report = (project_report){.name = STR("x"), .path = STR("/x"), .artifacts = {.v = v, .n = n}};
        b.k.task = (project_task){
            .arena = &b.k.arena, .id = STR("ci"), .report = &b.k.report, .on_done = depot_on_task, .user = &b.k};
        mem_fail_at(nth);
        projects_report(d.projects, &b.k.task);
        peer_run_until(d.loop, b.k.done > 0);
        mem_fail_at(-1);
        assert_int_equal(b.k.done, 1);
        assert_true(b.k.task.status == 0 || b.k.task.status == -ENOMEM);
        failed += b.k.task.status < 0;
        assert_int_equal(seen(&d, "ci"), b.k.task.status == 0 ? n : before);
        arena_done(&b.k.arena);
    }
    assert_in_range(failed, 5, 59);
    depot_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_says_whether_it_is_new_and_of_which_version),
        cmocka_unit_test(what_does_not_fit_is_refused_with_a_word),
        cmocka_unit_test(what_does_not_fit_in_a_large_one_is_refused_with_a_word),
        cmocka_unit_test(large_reports_wait_for_one_another_and_readers_see_whole_ones),
        cmocka_unit_test(a_stop_waits_for_what_is_being_written),
        cmocka_unit_test(what_a_crash_left_behind_is_cleared_away_at_the_start),
        cmocka_unit_test(each_failed_allocation_is_told_and_leaves_what_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
