/* Kinds of options: what a text means, what is wrong with it, and how it is shown. */
#include "config_private.h"

#include <stdlib.h>

#include "larder/client.h"

#define SHOWN 200       /* bytes of a wrong value that the complaint repeats */
#define FOLDER_MAX 1000 /* bytes of a path in a list */

/* ---- complaints ---- */
static int is_no(config_value *v, str text, const char *expected)
{
    v->why =
        arena_printf(&v->c->arena, "%s: '" STR_FMT "' is %s", v->o->name, STR_ARG(str_head(text, SHOWN)), expected);
    return -EINVAL;
}

static int check_length(config_value *v, size_t n, const char *unit)
{
    const config_option *o = v->o;

    if ((int64_t)n >= o->min && (int64_t)n <= o->max)
        return 0;
    v->why = arena_printf(&v->c->arena, "%s: has %zu %s, allowed are %lld to %lld", o->name, n, unit, (long long)o->min,
                          (long long)o->max);
    return -EINVAL;
}

/* ---- numbers: integers, sizes, durations ---- */
static const struct {
    str name;
    int64_t bytes;
} UNITS[] = {
    /* a size is shown in the first that divides it; only the first four are used for that */
    {STR_INIT("TiB"), INT64_C(1) << 40},
    {STR_INIT("GiB"), INT64_C(1) << 30},
    {STR_INIT("MiB"), INT64_C(1) << 20},
    {STR_INIT("KiB"), INT64_C(1) << 10},
    {STR_INIT("TB"), INT64_C(1000000000000)},
    {STR_INIT("GB"), INT64_C(1000000000)},
    {STR_INIT("MB"), 1000000},
    {STR_INIT("KB"), 1000},
    {STR_INIT("B"), 1},
    {STR_INIT(""), 1},
};
#define UNITS_SHOWN 4

static int size_parse(str text, int64_t *ret_bytes)
{
    size_t digits = 0;
    int64_t n;

    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    const str unit = str_trim(str_from(text, digits));
    const int r = str_to_i64(str_head(text, digits), &n);
    if (r < 0)
        return r;
    for (size_t i = 0; i < COUNT_OF(UNITS); i++)
        if (str_eq_nocase(unit, UNITS[i].name))
            return __builtin_mul_overflow(n, UNITS[i].bytes, ret_bytes) ? -ERANGE : 0;
    return -EINVAL;
}

static void show_number(const config_option *o, const void *member, buf *out)
{
    (void)o;
    buf_i64(out, *(const int64_t *)member);
}

static void show_size(const config_option *o, const void *member, buf *out)
{
    const int64_t n = *(const int64_t *)member;

    for (size_t i = 0; i < UNITS_SHOWN; i++) {
        if (n > 0 && n % UNITS[i].bytes == 0) {
            buf_i64(out, n / UNITS[i].bytes);
            buf_str(out, UNITS[i].name);
            return;
        }
    }
    show_number(o, member, out);
}

static void show_span(const config_option *o, const void *member, buf *out)
{
    char text[DURATION_MAX];

    (void)o;
    duration_format(*(const int64_t *)member, text);
    buf_str(out, str_c(text));
}

static int read_number(config_value *v, void *member)
{
    const config_option *o = v->o;
    const str text = v->texts[0];
    buf range = BUF_INIT;
    int64_t n = 0;

    const int r = o->kind->parse(text, &n);
    if (r == 0 && n >= o->min && n <= o->max) {
        *(int64_t *)member = n;
        return 0;
    }
    if (r < 0 && r != -ERANGE)
        return is_no(v, text, o->kind->expected);
    buf_str(&range, STR("out of range, allowed is "));
    o->kind->show(o, &o->min, &range);
    buf_str(&range, STR(" to "));
    o->kind->show(o, &o->max, &range);
    buf_char(&range, '\0');
    const int err = range.err ? range.err : is_no(v, text, range.p);
    buf_done(&range);
    return err;
}

static bool same_number(const void *a, const void *b)
{
    return *(const int64_t *)a == *(const int64_t *)b;
}

const config_kind config_kind_number = {
    .read = read_number, .show = show_number, .same = same_number, .parse = str_to_i64, .expected = "no integer"};
const config_kind config_kind_size = {.read = read_number,
                                      .show = show_size,
                                      .same = same_number,
                                      .parse = size_parse,
                                      .expected = "no size, such as 64MiB"};
const config_kind config_kind_span = {.read = read_number,
                                      .show = show_span,
                                      .same = same_number,
                                      .parse = duration_parse,
                                      .expected = "no duration, such as 30s or 6h"};

