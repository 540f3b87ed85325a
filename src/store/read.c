/* Views. The loop has one snapshot, which store_read_begin brings up to date and store_read_end keeps: as
 * long as nothing is committed it is still the newest, and its tables, once looked up, need no second look.
 * It holds nobody up: the pages it keeps from being used again are those that later commits free, and the
 * news of a commit (writer.c) brings it up to date. That it is always there lets reads go on while the
 * environment is dead. */
#include "impl.h"

int store_view_open(store *s)
{
    store_view *v = &s->view;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &v->txn);
    if (rc != 0) {
        v->txn = NULL;
        return store_errno(rc);
    }
    v->open = true;
    v->snapshot = mdb_txn_id(v->txn);
    for (size_t i = 0; i < s->n_spaces; i++)
        s->spaces[i].generation_of = NO_SNAPSHOT;
    s->pages_used_of = NO_SNAPSHOT;
    return 0;
}

void store_view_let_go(store_view *v)
{
    if (v->open && v->depth == 0) {
        mdb_txn_reset(v->txn);
        v->open = false;
    }
}

void store_view_close(store_view *v)
{
    store_view_end_cursors(v);
    store_idle_cursors_close(v->owner);
    if (v->txn)
        mdb_txn_abort(v->txn);
    v->txn = NULL;
    v->open = false;
}

/* LMDB's newest meta page may be a commit that isn't known to readers yet: then this renews to the same
 * snapshot again, which is right, if not needed. */
void store_view_refresh(store_view *v)
{
    MDB_envinfo info;
    if (!v->txn || v->depth > 0)
        return;
    mdb_env_info(v->owner->env, &info);
    if (v->open && v->snapshot == info.me_last_txnid)
        return;
    store_view_let_go(v);
    v->open = mdb_txn_renew(v->txn) == 0; /* if not, reads say -EIO until the environment is reopened */
    v->snapshot = mdb_txn_id(v->txn);
}

store_view *store_read_begin(store *s)
{
    store_view_refresh(&s->view);
    s->view.depth++;
    return &s->view;
}

int store_read_begin_job(store *s, store_view **ret_view)
{
    store_view *v = mem_new(store_view);
    if (!v)
        return -ENOMEM;
    *v = (store_view){.owner = s, .open = true};
    pthread_mutex_lock(&s->env_lock);
    int r = s->env ? store_errno(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &v->txn)) : -EIO;
    if (r == 0)
        s->job_views++;
    pthread_mutex_unlock(&s->env_lock);
    if (r < 0) {
        mem_free(v);
        return r;
    }
    v->snapshot = mdb_txn_id(v->txn);
    *ret_view = v;
    return 0;
}

void store_read_end(store_view *v)
{
    if (v->writing)
        return;
    store *s = v->owner;
    if (v == &s->view) {
        REQUIRE(v->depth > 0);
        if (--v->depth == 0)
            store_view_end_cursors(v);
        return;
    }
    store_view_end_cursors(v);
    pthread_mutex_lock(&s->env_lock);
    mdb_txn_abort(v->txn);
    s->job_views--;
    pthread_mutex_unlock(&s->env_lock);
    mem_free(v);
}

/* ---- point reads ---- */

int store_get(store_view *v, const keyspace *ks, str key, str *ret_value)
{
    MDB_dbi table = store_space(v->owner, ks)->records;
    if (!v->open)
        return -EIO;
    if (key.n == 0 || key.n > STORE_KEY_MAX || table == NO_TABLE)
        return -ENOENT;
    MDB_val k = store_val(key), value;
    int rc = mdb_get(v->txn, table, &k, &value);
    if (rc != 0)
        return store_errno(rc);
    *ret_value = store_str(value);
    return 0;
}

bool store_has(store_view *v, const keyspace *ks, str key)
{
    str value;
    return store_get(v, ks, key, &value) == 0;
}

uint64_t store_count(store_view *v, const keyspace *ks)
{
    MDB_stat st;
    MDB_dbi table = store_space(v->owner, ks)->records;
    return v->open && table != NO_TABLE && mdb_stat(v->txn, table, &st) == 0 ? st.ms_entries : 0;
}

int64_t store_tally(store_view *v, const keyspace *ks, str bucket)
{
    uint64_t sum = 0;
    if (!v->open || bucket.n == 0 || bucket.n > STORE_BUCKET_MAX)
        return 0;
    const space *sp = store_space(v->owner, ks);
    store_sum_get(v, ks, SUM_TALLY, bucket, &sum);
    if (v->writing)
        sum += (uint64_t)store_tally_table_get(&v->writing->tallies, sp->ks->slot, bucket);
    return (int64_t)sum;
}

/* A row of the snapshot that each commit raises when it touches the keyspace: it is as old and as new as
 * the content itself, whichever process wrote it, and never falls. */
uint64_t store_generation(store_view *v, const keyspace *ks)
{
    uint64_t sum = 0;
    space *sp = store_space(v->owner, ks);
    const bool is_loops = v == &v->owner->view; /* each request asks: it is looked up once a snapshot */
    if (is_loops && v->open && sp->generation_of == v->snapshot)
        return sp->generation;
    int r = v->open ? store_sum_get(v, ks, SUM_GENERATION, STR_NULL, &sum) : -EIO;
    if (is_loops && (r == 0 || r == -ENOENT)) {
        sp->generation = sum;
        sp->generation_of = v->snapshot;
    }
    return sum + (v->writing && v->writing->touched[sp->ks->slot]);
}
