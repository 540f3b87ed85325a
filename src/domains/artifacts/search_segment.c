/* Making segments, and looking ids up in them.
 *
 * Documents are added in order, coming from sorted records or from the heads of older segments; then the
 * lists are made, and the table over ids. */
#include "search_segment.h"

/* ---- adding documents ---- */
typedef struct builder {
    search_segment *g;
    buf text, ids;
    str last; /* the last name added, within `text` */
} builder;

static int builder_init(builder *b, size_t docs, size_t names, size_t text_bytes, size_t id_bytes)
{
    *b = (builder){.text.max = TEXT_MAX, .ids.max = UINT32_MAX};
    if (docs > DOCS_MAX)
        return -EFBIG;
    search_segment *g = b->g = mem_new(search_segment);
    if (!g)
        return -ENOMEM;
    atomic_init(&g->refs, 1);
    g->names = mem_alloc((names + 1) * sizeof(*g->names));
    g->rows = mem_alloc((docs + 1) * sizeof(*g->rows));
    g->type = mem_alloc(docs);
    if (!g->names || !g->rows || !g->type)
        return -ENOMEM;
    buf_reserve(&b->text, text_bytes < TEXT_MAX / 2 ? text_bytes + TEXT_PAD : TEXT_MAX / 2);
    buf_reserve(&b->ids, id_bytes);
    return b->text.err != 0 ? b->text.err : b->ids.err;
}

static void builder_done(builder *b)
{
    buf_done(&b->text);
    buf_done(&b->ids);
    search_segment_unref(b->g);
}

static void add_name(builder *b, str name, str folded)
{
    search_segment *g = b->g;
    uint32_t at = (uint32_t)b->text.n;
    bool folds = !str_eq(name, folded);
    g->names[g->n_names++] = (search_name){at | (folds ? NAME_FOLDS : 0), g->n_docs};
    if (folds) {
        uint16_t n = (uint16_t)name.n;
        buf_put(&b->text, &n, sizeof(n));
        at += (uint32_t)sizeof(n);
    }
    buf_str(&b->text, name);
    if (folds)
        buf_str(&b->text, folded);
    if (b->text.err == 0)
        b->last = str_of(b->text.p + at, name.n);
}

/* After an error in a buf the rest is harmless; builder_end reports it. */
static void builder_add(builder *b, const search_doc *doc, str folded)
{
    search_segment *g = b->g;
    if (b->text.err != 0)
        return;
    if (g->n_names == 0 || !str_eq(doc->name, b->last))
        add_name(b, doc->name, folded);
    g->rows[g->n_docs] = (search_row){doc->updated_ms, (uint32_t)b->ids.n, doc->project};
    g->type[g->n_docs] = doc->type;
    g->n_docs++;
    buf_str(&b->ids, doc->id);
}

/* ---- ids ---- */
static uint32_t first_slot(const search_segment *g, uint64_t id_hash)
{
    return (uint32_t)((id_hash >> 32) * g->n_slots >> 32);
}

uint32_t search_segment_find(const search_segment *g, uint64_t id_hash, str id)
{
    for (uint32_t i = first_slot(g, id_hash); g->slots[i] != 0; i = i + 1 < g->n_slots ? i + 1 : 0)
        if (str_eq(search_segment_id(g, g->slots[i] - 1), id))
            return g->slots[i] - 1;
    return NOWHERE;
}

static int add_id(search_segment *g, uint64_t id_hash, uint32_t doc)
{
    str id = search_segment_id(g, doc);
    uint32_t i = first_slot(g, id_hash);
    for (; g->slots[i] != 0; i = i + 1 < g->n_slots ? i + 1 : 0)
        if (str_eq(search_segment_id(g, g->slots[i] - 1), id))
            return -EEXIST;
    g->slots[i] = doc + 1;
    return 0;
}

str search_segment_doc_name(const search_segment *g, uint32_t doc)
{
    uint32_t low = 0, high = g->n_names - 1; /* the name is within both */
    while (low < high) {
        uint32_t mid = low + (high - low + 1) / 2;
        if (g->names[mid].doc_at <= doc)
            low = mid;
        else
            high = mid - 1;
    }
    return search_segment_name(g, low);
}

/* ---- finishing ---- */
/* Gives back what was reserved too generously; a failure to shrink changes nothing. */
static void shrink(void *array, size_t bytes)
{
    void **p = array;
    void *smaller = mem_realloc(*p, bytes);
    if (smaller)
        *p = smaller;
}

