/* Sessions against a server in memory: certificates good and bad, resumption, data both ways, endings, damage. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "larder/tls.h"
#include "tls_site.h"

#define NOW INT64_C(1768472430000) /* 15 January 2026 */

static cert ca, other_ca, good;
static char ca_file[40];
static fake_clk now;

static int set_up(void **state)
{
    (void)state;
    setenv("SSL_CERT_FILE", "/nonexistent/bundle.crt", 1); /* the system's list would only cost time */
    fake_clk_init(&now, NOW);
    cert_make(&ca, &(cert_spec){.name = "Test CA", .is_ca = true}, NULL);
    cert_make(&other_ca, &(cert_spec){.name = "Other CA", .is_ca = true}, NULL);
    cert_make(&good, &(cert_spec){.name = "a.test", .dns = "a.test", .address = "127.0.0.1"}, &ca);
    cert_file((const cert *const[]){&ca}, 1, ca_file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(ca_file);
    cert_done(&ca);
    cert_done(&other_ca);
    cert_done(&good);
    return 0;
}

static tls_trust *new_trust(void)
{
    tls_trust *t;
    assert_int_equal(tls_trust_new(ca_file, &now.base, &t), 0);
    return t;
}

/* Moves what each side has for the other, at most `step` bytes at a time, until neither has any. */
static void carry(tls_session *s, tls_pipe_end *e, size_t step, int (*go_on)(tls_session *))
{
    for (bool moved = true; moved;) {
        moved = false;
        str out = str_head(tls_output(s), step);
        if (out.n > 0) {
            buf_str(&e->in, out);
            tls_output_taken(s, out.n);
            moved = true;
        }
        if (e->ssl.state != MBEDTLS_SSL_HANDSHAKE_OVER)
            (void)mbedtls_ssl_handshake(&e->ssl);
        out = str_head(buf_view(&e->out), step);
        if (out.n > 0) {
            assert_int_equal(tls_input(s, out), 0);
            memmove(e->out.p, e->out.p + out.n, e->out.n - out.n);
            e->out.n -= out.n;
            moved = true;
            if (go_on && go_on(s) != 0)
                go_on = NULL;
        }
    }
}

static int result;
static int shake(tls_session *s)
{
    return result = tls_handshake(s);
}

/* The handshake with a site; the result is tls_handshake's last. */
static int handshake(tls_session *s, tls_pipe_end *e, size_t step)
{
    if (shake(s) == 0)
        carry(s, e, step, shake);
    return result;
}

typedef struct meeting {
    tls_site site;
    tls_pipe_end server;
    tls_trust *trust;
    tls_session *session;
} meeting;

static int meet(meeting *m, const cert *const *chain, size_t n, const char *host)
{
    m->trust = new_trust();
    tls_site_init(&m->site, chain, n, TLS_FORGETS);
    tls_pipe_end_init(&m->server, &m->site);
    assert_int_equal(tls_session_new(m->trust, str_c(host), NULL, &m->session), 0);
    return handshake(m->session, &m->server, SIZE_MAX);
}

static void part(meeting *m)
{
    tls_session_free(m->session);
    tls_pipe_end_done(&m->server);
    tls_site_done(&m->site);
    tls_trust_unref(m->trust);
}

/* ---- handshakes ---- */

static void a_good_certificate_is_accepted_however_the_bytes_arrive(void **state)
{
    (void)state;
    static const size_t steps[] = {SIZE_MAX, 1, 7, 1000};
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        tls_site site;
        tls_pipe_end server;
        tls_session *s;
        tls_trust *trust = new_trust();
        tls_site_init(&site, (const cert *const[]){&good}, 1, TLS_FORGETS);
        tls_pipe_end_init(&server, &site);
        assert_int_equal(tls_session_new(trust, STR("a.test"), NULL, &s), 0);
        assert_int_equal(handshake(s, &server, steps[i]), 1);
        assert_false(tls_was_resumed(s));
        assert_string_equal(mbedtls_ssl_get_version(&server.ssl), "TLSv1.2");
        assert_non_null(strstr(mbedtls_ssl_get_ciphersuite(&server.ssl), "TLS-ECDHE-ECDSA-WITH-"));
        tls_session_free(s);
        tls_pipe_end_done(&server);
        tls_site_done(&site);
        tls_trust_unref(trust);
    }
}

