/* /api/v1/cache: the marketplace, which is what all sources hold, and the figures of everything. */
#include "larder/api.h"

const family family_cache = {
    .name = "cache",
    .prefix = "/api/v1/cache",
    .doc = "The artifact cache: projects, artifacts, search, marketplace, figures, events",
    .error_body = error_body_detail,
    .error = &error_detail_schema,
    .bad_params = 400,
    .bad_body = 422,
    .not_authorised = "Missing or invalid API key",
    .limits = LIMIT_CLIENT,
};

/* clang-format off */
/* ---- what comes in ---- */
#define MARKETPLACE_QUERY_FIELDS(X, S) \
    X(S, str, type,   OPTIONAL, 0, 50, NONE, "only this type") \
    X(S, i64, skip,   OPTIONAL, 0, INT32_MAX, DEFAULT("0"), "items to pass over") \
    X(S, i64, limit,  OPTIONAL, 1, 500, DEFAULT("100"), "items a page") \
    X(S, str, cursor, OPTIONAL, 0, 2000, NONE, "next_cursor of the page before; instead of skip")
SCHEMA_STRUCT(marketplace_query, MARKETPLACE_QUERY_FIELDS);
SCHEMA(marketplace_query, MARKETPLACE_QUERY_FIELDS, "Which entries");

/* ---- what goes out ---- */
#define MARKETPLACE_DATA_FIELDS(X, S) \
    X(S, str,  publisher, NULLABLE, 0, 0, NONE, "owner of the repository") \
    X(S, str,  license,   NULLABLE, 0, 0, NONE, "its own, else the repository's") \
    X(S, strs, tags,      REQUIRED, 0, 0, NONE, "from its frontmatter") \
    X(S, str,  version,   NULLABLE, 0, 0, NONE, "version its manifest names") \
    X(S, str,  source_id, REQUIRED, 0, 0, NONE, "the source it was found in") \
    X(S, str,  path,      REQUIRED, 0, 0, NONE, "where in the repository") \
    X(S, str,  sha,       NULLABLE, 0, 0, NONE, "commit of its content") \
    X(S, i64,  confidence, REQUIRED, 0, 0, NONE, "how sure the detector is, of 100")
SCHEMA_STRUCT(marketplace_data, MARKETPLACE_DATA_FIELDS);
SCHEMA(marketplace_data, MARKETPLACE_DATA_FIELDS, "What else is known of an entry");
#define FIELD_C_marketplace_data marketplace_data
#define FIELD_KIND_marketplace_data FIELD_OBJECT
#define FIELD_SUB_marketplace_data &marketplace_data_schema

#define MARKETPLACE_ITEM_FIELDS(X, S) \
    X(S, str,  id,          REQUIRED, 0, 0, NONE, "entry id") \
    X(S, str,  name,        REQUIRED, 0, 0, NONE, "its name") \
    X(S, str,  type,        REQUIRED, 0, 0, NONE, "what it is") \
    X(S, str,  url,         REQUIRED, 0, 0, FORMAT("uri"), "where a person can look at it") \
    X(S, str,  description, NULLABLE, 0, 0, NONE, "from its frontmatter") \
    X(S, time, cached_at,   REQUIRED, 0, 0, NONE, "when it last changed here") \
    X(S, marketplace_data, data, REQUIRED, 0, 0, NONE, "what else is known")
SCHEMA_STRUCT(marketplace_item, MARKETPLACE_ITEM_FIELDS);
SCHEMA(marketplace_item, MARKETPLACE_ITEM_FIELDS, "An entry of the marketplace");
#define FIELD_C_marketplace_rows rows
#define FIELD_KIND_marketplace_rows FIELD_ROWS
#define FIELD_SUB_marketplace_rows &marketplace_item_schema

#define MARKETPLACE_LIST_FIELDS(X, S) \
    X(S, marketplace_rows, items, REQUIRED, 0, 0, NONE, "by name, then id") \
    X(S, i64, total, REQUIRED, 0, 0, NONE, "all that match") \
    X(S, i64, skip,  REQUIRED, 0, 0, NONE, "as asked") \
    X(S, i64, limit, REQUIRED, 0, 0, NONE, "as asked") \
    X(S, str, next_cursor, NULLABLE, 0, 0, NONE, "cursor of the next page; null: this is the last")
SCHEMA_STRUCT(marketplace_list, MARKETPLACE_LIST_FIELDS);
SCHEMA(marketplace_list, MARKETPLACE_LIST_FIELDS, "A page of the marketplace");

#define REFRESH_JOB_FIELDS(X, S) \
    X(S, bool, is_running,    REQUIRED, 0, 0, NONE, "the scheduler runs: not while the store takes no writes") \
    X(S, time, next_run_time, NULLABLE, 0, 0, NONE, "when the next project or source is due") \
    X(S, time, last_run_time, NULLABLE, 0, 0, NONE, "when the last run over projects ended, or the last scan")
SCHEMA_STRUCT(refresh_job, REFRESH_JOB_FIELDS);
SCHEMA(refresh_job, REFRESH_JOB_FIELDS, "The scheduler");
#define FIELD_C_refresh_job refresh_job
#define FIELD_KIND_refresh_job FIELD_OBJECT
#define FIELD_SUB_refresh_job &refresh_job_schema

