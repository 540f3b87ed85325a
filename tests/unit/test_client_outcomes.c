/* What follows from an answer or a failure: redirects, retries, the breaker. */
#include <stdio.h>

#include "fetch.h"

#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define STATUS(status, headers) "HTTP/1.1 " status " X\r\n" headers "Content-Length: 2\r\n\r\nno"

/* ---- redirects ---- */

static void a_redirect_is_followed_on_the_same_connection(void **state)
{
    (void)state;
    world w;
    fetch f;
    char wanted[100];
    world_open(&w, NULL);
    SCRIPT(&w, SAY(STATUS("302", "Location: ../there?a=b#c\r\n")), SAY(OK5));
    fetch_init(&f, &w, "/here/and/now");
    fetch_run(&f, &w);
    assert_int_equal(f.call.status, 200);
    assert_str(buf_view(&f.call.reply), "hello");
    assert_int_equal(f.call.attempts, 1);
    snprintf(wanted, sizeof(wanted), "%s/here/there?a=b", w.peer.url);
    assert_string_equal(f.call.final_url.p, wanted);
    assert_int_equal(w.peer.connections, 1);
    fetch_done(&f);
    world_close(&w);
}

static void methods_change_as_the_rfc_says(void **state)
{
    (void)state;
    static const struct {
        const char *status, *method, *after;
        bool keeps_body;
    } cases[] = {
        {"301", "GET", "GET / HTTP/1.1", true},   {"301", "POST", "GET / HTTP/1.1", false},
        {"302", "POST", "GET / HTTP/1.1", false}, {"302", "PUT", "PUT / HTTP/1.1", true},
        {"303", "PUT", "GET / HTTP/1.1", false},  {"303", "HEAD", "HEAD / HTTP/1.1", true},
        {"307", "POST", "POST / HTTP/1.1", true}, {"308", "DELETE", "DELETE / HTTP/1.1", true},
    };
    const client_header type = {STR("Content-Type"), STR("text/plain")};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        world w;
        fetch f;
        char first[100];
        world_open(&w, NULL);
        snprintf(first, sizeof(first), "HTTP/1.1 %s X\r\nLocation: /\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                 cases[i].status);
        const peer_step steps[] = {SAY_AND(first, PEER_CLOSE), SAY_AND("HTTP/1.1 204 OK\r\n\r\n", PEER_CLOSE)};
        w.peer.steps = steps;
        w.peer.n_steps = 2;
        fetch_init(&f, &w, "/first");
        f.call.method = str_c(cases[i].method);
        f.call.headers = &type;
        f.call.n_headers = 1;
        f.call.body = STR("the body");
        fetch_run(&f, &w);
        assert_int_equal(f.call.status, 204);
        assert_true(str_eq(peer_request_line(w.peer.last), str_c(cases[i].after)));
        assert_int_equal(str_ends(w.peer.last, STR("\r\n\r\nthe body")), cases[i].keeps_body);
        assert_int_equal(peer_header(w.peer.last, "Content-Type").p != NULL, cases[i].keeps_body);
        fetch_done(&f);
        world_close(&w);
    }
}

static void five_redirects_are_followed_and_no_more(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(STATUS("302", "Location: /loop\r\n")));
    fetch_init(&f, &w, "/loop");
    f.call.retries = 3;
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_REDIRECT);
    assert_string_equal(f.call.why.p, "127.0.0.1: too many redirects");
    assert_int_equal(w.peer.requests, 6);
    fetch_done(&f);

    SCRIPT(&w, SAY(STATUS("301", "Location: /1\r\n")), SAY(STATUS("302", "Location: 2\r\n")),
           SAY(STATUS("303", "Location: 3\r\n")), SAY(STATUS("307", "Location: 4\r\n")),
           SAY(STATUS("308", "Location: 5\r\n")), SAY(OK5));
    fetch_expect(&w, "/", 200, "hello");
    assert_str(peer_request_line(w.peer.last), "GET /5 HTTP/1.1");
    world_close(&w);
}

