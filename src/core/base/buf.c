/* Growing byte strings. Room doubles, and one byte more than `cap` is always there, for a NUL; the first
 * error stays, and everything after it is a no-op. */
#include "larder/base.h"

#include <stdio.h>

#define BUF_FIRST ((size_t)256)

void buf_done(buf *b)
{
    if (!b)
        return;
    mem_free(b->p);
    *b = (buf){.max = b->max};
}

void buf_reset(buf *b)
{
    b->n = 0;
    b->err = 0;
}

static char *fail(buf *b, int err)
{
    b->err = err;
    return NULL;
}

char *buf_reserve(buf *b, size_t n)
{
    if (b->err != 0)
        return NULL;
    if (b->p && n <= b->cap - b->n)
        return b->p + b->n;
    size_t need;
    if (__builtin_add_overflow(b->n, n, &need))
        return fail(b, -ENOMEM);
    if (b->max > 0 && need > b->max)
        return fail(b, -EFBIG);

    size_t cap = b->cap > SIZE_MAX / 2 ? need : b->cap * 2;
    if (cap < BUF_FIRST)
        cap = BUF_FIRST;
    if (cap < need)
        cap = need;
    if (b->max > 0 && cap > b->max)
        cap = b->max;
    char *p = cap < SIZE_MAX ? mem_realloc(b->p, cap + 1) : NULL;
    if (!p)
        return fail(b, -ENOMEM);
    b->p = p;
    b->cap = cap;
    return p + b->n;
}

void buf_put_slow(buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    char *at = buf_reserve(b, n);
    if (!at)
        return;
    memcpy(at, p, n);
    b->n += n;
}

void buf_printf(buf *b, const char *fmt, ...)
{
    char first[256]; /* most texts fit, and are formatted once */
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(first, sizeof(first), fmt, args);
    va_end(args);
    if (n < 0) {
        if (b->err == 0)
            b->err = -EINVAL;
        return;
    }
    if ((size_t)n < sizeof(first)) {
        buf_put(b, first, (size_t)n);
        return;
    }
    char *at = buf_reserve(b, (size_t)n);
    if (!at)
        return;
    va_start(args, fmt);
    vsnprintf(at, (size_t)n + 1, fmt, args); /* its NUL goes to the spare byte */
    va_end(args);
    b->n += (size_t)n;
}

void buf_i64(buf *b, int64_t v)
{
    char digits[DECIMAL_MAX];
    if (v < 0)
        buf_char(b, '-');
    buf_put(b, digits, decimal_write(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, digits));
}
