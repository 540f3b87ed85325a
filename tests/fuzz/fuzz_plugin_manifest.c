/* Any bytes as a plugin's JSON manifest. */
#include "larder/frontmatter.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    arena_init(&a, 0);
    frontmatter f;
    if (frontmatter_parse_plugin(&a, str_of((const char *)p, n), &f) == 0) {
        REQUIRE(utf8_valid(f.name) && utf8_length(f.name) <= FRONTMATTER_WORD_MAX);
        REQUIRE(utf8_valid(f.description) && utf8_length(f.description) <= FRONTMATTER_DESCRIPTION_MAX);
        REQUIRE(f.tags.n <= FRONTMATTER_TAGS_MAX && !f.is_partial);
    }
    arena_done(&a);
    return 0;
}
