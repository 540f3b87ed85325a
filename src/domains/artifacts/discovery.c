/* Which folders are projects: all roots are walked on a worker, at the start, each interval, and when something changes
 * in the folders below them that are watched: then at most a twentieth of the time, and once a second. New projects are
 * stored and due at once; those that were not found again are due too: their refresh finds out, and forgets them where
 * the root is there and the folder is none any more. */
#include <stdlib.h>

#include "larder/hash.h"
#include "larder/log.h"
#include "below.h"
#include "watch.h"

#define REST_MS SECONDS(1) /* at least so long, and */
#define REST_SHARE 20      /* so many times as long as it took, before a change begins the next */

typedef struct found_path {
    str id, path;
} found_path;

typedef struct discovery {
    projects *owner;
    arena arena; /* the worker's alone while the job runs */
    job job;
    store_op op;
    int work_status;
    str *roots;
    size_t n_roots;
    str *whys;         /* what of each root could not be looked at */
    found_path *found; /* by id */
    size_t n_found;
    texts lost;    /* ids of those that were not found again */
    texts folders; /* that are watched: sorted, each once */
    size_t next_folder;
    int64_t now, begun; /* wall, mono ms */
    bool lists; /* what can be watched: at the first time, for later each refresh does it */
    bool rereads; /* what is known is read once more when it is watched */
    struct to_watch {
        str id;
        strs folders;
    } * watched;
    size_t n_watched, next_watched;
    timer turn;
} discovery;

#define HASHED_ID_MARK "~" /* no letter of base64url */

int discovered_id(arena *a, str path, str *ret_id)
{
    uint8_t digest[SHA256_LEN];
    str id = STR_NULL;

    if (path.n <= PROJECT_ID_MAX / 4 * 3) {
        id = base64url_encode(a, path);
    } else {
        sha256(path.p, path.n, digest);
        const str hash = base64url_encode(a, str_of((const char *)digest, sizeof(digest)));
        id = hash.p ? arena_printf(a, HASHED_ID_MARK STR_FMT, STR_ARG(hash)) : STR_NULL;
    }
    if (id.p)
        *ret_id = id;
    return id.p ? 0 : -ENOMEM;
}

/* ---- on a worker ---- */
static int walk_root(discovery *d, size_t i, texts *paths)
{
    const size_t share = ROOT_FOLDERS_MAX / d->n_roots;
    strs found = {0}, folders = {0};
    int r = discover_projects(&d->arena, d->roots[i], &found, &folders, &d->whys[i]);

    for (size_t k = 0; r == 0 && k < found.n; k++)
        r = texts_add(&d->arena, paths, found.v[k]);
    for (size_t k = 0; r == 0 && k < folders.n && k < share; k++)
        r = texts_add(&d->arena, &d->folders, folders.v[k]);
    return r;
}

static int walk_roots(discovery *d)
{
    texts paths = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < d->n_roots; i++)
        r = walk_root(d, i, &paths);
    d->found = r == 0 ? arena_array(&d->arena, found_path, paths.n) : NULL;
    if (!d->found)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < paths.n; i++) {
        d->found[i].path = paths.v[i];
        r = discovered_id(&d->arena, paths.v[i], &d->found[i].id);
    }
    d->n_found = paths.n;
    return r;
}

static int compare_folders(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

/* Roots may lie in each other. */
static void sort_folders(texts *t)
{
    size_t n = 0;

    if (t->n > 0)
        qsort(t->v, t->n, sizeof(*t->v), compare_folders);
    for (size_t i = 0; i < t->n; i++)
        if (n == 0 || !str_eq(t->v[n - 1], t->v[i]))
            t->v[n++] = t->v[i];
    t->n = n;
}

static int compare_found(const void *x, const void *y)
{
    return str_cmp(((const found_path *)x)->id, ((const found_path *)y)->id);
}

static bool is_found(const discovery *d, str id)
{
    const found_path key = {.id = id};

    return d->n_found > 0 && bsearch(&key, d->found, d->n_found, sizeof(key), compare_found);
}

static int find_lost(discovery *d, store_view *v)
{
    store_cursor *c;
    store_item item;
    arena a;
    int r = store_walk(v, &projects_ks, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c);

    if (r < 0)
        return r;
    arena_init(&a, 0);
    while (r == 0 && store_next(c, &item)) {
        project p = {0};
        arena_reset(&a);
        r = record_decode(&project_schema, &a, item.value, &p);
        /* One that has failed is tried again when its time comes. */
        if (r < 0 || !str_eq(p.origin, STR("discovered")) || is_found(d, p.id) || p.next_refresh_at <= d->now ||
            p.failures > 0)
            continue;
        r = texts_add(&d->arena, &d->lost, arena_dup(&d->arena, p.id));
    }
    r = r == 0 ? store_cursor_error(c) : r;
    store_cursor_end(c);
    arena_done(&a);
    return r;
}

/* Those that are stored already: new ones are read soon. */
static int list_watched(discovery *d, store_view *v)
{
    const size_t most = d->n_found < WATCHED_PROJECTS_MAX ? d->n_found : WATCHED_PROJECTS_MAX;
    int r = 0;

    d->watched = arena_array(&d->arena, struct to_watch, most);
    if (!d->watched)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < d->n_found && d->n_watched < most; i++) {
        if (!store_has(v, &projects_ks, d->found[i].id))
            continue;
        struct to_watch *w = &d->watched[d->n_watched++];
        w->id = d->found[i].id;
        r = discover_folders_of(&d->arena, d->found[i].path, &w->folders);
    }
    return r;
}

