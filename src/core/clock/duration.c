/* Spans of time as people write them in a configuration. */
#include "larder/clock.h"

#include <stdio.h>

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

int duration_parse(str text, int64_t *ret_ms)
{
    size_t digits = 0;
    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    str unit = str_from(text, digits);
    int64_t factor = unit.n == 0 ? 1000 : 0;
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq(unit, str_c(units[i].name)))
            factor = units[i].ms;
    if (factor == 0)
        return -EINVAL;

    int64_t count, ms;
    int r = str_to_i64(str_head(text, digits), &count);
    if (r < 0)
        return r;
    if (__builtin_mul_overflow(count, factor, &ms))
        return -ERANGE;
    *ret_ms = ms;
    return 0;
}

void duration_format(int64_t ms, char out[DURATION_MAX])
{
    size_t i = 0;
    while (ms == 0 ? units[i].ms != 1000 : ms % units[i].ms != 0)
        i++;
    snprintf(out, DURATION_MAX, "%lld%s", (long long)(ms / units[i].ms), units[i].name);
}
