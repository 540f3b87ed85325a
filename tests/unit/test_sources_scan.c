/* Scans, one after the other, as they go when nothing disturbs them, and when GitHub does. */
#include "shop.h"

#define ACME "src_acme_tools"
#define CREATE_ACME "{\"repo_url\":\"https://github.com/acme/tools\"}"

/* Two skills, a command, and a file that is nothing. */
static fake_repo *stock(shop *w, const char *owner, const char *name)
{
    fake_repo *r = fake_repo_new(&w->github, owner, name);
    r->description = "All the tools";
    r->license = "MIT";
    r->topic = "tools";
    fake_put(r, "skills/pdf/SKILL.md",
             "---\nname: pdf\ntitle: Portable\ndescription: Reads them\nversion: 1.2\ntags: [a, b]\n---\n");
    fake_put(r, "skills/xls/SKILL.md", "---\nname: xls\ndescription: Sheets\nlicense: Apache-2.0\n---\n");
    fake_put(r, "commands/deploy.md", "# Deploy\n");
    fake_put(r, "docs/notes.txt", "nothing\n");
    fake_commit(r);
    return r;
}

static void a_new_source_is_scanned_and_all_is_known_of_it(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    errand e;
    errand_create(&e, &w, CREATE_ACME);
    assert_int_equal(errand_wait(&e), 0);
    assert_str(e.task.ret_id, ACME);
    assert_status(&w, ACME, "scanning");
    errand_end(&e);
    shop_settle(&w);

    source s = shop_source(&w, &a, ACME);
    assert_str(s.scan_status, "success");
    assert_int_equal(s.artifact_count, 3);
    assert_int_equal(s.new_artifact_count, 3);
    assert_int_equal(s.updated_artifact_count, 0);
    assert_int_equal(s.counts_by_type.n, 2);
    assert_str(s.counts_by_type.v[0].name, "command");
    assert_int_equal(s.counts_by_type.v[0].n, 1);
    assert_str(s.counts_by_type.v[1].name, "skill");
    assert_int_equal(s.counts_by_type.v[1].n, 2);
    assert_int_equal(s.last_sync_at, SHOP_NOW);
    assert_null(s.last_error.p);
    assert_str(s.visibility, "public");
    assert_str(s.license, "MIT");
    assert_str(s.topics.v[0], "tools");
    assert_null(s.repo_description.p); /* not asked for */
    assert_null(s.artifacts_root.p);
    assert_true(str_eq(s.last_indexed_tree_sha, str_c(r->sha)));
    assert_in_range(s.next_scan_at, SHOP_NOW + SHOP_INTERVAL * 9 / 10, SHOP_NOW + SHOP_INTERVAL * 11 / 10);
    assert_catalogue(&w, ACME,
                     "command deploy commands/deploy.md new\n"
                     "skill pdf skills/pdf new\n"
                     "skill xls skills/xls new\n");
    assert_int_equal(w.github.asked_in_all, 4); /* repository, commit, tree, archive */
    assert_int_equal(w.n_shown, 3);
    assert_shown_is_stored(&w);
    assert_int_equal(sources_stats_of(w.sources)->succeeded, 1);
    arena_done(&a);
    shop_close(&w);
}

static entry the_entry(shop *w, arena *a, const char *source_id, const char *name)
{
    const entry_filter f = {.max_confidence = 100, .search = str_c(name), .include_excluded = true};
    entry_page page;
    store_view *v = store_read_begin(w->store);
    assert_int_equal(entries_list(v, a, str_c(source_id), &f, ENTRY_SORT_NAME, false, STR_NULL, 10, &page), 0);
    assert_int_equal(page.n, 1);
    buf b = BUF_INIT;
    entry e = {0};
    record_encode(&entry_schema, &page.items[0], &b);
    assert_int_equal(record_decode(&entry_schema, a, arena_dup(a, buf_view(&b)), &e), 0);
    buf_done(&b);
    store_read_end(v);
    return e;
}

