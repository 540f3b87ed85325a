/* A target's hash names a set of KEPT_WAYS slots; a new reply takes the place of the one in its set that has been there
 * longest. When all bytes are used, a hand goes round and empties slots until there is room. */
#include "kept.h"

#include "larder/hash.h"

#define KEPT_WAYS 4
#define KEPT_SETS (KEPT_SLOTS / KEPT_WAYS)

typedef struct kept_reply {
    reply_basis basis;
    size_t target_n, body_n;
    char bytes[]; /* target, body */
} kept_reply;

typedef struct kept_set {
    uint64_t targets[KEPT_WAYS];    /* hashes: most that are not kept are told by these alone */
    kept_reply *replies[KEPT_WAYS]; /* or NULL */
    uint64_t seen[KEPT_WAYS];       /* hashes of bases that were made once */
    unsigned next_reply, next_seen; /* the oldest: the next to go */
} kept_set;

struct kept {
    kept_set sets[KEPT_SETS];
    size_t bytes, hand;
};

int kept_new(kept **ret_kept)
{
    kept *k = mem_new(kept);

    if (!k)
        return -ENOMEM;
    *ret_kept = k;
    return 0;
}

static void drop(kept *k, kept_reply **slot)
{
    const kept_reply *r = *slot;

    if (!r)
        return;
    k->bytes -= sizeof(*r) + r->target_n + r->body_n;
    mem_free(*slot);
    *slot = NULL;
}

void kept_free(kept *k)
{
    for (size_t i = 0; k && i < KEPT_SLOTS; i++)
        drop(k, &k->sets[i / KEPT_WAYS].replies[i % KEPT_WAYS]);
    mem_free(k);
}

/* The target is compared too: its hash has no secret, and anybody can find two that share one. */
bool kept_find(const kept *k, const reply_basis *basis, str target, str *ret_body)
{
    const kept_set *s = &k->sets[basis->target % KEPT_SETS];

    for (unsigned i = 0; i < KEPT_WAYS; i++) {
        const kept_reply *r = s->replies[i];
        if (!r || s->targets[i] != basis->target)
            continue;
        if (memcmp(&r->basis, basis, sizeof(*basis)) != 0 || !str_eq(str_of(r->bytes, r->target_n), target))
            continue;
        *ret_body = str_of(r->bytes + r->target_n, r->body_n);
        return true;
    }
    return false;
}

static bool was_seen(kept_set *s, const reply_basis *basis)
{
    const uint64_t hash = hash64(basis, sizeof(*basis));

    for (unsigned i = 0; i < KEPT_WAYS; i++)
        if (s->seen[i] == hash)
            return true;
    s->seen[s->next_seen] = hash;
    s->next_seen = (s->next_seen + 1) % KEPT_WAYS;
    return false;
}

/* One that was made of what the target's content was before is worth nothing any more. */
static unsigned place_for(kept_set *s, uint64_t target)
{
    for (unsigned i = 0; i < KEPT_WAYS; i++)
        if (!s->replies[i] || s->targets[i] == target)
            return i;
    const unsigned oldest = s->next_reply;
    s->next_reply = (s->next_reply + 1) % KEPT_WAYS;
    return oldest;
}

void kept_add(kept *k, const reply_basis *basis, str target, str body)
{
    kept_set *s = &k->sets[basis->target % KEPT_SETS];

    if (!was_seen(s, basis) || body.n > KEPT_BODY_MAX)
        return;
    const unsigned place = place_for(s, basis->target);
    kept_reply *r = mem_alloc(sizeof(*r) + target.n + body.n);
    if (!r)
        return;
    r->basis = *basis;
    r->target_n = target.n;
    r->body_n = body.n;
    memcpy(r->bytes, target.p, target.n);
    if (body.n)
        memcpy(r->bytes + target.n, body.p, body.n);
    drop(k, &s->replies[place]);
    s->targets[place] = basis->target;
    s->replies[place] = r;
    k->bytes += sizeof(*r) + target.n + body.n;
    for (; k->bytes > KEPT_BYTES; k->hand = (k->hand + 1) % KEPT_SLOTS) {
        kept_reply **victim = &k->sets[k->hand / KEPT_WAYS].replies[k->hand % KEPT_WAYS];
        if (victim != &s->replies[place])
            drop(k, victim);
    }
}
