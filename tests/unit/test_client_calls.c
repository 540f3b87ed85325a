/* Calls over plain connections: requests as sent, answers, the pool, redirects, retries, streaming. */
#include <stdio.h>

#include <zlib.h>

#include "fetch.h"

#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void a_call_gives_status_headers_and_body(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, &(client_options){.user_agent = "larder/1.2.3"});
    SCRIPT(&w, SAY("HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5\r\n\r\nhello"));
    fetch_init(&f, &w, "/some/path?q=1#part");
    fetch_run(&f, &w);

    assert_int_equal(f.call.failure, CLIENT_NONE);
    assert_null(f.call.why.p);
    assert_int_equal(f.call.status, 200);
    assert_int_equal(f.call.attempts, 1);
    assert_str(buf_view(&f.call.reply), "hello");
    assert_str(client_reply_header(&f.call, "x-a"), "b");
    assert_null(client_reply_header(&f.call, "x-b").p);
    char wanted[100];
    snprintf(wanted, sizeof(wanted), "%s/some/path?q=1", w.peer.url);
    assert_string_equal(f.call.final_url.p, wanted);

    char request[400];
    snprintf(request, sizeof(request),
             "GET /some/path?q=1 HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: larder/1.2.3\r\nAccept: */*\r\n"
             "Accept-Encoding: gzip, deflate\r\n\r\n",
             w.peer.port);
    assert_true(str_eq(w.peer.last, str_c(request)));
    fetch_done(&f);
    world_close(&w);
}

static void method_headers_and_body_are_sent(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    const client_header headers[] = {
        {STR("X-Key"), STR("secret")}, {STR("User-Agent"), STR("mine")}, {STR("Accept"), STR("text/html")}};
    fetch_init(&f, &w, "/");
    f.call.method = STR("POST");
    f.call.headers = headers;
    f.call.n_headers = COUNT_OF(headers);
    f.call.body = STR("a body");
    f.call.raw_body = true;
    fetch_run(&f, &w);
    assert_str(peer_request_line(w.peer.last), "POST / HTTP/1.1");
    assert_str(peer_header(w.peer.last, "X-Key"), "secret");
    assert_str(peer_header(w.peer.last, "User-Agent"), "mine");
    assert_str(peer_header(w.peer.last, "Accept"), "text/html");
    assert_str(peer_header(w.peer.last, "Accept-Encoding"), "identity");
    assert_str(peer_header(w.peer.last, "Content-Length"), "6");
    assert_true(str_ends(w.peer.last, STR("\r\n\r\na body")));
    fetch_done(&f);

    fetch_init(&f, &w, "/");
    f.call.method = STR("PUT");
    fetch_run(&f, &w);
    assert_str(peer_header(w.peer.last, "Content-Length"), "0");
    fetch_done(&f);
    world_close(&w);
}

static void what_cannot_be_sent_never_reaches_the_wire(void **state)
{
    (void)state;
    const struct {
        const char *url, *method;
        client_header header;
        client_failure failure;
        const char *why;
    } cases[] = {
        {"ftp://a/", NULL, {STR("A"), STR("b")}, CLIENT_URL, "the URL must begin with http:// or https://"},
        {"http://user:password@a/",
         NULL,
         {STR("A"), STR("b")},
         CLIENT_URL,
         "a URL with user name or password is not accepted"},
        {"/", "GET ", {STR("A"), STR("b")}, CLIENT_REQUEST, "bad request method"},
        {"/", "CONNECT", {STR("A"), STR("b")}, CLIENT_REQUEST, "bad request method"},
        {"/", "", {STR("A"), STR("b")}, CLIENT_REQUEST, "bad request method"},
        {"/",
         NULL,
         {STR("A"), STR("b\r\nHost: evil")},
         CLIENT_REQUEST,
         "a request header has bytes that can't be sent"},
        {"/", NULL, {STR("A"), STR("b\0c")}, CLIENT_REQUEST, "a request header has bytes that can't be sent"},
        {"/", NULL, {STR("A b"), STR("c")}, CLIENT_REQUEST, "a request header has bytes that can't be sent"},
        {"/", NULL, {STR(""), STR("c")}, CLIENT_REQUEST, "a request header has bytes that can't be sent"},
        {"/", NULL, {STR("host"), STR("c")}, CLIENT_REQUEST, "a request header that the caller may not set"},
        {"/", NULL, {STR("Content-length"), STR("1")}, CLIENT_REQUEST, "a request header that the caller may not set"},
        {"/",
         NULL,
         {STR("Transfer-Encoding"), STR("chunked")},
         CLIENT_REQUEST,
         "a request header that the caller may not set"},
        {"https://127.0.0.1:9/",
         NULL,
         {STR("A"), STR("b")},
         CLIENT_TLS,
         "127.0.0.1: https is not available: no certificates were loaded"},
    };
    world w;
    world_open(&w, NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        fetch f;
        fetch_init(&f, &w, cases[i].url);
        f.call.headers = &cases[i].header;
        f.call.n_headers = 1;
        f.call.method = str_c(cases[i].method);
        f.call.retries = 3;
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, cases[i].failure);
        assert_string_equal(f.call.why.p, cases[i].why);
        assert_int_equal(f.call.status, 0);
        fetch_done(&f);
    }
    assert_int_equal(w.peer.connections, 0);
    world_close(&w);
}

