/* /api/v1/cache/projects, and invalidate: where artifacts are deployed. */
#include "larder/api.h"

#define REPORT_MAX ((size_t)8 << 20) /* bytes: some 800 for each of PROJECT_ARTIFACTS_MAX */

/* clang-format off */
/* ---- what comes in ---- */
#define PROJECT_QUERY_FIELDS(X, S) \
    X(S, choice, status, OPTIONAL, 0, 0, CHOICES(PROJECT_STATUS), "only this status") \
    X(S, i64, skip,   OPTIONAL, 0, INT32_MAX, DEFAULT("0"), "items to pass over") \
    X(S, i64, limit,  OPTIONAL, 1, 500, DEFAULT("100"), "items a page") \
    X(S, str, cursor, OPTIONAL, 0, 2000, NONE, "next_cursor of the page before; instead of skip")
SCHEMA_STRUCT(project_query, PROJECT_QUERY_FIELDS);
SCHEMA(project_query, PROJECT_QUERY_FIELDS, "Which projects");

#define PROJECT_REF_FIELDS(X, S) \
    X(S, str, id, REQUIRED, 1, PROJECT_ID_MAX, NONE, "project id: at most 200 bytes, no control characters")
SCHEMA_STRUCT(project_ref, PROJECT_REF_FIELDS);
SCHEMA(project_ref, PROJECT_REF_FIELDS, "Which project");

#define INVALIDATE_REQUEST_FIELDS(X, S) \
    X(S, str, project_id, OPTIONAL | NULLABLE, 0, 0, NONE, "the project; null: all projects")
SCHEMA_STRUCT(invalidate_request, INVALIDATE_REQUEST_FIELDS);
SCHEMA(invalidate_request, INVALIDATE_REQUEST_FIELDS, "What to mark as stale");

/* ---- what goes out ---- */
#define FIELD_C_project_rows rows
#define FIELD_KIND_project_rows FIELD_ROWS
#define FIELD_SUB_project_rows &project_schema
#define PROJECT_LIST_FIELDS(X, S) \
    X(S, project_rows, items, REQUIRED, 0, 0, NONE, "by name, then id") \
    X(S, i64, total, REQUIRED, 0, 0, NONE, "all that match") \
    X(S, i64, skip,  REQUIRED, 0, 0, NONE, "as asked") \
    X(S, i64, limit, REQUIRED, 0, 0, NONE, "as asked") \
    X(S, str, next_cursor, NULLABLE, 0, 0, NONE, "cursor of the next page; null: this is the last")
SCHEMA_STRUCT(project_list, PROJECT_LIST_FIELDS);
SCHEMA(project_list, PROJECT_LIST_FIELDS, "A page of projects");

#define INVALIDATE_REPLY_FIELDS(X, S) \
    X(S, bool, success,           REQUIRED, 0, 0, NONE, "always true") \
    X(S, i64,  invalidated_count, REQUIRED, 0, 0, NONE, "projects that are stale now") \
    X(S, str,  message,           REQUIRED, 0, 0, NONE, "that in a sentence")
SCHEMA_STRUCT(invalidate_reply, INVALIDATE_REPLY_FIELDS);
SCHEMA(invalidate_reply, INVALIDATE_REPLY_FIELDS, "What was marked as stale");
/* clang-format on */

/* ---- what the handlers share ---- */
int api_no_project(call *c, str id)
{
    return reply_error(c, 404, "Project '" STR_FMT "' not found", STR_ARG(id));
}

/* In a path: what no project can be called. */
static int bad_id(call *c)
{
    return reply_error(c, 400, "Invalid id: must be 1 to %d bytes without control characters", PROJECT_ID_MAX);
}

/* ---- reading ---- */
typedef struct list_read {
    project_filter filter;
    page_at at;
} list_read;

static int write_projects(call *c, store_view *v)
{
    const project_query *in = c->params;
    const list_read *l = c->user;
    project_page page;

    const int r = projects_list(v, c->arena, &l->filter, &l->at, &page);
    if (r < 0)
        return r;
    const project_list out = {.items = {page.items, page.n},
                              .total = page.total,
                              .skip = in->skip,
                              .limit = in->limit,
                              .next_cursor = page.next};
    schema_write(&project_list_schema, &out, c->w);
    return 0;
}

