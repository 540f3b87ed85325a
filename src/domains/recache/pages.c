/* The pages' records: keys, indexes, listing. */
#include "pages.h"

#include <stdio.h>

#include "larder/record.h"
#include "queue.h"

SCHEMA(recache_page, RECACHE_PAGE_FIELDS, "A stored page");

#define LIST_READS 2000

void page_key(uint32_t host, uint16_t dimension, uint64_t hash, char out[PAGE_KEY_LEN])
{
    be_put(out, 4, host);
    be_put(out + 4, 2, dimension);
    be_put(out + 6, 8, hash);
}

static int time_entry(store_emit *out, unsigned index, int64_t time, str key)
{
    char index_key[8 + PAGE_KEY_LEN];

    if (key.n != PAGE_KEY_LEN)
        return -EPROTO;
    be_put(index_key, 8, (uint64_t)time);
    memcpy(index_key + 8, key.p, key.n);
    store_emit_entry(out, index, str_of(index_key, sizeof(index_key)), STR_NULL);
    return 0;
}

/* The bucket of blocks counts as often as the file has blocks: its tally is what all files take. */
#define BLOCKS STR("blocks")

static int pages_emit(str key, str value, store_emit *out)
{
    recache_page p = {0};
    arena a;

    arena_init(&a, 0);
    int r = record_decode(&recache_page_schema, &a, value, &p);
    if (r == 0)
        r = time_entry(out, RECACHE_PAGES_BY_GONE, p.gone_at, key);
    if (r == 0) /* a new copy counts as a read: it is not made to go at once */
        r = time_entry(out, RECACHE_PAGES_BY_ACCESS, p.last_access > p.created_at ? p.last_access : p.created_at, key);
    for (int64_t at = 0; r == 0 && at < p.disk_size; at += PAGE_BLOCK)
        store_emit_bucket(out, BLOCKS);
    arena_done(&a);
    return r;
}

static const char *const INDEXES[] = {"gone", "access"};
keyspace recache_pages_ks = {
    .name = "recache_pages", .indexes = INDEXES, .n_indexes = COUNT_OF(INDEXES), .emit = pages_emit, .emit_version = 2};

uint64_t page_bytes(store_view *v)
{
    return (uint64_t)store_tally(v, &recache_pages_ks, BLOCKS) * PAGE_BLOCK;
}

uint64_t page_file_room(uint64_t disk_size)
{
    return (disk_size + PAGE_BLOCK - 1) / PAGE_BLOCK * PAGE_BLOCK;
}

int page_put(store_txn *t, uint64_t hash, const recache_page *p)
{
    SCOPED(buf_done) buf record = BUF_INIT;
    char key[PAGE_KEY_LEN];

    record_encode(&recache_page_schema, p, &record);
    if (record.err)
        return record.err;
    page_key((uint32_t)p->host_id, (uint16_t)p->dimension_id, hash, key);
    return store_put(t, &recache_pages_ks, str_of(key, sizeof(key)), buf_view(&record));
}

int page_del(store_txn *t, uint32_t host, uint16_t dimension, uint64_t hash)
{
    char key[PAGE_KEY_LEN];

    page_key(host, dimension, hash, key);
    return store_del(t, &recache_pages_ks, str_of(key, sizeof(key)));
}

int page_first(store_view *v, int index, char ret_key[PAGE_KEY_LEN], int64_t *ret_time)
{
    store_item item;

    const int r = store_first(v, &recache_pages_ks, index, STR_NULL, &item);
    if (r < 0)
        return r;
    if (item.index_key.n != 8 + PAGE_KEY_LEN)
        return -EPROTO;
    *ret_time = (int64_t)be_get(item.index_key.p, 8);
    memcpy(ret_key, item.key.p, PAGE_KEY_LEN);
    return 0;
}

int recache_page_load(store_view *v, arena *a, uint32_t host, uint16_t dimension, uint64_t hash,
                      recache_page *ret_page)
{
    char key[PAGE_KEY_LEN];
    recache_page p = {0};
    str value;

    page_key(host, dimension, hash, key);
    int r = store_get(v, &recache_pages_ks, str_of(key, sizeof(key)), &value);
    if (r == 0)
        r = record_decode(&recache_page_schema, a, value, &p);
    if (r == 0)
        *ret_page = p;
    return r;
}

