/* Discovery on real folders: what is a project, and what is deployed there. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "larder/hash.h"
#include "tree.h"

/* ---- which folders are projects ---- */

static void a_folder_with_a_deployment_file_or_an_artifact_is_a_project(void **state)
{
    (void)state;
    tree_put("a/.claude/.skillmeat-deployed.toml", "");
    tree_put("b/.codex/skills/x/SKILL.md", "");
    tree_put("c/.gemini/commands/x.md", "");
    tree_put("d/.cursor/agents/x.md", "");
    tree_put("e/.claude/hooks/x.sh", "");
    tree_put("f/.claude/mcp/x/server.json", "");
    tree_put("g/.claude/skills/x/skill.MD", "");
    tree_folder("no1/.claude/skills/x");
    tree_put("no2/.claude/skills/x/README.md", "");
    tree_put("no3/.claude/skills/SKILL.md", "");
    tree_put("no4/.claude/commands/x.txt", "");
    tree_put("no5/.claude/commands/README.md", "");
    tree_put("no6/.claude/settings.json", "");
    tree_put("no7/.vscode/commands/x.md", "");
    tree_put("no8/claude/commands/x.md", "");
    tree_put("no9/.claude/commands/.hidden.md", "");
    tree_put("no10/.claude", "a file");
    tree_folder("no11/.claude/.skillmeat-deployed.toml");
    tree_put("no12/.claude/commands", "a file");
    assert_str(projects_found(NULL), "a b c d e f g");
}

static void projects_are_looked_for_three_levels_deep_and_in_each_other(void **state)
{
    (void)state;
    tree_put(".claude/commands/x.md", "");
    tree_put("1/.claude/commands/x.md", "");
    tree_put("1/2/.claude/commands/x.md", "");
    tree_put("1/2/3/.claude/commands/x.md", "");
    tree_put("1/2/3/4/.claude/commands/x.md", "");
    tree_put(".claude/nested/.claude/commands/x.md", "");
    assert_str(projects_found(NULL), ". 1 1/2 1/2/3");
}

static void folders_of_other_tools_are_not_looked_into(void **state)
{
    (void)state;
    static const char *const skipped[] = {
        "node_modules", ".git",   "venv", ".venv", "__pycache__", ".npm",  ".cargo", ".rustup", ".cache",
        ".local",       "vendor", "dist", "build", ".next",       ".nuxt", "target", "Pods",    ".gradle",
    };
    for (size_t i = 0; i < COUNT_OF(skipped); i++)
        tree_put(arena_printf(&tree_arena, "a/%s/p/.claude/commands/x.md", skipped[i]).p, "");
    tree_put("a/.other/p/.claude/commands/x.md", "");
    tree_put("a/buildings/.claude/commands/x.md", "");
    assert_str(projects_found(NULL), "a/.other/p a/buildings");
}

static void a_root_that_is_not_there_is_said(void **state)
{
    (void)state;
    strs paths, folders;
    str why = STR_NULL, missing = arena_printf(&tree_arena, "%s/missing", tree_top);
    assert_int_equal(discover_projects(&tree_arena, missing, &paths, &folders, &why), 0);
    assert_int_equal(paths.n, 0);
    assert_true(str_eq(why, arena_printf(&tree_arena, STR_FMT ": not found", STR_ARG(missing))));
    found_project p;
    assert_int_equal(discover_read(&tree_arena, missing, missing, &p), -ENOENT);
    assert_int_equal(discover_projects(&tree_arena, STR("relative"), &paths, &folders, &why), 0);
    assert_non_null(why.p);
}

static void a_root_may_be_a_link_and_paths_are_canonical(void **state)
{
    (void)state;
    tree_put("p/.claude/commands/x.md", "");
    str link = arena_printf(&tree_arena, "%s/link", tree_top);
    assert_int_equal(symlink("root", link.p), 0);
    strs paths, folders;
    str why = STR_NULL;
    assert_int_equal(discover_projects(&tree_arena, link, &paths, &folders, &why), 0);
    assert_int_equal(paths.n, 1);
    assert_true(str_eq(paths.v[0], arena_printf(&tree_arena, STR_FMT "/p", STR_ARG(tree_root))));
    found_project p;
    assert_int_equal(discover_read(&tree_arena, link, paths.v[0], &p), 0);
    assert_str(artifacts_of(&p), "command:x");
}

