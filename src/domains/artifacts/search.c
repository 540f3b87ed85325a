/* The index: segments from oldest to newest, then the fresh documents; each id is alive in at most one
 * place.
 *
 * Fresh documents stand in an array in order of (name, id). A query makes a segment of them, `tail`, which
 * is dropped when one of them changes; when the array is full, the tail becomes a part like the others.
 * Merges keep the parts few: each is at least MERGE_RATIO times as large as all behind it together, so a
 * document is moved some MERGE_RATIO / 2 times for each power of MERGE_RATIO that the index is large. */
#include "search_segment.h"

#include "larder/hash.h"

#define FRESH_MAX 256
#define FRESH_BYTES 16384 /* of names: what a tail is made of on the loop */
#define MERGE_RATIO 8

struct search {
    siphash_key key; /* for ids, which strangers may choose */
    search_part *parts;
    size_t n_parts, parts_cap;
    uint64_t fresh_hash[FRESH_MAX]; /* of the ids, in the order of fresh[] */
    search_entry fresh[FRESH_MAX];
    size_t n_fresh, fresh_bytes;
    search_segment *tail; /* NULL: none of the fresh, or out of date */
    search_build *build;
};

/* Work on a new part. While it lasts, what is put or removed is written down in `journal` (each id behind a
 * byte with its length), and killed in the new part before anybody can see it. */
struct search_build {
    search *s; /* NULL when it has ended well */
    search_part result;
    buf journal;
    size_t carried; /* bytes of it */
    bool loads;
    search_part *in; /* merging: references to parts[first .. first + n_in) of the index, as they were */
    size_t first, n_in;
    search_entry *entries; /* loading; the records are in `records` */
    size_t n_entries, entries_cap;
    arena records;
};

struct search_view {
    size_t n;
    search_part parts[];
};

/* Where a document is: in parts[part], or fresh[doc] with part == n_parts. */
typedef struct place {
    size_t part;
    uint32_t doc;
} place;

uint64_t search_project_number(str project_id)
{
    const uint64_t h = hash64(project_id.p, project_id.n);
    return h ? h : 1;
}

search *search_new(void)
{
    search *s = mem_new(search);
    if (s)
        random_bytes(&s->key, sizeof(s->key));
    return s;
}

void search_free(search *s)
{
    if (!s)
        return;
    REQUIRE(!s->build);
    for (size_t i = 0; i < s->n_parts; i++)
        search_part_unref(&s->parts[i]);
    for (size_t i = 0; i < s->n_fresh; i++)
        mem_free(s->fresh[i].rec);
    search_segment_unref(s->tail);
    mem_free(s->parts);
    mem_free(s);
}

static bool is_valid(const search_doc *doc)
{
    return doc->id.n > 0 && doc->id.n <= SEARCH_ID_MAX && doc->name.n > 0 && doc->name.n <= SEARCH_NAME_MAX &&
           doc->type < SEARCH_TYPES;
}

/* ---- parts ---- */
static int reserve_part(search *s)
{
    if (s->n_parts < s->parts_cap)
        return 0;
    size_t cap = s->parts_cap ? s->parts_cap * 2 : 8;
    search_part *parts = mem_realloc(s->parts, cap * sizeof(*parts));
    if (!parts)
        return -ENOMEM;
    s->parts = parts;
    s->parts_cap = cap;
    return 0;
}

/* Puts `p` in the place of parts[first .. first + n); room for one is reserved. An empty part is let go. */
static void replace_parts(search *s, size_t first, size_t n, search_part p)
{
    size_t added = p.seg->n_docs > 0;
    for (size_t i = first; i < first + n; i++)
        search_part_unref(&s->parts[i]);
    search_part *from = s->parts + first + n;
    memmove(s->parts + first + added, from, (s->n_parts - first - n) * sizeof(*from));
    s->n_parts = s->n_parts - n + added;
    if (added)
        s->parts[first] = p;
    else
        search_part_unref(&p);
}

