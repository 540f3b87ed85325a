/* From hits to documents: counting them, and drawing one page in the order asked for. */
#include "search_finder.h"

/* Estimates, for cold caches: going to a hit's documents; looking at the columns of each; finding out which
 * of two sources comes first; offering a document to the heap of dates; keeping it there. */
#define HIT_NS 20
#define DOC_NS 3
#define STEP_NS 25
#define OFFER_NS 8
#define HEAP_NS 150

static const uint8_t scores[] = {100, 80, 60};

/* ---- counting ---- */
static unsigned group_of(const finder *f, const source *s, uint32_t hit, uint32_t doc)
{
    switch (f->q->order) {
    case SEARCH_BY_RELEVANCE:
        return hit >> HIT_SHIFT;
    case SEARCH_BY_TYPE:
        return s->seg->type[doc];
    default:
        return 0;
    }
}

static bool is_wanted(const finder *f, const source *s, uint32_t doc)
{
    return !search_is_dead(s->dead, doc) && (f->q->types == 0 || (f->q->types >> s->seg->type[doc] & 1)) &&
           (f->q->project == 0 || f->q->project == s->seg->rows[doc].project);
}

static uint32_t first_doc(const source *s, uint32_t hit)
{
    return s->seg->names[hit & HIT_NAME].doc_at;
}

static uint32_t end_doc(const source *s, uint32_t hit)
{
    return s->seg->names[(hit & HIT_NAME) + 1].doc_at;
}

/* Whether all documents of a hit that aren't removed count, and in one group: their columns need no look. */
static bool takes_whole_hits(const finder *f)
{
    return f->q->types == 0 && f->q->project == 0 && f->q->order != SEARCH_BY_TYPE;
}

static uint32_t count_dead(const search_dead *dead, uint32_t from, uint32_t end)
{
    uint32_t n = 0;
    while (dead && from < end) {
        uint32_t bits = 64 - from % 64 < end - from ? 64 - from % 64 : end - from;
        uint64_t word = dead->bits[from / 64] >> from % 64;
        n += (uint32_t)__builtin_popcountll(bits < 64 ? word & (((uint64_t)1 << bits) - 1) : word);
        from += bits;
    }
    return n;
}

static int spend_for_docs(finder *f, uint64_t hits, uint64_t docs)
{
    int r = finder_spend(f, hits, HIT_NS);
    return r < 0 ? r : finder_spend(f, docs, DOC_NS);
}

int search_count(finder *f, const source *s)
{
    uint64_t docs = 0;
    for (size_t i = 0; i < s->n; i++)
        docs += end_doc(s, s->hits[i]) - first_doc(s, s->hits[i]);
    int r = takes_whole_hits(f) ? 0 : spend_for_docs(f, s->n, docs);
    if (r < 0)
        return r;
    f->hits += s->n;
    f->docs += docs;
    for (size_t i = 0; i < s->n; i++) {
        uint32_t hit = s->hits[i], doc = first_doc(s, hit), end = end_doc(s, hit);
        if (takes_whole_hits(f))
            f->totals[group_of(f, s, hit, doc)] += end - doc - count_dead(s->dead, doc, end);
        else
            for (; doc < end; doc++)
                f->totals[group_of(f, s, hit, doc)] += is_wanted(f, s, doc);
    }
    return 0;
}

/* ---- the page ---- */
static int emit(finder *f, const source *s, uint32_t hit, uint32_t doc)
{
    const search_segment *g = s->seg;
    search_hit *out = &f->page[f->page_n];
    *out = (search_hit){
        .id = arena_dup(f->out, search_segment_id(g, doc)),
        .name = arena_dup(f->out, search_segment_name(g, hit & HIT_NAME)),
        .updated_ms = g->rows[doc].updated_ms,
        .project = g->rows[doc].project,
        .type = g->type[doc],
        .score = scores[hit >> HIT_SHIFT],
    };
    if (!out->id.p || !out->name.p)
        return -ENOMEM;
    f->page_n++;
    return 0;
}

static int name_cmp(const source *a, uint32_t a_hit, const source *b, uint32_t b_hit)
{
    return str_cmp(search_segment_name(a->seg, a_hit & HIT_NAME),
                   search_segment_name(b->seg, b_hit & HIT_NAME));
}

