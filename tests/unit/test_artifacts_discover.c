/* Discovery on real folders: what is a project, what is deployed there, and that nothing on a disk leads it out of the
 * root, makes it wait, or ends more than what it touches. */
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder/discover.h"
#include "larder/hash.h"

static arena a;
static char top[PATH_MAX]; /* holds root and outside */
static str root;

static const char *in(const char *path)
{
    return arena_printf(&a, "%s/root/%s", top, path).p;
}

static void make_folder(const char *path)
{
    char *full = arena_cstr(&a, str_c(in(path)));
    for (char *p = full + strlen(top) + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(full, 0755);
            *p = '/';
        }
    mkdir(full, 0755);
}

static void put(const char *path, const char *text)
{
    ptrdiff_t slash = str_rchr(str_c(path), '/');
    make_folder(arena_cstr(&a, str_head(str_c(path), slash > 0 ? (size_t)slash : 0)));
    FILE *f = fopen(in(path), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

static void put_link(const char *path, const char *target)
{
    assert_int_equal(symlink(target, in(path)), 0);
}

static int setup(void **state)
{
    (void)state;
    arena_init(&a, 0);
    char made[] = "/tmp/larder-discover-XXXXXX";
    assert_non_null(mkdtemp(made));
    assert_non_null(realpath(made, top));
    chmod(top, 0755);
    root = arena_printf(&a, "%s/root", top);
    make_folder("");
    assert_int_equal(mkdir(arena_printf(&a, "%s/outside", top).p, 0755), 0);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_done(&a);
    return 0;
}

/* "a b/c": the projects below the root; a fault fails the test unless `ret_why` is wanted. */
static str projects_found(str *ret_why)
{
    strs paths;
    str why = STR_NULL, all = STR("");
    assert_int_equal(discover_projects(&a, root, &paths, &why), 0);
    if (ret_why)
        *ret_why = why;
    else if (why.p)
        fail_msg(STR_FMT, STR_ARG(why));
    for (size_t i = 0; i < paths.n; i++) {
        str path = str_from(paths.v[i], root.n);
        path = path.n > 0 ? str_from(path, 1) : STR(".");
        all = arena_printf(&a, STR_FMT "%s" STR_FMT, STR_ARG(all), i > 0 ? " " : "", STR_ARG(path));
    }
    return all;
}

static int read_at(const char *path, found_project *p)
{
    str full = *path ? arena_printf(&a, STR_FMT "/%s", STR_ARG(root), path) : root;
    *p = (found_project){0};
    return discover_read(&a, root, full, p);
}

/* The project at `path`, without faults. */
static found_project project_at(const char *path)
{
    found_project p;
    assert_int_equal(read_at(path, &p), 0);
    if (p.why.p)
        fail_msg(STR_FMT, STR_ARG(p.why));
    return p;
}

/* "skill:pdf command:review" */
static str artifacts_of(const found_project *p)
{
    str all = STR("");
    for (size_t i = 0; i < p->n; i++)
        all = arena_printf(&a, STR_FMT "%s" STR_FMT ":" STR_FMT, STR_ARG(all), i > 0 ? " " : "",
                           STR_ARG(p->artifacts[i].type), STR_ARG(p->artifacts[i].name));
    return all;
}

static const found_artifact *artifact_named(const found_project *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->artifacts[i].name, str_c(name)))
            return &p->artifacts[i];
    fail_msg("no %s", name);
    return NULL;
}

/* ---- which folders are projects ---- */

static void a_folder_with_a_deployment_file_or_an_artifact_is_a_project(void **state)
{
    (void)state;
    put("a/.claude/.skillmeat-deployed.toml", "");
    put("b/.codex/skills/x/SKILL.md", "");
    put("c/.gemini/commands/x.md", "");
    put("d/.cursor/agents/x.md", "");
    put("e/.claude/hooks/x.sh", "");
    put("f/.claude/mcp/x/server.json", "");
    put("g/.claude/skills/x/skill.MD", "");
    make_folder("no1/.claude/skills/x");
    put("no2/.claude/skills/x/README.md", "");
    put("no3/.claude/skills/SKILL.md", "");
    put("no4/.claude/commands/x.txt", "");
    put("no5/.claude/commands/README.md", "");
    put("no6/.claude/settings.json", "");
    put("no7/.vscode/commands/x.md", "");
    put("no8/claude/commands/x.md", "");
    put("no9/.claude/commands/.hidden.md", "");
    put("no10/.claude", "a file");
    make_folder("no11/.claude/.skillmeat-deployed.toml");
    put("no12/.claude/commands", "a file");
    assert_str(projects_found(NULL), "a b c d e f g");
}

