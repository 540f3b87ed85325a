/* What clients ask for. URLs are normalised and sorted in a job, then one op changes the store. Sorted by hash, a
 * request's entries are written to both trees from left to right, each leaf once. */
#include <stdlib.h>

#include "service.h"

/* ---- ending ---- */
static void change_end(recache_change *c, int status)
{
    recache *r = c->owner;
    recache_task *t = c->task;

    t->status = status;
    t->change = NULL;
    list_remove(&c->link);
    settings_unref(c->config);
    mem_free(c);
    t->on_done(t);
    recache_check_stopped(r);
}

static void on_late(post *p)
{
    recache_change *c = CONTAINER_OF(p, recache_change, late);

    change_end(c, c->status);
}

static void end_later(recache_change *c, int status)
{
    c->status = status;
    c->late.fn = on_late;
    loop_post(c->config->o.loop, &c->late);
}

/* ---- beginning ---- */
/* All the kept ones, or those named, each once, in rising order. -EINVAL: one that isn't kept. */
static int take_dimensions(recache_change *c)
{
    const recache_task *t = c->task;
    uint16_t kept[RECACHE_DIMENSIONS_MAX];
    const size_t n_kept = recache_host_kept_dimensions(c->host, kept);
    bool wanted[RECACHE_DIMENSIONS_MAX] = {false};
    size_t k;

    for (size_t i = 0; i < t->n_dimensions; i++) {
        for (k = 0; k < n_kept && kept[k] != t->dimensions[i]; k++) {}
        if (k == n_kept)
            return -EINVAL;
        wanted[k] = true;
    }
    for (k = 0; k < n_kept; k++) {
        if (t->n_dimensions > 0 && !wanted[k])
            continue;
        size_t at = c->n_dimensions++;
        for (; at > 0 && c->dimensions[at - 1] > kept[k]; at--)
            c->dimensions[at] = c->dimensions[at - 1];
        c->dimensions[at] = kept[k];
    }
    return 0;
}

static recache_change *change_new(recache *r, recache_task *t)
{
    recache_change *c = mem_new(recache_change);

    if (!c)
        return NULL;
    c->owner = r;
    c->task = t;
    c->config = r->config;
    c->config->refs++;
    c->now = recache_now(r);
    t->change = c;
    list_push(&r->changes, &c->link);
    return c;
}

void recache_task_clear(recache_task *t)
{
    t->status = 0;
    t->accepted = t->deduplicated = t->changed = 0;
    t->n_rejected = t->n_rejected_listed = t->n_dimensions_used = 0;
    t->due_at = 0;
}

/* False: it ends later, with an error. */
static bool change_begin(recache *r, recache_task *t, bool needs_host, recache_change **ret_change)
{
    recache_change *c = change_new(r, t);
    int err = 0;

    recache_task_clear(t);
    if (!c) {
        t->late.fn = recache_task_late;
        loop_post(r->config->o.loop, &t->late);
        return false;
    }
    c->host = recache_host_by_id(r, t->host_id);
    if (r->stopping)
        err = -ECANCELED;
    else if (needs_host && !c->host)
        err = -ENOENT;
    else if (c->host)
        err = take_dimensions(c);
    if (err < 0) {
        end_later(c, err);
        return false;
    }
    t->n_dimensions_used = c->n_dimensions;
    *ret_change = c;
    return true;
}

void recache_task_late(post *p)
{
    recache_task *t = CONTAINER_OF(p, recache_task, late);

    t->status = -ENOMEM;
    t->on_done(t);
}

/* ---- URLs, in a job ---- */
static void reject(recache_change *c, recache_rejected *out, str url, str why)
{
    recache_task *t = c->task;

    if (t->n_rejected_listed < RECACHE_REJECTED_LISTED)
        out[t->n_rejected_listed++] = (recache_rejected){url, why};
    t->n_rejected++;
}

/* Of those that are repeated the one that is due first comes first. */
static int cmp_urls(const void *a, const void *b)
{
    const wanted_url *x = a, *y = b;

    if (x->url.hash != y->url.hash)
        return x->url.hash < y->url.hash ? -1 : 1;
    return (x->due > y->due) - (x->due < y->due);
}

