/* ops: how the server is doing, for people and machines: /healthz, /readyz, /metrics, /openapi.json.
 *
 * It reads other rooms through their figures only. To add a metric, add a row to the table in
 * src/serve/ops/metrics.c. */
#ifndef LARDER_OPS_H
#define LARDER_OPS_H

#include "larder/client.h"
#include "larder/github.h"
#include "larder/projects.h"
#include "larder/recache.h"
#include "larder/route.h"
#include "larder/search.h"
#include "larder/sources.h"

typedef struct ops_taps {
    loop *loop;
    store *store;
    http_server *http;
    router *router;
    client *client;
    github *github;
    sources *sources;
    projects *projects;
    const channel *events;
    search *const *search; /* another one after a reload */
    recache *recache;
    render_fleet *fleet;
} ops_taps;
typedef struct ops {
    ops_taps taps;
    bool draining; /* set by app when the server stops: not ready any more */
} ops;
bool ops_is_ready(const ops *o); /* the store takes writes, and nothing drains */
int ops_write_metrics(const ops *o, buf *out); /* Prometheus text format 0.0.4; the buf's error */

extern const family family_ops;
extern const route_table ops_routes;

#endif
