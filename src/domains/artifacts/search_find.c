/* Answering a query over some segments.
 *
 * Each segment gives its hits: ordinals of names, rising, with how the name matches. They come from the
 * shortest list of the query's trigrams and anchors, and each is looked at, as a list only says what may
 * match. Names being unique in a segment, a hit stands for a range of documents; counting them is a
 * subtraction where neither filter nor order forces a look at each. The page is then drawn by walking the
 * segments' hits side by side in order of (name, id), group by group (a score, a type); newest-first goes
 * through a heap of as many documents as the page's end. */
#include <endian.h>

#include "search_finder.h"

#define EACH_BYTE UINT64_C(0x0101010101010101)

#define LISTS_CONSIDERED 64
#define SHORT_ENOUGH 32 /* bytes: with a list like that no shorter one is looked for */
#define PREFETCH_AHEAD 12

/* Estimates, for cold caches: looking at a name picked by a list, for each byte of that; at the names one
 * after the other; reading a list's entry; comparing once; bytes that a search or comparison passes in a
 * nanosecond. */
#define LOOK_NS 40
#define SCAN_NS 10
#define ENTRY_NS 2
#define COMPARE_NS 5
#define BYTES_A_NS 8

/* ---- names that may match ---- */
typedef struct list_span {
    const uint8_t *at, *end;
} list_span;

static list_span list_of(const search_segment *g, uint32_t no)
{
    return (list_span){g->lists + g->list_at[no], g->lists + g->list_at[no + 1]};
}

static size_t span_size(list_span l)
{
    return (size_t)(l.end - l.at);
}

static list_span shortest_of(const search_segment *g, const uint32_t *nos, size_t n, list_span best)
{
    for (size_t i = 0; i < n; i++)
        __builtin_prefetch(&g->list_at[nos[i]]); /* at once, instead of one after the other's comparison */
    for (size_t i = 0; i < n; i++) {
        list_span l = list_of(g, nos[i]);
        if (!best.at || span_size(l) < span_size(best))
            best = l;
    }
    return best;
}

/* The shortest of the lists that a matching name is in; of a long text, those of its beginning. What else
 * could be read off the others costs more than looking at the names: neighbouring trigrams mostly come
 * together. */
static list_span shortest_list(const search_segment *g, str text)
{
    uint32_t nos[LISTS_CONSIDERED];
    list_span best = {NULL, NULL};
    best = shortest_of(g, nos, search_anchor_lists(g, text, nos, LISTS_CONSIDERED), best);
    if (!best.at || span_size(best) > SHORT_ENOUGH)
        best = shortest_of(g, nos, search_trigram_lists(g, text, false, nos, LISTS_CONSIDERED), best);
    return best;
}

static int names_by_list(finder *f, source *s)
{
    list_span l = shortest_list(s->seg, f->text);
    size_t bytes = span_size(l); /* at least as many as entries */
    int r = finder_spend(f, bytes, LOOK_NS);
    if (r < 0 || bytes == 0)
        return r;
    if (!(s->hits = arena_alloc(&f->scratch, bytes * sizeof(*s->hits))))
        return -ENOMEM;
    for (uint32_t next = 0, gap; l.at < l.end; next += gap + 1) {
        l.at = search_varint_get(l.at, &gap);
        s->hits[s->n++] = next + gap;
    }
    return 0;
}

/* Two bytes: the names of all trigrams that begin with them; every place in a name but its last byte begins
 * one. */
static int names_by_pair(finder *f, source *s)
{
    const search_segment *g = s->seg;
    size_t words = g->n_names / 64 + 1, bytes = 0;
    for (uint32_t third = 0; third < TRIGRAM_CLASSES; third++)
        bytes += span_size(list_of(g, search_pair_list(g, f->text.p, third)));
    int r = finder_spend(f, bytes, ENTRY_NS + LOOK_NS);
    if (r == 0)
        r = finder_spend(f, words, ENTRY_NS);
    if (r < 0 || bytes == 0)
        return r;
    uint64_t *found = arena_zalloc(&f->scratch, words * sizeof(*found));
    s->hits = arena_alloc(&f->scratch, (bytes < g->n_names ? bytes : g->n_names) * sizeof(*s->hits));
    if (!found || !s->hits)
        return -ENOMEM;
    for (uint32_t third = 0; third < TRIGRAM_CLASSES; third++) {
        list_span l = list_of(g, search_pair_list(g, f->text.p, third));
        for (uint32_t next = 0, gap; l.at < l.end; next += gap + 1) {
            l.at = search_varint_get(l.at, &gap);
            found[(next + gap) / 64] |= (uint64_t)1 << (next + gap) % 64;
        }
    }
    for (size_t w = 0; w < words; w++)
        for (uint64_t left = found[w]; left != 0; left &= left - 1)
            s->hits[s->n++] = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(left);
    return 0;
}

static int all_names(finder *f, source *s)
{
    int r = finder_spend(f, s->seg->n_names, SCAN_NS);
    if (r < 0)
        return r;
    if (!(s->hits = arena_alloc(&f->scratch, s->seg->n_names * sizeof(*s->hits))))
        return -ENOMEM;
    for (uint32_t name = 0; name < s->seg->n_names; name++)
        s->hits[s->n++] = name;
    return 0;
}

