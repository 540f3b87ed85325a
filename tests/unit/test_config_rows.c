/* Every option: its default, its bounds, what it refuses, how it is shown, and what etc/larder.yaml says of it. */
#include "unit.h"

#include "app/config_private.h"
#include "config_fixture.h"

#include <stdio.h>

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

static int set(config_fixture *f, config_id option, const char *text)
{
    return config_set_text(&f->c, option, str_c(text), FROM_SET, &f->why);
}

static bool is_a(config_id option, const config_kind *kind)
{
    return config_options[option].kind == kind;
}

static bool is_number(config_id option)
{
    return config_options[option].kind->parse != NULL;
}

static void names_are_unique_and_lower_case(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const str name = str_c(config_options[i].name);
        for (size_t k = 0; k < name.n; k++)
            assert_true((name.p[k] >= 'a' && name.p[k] <= 'z') || name.p[k] == '_' || name.p[k] == '.');
        config_id found;
        assert_true(config_find(name, &found));
        assert_int_equal(found, i);
        assert_true(strlen(config_options[i].doc) > 3);
    }
}

static void defaults_are_what_the_rows_say(void **state)
{
    config_fixture *f = *state;
    assert_int_equal(config_fixture_load(f), 0);
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++)
        assert_int_equal(f->c.origin[i], FROM_DEFAULT);
    assert_int_equal(f->c.listen.n, 1);
    assert_int_equal(f->c.listen.v[0].addr.port, 8080);
    assert_str(f->c.data_dir, "./data");
    assert_int_equal(f->c.log_level, 2);
    assert_false(f->c.log_access);
    assert_int_equal(f->c.http_max_header_bytes, 16384);
    assert_int_equal(f->c.http_idle_timeout, 75000);
    assert_int_equal(f->c.http_trusted_proxies.n, 0);
    assert_int_equal(f->c.limits_per_minute, 100);
    assert_int_equal(f->c.limits_per_hour, 5000);
    assert_int_equal(f->c.limits_concurrent, 10);
    assert_str(f->c.github_api_url, "https://api.github.com");
    assert_int_equal(f->c.github_token.n, 0);
    assert_int_equal(f->c.sources_rescan_interval, HOURS(6));
    assert_int_equal(f->c.projects_roots.n, 0);
    assert_int_equal(f->c.projects_refresh_interval, HOURS(6));
    assert_int_equal(f->c.projects_ttl, HOURS(6));
    assert_int_equal(f->c.projects_refresh_concurrency, 3);
    assert_true(f->c.store_max_size == INT64_C(16) << 30);
    assert_int_equal(f->c.n_warnings, 0);
}

static void numbers_take_their_bounds_and_nothing_beyond(void **state)
{
    config_fixture *f = *state;
    assert_int_equal(config_fixture_load(f), 0);
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const config_option *o = &config_options[i];
        const int64_t *value = config_member(&f->c, (config_id)i);
        const char *unit = is_a((config_id)i, &config_kind_span) ? "ms" : "";
        const struct {
            int64_t n;
            bool fits;
        } cases[] = {{o->min, true}, {o->max, true}, {o->min - 1, false}, {o->max + 1, false}};
        for (size_t k = 0; is_number((config_id)i) && k < COUNT_OF(cases); k++) {
            char text[40];
            snprintf(text, sizeof(text), "%lld%s", (long long)cases[k].n, unit);
            assert_int_equal(set(f, (config_id)i, text), cases[k].fits ? 0 : -EINVAL);
            if (cases[k].fits) {
                assert_true(*value == cases[k].n);
                assert_int_equal(f->c.origin[i], FROM_SET);
            } else if (cases[k].n >= 0) {
                assert_true(str_starts(f->why, str_c(o->name)));
                assert_true(str_find(f->why, STR("out of range, allowed is ")) > 0);
            }
        }
    }
}

static bool is_printable(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '[')
            return false;
    return true;
}