/* Only those that are not stored yet stay. */
static void drop_stored(discovery *d, store_view *v)
{
    size_t n = 0;

    for (size_t i = 0; i < d->n_found; i++)
        if ((n == 0 || !str_eq(d->found[n - 1].id, d->found[i].id)) && !store_has(v, &projects_ks, d->found[i].id))
            d->found[n++] = d->found[i];
    d->n_found = n;
}

static int look(discovery *d)
{
    store_view *v;
    int r = walk_roots(d);

    sort_folders(&d->folders);
    if (r == 0)
        r = store_read_begin_job(d->owner->o.store, &v);
    if (r < 0)
        return r;
    if (d->n_found > 0)
        qsort(d->found, d->n_found, sizeof(*d->found), compare_found);
    r = find_lost(d, v);
    if (r == 0 && d->lists)
        r = list_watched(d, v);
    drop_stored(d, v);
    store_read_end(v);
    return r;
}

static void work_look(job *j)
{
    discovery *d = CONTAINER_OF(j, discovery, job);

    d->work_status = look(d);
}

/* ---- on the writer ---- */
static int add_project(store_txn *t, const discovery *d, const found_path *f)
{
    const str last = str_behind_last(f->path, '/');

    if (store_has(store_txn_view(t), &projects_ks, f->id))
        return 0;
    return project_put(t, &(project){
                              .id = f->id,
                              .name = last.n ? last : f->path, /* until it is read */
                              .path = f->path,
                              .status = STR("active"), /* stale: it was never fetched */
                              .origin = STR("discovered"),
                              .created_at = d->now,
                              .updated_at = d->now,
                              .next_refresh_at = d->now,
                              .version = d->now,
                          });
}

static int make_due(store_txn *t, const discovery *d, str id)
{
    SCOPED(arena_done)
    arena a;
    project p = {0};

    arena_init(&a, 0);
    const int r = project_load(store_txn_view(t), &a, id, &p);
    if (r < 0 || p.next_refresh_at <= d->now)
        return r == -ENOENT ? 0 : r;
    p.next_refresh_at = d->now;
    return project_put(t, &p);
}

static int discovery_apply(store_txn *t, store_op *op)
{
    discovery *d = CONTAINER_OF(op, discovery, op);
    int r = 0;

    for (uint64_t i = op->at; r == 0 && i < d->n_found + d->lost.n; i++) {
        if (store_txn_is_full(t)) {
            op->at = i;
            return STORE_MORE;
        }
        r = i < d->n_found ? add_project(t, d, &d->found[i]) : make_due(t, d, d->lost.v[i - d->n_found]);
    }
    return r;
}

/* ---- on the loop ---- */
static void on_discover(timer *t);

static void again_in(projects *p, int64_t delay)
{
    if (!p->stopping && loop_timer_set(p->o.loop, &p->discover, delay, on_discover) < 0)
        log_error("no memory for a timer: new projects are not found any more");
}

static void discovery_free(void *what)
{
    discovery *d = what;

    arena_done(&d->arena);
    mem_free(d);
}