/* ---- the pool ---- */

static void connections_are_used_again(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    for (int i = 0; i < 5; i++)
        fetch_expect(&w, "/", 200, "hello");
    assert_int_equal(w.peer.connections, 1);
    assert_int_equal(w.peer.requests, 5);
    world_close(&w);
}

static void connections_that_can_not_be_used_again_are_not(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    };
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        world w;
        world_open(&w, NULL);
        const peer_step step = SAY(answers[i]);
        w.peer.steps = &step;
        w.peer.n_steps = 1;
        fetch_expect(&w, "/", 200, "hello");
        fetch_expect(&w, "/", 200, "hello");
        assert_int_equal(w.peer.connections, 2);
        peer_turns(w.loop);
        assert_int_equal(w.peer.open, 0);
        world_close(&w);
    }
}

static void bytes_nobody_asked_for_end_an_idle_connection(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL);
    SCRIPT(&w, {.say = OK5 "\r\n\r\nXYZ", .drip = sizeof(OK5) - 1});
    fetch_expect(&w, "/", 200, "hello");
    peer_turns(w.loop);
    assert_int_equal(w.peer.open, 0);
    world_close(&w);
}

static void an_idle_connection_is_closed_after_its_time(void **state)
{
    (void)state;
    world w;
    world_open(&w, &(client_options){.idle_ms = SECONDS(30)});
    SCRIPT(&w, SAY(OK5));
    fetch_expect(&w, "/", 200, "hello");
    world_pass(&w, SECONDS(30) - 1);
    assert_int_equal(w.peer.open, 1);
    world_pass(&w, 1);
    assert_int_equal(w.peer.open, 0);
    fetch_expect(&w, "/", 200, "hello");
    assert_int_equal(w.peer.connections, 2);
    world_close(&w);
}

static peer_conn *held[8];
static unsigned n_held;
static void hold(peer *p, peer_conn *c, str request)
{
    (void)p, (void)request;
    held[n_held++ % 8] = c;
}

static void calls_past_the_limit_wait_in_line(void **state)
{
    (void)state;
    world w;
    fetch f[6];
    world_open(&w, &(client_options){.per_origin = 2});
    w.peer.on_request = hold;
    n_held = 0;
    for (size_t i = 0; i < COUNT_OF(f); i++) {
        char path[8];
        snprintf(path, sizeof(path), "/%zu", i);
        fetch_init(&f[i], &w, path);
        fetch_start(&f[i], &w);
    }
    for (size_t i = 0; i < COUNT_OF(f); i++) {
        peer_turns(w.loop);
        assert_int_equal(w.peer.requests, i < 5 ? i + 2 : 6); /* two at a time, in the order they came */
        peer_say(held[i], STR(OK5));
        fetch_wait(&f[i], &w);
        assert_int_equal(f[i].call.status, 200);
        fetch_done(&f[i]);
    }
    assert_int_equal(w.peer.most_open, 2);
    assert_int_equal(w.peer.connections, 2);
    world_close(&w);
}

