/* Configuration files: what is taken, and what is refused with the place where it stands. */
#include "unit.h"

#include "app/config_private.h"
#include "config_fixture.h"

static int setup(void **state)
{
    static config_fixture f;
    config_fixture_begin(&f);
    assert_int_equal(config_fixture_load(&f), 0);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    config_fixture_end(*state);
    return 0;
}

static int read(config_fixture *f, str text)
{
    assert_int_equal(config_fixture_load(f), 0);
    return config_read_yaml(&f->c, "f.yaml", text, &f->why);
}

static void empty_files_say_nothing(void **state)
{
    static const str texts[] = {STR_INIT(""),           STR_INIT("# a\n"),
                                STR_INIT("---\n"),      STR_INIT("{}"),
                                STR_INIT("---\n...\n"), STR_INIT("~\n"),
                                STR_INIT("null\n"),     STR_INIT("\xef\xbb\xbf"),
                                STR_INIT("http:\n"),    STR_INIT("http: ~\nlog: {}\n")};
    config_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (read(f, texts[i]) < 0)
            fail_msg("text %zu: " STR_FMT, i, STR_ARG(f->why));
        for (unsigned k = 0; k < CONFIG_OPTION_COUNT; k++)
            assert_int_equal(f->c.origin[k], FROM_DEFAULT);
    }
}

static void options_stand_in_sections_or_bear_dotted_names(void **state)
{
    config_fixture *f = *state;
    assert_int_equal(read(f, STR("data_dir: /d\nhttp:\n  idle_timeout: 5s\n  'max_connections': 7\n"
                                 "log.level: \"warn\"\nlimits: {requests_per_hour: 9}\n")),
                     0);
    assert_str(f->c.data_dir, "/d");
    assert_int_equal(f->c.http_idle_timeout, 5000);
    assert_int_equal(f->c.http_max_connections, 7);
    assert_int_equal(f->c.log_level, 1);
    assert_int_equal(f->c.limits_per_hour, 9);
    assert_int_equal(f->c.origin[OPTION_http_idle_timeout], FROM_FILE);
    assert_int_equal(f->c.origin[OPTION_http_body_timeout], FROM_DEFAULT);
}

static void lists_come_in_three_shapes(void **state)
{
    static const str texts[] = {STR_INIT("listen: [127.0.0.1:1, \"unix:s\"]\n"),
                                STR_INIT("listen:\n  - 127.0.0.1:1\n  # between\n  - unix:s\n"),
                                STR_INIT("listen:\n- 127.0.0.1:1\n- 'unix:s'\n")};
    config_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_int_equal(read(f, texts[i]), 0);
        assert_int_equal(f->c.listen.n, 2);
        assert_str(f->c.listen.texts[1], "unix:s");
    }
    assert_int_equal(read(f, STR("listen: 127.0.0.1:9\n")), 0);
    assert_int_equal(f->c.listen.n, 1);
    assert_int_equal(read(f, STR("http:\n  trusted_proxies:\n    # - 10.0.0.0/8\n")), 0);
    assert_int_equal(f->c.http_trusted_proxies.n, 0);
}

static void null_is_nothing_where_nothing_is_a_value(void **state)
{
    config_fixture *f = *state;
    assert_int_equal(read(f, STR("github: {token: ~, token_file: null, ca_file: }\n")), 0);
    assert_int_equal(f->c.github_token.n + f->c.github_token_file.n + f->c.github_ca_file.n, 0);
    assert_int_equal(read(f, STR("github: {ca_file: \"~\"}\n")), 0);
    assert_str(f->c.github_ca_file, "~");
    assert_int_equal(read(f, STR("data_dir:\n")), -EINVAL);
    assert_int_equal(read(f, STR("log: {level: }\n")), -EINVAL);
    assert_str(f->why, "f.yaml:1: log.level: '' is none of error|warn|info|debug");
}

