/* A refresh, on the loop. The happy path:
 *
 *     READ -> ASK -> MAKE -> WRITE -> ENDED
 *
 * READ learns on a worker what the project holds; ASK lets upstream be asked about what the catalogue does not know;
 * MAKE puts both together; WRITE replaces the project's content in one write. What a report wrote meanwhile is not
 * written over: MAKE begins anew. A failure on the way leaves as much as is known, and a NOTE of why: the project is
 * tried again after 5 s * 2^n. Without quota old versions stay, and the project is due when there is some again. A
 * folder that is no project any more is forgotten. */
#include "refresh.h"
#include "watch.h"

#define AGAIN_MS SECONDS(1) /* until a project is refreshed that changed meanwhile */
#define HOLD_MS MINUTES(1)  /* the scheduler rests when the store does not take what it learns */

static const flow_state FLOW[] = {
    [REFRESH_READ] = {"read", TO(REFRESH_ASK) | TO(REFRESH_WRITE) | TO(REFRESH_NOTE) | TO(REFRESH_ENDED)},
    [REFRESH_ASK] = {"ask", TO(REFRESH_MAKE) | TO(REFRESH_ENDED)},
    [REFRESH_MAKE] = {"make", TO(REFRESH_WRITE) | TO(REFRESH_NOTE) | TO(REFRESH_ENDED)},
    [REFRESH_WRITE] = {"write", TO(REFRESH_MAKE) | TO(REFRESH_NOTE) | TO(REFRESH_ENDED)},
    [REFRESH_NOTE] = {"note", TO(REFRESH_ENDED)},
    [REFRESH_ENDED] = {"ended", 0},
};

static void move(refresh *r, unsigned state)
{
    flow_move(FLOW, &r->state, state);
}

/* ---- begin and end ---- */
refresh *refresh_find(projects *p, str id)
{
    for (list *l = p->refreshes.next; l != &p->refreshes; l = l->next) {
        refresh *r = CONTAINER_OF(l, refresh, link);
        if (str_eq(r->id, id))
            return r;
    }
    return NULL;
}

static void refresh_free(void *what)
{
    refresh *r = what;

    artifact_log_free(r->write.log);
    arena_done(&r->arena);
    mem_free(r);
}

static void end(refresh *r)
{
    projects *p = r->owner;

    move(r, REFRESH_ENDED);
    list_remove(&r->link);
    p->running--;
    refresh_over(r);
    loop_give_back(p->o.loop, r->arena.total, refresh_free, r);
    projects_wake(p);
    projects_check_stopped(p);
}

static bool ended_by_cancel(refresh *r)
{
    if (!r->cancelled)
        return false;
    end(r);
    return true;
}

/* ---- a failure: as much as is known stays ---- */
static void on_noted(store_op *op, int status)
{
    refresh *r = CONTAINER_OF(op, refresh, note.op);

    if (status < 0 && status != -ENOENT)
        r->owner->hold_until = loop_now_mono_ms(r->owner->o.loop) + HOLD_MS;
    end(r);
}

/* Those that wait for the same moment come one after the other. */
static int64_t after_retry(const refresh *r, int64_t now)
{
    const int64_t wait = r->retry_at > now ? r->retry_at - now : 0;

    return r->retry_at + (int64_t)random_below((uint64_t)wait / 4 + (uint64_t)SECONDS(1));
}

/* What only upstream is in the way of need not wait longer than that. */
static int64_t next_try(const refresh *r, int64_t now, int64_t failures)
{
    const unsigned steps = failures < 1000 ? (unsigned)failures : 1000;

    return r->retry_at > now ? after_retry(r, now) : now + upstream_backoff(steps, projects_retry_max(r->owner));
}

static void note_failure(refresh *r)
{
    projects *p = r->owner;
    const int64_t now = loop_now_wall_ms(p->o.loop), before = r->was.failures > 0 ? r->was.failures : 0;
    /* Who asks before its time is no reason to wait longer. */
    const bool is_early = before > 0 && r->was.next_refresh_at > now;

    r->changed |= !str_eq(r->was.status, STR("error"));
    move(r, REFRESH_NOTE);
    r->note = (project_note){
        .op = {.apply = project_note_apply, .done = on_noted},
        .id = r->id,
        .error_message = r->why,
        .failures = before + !is_early,
        .next_refresh_at = is_early ? r->was.next_refresh_at : next_try(r, now, before),
    };
    store_submit(p->o.store, &r->note.op);
}

static void fail(refresh *r, str why)
{
    r->why = why.p ? why : STR("out of memory");
    note_failure(r);
}

/* ---- writing ---- */
static void make(refresh *r);

static void on_marked(store_op *op, int status)
{
    (void)status; /* then it is found at its next refresh */
    end(CONTAINER_OF(op, refresh, mark.op));
}

