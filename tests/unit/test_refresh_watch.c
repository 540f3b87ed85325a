/* Changes in the folders of discovered projects: a real disk, a fake clock. */
#define DEPOT_REAL_DISK
#include "depot.h"

#include "domains/artifacts/watch.h"

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

static void check_change(yard *y)
{
    const unsigned before = refreshes(y);
    assert_int_equal(y->depot.projects->n_watches, 1);
    put(y, ".claude/skills/pdf/SKILL.md", "---\nname: pdf\nversion: 1.1.0\n---\n");
    notice(y);
    assert_int_equal(refreshes(y), before + 1); /* one change, one refresh */
}

static void a_changed_file_is_noticed(void **state)
{
    (void)state;
    yard y = {0};
    arena a;
    yard_open(&y);
    arena_init(&a, 0);
    check_change(&y);
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("pdf 1.1.0 -;")) >= 0);
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
    check_change(&y);
    yard_close(&y);
}

static void write_while_down(yard *y, const char *path, const char *text)
{
    depot_begin_stop(&y->depot);
    depot_end_stop(&y->depot);
    if (path)
        put(y, path, text);
    depot_open_projects(&y->depot);
    y->depot.n_seen = 0;
    depot_live(&y->depot, SECONDS(5));
}

static void what_changed_while_the_server_was_down_is_seen_at_the_start(void **state)
{
    (void)state;
    yard y = {0};
    arena a;
    yard_open(&y);
    arena_init(&a, 0);
    depot_live(&y.depot, SECONDS(20));
    const project before = depot_project(&y.depot, &a, y.id);
    const unsigned asked = y.depot.github.asked_in_all;
    write_while_down(&y, NULL, NULL);
    const project same = depot_project(&y.depot, &a, y.id);
    assert_int_equal(refreshes(&y), 0); /* nothing to tell, nothing written */
    assert_int_equal(same.last_fetched, before.last_fetched);
    assert_int_equal(same.next_refresh_at, before.next_refresh_at);
    assert_int_equal(projects_stats_of(y.depot.projects)->refreshed, 1);
    write_while_down(&y, ".claude/commands/stop.md", "# Stop\n");
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("stop ")) >= 0);
    write_while_down(&y, ".claude/skills/pdf/SKILL.md", "---\nname: pdf\nversion: 5.0.0\n---\n");
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("pdf 5.0.0 -;")) >= 0);
    assert_int_equal(y.depot.github.asked_in_all, asked);
    arena_done(&a);
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

/* ---- projects that come ---- */
static void at(yard *y, const char *name)
{
    arena a;
    str id;
    snprintf(y->project, sizeof(y->project), "%s/%s", y->real, name);
    arena_init(&a, 0);
    assert_int_equal(discovered_id(&a, str_c(y->project), &id), 0);
    snprintf(y->id, sizeof(y->id), STR_FMT, STR_ARG(id));
    arena_done(&a);
}

static void pass_tenth(yard *y)
{
    for (unsigned i = 0; i < 10; i++) /* the system's news, and the worker, need a moment */
        peer_turn(y->depot.loop);
    fake_clk_advance(&y->depot.clock, 100);
}

/* Until something of it can be seen, in `seconds` at most. */
static bool appears(yard *y, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 10 && !depot_has(&y->depot, y->id); i++)
        pass_tenth(y);
    depot_settle(&y->depot);
    return depot_has(&y->depot, y->id);
}

static uint64_t discoveries(const yard *y)
{
    return y->depot.projects->discoveries;
}

static void a_new_project_appears_without_a_request(void **state)
{
    (void)state;
    yard y = {0};
    arena a;
    yard_open(&y);
    arena_init(&a, 0);
    at(&y, "two");
    put(&y, ".codex/skills/pdf/SKILL.md", "---\nname: pdf\nversion: 3.0.0\n---\n");
    assert_true(appears(&y, 60));
    depot_live(&y.depot, SECONDS(5));
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("pdf 3.0.0 -;")) >= 0);
    at(&y, "deep/er/still");
    put(&y, ".codex/commands/go.md", "# Go\n");
    assert_true(appears(&y, 60));
    at(&y, "deep/er/still/too");
    put(&y, ".codex/commands/go.md", "# Go\n");
    assert_false(appears(&y, 5));
    arena_done(&a);
    yard_close(&y);
}

static void a_folder_that_becomes_a_project_step_by_step_appears(void **state)
{
    static const char *const steps[] = {"notes.txt", ".claude/settings.json", ".claude/skills/.keep",
                                        ".claude/skills/pdf/notes.md", ".claude/skills/pdf/SKILL.md"};
    (void)state;
    yard y = {0};
    yard_open(&y);
    at(&y, "slow");
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        assert_false(appears(&y, 5));
        put(&y, steps[i], "x\n");
    }
    assert_true(appears(&y, 60));
    yard_close(&y);
}

