/* Slices: comparing, searching, cutting, numbers. Only arena_lower allocates. UTF-8 is in utf8.c. */
#include "larder/base.h"

static unsigned char lower(char c)
{
    unsigned char u = (unsigned char)c;
    return u >= 'A' && u <= 'Z' ? (unsigned char)(u | 0x20) : u;
}

int str_cmp(str a, str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int r = n > 0 ? memcmp(a.p, b.p, n) : 0;
    return r != 0 ? r : (a.n > b.n) - (a.n < b.n);
}

str arena_lower(arena *a, str s)
{
    char *p = s.p ? arena_cstr(a, s) : NULL;
    for (size_t i = 0; p && i < s.n; i++)
        p[i] = (char)lower(p[i]);
    return str_of(p, p ? s.n : 0);
}

bool str_eq_nocase(str a, str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != b.p[i] && lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool str_starts_nocase(str s, str prefix)
{
    return s.n >= prefix.n && str_eq_nocase(str_head(s, prefix.n), prefix);
}

bool str_ends_nocase(str s, str suffix)
{
    return s.n >= suffix.n && str_eq_nocase(str_from(s, s.n - suffix.n), suffix);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool str_has_control(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        const uint8_t c = (uint8_t)s.p[i];
        if (c < 0x20 || c == 0x7f || (c == 0xc2 && i + 1 < s.n && (uint8_t)s.p[i + 1] < 0xa0))
            return true;
    }
    return false;
}

str str_trim(str s)
{
    while (s.n > 0 && is_blank(s.p[0]))
        s = (str){s.p + 1, s.n - 1};
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

ptrdiff_t str_chr(str s, char c)
{
    const char *at = s.n > 0 ? memchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

ptrdiff_t str_rchr(str s, char c)
{
    const char *at = s.n > 0 ? memrchr(s.p, c, s.n) : NULL;
    return at ? at - s.p : -1;
}

str str_behind_last(str s, char c)
{
    return str_from(s, (size_t)(str_rchr(s, c) + 1));
}

ptrdiff_t str_find(str s, str needle)
{
    if (needle.n == 0)
        return 0;
    const char *at = s.n >= needle.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? at - s.p : -1;
}

bool str_cut(str *rest, char sep, str *ret_part)
{
    if (rest->n == 0)
        return false;
    ptrdiff_t at = str_chr(*rest, sep);
    size_t n = at < 0 ? rest->n : (size_t)at;
    *ret_part = str_head(*rest, n);
    *rest = str_from(*rest, n + 1);
    return true;
}

int str_to_i64(str s, int64_t *ret_value)
{
    bool negative = s.n > 0 && s.p[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == s.n)
        return -EINVAL;
    bool overflow = false;
    int64_t v = 0; /* counted downwards, where the range is larger by one */
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s.p[i] - '0', &v))
            overflow = true; /* the rest must still be digits */
    }
    if (overflow || (!negative && v == INT64_MIN))
        return -ERANGE;
    *ret_value = negative ? v : -v;
    return 0;
}
