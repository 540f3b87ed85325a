/* From a schema to JSON Schema (draft 2020-12), as OpenAPI 3.1 wants it. Bounds of 0 are no bounds, as in
 * decoding. */
#include "larder/schema.h"

#include <stdio.h>

#include "fields.h"

static void put_bound(json *w, const char *key, int64_t bound)
{
    if (bound == 0)
        return;
    json_key(w, str_c(key));
    json_put_int(w, bound);
}

/* "type": "string", or ["string","null"] */
static void put_type(json *w, const field *f, const char *type)
{
    json_key(w, STR("type"));
    if (!(f->flags & NULLABLE)) {
        json_put_str(w, str_c(type));
        return;
    }
    json_array(w);
    json_put_str(w, str_c(type));
    json_put_str(w, STR("null"));
    json_end(w);
}

static void put_number(json *w, const field *f, const char *type)
{
    put_type(w, f, type);
    if (!field_is_bounded(f))
        return;
    json_pair_int(w, "minimum", f->min);
    if (f->max != INT64_MAX)
        json_pair_int(w, "maximum", f->max);
}

static void put_choices(json *w, const field *f)
{
    put_type(w, f, "string");
    json_key(w, STR("enum"));
    json_array(w);
    str rest = str_c(f->choices), choice;
    while (str_cut(&rest, '|', &choice))
        json_put_str(w, choice);
    if (f->flags & NULLABLE)
        json_put_null(w);
    json_end(w);
}

static void put_pattern(json *w, const field *f)
{
    if (f->flags & NO_CONTROL)
        json_pair_str(w, "pattern", STR("^[^\\u0000-\\u001f\\u007f-\\u009f]*$"));
}

/* The schema of a list's or an object's texts. */
static void put_each_text(json *w, const field *f)
{
    json_object(w);
    json_pair_str(w, "type", STR("string"));
    put_bound(w, "minLength", f->each_min);
    put_bound(w, "maxLength", f->each_max);
    put_pattern(w, f);
    json_end(w);
}

static void put_dictionary(json *w, const field *f)
{
    put_type(w, f, "object");
    put_bound(w, "minProperties", f->min);
    put_bound(w, "maxProperties", f->max);
    json_key(w, STR("additionalProperties"));
    if (f->kind == FIELD_PAIRS) {
        put_each_text(w, f);
        return;
    }
    json_object(w);
    json_pair_str(w, "type", STR("integer"));
    json_end(w);
}

static void put_reference(json *w, const schema *s)
{
    char path[128];
    int n = snprintf(path, sizeof(path), "#/components/schemas/%s", s->name);
    if (EXPECT(n > 0 && (size_t)n < sizeof(path)))
        json_pair_str(w, "$ref", str_of(path, (size_t)n));
}

/* A reference can't be an alternative to null by a list of types. */
static void put_object(json *w, const field *f)
{
    if (!(f->flags & NULLABLE)) {
        put_reference(w, f->sub);
        return;
    }
    json_key(w, STR("anyOf"));
    json_array(w);
    json_object(w);
    put_reference(w, f->sub);
    json_end(w);
    json_object(w);
    json_pair_str(w, "type", STR("null"));
    json_end(w);
    json_end(w);
}

static void put_kind(json *w, const field *f)
{
    switch (f->kind) {
    case FIELD_BOOL:
        put_type(w, f, "boolean");
        break;
    case FIELD_I64:
        put_number(w, f, "integer");
        break;
    case FIELD_F64:
        put_number(w, f, "number");
        break;
    case FIELD_STR:
        put_type(w, f, "string");
        put_bound(w, "minLength", f->min);
        put_bound(w, "maxLength", f->max);
        put_pattern(w, f);
        break;
    case FIELD_CHOICE:
        put_choices(w, f);
        break;
    case FIELD_TIME:
        put_type(w, f, "string");
        json_pair_str(w, "format", STR("date-time"));
        break;
    case FIELD_STRS:
        put_type(w, f, "array");
        put_bound(w, "minItems", f->min);
        put_bound(w, "maxItems", f->max);
        json_key(w, STR("items"));
        put_each_text(w, f);
        break;
    case FIELD_COUNTS:
    case FIELD_PAIRS:
        put_dictionary(w, f);
        break;
    case FIELD_RAW: /* any value: no keyword */
        break;
    case FIELD_OBJECT:
        put_object(w, f);
        break;
    case FIELD_ROWS:
        put_type(w, f, "array");
        put_bound(w, "minItems", f->min);
        put_bound(w, "maxItems", f->max);
        json_key(w, STR("items"));
        json_object(w);
        put_reference(w, f->sub);
        json_end(w);
        break;
    }
}

