/* The detector: which paths make which artifacts, how sure, and which of them are the same. */
#include "unit.h"

#include "larder/detect.h"

static arena a;

static int setup(void **state)
{
    (void)state;
    arena_init(&a, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&a);
    return 0;
}

#define MAX_FILES 64
typedef struct listing {
    detect_file v[MAX_FILES];
    size_t n;
} listing;

/* "path path ...", blank-separated; "path=x" gives the content a name, else each has its own; "path@" is a link. */
static listing files(const char *text)
{
    listing l = {.n = 0};
    str rest = str_c(text), word;
    while (str_cut(&rest, ' ', &word)) {
        if (word.n == 0)
            continue;
        detect_file *f = &l.v[l.n++];
        ptrdiff_t equals = str_chr(word, '=');
        f->path = equals < 0 ? word : str_head(word, (size_t)equals);
        str content = equals < 0 ? word : str_from(word, (size_t)equals + 1);
        uint64_t h = hash64(content.p, content.n);
        memcpy(f->sha, &h, sizeof(h));
        f->is_link = str_ends(f->path, STR("@"));
        f->path.n -= f->is_link;
    }
    return l;
}

static detect_result run(const listing *l, const detect_options *o)
{
    detect_result r;
    assert_int_equal(detect_artifacts(&a, l->v, l->n, o, &r), 0);
    return r;
}

/* "skill 66 skills/x; ..." in the result's order; "=name" where the name isn't the path's end, "!" for duplicates. */
static str report(const detect_result *r)
{
    str text = STR("");
    for (size_t i = 0; i < r->n; i++) {
        const detected *d = &r->v[i];
        ptrdiff_t slash = str_rchr(d->path, '/');
        str last = slash < 0 ? d->path : str_from(d->path, (size_t)slash + 1);
        text = arena_printf(&a, STR_FMT "%s" STR_FMT " %d " STR_FMT "%s" STR_FMT "%s", STR_ARG(text), i ? "; " : "",
                            STR_ARG(detect_type_name(d->type)), d->confidence, STR_ARG(d->path),
                            str_eq(last, d->name) ? "" : "=", STR_ARG(str_eq(last, d->name) ? STR("") : d->name),
                            d->is_duplicate ? "!" : "");
        assert_int_equal(d->score.normalized_score, d->confidence);
    }
    return text;
}

static const detect_options plain = {.repo_name = {"repo", 4}};

static void finds_with(const char *paths, const detect_options *o, const char *wanted, int line)
{
    listing l = files(paths);
    detect_result r = run(&l, o);
    unit_assert_str(report(&r), str_c(wanted), __FILE__, line);
}
#define FINDS(paths, wanted) finds_with(paths, &plain, wanted, __LINE__)

static void skills_are_directories_with_their_manifest(void **state)
{
    (void)state;
    FINDS("skills/x/SKILL.md skills/x/a.py skills/x/b.ts", "skill 67 skills/x");
    FINDS("skills/x/SKILL.md", "skill 66 skills/x");
    FINDS("my-skill/SKILL.md", "skill 62 my-skill");
    FINDS("template/SKILL.md", "skill 53 template");
    FINDS("Skills/Foo/Skill.md", "skill 66 Skills/Foo");
    FINDS("skills/x/skill.MD", "skill 66 skills/x");
    FINDS("skills/group/x/SKILL.md", "skill 62 skills/group/x"); /* the parent's name is no sign any more */
    FINDS("skills/SKILL.md", "");                                /* a container is no artifact */
    FINDS("skill/SKILL.md", "skill 69 skill");
    FINDS("skills/x/helper.md skills/x/b.md", "");
}

static void other_types_have_their_manifests_too(void **state)
{
    (void)state;
    FINDS("commands/deploy/COMMAND.md commands/deploy/run.sh", "command 41 commands/deploy");
    FINDS("commands/deploy/COMMAND.md commands/deploy/run.py", "command 41 commands/deploy");
    FINDS("agents/helper/AGENT.md agents/helper/x.ts", "agent 41 agents/helper");
    FINDS("mcp/files/MCP.md mcp/files/server.json", "mcp 41 mcp/files");
    FINDS("servers/files/Server.JSON", "mcp 41 servers/files");
    FINDS("hooks/x/hooks.json", "hook 41 hooks/x");
    FINDS("hooks/x/hook.sh", "");
    FINDS("lib/hooks/useFoo/index.ts", "");
    FINDS("commands/x/SKILL.md", "skill 41 commands/x"); /* the manifest overrules the container */
    FINDS("x/AGENT.md", "");
    FINDS("claude/x/AGENT.md", "agent 37 claude/x");
}