/* ---- looking at names ---- */
static uint64_t load8(const char *p)
{
    uint64_t bytes;
    memcpy(&bytes, p, sizeof(bytes));
    return le64toh(bytes);
}

/* Eight places at once: those where the first and the last byte are right, and some that aren't, by the
 * arithmetic that finds zero bytes in a word; each is compared. Reads up to seven bytes past the name, see
 * search_segment.text. Names that are long, or made to compare long, are paid for as they go: with nothing
 * left the answer is NO_MATCH. */
static uint32_t match(finder *f, str name)
{
    if (name.n < f->text.n)
        return NO_MATCH;
    size_t places = name.n - f->text.n + 1;
    f->ns_left -= (int64_t)(name.n / BYTES_A_NS);
    for (size_t i = 0; i < places && f->ns_left >= 0; i += 8) {
        uint64_t wrong = (load8(name.p + i) ^ f->first) | (load8(name.p + i + f->text.n - 1) ^ f->last);
        uint64_t right = (wrong - EACH_BYTE) & ~wrong & (EACH_BYTE << 7);
        if (places - i < 8)
            right &= ((uint64_t)1 << 8 * (places - i)) - 1;
        for (; right != 0; right &= right - 1) {
            size_t at = i + (size_t)__builtin_ctzll(right) / 8;
            f->ns_left -= COMPARE_NS + (int64_t)(f->text.n / BYTES_A_NS);
            if (memcmp(name.p + at, f->text.p, f->text.n) == 0)
                return at > 0 ? CONTAINS : places == 1 ? EXACT : PREFIX;
        }
    }
    return NO_MATCH;
}

static int look_at_names(finder *f, source *s)
{
    const search_segment *g = s->seg;
    size_t kept = 0;
    for (size_t i = 0; i < s->n && f->ns_left >= 0; i++) {
        if (i + 2 * PREFETCH_AHEAD < s->n)
            __builtin_prefetch(&g->names[s->hits[i + 2 * PREFETCH_AHEAD]]);
        if (i + PREFETCH_AHEAD < s->n)
            __builtin_prefetch(g->text + (g->names[s->hits[i + PREFETCH_AHEAD]].text_at & TEXT_MAX));
        uint32_t how = match(f, search_segment_folded(g, s->hits[i]));
        s->hits[kept] = s->hits[i] | how << HIT_SHIFT;
        kept += how != NO_MATCH;
    }
    s->n = kept;
    return f->ns_left >= 0 ? 0 : -E2BIG;
}

/* ---- the query ---- */
static int find_names(finder *f, source *s)
{
    int r = f->text.n == 1 ? all_names(f, s) : f->text.n == 2 ? names_by_pair(f, s) : names_by_list(f, s);
    return r < 0 ? r : look_at_names(f, s);
}

static int find_all(finder *f, const search_part *parts, size_t n, const search_segment *newest)
{
    if (!(f->src = arena_alloc(&f->scratch, (n + 1) * sizeof(*f->src))))
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        f->src[f->n_src++] = (source){.seg = parts[i].seg, .dead = parts[i].dead};
    if (newest)
        f->src[f->n_src++] = (source){.seg = newest};
    for (source *s = f->src; s < f->src + f->n_src; s++) {
        int r = find_names(f, s);
        if (r == 0)
            r = search_count(f, s);
        if (r < 0)
            return r;
    }
    return 0;
}

static int answer(finder *f, search_page *ret_page)
{
    uint64_t total = 0;
    for (size_t i = 0; i < COUNT_OF(f->totals); i++)
        total += f->totals[i];
    const uint64_t skip = finder_skip(f), left = skip < total ? total - skip : 0;
    f->page_full = f->q->limit < left ? f->q->limit + 1 : (size_t)left; /* one more, to know whether there is one */
    if (f->page_full > 0) {
        f->page = arena_array(f->out, search_hit, f->page_full);
        int r = f->page ? search_draw_page(f) : -ENOMEM;
        if (r < 0)
            return r;
    }
    const bool more = f->page_n > f->q->limit;
    *ret_page = (search_page){f->page, more ? f->q->limit : f->page_n, total, more};
    return 0;
}

int search_parts_find(const search_part *parts, size_t n, const search_segment *newest, const search_query *q,
                      int64_t budget_ns, arena *a, search_page *ret_page)
{
    if (q->text.n == 0)
        return -EINVAL;
    finder f = {.q = q, .ns_left = budget_ns, .out = a};
    buf folded = BUF_INIT;
    f.text = str_fold(q->text, &folded);
    int r = folded.err;
    arena_init(&f.scratch, 0);
    if (r == 0) {
        f.first = EACH_BYTE * (uint8_t)f.text.p[0];
        f.last = EACH_BYTE * (uint8_t)f.text.p[f.text.n - 1];
        r = find_all(&f, parts, n, newest);
    }
    if (r == 0)
        r = answer(&f, ret_page);
    arena_done(&f.scratch);
    buf_done(&folded);
    return r;
}