/* It was invalidated while it was refreshed: what was written may be older than that. */
static void mark_anew(refresh *r)
{
    projects *p = r->owner;

    move(r, REFRESH_NOTE);
    r->mark = (project_invalidation){
        .op = {.apply = project_invalidate_apply, .done = on_marked},
        .id = r->id,
        .now = loop_now_wall_ms(p->o.loop),
        .doubts_upstream = r->doubts,
    };
    store_submit(p->o.store, &r->mark.op);
}

void refresh_once_more(projects *p, str id, bool doubts_upstream)
{
    for (list *l = p->refreshes.next; l != &p->refreshes; l = l->next) {
        refresh *r = CONTAINER_OF(l, refresh, link);
        if (id.p && !str_eq(r->id, id))
            continue;
        r->again = true;
        r->doubts |= doubts_upstream;
    }
}

static void on_wrote(project_write *w, int status)
{
    refresh *r = CONTAINER_OF(w, refresh, write);
    projects *p = r->owner;

    if (status == 0) {
        /* Where it is not, nobody was told that it had failed. */
        r->changed = w->forgets || w->added || w->removed || w->changed ||
                     (!w->only_news && str_eq(r->is.status, STR("error")) != (r->why.p != NULL));
        w->log->project_name = arena_dup(&w->log->arena, w->name); /* null without memory: no harm */
        projects_deliver(p, w->log);
        w->log = NULL;
        watch_project(p, r->id, r->is_discovered && !w->forgets ? r->found.folders : (strs){0});
    }
    if (status == -ESTALE && !r->cancelled && r->makes < REFRESH_MAKES) {
        make(r);
        return;
    }
    if (status < 0 && status != -ENOENT && status != -EEXIST && status != -ECANCELED) {
        p->hold_until = loop_now_mono_ms(p->o.loop) + HOLD_MS;
        r->why = arena_printf(&r->arena, "what was learnt could not be stored: %s", err_text(status));
    }
    if (status == 0 && r->why.p && !w->forgets)
        note_failure(r);
    else if (status == 0 && r->again && !w->forgets)
        mark_anew(r);
    else
        end(r);
}

static bool is_other_than_was(const refresh *r)
{
    return r->is.version != r->was.version || r->is.next_refresh_at != r->was.next_refresh_at ||
           r->is.marked != r->was.marked;
}

static int64_t next_time(const refresh *r, int64_t now)
{
    const int64_t interval = r->owner->o.refresh_interval_ms, tenth = interval / 10;

    /* What is new may be on its way still, and nobody watched it; upstream may not have been asked. */
    if (is_other_than_was(r) || !r->was.last_fetched)
        return now + AGAIN_MS;
    if (r->is_limited)
        return after_retry(r, now);
    return now + interval - tenth + (int64_t)random_below((uint64_t)tenth * 2 + 1);
}

static void write_content(refresh *r, bool forgets)
{
    projects *p = r->owner;
    const int64_t now = loop_now_wall_ms(p->o.loop);
    const bool rereads = r->only_reads && r->was.last_fetched && !is_other_than_was(r);

    artifact_log_free(r->write.log);
    r->write = (project_write){
        .on_done = on_wrote,
        .id = r->id,
        .name = r->is_discovered ? r->found.name : r->is.name,
        .path = r->is.path,
        .origin = r->is.origin,
        .forgets = forgets,
        .content = r->content,
        .n = r->n_content,
        .if_match = forgets            ? 0
                    : r->is_discovered ? -2
                                       : r->is.version,
        .now = now,
        .only_news = rereads,
        .asked_upstream = !r->only_reads && !r->is_limited,
        .next_refresh_at = rereads ? now : next_time(r, now), /* to ask upstream too */
    };
    if (artifact_log_new(&r->write.log) < 0) {
        fail(r, STR("out of memory"));
        return;
    }
    move(r, REFRESH_WRITE);
    projects_write(p, &r->write);
}

static void on_made(job *j, int status)
{
    refresh *r = CONTAINER_OF(j, refresh, job);
    const int err = status < 0 ? status : r->work_status;

    if (ended_by_cancel(r))
        return;
    if (err == -ENOENT) /* forgotten meanwhile */
        end(r);
    else if (err < 0)
        fail(r, str_c(err_text(err)));
    else
        write_content(r, false);
}

static void make(refresh *r)
{
    r->makes++;
    move(r, REFRESH_MAKE);
    if (loop_job(r->owner->o.loop, &r->job, refresh_make_work, on_made) < 0)
        fail(r, STR("out of memory"));
}

/* ---- asking upstream ---- */
static void tell_progress(refresh *r)
{
    if (!r->is_quiet)
        projects_tell(r->owner, &(projects_event){.kind = REFRESH_PROGRESS,
                                                  .project_id = r->id,
                                                  .project_name = r->name,
                                                  .done = (int64_t)r->answered,
                                                  .total = (int64_t)r->n_asks});
}

