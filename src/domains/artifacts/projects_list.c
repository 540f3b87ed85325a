/* Reading projects: pages by name, and totals. Filters are decided by what the index itself carries; totals come from
 * tallies. */
#include "project_records.h"

static const str STATUS_TEXT[] = {STR_INIT("active"), STR_INIT("stale"), STR_INIT("error")};
enum { STATUS_ACTIVE, STATUS_STALE, STATUS_ERROR, STATUSES, STATUS_ANY = STATUSES, STATUS_NONE };

static unsigned status_at(project_standing standing, int64_t last_fetched, int64_t now, int64_t ttl_ms)
{
    if (standing == STANDS_ERROR)
        return STATUS_ERROR;
    return standing == STANDS_STALE || last_fetched < now - ttl_ms ? STATUS_STALE : STATUS_ACTIVE;
}

str project_status_at(const project *p, int64_t now, int64_t ttl_ms)
{
    return STATUS_TEXT[status_at(project_standing_of(p), p->last_fetched, now, ttl_ms)];
}

static unsigned status_parse(str text)
{
    for (unsigned i = 0; text.p && i < STATUSES; i++)
        if (str_eq(text, STATUS_TEXT[i]))
            return i;
    return text.p ? STATUS_NONE : STATUS_ANY;
}

/* ---- totals ---- */
static int count_stale(store_view *v, int64_t now, int64_t ttl_ms, int64_t *ret_n)
{
    int64_t old = 0;

    const int r = projects_fetched_before(v, now - ttl_ms, &old);
    if (r == 0)
        *ret_n = old + projects_standing(v, STANDS_STALE);
    return r;
}

static int count_status(store_view *v, unsigned status, const project_filter *f, int64_t *ret_n)
{
    int64_t stale = 0;
    int r = 0;

    if (status == STATUS_STALE || status == STATUS_ACTIVE)
        r = count_stale(v, f->now, f->ttl_ms, &stale);
    if (r < 0)
        return r;
    const int64_t n[] = {
        [STATUS_ACTIVE] = projects_standing(v, STANDS_BY_TIME) + projects_standing(v, STANDS_STALE) - stale,
        [STATUS_STALE] = stale,
        [STATUS_ERROR] = projects_standing(v, STANDS_ERROR),
        [STATUS_ANY] = (int64_t)store_count(v, &projects_ks),
        [STATUS_NONE] = 0,
    };
    *ret_n = n[status];
    return 0;
}

/* The time at one end of an index whose keys begin with it; 0 when it is empty. */
static int time_at_end(store_view *v, int index, bool last, int64_t *ret_time)
{
    store_cursor *c = NULL;
    store_item item;
    uint64_t at = 0;

    int r = store_walk(v, &projects_ks, index, STR_NULL, STR_NULL, last, &c);
    if (r == 0 && store_next(c, &item))
        r = store_key_cut_u64(&item.index_key, &at);
    else if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    if (r == 0)
        *ret_time = (int64_t)at;
    return r;
}

int64_t projects_next_stale(store_view *v, int64_t now, int64_t ttl_ms)
{
    store_cursor *c = NULL;
    store_item item;
    store_key from;
    uint64_t at = INT64_MAX;

    store_key_init(&from);
    store_key_u64(&from, (uint64_t)(now - ttl_ms));
    if (store_walk(v, &projects_ks, PROJECTS_BY_FETCHED, STR_NULL, store_key_view(&from), false, &c) == 0 &&
        store_next(c, &item))
        (void)store_key_cut_u64(&item.index_key, &at);
    store_cursor_end(c);
    return (int64_t)at;
}

static int last_run(store_view *v, int64_t *ret_time)
{
    SCOPED(arena_done) arena a;
    refresh_state s = {0};
    str value;

    arena_init(&a, 0);
    int r = store_get(v, &refresh_state_ks, STR("state"), &value);
    if (r == 0)
        r = record_decode(&refresh_state_schema, &a, value, &s);
    if (r == -ENOENT)
        r = 0;
    *ret_time = s.last_run;
    return r;
}

