/* From a query text to a struct. One walk notes where each field's first value stands and how often it comes;
 * then the fields are taken in the schema's order, so that the first error is always the same one. */
#include "larder/schema.h"

#include <inttypes.h>

#include "fields.h"
#include "larder/clock.h"

typedef struct query {
    arena *a;
    schema_error *err;
    const schema *s;
    str text;
    struct {
        str raw; /* the first value that is not empty, not decoded yet */
        size_t times, empty_times;
        bool in_path;
    } found[SCHEMA_FIELDS_MAX]; /* those of the schema's fields are set */
} query;

/* Cuts the next `name=value` off; false at the end. The name is decoded, the value is not. */
static int next_param(query *q, str *rest, str *ret_name, str *ret_raw)
{
    str param;
    while (str_cut(rest, '&', &param)) {
        str name;
        ptrdiff_t equals = str_chr(param, '=');
        size_t end = equals < 0 ? param.n : (size_t)equals;
        int r = percent_decode(q->a, str_head(param, end), true, &name);
        if (r == -EINVAL)
            continue; /* a broken name is none of ours */
        if (r < 0)
            return r;
        *ret_name = name;
        *ret_raw = str_from(param, end + 1);
        return 1;
    }
    return 0;
}

/* s->n when it names none. */
static size_t field_named(const schema *s, str name)
{
    size_t i = 0;
    while (i < s->n && !str_eq(name, str_c(s->fields[i].name)))
        i++;
    return i;
}

static void find_in_path(query *q, const pair *path, size_t n)
{
    memset(q->found, 0, q->s->n * sizeof(q->found[0]));
    for (size_t p = 0; p < n; p++) {
        size_t i = field_named(q->s, path[p].key);
        if (!EXPECT(i < q->s->n))
            continue;
        q->found[i].raw = path[p].value;
        q->found[i].times = 1;
        q->found[i].in_path = true;
    }
}

static int find_in_query(query *q)
{
    str rest = q->text, name, raw;
    int r;
    while ((r = next_param(q, &rest, &name, &raw)) > 0) {
        size_t i = field_named(q->s, name);
        if (i == q->s->n || q->found[i].in_path)
            continue;
        if (raw.n == 0) {
            q->found[i].empty_times++;
        } else if (q->found[i].times++ == 0) {
            q->found[i].raw = raw;
        }
    }
    return r;
}

/* ---- error texts ---- */

/* "1 to 200 characters", "at most 20 values" */
static str range_of(arena *a, int64_t min, int64_t max, const char *unit)
{
    if (max == 0 || max == INT64_MAX)
        return arena_printf(a, "at least %" PRId64 " %s%s", min, unit, min == 1 ? "" : "s");
    if (min <= 0)
        return arena_printf(a, "at most %" PRId64 " %s%s", max, unit, max == 1 ? "" : "s");
    if (min == max)
        return arena_printf(a, "%" PRId64 " %s%s", max, unit, max == 1 ? "" : "s");
    return arena_printf(a, "%" PRId64 " to %" PRId64 " %ss", min, max, unit);
}

/* "an integer from 1 to 500" */
static str number_range_of(arena *a, const field *f, const char *what)
{
    if (!field_is_bounded(f))
        return str_c(what);
    if (f->max == INT64_MAX)
        return arena_printf(a, "%s of at least %" PRId64, what, f->min);
    return arena_printf(a, "%s from %" PRId64 " to %" PRId64, what, f->min, f->max);
}

/* "name, type" */
static str options_of(arena *a, const field *f)
{
    str rest = str_c(f->choices), choice, options = STR("");
    while (options.p && str_cut(&rest, '|', &choice))
        options = arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(options), options.n ? ", " : "", STR_ARG(choice));
    return options;
}

