/* Writing projects, on the writer thread. Times and new values come in with the op. */
#include <stdlib.h>

#include "project_write.h"

#define STEP_READS 512

/* op->at: the part of the change, and how many steps came before. */
enum { PART_BEGIN, PART_STAGE, PART_SETTLE };
#define PART_SHIFT 48
#define PART_OF(at) ((at) >> PART_SHIFT)
#define STEP_OF(at) ((at) & ((UINT64_C(1) << PART_SHIFT) - 1))

static uint64_t next_step(uint64_t at, unsigned part)
{
    return (uint64_t)part << PART_SHIFT | (STEP_OF(at) + 1);
}

/* ---- content ---- */
static int by_id(const void *a, const void *b)
{
    const artifact_content *x = a, *y = b;

    return memcmp(x->id.bytes, y->id.bytes, ARTIFACT_ID_LEN);
}

int project_content_sort(str project_id, artifact_content *v, size_t n, size_t *ret_place)
{
    const artifact_prefix prefix = artifact_prefix_of(project_id);

    for (size_t i = 0; i < n; i++) {
        v[i].place = i;
        v[i].id = artifact_id_of(&prefix, v[i].type, v[i].name);
    }
    if (n > 0)
        qsort(v, n, sizeof(*v), by_id);
    for (size_t i = 1; i < n; i++) {
        if (by_id(&v[i - 1], &v[i]) == 0) {
            *ret_place = v[i - 1].place > v[i].place ? v[i - 1].place : v[i].place;
            return -EEXIST;
        }
    }
    return 0;
}

static bool has_content(const project_write *w, str id)
{
    artifact_content wanted;

    if (w->n == 0 || id.n != ARTIFACT_ID_LEN)
        return false;
    memcpy(wanted.id.bytes, id.p, ARTIFACT_ID_LEN);
    return bsearch(&wanted, w->content, w->n, sizeof(wanted), by_id) != NULL;
}

/* ---- rows: new, changed, as they were ---- */
static void fill_upstream(const artifact_content *c, const artifact *old, artifact *a)
{
    if (c->upstream != UPSTREAM_KEEP) {
        a->upstream_version = c->upstream_version;
        a->upstream_hash = c->upstream_hash;
        a->upstream_given = c->upstream == UPSTREAM_GIVEN;
    } else if (old && !old->upstream_given && str_eq(old->source, c->source)) {
        a->upstream_version = old->upstream_version;
        a->upstream_hash = old->upstream_hash;
    }
    a->is_outdated = version_is_outdated(a->deployed_version, a->upstream_version, a->content_hash, a->upstream_hash);
    a->difference = version_magnitude_of(a->deployed_version, a->upstream_version);
}

static artifact row_of(const project_write *w, const artifact_content *c, const artifact *old)
{
    artifact a = {
        .id = artifact_id_view(&c->id),
        .name = c->name,
        .type = c->type,
        .project_id = w->id,
        .project_name = w->name,
        .deployed_version = c->deployed_version,
        .source = c->source,
        .content_hash = c->content_hash,
        .description = c->description,
        .tags = c->tags,
        .created_at = old ? old->created_at : w->now,
        .updated_at = old ? old->updated_at : w->now,
        .state = ROW_SETTLED,
    };

    fill_upstream(c, old, &a);
    return a;
}

/* 1: the same as what is stored. `value` is the record of `old`, which an earlier version may have written. */
static int is_same(const artifact *a, const artifact *old, str value)
{
    buf x = BUF_INIT, y = BUF_INIT;

    record_encode(&artifact_schema, a, &x);
    int r = x.err;
    if (r == 0 && str_eq(buf_view(&x), value)) {
        r = 1;
    } else if (r == 0) {
        record_encode(&artifact_schema, old, &y);
        r = y.err ? y.err : str_eq(buf_view(&x), buf_view(&y));
    }
    buf_done(&x);
    buf_done(&y);
    return r;
}

