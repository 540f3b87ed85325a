/* What the files of the recache family share: the key, the envelope, and how a request is read. */
#ifndef LARDER_API_RECACHE_SHARED_H
#define LARDER_API_RECACHE_SHARED_H

#include "larder/api.h"
#include "larder/recache.h"

/* clang-format off */
/* Clients of two generations look at `status` or at `success`: every envelope has both. */
#define ENVELOPE_FIELDS(X, S, DATA) \
    X(S, bool, success, REQUIRED, 0, 0, NONE, "true") \
    X(S, str,  status,  REQUIRED, 0, 0, NONE, "ok") \
    X(S, object_of(DATA), data, REQUIRED, 0, 0, NONE, "what was asked for")

#define RECACHE_ERROR_FIELDS(X, S) \
    X(S, bool, success, REQUIRED, 0, 0, NONE, "false") \
    X(S, str,  status,  REQUIRED, 0, 0, NONE, "error") \
    X(S, str,  message, REQUIRED, 0, 0, NONE, "what is wrong, in words") \
    X(S, i64,  entries_done, OPTIONAL, 0, 0, NONE, "of a request that was cut off: what was done all the same")
SCHEMA_STRUCT(recache_error, RECACHE_ERROR_FIELDS);

#define RECACHE_REQUEST_FIELDS(X, S) \
    X(S, i64,  host_id,       REQUIRED, 0, 0, NONE, "host, as configured") \
    X(S, strs, urls,          REQUIRED, 1, RECACHE_URLS_MAX, NONE, "pages") \
    X(S, raw,  dimension_ids, OPTIONAL, 0, 0, NONE, "list of dimensions; none: all that are kept") \
    X(S, choice, priority,    REQUIRED, 0, 0, CHOICES("high|normal"), "queue")
SCHEMA_STRUCT(recache_request, RECACHE_REQUEST_FIELDS);

#define RECACHE_PAGES_REQUEST_FIELDS(X, S) \
    X(S, i64,  host_id,       REQUIRED, 0, 0, NONE, "host, as configured") \
    X(S, strs, urls,          REQUIRED, 1, 0, NONE, "pages") \
    X(S, raw,  dimension_ids, OPTIONAL, 0, 0, NONE, "list of dimensions; none: all that are kept")
SCHEMA_STRUCT(recache_pages_request, RECACHE_PAGES_REQUEST_FIELDS);

#define RECACHE_HOST_REQUEST_FIELDS(X, S) \
    X(S, i64,  host_id,       REQUIRED, 0, 0, NONE, "host, as configured") \
    X(S, raw,  dimension_ids, OPTIONAL, 0, 0, NONE, "list of dimensions; none: all")
SCHEMA_STRUCT(recache_host_request, RECACHE_HOST_REQUEST_FIELDS);

#define RECACHE_HIT_REQUEST_FIELDS(X, S) \
    X(S, i64,  host_id,       REQUIRED, 0, 0, NONE, "host, as configured") \
    X(S, str,  url,           REQUIRED, 1, 0, NONE, "page") \
    X(S, i64,  dimension_id,  OPTIONAL, 0, 0, NONE, "dimension that was served; none: bypass")
SCHEMA_STRUCT(recache_hit_request, RECACHE_HIT_REQUEST_FIELDS);

#define RECACHE_SITEMAP_REQUEST_FIELDS(X, S) \
    X(S, i64,  host_id,       REQUIRED, 0, 0, NONE, "host, as configured") \
    X(S, str,  url,           REQUIRED, 1, 0, NONE, "sitemap, or index of sitemaps") \
    X(S, raw,  dimension_ids, OPTIONAL, 0, 0, NONE, "list of dimensions; none: all that are kept") \
    X(S, choice, priority,    OPTIONAL, 0, 0, CHOICES("high|normal"), "queue; normal")
SCHEMA_STRUCT(recache_sitemap_request, RECACHE_SITEMAP_REQUEST_FIELDS);

#define RECACHE_RETRY_REQUEST_FIELDS(X, S) \
    X(S, i64,  host_id,       REQUIRED, 0, 0, NONE, "host, as configured") \
    X(S, strs, urls,          OPTIONAL, 1, 0, NONE, "pages; null: all dead letters of the host") \
    X(S, raw,  dimension_ids, OPTIONAL, 0, 0, NONE, "list of dimensions; none: all") \
    X(S, choice, priority,    OPTIONAL, 0, 0, CHOICES("high|normal"), "queue; normal")
