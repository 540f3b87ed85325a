/* Query texts: what is taken, what is refused, and with which words. */
#include "unit.h"

#include <stdio.h>

#include "thing.h"

typedef struct asked {
    arena a;
    lookup q;
    schema_error err;
    int r;
} asked;

static void ask(asked *k, str text)
{
    *k = (asked){0};
    arena_init(&k->a, 0);
    k->r = schema_decode_params(&lookup_schema, &k->a, NULL, 0, text, &k->q, &k->err);
}

static void every_kind_is_decoded(void **state)
{
    (void)state;
    asked k;
    ask(&k, STR("query=a+b%20%C3%A9%26&limit=500&skip=9223372036854775807&any=-3&above=0.5&is_old=yes&sort=type"
                "&since=2025-01-18T11:00:00%2B01:00&cursor=src_1&tags=one&tags=t%77o"));
    assert_int_equal(k.r, 0);
    assert_str(k.q.query, "a b \xc3\xa9&");
    assert_int_equal(k.q.limit, 500);
    assert_true(k.q.skip == INT64_MAX);
    assert_int_equal(k.q.any, -3);
    assert_true(k.q.above == 0.5);
    assert_true(k.q.is_old);
    assert_str(k.q.sort, "type");
    assert_true(k.q.since == 1737194400000);
    assert_str(k.q.cursor, "src_1");
    assert_int_equal(k.q.tags.n, 2);
    assert_str(k.q.tags.v[0], "one");
    assert_str(k.q.tags.v[1], "two");
    assert_true(HAS(&k.q, lookup, limit) && HAS(&k.q, lookup, is_old) && HAS(&k.q, lookup, tags));
    arena_done(&k.a);
}

static void absent_and_empty_parameters_get_their_defaults(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "query=x",
        "query=x&sort=&is_old=&since=&cursor=&tags=&tags=",
        "&&query=x&cursor&sort&",
        "Limit=3&limits=4&query=x&quer=y&=z&%=1&limit%=7&%zzlimit=9",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        asked k;
        ask(&k, str_c(texts[i]));
        assert_int_equal(k.r, 0);
        assert_str(k.q.query, "x");
        assert_int_equal(k.q.limit, 100);
        assert_str(k.q.sort, "name");
        assert_false(k.q.is_old);
        assert_int_equal(k.q.since, 0);
        assert_null(k.q.cursor.p);
        assert_null(k.q.tags.v);
        assert_false(HAS(&k.q, lookup, limit) || HAS(&k.q, lookup, tags) || HAS(&k.q, lookup, cursor));
        arena_done(&k.a);
    }
}

static void choices_fit_in_any_case_and_come_as_they_are_listed(void **state)
{
    (void)state;
    static const char *const texts[] = {"query=x&sort=TYPE", "query=x&sort=Type", "query=x&sort=tYp%65"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        asked k;
        ask(&k, str_c(texts[i]));
        assert_int_equal(k.r, 0);
        assert_str(k.q.sort, "type");
        arena_done(&k.a);
    }
}

static void names_are_decoded_too(void **state)
{
    (void)state;
    asked k;
    ask(&k, STR("%71uery=x&l%69mit=7&is%5Fold=1&t%61gs=ab"));
    assert_int_equal(k.r, 0);
    assert_str(k.q.query, "x");
    assert_int_equal(k.q.limit, 7);
    assert_true(k.q.is_old);
    assert_str(k.q.tags.v[0], "ab");
    arena_done(&k.a);
}

static void empty_values_do_not_count_as_repeated(void **state)
{
    (void)state;
    asked k;
    ask(&k, STR("limit=&query=&query=x&limit=7&limit=&tags=&tags=ab&tags="));
    assert_int_equal(k.r, 0);
    assert_str(k.q.query, "x");
    assert_int_equal(k.q.limit, 7);
    assert_int_equal(k.q.tags.n, 1);
    arena_done(&k.a);
}