/* What a value has to be: the second sentence of every error. */
static str rule_of(arena *a, const field *f)
{
    str what = STR("text");
    switch (f->kind) {
    case FIELD_BOOL:
        what = STR("true or false");
        break;
    case FIELD_I64:
        what = number_range_of(a, f, "an integer");
        break;
    case FIELD_F64:
        what = number_range_of(a, f, "a number");
        break;
    case FIELD_TIME:
        what = STR("a time like 2025-01-18T10:00:00Z");
        break;
    case FIELD_STR:
        if (field_is_bounded(f))
            what = range_of(a, f->min, f->max, "character");
        break;
    case FIELD_STRS:
        if (f->each_min != 0 || f->each_max != 0)
            what = range_of(a, f->each_min, f->each_max, "character");
        break;
    case FIELD_CHOICE:
        what = options_of(a, f);
        return what.p ? arena_printf(a, "Valid options: " STR_FMT, STR_ARG(what)) : what;
    case FIELD_COUNTS:
    case FIELD_PAIRS:
    case FIELD_RAW:
    case FIELD_OBJECT:
    case FIELD_ROWS:
        break;
    }
    return what.p ? arena_printf(a, "Must be " STR_FMT, STR_ARG(what)) : what;
}

static int fail(query *q, const field *f, str text)
{
    if (!text.p)
        return -ENOMEM;
    *q->err = (schema_error){str_c(f->name), text};
    return -EINVAL;
}

static int fail_missing(query *q, const field *f)
{
    str rule = rule_of(q->a, f);
    if (!rule.p)
        return -ENOMEM;
    return fail(q, f, arena_printf(q->a, "Missing query parameter: %s. " STR_FMT, f->name, STR_ARG(rule)));
}

/* `value` is repeated up to FIELD_ECHO_MAX characters. */
static int fail_value(query *q, const field *f, str value, str rule)
{
    str echo = utf8_head(value, FIELD_ECHO_MAX);
    const char *more = echo.n < value.n ? "..." : "";
    if (!rule.p)
        return -ENOMEM;
    if (f->kind == FIELD_CHOICE)
        return fail(q, f,
                    arena_printf(q->a, "Invalid %s field: " STR_FMT "%s. " STR_FMT, f->name, STR_ARG(echo), more,
                                 STR_ARG(rule)));
    return fail(
        q, f, arena_printf(q->a, "Invalid %s: '" STR_FMT "%s'. " STR_FMT, f->name, STR_ARG(echo), more, STR_ARG(rule)));
}

static int fail_times(query *q, const field *f, size_t times, str rule)
{
    if (!rule.p)
        return -ENOMEM;
    return fail(q, f,
                arena_printf(q->a, "Invalid %s: given %zu time%s. Must be " STR_FMT, f->name, times,
                             times == 1 ? "" : "s", STR_ARG(rule)));
}

/* ---- values ---- */

/* An empty text says nothing, but of a number it is none. */
static bool empty_counts(const field *f)
{
    return (f->flags & REQUIRED) || f->kind == FIELD_I64 || f->kind == FIELD_F64;
}

/* In a query '+' is a blank, in a path it is itself. */
static int text_of(query *q, const field *f, str raw, bool in_path, str *ret_text)
{
    str text;
    int r = percent_decode(q->a, raw, !in_path, &text);
    const bool has_nul = r == 0 && str_chr(text, '\0') >= 0; /* where somebody's text would end */
    if (r == -EINVAL || has_nul || (r == 0 && !utf8_valid(text))) {
        str rule = has_nul ? STR("Must not contain %00") : STR("Must be percent-encoded UTF-8");
        return fail_value(q, f, str_head(raw, FIELD_ECHO_MAX), rule);
    }
    if (r == 0)
        *ret_text = text;
    return r;
}

static bool length_fits(str text, int64_t min, int64_t max)
{
    if (min <= 0 && max <= 0)
        return true;
    const size_t n = utf8_length(text);
    return (min <= 0 || n >= (uint64_t)min) && (max <= 0 || n <= (uint64_t)max);
}