/* Asked for while a certificate is checked: another session's handshake begins right then. */
static tls_trust *asked_trust;
static int begun;
static int64_t another_begins(clk *c)
{
    (void)c;
    tls_session *s;
    if (begun++ > 0)
        return NOW;
    assert_int_equal(tls_session_new(asked_trust, STR("a.test"), NULL, &s), 0);
    assert_int_equal(tls_handshake(s), 0);
    assert_true(tls_output(s).n > 0);
    tls_session_free(s);
    return NOW;
}

static void a_handshake_does_not_wait_for_anothers_certificate_check(void **state)
{
    (void)state;
    meeting m;
    m.trust = asked_trust = new_trust();
    tls_site_init(&m.site, (const cert *const[]){&good}, 1, TLS_FORGETS);
    tls_pipe_end_init(&m.server, &m.site);
    assert_int_equal(tls_session_new(m.trust, STR("a.test"), NULL, &m.session), 0);
    begun = 0;
    const clk usual = now.base;
    now.base.wall_ms = another_begins;
    alarm(20); /* where it does wait, it waits for itself */
    assert_int_equal(handshake(m.session, &m.server, SIZE_MAX), 1);
    alarm(0);
    now.base = usual;
    assert_true(begun > 0);
    part(&m);
}

static void certificates_are_judged(void **state)
{
    (void)state;
    static const struct {
        cert_spec spec;
        const char *host, *why; /* NULL: accepted */
        enum { BY_CA, BY_OTHER, BY_ITSELF } signer;
    } cases[] = {
        {{.name = "x", .dns = "a.test"}, "a.test", NULL, BY_CA},
        {{.name = "x", .dns = "*.test"}, "a.test", NULL, BY_CA},
        {{.name = "x", .dns = "A.Test"}, "a.test", NULL, BY_CA},
        {{.name = "x", .address = "127.0.0.1"}, "127.0.0.1", NULL, BY_CA},
        {{.name = "x", .address = "::1"}, "::1", NULL, BY_CA},
        {{.name = "x", .dns = "*.test"}, "a.b.test", "the certificate is for another host name", BY_CA},
        {{.name = "a.test", .dns = "b.test"}, "a.test", "the certificate is for another host name", BY_CA},
        {{.name = "x", .dns = "b.test"}, "a.test", "the certificate is for another host name", BY_CA},
        {{.name = "x", .dns = "a.test.evil"}, "a.test", "the certificate is for another host name", BY_CA},
        {{.name = "127.0.0.1"}, "127.0.0.1", "the certificate is for another host name", BY_CA},
        {{.name = "x", .dns = "127.0.0.1"}, "127.0.0.1", "the certificate is for another host name", BY_CA},
        {{.name = "x", .address = "127.0.0.2"}, "127.0.0.1", "the certificate is for another host name", BY_CA},
        {{.name = "x", .address = "::1"}, "127.0.0.1", "the certificate is for another host name", BY_CA},
        {{.name = "x", .dns = "a.test", .to = "20260115102029"}, "a.test", "the certificate has expired", BY_CA},
        {{.name = "x", .dns = "a.test", .to = "20260115102030"}, "a.test", NULL, BY_CA},
        {{.name = "x", .dns = "a.test", .from = "20260115102031"}, "a.test", "the certificate is not valid yet", BY_CA},
        {{.name = "x", .dns = "a.test"},
         "a.test",
         "the certificate can't be checked: the system's list of authorities can't be read",
         BY_OTHER},
        {{.name = "x", .dns = "a.test"}, "a.test", "the certificate is self-signed", BY_ITSELF},
        {{.name = "x", .dns = "a.test", .is_rsa = true}, "a.test", NULL, BY_CA},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        cert c;
        meeting m;
        const cert *signers[] = {&ca, &other_ca, NULL};
        cert_make(&c, &cases[i].spec, signers[cases[i].signer]);
        int r = meet(&m, (const cert *const[]){&c}, 1, cases[i].host);
        if (r != (cases[i].why ? -EKEYREJECTED : 1))
            fail_msg("case %zu: %d, %s", i, r, tls_session_why(m.session));
        if (cases[i].why) {
            assert_string_equal(tls_session_why(m.session), cases[i].why);
            assert_true(tls_output(m.session).n == 0 && m.server.ssl.state != MBEDTLS_SSL_HANDSHAKE_OVER);
        }
        part(&m);
        cert_done(&c);
    }
}

