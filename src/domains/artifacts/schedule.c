/* Which projects are refreshed next. Five ask for what room there is, and take turns: clients that wait for one
 * project, runs over all, the time, what is new, and at the start what is known.
 *
 * What is due by the time begins one at a time, ten times as fast as it must on average, but at most one a second: so
 * what has piled up while the server was down, or was invalidated, is spread out. What is new does not wait for that:
 * it is read as soon as there is room, and due again at once to ask GitHub at that pace. Nothing but next_refresh_at in
 * the store says what is due; what was cut off is due still. */
#include "larder/log.h"
#include "refresh.h"

#define LOOK_AGAIN_MS MINUTES(1) /* how often the timer looks at least: the wall clock may jump */
#define PACE_MAX_MS SECONDS(1)
#define WALK_AT_ONCE 256 /* projects a run over all looks at in one turn */

static void post_pump(projects *p);

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- runs over all ---- */
static void run_join(projects *p, refresh_task *t)
{
    /* A run with force is good for those without it too. */
    all_run *run = p->all[true].is_on ? &p->all[true] : &p->all[t->force];

    if (!run->is_on) {
        store_view *v = store_read_begin(p->o.store);
        *run = (all_run){.is_on = true,
                         .begun = loop_now_mono_ms(p->o.loop),
                         .total = (int64_t)store_count(v, &projects_ks)};
        store_read_end(v);
        arena_init(&run->arena, 0);
        list_init(&run->tasks);
        run_tell(p, run, REFRESH_STARTED, NULL);
        p->has_run = true;
    }
    list_push(&run->tasks, &t->link);
}

/* ---- beginning one ---- */
/* What is due is not, however lately it was read. */
static bool is_fresh(const projects *p, const project *of)
{
    const int64_t now = loop_now_wall_ms(p->o.loop);

    return project_standing_of(of) == STANDS_BY_TIME && !of->awaits_upstream &&
           now - of->last_fetched < p->o.ttl_ms && of->next_refresh_at > now;
}

/* For who does not insist; a whole one that is under way is shared. */
static bool need_not_be(const projects *p, const project *of, const refresh *r)
{
    return (!r || r->only_reads) && is_fresh(p, of);
}

static void tell_started(projects *p, const refresh *r)
{
    projects_tell(
        p, &(projects_event){.kind = REFRESH_STARTED, .project_id = r->id, .project_name = r->name, .total = 1});
}

/* -ENOMEM. Who waited for it for want of room shares it. */
static int begin(projects *p, const project *of, bool patient, bool by_all, refresh **ret_refresh)
{
    refresh *r;
    const int err = refresh_begin(p, of, patient, &r);

    if (err < 0)
        return err;
    r->is_quiet = by_all;
    if (!by_all)
        tell_started(p, r);
    for (list *l = p->waiting.next, *next; l != &p->waiting; l = next) {
        next = l->next;
        if (!str_eq(CONTAINER_OF(l, refresh_task, link)->id, r->id))
            continue;
        list_remove(l);
        list_push(&r->tasks, l);
    }
    *ret_refresh = r;
    return 0;
}

/* ---- clients that wait for one project ---- */
static void share(projects *p, refresh *r, refresh_task *t)
{
    list_push(&r->tasks, &t->link);
    if (r->is_quiet && !r->for_all[false] && !r->for_all[true]) { /* reread.c's, so far */
        r->is_quiet = false;
        tell_started(p, r);
    }
}

/* What can be said at once is said at once: that it isn't there, is fresh, or under way already. */
static void look_at(projects *p, refresh_task *t)
{
    SCOPED(arena_done)
    arena a;
    store_view *v = store_read_begin(p->o.store);
    project of = {0};

    arena_init(&a, 0);
    refresh *r = refresh_find(p, t->id);
    const int err = project_load(v, &a, t->id, &of);
    const bool is_done = err < 0 || (!t->force && need_not_be(p, &of, r));
    store_read_end(v);
    if (is_done)
        refresh_task_end(t, err);
    else if (r && refresh_join(r, loop_now_mono_ms(p->o.loop)))
        share(p, r, t);
    else
        list_push(&p->waiting, &t->link);
}

/* All projects are those that are there now: the roots are walked first, from now on. */
static void seek(projects *p, refresh_task *t)
{
    t->seeks = p->discoveries + 1;
    list_push(&p->seeking, &t->link);
    discovery_start(p);
}

