/* What a record emits: gathered in one buffer, sorted, so that what the old and the new record emit can be
 * compared in one pass. Emitters break no memory whatever they do: a wrong call makes the emission fail. */
#include <stdlib.h>

#include "impl.h"

#define ENTRY_HEAD 2 /* bytes before the cover: the length of the record's key */
#define MAX_EMISSIONS 100000

void store_emit_done(store_emit *e)
{
    buf_done(&e->bytes);
    mem_free(e->v);
    *e = (store_emit){0};
}

void store_emit_clear(store_emit *e)
{
    buf_reset(&e->bytes);
    e->n = 0;
    e->err = 0;
}

static void fail(store_emit *e, int err)
{
    if (e->err == 0)
        e->err = err;
}

static void add(store_emit *e, emission m)
{
    if (e->n == e->cap) {
        size_t cap = e->cap ? 2 * e->cap : 16;
        emission *v = cap <= MAX_EMISSIONS ? mem_realloc(e->v, cap * sizeof(*v)) : NULL;
        if (!v) {
            fail(e, cap <= MAX_EMISSIONS ? -ENOMEM : -EINVAL);
            return;
        }
        e->v = v;
        e->cap = cap;
    }
    e->v[e->n++] = m;
}

void store_emit_entry(store_emit *e, unsigned index, str index_key, str cover)
{
    if (index >= e->ks->n_indexes || index_key.n > STORE_KEY_MAX || cover.n > STORE_KEY_MAX ||
        !str_ends(index_key, e->key)) {
        fail(e, -EINVAL);
        return;
    }
    const unsigned char head[ENTRY_HEAD] = {(unsigned char)e->key.n, (unsigned char)(e->key.n >> 8)};
    emission m = {index, (uint32_t)e->bytes.n, (uint32_t)index_key.n, (uint32_t)(ENTRY_HEAD + cover.n)};
    buf_str(&e->bytes, index_key);
    buf_put(&e->bytes, head, sizeof(head));
    buf_str(&e->bytes, cover);
    add(e, m);
}

void store_emit_bucket(store_emit *e, str bucket)
{
    if (bucket.n == 0 || bucket.n > STORE_BUCKET_MAX) {
        fail(e, -EINVAL);
        return;
    }
    emission m = {EMIT_TALLY, (uint32_t)e->bytes.n, (uint32_t)bucket.n, 0};
    buf_str(&e->bytes, bucket);
    add(e, m);
}

str store_emission_key(const store_emit *e, const emission *m)
{
    return (str){e->bytes.p + m->key_at, m->key_n};
}

str store_emission_value(const store_emit *e, const emission *m)
{
    return (str){e->bytes.p + m->key_at + m->key_n, m->value_n};
}

int store_emission_cmp(const store_emit *e, const emission *m, const store_emit *f, const emission *n)
{
    if (m->index != n->index)
        return m->index < n->index ? -1 : 1;
    return str_cmp(store_emission_key(e, m), store_emission_key(f, n));
}

static int cmp_in(const void *m, const void *n, void *e)
{
    return store_emission_cmp(e, m, e, n);
}

/* Most emitters speak in order already, and then this is one comparison for each. An entry said twice is a
 * fault; a bucket said twice counts twice. */
static int sort(store_emit *e)
{
    for (size_t i = 1; i < e->n; i++) {
        if (cmp_in(&e->v[i - 1], &e->v[i], e) > 0) {
            qsort_r(e->v, e->n, sizeof(*e->v), cmp_in, e);
            break;
        }
    }
    for (size_t i = 1; i < e->n; i++)
        if (e->v[i].index != EMIT_TALLY && cmp_in(&e->v[i - 1], &e->v[i], e) == 0)
            return -EINVAL;
    return 0;
}

int store_emit_record(store_emit *e, const keyspace *ks, str key, str value)
{
    store_emit_clear(e);
    if (!ks->emit)
        return 0;
    e->ks = ks;
    e->key = key;
    int r = ks->emit(key, value, e);
    if (r == 0)
        r = e->err ? e->err : e->bytes.err;
    return r < 0 ? r : sort(e);
}

int store_entry_split(str index_key, str value, str *ret_key, str *ret_cover)
{
    if (value.n < ENTRY_HEAD)
        return -EPROTO;
    size_t n = (size_t)((unsigned char)value.p[0] | (unsigned char)value.p[1] << 8);
    if (n > index_key.n)
        return -EPROTO;
    *ret_key = str_from(index_key, index_key.n - n);
    *ret_cover = str_from(value, ENTRY_HEAD);
    return 0;
}
