/* schema: one list of fields per body, query or entity. From the list come the C struct, the decoder with its
 * checks and error texts, the JSON writer, the stored record's codec (record.h), and the OpenAPI schema.
 *
 * To add an entity, write its list once, one field a line:
 *
 *     #define HOST_FIELDS(X, S)                                                           \
 *         X(S, str,    hostname, REQUIRED, 1, 253, NONE,                  "DNS name to keep warm")  \
 *         X(S, i64,    priority, OPTIONAL, 0, 9,   DEFAULT("5"),          "9 is served first")      \
 *         X(S, choice, mode,     OPTIONAL, 0, 0,   CHOICES("hot|cold"),   "how eager")              \
 *         X(S, strs,   tags,     OPTIONAL, 0, 20,  EACH(1, 50),           "labels")
 *     SCHEMA_STRUCT(host, HOST_FIELDS);            in a header: struct host
 *     SCHEMA(host, HOST_FIELDS, "A host");         in one .c file: const schema host_schema
 *
 * Columns: kind, name, flags, min, max, extras, one line of documentation.
 * Flags: REQUIRED or OPTIONAL; with | NULLABLE, null is a value too (else null is refused in a body); with
 * | HIDDEN, the field is kept in the record and not in JSON; with | NO_CONTROL, a body's text (of strs: each) may hold
 * no control characters.
 * min and max bound: a number's value; a text's length in code points; the number of a list's or an object's
 * elements. Both 0 is no bound; a max of 0 (lengths and counts) or INT64_MAX (numbers) is none.
 *
 * Kinds and their C types:
 *     bool     bool
 *     i64      int64_t
 *     f64      double
 *     str      str, null = p NULL
 *     choice   str, one of CHOICES
 *     time     int64_t wall ms, 0 = null; RFC 3339 in JSON
 *     strs     list of texts, null = v NULL (written as [] unless NULLABLE); EACH bounds their lengths
 *     counts   object of integers
 *     pairs    object of texts, null = v NULL (written as {} unless NULLABLE); EACH bounds its values' lengths
 *     raw      str: JSON text, written as it is; when decoding, any value, re-rendered
 *     object_of(other)   another schema's struct; null when its bit is set in `nulls`
 *     rows_of(other)     rows, an array of them: for bodies and replies, it is not stored
 *              Where either should have a name of its own, that needs three lines:
 *                  #define FIELD_C_name other (or rows)
 *                  #define FIELD_KIND_name FIELD_OBJECT (or FIELD_ROWS)
 *                  #define FIELD_SUB_name &other_schema
 * DEFAULT("") of strs, counts and pairs is the empty one instead of null. Bodies may hold every kind; queries
 * bool, i64, f64, str, choice, time and strs.
 *
 * Fields are only ever appended to the list of a stored entity: records of older versions read the new ones
 * as absent. */
#ifndef LARDER_SCHEMA_H
#define LARDER_SCHEMA_H

#include "larder/json.h"

typedef struct strs {
    const str *v; /* NULL: null; an empty list is a non-NULL v with n 0 */
    size_t n;
} strs;
typedef struct count_of {
    str name;
    int64_t n;
} count_of;
typedef struct counts {
    const count_of *v;
    size_t n;
} counts;
typedef struct pair {
    str key, value;
} pair;
typedef struct pairs {
    const pair *v; /* NULL: null; an empty object is a non-NULL v with n 0 */
    size_t n;
} pairs;
typedef struct rows {
    const void *v; /* n structs of the sub-schema, in a row */
    size_t n;
} rows;

typedef enum field_kind {
    FIELD_BOOL,
    FIELD_I64,
    FIELD_F64,
    FIELD_STR,
    FIELD_CHOICE,
    FIELD_TIME,
    FIELD_STRS,
    FIELD_COUNTS,
    FIELD_PAIRS,
    FIELD_RAW,
    FIELD_OBJECT,
    FIELD_ROWS,
} field_kind;

enum { OPTIONAL = 0, REQUIRED = 1, NULLABLE = 2, HIDDEN = 4, NO_CONTROL = 8 };