int64_t projects_next_refresh(store_view *v)
{
    int64_t at = 0;

    return time_at_end(v, PROJECTS_BY_NEXT_REFRESH, false, &at) < 0 ? 0 : at;
}

int projects_totals_of(store_view *v, int64_t now, int64_t ttl_ms, projects_totals *ret_totals)
{
    const artifact_filter any = {0}, outdated = {.outdated = OUTDATED_YES};
    projects_totals t = {.projects = (int64_t)store_count(v, &projects_ks)};

    int r = count_stale(v, now, ttl_ms, &t.stale);
    if (r == 0)
        r = artifacts_total(v, &any, &t.artifacts);
    if (r == 0)
        r = artifacts_total(v, &outdated, &t.outdated);
    if (r == 0)
        r = time_at_end(v, PROJECTS_BY_CREATED, false, &t.oldest_entry);
    if (r == 0)
        r = time_at_end(v, PROJECTS_BY_CREATED, true, &t.newest_entry);
    if (r == 0)
        r = time_at_end(v, PROJECTS_BY_FETCHED, true, &t.last_fetched);
    if (r == 0)
        r = time_at_end(v, PROJECTS_BY_NEXT_REFRESH, false, &t.next_refresh);
    if (r == 0)
        r = last_run(v, &t.last_run);
    if (r == 0)
        *ret_totals = t;
    return r;
}

/* ---- pages ---- */
#define PLACE_MARK 'p'

/* The index key that a page begins behind; null: there is none. */
static int place_read(arena *a, str after, str *ret_key)
{
    const int r = page_place_bytes(a, PLACE_MARK, after, ret_key);

    return r == 0 && ret_key->n > STORE_KEY_MAX ? -EINVAL : r;
}

typedef struct listing {
    store_view *v;
    arena *a;
    const project_filter *f;
    unsigned status;
    project *items;
    project_page page;
} listing;

static int take(listing *l, store_cursor *c, store_item *item)
{
    project *p = &l->items[l->page.n];

    int r = store_item_value(c, item);
    if (r == 0)
        r = record_decode(&project_schema, l->a, item->value, p);
    if (r < 0)
        return r;
    p->status = project_status_at(p, l->f->now, l->f->ttl_ms);
    l->page.n++;
    return 0;
}

static int fill(listing *l, const page_at *at, str after)
{
    store_cursor *c = NULL;
    store_item item;
    uint64_t skip = after.p ? 0 : at->skip;
    str last = STR_NULL;
    bool more = false;

    int r = store_walk(l->v, &projects_ks, PROJECTS_BY_NAME, STR_NULL, after, false, &c);
    while (r == 0 && !more && store_next(c, &item)) {
        project_cover cover;
        if (after.p && str_eq(item.index_key, after))
            continue;
        r = project_cover_read(item.cover, &cover);
        if (r < 0)
            break;
        if (l->status != STATUS_ANY &&
            l->status != status_at((project_standing)cover.standing, cover.last_fetched, l->f->now, l->f->ttl_ms))
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        more = l->page.n == at->limit;
        if (!more) {
            last = item.index_key;
            r = take(l, c, &item);
        }
    }
    if (r == 0)
        r = store_cursor_error(c);
    if (r == 0 && more)
        r = page_place_text(l->a, PLACE_MARK, last, &l->page.next);
    store_cursor_end(c);
    return r;
}

int projects_list(store_view *v, arena *a, const project_filter *f, const page_at *at, project_page *ret_page)
{
    listing l = {.v = v, .a = a, .f = f, .status = status_parse(f->status)};
    str after = STR_NULL;

    int r = place_read(a, at->after, &after);
    if (r == 0)
        r = count_status(v, l.status, f, &l.page.total);
    if (r < 0)
        return r;
    l.items = arena_array(a, project, at->limit);
    if (!l.items)
        return -ENOMEM;
    l.page.items = l.items;
    if (l.page.total > 0 && (after.p || at->skip < (uint64_t)l.page.total))
        r = fill(&l, at, after);
    if (r == 0)
        *ret_page = l.page;
    return r;
}
