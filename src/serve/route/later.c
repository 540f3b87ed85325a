/* Calls that are answered later: by a callback, or after a job. */
#include "router.h"

static void on_gone(http_request *req)
{
    call *c = req->user;

    if (c->on_gone && !c->replied)
        c->on_gone(c);
}

int call_defer(call *c)
{
    const int r = c->deferred ? 0 : http_request_defer(c->req);
    if (r < 0)
        return r;
    state_of(c)->has_more = true;
    c->deferred = true;
    c->req->on_gone = on_gone;
    state_of(c)->in_request = false;
    return 0;
}

static void on_worked(job *j, int status)
{
    call_state *st = CONTAINER_OF(j, call_state, job);
    router *r = st->call.router;

    st->has_more = false;
    r->in_then = &st->call;
    const int result = status < 0 ? status : st->then(&st->call);
    if (!r->in_then)
        return;
    r->in_then = NULL;
    route_answer_result(&st->call, result);
}

static void work(job *j)
{
    call_state *st = CONTAINER_OF(j, call_state, job);

    st->work(&st->call);
}

int call_job(call *c, void (*work_fn)(call *c), int (*then)(call *c))
{
    call_state *st = state_of(c);
    const int r = call_defer(c);

    if (r < 0)
        return r;
    st->work = work_fn;
    st->then = then;
    return loop_job(c->router->o.loop, &st->job, work, on_worked);
}

/* ---- reading ---- */
typedef struct reading {
    int (*write)(call *c, store_view *v);
    int (*failed)(call *c, int err);
    int status;
} reading;

static void work_read(call *c)
{
    reading *rd = state_of(c)->reading;
    store_view *v;

    rd->status = store_read_begin_job(c->router->o.store, &v);
    if (rd->status < 0)
        return;
    rd->status = rd->write(c, v);
    store_read_end(v);
}

static int end_read(call *c)
{
    const reading *rd = state_of(c)->reading;

    if (rd->status == 0)
        return reply_json(c, 200);
    return rd->failed ? rd->failed(c, rd->status) : rd->status;
}

int call_read(call *c, int (*write)(call *c, store_view *v), int (*failed)(call *c, int err), bool is_long)
{
    reading *rd = arena_new(c->arena, reading);

    if (!rd)
        return -ENOMEM;
    *rd = (reading){.write = write, .failed = failed};
    state_of(c)->reading = rd;
    if (is_long)
        return call_job(c, work_read, end_read);
    store_view *v = store_read_begin(c->router->o.store);
    rd->status = write(c, v);
    store_read_end(v);
    return end_read(c);
}

#define WAIT_MAX_MS SECONDS(60)

int64_t call_wait_ms(const call *c)
{
    str rest = c->route->flags & MAY_WAIT ? http_header_of(c->req, HTTP_H_PREFER) : STR_NULL, part, name;
    int64_t seconds;

    while (str_cut(&rest, ',', &part)) {
        str value = str_trim(part);
        const ptrdiff_t semicolon = str_chr(value, ';');
        if (semicolon >= 0)
            value = str_trim(str_head(value, (size_t)semicolon));
        if (!str_cut(&value, '=', &name) || !str_eq_nocase(str_trim(name), STR("wait")))
            continue;
        value = str_trim(value);
        if (value.n >= 2 && str_starts(value, STR("\"")) && str_ends(value, STR("\""))) /* a word may be quoted */
            value = str_of(value.p + 1, value.n - 2);
        if (str_to_i64(value, &seconds) < 0 || seconds < 0)
            return 0;
        return seconds > WAIT_MAX_MS / 1000 ? WAIT_MAX_MS : seconds * 1000;
    }
    return 0;
}
