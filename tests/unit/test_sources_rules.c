/* What a source's fields must keep: root_hint, ref, tags, manual_map; and the paths we are ready to speak of. */
#include "unit.h"

#include "larder/repo_path.h"
#include "larder/source_rules.h"

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

/* ---- root_hint ---- */

static void a_root_hint_is_stored_tidy(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"skills", "skills"},
        {" skills/pdf ", "skills/pdf"},
        {"skills/", "skills"},
        {"./skills//pdf/.", "skills/pdf"},
        {"", NULL},
        {" ./ / a /. ", "a"},
        {".", NULL},
        {"  ", NULL},
        {".claude/skills", ".claude/skills"},
        {"a..b/c...", "a..b/c..."},
        {"my%20skills", "my%20skills"},
        {"100%", "100%"},
        {"\xc3\xa4", "\xc3\xa4"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str out, problem;
        assert_int_equal(source_root_hint_check(&a, str_c(cases[i].in), &out, &problem), 0);
        if (cases[i].out)
            unit_assert_str(out, str_c(cases[i].out), cases[i].in, (int)i);
        else
            assert_null(out.p);
    }
}

static void a_root_hint_that_leaves_the_repository_is_refused_in_the_known_words(void **state)
{
    (void)state;
    const char *parent = "root_hint cannot contain parent directory references (..)";
    const char *relative = "root_hint must be a relative path";
    const char *invalid = "root_hint contains invalid characters";
    const struct {
        str in;
        const char *problem;
    } cases[] = {
        {STR(".."), parent},
        {STR("../x"), parent},
        {STR("a/../b"), parent},
        {STR("a/.."), parent},
        {STR("%2e%2e/x"), parent},
        {STR("a/%2E%2e"), parent},
        {STR("..\\x"), parent},
        {STR("a%2f..%2fb"), parent},
        {STR("/etc"), relative},
        {STR("%2fetc"), relative},
        {STR("C:/x"), relative},
        {STR("c:"), relative},
        {STR(".//c:x"), relative},
        {STR("./ /x/ .. "), parent},
        {STR(" /x"), relative},
        {STR("a<b"), invalid},
        {STR("a>b"), invalid},
        {STR("a\"b"), invalid},
        {STR("a?b"), invalid},
        {STR("a*b"), invalid},
        {STR("a|b"), invalid},
        {STR("a%7cb"), invalid},
        {STR("a\nb"), invalid},
        {STR("a\0b"), "root_hint cannot contain null bytes"},
        {STR("a%00b"), "root_hint cannot contain null bytes"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str out = STR("untouched"), problem;
        assert_int_equal(source_root_hint_check(&a, cases[i].in, &out, &problem), -EINVAL);
        unit_assert_str(problem, str_c(cases[i].problem), cases[i].in.p, (int)i);
        assert_str(out, "untouched");
    }
    char longer[REPO_PATH_MAX + 1];
    memset(longer, 'x', sizeof(longer));
    str out, problem;
    assert_int_equal(source_root_hint_check(&a, str_of(longer, sizeof(longer) - 1), &out, &problem), 0);
    assert_int_equal(source_root_hint_check(&a, str_of(longer, sizeof(longer)), &out, &problem), -EINVAL);
    assert_str(problem, "root_hint is too long");
}

/* ---- ref ---- */

static void a_ref_is_what_git_would_take(void **state)
{
    (void)state;
    static const char *const good[] = {
        "main",     "v1.2.3", "feature/x", "a-b_c",        "release/2.x", "0123456789abcdef0123456789abcdef01234567",
        "\xc3\xa4", "a@b",    "@x",        "refs/tags/v1", "HEAD",
    };
    static const char *const bad[] = {
        "",   "@",    "a b", "a..b", "../x", "..",  ".",  ".x",  "x/.y", "x.",    "x/y.", "x.lock", "x.lock/y", "/x",
        "x/", "x//y", "a~1", "a^",   "a:b",  "a?b", "a*", "a[b", "a\\b", "a@{1}", "-x",   "a\tb",   "a\x7f",    "\xff",
    };
    str problem = STR_NULL;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (source_ref_check(str_c(good[i]), &problem) != 0)
            fail_msg("refused: %s", good[i]);
    assert_null(problem.p);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (source_ref_check(str_c(bad[i]), &problem) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    assert_str(problem, "ref is not a valid name of a branch, tag or commit");
    assert_int_equal(source_ref_check(STR("a\0b"), &problem), -EINVAL);
    char longer[256];
    memset(longer, 'x', sizeof(longer));
    assert_int_equal(source_ref_check(str_of(longer, 255), &problem), 0);
    assert_int_equal(source_ref_check(str_of(longer, 256), &problem), -EINVAL);
}

/* ---- tags ---- */

static void tags_are_lower_case_and_each_stands_once(void **state)
{
    (void)state;
    const str in[] = {STR("UI-UX"), STR("b"), STR("ui-ux"), STR("B"), STR("a_1"), STR("9")};
    strs out;
    str problem;
    assert_int_equal(source_tags_check(&a, (strs){in, COUNT_OF(in)}, &out, &problem), 0);
    assert_int_equal(out.n, 4);
    assert_str(out.v[0], "ui-ux");
    assert_str(out.v[1], "b");
    assert_str(out.v[2], "a_1");
    assert_str(out.v[3], "9");
    assert_int_equal(source_tags_check(&a, (strs){in, 0}, &out, &problem), 0);
    assert_int_equal(out.n, 0);
    assert_non_null(out.v); /* an empty list is not null */
}

static void bad_tags_are_refused_in_the_known_words(void **state)
{
    (void)state;
    const char *odd = "must be alphanumeric with optional hyphens/underscores";
    static const char *const texts[] = {"-a", "_a", "a b", "a.b", "a\n", "\xc3\xa4", "a/b", " a"};
    strs out;
    str problem;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        str tag = str_c(texts[i]);
        assert_int_equal(source_tags_check(&a, (strs){&tag, 1}, &out, &problem), -EINVAL);
        unit_assert_str(problem, arena_printf(&a, "Tag '%s' %s", texts[i], odd), texts[i], (int)i);
    }
    char fifty_one[51];
    memset(fifty_one, 'x', sizeof(fifty_one));
    str tag = str_of(fifty_one, 50);
    assert_int_equal(source_tags_check(&a, (strs){&tag, 1}, &out, &problem), 0);
    tag.n = 51;
    assert_int_equal(source_tags_check(&a, (strs){&tag, 1}, &out, &problem), -EINVAL);
    unit_assert_str(problem, arena_printf(&a, "Tag '%.51s' must be 1-50 characters", fifty_one), __FILE__, __LINE__);
    tag = STR("");
    assert_int_equal(source_tags_check(&a, (strs){&tag, 1}, &out, &problem), -EINVAL);
    assert_str(problem, "Tag '' must be 1-50 characters");

    str many[21];
    for (size_t i = 0; i < COUNT_OF(many); i++)
        many[i] = STR("same");
    assert_int_equal(source_tags_check(&a, (strs){many, 20}, &out, &problem), 0);
    assert_int_equal(source_tags_check(&a, (strs){many, 21}, &out, &problem), -EINVAL);
    assert_str(problem, "Maximum 20 tags allowed per source");
}

/* ---- manual_map ---- */

/* "dir=type dir=type" */
static str map_text(pairs map)
{
    str text = STR("");
    for (size_t i = 0; i < map.n; i++)
        text = arena_printf(&a, STR_FMT "%s" STR_FMT "=" STR_FMT, STR_ARG(text), i ? " " : "", STR_ARG(map.v[i].key),
                            STR_ARG(map.v[i].value));
    return text;
}

static int check_map(const char *text, pairs *map, str *problem)
{
    const json_value *v;
    assert_int_equal(json_parse(&a, str_c(text), &v, NULL), 0);
    return source_manual_map_check(&a, v, map, problem);
}

static void a_manual_map_may_be_given_either_way_round(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{\"lib/tools\":\"skill\"}", "lib/tools=skill"},
        {"{\"skill\":[\"a\",\"b\"],\"command\":[\"c\"]}", "a=skill b=skill c=command"},
        {"{\"lib/tools\":[\"agent\"]}", "lib/tools=agent"},
        {"{\"a\":\"mcp\",\"b\":\"mcp-server\",\"c\":\"mcp_server\"}", "a=mcp_server b=mcp_server c=mcp_server"},
        {"{\"mcp\":[\"a\"],\"composite\":[\"p\"],\"h\":\"hook\"}", "a=mcp_server p=composite h=hook"},
        {"{\"skill\":\"agent\"}", "skill=agent"}, /* a text: the key is a directory */
        {"{\" ./a//b/ \":\"skill\"}", "a/b=skill"},
        {"{\".\":\"agent\"}", ".=agent"},
        {"{\"a\":\"skill\",\"skill\":[\"a/\"]}", "a=skill"},
        {"{\"skill\":[]}", ""},
        {"{}", ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        pairs map;
        str problem = STR_NULL;
        if (check_map(cases[i].in, &map, &problem) != 0)
            fail_msg("%s: " STR_FMT, cases[i].in, STR_ARG(problem));
        unit_assert_str(map_text(map), str_c(cases[i].out), cases[i].in, (int)i);
        assert_non_null(map.v);
    }
    pairs map = {.n = 1};
    str problem;
    assert_int_equal(check_map("null", &map, &problem), 0);
    assert_null(map.v);
    assert_int_equal(map.n, 0);
}

static void a_manual_map_that_makes_no_sense_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *in, *problem;
    } cases[] = {
        {"[]", "manual_map: Input should be a valid dictionary"},
        {"\"x\"", "manual_map: Input should be a valid dictionary"},
        {"{\"a\":1}", "manual_map.a: Input should be a valid string"},
        {"{\"a\":null}", "manual_map.a: Input should be a valid string"},
        {"{\"skill\":[1]}", "manual_map.skill: Input should be a valid list of strings"},
        {"{\"a\":\"widget\"}",
         "Invalid artifact type: widget. Allowed: agent, command, composite, hook, mcp_server, skill"},
        {"{\"a\":[\"widget\"]}",
         "Invalid artifact type: widget. Allowed: agent, command, composite, hook, mcp_server, skill"},
        {"{\"a\":\"\"}", "Invalid artifact type: . Allowed: agent, command, composite, hook, mcp_server, skill"},
        {"{\"a\":[\"skill\",\"agent\"]}", "manual_map.a: List should have exactly 1 item, the artifact type"},
        {"{\"a\":[]}", "manual_map.a: List should have exactly 1 item, the artifact type"},
        {"{\"../a\":\"skill\"}", "manual_map directory '../a' cannot contain parent directory references (..)"},
        {"{\"skill\":[\"/a\"]}", "manual_map directory '/a' must be a relative path"},
        {"{\"a\":\"skill\",\"a/\":\"agent\"}", "manual_map gives directory 'a' more than one artifact type"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        pairs map = {.n = 99};
        str problem = STR_NULL;
        assert_int_equal(check_map(cases[i].in, &map, &problem), -EINVAL);
        unit_assert_str(problem, str_c(cases[i].problem), cases[i].in, (int)i);
        assert_int_equal(map.n, 99);
    }
    str text = STR("{\"skill\":[");
    for (int i = 0; i <= SOURCE_MAP_MAX; i++)
        text = arena_printf(&a, STR_FMT "%s\"d%d\"", STR_ARG(text), i ? "," : "", i);
    text = arena_printf(&a, STR_FMT "]}", STR_ARG(text));
    pairs map;
    str problem;
    assert_int_equal(check_map(text.p, &map, &problem), -EINVAL);
    assert_str(problem, "manual_map can have at most 200 directories");
}

