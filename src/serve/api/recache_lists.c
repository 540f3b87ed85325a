/* /internal: what is stored and what is queued. Parameters are read by hand, in the order and
 * with the texts that clients of the family know. */
#include "recache_shared.h"

#include "larder/hash.h"

#define LIST_MOST 100
#define LIST_USUAL 25

/* ---- what comes in ---- */
/* clang-format off */
#define RECACHE_LIST_QUERY_FIELDS(X, S) \
    X(S, str, host_id,       OPTIONAL, 0, 0, NONE, "host, as configured") \
    X(S, str, cursor,        OPTIONAL, 0, 0, NONE, "of the page before") \
    X(S, str, limit,         OPTIONAL, 0, 0, NONE, "1 to 100; 25") \
    X(S, str, status,        OPTIONAL, 0, 0, NONE, "list of active, stale, expired") \
    X(S, str, dimension,     OPTIONAL, 0, 0, NONE, "list of names") \
    X(S, str, url_contains,  OPTIONAL, 0, 0, NONE, "part of the URL, any case") \
    X(S, str, size_min,      OPTIONAL, 0, 0, NONE, "bytes") \
    X(S, str, size_max,      OPTIONAL, 0, 0, NONE, "bytes") \
    X(S, str, cache_age_min, OPTIONAL, 0, 0, NONE, "seconds") \
    X(S, str, cache_age_max, OPTIONAL, 0, 0, NONE, "seconds") \
    X(S, str, status_code,   OPTIONAL, 0, 0, NONE, "list of HTTP statuses") \
    X(S, str, source,        OPTIONAL, 0, 0, NONE, "list of render, bypass") \
    X(S, str, index_status,  OPTIONAL, 0, 0, NONE, "list of 1 to 4") \
    X(S, str, priority,      OPTIONAL, 0, 0, NONE, "list of high, normal, autorecache")
SCHEMA_STRUCT(recache_list_query, RECACHE_LIST_QUERY_FIELDS);
SCHEMA(recache_list_query, RECACHE_LIST_QUERY_FIELDS, "What to list");
/* clang-format on */

int recache_read_number(call *c, str text, int64_t least, const char *complaint, int64_t *ret)
{
    int64_t n;

    if (!text.p)
        return 0;
    if (str_to_i64(text, &n) < 0 || n < least)
        return reply_error(c, 400, "%s", complaint);
    *ret = n;
    return 0;
}

const recache_host *recache_read_host(call *c, str text)
{
    int64_t id = 0;

    (void)recache_read_number(c, text, INT64_MIN, "host_id must be a valid integer", &id);
    if (c->replied)
        return NULL;
    const recache_host *h = id > 0 ? recache_host_by_id(recache_of(c), id) : NULL;
    if (id <= 0)
        (void)reply_error(c, 400, "host_id is required");
    else if (!h)
        (void)recache_host_missing(c, 404, id);
    return h;
}

static size_t read_limit(call *c, str text)
{
    int64_t limit = LIST_USUAL;

    (void)recache_read_number(c, text, 1, "limit must be between 1 and 100", &limit);
    if (!c->replied && limit > LIST_MOST)
        (void)reply_error(c, 400, "limit must be between 1 and 100");
    return (size_t)limit;
}

/* "0" and nothing at all are the beginning. */
static str read_cursor(str text)
{
    return str_eq(text, STR("0")) || text.n == 0 ? STR_NULL : text;
}

static str cursor_text(str cursor)
{
    return cursor.p ? cursor : STR("0");
}

static str dimension_name(const recache_host *h, int64_t id)
{
    const recache_dimension *d = recache_dimension_by_id(h, id);

    return d ? d->name : STR("unknown");
}

/* Cuts the next value of a comma list, trimmed. */
static bool next_value(str *rest, str *ret_value)
{
    if (!str_cut(rest, ',', ret_value))
        return false;
    *ret_value = str_trim(*ret_value);
    return true;
}

