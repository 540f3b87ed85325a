/* See peer.h. */
#include "peer.h"

#include <stdlib.h>

#include <uv.h>

#include "unit.h"

/* Memory from libc: failures injected into the program's allocations don't hit the server. */
typedef struct bytes {
    char *p;
    size_t n, cap;
} bytes;

static void reserve(bytes *b, size_t n)
{
    if (b->cap - b->n >= n)
        return;
    b->cap = b->n + n;
    b->p = realloc(b->p, b->cap);
    assert_non_null(b->p);
}

static void put(bytes *b, str s)
{
    if (s.n == 0)
        return;
    reserve(b, s.n);
    memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
}

struct peer_impl {
    bytes last;
    uv_tcp_t listener;
    list conns;
    bool listening, closed;
};

struct peer_conn {
    list link;
    peer *peer;
    uv_tcp_t tcp;
    uv_prepare_t tick; /* writes the drip */
    bytes in, out;
    size_t sent;
    size_t drip;
    uv_write_t write;
    char *writing; /* a copy of what is under way */
    bool closing;
    peer_then then;
    int handles;
};

/* ---- a connection ---- */

static void on_conn_closed(uv_handle_t *h)
{
    peer_conn *c = h->data;
    if (--c->handles > 0)
        return;
    c->peer->open--;
    list_remove(&c->link);
    free(c->in.p);
    free(c->out.p);
    free(c);
}

static void close_conn(peer_conn *c, bool reset)
{
    if (c->closing)
        return;
    c->closing = true;
    c->tick.data = c->tcp.data = c;
    uv_close((uv_handle_t *)&c->tick, on_conn_closed);
    if (reset)
        uv_tcp_close_reset(&c->tcp, on_conn_closed);
    else
        uv_close((uv_handle_t *)&c->tcp, on_conn_closed);
}

static void write_some(peer_conn *c);
static void on_written(uv_write_t *w, int status)
{
    peer_conn *c = w->data;
    free(c->writing);
    c->writing = NULL;
    if (c->closing)
        return;
    if (status < 0)
        close_conn(c, false);
    else if (c->drip == 0)
        write_some(c);
}

static void write_some(peer_conn *c)
{
    if (c->writing || c->closing)
        return;
    size_t n = c->out.n - c->sent;
    if (n == 0) {
        if (c->then != PEER_KEEP)
            close_conn(c, c->then == PEER_RESET);
        return;
    }
    if (c->drip > 0 && n > c->drip)
        n = c->drip;
    if (n > 65536)
        n = 65536;
    c->writing = malloc(n);
    assert_non_null(c->writing);
    memcpy(c->writing, c->out.p + c->sent, n);
    uv_buf_t b = {c->writing, n};
    c->sent += n;
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->tcp, &b, 1, on_written) < 0)
        close_conn(c, false);
}

static void on_tick(uv_prepare_t *h)
{
    write_some(h->data);
}

void peer_say(peer_conn *c, str text)
{
    if (c->closing)
        return;
    put(&c->out, text);
    write_some(c);
}

void peer_end(peer_conn *c, peer_then then)
{
    c->then = then;
    write_some(c);
}

size_t peer_backlog(const peer_conn *c)
{
    return c->out.n - c->sent + c->tcp.write_queue_size;
}

/* ---- requests ---- */

str peer_request_line(str request)
{
    return str_head(request, (size_t)str_find(request, STR("\r\n")));
}

str peer_header(str request, const char *name)
{
    str line;
    while (str_cut(&request, '\n', &line)) {
        ptrdiff_t colon = str_chr(line, ':');
        if (colon > 0 && str_eq_nocase(str_head(line, (size_t)colon), str_c(name)))
            return str_trim(str_from(line, (size_t)colon + 1));
        if (str_trim(line).n == 0)
            break;
    }
    return STR_NULL;
}