static void chains_are_followed_and_must_be_whole(void **state)
{
    (void)state;
    cert middle, leaf, not_ca, forged;
    meeting m;
    cert_make(&middle, &(cert_spec){.name = "Middle", .is_ca = true}, &ca);
    cert_make(&leaf, &(cert_spec){.name = "x", .dns = "a.test"}, &middle);
    cert_make(&not_ca, &(cert_spec){.name = "Not a CA", .dns = "b.test"}, &ca);
    cert_make(&forged, &(cert_spec){.name = "x", .dns = "a.test"}, &not_ca);

    assert_int_equal(meet(&m, (const cert *const[]){&leaf, &middle}, 2, "a.test"), 1);
    part(&m);
    assert_int_equal(meet(&m, (const cert *const[]){&leaf}, 1, "a.test"), -EKEYREJECTED);
    part(&m);
    assert_int_equal(meet(&m, (const cert *const[]){&forged, &not_ca}, 2, "a.test"), -EKEYREJECTED);
    part(&m);
    cert_done(&middle);
    cert_done(&leaf);
    cert_done(&not_ca);
    cert_done(&forged);
}

static void the_systems_list_is_believed_and_named_when_missing(void **state)
{
    (void)state;
    tls_trust *t;
    tls_site site;
    tls_pipe_end server;
    tls_session *s;
    setenv("SSL_CERT_FILE", ca_file, 1);
    assert_int_equal(tls_trust_new(NULL, &now.base, &t), 0);
    setenv("SSL_CERT_FILE", "/nonexistent/bundle.crt", 1);
    tls_site_init(&site, (const cert *const[]){&good}, 1, TLS_FORGETS);
    tls_pipe_end_init(&server, &site);
    assert_int_equal(tls_session_new(t, STR("a.test"), NULL, &s), 0);
    assert_int_equal(handshake(s, &server, SIZE_MAX), 1);
    tls_session_free(s);
    tls_pipe_end_done(&server);

    cert stranger; /* not in the list, which could be read */
    cert_make(&stranger, &(cert_spec){.name = "x", .dns = "a.test"}, &other_ca);
    tls_site_done(&site);
    tls_site_init(&site, (const cert *const[]){&stranger}, 1, TLS_FORGETS);
    tls_pipe_end_init(&server, &site);
    assert_int_equal(tls_session_new(t, STR("a.test"), NULL, &s), 0);
    assert_int_equal(handshake(s, &server, SIZE_MAX), -EKEYREJECTED);
    assert_string_equal(tls_session_why(s), "the certificate is not signed by a known authority");
    tls_session_free(s);
    tls_pipe_end_done(&server);
    tls_site_done(&site);
    cert_done(&stranger);
    tls_trust_unref(t);
}

static void a_bad_extra_file_is_an_error(void **state)
{
    (void)state;
    tls_trust *t = NULL;
    char path[40] = "/tmp/larder-test-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(tls_trust_new("/nonexistent/ca.pem", &now.base, &t), -ENOENT);
    assert_int_equal(tls_trust_new(path, &now.base, &t), -EINVAL);
    assert_int_equal(write(fd, "no certificate\n", 15), 15);
    assert_int_equal(tls_trust_new(path, &now.base, &t), -EINVAL);
    assert_null(t);
    close(fd);
    unlink(path);
}

static void a_host_must_be_a_name_or_an_address(void **state)
{
    (void)state;
    tls_trust *t = new_trust();
    tls_session *s = NULL;
    char long_name[300];
    memset(long_name, 'a', sizeof(long_name));
    assert_int_equal(tls_session_new(t, STR(""), NULL, &s), -EINVAL);
    assert_int_equal(tls_session_new(t, STR("a.test\0.evil"), NULL, &s), -EINVAL);
    assert_int_equal(tls_session_new(t, str_of(long_name, 254), NULL, &s), -EINVAL);
    assert_null(s);
    tls_trust_unref(t);
}

