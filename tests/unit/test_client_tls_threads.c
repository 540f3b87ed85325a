/* Calls over TLS: handshakes as jobs on the pool against a server with threads of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fetch.h"
#include "tls_site.h"

#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static cert ca, other_ca, local, expired, elsewhere, unknown;
static char ca_file[40];

static int set_up(void **state)
{
    (void)state;
    setenv("SSL_CERT_FILE", "/nonexistent/bundle.crt", 1);
    cert_make(&ca, &(cert_spec){.name = "Test CA", .is_ca = true}, NULL);
    cert_make(&other_ca, &(cert_spec){.name = "Other CA", .is_ca = true}, NULL);
    cert_make(&local, &(cert_spec){.name = "x", .dns = "localhost", .address = "127.0.0.1"}, &ca);
    cert_make(&expired, &(cert_spec){.name = "x", .dns = "localhost", .to = "20260110000000"}, &ca);
    cert_make(&elsewhere, &(cert_spec){.name = "x", .dns = "elsewhere.test"}, &ca);
    cert_make(&unknown, &(cert_spec){.name = "x", .dns = "localhost"}, &other_ca);
    cert_file((const cert *const[]){&ca}, 1, ca_file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cert *all[] = {&ca, &other_ca, &local, &expired, &elsewhere, &unknown};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        cert_done(all[i]);
    unlink(ca_file);
    return 0;
}

/* A world whose client trusts the test's authority, and a TLS server. */
typedef struct secure {
    world w;
    tls_site site;
    tls_server server;
} secure;

static void trust_again(secure *s)
{
    tls_trust *trust;
    assert_int_equal(tls_trust_new(ca_file, &s->w.clock.base, &trust), 0);
    client_set_trust(s->w.client, trust);
    tls_trust_unref(trust);
}

static void secure_open(secure *s, const cert *c, tls_memory memory, const client_options *o)
{
    *s = (secure){0};
    world_open(&s->w, o);
    trust_again(s);
    tls_site_init(&s->site, (const cert *const[]){c}, 1, memory);
    s->server.say = OK5;
    tls_server_start(&s->server, &s->site);
}

static void secure_close(secure *s)
{
    world_close(&s->w);
    tls_server_stop(&s->server);
    tls_site_done(&s->site);
}

static void a_call_over_tls_and_its_connection_used_again(void **state)
{
    (void)state;
    secure s;
    secure_open(&s, &local, TLS_FORGETS, NULL);
    for (int i = 0; i < 3; i++)
        fetch_expect(&s.w, s.server.url, 200, "hello");
    assert_int_equal(atomic_load(&s.server.connections), 1);
    assert_int_equal(atomic_load(&s.server.requests), 3);
    char host[80];
    snprintf(host, sizeof(host), "\r\nHost: localhost:%d\r\n", s.server.port);
    pthread_mutex_lock(&s.server.lock);
    assert_non_null(strstr(s.server.last, host));
    pthread_mutex_unlock(&s.server.lock);
    secure_close(&s);
}

static void an_address_is_looked_for_in_the_certificate(void **state)
{
    (void)state;
    secure s;
    char url[60];
    secure_open(&s, &local, TLS_FORGETS, NULL);
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", s.server.port);
    fetch_expect(&s.w, url, 200, "hello");
    secure_close(&s);
}

static void a_bad_certificate_fails_the_call_once_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const cert *cert;
        const char *why;
    } cases[] = {
        {&expired, "localhost: the certificate has expired"},
        {&elsewhere, "localhost: the certificate is for another host name"},
        {&unknown, "localhost: the certificate can't be checked: the system's list of authorities can't be read"},
        {&other_ca, "localhost: the certificate is self-signed"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        secure s;
        fetch f;
        secure_open(&s, cases[i].cert, TLS_FORGETS, NULL);
        fetch_init(&f, &s.w, s.server.url);
        f.call.retries = 3;
        fetch_run(&f, &s.w);
        assert_int_equal(f.call.failure, CLIENT_CERTIFICATE);
        assert_string_equal(f.call.why.p, cases[i].why);
        assert_int_equal(f.call.attempts, 1);
        assert_int_equal(atomic_load(&s.server.requests), 0);
        fetch_done(&f);
        secure_close(&s);
    }
}

static void later_connections_resume_the_session(void **state)
{
    (void)state;
    for (tls_memory memory = TLS_TICKETS; memory <= TLS_SESSION_IDS; memory++) {
        secure s;
        secure_open(&s, &local, memory, NULL);
        s.server.say = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
        for (int i = 0; i < 4; i++)
            fetch_expect(&s.w, s.server.url, 200, "hello");
        assert_int_equal(atomic_load(&s.server.connections), 4);
        if (memory == TLS_TICKETS) {
            assert_int_equal(atomic_load(&s.site.resumed), 3);
            trust_again(&s); /* whom we trusted before counts no more */
            fetch_expect(&s.w, s.server.url, 200, "hello");
            assert_int_equal(atomic_load(&s.site.resumed), 3);
            world_pass(&s.w, HOURS(1)); /* nor does a certificate seen long ago */
            fetch_expect(&s.w, s.server.url, 200, "hello");
            assert_int_equal(atomic_load(&s.site.resumed), 3);
        }
        secure_close(&s);
    }
}

