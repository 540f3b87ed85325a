/* The search index while it changes: puts, removals, merges, loads, views. */
#include "search_fixture.h"

/* ---- changes ---- */
static void a_change_is_seen_by_the_next_query(void **state)
{
    fixture *f = *state;
    put(f, "1", "alpha");
    assert_found(f, "alpha", "1");
    put(f, "1", "beta");
    assert_found(f, "alpha", "");
    assert_found(f, "beta", "1");
    assert_int_equal(search_remove(f->s, STR("1")), 0);
    assert_found(f, "beta", "");
    assert_int_equal(search_remove(f->s, STR("1")), -ENOENT);
    assert_int_equal(search_measure(f->s).docs, 0);
}

/* n documents, "0" named <prefix>0 and so on. */
static void fill(fixture *f, int n, const char *prefix)
{
    for (int i = 0; i < n; i++) {
        char id[16], name[64];
        snprintf(id, sizeof(id), "%d", i);
        snprintf(name, sizeof(name), "%s%d", prefix, i);
        put(f, id, name);
    }
}

static void putting_what_is_there_changes_nothing(void **state)
{
    fixture *f = *state;
    fill(f, 700, "doc-");
    search_stats before = search_measure(f->s);
    fill(f, 700, "doc-");
    search_stats after = search_measure(f->s);
    assert_memory_equal(&before, &after, sizeof(before));
    search_doc other[] = {
        {.id = STR("5"), .name = STR("doc-5"), .type = 1},
        {.id = STR("699"), .name = STR("doc-699"), .project = 1},
        {.id = STR("6"), .name = STR("doc-6"), .updated_ms = 1},
    };
    for (size_t i = 0; i < COUNT_OF(other); i++) {
        assert_int_equal(search_put(f->s, &other[i]), 0);
        find(f, (search_query){.text = other[i].name, .order = SEARCH_BY_RELEVANCE, .limit = 1});
        assert_int_equal(f->page.hits[0].type, other[i].type);
        assert_int_equal(f->page.hits[0].project, other[i].project);
        assert_int_equal(f->page.hits[0].updated_ms, other[i].updated_ms);
    }
    assert_int_equal(search_measure(f->s).docs, 700);
}

static void merge(fixture *f)
{
    search_build *b = NULL;
    assert_int_equal(search_merge_begin(f->s, &b), 0);
    assert_int_equal(search_build_run(b), 0);
    assert_int_equal(search_build_end(b), 0);
    search_build_free(b);
}

static void segments_stay_few(void **state)
{
    fixture *f = *state;
    search_build *b = NULL;
    assert_int_equal(search_merge_begin(f->s, &b), -ENOENT);
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 100; i++) {
            char id[16], name[64];
            snprintf(id, sizeof(id), "%d/%d", round, i);
            snprintf(name, sizeof(name), "round-%d-%d", round, i);
            put(f, id, name);
        }
        while (search_merge_begin(f->s, &b) == 0) {
            assert_int_equal(search_build_run(b), 0);
            assert_int_equal(search_build_end(b), 0);
            search_build_free(b);
        }
        assert_true(search_measure(f->s).segments <= 5);
    }
    find(f, (search_query){.text = STR("round-")});
    assert_int_equal(f->page.total, 4000);
    find(f, (search_query){.text = STR("round-17-")});
    assert_int_equal(f->page.total, 100);
}

static void merging_drops_what_was_removed(void **state)
{
    fixture *f = *state;
    fill(f, 2000, "doc-");
    for (int i = 0; i < 2000; i++)
        if (i % 10 != 3) {
            char id[16];
            snprintf(id, sizeof(id), "%d", i);
            assert_int_equal(search_remove(f->s, str_c(id)), 0);
        }
    uint64_t before = search_measure(f->s).bytes;
    merge(f);
    search_stats after = search_measure(f->s);
    assert_int_equal(after.docs, 200);
    assert_true(after.bytes < before / 2);
    find(f, (search_query){.text = STR("doc-")});
    assert_int_equal(f->page.total, 200);
    assert_found(f, "doc-1003", "1003");
}

