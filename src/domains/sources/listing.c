/* Reading lists: sources in the order of ids, a source's entries in one of three orders, the marketplace.
 * Pages walk an index that is in the order asked for; totals come from tallies where the filters allow it,
 * else from the walk. */
#include "records.h"

/* ---- sources ---- */
static bool is_empty(const source_filter *f)
{
    return !f->artifact_type.p && !f->trust_level.p && !f->search.p && !f->tags.v;
}

/* `needle` is folded already. */
static bool contains_folded(str text, str needle)
{
    buf scratch = BUF_INIT;
    const str folded = text.p ? str_fold(text, &scratch) : STR_NULL;
    const bool found = folded.p && str_find(folded, needle) >= 0;

    buf_done(&scratch);
    return found;
}

static int fold_into(arena *a, str *text)
{
    buf scratch = BUF_INIT;

    if (!text->p)
        return 0;
    *text = arena_dup(a, str_fold(*text, &scratch));
    buf_done(&scratch);
    return text->p ? 0 : -ENOMEM;
}

static bool has_tag(const source *s, str tag)
{
    for (size_t i = 0; i < s->tags.n; i++)
        if (str_eq_nocase(s->tags.v[i], tag))
            return true;
    return false;
}

static bool matches_search(const source *s, str needle)
{
    if (contains_folded(s->owner, needle) || contains_folded(s->repo_name, needle) ||
        contains_folded(s->description, needle) || contains_folded(s->repo_description, needle))
        return true;
    for (size_t i = 0; i < s->tags.n; i++)
        if (contains_folded(s->tags.v[i], needle))
            return true;
    return false;
}

static bool has_type(const source *s, str type)
{
    for (size_t i = 0; i < s->counts_by_type.n; i++)
        if (str_eq(s->counts_by_type.v[i].name, type))
            return s->counts_by_type.v[i].n > 0;
    return false;
}

static bool source_matches(const source *s, const source_filter *f)
{
    if (f->artifact_type.p && !has_type(s, f->artifact_type))
        return false;
    if (f->trust_level.p && !str_eq_nocase(s->trust_level, f->trust_level))
        return false;
    for (size_t i = 0; i < f->tags.n; i++)
        if (!has_tag(s, f->tags.v[i]))
            return false;
    return !f->search.p || matches_search(s, f->search);
}

/* The walk of a filtered list, which must see every source: what is only looked at costs the arena nothing. */
static int list_matching(store_cursor *c, arena *a, const source_filter *f, str after, size_t limit, source *items,
                         source_page *page)
{
    SCOPED(arena_done) arena scratch;
    store_item item;
    int r = 0;

    arena_init(&scratch, 0);
    while (r == 0 && store_next(c, &item)) {
        source s = {0};
        arena_reset(&scratch);
        r = record_decode(&source_schema, &scratch, item.value, &s);
        if (r < 0 || !source_matches(&s, f))
            continue;
        page->total++;
        if (after.p && str_cmp(item.key, after) <= 0)
            continue;
        if (page->n == limit)
            page->more = true;
        else
            r = record_decode(&source_schema, a, item.value, &items[page->n++]);
    }
    return r;
}

static int list_all(store_cursor *c, arena *a, str after, size_t limit, source *items, source_page *page)
{
    store_item item;
    int r = 0;

    while (r == 0 && !page->more && store_next(c, &item)) {
        if (after.p && str_cmp(item.key, after) <= 0)
            continue;
        if (page->n == limit)
            page->more = true;
        else
            r = record_decode(&source_schema, a, item.value, &items[page->n++]);
    }
    return r;
}

int sources_list(store_view *v, arena *a, const source_filter *f, str after, size_t limit, source_page *ret_page)
{
    const bool filtered = !is_empty(f);
    source_filter folded = *f;
    source_page page = {.total = filtered ? 0 : -1};
    store_cursor *c;

    source *items = arena_array(a, source, limit);
    if (!items || fold_into(a, &folded.search) < 0)
        return -ENOMEM;
    int r = store_walk(v, &sources_ks, STORE_BY_KEY, STR_NULL, filtered ? STR_NULL : after, false, &c);
    if (r < 0)
        return r;
    r = filtered ? list_matching(c, a, &folded, after, limit, items, &page)
                 : list_all(c, a, after, limit, items, &page);
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    page.items = items;
    if (r == 0)
        *ret_page = page;
    return r;
}

