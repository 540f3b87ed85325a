/* The OpenAPI 3.1 document: what the rows say, once more for machines. */
#include "router.h"

#include <ctype.h>
#include <stdio.h>

#include "larder/version.h"

#define DEFAULT_STATUS 0 /* among statuses: all others */

/* ---- what is described ---- */
static bool is_shown(const route *row)
{
    return !(row->flags & NO_DOCUMENT);
}

static bool has_path_param(const route *row, const char *name)
{
    str param;

    for (size_t i = 0; (param = route_param_name(row, i)).p; i++)
        if (str_eq(param, str_c(name)))
            return true;
    return false;
}

/* ---- responses ---- */
/* A set of statuses, kept in order, for a response is named once. */
typedef struct statuses {
    int v[24];
    size_t n;
} statuses;

static void add_status(statuses *s, int status)
{
    size_t at = 0;

    while (at < s->n && s->v[at] < status)
        at++;
    if ((at < s->n && s->v[at] == status) || !EXPECT(s->n < COUNT_OF(s->v)))
        return;
    memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof(s->v[0]));
    s->v[at] = status;
    s->n++;
}

static void errors_of(const route *row, statuses *ret_errors)
{
    str rest = str_c(row->errors), word;
    int64_t status;

    *ret_errors = (statuses){0};
    while (str_cut(&rest, ' ', &word))
        if (EXPECT(str_to_i64(word, &status) == 0 && status >= 400 && status < 600))
            add_status(ret_errors, (int)status);
    if (row->params)
        add_status(ret_errors, row->family->bad_params);
    if (row->body) {
        add_status(ret_errors, 400);
        add_status(ret_errors, row->family->bad_body);
    }
    if (row->scope != SCOPE_PUBLIC) {
        add_status(ret_errors, 401);
        add_status(ret_errors, 403);
    } else if (row->method != HTTP_M_GET) {
        add_status(ret_errors, 403); /* a page of another site */
    }
    if (row->family->admits)
        add_status(ret_errors, 401);
    if (row->limits != LIMIT_NONE)
        add_status(ret_errors, 429);
}

static void put_reference(json *w, const schema *s)
{
    buf path = BUF_INIT;

    buf_printf(&path, "#/components/schemas/%s", s->name);
    json_object(w);
    /* without memory the document fails as well */
    json_pair_str(w, "$ref", path.err ? STR("#") : buf_view(&path));
    json_end(w);
    buf_done(&path);
}

/* "content": one media type with its schema; `s` NULL is any text, or for JSON any object. */
static void put_content(json *w, const char *type, const schema *s)
{
    str rest = type ? str_c(type) : STR("application/json"), media = STR_NULL;

    (void)str_cut(&rest, ';', &media); /* without its parameters */
    json_key(w, STR("content"));
    json_object(w);
    json_key(w, media);
    json_object(w);
    json_key(w, STR("schema"));
    if (s) {
        put_reference(w, s);
    } else {
        json_object(w);
        json_pair_str(w, "type", type ? STR("string") : STR("object"));
        json_end(w);
    }
    json_end(w);
    json_end(w);
}

static void put_header(json *w, str name, str type, str doc)
{
    json_key(w, name);
    json_object(w);
    json_pair_str(w, "description", doc);
    json_key(w, STR("schema"));
    json_object(w);
    json_pair_str(w, "type", type);
    json_end(w);
    json_end(w);
}

static bool has_tag(const route *row)
{
    return row->etag_of[0] || (row->flags & HAS_ETAG);
}

static void put_headers(json *w, const route *row, int status)
{
    const bool has_etag = has_tag(row) && (status == 200 || status == 304);

    if (!has_etag && row->limits == LIMIT_NONE)
        return;
    json_key(w, STR("headers"));
    json_object(w);
    if (has_etag)
        put_header(w, STR("ETag"), STR("string"), STR("for If-None-Match"));
    if (row->limits != LIMIT_NONE) {
        put_header(w, STR("X-RateLimit-Limit"), STR("integer"),
                   STR("requests a window takes; absent where there is no limit"));
        put_header(w, STR("X-RateLimit-Remaining"), STR("integer"), STR("how many are left"));
        put_header(w, STR("X-RateLimit-Reset"), STR("integer"), STR("when there will be more, in Unix seconds"));
    }
    if (status == 429)
        put_header(w, STR("Retry-After"), STR("integer"), STR("seconds to wait"));
    json_end(w);
}

static void open_response(json *w, const route *row, int status)
{
    char digits[16];

    if (status == DEFAULT_STATUS) {
        json_key(w, STR("default"));
    } else {
        (void)snprintf(digits, sizeof(digits), "%d", status);
        json_key(w, str_c(digits));
    }
    json_object(w);
    json_pair_str(w, "description",
                  status == DEFAULT_STATUS ? STR("Any other failure") : str_c(http_status_text(status)));
    if (status != DEFAULT_STATUS)
        put_headers(w, row, status);
}

static void put_success(json *w, const route *row, int status)
{
    open_response(w, row, status);
    if (status != 204 && status != 304)
        put_content(w, row->reply_type, row->reply);
    json_end(w);
}

