/* Discovery on hostile folders: nothing on a disk leads it out of the root, makes it wait, or ends more than what it
 * touches. */
#include "unit.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

static void links_within_the_root_are_followed(void **state)
{
    (void)state;
    tree_put("shared/pdf/SKILL.md", "---\nversion: 1.0.0\n---\n");
    tree_put("shared/review.md", "");
    tree_folder("p/.claude/skills");
    tree_folder("p/.claude/commands");
    tree_link("p/.claude/skills/pdf", "../../../shared/pdf");
    tree_link("p/.claude/commands/review.md", "../../../shared/review.md");
    tree_folder("q");
    tree_link("q/.claude", "../p/.claude");
    tree_link("p/.claude/commands/folder.md", "../../../shared");
    tree_link("p/.claude/skills/file", "../../../shared/review.md");
    assert_str(projects_found(NULL), "p q");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "command:review skill:pdf");
    assert_str(p.artifacts[1].version, "1.0.0");
}

static void links_out_of_the_root_and_to_nowhere_count_as_not_there(void **state)
{
    (void)state;
    tree_put("../outside/pdf/SKILL.md", "---\nversion: 1.0.0\n---\nsecret");
    tree_put("../outside/.claude/commands/c.md", "");
    tree_put("p/.claude/commands/here.md", "");
    tree_folder("p/.claude/skills");
    tree_link("p/.claude/skills/relative", "../../../../outside/pdf");
    tree_link("p/.claude/skills/absolute", arena_printf(&tree_arena, "%s/outside/pdf", tree_top).p);
    tree_link("p/.claude/commands/passwd.md", "/etc/passwd");
    tree_link("p/.claude/commands/nowhere.md", "missing.md");
    tree_link("p/.claude/commands/self.md", "self.md");
    tree_link("p/.claude/commands/loop1.md", "loop2.md");
    tree_link("p/.claude/commands/loop2.md", "loop1.md");
    tree_link("p/.claude/.skillmeat-deployed.toml", "/etc/passwd");
    tree_put("p/.claude/skills/in/SKILL.md", "");
    tree_link("p/.claude/skills/in/secret", "/etc/passwd");
    tree_link("linked", "../outside");
    tree_folder("q");
    tree_link("q/.claude", "../../outside/.claude");
    assert_str(projects_found(NULL), "p");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "command:here skill:in");
    assert_int_equal(read_at("q", &p), -ENOENT);
    assert_int_equal(read_at("linked", &p), -ENOENT);
}

static void a_path_outside_the_root_is_not_read(void **state)
{
    (void)state;
    tree_put("../outside/.claude/commands/c.md", "");
    tree_put("../root2/.claude/commands/c.md", "");
    tree_put(".claude/commands/c.md", "");
    found_project p;
    assert_int_equal(discover_read(&tree_arena, tree_root, arena_printf(&tree_arena, "%s/outside", tree_top), &p),
                     -ENOENT);
    assert_int_equal(discover_read(&tree_arena, tree_root, arena_printf(&tree_arena, "%s/root2", tree_top), &p),
                     -ENOENT);
    assert_int_equal(read_at("../outside", &p), -ENOENT);
    assert_int_equal(read_at("missing", &p), -ENOENT);
    assert_int_equal(read_at("", &p), 0);
    assert_str(p.name, "root");
    tree_folder("plain");
    assert_int_equal(read_at("plain", &p), -ENOENT);
    tree_put("file", "");
    assert_int_equal(read_at("file", &p), -ENOENT);
}

static void loops_of_folders_by_links_end(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/x/SKILL.md", "");
    tree_link("p/again", "..");
    tree_link("p/.claude/skills/x/up", "../..");
    tree_link("p/.claude/skills/all", "../..");
    assert_str(projects_found(NULL), "p");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "skill:x");
}

static void what_is_no_file_is_passed_over_without_waiting(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/x/SKILL.md", "");
    tree_folder("p/.claude/commands");
    tree_folder("p/.claude/skills/y");
    assert_int_equal(mkfifo(tree_path("p/.claude/commands/fifo.md"), 0644), 0);
    assert_int_equal(mkfifo(tree_path("p/.claude/skills/y/SKILL.md"), 0644), 0);
    assert_int_equal(mkfifo(tree_path("p/.claude/skills/x/fifo"), 0644), 0);
    tree_link("p/.claude/commands/to-fifo.md", "fifo.md");
    tree_link("p/.claude/skills/x/link", "fifo");
    assert_str(projects_found(NULL), "p");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "skill:x");

    assert_int_equal(mkfifo(tree_path("p/.claude/.skillmeat-deployed.toml"), 0644), 0);
    assert_int_equal(read_at("p", &p), 0);
    assert_str(p.why, ".claude/.skillmeat-deployed.toml: not a file");
    assert_str(artifacts_of(&p), "skill:x");
}