static void a_renamed_project_has_its_new_name_soon_and_loses_the_old_one(void **state)
{
    (void)state;
    yard y = {0};
    char old_path[120], old_id[200];
    yard_open(&y);
    memcpy(old_path, y.project, sizeof(old_path));
    memcpy(old_id, y.id, sizeof(old_id));
    at(&y, "uno");
    assert_int_equal(rename(old_path, y.project), 0);
    assert_true(appears(&y, 60));
    depot_live(&y.depot, MINUTES(1));
    assert_false(depot_has(&y.depot, old_id));
    yard_close(&y);
}

static void another_profile_of_a_known_project_is_noticed(void **state)
{
    (void)state;
    yard y = {0};
    arena a;
    yard_open(&y);
    arena_init(&a, 0);
    put(&y, ".gemini/commands/stop.md", "# Stop\n");
    notice(&y);
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), STR("stop ")) >= 0);
    arena_done(&a);
    yard_close(&y);
}

static void wait_for_folders(yard *y, size_t n)
{
    for (unsigned i = 0; i < 3000 && y->depot.projects->n_root_folders != n; i++)
        pass_tenth(y);
    assert_int_equal(y->depot.projects->n_root_folders, n);
}

/* What is written all the time below a root has it walked now and then, and what cannot matter, not at all. */
static void busy_folders_are_not_walked_all_the_time(void **state)
{
    (void)state;
    yard y = {0};
    char name[30];
    yard_open(&y);
    at(&y, "busy");
    put(&y, "src/main.c", "x");
    put(&y, "node_modules/x/y", "x");
    wait_for_folders(&y, 4); /* the root, one, busy, src */
    assert_false(appears(&y, 10));
    const uint64_t before = discoveries(&y);
    for (unsigned i = 0; i < 100; i++) {
        put(&y, "src/main.c", "written in place");
        put(&y, "src/.main.c.swp", "x");
        snprintf(name, sizeof(name), "node_modules/x%u", i);
        put(&y, name, "x");
        pass_tenth(&y);
    }
    assert_false(appears(&y, 10));
    assert_int_equal(discoveries(&y), before);
    for (unsigned i = 0; i < 100; i++) { /* ten seconds */
        snprintf(name, sizeof(name), "src/part%u.c", i);
        put(&y, name, "x");
        pass_tenth(&y);
    }
    assert_in_range(discoveries(&y), before + 1, before + 11);
    yard_close(&y);
}

static void folders_that_go_are_watched_no_more(void **state)
{
    (void)state;
    yard y = {0};
    char path[160];
    yard_open(&y);
    const size_t before = y.depot.projects->n_root_folders;
    at(&y, "more");
    for (unsigned i = 0; i < 300; i++) { /* more than are looked up, or compared, in one turn */
        snprintf(path, sizeof(path), "f%03u/x", i);
        put(&y, path, "x");
    }
    wait_for_folders(&y, before + 301);
    remove_tree(y.project);
    wait_for_folders(&y, before);
    put(&y, ".claude/commands/go.md", "# Go\n"); /* under a name that was there before */
    assert_true(appears(&y, 60));
    yard_close(&y);
}

/* ---- what changes while a folder is not watched ---- */
/* The path of the folder that is tried last of those that wait for it, once `n` do. */
static str last_of_opening(yard *y, size_t n)
{
    const projects *p = y->depot.projects;
    size_t waiting = 0;
    for (unsigned tries = 0; waiting < n && tries < 3000; tries++) {
        peer_turn(y->depot.loop);
        fake_clk_advance(&y->depot.clock, 20);
        waiting = 0;
        for (const list *l = p->opening.next; l != &p->opening; l = l->next)
            waiting++;
    }
    assert_true(waiting >= n);
    return CONTAINER_OF(p->opening.prev, watched_folder, link)->path;
}

static void put_skills(yard *y)
{
    char path[80];
    for (unsigned i = 0; i < 100; i++) { /* more than are looked up in one turn */
        snprintf(path, sizeof(path), ".claude/skills/s%02u/SKILL.md", i);
        put(y, path, "---\nversion: 1.0.0\n---\n");
    }
}

static void what_changes_before_its_folder_is_watched_anew_is_noticed(void **state)
{
    (void)state;
    yard y = {0};
    char path[300], wanted[80];
    arena a;
    yard_open(&y);
    arena_init(&a, 0);
    put_skills(&y);
    const str last = last_of_opening(&y, 20);
    const str name = str_behind_last(last, '/');
    snprintf(path, sizeof(path), ".claude/skills/" STR_FMT "/SKILL.md", STR_ARG(name));
    snprintf(wanted, sizeof(wanted), STR_FMT " 2.0.0 -;", STR_ARG(name));
    put(&y, path, "---\nversion: 2.0.0\n---\n");
    depot_live(&y.depot, SECONDS(20));
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), str_c(wanted)) >= 0);
    assert_int_equal(y.depot.projects->n_watches, 1);
    const uint64_t settled = projects_stats_of(y.depot.projects)->refreshed;
    depot_live(&y.depot, MINUTES(5));
    assert_int_equal(projects_stats_of(y.depot.projects)->refreshed, settled); /* and that is all */
    arena_done(&a);
    yard_close(&y);
}

