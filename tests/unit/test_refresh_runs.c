/* Refreshes one after the other: what they learn, what they cost, who shares them. */
#include "depot.h"

#define SKILL(version) "---\nname: pdf\ndescription: Reads them\nversion: " version "\n---\n"

static fake_repo *stock(depot *d, const char *name, const char *version)
{
    char text[200];
    fake_repo *r = fake_repo_new(&d->github, "acme", name);
    snprintf(text, sizeof(text), SKILL("%s"), version);
    fake_put(r, "skills/pdf/SKILL.md", text);
    fake_put(r, "skills/xls/SKILL.md", "---\nname: xls\ndescription: Sheets\n---\n");
    fake_put(r, "docs/notes.txt", "nothing\n");
    fake_commit(r);
    return r;
}

static const deployed ONE[] = {{"pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL, NULL}};

static void a_reported_project_soon_knows_what_upstream_has(void **state)
{
    (void)state;
    depot d;
    arena a;
    depot_open(&d);
    arena_init(&a, 0);
    stock(&d, "tools", "1.2.0");
    assert_int_equal(depot_report(&d, "ci", ONE, 1), 0);
    assert_artifacts(&d, "ci", "pdf 1.0.0 -;");
    depot_live(&d, SECONDS(5));
    assert_artifacts(&d, "ci", "pdf 1.0.0 1.2.0 outdated;");
    assert_string_equal(d.last_outdated, "pdf 1.0.0->1.2.0");
    const project p = depot_project(&d, &a, "ci");
    assert_str(p.status, "active");
    assert_int_equal(p.outdated_count, 1);
    assert_in_range(p.next_refresh_at, DEPOT_NOW + DEPOT_INTERVAL * 9 / 10, DEPOT_NOW + DEPOT_INTERVAL * 12 / 10);
    assert_int_equal(d.github.asked_in_all, 3); /* commit, tree, archive */
    assert_int_equal(projects_stats_of(d.projects)->refreshed, 1);
    arena_done(&a);
    depot_close(&d);
}

static void without_a_change_a_refresh_costs_one_conditional_request(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    assert_int_equal(depot_report(&d, "ci", ONE, 1), 0);
    depot_live(&d, SECONDS(5));
    for (unsigned i = 1; i <= 3; i++) {
        depot_pass(&d, SECONDS(1));
        assert_int_equal(depot_refresh(&d, "ci", true), 1);
        assert_int_equal(d.github.asked_in_all, 3 + i);
        assert_int_equal(d.github.not_modified, i);
    }
    depot_close(&d);
}

static void another_commit_costs_the_archive_only_where_deployed_content_changed(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    assert_int_equal(depot_report(&d, "ci", ONE, 1), 0);
    depot_live(&d, SECONDS(5));
    fake_put(r, "docs/notes.txt", "something\n");
    fake_commit(r);
    depot_pass(&d, SECONDS(1));
    assert_int_equal(depot_refresh(&d, "ci", true), 1);
    assert_int_equal(r->asked[ASK_TREE], 2);
    assert_int_equal(r->asked[ASK_ARCHIVE], 1);
    fake_put(r, "skills/pdf/SKILL.md", SKILL("2.0.0"));
    fake_commit(r);
    depot_pass(&d, SECONDS(1));
    assert_int_equal(depot_refresh(&d, "ci", true), 1);
    assert_int_equal(r->asked[ASK_ARCHIVE], 2);
    assert_artifacts(&d, "ci", "pdf 1.0.0 2.0.0 outdated;");
    depot_close(&d);
}

static void all_artifacts_and_projects_of_a_run_share_one_question(void **state)
{
    static const deployed two[] = {{"pdf", "github:acme/tools/skills/pdf", "1.0.0", NULL, NULL},
                                   {"xls", "github:Acme/Tools/skills/xls", "1.0.0", NULL, NULL}};
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    for (unsigned i = 0; i < 20; i++) {
        char id[20];
        snprintf(id, sizeof(id), "p%02u", i);
        assert_int_equal(depot_report(&d, id, two, 2), 0);
    }
    depot_settle(&d);
    depot_pass(&d, SECONDS(1));
    const unsigned before = r->asked[ASK_COMMIT];
    assert_int_equal(depot_refresh(&d, NULL, true), 20);
    assert_int_equal(r->asked[ASK_COMMIT], before + 1);
    assert_int_equal(r->asked[ASK_TREE], 1);
    assert_in_range(d.most_running, 2, 3);
    depot_close(&d);
}

static void versions_without_a_manifest_s_are_the_tag_or_the_commit_of_the_content(void **state)
{
    static const deployed some[] = {{"head", "github:acme/tools/skills/xls", "1.0.0", NULL, NULL},
                                    {"lost", "github:acme/tools/skills/lost", "1.0.0", NULL, NULL},
                                    {"none", "github:acme/absent/x", "1.0.0", NULL, NULL},
                                    {"word", "github:acme/tools/skills/pdf@v3.0", "1.0.0", NULL, "7.7.7"},
                                    {"pinned", "github:acme/tools/skills/xls@v3.0", "1.0.0", NULL, NULL},
                                    {"plain", NULL, "1.0.0", NULL, NULL}};
    (void)state;
    depot d;
    arena a;
    depot_open(&d);
    arena_init(&a, 0);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    r->tag = "v3.0";
    assert_int_equal(depot_report(&d, "ci", some, COUNT_OF(some)), 0);
    depot_live(&d, SECONDS(5));
    const str shown = depot_artifacts(&d, &a, "ci");
    assert_true(str_find(shown, arena_printf(&a, "head 1.0.0 %.7s;", r->sha)) >= 0);
    assert_true(str_find(shown, STR("lost 1.0.0 -;")) >= 0);
    assert_true(str_find(shown, STR("none 1.0.0 -;")) >= 0);
    assert_true(str_find(shown, STR("word 1.0.0 7.7.7 outdated;")) >= 0);
    assert_true(str_find(shown, STR("pinned 1.0.0 v3.0")) >= 0);
    assert_true(str_find(shown, STR("plain 1.0.0 -;")) >= 0);
    /* Another commit with the same content is no other version. */
    const str before = arena_dup(&a, shown);
    fake_put(r, "docs/notes.txt", "other\n");
    fake_commit(r);
    depot_pass(&d, SECONDS(1));
    wish w;
    wish_begin(&w, &d, "ci", true);
    assert_int_equal(wish_wait(&w, &d), 0);
    assert_false(w.task.changes_detected);
    assert_int_equal(w.task.errors.n, 1); /* acme/absent is not there: said, and no failure */
    assert_true(str_find(w.task.errors.v[0], STR("acme/absent@HEAD is not there")) > 0);
    wish_end(&w);
    assert_true(str_eq(depot_artifacts(&d, &a, "ci"), before));
    assert_str(depot_project(&d, &a, "ci").status, "active");
    arena_done(&a);
    depot_close(&d);
}

static void what_is_not_there_is_asked_for_once_a_minute_or_when_it_is_doubted(void **state)
{
    static const deployed none[] = {{"none", "github:acme/absent/x", "1.0.0", NULL, NULL}};
    (void)state;
    depot d;
    wish w;
    depot_open(&d);
    assert_int_equal(depot_report(&d, "ci", none, 1), 0);
    depot_live(&d, SECONDS(5));
    assert_int_equal(d.github.asked_in_all, 2); /* the commit, and whether HEAD goes by another name */
    for (unsigned i = 0; i < 5; i++) {
        wish_begin(&w, &d, "ci", true);
        assert_int_equal(wish_wait(&w, &d), 0);
        assert_int_equal(w.task.errors.n, 1); /* it is said all the same */
        wish_end(&w);
        depot_pass(&d, SECONDS(1));
    }
    assert_int_equal(d.github.asked_in_all, 2);
    assert_int_equal(depot_invalidate(&d, "ci"), 1);
    assert_int_equal(depot_refresh(&d, "ci", true), 1);
    assert_int_equal(d.github.asked_in_all, 4);
    depot_live(&d, MINUTES(1));
    stock(&d, "absent", "1.0.0");
    assert_int_equal(depot_refresh(&d, "ci", true), 1);
    assert_true(d.github.asked_in_all > 4);
    depot_close(&d);
}

static void where_head_is_unknown_the_default_branch_is_asked_for_once(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    r->has_no_head = true;
    assert_int_equal(depot_report(&d, "ci", ONE, 1), 0);
    depot_live(&d, SECONDS(5));
    assert_artifacts(&d, "ci", "pdf 1.0.0 1.2.0 outdated;");
    assert_int_equal(r->asked[ASK_REPOSITORY], 1);
    assert_int_equal(r->asked[ASK_COMMIT], 2);
    depot_pass(&d, SECONDS(1));
    assert_int_equal(depot_refresh(&d, "ci", true), 1);
    assert_int_equal(r->asked[ASK_REPOSITORY], 1);
    assert_int_equal(r->asked[ASK_COMMIT], 3);
    assert_int_equal(d.github.not_modified, 1);
    snprintf(r->branch, sizeof(r->branch), "trunk"); /* renamed */
    fake_put(r, "skills/pdf/SKILL.md", SKILL("2.0.0"));
    fake_commit(r);
    depot_pass(&d, SECONDS(1));
    assert_int_equal(depot_refresh(&d, "ci", true), 1);
    assert_artifacts(&d, "ci", "pdf 1.0.0 2.0.0 outdated;");
    assert_int_equal(r->asked[ASK_REPOSITORY], 2);
    depot_close(&d);
}

static void a_registered_repository_is_not_asked_for(void **state)
{
    static const deployed listed[] = {{"pdf", "github:acme/listed/skills/pdf", "1.0.0", NULL, NULL}};
    (void)state;
    depot d;
    depot_open(&d);
    d.catalogue = (upstream_answer){.version = STR("1.1.0")};
    assert_int_equal(depot_report(&d, "ci", listed, 1), 0);
    depot_live(&d, SECONDS(5));
    assert_artifacts(&d, "ci", "pdf 1.0.0 1.1.0 outdated;");
    assert_int_equal(d.github.asked_in_all, 0);
    depot_close(&d);
}

static void a_refresh_that_need_not_be_is_none(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    assert_int_equal(depot_report(&d, "ci", ONE, 1), 0);
    depot_live(&d, SECONDS(5));
    const unsigned asked = d.github.asked_in_all;
    assert_int_equal(depot_refresh(&d, "ci", false), 0);
    assert_int_equal(depot_refresh(&d, NULL, false), 0);
    assert_int_equal(d.github.asked_in_all, asked);
    assert_int_equal(depot_refresh(&d, "nobody", true), -ENOENT);
    assert_int_equal(depot_invalidate(&d, "ci"), 1);
    assert_int_equal(depot_refresh(&d, "ci", false), 1);
    depot_close(&d);
}

/* What it read is given back by a worker, also when the server stops at that moment. */
static void a_project_of_thousands_of_artifacts_is_refreshed_as_any_other(void **state)
{
    enum { N = 3000 };
    static deployed v[N];
    static char names[N][16];
    (void)state;
    depot d;
    depot_open(&d);
    for (size_t i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "s%zu", i);
        v[i] = (deployed){.name = names[i]};
    }
    assert_int_equal(depot_report(&d, "ci", v, N), 0);
    for (unsigned i = 0; i < 3; i++) {
        depot_pass(&d, SECONDS(1));
        assert_int_equal(depot_refresh(&d, "ci", true), 1);
    }
    depot_close(&d);
}

static void two_who_ask_at_once_share_one_run(void **state)
{
    (void)state;
    depot d;
    wish one, other, all, gone;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    assert_int_equal(depot_report(&d, "ci", ONE, 1), 0);
    depot_live(&d, SECONDS(5));
    depot_pass(&d, SECONDS(1));
    const uint64_t before = projects_stats_of(d.projects)->refreshed;
    const unsigned asked = r->asked[ASK_COMMIT];
    d.github.hold = ASK_COMMIT;
    wish_begin(&one, &d, "ci", true);
    wish_begin(&gone, &d, "ci", true);
    peer_run_until(d.loop, fake_holds(&d.github));
    wish_begin(&other, &d, "ci", true);
    wish_begin(&all, &d, NULL, true);
    peer_turns(d.loop);
    projects_refresh_cancel(&gone.task);
    assert_int_equal(gone.done, 0); /* only later */
    assert_int_equal(wish_wait(&gone, &d), -ECANCELED);
    assert_int_equal(one.done + other.done + all.done, 0);
    fake_release(&d.github);
    assert_int_equal(wish_wait(&one, &d), 0);
    assert_int_equal(wish_wait(&other, &d), 0);
    assert_int_equal(wish_wait(&all, &d), 0);
    assert_int_equal(one.task.projects_refreshed, 1);
    assert_int_equal(other.task.projects_refreshed, 1);
    assert_int_equal(all.task.projects_refreshed, 1);
    assert_int_equal(projects_stats_of(d.projects)->refreshed, before + 1);
    assert_int_equal(r->asked[ASK_COMMIT], asked + 1);
    wish_end(&one), wish_end(&other), wish_end(&all), wish_end(&gone);
    depot_close(&d);
}

static void what_is_reported_meanwhile_is_not_written_over(void **state)
{
    static const deployed newer[] = {{"pdf", "github:acme/tools/skills/pdf", "1.2.0", NULL, NULL}};
    (void)state;
    depot d;
    wish w;
    depot_open(&d);
    stock(&d, "tools", "1.2.0");
    assert_int_equal(depot_report(&d, "ci", ONE, 1), 0);
    d.github.hold = ASK_COMMIT;
    wish_begin(&w, &d, "ci", true);
    peer_run_until(d.loop, fake_holds(&d.github));
    assert_int_equal(depot_report(&d, "ci", newer, 1), 0);
    fake_release(&d.github);
    assert_int_equal(wish_wait(&w, &d), 0);
    wish_end(&w);
    assert_artifacts(&d, "ci", "pdf 1.2.0 1.2.0;");
    depot_live(&d, SECONDS(5));
    assert_artifacts(&d, "ci", "pdf 1.2.0 1.2.0;");
    depot_close(&d);
}

static void content_decides_where_a_version_says_nothing(void **state)
{
    (void)state;
    depot d;
    arena a;
    depot_open(&d);
    arena_init(&a, 0);
    fake_repo *r = fake_repo_new(&d.github, "acme", "tools");
    fake_put(r, "commands/go.md", "# Go\n");
    fake_commit(r);
    /* SHA-256 of "go.md:" and git's name of "# Go\n" */
    uint8_t blob[SHA1_LEN], digest[SHA256_LEN];
    char hex[HEX_LEN(SHA1_LEN)], hash[HEX_LEN(SHA256_LEN) + 1] = "";
    fake_blob_sha(fake_find(r, "commands/go.md"), blob);
    hex_encode(blob, sizeof(blob), hex);
    const str line = arena_printf(&a, "go.md:%.40s", hex);
    sha256(line.p, line.n, digest);
    hex_encode(digest, sizeof(digest), hash);
    const deployed same[] = {{"go", "github:acme/tools/commands/go", "abc1234", hash, NULL}};
    assert_int_equal(depot_report(&d, "ci", same, 1), 0);
    depot_live(&d, SECONDS(5));
    assert_true(str_find(depot_artifacts(&d, &a, "ci"), STR("outdated")) < 0);
    assert_true(str_find(depot_artifacts(&d, &a, "ci"), arena_printf(&a, " %.7s;", r->sha)) > 0);
    fake_put(r, "commands/go.md", "# Go on\n");
    fake_commit(r);
    depot_pass(&d, SECONDS(1));
    assert_int_equal(depot_refresh(&d, "ci", true), 1);
    assert_true(str_find(depot_artifacts(&d, &a, "ci"), STR("outdated")) > 0);
    arena_done(&a);
    depot_close(&d);
}

/* A line "path:blob" for each, in the order given: the hash of a content. */
static str hash_of(arena *a, fake_repo *r, const char *folder, const char *const *names, size_t n)
{
    uint8_t blob[SHA1_LEN], digest[SHA256_LEN];
    char hex[HEX_LEN(SHA1_LEN)], hash[HEX_LEN(SHA256_LEN)];
    str text = STR("");

    for (size_t i = 0; i < n; i++) {
        const str path = arena_printf(a, "%s/%s", folder, names[i]);
        fake_blob_sha(fake_find(r, path.p), blob);
        hex_encode(blob, sizeof(blob), hex);
        text = arena_printf(a, STR_FMT "%s%s:%.40s", STR_ARG(text), i ? "\n" : "", names[i], hex);
    }
    sha256(text.p, text.n, digest);
    hex_encode(digest, sizeof(digest), hash);
    return arena_dup(a, str_of(hash, sizeof(hash)));
}

static void content_is_hashed_by_lines_not_by_paths(void **state)
{
    static const char *const NAMES[] = {"SKILL.md", "bin/go-fast", "bin/go", "run.sh", "run"};
    (void)state;
    depot d;
    arena a;
    depot_open(&d);
    arena_init(&a, 0);
    fake_repo *r = fake_repo_new(&d.github, "acme", "tools");
    for (size_t i = 0; i < COUNT_OF(NAMES); i++)
        fake_put(r, arena_printf(&a, "skills/pdf/%s", NAMES[i]).p, NAMES[i]);
    fake_put(r, "skills/pdf-old/SKILL.md", "of another one\n"); /* its path sorts before those of the folder */
    fake_commit(r);
    const str hash = hash_of(&a, r, "skills/pdf", NAMES, COUNT_OF(NAMES));
    const deployed same[] = {{"pdf", "github:acme/tools/skills/pdf", "abc1234", hash.p, NULL}};
    assert_int_equal(depot_report(&d, "ci", same, 1), 0);
    depot_live(&d, SECONDS(5));
    assert_true(str_find(depot_artifacts(&d, &a, "ci"), arena_printf(&a, " %.7s;", r->sha)) > 0);
    arena_done(&a);
    depot_close(&d);
}

static void what_upstream_no_longer_has_is_not_outdated(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d, "tools", "1.2.0");
    assert_int_equal(depot_report(&d, "ci", ONE, 1), 0);
    depot_live(&d, SECONDS(5));
    assert_artifacts(&d, "ci", "pdf 1.0.0 1.2.0 outdated;");
    fake_remove(r, "skills/pdf/SKILL.md");
    fake_commit(r);
    depot_pass(&d, SECONDS(1));
    assert_int_equal(depot_refresh(&d, "ci", true), 1);
    assert_artifacts(&d, "ci", "pdf 1.0.0 -;");
    depot_close(&d);
}

