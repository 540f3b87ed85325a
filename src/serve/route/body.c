/* A call's body: JSON becomes the row's struct, then the handler runs.
 *
 * A short body is read here and now. A longer one is read on a worker, into memory of its own: it has a limit, for few
 * bytes can ask for much, and a worker gives it back at the call's end, for a million values take longer than a turn
 * may. */
#include "router.h"

typedef struct long_body {
    arena arena; /* the tree */
    loop *loop;
} long_body;

/* ---- the tree of a long body ---- */
static void free_tree(void *what)
{
    long_body *b = what;

    arena_done(&b->arena);
    mem_free(b);
}

static void give_back(void *arg)
{
    long_body *b = arg;

    /* Nobody counts what the tree takes: it may be that much. */
    loop_give_back(b->loop, b->arena.limit, free_tree, b);
}

static int make_tree(call *c, long_body **ret_tree)
{
    long_body *b = mem_new(long_body);

    if (!b || arena_defer(c->arena, give_back, b) < 0) {
        mem_free(b);
        return -ENOMEM;
    }
    b->loop = c->router->o.loop;
    arena_init(&b->arena, json_tree_limit(c->req->body.n));
    *ret_tree = b;
    return 0;
}

/* ---- reading ---- */
static int parse(call *c, schema_error *err, int *ret_status)
{
    long_body *tree = state_of(c)->body.tree;
    json_error broken;

    const int r = json_parse(tree ? &tree->arena : c->arena, c->req->body, &c->body_json, &broken);
    if (r == -EINVAL) {
        const char *before = c->route->family->broken_json;
        *ret_status = 400;
        err->text = arena_printf(c->arena, "%s at byte %zu: %s", before ? before : "Invalid JSON", broken.offset,
                                 broken.text);
    } else if (r == -EFBIG) {
        *ret_status = 413;
        err->text = STR("body: too many values for its size");
        return -EINVAL;
    }
    return r;
}

/* On the loop, or on a worker. */
static int decode(call *c, schema_error *err, int *ret_status)
{
    const schema *s = c->route->body;

    *ret_status = c->route->family->bad_body;
    if (!s || ((c->route->flags & BODY_OPTIONAL) && c->req->body.n == 0))
        return 0;
    if (c->req->body.n == 0 && !(c->route->flags & BODY_BY_HAND)) {
        err->text = STR("body: Field required");
        return -EINVAL;
    }
    const int r = parse(c, err, ret_status);
    if (r < 0 || (c->route->flags & BODY_BY_HAND))
        return r;
    c->body = arena_zalloc(c->arena, s->size);
    return c->body ? schema_decode(s, c->arena, c->body_json, c->route->flags & ALLOW_EXTRA, c->body, err) : -ENOMEM;
}

static void work_decode(call *c)
{
    body_read *b = &state_of(c)->body;

    b->result = decode(c, &b->err, &b->status);
}

static int then_handle(call *c)
{
    const body_read *b = &state_of(c)->body;

    if (b->result == -EINVAL)
        return reply_error(c, b->status, STR_FMT, STR_ARG(b->err.text));
    return b->result < 0 ? b->result : c->route->handle(c);
}

int route_read_body(call *c)
{
    body_read *b = &state_of(c)->body;

    *b = (body_read){0};
    if (c->route->body && c->req->body.n > ROUTE_BODY_ON_LOOP) {
        const int r = make_tree(c, &b->tree);
        return r < 0 ? r : call_job(c, work_decode, then_handle);
    }
    work_decode(c);
    return then_handle(c);
}
