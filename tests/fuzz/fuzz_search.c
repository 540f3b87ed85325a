/* Any bytes as names and as what is searched: the first line is the text, the others are names. The index
 * must find what looking into every folded name finds. */
#include "domains/artifacts/search_segment.h"

static bool folded_contains(str name, str folded_text)
{
    buf scratch = BUF_INIT;
    str folded = str_fold(name, &scratch);
    bool found = str_find(folded, folded_text) >= 0;
    REQUIRE(scratch.err == 0 && folded.n <= 3 * name.n);
    buf_done(&scratch);
    return found;
}

static void check(search *s, str text, uint64_t expected, uint64_t names)
{
    arena a;
    arena_init(&a, 0);
    for (int order = SEARCH_BY_RELEVANCE; order <= SEARCH_BY_UPDATED; order++) {
        search_page page = {0};
        search_query q = {.text = text, .order = (search_order)order, .skip = names / 4, .limit = names};
        REQUIRE(search_find(s, &q, &a, &page) == 0);
        REQUIRE(page.total == expected);
        REQUIRE(page.n == (expected > q.skip ? expected - q.skip : 0));
    }
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    str rest = str_of((const char *)p, n), text, name;
    if (!str_cut(&rest, '\n', &text) || text.n == 0)
        return 0;
    search *s = search_new();
    buf scratch = BUF_INIT;
    str folded = str_fold(text, &scratch);
    uint64_t names = 0, expected = 0;
    REQUIRE(s && folded.n > 0);
    while (names < 1000 && str_cut(&rest, '\n', &name)) {
        search_doc doc = {str_of((const char *)&names, sizeof(names)), name, (int64_t)name.n, 0, 0};
        bool valid = name.n > 0 && name.n <= SEARCH_NAME_MAX;
        REQUIRE(search_put(s, &doc) == (valid ? 0 : -EINVAL));
        expected += valid && folded_contains(name, folded);
        names += valid;
    }
    check(s, text, expected, names);
    search_free(s);
    buf_done(&scratch);
    return 0;
}
