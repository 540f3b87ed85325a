/* Watching the folders of discovered projects: a change marks the project stale at once, and so it is refreshed soon.
 * What is past the bounds is found at the next refresh. */
#include "watch.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "larder/log.h"

typedef struct watched_folder {
    folder_watch watch;
    struct project_watch *of;
} watched_folder;

typedef struct project_watch {
    list link; /* in projects.watches */
    projects *owner;
    arena arena;
    str id;
    strs paths;
    watched_folder *folders;
    size_t open; /* of them */
    bool closes, marks, marks_again;
    bool is_old; /* a folder may have come anew under the same name */
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
    for (size_t i = 0; i < w->paths.n; i++)
        loop_watch_close(&w->folders[i].watch);
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
    project_watch *w = CONTAINER_OF(f, watched_folder, watch)->of;

    w->is_old = true;
    if (!w->closes)
        mark(w);
}

static void on_closed(folder_watch *f)
{
    project_watch *w = CONTAINER_OF(f, watched_folder, watch)->of;

    w->open--;
    free_when_closed(w);
}

static bool is_relevant(folder_watch *f, str name)
{
    (void)f;
    return discover_notices(name);
}

/* ---- which are watched ---- */
static project_watch *find(projects *p, str id)
{
    for (list *l = p->watches.next; l != &p->watches; l = l->next) {
        project_watch *w = CONTAINER_OF(l, project_watch, link);
        if (!w->closes && str_eq(w->id, id))
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
    arena_init(&w->arena, 0);
    str *copies = arena_array(&w->arena, str, paths.n);
    w->id = arena_dup(&w->arena, id);
    w->folders = arena_array(&w->arena, watched_folder, paths.n);
    bool ok = copies && w->id.p && w->folders;
    for (size_t i = 0; ok && i < paths.n; i++) {
        w->folders[i] = (watched_folder){
            .watch = {.is_relevant = is_relevant, .on_change = on_change, .on_closed = on_closed}, .of = w};
        copies[i] = arena_dup(&w->arena, paths.v[i]);
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
        same = str_eq(w->paths.v[i], paths.v[i]) && w->folders[i].watch.impl;
    return same;
}

void watch_project(projects *p, str id, strs paths)
{
    project_watch *old = find(p, id);

    if (old && !old->is_old && is_same(old, paths))
        return;
    if (old)
        close_watch(old);
    if (p->stopping || p->n_watches >= WATCHED_PROJECTS_MAX || paths.n == 0)
        return;
    project_watch *w = watch_new(p, id, paths);
    if (!w)
        return;
    p->n_watches++;
    list_push(&p->watches, &w->link);
    for (size_t i = 0; i < paths.n; i++)
        w->open += loop_watch(p->o.loop, &w->folders[i].watch, w->paths.v[i].p) == 0;
    if (w->open == 0)
        close_watch(w);
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
}

/* ---- on a worker ---- */
#define DEPTH 2 /* profile, layout, artifact */

/* Without links, and what cannot be read is left out. */
static int add_folders(arena *a, str path, unsigned depth, str *v, size_t *n)
{
    if (*n == DISCOVER_WATCHED_MAX)
        return 0;
    const int fd = open(path.p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int r = 0;

    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    v[(*n)++] = path;
    for (struct dirent *e; r == 0 && depth < DEPTH && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
            continue;
        const str below = arena_printf(a, STR_FMT "/%s", STR_ARG(path), e->d_name);
        r = below.p ? add_folders(a, below, depth + 1, v, n) : -ENOMEM;
    }
    (void)closedir(dir);
    return r;
}

int watch_folders(arena *a, str path, strs *ret_folders)
{
    static const char *const profiles[] = {".claude", ".codex", ".gemini", ".cursor"};
    str *v = arena_array(a, str, DISCOVER_WATCHED_MAX);
    size_t n = 0;
    int r = v ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < COUNT_OF(profiles); i++) {
        const str profile = arena_printf(a, STR_FMT "/%s", STR_ARG(path), profiles[i]);
        r = profile.p ? add_folders(a, profile, 0, v, &n) : -ENOMEM;
    }
    if (r == 0)
        *ret_folders = (strs){v, n};
    return r;
}
