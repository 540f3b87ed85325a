/* The search index: matching, scores, orders, filters, pages, limits, and what the loop is spared. */
#include "search_fixture.h"

/* ---- what matches ---- */
static void exact_before_prefix_before_contained(void **state)
{
    fixture *f = *state;
    put(f, "1", "a-docker");
    put(f, "2", "docker-compose");
    put(f, "3", "docker");
    put(f, "4", "rock");
    put(f, "5", "dock");
    assert_found(f, "docker", "3 2 1");
    assert_int_equal(f->page.hits[0].score, 100);
    assert_int_equal(f->page.hits[1].score, 80);
    assert_int_equal(f->page.hits[2].score, 60);
    assert_str(f->page.hits[1].name, "docker-compose");
    assert_found(f, "ock", "1 5 3 2 4");
    assert_found(f, "nothing", "");
}

static void equal_scores_come_by_name_then_id(void **state)
{
    fixture *f = *state;
    put(f, "z", "same");
    put(f, "b", "Same");
    put(f, "a", "same");
    put(f, "c", "SAME");
    assert_found(f, "same", "c b a z"); /* capitals are lower code points */
}

static void letter_case_makes_no_difference(void **state)
{
    fixture *f = *state;
    put(f, "ascii", "PDF-Tools");
    put(f, "german", "Straßenkarte");
    put(f, "greek", "ΟΔΥΣΣΕΥΣ");
    put(f, "cyrillic", "Код-Ревью");
    put(f, "accent", "ÉCOLE");
    assert_found(f, "pdf-tools", "ascii");
    assert_found(f, "PDF-TOOLS", "ascii");
    assert_found(f, "STRASSE", "german");
    assert_found(f, "straße", "german");
    assert_found(f, "οδυσσευς", "greek"); /* the final sigma folds like the others */
    assert_found(f, "КОД", "cyrillic");
    assert_found(f, "école", "accent");
    assert_found(f, "ecole", "");
}

static void names_come_back_as_they_were_put(void **state)
{
    fixture *f = *state;
    put(f, "1", "Straßenkarte");
    assert_found(f, "strassenkarte", "1");
    assert_str(f->page.hits[0].name, "Straßenkarte");
    assert_int_equal(f->page.hits[0].score, 100);
}

static void percent_underscore_and_the_like_are_ordinary(void **state)
{
    fixture *f = *state;
    put(f, "percent", "100%-done");
    put(f, "underscore", "a_b");
    put(f, "neither", "axb-100-done");
    put(f, "star", "a*b?[c]\\\"d");
    assert_found(f, "%", "percent");
    assert_found(f, "_", "underscore");
    assert_found(f, "a_b", "underscore");
    assert_found(f, "100%", "percent");
    assert_found(f, "%%", "");
    assert_found(f, "*b?[c]\\\"", "star");
}

static void bytes_that_are_no_utf8_match_themselves(void **state)
{
    fixture *f = *state;
    put(f, "1", "bad\xff\xc3name");
    put(f, "2", "Bad\xc3\xa9name");
    assert_found(f, "\xff\xc3n", "1");
    assert_found(f, "d\xc3\x89n", "2");
    assert_found(f, "\xc3", "2 1"); /* half a character: not a text, but no reason to fail */
}

static void a_name_can_hold_a_nul(void **state)
{
    fixture *f = *state;
    search_doc doc = {.id = STR("n"), .name = STR("ab\0cd")};
    assert_int_equal(search_put(f->s, &doc), 0);
    put(f, "p", "ab");
    find(f, (search_query){.text = STR("b\0c")});
    assert_int_equal(f->page.total, 1);
    assert_found(f, "ab", "p n");
}

static void texts_of_one_and_two_bytes_are_found_anywhere(void **state)
{
    fixture *f = *state;
    put(f, "1", "x");
    put(f, "2", "ax");
    put(f, "3", "xa");
    put(f, "4", "axa");
    put(f, "5", "aaaaxx");
    assert_found(f, "x", "1 3 5 2 4");
    assert_found(f, "ax", "2 4 5");
    assert_found(f, "xx", "5");
    assert_found(f, "xa", "3 4");
}

