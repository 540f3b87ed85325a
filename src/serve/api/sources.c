/* /api/v1/marketplace/sources: GitHub repositories and what was found in them. */
#include "larder/api.h"
#include "larder/repo_url.h"

const family family_sources = {
    .name = "sources",
    .prefix = "/api/v1/marketplace/sources",
    .doc = "GitHub repositories, their scans and what was found in them",
    .error_body = error_body_detail,
    .error = &error_detail_schema,
    .bad_params = 422,
    .bad_body = 422,
    .not_authorised = "Missing or invalid API key",
};

/* ---- what comes in ---- */
/* clang-format off */
#define SOURCE_REF_FIELDS(X, S) \
    X(S, str, id, REQUIRED, 1, 200, NONE, "source id")
SCHEMA_STRUCT(source_ref, SOURCE_REF_FIELDS);
SCHEMA(source_ref, SOURCE_REF_FIELDS, "Which source");

#define SOURCE_QUERY_FIELDS(X, S) \
    X(S, i64,  limit,         OPTIONAL, 1, 100, DEFAULT("50"), "items a page") \
    X(S, str,  cursor,        OPTIONAL, 0, 200, NONE, "end_cursor of the page before") \
    X(S, str,  artifact_type, OPTIONAL, 0, 50, NONE, "sources that hold one of this type") \
    X(S, strs, tags,          OPTIONAL, 0, 20, EACH(0, 50), "sources that have all of these tags") \
    X(S, str,  trust_level,   OPTIONAL, 0, 50, NONE, "exactly this trust level") \
    X(S, str,  search,        OPTIONAL, 0, 200, NONE, "text in owner, name, descriptions or tags, any case")
SCHEMA_STRUCT(source_query, SOURCE_QUERY_FIELDS);
SCHEMA(source_query, SOURCE_QUERY_FIELDS, "Filters, all of which must match");

#define ENTRY_QUERY_FIELDS(X, S) \
    X(S, str,    id,               REQUIRED, 1, 200, NONE, "source id") \
    X(S, i64,    limit,            OPTIONAL, 1, 100, DEFAULT("50"), "items a page") \
    X(S, str,    cursor,           OPTIONAL, 0, 200, NONE, "end_cursor of the page before") \
    X(S, str,    artifact_type,    OPTIONAL, 0, 50, NONE, "only this type") \
    X(S, choice, status, OPTIONAL, 0, 0, CHOICES("new|updated|removed|imported|excluded"), "only this status") \
    X(S, i64,    min_confidence,   OPTIONAL, 0, 100, DEFAULT("0"), "at least this sure") \
    X(S, i64,    max_confidence,   OPTIONAL, 0, 100, DEFAULT("100"), "at most this sure") \
    X(S, bool,   include_below_threshold, OPTIONAL, 0, 0, NONE, "kept for clients that send it: no entry is below 30") \
    X(S, bool,   include_excluded, OPTIONAL, 0, 0, NONE, "also excluded entries") \
    X(S, choice, sort_by,          OPTIONAL, 0, 0, CHOICES_DEFAULT("confidence|name|date", "confidence"), "order") \
    X(S, choice, sort_order,       OPTIONAL, 0, 0, CHOICES_DEFAULT("asc|desc", "desc"), "its direction") \
    X(S, str,    search,           OPTIONAL, 0, 200, NONE, "text in the name, any case")
SCHEMA_STRUCT(entry_query, ENTRY_QUERY_FIELDS);
SCHEMA(entry_query, ENTRY_QUERY_FIELDS, "Filters, all of which must match");

#define RESCAN_FIELDS(X, S) \
    X(S, str,  access_token, OPTIONAL | NULLABLE, 1, 500, NONE, "for this scan; never stored") \
    X(S, bool, force,        OPTIONAL | NULLABLE, 0, 0, NONE, "kept for clients that send it")
SCHEMA_STRUCT(rescan, RESCAN_FIELDS);
SCHEMA(rescan, RESCAN_FIELDS, "How to scan again");

#define INFER_URL_FIELDS(X, S) \
    X(S, str, url, REQUIRED, 1, 2000, NONE, "an address copied from a browser")
SCHEMA_STRUCT(infer_url, INFER_URL_FIELDS);
SCHEMA(infer_url, INFER_URL_FIELDS, "What to make out");

