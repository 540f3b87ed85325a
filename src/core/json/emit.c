/* The slower pieces of JSON text: escapes, UTF-8, reals, times. */
#include "emit.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "larder/clock.h"

/* One byte below 0x80 that is not plain: at most 6 bytes. */
static char *emit_escape(char *out, unsigned char c)
{
    static const char letters[] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"', ['\\'] = '\\'};
    static const char hex[] = "0123456789abcdef";
    *out++ = '\\';
    if (c < sizeof(letters) && letters[c]) {
        *out++ = letters[c];
        return out;
    }
    out = emit_copy(out, "u00", 3);
    *out++ = hex[c >> 4];
    *out++ = hex[c & 15];
    return out;
}

/* The character s starts with, in UTF-8; U+FFFD for a byte that begins none. Returns how many bytes of s it
 * took. */
static size_t emit_wide(char **out, str s)
{
    size_t n = utf8_sequence(s);
    if (n == 0) {
        *out = emit_copy(*out, "\xef\xbf\xbd", 3);
        return 1;
    }
    *out = emit_copy(*out, s.p, n);
    return n;
}

void emit_text_rest(buf *b, str rest)
{
    while (rest.n > 0) {
        char *out = emit_room(b, rest.n + 6); /* the first byte may become six, the others stay for now */
        if (!out)
            return;
        size_t took = 1;
        if ((unsigned char)rest.p[0] < 0x80)
            out = emit_escape(out, (unsigned char)rest.p[0]);
        else
            took = emit_wide(&out, rest);
        rest = str_from(rest, took);
        size_t plain = emit_plain(out, rest.p, rest.n);
        rest = str_from(rest, plain);
        emit_done(b, out + plain);
    }
    buf_char(b, '"');
}

void emit_text(buf *b, char before, str s)
{
    char *out = emit_room(b, s.n + 5);
    if (!out)
        return;
    *out++ = before;
    out = emit_text_at(b, out, s);
    if (out)
        emit_done(b, out);
}

/* printf's %.Ng gives the nearest text of N digits. Every text of up to 15 digits survives the way into a
 * normal double and back, and 17 digits tell all doubles apart; subnormal ones carry fewer digits, so there
 * shorter texts are tried. */
static char *emit_digits(char *out, double v)
{
    char text[EMIT_REAL_MAX];
    int n = 0;
    for (int digits = fabs(v) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        n = snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    out = emit_copy(out, text, (size_t)n);
    return strpbrk(text, ".e") ? out : emit_copy(out, ".0", 2);
}

char *emit_real(char *out, double v)
{
    if (fabs(v) >= 1e15 || v != (double)(int64_t)v || v == 0) /* the last for the sign of -0.0 */
        return emit_digits(out, v);
    out = emit_i64(out, (int64_t)v);
    return emit_copy(out, ".0", 2);
}

char *emit_time(char *out, int64_t wall_ms)
{
    if (wall_ms == 0)
        return emit_null(out);
    out[0] = '"';
    rfc3339_format(wall_ms, out + 1);
    out[RFC3339_LEN + 1] = '"'; /* where its NUL stands */
    return out + RFC3339_LEN + 2;
}
