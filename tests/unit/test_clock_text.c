/* Dates and durations as text; the calendar against libc's over four centuries. */
#include "unit.h"

#include "larder/clock.h"

#include <stdio.h>
#include <time.h>

static void formatting_agrees_with_libc_for_every_day_of_ten_thousand_years(void **state)
{
    (void)state;
    for (int64_t day = -719528; day < 2932897; day++) {
        time_t t = (time_t)(day * 86400 + (day & 65535));
        struct tm tm;
        char ours[RFC3339_LEN + 1], http[HTTP_DATE_LEN + 1], wanted[40], wanted_http[40];
        gmtime_r(&t, &tm);
        rfc3339_format((int64_t)t * 1000 + 999, ours);
        snprintf(wanted, sizeof(wanted), "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                 tm.tm_hour, tm.tm_min, tm.tm_sec);
        if (strcmp(ours, wanted) != 0)
            fail_msg("got %s, wanted %s", ours, wanted);
        if (day % 7 != 0 && day % 100 != 0)
            continue;
        http_date_format((int64_t)t * 1000, http);
        strftime(wanted_http, sizeof(wanted_http), "%a, %d %b ", &tm);
        snprintf(wanted_http + 12, sizeof(wanted_http) - 12, "%04d %02d:%02d:%02d GMT", tm.tm_year + 1900, tm.tm_hour,
                 tm.tm_min, tm.tm_sec);
        if (strcmp(http, wanted_http) != 0)
            fail_msg("got %s, wanted %s", http, wanted_http);
    }
}

static void what_is_formatted_reads_back(void **state)
{
    (void)state;
    random_seed_for_tests(5);
    for (int i = 0; i < 100000; i++) {
        int64_t ms = (int64_t)random_below(UINT64_C(315569520000)) * 1000 - INT64_C(62167219200000), back;
        char text[RFC3339_LEN + 1], http[HTTP_DATE_LEN + 1];
        rfc3339_format(ms, text);
        assert_int_equal(rfc3339_parse(str_c(text), &back), 0);
        assert_true(back == ms);
        http_date_format(ms, http);
        assert_int_equal(http_date_parse(str_c(http), &back), 0);
        assert_true(back == ms);
    }
    random_seed_for_tests(0);
}

static void years_out_of_range_are_clamped(void **state)
{
    (void)state;
    char text[RFC3339_LEN + 1];
    rfc3339_format(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    rfc3339_format(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00Z");
    rfc3339_format(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59Z"); /* rounded down */
}

static void rfc3339_is_read_with_fractions_and_offsets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-15T10:20:30Z", INT64_C(1768472430000)},
        {"2026-01-15t10:20:30z", INT64_C(1768472430000)},
        {"2026-01-15T10:20:30.1Z", INT64_C(1768472430100)},
        {"2026-01-15T10:20:30.123456789Z", INT64_C(1768472430123)},
        {"2026-01-15T10:20:30.000000000000000000000000000009Z", INT64_C(1768472430000)},
        {"2026-01-15T12:20:30+02:00", INT64_C(1768472430000)},
        {"2026-01-14T22:50:30-11:30", INT64_C(1768472430000)},
        {"2026-01-15T10:20:30-00:00", INT64_C(1768472430000)},
        {"1990-12-31T23:59:60Z", INT64_C(662688000000)}, /* a leap second counts as the next one */
        {"1990-12-31T15:59:60-08:00", INT64_C(662688000000)},
        {"1990-12-31T23:59:60.5Z", INT64_C(662688000500)},
        {"2000-02-29T00:00:00Z", INT64_C(951782400000)},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200000)},
        {"0000-01-01T00:00:00+23:59", INT64_C(-62167305540000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999)},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = 1;
        if (rfc3339_parse(str_c(rows[i].text), &ms) != 0 || ms != rows[i].ms)
            fail_msg("%s: %lld", rows[i].text, (long long)ms);
    }
}

static void what_is_no_rfc3339_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "2026-01-15",
        "2026-01-15T10:20:30",
        "2026-01-15 10:20:30Z",
        "2026-01-15T10:20Z",
        "2026-01-15T10:20:30.Z",
        "2026-01-15T10:20:30,5Z",
        "2026-01-15T10:20:30+0200",
        "2026-01-15T10:20:30+02",
        "2026-01-15T10:20:30+24:00",
        "2026-01-15T10:20:30+02:60",
        "2026-01-15T10:20:30ZZ",
        " 2026-01-15T10:20:30Z",
        "2026-01-15T10:20:30Z ",
        "2026-1-15T10:20:30Z",
        "26-01-15T10:20:30Z",
        "+2026-01-15T10:20:30Z",
        "2026-00-15T10:20:30Z",
        "2026-13-15T10:20:30Z",
        "2026-01-00T10:20:30Z",
        "2026-01-32T10:20:30Z",
        "2026-02-29T10:20:30Z",
        "1900-02-29T10:20:30Z",
        "2026-04-31T10:20:30Z",
        "2026-01-15T24:00:00Z",
        "2026-01-15T10:60:30Z",
        "2026-01-15T10:20:61Z",
        "2026-01-15T10:20:60Z",
        "2026-01-15T23:59:60Z", /* not the end of a month */
        "1990-12-31T23:58:60Z",
        "1990-12-31T23:59:60-08:00",
        "2026-01-15T-1:20:30Z",
        "2026/01/15T10:20:30Z",
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        int64_t ms = 4711;
        if (rfc3339_parse(str_c(broken[i]), &ms) != -EINVAL || ms != 4711)
            fail_msg("\"%s\" was taken", broken[i]);
    }
    int64_t ms;
    str good = STR("2026-01-15T10:20:30.5+02:00");
    for (size_t n = 0; n < good.n; n++)
        assert_int_equal(rfc3339_parse(str_head(good, n), &ms), -EINVAL);
    assert_int_equal(rfc3339_parse(STR_NULL, &ms), -EINVAL);
}

