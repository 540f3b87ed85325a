/* The stored-record codec: what goes in comes out, older records have fewer fields, damaged ones are refused.
 */
#include "unit.h"

#include "larder/record.h"
#include "thing.h"

/* The part as an older and as a newer program would know it. */
/* clang-format off */
#define OLD_PART_FIELDS(X, S) \
    X(S, str, label, REQUIRED, 1, 10, NONE, "what it is called")
SCHEMA_STRUCT(old_part, OLD_PART_FIELDS);
SCHEMA(old_part, OLD_PART_FIELDS, "A part, in the first version");
#define NUMBERS_FIELDS(X, S)                        \
    X(S, bool, flag,  OPTIONAL, 0, 0, NONE, "one") \
    X(S, i64,  count, OPTIONAL, 0, 0, NONE, "two") \
    X(S, f64,  ratio, OPTIONAL, 0, 0, NONE, "three")
SCHEMA_STRUCT(numbers, NUMBERS_FIELDS);
SCHEMA(numbers, NUMBERS_FIELDS, "Numbers");
/* clang-format on */

static str encoded(buf *b, const schema *s, const void *in)
{
    buf_reset(b);
    record_encode(s, in, b);
    assert_int_equal(b->err, 0);
    return buf_view(b);
}

static str shown(buf *b, const schema *s, const void *in)
{
    json w;
    buf_reset(b);
    json_begin(&w, b);
    schema_write(s, in, &w);
    assert_int_equal(json_finish(&w), 0);
    return buf_view(b);
}

static void random_things_come_out_as_they_went_in(void **state)
{
    (void)state;
    buf bytes = BUF_INIT, before = BUF_INIT, after = BUF_INIT;
    random_seed_for_tests(21);
    for (int round = 0; round < 5000; round++) {
        arena a;
        arena_init(&a, 0);
        thing t, back = {0};
        thing_random(&a, &t);
        str record = encoded(&bytes, &thing_schema, &t);
        assert_int_equal(record_decode(&thing_schema, &a, record, &back), 0);
        assert_true(str_eq(shown(&before, &thing_schema, &t), shown(&after, &thing_schema, &back)));
        assert_true(str_eq(t.secret, back.secret));
        assert_true((t.secret.p == NULL) == (back.secret.p == NULL));
        assert_true(back.nulls == t.nulls);
        assert_true(HAS(&back, thing, secret));
        /* Texts are not copied. */
        assert_true(back.name.p > record.p && back.name.p + back.name.n <= record.p + record.n);
        arena_done(&a);
    }
    random_seed_for_tests(0);
    buf_done(&bytes);
    buf_done(&before);
    buf_done(&after);
}

static void extreme_numbers_survive(void **state)
{
    (void)state;
    static const int64_t counts_[] = {0,   1,   -1,        63,        64,        -64,          -65,
                                      127, 128, INT32_MAX, INT64_MAX, INT64_MIN, INT64_MIN + 1};
    static const double ratios[] = {0, -0.0, 1, 0.1, 1e308, -5e-324};
    buf bytes = BUF_INIT;
    for (size_t i = 0; i < COUNT_OF(counts_); i++) {
        for (size_t k = 0; k < COUNT_OF(ratios); k++) {
            numbers in = {.flag = i % 2, .count = counts_[i], .ratio = ratios[k]}, out = {0};
            assert_int_equal(record_decode(&numbers_schema, NULL, encoded(&bytes, &numbers_schema, &in), &out), 0);
            assert_true(out.flag == in.flag && out.count == in.count);
            assert_memory_equal(&out.ratio, &in.ratio, sizeof(double));
        }
    }
    buf_done(&bytes);
}

