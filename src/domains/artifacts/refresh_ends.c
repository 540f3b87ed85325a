/* The ends of refreshes: what those hear who wait for one project, or for a run over all. */
#include "refresh.h"

/* ---- the ends of tasks ---- */
void refresh_task_end(refresh_task *t, int status)
{
    t->status = status;
    t->duration_ms = loop_now_mono_ms(t->owner->o.loop) - t->begun;
    list_remove(&t->link);
    t->on_done(t);
}

static void task_add_error(refresh_task *t, str text, size_t most)
{
    str *v = t->errors.n ? (str *)(uintptr_t)t->errors.v : arena_array(t->arena, str, most);
    const str copy = v ? arena_dup(t->arena, text) : STR_NULL;

    if (!copy.p) {
        t->status = -ENOMEM;
        return;
    }
    v[t->errors.n] = copy;
    t->errors.v = v;
    t->errors.n++;
}

static str quota_text(arena *a, int64_t n, int64_t until)
{
    char when[RFC3339_LEN + 1];

    rfc3339_format(until, when);
    return arena_printf(a,
                        "GitHub's quota is used up until %s: %lld project%s keep%s the versions known so far, and %s "
                        "refreshed then",
                        when, (long long)n, n == 1 ? "" : "s", n == 1 ? "s" : "", n == 1 ? "is" : "are");
}

static str error_text(arena *a, const refresh *r, str what)
{
    return arena_printf(a, STR_FMT ": " STR_FMT, STR_ARG(r->name), STR_ARG(what));
}

static void task_over(refresh_task *t, refresh *r)
{
    t->status = r->cancelled ? -ECANCELED : 0;
    t->projects_refreshed = !r->why.p && !r->is_limited && !r->cancelled;
    t->changes_detected = r->changed;
    if (r->why.p)
        task_add_error(t, error_text(&r->arena, r, r->why), REFRESH_REMARKS + 2);
    if (r->is_limited)
        task_add_error(t, quota_text(&r->arena, 1, r->retry_at), REFRESH_REMARKS + 2);
    for (size_t i = 0; i < r->n_remarks; i++)
        task_add_error(t, error_text(&r->arena, r, r->remarks[i]), REFRESH_REMARKS + 2);
    refresh_task_end(t, t->status);
}

/* ---- runs over all ---- */
void run_add_error(all_run *run, str name, str what)
{
    for (size_t i = 0; i < run->n_errors; i++) {
        run_error *e = &run->errors[i];
        if (!str_eq(e->what, what))
            continue;
        e->n++;
        return;
    }
    const str kept = run->n_errors < RUN_ERRORS_MAX - 1 ? arena_dup(&run->arena, what) : STR_NULL;
    if (kept.p)
        run->errors[run->n_errors++] = (run_error){.what = kept, .name = arena_dup(&run->arena, name), .n = 1};
    else
        run->n_others++;
}

static size_t run_count_errors(const all_run *run)
{
    size_t n = run->n_others;

    for (size_t i = 0; i < run->n_errors; i++)
        n += run->errors[i].n;
    return n;
}

static str run_error_text(arena *a, const run_error *e)
{
    if (!e->name.p)
        return e->what;
    if (e->n == 1)
        return arena_printf(a, STR_FMT ": " STR_FMT, STR_ARG(e->name), STR_ARG(e->what));
    return arena_printf(a, STR_FMT " and %zu other project%s: " STR_FMT, STR_ARG(e->name), e->n - 1,
                        e->n == 2 ? "" : "s", STR_ARG(e->what));
}

void run_tell(projects *p, const all_run *run, projects_event_kind kind, const refresh *r)
{
    projects_tell(p, &(projects_event){.kind = kind,
                                       .project_id = r ? r->id : STR_NULL,
                                       .project_name = r ? r->name : STR_NULL,
                                       .done = run->done,
                                       .total = run->total,
                                       .refreshed = run->refreshed,
                                       .errors = (int64_t)run_count_errors(run),
                                       .changes_detected = run->changed});
}

static void run_over_one(projects *p, all_run *run, const refresh *r)
{
    run->under_way--;
    run->done++;
    run->refreshed += !r->why.p && !r->is_limited && !r->cancelled;
    run->changed |= r->changed;
    if (r->why.p)
        run_add_error(run, r->name, r->why);
    for (size_t i = 0; i < r->n_remarks; i++)
        run_add_error(run, r->name, r->remarks[i]);
    if (r->is_limited) {
        run->limited++;
        run->retry_at = r->retry_at > run->retry_at ? r->retry_at : run->retry_at;
    }
    run_tell(p, run, REFRESH_PROGRESS, r);
}

static void run_task_over(const all_run *run, refresh_task *t, int status)
{
    t->status = status;
    t->projects_refreshed = run->refreshed;
    t->changes_detected = run->changed;
    for (size_t i = 0; i < run->n_errors && t->status == 0; i++)
        task_add_error(t, run_error_text(t->arena, &run->errors[i]), RUN_ERRORS_MAX);
    if (run->n_others && t->status == 0)
        task_add_error(t, arena_printf(t->arena, "and %zu more", run->n_others), RUN_ERRORS_MAX);
    refresh_task_end(t, t->status);
}

void run_end(projects *p, all_run *run, int status)
{
    list *l;

    run->is_on = false;
    if (run->limited && run->n_errors == RUN_ERRORS_MAX - 1) /* until when all wait is told in any case */
        run->n_others += run->errors[--run->n_errors].n;
    if (run->limited)
        run_add_error(run, STR_NULL, quota_text(&run->arena, run->limited, run->retry_at));
    run_tell(p, run, REFRESH_FINISHED, NULL);
    while ((l = list_pop(&run->tasks)))
        run_task_over(run, CONTAINER_OF(l, refresh_task, link), status);
    arena_done(&run->arena);
}

/* ---- one has ended ---- */
void refresh_over(refresh *r)
{
    projects *p = r->owner;
    list *l;

    if (r->why.p)
        p->stats.failed++;
    else if (r->is_limited)
        p->stats.limited++;
    else if (!r->cancelled)
        p->stats.refreshed++;
    p->stats.changed += r->changed;
    if (!r->is_quiet)
        projects_tell(p, &(projects_event){.kind = REFRESH_FINISHED,
                                           .project_id = r->id,
                                           .project_name = r->name,
                                           .done = 1,
                                           .total = 1,
                                           .refreshed = !r->why.p && !r->is_limited && !r->cancelled,
                                           .errors = r->why.p || r->is_limited,
                                           .changes_detected = r->changed,
                                           .why = r->why});
    for (unsigned force = 0; force < 2; force++)
        if (r->for_all[force])
            run_over_one(p, &p->all[force], r);
    while ((l = list_pop(&r->tasks)))
        task_over(CONTAINER_OF(l, refresh_task, link), r);
}
