/* One query under way: what search_find.c (which names match) and search_page.c (which documents are shown)
 * share. */
#ifndef LARDER_SEARCH_FINDER_H
#define LARDER_SEARCH_FINDER_H

#include "search_segment.h"

enum { EXACT, PREFIX, CONTAINS, NO_MATCH };

/* A hit: the ordinal of a name, its match in the two bits above. */
#define HIT_NAME (DOCS_MAX - 1)
#define HIT_SHIFT 30
_Static_assert(DOCS_MAX == 1u << HIT_SHIFT, "names and matches share a word");

typedef struct source { /* of hits: a segment */
    const search_segment *seg;
    const search_dead *dead;
    uint32_t *hits;
    size_t n, at;
    uint32_t doc; /* walking: no document before it is left */
} source;

typedef struct finder {
    const search_query *q;
    str text;             /* folded */
    uint64_t first, last; /* eight times its first byte, and its last */
    int64_t ns_left;      /* of the estimate the query may cost */
    arena scratch;
    source *src;
    size_t n_src;
    uint64_t totals[SEARCH_TYPES]; /* of documents, by group: a match, a type, or 0 for all */
    uint64_t hits, docs;           /* of all sources; documents wanted or not */
    arena *out;
    search_hit *page;
    size_t page_n, page_full; /* no more than that is drawn */
} finder;

/* Takes the estimate off what is left; -E2BIG when that isn't enough. */
static inline int finder_spend(finder *f, uint64_t times, int64_t ns)
{
    if (times > (uint64_t)(f->ns_left / ns))
        return -E2BIG;
    f->ns_left -= (int64_t)times * ns;
    return 0;
}

static inline uint64_t finder_skip(const finder *f)
{
    return f->q->after ? 0 : f->q->skip;
}

int search_count(finder *f, const source *s); /* adds to totals; -E2BIG */
int search_draw_page(finder *f);              /* fills f->page; -ENOMEM, -E2BIG */

#endif
