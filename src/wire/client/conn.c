/* A connection's life: the name is looked up (on the pool), its addresses tried one after the other, TLS agreed on (its
 * steps are jobs), requests served one at a time, with idle time between them.
 *
 *     resolving ── connecting ── handshaking ── busy ⇄ idle
 *                      └ next ┘ (the socket of a failed address closes)
 *
 * Opening ends in client_call_opened or client_call_failed. Whatever goes wrong, there is one way out:
 * client_conn_close. Its memory goes when the socket, the look-up, the job and the post that know it have all come
 * back. */
#include "client_private.h"

#include <netdb.h>
#include <stdio.h>

#define ADDRESSES_MAX 16
#define ADDRESS_SHARE_MS 250 /* at least */
#define SEND_MAX 262144      /* bytes per write: each that is done shows that the peer takes them */
#define SEAL_MAX 65536       /* the same over TLS: what is encrypted in one go */

static const flow_state states[] = {
    [CONN_RESOLVING] = {"resolving", TO(CONN_CONNECTING) | TO(CONN_CLOSING)},
    [CONN_CONNECTING] = {"connecting", TO(CONN_NEXT) | TO(CONN_HANDSHAKING) | TO(CONN_BUSY) | TO(CONN_CLOSING)},
    [CONN_NEXT] = {"next address", TO(CONN_CONNECTING) | TO(CONN_CLOSING)},
    [CONN_HANDSHAKING] = {"handshaking", TO(CONN_BUSY) | TO(CONN_CLOSING)},
    [CONN_BUSY] = {"busy", TO(CONN_IDLE) | TO(CONN_CLOSING)},
    [CONN_IDLE] = {"idle", TO(CONN_BUSY) | TO(CONN_CLOSING)},
    [CONN_CLOSING] = {"closing", 0},
};

static void move(conn *c, unsigned to)
{
    flow_move(states, &c->state, to);
}

static loop *loop_of(const conn *c)
{
    return c->client->loop;
}

/* ---- end ---- */

static void free_if_done(conn *c)
{
    client *owner = c->client;
    if (c->state != CONN_CLOSING || c->tcp_open || c->resolving || c->shaking || c->turn_posted)
        return;
    tls_session_free(c->tls);
    tls_ticket_free(c->ticket);
    buf_done(&c->sealed);
    mem_free(c->addresses);
    mem_free(c->in);
    mem_free(c);
    owner->open_conns--;
    client_check_closed(owner);
}

static void say_goodbye(conn *c)
{
    tls_close(c->tls);
    str bye = tls_output(c->tls);
    uv_buf_t out = {(char *)(uintptr_t)bye.p, bye.n}; /* uv only reads it */
    if (bye.n > 0)
        (void)uv_try_write((uv_stream_t *)&c->tcp, &out, 1); /* a courtesy: it may fail */
}

static void next_address(conn *c);
static void on_tcp_closed(uv_handle_t *h)
{
    conn *c = CONTAINER_OF(h, conn, tcp);
    c->tcp_open = false;
    if (c->state == CONN_NEXT)
        next_address(c);
    else
        free_if_done(c);
}

void client_conn_close(conn *c)
{
    if (c->state == CONN_CLOSING)
        return;
    bool polite = c->tls && !c->shaking && !c->writing && (c->state == CONN_BUSY || c->state == CONN_IDLE);
    origin *o = c->origin;
    move(c, CONN_CLOSING);
    list_remove(&c->link);
    loop_timer_cancel(loop_of(c), &c->timer);
    c->call = NULL;
    c->origin = NULL;
    if (polite)
        say_goodbye(c);
    if (c->resolving)
        uv_cancel((uv_req_t *)&c->resolve);
    if (c->shaking)
        loop_job_cancel(&c->handshake);
    if (c->tcp_open && !uv_is_closing((uv_handle_t *)&c->tcp))
        uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
    o->n_conns--;
    client_origin_next(o);
    free_if_done(c);
}

static void fail(conn *c, client_failure failure, const char *why)
{
    call *k = c->call;
    k->conn = NULL;
    client_conn_close(c);
    client_call_failed(k, failure, why);
}

