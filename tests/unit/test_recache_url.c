/* Normalising URLs: the spelling under which gateways look pages up. */
#include "unit.h"

#include "larder/hash.h"
#include "larder/recache_url.h"

static const strs nothing = {NULL, 0};

static void check(const char *text, const char *wanted, strs tracking)
{
    recache_url u;
    str why = STR_NULL;
    arena a;

    arena_init(&a, 0);
    const int r = recache_url_parse(&a, str_c(text), tracking, &u, &why);
    if (!wanted) {
        if (r != -EINVAL)
            print_error("%s: taken as " STR_FMT "\n", text, STR_ARG(u.text));
        assert_int_equal(r, -EINVAL);
        assert_true(why.n > 0);
    } else {
        if (r < 0)
            print_error("%s: " STR_FMT "\n", text, STR_ARG(why));
        assert_int_equal(r, 0);
        unit_assert_str(u.text, str_c(wanted), __FILE__, __LINE__);
        assert_true(u.hash == hash64(wanted, strlen(wanted)));
    }
    arena_done(&a);
}

typedef struct row {
    const char *text, *wanted; /* NULL: refused */
} row;
static const row ROWS[] = {
    /* scheme and host */
    {"example.com", "https://example.com/"},
    {"example.com:8080/x", "https://example.com:8080/x"},
    {"//example.com/x", "https://example.com/x"},
    {"HTTP://EXAMPLE.com/Path", "http://example.com/Path"},
    {"ftp://example.com/f", "ftp://example.com/f"},
    {"https://example.com.", "https://example.com/"},
    {"https://example.com.:443/", "https://example.com./"},
    {"https://example.com:443/", "https://example.com/"},
    {"http://example.com:80", "http://example.com/"},
    {"http://example.com:443/", "http://example.com:443/"},
    {"https://example.com:80/", "https://example.com:80/"},
    {"https://localhost:3000/a", "https://localhost:3000/a"},
    {"https://127.0.0.1/a", "https://127.0.0.1/a"},
    {"https://\xc3\x84pfel.de/", "https://%C3%A4pfel.de/"},
    {"https://User:Pa%73s@example.com/", "https://User:Pass@example.com/"},
    {"https://u@example.com", "https://u@example.com/"},
    {"https://localhost./", "https://localhost/"},
    {"https://example.com:8:80/", NULL},
    {"singleword", NULL},
    {"https://singleword./", NULL},
    {"https://LOCALHOST/", NULL},
    {"https://[::1]/", NULL},
    {"https://[::ffff:1.2.3.4]/", NULL},
    {"https://[::1]:8080/", NULL},
    {"://example.com", NULL},
    {"https://", NULL},
    {"https:///path", NULL},
    {"https://./", NULL},
    {"", NULL},
    {"https://example.com:x/", NULL},
    {"https://exa mple.com/", NULL},
    {"https://exa%41mple.com/", NULL},
    {"https://u\"@example.com/", NULL},
    {"https://example.com/\x01", NULL},
    {"https://example.com/a\nb", NULL},
    {"example.com/?u=http://x", NULL}, /* the text before :// is no scheme */
    {"mailto:x@example.com://", NULL},
    /* path */
    {"https://example.com", "https://example.com/"},
    {"https://example.com//a///b/", "https://example.com/a/b/"},
    {"https://example.com/a/./b/../c", "https://example.com/a/c"},
    {"https://example.com/../../a", "https://example.com/a"},
    {"https://example.com/a/..", "https://example.com/"},
    {"https://example.com/a/b/..", "https://example.com/a"},
    {"https://example.com/a/./", "https://example.com/a/"},
    {"https://example.com/%ce%b1", "https://example.com/%ce%b1"},
    {"https://example.com//%ce%b1", "https://example.com/%CE%B1"},
    {"https://example.com/\xce\xb1", "https://example.com/%CE%B1"},
    {"https://example.com/a%2Fb", "https://example.com/a%2Fb"},
    {"https://example.com/a%2f/b", "https://example.com/a/b"},
    {"https://example.com/(x)", "https://example.com/(x)"},
    {"https://example.com//(x)", "https://example.com/%28x%29"},
    {"https://example.com/a b", "https://example.com/a%20b"},
    {"https://example.com/a\"b", "https://example.com/a%22b"},
    {"https://example.com/a[1]*", "https://example.com/a[1]*"},
    {"https://example.com//a[1]*;b=1", "https://example.com/a%5B1%5D%2A;b=1"},
    {"https://example.com/%41", "https://example.com/%41"},
    {"https://example.com/%zz", NULL},
    {"https://example.com/%4", NULL},
    /* query */
    {"https://example.com/?b=2&a=1", "https://example.com/?a=1&b=2"},
    {"https://example.com?x=1", "https://example.com/?x=1"},
    {"https://example.com/?a=2&b=1&a=1", "https://example.com/?a=2&a=1&b=1"},
    {"https://example.com/?k=&j", "https://example.com/?j&k"},
    {"https://example.com/?q=a b+c%20d", "https://example.com/?q=a+b+c+d"},
    {"https://example.com/?q=%c3%a4*~-_.", "https://example.com/?q=%C3%A4%2A~-_."},
    {"https://example.com/?b=1;a=2", "https://example.com/?b=1;a=2"},
    {"https://example.com/?b=%zz&a=1", "https://example.com/?b=%zz&a=1"},
    {"https://example.com/?", "https://example.com/?"},
    {"https://example.com/??", "https://example.com/?%3F"},
    {"https://example.com/?&&", "https://example.com/"},
    {"https://example.com/?=v", "https://example.com/?=v"},
    {"https://example.com/?A=1&a=1&Z=1", "https://example.com/?A=1&Z=1&a=1"},
    /* fragment */
    {"https://example.com/#top", "https://example.com/"},
    {"https://example.com/?a=1#b?c=2", "https://example.com/?a=1"},
    {"https://example.com/#%zz", NULL},
};