typedef struct schema schema;
typedef struct field {
    const char *name;
    str quoted; /* "name":  with SCHEMA_PAD behind it, so that it can be copied in steps of fixed size */
    field_kind kind;
    unsigned flags;
    size_t offset;
    int64_t min, max;
    const char *doc;
    const schema *sub;
    const char *def;     /* default as text, NULL for none */
    const char *choices; /* "a|b|c" */
    const char *format;  /* a hint for the document: "uri", "date-time" */
    int64_t each_min, each_max; /* lengths of a list's texts */
} field;
struct schema {
    const char *name, *doc;
    const field *fields;
    size_t n;
    size_t size; /* of the struct */
    const schema *base, *beside; /* SCHEMA_BESIDE */
};

#define NONE .def = NULL
#define DEFAULT(text) .def = text
#define CHOICES(list) .choices = list
#define CHOICES_DEFAULT(list, text) .choices = list, .def = text
#define EACH(lo, hi) .each_min = lo, .each_max = hi
#define FORMAT(text) .format = text

#define FIELD_C_bool bool
#define FIELD_C_i64 int64_t
#define FIELD_C_f64 double
#define FIELD_C_str str
#define FIELD_C_choice str
#define FIELD_C_time int64_t
#define FIELD_C_strs strs
#define FIELD_C_counts counts
#define FIELD_C_pairs pairs
#define FIELD_C_raw str
#define FIELD_KIND_bool FIELD_BOOL
#define FIELD_KIND_i64 FIELD_I64
#define FIELD_KIND_f64 FIELD_F64
#define FIELD_KIND_str FIELD_STR
#define FIELD_KIND_choice FIELD_CHOICE
#define FIELD_KIND_time FIELD_TIME
#define FIELD_KIND_strs FIELD_STRS
#define FIELD_KIND_counts FIELD_COUNTS
#define FIELD_KIND_pairs FIELD_PAIRS
#define FIELD_KIND_raw FIELD_RAW
#define FIELD_SUB_bool NULL
#define FIELD_SUB_i64 NULL
#define FIELD_SUB_f64 NULL
#define FIELD_SUB_str NULL
#define FIELD_SUB_choice NULL
#define FIELD_SUB_time NULL
#define FIELD_SUB_strs NULL
#define FIELD_SUB_counts NULL
#define FIELD_SUB_pairs NULL
#define FIELD_SUB_raw NULL
#define FIELD_C_object_of(other) other
#define FIELD_KIND_object_of(other) FIELD_OBJECT
#define FIELD_SUB_object_of(other) &other##_schema
#define FIELD_C_rows_of(other) rows
#define FIELD_KIND_rows_of(other) FIELD_ROWS
#define FIELD_SUB_rows_of(other) &other##_schema

/* Decoders set bit i of `given` when field i was present and not null, of `nulls` when it was null. */
#define SCHEMA_FIELDS_MAX 64
#define SCHEMA_MEMBER(S, kind, name, flags, min, max, extra, doc) FIELD_C_##kind name;
#define SCHEMA_STRUCT(type, FIELDS) \
    typedef struct type {           \
        uint64_t given, nulls;      \
        FIELDS(SCHEMA_MEMBER, type) \
    } type;                         \
    extern const schema type##_schema
