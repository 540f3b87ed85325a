/* What a stranger can make grow has a limit, and what a stranger can make last has an end. */
#include "http_site.h"

#include <sys/socket.h>
#include <unistd.h>

#define CLOSE "Host: a\r\nConnection: close\r\n"

static int set_up(void **state)
{
    static site w;
    site_init(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    site_close(*state);
    return 0;
}

/* ---- time ---- */

static void an_idle_connection_is_closed_without_a_word(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int fresh = site_connect(w), used = site_connect(w);
    site_send(w, used, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_pass(w, SECONDS(59));
    site_send(w, used, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n\r\n"));
    site_pass(w, SECONDS(2));
    assert_true(site_read(w, fresh, &got));
    assert_int_equal(got.n, 0);
    assert_false(site_read(w, used, &got));
    site_pass(w, SECONDS(57));
    assert_false(site_read(w, used, &got));
    assert_int_equal(http_stats_of(w->server)->connections, 1);
    site_pass(w, SECONDS(3));
    assert_true(site_read(w, used, &got));
    assert_int_equal(count_text(got.p, "HTTP/1.1 "), 2);
    close(fresh);
    close(used);
    buf_done(&got);
}

static void a_slow_head_is_answered_408(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_pass(w, SECONDS(30)); /* the time before the first byte doesn't count */
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\n"));
    for (int i = 0; i < 9; i++) {
        site_pass(w, SECONDS(1));
        site_send(w, fd, STR("X: y\r\n"));
    }
    assert_false(site_read(w, fd, &got));
    site_pass(w, SECONDS(2));
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "HTTP/1.1 408 Request Timeout\r\n");
    assert_has(got.p, "Connection: close\r\n");
    assert_int_equal(http_stats_of(w->server)->timeouts, 1);
    close(fd);
    buf_done(&got);
}

/* The clock of a head starts anew with each request of the connection. */
static void each_head_has_its_own_time(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\n"));
    for (int i = 0; i < 5; i++) {
        site_pass(w, SECONDS(8));
        site_send(w, fd, STR("Host: a\r\n\r\nGET /hello HTTP/1.1\r\n"));
    }
    assert_false(site_read(w, fd, &got));
    assert_int_equal(count_text(got.p, "HTTP/1.1 200"), 5);
    close(fd);
    buf_done(&got);
}

static void a_body_that_stops_is_answered_408(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
    buf half = BUF_INIT;
    for (int i = 0; i < 50000; i++)
        buf_char(&half, 'x');
    site_send(w, fd, buf_view(&half));
    site_pass(w, SECONDS(19));
    assert_false(site_read(w, fd, &got));
    site_pass(w, SECONDS(2));
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "HTTP/1.1 408 ");
    assert_has(got.p, "error 408 at /echo: ");
    close(fd);
    buf_done(&got);
    buf_done(&half);
}

static void a_trickling_body_is_answered_408(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"));
    int sent = 0;
    while (!site_read(w, fd, &got) && sent++ < 100) {
        site_send(w, fd, STR("1\r\nx\r\n"));
        site_pass(w, SECONDS(1));
    }
    assert_has(got.p, "HTTP/1.1 408 ");
    assert_in_range(sent, 19, 23);
    close(fd);
    buf_done(&got);
}

static void a_steady_body_may_last(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT, part = BUF_INIT;
    for (int i = 0; i < 10000; i++)
        buf_char(&part, 'x');
    int fd = site_connect(w);
    site_send(w, fd, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
    for (int i = 0; i < 10; i++) {
        site_send(w, fd, buf_view(&part));
        site_pass(w, SECONDS(9));
    }
    site_read(w, fd, &got);
    assert_has(got.p, "HTTP/1.1 200 ");
    close(fd);
    buf_done(&got);
    buf_done(&part);
}

static void a_deferred_request_may_take_its_time(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_pass(w, MINUTES(5));
    assert_false(site_read(w, fd, &got));
    site_answer(w, STR("at last\n"));
    site_read_until(w, fd, &got, "at last\n");
    close(fd);
    buf_done(&got);
}

static void a_client_that_reads_nothing_is_cut(void **state)
{
    site *w = *state;
    site_open(w);
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /bytes/30000000 HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_turn(w, 10);
    assert_true(http_stats_of(w->server)->buffered_bytes > 0);
    site_pass(w, SECONDS(29));
    assert_int_equal(http_stats_of(w->server)->connections, 1);
    site_pass(w, SECONDS(2));
    assert_int_equal(http_stats_of(w->server)->connections, 0);
    assert_int_equal(http_stats_of(w->server)->buffered_bytes, 0);
    close(fd);
}

static void a_refused_client_that_never_leaves_is_cut(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET / HTTP/1.1\r\n\r\n"));
    site_read_until(w, fd, &got, "is missing\n");
    for (int i = 0; i < 4; i++) {
        site_send(w, fd, STR("and another thing\r\n"));
        site_pass(w, SECONDS(1));
    }
    assert_int_equal(http_stats_of(w->server)->connections, 1);
    site_pass(w, SECONDS(2));
    assert_int_equal(http_stats_of(w->server)->connections, 0);
    close(fd);
    buf_done(&got);
}

/* The process was stopped, or the machine slept. */
static void a_jump_of_the_clock_is_no_harm(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int idle = site_connect(w), busy = site_connect(w);
    site_send(w, busy, STR("GET /later HTTP/1.1\r\nHost: a\r\n\r\n"));
    fake_clk_advance(&w->clock, HOURS(9));
    site_turn(w, 5);
    assert_true(site_read(w, idle, &got));
    assert_int_equal(got.n, 0);
    site_answer(w, STR("awake\n"));
    site_read_until(w, busy, &got, "awake\n");
    site_pass(w, SECONDS(59));
    assert_false(site_read(w, busy, &got));
    site_pass(w, SECONDS(2));
    assert_true(site_read(w, busy, &got));
    close(idle);
    close(busy);
    buf_done(&got);
}

/* ---- memory ---- */

static void a_long_target_is_refused_even_where_headers_may_be_longer(void **state)
{
    site *w = *state;
    w->options.max_header_bytes = 20000;
    site_open(w);
    buf sent = BUF_INIT;
    for (int i = 0; i < 2; i++) {
        buf_reset(&sent);
        buf_str(&sent, STR("GET /"));
        for (int n = 0; n < 8191 + i; n++)
            buf_char(&sent, 'x');
        buf_str(&sent, STR(" HTTP/1.1\r\n" CLOSE "\r\n"));
        char *got = site_ask(w, buf_view(&sent));
        assert_has(got, i == 0 ? "HTTP/1.1 404 " : "HTTP/1.1 414 URI Too Long\r\n");
        mem_free(got);
    }
    buf_done(&sent);
}

static void a_client_that_does_not_read_holds_back_its_own_requests(void **state)
{
    site *w = *state;
    site_open(w);
    buf sent = BUF_INIT, got = BUF_INIT;
    enum { N = 300 };
    for (int i = 0; i < N; i++)
        buf_str(&sent, STR("GET /bytes/100000 HTTP/1.1\r\nHost: a\r\n\r\n"));
    int fd = site_connect(w);
    site_send(w, fd, buf_view(&sent));
    site_turn(w, 500);
    uint64_t answered = http_stats_of(w->server)->requests;
    assert_in_range(answered, 1, N - 1);
    assert_true(http_stats_of(w->server)->buffered_bytes < 100000 + 65536 + 1000);
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_read_until(w, fd, &got, "hello\n");
    assert_int_equal(http_stats_of(w->server)->requests, N + 1);
    assert_int_equal(http_stats_of(w->server)->buffered_bytes, 0);
    close(fd);
    buf_done(&sent);
    buf_done(&got);
}

static void past_max_buffered_requests_are_refused_until_space_returns(void **state)
{
    site *w = *state;
    w->options.max_buffered = 4 << 20;
    site_open(w);
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /bytes/30000000 HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_turn(w, 10);
    assert_true(http_stats_of(w->server)->buffered_bytes > 4 << 20);
    char *refused = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    assert_has(refused, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_has(refused, "Retry-After: ");
    mem_free(refused);
    close(fd);
    site_turn(w, 10);
    char *fine = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    assert_has(fine, "HTTP/1.1 200 OK\r\n");
    mem_free(fine);
}

static void bodies_in_the_making_count_as_buffered(void **state)
{
    site *w = *state;
    w->options.max_buffered = 100000;
    site_open(w);
    buf half = BUF_INIT, got = BUF_INIT;
    buf_str(&half, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"));
    for (int i = 0; i < 70000; i++)
        buf_char(&half, 'x');
    int first = site_connect(w), second = site_connect(w);
    site_send(w, first, buf_view(&half));
    assert_false(site_read(w, first, &got));
    site_send(w, second, buf_view(&half));
    site_read_until(w, second, &got, NULL);
    assert_has(got.p, "HTTP/1.1 503 ");
    close(first);
    close(second);
    buf_done(&half);
    buf_done(&got);
}

/* ---- connections ---- */

static void connections_beyond_the_limit_are_told_so(void **state)
{
    site *w = *state;
    w->options.max_connections = 2;
    site_open(w);
    buf got = BUF_INIT;
    int a = site_connect(w), b = site_connect(w), c = site_connect(w);
    site_send(w, c, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_read_until(w, c, &got, NULL);
    assert_has(got.p, "HTTP/1.1 503 Service Unavailable\r\n");
    assert_has(got.p, "Retry-After: 1\r\n");
    assert_has(got.p, "Connection: close\r\n");
    close(c);
    site_turn(w, 5);
    assert_int_equal(http_stats_of(w->server)->connections, 2);
    assert_int_equal(http_stats_of(w->server)->refused_connections, 1);
    close(a);
    site_turn(w, 5);
    char *fine = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    assert_has(fine, "HTTP/1.1 200 OK\r\n");
    mem_free(fine);
    close(b);
    buf_done(&got);
}

static void who_was_refused_and_stays_takes_nobody_s_place(void **state)
{
    site *w = *state;
    w->options.max_connections = 2;
    site_open(w);
    buf got = BUF_INIT;
    int a = site_connect(w), b = site_connect(w), refused = site_connect(w);
    site_read_until(w, refused, &got, NULL);
    assert_has(got.p, "HTTP/1.1 503 ");
    close(a);
    site_turn(w, 5);
    assert_int_equal(http_stats_of(w->server)->connections, 2);
    char *fine = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    assert_has(fine, "HTTP/1.1 200 OK\r\n");
    mem_free(fine);
    close(b);
    close(refused);
    buf_done(&got);
}

static void refused_connections_are_limited_too(void **state)
{
    site *w = *state;
    w->options.max_connections = 1;
    site_open(w);
    int fds[400];
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        fds[i] = site_connect(w);
    site_turn(w, 50);
    assert_in_range(http_stats_of(w->server)->connections, 1, 1 + 64 + 256);
    assert_int_equal(http_stats_of(w->server)->refused_connections, COUNT_OF(fds) - 1);
    for (size_t i = 0; i < COUNT_OF(fds); i++)
        close(fds[i]);
}

static void out_of_descriptors_the_listener_rests_and_comes_back(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int open = site_connect(w);
    net_faults_for_tests = (net_faults){.accept_err = EMFILE, .accept_times = 3};
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\n" CLOSE "\r\n"));
    site_turn(w, 100);
    assert_int_equal(net_faults_for_tests.accept_times, 2); /* one try, no spinning */
    assert_int_equal(http_stats_of(w->server)->failed_accepts, 1);
    assert_int_equal(http_stats_of(w->server)->accept_error, -EMFILE);
    site_send(w, open, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_read_until(w, open, &got, "hello\n"); /* others are served meanwhile */
    buf_reset(&got);
    site_pass(w, 2 * NET_REST_MS);
    site_pass(w, 2 * NET_REST_MS);
    site_pass(w, 2 * NET_REST_MS);
    assert_int_equal(net_faults_for_tests.accept_times, 0);
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "hello\n");
    close(fd);
    close(open);
    buf_done(&got);
}

static void a_client_that_left_before_it_was_accepted_is_skipped(void **state)
{
    site *w = *state;
    site_open(w);
    net_faults_for_tests = (net_faults){.accept_err = ECONNABORTED, .accept_times = 2};
    char *got = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    assert_has(got, "hello\n");
    mem_free(got);
}

static void a_failing_write_ends_the_connection(void **state)
{
    site *w = *state;
    site_open(w);
    buf got = BUF_INIT;
    int fd = site_connect(w);
    net_faults_for_tests.write_err = EPIPE;
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_read_until(w, fd, &got, NULL);
    assert_int_equal(got.n, 0);
    close(fd);
    fd = site_connect(w);
    net_faults_for_tests.write_err = ECONNRESET;
    site_send(w, fd, STR("GET /bytes/100000 HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_read_until(w, fd, &got, NULL);
    close(fd);
    fd = site_connect(w);
    site_send(w, fd, STR("GET /bytes/30000000 HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_turn(w, 5);
    assert_true(http_stats_of(w->server)->buffered_bytes > 0); /* now the rest fails */
    net_faults_for_tests.write_err = EPIPE;
    site_read_until(w, fd, &got, NULL);
    close(fd);
    buf_reset(&got);
    fd = site_connect(w);
    net_faults_for_tests.read_err = ECONNRESET;
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    site_read_until(w, fd, &got, NULL);
    assert_int_equal(got.n, 0);
    close(fd);
    site_turn(w, 3);
    assert_int_equal(http_stats_of(w->server)->connections, 0);
    buf_done(&got);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_connection_is_closed_without_a_word),
        TEST(a_slow_head_is_answered_408),
        TEST(each_head_has_its_own_time),
        TEST(a_body_that_stops_is_answered_408),
        TEST(a_trickling_body_is_answered_408),
        TEST(a_steady_body_may_last),
        TEST(a_deferred_request_may_take_its_time),
        TEST(a_client_that_reads_nothing_is_cut),
        TEST(a_refused_client_that_never_leaves_is_cut),
        TEST(a_jump_of_the_clock_is_no_harm),
        TEST(a_long_target_is_refused_even_where_headers_may_be_longer),
        TEST(a_client_that_does_not_read_holds_back_its_own_requests),
        TEST(past_max_buffered_requests_are_refused_until_space_returns),
        TEST(bodies_in_the_making_count_as_buffered),
        TEST(connections_beyond_the_limit_are_told_so),
        TEST(who_was_refused_and_stays_takes_nobody_s_place),
        TEST(refused_connections_are_limited_too),
        TEST(out_of_descriptors_the_listener_rests_and_comes_back),
        TEST(a_client_that_left_before_it_was_accepted_is_skipped),
        TEST(a_failing_write_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