recache_page_state recache_page_state_at(const recache_page *p, int64_t now)
{
    return now < p->expires_at ? RECACHE_PAGE_FRESH : now < p->gone_at ? RECACHE_PAGE_STALE : RECACHE_PAGE_MISS;
}

str recache_page_state_name(recache_page_state s)
{
    return s == RECACHE_PAGE_FRESH ? STR("fresh") : s == RECACHE_PAGE_STALE ? STR("stale") : STR("miss");
}

/* ---- files ---- */
void page_file_name(uint32_t host, uint16_t dimension, uint64_t hash, int64_t version, char out[PAGE_NAME_MAX])
{
    snprintf(out, PAGE_NAME_MAX, "%02x/%016llx-%u-%u-%llx.html", (unsigned)(hash >> 56), (unsigned long long)hash,
             (unsigned)host, (unsigned)dimension, (unsigned long long)version);
}

int page_file_parse(str name, uint32_t *ret_host, uint16_t *ret_dimension, uint64_t *ret_hash)
{
    unsigned char hash[8];
    int64_t host, dimension;
    str part;

    if (!str_ends(name, STR(".html.gz")) || !str_cut(&name, '-', &part) || hex_decode(part, hash, sizeof(hash)) < 0)
        return -EINVAL;
    if (!str_cut(&name, '-', &part) || str_to_i64(part, &host) < 0 || host < 1 || host > UINT32_MAX)
        return -EINVAL;
    if (!str_cut(&name, '-', &part) || str_to_i64(part, &dimension) < 0 || dimension < 0 || dimension > UINT16_MAX)
        return -EINVAL;
    *ret_host = (uint32_t)host;
    *ret_dimension = (uint16_t)dimension;
    *ret_hash = be_get((const char *)hash, sizeof(hash));
    return 0;
}

str recache_page_path(arena *a, str pages_dir, const recache_page *p, bool with_gz)
{
    if (!p->file.p)
        return STR_NULL;
    return arena_join(a, pages_dir, STR("/"), p->file, with_gz ? STR(".gz") : STR_NULL);
}

/* ---- listing ---- */
static bool is_in(const int64_t *v, size_t n, int64_t x)
{
    for (size_t i = 0; i < n; i++)
        if (v[i] == x)
            return true;
    return n == 0;
}

static bool has_dimension(const recache_page_filter *f, int64_t id)
{
    for (size_t i = 0; i < f->n_dimensions; i++)
        if (f->dimensions[i] == id)
            return true;
    return f->n_dimensions == 0;
}

static bool contains_nocase(str text, str part)
{
    for (size_t i = 0; i + part.n <= text.n; i++)
        if (str_starts_nocase(str_from(text, i), part))
            return true;
    return false;
}

static bool is_between(int64_t x, int64_t min, int64_t max)
{
    return x >= min && (max < 0 || x <= max);
}

static bool matches(const recache_page_filter *f, const recache_page *p, int64_t now)
{
    const recache_page_state s = recache_page_state_at(p, now);
    const bool rendered = str_eq(p->source, STR("render"));

    if ((f->fresh || f->stale || f->expired) && !(s == RECACHE_PAGE_FRESH   ? f->fresh
                                                  : s == RECACHE_PAGE_STALE ? f->stale
                                                                            : f->expired))
        return false;
    if ((f->render || f->bypass) && !(rendered ? f->render : f->bypass))
        return false;
    if (f->index_statuses &&
        (p->index_status < 0 || p->index_status > 31 || !(f->index_statuses & 1u << p->index_status)))
        return false;
    return has_dimension(f, p->dimension_id) && is_in(f->status_codes, f->n_status_codes, p->status_code) &&
           is_between(p->size, f->size_min, f->size_max) &&
           is_between((now - p->created_at) / 1000, f->age_min, f->age_max) &&
           (f->url_contains.n == 0 || contains_nocase(p->url, f->url_contains));
}