static void put_failure(json *w, const route *row, int status)
{
    open_response(w, row, status);
    put_content(w, NULL, row->family->error);
    json_end(w);
}

static void put_responses(json *w, const route *row)
{
    statuses errors;

    errors_of(row, &errors);
    json_key(w, STR("responses"));
    json_object(w);
    put_success(w, row, row->reply_status ? row->reply_status : 200);
    if (has_tag(row))
        put_success(w, row, 304);
    if (row->other_status)
        put_success(w, row, row->other_status);
    for (size_t i = 0; i < errors.n; i++)
        put_failure(w, row, errors.v[i]);
    put_failure(w, row, DEFAULT_STATUS);
    json_end(w);
}

/* ---- operations ---- */
/* "get_sources_by_id_artifacts": the method, the family, what the path says behind the family's prefix. */
static void put_operation_id(json *w, const route *row)
{
    str rest = str_from(str_c(row->path), strlen(row->family->prefix)), segment;
    buf id = BUF_INIT;

    buf_printf(&id, "%s_%s", http_method_name(row->method), row->family->name);
    while (str_cut(&rest, '/', &segment)) {
        if (segment.n == 0)
            continue;
        const bool is_param = segment.p[0] == '{';
        buf_str(&id, is_param ? STR("_by_") : STR("_"));
        buf_str(&id, is_param ? str_of(segment.p + 1, segment.n - 2) : segment);
    }
    for (size_t i = 0; i < id.n; i++)
        id.p[i] = isalnum((unsigned char)id.p[i]) ? (char)tolower((unsigned char)id.p[i]) : '_';
    json_pair_str(w, "operationId", id.err ? STR("") : buf_view(&id));
    buf_done(&id);
}

static void put_prefer(json *w)
{
    json_object(w);
    json_pair_str(w, "name", STR("Prefer"));
    json_pair_str(w, "in", STR("header"));
    json_pair_bool(w, "required", false);
    json_pair_str(w, "description", STR("wait=N: answer when what was asked for is done, after N seconds at most"));
    json_key(w, STR("schema"));
    json_object(w);
    json_pair_str(w, "type", STR("string"));
    json_end(w);
    json_pair_str(w, "example", STR("wait=30"));
    json_end(w);
}

static void put_parameters(json *w, const route *row)
{
    json_key(w, STR("parameters"));
    json_array(w);
    for (size_t i = 0; row->params && i < row->params->n; i++) {
        const field *f = &row->params->fields[i];
        const bool in_path = has_path_param(row, f->name);
        json_object(w);
        json_pair_str(w, "name", str_c(f->name));
        json_pair_str(w, "in", in_path ? STR("path") : STR("query"));
        json_pair_bool(w, "required", in_path || (f->flags & REQUIRED));
        json_pair_str(w, "description", str_c(f->doc));
        json_key(w, STR("schema"));
        schema_describe_field(f, w);
        json_end(w);
    }
    if (row->flags & MAY_WAIT)
        put_prefer(w);
    json_end(w);
}

#define FAMILY_SCHEME "internal" /* of families with a key of their own */

static void put_scheme(json *w, const char *scheme, const char *scope)
{
    json_object(w);
    json_key(w, str_c(scheme));
    json_array(w);
    if (scope)
        json_put_str(w, str_c(scope));
    json_end(w);
    json_end(w);
}

static void put_security(json *w, const route *row)
{
    static const char *const SCHEMES[] = {"bearer", "api_key"};

    json_key(w, STR("security"));
    json_array(w);
    for (size_t i = 0; row->scope != SCOPE_PUBLIC && i < COUNT_OF(SCHEMES); i++)
        put_scheme(w, SCHEMES[i], access_scope_name(row->scope));
    if (row->family->admits)
        put_scheme(w, FAMILY_SCHEME, NULL);
    json_end(w);
}

static void put_operation(json *w, const route *row, arena *a)
{
    json_key(w, arena_lower(a, str_c(http_method_name(row->method))));
    json_object(w);
    put_operation_id(w, row);
    json_pair_str(w, "summary", str_c(row->summary));
    json_key(w, STR("tags"));
    json_array(w);
    json_put_str(w, str_c(row->family->name));
    json_end(w);
    put_security(w, row);
    put_parameters(w, row);
    if (row->body) {
        json_key(w, STR("requestBody"));
        json_object(w);
        json_pair_bool(w, "required", !(row->flags & BODY_OPTIONAL));
        put_content(w, NULL, row->body);
        json_end(w);
    }
    put_responses(w, row);
    json_end(w);
}

/* Rows of one path may stand apart: the first that is shown brings the others along. */
static void put_paths(json *w, const route *const *shown, size_t n, arena *a)
{
    json_key(w, STR("paths"));
    json_object(w);
    for (size_t i = 0; i < n; i++) {
        size_t first = 0;
        while (strcmp(shown[first]->path, shown[i]->path) != 0)
            first++;
        if (first < i)
            continue;
        json_key(w, str_c(shown[i]->path));
        json_object(w);
        for (size_t k = i; k < n; k++)
            if (strcmp(shown[k]->path, shown[i]->path) == 0)
                put_operation(w, shown[k], a);
        json_end(w);
    }
    json_end(w);
}