static void put_default(json *w, const field *f)
{
    union {
        bool truth;
        int64_t integer;
        double real;
        str text;
    } v = {.text = STR_NULL};
    if (!f->def)
        return;
    json_key(w, STR("default"));
    switch (f->kind) {
    case FIELD_BOOL:
        field_set_default(f, &v.truth);
        json_put_bool(w, v.truth);
        break;
    case FIELD_I64:
        field_set_default(f, &v.integer);
        json_put_int(w, v.integer);
        break;
    case FIELD_F64:
        field_set_default(f, &v.real);
        json_put_real(w, v.real);
        break;
    case FIELD_RAW:
        json_put_raw(w, str_c(f->def));
        break;
    case FIELD_STRS:
        json_put_raw(w, STR("[]"));
        break;
    case FIELD_COUNTS:
    case FIELD_PAIRS:
        json_put_raw(w, STR("{}"));
        break;
    default:
        json_put_str(w, str_c(f->def));
        break;
    }
}

static void put_value(json *w, const field *f)
{
    put_kind(w, f);
    if (f->format)
        json_pair_str(w, "format", str_c(f->format));
    put_default(w, f);
}

void schema_describe_field(const field *f, json *w)
{
    json_object(w);
    put_value(w, f);
    json_end(w);
}

static void put_member(json *w, const field *f)
{
    json_key(w, str_c(f->name));
    json_object(w);
    put_value(w, f);
    json_pair_str(w, "description", str_c(f->doc));
    json_end(w);
}

static void put_properties(json *w, const schema *s)
{
    json_key(w, STR("properties"));
    json_object(w);
    for (size_t i = 0; i < s->n; i++)
        if (!(s->fields[i].flags & HIDDEN))
            put_member(w, &s->fields[i]);
    json_end(w);
}

/* The names of the fields that are always there, from the `from`-th field on; nothing where there are none. */
static void put_required(json *w, const char *key, const schema *s, size_t from)
{
    bool any = false;
    for (size_t i = from; i < s->n; i++) {
        if (!(s->fields[i].flags & REQUIRED) || s->fields[i].flags & HIDDEN)
            continue;
        if (!any) {
            json_key(w, str_c(key));
            json_array(w);
        }
        any = true;
        json_put_str(w, str_c(s->fields[i].name));
    }
    if (any)
        json_end(w);
}

/* Where its first field is, there are all the others. */
static void put_beside(json *w, const schema *s)
{
    json_object(w);
    json_pair_str(w, "type", STR("object"));
    json_pair_str(w, "description", str_c(s->doc));
    put_properties(w, s);
    json_key(w, STR("dependentRequired"));
    json_object(w);
    put_required(w, s->fields[0].name, s, 1);
    json_end(w);
    json_end(w);
}

static void put_composed(json *w, const schema *s)
{
    json_key(w, STR("allOf"));
    json_array(w);
    json_object(w);
    put_reference(w, s->base);
    json_end(w);
    put_beside(w, s->beside);
    json_end(w);
}

void schema_describe(const schema *s, json *w)
{
    json_object(w);
    json_pair_str(w, "type", STR("object"));
    json_pair_str(w, "description", str_c(s->doc));
    if (s->base) {
        put_composed(w, s);
    } else {
        put_properties(w, s);
        put_required(w, "required", s, 0);
    }
    json_end(w);
}
