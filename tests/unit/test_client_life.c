/* A call's life against time, its caller and shutdown: deadlines, cancelling in every state, callbacks that start,
 * cancel and close, no memory at any step. */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "fetch.h"

#define OK5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

/* ---- a host that swallows packets: its queue of connections is full ---- */

typedef struct tarpit {
    int listener, fillers[8];
    char url[40];
} tarpit;

static void tarpit_open(tarpit *t)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(addr);
    t->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(t->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(t->listener, 0), 0);
    getsockname(t->listener, (struct sockaddr *)&addr, &n);
    snprintf(t->url, sizeof(t->url), "http://127.0.0.1:%d/", ntohs(addr.sin_port));
    for (size_t i = 0; i < COUNT_OF(t->fillers); i++) {
        t->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(t->fillers[i], (struct sockaddr *)&addr, sizeof(addr));
    }
}

static void tarpit_close(tarpit *t)
{
    close(t->listener);
    for (size_t i = 0; i < COUNT_OF(t->fillers); i++)
        close(t->fillers[i]);
}

/* ---- deadlines ---- */

static void connecting_has_a_deadline(void **state)
{
    (void)state;
    world w;
    fetch f;
    tarpit t;
    world_open(&w, &(client_options){.connect_ms = SECONDS(7)});
    tarpit_open(&t);
    fetch_init(&f, &w, t.url);
    fetch_start(&f, &w);
    peer_turns(w.loop);
    world_pass(&w, SECONDS(7) - 1);
    assert_int_equal(f.done, 0);
    world_pass(&w, 1);
    fetch_wait(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_TIMEOUT);
    assert_string_equal(f.call.why.p, "127.0.0.1: no connection in time");
    fetch_done(&f);

    fetch_init(&f, &w, t.url); /* and is a failure that may pass */
    f.call.connect_ms = SECONDS(1);
    f.call.retries = 1;
    fetch_start(&f, &w);
    peer_turns(w.loop);
    world_pass(&w, SECONDS(1));
    assert_int_equal(f.done, 0);
    assert_int_equal(f.call.attempts, 2);
    world_pass(&w, SECONDS(1));
    world_pass(&w, SECONDS(1));
    fetch_wait(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_TIMEOUT);
    fetch_done(&f);
    tarpit_close(&t);
    world_close(&w);
}

static void the_answer_has_a_deadline_and_is_not_asked_for_again(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, &(client_options){.first_byte_ms = SECONDS(5)});
    SCRIPT(&w, SAY(""));
    fetch_init(&f, &w, "/");
    f.call.retries = 3;
    fetch_start(&f, &w);
    peer_run_until(w.loop, w.peer.requests == 1);
    world_pass(&w, SECONDS(5) - 1);
    assert_int_equal(f.done, 0);
    world_pass(&w, 1);
    assert_int_equal(f.done, 1);
    assert_int_equal(f.call.failure, CLIENT_TIMEOUT);
    assert_string_equal(f.call.why.p, "127.0.0.1: no answer within 5s");
    assert_int_equal(w.peer.open, 0);
    fetch_done(&f);
    world_close(&w);
}

static peer_conn *talking;
static void keep(peer *p, peer_conn *c, str request)
{
    (void)p, (void)request;
    talking = c;
}

static void a_stall_in_mid_body_ends_the_call_but_a_slow_body_does_not(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, &(client_options){.first_byte_ms = SECONDS(5), .total_ms = MINUTES(5)});
    w.peer.on_request = keep;
    fetch_init(&f, &w, "/");
    fetch_start(&f, &w);
    peer_run_until(w.loop, w.peer.requests == 1);
    peer_say(talking, STR("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"));
    for (int i = 0; i < 20; i++) { /* a byte every 4 s */
        peer_say(talking, STR("x"));
        peer_turns(w.loop);
        world_pass(&w, SECONDS(4));
        assert_int_equal(f.done, 0);
    }
    world_pass(&w, SECONDS(1));
    assert_int_equal(f.done, 1);
    assert_int_equal(f.call.failure, CLIENT_TIMEOUT);
    assert_string_equal(f.call.why.p, "127.0.0.1: nothing more came for 5s");
    assert_int_equal(f.call.status, 200);
    fetch_done(&f);
    world_close(&w);
}