/* ---- components ---- */
typedef struct schema_set {
    const schema **v;
    size_t n, cap;
} schema_set;

/* With all that its fields refer to. -EINVAL for another of the same name, -ENOMEM. */
static int add_schema(schema_set *set, const schema *s)
{
    for (size_t i = 0; s && i < set->n; i++) {
        if (set->v[i] == s)
            return 0;
        if (strcmp(set->v[i]->name, s->name) == 0)
            return -EINVAL;
    }
    if (!s)
        return 0;
    if (set->n == set->cap) {
        const size_t cap = set->cap ? 2 * set->cap : 32;
        const schema **v = mem_realloc(set->v, cap * sizeof(const schema *));
        if (!v)
            return -ENOMEM;
        set->v = v;
        set->cap = cap;
    }
    set->v[set->n++] = s;
    int r = add_schema(set, s->base);
    const schema *const own = s->beside ? s->beside : s; /* what stands beside another is described in its place */
    for (size_t i = 0; i < own->n && r == 0; i++)
        if (!(own->fields[i].flags & HIDDEN))
            r = add_schema(set, own->fields[i].sub);
    return r;
}

static int collect(schema_set *set, const route *const *shown, size_t n)
{
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        r = add_schema(set, shown[i]->body);
        if (r == 0)
            r = add_schema(set, shown[i]->reply);
        if (r == 0)
            r = add_schema(set, shown[i]->family->error);
    }
    return r;
}

static void put_components(json *w, const schema_set *set)
{
    json_key(w, STR("components"));
    json_object(w);
    json_key(w, STR("securitySchemes"));
    json_object(w);
    json_key(w, STR("bearer"));
    json_object(w);
    json_pair_str(w, "type", STR("http"));
    json_pair_str(w, "scheme", STR("bearer"));
    json_pair_str(w, "description", STR("A key. The scopes it needs are listed with each operation."));
    json_end(w);
    json_key(w, STR("api_key"));
    json_object(w);
    json_pair_str(w, "type", STR("apiKey"));
    json_pair_str(w, "in", STR("header"));
    json_pair_str(w, "name", STR("X-API-Key"));
    json_pair_str(w, "description", STR("The same key in a header of its own."));
    json_end(w);
    json_key(w, STR(FAMILY_SCHEME));
    json_object(w);
    json_pair_str(w, "type", STR("apiKey"));
    json_pair_str(w, "in", STR("header"));
    json_pair_str(w, "name", STR("X-Internal-Auth"));
    json_pair_str(w, "description", STR("The key that the family's servers and gateways share."));
    json_end(w);
    json_end(w);
    json_key(w, STR("schemas"));
    json_object(w);
    for (size_t i = 0; i < set->n; i++) {
        json_key(w, str_c(set->v[i]->name));
        schema_describe(set->v[i], w);
    }
    json_end(w);
    json_end(w);
}

static void put_head(json *w, const router *r)
{
    json_pair_str(w, "openapi", STR("3.1.0"));
    json_key(w, STR("info"));
    json_object(w);
    json_pair_str(w, "title", STR("Larder"));
    json_pair_str(w, "version", STR(LARDER_VERSION));
    json_pair_str(
        w, "description",
        STR("Keeps caches fresh and says how fresh they are. HEAD is answered wherever GET is. Where the operator "
            "opens a family, its operations need no key; a wrong one is refused all the same."));
    json_end(w);
    json_key(w, STR("tags"));
    json_array(w);
    for (size_t i = 0; i < r->o.n_families; i++) {
        json_object(w);
        json_pair_str(w, "name", str_c(r->o.families[i]->name));
        json_pair_str(w, "description", str_c(r->o.families[i]->doc));
        json_end(w);
    }
    json_end(w);
}

static int write_document(json *w, const router *r, arena *a, const route *const *shown, size_t n)
{
    schema_set set = {0};
    const int err = collect(&set, shown, n);

    if (err == 0) {
        json_object(w);
        put_head(w, r);
        put_paths(w, shown, n, a);
        put_components(w, &set);
        json_end(w);
    }
    mem_free(set.v);
    return err;
}

int route_describe(const router *r, arena *a, str *ret_document)
{
    const route **shown = arena_array(a, const route *, r->n_rows);
    size_t n = 0;
    buf out = BUF_INIT;
    json w;

    if (!shown)
        return -ENOMEM;
    for (size_t i = 1; i <= r->n_rows; i++)
        if (is_shown(r->stats[i].route))
            shown[n++] = r->stats[i].route;
    json_begin(&w, &out);
    int err = write_document(&w, r, a, shown, n);
    if (err == 0)
        err = json_finish(&w);
    const str text = err == 0 ? arena_dup(a, buf_view(&out)) : STR_NULL;
    buf_done(&out);
    if (err < 0)
        return err;
    if (!text.p)
        return -ENOMEM;
    *ret_document = text;
    return 0;
}