static void markdown_in_a_container_is_an_artifact_each(void **state)
{
    (void)state;
    FINDS("commands/a.md commands/b/c.md", "command 75 commands/a.md=a; command 70 commands/b/c.md=c");
    FINDS("agents/1/2/a.md agents/1/2/3/b.md agents/1/2/3/4/c.md agents/1/2/3/4/5/d.md agents/1/2/3/4/5/6/e.md",
          "agent 65 agents/1/2/a.md=a; agent 60 agents/1/2/3/b.md=b; agent 55 agents/1/2/3/4/c.md=c; "
          "agent 50 agents/1/2/3/4/5/6/e.md=e; agent 50 agents/1/2/3/4/5/d.md=d");
    FINDS("mcp/files.md", "mcp 75 mcp/files.md");
    FINDS("x/y/hooks/pre.MD", "hook 75 x/y/hooks/pre.MD=pre");
    FINDS("agents/README.md agents/changelog.md agents/LICENSE.md agents/Contributing.md agents/notes.txt agents/.md",
          "");
    FINDS("commands/CLAUDE.md commands/agents.md commands/Gemini.md", ""); /* instructions for who works there */
    FINDS("agents/skill.md agents/x.md", "");                              /* beside a manifest */
    FINDS("skills/a.md skills/b/c.md", "");
    FINDS("agents/skills/commands/x.md", "command 75 agents/skills/commands/x.md=x"); /* the closest container */
    FINDS("agents/commands/skills/x.md", "");
    FINDS("agent/x.md command/y.md", ""); /* singular: no container */
    FINDS("agents/link.md@ agents/x.md", "agent 75 agents/x.md=x");
}

static void files_below_an_artifact_belong_to_it(void **state)
{
    (void)state;
    FINDS("agents/big/AGENT.md agents/big/parts/p.md", "agent 30 agents/big");
    FINDS("agents/big/AGENT.md agents/big/commands/c.md", "command 75 agents/big/commands/c.md=c; agent 30 agents/big");
    FINDS("skills/s/SKILL.md skills/s/commands/c.md skills/s/agents/x/y.md", "skill 66 skills/s");
    FINDS("skills/s/SKILL.md skills/s/sub/commands/c.md", "skill 66 skills/s");
}

static void flat_types_lose_points_for_odd_directories(void **state)
{
    (void)state;
    FINDS("agents/x/AGENT.md agents/x/a.py agents/x/lib/b.py agents/x/tests/c.py", "agent 41 agents/x");
    FINDS("agents/x/AGENT.md agents/x/a.py agents/x/src/b.py", "agent 30 agents/x"); /* never below the minimum ... */
    FINDS("hooks/x/hook.sh hooks/x/src/y.c", ""); /* ... but no reason to get there */
    FINDS("mcp/x/MCP.md mcp/x/src/y.c", "mcp 41 mcp/x");
}

static void directories_in_containers_that_only_group_are_none(void **state)
{
    (void)state;
    FINDS("commands/git/a.md commands/git/b.md", "command 70 commands/git/a.md=a; command 70 commands/git/b.md=b");
    FINDS("commands/git/README.md commands/git/a.py commands/git/b.py commands/git/c.py commands/git/d.py",
          "command 31 commands/git"); /* 5 + 25 + 15 + 5 - 1 = 49 */
    FINDS("commands/git/README.md", "");
}

