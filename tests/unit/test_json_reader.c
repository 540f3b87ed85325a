/* The JSON reader: texts that are JSON and texts that are not, the tree's look, limits, every allocation
 * failing once. */
#include "unit.h"

#include "larder/json.h"

typedef struct verdict {
    str text;
    bool is_json;
} verdict;

#define YES(text)                      \
    {                                  \
        {text, sizeof(text) - 1}, true \
    }
#define NO(text)                        \
    {                                   \
        {text, sizeof(text) - 1}, false \
    }

/* clang-format off */
static const verdict verdicts[] = {
    /* scalars stand alone */
    YES("null"), YES("true"), YES("false"), YES("0"), YES("\"\""), YES(" \t\r\n1\n"),
    NO(""), NO(" "), NO("nul"), NO("nulll"), NO("True"), NO("NaN"), NO("Infinity"), NO("-Infinity"),
    NO("undefined"),
    NO("1 2"), NO("null,"), NO("tru\\u0065"), NO("\f1"), NO("1\v"), NO("\xc2\xa0" "1"), NO("// 1\n1"),
    NO("1 /* x */"),
    NO("\xef\xbb\xbf" "1"), NO("\xfe\xff\0001"), NO("1\0"), NO("\0001"), NO("[1,\0" "2]"), NO("{}\0{}"),
    NO("#1"), NO("'a'"), NO("a"),

    /* numbers */
    YES("-0"), YES("-1"), YES("10"), YES("0.5"), YES("-0.0"), YES("1e5"), YES("1E+5"), YES("1e-5"),
    YES("1.5e007"),
    YES("9223372036854775807"), YES("-9223372036854775808"), YES("1e308"), YES("1e-400"),
    YES("123456789.0000001"),
    NO("9223372036854775808"), NO("-9223372036854775809"), NO("1e309"), NO("-1e309"),
    NO("+1"), NO("01"), NO("-01"), NO("00"), NO("-"), NO("."), NO(".5"), NO("5."), NO("1.e5"), NO("1e"),
    NO("1e+"),
    NO("0x10"), NO("1_000"), NO("1,000"), NO("- 1"), NO("--1"), NO("1.2.3"), NO("1e5.5"), NO("\xd9\xa1"),
    NO("1f"),

    /* texts */
    YES("\"a\""), YES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), YES("\"\\u0041\""), YES("\"\\u0000\""),
    YES("\"\x7f\""),
    YES("\"\xc3\xa9\""), YES("\"\xf0\x9f\x98\x80\""), YES("\"\\ud83d\\ude00\""), YES("\"\\uFFFE\\uffff\""),
    YES("\"\xef\xbb\xbf\""), YES("\"\xe2\x80\xa8\""), YES("\"\xf4\x8f\xbf\xbf\""), YES("\"/*\""),
    YES("\"[[[[{{{\\\"[\""),
    NO("\""), NO("\"a"), NO("a\""), NO("\"\\\""), NO("\"\\x41\""), NO("\"\\a\""), NO("\"\\u\""),
    NO("\"\\u004\""),
    NO("\"\\u004g\""), NO("\"\\U0041\""), NO("\"a\nb\""), NO("\"a\tb\""), NO("\"a\0b\""), NO("\"\x1f\""),
    NO("\"a\rb\""),
    NO("\"\\ud800\""), NO("\"\\udc00\""), NO("\"\\ud83d\\u0041\""), NO("\"\\ud83d\"\"\\ude00\""),
    NO("\"\\ud83d x\""),
    NO("\"\x80\""), NO("\"\xc0\xaf\""), NO("\"\xc1\x81\""), NO("\"\xc3\""), NO("\"\xe0\x80\xaf\""),
    NO("\"\xe2\x82\""),
    NO("\"\xed\xa0\x80\""), NO("\"\xf0\x80\x80\xaf\""), NO("\"\xf4\x90\x80\x80\""),
    NO("\"\xf8\x88\x80\x80\x80\""),
    NO("\"\xff\""), NO("\"\xc3(\""), NO("\"\xe9\""),

    /* arrays */
    YES("[]"), YES("[ ]"), YES("[1,\"a\",null,[],{}]"), YES("[[[[]]]]"), YES("[ 1 , 2 ]"),
    NO("["), NO("]"), NO("[1"), NO("[1,"), NO("[1,]"), NO("[,1]"), NO("[,]"), NO("[1 2]"), NO("[1,,2]"),
    NO("[1}"),
    NO("[1]]"), NO("[\"a\":1]"), NO("[1;2]"), NO("[[]"), NO("[]["), NO("[-]"), NO("[\"a]"), NO("[1]x"),

    /* objects */
    YES("{}"), YES("{ }"), YES("{\"a\":1}"), YES("{\"\":0}"), YES("{\"a\":{\"a\":{}}}"),
    YES("{\"a\":1,\"A\":2}"),
    YES(" { \"a\" : 1 , \"b\" : [ ] } "), YES("{\"\\u0061\":1}"), YES("{\"a\\nb\":1}"),
    NO("{"), NO("}"), NO("{\"a\"}"), NO("{\"a\":}"), NO("{\"a\":1,}"), NO("{,}"), NO("{\"a\" 1}"),
    NO("{a:1}"),
    NO("{'a':1}"), NO("{1:1}"), NO("{null:1}"), NO("{\"a\":1 \"b\":2}"), NO("{\"a\":1;\"b\":2}"),
    NO("{\"a\":1]"),
    NO("{\"a\"::1}"), NO("{\"a\":1}}"), NO("{\"a\":1}{}"), NO("{[]:1}"), NO("{\"a\":1,\"a\":2}"),
    NO("{\"a\":1"),
    NO("{\"a\":1,\"\\u0061\":2}"), NO("[{\"b\":{\"x\":1,\"y\":2,\"x\":3}}]"), NO("{\"\":1,\"\":1}"),
    NO("{\"a"),
    NO("{\"__proto__\":1,\"__proto__\":2}"), NO("{\"a\\u0000b\":1}"), NO("{\"\xff\":1}"),
    NO("{\"a\":1,,\"b\":2}"),
};
/* clang-format on */