static bool is_notable(const artifact *a, const artifact *old)
{
    return !str_eq(a->deployed_version, old->deployed_version) || !str_eq(a->upstream_version, old->upstream_version) ||
           !str_eq(a->content_hash, old->content_hash) || a->is_outdated != old->is_outdated;
}

/* Marks a row; `row` lies in the view. */
static int put_state(store_txn *t, str key, artifact row, row_state state)
{
    row.state = state;
    return artifact_put(t, key, &row);
}

static int put_row(store_txn *t, project_write *w, const artifact_content *c, bool large, arena *a)
{
    store_view *v = store_txn_view(t);
    artifact old = {0};
    artifact_key key = artifact_key_of(artifact_id_view(&c->id), false);
    str value;

    int r = artifact_row(v, a, artifact_id_view(&c->id), ROW_SETTLED, ROW_SETTLED, &old, &key, &value);
    if (r < 0 && r != -ENOENT)
        return r;
    const bool is_new = r == -ENOENT;
    artifact row = row_of(w, c, is_new ? NULL : &old);
    w->work.outdated += row.is_outdated;
    r = is_new ? 0 : is_same(&row, &old, value);
    if (r != 0)
        return r < 0 ? r : 0;
    row.updated_at = w->now;
    row.state = large ? ROW_COMING : ROW_SETTLED;
    w->work.rows++;
    w->work.added += is_new;
    w->work.changed += !is_new && is_notable(&row, &old);
    r = artifact_log_add(w->log, &row, true, row.is_outdated && !old.is_outdated);
    if (r < 0 || is_new || !large)
        return r < 0 ? r : artifact_put(t, artifact_key_view(&key), &row);
    /* Both lie side by side. The new one is made first: it may hold texts of the old one, which a put may move. */
    buf encoded = BUF_INIT;
    record_encode(&artifact_schema, &row, &encoded);
    r = encoded.err ? encoded.err : put_state(t, artifact_key_view(&key), old, ROW_GOING);
    const artifact_key free_key = artifact_key_of(row.id, key.n == ARTIFACT_ID_LEN);
    if (r == 0)
        r = store_put(t, &artifacts_ks, artifact_key_view(&free_key), buf_view(&encoded));
    buf_done(&encoded);
    return r;
}

static int put_rows(store_txn *t, project_write *w, bool large)
{
    SCOPED(arena_done) arena a;
    size_t reads = 0;
    int r = 0;

    arena_init(&a, 0);
    while (r == 0 && w->work.at < w->n && !(large && (store_txn_is_full(t) || reads++ >= STEP_READS))) {
        r = put_row(t, w, &w->content[w->work.at++], large, &a);
        arena_reset(&a);
    }
    return r;
}

/* ---- rows that go ---- */
static int drop_row(store_txn *t, project_write *w, const store_item *item, bool large, arena *a)
{
    const str key = artifact_key_view(&w->work.last);
    artifact row = {0};

    int r = record_decode(&artifact_schema, a, item->value, &row);
    if (r < 0 || row.state != ROW_SETTLED || has_content(w, row.id))
        return r;
    w->work.rows++;
    w->work.removed++;
    r = artifact_log_add(w->log, &row, false, false); /* first: the put ends what the texts point to */
    if (r == 0)
        r = large ? put_state(t, key, row, ROW_GOING) : store_del(t, &artifacts_ks, key);
    return r;
}

/* Behind the last row looked at. */
static int drop_rows(store_txn *t, project_write *w, bool large, bool *ret_more)
{
    SCOPED(arena_done) arena a;
    const artifact_prefix prefix = artifact_prefix_of(w->id);
    store_cursor *c = NULL;
    store_item item;
    artifact_key from = w->work.last;
    size_t reads = 0;
    bool more = true;

    arena_init(&a, 0);
    int r = store_walk(store_txn_view(t), &artifacts_ks, STORE_BY_KEY, artifact_prefix_view(&prefix),
                       from.n ? artifact_key_view(&from) : STR_NULL, false, &c);
    while (r == 0 && !(large && (store_txn_is_full(t) || reads++ >= STEP_READS)) && (more = store_next(c, &item))) {
        if (from.n && str_eq(item.key, artifact_key_view(&from))) /* the walk begins with it */
            continue;
        if (item.key.n == 0 || item.key.n > sizeof(w->work.last.bytes)) {
            r = -EPROTO;
            break;
        }
        memcpy(w->work.last.bytes, item.key.p, item.key.n);
        w->work.last.n = item.key.n;
        r = drop_row(t, w, &item, large, &a);
        arena_reset(&a);
    }
    if (r == 0 && !more)
        r = store_cursor_error(c);
    store_cursor_end(c);
    *ret_more = more;
    return r;
}