static void an_entry_tells_what_its_frontmatter_and_the_repository_say(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    entry pdf = the_entry(&w, &a, ACME, "pdf"), xls = the_entry(&w, &a, ACME, "xls");
    assert_str(pdf.title, "Portable");
    assert_str(pdf.description, "Reads them");
    assert_str(pdf.detected_version, "1.2");
    assert_int_equal(pdf.tags.n, 2);
    assert_str(pdf.license, "MIT");
    assert_str(xls.license, "Apache-2.0");
    assert_str(pdf.upstream_url, "https://github.com/acme/tools/tree/main/skills/pdf");
    assert_true(str_eq(pdf.detected_sha, str_c(r->sha)));
    assert_int_equal(pdf.content_hash.n, 64);
    assert_int_equal(pdf.detected_at, SHOP_NOW);

    fake_put(r, "mcp/one/server.json",
             "{\"name\":\"io.acme/one\",\"description\":\"Serves one\",\"version\":\"0.3.0\"}");
    fake_put(r, "mcp/one/main.py", "");
    fake_commit(r);
    assert_int_equal(shop_rescan(&w, ACME).new_count, 1);
    entry one = the_entry(&w, &a, ACME, "one"); /* a server's manifest is JSON */
    assert_str(one.artifact_type, "mcp");
    assert_str(one.description, "Serves one");
    assert_str(one.detected_version, "0.3.0");
    arena_done(&a);
    shop_close(&w);
}

static void what_has_changed_is_told_exactly(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    fake_put(r, "skills/pdf/SKILL.md", "---\nname: pdf\ndescription: Reads and writes\n---\n");
    fake_put(r, "skills/csv/SKILL.md", "---\nname: csv\n---\n");
    fake_remove(r, "commands/deploy.md");
    fake_commit(r);
    fake_clk_advance(&w.clock, HOURS(1));

    scan_result found = shop_rescan(&w, ACME);
    assert_int_equal(found.new_count, 1);
    assert_int_equal(found.updated_count, 1);
    assert_int_equal(found.removed_count, 1);
    assert_int_equal(found.unchanged_count, 1);
    assert_int_equal(found.artifacts_found, 3);
    assert_false(found.not_modified);
    assert_catalogue(&w, ACME,
                     "command deploy commands/deploy.md removed\n"
                     "skill csv skills/csv new\n"
                     "skill pdf skills/pdf updated\n"
                     "skill xls skills/xls new\n");
    entry pdf = the_entry(&w, &a, ACME, "pdf"), xls = the_entry(&w, &a, ACME, "xls");
    assert_int_equal(pdf.updated_at, SHOP_NOW + HOURS(1));
    assert_int_equal(pdf.created_at, SHOP_NOW);
    assert_int_equal(xls.updated_at, SHOP_NOW);     /* nothing was written */
    assert_int_equal(w.github.asked_in_all, 4 + 3); /* commit, tree, archive */
    assert_shown_is_stored(&w);

    fake_put(r, "commands/deploy.md", "# Deploy\n"); /* as it was */
    fake_commit(r);
    found = shop_rescan(&w, ACME);
    assert_int_equal(found.updated_count, 1);
    assert_int_equal(found.new_count + found.removed_count, 0);
    assert_int_equal(found.unchanged_count, 3);
    source s = shop_source(&w, &a, ACME);
    assert_int_equal(s.artifact_count, 4);
    assert_int_equal(s.new_artifact_count, 2);
    assert_int_equal(s.updated_artifact_count, 2);
    assert_shown_is_stored(&w);
    arena_done(&a);
    shop_close(&w);
}

static void an_unchanged_commit_costs_one_question(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    for (unsigned i = 1; i <= 3; i++) {
        scan_result found = shop_rescan(&w, ACME);
        assert_true(found.not_modified);
        assert_int_equal(found.unchanged_count, 3);
        assert_int_equal(found.artifacts_found, 3);
        assert_int_equal(w.github.asked_in_all, 4 + i);
        assert_int_equal(w.github.not_modified, i);
    }
    shop_restart(&w); /* the validator is stored */
    assert_true(shop_rescan(&w, ACME).not_modified);
    assert_int_equal(w.github.not_modified, 4);
    assert_int_equal(sources_stats_of(w.sources)->unchanged, 1);

    fake_commit(r); /* another commit of the same files */
    scan_result found = shop_rescan(&w, ACME);
    assert_false(found.not_modified);
    assert_int_equal(found.unchanged_count, 3);
    shop_close(&w);
}

static void other_settings_make_a_whole_scan(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_int_equal(shop_change(&w, ACME, "{\"root_hint\":\"skills\"}"), 0);
    assert_int_equal(w.github.asked_in_all, 4); /* a change does not scan */
    scan_result found = shop_rescan(&w, ACME);
    assert_false(found.not_modified);
    assert_int_equal(found.removed_count, 1);
    assert_true(shop_rescan(&w, ACME).not_modified);
    assert_int_equal(shop_change(&w, ACME, "{\"notes\":\"n\"}"), 0); /* which finds nothing else */
    assert_true(shop_rescan(&w, ACME).not_modified);
    shop_close(&w);
}