/* ---- reals ---- */
int config_real(str text, double *ret_value)
{
    char *end;

    for (size_t i = 0; i < text.n; i++)
        if (!memchr("0123456789.-", text.p[i], 12)) /* no inf, no hexadecimal */
            return -EINVAL;
    const double value = text.n ? strtod(text.p, &end) : 0;
    if (text.n == 0 || *end)
        return -EINVAL;
    *ret_value = value;
    return 0;
}

static int read_real(config_value *v, void *member)
{
    const config_option *o = v->o;
    double n;

    if (config_real(v->texts[0], &n) < 0 || n < (double)o->min || n > (double)o->max) {
        const str expected =
            arena_printf(&v->c->arena, "no number from %lld to %lld", (long long)o->min, (long long)o->max);
        return expected.p ? is_no(v, v->texts[0], expected.p) : -ENOMEM;
    }
    *(double *)member = n;
    return 0;
}

static void show_real(const config_option *o, const void *member, buf *out)
{
    (void)o;
    buf_printf(out, "%.15g", *(const double *)member);
}

static bool same_real(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(double)) == 0;
}

const config_kind config_kind_real = {.read = read_real, .show = show_real, .same = same_real};

/* ---- flags and choices ---- */
static int read_flag(config_value *v, void *member)
{
    const bool on = str_eq(v->texts[0], STR("true"));

    if (!on && !str_eq(v->texts[0], STR("false")))
        return is_no(v, v->texts[0], "neither true nor false");
    *(bool *)member = on;
    return 0;
}

static void show_flag(const config_option *o, const void *member, buf *out)
{
    (void)o;
    buf_str(out, *(const bool *)member ? STR("true") : STR("false"));
}

static bool same_flag(const void *a, const void *b)
{
    return *(const bool *)a == *(const bool *)b;
}

static int read_choice(config_value *v, void *member)
{
    str rest = str_c(v->o->choices), choice;

    for (unsigned i = 0; str_cut(&rest, '|', &choice); i++) {
        if (str_eq(choice, v->texts[0])) {
            *(unsigned *)member = i;
            return 0;
        }
    }
    const str expected = arena_printf(&v->c->arena, "none of %s", v->o->choices);
    return expected.p ? is_no(v, v->texts[0], expected.p) : -ENOMEM;
}

static void show_choice(const config_option *o, const void *member, buf *out)
{
    str rest = str_c(o->choices), choice = STR("");

    for (unsigned i = 0; i <= *(const unsigned *)member; i++)
        (void)str_cut(&rest, '|', &choice);
    buf_str(out, choice);
}

static bool same_choice(const void *a, const void *b)
{
    return *(const unsigned *)a == *(const unsigned *)b;
}

const config_kind config_kind_flag = {.read = read_flag, .show = show_flag, .same = same_flag};
const config_kind config_kind_choice = {.read = read_choice, .show = show_choice, .same = same_choice};

/* ---- texts ---- */
static bool is_printable_ascii(str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= 0x20 || text.p[i] >= 0x7f)
            return false;
    return true;
}

static int read_text(config_value *v, void *member)
{
    const bool is_path = v->o->kind == &config_kind_path;

    if (str_has_control(v->texts[0]) || !utf8_valid(v->texts[0]))
        return is_no(v, v->texts[0],
                     is_path ? "no path: it has control characters, or is not UTF-8"
                             : "no text: it has control characters, or is not UTF-8");
    const int r = check_length(v, v->texts[0].n, "bytes");
    if (r == 0)
        *(str *)member = v->texts[0];
    return r;
}

/* What client.h can ask, without query and fragment: requests are put together from it. A wrong one may hold a
 * password, so only what is wrong with it is told. */
static int read_url(config_value *v, void *member)
{
    str url = v->texts[0];
    const char *why = "no query and no fragment can be asked for";

    int r = check_length(v, url.n, "bytes");
    if (r < 0)
        return r;
    r = str_chr(url, '?') >= 0 || str_chr(url, '#') >= 0 ? -EINVAL : client_url_check(&v->c->arena, url, &why);
    if (r == -EINVAL)
        v->why = arena_printf(&v->c->arena, "%s: %s", v->o->name, why);
    if (r < 0)
        return r;
    while (str_ends(url, STR("/")))
        url.n--;
    url = arena_dup(&v->c->arena, url);
    if (!url.p)
        return -ENOMEM;
    *(str *)member = url;
    return 0;
}

static int read_secret(config_value *v, void *member)
{
    if (!is_printable_ascii(v->texts[0])) {
        v->why = arena_printf(&v->c->arena, "%s: has characters that no token has", v->o->name);
        return -EINVAL;
    }
    const int r = check_length(v, v->texts[0].n, "bytes");
    if (r == 0)
        *(str *)member = v->texts[0];
    return r;
}

