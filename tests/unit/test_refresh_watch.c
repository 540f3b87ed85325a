/* Changes in the folders of discovered projects: a real disk, a fake clock. */
#define DEPOT_REAL_DISK
#include "depot.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct yard {
    depot depot;
    char root[64], *real;
    char project[120], id[200];
} yard;

static void put(yard *y, const char *path, const char *text)
{
    char whole[300];
    snprintf(whole, sizeof(whole), "%s/%s", y->project, path);
    for (char *slash = strchr(whole + strlen(y->root), '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *f = fopen(whole, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void remove_tree(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void yard_open(yard *y)
{
    arena a;
    str id;
    depot_open(&y->depot);
    scratch_folder(y->root);
    y->real = realpath(y->root, NULL);
    assert_non_null(y->real);
    snprintf(y->project, sizeof(y->project), "%s/one", y->real);
    arena_init(&a, 0);
    assert_int_equal(discovered_id(&a, str_c(y->project), &id), 0);
    snprintf(y->id, sizeof(y->id), STR_FMT, STR_ARG(id));
    arena_done(&a);
    put(y, ".claude/skills/pdf/SKILL.md", "---\nname: pdf\nversion: 1.0.0\n---\n");
    put(y, ".claude/commands/go.md", "# Go\n");
    depot_roots[0] = str_c(y->real);
    projects_configure(y->depot.projects, &y->depot.options);
    depot_live(&y->depot, SECONDS(5));
    assert_true(depot_has(&y->depot, y->id));
}

static void yard_close(yard *y)
{
    depot_close(&y->depot);
    remove_tree(y->root);
    free(y->real);
}

static unsigned refreshes(yard *y)
{
    return depot_seen(&y->depot, str_c(y->id))->n;
}

/* The system's news come when they come; then time passes. */
static void notice(yard *y)
{
    const unsigned before = refreshes(y);
    for (unsigned tries = 0; refreshes(y) == before && tries < 2000; tries++) {
        peer_turn(y->depot.loop);
        fake_clk_advance(&y->depot.clock, 20);
    }
    depot_live(&y->depot, SECONDS(2));
    assert_true(refreshes(y) > before);
}

static void check_change_and_restart(yard *y)
{
    assert_int_equal(y->depot.projects->n_watches, 1);
    put(y, ".claude/skills/pdf/SKILL.md", "---\nname: pdf\nversion: 1.1.0\n---\n");
    notice(y);
}

static void a_changed_file_is_noticed(void **state)
{
    (void)state;
    yard y = {0};
    arena a;
    yard_open(&y);
    arena_init(&a, 0);
    check_change_and_restart(&y);
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("pdf 1.1.0 -;")) >= 0);
    assert_int_equal(refreshes(&y), 2); /* one change, one refresh */
    arena_done(&a);
    yard_close(&y);
}

static void new_artifacts_and_those_that_go_are_noticed(void **state)
{
    (void)state;
    yard y = {0};
    char path[300];
    arena a;
    yard_open(&y);
    arena_init(&a, 0);
    put(&y, ".claude/skills/xls/SKILL.md", "---\nname: xls\nversion: 2.0.0\n---\n");
    notice(&y);
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("xls 2.0.0 -;")) >= 0);
    snprintf(path, sizeof(path), "%s/.claude/commands/go.md", y.project);
    assert_int_equal(unlink(path), 0);
    notice(&y);
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("go ")) < 0);
    put(&y, ".claude/skills/xls/SKILL.md", "---\nname: xls\nversion: 2.1.0\n---\n"); /* in a folder that came later */
    notice(&y);
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("xls 2.1.0 -;")) >= 0);
    arena_done(&a);
    yard_close(&y);
}

static void after_a_restart_changes_are_noticed_before_any_refresh(void **state)
{
    (void)state;
    yard y = {0};
    yard_open(&y);
    depot_restart(&y.depot);
    y.depot.n_seen = 0;
    depot_live(&y.depot, SECONDS(5));
    peer_run_until(y.depot.loop, y.depot.projects->n_watches == 1);
    assert_int_equal(refreshes(&y), 0);
    check_change_and_restart(&y);
    yard_close(&y);
}

static void a_project_that_is_deleted_is_forgotten_soon(void **state)
{
    (void)state;
    yard y = {0};
    yard_open(&y);
    remove_tree(y.project);
    notice(&y);
    assert_false(depot_has(&y.depot, y.id));
    assert_int_equal(y.depot.projects->n_watches, 0);
    yard_close(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_file_is_noticed),
        cmocka_unit_test(new_artifacts_and_those_that_go_are_noticed),
        cmocka_unit_test(after_a_restart_changes_are_noticed_before_any_refresh),
        cmocka_unit_test(a_project_that_is_deleted_is_forgotten_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
