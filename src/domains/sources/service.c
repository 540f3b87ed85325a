/* The service: which scans run and when, who waits for them, and telling others what changed. */
#include "service.h"

#include "larder/hash.h"
#include "larder/log.h"

#define LOOK_AGAIN_MS MINUTES(1) /* how often the rescan timer looks at least */
#define DELIVER_AGAIN_MS SECONDS(1)
#define DUE_AT_ONCE 64           /* sources one look takes up */
#define LOOKED_AT_ONCE 32        /* stored as scanning: each is compared with the scans there are */

/* ---- life ---- */
int sources_new(const sources_options *o, sources **ret_sources)
{
    sources *s = mem_new(sources);

    if (!s)
        return -ENOMEM;
    s->o = *o;
    list_init(&s->queue);
    list_init(&s->active);
    list_init(&s->tasks);
    list_init(&s->outbox);
    *ret_sources = s;
    return 0;
}

void sources_free(sources *s)
{
    list *l;

    if (!s)
        return;
    while ((l = list_pop(&s->outbox)))
        change_log_free(CONTAINER_OF(l, change_log, link));
    mem_free(s);
}

void sources_configure(sources *s, const sources_options *o)
{
    s->o.rescan_interval_ms = o->rescan_interval_ms;
    s->o.concurrency = o->concurrency;
    s->o.max_entries = o->max_entries;
    s->o.max_archive_bytes = o->max_archive_bytes;
    scans_wait_no_longer(s);
    scan_pump(s);
}

const sources_stats *sources_stats_of(sources *s)
{
    s->stats.queued = s->stats.waiting = 0;
    for (list *l = s->queue.next; l != &s->queue; l = l->next)
        s->stats.queued++;
    for (list *l = s->active.next; l != &s->active; l = l->next)
        s->stats.waiting += CONTAINER_OF(l, scan, link)->state == SCAN_WAIT;
    s->stats.running = s->running;
    return &s->stats;
}

/* ---- which scans run ---- */
void scan_pump(sources *s)
{
    list *l;

    while (!s->stopping && s->running < s->o.concurrency && (l = list_pop(&s->queue))) {
        list_push(&s->active, l);
        scan_begin(CONTAINER_OF(l, scan, link));
    }
}

void sources_check_stopped(sources *s)
{
    if (!s->stopped || s->marking || s->scans > 0 || !list_empty(&s->tasks))
        return;
    void (*stopped)(void *) = s->stopped;
    s->stopped = NULL;
    stopped(s->stopped_arg);
}

static void on_stop_turn(post *p)
{
    sources *s = CONTAINER_OF(p, sources, stop);

    s->stopped = s->tell_stopped;
    sources_check_stopped(s);
}

void sources_stop(sources *s, void (*stopped)(void *arg), void *arg)
{
    s->stopping = true;
    loop_timer_cancel(s->o.loop, &s->deliver);
    loop_timer_cancel(s->o.loop, &s->rescan);
    while (!list_empty(&s->queue))
        scan_cancel(CONTAINER_OF(s->queue.next, scan, link));
    for (list *l = s->active.next, *next; l != &s->active; l = next) {
        next = l->next;
        scan_cancel(CONTAINER_OF(l, scan, link));
    }
    for (list *l = s->tasks.next; l != &s->tasks; l = l->next)
        sources_cancel(CONTAINER_OF(l, source_task, link));
    s->tell_stopped = stopped;
    s->stopped_arg = arg;
    s->stop.fn = on_stop_turn;
    loop_post(s->o.loop, &s->stop);
}

/* ---- rescans by time, and what a stop had cut off ---- */
/* Marks sources that are due as scanning, in one transaction, and queues their scans. */
typedef struct rescan_op {
    store_op op;
    sources *owner;
    arena arena;
    int64_t now;
    str ids[DUE_AT_ONCE];
    size_t n;
    bool more;
} rescan_op;

static int list_due(store_view *v, rescan_op *r)
{
    store_cursor *c;
    store_item item;
    str rest;
    uint64_t due;

    int err = store_walk(v, &sources_ks, SOURCES_BY_NEXT_SCAN, STR_NULL, STR_NULL, false, &c);
    if (err < 0)
        return err;
    while (err == 0 && store_next(c, &item)) {
        rest = item.index_key;
        err = store_key_cut_u64(&rest, &due);
        if (err < 0 || (int64_t)due > r->now)
            break;
        if (r->n == DUE_AT_ONCE) {
            r->more = true;
            break;
        }
        r->ids[r->n] = arena_dup(&r->arena, item.key);
        err = r->ids[r->n++].p ? 0 : -ENOMEM;
    }
    if (err == 0)
        err = store_cursor_error(c);
    store_cursor_end(c);
    return err;
}

