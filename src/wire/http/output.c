/* Replies on their way. Those to the requests of one read are gathered and leave in one write; a late one leaves at
 * once. What the socket doesn't take waits with the connection, which parses nothing more until it is gone: so a
 * client that reads slowly holds back its own requests. */
#include "internal.h"

#define GATHER_MAX HTTP_READ_SIZE /* bytes gathered before they are written */
#define COPY_MAX ((size_t)16384)  /* a larger body is not gathered but written from where it is */

/* Keeps what a write of b and body has left, from byte `sent` on. */
static void keep_rest(http_conn *c, const buf *b, str body, size_t sent)
{
    if (sent < b->n)
        buf_put(&c->out, b->p + sent, b->n - sent);
    buf_str(&c->out, str_from(body, sent > b->n ? sent - b->n : 0));
    c->out_at = 0;
    if (c->out.err)
        http_conn_abort(c);
    else
        http_deadline_set(c, loop_now_mono_ms(c->server->loop) + c->server->options.write_timeout_ms);
}

/* Writes b and then body; b is empty afterwards. */
static void write_now(http_conn *c, buf *b, str body)
{
    str parts[2] = {buf_view(b), body};
    ssize_t sent = net_conn_write(&c->net, parts, 2);
    if (sent < 0) {
        http_conn_abort(c);
    } else {
        c->server->stats.bytes_out += (uint64_t)sent;
        if ((size_t)sent < b->n + body.n)
            keep_rest(c, b, body, (size_t)sent);
    }
    buf_reset(b);
}

/* Where bytes for c go now: behind those that wait, to those gathered, or to a buffer written at once. */
static buf *place_for(http_conn *c, size_t n)
{
    http_server *s = c->server;
    if (c->out.n == 0 && s->gathering == c) {
        if (s->gather.n > 0 && s->gather.n + n > GATHER_MAX)
            write_now(c, &s->gather, STR_NULL);
        if (c->out.n == 0)
            return &s->gather;
    }
    return c->out.n > 0 ? &c->out : &s->late;
}

static void put_body(http_conn *c, buf *b, str body)
{
    if (b == &c->out || (b == &c->server->gather && body.n <= COPY_MAX)) {
        buf_str(b, body);
        if (b->err) {
            buf_reset(b);
            http_conn_abort(c);
        }
    } else {
        write_now(c, b, body);
    }
}

void http_output_reply(http_conn *c, const http_frame *f, str body)
{
    size_t head_max = http_frame_max(f);
    buf *b = place_for(c, head_max + (body.n <= COPY_MAX ? body.n : 0));
    if (c->state == CONN_CLOSED)
        return;
    char *at = buf_reserve(b, head_max);
    if (!at) {
        buf_reset(b);
        http_conn_abort(c);
        return;
    }
    b->n += http_frame_write(f, at);
    put_body(c, b, body);
}

void http_output_text(http_conn *c, str text)
{
    buf *b = place_for(c, text.n);
    if (c->state != CONN_CLOSED)
        put_body(c, b, text);
}

void http_output_flush(http_conn *c)
{
    buf *gather = &c->server->gather;
    if (c->state == CONN_CLOSED)
        buf_reset(gather);
    else if (gather->n > 0)
        write_now(c, gather, STR_NULL);
}

void http_output_writable(http_conn *c)
{
    str rest = str_of(c->out.p + c->out_at, c->out.n - c->out_at);
    ssize_t sent = net_conn_write(&c->net, &rest, 1);
    if (sent < 0) {
        http_conn_abort(c);
        return;
    }
    c->server->stats.bytes_out += (uint64_t)sent;
    c->out_at += (size_t)sent;
    if (c->out_at == c->out.n) {
        buf_done(&c->out);
        c->out_at = 0;
    } else if (sent > 0) {
        http_deadline_set(c, loop_now_mono_ms(c->server->loop) + c->server->options.write_timeout_ms);
    }
}