static void end(discovery *d)
{
    projects *p = d->owner;
    const int64_t now = loop_now_mono_ms(p->o.loop), rest = (now - d->begun) * REST_SHARE;

    p->discovery = NULL;
    if (d->rereads)
        reread_start(p);
    p->discover_free_at = now + (rest > REST_MS ? rest : REST_MS);
    loop_give_back(p->o.loop, d->arena.total, discovery_free, d);
    again_in(p, p->discovers_again ? 0 : p->o.refresh_interval_ms);
    if (p->has_news)
        discovery_notice(p);
    sweep_start(p);
    refresh_seekers_go_on(p);
    projects_wake(p);
    projects_check_stopped(p);
}

/* One project a turn, then the roots. */
static bool watch_more(discovery *d)
{
    if (d->next_watched == d->n_watched)
        return watch_roots(d->owner, (strs){d->folders.v, d->folders.n}, &d->next_folder);
    const struct to_watch *w = &d->watched[d->next_watched++];
    if (!watch_has(d->owner, w->id))
        watch_project(d->owner, w->id, w->folders);
    return true;
}

static void watch_next(timer *t)
{
    discovery *d = CONTAINER_OF(t, discovery, turn);
    projects *p = d->owner;

    if (!p->stopping && watch_more(d) && loop_timer_set(p->o.loop, &d->turn, 0, watch_next) == 0)
        return;
    end(d);
}

static void on_applied(store_op *op, int status)
{
    discovery *d = CONTAINER_OF(op, discovery, op);

    if (status < 0 && status != -ECANCELED)
        log_warn("what was discovered could not be stored", LOG_ERR(status));
    if (status == 0 && !d->owner->has_discovered) {
        d->owner->has_discovered = true;
        d->rereads = true;
    }
    watch_next(&d->turn);
}

/* Once, as long as it is the same. */
static void log_whys(const discovery *d)
{
    projects *p = d->owner;
    uint64_t hash = 0;

    for (size_t i = 0; i < d->n_roots; i++)
        hash = hash * 31 + (d->whys[i].p ? hash64(d->whys[i].p, d->whys[i].n) : 0);
    for (size_t i = 0; i < d->n_roots && hash != p->told_whys; i++)
        if (d->whys[i].p)
            log_warn("not all of a root could be looked at", LOG_STR("root", d->roots[i]), LOG_STR("why", d->whys[i]));
    p->told_whys = hash;
}

static void on_looked(job *j, int status)
{
    discovery *d = CONTAINER_OF(j, discovery, job);
    const int r = status < 0 ? status : d->work_status;

    if (r == 0)
        log_whys(d);
    if (r < 0 && !d->owner->stopping)
        log_warn("projects could not be discovered", LOG_ERR(r));
    if (r < 0 || d->owner->stopping) {
        end(d);
        return;
    }
    d->op = (store_op){.apply = discovery_apply, .done = on_applied};
    store_submit(d->owner->o.store, &d->op);
}

static discovery *discovery_new(projects *p)
{
    discovery *d = mem_new(discovery);

    if (!d)
        return NULL;
    d->owner = p;
    d->now = loop_now_wall_ms(p->o.loop);
    d->begun = loop_now_mono_ms(p->o.loop);
    d->lists = !p->has_discovered;
    arena_init(&d->arena, 0);
    d->n_roots = p->o.n_roots;
    d->roots = arena_array(&d->arena, str, d->n_roots);
    d->whys = arena_array(&d->arena, str, d->n_roots);
    bool ok = d->roots && d->whys;
    for (size_t i = 0; ok && i < d->n_roots; i++) {
        d->roots[i] = arena_dup(&d->arena, p->o.roots[i]);
        ok = d->roots[i].p != NULL;
    }
    if (ok && loop_job(p->o.loop, &d->job, work_look, on_looked) == 0)
        return d;
    discovery_free(d);
    return NULL;
}

static void on_discover(timer *t)
{
    projects *p = CONTAINER_OF(t, projects, discover);

    p->discovers_again = p->has_news = false;
    p->discoveries++;
    p->discovery = discovery_new(p);
    if (p->discovery)
        return;
    again_in(p, MINUTES(1));
    refresh_seekers_go_on(p); /* with what is known */
    projects_wake(p);
}

void discovery_start(projects *p)
{
    if (p->discovery)
        p->discovers_again = true;
    else
        again_in(p, 0);
}

void discovery_notice(projects *p)
{
    const int64_t now = loop_now_mono_ms(p->o.loop);
    const int64_t delay = p->discover_free_at > now ? p->discover_free_at - now : 0;

    p->has_news = true;
    if (!p->discovery && !(timer_is_set(&p->discover) && p->discover.due <= now + delay))
        again_in(p, delay);
}