static int bad_filter(call *c, const char *name, str value)
{
    return reply_error(c, 400, "invalid %s filter: " STR_FMT, name, STR_ARG(str_head(value, 200)));
}

/* ---- urls ---- */
#define FILTER_LIST_MOST 64

static int read_dimensions(call *c, const recache_host *h, str rest, recache_page_filter *f)
{
    uint16_t *ids = arena_array(c->arena, uint16_t, FILTER_LIST_MOST);
    str name;

    if (!ids)
        return -ENOMEM;
    while (next_value(&rest, &name)) {
        const recache_dimension *d = recache_dimension_by_name(h, name);
        if (!d || f->n_dimensions == FILTER_LIST_MOST)
            return reply_error(c, 400, "dimension '" STR_FMT "' not configured for host", STR_ARG(str_head(name, 200)));
        ids[f->n_dimensions++] = d->id;
    }
    f->dimensions = ids;
    return 0;
}

static int read_statuses(call *c, str rest, recache_page_filter *f)
{
    str value;

    while (next_value(&rest, &value)) {
        if (str_eq(value, STR("active")))
            f->fresh = true;
        else if (str_eq(value, STR("stale")))
            f->stale = true;
        else if (str_eq(value, STR("expired")))
            f->expired = true;
        else
            return bad_filter(c, "status", value);
    }
    return 0;
}

static int read_codes(call *c, str rest, recache_page_filter *f)
{
    int64_t *codes = arena_array(c->arena, int64_t, FILTER_LIST_MOST), n;
    str value;

    if (!codes)
        return -ENOMEM;
    while (next_value(&rest, &value)) {
        if (str_to_i64(value, &n) < 0 || f->n_status_codes == FILTER_LIST_MOST)
            return bad_filter(c, "status_code", value);
        codes[f->n_status_codes++] = n;
    }
    f->status_codes = codes;
    return 0;
}

static int read_sources(call *c, str rest, recache_page_filter *f)
{
    str value;

    while (next_value(&rest, &value)) {
        if (str_eq(value, STR("render")))
            f->render = true;
        else if (str_eq(value, STR("bypass")))
            f->bypass = true;
        else
            return bad_filter(c, "source", value);
    }
    return 0;
}

static int read_index_statuses(call *c, str rest, recache_page_filter *f)
{
    int64_t n;
    str value;

    while (next_value(&rest, &value)) {
        if (str_to_i64(value, &n) < 0 || n < 1 || n > 4)
            return bad_filter(c, "index_status", value);
        f->index_statuses |= 1u << n;
    }
    return 0;
}

static int read_bounds(call *c, const recache_list_query *in, recache_page_filter *f)
{
    const struct {
        str text;
        const char *complaint;
        int64_t *to;
    } bounds[] = {{in->size_min, "invalid size_min filter: must be an integer of at least 0", &f->size_min},
                  {in->size_max, "invalid size_max filter: must be an integer of at least 0", &f->size_max},
                  {in->cache_age_min, "invalid cache_age_min filter: must be an integer of at least 0", &f->age_min},
                  {in->cache_age_max, "invalid cache_age_max filter: must be an integer of at least 0", &f->age_max}};

    for (size_t i = 0; i < COUNT_OF(bounds) && !c->replied; i++)
        (void)recache_read_number(c, bounds[i].text, 0, bounds[i].complaint, bounds[i].to);
    if (!c->replied && f->size_max >= 0 && f->size_max < f->size_min)
        return reply_error(c, 400, "size_max must be >= size_min");
    if (!c->replied && f->age_max >= 0 && f->age_max < f->age_min)
        return reply_error(c, 400, "cache_age_max must be >= cache_age_min");
    return 0;
}

