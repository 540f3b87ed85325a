/* Options: reading a value, checking it, showing it. config_yaml.c finds them in a file. */
#include "larder/config.h"

#include <stdio.h>

#include "config_private.h"
#include "larder/clock.h"
#include "larder/net.h"

#define LIVE true
#define RESTART false
#define CONFIG_ROW(kind_, name_, member, def_, min_, max_, live_, choices_, doc_) \
    {.kind = CONFIG_##kind_,                                                      \
     .name = name_,                                                               \
     .def = def_,                                                                 \
     .choices = choices_,                                                         \
     .doc = doc_,                                                                 \
     .offset = offsetof(config, member),                                          \
     .min = min_,                                                                 \
     .max = max_,                                                                 \
     .live = live_},
const config_option config_options[] = {CONFIG_OPTIONS(CONFIG_ROW)};
_Static_assert(COUNT_OF(config_options) == CONFIG_OPTION_COUNT, "one row an option");

/* ---- sizes ---- */
bool config_size_parse(str text, int64_t *ret_bytes)
{
    static const struct {
        str unit;
        int64_t bytes;
    } UNITS[] = {{{"", 0}, 1},
                 {{"B", 1}, 1},
                 {{"KiB", 3}, INT64_C(1) << 10},
                 {{"MiB", 3}, INT64_C(1) << 20},
                 {{"GiB", 3}, INT64_C(1) << 30},
                 {{"TiB", 3}, INT64_C(1) << 40},
                 {{"KB", 2}, 1000},
                 {{"MB", 2}, 1000000},
                 {{"GB", 2}, INT64_C(1000000000)},
                 {{"TB", 2}, INT64_C(1000000000000)}};
    size_t digits = 0;
    int64_t n;

    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    const str unit = str_trim(str_from(text, digits));
    if (str_to_i64(str_head(text, digits), &n) < 0)
        return false;
    for (size_t i = 0; i < COUNT_OF(UNITS); i++)
        if (str_eq_nocase(unit, UNITS[i].unit))
            return !__builtin_mul_overflow(n, UNITS[i].bytes, ret_bytes);
    return false;
}

static void size_format(int64_t n, buf *out)
{
    static const struct {
        int shift;
        const char *unit;
    } UNITS[] = {{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}};

    for (size_t i = 0; i < COUNT_OF(UNITS); i++) {
        if (n > 0 && n % (INT64_C(1) << UNITS[i].shift) == 0) {
            buf_printf(out, "%lld%s", (long long)(n >> UNITS[i].shift), UNITS[i].unit);
            return;
        }
    }
    buf_i64(out, n);
}

/* ---- one value ---- */
static void *member_of(config *c, const config_option *o)
{
    return (char *)c + o->offset;
}

static int wrong(config *c, const config_option *o, str *why, str value, const char *expected)
{
    *why = arena_printf(&c->arena, "%s: '" STR_FMT "' is not %s", o->name, STR_ARG(str_head(value, 200)), expected);
    return -EINVAL;
}

static void bound_text(const config_option *o, int64_t bound, buf *out)
{
    char span[24];

    if (o->kind == CONFIG_size) {
        size_format(bound, out);
    } else if (o->kind == CONFIG_span) {
        duration_format(bound, span);
        buf_str(out, str_c(span));
    } else {
        buf_i64(out, bound);
    }
}

static int set_number(config *c, const config_option *o, str value, str *why)
{
    buf range = BUF_INIT;
    int64_t n = 0;
    bool ok;

    if (o->kind == CONFIG_size)
        ok = config_size_parse(value, &n);
    else if (o->kind == CONFIG_span)
        ok = duration_parse(value, &n) == 0;
    else
        ok = str_to_i64(value, &n) == 0;
    if (!ok)
        return wrong(c, o, why, value,
                     o->kind == CONFIG_size   ? "a size, such as 64MiB"
                     : o->kind == CONFIG_span ? "a duration, such as 30s or 6h"
                                              : "an integer");
    if (n < o->min || n > o->max) {
        bound_text(o, o->min, &range);
        buf_str(&range, STR(" to "));
        bound_text(o, o->max, &range);
        *why = arena_printf(&c->arena, "%s: " STR_FMT " is out of range, allowed is " STR_FMT, o->name, STR_ARG(value),
                            STR_ARG(buf_view(&range)));
        buf_done(&range);
        return -EINVAL;
    }
    *(int64_t *)member_of(c, o) = n;
    return 0;
}

