/* A write transaction. Every row that is written or deleted goes through this file: the record, then its
 * index entries, unique parts and tallies, of which only those that differ between the old and the new record
 * are touched.
 *
 * One LMDB cursor per table stays open for the length of the transaction: a put that follows one nearby
 * finds its page without going down from the root again. */
#include "impl.h"

#define KEEP_MEMORY (256u << 10) /* of scratch memory, from one transaction to the next */

int store_txn_new(store *s, store_txn **ret_txn)
{
    store_txn *t = mem_new(store_txn);
    if (!t)
        return -ENOMEM;
    t->owner = s;
    t->view = (store_view){.owner = s, .writing = t};
    t->step_writes = STORE_STEP_WRITES;
    t->cursors = mem_zalloc(s->n_tables * sizeof(*t->cursors));
    t->touched = mem_zalloc(s->n_spaces * sizeof(*t->touched));
    if (!t->cursors || !t->touched) {
        store_txn_free(t);
        return -ENOMEM;
    }
    *ret_txn = t;
    return 0;
}

void store_txn_free(store_txn *t)
{
    if (!t)
        return;
    store_emit_done(&t->before);
    store_emit_done(&t->after);
    store_tally_table_done(&t->tallies);
    buf_done(&t->value);
    buf_done(&t->unique_log);
    mem_free(t->cursors);
    mem_free(t->touched);
    mem_free(t);
}

/* ---- begin and end ---- */

int store_txn_begin(store_txn *t)
{
    store *s = t->owner;
    int rc = mdb_txn_begin(s->env, NULL, 0, &t->view.txn);
    if (rc == MDB_MAP_RESIZED && !s->loop && mdb_env_set_mapsize(s->env, 0) == 0) /* another process did */
        rc = mdb_txn_begin(s->env, NULL, 0, &t->view.txn);
    if (rc != 0) {
        t->view.txn = NULL;
        return store_is_fatal(rc) ? ENV_DEAD : store_errno(rc);
    }
    t->view.open = true;
    t->number = ++s->txn_number;
    t->changes = t->writes = t->bytes = t->step_from = 0;
    t->err = 0;
    t->broken = false;
    store_space_begin(t);
    return 0;
}

/* LMDB frees the cursors of a write transaction itself. */
static void forget(store_txn *t)
{
    t->view.txn = NULL;
    t->view.open = false;
    memset(t->cursors, 0, t->owner->n_tables * sizeof(*t->cursors));
    memset(t->touched, 0, t->owner->n_spaces * sizeof(*t->touched));
    store_tally_table_clear(&t->tallies);
    if (t->value.cap > KEEP_MEMORY)
        buf_done(&t->value);
    if (t->unique_log.cap > KEEP_MEMORY)
        buf_done(&t->unique_log);
    if (t->before.bytes.cap > KEEP_MEMORY)
        store_emit_done(&t->before);
    if (t->after.bytes.cap > KEEP_MEMORY)
        store_emit_done(&t->after);
}

void store_txn_abort(store_txn *t)
{
    if (!t->view.txn)
        return;
    store_view_end_cursors(&t->view);
    mdb_txn_abort(t->view.txn);
    store_unique_undo(t);
    forget(t);
}

int store_txn_commit(store_txn *t)
{
    int r = store_tally_flush(t);
    if (r < 0) {
        store_txn_abort(t);
        return r;
    }
    store_view_end_cursors(&t->view);
    int64_t from = clk_mono_ns(clk_real());
    r = store_errno(mdb_txn_commit(t->view.txn));
    t->commit_us = (uint64_t)(clk_mono_ns(clk_real()) - from) / 1000;
    if (r == 0)
        store_unique_keep(t);
    else
        store_unique_undo(t);
    forget(t);
    return r;
}

/* ---- rows ---- */

int store_txn_cursor(store_txn *t, MDB_dbi table, MDB_cursor **ret_cursor)
{
    if (!t->cursors[table]) {
        int rc = mdb_cursor_open(t->view.txn, table, &t->cursors[table]);
        if (rc != 0)
            return store_errno(rc);
    }
    *ret_cursor = t->cursors[table];
    return 0;
}