static void projects_are_looked_for_three_levels_deep_and_in_each_other(void **state)
{
    (void)state;
    put(".claude/commands/x.md", "");
    put("1/.claude/commands/x.md", "");
    put("1/2/.claude/commands/x.md", "");
    put("1/2/3/.claude/commands/x.md", "");
    put("1/2/3/4/.claude/commands/x.md", "");
    put(".claude/nested/.claude/commands/x.md", "");
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
        put(arena_printf(&a, "a/%s/p/.claude/commands/x.md", skipped[i]).p, "");
    put("a/.other/p/.claude/commands/x.md", "");
    put("a/buildings/.claude/commands/x.md", "");
    assert_str(projects_found(NULL), "a/.other/p a/buildings");
}

static void a_root_that_is_not_there_is_said(void **state)
{
    (void)state;
    strs paths;
    str why = STR_NULL, missing = arena_printf(&a, "%s/missing", top);
    assert_int_equal(discover_projects(&a, missing, &paths, &why), 0);
    assert_int_equal(paths.n, 0);
    assert_true(str_eq(why, arena_printf(&a, STR_FMT ": not found", STR_ARG(missing))));
    found_project p;
    assert_int_equal(discover_read(&a, missing, missing, &p), -ENOENT);
    assert_int_equal(discover_projects(&a, STR("relative"), &paths, &why), 0);
    assert_non_null(why.p);
}

static void a_root_may_be_a_link_and_paths_are_canonical(void **state)
{
    (void)state;
    put("p/.claude/commands/x.md", "");
    str link = arena_printf(&a, "%s/link", top);
    assert_int_equal(symlink("root", link.p), 0);
    strs paths;
    str why = STR_NULL;
    assert_int_equal(discover_projects(&a, link, &paths, &why), 0);
    assert_int_equal(paths.n, 1);
    assert_true(str_eq(paths.v[0], arena_printf(&a, STR_FMT "/p", STR_ARG(root))));
    found_project p;
    assert_int_equal(discover_read(&a, link, paths.v[0], &p), 0);
    assert_str(artifacts_of(&p), "command:x");
}

/* ---- what is deployed ---- */

static void artifacts_are_found_where_the_layouts_say_in_order_and_once(void **state)
{
    (void)state;
    put("p/.claude/skills/zip/SKILL.md", "");
    put("p/.claude/skills/pdf/SKILL.md", "");
    put("p/.claude/skills/none/notes.md", "");
    put("p/.claude/commands/review.md", "");
    put("p/.claude/commands/sub/deep.md", "");
    put("p/.claude/agents/helper.md", "");
    put("p/.claude/hooks/lint.sh", "");
    put("p/.claude/hooks/lint.json", "");
    put("p/.claude/hooks/guard/hook.md", "");
    put("p/.claude/mcp/db/server.json", "");
    put("p/.claude/mcp/web.json", "");
    put("p/.codex/skills/pdf/SKILL.md", "another");
    put("p/.codex/skills/only/SKILL.md", "");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "agent:helper command:review hook:guard hook:lint mcp:db mcp:web skill:only "
                                 "skill:pdf skill:zip");
    assert_str(artifact_named(&p, "pdf")->path, ".claude/skills/pdf");
    assert_str(artifact_named(&p, "review")->path, ".claude/commands/review.md");
    assert_str(artifact_named(&p, "lint")->path, ".claude/hooks/lint.json");
    assert_str(artifact_named(&p, "only")->path, ".codex/skills/only");
    assert_str(p.name, "p");
    assert_true(str_eq(p.path, arena_printf(&a, STR_FMT "/p", STR_ARG(root))));
}

