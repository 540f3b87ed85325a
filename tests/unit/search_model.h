/* What the search index must answer, the slow and obvious way: an array of documents, folded by utf8proc as
 * a whole, matched by memmem, sorted by qsort. */
#ifndef LARDER_TESTS_SEARCH_MODEL_H
#define LARDER_TESTS_SEARCH_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "larder/search.h"
#include "unit.h"

#define MODEL_MAX 4096
#define MODEL_TEXT 120

typedef struct model_doc {
    char id[16], name[MODEL_TEXT], folded[3 * MODEL_TEXT]; /* `folded` is the model's own */
    int64_t updated_ms;
    uint64_t project;
    uint8_t type;
} model_doc;
typedef struct model {
    model_doc docs[MODEL_MAX];
    size_t n;
} model;
typedef struct model_hit {
    const model_doc *doc;
    uint8_t score;
} model_hit;

static inline search_doc model_to_doc(const model_doc *d)
{
    return (search_doc){str_c(d->id), str_c(d->name), d->updated_ms, d->project, d->type};
}

static inline model_doc *model_find(model *m, const char *id)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->docs[i].id, id) == 0)
            return &m->docs[i];
    return NULL;
}

static inline void model_remove(model *m, const char *id)
{
    model_doc *old = model_find(m, id);
    if (old)
        *old = m->docs[--m->n];
}

static inline void model_fold(const char *text, char out[3 * MODEL_TEXT])
{
    uint8_t *folded = NULL;
    utf8proc_ssize_t n =
        utf8proc_map((const uint8_t *)text, 0, &folded, UTF8PROC_NULLTERM | UTF8PROC_CASEFOLD);
    assert_true(n >= 0 && n < 3 * MODEL_TEXT);
    memcpy(out, folded, (size_t)n + 1);
    free(folded);
}

static inline void model_put(model *m, const model_doc *d)
{
    model_doc *old = model_find(m, d->id);
    assert_true(old || m->n < MODEL_MAX);
    model_doc *at = old ? old : &m->docs[m->n++];
    *at = *d;
    model_fold(at->name, at->folded);
}

static inline int model_score(const model_doc *d, const char *folded_text)
{
    const char *found = strstr(d->folded, folded_text);
    return !found ? 0 : found != d->folded ? 60 : strcmp(d->folded, folded_text) == 0 ? 100 : 80;
}

static search_order model_order;

static inline int model_hit_cmp(const void *pa, const void *pb)
{
    const model_hit *a = pa, *b = pb;
    int64_t c = 0;
    if (model_order == SEARCH_BY_RELEVANCE)
        c = b->score - a->score;
    else if (model_order == SEARCH_BY_TYPE)
        c = a->doc->type - b->doc->type;
    else if (model_order == SEARCH_BY_UPDATED)
        c = a->doc->updated_ms < b->doc->updated_ms ? 1 : a->doc->updated_ms > b->doc->updated_ms ? -1 : 0;
    if (c == 0)
        c = strcmp(a->doc->name, b->doc->name);
    if (c == 0)
        c = strcmp(a->doc->id, b->doc->id);
    return c < 0 ? -1 : c > 0;
}

/* All hits in order; how many. */
static inline size_t model_query(const model *m, const char *text, const search_query *q, model_hit *out)
{
    size_t n = 0;
    char folded[3 * MODEL_TEXT];
    model_fold(text, folded);
    for (size_t i = 0; i < m->n; i++) {
        const model_doc *d = &m->docs[i];
        int score = model_score(d, folded);
        if (score > 0 && (q->types == 0 || (q->types >> d->type & 1)) &&
            (q->project == 0 || q->project == d->project))
            out[n++] = (model_hit){d, (uint8_t)score};
    }
    model_order = q->order;
    qsort(out, n, sizeof(*out), model_hit_cmp);
    return n;
}

/* How many of the hits come before the page. */
static inline size_t model_first(const model_hit *hits, size_t n, const search_query *q)
{
    model_doc doc;
    size_t first = 0;

    if (!q->after)
        return q->skip < n ? (size_t)q->skip : n;
    doc = (model_doc){.updated_ms = q->after->updated_ms, .type = q->after->type};
    snprintf(doc.id, sizeof(doc.id), "%.*s", STR_ARG(q->after->id));
    snprintf(doc.name, sizeof(doc.name), "%.*s", STR_ARG(q->after->name));
    const model_hit place = {&doc, q->after->score};
    while (first < n && model_hit_cmp(&hits[first], &place) <= 0)
        first++;
    return first;
}

/* The page says what the model says. */
static inline void model_check_page(const model *m, const char *text, const search_query *q,
                                    const search_page *page)
{
    static model_hit hits[MODEL_MAX];
    size_t n = model_query(m, text, q, hits);
    size_t first = model_first(hits, n, q);
    size_t wanted = n - first < q->limit ? n - first : q->limit;
    if (page->total != n || page->n != wanted || page->more != (first + wanted < n))
        fail_msg("\"%s\" order %d types %llx project %llu: %llu found, %zu shown; should be %zu and %zu", text,
                 q->order, (unsigned long long)q->types, (unsigned long long)q->project,
                 (unsigned long long)page->total, page->n,
                 n, wanted);
    for (size_t i = 0; i < wanted; i++) {
        const model_hit *h = &hits[first + i];
        const search_hit *got = &page->hits[i];
        if (!str_eq(got->id, str_c(h->doc->id)) || !str_eq(got->name, str_c(h->doc->name)) ||
            got->score != h->score || got->type != h->doc->type || got->project != h->doc->project ||
            got->updated_ms != h->doc->updated_ms)
            fail_msg("\"%s\" order %d, hit %zu: %.*s \"%.*s\" %d; should be %s \"%s\" %d", text, q->order,
                     first + i, STR_ARG(got->id), STR_ARG(got->name), got->score, h->doc->id, h->doc->name,
                     h->score);
    }
}

#endif
