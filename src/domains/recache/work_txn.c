/* The end of an attempt, on the writer thread: the page and its entry change in one transaction. */
#include "service.h"

/* When a page was last asked for doesn't change by its being rendered again. */
static int keep_page(store_txn *t, work *w)
{
    recache_page page = w->page, old = {0};
    arena a;

    arena_init(&a, 0);
    int r = recache_page_load(store_txn_view(t), &a, w->e.host, w->e.dimension, w->e.hash, &old);
    if (r == 0)
        page.last_access = old.last_access;
    arena_done(&a);
    if (r == 0 || r == -ENOENT || r == -EPROTO)
        r = page_put(t, w->e.hash, &page);
    return r;
}

/* It has been rendered: no dead letter any more. */
static int forget_dead(store_txn *t, const work *w)
{
    char key[URL_KEY_LEN];

    url_key(w->e.host, w->e.hash, w->e.dimension, key);
    const int r = store_del(t, &recache_dead_ks, str_of(key, sizeof(key)));
    return r == -ENOENT ? 0 : r;
}

static int done(store_txn *t, work *w)
{
    recache_entry next = w->e;
    bool was_there;

    int r = keep_page(t, w);
    if (r == 0)
        r = forget_dead(t, w);
    if (r == 0 && w->wanted_again)
        return queue_again(t, &w->e, w->now, 0);
    if (r == 0)
        r = queue_done(t, &w->e);
    if (r < 0 || !w->refresh)
        return r;
    next.priority = RECACHE_AUTO;
    next.due = w->page.expires_at - w->host->refresh_ahead_ms;
    if (next.due <= w->now) /* an ahead that is longer than the ttl would render without end */
        next.due = w->page.expires_at;
    next.queued_at = w->now;
    next.attempts = 0;
    return queue_want(t, &next, &was_there);
}

int work_ack_apply(store_txn *t, store_op *op)
{
    work *w = CONTAINER_OF(op, work, ack);

    if (w->verdict.kind == VERDICT_KEEP)
        return done(t, w);
    if (w->wanted_again && w->asked)
        return queue_again(t, &w->e, w->now, 0);
    if (w->verdict.kind == VERDICT_AGAIN)
        return queue_again(t, &w->e, w->retry_at, w->attempts);
    const recache_dead d = {
        .attempts = (int64_t)w->attempts, .reason = w->verdict.reason, .detail = w->detail, .died_at = w->now};
    return queue_dead(t, &w->e, &d, w->config->o.max_dead_letters, &w->dropped);
}
