#include "thing.h"

SCHEMA(part, PART_FIELDS, "A part of a thing");
SCHEMA(thing, THING_FIELDS, "A thing");
SCHEMA(lookup, LOOKUP_FIELDS, "Looks things up");
SCHEMA(odd, ODD_FIELDS, "What things lack");
SCHEMA(find, FIND_FIELDS, "Finds things");

static str random_text(arena *a, size_t min, size_t max)
{
    static const char *const characters[] = {"a",  "B",    "7",    " ",        "\"",           "\\",
                                             "\n", "\x01", "\x7f", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    char text[100];
    size_t n = 0;
    for (size_t left = min + random_below(max - min + 1); left > 0; left--) {
        const char *c = characters[random_below(COUNT_OF(characters))];
        memcpy(text + n, c, strlen(c));
        n += strlen(c);
    }
    return arena_dup(a, str_of(text, n));
}

static str maybe_text(arena *a, size_t max)
{
    return random_below(4) ? random_text(a, 0, max) : STR_NULL;
}

static int64_t random_int(void)
{
    int64_t v = (int64_t)(random_u64() >> 1 >> random_below(63));
    return random_below(2) ? v : -v - 1;
}

static strs random_texts(arena *a, size_t min, size_t max)
{
    size_t n = min + random_below(max - min + 1);
    str *v = arena_array(a, str, n);
    for (size_t i = 0; i < n; i++)
        v[i] = random_text(a, 1, 4);
    return (strs){v, n};
}

/* Keys differ: the index is their last character. */
static str random_key(arena *a, size_t i)
{
    return arena_printf(a, STR_FMT "%zu", STR_ARG(random_text(a, 0, 3)), i);
}

static counts random_counts(arena *a)
{
    size_t n = random_below(3);
    count_of *v = arena_array(a, count_of, n);
    for (size_t i = 0; i < n; i++)
        v[i] = (count_of){random_key(a, i), random_int()};
    return (counts){v, n};
}

static pairs random_pairs(arena *a)
{
    size_t n = random_below(3);
    pair *v = arena_array(a, pair, n);
    for (size_t i = 0; i < n; i++)
        v[i] = (pair){random_key(a, i), random_text(a, 0, 6)};
    return (pairs){v, n};
}

void thing_random(arena *a, thing *t)
{
    static const char *const levels[] = {"low", "mid", "high"};
    static const char *const extras[] = {NULL, "1", "{\"a\":[1,2.5,\"\\n\"]}", "[]"};
    *t = (thing){
        .name = random_text(a, 1, 20),
        .note = maybe_text(a, 5),
        .active = random_below(2),
        .size = 1 + (int64_t)random_below(500),
        .offset = (int64_t)(random_u64() >> 1 >> random_below(63)),
        .ratio = (double)random_below(1000001) / 1e6,
        .level = str_c(levels[random_below(3)]),
        .made = (int64_t)random_below(4000000000) * 1000,
        .seen = random_texts(a, 0, 5),
        .totals = random_counts(a),
        .extra = str_c(extras[random_below(COUNT_OF(extras))]),
        .main = {.label = random_text(a, 1, 10), .weight = random_int(), .marks = random_texts(a, 0, 3)},
        .secret = maybe_text(a, 9),
    };
    if (random_below(2))
        t->tags = random_texts(a, 1, 3);
    if (random_below(2))
        t->map = random_pairs(a);
    if (random_below(3) == 0) {
        t->main = (part){0};
        t->nulls = UINT64_C(1) << 13;
    }
}