static void texts_are_json_or_are_refused_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(verdicts); i++) {
        arena a;
        arena_init(&a, 0);
        json_error err = {.text = ""};
        const json_value *root = NULL;
        int r = json_parse(&a, verdicts[i].text, &root, &err);
        if (r != (verdicts[i].is_json ? 0 : -EINVAL))
            fail_msg("verdict %zu \"" STR_FMT "\": %d %s", i, STR_ARG(verdicts[i].text), r, err.text);
        if (r < 0 && (err.text[0] == '\0' || err.offset > verdicts[i].text.n || root))
            fail_msg("verdict %zu \"" STR_FMT "\": no good reason", i, STR_ARG(verdicts[i].text));
        arena_done(&a);
    }
}

/* Every beginning of a text that is JSON and does not end in a number is not JSON, and nothing past it is
 * looked at. */
static void cut_texts_are_refused(void **state)
{
    (void)state;
    static const char whole[] = "{\"a\":[1.5,-2,\"\\u00e9\xc3\xa9\"],\"b\":{\"c\":null,\"d\":true}}";
    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        char *copy = mem_alloc(n); /* so that a sanitizer sees reads past the end */
        memcpy(copy, whole, n);
        arena a;
        arena_init(&a, 0);
        const json_value *root;
        if (json_parse(&a, str_of(copy, n), &root, NULL) != -EINVAL)
            fail_msg("the first %zu bytes were taken", n);
        arena_done(&a);
        mem_free(copy);
    }
}

