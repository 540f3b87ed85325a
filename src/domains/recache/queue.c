/* The queue's records: keys, values, index; reading them in order. */
#include "queue.h"

#include "larder/record.h"

#include <stdlib.h>

SCHEMA(recache_dead, RECACHE_DEAD_FIELDS, "A page that could not be rendered");

static const str PRIORITY[RECACHE_PRIORITIES] = {STR_INIT("high"), STR_INIT("normal"), STR_INIT("autorecache")};

str recache_priority_name(recache_priority p)
{
    return PRIORITY[p];
}

int recache_priority_parse(str text, recache_priority *ret_priority)
{
    for (unsigned i = 0; i < RECACHE_PRIORITIES; i++) {
        if (str_eq(text, PRIORITY[i])) {
            *ret_priority = (recache_priority)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* ---- keys and values ---- */
void be_put(char *out, size_t n, uint64_t v)
{
    while (n > 0) {
        out[--n] = (char)v;
        v >>= 8;
    }
}

uint64_t be_get(const char *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

void lane_prefix(uint32_t host, unsigned lane, char out[QUEUE_DUE_AT])
{
    be_put(out, 4, host);
    out[4] = (char)lane;
}

void queue_key(const recache_entry *e, char out[QUEUE_KEY_LEN])
{
    lane_prefix(e->host, LANE_OF(e->priority, e->dimension), out);
    be_put(out + QUEUE_DUE_AT, 8, (uint64_t)e->due);
    be_put(out + QUEUE_HASH_AT, 8, e->hash);
    be_put(out + QUEUE_DIMENSION_AT, 2, e->dimension);
}

void url_key(uint32_t host, uint64_t hash, uint16_t dimension, char out[URL_KEY_LEN])
{
    be_put(out, 4, host);
    be_put(out + 4, 8, hash);
    be_put(out + 12, 2, dimension);
}

int queue_decode_key(str key, recache_entry *ret_entry)
{
    if (key.n != QUEUE_KEY_LEN || (unsigned char)key.p[4] >= QUEUE_LANES)
        return -EPROTO;
    *ret_entry = (recache_entry){
        .host = (uint32_t)be_get(key.p, 4),
        .priority = LANE_PRIORITY(key.p[4]),
        .due = (int64_t)be_get(key.p + QUEUE_DUE_AT, 8),
        .hash = be_get(key.p + QUEUE_HASH_AT, 8),
        .dimension = (uint16_t)be_get(key.p + QUEUE_DIMENSION_AT, 2),
    };
    return 0;
}

/* The value: attempts, when it was queued, the URL. */
#define VALUE_HEAD 9

int queue_decode(str key, str value, recache_entry *ret_entry)
{
    recache_entry e;

    const int r = queue_decode_key(key, &e);
    if (r < 0 || value.n <= VALUE_HEAD)
        return -EPROTO;
    e.attempts = (unsigned char)value.p[0];
    e.queued_at = (int64_t)be_get(value.p + 1, 8);
    e.url = str_from(value, VALUE_HEAD);
    *ret_entry = e;
    return 0;
}

int queue_put(store_txn *t, const recache_entry *e)
{
    char key[QUEUE_KEY_LEN], value[VALUE_HEAD + 4096];

    if (e->url.n == 0 || e->url.n > sizeof(value) - VALUE_HEAD)
        return -EINVAL;
    queue_key(e, key);
    value[0] = (char)(e->attempts < 255 ? e->attempts : 255);
    be_put(value + 1, 8, (uint64_t)e->queued_at);
    memcpy(value + VALUE_HEAD, e->url.p, e->url.n);
    return store_put(t, &recache_queue_ks, str_of(key, sizeof(key)), str_of(value, VALUE_HEAD + e->url.n));
}

static int queue_emit(str key, str value, store_emit *out)
{
    char tried[QUEUE_DUE_AT];
    recache_entry e;

    const int r = queue_decode(key, value, &e);
    if (r < 0)
        return r;
    store_emit_bucket(out, str_head(key, QUEUE_DUE_AT));
    if (e.attempts > 0) {
        lane_prefix(e.host, LANE_TRIED, tried);
        store_emit_bucket(out, str_of(tried, sizeof(tried)));
    }
    return 0;
}

keyspace recache_queue_ks = {.name = "recache_lanes",
                             .emit = queue_emit,
                             .emit_version = 3,
                             .unique = {QUEUE_KEY_LEN, /* host; hash and dimension */
                                        {{0, 4}, {QUEUE_HASH_AT, QUEUE_KEY_LEN - QUEUE_HASH_AT}}}};

/* Newest first: the index holds the complement of the time. */
static int dead_emit(str key, str value, store_emit *out)
{
    char index_key[DEAD_TIME_KEY_LEN];
    recache_dead d = {0};
    arena a;

    if (key.n != URL_KEY_LEN)
        return -EPROTO;
    arena_init(&a, 0);
    const int r = record_decode(&recache_dead_schema, &a, value, &d);
    arena_done(&a);
    if (r < 0)
        return r;
    memcpy(index_key, key.p, 4);
    be_put(index_key + 4, 8, ~(uint64_t)d.died_at);
    memcpy(index_key + 12, key.p, URL_KEY_LEN);
    store_emit_entry(out, RECACHE_DEAD_BY_TIME, str_of(index_key, sizeof(index_key)), STR_NULL);
    store_emit_bucket(out, str_head(key, 4));
    return 0;
}

static const char *const DEAD_INDEXES[] = {"time"};
keyspace recache_dead_ks = {.name = "recache_dead",
                            .indexes = DEAD_INDEXES,
                            .n_indexes = COUNT_OF(DEAD_INDEXES),
                            .emit = dead_emit,
                            .emit_version = 1};

/* ---- finding ---- */
int queue_find(store_txn *t, uint32_t host, uint64_t hash, uint16_t dimension, recache_entry *ret_entry)
{
    const recache_entry wanted = {.host = host, .hash = hash, .dimension = dimension};
    char key[QUEUE_KEY_LEN];
    str found, value;

    queue_key(&wanted, key);
    int r = store_find_unique(t, &recache_queue_ks, str_of(key, sizeof(key)), &found);
    if (r < 0)
        return r;
    memcpy(key, found.p, sizeof(key));
    r = store_get(store_txn_view(t), &recache_queue_ks, str_of(key, sizeof(key)), &value);
    return r < 0 ? (r == -ENOENT ? -EPROTO : r) : queue_decode(str_of(key, sizeof(key)), value, ret_entry);
}

/* ---- counting ---- */
static int64_t lane_total(store_view *v, uint32_t host, unsigned lane)
{
    char prefix[QUEUE_DUE_AT];

    lane_prefix(host, lane, prefix);
    return store_tally(v, &recache_queue_ks, str_of(prefix, sizeof(prefix)));
}

void recache_queue_totals(store_view *v, uint32_t host, int64_t out[RECACHE_PRIORITIES])
{
    for (unsigned p = 0; p < RECACHE_PRIORITIES; p++)
        out[p] = 0;
    for (unsigned lane = 0; lane < QUEUE_LANES; lane++)
        out[LANE_PRIORITY(lane)] += lane_total(v, host, lane);
}

int64_t recache_queue_tried(store_view *v, uint32_t host)
{
    return lane_total(v, host, LANE_TRIED);
}

/* Of many hosts: the tallies are gone through, which are in the order of the hosts' numbers. */
typedef struct sum {
    const uint32_t *hosts, *end; /* ascending */
    int64_t *out;
} sum;

static int add_tally(void *arg, str bucket, int64_t tally)
{
    sum *s = arg;

    if (bucket.n != QUEUE_DUE_AT || (unsigned char)bucket.p[4] > LANE_TRIED)
        return -EPROTO;
    if (bucket.p[4] == LANE_TRIED)
        return 0;
    const uint32_t host = (uint32_t)be_get(bucket.p, 4);
    while (s->hosts < s->end && *s->hosts < host)
        s->hosts++;
    if (s->hosts < s->end && *s->hosts == host)
        s->out[LANE_PRIORITY(bucket.p[4])] += tally;
    return 0;
}

static int compare_ids(const void *x, const void *y)
{
    const uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

    return (a > b) - (a < b);
}

int recache_queue_totals_of(store_view *v, const recache_host *hosts, size_t n, int64_t out[RECACHE_PRIORITIES])
{
    int64_t totals[RECACHE_PRIORITIES] = {0};
    uint32_t *ids = mem_alloc(n * sizeof(*ids));

    if (!ids)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        ids[i] = hosts[i].id;
    qsort(ids, n, sizeof(*ids), compare_ids);
    const int r = store_tally_each(v, &recache_queue_ks, add_tally, &(sum){ids, ids + n, totals});
    mem_free(ids);
    if (r == 0)
        memcpy(out, totals, sizeof(totals));
    return r;
}

/* One walk from the front, over what is due, and one from the back, over what is not, in turns: the shorter tells. */
static int count_due(store_view *v, str prefix, int64_t total, int64_t now, int64_t *ret_due)
{
    store_cursor *front = NULL, *back = NULL;
    store_item item;
    recache_entry e;
    int64_t due = 0, later = 0;

    int r = store_walk(v, &recache_queue_ks, STORE_BY_KEY, prefix, STR_NULL, false, &front);
    if (r == 0)
        r = store_walk(v, &recache_queue_ks, STORE_BY_KEY, prefix, STR_NULL, true, &back);
    while (r == 0 && due + later < total) {
        if (!store_next(front, &item) || queue_decode_key(item.key, &e) < 0 || e.due > now) {
            r = store_cursor_error(front);
            later = total - due;
            break;
        }
        due++;
        if (due + later == total)
            break;
        if (!store_next(back, &item) || queue_decode_key(item.key, &e) < 0 || e.due <= now) {
            r = store_cursor_error(back);
            due = total - later;
            break;
        }
        later++;
    }
    store_cursor_end(front);
    store_cursor_end(back);
    if (r == 0)
        *ret_due = due;
    return r;
}

int recache_queue_counts(store_view *v, uint32_t host, int64_t now, recache_counts out[RECACHE_PRIORITIES])
{
    char prefix[QUEUE_DUE_AT];
    int r = 0;

    for (unsigned p = 0; p < RECACHE_PRIORITIES; p++)
        out[p] = (recache_counts){0};
    for (unsigned lane = 0; lane < QUEUE_LANES && r == 0; lane++) {
        const int64_t total = lane_total(v, host, lane);
        int64_t due = 0;
        lane_prefix(host, lane, prefix);
        r = count_due(v, str_of(prefix, sizeof(prefix)), total, now, &due);
        out[LANE_PRIORITY(lane)].total += total;
        out[LANE_PRIORITY(lane)].due += due;
    }
    return r;
}

/* ---- listing ---- */
/* A cursor is the key of the last item, in hex. */
static str cursor_text(arena *a, str key)
{
    char *hex = arena_alloc(a, HEX_LEN(key.n));

    if (!hex)
        return STR_NULL;
    hex_encode(key.p, key.n, hex);
    return str_of(hex, HEX_LEN(key.n));
}

/* `after`: null, or a key of either lane of the priority; what follows its prefix says how far the list has come. */
static int list_lane(store_view *v, arena *a, uint32_t host, unsigned lane, str after, size_t limit,
                     recache_entry *items, size_t *ret_n)
{
    char from[QUEUE_KEY_LEN];
    store_cursor *c;
    store_item item;
    size_t n = 0;

    lane_prefix(host, lane, from);
    if (after.p)
        memcpy(from + QUEUE_DUE_AT, after.p + QUEUE_DUE_AT, sizeof(from) - QUEUE_DUE_AT);
    int r = store_walk(v, &recache_queue_ks, STORE_BY_KEY, str_of(from, QUEUE_DUE_AT),
                       after.p ? str_of(from, sizeof(from)) : STR_NULL, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && n < limit && store_next(c, &item)) {
        if (after.p && str_eq(item.key, after))
            continue;
        r = queue_decode(item.key, item.value, &items[n]);
        if (r == 0) {
            items[n].url = arena_dup(a, items[n].url);
            r = items[n++].url.p ? 0 : -ENOMEM;
        }
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    *ret_n = n;
    return r;
}

static bool comes_before(const recache_entry *x, const recache_entry *y)
{
    if (x->due != y->due)
        return x->due < y->due;
    return x->hash != y->hash ? x->hash < y->hash : x->dimension < y->dimension;
}

/* Both lanes of a priority, in the order of their times. */
static int list_priority(store_view *v, arena *a, uint32_t host, unsigned p, str after, size_t limit,
                         recache_entry *items, size_t *n)
{
    recache_entry *fetched = arena_array(a, recache_entry, limit), *rendered = arena_array(a, recache_entry, limit);
    size_t n_fetched = 0, n_rendered = 0, f = 0, i = 0;

    int r = fetched && rendered ? 0 : -ENOMEM;
    if (r == 0)
        r = list_lane(v, a, host, 2 * p, after, limit, fetched, &n_fetched);
    if (r == 0)
        r = list_lane(v, a, host, 2 * p + 1, after, limit, rendered, &n_rendered);
    while (r == 0 && *n < limit && (f < n_fetched || i < n_rendered)) {
        const bool fetch = i == n_rendered || (f < n_fetched && comes_before(&fetched[f], &rendered[i]));
        items[(*n)++] = fetch ? fetched[f++] : rendered[i++];
    }
    return r;
}

int recache_queue_list(store_view *v, arena *a, uint32_t host, unsigned priorities, str cursor, size_t limit,
                       recache_queue_page *ret_page)
{
    char after[QUEUE_KEY_LEN], last[QUEUE_KEY_LEN];
    recache_entry *items = arena_array(a, recache_entry, limit + 1); /* one more tells whether there are more */
    size_t n = 0;
    int r = items ? 0 : -ENOMEM;

    if (cursor.p && (hex_decode(cursor, after, sizeof(after)) < 0 || be_get(after, 4) != host))
        return -EINVAL;
    const unsigned begin = cursor.p ? LANE_PRIORITY((unsigned char)after[4]) : 0;
    for (unsigned p = begin; r == 0 && p < RECACHE_PRIORITIES && n <= limit; p++)
        if (priorities & 1u << p)
            r = list_priority(v, a, host, p, cursor.p && p == begin ? str_of(after, sizeof(after)) : STR_NULL,
                              limit + 1, items, &n);
    if (r < 0)
        return r;
    recache_queue_page page = {.items = items, .n = n < limit ? n : limit};
    if (n > limit && limit > 0) {
        queue_key(&items[limit - 1], last);
        page.cursor = cursor_text(a, str_of(last, sizeof(last)));
        if (!page.cursor.p)
            return -ENOMEM;
    }
    *ret_page = page;
    return 0;
}

/* ---- dead letters ---- */
int64_t recache_dead_count(store_view *v, uint32_t host)
{
    char bucket[4];

    be_put(bucket, sizeof(bucket), host);
    return store_tally(v, &recache_dead_ks, str_of(bucket, sizeof(bucket)));
}

static int dead_copy(arena *a, str value, recache_dead *out)
{
    const str bytes = arena_dup(a, value);

    return bytes.p ? record_decode(&recache_dead_schema, a, bytes, out) : -ENOMEM;
}

int recache_dead_list(store_view *v, arena *a, uint32_t host, str cursor, size_t limit, recache_dead_page *ret_page)
{
    char after[DEAD_TIME_KEY_LEN], prefix[4];
    recache_dead *items = arena_array(a, recache_dead, limit);
    recache_dead_page page = {.items = items};
    store_cursor *c;
    store_item item;

    be_put(prefix, sizeof(prefix), host);
    if (cursor.p && (hex_decode(cursor, after, sizeof(after)) < 0 || memcmp(after, prefix, 4) != 0))
        return -EINVAL;
    const str from = cursor.p ? str_of(after, sizeof(after)) : STR_NULL;
    if (!items)
        return -ENOMEM;
    int r = store_walk(v, &recache_dead_ks, RECACHE_DEAD_BY_TIME, str_of(prefix, sizeof(prefix)), from, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && store_next(c, &item)) {
        if (from.p && str_eq(item.index_key, from))
            continue;
        if (page.n == limit) {
            page.cursor = cursor_text(a, str_of(after, sizeof(after)));
            r = page.cursor.p ? 0 : -ENOMEM;
            break;
        }
        memcpy(after, item.index_key.p, sizeof(after)); /* `from` has been passed, or is null */
        r = store_item_value(c, &item);
        if (r == 0)
            r = dead_copy(a, item.value, &items[page.n++]);
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    if (r == 0)
        *ret_page = page;
    return r;
}
