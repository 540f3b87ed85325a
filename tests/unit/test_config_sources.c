/* Where values come from: file, environment, --set, the token's file; which wins, and what is refused. */
#include "unit.h"

#include "config_fixture.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state)
{
    static config_fixture f;
    config_fixture_begin(&f);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    config_fixture_end(*state);
    return 0;
}

static void later_sources_win(void **state)
{
    char *environment[] = {"PATH=/bin", "LARDER_LOG_LEVEL=debug", "LARDER_LIMITS_REQUESTS_PER_MINUTE=22", NULL};
    config_fixture *f = *state;
    config_fixture_write(f, STR("limits: {requests_per_minute: 11, requests_per_hour: 11, concurrent_requests: 11}\n"
                                "log: {level: warn}\n"));
    f->from.environment = environment;
    config_fixture_set(f, "limits.requests_per_minute=33");
    config_fixture_set(f, " limits.concurrent_requests =33");
    config_fixture_set(f, "limits.concurrent_requests=44");
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(f->c.limits_per_minute, 33);
    assert_int_equal(f->c.origin[OPTION_limits_per_minute], FROM_SET);
    assert_int_equal(f->c.limits_per_hour, 11);
    assert_int_equal(f->c.origin[OPTION_limits_per_hour], FROM_FILE);
    assert_int_equal(f->c.limits_concurrent, 44);
    assert_int_equal(f->c.log_level, 3);
    assert_int_equal(f->c.origin[OPTION_log_level], FROM_ENVIRONMENT);
    assert_int_equal(f->c.origin[OPTION_log_format], FROM_DEFAULT);
}

static void every_option_has_its_variable(void **state)
{
    config_fixture *f = *state;
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        char text[100], *environment[] = {text, NULL};
        int n = snprintf(text, sizeof(text), "LARDER_%s=%s", config_options[i].name, config_options[i].def);
        for (char *p = text; *p != '=' && p < text + n; p++)
            *p = *p == '.' ? '_' : *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        f->from.environment = environment;
        assert_int_equal(config_fixture_load(f), 0);
        assert_int_equal(f->c.origin[i], FROM_ENVIRONMENT);
    }
}

static void variables_take_lists_and_empty_values(void **state)
{
    char *environment[] = {"LARDER_LISTEN=[127.0.0.1:1, 127.0.0.1:2]",
                           "LARDER_HTTP_TRUSTED_PROXIES=", "LARDER_GITHUB_CA_FILE=", NULL};
    config_fixture *f = *state;
    config_fixture_write(f, STR("http: {trusted_proxies: [unix]}\ngithub: {ca_file: x}\n"));
    f->from.environment = environment;
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(f->c.listen.n, 2);
    assert_int_equal(f->c.http_trusted_proxies.n, 0);
    assert_int_equal(f->c.github_ca_file.n, 0);
}

static void an_address_in_brackets_is_no_list(void **state)
{
    static const struct {
        const char *set;
        size_t n;
        str first;
    } cases[] = {{"listen=[::1]:1", 1, STR_INIT("[::1]:1")},
                 {"listen= [::]:0 ", 1, STR_INIT("[::]:0")},
                 {"listen=[\"[::1]:1\", 127.0.0.1:2]", 2, STR_INIT("[::1]:1")},
                 {"listen=[127.0.0.1:2]", 1, STR_INIT("127.0.0.1:2")},
                 {"listen=[127.0.0.1:2,[::1]:1]", 2, STR_INIT("127.0.0.1:2")},
                 {"listen=[[::1]:1, [::1]:2]", 2, STR_INIT("[::1]:1")},
                 {"listen=[::1]:1,[::1]:2, unix:/x", 3, STR_INIT("[::1]:1")}};
    config_fixture *f = *state;
    f->from.n_sets = 1;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        f->sets[0] = cases[i].set;
        assert_int_equal(config_fixture_load(f), 0);
        assert_int_equal(f->c.listen.n, cases[i].n);
        unit_assert_str(f->c.listen.texts[0], cases[i].first, __FILE__, __LINE__);
    }
    f->sets[0] = "http.trusted_proxies=[::1, fd00::/8]";
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(f->c.http_trusted_proxies.n_nets, 2);
    f->sets[0] = "http.trusted_proxies=[]";
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(f->c.http_trusted_proxies.n_nets, 0);
    char *environment[] = {"LARDER_LISTEN=[::1]:3,127.0.0.1:4", NULL};
    f->from.n_sets = 0;
    f->from.environment = environment;
    assert_int_equal(config_fixture_load(f), 0);
    assert_str(f->c.listen.texts[0], "[::1]:3");
    assert_str(f->c.listen.texts[1], "127.0.0.1:4");
}

