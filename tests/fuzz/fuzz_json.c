/* Any bytes as JSON, and as the body of an entity. What was taken must be written again, and read back the same. */
#include "thing.h"

SCHEMA(part, PART_FIELDS, "A part of a thing");
SCHEMA(thing, THING_FIELDS, "A thing");

static const json_value *read_back(arena *a, buf *text, json *w)
{
    const json_value *v = NULL;
    REQUIRE(json_finish(w) == 0);
    REQUIRE(json_parse(a, buf_view(text), &v, NULL) == 0);
    return v;
}

static void write_again(arena *a, const json_value *v)
{
    buf one = BUF_INIT, two = BUF_INIT;
    json w;
    json_begin(&w, &one);
    json_put_value(&w, v);
    v = read_back(a, &one, &w);
    json_begin(&w, &two);
    json_put_value(&w, v);
    REQUIRE(json_finish(&w) == 0);
    REQUIRE(str_eq(buf_view(&one), buf_view(&two)));
    buf_done(&one);
    buf_done(&two);
}

static void decode_body(arena *a, const json_value *v)
{
    thing t = {0};
    schema_error err = {0};
    int r = schema_decode(&thing_schema, a, v, ALLOW_EXTRA, &t, &err);
    if (r < 0) {
        REQUIRE(r == -EINVAL && err.text.p && utf8_valid(err.text));
        return;
    }
    buf text = BUF_INIT;
    json w;
    json_begin(&w, &text);
    schema_write(&thing_schema, &t, &w);
    read_back(a, &text, &w);
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    json_error err = {0};
    int r = json_parse(&a, str_of((const char *)p, n), &v, &err);
    if (r == 0) {
        write_again(&a, v);
        decode_body(&a, v);
    } else {
        REQUIRE(r == -EINVAL && err.text[0] && err.offset <= n);
    }
    arena_done(&a);
    return 0;
}
