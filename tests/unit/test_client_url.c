/* URLs: what is accepted and how it is cut, what is refused, and what relative references mean. */
#include "unit.h"

#include "wire/client/url.h"

static arena memory;

static int set_up(void **state)
{
    (void)state;
    arena_init(&memory, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&memory);
    return 0;
}

static url parsed(const char *text)
{
    url u = {0};
    const char *why = "";
    if (client_url_parse(&memory, str_c(text), &u, &why) < 0)
        fail_msg("%s: %s", text, why);
    return u;
}

static void a_url_is_cut_into_its_parts(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *authority, *target;
        uint16_t port;
        bool https;
    } cases[] = {
        {"http://example.com", "example.com", "example.com", "/", 80, false},
        {"https://Example.COM/", "example.com", "example.com", "/", 443, true},
        {"HTTPS://a.b:443/x", "a.b", "a.b", "/x", 443, true},
        {"https://a.b:8443/x?y=1&z", "a.b", "a.b:8443", "/x?y=1&z", 8443, true},
        {"http://a.b:/x", "a.b", "a.b", "/x", 80, false},
        {"http://a.b?q", "a.b", "a.b", "/?q", 80, false},
        {"http://a.b/x#frag?no", "a.b", "a.b", "/x", 80, false},
        {"http://a.b#frag", "a.b", "a.b", "/", 80, false},
        {"http://127.0.0.1:8080/%41", "127.0.0.1", "127.0.0.1:8080", "/%41", 8080, false},
        {"http://[::1]:81/a", "::1", "[::1]:81", "/a", 81, false},
        {"http://[2001:DB8::A]/", "2001:db8::a", "[2001:db8::a]", "/", 80, false},
        {"http://under_score.example/@home:1", "under_score.example", "under_score.example", "/@home:1", 80, false},
        {"http://h/a//b/../c", "h", "h", "/a//b/../c", 80, false},
        {"http://1and1.com/", "1and1.com", "1and1.com", "/", 80, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        url u = parsed(cases[i].text);
        assert_string_equal(u.host.p, cases[i].host);
        assert_string_equal(u.authority.p, cases[i].authority);
        assert_string_equal(u.target.p, cases[i].target);
        assert_int_equal(u.port, cases[i].port);
        assert_int_equal(u.https, cases[i].https);
        assert_int_equal(u.is_v6, strchr(cases[i].host, ':') != NULL);
    }
}

static void what_could_mean_two_things_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http:/example.com",
        "http://",
        "http:///x",
        "http://?x",
        "http://:80/",
        "https:// example.com/",
        " http://example.com/",
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://good.example\\@evil.example/",
        "http://a..b/",
        "http://.a/",
        "http://a./",
        "http://a b/",
        "http://a%2eb/",
        "http://\xc3\xa4.example/",
        "http://a\tb/",
        "http://a/b c",
        "http://a/\r\nHost: b",
        "http://a/\x7f",
        "http://a/\xc3\xa4",
        "http://a/%",
        "http://a/%4",
        "http://a/%zz",
        "http://a/<b>",
        "http://a/b|c",
        "http://a/b\\c",
        "http://a:0/",
        "http://a:65536/",
        "http://a:99999999999999999999/",
        "http://a:-1/",
        "http://a:8x/",
        "http://a:+80/",
        "http://a:80:80/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[]/",
        "http://[1.2.3.4]/",
        "http://[fe80::1%eth0]/",
        "http://[:::1]/",
        "http://::1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f.0.0.1/",
        "http://0x7f000001/",
        "http://1.2.3.256/",
        "http://1.2.3.4.5/",
        "http://a.b.3/",
        "http://0177.0.0.1/",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        url u = {.host = STR("untouched")};
        const char *why = NULL;
        int r = client_url_parse(&memory, str_c(cases[i]), &u, &why);
        if (r != -EINVAL)
            fail_msg("accepted: %s", cases[i]);
        assert_non_null(why);
        assert_str(u.host, "untouched");
    }
}

static void a_url_has_limits(void **state)
{
    (void)state;
    const char *why;
    url u;
    char text[URL_MAX + 64];
    memset(text, 'a', sizeof(text));
    memcpy(text, "http://h/", 9);
    assert_int_equal(client_url_parse(&memory, str_of(text, URL_MAX), &u, &why), 0);
    assert_int_equal(client_url_parse(&memory, str_of(text, URL_MAX + 1), &u, &why), -EINVAL);

    memset(text, 'a', sizeof(text));
    memcpy(text, "http://", 7);
    assert_int_equal(client_url_parse(&memory, str_of(text, 7 + 63), &u, &why), 0);
    assert_int_equal(client_url_parse(&memory, str_of(text, 7 + 64), &u, &why), -EINVAL);
    for (size_t i = 7 + 50; i < 400; i += 51)
        text[i] = '.';
    assert_int_equal(client_url_parse(&memory, str_of(text, 7 + URL_HOST_MAX), &u, &why), 0);
    assert_int_equal(client_url_parse(&memory, str_of(text, 7 + URL_HOST_MAX + 1), &u, &why), -EINVAL);
}