static void variables_that_may_be_another_s_are_warned_of(void **state)
{
    char *environment[] = {
        "LARDER_BIN=x",          "LARDER_=",     "LARDER_HTTPX=1",        "LARDER", "LARDERX_LOG_LEVEL=loud",
        "larder_log_level=loud", "LARDER_LOG=1", "LARDER_LOGLEVEL=debug", NULL};
    config_fixture *f = *state;
    f->from.environment = environment;
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(f->c.n_warnings, 1);
    assert_str(f->c.warnings[0],
               "environment: no such options: LARDER_BIN, LARDER_, LARDER_HTTPX (did you mean http?), LARDER_LOG, "
               "LARDER_LOGLEVEL (did you mean log.level?)");
    assert_int_equal(f->c.log_level, 2); /* as it was */
}

static void many_variables_of_others_push_out_no_other_warning(void **state)
{
    char *environment[31] = {0};
    config_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(environment) - 1; i++)
        environment[i] = "LARDER_SERVICE_HOST=1";
    f->from.environment = environment;
    config_fixture_set(f, "recache.auth_key=short");
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(f->c.n_warnings, 2);
    assert_true(str_ends(f->c.warnings[0], STR(", LARDER_SERVICE_HOST and 22 more")));
    assert_true(str_starts(f->c.warnings[1], STR("recache.auth_key: 1 of 1 shorter than")));
}

static void complaints_name_the_source(void **state)
{
    static const struct {
        const char *set, *variable, *why;
    } cases[] = {
        {NULL, "LARDER_LOG_LEVEL=loud",
         "environment: LARDER_LOG_LEVEL: log.level: 'loud' is none of error|warn|info|debug"},
        {NULL, "LARDER_HTTP_IDLE_TIMOUT=1s", "environment: LARDER_HTTP_IDLE_TIMOUT: there is no such option"},
        {NULL, "LARDER_LISTEN=[",
         "environment: LARDER_LISTEN: listen: '[' is no address to listen on: host:port, [v6]:port or unix:PATH"},
        {"log.level=loud", NULL, "--set: log.level: 'loud' is none of error|warn|info|debug"},
        {"log.levle=loud", NULL, "--set: log.levle: there is no such option; did you mean log.level?"},
        {"log=1", NULL, "--set: log: there is no such option"},
        {"=1", NULL, "--set: : there is no such option"},
        {"listen", NULL, "--set: listen: not of the form key=value"},
        {"", NULL, "--set: : not of the form key=value"},
    };
    config_fixture *f = *state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *environment[] = {(char *)(uintptr_t)cases[i].variable, NULL};
        f->from.environment = environment;
        f->sets[0] = cases[i].set;
        f->from.n_sets = cases[i].set ? 1 : 0;
        assert_int_equal(config_fixture_load(f), -EINVAL);
        unit_assert_str(f->why, str_c(cases[i].why), __FILE__, (int)i);
    }
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
    config_fixture *f = *state;
    f->from.file = "/nowhere/larder.yaml";
    assert_int_equal(config_fixture_load(f), -ENOENT);
    assert_str(f->why, "/nowhere/larder.yaml: not found");
    f->from.file = f->dir;
    assert_int_equal(config_fixture_load(f), -EISDIR);
    assert_true(str_starts(f->why, str_c(f->dir)));

    buf large = BUF_INIT;
    while (large.n <= 1 << 20)
        buf_str(&large, STR("# a file that is no configuration, but a log or the like\n"));
    config_fixture_write(f, buf_view(&large));
    assert_int_equal(config_fixture_load(f), -EFBIG);
    buf_done(&large);
}

static void a_file_s_complaint_begins_with_its_name_and_line(void **state)
{
    config_fixture *f = *state;
    char wanted[200];
    config_fixture_write(f, STR("\nlog: {level: loud}\n"));
    assert_int_equal(config_fixture_load(f), -EINVAL);
    snprintf(wanted, sizeof(wanted), "%s:2: log.level: 'loud' is none of error|warn|info|debug", f->path);
    unit_assert_str(f->why, str_c(wanted), __FILE__, __LINE__);
}

/* ---- the token's file ---- */