static void many_handshakes_at_once(void **state)
{
    (void)state;
    secure s;
    fetch f[24];
    secure_open(&s, &local, TLS_TICKETS, &(client_options){.per_origin = 12});
    for (size_t i = 0; i < COUNT_OF(f); i++) {
        fetch_init(&f[i], &s.w, s.server.url);
        fetch_start(&f[i], &s.w);
    }
    for (size_t i = 0; i < COUNT_OF(f); i++) {
        fetch_wait(&f[i], &s.w);
        assert_int_equal(f[i].call.status, 200);
        fetch_done(&f[i]);
    }
    assert_in_range(atomic_load(&s.server.connections), 1, 12);
    secure_close(&s);
}

static void a_body_that_ends_with_the_session_must_end_properly(void **state)
{
    (void)state;
    for (tls_after after = TLS_GOODBYE; after <= TLS_CUT; after++) {
        secure s;
        fetch f;
        secure_open(&s, &local, TLS_FORGETS, NULL);
        s.server.say = "HTTP/1.1 200 OK\r\n\r\nhello";
        s.server.after = after;
        fetch_init(&f, &s.w, s.server.url);
        fetch_run(&f, &s.w);
        if (after == TLS_GOODBYE) {
            assert_int_equal(f.call.failure, CLIENT_NONE);
            assert_str(buf_view(&f.call.reply), "hello");
        } else {
            assert_int_equal(f.call.failure, CLIENT_CLOSED);
        }
        fetch_done(&f);
        secure_close(&s);
    }
}

static void an_answer_whose_length_is_known_may_be_cut_behind_it(void **state)
{
    (void)state;
    secure s;
    secure_open(&s, &local, TLS_TICKETS, NULL);
    s.server.after = TLS_CUT;
    for (int i = 0; i < 3; i++)
        fetch_expect(&s.w, s.server.url, 200, "hello");
    secure_close(&s);
}

static void a_server_that_hangs_up_in_the_handshake_is_tried_again(void **state)
{
    (void)state;
    secure s;
    fetch f;
    secure_open(&s, &local, TLS_FORGETS, NULL);
    s.server.hang_up_at_once = true;
    fetch_init(&f, &s.w, s.server.url);
    f.call.retries = 2;
    fetch_start(&f, &s.w);
    for (int i = 0; i < 200 && !f.done; i++)
        world_pass(&s.w, 100);
    assert_int_equal(f.done, 1);
    assert_int_equal(f.call.failure, CLIENT_TLS);
    assert_int_equal(f.call.attempts, 3);
    fetch_done(&f);
    secure_close(&s);
}

static void plain_http_on_a_tls_port_is_an_error(void **state)
{
    (void)state;
    secure s;
    fetch f;
    char url[60];
    secure_open(&s, &local, TLS_FORGETS, NULL);
    SCRIPT(&s.w, SAY_AND("HTTP/1.1 400 X\r\n\r\n", PEER_CLOSE));
    snprintf(url, sizeof(url), "https://127.0.0.1:%d/", s.w.peer.port);
    fetch_init(&f, &s.w, url);
    fetch_start(&f, &s.w);
    for (int i = 0; i < 20 && !f.done; i++) /* our hello is no request to the peer, so it just waits */
        world_pass(&s.w, SECONDS(1));
    assert_int_equal(f.done, 1);
    assert_int_equal(f.call.failure, CLIENT_TIMEOUT);
    assert_string_equal(f.call.why.p, "127.0.0.1: no TLS session in time");
    fetch_done(&f);
    secure_close(&s);
}

static void https_does_not_lead_to_http(void **state)
{
    (void)state;
    secure s;
    fetch f;
    char answer[120];
    secure_open(&s, &local, TLS_FORGETS, NULL);
    snprintf(answer, sizeof(answer), "HTTP/1.1 302 X\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n", s.w.peer.url);
    s.server.say = answer;
    fetch_init(&f, &s.w, s.server.url);
    fetch_run(&f, &s.w);
    assert_int_equal(f.call.failure, CLIENT_REDIRECT);
    assert_string_equal(f.call.why.p, "localhost: redirected from https to http");
    assert_int_equal(s.w.peer.connections, 0);
    fetch_done(&f);

    snprintf(answer, sizeof(answer), "HTTP/1.1 302 X\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n", s.server.url);
    const peer_step other_way[] = {SAY(answer)}; /* which is fine */
    s.w.peer.steps = other_way;
    s.w.peer.n_steps = 1;
    s.server.say = OK5;
    fetch_expect(&s.w, "/", 200, "hello");
    secure_close(&s);
}

