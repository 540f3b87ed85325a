/* Replies that go on: their head, their bytes, and all the ways in which they end. */
#include "http_site.h"

#include <sys/socket.h>
#include <unistd.h>

#define ASK(more) STR("GET /stream HTTP/1.1\r\nHost: a\r\n" more "\r\n")

/* The stream under test; one at a time. */
static struct {
    http_request *req; /* NULL when it has ended */
    str at_once;       /* sent within on_request */
    bool end_at_once;
    int begun, gone, writable;
} one;

static void end_stream(void)
{
    http_request *req = one.req;
    one.req = NULL;
    http_stream_end(req);
}

static void on_gone(http_request *req)
{
    assert_ptr_equal(req, one.req);
    one.gone++;
    end_stream();
}

static void on_writable(http_request *req)
{
    assert_ptr_equal(req, one.req);
    one.writable++;
}

static void on_stream(site *w, http_request *req)
{
    (void)w;
    assert_int_equal(http_request_defer(req), 0);
    one.req = req;
    req->on_gone = on_gone;
    req->on_writable = on_writable;
    one.begun = http_stream_begin(req, &(http_reply){.status = 200,
                                                     .content_type = STR("text/event-stream"),
                                                     .headers = STR("Cache-Control: no-store\r\n")});
    if (one.begun == 0 && one.at_once.n)
        assert_int_equal(http_stream_send(req, one.at_once), 0);
    if (one.end_at_once)
        end_stream();
}

static int set_up(void **state)
{
    static site w;
    site_init(&w);
    w.handler = on_stream;
    site_open(&w);
    memset(&one, 0, sizeof(one));
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    site_close(*state);
    assert_null(one.req);
    return 0;
}

static int open_stream(site *w, buf *got)
{
    int fd = site_connect(w);
    site_send(w, fd, ASK("Accept-Encoding: gzip\r\n"));
    site_read_until(w, fd, got, "\r\n\r\n");
    assert_non_null(one.req);
    return fd;
}

static void hang_up(site *w, int fd, buf *got)
{
    close(fd);
    site_turn(w, 5);
    buf_done(got);
}

static void the_head_comes_at_once_and_names_no_length(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = open_stream(w, &got);
    assert_has(got.p, "HTTP/1.1 200 OK\r\n");
    assert_has(got.p, "Content-Type: text/event-stream\r\n");
    assert_has(got.p, "Cache-Control: no-store\r\n");
    assert_has(got.p, "Connection: close\r\n");
    assert_lacks(got.p, "Content-Length");
    assert_lacks(got.p, "Transfer-Encoding");
    assert_lacks(got.p, "Content-Encoding");
    assert_int_equal(w->replied, 1);
    assert_int_equal(w->last_status, 200);
    hang_up(w, fd, &got);
}

static void bytes_come_as_they_are_sent_until_the_end(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    one.at_once = STR("first\n");
    int fd = open_stream(w, &got);
    site_read_until(w, fd, &got, "first\n");
    assert_int_equal(http_stream_send(one.req, STR("second\n")), 0);
    site_read_until(w, fd, &got, "second\n");
    end_stream();
    site_read_until(w, fd, &got, NULL);
    assert_str(str_from(buf_view(&got), got.n - 13), "first\nsecond\n");
    assert_int_equal(one.gone, 0);
    close(fd);
    buf_done(&got);
}

static void nothing_is_awaited_of_a_client_that_listens(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = open_stream(w, &got);
    site_pass(w, MINUTES(30));
    assert_int_equal(http_stream_send(one.req, STR("late\n")), 0);
    site_read_until(w, fd, &got, "late\n");
    assert_int_equal(http_stats_of(w->server)->connections, 1);
    hang_up(w, fd, &got);
    assert_int_equal(one.gone, 1);
    assert_int_equal(http_stats_of(w->server)->connections, 0);
}

static void requests_behind_a_stream_are_not_served(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_turn(w, 5);
    end_stream();
    site_read_until(w, fd, &got, NULL);
    assert_int_equal(count_text(got.p, "HTTP/1.1 "), 1);
    assert_lacks(got.p, "hello");
    close(fd);
    buf_done(&got);
}

