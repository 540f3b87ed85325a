/* The service: its life, and telling others what changed. */
#include "service.h"

#include "watch.h"

/* ---- what an op did to artifacts ---- */
int artifact_log_new(artifact_log **ret_log)
{
    artifact_log *log = mem_new(artifact_log);

    if (!log)
        return -ENOMEM;
    arena_init(&log->arena, 0);
    list_init(&log->link);
    *ret_log = log;
    return 0;
}

void artifact_log_free(artifact_log *log)
{
    if (!log)
        return;
    list_remove(&log->link);
    arena_done(&log->arena);
    mem_free(log->v);
    mem_free(log);
}

void artifact_log_cut(artifact_log *log, size_t n)
{
    if (n == 0)
        arena_reset(&log->arena);
    log->n = n;
}

int artifact_log_add(artifact_log *log, const artifact *a, bool live, bool became_outdated)
{
    artifact_change *c;

    if (log->n == log->cap) {
        const size_t cap = log->cap ? log->cap * 2 : 64;
        artifact_change *v = mem_realloc(log->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        log->v = v;
        log->cap = cap;
    }
    c = &log->v[log->n];
    *c = (artifact_change){
        .id = arena_dup(&log->arena, a->id),
        .name = arena_dup(&log->arena, a->name),
        .type = arena_dup(&log->arena, a->type),
        .project_id = arena_dup(&log->arena, a->project_id),
        .updated_at = a->updated_at,
        .live = live,
        .became_outdated = became_outdated,
        .deployed_version = arena_dup(&log->arena, became_outdated ? a->deployed_version : STR_NULL),
        .upstream_version = arena_dup(&log->arena, became_outdated ? a->upstream_version : STR_NULL),
    };
    if (!c->id.p || !c->name.p || !c->type.p || !c->project_id.p)
        return -ENOMEM;
    if (became_outdated && ((a->deployed_version.p && !c->deployed_version.p) ||
                            (a->upstream_version.p && !c->upstream_version.p)))
        return -ENOMEM;
    log->n++;
    return 0;
}

/* ---- telling others ---- */
static void tell_outdated(projects *p, const artifact_log *log, const artifact_change *c)
{
    projects_tell(p, &(projects_event){.kind = ARTIFACT_OUTDATED,
                                       .project_id = c->project_id,
                                       .project_name = log->project_name,
                                       .artifact_id = c->id,
                                       .artifact_name = c->name,
                                       .artifact_type = c->type,
                                       .deployed_version = c->deployed_version,
                                       .upstream_version = c->upstream_version});
}

static void on_deliver(timer *t)
{
    projects *p = CONTAINER_OF(t, projects, deliver);
    artifact_log *log = CONTAINER_OF(p->outbox.next, artifact_log, link);
    const size_t left = log->n - log->given, n = left < PROJECTS_BATCH ? left : PROJECTS_BATCH;

    if (p->o.on_artifacts && n > 0)
        p->o.on_artifacts(p->o.arg, log->v + log->given, n);
    for (size_t i = log->given; i < log->given + n; i++)
        if (log->v[i].became_outdated)
            tell_outdated(p, log, &log->v[i]);
    log->given += n;
    if (log->given == log->n)
        artifact_log_free(log);
    projects_deliver_on(p);
}

void projects_deliver_on(projects *p)
{
    if (!list_empty(&p->outbox) && !timer_is_set(&p->deliver) && !p->stopping)
        (void)loop_timer_set(p->o.loop, &p->deliver, 0, on_deliver);
}

void projects_deliver(projects *p, artifact_log *log)
{
    if (log->n == 0) {
        artifact_log_free(log);
        return;
    }
    list_push(&p->outbox, &log->link);
    projects_deliver_on(p);
}

void projects_tell(projects *p, const projects_event *e)
{
    if (p->o.on_event)
        p->o.on_event(p->o.arg, e);
}

/* ---- life ---- */
static void on_upstream_idle(void *arg)
{
    projects_check_stopped(arg);
}

static void set_retries(projects *p)
{
    p->upstream.retry_max_ms = projects_retry_max(p);
    p->upstream.retry_refused_ms = p->o.refresh_interval_ms;
}

int projects_new(const projects_options *o, projects **ret_projects)
{
    projects *p = mem_new(projects);

    if (!p)
        return -ENOMEM;
    p->o = *o;
    p->upstream = (upstream){.loop = o->loop,
                             .store = o->store,
                             .github = o->github,
                             .on_idle = on_upstream_idle,
                             .arg = p};
    set_retries(p);
    if (upstream_init(&p->upstream) < 0) {
        mem_free(p);
        return -ENOMEM;
    }
    list_init(&p->refreshes);
    list_init(&p->asked);
    list_init(&p->seeking);
    list_init(&p->waiting);
    list_init(&p->dues);
    list_init(&p->watches);
    list_init(&p->unread);
    list_init(&p->opening);
    list_init(&p->root_folders);
    list_init(&p->root_closing);
    p->root_at = &p->root_folders;
    list_init(&p->tasks);
    list_init(&p->outbox);
    list_init(&p->large);
    p->large_is_due = true; /* a crash may have left something */
    *ret_projects = p;
    return 0;
}

void projects_configure(projects *p, const projects_options *o)
{
    p->o.roots = o->roots;
    p->o.n_roots = o->n_roots;
    p->o.refresh_interval_ms = o->refresh_interval_ms;
    p->o.ttl_ms = o->ttl_ms;
    p->o.concurrency = o->concurrency;
    set_retries(p);
    upstream_forget(&p->upstream); /* GitHub may be another one now, or the token */
    discovery_start(p);
    projects_wake(p);
}

int projects_start(projects *p)
{
    discovery_start(p);
    projects_wake(p);
    return 0;
}

void projects_check_stopped(projects *p)
{
    const bool is_idle = !p->large_runs && list_empty(&p->tasks) && list_empty(&p->dues) && !p->discovery &&
                         p->n_watches == 0 && p->n_root_folders == 0 && schedule_is_idle(p);

    if (!p->stopped || !is_idle)
        return;
    void (*stopped)(void *) = p->stopped;
    p->stopped = NULL;
    stopped(p->stopped_arg);
}

static void on_stop_turn(post *n)
{
    projects *p = CONTAINER_OF(n, projects, stop);

    p->stopped = p->tell_stopped;
    schedule_stopped(p);
    projects_check_stopped(p);
}

void projects_stop(projects *p, void (*stopped)(void *arg), void *arg)
{
    p->stopping = true;
    loop_timer_cancel(p->o.loop, &p->deliver);
    loop_timer_cancel(p->o.loop, &p->discover);
    watch_close_all(p);
    schedule_stop(p);
    p->tell_stopped = stopped;
    p->stopped_arg = arg;
    p->stop.fn = on_stop_turn;
    loop_post(p->o.loop, &p->stop);
}

void projects_free(projects *p)
{
    list *l;

    if (!p)
        return;
    while ((l = list_pop(&p->outbox)))
        artifact_log_free(CONTAINER_OF(l, artifact_log, link));
    schedule_done(p);
    upstream_done(&p->upstream);
    mem_free(p);
}

int64_t projects_retry_max(const projects *p)
{
    return p->o.refresh_interval_ms < PROJECTS_RETRY_MAX_MS ? p->o.refresh_interval_ms : PROJECTS_RETRY_MAX_MS;
}

int64_t projects_ttl(const projects *p)
{
    return p->o.ttl_ms;
}

const projects_stats *projects_stats_of(projects *p)
{
    uint64_t queued = 0;

    for (const list *l = p->waiting.next; l != &p->waiting; l = l->next)
        queued++;
    for (unsigned force = 0; force < 2; force++) {
        const all_run *run = &p->all[force];
        const int64_t left = run->is_on ? run->total - run->done - run->under_way : 0;
        queued += left > 0 ? (uint64_t)left : 0; /* projects may have gone meanwhile */
    }
    p->stats.refreshing = p->running;
    p->stats.queued = queued;
    p->stats.watched = p->n_watches;
    return &p->stats;
}