static void an_artifact_that_is_too_large_has_no_hash_and_is_said(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/big/SKILL.md", "---\nversion: 1.0.0\n---\n");
    tree_put("p/.claude/skills/big/blob", "");
    assert_int_equal(truncate(tree_path("p/.claude/skills/big/blob"), (off_t)1 << 40), 0); /* a hole: takes no space */
    tree_put("p/.claude/skills/many/SKILL.md", "");
    for (int i = 0; i < DISCOVER_FILES_MAX; i++)
        tree_put(arena_printf(&tree_arena, "p/.claude/skills/many/%d", i).p, "");
    tree_put("p/.claude/commands/fine.md", "");
    found_project p;
    assert_int_equal(read_at("p", &p), 0);
    assert_str(artifacts_of(&p), "command:fine skill:big skill:many");
    assert_str(p.why, ".claude/skills/big/blob: too large (and 1 more)");
    assert_null(artifact_named(&p, "big")->content_hash.p);
    assert_str(artifact_named(&p, "big")->version, "1.0.0");
    assert_null(artifact_named(&p, "many")->content_hash.p);
    assert_non_null(artifact_named(&p, "fine")->content_hash.p);
}

static void folders_without_files_are_counted_too(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/hollow/SKILL.md", "");
    for (int i = 0; i < DISCOVER_FILES_MAX; i++)
        assert_int_equal(mkdir(tree_path(arena_printf(&tree_arena, "p/.claude/skills/hollow/%d", i).p), 0755), 0);
    found_project p;
    assert_int_equal(read_at("p", &p), 0);
    assert_non_null(p.why.p);
    assert_null(artifact_named(&p, "hollow")->content_hash.p);

    assert_int_equal(rmdir(tree_path("p/.claude/skills/hollow/0")), 0); /* as many as there may be, its own too */
    assert_int_equal(read_at("p", &p), 0);
    assert_null(p.why.p);
    assert_non_null(artifact_named(&p, "hollow")->content_hash.p);
}

static void folders_too_deep_have_no_hash_and_end(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/deep/SKILL.md", "");
    tree_put("p/.claude/skills/deep/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/x", "");
    found_project p;
    assert_int_equal(read_at("p", &p), 0);
    assert_non_null(p.why.p);
    assert_null(artifact_named(&p, "deep")->content_hash.p);
}

static void broken_files_are_faults_of_their_project_and_the_rest_is_there(void **state)
{
    (void)state;
    tree_put("p/.claude/.skillmeat-deployed.toml", "[[deployed]]\nartifact_name = 1\n");
    tree_put("p/.claude/.skillmeat-project.toml", "[project\n");
    tree_put("p/.claude/commands/x.md", "---\n: : :\n- [\n---\n");
    found_project p;
    assert_int_equal(read_at("p", &p), 0);
    assert_str(p.why, ".claude/.skillmeat-deployed.toml: line 2: artifact_name must be a text of one line, not too "
                      "long (and 1 more)");
    assert_str(artifacts_of(&p), "command:x");
    assert_str(p.name, "p");
    assert_true(p.misses_lineage);

    tree_put("q/.claude/.skillmeat-deployed.toml", "");
    assert_int_equal(truncate(tree_path("q/.claude/.skillmeat-deployed.toml"), 2 << 20), 0);
    assert_int_equal(read_at("q", &p), 0);
    assert_str(p.why, ".claude/.skillmeat-deployed.toml: too large");
    assert_true(p.misses_lineage);
}

static void what_may_not_be_read_is_a_fault_of_its_project(void **state)
{
    (void)state;
    tree_put("p/.claude/commands/a.md", "");
    tree_put("p/.claude/commands/b.md", "");
    tree_put("p/.claude/skills/s/SKILL.md", "");
    tree_put("q/.claude/commands/x.md", "");
    tree_put("r/.claude/commands/x.md", "");
    tree_put("s/.codex/skills/x/SKILL.md", "");
    tree_put("t/.codex/skills/x/notes.md", ""); /* nothing deployed there, and it may be looked at */
    chmod(tree_path("s/.codex/skills"), 0);
    chmod(tree_path("p/.claude/commands/a.md"), 0);
    chmod(tree_path("p/.claude/skills"), 0);
    chmod(tree_path("q/.claude"), 0);
    chmod(tree_path("r"), 0);
    bool is_root = geteuid() == 0; /* who may read everything */
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    str why;
    found_project p, q, r;
    str found = projects_found(&why);
    int read_p = read_at("p", &p), read_q = read_at("q", &q), read_r = read_at("r", &r);
    found_project s;
    int read_s = read_at("s", &s);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    chmod(tree_path("p/.claude/skills"), 0755);
    chmod(tree_path("q/.claude"), 0755);
    chmod(tree_path("s/.codex/skills"), 0755);
    chmod(tree_path("r"), 0755);

    assert_str(found, "p q s");
    assert_non_null(why.p);
    assert_int_equal(read_p, 0);
    assert_str(p.why, ".claude/commands/a.md: permission denied (and 1 more)");
    assert_str(artifacts_of(&p), "command:a command:b");
    assert_int_equal(read_q, 0);
    assert_str(q.why, ".claude: permission denied");
    assert_true(p.misses_folders && q.misses_folders);
    assert_int_equal(read_s, 0);
    assert_str(s.why, ".codex/skills: permission denied");
    assert_int_equal(read_r, -EACCES);
}

