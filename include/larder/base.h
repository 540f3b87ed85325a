/* base: what every room stands on. Knows only libc.
 *
 * Words
 *   str     a slice: pointer and length, not owned, not NUL-terminated. p == NULL: absent (JSON's null).
 *   buf     a growing byte string that owns its memory. Its error is sticky: write on, check at the end.
 *   arena   bump memory, freed as a whole. A request, a scan, a job has one; nothing is freed alone.
 *   errors  negative errno, 0 is success. Out-parameters are named ret_x and are written only on success.
 *   REQUIRE aborts always: memory would be wrong after it.
 *   EXPECT  is for bugs that we can survive: it counts, aborts in debug builds, and yields false so that the
 *           caller takes its error path. Bytes from outside reach neither of the two.
 *
 * All memory of the program comes from mem_alloc and its sisters, so that a test can make the n-th
 * allocation fail (mem_fail_at). Not thread-safe unless said: one arena, buf or list belongs to one thread
 * at a time.
 *
 * To add a helper: two rooms want it, it needs nothing but libc, and its test comes with it. */
#ifndef LARDER_BASE_H
#define LARDER_BASE_H

#include <errno.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
/* Runs `fn(&var)` when var leaves its scope. Destructors take half-built objects and NULL. */
#define SCOPED(fn) __attribute__((cleanup(fn)))

_Noreturn void base_abort(const char *what); /* `what` is static: where, and what should have held */
bool base_expect_failed(const char *what);
uint64_t base_expect_failures(void);
const char *base_expect_last(void); /* "src/x.c:12: n > 0"; NULL: none has failed */
#define REQUIRE(cond) ((cond) ? (void)0 : base_abort(BASE_HERE #cond))
#define EXPECT(cond) (__builtin_expect(!!(cond), 1) ? true : base_expect_failed(BASE_HERE #cond))
#define BASE_HERE __FILE__ ":" BASE_TEXT(__LINE__) ": "
#define BASE_TEXT(x) BASE_TEXT_(x)
#define BASE_TEXT_(x) #x

/* ---- memory: thread-safe. NULL means out of memory; sizes of 0 give a valid pointer. ---- */
void *mem_alloc(size_t n);
void *mem_zalloc(size_t n);
void *mem_realloc(void *p, size_t n); /* on NULL the old block is still yours */
void mem_free(void *p);
void mem_free_wiped(void *p); /* the same, of what may have held a secret */
char *mem_strndup(const char *p, size_t n); /* NUL-terminated copy */
#define mem_new(type) ((type *)mem_zalloc(sizeof(type)))
/* In the form that zlib takes them; `unused` is. */
void *mem_zlib_alloc(void *unused, unsigned items, unsigned size);
void mem_zlib_free(void *unused, void *p);
/* Tests: the n-th allocation from now (0 = the next) returns NULL, once; a negative n switches it off. */
void mem_fail_at(long n);
/* True when the injected failure has happened since mem_fail_at. */
bool mem_failed(void);

/* ---- str ---- */
typedef struct str {
    const char *p;
    size_t n;
} str;
#define STR(literal) ((str){"" literal, sizeof(literal) - 1})
#define STR_INIT(literal) {"" literal, sizeof(literal) - 1} /* in static tables */
#define STR_NULL ((str){NULL, 0})
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p /* for printf; texts over INT_MAX never get there */

