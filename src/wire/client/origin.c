/* Origins: who gets a connection when, the circuit breaker, tickets and statistics. */
#include "client_private.h"

#include <stdio.h>

#define ORIGINS_KEPT 256
#define BREAKER_PAUSE_MS 1000
#define BREAKER_PAUSE_MAX_MS 60000
#define TICKET_AGE_MS HOURS(1) /* then the certificate is looked at anew */

/* ---- finding ---- */

static stats *stats_of(client *c, str key)
{
    for (size_t i = 0; i < c->n_stats; i++)
        if (str_eq(c->stats[i].origin, key))
            return &c->stats[i];
    char *copy = c->n_stats < STATS_ORIGINS ? mem_strndup(key.p, key.n) : NULL;
    if (!copy)
        return &c->stats[STATS_ORIGINS];
    stats *s = &c->stats[c->n_stats++];
    s->origin = str_of(copy, key.n);
    return s;
}

/* The place of the key, or where it belongs. */
static size_t place_of(const client *c, str key, bool *ret_found)
{
    size_t from = 0, to = c->n_origins;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = str_cmp(c->origins[middle]->key, key);
        if (order == 0) {
            *ret_found = true;
            return middle;
        }
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    *ret_found = false;
    return from;
}

static void remove_at(client *c, size_t i)
{
    client_origin_free(c->origins[i]);
    c->n_origins--;
    memmove(&c->origins[i], &c->origins[i + 1], (c->n_origins - i) * sizeof(*c->origins));
}

/* Keeps what is known of the origins used last; those in use stay anyway. */
static void forget_oldest(client *c)
{
    size_t oldest = c->n_origins;
    for (size_t i = 0; i < c->n_origins; i++) {
        const origin *o = c->origins[i];
        if (o->n_conns == 0 && o->n_calls == 0 && !o->dispatching &&
            (oldest == c->n_origins || o->used_at < c->origins[oldest]->used_at))
            oldest = i;
    }
    if (oldest < c->n_origins)
        remove_at(c, oldest);
}

static origin *origin_new(client *c, str key)
{
    origin *o = mem_new(origin);
    char *copy = mem_strndup(key.p, key.n);
    if (!o || !copy) {
        mem_free(o);
        mem_free(copy);
        return NULL;
    }
    o->client = c;
    o->key = str_of(copy, key.n);
    list_init(&o->idle);
    list_init(&o->waiting);
    o->stats = stats_of(c, o->key);
    return o;
}

static origin *insert(client *c, str key)
{
    if (c->n_origins >= ORIGINS_KEPT)
        forget_oldest(c);
    if (c->n_origins == c->cap_origins) {
        size_t cap = c->cap_origins > 0 ? c->cap_origins * 2 : 8;
        origin **more = mem_realloc(c->origins, cap * sizeof(*more));
        if (!more)
            return NULL;
        c->origins = more;
        c->cap_origins = cap;
    }
    origin *o = origin_new(c, key);
    if (!o)
        return NULL;
    bool found;
    size_t i = place_of(c, key, &found);
    memmove(&c->origins[i + 1], &c->origins[i], (c->n_origins - i) * sizeof(*c->origins));
    c->origins[i] = o;
    c->n_origins++;
    return o;
}

origin *client_origin_get(client *c, const url *u)
{
    char text[URL_HOST_MAX + 24];
    const char *open = u->is_v6 ? "[" : "", *close = u->is_v6 ? "]" : "";
    bool usual = u->port == (u->https ? 443 : 80);
    int n = snprintf(text, sizeof(text), usual ? "%s://%s%s%s" : "%s://%s%s%s:%u", u->https ? "https" : "http", open,
                     u->host.p, close, u->port);
    str key = str_of(text, (size_t)n);
    bool found;
    size_t i = place_of(c, key, &found);
    origin *o = found ? c->origins[i] : insert(c, key);
    if (o)
        o->used_at = loop_now_mono_ms(c->loop);
    return o;
}

void client_origin_free(origin *o)
{
    tls_ticket_free(o->ticket);
    mem_free((char *)(uintptr_t)o->key.p); /* its own copy */
    mem_free(o);
}

/* ---- the breaker ---- */

static bool breaker_lets(origin *o, call *k)
{
    if (o->open_until == 0 || o->probe == k)
        return true;
    if (o->probe || loop_now_mono_ms(o->client->loop) < o->open_until)
        return false;
    o->probe = k;
    return true;
}

