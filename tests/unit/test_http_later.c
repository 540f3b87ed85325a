/* Requests answered later: order, memory, clients that leave, and the end of the server. */
#include "http_site.h"

#include <sys/socket.h>
#include <unistd.h>

#define CLOSE "Host: a\r\nConnection: close\r\n"

static int set_up(void **state)
{
    static site w;
    site_init(&w);
    site_open(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    site_close(*state);
    return 0;
}

static void reset_connection(int fd)
{
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
}

static void requests_behind_a_deferred_one_wait_their_turn(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd,
              STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /later/1 HTTP/1.1\r\nHost: a\r\n\r\n"
                  "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /later/2 HTTP/1.1\r\n" CLOSE "\r\n"));
    site_read_until(w, fd, &got, "hello\n");
    site_turn(w, 10);
    assert_false(site_read(w, fd, &got));
    assert_int_equal(count_text(got.p, "HTTP/1.1 "), 1);
    assert_int_equal(w->n_held, 1);
    site_answer(w, STR("first\n"));
    assert_false(site_read(w, fd, &got));
    assert_int_equal(count_text(got.p, "HTTP/1.1 "), 3);
    assert_true(strstr(got.p, "first\n") < strstr(strstr(got.p, "first\n"), "hello\n"));
    site_answer(w, STR("second\n"));
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "second\n");
    close(fd);
    buf_done(&got);
}

static void bytes_sent_while_a_reply_is_awaited_are_read_after_it(void **state)
{
    site *w = *state;
    buf got = BUF_INIT, more = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    uint64_t in = http_stats_of(w->server)->bytes_in;
    for (int i = 0; i < 3000; i++)
        buf_str(&more, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_send(w, fd, buf_view(&more));
    site_turn(w, 50);
    assert_int_equal(http_stats_of(w->server)->bytes_in, in); /* left to the kernel: that is the backpressure */
    site_answer(w, STR("late\n"));
    for (int i = 0; i < 100 && (got.n == 0 || count_text(got.p, "HTTP/1.1 ") < 3001); i++)
        site_read(w, fd, &got);
    assert_int_equal(count_text(got.p, "HTTP/1.1 200"), 3001);
    close(fd);
    buf_done(&got);
    buf_done(&more);
}

/* The read buffer has long served other connections when the reply is made. */
static void a_deferred_request_keeps_its_texts(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd,
              STR("POST /later/path?query=1 HTTP/1.1\r\nHost: here\r\nX-Request-ID: id-7\r\nPrefer: a\r\n"
                  "Prefer: b\r\nContent-Length: 4\r\nX-More: yes\r\n\r\nbody"));
    int other = site_connect(w);
    site_send(w, other,
              STR("PUT /xxxxx/xxxxxxxxxxx HTTP/1.1\r\nXxxx: xxxx\r\nX-Xxxxxxx-XX: xxxx\r\nXxxxxx: x\r\n"
                  "Xxxxxx: x\r\nXxxxxxx-Xxxxxx: x\r\nX-Xxxx: xxx\r\n\r\nxxxx"));
    const http_request *req = w->held[0];
    assert_str(req->target, "/later/path?query=1");
    assert_str(req->path, "/later/path");
    assert_str(req->query, "query=1");
    assert_str(req->body, "body");
    assert_str(req->request_id, "id-7");
    assert_str(req->known[HTTP_H_HOST], "here");
    assert_str(req->known[HTTP_H_PREFER], "a, b");
    assert_int_equal(req->n_headers, 6);
    assert_str(req->headers[0].name, "Host");
    assert_str(req->headers[5].name, "X-More");
    assert_str(req->headers[5].value, "yes");
    site_answer(w, STR("ok"));
    site_read_until(w, fd, &got, "X-Request-ID: id-7\r\n");
    close(fd);
    close(other);
    buf_done(&got);
}