/* The server takes 2 MiB every 2 s, which the kernel's buffers blur; the client's patience is 5 s, the whole takes
 * 24. */
static void an_upload_that_goes_on_is_no_silence(void **state)
{
    (void)state;
    static char sink[2 << 20];
    world w;
    fetch f;
    size_t taken = 0;
    int small = 65536, conn = -1;
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(addr);
    SCOPED(buf_done)
    buf body = BUF_INIT;
    memset(buf_reserve(&body, 24 << 20), 'x', 24 << 20);
    body.n = 24 << 20;
    world_open(&w, &(client_options){.first_byte_ms = SECONDS(5), .total_ms = HOURS(1)});
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&addr, &n);
    fetch_init(&f, &w, "/");
    snprintf(f.url, sizeof(f.url), "http://127.0.0.1:%d/", ntohs(addr.sin_port));
    f.call.url = str_c(f.url);
    f.call.method = STR("POST");
    f.call.body = buf_view(&body);
    fetch_start(&f, &w);
    peer_run_until(w.loop, (conn = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0);
    while (taken < body.n && !f.done) {
        for (size_t now = 0; now < sizeof(sink) && taken < body.n;) {
            ssize_t got = read(conn, sink, sizeof(sink) - now);
            peer_turn(w.loop);
            if (got > 0) {
                now += (size_t)got;
                taken += (size_t)got;
            }
        }
        peer_turns(w.loop);
        fake_clk_advance(&w.clock, SECONDS(2));
        peer_turn(w.loop);
    }
    assert_int_equal(f.done, 0);
    assert_int_equal(write(conn, OK5, strlen(OK5)), strlen(OK5));
    fetch_wait(&f, &w);
    assert_int_equal(f.call.status, 200);
    fetch_done(&f);
    close(conn);
    close(listener);
    world_close(&w);
}

static void the_whole_call_has_a_deadline_wherever_it_is(void **state)
{
    (void)state;
    world w;
    fetch slow, waiting;
    world_open(&w, &(client_options){.per_origin = 1, .first_byte_ms = MINUTES(1), .total_ms = SECONDS(10)});
    SCRIPT(&w, SAY(""));
    fetch_init(&slow, &w, "/");
    fetch_init(&waiting, &w, "/");
    waiting.call.total_ms = SECONDS(9);
    fetch_start(&slow, &w);
    fetch_start(&waiting, &w);
    peer_run_until(w.loop, w.peer.requests == 1);
    world_pass(&w, SECONDS(9));
    assert_int_equal(waiting.done, 1);
    assert_int_equal(waiting.call.failure, CLIENT_TIMEOUT);
    assert_string_equal(waiting.call.why.p, "127.0.0.1: not done within 9s");
    assert_int_equal(slow.done, 0);
    world_pass(&w, SECONDS(1));
    assert_int_equal(slow.done, 1);
    assert_int_equal(slow.call.failure, CLIENT_TIMEOUT);
    fetch_done(&slow);
    fetch_done(&waiting);
    world_close(&w);
}

/* ---- names ---- */

static void every_address_of_a_name_is_tried(void **state)
{
    (void)state;
    world w;
    char url[60];
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    /* The server listens on 127.0.0.1 only; where localhost is ::1 too, that address refuses. */
    snprintf(url, sizeof(url), "http://localhost:%d/", w.peer.port);
    fetch_expect(&w, url, 200, "hello");
    fetch_expect(&w, url, 200, "hello");
    assert_int_equal(w.peer.connections, 1);
    snprintf(url, sizeof(url), "localhost:%d", w.peer.port);
    assert_true(str_eq(peer_header(w.peer.last, "Host"), str_c(url)));
    world_close(&w);
}

static void a_name_that_does_not_exist_is_said_so(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    fetch_init(&f, &w, "http://no-such-name.invalid/");
    fetch_run(&f, &w);
    /* Where there is no name server to ask, that is what is said. */
    assert_true(f.call.failure == CLIENT_DNS || f.call.failure == CLIENT_CONNECT);
    assert_true(str_starts(f.call.why, STR("no-such-name.invalid: ")));
    fetch_done(&f);
    world_close(&w);
}