static int list_projects(call *c)
{
    const project_query *in = c->params;
    const api *app = c->app;
    list_read *l = arena_new(c->arena, list_read);

    if (!l)
        return -ENOMEM;
    l->filter = (project_filter){
        .status = in->status, .now = loop_now_wall_ms(app->loop), .ttl_ms = projects_ttl(app->projects)};
    l->at = api_page_at(in->skip, in->limit, in->cursor);
    c->user = l;
    store_view *v = store_read_begin(app->store);
    const uint64_t walked = in->status.n ? store_count(v, &projects_ks) : l->at.skip;
    store_read_end(v);
    return call_read(c, write_projects, api_bad_cursor, walked > API_WALK_ON_LOOP);
}

/* ---- one project, and its tag ---- */
static str tag_of(const call *c, int64_t version)
{
    return arena_printf(c->arena, "%lld", (long long)version);
}

static int reply_project(call *c, int status, str id)
{
    const api *app = c->app;
    store_view *v = store_read_begin(app->store);
    project p = {0};

    int r = project_load(v, c->arena, id, &p);
    if (r == 0) {
        p.status = project_status_at(&p, loop_now_wall_ms(app->loop), projects_ttl(app->projects));
        schema_write(&project_schema, &p, c->w);
    }
    store_read_end(v);
    if (r == -ENOENT)
        return api_no_project(c, id);
    if (r < 0)
        return r;
    const str tag = tag_of(c, p.version);
    return tag.p ? reply_tagged(c, status, tag) : -ENOMEM;
}

static int get_project(call *c)
{
    const project_ref *in = c->params;

    return api_fits_project_id(in->id) ? reply_project(c, 200, in->id) : bad_id(c);
}

/* One element of If-Match: the version it names, 0 for what is none of our tags. A weak tag matches nothing. */
static int64_t version_of(str tag)
{
    int64_t version;

    tag = str_trim(tag);
    if (tag.n < 2 || tag.p[0] != '"' || !str_ends(tag, STR("\"")))
        return 0;
    tag = str_of(tag.p + 1, tag.n - 2);
    if (str_ends(tag, STR("-gz"))) /* the same, as it was compressed */
        tag.n -= 3;
    return str_to_i64(tag, &version) == 0 && version > 0 ? version : 0;
}

/* As project_task.if_match. Of several tags, the one that fits what is stored now. */
static int64_t condition_of(const call *c, str id)
{
    const api *app = c->app;
    str rest = http_header_of(c->req, HTTP_H_IF_MATCH), part;
    int64_t chosen = INT64_MAX; /* a version that nothing has */
    project p = {0};

    if (!rest.p)
        return str_eq(str_trim(http_header_of(c->req, HTTP_H_IF_NONE_MATCH)), STR("*")) ? -1 : 0;
    if (str_eq(str_trim(rest), STR("*")))
        return -2;
    store_view *v = store_read_begin(app->store);
    const bool exists = project_load(v, c->arena, id, &p) == 0;
    store_read_end(v);
    while (str_cut(&rest, ',', &part)) {
        const int64_t version = version_of(part);
        if (version > 0 && (chosen == INT64_MAX || (exists && version == p.version)))
            chosen = version;
    }
    return chosen;
}

/* ---- changes ---- */
typedef struct change {
    project_task task; /* first: the service's */
    call *call;
    int (*reply)(call *c, const project_task *t); /* of success */
} change;

static int reply_failure(call *c, const project_task *t)
{
    switch (t->status) {
    case -ENOENT:
        return api_no_project(c, t->id);
    case -ESTALE:
        return reply_error(c, 412, "Project '" STR_FMT "' is not what If-Match or If-None-Match says", STR_ARG(t->id));
    case -EINVAL:
        return reply_error(c, 422, STR_FMT, STR_ARG(t->why));
    default:
        return reply_errno(c, t->status);
    }
}

static void on_changed(project_task *t)
{
    const change *ch = CONTAINER_OF(t, change, task);
    call *c = ch->call;

    const int r = t->status < 0 ? reply_failure(c, t) : ch->reply(c, t);
    if (r < 0) /* then it has not replied */
        (void)reply_errno(c, r);
}

/* A deferred call with its task; NULL: out of memory. */
static change *change_new(call *c, str id, int (*reply)(call *c, const project_task *t))
{
    change *ch = arena_new(c->arena, change);

    if (!ch || call_defer(c) < 0)
        return NULL;
    *ch = (change){.task = {.arena = c->arena, .id = id, .on_done = on_changed}, .call = c, .reply = reply};
    return ch;
}

