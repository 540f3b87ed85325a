/* /api/v1/cache/refresh: what projects hold and what upstream has, learnt anew; the reply says what came of it. */
#include "larder/api.h"

/* clang-format off */
#define REFRESH_REQUEST_FIELDS(X, S) \
    X(S, str,  project_id, OPTIONAL | NULLABLE, 0, 0, NONE, "the project; null: all projects") \
    X(S, bool, force,      OPTIONAL, 0, 0, NONE, "also what is fresh")
SCHEMA_STRUCT(refresh_request, REFRESH_REQUEST_FIELDS);
SCHEMA(refresh_request, REFRESH_REQUEST_FIELDS, "What to refresh");

#define REFRESH_REPLY_FIELDS(X, S) \
    X(S, bool, success,            REQUIRED, 0, 0, NONE, "nothing went wrong") \
    X(S, i64,  projects_refreshed, REQUIRED, 0, 0, NONE, "projects that were refreshed") \
    X(S, bool, changes_detected,   REQUIRED, 0, 0, NONE, "something is other than it was") \
    X(S, strs, errors,             REQUIRED, 0, 0, NONE, "what went wrong, in words") \
    X(S, f64,  duration_seconds,   REQUIRED, 0, 0, NONE, "how long it took") \
    X(S, str,  message,            REQUIRED, 0, 0, NONE, "all that in a sentence")
SCHEMA_STRUCT(refresh_reply, REFRESH_REPLY_FIELDS);
SCHEMA(refresh_reply, REFRESH_REPLY_FIELDS, "What a refresh did");
/* clang-format on */

typedef struct refresh_call {
    refresh_task task; /* first: the service's */
    call *call;
} refresh_call;

static str message_of(arena *a, const strs *errors)
{
    buf text = BUF_INIT;

    if (errors->n == 0)
        return STR("Refresh completed successfully");
    buf_str(&text, STR("Refresh completed with errors: "));
    for (size_t i = 0; i < errors->n; i++) {
        buf_str(&text, i ? STR("; ") : STR(""));
        buf_str(&text, errors->v[i]);
    }
    const str message = text.err ? STR_NULL : arena_dup(a, buf_view(&text));
    buf_done(&text);
    return message;
}

static int reply_refreshed(call *c, const refresh_task *t)
{
    const refresh_reply out = {.success = t->errors.n == 0,
                               .projects_refreshed = t->projects_refreshed,
                               .changes_detected = t->changes_detected,
                               .errors = t->errors,
                               .duration_seconds = (double)t->duration_ms / 1000,
                               .message = message_of(c->arena, &t->errors)};

    return out.message.p ? reply_entity(c, 200, &refresh_reply_schema, &out) : -ENOMEM;
}

static void on_refreshed(refresh_task *t)
{
    call *c = CONTAINER_OF(t, refresh_call, task)->call;
    const int r = t->status == -ENOENT ? api_no_project(c, t->id) : t->status < 0 ? t->status : reply_refreshed(c, t);

    if (r < 0) /* then it has not replied */
        (void)reply_errno(c, r);
}

static void on_gone(call *c)
{
    refresh_call *rc = c->user;

    projects_refresh_cancel(&rc->task);
}

static int post_refresh(call *c)
{
    const refresh_request *in = c->body;
    const api *app = c->app;
    const str id = api_given(in->project_id); /* none: all projects */
    refresh_call *rc = arena_new(c->arena, refresh_call);

    if (!api_fits_project_id(id))
        return api_no_project(c, id);
    if (!rc || call_defer(c) < 0)
        return -ENOMEM;
    *rc = (refresh_call){.task = {.arena = c->arena, .id = id, .force = in->force, .on_done = on_refreshed}, .call = c};
    c->user = rc;
    c->on_gone = on_gone;
    projects_refresh(app->projects, &rc->task);
    return 0;
}

static const route rows_of_refresh[] = {
    {HTTP_M_POST, "/api/v1/cache/refresh", &family_cache, SCOPE_CACHE_WRITE, LIMIT_CLIENT,
     .body = &refresh_request_schema, .reply = &refresh_reply_schema, .errors = "400 404 422", .flags = ALLOW_EXTRA,
     .handle = post_refresh, .summary = "Learn projects and upstream versions anew, and say what came of it"},
};
const route_table refresh_routes = {rows_of_refresh, COUNT_OF(rows_of_refresh)};