static void a_pooled_connection_that_died_is_replaced_silently(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        if (reset)
            SCRIPT(&w, SAY(OK5), SAY_AND("", PEER_RESET), SAY(OK5));
        else
            SCRIPT(&w, SAY(OK5), SAY_AND("", PEER_CLOSE), SAY(OK5));
        fetch_expect(&w, "/", 200, "hello");
        fetch_init(&f, &w, "/");
        fetch_run(&f, &w);
        assert_int_equal(f.call.status, 200);
        assert_int_equal(f.call.attempts, 1);
        assert_int_equal(w.peer.connections, 2);
        assert_int_equal(world_count(&w, NULL, "connection_closed"), 0);
        fetch_done(&f);
        world_close(&w);
    }
}

static void a_request_that_may_not_be_repeated_is_not_sent_twice(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5), SAY_AND("", PEER_CLOSE), SAY(OK5));
    fetch_expect(&w, "/", 200, "hello");
    fetch_init(&f, &w, "/");
    f.call.method = STR("POST");
    f.call.retries = 3;
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_CLOSED);
    assert_string_equal(f.call.why.p, "127.0.0.1: the connection closed before the answer");
    assert_int_equal(w.peer.requests, 2);
    fetch_done(&f);
    world_close(&w);
}

static void a_server_that_closed_its_connections_costs_nothing(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    fetch_expect(&w, "/", 200, "hello");
    peer_drop_all(&w.peer);
    peer_turns(w.loop);
    fetch_expect(&w, "/", 200, "hello");
    assert_int_equal(w.peer.connections, 2);
    world_close(&w);
}

/* ---- bodies ---- */

static void answers_arrive_whole_however_they_were_cut(void **state)
{
    (void)state;
    static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n";
    for (size_t drip = 1; drip < sizeof(answer); drip += 3) {
        world w;
        world_open(&w, NULL);
        const peer_step step = {.say = answer, .drip = drip};
        w.peer.steps = &step;
        w.peer.n_steps = 1;
        fetch_expect(&w, "/", 200, "hello!");
        world_close(&w);
    }
}

static void a_body_may_end_with_the_connection(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL);
    SCRIPT(&w, SAY_AND("HTTP/1.1 200 OK\r\n\r\nall there is", PEER_CLOSE));
    fetch_expect(&w, "/", 200, "all there is");
    world_close(&w);
}

static void head_has_no_body_and_leaves_the_connection_usable(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"), SAY(OK5));
    fetch_init(&f, &w, "/");
    f.call.method = STR("HEAD");
    fetch_run(&f, &w);
    assert_int_equal(f.call.status, 200);
    assert_int_equal(f.call.reply.n, 0);
    assert_str(client_reply_header(&f.call, "content-length"), "5000");
    fetch_done(&f);
    fetch_expect(&w, "/", 200, "hello");
    assert_int_equal(w.peer.connections, 1);
    world_close(&w);
}

static void large_answer(peer *p, peer_conn *c, str request)
{
    (void)request;
    size_t *n = p->user;
    SCOPED(buf_done)
    buf b = BUF_INIT;
    buf_printf(&b, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", *n);
    char *body = buf_reserve(&b, *n);
    for (size_t i = 0; i < *n; i++)
        body[i] = (char)('a' + i % 26);
    b.n += *n;
    peer_say(c, buf_view(&b));
}

static void assert_large(str body, size_t n)
{
    assert_int_equal(body.n, n);
    for (size_t i = 0; i < n; i++)
        if (body.p[i] != (char)('a' + i % 26))
            fail_msg("wrong byte at %zu", i);
}

static void a_large_body_comes_whole_kept_or_streamed(void **state)
{
    (void)state;
    size_t n = 5 << 20;
    for (int streamed = 0; streamed < 2; streamed++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        w.peer.on_request = large_answer;
        w.peer.user = &n;
        fetch_init(&f, &w, "/");
        if (streamed)
            fetch_stream(&f);
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_NONE);
        assert_large(buf_view(streamed ? &f.streamed : &f.call.reply), n);
        assert_int_equal(streamed ? f.call.reply.n : f.streamed.n, 0);
        fetch_done(&f);
        world_close(&w);
    }
}