static void look_at_asked(projects *p)
{
    list *l;

    while ((l = list_pop(&p->asked))) {
        refresh_task *t = CONTAINER_OF(l, refresh_task, link);
        if (t->is_cancelled || p->stopping)
            refresh_task_end(t, -ECANCELED);
        else if (t->id.p)
            look_at(p, t);
        else if (p->o.n_roots > 0 && t->seeks == 0)
            seek(p, t);
        else
            run_join(p, t);
    }
}

void refresh_seekers_go_on(projects *p)
{
    for (list *l = p->seeking.next, *next; l != &p->seeking; l = next) {
        next = l->next;
        if (CONTAINER_OF(l, refresh_task, link)->seeks > p->discoveries)
            continue; /* that one had begun before */
        list_remove(l);
        list_push(&p->asked, l);
    }
}

static refresh_task *first_waiting(projects *p)
{
    for (list *l = p->waiting.next; l != &p->waiting; l = l->next) {
        refresh_task *t = CONTAINER_OF(l, refresh_task, link);
        if (!refresh_find(p, t->id))
            return t;
    }
    return NULL;
}

static bool begin_waiting(projects *p)
{
    SCOPED(arena_done)
    arena a;
    project of = {0};
    refresh *r;

    arena_init(&a, 0);
    refresh_task *t = first_waiting(p);
    if (!t)
        return false;
    store_view *v = store_read_begin(p->o.store);
    int err = project_load(v, &a, t->id, &of);
    if (err == 0)
        err = begin(p, &of, false, false, &r); /* takes all that wait for it */
    store_read_end(v);
    if (err < 0)
        refresh_task_end(t, err);
    return true;
}

/* ---- runs over all take one after the other ---- */
/* One answer of upstream's is good for all of the run, but not from before somebody said that it is wrong. */
static int64_t run_since(const projects *p, const all_run *run, const project *of)
{
    const int64_t mono = loop_now_mono_ms(p->o.loop), doubted = refresh_doubted(p, of);

    return later(run->begun, doubted < mono ? doubted : mono);
}

/* True: one has begun. */
static bool run_take(projects *p, all_run *run, const project *of)
{
    const bool force = run == &p->all[true];
    refresh *r = refresh_find(p, of->id);

    if (!force && need_not_be(p, of, r)) {
        run->done++;
        return false;
    }
    const bool is_new = !r;
    if (!r && begin(p, of, false, true, &r) < 0) {
        run->done++;
        run_add_error(run, of->name, STR("out of memory"));
        return false;
    }
    if (is_new)
        r->since = run_since(p, run, of);
    r->for_all[force] = true;
    run->under_way++;
    return is_new;
}

static bool run_walk(projects *p, all_run *run)
{
    SCOPED(arena_done)
    arena a;
    store_cursor *c = NULL;
    store_item item;
    bool begun = false, more = true, waits = false;
    const str behind = str_of(run->behind, run->behind_n);
    store_view *v = store_read_begin(p->o.store);

    arena_init(&a, 0);
    int err = store_walk(v, &projects_ks, STORE_BY_KEY, STR_NULL, behind.n ? behind : STR_NULL, false, &c);
    for (size_t n = 0; err == 0 && !begun && n < WALK_AT_ONCE && (more = store_next(c, &item)); n++) {
        project of = {0};
        if (str_eq(item.key, behind) || item.key.n > sizeof(run->behind)) /* the walk begins with it */
            continue;
        arena_reset(&a);
        err = record_decode(&project_schema, &a, item.value, &of);
        refresh *r = refresh_find(p, item.key);
        const bool is_taken = err == 0 && (run == &p->all[true] || !need_not_be(p, &of, r));
        waits = is_taken && r && !refresh_join(r, run_since(p, run, &of)); /* its end is heard of */
        if (waits)
            break;
        memcpy(run->behind, item.key.p, item.key.n);
        run->behind_n = item.key.n;
        if (err == 0)
            begun = run_take(p, run, &of);
    }
    if (err == 0 && !more)
        err = store_cursor_error(c);
    store_cursor_end(c);
    store_read_end(v);
    if (err < 0)
        run_add_error(run, STR_NULL, str_c(err_text(err)));
    run->walked = err < 0 || !more;
    if (!begun && !run->walked && !waits) /* on in another turn */
        post_pump(p);
    return begun;
}

