/* Once after the start, what is known of this machine is read from the disk again: nobody watched it while the server
 * was down. It begins when its folders are watched, so that no change falls between; upstream is not asked, nothing is
 * told of projects that are as they were, and nothing written. What has news, or had failed, is due then. So is read
 * later a project whose folders were not all watched for a while. */
#include "refresh.h"
#include "watch.h"

#define LOOKED_AT_ONCE 256 /* projects in one turn */

void reread_start(projects *p)
{
    p->reread = (struct projects_reread){.is_on = true, .from = loop_now_wall_ms(p->o.loop)};
}

/* Those that are marked, or were never read, are due anyway. */
static bool is_wanted(projects *p, const project *of)
{
    return str_eq(of->origin, STR("discovered")) && of->last_fetched && !of->marked && !refresh_find(p, of->id);
}

/* True: one has begun. What there is no memory for is read when it is due. */
static bool take(projects *p, const project *of)
{
    refresh *r;

    if (!is_wanted(p, of) || refresh_begin(p, of, true, &r) < 0)
        return false;
    r->only_reads = r->is_quiet = true;
    return true;
}

/* One under way may have read too early: then it is refreshed once more. Without memory: when the scheduler looks
 * again. */
static bool begin_unread(projects *p)
{
    SCOPED(arena_done)
    arena a;
    bool begun = false;

    arena_init(&a, 0);
    while (!begun && !list_empty(&p->unread)) {
        const str id = watch_first_unread(p);
        project of = {0};
        store_view *v = store_read_begin(p->o.store);
        const int err = project_load(v, &a, id, &of);
        refresh_once_more(p, id, false);
        begun = err == 0 && take(p, &of);
        const bool is_late = err == -ENOMEM || (err == 0 && !begun && is_wanted(p, &of));
        store_read_end(v);
        if (is_late)
            return false;
        watch_is_read(p);
    }
    return begun;
}

bool reread_begin_next(projects *p)
{
    struct projects_reread *x = &p->reread;
    SCOPED(arena_done)
    arena a;
    store_cursor *c = NULL;
    store_item item;
    bool begun = false, more = true;
    const str behind = str_of(x->behind, x->behind_n);

    arena_init(&a, 0);
    if (!store_is_writable(p->o.store))
        return false;
    if (begin_unread(p))
        return true;
    if (!x->is_on || !list_empty(&p->opening))
        return false;
    store_view *v = store_read_begin(p->o.store);
    const int err = store_walk(v, &projects_ks, STORE_BY_KEY, STR_NULL, behind.n ? behind : STR_NULL, false, &c);
    for (size_t n = 0; err == 0 && !begun && n < LOOKED_AT_ONCE && (more = store_next(c, &item)); n++) {
        project of = {0};
        if (str_eq(item.key, behind) || item.key.n > sizeof(x->behind)) /* the walk begins with it */
            continue;
        memcpy(x->behind, item.key.p, item.key.n);
        x->behind_n = item.key.n;
        arena_reset(&a);
        begun = record_decode(&project_schema, &a, item.value, &of) == 0 && of.last_fetched < x->from && take(p, &of);
    }
    store_cursor_end(c);
    store_read_end(v);
    x->is_on = err == 0 && more;
    if (x->is_on && !begun) /* on in another turn */
        projects_wake(p);
    return begun;
}
