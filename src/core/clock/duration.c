/* Spans of time as people write them in a configuration. */
#include "larder/clock.h"

#include <stdio.h>

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
#define UNIT_SHOWN_FIRST 1 /* days */
#define FRACTION_DIGITS 9

static size_t count_digits(str text)
{
    size_t n = 0;

    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9')
        n++;
    return n;
}

/* Cuts ".25"; in *ret_ms so much of the factor, whole milliseconds. */
static int cut_fraction(str *rest, int64_t factor, int64_t *ret_ms)
{
    const size_t n = count_digits(str_from(*rest, 1));
    int64_t digits = 0, scale = 1;

    for (size_t i = 0; i < n && i < FRACTION_DIGITS; i++) {
        digits = digits * 10 + (rest->p[1 + i] - '0');
        scale *= 10;
    }
    *rest = str_from(*rest, 1 + n);
    *ret_ms = digits * factor / scale;
    return n > 0 ? 0 : -EINVAL;
}

static int64_t factor_of(str unit)
{
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq(unit, str_c(units[i].name)))
            return units[i].ms;
    return 0;
}

/* Cuts "1.5d" off. */
static int cut_part(str *rest, int64_t *ret_ms)
{
    const str number = str_head(*rest, count_digits(*rest));
    str fraction = str_from(*rest, number.n), unit = fraction;
    int64_t count, more = 0;
    size_t n = 0;

    if (str_starts(fraction, STR(".")))
        unit = str_from(fraction, 1 + count_digits(str_from(fraction, 1)));
    while (n < unit.n && unit.p[n] >= 'a' && unit.p[n] <= 'z')
        n++;
    *rest = str_from(unit, n);
    const int64_t factor = factor_of(str_head(unit, n));
    int r = factor > 0 ? str_to_i64(number, &count) : -EINVAL;
    if (r == 0 && str_starts(fraction, STR(".")))
        r = cut_fraction(&fraction, factor, &more);
    if (r == 0 && (__builtin_mul_overflow(count, factor, ret_ms) || __builtin_add_overflow(*ret_ms, more, ret_ms)))
        r = -ERANGE;
    return r;
}

int duration_parse(str text, int64_t *ret_ms)
{
    int64_t ms = 0, part;
    int r = text.n > 0 ? 0 : -EINVAL;

    if (r == 0 && count_digits(text) == text.n) {
        r = str_to_i64(text, &part);
        if (r == 0 && __builtin_mul_overflow(part, 1000, &ms))
            r = -ERANGE;
        text = STR("");
    }
    while (r == 0 && text.n > 0) {
        r = cut_part(&text, &part);
        if (r == 0 && __builtin_add_overflow(ms, part, &ms))
            r = -ERANGE;
    }
    if (r == 0)
        *ret_ms = ms;
    return r;
}

void duration_format(int64_t ms, char out[DURATION_MAX])
{
    size_t i = UNIT_SHOWN_FIRST;
    while (ms == 0 ? units[i].ms != 1000 : ms % units[i].ms != 0)
        i++;
    snprintf(out, DURATION_MAX, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
}