/* ---- what goes out ---- */
#define PAGE_INFO_FIELDS(X, S) \
    X(S, bool, has_next_page,     REQUIRED, 0, 0, NONE, "more follow: give end_cursor as cursor") \
    X(S, bool, has_previous_page, REQUIRED, 0, 0, NONE, "a cursor was given") \
    X(S, str,  start_cursor,      NULLABLE, 0, 0, NONE, "id of the first item") \
    X(S, str,  end_cursor,        NULLABLE, 0, 0, NONE, "id of the last item") \
    X(S, total, total_count,      NULLABLE, 0, 0, NONE, "all that match; null where nothing was filtered")
#define FIELD_C_total str /* a number or null: written raw */
#define FIELD_KIND_total FIELD_RAW
#define FIELD_SUB_total NULL
SCHEMA_STRUCT(page_info, PAGE_INFO_FIELDS);
SCHEMA(page_info, PAGE_INFO_FIELDS, "Where this page lies");
#define FIELD_C_page_info page_info
#define FIELD_KIND_page_info FIELD_OBJECT
#define FIELD_SUB_page_info &page_info_schema
#define FIELD_C_source_rows rows
#define FIELD_KIND_source_rows FIELD_ROWS
#define FIELD_SUB_source_rows &source_schema
#define FIELD_C_entry_rows rows
#define FIELD_KIND_entry_rows FIELD_ROWS
#define FIELD_SUB_entry_rows &entry_schema

#define SOURCE_LIST_FIELDS(X, S) \
    X(S, source_rows, items,    REQUIRED, 0, 0, NONE, "sources, in the order of their ids") \
    X(S, page_info,  page_info, REQUIRED, 0, 0, NONE, "where this page lies")
SCHEMA_STRUCT(source_list, SOURCE_LIST_FIELDS);
SCHEMA(source_list, SOURCE_LIST_FIELDS, "A page of sources");

#define ENTRY_LIST_FIELDS(X, S) \
    X(S, entry_rows, items,            REQUIRED, 0, 0, NONE, "entries, in the order asked for") \
    X(S, page_info,  page_info,        REQUIRED, 0, 0, NONE, "where this page lies") \
    X(S, counts,     counts_by_status, REQUIRED, 0, 0, NONE, "of all that match") \
    X(S, counts,     counts_by_type,   REQUIRED, 0, 0, NONE, "of all that match")
SCHEMA_STRUCT(entry_list, ENTRY_LIST_FIELDS);
SCHEMA(entry_list, ENTRY_LIST_FIELDS, "A page of a source's catalogue");

#define INFERRED_FIELDS(X, S) \
    X(S, bool, success,   REQUIRED, 0, 0, NONE, "whether it names a repository") \
    X(S, str,  repo_url,  NULLABLE, 0, 0, NONE, "https://github.com/<owner>/<repo>") \
    X(S, str,  ref,       NULLABLE, 0, 0, NONE, "the branch it shows, else main") \
    X(S, str,  root_hint, NULLABLE, 0, 0, NONE, "the folder it shows") \
    X(S, str,  error,     NULLABLE, 0, 0, NONE, "why not")
SCHEMA_STRUCT(inferred, INFERRED_FIELDS);
SCHEMA(inferred, INFERRED_FIELDS, "What the address shows");

static SCHEMA_BESIDE(scanned_source, source, scan_result, "A source, with what its scan found when one was waited for");
/* clang-format on */

/* ---- what the handlers share ---- */
static int not_found(call *c, str id)
{
    return reply_error(c, 404, "Source with ID '" STR_FMT "' not found", STR_ARG(id));
}

static page_info page_info_of(call *c, str cursor, size_t n, str first, str last, bool more, int64_t total)
{
    return (page_info){
        .has_next_page = more,
        .has_previous_page = cursor.p != NULL,
        .start_cursor = n ? first : STR_NULL,
        .end_cursor = n ? last : STR_NULL,
        .total_count = total < 0 ? STR_NULL : arena_printf(c->arena, "%lld", (long long)total),
    };
}

/* A source as stored, with what a scan found when one was waited for. */
static int reply_source(call *c, int status, str id, const scan_result *result)
{
    api *app = c->app;
    store_view *v = store_read_begin(app->store);
    source s = {0};

    int r = source_load(v, c->arena, id, &s);
    if (r == 0) {
        json_object(c->w);
        schema_write_members(&source_schema, &s, c->w);
        if (result)
            schema_write_members(&scan_result_schema, result, c->w);
        json_end(c->w);
    }
    store_read_end(v);
    if (r == -ENOENT)
        return not_found(c, id);
    return r < 0 ? r : reply_json(c, status);
}