/* Content, then what is not in it. */
static int change_rows(store_txn *t, project_write *w, bool large, bool *ret_more)
{
    *ret_more = true;
    int r = put_rows(t, w, large);
    if (r == 0 && w->work.at == w->n && !(large && store_txn_is_full(t)))
        r = drop_rows(t, w, large, ret_more);
    return r;
}

/* ---- settling ---- */
static int settle_row(store_txn *t, str key, row_state stays, arena *a)
{
    artifact row = {0};
    str value;

    int r = store_get(store_txn_view(t), &artifacts_ks, key, &value);
    if (r == 0)
        r = record_decode(&artifact_schema, a, value, &row);
    if (r < 0)
        return r;
    return row.state == (int64_t)stays ? put_state(t, key, row, ROW_SETTLED) : store_del(t, &artifacts_ks, key);
}

/* One step; each row it has dealt with leaves the index of unsettled ones. STORE_MORE, or 0: the change record is gone
 * too. */
static int settle_step(store_txn *t, bool flipped)
{
    SCOPED(arena_done) arena a;
    store_cursor *c = NULL;
    store_item item;
    bool more = true;

    arena_init(&a, 0);
    int r = store_walk(store_txn_view(t), &artifacts_ks, ARTIFACTS_UNSETTLED, STR_NULL, STR_NULL, false, &c);
    while (r == 0 && !store_txn_is_full(t) && (more = store_next(c, &item))) {
        artifact_key key = {.n = item.key.n};
        if (key.n > sizeof(key.bytes)) {
            r = -EPROTO;
            break;
        }
        memcpy(key.bytes, item.key.p, key.n);
        r = settle_row(t, artifact_key_view(&key), flipped ? ROW_COMING : ROW_GOING, &a);
        arena_reset(&a);
    }
    if (r == 0 && !more)
        r = store_cursor_error(c);
    store_cursor_end(c);
    if (r < 0 || more)
        return r < 0 ? r : STORE_MORE;
    return project_change_put(t, NULL);
}

int project_recover_apply(store_txn *t, store_op *op)
{
    SCOPED(arena_done) arena a;
    project_change change;

    arena_init(&a, 0);
    int r = project_change_load(store_txn_view(t), &a, &change);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = settle_step(t, change.flipped);
    op->at++;
    return r;
}

/* ---- the project itself ---- */
static int put_project(store_txn *t, project_write *w)
{
    SCOPED(arena_done) arena a;
    project p = {0};

    arena_init(&a, 0);
    const int r = project_load(store_txn_view(t), &a, w->id, &p);
    if (r < 0 && r != -ENOENT)
        return r;
    w->created = r == -ENOENT;
    const bool failed = str_eq(p.status, STR("error"));
    w->status_changed = failed && !w->only_news;
    const bool is_news = w->created || w->work.rows || !str_eq(p.name, w->name) || !str_eq(p.path, w->path);
    if (!is_news && w->only_news) {
        w->version = p.version;
        if (!failed || p.next_refresh_at <= w->next_refresh_at)
            return 0;
        p.next_refresh_at = w->next_refresh_at;
        return project_put(t, &p);
    }
    if (is_news) {
        /* No two contents have the same number, even when a project is forgotten and comes back. */
        p.version = p.version < w->now ? w->now : p.version + 1;
        p.updated_at = w->now;
    }
    w->version = p.version;
    p.id = w->id;
    p.name = w->name;
    p.path = w->path;
    p.origin = w->origin;
    if (w->created || !w->only_news) {
        p.status = STR("active");
        p.error_message = STR_NULL;
        p.failures = 0;
    }
    p.marked = false;
    p.doubted_at = 0;
    p.last_fetched = w->now;
    const bool has_new = w->created || w->work.added || w->work.changed;
    p.next_refresh_at = w->changed_refresh_at && has_new ? w->changed_refresh_at : w->next_refresh_at;
    if (!w->changed_refresh_at || has_new)
        p.awaits_upstream = !w->asked_upstream;
    p.artifact_count = (int64_t)w->n;
    p.outdated_count = w->work.outdated;
    p.created_at = w->created ? w->now : p.created_at;
    return project_put(t, &p);
}

