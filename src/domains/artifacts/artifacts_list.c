/* Reading artifacts: pages in any order, totals, and all of them.
 *
 * A list is made of groups, one after the other (the types, the projects, the differences; one group where names alone
 * count). Within a group names run upwards, unless the list itself is by name and runs down. Each group is a walk along
 * an index, or two side by side: keys begin with whether the artifact is outdated. What a key does not begin with, its
 * cover decides, so that records are only read for the page; mostly not even there, as covers hold what is shown. */
#include "project_records.h"

enum grouping {
    ONE_GROUP,
    BY_KEY_TYPE, /* the group is a number, and in the keys */
    BY_KEY_DIFFERENCE,
    BY_COVER_TYPE, /* the group is a number, and in the covers: one project's artifacts */
    BY_COVER_DIFFERENCE,
    BY_PROJECT_NAME, /* the group is a text, and in the keys */
};

typedef struct lister {
    store_view *v;
    row_state shown;
    bool has_project, none; /* none: a type that does not exist */
    artifact_prefix project;
    int type; /* -1: any */
    int index;
    int cover_type; /* -1: covers need not be asked */
    enum grouping grouping;
    bool groups_fall, names_fall;
    bool outdated[2]; /* which are listed: those that are not, those that are */
    /* where it is */
    store_key group;
    bool begun;
    struct {
        store_cursor *c;
        store_item item;
        size_t prefix_n;
        bool has;
    } walk[2];
} lister;

/* ---- plan ---- */
static int plan(lister *l, store_view *v, const artifact_filter *f, artifact_sort sort, bool down)
{
    str type = STR_NULL;

    *l = (lister){
        .v = v, .type = -1, .cover_type = -1, .groups_fall = down, .names_fall = down && sort == ARTIFACTS_NAME};
    if (!EXPECT(f->outdated == OUTDATED_YES || sort == ARTIFACTS_NAME))
        return -EINVAL;
    l->outdated[0] = f->outdated != OUTDATED_YES;
    l->outdated[1] = f->outdated != OUTDATED_NO;
    l->none = f->type.p && artifact_type_parse(f->type, &type) < 0;
    if (type.p)
        l->type = (int)artifact_type_number(type);
    l->has_project = f->project_id.p != NULL;
    if (l->has_project) {
        l->project = artifact_prefix_of(f->project_id);
        l->index = ARTIFACTS_BY_PROJECT;
        l->cover_type = l->type;
        if (sort == ARTIFACTS_TYPE)
            l->grouping = BY_COVER_TYPE;
        else if (sort == ARTIFACTS_DIFFERENCE)
            l->grouping = BY_COVER_DIFFERENCE;
    } else if (sort == ARTIFACTS_PROJECT) {
        l->index = OUTDATED_BY_PROJECT;
        l->cover_type = l->type;
        l->grouping = BY_PROJECT_NAME;
    } else if (sort == ARTIFACTS_DIFFERENCE) {
        l->index = OUTDATED_BY_DIFFERENCE;
        l->cover_type = l->type;
        l->grouping = BY_KEY_DIFFERENCE;
    } else {
        l->index = l->type >= 0 || sort == ARTIFACTS_TYPE ? ARTIFACTS_BY_TYPE : ARTIFACTS_BY_NAME;
        l->grouping = l->type < 0 && sort == ARTIFACTS_TYPE ? BY_KEY_TYPE : ONE_GROUP;
    }
    return rows_shown(v, &l->shown);
}

static int64_t total_of(const lister *l)
{
    const artifact_prefix *of = l->has_project ? &l->project : NULL;
    const unsigned type = l->type < 0 ? ANY_TYPE : (unsigned)l->type;
    int64_t n = 0;

    for (int outdated = 0; !l->none && outdated < 2; outdated++) {
        if (!l->outdated[outdated])
            continue;
        n += artifact_tally(l->v, ROW_SETTLED, outdated, type, of);
        if (l->shown != ROW_SETTLED)
            n += artifact_tally(l->v, l->shown, outdated, type, of);
    }
    return n;
}

int artifacts_total(store_view *v, const artifact_filter *f, int64_t *ret_total)
{
    lister l;

    const int r = plan(&l, v, f, ARTIFACTS_NAME, false);
    if (r == 0)
        *ret_total = total_of(&l);
    return r;
}