static void merging_away_the_last_document_leaves_no_segment(void **state)
{
    fixture *f = *state;
    fill(f, 257, "doc-");
    for (int i = 0; i < 257; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(search_remove(f->s, str_c(id)), 0);
    }
    merge(f);
    assert_int_equal(search_measure(f->s).segments, 0);
    assert_found(f, "doc", "");
}

static void changes_during_a_merge_outlive_it(void **state)
{
    fixture *f = *state;
    fill(f, 1200, "doc-");
    search_build *b = NULL, *other = NULL;
    assert_int_equal(search_merge_begin(f->s, &b), 0);
    assert_int_equal(search_merge_begin(f->s, &other), -EBUSY);
    assert_int_equal(search_remove(f->s, STR("5")), 0);
    put(f, "6", "changed-6");
    assert_int_equal(search_build_run(b), 0);
    assert_int_equal(search_remove(f->s, STR("7")), 0);
    put(f, "8", "changed-8");
    put(f, "8", "doc-8"); /* back again: must not be there twice */
    assert_int_equal(search_build_end(b), 0);
    search_build_free(b);
    assert_found(f, "doc-115", "115 1150 1151 1152 1153 1154 1155 1156 1157 1158 1159");
    assert_found(f, "changed", "6");
    find(f, (search_query){.text = STR("doc-")});
    assert_int_equal(f->page.total, 1197);
    find(f, (search_query){.text = STR("doc-8"), .limit = 1});
    assert_int_equal(f->page.total, 111);
    assert_str(f->page.hits[0].id, "8");
}

static void many_changes_are_carried_over_turn_by_turn(void **state)
{
    fixture *f = *state;
    fill(f, 3 * SEARCH_END_STEPS, "doc-");
    search_build *b = NULL;
    assert_int_equal(search_merge_begin(f->s, &b), 0);
    assert_int_equal(search_build_run(b), 0);
    fill(f, 3 * SEARCH_END_STEPS, "new-");
    assert_int_equal(search_build_end(b), -EAGAIN);
    find(f, (search_query){.text = STR("doc-")});
    assert_int_equal(f->page.total, 0);
    assert_int_equal(search_build_end(b), -EAGAIN);
    assert_int_equal(search_remove(f->s, STR("0")), 0);
    assert_int_equal(search_build_end(b), -EAGAIN);
    assert_int_equal(search_build_end(b), 0);
    search_build_free(b);
    find(f, (search_query){.text = STR("new-")});
    assert_int_equal(f->page.total, 3 * SEARCH_END_STEPS - 1);
    find(f, (search_query){.text = STR("doc-")});
    assert_int_equal(f->page.total, 0);
}

static void a_build_can_be_given_up_at_any_point(void **state)
{
    fixture *f = *state;
    search_build *b = NULL;
    assert_int_equal(search_load_begin(f->s, &b), 0);
    search_build_free(b);
    assert_int_equal(search_load_begin(f->s, &b), 0);
    assert_int_equal(search_load_add(b, &(search_doc){.id = STR("x"), .name = STR("lost")}), 0);
    assert_int_equal(search_build_run(b), 0);
    search_build_free(b);
    fill(f, 600, "doc-");
    assert_int_equal(search_merge_begin(f->s, &b), 0);
    search_build_free(b);
    assert_int_equal(search_merge_begin(f->s, &b), 0);
    assert_int_equal(search_build_run(b), 0);
    search_build_free(b);
    search_build_free(NULL);
    merge(f);
    find(f, (search_query){.text = STR("doc-")});
    assert_int_equal(f->page.total, 600);
    assert_found(f, "lost", "");
}

