/* Forgetting what is known of upstream and nobody asks for any more. */
#include "larder/log.h"
#include "larder/record.h"
#include "service.h"

#define STEP_READS 512

/* When it was asked for last, of a record of either kind. */
static int asked_at(arena *a, const store_item *item, known *ret_known, int64_t *ret_at)
{
    place p = {0};
    known k = {0};
    const bool is_place = item->key.p[0] == 'u';
    const int r =
        is_place ? record_decode(&place_schema, a, item->value, &p) : record_decode(&known_schema, a, item->value, &k);

    *ret_known = k;
    *ret_at = is_place ? p.asked_at : k.asked_at;
    return r;
}

static int sweep_one(store_txn *t, upstream_sweep *s, const store_item *item, arena *a)
{
    const str key = str_of(s->work.last.bytes, s->work.last.n); /* the item ends with the write */
    known k;
    int64_t at = 0;
    int r = asked_at(a, item, &k, &at);

    if (r < 0 || at >= s->before)
        return r;
    if (at == 0 && k.path.p) { /* an earlier version didn't note it: from now on */
        buf b = BUF_INIT;
        k.asked_at = s->now;
        record_encode(&known_schema, &k, &b);
        r = b.err ? b.err : store_put(t, &upstream_ks, key, buf_view(&b));
        buf_done(&b);
        return r;
    }
    s->work.forgotten++;
    return store_del(t, &upstream_ks, key);
}

static int sweep_step(store_txn *t, upstream_sweep *s)
{
    SCOPED(arena_done)
    arena a;
    const upstream_key from = s->work.last;
    const str behind = str_of(from.bytes, from.n);
    store_cursor *c = NULL;
    store_item item;
    bool more = true;

    arena_init(&a, 0);
    int r = store_walk(store_txn_view(t), &upstream_ks, STORE_BY_KEY, STR_NULL, from.n ? behind : STR_NULL, false, &c);
    for (size_t n = 0; r == 0 && n < STEP_READS && !store_txn_is_full(t) && (more = store_next(c, &item)); n++) {
        if (item.key.n > UPSTREAM_KEY_MAX) {
            r = -EPROTO;
            break;
        }
        if (str_eq(item.key, behind)) /* the walk begins with it */
            continue;
        memcpy(s->work.last.bytes, item.key.p, item.key.n);
        s->work.last.n = item.key.n;
        arena_reset(&a);
        r = sweep_one(t, s, &item, &a);
    }
    if (r == 0 && !more)
        r = store_cursor_error(c);
    store_cursor_end(c);
    return r == 0 && more ? STORE_MORE : r;
}

int upstream_sweep_apply(store_txn *t, store_op *op)
{
    upstream_sweep *s = CONTAINER_OF(op, upstream_sweep, op);

    if (op->at == 0)
        memset(&s->work, 0, sizeof(s->work));
    if (op->at == 0 || op->at != s->step) /* the step before is committed */
        s->kept = s->work;
    s->work = s->kept;
    s->step = op->at;
    const int r = sweep_step(t, s);
    s->forgotten = s->work.forgotten;
    op->at++;
    return r;
}

/* ---- on the loop ---- */
static void on_swept(store_op *op, int status)
{
    projects *p = CONTAINER_OF(op, projects, sweep.op);

    p->sweeps = false;
    p->stats.forgotten += (uint64_t)p->sweep.forgotten;
    if (status < 0 && status != -ECANCELED)
        log_warn("what nobody asks upstream for could not be forgotten", LOG_ERR(status));
    projects_check_stopped(p);
}

void sweep_start(projects *p)
{
    const int64_t mono = loop_now_mono_ms(p->o.loop), now = loop_now_wall_ms(p->o.loop);
    const int64_t interval = p->o.refresh_interval_ms;

    if (p->sweeps || p->stopping || mono < p->sweep_at)
        return;
    p->sweeps = true;
    p->sweep_at = mono + interval;
    p->sweep = (upstream_sweep){.op = {.apply = upstream_sweep_apply, .done = on_swept, .flags = STORE_FREES},
                                .now = now,
                                .before = now - (10 * interval > UPSTREAM_KEPT_MS ? 10 * interval : UPSTREAM_KEPT_MS)};
    store_submit(p->o.store, &p->sweep.op);
}