static inline str str_of(const char *p, size_t n)
{
    return (str){p, n};
}
static inline str str_c(const char *c) /* NULL gives STR_NULL */
{
    return (str){c, c ? strlen(c) : 0};
}
static inline bool str_eq(str a, str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool str_starts(str s, str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}
static inline bool str_ends(str s, str suffix)
{
    return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}
static inline str str_from(str s, size_t at) /* the rest from `at`; empty when past the end */
{
    return at < s.n ? (str){s.p + at, s.n - at} : (str){s.p ? s.p + s.n : NULL, 0};
}
static inline str str_head(str s, size_t n)
{
    return (str){s.p, n < s.n ? n : s.n};
}
int str_cmp(str a, str b);        /* bytes, as memcmp; shorter first */
bool str_eq_nocase(str a, str b); /* ASCII letters only */
bool str_starts_nocase(str s, str prefix);
bool str_ends_nocase(str s, str suffix);
str str_trim(str s);              /* blanks, tabs, CR, LF on both sides */
bool str_has_control(str s);      /* U+0000 to U+001F, U+007F to U+009F, of UTF-8 */
ptrdiff_t str_chr(str s, char c); /* -1 when absent */
ptrdiff_t str_rchr(str s, char c);
str str_behind_last(str s, char c); /* all of it where there is no c */
ptrdiff_t str_find(str s, str needle);
/* Cuts *rest at the first `sep`: true with the part before it in *ret_part while there was something left.
 * "a,,b" gives a, empty, b; "a," gives a; the empty string gives nothing. */
bool str_cut(str *rest, char sep, str *ret_part);
int str_to_i64(str s, int64_t *ret_value); /* decimal, optional '-', whole text; -EINVAL, -ERANGE */
bool utf8_valid(str s);                    /* RFC 3629: no surrogates, no overlong forms */
size_t utf8_sequence(str s);               /* bytes of the valid sequence that s begins with; 0: none */
size_t utf8_length(str s);                 /* code points of valid UTF-8 */
str utf8_head(str s, size_t code_points);  /* the first so many code points */
#define DECIMAL_MAX 20
size_t decimal_write(uint64_t v, char out[DECIMAL_MAX]); /* its digits, no NUL; how many */

/* ---- arena ---- */
typedef struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *at, *end;
    size_t total, limit; /* bytes taken from the heap; limit 0: any number */
    struct arena_defer *defers;
} arena;
/* `limit`: bytes this arena may hold of the heap, 0 for any number; past it allocations return NULL, which
 * callers report as -ENOMEM. Takes nothing before the first allocation. */
void arena_init(arena *a, size_t limit);
void arena_done(arena *a);  /* runs the defers, newest first, frees all; again does no harm */
void arena_reset(arena *a); /* the same, but keeps one chunk of the usual size (4 KiB) for reuse; cheap */
#define ARENA_ALIGN alignof(max_align_t)
#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#ifndef ARENA_POISONS
#define ARENA_POISONS 0 /* 1: AddressSanitizer is told what has been handed out */
#endif
void *arena_alloc_slow(arena *a, size_t n);
/* Aligned for any type; NULL on out of memory or past the limit; 0 bytes give a valid pointer. */
static inline void *arena_alloc(arena *a, size_t n)
{
    size_t need = (n + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1);
    /* n == 0 and a sum that wraps give need == 0, need - 1 is huge, and the slow path sorts them out. */
    if (!ARENA_POISONS && need - 1 < (size_t)(a->end - a->at)) {
        char *p = a->at;
        a->at += need;
        return p;
    }
    return arena_alloc_slow(a, n);
}
void *arena_zalloc(arena *a, size_t n);
#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_calloc((a), (count), sizeof(type)))
void *arena_calloc(arena *a, size_t count, size_t size); /* NULL too when the product overflows */
str arena_dup(arena *a, str s);    /* p == NULL: out of memory, or s was null; NUL-terminated behind n */
bool arena_own(arena *a, str *text); /* *text becomes a copy, as arena_dup; null stays null. False: out of memory */
char *arena_cstr(arena *a, str s); /* NUL-terminated; NULL on out of memory */
str arena_lower(arena *a, str s);  /* a copy with ASCII letters in lower case; as arena_dup */
str arena_printf(arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3); /* as arena_dup */
/* The parts one behind the other, as arena_dup; a null part is empty. A third of arena_printf's price. */
#define arena_join(a, ...) arena_join_parts((a), (const str[]){__VA_ARGS__}, COUNT_OF(((const str[]){__VA_ARGS__})))
str arena_join_parts(arena *a, const str *parts, size_t n);
/* Each byte that is no UTF-8 becomes U+FFFD. The text itself where there is none. p == NULL: out of memory, or it was
 * null. */
str arena_utf8(arena *a, str text);
/* fn(arg) runs when the arena is reset or done; the arena's memory is still there then. -ENOMEM. */
int arena_defer(arena *a, void (*fn)(void *), void *arg);
/* Runs the defers and zeros all that was handed out, for secrets: then only arena_reset and arena_done are of use. */
void arena_wipe(arena *a);