SCHEMA_STRUCT(recache_retry_request, RECACHE_RETRY_REQUEST_FIELDS);

#define RENDER_REGISTRATION_FIELDS(X, S) \
    X(S, str, id,        REQUIRED, 0, 0, NONE, "name of the service") \
    X(S, str, address,   OPTIONAL, 0, 0, NONE, "where it listens; none, or 0.0.0.0: where it posts from") \
    X(S, i64, port,      REQUIRED, 0, 0, NONE, "and its port") \
    X(S, i64, capacity,  OPTIONAL, 0, 0, NONE, "tabs; none: 0") \
    X(S, i64, load,      OPTIONAL, 0, 0, NONE, "tabs in use")
SCHEMA_STRUCT(render_registration, RENDER_REGISTRATION_FIELDS);

#define RECACHE_REJECTED_FIELDS(X, S) \
    X(S, str, url,    REQUIRED, 0, 0, NONE, "as given") \
    X(S, str, reason, REQUIRED, 0, 0, NONE, "why it cannot be queued")
SCHEMA_STRUCT(recache_rejected_url, RECACHE_REJECTED_FIELDS);

#define RECACHE_ENQUEUED_FIELDS(X, S) \
    X(S, i64, host_id,              REQUIRED, 0, 0, NONE, "host") \
    X(S, i64, urls_count,           REQUIRED, 0, 0, NONE, "URLs given") \
    X(S, i64, dimension_ids_count,  REQUIRED, 0, 0, NONE, "dimensions they are rendered in") \
    X(S, i64, entries_enqueued,     REQUIRED, 0, 0, NONE, "entries asked for by URLs that could be parsed") \
    X(S, str, priority,             REQUIRED, 0, 0, NONE, "queue") \
    X(S, i64, entries_deduplicated, REQUIRED, 0, 0, NONE, "of these: queued before, or given twice") \
    X(S, i64, rejected_count,       REQUIRED, 0, 0, NONE, "URLs that cannot be queued") \
    X(S, rows_of(recache_rejected_url), rejected,   REQUIRED, 0, 0, NONE, "the first 100 of them")
SCHEMA_STRUCT(recache_enqueued, RECACHE_ENQUEUED_FIELDS);

#define RECACHE_INVALIDATED_FIELDS(X, S) \
    X(S, i64, host_id,             REQUIRED, 0, 0, NONE, "host") \
    X(S, i64, urls_count,          REQUIRED, 0, 0, NONE, "URLs given") \
    X(S, i64, dimension_ids_count, REQUIRED, 0, 0, NONE, "dimensions looked at") \
    X(S, i64, entries_invalidated, REQUIRED, 0, 0, NONE, "pages that were there and are gone")
SCHEMA_STRUCT(recache_invalidated, RECACHE_INVALIDATED_FIELDS);

#define RECACHE_ALL_INVALIDATED_FIELDS(X, S) \
    X(S, i64, host_id,             REQUIRED, 0, 0, NONE, "host") \
    X(S, i64, dimension_ids_count, REQUIRED, 0, 0, NONE, "dimensions looked at") \
    X(S, i64, entries_invalidated, REQUIRED, 0, 0, NONE, "pages that were there and are gone")
SCHEMA_STRUCT(recache_all_invalidated, RECACHE_ALL_INVALIDATED_FIELDS);

#define RECACHE_HIT_DONE_FIELDS(X, S) \
    X(S, i64,  host_id,      REQUIRED, 0, 0, NONE, "host") \
    X(S, i64,  dimension_id, REQUIRED, 0, 0, NONE, "dimension") \
    X(S, time, due_at,       NULLABLE, 0, 0, NONE, "when a new copy is due; null: none is asked for, or no page stored")
SCHEMA_STRUCT(recache_hit_done, RECACHE_HIT_DONE_FIELDS);

#define RECACHE_RETRIED_FIELDS(X, S) \
    X(S, i64, host_id,         REQUIRED, 0, 0, NONE, "host") \
    X(S, i64, entries_retried, REQUIRED, 0, 0, NONE, "dead letters that are queued again") \
    X(S, i64, rejected_count,  REQUIRED, 0, 0, NONE, "URLs that are none") \
    X(S, rows_of(recache_rejected_url), rejected, REQUIRED, 0, 0, NONE, "the first 100 of them")
