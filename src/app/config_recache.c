/* What recache.hosts, the files of recache.hosts_include and recache.render_services mean. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "larder/hash.h"
#include "larder/recache_url.h"

#include "config_private.h"

#define HIT_INTERVAL HOURS(24)
#define YEAR HOURS(24 * 365)
#define INCLUDED_MAX RECACHE_HOSTS_MAX /* files: more would hold more hosts */
#define BYPASS_AGENT \
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36"

/* ---- dimensions ---- */
typedef struct dimension {
    int64_t id, width, height;
    str render_ua;
    unsigned action;
    strs match_ua;
} dimension;
/* What follows min is max, and then what else is said of the field. */
#define ROW(name_, kind_, offset_, min_, ...)                                            \
    {                                                                                    \
        .name = name_, .kind = kind_, .offset = offset_, .min = min_, .max = __VA_ARGS__ \
    }
#define FIELD(type, member, kind, min, ...) ROW(#member, kind, offsetof(type, member), min, __VA_ARGS__)
static const tree_field DIMENSION_FIELDS[] = {
    FIELD(dimension, id, TREE_NUMBER, 0, UINT16_MAX),
    FIELD(dimension, width, TREE_NUMBER, 1, 16384),
    FIELD(dimension, height, TREE_NUMBER, 1, 16384),
    FIELD(dimension, render_ua, TREE_TEXT, 0, 1000),
    FIELD(dimension, action, TREE_CHOICE, 0, 0, .choices = "render|bypass|block"),
    FIELD(dimension, match_ua, TREE_TEXTS, 0, 256),
};

/* "Bot*", "~expression" or "~*expression". Gateways differ in what they know of expressions: what is wrong for all of
 * them is refused. */
static bool is_pattern(str s)
{
    bool in_class = false;
    int open = 0;

    if (!str_starts(s, STR("~")))
        return s.n > 0;
    s = str_from(s, str_starts(s, STR("~*")) ? 2 : 1);
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if (c == '\\' && ++i == s.n)
            return false;
        if (c == '[' && !in_class) {
            in_class = true;
            i += i + 1 < s.n && s.p[i + 1] == '^';
            i += i + 1 < s.n && s.p[i + 1] == ']'; /* the first one stands for itself */
        } else if (c == ']') {
            in_class = false;
        } else if (!in_class && (c == '(' || c == ')')) {
            open += c == '(' ? 1 : -1;
            if (open < 0)
                return false;
        }
    }
    return s.n > 0 && !in_class && open == 0;
}

