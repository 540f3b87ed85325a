/* feed: search finds what the store holds and what changes tell, whatever fails on the way. */
#include "unit.h"

#include "app/feed.h"
#include "domains/sources/records.h"
#include "larder/log.h"
#include "store_fixture.h"

#include <stdio.h>

static keyspace *const keyspaces[] = {&sources_ks, &entries_ks, &projects_ks, &artifacts_ks, &project_changes_ks};
static const store_options options = {.max_size = 64 * MIB,
                                      .keyspaces = keyspaces,
                                      .n_keyspaces = COUNT_OF(keyspaces),
                                      .schema_version = 1,
                                      .probe_ms = 20};

typedef struct world {
    fixture f;
    api app;
    feed feed;
    bool ready, stopped;
    search_wait wait;
} world;

/* ---- entries ---- */

static int put_entries(store_txn *t, test_op *o)
{
    const size_t n = *(size_t *)o->arg;
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        char id[40], name[40];
        snprintf(id, sizeof(id), "cat_entry-%06zu", i);
        snprintf(name, sizeof(name), "skill number %zu", i);
        const entry e = {.id = str_c(id),
                         .source_id = STR("src_a_b"),
                         .artifact_type = STR("skill"),
                         .name = str_c(name),
                         .path = str_c(name),
                         .upstream_url = STR("https://github.com/a/b"),
                         .status = STR("new"),
                         .updated_at = 1};
        r = entry_put(t, &e);
    }
    return r;
}

static int put_long_name(store_txn *t, test_op *o)
{
    (void)o;
    static char name[SEARCH_NAME_MAX + 1];
    memset(name, 'x', sizeof(name));
    const entry e = {.id = STR("cat_long"),
                     .source_id = STR("src_a_b"),
                     .artifact_type = STR("agent"),
                     .name = str_of(name, sizeof(name)),
                     .path = STR("p"),
                     .upstream_url = STR("https://github.com/a/b"),
                     .status = STR("new")};
    return entry_put(t, &e);
}

static size_t found(world *w, const char *text)
{
    SCOPED(arena_done)
    arena a;
    search_page page;
    const search_query q = {.text = str_c(text), .limit = 10};
    arena_init(&a, 0);
    assert_int_equal(search_find(w->app.search, &q, &a, &page), 0);
    return page.total;
}

/* ---- life ---- */

static void on_ready(search_wait *wait)
{
    CONTAINER_OF(wait, world, wait)->ready = true;
}

static void on_stopped(void *arg)
{
    ((world *)arg)->stopped = true;
}

/* As a call for search does. */
static void wait_for_search(world *w)
{
    w->ready = w->app.search_is_ready;
    w->wait.ready = on_ready;
    if (!w->ready)
        list_push(&w->app.search_waits, &w->wait.link);
    turn_until(&w->f, &w->ready);
}

static void begin(world *w, size_t entries)
{
    *w = (world){0};
    fixture_begin(&w->f, &options);
    assert_int_equal(do_op(&w->f, 0, put_entries, &entries), 0);
    w->app.loop = w->f.loop;
    w->app.store = w->f.store;
}

static void end(world *w)
{
    w->stopped = false;
    feed_stop(&w->feed, on_stopped, w);
    assert_false(w->stopped);
    turn_until(&w->f, &w->stopped);
    feed_done(&w->feed);
    fixture_end(&w->f);
}

/* Turns until no build is under way. */
static void settle(world *w)
{
    while (w->feed.build || timer_is_set(&w->feed.end))
        loop_run_once(w->f.loop, true);
}

/* ---- tests ---- */

static void what_the_store_holds_is_found_after_the_start(void **state)
{
    (void)state;
    world w;
    begin(&w, 100);
    assert_int_equal(feed_start(&w.feed, &w.app), 0);
    assert_false(w.app.search_is_ready);
    wait_for_search(&w);
    assert_true(w.app.search_is_ready);
    assert_int_equal(found(&w, "SKILL"), 100);
    assert_int_equal(found(&w, "number 99"), 1);
    end(&w);
}

static void an_empty_store_is_ready_too(void **state)
{
    (void)state;
    world w;
    begin(&w, 0);
    assert_int_equal(feed_start(&w.feed, &w.app), 0);
    wait_for_search(&w);
    assert_true(w.app.search_is_ready);
    assert_int_equal(found(&w, "a"), 0);
    end(&w);
}

static void changes_are_seen_at_once_and_win_over_a_load(void **state)
{
    static const entry_change changes[] = {
        {STR_INIT("cat_new"), STR_INIT("brand new"), STR_INIT("agent"), 5, true},
        {STR_INIT("cat_entry-000000"), STR_INIT("skill number 0"), STR_INIT("skill"), 5, false},
        {STR_INIT("cat_entry-000001"), STR_INIT("renamed"), STR_INIT("command"), 5, true},
        {STR_INIT("cat_nobody"), STR_INIT("x"), STR_INIT("skill"), 5, false},
    };
    (void)state;
    world w;
    begin(&w, 10);
    assert_int_equal(feed_start(&w.feed, &w.app), 0);
    const uint64_t version = w.app.search_version;
    feed_entries(&w.feed, changes, COUNT_OF(changes)); /* the load is under way */
    assert_true(w.app.search_version != version);
    wait_for_search(&w);
    assert_int_equal(found(&w, "skill"), 8);
    assert_int_equal(found(&w, "brand"), 1);
    assert_int_equal(found(&w, "renamed"), 1);
    const entry_change again = {STR("cat_new"), STR("brand new"), STR("agent"), 5, false};
    feed_entries(&w.feed, &again, 1);
    assert_int_equal(found(&w, "brand"), 0);
    end(&w);
}