static void a_redirect_to_where_we_do_not_go_ends_the_call(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *why;
    } cases[] = {
        {STATUS("302", "Location: ftp://127.0.0.1/\r\n"),
         "127.0.0.1: redirected to where we can't go: the URL must begin with http:// or https://"},
        {STATUS("302", "Location: http://user:pw@127.0.0.1/\r\n"),
         "127.0.0.1: redirected to where we can't go: a URL with user name or password is not accepted"},
        {STATUS("302", "Location: //\r\n"), "127.0.0.1: redirected to where we can't go: bad host name in the URL"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        const peer_step step = SAY(cases[i].answer);
        w.peer.steps = &step;
        w.peer.n_steps = 1;
        fetch_init(&f, &w, "/");
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_REDIRECT);
        assert_string_equal(f.call.why.p, cases[i].why);
        fetch_done(&f);
        world_close(&w);
    }
}

static void a_redirect_without_a_target_is_an_answer(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(STATUS("302", "")), SAY(STATUS("300", "Location: /x\r\n")), SAY("HTTP/1.1 304 X\r\n\r\n"));
    fetch_expect(&w, "/", 302, "no");
    fetch_expect(&w, "/", 300, "no");
    fetch_expect(&w, "/", 304, "");
    world_close(&w);
}

static void secrets_stay_with_their_origin(void **state)
{
    (void)state;
    world w;
    peer other = {0};
    fetch f;
    const client_header headers[] = {
        {STR("Authorization"), STR("Bearer secret")},
        {STR("X-Api-Key"), STR("secret")},
        {STR("Cookie"), STR("secret")},
        {STR("Accept"), STR("text/x")},
        {STR("User-Agent"), STR("me")},
    };
    world_open(&w, NULL);
    peer_open(&other, w.loop);
    char there[200], back[200];
    snprintf(there, sizeof(there), "HTTP/1.1 302 X\r\nLocation: %s/b\r\nContent-Length: 0\r\n\r\n", other.url);
    snprintf(back, sizeof(back), "HTTP/1.1 302 X\r\nLocation: %s/c\r\nContent-Length: 0\r\n\r\n", w.peer.url);
    const peer_step first[] = {SAY(STATUS("302", "Location: /a\r\n")), SAY(there), SAY(OK5)}, second[] = {SAY(back)};
    w.peer.steps = first;
    w.peer.n_steps = 3;
    other.steps = second;
    other.n_steps = 1;
    fetch_init(&f, &w, "/");
    f.call.headers = headers;
    f.call.n_headers = COUNT_OF(headers);
    fetch_run(&f, &w);
    assert_int_equal(f.call.status, 200);
    assert_str(peer_request_line(other.last), "GET /b HTTP/1.1");
    assert_int_equal(str_find(other.last, STR("secret")), -1);
    assert_str(peer_header(other.last, "Accept"), "text/x");
    assert_str(peer_header(other.last, "User-Agent"), "me");
    assert_str(peer_request_line(w.peer.last), "GET /c HTTP/1.1");
    assert_str(peer_header(w.peer.last, "Authorization"), "Bearer secret");
    fetch_done(&f);
    peer_close(&other);
    world_close(&w);
}

static void the_body_of_a_redirect_is_not_kept_however_large(void **state)
{
    (void)state;
    world w;
    fetch f;
    SCOPED(buf_done)
    buf large = BUF_INIT;
    buf_printf(&large, "HTTP/1.1 302 X\r\nLocation: /x\r\nContent-Encoding: gzip\r\nContent-Length: 100000\r\n\r\n");
    for (int i = 0; i < 100000; i++)
        buf_char(&large, 'x');
    buf_char(&large, '\0');
    world_open(&w, NULL);
    const peer_step steps[] = {SAY(large.p), SAY(OK5)};
    w.peer.steps = steps;
    w.peer.n_steps = 2;
    fetch_init(&f, &w, "/");
    fetch_stream(&f);
    f.call.max_body = 5;
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_NONE);
    assert_str(buf_view(&f.streamed), "hello");
    assert_int_equal(w.peer.connections, 2); /* reading on costs more than a new connection */
    fetch_done(&f);
    world_close(&w);
}

/* ---- retries ---- */