/* ---- groups ---- */
static bool next_number(lister *l, int count)
{
    int n = l->groups_fall ? count - 1 : 0;

    if (l->begun)
        n = (uint8_t)l->group.bytes[0] + (l->groups_fall ? -1 : 1);
    if (n < 0 || n >= count)
        return false;
    store_key_init(&l->group);
    store_key_u8(&l->group, (uint8_t)n);
    return true;
}

/* The project whose name comes next. 1: there is one. */
static int next_name(lister *l)
{
    store_cursor *c = NULL;
    store_item item;
    SCOPED(arena_done) arena a;
    str from = STR_NULL, rest, name;
    int found = 0;

    arena_init(&a, 0);
    if (l->begun && !l->groups_fall)
        store_key_u8(&l->group, 0xff); /* behind all keys of the group; UTF-8 has no such byte */
    if (l->begun)
        from = store_key_view(&l->group); /* falling: before all of them */
    int r = store_walk(l->v, &artifacts_ks, l->index, STR_NULL, from, l->groups_fall, &c);
    if (r == 0 && store_next(c, &item)) {
        rest = item.index_key;
        r = store_key_cut_str(&rest, &a, &name);
        store_key_init(&l->group);
        store_key_tail(&l->group, str_head(item.index_key, item.index_key.n - rest.n));
        found = 1;
    } else if (r == 0) {
        r = store_cursor_error(c);
    }
    store_cursor_end(c);
    return r < 0 ? r : found;
}

/* 1: l->group is the next one. */
static int next_group(lister *l)
{
    int r = 0;

    switch (l->grouping) {
    case ONE_GROUP:
        r = !l->begun;
        store_key_init(&l->group);
        break;
    case BY_KEY_TYPE:
    case BY_COVER_TYPE:
        r = next_number(l, ARTIFACT_TYPE_COUNT);
        break;
    case BY_KEY_DIFFERENCE:
    case BY_COVER_DIFFERENCE:
        r = next_number(l, VERSION_MAJOR + 1);
        break;
    case BY_PROJECT_NAME:
        r = next_name(l);
        break;
    }
    l->begun = true;
    return r;
}

/* ---- within a group ---- */
static void advance(lister *l, int i)
{
    l->walk[i].has = store_next(l->walk[i].c, &l->walk[i].item);
}

static str tail_of(const lister *l, int i)
{
    return str_from(l->walk[i].item.index_key, l->walk[i].prefix_n);
}

static void prefix_of(const lister *l, int outdated, store_key *k)
{
    store_key_init(k);
    if (l->index != OUTDATED_BY_PROJECT && l->index != OUTDATED_BY_DIFFERENCE)
        store_key_u8(k, (uint8_t)outdated);
    if (l->index == ARTIFACTS_BY_PROJECT)
        store_key_tail(k, artifact_prefix_view(&l->project));
    if (l->index == ARTIFACTS_BY_TYPE && l->type >= 0)
        store_key_u8(k, (uint8_t)l->type);
    else if (l->grouping == BY_KEY_TYPE || l->grouping == BY_KEY_DIFFERENCE || l->grouping == BY_PROJECT_NAME)
        store_key_tail(k, store_key_view(&l->group));
}

static void close_group(lister *l)
{
    for (int i = 0; i < 2; i++) {
        store_cursor_end(l->walk[i].c);
        l->walk[i].c = NULL;
        l->walk[i].has = false;
    }
}

/* From behind the tail of a key, when one is given. */
static int open_group(lister *l, str tail)
{
    int r = 0;

    for (int i = 0; r == 0 && i < 2; i++) {
        store_key prefix, from;
        if (!l->outdated[i])
            continue;
        prefix_of(l, i, &prefix);
        from = prefix;
        store_key_tail(&from, tail);
        l->walk[i].prefix_n = prefix.n;
        r = from.overflow ? -EINVAL
                          : store_walk(l->v, &artifacts_ks, l->index, store_key_view(&prefix),
                                       tail.p ? store_key_view(&from) : STR_NULL, l->names_fall, &l->walk[i].c);
        if (r < 0)
            break;
        advance(l, i);
        if (tail.p && l->walk[i].has && str_eq(tail_of(l, i), tail))
            advance(l, i);
    }
    return r;
}