static void many_changes_are_merged_meanwhile(void **state)
{
    (void)state;
    world w;
    begin(&w, 0);
    assert_int_equal(feed_start(&w.feed, &w.app), 0);
    wait_for_search(&w);
    for (unsigned batch = 0; batch < 200; batch++) {
        char ids[SOURCES_BATCH][24];
        entry_change changes[SOURCES_BATCH];
        for (unsigned i = 0; i < SOURCES_BATCH; i++) {
            snprintf(ids[i], sizeof(ids[i]), "n%u-%u", batch, i);
            changes[i] = (entry_change){str_c(ids[i]), str_c(ids[i]), STR("skill"), 1, true};
        }
        feed_entries(&w.feed, changes, SOURCES_BATCH);
        loop_run_once(w.f.loop, false);
        if (batch % 20 == 0)
            assert_int_equal(found(&w, "n0-17"), 11); /* n0-17, n0-170 to n0-179 */
    }
    settle(&w);
    assert_int_equal(found(&w, "n199-255"), 1);
    assert_true(search_measure(w.app.search).docs == 200 * SOURCES_BATCH);
    assert_true(search_measure(w.app.search).segments < 20);
    end(&w);
}

static void a_reload_learns_what_the_store_holds_now(void **state)
{
    (void)state;
    world w;
    size_t more = 20;
    begin(&w, 5);
    assert_int_equal(feed_start(&w.feed, &w.app), 0);
    feed_reload(&w.feed); /* while a load is under way */
    wait_for_search(&w);
    assert_int_equal(found(&w, "skill"), 5);
    settle(&w);
    assert_int_equal(do_op(&w.f, 0, put_entries, &more), 0);
    feed_reload(&w.feed);
    assert_true(w.app.search_is_ready); /* as it was, until all is learnt */
    assert_int_equal(found(&w, "skill"), 5);
    const entry_change meanwhile = {STR("cat_m"), STR("meanwhile"), STR("skill"), 1, true};
    feed_entries(&w.feed, &meanwhile, 1);
    assert_int_equal(found(&w, "meanwhile"), 1);
    settle(&w);
    assert_int_equal(found(&w, "skill"), 20);
    assert_int_equal(found(&w, "meanwhile"), 1);
    end(&w);
}

static void an_entry_that_search_cannot_take_is_left_out(void **state)
{
    (void)state;
    static char name[SEARCH_NAME_MAX + 1];
    world w;
    begin(&w, 3);
    assert_int_equal(do_op(&w.f, 0, put_long_name, NULL), 0);
    assert_int_equal(feed_start(&w.feed, &w.app), 0);
    wait_for_search(&w);
    assert_true(w.app.search_is_ready);
    assert_int_equal(found(&w, "skill"), 3);
    memset(name, 'y', sizeof(name));
    const entry_change changes[] = {{STR("cat_y"), str_of(name, sizeof(name)), STR("skill"), 1, true},
                                    {STR("cat_z"), STR("after it"), STR("skill"), 1, true}};
    feed_entries(&w.feed, changes, COUNT_OF(changes));
    assert_int_equal(found(&w, "after"), 1);
    assert_int_equal(found(&w, "skill"), 3);
    end(&w);
}

static void a_stop_waits_for_the_worker_and_releases_who_waits(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 4; turns++) {
        world w;
        begin(&w, 200);
        assert_int_equal(feed_start(&w.feed, &w.app), 0);
        w.wait.ready = on_ready;
        list_push(&w.app.search_waits, &w.wait.link);
        for (unsigned i = 0; i < turns; i++)
            loop_run_once(w.f.loop, false);
        end(&w);
        assert_true(w.ready);
    }
}

/* One start with its nth allocation failing. True: it did. */
static bool start_without_memory(long nth)
{
    world w;
    begin(&w, 40);
    mem_fail_at(nth);
    const int r = feed_start(&w.feed, &w.app);
    if (r == 0)
        wait_for_search(&w);
    const bool hit = mem_failed();
    mem_fail_at(-1);
    if (w.app.search_is_ready)
        assert_int_equal(found(&w, "skill"), 40);
    else
        assert_true(hit && (r == -ENOMEM || timer_is_set(&w.feed.again)));
    end(&w);
    return hit;
}

static void lack_of_memory_delays_search_and_loses_nothing(void **state)
{
    (void)state;
    long nth = 0;
    while (start_without_memory(nth))
        nth++;
    assert_true(nth > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_store_holds_is_found_after_the_start),
        cmocka_unit_test(an_empty_store_is_ready_too),
        cmocka_unit_test(changes_are_seen_at_once_and_win_over_a_load),
        cmocka_unit_test(many_changes_are_merged_meanwhile),
        cmocka_unit_test(a_reload_learns_what_the_store_holds_now),
        cmocka_unit_test(an_entry_that_search_cannot_take_is_left_out),
        cmocka_unit_test(a_stop_waits_for_the_worker_and_releases_who_waits),
        cmocka_unit_test(lack_of_memory_delays_search_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
