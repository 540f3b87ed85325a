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
    X(S, time, next_run_time, NULLABLE, 0, 0, NONE, "when the next project or source is due; now while it waits") \
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
static int64_t earlier(int64_t a, int64_t b) /* 0: there is none */
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* What is due waits for its turn: never a time that is past. */
static int64_t not_past(int64_t at, int64_t now)
{
    return at != 0 && at < now ? now : at;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int api_figures_of(store *s, int64_t now, int64_t ttl_ms, api_figures *ret_figures)
{
    store_stats st;
    sources_times times;
    projects_totals p;
    store_view *v = store_read_begin(s);

    store_stats_of(s, &st);
    sources_times_of(v, &times);
    const int r = projects_totals_of(v, now, ttl_ms, &p);
    if (r == 0)
        *ret_figures = (api_figures){
            .projects = p.projects,
            .artifacts = p.artifacts,
            .stale = p.stale,
            .outdated = p.outdated,
            .sources = (int64_t)store_count(v, &sources_ks),
            .entries = entries_live(v, STR_NULL),
            .used_bytes = (int64_t)st.used_bytes,
            .oldest_entry = earlier(p.oldest_entry, times.oldest_entry),
            .newest_entry = later(p.newest_entry, times.newest_entry),
            .last_refresh = later(p.last_fetched, times.last_sync),
            .last_run = later(p.last_run, times.last_sync),
            .next_run = not_past(earlier(p.next_refresh, times.next_scan), now),
        };
    store_read_end(v);
    return r;
}

/* What is under way: known without the store. */
typedef struct activity {
    uint64_t refreshing, scanning;
} activity;

static activity activity_of(const api *app)
{
    const sources_stats *scans = sources_stats_of(app->sources);
    const projects_stats *refreshes = projects_stats_of(app->projects);

    return (activity){.refreshing = refreshes->refreshing + refreshes->queued,
                      .scanning = scans->running + scans->queued + scans->waiting};
}

static int get_status(call *c)
{
    const api *app = c->app;
    const activity now = activity_of(app);
    api_figures f;

    const int r = api_figures_of(app->store, loop_now_wall_ms(app->loop), projects_ttl(app->projects), &f);
    if (r < 0)
        return r;
    const cache_status out = {
        .total_projects = f.projects,
        .total_artifacts = f.artifacts,
        .stale_projects = f.stale,
        .outdated_artifacts = f.outdated,
        .cache_size_bytes = f.used_bytes,
        .oldest_entry = f.oldest_entry,
        .newest_entry = f.newest_entry,
        .last_refresh = f.last_refresh,
        .refresh_job_status = {.is_running = store_is_writable(app->store),
                               .next_run_time = f.next_run,
                               .last_run_time = f.last_run},
        .refreshing = (int64_t)now.refreshing,
        .total_sources = f.sources,
        .total_entries = f.entries,
        .scanning_sources = (int64_t)now.scanning,
    };
    return reply_entity(c, 200, &cache_status_schema, &out);
}

/* What the figures depend on beside the content of keyspaces: also time, which makes projects stale. */
static uint64_t status_version(const void *arg)
{
    const api *app = arg;
    const activity now = activity_of(app);
    store_stats st;
    sources_times times;
    store_view *v = store_read_begin(app->store);

    store_stats_of(app->store, &st);
    const int64_t wall = loop_now_wall_ms(app->loop);
    const int64_t next_stale = projects_next_stale(v, wall, projects_ttl(app->projects));
    sources_times_of(v, &times);
    const int64_t due = earlier(projects_next_refresh(v), times.next_scan);
    store_read_end(v);
    const uint64_t all[] = {now.refreshing, now.scanning, store_is_writable(app->store), st.used_bytes,
                            (uint64_t)next_stale,
                            due != 0 && due < wall ? (uint64_t)wall / 1000 : 0}; /* then it says now */
    return hash64(all, sizeof(all));
}

/* ---- rows ---- */
static const route rows_of_cache[] = {
    {HTTP_M_GET, "/api/v1/cache/status", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT, .reply = &cache_status_schema,
     .etag_of = {&projects_ks, &artifacts_ks, &project_changes_ks, &refresh_state_ks, &sources_ks, &entries_ks},
     .etag_version = status_version, .handle = get_status, .summary = "How much is cached, and how fresh it is"},
    {HTTP_M_GET, "/api/v1/cache/marketplace", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT,
     .params = &marketplace_query_schema, .reply = &marketplace_list_schema, .errors = "400", .etag_of = {&entries_ks},
     .handle = get_marketplace, .summary = "Entries of all sources"},
};
const route_table cache_routes = {rows_of_cache, COUNT_OF(rows_of_cache)};