static void a_body_that_came_alone_is_kept_too(void **state)
{
    site *w = *state;
    int fd = site_connect(w);
    site_send(w, fd, STR("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"));
    site_send(w, fd, STR("body"));
    int other = site_connect(w);
    site_send(w, other, STR("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    assert_str(w->held[0]->body, "body");
    assert_str(w->held[0]->path, "/later");
    close(fd);
    close(other);
}

static void a_client_that_breaks_off_is_gone_and_its_reply_is_dropped(void **state)
{
    site *w = *state;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_false(w->held[0]->gone);
    reset_connection(fd);
    site_turn(w, 5);
    assert_true(w->held[0]->gone);
    assert_int_equal(w->gone, 1);
    assert_int_equal(http_stats_of(w->server)->connections, 0);
    assert_int_equal(w->replied, 0);
    site_answer(w, STR("to nobody"));
    assert_int_equal(w->replied, 1);
    assert_int_equal(w->last_bytes, 0);
}

/* Closing and closing only the sending half look the same from here, until we write. */
static void a_half_closed_client_counts_as_gone_but_gets_its_reply(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    shutdown(fd, SHUT_WR);
    site_turn(w, 5);
    assert_true(w->held[0]->gone);
    assert_int_equal(w->gone, 1);
    site_answer(w, STR("all the same\n"));
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "all the same\n");
    assert_has(got.p, "hello\n");
    assert_int_equal(w->gone, 1);
    close(fd);
    buf_done(&got);
}

static void leaving_is_seen_behind_pipelined_requests(void **state)
{
    site *w = *state;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")); /* nobody reads it yet */
    close(fd);
    site_turn(w, 5);
    assert_int_equal(w->gone, 1);
    site_answer(w, STR("late"));
    site_turn(w, 5);
    assert_int_equal(http_stats_of(w->server)->connections, 0);
}

static void each_deferred_request_of_a_half_closed_client_is_told(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    shutdown(fd, SHUT_WR);
    site_turn(w, 5);
    assert_int_equal(w->gone, 1);
    site_answer(w, STR("one\n"));
    site_turn(w, 5);
    assert_int_equal(w->gone, 2);
    site_answer(w, STR("two\n"));
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "one\n");
    assert_has(got.p, "two\n");
    close(fd);
    buf_done(&got);
}

static void answer_when_gone(http_request *req)
{
    http_reply_send(req, &(http_reply){.status = 200, .content_type = STR("text/plain"), .body = STR("bye\n")});
}

static void a_handler_may_reply_when_told(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w), broken = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_send(w, broken, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    w->held[0]->on_gone = w->held[1]->on_gone = answer_when_gone;
    w->n_held = 0;
    shutdown(fd, SHUT_WR);
    reset_connection(broken);
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "bye\n");
    assert_int_equal(w->replied, 2);
    close(fd);
    buf_done(&got);
}

static void defer_and_leave(site *w, http_request *req)
{
    (void)w;
    if (http_request_defer(req) == 0)
        req->on_gone = answer_when_gone;
}

/* The second request is known to be gone as soon as it is deferred, and is answered at once: within the parsing. */
static void a_reply_on_being_told_at_once_is_sent_in_order(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    w->handler = defer_and_leave;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"
                         "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\n" CLOSE "\r\n"));
    shutdown(fd, SHUT_WR);
    site_turn(w, 5);
    site_answer(w, STR("first\n"));
    site_read_until(w, fd, &got, NULL);
    assert_int_equal(count_text(got.p, "HTTP/1.1 200"), 4);
    const char *first = strstr(got.p, "first\n"), *bye = strstr(got.p, "bye\n"), *hello = strstr(got.p, "hello\n");
    assert_true(first < bye && bye < hello && hello < strstr(bye + 1, "bye\n"));
    close(fd);
    buf_done(&got);
}