static void answer(peer *p, peer_conn *c, str request)
{
    p->requests++;
    p->impl->last.n = 0;
    put(&p->impl->last, request);
    p->last = str_of(p->impl->last.p, p->impl->last.n);
    if (p->on_request) {
        p->on_request(p, c, request);
        return;
    }
    assert_true(p->n_steps > 0);
    const peer_step *s = &p->steps[p->requests <= p->n_steps ? p->requests - 1 : p->n_steps - 1];
    c->drip = s->drip;
    c->then = s->then;
    if (s->drip > 0)
        uv_prepare_start(&c->tick, on_tick);
    peer_say(c, s->n > 0 ? str_of(s->say, s->n) : str_c(s->say));
    if (s->then != PEER_KEEP)
        write_some(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *ret_buf)
{
    peer_conn *c = h->data;
    (void)suggested;
    reserve(&c->in, 65536);
    *ret_buf = (uv_buf_t){c->in.p + c->in.n, 65536};
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    peer_conn *c = s->data;
    (void)b;
    if (n < 0) {
        close_conn(c, false);
        return;
    }
    c->in.n += (size_t)n;
    for (;;) {
        str in = str_of(c->in.p, c->in.n);
        ptrdiff_t head = str_find(in, STR("\r\n\r\n"));
        if (head < 0 || c->closing)
            return;
        int64_t body = 0;
        if (!c->peer->head_only)
            str_to_i64(peer_header(in, "Content-Length"), &body);
        size_t whole = (size_t)head + 4 + (size_t)body;
        if (in.n < whole)
            return;
        answer(c->peer, c, str_head(in, whole));
        memmove(c->in.p, c->in.p + whole, c->in.n - whole);
        c->in.n -= whole;
    }
}

static void on_connection(uv_stream_t *s, int status)
{
    peer *p = s->data;
    assert_int_equal(status, 0);
    peer_conn *c = calloc(1, sizeof(*c));
    assert_non_null(c);
    c->peer = p;
    uv_tcp_init(loop_uv(p->loop), &c->tcp);
    uv_prepare_init(loop_uv(p->loop), &c->tick);
    c->tcp.data = c->tick.data = c;
    c->handles = 2;
    list_push(&p->impl->conns, &c->link);
    assert_int_equal(uv_accept(s, (uv_stream_t *)&c->tcp), 0);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
    p->connections++;
    p->open++;
    if (p->open > p->most_open)
        p->most_open = p->open;
}

/* ---- the listener ---- */

static void listen_on(peer *p, int port)
{
    struct sockaddr_in addr;
    uv_ip4_addr("127.0.0.1", port, &addr);
    uv_tcp_init(loop_uv(p->loop), &p->impl->listener);
    p->impl->listener.data = p;
    assert_int_equal(uv_tcp_bind(&p->impl->listener, (struct sockaddr *)&addr, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&p->impl->listener, 64, on_connection), 0);
    int n = sizeof(addr);
    uv_tcp_getsockname(&p->impl->listener, (struct sockaddr *)&addr, &n);
    p->port = ntohs(addr.sin_port);
    p->impl->listening = true;
}

void peer_open(peer *p, loop *l)
{
    p->loop = l;
    p->impl = calloc(1, sizeof(*p->impl));
    assert_non_null(p->impl);
    list_init(&p->impl->conns);
    listen_on(p, 0);
    snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%d", p->port);
}

static void on_listener_closed(uv_handle_t *h)
{
    peer *p = h->data;
    p->impl->closed = true;
}

void peer_deafen(peer *p)
{
    if (!p->impl->listening)
        return;
    p->impl->listening = p->impl->closed = false;
    uv_close((uv_handle_t *)&p->impl->listener, on_listener_closed);
    peer_run_until(p->loop, p->impl->closed);
}

void peer_listen_again(peer *p)
{
    listen_on(p, p->port);
}

void peer_drop_all(peer *p)
{
    for (list *l = p->impl->conns.next; l != &p->impl->conns; l = l->next)
        close_conn(CONTAINER_OF(l, peer_conn, link), false);
}

void peer_close(peer *p)
{
    peer_deafen(p);
    peer_drop_all(p);
    peer_run_until(p->loop, list_empty(&p->impl->conns));
    free(p->impl->last.p);
    free(p->impl);
}

void peer_turn(loop *l)
{
    loop_run_once(l, false);
    uv_sleep(0);
    static unsigned turns;
    if (++turns % 4 == 0)
        uv_sleep(1);
}

void peer_turns(loop *l)
{
    for (int i = 0; i < 60; i++)
        peer_turn(l);
}
