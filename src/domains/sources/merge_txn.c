/* How a scan's findings become the catalogue. Runs on the writer thread, in steps.
 *
 * Phase 1 puts each entry found beside the stored one: new, changed, or as it was (then nothing is written).
 * Phase 2 walks the source's stored entries and marks those that were not found as removed, and forgets what
 * was removed long ago. Phase 3, one step, writes the source's figures: until then it stays "scanning", and a
 * crash means that it is scanned and merged again, which changes nothing that is right already. Each step
 * first makes sure that this scan may still write. */
#include "service.h"

#define REMOVED_KEPT_MS (INT64_C(30) * 24 * 3600 * 1000) /* how long a removed entry stays listed */

enum { PHASE_FOUND, PHASE_GONE, PHASE_SOURCE };

/* ---- phase 1 ---- */
/* What stays of the old record, and what the new one's status is. */
static void carry_over(const scan *sc, const entry *old, entry *e, struct scan_merge *m)
{
    const entry_status was = old ? entry_status_of(old) : ENTRY_NEW;
    const bool same = old && str_eq(old->content_hash, e->content_hash);

    e->created_at = old ? old->created_at : sc->now;
    e->updated_at = sc->now;
    e->detected_at = same ? old->detected_at : sc->now;
    e->detected_sha = same ? old->detected_sha : sc->sha;
    if (old) {
        e->import_date = old->import_date;
        e->import_id = old->import_id;
        e->in_collection = old->in_collection;
    }
    /* what a person decided stays */
    if (was == ENTRY_IMPORTED || (was == ENTRY_EXCLUDED && !old->is_duplicate)) {
        e->status = old->status;
        e->excluded_at = old->excluded_at;
        e->excluded_reason = old->excluded_reason;
        e->is_duplicate = false;
    } else if (e->is_duplicate) {
        e->status = entry_status_text(ENTRY_EXCLUDED);
        e->excluded_reason = STR("duplicate_within_source");
        e->excluded_at = old && old->excluded_at ? old->excluded_at : sc->now;
    } else if (!old) {
        e->status = entry_status_text(ENTRY_NEW);
    } else {
        e->status = same && was == ENTRY_NEW ? old->status : entry_status_text(ENTRY_UPDATED);
    }
    if (!entry_is_live(e))
        return; /* what is hidden counts as nothing of these, so that together they are the live entries */
    if (!old)
        m->fresh++;
    else if (!same || !entry_is_live(old))
        m->updated++;
    else
        m->unchanged++;
}

static int put_found(store_txn *t, scan *sc, arena *a, const entry *found, struct scan_merge *m)
{
    entry e = *found, old = {0};

    int r = entry_load(store_txn_view(t), a, e.id, &old);
    if (r < 0 && r != -ENOENT)
        return r;
    carry_over(sc, r == 0 ? &old : NULL, &e, m);
    if (r == 0) { /* the same but for the time of writing? */
        e.updated_at = old.updated_at;
        if (entry_equal(&e, &old))
            return 0;
        e.updated_at = sc->now;
    }
    r = change_log_add(sc->changes, &e, entry_is_live(&e));
    return r < 0 ? r : entry_put(t, &e);
}

static int merge_found(store_txn *t, scan *sc, struct scan_merge *m)
{
    SCOPED(arena_done) arena a;
    size_t reads = 0;
    int r = 0;

    arena_init(&a, 0);
    while (r == 0 && m->at < sc->n_entries && !store_txn_is_full(t) && reads++ < STEP_READS) {
        r = put_found(t, sc, &a, &sc->entries[m->at++], m);
        arena_reset(&a);
    }
    if (r == 0 && m->at == sc->n_entries)
        m->phase = PHASE_GONE;
    return r;
}

/* ---- phase 2 ---- */
static bool was_found(const scan *sc, str id)
{
    size_t lo = 0, hi = sc->n_entries;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        const int c = str_cmp(id, sc->entries[mid].id);
        if (c == 0)
            return true;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return false;
}

static int put_gone(store_txn *t, scan *sc, arena *a, str id, struct scan_merge *m)
{
    entry e = {0};

    int r = entry_load(store_txn_view(t), a, id, &e);
    if (r < 0 || !str_eq(e.source_id, sc->src.id))
        return r;
    if (entry_status_of(&e) == ENTRY_REMOVED)
        return e.updated_at + REMOVED_KEPT_MS < sc->now ? store_del(t, &entries_ks, id) : 0;
    m->removed += entry_is_live(&e);
    e.status = entry_status_text(ENTRY_REMOVED);
    e.updated_at = sc->now;
    r = change_log_add(sc->changes, &e, false); /* first: the put ends what the texts point to */
    return r < 0 ? r : entry_put(t, &e);
}