static int set_choice(config *c, const config_option *o, str value, str *why)
{
    str rest = str_c(o->choices), choice;

    while (str_cut(&rest, '|', &choice)) {
        if (str_eq(choice, value)) {
            *(str *)member_of(c, o) = choice;
            return 0;
        }
    }
    *why = arena_printf(&c->arena, "%s: '" STR_FMT "' is not one of %s", o->name, STR_ARG(str_head(value, 200)), o->choices);
    return -EINVAL;
}

static int set_flag(config *c, const config_option *o, str value, str *why)
{
    const bool on = str_eq(value, STR("true"));

    if (!on && !str_eq(value, STR("false")))
        return wrong(c, o, why, value, "true or false");
    *(bool *)member_of(c, o) = on;
    return 0;
}

int config_set(config *c, size_t option, const str *values, size_t n, bool is_list, config_origin origin, str *why)
{
    const config_option *o = &config_options[option];
    int r = 0;

    if (is_list && o->kind != CONFIG_texts) {
        *why = arena_printf(&c->arena, "%s: a list was given where one value belongs", o->name);
        return -EINVAL;
    }
    const str value = n > 0 ? values[0] : STR("");
    switch (o->kind) {
    case CONFIG_texts: {
        str *kept = arena_array(&c->arena, str, n);
        if (!kept)
            return -ENOMEM;
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
            if (values[i].n)
                kept[k++] = values[i];
        *(strs *)member_of(c, o) = (strs){kept, k};
        break;
    }
    case CONFIG_text:
    case CONFIG_secret:
        *(str *)member_of(c, o) = value;
        break;
    case CONFIG_flag:
        r = set_flag(c, o, value, why);
        break;
    case CONFIG_choice:
        r = set_choice(c, o, value, why);
        break;
    default:
        r = set_number(c, o, value, why);
    }
    if (r == 0)
        c->origin[option] = origin;
    return r;
}

bool config_find(str name, size_t *ret_option)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (str_eq(str_c(config_options[i].name), name)) {
            *ret_option = i;
            return true;
        }
    }
    return false;
}

/* The option whose name differs least, for "did you mean". */
static size_t distance(str a, str b)
{
    size_t row[65], n = b.n < 64 ? b.n : 64;

    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            const size_t swap = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            size_t best = row[j] + 1 < row[j - 1] + 1 ? row[j] + 1 : row[j - 1] + 1;
            row[j] = swap < best ? swap : best;
        }
    }
    return row[n];
}

const char *config_nearest(str name)
{
    const char *best = NULL;
    size_t least = 4; /* farther is no typing error */

    for (size_t i = 0; i < CONFIG_OPTION_COUNT && name.n < 64; i++) {
        const size_t d = distance(name, str_c(config_options[i].name));
        if (d < least) {
            least = d;
            best = config_options[i].name;
        }
    }
    return best;
}

/* ---- what the text of a value means, beyond its kind ---- */
int config_check(config *c, size_t option, str *why)
{
    const char *name = config_options[option].name;
    net_listen where;
    net_cidr net;

    if (str_eq(str_c(name), STR("listen"))) {
        for (size_t i = 0; i < c->listen.n; i++)
            if (net_listen_parse(&c->arena, c->listen.v[i], &where) < 0)
                return wrong(c, &config_options[option], why, c->listen.v[i], "host:port, [v6]:port or unix:PATH");
        if (c->listen.n == 0)
            return wrong(c, &config_options[option], why, STR(""), "a list of at least one address");
    }
    if (str_eq(str_c(name), STR("http.trusted_proxies"))) {
        for (size_t i = 0; i < c->http_trusted_proxies.n; i++) {
            const str text = c->http_trusted_proxies.v[i];
            if (!str_eq(text, STR("unix")) && net_cidr_parse(text, &net) < 0)
                return wrong(c, &config_options[option], why, text, "an address, a network or `unix`");
        }
    }
    if (str_eq(str_c(name), STR("data_dir")) && c->data_dir.n == 0)
        return wrong(c, &config_options[option], why, STR(""), "a folder");
    if (str_eq(str_c(name), STR("github.api_url")) &&
        !str_starts(c->github_api_url, STR("https://")) && !str_starts(c->github_api_url, STR("http://")))
        return wrong(c, &config_options[option], why, c->github_api_url, "an http:// or https:// address");
    return 0;
}