static void frontmatter_gives_version_description_and_tags(void **state)
{
    (void)state;
    put("p/.claude/skills/pdf/SKILL.md",
        "---\nname: PDF\nversion: 1.2.0\ndescription: Reads PDF files\ntags: [pdf, docs]\n---\nbody");
    put("p/.claude/commands/review.md", "---\ndescription: Reviews\n---\n");
    put("p/.claude/mcp/db/MCP.md", "---\nversion: 2.0.0\n---\n");
    put("p/.claude/agents/plain.md", "no frontmatter");
    put("p/.claude/hooks/x.sh", "---\nversion: 9\n---\n");
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
    put("p/.claude/.skillmeat-deployed.toml", "[[deployed]]\n"
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
    put("p/.claude/.skillmeat-project.toml", "[project]\nname = 'The shop'\n");
    put("p/.claude/skills/pdf/SKILL.md", "---\nversion: 1.1.0\n---\n");
    put("p/.claude/commands/review.md", "");
    put("p/.claude/rules/style.md", "---\ndescription: How to write\n---\n");
    put("p/.codex/commands/review.md", "");
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
    return arena_dup(&a, str_of(hex, sizeof(hex)));
}

/* git's names, as `git hash-object` gives them */
#define BLOB_HELLO "ce013625030ba8dba906f756967f9e9ca394464a" /* "hello\n" */
#define BLOB_EMPTY "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
#define BLOB_TO_A "8d14cbf983b3fad683171c9418998d9f68340823" /* "a.txt" */

static void the_content_hash_is_over_sorted_paths_and_gits_names(void **state)
{
    (void)state;
    put("p/.claude/skills/x/SKILL.md", "hello\n");
    put("p/.claude/skills/x/a.txt", "");
    put("p/.claude/skills/x/a/b.txt", "hello\n");
    put_link("p/.claude/skills/x/link", "a.txt");
    put("p/.claude/skills/x/.git/config", "not counted");
    put("p/.claude/skills/x/lib/__pycache__/m.pyc", "not counted");
    put("p/.claude/skills/x/node_modules/m/index.js", "not counted");
    put("p/.claude/skills/x/.DS_Store", "not counted");
    make_folder("p/.claude/skills/x/empty");
    put("p/.claude/commands/c.md", "hello\n");
    found_project p = project_at("p");
    str wanted = hash_of("SKILL.md:" BLOB_HELLO "\na.txt:" BLOB_EMPTY "\na/b.txt:" BLOB_HELLO "\nlink:" BLOB_TO_A);
    assert_true(str_eq(artifact_named(&p, "x")->content_hash, wanted));
    assert_true(str_eq(artifact_named(&p, "c")->content_hash, hash_of("c.md:" BLOB_HELLO)));
}

static void the_hash_of_a_large_file_needs_no_large_memory(void **state)
{
    (void)state;
    put("p/.claude/skills/x/SKILL.md", "hello\n");
    put("p/.claude/skills/x/zeros", "");
    assert_int_equal(truncate(in("p/.claude/skills/x/zeros"), 40 << 20), 0);
    found_project p = project_at("p");
    str wanted = hash_of("SKILL.md:" BLOB_HELLO "\nzeros:273797e9996d90a679e8ffa9661ced00e3c63261");
    assert_true(str_eq(artifact_named(&p, "x")->content_hash, wanted));
    assert_true(a.total < 1 << 20);
}

static void a_change_anywhere_in_an_artifact_changes_its_hash(void **state)
{
    (void)state;
    put("p/.claude/skills/x/SKILL.md", "1");
    put("p/.claude/skills/x/deep/er/file", "1");
    found_project p = project_at("p");
    str before = p.artifacts[0].content_hash;
    put("p/.claude/skills/x/deep/er/file", "2");
    p = project_at("p");
    assert_false(str_eq(before, p.artifacts[0].content_hash));
    put("p/.claude/skills/x/deep/er/file", "1");
    p = project_at("p");
    assert_true(str_eq(before, p.artifacts[0].content_hash));
}

/* ---- what a disk may hold ---- */

static void links_within_the_root_are_followed(void **state)
{
    (void)state;
    put("shared/pdf/SKILL.md", "---\nversion: 1.0.0\n---\n");
    put("shared/review.md", "");
    make_folder("p/.claude/skills");
    make_folder("p/.claude/commands");
    put_link("p/.claude/skills/pdf", "../../../shared/pdf");
    put_link("p/.claude/commands/review.md", "../../../shared/review.md");
    make_folder("q");
    put_link("q/.claude", "../p/.claude");
    put_link("p/.claude/commands/folder.md", "../../../shared");
    put_link("p/.claude/skills/file", "../../../shared/review.md");
    assert_str(projects_found(NULL), "p q");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "command:review skill:pdf");
    assert_str(p.artifacts[1].version, "1.0.0");
}

