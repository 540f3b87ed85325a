/* Slices and UTF-8. */
#include "unit.h"

static void absent_and_empty_are_equal_texts_but_told_apart_by_p(void **state)
{
    (void)state;
    assert_true(str_eq(STR_NULL, STR("")));
    assert_null(STR_NULL.p);
    assert_non_null(STR("").p);
    assert_null(str_c(NULL).p);
    assert_int_equal(str_c("abc").n, 3);
}

static void order_is_by_bytes_with_the_shorter_first(void **state)
{
    (void)state;
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("b"), STR("a")) > 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_true(str_cmp(STR(""), STR("a")) < 0);
    assert_true(str_cmp(STR("z"), STR("\xc3\xa4")) < 0); /* bytes are unsigned */
    assert_int_equal(str_cmp(STR("same"), STR("same")), 0);
    assert_int_equal(str_cmp(STR_NULL, STR("")), 0);
}

static void case_is_ignored_for_ascii_letters_only(void **state)
{
    (void)state;
    assert_true(str_eq_nocase(STR("Content-LENGTH"), STR("content-length")));
    assert_false(str_eq_nocase(STR("abc"), STR("abcd")));
    assert_false(str_eq_nocase(STR("@"), STR("`"))); /* a bit apart, as letters are */
    assert_false(str_eq_nocase(STR("["), STR("{")));
    assert_false(str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4"))); /* Ä, ä */
    assert_true(str_starts_nocase(STR("BEARER x"), STR("bearer ")));
    assert_false(str_starts_nocase(STR("bear"), STR("bearer")));
    assert_true(str_ends_nocase(STR("repo.GIT"), STR(".git")));
    assert_false(str_ends_nocase(STR("git"), STR(".git")));
    assert_true(str_ends_nocase(STR("x"), STR("")));
}

static void starts_and_ends_take_empty_and_whole_texts(void **state)
{
    (void)state;
    assert_true(str_starts(STR("abc"), STR("ab")));
    assert_true(str_starts(STR("abc"), STR("abc")));
    assert_true(str_starts(STR("abc"), STR("")));
    assert_true(str_starts(STR_NULL, STR("")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_true(str_ends(STR("abc"), STR("bc")));
    assert_false(str_ends(STR("abc"), STR("b")));
    assert_false(str_ends(STR("c"), STR("bc")));
}

static void parts_never_reach_past_the_end(void **state)
{
    (void)state;
    assert_str(str_from(STR("abc"), 1), "bc");
    assert_str(str_from(STR("abc"), 3), "");
    assert_str(str_from(STR("abc"), 99), "");
    assert_null(str_from(STR_NULL, 5).p);
    assert_str(str_head(STR("abc"), 2), "ab");
    assert_str(str_head(STR("abc"), 99), "abc");
}

static void trim_takes_blanks_off_both_sides(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t\r\n a b \n")), "a b");
    assert_str(str_trim(STR(" \n ")), "");
    assert_false(str_has_control(STR_NULL) || str_has_control(STR(" ~\xc2\xa0\xc3\x9f\xe6\x97\xa5\xc2")));
    assert_true(str_has_control(STR("a\n")) && str_has_control(STR("\x7f")) && str_has_control(STR("a\xc2\x9b")));
    assert_int_equal(str_trim(STR_NULL).n, 0);
}

static void searching_finds_first_last_and_nothing(void **state)
{
    (void)state;
    assert_int_equal(str_chr(STR("a/b/c"), '/'), 1);
    assert_int_equal(str_rchr(STR("a/b/c"), '/'), 3);
    assert_int_equal(str_chr(STR("abc"), '/'), -1);
    assert_int_equal(str_rchr(STR("abc"), '/'), -1);
    assert_int_equal(str_chr(STR_NULL, 'a'), -1);
    assert_int_equal(str_rchr(STR_NULL, 'a'), -1);
    assert_str(str_behind_last(STR("a/b/c"), '/'), "c");
    assert_str(str_behind_last(STR("a/"), '/'), "");
    assert_str(str_behind_last(STR("abc"), '/'), "abc");
    assert_null(str_behind_last(STR_NULL, '/').p);
    assert_int_equal(str_find(STR("hello"), STR("ll")), 2);
    assert_int_equal(str_find(STR("hello"), STR("lll")), -1);
    assert_int_equal(str_find(STR("hello"), STR("")), 0);
    assert_int_equal(str_find(STR_NULL, STR("a")), -1);
    assert_int_equal(str_find(STR("a\0b"), STR("\0b")), 1);
}

static size_t cut_all(str text, str *parts, size_t max)
{
    size_t n = 0;
    while (n < max && str_cut(&text, ',', &parts[n]))
        n++;
    return n;
}

static void cut_keeps_empty_parts(void **state)
{
    (void)state;
    str part[8];
    assert_int_equal(cut_all(STR("a,,b"), part, 8), 3);
    assert_str(part[0], "a");
    assert_str(part[1], "");
    assert_str(part[2], "b");
    assert_int_equal(cut_all(STR("abc"), part, 8), 1);
    assert_str(part[0], "abc");
    assert_int_equal(cut_all(STR(""), part, 8), 0);
    assert_int_equal(cut_all(STR_NULL, part, 8), 0);
    assert_int_equal(cut_all(STR(","), part, 8), 1); /* what lies behind the last separator is nothing left */
    assert_str(part[0], "");
    assert_int_equal(cut_all(STR("a,"), part, 8), 1);
}

static void numbers_are_whole_decimal_texts_in_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        int64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"007", 0, 7},
        {"-15", 0, -15},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"99999999999999999999999999", -ERANGE, 0},
        {"99999999999999999999999999x", -EINVAL, 0}, /* no number at all, however large it begins */
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"--1", -EINVAL, 0},
        {"1.0", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t value = 4711;
        assert_int_equal(str_to_i64(str_c(rows[i].text), &value), rows[i].r);
        assert_int_equal(value, rows[i].r == 0 ? rows[i].value : 4711);
    }
}

