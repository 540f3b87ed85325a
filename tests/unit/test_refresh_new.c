/* What is new, and what somebody has doubted: read at once, asked upstream anew, and at what cost. */
#include "depot.h"

#define MANY 60
#define REPOS 12

static fake_repo *stock(depot *d, const char *name, const char *version)
{
    char text[200];
    fake_repo *r = fake_repo_new(&d->github, "acme", name);
    snprintf(text, sizeof(text), "---\nname: pdf\nversion: %s\n---\n", version);
    fake_put(r, "skills/pdf/SKILL.md", text);
    fake_commit(r);
    return r;
}

static int64_t fetched(depot *d)
{
    store_view *v = store_read_begin(d->store);
    store_cursor *c;
    store_item item;
    int64_t n = 0;
    assert_int_equal(store_walk(v, &projects_ks, PROJECTS_BY_FETCHED, STR_NULL, STR_NULL, false, &c), 0);
    while (store_next(c, &item))
        n++;
    store_cursor_end(c);
    store_read_end(v);
    return n;
}

static void settle_folders(depot *d, const char *const *sources, size_t n_sources)
{
    for (size_t i = 0; i < MANY; i++) {
        char path[20];
        snprintf(path, sizeof(path), "/sr/f%02zu", i);
        disk_put(disk_add(path), "pdf", sources[i % n_sources], "1.0.0", NULL);
    }
    projects_configure(d->projects, &d->options);
}

static void projects_that_are_new_are_read_at_once_and_only_github_is_asked_at_a_pace(void **state)
{
    static char sources[REPOS][60];
    const char *each[REPOS];
    (void)state;
    depot d;
    depot_open(&d);
    for (unsigned i = 0; i < REPOS; i++) {
        char name[20];
        snprintf(name, sizeof(name), "r%02u", i);
        snprintf(sources[i], sizeof(sources[i]), "github:acme/%s/skills/pdf", name);
        each[i] = sources[i];
        stock(&d, name, "1.2.0");
    }
    settle_folders(&d, each, REPOS);
    depot_live(&d, SECONDS(3));
    assert_int_equal(fetched(&d), MANY);
    assert_in_range(d.most_running, 2, 3);
    assert_in_range(d.github.asked[ASK_COMMIT], 1, 6);
    depot_live(&d, MINUTES(2));
    assert_int_equal(d.github.asked[ASK_COMMIT], REPOS);
    for (size_t i = 0; i < fake_disk_n; i++) {
        char text[80];
        str id;
        arena a;
        arena_init(&a, 0);
        assert_int_equal(discovered_id(&a, str_c(fake_disk[i].path), &id), 0);
        snprintf(text, sizeof(text), STR_FMT, STR_ARG(id));
        assert_artifacts(&d, text, "pdf 1.0.0 1.2.0 outdated;");
        assert_int_equal(depot_seen(&d, id)->n, 2);
        arena_done(&a);
    }
    depot_close(&d);
}

/* Whoever asks for all does not get less because what is new was read a moment ago. */
static void what_was_only_read_is_not_fresh(void **state)
{
    static const char *const one[] = {"github:acme/tools/skills/pdf"};
    (void)state;
    depot d;
    wish all;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    settle_folders(&d, one, 1);
    peer_run_until(d.loop, fetched(&d) == MANY); /* no time passes: none but the first is due to ask GitHub */
    wish_begin(&all, &d, NULL, false);
    assert_int_equal(wish_wait(&all, &d), 0);
    wish_end(&all);
    for (size_t i = 0; i < d.n_seen; i++)
        assert_artifacts(&d, d.seen[i].id, "pdf 1.0.0 1.2.0 outdated;");
    assert_int_equal(d.n_seen, MANY);
    depot_close(&d);
}

/* Once more soon: it may be on its way still. */
static void what_is_new_and_has_nothing_to_ask_is_read_twice(void **state)
{
    static const char *const none[] = {NULL};
    (void)state;
    depot d;
    depot_open(&d);
    settle_folders(&d, none, 1);
    depot_live(&d, MINUTES(5));
    assert_int_equal(d.n_seen, MANY);
    for (size_t i = 0; i < d.n_seen; i++)
        assert_int_equal(d.seen[i].n, 2);
    depot_close(&d);
}

