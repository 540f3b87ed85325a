/* One logical request, from client_start to on_done.
 *
 *     new ── waiting ─┬─ opening ─┬─ sent ── receiving ── done
 *               │     └───────────┘                │
 *               └─────── backoff, redirect ────────┘
 *
 * Waiting: in the origin's line. Opening: its connection is being made. Every ending goes through client_call_finish,
 * which posts the last step: on_done finds nobody of this room on the stack. */
#include "client_private.h"

#include <stdio.h>

#define ERROR_BODY_MAX ((size_t)1048576) /* kept of an answer whose body was to be streamed, and is no 2xx */
#define DISCARD_MAX ((size_t)65536)      /* read of a redirect's body, for the connection's sake */
#define TURN_OUTPUT_MAX ((size_t)131072) /* of decompressed body: what one turn gives out */

static const flow_state states[] = {
    [CALL_NEW] = {"new", TO(CALL_WAITING) | TO(CALL_DONE)},
    [CALL_WAITING] = {"waiting", TO(CALL_OPENING) | TO(CALL_SENT) | TO(CALL_DONE)},
    [CALL_OPENING] = {"opening", TO(CALL_SENT) | TO(CALL_BACKOFF) | TO(CALL_DONE)},
    [CALL_SENT] = {"sent", TO(CALL_RECEIVING) | TO(CALL_WAITING) | TO(CALL_BACKOFF) | TO(CALL_DONE)},
    [CALL_RECEIVING] = {"receiving", TO(CALL_WAITING) | TO(CALL_BACKOFF) | TO(CALL_DONE)},
    [CALL_BACKOFF] = {"backoff", TO(CALL_WAITING) | TO(CALL_DONE)},
    [CALL_DONE] = {"done", 0},
};

void client_call_move(call *k, unsigned to)
{
    flow_move(states, &k->state, to);
}

/* ---- end ---- */

static void deliver(call *k)
{
    client *c = k->client;
    client_call *face = k->face;
    list_remove(&k->link);
    client_request_wipe(k);
    client_response_done(&k->response);
    arena_done(&k->arena);
    mem_free(k);
    face->impl = NULL;
    face->on_done(face); /* the struct is the caller's again */
    client_check_closed(c);
}

static void begin(call *k);
static void on_turn(post *p)
{
    call *k = CONTAINER_OF(p, call, turn);
    k->turn_posted = false;
    if (k->state == CALL_DONE)
        deliver(k);
    else
        begin(k);
}

static void post_turn(call *k)
{
    if (k->turn_posted)
        return;
    k->turn_posted = true;
    k->turn.fn = on_turn;
    loop_post(k->client->loop, &k->turn);
}

/* "api.github.com: connection refused"; without memory for that, the static second part alone. */
static void explain(call *k, const char *why)
{
    client_call *face = k->face;
    face->why =
        k->at.host.p ? arena_printf(&face->arena, "%s: %s", k->at.host.p, why) : arena_dup(&face->arena, str_c(why));
    if (!face->why.p)
        face->why = STR("out of memory");
}

void client_call_finish(call *k, client_failure failure, const char *why)
{
    client_call *face = k->face;
    conn *c = k->conn;
    origin *o = k->origin;
    if (k->state == CALL_DONE)
        return;
    client_call_move(k, CALL_DONE);
    loop_timer_cancel(k->client->loop, &k->total);
    loop_timer_cancel(k->client->loop, &k->phase);
    face->failure = failure;
    if (failure != CLIENT_NONE) {
        buf_done(&face->reply);
        explain(k, why);
    }
    if (k->at.host.p)
        face->final_url = client_url_text(&face->arena, &k->at);
    k->conn = NULL;
    k->origin = NULL;
    if (o)
        client_origin_leave(o, k);
    if (c)
        client_conn_close(c);
    post_turn(k);
}

/* Ends a call whose attempt is under way, and books that. */
static void abandon(call *k, client_failure failure, const char *why)
{
    if (k->conn && !k->paused) /* a reader that holds things up is not the origin's fault */
        client_origin_book(k->origin, failure, 0, "timed out");
    client_call_finish(k, failure, why);
}

static void time_out(call *k, const char *what, int64_t ms)
{
    char text[80], span[24];
    duration_format(ms, span);
    snprintf(text, sizeof(text), "%s %s", what, span);
    abandon(k, CLIENT_TIMEOUT, text);
}

static void on_total(timer *t)
{
    call *k = CONTAINER_OF(t, call, total);
    time_out(k, "not done within", k->face->total_ms > 0 ? k->face->total_ms : k->client->options.total_ms);
}

/* ---- beginning ---- */

