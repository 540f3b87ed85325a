/* The lists of a segment: which names have a trigram, which have an anchor.
 *
 * Trigrams are of byte classes, of which there are few enough that each can have a list of its own. The end
 * of a name counts as a byte: so its last two bytes begin a trigram like all others. The names a short text
 * is in are found by them. A long text's trigrams may all be frequent (think of numbers): for it there are
 * anchors.
 *
 * An anchor is the smaller of the hashes of two 8-byte grams that begin side by side. Every 9 bytes in a
 * row have one, and only they say which: so the anchors of a text are anchors of whatever contains it. As
 * neighbours often share theirs, they are fewer than the grams.
 *
 * In small segments several trigrams share a list, and anchors do always: a list can give names too many.
 * To make the lists, every name is read twice: the first time the bytes of each list are counted, the
 * second time they are written, each list at its own place of one block. Temporary memory is eight bytes
 * per list. */
#include "search_segment.h"

#define LIST_BITS_MIN 6u
#define CLASS_BITS 6
#define TRIGRAM_BITS_MAX (3 * CLASS_BITS)
#define TRIGRAM_MASK ((1u << TRIGRAM_BITS_MAX) - 1)
#define CLASS_END 0u /* of what follows a name's last byte */
_Static_assert(TRIGRAM_CLASSES == 1 << CLASS_BITS, "every class has a number");

#define GRAM 8
#define ANCHOR_BITS_MAX 20u

/* Folding makes a name at most three times as long; it has a trigram and less than one anchor for each
 * byte. */
#define NAME_LISTS_MAX ((size_t)2 * 3 * SEARCH_NAME_MAX)

/* a-z, 0-9 and what is usual in names have classes of their own; capitals, which folded names don't have,
 * those of their small letters; other ASCII characters share three, the bytes of other code points the
 * rest. */
/* clang-format off */
static const uint8_t byte_class[256] = {
    43, 44, 45, 43, 44, 45, 43, 44, 45, 43, 44, 45, 43, 44, 45, 43,
    44, 45, 43, 44, 45, 43, 44, 45, 43, 44, 45, 43, 44, 45, 43, 44,
    40, 43, 44, 45, 43, 44, 45, 43, 44, 45, 43, 44, 45, 37, 39, 41,
    27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 42, 45, 43, 44, 45, 43,
    44,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 44, 45, 43, 44, 38,
    43,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 43, 44, 45, 43, 44,
    53, 54, 55, 56, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 46,
    47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 46, 47, 48, 49, 50, 51,
    52, 53, 54, 55, 56, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56,
    46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 46, 47, 48, 49, 50,
    60, 61, 62, 63, 57, 58, 59, 60, 61, 62, 63, 57, 58, 59, 60, 61,
    62, 63, 57, 58, 59, 60, 61, 62, 63, 57, 58, 59, 60, 61, 62, 63,
    57, 58, 59, 60, 61, 62, 63, 57, 58, 59, 60, 61, 62, 63, 57, 58,
    59, 60, 61, 62, 63, 57, 58, 59, 60, 61, 62, 63, 57, 58, 59, 60,
};
/* clang-format on */

/* ---- which lists ---- */
/* Multiplication by an odd number mixes, and where all bits are kept maps one to one. */
static uint32_t trigram_list(const search_segment *g, uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t trigram = (a << CLASS_BITS | b) << CLASS_BITS | c;
    return (trigram * 40503u & TRIGRAM_MASK) >> (TRIGRAM_BITS_MAX - g->trigram_bits);
}

uint32_t search_pair_list(const search_segment *g, const char pair[2], uint32_t third_class)
{
    return trigram_list(g, byte_class[(uint8_t)pair[0]], byte_class[(uint8_t)pair[1]], third_class);
}

size_t search_trigram_lists(const search_segment *g, str text, bool as_name, uint32_t *nos, size_t max)
{
    size_t n = 0;
    uint32_t a = 0, b = text.n > 0 ? byte_class[(uint8_t)text.p[0]] : 0;
    for (size_t i = 1; i < text.n + as_name && n < max; i++) {
        uint32_t c = i < text.n ? byte_class[(uint8_t)text.p[i]] : CLASS_END;
        if (i > 1)
            nos[n++] = trigram_list(g, a, b, c);
        a = b;
        b = c;
    }
    return n;
}

static uint32_t gram_hash(const char *p)
{
    uint64_t gram;
    memcpy(&gram, p, GRAM);
    return (uint32_t)(gram * 0x9e3779b97f4a7c15u >> 32);
}

