/* See feed.h. At most one build is under way: made on the loop, run on a worker, ended on the loop, freed on a worker.
 * A reload that comes meanwhile begins when it is freed.
 *
 * What goes wrong is lack of memory, or of a place among the store's readers: then all is loaded anew, AGAIN_MS later.
 * What search can't take (a name too long for it) is left out. */
#include "feed.h"

#include "larder/log.h"

#define AGAIN_MS SECONDS(5) /* after a failure for lack of memory */

static void begin_load(feed *f);
static void begin_merge(feed *f);

/* ---- builds ---- */
static void check_stopped(feed *f)
{
    if (f->stopping && !f->build && f->stopped) {
        void (*stopped)(void *) = f->stopped;
        f->stopped = NULL;
        stopped(f->stopped_arg);
    }
}

static void on_freed(job *j, int status)
{
    feed *f = CONTAINER_OF(j, feed, job);

    (void)status;
    f->build = NULL;
    if (f->stopping)
        check_stopped(f);
    else if (f->reload)
        begin_load(f);
    else if (f->status == 0) /* else it would fail again, and again */
        begin_merge(f);      /* of what came meanwhile */
}

static void work_free(job *j)
{
    search_build_free(CONTAINER_OF(j, feed, job)->build);
}

/* What was ended is freed by a worker. What is dropped still belongs to the index, so the loop itself must free it: a
 * slow turn, but only after a failure, a reload or a stop. */
static void free_build(feed *f, bool ended)
{
    if (ended && loop_job(f->app->loop, &f->job, work_free, on_freed) == 0)
        return;
    work_free(&f->job);
    search_free(f->fresh); /* one whose load was dropped */
    f->fresh = NULL;
    on_freed(&f->job, 0);
}

/* Those who waited see for themselves whether search is ready. */
void feed_release(feed *f)
{
    list *l;

    while ((l = list_pop(&f->app->search_waits))) {
        search_wait *w = CONTAINER_OF(l, search_wait, link);
        w->ready(w);
    }
}

static void on_again(timer *t)
{
    feed *f = CONTAINER_OF(t, feed, again);

    if (f->stopping)
        return;
    begin_load(f);
}

static void load_later(feed *f, int why)
{
    log_error("search could not learn the entries, and tries again", LOG_ERR(why));
    feed_release(f); /* who waited hears that it takes longer */
    if (loop_timer_set(f->app->loop, &f->again, AGAIN_MS, on_again) < 0)
        log_error("search stays as it is: no memory for a timer", LOG_ERR(-ENOMEM));
}

/* Takes as many turns as the changes need that came meanwhile. */
static void end_build(timer *t)
{
    feed *f = CONTAINER_OF(t, feed, end);
    int r = f->stopping || f->reload ? -ECANCELED : search_build_end(f->build);

    if (r == -EAGAIN)
        r = loop_timer_set(f->app->loop, &f->end, 0, end_build) < 0 ? -ENOMEM : -EAGAIN;
    if (r == -EAGAIN)
        return;
    if (r == 0 && f->is_load) {
        search_free(f->app->search);
        f->app->search = f->fresh;
        f->fresh = NULL;
        f->app->search_is_ready = true;
        f->app->search_version++;
        feed_release(f);
    } else if (r < 0 && r != -ECANCELED && f->is_load) {
        load_later(f, r);
    }
    free_build(f, r == 0);
}

static void on_built(job *j, int status)
{
    feed *f = CONTAINER_OF(j, feed, job);

    if (status == 0 && f->status == 0) {
        end_build(&f->end);
        return;
    }
    if (f->is_load && !f->stopping) /* a merge that failed is tried again with the next change */
        load_later(f, f->status ? f->status : status);
    free_build(f, false);
}

/* ---- loading ---- */
static int left_out(str id)
{
    log_warn("search can't take this entry", LOG_STR("entry", id));
    return 0;
}

static int add(search_build *build, const search_doc *doc)
{
    const int r = search_load_add(build, doc);

    return r == -EINVAL ? left_out(doc->id) : r;
}

static int add_entry(void *arg, const entry_live *e)
{
    return add(arg, &(search_doc){
                        .id = e->id, .name = e->name, .type = (uint8_t)e->type, .updated_ms = e->updated_at});
}

static search_doc doc_of_artifact(str id, str name, str type, str project_id, int64_t updated_at)
{
    return (search_doc){.id = id,
                        .name = name,
                        .type = (uint8_t)artifact_type_number(type),
                        .project = search_project_number(project_id),
                        .updated_ms = updated_at};
}

