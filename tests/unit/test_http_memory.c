/* Without memory: each allocation on the way of a request fails once. The client gets a reply,
    a 503 or the end of its
 * connection; nothing leaks, and the next client is served. */
#include "http_site.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLOSE "Host: a\r\nConnection: close\r\n"

static void json_reply(site *w, http_request *req)
{
    (void)w;
    while (req->out->n < 20000 && !req->out->err)
        buf_str(req->out, STR("{\"some\":\"text\"}\n"));
    if (req->out->err)
        http_reply_send(req, &(http_reply){.status = 503});
    else
        http_reply_send(
            req, &(http_reply){.status = 200, .content_type = STR("application/json"), .body = buf_view(req->out)});
}

/* As site_read_until the end, without memory of our own. The number of replies. */
static int count_replies(site *w, int fd)
{
    static char got[400000];
    size_t n = 0;
    for (int dry = 0; dry < 2000;) {
        site_turn(w, 2);
        while (w->n_held > 0)
            site_answer(w, STR("late\n"));
        ssize_t r = recv(fd, got + n, sizeof(got) - 1 - n, 0);
        if (r > 0)
            n += (size_t)r;
        else if (r == 0 || errno != EAGAIN)
            break;
        dry = r > 0 ? 0 : dry + 1;
        if (dry > 5)
            poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1);
    }
    got[n] = '\0';
    return (int)count_text(got, "HTTP/1.1 2") + (int)count_text(got, "HTTP/1.1 503");
}

/* Sends the pieces, each as a read of its own, with the n-th allocation failing, for all n. */
static void fail_each_allocation(const str pieces[], size_t n, int replies)
{
    bool failed = true;
    for (long nth = 0; failed; nth++) {
        site w;
        site_init(&w);
        w.handler = json_reply;
        site_open(&w);
        mem_fail_at(nth);
        int fd = site_connect(&w);
        for (size_t i = 0; i < n; i++)
            site_send(&w, fd, pieces[i]);
        int got = count_replies(&w, fd);
        assert_in_range(got, mem_failed() ? 0 : replies, replies);
        failed = mem_failed();
        close(fd);
        mem_fail_at(-1);
        char *fine = ask(&w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
        assert_has(fine, "200 OK");
        mem_free(fine);
        site_close(&w);
        assert_true(failed || nth >= 3); /* there is something to fail */
    }
}

static void whole_requests(void **state)
{
    (void)state;
    const str pieces[] = {STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /json HTTP/1.1\r\n" CLOSE "\r\n")};
    fail_each_allocation(pieces, COUNT_OF(pieces), 2);
}

static void requests_in_pieces(void **state)
{
    (void)state;
    const str pieces[] = {STR("POST /echo HTTP/1.1\r\nHost: a\r\nPrefer: a\r\nPre"),
                          STR("fer: b\r\nContent-Length: 6\r\n\r\n"), STR("abc"),
                          STR("defPOST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" CLOSE "\r\n3\r\n"
                              "abc\r\n3"),
                          STR("\r\ndef\r\n0\r\n\r\n")};
    fail_each_allocation(pieces, COUNT_OF(pieces), 2);
}

static void deferred_requests_with_others_behind(void **state)
{
    (void)state;
    const str pieces[] = {STR("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"
                              "abcGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
                              "GET /later HTTP/1.1\r\n" CLOSE "\r\n")};
    fail_each_allocation(pieces, COUNT_OF(pieces), 3);
}

static void compressed_replies(void **state)
{
    (void)state;
    const str pieces[] = {STR("GET /json HTTP/1.1\r\n" CLOSE "Accept-Encoding: gzip\r\n\r\n")};
    fail_each_allocation(pieces, COUNT_OF(pieces), 1);
}

static void replies_larger_than_the_socket(void **state)
{
    (void)state;
    const str pieces[] = {STR("GET /bytes/300000 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.0\r\nX\r\n\r\n")};
    net_faults_for_tests.write_max = 50000;
    fail_each_allocation(pieces, COUNT_OF(pieces), 1);
}

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

static void a_server_that_can_t_be_made(void **state)
{
    (void)state;
    loop *l;
    http_options o = {0};
    http_hooks hooks = {0};
    net_listen where = {.addr.ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    arena a;
    arena_init(&a, 0);
    assert_int_equal(loop_new(clk_real(), 2, &l), 0);
    bool failed = true;
    for (long nth = 0; failed; nth++) {
        http_server *s = NULL;
        str url;
        bool drained = false;
        mem_fail_at(nth);
        int r = http_server_new(l, &o, &hooks, &s);
        if (r == 0)
            r = http_server_listen(s, &where, &a, &url);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        failed = mem_failed();
        mem_fail_at(-1);
        if (s) {
            http_server_drain(s, set_true, &drained);
            while (!drained)
                loop_run_once(l, true);
            http_server_free(s);
        }
        assert_true(failed || nth > 3);
    }
    loop_free(l);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_requests),
        cmocka_unit_test(requests_in_pieces),
        cmocka_unit_test(deferred_requests_with_others_behind),
        cmocka_unit_test(compressed_replies),
        cmocka_unit_test(replies_larger_than_the_socket),
        cmocka_unit_test(a_server_that_can_t_be_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
