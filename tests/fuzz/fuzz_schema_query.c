/* Any bytes as a query text: taken within the bounds, or refused in a short text. */
#include "thing.h"

SCHEMA(lookup, LOOKUP_FIELDS, "Looks things up");

static void check_bounds(const lookup *q)
{
    REQUIRE(q->query.p && utf8_length(q->query) >= 1 && utf8_length(q->query) <= 200);
    REQUIRE(q->limit >= 1 && q->limit <= 500);
    REQUIRE(q->skip >= 0);
    REQUIRE(q->above >= 0 && q->above <= 1);
    REQUIRE(str_eq(q->sort, STR("name")) || str_eq(q->sort, STR("type")));
    REQUIRE(!q->cursor.p || (utf8_valid(q->cursor) && utf8_length(q->cursor) <= 8));
    REQUIRE(q->tags.n <= 3);
    for (size_t i = 0; i < q->tags.n; i++)
        REQUIRE(utf8_length(q->tags.v[i]) >= 2 && utf8_length(q->tags.v[i]) <= 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    arena_init(&a, 0);
    lookup q = {0};
    schema_error err = {0};
    int r = schema_decode_params(&lookup_schema, &a, NULL, 0, str_of((const char *)p, n), &q, &err);
    if (r == 0)
        check_bounds(&q);
    else
        REQUIRE(r == -EINVAL && err.field.p && err.text.p && err.text.n < 600);
    arena_done(&a);
    return 0;
}