static void drop_tail(search *s)
{
    search_segment_unref(s->tail);
    s->tail = NULL;
}

static int make_tail(search *s)
{
    return s->tail || s->n_fresh == 0 ? 0 : search_segment_build(s->fresh, s->n_fresh, &s->tail);
}

/* The fresh become a part. */
static int flush(search *s)
{
    int r = reserve_part(s);
    if (r == 0)
        r = make_tail(s);
    if (r < 0)
        return r;
    replace_parts(s, s->n_parts, 0, (search_part){.seg = s->tail});
    s->tail = NULL;
    for (size_t i = 0; i < s->n_fresh; i++)
        mem_free(s->fresh[i].rec);
    s->n_fresh = s->fresh_bytes = 0;
    return 0;
}

/* ---- changes ---- */
static bool locate(const search *s, uint64_t hash, str id, place *ret_place)
{
    for (uint32_t i = 0; i < s->n_fresh; i++)
        if (s->fresh_hash[i] == hash && str_eq(search_record_id(s->fresh[i].rec), id)) {
            *ret_place = (place){s->n_parts, i};
            return true;
        }
    for (size_t i = s->n_parts; i-- > 0;) {
        uint32_t doc = search_segment_find(s->parts[i].seg, hash, id);
        if (doc != NOWHERE && !search_is_dead(s->parts[i].dead, doc)) {
            *ret_place = (place){i, doc};
            return true;
        }
    }
    return false;
}

static void remove_fresh(search *s, size_t at)
{
    s->fresh_bytes -= s->fresh[at].rec->name_n;
    mem_free(s->fresh[at].rec);
    s->n_fresh--;
    memmove(s->fresh + at, s->fresh + at + 1, (s->n_fresh - at) * sizeof(*s->fresh));
    memmove(s->fresh_hash + at, s->fresh_hash + at + 1, (s->n_fresh - at) * sizeof(*s->fresh_hash));
    drop_tail(s);
}

