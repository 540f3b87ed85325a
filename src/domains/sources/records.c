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

unsigned artifact_type_index(str type)
{
    detect_type t = DETECT_SKILL;

    (void)detect_type_parse(type, &t); /* what is stored came from the same table */
    return t;
}

int artifact_type_parse(str text, str *ret_type)
{
    detect_type t;

    if (!detect_type_parse(text, &t))
        return -EINVAL;
    *ret_type = detect_type_name(t);
    return 0;
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
    arena_done(&a);
    return r;
}

static const char *const source_indexes[] = {
    [SOURCES_BY_NEXT_SCAN] = "next_scan",
    [SOURCES_BY_SCANNING] = "scanning",
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
static str entry_cover_make(const entry *e, char out[3])
{
    out[0] = (char)artifact_type_index(e->artifact_type);
    out[1] = (char)entry_status_of(e);
    out[2] = (char)e->confidence_score;
    return str_of(out, 3);
}

bool entry_cover_read(str cover, entry_cover *ret_cover)
{
    if (cover.n != 3)
        return false;
    ret_cover->type = (uint8_t)cover.p[0];
    ret_cover->status = (uint8_t)cover.p[1];
    ret_cover->confidence = (uint8_t)cover.p[2];
    return ret_cover->type < DETECT_TYPE_COUNT && ret_cover->status < ENTRY_STATUSES;
}

/* Names are cut where a key would grow too long: the id at the end keeps it unique. */
#define NAME_IN_KEY 200

static void parts_name(store_key *k, const entry *e)
{
    store_key_str(k, str_head(e->name, NAME_IN_KEY));
}
static void parts_type_name(store_key *k, const entry *e)
{
    store_key_u8(k, (uint8_t)artifact_type_index(e->artifact_type));
    parts_name(k, e);
}
static void parts_source_confidence(store_key *k, const entry *e)
{
    store_key_str(k, e->source_id);
    store_key_u8(k, (uint8_t)e->confidence_score);
}
static void parts_source_name(store_key *k, const entry *e)
{
    store_key_str(k, e->source_id);
    parts_name(k, e);
}
static void parts_source_date(store_key *k, const entry *e)
{
    store_key_str(k, e->source_id);
    store_key_u64(k, (uint64_t)e->detected_at);
}

/* The orders: the parts of each index's key, which ends with the entry's id; some hold live entries only. */
static const struct {
    bool only_live;
    void (*parts)(store_key *k, const entry *e);
} ENTRY_ORDERS[] = {
    [ENTRIES_BY_NAME] = {true, parts_name},
    [ENTRIES_BY_TYPE_NAME] = {true, parts_type_name},
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
    const unsigned type = artifact_type_index(e->artifact_type);
    char cover[3], type_bucket[2];
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
    [ENTRIES_BY_SOURCE_CONFIDENCE] = "source_confidence",
    [ENTRIES_BY_SOURCE_NAME] = "source_name",
    [ENTRIES_BY_SOURCE_DATE] = "source_date",
};
keyspace entries_ks = {
    .name = "entries",
    .indexes = entry_indexes,
    .n_indexes = COUNT_OF(entry_indexes),
    .emit = entry_emit,
    .emit_version = 1,
};

int64_t entries_live(store_view *v, str type)
{
    char bucket[2];

    if (!type.p)
        return store_tally(v, &entries_ks, STR("live"));
    return store_tally(v, &entries_ks, bucket_live_type(artifact_type_index(type), bucket));
}

int64_t entry_tally(store_view *v, str source_id, unsigned type, entry_status status)
{
    store_key k;

    return store_tally(v, &entries_ks, bucket_source(source_id, type, status, &k));
}

int64_t entries_of_source(store_view *v, str source_id)
{
    int64_t n = 0;

    for (unsigned type = 0; type < DETECT_TYPE_COUNT; type++)
        for (unsigned status = 0; status < ENTRY_STATUSES; status++)
            n += entry_tally(v, source_id, type, (entry_status)status);
    return n;
}

/* ---- loading and storing ---- */
static int load(store_view *v, const keyspace *ks, const schema *s, arena *a, str key, void *ret)
{
    str value;

    if (key.n == 0 || key.n > STORE_KEY_MAX)
        return -ENOENT;
    int r = store_get(v, ks, key, &value);
    return r < 0 ? r : record_decode(s, a, value, ret);
}

static int put(store_txn *t, const keyspace *ks, const schema *s, str key, const void *value)
{
    buf b = BUF_INIT;

    record_encode(s, value, &b);
    int r = b.err ? b.err : store_put(t, ks, key, buf_view(&b));
    buf_done(&b);
    return r;
}

int source_load(store_view *v, arena *a, str id, source *ret_source)
{
    return load(v, &sources_ks, &source_schema, a, id, ret_source);
}

int entry_load(store_view *v, arena *a, str id, entry *ret_entry)
{
    return load(v, &entries_ks, &entry_schema, a, id, ret_entry);
}

int source_put(store_txn *t, const source *s)
{
    return put(t, &sources_ks, &source_schema, s->id, s);
}

int entry_put(store_txn *t, const entry *e)
{
    return put(t, &entries_ks, &entry_schema, e->id, e);
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

static str validator_key(str fingerprint, str url_path, uint8_t out[SHA256_LEN])
{
    sha s; /* paths may be longer than a key */

    sha256_init(&s);
    sha256_add(&s, fingerprint.p, fingerprint.n);
    sha256_add(&s, " ", 1);
    sha256_add(&s, url_path.p, url_path.n);
    sha256_end(&s, out);
    return str_of((const char *)out, SHA256_LEN);
}

int validator_load(store_view *v, arena *a, str fingerprint, str url_path, validator *ret_validator)
{
    uint8_t key[SHA256_LEN];

    return load(v, &validators_ks, &validator_schema, a, validator_key(fingerprint, url_path, key), ret_validator);
}

int validator_put(store_txn *t, str fingerprint, str url_path, const validator *value)
{
    uint8_t key[SHA256_LEN];

    return put(t, &validators_ks, &validator_schema, validator_key(fingerprint, url_path, key), value);
}