static void test_urls_get_the_spelling_that_gateways_look_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        check(ROWS[i].text, ROWS[i].wanted, nothing);
}

static void test_tracking_parameters_are_taken_out(void **state)
{
    static const str own[] = {STR_INIT("sid"), STR_INIT("x*y")};

    (void)state;
    check("https://example.com/?utm_source=a&b=1&GCLID=2&ref=x&reference=1", "https://example.com/?b=1&reference=1",
          recache_tracking_default);
    check("https://example.com/?utm_source=a", "https://example.com/", recache_tracking_default);
    check("https://example.com/?%75tm_a=1", "https://example.com/", recache_tracking_default);
    check("https://example.com/?sid=1&side=2&xay=3&xy=4&xyz=5", "https://example.com/?side=2&xyz=5", (strs){own, 2});
    check("https://example.com/?utm_source=a&b=1;c", "https://example.com/?utm_source=a&b=1;c",
          recache_tracking_default); /* two that can't be parsed are two pages */
    check("https://example.com/?a=1&d=%zz", "https://example.com/?a=1&d=%zz", recache_tracking_default);
    check("https://example.com/?", "https://example.com/?", recache_tracking_default);
}

static void test_the_hostname_is_told_without_port_and_user(void **state)
{
    recache_url u;
    str why;
    arena a;

    (void)state;
    arena_init(&a, 0);
    assert_int_equal(recache_url_parse(&a, STR("https://u:p@Shop.Example.com:8443/a"), nothing, &u, &why), 0);
    assert_str(u.host, "shop.example.com");
    arena_done(&a);
}

static void test_a_url_beyond_the_limit_is_refused(void **state)
{
    char text[RECACHE_URL_MAX + 2];
    recache_url u;
    str why = STR_NULL;
    arena a;

    (void)state;
    arena_init(&a, 0);
    memset(text, 'a', sizeof(text));
    memcpy(text, "https://example.com/", 20);
    assert_int_equal(recache_url_parse(&a, STR("https://[::1]/"), nothing, &u, &why), -EINVAL);
    assert_str(why, "its host is an IPv6 address, not a domain");
    assert_int_equal(recache_url_parse(&a, str_of(text, RECACHE_URL_MAX), nothing, &u, &why), 0);
    assert_int_equal(recache_url_parse(&a, str_of(text, RECACHE_URL_MAX + 1), nothing, &u, &why), -ENAMETOOLONG);
    text[30] = ' '; /* grows */
    assert_int_equal(recache_url_parse(&a, str_of(text, RECACHE_URL_MAX), nothing, &u, &why), -EINVAL);
    arena_done(&a);
}

/* Random texts of characters that matter: what is normalised once stays as it is. */
static void test_normalising_twice_changes_nothing(void **state)
{
    static const char ALPHABET[] = "ab.%2fF/./?&=;+ (~*\xc3\xa4";
    unsigned taken = 0;

    (void)state;
    random_seed_for_tests(7);
    for (int round = 0; round < 20000; round++) {
        char text[64] = "https://example.com/";
        recache_url once, twice;
        str why;
        size_t n = 20;
        arena a;

        for (uint64_t len = random_below(30); len > 0; len--)
            text[n++] = ALPHABET[random_below(sizeof(ALPHABET) - 1)];
        arena_init(&a, 0);
        if (recache_url_parse(&a, str_of(text, n), nothing, &once, &why) == 0) {
            taken++;
            assert_int_equal(recache_url_parse(&a, once.text, nothing, &twice, &why), 0);
            /* a parameter without a name and value leaves a bare '&', which the next time is nothing */
            if (str_find(once.text, STR("&&")) < 0 && str_find(once.text, STR("?&")) < 0 &&
                !str_ends(once.text, STR("&")))
                assert_true(str_eq(once.text, twice.text) && once.hash == twice.hash);
        }
        arena_done(&a);
    }
    random_seed_for_tests(0);
    assert_true(taken > 5000);
}

