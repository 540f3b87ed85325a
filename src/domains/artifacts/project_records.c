/* Keyspaces of projects and their artifacts: records, indexes and tallies. */
#include "project_records.h"

#include "larder/hash.h"

SCHEMA(project, PROJECT_FIELDS, "A folder with deployed artifacts");
SCHEMA(artifact, ARTIFACT_FIELDS, "An artifact deployed in a project");
SCHEMA(report_artifact, REPORT_ARTIFACT_FIELDS, "An artifact as it is deployed");
SCHEMA(project_report, PROJECT_REPORT_FIELDS, "All that a project holds: replaces what was known of it");
SCHEMA(project_change, PROJECT_CHANGE_FIELDS, "A large change of a project's content, under way");
SCHEMA(refresh_state, REFRESH_STATE_FIELDS, "What the scheduler remembers over a restart");

/* ---- ids ---- */
artifact_prefix artifact_prefix_of(str project_id)
{
    uint8_t digest[SHA256_LEN];
    char text[BASE32_LEN(8)];
    artifact_prefix p;

    sha256(project_id.p, project_id.n, digest);
    base32_encode(digest, 8, text);
    memcpy(p.bytes, "art_", 4);
    memcpy(p.bytes + 4, text, ARTIFACT_PREFIX_LEN - 4);
    return p;
}

artifact_id artifact_id_of(const artifact_prefix *prefix, str type, str name)
{
    uint8_t digest[SHA256_LEN];
    char text[BASE32_LEN(8)];
    artifact_id id;
    sha s;

    sha256_init(&s);
    sha256_add(&s, type.p, type.n);
    sha256_add(&s, "", 1);
    sha256_add(&s, name.p, name.n);
    sha256_end(&s, digest);
    base32_encode(digest, 8, text);
    memcpy(id.bytes, prefix->bytes, ARTIFACT_PREFIX_LEN);
    memcpy(id.bytes + ARTIFACT_PREFIX_LEN, text, ARTIFACT_ID_LEN - ARTIFACT_PREFIX_LEN);
    return id;
}

artifact_key artifact_key_of(str id, bool other)
{
    artifact_key k = {.n = id.n < ARTIFACT_ID_LEN ? id.n : ARTIFACT_ID_LEN};

    memcpy(k.bytes, id.p, k.n);
    if (other)
        k.bytes[k.n++] = '~';
    return k;
}

/* ---- projects ---- */
project_standing project_standing_of(const project *p)
{
    if (str_eq(p->status, STR("error")))
        return STANDS_ERROR;
    return p->marked || !p->last_fetched ? STANDS_STALE : STANDS_BY_TIME;
}

#define PROJECT_COVER_LEN 9 /* numbers in covers have the machine's byte order: a store stays on its machine */

static str project_cover_make(const project *p, char out[PROJECT_COVER_LEN])
{
    out[0] = (char)project_standing_of(p);
    memcpy(out + 1, &p->last_fetched, sizeof(p->last_fetched));
    return str_of(out, PROJECT_COVER_LEN);
}

int project_cover_read(str cover, project_cover *ret_cover)
{
    if (cover.n != PROJECT_COVER_LEN || (uint8_t)cover.p[0] >= STANDINGS)
        return -EPROTO;
    ret_cover->standing = (uint8_t)cover.p[0];
    memcpy(&ret_cover->last_fetched, cover.p + 1, sizeof(ret_cover->last_fetched));
    return 0;
}

/* Projects that stand by time are counted by when they were fetched, in spans of 2^10, 2^15 .. 2^35 ms: how many are
 * older than any time is then a sum of a few counts, and a walk through the last second. */
#define SPAN_LEVELS 6
#define SPAN_SHIFT(level) (10 + 5 * (level))

static str bucket_standing(project_standing s, char out[2])
{
    out[0] = 's';
    out[1] = (char)s;
    return str_of(out, 2);
}

