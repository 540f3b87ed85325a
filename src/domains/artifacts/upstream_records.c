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

int place_load(store_view *v, arena *a, str name, place *ret_place)
{
    const upstream_key k = place_key(name);

    return record_load(v, &upstream_ks, &place_schema, a, key_view(&k), ret_place);
}

int known_load(store_view *v, arena *a, str name, str path, known *ret_known)
{
    const upstream_key k = known_key(name, path);

    return record_load(v, &upstream_ks, &known_schema, a, key_view(&k), ret_known);
}

int place_put(store_txn *t, const place *p)
{
    const upstream_key k = place_key(p->name);

    return record_put(t, &upstream_ks, &place_schema, key_view(&k), p);
}

int known_put(store_txn *t, str name, const known *kn)
{
    const upstream_key k = known_key(name, kn->path);

    return record_put(t, &upstream_ks, &known_schema, key_view(&k), kn);
}
