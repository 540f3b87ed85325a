/* Any bytes as a file with frontmatter: every text that comes out is valid UTF-8 without control characters, within its
 * limit. */
#include "larder/frontmatter.h"

static void check_text(str s, size_t limit, bool keeps_lines)
{
    REQUIRE(!s.p || (s.n > 0 && utf8_valid(s) && utf8_length(s) <= limit));
    for (size_t i = 0; i < s.n; i++)
        REQUIRE((unsigned char)s.p[i] >= 0x20 || (keeps_lines && s.p[i] == '\n'));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    arena_init(&a, 0);
    frontmatter f;
    if (frontmatter_parse(&a, str_of((const char *)p, n), &f) == 0) {
        check_text(f.name, FRONTMATTER_WORD_MAX, false);
        check_text(f.title, FRONTMATTER_TITLE_MAX, false);
        check_text(f.description, FRONTMATTER_DESCRIPTION_MAX, true);
        check_text(f.version, FRONTMATTER_WORD_MAX, false);
        check_text(f.license, FRONTMATTER_WORD_MAX, false);
        check_text(f.type, FRONTMATTER_WORD_MAX, false);
        REQUIRE(f.tags.n <= FRONTMATTER_TAGS_MAX && (f.tags.v || f.tags.n == 0));
        for (size_t i = 0; i < f.tags.n; i++)
            check_text(f.tags.v[i], FRONTMATTER_TAG_LEN_MAX, false);
    }
    arena_done(&a);
    return 0;
}