static void what_is_of_no_option_s_kind_is_refused_by_name(void **state)
{
    static const char *const wrong[] = {
        "",   "some words", "-",     "5 parsecs", "1.5",  "0x10", "99999999999999999999999", "\x01", "\xff", "[",
        "[1", "[1] 2",      "[[1]]", "[{a: b}]",  "[*a]", "yes"};
    config_fixture *f = *state;
    assert_int_equal(config_fixture_load(f), 0);
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const config_kind *kind = config_options[i].kind;
        if (kind == &config_kind_path || kind == &config_kind_text || kind == &config_kind_secret || kind->is_tree)
            continue; /* they take nearly everything */
        for (size_t k = 0; k < COUNT_OF(wrong); k++) {
            if (!*wrong[k] && kind->is_list && config_options[i].min == 0)
                continue; /* the empty list */
            if (kind == &config_kind_secrets && is_printable(wrong[k]))
                continue;
            if (kind == &config_kind_real && strcmp(wrong[k], "1.5") == 0)
                continue; /* where it is allowed */
            assert_int_equal(set(f, (config_id)i, wrong[k]), -EINVAL);
            assert_true(str_starts(f->why, str_c(config_options[i].name)));
            if (kind != &config_kind_secrets) /* of "[1] 2", the list alone is one */
                assert_int_equal(f->c.origin[i], FROM_DEFAULT);
        }
    }
}

static void sizes_know_their_units(void **state)
{
    static const struct {
        const char *text;
        int64_t bytes;
    } cases[] = {{"4096", 4096}, {"4096B", 4096},   {"4KiB", 4096},   {"4 KiB", 4096},  {"4kib", 4096},
                 {"4KB", 4000},  {"1MiB", 1 << 20}, {"1MB", 1000000}, {"1GiB", 1 << 30}};
    config_fixture *f = *state;
    assert_int_equal(config_fixture_load(f), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(set(f, OPTION_http_max_body_bytes, cases[i].text), 0);
        assert_true(f->c.http_max_body_bytes == cases[i].bytes);
    }
    assert_int_equal(set(f, OPTION_store_max_size, "1TiB"), 0);
    assert_true(f->c.store_max_size == INT64_C(1) << 40);
    assert_int_equal(set(f, OPTION_store_max_size, "1TB"), 0);
    assert_true(f->c.store_max_size == INT64_C(1000000000000));
    assert_int_equal(set(f, OPTION_store_max_size, "9223372036854775807TiB"), -EINVAL);
    assert_str(f->why, "store.max_size: '9223372036854775807TiB' is out of range, allowed is 1MiB to 16TiB");
}

static void complaints_say_what_was_expected(void **state)
{
    static const struct {
        config_id option;
        const char *text, *why;
    } cases[] = {
        {OPTION_limits_per_minute, "many", "limits.requests_per_minute: 'many' is no integer"},
        {OPTION_limits_per_minute, "0", "limits.requests_per_minute: '0' is out of range, allowed is 1 to 1000000"},
        {OPTION_http_idle_timeout, "5 parsecs", "http.idle_timeout: '5 parsecs' is no duration, such as 30s or 6h"},
        {OPTION_http_idle_timeout, "2d", "http.idle_timeout: '2d' is out of range, allowed is 10ms to 1d"},
        {OPTION_http_max_body_bytes, "big", "http.max_body_bytes: 'big' is no size, such as 64MiB"},
        {OPTION_log_level, "loud", "log.level: 'loud' is none of error|warn|info|debug"},
        {OPTION_log_access, "yes", "log.access: 'yes' is neither true nor false"},
        {OPTION_data_dir, "", "data_dir: has 0 bytes, allowed are 1 to 4000"},
        {OPTION_data_dir, "a\nb", "data_dir: 'a\nb' is no path: it has control characters, or is not UTF-8"},
        {OPTION_github_api_url, "ftp://x", "github.api_url: the URL must begin with http:// or https://"},
        {OPTION_github_api_url, "http://u:p@x", "github.api_url: a URL with user name or password is not accepted"},
        {OPTION_github_api_url, "http://x:99999", "github.api_url: bad port in the URL"},
        {OPTION_github_api_url, "http://x:abc/y", "github.api_url: bad port in the URL"},
        {OPTION_listen, "nonsense", "listen: 'nonsense' is no address to listen on: host:port, [v6]:port or unix:PATH"},
        {OPTION_listen, "[127.0.0.1:1, '[::1]:1', localhost:1]", "listen: 'localhost:1' is given twice"},
        {OPTION_listen, "[unix:/a, unix:/a]", "listen: 'unix:/a' is given twice"},
        {OPTION_listen, "", "listen: has 0 addresses, allowed are 1 to 64"},
        {OPTION_listen, "[a:1] b", "listen: '[a:1] b' is no address to listen on: host:port, [v6]:port or unix:PATH"},
        {OPTION_listen, "[127.0.0.1:1] b",
         "listen: '[127.0.0.1:1] b' is no address to listen on: host:port, [v6]:port or unix:PATH"},
        {OPTION_http_trusted_proxies, "10.0.0.0/99",
         "http.trusted_proxies: '10.0.0.0/99' is no address, no network (10.0.0.0/8) and not `unix`"},
        {OPTION_projects_roots, "[/srv, here]", "projects.roots: 'here' is no absolute path of a folder"},
        {OPTION_projects_roots, "/a\nb", "projects.roots: '/a\nb' is no absolute path of a folder"},
        {OPTION_github_token, "with blank", "github.token: has characters that no token has"},
    };
    config_fixture *f = *state;
    assert_int_equal(config_fixture_load(f), 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_int_equal(set(f, cases[i].option, cases[i].text), -EINVAL);
        unit_assert_str(f->why, str_c(cases[i].why), __FILE__, (int)i);
    }
}

