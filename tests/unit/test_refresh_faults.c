/* Refreshes when something is wrong: GitHub, its quota, the disk, memory, time; and stops at any moment. */
#include "depot.h"

#define SKILL(version) "---\nname: pdf\ndescription: Reads them\nversion: " version "\n---\n"

static fake_repo *stock(depot *d, const char *name, const char *version)
{
    char text[200];
    fake_repo *r = fake_repo_new(&d->github, "acme", name);
    snprintf(text, sizeof(text), SKILL("%s"), version);
    fake_put(r, "skills/pdf/SKILL.md", text);
    fake_commit(r);
    return r;
}

static const deployed ONE[] = {{"pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL, NULL}};

static void report_many(depot *d, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char id[20];
        snprintf(id, sizeof(id), "p%02u", i);
        assert_int_equal(depot_report(d, id, ONE, 1), 0);
    }
}

static project stored(depot *d, const char *id)
{
    static arena a;
    arena_done(&a);
    arena_init(&a, 0);
    return depot_project(d, &a, id);
}

static int64_t standing(depot *d, project_standing s)
{
    store_view *v = store_read_begin(d->store);
    const int64_t n = projects_standing(v, s);
    store_read_end(v);
    return n;
}

static void a_dead_github_costs_few_requests_and_all_recovers_by_itself(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 30);
    depot_live(&d, MINUTES(5));
    depot_live(&d, HOURS(24)); /* out of step */
    d.github.is_dead = true;
    const unsigned before = d.github.asked_in_all;
    depot_live(&d, HOURS(8));
    /* 5 s * 2^n, and then one in ten minutes at most, less a random quarter, whatever the number of projects */
    assert_in_range(d.github.asked_in_all - before, 7 * 6, 8 * 6 * 4 / 3 + 10);
    assert_int_equal(standing(&d, STANDS_ERROR), 30);
    assert_artifacts(&d, "p00", "pdf 1.0.0 1.2.0 outdated;"); /* what was known stays */
    assert_true(str_find(stored(&d, "p00").error_message, STR("connection refused")) > 0);
    d.github.is_dead = false;
    depot_live(&d, MINUTES(15));
    assert_int_equal(standing(&d, STANDS_ERROR), 0);
    assert_null(stored(&d, "p00").error_message.p);
    depot_close(&d);
}

static void who_asks_again_and_again_while_github_is_dead_does_not_put_it_off(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 1);
    d.github.is_dead = true;
    for (unsigned i = 0; i < 12; i++)
        assert_int_equal(depot_refresh(&d, "p00", true), 0);
    assert_int_equal(stored(&d, "p00").failures, 1);
    assert_in_range(stored(&d, "p00").next_refresh_at, d.clock.wall_ms + 1, d.clock.wall_ms + SECONDS(10));
    d.github.is_dead = false;
    depot_live(&d, SECONDS(10));
    assert_str(stored(&d, "p00").status, "active");
    depot_close(&d);
}

static void what_the_breaker_did_not_ask_is_no_further_failure(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 1);
    d.github.is_dead = d.github.not_asked = true;
    depot_live(&d, MINUTES(2)); /* each 5 s, less a random quarter, and again up to 2.25 s later */
    assert_in_range(d.github.asked_in_all, 12, 40);
    d.github.not_asked = false;
    const unsigned before = d.github.asked_in_all;
    depot_live(&d, MINUTES(2)); /* 10 s, 20 s, 40 s, 80 s */
    assert_in_range(d.github.asked_in_all - before, 3, 6);
    depot_close(&d);
}

static void what_github_refuses_is_asked_for_as_rarely_as_the_interval_has_it(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 1);
    d.github.is_dead = true;
    d.github.dead_status = 451;
    depot_live(&d, HOURS(48));
    assert_in_range(d.github.asked_in_all, 12, 30);
    depot_close(&d);
}

static void a_client_hears_why_a_refresh_failed(void **state)
{
    (void)state;
    depot d;
    wish w;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 3);
    depot_live(&d, MINUTES(1));
    d.github.is_dead = true;
    wish_begin(&w, &d, NULL, true);
    assert_int_equal(wish_wait(&w, &d), 0);
    assert_int_equal(w.task.projects_refreshed, 0);
    assert_true(w.task.changes_detected); /* of their status */
    assert_int_equal(w.task.errors.n, 1); /* one cause */
    assert_true(str_ends(w.task.errors.v[0],
                         STR(" and 2 other projects: GitHub could not be asked: connection refused")));
    wish_end(&w);
    depot_settle(&d);
    assert_int_equal(d.github.asked[ASK_COMMIT], 2); /* one of the run: its answer is good for all */
    depot_close(&d);
}

