/* api: the resources, one file each in src/serve/api: a table of rows (route.h) and their handlers, nothing
 * else. What a handler decides is in its domain; what it says is in the entity's field list.
 *
 * To add a resource: a file with its rows and handlers, its table below, and its line in app/'s list of
 * tables. */
#ifndef LARDER_API_H
#define LARDER_API_H

#include "larder/hash.h"
#include "larder/projects.h"
#include "larder/route.h"
#include "larder/search.h"
#include "larder/sources.h"

/* What the recache family needs beside its service. */
typedef struct api_recache {
    struct recache *service;
    struct render_fleet *fleet;
    siphash_key key_seed; /* random: the keys are known by their hashes alone */
    const uint64_t (*keys)[2];
    size_t n_keys;
    bool is_controllable;     /* over HTTP: pause and resume */
    str daemon_id, pages_dir;
    str accel_prefix;         /* empty: files are sent by ourselves */
    double reserved;
    int64_t started_at_mono;  /* ms */
} api_recache;

/* The rooms that handlers use: call.app points to one. */
typedef struct api {
    loop *loop;
    store *store;
    sources *sources;
    projects *projects;
    search *search;
    struct ops *ops;
    api_recache *recache;
    /* While search learns the entries after a start, calls wait for it here: ready(c) runs on the loop when
     * it has. */
    bool search_is_ready;
    /* another number after each change of what search finds: it lags behind the store */
    uint64_t search_version;
    list search_waits; /* search_wait.link */
    channel *events;   /* what GET /api/v1/cache/events follows */
} api;
typedef struct search_wait {
    list link;
    void (*ready)(struct search_wait *w);
} search_wait;

extern const family family_sources, family_cache, family_recache, family_recache_status;
extern const route_table sources_routes, cache_routes, projects_routes, artifacts_routes, search_routes,
    refresh_routes, events_routes, recache_routes, recache_list_routes, recache_page_routes;

/* What handlers of more than one file need. */
#define API_WALK_ON_LOOP 1000 /* records a list may pass over without becoming a job */
str api_given(str text);      /* an empty parameter is none: null */
page_at api_page_at(int64_t skip, int64_t limit, str cursor);
int api_bad_cursor(call *c, int err); /* for call_read: -EINVAL is a cursor that is not of this list, and 400 */
bool api_fits_project_id(str id);       /* as far as bytes go; null does */
int api_no_project(call *c, str id);    /* replies 404 */

/* How much is cached, and how fresh it is: of projects and sources together. Times wall ms, 0 for none. */
typedef struct api_figures {
    int64_t projects, artifacts, stale, outdated, sources, entries, used_bytes;
    int64_t oldest_entry, newest_entry, last_refresh, last_run, next_run;
} api_figures;
int api_figures_of(store *s, int64_t now, int64_t ttl_ms, api_figures *ret_figures); /* -EIO, -ENOMEM, -EPROTO */

/* What the domains' callbacks say, told to who listens. */
void api_tell_projects(api *app, const projects_event *e);
void api_tell_scan(api *app, str source_id, const scan_result *result);

#endif