/* Lets time pass in steps until the call is done, and says how much. */
static int64_t wait_for_end(fetch *f, world *w)
{
    int64_t began = w->clock.mono_ns;
    for (int i = 0; i < 2000 && !f->done; i++) {
        for (int turn = 0; turn < 4; turn++)
            peer_turn(w->loop);
        if (!f->done)
            fake_clk_advance(&w->clock, 100);
    }
    assert_int_equal(f->done, 1);
    return (w->clock.mono_ns - began) / 1000000;
}

static void answers_that_may_get_better_are_asked_for_again(void **state)
{
    (void)state;
    static const char *const answers[] = {STATUS("429", ""), STATUS("500", ""), STATUS("502", ""), STATUS("503", ""),
                                          STATUS("504", "")};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        const peer_step steps[] = {SAY(answers[i]), SAY(answers[i]), SAY(OK5)};
        w.peer.steps = steps;
        w.peer.n_steps = 3;
        fetch_init(&f, &w, "/");
        f.call.retries = 2;
        fetch_start(&f, &w);
        wait_for_end(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_NONE);
        assert_int_equal(f.call.status, 200);
        assert_str(buf_view(&f.call.reply), "hello");
        assert_int_equal(f.call.attempts, 3);
        fetch_done(&f);
        world_close(&w);
    }
}

static void the_last_answer_is_given_when_tries_run_out(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(STATUS("503", "X-Try: 1\r\n")), SAY(STATUS("503", "X-Try: 2\r\n")), SAY(OK5));
    fetch_init(&f, &w, "/");
    f.call.retries = 1;
    fetch_start(&f, &w);
    wait_for_end(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_NONE);
    assert_int_equal(f.call.status, 503);
    assert_str(client_reply_header(&f.call, "X-Try"), "2");
    assert_str(buf_view(&f.call.reply), "no");
    fetch_done(&f);
    world_close(&w);
}

static void other_answers_and_other_methods_are_not_repeated(void **state)
{
    (void)state;
    static const struct {
        const char *answer, *method;
        unsigned requests;
        bool idempotent;
    } cases[] = {
        {STATUS("400", ""), "GET", 1, false},  {STATUS("404", ""), "GET", 1, false},
        {STATUS("501", ""), "GET", 1, false},  {STATUS("505", ""), "GET", 1, false},
        {STATUS("503", ""), "POST", 1, false}, {STATUS("503", ""), "PUT", 1, false},
        {STATUS("503", ""), "POST", 4, true},  {STATUS("503", ""), "HEAD", 4, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        const peer_step step = SAY_AND(cases[i].answer, PEER_CLOSE);
        w.peer.steps = &step;
        w.peer.n_steps = 1;
        fetch_init(&f, &w, "/");
        f.call.method = str_c(cases[i].method);
        f.call.idempotent = cases[i].idempotent;
        f.call.retries = 3;
        fetch_start(&f, &w);
        wait_for_end(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_NONE);
        assert_int_equal(w.peer.requests, cases[i].requests);
        fetch_done(&f);
        world_close(&w);
    }
}

static void who_keeps_account_of_limits_gets_them_at_once(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(STATUS("503", "")), SAY(STATUS("429", "Retry-After: 1\r\n")), SAY(OK5));
    fetch_init(&f, &w, "/");
    f.call.retries = 3;
    f.call.keeps_quota = true;
    fetch_start(&f, &w);
    wait_for_end(&f, &w);
    assert_int_equal(f.call.status, 429);
    assert_int_equal(f.call.attempts, 2);
    fetch_done(&f);
    world_close(&w);
}

static void pauses_grow_and_are_never_the_same_for_all(void **state)
{
    (void)state;
    /* With base 1 s the i-th pause lies anywhere in [0, 2^i s]: over many calls the sum's mean is half of 1+2+4 s. */
    int64_t total = 0, least = INT64_MAX, most = 0;
    for (unsigned i = 0; i < 24; i++) {
        world w;
        fetch f;
        world_open(&w, &(client_options){.retry_base_ms = 1000, .breaker_failures = 100});
        random_seed_for_tests(i + 1);
        SCRIPT(&w, SAY(STATUS("503", "")));
        fetch_init(&f, &w, "/");
        f.call.retries = 3;
        fetch_start(&f, &w);
        int64_t took = wait_for_end(&f, &w);
        total += took;
        least = took < least ? took : least;
        most = took > most ? took : most;
        fetch_done(&f);
        world_close(&w);
    }
    assert_in_range(total / 24, 2600, 4800);
    assert_true(most <= 7000 + 600);
    assert_true(most - least > 2000);
}