static void a_text_longer_than_any_name_finds_nothing(void **state)
{
    fixture *f = *state;
    char text[3 * SEARCH_NAME_MAX];
    memset(text, 'a', sizeof(text));
    search_doc doc = {.id = STR("1"), .name = str_of(text, SEARCH_NAME_MAX)};
    assert_int_equal(search_put(f->s, &doc), 0);
    find(f, (search_query){.text = str_of(text, sizeof(text))});
    assert_int_equal(f->page.total, 0);
    find(f, (search_query){.text = str_of(text, SEARCH_NAME_MAX)});
    assert_int_equal(f->page.total, 1);
    assert_int_equal(f->page.hits[0].score, 100);
    find(f, (search_query){.text = str_of(text, SEARCH_NAME_MAX - 1)});
    assert_int_equal(f->page.hits[0].score, 80);
}

static void folding_may_make_a_name_three_times_as_long(void **state)
{
    fixture *f = *state;
    char name[SEARCH_NAME_MAX];
    for (size_t i = 0; i + 2 <= sizeof(name); i += 2)
        memcpy(name + i, "\xce\x90", 2); /* U+0390: one letter, three code points when folded */
    search_doc doc = {.id = STR("1"), .name = str_of(name, sizeof(name))};
    assert_int_equal(search_put(f->s, &doc), 0);
    find(f, (search_query){.text = str_of(name, 40)});
    assert_int_equal(f->page.total, 1);
    assert_int_equal(f->page.hits[0].name.n, SEARCH_NAME_MAX);
    find(f, (search_query){.text = str_of(name, sizeof(name))});
    assert_int_equal(f->page.hits[0].score, 100);
}

/* ---- asking ---- */
static void an_empty_index_finds_nothing(void **state)
{
    fixture *f = *state;
    assert_found(f, "a", "");
    assert_found(f, "ab", "");
    assert_found(f, "abc", "");
    assert_found(f, "abcdefghijkl", "");
}

static void an_empty_text_is_refused(void **state)
{
    fixture *f = *state;
    put(f, "1", "a");
    assert_int_equal(search_find(f->s, &(search_query){.limit = 1}, &f->a, &f->page), -EINVAL);
}

