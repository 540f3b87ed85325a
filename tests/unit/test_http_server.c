/* The server over real sockets: requests, replies, and what it says to what it refuses. */
#include "http_site.h"

#include <stdio.h>
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

static void a_reply_has_its_lines(void **state)
{
    site *w = *state;
    char *got = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "X-Request-ID: my.id_1\r\n\r\n");
    assert_string_equal(got, "HTTP/1.1 200 OK\r\n"
                             "Date: Thu, 15 Jan 2026 10:20:30 GMT\r\n"
                             "X-Request-ID: my.id_1\r\n"
                             "Content-Length: 6\r\n"
                             "Content-Type: text/plain\r\n"
                             "ETag: \"abc\"\r\n"
                             "Connection: close\r\n"
                             "\r\n"
                             "hello\n");
    mem_free(got);
    assert_int_equal(w->replied, 1);
    assert_int_equal(w->last_status, 200);
    assert_int_equal(w->last_bytes, 6);
}

static void head_has_the_length_but_no_body(void **state)
{
    site *w = *state;
    char *got = ask(w, "HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nHEAD /none HTTP/1.1\r\n" CLOSE "\r\n");
    assert_has(got, "Content-Length: 6\r\n");
    assert_lacks(got, "hello");
    assert_int_equal(count_text(got, "HTTP/1.1 "), 2);
    assert_int_equal(w->last_bytes, 0);
    mem_free(got);
}

static void the_date_is_of_the_second(void **state)
{
    site *w = *state;
    site_pass(w, 570);
    char *a = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    site_pass(w, 500);
    char *b = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    assert_has(a, "10:20:30 GMT");
    assert_has(b, "10:20:31 GMT");
    mem_free(a);
    mem_free(b);
}

