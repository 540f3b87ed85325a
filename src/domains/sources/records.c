/* Keyspaces of this room: records, their indexes and tallies. */
#include "records.h"

#include "larder/hash.h"

SCHEMA(source, SOURCE_FIELDS, "A GitHub repository that is scanned for artifacts");
SCHEMA(entry, ENTRY_FIELDS, "An artifact found in a source");
SCHEMA(scan_result, SCAN_RESULT_FIELDS, "What a scan found");
SCHEMA(validator, VALIDATOR_FIELDS, "What to ask GitHub conditionally with");
SCHEMA(source_create, SOURCE_CREATE_FIELDS, "A source to register");
SCHEMA(source_update, SOURCE_UPDATE_FIELDS, "Changes to a source: what is absent or null stays");

/* ---- names for small numbers ---- */
static const str STATUS_TEXT[ENTRY_STATUSES] = {
    [ENTRY_NEW] = {"new", 3},           [ENTRY_UPDATED] = {"updated", 7},   [ENTRY_REMOVED] = {"removed", 7},
    [ENTRY_IMPORTED] = {"imported", 8}, [ENTRY_EXCLUDED] = {"excluded", 8},
};
str entry_status_text(entry_status s)
{
    return STATUS_TEXT[s];
}

entry_status entry_status_of(const entry *e)
{
    for (unsigned i = 0; i < ENTRY_STATUSES; i++)
        if (str_eq(e->status, STATUS_TEXT[i]))
            return (entry_status)i;
    return ENTRY_EXCLUDED; /* a record of an unknown future status is not shown */
}

/* ---- entry ids ---- */
void entry_prefix(str source_id, char out[ENTRY_PREFIX_LEN])
{
    uint8_t digest[SHA256_LEN];

    sha256(source_id.p, source_id.n, digest);
    memcpy(out, "cat_", 4);
    base32_encode(digest, 5, out + 4);
}

void entry_id_make(str source_id, str type, str path, char out[ENTRY_ID_LEN])
{
    uint8_t digest[SHA256_LEN];
    sha s;

    sha256_init(&s);
    sha256_add(&s, type.p, type.n);
    sha256_add(&s, "", 1);
    sha256_add(&s, path.p, path.n);
    sha256_end(&s, digest);
    entry_prefix(source_id, out);
    base32_encode(digest, 10, out + ENTRY_PREFIX_LEN);
}

/* ---- sources: by id; found for rescans by when they are due, and at start by what was under way ---- */
static int source_emit(str key, str value, store_emit *out)
{
    arena a;
    source s = {0};
    store_key k;

    arena_init(&a, 0);
    int r = record_decode(&source_schema, &a, value, &s);
    if (r == 0 && str_eq(s.scan_status, STR("scanning"))) {
        store_emit_entry(out, SOURCES_BY_SCANNING, key, STR_NULL);
    } else if (r == 0) {
        store_key_init(&k);
        store_key_u64(&k, (uint64_t)s.next_scan_at);
        store_key_tail(&k, key);
        store_emit_entry(out, SOURCES_BY_NEXT_SCAN, store_key_view(&k), STR_NULL);
    }
    if (r == 0 && s.last_sync_at) {
        store_key_init(&k);
        store_key_u64(&k, (uint64_t)s.last_sync_at);
        store_key_tail(&k, key);
        store_emit_entry(out, SOURCES_BY_LAST_SYNC, store_key_view(&k), STR_NULL);
    }
    arena_done(&a);
    return r;
}

static const char *const source_indexes[] = {
    [SOURCES_BY_NEXT_SCAN] = "next_scan",
    [SOURCES_BY_SCANNING] = "scanning",
    [SOURCES_BY_LAST_SYNC] = "last_sync",
};
keyspace sources_ks = {
    .name = "sources",
    .indexes = source_indexes,
    .n_indexes = COUNT_OF(source_indexes),
    .emit = source_emit,
    .emit_version = 1,
};
keyspace validators_ks = {.name = "validators"};