static size_t without_repetitions(wanted_url *v, size_t n)
{
    size_t kept = 0;

    qsort(v, n, sizeof(*v), cmp_urls);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || v[kept - 1].url.hash != v[i].url.hash)
            v[kept++] = v[i];
    return kept;
}

/* The order of an ordered task is that of its times. */
static int64_t due_of(const recache_change *c, size_t i)
{
    const recache_task *t = c->task;
    const int64_t due = t->due ? t->due : c->now;

    return c->dues ? c->dues[i] : t->ordered ? due - (int64_t)(t->urls.n - 1 - i) : due;
}

/* Of what parsing takes only the text stays: of thousands of URLs the rest would be a lot. */
static int parse_one(recache_change *c, arena *scratch, str text, recache_url *ret_url, str *ret_why)
{
    int r = recache_url_parse(scratch, text, c->host->tracking, ret_url, ret_why);

    if (r == 0) {
        str unused;
        c->has_refused |= !work_is_allowed(c->host, ret_url, &unused);
        ret_url->text = arena_dup(c->task->arena, ret_url->text);
        ret_url->host = STR_NULL;
        r = ret_url->text.p ? 0 : -ENOMEM;
    }
    arena_reset(scratch);
    return r;
}

static void parse_work(job *j)
{
    recache_change *c = CONTAINER_OF(j, recache_change, job);
    recache_task *t = c->task;
    const strs *urls = &t->urls;
    recache_rejected *rejected = arena_array(t->arena, recache_rejected, RECACHE_REJECTED_LISTED);
    SCOPED(arena_done) arena scratch;

    arena_init(&scratch, 0);
    c->urls = arena_array(t->arena, wanted_url, urls->n);
    if (!rejected || !c->urls) {
        c->status = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < urls->n; i++) {
        str why = STR_NULL;
        wanted_url *u = &c->urls[c->n_urls];
        const int r = parse_one(c, &scratch, urls->v[i], &u->url, &why);
        u->due = due_of(c, i);
        if (r == -ENOMEM) {
            c->status = r;
            return;
        }
        if (r < 0)
            reject(c, rejected, urls->v[i], why);
        else
            c->n_urls++;
    }
    t->rejected = rejected;
    const size_t good = c->n_urls;
    t->accepted = good * (t->n_dimensions > 0 ? t->n_dimensions : c->n_dimensions);
    c->n_urls = without_repetitions(c->urls, good);
    t->deduplicated = t->accepted - c->n_urls * c->n_dimensions;
}

static void on_parsed(job *j, int status)
{
    recache_change *c = CONTAINER_OF(j, recache_change, job);

    if (status == 0)
        status = c->status;
    if (status == 0 && c->owner->stopping)
        status = -ECANCELED;
    if (status < 0 || c->n_urls == 0)
        change_end(c, status);
    else
        c->parsed(c);
}

static void parse_urls(recache_change *c, void (*parsed)(recache_change *c))
{
    c->parsed = parsed;
    const int r = loop_job(c->config->o.loop, &c->job, parse_work, on_parsed);
    if (r < 0)
        end_later(c, r);
}

static void submit(recache_change *c, int (*apply)(store_txn *, store_op *), void (*done)(store_op *, int),
                   unsigned flags)
{
    c->op = (store_op){.apply = apply, .done = done, .flags = flags};
    store_submit(c->config->o.store, &c->op);
}

/* ---- enqueue ---- */
static bool is_wanted(const recache_change *c, uint64_t hash)
{
    size_t lo = 0, hi = c->n_urls;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (c->urls[mid].url.hash < hash)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < c->n_urls && c->urls[lo].url.hash == hash;
}

static bool is_meant(const recache_change *c, const work *w)
{
    if (w->e.host != c->host->id || (c->urls && !is_wanted(c, w->e.hash)))
        return false;
    for (size_t i = 0; i < c->n_dimensions; i++)
        if (c->dimensions[i] == w->e.dimension)
            return true;
    return false;
}

/* What is being rendered shows the page as it was before this request: it is to be rendered once more and, where it was
 * invalidated, not kept. (A record that is on its way to the writer already comes before this change.) */