static void reasons_are_told_whole_or_end_with_a_word(void **state)
{
    static const struct {
        size_t words; /* of four letters and a space */
        bool is_whole;
    } cases[] = {{60, true}, {94, true}, {120, false}, {400, false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        depot d;
        buf why = BUF_INIT;
        depot_open(&d);
        stock(&d, "tools", "1.2.0");
        for (size_t n = 0; n < cases[i].words; n++)
            buf_str(&why, n ? STR(" g\xc3\xb6t") : STR("g\xc3\xb6t"));
        buf_char(&why, '\0');
        d.github.is_dead = true;
        d.github.dead_why = why.p;
        report_many(&d, 2); /* the second one is told what is remembered */
        depot_live(&d, SECONDS(3));
        const str told = stored(&d, "p01").error_message;
        if (cases[i].is_whole)
            assert_true(str_eq(told, str_c(why.p)));
        else
            assert_true(told.n > 400 && told.n < UPSTREAM_WHY_MAX && str_ends(told, STR(" g\xc3\xb6t \xe2\x80\xa6")));
        depot_close(&d);
        buf_done(&why);
    }
}

static void causes_are_told_once_and_bounded(void **state)
{
    (void)state;
    depot d;
    wish w;
    depot_open(&d);
    for (unsigned i = 0; i < 120; i++) { /* each repository is missing in its own way, one in that of two */
        char id[20], source[60];
        snprintf(id, sizeof(id), "p%03u", i);
        snprintf(source, sizeof(source), "github:acme/absent%u/x", i == 1 ? 0 : i);
        const deployed one[] = {{"x", source, "1.0.0", NULL, NULL}};
        assert_int_equal(depot_report(&d, id, one, 1), 0);
    }
    wish_begin(&w, &d, NULL, true);
    assert_int_equal(wish_wait(&w, &d), 0);
    assert_int_equal(w.task.projects_refreshed, 120);
    assert_int_equal(w.task.errors.n, RUN_ERRORS_MAX);
    unsigned of_two = 0;
    for (size_t i = 0; i < w.task.errors.n; i++)
        of_two += str_find(w.task.errors.v[i], STR(" and 1 other project: GitHub: acme/absent0@HEAD is not")) > 0;
    assert_int_equal(of_two, 1);
    assert_str(w.task.errors.v[RUN_ERRORS_MAX - 1], "and 20 more"); /* 119 causes, 99 of them told */
    wish_end(&w);
    depot_settle(&d);
    depot_close(&d);
}

static void without_quota_versions_stay_and_the_refresh_goes_on_when_it_is_back(void **state)
{
    (void)state;
    depot d;
    wish w;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    report_many(&d, 5);
    depot_live(&d, MINUTES(1));
    fake_put(r, "skills/pdf/SKILL.md", SKILL("2.0.0"));
    fake_commit(r);
    d.github.quota = 0;
    d.github.quota_reset = d.clock.wall_ms + MINUTES(40);
    for (unsigned i = 0; i < 3; i++) { /* who does not insist hears it too */
        wish_begin(&w, &d, NULL, i == 0);
        assert_int_equal(wish_wait(&w, &d), 0);
        assert_int_equal(w.task.projects_refreshed, 0);
        assert_int_equal(w.task.errors.n, 1);
        assert_true(str_starts(w.task.errors.v[0], STR("GitHub's quota is used up until 2026-01-15T11:01:")));
        assert_true(str_find(w.task.errors.v[0], STR("5 projects keep")) > 0);
        wish_end(&w);
    }
    depot_settle(&d);
    assert_artifacts(&d, "p00", "pdf 1.0.0 1.2.0 outdated;");
    assert_str(stored(&d, "p00").status, "active");
    const unsigned before = d.github.asked_in_all;
    depot_live(&d, MINUTES(39));
    assert_int_equal(d.github.asked_in_all, before); /* it is not asked in vain */
    d.github.quota = 1000;
    depot_live(&d, MINUTES(1) + DEPOT_INTERVAL / 10 + MINUTES(1));
    for (unsigned i = 0; i < 5; i++) {
        const char id[] = {'p', '0', (char)('0' + i), '\0'};
        assert_artifacts(&d, id, "pdf 1.0.0 2.0.0 outdated;");
    }
    depot_close(&d);
}

static void after_a_short_failure_github_is_asked_again_within_seconds(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    d.github.is_dead = true;
    report_many(&d, 3);
    depot_live(&d, SECONDS(3));
    assert_int_equal(standing(&d, STANDS_ERROR), 3);
    d.github.is_dead = false;
    depot_live(&d, SECONDS(30)); /* 5 s, 10 s */
    assert_int_equal(standing(&d, STANDS_ERROR), 0);
    assert_artifacts(&d, "p00", "pdf 1.0.0 1.2.0 outdated;");
    depot_close(&d);
}

/* What was learnt a moment before is no answer for who asked for a newer one, and was told that it comes. */
static void what_the_quota_held_up_is_asked_when_it_is_back_however_soon(void **state)
{
    (void)state;
    depot d;
    wish w;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    report_many(&d, 3);
    depot_live(&d, MINUTES(1));
    fake_put(r, "skills/pdf/SKILL.md", SKILL("2.0.0"));
    fake_commit(r);
    d.github.quota = 0;
    d.github.quota_reset = d.clock.wall_ms + MINUTES(2);
    wish_begin(&w, &d, NULL, true);
    assert_int_equal(wish_wait(&w, &d), 0);
    assert_int_equal(w.task.projects_refreshed, 0);
    wish_end(&w);
    depot_live(&d, MINUTES(1));
    d.github.quota = 1000;
    depot_live(&d, MINUTES(3));
    for (unsigned i = 0; i < 3; i++) {
        const char id[] = {'p', '0', (char)('0' + i), '\0'};
        assert_artifacts(&d, id, "pdf 1.0.0 2.0.0 outdated;");
    }
    depot_close(&d);
}

/* ---- the disk ---- */
static const char *const IDS[] = {"L3NyL29uZQ", "L3NyL3R3bw"}; /* /sr/one, /sr/two */

static void projects_are_discovered_and_forgotten_with_their_folders(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    fake_folder *one = disk_add("/sr/one");
    disk_put(one, "pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL);
    disk_put(one, "own", NULL, "0.1.0", NULL);
    depot_live(&d, DEPOT_INTERVAL + MINUTES(1));
    assert_true(depot_has(&d, IDS[0]));
    const project p = stored(&d, IDS[0]);
    assert_str(p.name, "one");
    assert_str(p.origin, "discovered");
    assert_str(p.status, "active");
    assert_int_equal(p.artifact_count, 2);
    assert_int_equal(p.outdated_count, 1);
    disk_add("/sr/two");
    depot_live(&d, DEPOT_INTERVAL + MINUTES(1));
    assert_true(depot_has(&d, IDS[1]));
    one->is_gone = true;
    depot_live(&d, DEPOT_INTERVAL + MINUTES(1));
    assert_false(depot_has(&d, IDS[0]));
    assert_artifacts(&d, IDS[0], "");
    assert_true(depot_has(&d, IDS[1]));
    depot_close(&d);
}

static void who_refreshes_all_refreshes_what_is_there_now(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    disk_put(disk_add("/sr/one"), "own", NULL, "0.1.0", NULL);
    assert_int_equal(depot_refresh(&d, NULL, true), 1);
    disk_put(disk_add("/sr/two"), "own", NULL, "0.1.0", NULL);
    wish first, second; /* while a discovery is under way, which may not see what came since */
    wish_begin(&first, &d, NULL, true);
    wish_begin(&second, &d, NULL, true);
    assert_int_equal(wish_wait(&first, &d), 0);
    assert_int_equal(wish_wait(&second, &d), 0);
    assert_int_equal(first.task.projects_refreshed, 2);
    assert_int_equal(second.task.projects_refreshed, 2);
    wish_end(&first);
    wish_end(&second);
    assert_true(depot_has(&d, IDS[1]));
    wish_begin(&first, &d, NULL, true);
    projects_refresh_cancel(&first.task);
    assert_int_equal(wish_wait(&first, &d), -ECANCELED);
    wish_end(&first);
    depot_settle(&d);
    depot_close(&d);
}

/* A root that is there, and after it `more`; one project lies in the first, and has been read. */
static fake_folder *begin_with_a_root(depot *d, char root[64], const char *more)
{
    static str roots[2];
    static char real[PATH_MAX];
    char path[160];
    depot_open(d);
    scratch_folder(root);
    assert_non_null(realpath(root, real));
    roots[0] = str_c(real);
    roots[1] = str_c(more);
    d->options.roots = roots;
    d->options.n_roots = more ? 2 : 1;
    snprintf(path, sizeof(path), "%.150s/one", real);
    fake_folder *one = disk_add(path);
    disk_put(one, "own", NULL, "0.1.0", NULL);
    projects_configure(d->projects, &d->options);
    depot_live(d, SECONDS(10));
    assert_int_equal(standing(d, STANDS_BY_TIME), 1);
    return one;
}

static void a_root_that_is_gone_forgets_nothing(void **state)
{
    (void)state;
    depot d;
    char root[64];
    fake_folder *one = begin_with_a_root(&d, root, NULL);
    remove_folder(root);
    fake_root_is_there = false;
    one->is_gone = true;
    depot_live(&d, DEPOT_INTERVAL * 2);
    store_view *v = store_read_begin(d.store);
    assert_int_equal(store_count(v, &projects_ks), 1);
    assert_int_equal(store_count(v, &artifacts_ks), 1);
    store_read_end(v);
    assert_int_equal(standing(&d, STANDS_ERROR), 1);
    depot_close(&d);
}

static void a_root_that_is_not_there_keeps_nothing_of_the_others(void **state)
{
    (void)state;
    depot d;
    char root[64];
    fake_folder *one = begin_with_a_root(&d, root, "/no/such/root");
    one->is_gone = true;
    depot_live(&d, DEPOT_INTERVAL * 2);
    store_view *v = store_read_begin(d.store);
    assert_int_equal(store_count(v, &projects_ks), 0);
    store_read_end(v);
    remove_folder(root);
    depot_close(&d);
}

static void a_project_that_cannot_be_read_is_tried_less_and_less_often(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_folder *one = disk_add("/sr/one");
    disk_put(one, "own", NULL, "0.1.0", NULL);
    one->error = -EACCES;
    depot_live(&d, SECONDS(1));
    assert_str(stored(&d, IDS[0]).status, "error");
    assert_str(stored(&d, IDS[0]).error_message, "it cannot be read: permission denied");
    depot_live(&d, MINUTES(10));
    assert_in_range(one->reads, 5, 10); /* 5 s, 10 s, 20 s, ... */
    depot_live(&d, HOURS(6));
    assert_in_range(one->reads, 6 * 6, 6 * 6 * 4 / 3 + 15);
    assert_in_range(depot_seen(&d, str_c(IDS[0]))->longest, MINUTES(7), MINUTES(11));
    one->error = 0;
    one->why = "skills/own/SKILL.md: permission denied"; /* the rest is there all the same */
    depot_live(&d, DEPOT_INTERVAL + MINUTES(1));
    assert_str(stored(&d, IDS[0]).status, "error");
    assert_str(stored(&d, IDS[0]).error_message, "skills/own/SKILL.md: permission denied");
    assert_int_equal(stored(&d, IDS[0]).artifact_count, 1);
    one->n = 0;
    one->why = ".claude/skills: permission denied";
    one->misses_folders = true; /* what it held is not known to be gone */
    depot_live(&d, DEPOT_INTERVAL + MINUTES(1));
    assert_str(stored(&d, IDS[0]).error_message, ".claude/skills: permission denied");
    assert_int_equal(stored(&d, IDS[0]).artifact_count, 1);
    one->n = 1;
    one->misses_folders = false;
    one->why = NULL;
    depot_live(&d, DEPOT_INTERVAL + MINUTES(1));
    assert_str(stored(&d, IDS[0]).status, "active");
    assert_int_equal(stored(&d, IDS[0]).failures, 0);
    depot_close(&d);
}

static void a_deployment_file_that_breaks_takes_no_source_away(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    fake_folder *one = disk_add("/sr/one");
    disk_put(one, "pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL);
    depot_live(&d, MINUTES(1));
    assert_artifacts(&d, IDS[0], "pdf 1.0.0 1.2.0 outdated;");
    one->artifacts[0].source = one->artifacts[0].version = STR_NULL;
    one->misses_lineage = true;
    one->why = ".claude/.skillmeat-deployed.toml: line 3: a key is missing";
    disk_put(one, "new", NULL, NULL, NULL);
    depot_live(&d, DEPOT_INTERVAL * 12 / 10);
    assert_str(stored(&d, IDS[0]).status, "error");
    assert_int_equal(stored(&d, IDS[0]).outdated_count, 1);
    assert_int_equal(stored(&d, IDS[0]).artifact_count, 2); /* the rest is there all the same */
    one->misses_lineage = false; /* it is repaired, and says nothing of that one any more */
    one->why = NULL;
    depot_live(&d, MINUTES(11));
    assert_str(stored(&d, IDS[0]).status, "active");
    assert_int_equal(stored(&d, IDS[0]).outdated_count, 0);
    depot_close(&d);
}

/* ---- time ---- */
static int64_t last_run(depot *d)
{
    store_view *v = store_read_begin(d->store);
    projects_totals t;
    assert_int_equal(projects_totals_of(v, d->clock.wall_ms, DEPOT_INTERVAL, &t), 0);
    store_read_end(v);
    return t.last_run;
}

static void what_was_missed_is_refreshed_once_and_spread_out(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 30);
    depot_live(&d, MINUTES(5));
    const int64_t run = last_run(&d);
    assert_in_range(run, DEPOT_NOW, DEPOT_NOW + MINUTES(5));
    depot_begin_stop(&d);
    depot_end_stop(&d);
    fake_clk_advance(&d.clock, HOURS(24 * 10)); /* forty runs were missed */
    d.n_seen = 0;
    depot_open_projects(&d);
    assert_int_equal(last_run(&d), run);
    depot_live(&d, SECONDS(10));
    assert_in_range(d.n_seen, 5, 15);
    depot_live(&d, HOURS(1));
    assert_int_equal(d.n_seen, 30);
    for (size_t i = 0; i < d.n_seen; i++)
        assert_int_equal(d.seen[i].n, 1);
    assert_true(last_run(&d) > run);
    depot_close(&d);
}

static void what_was_invalidated_comes_next(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 30);
    depot_live(&d, MINUTES(5));
    d.n_seen = 0;
    assert_int_equal(depot_invalidate(&d, NULL), 30);
    assert_int_equal(standing(&d, STANDS_STALE), 30);
    depot_live(&d, SECONDS(10));
    assert_in_range(d.n_seen, 5, 15);
    depot_live(&d, MINUTES(1));
    assert_int_equal(d.n_seen, 30);
    assert_int_equal(standing(&d, STANDS_STALE), 0);
    depot_close(&d);
}

static void what_is_invalidated_while_it_is_refreshed_is_refreshed_again(void **state)
{
    (void)state;
    depot d;
    wish w;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 1);
    depot_live(&d, MINUTES(5));
    d.n_seen = 0;
    d.github.hold = ASK_COMMIT;
    wish_begin(&w, &d, "p00", true);
    peer_run_until(d.loop, fake_holds(&d.github));
    assert_int_equal(depot_invalidate(&d, "p00"), 1);
    fake_release(&d.github);
    assert_int_equal(wish_wait(&w, &d), 0);
    wish_end(&w);
    depot_live(&d, SECONDS(10));
    assert_int_equal(depot_seen(&d, STR("p00"))->n, 2);
    assert_false(stored(&d, "p00").marked);
    depot_close(&d);
}

