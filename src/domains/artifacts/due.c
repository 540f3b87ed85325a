/* Projects become due because upstream changed: found through the index of artifacts by their repository. */
#include "project_write.h"

#include "larder/log.h"

#define LOOKED_AT_ONCE 512 /* projects one step looks at: most may be due already, and fill no step */

typedef struct due_op {
    list link;
    projects *owner;
    store_op op;
    int64_t now;
    char repo[REPO_IN_KEY];
    size_t repo_n;
    artifact_prefix kept, last; /* behind which project the steps go on: after the last committed one, and now */
    uint64_t step;
} due_op;

/* The first artifact from the repository behind the projects that were dealt with. -ENOENT. */
static int next_project(store_view *v, due_op *d, arena *a, str *ret_id)
{
    const artifact_prefix none = {0};
    store_cursor *c;
    store_item item;
    store_key prefix, from;
    artifact row = {0};

    store_key_init(&prefix);
    store_key_str(&prefix, str_of(d->repo, d->repo_n));
    from = prefix;
    if (memcmp(&d->last, &none, sizeof(none)) != 0) {
        store_key_tail(&from, artifact_prefix_view(&d->last));
        store_key_u8(&from, 0xff);
    }
    int r =
        store_walk(v, &artifacts_ks, ARTIFACTS_BY_UPSTREAM, store_key_view(&prefix), store_key_view(&from), false, &c);
    if (r < 0)
        return r;
    r = -ENOENT;
    if (store_next(c, &item)) {
        memcpy(&d->last, item.key.p, item.key.n < sizeof(d->last) ? item.key.n : sizeof(d->last));
        r = store_item_value(c, &item);
    } else if (store_cursor_error(c) < 0) {
        r = store_cursor_error(c);
    }
    if (r == 0)
        r = record_decode(&artifact_schema, a, item.value, &row);
    if (r == 0) {
        *ret_id = arena_dup(a, row.project_id);
        r = ret_id->p ? 0 : -ENOMEM;
    }
    store_cursor_end(c);
    return r;
}

static int make_due(store_txn *t, str id, int64_t now, arena *a)
{
    project p = {0};
    const int r = project_load(store_txn_view(t), a, id, &p);

    if (r < 0 || p.next_refresh_at <= now)
        return r == -ENOENT ? 0 : r;
    p.next_refresh_at = now;
    return project_put(t, &p);
}

static int due_apply(store_txn *t, store_op *op)
{
    due_op *d = CONTAINER_OF(op, due_op, op);
    SCOPED(arena_done)
    arena a;
    size_t reads = 0;
    str id;
    int r = 0;

    arena_init(&a, 0);
    if (op->at == 0)
        memset(&d->last, 0, sizeof(d->last));
    if (op->at == 0 || op->at != d->step) /* the step before is committed */
        d->kept = d->last;
    d->last = d->kept;
    d->step = op->at;
    while (r == 0 && !store_txn_is_full(t) && reads++ < LOOKED_AT_ONCE) {
        arena_reset(&a);
        r = next_project(store_txn_view(t), d, &a, &id);
        if (r == 0)
            r = make_due(t, id, d->now, &a);
    }
    if (r != 0)
        return r == -ENOENT ? 0 : r;
    op->at++;
    return STORE_MORE;
}

static void on_due(store_op *op, int status)
{
    due_op *d = CONTAINER_OF(op, due_op, op);
    projects *p = d->owner;

    if (status < 0 && status != -ECANCELED)
        log_warn("projects hear of a change upstream only at their next refresh", LOG_ERR(status));
    list_remove(&d->link);
    mem_free(d);
    projects_wake(p);
    projects_check_stopped(p);
}

void projects_upstream_changed(projects *p, str owner, str repo)
{
    due_op *d = p->stopping ? NULL : mem_new(due_op);

    if (!d) /* at their next refresh, then */
        return;
    d->owner = p;
    d->now = loop_now_wall_ms(p->o.loop);
    d->repo_n = repo_in_key(owner, repo, d->repo);
    d->op = (store_op){.apply = due_apply, .done = on_due};
    list_push(&p->dues, &d->link);
    store_submit(p->o.store, &d->op);
}