/* The built-in one has the id 0 and the name bypass; a map of that name changes what it asks with. */
static int check_dimension(arena *a, const config_node *at, const dimension *d, bool is_bypass, str *why)
{
    if (is_bypass ? d->id != RECACHE_DIMENSION_BYPASS : d->id == RECACHE_DIMENSION_BYPASS)
        return tree_complain(a, at, why,
                             is_bypass ? "id: of bypass is 0" : "id: from 1 to 65535; 0 is the built-in bypass");
    if (is_bypass != (d->action == RECACHE_BYPASS))
        return tree_complain(a, at, why, "action: bypass is that of the dimension bypass, and only of it");
    if (d->action == RECACHE_BLOCK && d->match_ua.n == 0)
        return tree_complain(a, at, why, "match_ua: is missing: whom does it block?");
    for (size_t i = 0; i < d->match_ua.n; i++)
        if (!is_pattern(d->match_ua.v[i]))
            return tree_complain(a, at, why, "match_ua: '" STR_FMT "' is no pattern: there is nothing behind its ~, "
                                             "or a bracket or backslash too many",
                                 STR_ARG(str_head(d->match_ua.v[i], 200)));
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const recache_dimension *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int read_dimensions(arena *a, const config_node *map, recache_host *h, str *why)
{
    const size_t n = map ? map->n : 0;
    recache_dimension *out = arena_array(a, recache_dimension, n + 1);
    size_t count = 1;

    if (!out)
        return -ENOMEM;
    if (map && map->shape != CONFIG_MAP)
        return tree_complain(a, map, why, "dimensions: a map of names was expected");
    if (n >= RECACHE_DIMENSIONS_MAX)
        return tree_complain(a, map, why, "dimensions: at most %d", RECACHE_DIMENSIONS_MAX - 1);
    out[0] = (recache_dimension){.name = STR("bypass"),
                                 .width = 1920,
                                 .height = 1080,
                                 .user_agent = STR(BYPASS_AGENT),
                                 .action = RECACHE_BYPASS};
    for (size_t i = 0; i < n; i++) {
        const config_node *at = &map->items[i];
        const bool is_bypass = str_eq(at->key, STR("bypass"));
        dimension d = {.width = 1920, .height = 1080, .action = is_bypass ? RECACHE_BYPASS : RECACHE_RENDER};
        int r = tree_decode(a, at, DIMENSION_FIELDS, COUNT_OF(DIMENSION_FIELDS), &d, why);
        if (r == 0)
            r = check_dimension(a, at, &d, is_bypass, why);
        for (size_t k = 1; r == 0 && k < count; k++)
            if (out[k].id == d.id || str_eq(out[k].name, at->key))
                r = tree_complain(a, at, why, STR_FMT ": its id or name is another's", STR_ARG(str_head(at->key, 200)));
        if (r < 0)
            return r;
        if (is_bypass && d.render_ua.n == 0)
            d.render_ua = out[0].user_agent;
        out[is_bypass ? 0 : count++] = (recache_dimension){.id = (uint16_t)d.id,
                                                           .name = at->key,
                                                           .width = d.width,
                                                           .height = d.height,
                                                           .user_agent = d.render_ua,
                                                           .action = (recache_action)d.action,
                                                           .match_ua = d.match_ua};
    }
    qsort(out, count, sizeof(*out), by_id);
    h->dimensions = out;
    h->n_dimensions = count;
    return 0;
}

/* ---- hosts ---- */
typedef struct host {
    int64_t id, ttl, stale_ttl, bypass_ttl, refresh_ahead, hit_interval, burst;
    double rate;
    strs domain;
    config_numbers status_codes;
    const config_node *dimensions, *tracking_params, *render;
} host;
static const tree_field HOST_FIELDS[] = {
    FIELD(host, id, TREE_NUMBER, 1, INT32_MAX, .is_required = true),
    FIELD(host, domain, TREE_TEXTS, 1, 64, .is_required = true),
    FIELD(host, dimensions, TREE_NODE, 0, 0),
    FIELD(host, ttl, TREE_SPAN, SECONDS(1), YEAR),
    FIELD(host, stale_ttl, TREE_SPAN, 0, YEAR),
    FIELD(host, bypass_ttl, TREE_SPAN, SECONDS(1), YEAR),
    FIELD(host, refresh_ahead, TREE_SPAN, 0, YEAR),
    FIELD(host, hit_interval, TREE_SPAN, 0, YEAR),
    FIELD(host, rate, TREE_REAL, 0, 100000),
    FIELD(host, burst, TREE_NUMBER, 1, 100000),
    FIELD(host, status_codes, TREE_NUMBERS, 1, 100),
    FIELD(host, tracking_params, TREE_NODE, 0, 0),
    FIELD(host, render, TREE_NODE, 0, 0),
};

typedef struct tracking {
    bool strip;
    strs params, params_add;
} tracking;
static const tree_field TRACKING_FIELDS[] = {
    FIELD(tracking, strip, TREE_FLAG, 0, 0),
    FIELD(tracking, params, TREE_TEXTS, 0, 256),
    FIELD(tracking, params_add, TREE_TEXTS, 0, 256),
};

static const tree_field RENDER_FIELDS[] = {
    ROW("timeout", TREE_SPAN, offsetof(recache_host, timeout_ms), 100, HOURS(1)),
    ROW("extra_wait", TREE_SPAN, offsetof(recache_host, extra_wait_ms), 0, MINUTES(5)),
    ROW("wait_for", TREE_TEXT, offsetof(recache_host, wait_for), 1, 40),
    ROW("blocked_patterns", TREE_TEXTS, offsetof(recache_host, blocked_patterns), 0, 1000),
    ROW("blocked_resource_types", TREE_TEXTS, offsetof(recache_host, blocked_resource_types), 0, 100),
    ROW("strip_scripts", TREE_FLAG, offsetof(recache_host, strip_scripts), 0, 0),
};

static bool is_label(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return s.n > 0 && s.n <= 63 && s.p[0] != '-' && s.p[s.n - 1] != '-';
}

/* A name in lower case, as it stands in URLs. */
static bool is_domain(str s)
{
    bool good = s.n > 0 && s.n <= 253 && s.p[s.n - 1] != '.';
    str label;

    while (good && str_cut(&s, '.', &label))
        good = is_label(label);
    return good;
}

static int read_tracking(arena *a, const config_node *at, strs *ret_params, str *why)
{
    tracking t = {.strip = true, .params = recache_tracking_default};
    const int r = at ? tree_decode(a, at, TRACKING_FIELDS, COUNT_OF(TRACKING_FIELDS), &t, why) : 0;

    if (r < 0)
        return r;
    const size_t n = t.strip ? t.params.n + t.params_add.n : 0;
    str *all = arena_array(a, str, n + 1);
    if (!all)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const str given = i < t.params.n ? t.params.v[i] : t.params_add.v[i - t.params.n];
        char *lower = arena_alloc(a, given.n + 1);
        if (!lower)
            return -ENOMEM;
        for (size_t k = 0; k < given.n; k++)
            lower[k] = given.p[k] >= 'A' && given.p[k] <= 'Z' ? (char)(given.p[k] + 32) : given.p[k];
        all[i] = str_of(lower, given.n);
    }
    *ret_params = (strs){all, n};
    return 0;
}

