/* recache_queue: what is to be rendered, and what was given up.
 *
 * Words
 *   entry        one page to be rendered: host, URL, dimension; one for each, whatever was asked how often
 *   priority     high, normal, autorecache; a higher one takes an entry over from a lower one
 *   due          when it may be rendered at the earliest; entries of a priority are taken in this order
 *   lane         each priority has two: pages that are rendered, and those of the bypass, that are fetched. Neither
 *                waits for the other: not where all tabs are in use, and not where an origin doesn't answer
 *   dead letter  an entry that was given up, with the reason; one for each (host, URL, dimension). Beyond the option
 *                max_dead_letters, of a host, the oldest make room, which is counted and logged
 *
 * An entry stays in the queue until its page is stored, in the same transaction, or until it becomes a dead letter:
 * what is being rendered is known in memory only, so that after a crash it is simply due again.
 *
 * Record of the queue: key (host, lane, due, hash, dimension), which is the order of work. A request's entries are
 * written in that order, side by side. The writer finds an entry by (host, hash, dimension), which is unique, in
 * memory: 50 MB for a million. Tallies count by (host, lane), and what was tried before by host. */
#ifndef LARDER_RECACHE_QUEUE_H
#define LARDER_RECACHE_QUEUE_H

#include "larder/recache_hosts.h"
#include "larder/schema.h"
#include "larder/store.h"

#define RECACHE_PRIORITIES 3
typedef enum recache_priority { RECACHE_HIGH, RECACHE_NORMAL, RECACHE_AUTO } recache_priority;
str recache_priority_name(recache_priority p); /* high, normal, autorecache */
int recache_priority_parse(str text, recache_priority *ret_priority); /* -EINVAL */

extern keyspace recache_queue_ks, recache_dead_ks;
enum { RECACHE_DEAD_BY_TIME };

typedef struct recache_entry {
    uint32_t host;
    recache_priority priority;
    int64_t due; /* wall ms */
    uint64_t hash;
    uint16_t dimension;
    unsigned attempts; /* that have failed */
    int64_t queued_at; /* wall ms */
    str url;           /* normalised */
} recache_entry;

#define RECACHE_DEAD_FIELDS(X, S) \
    X(S, i64,  host_id,      REQUIRED, 0, 0, NONE, "host") \
    X(S, str,  url,          REQUIRED, 0, 0, NONE, "normalised URL") \
    X(S, i64,  dimension_id, REQUIRED, 0, 0, NONE, "dimension") \
    X(S, choice, priority,   REQUIRED, 0, 0, CHOICES("high|normal|autorecache"), "queue it was in") \
    X(S, i64,  attempts,     REQUIRED, 0, 0, NONE, "how often it was tried") \
    X(S, str,  reason,       REQUIRED, 0, 0, NONE, "why it was given up: a word") \
    X(S, str,  detail,       NULLABLE, 0, 0, NONE, "what the last attempt said") \
    X(S, time, queued_at,    REQUIRED, 0, 0, NONE, "when it was queued") \
    X(S, time, died_at,      REQUIRED, 0, 0, NONE, "when it was given up")
SCHEMA_STRUCT(recache_dead, RECACHE_DEAD_FIELDS);

typedef struct recache_counts {
    int64_t total, due;
} recache_counts;
/* Of one host, by priority. Counting what is due touches as many rows as are due, or as are not, whichever are
 * fewer: for a job, where that may be more than about 2,000. -EIO, -ENOMEM. */
int recache_queue_counts(store_view *v, uint32_t host, int64_t now, recache_counts out[RECACHE_PRIORITIES]);
/* The totals alone: cheap. */
void recache_queue_totals(store_view *v, uint32_t host, int64_t out[RECACHE_PRIORITIES]);
int64_t recache_queue_tried(store_view *v, uint32_t host); /* entries with an attempt that has failed */
/* The totals of all these hosts together. -EIO, -ENOMEM. */
int recache_queue_totals_of(store_view *v, const recache_host *hosts, size_t n, int64_t out[RECACHE_PRIORITIES]);

typedef struct recache_queue_page {
    const recache_entry *items; /* texts and list in the arena */
    size_t n;
    str cursor; /* opaque, printable; null: that was all */
} recache_queue_page;
/* In the order of work. `priorities`: a bit each; `cursor` null: from the beginning. -EINVAL: no cursor of ours. */
int recache_queue_list(store_view *v, arena *a, uint32_t host, unsigned priorities, str cursor, size_t limit,
                       recache_queue_page *ret_page);

typedef struct recache_dead_page {
    const recache_dead *items;
    size_t n;
    str cursor; /* null: that was all */
} recache_dead_page;
int64_t recache_dead_count(store_view *v, uint32_t host);
/* The newest first. -EINVAL: no cursor of ours. */
int recache_dead_list(store_view *v, arena *a, uint32_t host, str cursor, size_t limit, recache_dead_page *ret_page);

#endif