static void retry_after_is_honoured(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int64_t least, most;
    } cases[] = {
        {STATUS("429", "Retry-After: 20\r\n"), 20000, 20300},
        {STATUS("503", "Retry-After: Thu, 15 Jan 2026 10:20:40 GMT\r\n"), 10000, 10300},
        {STATUS("503", "Retry-After: Thu, 15 Jan 2026 10:20:20 GMT\r\n"), 0, 800},
        {STATUS("429", ""), 500, 800}, /* the whole of the first pause */
        {STATUS("503", "Retry-After: 0\r\n"), 0, 800},
        {STATUS("503", "Retry-After: -5\r\n"), 0, 800},
        {STATUS("503", "Retry-After: soon\r\n"), 0, 800},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        const peer_step steps[] = {SAY(cases[i].answer), SAY(OK5)};
        w.peer.steps = steps;
        w.peer.n_steps = 2;
        fetch_init(&f, &w, "/");
        f.call.retries = 1;
        f.call.total_ms = SECONDS(60);
        fetch_start(&f, &w);
        assert_in_range(wait_for_end(&f, &w), cases[i].least, cases[i].most);
        assert_int_equal(f.call.status, 200);
        fetch_done(&f);
        world_close(&w);
    }
}

static void a_retry_after_past_the_deadline_gives_the_answer_at_once(void **state)
{
    (void)state;
    static const char *const answers[] = {
        STATUS("429", "Retry-After: 60\r\n"), STATUS("429", "Retry-After: Thu, 15 Jan 2026 10:21:30 GMT\r\n"),
        STATUS("429", "Retry-After: 9223372036854775807\r\n"), STATUS("429", "Retry-After: 99999999999999999999\r\n")};
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        const peer_step steps[] = {SAY(answers[i]), SAY(OK5)};
        w.peer.steps = steps;
        w.peer.n_steps = 2;
        fetch_init(&f, &w, "/");
        f.call.retries = 3;
        f.call.total_ms = SECONDS(60);
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_NONE);
        assert_int_equal(f.call.status, 429);
        assert_int_equal(f.call.attempts, 1);
        fetch_done(&f);
        world_close(&w);
    }
}

static void a_try_that_can_not_begin_in_time_is_not_waited_for(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, &(client_options){.retry_base_ms = 1000, .breaker_failures = 1000});
    fetch_init(&f, &w, "http://127.0.0.1:1/");
    f.call.retries = 1000;
    f.call.total_ms = 5000;
    fetch_start(&f, &w);
    assert_true(wait_for_end(&f, &w) < 5000);
    assert_int_equal(f.call.failure, CLIENT_REFUSED);
    assert_true(f.call.attempts > 1);
    fetch_done(&f);
    world_close(&w);
}

static void a_refused_connection_is_tried_again(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    peer_deafen(&w.peer);
    fetch_init(&f, &w, "/");
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_REFUSED);
    assert_string_equal(f.call.why.p, "127.0.0.1: connection refused");
    assert_int_equal(f.call.status, 0);
    fetch_done(&f);

    fetch_init(&f, &w, "/");
    f.call.retries = 1;
    fetch_start(&f, &w);
    peer_turns(w.loop);
    assert_int_equal(f.done, 0);
    assert_int_equal(f.call.attempts, 2);
    peer_listen_again(&w.peer);
    wait_for_end(&f, &w);
    assert_int_equal(f.call.status, 200);
    assert_int_equal(world_count(&w, NULL, "connection_refused"), 2);
    assert_int_equal(world_count(&w, NULL, "2xx"), 1);
    fetch_done(&f);
    world_close(&w);
}

