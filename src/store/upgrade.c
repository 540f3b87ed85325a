/* Brings the tables up to date at open: makes what is missing, runs migrations, builds the indexes and
 * tallies of keyspaces whose emitter is another one than last time. What a keyspace's sums and indexes were
 * built by is a row of "meta", its stamp; it is taken away before a rebuilding begins and set when it is
 * complete, so that one cut short begins anew.
 *
 * A migration rewrites records without indexes; the stamps of the keyspaces it touches go with the same
 * commit. */
#include <stdio.h>

#include "impl.h"

#include "larder/hash.h"

#define NAMES 1 /* LMDB's table of tables */
#define REBUILD_WRITES 20000

/* ---- rows of meta ---- */

static int meta_get(MDB_txn *txn, MDB_dbi meta, str name, uint64_t *ret_value)
{
    MDB_val key = store_val(name), value;
    int rc = mdb_get(txn, meta, &key, &value);
    if (rc != 0)
        return store_errno(rc);
    *ret_value = store_number(store_str(value));
    return value.mv_size == 8 ? 0 : -EPROTO;
}

int store_meta_put(store_txn *t, str name, uint64_t value)
{
    char bytes[8];
    store_number_bytes(value, bytes);
    return store_txn_row(t, t->owner->meta, name, (str){bytes, sizeof(bytes)}, 0);
}

static str stamp_name(const keyspace *ks, char out[80])
{
    int n = snprintf(out, 80, "emit:%s", ks->name);
    return (str){out, (size_t)n};
}

/* 0 for a keyspace that emits nothing. */
static uint64_t stamp_wanted(const keyspace *ks)
{
    if (!ks->emit)
        return 0;
    uint64_t h = ks->emit_version;
    for (size_t x = 0; x < ks->n_indexes; x++)
        h = h * UINT64_C(0x9E3779B97F4A7C15) + hash64(ks->indexes[x], strlen(ks->indexes[x]) + 1);
    return h | 1;
}

static bool stamp_is_right(store *s, MDB_txn *txn, const keyspace *ks)
{
    char name[80];
    uint64_t stamp = 0;
    int r = meta_get(txn, s->meta, stamp_name(ks, name), &stamp);
    return (r == 0 || r == -ENOENT) && stamp == stamp_wanted(ks);
}

static int stamp_set(store_txn *t, const keyspace *ks)
{
    char name[80];
    return store_meta_put(t, stamp_name(ks, name), stamp_wanted(ks));
}

static int stamp_take_away(store_txn *t, const keyspace *ks)
{
    char name[80];
    return store_txn_row_del(t, t->owner->meta, stamp_name(ks, name));
}

static bool all_stamps_are_right(store *s, MDB_txn *txn)
{
    for (size_t i = 0; i < s->n_spaces; i++)
        if (!stamp_is_right(s, txn, s->spaces[i].ks))
            return false;
    return true;
}

/* ---- first look ---- */

static int read_identity(store *s, MDB_txn *txn, const store_options *o, uint64_t *ret_schema, const char **ret_why)
{
    uint64_t schema;
    int r = s->meta == NO_TABLE || s->sums == NO_TABLE ? -EPROTO : meta_get(txn, s->meta, STR("schema"), &schema);
    if (r == 0)
        r = meta_get(txn, s->meta, STR("id"), &s->id);
    if (r < 0) {
        *ret_why = "it is not a store of this program";
        return r == -ENOENT ? -EPROTO : r;
    }
    if (schema > o->schema_version) {
        *ret_why = "it was written by a newer version of this program";
        return -EOVERFLOW;
    }
    *ret_schema = schema;
    return 0;
}

static int look_read_only(store *s, const store_options *o, const char **ret_why)
{
    MDB_txn *txn;
    uint64_t schema;
    int r = store_errno(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn));
    if (r < 0)
        return r;
    r = store_tables_open_own(s, txn, false);
    if (r == 0)
        r = read_identity(s, txn, o, &schema, ret_why);
    if (r == 0)
        r = store_tables_open(s, txn, false);
    if (r == 0 && (schema < o->schema_version || !all_stamps_are_right(s, txn))) {
        *ret_why = "it must be upgraded first: start the server once";
        r = -ESTALE;
    }
    if (r < 0) {
        mdb_txn_abort(txn);
        return r;
    }
    return store_errno(mdb_txn_commit(txn));
}

static int create(store_txn *t, const store_options *o)
{
    store *s = t->owner;
    s->id = random_u64();
    int r = store_tables_open_own(s, t->view.txn, true);
    if (r == 0)
        r = store_meta_put(t, STR("schema"), o->schema_version);
    return r < 0 ? r : store_meta_put(t, STR("id"), s->id);
}