/* 5 MiB of zeros in 5 KiB: what is unpacked in one turn of the loop is limited, however little came over the wire. */
static void unpacking_takes_turns_with_others(void **state)
{
    (void)state;
    world w;
    fetch f;
    size_t n = 5 << 20, before = 0, most = 0;
    z_stream z = {0};
    static unsigned char zeros[65536], packed[16384];
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = packed;
    z.avail_out = sizeof(packed);
    for (size_t done = 0; done < n; done += sizeof(zeros)) {
        z.next_in = zeros;
        z.avail_in = sizeof(zeros);
        assert_int_equal(deflate(&z, done + sizeof(zeros) == n ? Z_FINISH : Z_NO_FLUSH), done + sizeof(zeros) == n);
    }
    SCOPED(buf_done)
    buf answer = BUF_INIT;
    buf_printf(&answer, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %lu\r\n\r\n", z.total_out);
    buf_put(&answer, packed, z.total_out);
    deflateEnd(&z);
    world_open(&w, NULL);
    const peer_step step = {.say = answer.p, .n = answer.n};
    w.peer.steps = &step;
    w.peer.n_steps = 1;
    fetch_init(&f, &w, "/");
    fetch_stream(&f);
    fetch_start(&f, &w);
    while (!f.done) {
        peer_turn(w.loop);
        most = f.streamed.n - before > most ? f.streamed.n - before : most;
        before = f.streamed.n;
    }
    assert_int_equal(f.call.failure, CLIENT_NONE);
    assert_int_equal(f.streamed.n, n);
    assert_true(most <= 256 * 1024);
    fetch_done(&f);
    world_close(&w);
}

static void a_paused_body_waits_and_holds_the_server_back(void **state)
{
    (void)state;
    size_t n = 20 << 20;
    world w;
    fetch f;
    world_open(&w, &(client_options){.first_byte_ms = SECONDS(5), .total_ms = HOURS(1)});
    w.peer.on_request = large_answer;
    w.peer.user = &n;
    fetch_init(&f, &w, "/");
    fetch_stream(&f);
    f.pause_after = 100000;
    fetch_start(&f, &w);
    peer_run_until(w.loop, f.streamed.n >= f.pause_after);
    size_t got = f.streamed.n;
    peer_turns(w.loop);
    assert_int_equal(f.streamed.n, got);
    world_pass(&w, MINUTES(10)); /* silence of our own making is no silence */
    assert_int_equal(f.streamed.n, got);
    assert_int_equal(f.done, 0);

    f.pause_after = 0;
    client_resume(&f.call);
    fetch_wait(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_NONE);
    assert_large(buf_view(&f.streamed), n);
    fetch_done(&f);
    world_close(&w);
}

static void a_reader_may_pause_at_every_piece(void **state)
{
    (void)state;
    size_t n = 1 << 20;
    world w;
    fetch f;
    world_open(&w, NULL);
    w.peer.on_request = large_answer;
    w.peer.user = &n;
    fetch_init(&f, &w, "/");
    fetch_stream(&f);
    f.pause_after = 1;
    fetch_start(&f, &w);
    while (!f.done) {
        unsigned pieces = f.pieces;
        peer_run_until(w.loop, f.pieces > pieces || f.done);
        assert_true(f.pieces <= pieces + 1);
        client_resume(&f.call);
    }
    assert_large(buf_view(&f.streamed), n);
    fetch_done(&f);
    world_close(&w);
}

static void a_reader_that_refuses_ends_the_call(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    fetch_init(&f, &w, "/");
    fetch_stream(&f);
    f.refuse = -EINVAL;
    f.call.retries = 3;
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_SINK);
    assert_int_equal(f.pieces, 1);
    assert_int_equal(w.peer.requests, 1);
    fetch_done(&f);
    world_close(&w);
}

static void bodies_of_other_answers_are_not_streamed(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope"));
    fetch_init(&f, &w, "/");
    fetch_stream(&f);
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_NONE);
    assert_int_equal(f.call.status, 404);
    assert_int_equal(f.pieces, 0);
    assert_str(buf_view(&f.call.reply), "nope");
    fetch_done(&f);
    world_close(&w);
}

