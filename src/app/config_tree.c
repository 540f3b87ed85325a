/* Maps of a configuration's trees, read by tables of fields. */
#include <stdarg.h>
#include <stdio.h>

#include "config_private.h"

#define SHOWN 200 /* bytes of a wrong value that the complaint repeats */

int tree_complain(arena *a, const config_node *at, str *why, const char *format, ...)
{
    va_list args;
    char text[600];

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    *why = at->file ? arena_printf(a, "%s:%zu: %s", at->file, at->line, text) : arena_printf(a, "%s", text);
    return why->p ? -EINVAL : -ENOMEM;
}

/* ---- one value ---- */
typedef struct reading {
    arena *a;
    const tree_field *f;
    str *why;
} reading;

static int is_no(const reading *rd, const config_node *v, const char *expected)
{
    return v->shape == CONFIG_SCALAR ? tree_complain(rd->a, v, rd->why, "%s: '" STR_FMT "' is %s", rd->f->name,
                                                     STR_ARG(str_head(v->text, SHOWN)), expected)
                                     : tree_complain(rd->a, v, rd->why, "%s: takes one value", rd->f->name);
}

static int out_of_range(const reading *rd, const config_node *v)
{
    char least[DURATION_MAX], most[DURATION_MAX];

    if (rd->f->kind == TREE_SPAN) {
        duration_format(rd->f->min, least);
        duration_format(rd->f->max, most);
    } else {
        (void)snprintf(least, sizeof(least), "%lld", (long long)rd->f->min);
        (void)snprintf(most, sizeof(most), "%lld", (long long)rd->f->max);
    }
    return tree_complain(rd->a, v, rd->why, "%s: '" STR_FMT "' is out of range, allowed is %s to %s", rd->f->name,
                         STR_ARG(str_head(v->text, SHOWN)), least, most);
}

static int read_integer(const reading *rd, const config_node *v, int (*parse)(str, int64_t *), const char *expected,
                        int64_t *ret)
{
    int64_t n;
    const int r = v->shape == CONFIG_SCALAR ? parse(v->text, &n) : -EINVAL;

    if (r < 0 && r != -ERANGE)
        return is_no(rd, v, expected);
    if (r < 0 || n < rd->f->min || n > rd->f->max)
        return out_of_range(rd, v);
    *ret = n;
    return 0;
}

static int read_real(const reading *rd, const config_node *v, double *ret)
{
    double n;

    if (v->shape != CONFIG_SCALAR || config_real(v->text, &n) < 0)
        return is_no(rd, v, "no number");
    if (n < (double)rd->f->min || n > (double)rd->f->max)
        return out_of_range(rd, v);
    *ret = n;
    return 0;
}

static int read_flag(const reading *rd, const config_node *v, bool *ret)
{
    const bool on = str_eq(v->text, STR("true"));

    if (v->shape != CONFIG_SCALAR || (!on && !str_eq(v->text, STR("false"))))
        return is_no(rd, v, "neither true nor false");
    *ret = on;
    return 0;
}

static int read_choice(const reading *rd, const config_node *v, unsigned *ret)
{
    str rest = str_c(rd->f->choices), choice;

    for (unsigned i = 0; v->shape == CONFIG_SCALAR && str_cut(&rest, '|', &choice); i++) {
        if (str_eq(choice, v->text)) {
            *ret = i;
            return 0;
        }
    }
    return tree_complain(rd->a, v, rd->why, "%s: '" STR_FMT "' is none of %s", rd->f->name,
                         STR_ARG(str_head(v->text, SHOWN)), rd->f->choices);
}

static int read_text(const reading *rd, const config_node *v, str *ret)
{
    if (v->shape != CONFIG_SCALAR)
        return is_no(rd, v, "");
    if (str_has_control(v->text))
        return is_no(rd, v, "not taken: it has control characters");
    if (!utf8_valid(v->text))
        return is_no(rd, v, "no UTF-8");
    *ret = v->text;
    return 0;
}