/* ---- tasks: a change, then its reply, then perhaps a wait for the scan ---- */
typedef struct change {
    source_task task; /* first: the service's */
    call *c;
    int status;       /* of success */
    int64_t wait_ms;  /* how long the client would wait for the scan */
    scan_waiter waiter;
    timer timer;
    bool waits;       /* the task is done */
} change;

/* The reply ends the call, and with it `ch`: nothing of it is touched afterwards. */
static void reply_for(change *ch, const scan_result *result)
{
    call *c = ch->c;
    const int r = reply_source(c, ch->status, ch->task.id, result);

    if (r < 0) /* then it has not replied */
        (void)reply_errno(c, r);
}

/* GitHub's quota is used up. */
static void reply_later(change *ch)
{
    call *c = ch->c;
    api *app = c->app;
    const int64_t ms = ch->task.retry_at - loop_now_wall_ms(app->loop);
    const str seconds = arena_printf(c->arena, "%lld", (long long)(ms > 0 ? ms / 1000 + 1 : 1));

    if (seconds.p)
        reply_header(c, STR("Retry-After"), seconds);
    (void)reply_error(c, 503, "Failed to validate directory paths: " STR_FMT, STR_ARG(ch->task.why));
}

static void reply_failure(change *ch)
{
    call *c = ch->c;
    const source_task *t = &ch->task;

    switch (t->status) {
    case -ENOENT:
        (void)not_found(c, t->id);
        break;
    case -EEXIST:
        (void)reply_error(c, 409, "Source with repository URL '" STR_FMT "' already exists",
                          STR_ARG(t->create->repo_url));
        break;
    case -EBUSY:
        (void)reply_error(c, 409, "Source '" STR_FMT "' is already scanning", STR_ARG(t->id));
        break;
    case -EDESTADDRREQ:
        (void)reply_error(c, 400, STR_FMT, STR_ARG(t->why));
        break;
    case -EINVAL:
        (void)reply_error(c, 422, STR_FMT, STR_ARG(t->why));
        break;
    case -EAGAIN:
        reply_later(ch);
        break;
    case -EREMOTEIO:
        (void)reply_error(c, 500, "Failed to validate directory paths: " STR_FMT, STR_ARG(t->why));
        break;
    default:
        (void)reply_errno(c, t->status);
    }
}

static void end_wait(change *ch, const scan_result *result)
{
    api *app = ch->c->app;

    sources_wait_cancel(&ch->waiter);
    loop_timer_cancel(app->loop, &ch->timer);
    reply_for(ch, result);
}

static void on_scan_end(scan_waiter *w, const scan_result *result)
{
    end_wait(w->user, result);
}

static void on_wait_over(timer *t)
{
    end_wait(CONTAINER_OF(t, change, timer), NULL);
}

/* Nobody waits any more. */
static void on_gone(call *c)
{
    change *ch = c->user;

    if (ch->waits)
        end_wait(ch, NULL);
    else
        sources_cancel(&ch->task);
}

static void on_task(source_task *t)
{
    change *ch = CONTAINER_OF(t, change, task);
    api *app = ch->c->app;

    if (t->status < 0) {
        reply_failure(ch);
        return;
    }
    if (t->ret_id.p)
        t->id = t->ret_id;
    if (ch->status == 204) {
        (void)reply_empty(ch->c, 204);
        return;
    }
    ch->waiter.on_end = on_scan_end;
    ch->waiter.user = ch;
    if (ch->wait_ms == 0 || ch->c->req->gone || !sources_wait(app->sources, t->id, &ch->waiter)) {
        reply_for(ch, NULL);
        return;
    }
    ch->waits = true;
    if (loop_timer_set(app->loop, &ch->timer, ch->wait_ms, on_wait_over) < 0)
        end_wait(ch, NULL);
}

/* A deferred call with its task; NULL after -ENOMEM. */
static change *change_new(call *c, int status)
{
    change *ch = arena_new(c->arena, change);

    if (!ch || call_defer(c) < 0)
        return NULL;
    ch->c = c;
    c->user = ch;
    c->on_gone = on_gone;
    ch->status = status;
    ch->task.arena = c->arena;
    ch->task.on_done = on_task;
    ch->wait_ms = call_wait_ms(c);
    return ch;
}

/* The member of the body, for its shape is more than a schema says; null counts as absent. */
static const json_value *manual_map_of(const call *c)
{
    const json_value *v = json_get(c->body_json, "manual_map");

    return json_is(v, JSON_NULL) ? NULL : v;
}

/* ---- handlers ---- */
static int post_source(call *c)
{
    api *app = c->app;
    change *ch = change_new(c, 201);

    if (!ch)
        return -ENOMEM;
    ch->task.create = c->body;
    ch->task.manual_map = manual_map_of(c);
    sources_create(app->sources, &ch->task);
    return 0;
}