/* Whenever a client comes while what is new is only read: what it is told it got holds. */
static void a_client_that_comes_while_it_is_only_read_gets_a_whole_refresh(void **state)
{
    static const char *const one[] = {"github:acme/tools/skills/pdf"};
    (void)state;
    for (unsigned turns = 0; turns < 40; turns++) {
        depot d;
        wish w, all;
        depot_open(&d);
        stock(&d, "tools", "1.2.0");
        settle_folders(&d, one, 1);
        while (d.n_seen < 10) /* the first of them was whole */
            (void)loop_run_once(d.loop, false);
        char id[80];
        snprintf(id, sizeof(id), "%s", d.seen[d.n_seen - 1].id);
        for (unsigned i = 0; i < turns; i++)
            (void)loop_run_once(d.loop, false);
        wish_begin(&all, &d, NULL, true);
        wish_begin(&w, &d, id, true);
        assert_int_equal(wish_wait(&w, &d), 0);
        assert_int_equal(w.task.projects_refreshed, 1);
        assert_artifacts(&d, id, "pdf 1.0.0 1.2.0 outdated;");
        assert_int_equal(wish_wait(&all, &d), 0);
        assert_int_equal(all.task.projects_refreshed, MANY);
        wish_end(&w), wish_end(&all);
        depot_settle(&d);
        depot_close(&d);
    }
}