static void plugins_are_composites_and_keep_their_members(void **state)
{
    (void)state;
    FINDS("p/.claude-plugin/plugin.json p/commands/c.md", "composite 98 p; command 75 p/commands/c.md=c");
    FINDS("p/plugin.json", "composite 95 p");
    FINDS("p/PLUGIN.md q/Composite.json r/composite.MD", "composite 90 p; composite 90 q; composite 90 r");
    FINDS("p/commands/c.md p/agents/d.md p/README.md",
          "agent 75 p/agents/d.md=d; command 75 p/commands/c.md=c; composite 70 p");
    FINDS("p/commands/c.md p/agents/d.md",
          "agent 75 p/agents/d.md=d; command 75 p/commands/c.md=c"); /* nothing of its own */
    FINDS("p/Rules/c.txt p/mcp/d.txt p/x", "composite 70 p");
    FINDS("p/commands/c.md p/Commands/d.md p/x", "command 75 p/Commands/d.md=d; command 75 p/commands/c.md=c");
    FINDS(".claude-plugin/plugin.json .cursor-plugin/plugin.json plugin.json", ""); /* the repository itself is none */
    FINDS("p/.cursor-plugin/plugin.json p/.claude-plugin/x", "composite 98 p");
    FINDS("agents/plugin.json", "");
    FINDS("p/plugin.json p/SKILL.md", "composite 95 p");
    FINDS("p/SKILL.md p/agents/x.md p/rules/y.md", "skill 53 p"); /* two parts alone don't outweigh SKILL.md */
}

static void a_skill_at_the_root_is_the_repository(void **state)
{
    (void)state;
    FINDS("SKILL.md a.py", "skill 54 .=repo"); /* 20 + 40 + 2 + 25 = 87 */
    detect_options o = {.repo_name = STR("pdf-skill")};
    finds_with("skill.md agents/x.md docs/y.md", &o, "agent 75 agents/x.md=x; skill 63 .=pdf-skill", __LINE__);
    FINDS("AGENT.md README.md x.md", "");
}

static void depth_has_an_end(void **state)
{
    (void)state;
    FINDS("1/2/3/4/5/6/7/8/9/x/SKILL.md", "skill 48 1/2/3/4/5/6/7/8/9/x");
    FINDS("1/2/3/4/5/6/7/8/9/10/x/SKILL.md 1/2/3/4/5/6/7/8/9/10/p/plugin.json", "");
    FINDS("a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/agents/x.md", "");
}

static void a_root_hint_is_a_directory_and_not_the_start_of_a_name(void **state)
{
    (void)state;
    detect_options o = plain;
    o.root_hint = STR("skills");
    finds_with("skills/x/SKILL.md skills-old/y/SKILL.md agents/z.md SKILL.md", &o, "skill 66 skills/x", __LINE__);
    o.root_hint = STR("skills/x");
    finds_with("skills/x/SKILL.md skills/x2/SKILL.md", &o, "skill 66 skills/x", __LINE__);
    o.root_hint = STR("p/.claude-plugin");
    finds_with("p/.claude-plugin/plugin.json", &o, "", __LINE__);
    o.root_hint = STR("nowhere");
    finds_with("skills/x/SKILL.md", &o, "", __LINE__);
}

static void a_manual_map_decides_for_what_is_below(void **state)
{
    (void)state;
    const pair skill[] = {{STR("lib"), STR("skill")}};
    const pair agent[] = {{STR("lib"), STR("agent")}, {STR("lib/deep"), STR("mcp_server")}};
    const pair whole[] = {{STR("."), STR("agent")}};
    const pair bundle[] = {{STR("lib"), STR("composite")}, {STR("missing"), STR("skill")}};
    const pair container[] = {{STR("agents"), STR("command")}, {STR("skills"), STR("skill")}};
    detect_options o = plain;

    o.manual_map = (pairs){skill, 1};
    finds_with("lib/SKILL.md lib/a/SKILL.md lib/a/b/c/d/SKILL.md lib/x/AGENT.md lib/y.md", &o,
               "skill 95 lib; skill 92 lib/a; skill 86 lib/a/b/c/d", __LINE__);
    finds_with("lib/agents/x.md lib/skills/s/SKILL.md library/s/SKILL.md", &o,
               "skill 89 lib/skills/s; agent 75 lib/agents/x.md=x; skill 52 library/s", __LINE__);
    o.manual_map = (pairs){agent, 2};
    finds_with("lib/a.md lib/README.md lib/b/c.md lib/deep/d.md lib/x/SKILL.md lib/x/y.md lib/hooks/h.md", &o,
               "agent 95 lib/a.md=a; mcp 95 lib/deep/d.md; agent 92 lib/b/c.md=c; hook 75 lib/hooks/h.md=h", __LINE__);
    o.manual_map = (pairs){whole, 1};
    finds_with("a.md b/c.md README.md", &o, "agent 95 a.md=a; agent 92 b/c.md=c", __LINE__);
    o.manual_map = (pairs){bundle, 2};
    finds_with("lib/a.md lib/agents/b.md", &o, "composite 95 lib; agent 75 lib/agents/b.md=b", __LINE__);
    o.manual_map = (pairs){container, 2};
    finds_with("agents/a.md skills/SKILL.md skills/x/SKILL.md", &o,
               "command 95 agents/a.md=a; skill 95 skills; skill 92 skills/x", __LINE__);
}