/* ---- old and odd servers ---- */

static void only_modern_settings_are_spoken(void **state)
{
    (void)state;
    static const int weak[] = {MBEDTLS_TLS_RSA_WITH_AES_128_CBC_SHA, MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
                               MBEDTLS_TLS_RSA_WITH_AES_128_GCM_SHA256, MBEDTLS_TLS_DHE_RSA_WITH_AES_128_GCM_SHA256, 0};
    tls_trust *t = new_trust();
    for (int old = 0; old < 2; old++) {
        tls_site site;
        tls_pipe_end server;
        tls_session *s;
        tls_site_init(&site, (const cert *const[]){&good}, 1, TLS_FORGETS);
        if (old)
            mbedtls_ssl_conf_max_version(&site.config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_2);
        else
            mbedtls_ssl_conf_ciphersuites(&site.config, weak);
        tls_pipe_end_init(&server, &site);
        assert_int_equal(tls_session_new(t, STR("a.test"), NULL, &s), 0);
        assert_int_equal(handshake(s, &server, SIZE_MAX), -EPROTO);
        tls_session_free(s);
        tls_pipe_end_done(&server);
        tls_site_done(&site);
    }
    tls_trust_unref(t);
}

static void what_is_no_tls_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"HTTP/1.1 400 Bad Request\r\n\r\n", "220 smtp ready\r\n",
                                        "\x15\x03\x03\x01\x01\x02\x28" /* an alert */};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        tls_trust *t = new_trust();
        tls_session *s;
        assert_int_equal(tls_session_new(t, STR("a.test"), NULL, &s), 0);
        assert_int_equal(tls_handshake(s), 0);
        assert_int_equal(tls_input(s, str_of(cases[i], i == 2 ? 7 : strlen(cases[i]))), 0);
        assert_int_equal(tls_handshake(s), i == 2 ? 0 : -EPROTO); /* an alert of 257 bytes is not whole yet */
        if (i < 2)
            assert_string_equal(tls_session_why(s), "the server does not speak TLS 1.2");
        tls_session_free(s);
        tls_trust_unref(t);
    }
}

/* ---- resumption ---- */

static void a_second_session_is_resumed(void **state)
{
    (void)state;
    for (tls_memory memory = TLS_FORGETS; memory <= TLS_SESSION_IDS; memory++) {
        tls_site site;
        tls_ticket *ticket = NULL;
        tls_trust *trust = new_trust();
        tls_site_init(&site, (const cert *const[]){&good}, 1, memory);
        for (int round = 0; round < 3; round++) {
            tls_pipe_end server;
            tls_session *s;
            tls_pipe_end_init(&server, &site);
            assert_int_equal(tls_session_new(trust, STR("a.test"), ticket, &s), 0);
            assert_int_equal(handshake(s, &server, SIZE_MAX), 1);
            assert_int_equal(tls_was_resumed(s), memory != TLS_FORGETS && round > 0);
            tls_ticket_free(ticket);
            ticket = NULL;
            int r = tls_ticket_take(s, &ticket);
            assert_true(r == 0 || (r == -ENOENT && memory == TLS_FORGETS));
            tls_session_free(s);
            tls_pipe_end_done(&server);
        }
        if (memory == TLS_TICKETS)
            assert_int_equal(atomic_load(&site.resumed), 2);
        tls_ticket_free(ticket);
        tls_trust_unref(trust);
        tls_site_done(&site);
    }
}

static void a_ticket_the_server_has_forgotten_means_a_full_check(void **state)
{
    (void)state;
    tls_site site, impostor;
    tls_pipe_end server;
    tls_session *s;
    tls_ticket *ticket;
    cert forged;
    tls_trust *trust = new_trust();
    cert_make(&forged, &(cert_spec){.name = "x", .dns = "a.test"}, &other_ca);
    tls_site_init(&site, (const cert *const[]){&good}, 1, TLS_TICKETS);
    tls_site_init(&impostor, (const cert *const[]){&forged}, 1, TLS_TICKETS);
    tls_pipe_end_init(&server, &site);
    assert_int_equal(tls_session_new(trust, STR("a.test"), NULL, &s), 0);
    assert_int_equal(handshake(s, &server, SIZE_MAX), 1);
    assert_int_equal(tls_ticket_take(s, &ticket), 0);
    tls_session_free(s);
    tls_pipe_end_done(&server);

    tls_pipe_end_init(&server, &impostor);
    assert_int_equal(tls_session_new(trust, STR("a.test"), ticket, &s), 0);
    assert_int_equal(handshake(s, &server, SIZE_MAX), -EKEYREJECTED);
    tls_session_free(s);
    tls_pipe_end_done(&server);
    tls_ticket_free(ticket);
    tls_site_done(&site);
    tls_site_done(&impostor);
    cert_done(&forged);
    tls_trust_unref(trust);
}