static bool begin_of_runs(projects *p)
{
    for (unsigned force = 0; force < 2; force++)
        if (p->all[force].is_on && !p->all[force].walked && run_walk(p, &p->all[force]))
            return true;
    return false;
}

/* ---- what is due by the time ---- */
/* The first that is not under way, and when it is due: of all, or of those that are new. -ENOENT. */
static int first_due(projects *p, store_view *v, int index, arena *a, project *ret_project)
{
    store_cursor *c;
    store_item item;
    int err = store_walk(v, &projects_ks, index, STR_NULL, STR_NULL, false, &c);

    if (err < 0)
        return err;
    err = -ENOENT;
    while (err == -ENOENT && store_next(c, &item)) {
        if (refresh_find(p, item.key))
            continue;
        err = project_load(v, a, item.key, ret_project);
    }
    if (err == -ENOENT && store_cursor_error(c) < 0)
        err = store_cursor_error(c);
    store_cursor_end(c);
    return err;
}

static int64_t pace(projects *p, store_view *v)
{
    const int64_t n = (int64_t)store_count(v, &projects_ks), each = p->o.refresh_interval_ms / 10 / (n > 0 ? n : 1);

    return each < PACE_MAX_MS ? each : PACE_MAX_MS;
}

static bool begin_first(projects *p, int index, bool only_reads)
{
    SCOPED(arena_done)
    arena a;
    const int64_t mono = loop_now_mono_ms(p->o.loop), now = loop_now_wall_ms(p->o.loop);
    project of = {0};
    refresh *r;

    arena_init(&a, 0);
    if (mono < p->hold_until || !store_is_writable(p->o.store))
        return false;
    store_view *v = store_read_begin(p->o.store);
    int err = first_due(p, v, index, &a, &of);
    const bool is_due = err == 0 && of.next_refresh_at <= now;
    if (is_due) {
        p->has_run = true;
        if (!only_reads)
            p->pick_at = mono + pace(p, v);
        err = begin(p, &of, true, false, &r);
        if (err == 0 && list_empty(&r->tasks))
            r->only_reads = only_reads;
    }
    store_read_end(v);
    return is_due && err == 0;
}

static bool begin_due(projects *p)
{
    return loop_now_mono_ms(p->o.loop) >= p->pick_at && begin_first(p, PROJECTS_BY_NEXT_REFRESH, false);
}

static bool begin_new(projects *p)
{
    return begin_first(p, PROJECTS_NEW, true);
}

/* ---- the pump ---- */
static int last_run_apply(store_txn *t, store_op *op)
{
    projects *p = CONTAINER_OF(op, projects, last_run);
    const refresh_state s = {.last_run = p->run_ended_at};
    buf b = BUF_INIT;

    record_encode(&refresh_state_schema, &s, &b);
    const int r = b.err ? b.err : store_put(t, &refresh_state_ks, STR("state"), buf_view(&b));
    buf_done(&b);
    return r;
}

static void on_last_run(store_op *op, int status)
{
    projects *p = CONTAINER_OF(op, projects, last_run);

    (void)status; /* the next run notes itself */
    p->notes_run = false;
    projects_check_stopped(p);
}

/* All that was due has been refreshed: a run has ended. */
static void note_run(projects *p)
{
    if (!p->has_run || p->notes_run || p->running > 0)
        return;
    p->has_run = false;
    p->notes_run = true;
    p->run_ended_at = loop_now_wall_ms(p->o.loop);
    p->last_run = (store_op){.apply = last_run_apply, .done = on_last_run};
    store_submit(p->o.store, &p->last_run);
}

static void on_look(timer *t)
{
    post_pump(CONTAINER_OF(t, projects, look));
}