static void names_that_could_not_be_shown_are_left_out_and_said(void **state)
{
    (void)state;
    tree_put("p/.claude/commands/fine.md", "");
    tree_put("p/.claude/commands/bad\xff.md", "");
    tree_put("p/.claude/commands/line\nbreak.md", "");
    tree_put("bad\x01/.claude/commands/x.md", "");
    tree_put("src/caf\xe9/x", "");
    tree_put("src/caf\xe8", ""); /* a file, where only folders are looked at */
    str why;
    found_project p;
    assert_str(projects_found(&why), "p");
    assert_str(why, ".: 1 name left out: control characters, or no UTF-8 (and 1 more)");
    assert_int_equal(read_at("p", &p), 0);
    assert_str(artifacts_of(&p), "command:fine");
    assert_str(p.why, ".claude/commands: 2 names left out: control characters, or no UTF-8");
    assert_false(p.misses_folders);
}

static void the_folders_to_watch_are_named(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/x/lib/y", "");
    tree_put("p/.claude/skills/x/SKILL.md", "");
    tree_put("p/.codex/commands/c.md", "");
    found_project p = project_at("p");
    static const char *const wanted[] = {"",       "/.claude", "/.claude/skills", "/.claude/skills/x",
                                         "/.codex", "/.codex/commands"};
    assert_int_equal(p.folders.n, COUNT_OF(wanted));
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        assert_true(str_eq(p.folders.v[i], arena_printf(&tree_arena, STR_FMT "/p%s", STR_ARG(tree_root), wanted[i])));
    assert_true(discover_notices(STR("SKILL.md")) && discover_notices(STR(".skillmeat-deployed.toml")));
    assert_true(discover_notices(STR("run.py")) && discover_notices(STR("skills")));
    static const char *const passing[] = {"x.md~", ".x.md.swp", "x.tmp", ".#x.md", ".git", "__pycache__", ".DS_Store"};
    for (size_t i = 0; i < COUNT_OF(passing); i++)
        assert_false(discover_notices(str_c(passing[i])));
}

static void descriptors_are_given_back(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/x/a/b/c", "");
    tree_put("p/.claude/skills/x/SKILL.md", "");
    tree_put("p/.claude/.skillmeat-deployed.toml", "broken");
    tree_folder("p/.claude/mcp");
    assert_int_equal(mkfifo(tree_path("p/.claude/mcp/x"), 0644), 0);
    int before = open("/dev/null", O_RDONLY);
    close(before);
    found_project p;
    str why;
    for (int i = 0; i < 3; i++) {
        projects_found(&why);
        read_at("p", &p);
        read_at("missing", &p);
    }
    int after = open("/dev/null", O_RDONLY);
    close(after);
    assert_int_equal(before, after);
}

static void missing_memory_is_an_error_at_every_step(void **state)
{
    (void)state;
    tree_put("p/.claude/.skillmeat-deployed.toml", "[[deployed]]\nartifact_name = 'x'\nartifact_type = 'skill'\n");
    tree_put("p/.claude/skills/x/SKILL.md", "---\nversion: 1\n---\n");
    tree_put("p/.claude/commands/x.md", "");
    str path = arena_printf(&tree_arena, STR_FMT "/p", STR_ARG(tree_root));
    for (long nth = 0; unit_next_fault(&nth);) {
        arena fresh;
        arena_init(&fresh, 0);
        strs paths, folders;
        str why;
        found_project p;
        int walked = discover_projects(&fresh, tree_root, &paths, &folders, &why);
        int read = discover_read(&fresh, tree_root, path, &p);
        bool failed = mem_failed();
        assert_true(failed ? walked == -ENOMEM || read == -ENOMEM : walked == 0 && read == 0);
        arena_done(&fresh);
    }
    for (size_t left = 0; left < 4000; left += 16) {
        arena tight;
        unit_tight_arena(&tight, left);
        strs paths, folders;
        str why;
        found_project p;
        int walked = discover_projects(&tight, tree_root, &paths, &folders, &why);
        assert_true(walked == 0 || walked == -ENOMEM);
        arena_done(&tight);
        unit_tight_arena(&tight, left);
        int read = discover_read(&tight, tree_root, path, &p);
        assert_true(read == 0 || read == -ENOMEM);
        arena_done(&tight);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(links_within_the_root_are_followed),
        TEST(links_out_of_the_root_and_to_nowhere_count_as_not_there),
        TEST(a_path_outside_the_root_is_not_read),
        TEST(loops_of_folders_by_links_end),
        TEST(what_is_no_file_is_passed_over_without_waiting),
        TEST(an_artifact_that_is_too_large_has_no_hash_and_is_said),
        TEST(folders_without_files_are_counted_too),
        TEST(folders_too_deep_have_no_hash_and_end),
        TEST(broken_files_are_faults_of_their_project_and_the_rest_is_there),
        TEST(what_may_not_be_read_is_a_fault_of_its_project),
        TEST(names_that_could_not_be_shown_are_left_out_and_said),
        TEST(the_folders_to_watch_are_named),
        TEST(descriptors_are_given_back),
        TEST(missing_memory_is_an_error_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