/* ---- data ---- */

static void to_client(meeting *m, str bytes)
{
    while (bytes.n > 0) {
        int n = mbedtls_ssl_write(&m->server.ssl, (const unsigned char *)bytes.p, bytes.n);
        assert_true(n > 0);
        bytes = str_from(bytes, (size_t)n);
    }
}

static void data_goes_both_ways_in_any_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 16384, 16385, 300000};
    meeting m;
    char part_of[16384];
    assert_int_equal(meet(&m, (const cert *const[]){&good}, 1, "a.test"), 1);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        SCOPED(buf_done)
        buf data = BUF_INIT, got = BUF_INIT;
        char *p = buf_reserve(&data, sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            p[k] = (char)(k * 31);
        data.n = sizes[i];

        assert_int_equal(tls_write(m.session, buf_view(&data)), 0);
        carry(m.session, &m.server, 5000, NULL);
        for (int n; (n = mbedtls_ssl_read(&m.server.ssl, (unsigned char *)part_of, sizeof(part_of))) > 0;)
            buf_put(&got, part_of, (size_t)n);
        assert_true(str_eq(buf_view(&got), buf_view(&data)));

        buf_reset(&got);
        to_client(&m, buf_view(&data));
        while (m.server.out.n > 0) {
            str out = str_head(buf_view(&m.server.out), 777);
            assert_int_equal(tls_input(m.session, out), 0);
            memmove(m.server.out.p, m.server.out.p + out.n, m.server.out.n - out.n);
            m.server.out.n -= out.n;
            for (ptrdiff_t n; (n = tls_read(m.session, part_of, i % 2 ? 1000 : sizeof(part_of))) != 0;) {
                assert_true(n > 0);
                buf_put(&got, part_of, (size_t)n);
            }
        }
        assert_true(str_eq(buf_view(&got), buf_view(&data)));
    }
    part(&m);
}

static void input_may_come_before_the_last_was_read(void **state)
{
    (void)state;
    meeting m;
    char out[100];
    assert_int_equal(meet(&m, (const cert *const[]){&good}, 1, "a.test"), 1);
    to_client(&m, STR("one"));
    to_client(&m, STR("two"));
    size_t n = m.server.out.n;
    assert_int_equal(tls_input(m.session, str_head(buf_view(&m.server.out), n - 3)), 0);
    assert_int_equal(tls_read(m.session, out, sizeof(out)), 3);
    assert_int_equal(tls_input(m.session, str_from(buf_view(&m.server.out), n - 3)), 0);
    assert_int_equal(tls_read(m.session, out, sizeof(out)), 3);
    assert_memory_equal(out, "two", 3);
    assert_int_equal(tls_read(m.session, out, sizeof(out)), 0);
    part(&m);
}

static void a_proper_end_is_told_from_a_cut(void **state)
{
    (void)state;
    meeting m;
    char out[100];
    assert_int_equal(meet(&m, (const cert *const[]){&good}, 1, "a.test"), 1);
    to_client(&m, STR("bye"));
    assert_int_equal(mbedtls_ssl_close_notify(&m.server.ssl), 0);
    assert_int_equal(tls_input(m.session, buf_view(&m.server.out)), 0);
    assert_int_equal(tls_read(m.session, out, sizeof(out)), 3);
    assert_int_equal(tls_read(m.session, out, sizeof(out)), -ENODATA);
    assert_int_equal(tls_read(m.session, out, sizeof(out)), -ENODATA);
    part(&m);

    assert_int_equal(meet(&m, (const cert *const[]){&good}, 1, "a.test"), 1);
    to_client(&m, STR("bye"));
    assert_int_equal(tls_input(m.session, str_head(buf_view(&m.server.out), m.server.out.n - 1)), 0);
    assert_int_equal(tls_read(m.session, out, sizeof(out)), 0); /* part of a record is nothing */
    tls_close(m.session);
    m.server.in.n = m.server.taken = 0;
    buf_str(&m.server.in, tls_output(m.session));
    assert_int_equal(mbedtls_ssl_read(&m.server.ssl, (unsigned char *)out, sizeof(out)),
                     MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY);
    part(&m);
}