/* Leaves the table's cursor on the row. -ENOENT. */
static int find(store_txn *t, MDB_dbi table, str key, str *ret_value)
{
    MDB_cursor *c = NULL;
    int r = store_txn_cursor(t, table, &c);
    if (r < 0)
        return r;
    MDB_val k = store_val(key), v;
    int rc = mdb_cursor_get(c, &k, &v, MDB_SET);
    if (rc == 0)
        *ret_value = store_str(v);
    return store_errno(rc);
}

/* After a failed write LMDB wants the transaction aborted. */
static int wrote(store_txn *t, int rc, size_t bytes)
{
    t->writes++;
    t->bytes += bytes;
    if (rc != 0 && rc != MDB_KEYEXIST)
        t->broken = true;
    return store_errno(rc);
}

int store_txn_row(store_txn *t, MDB_dbi table, str key, str value, unsigned flags)
{
    MDB_cursor *c = NULL;
    int r = store_txn_cursor(t, table, &c);
    if (r < 0)
        return r;
    MDB_val k = store_val(key), v = store_val(value);
    return wrote(t, mdb_cursor_put(c, &k, &v, flags), key.n + value.n);
}

static int del_found(store_txn *t, MDB_dbi table)
{
    return wrote(t, mdb_cursor_del(t->cursors[table], 0), 0);
}

int store_txn_row_del(store_txn *t, MDB_dbi table, str key)
{
    str value;
    int r = find(t, table, key, &value);
    return r == -ENOENT ? 0 : r < 0 ? r : del_found(t, table);
}

int store_txn_drop(store_txn *t, MDB_dbi table)
{
    return wrote(t, mdb_drop(t->view.txn, table, 0), 0);
}

/* ---- records ---- */

static int put_emission(store_txn *t, const space *sp, const emission *m, unsigned flags)
{
    str key = store_emission_key(&t->after, m);
    if (m->index == EMIT_TALLY)
        return store_tally_table_add(&t->tallies, sp->ks->slot, key, 1);
    int r = store_txn_row(t, sp->indexes[m->index], key, store_emission_value(&t->after, m), flags);
    return r == -EEXIST ? -EPROTO : r; /* keys that aren't unique, or the index is out of step */
}

static int del_emission(store_txn *t, const space *sp, const emission *m)
{
    str key = store_emission_key(&t->before, m);
    if (m->index == EMIT_TALLY)
        return store_tally_table_add(&t->tallies, sp->ks->slot, key, -1);
    return store_txn_row_del(t, sp->indexes[m->index], key);
}

/* Goes through what the old and the new record emit, both sorted, side by side. */
static int keep_in_step(store_txn *t, const space *sp)
{
    const store_emit *old = &t->before, *new = &t->after;
    size_t i = 0, j = 0;
    int r = 0;
    while (r == 0 && (i < old->n || j < new->n)) {
        int order = i == old->n ? 1 : j == new->n ? -1 : store_emission_cmp(old, &old->v[i], new, &new->v[j]);
        if (order < 0) {
            r = del_emission(t, sp, &old->v[i++]);
        } else if (order > 0) {
            r = put_emission(t, sp, &new->v[j++], MDB_NOOVERWRITE);
        } else {
            if (!str_eq(store_emission_value(old, &old->v[i]), store_emission_value(new, &new->v[j])))
                r = put_emission(t, sp, &new->v[j], 0);
            i++, j++;
        }
    }
    return r;
}

int store_txn_emit(store_txn *t, const space *sp, str key, str value)
{
    store_emit_clear(&t->before);
    int r = store_emit_record(&t->after, sp->ks, key, value);
    return r < 0 ? r : keep_in_step(t, sp);
}

static void change(store_txn *t, const keyspace *ks)
{
    t->changes++;
    t->touched[ks->slot] = true;
}

static int emit(const store_txn *t, store_emit *e, const keyspace *ks, str key, str value)
{
    return t->plain ? 0 : store_emit_record(e, ks, key, value);
}

static int put_record(store_txn *t, const keyspace *ks, str key, str value)
{
    space *sp = store_space(t->owner, ks);
    str old;
    int r = find(t, sp->records, key, &old);
    if (r < 0 && r != -ENOENT)
        return r;
    bool found = r == 0;
    if (found && str_eq(old, value))
        return 0;
    store_emit_clear(&t->before);
    store_emit_clear(&t->after);
    r = found ? emit(t, &t->before, ks, key, old) : 0;
    if (r == 0)
        r = emit(t, &t->after, ks, key, value);
    if (r == 0 && !found)
        r = store_unique_before_put(t, sp, key);
    if (r < 0)
        return r;
    change(t, ks);
    r = store_txn_row(t, sp->records, key, value, found ? MDB_CURRENT : 0);
    if (r == 0 && !found)
        store_unique_put(t, sp, key);
    return r < 0 ? r : keep_in_step(t, sp);
}

