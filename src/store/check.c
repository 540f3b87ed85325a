/* Check: what the records emit against what the indexes and tallies hold, on one snapshot; and what is unique.
 *
 * Every record's entries are looked up, and counted: when an index holds as many as were found, it holds no
 * others; otherwise it is walked and those that no record emits are named. Tallies are counted anew; where
 * there are too many buckets to hold them all, in several passes over the records, each for a part of the
 * buckets. */
#include "impl.h"

#include "larder/hash.h"

#define BUCKETS_AT_ONCE 65536
#define TEXT_KEY 80 /* bytes of a key that a line shows */

typedef struct checker {
    store_view *view;
    void (*line)(void *arg, const char *text);
    void *arg;
    int faults;
    buf text;
    store_emit emit;
} checker;

static void put_key(buf *b, str key)
{
    buf_char(b, '"');
    for (size_t i = 0; i < key.n && i < TEXT_KEY; i++) {
        unsigned char c = (unsigned char)key.p[i];
        if (c >= 0x20 && c < 0x7f && c != '"' && c != '\\')
            buf_char(b, (char)c);
        else
            buf_printf(b, "\\x%02x", c);
    }
    buf_put(b, "\"..", key.n > TEXT_KEY ? 3 : 1);
}

/* "artifacts: index by_name: " and so on; the line is complete with fault_end. */
static buf *fault(checker *k, const keyspace *ks, const char *index)
{
    buf_reset(&k->text);
    buf_printf(&k->text, "%s: ", ks->name);
    if (index)
        buf_printf(&k->text, "index %s: ", index);
    return &k->text;
}

static void fault_end(checker *k)
{
    buf_char(&k->text, '\0');
    k->line(k->arg, k->text.err ? "a fault (no memory to name it)" : k->text.p);
    k->faults++;
}

/* ---- records against indexes ---- */

static int check_entry(checker *k, const space *sp, const emission *m, str record)
{
    MDB_val key = store_val(store_emission_key(&k->emit, m)), value;
    int rc = mdb_get(k->view->txn, sp->indexes[m->index], &key, &value);
    if (rc != 0 && rc != MDB_NOTFOUND)
        return store_errno(rc);
    if (rc == 0 && str_eq(store_str(value), store_emission_value(&k->emit, m)))
        return 1;
    buf *text = fault(k, sp->ks, sp->ks->indexes[m->index]);
    buf_printf(text, rc == 0 ? "another cover than emitted, entry " : "lacks entry ");
    put_key(text, store_str(key));
    buf_printf(text, " of record ");
    put_key(text, record);
    fault_end(k);
    return rc == 0;
}

/* Adds to counts[index] what it has found there. */
static int check_records(checker *k, const space *sp, uint64_t *counts)
{
    store_cursor *c;
    store_item item;
    int r = store_walk(k->view, sp->ks, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c);
    if (r < 0)
        return r;
    while (r >= 0 && store_next(c, &item)) {
        int e = store_emit_record(&k->emit, sp->ks, item.key, item.value);
        if (e == -ENOMEM) {
            r = e;
            break;
        }
        if (e < 0) {
            buf *text = fault(k, sp->ks, NULL);
            buf_printf(text, "can't be read (%s): record ", err_text(e));
            put_key(text, item.key);
            fault_end(k);
            continue;
        }
        for (size_t i = 0; i < k->emit.n && r >= 0; i++) {
            const emission *m = &k->emit.v[i];
            r = m->index == EMIT_TALLY ? 0 : check_entry(k, sp, m, item.key);
            if (r > 0)
                counts[m->index]++;
        }
    }
    if (r >= 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    return r;
}

static bool is_emitted(const store_emit *e, uint32_t index, str key)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->v[i].index == index && str_eq(store_emission_key(e, &e->v[i]), key))
            return true;
    return false;
}

static int name_strangers(checker *k, const space *sp, uint32_t index)
{
    store_cursor *c;
    store_item item;
    int r = store_walk(k->view, sp->ks, (int)index, STR_NULL, STR_NULL, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && store_next(c, &item)) {
        str value;
        const bool known = store_get(k->view, sp->ks, item.key, &value) == 0;
        const int e = known ? store_emit_record(&k->emit, sp->ks, item.key, value) : 0;
        if (e == -ENOMEM) {
            r = e;
            break;
        }
        if (known && e == 0 && is_emitted(&k->emit, index, item.index_key))
            continue;
        buf *text = fault(k, sp->ks, sp->ks->indexes[index]);
        buf_printf(text, known ? "no longer emitted, entry " : "without a record, entry ");
        put_key(text, item.index_key);
        fault_end(k);
    }
    if (r == 0)
        r = store_cursor_error(c);
    if (r == -EPROTO) {
        buf_printf(fault(k, sp->ks, sp->ks->indexes[index]), "holds a row that is no entry");
        fault_end(k);
        r = 0;
    }
    store_cursor_end(c);
    return r;
}

