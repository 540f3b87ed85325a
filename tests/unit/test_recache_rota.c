/* What is rendered when: rates, lanes, refreshes ahead of their time, hosts that go and come. */
#include "unit.h"

#include "recache_world.h"

#include "domains/recache/service.h"

#include <stdio.h>

#define URL "https://www.1.example/a"

static recache_world w;

static void test_refresh_ahead_renders_before_the_ttl_ends(void **state)
{
    (void)state;
    world_begin(&w, 1);
    w.hosts[0].refresh_ahead_ms = HOURS(1);
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    assert_int_equal(world_enqueue(&w, 1, URL, 1, RECACHE_HIGH), 1);
    world_turn(&w, SECONDS(5));
    assert_int_equal(w.started, 1);
    assert_int_equal(world_queued(&w), 1);
    fake_clk_advance(&w.clock, HOURS(23) - MINUTES(1));
    world_turn(&w, SECONDS(5));
    assert_int_equal(w.started, 1);
    fake_clk_advance(&w.clock, MINUTES(1));
    world_turn(&w, SECONDS(5));
    assert_int_equal(w.started, 2);
    world_end(&w);
}

static void test_neither_renders_nor_fetches_wait_for_the_other(void **state)
{
    char url[64];

    (void)state;
    world_begin(&w, 2);
    w.answer.takes_ms = MINUTES(2); /* the first host's origin says nothing */
    for (unsigned i = 0; i < 100; i++) {
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        assert_int_equal(world_enqueue(&w, 1, url, RECACHE_DIMENSION_BYPASS, RECACHE_HIGH), 1);
    }
    world_turn(&w, SECONDS(1));
    assert_int_equal(w.n_under_way, 10); /* max_fetches */
    w.answer.takes_ms = 100;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(url, sizeof(url), "https://www.2.example/%u", i);
        assert_int_equal(world_enqueue(&w, 2, url, RECACHE_DIMENSION_BYPASS, RECACHE_HIGH), 1);
        assert_int_equal(world_enqueue(&w, 2, url, 1, RECACHE_HIGH), 1);
    }
    world_turn(&w, SECONDS(10));
    assert_int_equal(recache_figures_of(w.recache).rendered, 100);
    assert_int_equal(recache_figures_of(w.recache).fetched, 0);
    w.tabs = 0; /* no render service is there */
    for (unsigned i = 0; i < 100; i++) {
        snprintf(url, sizeof(url), "https://www.2.example/%u", i);
        assert_int_equal(world_enqueue(&w, 2, url, 1, RECACHE_HIGH), 1);
    }
    world_turn(&w, MINUTES(5));
    assert_int_equal(recache_figures_of(w.recache).fetched, 200);
    assert_int_equal(recache_figures_of(w.recache).rendered, 100);
    w.tabs = 10;
    assert_true(world_drain(&w, SECONDS(20)));
    world_end(&w);
}

static void test_a_rate_is_kept(void **state)
{
    (void)state;
    world_begin(&w, 2);
    w.hosts[0].rate = 2;
    w.hosts[0].burst = 4;
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    for (unsigned i = 0; i < 100; i++) {
        char url[64];
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_NORMAL), 1);
    }
    const uint64_t before = w.starts_of[1];
    const int64_t from = clk_wall_ms(&w.clock.base);
    world_turn(&w, SECONDS(20));
    const int64_t s = (clk_wall_ms(&w.clock.base) - from) / 1000;
    assert_true(w.starts_of[1] - before <= (uint64_t)(2 * s + 5) && w.starts_of[1] >= (uint64_t)(2 * s - 2));
    world_end(&w);
}

static int64_t queued_high(size_t n_hosts)
{
    int64_t totals[RECACHE_PRIORITIES];
    store_view *v = store_read_begin(w.store);

    assert_int_equal(recache_queue_totals_of(v, w.hosts, n_hosts, totals), 0);
    store_read_end(v);
    assert_int_equal(totals[RECACHE_NORMAL] + totals[RECACHE_AUTO], 0);
    return totals[RECACHE_HIGH];
}