static void links_out_of_the_root_and_to_nowhere_count_as_not_there(void **state)
{
    (void)state;
    put("../outside/pdf/SKILL.md", "---\nversion: 1.0.0\n---\nsecret");
    put("../outside/.claude/commands/c.md", "");
    put("p/.claude/commands/here.md", "");
    make_folder("p/.claude/skills");
    put_link("p/.claude/skills/relative", "../../../../outside/pdf");
    put_link("p/.claude/skills/absolute", arena_printf(&a, "%s/outside/pdf", top).p);
    put_link("p/.claude/commands/passwd.md", "/etc/passwd");
    put_link("p/.claude/commands/nowhere.md", "missing.md");
    put_link("p/.claude/commands/self.md", "self.md");
    put_link("p/.claude/commands/loop1.md", "loop2.md");
    put_link("p/.claude/commands/loop2.md", "loop1.md");
    put_link("p/.claude/.skillmeat-deployed.toml", "/etc/passwd");
    put("p/.claude/skills/in/SKILL.md", "");
    put_link("p/.claude/skills/in/secret", "/etc/passwd");
    put_link("linked", "../outside");
    make_folder("q");
    put_link("q/.claude", "../../outside/.claude");
    assert_str(projects_found(NULL), "p");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "command:here skill:in");
    assert_int_equal(read_at("q", &p), -ENOENT);
    assert_int_equal(read_at("linked", &p), -ENOENT);
}

static void a_path_outside_the_root_is_not_read(void **state)
{
    (void)state;
    put("../outside/.claude/commands/c.md", "");
    put("../root2/.claude/commands/c.md", "");
    put(".claude/commands/c.md", "");
    found_project p;
    assert_int_equal(discover_read(&a, root, arena_printf(&a, "%s/outside", top), &p), -ENOENT);
    assert_int_equal(discover_read(&a, root, arena_printf(&a, "%s/root2", top), &p), -ENOENT);
    assert_int_equal(read_at("../outside", &p), -ENOENT);
    assert_int_equal(read_at("missing", &p), -ENOENT);
    assert_int_equal(read_at("", &p), 0);
    assert_str(p.name, "root");
    make_folder("plain");
    assert_int_equal(read_at("plain", &p), -ENOENT);
    put("file", "");
    assert_int_equal(read_at("file", &p), -ENOENT);
}

static void loops_of_folders_by_links_end(void **state)
{
    (void)state;
    put("p/.claude/skills/x/SKILL.md", "");
    put_link("p/again", "..");
    put_link("p/.claude/skills/x/up", "../..");
    put_link("p/.claude/skills/all", "../..");
    assert_str(projects_found(NULL), "p");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "skill:x");
}

static void what_is_no_file_is_passed_over_without_waiting(void **state)
{
    (void)state;
    put("p/.claude/skills/x/SKILL.md", "");
    make_folder("p/.claude/commands");
    make_folder("p/.claude/skills/y");
    assert_int_equal(mkfifo(in("p/.claude/commands/fifo.md"), 0644), 0);
    assert_int_equal(mkfifo(in("p/.claude/skills/y/SKILL.md"), 0644), 0);
    assert_int_equal(mkfifo(in("p/.claude/skills/x/fifo"), 0644), 0);
    put_link("p/.claude/commands/to-fifo.md", "fifo.md");
    put_link("p/.claude/skills/x/link", "fifo");
    assert_str(projects_found(NULL), "p");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "skill:x");

    assert_int_equal(mkfifo(in("p/.claude/.skillmeat-deployed.toml"), 0644), 0);
    assert_int_equal(read_at("p", &p), 0);
    assert_str(p.why, ".claude/.skillmeat-deployed.toml: not a file");
    assert_str(artifacts_of(&p), "skill:x");
}