static int read_filter(call *c, const recache_host *h, const recache_list_query *in, recache_page_filter *f)
{
    int r = read_statuses(c, in->status, f);

    if (r == 0 && !c->replied)
        r = read_dimensions(c, h, in->dimension, f);
    if (r == 0 && !c->replied && in->url_contains.n > 200)
        r = reply_error(c, 400, "url_contains must be at most 200 bytes");
    f->url_contains = in->url_contains;
    if (r == 0 && !c->replied)
        r = read_bounds(c, in, f);
    if (r == 0 && !c->replied)
        r = read_codes(c, in->status_code, f);
    if (r == 0 && !c->replied)
        r = read_sources(c, in->source, f);
    if (r == 0 && !c->replied)
        r = read_index_statuses(c, in->index_status, f);
    return r;
}

static recache_url_item url_item(arena *a, const recache_host *h, const recache_page *p, int64_t now)
{
    static const char *const states[] = {
        [RECACHE_PAGE_MISS] = "expired", [RECACHE_PAGE_FRESH] = "active", [RECACHE_PAGE_STALE] = "stale"};
    char hash[RECACHE_HASH_LEN];
    recache_hash_text(hash64(p->url.p, p->url.n), hash);
    return (recache_url_item){
        .url = p->url,
        .title = p->title.p ? p->title : STR(""),
        .dimension = dimension_name(h, p->dimension_id),
        .status = str_c(states[recache_page_state_at(p, now)]),
        .cache_age = now > p->created_at ? (now - p->created_at) / 1000 : 0,
        .size = p->size,
        .disk_size = p->disk_size,
        .last_access = (p->last_access > p->created_at ? p->last_access : p->created_at) / 1000,
        .cache_key = arena_printf(a, "cache:%lld:%lld:" STR_FMT, (long long)p->host_id, (long long)p->dimension_id,
                                  RECACHE_HASH_LEN, hash),
        .created_at = p->created_at / 1000,
        .expires_at = p->expires_at / 1000,
        .status_code = p->status_code,
        .source = p->source,
        .index_status = p->index_status,
        .last_bot_hit = p->last_bot_hit ? arena_printf(a, "%lld", (long long)(p->last_bot_hit / 1000)) : STR_NULL,
    };
}

typedef struct url_job {
    store *store;
    uint32_t host_id; /* the host is looked up anew in `then` */
    recache_page_filter filter;
    str cursor;
    size_t limit;
    int64_t now;
    int status;
    recache_page_list found;
} url_job;

static void work_urls(call *c)
{
    url_job *j = c->user;
    store_view *v;

    j->status = store_read_begin_job(j->store, &v);
    if (j->status < 0)
        return;
    j->status = recache_pages_list(v, c->arena, j->host_id, &j->filter, j->now, j->cursor, j->limit, &j->found);
    store_read_end(v);
}

static int then_urls(call *c)
{
    const url_job *j = c->user;
    const recache_host *h = recache_host_by_id(recache_of(c), j->host_id);
    recache_url_item *items = arena_array(c->arena, recache_url_item, j->found.n + 1);

    if (j->status == -EINVAL)
        return reply_error(c, 400, "invalid cursor");
    if (j->status < 0)
        return j->status;
    if (!h)
        return recache_host_missing(c, 404, j->host_id);
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < j->found.n; i++)
        items[i] = url_item(c->arena, h, &j->found.items[i], j->now);
    const recache_url_list out = {
        .items = {items, j->found.n}, .cursor = cursor_text(j->found.cursor), .has_more = j->found.cursor.p != NULL};
    return recache_reply_data(c, &recache_url_list_schema, &out);
}

static int get_urls(call *c)
{
    const recache_list_query *in = c->params;
    url_job *j = arena_new(c->arena, url_job);
    const recache_host *h = recache_read_host(c, in->host_id);

    if (!h || !j)
        return h ? -ENOMEM : 0;
    *j = (url_job){.store = ((api *)c->app)->store,
                   .host_id = h->id,
                   .filter = RECACHE_PAGE_FILTER_ANY,
                   .cursor = read_cursor(in->cursor),
                   .now = loop_now_wall_ms(((api *)c->app)->loop)};
    j->limit = read_limit(c, in->limit);
    if (c->replied)
        return 0;
    const int r = read_filter(c, h, in, &j->filter);
    c->user = j;
    return r < 0 || c->replied ? r : call_job(c, work_urls, then_urls);
}