/* It was read with the one before it, and lies in the connection's memory when the write fails. */
static void a_request_survives_its_connection_while_it_is_handled(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    static const str WAYS[] = {
        STR_INIT("GET /hello HTTP/1.1\r\nHost: a\r\nX-Request-ID: i\r\n\r\n"),
        STR_INIT("GET /bytes/100000 HTTP/1.1\r\nHost: a\r\nX-Request-ID: i\r\n\r\n"),
    };
    for (size_t i = 0; i < COUNT_OF(WAYS); i++) {
        int fd = site_connect(w);
        int before = w->replied;
        buf sent = BUF_INIT;
        buf_str(&sent, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
        buf_str(&sent, WAYS[i]);
        site_send(w, fd, buf_view(&sent));
        site_answer(w, STR("first\n"));
        net_faults_for_tests.write_err = EPIPE;
        site_read_until(w, fd, &got, NULL);
        assert_int_equal(w->replied, before + 2);
        close(fd);
        buf_done(&sent);
    }
    buf_done(&got);
}

static void two_deferred_replies(site *w, http_request *req)
{
    /* A request's handler answers others, too: they must not get into its own reply. */
    while (w->n_held > 0)
        site_answer(w, STR("other\n"));
    http_reply_send(req, &(http_reply){.status = 200, .content_type = STR("text/plain"), .body = STR("own\n")});
}

static void a_handler_may_answer_others(void **state)
{
    site *w = *state;
    w->handler = two_deferred_replies;
    buf got[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    int fd[3];
    for (int i = 0; i < 3; i++)
        fd[i] = site_connect(w);
    site_send(w, fd[0], STR("GET /later HTTP/1.1\r\n" CLOSE "\r\n"));
    site_send(w, fd[1], STR("GET /later HTTP/1.1\r\n" CLOSE "\r\n"));
    site_send(w, fd[2], STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\n" CLOSE "\r\n"));
    for (int i = 0; i < 3; i++) {
        site_read_until(w, fd[i], &got[i], NULL);
        assert_int_equal(count_text(got[i].p, "HTTP/1.1 200"), i < 2 ? 1 : 2);
        assert_has(got[i].p, i < 2 ? "other\n" : "hello\nHTTP");
        close(fd[i]);
    }
    assert_has(got[2].p, "own\n");
    for (int i = 0; i < 3; i++)
        buf_done(&got[i]);
}

static void draining_closes_what_is_idle_and_finishes_the_rest(void **state)
{
    site *w = *state;
    buf got = BUF_INIT, begun = BUF_INIT;
    int idle = site_connect(w), busy = site_connect(w), half = site_connect(w);
    site_send(w, busy, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_send(w, half, STR("GET /hello HTTP/1.1\r\nHo"));
    site_drain(w);
    site_read_until(w, idle, &got, NULL);
    assert_int_equal(got.n, 0);
    site_send(w, half, STR("st: a\r\n\r\n"));
    site_read_until(w, half, &begun, NULL);
    assert_has(begun.p, "Connection: close\r\n");
    assert_int_equal(w->drained, 0);
    site_answer(w, STR("last\n"));
    close(half);
    site_read_until(w, busy, &got, NULL);
    assert_has(got.p, "Connection: close\r\n");
    assert_has(got.p, "last\n");
    assert_lacks(got.p, "hello\n");
    close(busy);
    close(idle);
    site_turn(w, 5);
    assert_int_equal(w->drained, 1);
    buf_done(&got);
    buf_done(&begun);
}

/* Its reply was given before the drain began, so it does not say that the connection closes. */
static void draining_closes_who_takes_a_reply_late(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /bytes/30000000 HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_turn(w, 10);
    site_drain(w);
    site_turn(w, 5);
    assert_int_equal(http_stats_of(w->server)->connections, 1);
    assert_true(site_read_until(w, fd, &got, NULL));
    assert_true(got.n > 30000000);
    close(fd);
    site_turn(w, 5);
    assert_int_equal(w->drained, 1);
    buf_done(&got);
}

static void draining_waits_but_shortly_for_who_has_all_and_stays(void **state)
{
    site *w = *state;
    buf got[2] = {BUF_INIT, BUF_INIT};
    int before = site_connect(w), after = site_connect(w);
    site_send(w, after, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_send(w, before, STR("GET /hello HTTP/1.1\r\n" CLOSE "\r\n"));
    site_read_until(w, before, &got[0], NULL);
    site_drain(w);
    site_answer(w, STR("last\n"));
    site_read_until(w, after, &got[1], NULL);
    assert_int_equal(w->drained, 0);
    site_pass(w, SECONDS(1)); /* with five it would be a long drain */
    assert_int_equal(w->drained, 1);
    close(before);
    close(after);
    buf_done(&got[0]);
    buf_done(&got[1]);
}

static void an_idle_server_drains_at_once(void **state)
{
    site *w = *state;
    site_drain(w);
    site_turn(w, 3);
    assert_int_equal(w->drained, 1);
}

static void being_drained_waits_for_deferred_requests_without_a_client(void **state)
{
    site *w = *state;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_drain(w);
    http_server_cut(w->server);
    assert_int_equal(w->gone, 1);
    site_turn(w, 5);
    assert_int_equal(http_stats_of(w->server)->connections, 0);
    assert_int_equal(w->drained, 0);
    site_answer(w, STR("late"));
    site_turn(w, 3);
    assert_int_equal(w->drained, 1);
    close(fd);
}

static void cut_the_server(site *w, http_request *req)
{
    http_reply_send(req, &(http_reply){.status = 200});
    site_drain(w);
    http_server_cut(w->server);
}

static void a_handler_may_cut_the_server(void **state)
{
    site *w = *state;
    w->handler = cut_the_server;
    char *got = ask(w, "GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_lacks(got, "hello");
    mem_free(got);
    site_turn(w, 3);
    assert_int_equal(w->drained, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_behind_a_deferred_one_wait_their_turn),
        TEST(bytes_sent_while_a_reply_is_awaited_are_read_after_it),
        TEST(a_deferred_request_keeps_its_texts),
        TEST(a_body_that_came_alone_is_kept_too),
        TEST(a_client_that_breaks_off_is_gone_and_its_reply_is_dropped),
        TEST(a_half_closed_client_counts_as_gone_but_gets_its_reply),
        TEST(leaving_is_seen_behind_pipelined_requests),
        TEST(each_deferred_request_of_a_half_closed_client_is_told),
        TEST(a_handler_may_reply_when_told),
        TEST(a_reply_on_being_told_at_once_is_sent_in_order),
        TEST(a_request_survives_its_connection_while_it_is_handled),
        TEST(a_handler_may_answer_others),
        TEST(draining_closes_what_is_idle_and_finishes_the_rest),
        TEST(draining_closes_who_takes_a_reply_late),
        TEST(draining_waits_but_shortly_for_who_has_all_and_stays),
        TEST(an_idle_server_drains_at_once),
        TEST(being_drained_waits_for_deferred_requests_without_a_client),
        TEST(a_handler_may_cut_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
