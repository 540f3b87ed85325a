/* A README as it is shown: a foreign file may hold anything. */
#include "service.h"

#define README_MAX 50000 /* characters */

int readme_text(arena *a, str raw, str *ret_text)
{
    const str clean = arena_utf8(a, raw.n ? str_head(raw, README_BYTES) : STR(""));

    if (!clean.p)
        return -ENOMEM;
    str text = utf8_head(clean, README_MAX);
    text = text.n < clean.n ? arena_printf(a, STR_FMT "\n... [truncated]", STR_ARG(text)) : arena_dup(a, text);
    if (!text.p)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}
