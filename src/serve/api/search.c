/* /api/v1/cache/search: artifacts of projects and entries of sources, by a piece of their name. The index says what
 * matches; the records say where it stands. */
#include "larder/api.h"

/* clang-format off */
#define SEARCH_QUERY_FIELDS(X, S) \
    X(S, str,    query,      REQUIRED, 1, 200, NONE, "a piece of the name, any case") \
    X(S, str,    project_id, OPTIONAL, 0, PROJECT_ID_MAX, NONE, "only artifacts of this project") \
    X(S, str,    type,       OPTIONAL, 0, 50, NONE, "only this type") \
    X(S, i64,    skip,       OPTIONAL, 0, INT32_MAX, DEFAULT("0"), "items to pass over") \
    X(S, i64,    limit,      OPTIONAL, 1, 200, DEFAULT("50"), "items a page") \
    X(S, choice, sort_by,    OPTIONAL, 0, 0, CHOICES_DEFAULT("relevance|name|type|updated", "relevance"), "order") \
    X(S, str,    cursor,     OPTIONAL, 0, 2000, NONE, "next_cursor of the page before; instead of skip")
SCHEMA_STRUCT(search_params, SEARCH_QUERY_FIELDS);
SCHEMA(search_params, SEARCH_QUERY_FIELDS, "What to look for");

#define SEARCH_ITEM_FIELDS(X, S) \
    X(S, str, id,           REQUIRED, 0, 0, NONE, "artifact or entry id") \
    X(S, str, name,         REQUIRED, 0, 0, NONE, "its name") \
    X(S, str, type,         REQUIRED, 0, 0, NONE, "what it is") \
    X(S, str, project_id,   NULLABLE, 0, 0, NONE, "the project it is deployed in; null for an entry of a source") \
    X(S, str, project_name, NULLABLE, 0, 0, NONE, "that project's name") \
    X(S, f64, score,        REQUIRED, 0, 0, NONE, "100 exact, 80 prefix, 60 contains") \
    X(S, str, source_id,    NULLABLE, 0, 0, NONE, "the source it was found in; null for an artifact of a project") \
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
    X(S, i64, limit, REQUIRED, 0, 0, NONE, "as asked") \
    X(S, str, next_cursor, NULLABLE, 0, 0, NONE, "cursor of the next page; null: this is the last")
SCHEMA_STRUCT(search_list, SEARCH_LIST_FIELDS);
SCHEMA(search_list, SEARCH_LIST_FIELDS, "A page of search results");
/* clang-format on */

typedef struct finding {
    search_query query;
    search_hit place; /* query.after */
    search_page page;
    search_view *view; /* to be asked on a worker; NULL: the page is there */
} finding;

/* ---- places: a number that the list is sorted by, id, name ---- */
static uint8_t mark_of(search_order order)
{
    return (uint8_t)(0x74 + order);
}

static int64_t number_of(search_order order, const search_hit *h)
{
    switch (order) {
    case SEARCH_BY_RELEVANCE:
        return h->score;
    case SEARCH_BY_TYPE:
        return h->type;
    case SEARCH_BY_UPDATED:
        return h->updated_ms;
    case SEARCH_BY_NAME:
        break;
    }
    return 0;
}

static int place_text(arena *a, search_order order, const search_hit *h, str *ret_text)
{
    const str bytes = arena_printf(a, "%lld " STR_FMT " " STR_FMT, (long long)number_of(order, h), STR_ARG(h->id),
                                   STR_ARG(h->name));

    return bytes.p ? page_place_text(a, mark_of(order), bytes, ret_text) : -ENOMEM;
}

static int place_read(arena *a, search_order order, str cursor, search_hit *ret_place)
{
    str rest, number, id;
    int64_t n;

    const int r = page_place_bytes(a, mark_of(order), cursor, &rest);
    if (r < 0)
        return r;
    if (!str_cut(&rest, ' ', &number) || str_to_i64(number, &n) < 0 || !str_cut(&rest, ' ', &id) || id.n == 0 ||
        rest.n == 0 || (order != SEARCH_BY_UPDATED && (n < 0 || n > UINT8_MAX)))
        return -EINVAL;
    *ret_place = (search_hit){.id = id, .name = rest, .updated_ms = n, .type = (uint8_t)n, .score = (uint8_t)n};
    return 0;
}

/* ---- what was found, and where it stands ---- */
static int stands_in_project(store_view *v, arena *a, search_item *item)
{
    artifact x;
    const int r = artifact_load(v, a, item->id, &x);

    if (r == 0) {
        item->project_id = x.project_id;
        item->project_name = x.project_name;
    }
    return r;
}

