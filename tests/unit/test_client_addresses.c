/* Which addresses are public; that a client told to keep to those connects to no other; look-ups for others; redirects
 * and error pages as they are. */
#include <stdio.h>

#include "fetch.h"
#include "wire/client/client_private.h"

#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static bool is_public(const char *text)
{
    struct sockaddr_storage a = {0};
    if (uv_ip4_addr(text, 80, (struct sockaddr_in *)&a) < 0)
        assert_int_equal(uv_ip6_addr(text, 80, (struct sockaddr_in6 *)&a), 0);
    return client_address_is_public(&a);
}

static void addresses_of_special_use_are_not_public(void **state)
{
    (void)state;
    static const char *const others[] = {
        "0.0.0.0",
        "0.255.255.255",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.0.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.1.2.3",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::8.8.8.8",
        "100::1",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "fc00::1",
        "fdff:ffff::1",
        "ff02::1",
        "ff0e::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:808:808::",
        "3fff::1",
        "3fff:fff::1",
        "5f00::1",
        "4000::1",
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (is_public(others[i]))
            fail_msg("%s", others[i]);
}

static void the_neighbours_of_special_addresses_are_public(void **state)
{
    (void)state;
    static const char *const publics[] = {
        "1.0.0.0",    "9.255.255.255",   "11.0.0.0",       "100.63.255.255",   "100.128.0.0", "126.255.255.255",
        "128.0.0.0",  "169.253.255.255", "169.255.0.0",    "172.15.255.255",   "172.32.0.0",  "191.255.255.255",
        "192.0.1.0",  "192.0.3.0",       "192.88.98.255",  "192.167.255.255",  "192.169.0.0", "198.17.255.255",
        "198.20.0.0", "198.51.99.255",   "198.51.101.0",   "203.0.112.255",    "203.0.114.0", "223.255.255.255",
        "2000::1",    "2001:200::1",     "2001:db7::1",    "2001:db9::1",      "2003::1",     "2606:4700::1111",
        "3ffe::1",    "3fff:1000::1",    "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    };
    for (size_t i = 0; i < COUNT_OF(publics); i++)
        if (!is_public(publics[i]))
            fail_msg("%s", publics[i]);
}

static void a_client_for_public_addresses_connects_to_no_other(void **state)
{
    (void)state;
    world w;
    world_open(&w, &(client_options){.public_only = true});
    SCRIPT(&w, SAY(OK5));
    char by_name[60];
    snprintf(by_name, sizeof(by_name), "http://localhost:%d/", w.peer.port);
    const char *const urls[] = {"/", by_name, "http://[::1]/", "http://[::ffff:127.0.0.1]/"};
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        fetch f;
        fetch_init(&f, &w, urls[i]);
        f.call.retries = 3;
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_ADDRESS);
        assert_int_equal(f.call.attempts, 1);
        assert_true(str_ends(f.call.why, STR(": the address is not a public one")));
        fetch_done(&f);
    }
    assert_int_equal(w.peer.connections, 0);
    assert_int_equal(world_count(&w, NULL, "address_not_public"), 1);
    world_close(&w);
}

static void a_pooled_connection_does_not_outlive_the_wish_for_public_ones(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    fetch_expect(&w, "/", 200, "hello");
    client_set_public_only(w.client, true);
    fetch_init(&f, &w, "/");
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_ADDRESS);
    fetch_done(&f);
    client_set_public_only(w.client, false);
    fetch_expect(&w, "/", 200, "hello");
    assert_int_equal(w.peer.connections, 2);
    world_close(&w);
}

static int want_public_ones(client_call *face, str piece)
{
    world *w = face->user;
    (void)piece;
    client_set_public_only(w->client, true);
    return 0;
}

static void nor_does_one_that_was_in_use_then(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    fetch_init(&f, &w, "/");
    f.call.on_body = want_public_ones;
    fetch_run(&f, &w);
    assert_int_equal(f.call.status, 200);
    fetch_done(&f);
    fetch_init(&f, &w, "/");
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_ADDRESS);
    fetch_done(&f);
    world_close(&w);
}

static void a_redirect_is_an_answer_for_who_wants_it_so(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY("HTTP/1.1 301 X\r\nLocation: /there\r\nContent-Length: 4\r\n\r\ngone"));
    for (int streams = 0; streams < 2; streams++) {
        fetch_init(&f, &w, "/here");
        f.call.keeps_redirects = true;
        if (streams)
            fetch_stream(&f);
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_NONE);
        assert_int_equal(f.call.status, 301);
        assert_str(client_reply_header(&f.call, "Location"), "/there");
        assert_str(buf_view(&f.call.reply), "gone");
        assert_int_equal(f.pieces, 0);
        assert_true(str_ends(f.call.final_url, STR("/here")));
        fetch_done(&f);
    }
    assert_int_equal(w.peer.requests, 2);
    world_close(&w);
}

