/* Timers as pure data, the fake clock, backoff. */
#include "unit.h"

#include "larder/clock.h"

typedef struct named {
    timer t;
    timers *ts;
    char name;
    void (*also)(struct named *n);
    struct named *other;
} named;

static char fired[64];
static size_t fired_n;

static int set_up(void **state)
{
    (void)state;
    memset(fired, 0, sizeof(fired));
    fired_n = 0;
    return 0;
}

static void on_named(timer *t)
{
    named *n = CONTAINER_OF(t, named, t);
    assert_false(timer_is_set(t));
    fired[fired_n++] = n->name;
    if (n->also)
        n->also(n);
}

static void timers_fire_by_due_time_not_by_order_of_setting(void **state)
{
    (void)state;
    timers ts;
    named a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    timers_init(&ts);
    assert_true(timers_next(&ts) == INT64_MAX);
    assert_int_equal(timer_set(&ts, &a.t, 30, on_named), 0);
    assert_int_equal(timer_set(&ts, &b.t, 10, on_named), 0);
    assert_int_equal(timer_set(&ts, &c.t, 20, on_named), 0);
    assert_int_equal(timers_next(&ts), 10);
    timers_run(&ts, 9);
    assert_string_equal(fired, "");
    timers_run(&ts, 25);
    assert_string_equal(fired, "bc");
    assert_int_equal(timers_next(&ts), 30);
    timers_run(&ts, 30);
    timers_run(&ts, 1000);
    assert_string_equal(fired, "bca");
    timers_done(&ts);
}

static void setting_again_moves_it_both_ways(void **state)
{
    (void)state;
    timers ts;
    named a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
    timers_init(&ts);
    timer_set(&ts, &a.t, 10, on_named);
    timer_set(&ts, &b.t, 20, on_named);
    timer_set(&ts, &c.t, 30, on_named);
    timer_set(&ts, &a.t, 25, on_named);
    timer_set(&ts, &c.t, 5, on_named);
    timers_run(&ts, 100);
    assert_string_equal(fired, "cba");
    timers_done(&ts);
}

static void set_again_now(named *n)
{
    timer_set(n->ts, &n->t, 0, on_named); /* long due */
}

static void cancel_other(named *n)
{
    timer_cancel(n->ts, &n->other->t);
}

static void free_other(named *n)
{
    timer_cancel(n->ts, &n->other->t);
    mem_free(n->other);
    n->other = NULL;
}

static void set_other_later(named *n)
{
    timer_set(n->ts, &n->other->t, 1000, on_named);
}

static void a_timer_set_while_firing_waits_for_the_next_run(void **state)
{
    (void)state;
    timers ts;
    named a = {.ts = &ts, .name = 'a', .also = set_again_now}, b = {.name = 'b'};
    timers_init(&ts);
    timer_set(&ts, &a.t, 10, on_named);
    timer_set(&ts, &b.t, 20, on_named);
    timers_run(&ts, 20);
    assert_string_equal(fired, "ab"); /* the one set anew does not come before what was due, nor twice */
    assert_int_equal(timers_next(&ts), 0);
    timers_run(&ts, 20);
    assert_string_equal(fired, "aba");
    timers_done(&ts);
    assert_false(timer_is_set(&a.t));
}

static void a_callback_may_cancel_free_or_move_one_that_is_due_too(void **state)
{
    (void)state;
    timers ts;
    named b = {.name = 'b'}, *c = mem_new(named), d = {.name = 'd'};
    *c = (named){.name = 'c'};
    named x = {.ts = &ts, .name = 'x', .also = cancel_other, .other = &b};
    named y = {.ts = &ts, .name = 'y', .also = free_other, .other = c};
    named z = {.ts = &ts, .name = 'z', .also = set_other_later, .other = &d};
    timers_init(&ts);
    timer_set(&ts, &x.t, 1, on_named);
    timer_set(&ts, &y.t, 2, on_named);
    timer_set(&ts, &z.t, 3, on_named);
    timer_set(&ts, &b.t, 4, on_named);
    timer_set(&ts, &c->t, 5, on_named);
    timer_set(&ts, &d.t, 6, on_named);
    timers_run(&ts, 10);
    assert_string_equal(fired, "xyz");
    assert_false(timer_is_set(&b.t));
    assert_int_equal(timers_next(&ts), 1000);
    timers_run(&ts, 1000);
    assert_string_equal(fired, "xyzd");
    timers_done(&ts);
}

static timer others[200];

static void ignore(timer *t)
{
    (void)t;
}

/* Takes all the memory there is, and then sets itself and the one that fires next. */
static void fill_up_and_come_again(named *n)
{
    mem_fail_at(0);
    for (size_t i = 0; i < COUNT_OF(others) && timer_set(n->ts, &others[i], 100, ignore) == 0; i++) {
    }
    assert_true(mem_failed());
    assert_int_equal(timer_set(n->ts, &n->t, 20, on_named), 0);
    assert_int_equal(timer_set(n->ts, &n->other->t, 10, on_named), 0);
    n->also = NULL;
}

static void a_timer_that_sets_itself_again_has_its_place(void **state)
{
    (void)state;
    timers ts;
    named b = {.ts = &ts, .name = 'b'}, a = {.ts = &ts, .name = 'a', .also = fill_up_and_come_again, .other = &b};
    timers_init(&ts);
    assert_int_equal(timer_set(&ts, &a.t, 1, on_named), 0);
    assert_int_equal(timer_set(&ts, &b.t, 2, on_named), 0);
    timers_run(&ts, 5);
    mem_fail_at(-1);
    assert_string_equal(fired, "a");
    timers_run(&ts, 50);
    assert_string_equal(fired, "aba");
    timers_done(&ts);
}