/* When something is due that could begin; without room the end of a refresh comes by. */
static void look_later(projects *p)
{
    SCOPED(arena_done)
    arena a;
    const int64_t mono = loop_now_mono_ms(p->o.loop), now = loop_now_wall_ms(p->o.loop);
    int64_t delay = LOOK_AGAIN_MS;
    project of = {0};

    arena_init(&a, 0);
    store_view *v = store_read_begin(p->o.store);
    if (first_due(p, v, PROJECTS_BY_NEXT_REFRESH, &a, &of) == 0) {
        const int64_t due = of.next_refresh_at - now, free = later(p->pick_at, p->hold_until) - mono;
        if (due > 0)
            note_run(p);
        if (p->running < p->o.concurrency && store_is_writable(p->o.store) && later(due, free) < delay)
            delay = later(later(due, free), 1);
    } else {
        note_run(p);
    }
    store_read_end(v);
    if (loop_timer_set(p->o.loop, &p->look, delay, on_look) < 0)
        log_error("no memory for a timer: projects are not refreshed by themselves", LOG_INT("delay_ms", delay));
}

static void on_pump(post *n)
{
    bool (*const feeds[])(projects *) = {begin_waiting, begin_of_runs, begin_due, begin_new,
                                         reread_begin_next};
    projects *p = CONTAINER_OF(n, projects, pump);

    p->pump_is_posted = false;
    if (p->stopping) {
        look_at_asked(p); /* they hear no */
        projects_check_stopped(p);
        return;
    }
    projects_recover(p);
    projects_deliver_on(p);
    look_at_asked(p);
    for (size_t idle = 0; idle < COUNT_OF(feeds) && p->running < p->o.concurrency;)
        idle = feeds[p->turn++ % COUNT_OF(feeds)](p) ? 0 : idle + 1;
    for (unsigned force = 0; force < 2; force++)
        if (p->all[force].is_on && p->all[force].walked && p->all[force].under_way == 0)
            run_end(p, &p->all[force], 0);
    look_later(p);
}

static void post_pump(projects *p)
{
    if (p->pump_is_posted)
        return;
    p->pump_is_posted = true;
    p->pump.fn = on_pump;
    loop_post(p->o.loop, &p->pump);
}

void projects_wake(projects *p)
{
    post_pump(p);
}

/* ---- what others call ---- */
void projects_refresh(projects *p, refresh_task *t)
{
    t->owner = p;
    t->status = 0;
    t->projects_refreshed = 0;
    t->changes_detected = false;
    t->errors = (strs){0};
    t->seeks = 0;
    t->begun = loop_now_mono_ms(p->o.loop);
    list_push(&p->asked, &t->link);
    post_pump(p);
}

void projects_refresh_cancel(refresh_task *t)
{
    t->is_cancelled = true;
    list_remove(&t->link);
    list_push(&t->owner->asked, &t->link);
    post_pump(t->owner);
}

static void take_back(list *tasks)
{
    while (!list_empty(tasks))
        projects_refresh_cancel(CONTAINER_OF(tasks->next, refresh_task, link));
}

void projects_refresh_cancel_all(projects *p)
{
    for (list *l = p->asked.next; l != &p->asked; l = l->next)
        CONTAINER_OF(l, refresh_task, link)->is_cancelled = true;
    take_back(&p->seeking);
    take_back(&p->waiting);
    for (list *l = p->refreshes.next; l != &p->refreshes; l = l->next)
        take_back(&CONTAINER_OF(l, refresh, link)->tasks);
    for (unsigned force = 0; force < 2; force++)
        if (p->all[force].is_on)
            take_back(&p->all[force].tasks);
}

static void cancel_tasks(list *tasks)
{
    list *l;

    while ((l = list_pop(tasks)))
        refresh_task_end(CONTAINER_OF(l, refresh_task, link), -ECANCELED);
}

void schedule_stop(projects *p)
{
    loop_timer_cancel(p->o.loop, &p->look);
    refresh_cancel_all(p);
}

/* In the turn after. */
void schedule_stopped(projects *p)
{
    cancel_tasks(&p->asked);
    cancel_tasks(&p->seeking);
    cancel_tasks(&p->waiting);
    for (unsigned force = 0; force < 2; force++)
        if (p->all[force].is_on)
            cancel_tasks(&p->all[force].tasks);
}

bool schedule_is_idle(const projects *p)
{
    return p->running == 0 && !p->notes_run && !p->sweeps && !p->pump_is_posted && list_empty(&p->upstream.questions) &&
           list_empty(&p->asked);
}

void schedule_done(projects *p)
{
    for (unsigned force = 0; force < 2; force++)
        if (p->all[force].is_on)
            arena_done(&p->all[force].arena);
}