static int add_artifact(void *arg, const artifact_live *x)
{
    const search_doc doc = doc_of_artifact(x->id, x->name, x->type, x->project_id, x->updated_at);

    return add(arg, &doc);
}

static void work_load(job *j)
{
    feed *f = CONTAINER_OF(j, feed, job);
    store_view *v;

    f->status = store_read_begin_job(f->app->store, &v);
    if (f->status < 0)
        return;
    f->status = entries_live_each(v, add_entry, f->build);
    if (f->status == 0)
        f->status = artifacts_each(v, add_artifact, f->build);
    store_read_end(v);
    if (f->status == 0)
        f->status = search_build_run(f->build);
}

/* Into an index of its own: until that is complete, what there is answers. */
static void begin_load(feed *f)
{
    if (f->build) { /* when that one is freed */
        f->reload = true;
        return;
    }
    f->reload = false;
    loop_timer_cancel(f->app->loop, &f->again);
    f->fresh = search_new();
    int r = f->fresh ? search_load_begin(f->fresh, &f->build) : -ENOMEM;
    if (r == 0) {
        f->is_load = true;
        r = loop_job(f->app->loop, &f->job, work_load, on_built);
    }
    if (r == 0)
        return;
    search_build_free(f->build);
    f->build = NULL;
    search_free(f->fresh);
    f->fresh = NULL;
    load_later(f, r);
}

int feed_start(feed *f, api *app)
{
    *f = (feed){.app = app};
    list_init(&app->search_waits);
    app->search = search_new();
    if (!app->search)
        return -ENOMEM;
    app->search_version = random_u64(); /* no tag of an earlier run is right by chance */
    begin_load(f);
    return 0;
}

void feed_reload(feed *f)
{
    begin_load(f);
}

/* ---- changes ---- */
static void work_merge(job *j)
{
    feed *f = CONTAINER_OF(j, feed, job);

    f->status = search_build_run(f->build);
}

static void begin_merge(feed *f)
{
    if (f->build || f->stopping || search_merge_begin(f->app->search, &f->build) < 0)
        return; /* none is needed, or the next change tries again */
    f->is_load = false;
    if (loop_job(f->app->loop, &f->job, work_merge, on_built) < 0) {
        search_build_free(f->build);
        f->build = NULL;
    }
}

static int change_in(search *s, const search_doc *doc, bool live)
{
    const int r = live ? search_put(s, doc) : search_remove(s, doc->id);

    return r == -EINVAL ? left_out(doc->id) : r == -ENOENT ? 0 : r;
}

/* In the index that answers, and in the one that is being loaded. */
static int change(feed *f, const search_doc *doc, bool live)
{
    const int r = f->app->search_is_ready ? change_in(f->app->search, doc, live) : 0;

    return r == 0 && f->fresh ? change_in(f->fresh, doc, live) : r;
}

static void changed(feed *f, int result)
{
    f->app->search_version++;
    if (result < 0) /* what it missed is in the store */
        load_later(f, result);
    else
        begin_merge(f);
}

void feed_entries(feed *f, const entry_change *changes, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        const entry_change *c = &changes[i];
        const search_doc doc = {
            .id = c->id, .name = c->name, .type = (uint8_t)artifact_type_number(c->type), .updated_ms = c->updated_at};
        r = change(f, &doc, c->live);
    }
    changed(f, r);
}

void feed_artifacts(feed *f, const artifact_change *changes, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        const artifact_change *c = &changes[i];
        const search_doc doc = doc_of_artifact(c->id, c->name, c->type, c->project_id, c->updated_at);
        r = change(f, &doc, c->live);
    }
    changed(f, r);
}

/* ---- the end ---- */
static void on_stop_turn(post *p)
{
    check_stopped(CONTAINER_OF(p, feed, stop_turn));
}

void feed_stop(feed *f, void (*stopped)(void *arg), void *arg)
{
    f->stopping = true;
    loop_timer_cancel(f->app->loop, &f->again);
    feed_release(f);
    if (timer_is_set(&f->end)) {
        loop_timer_cancel(f->app->loop, &f->end);
        free_build(f, false);
    }
    f->stopped = stopped;
    f->stopped_arg = arg;
    f->stop_turn.fn = on_stop_turn;
    loop_post(f->app->loop, &f->stop_turn);
}

void feed_done(feed *f)
{
    if (!f->app)
        return;
    search_free(f->fresh);
    search_free(f->app->search);
}