/* ---- reading ---- */

/* What one read takes at most, and so a connection's share of a turn: decryption makes it dearer. */
static size_t read_size(const conn *c)
{
    return c->tls ? CLIENT_INPUT_SIZE / 2 : CLIENT_INPUT_SIZE;
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret_buf)
{
    conn *c = CONTAINER_OF(h, conn, tcp);
    (void)suggested;
    bool keep = c->state == CONN_BUSY && !c->tls;
    *ret_buf = (uv_buf_t){keep ? c->in : c->client->scratch, read_size(c)};
}

static void shake(conn *c);
static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    conn *c = CONTAINER_OF(stream, conn, tcp);
    if (n == 0)
        return;
    if (c->state == CONN_IDLE) { /* the peer is leaving, or says what nobody asked */
        client_conn_close(c);
        return;
    }
    if (n < 0) {
        client_conn_stop(c);
        c->ended = (int)n;
    } else if (!c->tls) {
        c->input = str_of(b->base, (size_t)n);
    } else if (tls_input(c->tls, str_of(b->base, (size_t)n)) < 0) {
        fail(c, CLIENT_MEMORY, "out of memory");
        return;
    }
    if (c->state == CONN_HANDSHAKING) {
        if (n < 0)
            fail(c, CLIENT_TLS, "the connection closed during the TLS handshake");
        else
            shake(c);
        return;
    }
    client_call_pump(c->call);
    /* uv would go on reading while buffers come full: others want their turn. */
    if (c->state == CONN_BUSY && c->reading && (size_t)n == read_size(c))
        client_conn_yield(c);
}

static void start_reading(conn *c)
{
    if (!c->reading && c->ended == 0) {
        c->ended = uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
        c->reading = c->ended == 0;
    }
}

void client_conn_stop(conn *c)
{
    uv_read_stop((uv_stream_t *)&c->tcp);
    c->reading = false;
}

int client_conn_fill(conn *c, const char **ret_why)
{
    if (c->tls) {
        ptrdiff_t n = tls_read(c->tls, c->in, CLIENT_INPUT_SIZE);
        if (n > 0) {
            c->input = str_of(c->in, (size_t)n);
            return 1;
        }
        if (n < 0) {
            *ret_why = tls_session_why(c->tls);
            return (int)n;
        }
    }
    if (c->ended == UV_EOF && !c->tls)
        return -ENODATA;
    if (c->ended != 0) {
        *ret_why = c->ended == UV_EOF ? "the connection closed in the middle of the TLS session" : err_text(c->ended);
        return c->ended == UV_EOF ? -ECONNABORTED : c->ended;
    }
    start_reading(c);
    return 0;
}

static void on_turn(post *p)
{
    conn *c = CONTAINER_OF(p, conn, turn);
    c->turn_posted = false;
    if (c->state == CONN_BUSY)
        client_call_pump(c->call);
    free_if_done(c);
}

void client_conn_yield(conn *c)
{
    client_conn_stop(c);
    if (!c->turn_posted) {
        c->turn_posted = true;
        c->turn.fn = on_turn;
        loop_post(loop_of(c), &c->turn);
    }
}

/* ---- writing ---- */

static void send_more(conn *c);
static void on_written(uv_write_t *w, int status)
{
    conn *c = CONTAINER_OF(w, conn, write);
    c->writing = false;
    buf_reset(&c->sealed);
    if (c->state == CONN_CLOSING)
        return; /* the socket's close callback follows */
    if (status < 0) {
        /* What the peer said before it stopped listening may still be read, so the reading side decides. */
        c->write_failed = true;
        c->to_send[0] = c->to_send[1] = STR_NULL;
        return;
    }
    if (c->state == CONN_BUSY)
        client_call_wrote(c->call);
    if (!c->shaking)
        send_more(c);
}

static void write_out(conn *c, uv_buf_t *bufs, unsigned n)
{
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, bufs, n, on_written) == 0)
        c->writing = true;
    else
        c->write_failed = true; /* the reading side will say why */
}