static void of_the_folders_to_watch_the_projects_own_is_the_first_even_if_it_cannot_be_opened(void **state)
{
    (void)state;
    strs opened, other;
    tree_put("p/.claude/commands/x.md", "");
    tree_put("p/.claude/agents/y.md", "");
    const str path = arena_printf(&tree_arena, STR_FMT "/p", STR_ARG(tree_root));
    const str link = arena_printf(&tree_arena, "%s/unopened", tree_top); /* links are not followed */
    assert_int_equal(symlink(path.p, link.p), 0);
    assert_int_equal(discover_folders_of(&tree_arena, path, &opened), 0);
    assert_int_equal(discover_folders_of(&tree_arena, link, &other), 0);
    assert_int_equal(opened.n, 4); /* itself, .claude, agents, commands */
    assert_int_equal(other.n, 4);
    assert_true(str_eq(opened.v[0], path));
    assert_true(str_eq(other.v[0], link));
    found_project found;
    assert_int_equal(discover_read(&tree_arena, tree_root, path, &found), 0);
    for (size_t i = 0; i < found.folders.n; i++) /* in the same order: else all would be watched anew */
        assert_true(str_eq(found.folders.v[i], opened.v[i]));
}

/* ---- what is deployed ---- */

static void artifacts_are_found_where_the_layouts_say_in_order_and_once(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/zip/SKILL.md", "");
    tree_put("p/.claude/skills/pdf/SKILL.md", "");
    tree_put("p/.claude/skills/none/notes.md", "");
    tree_put("p/.claude/commands/review.md", "");
    tree_put("p/.claude/commands/sub/deep.md", "");
    tree_put("p/.claude/agents/helper.md", "");
    tree_put("p/.claude/hooks/lint.sh", "");
    tree_put("p/.claude/hooks/lint.json", "");
    tree_put("p/.claude/hooks/guard/hook.md", "");
    tree_put("p/.claude/mcp/db/server.json", "");
    tree_put("p/.claude/mcp/web.json", "");
    tree_put("p/.codex/skills/pdf/SKILL.md", "another");
    tree_put("p/.codex/skills/only/SKILL.md", "");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "agent:helper command:review hook:guard hook:lint mcp:db mcp:web skill:only "
                                 "skill:pdf skill:zip");
    assert_str(artifact_named(&p, "pdf")->path, ".claude/skills/pdf");
    assert_str(artifact_named(&p, "review")->path, ".claude/commands/review.md");
    assert_str(artifact_named(&p, "lint")->path, ".claude/hooks/lint.json");
    assert_str(artifact_named(&p, "only")->path, ".codex/skills/only");
    assert_str(p.name, "p");
    assert_true(str_eq(p.path, arena_printf(&tree_arena, STR_FMT "/p", STR_ARG(tree_root))));
}

static void frontmatter_gives_version_description_and_tags(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/pdf/SKILL.md",
             "---\nname: PDF\nversion: 1.2.0\ndescription: Reads PDF files\ntags: [pdf, docs]\n---\nbody");
    tree_put("p/.claude/commands/review.md", "---\ndescription: Reviews\n---\n");
    tree_put("p/.claude/mcp/db/MCP.md", "---\nversion: 2.0.0\n---\n");
    tree_put("p/.claude/agents/plain.md", "no frontmatter");
    tree_put("p/.claude/hooks/x.sh", "---\nversion: 9\n---\n");
    found_project p = project_at("p");
    const found_artifact *pdf = artifact_named(&p, "pdf");
    assert_str(pdf->version, "1.2.0");
    assert_str(pdf->description, "Reads PDF files");
    assert_int_equal(pdf->tags.n, 2);
    assert_str(pdf->tags.v[1], "docs");
    assert_null(pdf->source.p);
    assert_str(artifact_named(&p, "review")->description, "Reviews");
    assert_str(artifact_named(&p, "db")->version, "2.0.0");
    assert_null(artifact_named(&p, "plain")->version.p);
    assert_null(artifact_named(&p, "x")->version.p);
}

static void the_deployment_file_gives_source_hash_and_version(void **state)
{
    (void)state;
    tree_put("p/.claude/.skillmeat-deployed.toml",
             "[[deployed]]\n"
             "artifact_name = 'pdf'\nartifact_type = 'skill'\n"
             "artifact_path = 'skills/pdf'\ncontent_hash = 'abc'\n"
             "source = 'github:o/r/pdf@v1'\nversion_lineage = ['1.0.0']\n"
             "[[deployed]]\n"
             "artifact_name = 'review.md'\nartifact_type = 'command'\n"
             "source = 'github:o/r/review'\nversion_lineage = ['3.0.0', '2.0.0']\n"
             "[[deployed]]\n"
             "artifact_name = 'style'\nartifact_type = 'rule_file'\n"
             "artifact_path = 'rules/style.md'\n"
             "[[deployed]]\n"
             "artifact_name = 'gone'\nartifact_type = 'skill'\n"
             "artifact_path = 'skills/gone'\n"
             "[[deployed]]\n"
             "artifact_name = 'other'\nartifact_type = 'agent'\n");
    tree_put("p/.claude/.skillmeat-project.toml", "[project]\nname = 'The shop'\n");
    tree_put("p/.claude/skills/pdf/SKILL.md", "---\nversion: 1.1.0\n---\n");
    tree_put("p/.claude/commands/review.md", "");
    tree_put("p/.claude/rules/style.md", "---\ndescription: How to write\n---\n");
    tree_put("p/.codex/commands/review.md", "");
    found_project p = project_at("p");
    assert_str(p.name, "The shop");
    assert_str(artifacts_of(&p), "command:review rule_file:style skill:pdf");
    const found_artifact *pdf = artifact_named(&p, "pdf"), *review = artifact_named(&p, "review");
    assert_str(pdf->version, "1.1.0");
    assert_str(pdf->source, "github:o/r/pdf@v1");
    assert_str(pdf->deployed_hash, "abc");
    assert_str(review->version, "3.0.0");
    assert_str(review->source, "github:o/r/review");
    assert_null(review->deployed_hash.p);
    assert_str(artifact_named(&p, "style")->path, ".claude/rules/style.md");
    assert_str(artifact_named(&p, "style")->description, "How to write");
}