#define CACHE_STATUS_FIELDS(X, S) \
    X(S, i64,  total_projects,     REQUIRED, 0, 0, NONE, "projects") \
    X(S, i64,  total_artifacts,    REQUIRED, 0, 0, NONE, "their artifacts") \
    X(S, i64,  stale_projects,     REQUIRED, 0, 0, NONE, "projects past their TTL, or invalidated") \
    X(S, i64,  outdated_artifacts, REQUIRED, 0, 0, NONE, "artifacts with newer versions") \
    X(S, i64,  cache_size_bytes,   REQUIRED, 0, 0, NONE, "of the data file, in use") \
    X(S, time, oldest_entry,       NULLABLE, 0, 0, NONE, "the first of projects and sources' entries to be cached") \
    X(S, time, newest_entry,       NULLABLE, 0, 0, NONE, "the last of them") \
    X(S, time, last_refresh,       NULLABLE, 0, 0, NONE, "when a project or source was last learnt") \
    X(S, refresh_job, refresh_job_status, REQUIRED, 0, 0, NONE, "the scheduler") \
    X(S, i64,  refreshing,         REQUIRED, 0, 0, NONE, "refreshes of projects under way or queued") \
    X(S, i64,  total_sources,      REQUIRED, 0, 0, NONE, "registered sources") \
    X(S, i64,  total_entries,      REQUIRED, 0, 0, NONE, "live entries of all sources") \
    X(S, i64,  scanning_sources,   REQUIRED, 0, 0, NONE, "scans under way, queued or waiting")
SCHEMA_STRUCT(cache_status, CACHE_STATUS_FIELDS);
SCHEMA(cache_status, CACHE_STATUS_FIELDS, "What is cached");
/* clang-format on */

/* ---- the marketplace ---- */
/* "https://github.com/OWNER/..." -> OWNER */
static str owner_of(str url)
{
    str rest = str_from(url, sizeof("https://github.com/") - 1), owner = STR_NULL;

    return str_cut(&rest, '/', &owner) ? owner : STR_NULL;
}

static marketplace_item item_of(const entry *e)
{
    return (marketplace_item){
        .id = e->id,
        .name = e->name,
        .type = e->artifact_type,
        .url = e->upstream_url,
        .description = e->description,
        .cached_at = e->updated_at,
        .data = {.publisher = owner_of(e->upstream_url),
                 .license = e->license,
                 .tags = e->tags,
                 .version = e->detected_version,
                 .source_id = e->source_id,
                 .path = e->path,
                 .sha = e->detected_sha,
                 .confidence = e->confidence_score},
    };
}

static int write_marketplace(call *c, store_view *v)
{
    const marketplace_query *in = c->params;
    const page_at at = api_page_at(in->skip, in->limit, in->cursor);
    market_page page = {0};
    str type = STR_NULL;
    int r = 0;

    const bool known = !in->type.n || artifact_type_parse(in->type, &type) == 0;
    if (known)
        r = entries_live_page(v, c->arena, type, &at, &page);
    marketplace_item *items = r == 0 ? arena_array(c->arena, marketplace_item, page.n) : NULL;
    if (!items)
        return r < 0 ? r : -ENOMEM;
    for (size_t i = 0; i < page.n; i++)
        items[i] = item_of(&page.items[i]);
    const marketplace_list out = {.items = {items, page.n},
                                  .total = page.total,
                                  .skip = in->skip,
                                  .limit = in->limit,
                                  .next_cursor = page.next};
    schema_write(&marketplace_list_schema, &out, c->w);
    return 0;
}

static int get_marketplace(call *c)
{
    const marketplace_query *in = c->params;

    return call_read(c, write_marketplace, api_bad_cursor, in->skip > API_WALK_ON_LOOP);
}

/* ---- figures ---- */
/* 0: there is none. */
static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int read_figures(const api *app, cache_status *ret_status)
{
    const sources_stats *scans = sources_stats_of(app->sources);
    const projects_stats *refreshes = projects_stats_of(app->projects);
    store_stats st;
    sources_times times;
    projects_totals totals;
    store_view *v = store_read_begin(app->store);

    store_stats_of(app->store, &st);
    sources_times_of(v, &times);
    const int r = projects_totals_of(v, loop_now_wall_ms(app->loop), projects_ttl(app->projects), &totals);
    if (r == 0)
        *ret_status = (cache_status){
            .total_projects = totals.projects,
            .total_artifacts = totals.artifacts,
            .stale_projects = totals.stale,
            .outdated_artifacts = totals.outdated,
            .cache_size_bytes = (int64_t)st.used_bytes,
            .oldest_entry = earlier(totals.oldest_entry, times.oldest_entry),
            .newest_entry = later(totals.newest_entry, times.newest_entry),
            .last_refresh = later(totals.last_fetched, times.last_sync),
            .refresh_job_status = {.is_running = store_is_writable(app->store),
                                   .next_run_time = earlier(totals.next_refresh, times.next_scan),
                                   .last_run_time = later(totals.last_run, times.last_sync)},
            .refreshing = (int64_t)(refreshes->refreshing + refreshes->queued),
            .total_sources = (int64_t)store_count(v, &sources_ks),
            .total_entries = entries_live(v, STR_NULL),
            .scanning_sources = (int64_t)(scans->running + scans->queued + scans->waiting),
        };
    store_read_end(v);
    return r;
}

static int get_status(call *c)
{
    cache_status out;
    const int r = read_figures(c->app, &out);

    return r < 0 ? r : reply_entity(c, 200, &cache_status_schema, &out);
}

/* ---- rows ---- */
static const route rows_of_cache[] = {
    {HTTP_M_GET, "/api/v1/cache/status", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT, .reply = &cache_status_schema,
     .handle = get_status, .summary = "How much is cached, and how fresh it is"},
    {HTTP_M_GET, "/api/v1/cache/marketplace", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT,
     .params = &marketplace_query_schema, .reply = &marketplace_list_schema, .errors = "400", .etag_of = {&entries_ks},
     .handle = get_marketplace, .summary = "Entries of all sources"},
};
const route_table cache_routes = {rows_of_cache, COUNT_OF(rows_of_cache)};
