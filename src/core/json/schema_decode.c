/* From a body to a struct. Fields are taken in the schema's order, so that the first error is always the same
 * one; keys the schema does not name come last. An error of a nested object gets its outer names on the way
 * out. */
#include "larder/schema.h"

#include <inttypes.h>

#include "fields.h"
#include "larder/clock.h"

typedef struct decoder {
    arena *a;
    schema_error *err;
    unsigned flags;
} decoder;

/* `text` with a null pointer, from a failed arena_printf, is out of memory. So is a null `name`. */
static int fail(decoder *d, str name, str text)
{
    if (!name.p || !text.p)
        return -ENOMEM;
    str whole = arena_printf(d->a, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(text));
    if (!whole.p)
        return -ENOMEM;
    *d->err = (schema_error){name, whole};
    return -EINVAL;
}

/* The error of an inner object, seen from outside: "name" -> "outer.name". A null `outer` is out of memory. */
static int fail_inside(decoder *d, str outer)
{
    str name = d->err->field, text = d->err->text;
    if (!name.p || !outer.p)
        return fail(d, outer, text);
    name = arena_printf(d->a, STR_FMT "." STR_FMT, STR_ARG(outer), STR_ARG(name));
    text = arena_printf(d->a, STR_FMT "." STR_FMT, STR_ARG(outer), STR_ARG(text));
    if (!name.p || !text.p)
        return -ENOMEM;
    *d->err = (schema_error){name, text};
    return -EINVAL;
}

static const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

/* Whether a length or a count lies within its bounds; *ret_why says what is wrong, or null without memory. */
static bool in_bounds(decoder *d, size_t n, int64_t min, int64_t max, const char *what, const char *unit, str *ret_why)
{
    if (min > 0 && n < (uint64_t)min)
        *ret_why = arena_printf(d->a, "%s should have at least %" PRId64 " %s%s", what, min, unit, plural(min));
    else if (max > 0 && n > (uint64_t)max)
        *ret_why = arena_printf(d->a, "%s should have at most %" PRId64 " %s%s", what, max, unit, plural(max));
    else
        return true;
    return false;
}

static bool text_fits(decoder *d, const field *f, const json_value *v, int64_t min, int64_t max, str *ret_text,
                      str *ret_why)
{
    if (!json_is(v, JSON_STRING)) {
        *ret_why = STR("Input should be a valid string");
        return false;
    }
    str text = json_string(v);
    if (text.n && memchr(text.p, '\0', text.n)) {
        *ret_why = STR("String should not contain null characters");
        return false;
    }
    if ((f->flags & NO_CONTROL) && str_has_control(text)) {
        *ret_why = STR("String should not contain control characters");
        return false;
    }
    if (!in_bounds(d, utf8_length(text), min, max, "String", "character", ret_why))
        return false;
    *ret_text = text;
    return true;
}

static int decode_i64(decoder *d, const field *f, const json_value *v, int64_t *member)
{
    if (!json_is(v, JSON_INT))
        return fail(d, str_c(f->name), STR("Input should be a valid integer"));
    int64_t n = json_int(v);
    if (field_is_bounded(f) && n < f->min)
        return fail(d, str_c(f->name), arena_printf(d->a, "Input should be greater than or equal to %" PRId64, f->min));
    if (field_is_bounded(f) && n > f->max)
        return fail(d, str_c(f->name), arena_printf(d->a, "Input should be less than or equal to %" PRId64, f->max));
    *member = n;
    return 0;
}

static int decode_f64(decoder *d, const field *f, const json_value *v, double *member)
{
    if (!json_is(v, JSON_INT) && !json_is(v, JSON_REAL))
        return fail(d, str_c(f->name), STR("Input should be a valid number"));
    double n = json_number(v);
    if (field_is_bounded(f) && n < (double)f->min)
        return fail(d, str_c(f->name), arena_printf(d->a, "Input should be greater than or equal to %" PRId64, f->min));
    if (field_is_bounded(f) && n > (double)f->max)
        return fail(d, str_c(f->name), arena_printf(d->a, "Input should be less than or equal to %" PRId64, f->max));
    *member = n;
    return 0;
}

