/* /api/v1/cache/artifacts and stale-artifacts: what is deployed in the projects, and what of it is outdated. */
#include "larder/api.h"

/* clang-format off */
/* ---- what comes in ---- */
#define ARTIFACT_QUERY_FIELDS(X, S) \
    X(S, str,  project_id,  OPTIONAL, 0, PROJECT_ID_MAX, NONE, "only artifacts of this project") \
    X(S, str,  type,        OPTIONAL, 0, 50, NONE, "only this type") \
    X(S, bool, is_outdated, OPTIONAL, 0, 0, NONE, "only outdated ones, or only others") \
    X(S, i64,  skip,        OPTIONAL, 0, INT32_MAX, DEFAULT("0"), "items to pass over") \
    X(S, i64,  limit,       OPTIONAL, 1, 500, DEFAULT("100"), "items a page") \
    X(S, str,  cursor,      OPTIONAL, 0, 2000, NONE, "next_cursor of the page before; instead of skip")
SCHEMA_STRUCT(artifact_query, ARTIFACT_QUERY_FIELDS);
SCHEMA(artifact_query, ARTIFACT_QUERY_FIELDS, "Which artifacts");

#define STALE_SORTS "name|type|project|version_diff"
#define STALE_QUERY_FIELDS(X, S) \
    X(S, str,    type,       OPTIONAL, 0, 50, NONE, "only this type") \
    X(S, str,    project_id, OPTIONAL, 0, PROJECT_ID_MAX, NONE, "only artifacts of this project") \
    X(S, choice, sort_by,    OPTIONAL, 0, 0, CHOICES_DEFAULT(STALE_SORTS, "name"), "order") \
    X(S, choice, sort_order, OPTIONAL, 0, 0, CHOICES_DEFAULT("asc|desc", "asc"), "its direction") \
    X(S, i64,    skip,       OPTIONAL, 0, INT32_MAX, DEFAULT("0"), "items to pass over") \
    X(S, i64,    limit,      OPTIONAL, 1, 500, DEFAULT("100"), "items a page") \
    X(S, str,    cursor,     OPTIONAL, 0, 2000, NONE, "next_cursor of the page before; instead of skip")
SCHEMA_STRUCT(stale_query, STALE_QUERY_FIELDS);
SCHEMA(stale_query, STALE_QUERY_FIELDS, "Which outdated artifacts");

/* ---- what goes out ---- */
#define FIELD_C_artifact_rows rows
#define FIELD_KIND_artifact_rows FIELD_ROWS
#define FIELD_SUB_artifact_rows &artifact_schema
#define ARTIFACT_LIST_FIELDS(X, S) \
    X(S, artifact_rows, items, REQUIRED, 0, 0, NONE, "by name without its case, then id") \
    X(S, i64, total, REQUIRED, 0, 0, NONE, "all that match") \
    X(S, i64, skip,  REQUIRED, 0, 0, NONE, "as asked") \
    X(S, i64, limit, REQUIRED, 0, 0, NONE, "as asked") \
    X(S, str, next_cursor, NULLABLE, 0, 0, NONE, "cursor of the next page; null: this is the last")
SCHEMA_STRUCT(artifact_list, ARTIFACT_LIST_FIELDS);
SCHEMA(artifact_list, ARTIFACT_LIST_FIELDS, "A page of artifacts");

#define STALE_ARTIFACT_FIELDS(X, S) \
    X(S, str, id,               REQUIRED, 0, 0, NONE, "artifact id") \
    X(S, str, name,             REQUIRED, 0, 0, NONE, "its name") \
    X(S, str, type,             REQUIRED, 0, 0, NONE, "what it is") \
    X(S, str, project_name,     REQUIRED, 0, 0, NONE, "name of the project it is deployed in") \
    X(S, str, project_id,       REQUIRED, 0, 0, NONE, "that project") \
    X(S, str, deployed_version, NULLABLE, 0, 0, NONE, "version deployed there") \
    X(S, str, upstream_version, NULLABLE, 0, 0, NONE, "version upstream has") \
    X(S, str, version_difference, NULLABLE, 0, 0, NONE, "how they differ, in words")
SCHEMA_STRUCT(stale_artifact, STALE_ARTIFACT_FIELDS);
SCHEMA(stale_artifact, STALE_ARTIFACT_FIELDS, "An outdated artifact");
#define FIELD_C_stale_rows rows
#define FIELD_KIND_stale_rows FIELD_ROWS
#define FIELD_SUB_stale_rows &stale_artifact_schema

#define STALE_LIST_FIELDS(X, S) \
    X(S, stale_rows, items, REQUIRED, 0, 0, NONE, "in the order asked for") \
    X(S, i64, total, REQUIRED, 0, 0, NONE, "all that match") \
    X(S, str, next_cursor, NULLABLE, 0, 0, NONE, "cursor of the next page; null: this is the last")