static void one_artifact_may_be_the_whole(void **state)
{
    (void)state;
    detect_options o = {.repo_name = STR("repo"), .is_single = true, .single_type = DETECT_AGENT};
    finds_with("x.md agents/y.md", &o, "agent 100 .=repo", __LINE__);
    o.root_hint = STR("tools/pdf");
    finds_with("x.md tools/pdf/agent.md", &o, "agent 100 tools/pdf", __LINE__);
    o.root_hint = STR("tools/.pdf");
    finds_with("tools/.pdf/a", &o, "agent 100 tools/.pdf=repo", __LINE__);
    finds_with("x.md", &o, "agent 100 tools/.pdf=repo", __LINE__); /* it is one artifact, if an empty one */
}

static void loose_markdown_needs_telling_frontmatter(void **state)
{
    (void)state;
    static const struct {
        const char *type; /* what is made of it; NULL: nothing */
        str declared;
        unsigned keys;
    } cases[] = {
        {"command", {NULL, 0}, FRONT_ARGUMENT_HINT | FRONT_TOOLS},
        {"agent", {NULL, 0}, FRONT_TOOLS | FRONT_LICENSE},
        {"agent", {NULL, 0}, FRONT_COLOR},
        {"agent", {NULL, 0}, FRONT_PERMISSION_MODE},
        {"skill", {NULL, 0}, FRONT_LICENSE | FRONT_ALLOWED_TOOLS},
        {"skill", {NULL, 0}, FRONT_METADATA | FRONT_MODEL},
        {"skill", {NULL, 0}, FRONT_ALLOWED_TOOLS},
        {"skill", {NULL, 0}, FRONT_ALLOWED_TOOLS | FRONT_MODEL},
        {"agent", {NULL, 0}, FRONT_ALLOWED_TOOLS | FRONT_TOOLS},
        {"command", {NULL, 0}, FRONT_ALLOWED_TOOLS | FRONT_ARGUMENT_HINT},
        {"agent", {NULL, 0}, FRONT_MODEL},
        {"hook", {"Hook", 4}, FRONT_TOOLS},
        {"agent", {"composite", 9}, FRONT_TOOLS},
        {NULL, {NULL, 0}, 0},
    };
    detect_options o = plain;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        frontmatter f = {.name = STR("n"), .description = STR("d"), .type = cases[i].declared, .keys = cases[i].keys};
        listing l = files("docs/x.md agents/in-container.md README.md");
        l.v[0].front = l.v[2].front = &f;
        o.frontmatter = true;
        detect_result r = run(&l, &o);
        str wanted = arena_printf(&a, "agent 75 agents/in-container.md=in-container%s%s%s", cases[i].type ? "; " : "",
                                  cases[i].type ? cases[i].type : "", cases[i].type ? " 65 docs/x.md=x" : "");
        unit_assert_str(report(&r), wanted, __FILE__, (int)i);
        o.frontmatter = false;
        r = run(&l, &o);
        assert_int_equal(r.n, 1);
    }
    frontmatter nameless = {.description = STR("d"), .keys = FRONT_TOOLS},
                silent = {.name = STR("n"), .keys = FRONT_TOOLS};
    listing l = files("x.md y.md");
    l.v[0].front = &nameless;
    l.v[1].front = &silent;
    o.frontmatter = true;
    assert_int_equal(run(&l, &o).n, 0);
}

