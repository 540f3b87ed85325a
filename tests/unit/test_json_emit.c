/* The pieces of JSON text, against plain loops: copying up to a byte that needs an escape, and integers.
 * Compiled a second time, by test_json_emit_portable.c, without vector instructions. */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/json/emit.h"

static size_t plain_bytes(const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && (unsigned char)p[i] >= 0x20 && (unsigned char)p[i] < 0x80 && p[i] != '"' && p[i] != '\\')
        i++;
    return i;
}

/* All lengths up to three vectors, each byte value at each place, in blocks of exactly that size: a sanitizer
 * sees a byte too many. */
static void plain_bytes_are_copied_up_to_the_first_other_one(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 48; n++) {
        char *text = mem_alloc(n), *out = mem_alloc(n);
        for (size_t at = 0; at < n; at++) {
            for (unsigned c = 0; c < 256; c++) {
                memset(text, 'x', n);
                text[at] = (char)c;
                text[n - 1 - (n - 1 - at) / 2] = (char)c; /* often a second one behind it */
                memset(out, 0, n);
                size_t copied = emit_plain(out, text, n);
                if (copied != plain_bytes(text, n) || memcmp(out, text, copied) != 0)
                    fail_msg("length %zu, byte %u at %zu: %zu copied", n, c, at, copied);
            }
        }
        assert_int_equal(emit_plain(out, memset(text, '~', n), n), n);
        mem_free(text);
        mem_free(out);
    }
}

static void short_copies_touch_only_their_bytes(void **state)
{
    (void)state;
    for (size_t n = 0; n <= 70; n++) {
        char *text = mem_alloc(n), *out = mem_alloc(n);
        for (size_t i = 0; i < n; i++)
            text[i] = (char)(i * 7 + 1);
        assert_ptr_equal(emit_copy(out, text, n), out + n);
        assert_memory_equal(out, text, n);
        mem_free(text);
        mem_free(out);
    }
}

static void check_integer(int64_t v)
{
    char wanted[32], out[EMIT_INT_MAX];
    int n = snprintf(wanted, sizeof(wanted), "%" PRId64, v);
    char *end = emit_i64(out, v);
    if (end - out != n || memcmp(out, wanted, (size_t)n) != 0)
        fail_msg("%s became %.*s", wanted, (int)(end - out), out);
}

static void integers_read_as_printf_writes_them(void **state)
{
    (void)state;
    for (int64_t power = 1;; power *= 10) {
        for (int64_t off = -11; off <= 11; off++) {
            check_integer(power + off);
            check_integer(-power - off);
        }
        if (power == INT64_C(1000000000000000000))
            break;
    }
    for (int64_t v = -1200; v <= 12000; v++)
        check_integer(v);
    check_integer(INT64_MAX);
    check_integer(INT64_MIN);
    check_integer(INT64_MIN + 1);
    random_seed_for_tests(7);
    for (int i = 0; i < 100000; i++)
        check_integer((int64_t)(random_u64() >> random_below(64)));
    random_seed_for_tests(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_bytes_are_copied_up_to_the_first_other_one),
        cmocka_unit_test(short_copies_touch_only_their_bytes),
        cmocka_unit_test(integers_read_as_printf_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
