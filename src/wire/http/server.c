/* The server as a whole: what it listens on, its options, the order of stopping. */
#include "internal.h"

#define ID_RANDOM 8 /* hex digits of an id that tell processes apart; the others count */

/* ---- what requests share ---- */

const char *http_server_date(http_server *s)
{
    int64_t now = loop_now_wall_ms(s->loop);
    if (now - s->date_from_ms >= 1000 || now < s->date_from_ms) {
        http_date_format(now, s->date);
        s->date_from_ms = now - now % 1000;
    }
    return s->date;
}

/* The next id counts on in hex, as text. */
void http_server_new_id(http_server *s, char id[HTTP_ID_LEN])
{
    memcpy(id, s->next_id, HTTP_ID_LEN);
    for (size_t i = HTTP_ID_LEN; i > ID_RANDOM; i--) {
        char *digit = &s->next_id[i - 1];
        if (*digit != 'f') {
            *digit = *digit == '9' ? 'a' : (char)(*digit + 1);
            break;
        }
        *digit = '0';
    }
}

static void on_ready(post *p)
{
    http_server *s = CONTAINER_OF(p, http_server, ready_post);
    s->ready_posted = false;
    list now;
    list_init(&now);
    for (list *l; (l = list_pop(&s->ready));)
        list_push(&now, l);
    for (list *l; (l = list_pop(&now));)
        http_conn_take_turn(CONTAINER_OF(l, http_conn, ready));
}

void http_server_schedule(http_conn *c)
{
    http_server *s = c->server;
    if (list_empty(&c->ready))
        list_push(&s->ready, &c->ready);
    if (!s->ready_posted) {
        s->ready_posted = true;
        loop_post(s->loop, &s->ready_post);
    }
}

/* ---- making one ---- */

int http_server_new(loop *l, const http_options *o, const http_hooks *hooks, http_server **ret_server)
{
    http_server *s = mem_new(http_server);
    if (!s)
        return -ENOMEM;
    s->loop = l;
    s->options = *o;
    s->hooks = *hooks;
    s->ready_post.fn = on_ready;
    list_init(&s->conns);
    list_init(&s->ready);
    http_deadlines_init(s);
    http_gzip_setup();
    s->in = mem_alloc(HTTP_READ_SIZE);
    if (!s->in || !buf_reserve(&s->gather, HTTP_READ_SIZE)) {
        mem_free(s->in);
        mem_free(s);
        return -ENOMEM;
    }
    uint8_t random[ID_RANDOM / 2];
    random_bytes(random, sizeof(random));
    memset(s->next_id, '0', sizeof(s->next_id));
    hex_encode(random, sizeof(random), s->next_id);
    s->date_from_ms = INT64_MIN / 2;
    *ret_server = s;
    return 0;
}

void http_server_set_options(http_server *s, const http_options *o)
{
    s->options = *o;
}

const http_stats *http_stats_of(const http_server *s)
{
    return &s->stats;
}

static void on_accept(void *arg, net_listener *net, int fd, const net_addr *peer)
{
    (void)net;
    http_listener *ls = arg;
    http_server *s = ls->server;
    if (fd < 0) {
        s->stats.failed_accepts++;
        s->stats.accept_error = fd;
        return;
    }
    s->stats.accepted++;
    if (s->draining || http_server_busy(s) >= s->options.max_connections + HTTP_REFUSALS) {
        s->stats.refused_connections++;
        net_fd_refuse(fd);
        return;
    }
    http_conn_accept(ls, fd, peer);
}

int http_server_listen(http_server *s, const net_listen *where, arena *a, str *ret_url)
{
    http_listener *ls = mem_new(http_listener);
    if (!ls)
        return -ENOMEM;
    ls->server = s;
    int r = net_listener_open(s->loop, where, on_accept, ls, &ls->net);
    if (r < 0) {
        mem_free(ls);
        return r;
    }
    ls->next = s->listeners;
    s->listeners = ls;
    s->open_listeners++;
    str url = net_listen_url(a, net_listener_where(ls->net));
    if (!url.p)
        return -ENOMEM; /* it listens all the same; who calls gives up and drains */
    *ret_url = url;
    return 0;
}

/* ---- stopping ---- */

static void tell_drained(post *p)
{
    http_server *s = CONTAINER_OF(p, http_server, drained_post);
    s->drained(s->drained_arg);
}

void http_server_check_drained(http_server *s)
{
    if (!s->draining || s->stats.connections > 0 || s->open_listeners > 0 || s->n_exchanges > 0 || s->drained_post.fn)
        return;
    loop_timer_cancel(s->loop, &s->tick);
    s->drained_post.fn = tell_drained;
    loop_post(s->loop, &s->drained_post);
}

static void on_listener_closed(void *arg)
{
    http_listener *ls = arg;
    ls->server->open_listeners--;
    http_server_check_drained(ls->server);
}

/* fn for each connection; fn may close any of them, but their structs stay while the loop's turn lasts. */
static void for_each_conn(http_server *s, void (*fn)(http_conn *c))
{
    list seen;
    list_init(&seen);
    for (list *l; (l = list_pop(&s->conns));) {
        list_push(&seen, l);
        fn(CONTAINER_OF(l, http_conn, all));
    }
    for (list *l; (l = list_pop(&seen));)
        list_push(&s->conns, l);
}

void http_server_drain(http_server *s, void (*drained)(void *arg), void *arg)
{
    REQUIRE(!s->draining);
    s->draining = true;
    s->drained = drained;
    s->drained_arg = arg;
    for (http_listener *ls = s->listeners; ls; ls = ls->next)
        net_listener_close(ls->net, on_listener_closed);
    for_each_conn(s, http_conn_drain);
    http_server_check_drained(s);
}

void http_server_cut(http_server *s)
{
    REQUIRE(s->draining);
    for_each_conn(s, http_conn_abort);
}

void http_server_free(http_server *s)
{
    if (!s)
        return;
    REQUIRE(s->stats.connections == 0 && s->open_listeners == 0 && s->n_exchanges == 0 && !s->ready_posted);
    for (http_listener *ls = s->listeners, *next; ls; ls = next) {
        next = ls->next;
        net_listener_free(ls->net);
        mem_free(ls);
    }
    for (http_exchange *ex = s->free_exchanges, *next; ex; ex = next) {
        next = ex->next_free;
        arena_done(&ex->arena);
        buf_done(&ex->out);
        mem_free(ex);
    }
    http_gzip_free(s->gzip);
    buf_done(&s->packed);
    buf_done(&s->gather);
    buf_done(&s->late);
    buf_done(&s->errors);
    mem_free(s->in);
    mem_free(s);
}
