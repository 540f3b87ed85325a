/* json: strict JSON in, valid JSON out (RFC 8259).
 *
 * In: json_parse reads a whole text into a tree that lives in an arena (jansson behind this face). Strict:
 * duplicate keys, invalid UTF-8, a BOM, trailing bytes, numbers that don't fit, and deep nesting are errors.
 * Out: `json` is a writer into a buf that cannot emit invalid JSON: a call that does not fit the state (a
 * value where a key is due, an end without a begin) writes nothing more and makes json_finish return -EPROTO.
 * No other room prints JSON by hand. */
#ifndef LARDER_JSON_H
#define LARDER_JSON_H

#include "larder/base.h"

/* jansson exports functions of some of our names: in object files ours go by others. */
#define JSON_SYMBOL(name) __asm__("larder_" #name)

/* ---- reader ---- */
typedef struct json_value json_value; /* lives as long as the arena */
typedef enum json_type {
    JSON_NULL,
    JSON_BOOL,
    JSON_INT,
    JSON_REAL,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
} json_type;
#define JSON_MAX_DEPTH 64

typedef struct json_error {
    char text[160]; /* for people: "duplicate key near 'a'" */
    size_t offset;  /* in bytes */
} json_error;

/* -EINVAL with *err filled (err may be NULL), or -ENOMEM. The tree is freed with the arena; where that has a
 * limit, the tree may take as much from the heap as the limit leaves when reading begins: -EFBIG. Any thread. */
int json_parse(arena *a, str text, const json_value **ret_root, json_error *err);
/* Such a limit, for texts of n bytes from outside: few bytes of JSON ("{},{},{}") can ask for eighty times as much. */
static inline size_t json_tree_limit(size_t n)
{
    return ((size_t)64 << 20) + 8 * n;
}

json_type json_type_of(const json_value *v); /* NULL counts as JSON_NULL */
bool json_is(const json_value *v, json_type type);
bool json_bool(const json_value *v);     /* false unless true */
int64_t json_int(const json_value *v);   /* 0 unless an integer */
double json_number(const json_value *v); /* integers too; 0 unless a number */
str json_string(const json_value *v) JSON_SYMBOL(json_string); /* null unless a string; may hold NUL bytes */
size_t json_count(const json_value *v); /* elements of an array, members of an object, else 0 */
const json_value *json_at(const json_value *array, size_t i);          /* NULL past the end */
const json_value *json_get(const json_value *object, const char *key); /* NULL when absent or no object */
/* Members in the order of the text: for (it = NULL; (it = json_next(obj, it, &key, &val));) */
void *json_next(const json_value *object, void *it, str *ret_key, const json_value **ret_value);

/* ---- writer ---- */
#define JSON_WRITE_DEPTH 63
typedef struct json {
    buf *out;
    uint64_t objects; /* bit d: the d-th level from the innermost is an object */
    uint64_t filled;  /* bit d: it has an element already */
    uint8_t depth;
    uint8_t due;      /* what may come next */
} json;
enum { JSON_DUE_NOTHING, JSON_DUE_VALUE, JSON_DUE_KEY };
/* The buffer's limit (max) is met when less than 32 bytes are left, not only when none are. */
void json_begin(json *w, buf *out);
int json_finish(json *w); /* 0; -EPROTO when unbalanced or misused; the buf's error when it has one */

void json_object(json *w) JSON_SYMBOL(json_object);
void json_array(json *w) JSON_SYMBOL(json_array);
void json_end(json *w); /* of the innermost object or array */
void json_key(json *w, str key);
void json_put_null(json *w);
void json_put_bool(json *w, bool v);
void json_put_int(json *w, int64_t v);
void json_put_real(json *w, double v); /* see below */
void json_put_str(json *w, str s);     /* p NULL writes null; each byte that is not UTF-8 becomes U+FFFD */
void json_put_raw(json *w, str json_text);         /* one value that a writer made; p NULL writes null */
void json_put_value(json *w, const json_value *v); /* a value that was read */
/* Reals: the shortest text that reads back as the same number, always with a fraction or an exponent (100.0).
 * NaN and infinities are misuse. */

#define json_pair_str(w, k, v) (json_key((w), STR(k)), json_put_str((w), (v)))
#define json_pair_int(w, k, v) (json_key((w), STR(k)), json_put_int((w), (v)))
#define json_pair_bool(w, k, v) (json_key((w), STR(k)), json_put_bool((w), (v)))

#endif