#define SCHEMA_PAD "                                " /* 32 bytes */
#define SCHEMA_FIELD_ROW(S, kind_, name_, flags_, min_, max_, extra, doc_) \
    {.name = #name_,                                                       \
     .quoted = {"\"" #name_ "\":" SCHEMA_PAD, sizeof(#name_) + 2},         \
     .kind = FIELD_KIND_##kind_,                                           \
     .flags = (flags_),                                                    \
     .offset = offsetof(S, name_),                                         \
     .min = (min_),                                                        \
     .max = (max_),                                                        \
     .doc = doc_,                                                          \
     .sub = FIELD_SUB_##kind_,                                             \
     extra},

#define SCHEMA(type, FIELDS, doc_)                                                               \
    static const field type##_fields[] = {FIELDS(SCHEMA_FIELD_ROW, type)};                       \
    _Static_assert(COUNT_OF(type##_fields) <= SCHEMA_FIELDS_MAX, "too many fields for `given`"); \
    const schema type##_schema = {.name = #type,                                                 \
                                  .doc = doc_,                                                   \
                                  .fields = type##_fields,                                       \
                                  .n = COUNT_OF(type##_fields),                                  \
                                  .size = sizeof(type)}

/* For the document only: a reply with the members of `base_`, and perhaps, all together, those of `beside_`, whose
 * first field is REQUIRED. Such a reply is written with schema_write_members of the two. */
#define SCHEMA_BESIDE(type, base_, beside_, doc_) \
    const schema type##_schema = {.name = #type, .doc = doc_, .base = &base_##_schema, .beside = &beside_##_schema}

/* True when the decoder found this field present and not null (was_null: present as null). */
#define HAS(in, type, member) schema_has(&type##_schema, (in)->given, offsetof(type, member))
#define WAS_NULL(in, type, member) schema_has(&type##_schema, (in)->nulls, offsetof(type, member))
bool schema_has(const schema *s, uint64_t bits, size_t offset);

/* ---- decoding ---- */
typedef struct schema_error {
    str field; /* "tags[2]", "limit"; null when it is about the whole */
    str text;  /* for people, ready to be sent; in the arena */
} schema_error;
enum { ALLOW_EXTRA = 1 /* keys that the schema does not name are ignored */ };

/* Fills the zeroed struct at `out`, defaults included. Texts point into the tree or the arena. -EINVAL with
 * *err on the first field, in the schema's order, that does not fit, then on a key that is no field's;
 * -ENOMEM. Error texts, with the field in front ("tags[2]: String should have at least 1 character"):
 *     Field required
 *     Input should be a valid string      (boolean, integer, number, datetime, list, dictionary)
 *     Input should be 'a', 'b' or 'c'
 *     Input should be greater than or equal to N      (less than or equal to)
 *     String should have at least N characters        (at most; List, Dictionary: N items)
 *     String should not contain null characters       (control characters)
 *     Extra inputs are not permitted
 * with the names of what it is in: "host.name: Field required", "artifacts[2].name: Field required".
 * Numbers are numbers, booleans are booleans: 1.0 is no integer, "true" and 1 are no booleans. */
int schema_decode(const schema *s, arena *a, const json_value *object, unsigned flags, void *out,
                  schema_error *err);
/* The same for parameters, of the path and of the query. Those of the path each name a field, their values are
 * percent-encoded and not empty; what the query says of such a field is ignored. `query` is the raw text behind '?',
 * and texts may point into it. A name may repeat only for strs. Names not in the schema are ignored. Empty texts
 * count as absent, except for numbers and REQUIRED fields. No text may contain %00. Booleans are
 * true/false/1/0/t/f/y/n/yes/no/on/off in any case, and choices fit in any case: the struct has them as they are
 * listed. Error texts:
 *     Invalid limit: '900'. Must be an integer from 1 to 500
 *     Invalid limit: given 2 times. Must be given once
 *     Invalid sort_by field: x. Valid options: name, type
 *     Invalid is_outdated: 'x'. Must be true or false
 *     Invalid tags: given 21 times. Must be at most 20 values
 *     Invalid query: '%ff'. Must be percent-encoded UTF-8
 *     Invalid query: 'a%00b'. Must not contain %00
 *     Missing query parameter: query. Must be 1 to 200 characters */
int schema_decode_params(const schema *s, arena *a, const pair *path, size_t n_path, str query, void *out,
                         schema_error *err);

/* ---- writing ---- */
/* An object with all fields, in order. */
void schema_write(const schema *s, const void *in, json *w);
/* The members only: the caller has the object open. */
void schema_write_members(const schema *s, const void *in, json *w);
/* JSON Schema (2020-12) of s; `ref` names sub-schemas as #/components/schemas/NAME. */
void schema_describe(const schema *s, json *w);
/* The schema of one field's value, without the field's documentation: for parameters, which carry that themselves. */
void schema_describe_field(const field *f, json *w);

#endif