static void addresses_and_urls_are_kept_ready_to_use(void **state)
{
    config_fixture *f = *state;
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(set(f, OPTION_listen, "[127.0.0.1:1, '[::1]:2', \"unix:/a b\", localhost:0, localhost:0]"), 0);
    assert_int_equal(f->c.listen.n, 5);
    assert_int_equal(f->c.listen.v[1].addr.port, 2);
    assert_str(f->c.listen.v[2].path, "/a b");
    assert_int_equal(set(f, OPTION_listen, "unix:s"), 0);
    assert_int_equal(f->c.listen.n, 1);
    assert_int_equal(set(f, OPTION_http_trusted_proxies, " [10.0.0.0/8, unix, \"::1\"] "), 0);
    assert_int_equal(f->c.http_trusted_proxies.n, 3);
    assert_int_equal(f->c.http_trusted_proxies.n_nets, 2);
    assert_true(f->c.http_trusted_proxies.has_unix);
    assert_int_equal(set(f, OPTION_http_trusted_proxies, "[]"), 0);
    assert_int_equal(f->c.http_trusted_proxies.n, 0);
    assert_false(f->c.http_trusted_proxies.has_unix);
    assert_int_equal(set(f, OPTION_projects_roots, "[/srv/projects, '/opt/a b']"), 0);
    assert_int_equal(f->c.projects_roots.n, 2);
    assert_str(f->c.projects_roots.v[1], "/opt/a b");
    assert_int_equal(set(f, OPTION_github_api_url, "http://127.0.0.1:9/api//"), 0);
    assert_str(f->c.github_api_url, "http://127.0.0.1:9/api");
    assert_int_equal(f->c.github_api_url.p[f->c.github_api_url.n], '\0');
}

static void a_list_longer_than_its_row_allows_is_refused(void **state)
{
    config_fixture *f = *state;
    buf text = BUF_INIT;
    assert_int_equal(config_fixture_load(f), 0);
    for (size_t n = 1; n <= CONFIG_LIST_MAX + 1; n++) {
        buf_str(&text, n == 1 ? STR("[") : STR(","));
        buf_str(&text, STR("10.0.0.1"));
        if (n < CONFIG_LIST_MAX)
            continue;
        const size_t before = text.n;
        buf_str(&text, STR("]"));
        buf_char(&text, '\0');
        assert_int_equal(set(f, OPTION_http_trusted_proxies, text.p), n == CONFIG_LIST_MAX ? 0 : -EINVAL);
        text.n = before;
    }
    assert_str(f->why, "http.trusted_proxies: has too many elements");
    buf_done(&text);
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++)
        if (config_options[i].kind->is_list)
            assert_true(config_options[i].max <= CONFIG_LIST_MAX);
}

/* ---- the example ---- */

static void the_example_file_gives_every_option_with_its_default(void **state)
{
    config_fixture *f = *state;
    config plain;
    str why;
    assert_int_equal(config_load(&plain, &(config_sources){0}, &why), 0);
    f->from.file = "etc/larder.yaml";
    if (config_fixture_load(f) < 0)
        fail_msg(STR_FMT, STR_ARG(f->why));
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (f->c.origin[i] != FROM_FILE || config_differs(&f->c, &plain, (config_id)i))
            fail_msg("etc/larder.yaml tells %s wrongly, or not at all", config_options[i].name);
    }
    config_done(&plain);
}

/* ---- showing ---- */

