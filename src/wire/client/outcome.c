/* What follows from an answer or a failure: on to a redirect's target, another try after a pause, or the end. */
#include "client_private.h"

#include <stdio.h>

#define REDIRECTS_MAX 5

/* The connection, if any, is closed or in the pool already. */
static void leave_origin(call *k)
{
    origin *o = k->origin;
    k->conn = NULL;
    k->origin = NULL;
    loop_timer_cancel(k->client->loop, &k->phase);
    client_origin_leave(o, k);
}

/* ---- retries ---- */

static void on_backoff(timer *t)
{
    call *k = CONTAINER_OF(t, call, phase);
    client_call_enter_line(k);
}

/* Milliseconds the server asks us to wait (RFC 9110 section 10.2.3: seconds or a date); 0 when it does not. */
static int64_t asked_pause(const call *k)
{
    str text = client_response_header(&k->response, "retry-after");
    int64_t value;
    int r = str_to_i64(text, &value);
    if (r == -ERANGE || (r == 0 && value > INT64_MAX / 1000))
        return INT64_MAX;
    if (r == 0)
        return value > 0 ? value * 1000 : 0;
    if (http_date_parse(text, &value) < 0)
        return 0;
    value -= loop_now_wall_ms(k->client->loop);
    return value > 0 ? value : 0;
}

/* One that has had enough but doesn't say for how long gets the whole pause, not a random part of it. */
static int64_t retry_after(const call *k)
{
    const client_options *o = &k->client->options;
    const int64_t asked = asked_pause(k);
    if (k->response.status != 429 || asked > 0)
        return asked;
    return k->retried < 30 && o->retry_base_ms <= o->retry_cap_ms >> k->retried ? o->retry_base_ms << k->retried
                                                                                : o->retry_cap_ms;
}

/* True when another try was set up: it may be repeated, and its pause ends in time. */
static bool try_again(call *k, int64_t wait_at_least)
{
    const client_options *o = &k->client->options;
    if (k->given || k->retried >= k->face->retries || !client_request_is_idempotent(k))
        return false;
    int64_t pause = backoff_ms(o->retry_base_ms, o->retry_cap_ms, k->retried);
    if (pause < wait_at_least)
        pause = wait_at_least;
    loop *l = k->client->loop;
    if (pause >= k->deadline - loop_now_mono_ms(l) || loop_timer_set(l, &k->phase, pause, on_backoff) < 0)
        return false;
    k->retried++;
    k->face->attempts++;
    client_call_move(k, CALL_BACKOFF);
    return true;
}

static bool may_pass(const call *k, client_failure failure)
{
    switch (failure) {
    case CLIENT_REFUSED:
    case CLIENT_CONNECT:
    case CLIENT_CLOSED:
        return true;
    case CLIENT_TLS: /* before there was a session it is a kind of connect error */
    case CLIENT_TIMEOUT:
        return k->state == CALL_OPENING;
    default:
        return false;
    }
}

void client_call_failed(call *k, client_failure failure, const char *why)
{
    conn *c = k->conn;
    origin *o = k->origin;
    bool was_dead = k->pooled && failure == CLIENT_CLOSED && k->response.head_bytes == 0;
    k->conn = NULL;
    if (c)
        client_conn_close(c);
    if (was_dead && client_request_is_idempotent(k)) {
        client_origin_drop_idle(o); /* a server that was restarted has closed them all */
        leave_origin(k);
        k->fresh_only = true;
        client_call_enter_line(k);
        return;
    }
    client_origin_book(o, failure, 0, why);
    leave_origin(k);
    if (!may_pass(k, failure) || !try_again(k, 0))
        client_call_finish(k, failure, why);
}

/* ---- redirects ---- */

static const char *refusal(const call *k, const url *next)
{
    if (k->redirects == REDIRECTS_MAX)
        return "too many redirects";
    return k->at.https && !next->https ? "redirected from https to http" : NULL;
}

static void follow(call *k)
{
    url next;
    const char *why = NULL;
    int status = k->response.status;
    str method = client_request_method(k), where = client_response_header(&k->response, "location");
    int r = client_url_resolve(&k->arena, &k->at, where, &next, &why);
    if (r == -ENOMEM) {
        client_call_finish(k, CLIENT_MEMORY, "out of memory");
        return;
    }
    if (r == 0)
        why = refusal(k, &next);
    if (why) {
        char text[160];
        snprintf(text, sizeof(text), r < 0 ? "redirected to where we can't go: %s" : "%s", why);
        client_call_finish(k, CLIENT_REDIRECT, text);
        return;
    }
    /* RFC 9110 section 15.4: 303 says GET; after 301 and 302 to a POST all the world sends GET. */
    if ((status == 303 && !str_eq(method, STR("HEAD"))) || (status < 303 && str_eq(method, STR("POST"))))
        k->as_get = true;
    k->redirects++;
    k->at = next;
    k->fresh_only = false;
    client_call_enter_line(k);
}

/* ---- answers ---- */

static bool may_get_better(const call *k, int status)
{
    return (status == 429 && !k->face->keeps_quota) || status == 500 || status == 502 || status == 503 || status == 504;
}

void client_call_answered(call *k, bool reusable)
{
    conn *c = k->conn;
    int status = k->response.status;
    int64_t wait = retry_after(k);
    client_origin_book(k->origin, CLIENT_NONE, status, "server errors");
    leave_origin(k);
    if (reusable)
        client_conn_release(c);
    else
        client_conn_close(c);
    if (k->discarding)
        follow(k);
    else if (!may_get_better(k, status) || !try_again(k, wait))
        client_call_finish(k, CLIENT_NONE, NULL);
}