static int merge_gone(store_txn *t, scan *sc, struct scan_merge *m)
{
    SCOPED(arena_done) arena a;
    char prefix[ENTRY_PREFIX_LEN];
    const str at = str_of(m->walk.last, ENTRY_ID_LEN);
    store_cursor *c;
    store_item item;
    size_t reads = 0;
    bool more = true;

    arena_init(&a, 0);
    entry_prefix(sc->src.id, prefix);
    /* From the last one seen, itself included: it was dealt with, which seeing it again does not change. */
    int r = store_walk(store_txn_view(t), &entries_ks, STORE_BY_KEY, str_of(prefix, sizeof(prefix)),
                       m->walk.begun ? at : STR_NULL, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && !store_txn_is_full(t) && reads++ < STEP_READS && (more = store_next(c, &item))) {
        if (item.key.n != ENTRY_ID_LEN) {
            r = -EPROTO;
            break;
        }
        memcpy(m->walk.last, item.key.p, ENTRY_ID_LEN);
        m->walk.begun = true;
        if (!was_found(sc, at))
            r = put_gone(t, sc, &a, at, m);
        arena_reset(&a);
    }
    if (r == 0 && !more) {
        r = store_cursor_error(c);
        m->phase = PHASE_SOURCE;
    }
    store_cursor_end(c);
    return r;
}

/* ---- phase 3 ---- */
/* What the source and the scan's result say of the catalogue, from the tallies of what is stored. */
static int fill_counts(store_view *v, arena *a, scan *sc, source *s)
{
    int64_t status[ENTRY_STATUSES] = {0}, live = 0;
    count_of *types = arena_array(a, count_of, ARTIFACT_TYPE_COUNT);
    size_t n = 0;

    if (!types)
        return -ENOMEM;
    for (unsigned type = 0; type < ARTIFACT_TYPE_COUNT; type++) {
        int64_t of_type = 0;
        for (unsigned st = 0; st < ENTRY_STATUSES; st++) {
            const int64_t n_rows = entry_tally(v, s->id, type, (entry_status)st);
            status[st] += n_rows;
            if (st != ENTRY_REMOVED && st != ENTRY_EXCLUDED)
                of_type += n_rows;
        }
        live += of_type;
        if (of_type > 0)
            types[n++] = (count_of){artifact_type_name(type), of_type};
    }
    s->counts_by_type = (counts){types, n};
    s->artifact_count = s->artifact_count_from_cache = live;
    s->new_artifact_count = status[ENTRY_NEW];
    s->updated_artifact_count = status[ENTRY_UPDATED];
    s->imported_count = status[ENTRY_IMPORTED];
    sc->live = live;
    sc->hidden = status[ENTRY_EXCLUDED];
    return 0;
}

/* The deepest folder that all live entries share. */
static str common_folder(const scan *sc)
{
    str common = STR_NULL;
    bool first = true;

    for (size_t i = 0; i < sc->n_entries; i++) {
        const str path = sc->entries[i].path;
        const ptrdiff_t slash = str_rchr(path, '/');
        const str folder = slash < 0 ? str_head(path, 0) : str_head(path, (size_t)slash);
        size_t n = 0, cut = 0;

        if (sc->entries[i].is_duplicate)
            continue;
        if (first) {
            common = folder;
            first = false;
            continue;
        }
        while (n < common.n && n < folder.n && common.p[n] == folder.p[n]) {
            if (common.p[n] == '/')
                cut = n;
            n++;
        }
        if (n == common.n && (n == folder.n || folder.p[n] == '/'))
            cut = n;
        else if (n == folder.n && common.p[n] == '/')
            cut = n;
        common = str_head(common, cut);
    }
    return common.n ? common : STR_NULL;
}

static str visibility_of(const github_repository *r)
{
    if (str_eq(r->visibility, STR("public")) || str_eq(r->visibility, STR("private")) ||
        str_eq(r->visibility, STR("internal")))
        return r->visibility;
    return r->is_private ? STR("private") : STR("public");
}

static void take_over_repository(const scan *sc, source *s)
{
    const github_repository *repo = &sc->repository;

    if (sc->readme.p && s->import_repo_readme)
        s->repo_readme = sc->readme;
    if (!repo->owner.p)
        return;
    s->visibility = visibility_of(repo);
    s->license = repo->license;
    s->topics = (strs){repo->topics, repo->n_topics};
    if (s->import_repo_description)
        s->repo_description = repo->description;
}

