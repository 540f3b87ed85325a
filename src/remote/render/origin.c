/* A page from its origin: what the bypass asks, and what the answer means. */
#include "operation.h"

static void take_origin_head(operation *x)
{
    const client_call *c = &x->call;
    render_op *op = x->op;
    const str where = client_reply_header(c, "location");
    client_header *kept = arena_array(&op->arena, client_header, c->head.n);

    op->status = c->status;
    if (c->status / 100 == 3 && where.p) {
        op->final_url = arena_dup(&op->arena, where);
        kept = op->final_url.p ? kept : NULL;
    }
    for (size_t i = 0; kept && i < c->head.n; i++) {
        const client_header *h = &c->head.v[i];
        if (!render_header_is_kept(h->name, h->value))
            continue;
        client_header *to = &kept[op->n_headers];
        *to = (client_header){arena_dup(&op->arena, h->name), arena_dup(&op->arena, h->value)};
        if (!to->name.p || !to->value.p)
            kept = NULL;
        else
            op->n_headers++;
    }
    op->headers = kept;
    if (!kept)
        render_no_memory(x);
    else
        render_tell_head(x);
}

int render_redirect_url(arena *a, const render_op *op, str *ret_url, const char **ret_why)
{
    if (op->final_url.n > 0)
        return client_url_join(a, op->url, op->final_url, ret_url, ret_why);
    *ret_why = "it does not say where";
    return -EINVAL;
}

static int on_origin_body(client_call *call, str piece)
{
    operation *x = call->user;

    if (!x->has_head)
        take_origin_head(x);
    if (!x->settled && !x->cancelled)
        render_give(x, piece);
    return 0;
}

static void take_origin_failure(operation *x)
{
    const client_call *c = &x->call;
    static const struct {
        client_failure failure;
        render_result result;
        const char *type;
    } known[] = {
        {CLIENT_URL, RENDER_FAILED, "invalid_url"},
        {CLIENT_REQUEST, RENDER_FAILED, "invalid_url"},
        {CLIENT_ADDRESS, RENDER_FAILED, "address_not_public"},
        {CLIENT_TOO_LARGE, RENDER_FAILED, "response_too_large"},
        {CLIENT_DNS, RENDER_FAILED_FOR_NOW, "name_not_found"},
        {CLIENT_MEMORY, RENDER_FAILED_FOR_NOW, "out_of_memory"},
    };

    if (c->failure == CLIENT_CANCELLED) {
        x->cancelled = x->cancelled || !x->settled;
        return;
    }
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (known[i].failure == c->failure)
            render_settle(x, known[i].result, known[i].type, OUTCOME_NOTHING, STR_FMT, STR_ARG(c->why));
    render_settle(x, RENDER_FAILED_FOR_NOW, "network_error", OUTCOME_NOTHING, STR_FMT, STR_ARG(c->why));
}

static void on_origin_answered(client_call *call)
{
    operation *x = call->user;

    x->calling = false;
    x->ended = true;
    if (call->failure != CLIENT_NONE)
        take_origin_failure(x);
    else if (!x->has_head)
        take_origin_head(x);
    if (call->failure == CLIENT_NONE && x->op->html_bytes == 0 && x->op->status / 100 == 2)
        render_settle(x, RENDER_EMPTY, "empty_response", OUTCOME_NOTHING, "the page is empty");
    render_finish_if_over(x);
}

void render_prepare_origin(operation *x)
{
    x->call.url = arena_dup(&x->arena, x->op->url);
    render_add_header(x, "Accept", STR("text/html,application/xhtml+xml,*/*;q=0.8"));
    if (x->op->user_agent.n > 0)
        render_add_header(x, "User-Agent", x->op->user_agent);
    x->call.streams_all = true;
    x->call.on_body = on_origin_body;
    x->call.on_done = on_origin_answered;
}