/* ---- one source's entries ---- */
static const struct {
    int index;
    bool falls; /* its keys begin with the highest */
} ORDER_OF[] = {
    [ENTRY_SORT_CONFIDENCE] = {ENTRIES_BY_SOURCE_CONFIDENCE, true},
    [ENTRY_SORT_NAME] = {ENTRIES_BY_SOURCE_NAME, false},
    [ENTRY_SORT_DATE] = {ENTRIES_BY_SOURCE_DATE, true},
};

typedef struct entry_tallies_by {
    int64_t status[ENTRY_STATUSES], type[ARTIFACT_TYPE_COUNT];
    int64_t total;
} entry_tallies_by;

static bool cover_matches(const entry_cover *c, const entry_filter *f)
{
    if (f->artifact_type.p && c->type != artifact_type_number(f->artifact_type))
        return false;
    if (f->status.p) { /* an asked-for status wins over include_excluded */
        if (!str_eq(f->status, entry_status_text((entry_status)c->status)))
            return false;
    } else if (c->status == ENTRY_EXCLUDED && !f->include_excluded) {
        return false;
    }
    return c->confidence >= f->min_confidence && c->confidence <= f->max_confidence;
}

static void tally_add(entry_tallies_by *t, const entry_cover *c, int64_t n)
{
    t->status[c->status] += n;
    t->type[c->type] += n;
    t->total += n;
}

/* Counts without a walk, where only type and status are filtered. */
static bool tallies_from_store(store_view *v, str source_id, const entry_filter *f, entry_tallies_by *t)
{
    if (f->search.p || f->min_confidence > 0 || f->max_confidence < 100)
        return false;
    for (unsigned type = 0; type < ARTIFACT_TYPE_COUNT; type++) {
        for (unsigned status = 0; status < ENTRY_STATUSES; status++) {
            entry_cover c = {.type = (uint8_t)type, .status = (uint8_t)status, .confidence = 100};
            if (cover_matches(&c, f))
                tally_add(t, &c, entry_tally(v, source_id, type, (entry_status)status));
        }
    }
    return true;
}

static int counts_from(arena *a, const int64_t *n, size_t count, bool types, counts *ret)
{
    count_of *found = arena_array(a, count_of, count);
    size_t used = 0;

    if (!found)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (n[i] > 0)
            found[used++] =
                (count_of){types ? artifact_type_name((unsigned)i) : entry_status_text((entry_status)i), n[i]};
    }
    *ret = (counts){found, used};
    return 0;
}

/* The index key of `after`, from which the walk goes on. */
static int cursor_key(store_view *v, arena *a, str source_id, entry_sort sort, str after, store_key *k)
{
    entry e = {0};

    int r = entry_load(v, a, after, &e);
    if (r < 0)
        return r;
    if (!str_eq(e.source_id, source_id))
        return -ENOENT;
    entry_order_key(ORDER_OF[sort].index, &e, k);
    return 0;
}

/* The entry an index's cursor stands at. */
static int take_entry(store_cursor *c, store_item *item, arena *a, entry *ret_entry)
{
    const int r = store_item_value(c, item);

    return r < 0 ? r : record_decode(&entry_schema, a, item->value, ret_entry);
}

/* Costs no more than scratch has, however many are looked at. */
static int name_contains(store_cursor *c, store_item *item, arena *scratch, str needle, bool *ret_found)
{
    entry e = {0};

    arena_reset(scratch);
    const int r = take_entry(c, item, scratch, &e);
    *ret_found = r == 0 && contains_folded(e.name, needle);
    return r;
}