SCHEMA_STRUCT(recache_retried, RECACHE_RETRIED_FIELDS);

#define ENQUEUED_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_enqueued)
SCHEMA_STRUCT(recache_enqueued_reply, ENQUEUED_REPLY_FIELDS);
#define INVALIDATED_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_invalidated)
SCHEMA_STRUCT(recache_invalidated_reply, INVALIDATED_REPLY_FIELDS);
#define ALL_INVALIDATED_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_all_invalidated)
SCHEMA_STRUCT(recache_all_invalidated_reply, ALL_INVALIDATED_REPLY_FIELDS);
#define HIT_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_hit_done)
SCHEMA_STRUCT(recache_hit_reply, HIT_REPLY_FIELDS);
#define RETRIED_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_retried)
SCHEMA_STRUCT(recache_retried_reply, RETRIED_REPLY_FIELDS);
#define RECACHE_MESSAGE_FIELDS(X, S) \
    X(S, bool, success, REQUIRED, 0, 0, NONE, "true") \
    X(S, str,  status,  REQUIRED, 0, 0, NONE, "ok") \
    X(S, str,  message, REQUIRED, 0, 0, NONE, "what was done")
SCHEMA_STRUCT(recache_message, RECACHE_MESSAGE_FIELDS);
#define RECACHE_URL_ITEM_FIELDS(X, S) \
    X(S, str, url,          REQUIRED, 0, 0, NONE, "normalised URL") \
    X(S, str, title,        REQUIRED, 0, 0, NONE, "of the page") \
    X(S, str, dimension,    REQUIRED, 0, 0, NONE, "its name; unknown when it is no longer configured") \
    X(S, str, status,       REQUIRED, 0, 0, NONE, "active, stale or expired") \
    X(S, i64, cache_age,    REQUIRED, 0, 0, NONE, "seconds") \
    X(S, i64, size,         REQUIRED, 0, 0, NONE, "bytes of HTML") \
    X(S, i64, disk_size,    REQUIRED, 0, 0, NONE, "bytes of its file") \
    X(S, i64, last_access,  REQUIRED, 0, 0, NONE, "Unix seconds, give or take a minute; not before created_at") \
    X(S, str, cache_key,    REQUIRED, 0, 0, NONE, "cache:host:dimension:hash") \
    X(S, i64, created_at,   REQUIRED, 0, 0, NONE, "Unix seconds") \
    X(S, i64, expires_at,   REQUIRED, 0, 0, NONE, "Unix seconds") \
    X(S, i64, status_code,  REQUIRED, 0, 0, NONE, "HTTP status of the page") \
    X(S, str, source,       REQUIRED, 0, 0, NONE, "render or bypass") \
    X(S, i64, index_status, REQUIRED, 0, 0, NONE, "1 indexable, 2 not 200, 3 blocked, 4 not canonical, 0 unknown") \
    X(S, unix_seconds, last_bot_hit, NULLABLE, 0, 0, NONE, "Unix seconds; null: none since this copy was made")
#define FIELD_C_unix_seconds str /* a number or null: written raw */
#define FIELD_KIND_unix_seconds FIELD_RAW
#define FIELD_SUB_unix_seconds NULL
SCHEMA_STRUCT(recache_url_item, RECACHE_URL_ITEM_FIELDS);
#define RECACHE_URL_LIST_FIELDS(X, S) \
    X(S, rows_of(recache_url_item), items, REQUIRED, 0, 0, NONE, "by dimension; few or none, and more may follow") \
    X(S, str,  cursor,   REQUIRED, 0, 0, NONE, "of the next page; 0: none follows") \
    X(S, bool, has_more, REQUIRED, 0, 0, NONE, "whether one follows")
SCHEMA_STRUCT(recache_url_list, RECACHE_URL_LIST_FIELDS);
#define URL_LIST_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_url_list)
SCHEMA_STRUCT(recache_url_list_reply, URL_LIST_REPLY_FIELDS);

