/* What clients ask for: reports, forgetting, invalidating. */
#include "project_write.h"

#define TAKEN_AT_ONCE 200 /* artifacts: with more the loop would be held for a millisecond or several */

typedef struct task_work {
    project_task *task;
    job job;
    size_t twin;
    int taken;
    project_write write;
    project_invalidation invalidation;
} task_work;

/* ---- begin and end ---- */
static void end(project_task *t, int status)
{
    projects *p = t->owner;

    t->status = status;
    list_remove(&t->link);
    t->on_done(t);
    projects_check_stopped(p);
}

static void on_failed(post *n)
{
    project_task *t = CONTAINER_OF(n, project_task, post);

    end(t, t->status);
}

/* Before anything asynchronous: on the next turn, for on_done never runs inside the call. */
static void fail(project_task *t, int status, str why)
{
    t->status = status;
    t->why = why;
    t->post.fn = on_failed;
    loop_post(t->owner->o.loop, &t->post);
}

static void tell_changed(projects *p, str id, str name, bool changed)
{
    projects_tell(p, &(projects_event){
                         .kind = PROJECT_CHANGED, .project_id = id, .project_name = name, .changes_detected = changed});
}

static void on_written(project_write *w, int status)
{
    task_work *k = CONTAINER_OF(w, task_work, write);
    project_task *t = k->task;
    projects *p = t->owner;

    if (status == 0) {
        w->log->project_name = arena_dup(&w->log->arena, w->name); /* null without memory: no harm */
        projects_deliver(p, w->log);
        t->ret_created = w->created;
        t->ret_version = w->version;
        tell_changed(p, t->id, w->name, w->created || w->forgets || w->added || w->removed || w->changed);
        projects_wake(p);
    } else {
        artifact_log_free(w->log);
    }
    end(t, status);
}

/* NULL: the task fails. */
static task_work *begin(projects *p, project_task *t)
{
    task_work *k = arena_new(t->arena, task_work);

    t->owner = p;
    list_push(&p->tasks, &t->link);
    const bool fits = t->id.n <= PROJECT_ID_MAX && (!t->id.p || t->id.n > 0);
    if (!k || !fits) {
        fail(t, !k ? -ENOMEM : t->report ? -EINVAL : -ENOENT,
             t->report ? STR("id: should have 1 to 200 bytes") : STR_NULL);
        return NULL;
    }
    k->task = t;
    k->write = (project_write){
        .id = t->id,
        .if_match = t->if_match,
        .now = loop_now_wall_ms(p->o.loop),
        .on_done = on_written,
    };
    return k;
}

static void write_it(task_work *k)
{
    const int r = artifact_log_new(&k->write.log);

    if (r < 0) {
        fail(k->task, r, STR_NULL);
        return;
    }
    projects_write(k->task->owner, &k->write);
}

/* ---- reports ---- */
/* "" says as little as nothing. */
static str text_or_null(str text)
{
    return text.n > 0 ? text : STR_NULL;
}

static str type_error(arena *a, size_t i)
{
    str text = arena_printf(a, "artifacts[%zu].type: Input should be ", i);

    for (unsigned n = 0; text.p && n < ARTIFACT_TYPE_COUNT; n++)
        text = arena_printf(a, STR_FMT "%s'" STR_FMT "'", STR_ARG(text),
                            n == 0                         ? ""
                            : n + 1 == ARTIFACT_TYPE_COUNT ? " or "
                                                           : ", ",
                            STR_ARG(artifact_type_name(n)));
    return text;
}

static int take_artifact(project_task *t, const report_artifact *in, size_t i, artifact_content *c)
{
    const str given = text_or_null(in->upstream_version);

    *c = (artifact_content){
        .name = in->name,
        .source = text_or_null(in->source),
        .deployed_version = text_or_null(in->deployed_version),
        .content_hash = text_or_null(in->content_hash),
        .description = text_or_null(in->description),
        .tags = in->tags,
        .upstream = given.p ? UPSTREAM_GIVEN : UPSTREAM_KEEP,
        .upstream_version = given,
    };
    if (artifact_type_parse(in->type, &c->type) == 0)
        return 0;
    t->why = type_error(t->arena, i);
    return t->why.p ? -EINVAL : -ENOMEM;
}

static int take_report(task_work *k)
{
    project_task *t = k->task;
    const rows *in = &t->report->artifacts;
    project_write *w = &k->write;

    if (in->n > PROJECT_ARTIFACTS_MAX)
        return -EFBIG;
    w->name = t->report->name;
    w->path = t->report->path;
    w->origin = STR("reported");
    w->n = in->n;
    w->content = arena_array(t->arena, artifact_content, in->n);
    if (!w->content)
        return -ENOMEM;
    for (size_t i = 0; i < in->n; i++) {
        const int r = take_artifact(t, (const report_artifact *)in->v + i, i, &w->content[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static void take_work(job *j)
{
    task_work *k = CONTAINER_OF(j, task_work, job);

    k->taken = take_report(k);
    if (k->taken == 0)
        k->taken = project_content_sort(k->write.id, k->write.content, k->write.n, &k->twin);
}

static void on_taken(job *j, int status)
{
    task_work *k = CONTAINER_OF(j, task_work, job);
    project_task *t = k->task;

    if (status == 0)
        status = k->taken;
    if (status == -EEXIST) {
        const report_artifact *twin = (const report_artifact *)t->report->artifacts.v + k->twin;
        str why = arena_printf(t->arena, "artifacts[%zu]: " STR_FMT " '" STR_FMT "' is given twice", k->twin,
                               STR_ARG(twin->type), STR_ARG(twin->name));
        fail(t, why.p ? -EINVAL : -ENOMEM, why);
    } else if (status < 0) {
        fail(t, status, t->why);
    } else {
        write_it(k);
    }
}

void projects_report(projects *p, project_task *t)
{
    task_work *k = begin(p, t);

    if (!k)
        return;
    const int64_t interval = p->o.refresh_interval_ms;
    k->write.next_refresh_at =
        k->write.now + interval - interval / 10 + (int64_t)random_below((uint64_t)interval / 5 + 1);
    k->write.changed_refresh_at = k->write.now; /* what upstream has is learnt soon */
    if (t->report->artifacts.n <= TAKEN_AT_ONCE) {
        take_work(&k->job);
        on_taken(&k->job, 0);
        return;
    }
    const int r = loop_job(p->o.loop, &k->job, take_work, on_taken);
    if (r < 0)
        fail(t, r, STR_NULL);
}

/* ---- forget, invalidate ---- */
void projects_forget(projects *p, project_task *t)
{
    task_work *k = begin(p, t);

    if (!k)
        return;
    k->write.forgets = true;
    write_it(k);
}

static void on_invalidated(store_op *op, int status)
{
    task_work *k = CONTAINER_OF(op, task_work, invalidation.op);
    project_task *t = k->task;
    projects *p = t->owner;

    t->ret_count = k->invalidation.count;
    refresh_once_more(p, t->id, true);
    if (status == 0)
        tell_changed(p, t->id, STR_NULL, false);
    projects_wake(p); /* also after an error: some may be marked */
    end(t, status);
}

void projects_invalidate(projects *p, project_task *t)
{
    task_work *k = begin(p, t);

    if (!k)
        return;
    k->invalidation = (project_invalidation){
        .op = {.apply = project_invalidate_apply, .done = on_invalidated},
        .id = t->id,
        .now = k->write.now,
        .doubts_upstream = true,
    };
    store_submit(p->o.store, &k->invalidation.op);
}
