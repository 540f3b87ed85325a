/* Log lines: both formats, escapes, levels, limits. What is written to standard error is read back through
 * a pipe. */
#include "unit.h"

#include "larder/log.h"

#include <fcntl.h>
#include <unistd.h>

static int saved_stderr = -1, ends[2];
static char text[3 * LOG_LINE_MAX];

static int64_t at_a_known_time(void)
{
    return 1768472430123; /* 2026-01-15T10:20:30.123Z */
}

static int64_t before_1970(void)
{
    return -1;
}

static int set_up(void **state)
{
    (void)state;
    log_set_time(at_a_known_time);
    log_setup(LOG_INFO, LOG_TEXT);
    saved_stderr = dup(STDERR_FILENO);
    return pipe(ends) || fcntl(ends[0], F_SETFL, O_NONBLOCK) || dup2(ends[1], STDERR_FILENO) < 0;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static str logged(void)
{
    ssize_t n = read(ends[0], text, sizeof(text));
    return str_of(text, n > 0 ? (size_t)n : 0);
}

static void text_lines_have_time_level_message_and_fields(void **state)
{
    (void)state;
    log_info("scan finished", LOG_C("source", "src_a_b"), LOG_INT("entries", 12));
    assert_str(logged(), "2026-01-15T10:20:30.123Z info  scan finished source=src_a_b entries=12\n");
    log_error("no fields at all");
    assert_str(logged(), "2026-01-15T10:20:30.123Z error no fields at all\n");
    log_warn("failed", LOG_ERR(-ENOSPC), LOG_INT("n", INT64_MIN));
    assert_str(logged(), "2026-01-15T10:20:30.123Z warn  failed error=\"no space left on device\" "
                         "n=-9223372036854775808\n");
}

static void json_lines_are_json(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_JSON);
    log_info("scan finished", LOG_C("source", "src_a_b"), LOG_INT("entries", 12));
    assert_str(logged(), "{\"time\":\"2026-01-15T10:20:30.123Z\",\"level\":\"info\",\"message\":\"scan finished\","
                         "\"source\":\"src_a_b\",\"entries\":12}\n");
    log_info("q\"\\", LOG_C("v", "line\nbreak\x7f\x80\xc2\x9b \xc3\xa4"));
    assert_str(logged(), "{\"time\":\"2026-01-15T10:20:30.123Z\",\"level\":\"info\",\"message\":\"q\\\"\\\\\","
                         "\"v\":\"line\\u000abreak\\u007f\\ufffd\\u009b \xc3\xa4\"}\n");
}

static void without_a_clock_lines_bear_no_time(void **state)
{
    (void)state;
    log_set_time(NULL);
    log_info("m");
    assert_str(logged(), "info  m\n");
    log_setup(LOG_INFO, LOG_JSON);
    log_info("m");
    assert_str(logged(), "{\"level\":\"info\",\"message\":\"m\"}\n");
}

static void milliseconds_before_1970_round_down(void **state)
{
    (void)state;
    log_set_time(before_1970);
    log_info("m");
    assert_str(logged(), "1969-12-31T23:59:59.999Z info  m\n");
}

static void values_that_are_not_one_plain_word_are_quoted(void **state)
{
    (void)state;
    log_set_time(NULL);
    log_info("m", LOG_STR("empty", STR("")), LOG_STR("absent", STR_NULL), LOG_C("null", NULL));
    assert_str(logged(), "info  m empty=\"\" absent=- null=-\n");
    log_info("m", LOG_C("a", "two words"), LOG_C("b", "k=v"), LOG_C("c", "\""), LOG_C("d", "\\"));
    assert_str(logged(), "info  m a=\"two words\" b=\"k=v\" c=\"\\\"\" d=\"\\\\\"\n");
    log_info("m", LOG_C("umlaut", "\xc3\xa4"), LOG_C("broken", "\xc3"), LOG_C("esc", "\x1b[31m"));
    assert_str(logged(), "info  m umlaut=\xc3\xa4 broken=\"\\ufffd\" esc=\"\\u001b[31m\"\n");
}

static void no_byte_can_begin_a_new_line(void **state)
{
    (void)state;
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        log_setup(LOG_INFO, (log_format)format);
        for (int c = 1; c < 256; c++) {
            char value[] = {'a', (char)c, 'b', '\0'};
            log_info(value, LOG_C("k", value));
            str line = logged();
            assert_int_equal(str_chr(line, '\n'), line.n - 1);
            for (size_t i = 0; i + 1 < line.n; i++)
                assert_true((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f);
        }
    }
}

static void levels_below_the_chosen_one_are_silent_and_unevaluated(void **state)
{
    (void)state;
    int evaluated = 0;
    log_setup(LOG_WARN, LOG_TEXT);
    log_debug("m", LOG_INT("n", ++evaluated));
    log_info("m", LOG_INT("n", ++evaluated));
    assert_int_equal(logged().n, 0);
    assert_int_equal(evaluated, 0);
    log_warn("m", LOG_INT("n", ++evaluated));
    assert_true(logged().n > 0);
    log_setup(LOG_DEBUG, LOG_TEXT);
    assert_true(log_enabled(LOG_DEBUG));
    log_line(LOG_DEBUG, "m", LOG_INT("n", ++evaluated));
    assert_str(str_from(logged(), 25), "debug m n=2\n");
}

static void long_values_are_cut_at_a_code_point(void **state)
{
    (void)state;
    char value[LOG_VALUE_MAX + 100];
    memset(value, 'x', sizeof(value));
    memcpy(value + LOG_VALUE_MAX - 1, "\xe2\x82\xac", 3); /* over the edge */
    log_set_time(NULL);
    log_info("m", LOG_STR("v", str_of(value, sizeof(value))));
    str line = logged();
    assert_int_equal(line.n, strlen("info  m v=") + LOG_VALUE_MAX - 1 + strlen("...\n"));
    assert_true(str_ends(line, STR("xxx...\n")));
    assert_true(utf8_valid(line));
}

static void lines_too_long_lose_whole_fields_and_say_so(void **state)
{
    (void)state;
    char value[LOG_VALUE_MAX];
    memset(value, '\n', sizeof(value)); /* six characters each */
    str v = str_of(value, sizeof(value));
    log_set_time(NULL);
    log_info("m", LOG_STR("a", v), LOG_STR("b", v), LOG_INT("c", 1));
    str line = logged();
    assert_true(line.n <= LOG_LINE_MAX);
    assert_true(str_ends(line, STR("\\u000a\" truncated=1\n")));
    assert_int_equal(str_find(line, STR(" b=")), -1);

    log_setup(LOG_INFO, LOG_JSON);
    log_info("m", LOG_STR("a", v), LOG_STR("b", v));
    line = logged();
    assert_true(str_ends(line, STR("\\u000a\",\"truncated\":1}\n")));
}

static void a_log_that_cannot_be_written_changes_nothing(void **state)
{
    (void)state;
    close(STDERR_FILENO);
    errno = EXDEV;
    log_error("into the void");
    assert_int_equal(errno, EXDEV);
    dup2(ends[1], STDERR_FILENO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_lines_have_time_level_message_and_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_lines_are_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_clock_lines_bear_no_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(milliseconds_before_1970_round_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(values_that_are_not_one_plain_word_are_quoted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_byte_can_begin_a_new_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels_below_the_chosen_one_are_silent_and_unevaluated, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_values_are_cut_at_a_code_point, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_too_long_lose_whole_fields_and_say_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_log_that_cannot_be_written_changes_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