static bool number_fits(const field *f, double v)
{
    return !field_is_bounded(f) || (v >= (double)f->min && v <= (double)f->max);
}

static bool set_i64(const field *f, str text, int64_t *member)
{
    int64_t v;
    if (str_to_i64(text, &v) < 0 || (field_is_bounded(f) && (v < f->min || v > f->max)))
        return false;
    *member = v;
    return true;
}

static bool set_f64(const field *f, str text, double *member)
{
    double v;
    if (!field_real_of(text, &v) || !number_fits(f, v))
        return false;
    *member = v;
    return true;
}

static bool set_text(str text, bool fits, str *member)
{
    if (fits)
        *member = text;
    return fits;
}

/* False when the text is no such value. */
static bool set_value(const field *f, str text, void *member)
{
    switch (f->kind) {
    case FIELD_BOOL:
        return field_bool_of(text, member);
    case FIELD_I64:
        return set_i64(f, text, member);
    case FIELD_F64:
        return set_f64(f, text, member);
    case FIELD_TIME:
        return rfc3339_parse(text, member) == 0;
    case FIELD_STR:
        return set_text(text, length_fits(text, f->min, f->max), member);
    case FIELD_CHOICE:
        return field_choice_of(f, text, member);
    case FIELD_STRS:
    case FIELD_COUNTS:
    case FIELD_PAIRS:
    case FIELD_RAW:
    case FIELD_OBJECT:
    case FIELD_ROWS:
        break;
    }
    return EXPECT(f->kind == FIELD_STR); /* the other kinds have no place in a query */
}

static int decode_list(query *q, const field *f, size_t n, strs *member)
{
    if ((f->min > 0 && n < (uint64_t)f->min) || (f->max > 0 && n > (uint64_t)f->max))
        return fail_times(q, f, n, range_of(q->a, f->min, f->max, "value"));
    str *items = arena_array(q->a, str, n);
    if (!items)
        return -ENOMEM;
    str rest = q->text, name, raw;
    size_t i = 0;
    int r;
    while ((r = next_param(q, &rest, &name, &raw)) > 0) {
        if (raw.n == 0 || !str_eq(name, str_c(f->name)))
            continue;
        r = text_of(q, f, raw, false, &items[i]);
        if (r < 0)
            return r;
        if (!length_fits(items[i], f->each_min, f->each_max))
            return fail_value(q, f, items[i], rule_of(q->a, f));
        i++;
    }
    if (r < 0)
        return r;
    *member = (strs){items, i};
    return 0;
}

static int decode_param(query *q, size_t i, void *member)
{
    const field *f = &q->s->fields[i];
    str text;
    if (f->kind == FIELD_STRS)
        return decode_list(q, f, q->found[i].times, member);
    if (q->found[i].times > 1)
        return fail_times(q, f, q->found[i].times, STR("given once"));
    int r = text_of(q, f, q->found[i].raw, q->found[i].in_path, &text);
    if (r < 0)
        return r;
    return set_value(f, text, member) ? 0 : fail_value(q, f, text, rule_of(q->a, f));
}

int schema_decode_params(const schema *s, arena *a, const pair *path, size_t n_path, str text, void *out,
                         schema_error *err)
{
    query q;
    schema_bits *bits = out;
    q.a = a;
    q.err = err;
    q.s = s;
    q.text = text;
    find_in_path(&q, path, n_path);
    int r = find_in_query(&q);
    for (size_t i = 0; r == 0 && i < s->n; i++) {
        const field *f = &s->fields[i];
        void *member = (char *)out + f->offset;
        bool is_required = f->flags & REQUIRED;
        if (q.found[i].times > 0 || (empty_counts(f) && q.found[i].empty_times > 0)) {
            r = decode_param(&q, i, member);
            bits->given |= FIELD_BIT(i);
        } else if (is_required) {
            r = fail_missing(&q, f);
        } else {
            field_set_default(f, member);
        }
    }
    return r;
}