#define RECACHE_SUMMARY_FIELDS(X, S) \
    X(S, i64, total_urls,    REQUIRED, 0, 0, NONE, "stored pages") \
    X(S, i64, active_count,  REQUIRED, 0, 0, NONE, "fresh ones") \
    X(S, i64, stale_count,   REQUIRED, 0, 0, NONE, "past their ttl, but still served") \
    X(S, i64, expired_count, REQUIRED, 0, 0, NONE, "no longer served") \
    X(S, i64, total_size,    REQUIRED, 0, 0, NONE, "bytes of HTML") \
    X(S, counts, by_dimension, REQUIRED, 0, 0, NONE, "pages by the dimension's name") \
    X(S, counts, by_source,  REQUIRED, 0, 0, NONE, "pages by how they were made")
SCHEMA_STRUCT(recache_summary, RECACHE_SUMMARY_FIELDS);
#define SUMMARY_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_summary)
SCHEMA_STRUCT(recache_summary_reply, SUMMARY_REPLY_FIELDS);

#define RECACHE_QUEUE_ITEM_FIELDS(X, S) \
    X(S, str, url,          REQUIRED, 0, 0, NONE, "normalised URL") \
    X(S, str, dimension,    REQUIRED, 0, 0, NONE, "its name, or unknown") \
    X(S, str, priority,     REQUIRED, 0, 0, NONE, "high, normal or autorecache") \
    X(S, i64, scheduled_at, REQUIRED, 0, 0, NONE, "Unix seconds from which it is due")
SCHEMA_STRUCT(recache_queue_item, RECACHE_QUEUE_ITEM_FIELDS);
#define RECACHE_QUEUE_FIELDS(X, S) \
    X(S, rows_of(recache_queue_item), items, REQUIRED, 0, 0, NONE, "in the order of work") \
    X(S, str,  cursor,   REQUIRED, 0, 0, NONE, "of the next page; 0: none follows") \
    X(S, bool, has_more, REQUIRED, 0, 0, NONE, "whether one follows")
SCHEMA_STRUCT(recache_queue_entries, RECACHE_QUEUE_FIELDS);
#define QUEUE_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_queue_entries)
SCHEMA_STRUCT(recache_queue_reply, QUEUE_REPLY_FIELDS);

#define RECACHE_QUEUE_SUMMARY_FIELDS(X, S) \
    X(S, i64, pending,    REQUIRED, 0, 0, NONE, "entries in the host's queues that are not under way") \
    X(S, i64, processing, REQUIRED, 0, 0, NONE, "those that are")
SCHEMA_STRUCT(recache_queue_summary, RECACHE_QUEUE_SUMMARY_FIELDS);
#define QUEUE_SUMMARY_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_queue_summary)
SCHEMA_STRUCT(recache_queue_summary_reply, QUEUE_SUMMARY_REPLY_FIELDS);

#define RECACHE_DEAD_LIST_FIELDS(X, S) \
    X(S, rows_of(recache_dead), items, REQUIRED, 0, 0, NONE, "the newest first") \
    X(S, i64,  total,    REQUIRED, 0, 0, NONE, "of the host") \
    X(S, str,  cursor,   REQUIRED, 0, 0, NONE, "of the next page; 0: none follows") \
    X(S, bool, has_more, REQUIRED, 0, 0, NONE, "whether one follows")
SCHEMA_STRUCT(recache_dead_letters, RECACHE_DEAD_LIST_FIELDS);
#define DEAD_REPLY_FIELDS(X, S) ENVELOPE_FIELDS(X, S, recache_dead_letters)
SCHEMA_STRUCT(recache_dead_reply, DEAD_REPLY_FIELDS);

#define DAEMON_STATUS_FIELDS(X, S) \
    X(S, str,  daemon_id,      REQUIRED, 0, 0, NONE, "recache.daemon_id") \
    X(S, i64,  uptime_seconds, REQUIRED, 0, 0, NONE, "since the start") \
    X(S, str,  last_tick,      REQUIRED, 0, 0, FORMAT("date-time"), "the scheduler's last heartbeat")
SCHEMA_STRUCT(daemon_status, DAEMON_STATUS_FIELDS);
#define INTERNAL_QUEUE_FIELDS(X, S) \
    X(S, i64, size,     REQUIRED, 0, 0, NONE, "pages under way: in_flight and storing") \
    X(S, i64, max_size, REQUIRED, 0, 0, NONE, "recache.max_in_flight") \
    X(S, f64, capacity_used_percent, REQUIRED, 0, 0, NONE, "size of max_size")