static int check_indexes(checker *k, const space *sp)
{
    uint64_t *counts = mem_zalloc(sp->ks->n_indexes * sizeof(*counts));
    int r = counts ? check_records(k, sp, counts) : -ENOMEM;
    for (uint32_t x = 0; x < sp->ks->n_indexes && r == 0; x++) {
        MDB_stat st;
        r = store_errno(mdb_stat(k->view->txn, sp->indexes[x], &st));
        if (r == 0 && st.ms_entries != counts[x])
            r = name_strangers(k, sp, x);
    }
    mem_free(counts);
    return r;
}

/* ---- records against tallies ---- */

typedef struct recount {
    const space *sp;
    size_t passes, pass;
    tally_table counts;
} recount;

static bool is_of_this_pass(const recount *rc, str bucket)
{
    return hash64(bucket.p, bucket.n) % rc->passes == rc->pass;
}

/* -E2BIG: more buckets than there should be in a pass. */
static int count_records(checker *k, recount *n)
{
    store_cursor *c;
    store_item item;
    store_tally_table_clear(&n->counts);
    int r = store_walk(k->view, n->sp->ks, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && store_next(c, &item)) {
        const int e = store_emit_record(&k->emit, n->sp->ks, item.key, item.value);
        if (e == -ENOMEM)
            r = e;
        if (e < 0)
            continue; /* named before */
        for (size_t i = 0; i < k->emit.n && r == 0; i++) {
            str bucket = store_emission_key(&k->emit, &k->emit.v[i]);
            if (k->emit.v[i].index == EMIT_TALLY && is_of_this_pass(n, bucket))
                r = store_tally_table_add(&n->counts, 0, bucket, 1);
        }
        if (n->counts.n > 2 * BUCKETS_AT_ONCE)
            r = -E2BIG;
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    return r;
}

static void wrong_tally(checker *k, const keyspace *ks, str bucket, int64_t says, int64_t counted)
{
    buf *text = fault(k, ks, NULL);
    buf_printf(text, "tally ");
    put_key(text, bucket);
    buf_printf(text, " says %lld, there are %lld", (long long)says, (long long)counted);
    fault_end(k);
}

typedef struct tally_check {
    checker *k;
    const keyspace *ks;
    recount *n; /* of this pass; NULL: they are only counted */
    size_t rows;
} tally_check;

static int check_tally(void *arg, str bucket, int64_t says)
{
    tally_check *c = arg;

    c->rows++;
    if (!c->n || !is_of_this_pass(c->n, bucket))
        return 0;
    const int64_t counted = store_tally_table_get(&c->n->counts, 0, bucket);
    if (says != counted)
        wrong_tally(c->k, c->ks, bucket, says, counted);
    return counted != 0 ? store_tally_table_add(&c->n->counts, 0, bucket, -counted) : 0;
}

/* Goes through the stored tallies; with `n`, those of this pass are compared and taken off its counts. */
static int each_tally(checker *k, const keyspace *ks, recount *n, size_t *ret_rows)
{
    tally_check c = {.k = k, .ks = ks, .n = n};
    const int r = store_tally_each(k->view, ks, check_tally, &c);

    *ret_rows = c.rows;
    return r;
}

static int check_tallies(checker *k, const space *sp)
{
    size_t rows;
    recount n = {.sp = sp};
    int r = each_tally(k, sp->ks, NULL, &rows);
    n.passes = rows / BUCKETS_AT_ONCE + 1;
    while (r == 0 && n.pass < n.passes) {
        r = count_records(k, &n);
        if (r == -E2BIG) {
            n.passes *= 2; /* from the beginning: what was named before is named again */
            n.pass = 0;
            r = 0;
            continue;
        }
        if (r == 0)
            r = each_tally(k, sp->ks, &n, &rows);
        for (size_t i = 0; i < n.counts.n && r == 0; i++)
            if (n.counts.v[i].value != 0)
                wrong_tally(k, sp->ks, store_tally_bucket(&n.counts, &n.counts.v[i]), 0, n.counts.v[i].value);
        n.pass++;
    }
    store_tally_table_done(&n.counts);
    return r;
}

static void same_parts(void *arg, str key)
{
    const tally_check *c = arg;
    buf *text = fault(c->k, c->ks, NULL);

    buf_printf(text, "another record has the unique part of ");
    put_key(text, key);
    fault_end(c->k);
}

static int check_space(checker *k, const space *sp)
{
    int r = sp->ks->emit ? check_indexes(k, sp) : 0;

    if (r == 0 && sp->ks->emit)
        r = check_tallies(k, sp);
    return r < 0 ? r : store_unique_check(k->view, sp->ks, same_parts, &(tally_check){.k = k, .ks = sp->ks});
}

int store_check(store *s, void (*line)(void *arg, const char *text), void *arg)
{
    checker k = {.line = line, .arg = arg};
    int r = store_read_begin_job(s, &k.view);
    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n_spaces && r == 0; i++)
        if (s->spaces[i].records != NO_TABLE)
            r = check_space(&k, &s->spaces[i]);
    store_read_end(k.view);
    store_emit_done(&k.emit);
    buf_done(&k.text);
    return r < 0 ? r : k.faults;
}