/* Hands what the session has for the peer to the socket, in memory that stays. */
static int flush(conn *c)
{
    str out = tls_output(c->tls);
    if (c->writing || out.n == 0)
        return 0;
    buf_str(&c->sealed, out);
    tls_output_taken(c->tls, out.n);
    if (c->sealed.err < 0)
        return -ENOMEM;
    write_out(c, &(uv_buf_t){c->sealed.p, c->sealed.n}, 1);
    return 0;
}

/* Cuts what goes out next, at most `most` bytes, off what is to be sent. */
static void take_to_send(conn *c, size_t most, str out[2])
{
    for (size_t i = 0; i < 2; i++) {
        out[i] = str_head(c->to_send[i], most);
        c->to_send[i] = str_from(c->to_send[i], out[i].n);
        most -= out[i].n;
    }
}

static int seal(conn *c)
{
    str out[2];
    take_to_send(c, SEAL_MAX, out);
    int r = tls_write(c->tls, out[0]);
    if (r == 0)
        r = tls_write(c->tls, out[1]);
    return r < 0 ? r : flush(c);
}

static void write_plain(conn *c)
{
    str out[2];
    uv_buf_t bufs[2];
    unsigned n = 0;
    take_to_send(c, SEND_MAX, out);
    for (size_t i = 0; i < 2; i++)
        if (out[i].n > 0)
            bufs[n++] = (uv_buf_t){(char *)(uintptr_t)out[i].p, out[i].n}; /* uv only reads it */
    if (n > 0)
        write_out(c, bufs, n);
}

static void send_more(conn *c)
{
    if (c->writing)
        return;
    if (c->tls) {
        int r = c->state == CONN_BUSY ? seal(c) : flush(c);
        if (r < 0)
            fail(c, r == -ENOMEM ? CLIENT_MEMORY : CLIENT_TLS,
                 r == -ENOMEM ? "out of memory" : tls_session_why(c->tls));
        return;
    }
    write_plain(c);
}

void client_conn_send(conn *c, str head, str body)
{
    c->to_send[0] = head;
    c->to_send[1] = body;
    start_reading(c);
    send_more(c);
}

/* ---- opening ---- */

static void on_timer(timer *t);

static void opened(conn *c)
{
    loop_timer_cancel(loop_of(c), &c->timer);
    c->in = mem_alloc(CLIENT_INPUT_SIZE);
    if (!c->in) {
        fail(c, CLIENT_MEMORY, "out of memory");
        return;
    }
    mem_free(c->addresses);
    c->addresses = NULL;
    move(c, CONN_BUSY);
    client_call_opened(c->call, c);
}

/* ---- opening: TLS ---- */

static void on_shake(job *j)
{
    conn *c = CONTAINER_OF(j, conn, handshake);
    c->handshake_result = tls_handshake(c->tls);
    if (c->handshake_result == 1)
        (void)tls_ticket_take(c->tls, &c->ticket); /* without one the next handshake is a full one */
}

static void on_shaken(job *j, int status)
{
    conn *c = CONTAINER_OF(j, conn, handshake);
    c->shaking = false;
    if (c->state == CONN_CLOSING) {
        free_if_done(c);
        return;
    }
    int r = status < 0 ? status : c->handshake_result;
    if (flush(c) < 0)
        r = -ENOMEM;
    if (r == 0) {
        start_reading(c);
    } else if (r < 0) {
        client_origin_keep_ticket(c->origin, NULL); /* it may be what the server does not like */
        fail(c,
             r == -EKEYREJECTED ? CLIENT_CERTIFICATE
             : r == -ENOMEM     ? CLIENT_MEMORY
                                : CLIENT_TLS,
             r == -ENOMEM ? "out of memory" : tls_session_why(c->tls));
    } else {
        if (c->ticket && c->trust == c->client->trust) {
            client_origin_keep_ticket(c->origin, c->ticket);
            c->ticket = NULL;
        }
        opened(c);
    }
}