static void a_folder_that_could_not_be_watched_is_tried_again(void **state)
{
    (void)state;
    yard y = {0};
    char path[300], hidden[310];
    arena a;
    yard_open(&y);
    arena_init(&a, 0);
    put_skills(&y);
    const str last = last_of_opening(&y, 20);
    snprintf(path, sizeof(path), STR_FMT, STR_ARG(last));
    snprintf(hidden, sizeof(hidden), "%s/hidden", y.root);
    const str name = str_behind_last(str_c(path), '/');
    assert_int_equal(rename(path, hidden), 0);
    depot_settle(&y.depot); /* the others are watched */
    assert_int_equal(rename(hidden, path), 0);
    notice(&y);
    snprintf(hidden, sizeof(hidden), ".claude/skills/" STR_FMT "/SKILL.md", STR_ARG(name));
    put(&y, hidden, "---\nversion: 3.0.0\n---\n");
    notice(&y);
    snprintf(hidden, sizeof(hidden), STR_FMT " 3.0.0 -;", STR_ARG(name));
    assert_true(str_find(depot_artifacts(&y.depot, &a, y.id), str_c(hidden)) >= 0);
    arena_done(&a);
    yard_close(&y);
}

static void a_folder_below_a_root_that_could_not_be_watched_is_watched_by_a_later_discovery(void **state)
{
    (void)state;
    yard y = {0};
    char path[300], name[30], file[80];
    yard_open(&y);
    const size_t before = y.depot.projects->n_root_folders;
    at(&y, "more");
    for (unsigned i = 0; i < 60; i++) {
        snprintf(file, sizeof(file), "f%02u/x", i);
        put(&y, file, "x");
    }
    const str last = last_of_opening(&y, 20);
    snprintf(path, sizeof(path), STR_FMT, STR_ARG(last));
    snprintf(name, sizeof(name), STR_FMT, STR_ARG(str_behind_last(last, '/')));
    remove_tree(path);
    depot_settle(&y.depot);
    snprintf(file, sizeof(file), "%s/x", name); /* there again before anybody looked */
    put(&y, file, "x");
    const uint64_t walks = discoveries(&y);
    for (unsigned i = 0; i < 3000 && discoveries(&y) < walks + 2; i++)
        pass_tenth(&y);
    wait_for_folders(&y, before + 61);
    snprintf(file, sizeof(file), "more/%s", name);
    at(&y, file);
    put(&y, ".claude/commands/go.md", "# Go\n");
    assert_true(appears(&y, 60));
    yard_close(&y);
}

static void missing_memory_only_delays_what_is_noticed(void **state)
{
    (void)state;
    for (long n = 0; n < 150; n += 11) {
        yard y = {0};
        yard_open(&y);
        at(&y, "two");
        put(&y, ".codex/commands/go.md", "# Go\n");
        mem_fail_at(n);
        (void)appears(&y, 3);
        mem_fail_at(-1);
        depot_live(&y.depot, DEPOT_INTERVAL + MINUTES(2));
        assert_true(depot_has(&y.depot, y.id));
        yard_close(&y);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_changed_file_is_noticed),
        cmocka_unit_test(new_artifacts_and_those_that_go_are_noticed),
        cmocka_unit_test(after_a_restart_changes_are_noticed_before_any_refresh),
        cmocka_unit_test(what_changed_while_the_server_was_down_is_seen_at_the_start),
        cmocka_unit_test(a_project_that_is_deleted_is_forgotten_soon),
        cmocka_unit_test(a_new_project_appears_without_a_request),
        cmocka_unit_test(a_folder_that_becomes_a_project_step_by_step_appears),
        cmocka_unit_test(a_renamed_project_has_its_new_name_soon_and_loses_the_old_one),
        cmocka_unit_test(another_profile_of_a_known_project_is_noticed),
        cmocka_unit_test(busy_folders_are_not_walked_all_the_time),
        cmocka_unit_test(folders_that_go_are_watched_no_more),
        cmocka_unit_test(what_changes_before_its_folder_is_watched_anew_is_noticed),
        cmocka_unit_test(a_folder_that_could_not_be_watched_is_tried_again),
        cmocka_unit_test(a_folder_below_a_root_that_could_not_be_watched_is_watched_by_a_later_discovery),
        cmocka_unit_test(missing_memory_only_delays_what_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
