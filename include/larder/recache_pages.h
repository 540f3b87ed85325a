/* recache_pages: the stored pages: a record here, the HTML in a file.
 *
 * A page is fresh until expires_at, stale until gone_at, then it is forgotten. Its file lies under pages_dir at
 * <2 hex digits>/<hash>-<host>-<dimension>-<version>.html.gz, compressed with gzip, so that nginx sends it as it is
 * (gzip_static always); it is complete and durable before the record names it, and never changes. Redirects and
 * other answers without a body have no file. Files that no record names are deleted by a sweeper some minutes
 * later. */
#ifndef LARDER_RECACHE_PAGES_H
#define LARDER_RECACHE_PAGES_H

#include "larder/schema.h"
#include "larder/store.h"

extern keyspace recache_pages_ks;
enum { RECACHE_PAGES_BY_GONE, RECACHE_PAGES_BY_ACCESS }; /* access: or, when that is later, when this copy was made */

/* stored as it is: append fields, never move them */
#define RECACHE_PAGE_FIELDS(X, S) \
    X(S, i64,  host_id,      REQUIRED, 0, 0, NONE, "host") \
    X(S, i64,  dimension_id, REQUIRED, 0, 0, NONE, "dimension") \
    X(S, str,  url,          REQUIRED, 0, 0, NONE, "normalised URL") \
    X(S, time, created_at,   REQUIRED, 0, 0, NONE, "when this copy was made") \
    X(S, time, expires_at,   REQUIRED, 0, 0, NONE, "until then it is fresh") \
    X(S, time, gone_at,      REQUIRED, 0, 0, NONE, "until then it is stale, and may be served") \
    X(S, i64,  status_code,  REQUIRED, 0, 0, NONE, "the page's HTTP status") \
    X(S, choice, source,     REQUIRED, 0, 0, CHOICES("render|bypass"), "how it was made") \
    X(S, bool, is_partial,   REQUIRED, 0, 0, NONE, "the page had not finished loading") \
    X(S, i64,  size,         REQUIRED, 0, 0, NONE, "bytes of HTML") \
    X(S, i64,  disk_size,    REQUIRED, 0, 0, NONE, "bytes of its file") \
    X(S, str,  file,         NULLABLE, 0, 0, NONE, "under pages_dir, without .gz") \
    X(S, str,  etag,         NULLABLE, 0, 0, NONE, "32 hex digits of the HTML's SHA-256") \
    X(S, str,  content_type, NULLABLE, 0, 0, NONE, "as the origin said, of a page that was fetched") \
    X(S, str,  location,     NULLABLE, 0, 0, NONE, "of a redirect") \
    X(S, pairs, headers,     NULLABLE, 0, 0, NONE, "others of the origin that are kept") \
    X(S, str,  title,        NULLABLE, 0, 0, NONE, "title") \
    X(S, i64,  index_status, REQUIRED, 0, 0, NONE, "1 indexable, 2 not 200, 3 blocked, 4 not canonical, 0 unknown") \
    X(S, str,  request_id,   NULLABLE, 0, 0, NONE, "of the rendering") \
    X(S, time, last_access,  REQUIRED, 0, 0, NONE, "to the minute") \
    X(S, time, last_bot_hit, NULLABLE, 0, 0, NONE, "since this copy was made")
SCHEMA_STRUCT(recache_page, RECACHE_PAGE_FIELDS);

typedef enum recache_page_state { RECACHE_PAGE_MISS, RECACHE_PAGE_FRESH, RECACHE_PAGE_STALE } recache_page_state;
recache_page_state recache_page_state_at(const recache_page *p, int64_t now);
str recache_page_state_name(recache_page_state s); /* miss, fresh, stale: for X-Cache */

/* Texts lie in the view. -ENOENT, -EPROTO, -EIO. */
int recache_page_load(store_view *v, arena *a, uint32_t host, uint16_t dimension, uint64_t hash,
                      recache_page *ret_page);

typedef struct recache_page_filter { /* all must match; max -1: none */
    bool fresh, stale, expired; /* none of the three: any */
    const uint16_t *dimensions;
    size_t n_dimensions; /* 0: any */
    str url_contains;    /* ASCII letters of any case; null: any */
    int64_t size_min, size_max;
    int64_t age_min, age_max; /* seconds since created_at */
    const int64_t *status_codes;
    size_t n_status_codes;
    bool render, bypass; /* neither: any */
    unsigned index_statuses; /* a bit each; 0: any */
} recache_page_filter;
#define RECACHE_PAGE_FILTER_ANY ((recache_page_filter){.size_max = -1, .age_max = -1})
typedef struct recache_page_list {
    const recache_page *items; /* in the arena, texts too */
    size_t n;
    str cursor; /* opaque, printable; null: that was all */
} recache_page_list;
/* Ordered by dimension, then hash. Looks at 2,000 records at most: a page may have less than `limit` items, or none,
 * and a cursor. -EINVAL: no cursor of ours. */
int recache_pages_list(store_view *v, arena *a, uint32_t host, const recache_page_filter *f, int64_t now, str cursor,
                       size_t limit, recache_page_list *ret_list);

typedef struct recache_page_summary {
    int64_t total, fresh, stale, expired, size, disk_size, render, bypass;
    struct {
        uint16_t id;
        int64_t n;
    } dimensions[64];
    size_t n_dimensions;
} recache_page_summary;
/* Reads all pages of the host, a million in less than a second: for a job. */
int recache_pages_summary(store_view *v, uint32_t host, int64_t now, recache_page_summary *ret_summary);

/* Path of the page's file below `pages_dir`; with .gz it is the file itself. Null: the page has none, or no memory. */
str recache_page_path(arena *a, str pages_dir, const recache_page *p, bool with_gz);

/* The page's file, unpacked when `plain`, else as it is: gzip. Blocks: for a job. -ENOENT: it is gone; -EPROTO: it is
 * damaged; -EFBIG, -EIO, -ENOMEM. */
int recache_page_read(arena *a, str pages_dir, const recache_page *p, bool plain, buf *ret_body);

#endif