static int note_piece(client_call *done_by, str piece)
{
    fetch *f = CONTAINER_OF(done_by, fetch, call);
    f->pieces++;
    buf_str(&f->streamed, piece);
    return 0;
}

static void an_error_page_streams_too_for_who_wants_it_so(void **state)
{
    (void)state;
    static const char *const answers[] = {"HTTP/1.1 404 X\r\nContent-Length: 4\r\n\r\npage",
                                          "HTTP/1.1 302 X\r\nLocation: /x\r\nContent-Length: 4\r\n\r\npage"};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        const peer_step step = SAY(answers[i]);
        w.peer.steps = &step;
        w.peer.n_steps = 1;
        fetch_init(&f, &w, "/");
        f.call.on_body = note_piece;
        f.call.streams_all = f.call.keeps_redirects = true;
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_NONE);
        assert_str(buf_view(&f.streamed), "page");
        assert_int_equal(f.call.reply.n, 0);
        fetch_done(&f);
        world_close(&w);
    }
}

/* ---- look-ups ---- */

typedef struct asked {
    client_lookup lookup;
    unsigned done;
} asked;

static void on_looked_up(client_lookup *l)
{
    CONTAINER_OF(l, asked, lookup)->done++;
}

static client_failure look_up(world *w, const char *where, const char **ret_why)
{
    asked a = {.lookup = {.url = str_c(where), .on_done = on_looked_up}};
    assert_int_equal(client_lookup_start(w->client, &a.lookup), 0);
    assert_int_equal(a.done, 0);
    peer_run_until(w->loop, a.done > 0);
    peer_turns(w->loop);
    assert_int_equal(a.done, 1);
    *ret_why = a.lookup.why;
    return a.lookup.failure;
}

static void a_lookup_judges_every_address(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        client_failure failure;
    } cases[] = {
        {"http://8.8.8.8/", CLIENT_NONE},         {"https://[2606:4700::1111]:8443/x?y", CLIENT_NONE},
        {"http://127.0.0.1/", CLIENT_ADDRESS},    {"http://[fe80::1]/", CLIENT_ADDRESS},
        {"http://localhost/", CLIENT_ADDRESS},    {"http://127.1/", CLIENT_URL},
        {"http://user@example.com/", CLIENT_URL}, {"http://", CLIENT_URL},
        {"ftp://example.com/", CLIENT_URL},
    };
    world w;
    world_open(&w, NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *why;
        assert_int_equal(look_up(&w, cases[i].url, &why), cases[i].failure);
        assert_int_equal(why == NULL, cases[i].failure == CLIENT_NONE);
    }
    world_close(&w);
}

static void a_lookup_that_is_late_or_closed_ends_once(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        world w;
        asked a = {.lookup = {.url = STR("http://localhost/"), .on_done = on_looked_up}};
        world_open(&w, NULL);
        assert_int_equal(client_lookup_start(w.client, &a.lookup), 0);
        if (how == 0) {
            fake_clk_advance(&w.clock, SECONDS(11));
        } else {
            world_close_client(&w);
        }
        peer_run_until(w.loop, a.done > 0);
        if (how != 0) /* the name may have been found before the time was looked at */
            assert_int_equal(a.lookup.failure, CLIENT_CANCELLED);
        world_close(&w);
        assert_int_equal(a.done, 1);
    }
}

static void a_lookup_without_memory_does_not_begin(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL);
    for (long nth = 0; unit_next_fault(&nth);) {
        asked a = {.lookup = {.url = STR("http://localhost/"), .on_done = on_looked_up}};
        const int r = client_lookup_start(w.client, &a.lookup);
        if (r < 0)
            assert_int_equal(r, -ENOMEM);
        else
            peer_run_until(w.loop, a.done > 0);
    }
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_special_use_are_not_public),
        cmocka_unit_test(the_neighbours_of_special_addresses_are_public),
        cmocka_unit_test(a_client_for_public_addresses_connects_to_no_other),
        cmocka_unit_test(a_pooled_connection_does_not_outlive_the_wish_for_public_ones),
        cmocka_unit_test(nor_does_one_that_was_in_use_then),
        cmocka_unit_test(a_redirect_is_an_answer_for_who_wants_it_so),
        cmocka_unit_test(an_error_page_streams_too_for_who_wants_it_so),
        cmocka_unit_test(a_lookup_judges_every_address),
        cmocka_unit_test(a_lookup_that_is_late_or_closed_ends_once),
        cmocka_unit_test(a_lookup_without_memory_does_not_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
