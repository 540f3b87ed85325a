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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(projects_that_are_new_are_read_at_once_and_only_github_is_asked_at_a_pace),
        cmocka_unit_test(what_is_new_and_has_nothing_to_ask_is_read_twice),
        cmocka_unit_test(a_client_that_comes_while_it_is_only_read_gets_a_whole_refresh),
        cmocka_unit_test(what_was_invalidated_asks_github_anew_once_for_a_repository),
        cmocka_unit_test(what_is_invalidated_while_github_answers_asks_it_again),
        cmocka_unit_test(who_reports_a_discovered_project_has_it_until_it_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
