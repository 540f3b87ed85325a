/* What is known is read once after the start: what that tells, what is due then, and clients who come meanwhile. */
#include "depot.h"

#define ID "L3NyL29uZQ" /* /sr/one */

typedef struct stand {
    depot depot;
    fake_folder *one;
    fake_repo *repo;
} stand;

/* Settled, and minutes from its next refresh. */
static void stand_open(stand *s)
{
    depot *d = &s->depot;
    depot_open(d);
    s->repo = fake_repo_new(&d->github, "acme", "tools");
    fake_put(s->repo, "skills/pdf/SKILL.md", "---\nname: pdf\nversion: 1.2.0\n---\n");
    fake_commit(s->repo);
    s->one = disk_add("/sr/one");
    disk_put(s->one, "pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL);
    disk_put(s->one, "own", NULL, "0.1.0", NULL);
    depot_live(d, MINUTES(5));
}

static void stop(stand *s)
{
    depot_begin_stop(&s->depot);
    depot_end_stop(&s->depot);
    fake_clk_advance(&s->depot.clock, SECONDS(1));
}

static void start(stand *s)
{
    depot *d = &s->depot;
    depot_open_projects(d);
    d->n_seen = 0;
    memset(d->events, 0, sizeof(d->events));
}

/* Until it is being read again. */
static void start_to_reread(stand *s)
{
    stop(s);
    start(s);
    atomic_store(&fake_disk_is_slow, true);
    peer_run_until(s->depot.loop, s->depot.projects->running == 1);
    const refresh *r = refresh_find(s->depot.projects, STR(ID));
    assert_non_null(r);
    assert_true(r->only_reads && r->is_quiet);
}

static void what_is_fresh_is_no_whole_refresh_because_it_is_read_again(void **state)
{
    (void)state;
    stand s;
    wish one, all;
    stand_open(&s);
    depot *d = &s.depot;
    const unsigned asked = d->github.asked_in_all;
    start_to_reread(&s);
    wish_begin(&one, d, ID, false);
    wish_begin(&all, d, NULL, false);
    all.task.seeks = 1; /* it does not wait for the roots to be walked */
    peer_run_until(d->loop, list_empty(&d->projects->asked));
    atomic_store(&fake_disk_is_slow, false);
    assert_int_equal(wish_wait(&one, d), 0);
    assert_int_equal(wish_wait(&all, d), 0);
    assert_int_equal(one.task.projects_refreshed + all.task.projects_refreshed, 0);
    wish_end(&one), wish_end(&all);
    depot_settle(d);
    assert_int_equal(d->github.asked_in_all, asked);
    depot_close(d);
}

static void a_client_that_joins_is_told_of_it_and_asks_for_what_is_new_now(void **state)
{
    (void)state;
    stand s;
    wish w;
    stand_open(&s);
    depot *d = &s.depot;
    start_to_reread(&s);
    const unsigned asked = s.repo->asked[ASK_COMMIT];
    refresh *r = refresh_find(d->projects, STR(ID));
    wish_begin(&w, d, ID, true);
    peer_run_until(d->loop, list_empty(&d->projects->asked));
    assert_false(list_empty(&r->tasks));
    assert_int_equal(d->events[REFRESH_STARTED], 1);
    assert_false(r->patient);
    assert_int_equal(r->since, loop_now_mono_ms(d->loop));
    atomic_store(&fake_disk_is_slow, false);
    assert_int_equal(wish_wait(&w, d), 0);
    assert_int_equal(w.task.projects_refreshed, 1);
    wish_end(&w);
    depot_settle(d);
    assert_int_equal(d->events[REFRESH_STARTED], 1);
    assert_int_equal(d->events[REFRESH_FINISHED], 1);
    assert_int_equal(s.repo->asked[ASK_COMMIT], asked + 1);
    depot_close(d);
}

static void where_something_went_upstream_is_asked_soon_too(void **state)
{
    (void)state;
    stand s;
    stand_open(&s);
    const unsigned asked = s.repo->asked[ASK_COMMIT];
    stop(&s);
    s.one->n = 1;
    start(&s);
    depot_live(&s.depot, SECONDS(3));
    assert_artifacts(&s.depot, ID, "pdf 1.0.0 1.2.0 outdated;");
    assert_int_equal(s.repo->asked[ASK_COMMIT], asked + 1);
    depot_close(&s.depot);
}

static void what_failed_and_can_be_read_again_is_active_soon(void **state)
{
    (void)state;
    stand s;
    arena a;
    stand_open(&s);
    arena_init(&a, 0);
    s.one->error = -EACCES;
    depot_live(&s.depot, DEPOT_INTERVAL * 2); /* the next try is minutes away */
    const project failed = depot_project(&s.depot, &a, ID);
    assert_str(failed.status, "error");
    assert_true(failed.next_refresh_at > s.depot.clock.wall_ms + SECONDS(10));
    stop(&s);
    s.one->error = 0;
    start(&s);
    depot_live(&s.depot, SECONDS(3));
    const project p = depot_project(&s.depot, &a, ID);
    assert_str(p.status, "active");
    assert_null(p.error_message.p);
    assert_int_equal(p.failures, 0);
    arena_done(&a);
    depot_close(&s.depot);
}

/* That its folder can be read says nothing of that. */
static void what_github_did_not_answer_for_stays_so_until_it_does(void **state)
{
    (void)state;
    stand s;
    arena a;
    stand_open(&s);
    arena_init(&a, 0);
    depot *d = &s.depot;
    d->github.is_dead = true;
    assert_int_equal(depot_refresh(d, ID, true), 0);
    assert_str(depot_project(d, &a, ID).status, "error");
    assert_int_equal(depot_project(d, &a, ID).failures, 1);
    stop(&s);
    s.one->n = 1;
    start(&s);
    d->projects->pick_at = loop_now_mono_ms(d->loop) + SECONDS(1); /* what is due waits */
    depot_settle(d);
    const project p = depot_project(d, &a, ID);
    assert_int_equal(p.artifact_count, 1);
    assert_str(p.status, "error");
    assert_int_equal(p.failures, 1);
    d->github.is_dead = false;
    depot_live(d, SECONDS(10));
    assert_str(depot_project(d, &a, ID).status, "active");
    arena_done(&a);
    depot_close(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_fresh_is_no_whole_refresh_because_it_is_read_again),
        cmocka_unit_test(a_client_that_joins_is_told_of_it_and_asks_for_what_is_new_now),
        cmocka_unit_test(where_something_went_upstream_is_asked_soon_too),
        cmocka_unit_test(what_failed_and_can_be_read_again_is_active_soon),
        cmocka_unit_test(what_github_did_not_answer_for_stays_so_until_it_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
