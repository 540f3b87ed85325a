/* Unique parts of keys: which record has them, in a hash table in memory for each keyspace that declares such. It is
 * derived from the records, so nothing of it is on the disk, where each of its entries would be a page of its own to
 * write: what is written together has parts that lie anywhere.
 *
 * The table shows the keyspace as the write transaction sees it. What a transaction changes in it is logged, and undone
 * when the transaction is. It is made when it is first asked for, and thrown away when the keyspace's generation shows
 * that another process wrote to it, or when a transaction is dropped that had written before it was made.
 *
 * Slots hold 1 in their first byte and a key behind it, or 0; the place of a key is its parts' hash, or the next slot
 * that is free (linear probing; what follows a deleted one moves up). */
#include "impl.h"

#include "larder/hash.h"

#define LEAST_SLOTS 1024

/* ---- the table ---- */
static size_t slot_size(const keyspace *ks)
{
    return 1 + ks->unique.key_n;
}

static char *slot_at(const unique_table *u, const keyspace *ks, size_t i)
{
    return u->slots + i * slot_size(ks);
}

static bool has_same_parts(const keyspace *ks, const char *a, const char *b)
{
    for (size_t i = 0; i < COUNT_OF(ks->unique.parts); i++)
        if (memcmp(a + ks->unique.parts[i].at, b + ks->unique.parts[i].at, ks->unique.parts[i].n) != 0)
            return false;
    return true;
}

static size_t home_of(const unique_table *u, const keyspace *ks, const char *key)
{
    char parts[STORE_UNIQUE_KEY_MAX];
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(ks->unique.parts); i++) {
        memcpy(parts + n, key + ks->unique.parts[i].at, ks->unique.parts[i].n);
        n += ks->unique.parts[i].n;
    }
    return (size_t)hash64(parts, n) & (u->n_slots - 1);
}

/* Where the key's parts are, or the free slot where they would be. There is always a free one. */
static size_t place_of(const unique_table *u, const keyspace *ks, const char *key)
{
    size_t i = home_of(u, ks, key);

    while (*slot_at(u, ks, i) && !has_same_parts(ks, slot_at(u, ks, i) + 1, key))
        i = (i + 1) & (u->n_slots - 1);
    return i;
}

/* False where a key with these parts is there already: that one stays. */
static bool insert(unique_table *u, const keyspace *ks, const char *key)
{
    char *slot = slot_at(u, ks, place_of(u, ks, key));

    if (*slot)
        return false;
    *slot = 1;
    memcpy(slot + 1, key, ks->unique.key_n);
    u->n++;
    return true;
}

/* False where it is another key that has these parts, or none. */
static bool take_out(unique_table *u, const keyspace *ks, const char *key)
{
    size_t hole = place_of(u, ks, key);

    if (!*slot_at(u, ks, hole) || memcmp(slot_at(u, ks, hole) + 1, key, ks->unique.key_n) != 0)
        return false;
    u->n--;
    for (size_t i = hole;;) {
        i = (i + 1) & (u->n_slots - 1);
        const char *next = slot_at(u, ks, i);
        if (!*next)
            break;
        const size_t home = home_of(u, ks, next + 1);
        if (((i - home) & (u->n_slots - 1)) < ((i - hole) & (u->n_slots - 1)))
            continue; /* the hole lies before its home */
        memcpy(slot_at(u, ks, hole), next, slot_size(ks));
        hole = i;
    }
    *slot_at(u, ks, hole) = 0;
    return true;
}

static int resize(unique_table *u, const keyspace *ks, size_t n_slots)
{
    unique_table old = *u;
    char *slots = mem_zalloc(n_slots * slot_size(ks));

    if (!slots)
        return -ENOMEM;
    u->slots = slots;
    u->n_slots = n_slots;
    u->n = 0;
    for (size_t i = 0; i < old.n_slots; i++)
        if (*slot_at(&old, ks, i))
            (void)EXPECT(insert(u, ks, slot_at(&old, ks, i) + 1));
    mem_free(old.slots);
    return 0;
}

/* For one more. */
static int make_room(unique_table *u, const keyspace *ks)
{
    return u->n + 1 <= u->n_slots / 4 * 3 ? 0 : resize(u, ks, u->n_slots ? 2 * u->n_slots : LEAST_SLOTS);
}

void store_unique_done(unique_table *u)
{
    mem_free(u->slots);
    *u = (unique_table){0};
}

/* ---- making it ---- */
/* All keys of the keyspace, which must have the right length. With `twice` it is a check: it hears of those whose parts
 * another one has, and keys of another length, which are faults of their own, are passed over. */