static int put_source(store_txn *t, scan *sc, arena *a)
{
    source s = {0};
    str *types = arena_array(a, str, ARTIFACT_TYPE_COUNT);
    size_t n = 0;

    int r = types ? source_load(store_txn_view(t), a, sc->src.id, &s) : -ENOMEM;
    if (r < 0)
        return r;
    take_over_repository(sc, &s);
    s.scan_status = STR("success");
    s.last_error = STR_NULL;
    s.failed_scans = 0;
    s.waiting_since = s.waiting_until = 0;
    s.updated_at = s.last_sync_at = sc->now;
    s.last_indexed_at = s.indexing_enabled ? sc->now : s.last_indexed_at;
    s.next_scan_at = sc->rescan_at;
    s.scanned_as = sc->settings;
    /* unless changed meanwhile: `main` that turned out to be another default branch */
    if (str_eq(s.ref, sc->src.ref))
        s.ref = sc->ref;
    if (!sc->not_modified) {
        s.tree_sha = sc->tree_sha;
        s.last_indexed_tree_sha = sc->sha;
        s.indexing_strategy = STR("archive");
        s.artifacts_root = common_folder(sc);
        s.composite_member_count = sc->composite_members;
        for (unsigned type = 0; type < ARTIFACT_TYPE_COUNT; type++)
            if (sc->composite_types & (1u << type))
                types[n++] = artifact_type_name(type);
        s.composite_child_types = (strs){types, n};
    }
    r = fill_counts(store_txn_view(t), a, sc, &s);
    return r < 0 ? r : source_put(t, &s);
}

static int finish(store_txn *t, scan *sc)
{
    SCOPED(arena_done) arena a;
    const validator v = {.asked = sc->asked, .etag = sc->commit_etag, .sha = sc->sha, .tree_sha = sc->tree_sha};

    arena_init(&a, 0);
    int r = put_source(t, sc, &a);
    if (r == 0 && v.etag.p)
        r = validator_put(t, sc->src.id, &v);
    return r;
}

/* The source as stored, when this scan may still write it; -ECANCELED when it was removed or another scan
 * began. */
static int may_write(store_txn *t, const scan *sc, arena *a, source *ret_source)
{
    source s = {0};

    int r = source_load(store_txn_view(t), a, sc->src.id, &s);
    if (r == -ENOENT || (r == 0 && s.scan_number != sc->src.scan_number))
        return -ECANCELED;
    if (r == 0)
        *ret_source = s;
    return r;
}

int scan_merge_apply(store_txn *t, store_op *op)
{
    scan *sc = CONTAINER_OF(op, scan, op);
    SCOPED(arena_done) arena a;
    source s;

    if (op->at != sc->merge_step) { /* the step before is committed; otherwise this one is being repeated */
        sc->merge_step = op->at;
        sc->kept = sc->merge;
    }
    sc->merge = sc->kept;
    change_log_step(sc->changes, op->at);
    arena_init(&a, 0);
    int r = may_write(t, sc, &a, &s);
    if (r == 0 && sc->merge.phase == PHASE_FOUND && !sc->not_modified)
        r = merge_found(t, sc, &sc->merge);
    else if (r == 0 && sc->merge.phase == PHASE_GONE && !sc->not_modified)
        r = merge_gone(t, sc, &sc->merge);
    else if (r == 0)
        return finish(t, sc);
    if (r < 0)
        return r;
    op->at++;
    return STORE_MORE;
}

/* After a merge that failed on its way: what it had added is taken out again, which makes room for others; and as
 * it may have changed the rest, the next scan may not stop at "not modified". */
static int repair(store_txn *t, scan *sc, arena *a, source *s, bool *ret_more)
{
    *ret_more = false;
    if (sc->changes) {
        change_log_step(sc->changes, sc->op.at);
        const int r = entries_remove_step(t, s->id, &sc->merged_at, sc->changes, ret_more);
        if (r < 0 || *ret_more)
            return r;
    }
    s->scanned_as = STR_NULL;
    return fill_counts(store_txn_view(t), a, sc, s);
}

int scan_fail_apply(store_txn *t, store_op *op)
{
    scan *sc = CONTAINER_OF(op, scan, op);
    SCOPED(arena_done) arena a;
    source s;
    bool more = false;

    arena_init(&a, 0);
    int r = may_write(t, sc, &a, &s);
    if (r == 0 && sc->is_partial)
        r = repair(t, sc, &a, &s, &more);
    if (r == 0 && more) {
        op->at++;
        return STORE_MORE;
    }
    if (r < 0)
        return r;
    /* Who asks by hand before that time puts the next try off no further. */
    const bool keeps_retry = sc->passes && s.failed_scans > 0 && s.next_scan_at > sc->now;
    s.scan_status = STR("error");
    s.last_error = sc->why;
    s.waiting_since = s.waiting_until = 0;
    s.updated_at = sc->now;
    if (!keeps_retry) {
        s.failed_scans = sc->passes ? s.failed_scans + 1 : 0;
        s.next_scan_at = sc->rescan_at;
    }
    return source_put(t, &s);
}

int scan_waits_apply(store_txn *t, store_op *op)
{
    scan *sc = CONTAINER_OF(op, scan, op);
    SCOPED(arena_done) arena a;
    source s;

    arena_init(&a, 0);
    int r = may_write(t, sc, &a, &s);
    if (r < 0)
        return r;
    s.waiting_since = sc->waiting_since;
    s.waiting_until = sc->waiting_until;
    s.updated_at = sc->now;
    return source_put(t, &s);
}