/* ---- entries ---- */
#define COVER_LEN \
    11 /* type, status, confidence, updated_at in the machine's byte order: a store stays on its machine */

static str entry_cover_make(const entry *e, char out[COVER_LEN])
{
    out[0] = (char)artifact_type_number(e->artifact_type);
    out[1] = (char)entry_status_of(e);
    out[2] = (char)e->confidence_score;
    memcpy(out + 3, &e->updated_at, sizeof(e->updated_at));
    return str_of(out, COVER_LEN);
}

bool entry_cover_read(str cover, entry_cover *ret_cover)
{
    if (cover.n != COVER_LEN)
        return false;
    ret_cover->type = (uint8_t)cover.p[0];
    ret_cover->status = (uint8_t)cover.p[1];
    ret_cover->confidence = (uint8_t)cover.p[2];
    memcpy(&ret_cover->updated_at, cover.p + 3, sizeof(ret_cover->updated_at));
    return ret_cover->type < ARTIFACT_TYPE_COUNT && ret_cover->status < ENTRY_STATUSES;
}

/* Names are cut where a key would grow too long: the id at the end keeps it unique. */
#define NAME_IN_KEY 200
#define PATH_IN_KEY 150

static void parts_name(store_key *k, const entry *e)
{
    store_key_str(k, str_head(e->name, NAME_IN_KEY));
}
static void parts_type_name(store_key *k, const entry *e)
{
    store_key_u8(k, (uint8_t)artifact_type_number(e->artifact_type));
    parts_name(k, e);
}
static void parts_updated(store_key *k, const entry *e)
{
    store_key_u64(k, (uint64_t)e->updated_at);
}
/* Highest, or newest, first; then by path. */
static void parts_source_confidence(store_key *k, const entry *e)
{
    store_key_str(k, e->source_id);
    store_key_u8(k, (uint8_t)(100 - e->confidence_score));
    store_key_str(k, str_head(e->path, PATH_IN_KEY));
}
static void parts_source_name(store_key *k, const entry *e)
{
    store_key_str(k, e->source_id);
    parts_name(k, e);
}
static void parts_source_date(store_key *k, const entry *e)
{
    store_key_str(k, e->source_id);
    store_key_u64(k, ~(uint64_t)e->detected_at);
    store_key_str(k, str_head(e->path, PATH_IN_KEY));
}

/* The orders: the parts of each index's key, which ends with the entry's id; some hold live entries only. */
static const struct {
    bool only_live;
    void (*parts)(store_key *k, const entry *e);
} ENTRY_ORDERS[] = {
    [ENTRIES_BY_NAME] = {true, parts_name},
    [ENTRIES_BY_TYPE_NAME] = {true, parts_type_name},
    [ENTRIES_BY_UPDATED] = {true, parts_updated},
    [ENTRIES_BY_SOURCE_CONFIDENCE] = {false, parts_source_confidence},
    [ENTRIES_BY_SOURCE_NAME] = {false, parts_source_name},
    [ENTRIES_BY_SOURCE_DATE] = {false, parts_source_date},
};

/* Buckets: "live", 'T' type (live), and 'S' type status source (all rows). */
static str bucket_live_type(unsigned type, char out[2])
{
    out[0] = 'T';
    out[1] = (char)type;
    return str_of(out, 2);
}

static str bucket_source(str source_id, unsigned type, entry_status status, store_key *k)
{
    store_key_init(k);
    store_key_u8(k, 'S');
    store_key_u8(k, (uint8_t)type);
    store_key_u8(k, (uint8_t)status);
    store_key_tail(k, source_id);
    return store_key_view(k);
}

void entry_order_key(int order, const entry *e, store_key *k)
{
    store_key_init(k);
    ENTRY_ORDERS[order].parts(k, e);
    store_key_tail(k, e->id);
}