static void out_of_memory_leaves_the_timer_as_it_was(void **state)
{
    (void)state;
    timers ts;
    timer t[65] = {{0}};
    timers_init(&ts);
    mem_fail_at(0);
    assert_int_equal(timer_set(&ts, &t[0], 1, on_named), -ENOMEM);
    assert_false(timer_is_set(&t[0]));
    mem_fail_at(-1);
    for (int i = 0; i < 64; i++)
        assert_int_equal(timer_set(&ts, &t[i], i, on_named), 0);
    mem_fail_at(0);
    assert_int_equal(timer_set(&ts, &t[64], 0, on_named), -ENOMEM);
    mem_fail_at(0);
    assert_int_equal(timer_set(&ts, &t[5], 1000, on_named), 0); /* moving needs none */
    assert_false(mem_failed());
    mem_fail_at(-1);
    timers_done(&ts);
}

/* ---- the heap against a plain array ---- */

enum { MANY = 300 };

typedef struct model {
    timer t;
    bool set;
    int64_t due;
} model;

static model many[MANY];
static int64_t last_due;
static int fired_many;

static void on_model(timer *t)
{
    model *m = CONTAINER_OF(t, model, t);
    assert_true(m->set);
    assert_true(m->due >= last_due);
    last_due = m->due;
    m->set = false;
    fired_many++;
}

static void a_long_random_run_agrees_with_a_plain_model(void **state)
{
    (void)state;
    timers ts;
    int64_t now = 0;
    timers_init(&ts);
    random_seed_for_tests(11);
    for (int step = 0; step < 20000; step++) {
        model *m = &many[random_below(MANY)];
        switch (random_below(4)) {
        case 0:
        case 1:
            m->set = true;
            m->due = now + (int64_t)random_below(50);
            assert_int_equal(timer_set(&ts, &m->t, m->due, on_model), 0);
            break;
        case 2:
            m->set = false;
            timer_cancel(&ts, &m->t);
            break;
        default:
            now += (int64_t)random_below(3);
            last_due = INT64_MIN;
            timers_run(&ts, now);
        }
        int64_t first = INT64_MAX;
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(many[i].set, timer_is_set(&many[i].t));
            if (many[i].set && many[i].due < first)
                first = many[i].due;
        }
        assert_true(timers_next(&ts) == first);
    }
    assert_true(fired_many > 1000);
    random_seed_for_tests(0);
    timers_done(&ts);
}

/* ---- clocks ---- */

static void the_fake_clock_moves_by_hand_only(void **state)
{
    (void)state;
    fake_clk f;
    fake_clk_init(&f, 1000000);
    assert_int_equal(clk_wall_ms(&f.base), 1000000);
    assert_int_equal(clk_mono_ms(&f.base), 1000);
    fake_clk_advance(&f, MINUTES(2));
    assert_int_equal(clk_wall_ms(&f.base), 1120000);
    assert_int_equal(clk_mono_ns(&f.base), INT64_C(121000000000));
}

static void the_real_clock_runs(void **state)
{
    (void)state;
    clk *c = clk_real();
    int64_t before = clk_mono_ns(c), wall = clk_wall_ms(c);
    assert_true(wall > INT64_C(1577836800000)); /* 2020 */
    while (clk_mono_ns(c) == before)
        ;
    assert_true(clk_mono_ns(c) > before);
}

static void backoff_doubles_up_to_its_cap_with_full_jitter(void **state)
{
    (void)state;
    static const struct {
        int64_t base, cap;
        unsigned attempt;
        int64_t limit;
    } rows[] = {
        {100, 10000, 0, 100},
        {100, 10000, 1, 200},
        {100, 10000, 6, 6400},
        {100, 10000, 7, 10000},
        {100, 10000, 63, 10000},
        {100, 10000, UINT32_MAX, 10000},
        {5000, 1000, 0, 1000},
        {0, 1000, 5, 0},
        {-5, 1000, 5, 0},
        {100, 0, 5, 0},
        {INT64_MAX, INT64_MAX, 3, INT64_MAX},
        {1, INT64_MAX, 62, INT64_C(1) << 62},
    };
    random_seed_for_tests(3);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t low = INT64_MAX, high = 0;
        for (int n = 0; n < 200; n++) {
            int64_t ms = backoff_ms(rows[i].base, rows[i].cap, rows[i].attempt);
            assert_true(ms >= 0 && ms <= rows[i].limit);
            low = ms < low ? ms : low;
            high = ms > high ? ms : high;
        }
        assert_true(low <= rows[i].limit / 10); /* spread over the whole range */
        assert_true(high >= rows[i].limit / 10 * 9);
    }
    random_seed_for_tests(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(timers_fire_by_due_time_not_by_order_of_setting, set_up),
        cmocka_unit_test_setup(setting_again_moves_it_both_ways, set_up),
        cmocka_unit_test_setup(a_timer_set_while_firing_waits_for_the_next_run, set_up),
        cmocka_unit_test_setup(a_callback_may_cancel_free_or_move_one_that_is_due_too, set_up),
        cmocka_unit_test_setup(a_timer_that_sets_itself_again_has_its_place, set_up),
        cmocka_unit_test_setup(out_of_memory_leaves_the_timer_as_it_was, set_up),
        cmocka_unit_test(a_long_random_run_agrees_with_a_plain_model),
        cmocka_unit_test(the_fake_clock_moves_by_hand_only),
        cmocka_unit_test(the_real_clock_runs),
        cmocka_unit_test(backoff_doubles_up_to_its_cap_with_full_jitter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
