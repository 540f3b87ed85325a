/* Direct-mapped by the target's hash: two targets that meet in a slot take turns. When all bytes are used, a hand goes
 * round and empties slots until there is room. */
#include "kept.h"

#include "larder/hash.h"

typedef struct kept_reply {
    reply_basis basis;
    size_t target_n, body_n;
    char bytes[]; /* target, body */
} kept_reply;

typedef struct kept_slot {
    uint64_t seen;     /* hash of the basis that was here last */
    kept_reply *reply; /* or NULL */
} kept_slot;

struct kept {
    kept_slot slots[KEPT_SLOTS];
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

static size_t size_of(const kept_reply *r)
{
    return sizeof(*r) + r->target_n + r->body_n;
}

static void drop(kept *k, kept_slot *s)
{
    if (!s->reply)
        return;
    k->bytes -= size_of(s->reply);
    mem_free(s->reply);
    s->reply = NULL;
}

void kept_free(kept *k)
{
    for (size_t i = 0; k && i < KEPT_SLOTS; i++)
        drop(k, &k->slots[i]);
    mem_free(k);
}

/* The target is compared too: its hash has no secret, and anybody can find two that share one. */
bool kept_find(const kept *k, const reply_basis *basis, str target, str *ret_body)
{
    const kept_reply *r = k->slots[basis->target % KEPT_SLOTS].reply;

    if (!r || memcmp(&r->basis, basis, sizeof(*basis)) != 0 || !str_eq(str_of(r->bytes, r->target_n), target))
        return false;
    *ret_body = str_of(r->bytes + r->target_n, r->body_n);
    return true;
}

void kept_add(kept *k, const reply_basis *basis, str target, str body)
{
    kept_slot *s = &k->slots[basis->target % KEPT_SLOTS];
    const uint64_t hash = hash64(basis, sizeof(*basis));
    const size_t size = sizeof(*s->reply) + target.n + body.n;

    if (s->seen != hash) {
        s->seen = hash;
        return;
    }
    if (body.n > KEPT_BODY_MAX)
        return;
    drop(k, s);
    while (k->bytes + size > KEPT_BYTES) {
        drop(k, &k->slots[k->hand]);
        k->hand = (k->hand + 1) % KEPT_SLOTS;
    }
    kept_reply *r = mem_alloc(size);
    if (!r)
        return;
    r->basis = *basis;
    r->target_n = target.n;
    r->body_n = body.n;
    memcpy(r->bytes, target.p, target.n);
    if (body.n)
        memcpy(r->bytes + target.n, body.p, body.n);
    s->reply = r;
    k->bytes += size;
}