/* There is room. */
static void insert_fresh(search *s, search_entry e)
{
    size_t low = 0, high = s->n_fresh;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (search_entry_cmp(&s->fresh[mid], &e) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    memmove(s->fresh + low + 1, s->fresh + low, (s->n_fresh - low) * sizeof(*s->fresh));
    memmove(s->fresh_hash + low + 1, s->fresh_hash + low, (s->n_fresh - low) * sizeof(*s->fresh_hash));
    s->fresh[low] = e;
    s->fresh_hash[low] = e.rec->id_hash;
    s->fresh_bytes += e.rec->name_n;
    s->n_fresh++;
    drop_tail(s);
}

static int kill_at(search *s, place at)
{
    if (at.part < s->n_parts)
        return search_part_kill(&s->parts[at.part], at.doc);
    remove_fresh(s, at.doc);
    return 0;
}

/* Room for one more id, so that writing it can't fail. */
static int journal_reserve(search *s)
{
    if (!s->build || buf_reserve(&s->build->journal, 1 + SEARCH_ID_MAX))
        return 0;
    int r = s->build->journal.err;
    s->build->journal.err = 0;
    return r;
}

static void journal_write(search *s, str id)
{
    if (!s->build)
        return;
    buf_char(&s->build->journal, (char)(uint8_t)id.n);
    buf_str(&s->build->journal, id);
}

static bool is_the_same(const search *s, place at, const search_record *r)
{
    if (at.part == s->n_parts) {
        const search_record *old = s->fresh[at.doc].rec;
        return str_eq(search_record_name(old), search_record_name(r)) && old->updated_ms == r->updated_ms &&
               old->project == r->project && old->type == r->type;
    }
    const search_segment *g = s->parts[at.part].seg;
    const search_row *row = &g->rows[at.doc];
    return str_eq(search_segment_doc_name(g, at.doc), search_record_name(r)) &&
           row->updated_ms == r->updated_ms && row->project == r->project && g->type[at.doc] == r->type;
}

int search_put(search *s, const search_doc *doc)
{
    if (!is_valid(doc))
        return -EINVAL;
    int r = s->n_fresh == FRESH_MAX || s->fresh_bytes >= FRESH_BYTES ? flush(s) : 0;
    if (r == 0)
        r = journal_reserve(s);
    if (r < 0)
        return r;
    search_record *rec = mem_alloc(search_record_size(doc));
    if (!rec)
        return -ENOMEM;
    search_entry e = search_record_init(rec, doc, siphash24(&s->key, doc->id.p, doc->id.n));
    place old;
    bool known = locate(s, rec->id_hash, doc->id, &old);
    if (known)
        r = is_the_same(s, old, rec) ? -EALREADY : kill_at(s, old);
    if (r < 0) {
        mem_free(rec);
        return r == -EALREADY ? 0 : r;
    }
    insert_fresh(s, e);
    journal_write(s, doc->id);
    return 0;
}

int search_remove(search *s, str id)
{
    if (id.n == 0 || id.n > SEARCH_ID_MAX)
        return -ENOENT;
    place old;
    bool known = locate(s, siphash24(&s->key, id.p, id.n), id, &old);
    int r = journal_reserve(s);
    if (r == 0 && known)
        r = kill_at(s, old);
    if (r < 0)
        return r;
    journal_write(s, id);
    return known ? 0 : -ENOENT;
}

/* ---- queries ---- */
int search_find(search *s, const search_query *q, arena *a, search_page *ret_page)
{
    int r = make_tail(s);
    return r < 0 ? r : search_parts_find(s->parts, s->n_parts, s->tail, q, SEARCH_LOOP_NS, a, ret_page);
}

search_view *search_view_new(search *s)
{
    if (make_tail(s) < 0)
        return NULL;
    search_view *v = mem_alloc(sizeof(*v) + (s->n_parts + 1) * sizeof(v->parts[0]));
    if (!v)
        return NULL;
    v->n = 0;
    for (size_t i = 0; i < s->n_parts; i++)
        v->parts[v->n++] = search_part_ref(s->parts[i]);
    if (s->tail)
        v->parts[v->n++] = (search_part){.seg = search_segment_ref(s->tail)};
    return v;
}

int search_view_find(const search_view *v, const search_query *q, arena *a, search_page *ret_page)
{
    return search_parts_find(v->parts, v->n, NULL, q, INT64_MAX, a, ret_page);
}

void search_view_free(search_view *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < v->n; i++)
        search_part_unref(&v->parts[i]);
    mem_free(v);
}

static uint64_t live_docs(search_part p)
{
    return p.seg->n_docs - (p.dead ? p.dead->n : 0);
}

search_stats search_measure(const search *s)
{
    search_stats stats = {.docs = s->n_fresh, .segments = s->n_parts + (s->n_fresh > 0), .bytes = sizeof(*s)};
    for (size_t i = 0; i < s->n_parts; i++) {
        stats.docs += live_docs(s->parts[i]);
        stats.bytes +=
            search_segment_bytes(s->parts[i].seg) + (s->parts[i].dead ? s->parts[i].seg->n_docs / 8 : 0);
    }
    return stats;
}

/* ---- builds ---- */
static int build_new(search *s, search_build **ret_build)
{
    search_build *b = s->build ? NULL : mem_new(search_build);
    if (!b)
        return s->build ? -EBUSY : -ENOMEM;
    b->s = s;
    s->build = b;
    arena_init(&b->records, 0);
    *ret_build = b;
    return 0;
}

int search_load_begin(search *s, search_build **ret_build)
{
    if (s->n_parts > 0 || s->n_fresh > 0)
        return -EBUSY;
    int r = build_new(s, ret_build);
    if (r == 0)
        (*ret_build)->loads = true;
    return r;
}