static size_t append_any_of(char *text, size_t n, uint64_t times, const char *const *pieces, size_t n_pieces)
{
    for (; times > 0; times--) {
        const char *piece = pieces[random_below(n_pieces)];
        memcpy(text + n, piece, strlen(piece));
        n += strlen(piece);
    }
    return n;
}

/* The same text with an empty fragment, which makes no difference, takes the long way. */
static void test_what_is_normal_at_a_look_is_what_the_rules_make_of_it(void **state)
{
    static const char *const schemes[] = {"https://", "http://", "HTTP://", ""};
    static const char *const hosts[] = {"a.b", "a", ".", "localhost", "B.c", ":80", ":443",
                                        ":8080", ":", "@", "-", "_", "%41"};
    static const char *const paths[] = {"/", "a", "B", ".", "..", "~", "%2F", "%",
                                        "?", "&", "(", "[", " ", "\x7f", "\xc3\xa4"};
    static const char *const queries[] = {"a", "b=1", "b=", "=", "&", "B", "c=2&",
                                          "ref=3&", "+", "?", "%41", ";", "_", " "};
    unsigned kept = 0, with_query = 0;

    (void)state;
    random_seed_for_tests(9);
    for (int round = 0; round < 100000; round++) {
        recache_url near, far;
        str why;
        char text[128];
        arena a;

        size_t n = append_any_of(text, 0, 1, schemes, COUNT_OF(schemes));
        n = append_any_of(text, n, 1 + random_below(3), hosts, COUNT_OF(hosts));
        text[n++] = '/';
        n = append_any_of(text, n, random_below(6), paths, COUNT_OF(paths));
        const bool has_query = random_below(2) == 0;
        if (has_query) {
            text[n++] = '?';
            n = append_any_of(text, n, random_below(5), queries, COUNT_OF(queries));
        }
        const strs tracking = random_below(2) == 0 ? nothing : recache_tracking_default;
        text[n] = '#';
        arena_init(&a, 0);
        const int r = recache_url_parse(&a, str_of(text, n), tracking, &near, &why);
        assert_int_equal(recache_url_parse(&a, str_of(text, n + 1), tracking, &far, &why), r);
        if (r == 0) {
            unit_assert_str(near.text, far.text, __FILE__, __LINE__);
            unit_assert_str(near.host, far.host, __FILE__, __LINE__);
            assert_true(near.hash == far.hash);
            const bool is_kept = str_eq(near.text, str_of(text, n));
            kept += is_kept;
            with_query += is_kept && has_query;
        }
        arena_done(&a);
    }
    random_seed_for_tests(0);
    assert_true(kept > 500 && with_query > 100);
}

static void test_order_of_parameters_and_spelling_of_host_make_no_difference(void **state)
{
    (void)state;
    check("HTTPS://Example.COM:443/a//b?y=2&x=1#z", "https://example.com/a/b?x=1&y=2", nothing);
    check("example.com/a/b/?x=1&y=2", "https://example.com/a/b/?x=1&y=2", nothing);
}

static void test_memory_that_runs_out_is_told(void **state)
{
    recache_url u;
    str why;
    arena a;

    (void)state;
    for (long nth = 0; unit_next_fault(&nth);) {
        arena_init(&a, 0);
        const int r = recache_url_parse(&a, STR("//U:p@\xc3\x84.Example.com//a%20b?x=%20&utm_a=1"),
                                        recache_tracking_default, &u, &why);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        arena_done(&a);
    }
}

static void test_hashes_are_written_as_sixteen_hex_digits(void **state)
{
    char text[RECACHE_HASH_LEN];

    (void)state;
    recache_hash_text(0x00ab54a98ceb1f0aULL, text);
    assert_memory_equal(text, "00ab54a98ceb1f0a", RECACHE_HASH_LEN);
    assert_true(hash64("https://example.com/", 20) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls_get_the_spelling_that_gateways_look_up),
        cmocka_unit_test(test_tracking_parameters_are_taken_out),
        cmocka_unit_test(test_the_hostname_is_told_without_port_and_user),
        cmocka_unit_test(test_a_url_beyond_the_limit_is_refused),
        cmocka_unit_test(test_normalising_twice_changes_nothing),
        cmocka_unit_test(test_what_is_normal_at_a_look_is_what_the_rules_make_of_it),
        cmocka_unit_test(test_order_of_parameters_and_spelling_of_host_make_no_difference),
        cmocka_unit_test(test_memory_that_runs_out_is_told),
        cmocka_unit_test(test_hashes_are_written_as_sixteen_hex_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
