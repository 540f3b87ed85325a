/* The JSON writer: what each call writes, that misuse never leaves a bad text behind, that what it writes
 * reads back. */
#include "unit.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "larder/json.h"

typedef struct page {
    buf text;
    json w;
} page;

static json *page_open(page *p)
{
    *p = (page){.text = BUF_INIT};
    json_begin(&p->w, &p->text);
    return &p->w;
}

#define assert_page(p, literal) assert_page_is((p), STR(literal), __FILE__, __LINE__)
static void assert_page_is(page *p, str wanted, const char *file, int line)
{
    int r = json_finish(&p->w);
    if (r != 0 || !str_eq(buf_view(&p->text), wanted)) {
        print_error("%d, \"" STR_FMT "\"\n", r, STR_ARG(buf_view(&p->text)));
        _fail(file, line);
    }
    buf_done(&p->text);
}

static void each_kind_is_written_in_its_place(void **state)
{
    (void)state;
    page p;
    json *w = page_open(&p);
    json_object(w);
    json_pair_str(w, "text", STR("x"));
    json_pair_str(w, "no text", STR_NULL);
    json_pair_int(w, "number", -5);
    json_pair_bool(w, "yes", true);
    json_pair_bool(w, "no", false);
    json_key(w, STR("nothing"));
    json_put_null(w);
    json_key(w, STR("empty"));
    json_object(w);
    json_end(w);
    json_key(w, STR("list"));
    json_array(w);
    json_array(w);
    json_end(w);
    json_put_real(w, 60);
    json_put_raw(w, STR("{\"raw\":1}"));
    json_put_raw(w, STR_NULL);
    json_object(w);
    json_pair_int(w, "a\"b", 1);
    json_pair_int(w, "", 2);
    json_end(w);
    json_end(w);
    json_end(w);
    assert_page(&p, "{\"text\":\"x\",\"no text\":null,\"number\":-5,\"yes\":true,\"no\":false,"
                    "\"nothing\":null,\"empty\":{},"
                    "\"list\":[[],60.0,{\"raw\":1},null,{\"a\\\"b\":1,\"\":2}]}");
}

static void a_scalar_may_stand_alone(void **state)
{
    (void)state;
    page p;
    json_put_int(page_open(&p), 0);
    assert_page(&p, "0");
    json_put_str(page_open(&p), STR(""));
    assert_page(&p, "\"\"");
    json_put_null(page_open(&p));
    assert_page(&p, "null");
}

typedef struct text_case {
    str in, out;
} text_case;
#define TEXT(in, out)            \
    {                            \
        {in, sizeof(in) - 1},    \
        {                        \
            out, sizeof(out) - 1 \
        }                        \
    }
#define LOST "\xef\xbf\xbd"

/* clang-format off */
static const text_case text_cases[] = {
    TEXT("plain text with a / and a \x7f", "\"plain text with a / and a \x7f\""),
    TEXT("\"", "\"\\\"\""), TEXT("\\", "\"\\\\\""), TEXT("a\"b\\c", "\"a\\\"b\\\\c\""),
    TEXT("\b\t\n\f\r", "\"\\b\\t\\n\\f\\r\""), TEXT("\0\1\x0b\x1f", "\"\\u0000\\u0001\\u000b\\u001f\""),
    TEXT("a line\nand another, longer than a vector\n", "\"a line\\nand another, longer than a vector\\n\""),
    TEXT("\xc3\xa9t\xc3\xa9", "\"\xc3\xa9t\xc3\xa9\""), TEXT("\xe2\x82\xac", "\"\xe2\x82\xac\""),
    TEXT("\xf0\x9f\x98\x80 is one of four bytes", "\"\xf0\x9f\x98\x80 is one of four bytes\""),
    TEXT("\xf4\x8f\xbf\xbf\xef\xbf\xbf", "\"\xf4\x8f\xbf\xbf\xef\xbf\xbf\""),
    TEXT("\x80", "\"" LOST "\""), TEXT("a\xff" "b", "\"a" LOST "b\""), TEXT("\xc3", "\"" LOST "\""),
    TEXT("\xc3(", "\"" LOST "(\""), TEXT("\xe2\x82", "\"" LOST LOST "\""),
    TEXT("\xc0\xaf", "\"" LOST LOST "\""),
    TEXT("\xed\xa0\x80", "\"" LOST LOST LOST "\""), TEXT("\xf4\x90\x80\x80!", "\"" LOST LOST LOST LOST "!\""),
    TEXT("a text that is plain until its end, where it breaks \xe2\x82",
         "\"a text that is plain until its end, where it breaks " LOST LOST "\""),
};
/* clang-format on */

