/* Hosts and render services in the configuration: what they mean, what is refused, and where the complaint points. */
#include "unit.h"

#include "config_fixture.h"
#include "larder/recache_url.h"

#include <stdio.h>
#include <sys/stat.h>

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

static int load(config_fixture *f, const char *text)
{
    config_fixture_write(f, str_c(text));
    return config_fixture_load(f);
}

#define A_HOST      \
    "recache:\n"    \
    "  hosts:\n"    \
    "    - id: 1\n" \
    "      domain: example.com\n"

static void a_host_says_little_and_the_rest_is_as_documented(void **state)
{
    config_fixture *f = *state;
    assert_int_equal(load(f, A_HOST), 0);
    assert_int_equal(f->c.n_hosts, 1);
    const recache_host *h = &f->c.hosts[0];
    assert_int_equal(h->id, 1);
    assert_int_equal(h->domains.n, 1);
    assert_str(h->domains.v[0], "example.com");
    assert_int_equal(h->ttl_ms, HOURS(1));
    assert_int_equal(h->stale_ttl_ms, HOURS(1));
    assert_int_equal(h->bypass_ttl_ms, HOURS(1));
    assert_int_equal(h->hit_interval_ms, HOURS(24));
    assert_int_equal(h->n_status_codes, 6);
    assert_true(h->strip_scripts);
    assert_str(h->wait_for, "networkIdle");
    assert_int_equal(h->n_dimensions, 1);
    assert_int_equal(h->dimensions[0].id, 0);
    assert_int_equal(h->dimensions[0].action, RECACHE_BYPASS);
    assert_int_equal(h->tracking.n, recache_tracking_default.n);
}

