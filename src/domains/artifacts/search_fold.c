/* Folding of names and query texts. Most are ASCII without capitals and come back as they are. */
#include <utf8proc.h>

#include "search_segment.h"

#define FOLDED_MAX 4 /* code points that one folds to; Unicode has at most 3 */

static bool folds_to_itself(str text)
{
    unsigned found = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        found |= c >= 128 || (uint8_t)(c - 'A') < 26;
    }
    return found == 0;
}

static void fold_code_point(int32_t code, buf *out)
{
    int32_t folded[FOLDED_MAX];
    int boundclass = UTF8PROC_BOUNDCLASS_START;
    ptrdiff_t n = utf8proc_decompose_char(code, folded, FOLDED_MAX, UTF8PROC_CASEFOLD, &boundclass);
    for (ptrdiff_t i = 0; i < n && i < FOLDED_MAX; i++) {
        char *at = buf_reserve(out, 4);
        if (at)
            out->n += (size_t)utf8proc_encode_char(folded[i], (uint8_t *)at);
    }
}

str search_fold(str text, buf *scratch)
{
    if (folds_to_itself(text))
        return text;
    buf_reset(scratch);
    while (text.n > 0) {
        const uint8_t *at = (const uint8_t *)text.p;
        int32_t code = -1;
        ptrdiff_t n = at[0] < 128 ? 0 : utf8proc_iterate(at, (ptrdiff_t)text.n, &code);
        if (n > 0) {
            fold_code_point(code, scratch);
        } else { /* ASCII, or a byte that is no UTF-8 and stays what it is */
            n = 1;
            buf_char(scratch, (char)((uint8_t)(at[0] - 'A') < 26 ? at[0] + 32 : at[0]));
        }
        text = str_from(text, (size_t)n);
    }
    return scratch->err == 0 ? buf_view(scratch) : STR_NULL;
}