static bool matches(const lister *l, const artifact_cover *c)
{
    if (c->state != ROW_SETTLED && c->state != l->shown)
        return false;
    if (l->cover_type >= 0 && c->type != l->cover_type)
        return false;
    if (l->grouping == BY_COVER_TYPE)
        return c->type == (uint8_t)l->group.bytes[0];
    return l->grouping != BY_COVER_DIFFERENCE || c->difference == (uint8_t)l->group.bytes[0];
}

/* Which of the two walks has the next item: -1 none. */
static int front(const lister *l)
{
    if (!l->walk[0].has || !l->walk[1].has)
        return l->walk[0].has ? 0 : l->walk[1].has ? 1 : -1;
    const int order = str_cmp(tail_of(l, 0), tail_of(l, 1));
    return (order < 0) != l->names_fall ? 0 : 1;
}

static int walk_error(const lister *l)
{
    for (int i = 0; i < 2; i++)
        if (l->walk[i].c && store_cursor_error(l->walk[i].c) < 0)
            return store_cursor_error(l->walk[i].c);
    return 0;
}

/* ---- places: the group's length, the group, the key's tail ---- */
static uint8_t list_mark(const lister *l)
{
    return (uint8_t)(0x40 | l->index << 3 | l->groups_fall << 2 | (l->outdated[0] ? 0 : 2) | (l->type >= 0));
}

static int place_make(const lister *l, arena *a, str tail, str *ret_next)
{
    char bytes[1 + 2 * STORE_KEY_MAX];
    const size_t n = l->group.n;

    if (n > UINT8_MAX || tail.n > STORE_KEY_MAX)
        return -EPROTO;
    bytes[0] = (char)n;
    memcpy(bytes + 1, l->group.bytes, n);
    memcpy(bytes + 1 + n, tail.p, tail.n);
    return page_place_text(a, list_mark(l), str_of(bytes, 1 + n + tail.n), ret_next);
}

/* Sets the group, as if the list had come so far. */
static int place_read(lister *l, arena *a, str after, str *ret_tail)
{
    str bytes = STR_NULL;

    const int r = page_place_bytes(a, list_mark(l), after, &bytes);
    if (r < 0)
        return r;
    const size_t n = (uint8_t)bytes.p[0];
    const str group = str_head(str_from(bytes, 1), n);
    const bool is_number = l->grouping != ONE_GROUP && l->grouping != BY_PROJECT_NAME;
    *ret_tail = str_from(bytes, 1 + group.n);
    if (group.n != n || ret_tail->n == 0 || ret_tail->n > STORE_KEY_MAX ||
        (is_number && group.n != 1) || (l->grouping == ONE_GROUP && group.n != 0) ||
        (l->grouping == BY_PROJECT_NAME && group.n == 0))
        return -EINVAL;
    store_key_init(&l->group);
    store_key_tail(&l->group, group);
    l->begun = true;
    return 0;
}

/* ---- pages ---- */
typedef struct filling {
    artifact *items;
    size_t n, limit;
    uint64_t skip;
    int64_t left; /* of the list, the page included; -1: not known */
    str last;     /* the tail of the last item's key, with its group: in `next` */
    bool more;
} filling;

/* What an entry of an index tells of its artifact, by its key and its cover. */
static int from_entry(arena *a, str tail, str record_key, const artifact_cover *c, artifact *x)
{
    const int r = record_decode(&artifact_schema, a, c->shown, x);

    x->id = str_head(record_key, ARTIFACT_ID_LEN);
    x->type = artifact_type_name(c->type);
    return r < 0 || x->name.p ? r : store_key_cut_str(&tail, a, &x->name);
}

static int take(lister *l, arena *a, int i, const artifact_cover *cover, filling *f)
{
    store_item *item = &l->walk[i].item;
    artifact *x = &f->items[f->n];
    int r;

    if (cover->shown.n) {
        r = from_entry(a, tail_of(l, i), item->key, cover, x);
    } else {
        r = store_item_value(l->walk[i].c, item);
        if (r == 0)
            r = record_decode(&artifact_schema, a, item->value, x);
    }
    if (r == 0 && ++f->n == f->limit)
        r = place_make(l, a, tail_of(l, i), &f->last);
    return r;
}