static void texts_are_escaped_and_always_utf8(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(text_cases); i++) {
        page p;
        json *w = page_open(&p);
        json_put_str(w, text_cases[i].in);
        assert_page_is(&p, text_cases[i].out, __FILE__, (int)i);

        w = page_open(&p);
        json_object(w);
        json_key(w, text_cases[i].in);
        json_put_null(w);
        json_end(w);
        assert_int_equal(json_finish(w), 0);
        str inner = str_head(str_from(buf_view(&p.text), 1), text_cases[i].out.n);
        assert_true(str_eq(inner, text_cases[i].out));
        buf_done(&p.text);
    }
}

/* Random bytes, mostly nasty ones, come back through the reader as what they were, broken ones replaced. */
static void any_bytes_become_a_text_that_reads_back(void **state)
{
    (void)state;
    static const char nasty[] = "\0\n\"\\\x1f\x7f\x80\xbf\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xed\xff abc";
    random_seed_for_tests(11);
    for (int round = 0; round < 20000; round++) {
        char bytes[80];
        size_t n = random_below(sizeof(bytes));
        for (size_t i = 0; i < n; i++)
            bytes[i] = random_below(4) ? nasty[random_below(sizeof(nasty) - 1)] : 'x';
        page p;
        json_put_str(page_open(&p), str_of(bytes, n));
        assert_int_equal(json_finish(&p.w), 0);

        arena a;
        arena_init(&a, 0);
        const json_value *v;
        assert_int_equal(json_parse(&a, buf_view(&p.text), &v, NULL), 0);
        if (utf8_valid(str_of(bytes, n)))
            assert_true(str_eq(json_string(v), str_of(bytes, n)));
        else
            assert_true(str_find(json_string(v), STR(LOST)) >= 0);
        arena_done(&a);
        buf_done(&p.text);
    }
    random_seed_for_tests(0);
}

typedef struct real_case {
    double v;
    const char *text;
} real_case;
static const real_case real_cases[] = {
    {0, "0.0"},
    {-0.0, "-0.0"},
    {1, "1.0"},
    {100, "100.0"},
    {-60, "-60.0"},
    {0.1, "0.1"},
    {2.5, "2.5"},
    {1.0 / 3, "0.3333333333333333"},
    {0.1 + 0.2, "0.30000000000000004"},
    {99.99, "99.99"},
    {1e15, "1e+15"},
    {999999999999999, "999999999999999.0"},
    {123456789012345680, "1.2345678901234568e+17"},
    {1e300, "1e+300"},
    {1e-7, "1e-07"},
    {DBL_MAX, "1.7976931348623157e+308"},
    {DBL_MIN, "2.2250738585072014e-308"},
    {5e-324, "5e-324"},
};

static void reals_are_short_and_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(real_cases); i++) {
        page p;
        json_put_real(page_open(&p), real_cases[i].v);
        assert_page_is(&p, str_c(real_cases[i].text), __FILE__, (int)i);
    }
    random_seed_for_tests(3);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = random_u64();
        double v;
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v))
            continue;
        page p;
        json_put_real(page_open(&p), v);
        assert_int_equal(json_finish(&p.w), 0);
        buf_char(&p.text, '\0');
        assert_true(strtod(p.text.p, NULL) == v);
        assert_non_null(strpbrk(p.text.p, ".e"));
        assert_true(p.text.n <= 25);
        buf_done(&p.text);
    }
    random_seed_for_tests(0);
}