static int finish(store_txn *t, project_write *w)
{
    w->added = w->work.added;
    w->removed = w->work.removed;
    w->changed = w->work.changed;
    return w->forgets ? store_del(t, &projects_ks, w->id) : put_project(t, w);
}

/* ---- the parts of a change ---- */
static int check(store_txn *t, const project_write *w, arena *a)
{
    project p = {0};

    const int r = project_load(store_txn_view(t), a, w->id, &p);
    if (r < 0 && r != -ENOENT)
        return r;
    const bool exists = r == 0;
    if (!exists && w->forgets)
        return -ENOENT;
    if (w->if_match == -1 ? exists : w->if_match == -2 ? !exists : w->if_match != 0 && p.version != w->if_match)
        return -ESTALE;
    if (exists && !w->forgets && str_eq(w->origin, STR("discovered")) && str_eq(p.origin, STR("reported")))
        return -EEXIST;
    return 0;
}

static int begin(store_txn *t, project_write *w)
{
    SCOPED(arena_done) arena a;
    const artifact_prefix prefix = artifact_prefix_of(w->id);
    const int64_t stored = artifacts_of_project(store_txn_view(t), &prefix);
    const bool large = w->n + (uint64_t)stored > PROJECT_ONE_STEP;
    project_change other;
    bool more;

    arena_init(&a, 0);
    int r = check(t, w, &a);
    if (r < 0)
        return r;
    r = project_change_load(store_txn_view(t), &a, &other);
    if (r < 0 && r != -ENOENT)
        return r;
    const bool left = r == 0; /* a change under way, or with `alone` the rest of one that failed */
    if (!w->alone && (large || (left && str_eq(other.project_id, w->id))))
        return -EAGAIN;
    if (left && w->alone) {
        r = settle_step(t, other.flipped);
        w->op.at = next_step(w->op.at, PART_BEGIN);
        return r < 0 ? r : STORE_MORE;
    }
    if (!large) {
        r = change_rows(t, w, false, &more);
        return r < 0 ? r : finish(t, w);
    }
    r = project_change_put(t, &(project_change){.project_id = w->id});
    w->op.at = next_step(w->op.at, PART_STAGE);
    return r < 0 ? r : STORE_MORE;
}

static int stage(store_txn *t, project_write *w)
{
    bool more;

    int r = change_rows(t, w, true, &more);
    if (r < 0)
        return r;
    w->op.at = next_step(w->op.at, more ? PART_STAGE : PART_SETTLE);
    if (more)
        return STORE_MORE;
    r = finish(t, w);
    if (r == 0 && w->work.rows == 0)
        return project_change_put(t, NULL);
    if (r == 0)
        r = project_change_put(t, &(project_change){.project_id = w->id, .flipped = true});
    return r < 0 ? r : STORE_MORE;
}

static int room_for_places(project_write *w, size_t n)
{
    struct project_write_place *v;
    size_t room = w->n_places ? w->n_places : 4;

    while (room < n)
        room *= 2;
    if (room == w->n_places)
        return 0;
    v = mem_realloc(w->places, room * sizeof(*v));
    if (!v)
        return -ENOMEM;
    w->places = v;
    w->n_places = room;
    w->places[0] = (struct project_write_place){0};
    return 0;
}

void project_write_done(project_write *w)
{
    mem_free(w->places);
    w->places = NULL;
    w->n_places = 0;
}