static void entry_emit_all(const entry *e, store_emit *out)
{
    const bool live = entry_is_live(e);
    const unsigned type = artifact_type_number(e->artifact_type);
    char cover[COVER_LEN], type_bucket[2];
    store_key k;

    for (unsigned i = 0; i < COUNT_OF(ENTRY_ORDERS); i++) {
        if (ENTRY_ORDERS[i].only_live && !live)
            continue;
        entry_order_key((int)i, e, &k);
        store_emit_entry(out, i, store_key_view(&k), entry_cover_make(e, cover));
    }
    if (live) {
        store_emit_bucket(out, STR("live"));
        store_emit_bucket(out, bucket_live_type(type, type_bucket));
    }
    store_emit_bucket(out, bucket_source(e->source_id, type, entry_status_of(e), &k));
}

static int entry_emit(str key, str value, store_emit *out)
{
    arena a;
    entry e = {0};

    (void)key; /* the record holds its id */
    arena_init(&a, 0);
    int r = record_decode(&entry_schema, &a, value, &e);
    if (r == 0)
        entry_emit_all(&e, out);
    arena_done(&a);
    return r;
}

static const char *const entry_indexes[] = {
    [ENTRIES_BY_NAME] = "name",
    [ENTRIES_BY_TYPE_NAME] = "type_name",
    [ENTRIES_BY_UPDATED] = "updated",
    [ENTRIES_BY_SOURCE_CONFIDENCE] = "source_confidence",
    [ENTRIES_BY_SOURCE_NAME] = "source_name",
    [ENTRIES_BY_SOURCE_DATE] = "source_date",
};
keyspace entries_ks = {
    .name = "entries",
    .indexes = entry_indexes,
    .n_indexes = COUNT_OF(entry_indexes),
    .emit = entry_emit,
    .emit_version = 2,
};

int64_t entries_live(store_view *v, str type)
{
    char bucket[2];

    if (!type.p)
        return store_tally(v, &entries_ks, STR("live"));
    return store_tally(v, &entries_ks, bucket_live_type(artifact_type_number(type), bucket));
}

int64_t entry_tally(store_view *v, str source_id, unsigned type, entry_status status)
{
    store_key k;

    return store_tally(v, &entries_ks, bucket_source(source_id, type, status, &k));
}

int64_t entries_of_source(store_view *v, str source_id)
{
    int64_t n = 0;

    for (unsigned type = 0; type < ARTIFACT_TYPE_COUNT; type++)
        for (unsigned status = 0; status < ENTRY_STATUSES; status++)
            n += entry_tally(v, source_id, type, (entry_status)status);
    return n;
}

/* ---- loading and storing ---- */
int source_load(store_view *v, arena *a, str id, source *ret_source)
{
    return record_load(v, &sources_ks, &source_schema, a, id, ret_source);
}

int entry_load(store_view *v, arena *a, str id, entry *ret_entry)
{
    return record_load(v, &entries_ks, &entry_schema, a, id, ret_entry);
}

int source_put(store_txn *t, const source *s)
{
    return record_put(t, &sources_ks, &source_schema, s->id, s);
}

int entry_put(store_txn *t, const entry *e)
{
    return record_put(t, &entries_ks, &entry_schema, e->id, e);
}

bool entry_equal(const entry *a, const entry *b)
{
    buf x = BUF_INIT, y = BUF_INIT;

    record_encode(&entry_schema, a, &x);
    record_encode(&entry_schema, b, &y);
    const bool equal = !x.err && !y.err && str_eq(buf_view(&x), buf_view(&y));
    buf_done(&x);
    buf_done(&y);
    return equal;
}

int validator_load(store_view *v, arena *a, str source_id, str asked, validator *ret_validator)
{
    validator found = {0};

    int r = record_load(v, &validators_ks, &validator_schema, a, source_id, &found);
    if (r == 0 && !str_eq(found.asked, asked))
        r = -ENOENT;
    if (r == 0)
        *ret_validator = found;
    return r;
}

int validator_put(store_txn *t, str source_id, const validator *value)
{
    return record_put(t, &validators_ks, &validator_schema, source_id, value);
}

