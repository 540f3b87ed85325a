/* Sums: what a keyspace counts per bucket (tallies), and how often it was changed (its generation). They
 * are rows of one table, so that a snapshot holds sums and records of the same moment; a transaction
 * gathers its deltas here and adds them to the rows once, before it commits. */
#include "impl.h"

#include "larder/hash.h"

/* ---- the deltas of a transaction: open addressing, at most half full ---- */

void store_tally_table_done(tally_table *t)
{
    mem_free(t->v);
    mem_free(t->places);
    buf_done(&t->bytes);
    *t = (tally_table){0};
}

void store_tally_table_clear(tally_table *t)
{
    if (t->n > 0)
        memset(t->places, 0, t->n_places * sizeof(*t->places));
    t->n = 0;
    buf_reset(&t->bytes);
}

str store_tally_bucket(const tally_table *t, const tally_delta *d)
{
    return (str){t->bytes.p + d->at, d->n};
}

static uint64_t hash_of(unsigned slot, str bucket)
{
    return hash64(bucket.p, bucket.n) + slot * UINT64_C(0x9E3779B97F4A7C15);
}

/* The place that holds the bucket, or the free one where it belongs. There are places. */
static uint32_t *place_of(const tally_table *t, uint64_t hash, unsigned slot, str bucket)
{
    for (size_t at = hash & (t->n_places - 1);; at = (at + 1) & (t->n_places - 1)) {
        uint32_t *place = &t->places[at];
        if (*place == 0)
            return place;
        const tally_delta *d = &t->v[*place - 1];
        if (d->hash == hash && d->slot == slot && str_eq(store_tally_bucket(t, d), bucket))
            return place;
    }
}

static int grow(tally_table *t)
{
    size_t cap = t->cap ? 2 * t->cap : 64;
    tally_delta *v = mem_realloc(t->v, cap * sizeof(*v));
    if (!v)
        return -ENOMEM;
    t->v = v;
    uint32_t *places = mem_zalloc(2 * cap * sizeof(*places));
    if (!places)
        return -ENOMEM;
    mem_free(t->places);
    t->places = places;
    t->n_places = 2 * cap;
    t->cap = cap;
    for (size_t i = 0; i < t->n; i++)
        *place_of(t, t->v[i].hash, t->v[i].slot, store_tally_bucket(t, &t->v[i])) = (uint32_t)i + 1;
    return 0;
}

int store_tally_table_add(tally_table *t, unsigned slot, str bucket, int64_t value)
{
    if (t->n == t->cap) {
        int r = grow(t);
        if (r < 0)
            return r;
    }
    uint64_t hash = hash_of(slot, bucket);
    uint32_t *place = place_of(t, hash, slot, bucket);
    if (*place == 0) {
        tally_delta d = {.hash = hash, .slot = slot, .at = t->bytes.n, .n = bucket.n};
        buf_str(&t->bytes, bucket);
        if (t->bytes.err)
            return t->bytes.err;
        t->v[t->n++] = d;
        *place = (uint32_t)t->n;
    }
    t->v[*place - 1].value += value;
    return 0;
}

int64_t store_tally_table_get(const tally_table *t, unsigned slot, str bucket)
{
    if (t->n == 0)
        return 0;
    uint32_t place = *place_of(t, hash_of(slot, bucket), slot, bucket);
    return place ? t->v[place - 1].value : 0;
}

/* ---- the table of sums ---- */

void store_sum_key(store_key *k, const keyspace *ks, char kind, str bucket)
{
    store_key_init(k);
    store_key_str(k, str_c(ks->name));
    store_key_tail(k, (str){&kind, 1});
    store_key_tail(k, bucket);
}