/* ---- the sources, one after the other ---- */
static int load_defaults(config *c, str *why)
{
    int r = 0;

    for (size_t i = 0; i < CONFIG_OPTION_COUNT && r == 0; i++) {
        const str value = str_c(config_options[i].def);
        r = config_set(c, i, &value, 1, false, FROM_DEFAULT, why);
    }
    return r;
}

static str variable_of(arena *a, const char *name)
{
    const str text = arena_printf(a, "LARDER_%s", name);
    char *p = (char *)(uintptr_t)text.p;

    for (size_t i = 0; text.p && i < text.n; i++)
        p[i] = p[i] == '.' ? '_' : p[i] >= 'a' && p[i] <= 'z' ? (char)(p[i] - 32) : p[i];
    return text;
}

static int load_environment(config *c, char *const *environment, str *why)
{
    for (size_t e = 0; environment && environment[e]; e++) {
        str value = str_c(environment[e]), name;
        bool found = false;
        if (!str_starts(value, STR("LARDER_")) || !str_cut(&value, '=', &name))
            continue;
        for (size_t i = 0; i < CONFIG_OPTION_COUNT && !found; i++) {
            const str variable = variable_of(&c->arena, config_options[i].name);
            if (!variable.p)
                return -ENOMEM;
            found = str_eq(variable, name);
            if (found) {
                int r = config_set_text(c, i, value.p ? value : STR(""), FROM_ENVIRONMENT, why);
                if (r < 0) {
                    *why = arena_printf(&c->arena, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(*why));
                    return r;
                }
            }
        }
        if (!found) {
            *why = arena_printf(&c->arena, "environment: " STR_FMT " is no option", STR_ARG(name));
            return -EINVAL;
        }
    }
    return 0;
}

static int load_sets(config *c, const char *const *sets, size_t n, str *why)
{
    size_t option;

    for (size_t i = 0; i < n; i++) {
        str value = str_c(sets[i]), name;
        if (str_chr(value, '=') < 0 || !str_cut(&value, '=', &name)) {
            *why = arena_printf(&c->arena, "--set %s: expected key=value", sets[i]);
            return -EINVAL;
        }
        name = str_trim(name);
        if (!config_find(name, &option)) {
            const char *nearest = config_nearest(name);
            *why = arena_printf(&c->arena, "--set: " STR_FMT " is no option%s%s%s", STR_ARG(name),
                                nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
            return -EINVAL;
        }
        int r = config_set_text(c, option, value.p ? value : STR(""), FROM_SET, why);
        if (r < 0) {
            *why = arena_printf(&c->arena, "--set: " STR_FMT, STR_ARG(*why));
            return r;
        }
    }
    return 0;
}

static int read_token_file(config *c, str *why)
{
    char path[4096], text[1024];
    FILE *f;

    if (c->github_token_file.n == 0)
        return 0;
    if (c->github_token.n) {
        *why = STR("github.token and github.token_file are both set");
        return -EINVAL;
    }
    if (c->github_token_file.n >= sizeof(path))
        return -ENAMETOOLONG;
    memcpy(path, c->github_token_file.p, c->github_token_file.n);
    path[c->github_token_file.n] = '\0';
    f = fopen(path, "re");
    const int err = f ? 0 : -errno;
    const size_t n = f ? fread(text, 1, sizeof(text), f) : 0;
    if (f)
        (void)fclose(f);
    if (err < 0 || n == sizeof(text)) {
        *why = arena_printf(&c->arena, "github.token_file: %s: %s", path, err ? err_text(err) : "too long for a token");
        return err ? err : -EINVAL;
    }
    c->github_token = arena_dup(&c->arena, str_trim(str_of(text, n)));
    mem_wipe(text, sizeof(text));
    return c->github_token.p ? 0 : -ENOMEM;
}

int config_load(config *c, const config_sources *from, str *why)
{
    memset(c, 0, sizeof(*c));
    arena_init(&c->arena, 0);
    *why = STR_NULL;
    int r = load_defaults(c, why);
    if (r == 0 && from->file)
        r = config_load_yaml(c, from->file, why);
    if (r == 0)
        r = load_environment(c, from->environment, why);
    if (r == 0)
        r = load_sets(c, from->sets, from->n_sets, why);
    if (r == 0)
        r = read_token_file(c, why);
    if (r == -ENOMEM || !why->p)
        *why = str_c(err_text(r));
    return r;
}

void config_done(config *c)
{
    if (c->github_token.n && c->github_token.p)
        mem_wipe((void *)(uintptr_t)c->github_token.p, c->github_token.n);
    arena_done(&c->arena);
    memset(c, 0, sizeof(*c));
}

/* ---- showing ---- */
/* Quoted wherever plain YAML could be read as something else. */
static void put_scalar(buf *out, str text)
{
    bool plain = text.n > 0;

    for (size_t i = 0; i < text.n && plain; i++) {
        const char ch = text.p[i];
        plain = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '/' || ch == '.' ||
                ch == '_' || ch == '-' || (ch == ':' && i > 0 && i + 1 < text.n);
    }
    if (plain && text.p[0] != '-') {
        buf_str(out, text);
        return;
    }
    buf_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            buf_char(out, '\\');
        buf_char(out, text.p[i]);
    }
    buf_char(out, '"');
}

