/* Rows become a tree of segments once; a request walks it. */
#include "router.h"

#include "larder/hash.h"
#include "larder/version.h"

/* ---- building ---- */
static node *child_of(router *r, node *at, str segment)
{
    const bool is_param = segment.n > 1 && segment.p[0] == '{';
    node *n;

    if (is_param && at->param)
        return at->param;
    for (n = at->children; !is_param && n; n = n->next)
        if (str_eq(n->segment, segment))
            return n;
    n = arena_new(&r->arena, node);
    if (!n)
        return NULL;
    n->segment = segment;
    if (is_param) {
        at->param = n;
    } else {
        n->next = at->children;
        at->children = n;
    }
    return n;
}

str route_param_name(const route *row, size_t i)
{
    str rest = str_c(row->path), segment;

    while (str_cut(&rest, '/', &segment))
        if (segment.n > 2 && segment.p[0] == '{' && i-- == 0)
            return str_of(segment.p + 1, segment.n - 2);
    return STR_NULL;
}

static const field *field_of(const schema *s, str name)
{
    for (size_t i = 0; s && i < s->n; i++)
        if (str_eq(str_c(s->fields[i].name), name))
            return &s->fields[i];
    return NULL;
}

static bool is_path_param(const field *f)
{
    return f && (f->flags & REQUIRED) && f->kind != FIELD_STRS;
}

static bool fits_prefix(str path, const family *f)
{
    const str prefix = str_c(f->prefix);

    return str_starts(path, prefix) &&
           (path.n == prefix.n || path.p[prefix.n] == '/' || (prefix.n && prefix.p[prefix.n - 1] == '/'));
}

static bool is_sound(const route *row)
{
    str name;

    if (row->method >= HTTP_METHODS || row->method == HTTP_M_HEAD || row->method == HTTP_M_OPTIONS)
        return false; /* these two are everybody's */
    if (!row->handle || !row->family || !row->summary || row->scope > SCOPE_PUBLIC || row->path[0] != '/')
        return false;
    if (!fits_prefix(str_c(row->path), row->family) || (row->etag_of[0] && row->method != HTTP_M_GET))
        return false;
    for (size_t i = 0; (name = route_param_name(row, i)).p; i++)
        if (i == PATH_PARAMS_MAX || !is_path_param(field_of(row->params, name)))
            return false;
    return true;
}

static int put_row(node *at, const route *row)
{
    str name;

    if (at->rows[row->method])
        return -EINVAL;
    for (size_t i = 0; (name = route_param_name(row, i)).p; i++) {
        if (at->has_rows && !str_eq(at->names[i], name))
            return -EINVAL;
        at->names[i] = name;
    }
    at->rows[row->method] = row;
    at->has_rows = true;
    return 0;
}

static int add_row(router *r, const route *row, size_t stats)
{
    str rest = str_from(str_c(row->path), 1), segment;
    node *at = &r->root;

    if (!is_sound(row))
        return -EINVAL;
    while (str_cut(&rest, '/', &segment)) {
        if (segment.n == 0)
            return -EINVAL;
        at = child_of(r, at, segment);
        if (!at)
            return -ENOMEM;
    }
    const int err = put_row(at, row);
    if (err < 0)
        return err;
    at->stats[row->method] = (uint16_t)stats;
    r->has_body_caps |= row->max_body != 0;
    r->stats[stats].route = row;
    return 0;
}

/* "GET, HEAD, POST, OPTIONS", for each path. */
static int name_allowed(router *r, node *at)
{
    buf b = BUF_INIT;
    int err = 0;

    for (unsigned m = 0; m < HTTP_METHODS; m++)
        if (at->rows[m])
            buf_printf(&b, "%s%s, ", http_method_name((http_method)m), m == HTTP_M_GET ? ", HEAD" : "");
    if (at->has_rows) {
        buf_str(&b, STR("OPTIONS"));
        at->allow = b.err ? STR_NULL : arena_dup(&r->arena, buf_view(&b));
        err = at->allow.p ? 0 : -ENOMEM;
    }
    buf_done(&b);
    for (node *n = at->children; n && err == 0; n = n->next)
        err = name_allowed(r, n);
    return err == 0 && at->param ? name_allowed(r, at->param) : err;
}

static int add_rows(router *r)
{
    size_t n = 1;

    for (size_t t = 0; t < r->o.n_tables; t++)
        n += r->o.tables[t].n;
    if (n > UINT16_MAX || r->o.n_families == 0)
        return -EINVAL;
    r->stats = arena_array(&r->arena, route_stats, n);
    if (!r->stats)
        return -ENOMEM;
    for (size_t t = 0; t < r->o.n_tables; t++) {
        for (size_t i = 0; i < r->o.tables[t].n; i++) {
            const int err = add_row(r, &r->o.tables[t].rows[i], ++r->n_rows);
            if (err < 0)
                return err;
        }
    }
    return name_allowed(r, &r->root);
}

int router_new(const router_options *o, router **ret_router)
{
    router *r = mem_new(router);

    if (!r)
        return -ENOMEM;
    r->o = *o;
    arena_init(&r->arena, 0);
    r->etag_seed = store_id(o->store) ^ hash64(LARDER_VERSION, sizeof(LARDER_VERSION));
    int err = kept_new(&r->kept);
    if (err == 0)
        err = add_rows(r);
    if (err == 0)
        err = route_describe(r, &r->arena, &r->document);
    if (err == 0) {
        r->document_tag = arena_printf(&r->arena, "%016llx", (unsigned long long)hash64(r->document.p, r->document.n));
        err = r->document_tag.p ? 0 : -ENOMEM;
    }
    if (err < 0) {
        router_free(r);
        return err;
    }
    *ret_router = r;
    return 0;
}

void router_free(router *r)
{
    if (!r)
        return;
    kept_free(r->kept);
    arena_done(&r->arena);
    mem_free(r);
}

void router_set_log_access(router *r, bool on)
{
    r->o.log_access = on;
}

size_t router_stats(const router *r, const route_stats **ret_rows)
{
    *ret_rows = r->stats;
    return r->n_rows + 1;
}

uint64_t router_unanswered(const router *r)
{
    return r->unanswered;
}

/* ---- matching ---- */
static const node *literal(const node *at, str segment)
{
    for (const node *n = at->children; n; n = n->next)
        if (n->segment.n == segment.n && memcmp(n->segment.p, segment.p, segment.n) == 0)
            return n;
    return NULL;
}

void route_match(const router *r, str path, match *ret_match)
{
    const node *at = &r->root;
    str rest = path.n && path.p[0] == '/' ? str_from(path, 1) : path;

    ret_match->node = NULL;
    ret_match->n_values = 0;
    while (rest.n) {
        const char *slash = memchr(rest.p, '/', rest.n);
        const size_t n = slash ? (size_t)(slash - rest.p) : rest.n;
        const str segment = str_of(rest.p, n);
        const node *next = literal(at, segment);

        if (!next && at->param && n > 0 && ret_match->n_values < PATH_PARAMS_MAX) {
            next = at->param;
            ret_match->values[ret_match->n_values++] = segment;
        }
        if (!next)
            return;
        at = next;
        rest = slash ? str_from(rest, n + 1) : STR_NULL;
        if (slash && rest.n == 0)
            return; /* "/a/" is not "/a" */
    }
    if (at->has_rows)
        ret_match->node = at;
}

const family *route_family_of(const router *r, str path)
{
    for (size_t i = 0; i < r->o.n_families; i++)
        if (fits_prefix(path, r->o.families[i]))
            return r->o.families[i];
    return r->o.families[0];
}