static const char *const WAITS[] = {"DOMContentLoaded", "load", "networkIdle", "networkAlmostIdle"};

static int read_rendering(arena *a, const config_node *at, recache_host *h, str *why)
{
    const int r = at ? tree_decode(a, at, RENDER_FIELDS, COUNT_OF(RENDER_FIELDS), h, why) : 0;

    for (size_t i = 0; r == 0 && i < COUNT_OF(WAITS); i++)
        if (str_eq(h->wait_for, str_c(WAITS[i])))
            return 0;
    return r < 0 ? r
                 : tree_complain(a, at, why, "wait_for: is none of %s, %s, %s, %s", WAITS[0], WAITS[1], WAITS[2],
                                 WAITS[3]);
}

static int read_host(config *c, const config_node *at, recache_host *ret_host, str *why)
{
    static const int64_t kept[] = {200, 301, 302, 307, 308, 404};
    host in = {.ttl = HOURS(1),
               .stale_ttl = c->recache_stale_ttl,
               .hit_interval = HIT_INTERVAL,
               .rate = c->recache_rate,
               .burst = 1,
               .status_codes = {kept, COUNT_OF(kept)}};
    arena *a = &c->arena;
    int r = tree_decode(a, at, HOST_FIELDS, COUNT_OF(HOST_FIELDS), &in, why);

    if (r < 0)
        return r;
    for (size_t i = 0; i < in.domain.n; i++)
        if (!is_domain(in.domain.v[i]))
            return tree_complain(a, at, why,
                                 "domain: '" STR_FMT "' is no host name in lower case, without scheme, "
                                 "port and path",
                                 STR_ARG(str_head(in.domain.v[i], 200)));
    recache_host h = {.id = (uint32_t)in.id,
                      .domains = in.domain,
                      .ttl_ms = in.ttl,
                      .stale_ttl_ms = in.stale_ttl,
                      .bypass_ttl_ms = in.bypass_ttl ? in.bypass_ttl : in.ttl,
                      .refresh_ahead_ms = in.refresh_ahead,
                      .hit_interval_ms = in.hit_interval,
                      .rate = in.rate,
                      .burst = in.burst,
                      .status_codes = in.status_codes.v,
                      .n_status_codes = in.status_codes.n,
                      .timeout_ms = SECONDS(30),
                      .wait_for = STR("networkIdle"),
                      .strip_scripts = true};
    for (size_t i = 0; i < h.n_status_codes; i++)
        if (h.status_codes[i] < 200 || h.status_codes[i] > 599)
            return tree_complain(a, at, why, "status_codes: %lld is none of a page, these are 200 to 599",
                                 (long long)h.status_codes[i]);
    if (h.refresh_ahead_ms >= h.ttl_ms)
        return tree_complain(a, at, why, "refresh_ahead: is not shorter than ttl");
    r = read_dimensions(a, in.dimensions, &h, why);
    if (r == 0)
        r = read_tracking(a, in.tracking_params, &h.tracking, why);
    if (r == 0)
        r = read_rendering(a, in.render, &h, why);
    if (r == 0)
        *ret_host = h;
    return r;
}

/* Of all hosts: what each of them read alone can't tell. */
static int check_unique(arena *a, const recache_host *hosts, size_t n, const config_node *at, str *why)
{
    const recache_host *last = &hosts[n];

    for (size_t i = 0; i < n; i++) {
        if (hosts[i].id == last->id)
            return tree_complain(a, at, why, "id: %u is another host's", last->id);
        for (size_t k = 0; k < last->domains.n; k++)
            if (recache_host_has_domain(&hosts[i], last->domains.v[k]))
                return tree_complain(a, at, why, "domain: " STR_FMT " is another host's", STR_ARG(last->domains.v[k]));
    }
    return 0;
}