static void mark_under_way(recache_change *c, bool invalidated)
{
    for (list *l = c->owner->working.next; l != &c->owner->working; l = l->next) {
        work *w = CONTAINER_OF(l, work, link);
        const bool meant = is_meant(c, w);
        w->is_again |= meant && !invalidated;
        w->is_void |= meant && invalidated;
    }
}

static void on_enqueued(store_op *op, int status)
{
    recache_change *c = CONTAINER_OF(op, recache_change, op);
    recache *r = c->owner;
    const uint32_t host = c->host->id;

    if (status == 0)
        c->task->deduplicated += AT_COUNT(op->at);
    else
        c->task->changed = AT_PLACE(op->at);
    if (c->has_refused)
        rota_check_again(r);
    change_end(c, status);
    rota_wake(r, host);
}

static void enqueue_parsed(recache_change *c)
{
    mark_under_way(c, false);
    submit(c, change_enqueue_apply, on_enqueued, STORE_JOINS);
}

void change_enqueue(recache *r, recache_task *t, const int64_t *dues)
{
    recache_change *c;

    if (!change_begin(r, t, true, &c))
        return;
    c->dues = dues;
    parse_urls(c, enqueue_parsed);
}

void recache_enqueue(recache *r, recache_task *t)
{
    change_enqueue(r, t, NULL);
}

/* ---- the others ---- */
static void on_counted(store_op *op, int status)
{
    recache_change *c = CONTAINER_OF(op, recache_change, op);

    c->task->changed = AT_COUNT(op->at);
    change_end(c, status);
}

static void invalidate_parsed(recache_change *c)
{
    mark_under_way(c, true);
    submit(c, change_invalidate_apply, on_counted, STORE_FREES);
}

void recache_invalidate(recache *r, recache_task *t)
{
    recache_change *c;

    if (change_begin(r, t, true, &c))
        parse_urls(c, invalidate_parsed);
}

void recache_invalidate_all(recache *r, recache_task *t)
{
    recache_change *c;

    if (!change_begin(r, t, true, &c))
        return;
    mark_under_way(c, true);
    submit(c, change_invalidate_all_apply, on_counted, STORE_FREES);
}

static void on_hit(store_op *op, int status)
{
    recache_change *c = CONTAINER_OF(op, recache_change, op);
    recache *r = c->owner;
    const uint32_t host = c->host->id;

    c->task->due_at = c->due_at;
    change_end(c, status);
    rota_wake(r, host);
}

static void hit_parsed(recache_change *c)
{
    submit(c, change_hit_apply, on_hit, 0);
}

void recache_hit(recache *r, recache_task *t)
{
    recache_change *c;

    if (change_begin(r, t, true, &c))
        parse_urls(c, hit_parsed);
}

static void on_retried(store_op *op, int status)
{
    recache_change *c = CONTAINER_OF(op, recache_change, op);
    recache *r = c->owner;
    const uint32_t host = c->host->id;

    c->task->changed = AT_COUNT(op->at);
    if (c->task->changed > 0)
        rota_check_again(r);
    change_end(c, status);
    rota_wake(r, host);
}

static void retry_parsed(recache_change *c)
{
    submit(c, change_retry_urls_apply, on_retried, 0);
}

void recache_dead_retry(recache *r, recache_task *t)
{
    recache_change *c;

    if (!change_begin(r, t, true, &c))
        return;
    if (t->urls.n > 0)
        parse_urls(c, retry_parsed);
    else
        submit(c, change_retry_all_apply, on_retried, 0);
}

static void on_paused(store_op *op, int status)
{
    recache_change *c = CONTAINER_OF(op, recache_change, op);
    recache *r = c->owner;

    if (status == 0)
        r->paused = c->paused;
    change_end(c, status);
    recache_pump(r);
}

void recache_pause(recache *r, bool paused, recache_task *t)
{
    recache_change *c;

    t->n_dimensions = 0;
    if (!change_begin(r, t, false, &c))
        return;
    c->paused = paused;
    submit(c, change_pause_apply, on_paused, STORE_FREES);
}
