/* Replies that go on: the head, then bytes as they come, then the end of the connection. */
#include "internal.h"

static http_exchange *exchange_of(http_request *req)
{
    http_exchange *ex = CONTAINER_OF(req, http_exchange, req);
    REQUIRE(ex->state == EX_STREAMING);
    return ex;
}

/* The connection is told, and may have gone by then. */
static int sent(http_exchange *ex)
{
    if (ex->conn)
        http_conn_sent(ex->conn);
    ex->sending = false;
    return ex->conn ? 0 : -EPIPE;
}

int http_stream_begin(http_request *req, const http_reply *r)
{
    http_exchange *ex = CONTAINER_OF(req, http_exchange, req);
    http_server *s = ex->server;
    REQUIRE(ex->state == EX_DEFERRED);
    ex->state = EX_STREAMING;
    ex->sending = true;
    if (ex->conn) {
        http_frame f = {
            .status = r->status,
            .date = http_server_date(s),
            .request_id = req->request_id,
            .content_type = r->content_type,
            .headers = r->headers,
            .persistence = HTTP_CLOSE,
        };
        ex->conn->closing = true;
        http_output_reply(ex->conn, &f, STR_NULL);
    }
    if (s->hooks.on_replied)
        s->hooks.on_replied(s->hooks.arg, req, r->status, 0);
    int result = sent(ex);
    return s->draining ? -EPIPE : result; /* who drains has told those before */
}

int http_stream_send(http_request *req, str bytes)
{
    http_exchange *ex = exchange_of(req);
    if (!ex->conn)
        return -EPIPE;
    if (req->method == HTTP_M_HEAD)
        return 0;
    if (ex->conn->out.n > 0)
        return -EAGAIN;
    ex->sending = true;
    http_output_text(ex->conn, bytes);
    return sent(ex);
}

void http_stream_end(http_request *req)
{
    http_exchange *ex = exchange_of(req);
    http_conn *c = ex->conn;
    ex->state = EX_REPLIED;
    if (ex->in_handler)
        return; /* the connection goes on when on_request returns */
    if (c)
        c->ex = NULL;
    http_exchange_free(ex);
    if (c)
        http_conn_replied(c);
}

void http_stream_writable(http_exchange *ex)
{
    if (ex->req.on_writable)
        ex->req.on_writable(&ex->req);
}
