/* /api/v1/cache: what is cached, from all sources: the marketplace, search, figures. */
#include "larder/api.h"

const family family_cache = {
    .name = "cache",
    .prefix = "/api/v1/cache",
    .doc = "The artifact cache: search, marketplace, figures",
    .error_body = error_body_detail,
    .error = &error_detail_schema,
    .bad_params = 400,
    .bad_body = 422,
    .not_authorised = "Missing or invalid API key",
    .limits = LIMIT_CLIENT,
};

#define SKIP_ON_LOOP 1000 /* records that are passed over without becoming a job */

/* clang-format off */
/* ---- what comes in ---- */
#define MARKETPLACE_QUERY_FIELDS(X, S) \
    X(S, str, type,  OPTIONAL, 0, 50, NONE, "only this type") \
    X(S, i64, skip,  OPTIONAL, 0, INT32_MAX, DEFAULT("0"), "items to pass over") \
    X(S, i64, limit, OPTIONAL, 1, 500, DEFAULT("100"), "items a page")
SCHEMA_STRUCT(marketplace_query, MARKETPLACE_QUERY_FIELDS);
SCHEMA(marketplace_query, MARKETPLACE_QUERY_FIELDS, "Which entries");

#define SEARCH_QUERY_FIELDS(X, S) \
    X(S, str,    query,      REQUIRED, 1, 200, NONE, "a piece of the name, any case") \
    X(S, str,    project_id, OPTIONAL, 0, 500, NONE, "only artifacts of this project") \
    X(S, str,    type,       OPTIONAL, 0, 50, NONE, "only this type") \
    X(S, i64,    skip,       OPTIONAL, 0, INT32_MAX, DEFAULT("0"), "items to pass over") \
    X(S, i64,    limit,      OPTIONAL, 1, 200, DEFAULT("50"), "items a page") \
    X(S, choice, sort_by,    OPTIONAL, 0, 0, CHOICES_DEFAULT("relevance|name|type|updated", "relevance"), "order")
SCHEMA_STRUCT(search_params, SEARCH_QUERY_FIELDS);
SCHEMA(search_params, SEARCH_QUERY_FIELDS, "What to look for");

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
    X(S, i64, limit, REQUIRED, 0, 0, NONE, "as asked")
SCHEMA_STRUCT(marketplace_list, MARKETPLACE_LIST_FIELDS);
SCHEMA(marketplace_list, MARKETPLACE_LIST_FIELDS, "A page of the marketplace");

#define SEARCH_ITEM_FIELDS(X, S) \
    X(S, str, id,           REQUIRED, 0, 0, NONE, "entry id") \
    X(S, str, name,         REQUIRED, 0, 0, NONE, "its name") \
    X(S, str, type,         REQUIRED, 0, 0, NONE, "what it is") \
    X(S, str, project_id,   NULLABLE, 0, 0, NONE, "the project it is deployed in; null for an entry of a source") \
    X(S, str, project_name, NULLABLE, 0, 0, NONE, "that project's name") \
    X(S, f64, score,        REQUIRED, 0, 0, NONE, "100 exact, 80 prefix, 60 contains") \
    X(S, str, source_id,    NULLABLE, 0, 0, NONE, "the source it was found in") \
    X(S, str, url,          NULLABLE, 0, 0, FORMAT("uri"), "where a person can look at it")
SCHEMA_STRUCT(search_item, SEARCH_ITEM_FIELDS);
SCHEMA(search_item, SEARCH_ITEM_FIELDS, "An artifact whose name matches");
#define FIELD_C_search_rows rows
#define FIELD_KIND_search_rows FIELD_ROWS
#define FIELD_SUB_search_rows &search_item_schema

#define SEARCH_LIST_FIELDS(X, S) \
    X(S, search_rows, items, REQUIRED, 0, 0, NONE, "in the order asked for") \
    X(S, i64, total, REQUIRED, 0, 0, NONE, "all that match") \
    X(S, str, query, REQUIRED, 0, 0, NONE, "as asked") \
    X(S, i64, skip,  REQUIRED, 0, 0, NONE, "as asked") \
    X(S, i64, limit, REQUIRED, 0, 0, NONE, "as asked")
SCHEMA_STRUCT(search_list, SEARCH_LIST_FIELDS);
SCHEMA(search_list, SEARCH_LIST_FIELDS, "A page of search results");

#define REFRESH_JOB_FIELDS(X, S) \
    X(S, bool, is_running,    REQUIRED, 0, 0, NONE, "the scheduler runs") \
    X(S, time, next_run_time, NULLABLE, 0, 0, NONE, "when the next source is due") \
    X(S, time, last_run_time, NULLABLE, 0, 0, NONE, "when the last scan succeeded")