/* What is left of an earlier attempt's answer goes. */
static void clear_answer(call *k)
{
    client_call *face = k->face;
    client_response_done(&k->response);
    arena_reset(&face->arena);
    buf_reset(&face->reply);
    face->status = 0;
    face->head.v = NULL;
    face->head.n = 0;
    k->pooled = k->discarding = false;
    k->discarded = 0;
}

void client_call_enter_line(call *k)
{
    client *c = k->client;
    client_call_move(k, CALL_WAITING);
    clear_answer(k);
    if (k->at.https && !c->trust) {
        client_call_finish(k, CLIENT_TLS, "https is not available: no certificates were loaded");
        return;
    }
    origin *o = client_origin_get(c, &k->at);
    if (!o) {
        client_call_finish(k, CLIENT_MEMORY, "out of memory");
        return;
    }
    o->n_calls++;
    k->origin = o;
    client_origin_admit(o, k);
}

static void begin(call *k)
{
    const char *why = client_request_check(k->face);
    if (why) {
        client_call_finish(k, CLIENT_REQUEST, why);
        return;
    }
    int r = client_url_parse(&k->arena, k->face->url, &k->first, &why);
    if (r < 0) {
        client_call_finish(k, r == -ENOMEM ? CLIENT_MEMORY : CLIENT_URL, r == -ENOMEM ? "out of memory" : why);
        return;
    }
    k->at = k->first;
    k->face->attempts = 1;
    client_call_enter_line(k);
}

static int64_t either(int64_t mine, int64_t usual)
{
    return mine > 0 ? mine : usual;
}

int client_start(client *c, client_call *face)
{
    if (c->closing)
        return -ECANCELED;
    call *k = mem_new(call);
    if (!k)
        return -ENOMEM;
    const client_options *o = &c->options;
    int64_t total_ms = either(face->total_ms, o->total_ms);
    k->client = c;
    k->face = face;
    k->deadline = loop_now_mono_ms(c->loop) + total_ms;
    k->connect_ms = either(face->connect_ms, o->connect_ms);
    k->silence_ms = either(face->first_byte_ms, o->first_byte_ms);
    k->max_body = face->max_body > 0 ? face->max_body : o->max_body;
    list_init(&k->wait);
    arena_init(&k->arena, 0);
    if (loop_timer_set(c->loop, &k->total, total_ms, on_total) < 0) {
        mem_free(k);
        return -ENOMEM;
    }
    face->failure = CLIENT_NONE;
    face->why = face->final_url = STR_NULL;
    face->status = 0;
    face->head.v = NULL;
    face->head.n = 0;
    face->reply = BUF_INIT;
    face->attempts = 0;
    face->impl = k;
    arena_init(&face->arena, 0);
    list_push(&c->calls, &k->link);
    post_turn(k);
    return 0;
}

/* ---- an attempt ---- */

static void on_silence(timer *t)
{
    call *k = CONTAINER_OF(t, call, phase);
    loop *l = k->client->loop;
    int64_t quiet = k->paused ? 0 : loop_now_mono_ms(l) - k->heard_at;
    if (quiet >= k->silence_ms)
        time_out(k, k->state == CALL_SENT ? "no answer within" : "nothing more came for", k->silence_ms);
    else if (loop_timer_set(l, t, k->silence_ms - quiet, on_silence) < 0)
        client_call_finish(k, CLIENT_MEMORY, "out of memory");
}

void client_call_opened(call *k, conn *c)
{
    loop *l = k->client->loop;
    k->pooled = c->reused;
    client_response_init(&k->response, &k->face->arena, str_eq(client_request_method(k), STR("HEAD")),
                         k->client->options.max_head, k->max_body);
    if (client_request_write(k) < 0 || loop_timer_set(l, &k->phase, k->silence_ms, on_silence) < 0) {
        client_call_finish(k, CLIENT_MEMORY, "out of memory");
        return;
    }
    client_call_move(k, CALL_SENT);
    k->heard_at = loop_now_mono_ms(l);
    client_conn_send(c, buf_view(&k->request), k->as_get ? STR_NULL : k->face->body);
}

void client_call_wrote(call *k)
{
    k->heard_at = loop_now_mono_ms(k->client->loop);
}

void client_call_refused(call *k)
{
    char text[400], span[24];
    origin *o = k->origin;
    int64_t left = o->open_until - loop_now_mono_ms(k->client->loop);
    duration_format(left > 1000 ? (left + 999) / 1000 * 1000 : 1000, span);
    snprintf(text, sizeof(text), "not asked, after %u failures in a row (%s); the next try is in %s", o->failures,
             o->last_why, span);
    client_origin_book(o, CLIENT_BREAKER, 0, o->last_why);
    client_call_finish(k, CLIENT_BREAKER, text);
}

/* ---- an answer ---- */