int entries_list(store_view *v, arena *a, str source_id, const entry_filter *f, entry_sort sort, bool down, str after,
                 size_t limit, entry_page *ret_page)
{
    entry_page page = {0};
    entry_tallies_by t = {0};
    store_key prefix, from = {.n = 0};
    store_cursor *c;
    store_item item;
    arena scratch;

    entry *items = arena_array(a, entry, limit);
    str needle = f->search;
    if (!items || fold_into(a, &needle) < 0)
        return -ENOMEM;
    int r = after.p ? cursor_key(v, a, source_id, sort, after, &from) : 0;
    if (r < 0)
        return r;
    const bool counted = tallies_from_store(v, source_id, f, &t);
    const bool back = down != ORDER_OF[sort].falls; /* against the order of the keys */
    store_key_init(&prefix);
    store_key_str(&prefix, source_id);
    /* When the walk also counts, it must see all: the page then begins where the keys pass `after`. */
    r = store_walk(v, &entries_ks, ORDER_OF[sort].index, store_key_view(&prefix),
                   counted && after.p ? store_key_view(&from) : STR_NULL, back, &c);
    if (r < 0)
        return r;
    arena_init(&scratch, 0);
    while (r == 0 && !(counted && page.more) && store_next(c, &item)) {
        entry_cover cover;

        if (!entry_cover_read(item.cover, &cover)) {
            r = -EPROTO;
            break;
        }
        if (!cover_matches(&cover, f))
            continue;
        const int side = after.p ? str_cmp(item.index_key, store_key_view(&from)) : 1;
        const bool in_reach = !after.p || (back ? side < 0 : side > 0);
        if (needle.p) {
            bool found = false;
            r = name_contains(c, &item, &scratch, needle, &found);
            if (r < 0 || !found)
                continue;
        }
        if (!counted)
            tally_add(&t, &cover, 1);
        if (!in_reach)
            continue;
        if (page.n == limit)
            page.more = true;
        else
            r = take_entry(c, &item, a, &items[page.n++]);
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    arena_done(&scratch);
    page.items = items;
    page.total = t.total;
    if (r == 0)
        r = counts_from(a, t.status, ENTRY_STATUSES, false, &page.by_status);
    if (r == 0)
        r = counts_from(a, t.type, ARTIFACT_TYPE_COUNT, true, &page.by_type);
    if (r == 0)
        *ret_page = page;
    return r;
}

/* ---- the marketplace ---- */
/* Marks of places: one for all types, one for each. */
static uint8_t market_mark(str type)
{
    return (uint8_t)(0x80 + (type.p ? 1 + artifact_type_number(type) : 0));
}

/* `tail`: behind that key of the prefix; null: from the first. */
static int fill_market(store_cursor *c, arena *a, size_t prefix_n, str tail, uint64_t skip, size_t limit, entry *items,
                       market_page *page, str *ret_last)
{
    store_item item;
    bool more = false;
    int r = 0;

    while (r == 0 && !more && store_next(c, &item)) {
        const str at = str_from(item.index_key, prefix_n);
        if (tail.p && str_eq(at, tail))
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        more = page->n == limit;
        if (!more) {
            *ret_last = at;
            r = take_entry(c, &item, a, &items[page->n++]);
        }
    }
    if (r == 0)
        r = store_cursor_error(c);
    if (!more)
        *ret_last = STR_NULL;
    return r;
}

int entries_live_page(store_view *v, arena *a, str type, const page_at *at, market_page *ret_page)
{
    market_page page = {.total = entries_live(v, type)};
    store_key prefix, from;
    store_cursor *c;
    str tail = STR_NULL, last = STR_NULL;

    int r = page_place_bytes(a, market_mark(type), at->after, &tail);
    entry *items = r == 0 ? arena_array(a, entry, at->limit) : NULL;
    if (!items)
        return r < 0 ? r : -ENOMEM;
    store_key_init(&prefix);
    if (type.p)
        store_key_u8(&prefix, (uint8_t)artifact_type_number(type));
    from = prefix;
    store_key_tail(&from, tail);
    if (from.overflow)
        return -EINVAL;
    const int index = type.p ? ENTRIES_BY_TYPE_NAME : ENTRIES_BY_NAME;
    r = store_walk(v, &entries_ks, index, store_key_view(&prefix), tail.p ? store_key_view(&from) : STR_NULL, false,
                   &c);
    if (r < 0)
        return r;
    r = fill_market(c, a, prefix.n, tail, tail.p ? 0 : at->skip, at->limit, items, &page, &last);
    if (r == 0 && last.p)
        r = page_place_text(a, market_mark(type), last, &page.next);
    store_cursor_end(c);
    page.items = items;
    if (r == 0)
        *ret_page = page;
    return r;
}