static int del_record(store_txn *t, const keyspace *ks, str key)
{
    space *sp = store_space(t->owner, ks);
    str old;
    int r = find(t, sp->records, key, &old);
    if (r < 0)
        return r;
    store_emit_clear(&t->before);
    store_emit_clear(&t->after);
    r = emit(t, &t->before, ks, key, old);
    if (r == 0)
        r = store_unique_before_del(t, sp);
    if (r < 0)
        return r;
    change(t, ks);
    r = del_found(t, sp->records);
    if (r == 0)
        store_unique_del(t, sp, key);
    return r < 0 ? r : keep_in_step(t, sp);
}

static bool key_is_good(str key)
{
    return key.n > 0 && key.n <= STORE_KEY_MAX;
}

int store_put(store_txn *t, const keyspace *ks, str key, str value)
{
    if (t->err < 0)
        return t->err;
    char key_bytes[STORE_KEY_MAX];
    buf_reset(&t->value);
    int r = !key_is_good(key) ? -EINVAL : value.n > STORE_VALUE_MAX ? -EFBIG : 0;
    if (r == 0) {
        buf_str(&t->value, value);
        r = t->value.err;
    }
    if (r == 0) {
        memcpy(key_bytes, key.p, key.n);
        r = put_record(t, ks, str_of(key_bytes, key.n), buf_view(&t->value));
    }
    return t->err = r;
}

int store_del(store_txn *t, const keyspace *ks, str key)
{
    if (t->err < 0)
        return t->err;
    char key_bytes[STORE_KEY_MAX];
    if (!key_is_good(key))
        return -ENOENT;
    memcpy(key_bytes, key.p, key.n);
    int r = del_record(t, ks, str_of(key_bytes, key.n));
    if (r != -ENOENT)
        t->err = r;
    return r;
}

/* ---- ops ---- */

store_view *store_txn_view(store_txn *t)
{
    return &t->view;
}

bool store_txn_is_full(const store_txn *t)
{
    return t->writes - t->step_from >= t->step_writes;
}

int store_txn_apply(store_txn *t, store_op *op, bool *ret_left_traces)
{
    uint64_t changes = t->changes;
    t->err = 0;
    t->step_from = t->writes;
    int64_t from = clk_mono_ns(clk_real());
    int r = op->apply(t, op);
    uint64_t us = (uint64_t)(clk_mono_ns(clk_real()) - from) / 1000;
    if (us > t->longest_hold_us)
        t->longest_hold_us = us;
    if (r >= 0 && t->err < 0)
        r = t->err;
    store_view_end_cursors(&t->view);
    if (r >= 0 && t->changes != changes && !(op->flags & STORE_FREES) && !store_space_fits(t))
        r = -ENOSPC;
    *ret_left_traces = t->changes != changes || t->broken;
    return r;
}

static int step(store_txn *t, store_op *op)
{
    bool left_traces;
    int r = store_txn_begin(t);
    if (r < 0)
        return r;
    r = store_txn_apply(t, op, &left_traces);
    if (r < 0) {
        store_txn_abort(t);
        return r;
    }
    int c = store_txn_commit(t);
    return c < 0 ? c : r;
}

int store_txn_step(store_txn *t, store_op *op)
{
    op->at_before = op->at;
    int r = step(t, op);
    if (r == -ENOSPC && (op->flags & STORE_FREES)) { /* a smaller bite may fit */
        op->at = op->at_before;
        t->step_writes = SMALL_STEP_WRITES;
        r = step(t, op);
        t->step_writes = STORE_STEP_WRITES;
    }
    return r;
}

int store_run(store *s, store_op *op)
{
    store_txn *t;
    if (s->read_only)
        return -EROFS;
    store_view_let_go(&s->view);
    int r = store_txn_new(s, &t);
    if (r < 0)
        return r;
    op->at = 0;
    do
        r = store_txn_step(t, op);
    while (r == STORE_MORE);
    store_txn_free(t);
    return r == ENV_DEAD ? -EIO : r;
}