/* Of a valid sequence of 2 to 4 bytes. */
static unsigned code_point(const char *p, size_t len)
{
    unsigned cp = (unsigned char)p[0] & (0x7fu >> len);

    for (size_t i = 1; i < len; i++)
        cp = cp << 6 | ((unsigned char)p[i] & 0x3f);
    return cp;
}

/* Always quoted: plain, a path may look like a number or like nothing. Other than ASCII it is escaped, since YAML
 * forbids some of it and folds some. */
static void put_quoted(buf *out, str text)
{
    buf_char(out, '"');
    while (text.n > 0) {
        const size_t len = utf8_sequence(text);
        if (len > 1)
            buf_printf(out, "\\U%08x", code_point(text.p, len));
        else if (text.p[0] == '"' || text.p[0] == '\\')
            buf_printf(out, "\\%c", text.p[0]);
        else
            buf_char(out, text.p[0]);
        text = str_from(text, len ? len : 1);
    }
    buf_char(out, '"');
}

static void show_text(const config_option *o, const void *member, buf *out)
{
    (void)o;
    put_quoted(out, *(const str *)member);
}

static void show_secret(const config_option *o, const void *member, buf *out)
{
    (void)o;
    buf_str(out, ((const str *)member)->n ? STR("(set)") : STR("\"\""));
}

static bool same_text(const void *a, const void *b)
{
    return str_eq(*(const str *)a, *(const str *)b);
}

const config_kind config_kind_text = {.read = read_text, .show = show_text, .same = same_text};
const config_kind config_kind_path = {.read = read_text, .show = show_text, .same = same_text};
const config_kind config_kind_url = {.read = read_url, .show = show_text, .same = same_text};
const config_kind config_kind_secret = {.read = read_secret, .show = show_secret, .same = same_text};

/* ---- lists ---- */
static void show_list(const str *texts, size_t n, buf *out)
{
    buf_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        buf_str(out, i ? STR(", ") : STR(""));
        put_quoted(out, texts[i]);
    }
    buf_char(out, ']');
}

static bool same_list(const str *a, size_t n, const str *b, size_t m)
{
    for (size_t i = 0; n == m && i < n; i++)
        if (!str_eq(a[i], b[i]))
            return false;
    return n == m;
}

static const str *keep(const config_value *v)
{
    str *kept = arena_array(&v->c->arena, str, v->n);

    for (size_t i = 0; kept && i < v->n; i++)
        kept[i] = v->texts[i];
    return kept;
}

/* Port 0 is another one each time. */
static bool is_same_address(const net_listen *a, const net_listen *b)
{
    if (a->addr.is_unix || b->addr.is_unix)
        return a->addr.is_unix && b->addr.is_unix && str_eq(a->path, b->path);
    return a->addr.port != 0 && a->addr.port == b->addr.port && memcmp(a->addr.ip, b->addr.ip, sizeof(a->addr.ip)) == 0;
}

static int read_addresses(config_value *v, void *member)
{
    net_listen *parsed = arena_array(&v->c->arena, net_listen, v->n);
    const config_addresses m = {keep(v), parsed, v->n};
    int r = m.texts && parsed ? check_length(v, v->n, "addresses") : -ENOMEM;

    for (size_t i = 0; r == 0 && i < v->n; i++) {
        const str text = v->texts[i];
        v->bad = i;
        r = str_has_control(text) || !utf8_valid(text) ? -EINVAL : net_listen_parse(&v->c->arena, text, &parsed[i]);
        if (r == -EINVAL)
            return is_no(v, text, "no address to listen on: host:port, [v6]:port or unix:PATH");
        for (size_t k = 0; r == 0 && k < i; k++)
            if (is_same_address(&parsed[k], &parsed[i]))
                return is_no(v, text, "given twice");
    }
    if (r == 0)
        *(config_addresses *)member = m;
    return r;
}

static void show_addresses(const config_option *o, const void *member, buf *out)
{
    const config_addresses *m = member;

    (void)o;
    show_list(m->texts, m->n, out);
}

static bool same_addresses(const void *a, const void *b)
{
    const config_addresses *m = a, *n = b;

    return same_list(m->texts, m->n, n->texts, n->n);
}

static int read_networks(config_value *v, void *member)
{
    net_cidr *nets = arena_array(&v->c->arena, net_cidr, v->n);
    config_networks m = {.texts = keep(v), .n = v->n, .nets = nets};
    const int r = m.texts && nets ? check_length(v, v->n, "networks") : -ENOMEM;

    for (size_t i = 0; r == 0 && i < v->n; i++) {
        v->bad = i;
        if (str_eq(v->texts[i], STR("unix")))
            m.has_unix = true;
        else if (net_cidr_parse(v->texts[i], &nets[m.n_nets]) == 0)
            m.n_nets++;
        else
            return is_no(v, v->texts[i], "no address, no network (10.0.0.0/8) and not `unix`");
    }
    if (r == 0)
        *(config_networks *)member = m;
    return r;
}

