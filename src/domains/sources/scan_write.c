/* What a scan writes at its end, and what it answers to those who wait for it. A catalogue that cannot be
 * written whole is taken back, or marked to be scanned whole, and the source tells why; that may use the
 * store's reserve, and is tried again until it succeeds: the source must not stay "scanning" with nobody
 * scanning it. */
#include "service.h"

#include "larder/log.h"

#define WRITE_AGAIN_MS SECONDS(2)
#define SCAN_AGAIN_MS MINUTES(1) /* after a failure that passes; each one more in a row doubles it */

/* Whether GitHub was read or said that nothing changed, the counts are of the same entries: those now stored. */
static void fill_result(scan *sc, bool ok)
{
    scan_result *r = &sc->result;

    r->source_id = sc->src.id;
    r->status = ok ? STR("success") : STR("error");
    r->artifacts_found = sc->live;
    if (ok) {
        r->new_count = sc->merge.fresh;
        r->updated_count = sc->merge.updated;
        r->removed_count = sc->merge.removed;
        r->unchanged_count = sc->not_modified ? sc->live : sc->merge.unchanged;
        r->total_unique = sc->live;
        r->duplicates_within_source = sc->hidden;
        r->total_detected = sc->live + sc->hidden;
    }
    r->scan_duration_ms = loop_now_mono_ms(sc->owner->o.loop) - sc->begun_mono;
    r->scanned_at = sc->now;
    r->actual_ref = sc->ref;
    r->not_modified = sc->not_modified;
}

/* Between 0.9 and 1.1 intervals from now; sooner after a failure that passes. */
static int64_t next_scan(const scan *sc)
{
    int64_t delay = sc->owner->o.rescan_interval_ms;

    if (sc->passes && sc->src.failed_scans < 16 && SCAN_AGAIN_MS << sc->src.failed_scans < delay)
        delay = SCAN_AGAIN_MS << sc->src.failed_scans;
    return sc->now + delay - delay / 10 + (int64_t)random_below((uint64_t)(delay / 5) + 1);
}

static void submit(scan *sc)
{
    sc->now = loop_now_wall_ms(sc->owner->o.loop);
    sc->rescan_at = next_scan(sc);
    store_submit(sc->owner->o.store, &sc->op);
}

static void on_write_again(timer *t)
{
    submit(CONTAINER_OF(t, scan, wait));
}

/* True when the write is tried again later, outside the concurrency limit. */
static bool tries_again(scan *sc, int status)
{
    if ((status != -ENOSPC && status != -EIO && status != -ENOMEM) ||
        loop_timer_set(sc->owner->o.loop, &sc->wait, WRITE_AGAIN_MS, on_write_again) < 0)
        return false;
    scan_set_running(sc, false);
    scan_pump(sc->owner);
    return true;
}

/* ---- a failure ---- */
static void on_failure_written(store_op *op, int status)
{
    scan *sc = CONTAINER_OF(op, scan, op);

    if (status < 0 && sc->changes)
        change_log_rewind(sc->changes, op->at);
    if (scan_ended_by_cancel(sc) || tries_again(sc, status))
        return;
    sc->owner->missed |= status < 0 && status != -ECANCELED;
    if (sc->changes && sc->is_partial) {
        sources_deliver(sc->owner, sc->changes);
        sc->changes = NULL;
    }
    log_warn("a scan failed", LOG_STR("source", sc->src.id), LOG_STR("why", sc->why));
    fill_result(sc, false);
    scan_end(sc, status == -ECANCELED ? NULL : &sc->result);
}

static void on_check_failed(store_op *op, int status)
{
    scan *sc = CONTAINER_OF(op, scan, op);
    source_task *task = sc->check;

    (void)status;
    if (scan_ended_by_cancel(sc))
        return;
    sc->check = NULL;
    task->scan = NULL;
    task->retry_at = sc->waiting_until;
    task->on_checked(task, task->retry_at ? -EAGAIN : sc->check_status, sc->why);
    scan_end(sc, NULL);
}

static void fail(scan *sc, str why, int check_status, bool passes)
{
    sc->check_status = check_status;
    sc->passes = passes;
    if (sc->state != SCAN_WRITE)
        scan_move(sc, SCAN_WRITE);
    sc->why = arena_dup(&sc->arena, why);
    if (!sc->why.p)
        sc->why = STR("out of memory");
    scan_note_error(sc, sc->why);
    sc->op = (store_op){.apply = scan_fail_apply, .done = on_failure_written, .flags = STORE_FREES};
    if (sc->check) /* it writes nothing, but its answer too comes later */
        sc->op = (store_op){.apply = sources_apply_nothing, .done = on_check_failed, .flags = STORE_FREES};
    submit(sc);
}

void scan_fail(scan *sc, str why)
{
    fail(sc, why, -EREMOTEIO, true);
}

void scan_fail_lasting(scan *sc, str why)
{
    fail(sc, why, -EREMOTEIO, false);
}

void scan_fail_for_good(scan *sc, str why)
{
    fail(sc, why, -EINVAL, false);
}

/* ---- success ---- */
static void on_merged(store_op *op, int status)
{
    scan *sc = CONTAINER_OF(op, scan, op);

    if (status < 0) { /* what is durable is told to search, but counts for nothing */
        change_log_rewind(sc->changes, op->at);
        sc->merge = (struct scan_merge){0};
    }
    sources_deliver(sc->owner, sc->changes);
    sc->changes = NULL;
    sc->cancelled |= status == -ECANCELED; /* removed, or the store closes */
    if (scan_ended_by_cancel(sc))
        return;
    if (status < 0) {
        sc->is_partial = true;
        /* without memory the entries stay, and the next scan finds them */
        (void)change_log_new(sc->src.id, &sc->changes);
        scan_fail(sc, arena_printf(&sc->arena, "the catalogue could not be written: %s", store_refusal_text(status)));
        return;
    }
    fill_result(sc, true);
    scan_end(sc, &sc->result);
}

void scan_write(scan *sc)
{
    scan_move(sc, SCAN_WRITE);
    sc->op = (store_op){.apply = scan_merge_apply, .done = on_merged};
    sc->merged_at = loop_now_wall_ms(sc->owner->o.loop);
    submit(sc);
}

void scan_note_error(scan *sc, str text)
{
    strs *e = &sc->result.errors;

    if (e->n == SCAN_ERRORS_MAX)
        return;
    sc->errors[e->n] = arena_dup(&sc->arena, text);
    if (!sc->errors[e->n].p)
        return;
    *e = (strs){sc->errors, e->n + 1};
}