static void a_nul_byte_in_a_url_does_not_end_it(void **state)
{
    (void)state;
    const char *why;
    url u;
    assert_int_equal(client_url_parse(&memory, STR("http://good.example\0.evil.example/"), &u, &why), -EINVAL);
    assert_int_equal(client_url_parse(&memory, STR("http://a/b\0c"), &u, &why), -EINVAL);
    assert_int_equal(client_url_parse(&memory, STR("http://[::1\0]/"), &u, &why), -EINVAL);
    assert_int_equal(client_url_parse(&memory, STR("http://1.2.3.4\0/"), &u, &why), -EINVAL);
}

/* The examples of RFC 3986 section 5.4, as far as they are http. */
static void references_mean_what_the_rfc_says(void **state)
{
    (void)state;
    static const struct {
        const char *reference, *meaning;
    } cases[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {"g?y#s", "http://a/b/c/g?y"},
        {";x", "http://a/b/c/;x"},
        {"g;x", "http://a/b/c/g;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../..", "http://a/"},
        {"../../", "http://a/"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"../../../../g", "http://a/g"},
        {"/./g", "http://a/g"},
        {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},
        {".g", "http://a/b/c/.g"},
        {"g..", "http://a/b/c/g.."},
        {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},
        {"./g/.", "http://a/b/c/g/"},
        {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"},
        {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"g;x=1/../y", "http://a/b/c/y"},
        {"g?y/./x", "http://a/b/c/g?y/./x"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"g#s/../x", "http://a/b/c/g"},
        {"https://x:81/y", "https://x:81/y"},
        {"HTTP://X/y", "http://x/y"},
        {"/a//b/", "http://a/a//b/"},
        {"  /trimmed\r\n", "http://a/trimmed"},
        {"/t\xc3\xa4st b", "http://a/t%C3%A4st%20b"},
        {"/a{b}", "http://a/a%7Bb%7D"},
    };
    url base = parsed("http://a/b/c/d;p?q");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        url u;
        const char *why = "";
        if (client_url_resolve(&memory, &base, str_c(cases[i].reference), &u, &why) < 0)
            fail_msg("%s: %s", cases[i].reference, why);
        assert_string_equal(client_url_text(&memory, &u).p, cases[i].meaning);
    }
}

static void a_reference_to_elsewhere_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "mailto:a@b", "javascript:alert(1)", "ftp://a/", "http:g", "http://u@a/",
        "//u:p@a/",   "//a:99999/",          "//[::1",   "/%zz",   "///etc/passwd",
    };
    url base = parsed("https://a:8443/b"), u;
    const char *why;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (client_url_resolve(&memory, &base, str_c(cases[i]), &u, &why) != -EINVAL)
            fail_msg("accepted: %s", cases[i]);
    assert_int_equal(client_url_resolve(&memory, &base, STR("c"), &u, &why), 0);
    assert_string_equal(client_url_text(&memory, &u).p, "https://a:8443/c");
}

static void origins_are_the_same_by_scheme_host_and_port(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"http://a/x", "http://A:80/y?z", true},      {"http://a/", "https://a/", false},
        {"http://a:443/", "https://a/", false},       {"https://a/", "https://a:443/", true},
        {"https://a/", "https://a:8443/", false},     {"https://a/", "https://a.a/", false},
        {"http://[::1]/", "http://[::1]:80/x", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        url a = parsed(cases[i].a), b = parsed(cases[i].b);
        assert_int_equal(client_url_same_origin(&a, &b), cases[i].same);
    }
}

static void no_memory_is_reported_at_every_step(void **state)
{
    (void)state;
    for (long n = 0; unit_next_fault(&n);) {
        arena a;
        url base, u;
        const char *why = "";
        arena_init(&a, 0);
        int r = client_url_parse(&a, STR("https://host:81/a/b?c"), &base, &why);
        if (r == 0)
            r = client_url_resolve(&a, &base, STR("../d\xc3\xa4?e"), &u, &why);
        if (r == 0)
            r = client_url_text(&a, &u).p ? 0 : -ENOMEM;
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_cut_into_its_parts),
        cmocka_unit_test(what_could_mean_two_things_is_refused),
        cmocka_unit_test(a_url_has_limits),
        cmocka_unit_test(a_nul_byte_in_a_url_does_not_end_it),
        cmocka_unit_test(references_mean_what_the_rfc_says),
        cmocka_unit_test(a_reference_to_elsewhere_is_refused),
        cmocka_unit_test(origins_are_the_same_by_scheme_host_and_port),
        cmocka_unit_test(no_memory_is_reported_at_every_step),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