void config_value_text(const config *c, size_t option, buf *out)
{
    const config_option *o = &config_options[option];
    const char *at = (const char *)c + o->offset;

    switch (o->kind) {
    case CONFIG_texts: {
        const strs *texts = (const strs *)(const void *)at;
        buf_char(out, '[');
        for (size_t i = 0; i < texts->n; i++) {
            buf_str(out, i ? STR(", ") : STR(""));
            put_scalar(out, texts->v[i]);
        }
        buf_char(out, ']');
        break;
    }
    case CONFIG_secret:
        put_scalar(out, ((const str *)(const void *)at)->n ? STR("(set)") : STR(""));
        break;
    case CONFIG_text:
    case CONFIG_choice:
        put_scalar(out, *(const str *)(const void *)at);
        break;
    case CONFIG_flag:
        buf_str(out, *(const bool *)at ? STR("true") : STR("false"));
        break;
    default:
        bound_text(o, *(const int64_t *)(const void *)at, out);
    }
}

bool config_differs(const config *a, const config *b, size_t option)
{
    const config_option *o = &config_options[option];
    buf x = BUF_INIT, y = BUF_INIT;
    bool differs;

    if (o->kind == CONFIG_secret) {
        const str *s = (const str *)(const void *)((const char *)a + o->offset), *t = (const str *)(const void *)((const char *)b + o->offset);
        return !str_eq(*s, *t);
    }
    config_value_text(a, option, &x);
    config_value_text(b, option, &y);
    differs = x.err || y.err || !str_eq(buf_view(&x), buf_view(&y));
    buf_done(&x);
    buf_done(&y);
    return differs;
}

void config_show(const config *c, buf *out)
{
    static const char *const ORIGINS[] = {"default", "file", "environment", "--set"};
    str section = STR("");

    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        str name = str_c(config_options[i].name);
        const ptrdiff_t dot = str_chr(name, '.');
        const str head = dot < 0 ? STR("") : str_head(name, (size_t)dot);
        if (!str_eq(head, section) && head.n)
            buf_printf(out, STR_FMT ":\n", STR_ARG(head));
        section = head;
        name = str_from(name, dot < 0 ? 0 : (size_t)dot + 1);
        buf_printf(out, "%s" STR_FMT ": ", dot < 0 ? "" : "  ", STR_ARG(name));
        config_value_text(c, i, out);
        buf_printf(out, "  # %s\n", ORIGINS[c->origin[i]]);
    }
}
