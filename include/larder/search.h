/* search: finds artifacts by a piece of their name. An index in memory over millions of names; it owns
 * copies of what it is given and knows no store: who owns the records feeds it, and feeds it again after a
 * restart.
 *
 * Words
 *   document  one artifact: id, name, type number, project number, time of its last change
 *   folded    a text as matching sees it: Unicode case folding, code point by code point; no character is a
 *             wildcard
 *   score     100 when the folded name is the folded text, 80 when it starts with it, 60 when it contains it
 *   segment   an immutable index over documents in order of (name, id); shared and counted, never changed
 *   fresh     the newest documents, at most 256: the first query after a change makes a segment of them, for
 *             the moment
 *   view      the index as it was at one moment, for queries on another thread
 *   build     work for another thread that makes one segment: of loaded documents, or of older segments
 *
 * Threads. All functions belong to one thread (the loop), but search_view_find, search_view_free,
 * search_load_add, search_build_run and, after the end, search_build_free: these may run on any thread, one
 * at a time per build; a view may be asked by several at once.
 *
 * A query on the loop: search_find answers in microseconds, or says -E2BIG when it could take longer than
 * SEARCH_LOOP_NS; then take a view, call search_view_find on a worker with an arena of its own, and free
 * the view.
 *
 * At start: search_load_begin, then open the read scope; on a worker search_load_add for each record, and
 * search_build_run; on the loop search_build_end. Puts and removals that come meanwhile win over what is
 * loaded. After puts and removals: search_merge_begin; when it gives a build, search_build_run on a worker,
 * then search_build_end on the loop. Without merges nothing is wrong, only slower and larger from change to
 * change. */
#ifndef LARDER_SEARCH_H
#define LARDER_SEARCH_H

#include "larder/base.h"

#define SEARCH_ID_MAX 255     /* bytes */
#define SEARCH_NAME_MAX 4096  /* bytes */
#define SEARCH_TYPES 64       /* type numbers are below it */
#define SEARCH_LOOP_NS 300000 /* what search_find may take, by its own cautious estimate */
#define SEARCH_END_STEPS 256  /* changes that one search_build_end carries over */

typedef struct search search;
typedef struct search_view search_view;
typedef struct search_build search_build;

typedef struct search_doc {
    str id;   /* 1..SEARCH_ID_MAX bytes, unique */
    str name; /* 1..SEARCH_NAME_MAX bytes; what isn't valid UTF-8 in it matches byte by byte */
    int64_t updated_ms;
    uint64_t project; /* search_project_number; 0 for none */
    uint8_t type;     /* below SEARCH_TYPES; SEARCH_BY_TYPE lists by this number */
} search_doc;

/* A project's number, from its id: never 0. Who takes the trouble to make two ids with one number finds their artifacts
 * together. */
uint64_t search_project_number(str project_id);

search *search_new(void);    /* NULL: out of memory */
void search_free(search *s); /* after its build is freed; views live on */

/* Adds the document, or replaces the one of the same id; the next query sees it. About 3 us, and 0.2 ms
 * each time that 256 have gathered and become a segment: a caller with thousands of them spreads them over
 * turns of the loop. -EINVAL (a limit above), -ENOMEM; the index is unchanged then. */
int search_put(search *s, const search_doc *doc);
/* -ENOENT when there is none (during a load it is remembered all the same), -ENOMEM; unchanged then. */
int search_remove(search *s, str id);

/* ---- asking ---- */
typedef enum search_order {
    SEARCH_BY_RELEVANCE, /* score falling, name, id */
    SEARCH_BY_NAME,      /* name, id: the names as they are, by bytes, which is code-point order */
    SEARCH_BY_TYPE,      /* type, name, id */
    SEARCH_BY_UPDATED,   /* newest first, name, id */
} search_order;
typedef struct search_hit {
    str id, name;
    int64_t updated_ms;
    uint64_t project;
    uint8_t type, score;
} search_hit;
typedef struct search_query {
    str text;         /* at least one byte */
    uint64_t types;   /* bit t: type t is wanted; 0 for all */
    uint64_t project; /* 0 for all */
    search_order order;
    uint64_t skip;
    /* Instead of skip: what comes behind this place, whether or not that document is still there. Looked at are what
     * `order` sorts by, the name and the id. NULL: none. */
    const search_hit *after;
    size_t limit;
} search_query;
typedef struct search_page {
    const search_hit *hits; /* in the caller's arena, texts too */
    size_t n;
    uint64_t total; /* of all that match, exact */
    bool more;      /* some of them come behind the page */
} search_page;
/* -E2BIG: too much for the loop, ask a view. -EINVAL: empty text. -ENOMEM. The first query after a change
 * takes up to 0.2 ms longer. */
int search_find(search *s, const search_query *q, arena *a, search_page *ret_page);

search_view *search_view_new(search *s); /* NULL: out of memory */
/* As search_find, but never -E2BIG. */
int search_view_find(const search_view *v, const search_query *q, arena *a, search_page *ret_page);
/* On the worker that used it, as it may be the last to hold old segments. NULL is fine. */
void search_view_free(search_view *v);

/* ---- builds: one at a time ---- */
/* The index must be empty. -EBUSY when it isn't or a build is under way, -ENOMEM. */
int search_load_begin(search *s, search_build **ret_build);
/* In any order, that of (name, id) being the fastest. -EINVAL, -ENOMEM. */
int search_load_add(search_build *b, const search_doc *doc);
/* -ENOENT when there is nothing worth merging, -EBUSY while a build is under way, -ENOMEM. */
int search_merge_begin(search *s, search_build **ret_build);
/* The work: one to two seconds per million documents. -ENOMEM; -EFBIG past 2 GiB of names; -EEXIST when an
 * id was loaded twice. After an error only search_build_free is left to call. */
int search_build_run(search_build *b);
/* Puts the result into the index. -EAGAIN: so much has changed meanwhile that carrying it over takes
 * another turn of the loop; call again then. -ENOMEM: nothing lost, may be called again. */
int search_build_end(search_build *b);
/* NULL is fine. Instead of or after search_build_end. After it, on a worker: what a merge made superfluous
 * is freed here, which takes milliseconds. */
void search_build_free(search_build *b);

typedef struct search_stats {
    uint64_t docs;   /* that queries can find */
    uint64_t bytes;  /* of memory, roughly */
    size_t segments; /* each adds to the cost of a query */
} search_stats;
search_stats search_measure(const search *s);

#endif