static int read_hosts(config *c, const config_node *node, recache_host *hosts, size_t *n, str *why)
{
    int r = 0;

    if (node->shape != CONFIG_LIST)
        return tree_complain(&c->arena, node, why, "recache.hosts: a list was expected");
    for (size_t i = 0; r == 0 && i < node->n; i++) {
        if (*n == RECACHE_HOSTS_MAX)
            return tree_complain(&c->arena, node, why, "recache.hosts: more than %d", RECACHE_HOSTS_MAX);
        r = read_host(c, &node->items[i], &hosts[*n], why);
        if (r == 0)
            r = check_unique(&c->arena, hosts, *n, &node->items[i], why);
        *n += r == 0;
    }
    return r;
}

/* ---- included files ---- */
static void complain_of_included(config *c, const char *path, const char *what, str *why)
{
    *why = arena_printf(&c->arena, STR_FMT "recache.hosts_include: %s: %s",
                        STR_ARG(config_place(c, OPTION_recache_hosts_include, &c->arena)), path, what);
}

/* A map with the one key `hosts`. */
static int include_file(config *c, const char *path, recache_host *hosts, size_t *n, str *why)
{
    typedef struct content {
        const config_node *hosts;
    } content;
    static const tree_field fields[] = {FIELD(content, hosts, TREE_NODE, 0, 0, .is_required = true)};
    const config_node *root;
    content in;
    buf text;

    int r = config_file_text(c, path, &text, why);
    c->included = c->included * 31 + hash64(text.p, text.n);
    if (r == 0)
        r = config_read_tree(c, path, buf_view(&text), &root, why);
    buf_done(&text);
    if (r == 0 && root->shape != CONFIG_MAP) { /* of an empty file no place is known */
        complain_of_included(c, path, "a map with the key hosts was expected", why);
        r = -EINVAL;
    }
    if (r == 0)
        r = tree_decode(&c->arena, root, fields, COUNT_OF(fields), &in, why);
    return r < 0 ? r : read_hosts(c, in.hosts, hosts, n, why);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const str *)a, *(const str *)b);
}

/* Its *.yaml, by name. */
static int include_folder(config *c, const char *path, recache_host *hosts, size_t *n, str *why)
{
    DIR *folder = opendir(path);
    int r = folder ? 0 : -errno;
    str files[INCLUDED_MAX];
    size_t found = 0;

    if (r < 0)
        complain_of_included(c, path, err_text(r), why);
    for (struct dirent *e; r == 0 && (e = readdir(folder)) && found < INCLUDED_MAX;) {
        if (e->d_name[0] == '.' || !str_ends(str_c(e->d_name), STR(".yaml")))
            continue;
        files[found] = arena_printf(&c->arena, "%s/%s", path, e->d_name);
        r = files[found++].p ? 0 : -ENOMEM;
    }
    if (folder)
        (void)closedir(folder);
    if (r == 0 && found == 0)
        config_warn(c, arena_printf(&c->arena, "recache.hosts_include: %s: there is no *.yaml in it", path));
    qsort(files, found, sizeof(*files), by_text);
    for (size_t i = 0; r == 0 && i < found; i++)
        r = include_file(c, files[i].p, hosts, n, why);
    return r;
}

/* A relative path is one beside the configuration file. */
static int include(config *c, const char *config_file, recache_host *hosts, size_t *n, str *why)
{
    str path = c->recache_hosts_include;
    const ptrdiff_t slash = config_file ? str_rchr(str_c(config_file), '/') : -1;
    struct stat st;

    if (path.n == 0)
        return 0;
    if (path.p[0] != '/' && slash >= 0)
        path = arena_printf(&c->arena, "%.*s/" STR_FMT, (int)slash, config_file, STR_ARG(path));
    if (!path.p)
        return -ENOMEM;
    if (stat(path.p, &st) < 0) {
        const int r = -errno;
        complain_of_included(c, path.p, err_text(r), why);
        return r;
    }
    return S_ISDIR(st.st_mode) ? include_folder(c, path.p, hosts, n, why) : include_file(c, path.p, hosts, n, why);
}

/* ---- render services ---- */
static const tree_field SERVICE_FIELDS[] = {
    ROW("url", TREE_TEXT, offsetof(render_service_options, url), 1, 1000, .is_required = true),
    ROW("key_header", TREE_TEXT, offsetof(render_service_options, key.name), 1, 200),
    ROW("key", TREE_TEXT, offsetof(render_service_options, key.value), 1, 1000),
};

static bool is_token(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || memchr("\"(),/:;<=>?@[\\]{}", s.p[i], 17))
            return false;
    return true;
}

