/* Arenas: a list of chunks, the newest being filled by moving `at` towards `end`. Chunks of the usual size
 * grow from ARENA_CHUNK to ARENA_CHUNK_MAX; what would waste most of one gets a chunk of its own, put
 * behind the newest, so that filling that one goes on. Under AddressSanitizer all that is not handed out
 * is poisoned. */
#include "larder/base.h"

#include <stdio.h>

#if ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#define RED_ZONE ((size_t)16) /* kept between two allocations, so that running over one is seen */
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#define RED_ZONE ((size_t)0)
#endif

#define ARENA_CHUNK ((size_t)4096 - 16) /* with the heap's own word, a page */
#define ARENA_CHUNK_MAX ((size_t)65536 - 16)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of the whole block */
    alignas(max_align_t) char data[];
};

struct arena_defer {
    struct arena_defer *next;
    void (*fn)(void *);
    void *arg;
};

void arena_init(arena *a, size_t limit)
{
    *a = (arena){.limit = limit};
}

static void free_chunk(struct arena_chunk *c)
{
    UNPOISON(c, c->size);
    mem_free(c);
}

static bool within_limit(const arena *a, size_t size)
{
    return a->limit == 0 || (a->total <= a->limit && size <= a->limit - a->total);
}

static struct arena_chunk *new_chunk(arena *a, size_t size)
{
    struct arena_chunk *c = within_limit(a, size) ? mem_alloc(size) : NULL;
    if (!c)
        return NULL;
    c->size = size;
    a->total += size;
    POISON(c->data, size - sizeof(*c));
    return c;
}

/* Makes the newest chunk one with room for `need` bytes: of the usual size, unless that is too small or
 * the limit is near. */
static bool grow(arena *a, size_t need)
{
    size_t size = a->chunks ? a->chunks->size * 2 + 16 : ARENA_CHUNK;
    if (size > ARENA_CHUNK_MAX)
        size = ARENA_CHUNK_MAX;
    if (need > size - sizeof(struct arena_chunk) || !within_limit(a, size))
        size = sizeof(struct arena_chunk) + need;
    struct arena_chunk *c = new_chunk(a, size);
    if (!c)
        return false;
    c->next = a->chunks;
    a->chunks = c;
    a->at = c->data;
    a->end = (char *)c + size;
    return true;
}

/* A chunk for this allocation alone. */
static void *alloc_alone(arena *a, size_t need)
{
    struct arena_chunk *c = new_chunk(a, sizeof(*c) + need);
    if (!c)
        return NULL;
    c->next = a->chunks->next;
    a->chunks->next = c;
    return c->data;
}

void *arena_alloc_slow(arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        return NULL;
    size_t need = (((n ? n : 1) + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1)) + RED_ZONE;
    char *p;
    if (need <= (size_t)(a->end - a->at)) {
        p = a->at;
        a->at += need;
    } else if (a->chunks && need > ARENA_CHUNK_MAX / 4) {
        p = alloc_alone(a, need);
    } else {
        if (!grow(a, need))
            return NULL;
        p = a->at;
        a->at += need;
    }
    if (p)
        UNPOISON(p, n);
    return p;
}

static void run_defers(arena *a)
{
    while (a->defers) { /* a defer may register another one */
        struct arena_defer *d = a->defers;
        a->defers = d->next;
        d->fn(d->arg);
    }
}

void arena_done(arena *a)
{
    if (!a)
        return;
    run_defers(a);
    for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        free_chunk(c);
    }
    arena_init(a, a->limit);
}

void arena_wipe(arena *a)
{
    run_defers(a);
    for (struct arena_chunk *c = a->chunks; c; c = c->next) {
        UNPOISON(c, c->size);
        mem_wipe(c->data, c->size - sizeof(*c));
    }
    a->at = a->end;
}

void arena_reset(arena *a)
{
    run_defers(a);
    struct arena_chunk *keep = NULL;
    for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
        next = c->next;
        if (!keep && c->size == ARENA_CHUNK)
            keep = c;
        else
            free_chunk(c);
    }
    arena_init(a, a->limit);
    if (keep) {
        keep->next = NULL;
        a->chunks = keep;
        a->total = keep->size;
        a->at = keep->data;
        a->end = (char *)keep + keep->size;
        POISON(keep->data, keep->size - sizeof(*keep));
    }
}

void *arena_zalloc(arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

void *arena_calloc(arena *a, size_t count, size_t size)
{
    size_t n;
    return __builtin_mul_overflow(count, size, &n) ? NULL : arena_zalloc(a, n);
}

char *arena_cstr(arena *a, str s)
{
    char *copy = s.n < SIZE_MAX ? arena_alloc(a, s.n + 1) : NULL;
    if (!copy)
        return NULL;
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

str arena_dup(arena *a, str s)
{
    char *copy = s.p ? arena_cstr(a, s) : NULL;
    return copy ? str_of(copy, s.n) : STR_NULL;
}

bool arena_own(arena *a, str *text)
{
    if (!text->p)
        return true;
    *text = arena_dup(a, *text);
    return text->p != NULL;
}

str arena_printf(arena *a, const char *fmt, ...)
{
    char first[256]; /* most texts fit, and are formatted once */
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(first, sizeof(first), fmt, args);
    va_end(args);
    if (n < 0)
        return STR_NULL;
    if ((size_t)n < sizeof(first))
        return arena_dup(a, str_of(first, (size_t)n));

    char *text = arena_alloc(a, (size_t)n + 1);
    if (!text)
        return STR_NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return str_of(text, (size_t)n);
}

str arena_join_parts(arena *a, const str *parts, size_t n)
{
    size_t all = 0;
    for (size_t i = 0; i < n; i++) /* they are all in memory: the sum fits */
        all += parts[i].n;
    char *text = arena_alloc(a, all + 1);
    if (!text)
        return STR_NULL;
    char *to = text;
    for (size_t i = 0; i < n; to += parts[i].n, i++)
        if (parts[i].n > 0)
            memcpy(to, parts[i].p, parts[i].n);
    *to = '\0';
    return str_of(text, all);
}

int arena_defer(arena *a, void (*fn)(void *), void *arg)
{
    struct arena_defer *d = arena_alloc(a, sizeof(*d));
    if (!d)
        return -ENOMEM;
    *d = (struct arena_defer){a->defers, fn, arg};
    a->defers = d;
    return 0;
}

str arena_utf8(arena *a, str text)
{
    static const str UNKNOWN = STR_INIT("\xef\xbf\xbd");

    if (utf8_valid(text))
        return text;
    char *p = text.n <= SIZE_MAX / UNKNOWN.n ? arena_alloc(a, UNKNOWN.n * text.n) : NULL;
    size_t n = 0;
    while (p && text.n > 0) {
        const size_t valid = utf8_sequence(text);
        const str kept = valid ? str_head(text, valid) : UNKNOWN;
        memcpy(p + n, kept.p, kept.n);
        n += kept.n;
        text = str_from(text, valid ? valid : 1);
    }
    return str_of(p, n);
}
