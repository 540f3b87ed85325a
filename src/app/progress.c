#include "progress.h"

#include "larder/record.h"

#define NOTE_KEY STR("now")

SCHEMA(progress_note, PROGRESS_FIELDS, "What a server is busy with");
keyspace progress_ks = {.name = "progress"};

/* ---- writing ---- */
static int apply_note(store_txn *t, store_op *op)
{
    const progress *p = CONTAINER_OF(op, progress, op);
    buf value = BUF_INIT;

    record_encode(&progress_note_schema, &p->note, &value);
    const int r = value.err ? value.err : store_put(t, &progress_ks, NOTE_KEY, buf_view(&value));
    buf_done(&value);
    return r;
}

/* Whether it could be written doesn't matter: soon there is another. */
static void on_noted(store_op *op, int status)
{
    (void)status;
    CONTAINER_OF(op, progress, op)->is_writing = false;
}

static progress_note look(progress *p, int64_t now)
{
    const projects_stats *refreshes = projects_stats_of(p->app->projects);
    const sources_stats *scans = sources_stats_of(p->app->sources);
    const progress_note note = {
        .refreshing = (int64_t)(refreshes->refreshing + refreshes->queued),
        .done = (int64_t)(refreshes->refreshed + refreshes->failed - p->refreshed - p->failed),
        .failed = (int64_t)(refreshes->failed - p->failed),
        .scanning = (int64_t)(scans->running + scans->queued + scans->waiting),
        .written_at = now,
    };

    if (note.refreshing == 0) { /* the next count begins here */
        p->refreshed = refreshes->refreshed;
        p->failed = refreshes->failed;
    }
    return note;
}

static bool is_same(const progress_note *a, const progress_note *b)
{
    return a->refreshing == b->refreshing && a->done == b->done && a->failed == b->failed && a->scanning == b->scanning;
}

static void on_look(timer *t)
{
    progress *p = CONTAINER_OF(t, progress, next);

    (void)loop_timer_set(p->app->loop, &p->next, PROGRESS_MS, on_look); /* itself again: there is room */
    if (p->is_writing)
        return;
    const progress_note now = look(p, loop_now_wall_ms(p->app->loop));
    /* at the start, too: what stands there is another server's */
    const bool is_busy = now.refreshing > 0 || now.scanning > 0;
    const bool was_busy = p->note.refreshing > 0 || p->note.scanning > 0 || p->note.written_at == 0;
    if (!is_busy && !was_busy)
        return;
    if (is_same(&now, &p->note) && now.written_at - p->note.written_at < PROGRESS_AGAIN_MS)
        return;
    p->note = now;
    p->op = (store_op){.apply = apply_note, .done = on_noted};
    p->is_writing = true;
    store_submit(p->app->store, &p->op);
}

int progress_start(progress *p, api *app)
{
    *p = (progress){.app = app};
    return loop_timer_set(app->loop, &p->next, PROGRESS_MS, on_look);
}

void progress_stop(progress *p)
{
    if (p->app)
        loop_timer_cancel(p->app->loop, &p->next);
}

/* ---- reading ---- */
int progress_read(store *s, int64_t now, progress_note *ret_note)
{
    SCOPED(arena_done)
    arena a;
    progress_note note = {0};
    str value;

    arena_init(&a, 0);
    *ret_note = note;
    if (!store_is_served(s))
        return 0;
    store_view *v = store_read_begin(s);
    int r = store_get(v, &progress_ks, NOTE_KEY, &value);
    if (r == 0)
        r = record_decode(&progress_note_schema, &a, value, &note);
    store_read_end(v);
    if (r == 0 && now - note.written_at < PROGRESS_FRESH_MS)
        *ret_note = note;
    return r == -ENOENT ? 0 : r;
}