/* The bytes on disk are a promise: these were written by version 1. */
static void the_bytes_are_those_of_version_1(void **state)
{
    (void)state;
    static const str marks[] = {{"x", 1}, {NULL, 0}, {"", 0}};
    static const char part_bytes[] = "\1\3"
                                     "\5core"
                                     "\x0d"
                                     "\4\2x\0\1";
    static const char number_bytes[] = "\1\3"
                                       "\1"
                                       "\xac\2"
                                       "\0\0\0\0\0\0\xe0\xbf";
    buf bytes = BUF_INIT;
    part p = {.label = STR("core"), .weight = -7, .marks = {marks, 3}}, back = {0};
    str record = encoded(&bytes, &part_schema, &p);
    assert_int_equal(record.n, sizeof(part_bytes) - 1);
    assert_memory_equal(record.p, part_bytes, record.n);
    arena a;
    arena_init(&a, 0);
    assert_int_equal(record_decode(&part_schema, &a, record, &back), 0);
    assert_int_equal(back.marks.n, 3);
    assert_null(back.marks.v[1].p);
    assert_str(back.marks.v[2], "");
    arena_done(&a);

    numbers n = {.flag = true, .count = 150, .ratio = -0.5};
    record = encoded(&bytes, &numbers_schema, &n);
    assert_int_equal(record.n, sizeof(number_bytes) - 1);
    assert_memory_equal(record.p, number_bytes, record.n);
    buf_done(&bytes);
}

static void records_of_an_older_schema_lack_the_new_fields(void **state)
{
    (void)state;
    buf bytes = BUF_INIT;
    old_part old = {.label = STR("core")};
    part p = {0};
    str record = encoded(&bytes, &old_part_schema, &old);
    assert_int_equal(record_decode(&part_schema, NULL, record, &p), 0);
    assert_str(p.label, "core");
    assert_int_equal(p.weight, 0);
    assert_null(p.marks.v);
    assert_true(HAS(&p, part, label));
    assert_false(HAS(&p, part, weight));
    assert_false(HAS(&p, part, marks));
    buf_done(&bytes);
}

static void the_first_fields_alone_are_a_record_of_an_older_schema(void **state)
{
    (void)state;
    buf bytes = BUF_INIT, first = BUF_INIT;
    const old_part old = {.label = STR("core")};
    const part p = {.label = STR("core"), .weight = 9};
    const str record = encoded(&bytes, &old_part_schema, &old);
    record_encode_first(&part_schema, old_part_schema.n, &p, &first);
    assert_int_equal(first.err, 0);
    assert_int_equal(first.n, record.n);
    assert_memory_equal(first.p, record.p, record.n);
    buf_done(&first);
    buf_done(&bytes);
}

static void records_of_a_newer_schema_or_codec_are_refused(void **state)
{
    (void)state;
    buf bytes = BUF_INIT;
    part p = {.label = STR("core")};
    old_part old = {0};
    str record = encoded(&bytes, &part_schema, &p);
    assert_int_equal(record_decode(&old_part_schema, NULL, record, &old), -EPROTO);
    bytes.p[0] = RECORD_VERSION + 1;
    assert_int_equal(record_decode(&part_schema, NULL, record, &p), -EPROTO);
    bytes.p[0] = 0;
    assert_int_equal(record_decode(&part_schema, NULL, record, &p), -EPROTO);
    assert_int_equal(record_decode(&part_schema, NULL, STR_NULL, &p), -EPROTO);
    buf_done(&bytes);
}

/* From a block of exactly the record's size, so that a sanitizer sees every byte read past it. */
static int decode_copy(const schema *s, str bytes, size_t struct_size)
{
    arena a;
    arena_init(&a, 0);
    char *copy = mem_alloc(bytes.n);
    memcpy(copy, bytes.p, bytes.n);
    int r = record_decode(s, &a, str_of(copy, bytes.n), arena_zalloc(&a, struct_size));
    assert_true(r == 0 || r == -EPROTO);
    assert_true(a.total < 1000 * 1000); /* counts are believed only as far as there are bytes */
    mem_free(copy);
    arena_done(&a);
    return r;
}