static void report_many(depot *d, unsigned n)
{
    static const deployed one[] = {{"pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL, NULL}};
    for (unsigned i = 0; i < n; i++) {
        char id[20];
        snprintf(id, sizeof(id), "p%02u", i);
        assert_int_equal(depot_report(d, id, one, 1), 0);
    }
}

static void what_was_invalidated_asks_github_anew_once_for_a_repository(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    report_many(&d, 20);
    depot_live(&d, MINUTES(2));
    const unsigned before = r->asked[ASK_COMMIT];
    fake_put(r, "skills/pdf/SKILL.md", "---\nname: pdf\nversion: 2.0.0\n---\n");
    fake_commit(r);
    assert_int_equal(depot_invalidate(&d, NULL), 20);
    depot_live(&d, MINUTES(1));
    for (unsigned i = 0; i < 20; i++) {
        const char id[] = {'p', (char)('0' + i / 10), (char)('0' + i % 10), '\0'};
        assert_artifacts(&d, id, "pdf 1.0.0 2.0.0 outdated;");
    }
    assert_int_equal(r->asked[ASK_COMMIT], before + 1);
    assert_int_equal(depot_invalidate(&d, "p00"), 1);
    depot_pass(&d, 1); /* marked already, it is doubted again */
    assert_int_equal(depot_invalidate(&d, "p00"), 1);
    depot_live(&d, SECONDS(10));
    assert_int_equal(r->asked[ASK_COMMIT], before + 2);
    projects_upstream_changed(d.projects, STR("acme"), STR("tools")); /* due, and nobody doubts GitHub's answer */
    depot_live(&d, MINUTES(1));
    assert_int_equal(r->asked[ASK_COMMIT], before + 2);
    depot_close(&d);
}

static int depot_forget(depot *d, const char *id)
{
    depot_task k = {0};
    arena_init(&k.arena, 0);
    k.task = (project_task){.arena = &k.arena, .id = str_c(id), .on_done = depot_on_task, .user = &k};
    projects_forget(d->projects, &k.task);
    peer_run_until(d->loop, k.done > 0);
    arena_done(&k.arena);
    return k.task.status;
}

static void what_is_invalidated_while_github_answers_asks_it_again(void **state)
{
    (void)state;
    depot d;
    wish w;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    report_many(&d, 1);
    depot_live(&d, MINUTES(5));
    d.github.hold = ASK_COMMIT;
    wish_begin(&w, &d, "p00", true);
    peer_run_until(d.loop, fake_holds(&d.github));
    const unsigned before = r->asked[ASK_COMMIT];
    fake_clk_advance(&d.clock, 10);
    assert_int_equal(depot_invalidate(&d, "p00"), 1);
    fake_release(&d.github);
    assert_int_equal(wish_wait(&w, &d), 0);
    wish_end(&w);
    depot_live(&d, SECONDS(10));
    assert_int_equal(r->asked[ASK_COMMIT], before + 1);
    depot_close(&d);
}

/* A run shares what it has heard among its projects; those that are doubted meanwhile, and have not begun, ask anew.
 * The first of them begins as one that is due, the other one can only be the run's: no time passes. */
static void what_is_invalidated_before_a_run_comes_to_it_asks_github_anew(void **state)
{
    static const deployed other = {"pdf", "github:acme/other/skills/pdf", "1.0.0", NULL, NULL};
    (void)state;
    depot d;
    wish all;
    depot_open(&d);
    fake_repo *const repos[] = {stock(&d, "tools", "1.2.0"), stock(&d, "other", "1.2.0")};
    report_many(&d, 8);
    assert_int_equal(depot_report(&d, "p00", &other, 1), 0);
    assert_int_equal(depot_report(&d, "p07", &other, 1), 0);
    depot_live(&d, MINUTES(5));
    const unsigned before[] = {repos[0]->asked[ASK_COMMIT], repos[1]->asked[ASK_COMMIT]};
    fake_clk_advance(&d.clock, 10);
    d.github.hold = ASK_COMMIT;
    wish_begin(&all, &d, NULL, true);
    peer_run_until(d.loop, d.projects->all[true].under_way == 3 && fake_holds(&d.github));
    fake_clk_advance(&d.clock, 10);
    assert_int_equal(depot_invalidate(&d, "p06"), 1);
    assert_int_equal(depot_invalidate(&d, "p07"), 1);
    fake_release(&d.github);
    assert_int_equal(wish_wait(&all, &d), 0);
    assert_int_equal(all.task.projects_refreshed, 8);
    assert_int_equal(repos[0]->asked[ASK_COMMIT], before[0] + 2);
    assert_int_equal(repos[1]->asked[ASK_COMMIT], before[1] + 2);
    wish_end(&all);
    depot_close(&d);
}

static void who_reports_a_discovered_project_has_it_until_it_is_forgotten(void **state)
{
    static const deployed other[] = {{"other", NULL, "7.0.0", NULL, NULL}};
    static const char id[] = "L3NyL29uZQ"; /* /sr/one */
    (void)state;
    depot d;
    arena a;
    depot_open(&d);
    arena_init(&a, 0);
    fake_folder *one = disk_add("/sr/one");
    disk_put(one, "pdf", NULL, "1.0.0", NULL);
    depot_live(&d, MINUTES(1));
    assert_artifacts(&d, id, "pdf 1.0.0 -;");
    assert_int_equal(depot_report(&d, id, other, 1), 0);
    disk_put(one, "xls", NULL, "1.0.0", NULL);
    projects_configure(d.projects, &d.options); /* the roots are walked */
    depot_live(&d, DEPOT_INTERVAL * 2);
    assert_artifacts(&d, id, "other 7.0.0 -;");
    assert_str(depot_project(&d, &a, id).origin, "reported");
    assert_str(depot_project(&d, &a, id).status, "active");
    assert_int_equal(depot_forget(&d, id), 0);
    depot_live(&d, DEPOT_INTERVAL + MINUTES(1));
    assert_str(depot_project(&d, &a, id).origin, "discovered");
    assert_int_equal(depot_project(&d, &a, id).artifact_count, 2);
    arena_done(&a);
    depot_close(&d);
}

static uint64_t remembered(depot *d)
{
    store_view *v = store_read_begin(d->store);
    const uint64_t n = store_count(v, &upstream_ks);
    store_read_end(v);
    return n;
}

static void pass_days(depot *d, unsigned n)
{
    for (unsigned i = 0; i < 4 * n; i++) {
        depot_pass(d, HOURS(6) - SECONDS(5));
        depot_live(d, SECONDS(5));
    }
}

static void what_no_artifact_refers_to_any_longer_is_forgotten(void **state)
{
    static const deployed both[] = {{"pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL, NULL},
                                    {"lost", "github:acme/tools/skills/lost", "1.0.0", NULL, NULL},
                                    {"none", "github:acme/absent/x", "1.0.0", NULL, NULL}};
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    stock(&d, "other", "1.2.0");
    static const deployed other[] = {{"pdf", "github:acme/other/skills/pdf@main", "1.0.0", NULL, NULL}};
    assert_int_equal(depot_report(&d, "p", both, COUNT_OF(both)), 0);
    assert_int_equal(depot_report(&d, "q", other, 1), 0);
    depot_live(&d, MINUTES(5));
    assert_int_equal(remembered(&d), 3 + 3); /* two places; four paths, one of a place that is none */
    pass_days(&d, 40);
    assert_int_equal(remembered(&d), 6); /* all are asked for still */
    assert_int_equal(projects_stats_of(d.projects)->forgotten, 0);
    assert_int_equal(d.github.asked[ASK_TREE], 2);
    assert_int_equal(depot_forget(&d, "q"), 0);
    assert_int_equal(depot_report(&d, "p", both, 1), 0);
    pass_days(&d, 28);
    assert_int_equal(remembered(&d), 6);
    pass_days(&d, 5);
    assert_int_equal(remembered(&d), 2);
    assert_int_equal(projects_stats_of(d.projects)->forgotten, 4);
    assert_artifacts(&d, "p", "pdf 1.0.0 1.2.0 outdated;");
    assert_int_equal(d.github.asked[ASK_TREE], 2);
    depot_close(&d);
}

/* ---- many of them: in steps ---- */
typedef struct fill_op {
    store_op op;
    unsigned n;
    int64_t old;
} fill_op;

static int fill(store_txn *t, store_op *op)
{
    fill_op *f = CONTAINER_OF(op, fill_op, op);
    for (; op->at < f->n; op->at++) {
        char path[20];
        snprintf(path, sizeof(path), "x%05u", (unsigned)op->at);
        if (store_txn_is_full(t))
            return STORE_MORE;
        /* every third is old, every seventh of an earlier version */
        const int r = known_put(t, STR("acme/many@HEAD"),
                                &(known){.path = str_c(path),
                                         .sha = STR(""),
                                         .asked_at = op->at % 7 == 0   ? 0
                                                     : op->at % 3 == 0 ? f->old
                                                                       : f->old + HOURS(24 * 20)});
        if (r < 0)
            return r;
    }
    return 0;
}

static void on_filled(store_op *op, int status)
{
    assert_int_equal(status, 0);
    CONTAINER_OF(op, fill_op, op)->n = 0;
}

static void a_sweep_goes_through_many_records_in_steps(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    depot_settle(&d);
    fill_op f = {.op = {.apply = fill, .done = on_filled}, .n = 3000, .old = DEPOT_NOW - HOURS(24 * 31)};
    store_submit(d.store, &f.op);
    peer_run_until(d.loop, f.n == 0);
    assert_int_equal(remembered(&d), 3000);
    depot_live(&d, DEPOT_INTERVAL + MINUTES(1));
    assert_int_equal(remembered(&d), 3000 - 1000 + 143);
    assert_int_equal(projects_stats_of(d.projects)->forgotten, 1000 - 143);
    pass_days(&d, 29); /* those of an earlier version are as old as when they were met first */
    assert_int_equal(remembered(&d), 429);
    pass_days(&d, 2);
    assert_int_equal(remembered(&d), 0);
    depot_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(projects_that_are_new_are_read_at_once_and_only_github_is_asked_at_a_pace),
        cmocka_unit_test(what_was_only_read_is_not_fresh),
        cmocka_unit_test(what_is_new_and_has_nothing_to_ask_is_read_twice),
        cmocka_unit_test(a_client_that_comes_while_it_is_only_read_gets_a_whole_refresh),
        cmocka_unit_test(what_was_invalidated_asks_github_anew_once_for_a_repository),
        cmocka_unit_test(what_is_invalidated_while_github_answers_asks_it_again),
        cmocka_unit_test(what_is_invalidated_before_a_run_comes_to_it_asks_github_anew),
        cmocka_unit_test(who_reports_a_discovered_project_has_it_until_it_is_forgotten),
        cmocka_unit_test(what_no_artifact_refers_to_any_longer_is_forgotten),
        cmocka_unit_test(a_sweep_goes_through_many_records_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