static int read_keys(store_view *v, const keyspace *ks, unique_table *u, void (*twice)(void *arg, str key), void *arg)
{
    store_cursor *c;
    store_item item;
    int r = store_walk(v, ks, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c);

    if (r < 0)
        return r;
    while (r == 0 && store_next(c, &item)) {
        const bool is_good = item.key.n == ks->unique.key_n;
        if (!is_good && twice)
            continue;
        r = is_good ? make_room(u, ks) : -EPROTO;
        if (r == 0 && !insert(u, ks, item.key.p) && twice)
            twice(arg, item.key);
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    return r;
}

int store_unique_check(store_view *v, const keyspace *ks, void (*twice)(void *arg, str key), void *arg)
{
    unique_table u = {0};
    const int r = ks->unique.key_n ? read_keys(v, ks, &u, twice, arg) : 0;

    store_unique_done(&u);
    return r;
}

/* What the keyspace's generation was before this transaction. */
static int generation_before(store_txn *t, const keyspace *ks, uint64_t *ret_generation)
{
    *ret_generation = 0;
    const int r = store_sum_get(&t->view, ks, SUM_GENERATION, STR_NULL, ret_generation);
    return r == -ENOENT ? 0 : r;
}

/* Once in a transaction: the table shows the keyspace as it is, or it goes. */
static int check_generation(store_txn *t, space *sp)
{
    unique_table *u = &sp->unique;
    uint64_t generation;

    if (!u->slots || u->seen_by == t->number)
        return 0;
    const int r = generation_before(t, sp->ks, &generation);
    if (r < 0)
        return r;
    if (generation != u->generation)
        store_unique_done(u);
    u->seen_by = t->number;
    return 0;
}

int store_unique_make(store_txn *t, const keyspace *ks)
{
    space *sp = store_space(t->owner, ks);
    unique_table u = {.seen_by = t->number, .unsure = t->touched[ks->slot] ? t->number : 0};
    int r = ks->unique.key_n ? check_generation(t, sp) : -EINVAL;

    if (r < 0 || sp->unique.slots)
        return r;
    size_t n_slots = LEAST_SLOTS; /* at once as many as it takes */
    while (n_slots / 4 * 3 <= store_count(&t->view, ks))
        n_slots *= 2;
    r = generation_before(t, ks, &u.generation);
    if (r == 0)
        r = resize(&u, ks, n_slots);
    if (r == 0)
        r = read_keys(&t->view, ks, &u, NULL, NULL);
    if (r < 0)
        store_unique_done(&u);
    else
        sp->unique = u;
    return r;
}

/* ---- keeping it in step ---- */
/* Of a change: the key, the keyspace's slot, whether it was put. They are read from the last one back. */
#define LOG_TAIL 2

static int make_log_room(store_txn *t, const keyspace *ks)
{
    if (buf_reserve(&t->unique_log, ks->unique.key_n + LOG_TAIL))
        return 0;
    t->unique_log.err = 0; /* the next op may find memory again; what is in it stays */
    return -ENOMEM;
}

static void log_change(store_txn *t, const keyspace *ks, str key, bool put)
{
    const char tail[LOG_TAIL] = {(char)ks->slot, (char)put};

    buf_str(&t->unique_log, key); /* there is room */
    buf_put(&t->unique_log, tail, sizeof(tail));
}

int store_unique_before_del(store_txn *t, space *sp)
{
    const int r = check_generation(t, sp);

    return r < 0 || !sp->unique.slots ? r : make_log_room(t, sp->ks);
}

int store_unique_before_put(store_txn *t, space *sp, str key)
{
    unique_table *u = &sp->unique;

    if (sp->ks->unique.key_n == 0)
        return 0;
    if (key.n != sp->ks->unique.key_n)
        return -EINVAL;
    int r = store_unique_before_del(t, sp);
    if (r < 0 || !u->slots)
        return r;
    if (*slot_at(u, sp->ks, place_of(u, sp->ks, key.p)))
        return -EPROTO;
    return make_room(u, sp->ks);
}

void store_unique_put(store_txn *t, space *sp, str key)
{
    if (sp->unique.slots && EXPECT(insert(&sp->unique, sp->ks, key.p)))
        log_change(t, sp->ks, key, true);
}

/* It is not in the table where the store has two with these parts, and this one came second. */
void store_unique_del(store_txn *t, space *sp, str key)
{
    if (sp->unique.slots && take_out(&sp->unique, sp->ks, key.p))
        log_change(t, sp->ks, key, false);
}

/* ---- the end of a transaction ---- */
void store_unique_undo(store_txn *t)
{
    store *s = t->owner;
    str log = buf_view(&t->unique_log);

    while (log.n > 0) {
        space *sp = &s->spaces[(unsigned char)log.p[log.n - 2]];
        const bool put = log.p[log.n - 1];
        log.n -= LOG_TAIL + sp->ks->unique.key_n;
        (void)EXPECT(put ? take_out(&sp->unique, sp->ks, log.p + log.n) : insert(&sp->unique, sp->ks, log.p + log.n));
    }
    buf_reset(&t->unique_log);
    for (size_t i = 0; i < s->n_spaces; i++) /* it shows what this one wrote before it was built */
        if (s->spaces[i].unique.slots && s->spaces[i].unique.unsure == t->number)
            store_unique_done(&s->spaces[i].unique);
}

void store_unique_keep(store_txn *t)
{
    store *s = t->owner;

    buf_reset(&t->unique_log);
    for (size_t i = 0; i < s->n_spaces; i++) {
        unique_table *u = &s->spaces[i].unique;
        size_t n_slots = u->n_slots;
        if (!u->slots)
            continue;
        u->generation += t->touched[i];
        while (n_slots > LEAST_SLOTS && u->n < n_slots / 8)
            n_slots /= 2;
        if (n_slots < u->n_slots)
            (void)resize(u, s->spaces[i].ks, n_slots); /* without memory it stays as large */
    }
}

/* ---- asking ---- */
int store_find_unique(store_txn *t, const keyspace *ks, str key, str *ret_key)
{
    const unique_table *u = &store_space(t->owner, ks)->unique;
    const int r = key.n == ks->unique.key_n ? store_unique_make(t, ks) : -EINVAL;

    if (r < 0)
        return r;
    const char *slot = slot_at(u, ks, place_of(u, ks, key.p));
    if (!*slot)
        return -ENOENT;
    *ret_key = str_of(slot + 1, ks->unique.key_n);
    return 0;
}
