/* How what is known of upstream is kept: by the hashes of names and paths, so that none is too long for a key. */
#include "larder/hash.h"
#include "larder/projects.h"
#include "larder/record.h"
#include "upstream.h"

SCHEMA(place, PLACE_FIELDS, "A repository at a ref");
SCHEMA(known, KNOWN_FIELDS, "What upstream has at a path");

keyspace upstream_ks = {.name = "upstream"};

#define PART 16 /* bytes of a hash */

str place_name(arena *a, const artifact_source *s)
{
    const str ref = s->version.n && !str_eq(s->version, STR("latest")) ? s->version : STR("HEAD");
    const str owner = arena_lower(a, s->owner), repo = arena_lower(a, s->repo);

    if (!owner.p || !repo.p)
        return STR_NULL;
    return arena_printf(a, STR_FMT "/" STR_FMT "@" STR_FMT, STR_ARG(owner), STR_ARG(repo), STR_ARG(ref));
}

static void add_hash(upstream_key *k, str text)
{
    uint8_t digest[SHA256_LEN];

    sha256(text.p, text.n, digest);
    memcpy(k->bytes + k->n, digest, PART);
    k->n += PART;
}

static upstream_key key_of(char kind, str name)
{
    upstream_key k = {.bytes = {kind}, .n = 1};

    add_hash(&k, name);
    return k;
}

upstream_key place_key(str name)
{
    return key_of('u', name);
}

upstream_key known_prefix(str name)
{
    return key_of('p', name);
}

upstream_key known_key(str name, str path)
{
    upstream_key k = known_prefix(name);

    add_hash(&k, path);
    return k;
}

static str key_view(const upstream_key *k)
{
    return str_of(k->bytes, k->n);
}

static int load(store_view *v, const upstream_key *k, const schema *s, arena *a, void *ret)
{
    str bytes;
    const int r = store_get(v, &upstream_ks, key_view(k), &bytes);

    return r < 0 ? r : record_decode(s, a, bytes, ret);
}

static int put(store_txn *t, const upstream_key *k, const schema *s, const void *in)
{
    buf b = BUF_INIT;

    record_encode(s, in, &b);
    const int r = b.err ? b.err : store_put(t, &upstream_ks, key_view(k), buf_view(&b));
    buf_done(&b);
    return r;
}

int place_load(store_view *v, arena *a, str name, place *ret_place)
{
    const upstream_key k = place_key(name);

    return load(v, &k, &place_schema, a, ret_place);
}

int known_load(store_view *v, arena *a, str name, str path, known *ret_known)
{
    const upstream_key k = known_key(name, path);

    return load(v, &k, &known_schema, a, ret_known);
}

int place_put(store_txn *t, const place *p)
{
    const upstream_key k = place_key(p->name);

    return put(t, &k, &place_schema, p);
}

int known_put(store_txn *t, str name, const known *kn)
{
    const upstream_key k = known_key(name, kn->path);

    return put(t, &k, &known_schema, kn);
}

/* ---- forgetting ---- */
#define LOOKED_AT_ONCE 1000 /* places one step looks at */

/* The paths first, the place last: a step that is cut off is taken up by the next sweep. */
static int forget_place(store_txn *t, str key, bool *ret_more)
{
    char prefix[1 + PART] = {'p'};
    store_cursor *c;
    store_item item;
    bool more = false;

    if (key.n != sizeof(prefix))
        return 0;
    memcpy(prefix + 1, key.p + 1, PART);
    int r =
        store_walk(store_txn_view(t), &upstream_ks, STORE_BY_KEY, str_of(prefix, sizeof(prefix)), STR_NULL, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && !more && store_next(c, &item)) {
        char path_key[UPSTREAM_KEY_MAX];
        const size_t n = item.key.n < sizeof(path_key) ? item.key.n : sizeof(path_key);
        memcpy(path_key, item.key.p, n); /* the item ends with the deletion */
        r = store_del(t, &upstream_ks, str_of(path_key, n));
        more = store_txn_is_full(t);
    }
    r = r == 0 ? store_cursor_error(c) : r;
    store_cursor_end(c);
    *ret_more = more;
    return r < 0 || more ? r : store_del(t, &upstream_ks, key);
}

static int is_old(arena *a, str value, int64_t before)
{
    place p = {0};
    const int r = record_decode(&place_schema, a, value, &p);

    return r < 0 ? r : p.asked_at < before;
}

/* The first old place behind `at`, which moves along. -ENOENT: none among those this step looks at; with *ret_end there
 * are no others. */
static int find_old(store_view *v, upstream_sweep *w, upstream_key *at, bool *ret_end)
{
    store_cursor *c;
    store_item item;
    arena a;
    size_t n = 0;
    int r = store_walk(v, &upstream_ks, STORE_BY_KEY, STR("u"), at->n ? key_view(at) : STR_NULL, false, &c);

    if (r < 0)
        return r;
    arena_init(&a, 0);
    *ret_end = false;
    while (r == 0) {
        if (!store_next(c, &item) || item.key.n > sizeof(at->bytes)) {
            *ret_end = true;
            break;
        }
        memcpy(at->bytes, item.key.p, item.key.n);
        at->n = item.key.n;
        if (n++ == LOOKED_AT_ONCE)
            break;
        arena_reset(&a);
        r = is_old(&a, item.value, w->before);
    }
    r = r == 0 ? store_cursor_error(c) : r;
    store_cursor_end(c);
    arena_done(&a);
    return r == 0 ? -ENOENT : r < 0 ? r : 0;
}

int upstream_sweep_apply(store_txn *t, store_op *op)
{
    upstream_sweep *w = CONTAINER_OF(op, upstream_sweep, op);
    upstream_key at;
    bool end = false, more = false;

    if (op->at == 0)
        w->at.n = 0;
    at = w->at;
    int r = find_old(store_txn_view(t), w, &at, &end);
    if (r == 0)
        r = forget_place(t, key_view(&at), &more);
    else if (r == -ENOENT && end)
        return 0;
    if (r < 0 && r != -ENOENT)
        return r;
    op->at++;
    w->at = at; /* repeated, the step begins further on: what it then leaves out waits for the next sweep */
    return STORE_MORE;
}