/* ---- UTF-8 ---- */

static void encode(uint32_t c, char out[4], size_t *ret_n)
{
    if (c < 0x80) {
        out[0] = (char)c;
        *ret_n = 1;
    } else if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        *ret_n = 2;
    } else if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        *ret_n = 3;
    } else {
        out[0] = (char)(0xF0 | c >> 18);
        out[1] = (char)(0x80 | (c >> 12 & 63));
        out[2] = (char)(0x80 | (c >> 6 & 63));
        out[3] = (char)(0x80 | (c & 63));
        *ret_n = 4;
    }
}

static void every_code_point_but_surrogates_is_valid(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x110000; c++) {
        char bytes[4];
        size_t n;
        encode(c, bytes, &n);
        bool wanted = (c < 0xD800 || c > 0xDFFF) && c < 0x110000;
        if (utf8_valid(str_of(bytes, n)) != wanted)
            fail_msg("U+%04X", c);
        if (wanted && n > 1 && utf8_valid(str_of(bytes, n - 1)))
            fail_msg("U+%04X cut off", c);
    }
}

static void broken_sequences_are_refused(void **state)
{
    (void)state;
    static const str broken[] = {
        {"\x80", 1},
        {"\xBF", 1},
        {"\xC0\x80", 2},
        {"\xC1\xBF", 2},
        {"\xE0\x80\x80", 3},
        {"\xE0\x9F\xBF", 3},
        {"\xF0\x80\x80\x80", 4},
        {"\xF0\x8F\xBF\xBF", 4},
        {"\xF4\x90\x80\x80", 4},
        {"\xF5\x80\x80\x80", 4},
        {"\xFE", 1},
        {"\xFF", 1},
        {"\xC3(", 2},
        {"\xE2\x82(", 3},
        {"\xE2(\x82", 3},
        {"\xF0\x9F\x98(", 4},
        {"\xED\xA0\x80", 3},
        {"\xF0\x9F(\x80", 4},
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        assert_false(utf8_valid(broken[i]));
        assert_int_equal(utf8_sequence(broken[i]), 0);
        char padded[40]; /* wherever it lies beside the words of eight */
        for (size_t at = 0; at < 20; at++) {
            memset(padded, 'a', sizeof(padded));
            memcpy(padded + at, broken[i].p, broken[i].n);
            assert_false(utf8_valid(str_of(padded, sizeof(padded))));
        }
    }
    assert_true(utf8_valid(STR_NULL));
    assert_int_equal(utf8_sequence(STR_NULL), 0);
}

static void code_points_are_counted_and_cut_whole(void **state)
{
    (void)state;
    str text = STR("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z"); /* a ä € 😀 z */
    assert_true(utf8_valid(text));
    assert_int_equal(utf8_length(text), 5);
    assert_int_equal(utf8_length(STR_NULL), 0);
    assert_str(utf8_head(text, 0), "");
    assert_str(utf8_head(text, 1), "a");
    assert_str(utf8_head(text, 2), "a\xc3\xa4");
    assert_str(utf8_head(text, 4), "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_int_equal(utf8_head(text, 5).n, text.n);
    assert_int_equal(utf8_head(text, 500).n, text.n);
}

static void what_is_no_utf8_is_replaced_byte_by_byte(void **state)
{
    (void)state;
    arena a;
    str good = STR("gr\xc3\xbc\xc3\x9f"), bad = STR("a\xff\xc3z\xed\xa0\x80");
    arena_init(&a, 0);
    assert_ptr_equal(arena_utf8(&a, good).p, good.p);
    assert_str(arena_utf8(&a, STR("")), "");
    assert_str(arena_utf8(&a, bad), "a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    mem_fail_at(0);
    arena_done(&a);
    assert_null(arena_utf8(&a, bad).p);
    mem_fail_at(-1);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absent_and_empty_are_equal_texts_but_told_apart_by_p),
        cmocka_unit_test(order_is_by_bytes_with_the_shorter_first),
        cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(starts_and_ends_take_empty_and_whole_texts),
        cmocka_unit_test(parts_never_reach_past_the_end),
        cmocka_unit_test(trim_takes_blanks_off_both_sides),
        cmocka_unit_test(searching_finds_first_last_and_nothing),
        cmocka_unit_test(cut_keeps_empty_parts),
        cmocka_unit_test(numbers_are_whole_decimal_texts_in_range),
        cmocka_unit_test(every_code_point_but_surrogates_is_valid),
        cmocka_unit_test(broken_sequences_are_refused),
        cmocka_unit_test(code_points_are_counted_and_cut_whole),
        cmocka_unit_test(what_is_no_utf8_is_replaced_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