/* ---- cancelling ---- */

enum {
    AT_ONCE,
    WHILE_RESOLVING,
    WHILE_CONNECTING,
    IN_LINE,
    SENT,
    RECEIVING,
    PAUSED,
    IN_BACKOFF,
    AFTER_THE_END,
    STAGES
};

/* Brings a call to the stage; its server is the world's peer or the tarpit. */
static void bring_to(unsigned stage, world *w, fetch *f, fetch *first, tarpit *t)
{
    char url[60];
    snprintf(url, sizeof(url), "http://localhost:%d/", w->peer.port);
    *first = (fetch){0};
    fetch_init(f, w, stage == WHILE_RESOLVING ? url : stage == WHILE_CONNECTING ? t->url : "/");
    f->call.retries = stage == IN_BACKOFF;
    if (stage == PAUSED) {
        fetch_stream(f);
        f->pause_after = 1;
    }
    w->peer.on_request = keep;
    if (stage == IN_LINE) {
        fetch_init(first, w, "/");
        fetch_start(first, w);
        peer_run_until(w->loop, w->peer.requests == 1);
    }
    fetch_start(f, w);
    if (stage == WHILE_RESOLVING)
        loop_run_once(w->loop, false);
    else if (stage != AT_ONCE)
        peer_turns(w->loop);
    if (stage < SENT)
        return;
    assert_int_equal(w->peer.requests, 1);
    if (stage == RECEIVING || stage == PAUSED)
        peer_say(talking, STR("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"));
    else if (stage == IN_BACKOFF)
        peer_say(talking, STR("HTTP/1.1 503 X\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n"));
    else if (stage == AFTER_THE_END)
        peer_say(talking, STR(OK5));
    if (stage == AFTER_THE_END)
        fetch_wait(f, w);
    else
        peer_turns(w->loop);
    assert_int_equal(f->done, stage == AFTER_THE_END);
}

static void a_call_can_be_cancelled_in_every_state(void **state)
{
    (void)state;
    for (unsigned stage = AT_ONCE; stage < AFTER_THE_END; stage++) {
        world w;
        fetch f, first;
        tarpit t;
        world_open(&w, &(client_options){.per_origin = 1});
        tarpit_open(&t);
        bring_to(stage, &w, &f, &first, &t);
        client_cancel(&f.call);
        assert_int_equal(f.done, 0); /* later */
        client_cancel(&f.call);      /* harmless */
        fetch_wait(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_CANCELLED);
        peer_turns(w.loop);
        assert_int_equal(f.done, 1);
        assert_int_equal(w.peer.open, stage == IN_LINE || stage == IN_BACKOFF);
        if (stage == IN_LINE) {
            peer_say(talking, STR(OK5));
            fetch_wait(&first, &w);
            fetch_done(&first);
        }
        fetch_done(&f);
        tarpit_close(&t);
        world_close(&w);
    }
}

static void closing_cancels_calls_in_every_state(void **state)
{
    (void)state;
    for (unsigned stage = AT_ONCE; stage < STAGES; stage++) {
        world w;
        fetch f, first, late;
        tarpit t;
        world_open(&w, &(client_options){.per_origin = 1});
        tarpit_open(&t);
        bring_to(stage, &w, &f, &first, &t);
        client *c = w.client;
        fetch_init(&late, &w, "/");
        world_close_client(&w);
        (void)c;
        assert_int_equal(f.done, 1);
        assert_int_equal(f.call.failure, stage == AFTER_THE_END ? CLIENT_NONE : CLIENT_CANCELLED);
        if (stage == IN_LINE) {
            assert_int_equal(first.done, 1);
            fetch_done(&first);
        }
        fetch_done(&f);
        tarpit_close(&t);
        world_close(&w);
    }
}

