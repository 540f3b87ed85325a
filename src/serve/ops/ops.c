/* Health, readiness, the document; what /metrics says is in metrics.c. */
#include "larder/ops.h"

#include "larder/api.h"

const family family_ops = {
    .name = "ops",
    .prefix = "/",
    .doc = "Health, figures, and this document",
    .error_body = error_body_detail,
    .error = &error_detail_schema,
    .bad_params = 400,
    .bad_body = 422,
    .not_authorised = "Missing or invalid API key",
};

/* clang-format off */
#define HEALTH_FIELDS(X, S) \
    X(S, str, status, REQUIRED, 0, 0, NONE, "ok")
SCHEMA_STRUCT(health, HEALTH_FIELDS);
SCHEMA(health, HEALTH_FIELDS, "The loop turns");

#define READY_CHECKS_FIELDS(X, S) \
    X(S, choice, store,    REQUIRED, 0, 0, CHOICES("ok|full or failing"), "whether it takes writes") \
    X(S, choice, draining, REQUIRED, 0, 0, CHOICES("no|yes"), "whether the server is stopping")
SCHEMA_STRUCT(ready_checks, READY_CHECKS_FIELDS);
SCHEMA(ready_checks, READY_CHECKS_FIELDS, "What readiness hangs on");
#define FIELD_C_ready_checks ready_checks
#define FIELD_KIND_ready_checks FIELD_OBJECT
#define FIELD_SUB_ready_checks &ready_checks_schema

#define READY_FIELDS(X, S) \
    X(S, choice, status, REQUIRED, 0, 0, CHOICES("ready|not ready"), "whether to send requests here") \
    X(S, ready_checks, checks, REQUIRED, 0, 0, NONE, "why")
SCHEMA_STRUCT(ready, READY_FIELDS);
SCHEMA(ready, READY_FIELDS, "Whether the server can do its work");
/* clang-format on */

bool ops_is_ready(const ops *o)
{
    return !o->draining && store_is_writable(o->taps.store);
}

static const ops *ops_of(const call *c)
{
    const api *app = c->app;

    return app->ops;
}

static int get_health(call *c)
{
    return reply_entity(c, 200, &health_schema, &(health){.status = STR("ok")});
}

static int get_ready(call *c)
{
    const ops *o = ops_of(c);
    const ready out = {
        .status = ops_is_ready(o) ? STR("ready") : STR("not ready"),
        .checks = {.store = store_is_writable(o->taps.store) ? STR("ok") : STR("full or failing"),
                   .draining = o->draining ? STR("yes") : STR("no")},
    };

    return reply_entity(c, ops_is_ready(o) ? 200 : 503, &ready_schema, &out);
}

static int get_metrics(call *c)
{
    const int r = ops_write_metrics(ops_of(c), c->req->out);

    return r < 0 ? r : reply_text(c, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_view(c->req->out));
}

static const route rows_of_ops[] = {
    {HTTP_M_GET, "/healthz", &family_ops, SCOPE_PUBLIC, LIMIT_NONE, .reply = &health_schema, .handle = get_health,
     .summary = "The process is alive"},
    {HTTP_M_GET, "/readyz", &family_ops, SCOPE_PUBLIC, LIMIT_NONE, .reply = &ready_schema, .other_status = 503,
     .handle = get_ready, .summary = "The server can do its work"},
    {HTTP_M_GET, "/metrics", &family_ops, SCOPE_METRICS, LIMIT_NONE,
     .reply_type = "text/plain; version=0.0.4; charset=utf-8", .handle = get_metrics,
     .summary = "Figures for Prometheus"},
    {HTTP_M_GET, "/openapi.json", &family_ops, SCOPE_PUBLIC, LIMIT_NONE, .flags = HAS_ETAG, .handle = reply_document,
     .summary = "This interface, as OpenAPI 3.1"},
};
const route_table ops_routes = {rows_of_ops, COUNT_OF(rows_of_ops)};
