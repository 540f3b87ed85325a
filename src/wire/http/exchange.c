/* A request's memory. Exchanges are kept and used again, so that a request costs no allocation; while one is answered
 * within on_request its texts stay in the buffer they were read into. */
#include "internal.h"

#define KEPT_EXCHANGES 64
#define KEPT_OUT ((size_t)65536) /* bytes of reply buffer kept with an exchange */

http_exchange *http_exchange_new(http_conn *c)
{
    http_server *s = c->server;
    http_exchange *ex = s->free_exchanges;
    if (ex) {
        s->free_exchanges = ex->next_free;
        s->n_free--;
    } else {
        ex = mem_new(http_exchange);
        if (!ex)
            return NULL;
        arena_init(&ex->arena, 0);
        ex->server = s;
    }
    s->n_exchanges++;
    ex->conn = c;
    ex->state = EX_READING;
    ex->owns_head = ex->owns_body = ex->sending = false;
    memset(&ex->req, 0, sizeof(ex->req));
    ex->req.arena = &ex->arena;
    ex->req.out = &ex->out;
    ex->req.peer = c->peer;
    ex->req.listener = c->listener;
    ex->req.started_ns = c->started_ns;
    return ex;
}

/* ---- giving back ---- */

void http_body_done(http_server *s, buf *body)
{
    loop_give_back(s->loop, body->cap, mem_free, body->p);
    *body = (buf){.max = body->max};
}

/* Wherever the body is: while there is an exchange, the read buffer holds what it has not made its own. */
static void wipe(http_exchange *ex)
{
    mem_wipe((void *)(uintptr_t)ex->req.body.p, ex->req.body.n);
    arena_wipe(&ex->arena);
}

void http_exchange_free(http_exchange *ex)
{
    http_server *s = ex->server;
    s->n_exchanges--;
    if (ex->req.has_secret)
        wipe(ex);
    if (ex->out.cap > KEPT_OUT)
        buf_done(&ex->out);
    buf_reset(&ex->out);
    http_body_done(s, &ex->body);
    if (s->n_free < KEPT_EXCHANGES && !s->draining) {
        arena_reset(&ex->arena);
        ex->next_free = s->free_exchanges;
        s->free_exchanges = ex;
        s->n_free++;
    } else {
        arena_done(&ex->arena);
        buf_done(&ex->out);
        mem_free(ex);
    }
    if (s->draining)
        http_server_check_drained(s);
}

/* ---- moving texts ---- */

static void move_text(str *s, str from, const char *to)
{
    uintptr_t at = (uintptr_t)s->p, first = (uintptr_t)from.p;
    if (s->p && at >= first && at <= first + from.n)
        s->p = to + (at - first);
}

static int own_head(http_exchange *ex)
{
    http_request *req = &ex->req;
    str head = arena_dup(&ex->arena, ex->head);
    if (!head.p)
        return -ENOMEM;
    move_text(&req->target, ex->head, head.p);
    move_text(&req->path, ex->head, head.p);
    move_text(&req->query, ex->head, head.p);
    move_text(&req->request_id, ex->head, head.p);
    for (size_t i = 0; i < req->n_headers; i++) {
        move_text(&ex->headers[i].name, ex->head, head.p);
        move_text(&ex->headers[i].value, ex->head, head.p);
    }
    for (size_t i = 0; i < HTTP_KNOWN_COUNT; i++)
        move_text(&req->known[i], ex->head, head.p);
    ex->head = head;
    ex->owns_head = true;
    return 0;
}

static int own_body(http_exchange *ex)
{
    str body = arena_dup(&ex->arena, ex->req.body);
    if (!body.p)
        return -ENOMEM;
    if (ex->req.has_secret)
        mem_wipe((void *)(uintptr_t)ex->req.body.p, body.n); /* in the read buffer, and parsed */
    ex->req.body = body;
    ex->owns_body = true;
    return 0;
}

int http_exchange_own(http_exchange *ex)
{
    int r = ex->owns_head ? 0 : own_head(ex);
    if (r == 0 && !ex->owns_body && ex->req.body.p)
        r = own_body(ex);
    return r;
}

int http_request_defer(http_request *req)
{
    http_exchange *ex = CONTAINER_OF(req, http_exchange, req);
    REQUIRE(ex->state == EX_RUNNING);
    int r = http_exchange_own(ex);
    if (r == 0)
        ex->state = EX_DEFERRED;
    return r;
}

/* ---- the client leaves ---- */

void http_exchange_gone(http_exchange *ex)
{
    bool is_handlers = ex->state == EX_DEFERRED || (ex->state == EX_STREAMING && !ex->sending);
    bool tell = is_handlers && !ex->req.gone;
    ex->req.gone = true;
    if (tell && ex->req.on_gone)
        ex->req.on_gone(&ex->req);
}

void http_exchange_leave(http_exchange *ex)
{
    ex->conn = NULL;
    if (ex->state == EX_READING)
        http_exchange_free(ex);
    else
        http_exchange_gone(ex);
}