/* Nothing is read meanwhile: the session is the worker's. */
static void shake(conn *c)
{
    client_conn_stop(c);
    c->shaking = true;
    if (loop_job(loop_of(c), &c->handshake, on_shake, on_shaken) < 0) {
        c->shaking = false;
        fail(c, CLIENT_MEMORY, "out of memory");
    }
}

static void start_tls(conn *c)
{
    int64_t left = c->deadline - loop_now_mono_ms(loop_of(c));
    if (loop_timer_set(loop_of(c), &c->timer, left > 0 ? left : 0, on_timer) < 0 ||
        tls_session_new(c->client->trust, c->call->at.host, client_origin_ticket(c->origin), &c->tls) < 0) {
        fail(c, CLIENT_MEMORY, "out of memory");
        return;
    }
    c->trust = c->client->trust;
    move(c, CONN_HANDSHAKING);
    shake(c);
}

/* ---- opening: addresses ---- */

static void close_for_next(conn *c, int error)
{
    c->connect_error = error;
    loop_timer_cancel(loop_of(c), &c->timer);
    move(c, CONN_NEXT);
    uv_close((uv_handle_t *)&c->tcp, on_tcp_closed);
}

static void on_connected(uv_connect_t *r, int status)
{
    conn *c = CONTAINER_OF(r, conn, connect);
    if (c->state != CONN_CONNECTING)
        return; /* closing, for good or for the next address */
    if (status < 0)
        close_for_next(c, status);
    else if (c->call->at.https)
        start_tls(c);
    else
        opened(c);
}

/* Each address gets its share of the time that is left, so that one that swallows packets does not cost the others
 * theirs. */
static int64_t address_share(const conn *c)
{
    int64_t left = c->deadline - loop_now_mono_ms(loop_of(c));
    int64_t share = left / (int64_t)(c->n_addresses - c->next_address);
    return share > ADDRESS_SHARE_MS || share >= left ? share : ADDRESS_SHARE_MS;
}

static void next_address(conn *c)
{
    if (c->client->options.public_only)
        while (c->next_address < c->n_addresses && !client_address_is_public(&c->addresses[c->next_address]))
            c->next_address++;
    if (c->next_address == c->n_addresses && c->connect_error == 0) {
        fail(c, CLIENT_ADDRESS, "the address is not a public one");
        return;
    }
    if (c->next_address == c->n_addresses || loop_now_mono_ms(loop_of(c)) >= c->deadline) {
        fail(c,
             c->connect_error == -ECONNREFUSED ? CLIENT_REFUSED
             : c->connect_error == -ETIMEDOUT  ? CLIENT_TIMEOUT
                                               : CLIENT_CONNECT,
             c->connect_error == -ETIMEDOUT ? "no connection in time" : err_text(c->connect_error));
        return;
    }
    c->any_address = !c->client->options.public_only;
    move(c, CONN_CONNECTING);
    int r = loop_timer_set(loop_of(c), &c->timer, address_share(c), on_timer);
    if (r < 0) {
        fail(c, CLIENT_MEMORY, "out of memory");
        return;
    }
    uv_tcp_init(loop_uv(loop_of(c)), &c->tcp); /* makes no socket yet: cannot fail */
    c->tcp_open = true;
    uv_tcp_nodelay(&c->tcp, 1);
    r = uv_tcp_connect(&c->connect, &c->tcp, (const struct sockaddr *)&c->addresses[c->next_address++], on_connected);
    if (r < 0)
        close_for_next(c, r);
}

static void on_timer(timer *t)
{
    conn *c = CONTAINER_OF(t, conn, timer);
    switch (c->state) {
    case CONN_CONNECTING:
        close_for_next(c, -ETIMEDOUT);
        break;
    case CONN_IDLE:
        client_conn_close(c);
        break;
    case CONN_RESOLVING:
        fail(c, CLIENT_TIMEOUT, "the name was not found in time");
        break;
    default:
        fail(c, CLIENT_TIMEOUT, "no TLS session in time");
    }
}

/* ---- opening: names ---- */

