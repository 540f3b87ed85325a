/* Hexadecimal, base32, base64url, percent-encoding. */
#include "unit.h"

static arena a;

static int set_up(void **state)
{
    (void)state;
    arena_init(&a, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&a);
    return 0;
}

static void hex_goes_there_and_back(void **state)
{
    (void)state;
    unsigned char all[256], back[256];
    char text[512];
    for (size_t i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    hex_encode(all, 256, text);
    assert_memory_equal(text, "000102", 6);
    assert_memory_equal(text + 506, "fdfeff", 6);
    assert_int_equal(hex_decode(str_of(text, 512), back, 256), 0);
    assert_memory_equal(all, back, 256);
    assert_int_equal(hex_decode(STR("DeadBEEF"), back, 4), 0);
    assert_memory_equal(back, "\xde\xad\xbe\xef", 4);
    assert_int_equal(hex_decode(STR(""), back, 0), 0);
}

static void broken_hex_is_refused_and_writes_nothing(void **state)
{
    (void)state;
    static const char *const broken[] = {"", "0", "000", "00000", "0g00", "000 ", "0x00", "00:0"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        unsigned char out[2] = {7, 7};
        assert_int_equal(hex_decode(str_c(broken[i]), out, 2), -EINVAL);
        assert_int_equal(out[0] + out[1], 14);
    }
}

static void base32_uses_crockfords_alphabet(void **state)
{
    (void)state;
    static const struct {
        str bytes;
        const char *text;
    } rows[] = {
        {STR_INIT(""), ""},
        {STR_INIT("f"), "cr"},
        {STR_INIT("fo"), "csqg"},
        {STR_INIT("foo"), "csqpy"},
        {STR_INIT("foob"), "csqpyrg"},
        {STR_INIT("fooba"), "csqpyrk1"},
        {STR_INIT("foobar"), "csqpyrk1e8"},
        {STR_INIT("\0\0\0\0\0"), "00000000"},
        {STR_INIT("\xff\xff\xff\xff\xff"), "zzzzzzzz"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[16];
        memset(text, '#', sizeof(text));
        size_t n = strlen(rows[i].text);
        assert_int_equal(BASE32_LEN(rows[i].bytes.n), n);
        base32_encode(rows[i].bytes.p, rows[i].bytes.n, text);
        assert_memory_equal(text, rows[i].text, n);
        assert_int_equal(text[n], '#');
    }
}

static void base64url_agrees_with_rfc_4648(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *text, *padded;
    } rows[] = {
        {"", "", ""},
        {"f", "Zg", "Zg=="},
        {"fo", "Zm8", "Zm8="},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg", "Zm9vYg=="},
        {"fooba", "Zm9vYmE", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "-_-_", "-_-_"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        str bytes;
        assert_true(str_eq(base64url_encode(&a, str_c(rows[i].bytes)), str_c(rows[i].text)));
        assert_int_equal(base64url_decode(&a, str_c(rows[i].text), &bytes), 0);
        assert_true(str_eq(bytes, str_c(rows[i].bytes)) && bytes.p);
        assert_int_equal(base64url_decode(&a, str_c(rows[i].padded), &bytes), 0);
        assert_true(str_eq(bytes, str_c(rows[i].bytes)));
    }
    assert_str(base64url_encode(&a, STR_NULL), "");
}

static void base64url_takes_one_text_per_value_only(void **state)
{
    (void)state;
    static const char *const broken[] = {
        "Z",   "Zm9vY", "Zg=",  "Zm8==", "Zg===",  "====",  "=",    "Zm9v====", "Z=g=",       "Zh",
        "Zm9", "Zm+v",  "Zm/v", "Zm 9v", "Zm9v\n", " Zm9v", "Zh==", "Zm9=",     "Zm\xc3\xa4",
    };
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        str bytes = STR("untouched");
        if (base64url_decode(&a, str_c(broken[i]), &bytes) != -EINVAL)
            fail_msg("\"%s\" was taken", broken[i]);
        assert_str(bytes, "untouched");
    }
}

static void percent_decodes_escapes_and_form_blanks(void **state)
{
    (void)state;
    str t;
    assert_int_equal(percent_decode(&a, STR("a%20b%2Fc%c3%A4"), false, &t), 0);
    assert_str(t, "a b/c\xc3\xa4");
    assert_int_equal(percent_decode(&a, STR("a+b%2B"), true, &t), 0);
    assert_str(t, "a b+");
    assert_int_equal(percent_decode(&a, STR("a+b%2B"), false, &t), 0);
    assert_str(t, "a+b+");
    assert_int_equal(percent_decode(&a, STR("%00"), false, &t), 0);
    assert_str(t, "\0");
    assert_int_equal(percent_decode(&a, STR("%2520"), false, &t), 0);
    assert_str(t, "%20"); /* once, not again */
    assert_int_equal(percent_decode(&a,
                                    STR("%"
                                        "41"),
                                    false, &t),
                     0);
    assert_str(t, "A");
}

static void plain_text_is_given_back_itself(void **state)
{
    (void)state;
    str plain = STR("plain+text"), t;
    assert_int_equal(percent_decode(&a, plain, false, &t), 0);
    assert_ptr_equal(t.p, plain.p);
    assert_int_equal(percent_decode(&a, STR_NULL, true, &t), 0);
    assert_null(t.p);
    assert_int_equal(a.total, 0);
}

static void broken_escapes_are_refused(void **state)
{
    (void)state;
    static const char *const broken[] = {"%", "%4", "a%", "a%4", "%g0", "%0g", "%%41", "% 1", "%+1", "%-1", "ok%4"};
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        str t = STR("untouched");
        assert_int_equal(percent_decode(&a, str_c(broken[i]), true, &t), -EINVAL);
        assert_str(t, "untouched");
    }
}

