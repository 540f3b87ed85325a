/* The bodies of the recache family, as recache_shared.h lists their fields. */
#include "recache_shared.h"

SCHEMA(recache_error, RECACHE_ERROR_FIELDS, "Why a request was refused");
SCHEMA(recache_request, RECACHE_REQUEST_FIELDS, "Pages to render anew");
SCHEMA(recache_pages_request, RECACHE_PAGES_REQUEST_FIELDS, "Pages of a host");
SCHEMA(recache_host_request, RECACHE_HOST_REQUEST_FIELDS, "A host, or some of its dimensions");
SCHEMA(recache_url_request, RECACHE_URL_REQUEST_FIELDS, "One address of a host");
SCHEMA(render_registration, RENDER_REGISTRATION_FIELDS, "What a render service says of itself, each second");
SCHEMA(recache_rejected_url, RECACHE_REJECTED_FIELDS, "A URL that cannot be queued");
SCHEMA(recache_enqueued, RECACHE_ENQUEUED_FIELDS, "What was queued");
SCHEMA(recache_invalidated, RECACHE_INVALIDATED_FIELDS, "What was invalidated");
SCHEMA(recache_all_invalidated, RECACHE_ALL_INVALIDATED_FIELDS, "What was invalidated");
SCHEMA(recache_hit_done, RECACHE_HIT_DONE_FIELDS, "What the hit led to");
SCHEMA(recache_retried, RECACHE_RETRIED_FIELDS, "What was queued again");
SCHEMA(recache_enqueued_reply, ENQUEUED_REPLY_FIELDS, "What was queued");
SCHEMA(recache_invalidated_reply, INVALIDATED_REPLY_FIELDS, "What was invalidated");
SCHEMA(recache_all_invalidated_reply, ALL_INVALIDATED_REPLY_FIELDS, "What was invalidated");
SCHEMA(recache_hit_reply, HIT_REPLY_FIELDS, "What the hit led to");
SCHEMA(recache_retried_reply, RETRIED_REPLY_FIELDS, "What was queued again");
SCHEMA(recache_message, RECACHE_MESSAGE_FIELDS, "What was done");
SCHEMA(recache_url_item, RECACHE_URL_ITEM_FIELDS, "A stored page");
SCHEMA(recache_url_list, RECACHE_URL_LIST_FIELDS, "Stored pages");
SCHEMA(recache_url_list_reply, URL_LIST_REPLY_FIELDS, "Stored pages");
SCHEMA(recache_summary, RECACHE_SUMMARY_FIELDS, "Stored pages in figures");
SCHEMA(recache_summary_reply, SUMMARY_REPLY_FIELDS, "Stored pages in figures");
SCHEMA(recache_queue_item, RECACHE_QUEUE_ITEM_FIELDS, "An entry of a queue");
SCHEMA(recache_queue_entries, RECACHE_QUEUE_FIELDS, "Entries of a host");
SCHEMA(recache_queue_reply, QUEUE_REPLY_FIELDS, "Entries of a host");
SCHEMA(recache_queue_summary, RECACHE_QUEUE_SUMMARY_FIELDS, "The queues in figures");
SCHEMA(recache_queue_summary_reply, QUEUE_SUMMARY_REPLY_FIELDS, "The queues in figures");
SCHEMA(recache_dead_letters, RECACHE_DEAD_LIST_FIELDS, "What was given up");
SCHEMA(recache_dead_reply, DEAD_REPLY_FIELDS, "What was given up");
SCHEMA(daemon_status, DAEMON_STATUS_FIELDS, "This server");
SCHEMA(internal_queue, INTERNAL_QUEUE_FIELDS, "Pages under way");
SCHEMA(rs_capacity, RS_CAPACITY_FIELDS, "Tabs of the render services");
SCHEMA(rs_status, RS_STATUS_FIELDS, "A render service");
SCHEMA(recache_status, RECACHE_STATUS_FIELDS, "How recaching goes");