static void what_is_beyond_the_limits_is_refused(void **state)
{
    fixture *f = *state;
    char text[SEARCH_NAME_MAX + 1];
    memset(text, 'a', sizeof(text));
    search_doc bad[] = {
        {.id = STR(""), .name = STR("n")},
        {.id = STR("i"), .name = STR("")},
        {.id = str_of(text, SEARCH_ID_MAX + 1), .name = STR("n")},
        {.id = STR("i"), .name = str_of(text, SEARCH_NAME_MAX + 1)},
        {.id = STR("i"), .name = STR("n"), .type = SEARCH_TYPES},
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(search_put(f->s, &bad[i]), -EINVAL);
    search_doc good = {.id = str_of(text, SEARCH_ID_MAX), .name = STR("n"), .type = SEARCH_TYPES - 1};
    assert_int_equal(search_put(f->s, &good), 0);
    assert_int_equal(search_remove(f->s, str_of(text, SEARCH_ID_MAX + 1)), -ENOENT);
    assert_int_equal(search_measure(f->s).docs, 1);
}

static void orders_and_filters_can_be_chosen(void **state)
{
    fixture *f = *state;
    const search_doc docs[] = {
        {STR("1"), STR("pdf"), 300, 7, 2},
        {STR("2"), STR("pdf-b"), 100, 7, 1},
        {STR("3"), STR("a-pdf"), 300, 8, 1},
        {STR("4"), STR("c-pdf"), 200, 0, 0},
    };
    for (size_t i = 0; i < COUNT_OF(docs); i++)
        assert_int_equal(search_put(f->s, &docs[i]), 0);
    const struct {
        search_order order;
        uint64_t types;
        uint64_t project;
        const char *ids;
    } cases[] = {
        {SEARCH_BY_RELEVANCE, 0, 0, "1234"}, {SEARCH_BY_NAME, 0, 0, "3412"}, {SEARCH_BY_TYPE, 0, 0, "4321"},
        {SEARCH_BY_UPDATED, 0, 0, "3142"},   {SEARCH_BY_NAME, 2, 0, "32"},   {SEARCH_BY_NAME, 5, 0, "41"},
        {SEARCH_BY_NAME, 0, 7, "12"},        {SEARCH_BY_TYPE, 6, 7, "21"},   {SEARCH_BY_UPDATED, 1, 7, ""},
        {SEARCH_BY_NAME, 0, 9, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        search_query q = {.text = STR("PDF"),
                          .order = cases[i].order,
                          .types = cases[i].types,
                          .project = cases[i].project};
        find(f, q);
        assert_int_equal(f->page.n, strlen(cases[i].ids));
        assert_int_equal(f->page.total, strlen(cases[i].ids));
        for (size_t j = 0; j < f->page.n; j++)
            assert_int_equal(f->page.hits[j].id.p[0], cases[i].ids[j]);
    }
}

static void pages_are_slices_of_the_whole(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 700; i++) {
        char id[16], name[32];
        snprintf(id, sizeof(id), "%03d", i);
        snprintf(name, sizeof(name), "%spage-%d", i % 7 < 3 ? "" : "one-", i % 50);
        search_doc doc = {str_c(id), str_c(name), i % 13, 0, (uint8_t)(i % 3)};
        assert_int_equal(search_put(f->s, &doc), 0);
    }
    for (int order = SEARCH_BY_RELEVANCE; order <= SEARCH_BY_UPDATED; order++) {
        char ids[700][4];
        find(f, (search_query){.text = STR("page"), .order = (search_order)order, .limit = 1000});
        assert_int_equal(f->page.n, 700);
        for (size_t i = 0; i < 700; i++)
            memcpy(ids[i], f->page.hits[i].id.p, 4);
        for (uint64_t skip = 0; skip < 710; skip += 37) {
            find(f, (search_query){
                        .text = STR("page"), .order = (search_order)order, .skip = skip, .limit = 37});
            assert_int_equal(f->page.total, 700);
            assert_int_equal(f->page.n, skip >= 700 ? 0 : 700 - skip < 37 ? 700 - skip : 37);
            for (size_t i = 0; i < f->page.n; i++)
                assert_string_equal(f->page.hits[i].id.p, ids[skip + i]);
        }
    }
    find(f, (search_query){.text = STR("page"), .skip = UINT64_MAX});
    assert_int_equal(f->page.n, 0);
    search_query none = {.text = STR("page"), .limit = 0};
    assert_int_equal(search_find(f->s, &none, &f->a, &f->page), 0);
    assert_int_equal(f->page.n, 0);
    assert_int_equal(f->page.total, 700);
}

/* ---- what it costs ---- */
static void the_loop_is_told_when_a_query_may_be_long(void **state)
{
    fixture *f = *state;
    search_build *b = NULL;
    assert_int_equal(search_load_begin(f->s, &b), 0);
    for (int i = 0; i < 150000; i++) {
        char id[16], name[32];
        snprintf(id, sizeof(id), "%d", i);
        snprintf(name, sizeof(name), "same-start-%05d", i);
        search_doc doc = {.id = str_c(id),
                          .name = i < 30000   ? str_c(name)
                                  : i < 50000 ? STR("few")
                                              : STR("crowd")};
        assert_int_equal(search_load_add(b, &doc), 0);
    }
    assert_int_equal(search_build_run(b), 0);
    assert_int_equal(search_build_end(b), 0);
    search_build_free(b);
    const struct {
        search_query q;
        int r;
    } cases[] = {
        {{.text = STR("same-start-01234")}, 0},
        {{.text = STR("few"), .skip = 19000}, 0},
        {{.text = STR("crowd")}, 0}, /* many documents, but one name */
        {{.text = STR("crowd"), .skip = 99000}, 0},
        {{.text = STR("same-start")}, -E2BIG},
        {{.text = STR("s")}, -E2BIG},
        {{.text = STR("st")}, -E2BIG},
        {{.text = STR("start")}, -E2BIG},
        {{.text = STR("few"), .types = 1}, 0},
        {{.text = STR("crowd"), .types = 1}, -E2BIG},
        {{.text = STR("few"), .order = SEARCH_BY_UPDATED}, 0},
        {{.text = STR("few"), .order = SEARCH_BY_UPDATED, .skip = 15000}, -E2BIG},
        {{.text = STR("crowd"), .order = SEARCH_BY_UPDATED}, -E2BIG},
        {{.text = STR("few"), .order = SEARCH_BY_TYPE}, 0},
        {{.text = STR("few"), .types = 1, .skip = 19000}, 0},
        {{.text = STR("crowd"), .order = SEARCH_BY_TYPE, .project = 1}, -E2BIG},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        search_query q = cases[i].q;
        q.limit = 1;
        assert_int_equal(search_find(f->s, &q, &f->a, &f->page), cases[i].r);
        find(f, q);
        assert_int_equal(f->page.n, q.project ? 0 : 1);
    }
}

static void names_that_are_dear_to_look_at_are_paid_for(void **state)
{
    fixture *f = *state;
    char name[SEARCH_NAME_MAX], text[61];
    memset(name, 'a', sizeof(name));
    name[sizeof(name) - 42] = 'c';
    name[sizeof(name) - 21] = 'b'; /* twenty a before and behind it */
    memset(text, 'a', sizeof(text));
    text[30] = 'b'; /* thirty: each piece of this is in all names, but not the whole */
    for (int i = 0; i < 300; i++) {
        char id[16];
        int n = snprintf(id, sizeof(id), "%d", i);
        memcpy(name, id, (size_t)n);
        search_doc doc = {.id = str_of(id, (size_t)n), .name = str_of(name, sizeof(name))};
        assert_int_equal(search_put(f->s, &doc), 0);
    }
    assert_true(search_measure(f->s).segments > 300 / 5); /* made into segments before they are many */
    search_query q = {.text = STR("aaaa"), .limit = 1};
    assert_int_equal(search_find(f->s, &q, &f->a, &f->page), 0); /* found at once in each */
    assert_int_equal(f->page.total, 300);
    q.text = str_of(text, sizeof(text)); /* compared at each place in each */
    assert_int_equal(search_find(f->s, &q, &f->a, &f->page), -E2BIG);
    find(f, q);
    assert_int_equal(f->page.total, 0);
}

static void a_query_without_memory_says_so(void **state)
{
    fixture *f = *state;
    for (int i = 0; i < 3000; i++) {
        char id[16], name[32];
        snprintf(id, sizeof(id), "%d", i);
        snprintf(name, sizeof(name), "some-name-%d", i);
        put(f, id, name);
    }
    search_view *v = search_view_new(f->s);
    const search_query queries[] = {
        {.text = STR("E"), .limit = 50},
        {.text = STR("-n"), .limit = 50, .skip = 2990},
        {.text = STR("some-name-"), .limit = 50, .order = SEARCH_BY_TYPE},
        {.text = STR("NAME"), .limit = 50, .order = SEARCH_BY_UPDATED, .skip = 1000},
    };
    for (size_t i = 0; i < COUNT_OF(queries); i++)
        for (long nth = 0; unit_next_fault(&nth);) {
            arena_done(&f->a);
            f->page.total = 0;
            int r = search_view_find(v, &queries[i], &f->a, &f->page);
            assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
            assert_int_equal(f->page.total, mem_failed() ? 0 : 3000);
        }
    search_view_free(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exact_before_prefix_before_contained),
        TEST(equal_scores_come_by_name_then_id),
        TEST(letter_case_makes_no_difference),
        TEST(names_come_back_as_they_were_put),
        TEST(percent_underscore_and_the_like_are_ordinary),
        TEST(bytes_that_are_no_utf8_match_themselves),
        TEST(a_name_can_hold_a_nul),
        TEST(texts_of_one_and_two_bytes_are_found_anywhere),
        TEST(a_text_longer_than_any_name_finds_nothing),
        TEST(folding_may_make_a_name_three_times_as_long),
        TEST(an_empty_index_finds_nothing),
        TEST(an_empty_text_is_refused),
        TEST(what_is_beyond_the_limits_is_refused),
        TEST(orders_and_filters_can_be_chosen),
        TEST(pages_are_slices_of_the_whole),
        TEST(the_loop_is_told_when_a_query_may_be_long),
        TEST(names_that_are_dear_to_look_at_are_paid_for),
        TEST(a_query_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
