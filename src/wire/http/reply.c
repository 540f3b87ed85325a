/* What form a reply takes: its body compressed or not, here or by a job; left out for HEAD, 204 and 304; its
 * validators. */
#include "internal.h"
#include "negotiate.h"

static bool has_no_body(int status)
{
    return status == 204 || status == 304;
}

/* Whether the reply's form depends on Accept-Encoding. */
static bool may_pack(const http_reply *r)
{
    return r->body.n >= HTTP_GZIP_MIN && !r->no_compress && r->content_type.p && !has_no_body(r->status) &&
           http_is_compressible(r->content_type);
}

/* `body` is the reply's, or, with gzip, its compressed form. */
static void send_reply(http_exchange *ex, const http_reply *r, str body, bool vary, bool gzip)
{
    http_conn *c = ex->conn;
    http_server *s = ex->server;
    bool close = r->close || !ex->keep_alive || s->draining;
    str if_none_match = ex->req.known[HTTP_H_IF_NONE_MATCH];
    http_frame f = {
        .status = r->status,
        .date = http_server_date(s),
        .request_id = ex->req.request_id,
        .content_type = has_no_body(r->status) ? STR_NULL : r->content_type,
        .headers = r->headers,
        .etag = r->etag,
        .etag_of_gzip = gzip || (r->status == 304 && r->etag.p && if_none_match.p &&
                                 http_match_etag(if_none_match, r->etag) == HTTP_ETAG_GZIP),
        .gzip = gzip,
        .vary = vary || r->status == 304, /* what a 200 would have said; we don't see that one */
        .has_length = !has_no_body(r->status),
        .length = body.n,
        .persistence = close            ? HTTP_CLOSE
                       : ex->minor == 0 ? HTTP_KEEP_ALIVE
                                        : HTTP_AS_USUAL,
    };
    c->closing = close;
    http_output_reply(c, &f, has_no_body(r->status) || ex->req.method == HTTP_M_HEAD ? STR_NULL : body);
}

/* The reply has been handed over, or there is nobody to hand it to. */
static void end_reply(http_exchange *ex, int status, size_t body_bytes)
{
    http_server *s = ex->server;
    if (s->hooks.on_replied)
        s->hooks.on_replied(s->hooks.arg, &ex->req, status, body_bytes);
    if (ex->in_handler)
        return; /* the connection goes on when on_request returns */
    http_conn *c = ex->conn;
    if (c)
        c->ex = NULL;
    http_exchange_free(ex);
    if (c)
        http_conn_replied(c);
}

static void finish(http_exchange *ex, const http_reply *r, str body, bool vary, bool gzip)
{
    ex->state = EX_REPLIED;
    bool sent = ex->conn && ex->req.method != HTTP_M_HEAD && !has_no_body(r->status);
    if (ex->conn)
        send_reply(ex, r, body, vary, gzip);
    end_reply(ex, r->status, sent ? body.n : 0);
}

/* ---- a large body is compressed by a job ---- */

typedef struct packing {
    job job;
    http_exchange *ex;
    http_reply reply;
    buf packed;
    int result;
} packing;

static void pack_work(job *j)
{
    packing *p = CONTAINER_OF(j, packing, job);
    http_gzip *z;
    p->result = http_gzip_new(&z);
    if (p->result < 0)
        return;
    p->result = http_gzip_pack(z, p->reply.body, &p->packed);
    http_gzip_free(z);
}

static void pack_done(job *j, int status)
{
    packing *p = CONTAINER_OF(j, packing, job);
    http_exchange *ex = p->ex;
    buf packed = p->packed; /* p lives in the exchange, which goes */
    http_reply reply = p->reply;
    if (status == 0 && p->result == 0)
        finish(ex, &reply, buf_view(&packed), true, true);
    else
        finish(ex, &reply, reply.body, true, false);
    buf_done(&packed);
}

static bool dup_text(arena *a, str *s)
{
    if (!s->p)
        return true;
    *s = arena_dup(a, *s);
    return s->p != NULL;
}

/* -ENOMEM: then it goes as it is. */
static int pack_later(http_exchange *ex, const http_reply *r)
{
    arena *a = &ex->arena;
    packing *p = arena_new(a, packing);
    if (!p)
        return -ENOMEM;
    p->ex = ex;
    p->reply = *r;
    bool stays = r->body.p == ex->out.p; /* other bodies may be anywhere */
    if (!dup_text(a, &p->reply.content_type) || !dup_text(a, &p->reply.etag) || !dup_text(a, &p->reply.headers) ||
        (!stays && !dup_text(a, &p->reply.body)) || http_exchange_own(ex) < 0)
        return -ENOMEM;
    int result = loop_job(ex->server->loop, &p->job, pack_work, pack_done);
    if (result == 0)
        ex->state = EX_PACKING;
    return result;
}

static int pack_now(http_server *s, str body)
{
    int r = s->gzip ? 0 : http_gzip_new(&s->gzip);
    buf_reset(&s->packed);
    return r < 0 ? r : http_gzip_pack(s->gzip, body, &s->packed);
}

void http_reply_send(http_request *req, const http_reply *r)
{
    http_exchange *ex = CONTAINER_OF(req, http_exchange, req);
    http_server *s = ex->server;
    REQUIRE(ex->state == EX_RUNNING || ex->state == EX_DEFERRED);
    bool vary = may_pack(r);
    if (vary && ex->conn && http_accepts_gzip(req->known[HTTP_H_ACCEPT_ENCODING])) {
        if (r->body.n > HTTP_GZIP_ON_LOOP) {
            if (pack_later(ex, r) == 0)
                return;
        } else if (pack_now(s, r->body) == 0) {
            finish(ex, r, buf_view(&s->packed), true, true);
            return;
        }
    }
    finish(ex, r, r->body, vary, false);
}