/* ---- summary ---- */
typedef struct summary_job {
    store *store;
    uint32_t host_id;
    int64_t now;
    int status;
    recache_page_summary found;
} summary_job;

static void work_summary(call *c)
{
    summary_job *j = c->user;
    store_view *v;

    j->status = store_read_begin_job(j->store, &v);
    if (j->status < 0)
        return;
    j->status = recache_pages_summary(v, j->host_id, j->now, &j->found);
    store_read_end(v);
}

static int then_summary(call *c)
{
    const summary_job *j = c->user;
    const recache_page_summary *s = &j->found;
    const recache_host *h = recache_host_by_id(recache_of(c), j->host_id);
    count_of *dimensions = arena_array(c->arena, count_of, s->n_dimensions + 1);
    const count_of makers[] = {{STR("render"), s->render}, {STR("bypass"), s->bypass}};

    if (j->status < 0)
        return j->status;
    if (!h)
        return recache_host_missing(c, 404, j->host_id);
    if (!dimensions)
        return -ENOMEM;
    for (size_t i = 0; i < s->n_dimensions; i++) {
        const recache_dimension *d = recache_dimension_by_id(h, s->dimensions[i].id);
        const str name = d ? d->name : arena_printf(c->arena, "unknown_%u", s->dimensions[i].id);
        dimensions[i] = (count_of){name, s->dimensions[i].n};
    }
    const recache_summary out = {.total_urls = s->total,
                                 .active_count = s->fresh,
                                 .stale_count = s->stale,
                                 .expired_count = s->expired,
                                 .total_size = s->size,
                                 .by_dimension = {dimensions, s->n_dimensions},
                                 .by_source = {makers, COUNT_OF(makers)}};
    return recache_reply_data(c, &recache_summary_schema, &out);
}

static int get_summary(call *c)
{
    const recache_list_query *in = c->params;
    summary_job *j = arena_new(c->arena, summary_job);
    const recache_host *h = recache_read_host(c, in->host_id);

    if (!h || !j)
        return h ? -ENOMEM : 0;
    *j = (summary_job){
        .store = ((api *)c->app)->store, .host_id = h->id, .now = loop_now_wall_ms(((api *)c->app)->loop)};
    c->user = j;
    return call_job(c, work_summary, then_summary);
}

/* ---- queues ---- */
static int read_priorities(call *c, str rest, unsigned *ret)
{
    recache_priority p;
    str value;

    *ret = rest.n ? 0 : (1u << RECACHE_PRIORITIES) - 1;
    while (rest.n && next_value(&rest, &value)) {
        if (recache_priority_parse(value, &p) < 0)
            return bad_filter(c, "priority", value);
        *ret |= 1u << p;
    }
    return 0;
}

static int get_queue(call *c)
{
    const recache_list_query *in = c->params;
    const recache_host *h = recache_read_host(c, in->host_id);
    const size_t limit = h ? read_limit(c, in->limit) : 0;
    recache_queue_page found = {0};
    unsigned priorities;

    if (!h || c->replied)
        return 0;
    (void)read_priorities(c, in->priority, &priorities);
    if (c->replied)
        return 0;
    store_view *v = store_read_begin(((api *)c->app)->store);
    int r = recache_queue_list(v, c->arena, h->id, priorities, read_cursor(in->cursor), limit, &found);
    if (r == -EINVAL) /* rubbish is the beginning */
        r = recache_queue_list(v, c->arena, h->id, priorities, STR_NULL, limit, &found);
    store_read_end(v);
    recache_queue_item *items = arena_array(c->arena, recache_queue_item, found.n + 1);
    if (r < 0 || !items)
        return r < 0 ? r : -ENOMEM;
    for (size_t i = 0; i < found.n; i++)
        items[i] = (recache_queue_item){.url = found.items[i].url,
                                        .dimension = dimension_name(h, found.items[i].dimension),
                                        .priority = recache_priority_name(found.items[i].priority),
                                        .scheduled_at = found.items[i].due / 1000};
    const recache_queue_entries out = {
        .items = {items, found.n}, .cursor = cursor_text(found.cursor), .has_more = found.cursor.p != NULL};
    return recache_reply_data(c, &recache_queue_entries_schema, &out);
}

