/* Watching the folders below the roots: a change there has the roots walked anew, and so new projects appear. What is
 * past the bounds is found by the discovery of each interval. */
#include "watch.h"

#define MERGED_AT_ONCE 256

typedef struct root_folder {
    watched_folder folder;
    list link; /* in projects.root_folders, or root_closing */
    projects *owner;
    bool is_old; /* it may have gone, and come anew under the same name */
    bool has_failed;
    char path[];
} root_folder;

static void forget(root_folder *f)
{
    projects *p = f->owner;

    list_remove(&f->link);
    p->n_root_folders--;
    mem_free(f);
    projects_check_stopped(p);
}

static void on_closed(folder_watch *w)
{
    forget(CONTAINER_OF(w, root_folder, folder.watch));
}

static void close_one(root_folder *f)
{
    list_remove(&f->link);
    list_push(&f->owner->root_closing, &f->link);
    list_remove(&f->folder.link);
    if (f->folder.watch.impl)
        loop_watch_close(&f->folder.watch);
    else
        forget(f);
}

static bool is_relevant(folder_watch *w, str name)
{
    root_folder *f = CONTAINER_OF(w, root_folder, folder.watch);
    const str path = f->folder.path;
    const bool is_own = str_eq(name, str_behind_last(path, '/'));

    f->is_old |= is_own;
    return is_own || discover_leads_on(name);
}

static void on_change(folder_watch *w)
{
    discovery_notice(CONTAINER_OF(w, root_folder, folder.watch)->owner);
}

/* What came before it was watched has not been seen by anybody. */
static void on_tried(watched_folder *w, int status)
{
    root_folder *f = CONTAINER_OF(w, root_folder, folder);

    f->has_failed = status < 0;
    f->owner->has_opened_roots |= status == 0;
}

void watch_roots_opened(projects *p)
{
    if (p->has_opened_roots)
        discovery_notice(p);
    p->has_opened_roots = false;
}

/* Before `at`. Without memory it is left to the discovery of each interval. */
static void add(projects *p, str path, list *at)
{
    root_folder *f = mem_zalloc(sizeof(*f) + path.n + 1);

    if (!f)
        return;
    memcpy(f->path, path.p, path.n);
    f->owner = p;
    f->folder.path = str_of(f->path, path.n);
    f->folder.on_tried = on_tried;
    f->folder.watch = (folder_watch){
        .is_relevant = is_relevant, .on_change = on_change, .on_closed = on_closed, .only_names = true};
    list_init(&f->folder.link);
    list_push(at, &f->link); /* a list's end is the place before its head */
    p->n_root_folders++;
    watch_open(p, &f->folder);
}

/* Both are sorted: what is in one only comes or goes. */
static void merge_one(projects *p, strs paths, size_t *at)
{
    list *l = p->root_at;
    root_folder *f = l == &p->root_folders ? NULL : CONTAINER_OF(l, root_folder, link);
    const int c = !f ? 1 : *at == paths.n ? -1 : str_cmp(f->folder.path, paths.v[*at]);

    if (c > 0) {
        add(p, paths.v[(*at)++], l);
        return;
    }
    const bool is_renewed = c == 0 && (f->is_old || f->has_failed);
    p->root_at = l->next;
    if (c < 0 || is_renewed)
        close_one(f); /* which may free it */
    if (is_renewed)
        add(p, paths.v[*at], p->root_at);
    *at += c == 0;
}

bool watch_roots(projects *p, strs paths, size_t *at)
{
    if (*at == 0)
        p->root_at = p->root_folders.next;
    for (unsigned i = 0; i < MERGED_AT_ONCE; i++) {
        if (*at == paths.n && p->root_at == &p->root_folders)
            return false;
        merge_one(p, paths, at);
    }
    return true;
}

void watch_roots_close_all(projects *p)
{
    while (!list_empty(&p->root_folders))
        close_one(CONTAINER_OF(p->root_folders.next, root_folder, link));
    p->root_at = &p->root_folders;
}