static void manifests_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *paths, *manifest;
    } cases[] = {
        {"skills/x/README.md skills/x/skill.md skills/x/sub/SKILL.txt", "skills/x/skill.md"},
        {"commands/x/COMMAND.md commands/x/README.md", "commands/x/COMMAND.md"},
        {"mcp/x/server.json mcp/x/CLAUDE.md mcp/x/readme.md", "mcp/x/server.json"},
        {"mcp/x/server.json mcp/x/mcp.md", "mcp/x/mcp.md"},
        {"mcp/x/server.json mcp/x/y.py", "mcp/x/server.json"},
        {"hooks/x/hooks.json hooks/x/README.md", "hooks/x/hooks.json"},
        {"skills/x/SKILL.txt skills/x/a.py skills/x/skill.md skills/x/b.py", "skills/x/skill.md"},
        {"p/plugin.json p/.claude-plugin/plugin.json p/README.md", "p/.claude-plugin/plugin.json"},
        {"p/plugin.json p/README.md", "p/plugin.json"},
        {"SKILL.md README.md", "SKILL.md"},
        {"agents/x.md", "agents/x.md"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        listing l = files(cases[i].paths);
        detect_result r = run(&l, &plain);
        assert_true(r.n >= 1);
        if (cases[i].manifest)
            unit_assert_str(r.v[0].manifest, str_c(cases[i].manifest), cases[i].paths, (int)i);
        else
            assert_null(r.v[0].manifest.p);
    }
}

static void a_file_that_says_something_describes_before_one_that_does_not(void **state)
{
    (void)state;
    static const frontmatter front = {.description = STR_INIT("A server")};
    listing l = files("mcp/x/README.md mcp/x/mcp.md mcp/x/server.json");
    l.v[0].front = l.v[2].front = &front;
    detect_result r = run(&l, &plain);
    assert_int_equal(r.n, 1);
    assert_str(r.v[0].manifest, "mcp/x/server.json"); /* before the README, which does too */
}

static void scores_add_up_under_their_names(void **state)
{
    (void)state;
    listing l = files("my-skill/SKILL.md commands/a/b/c.md");
    detect_result r = run(&l, &plain);
    counts c;
    assert_int_equal(detect_score_counts(&a, &r.v[0].score, &c), 0); /* the command */
    assert_str(c.v[c.n - 1].name, "single_file_detection");
    assert_int_equal(c.v[c.n - 1].n, 1);
    assert_int_equal(detect_score_counts(&a, &r.v[1].score, &c), 0);
    static const count_of wanted[] = {
        {{"dir_name_score", 14}, 0},       {{"manifest_score", 14}, 20},    {{"skill_manifest_bonus", 20}, 40},
        {{"extensions_score", 16}, 1},     {{"parent_hint_score", 17}, 15}, {{"frontmatter_score", 17}, 0},
        {{"container_hint_score", 20}, 0}, {{"standalone_bonus", 16}, 25},  {{"depth_penalty", 13}, 1},
        {{"raw_total", 9}, 100},           {{"normalized_score", 16}, 62},
    };
    assert_int_equal(c.n, COUNT_OF(wanted));
    for (size_t i = 0; i < c.n; i++) {
        assert_true(str_eq(c.v[i].name, wanted[i].name));
        assert_int_equal(c.v[i].n, wanted[i].n);
    }
}

static void the_content_hash_is_over_sorted_lines(void **state)
{
    (void)state;
    detect_file v[] = {{.path = STR("skills/x/a.b")},
                       {.path = STR("skills/x/SKILL.md")},
                       {.path = STR("skills/x/a")},
                       {.path = STR("skills/x/l"), .is_link = true},
                       {.path = STR("agents/y.md")}};
    for (size_t i = 0; i < COUNT_OF(v); i++)
        memset(v[i].sha, (int)(0x10 + i), sizeof(v[i].sha));
#define HEX20(c) c c c c c c c c c c c c c c c c c c c c
    str lines = STR("SKILL.md:" HEX20("11") "\na.b:" HEX20("10") "\na:" HEX20("12") "\nl:" HEX20("13"));
    str single = STR("y.md:" HEX20("14"));
    uint8_t digest[SHA256_LEN];
    char hex[HEX_LEN(SHA256_LEN)];
    detect_result r;
    assert_int_equal(detect_artifacts(&a, v, COUNT_OF(v), &plain, &r), 0);
    assert_int_equal(r.n, 2);
    sha256(single.p, single.n, digest);
    hex_encode(digest, sizeof(digest), hex);
    assert_memory_equal(r.v[0].hash, hex, sizeof(hex));
    assert_int_equal(r.v[0].files, 1);
    sha256(lines.p, lines.n, digest);
    hex_encode(digest, sizeof(digest), hex);
    assert_memory_equal(r.v[1].hash, hex, sizeof(hex));
    assert_int_equal(r.v[1].files, 4);
}