int project_write_apply(store_txn *t, store_op *op)
{
    project_write *w = CONTAINER_OF(op, project_write, op);
    const size_t step = STEP_OF(op->at);

    int r = room_for_places(w, step + 2);
    if (r < 0)
        return r;
    w->work = w->places[step];
    artifact_log_cut(w->log, w->work.logged);
    switch (PART_OF(op->at)) {
    case PART_BEGIN:
        r = begin(t, w);
        break;
    case PART_STAGE:
        r = stage(t, w);
        break;
    default:
        r = settle_step(t, true);
        op->at = next_step(op->at, PART_SETTLE);
    }
    w->work.logged = w->log->n;
    w->places[step + 1] = w->work;
    return r;
}

int project_write_status(const project_write *w, int status)
{
    return status < 0 && PART_OF(w->op.at) == PART_SETTLE ? 0 : status;
}

bool project_write_has_rest(const project_write *w, int status)
{
    return status < 0 && w->op.at != 0;
}

/* ---- notes ---- */
int project_note_apply(store_txn *t, store_op *op)
{
    project_note *n = CONTAINER_OF(op, project_note, op);
    SCOPED(arena_done) arena a;
    project p = {0};

    arena_init(&a, 0);
    const int r = project_load(store_txn_view(t), &a, n->id, &p);
    if (r < 0)
        return r;
    n->status_changed = n->error_message.p && !str_eq(p.status, STR("error"));
    if (n->error_message.p) {
        p.status = STR("error");
        p.error_message = n->error_message;
    }
    p.failures = n->failures;
    p.next_refresh_at = n->next_refresh_at;
    return project_put(t, &p);
}

/* ---- invalidating ---- */
static int mark(store_txn *t, const project_invalidation *i, str id, int64_t due, arena *a)
{
    project p = {0};

    const int r = project_load(store_txn_view(t), a, id, &p);
    if (r < 0 || (p.marked && !i->doubts_upstream))
        return r;
    if (!p.marked)
        p.next_refresh_at = due;
    if (i->doubts_upstream)
        p.doubted_at = i->now;
    p.marked = true;
    return project_put(t, &p);
}

static int mark_all_step(store_txn *t, project_invalidation *i)
{
    SCOPED(arena_done) arena a;
    struct project_invalidation_place *w = &i->work;
    char from[PROJECT_ID_MAX] = {0};
    const str behind = str_of(from, w->n);
    store_cursor *c = NULL;
    store_item item;
    size_t reads = 0;
    bool more = true;

    arena_init(&a, 0);
    memcpy(from, w->last, w->n);
    int r = store_walk(store_txn_view(t), &projects_ks, STORE_BY_KEY, STR_NULL, w->n ? behind : STR_NULL, false, &c);
    while (r == 0 && !store_txn_is_full(t) && reads++ < STEP_READS && (more = store_next(c, &item))) {
        if (item.key.n > sizeof(w->last)) {
            r = -EPROTO;
            break;
        }
        if (w->n && str_eq(item.key, behind)) /* the walk begins with it */
            continue;
        memcpy(w->last, item.key.p, item.key.n);
        w->n = item.key.n;
        r = mark(t, i, str_of(w->last, w->n), i->now + w->count++ * INVALIDATE_SPREAD_MS, &a);
        arena_reset(&a);
    }
    if (r == 0 && !more)
        r = store_cursor_error(c);
    store_cursor_end(c);
    i->count = w->count;
    i->op.at++;
    return r == 0 && more ? STORE_MORE : r;
}

int project_invalidate_apply(store_txn *t, store_op *op)
{
    project_invalidation *i = CONTAINER_OF(op, project_invalidation, op);
    SCOPED(arena_done) arena a;

    arena_init(&a, 0);
    if (op->at == 0)
        memset(&i->work, 0, sizeof(i->work));
    if (op->at == 0 || op->at != i->step)
        i->kept = i->work;
    i->work = i->kept;
    i->step = op->at;
    if (!i->id.p)
        return mark_all_step(t, i);
    i->count = 1;
    return mark(t, i, i->id, i->now, &a);
}