static void a_host_says_all_there_is_to_say(void **state)
{
    config_fixture *f = *state;
    const char *text = "recache:\n"
                       "  stale_ttl: 2h\n"
                       "  rate: 2.5\n"
                       "  hosts:\n"
                       "    - id: 7\n"
                       "      domain: [shop.example.com, www.example.com]\n"
                       "      ttl: 24h\n"
                       "      refresh_ahead: 10m\n"
                       "      tracking_params: {params_add: [Sid]}\n"
                       "      status_codes: [200, 404]\n"
                       "      render: {timeout: 10s, wait_for: load, extra_wait: 500ms, strip_scripts: false}\n"
                       "      dimensions:\n"
                       "        mobile: {id: 2, width: 390, height: 844, render_ua: \"M\"}\n"
                       "        desktop: {id: 1}\n"
                       "        badbots: {id: 3, action: block, match_ua: [BadBot]}\n"
                       "        bypass: {render_ua: plain}\n"
                       "  render_services:\n"
                       "    - url: https://render-1.internal:9443\n"
                       "      key_header: X-Key\n"
                       "      key: s3cret\n"
                       "    - {url: \"http://render-2.internal:9000\"}\n";
    assert_int_equal(load(f, text), 0);
    const recache_host *h = &f->c.hosts[0];
    assert_int_equal(h->stale_ttl_ms, HOURS(2));
    assert_true(h->rate == 2.5);
    assert_int_equal(h->refresh_ahead_ms, MINUTES(10));
    assert_str(h->tracking.v[h->tracking.n - 1], "sid");
    assert_int_equal(h->timeout_ms, SECONDS(10));
    assert_int_equal(h->extra_wait_ms, 500);
    assert_false(h->strip_scripts);
    assert_int_equal(h->n_dimensions, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(h->dimensions[i].id, i); /* in their order */
    assert_str(h->dimensions[0].user_agent, "plain");
    assert_str(h->dimensions[1].name, "desktop");
    assert_int_equal(h->dimensions[1].width, 1920);
    assert_int_equal(h->dimensions[3].action, RECACHE_BLOCK);
    assert_int_equal(f->c.n_services, 2);
    assert_str(f->c.services[0].key.value, "s3cret");
    assert_str(f->c.services[1].url, "http://render-2.internal:9000");

    buf shown = BUF_INIT; /* a file that says the same, without the secret */
    config_show(&f->c, &shown);
    buf_char(&shown, '\0');
    assert_null(strstr(shown.p, "s3cret"));
    assert_non_null(strstr(shown.p, "render-2.internal"));
    buf_done(&shown);
}

static void what_makes_no_sense_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *lines, *why;
    } cases[] = {
        {"  hosts: 3\n", ":2: recache.hosts: a list was expected"},
        {"  hosts: [3]\n", ":2: a map was expected"},
        {"  hosts:\n    - domain: a.example\n", ":3: id: is missing"},
        {"  hosts:\n    - id: 1\n", ":3: domain: is missing"},
        {"  hosts:\n    - id: 0\n      domain: a.example\n", ":3: id: '0' is out of range, allowed is 1 to 2147483647"},
        {"  hosts:\n    - id: 1\n      domain: A.example\n", ":3: domain: 'A.example' is no host name in lower case, "
                                                             "without scheme, port and path"},
        {"  hosts:\n    - id: 1\n      domain: a..example\n", ":3: domain: 'a..example' is no host name"},
        {"  hosts:\n    - id: 1\n      domain: -a.example\n", ":3: domain: '-a.example' is no host name"},
        {"  hosts:\n    - id: 1\n      domain: a.example-\n", ":3: domain: 'a.example-' is no host name"},
        {"  render_services:\n    - {url: 'http://a.example', key_header: Host, key: k}\n",
         ":3: key_header: requests have one of that name already"},
        {"  hosts:\n    - id: 1\n      domain: a.example\n      tll: 1h\n", ":5: tll: there is no such key here"},
        {"  hosts:\n    - id: 1\n      domain: a.example\n      ttl: 1h\n      ttl: 2h\n", ":6: ttl: given twice"},
        {"  hosts:\n    - id: 1\n      domain: a.example\n      ttl: soon\n",
         ":5: ttl: 'soon' is no duration, such as 30s or 6h"},
        {"  hosts:\n    - id: 1\n      domain: a.example\n      ttl: [1h]\n", ":5: ttl: takes one value"},
        {"  hosts:\n    - id: 1\n      domain: a.example\n      refresh_ahead: 1h\n",
         ":3: refresh_ahead: is not shorter than ttl"},
        {"  hosts:\n    - {id: 1, domain: a.example}\n    - {id: 1, domain: b.example}\n",
         ":4: id: 1 is another host's"},
        {"  hosts:\n    - {id: 1, domain: a.example}\n    - {id: 2, domain: [b.example, a.example]}\n",
         ":4: domain: a.example is another host's"},
        {"  hosts:\n    - {id: 1, domain: a.example, dimensions: {x: {id: 0}}}\n",
         ":3: id: from 1 to 65535; 0 is the built-in bypass"},
        {"  hosts:\n    - {id: 1, domain: a.example, dimensions: {x: {id: 1}, y: {id: 1}}}\n",
         ":3: y: its id or name is another's"},
        {"  hosts:\n    - {id: 1, domain: a.example, dimensions: {x: {id: 1, action: block}}}\n",
         ":3: match_ua: is missing: whom does it block?"},
        {"  hosts:\n    - {id: 1, domain: a.example, dimensions: {x: {id: 1, action: bypass}}}\n",
         ":3: action: bypass is that of the dimension bypass, and only of it"},
        {"  hosts:\n    - {id: 1, domain: a.example, render: {wait_for: ever}}\n",
         ":3: wait_for: is none of DOMContentLoaded, load, networkIdle, networkAlmostIdle"},
        {"  render_services: [{url: \"ftp://x\"}]\n", ":2: url: "},
        {"  render_services: [{url: \"http://x/y\"}]\n", ":2: url: of a render service only host and port are given"},
        {"  render_services: [{url: \"http://x:1\", key: k}]\n", ":2: key and key_header belong together"},
        {"  render_services: [{url: \"http://x\"}, {url: \"http://X:80/\"}]\n", ":2: url: http://x/ is given twice"},
        {"  hosts:\n    - {id: 1, domain: a.example, ttl: 0s}\n",
         ":3: ttl: '0s' is out of range, allowed is 1s to 365d"},
        {"  hosts:\n    - {id: 1, domain: a.example, status_codes: [200, 99]}\n",
         ":3: status_codes: 99 is none of a page, these are 200 to 599"},
        {"  hosts:\n    - {id: 1, domain: a.example, dimensions: {x: {id: 1, match_ua: [\"~[\"]}}}\n",
         ":3: match_ua: '~[' is no pattern"},
        {"  hosts:\n    - {id: 1, domain: a.example, dimensions: {x: {id: 1, match_ua: [a, \"~*(b\"]}}}\n",
         ":3: match_ua: '~*(b' is no pattern"},
        {"  hosts: [[[[[[[[[[1]]]]]]]]]]\n", ":2: recache.hosts: is nested too deeply"},
    };
    config_fixture *f = *state;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[400], why[200];
        snprintf(text, sizeof(text), "recache:\n%s", cases[i].lines);
        snprintf(why, sizeof(why), "%s%s", f->path, cases[i].why);
        assert_int_equal(load(f, text), -EINVAL);
        if (!str_starts(f->why, str_c(why)))
            fail_msg("%s: '" STR_FMT "' is not '%s'", cases[i].lines, STR_ARG(f->why), why);
    }
}