static void too_large_an_answer_is_refused(void **state)
{
    (void)state;
    static const char *const answers[] = {
        OK5, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello"};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        const peer_step step = SAY_AND(answers[i], PEER_CLOSE);
        w.peer.steps = &step;
        w.peer.n_steps = 1;
        fetch_init(&f, &w, "/");
        f.call.max_body = 4;
        f.call.retries = 3;
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_TOO_LARGE);
        assert_string_equal(f.call.why.p, "127.0.0.1: the body is too large");
        assert_int_equal(f.call.reply.n, 0);
        assert_int_equal(f.call.status, 200);
        fetch_done(&f);
        world_close(&w);
    }
}

static void an_answer_may_come_before_the_body_was_sent(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    /* The server answers as soon as it has the head, for which it takes the declared body to be empty. */
    SCRIPT(&w, SAY_AND("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno", PEER_CLOSE));
    SCOPED(buf_done)
    buf body = BUF_INIT;
    memset(buf_reserve(&body, 8 << 20), 'x', 8 << 20);
    body.n = 8 << 20;
    w.peer.head_only = true;
    fetch_init(&f, &w, "/");
    f.call.method = STR("POST");
    f.call.body = buf_view(&body);
    fetch_run(&f, &w);
    /* What arrived before the reset counts; where the reset was faster, that is told. */
    if (f.call.failure == CLIENT_NONE)
        assert_int_equal(f.call.status, 413);
    else
        assert_int_equal(f.call.failure, CLIENT_CLOSED);
    fetch_done(&f);
    world_close(&w);
}

static void a_client_that_can_not_be_made_leaves_nothing_behind(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL);
    for (long n = 0; unit_next_fault(&n);) {
        client *c = NULL;
        world other = {0};
        int r = client_new(w.loop, NULL, &(client_options){.user_agent = "x"}, &c);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        assert_int_equal(c != NULL, r == 0);
        if (r == 0) {
            other.loop = w.loop;
            other.client = c;
            world_close_client(&other);
        }
    }
    world_close(&w);
}

static void garbage_is_an_invalid_response(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY_AND("\x16\x03\x03\x00\x02\x02\x28", PEER_CLOSE));
    fetch_init(&f, &w, "/");
    f.call.retries = 3;
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_PROTOCOL);
    assert_int_equal(w.peer.requests, 1);
    fetch_done(&f);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_gives_status_headers_and_body),
        cmocka_unit_test(method_headers_and_body_are_sent),
        cmocka_unit_test(what_cannot_be_sent_never_reaches_the_wire),
        cmocka_unit_test(connections_are_used_again),
        cmocka_unit_test(connections_that_can_not_be_used_again_are_not),
        cmocka_unit_test(bytes_nobody_asked_for_end_an_idle_connection),
        cmocka_unit_test(an_idle_connection_is_closed_after_its_time),
        cmocka_unit_test(calls_past_the_limit_wait_in_line),
        cmocka_unit_test(a_pooled_connection_that_died_is_replaced_silently),
        cmocka_unit_test(a_request_that_may_not_be_repeated_is_not_sent_twice),
        cmocka_unit_test(a_server_that_closed_its_connections_costs_nothing),
        cmocka_unit_test(answers_arrive_whole_however_they_were_cut),
        cmocka_unit_test(a_body_may_end_with_the_connection),
        cmocka_unit_test(head_has_no_body_and_leaves_the_connection_usable),
        cmocka_unit_test(a_large_body_comes_whole_kept_or_streamed),
        cmocka_unit_test(unpacking_takes_turns_with_others),
        cmocka_unit_test(a_paused_body_waits_and_holds_the_server_back),
        cmocka_unit_test(a_reader_may_pause_at_every_piece),
        cmocka_unit_test(a_reader_that_refuses_ends_the_call),
        cmocka_unit_test(bodies_of_other_answers_are_not_streamed),
        cmocka_unit_test(too_large_an_answer_is_refused),
        cmocka_unit_test(an_answer_may_come_before_the_body_was_sent),
        cmocka_unit_test(a_client_that_can_not_be_made_leaves_nothing_behind),
        cmocka_unit_test(garbage_is_an_invalid_response),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