static void what_is_wrong_is_named_with_its_line(void **state)
{
    static const struct {
        str text;
        const char *why;
    } cases[] = {
        {STR_INIT("\nfrobnicate: 1\n"), "f.yaml:2: frobnicate: there is no such option"},
        {STR_INIT("http:\n  idle_timout: 1s\n"),
         "f.yaml:2: http.idle_timout: there is no such option; did you mean http.idle_timeout?"},
        {STR_INIT("htpp:\n  idle_timeout: 1s\n"), "f.yaml:1: htpp: there is no such option; did you mean http?"},
        {STR_INIT("data_dri: x\n"), "f.yaml:1: data_dri: there is no such option; did you mean data_dir?"},
        {STR_INIT("http:\n  limits.requests_per_hour: 1\n"),
         "f.yaml:2: http.limits.requests_per_hour: there is no such option"},
        {STR_INIT("limits: 7\n"), "f.yaml:1: limits: is a section: a map of options was expected"},
        {STR_INIT("limits:\n  - 7\n"), "f.yaml:2: limits: is a section: a map of options was expected"},
        {STR_INIT("data_dir: {a: b}\n"), "f.yaml:1: data_dir: takes a value, not a map"},
        {STR_INIT("data_dir:\n  a: b\n"), "f.yaml:2: data_dir: takes a value, not a map"},
        {STR_INIT("data_dir: [a]\n"), "f.yaml:1: data_dir: takes a value, not a list"},
        {STR_INIT("listen:\n  - [a]\n"), "f.yaml:2: listen: takes a value, not a list"},
        {STR_INIT("listen:\n  - a: b\n"), "f.yaml:2: listen: takes a value, not a map"},
        {STR_INIT("listen: []\n"), "f.yaml:1: listen: has 0 addresses, allowed are 1 to 64"},
        {STR_INIT("listen:\n  - 127.0.0.1:0\n  - 127.0.0.1:x\n"),
         "f.yaml:3: listen: '127.0.0.1:x' is no address to listen on: host:port, [v6]:port or unix:PATH"},
        {STR_INIT("a: 1\nlistne: x\n"), "f.yaml:1: a: there is no such option"},
        {STR_INIT("data_dir: a\nlog:\n  level: info\ndata_dir: b\n"),
         "f.yaml:4: data_dir: given twice, first in line 1"},
        {STR_INIT("log.level: info\nlog:\n  level: info\n"), "f.yaml:3: log.level: given twice, first in line 1"},
        {STR_INIT("log:\n  level: info\nlog:\n  format: text\n"), "f.yaml:3: log: given twice, first in line 1"},
        {STR_INIT("data_dir: &x a\ngithub: {ca_file: *x}\n"), "f.yaml:2: github.ca_file: aliases are not taken here"},
        {STR_INIT("data_dir: !secret a\n"), "f.yaml:1: data_dir: tags are not taken here"},
        {STR_INIT("? [a]\n: b\n"), "f.yaml:1: an option's name was expected"},
        {STR_INIT("log:\n  ? {a: b}\n  : c\n"), "f.yaml:2: log: an option's name was expected"},
        {STR_INIT("- a\n"), "f.yaml:1: a map of options was expected"},
        {STR_INIT("just text\n"), "f.yaml:1: a map of options was expected"},
        {STR_INIT("--- {}\n--- {}\n"), "f.yaml:2: there is a second document"},
        {STR_INIT("log:\n  level: info\n level: x\n"), "f.yaml:3: did not find expected key"},
        {STR_INIT("log: {}\n\tx: y\n"), "f.yaml:2: found character that cannot start any token"},
        {STR_INIT("log: {}\n# \xff\n"), "f.yaml:2: invalid leading UTF-8 octet"},
        {STR_INIT("data_dir: \"a\\0b\"\n"), "f.yaml:1: data_dir: 'a"}, /* and what comes behind a NUL is not printed */
    };
    config_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(read(f, cases[i].text), -EINVAL);
        if (!str_starts(f->why, str_c(cases[i].why)))
            unit_assert_str(f->why, str_c(cases[i].why), __FILE__, (int)i);
    }
}

static void deep_and_endless_nonsense_is_refused_quickly(void **state)
{
    static const str pieces[] = {STR_INIT("["),  STR_INIT("{"),   STR_INIT("a: "), STR_INIT("- "),
                                 STR_INIT("? "), STR_INIT("&a "), STR_INIT("\"")};
    config_fixture *f = *state;
    buf text = BUF_INIT;
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        buf_reset(&text);
        while (text.n < 100000)
            buf_str(&text, pieces[i]);
        assert_int_equal(read(f, buf_view(&text)), -EINVAL);
    }
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_files_say_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(options_stand_in_sections_or_bear_dotted_names, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_come_in_three_shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(null_is_nothing_where_nothing_is_a_value, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong_is_named_with_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(deep_and_endless_nonsense_is_refused_quickly, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