/* The time at one end of an index whose keys begin with it; 0 when it is empty. */
static int64_t time_at_end(store_view *v, const keyspace *ks, int index, bool last)
{
    store_cursor *c = NULL;
    store_item item;
    uint64_t at = 0;

    if (store_walk(v, ks, index, STR_NULL, STR_NULL, last, &c) == 0 && store_next(c, &item))
        (void)store_key_cut_u64(&item.index_key, &at);
    store_cursor_end(c);
    return (int64_t)at;
}

void sources_times_of(store_view *v, sources_times *ret_times)
{
    *ret_times = (sources_times){
        .oldest_entry = time_at_end(v, &entries_ks, ENTRIES_BY_UPDATED, false),
        .newest_entry = time_at_end(v, &entries_ks, ENTRIES_BY_UPDATED, true),
        .last_sync = time_at_end(v, &sources_ks, SOURCES_BY_LAST_SYNC, true),
        .next_scan = time_at_end(v, &sources_ks, SOURCES_BY_NEXT_SCAN, false),
    };
}

/* ---- all live entries, for search ---- */
/* Prefixes of the ids of entries whose sources are not indexed. */
static int list_hidden(store_view *v, arena *a, str *ret_prefixes)
{
    buf found = BUF_INIT;
    store_cursor *c = NULL;
    store_item item;
    arena scratch;

    arena_init(&scratch, 0);
    int r = store_walk(v, &sources_ks, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c);
    while (r == 0 && store_next(c, &item)) {
        source s = {0};
        char prefix[ENTRY_PREFIX_LEN];
        r = record_decode(&source_schema, &scratch, item.value, &s);
        if (r == 0 && !s.indexing_enabled) {
            entry_prefix(s.id, prefix);
            buf_put(&found, prefix, sizeof(prefix));
        }
        arena_reset(&scratch);
    }
    if (r == 0)
        r = found.err ? found.err : store_cursor_error(c);
    store_cursor_end(c);
    arena_done(&scratch);
    if (r == 0 && found.n) {
        *ret_prefixes = arena_dup(a, buf_view(&found));
        r = ret_prefixes->p ? 0 : -ENOMEM;
    }
    buf_done(&found);
    return r;
}

static bool is_hidden(str prefixes, str id)
{
    for (size_t at = 0; at < prefixes.n; at += ENTRY_PREFIX_LEN)
        if (str_starts(id, str_of(prefixes.p + at, ENTRY_PREFIX_LEN)))
            return true;
    return false;
}

/* From the index entry alone, but for names that were cut there. */
static int live_of(store_cursor *c, store_item *item, arena *a, entry_live *ret)
{
    str rest = item->index_key, name;
    entry_cover cover;
    entry e = {0};

    int r = store_key_cut_str(&rest, a, &name);
    if (r == 0 && !entry_cover_read(item->cover, &cover))
        r = -EPROTO;
    if (r == 0 && name.n >= NAME_IN_KEY) {
        r = store_item_value(c, item);
        if (r == 0)
            r = record_decode(&entry_schema, a, item->value, &e);
        name = e.name;
    }
    if (r == 0)
        *ret = (entry_live){item->key, name, cover.type, cover.updated_at};
    return r;
}

int entries_live_each(store_view *v, int (*fn)(void *arg, const entry_live *e), void *arg)
{
    SCOPED(arena_done) arena a;
    SCOPED(arena_done) arena scratch;
    store_cursor *c = NULL;
    store_item item;
    str hidden = STR_NULL;

    arena_init(&a, 0);
    arena_init(&scratch, 0);
    int r = list_hidden(v, &a, &hidden);
    if (r == 0)
        r = store_walk(v, &entries_ks, ENTRIES_BY_NAME, STR_NULL, STR_NULL, false, &c);
    while (r == 0 && store_next(c, &item)) {
        entry_live e;
        if (is_hidden(hidden, item.key))
            continue;
        r = live_of(c, &item, &scratch, &e);
        if (r == 0)
            r = fn(arg, &e);
        arena_reset(&scratch);
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    return r;
}
