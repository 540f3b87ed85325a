/* What a rescan counts: the same entries, however it came to know them. */
#include "shop.h"

#define ACME "src_acme_tools"
#define PATHS 12

static unsigned lines_with(str catalogue, const char *status)
{
    unsigned n = 0;
    str line;
    while (str_cut(&catalogue, '\n', &line))
        n += str_ends(line, str_c(status));
    return n;
}

/* What the counts must be, whatever happened. */
static void assert_counts(shop *w, const scan_result *r)
{
    arena a;
    arena_init(&a, 0);
    const str catalogue = shop_catalogue(w, &a, ACME);
    const source s = shop_source(w, &a, ACME);
    const unsigned live = lines_with(catalogue, " new") + lines_with(catalogue, " updated");
    const unsigned hidden = lines_with(catalogue, " excluded");
    assert_int_equal(r->artifacts_found, live);
    assert_int_equal(s.artifact_count, live);
    assert_int_equal(r->new_count + r->updated_count + r->unchanged_count, live);
    assert_int_equal(r->total_unique, live);
    assert_int_equal(r->duplicates_within_source, hidden);
    assert_int_equal(r->total_detected, live + hidden);
    arena_done(&a);
}

static void assert_nothing_changed(shop *w, const scan_result *before, bool not_modified)
{
    const scan_result r = shop_rescan(w, ACME);
    assert_counts(w, &r);
    assert_int_equal(r.not_modified, not_modified);
    assert_int_equal(r.unchanged_count, before->artifacts_found);
    assert_int_equal(r.new_count + r.updated_count + r.removed_count, 0);
    assert_int_equal(r.duplicates_within_source, before->duplicates_within_source);
}

/* Skills come, go, change, and are equal to one another. */
static void the_counts_of_any_rescan_add_up_to_the_live_entries(void **state)
{
    static const char *const texts[] = {"one", "two", "three"};
    (void)state;
    shop w;
    char path[60];
    int64_t live = 0;
    uint64_t hidden = 0;
    shop_open(&w);
    fake_repo *repo = fake_repo_new(&w.github, "acme", "tools");
    fake_put(repo, "skills/first/SKILL.md", "first");
    fake_commit(repo);
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/tools\"}"), 0);
    live = 1;
    for (int round = 0; round < 40; round++) {
        for (uint64_t i = random_below(4); i > 0; i--) {
            snprintf(path, sizeof(path), "skills/s%llu/SKILL.md", (unsigned long long)random_below(PATHS));
            if (random_below(3) > 0)
                fake_put(repo, path, texts[random_below(COUNT_OF(texts))]);
            else if (fake_find(repo, path))
                fake_remove(repo, path);
        }
        fake_commit(repo);
        const scan_result r = shop_rescan(&w, ACME);
        assert_false(r.not_modified);
        assert_counts(&w, &r);
        /* what was there and is neither gone nor hidden is there */
        assert_true(live - r.removed_count + r.new_count <= r.artifacts_found + r.duplicates_within_source);
        assert_true(live - r.removed_count + r.new_count + r.updated_count >= r.artifacts_found);
        hidden += (uint64_t)r.duplicates_within_source;
        live = r.artifacts_found;

        assert_nothing_changed(&w, &r, true);
        fake_commit(repo); /* another commit of the same files is read whole */
        assert_nothing_changed(&w, &r, false);
    }
    assert_true(hidden > 20); /* else nothing of it was tried */
    shop_close(&w);
}

static void an_entry_that_ends_hidden_counts_only_as_a_duplicate(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    fake_repo *repo = fake_repo_new(&w.github, "acme", "tools");
    fake_put(repo, "skills/one/SKILL.md", "1");
    fake_put(repo, "skills/other/SKILL.md", "2");
    fake_commit(repo);
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/tools\"}"), 0);
    fake_put(repo, "skills/other/SKILL.md", "1");
    fake_commit(repo);
    scan_result r = shop_rescan(&w, ACME);
    assert_int_equal(r.updated_count, 0);
    assert_int_equal(r.unchanged_count, 1);
    assert_int_equal(r.duplicates_within_source, 1);
    assert_int_equal(r.removed_count, 0); /* it is still found */

    fake_remove(repo, "skills/other/SKILL.md");
    fake_commit(repo);
    r = shop_rescan(&w, ACME);
    assert_int_equal(r.removed_count, 0); /* nobody saw it */
    assert_int_equal(r.unchanged_count, 1);
    shop_close(&w);
}

static void a_failed_rescan_tells_what_there_still_is(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    fake_repo *repo = fake_repo_new(&w.github, "acme", "tools");
    fake_put(repo, "skills/one/SKILL.md", "1");
    fake_commit(repo);
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/tools\"}"), 0);
    w.github.is_dead = true;
    const scan_result r = shop_rescan(&w, ACME);
    assert_str(r.status, "error");
    assert_int_equal(r.artifacts_found, 1);
    assert_int_equal(r.new_count + r.updated_count + r.removed_count + r.unchanged_count + r.total_detected, 0);
    shop_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counts_of_any_rescan_add_up_to_the_live_entries),
        cmocka_unit_test(an_entry_that_ends_hidden_counts_only_as_a_duplicate),
        cmocka_unit_test(a_failed_rescan_tells_what_there_still_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