static void damaged_records_are_refused_or_read_within_their_bytes(void **state)
{
    (void)state;
    buf bytes = BUF_INIT;
    random_seed_for_tests(22);
    for (int round = 0; round < 50; round++) {
        arena a;
        arena_init(&a, 0);
        thing t;
        thing_random(&a, &t);
        str record = encoded(&bytes, &thing_schema, &t);
        for (size_t n = 0; n < record.n; n++)
            assert_int_equal(decode_copy(&thing_schema, str_head(record, n), sizeof(thing)), -EPROTO);
        for (size_t i = 2; i < record.n; i++) {
            char kept = bytes.p[i];
            for (int k = 0; k < 8; k++) {
                bytes.p[i] = (char)random_below(256);
                decode_copy(&thing_schema, record, sizeof(thing));
            }
            bytes.p[i] = (char)0xff;
            decode_copy(&thing_schema, record, sizeof(thing));
            bytes.p[i] = kept;
        }
        buf_char(&bytes, 0);
        assert_int_equal(decode_copy(&thing_schema, buf_view(&bytes), sizeof(thing)), -EPROTO);
        arena_done(&a);
    }
    random_seed_for_tests(0);
    buf_done(&bytes);
}

static void malformed_numbers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"\1", 1},                                            /* no number of fields */
        {"\1\4", 2},                                          /* more fields than there are */
        {"\1\1\2", 3},                                        /* a bool of 2 */
        {"\1\2\1\x80", 4},                                    /* a varint that goes on */
        {"\1\2\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\2", 13}, /* past 64 bits */
        {"\1\2\1\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\1", 14},
        {"\1\3\1\2\0\0\0\0\0\0\0", 11}, /* 7 bytes of a real */
        {"\1\3\1\2\0\0\0\0\0\0\0\0\0", 13},
        {"\1\x80", 2},
        {"\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 11},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(decode_copy(&numbers_schema, str_of(bad[i].bytes, bad[i].n), sizeof(numbers)), -EPROTO);
    assert_int_equal(decode_copy(&numbers_schema,
                                 str_of("\1\3\1\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1\0\0\0\0\0\0\0\0", 21),
                                 sizeof(numbers)),
                     0);
    static const char huge_text[] = "\1\1\xff\xff\xff\xff\xff\xff\xff\xff\xff\1x";
    assert_int_equal(decode_copy(&part_schema, str_of(huge_text, sizeof(huge_text) - 1), sizeof(part)), -EPROTO);
    static const char huge_list[] = "\1\3\0\0\xff\xff\xff\xff\x0f\0\0\0\0";
    assert_int_equal(decode_copy(&part_schema, str_of(huge_list, sizeof(huge_list) - 1), sizeof(part)), -EPROTO);
}

static void every_failed_allocation_is_reported_as_such(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    random_seed_for_tests(23);
    thing t;
    do
        thing_random(&a, &t);
    while (t.tags.n == 0 || t.map.n == 0 || t.totals.n == 0 || t.nulls != 0);
    random_seed_for_tests(0);

    buf bytes = BUF_INIT;
    for (long nth = 0; unit_next_fault(&nth);) {
        buf_done(&bytes);
        record_encode(&thing_schema, &t, &bytes);
        assert_int_equal(bytes.err, mem_failed() ? -ENOMEM : 0);
    }
    for (long nth = 0; unit_next_fault(&nth);) {
        arena own;
        arena_init(&own, 0);
        thing back = {0};
        int r = record_decode(&thing_schema, &own, buf_view(&bytes), &back);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        arena_done(&own);
    }
    for (size_t limit = 1; limit < 600; limit++) {
        arena own;
        arena_init(&own, limit);
        thing back = {0};
        int r = record_decode(&thing_schema, &own, buf_view(&bytes), &back);
        assert_true(r == 0 || r == -ENOMEM);
        arena_done(&own);
    }
    buf_done(&bytes);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_things_come_out_as_they_went_in),
        cmocka_unit_test(extreme_numbers_survive),
        cmocka_unit_test(the_bytes_are_those_of_version_1),
        cmocka_unit_test(records_of_an_older_schema_lack_the_new_fields),
        cmocka_unit_test(the_first_fields_alone_are_a_record_of_an_older_schema),
        cmocka_unit_test(records_of_a_newer_schema_or_codec_are_refused),
        cmocka_unit_test(damaged_records_are_refused_or_read_within_their_bytes),
        cmocka_unit_test(malformed_numbers_are_refused),
        cmocka_unit_test(every_failed_allocation_is_reported_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