static void check_bool(const char *word, bool wanted)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "query=x&is_old=%s", word);
    asked k;
    ask(&k, str_of(text, (size_t)n));
    assert_int_equal(k.r, 0);
    assert_int_equal(k.q.is_old, wanted);
    assert_true(HAS(&k.q, lookup, is_old));
    arena_done(&k.a);
}

static void booleans_have_many_names(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "TRUE", "1", "t", "Y", "yes", "On"};
    static const char *const no[] = {"false", "False", "0", "f", "n", "NO", "off"};
    for (size_t i = 0; i < COUNT_OF(yes); i++)
        check_bool(yes[i], true);
    for (size_t i = 0; i < COUNT_OF(no); i++)
        check_bool(no[i], false);
}

typedef struct refusal {
    const char *query, *field, *text;
} refusal;

/* clang-format off */
static const refusal refusals[] = {
    {"", "query", "Missing query parameter: query. Must be 1 to 200 characters"},
    {"limit=5", "query", "Missing query parameter: query. Must be 1 to 200 characters"},
    {"Query=x", "query", "Missing query parameter: query. Must be 1 to 200 characters"},
    {"query=", "query", "Invalid query: ''. Must be 1 to 200 characters"},
    {"query", "query", "Invalid query: ''. Must be 1 to 200 characters"},
    {"query=a&query=b", "query", "Invalid query: given 2 times. Must be given once"},
    {"query=%", "query", "Invalid query: '%'. Must be percent-encoded UTF-8"},
    {"query=%f", "query", "Invalid query: '%f'. Must be percent-encoded UTF-8"},
    {"query=a%zzb", "query", "Invalid query: 'a%zzb'. Must be percent-encoded UTF-8"},
    {"query=%ff", "query", "Invalid query: '%ff'. Must be percent-encoded UTF-8"},
    {"query=%c3", "query", "Invalid query: '%c3'. Must be percent-encoded UTF-8"},
    {"query=%ed%a0%80", "query", "Invalid query: '%ed%a0%80'. Must be percent-encoded UTF-8"},
    {"query=x&limit=0", "limit", "Invalid limit: '0'. Must be an integer from 1 to 500"},
    {"query=x&limit=900", "limit", "Invalid limit: '900'. Must be an integer from 1 to 500"},
    {"query=x&limit=-1", "limit", "Invalid limit: '-1'. Must be an integer from 1 to 500"},
    {"query=x&limit=1.0", "limit", "Invalid limit: '1.0'. Must be an integer from 1 to 500"},
    {"query=x&limit=ten", "limit", "Invalid limit: 'ten'. Must be an integer from 1 to 500"},
    {"query=x&limit=+5", "limit", "Invalid limit: ' 5'. Must be an integer from 1 to 500"},
    {"query=x&limit=99999999999999999999", "limit",
     "Invalid limit: '99999999999999999999'. Must be an integer from 1 to 500"},
    {"query=x&limit=5%00", "limit", "Invalid limit: '5%00'. Must not contain %00"},
    {"query=x&limit=", "limit", "Invalid limit: ''. Must be an integer from 1 to 500"},
    {"query=x&skip", "skip", "Invalid skip: ''. Must be an integer of at least 0"},
    {"query=x&above=", "above", "Invalid above: ''. Must be a number from 0 to 1"},
    {"query=a%00b", "query", "Invalid query: 'a%00b'. Must not contain %00"},
    {"query=x&tags=a%00b", "tags", "Invalid tags: 'a%00b'. Must not contain %00"},
    {"query=x&limit=5&limit=5&limit=5", "limit", "Invalid limit: given 3 times. Must be given once"},
    {"query=x&skip=-1", "skip", "Invalid skip: '-1'. Must be an integer of at least 0"},
    {"query=x&any=x", "any", "Invalid any: 'x'. Must be an integer"},
    {"query=x&above=1.5", "above", "Invalid above: '1.5'. Must be a number from 0 to 1"},
    {"query=x&above=nan", "above", "Invalid above: 'nan'. Must be a number from 0 to 1"},
    {"query=x&above=inf", "above", "Invalid above: 'inf'. Must be a number from 0 to 1"},
    {"query=x&above=0x0", "above", "Invalid above: '0x0'. Must be a number from 0 to 1"},
    {"query=x&above=1e-", "above", "Invalid above: '1e-'. Must be a number from 0 to 1"},
    {"query=x&above=1e999", "above", "Invalid above: '1e999'. Must be a number from 0 to 1"},
    {"query=x&is_old=x", "is_old", "Invalid is_old: 'x'. Must be true or false"},
    {"query=x&is_old=2", "is_old", "Invalid is_old: '2'. Must be true or false"},
    {"query=x&sort=x", "sort", "Invalid sort field: x. Valid options: name, type"},
    {"query=x&sort=NAMES", "sort", "Invalid sort field: NAMES. Valid options: name, type"},
    {"query=x&sort=name%7Ctype", "sort", "Invalid sort field: name|type. Valid options: name, type"},
    {"query=x&since=today", "since", "Invalid since: 'today'. Must be a time like 2025-01-18T10:00:00Z"},
    {"query=x&cursor=123456789", "cursor", "Invalid cursor: '123456789'. Must be at most 8 characters"},
    {"query=x&tags=ab&tags=a", "tags", "Invalid tags: 'a'. Must be 2 to 4 characters"},
    {"query=x&tags=abcde", "tags", "Invalid tags: 'abcde'. Must be 2 to 4 characters"},
    {"query=x&tags=ab&tags=cd&tags=ef&tags=gh", "tags",
     "Invalid tags: given 4 times. Must be at most 3 values"},
    {"query=x&tags=ab&tags=%f0", "tags", "Invalid tags: '%f0'. Must be percent-encoded UTF-8"},
    {"sort=x&limit=0&query=x", "limit", "Invalid limit: '0'. Must be an integer from 1 to 500"},
};
/* clang-format on */