SCHEMA_STRUCT(internal_queue, INTERNAL_QUEUE_FIELDS);
#define RS_CAPACITY_FIELDS(X, S) \
    X(S, i64, total_free_tabs,       REQUIRED, 0, 0, NONE, "of healthy render services") \
    X(S, i64, reserved_for_online,   REQUIRED, 0, 0, NONE, "tabs that are kept free for others") \
    X(S, i64, available_for_recache, REQUIRED, 0, 0, NONE, "tabs that may be used now") \
    X(S, f64, reservation_percent,   REQUIRED, 0, 0, NONE, "recache.reserved_for_online")
SCHEMA_STRUCT(rs_capacity, RS_CAPACITY_FIELDS);
#define RS_STATUS_FIELDS(X, S) \
    X(S, str,  id,           REQUIRED, 0, 0, NONE, "its name, or its address") \
    X(S, str,  url,          REQUIRED, 0, 0, NONE, "where it listens") \
    X(S, bool, registered,   REQUIRED, 0, 0, NONE, "it registered itself") \
    X(S, bool, is_reachable, REQUIRED, 0, 0, NONE, "it answered when last asked, or said so") \
    X(S, choice, breaker,    REQUIRED, 0, 0, CHOICES("closed|open|half_open"), "open: it gets no work for now") \
    X(S, i64,  capacity,     REQUIRED, 0, 0, NONE, "tabs") \
    X(S, i64,  load,         REQUIRED, 0, 0, NONE, "tabs in use") \
    X(S, i64,  in_flight,    REQUIRED, 0, 0, NONE, "of these by us") \
    X(S, i64,  pages,        REQUIRED, 0, 0, NONE, "given back well since the start") \
    X(S, i64,  failures,     REQUIRED, 0, 0, NONE, "its own since the start") \
    X(S, time, heard_at,     NULLABLE, 0, 0, NONE, "its last word") \
    X(S, str,  last_error,   NULLABLE, 0, 0, NONE, "what went wrong last")
SCHEMA_STRUCT(rs_status, RS_STATUS_FIELDS);
#define RECACHE_STATUS_FIELDS(X, S) \
    X(S, object_of(daemon_status), daemon,         REQUIRED, 0, 0, NONE, "this server") \
    X(S, object_of(internal_queue), internal_queue, REQUIRED, 0, 0, NONE, "pages under way") \
    X(S, object_of(rs_capacity), rs_capacity,    REQUIRED, 0, 0, NONE, "tabs of the render services") \
    X(S, raw,  queues,       REQUIRED, 0, 0, NONE, "by host id, then priority: total, due_now") \
    X(S, bool, paused,       REQUIRED, 0, 0, NONE, "nothing new is begun") \
    X(S, i64,  in_flight,    REQUIRED, 0, 0, NONE, "pages being rendered or fetched") \
    X(S, i64,  storing,      REQUIRED, 0, 0, NONE, "pages on their way into the store") \
    X(S, i64,  retrying,     REQUIRED, 0, 0, NONE, "queued pages with an attempt that has failed") \
    X(S, i64,  dead_letters, REQUIRED, 0, 0, NONE, "of all configured hosts") \
    X(S, rows_of(rs_status), services,  REQUIRED, 0, 0, NONE, "render services")
SCHEMA_STRUCT(recache_status, RECACHE_STATUS_FIELDS);
/* clang-format on */

/* Opens the envelope up to its data, and ends it: in between one value is written. */
void recache_envelope_begin(call *c);
int recache_envelope_end(call *c);
int recache_reply_data(call *c, const schema *s, const void *data);
int recache_reply_message(call *c, str message);

/* The family's own texts; of all other failures reply_errno's. */
int recache_host_missing(call *c, int status, int64_t id);
/* A number of a query, left alone where there is none; may answer (400 with `complaint`). */
int recache_read_number(call *c, str text, int64_t least, const char *complaint, int64_t *ret);
/* The host that a query names, by the rules of the GET endpoints; NULL: answered. */
const recache_host *recache_read_host(call *c, str text);

static inline recache *recache_of(const call *c)
{
    return ((const api *)c->app)->recache->service;
}

#endif
