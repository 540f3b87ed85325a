/* recache_hosts: sites whose pages are kept, and the ways (dimensions) in which each page is kept. Plain data: app/
 * fills it from the configuration, the service copies it. */
#ifndef LARDER_RECACHE_HOSTS_H
#define LARDER_RECACHE_HOSTS_H

#include "larder/base.h"
#include "larder/schema.h"

#define RECACHE_HOSTS_MAX 1024
#define RECACHE_DIMENSIONS_MAX 32 /* of a host, bypass included */
#define RECACHE_DIMENSION_BYPASS 0 /* the id of the built-in one: as the origin sends it, nothing rendered */

typedef enum recache_action { RECACHE_RENDER, RECACHE_BYPASS, RECACHE_BLOCK } recache_action;

typedef struct recache_dimension {
    uint16_t id;
    str name;
    int64_t width, height; /* viewport */
    str user_agent;        /* render_ua; of bypass: what the origin is asked with */
    recache_action action; /* block: nothing is kept for these clients */
    strs match_ua;         /* patterns of user agents that are served by it */
} recache_dimension;

typedef struct recache_host {
    uint32_t id;  /* > 0 */
    strs domains; /* lower case; the first is the name used in texts */
    const recache_dimension *dimensions; /* by id; bypass is among them */
    size_t n_dimensions;
    int64_t ttl_ms, stale_ttl_ms; /* fresh for ttl, then stale for stale_ttl, then gone */
    int64_t bypass_ttl_ms;        /* of pages that were fetched, not rendered */
    int64_t refresh_ahead_ms;     /* > 0: rendered anew by itself so long before the ttl ends */
    int64_t hit_interval_ms;      /* a bot's hit asks for a new copy after so long; 0: it doesn't */
    double rate;                  /* pages per second; 0: no limit */
    int64_t burst;                /* pages at once after a pause; at least 1 */
    const int64_t *status_codes;  /* of answers that are kept */
    size_t n_status_codes;
    strs tracking; /* see recache_url.h */
    /* how its pages are rendered */
    int64_t timeout_ms, extra_wait_ms;
    str wait_for;
    strs blocked_patterns, blocked_resource_types;
    bool strip_scripts;
} recache_host;

const recache_dimension *recache_dimension_by_id(const recache_host *h, int64_t id); /* NULL: none */
const recache_dimension *recache_dimension_by_name(const recache_host *h, str name);
/* Whether the URL's hostname is one of the host's domains. */
bool recache_host_has_domain(const recache_host *h, str hostname);
bool recache_host_keeps_status(const recache_host *h, int64_t status);
/* Ids of the dimensions that are kept (all but those that block), bypass included; in *ret_n. */
size_t recache_host_kept_dimensions(const recache_host *h, uint16_t out[RECACHE_DIMENSIONS_MAX]);

#endif
