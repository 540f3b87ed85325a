/* Unique parts of keys: which record has them, in a hash table in memory for each keyspace that declares such. It is
 * derived from the records, so nothing of it is on the disk, where each of its entries would be a page of its own to
 * write: what is written together has parts that lie anywhere.
 *
 * The table shows the keyspace as the write transaction sees it. What a transaction changes in it is logged, and undone
 * when the transaction is. It is made when it is first asked for, and thrown away when the keyspace's generation shows
 * that another process wrote to it, or when a transaction is dropped that had written before it was made.
 *
 * It is in shards by the upper bits of the parts' hash. A shard's slots hold 1 in their first byte and a key behind it,
 * or 0; the place of a key is what the hash's lower bits say, or the next slot that is free (linear probing). */
#include "impl.h"

#include "larder/hash.h"

#define SHARD_BITS 8 /* each grows by itself, so that nobody waits for more than a part of them: 0.5 ms at a million */
#define SHARDS (1u << SHARD_BITS)
#define LEAST_SLOTS 16 /* of a shard */

/* ---- a shard ---- */
static size_t slot_size(const keyspace *ks)
{
    return 1 + ks->unique.key_n;
}

static char *slot_at(const unique_shard *s, const keyspace *ks, size_t i)
{
    return s->slots + i * slot_size(ks);
}

static bool has_same_parts(const keyspace *ks, const char *a, const char *b)
{
    for (size_t i = 0; i < COUNT_OF(ks->unique.parts); i++)
        if (memcmp(a + ks->unique.parts[i].at, b + ks->unique.parts[i].at, ks->unique.parts[i].n) != 0)
            return false;
    return true;
}

static uint64_t hash_of(const keyspace *ks, const char *key)
{
    char parts[STORE_UNIQUE_KEY_MAX];
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(ks->unique.parts); i++) {
        memcpy(parts + n, key + ks->unique.parts[i].at, ks->unique.parts[i].n);
        n += ks->unique.parts[i].n;
    }
    return hash64(parts, n);
}

/* Where the key's parts are, or the free slot where they would be. There is always a free one. */
static size_t place_of(const unique_shard *s, const keyspace *ks, const char *key, uint64_t hash)
{
    size_t i = (size_t)hash & (s->n_slots - 1);

    while (*slot_at(s, ks, i) && !has_same_parts(ks, slot_at(s, ks, i) + 1, key))
        i = (i + 1) & (s->n_slots - 1);
    return i;
}

static bool put_in(unique_shard *s, const keyspace *ks, const char *key, uint64_t hash)
{
    char *slot = slot_at(s, ks, place_of(s, ks, key, hash));

    if (*slot)
        return false;
    *slot = 1;
    memcpy(slot + 1, key, ks->unique.key_n);
    s->n++;
    return true;
}

/* What follows moves up, as far as it is not at home there. */
static void close_hole(unique_shard *s, const keyspace *ks, size_t hole)
{
    for (size_t i = hole;;) {
        i = (i + 1) & (s->n_slots - 1);
        const char *next = slot_at(s, ks, i);
        if (!*next)
            break;
        const size_t home = (size_t)hash_of(ks, next + 1) & (s->n_slots - 1);
        if (((i - home) & (s->n_slots - 1)) < ((i - hole) & (s->n_slots - 1)))
            continue; /* the hole lies before its home */
        memcpy(slot_at(s, ks, hole), next, slot_size(ks));
        hole = i;
    }
    *slot_at(s, ks, hole) = 0;
}

static int resize(unique_shard *s, const keyspace *ks, size_t n_slots)
{
    const unique_shard old = *s;
    char *slots = mem_zalloc(n_slots * slot_size(ks));

    if (!slots)
        return -ENOMEM;
    *s = (unique_shard){.slots = slots, .n_slots = n_slots};
    for (size_t i = 0; i < old.n_slots; i++) {
        const char *slot = slot_at(&old, ks, i);
        if (*slot)
            (void)EXPECT(put_in(s, ks, slot + 1, hash_of(ks, slot + 1)));
    }
    mem_free(old.slots);
    return 0;
}

/* ---- the table ---- */
static unique_shard *shard_of(const unique_table *u, uint64_t hash)
{
    return &u->shards[hash >> (64 - SHARD_BITS)];
}

/* NULL where none has these parts. */
static const char *find(const unique_table *u, const keyspace *ks, const char *key)
{
    const uint64_t hash = hash_of(ks, key);
    const unique_shard *s = shard_of(u, hash);
    const char *slot = slot_at(s, ks, place_of(s, ks, key, hash));

    return *slot ? slot + 1 : NULL;
}

/* False where a key with these parts is there already: that one stays. */
static bool insert(unique_table *u, const keyspace *ks, const char *key)
{
    const uint64_t hash = hash_of(ks, key);

    return put_in(shard_of(u, hash), ks, key, hash);
}

