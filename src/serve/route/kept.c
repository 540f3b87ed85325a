/* A target's hash names a set of KEPT_WAYS slots; a new reply takes the place of the one in its set that has been there
 * longest. When all bytes are used, a hand goes round and empties slots until there is room. */
#include "kept.h"

#include "larder/hash.h"

#define KEPT_WAYS 4
#define KEPT_SETS (KEPT_SLOTS / KEPT_WAYS)

typedef struct kept_item {
    reply_basis basis;
    size_t target_n, etag_n, body_n;
    char bytes[]; /* target, etag, body */
} kept_item;

typedef struct kept_set {
    uint64_t targets[KEPT_WAYS];   /* hashes: most that are not kept are told by these alone */
    kept_item *items[KEPT_WAYS];   /* or NULL */
    uint64_t seen[KEPT_WAYS];      /* hashes of bases that were made once */
    unsigned next_item, next_seen; /* the oldest: the next to go */
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

static size_t size_of(const kept_item *it)
{
    return sizeof(*it) + it->target_n + it->etag_n + it->body_n;
}

static void drop(kept *k, kept_item **slot)
{
    if (!*slot)
        return;
    k->bytes -= size_of(*slot);
    mem_free(*slot);
    *slot = NULL;
}

void kept_free(kept *k)
{
    for (size_t i = 0; k && i < KEPT_SLOTS; i++)
        drop(k, &k->sets[i / KEPT_WAYS].items[i % KEPT_WAYS]);
    mem_free(k);
}

/* The target is compared too: its hash has no secret, and anybody can find two that share one. */
bool kept_find(const kept *k, const reply_basis *basis, str target, kept_reply *ret_reply)
{
    const kept_set *s = &k->sets[basis->target % KEPT_SETS];

    for (unsigned i = 0; i < KEPT_WAYS; i++) {
        const kept_item *it = s->items[i];
        if (!it || s->targets[i] != basis->target)
            continue;
        if (memcmp(&it->basis, basis, sizeof(*basis)) != 0 || !str_eq(str_of(it->bytes, it->target_n), target))
            continue;
        ret_reply->etag = str_of(it->bytes + it->target_n, it->etag_n);
        ret_reply->body = str_of(it->bytes + it->target_n + it->etag_n, it->body_n);
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
        if (!s->items[i] || s->targets[i] == target)
            return i;
    const unsigned oldest = s->next_item;
    s->next_item = (s->next_item + 1) % KEPT_WAYS;
    return oldest;
}

static kept_item *item_new(const reply_basis *basis, str target, const kept_reply *reply)
{
    kept_item *it = mem_alloc(sizeof(*it) + target.n + reply->etag.n + reply->body.n);

    if (!it)
        return NULL;
    it->basis = *basis;
    it->target_n = target.n;
    it->etag_n = reply->etag.n;
    it->body_n = reply->body.n;
    memcpy(it->bytes, target.p, target.n);
    memcpy(it->bytes + target.n, reply->etag.p, reply->etag.n);
    if (reply->body.n)
        memcpy(it->bytes + target.n + reply->etag.n, reply->body.p, reply->body.n);
    return it;
}

void kept_add(kept *k, const reply_basis *basis, str target, const kept_reply *reply)
{
    kept_set *s = &k->sets[basis->target % KEPT_SETS];

    if (!was_seen(s, basis) || reply->body.n > KEPT_BODY_MAX)
        return;
    kept_item *it = item_new(basis, target, reply);
    if (!it)
        return;
    const unsigned place = place_for(s, basis->target);
    drop(k, &s->items[place]);
    s->targets[place] = basis->target;
    s->items[place] = it;
    k->bytes += size_of(it);
    for (; k->bytes > KEPT_BYTES; k->hand = (k->hand + 1) % KEPT_SLOTS) {
        kept_item **victim = &k->sets[k->hand / KEPT_WAYS].items[k->hand % KEPT_WAYS];
        if (*victim != it)
            drop(k, victim);
    }
}