/* Whether a document comes behind the place that the page begins at, as far as name and id go. */
static bool is_behind(const source *s, uint32_t hit, uint32_t doc, const search_hit *place)
{
    const int c = str_cmp(search_segment_name(s->seg, hit & HIT_NAME), place->name);

    return c != 0 ? c > 0 : str_cmp(search_segment_id(s->seg, doc), place->id) > 0;
}

static int id_cmp(const source *a, uint32_t a_doc, const source *b, uint32_t b_doc)
{
    return str_cmp(search_segment_id(a->seg, a_doc), search_segment_id(b->seg, b_doc));
}

/* Moves on to the first document of the group at or after the place; false at the end. */
static bool settle(const finder *f, source *s, unsigned group)
{
    for (; s->at < s->n; s->at++) {
        uint32_t hit = s->hits[s->at];
        if (f->q->order == SEARCH_BY_RELEVANCE && hit >> HIT_SHIFT != group)
            continue;
        if (s->doc < first_doc(s, hit))
            s->doc = first_doc(s, hit);
        for (; s->doc < end_doc(s, hit); s->doc++)
            if (is_wanted(f, s, s->doc) && group_of(f, s, hit, s->doc) == group)
                return true;
    }
    return false;
}

/* The source whose document comes first, settled; NULL when none is left. *ret_alone: no other has the same
 * name. */
static source *first_source(const finder *f, unsigned group, bool *ret_alone)
{
    source *first = NULL;
    for (source *s = f->src; s < f->src + f->n_src; s++) {
        if (!settle(f, s, group))
            continue;
        int c = first ? name_cmp(s, s->hits[s->at], first, first->hits[first->at]) : -1;
        if (c <= 0)
            *ret_alone = c < 0;
        if (c < 0 || (c == 0 && id_cmp(s, s->doc, first, first->doc) < 0))
            first = s;
    }
    return first;
}

/* Passes over documents of the source's hit, at most `skip` that count; how many are left to skip. */
static uint64_t pass_over(const finder *f, source *s, unsigned group, uint64_t skip)
{
    uint32_t hit = s->hits[s->at], end = end_doc(s, hit);
    if (takes_whole_hits(f) && !s->dead) {
        uint32_t n = skip < end - s->doc ? (uint32_t)skip : end - s->doc;
        s->doc += n;
        return skip - n;
    }
    for (; skip > 0 && s->doc < end; s->doc++)
        skip -= is_wanted(f, s, s->doc) && group_of(f, s, hit, s->doc) == group;
    return skip;
}

static int spend_for_walk(finder *f, uint64_t skip)
{
    int r = takes_whole_hits(f) ? 0 : spend_for_docs(f, f->hits, f->docs);
    return r < 0 ? r : finder_spend(f, skip, f->n_src > 1 ? (int64_t)f->n_src * STEP_NS : DOC_NS);
}

/* To the first document behind the place, of whatever group: documents of a name are in order of their ids. */
static void seek(source *s, const search_hit *place)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        const size_t mid = low + (high - low) / 2;
        if (is_behind(s, s->hits[mid], end_doc(s, s->hits[mid]) - 1, place))
            high = mid;
        else
            low = mid + 1;
    }
    s->at = low;
    if (low == s->n)
        return;
    uint32_t doc = first_doc(s, s->hits[low]), end = end_doc(s, s->hits[low]);
    while (doc < end) {
        const uint32_t mid = doc + (end - doc) / 2;
        if (is_behind(s, s->hits[low], mid, place))
            end = mid;
        else
            doc = mid + 1;
    }
    s->doc = doc;
}

/* `place`: where it begins; NULL: at its first document. */
static int walk_group(finder *f, unsigned group, const search_hit *place, uint64_t skip)
{
    bool alone = true;
    source *s;
    int r = spend_for_walk(f, skip);
    for (s = f->src; s < f->src + f->n_src; s++) {
        s->at = s->doc = 0;
        if (place)
            seek(s, place);
    }
    while (r == 0 && f->page_n < f->page_full && (s = first_source(f, group, &alone))) {
        if (skip > 0) {
            uint64_t n = alone ? skip : 1;
            skip = skip - n + pass_over(f, s, group, n);
        } else {
            r = emit(f, s, s->hits[s->at], s->doc++);
        }
    }
    return r;
}