/* ---- content ---- */

static str hash_of(const char *lines)
{
    uint8_t digest[SHA256_LEN];
    char hex[HEX_LEN(SHA256_LEN)];
    sha256(lines, strlen(lines), digest);
    hex_encode(digest, sizeof(digest), hex);
    return arena_dup(&tree_arena, str_of(hex, sizeof(hex)));
}

/* git's names, as `git hash-object` gives them */
#define BLOB_HELLO "ce013625030ba8dba906f756967f9e9ca394464a" /* "hello\n" */
#define BLOB_EMPTY "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
#define BLOB_TO_A "8d14cbf983b3fad683171c9418998d9f68340823" /* "a.txt" */

static void the_content_hash_is_over_sorted_paths_and_gits_names(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/x/SKILL.md", "hello\n");
    tree_put("p/.claude/skills/x/a.txt", "");
    tree_put("p/.claude/skills/x/a/b.txt", "hello\n");
    tree_link("p/.claude/skills/x/link", "a.txt");
    tree_put("p/.claude/skills/x/.git/config", "not counted");
    tree_put("p/.claude/skills/x/lib/__pycache__/m.pyc", "not counted");
    tree_put("p/.claude/skills/x/node_modules/m/index.js", "not counted");
    tree_put("p/.claude/skills/x/.DS_Store", "not counted");
    tree_folder("p/.claude/skills/x/empty");
    tree_put("p/.claude/commands/c.md", "hello\n");
    found_project p = project_at("p");
    str wanted = hash_of("SKILL.md:" BLOB_HELLO "\na.txt:" BLOB_EMPTY "\na/b.txt:" BLOB_HELLO "\nlink:" BLOB_TO_A);
    assert_true(str_eq(artifact_named(&p, "x")->content_hash, wanted));
    assert_true(str_eq(artifact_named(&p, "c")->content_hash, hash_of("c.md:" BLOB_HELLO)));
}

static void the_hash_of_a_large_file_needs_no_large_memory(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/x/SKILL.md", "hello\n");
    tree_put("p/.claude/skills/x/zeros", "");
    assert_int_equal(truncate(tree_path("p/.claude/skills/x/zeros"), 40 << 20), 0);
    found_project p = project_at("p");
    str wanted = hash_of("SKILL.md:" BLOB_HELLO "\nzeros:273797e9996d90a679e8ffa9661ced00e3c63261");
    assert_true(str_eq(artifact_named(&p, "x")->content_hash, wanted));
    assert_true(tree_arena.total < 1 << 20);
}

static void a_change_anywhere_in_an_artifact_changes_its_hash(void **state)
{
    (void)state;
    tree_put("p/.claude/skills/x/SKILL.md", "1");
    tree_put("p/.claude/skills/x/deep/er/file", "1");
    found_project p = project_at("p");
    str before = p.artifacts[0].content_hash;
    tree_put("p/.claude/skills/x/deep/er/file", "2");
    p = project_at("p");
    assert_false(str_eq(before, p.artifacts[0].content_hash));
    tree_put("p/.claude/skills/x/deep/er/file", "1");
    p = project_at("p");
    assert_true(str_eq(before, p.artifacts[0].content_hash));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_with_a_deployment_file_or_an_artifact_is_a_project),
        TEST(projects_are_looked_for_three_levels_deep_and_in_each_other),
        TEST(folders_of_other_tools_are_not_looked_into),
        TEST(a_root_that_is_not_there_is_said),
        TEST(a_root_may_be_a_link_and_paths_are_canonical),
        TEST(of_the_folders_to_watch_the_projects_own_is_the_first_even_if_it_cannot_be_opened),
        TEST(artifacts_are_found_where_the_layouts_say_in_order_and_once),
        TEST(frontmatter_gives_version_description_and_tags),
        TEST(the_deployment_file_gives_source_hash_and_version),
        TEST(the_content_hash_is_over_sorted_paths_and_gits_names),
        TEST(the_hash_of_a_large_file_needs_no_large_memory),
        TEST(a_change_anywhere_in_an_artifact_changes_its_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
