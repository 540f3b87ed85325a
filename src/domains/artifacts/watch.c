/* Watching the folders of discovered projects: a change marks the project stale at once, and so it is refreshed soon.
 * What is past the bounds is found at the next refresh. */
#include "watch.h"

#include "larder/hash.h"
#include "larder/log.h"

typedef struct project_folder {
    watched_folder folder;
    struct project_watch *of;
    bool has_failed;
} project_folder;

typedef struct project_watch {
    list link;     /* in projects.watches */
    uint64_t hash; /* of the id: what a look through all of them reads */
    list unread;   /* in projects.unread */
    projects *owner;
    arena arena;
    str id;
    strs paths;
    project_folder *folders;
    size_t open, untried; /* of them */
    bool closes, marks, marks_again;
    bool is_old;     /* a folder may have come anew under the same name */
    bool is_later;   /* than its first folders' or another watch's: what changed before was noticed by nobody */
    bool has_opened; /* some since then */
    project_invalidation mark;
} project_watch;

static void free_when_closed(project_watch *w)
{
    projects *p = w->owner;

    if (!w->closes || w->open > 0 || w->marks)
        return;
    list_remove(&w->link);
    p->n_watches--;
    arena_done(&w->arena);
    mem_free(w);
    projects_check_stopped(p);
}

static void close_watch(project_watch *w)
{
    w->closes = true;
    list_remove(&w->unread);
    for (size_t i = 0; i < w->paths.n; i++) {
        list_remove(&w->folders[i].folder.link);
        loop_watch_close(&w->folders[i].folder.watch);
    }
    free_when_closed(w);
}

/* ---- a change ---- */
static void mark(project_watch *w);

static void on_marked(store_op *op, int status)
{
    project_watch *w = CONTAINER_OF(op, project_watch, mark.op);
    projects *p = w->owner;

    w->marks = false;
    if (status == 0) {
        refresh_once_more(p, w->id, false);
        projects_tell(p, &(projects_event){.kind = PROJECT_CHANGED, .project_id = w->id});
        projects_wake(p);
    } else if (status != -ENOENT && status != -ECANCELED) {
        log_warn("a change in a project could not be noted", LOG_STR("project", w->id), LOG_ERR(status));
    }
    if (w->marks_again && !w->closes)
        mark(w);
    else
        free_when_closed(w);
}

static void mark(project_watch *w)
{
    projects *p = w->owner;

    refresh_once_more(p, w->id, false);
    w->marks_again = w->marks;
    if (w->marks)
        return;
    w->marks = true;
    w->mark = (project_invalidation){
        .op = {.apply = project_invalidate_apply, .done = on_marked}, .id = w->id, .now = loop_now_wall_ms(p->o.loop)};
    store_submit(p->o.store, &w->mark.op);
}

static void on_change(folder_watch *f)
{
    project_watch *w = CONTAINER_OF(f, project_folder, folder.watch)->of;

    w->is_old = true;
    if (!w->closes)
        mark(w);
}

static void on_closed(folder_watch *f)
{
    project_watch *w = CONTAINER_OF(f, project_folder, folder.watch)->of;

    w->open--;
    free_when_closed(w);
}

/* The name of the folder itself: it may be gone. */
static bool is_relevant(folder_watch *f, str name)
{
    const project_folder *x = CONTAINER_OF(f, project_folder, folder.watch);
    const str path = x->folder.path;

    if (x != x->of->folders)
        return discover_notices(name);
    return discover_is_profile(name) || str_eq(name, str_behind_last(path, '/'));
}

static void on_tried(watched_folder *f, int status)
{
    project_folder *x = CONTAINER_OF(f, project_folder, folder);
    project_watch *w = x->of;

    x->has_failed = status < 0;
    w->open += status == 0;
    w->has_opened |= status == 0;
    if (--w->untried > 0)
        return;
    if (w->open == 0) {
        close_watch(w);
        return;
    }
    if (w->is_later && w->has_opened && list_empty(&w->unread)) {
        list_push(&w->owner->unread, &w->unread);
        projects_wake(w->owner);
    }
    w->is_later = true;
    w->has_opened = false;
}