/* False where it is another key that has these parts, or none. */
static bool take_out(unique_table *u, const keyspace *ks, const char *key)
{
    const uint64_t hash = hash_of(ks, key);
    unique_shard *s = shard_of(u, hash);
    const size_t place = place_of(s, ks, key, hash);
    const char *slot = slot_at(s, ks, place);

    if (!*slot || memcmp(slot + 1, key, ks->unique.key_n) != 0)
        return false;
    close_hole(s, ks, place);
    s->n--;
    u->may_shrink |= s->n_slots > LEAST_SLOTS && s->n < s->n_slots / 8;
    return true;
}

/* For one more. */
static int make_room(unique_table *u, const keyspace *ks, const char *key)
{
    unique_shard *s = shard_of(u, hash_of(ks, key));

    return s->n + 1 <= s->n_slots / 4 * 3 ? 0 : resize(s, ks, 2 * s->n_slots);
}

void store_unique_done(unique_table *u)
{
    for (size_t i = 0; u->shards && i < SHARDS; i++)
        mem_free(u->shards[i].slots);
    mem_free(u->shards);
    *u = (unique_table){0};
}

/* An empty one, that will hold about so many keys. */
static int table_init(unique_table *u, const keyspace *ks, uint64_t keys)
{
    size_t n_slots = LEAST_SLOTS;
    int r = 0;

    while (n_slots / 4 * 3 <= keys / SHARDS)
        n_slots *= 2;
    u->shards = mem_zalloc(SHARDS * sizeof(*u->shards));
    if (!u->shards)
        return -ENOMEM;
    for (size_t i = 0; r == 0 && i < SHARDS; i++)
        r = resize(&u->shards[i], ks, n_slots);
    return r;
}

/* Without memory they stay as large. */
static void shrink(unique_table *u, const keyspace *ks)
{
    u->may_shrink = false;
    for (size_t i = 0; i < SHARDS; i++) {
        unique_shard *s = &u->shards[i];
        size_t n_slots = s->n_slots;
        while (n_slots > LEAST_SLOTS && s->n < n_slots / 8)
            n_slots /= 2;
        if (n_slots < s->n_slots)
            (void)resize(s, ks, n_slots);
    }
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
        r = is_good ? make_room(u, ks, item.key.p) : -EPROTO;
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
    int r = ks->unique.key_n ? table_init(&u, ks, store_count(v, ks)) : 0;

    if (r == 0 && ks->unique.key_n)
        r = read_keys(v, ks, &u, twice, arg);
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

    if (!u->shards || u->seen_by == t->number)
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

    if (r < 0 || sp->unique.shards)
        return r;
    r = generation_before(t, ks, &u.generation);
    if (r == 0)
        r = table_init(&u, ks, store_count(&t->view, ks));
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

    return r < 0 || !sp->unique.shards ? r : make_log_room(t, sp->ks);
}

int store_unique_before_put(store_txn *t, space *sp, str key)
{
    unique_table *u = &sp->unique;

    if (sp->ks->unique.key_n == 0)
        return 0;
    if (key.n != sp->ks->unique.key_n)
        return -EINVAL;
    int r = store_unique_before_del(t, sp);
    if (r < 0 || !u->shards)
        return r;
    return find(u, sp->ks, key.p) ? -EPROTO : make_room(u, sp->ks, key.p);
}

void store_unique_put(store_txn *t, space *sp, str key)
{
    if (sp->unique.shards && EXPECT(insert(&sp->unique, sp->ks, key.p)))
        log_change(t, sp->ks, key, true);
}

/* It is not in the table where the store has two with these parts, and this one came second. */
void store_unique_del(store_txn *t, space *sp, str key)
{
    if (sp->unique.shards && take_out(&sp->unique, sp->ks, key.p))
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
        if (s->spaces[i].unique.shards && s->spaces[i].unique.unsure == t->number)
            store_unique_done(&s->spaces[i].unique);
}

void store_unique_keep(store_txn *t)
{
    store *s = t->owner;

    buf_reset(&t->unique_log);
    for (size_t i = 0; i < s->n_spaces; i++) {
        unique_table *u = &s->spaces[i].unique;
        if (!u->shards)
            continue;
        u->generation += t->touched[i];
        if (u->may_shrink)
            shrink(u, s->spaces[i].ks);
    }
}

/* ---- asking ---- */
int store_find_unique(store_txn *t, const keyspace *ks, str key, str *ret_key)
{
    const unique_table *u = &store_space(t->owner, ks)->unique;
    const int r = key.n == ks->unique.key_n ? store_unique_make(t, ks) : -EINVAL;

    if (r < 0)
        return r;
    const char *found = find(u, ks, key.p);
    if (!found)
        return -ENOENT;
    *ret_key = str_of(found, ks->unique.key_n);
    return 0;
}