static int start_after_close = -1;
static void try_to_start(client_call *call)
{
    fetch *f = CONTAINER_OF(call, fetch, call);
    world *w = call->user;
    fetch again;
    f->done++;
    fetch_init(&again, w, "/");
    start_after_close = client_start(w->client, &again.call);
}

static void nothing_starts_any_more_once_closing(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(""));
    fetch_init(&f, &w, "/");
    f.call.on_done = try_to_start;
    fetch_start(&f, &w);
    world_close_client(&w);
    assert_int_equal(f.done, 1);
    assert_int_equal(start_after_close, -ECANCELED);
    fetch_done(&f);
    world_close(&w);
}

/* ---- callbacks that do things ---- */

typedef struct chain {
    fetch f;
    unsigned left;
} chain;

static void go_on(client_call *call)
{
    fetch *f = CONTAINER_OF(call, fetch, call);
    chain *c = CONTAINER_OF(f, chain, f);
    world *w = call->user;
    assert_int_equal(call->status, 200);
    client_call_done(call);
    if (--c->left == 0) {
        f->done++;
        return;
    }
    fetch_init(f, w, "/");
    call->on_done = go_on;
    assert_int_equal(client_start(w->client, call), 0);
}

static void a_call_may_be_started_anew_from_its_own_end(void **state)
{
    (void)state;
    world w;
    chain c = {.left = 20};
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    fetch_init(&c.f, &w, "/");
    c.f.call.on_done = go_on;
    fetch_start(&c.f, &w);
    peer_run_until(w.loop, c.f.done == 1);
    assert_int_equal(w.peer.requests, 20);
    assert_int_equal(w.peer.connections, 1);
    world_close(&w);
}

static void on_done_and_free(client_call *call)
{
    fetch *f = CONTAINER_OF(call, fetch, call);
    world *w = call->user;
    fetch_done(f);
    mem_free(f);
    w->closed = true; /* borrowed as "it ran" */
}

static void a_call_may_be_freed_in_its_own_end(void **state)
{
    (void)state;
    world w;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    fetch *f = mem_new(fetch);
    fetch_init(f, &w, "/");
    f->call.on_done = on_done_and_free;
    fetch_start(f, &w);
    peer_run_until(w.loop, w.closed);
    w.closed = false;
    world_close(&w);
}

static int cancel_in_body(client_call *call, str piece)
{
    fetch *f = CONTAINER_OF(call, fetch, call);
    (void)piece;
    f->pieces++;
    client_cancel(call);
    return f->refuse;
}

static void a_reader_may_cancel_its_own_call(void **state)
{
    (void)state;
    for (int refuse = -1; refuse <= 0; refuse++) {
        world w;
        fetch f;
        world_open(&w, NULL);
        SCRIPT(&w, SAY("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n"));
        fetch_init(&f, &w, "/");
        f.call.on_body = cancel_in_body;
        f.refuse = refuse;
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_CANCELLED);
        assert_int_equal(f.pieces, 1);
        fetch_done(&f);
        world_close(&w);
    }
}

static void note_closed(void *arg)
{
    world *w = arg;
    w->client = NULL;
    w->closed = true;
}

static int close_in_body(client_call *call, str piece)
{
    fetch *f = CONTAINER_OF(call, fetch, call);
    world *w = call->user;
    (void)piece;
    f->pieces++;
    client_close(w->client, note_closed, w);
    return 0;
}

static void a_reader_may_close_the_client(void **state)
{
    (void)state;
    world w;
    fetch f;
    world_open(&w, NULL);
    SCRIPT(&w, SAY(OK5));
    fetch_init(&f, &w, "/");
    f.call.on_body = close_in_body;
    fetch_run(&f, &w);
    assert_int_equal(f.call.failure, CLIENT_CANCELLED);
    peer_run_until(w.loop, w.closed);
    assert_int_equal(f.pieces, 1);
    fetch_done(&f);
    world_close(&w);
}

/* ---- limits of what is kept ---- */

static void count_rows(void *arg, str origin, const char *result, uint64_t count)
{
    uint64_t *sums = arg;
    (void)result;
    sums[0]++;
    sums[1] += count;
    if (str_eq(origin, STR("other")))
        sums[2] += count;
}