static str bucket_span(unsigned level, int64_t time, store_key *k)
{
    store_key_init(k);
    store_key_u8(k, 't');
    store_key_u8(k, (uint8_t)level);
    store_key_u64(k, (uint64_t)time >> SPAN_SHIFT(level));
    return store_key_view(k);
}

static void emit_time(store_emit *out, unsigned index, int64_t time, str id, str cover)
{
    store_key k;

    if (!time)
        return;
    store_key_init(&k);
    store_key_u64(&k, (uint64_t)time);
    store_key_tail(&k, id);
    store_emit_entry(out, index, store_key_view(&k), cover);
}

static void project_emit_all(const project *p, store_emit *out)
{
    const project_standing standing = project_standing_of(p);
    char cover[PROJECT_COVER_LEN], bucket[2];
    store_key k;

    project_cover_make(p, cover);
    store_key_init(&k);
    store_key_str(&k, str_head(p->name, NAME_IN_KEY));
    store_key_tail(&k, p->id);
    store_emit_entry(out, PROJECTS_BY_NAME, store_key_view(&k), str_of(cover, sizeof(cover)));
    emit_time(out, PROJECTS_BY_FETCHED, p->last_fetched, p->id, str_of(cover, sizeof(cover)));
    emit_time(out, PROJECTS_BY_NEXT_REFRESH, p->next_refresh_at, p->id, STR_NULL);
    emit_time(out, PROJECTS_BY_CREATED, p->created_at, p->id, STR_NULL);
    if (!p->last_fetched && !p->marked && !p->failures)
        emit_time(out, PROJECTS_NEW, p->next_refresh_at, p->id, STR_NULL);
    store_emit_bucket(out, bucket_standing(standing, bucket));
    if (standing == STANDS_BY_TIME)
        for (unsigned level = 0; level < SPAN_LEVELS; level++)
            store_emit_bucket(out, bucket_span(level, p->last_fetched, &k));
}

static int project_emit(str key, str value, store_emit *out)
{
    arena a;
    project p = {0};

    (void)key; /* the record holds its id */
    arena_init(&a, 0);
    const int r = record_decode(&project_schema, &a, value, &p);
    if (r == 0)
        project_emit_all(&p, out);
    arena_done(&a);
    return r;
}

static const char *const project_indexes[] = {
    [PROJECTS_BY_NAME] = "name",
    [PROJECTS_BY_FETCHED] = "fetched",
    [PROJECTS_BY_NEXT_REFRESH] = "next_refresh",
    [PROJECTS_BY_CREATED] = "created",
    [PROJECTS_NEW] = "new",
};
keyspace projects_ks = {
    .name = "projects",
    .indexes = project_indexes,
    .n_indexes = COUNT_OF(project_indexes),
    .emit = project_emit,
    .emit_version = 2,
};

int64_t projects_standing(store_view *v, project_standing s)
{
    char bucket[2];

    return store_tally(v, &projects_ks, bucket_standing(s, bucket));
}