static int patch_source(call *c)
{
    const source_ref *in = c->params;
    const source_update *u = c->body;
    api *app = c->app;

    if (u->given == 0)
        return reply_error(c, 400, "At least one update parameter must be provided");
    change *ch = change_new(c, 200);
    if (!ch)
        return -ENOMEM;
    ch->task.id = in->id;
    ch->task.update = u;
    ch->task.manual_map = manual_map_of(c);
    sources_change(app->sources, &ch->task);
    return 0;
}

static int delete_source(call *c)
{
    const source_ref *in = c->params;
    api *app = c->app;
    change *ch = change_new(c, 204);

    if (!ch)
        return -ENOMEM;
    ch->task.id = in->id;
    sources_remove(app->sources, &ch->task);
    return 0;
}

static int post_rescan(call *c)
{
    const source_ref *in = c->params;
    const rescan *how = c->body;
    api *app = c->app;
    change *ch = change_new(c, 200);

    if (!ch)
        return -ENOMEM;
    ch->task.id = in->id;
    if (how)
        ch->task.access_token = how->access_token;
    sources_rescan(app->sources, &ch->task);
    return 0;
}

static int get_source(call *c)
{
    const source_ref *in = c->params;
    api *app = c->app;
    store_view *v = store_read_begin(app->store);
    source s = {0};

    int r = source_load(v, c->arena, in->id, &s);
    if (r == 0)
        schema_write(&source_schema, &s, c->w);
    store_read_end(v);
    if (r == -ENOENT)
        return not_found(c, in->id);
    return r < 0 ? r : reply_json(c, 200);
}

/* ---- lists ---- */
static int write_sources(call *c, store_view *v)
{
    const source_query *in = c->params;
    source_filter f = {.trust_level = api_given(in->trust_level), .search = api_given(in->search), .tags = in->tags};
    source_page page;

    if (in->artifact_type.n && artifact_type_parse(in->artifact_type, &f.artifact_type) < 0)
        f.artifact_type = in->artifact_type; /* which no source has */
    int r = sources_list(v, c->arena, &f, api_given(in->cursor), (size_t)in->limit, &page);
    if (r < 0)
        return r;
    const source_list out = {
        .items = {page.items, page.n},
        .page_info = page_info_of(c, in->cursor, page.n, page.n ? page.items[0].id : STR_NULL,
                                  page.n ? page.items[page.n - 1].id : STR_NULL, page.more, page.total),
    };
    schema_write(&source_list_schema, &out, c->w);
    return 0;
}

static int list_sources(call *c)
{
    const source_query *in = c->params;
    const bool filtered = in->artifact_type.n || in->trust_level.n || in->search.n || in->tags.n;
    api *app = c->app;
    store_view *v = store_read_begin(app->store);
    const uint64_t n = store_count(v, &sources_ks);

    store_read_end(v);
    return call_read(c, write_sources, NULL, filtered && n > API_WALK_ON_LOOP);
}

static int write_entries(call *c, store_view *v)
{
    const entry_query *in = c->params;
    entry_filter f = {
        .status = in->status,
        .search = api_given(in->search),
        .min_confidence = in->min_confidence,
        .max_confidence = in->max_confidence,
        .include_excluded = in->include_excluded,
    };
    const entry_sort sort = str_eq(in->sort_by, STR("name"))   ? ENTRY_SORT_NAME
                            : str_eq(in->sort_by, STR("date")) ? ENTRY_SORT_DATE
                                                               : ENTRY_SORT_CONFIDENCE;
    entry_page page;

    if (in->artifact_type.n && artifact_type_parse(in->artifact_type, &f.artifact_type) < 0)
        f = (entry_filter){.min_confidence = 101}; /* no such type: nothing matches */
    int r = entries_list(v, c->arena, in->id, &f, sort, str_eq(in->sort_order, STR("desc")), api_given(in->cursor),
                         (size_t)in->limit, &page);
    if (r < 0)
        return r == -ENOENT ? -ESTALE : r;
    const entry_list out = {
        .items = {page.items, page.n},
        .page_info = page_info_of(c, in->cursor, page.n, page.n ? page.items[0].id : STR_NULL,
                                  page.n ? page.items[page.n - 1].id : STR_NULL, page.more, page.total),
        .counts_by_status = page.by_status,
        .counts_by_type = page.by_type,
    };
    schema_write(&entry_list_schema, &out, c->w);
    return 0;
}