/* ---- misuse ---- */

static void value_for_key(json *w)
{
    json_object(w);
    json_put_int(w, 1);
    json_end(w);
}
static void array_for_key(json *w)
{
    json_object(w);
    json_array(w);
    json_end(w);
    json_end(w);
}
static void key_without_value(json *w)
{
    json_object(w);
    json_key(w, STR("k"));
    json_end(w);
}
static void two_keys(json *w)
{
    json_object(w);
    json_key(w, STR("k"));
    json_key(w, STR("l"));
    json_put_int(w, 1);
    json_end(w);
}
static void key_in_array(json *w)
{
    json_array(w);
    json_key(w, STR("k"));
    json_put_int(w, 1);
    json_end(w);
}
static void end_of_nothing(json *w)
{
    json_end(w);
}
static void one_end_too_many(json *w)
{
    json_array(w);
    json_end(w);
    json_end(w);
}
static void end_missing(json *w)
{
    json_object(w);
    json_key(w, STR("k"));
    json_array(w);
    json_end(w);
}
static void two_values(json *w)
{
    json_put_int(w, 1);
    json_put_int(w, 2);
}
static void value_behind_the_end(json *w)
{
    json_array(w);
    json_end(w);
    json_put_null(w);
}
static void nothing_at_all(json *w)
{
    (void)w;
}
static void nan_value(json *w)
{
    json_put_real(w, (double)NAN);
}
static void infinite_value(json *w)
{
    json_array(w);
    json_put_real(w, -(double)INFINITY);
    json_end(w);
}
static void too_deep(json *w)
{
    for (int i = 0; i <= JSON_WRITE_DEPTH; i++)
        json_array(w);
    for (int i = 0; i <= JSON_WRITE_DEPTH; i++)
        json_end(w);
}
static void far_too_deep(json *w)
{
    for (int i = 0; i < 1000; i++)
        json_array(w);
    for (int i = 0; i < 1000; i++)
        json_end(w);
}

static void misuse_is_found_and_nothing_written_after_it(void **state)
{
    (void)state;
    static void (*const misuses[])(json *) = {
        value_for_key,  array_for_key,    key_without_value, two_keys,     key_in_array,
        end_of_nothing, one_end_too_many, end_missing,       two_values,   value_behind_the_end, nothing_at_all,
        nan_value,      infinite_value,   too_deep,          far_too_deep,
    };
    for (size_t i = 0; i < COUNT_OF(misuses); i++) {
        page p;
        json *w = page_open(&p);
        misuses[i](w);
        if (json_finish(w) != -EPROTO)
            fail_msg("misuse %zu was not found", i);
        size_t n = p.text.n;
        if (misuses[i] != end_missing && misuses[i] != nothing_at_all) {
            json_put_int(w, 1);
            json_put_str(w, STR("a"));
            json_key(w, STR("a"));
            json_object(w);
            json_end(w);
            assert_int_equal(p.text.n, n);
        }
        assert_int_equal(json_finish(w), -EPROTO);
        buf_done(&p.text);
    }
}

static void the_deepest_level_still_works(void **state)
{
    (void)state;
    page p;
    json *w = page_open(&p);
    for (int i = 0; i < JSON_WRITE_DEPTH; i++) {
        if (i % 2) {
            json_key(w, STR("k"));
            json_array(w);
            json_put_int(w, i);
        } else {
            json_object(w);
            json_pair_int(w, "i", i);
        }
    }
    for (int i = 0; i < JSON_WRITE_DEPTH; i++)
        json_end(w);
    assert_int_equal(json_finish(w), 0);
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    assert_int_equal(json_parse(&a, buf_view(&p.text), &v, NULL), 0);
    for (int i = 0; i < JSON_WRITE_DEPTH; i += 2) {
        assert_int_equal(json_int(json_get(v, "i")), i);
        v = json_get(v, "k");
        assert_true(i + 1 == JSON_WRITE_DEPTH || json_int(json_at(v, 0)) == i + 1);
        v = json_at(v, 1);
    }
    arena_done(&a);
    buf_done(&p.text);
}

