/* What learning of a repository costs, whoever asks and in whatever order. */
#include "depot.h"

static void put_skill(fake_repo *r, const char *path, const char *version)
{
    char file[100], text[100];
    snprintf(file, sizeof(file), "%s/SKILL.md", path);
    snprintf(text, sizeof(text), "---\nname: x\nversion: %s\n---\n", version);
    fake_put(r, file, text);
}

static fake_repo *stock(depot *d)
{
    fake_repo *r = fake_repo_new(&d->github, "acme", "tools");
    put_skill(r, "skills/a", "1.1.0");
    put_skill(r, "skills/b", "1.2.0");
    put_skill(r, "skills/c", "1.3.0");
    put_skill(r, "more/of/them/d", "1.4.0");
    fake_put(r, "plugins/e/commands/git/run.md", "---\nversion: 1.5.0\n---\n");
    fake_put(r, "plugins/e/mcp/f/server.json", "{}");
    fake_put(r, "hooks/g.sh", "exec true");
    fake_put(r, "doc/plain.md", "nothing");
    fake_commit(r);
    return r;
}

static void report_one(depot *d, const char *id, const char *source)
{
    const deployed one = {"x", source, "1.0.0", NULL, NULL};
    assert_int_equal(depot_report(d, id, &one, 1), 0);
    depot_live(d, SECONDS(30));
}

static void assert_cost(const depot *d, unsigned trees, unsigned archives)
{
    assert_int_equal(d->github.asked[ASK_TREE], trees);
    assert_int_equal(d->github.asked[ASK_ARCHIVE], archives);
}

static void who_asks_first_learns_it_for_all_who_name_other_paths(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    (void)stock(&d);
    report_one(&d, "p0", "github:acme/tools/skills/a");
    assert_cost(&d, 1, 1);
    report_one(&d, "p1", "github:acme/tools/skills/b");
    report_one(&d, "p2", "github:acme/tools/more/of/them/d");
    report_one(&d, "p3", "github:acme/tools/plugins/e/commands/git/run");
    report_one(&d, "p4", "github:acme/tools/plugins/e/commands/git/run.md");
    assert_cost(&d, 1, 1);
    assert_artifacts(&d, "p0", "x 1.0.0 1.1.0 outdated;");
    assert_artifacts(&d, "p1", "x 1.0.0 1.2.0 outdated;");
    assert_artifacts(&d, "p2", "x 1.0.0 1.4.0 outdated;");
    assert_artifacts(&d, "p3", "x 1.0.0 1.5.0 outdated;");
    assert_artifacts(&d, "p4", "x 1.0.0 1.5.0 outdated;");
    report_one(&d, "p6", "github:acme/tools/plugins/e/mcp/f");
    report_one(&d, "p7", "github:acme/tools/hooks/g.sh");
    assert_cost(&d, 1, 1);
    /* What does not look like one is found all the same; it is told by its commit, without the archive. */
    report_one(&d, "p5", "github:acme/tools/doc");
    assert_cost(&d, 2, 1);
    depot_close(&d);
}

static void refresh_now(depot *d, const char *id)
{
    wish w;
    fake_clk_advance(&d->clock, 10);
    wish_begin(&w, d, id, true);
    assert_int_equal(wish_wait(&w, d), 0);
    wish_end(&w);
    depot_live(d, SECONDS(30));
}

static void what_nobody_has_asked_for_costs_nothing_when_it_changes(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d);
    report_one(&d, "p0", "github:acme/tools/skills/a");
    put_skill(r, "skills/c", "2.3.0");
    fake_commit(r);
    refresh_now(&d, "p0");
    assert_cost(&d, 2, 1);
    report_one(&d, "p1", "github:acme/tools/skills/b"); /* the same as before, in the new commit too */
    assert_cost(&d, 2, 1);
    assert_artifacts(&d, "p1", "x 1.0.0 1.2.0 outdated;");
    report_one(&d, "p2", "github:acme/tools/skills/c"); /* what was known of it is true no longer */
    assert_cost(&d, 3, 2);
    assert_artifacts(&d, "p2", "x 1.0.0 2.3.0 outdated;");
    put_skill(r, "skills/c", "3.3.0"); /* now somebody has asked */
    fake_commit(r);
    refresh_now(&d, "p0");
    assert_cost(&d, 4, 3);
    depot_close(&d);
}