static int rescan_apply(store_txn *t, store_op *op)
{
    rescan_op *r = CONTAINER_OF(op, rescan_op, op);
    int err = 0;

    arena_reset(&r->arena);
    r->n = 0;
    r->more = false;
    err = list_due(store_txn_view(t), r);
    for (size_t i = 0; err == 0 && i < r->n; i++) {
        source s = {0};
        err = source_load(store_txn_view(t), &r->arena, r->ids[i], &s);
        if (err < 0)
            break;
        s.scan_status = STR("scanning");
        s.scan_number++;
        err = source_put(t, &s);
    }
    return err;
}

static void look_again(sources *s, int64_t delay);
static void deliver_in(sources *s, int64_t delay);

static void queue_by_id(sources *s, store_view *v, str id)
{
    SCOPED(arena_done) arena a;
    source src = {0};

    arena_init(&a, 0);
    if (scan_find(s, id))
        return;
    const int r = source_load(v, &a, id, &src);
    if (r == 0)
        scan_queue_stored(s, &src, STR_NULL);
    else if (r != -ENOENT)
        log_warn("cannot queue a scan", LOG_STR("source", id), LOG_ERR(r));
}

static void on_rescan_marked(store_op *op, int status)
{
    rescan_op *r = CONTAINER_OF(op, rescan_op, op);
    sources *s = r->owner;

    s->marking = false;
    if (status == 0 && !s->stopping) {
        store_view *v = store_read_begin(s->o.store);
        for (size_t i = 0; i < r->n; i++)
            queue_by_id(s, v, r->ids[i]);
        store_read_end(v);
    } else if (status < 0 && status != -ECANCELED) {
        log_warn("cannot mark sources for their rescan", LOG_ERR(status));
    }
    if (!s->stopping)
        look_again(s, (status == 0 && r->more) || s->missed_at_n ? 0 : LOOK_AGAIN_MS);
    arena_done(&r->arena);
    mem_free(r);
    sources_check_stopped(s);
}

/* Its task queues the scan in this turn or a later one: what is committed may be seen before the task is told. */
static bool has_task(sources *s, str id)
{
    for (list *l = s->tasks.next; l != &s->tasks; l = l->next) {
        const source_task *t = CONTAINER_OF(l, source_task, link);
        if (str_eq(t->id, id) || str_eq(t->ret_id, id))
            return true;
    }
    return false;
}

static str missed_at(const sources *s)
{
    return s->missed_at_n ? str_of(s->missed_at, s->missed_at_n) : STR_NULL;
}

/* Sources that are stored as "scanning" and have no scan: the server was stopped, or there was no room for one. A turn
 * looks at a few; the next goes on from there. */
static void take_up_missed(sources *s)
{
    store_view *v = store_read_begin(s->o.store);
    store_cursor *c = NULL;
    store_item item;
    size_t n = 0;
    bool more = true;

    if (!s->missed_at_n)
        s->missed = false;
    int r = store_walk(v, &sources_ks, SOURCES_BY_SCANNING, STR_NULL, missed_at(s), false, &c);
    while (r == 0 && n++ < LOOKED_AT_ONCE && s->scans < SCANS_MAX && (more = store_next(c, &item))) {
        if (!has_task(s, item.key))
            queue_by_id(s, v, item.key);
        s->missed_at_n = item.index_key.n;
        memcpy(s->missed_at, item.index_key.p, item.index_key.n);
    }
    if (r == 0 && !more)
        r = store_cursor_error(c);
    store_cursor_end(c);
    store_read_end(v);
    s->missed |= r < 0 || s->scans >= SCANS_MAX;
    if (r < 0 || !more || s->scans >= SCANS_MAX)
        s->missed_at_n = 0;
}

/* When the next source is due, looked up in the store; at most LOOK_AGAIN_MS from now. */
static int64_t delay_to_next(sources *s)
{
    store_view *v = store_read_begin(s->o.store);
    const int64_t now = loop_now_wall_ms(s->o.loop);
    int64_t delay = LOOK_AGAIN_MS;
    store_cursor *c;
    store_item item;
    uint64_t due;

    if (store_walk(v, &sources_ks, SOURCES_BY_NEXT_SCAN, STR_NULL, STR_NULL, false, &c) == 0) {
        if (store_next(c, &item) && store_key_cut_u64(&item.index_key, &due) == 0 && (int64_t)due < now + delay)
            delay = (int64_t)due > now ? (int64_t)due - now : 0;
        store_cursor_end(c);
    }
    store_read_end(v);
    return delay;
}