SCHEMA_STRUCT(refresh_job, REFRESH_JOB_FIELDS);
SCHEMA(refresh_job, REFRESH_JOB_FIELDS, "The scheduler");
#define FIELD_C_refresh_job refresh_job
#define FIELD_KIND_refresh_job FIELD_OBJECT
#define FIELD_SUB_refresh_job &refresh_job_schema

#define CACHE_STATUS_FIELDS(X, S) \
    X(S, i64,  total_projects,     REQUIRED, 0, 0, NONE, "projects") \
    X(S, i64,  total_artifacts,    REQUIRED, 0, 0, NONE, "live entries of all sources") \
    X(S, i64,  stale_projects,     REQUIRED, 0, 0, NONE, "projects past their TTL") \
    X(S, i64,  outdated_artifacts, REQUIRED, 0, 0, NONE, "artifacts with newer versions") \
    X(S, i64,  cache_size_bytes,   REQUIRED, 0, 0, NONE, "of the data file, in use") \
    X(S, time, oldest_entry,       NULLABLE, 0, 0, NONE, "the entry that has not changed for longest") \
    X(S, time, newest_entry,       NULLABLE, 0, 0, NONE, "the entry that changed last") \
    X(S, time, last_refresh,       NULLABLE, 0, 0, NONE, "when a source was last learnt") \
    X(S, refresh_job, refresh_job_status, REQUIRED, 0, 0, NONE, "the scheduler") \
    X(S, i64,  total_sources,      REQUIRED, 0, 0, NONE, "registered sources") \
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
    marketplace_list out = {.skip = in->skip, .limit = in->limit};
    str type = STR_NULL;
    const entry *entries = NULL;
    size_t n = 0;

    const bool known = !in->type.n || artifact_type_parse(in->type, &type) == 0;
    if (known) {
        out.total = entries_live(v, type);
        int r = entries_live_page(v, c->arena, type, (uint64_t)in->skip, (size_t)in->limit, &entries, &n);
        if (r < 0)
            return r;
    }
    marketplace_item *items = arena_array(c->arena, marketplace_item, n);
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        items[i] = item_of(&entries[i]);
    out.items = (rows){items, n};
    schema_write(&marketplace_list_schema, &out, c->w);
    return 0;
}

typedef struct long_read {
    store *store;
    int status;
    search_view *view; /* search only */
    search_query query;
    search_page page;
} long_read;

static void work_marketplace(call *c)
{
    long_read *l = c->user;
    store_view *v;

    l->status = store_read_begin_job(l->store, &v);
    if (l->status < 0)
        return;
    l->status = write_marketplace(c, v);
    store_read_end(v);
}

static int end_long_read(call *c)
{
    const long_read *l = c->user;

    return l->status < 0 ? l->status : reply_json(c, 200);
}

static int get_marketplace(call *c)
{
    const marketplace_query *in = c->params;
    api *app = c->app;

    if (in->skip > SKIP_ON_LOOP) {
        long_read *l = arena_new(c->arena, long_read);
        if (!l)
            return -ENOMEM;
        l->store = app->store;
        c->user = l;
        return call_job(c, work_marketplace, end_long_read);
    }
    store_view *v = store_read_begin(app->store);
    int r = write_marketplace(c, v);
    store_read_end(v);
    return r < 0 ? r : reply_json(c, 200);
}

/* ---- search ---- */
static search_item search_item_of(const search_hit *h, const entry *e)
{
    return (search_item){
        .id = h->id,
        .name = h->name,
        .type = artifact_type_name(h->type),
        .score = h->score,
        .source_id = e ? e->source_id : STR_NULL,
        .url = e ? e->upstream_url : STR_NULL,
    };
}

/* The index says what matches; the records say where it stands. An entry that went in between is told by its
 * name alone. */
static int write_search(call *c, store_view *v, const search_page *page)
{
    const search_params *in = c->params;
    search_list out = {.total = (int64_t)page->total, .query = in->query, .skip = in->skip, .limit = in->limit};
    search_item *items = arena_array(c->arena, search_item, page->n);

    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < page->n; i++) {
        entry *e = arena_new(c->arena, entry);
        if (!e)
            return -ENOMEM;
        const int r = entry_load(v, c->arena, page->hits[i].id, e);
        if (r < 0 && r != -ENOENT)
            return r;
        items[i] = search_item_of(&page->hits[i], r == 0 ? e : NULL);
    }
    out.items = (rows){items, page->n};
    schema_write(&search_list_schema, &out, c->w);
    return 0;
}