static int reply_reported(call *c, const project_task *t)
{
    return reply_project(c, t->ret_created ? 201 : 200, t->id);
}

bool api_fits_project_id(str id)
{
    return id.n <= PROJECT_ID_MAX && !str_has_control(id);
}

static int put_project(call *c)
{
    const project_ref *in = c->params;
    const api *app = c->app;

    if (!api_fits_project_id(in->id))
        return bad_id(c);
    const int64_t condition = condition_of(c, in->id);
    change *ch = change_new(c, in->id, reply_reported);
    if (!ch)
        return -ENOMEM;
    ch->task.report = c->body;
    ch->task.if_match = condition;
    projects_report(app->projects, &ch->task);
    return 0;
}

static int reply_forgotten(call *c, const project_task *t)
{
    (void)t;
    return reply_empty(c, 204);
}

static int delete_project(call *c)
{
    const project_ref *in = c->params;
    const api *app = c->app;

    if (!api_fits_project_id(in->id))
        return bad_id(c);
    const int64_t condition = condition_of(c, in->id);
    change *ch = change_new(c, in->id, reply_forgotten);
    if (!ch)
        return -ENOMEM;
    ch->task.if_match = condition;
    projects_forget(app->projects, &ch->task);
    return 0;
}

static int reply_invalidated(call *c, const project_task *t)
{
    const str message =
        t->id.p ? arena_printf(c->arena, "Invalidated %lld project(s) successfully", (long long)t->ret_count)
                : arena_printf(c->arena, "Invalidated entire cache (%lld projects)", (long long)t->ret_count);
    const invalidate_reply out = {.success = true, .invalidated_count = t->ret_count, .message = message};

    return message.p ? reply_entity(c, 200, &invalidate_reply_schema, &out) : -ENOMEM;
}

static int post_invalidate(call *c)
{
    const invalidate_request *in = c->body;
    const api *app = c->app;
    const str id = api_given(in->project_id); /* none: all projects */

    if (!api_fits_project_id(id))
        return api_no_project(c, id);
    change *ch = change_new(c, id, reply_invalidated);
    if (!ch)
        return -ENOMEM;
    projects_invalidate(app->projects, &ch->task);
    return 0;
}

/* ---- rows ---- */
static const route rows_of_projects[] = {
    {HTTP_M_GET, "/api/v1/cache/projects", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT,
     .params = &project_query_schema, .reply = &project_list_schema, .errors = "400", .handle = list_projects,
     .summary = "Projects, by name"},
    {HTTP_M_GET, "/api/v1/cache/projects/{id}", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT,
     .params = &project_ref_schema, .reply = &project_schema, .errors = "400 404", .flags = HAS_ETAG,
     .handle = get_project, .summary = "One project; its ETag is what If-Match takes"},
    {HTTP_M_PUT, "/api/v1/cache/projects/{id}", &family_cache, SCOPE_CACHE_WRITE, LIMIT_CLIENT,
     .params = &project_ref_schema, .body = &project_report_schema, .reply = &project_schema, .other_status = 201,
     .errors = "400 412 413 422 507", .flags = ALLOW_EXTRA | HAS_ETAG, .max_body = REPORT_MAX, .handle = put_project,
     .summary = "Report a project: what is deployed there becomes this, all at once; If-Match, If-None-Match: *"},
    {HTTP_M_DELETE, "/api/v1/cache/projects/{id}", &family_cache, SCOPE_CACHE_WRITE, LIMIT_CLIENT,
     .params = &project_ref_schema, .reply_status = 204, .errors = "400 404 412 507", .handle = delete_project,
     .summary = "Forget a project and its artifacts; If-Match"},
    {HTTP_M_POST, "/api/v1/cache/invalidate", &family_cache, SCOPE_CACHE_WRITE, LIMIT_CLIENT,
     .body = &invalidate_request_schema, .reply = &invalidate_reply_schema, .errors = "400 404 422 507",
     .flags = ALLOW_EXTRA, .handle = post_invalidate,
     .summary = "Mark projects as stale; nothing is deleted, and they are refreshed soon"},
};
const route_table projects_routes = {rows_of_projects, COUNT_OF(rows_of_projects)};
