/* Growing buffers: sticky errors, limits, numbers. */
#include "unit.h"

static void texts_are_put_one_behind_the_other(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    buf_str(&b, STR("one"));
    buf_char(&b, ' ');
    buf_put(&b, "two", 3);
    buf_str(&b, STR_NULL);
    buf_printf(&b, " %d%s", 3, "!");
    assert_int_equal(b.err, 0);
    assert_str(buf_view(&b), "one two 3!");
    buf_done(&b);
    assert_null(b.p);
    buf_done(&b);
    buf_done(NULL);
}

static void growing_keeps_what_is_there(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    for (int i = 0; i < 100000; i++)
        buf_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.n, 100000);
    for (int i = 0; i < 100000; i++)
        if (b.p[i] != (char)('a' + i % 26))
            fail_msg("byte %d", i);
    assert_true(b.cap < 300000);
    buf_done(&b);
}

static void reserve_gives_room_that_the_caller_fills(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    buf_str(&b, STR("x"));
    char *room = buf_reserve(&b, 5000);
    assert_non_null(room);
    memset(room, 'y', 5000);
    assert_int_equal(b.n, 1);
    b.n += 5000;
    assert_int_equal(b.p[5000], 'y');
    assert_non_null(buf_reserve(&b, 0));
    buf_done(&b);
}

static void past_max_the_error_sticks_and_what_was_there_stays(void **state)
{
    (void)state;
    buf b = {.max = 10};
    buf_str(&b, STR("0123456789"));
    assert_int_equal(b.err, 0);
    buf_char(&b, 'x');
    assert_int_equal(b.err, -EFBIG);
    assert_str(buf_view(&b), "0123456789");
    buf_put(&b, "", 0);
    assert_int_equal(b.err, -EFBIG);
    assert_null(buf_reserve(&b, 1));
    buf_reset(&b);
    assert_int_equal(b.err, 0);
    buf_str(&b, STR("again"));
    assert_str(buf_view(&b), "again");
    buf_done(&b);
    assert_int_equal(b.max, 10);
}

static void after_an_error_even_what_would_fit_is_dropped(void **state)
{
    (void)state;
    buf b = {.max = 10};
    buf_str(&b, STR("01234"));
    buf_str(&b, STR("too long"));
    buf_char(&b, 'x');
    buf_printf(&b, "y");
    buf_i64(&b, 1);
    assert_str(buf_view(&b), "01234");
    buf_done(&b);
}

static void printf_fills_up_to_max_exactly(void **state)
{
    (void)state;
    for (int n = 1; n < 700; n++) {
        buf b = {.max = (size_t)n};
        buf_printf(&b, "%*d", n, 7);
        assert_int_equal(b.err, 0);
        assert_int_equal(b.n, n);
        assert_int_equal(b.p[n - 1], '7');
        buf_printf(&b, "%d", 8);
        assert_int_equal(b.err, -EFBIG);
        buf_done(&b);

        b = (buf){.max = (size_t)n};
        buf_printf(&b, "%*d", n + 1, 7);
        assert_int_equal(b.err, -EFBIG);
        assert_int_equal(b.n, 0);
        buf_done(&b);
    }
}

static void numbers_are_written_over_the_whole_range(void **state)
{
    (void)state;
    static const struct {
        int64_t v;
        const char *text;
    } rows[] = {
        {0, "0"},
        {7, "7"},
        {-7, "-7"},
        {10, "10"},
        {1234567, "1234567"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        buf b = BUF_INIT;
        buf_i64(&b, rows[i].v);
        assert_true(str_eq(buf_view(&b), str_c(rows[i].text)));
        buf_done(&b);
    }
}

static void absurd_sizes_are_out_of_memory_and_not_a_wrap(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    buf_char(&b, 'x');
    assert_null(buf_reserve(&b, SIZE_MAX));
    assert_int_equal(b.err, -ENOMEM);
    buf_reset(&b);
    assert_null(buf_reserve(&b, SIZE_MAX - 1));
    assert_int_equal(b.err, -ENOMEM);
    buf_done(&b);
}

static void every_failing_allocation_is_reported_and_loses_nothing(void **state)
{
    (void)state;
    for (long nth = 0; unit_next_fault(&nth);) {
        buf b = BUF_INIT;
        for (int i = 0; i < 500; i++)
            buf_char(&b, 'x');
        buf_printf(&b, "%3000d", 1);
        assert_int_equal(b.err, mem_failed() ? -ENOMEM : 0);
        for (size_t i = 0; i < b.n && i < 500; i++)
            assert_int_equal(b.p[i], 'x');
        assert_true(mem_failed() || b.n == 3500);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_put_one_behind_the_other),
        cmocka_unit_test(growing_keeps_what_is_there),
        cmocka_unit_test(reserve_gives_room_that_the_caller_fills),
        cmocka_unit_test(past_max_the_error_sticks_and_what_was_there_stays),
        cmocka_unit_test(after_an_error_even_what_would_fit_is_dropped),
        cmocka_unit_test(printf_fills_up_to_max_exactly),
        cmocka_unit_test(numbers_are_written_over_the_whole_range),
        cmocka_unit_test(absurd_sizes_are_out_of_memory_and_not_a_wrap),
        cmocka_unit_test(every_failing_allocation_is_reported_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