static void half_an_answer_is_asked_for_again_unless_it_was_given_out(void **state)
{
    (void)state;
    for (int streamed = 0; streamed < 2; streamed++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        SCRIPT(&w, SAY_AND("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", PEER_CLOSE), SAY(OK5));
        fetch_init(&f, &w, "/");
        if (streamed)
            fetch_stream(&f);
        f.call.retries = 1;
        fetch_start(&f, &w);
        wait_for_end(&f, &w);
        assert_int_equal(w.peer.requests, streamed ? 1 : 2);
        assert_int_equal(f.call.failure, streamed ? CLIENT_CLOSED : CLIENT_NONE);
        if (streamed)
            assert_string_equal(f.call.why.p, "127.0.0.1: the connection closed in the middle of the answer");
        else
            assert_str(buf_view(&f.call.reply), "hello");
        fetch_done(&f);
        world_close(&w);
    }
}

static void a_failed_try_leaves_nothing_of_its_answer_behind(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY_AND(STATUS("503", "Connection: close\r\n"), PEER_CLOSE));
    fetch_init(&f, &w, "/");
    f.call.retries = 1;
    fetch_start(&f, &w);
    peer_run_until(w.loop, w.peer.requests == 1);
    peer_deafen(&w.peer);
    wait_for_end(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_REFUSED);
    assert_int_equal(f.call.status, 0);
    assert_int_equal(f.call.head.n, 0);
    assert_int_equal(f.call.reply.n, 0);
    fetch_done(&f);
    world_close(&w);
}

/* ---- the breaker ---- */

static void ask(world *w, client_failure failure, int status)
{
    fetch f;
    fetch_init(&f, w, "/");
    fetch_run(&f, w);
    assert_int_equal(f.call.failure, failure);
    assert_int_equal(f.call.status, status);
    fetch_done(&f);
}

static void the_breaker_opens_lets_one_try_and_closes(void **state)
{
    (void)state;
    world w;
    fetch f, second;
    world_open(&w, &(client_options){.breaker_failures = 3});
    SCRIPT(&w, SAY(STATUS("503", "")));
    for (int i = 0; i < 3; i++)
        ask(&w, CLIENT_NONE, 503);
    fetch_init(&f, &w, "/");
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_BREAKER);
    assert_string_equal(f.call.why.p,
                        "127.0.0.1: not asked, after 3 failures in a row (server errors); the next try is in 1s");
    fetch_done(&f);
    assert_int_equal(w.peer.requests, 3);

    world_pass(&w, 999);
    ask(&w, CLIENT_BREAKER, 0);
    world_pass(&w, 1); /* the probe fails too: the pause doubles */
    ask(&w, CLIENT_NONE, 503);
    assert_int_equal(w.peer.requests, 4);
    world_pass(&w, 1999);
    ask(&w, CLIENT_BREAKER, 0);

    world_pass(&w, 1); /* while one call probes, others don't */
    w.peer.on_request = NULL;
    SCRIPT(&w, SAY(OK5));
    fetch_init(&f, &w, "/");
    fetch_init(&second, &w, "/");
    fetch_start(&f, &w);
    fetch_start(&second, &w);
    fetch_wait(&f, &w);
    fetch_wait(&second, &w);
    assert_int_equal(f.call.status, 200);
    assert_int_equal(second.call.failure, CLIENT_BREAKER);
    fetch_done(&f);
    fetch_done(&second);
    ask(&w, CLIENT_NONE, 200);
    assert_int_equal(world_count(&w, NULL, "circuit_open"), 4);
    world_close(&w);
}

static void the_breakers_pause_grows_to_a_minute_and_ends_with_other_trust(void **state)
{
    (void)state;
    world w;
    world_open(&w, &(client_options){.breaker_failures = 1});
    SCRIPT(&w, SAY(STATUS("500", "")));
    ask(&w, CLIENT_NONE, 500);
    for (int64_t pause = 1000; pause < 200000; pause *= 2) {
        int64_t now = pause < 60000 ? pause : 60000;
        world_pass(&w, now - 1);
        ask(&w, CLIENT_BREAKER, 0);
        world_pass(&w, 1);
        ask(&w, CLIENT_NONE, 500);
    }
    ask(&w, CLIENT_BREAKER, 0);
    client_set_trust(w.client, NULL); /* with other certificates it may go well */
    ask(&w, CLIENT_NONE, 500);
    world_close(&w);
}