static void show_networks(const config_option *o, const void *member, buf *out)
{
    const config_networks *m = member;

    (void)o;
    show_list(m->texts, m->n, out);
}

static bool same_networks(const void *a, const void *b)
{
    const config_networks *m = a, *n = b;

    return same_list(m->texts, m->n, n->texts, n->n);
}

/* Of the server's machine, wherever it is started. */
static int read_folders(config_value *v, void *member)
{
    const strs m = {keep(v), v->n};
    const int r = m.v ? check_length(v, v->n, "folders") : -ENOMEM;

    for (size_t i = 0; r == 0 && i < v->n; i++) {
        const str text = v->texts[i];
        v->bad = i;
        if (!str_starts(text, STR("/")) || text.n > FOLDER_MAX || str_has_control(text) || !utf8_valid(text))
            return is_no(v, text, "no absolute path of a folder");
    }
    if (r == 0)
        *(strs *)member = m;
    return r;
}

static void show_folders(const config_option *o, const void *member, buf *out)
{
    const strs *m = member;

    (void)o;
    show_list(m->v, m->n, out);
}

static bool same_folders(const void *a, const void *b)
{
    const strs *m = a, *n = b;

    return same_list(m->v, m->n, n->v, n->n);
}

static int read_secrets(config_value *v, void *member)
{
    const strs m = {keep(v), v->n};
    const int r = m.v ? check_length(v, v->n, "keys") : -ENOMEM;

    for (size_t i = 0; r == 0 && i < v->n; i++) {
        v->bad = i;
        if (v->texts[i].n == 0 || !is_printable_ascii(v->texts[i])) {
            v->why = arena_printf(&v->c->arena, "%s: has a key that is empty, or has characters that no key has",
                                  v->o->name);
            return -EINVAL;
        }
    }
    if (r == 0)
        *(strs *)member = m;
    return r;
}

static void show_secrets(const config_option *o, const void *member, buf *out)
{
    (void)o;
    buf_str(out, ((const strs *)member)->n ? STR("(set)") : STR("[]"));
}

const config_kind config_kind_addresses = {
    .is_list = true, .has_commas = true, .read = read_addresses, .show = show_addresses, .same = same_addresses};
const config_kind config_kind_networks = {
    .is_list = true, .has_commas = true, .read = read_networks, .show = show_networks, .same = same_networks};
const config_kind config_kind_secrets = {
    .is_list = true, .read = read_secrets, .show = show_secrets, .same = same_folders};
const config_kind config_kind_folders = {
    .is_list = true, .read = read_folders, .show = show_folders, .same = same_folders};

/* ---- trees ---- */
#define SECRET_KEY "key" /* wherever it stands in a tree, what belongs to it is not shown */

static void put_node(const config_node *node, buf *out)
{
    const bool is_map = node->shape == CONFIG_MAP;
    size_t shown = 0;

    if (node->shape == CONFIG_SCALAR) {
        put_quoted(out, node->text);
        return;
    }
    buf_char(out, is_map ? '{' : '[');
    for (size_t i = 0; i < node->n; i++) {
        if (is_map && str_eq(node->items[i].key, STR(SECRET_KEY)))
            continue;
        buf_str(out, shown++ ? STR(", ") : STR(""));
        if (is_map) {
            put_quoted(out, node->items[i].key);
            buf_str(out, STR(": "));
        }
        put_node(&node->items[i], out);
    }
    buf_char(out, is_map ? '}' : ']');
}

static void show_tree(const config_option *o, const void *member, buf *out)
{
    const config_node *node = *(const config_node *const *)member;

    (void)o;
    if (!node || (node->shape == CONFIG_SCALAR && node->text.n == 0))
        buf_str(out, STR("[]"));
    else
        put_node(node, out);
}

static bool same_node(const config_node *a, const config_node *b)
{
    bool same = a->shape == b->shape && a->n == b->n && str_eq(a->text, b->text);

    for (size_t i = 0; same && i < a->n; i++)
        same = str_eq(a->items[i].key, b->items[i].key) && same_node(&a->items[i], &b->items[i]);
    return same;
}

static bool same_tree(const void *a, const void *b)
{
    return same_node(*(const config_node *const *)a, *(const config_node *const *)b);
}

const config_kind config_kind_tree = {.is_tree = true, .show = show_tree, .same = same_tree};