static str hex_cursor(arena *a, const char *key)
{
    char *hex = arena_alloc(a, HEX_LEN(PAGE_KEY_LEN));

    if (!hex)
        return STR_NULL;
    hex_encode(key, PAGE_KEY_LEN, hex);
    return str_of(hex, HEX_LEN(PAGE_KEY_LEN));
}

/* Takes the record over when it matches; the arena pays for those only. */
static int take(arena *a, const recache_page_filter *f, int64_t now, str value, recache_page_list *page,
                recache_page *items)
{
    recache_page p = {0};
    arena scratch;

    arena_init(&scratch, 0);
    int r = record_decode(&recache_page_schema, &scratch, value, &p);
    if (r == 0 && matches(f, &p, now)) {
        const str bytes = arena_dup(a, value);
        r = bytes.p ? record_decode(&recache_page_schema, a, bytes, &items[page->n++]) : -ENOMEM;
    }
    arena_done(&scratch);
    return r;
}

int recache_pages_list(store_view *v, arena *a, uint32_t host, const recache_page_filter *f, int64_t now, str cursor,
                       size_t limit, recache_page_list *ret_list)
{
    char after[PAGE_KEY_LEN], prefix[4];
    recache_page *items = arena_array(a, recache_page, limit);
    recache_page_list page = {.items = items};
    size_t reads = 0;
    store_cursor *c;
    store_item item;

    be_put(prefix, sizeof(prefix), host);
    if (cursor.p && (hex_decode(cursor, after, sizeof(after)) < 0 || memcmp(after, prefix, sizeof(prefix)) != 0))
        return -EINVAL;
    if (!items)
        return -ENOMEM;
    const str from = cursor.p ? str_of(after, sizeof(after)) : STR_NULL;
    int r = store_walk(v, &recache_pages_ks, STORE_BY_KEY, str_of(prefix, sizeof(prefix)), from, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && store_next(c, &item)) {
        if (item.key.n != PAGE_KEY_LEN) {
            r = -EPROTO;
        } else if (from.p && str_eq(item.key, from)) {
            continue;
        } else if (page.n == limit || reads++ == LIST_READS) {
            page.cursor = hex_cursor(a, after);
            r = page.cursor.p ? 0 : -ENOMEM;
            break;
        } else {
            memcpy(after, item.key.p, sizeof(after)); /* `from` has been passed, or is null */
            r = take(a, f, now, item.value, &page, items);
        }
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    if (r == 0)
        *ret_list = page;
    return r;
}

/* ---- summary ---- */
static void add_page(recache_page_summary *s, const recache_page *p, int64_t now)
{
    const recache_page_state state = recache_page_state_at(p, now);
    size_t i = 0;

    s->total++;
    s->fresh += state == RECACHE_PAGE_FRESH;
    s->stale += state == RECACHE_PAGE_STALE;
    s->expired += state == RECACHE_PAGE_MISS;
    s->size += p->size;
    s->disk_size += p->disk_size;
    s->render += str_eq(p->source, STR("render"));
    s->bypass += str_eq(p->source, STR("bypass"));
    while (i < s->n_dimensions && s->dimensions[i].id != p->dimension_id)
        i++;
    if (i < COUNT_OF(s->dimensions)) {
        s->n_dimensions += i == s->n_dimensions;
        s->dimensions[i].id = (uint16_t)p->dimension_id;
        s->dimensions[i].n++;
    }
}

int recache_pages_summary(store_view *v, uint32_t host, int64_t now, recache_page_summary *ret_summary)
{
    recache_page_summary sum = {0};
    char prefix[4];
    store_cursor *c;
    store_item item;
    arena a;

    be_put(prefix, sizeof(prefix), host);
    int r = store_walk(v, &recache_pages_ks, STORE_BY_KEY, str_of(prefix, sizeof(prefix)), STR_NULL, false, &c);
    if (r < 0)
        return r;
    arena_init(&a, 0);
    while (r == 0 && store_next(c, &item)) {
        recache_page p = {0};
        r = record_decode(&recache_page_schema, &a, item.value, &p);
        if (r == 0)
            add_page(&sum, &p, now);
        arena_reset(&a);
    }
    if (r == 0)
        r = store_cursor_error(c);
    arena_done(&a);
    store_cursor_end(c);
    if (r == 0)
        *ret_summary = sum;
    return r;
}