static void write_token(const config_fixture *f, str text, mode_t mode, char path[128])
{
    snprintf(path, 128, "%s/token", f->dir);
    (void)unlink(path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    assert_int_equal(fchmod(fileno(file), mode), 0);
    assert_int_equal(fclose(file), 0);
}

static void a_token_may_come_from_a_file(void **state)
{
    config_fixture *f = *state;
    char path[128], set[160];
    write_token(f, STR(" \n tok-4711\r\n"), 0600, path);
    snprintf(set, sizeof(set), "github.token_file=%s", path);
    config_fixture_set(f, set);
    assert_int_equal(config_fixture_load(f), 0);
    assert_str(f->c.github_token, "tok-4711");
    assert_int_equal(f->c.origin[OPTION_github_token], FROM_SECRET_FILE);
    assert_int_equal(f->c.n_warnings, 0);

    config before = f->c;
    f->is_loaded = false;
    write_token(f, STR("tok-4712"), 0640, path);
    assert_int_equal(config_fixture_load(f), 0);
    assert_true(config_differs(&before, &f->c, OPTION_github_token));
    assert_true(str_ends(f->c.warnings[0], STR("/token: others may read it (mode 640)")));
    config_done(&before);
}

static void a_token_s_file_that_is_of_no_use_is_refused(void **state)
{
    static const struct {
        str text;
        const char *why;
    } cases[] = {{STR_INIT(""), ": is empty"},
                 {STR_INIT(" \n\n"), ": is empty"},
                 {STR_INIT("two words"), ": has characters that no token has"},
                 {STR_INIT("nul\0nul"), ": has characters that no token has"}};
    config_fixture *f = *state;
    char path[128], set[160];
    snprintf(set, sizeof(set), "github.token_file=%s/token", f->dir);
    config_fixture_set(f, set);
    assert_int_equal(config_fixture_load(f), -ENOENT);
    assert_true(str_starts(f->why, STR("--set: github.token_file: ")));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        write_token(f, cases[i].text, 0600, path);
        assert_int_equal(config_fixture_load(f), -EINVAL);
        assert_true(str_ends(f->why, str_c(cases[i].why)));
        assert_true(str_find(f->why, STR("nul")) < 0);
    }
    char large[2000];
    memset(large, 'x', sizeof(large));
    write_token(f, str_of(large, sizeof(large)), 0600, path);
    assert_int_equal(config_fixture_load(f), -EINVAL);
    assert_true(str_ends(f->why, STR(" bytes, allowed are 0 to 1000")));
    snprintf(set, sizeof(set), "github.token_file=%s", f->dir);
    assert_int_equal(config_fixture_load(f), -EISDIR);
}

static void two_tokens_are_one_too_many(void **state)
{
    config_fixture *f = *state;
    config_fixture_set(f, "github.token=a");
    config_fixture_set(f, "github.token_file=/nowhere");
    assert_int_equal(config_fixture_load(f), -EINVAL);
    assert_str(f->why, "--set: github.token and github.token_file are both set");

    f->from.n_sets = 0;
    config_fixture_write(f, STR("github:\n  token: a\n  token_file: /nowhere\n"));
    assert_int_equal(config_fixture_load(f), -EINVAL);
    assert_true(str_ends(f->why, STR("/larder.yaml:3: github.token and github.token_file are both set")));
    config_fixture_write(f, STR("github:\n  concurrency: 2\n\n  token_file: /nowhere\n"));
    assert_int_equal(config_fixture_load(f), -ENOENT);
    assert_true(str_ends(f->why, STR("/larder.yaml:4: github.token_file: /nowhere: not found")));
}

/* ---- memory ---- */

static void lack_of_memory_anywhere_is_an_error_and_leaks_nothing(void **state)
{
    char *environment[] = {"LARDER_LISTEN=[127.0.0.1:1, 127.0.0.1:2]", "LARDER_LOG_LEVEL=debug", NULL};
    config_fixture *f = *state;
    char path[128], set[160];
    write_token(f, STR("tok-4711"), 0644, path);
    snprintf(set, sizeof(set), "github.token_file=%s", path);
    config_fixture_set(f, set);
    config_fixture_set(f, "http.trusted_proxies=[unix, 10.0.0.0/8]");
    config_fixture_write(f, STR("data_dir: /d\nhttp:\n  idle_timeout: 5s\n  trusted_proxies:\n  - unix\n"));
    f->from.environment = environment;
    for (long nth = 0; unit_next_fault(&nth);) {
        const int r = config_fixture_load(f);
        assert_true(r == 0 || (mem_failed() && r == -ENOMEM));
        assert_true(r == 0 || f->why.n > 0);
    }
    assert_str(f->c.github_token, "tok-4711");
}

static void lack_of_memory_for_a_complaint_is_told_instead(void **state)
{
    config_fixture *f = *state;
    config_fixture_write(f, STR("log:\n  level: loud\n"));
    for (long nth = 0; unit_next_fault(&nth);) {
        const int r = config_fixture_load(f);
        assert_true(r == -EINVAL || (mem_failed() && r == -ENOMEM));
        assert_true(f->why.n > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(later_sources_win, setup, teardown),
        cmocka_unit_test_setup_teardown(every_option_has_its_variable, setup, teardown),
        cmocka_unit_test_setup_teardown(variables_take_lists_and_empty_values, setup, teardown),
        cmocka_unit_test_setup_teardown(an_address_in_brackets_is_no_list, setup, teardown),
        cmocka_unit_test_setup_teardown(variables_that_may_be_another_s_are_warned_of, setup, teardown),
        cmocka_unit_test_setup_teardown(many_variables_of_others_push_out_no_other_warning, setup, teardown),
        cmocka_unit_test_setup_teardown(complaints_name_the_source, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_s_complaint_begins_with_its_name_and_line, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_may_come_from_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_token_s_file_that_is_of_no_use_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(two_tokens_are_one_too_many, setup, teardown),
        cmocka_unit_test_setup_teardown(lack_of_memory_anywhere_is_an_error_and_leaks_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(lack_of_memory_for_a_complaint_is_told_instead, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
