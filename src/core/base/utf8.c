/* UTF-8 by the table of RFC 3629, section 4. */
#include "larder/base.h"

/* Length of the well-formed sequence at p, with n > 0 bytes left; 0 when it is not one. */
static size_t sequence(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xBF; /* the second byte's bounds: these forbid overlong forms */
    size_t length;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xC2)
        return 0;
    if (p[0] < 0xE0) {
        length = 2;
    } else if (p[0] < 0xF0) {
        length = 3;
        low = p[0] == 0xE0 ? 0xA0 : 0x80;
        high = p[0] == 0xED ? 0x9F : 0xBF; /* no surrogates */
    } else if (p[0] < 0xF5) {
        length = 4;
        low = p[0] == 0xF0 ? 0x90 : 0x80;
        high = p[0] == 0xF4 ? 0x8F : 0xBF; /* nothing above U+10FFFF */
    } else {
        return 0;
    }
    if (n < length || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return length;
}

size_t utf8_sequence(str s)
{
    return s.n > 0 ? sequence((const unsigned char *)s.p, s.n) : 0;
}

bool utf8_valid(str s)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        uint64_t eight;
        while (s.n - i >= sizeof(eight)) { /* ASCII, eight at a time */
            memcpy(&eight, p + i, sizeof(eight));
            if (eight & UINT64_C(0x8080808080808080))
                break;
            i += sizeof(eight);
        }
        if (i == s.n)
            break;
        size_t length = sequence(p + i, s.n - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

static bool starts_code_point(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

size_t utf8_length(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += starts_code_point(s.p[i]);
    return n;
}

str utf8_head(str s, size_t code_points)
{
    for (size_t i = 0; i < s.n; i++)
        if (starts_code_point(s.p[i]) && code_points-- == 0)
            return str_head(s, i);
    return s;
}