static void the_first_fault_is_named_in_the_schemas_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        const refusal *want = &refusals[i];
        asked k;
        ask(&k, str_c(want->query));
        if (k.r != -EINVAL || !str_eq(k.err.text, str_c(want->text)) || !str_eq(k.err.field, str_c(want->field)))
            fail_msg("%s: %d \"" STR_FMT "\"", want->query, k.r, STR_ARG(k.err.text));
        arena_done(&k.a);
    }
}

/* clang-format off */
static const refusal find_refusals[] = {
    {"", "all", "Missing query parameter: all. Must be true or false"},
    {"all=", "all", "Invalid all: ''. Must be true or false"},
    {"all=1", "ids", "Missing query parameter: ids. Must be text"},
    {"all=1&ids=a", "ids", "Invalid ids: given 1 time. Must be at least 2 values"},
    {"all=1&ids=", "ids", "Invalid ids: given 0 times. Must be at least 2 values"},
    {"prefix=ab", "prefix", "Invalid prefix: 'ab'. Must be at least 3 characters"},
    {"code=abcd", "code", "Invalid code: 'abcd'. Must be 5 characters"},
    {"code=abcdef", "code", "Invalid code: 'abcdef'. Must be 5 characters"},
    {"flag=ab", "flag", "Invalid flag: 'ab'. Must be at most 1 character"},
};
/* clang-format on */

static void bounds_of_every_shape_are_told(void **state)
{
    (void)state;
    find f = {0};
    schema_error err;
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < COUNT_OF(find_refusals); i++) {
        const refusal *want = &find_refusals[i];
        int r = schema_decode_params(&find_schema, &a, NULL, 0, str_c(want->query), &f, &err);
        if (r != -EINVAL || !str_eq(err.text, str_c(want->text)) || !str_eq(err.field, str_c(want->field)))
            fail_msg("%s: %d \"" STR_FMT "\"", want->query, r, STR_ARG(err.text));
    }
    f = (find){0};
    assert_int_equal(schema_decode_params(&find_schema, &a, NULL, 0,
                                          STR("prefix=abc&code=12345&flag=%C3%A9&any=%01&all=no&ids=1&ids=2"), &f,
                                          &err),
                     0);
    assert_str(f.flag, "\xc3\xa9");
    assert_true(str_eq(f.any, str_of("\1", 1)));
    assert_false(f.all);
    assert_int_equal(f.ids.n, 2);
    arena_done(&a);
}