/* A list, or one value that stands for a list of itself. */
static int read_list(const reading *rd, const config_node *v, void *ret)
{
    const bool is_list = v->shape == CONFIG_LIST, is_text = rd->f->kind == TREE_TEXTS;
    const size_t n = is_list ? v->n : 1;
    const config_node *items = is_list ? v->items : v;
    str *texts = is_text ? arena_array(rd->a, str, n ? n : 1) : NULL;
    int64_t *numbers = is_text ? NULL : arena_array(rd->a, int64_t, n ? n : 1);
    int r = texts || numbers ? 0 : -ENOMEM;

    if (r == 0 && ((int64_t)n < rd->f->min || (int64_t)n > rd->f->max))
        return tree_complain(rd->a, v, rd->why, "%s: has %zu elements, allowed are %lld to %lld", rd->f->name, n,
                             (long long)rd->f->min, (long long)rd->f->max);
    for (size_t i = 0; r == 0 && i < n; i++) {
        if (is_text)
            r = read_text(rd, &items[i], &texts[i]);
        else if (items[i].shape != CONFIG_SCALAR || str_to_i64(items[i].text, &numbers[i]) < 0)
            r = is_no(rd, &items[i], "no integer");
    }
    if (r == 0 && is_text)
        *(strs *)ret = (strs){texts, n};
    else if (r == 0)
        *(config_numbers *)ret = (config_numbers){numbers, n};
    return r;
}

static int read_value(const reading *rd, const config_node *v, void *member)
{
    const tree_field *f = rd->f;

    switch (f->kind) {
    case TREE_NUMBER:
        return read_integer(rd, v, str_to_i64, "no integer", member);
    case TREE_SPAN:
        return read_integer(rd, v, duration_parse, "no duration, such as 30s or 6h", member);
    case TREE_REAL:
        return read_real(rd, v, member);
    case TREE_FLAG:
        return read_flag(rd, v, member);
    case TREE_CHOICE:
        return read_choice(rd, v, member);
    case TREE_TEXT: {
        const int r = read_text(rd, v, member);
        if (r == 0 && ((int64_t)v->text.n < f->min || (int64_t)v->text.n > f->max))
            return tree_complain(rd->a, v, rd->why, "%s: has %zu bytes, allowed are %lld to %lld", f->name, v->text.n,
                                 (long long)f->min, (long long)f->max);
        return r;
    }
    case TREE_TEXTS:
    case TREE_NUMBERS:
        return read_list(rd, v, member);
    case TREE_NODE:
        *(const config_node **)member = v;
        return 0;
    }
    return -EINVAL;
}

/* ---- a map ---- */
static const tree_field *find(const tree_field *fields, size_t n, str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(str_c(fields[i].name), name))
            return &fields[i];
    return NULL;
}

int tree_decode(arena *a, const config_node *map, const tree_field *fields, size_t n, void *out, str *why)
{
    uint64_t seen = 0;

    if (map->shape != CONFIG_MAP)
        return tree_complain(a, map, why, "a map was expected");
    for (size_t i = 0; i < map->n; i++) {
        const config_node *v = &map->items[i];
        const tree_field *f = find(fields, n, v->key);
        if (!f)
            return tree_complain(a, v, why, STR_FMT ": there is no such key here", STR_ARG(str_head(v->key, SHOWN)));
        const uint64_t bit = UINT64_C(1) << (f - fields);
        if (seen & bit)
            return tree_complain(a, v, why, "%s: given twice", f->name);
        seen |= bit;
        const reading rd = {a, f, why};
        const int r = read_value(&rd, v, (char *)out + f->offset);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < n; i++)
        if (fields[i].is_required && !(seen >> i & 1))
            return tree_complain(a, map, why, "%s: is missing", fields[i].name);
    return 0;
}