static void directories_that_do_not_exist_are_named_in_order(void **state)
{
    (void)state;
    const detect_file files[] = {{.path = STR("a/b/x.md")}, {.path = STR("a-b/y")}, {.path = STR("file")}};
    const struct {
        const char *map, *problem;
    } cases[] = {
        {"{\"a\":\"skill\",\"a/b\":\"agent\",\"a-b\":\"hook\",\".\":\"agent\"}", NULL},
        {"{}", NULL},
        {"{\"z\":\"skill\",\"b\":\"skill\",\"a\":\"skill\"}",
         "Invalid directory path(s) not found in repository: 'b', 'z'"},
        {"{\"file\":\"skill\"}", "Invalid directory path(s) not found in repository: 'file'"},
        {"{\"A\":\"skill\"}", "Invalid directory path(s) not found in repository: 'A'"},
        {"{\"a/b/x\":\"skill\"}", "Invalid directory path(s) not found in repository: 'a/b/x'"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        pairs map;
        str problem;
        assert_int_equal(check_map(cases[i].map, &map, &problem), 0);
        int r = source_manual_map_exists(&a, map, files, COUNT_OF(files), &problem);
        assert_int_equal(r, cases[i].problem ? -EINVAL : 0);
        if (r < 0)
            unit_assert_str(problem, str_c(cases[i].problem), cases[i].map, (int)i);
    }
}

/* ---- paths ---- */

static void only_plain_relative_paths_are_spoken_of(void **state)
{
    (void)state;
    const struct {
        str path;
        repo_path_fault fault;
    } cases[] = {
        {STR("a"), REPO_PATH_OK},
        {STR("a/b.c/..d/.e"), REPO_PATH_OK},
        {STR("\xc3\xa4/\xe2\x82\xac"), REPO_PATH_OK},
        {STR("a\\b"), REPO_PATH_OK},
        {STR("..."), REPO_PATH_OK},
        {STR("/a"), REPO_PATH_ABSOLUTE},
        {STR("/"), REPO_PATH_ABSOLUTE},
        {STR(""), REPO_PATH_SEGMENT},
        {STR("a/"), REPO_PATH_SEGMENT},
        {STR("a//b"), REPO_PATH_SEGMENT},
        {STR("."), REPO_PATH_SEGMENT},
        {STR("./a"), REPO_PATH_SEGMENT},
        {STR("a/.."), REPO_PATH_SEGMENT},
        {STR("../a"), REPO_PATH_SEGMENT},
        {STR("a/../../b"), REPO_PATH_SEGMENT},
        {STR("a\nb"), REPO_PATH_BYTES},
        {STR("a\0b"), REPO_PATH_BYTES},
        {STR("a\x7f"), REPO_PATH_BYTES},
        {STR("\xff"), REPO_PATH_BYTES},
        {STR("\xc0\xae/x"), REPO_PATH_BYTES}, /* an overlong '.' */
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (repo_path_check(cases[i].path) != cases[i].fault)
            fail_msg("row %zu: %s", i, repo_path_fault_text(repo_path_check(cases[i].path)));
    char longer[REPO_PATH_MAX + 1];
    memset(longer, 'x', sizeof(longer));
    assert_int_equal(repo_path_check(str_of(longer, REPO_PATH_MAX)), REPO_PATH_OK);
    assert_int_equal(repo_path_check(str_of(longer, sizeof(longer))), REPO_PATH_LONG);
    for (int f = 0; f < REPO_PATH_FAULT_COUNT; f++)
        assert_non_null(repo_path_fault_text((repo_path_fault)f));
}

static int everything(void)
{
    str problem, root;
    strs tags;
    pairs map;
    const json_value *v;
    const str in[] = {STR("One"), STR("two"), STR("bad tag")};
    int r = source_root_hint_check(&a, STR("a%20b/c"), &root, &problem);
    if (r == 0)
        r = source_tags_check(&a, (strs){in, 2}, &tags, &problem);
    if (r == 0)
        r = source_tags_check(&a, (strs){in, 3}, &tags, &problem) == -ENOMEM ? -ENOMEM : 0;
    if (r == 0)
        r = json_parse(&a, STR("{\"a\":\"skill\",\"agent\":[\"b\"]}"), &v, NULL);
    if (r == 0)
        r = source_manual_map_check(&a, v, &map, &problem);
    if (r == 0)
        r = source_manual_map_exists(&a, map, NULL, 0, &problem) == -ENOMEM ? -ENOMEM : 0;
    return r;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    for (long nth = 0; unit_next_fault(&nth);) {
        arena_done(&a);
        arena_init(&a, 0);
        int r = everything();
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
    }
    for (size_t left = 0; left < 4000; left += 16) {
        arena_done(&a);
        unit_tight_arena(&a, left);
        const int r = everything();
        assert_true(r == -ENOMEM || r == -EFBIG); /* json_parse: what a limit does not hold is too large */
    }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_root_hint_is_stored_tidy),
        T(a_root_hint_that_leaves_the_repository_is_refused_in_the_known_words),
        T(a_ref_is_what_git_would_take),
        T(tags_are_lower_case_and_each_stands_once),
        T(bad_tags_are_refused_in_the_known_words),
        T(a_manual_map_may_be_given_either_way_round),
        T(a_manual_map_that_makes_no_sense_says_why),
        T(directories_that_do_not_exist_are_named_in_order),
        T(only_plain_relative_paths_are_spoken_of),
        T(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