static int decode_str(decoder *d, const field *f, const json_value *v, str *member)
{
    str why;
    return text_fits(d, f, v, f->min, f->max, member, &why) ? 0 : fail(d, str_c(f->name), why);
}

/* "Input should be 'a', 'b' or 'c'" */
static int fail_choice(decoder *d, const field *f)
{
    str text = STR("Input should be "), rest = str_c(f->choices), choice;
    const char *between = "";
    while (text.p && str_cut(&rest, '|', &choice)) {
        text = arena_printf(d->a, STR_FMT "%s'" STR_FMT "'", STR_ARG(text), between, STR_ARG(choice));
        between = str_chr(rest, '|') < 0 ? " or " : ", ";
    }
    return fail(d, str_c(f->name), text);
}

static int decode_choice(decoder *d, const field *f, const json_value *v, str *member)
{
    if (!json_is(v, JSON_STRING) || !field_has_choice(f, json_string(v)))
        return fail_choice(d, f);
    *member = json_string(v);
    return 0;
}

static int decode_time(decoder *d, const field *f, const json_value *v, int64_t *member)
{
    if (!json_is(v, JSON_STRING) || rfc3339_parse(json_string(v), member) < 0)
        return fail(d, str_c(f->name), STR("Input should be a valid datetime"));
    return 0;
}

static int decode_strs(decoder *d, const field *f, const json_value *v, strs *member)
{
    str why;
    size_t n = json_count(v);
    if (!json_is(v, JSON_ARRAY))
        return fail(d, str_c(f->name), STR("Input should be a valid list"));
    if (!in_bounds(d, n, f->min, f->max, "List", "item", &why))
        return fail(d, str_c(f->name), why);
    str *items = arena_array(d->a, str, n);
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        if (!text_fits(d, f, json_at(v, i), f->each_min, f->each_max, &items[i], &why))
            return fail(d, arena_printf(d->a, "%s[%zu]", f->name, i), why);
    *member = (strs){items, n};
    return 0;
}

static int check_dictionary(decoder *d, const field *f, const json_value *v)
{
    str why;
    if (!json_is(v, JSON_OBJECT))
        return fail(d, str_c(f->name), STR("Input should be a valid dictionary"));
    if (!in_bounds(d, json_count(v), f->min, f->max, "Dictionary", "item", &why))
        return fail(d, str_c(f->name), why);
    return 0;
}

static str member_name(decoder *d, const field *f, str key)
{
    return arena_printf(d->a, "%s." STR_FMT, f->name, STR_ARG(utf8_head(key, FIELD_ECHO_MAX)));
}

static int decode_counts(decoder *d, const field *f, const json_value *v, counts *member)
{
    int r = check_dictionary(d, f, v);
    if (r < 0)
        return r;
    count_of *items = arena_array(d->a, count_of, json_count(v));
    if (!items)
        return -ENOMEM;
    str key;
    const json_value *value;
    size_t n = 0;
    for (void *it = NULL; (it = json_next(v, it, &key, &value)); n++) {
        if (!json_is(value, JSON_INT))
            return fail(d, member_name(d, f, key), STR("Input should be a valid integer"));
        items[n] = (count_of){key, json_int(value)};
    }
    *member = (counts){items, n};
    return 0;
}

static int decode_pairs(decoder *d, const field *f, const json_value *v, pairs *member)
{
    int r = check_dictionary(d, f, v);
    if (r < 0)
        return r;
    pair *items = arena_array(d->a, pair, json_count(v));
    if (!items)
        return -ENOMEM;
    str key, why;
    const json_value *value;
    size_t n = 0;
    for (void *it = NULL; (it = json_next(v, it, &key, &value)); n++) {
        items[n].key = key;
        if (!text_fits(d, f, value, f->each_min, f->each_max, &items[n].value, &why))
            return fail(d, member_name(d, f, key), why);
    }
    *member = (pairs){items, n};
    return 0;
}

static int decode_raw(decoder *d, const json_value *v, str *member)
{
    buf text = BUF_INIT;
    json w;
    json_begin(&w, &text);
    json_put_value(&w, v);
    int r = json_finish(&w);
    str copy = r == 0 ? arena_dup(d->a, buf_view(&text)) : STR_NULL;
    buf_done(&text);
    if (r < 0)
        return r;
    if (!copy.p)
        return -ENOMEM;
    *member = copy;
    return 0;
}