/* ---- buf ---- */
typedef struct buf {
    char *p;
    size_t n, cap;
    size_t max; /* bytes it may grow to; 0 = no limit */
    int err;    /* sticky: 0, -ENOMEM, or -EFBIG past max; a put that fails puts nothing */
} buf;
#define BUF_INIT ((buf){0})
void buf_done(buf *b);  /* frees; again does no harm. The buf is empty then and may be used anew */
void buf_reset(buf *b); /* length and error to 0, memory kept */
/* Room for n more bytes behind the last one: fill it, then add what was used to b->n. NULL: err is set. */
char *buf_reserve(buf *b, size_t n);
void buf_put_slow(buf *b, const void *p, size_t n);
static inline void buf_put(buf *b, const void *p, size_t n)
{
    if (b->err == 0 && n - 1 < b->cap - b->n) { /* n == 0, which may come with NULL, is the slow path's */
        memcpy(b->p + b->n, p, n);
        b->n += n;
    } else {
        buf_put_slow(b, p, n);
    }
}
void buf_printf(buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_i64(buf *b, int64_t v);
static inline void buf_str(buf *b, str s)
{
    buf_put(b, s.p, s.n);
}
static inline void buf_char(buf *b, char c)
{
    buf_put(b, &c, 1);
}
static inline str buf_view(const buf *b)
{
    return (str){b->p, b->n};
}

/* Unicode case folding, code point by code point; bytes that are no UTF-8 stay. The text itself when nothing
 * changes, else in `scratch`, which is overwritten. Null: out of memory. */
str str_fold(str text, buf *scratch);

/* ---- intrusive doubly linked list: the head is a link to itself ---- */
typedef struct list {
    struct list *prev, *next;
} list;
static inline void list_init(list *l)
{
    l->prev = l->next = l;
}
static inline bool list_empty(const list *l)
{
    return l->next == l;
}
static inline void list_push(list *head, list *item) /* at the tail */
{
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}
static inline void list_remove(list *item) /* leaves the item linked to itself: removing twice is harmless */
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}
static inline list *list_pop(list *head) /* from the front; NULL when empty */
{
    list *l = head->next;
    if (l == head)
        return NULL;
    list_remove(l);
    return l;
}

/* ---- texts for bytes ---- */
extern const char digit_pairs[100][2]; /* "00" to "99": numbers are written two digits at a time */
#define HEX_LEN(n) (2 * (n))
void hex_encode(const void *p, size_t n, char *out); /* lower case, 2n characters, no NUL */
int hex_decode(str text, void *out, size_t n);       /* exactly 2n digits, else -EINVAL; all or nothing */
#define BASE32_LEN(n) (((n) * 8 + 4) / 5)
void base32_encode(const void *p, size_t n, char *out); /* Crockford's alphabet, lower case, no NUL */
str base64url_encode(arena *a, str bytes); /* RFC 4648 section 5, no padding; p == NULL: out of memory */
/* With or without padding; only what base64url_encode could have written: blanks, or bits that carry
 * nothing and are not 0, are -EINVAL. -ENOMEM. */
int base64url_decode(arena *a, str text, str *ret_bytes);
/* RFC 3986 section 2.1. `plus_is_blank` for form encoding. -EINVAL on a broken escape. The input itself is
 * returned where nothing had to change. */
int percent_decode(arena *a, str text, bool plus_is_blank, str *ret_text);
void percent_encode(buf *out, str text);      /* all but unreserved characters */
void percent_encode_path(buf *out, str path); /* the same, and '/' stays */

/* ---- disk ---- */
/* A file's bytes, or a folder's names, to the disk, where the file system can; blocks: not for the loop. */
int sync_path(const char *path);

/* ---- randomness and comparison ---- */
/* From the kernel's generator, fit for secrets; aborts where the kernel has none. Thread-safe. */
void random_bytes(void *p, size_t n);
uint64_t random_u64(void);
uint64_t random_below(uint64_t n); /* uniform in [0, n); n > 0 */
/* Tests: from now on a deterministic sequence of this seed; 0 returns to the kernel's. */
void random_seed_for_tests(uint64_t seed);
bool ct_equal(const void *a, const void *b, size_t n); /* takes the same time wherever they differ */
void mem_wipe(void *p, size_t n);                      /* zeros that the compiler may not drop */

/* ---- flows: a long piece of work as a table of states, each with the set of states that may follow ---- */
typedef struct flow_state {
    const char *name;
    uint32_t next; /* TO(a) | TO(b) */
} flow_state;
#define TO(state) (1u << (state))
static inline void flow_move(const flow_state *table, unsigned *at, unsigned to)
{
    REQUIRE(table[*at].next & TO(to));
    *at = to;
}

/* ---- errors ---- */
/* The text for a negative errno, for people ("no space left on device"). Never NULL. Static storage. */
const char *err_text(int err);

#endif
