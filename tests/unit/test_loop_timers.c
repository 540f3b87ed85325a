/* The real loop under a fake clock: timers, cached time, the account of turns. */
#include "unit.h"

#include "larder/loop.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <uv.h>

typedef struct fixture {
    fake_clk clock;
    loop *l;
    char fired[32];
    size_t n;
} fixture;

typedef struct named {
    timer t;
    fixture *f;
    char name;
    timer *also; /* cancelled when this one fires */
} named;

static int set_up(void **state)
{
    fixture *f = mem_new(fixture);
    fake_clk_init(&f->clock, 1700000000000);
    assert_int_equal(loop_new(&f->clock.base, 2, &f->l), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    loop_free(f->l);
    mem_free(f);
    return 0;
}

static void on_named(timer *t)
{
    named *n = CONTAINER_OF(t, named, t);
    n->f->fired[n->f->n++] = n->name;
    if (n->also)
        loop_timer_cancel(n->f->l, n->also);
}

static void on_again(timer *t)
{
    named *n = CONTAINER_OF(t, named, t);
    on_named(t);
    assert_int_equal(loop_timer_set(n->f->l, t, 0, on_again), 0);
}

static void timers_fire_in_order_when_the_clock_says_so(void **state)
{
    fixture *f = *state;
    named a = {.f = f, .name = 'a'}, b = {.f = f, .name = 'b'}, c = {.f = f, .name = 'c'};
    assert_int_equal(loop_timer_set(f->l, &a.t, 300000, on_named), 0);
    assert_int_equal(loop_timer_set(f->l, &b.t, 100000, on_named), 0);
    assert_int_equal(loop_timer_set(f->l, &c.t, 200000, on_named), 0);
    loop_run_once(f->l, false);
    assert_int_equal(f->n, 0);
    fake_clk_advance(&f->clock, 99999);
    loop_run_once(f->l, false);
    assert_int_equal(f->n, 0);
    fake_clk_advance(&f->clock, 1);
    loop_run_once(f->l, true); /* waiting is no danger when a timer is due */
    assert_string_equal(f->fired, "b");
    fake_clk_advance(&f->clock, 1000000);
    loop_run_once(f->l, true);
    assert_string_equal(f->fired, "bca");
    assert_false(timer_is_set(&a.t));
}

static void a_cancelled_timer_does_not_fire(void **state)
{
    fixture *f = *state;
    named a = {.f = f, .name = 'a'}, b = {.f = f, .name = 'b'};
    a.also = &b.t;
    loop_timer_cancel(f->l, &a.t); /* not set: harmless */
    assert_int_equal(loop_timer_set(f->l, &a.t, 10, on_named), 0);
    assert_int_equal(loop_timer_set(f->l, &b.t, 20, on_named), 0);
    fake_clk_advance(&f->clock, 20);
    loop_run_once(f->l, true); /* both are due; a cancels b */
    loop_run_once(f->l, false);
    assert_string_equal(f->fired, "a");
}

static void a_timer_that_sets_itself_at_once_lets_the_loop_turn(void **state)
{
    fixture *f = *state;
    named a = {.f = f, .name = 'a'};
    assert_int_equal(loop_timer_set(f->l, &a.t, 0, on_again), 0);
    for (int i = 0; i < 5; i++)
        loop_run_once(f->l, true);
    assert_string_equal(f->fired, "aaaaa");
    loop_timer_cancel(f->l, &a.t);
}

static void absurd_delays_mean_never(void **state)
{
    fixture *f = *state;
    named a = {.f = f, .name = 'a'};
    assert_int_equal(loop_timer_set(f->l, &a.t, INT64_MAX, on_named), 0);
    fake_clk_advance(&f->clock, HOURS(24 * 365 * 100));
    loop_run_once(f->l, false);
    assert_int_equal(f->n, 0);
    loop_timer_cancel(f->l, &a.t);
}

static void setting_a_timer_reports_out_of_memory(void **state)
{
    fixture *f = *state;
    named a = {.f = f, .name = 'a'};
    mem_fail_at(0);
    assert_int_equal(loop_timer_set(f->l, &a.t, 10, on_named), -ENOMEM);
    mem_fail_at(-1);
    assert_false(timer_is_set(&a.t));
    assert_int_equal(loop_timer_set(f->l, &a.t, 10, on_named), 0);
    loop_timer_cancel(f->l, &a.t);
}

static void the_loop_tells_the_time_of_its_clock(void **state)
{
    fixture *f = *state;
    assert_int_equal(loop_now_mono_ms(f->l), 1000);
    assert_int_equal(loop_now_wall_ms(f->l), 1700000000000);
    fake_clk_advance(&f->clock, 5);
    assert_int_equal(loop_now_mono_ms(f->l), 1005);
    assert_int_equal(loop_now_wall_ms(f->l), 1700000000005);
    f->clock.wall_ms = 1; /* wall clocks jump */
    assert_int_equal(loop_now_wall_ms(f->l), 1);
    assert_ptr_equal(loop_clk(f->l), &f->clock.base);
}

static void stop_loop(timer *t)
{
    loop_stop(CONTAINER_OF(t, named, t)->f->l);
}

static void under_the_real_clock_a_lone_timer_ends_the_wait(void **state)
{
    (void)state;
    fixture f = {.n = 0};
    assert_int_equal(loop_new(clk_real(), 2, &f.l), 0);
    named a = {.f = &f, .name = 'a'}, b = {.f = &f, .name = 'b'};
    int64_t began = loop_now_mono_ms(f.l);
    int64_t wall = loop_now_wall_ms(f.l);
    assert_int_equal(loop_timer_set(f.l, &a.t, 3, on_named), 0);
    assert_int_equal(loop_timer_set(f.l, &b.t, 6, stop_loop), 0);
    assert_true(loop_run(f.l) > 0);
    assert_string_equal(f.fired, "a");
    assert_true(loop_now_mono_ms(f.l) >= began + 6);
    assert_true(loop_now_wall_ms(f.l) != wall);
    loop_free(f.l);
}

static void hold_the_loop(timer *t)
{
    (void)t;
    uv_sleep(3);
}

/* Those over 2,048 us. */
static uint64_t long_holds(const loop *l)
{
    const loop_lag *lag = loop_lag_of(l);
    uint64_t n = 0;
    for (size_t i = 7; i < LOOP_LAG_BUCKETS; i++)
        n += lag->buckets[i];
    return n;
}

static void hold_from_a_post(post *p)
{
    (void)p;
    uv_sleep(3);
}

static void two_callbacks_of_one_turn_are_two_holds(void **state)
{
    (void)state;
    fixture f = {.n = 0};
    assert_int_equal(loop_new(clk_real(), 2, &f.l), 0);
    post first = {.fn = hold_from_a_post}, second = {.fn = hold_from_a_post};
    loop_post(f.l, &first);
    loop_post(f.l, &second);
    named stop = {.f = &f};
    assert_int_equal(loop_timer_set(f.l, &stop.t, 10, stop_loop), 0);
    loop_run(f.l);
    assert_true(long_holds(f.l) >= 2);
    loop_free(f.l);
}

static void a_callback_that_holds_the_loop_shows_in_the_lag_and_waiting_does_not(void **state)
{
    (void)state;
    fixture f = {.n = 0};
    assert_int_equal(loop_new(clk_real(), 2, &f.l), 0);
    named hold = {.f = &f}, stop = {.f = &f};
    assert_int_equal(loop_timer_set(f.l, &hold.t, 0, hold_the_loop), 0);
    assert_int_equal(loop_timer_set(f.l, &stop.t, 200, stop_loop), 0);
    loop_run(f.l);
    const loop_lag *lag = loop_lag_of(f.l);
    uint64_t holds = 0;
    for (size_t i = 0; i < LOOP_LAG_BUCKETS; i++)
        holds += lag->buckets[i];
    assert_int_equal(holds, lag->holds);
    assert_in_range(holds, 2, 10);
    assert_true(long_holds(f.l) >= 1);
    assert_true(lag->max_us >= 2900);
    assert_true(lag->total_us >= lag->max_us);
    assert_true(lag->total_us < 200000); /* the wait of 200 ms is not in it */
    loop_free(f.l);
}

static void stop_in_a_later_turn(void *arg, int signum)
{
    (void)signum;
    named *stop = arg;
    assert_int_equal(loop_timer_set(stop->f->l, &stop->t, 2, stop_loop), 0);
}

typedef struct interruption {
    pthread_t whom;
    int64_t sent_ns;
} interruption;

static void *signal_later(void *arg)
{
    interruption *in = arg;
    struct timespec pause = {.tv_nsec = 100000000};
    nanosleep(&pause, NULL);
    in->sent_ns = clk_mono_ns(clk_real());
    pthread_kill(in->whom, SIGUSR1); /* to the thread that waits: uv's call is interrupted */
    return NULL;
}

static void a_wait_that_a_signal_cuts_short_is_no_lag(void **state)
{
    (void)state;
    bool is_no_lag = false;
    for (int i = 0; i < 20 && !is_no_lag; i++) { /* again where the machine was held, or the signal came too early */
        fixture f = {.n = 0};
        named stop = {.f = &f};
        interruption in = {.whom = pthread_self()};
        pthread_t other;
        assert_int_equal(loop_new(clk_real(), 2, &f.l), 0);
        assert_int_equal(loop_on_signal(f.l, SIGUSR1, stop_in_a_later_turn, &stop), 0);
        assert_int_equal(pthread_create(&other, NULL, signal_later, &in), 0);
        const int64_t began_ns = clk_mono_ns(clk_real());
        loop_run(f.l);
        assert_int_equal(pthread_join(other, NULL), 0);
        const int64_t waited_us = (in.sent_ns - began_ns) / 1000;
        is_no_lag = (int64_t)loop_lag_of(f.l)->total_us < waited_us / 2;
        loop_free(f.l);
    }
    assert_true(is_no_lag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order_when_the_clock_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_cancelled_timer_does_not_fire, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_that_sets_itself_at_once_lets_the_loop_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(absurd_delays_mean_never, set_up, tear_down),
        cmocka_unit_test_setup_teardown(setting_a_timer_reports_out_of_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_loop_tells_the_time_of_its_clock, set_up, tear_down),
        cmocka_unit_test(under_the_real_clock_a_lone_timer_ends_the_wait),
        cmocka_unit_test(a_callback_that_holds_the_loop_shows_in_the_lag_and_waiting_does_not),
        cmocka_unit_test(a_wait_that_a_signal_cuts_short_is_no_lag),
        cmocka_unit_test(two_callbacks_of_one_turn_are_two_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