/* ---- loads ---- */
static void a_load_in_any_order_is_found_in_order(void **state)
{
    fixture *f = *state;
    search_build *b = NULL;
    assert_int_equal(search_load_begin(f->s, &b), 0);
    const char *const names[] = {"delta", "alpha", "Charlie", "bravo", "alpha"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        char id[2] = {(char)('5' - i), '\0'};
        assert_int_equal(search_load_add(b, &(search_doc){.id = str_c(id), .name = str_c(names[i])}), 0);
    }
    assert_int_equal(search_load_add(b, &(search_doc){.id = STR("6"), .name = STR("")}), -EINVAL);
    assert_int_equal(search_build_run(b), 0);
    assert_found(f, "alpha", "");
    assert_int_equal(search_build_end(b), 0);
    search_build_free(b);
    assert_found(f, "a", "1 4 3 2 5");
    assert_int_equal(search_load_begin(f->s, &b), -EBUSY);
}

static void changes_during_a_load_win_over_it(void **state)
{
    fixture *f = *state;
    search_build *b = NULL, *other = NULL;
    assert_int_equal(search_load_begin(f->s, &b), 0);
    assert_int_equal(search_load_begin(f->s, &other), -EBUSY);
    assert_int_equal(search_merge_begin(f->s, &other), -EBUSY);
    put(f, "1", "new-1");
    assert_int_equal(search_remove(f->s, STR("2")), -ENOENT);
    put(f, "3", "new-3");
    assert_int_equal(search_remove(f->s, STR("3")), 0);
    for (int i = 0; i < 5; i++) {
        char id[2] = {(char)('0' + i), '\0'};
        assert_int_equal(search_load_add(b, &(search_doc){.id = str_c(id), .name = STR("old")}), 0);
    }
    assert_found(f, "new-1", "1");
    assert_int_equal(search_build_run(b), 0);
    assert_int_equal(search_build_end(b), 0);
    search_build_free(b);
    assert_found(f, "old", "0 4");
    assert_found(f, "new", "1");
    put(f, "4", "new-4");
    assert_found(f, "old", "0");
}

static void an_id_loaded_twice_is_an_error(void **state)
{
    fixture *f = *state;
    search_build *b = NULL;
    assert_int_equal(search_load_begin(f->s, &b), 0);
    assert_int_equal(search_load_add(b, &(search_doc){.id = STR("1"), .name = STR("a")}), 0);
    assert_int_equal(search_load_add(b, &(search_doc){.id = STR("1"), .name = STR("b")}), 0);
    assert_int_equal(search_build_run(b), -EEXIST);
    search_build_free(b);
    put(f, "1", "a");
    assert_found(f, "a", "1");
}

/* ---- views ---- */
static void a_view_shows_what_was_there_when_it_was_made(void **state)
{
    fixture *f = *state;
    fill(f, 1000, "doc-");
    search_view *v = search_view_new(f->s);
    for (int i = 0; i < 1000; i += 2) {
        char id[16];
        snprintf(id, sizeof(id), "%d", i);
        assert_int_equal(search_remove(f->s, str_c(id)), 0);
    }
    merge(f);
    find(f, (search_query){.text = STR("doc-")});
    assert_int_equal(f->page.total, 500);
    search_free(f->s); /* which the view outlives */
    f->s = search_new();
    search_query q = {.text = STR("doc-"), .limit = 3};
    assert_int_equal(search_view_find(v, &q, &f->a, &f->page), 0);
    assert_int_equal(f->page.total, 1000);
    assert_str(f->page.hits[2].id, "10");
    search_view_free(v);
    search_view_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_seen_by_the_next_query),
        TEST(putting_what_is_there_changes_nothing),
        TEST(segments_stay_few),
        TEST(merging_drops_what_was_removed),
        TEST(merging_away_the_last_document_leaves_no_segment),
        TEST(changes_during_a_merge_outlive_it),
        TEST(many_changes_are_carried_over_turn_by_turn),
        TEST(a_build_can_be_given_up_at_any_point),
        TEST(a_load_in_any_order_is_found_in_order),
        TEST(changes_during_a_load_win_over_it),
        TEST(an_id_loaded_twice_is_an_error),
        TEST(a_view_shows_what_was_there_when_it_was_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