static void another_credential_does_not_use_the_validator(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/tools\",\"access_token\":\"secret-1\"}"),
                     0);
    assert_string_equal(w.github.last_token, "secret-1");
    assert_true(shop_rescan(&w, ACME).not_modified); /* by the commit's name: one question, but a dear one */
    assert_string_equal(w.github.last_token, "");
    assert_int_equal(w.github.not_modified, 0);
    assert_true(shop_rescan(&w, ACME).not_modified);
    assert_int_equal(w.github.not_modified, 1);
    shop_close(&w);
}

static void a_failed_scan_keeps_the_catalogue(void **state)
{
    static const int kinds[] = {ASK_COMMIT, ASK_TREE, ASK_ARCHIVE};
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    fake_put(r, "skills/new/SKILL.md", "x");
    fake_commit(r);
    for (size_t i = 0; i <= COUNT_OF(kinds); i++) {
        fake_clk_advance(&w.clock, MINUTES(1));
        if (i < COUNT_OF(kinds)) {
            w.github.fail_kind = kinds[i];
            w.github.fail_times = 1;
            w.github.fail_result = i == 1 ? GITHUB_NOT_FOUND : GITHUB_FAILED;
        } else {
            w.github.cut_archives = true;
        }
        scan_result found = shop_rescan(&w, ACME);
        assert_str(found.status, "error");
        assert_int_equal(found.errors.n, 1);
        source s = shop_source(&w, &a, ACME);
        assert_str(s.scan_status, "error");
        assert_true(s.last_error.n > 10);
        assert_int_equal(s.artifact_count, 3);
        assert_int_equal(s.last_sync_at, SHOP_NOW);
        assert_true(s.next_scan_at > s.updated_at);
        assert_catalogue(&w, ACME,
                         "command deploy commands/deploy.md new\n"
                         "skill pdf skills/pdf new\n"
                         "skill xls skills/xls new\n");
    }
    w.github.cut_archives = false;
    assert_int_equal(shop_rescan(&w, ACME).new_count, 1);
    assert_int_equal(sources_stats_of(w.sources)->failed, 4);
    assert_shown_is_stored(&w);
    arena_done(&a);
    shop_close(&w);
}

static void a_repository_that_is_not_there_is_an_error_in_words(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_str(shop_source(&w, &a, ACME).last_error,
               "GitHub: repository not found, or not visible without a token that may read it");
    fake_repo *r = stock(&w, "acme", "tools");
    assert_str(shop_rescan(&w, ACME).status, "success");
    assert_int_equal(shop_change(&w, ACME, "{\"ref\":\"gone\"}"), 0);
    assert_str(shop_rescan(&w, ACME).status, "error");
    assert_str(shop_source(&w, &a, ACME).last_error, "GitHub: ref 'gone' not found in acme/tools");
    assert_int_equal(r->asked[ASK_TREE], 1);
    arena_done(&a);
    shop_close(&w);
}

static void the_default_branch_is_taken_where_no_ref_was_named(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    snprintf(r->branch, sizeof(r->branch), "trunk");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_str(shop_source(&w, &a, ACME).ref, "trunk");
    assert_int_equal(w.github.asked_in_all, 4); /* repository, commit, commit, archive */
    assert_true(shop_rescan(&w, ACME).not_modified);
    assert_int_equal(w.github.asked_in_all, 5);

    snprintf(r->branch, sizeof(r->branch), "main"); /* renamed later */
    scan_result found = shop_rescan(&w, ACME);
    assert_str(found.status, "success");
    assert_str(shop_source(&w, &a, ACME).ref, "main");
    assert_true(shop_rescan(&w, ACME).not_modified);

    snprintf(r->branch, sizeof(r->branch), "x/../../../../user"); /* what no branch can be called is not followed */
    assert_str(shop_rescan(&w, ACME).status, "error");
    arena_done(&a);
    shop_close(&w);
}