/* Cancelled and closed wherever the handshake happens to be. */
static void a_call_can_be_cancelled_during_its_handshake(void **state)
{
    (void)state;
    secure s;
    secure_open(&s, &local, TLS_FORGETS, NULL);
    for (int turns = 0; turns < 40; turns++) {
        fetch f;
        fetch_init(&f, &s.w, s.server.url);
        fetch_start(&f, &s.w);
        for (int i = 0; i < turns; i++)
            loop_run_once(s.w.loop, false);
        client_cancel(&f.call);
        fetch_wait(&f, &s.w);
        assert_true(f.call.failure == CLIENT_CANCELLED || f.call.status == 200);
        fetch_done(&f);
    }
    fetch_expect(&s.w, s.server.url, 200, "hello");
    secure_close(&s);
}

static void closing_waits_for_handshakes_under_way(void **state)
{
    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        secure s;
        fetch f;
        secure_open(&s, &local, TLS_FORGETS, NULL);
        fetch_init(&f, &s.w, s.server.url);
        fetch_start(&f, &s.w);
        for (int i = 0; i < turns; i++)
            loop_run_once(s.w.loop, false);
        world_close_client(&s.w);
        assert_int_equal(f.done, 1);
        fetch_done(&f);
        secure_close(&s);
    }
}

static void a_large_body_goes_out_and_comes_in(void **state)
{
    (void)state;
    secure s;
    fetch f;
    size_t n = 3 << 20;
    SCOPED(buf_done)
    buf answer = BUF_INIT;
    buf_printf(&answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
    for (size_t i = 0; i < n; i++)
        buf_char(&answer, (char)('a' + i % 26));
    buf_char(&answer, '\0');
    secure_open(&s, &local, TLS_FORGETS, NULL);
    s.server.say = answer.p;
    fetch_init(&f, &s.w, s.server.url);
    fetch_stream(&f);
    f.pause_after = 1 << 20;
    fetch_start(&f, &s.w);
    peer_run_until(s.w.loop, f.streamed.n >= f.pause_after);
    peer_turns(s.w.loop);
    size_t got = f.streamed.n;
    peer_turns(s.w.loop);
    assert_int_equal(f.streamed.n, got);
    f.pause_after = 0;
    client_resume(&f.call);
    fetch_wait(&f, &s.w);
    assert_int_equal(f.call.failure, CLIENT_NONE);
    assert_int_equal(f.streamed.n, n);
    assert_memory_equal(f.streamed.p, answer.p + answer.n - 1 - n, n);
    fetch_done(&f);
    secure_close(&s);
}

static void no_memory_ends_a_call_and_harms_nothing_else(void **state)
{
    (void)state;
    unsigned in_memory = 0;
    bool hit = true;
    for (long n = 0; hit; n++) {
        secure s;
        fetch f;
        secure_open(&s, &local, TLS_TICKETS, NULL);
        s.server.after = TLS_GOODBYE;
        /* so that the server's thread has what it needs, and a ticket */
        fetch_expect(&s.w, s.server.url, 200, "hello");
        s.server.say = OK5;
        fetch_init(&f, &s.w, s.server.url);
        mem_fail_at(n);
        int r = client_start(s.w.client, &f.call);
        for (int i = 0; r == 0 && i < 20000 && !f.done; i++)
            peer_turn(s.w.loop);
        hit = mem_failed();
        mem_fail_at(-1);
        if (r == 0) {
            assert_int_equal(f.done, 1);
            in_memory += f.call.failure == CLIENT_MEMORY;
            if (f.call.failure != CLIENT_MEMORY)
                assert_int_equal(f.call.status, 200);
        }
        fetch_done(&f);
        fetch_expect(&s.w, s.server.url, 200, "hello");
        secure_close(&s);
    }
    assert_true(in_memory > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_over_tls_and_its_connection_used_again),
        cmocka_unit_test(an_address_is_looked_for_in_the_certificate),
        cmocka_unit_test(a_bad_certificate_fails_the_call_once_and_says_why),
        cmocka_unit_test(later_connections_resume_the_session),
        cmocka_unit_test(many_handshakes_at_once),
        cmocka_unit_test(a_body_that_ends_with_the_session_must_end_properly),
        cmocka_unit_test(an_answer_whose_length_is_known_may_be_cut_behind_it),
        cmocka_unit_test(a_server_that_hangs_up_in_the_handshake_is_tried_again),
        cmocka_unit_test(plain_http_on_a_tls_port_is_an_error),
        cmocka_unit_test(https_does_not_lead_to_http),
        cmocka_unit_test(a_call_can_be_cancelled_during_its_handshake),
        cmocka_unit_test(closing_waits_for_handshakes_under_way),
        cmocka_unit_test(a_large_body_goes_out_and_comes_in),
        cmocka_unit_test(no_memory_ends_a_call_and_harms_nothing_else),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