static str repeated(buf *b, const char *head, const char *more, size_t times)
{
    buf_str(b, str_c(head));
    for (size_t i = 0; i < times; i++)
        buf_str(b, str_c(more));
    return buf_view(b);
}

static void lengths_are_counted_in_code_points(void **state)
{
    (void)state;
    asked k;
    buf b = BUF_INIT;
    ask(&k, repeated(&b, "query=", "%F0%9F%98%80", 200));
    assert_int_equal(k.r, 0);
    assert_int_equal(k.q.query.n, 800);
    arena_done(&k.a);
    buf_str(&b, STR("%F0%9F%98%80"));
    ask(&k, buf_view(&b));
    assert_int_equal(k.r, -EINVAL);
    arena_done(&k.a);
    buf_done(&b);
}

static void a_huge_value_is_refused_in_a_short_text(void **state)
{
    (void)state;
    static const char *const parts[] = {"a", "%41", "%C3%A9", "%ff", "\xc3\xa9"};
    static const char *const heads[] = {"query=", "query=x&limit=", "query=x&sort=", "query=x&tags="};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        for (size_t h = 0; h < COUNT_OF(heads); h++) {
            asked k;
            buf b = BUF_INIT;
            ask(&k, repeated(&b, heads[h], parts[i], (1 << 20) / strlen(parts[i])));
            assert_int_equal(k.r, -EINVAL);
            assert_true(k.err.text.n < 300);
            arena_done(&k.a);
            buf_done(&b);
        }
    }
    asked k;
    buf b = BUF_INIT;
    ask(&k, repeated(&b, "query=x&cursor=", "&%zz=%&limit%=1", 50000));
    assert_int_equal(k.r, 0);
    arena_done(&k.a);
    buf_done(&b);
}

static void every_failed_allocation_is_reported_as_such(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "query=%61&tags=%61b&l%69mit=5&tags=cd",
        "limit=0&query=x",
        "query=%ff",
        "query=x&sort=x",
        "query=x&tags=a",
        "limit=1",
        "query=x&limit=1&limit=2",
        "query=x&tags=1&tags=1&tags=1&tags=1",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        int wanted = i == 0 ? 0 : -EINVAL;
        for (long nth = 0; unit_next_fault(&nth);) {
            asked k;
            ask(&k, str_c(texts[i]));
            assert_int_equal(k.r, mem_failed() ? -ENOMEM : wanted);
            arena_done(&k.a);
        }
        for (size_t limit = 1; limit < 1000; limit++) {
            arena a;
            arena_init(&a, limit);
            lookup q = {0};
            schema_error err = {0};
            int r = schema_decode_params(&lookup_schema, &a, NULL, 0, str_c(texts[i]), &q, &err);
            assert_true(r == wanted || r == -ENOMEM);
            assert_true(r != -EINVAL || err.text.p);
            arena_done(&a);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_decoded),
        cmocka_unit_test(absent_and_empty_parameters_get_their_defaults),
        cmocka_unit_test(choices_fit_in_any_case_and_come_as_they_are_listed),
        cmocka_unit_test(names_are_decoded_too),
        cmocka_unit_test(empty_values_do_not_count_as_repeated),
        cmocka_unit_test(booleans_have_many_names),
        cmocka_unit_test(the_first_fault_is_named_in_the_schemas_order),
        cmocka_unit_test(bounds_of_every_shape_are_told),
        cmocka_unit_test(lengths_are_counted_in_code_points),
        cmocka_unit_test(a_huge_value_is_refused_in_a_short_text),
        cmocka_unit_test(every_failed_allocation_is_reported_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