static void answers_close_the_breakers_count(void **state)
{
    (void)state;
    world w;
    world_open(&w, &(client_options){.breaker_failures = 2});
    SCRIPT(&w, SAY(STATUS("500", "")), SAY(STATUS("404", "")), SAY(STATUS("500", "")), SAY(STATUS("429", "")),
           SAY(STATUS("500", "")), SAY("HTTP/1.1 304 X\r\n\r\n"), SAY(STATUS("500", "")), SAY(STATUS("501", "")),
           SAY(STATUS("500", "")));
    static const int statuses[] = {500, 404, 500, 429, 500, 304, 500, 501, 500};
    for (size_t i = 0; i < COUNT_OF(statuses); i++)
        ask(&w, CLIENT_NONE, statuses[i]);
    world_close(&w);
}

static void a_cancelled_probe_leaves_the_way_free_for_another(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, &(client_options){.breaker_failures = 1});
    SCRIPT(&w, SAY(STATUS("500", "")), SAY(""), SAY(OK5));
    ask(&w, CLIENT_NONE, 500);
    world_pass(&w, SECONDS(1));
    fetch_init(&f, &w, "/");
    fetch_start(&f, &w);
    peer_run_until(w.loop, w.peer.requests == 2);
    client_cancel(&f.call);
    fetch_wait(&f, &w);
    fetch_done(&f);
    ask(&w, CLIENT_NONE, 200);
    world_close(&w);
}

static void one_origins_breaker_is_not_anothers(void **state)
{
    (void)state;
    world w;
    peer other = {0};
    fetch f;
    world_open(&w, &(client_options){.breaker_failures = 1});
    SCRIPT(&w, SAY(STATUS("500", "")));
    ask(&w, CLIENT_NONE, 500);
    ask(&w, CLIENT_BREAKER, 0);
    static const peer_step fine[] = {SAY(OK5)};
    other.steps = fine;
    other.n_steps = 1;
    peer_open(&other, w.loop);
    fetch_init(&f, &w, other.url);
    fetch_run(&f, &w);
    assert_int_equal(f.call.status, 200);
    fetch_done(&f);
    peer_close(&other);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redirect_is_followed_on_the_same_connection),
        cmocka_unit_test(methods_change_as_the_rfc_says),
        cmocka_unit_test(five_redirects_are_followed_and_no_more),
        cmocka_unit_test(a_redirect_to_where_we_do_not_go_ends_the_call),
        cmocka_unit_test(a_redirect_without_a_target_is_an_answer),
        cmocka_unit_test(secrets_stay_with_their_origin),
        cmocka_unit_test(the_body_of_a_redirect_is_not_kept_however_large),
        cmocka_unit_test(answers_that_may_get_better_are_asked_for_again),
        cmocka_unit_test(the_last_answer_is_given_when_tries_run_out),
        cmocka_unit_test(other_answers_and_other_methods_are_not_repeated),
        cmocka_unit_test(who_keeps_account_of_limits_gets_them_at_once),
        cmocka_unit_test(pauses_grow_and_are_never_the_same_for_all),
        cmocka_unit_test(retry_after_is_honoured),
        cmocka_unit_test(a_retry_after_past_the_deadline_gives_the_answer_at_once),
        cmocka_unit_test(a_try_that_can_not_begin_in_time_is_not_waited_for),
        cmocka_unit_test(a_refused_connection_is_tried_again),
        cmocka_unit_test(half_an_answer_is_asked_for_again_unless_it_was_given_out),
        cmocka_unit_test(a_failed_try_leaves_nothing_of_its_answer_behind),
        cmocka_unit_test(the_breaker_opens_lets_one_try_and_closes),
        cmocka_unit_test(the_breakers_pause_grows_to_a_minute_and_ends_with_other_trust),
        cmocka_unit_test(answers_close_the_breakers_count),
        cmocka_unit_test(a_cancelled_probe_leaves_the_way_free_for_another),
        cmocka_unit_test(one_origins_breaker_is_not_anothers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