static void what_is_shown_reads_back_the_same(void **state)
{
    config_fixture *f = *state;
    buf shown = BUF_INIT;
    config_fixture_set(f, "listen=[127.0.0.1:1, 'unix:/tmp/\"\\ \xc3\xa4\xe2\x80\xa8\xf0\x9f\x8d\x8e']");
    config_fixture_set(f, "data_dir=null");
    config_fixture_set(f, "log.level=debug");
    config_fixture_set(f, "http.trusted_proxies=[unix, 10.0.0.0/8]");
    config_fixture_set(f, "projects.roots=['/a \xc3\xa4', /b]");
    config_fixture_set(f, "http.max_body_bytes=1000001");
    config_fixture_set(f, "http.idle_timeout=1500ms");
    config_fixture_set(f, "github.ca_file=~");
    assert_int_equal(config_fixture_load(f), 0);
    config_show(&f->c, &shown);
    assert_int_equal(shown.err, 0);

    config first = f->c;
    f->is_loaded = false;
    f->from.n_sets = 0;
    config_fixture_write(f, buf_view(&shown));
    if (config_fixture_load(f) < 0)
        fail_msg(STR_FMT, STR_ARG(f->why));
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++)
        assert_false(config_differs(&first, &f->c, (config_id)i));
    buf_done(&shown);
    config_done(&first);
}

static void what_is_shown_says_where_it_is_from_and_keeps_secrets(void **state)
{
    config_fixture *f = *state;
    char *environment[] = {"LARDER_LOG_FORMAT=json", NULL};
    buf shown = BUF_INIT;
    config_fixture_write(f, STR("log: {level: warn}\n"));
    config_fixture_set(f, "github.token=tok-4711");
    f->from.environment = environment;
    assert_int_equal(config_fixture_load(f), 0);
    config_show(&f->c, &shown);
    const str text = buf_view(&shown);
    assert_true(str_find(text, STR("  level: warn  # file\n")) > 0);
    assert_true(str_find(text, STR("  format: json  # environment\n")) > 0);
    assert_true(str_find(text, STR("  access: false  # default\n")) > 0);
    assert_true(str_find(text, STR("  # token: (set)  # --set\n")) > 0);
    assert_true(str_find(text, STR("4711")) < 0);
    buf_done(&shown);
}

/* Sets the option to what its default is not. */
static void set_other(config_fixture *f, config_id option, char *text, size_t size)
{
    static const struct {
        const config_kind *kind;
        const char *text;
    } others[] = {{&config_kind_real, "0.5"},       {&config_kind_flag, "true"},       {&config_kind_text, "other"},
                  {&config_kind_path, "other"},     {&config_kind_url, "http://other"}, {&config_kind_secret, "s"},
                  {&config_kind_secrets, "[s, t]"}, {&config_kind_folders, "/other"},  {&config_kind_networks, "unix"},
                  {&config_kind_tree, "[{a: b}]"},  {&config_kind_addresses, "127.0.0.1:8081"}};
    const config_option *o = &config_options[option];
    const int64_t *number = config_member(&f->c, option);
    const char *last = o->choices ? strrchr(o->choices, '|') + 1 : NULL;

    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (o->kind == others[i].kind)
            snprintf(text, size, "%s", others[i].text);
    if (is_number(option))
        snprintf(text, size, "%lld%s", (long long)(*number == o->min ? o->max : o->min),
                 is_a(option, &config_kind_span) ? "ms" : "");
    else if (last) /* no default is the last of its choices */
        snprintf(text, size, "%s", last);
    assert_int_equal(set(f, option, text), 0);
}

static void options_that_changed_are_told_from_those_that_did_not(void **state)
{
    config_fixture *f = *state;
    config plain;
    str why;
    assert_int_equal(config_load(&plain, &(config_sources){0}, &why), 0);
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        assert_int_equal(config_fixture_load(f), 0);
        char other[40];
        set_other(f, (config_id)i, other, sizeof(other));
        for (unsigned k = 0; k < CONFIG_OPTION_COUNT; k++)
            assert_int_equal(config_differs(&plain, &f->c, (config_id)k), k == i);
    }
    config_done(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(names_are_unique_and_lower_case, setup, teardown),
        cmocka_unit_test_setup_teardown(defaults_are_what_the_rows_say, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_take_their_bounds_and_nothing_beyond, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_of_no_option_s_kind_is_refused_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_know_their_units, setup, teardown),
        cmocka_unit_test_setup_teardown(complaints_say_what_was_expected, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_and_urls_are_kept_ready_to_use, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_longer_than_its_row_allows_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(the_example_file_gives_every_option_with_its_default, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_shown_reads_back_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_shown_says_where_it_is_from_and_keeps_secrets, setup, teardown),
        cmocka_unit_test_setup_teardown(options_that_changed_are_told_from_those_that_did_not, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