static void connections_stay_open_as_the_version_says(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert_false(site_read(w, fd, &got));
    assert_lacks(got.p, "Connection:");
    buf_reset(&got);
    site_send(w, fd, STR("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    assert_false(site_read(w, fd, &got));
    assert_has(got.p, "Connection: keep-alive\r\n");
    buf_reset(&got);
    site_send(w, fd, STR("GET /hello HTTP/1.0\r\n\r\n"));
    assert_true(site_read(w, fd, &got));
    assert_has(got.p, "Connection: close\r\n");
    close(fd);
    buf_done(&got);
    const str ends[] = {STR("close"), STR("Close\t"), STR("\tclose\t "), STR("x, keep-alive\t,close\t,y"),
                        STR("x\r\nConnection: close\t")};
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        buf_printf(&got, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: " STR_FMT "\r\n\r\n", STR_ARG(ends[i]));
        char *reply = site_ask(w, buf_view(&got));
        assert_has(reply, "Connection: close\r\n");
        mem_free(reply);
        buf_reset(&got);
    }
    buf_done(&got);
}

static void bodies_arrive_however_they_are_sent(void **state)
{
    site *w = *state;
    const str WAYS[] = {
        STR("POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 5\r\n\r\nhello"),
        STR("POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n"
            "X: y\r\n\r\n"),
    };
    for (size_t i = 0; i < COUNT_OF(WAYS); i++) {
        for (size_t piece = WAYS[i].n; piece > 0; piece = piece * 2 / 3) {
            buf got = BUF_INIT;
            int fd = site_connect(w);
            for (str rest = WAYS[i]; rest.n > 0; rest = str_from(rest, piece))
                site_send(w, fd, str_head(rest, piece));
            site_read_until(w, fd, &got, NULL);
            assert_has(got.p, "200 OK");
            assert_has(got.p, "\r\n\r\nhello");
            close(fd);
            buf_done(&got);
        }
    }
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    site *w = *state;
    enum { N = 3000 }; /* more than one read and one write take */
    buf sent = BUF_INIT, got = BUF_INIT;
    for (int i = 0; i < N; i++)
        buf_printf(&sent, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n<%06d>", i);
    buf_str(&sent, STR("GET /hello HTTP/1.1\r\n" CLOSE "\r\n"));
    int fd = site_connect(w);
    for (str rest = buf_view(&sent); rest.n > 0; rest = str_from(rest, 50000)) {
        site_send(w, fd, str_head(rest, 50000));
        site_read(w, fd, &got);
    }
    site_read_until(w, fd, &got, NULL);
    const char *at = got.p;
    for (int i = 0; i < N; i++) {
        char want[32];
        snprintf(want, sizeof(want), "\r\n\r\n<%06d>HTTP/1.1", i);
        at = strstr(at, want);
        if (!at)
            fail_msg("no reply to request %d", i);
        assert_true(at < got.p + (size_t)(i + 1) * 250); /* in its place, not later */
    }
    close(fd);
    buf_done(&sent);
    buf_done(&got);
}

static void a_request_id_is_taken_when_sane_and_made_otherwise(void **state)
{
    site *w = *state;
    static const char *const INSANE[] = {"", "a b", "a/b", "\xc3\xa4", "<script>"};
    for (size_t i = 0; i < COUNT_OF(INSANE); i++) {
        str line = arena_printf(&w->arena, "GET /hello HTTP/1.1\r\n" CLOSE "X-Request-ID: %s\r\n\r\n", INSANE[i]);
        char *got = site_ask(w, line);
        const char *id = strstr(got, "X-Request-ID: ") + 14;
        assert_int_equal(strspn(id, "0123456789abcdef"), 18);
        mem_free(got);
    }
    char *two = ask(w, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\n" CLOSE "\r\n");
    const char *first = strstr(two, "X-Request-ID: "), *second = strstr(first + 1, "X-Request-ID: ");
    assert_memory_not_equal(first, second, 14 + 18);
    mem_free(two);
}

static void refusals_have_the_family_s_body_and_close(void **state)
{
    site *w = *state;
    const struct {
        str request;
        const char *begins, *body;
    } ROWS[] = {
        {STR_INIT("GET /a HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 Bad Request\r\n",
         "error 400 at /a: the header Host is missing\n"},
        {STR_INIT("GET /a HTTP/1.1\nHost: a\n\n"), "HTTP/1.1 400 Bad Request\r\n", "error 400 at : "},
        {STR_INIT("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 501 Not Implemented\r\n", "error 501 at : "},
        {STR_INIT("GET / HTTP/3.0\r\nHost: a\r\n\r\n"), "HTTP/1.1 505 HTTP Version Not Supported\r\n",
         "error 505 at : "},
        {STR_INIT("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n"), "HTTP/1.1 501 ", "error 501 at : this is no proxy\n"},
        {STR_INIT("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n"),
         "HTTP/1.1 413 Content Too Large\r\n", "error 413 at /a: "},
        {STR("POST /a HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n"),
         "HTTP/1.1 417 Expectation Failed\r\n", "error 417 at /a: "},
        {STR_INIT("POST /a HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"),
         "HTTP/1.1 415 Unsupported Media Type\r\n", "error 415 at /a: a body is taken as it stands"},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        int before = w->replied;
        char *got = site_ask(w, ROWS[i].request);
        assert_memory_equal(got, ROWS[i].begins, strlen(ROWS[i].begins));
        assert_has(got, "\r\nConnection: close\r\n");
        assert_has(got, "\r\nX-Request-ID: ");
        assert_has(got, ROWS[i].body);
        assert_int_equal(w->replied, before + 1);
        mem_free(got);
    }
    assert_int_equal(http_stats_of(w->server)->requests, 0);
}

static void what_stands_behind_a_refused_request_is_not_read(void **state)
{
    site *w = *state;
    char *got = ask(w, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost : a\r\n\r\nGET /hello HTTP/1.1\r\n"
                       "Host: a\r\n\r\n");
    assert_int_equal(count_text(got, "HTTP/1.1 200"), 1);
    assert_int_equal(count_text(got, "HTTP/1.1 400"), 1);
    assert_int_equal(count_text(got, "HTTP/1.1 "), 2);
    mem_free(got);
}

static void what_stands_behind_a_closing_request_is_not_read(void **state)
{
    site *w = *state;
    char *got = ask(w, "GET /hello HTTP/1.1\r\n" CLOSE "\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(count_text(got, "HTTP/1.1 "), 1);
    mem_free(got);
}

static void a_refused_client_that_goes_on_sending_can_read_why(void **state)
{
    site *w = *state;
    buf got = BUF_INIT, upload = BUF_INIT;
    for (int i = 0; i < 1 << 20; i++)
        buf_str(&upload, STR("xxxx"));
    int fd = site_connect(w);
    site_send(w, fd, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4194304\r\n\r\n"));
    site_send(w, fd, buf_view(&upload));
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "HTTP/1.1 413 ");
    close(fd);
    buf_done(&got);
    buf_done(&upload);
}

static void continue_is_said_when_the_body_is_wanted_and_not_here(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, STR("POST /echo HTTP/1.1\r\n" CLOSE "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\n"));
    site_read_until(w, fd, &got, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(got.n, strlen("HTTP/1.1 100 Continue\r\n\r\n"));
    site_send(w, fd, STR("hello"));
    site_read_until(w, fd, &got, NULL);
    assert_has(got.p, "200 OK");
    close(fd);
    buf_done(&got);

    char *here = ask(w, "POST /echo HTTP/1.1\r\n" CLOSE "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    assert_lacks(here, "100 Continue");
    mem_free(here);
    char *old = ask(w, "POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    assert_lacks(old, "100 Continue");
    mem_free(old);
    char *large = ask(w, "POST /echo HTTP/1.1\r\n" CLOSE "Expect: 100-continue\r\nContent-Length: 9999999\r\n\r\n");
    assert_lacks(large, "100 Continue");
    assert_has(large, "HTTP/1.1 413 ");
    mem_free(large);
}

static int small_bodies_only(site *w, http_request *req, size_t *ret_max_body)
{
    (void)w;
    assert_non_null(req->path.p);
    *ret_max_body = 3;
    return str_eq(req->path, STR("/forbidden")) ? 403 : 0;
}

static void on_head_limits_and_refuses_bodies(void **state)
{
    site *w = *state;
    w->on_head = small_bodies_only;
    char *fits = ask(w, "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 3\r\n\r\nabc");
    assert_has(fits, "200 OK");
    char *large = ask(w, "POST /echo HTTP/1.1\r\n" CLOSE "Content-Length: 4\r\n\r\nabcd");
    assert_has(large, "HTTP/1.1 413 ");
    char *chunked = ask(w, "POST /echo HTTP/1.1\r\n" CLOSE "Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n");
    assert_has(chunked, "HTTP/1.1 413 ");
    char *forbidden = ask(w, "POST /forbidden HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n");
    assert_has(forbidden, "HTTP/1.1 403 Forbidden\r\n");
    assert_has(forbidden, "error 403 at /forbidden: Forbidden\n");
    mem_free(fits);
    mem_free(large);
    mem_free(chunked);
    mem_free(forbidden);
}

static void no_content(site *w, http_request *req)
{
    (void)w;
    http_reply_send(req, &(http_reply){.status = str_eq(req->path, STR("/204")) ? 204 : 304,
                                       .content_type = STR("text/plain"),
                                       .etag = STR("abc"),
                                       .headers = STR("X-More: 1\r\n")});
}

static void statuses_without_a_body_have_no_length(void **state)
{
    site *w = *state;
    w->handler = no_content;
    char *got = ask(w, "GET /204 HTTP/1.1\r\nHost: a\r\n\r\nGET /304 HTTP/1.1\r\n" CLOSE "\r\n");
    assert_lacks(got, "Content-Length");
    assert_lacks(got, "Content-Type");
    assert_has(got, "HTTP/1.1 204 No Content\r\n");
    assert_has(got, "HTTP/1.1 304 Not Modified\r\n");
    assert_int_equal(count_text(got, "ETag: \"abc\"\r\n"), 2);
    assert_int_equal(count_text(got, "X-More: 1\r\n"), 2);
    mem_free(got);
}

static void name_method(site *w, http_request *req)
{
    (void)w;
    http_reply_send(
        req,
        &(http_reply){.status = 200, .content_type = STR("text/plain"), .body = str_c(http_method_name(req->method))});
}

static void methods_are_told_apart(void **state)
{
    site *w = *state;
    w->handler = name_method;
    static const struct {
        const char *sent, *got;
    } ROWS[] = {{"GET", "GET"},       {"POST", "POST"},       {"PUT", "PUT"},     {"PATCH", "PATCH"},
                {"DELETE", "DELETE"}, {"OPTIONS", "OPTIONS"}, {"TRACE", "OTHER"}, {"PROPFIND", "OTHER"}};
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        char *got = site_ask(w, arena_printf(&w->arena, "%s /x HTTP/1.1\r\n" CLOSE "\r\n", ROWS[i].sent));
        assert_string_equal(strstr(got, "\r\n\r\n") + 4, ROWS[i].got);
        mem_free(got);
    }
}

static void a_refused_head_has_no_body(void **state)
{
    site *w = *state;
    char *got = ask(w, "HEAD /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n");
    assert_has(got, "HTTP/1.1 413 ");
    assert_lacks(got, "Content-Length: 0\r\n");
    assert_true(str_ends(str_c(got), STR("\r\n\r\n")));
    mem_free(got);
}

static void more_than_is_gathered_at_once_arrives_in_order(void **state)
{
    site *w = *state;
    buf sent = BUF_INIT;
    for (int i = 0; i < 40; i++)
        buf_printf(&sent, "GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n", 1 + i * 1000);
    buf_str(&sent, STR("GET /hello HTTP/1.1\r\n" CLOSE "\r\n"));
    char *got = site_ask(w, buf_view(&sent));
    const char *at = got;
    for (size_t i = 0; i < 40; i++) {
        at = strstr(at, "\r\n\r\n");
        assert_non_null(at);
        at += 4;
        assert_int_equal(strspn(at, "abcdefghijklmnopqrstuvwxyz"), 1 + i * 1000);
    }
    mem_free(got);
    buf_done(&sent);
}

static void closing(site *w, http_request *req)
{
    (void)w;
    http_reply_send(req, &(http_reply){.status = 200, .close = true});
}

static void a_handler_may_end_the_connection(void **state)
{
    site *w = *state;
    w->handler = closing;
    char *got = ask(w, "GET /close HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_has(got, "Connection: close\r\n");
    assert_has(got, "Content-Length: 0\r\n");
    assert_int_equal(count_text(got, "HTTP/1.1 "), 1);
    mem_free(got);
}

/* Whatever the kernel takes or gives per call, the same bytes come out. */
static void short_reads_and_writes_change_nothing(void **state)
{
    site *w = *state;
    buf request = BUF_INIT;
    buf_str(&request, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n"));
    for (int i = 0; i < 30000; i++)
        buf_char(&request, (char)('a' + i % 23));
    buf_str(&request, STR("GET /bytes/40000 HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\n" CLOSE "\r\n"));
    static const net_faults FAULTS[] = {
        {.read_max = 0}, {.read_max = 37}, {.write_max = 97}, {.read_max = 501, .write_max = 89}};
    char *wanted = NULL;
    for (size_t i = 0; i < COUNT_OF(FAULTS); i++) {
        net_faults_for_tests = FAULTS[i];
        char *got = site_ask(w, buf_view(&request));
        for (char *id; (id = strstr(got, "X-Request-ID: "));)
            memset(id, 'x', 14 + 18); /* differs by nature */
        if (wanted)
            assert_string_equal(got, wanted);
        else
            wanted = got;
        if (got != wanted)
            mem_free(got);
    }
    mem_free(wanted);
    net_faults_for_tests = (net_faults){0};
    buf_done(&request);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_reply_has_its_lines),
        TEST(head_has_the_length_but_no_body),
        TEST(the_date_is_of_the_second),
        TEST(connections_stay_open_as_the_version_says),
        TEST(bodies_arrive_however_they_are_sent),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(a_request_id_is_taken_when_sane_and_made_otherwise),
        TEST(refusals_have_the_family_s_body_and_close),
        TEST(what_stands_behind_a_refused_request_is_not_read),
        TEST(what_stands_behind_a_closing_request_is_not_read),
        TEST(a_refused_client_that_goes_on_sending_can_read_why),
        TEST(continue_is_said_when_the_body_is_wanted_and_not_here),
        TEST(on_head_limits_and_refuses_bodies),
        TEST(methods_are_told_apart),
        TEST(a_refused_head_has_no_body),
        TEST(more_than_is_gathered_at_once_arrives_in_order),
        TEST(statuses_without_a_body_have_no_length),
        TEST(a_handler_may_end_the_connection),
        TEST(short_reads_and_writes_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
