/* How often: sliding windows, concurrency, and the bounded table of clients. No store is needed for this. */
#include "unit.h"

#include "larder/access.h"
#include "serve/access/private.h"

#include <stdlib.h>

#define MINUTE_MS MINUTES(1)
#define HOUR_MS HOURS(1)
#define MINUTE_SLOT_MS (MINUTE_MS / (WINDOW_SLOTS - 1))
#define HOUR_SLOT_MS (HOUR_MS / (WINDOW_SLOTS - 1))

typedef struct world {
    fake_clk clock;
    access_control *access;
} world;

static int setup(void **state)
{
    static const access_options o = {.per_minute = 5, .per_hour = 1000000, .concurrent = 3};
    world *w = calloc(1, sizeof(*w));
    fake_clk_init(&w->clock, 1750000000250);
    random_seed_for_tests(7);
    assert_int_equal(access_new(NULL, &w->clock.base, &o, &w->access), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    access_free(w->access);
    random_seed_for_tests(0);
    free(w);
    return 0;
}

/* What access_admit gives: the client of this number, with these limits. */
static access_grant client(uint32_t number, int64_t per_minute, int64_t per_hour, int64_t concurrent)
{
    access_grant g = {.has_key = true, .per_minute = per_minute, .per_hour = per_hour, .concurrent = concurrent};
    memcpy(g.identity, &number, sizeof(number));
    return g;
}

/* One request, from its beginning to its end. */
static int request(world *w, access_grant *g)
{
    const int r = access_enter(w->access, g);
    access_leave(w->access, g);
    return r;
}

static int request_of(world *w, uint32_t number, int64_t per_minute)
{
    access_grant g = client(number, per_minute, INT64_MAX, 10);
    return request(w, &g);
}

/* ---- windows ---- */
/* Requests at random times: none is let in over the limit, none kept out that is not within a slot of it. */
static void try_window(world *w, bool by_hour, int64_t limit, int64_t longest_pause_ms)
{
    enum { N = 20000 };
    const int64_t window_ms = by_hour ? HOUR_MS : MINUTE_MS, slot_ms = by_hour ? HOUR_SLOT_MS : MINUTE_SLOT_MS;
    int64_t *let_in = malloc(N * sizeof(*let_in));
    size_t n = 0, oldest = 0, oldest_by_slot = 0, refused = 0;

    for (size_t i = 0; i < N; i++) {
        access_grant g = client(1, by_hour ? INT64_MAX : limit, by_hour ? limit : INT64_MAX, 10);
        const int64_t now = clk_mono_ms(&w->clock.base);
        while (oldest < n && let_in[oldest] <= now - window_ms)
            oldest++;
        while (oldest_by_slot < n && let_in[oldest_by_slot] <= now - window_ms - slot_ms)
            oldest_by_slot++;
        if (request(w, &g) == 0) {
            assert_true((int64_t)(n - oldest) < limit);
            let_in[n++] = now;
        } else {
            assert_true((int64_t)(n - oldest_by_slot) >= limit);
            refused++;
        }
        fake_clk_advance(&w->clock, (int64_t)random_below((uint64_t)longest_pause_ms + 1));
    }
    assert_true(n > 1000 && refused > 1000);
    free(let_in);
    fake_clk_advance(&w->clock, 2 * window_ms); /* nothing is left of it */
}

static void no_minute_has_more_than_the_limit_and_none_much_less(void **state)
{
    try_window(*state, false, 100, 1000);
    try_window(*state, false, 7, 12000);
    try_window(*state, false, 1, 70000);
}

static void no_hour_has_more_than_the_limit_and_none_much_less(void **state)
{
    try_window(*state, true, 100, 60000);
    try_window(*state, true, 3, 1500000);
}

static void bursts_at_the_ends_of_two_minutes_do_not_add_up(void **state)
{
    world *w = *state;

    /* one ms before a whole minute */
    fake_clk_advance(&w->clock, MINUTE_MS - w->clock.mono_ns / 1000000 % MINUTE_MS - 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(request_of(w, 1, 5), 0);
    fake_clk_advance(&w->clock, 1);
    assert_int_equal(request_of(w, 1, 5), -EDQUOT);
    fake_clk_advance(&w->clock, MINUTE_MS - 2);
    assert_int_equal(request_of(w, 1, 5), -EDQUOT);
    fake_clk_advance(&w->clock, 1); /* a minute after the burst, to the ms */
    for (int i = 0; i < 5; i++)
        assert_int_equal(request_of(w, 1, 5), 0);
    assert_int_equal(request_of(w, 1, 5), -EDQUOT);
}

static void a_clock_that_has_just_begun_is_a_clock_too(void **state)
{
    world *w = *state;

    w->clock.mono_ns = 0;
    for (int minute = 0; minute < 3; minute++) {
        for (int i = 0; i < 5; i++)
            assert_int_equal(request_of(w, 1, 5), 0);
        access_grant g = client(1, 5, INT64_MAX, 10);
        assert_int_equal(request(w, &g), -EDQUOT);
        assert_int_equal(g.retry_after_s, 60);
        fake_clk_advance(&w->clock, MINUTE_MS);
    }
}

static void the_wall_clock_may_jump(void **state)
{
    world *w = *state;

    for (int i = 0; i < 5; i++)
        assert_int_equal(request_of(w, 1, 5), 0);
    w->clock.wall_ms += HOURS(5);
    assert_int_equal(request_of(w, 1, 5), -EDQUOT);
    w->clock.wall_ms -= HOURS(50);
    fake_clk_advance(&w->clock, MINUTE_MS);
    assert_int_equal(request_of(w, 1, 5), 0);
}

static void a_window_counts_as_far_as_limits_go(void **state)
{
    enum { LIMIT = 1000000 };
    world *w = *state;

    for (int i = 0; i < LIMIT; i++)
        assert_int_equal(request_of(w, 1, LIMIT), 0);
    assert_int_equal(request_of(w, 1, LIMIT), -EDQUOT);
}

static void a_limit_that_was_lowered_holds_at_once(void **state)
{
    world *w = *state;

    for (int i = 0; i < 5; i++)
        assert_int_equal(request_of(w, 1, 10), 0);
    access_grant g = client(1, 3, INT64_MAX, 10);
    assert_int_equal(request(w, &g), -EDQUOT);
    assert_int_equal(g.remaining, 0);
    assert_int_equal(request_of(w, 1, 6), 0);
    assert_int_equal(request_of(w, 1, 6), -EDQUOT);
}

/* ---- what is told ---- */
static void the_wait_that_is_told_is_enough_and_not_too_long(void **state)
{
    world *w = *state;
    size_t waits = 0;

    for (size_t i = 0; i < 2000; i++) {
        access_grant g = client(1, 10, 200, 10);
        if (request(w, &g) == 0) {
            fake_clk_advance(&w->clock, (int64_t)random_below(8000));
            continue;
        }
        waits++;
        assert_true(g.retry_after_s >= 1);
        assert_true(g.retry_after_s <= (strcmp(g.why, "requests per minute") == 0 ? 60 : 3600));
        assert_int_equal(g.reset_s, (w->clock.wall_ms + 999) / 1000 + g.retry_after_s);
        assert_int_equal(g.remaining, 0);
        assert_int_equal(g.limit, g.maximum);
        fake_clk_advance(&w->clock, SECONDS(g.retry_after_s - 1));
        g = client(1, 10, 200, 10);
        assert_int_equal(request(w, &g), -EDQUOT);
        assert_int_equal(g.retry_after_s, 1);
        fake_clk_advance(&w->clock, SECONDS(1));
        g = client(1, 10, 200, 10);
        assert_int_equal(request(w, &g), 0);
    }
    assert_true(waits > 100);
}

static void the_tightest_window_is_told(void **state)
{
    world *w = *state;
    const int64_t now_s = (w->clock.wall_ms + 999) / 1000;
    access_grant g;

    for (int left = 2; left >= 0; left--) {
        g = client(1, 3, 100, 10);
        assert_int_equal(request(w, &g), 0);
        assert_int_equal(g.limit, 3);
        assert_int_equal(g.remaining, left);
        assert_int_equal(g.reset_s, now_s + 60);
        assert_null(g.why);
    }
    g = client(2, 3, 2, 10);
    assert_int_equal(request(w, &g), 0);
    assert_int_equal(g.limit, 2);
    assert_int_equal(g.remaining, 1);
    assert_int_equal(g.reset_s, now_s + 3600);
    g = client(3, INT64_MAX, 2, 10); /* no limit by the minute */
    assert_int_equal(request(w, &g), 0);
    assert_int_equal(g.limit, 2);
}

static void of_two_full_windows_the_longer_wait_is_told(void **state)
{
    world *w = *state;
    access_grant g = client(1, 2, 2, 10);

    assert_int_equal(request(w, &g), 0);
    g = client(1, 2, 2, 10);
    assert_int_equal(request(w, &g), 0);
    g = client(1, 2, 2, 10);
    assert_int_equal(request(w, &g), -EDQUOT);
    assert_string_equal(g.why, "requests per hour");
    assert_int_equal(g.maximum, 2);
    assert_int_equal(g.retry_after_s, 3600);
    fake_clk_advance(&w->clock, MINUTE_MS);
    g = client(1, 2, 2, 10);
    assert_int_equal(request(w, &g), -EDQUOT);
    assert_int_equal(g.retry_after_s, 3540);
}

static void who_has_no_limits_is_not_counted_nor_told_of_any(void **state)
{
    world *w = *state;

    for (int i = 0; i < 100; i++) {
        access_grant g = client(1, INT64_MAX, INT64_MAX, INT64_MAX);
        assert_int_equal(access_enter(w->access, &g), 0);
        assert_int_equal(g.limit, 0);
        assert_null(g.client);
        access_leave(w->access, &g);
    }
    assert_int_equal(w->access->n_clients, 0);
    access_grant g = client(1, INT64_MAX, INT64_MAX, 1);
    assert_int_equal(request(w, &g), 0);
    assert_int_equal(g.limit, 0);
}

static void a_refused_request_is_not_counted(void **state)
{
    world *w = *state;

    for (int i = 0; i < 5; i++)
        assert_int_equal(request_of(w, 1, 5), 0);
    for (int second = 0; second < 59; second++) {
        fake_clk_advance(&w->clock, SECONDS(1));
        assert_int_equal(request_of(w, 1, 5), -EDQUOT);
    }
    fake_clk_advance(&w->clock, SECONDS(1));
    assert_int_equal(request_of(w, 1, 5), 0);
}

/* ---- at once ---- */
static void only_so_many_requests_are_under_way_at_once(void **state)
{
    world *w = *state;
    access_grant g[3], more;

    for (size_t i = 0; i < 3; i++) {
        g[i] = client(1, 100, 100, 3);
        assert_int_equal(access_enter(w->access, &g[i]), 0);
    }
    more = client(1, 100, 100, 3);
    assert_int_equal(access_enter(w->access, &more), -EDQUOT);
    assert_string_equal(more.why, "concurrent requests");
    assert_int_equal(more.maximum, 3);
    assert_int_equal(more.retry_after_s, 1);
    assert_int_equal(more.limit, 100);
    assert_int_equal(more.remaining, 97);
    access_leave(w->access, &more); /* it never entered */
    access_leave(w->access, &g[1]);
    access_leave(w->access, &g[1]);
    more = client(1, 100, 100, 3);
    assert_int_equal(access_enter(w->access, &more), 0);
    access_grant one_too_many = client(1, 100, 100, 3);
    assert_int_equal(access_enter(w->access, &one_too_many), -EDQUOT);
    access_leave(w->access, &more);
    access_leave(w->access, &g[0]);
    access_leave(w->access, &g[2]);
}

/* ---- the table ---- */
static void clients_do_not_share_a_budget(void **state)
{
    world *w = *state;
    access_grant key = client(1, 1, INT64_MAX, 10), address = client(1, 1, INT64_MAX, 10);

    address.has_key = false; /* the same bytes, but an address */
    assert_int_equal(request(w, &key), 0);
    assert_int_equal(request(w, &address), 0);
    assert_int_equal(request_of(w, 2, 1), 0);
    assert_int_equal(request_of(w, 1, 1), -EDQUOT);
    assert_int_equal(request_of(w, 2, 1), -EDQUOT);
}

static void the_longest_idle_client_goes_when_the_table_is_full(void **state)
{
    world *w = *state;

    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        assert_int_equal(request_of(w, i, 1), 0);
    assert_int_equal(w->access->n_clients, CLIENTS_MAX);
    assert_int_equal(w->access->clients->hh.tbl->num_buckets, HASH_INITIAL_NUM_BUCKETS); /* they were never moved */
    assert_int_equal(request_of(w, 0, 1), -EDQUOT); /* remembered, and now the latest */
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(request_of(w, CLIENTS_MAX + i, 1), 0);
    assert_int_equal(w->access->n_clients, CLIENTS_MAX);
    assert_int_equal(request_of(w, 0, 1), -EDQUOT);
    assert_int_equal(request_of(w, 11, 1), -EDQUOT);
    assert_int_equal(request_of(w, 1, 1), 0); /* forgotten: that is the price */
}

static void a_client_with_a_request_under_way_stays(void **state)
{
    world *w = *state;
    access_grant under_way = client(1000000, 2, INT64_MAX, 1), refused = under_way;

    assert_int_equal(access_enter(w->access, &under_way), 0);
    assert_int_equal(access_enter(w->access, &refused), -EDQUOT);
    for (uint32_t i = 0; i < CLIENTS_MAX + 5; i++)
        assert_int_equal(request_of(w, i, 1), 0);
    access_leave(w->access, &under_way);
    assert_int_equal(request_of(w, 1000000, 2), 0);
    assert_int_equal(request_of(w, 1000000, 2), -EDQUOT);
}

static void a_table_full_of_requests_under_way_takes_no_more(void **state)
{
    world *w = *state;
    access_grant *g = calloc(CLIENTS_MAX, sizeof(*g));

    for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
        g[i] = client(i, 5, INT64_MAX, 5);
        assert_int_equal(access_enter(w->access, &g[i]), 0);
    }
    assert_int_equal(request_of(w, CLIENTS_MAX, 5), -ENOMEM);
    access_leave(w->access, &g[17]);
    assert_int_equal(request_of(w, CLIENTS_MAX, 5), 0);
    for (uint32_t i = 0; i < CLIENTS_MAX; i++)
        access_leave(w->access, &g[i]);
    free(g);
}

static void without_memory_nobody_is_counted(void **state)
{
    (void)state;
    for (long nth = 0; unit_next_fault(&nth);) {
        static const access_options o = {.per_minute = 5, .per_hour = 5, .concurrent = 5};
        fake_clk clock;
        access_control *a = NULL;
        fake_clk_init(&clock, 0);
        int r = access_new(NULL, &clock.base, &o, &a);
        for (uint32_t i = 0; i < 400 && r == 0; i++) { /* enough for the table to grow */
            access_grant g = client(i, 1, 1, 1);
            r = access_enter(a, &g);
            if (r == 0)
                assert_non_null(g.client);
            access_leave(a, &g);
        }
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        if (a && r < 0) { /* it works again */
            access_grant g = client(1000, 1, 1, 1);
            assert_int_equal(access_enter(a, &g), 0);
            access_leave(a, &g);
        }
        access_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_minute_has_more_than_the_limit_and_none_much_less, setup, teardown),
        cmocka_unit_test_setup_teardown(no_hour_has_more_than_the_limit_and_none_much_less, setup, teardown),
        cmocka_unit_test_setup_teardown(bursts_at_the_ends_of_two_minutes_do_not_add_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_clock_that_has_just_begun_is_a_clock_too, setup, teardown),
        cmocka_unit_test_setup_teardown(the_wall_clock_may_jump, setup, teardown),
        cmocka_unit_test_setup_teardown(a_window_counts_as_far_as_limits_go, setup, teardown),
        cmocka_unit_test_setup_teardown(a_limit_that_was_lowered_holds_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(the_wait_that_is_told_is_enough_and_not_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(the_tightest_window_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(of_two_full_windows_the_longer_wait_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_no_limits_is_not_counted_nor_told_of_any, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_request_is_not_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(only_so_many_requests_are_under_way_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(clients_do_not_share_a_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_idle_client_goes_when_the_table_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_with_a_request_under_way_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(a_table_full_of_requests_under_way_takes_no_more, setup, teardown),
        cmocka_unit_test(without_memory_nobody_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