static void a_change_in_the_catalogue_makes_its_projects_due(void **state)
{
    static const deployed listed[] = {{"pdf", "github:Acme/Listed/skills/pdf", "1.0.0", NULL, NULL},
                                      {"xls", "github:acme/listed/skills/xls", "1.0.0", NULL, NULL}};
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    report_many(&d, 3);
    for (unsigned i = 0; i < 12; i++) {
        const char id[] = {'l', (char)('a' + i), '\0'};
        assert_int_equal(depot_report(&d, id, listed, 2), 0);
    }
    depot_live(&d, MINUTES(5));
    d.n_seen = 0;
    projects_upstream_changed(d.projects, STR("ACME"), STR("listed"));
    depot_settle(&d);
    depot_live(&d, MINUTES(1));
    assert_int_equal(d.n_seen, 12);
    assert_int_equal(standing(&d, STANDS_STALE), 0);
    projects_upstream_changed(d.projects, STR("acme"), STR("list"));
    depot_live(&d, MINUTES(1));
    assert_int_equal(d.n_seen, 12);
    depot_close(&d);
}

/* ---- memory, stops ---- */
static void scene(depot *d)
{
    stock(d, "tools", "1.2.0");
    fake_folder *one = disk_add("/sr/one");
    disk_put(one, "pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL);
    report_many(d, 4);
}

static void memory_that_is_missing_at_any_moment_is_made_up_for(void **state)
{
    (void)state;
    for (long n = 0; n < 400; n += n < 30 ? 1 : 17) {
        depot d;
        wish w;
        depot_open(&d);
        scene(&d);
        mem_fail_at(n);
        wish_begin(&w, &d, NULL, true);
        (void)wish_wait(&w, &d);
        mem_fail_at(-1);
        wish_end(&w);
        depot_live(&d, MINUTES(20));
        depot_live(&d, DEPOT_INTERVAL * 3 / 2);
        for (unsigned i = 0; i < 4; i++) {
            const char id[] = {'p', '0', (char)('0' + i), '\0'};
            assert_artifacts(&d, id, "pdf 1.0.0 1.2.0 outdated;");
            assert_str(stored(&d, id).status, "active");
        }
        assert_artifacts(&d, IDS[0], "pdf 1.0.0 1.2.0 outdated;");
        depot_close(&d);
    }
}

static void a_stop_at_any_moment_leaves_what_the_next_start_goes_on_with(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 60; turns += turns < 20 ? 1 : 4) {
        depot d;
        wish all, one;
        depot_open(&d);
        scene(&d);
        wish_begin(&all, &d, NULL, true);
        wish_begin(&one, &d, "p02", true);
        for (unsigned i = 0; i < turns; i++)
            (void)loop_run_once(d.loop, false);
        depot_begin_stop(&d);
        depot_end_stop(&d);
        assert_int_equal(all.done, 1);
        assert_int_equal(one.done, 1);
        assert_true(all.task.status == 0 || all.task.status == -ECANCELED);
        wish_end(&all), wish_end(&one);
        for (size_t i = 0; i < d.n_seen; i++)
            d.seen[i].runs = false;
        depot_open_projects(&d);
        depot_live(&d, MINUTES(5));
        for (unsigned i = 0; i < 4; i++) {
            const char id[] = {'p', '0', (char)('0' + i), '\0'};
            assert_artifacts(&d, id, "pdf 1.0.0 1.2.0 outdated;");
        }
        assert_artifacts(&d, IDS[0], "pdf 1.0.0 1.2.0 outdated;");
        depot_close(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_github_costs_few_requests_and_all_recovers_by_itself),
        cmocka_unit_test(who_asks_again_and_again_while_github_is_dead_does_not_put_it_off),
        cmocka_unit_test(what_the_breaker_did_not_ask_is_no_further_failure),
        cmocka_unit_test(what_github_refuses_is_asked_for_as_rarely_as_the_interval_has_it),
        cmocka_unit_test(a_client_hears_why_a_refresh_failed),
        cmocka_unit_test(reasons_are_told_whole_or_end_with_a_word),
        cmocka_unit_test(causes_are_told_once_and_bounded),
        cmocka_unit_test(without_quota_versions_stay_and_the_refresh_goes_on_when_it_is_back),
        cmocka_unit_test(after_a_short_failure_github_is_asked_again_within_seconds),
        cmocka_unit_test(what_the_quota_held_up_is_asked_when_it_is_back_however_soon),
        cmocka_unit_test(projects_are_discovered_and_forgotten_with_their_folders),
        cmocka_unit_test(who_refreshes_all_refreshes_what_is_there_now),
        cmocka_unit_test(a_root_that_is_gone_forgets_nothing),
        cmocka_unit_test(a_root_that_is_not_there_keeps_nothing_of_the_others),
        cmocka_unit_test(a_project_that_cannot_be_read_is_tried_less_and_less_often),
        cmocka_unit_test(a_deployment_file_that_breaks_takes_no_source_away),
        cmocka_unit_test(what_was_missed_is_refreshed_once_and_spread_out),
        cmocka_unit_test(what_was_invalidated_comes_next),
        cmocka_unit_test(what_is_invalidated_while_it_is_refreshed_is_refreshed_again),
        cmocka_unit_test(a_change_in_the_catalogue_makes_its_projects_due),
        cmocka_unit_test(memory_that_is_missing_at_any_moment_is_made_up_for),
        cmocka_unit_test(a_stop_at_any_moment_leaves_what_the_next_start_goes_on_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
