/* Documents on their way into a segment, and their order. */
#include "search_segment.h"

size_t search_record_size(const search_doc *doc)
{
    return sizeof(search_record) + doc->name.n + doc->id.n;
}

static uint64_t key_of(str name)
{
    uint8_t first[8] = {0};
    memcpy(first, name.p, name.n < sizeof(first) ? name.n : sizeof(first));
    uint64_t key = 0;
    for (size_t i = 0; i < sizeof(first); i++)
        key = key << 8 | first[i];
    return key;
}

search_entry search_record_init(search_record *r, const search_doc *doc, uint64_t id_hash)
{
    *r = (search_record){
        .id_hash = id_hash,
        .updated_ms = doc->updated_ms,
        .project = doc->project,
        .name_n = (uint16_t)doc->name.n,
        .id_n = (uint8_t)doc->id.n,
        .type = doc->type,
    };
    memcpy(r->text, doc->name.p, doc->name.n);
    memcpy(r->text + doc->name.n, doc->id.p, doc->id.n);
    return (search_entry){key_of(doc->name), r};
}

int search_entry_cmp(const search_entry *a, const search_entry *b)
{
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    int c = str_cmp(search_record_name(a->rec), search_record_name(b->rec));
    return c != 0 ? c : str_cmp(search_record_id(a->rec), search_record_id(b->rec));
}

/* Merges e[0..left) with e[left..n); `spare` has room for the left side. */
static void merge_runs(search_entry *e, size_t left, size_t n, search_entry *spare)
{
    if (search_entry_cmp(&e[left - 1], &e[left]) <= 0)
        return;
    memcpy(spare, e, left * sizeof(*e));
    size_t i = 0, j = left, out = 0;
    while (i < left)
        e[out++] = j < n && search_entry_cmp(&e[j], &spare[i]) < 0 ? e[j++] : spare[i++];
}

/* Merge sort, bottom up: entries that come in order cost two comparisons each, and no order makes it slow. */
int search_sort(search_entry *e, size_t n)
{
    search_entry *spare = mem_alloc(n * sizeof(*e));
    if (!spare)
        return -ENOMEM;
    for (size_t width = 1; width < n; width *= 2)
        for (size_t at = 0; at + width < n; at += 2 * width)
            merge_runs(e + at, width, n - at < 2 * width ? n - at : 2 * width, spare);
    mem_free(spare);
    return 0;
}