static void what_is_not_there_costs_no_other_tree(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d);
    report_one(&d, "p0", "github:acme/tools/skills/a");
    report_one(&d, "p1", "github:acme/tools/skills/later");
    report_one(&d, "p2", "github:acme/tools/skills/a/SKILL");
    assert_artifacts(&d, "p2", "x 1.0.0 1.1.0 outdated;"); /* SKILL.md is there */
    depot_restart(&d);
    for (char c = 'A'; c <= 'H'; c++) { /* none of them is one of the few that the filter takes to be there */
        const char id[] = {'q', c, '\0'};
        char source[60];
        snprintf(source, sizeof(source), "github:acme/tools/gone/%c%c%c.md", c, c, c);
        report_one(&d, id, source);
        assert_artifacts(&d, id, "x 1.0.0 -;");
    }
    assert_cost(&d, 2, 2);
    put_skill(r, "skills/later", "2.0.0");
    fake_commit(r);
    refresh_now(&d, "p1");
    assert_artifacts(&d, "p1", "x 1.0.0 2.0.0 outdated;");
    assert_cost(&d, 3, 3);
    depot_close(&d);
}

static void an_archive_that_breaks_behind_what_is_asked_for_is_good_enough(void **state)
{
    static char noise[20000];
    (void)state;
    depot d;
    depot_open(&d);
    for (size_t i = 0; i < sizeof(noise) - 1; i++)
        noise[i] = (char)('!' + random_below(90));
    fake_repo *r = fake_repo_new(&d.github, "acme", "tools");
    put_skill(r, "skills/a", "1.1.0");
    fake_put(r, "skills/noise.txt", noise);
    put_skill(r, "skills/z", "1.2.0");
    fake_commit(r);
    d.github.cut_times = 1;
    report_one(&d, "p0", "github:acme/tools/skills/a");
    assert_artifacts(&d, "p0", "x 1.0.0 1.1.0 outdated;");
    assert_cost(&d, 1, 1);
    report_one(&d, "p1", "github:acme/tools/skills/z");
    assert_artifacts(&d, "p1", "x 1.0.0 1.2.0 outdated;");
    assert_cost(&d, 2, 2);
    depot_close(&d);
}

static void an_archive_that_holds_a_path_twice_is_read_on(void **state)
{
    static const deployed both[] = {{"a", "github:acme/tools/skills/a", "1.0.0", NULL, NULL},
                                    {"b", "github:acme/tools/skills/b", "1.0.0", NULL, NULL}};
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = fake_repo_new(&d.github, "acme", "tools");
    put_skill(r, "skills/a", "1.1.0");
    put_skill(r, "skills/x", "9.9.9");
    memcpy(strstr(r->files[1].path, "x/"), "a/", 2);
    put_skill(r, "skills/b", "1.2.0");
    fake_commit(r);
    assert_int_equal(depot_report(&d, "p0", both, 2), 0);
    depot_live(&d, SECONDS(30));
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    const str found = depot_artifacts(&d, &a, "p0");
    assert_true(str_find(found, STR("a 1.0.0 1.1.0 outdated;")) >= 0);
    assert_true(str_find(found, STR("b 1.0.0 1.2.0 outdated;")) >= 0);
    depot_close(&d);
}

static void a_listing_that_is_cut_tells_no_old_version(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d);
    r->truncated = true;
    report_one(&d, "p0", "github:acme/tools/skills/a");
    assert_artifacts(&d, "p0", "x 1.0.0 1.1.0 outdated;");
    put_skill(r, "skills/a", "2.1.0");
    fake_commit(r);
    refresh_now(&d, "p0");
    assert_artifacts(&d, "p0", "x 1.0.0 2.1.0 outdated;");
    depot_close(&d);
}

static void what_was_only_seen_is_gone_with_its_repository(void **state)
{
    (void)state;
    depot d;
    depot_open(&d);
    fake_repo *r = stock(&d);
    report_one(&d, "p0", "github:acme/tools/skills/a");
    r->is_private = true; /* for us, it is not there */
    refresh_now(&d, "p0");
    report_one(&d, "p1", "github:acme/tools/skills/b");
    assert_artifacts(&d, "p1", "x 1.0.0 -;");
    depot_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_asks_first_learns_it_for_all_who_name_other_paths),
        cmocka_unit_test(what_nobody_has_asked_for_costs_nothing_when_it_changes),
        cmocka_unit_test(what_is_not_there_costs_no_other_tree),
        cmocka_unit_test(an_archive_that_breaks_behind_what_is_asked_for_is_good_enough),
        cmocka_unit_test(an_archive_that_holds_a_path_twice_is_read_on),
        cmocka_unit_test(a_listing_that_is_cut_tells_no_old_version),
        cmocka_unit_test(what_was_only_seen_is_gone_with_its_repository),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
