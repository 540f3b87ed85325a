/* Base's readers of foreign text: what they take must come back the same when it is written again. */
#include "larder/base.h"

static void check_percent(arena *a, str in, bool plus_is_blank)
{
    str decoded, again;
    if (percent_decode(a, in, plus_is_blank, &decoded) < 0)
        return;
    REQUIRE(decoded.n <= in.n);
    buf b = BUF_INIT;
    percent_encode(&b, decoded);
    REQUIRE(b.err == 0 && percent_decode(a, buf_view(&b), plus_is_blank, &again) == 0);
    REQUIRE(str_eq(decoded, again));
    buf_done(&b);
}

static void check_base64url(arena *a, str in)
{
    str bytes;
    REQUIRE(base64url_decode(a, base64url_encode(a, in), &bytes) == 0 && str_eq(bytes, in));
    if (base64url_decode(a, in, &bytes) < 0)
        return;
    while (str_ends(in, STR("=")))
        in.n--;
    REQUIRE(str_eq(base64url_encode(a, bytes), in));
}

static void check_hex(arena *a, str in)
{
    unsigned char *bytes = arena_alloc(a, in.n / 2);
    if (hex_decode(in, bytes, in.n / 2) < 0)
        return;
    char *text = arena_alloc(a, in.n);
    hex_encode(bytes, in.n / 2, text);
    REQUIRE(str_eq_nocase(str_of(text, in.n), in));
}

static void check_utf8(str in)
{
    size_t code_points = 0, n;
    str rest = in;
    for (; (n = utf8_sequence(rest)) > 0; code_points++)
        rest = str_from(rest, n);
    REQUIRE(utf8_valid(in) == (rest.n == 0));
    if (rest.n > 0)
        return;
    REQUIRE(utf8_length(in) == code_points);
    str half = utf8_head(in, code_points / 2);
    REQUIRE(utf8_valid(half) && utf8_length(half) == code_points / 2);
}

static void check_number(str in)
{
    int64_t value, again;
    if (str_to_i64(in, &value) < 0)
        return;
    buf b = BUF_INIT;
    buf_i64(&b, value);
    REQUIRE(b.n <= in.n || value == 0);
    REQUIRE(str_to_i64(buf_view(&b), &again) == 0 && again == value);
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    arena_init(&a, 0);
    char *copy = mem_alloc(n); /* in memory whose end is watched */
    REQUIRE(copy);
    if (n > 0)
        memcpy(copy, p, n);
    str in = str_of(copy, n);
    check_percent(&a, in, false);
    check_percent(&a, in, true);
    check_base64url(&a, in);
    check_hex(&a, in);
    check_utf8(in);
    check_number(in);
    mem_free(copy);
    arena_done(&a);
    return 0;
}