static void the_tree_reads_as_the_text_says(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    assert_int_equal(json_parse(&a,
                                STR("{\"z\":1,\"a\":[true,false,null,-7,2.5,\"x\\u0000y\",\"\"],"
                                    "\"m\":{\"k\":9223372036854775807}}"),
                                &v, NULL),
                     0);
    assert_true(json_is(v, JSON_OBJECT));
    assert_int_equal(json_count(v), 3);

    const json_value *array = json_get(v, "a");
    assert_int_equal(json_count(array), 7);
    static const json_type types[] = {JSON_BOOL, JSON_BOOL, JSON_NULL, JSON_INT, JSON_REAL, JSON_STRING, JSON_STRING};
    for (size_t i = 0; i < COUNT_OF(types); i++)
        assert_int_equal(json_type_of(json_at(array, i)), types[i]);
    assert_true(json_bool(json_at(array, 0)));
    assert_false(json_bool(json_at(array, 1)));
    assert_int_equal(json_int(json_at(array, 3)), -7);
    assert_true(json_number(json_at(array, 3)) == -7.0);
    assert_true(json_number(json_at(array, 4)) == 2.5);
    assert_true(str_eq(json_string(json_at(array, 5)), str_of("x\0y", 3)));
    assert_str(json_string(json_at(array, 6)), "");
    assert_null(json_at(array, 7));
    assert_true(json_int(json_get(json_get(v, "m"), "k")) == INT64_MAX);
    arena_done(&a);
}

static void members_come_in_the_order_of_the_text(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *v, *value;
    str key;
    assert_int_equal(json_parse(&a, STR("{\"z\":0,\"b\":1,\"\":2,\"a\":3,\"zz\":4}"), &v, NULL), 0);
    static const char *const keys[] = {"z", "b", "", "a", "zz"};
    size_t n = 0;
    for (void *it = NULL; (it = json_next(v, it, &key, &value)); n++) {
        assert_true(str_eq(key, str_c(keys[n])));
        assert_int_equal(json_int(value), n);
    }
    assert_int_equal(n, 5);
    arena_done(&a);
}

static void asking_the_wrong_kind_gives_nothing(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    str key;
    assert_int_equal(json_parse(&a, STR("[\"s\",{\"n\":1}]"), &v, NULL), 0);
    assert_null(json_get(v, "n"));
    assert_null(json_next(v, NULL, &key, &v));
    const json_value *s = json_at(v, 0);
    assert_null(json_at(s, 0));
    assert_int_equal(json_count(s), 0);
    assert_int_equal(json_int(s), 0);
    assert_true(json_number(s) == 0);
    assert_false(json_bool(s));
    assert_null(json_string(v).p);
    assert_null(json_get(json_at(v, 1), "N"));

    assert_int_equal(json_type_of(NULL), JSON_NULL);
    assert_null(json_string(NULL).p);
    assert_int_equal(json_string(NULL).n, 0);
    assert_null(json_get(NULL, "a"));
    assert_null(json_at(NULL, 0));
    assert_int_equal(json_count(NULL), 0);
    assert_null(json_next(NULL, NULL, &key, &v));
    arena_done(&a);
}

static int parse_nested(size_t depth, const char *open, const char *close, json_error *err)
{
    buf text = BUF_INIT;
    for (size_t i = 0; i < depth; i++)
        buf_str(&text, str_c(open));
    buf_str(&text, STR("1"));
    for (size_t i = 0; i < depth; i++)
        buf_str(&text, str_c(close));
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    int r = json_parse(&a, buf_view(&text), &v, err);
    arena_done(&a);
    buf_done(&text);
    return r;
}

static void nesting_is_limited_before_any_memory_is_spent(void **state)
{
    (void)state;
    json_error err;
    assert_int_equal(parse_nested(JSON_MAX_DEPTH, "[", "]", &err), 0);
    assert_int_equal(parse_nested(JSON_MAX_DEPTH, "{\"k\":", "}", &err), 0);
    assert_int_equal(parse_nested(JSON_MAX_DEPTH + 1, "[", "]", &err), -EINVAL);
    assert_string_equal(err.text, "nested too deeply");
    assert_int_equal(err.offset, JSON_MAX_DEPTH);
    assert_int_equal(parse_nested(JSON_MAX_DEPTH + 1, "{\"[\":", "}", &err), -EINVAL);
    assert_int_equal(parse_nested(1000000, "[", "]", &err), -EINVAL);
    assert_string_equal(err.text, "nested too deeply");

    /* Brackets inside texts, and closed ones, don't count. */
    buf wide = BUF_INIT;
    buf_str(&wide, STR("[\"\\\"[[[\""));
    for (int i = 0; i < 1000; i++)
        buf_str(&wide, STR(",[{\"[{\":\"[\\\\\"}]"));
    buf_str(&wide, STR("]"));
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    assert_int_equal(json_parse(&a, buf_view(&wide), &v, &err), 0);
    assert_int_equal(json_count(v), 1001);
    arena_done(&a);
    buf_done(&wide);
}