/* The group that a page begins in. */
static unsigned group_of_place(const finder *f, const search_hit *place)
{
    unsigned match = EXACT;

    if (f->q->order == SEARCH_BY_TYPE)
        return place->type;
    if (f->q->order == SEARCH_BY_RELEVANCE)
        while (match < CONTAINS && scores[match] > place->score)
            match++;
    return match; /* by name there is but one group */
}

static int page_by_walking(finder *f)
{
    const search_hit *place = f->q->after;
    const unsigned first = place ? group_of_place(f, place) : 0;
    uint64_t skip = finder_skip(f);
    for (unsigned group = first; group < SEARCH_TYPES && f->page_n < f->page_full; group++) {
        if (skip >= f->totals[group]) {
            skip -= f->totals[group];
            continue;
        }
        int r = walk_group(f, group, group == first ? place : NULL, skip);
        if (r < 0)
            return r;
        skip = 0;
    }
    return 0;
}

/* ---- newest first ---- */
typedef struct dated {
    int64_t updated_ms;
    const source *src;
    uint32_t hit, doc;
} dated;

static bool comes_later(const dated *a, const dated *b)
{
    if (a->updated_ms != b->updated_ms)
        return a->updated_ms < b->updated_ms;
    if (a->src == b->src)
        return a->doc > b->doc;
    int c = name_cmp(a->src, a->hit, b->src, b->hit);
    return c > 0 || (c == 0 && id_cmp(a->src, a->doc, b->src, b->doc) > 0);
}

/* Puts `item` into the hole at the top of a heap that has the latest on top. */
static void sink(dated *heap, size_t n, dated item)
{
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_later(&heap[child + 1], &heap[child]))
            child++;
        if (!comes_later(&heap[child], &item))
            break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static void rise(dated *heap, size_t at, dated item)
{
    for (size_t parent; at > 0 && (parent = (at - 1) / 2, comes_later(&item, &heap[parent])); at = parent)
        heap[at] = heap[parent];
    heap[at] = item;
}

static bool is_past(const finder *f, const dated *item)
{
    const search_hit *place = f->q->after;

    if (!place || item->updated_ms != place->updated_ms)
        return place && item->updated_ms > place->updated_ms;
    return !is_behind(item->src, item->hit, item->doc, place);
}

/* Leaves in the heap the first documents of those that may be shown, n at most; how many. */
static size_t first_by_date(const finder *f, dated *heap, size_t n)
{
    size_t filled = 0;
    for (const source *s = f->src; s < f->src + f->n_src; s++)
        for (size_t i = 0; i < s->n; i++)
            for (uint32_t hit = s->hits[i], doc = first_doc(s, hit); doc < end_doc(s, hit); doc++) {
                if (!is_wanted(f, s, doc))
                    continue;
                dated item = {s->seg->rows[doc].updated_ms, s, hit, doc};
                if (is_past(f, &item))
                    continue;
                if (filled < n)
                    rise(heap, filled++, item);
                else if (comes_later(&heap[0], &item))
                    sink(heap, n, item);
            }
    return filled;
}

static int page_by_date(finder *f)
{
    const size_t skip = (size_t)finder_skip(f);
    size_t n = skip + f->page_full; /* at most the total */
    int r = finder_spend(f, f->hits, HIT_NS);
    if (r == 0)
        r = finder_spend(f, f->docs, OFFER_NS);
    if (r == 0)
        r = finder_spend(f, n, HEAP_NS);
    if (r < 0)
        return r;
    dated *heap = arena_alloc(&f->scratch, n * sizeof(*heap));
    if (!heap)
        return -ENOMEM;
    n = first_by_date(f, heap, n);
    for (size_t left = n; left > 1; left--) { /* heap sort */
        dated last = heap[left - 1];
        heap[left - 1] = heap[0];
        sink(heap, left - 1, last);
    }
    for (size_t i = skip; r == 0 && i < n; i++)
        r = emit(f, heap[i].src, heap[i].hit, heap[i].doc);
    return r;
}

int search_draw_page(finder *f)
{
    return f->q->order == SEARCH_BY_UPDATED ? page_by_date(f) : page_by_walking(f);
}