/* Makes the tables; where there are no records, a stamp needs no rebuilding. */
static int look(store_txn *t, const store_options *o, bool *ret_current, const char **ret_why)
{
    store *s = t->owner;
    MDB_stat names;
    uint64_t schema;
    mdb_stat(t->view.txn, NAMES, &names);
    int r = names.ms_entries == 0 ? create(t, o) : store_tables_open_own(s, t->view.txn, false);
    if (r == 0)
        r = read_identity(s, t->view.txn, o, &schema, ret_why);
    if (r == 0)
        r = store_tables_open(s, t->view.txn, true);
    for (size_t i = 0; i < s->n_spaces && r == 0; i++) {
        const keyspace *ks = s->spaces[i].ks;
        if (store_count(&t->view, ks) == 0 && !stamp_is_right(s, t->view.txn, ks))
            r = stamp_set(t, ks);
    }
    if (r == 0)
        *ret_current = schema == o->schema_version && all_stamps_are_right(s, t->view.txn);
    return r;
}

/* ---- migrations ---- */

static int migrate_once(store_txn *t, const store_options *o, uint64_t schema)
{
    store *s = t->owner;
    const store_migration *m = NULL;
    for (size_t i = 0; i < o->n_migrations; i++)
        if (o->migrations[i].from == schema)
            m = &o->migrations[i];
    if (!m)
        return -EPROTO;
    t->plain = true;
    int r = m->migrate(t);
    t->plain = false;
    if (r == 0)
        r = t->err;
    for (size_t i = 0; i < s->n_spaces && r == 0; i++)
        if (t->touched[i])
            r = stamp_take_away(t, s->spaces[i].ks);
    return r < 0 ? r : store_meta_put(t, STR("schema"), schema + 1);
}

static int migrate(store_txn *t, const store_options *o, const char **ret_why)
{
    for (;;) {
        uint64_t schema;
        int r = store_txn_begin(t);
        if (r < 0)
            return r;
        r = read_identity(t->owner, t->view.txn, o, &schema, ret_why);
        bool done = r == 0 && schema == o->schema_version;
        if (r == 0 && !done) {
            *ret_why = "it could not be migrated from an older version";
            r = migrate_once(t, o, schema);
        }
        if (r < 0 || done) {
            store_txn_abort(t);
            return r;
        }
        r = store_txn_commit(t);
        if (r < 0)
            return r;
    }
}

/* ---- rebuilding ---- */

static int drop_built(store_txn *t, const space *sp)
{
    int r = stamp_take_away(t, sp->ks);
    for (size_t x = 0; x < sp->ks->n_indexes && r == 0; x++)
        r = store_txn_drop(t, sp->indexes[x]);
    return r < 0 ? r : store_tally_drop(t, sp->ks);
}

/* Goes on behind *last. 0 at the end, STORE_MORE otherwise. */
static int build_some(store_txn *t, const space *sp, store_key *last)
{
    store_cursor *c;
    store_item item;
    int r = store_walk(&t->view, sp->ks, STORE_BY_KEY, STR_NULL, last->n ? store_key_view(last) : STR_NULL, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && store_next(c, &item)) {
        if (str_eq(item.key, store_key_view(last)))
            continue;
        r = store_txn_emit(t, sp, item.key, item.value);
        store_key_init(last);
        store_key_tail(last, item.key);
        if (r == 0 && t->writes >= REBUILD_WRITES)
            r = STORE_MORE;
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    return r;
}

static int rebuild(store_txn *t, const space *sp)
{
    store_key last;
    store_key_init(&last);
    int r = store_txn_begin(t);
    if (r < 0)
        return r;
    r = drop_built(t, sp);
    for (;;) {
        if (r == 0)
            r = build_some(t, sp, &last);
        if (r == 0)
            r = stamp_set(t, sp->ks);
        if (r < 0) {
            store_txn_abort(t);
            return r;
        }
        int c = store_txn_commit(t);
        if (c < 0 || r == 0)
            return c;
        r = store_txn_begin(t);
        if (r < 0)
            return r;
    }
}

static int rebuild_all(store_txn *t, const char **ret_why)
{
    store *s = t->owner;
    *ret_why = "its indexes could not be rebuilt";
    for (size_t i = 0; i < s->n_spaces; i++) {
        int r = store_txn_begin(t);
        if (r < 0)
            return r;
        bool right = stamp_is_right(s, t->view.txn, s->spaces[i].ks);
        store_txn_abort(t);
        r = right ? 0 : rebuild(t, &s->spaces[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* Only where no server works with the old tables meanwhile. */
static int upgrade_alone(store_txn *t, const store_options *o, const char **ret_why)
{
    store *s = t->owner;
    int r = s->loop ? 0 : store_lock_server(s);
    if (r < 0) {
        *ret_why = "it must be upgraded, and a server has it open";
        return r;
    }
    r = migrate(t, o, ret_why);
    if (r == 0)
        r = rebuild_all(t, ret_why);
    if (!s->loop)
        store_unlock_server(s);
    return r;
}

int store_upgrade(store *s, const store_options *o, const char **ret_why)
{
    if (s->read_only)
        return look_read_only(s, o, ret_why);
    store_txn *t;
    bool current;
    int r = store_txn_new(s, &t);
    if (r < 0)
        return r;
    r = store_txn_begin(t);
    if (r == 0) {
        r = look(t, o, &current, ret_why);
        if (r == 0)
            r = store_txn_commit(t);
        else
            store_txn_abort(t);
    }
    if (r == 0 && !current)
        r = upgrade_alone(t, o, ret_why);
    store_txn_free(t);
    return r;
}