static void an_artifact_that_is_too_large_has_no_hash_and_is_said(void **state)
{
    (void)state;
    put("p/.claude/skills/big/SKILL.md", "---\nversion: 1.0.0\n---\n");
    put("p/.claude/skills/big/blob", "");
    assert_int_equal(truncate(in("p/.claude/skills/big/blob"), (off_t)1 << 40), 0); /* a hole: takes no space */
    put("p/.claude/skills/many/SKILL.md", "");
    for (int i = 0; i < DISCOVER_FILES_MAX; i++)
        put(arena_printf(&a, "p/.claude/skills/many/%d", i).p, "");
    put("p/.claude/commands/fine.md", "");
    found_project p;
    assert_int_equal(read_at("p", &p), 0);
    assert_str(artifacts_of(&p), "command:fine skill:big skill:many");
    assert_str(p.why, ".claude/skills/big/blob: too large (and 1 more)");
    assert_null(artifact_named(&p, "big")->content_hash.p);
    assert_str(artifact_named(&p, "big")->version, "1.0.0");
    assert_null(artifact_named(&p, "many")->content_hash.p);
    assert_non_null(artifact_named(&p, "fine")->content_hash.p);
}

static void folders_too_deep_have_no_hash_and_end(void **state)
{
    (void)state;
    put("p/.claude/skills/deep/SKILL.md", "");
    put("p/.claude/skills/deep/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/x", "");
    found_project p;
    assert_int_equal(read_at("p", &p), 0);
    assert_non_null(p.why.p);
    assert_null(artifact_named(&p, "deep")->content_hash.p);
}

static void broken_files_are_faults_of_their_project_and_the_rest_is_there(void **state)
{
    (void)state;
    put("p/.claude/.skillmeat-deployed.toml", "[[deployed]]\nartifact_name = 1\n");
    put("p/.claude/.skillmeat-project.toml", "[project\n");
    put("p/.claude/commands/x.md", "---\n: : :\n- [\n---\n");
    found_project p;
    assert_int_equal(read_at("p", &p), 0);
    assert_str(p.why, ".claude/.skillmeat-deployed.toml: line 2: artifact_name must be a text of one line, not too "
                      "long (and 1 more)");
    assert_str(artifacts_of(&p), "command:x");
    assert_str(p.name, "p");

    put("q/.claude/.skillmeat-deployed.toml", "");
    assert_int_equal(truncate(in("q/.claude/.skillmeat-deployed.toml"), 2 << 20), 0);
    assert_int_equal(read_at("q", &p), 0);
    assert_str(p.why, ".claude/.skillmeat-deployed.toml: too large");
}

static void what_may_not_be_read_is_a_fault_of_its_project(void **state)
{
    (void)state;
    put("p/.claude/commands/a.md", "");
    put("p/.claude/commands/b.md", "");
    put("p/.claude/skills/s/SKILL.md", "");
    put("q/.claude/commands/x.md", "");
    put("r/.claude/commands/x.md", "");
    chmod(in("p/.claude/commands/a.md"), 0);
    chmod(in("p/.claude/skills"), 0);
    chmod(in("q/.claude"), 0);
    chmod(in("r"), 0);
    bool is_root = geteuid() == 0; /* who may read everything */
    assert_int_equal(is_root ? seteuid(65534) : 0, 0);
    str why;
    found_project p, q, r;
    str found = projects_found(&why);
    int read_p = read_at("p", &p), read_q = read_at("q", &q), read_r = read_at("r", &r);
    assert_int_equal(is_root ? seteuid(0) : 0, 0);
    chmod(in("p/.claude/skills"), 0755);
    chmod(in("q/.claude"), 0755);
    chmod(in("r"), 0755);

    assert_str(found, "p");
    assert_non_null(why.p);
    assert_int_equal(read_p, 0);
    assert_str(p.why, ".claude/commands/a.md: permission denied (and 1 more)");
    assert_str(artifacts_of(&p), "command:a command:b");
    assert_int_equal(read_q, 0);
    assert_str(q.why, ".claude: permission denied");
    assert_int_equal(read_r, -EACCES);
}