int store_sum_get(store_view *v, const keyspace *ks, char kind, str bucket, uint64_t *ret_value)
{
    store_key k;
    store_sum_key(&k, ks, kind, bucket);
    MDB_val key = store_val(store_key_view(&k)), value;
    int rc = mdb_get(v->txn, v->owner->sums, &key, &value);
    if (rc != 0)
        return store_errno(rc);
    if (value.mv_size != 8)
        return -EPROTO;
    *ret_value = store_number(store_str(value));
    return 0;
}

/* No row: 0. A tally that comes to 0 needs none. */
static int add_to_sum(store_txn *t, const keyspace *ks, char kind, str bucket, int64_t delta)
{
    uint64_t sum = 0;
    int r = store_sum_get(&t->view, ks, kind, bucket, &sum);
    if (r < 0 && r != -ENOENT)
        return r;
    store_key k;
    store_sum_key(&k, ks, kind, bucket);
    sum += (uint64_t)delta;
    if (sum == 0)
        return store_txn_row_del(t, t->owner->sums, store_key_view(&k));
    char bytes[8];
    store_number_bytes(sum, bytes);
    return store_txn_row(t, t->owner->sums, store_key_view(&k), (str){bytes, sizeof(bytes)}, 0);
}

int store_tally_flush(store_txn *t)
{
    const store *s = t->owner;
    int r = 0;
    for (size_t i = 0; i < t->tallies.n && r == 0; i++) {
        const tally_delta *d = &t->tallies.v[i];
        str bucket = store_tally_bucket(&t->tallies, d);
        if (d->value != 0)
            r = add_to_sum(t, s->spaces[d->slot].ks, SUM_TALLY, bucket, d->value);
    }
    for (size_t slot = 0; slot < s->n_spaces && r == 0; slot++)
        if (t->touched[slot])
            r = add_to_sum(t, s->spaces[slot].ks, SUM_GENERATION, STR_NULL, 1);
    return r;
}

int store_tally_each(store_view *v, const keyspace *ks, int (*fn)(void *arg, str bucket, int64_t tally), void *arg)
{
    store_key prefix;
    MDB_cursor *c;
    MDB_val key, value;
    int r = 0;
    int rc = mdb_cursor_open(v->txn, v->owner->sums, &c);
    if (rc != 0)
        return store_errno(rc);
    store_sum_key(&prefix, ks, SUM_TALLY, STR_NULL);
    key = store_val(store_key_view(&prefix));
    for (rc = mdb_cursor_get(c, &key, &value, MDB_SET_RANGE); rc == 0 && r == 0;
         rc = mdb_cursor_get(c, &key, &value, MDB_NEXT)) {
        if (!str_starts(store_str(key), store_key_view(&prefix)))
            break;
        r = value.mv_size != 8 ? -EPROTO
                               : fn(arg, str_from(store_str(key), prefix.n), (int64_t)store_number(store_str(value)));
    }
    mdb_cursor_close(c);
    return r != 0 || rc == 0 || rc == MDB_NOTFOUND ? r : store_errno(rc);
}

int store_tally_drop(store_txn *t, const keyspace *ks)
{
    store_key prefix;
    store_sum_key(&prefix, ks, SUM_TALLY, STR_NULL);
    for (;;) {
        MDB_cursor *c;
        MDB_val key = store_val(store_key_view(&prefix)), value;
        char bytes[STORE_KEY_MAX];
        int rc = mdb_cursor_open(t->view.txn, t->owner->sums, &c);
        if (rc != 0)
            return store_errno(rc);
        rc = mdb_cursor_get(c, &key, &value, MDB_SET_RANGE);
        bool found = rc == 0 && str_starts(store_str(key), store_key_view(&prefix));
        if (found)
            memcpy(bytes, key.mv_data, key.mv_size);
        mdb_cursor_close(c);
        int r = found ? store_txn_row_del(t, t->owner->sums, str_of(bytes, key.mv_size)) : 0;
        if (!found || r < 0)
            return r < 0 || rc == MDB_NOTFOUND ? r : store_errno(rc);
    }
}