static void test_entries_of_a_host_that_went_away_wait_for_its_return(void **state)
{
    recache_options fewer;

    (void)state;
    world_begin(&w, 2);
    w.tabs = 0;
    assert_int_equal(world_enqueue(&w, 2, "https://www.2.example/", 1, RECACHE_HIGH), 1);
    fewer = w.options;
    fewer.n_hosts = 1;
    assert_int_equal(recache_configure(w.recache, &fewer), 0);
    assert_int_equal(queued_high(1), 0);
    assert_int_equal(queued_high(2), 1);
    w.tabs = 10;
    world_turn(&w, SECONDS(10));
    assert_int_equal(w.started, 0);
    assert_int_equal(world_queued(&w), 1);
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(w.started, 1);
    world_end(&w);
}

static void test_what_is_refused_needs_no_free_tab(void **state)
{
    static const recache_dimension bypass = {.id = 0, .name = STR_INIT("bypass"), .action = RECACHE_BYPASS};
    char url[64];

    (void)state;
    world_begin(&w, 2);
    w.tabs = 0;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(url, sizeof(url), i < 20 ? "https://www.1.example/%u" : "https://other.example/%u", i);
        assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_HIGH), 1);
        assert_int_equal(world_enqueue(&w, 2, "https://www.2.example/", 2, RECACHE_HIGH), i == 0);
    }
    for (unsigned i = 0; i < 500 && world_dead(&w, 1) < 80; i++)
        world_turn(&w, 100);
    assert_int_equal(world_dead(&w, 1), 80);
    assert_int_equal(world_queued(&w), 21);
    w.hosts[1].dimensions = &bypass; /* a reload takes the other ones away */
    w.hosts[1].n_dimensions = 1;
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    for (unsigned i = 0; i < 500 && world_dead(&w, 2) == 0; i++)
        world_turn(&w, 100);
    assert_int_equal(world_dead(&w, 2), 1);
    assert_int_equal(w.started, 0);
    w.tabs = 10;
    assert_true(world_drain(&w, SECONDS(60)));
    assert_int_equal(w.started, 20);
    assert_int_equal(world_dead(&w, 1), 80);
    world_end(&w);
}

static void test_a_pump_reads_some_windows_and_the_next_ones_the_others(void **state)
{
    const unsigned windows = 64 * QUEUE_LANES;
    unsigned pumps = 1;
    pick p;

    (void)state;
    world_begin(&w, 64);
    w.tabs = 0;
    assert_int_equal(world_enqueue(&w, 64, "https://www.64.example/", 1, RECACHE_AUTO), 1);
    rota_wake_all(w.recache);
    rota_turn(w.recache);
    int r = rota_pick(w.recache, true, true, &p);
    assert_int_equal(r, -ENOENT); /* the last lane of the last host has not been read yet */
    while (r == -ENOENT && w.recache->lacks_reads) {
        pumps++;
        rota_turn(w.recache);
        r = rota_pick(w.recache, true, true, &p);
    }
    assert_int_equal(r, 0);
    assert_int_equal(p.site->id, 64);
    assert_true(pumps <= windows / ROTA_READS + 1);
    w.tabs = 10;
    rota_wake_all(w.recache);
    for (int i = 0; i < 100 && w.started == 0; i++) /* at once: no time passes */
        world_turn(&w, 0);
    assert_int_equal(w.started, 1);
    world_end(&w);
}

static unsigned turns_that_pump(unsigned turns)
{
    unsigned pumps = 0;

    for (unsigned i = 0; i < turns; i++) {
        w.recache->reads_left = 0; /* a pump sets it anew */
        loop_run_once(w.loop, false);
        pumps += w.recache->reads_left > 0;
    }
    return pumps;
}