/* ---- values that were read ---- */

static void what_was_read_is_written_as_it_was(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"b\":[1,-2.5,\"\\\"\\u0000\xc3\xa9\",true,null,{},[]],\"a\":{\"x\":{\"y\":[[[0]]]}},\"c\":\"\"}",
        "[]",
        "\"text\"",
        "9223372036854775807",
        "[{\"k\":1},{\"k\":2}]",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        arena a;
        arena_init(&a, 0);
        const json_value *v;
        assert_int_equal(json_parse(&a, str_c(texts[i]), &v, NULL), 0);
        page p;
        json *w = page_open(&p);
        json_put_value(w, v);
        assert_page_is(&p, str_c(texts[i]), __FILE__, __LINE__);
        arena_done(&a);
    }
}

static void a_value_of_the_readers_depth_can_be_written(void **state)
{
    (void)state;
    char text[2 * JSON_MAX_DEPTH];
    memset(text, '[', JSON_MAX_DEPTH);
    memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    assert_int_equal(json_parse(&a, str_of(text, sizeof(text)), &v, NULL), 0);
    page p;
    json *w = page_open(&p);
    json_array(w);
    json_put_value(w, v);
    json_put_value(w, NULL);
    json_end(w);
    assert_int_equal(json_finish(w), 0);
    assert_int_equal(p.text.n, sizeof(text) + 7);
    arena_done(&a);
    buf_done(&p.text);
}

/* ---- the buffer's errors ---- */

static void write_a_page(json *w, const json_value *v)
{
    json_object(w);
    json_pair_str(w, "text", STR("a text that needs some room, and has\nsomething to escape \xc3\xa9"));
    json_key(w, STR("list"));
    json_array(w);
    for (int i = 0; i < 100; i++) {
        json_put_int(w, i);
        json_put_real(w, 0.5);
        json_put_raw(w, STR("[1,2,3]"));
    }
    json_put_value(w, v);
    json_end(w);
    json_end(w);
}

static void every_failed_allocation_is_the_writers_result(void **state)
{
    (void)state;
    int failures = 0;
    for (long nth = 0; unit_next_fault(&nth);) {
        page p;
        json *w = page_open(&p);
        write_a_page(w, NULL);
        assert_int_equal(json_finish(w), mem_failed() ? -ENOMEM : 0);
        failures += mem_failed();
        buf_done(&p.text);
    }
    assert_true(failures > 2);
}

static void a_full_buffer_is_the_writers_result(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    assert_int_equal(json_parse(&a, STR("{\"a\":[\"text\",1,2.5,null,{}],\"b\":\"\xc3\xa9\\n\"}"), &v, NULL), 0);
    page p;
    json *w = page_open(&p);
    write_a_page(w, v);
    assert_int_equal(json_finish(w), 0);
    size_t whole = p.text.n;
    buf_done(&p.text);
    for (size_t max = 1; max < whole; max++) {
        w = page_open(&p);
        p.text.max = max;
        write_a_page(w, v);
        assert_int_equal(json_finish(w), -EFBIG);
        assert_true(p.text.n <= max);
        buf_done(&p.text);
    }
    w = page_open(&p);
    p.text.max = whole + 32;
    write_a_page(w, v);
    assert_int_equal(json_finish(w), 0);
    buf_done(&p.text);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_is_written_in_its_place),
        cmocka_unit_test(a_scalar_may_stand_alone),
        cmocka_unit_test(texts_are_escaped_and_always_utf8),
        cmocka_unit_test(any_bytes_become_a_text_that_reads_back),
        cmocka_unit_test(reals_are_short_and_exact),
        cmocka_unit_test(misuse_is_found_and_nothing_written_after_it),
        cmocka_unit_test(the_deepest_level_still_works),
        cmocka_unit_test(what_was_read_is_written_as_it_was),
        cmocka_unit_test(a_value_of_the_readers_depth_can_be_written),
        cmocka_unit_test(every_failed_allocation_is_the_writers_result),
        cmocka_unit_test(a_full_buffer_is_the_writers_result),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