static void changed_bytes_are_noticed(void **state)
{
    (void)state;
    meeting m;
    char out[100];
    assert_int_equal(meet(&m, (const cert *const[]){&good}, 1, "a.test"), 1);
    to_client(&m, STR("pay 10"));
    m.server.out.p[m.server.out.n - 20] ^= 1;
    assert_int_equal(tls_input(m.session, buf_view(&m.server.out)), 0);
    assert_int_equal(tls_read(m.session, out, sizeof(out)), -EPROTO);
    assert_string_equal(tls_session_why(m.session), "the data was changed on the way");
    part(&m);
}

static void no_memory_is_reported_at_every_step(void **state)
{
    (void)state;
    tls_site site;
    tls_site_init(&site, (const cert *const[]){&good}, 1, TLS_TICKETS);
    bool hit = true;
    for (long n = 0; hit; n++) {
        tls_trust *trust = NULL;
        tls_session *s = NULL;
        tls_ticket *ticket = NULL;
        tls_pipe_end server;
        char out[10];
        tls_pipe_end_init(&server, &site);
        buf_reserve(&server.in, 65536); /* the server's memory is not what is short */
        buf_reserve(&server.out, 65536);
        mem_fail_at(n);
        int r = tls_trust_new(ca_file, &now.base, &trust);
        if (r == 0)
            r = tls_session_new(trust, STR("a.test"), NULL, &s);
        if (r == 0) {
            for (int i = 0; i < 10 && (r = tls_handshake(s)) == 0; i++) {
                str some = tls_output(s);
                buf_str(&server.in, some);
                tls_output_taken(s, some.n);
                (void)mbedtls_ssl_handshake(&server.ssl);
                r = tls_input(s, buf_view(&server.out));
                server.out.n = 0;
                if (r < 0)
                    break;
            }
        }
        if (r == 1)
            r = tls_ticket_take(s, &ticket);
        if (r == 0)
            r = tls_write(s, STR("hello"));
        if (r == 0) {
            assert_int_equal(mbedtls_ssl_write(&server.ssl, (const unsigned char *)"x", 1), 1);
            r = tls_input(s, buf_view(&server.out));
        }
        if (r == 0)
            assert_int_equal(tls_read(s, out, sizeof(out)), 1);
        hit = mem_failed();
        mem_fail_at(-1);
        assert_int_equal(r, hit ? -ENOMEM : 0);
        tls_ticket_free(ticket);
        tls_session_free(s);
        tls_trust_unref(trust);
        tls_pipe_end_done(&server);
    }
    tls_site_done(&site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_certificate_is_accepted_however_the_bytes_arrive),
        cmocka_unit_test(a_handshake_does_not_wait_for_anothers_certificate_check),
        cmocka_unit_test(certificates_are_judged),
        cmocka_unit_test(chains_are_followed_and_must_be_whole),
        cmocka_unit_test(the_systems_list_is_believed_and_named_when_missing),
        cmocka_unit_test(a_bad_extra_file_is_an_error),
        cmocka_unit_test(a_host_must_be_a_name_or_an_address),
        cmocka_unit_test(only_modern_settings_are_spoken),
        cmocka_unit_test(what_is_no_tls_is_refused),
        cmocka_unit_test(a_second_session_is_resumed),
        cmocka_unit_test(a_ticket_the_server_has_forgotten_means_a_full_check),
        cmocka_unit_test(data_goes_both_ways_in_any_size),
        cmocka_unit_test(input_may_come_before_the_last_was_read),
        cmocka_unit_test(a_proper_end_is_told_from_a_cut),
        cmocka_unit_test(changed_bytes_are_noticed),
        cmocka_unit_test(no_memory_is_reported_at_every_step),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