static int bad_entry_cursor(call *c, int err)
{
    if (err != -ESTALE)
        return err;
    return reply_error(c, 400, "Invalid cursor: no such entry. Start again without it");
}

static int list_entries(call *c)
{
    const entry_query *in = c->params;
    api *app = c->app;
    store_view *v = store_read_begin(app->store);
    const bool known = store_has(v, &sources_ks, in->id);
    const bool is_long = entries_of_source(v, in->id) > API_WALK_ON_LOOP;

    store_read_end(v);
    if (!known)
        return not_found(c, in->id);
    return call_read(c, write_entries, bad_entry_cursor, is_long);
}

static int post_infer_url(call *c)
{
    const infer_url *in = c->body;
    inferred out = {0};
    repo_place place;

    int r = repo_url_infer(c->arena, in->url, &place);
    if (r == -ENOMEM)
        return r;
    if (r == 0)
        out = (inferred){.success = true, .repo_url = place.repo.url, .ref = place.ref, .root_hint = place.root_hint};
    else
        out.error = STR("Invalid GitHub URL format. Expected: https://github.com/owner/repo[/tree/branch[/path]]");
    return reply_entity(c, 200, &inferred_schema, &out);
}

/* ---- rows ---- */
static const route rows_of_sources[] = {
    {HTTP_M_POST, "/api/v1/marketplace/sources", &family_sources, SCOPE_SOURCES_WRITE, LIMIT_KEY,
     .body = &source_create_schema, .flags = ALLOW_EXTRA | MAY_WAIT | HAS_SECRET, .reply = &scanned_source_schema,
     .reply_status = 201,
     .errors = "400 409 422 500 507", .handle = post_source,
     .summary = "Register a repository and scan it; Prefer: wait=N waits for the scan and adds its counts"},
    {HTTP_M_GET, "/api/v1/marketplace/sources", &family_sources, SCOPE_SOURCES_READ, LIMIT_KEY,
     .params = &source_query_schema, .reply = &source_list_schema, .errors = "422", .etag_of = {&sources_ks},
     .handle = list_sources, .summary = "Sources, filtered, in pages"},
    {HTTP_M_POST, "/api/v1/marketplace/sources/infer-url", &family_sources, SCOPE_SOURCES_READ, LIMIT_KEY,
     .body = &infer_url_schema, .flags = ALLOW_EXTRA, .reply = &inferred_schema, .errors = "400 422",
     .handle = post_infer_url, .summary = "What repository, branch and folder an address shows"},
    {HTTP_M_GET, "/api/v1/marketplace/sources/{id}", &family_sources, SCOPE_SOURCES_READ, LIMIT_KEY,
     .params = &source_ref_schema, .reply = &source_schema, .errors = "404", .etag_of = {&sources_ks},
     .handle = get_source, .summary = "One source"},
    {HTTP_M_PATCH, "/api/v1/marketplace/sources/{id}", &family_sources, SCOPE_SOURCES_WRITE, LIMIT_KEY,
     .params = &source_ref_schema, .body = &source_update_schema, .flags = ALLOW_EXTRA, .reply = &source_schema,
     .errors = "400 404 422 500 507", .handle = patch_source,
     .summary = "Change a source; it is not rescanned by that"},
    {HTTP_M_DELETE, "/api/v1/marketplace/sources/{id}", &family_sources, SCOPE_SOURCES_WRITE, LIMIT_KEY,
     .params = &source_ref_schema, .reply_status = 204, .errors = "404 507", .handle = delete_source,
     .summary = "Forget a source and its catalogue"},
    {HTTP_M_POST, "/api/v1/marketplace/sources/{id}/rescan", &family_sources, SCOPE_SOURCES_WRITE, LIMIT_KEY,
     .params = &source_ref_schema, .body = &rescan_schema,
     .flags = ALLOW_EXTRA | BODY_OPTIONAL | MAY_WAIT | HAS_SECRET, .reply = &scanned_source_schema,
     .errors = "400 404 409 422 507", .handle = post_rescan,
     .summary = "Scan again; Prefer: wait=N waits for the scan and adds its counts"},
    {HTTP_M_GET, "/api/v1/marketplace/sources/{id}/artifacts", &family_sources, SCOPE_SOURCES_READ, LIMIT_KEY,
     .params = &entry_query_schema, .reply = &entry_list_schema, .errors = "400 404 422",
     .etag_of = {&sources_ks, &entries_ks}, .handle = list_entries, .summary = "A source's catalogue"},
};
const route_table sources_routes = {rows_of_sources, COUNT_OF(rows_of_sources)};