static int stands_in_source(store_view *v, arena *a, search_item *item)
{
    entry e;
    const int r = entry_load(v, a, item->id, &e);

    if (r == 0) {
        item->source_id = e.source_id;
        item->url = e.upstream_url;
    }
    return r;
}

/* What has gone since the index learnt it is told by its name alone. */
static int item_of(store_view *v, arena *a, const search_hit *h, search_item *ret_item)
{
    *ret_item =
        (search_item){.id = h->id, .name = h->name, .type = artifact_type_name(h->type), .score = (double)h->score};
    const int r = h->project ? stands_in_project(v, a, ret_item) : stands_in_source(v, a, ret_item);
    return r == -ENOENT ? 0 : r;
}

/* On the loop, or on a worker, where the index is still to be asked. */
static int write_found(call *c, store_view *v)
{
    const search_params *in = c->params;
    finding *f = c->user;
    int r = 0;

    if (f->view) {
        r = search_view_find(f->view, &f->query, c->arena, &f->page);
        search_view_free(f->view);
        f->view = NULL;
    }
    search_item *items = r == 0 ? arena_array(c->arena, search_item, f->page.n) : NULL;
    if (!items)
        return r < 0 ? r : -ENOMEM;
    for (size_t i = 0; i < f->page.n && r == 0; i++)
        r = item_of(v, c->arena, &f->page.hits[i], &items[i]);
    if (r < 0)
        return r;
    search_list out = {.items = {items, f->page.n},
                             .total = (int64_t)f->page.total,
                             .query = in->query,
                             .skip = in->skip,
                             .limit = in->limit};
    if (f->page.more)
        r = place_text(c->arena, f->query.order, &f->page.hits[f->page.n - 1], &out.next_cursor);
    if (r < 0)
        return r;
    schema_write(&search_list_schema, &out, c->w);
    return 0;
}

/* ---- asking ---- */
static search_order order_of(str sort_by)
{
    return str_eq(sort_by, STR("name"))      ? SEARCH_BY_NAME
           : str_eq(sort_by, STR("type"))    ? SEARCH_BY_TYPE
           : str_eq(sort_by, STR("updated")) ? SEARCH_BY_UPDATED
                                             : SEARCH_BY_RELEVANCE;
}

static void drop_view(void *arg)
{
    finding *f = arg;

    search_view_free(f->view);
}

/* A view that no worker got to is freed with the request. */
static int take_view(call *c, finding *f)
{
    const api *app = c->app;
    const int r = arena_defer(c->arena, drop_view, f);

    if (r == 0)
        f->view = search_view_new(app->search);
    return r < 0 ? r : f->view ? 0 : -ENOMEM;
}

static int find(call *c)
{
    const search_params *in = c->params;
    const api *app = c->app;
    finding *f = arena_new(c->arena, finding);
    str type;
    int r = 0;

    if (!f)
        return -ENOMEM;
    c->user = f;
    f->query = (search_query){.text = in->query,
                              .project = in->project_id.n ? search_project_number(in->project_id) : 0,
                              .order = order_of(in->sort_by),
                              .skip = (uint64_t)in->skip,
                              .limit = (size_t)in->limit};
    if (in->cursor.n) {
        r = place_read(c->arena, f->query.order, in->cursor, &f->place);
        f->query.after = &f->place;
    }
    if (r < 0)
        return api_bad_cursor(c, r);
    const bool known = !in->type.n || artifact_type_parse(in->type, &type) == 0;
    if (in->type.n && known)
        f->query.types = UINT64_C(1) << artifact_type_number(type);
    if (known)
        r = search_find(app->search, &f->query, c->arena, &f->page);
    if (r == -E2BIG)
        r = take_view(c, f);
    return r < 0 ? r : call_read(c, write_found, NULL, f->view != NULL);
}

/* ---- while the index learns after a start ---- */
typedef struct late_search {
    search_wait wait;
    call *c;
} late_search;

static void on_search_ready(search_wait *w)
{
    call *c = CONTAINER_OF(w, late_search, wait)->c;
    const api *app = c->app;
    const int r = app->search_is_ready ? find(c) : -EAGAIN; /* it takes longer, or the server stops */

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

static const route rows_of_search[] = {
    {HTTP_M_GET, "/api/v1/cache/search", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT, .params = &search_params_schema,
     .reply = &search_list_schema, .errors = "400", .etag_of = {&entries_ks, &artifacts_ks, &project_changes_ks},
     .etag_version = search_version, .handle = get_search,
     .summary = "Find artifacts of projects and entries of sources by a piece of their name"},
};
const route_table search_routes = {rows_of_search, COUNT_OF(rows_of_search)};