/* The resolver sorts by preference; between its two families we alternate, so that a broken one costs one try. */
static size_t interleave(const struct addrinfo *all, struct sockaddr_storage *out)
{
    const struct addrinfo *first = all, *other = all;
    size_t n = 0;
    while (other && other->ai_family == all->ai_family)
        other = other->ai_next;
    while ((first || other) && n < ADDRESSES_MAX) {
        const struct addrinfo **side = (n % 2 == 0 && first) || !other ? &first : &other;
        const struct addrinfo *taken = *side;
        memcpy(&out[n++], taken->ai_addr, taken->ai_addrlen);
        do
            *side = (*side)->ai_next;
        while (*side && (*side)->ai_family != taken->ai_family);
    }
    return n;
}

static void on_resolved(uv_getaddrinfo_t *r, int status, struct addrinfo *found)
{
    conn *c = CONTAINER_OF(r, conn, resolve);
    c->resolving = false;
    const char *why = NULL;
    const client_failure failure = client_lookup_failure(status == 0 && !found ? UV_EAI_NODATA : status, &why);
    if (c->state == CONN_CLOSING) {
        free_if_done(c);
    } else if (failure != CLIENT_NONE) {
        fail(c, failure, why);
    } else {
        c->n_addresses = interleave(found, c->addresses);
        next_address(c);
    }
    uv_freeaddrinfo(found);
}

static int look_up(conn *c, const url *u)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char port[8];
    snprintf(port, sizeof(port), "%u", u->port);
    int64_t left = c->deadline - loop_now_mono_ms(loop_of(c));
    int r = loop_timer_set(loop_of(c), &c->timer, left, on_timer);
    if (r == 0)
        r = uv_getaddrinfo(loop_uv(loop_of(c)), &c->resolve, on_resolved, u->host.p, port, &hints);
    c->resolving = r == 0;
    return r;
}

int client_conn_open(origin *o, call *k, const url *u, int64_t connect_ms)
{
    conn *c = mem_new(conn);
    struct sockaddr_storage *addresses = mem_zalloc(ADDRESSES_MAX * sizeof(*addresses));
    if (!c || !addresses) {
        mem_free(c);
        mem_free(addresses);
        return -ENOMEM;
    }
    *c = (conn){.client = o->client, .origin = o, .call = k, .addresses = addresses};
    c->deadline = loop_now_mono_ms(loop_of(c)) + connect_ms;
    list_init(&c->link);
    o->n_conns++;
    o->client->open_conns++;
    k->conn = c;
    if (client_lookup_literal(u, c->addresses)) {
        c->n_addresses = 1;
        next_address(c);
    } else if (look_up(c, u) < 0) {
        fail(c, CLIENT_MEMORY, "out of memory");
    }
    return 0;
}

/* ---- the pool ---- */

int client_conn_take(conn *c, call *k)
{
    char *in = mem_alloc(CLIENT_INPUT_SIZE);
    if (!in)
        return -ENOMEM;
    loop_timer_cancel(loop_of(c), &c->timer);
    list_remove(&c->link);
    move(c, CONN_BUSY);
    c->in = in;
    c->call = k;
    c->reused = true;
    k->conn = c;
    return 0;
}

/* Nothing is under way on it, and it is of the kind that is wanted now. */
static bool may_serve_again(conn *c)
{
    if (c->ended != 0 || c->writing || c->write_failed || c->input.n > 0 || c->to_send[0].n + c->to_send[1].n > 0)
        return false;
    if (c->any_address && c->client->options.public_only)
        return false;
    return !c->tls || (c->trust == c->client->trust && tls_read(c->tls, c->in, CLIENT_INPUT_SIZE) == 0);
}

void client_conn_release(conn *c)
{
    if (c->client->closing || !may_serve_again(c) ||
        loop_timer_set(loop_of(c), &c->timer, c->client->options.idle_ms, on_timer) < 0) {
        client_conn_close(c);
        return;
    }
    mem_free(c->in);
    c->in = NULL;
    c->call = NULL;
    move(c, CONN_IDLE);
    list_push(&c->origin->idle, &c->link);
    start_reading(c); /* to see it close */
    client_origin_next(c->origin);
}
