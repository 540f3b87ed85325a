/* The reader: jansson, made stricter. A look over the text refuses what jansson would skip or overrun: NUL
 * bytes, and nesting past JSON_MAX_DEPTH. Then jansson reads it with memory from mem_*, within the arena's
 * limit. */
#include "larder/json.h"

#include <pthread.h>

/* Names of our face that jansson.h has too. Here its declarations get others; none of them is called. */
#define json_type jansson_type
#define JSON_NULL JANSSON_NULL
#define JSON_REAL JANSSON_REAL
#define JSON_STRING JANSSON_STRING
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_OBJECT JANSSON_OBJECT
#define json_object jansson_object
#define json_array jansson_array
#define json_string jansson_string
#include <jansson.h>
#undef json_type
#undef JSON_NULL
#undef JSON_REAL
#undef JSON_STRING
#undef JSON_ARRAY
#undef JSON_OBJECT
#undef json_object
#undef json_array
#undef json_string

/* What this thread's json_parse may still take from the heap, and why it was refused. Bytes that jansson
 * gives back on the way (texts and tables that grow) count too: a tree is charged up to twice its size. */
static _Thread_local struct {
    bool limited;
    size_t left;
    int err;
} heap;

static void *tree_alloc(size_t n)
{
    if (heap.limited && n > heap.left) {
        heap.err = -EFBIG;
        return NULL;
    }
    void *p = mem_alloc(n);
    if (!p)
        heap.err = -ENOMEM;
    else if (heap.limited)
        heap.left -= n;
    return p;
}

static void set_up_jansson(void)
{
    json_set_alloc_funcs(tree_alloc, mem_free_wiped); /* there may be a token in the text */
    json_object_seed((size_t)(random_u64() | 1)); /* 0 would send it to the kernel for a seed */
}

static int fail(json_error *err, const char *text, size_t offset)
{
    if (err) {
        str s = str_head(str_c(text), sizeof(err->text) - 1);
        memcpy(err->text, s.p, s.n);
        err->text[s.n] = '\0';
        err->offset = offset;
    }
    return -EINVAL;
}

static int check_depth(str text, json_error *err)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_MAX_DEPTH)
                return fail(err, "nested too deeply", i);
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return 0;
}

static void free_tree(void *tree)
{
    json_decref(tree);
}

int json_parse(arena *a, str text, const json_value **ret_root, json_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_jansson);

    if (text.n == 0)
        return fail(err, "empty text", 0);
    if (str_starts(text, STR("\xef\xbb\xbf")))
        return fail(err, "byte order mark", 0);
    const char *nul = memchr(text.p, 0, text.n); /* jansson would skip it */
    if (nul)
        return fail(err, "NUL byte", (size_t)(nul - text.p));
    int r = check_depth(text, err);
    if (r < 0)
        return r;

    heap.limited = a->limit > 0;
    heap.left = a->limit > a->total ? a->limit - a->total : 0;
    heap.err = 0;
    json_error_t why;
    json_t *tree = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    heap.limited = false;
    if (!tree && heap.err == 0)
        return fail(err, why.text, why.position > 0 ? (size_t)why.position : 0);
    /* Where one of its buffers can't grow, jansson may drop the byte and go on: such a tree is none. */
    r = heap.err < 0 ? heap.err : arena_defer(a, free_tree, tree);
    if (r < 0) {
        free_tree(tree);
        return r;
    }
    *ret_root = (const json_value *)tree;
    return 0;
}

/* A json_value is a json_t by another name. jansson takes some of its read-only arguments without const. */
static json_t *tree_of(const json_value *v)
{
    return (json_t *)(uintptr_t)v;
}

json_type json_type_of(const json_value *v)
{
    static const json_type types[] = {
        [JANSSON_OBJECT] = JSON_OBJECT, [JANSSON_ARRAY] = JSON_ARRAY, [JANSSON_STRING] = JSON_STRING,
        [JSON_INTEGER] = JSON_INT,      [JANSSON_REAL] = JSON_REAL,   [JSON_TRUE] = JSON_BOOL,
        [JSON_FALSE] = JSON_BOOL,       [JANSSON_NULL] = JSON_NULL,
    };
    return v ? types[json_typeof(tree_of(v))] : JSON_NULL;
}

bool json_is(const json_value *v, json_type type)
{
    return json_type_of(v) == type;
}

bool json_bool(const json_value *v)
{
    return v && json_is_true(tree_of(v));
}

int64_t json_int(const json_value *v)
{
    return json_integer_value(tree_of(v));
}

double json_number(const json_value *v)
{
    return json_number_value(tree_of(v));
}

str json_string(const json_value *v)
{
    return str_of(json_string_value(tree_of(v)), json_string_length(tree_of(v)));
}

size_t json_count(const json_value *v)
{
    return json_is(v, JSON_OBJECT) ? json_object_size(tree_of(v)) : json_array_size(tree_of(v));
}

const json_value *json_at(const json_value *array, size_t i)
{
    return (const json_value *)json_array_get(tree_of(array), i);
}

const json_value *json_get(const json_value *object, const char *key)
{
    return (const json_value *)json_object_get(tree_of(object), key);
}

void *json_next(const json_value *object, void *it, str *ret_key, const json_value **ret_value)
{
    it = it ? json_object_iter_next(tree_of(object), it) : json_object_iter(tree_of(object));
    if (it) {
        *ret_key = str_of(json_object_iter_key(it), json_object_iter_key_len(it));
        *ret_value = (const json_value *)json_object_iter_value(it);
    }
    return it;
}