static void encoding_leaves_unreserved_characters_only(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    percent_encode(&b, STR("aZ09-._~ /?#%+&=\xc3\xa4\0"));
    assert_str(buf_view(&b), "aZ09-._~%20%2F%3F%23%25%2B%26%3D%C3%A4%00");
    buf_reset(&b);
    percent_encode_path(&b, STR("/a b/c%"));
    assert_str(buf_view(&b), "/a%20b/c%25");
    buf_done(&b);
}

static void every_byte_survives_both_encodings(void **state)
{
    (void)state;
    char all[256];
    for (size_t i = 0; i < 256; i++)
        all[i] = (char)i;
    for (size_t n = 0; n <= 256; n++) {
        str in = str_of(all, n), out;
        buf b = BUF_INIT;
        percent_encode(&b, in);
        assert_int_equal(percent_decode(&a, buf_view(&b), true, &out), 0);
        assert_true(str_eq(in, out));
        assert_int_equal(base64url_decode(&a, base64url_encode(&a, in), &out), 0);
        assert_true(str_eq(in, out));
        buf_done(&b);
        arena_reset(&a);
    }
}

static void out_of_memory_is_told(void **state)
{
    (void)state;
    str t;
    mem_fail_at(0);
    assert_null(base64url_encode(&a, STR("x")).p);
    mem_fail_at(0);
    assert_int_equal(base64url_decode(&a, STR("Zg"), &t), -ENOMEM);
    mem_fail_at(0);
    assert_int_equal(percent_decode(&a, STR("%41"), false, &t), -ENOMEM);
    mem_fail_at(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hex_goes_there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_hex_is_refused_and_writes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(base32_uses_crockfords_alphabet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(base64url_agrees_with_rfc_4648, set_up, tear_down),
        cmocka_unit_test_setup_teardown(base64url_takes_one_text_per_value_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(percent_decodes_escapes_and_form_blanks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_text_is_given_back_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_escapes_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(encoding_leaves_unreserved_characters_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_byte_survives_both_encodings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(out_of_memory_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