static bool is_failure(client_failure failure, int status)
{
    switch (failure) {
    case CLIENT_NONE:
        return status == 500 || status == 502 || status == 503 || status == 504;
    case CLIENT_DNS:
    case CLIENT_REFUSED:
    case CLIENT_CONNECT:
    case CLIENT_CERTIFICATE:
    case CLIENT_TLS:
    case CLIENT_TIMEOUT:
    case CLIENT_CLOSED:
    case CLIENT_PROTOCOL:
        return true;
    default:
        return false;
    }
}

/* Our own troubles say nothing about the origin. */
static bool says_nothing(client_failure failure)
{
    return failure == CLIENT_CANCELLED || failure == CLIENT_MEMORY || failure == CLIENT_SINK ||
           failure == CLIENT_BREAKER || failure == CLIENT_ADDRESS;
}

static size_t result_of(client_failure failure, int status)
{
    if (failure != CLIENT_NONE)
        return failure;
    return CLIENT_FAILURE_COUNT + (status < 600 ? (size_t)status / 100 - 2 : 3);
}

void client_origin_forgive(origin *o)
{
    o->failures = 0;
    o->open_until = o->pause_ms = 0;
}

void client_origin_book(origin *o, client_failure failure, int status, const char *why)
{
    client *c = o->client;
    o->stats->counts[result_of(failure, status)]++;
    if (says_nothing(failure))
        return;
    if (!is_failure(failure, status)) {
        client_origin_forgive(o);
        return;
    }
    o->failures++;
    o->last_why = why;
    if (o->failures < c->options.breaker_failures)
        return;
    if (o->open_until > loop_now_mono_ms(c->loop))
        return; /* attempts that were under way when it opened */
    o->pause_ms = o->pause_ms == 0 ? BREAKER_PAUSE_MS : o->pause_ms * 2;
    if (o->pause_ms > BREAKER_PAUSE_MAX_MS)
        o->pause_ms = BREAKER_PAUSE_MAX_MS;
    o->open_until = loop_now_mono_ms(c->loop) + o->pause_ms;
}

/* ---- who gets a connection ---- */

static conn *newest_idle(origin *o)
{
    return list_empty(&o->idle) ? NULL : CONTAINER_OF(o->idle.prev, conn, link);
}

static bool has_room(const origin *o)
{
    return o->n_conns < o->client->options.per_origin;
}

static void open_for(origin *o, call *k)
{
    client_call_move(k, CALL_OPENING);
    if (client_conn_open(o, k, &k->at, k->connect_ms) < 0)
        client_call_failed(k, CLIENT_MEMORY, "out of memory");
}

static void take_for(conn *idle, call *k)
{
    if (client_conn_take(idle, k) < 0)
        client_call_failed(k, CLIENT_MEMORY, "out of memory");
    else
        client_call_opened(k, idle);
}

void client_origin_admit(origin *o, call *k)
{
    if (!breaker_lets(o, k)) {
        client_call_refused(k);
        return;
    }
    conn *idle = newest_idle(o);
    if (idle && !k->fresh_only) {
        take_for(idle, k);
        return;
    }
    if (idle && !has_room(o)) /* the pool is full of what the call doesn't want */
        client_conn_close(CONTAINER_OF(o->idle.next, conn, link));
    if (has_room(o))
        open_for(o, k);
    else
        list_push(&o->waiting, &k->wait);
}

void client_origin_next(origin *o)
{
    if (o->dispatching || o->client->closing) /* the first: further down this very stack */
        return;
    o->dispatching = true;
    while (!list_empty(&o->waiting) && (newest_idle(o) || has_room(o)))
        client_origin_admit(o, CONTAINER_OF(list_pop(&o->waiting), call, wait));
    o->dispatching = false;
}

void client_origin_leave(origin *o, call *k)
{
    list_remove(&k->wait);
    o->n_calls--;
    if (o->probe == k)
        o->probe = NULL;
}

void client_origin_drop_idle(origin *o)
{
    while (!list_empty(&o->idle))
        client_conn_close(CONTAINER_OF(o->idle.next, conn, link));
}

/* ---- tickets ---- */

void client_origin_keep_ticket(origin *o, tls_ticket *ticket)
{
    tls_ticket_free(o->ticket);
    o->ticket = ticket;
    o->ticket_at = loop_now_mono_ms(o->client->loop);
}

const tls_ticket *client_origin_ticket(const origin *o)
{
    bool young = loop_now_mono_ms(o->client->loop) - o->ticket_at < TICKET_AGE_MS;
    return o->ticket && young ? o->ticket : NULL;
}