static bool is_redirect(const call *k)
{
    int s = k->response.status;
    return !k->face->keeps_redirects && (s == 301 || s == 302 || s == 303 || s == 307 || s == 308) &&
           client_response_header(&k->response, "location").p;
}

static bool streams(const call *k)
{
    return k->face->on_body && (k->face->streams_all || k->response.status / 100 == 2);
}

static void take_head(call *k)
{
    client_call *face = k->face;
    response *r = &k->response;
    client_call_move(k, CALL_RECEIVING);
    face->status = r->status;
    face->head.v = r->headers;
    face->head.n = r->n_headers;
    k->discarding = is_redirect(k);
    r->decode = !face->raw_body && !k->discarding;
    if (k->discarding)
        r->max_body = SIZE_MAX; /* `discarded` is what counts */
    else if (face->on_body && !streams(k) && r->max_body > ERROR_BODY_MAX)
        r->max_body = ERROR_BODY_MAX;
}

/* False when the call is over, or has no use for the rest. */
static bool take_piece(call *k, str piece)
{
    client_call *face = k->face;
    if (k->discarding) {
        k->discarded += piece.n;
        if (k->discarded <= DISCARD_MAX)
            return true;
        client_call_answered(k, false);
        return false;
    }
    if (streams(k)) {
        conn *c = k->conn;
        k->given = true;
        int r = face->on_body(face, piece);
        if (r < 0 && k->state != CALL_DONE)
            abandon(k, CLIENT_SINK, r == -ENOMEM ? "out of memory" : "the answer was not accepted");
        return k->conn == c && k->state == CALL_RECEIVING;
    }
    buf_str(&face->reply, piece);
    if (face->reply.err == 0)
        return true;
    abandon(k, CLIENT_MEMORY, "out of memory");
    return false;
}

static void fail_response(call *k, int error)
{
    const char *why = k->response.why;
    switch (error) {
    case -ENOMEM:
        client_call_failed(k, CLIENT_MEMORY, why);
        break;
    case -EFBIG:
    case -EMSGSIZE:
        client_call_failed(k, CLIENT_TOO_LARGE, why);
        break;
    case -ECONNRESET:
        client_call_failed(k, CLIENT_CLOSED, why);
        break;
    default:
        client_call_failed(k, CLIENT_PROTOCOL, why);
    }
}

/* No more input: nothing now, the proper end, or an error. */
static void take_end(call *k, int error, const char *why)
{
    if (error == -ENODATA) {
        int e = client_response_eof(&k->response);
        if (e == RESPONSE_END)
            client_call_answered(k, false);
        else
            fail_response(k, e);
    } else if (error == -ENOMEM) {
        client_call_failed(k, CLIENT_MEMORY, "out of memory");
    } else {
        client_call_failed(k, error == -EPROTO ? CLIENT_TLS : CLIENT_CLOSED, why);
    }
}

void client_call_pump(call *k)
{
    conn *c = k->conn;
    const char *why = NULL;
    size_t given = 0;
    k->heard_at = loop_now_mono_ms(k->client->loop);
    while (!k->paused) {
        if (given >= TURN_OUTPUT_MAX) {
            client_conn_yield(c);
            return;
        }
        int e = client_response_next(&k->response, &c->input);
        if (e < 0) {
            fail_response(k, e);
            return;
        }
        switch ((response_event)e) {
        case RESPONSE_MORE:
            e = client_conn_fill(c, &why);
            if (e < 0)
                take_end(k, e, why);
            if (e <= 0)
                return;
            break;
        case RESPONSE_HEAD:
            take_head(k);
            break;
        case RESPONSE_PIECE:
            given += k->response.piece.n;
            if (!take_piece(k, k->response.piece))
                return;
            break;
        case RESPONSE_END:
            client_call_answered(k, k->response.keep_alive);
            return;
        }
    }
    client_conn_stop(c);
}

/* ---- the caller's side ---- */

void client_cancel(client_call *face)
{
    call *k = face->impl;
    if (k && k->state != CALL_DONE)
        abandon(k, CLIENT_CANCELLED, "cancelled");
}

void client_pause(client_call *face)
{
    call *k = face->impl;
    if (k)
        k->paused = true;
}

void client_resume(client_call *face)
{
    call *k = face->impl;
    if (!k || !k->paused)
        return;
    k->paused = false;
    k->heard_at = loop_now_mono_ms(k->client->loop);
    if (k->state == CALL_SENT || k->state == CALL_RECEIVING)
        client_conn_yield(k->conn);
}

void client_call_done(client_call *face)
{
    buf_done(&face->reply);
    arena_done(&face->arena);
    face->why = face->final_url = STR_NULL;
    face->head.v = NULL;
    face->head.n = 0;
}

str client_reply_header(const client_call *face, const char *name)
{
    return client_header_of(face->head.v, face->head.n, name);
}