/* Until when all wait is told, however much else there is to tell. */
static void used_up_quota_is_told_among_many_causes(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    all_run *run = &d.projects->all[true];
    wish w = {0};
    arena_init(&w.arena, 0);
    w.task = (refresh_task){.arena = &w.arena, .owner = d.projects, .on_done = wish_on_done, .user = &w};
    *run = (all_run){.is_on = true, .limited = 7, .retry_at = DEPOT_NOW + HOURS(1)};
    arena_init(&run->arena, 0);
    list_init(&run->tasks);
    list_push(&run->tasks, &w.task.link);
    for (unsigned i = 0; i < 300; i++) {
        char why[200];
        const size_t kept = run->arena.total;
        snprintf(why, sizeof(why), "%0*u is no cause", 150, i);
        run_add_error(run, STR("p"), str_c(why));
        if (i >= RUN_ERRORS_MAX)
            assert_int_equal(run->arena.total, kept);
    }
    run_end(d.projects, run, 0);
    assert_int_equal(w.done, 1);
    assert_int_equal(w.task.errors.n, RUN_ERRORS_MAX);
    assert_true(str_find(w.task.errors.v[RUN_ERRORS_MAX - 2], STR("7 projects keep")) > 0);
    assert_str(w.task.errors.v[RUN_ERRORS_MAX - 1], "and 202 more"); /* 98 are told */
    wish_end(&w);
    depot_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reported_project_soon_knows_what_upstream_has),
        cmocka_unit_test(without_a_change_a_refresh_costs_one_conditional_request),
        cmocka_unit_test(another_commit_costs_the_archive_only_where_deployed_content_changed),
        cmocka_unit_test(all_artifacts_and_projects_of_a_run_share_one_question),
        cmocka_unit_test(versions_without_a_manifest_s_are_the_tag_or_the_commit_of_the_content),
        cmocka_unit_test(what_is_not_there_is_asked_for_once_a_minute_or_when_it_is_doubted),
        cmocka_unit_test(where_head_is_unknown_the_default_branch_is_asked_for_once),
        cmocka_unit_test(a_registered_repository_is_not_asked_for),
        cmocka_unit_test(a_refresh_that_need_not_be_is_none),
        cmocka_unit_test(a_project_of_thousands_of_artifacts_is_refreshed_as_any_other),
        cmocka_unit_test(two_who_ask_at_once_share_one_run),
        cmocka_unit_test(what_is_reported_meanwhile_is_not_written_over),
        cmocka_unit_test(content_decides_where_a_version_says_nothing),
        cmocka_unit_test(content_is_hashed_by_lines_not_by_paths),
        cmocka_unit_test(what_upstream_no_longer_has_is_not_outdated),
        cmocka_unit_test(used_up_quota_is_told_among_many_causes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