/* ---- which are watched ---- */
static project_watch *find(projects *p, str id)
{
    const uint64_t hash = hash64(id.p, id.n);

    for (list *l = p->watches.next; l != &p->watches; l = l->next) {
        project_watch *w = CONTAINER_OF(l, project_watch, link);
        if (w->hash == hash && !w->closes && str_eq(w->id, id))
            return w;
    }
    return NULL;
}

static project_watch *watch_new(projects *p, str id, strs paths)
{
    project_watch *w = mem_new(project_watch);

    if (!w)
        return NULL;
    w->owner = p;
    w->hash = hash64(id.p, id.n);
    list_init(&w->unread);
    arena_init(&w->arena, 0);
    str *copies = arena_array(&w->arena, str, paths.n);
    w->id = arena_dup(&w->arena, id);
    w->folders = arena_array(&w->arena, project_folder, paths.n);
    bool ok = copies && w->id.p && w->folders;
    for (size_t i = 0; ok && i < paths.n; i++) {
        copies[i] = arena_dup(&w->arena, paths.v[i]);
        w->folders[i] = (project_folder){
            .folder = {.watch = {.is_relevant = is_relevant, .on_change = on_change, .on_closed = on_closed},
                       .path = copies[i],
                       .on_tried = on_tried},
            .of = w,
        };
        list_init(&w->folders[i].folder.link);
        ok = copies[i].p != NULL;
    }
    if (!ok) {
        arena_done(&w->arena);
        mem_free(w);
        return NULL;
    }
    w->paths = (strs){copies, paths.n};
    return w;
}

static bool is_same(const project_watch *w, strs paths)
{
    bool same = w->paths.n == paths.n;

    for (size_t i = 0; same && i < paths.n; i++)
        same = str_eq(w->paths.v[i], paths.v[i]);
    return same;
}

static void open_folder(project_watch *w, project_folder *x)
{
    x->has_failed = false;
    w->untried++;
    watch_open(w->owner, &x->folder);
}

void watch_project(projects *p, str id, strs paths)
{
    project_watch *old = find(p, id);

    if (old && !old->is_old && is_same(old, paths)) {
        for (size_t i = 0; i < paths.n; i++)
            if (old->folders[i].has_failed)
                open_folder(old, &old->folders[i]);
        return;
    }
    if (old) /* first: both may be more than can be watched */
        close_watch(old);
    if (p->stopping || (!old && p->n_watches >= WATCHED_PROJECTS_MAX) || paths.n == 0)
        return;
    project_watch *w = watch_new(p, id, paths);
    if (!w)
        return;
    w->is_later = old != NULL;
    p->n_watches++;
    list_push(&p->watches, &w->link);
    for (size_t i = 0; i < paths.n; i++)
        open_folder(w, &w->folders[i]);
}

str watch_first_unread(projects *p)
{
    return list_empty(&p->unread) ? STR_NULL : CONTAINER_OF(p->unread.next, project_watch, unread)->id;
}

void watch_is_read(projects *p)
{
    (void)list_pop(&p->unread);
}

bool watch_has(projects *p, str id)
{
    return find(p, id) != NULL;
}

void watch_close_all(projects *p)
{
    for (list *l = p->watches.next, *next; l != &p->watches; l = next) {
        next = l->next;
        close_watch(CONTAINER_OF(l, project_watch, link));
    }
    watch_roots_close_all(p);
    loop_timer_cancel(p->o.loop, &p->open_next);
}

/* ---- opening, a few a turn ---- */
static void on_open_next(timer *t)
{
    projects *p = CONTAINER_OF(t, projects, open_next);
    list *l;

    for (unsigned i = 0; i < WATCH_LOOK_UPS && (l = list_pop(&p->opening)); i++) {
        watched_folder *f = CONTAINER_OF(l, watched_folder, link);
        f->on_tried(f, loop_watch(p->o.loop, &f->watch, f->path.p));
    }
    if (list_empty(&p->opening)) {
        watch_roots_opened(p);
        projects_wake(p); /* what waits for this: reread.c */
    } else {
        (void)loop_timer_set(p->o.loop, &p->open_next, 0, on_open_next); /* itself again: there is room */
    }
}

void watch_open(projects *p, watched_folder *f)
{
    list_push(&p->opening, &f->link);
    if (!timer_is_set(&p->open_next) && loop_timer_set(p->o.loop, &p->open_next, 0, on_open_next) < 0)
        log_error("no memory for a timer: changes in folders are noticed late", LOG_STR("folder", f->path));
}
