/* emit: the pieces of JSON text, written into room that the caller has reserved. Each emit_x returns the
 * place behind what it wrote. Nothing here knows whether its piece is allowed where it stands: that is the
 * writer's part. */
#ifndef LARDER_JSON_EMIT_H
#define LARDER_JSON_EMIT_H

#include "larder/base.h"

#if defined(__SSE2__) && !defined(EMIT_PORTABLE)
#include <emmintrin.h>
#define EMIT_SSE2 1
#else
#define EMIT_SSE2 0
#endif

#define EMIT_INT_MAX 20 /* characters of the longest int64_t */

/* Room for n more bytes, without a call where there is enough; NULL when there is none: the buf knows why. */
static inline char *emit_room(buf *b, size_t n)
{
    return __builtin_expect(n < b->cap - b->n && b->err == 0, 1) ? b->p + b->n : buf_reserve(b, n);
}

static inline void emit_done(buf *b, const char *end)
{
    b->n = (size_t)(end - b->p);
}

/* memcpy for texts that are mostly short: the two ends overlap instead of counting bytes. */
static inline char *emit_copy(char *out, const char *p, size_t n)
{
    if (n > 32) {
        memcpy(out, p, n);
    } else if (n >= 16) {
        memcpy(out, p, 16);
        memcpy(out + n - 16, p + n - 16, 16);
    } else if (n >= 8) {
        memcpy(out, p, 8);
        memcpy(out + n - 8, p + n - 8, 8);
    } else if (n >= 4) {
        memcpy(out, p, 4);
        memcpy(out + n - 4, p + n - 4, 4);
    } else {
        for (size_t i = 0; i < n; i++)
            out[i] = p[i];
    }
    return out + n;
}

/* A plain byte stands in a JSON text as it is, and needs no look at its neighbours. */
static inline bool emit_is_plain(char c)
{
    return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

#if EMIT_SSE2
/* Bit i: byte i is not plain. Bytes from 0x80 on are negative, so one signed comparison finds them and the
 * controls. */
static inline unsigned emit_special(__m128i v)
{
    __m128i low = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));
    __m128i quote = _mm_cmpeq_epi8(v, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(v, _mm_set1_epi8('\\'));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, backslash)));
}

static inline __m128i emit_load16(const char *p)
{
    __m128i v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* The first and last 8 bytes of a text of 8 to 16, or the first and last 4 of one of 4 to 8 with blanks
 * behind them. */
static inline __m128i emit_load_ends(const char *p, size_t n)
{
    if (n >= 8) {
        int64_t ends[2];
        memcpy(&ends[0], p, 8);
        memcpy(&ends[1], p + n - 8, 8);
        return _mm_set_epi64x(ends[1], ends[0]);
    }
    int32_t ends[2];
    memcpy(&ends[0], p, 4);
    memcpy(&ends[1], p + n - 4, 4);
    return _mm_set_epi32(0x20202020, 0x20202020, ends[1], ends[0]);
}
#endif

/* Copies plain bytes until one is not, or all n are copied; returns how many. May write n bytes to `out`. */
static inline size_t emit_plain(char *out, const char *p, size_t n)
{
    size_t i = 0;
#if EMIT_SSE2
    if (n >= 16) {
        for (;;) {
            __m128i v = emit_load16(p + i);
            memcpy(out + i, &v, sizeof(v));
            unsigned special = emit_special(v);
            if (special)
                return i + (size_t)__builtin_ctz(special);
            i += 16;
            if (i == n)
                return n;
            if (n - i < 16)
                i = n - 16; /* the last step overlaps the one before */
        }
    }
    if (n >= 4 && emit_special(emit_load_ends(p, n)) == 0) {
        emit_copy(out, p, n);
        return n;
    }
#endif
    for (; i < n && emit_is_plain(p[i]); i++)
        out[i] = p[i];
    return i;
}

static inline size_t emit_digits_of(uint64_t u)
{
    /* clang-format off */
    static const uint64_t powers[] = {
        0, 10, 100, 1000, 10000, 100000, 1000000, 10000000,
        100000000, 1000000000, 10000000000, 100000000000, 1000000000000,
        10000000000000, 100000000000000, 1000000000000000, 10000000000000000,
        100000000000000000, 1000000000000000000, 10000000000000000000U,
    };
    /* clang-format on */
    size_t bits = 64 - (size_t)__builtin_clzll(u | 1);
    size_t guess = bits * 1233 >> 12; /* 1233 / 4096 is log10(2): right, or one too low */
    return guess + (u >= powers[guess]);
}

static inline char *emit_i64(char *out, int64_t v)
{
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (v < 0)
        *out++ = '-';
    char *end = out + emit_digits_of(u);
    char *at = end;
    for (; u >= 100; u /= 100) {
        at -= 2;
        memcpy(at, digit_pairs[u % 100], 2);
    }
    if (u >= 10)
        memcpy(at - 2, digit_pairs[u], 2);
    else
        at[-1] = (char)('0' + u);
    return end;
}

static inline char *emit_bool(char *out, bool v)
{
    return v ? emit_copy(out, "true", 4) : emit_copy(out, "false", 5);
}

static inline char *emit_null(char *out)
{
    return emit_copy(out, "null", 4);
}

#define EMIT_REAL_MAX 32
char *emit_real(char *out, double v); /* v is finite; at most EMIT_REAL_MAX bytes */
#define EMIT_TIME_MAX 24
char *emit_time(char *out, int64_t wall_ms); /* null for 0; at most EMIT_TIME_MAX bytes */

/* The rest of a text whose opening quote stands in the buffer already, closing quote included: the way for
 * texts with bytes that are not plain. */
void emit_text_rest(buf *b, str rest);

/* A text with its quotes, or null, at `out`, in the room that emit_room(b, s.n + 4) gave. Returns the place behind it,
 * in the buffer as it is then; NULL when a longer text found no memory. */
static inline char *emit_text_at(buf *b, char *out, str s)
{
    if (!s.p)
        return emit_null(out);
    *out++ = '"';
    size_t plain = emit_plain(out, s.p, s.n);
    out += plain;
    if (__builtin_expect(plain == s.n, 1)) {
        *out++ = '"';
        return out;
    }
    emit_done(b, out);
    emit_text_rest(b, str_from(s, plain));
    return emit_room(b, 0);
}

/* The byte `before`, then the text. */
void emit_text(buf *b, char before, str s);

#endif
