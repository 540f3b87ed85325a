/* Segments of the search index: immutable, shared by reference count, made by any thread.
 *
 * A segment holds its documents in order of (name, id) under ordinals from 0, equal names once, with the
 * ordinals of names as second numbering; `doc_at` leads from a name to the range of its documents. Lists
 * say which names have a trigram or an anchor. They can give names too many, never too few, and who reads
 * one looks at the name. */
#ifndef LARDER_SEARCH_SEGMENT_H
#define LARDER_SEARCH_SEGMENT_H

#include <stdatomic.h>

#include "larder/hash.h"
#include "larder/search.h"

#define NAME_FOLDS (1u << 31) /* in text_at: the text is a 16-bit length, the name, the folded name */
#define TEXT_MAX (NAME_FOLDS - 1)
#define TEXT_PAD 8 /* bytes that can be read from any place in a name */
#define DOCS_MAX (1u << 30)
#define NOWHERE UINT32_MAX

typedef struct search_name {
    uint32_t text_at; /* see NAME_FOLDS */
    uint32_t doc_at;  /* first document of the name */
} search_name;
typedef struct search_row {
    int64_t updated_ms;
    uint32_t id_at;
    uint64_t project;
} search_row;

typedef struct search_segment {
    atomic_uint refs;
    uint32_t n_docs, n_names;
    char *text;         /* TEXT_PAD bytes more than the names' */
    search_name *names; /* n_names, and one that says where the last ends */
    char *ids;
    search_row *rows; /* n_docs, and one more for the same reason */
    uint8_t *type;
    uint32_t *slots; /* hash table over ids: document + 1, 0 for a free slot */
    uint32_t n_slots;
    unsigned trigram_bits, anchor_bits; /* log2 of how many lists there are of each kind */
    uint32_t *list_at;                  /* search_lists_count + 1 places in `lists` */
    uint8_t *lists;                     /* ordinals of names rising, as varints of what lies between */
} search_segment;

/* Documents of one segment that are removed. Copied before a change when somebody else holds it too. */
typedef struct search_dead {
    atomic_uint refs;
    uint32_t n;
    uint64_t bits[];
} search_dead;

typedef struct search_part {
    search_segment *seg;
    search_dead *dead; /* NULL: none */
} search_part;

static inline bool search_is_dead(const search_dead *dead, uint32_t doc)
{
    return dead && (dead->bits[doc / 64] >> doc % 64 & 1);
}

/* A document on its way into a segment. */
typedef struct search_record {
    uint64_t id_hash;
    int64_t updated_ms;
    uint64_t project;
    uint16_t name_n;
    uint8_t id_n, type;
    char text[]; /* name, id */
} search_record;
/* Records are sorted by way of these: most comparisons end with the key. */
typedef struct search_entry {
    uint64_t key; /* the name's first 8 bytes, big-endian */
    search_record *rec;
} search_entry;

static inline str search_record_name(const search_record *r)
{
    return str_of(r->text, r->name_n);
}
static inline str search_record_id(const search_record *r)
{
    return str_of(r->text + r->name_n, r->id_n);
}
size_t search_record_size(const search_doc *doc);
/* Fills `r`, of the size above. */
search_entry search_record_init(search_record *r, const search_doc *doc, uint64_t id_hash);
int search_entry_cmp(const search_entry *a, const search_entry *b); /* by name, then id */
int search_sort(search_entry *e, size_t n);                         /* -ENOMEM */

/* -ENOMEM, -EFBIG, -EEXIST (an id twice). The entries are sorted. */
int search_segment_build(const search_entry *sorted, size_t n, search_segment **ret_seg);
/* One segment of what is alive in several. */
int search_segment_merge(const siphash_key *key, const search_part *in, size_t n, search_segment **ret_seg);
search_segment *search_segment_ref(search_segment *g);
void search_segment_unref(search_segment *g); /* NULL is fine */
uint64_t search_segment_bytes(const search_segment *g);
/* The document of the id, or NOWHERE. */
uint32_t search_segment_find(const search_segment *g, uint64_t id_hash, str id);

str search_segment_doc_name(const search_segment *g, uint32_t doc);

search_part search_part_ref(search_part p);
void search_part_unref(search_part *p);
int search_part_kill(search_part *p, uint32_t doc); /* -ENOMEM */

static inline str search_segment_id(const search_segment *g, uint32_t doc)
{
    const search_row *row = g->rows + doc;
    return str_of(g->ids + row[0].id_at, row[1].id_at - row[0].id_at);
}

static inline str search_segment_name(const search_segment *g, uint32_t name)
{
    uint32_t at = g->names[name].text_at;
    uint32_t end = g->names[name + 1].text_at & TEXT_MAX;
    if (!(at & NAME_FOLDS))
        return str_of(g->text + at, end - at);
    uint16_t n;
    memcpy(&n, g->text + (at & TEXT_MAX), sizeof(n));
    return str_of(g->text + (at & TEXT_MAX) + sizeof(n), n);
}

static inline str search_segment_folded(const search_segment *g, uint32_t name)
{
    uint32_t at = g->names[name].text_at;
    uint32_t end = g->names[name + 1].text_at & TEXT_MAX;
    if (at & NAME_FOLDS) {
        uint16_t n;
        at &= TEXT_MAX;
        memcpy(&n, g->text + at, sizeof(n));
        at += (uint32_t)sizeof(n) + n;
    }
    return str_of(g->text + at, end - at);
}

/* ---- lists: see search_lists.c ---- */
#define TRIGRAM_CLASSES 64
int search_lists_make(search_segment *g); /* -ENOMEM, -EFBIG; the names are there */
uint32_t search_lists_count(const search_segment *g);
/* Numbers of the lists of a text's trigrams, and of its anchors; no more than `max`, which leaves out some.
 * A text's lists are also those of whatever contains it, but for `as_name`: then its end counts as a byte
 * too. */
size_t search_trigram_lists(const search_segment *g, str text, bool as_name, uint32_t *nos, size_t max);
size_t search_anchor_lists(const search_segment *g, str text, uint32_t *nos, size_t max);
/* The list of the trigrams that begin with the two bytes and go on with a byte of the class. */
uint32_t search_pair_list(const search_segment *g, const char pair[2], uint32_t third_class);

static inline const uint8_t *search_varint_get(const uint8_t *p, uint32_t *ret_value)
{
    uint32_t byte = *p++;
    uint32_t value = byte & 127;
    for (unsigned shift = 7; byte & 128; shift += 7) {
        byte = *p++;
        value |= (byte & 127) << shift;
    }
    *ret_value = value;
    return p;
}

/* ---- finding: any thread ---- */
/* `newest` may be NULL. `budget_ns`: -E2BIG when it would take longer; INT64_MAX for no limit. */
int search_parts_find(const search_part *parts, size_t n, const search_segment *newest, const search_query *q,
                      int64_t budget_ns, arena *a, search_page *ret_page);

#endif