/* Those that the request has anyway: a second one would be another request, or none. */
static bool is_taken_header(str s)
{
    static const str TAKEN[] = {STR_INIT("host"), STR_INIT("content-length"), STR_INIT("content-type"),
                                STR_INIT("connection"), STR_INIT("keep-alive"), STR_INIT("transfer-encoding"),
                                STR_INIT("te"), STR_INIT("trailer"), STR_INIT("upgrade"), STR_INIT("expect"),
                                STR_INIT("accept"), STR_INIT("accept-encoding"), STR_INIT("x-request-id")};

    for (size_t i = 0; i < COUNT_OF(TAKEN); i++)
        if (str_eq_nocase(s, TAKEN[i]))
            return true;
    return false;
}

/* Its address as all would write it, unlike those of the ones before it: the same tabs would count twice. */
static int check_service(config *c, const config_node *at, str *addresses, str *why)
{
    const render_service_options *s = &c->services[c->n_services];
    str *address = &addresses[c->n_services];
    const char *wrong = NULL;

    int r = client_url_join(&c->arena, s->url, STR("/"), address, &wrong);
    if (r == 0 && !render_is_service_url(s->url)) {
        wrong = "of a render service only host and port are given";
        r = -EINVAL;
    }
    if (r == -EINVAL)
        return tree_complain(&c->arena, at, why, "url: %s", wrong);
    for (size_t i = 0; r == 0 && i < c->n_services; i++)
        if (str_eq(addresses[i], *address))
            return tree_complain(&c->arena, at, why, "url: " STR_FMT " is given twice", STR_ARG(*address));
    return r;
}

static int read_services(config *c, str *why)
{
    const config_node *node = c->recache_render_services;
    render_service_options *services = arena_array(&c->arena, render_service_options, RENDER_SERVICES_MAX);
    str *addresses = arena_array(&c->arena, str, RENDER_SERVICES_MAX);
    int r = services && addresses ? 0 : -ENOMEM;

    c->services = services;
    if (r < 0)
        return r;
    if (node->shape != CONFIG_LIST || node->n > RENDER_SERVICES_MAX)
        return tree_complain(&c->arena, node, why, "recache.render_services: a list of at most %d was expected",
                             RENDER_SERVICES_MAX);
    for (size_t i = 0; r == 0 && i < node->n; i++) {
        render_service_options *s = &services[c->n_services];
        r = tree_decode(&c->arena, &node->items[i], SERVICE_FIELDS, COUNT_OF(SERVICE_FIELDS), s, why);
        if (r == 0)
            r = check_service(c, &node->items[i], addresses, why);
        if (r == 0 && !!s->key.name.n != !!s->key.value.n)
            r = tree_complain(&c->arena, &node->items[i], why, "key and key_header belong together");
        if (r == 0 && !is_token(s->key.name))
            r = tree_complain(&c->arena, &node->items[i], why, "key_header: is no header's name");
        if (r == 0 && is_taken_header(s->key.name))
            r = tree_complain(&c->arena, &node->items[i], why, "key_header: requests have one of that name already");
        c->n_services += r == 0;
    }
    return r;
}

/* It becomes the beginning of a header's value, which nginx takes for a path. */
static int check_accel_prefix(config *c, str *why)
{
    const str s = c->recache_accel_prefix;
    bool good = s.n == 0 || (s.n > 1 && s.p[0] == '/');

    for (size_t i = 0; i < s.n; i++)
        good = good && s.p[i] > ' ' && s.p[i] <= '~' && !memchr("\"#%?\\", s.p[i], 5) &&
               (i == 0 || s.p[i] != '/' || s.p[i - 1] != '/');
    if (!good)
        *why = arena_printf(
            &c->arena, STR_FMT "recache.accel_prefix: '" STR_FMT "' is no path of a URL, such as /pages",
            STR_ARG(config_place(c, OPTION_recache_accel_prefix, &c->arena)), STR_ARG(str_head(s, 200)));
    return good ? 0 : -EINVAL;
}

int config_read_recache(config *c, const char *config_file, str *why)
{
    recache_host *hosts = arena_array(&c->arena, recache_host, RECACHE_HOSTS_MAX + 1);
    int r = hosts ? read_services(c, why) : -ENOMEM;

    if (r == 0)
        r = check_accel_prefix(c, why);
    if (r == 0)
        r = read_hosts(c, c->recache_hosts, hosts, &c->n_hosts, why);
    if (r == 0)
        r = include(c, config_file, hosts, &c->n_hosts, why);
    c->hosts = hosts;
    return r;
}