static void a_tree_too_long_to_be_told_is_read_from_the_archive(void **state)
{
    (void)state;
    shop w;
    arena a, b;
    shop_open(&w);
    arena_init(&a, 0);
    arena_init(&b, 0);
    stock(&w, "acme", "tools");
    fake_repo *cut = stock(&w, "acme", "long");
    cut->truncated = true;
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/long\"}"), 0);
    assert_true(str_eq(shop_catalogue(&w, &a, ACME), shop_catalogue(&w, &a, "src_acme_long")));
    entry one = the_entry(&w, &a, ACME, "pdf"), other = the_entry(&w, &b, "src_acme_long", "pdf");
    assert_true(str_eq(one.content_hash, other.content_hash)); /* the same blobs by both ways */
    assert_str(other.title, "Portable");

    w.options.max_entries = 3;
    sources_configure(w.sources, &w.options);
    fake_commit(cut);
    errand e;
    errand_rescan(&e, &w, "src_acme_long");
    e.waits = true;
    errand_wait(&e);
    peer_run_until(w.loop, e.ended);
    assert_string_equal(e.error, "1 files left out: there are more than sources.max_entries allows");
    e.waits = false;
    errand_end(&e);
    arena_done(&a);
    arena_done(&b);
    shop_close(&w);
}

static void a_renamed_repository_is_asked_under_its_new_name(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    r->renamed = "gear";
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_int_equal(shop_source(&w, &a, ACME).artifact_count, 3);
    assert_str(shop_source(&w, &a, ACME).repo_name, "tools");
    arena_done(&a);
    shop_close(&w);
}

static void description_and_readme_are_taken_over_when_asked_for(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    fake_put(r, "README.md", "# Tools\n");
    fake_commit(r);
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/tools\",\"import_repo_description\":true,"
                                     "\"import_repo_readme\":true}"),
                     0);
    source s = shop_source(&w, &a, ACME);
    assert_str(s.repo_description, "All the tools");
    assert_str(s.repo_readme, "# Tools\n");
    assert_int_equal(w.github.asked_in_all, 4);

    r->description = "Better tools";
    r->readme = "# Better\n";
    r->topic = "better";
    assert_int_equal(shop_change(&w, ACME, "{\"import_repo_description\":true,\"import_repo_readme\":true}"), 0);
    s = shop_source(&w, &a, ACME);
    assert_str(s.repo_description, "Better tools");
    assert_str(s.repo_readme, "# Better\n");
    assert_str(s.topics.v[0], "better");
    assert_int_equal(w.github.asked_in_all, 6);

    w.github.is_dead = true; /* what GitHub does not tell stays as it is, and the rest is changed */
    assert_int_equal(shop_change(&w, ACME, "{\"import_repo_description\":true,\"notes\":\"n\"}"), 0);
    s = shop_source(&w, &a, ACME);
    assert_str(s.repo_description, "Better tools");
    assert_str(s.notes, "n");
    arena_done(&a);
    shop_close(&w);
}

static void equal_artifacts_are_excluded_and_come_back(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    fake_put(r, "more/skills/pdf/SKILL.md", fake_find(r, "skills/pdf/SKILL.md")->text);
    fake_commit(r);
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_catalogue(&w, ACME,
                     "command deploy commands/deploy.md new\n"
                     "skill pdf more/skills/pdf excluded\n"
                     "skill pdf skills/pdf new\n"
                     "skill xls skills/xls new\n");
    assert_int_equal(shop_source(&w, &a, ACME).artifact_count, 3);
    assert_shown_is_stored(&w);

    fake_put(r, "skills/pdf/SKILL.md", "another");
    fake_commit(r);
    scan_result found = shop_rescan(&w, ACME);
    assert_int_equal(found.updated_count, 2);
    assert_int_equal(found.duplicates_within_source, 0);
    assert_catalogue(&w, ACME,
                     "command deploy commands/deploy.md new\n"
                     "skill pdf more/skills/pdf updated\n"
                     "skill pdf skills/pdf updated\n"
                     "skill xls skills/xls new\n");
    assert_int_equal(shop_source(&w, &a, ACME).artifact_count, 4);
    assert_shown_is_stored(&w);

    fake_put(r, "skills/pdf/SKILL.md", fake_find(r, "more/skills/pdf/SKILL.md")->text);
    fake_commit(r);
    found = shop_rescan(&w, ACME);
    assert_int_equal(found.duplicates_within_source, 1);
    assert_int_equal(found.total_unique, 3);
    assert_int_equal(shop_source(&w, &a, ACME).artifact_count, 3);
    assert_shown_is_stored(&w);
    arena_done(&a);
    shop_close(&w);
}