static void work_search(call *c)
{
    long_read *l = c->user;
    store_view *v;

    l->status = search_view_find(l->view, &l->query, c->arena, &l->page);
    search_view_free(l->view);
    if (l->status < 0)
        return;
    l->status = store_read_begin_job(l->store, &v);
    if (l->status < 0)
        return;
    l->status = write_search(c, v, &l->page);
    store_read_end(v);
}

static int search_as_job(call *c, const search_query *q)
{
    api *app = c->app;
    long_read *l = arena_new(c->arena, long_read);

    if (!l)
        return -ENOMEM;
    l->store = app->store;
    l->query = *q;
    l->view = search_view_new(app->search);
    if (!l->view)
        return -ENOMEM;
    c->user = l;
    int r = call_job(c, work_search, end_long_read);
    if (r < 0)
        search_view_free(l->view);
    return r;
}

static search_order order_of(str sort_by)
{
    return str_eq(sort_by, STR("name"))      ? SEARCH_BY_NAME
           : str_eq(sort_by, STR("type"))    ? SEARCH_BY_TYPE
           : str_eq(sort_by, STR("updated")) ? SEARCH_BY_UPDATED
                                             : SEARCH_BY_RELEVANCE;
}

static int find(call *c)
{
    const search_params *in = c->params;
    api *app = c->app;
    search_query q = {
        .text = in->query, .order = order_of(in->sort_by), .skip = (uint64_t)in->skip, .limit = (size_t)in->limit};
    search_page page = {0};
    str type;
    int r = 0;

    /* no projects yet */
    const bool known = (!in->type.n || artifact_type_parse(in->type, &type) == 0) && !in->project_id.n;
    if (in->type.n && known)
        q.types = UINT64_C(1) << artifact_type_number(type);
    if (known)
        r = search_find(app->search, &q, c->arena, &page);
    if (r == -E2BIG)
        return search_as_job(c, &q);
    if (r < 0)
        return r;
    store_view *v = store_read_begin(app->store);
    r = write_search(c, v, &page);
    store_read_end(v);
    return r < 0 ? r : reply_json(c, 200);
}

typedef struct late_search {
    search_wait wait;
    call *c;
} late_search;

static void on_search_ready(search_wait *w)
{
    call *c = CONTAINER_OF(w, late_search, wait)->c;
    const api *app = c->app;
    const int r = app->search_is_ready ? find(c) : -ECANCELED; /* the server stops */

    if (r < 0)
        (void)reply_errno(c, r);
}

static int get_search(call *c)
{
    api *app = c->app;

    if (app->search_is_ready)
        return find(c);
    late_search *late = arena_new(c->arena, late_search);
    if (!late || call_defer(c) < 0)
        return -ENOMEM;
    late->c = c;
    late->wait.ready = on_search_ready;
    list_push(&app->search_waits, &late->wait.link);
    return 0;
}

static uint64_t search_version(const void *app)
{
    return ((const api *)app)->search_version;
}

/* ---- figures ---- */
static int get_status(call *c)
{
    api *app = c->app;
    store_stats st;
    sources_times times;
    store_view *v = store_read_begin(app->store);
    const sources_stats *scans = sources_stats_of(app->sources);

    store_stats_of(app->store, &st);
    sources_times_of(v, &times);
    cache_status out = {
        .total_artifacts = entries_live(v, STR_NULL),
        .cache_size_bytes = (int64_t)st.used_bytes,
        .oldest_entry = times.oldest_entry,
        .newest_entry = times.newest_entry,
        .last_refresh = times.last_sync,
        .refresh_job_status = {.is_running = true, .next_run_time = times.next_scan, .last_run_time = times.last_sync},
        .total_sources = (int64_t)store_count(v, &sources_ks),
        .scanning_sources = (int64_t)(scans->running + scans->queued + scans->waiting),
    };
    store_read_end(v);
    return reply_entity(c, 200, &cache_status_schema, &out);
}

/* ---- rows ---- */
static const route rows_of_cache[] = {
    {HTTP_M_GET, "/api/v1/cache/status", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT, .reply = &cache_status_schema,
     .handle = get_status, .summary = "How much is cached, and how fresh it is"},
    {HTTP_M_GET, "/api/v1/cache/search", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT, .params = &search_params_schema,
     .reply = &search_list_schema, .errors = "400", .etag_of = {&entries_ks}, .etag_version = search_version,
     .handle = get_search, .summary = "Find artifacts by a piece of their name"},
    {HTTP_M_GET, "/api/v1/cache/marketplace", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT,
     .params = &marketplace_query_schema, .reply = &marketplace_list_schema, .errors = "400", .etag_of = {&entries_ks},
     .handle = get_marketplace, .summary = "Entries of all sources"},
};
const route_table cache_routes = {rows_of_cache, COUNT_OF(rows_of_cache)};