SCHEMA_STRUCT(stale_list, STALE_LIST_FIELDS);
SCHEMA(stale_list, STALE_LIST_FIELDS, "A page of outdated artifacts");
/* clang-format on */

typedef struct artifact_read {
    artifact_filter filter;
    artifact_sort sort;
    bool down;
    page_at at;
} artifact_read;

static int read_page(call *c, store_view *v, artifact_page *ret_page)
{
    const artifact_read *rd = c->user;

    return artifacts_list(v, c->arena, &rd->filter, rd->sort, rd->down, &rd->at, ret_page);
}

static int reply_page(call *c, artifact_read *rd, int (*write)(call *c, store_view *v))
{
    const api *app = c->app;
    store_view *v = store_read_begin(app->store);
    const uint64_t cost = artifacts_list_cost(v, &rd->filter, rd->sort, &rd->at);

    store_read_end(v);
    c->user = rd;
    return call_read(c, write, api_bad_cursor, cost > API_WALK_ON_LOOP);
}

/* ---- all artifacts ---- */
static int write_artifacts(call *c, store_view *v)
{
    const artifact_query *in = c->params;
    artifact_page page;

    const int r = read_page(c, v, &page);
    if (r < 0)
        return r;
    const artifact_list out = {.items = {page.items, page.n},
                               .total = page.total,
                               .skip = in->skip,
                               .limit = in->limit,
                               .next_cursor = page.next};
    schema_write(&artifact_list_schema, &out, c->w);
    return 0;
}

static int list_artifacts(call *c)
{
    const artifact_query *in = c->params;
    artifact_read *rd = arena_new(c->arena, artifact_read);

    if (!rd)
        return -ENOMEM;
    rd->filter.project_id = api_given(in->project_id);
    rd->filter.type = api_given(in->type);
    rd->filter.outdated = !HAS(in, artifact_query, is_outdated) ? OUTDATED_ANY
                          : in->is_outdated                     ? OUTDATED_YES
                                                                : OUTDATED_NO;
    rd->at = api_page_at(in->skip, in->limit, in->cursor);
    return reply_page(c, rd, write_artifacts);
}

/* ---- outdated ones ---- */
static int stale_of(arena *a, const artifact *x, stale_artifact *ret_stale)
{
    *ret_stale = (stale_artifact){
        .id = x->id,
        .name = x->name,
        .type = x->type,
        .project_name = x->project_name.p ? x->project_name : STR("Unknown"),
        .project_id = x->project_id,
        .deployed_version = x->deployed_version,
        .upstream_version = x->upstream_version,
    };
    return version_difference(a, x->deployed_version, x->upstream_version, &ret_stale->version_difference);
}

static int write_stale(call *c, store_view *v)
{
    artifact_page page;

    int r = read_page(c, v, &page);
    if (r < 0)
        return r;
    stale_artifact *items = arena_array(c->arena, stale_artifact, page.n);
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < page.n && r == 0; i++)
        r = stale_of(c->arena, &page.items[i], &items[i]);
    if (r < 0)
        return r;
    const stale_list out = {.items = {items, page.n}, .total = page.total, .next_cursor = page.next};
    schema_write(&stale_list_schema, &out, c->w);
    return 0;
}

static artifact_sort sort_of(str sort_by)
{
    return str_eq(sort_by, STR("type"))           ? ARTIFACTS_TYPE
           : str_eq(sort_by, STR("project"))      ? ARTIFACTS_PROJECT
           : str_eq(sort_by, STR("version_diff")) ? ARTIFACTS_DIFFERENCE
                                                  : ARTIFACTS_NAME;
}

static int list_stale(call *c)
{
    const stale_query *in = c->params;
    artifact_read *rd = arena_new(c->arena, artifact_read);

    if (!rd)
        return -ENOMEM;
    rd->filter = (artifact_filter){api_given(in->project_id), api_given(in->type), OUTDATED_YES};
    rd->sort = sort_of(in->sort_by);
    rd->down = str_eq(in->sort_order, STR("desc"));
    rd->at = api_page_at(in->skip, in->limit, in->cursor);
    return reply_page(c, rd, write_stale);
}

/* ---- rows ---- */
static const route rows_of_artifacts[] = {
    {HTTP_M_GET, "/api/v1/cache/artifacts", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT,
     .params = &artifact_query_schema, .reply = &artifact_list_schema, .errors = "400",
     .etag_of = {&artifacts_ks, &project_changes_ks}, .handle = list_artifacts,
     .summary = "Artifacts of all projects, by name"},
    {HTTP_M_GET, "/api/v1/cache/stale-artifacts", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT,
     .params = &stale_query_schema, .reply = &stale_list_schema, .errors = "400",
     .etag_of = {&artifacts_ks, &project_changes_ks}, .handle = list_stale,
     .summary = "Artifacts for which upstream has something newer"},
};
const route_table artifacts_routes = {rows_of_artifacts, COUNT_OF(rows_of_artifacts)};
