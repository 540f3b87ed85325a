/* Texts for bytes: digits, hexadecimal, base32, base64url, percent-encoding. */
#include "larder/base.h"

/* clang-format off */
#define TEN(d) {d, '0'}, {d, '1'}, {d, '2'}, {d, '3'}, {d, '4'}, {d, '5'}, {d, '6'}, {d, '7'}, {d, '8'}, {d, '9'}
const char digit_pairs[100][2] = {
    TEN('0'), TEN('1'), TEN('2'), TEN('3'), TEN('4'), TEN('5'), TEN('6'), TEN('7'), TEN('8'), TEN('9'),
};

size_t decimal_write(uint64_t v, char out[DECIMAL_MAX])
{
    char digits[DECIMAL_MAX]; /* filled from the end */
    char *at = digits + sizeof(digits);
    for (; v >= 10; v /= 100)
        memcpy(at -= 2, digit_pairs[v % 100], 2);
    if (v > 0 || at == digits + sizeof(digits))
        *--at = (char)('0' + v);
    const size_t n = (size_t)(digits + sizeof(digits) - at);
    memcpy(out, at, n);
    return n;
}
#undef TEN
/* clang-format on */

static const char hex_digits[] = "0123456789abcdef";

void hex_encode(const void *p, size_t n, char *out)
{
    const unsigned char *in = p;
    for (size_t i = 0; i < n; i++) {
        *out++ = hex_digits[in[i] >> 4];
        *out++ = hex_digits[in[i] & 15];
    }
}

static int hex_value(char c)
{
    const unsigned digit = (unsigned)c - '0', letter = ((unsigned)c | 0x20) - 'a';

    return digit < 10 ? (int)digit : letter < 6 ? (int)letter + 10 : -1;
}

/* The byte of two digits, or -1. */
static int hex_pair(const char *p)
{
    int high = hex_value(p[0]), low = hex_value(p[1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

int hex_decode(str text, void *out, size_t n)
{
    if (text.n % 2 != 0 || text.n / 2 != n)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (hex_pair(text.p + 2 * i) < 0)
            return -EINVAL;
    unsigned char *bytes = out;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (unsigned char)hex_pair(text.p + 2 * i);
    return 0;
}

void base32_encode(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    const unsigned char *in = p;
    unsigned held = 0, bits = 0; /* the low `bits` of held are not written yet */
    for (size_t i = 0; i < n; i++) {
        held = held << 8 | in[i];
        for (bits += 8; bits >= 5; bits -= 5)
            *out++ = digits[held >> (bits - 5) & 31];
        held &= 31;
    }
    if (bits > 0)
        *out = digits[held << (5 - bits) & 31];
}

str base64url_encode(arena *a, str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    if (bytes.n > SIZE_MAX / 2)
        return STR_NULL;
    char *text = arena_alloc(a, bytes.n / 3 * 4 + 4);
    if (!text)
        return STR_NULL;
    const unsigned char *in = (const unsigned char *)bytes.p;
    char *out = text;
    unsigned held = 0, bits = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        held = held << 8 | in[i];
        for (bits += 8; bits >= 6; bits -= 6)
            *out++ = digits[held >> (bits - 6) & 63];
        held &= 63;
    }
    if (bits > 0)
        *out++ = digits[held << (6 - bits) & 63];
    return str_of(text, (size_t)(out - text));
}

static int base64url_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

int base64url_decode(arena *a, str text, str *ret_bytes)
{
    if (text.n % 4 == 0) /* padding is all or nothing */
        for (int i = 0; i < 2 && str_ends(text, STR("=")); i++)
            text.n--;
    if (text.n % 4 == 1)
        return -EINVAL;
    char *bytes = arena_alloc(a, text.n / 4 * 3 + 3);
    if (!bytes)
        return -ENOMEM;
    char *out = bytes;
    unsigned held = 0, bits = 0;
    for (size_t i = 0; i < text.n; i++) {
        int value = base64url_value(text.p[i]);
        if (value < 0)
            return -EINVAL;
        held = held << 6 | (unsigned)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (char)(held >> bits);
            held &= (1U << bits) - 1;
        }
    }
    if (held != 0) /* one value has one text: the bits that carry nothing are zero */
        return -EINVAL;
    *ret_bytes = str_of(bytes, (size_t)(out - bytes));
    return 0;
}

int percent_decode(arena *a, str text, bool plus_is_blank, str *ret_text)
{
    const char plus = plus_is_blank ? '+' : '%';
    size_t i = 0;

    while (i < text.n && text.p[i] != '%' && text.p[i] != plus)
        i++;
    if (i == text.n) {
        *ret_text = text;
        return 0;
    }
    char *decoded = arena_alloc(a, text.n);
    if (!decoded)
        return -ENOMEM;
    size_t n = i;
    memcpy(decoded, text.p, n);
    for (; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%') {
            int byte = text.n - i > 2 ? hex_pair(text.p + i + 1) : -1;
            if (byte < 0)
                return -EINVAL;
            c = (char)byte;
            i += 2;
        } else if (c == plus) {
            c = ' ';
        }
        decoded[n++] = c;
    }
    *ret_text = str_of(decoded, n);
    return 0;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static void percent_encode_but(buf *out, str text, char also_plain)
{
    static const char digits[] = "0123456789ABCDEF"; /* RFC 3986 prefers upper case here */
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (is_unreserved(c) || c == also_plain) {
            buf_char(out, c);
        } else {
            unsigned char byte = (unsigned char)c;
            char escape[3] = {'%', digits[byte >> 4], digits[byte & 15]};
            buf_put(out, escape, sizeof(escape));
        }
    }
}

void percent_encode(buf *out, str text)
{
    percent_encode_but(out, text, '-');
}

void percent_encode_path(buf *out, str path)
{
    percent_encode_but(out, path, '/');
}