static int get_queue_summary(call *c)
{
    const recache_list_query *in = c->params;
    const recache_host *h = recache_read_host(c, in->host_id);
    int64_t totals[RECACHE_PRIORITIES];

    if (!h)
        return 0;
    store_view *v = store_read_begin(((api *)c->app)->store);
    recache_queue_totals(v, h->id, totals);
    store_read_end(v);
    recache_queue_summary out = {.processing = recache_under_way(recache_of(c), h->id)};
    for (size_t i = 0; i < RECACHE_PRIORITIES; i++)
        out.pending += totals[i];
    /* Each is in its queue until it is stored; for a moment after that it is taken off though it has left. */
    out.pending = out.pending > out.processing ? out.pending - out.processing : 0;
    return recache_reply_data(c, &recache_queue_summary_schema, &out);
}

static int get_dead_letters(call *c)
{
    const recache_list_query *in = c->params;
    const recache_host *h = recache_read_host(c, in->host_id);
    const size_t limit = h ? read_limit(c, in->limit) : 0;
    recache_dead_page found = {0};

    if (!h || c->replied)
        return 0;
    store_view *v = store_read_begin(((api *)c->app)->store);
    const int r = recache_dead_list(v, c->arena, h->id, read_cursor(in->cursor), limit, &found);
    const recache_dead_letters out = {.items = {found.items, found.n},
                                      .total = recache_dead_count(v, h->id),
                                      .cursor = cursor_text(found.cursor),
                                      .has_more = found.cursor.p != NULL};
    if (r == 0) { /* its texts lie in the view */
        recache_envelope_begin(c);
        schema_write(&recache_dead_letters_schema, &out, c->w);
    }
    store_read_end(v);
    if (r == -EINVAL)
        return reply_error(c, 400, "invalid cursor");
    return r < 0 ? r : recache_envelope_end(c);
}

/* ---- rows ---- */
static const route rows_of_lists[] = {
    {HTTP_M_GET, "/internal/cache/urls", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .params = &recache_list_query_schema, .reply = &recache_url_list_reply_schema, .errors = "404", .handle = get_urls,
     .summary = "Stored pages of a host"},
    {HTTP_M_GET, "/internal/cache/summary", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .params = &recache_list_query_schema, .reply = &recache_summary_reply_schema, .errors = "404",
     .handle = get_summary, .summary = "Stored pages of a host in figures"},
    {HTTP_M_GET, "/internal/cache/queue", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .params = &recache_list_query_schema, .reply = &recache_queue_reply_schema, .errors = "404", .handle = get_queue,
     .summary = "What is queued of a host"},
    {HTTP_M_GET, "/internal/cache/queue/summary", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .params = &recache_list_query_schema, .reply = &recache_queue_summary_reply_schema, .errors = "404",
     .handle = get_queue_summary, .summary = "How much is queued of a host"},
    {HTTP_M_GET, "/internal/cache/dead-letters", &family_recache, SCOPE_PUBLIC, LIMIT_NONE,
     .params = &recache_list_query_schema, .reply = &recache_dead_reply_schema, .errors = "404",
     .handle = get_dead_letters, .summary = "What was given up of a host, and why"},
};
const route_table recache_list_routes = {rows_of_lists, COUNT_OF(rows_of_lists)};