static void take_answer(refresh *r, upstream_wait *w)
{
    r->answered++;
    switch (w->outcome) {
    case UPSTREAM_TOLD:
        break;
    case UPSTREAM_MISSING:
        if (r->n_remarks < REFRESH_REMARKS)
            r->remarks[r->n_remarks] = arena_dup(&r->arena, w->why);
        r->n_remarks += r->n_remarks < REFRESH_REMARKS && r->remarks[r->n_remarks].p;
        break;
    case UPSTREAM_LIMITED:
        r->is_limited = true;
        r->retry_at = w->retry_at > r->retry_at ? w->retry_at : r->retry_at;
        break;
    case UPSTREAM_FAILED:
        r->retry_at = w->retry_at > r->retry_at ? w->retry_at : r->retry_at;
        if (!r->why.p)
            r->why = arena_dup(&r->arena, w->why.n ? w->why : STR("GitHub could not be asked"));
        if (!r->why.p)
            r->why = STR("out of memory");
        break;
    case UPSTREAM_CANCELLED:
        r->cancelled = true;
        break;
    }
    tell_progress(r);
}

static void ask_on(refresh *r);

static void on_answer(upstream_wait *w)
{
    refresh *r = CONTAINER_OF(w, place_ask, wait)->refresh;

    take_answer(r, w);
    ask_on(r);
}

static void ask_on(refresh *r)
{
    while (!r->cancelled && r->next_ask < r->n_asks && r->next_ask - r->answered < REFRESH_ASKS) {
        upstream_wait *w = &r->asks[r->next_ask++].wait;
        w->since = r->since;
        w->doubted = r->doubted;
        w->patient = r->patient;
        w->on_answer = on_answer;
        const int err = upstream_ask(&r->owner->upstream, w);
        if (err < 0) {
            w->outcome = UPSTREAM_FAILED;
            w->why = str_c(err_text(err));
        }
        if (err != 0)
            take_answer(r, w);
    }
    if (r->answered < r->next_ask)
        return;
    if (!ended_by_cancel(r))
        make(r);
}

static void on_read(job *j, int status)
{
    refresh *r = CONTAINER_OF(j, refresh, job);
    const int err = status < 0 ? status : r->work_status;

    if (ended_by_cancel(r))
        return;
    if (err == -ENOENT) { /* forgotten meanwhile */
        end(r);
    } else if (err < 0) {
        fail(r, str_c(err_text(err)));
    } else if (r->is_gone) {
        r->is = r->was;
        write_content(r, true);
    } else if (r->is_discovered && (!r->found.path.p || (r->found.misses_folders && r->was.last_fetched))) {
        note_failure(r);
    } else {
        move(r, REFRESH_ASK);
        if (r->only_reads)
            r->answered = r->next_ask = r->n_asks;
        ask_on(r);
    }
}

bool refresh_join(refresh *r, int64_t since)
{
    if (r->state == REFRESH_READ) {
        r->only_reads = r->patient = false;
        r->since = since > r->since ? since : r->since;
    }
    return !r->only_reads;
}

/* How old upstream's answers may be. Clients want those of now; the scheduler shares what was answered lately, but not
 * from before somebody said that it is wrong. */
static int64_t since_of(const projects *p, int64_t doubted, bool patient)
{
    const int64_t mono = loop_now_mono_ms(p->o.loop), lately = mono - p->o.refresh_interval_ms / 10;

    if (!patient || doubted > mono) /* the wall clock was put back */
        return mono;
    return doubted > lately ? doubted : lately;
}

int64_t refresh_doubted(const projects *p, const project *of)
{
    return of->doubted_at ? loop_now_mono_ms(p->o.loop) - (loop_now_wall_ms(p->o.loop) - of->doubted_at) : INT64_MIN;
}

int refresh_begin(projects *p, const project *of, bool patient, refresh **ret_refresh)
{
    refresh *r = mem_new(refresh);

    if (!r)
        return -ENOMEM;
    r->owner = p;
    arena_init(&r->arena, 0);
    list_init(&r->tasks);
    r->patient = patient;
    r->doubted = refresh_doubted(p, of);
    r->since = since_of(p, r->doubted, patient);
    r->id = arena_dup(&r->arena, of->id);
    r->name = arena_dup(&r->arena, of->name);
    r->n_roots = p->o.n_roots;
    r->roots = arena_array(&r->arena, str, r->n_roots);
    bool ok = r->id.p && r->name.p && r->roots;
    for (size_t i = 0; ok && i < r->n_roots; i++) {
        r->roots[i] = arena_dup(&r->arena, p->o.roots[i]);
        ok = r->roots[i].p != NULL;
    }
    if (!ok || loop_job(p->o.loop, &r->job, refresh_read_work, on_read) < 0) {
        refresh_free(r);
        return -ENOMEM;
    }
    p->running++;
    list_push(&p->refreshes, &r->link);
    *ret_refresh = r;
    return 0;
}

void refresh_cancel_all(projects *p)
{
    for (list *l = p->refreshes.next; l != &p->refreshes; l = l->next)
        CONTAINER_OF(l, refresh, link)->cancelled = true;
    upstream_cancel_all(&p->upstream); /* else a job or a write is under way: its callback ends the refresh */
}