static void test_what_comes_due_while_no_tab_is_free_waits_in_peace(void **state)
{
    static const str urls[] = {STR_INIT(URL)};
    static const uint16_t desktop = 1;
    recache_task t = {
        .host_id = 1, .urls = {urls, 1}, .dimensions = &desktop, .n_dimensions = 1, .priority = RECACHE_AUTO};

    (void)state;
    world_begin(&w, 1);
    w.tabs = 1;
    t.due = WORLD_NOW + MINUTES(1);
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    world_turn(&w, SECONDS(2));
    assert_in_range(rota_delay(w.recache, true, true), 1, MINUTES(1)); /* it has been seen */
    w.tabs = 0;
    fake_clk_advance(&w.clock, MINUTES(2));
    world_turn(&w, SECONDS(2));
    assert_true(rota_delay(w.recache, false, true) == INT64_MAX);
    assert_true(turns_that_pump(50) < 10);
    assert_int_equal(w.started, 0);
    w.tabs = 1;
    recache_poke(w.recache);
    world_turn(&w, 200);
    assert_int_equal(w.started, 1);
    world_end(&w);
}

static void refuse_one_more(void)
{
    static unsigned n;
    char url[64];

    snprintf(url, sizeof(url), "https://other.example/more/%u", n++);
    assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_HIGH), 1);
}

/* The scan as pumps do it. What it finds is left where it is. */
static unsigned pumps_of_a_scan(bool with_others)
{
    unsigned pumps = 1;
    pick p;
    int r;

    rota_turn(w.recache);
    while ((r = rota_pick_refused(w.recache, &p)) != -ENOENT) {
        if (r == 0)
            continue;
        assert_int_equal(r, -EAGAIN);
        if (with_others && pumps == 2)
            rota_check_again(w.recache);
        pumps++;
        rota_turn(w.recache);
    }
    return pumps;
}

static void test_looking_for_what_is_refused_is_bounded_and_comes_to_an_end(void **state)
{
    static const str late[] = {STR_INIT("https://other.example/late")};
    static const uint16_t desktop = 1;
    recache_task t = {.host_id = 1,
                      .urls = {late, 1},
                      .dimensions = &desktop,
                      .n_dimensions = 1,
                      .priority = RECACHE_AUTO,
                      .due = WORLD_NOW + HOURS(1)};
    char url[64];

    (void)state;
    world_begin(&w, 1);
    w.tabs = 0;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_HIGH), 1);
    }
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    for (unsigned i = 0; i < 100 && world_dead(&w, 1) == 0; i++)
        world_turn(&w, 100);
    assert_int_equal(world_dead(&w, 1), 1); /* long before it is due */
    for (unsigned i = 0; i < 100 && w.recache->checks; i++)
        world_turn(&w, 100);
    assert_false(w.recache->checks);

    rota_check_again(w.recache);
    const unsigned round = pumps_of_a_scan(false);
    assert_in_range(round, 6, 8); /* 200 entries, 32 at a time */
    rota_check_again(w.recache);
    assert_in_range(pumps_of_a_scan(true), 2 * round - 1, 2 * round + 1);

    /* A stream of refused URLs: the entries behind are come to all the same. */
    rota_check_again(w.recache);
    for (unsigned i = 0; i < 5 * round; i++) {
        pick p;
        refuse_one_more();
        rota_turn(w.recache);
        const int r = rota_pick_refused(w.recache, &p);
        assert_true(r == 0 || r == -EAGAIN || r == -ENOENT);
    }
    for (unsigned i = 0; i < 100 && world_dead(&w, 1) < 1 + (int64_t)(5 * round); i++)
        world_turn(&w, 100);
    assert_int_equal(world_dead(&w, 1), 1 + 5 * round);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refresh_ahead_renders_before_the_ttl_ends),
        cmocka_unit_test(test_neither_renders_nor_fetches_wait_for_the_other),
        cmocka_unit_test(test_a_rate_is_kept),
        cmocka_unit_test(test_entries_of_a_host_that_went_away_wait_for_its_return),
        cmocka_unit_test(test_a_pump_reads_some_windows_and_the_next_ones_the_others),
        cmocka_unit_test(test_what_is_refused_needs_no_free_tab),
        cmocka_unit_test(test_what_comes_due_while_no_tab_is_free_waits_in_peace),
        cmocka_unit_test(test_looking_for_what_is_refused_is_bounded_and_comes_to_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