static void a_prefix_for_nginx_is_a_path(void **state)
{
    static const char *const bad[] = {"x y", "pages", "/a b", "/a?b", "https://x/", "/", "//", "/a//b", "/a//"};
    config_fixture *f = *state;
    char text[100];

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        snprintf(text, sizeof(text), "recache:\n  accel_prefix: '%s'\n", bad[i]);
        assert_int_equal(load(f, text), -EINVAL);
        assert_true(str_find(f->why, STR(".yaml:2: recache.accel_prefix: ")) > 0);
    }
    assert_int_equal(load(f, "recache:\n  accel_prefix: /larder-pages/\n"), 0);
}

static void durations_and_patterns_may_be_those_of_the_family(void **state)
{
    config_fixture *f = *state;

    assert_int_equal(load(f, A_HOST "      ttl: 1h30m\n      stale_ttl: 1.5d\n      hit_interval: 2w\n"
                                    "      dimensions:\n"
                                    "        x: {id: 1, match_ua: [\"*Bot*\", $Search, '~^a[]()]\\($', "
                                    "'~*(?i)x(y|z)\\d+']}\n"),
                     0);
    assert_int_equal(f->c.hosts[0].ttl_ms, MINUTES(90));
    assert_int_equal(f->c.hosts[0].stale_ttl_ms, HOURS(36));
    assert_int_equal(f->c.hosts[0].hit_interval_ms, HOURS(24 * 14));
    assert_int_equal(f->c.hosts[0].dimensions[1].match_ua.n, 4);
}

#define LONG_KEY "0123456789abcdef0123456789abcdef"