static void removed_entries_are_forgotten_after_a_month(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    fake_remove(r, "commands/deploy.md");
    fake_commit(r);
    assert_int_equal(shop_rescan(&w, ACME).removed_count, 1);
    w.clock.wall_ms += HOURS(24) * 29;
    fake_commit(r);
    assert_int_equal(shop_rescan(&w, ACME).removed_count, 0);
    assert_catalogue(&w, ACME,
                     "command deploy commands/deploy.md removed\n"
                     "skill pdf skills/pdf new\n"
                     "skill xls skills/xls new\n");
    w.clock.wall_ms += HOURS(24) * 2;
    fake_commit(r);
    assert_int_equal(shop_rescan(&w, ACME).removed_count, 0);
    assert_catalogue(&w, ACME,
                     "skill pdf skills/pdf new\n"
                     "skill xls skills/xls new\n");
    shop_close(&w);
}

static void a_source_that_is_not_indexed_is_not_shown(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    fake_repo *r = stock(&w, "acme", "tools");
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/acme/tools\",\"indexing_enabled\":false}"), 0);
    assert_int_equal(w.n_shown, 0);
    assert_shown_is_stored(&w);
    assert_int_equal(shop_change(&w, ACME, "{\"indexing_enabled\":true}"), 0);
    assert_int_equal(w.reindexed, 1);
    assert_int_equal(w.n_shown, 3);

    /* Switched off while a scan is under way: what it then tells is told as it is now. */
    fake_put(r, "skills/new/SKILL.md", "x");
    fake_commit(r);
    w.github.hold = ASK_ARCHIVE;
    errand e;
    errand_rescan(&e, &w, ACME);
    errand_wait(&e);
    errand_end(&e);
    peer_run_until(w.loop, fake_holds(&w.github));
    assert_int_equal(shop_change(&w, ACME, "{\"indexing_enabled\":false}"), 0);
    fake_release(&w.github);
    shop_settle(&w);
    assert_status(&w, ACME, "success");
    assert_int_equal(w.n_shown, 0);
    assert_shown_is_stored(&w);
    shop_close(&w);
}

static void a_large_archive_is_held_back_and_read(void **state)
{
    (void)state;
    shop w;
    arena a;
    shop_open(&w);
    arena_init(&a, 0);
    fake_repo *r = stock(&w, "acme", "tools");
    char *noise = calloc(1, 300001), path[40];
    assert_non_null(noise);
    for (int i = 0; i < 20; i++) { /* 6 MB that don't compress */
        for (size_t k = 0; k < 300000; k++)
            noise[k] = (char)(1 + random_below(255));
        snprintf(path, sizeof(path), "data/%d.bin", i);
        fake_put(r, path, noise);
    }
    free(noise);
    fake_put(r, "skills/zip/SKILL.md", "---\nname: zip\ntitle: The last\n---\n");
    fake_commit(r);
    w.github.piece = 1500000; /* more than is let gather */
    assert_int_equal(shop_create(&w, CREATE_ACME), 0);
    assert_str(the_entry(&w, &a, ACME, "zip").title, "The last");
    assert_true(w.github.paused > 0);
    arena_done(&a);
    shop_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_source_is_scanned_and_all_is_known_of_it),
        cmocka_unit_test(an_entry_tells_what_its_frontmatter_and_the_repository_say),
        cmocka_unit_test(what_has_changed_is_told_exactly),
        cmocka_unit_test(an_unchanged_commit_costs_one_question),
        cmocka_unit_test(other_settings_make_a_whole_scan),
        cmocka_unit_test(another_credential_does_not_use_the_validator),
        cmocka_unit_test(a_failed_scan_keeps_the_catalogue),
        cmocka_unit_test(a_repository_that_is_not_there_is_an_error_in_words),
        cmocka_unit_test(the_default_branch_is_taken_where_no_ref_was_named),
        cmocka_unit_test(a_tree_too_long_to_be_told_is_read_from_the_archive),
        cmocka_unit_test(a_renamed_repository_is_asked_under_its_new_name),
        cmocka_unit_test(description_and_readme_are_taken_over_when_asked_for),
        cmocka_unit_test(equal_artifacts_are_excluded_and_come_back),
        cmocka_unit_test(removed_entries_are_forgotten_after_a_month),
        cmocka_unit_test(a_source_that_is_not_indexed_is_not_shown),
        cmocka_unit_test(a_large_archive_is_held_back_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