/* Walks the index from `from` up to `to`. */
static int count_one_by_one(store_view *v, int64_t from, int64_t to, int64_t *ret_n)
{
    store_key k;
    store_cursor *c = NULL;
    store_item item;
    int64_t n = 0;
    uint64_t at = 0;

    store_key_init(&k);
    store_key_u64(&k, (uint64_t)from);
    int r = store_walk(v, &projects_ks, PROJECTS_BY_FETCHED, STR_NULL, store_key_view(&k), false, &c);
    while (r == 0 && store_next(c, &item)) {
        project_cover cover = {0};
        str rest = item.index_key;
        r = store_key_cut_u64(&rest, &at);
        if (r == 0)
            r = project_cover_read(item.cover, &cover);
        if (r == 0 && (int64_t)at >= to)
            break;
        n += cover.standing == STANDS_BY_TIME;
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    if (r == 0)
        *ret_n = n;
    return r;
}

static int first_fetched(store_view *v, int64_t *ret_time)
{
    store_cursor *c = NULL;
    store_item item;
    uint64_t at = INT64_MAX;

    int r = store_walk(v, &projects_ks, PROJECTS_BY_FETCHED, STR_NULL, STR_NULL, false, &c);
    if (r == 0 && store_next(c, &item))
        r = store_key_cut_u64(&item.index_key, &at);
    else if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    *ret_time = (int64_t)at;
    return r;
}

int projects_fetched_before(store_view *v, int64_t time, int64_t *ret_n)
{
    const int64_t second = INT64_C(1) << SPAN_SHIFT(0);
    int64_t n = 0, at = 0, rest = 0;
    store_key k;

    int r = first_fetched(v, &at);
    if (r < 0)
        return r;
    at -= at % second;
    while (r == 0 && at < time) {
        unsigned level = SPAN_LEVELS; /* the longest span that begins here and ends in time */
        while (level > 0 &&
               (at % (INT64_C(1) << SPAN_SHIFT(level - 1)) != 0 || at > time - (INT64_C(1) << SPAN_SHIFT(level - 1))))
            level--;
        if (level == 0) {
            r = count_one_by_one(v, at, time, &rest);
            n += rest;
            break;
        }
        n += store_tally(v, &projects_ks, bucket_span(level - 1, at, &k));
        at += INT64_C(1) << SPAN_SHIFT(level - 1);
    }
    if (r == 0)
        *ret_n = n;
    return r;
}

/* ---- artifacts ---- */
#define COVER_HEAD 3 /* state, type, difference */
#define COVER_MAX STORE_KEY_MAX

int artifact_cover_read(str cover, artifact_cover *ret_cover)
{
    if (cover.n < COVER_HEAD)
        return -EPROTO;
    *ret_cover = (artifact_cover){(uint8_t)cover.p[0], (uint8_t)cover.p[1], (uint8_t)cover.p[2],
                                  str_from(cover, COVER_HEAD)};
    return ret_cover->state < ROW_STATES && ret_cover->type < ARTIFACT_TYPE_COUNT ? 0 : -EPROTO;
}

/* Buckets: 'g' state outdated type for all projects, 'p' the same with the project's prefix behind it, both once more
 * with ANY_TYPE; 'n' prefix. */
static str bucket_rows(row_state state, bool outdated, unsigned type, str prefix, store_key *k)
{
    store_key_init(k);
    store_key_u8(k, prefix.p ? 'p' : 'g');
    store_key_u8(k, (uint8_t)state);
    store_key_u8(k, outdated);
    store_key_u8(k, (uint8_t)type);
    store_key_tail(k, prefix);
    return store_key_view(k);
}

static str bucket_project(str prefix, store_key *k)
{
    store_key_init(k);
    store_key_u8(k, 'n');
    store_key_tail(k, prefix);
    return store_key_view(k);
}

typedef struct sorting { /* of an artifact, as keys have them */
    str name, project;
} sorting;

/* Without its case; `scratch` holds the text. -ENOMEM */
static int name_in_key(str name, buf *scratch, str *ret_text)
{
    const str folded = name.p ? str_fold(name, scratch) : STR("");

    *ret_text = str_head(folded, NAME_IN_KEY);
    return folded.p ? 0 : -ENOMEM;
}

static void emit_order(store_emit *out, unsigned index, store_key *k, const sorting *s, str key, str cover)
{
    store_key_str(k, s->name);
    store_key_tail(k, key);
    store_emit_entry(out, index, store_key_view(k), cover);
}

size_t repo_in_key(str owner, str repo, char out[REPO_IN_KEY])
{
    const str parts[] = {owner, STR("/"), repo};
    size_t n = 0;

    if (owner.n + repo.n + 1 > REPO_IN_KEY)
        return 0;
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        for (size_t k = 0; k < parts[i].n; k++)
            out[n++] = parts[i].p[k] >= 'A' && parts[i].p[k] <= 'Z' ? (char)(parts[i].p[k] - 'A' + 'a') : parts[i].p[k];
    return n;
}

static void emit_upstream(const artifact *a, str key, store_emit *out)
{
    artifact_source of;
    store_key k;
    char repo[REPO_IN_KEY];

    if (!a->source.n || artifact_source_parse(a->source, &of) < 0)
        return;
    const size_t n = repo_in_key(of.owner, of.repo, repo);
    if (n == 0)
        return;
    store_key_init(&k);
    store_key_str(&k, str_of(repo, n));
    store_key_tail(&k, key);
    store_emit_entry(out, ARTIFACTS_BY_UPSTREAM, store_key_view(&k), STR_NULL);
}

/* `cover`: the whole one. */
static void artifact_emit_all(const artifact *a, const sorting *s, str key, str cover, store_emit *out)
{
    const unsigned type = artifact_type_number(a->type);
    const row_state state = (row_state)a->state;
    const str prefix = str_head(key, ARTIFACT_PREFIX_LEN);
    store_key k;

    store_key_init(&k);
    store_key_u8(&k, a->is_outdated);
    emit_order(out, ARTIFACTS_BY_NAME, &k, s, key, cover);
    store_key_init(&k);
    store_key_u8(&k, a->is_outdated);
    store_key_u8(&k, (uint8_t)type);
    emit_order(out, ARTIFACTS_BY_TYPE, &k, s, key, cover);
    store_key_init(&k);
    store_key_u8(&k, a->is_outdated);
    store_key_tail(&k, prefix);
    emit_order(out, ARTIFACTS_BY_PROJECT, &k, s, key, str_head(cover, COVER_HEAD));
    if (a->is_outdated) {
        store_key_init(&k);
        store_key_str(&k, s->project);
        emit_order(out, OUTDATED_BY_PROJECT, &k, s, key, cover);
        store_key_init(&k);
        store_key_u8(&k, (uint8_t)a->difference);
        emit_order(out, OUTDATED_BY_DIFFERENCE, &k, s, key, cover);
    }
    emit_upstream(a, key, out);
    if (state != ROW_SETTLED)
        store_emit_entry(out, ARTIFACTS_UNSETTLED, key, STR_NULL);
    for (size_t i = 0; i < 2; i++) {
        store_emit_bucket(out, bucket_rows(state, a->is_outdated, i ? ANY_TYPE : type, STR_NULL, &k));
        store_emit_bucket(out, bucket_rows(state, a->is_outdated, i ? ANY_TYPE : type, prefix, &k));
    }
    store_emit_bucket(out, bucket_project(prefix, &k));
}

static void cover_write(const artifact *a, const sorting *s, buf *out)
{
    artifact shown = *a;

    buf_char(out, (char)a->state);
    buf_char(out, (char)artifact_type_number(a->type));
    buf_char(out, (char)a->difference);
    shown.id = shown.type = STR_NULL;
    if (str_eq(a->name, s->name))
        shown.name = STR_NULL;
    record_encode_first(&artifact_schema, ARTIFACT_SHOWN_FIELDS, &shown, out);
    if (out->n > COVER_MAX)
        out->n = COVER_HEAD;
}

static int artifact_emit(str key, str value, store_emit *out)
{
    arena a;
    artifact row = {0};
    buf cover = BUF_INIT, name = BUF_INIT, project_name = BUF_INIT;
    sorting s;

    arena_init(&a, 0);
    int r = record_decode(&artifact_schema, &a, value, &row);
    if (r == 0 && (row.state < 0 || row.state >= ROW_STATES || row.difference < 0 || row.difference > VERSION_MAJOR))
        r = -EPROTO;
    if (r == 0)
        r = name_in_key(row.name, &name, &s.name);
    if (r == 0)
        r = name_in_key(row.project_name, &project_name, &s.project);
    if (r == 0)
        cover_write(&row, &s, &cover);
    if (r == 0)
        r = cover.err;
    if (r == 0)
        artifact_emit_all(&row, &s, key, buf_view(&cover), out);
    buf_done(&project_name);
    buf_done(&name);
    buf_done(&cover);
    arena_done(&a);
    return r;
}

static const char *const artifact_indexes[] = {
    [ARTIFACTS_BY_NAME] = "name",
    [ARTIFACTS_BY_TYPE] = "type",
    [ARTIFACTS_BY_PROJECT] = "project",
    [OUTDATED_BY_PROJECT] = "outdated_project",
    [OUTDATED_BY_DIFFERENCE] = "outdated_difference",
    [ARTIFACTS_BY_UPSTREAM] = "upstream",
    [ARTIFACTS_UNSETTLED] = "unsettled",
};
keyspace artifacts_ks = {
    .name = "artifacts",
    .indexes = artifact_indexes,
    .n_indexes = COUNT_OF(artifact_indexes),
    .emit = artifact_emit,
    .emit_version = 4,
};

int64_t artifact_tally(store_view *v, row_state state, bool outdated, unsigned type, const artifact_prefix *of)
{
    store_key k;

    return store_tally(v, &artifacts_ks,
                       bucket_rows(state, outdated, type, of ? artifact_prefix_view(of) : STR_NULL, &k));
}

int64_t artifacts_of_project(store_view *v, const artifact_prefix *of)
{
    store_key k;

    return store_tally(v, &artifacts_ks, bucket_project(artifact_prefix_view(of), &k));
}

/* ---- loading and storing ---- */
keyspace refresh_state_ks = {.name = "refresh_state"};
keyspace project_changes_ks = {.name = "project_changes"};
#define THE_CHANGE STR("large")

int project_load(store_view *v, arena *a, str id, project *ret_project)
{
    project p = {0};

    const int r = record_load(v, &projects_ks, &project_schema, a, id, &p);
    if (r == 0)
        *ret_project = p;
    return r;
}

int project_put(store_txn *t, const project *p)
{
    return record_put(t, &projects_ks, &project_schema, p->id, p);
}

int project_change_load(store_view *v, arena *a, project_change *ret_change)
{
    *ret_change = (project_change){0};
    return record_load(v, &project_changes_ks, &project_change_schema, a, THE_CHANGE, ret_change);
}

int project_change_put(store_txn *t, const project_change *c)
{
    return c ? record_put(t, &project_changes_ks, &project_change_schema, THE_CHANGE, c)
             : store_del(t, &project_changes_ks, THE_CHANGE);
}

int rows_shown(store_view *v, row_state *ret_state)
{
    SCOPED(arena_done) arena a;
    project_change c;

    arena_init(&a, 0);
    const int r = project_change_load(v, &a, &c);
    if (r == -ENOENT)
        *ret_state = ROW_SETTLED;
    else if (r == 0)
        *ret_state = c.flipped ? ROW_COMING : ROW_GOING;
    return r == -ENOENT ? 0 : r;
}

int artifact_row(store_view *v, arena *a, str id, row_state one, row_state other, artifact *ret_artifact,
                 artifact_key *ret_key, str *ret_value)
{
    if (id.n != ARTIFACT_ID_LEN)
        return -ENOENT;
    for (int i = 0; i < 2; i++) {
        const artifact_key key = artifact_key_of(id, i > 0);
        artifact row = {0};
        str value;
        int r = store_get(v, &artifacts_ks, artifact_key_view(&key), &value);
        if (r == 0)
            r = record_decode(&artifact_schema, a, value, &row);
        if (r < 0 && r != -ENOENT)
            return r;
        if (r == 0 && (row.state == (int64_t)one || row.state == (int64_t)other)) {
            *ret_artifact = row;
            *ret_key = key;
            *ret_value = value;
            return 0;
        }
    }
    return -ENOENT;
}

int artifact_load(store_view *v, arena *a, str id, artifact *ret_artifact)
{
    row_state shown;
    artifact_key key;
    str value;

    const int r = rows_shown(v, &shown);
    return r < 0 ? r : artifact_row(v, a, id, ROW_SETTLED, shown, ret_artifact, &key, &value);
}

int artifact_put(store_txn *t, str key, const artifact *a)
{
    return record_put(t, &artifacts_ks, &artifact_schema, key, a);
}
