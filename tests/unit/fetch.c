/* See fetch.h. */
#include "fetch.h"

#include <stdio.h>

void world_open(world *w, const client_options *o)
{
    *w = (world){0};
    fake_clk_init(&w->clock, FETCH_NOW);
    random_seed_for_tests(1);
    assert_int_equal(loop_new(&w->clock.base, 2, &w->loop), 0);
    peer_open(&w->peer, w->loop);
    assert_int_equal(client_new(w->loop, NULL, o ? o : &(client_options){0}, &w->client), 0);
}

static void on_closed(void *arg)
{
    world *w = arg;
    w->client = NULL;
    w->closed = true;
}

void world_close_client(world *w)
{
    client_close(w->client, on_closed, w);
    assert_false(w->closed); /* only on the loop */
    peer_run_until(w->loop, w->closed);
}

void world_close(world *w)
{
    mem_fail_at(-1);
    if (w->client)
        world_close_client(w);
    peer_close(&w->peer);
    loop_close_idle(w->loop);
    assert_int_equal(loop_run(w->loop), 0); /* nothing of ours is left alive */
    loop_free(w->loop);
    random_seed_for_tests(0);
}

void world_pass(world *w, int64_t ms)
{
    fake_clk_advance(&w->clock, ms);
    peer_turns(w->loop);
}

static void on_done(client_call *call)
{
    fetch *f = CONTAINER_OF(call, fetch, call);
    f->done++;
}

static int on_body(client_call *call, str piece)
{
    fetch *f = CONTAINER_OF(call, fetch, call);
    assert_int_equal(f->done, 0);
    assert_int_equal(call->status / 100, 2);
    assert_true(piece.n > 0);
    f->pieces++;
    buf_str(&f->streamed, piece);
    if (f->pause_after > 0 && f->streamed.n >= f->pause_after)
        client_pause(call);
    return f->refuse;
}

void fetch_init(fetch *f, world *w, const char *path)
{
    *f = (fetch){0};
    snprintf(f->url, sizeof(f->url), "%s%s", path[0] == '/' ? w->peer.url : "", path);
    f->call.url = str_c(f->url);
    f->call.on_done = on_done;
    f->call.user = w;
}

void fetch_stream(fetch *f)
{
    f->call.on_body = on_body;
}

void fetch_start(fetch *f, world *w)
{
    assert_int_equal(client_start(w->client, &f->call), 0);
    assert_int_equal(f->done, 0);
}

void fetch_wait(fetch *f, world *w)
{
    peer_run_until(w->loop, f->done > 0);
    assert_int_equal(f->done, 1);
}

void fetch_run(fetch *f, world *w)
{
    fetch_start(f, w);
    fetch_wait(f, w);
}

void fetch_done(fetch *f)
{
    client_call_done(&f->call);
    client_call_done(&f->call); /* harmless */
    buf_done(&f->streamed);
}

void fetch_expect(world *w, const char *path, int status, const char *body)
{
    fetch f;
    fetch_init(&f, w, path);
    fetch_run(&f, w);
    if (f.call.failure != CLIENT_NONE)
        fail_msg("%s: " STR_FMT, path, STR_ARG(f.call.why));
    assert_int_equal(f.call.status, status);
    assert_true(str_eq(buf_view(&f.call.reply), str_c(body)));
    fetch_done(&f);
}

typedef struct wanted {
    const char *origin, *result;
    uint64_t count;
} wanted;

static void on_metric(void *arg, str origin, const char *result, uint64_t count)
{
    wanted *wa = arg;
    if (str_eq(origin, str_c(wa->origin)) && strcmp(result, wa->result) == 0)
        wa->count += count;
}

uint64_t world_count(world *w, const char *origin, const char *result)
{
    wanted wa = {origin ? origin : w->peer.url, result, 0};
    client_metrics(w->client, on_metric, &wa);
    return wa.count;
}