/* All but the ids' table, which the caller fills. */
static int builder_end(builder *b)
{
    search_segment *g = b->g;
    uint32_t text_n = (uint32_t)b->text.n;
    buf_put(&b->text, (const char[TEXT_PAD]){0}, TEXT_PAD);
    int r = b->text.err != 0 ? b->text.err : b->ids.err;
    if (r < 0)
        return r;
    g->names[g->n_names] = (search_name){text_n, g->n_docs};
    g->rows[g->n_docs] = (search_row){.id_at = (uint32_t)b->ids.n};
    g->text = b->text.p;
    g->ids = b->ids.p;
    size_t id_bytes = b->ids.n;
    b->text = b->ids = BUF_INIT;
    shrink(&g->text, text_n + TEXT_PAD);
    shrink(&g->ids, id_bytes);
    shrink(&g->names, (g->n_names + 1) * sizeof(*g->names));
    shrink(&g->rows, (g->n_docs + 1) * sizeof(*g->rows));
    shrink(&g->type, g->n_docs);
    g->n_slots = g->n_docs + g->n_docs / 3 + 1;
    g->slots = mem_zalloc(g->n_slots * sizeof(*g->slots));
    return g->slots ? search_lists_make(g) : -ENOMEM;
}

int search_segment_build(const search_entry *sorted, size_t n, search_segment **ret_seg)
{
    size_t text_bytes = 0, id_bytes = 0;
    for (size_t i = 0; i < n; i++) {
        text_bytes += sorted[i].rec->name_n;
        id_bytes += sorted[i].rec->id_n;
    }
    builder b;
    buf folded = BUF_INIT;
    int r = builder_init(&b, n, n, text_bytes, id_bytes);
    for (size_t i = 0; r == 0 && i < n; i++) {
        const search_record *rec = sorted[i].rec;
        search_doc doc = {search_record_id(rec), search_record_name(rec), rec->updated_ms, rec->project,
                          rec->type};
        str text = str_fold(doc.name, &folded);
        r = folded.err;
        if (r == 0)
            builder_add(&b, &doc, text);
    }
    if (r == 0)
        r = builder_end(&b);
    for (uint32_t i = 0; r == 0 && i < n; i++)
        r = add_id(b.g, sorted[i].rec->id_hash, i);
    buf_done(&folded);
    if (r == 0) {
        *ret_seg = b.g;
        b.g = NULL;
    }
    builder_done(&b);
    return r;
}

/* ---- merging ---- */
typedef struct merge_input {
    const search_segment *seg;
    const search_dead *dead;
    uint32_t doc, name;
} merge_input;

/* Moves on to the first live document at or after `doc`; false at the end. */
static bool settle(merge_input *in)
{
    while (in->doc < in->seg->n_docs && search_is_dead(in->dead, in->doc))
        in->doc++;
    if (in->doc >= in->seg->n_docs)
        return false;
    while (in->doc >= in->seg->names[in->name + 1].doc_at)
        in->name++;
    return true;
}

static int input_cmp(const merge_input *a, const merge_input *b)
{
    int c = str_cmp(search_segment_name(a->seg, a->name), search_segment_name(b->seg, b->name));
    return c != 0 ? c : str_cmp(search_segment_id(a->seg, a->doc), search_segment_id(b->seg, b->doc));
}

/* All inputs are settled. */
static void merge_all(builder *b, merge_input *in, size_t n)
{
    while (n > 0) {
        size_t first = 0;
        for (size_t i = 1; i < n; i++)
            if (input_cmp(&in[i], &in[first]) < 0)
                first = i;
        const search_segment *g = in[first].seg;
        uint32_t name = in[first].name, doc = in[first].doc++;
        search_doc moved = {
            .id = search_segment_id(g, doc),
            .name = search_segment_name(g, name),
            .updated_ms = g->rows[doc].updated_ms,
            .project = g->rows[doc].project,
            .type = g->type[doc],
        };
        builder_add(b, &moved, search_segment_folded(g, name));
        if (!settle(&in[first]))
            in[first] = in[--n];
    }
}

int search_segment_merge(const siphash_key *key, const search_part *parts, size_t n, search_segment **ret_seg)
{
    size_t docs = 0, names = 0, text_bytes = 0, id_bytes = 0;
    size_t n_in = 0;
    merge_input *in = mem_alloc(n * sizeof(*in));
    if (!in)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const search_segment *g = parts[i].seg;
        in[n_in] = (merge_input){g, parts[i].dead, 0, 0};
        n_in += settle(&in[n_in]);
        docs += g->n_docs - (parts[i].dead ? parts[i].dead->n : 0);
        names += g->n_names;
        text_bytes += g->names[g->n_names].text_at;
        id_bytes += g->rows[g->n_docs].id_at;
    }
    builder b;
    int r = builder_init(&b, docs, names < docs ? names : docs, text_bytes, id_bytes);
    if (r == 0) {
        merge_all(&b, in, n_in);
        r = builder_end(&b);
    }
    mem_free(in);
    for (uint32_t i = 0; r == 0 && i < b.g->n_docs; i++) {
        str id = search_segment_id(b.g, i);
        r = add_id(b.g, siphash24(key, id.p, id.n), i);
    }
    if (r == 0) {
        *ret_seg = b.g;
        b.g = NULL;
    }
    builder_done(&b);
    return r;
}