static void all_three_http_dates_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", INT64_C(784111777000)},
        {"Sunday, 06-Nov-94 08:49:37 GMT", INT64_C(784111777000)},
        {"Sun Nov  6 08:49:37 1994", INT64_C(784111777000)},
        {"Wed Nov 16 08:49:37 1994", INT64_C(784975777000)},
        {"Thursday, 01-Jan-70 00:00:00 GMT", 0},
        {"Tuesday, 31-Dec-69 23:59:59 GMT", INT64_C(3155759999000)}, /* 2069 */
        {"Thu, 15 Jan 2026 10:20:30 GMT", INT64_C(1768472430000)},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = 1;
        if (http_date_parse(str_c(rows[i].text), &ms) != 0 || ms != rows[i].ms)
            fail_msg("%s: %lld", rows[i].text, (long long)ms);
    }
}

static void what_is_no_http_date_is_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "",
        "0",
        "Sun",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sunday, 06 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994 GMT",
        "sun, 06 Nov 1994 08:49:37 GMT",
        "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        int64_t ms = 4711;
        if (http_date_parse(str_c(broken[i]), &ms) != -EINVAL || ms != 4711)
            fail_msg("\"%s\" was taken", broken[i]);
    }
}

static void durations_are_read_in_every_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        int64_t ms;
    } rows[] = {
        {"0", 0, 0},
        {"30", 0, 30000},
        {"250ms", 0, 250},
        {"30s", 0, 30000},
        {"5m", 0, 300000},
        {"6h", 0, 21600000},
        {"7d", 0, 604800000},
        {"007d", 0, 604800000},
        {"9223372036854775807ms", 0, INT64_MAX},
        {"9223372036854775807", -ERANGE, 0},
        {"9223372036854775808ms", -ERANGE, 0},
        {"106751991168d", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"s", -EINVAL, 0},
        {"-5s", -EINVAL, 0},
        {"+5s", -EINVAL, 0},
        {"5 s", -EINVAL, 0},
        {" 5s", -EINVAL, 0},
        {"5s ", -EINVAL, 0},
        {"1h30m", 0, 5400000},
        {"1h0m0.25s", 0, 3600250},
        {"1.5d", 0, 129600000},
        {"2w", 0, 1209600000},
        {"0.0001s", 0, 0},
        {"1.99999999999999999999s", 0, 1999},
        {"9223372036854775806ms1ms", 0, INT64_MAX},
        {"9223372036854775807ms1ms", -ERANGE, 0},
        {"15250284452w", 0, INT64_C(9223372036569600000)},
        {"15250284453w", -ERANGE, 0},
        {"1h30", -EINVAL, 0},
        {"1h 30m", -EINVAL, 0},
        {"1h-30m", -EINVAL, 0},
        {"1.h", -EINVAL, 0},
        {".5h", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"1..5h", -EINVAL, 0},
        {"1.5.5h", -EINVAL, 0},
        {"h", -EINVAL, 0},
        {"5S", -EINVAL, 0},
        {"5us", -EINVAL, 0},
        {"0x5s", -EINVAL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t ms = 4711;
        int r = duration_parse(str_c(rows[i].text), &ms);
        if (r != rows[i].r || ms != (r == 0 ? rows[i].ms : 4711))
            fail_msg("\"%s\": %d, %lld", rows[i].text, r, (long long)ms);
    }
}

static void durations_are_written_in_the_largest_whole_unit(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "0s"},      {1, "1ms"},       {250, "250ms"},    {1000, "1s"},       {90000, "90s"},
        {300000, "5m"}, {HOURS(6), "6h"}, {HOURS(24), "1d"}, {HOURS(25), "25h"}, {INT64_MAX, "9223372036854775807ms"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[DURATION_MAX];
        int64_t back;
        duration_format(rows[i].ms, text);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(duration_parse(str_c(text), &back), 0);
        assert_true(back == rows[i].ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formatting_agrees_with_libc_for_every_day_of_ten_thousand_years),
        cmocka_unit_test(what_is_formatted_reads_back),
        cmocka_unit_test(years_out_of_range_are_clamped),
        cmocka_unit_test(rfc3339_is_read_with_fractions_and_offsets),
        cmocka_unit_test(what_is_no_rfc3339_is_refused),
        cmocka_unit_test(all_three_http_dates_are_read),
        cmocka_unit_test(what_is_no_http_date_is_refused),
        cmocka_unit_test(durations_are_read_in_every_unit),
        cmocka_unit_test(durations_are_written_in_the_largest_whole_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
