/* Keys in the store, and the table of those that were seen. */
#include "larder/access.h"

#include "larder/hash.h"
#include "larder/record.h"
#include "private.h"

SCHEMA(access_key, ACCESS_KEY_FIELDS, "A key, without its secret");
keyspace access_keys_ks = {.name = "access_keys"};

/* ---- scopes ---- */
static const char *const SCOPE_NAMES[SCOPE_COUNT] = {
#define SCOPE_NAME(id, text, doc) [SCOPE_##id] = text,
    ACCESS_SCOPES(SCOPE_NAME)
#undef SCOPE_NAME
};

const char *access_scope_name(access_scope s)
{
    return s < SCOPE_COUNT ? SCOPE_NAMES[s] : "public";
}

int access_scope_parse(str text, access_scope *ret_scope)
{
    for (unsigned i = 0; i < SCOPE_COUNT; i++) {
        if (str_eq(text, str_c(SCOPE_NAMES[i]))) {
            *ret_scope = (access_scope)i;
            return 0;
        }
    }
    return -EINVAL;
}

uint32_t access_scope_bits(const access_key *k)
{
    uint32_t bits = 0;
    access_scope s;

    for (size_t i = 0; i < k->scopes.n; i++)
        if (access_scope_parse(k->scopes.v[i], &s) == 0)
            bits |= 1u << s;
    return bits;
}

/* ---- making and revoking ---- */
typedef struct key_op {
    store_op op;
    uint8_t hash[SHA256_LEN];
    access_key key;
} key_op;

static int put_apply(store_txn *t, store_op *op)
{
    const key_op *k = CONTAINER_OF(op, key_op, op);
    buf b = BUF_INIT;

    record_encode(&access_key_schema, &k->key, &b);
    int r = b.err ? b.err : store_put(t, &access_keys_ks, str_of((const char *)k->hash, SHA256_LEN), buf_view(&b));
    buf_done(&b);
    return r;
}

void access_secret_make(char secret[ACCESS_SECRET_LEN + 1])
{
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t bytes[ACCESS_SECRET_LEN - 3];

    random_bytes(bytes, sizeof(bytes));
    memcpy(secret, "lk_", 3);
    for (size_t i = 0; i < sizeof(bytes); i++) /* six random bits a character: 258 in all */
        secret[3 + i] = ALPHABET[bytes[i] & 63];
    secret[ACCESS_SECRET_LEN] = '\0';
    mem_wipe(bytes, sizeof(bytes));
}

int access_key_add(store *s, clk *clock, const access_key *k, const char *secret, arena *a, str *ret_id)
{
    key_op op = {.op = {.apply = put_apply}, .key = *k};
    char hex[HEX_LEN(SHA256_LEN)];

    sha256(secret, ACCESS_SECRET_LEN, op.hash);
    hex_encode(op.hash, SHA256_LEN, hex);
    op.key.id = arena_dup(a, str_of(hex, ACCESS_ID_LEN));
    op.key.created_at = clk_wall_ms(clock);
    const int r = op.key.id.p ? store_run(s, &op.op) : -ENOMEM;
    if (r == 0)
        *ret_id = op.key.id;
    return r;
}

typedef struct revoke_op {
    store_op op;
    uint8_t prefix[ACCESS_ID_LEN / 2];
} revoke_op;

static int revoke_apply(store_txn *t, store_op *op)
{
    const revoke_op *r = CONTAINER_OF(op, revoke_op, op);
    store_cursor *c = NULL;
    store_item item;
    uint8_t hash[SHA256_LEN];

    int err = store_walk(store_txn_view(t), &access_keys_ks, STORE_BY_KEY,
                         str_of((const char *)r->prefix, sizeof(r->prefix)), STR_NULL, false, &c);
    if (err < 0)
        return err;
    const bool found = store_next(c, &item) && item.key.n == sizeof(hash);
    if (found)
        memcpy(hash, item.key.p, sizeof(hash));
    err = store_cursor_error(c);
    store_cursor_end(c);
    if (err < 0 || !found)
        return err < 0 ? err : -ENOENT;
    return store_del(t, &access_keys_ks, str_of((const char *)hash, sizeof(hash)));
}

int access_key_revoke(store *s, str id)
{
    revoke_op op = {.op = {.apply = revoke_apply, .flags = STORE_FREES}};

    if (hex_decode(id, op.prefix, sizeof(op.prefix)) < 0)
        return -ENOENT;
    return store_run(s, &op.op);
}

int access_key_each(store_view *v, arena *a, void (*fn)(void *arg, const access_key *k), void *arg)
{
    store_cursor *c = NULL;
    store_item item;

    int r = store_walk(v, &access_keys_ks, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c);
    while (r == 0 && store_next(c, &item)) {
        access_key k = {0};
        r = record_decode(&access_key_schema, a, item.value, &k);
        if (r == 0)
            fn(arg, &k);
    }
    if (r == 0)
        r = store_cursor_error(c);
    store_cursor_end(c);
    return r;
}

/* ---- the table of known keys ---- */
/* A slot is found by the secret's keyed hash and confirmed by it in constant time: the table holds neither
 * the secret nor its SHA-256. It is direct-mapped: two keys that meet in a slot take turns, at the price of a
 * look-up. */
static known_key *slot_of(access_control *a, const uint64_t tag[2])
{
    return &a->known[tag[0] % KNOWN_KEYS];
}

static int look_up(store_view *v, str secret, known_key *ret)
{
    uint8_t hash[SHA256_LEN];
    arena scratch;
    access_key k = {0};
    str value;

    sha256(secret.p, secret.n, hash);
    int r = store_get(v, &access_keys_ks, str_of((const char *)hash, sizeof(hash)), &value);
    if (r < 0)
        return r == -ENOENT ? -EACCES : r;
    arena_init(&scratch, 0);
    r = record_decode(&access_key_schema, &scratch, value, &k);
    if (r == 0) {
        memcpy(ret->id, hash, sizeof(ret->id));
        ret->scopes = access_scope_bits(&k);
        ret->per_minute = k.per_minute;
        ret->per_hour = k.per_hour;
        ret->concurrent = k.concurrent;
    }
    arena_done(&scratch);
    return r;
}

int access_find_key(access_control *a, store_view *v, str secret, const known_key **ret_key)
{
    const uint64_t generation = store_generation(v, &access_keys_ks);
    known_key fresh = {0};
    uint64_t tag[2];

    if (secret.n != ACCESS_SECRET_LEN)
        return -EACCES;
    if (generation != a->generation) { /* made or revoked somewhere: what was known may be wrong */
        memset(a->known, 0, sizeof(a->known));
        a->generation = generation;
    }
    siphash24_128(&a->sip, secret.p, secret.n, tag);
    known_key *k = slot_of(a, tag);
    if (!k->is_used || !ct_equal(k->tag, tag, sizeof(tag))) {
        const int r = look_up(v, secret, &fresh);
        if (r < 0)
            return r;
        memcpy(fresh.tag, tag, sizeof(tag));
        fresh.is_used = true;
        *k = fresh;
    }
    *ret_key = k;
    return 0;
}
