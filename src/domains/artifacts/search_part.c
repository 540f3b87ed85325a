/* Shared ownership of segments and of the marks for their removed documents. */
#include "search_segment.h"

search_segment *search_segment_ref(search_segment *g)
{
    if (g)
        atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void search_segment_unref(search_segment *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
        return;
    mem_free(g->text);
    mem_free(g->names);
    mem_free(g->ids);
    mem_free(g->rows);
    mem_free(g->type);
    mem_free(g->slots);
    mem_free(g->list_at);
    mem_free(g->lists);
    mem_free(g);
}

uint64_t search_segment_bytes(const search_segment *g)
{
    size_t lists = search_lists_count(g);
    size_t texts = g->names[g->n_names].text_at + g->rows[g->n_docs].id_at;
    return sizeof(*g) + texts + g->n_names * sizeof(*g->names) +
           g->n_docs * (sizeof(*g->rows) + sizeof(*g->type)) + g->n_slots * sizeof(*g->slots) +
           lists * sizeof(*g->list_at) + g->list_at[lists];
}

static void dead_unref(search_dead *d)
{
    if (d && atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1)
        mem_free(d);
}

search_part search_part_ref(search_part p)
{
    search_segment_ref(p.seg);
    if (p.dead)
        atomic_fetch_add_explicit(&p.dead->refs, 1, memory_order_relaxed);
    return p;
}

void search_part_unref(search_part *p)
{
    search_segment_unref(p->seg);
    dead_unref(p->dead);
    *p = (search_part){0};
}

/* Makes p->dead one that nobody else reads. Others can only let go of it meanwhile, as only the owner of
 * `p` hands it out: a count of 1 stays 1. */
static int own_dead(search_part *p)
{
    if (p->dead && atomic_load_explicit(&p->dead->refs, memory_order_acquire) == 1)
        return 0;
    size_t words = (p->seg->n_docs + 63) / 64;
    search_dead *d = mem_zalloc(sizeof(*d) + words * sizeof(d->bits[0]));
    if (!d)
        return -ENOMEM;
    atomic_init(&d->refs, 1);
    if (p->dead) {
        d->n = p->dead->n;
        memcpy(d->bits, p->dead->bits, words * sizeof(d->bits[0]));
    }
    dead_unref(p->dead);
    p->dead = d;
    return 0;
}

int search_part_kill(search_part *p, uint32_t doc)
{
    int r = own_dead(p);
    if (r < 0)
        return r;
    uint64_t bit = (uint64_t)1 << doc % 64;
    p->dead->n += (p->dead->bits[doc / 64] & bit) == 0;
    p->dead->bits[doc / 64] |= bit;
    return 0;
}