static void on_rescan_time(timer *t)
{
    sources *s = CONTAINER_OF(t, sources, rescan);
    const int64_t delay = delay_to_next(s);
    rescan_op *r = NULL;

    deliver_in(s, 0);
    if ((s->missed || s->missed_at_n) && s->scans < SCANS_MAX)
        take_up_missed(s);
    if (delay == 0 && s->scans < SCANS_MAX && store_is_writable(s->o.store))
        r = mem_new(rescan_op);
    if (!r) {
        look_again(s, s->missed_at_n ? 0 : delay > 0 ? delay : LOOK_AGAIN_MS);
        return;
    }
    r->owner = s;
    r->now = loop_now_wall_ms(s->o.loop);
    arena_init(&r->arena, 0);
    r->op = (store_op){.apply = rescan_apply, .done = on_rescan_marked};
    s->marking = true;
    store_submit(s->o.store, &r->op);
}

static void look_again(sources *s, int64_t delay)
{
    if (loop_timer_set(s->o.loop, &s->rescan, delay, on_rescan_time) < 0)
        log_error("no memory for the rescan timer: sources are not rescanned by themselves",
                  LOG_INT("delay_ms", delay));
}

int sources_start(sources *s)
{
    s->missed = true;
    return loop_timer_set(s->o.loop, &s->rescan, 0, on_rescan_time);
}

/* ---- waiting for a scan ---- */
bool sources_wait(sources *s, str id, scan_waiter *w)
{
    scan *sc = scan_find(s, id);

    list_init(&w->link);
    if (sc)
        list_push(&sc->waiters, &w->link);
    return sc != NULL;
}

void sources_wait_cancel(scan_waiter *w)
{
    list_remove(&w->link);
}

/* ---- telling others ---- */
/* Whether search shows the source's entries, as it is now and not as it was when they were written. -ENOMEM, -EIO. */
static int is_indexed(sources *s, str source_id, bool *ret_indexed)
{
    store_view *v = store_read_begin(s->o.store);
    source src = {0};
    arena a;

    arena_init(&a, 0);
    const int r = source_load(v, &a, source_id, &src);
    if (r == 0 || r == -ENOENT)
        *ret_indexed = r == 0 && src.indexing_enabled;
    arena_done(&a);
    store_read_end(v);
    return r == -ENOENT ? 0 : r;
}

static void on_deliver(timer *t);

/* Without memory for the timer the rescan timer comes by. */
static void deliver_in(sources *s, int64_t delay)
{
    if (!list_empty(&s->outbox) && !timer_is_set(&s->deliver) && !s->stopping)
        (void)loop_timer_set(s->o.loop, &s->deliver, delay, on_deliver);
}

static void on_deliver(timer *t)
{
    sources *s = CONTAINER_OF(t, sources, deliver);
    change_log *log = CONTAINER_OF(s->outbox.next, change_log, link);
    const size_t n = log->n - log->given < SOURCES_BATCH ? log->n - log->given : SOURCES_BATCH;
    bool indexed;

    if (is_indexed(s, log->source_id, &indexed) < 0) {
        deliver_in(s, DELIVER_AGAIN_MS);
        return;
    }
    for (size_t i = 0; i < n; i++)
        log->v[log->given + i].live &= indexed;
    if (s->o.on_entries)
        s->o.on_entries(s->o.arg, log->v + log->given, n);
    log->given += n;
    if (log->given == log->n)
        change_log_free(log);
    deliver_in(s, 0);
}

void sources_deliver(sources *s, change_log *log)
{
    if (log->n == 0) {
        change_log_free(log);
        return;
    }
    list_push(&s->outbox, &log->link);
    deliver_in(s, 0);
}

/* ---- settings ---- */
#define DETECTOR_VERSION "2" /* raise it when the same files would give other entries */

str scan_settings(arena *a, const source *s, str ref)
{
    uint8_t digest[SHA256_LEN];
    char hex[16];
    buf b = BUF_INIT;

    /* import_repo_readme is among them: turning it on must read the archive again. */
    buf_printf(&b, DETECTOR_VERSION "\n" STR_FMT "\n" STR_FMT "\n%d %d %d " STR_FMT "\n", STR_ARG(ref),
               STR_ARG(s->root_hint), s->enable_frontmatter_detection, s->import_repo_readme, s->single_artifact_mode,
               STR_ARG(s->single_artifact_type));
    for (size_t i = 0; i < s->manual_map.n; i++)
        buf_printf(&b, STR_FMT "=" STR_FMT "\n", STR_ARG(s->manual_map.v[i].key), STR_ARG(s->manual_map.v[i].value));
    str text = STR_NULL;
    if (!b.err) {
        sha256(b.p, b.n, digest);
        hex_encode(digest, sizeof(hex) / 2, hex);
        text = arena_dup(a, str_of(hex, sizeof(hex)));
    }
    buf_done(&b);
    return text;
}
