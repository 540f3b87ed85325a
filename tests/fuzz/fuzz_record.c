/* Any bytes as a stored record: refused, or a struct whose own record says the same again. */
#include "larder/record.h"
#include "thing.h"

SCHEMA(part, PART_FIELDS, "A part of a thing");
SCHEMA(thing, THING_FIELDS, "A thing");

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    arena_init(&a, 0);
    thing t = {0}, again = {0};
    int r = record_decode(&thing_schema, &a, str_of((const char *)p, n), &t);
    REQUIRE(r == 0 || r == -EPROTO);
    REQUIRE(a.total < 65536 + 64 * n);
    if (r == 0) {
        buf one = BUF_INIT, two = BUF_INIT;
        record_encode(&thing_schema, &t, &one);
        REQUIRE(one.err == 0 && record_decode(&thing_schema, &a, buf_view(&one), &again) == 0);
        record_encode(&thing_schema, &again, &two);
        REQUIRE(str_eq(buf_view(&one), buf_view(&two)));

        buf_reset(&one);
        json w;
        json_begin(&w, &one);
        schema_write(&thing_schema, &t, &w);
        REQUIRE(json_finish(&w) == 0 || t.ratio != t.ratio || t.ratio - t.ratio != 0); /* but for NaN and infinities */
        buf_done(&one);
        buf_done(&two);
    }
    arena_done(&a);
    return 0;
}