static void origins_past_the_limit_are_counted_together(void **state)
{
    (void)state;
    world w;
    uint64_t sums[3] = {0};
    world_open(&w, NULL);
    for (int port = 1; port <= 300; port++) { /* ports that nobody listens on; more than origins are kept */
        fetch f;
        char url[60];
        snprintf(url, sizeof(url), "http://127.0.0.%d:1/", port % 250 + 1);
        if (port > 250)
            snprintf(url, sizeof(url), "http://127.0.1.%d:1/", port % 250);
        fetch_init(&f, &w, url);
        fetch_run(&f, &w);
        assert_int_equal(f.call.failure, CLIENT_REFUSED);
        fetch_done(&f);
    }
    client_metrics(w.client, count_rows, sums);
    assert_int_equal(sums[0], 65);
    assert_int_equal(sums[1], 300);
    assert_int_equal(sums[2], 300 - 64);
    world_close(&w);
}

/* ---- no memory ---- */

/* A call through redirect, retry and a compressed body, its n-th allocation failing: it ends, as failed or as done, and
 * the client goes on to serve others. */
static void no_memory_ends_a_call_and_harms_nothing_else(void **state)
{
    (void)state;
    static const char packed[] = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Encoding: deflate\r\nContent-Length: 7\r\n\r\n"
                                 "\xcb\x48\xcd\xc9\xc9\x07";
    unsigned in_memory = 0;
    bool hit = true;
    for (long n = 0; hit; n++) {
        world w;
        fetch f;
        world_open(&w, &(client_options){.retry_base_ms = 1});
        SCRIPT(&w, SAY("HTTP/1.1 302 X\r\nLocation: /there\r\nContent-Length: 0\r\n\r\n"),
               SAY("HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\nno"), {.say = packed, .n = sizeof(packed)});
        fetch_init(&f, &w, "/");
        f.call.retries = 1;
        mem_fail_at(n);
        int r = client_start(w.client, &f.call);
        for (int i = 0; r == 0 && i < 4000 && !f.done; i++) {
            peer_turn(w.loop);
            fake_clk_advance(&w.clock, 1);
        }
        hit = mem_failed();
        mem_fail_at(-1);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(f.done, 0);
        } else {
            assert_int_equal(f.done, 1);
            in_memory += f.call.failure == CLIENT_MEMORY;
            if (!hit || f.call.failure != CLIENT_MEMORY) { /* where it could be done without, nothing is missing */
                assert_int_equal(f.call.failure, CLIENT_NONE);
                if (f.call.status == 200)
                    assert_str(buf_view(&f.call.reply), "hello");
                else
                    assert_int_equal(f.call.status, 503); /* no memory for the timer of another try */
            }
        }
        fetch_done(&f);
        SCRIPT(&w, SAY(OK5));
        fetch_expect(&w, "/", 200, "hello");
        world_close(&w);
    }
    assert_true(in_memory > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connecting_has_a_deadline),
        cmocka_unit_test(the_answer_has_a_deadline_and_is_not_asked_for_again),
        cmocka_unit_test(a_stall_in_mid_body_ends_the_call_but_a_slow_body_does_not),
        cmocka_unit_test(an_upload_that_goes_on_is_no_silence),
        cmocka_unit_test(the_whole_call_has_a_deadline_wherever_it_is),
        cmocka_unit_test(every_address_of_a_name_is_tried),
        cmocka_unit_test(a_name_that_does_not_exist_is_said_so),
        cmocka_unit_test(a_call_can_be_cancelled_in_every_state),
        cmocka_unit_test(closing_cancels_calls_in_every_state),
        cmocka_unit_test(nothing_starts_any_more_once_closing),
        cmocka_unit_test(a_call_may_be_started_anew_from_its_own_end),
        cmocka_unit_test(a_call_may_be_freed_in_its_own_end),
        cmocka_unit_test(a_reader_may_cancel_its_own_call),
        cmocka_unit_test(a_reader_may_close_the_client),
        cmocka_unit_test(origins_past_the_limit_are_counted_together),
        cmocka_unit_test(no_memory_ends_a_call_and_harms_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