static int fill_group(lister *l, arena *a, filling *f)
{
    int r = 0, i;

    while (r == 0 && !f->more && f->left != 0 && (i = front(l)) >= 0) {
        artifact_cover cover;
        r = artifact_cover_read(l->walk[i].item.cover, &cover);
        if (r == 0 && matches(l, &cover)) {
            f->left -= f->left > 0;
            if (f->skip > 0)
                f->skip--;
            else if (f->n == f->limit)
                f->more = true;
            else
                r = take(l, a, i, &cover, f);
        }
        advance(l, i);
    }
    return r == 0 ? walk_error(l) : r;
}

static int fill(lister *l, arena *a, str tail, filling *f)
{
    int r = l->begun ? 1 : next_group(l);

    while (r > 0) {
        r = open_group(l, tail);
        if (r == 0)
            r = fill_group(l, a, f);
        close_group(l);
        tail = STR_NULL;
        if (r < 0 || f->more || f->left == 0)
            break;
        r = next_group(l);
    }
    return r < 0 ? r : 0;
}

int artifacts_list(store_view *v, arena *a, const artifact_filter *f, artifact_sort sort, bool down, const page_at *at,
                   artifact_page *ret_page)
{
    lister l;
    filling fi = {.limit = at->limit};
    str tail = STR_NULL;

    int r = plan(&l, v, f, sort, down);
    if (r == 0 && at->after.p)
        r = place_read(&l, a, at->after, &tail);
    if (r < 0)
        return r;
    const int64_t total = total_of(&l);
    fi.skip = at->after.p ? 0 : at->skip;
    fi.left = at->after.p ? (total > 0 ? -1 : 0) : total;
    fi.items = arena_array(a, artifact, at->limit);
    if (!fi.items)
        return -ENOMEM;
    if (fi.skip < (uint64_t)total)
        r = fill(&l, a, tail, &fi);
    if (r == 0)
        *ret_page = (artifact_page){fi.items, fi.n, total, fi.more ? fi.last : STR_NULL};
    return r;
}

uint64_t artifacts_list_cost(store_view *v, const artifact_filter *f, artifact_sort sort, const page_at *at)
{
    lister l;
    artifact_filter wide = *f;
    int64_t all = 0;

    if (plan(&l, v, f, sort, false) < 0)
        return 0;
    const uint64_t total = (uint64_t)total_of(&l);
    uint64_t wanted = at->limit + (at->after.p ? 0 : at->skip);
    if (total == 0 || (!at->after.p && at->skip >= total))
        return 0;
    wanted = wanted < total ? wanted : total;
    if (l.grouping == BY_COVER_TYPE || l.grouping == BY_COVER_DIFFERENCE) /* a walk for each group */
        wanted = total;
    if (l.cover_type >= 0) { /* what does not match is passed over: as thinly spread as can be */
        wide.type = STR_NULL;
        if (artifacts_total(v, &wide, &all) == 0)
            wanted = at->after.p || wanted == total ? (uint64_t)all : wanted * ((uint64_t)all / total + 1);
    }
    if (l.grouping == BY_COVER_TYPE || l.grouping == BY_COVER_DIFFERENCE)
        wanted *= ARTIFACT_TYPE_COUNT;
    return wanted;
}

/* ---- all ---- */
int artifacts_each(store_view *v, int (*fn)(void *arg, const artifact_live *x), void *arg)
{
    SCOPED(arena_done) arena a;
    store_cursor *c = NULL;
    store_item item;
    row_state shown;

    arena_init(&a, 0);
    int r = rows_shown(v, &shown);
    if (r == 0)
        r = store_walk(v, &artifacts_ks, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c);
    while (r == 0 && store_next(c, &item)) {
        artifact row = {0};
        r = record_decode(&artifact_schema, &a, item.value, &row);
        if (r == 0 && (row.state == ROW_SETTLED || row.state == (int64_t)shown))
            r = fn(arg, &(artifact_live){row.id, row.name, row.type, row.project_id, row.updated_at});
        arena_reset(&a);
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    return r;
}