/* Of two hashes the smaller one: its upper bits say little, so it is mixed again. */
static uint32_t anchor_list(const search_segment *g, uint32_t anchor)
{
    return (1u << g->trigram_bits) + (anchor * 0x9e3779b1u >> (32 - g->anchor_bits));
}

size_t search_anchor_lists(const search_segment *g, str text, uint32_t *nos, size_t max)
{
    size_t n = 0;
    uint32_t left = 0, last = 0;
    for (size_t i = 0; i + GRAM <= text.n && n < max; i++) {
        uint32_t hash = gram_hash(text.p + i);
        uint32_t anchor = hash < left ? hash : left;
        if (i > 0 && (n == 0 || anchor != last)) {
            nos[n++] = anchor_list(g, anchor);
            last = anchor;
        }
        left = hash;
    }
    return n;
}

uint32_t search_lists_count(const search_segment *g)
{
    return (1u << g->trigram_bits) + (1u << g->anchor_bits);
}

/* ---- making them ---- */
static uint32_t varint_size(uint32_t v)
{
    return v < 1u << 7 ? 1 : v < 1u << 14 ? 2 : v < 1u << 21 ? 3 : v < 1u << 28 ? 4 : 5;
}

static uint8_t *varint_put(uint8_t *p, uint32_t v)
{
    for (; v >= 128; v >>= 7)
        *p++ = (uint8_t)(v | 128);
    *p++ = (uint8_t)v;
    return p;
}

typedef struct list_end {
    uint32_t last; /* ordinal + 1 of the last name in the list */
    uint32_t at;   /* first pass: bytes so far; second: place of the next */
} list_end;

/* Without `out` only counts. */
static inline void add_to_list(list_end *l, uint32_t name, uint8_t *out)
{
    uint32_t gap = name - l->last;
    if (l->last == name + 1)
        return;
    l->last = name + 1;
    l->at = out ? (uint32_t)(varint_put(out + l->at, gap) - out) : l->at + varint_size(gap);
}

/* `nos` has room for NAME_LISTS_MAX. */
static void add_names(const search_segment *g, list_end *ends, uint8_t *out, uint32_t *nos)
{
    for (uint32_t name = 0; name < g->n_names; name++) {
        str text = search_segment_folded(g, name);
        size_t n = search_trigram_lists(g, text, true, nos, NAME_LISTS_MAX);
        n += search_anchor_lists(g, text, nos + n, NAME_LISTS_MAX - n);
        for (size_t i = 0; i < n; i++)
            __builtin_prefetch(&ends[nos[i]], 1);
        for (size_t i = 0; i < n; i++)
            add_to_list(&ends[nos[i]], name, out);
    }
}

/* Turns the sizes in `ends` into places; the bytes of all. */
static uint64_t place_lists(search_segment *g, list_end *ends)
{
    uint64_t bytes = 0;
    uint32_t n = search_lists_count(g);
    for (uint32_t i = 0; i < n; i++) {
        g->list_at[i] = (uint32_t)bytes;
        bytes += ends[i].at;
        ends[i] = (list_end){0, g->list_at[i]};
    }
    g->list_at[n] = (uint32_t)bytes;
    return bytes;
}

static unsigned bits_for(uint32_t n, unsigned max)
{
    unsigned bits = LIST_BITS_MIN;
    while (bits < max && 1u << bits < n)
        bits++;
    return bits;
}

int search_lists_make(search_segment *g)
{
    g->trigram_bits = bits_for(g->n_names, TRIGRAM_BITS_MAX);
    g->anchor_bits = bits_for(g->n_names, ANCHOR_BITS_MAX);
    size_t n = search_lists_count(g);
    list_end *ends = mem_zalloc(n * sizeof(*ends));
    uint32_t *nos = mem_alloc(NAME_LISTS_MAX * sizeof(*nos));
    g->list_at = mem_alloc((n + 1) * sizeof(*g->list_at));
    int r = ends && nos && g->list_at ? 0 : -ENOMEM;
    if (r == 0) {
        add_names(g, ends, NULL, nos);
        uint64_t bytes = place_lists(g, ends);
        if (bytes > UINT32_MAX)
            r = -EFBIG;
        else if (!(g->lists = mem_alloc((size_t)bytes)))
            r = -ENOMEM;
    }
    if (r == 0)
        add_names(g, ends, g->lists, nos);
    mem_free(ends);
    mem_free(nos);
    return r;
}