static void equal_content_is_kept_once(void **state)
{
    (void)state;
    FINDS("skills/a/SKILL.md=1 skills/b/SKILL.md=1 skills/c/SKILL.md=2",
          "skill 66 skills/a; skill 66 skills/b!; skill 66 skills/c");
    FINDS("skills/a/SKILL.md=1 copy/SKILL.md=1", "skill 66 skills/a; skill 53 copy!"); /* the surer one stays */
    FINDS("agents/x.md=1 agents/y.md=1",
          "agent 75 agents/x.md=x; agent 75 agents/y.md=y"); /* the name is content too */
    FINDS("ab/agents/x.md=1 commands/x.md=1",
          "agent 75 ab/agents/x.md=x!; command 75 commands/x.md=x"); /* the shorter path */
    const pair map[] = {{STR("m"), STR("agent")}};
    detect_options o = {.repo_name = STR("repo"), .manual_map = {map, 1}};
    finds_with("agents/x.md=1 m/x.md=1", &o, "agent 95 m/x.md=x; agent 75 agents/x.md=x!", __LINE__);
}

static void members_know_that_they_are(void **state)
{
    (void)state;
    listing l = files(
        "p/plugin.json p/agents/a.md p/q/plugin.json p/q/SKILL.txt other/plugin.json agents/b.md p2/skills/x/SKILL.md");
    detect_result r = run(&l, &plain);
    for (size_t i = 0; i < r.n; i++)
        assert_int_equal(r.v[i].is_member, str_starts(r.v[i].path, STR("p/")));
    assert_int_equal(r.n, 6);
}

static void odd_paths_are_left_out_and_counted(void **state)
{
    (void)state;
    listing l = files("agents/../x.md /agents/y.md agents//z.md agents/ok.md agents/ok.md=again");
    detect_result r = run(&l, &plain);
    assert_str(report(&r), "agent 75 agents/ok.md=ok");
    assert_int_equal(r.skipped, 4);
}

static void the_order_of_the_listing_does_not_matter(void **state)
{
    (void)state;
    listing l = files(
        "skills/a/SKILL.md=1 skills/b/SKILL.md=1 a/agents/x.md=2 b/agents/x.md=2 p/plugin.json p/skills/c/SKILL.md "
        "p/skills-x/y p/skills.txt commands/d.md commands/e/f.md SKILL.md README.md");
    detect_result r = run(&l, &plain);
    str wanted = report(&r);
    random_seed_for_tests(7);
    for (int round = 0; round < 50; round++) {
        for (size_t i = l.n - 1; i > 0; i--) {
            size_t j = random_below(i + 1);
            detect_file f = l.v[i];
            l.v[i] = l.v[j];
            l.v[j] = f;
        }
        r = run(&l, &plain);
        assert_true(str_eq(report(&r), wanted));
    }
    random_seed_for_tests(0);
}

static void types_have_names_and_synonyms(void **state)
{
    (void)state;
    detect_type t;
    for (int i = 0; i < DETECT_TYPE_COUNT; i++) {
        assert_true(detect_type_parse(detect_type_name((detect_type)i), &t));
        assert_int_equal(t, i);
    }
    assert_true(detect_type_parse(STR("MCP-Server"), &t) && t == DETECT_MCP);
    assert_true(detect_type_parse(STR("mcp_server"), &t) && t == DETECT_MCP);
    assert_false(detect_type_parse(STR("skills"), &t));
    assert_false(detect_type_parse(STR_NULL, &t));
    assert_true(detect_is_describing(STR("a/B.MD")) && detect_is_describing(STR("x/Plugin.json")) &&
                detect_is_describing(STR("composite.json")));
    assert_false(detect_is_describing(STR("a/package.json")) || detect_is_describing(STR(".md")));
}