static int decode_object(decoder *d, const schema *s, const json_value *object, void *out);

static int decode_rows(decoder *d, const field *f, const json_value *v, rows *member)
{
    str why;
    size_t n = json_count(v);
    if (!json_is(v, JSON_ARRAY))
        return fail(d, str_c(f->name), STR("Input should be a valid list"));
    if (!in_bounds(d, n, f->min, f->max, "List", "item", &why))
        return fail(d, str_c(f->name), why);
    char *items = arena_calloc(d->a, n, f->sub->size);
    if (!items)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int r = decode_object(d, f->sub, json_at(v, i), items + i * f->sub->size);
        if (r < 0)
            return r == -EINVAL ? fail_inside(d, arena_printf(d->a, "%s[%zu]", f->name, i)) : r;
    }
    *member = (rows){items, n};
    return 0;
}

static int decode_member(decoder *d, const field *f, const json_value *v, void *member)
{
    int r;
    switch (f->kind) {
    case FIELD_BOOL:
        if (!json_is(v, JSON_BOOL))
            return fail(d, str_c(f->name), STR("Input should be a valid boolean"));
        *(bool *)member = json_bool(v);
        return 0;
    case FIELD_I64:
        return decode_i64(d, f, v, member);
    case FIELD_F64:
        return decode_f64(d, f, v, member);
    case FIELD_STR:
        return decode_str(d, f, v, member);
    case FIELD_CHOICE:
        return decode_choice(d, f, v, member);
    case FIELD_TIME:
        return decode_time(d, f, v, member);
    case FIELD_STRS:
        return decode_strs(d, f, v, member);
    case FIELD_COUNTS:
        return decode_counts(d, f, v, member);
    case FIELD_PAIRS:
        return decode_pairs(d, f, v, member);
    case FIELD_RAW:
        return decode_raw(d, v, member);
    case FIELD_OBJECT:
        r = decode_object(d, f->sub, v, member);
        return r == -EINVAL ? fail_inside(d, str_c(f->name)) : r;
    case FIELD_ROWS:
        return decode_rows(d, f, v, member);
    }
    return 0;
}

/* Which of the object's keys is not a field: there is one. */
static int fail_extra(decoder *d, const schema *s, const json_value *object)
{
    str key;
    const json_value *value;
    for (void *it = NULL; (it = json_next(object, it, &key, &value));) {
        size_t i = 0;
        while (i < s->n && !(field_is_input(&s->fields[i]) && str_eq(key, str_c(s->fields[i].name))))
            i++;
        if (i < s->n)
            continue;
        str name = arena_dup(d->a, utf8_head(key, FIELD_ECHO_MAX));
        return fail(d, name, STR("Extra inputs are not permitted"));
    }
    return 0;
}

static int decode_object(decoder *d, const schema *s, const json_value *object, void *out)
{
    if (!json_is(object, JSON_OBJECT)) {
        *d->err = (schema_error){STR_NULL, STR("Input should be a valid dictionary")};
        return -EINVAL;
    }
    schema_bits *bits = out;
    size_t known = 0;
    for (size_t i = 0; i < s->n; i++) {
        const field *f = &s->fields[i];
        void *member = (char *)out + f->offset;
        const json_value *v = field_is_input(f) ? json_get(object, f->name) : NULL;
        if (!v) {
            if (f->flags & REQUIRED)
                return fail(d, str_c(f->name), STR("Field required"));
            field_set_default(f, member);
            continue;
        }
        known++;
        if (json_is(v, JSON_NULL) && (f->flags & NULLABLE || f->kind == FIELD_RAW)) {
            bits->nulls |= FIELD_BIT(i);
            continue;
        }
        int r = decode_member(d, f, v, member);
        if (r < 0)
            return r;
        bits->given |= FIELD_BIT(i);
    }
    return known < json_count(object) && !(d->flags & ALLOW_EXTRA) ? fail_extra(d, s, object) : 0;
}

int schema_decode(const schema *s, arena *a, const json_value *object, unsigned flags, void *out, schema_error *err)
{
    decoder d = {a, err, flags};
    return decode_object(&d, s, object, out);
}