static void names_that_could_not_be_shown_are_passed_over(void **state)
{
    (void)state;
    put("p/.claude/commands/fine.md", "");
    put("p/.claude/commands/bad\xff.md", "");
    put("p/.claude/commands/line\nbreak.md", "");
    put("bad\x01/.claude/commands/x.md", "");
    assert_str(projects_found(NULL), "p");
    found_project p = project_at("p");
    assert_str(artifacts_of(&p), "command:fine");
}

static void descriptors_are_given_back(void **state)
{
    (void)state;
    put("p/.claude/skills/x/a/b/c", "");
    put("p/.claude/skills/x/SKILL.md", "");
    put("p/.claude/.skillmeat-deployed.toml", "broken");
    make_folder("p/.claude/mcp");
    assert_int_equal(mkfifo(in("p/.claude/mcp/x"), 0644), 0);
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
    put("p/.claude/.skillmeat-deployed.toml", "[[deployed]]\nartifact_name = 'x'\nartifact_type = 'skill'\n");
    put("p/.claude/skills/x/SKILL.md", "---\nversion: 1\n---\n");
    put("p/.claude/commands/x.md", "");
    str path = arena_printf(&a, STR_FMT "/p", STR_ARG(root));
    for (long nth = 0; unit_next_fault(&nth);) {
        arena fresh;
        arena_init(&fresh, 0);
        strs paths;
        str why;
        found_project p;
        int walked = discover_projects(&fresh, root, &paths, &why);
        int read = discover_read(&fresh, root, path, &p);
        bool failed = mem_failed();
        assert_true(failed ? walked == -ENOMEM || read == -ENOMEM : walked == 0 && read == 0);
        arena_done(&fresh);
    }
    for (size_t left = 0; left < 4000; left += 16) {
        arena tight;
        unit_tight_arena(&tight, left);
        strs paths;
        str why;
        found_project p;
        int walked = discover_projects(&tight, root, &paths, &why);
        assert_true(walked == 0 || walked == -ENOMEM);
        arena_done(&tight);
        unit_tight_arena(&tight, left);
        int read = discover_read(&tight, root, path, &p);
        assert_true(read == 0 || read == -ENOMEM);
        arena_done(&tight);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_with_a_deployment_file_or_an_artifact_is_a_project),
        TEST(projects_are_looked_for_three_levels_deep_and_in_each_other),
        TEST(folders_of_other_tools_are_not_looked_into),
        TEST(a_root_that_is_not_there_is_said),
        TEST(a_root_may_be_a_link_and_paths_are_canonical),
        TEST(artifacts_are_found_where_the_layouts_say_in_order_and_once),
        TEST(frontmatter_gives_version_description_and_tags),
        TEST(the_deployment_file_gives_source_hash_and_version),
        TEST(the_content_hash_is_over_sorted_paths_and_gits_names),
        TEST(the_hash_of_a_large_file_needs_no_large_memory),
        TEST(a_change_anywhere_in_an_artifact_changes_its_hash),
        TEST(links_within_the_root_are_followed),
        TEST(links_out_of_the_root_and_to_nowhere_count_as_not_there),
        TEST(a_path_outside_the_root_is_not_read),
        TEST(loops_of_folders_by_links_end),
        TEST(what_is_no_file_is_passed_over_without_waiting),
        TEST(an_artifact_that_is_too_large_has_no_hash_and_is_said),
        TEST(folders_too_deep_have_no_hash_and_end),
        TEST(broken_files_are_faults_of_their_project_and_the_rest_is_there),
        TEST(what_may_not_be_read_is_a_fault_of_its_project),
        TEST(names_that_could_not_be_shown_are_passed_over),
        TEST(descriptors_are_given_back),
        TEST(missing_memory_is_an_error_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