static void listings_of_any_shape_stay_within_their_limits(void **state)
{
    (void)state;
    enum { N = 60000 };
    detect_file *v = arena_array(&a, detect_file, N);
    for (size_t i = 0; i < N; i++) { /* each file its own chain of directories: the most that a listing can ask for */
        v[i].path = arena_printf(&a, "%05zu/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/x.md", i);
        v[i].sha[0] = (uint8_t)i;
    }
    detect_result r;
    assert_int_equal(detect_artifacts(&a, v, N, &plain, &r), -EFBIG);
    assert_int_equal(detect_artifacts(&a, v, N / 2, &plain, &r), 0);
    assert_int_equal(r.n, 0);
    assert_int_equal(detect_artifacts(&a, v, DETECT_MAX_FILES + 1, &plain, &r), -EFBIG);
    assert_int_equal(detect_artifacts(&a, v, 0, &plain, &r), 0);
    assert_int_equal(r.n, 0);

    size_t depth = 500; /* a/a/a/.../agents/x.md */
    buf path = BUF_INIT;
    for (size_t i = 0; i < depth; i++)
        buf_str(&path, STR("a/"));
    buf_str(&path, STR("x.md"));
    v[0].path = buf_view(&path);
    v[1].path = STR("a/agents/y.md");
    assert_int_equal(detect_artifacts(&a, v, 2, &plain, &r), 0);
    assert_int_equal(r.n, 1);
    buf_done(&path);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    const pair map[] = {{STR("lib"), STR("skill")}};
    detect_options o = {.repo_name = STR("repo"), .frontmatter = true, .manual_map = {map, 1}};
    listing l = files("skills/x/SKILL.md lib/y/SKILL.md agents/z.md p/plugin.json loose.md");
    detect_file *many = arena_array(&a, detect_file, 500);
    for (size_t i = 0; i < 500; i++)
        many[i].path = arena_printf(&a, "d%zu/skills/s%zu/SKILL.md", i % 7, i);
    for (int round = 0; round < 3; round++) {
        o.is_single = round == 1;
        for (long nth = 0; unit_next_fault(&nth);) {
            arena b;
            arena_init(&b, 0);
            detect_result r = {.n = 99};
            counts c;
            int status = round == 2 ? detect_artifacts(&b, many, 500, &o, &r) : detect_artifacts(&b, l.v, l.n, &o, &r);
            if (status == 0)
                status = detect_score_counts(&b, &r.v[0].score, &c);
            else
                assert_int_equal(r.n, 99);
            assert_int_equal(status, mem_failed() ? -ENOMEM : 0);
            arena_done(&b);
        }
    }
    int status = -ENOMEM;
    o.is_single = false;
    for (size_t left = 0; status != 0 && left < 4000; left += 16) {
        arena b;
        detect_result r;
        counts c;
        unit_tight_arena(&b, left);
        status = detect_artifacts(&b, l.v, 1, &o, &r);
        if (status == 0)
            status = detect_score_counts(&b, &r.v[0].score, &c);
        assert_true(status == 0 || status == -ENOMEM);
        arena_done(&b);
    }
    assert_int_equal(status, -ENOMEM); /* found artifacts need a chunk of their own */
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(skills_are_directories_with_their_manifest),
        T(other_types_have_their_manifests_too),
        T(markdown_in_a_container_is_an_artifact_each),
        T(files_below_an_artifact_belong_to_it),
        T(flat_types_lose_points_for_odd_directories),
        T(directories_in_containers_that_only_group_are_none),
        T(plugins_are_composites_and_keep_their_members),
        T(a_skill_at_the_root_is_the_repository),
        T(depth_has_an_end),
        T(a_root_hint_is_a_directory_and_not_the_start_of_a_name),
        T(a_manual_map_decides_for_what_is_below),
        T(one_artifact_may_be_the_whole),
        T(loose_markdown_needs_telling_frontmatter),
        T(manifests_are_named),
        T(a_file_that_says_something_describes_before_one_that_does_not),
        T(scores_add_up_under_their_names),
        T(the_content_hash_is_over_sorted_lines),
        T(equal_content_is_kept_once),
        T(members_know_that_they_are),
        T(odd_paths_are_left_out_and_counted),
        T(the_order_of_the_listing_does_not_matter),
        T(types_have_names_and_synonyms),
        T(listings_of_any_shape_stay_within_their_limits),
        T(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