int search_load_add(search_build *b, const search_doc *doc)
{
    if (!is_valid(doc))
        return -EINVAL;
    if (b->n_entries == b->entries_cap) {
        size_t cap = b->entries_cap ? b->entries_cap * 2 : 1024;
        search_entry *entries = mem_realloc(b->entries, cap * sizeof(*entries));
        if (!entries)
            return -ENOMEM;
        b->entries = entries;
        b->entries_cap = cap;
    }
    search_record *rec = arena_alloc(&b->records, search_record_size(doc));
    if (!rec)
        return -ENOMEM;
    b->entries[b->n_entries++] = search_record_init(rec, doc, siphash24(&b->s->key, doc->id.p, doc->id.n));
    return 0;
}

/* The oldest part that is too small for what stands behind it and its own removed documents; n_parts for
 * none. */
static size_t merge_from(const search *s)
{
    uint64_t behind = 0;
    size_t from = s->n_parts;
    for (size_t i = s->n_parts; i-- > 0;) {
        uint64_t docs = s->parts[i].seg->n_docs;
        uint64_t gain = behind + docs - live_docs(s->parts[i]);
        if (gain >= FRESH_MAX && docs < MERGE_RATIO * gain)
            from = i;
        behind += docs;
    }
    return from;
}

int search_merge_begin(search *s, search_build **ret_build)
{
    size_t first = merge_from(s), n = s->n_parts - first;
    if (s->build)
        return -EBUSY;
    if (n == 0)
        return -ENOENT;
    search_part *in = mem_alloc(n * sizeof(*in));
    int r = in ? build_new(s, ret_build) : -ENOMEM;
    if (r < 0) {
        mem_free(in);
        return r;
    }
    for (size_t i = 0; i < n; i++)
        in[i] = search_part_ref(s->parts[first + i]);
    (*ret_build)->in = in;
    (*ret_build)->first = first;
    (*ret_build)->n_in = n;
    return 0;
}

static void drop_entries(search_build *b)
{
    mem_free(b->entries);
    b->entries = NULL;
    b->n_entries = b->entries_cap = 0;
    arena_done(&b->records);
}

int search_build_run(search_build *b)
{
    if (!b->loads)
        return search_segment_merge(&b->s->key, b->in, b->n_in, &b->result.seg);
    int r = search_sort(b->entries, b->n_entries);
    if (r == 0)
        r = search_segment_build(b->entries, b->n_entries, &b->result.seg);
    drop_entries(b);
    return r;
}

/* Kills in the result what the journal names next. */
static int carry_over(search_build *b)
{
    const char *at = b->journal.p + b->carried;
    str id = str_of(at + 1, (uint8_t)*at);
    uint32_t doc = search_segment_find(b->result.seg, siphash24(&b->s->key, id.p, id.n), id);
    int r = doc == NOWHERE ? 0 : search_part_kill(&b->result, doc);
    if (r == 0)
        b->carried += 1 + id.n;
    return r;
}

int search_build_end(search_build *b)
{
    REQUIRE(b->result.seg);
    search *s = b->s;
    int r = reserve_part(s);
    for (int step = 0; r == 0 && b->carried < b->journal.n; step++)
        r = step < SEARCH_END_STEPS ? carry_over(b) : -EAGAIN;
    if (r < 0)
        return r;
    replace_parts(s, b->first, b->n_in, b->result);
    b->result = (search_part){0};
    s->build = NULL;
    b->s = NULL;
    return 0;
}

void search_build_free(search_build *b)
{
    if (!b)
        return;
    if (b->s)
        b->s->build = NULL;
    search_part_unref(&b->result);
    for (size_t i = 0; i < b->n_in; i++)
        search_part_unref(&b->in[i]);
    mem_free(b->in);
    drop_entries(b);
    buf_done(&b->journal);
    mem_free(b);
}