static void errors_say_where(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    json_error err;
    assert_int_equal(json_parse(&a, STR("{\"a\":1,\n \"a\":2}"), &v, &err), -EINVAL);
    assert_non_null(strstr(err.text, "duplicate"));
    assert_in_range(err.offset, 8, 13);
    assert_int_equal(json_parse(&a, STR("[1, 2, x]"), &v, &err), -EINVAL);
    assert_in_range(err.offset, 7, 8);
    assert_int_equal(json_parse(&a, STR("\xef\xbb\xbf{}"), &v, &err), -EINVAL);
    assert_string_equal(err.text, "byte order mark");
    arena_done(&a);
}

static void a_tree_keeps_within_the_arenas_limit(void **state)
{
    (void)state;
    buf text = BUF_INIT;
    buf_str(&text, STR("[{}"));
    for (int i = 0; i < 20000; i++)
        buf_str(&text, STR(",{}"));
    buf_str(&text, STR("]"));
    const json_value *v;
    arena a;
    arena_init(&a, 1 << 20);
    assert_int_equal(json_parse(&a, buf_view(&text), &v, NULL), -EFBIG);
    assert_int_equal(json_parse(&a, STR("[1,2,3]"), &v, NULL), 0);
    arena_done(&a);

    arena_init(&a, 64 << 20);
    assert_int_equal(json_parse(&a, buf_view(&text), &v, NULL), 0);
    assert_int_equal(json_count(v), 20001);
    arena_done(&a);
    buf_done(&text);
}

static void two_trees_live_in_one_arena(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *one, *two;
    assert_int_equal(json_parse(&a, STR("[1]"), &one, NULL), 0);
    assert_int_equal(json_parse(&a, STR("[2]"), &two, NULL), 0);
    assert_int_equal(json_int(json_at(one, 0)), 1);
    assert_int_equal(json_int(json_at(two, 0)), 2);
    arena_reset(&a); /* a leak checker sees that both are freed */
    arena_done(&a);
}

static void every_failed_allocation_is_reported_as_such(void **state)
{
    (void)state;
    str text = STR("{\"list\":[1,2.5,\"\\u00e9long enough to grow a buffer once or twice, and then some more\",null],"
                   "\"a\":{\"b\":[[]],\"c\":true},\"b\":1,\"c\":2,\"d\":3,\"e\":4,\"f\":5,\"g\":6,\"h\":7,\"i\":8}");
    int refused = 0;
    for (long nth = 0; unit_next_fault(&nth);) {
        arena a;
        arena_init(&a, 0);
        const json_value *v = NULL;
        int r = json_parse(&a, text, &v, NULL);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        assert_true((v != NULL) == (r == 0));
        refused += r < 0;
        arena_done(&a);
    }
    assert_true(refused > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_json_or_are_refused_with_a_reason),
        cmocka_unit_test(cut_texts_are_refused),
        cmocka_unit_test(the_tree_reads_as_the_text_says),
        cmocka_unit_test(members_come_in_the_order_of_the_text),
        cmocka_unit_test(asking_the_wrong_kind_gives_nothing),
        cmocka_unit_test(nesting_is_limited_before_any_memory_is_spent),
        cmocka_unit_test(errors_say_where),
        cmocka_unit_test(a_tree_keeps_within_the_arenas_limit),
        cmocka_unit_test(two_trees_live_in_one_arena),
        cmocka_unit_test(every_failed_allocation_is_reported_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