static void head_gets_the_head_and_no_bytes(void **state)
{
    site *w = *state;
    one.at_once = STR("bytes");
    one.end_at_once = true;
    char *got = ask(w, "HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(got, "200 OK");
    assert_lacks(got, "Content-Length");
    assert_lacks(got, "bytes");
    mem_free(got);
}

static void http_1_0_gets_its_bytes_too(void **state)
{
    site *w = *state;
    one.at_once = STR("bytes");
    one.end_at_once = true;
    char *got = ask(w, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_has(got, "Connection: close");
    assert_has(got, "\r\n\r\nbytes");
    mem_free(got);
}

/* Sends until the socket and what may wait here are full. */
static size_t fill(str bytes)
{
    size_t sent = 0;
    int r = 0;
    while ((r = http_stream_send(one.req, bytes)) == 0)
        sent += bytes.n;
    assert_int_equal(r, -EAGAIN);
    return sent;
}

static void a_client_that_reads_slowly_holds_back_the_sender(void **state)
{
    site *w = *state;
    static char block[16384];
    buf got = BUF_INIT;
    memset(block, 'x', sizeof(block));
    int fd = open_stream(w, &got);
    const size_t head = got.n, sent = fill(str_of(block, sizeof(block)));
    assert_in_range(http_stats_of(w->server)->buffered_bytes, 1, sizeof(block));
    assert_int_equal(one.writable, 0);
    while (got.n - head < sent)
        site_read(w, fd, &got);
    assert_int_equal(one.writable, 1);
    assert_int_equal(http_stats_of(w->server)->buffered_bytes, 0);
    assert_int_equal(http_stream_send(one.req, STR("more\n")), 0);
    site_read_until(w, fd, &got, "more\n");
    hang_up(w, fd, &got);
}

static void a_client_that_takes_nothing_is_cut_off(void **state)
{
    site *w = *state;
    static char block[16384];
    buf got = BUF_INIT;
    int fd = open_stream(w, &got);
    (void)fill(str_of(block, sizeof(block)));
    site_pass(w, w->options.write_timeout_ms - 1000);
    assert_int_equal(one.gone, 0);
    site_pass(w, 2000);
    assert_int_equal(one.gone, 1);
    hang_up(w, fd, &got);
}

static void what_still_waits_is_sent_before_the_end(void **state)
{
    site *w = *state;
    static char block[16384];
    buf got = BUF_INIT;
    memset(block, 'x', sizeof(block));
    int fd = open_stream(w, &got);
    const size_t head = got.n, sent = fill(str_of(block, sizeof(block)));
    end_stream();
    site_read_until(w, fd, &got, NULL);
    assert_int_equal(got.n - head, sent);
    close(fd);
    buf_done(&got);
}

/* The failing write is what finds out: the sender hears of it there, and nowhere else. */
static void a_write_that_fails_is_the_senders_result(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = open_stream(w, &got);
    net_faults_for_tests.write_err = ECONNRESET;
    assert_int_equal(http_stream_send(one.req, STR("lost")), -EPIPE);
    assert_int_equal(http_stream_send(one.req, STR("lost")), -EPIPE);
    assert_int_equal(one.gone, 0);
    end_stream();
    hang_up(w, fd, &got);
}

static void a_client_that_is_gone_before_the_head_is_told_by_it(void **state)
{
    site *w = *state;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    http_request *req = w->held[0];
    w->n_held = 0;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(fd);
    site_turn(w, 5);
    assert_int_equal(http_stream_begin(req, &(http_reply){.status = 200}), -EPIPE);
    assert_int_equal(w->replied, 1);
    assert_int_equal(http_stream_send(req, STR("lost")), -EPIPE);
    http_stream_end(req);
}

static void draining_ends_streams(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = open_stream(w, &got);
    site_drain(w);
    assert_int_equal(one.gone, 1);
    site_read_until(w, fd, &got, NULL);
    hang_up(w, fd, &got);
    site_turn(w, 5);
    assert_int_equal(w->drained, 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_head_comes_at_once_and_names_no_length),
        TEST(bytes_come_as_they_are_sent_until_the_end),
        TEST(nothing_is_awaited_of_a_client_that_listens),
        TEST(requests_behind_a_stream_are_not_served),
        TEST(head_gets_the_head_and_no_bytes),
        TEST(http_1_0_gets_its_bytes_too),
        TEST(a_client_that_reads_slowly_holds_back_the_sender),
        TEST(a_client_that_takes_nothing_is_cut_off),
        TEST(what_still_waits_is_sent_before_the_end),
        TEST(a_write_that_fails_is_the_senders_result),
        TEST(a_client_that_is_gone_before_the_head_is_told_by_it),
        TEST(draining_ends_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
