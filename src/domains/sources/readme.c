/* A README as it is shown: a foreign file may hold anything. */
#include "service.h"

#define README_MAX 50000 /* characters */

/* Valid UTF-8 from any bytes: what is none becomes U+FFFD. */
static size_t clean_utf8(str text, char *out)
{
    size_t n = 0;

    while (text.n) {
        const size_t k = utf8_sequence(text);
        memcpy(out + n, k ? text.p : "\xef\xbf\xbd", k ? k : 3);
        n += k ? k : 3;
        text = str_from(text, k ? k : 1);
    }
    return n;
}

int readme_text(arena *a, str raw, str *ret_text)
{
    const str beginning = str_head(raw, README_BYTES);
    char *clean = arena_alloc(a, beginning.n * 3 + 1);

    if (!clean)
        return -ENOMEM;
    const size_t n = clean_utf8(beginning, clean);
    str text = utf8_head(str_of(clean, n), README_MAX);
    if (text.n < n)
        text = arena_printf(a, STR_FMT "\n... [truncated]", STR_ARG(text));
    if (!text.p)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}
