/* What clients ask for, on the writer thread. Times and new values come in with the task. */
#include "service.h"

int task_create_apply(store_txn *t, store_op *op)
{
    source_task *task = CONTAINER_OF(op, source_task, op);

    if (store_has(store_txn_view(t), &sources_ks, task->draft.id))
        return -EEXIST;
    return source_put(t, &task->draft);
}

static void apply_texts(source *s, const source_update *u)
{
    if (HAS(u, source_update, ref)) {
        s->ref = u->ref;
        s->ref_given = true;
    }
    if (HAS(u, source_update, root_hint))
        s->root_hint = u->root_hint;
    if (HAS(u, source_update, trust_level))
        s->trust_level = u->trust_level;
    if (HAS(u, source_update, description))
        s->description = u->description;
    if (HAS(u, source_update, notes))
        s->notes = u->notes;
    if (HAS(u, source_update, tags))
        s->tags = u->tags;
}

static void apply_switches(source *s, const source_update *u)
{
    if (HAS(u, source_update, enable_frontmatter_detection))
        s->enable_frontmatter_detection = u->enable_frontmatter_detection;
    if (HAS(u, source_update, indexing_enabled))
        s->indexing_enabled = u->indexing_enabled;
    if (HAS(u, source_update, import_repo_description))
        s->import_repo_description = u->import_repo_description;
    if (HAS(u, source_update, import_repo_readme))
        s->import_repo_readme = u->import_repo_readme;
    if (HAS(u, source_update, deep_indexing_enabled))
        s->deep_indexing_enabled = u->deep_indexing_enabled;
}

int task_change_apply(store_txn *t, store_op *op)
{
    source_task *task = CONTAINER_OF(op, source_task, op);
    SCOPED(arena_done) arena a;
    source s = {0};

    arena_init(&a, 0);
    int r = source_load(store_txn_view(t), &a, task->id, &s);
    if (r < 0)
        return r;
    task->reindex =
        HAS(task->update, source_update, indexing_enabled) && task->update->indexing_enabled != s.indexing_enabled;
    apply_texts(&s, task->update);
    apply_switches(&s, task->update);
    if (task->manual_map)
        s.manual_map = task->map.n ? task->map : (pairs){0};
    if (task->has_description) {
        s.repo_description = task->draft.repo_description;
        s.topics = task->draft.topics;
    }
    if (task->has_readme)
        s.repo_readme = task->draft.repo_readme;
    s.updated_at = task->now;
    return source_put(t, &s);
}

int task_rescan_apply(store_txn *t, store_op *op)
{
    source_task *task = CONTAINER_OF(op, source_task, op);
    SCOPED(arena_done) arena a;
    source s = {0};

    arena_init(&a, 0);
    int r = source_load(store_txn_view(t), &a, task->id, &s);
    if (r < 0)
        return r;
    if (str_eq(s.scan_status, STR("scanning")))
        return -EBUSY;
    s.scan_status = STR("scanning");
    s.scan_number++;
    s.updated_at = task->now;
    return source_put(t, &s);
}

int entries_remove_step(store_txn *t, str source_id, const int64_t *created_at, change_log *log, bool *ret_more)
{
    SCOPED(arena_done) arena a;
    char prefix[ENTRY_PREFIX_LEN];
    const str at = str_of(log->walk.last, ENTRY_ID_LEN);
    store_cursor *c = NULL;
    store_item item;
    size_t reads = 0;
    bool more = true;

    arena_init(&a, 0);
    entry_prefix(source_id, prefix);
    int r = store_walk(store_txn_view(t), &entries_ks, STORE_BY_KEY, str_of(prefix, sizeof(prefix)),
                       log->walk.begun ? at : STR_NULL, false, &c);
    while (r == 0 && !store_txn_is_full(t) && reads++ < STEP_READS && (more = store_next(c, &item))) {
        entry e = {0};
        arena_reset(&a);
        r = item.key.n == ENTRY_ID_LEN ? record_decode(&entry_schema, &a, item.value, &e) : -EPROTO;
        if (r < 0)
            break;
        memcpy(log->walk.last, item.key.p, ENTRY_ID_LEN);
        log->walk.begun = true;
        if (!str_eq(e.source_id, source_id) || (created_at && e.created_at != *created_at))
            continue;
        r = change_log_add(log, &e, false); /* first: the deletion ends what the texts point to */
        if (r == 0)
            r = store_del(t, &entries_ks, at);
    }
    if (r == 0 && !more)
        r = store_cursor_error(c);
    store_cursor_end(c);
    *ret_more = more;
    return r;
}

/* The first step makes the source "scanning" with a number no scan has: none may write it any more, and
 * should the server stop before the end, the source is scanned whole again. The entries go in steps, the
 * source itself in the last one. */
int task_remove_apply(store_txn *t, store_op *op)
{
    source_task *task = CONTAINER_OF(op, source_task, op);
    SCOPED(arena_done) arena a;
    source s = {0};
    bool more = true;

    arena_init(&a, 0);
    change_log_step(task->changes, op->at);
    int r = source_load(store_txn_view(t), &a, task->id, &s);
    if (r < 0)
        return r;
    if (op->at == 0) {
        s.scan_status = STR("scanning");
        s.scanned_as = STR_NULL;
        s.scan_number++;
        r = source_put(t, &s);
        op->at += r == 0;
        return r < 0 ? r : STORE_MORE;
    }
    r = entries_remove_step(t, task->id, NULL, task->changes, &more);
    if (r == 0 && more) {
        op->at++;
        return STORE_MORE;
    }
    if (r == 0)
        r = store_del(t, &validators_ks, task->id);
    return r == 0 || r == -ENOENT ? store_del(t, &sources_ks, task->id) : r;
}
