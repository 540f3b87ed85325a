/* Addresses, networks and what `listen` says, as texts and values. */
#include "unit.h"

#include "larder/net.h"

static void addresses_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        bool v4, loopback;
    } ROWS[] = {
        {"127.0.0.1", "127.0.0.1", true, true},
        {"127.9.8.7", "127.9.8.7", true, true},
        {"10.1.2.3", "10.1.2.3", true, false},
        {"0.0.0.0", "0.0.0.0", true, false},
        {"255.255.255.255", "255.255.255.255", true, false},
        {"::1", "::1", false, true},
        {"::", "::", false, false},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", false, false},
        {"::ffff:10.0.0.1", "10.0.0.1", true, false},
        {"::ffff:127.0.0.1", "127.0.0.1", true, true},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        net_addr a;
        char text[NET_ADDR_TEXT];
        assert_int_equal(net_addr_parse(str_c(ROWS[i].in), &a), 0);
        assert_int_equal(net_addr_format(&a, text), strlen(ROWS[i].out));
        assert_string_equal(text, ROWS[i].out);
        assert_int_equal(net_addr_is_v4(&a), ROWS[i].v4);
        assert_int_equal(net_addr_is_loopback(&a), ROWS[i].loopback);
        assert_int_equal(a.port, 0);
    }
    net_addr local = {.is_unix = true};
    char text[NET_ADDR_TEXT];
    assert_int_equal(net_addr_format(&local, text), 4);
    assert_string_equal(text, "unix");
    assert_true(net_addr_is_loopback(&local));
    assert_false(net_addr_is_v4(&local));
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    static const char *const ROWS[] = {"",
                                       "localhost",
                                       "127.0.0",
                                       "127.0.0.256",
                                       "127.0.0.1:80",
                                       "[::1]",
                                       "::1%lo",
                                       "1:2:3",
                                       "127.0.0.1 ",
                                       "0x7f.0.0.1",
                                       "unix",
                                       "12345678901234567890123456789012345678901234567890"};
    net_addr a = {.port = 7};
    for (size_t i = 0; i < COUNT_OF(ROWS); i++)
        assert_int_equal(net_addr_parse(str_c(ROWS[i]), &a), -EINVAL);
    assert_int_equal(net_addr_parse(str_of("1.2.3.4\0x", 9), &a), -EINVAL);
    assert_int_equal(net_addr_parse(STR_NULL, &a), -EINVAL);
    assert_int_equal(a.port, 7);
}

static void networks_hold_their_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *net, *addr;
        bool in;
    } ROWS[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.128/25", "10.0.0.129", true},
        {"10.0.0.128/25", "10.0.0.127", false},
        {"192.168.1.1", "192.168.1.1", true},
        {"192.168.1.1", "192.168.1.2", false},
        {"192.168.1.1/32", "192.168.1.1", true},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "::1", true},
        {"::/0", "10.0.0.1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"::1/128", "::2", false},
        {"10.0.0.0/31", "10.0.0.1", true},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        net_cidr n;
        net_addr a;
        assert_int_equal(net_cidr_parse(str_c(ROWS[i].net), &n), 0);
        assert_int_equal(net_addr_parse(str_c(ROWS[i].addr), &a), 0);
        if (net_cidr_has(&n, &a) != ROWS[i].in)
            fail_msg("%s, %s", ROWS[i].net, ROWS[i].addr);
        a.is_unix = true;
        assert_false(net_cidr_has(&n, &a));
    }
}

static void what_is_no_network_is_refused(void **state)
{
    (void)state;
    static const char *const ROWS[] = {"",           "10.0.0.0/33",  "10.0.0.0/-1", "10.0.0.0/",   "10.0.0.0/8x",
                                       "10.0.0.1/8", "::/129",       "::1/127",     "10.0.0.0/08", "/8",
                                       "unix",       "10.0.0.0/8/8", "10.0.0/24",   "host/8"};
    net_cidr n;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        if (net_cidr_parse(str_c(ROWS[i]), &n) != -EINVAL)
            fail_msg("%s", ROWS[i]);
    }
}

static void what_listen_says_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *in, *url;
    } ROWS[] = {
        {"127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"localhost:80", "http://127.0.0.1:80"},
        {"0.0.0.0:0", "http://0.0.0.0:0"},
        {"[::1]:8080", "http://[::1]:8080"},
        {"[::]:65535", "http://[::]:65535"},
        {"unix:/run/larder.sock", "unix:/run/larder.sock"},
        {"unix:a:b", "unix:a:b"},
    };
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        net_listen l;
        assert_int_equal(net_listen_parse(&a, str_c(ROWS[i].in), &l), 0);
        str url = net_listen_url(&a, &l);
        assert_int_equal(url.n, strlen(ROWS[i].url));
        assert_memory_equal(url.p, ROWS[i].url, url.n);
    }
    arena_done(&a);
}

static void what_cannot_be_listened_on_is_refused(void **state)
{
    (void)state;
    static const char *const ROWS[] = {"",
                                       "127.0.0.1",
                                       "8080",
                                       ":8080",
                                       "127.0.0.1:",
                                       "127.0.0.1:65536",
                                       "127.0.0.1:-1",
                                       "127.0.0.1:8x",
                                       "::1:80",
                                       "[::1]",
                                       "[127.0.0.1]:80",
                                       "[]:80",
                                       "example.org:80",
                                       "unix:",
                                       "[::1:80",
                                       "http://127.0.0.1:80"};
    arena a;
    arena_init(&a, 0);
    net_listen l;
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        if (net_listen_parse(&a, str_c(ROWS[i]), &l) != -EINVAL)
            fail_msg("%s", ROWS[i]);
    }
    char path[5 + NET_UNIX_PATH_MAX + 2] = "unix:";
    memset(path + 5, 'x', NET_UNIX_PATH_MAX + 1);
    assert_int_equal(net_listen_parse(&a, str_c(path), &l), -EINVAL);
    path[5 + NET_UNIX_PATH_MAX] = '\0';
    assert_int_equal(net_listen_parse(&a, str_c(path), &l), 0);
    mem_fail_at(0);
    arena none;
    arena_init(&none, 0);
    assert_int_equal(net_listen_parse(&none, STR("unix:/x"), &l), -ENOMEM);
    mem_fail_at(-1);
    arena_done(&none);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written), cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(networks_hold_their_addresses),  cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(what_listen_says_is_read),       cmocka_unit_test(what_cannot_be_listened_on_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