static void hosts_without_a_good_key_are_warned_of(void **state)
{
    config_fixture *f = *state;

    assert_int_equal(load(f, A_HOST), 0);
    assert_int_equal(f->c.n_warnings, 1);
    assert_true(str_starts(f->c.warnings[0], STR("recache.auth_key: there is none")));
    assert_int_equal(load(f, A_HOST "  auth_key: [" LONG_KEY ", abc]\n"), 0);
    assert_int_equal(f->c.n_warnings, 1);
    assert_str(f->c.warnings[0], "recache.auth_key: 1 of 2 shorter than 32 bytes: easy to guess");
    assert_int_equal(load(f, A_HOST "  auth_key: " LONG_KEY "\n"), 0);
    assert_int_equal(f->c.n_warnings, 0);
    assert_int_equal(load(f, "recache:\n  auth_key: []\n"), 0);
    assert_int_equal(f->c.n_warnings, 0);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void hosts_of_an_included_folder_are_added(void **state)
{
    config_fixture *f = *state;
    char folder[100];
    snprintf(folder, sizeof(folder), "%s/hosts.d", f->dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    write_file(folder, "b.yaml", "hosts:\n  - {id: 2, domain: b.example}\n");
    write_file(folder, "a.yaml", "hosts:\n  - {id: 3, domain: c.example}\n");
    write_file(folder, "notes.txt", "nothing of ours\n");
    assert_int_equal(load(f, A_HOST "  hosts_include: hosts.d\n"), 0);
    assert_int_equal(f->c.n_hosts, 3);
    assert_int_equal(f->c.hosts[1].id, 3); /* by the files' names */
    assert_int_equal(f->c.hosts[2].id, 2);
    const uint64_t included = f->c.included;
    write_file(folder, "a.yaml", "hosts:\n  - {id: 3, domain: d.example}\n");
    assert_int_equal(load(f, A_HOST "  hosts_include: hosts.d\n"), 0);
    assert_true(f->c.included != included); /* a reload tells by it */

    write_file(folder, "b.yaml", "hosts:\n  - {id: 2, domain: example.com}\n");
    assert_int_equal(load(f, A_HOST "  hosts_include: hosts.d\n"), -EINVAL);
    assert_true(str_ends(f->why, STR("hosts.d/b.yaml:2: domain: example.com is another host's")));

    write_file(folder, "b.yaml", "# nothing yet\n");
    assert_int_equal(load(f, A_HOST "  hosts_include: hosts.d\n"), -EINVAL);
    assert_true(str_ends(f->why, STR("hosts.d/b.yaml: a map with the key hosts was expected")));
    snprintf(folder, sizeof(folder), "%s/none.d", f->dir);
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(load(f, A_HOST "  auth_key: 0123456789abcdef0123456789abcdef\n  hosts_include: none.d\n"), 0);
    assert_int_equal(f->c.n_warnings, 1);
    assert_true(str_ends(f->c.warnings[0], STR("none.d: there is no *.yaml in it")));

    assert_int_equal(load(f, A_HOST "  hosts_include: nowhere\n"), -ENOENT);
    assert_true(str_ends(f->why, STR("/nowhere: not found")));
    assert_true(str_starts(f->why, str_c(f->path)));
    assert_true(str_find(f->why, STR(".yaml:5: recache.hosts_include: ")) > 0);
}

static void hosts_can_be_set_on_the_command_line(void **state)
{
    config_fixture *f = *state;
    config_fixture_set(f, "recache.hosts=[{id: 4, domain: d.example}]");
    config_fixture_set(f, "recache.auth_key=[old-key, new-key]");
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(f->c.n_hosts, 1);
    assert_int_equal(f->c.hosts[0].id, 4);
    assert_int_equal(f->c.recache_auth_key.n, 2);
    config_fixture_set(f, "recache.hosts=[{id: 4}]");
    assert_int_equal(config_fixture_load(f), -EINVAL);
    assert_str(f->why, "domain: is missing");
}

static void keys_come_from_a_file_one_a_line(void **state)
{
    config_fixture *f = *state;
    char set[200];
    write_file(f->dir, "keys", "first\n\n second \n");
    snprintf(set, sizeof(set), "recache.auth_key_file=%s/keys", f->dir);
    config_fixture_set(f, set);
    assert_int_equal(config_fixture_load(f), 0);
    assert_int_equal(f->c.recache_auth_key.n, 2);
    assert_str(f->c.recache_auth_key.v[1], "second");
    assert_int_equal(f->c.origin[OPTION_recache_auth_key], FROM_SECRET_FILE);
    write_file(f->dir, "keys", "\n");
    assert_true(config_fixture_load(f) < 0);
    assert_true(str_ends(f->why, STR("keys: is empty")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_host_says_little_and_the_rest_is_as_documented, setup, teardown),
        cmocka_unit_test_setup_teardown(a_host_says_all_there_is_to_say, setup, teardown),
        cmocka_unit_test_setup_teardown(what_makes_no_sense_is_refused_with_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(a_prefix_for_nginx_is_a_path, setup, teardown),
        cmocka_unit_test_setup_teardown(durations_and_patterns_may_be_those_of_the_family, setup, teardown),
        cmocka_unit_test_setup_teardown(hosts_without_a_good_key_are_warned_of, setup, teardown),
        cmocka_unit_test_setup_teardown(hosts_of_an_included_folder_are_added, setup, teardown),
        cmocka_unit_test_setup_teardown(hosts_can_be_set_on_the_command_line, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_come_from_a_file_one_a_line, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
