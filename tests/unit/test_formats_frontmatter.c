/* What files say of themselves: YAML frontmatter, whole or broken, and plugin manifests. */
#include "unit.h"

#include "larder/frontmatter.h"

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

static frontmatter parse(const char *text)
{
    frontmatter f = {0};
    int r = frontmatter_parse(&a, str_c(text), &f);
    if (r != 0)
        fail_msg("%d for: %s", r, text);
    return f;
}

static str joined(strs tags)
{
    str text = STR("");
    for (size_t i = 0; i < tags.n; i++)
        text = arena_printf(&a, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? "|" : "", STR_ARG(tags.v[i]));
    return text;
}

static void all_known_keys_are_taken(void **state)
{
    (void)state;
    frontmatter f =
        parse("---\nname: pdf\ntitle: PDF tools\ndescription: Reads PDFs\nversion: 1.10\nlicense: MIT\ntype: skill\n"
              "tags: [one, two]\nother: {a: [1, {b: 2}]}\n---\n# Body\nname: not this\n");
    assert_str(f.name, "pdf");
    assert_str(f.title, "PDF tools");
    assert_str(f.description, "Reads PDFs");
    assert_str(f.version, "1.10"); /* text, not a number */
    assert_str(f.license, "MIT");
    assert_str(f.type, "skill");
    assert_str(joined(f.tags), "one|two");
    assert_int_equal(f.keys, FRONT_LICENSE);
    assert_false(f.is_partial);
}

static void the_name_is_the_title_where_there_is_none(void **state)
{
    (void)state;
    assert_str(parse("---\nname: pdf\n---\n").title, "pdf");
    assert_null(parse("---\ndescription: x\n---\n").title.p);
}

static void a_block_may_be_framed_in_many_ways(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "---\nname: x\n---\n",           "---\nname: x\n---",
        "---\r\nname: x\r\n---\r\nbody", "\xEF\xBB\xBF---\nname: x\n---\n",
        "\n\n  \n---\nname: x\n---\n",   "---  \nname: x\n---\t\n",
        "  ---\nname: x\n---\n",         "---\n\n# comment\nname: x\n\n---\n---\nname: y\n---\n",
        "---\n\"name\": 'x'\n---\n",     "---\n{name: x}\n---\n",
        "---\nNAME: x\n---\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        unit_assert_str(parse(texts[i]).name, STR("x"), texts[i], (int)i);
}

static void without_a_block_there_is_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "---",
        "---\n",
        "---\nname: x\n",
        "---\nname: x\n----\n",
        "# Title\n---\nname: x\n---\n",
        "--- name: x\n---\n",
        "----\nx\n---\n",
        "---\nname: x\n ---\n",
        "name: x\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        frontmatter f;
        if (frontmatter_parse(&a, str_c(texts[i]), &f) != -ENOENT)
            fail_msg("taken: %s", texts[i]);
    }
    assert_int_equal(frontmatter_parse(&a, STR_NULL, &(frontmatter){0}), -ENOENT);
}

static void a_block_without_a_mapping_says_nothing(void **state)
{
    (void)state;
    static const char *const texts[] = {"---\n---\n", "---\njust text\n---\n", "---\n- a\n- b\n---\n",
                                        "---\n# nothing\n---\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        frontmatter f = parse(texts[i]);
        assert_null(f.name.p);
        assert_null(f.tags.v);
        assert_false(f.is_partial);
    }
}

static void yaml_is_read_as_yaml(void **state)
{
    (void)state;
    assert_str(parse("---\ndescription: >\n  folded\n  text\n---\n").description, "folded text");
    assert_str(parse("---\ndescription: |\n  two\n  lines\n---\n").description, "two\nlines");
    assert_str(parse("---\ndescription: \"a\\tb\\0c\\x07\\u00e4\"\n---\n").description,
               "a b c \xc3\xa4"); /* no control characters */
    assert_str(parse("---\nname: \"two\\nlines\"\n---\n").name, "two lines");
    assert_str(parse("---\nname: a\nname: b\n---\n").name, "b"); /* the last one, as YAML loaders do */
    assert_null(parse("---\nname: ~\nversion: null\ndescription:\n---\n").name.p);
    assert_str(parse("---\nname: \"~\"\n---\n").name, "~");
    assert_null(parse("---\nname: {a: b}\ndescription: [x]\n---\n").name.p);
    assert_str(parse("---\n? {complex: key}\n: value\n? [1, 2]\n: {x: y}\nname: z\n---\n").name, "z");
    assert_str(parse("---\nname: &anchor x\n---\n").name, "x"); /* harmless as long as nobody refers to it */
}

static void tags_come_as_a_list_or_as_text(void **state)
{
    (void)state;
    assert_str(joined(parse("---\ntags: [a, 'b c', 3]\n---\n").tags), "a|b c|3");
    assert_str(joined(parse("---\ntags:\n  - a\n  - b\n---\n").tags), "a|b");
    assert_str(joined(parse("---\ntags: a, b ,, c\n---\n").tags), "a|b|c");
    assert_str(joined(parse("---\ntags: a, a, [x], a\n---\n").tags), "a|[x]");
    assert_str(joined(parse("---\nkeywords: [a, [nested], {x: y}, b]\n---\n").tags), "a|b");
    assert_null(parse("---\ntags: []\n---\n").tags.v);
    assert_null(parse("---\ntags:\n---\n").tags.v);
    assert_null(parse("---\ntags: {a: b}\n---\n").tags.v);
}

static void metadata_fills_what_the_top_leaves_out(void **state)
{
    (void)state;
    frontmatter f = parse("---\nmetadata:\n  version: 2.0\n  tags: [m]\n  name: no\n  model: no\nname: x\n---\n");
    assert_str(f.version, "2.0");
    assert_str(f.name, "x");
    assert_str(joined(f.tags), "m");
    assert_int_equal(f.keys, FRONT_METADATA);
    assert_str(parse("---\nversion: 1\nmetadata: {version: 2}\n---\n").version, "1");
    assert_str(parse("---\nmetadata: {version: 2}\nversion: 1\n---\n").version, "1");
    assert_null(parse("---\nmetadata: {metadata: {version: 3}}\n---\n").version.p);
}

static void telling_keys_are_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        unsigned keys;
    } cases[] = {
        {"allowed-tools: Bash", FRONT_ALLOWED_TOOLS},
        {"argument-hint: [file]", FRONT_ARGUMENT_HINT},
        {"tools: Read, Write", FRONT_TOOLS},
        {"tools:", FRONT_TOOLS},
        {"disallowedTools: [Bash]", FRONT_TOOLS},
        {"color: red", FRONT_COLOR},
        {"model: inherit", FRONT_MODEL},
        {"permissionMode: plan", FRONT_PERMISSION_MODE},
        {"license: MIT", FRONT_LICENSE},
        {"metadata: {}", FRONT_METADATA},
        {"unknown: 1", 0},
        {"nested: {tools: x}", 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        frontmatter f = parse(arena_printf(&a, "---\n%s\n---\n", cases[i].line).p);
        if (f.keys != cases[i].keys)
            fail_msg("%s: %x", cases[i].line, f.keys);
        f = parse(arena_printf(&a, "---\n%s\nbroken: a: b\n---\n", cases[i].line).p);
        assert_true(f.is_partial);
        if (f.keys != cases[i].keys)
            fail_msg("%s, by lines: %x", cases[i].line, f.keys);
    }
}

static void broken_yaml_still_gives_its_known_lines(void **state)
{
    (void)state;
    frontmatter f = parse(
        "---\nname: 'x'\ndescription: Use this: always\n  and on this line\ntags: [a, \"b\"]\nversion: \"1.2\"\n---\n");
    assert_true(f.is_partial);
    assert_str(f.name, "x");
    assert_str(f.description, "Use this: always and on this line");
    assert_str(f.version, "1.2");
    assert_str(joined(f.tags), "a|b");

    f = parse("---\r\nname: x\r\nbad: [\r\ntags:\r\n  - a\r\n  - 'b'\r\nkeywords:\r\n- c\r\ntitle: t\r\n---\r\n");
    assert_true(f.is_partial);
    assert_str(f.name, "x");
    assert_str(f.title, "t");
    assert_str(joined(f.tags), "a|b|c");

    f = parse("---\ndescription: |\n  one\n\n  two: {\nname: n\nbad: }\n---\n");
    assert_str(f.description, "one\ntwo: {");
    assert_str(f.name, "n");
    f = parse("---\ndescription: >-\n  one\n  two\nbad: }\n---\n");
    assert_str(f.description, "one two");
    f = parse("---\nname: \"open\ntitle: [a, b\ndescription: >\nlicense: {a\ntags: [a, 'b'\nbad: }\n---\n");
    assert_str(f.name, "open");
    assert_str(f.title, "open");
    assert_null(f.description.p);
    assert_null(f.license.p);
    assert_str(joined(f.tags), "a|b");
    f = parse("---\nname: [a, b]\ntitle: {{name}}\ndescription: [WIP] Use this: always\nversion: *v\n---\n");
    assert_null(f.name.p);
    assert_null(f.title.p);
    assert_null(f.version.p);
    assert_str(f.description, "[WIP] Use this: always");
    assert_str(parse("---\n  name: indented\nbad: }\nname : blank\n: x\n---\n").title.p ? STR("") : STR("none"),
               "none");
}

static void references_are_refused_and_read_by_lines(void **state)
{
    (void)state;
    frontmatter f = parse("---\nbase: &b {version: 9}\nname: x\nmetadata: *b\n---\n");
    assert_true(f.is_partial);
    assert_null(f.version.p);
    assert_str(f.name, "x");
    f = parse("---\nname: x\ndescription: *important* text\n---\n");
    assert_true(f.is_partial);
    assert_str(f.description, "*important* text");

    buf bomb = BUF_INIT; /* a billion laughs */
    buf_str(&bomb, STR("---\na0: &a0 [x,x,x,x,x,x,x,x,x]\n"));
    for (int i = 1; i < 30; i++)
        buf_printf(&bomb, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1);
    buf_str(&bomb, STR("name: n\n---\n"));
    assert_int_equal(frontmatter_parse(&a, buf_view(&bomb), &f), 0);
    assert_true(f.is_partial);
    assert_str(f.name, "n");
    buf_done(&bomb);
}

static void depth_and_number_of_events_are_limited(void **state)
{
    (void)state;
    frontmatter f;
    buf text = BUF_INIT;
    buf_str(&text, STR("---\nname: n\nx: "));
    for (int i = 0; i < 20000; i++)
        buf_char(&text, '[');
    buf_str(&text, STR("\n---\n"));
    assert_int_equal(frontmatter_parse(&a, buf_view(&text), &f), 0);
    assert_true(f.is_partial);
    assert_str(f.name, "n");

    buf_reset(&text);
    buf_str(&text, STR("---\nname: n\nx: ["));
    for (int i = 0; i < 12000; i++)
        buf_str(&text, STR("1,"));
    buf_str(&text, STR("]\n---\n"));
    assert_int_equal(frontmatter_parse(&a, buf_view(&text), &f), 0);
    assert_true(f.is_partial);
    assert_str(f.name, "n");
    buf_done(&text);
}

static void a_huge_block_is_refused_at_its_limit(void **state)
{
    (void)state;
    frontmatter f;
    buf text = BUF_INIT;
    buf_str(&text, STR("---\nname: n\n"));
    while (text.n - 4 + 10 <= FRONTMATTER_MAX)
        buf_str(&text, STR("#23456789\n"));
    size_t fits = text.n;
    buf_str(&text, STR("---\n"));
    assert_true(fits - 4 <= FRONTMATTER_MAX);
    assert_int_equal(frontmatter_parse(&a, buf_view(&text), &f), 0);
    text.n = fits;
    buf_str(&text, STR("#23456789\n---\n"));
    assert_int_equal(frontmatter_parse(&a, buf_view(&text), &f), -EFBIG);

    buf_reset(&text);
    buf_str(&text, STR("---\nname: "));
    for (int i = 0; i < 10 << 20; i++)
        buf_char(&text, 'x');
    assert_int_equal(frontmatter_parse(&a, buf_view(&text), &f), -EFBIG);
    buf_done(&text);
}

static void texts_are_cut_at_code_points(void **state)
{
    (void)state;
    buf text = BUF_INIT;
    buf_str(&text, STR("---\nname: "));
    for (int i = 0; i < 300; i++)
        buf_str(&text, STR("\xc3\xa4"));
    buf_str(&text, STR("\ndescription: "));
    for (int i = 0; i < 3000; i++)
        buf_str(&text, STR("\xc3\xa4"));
    buf_str(&text, STR("\ntags: ["));
    for (int i = 0; i < 60; i++)
        buf_printf(&text, "t%d,", i);
    buf_str(&text, STR("]\n---\n"));
    frontmatter f;
    assert_int_equal(frontmatter_parse(&a, buf_view(&text), &f), 0);
    assert_int_equal(utf8_length(f.name), 200);
    assert_int_equal(utf8_length(f.title), 200);
    assert_int_equal(utf8_length(f.description), 2000);
    assert_int_equal(f.tags.n, 50);
    assert_str(f.tags.v[49], "t49");
    buf_done(&text);
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
    (void)state;
    assert_str(parse("---\nname: a\xff"
                     "b\xc3\n---\n")
                   .name,
               "a\xEF\xBF\xBD"
               "b\xEF\xBF\xBD");
    assert_str(parse("---\nname: \xe2\x82\xac\xe2\x82\xed\xa0\x80\n---\n").name,
               "\xe2\x82\xac\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
}

/* ---- plugin manifests ---- */

static void a_plugin_manifest_gives_the_same_fields(void **state)
{
    (void)state;
    frontmatter f;
    assert_int_equal(frontmatter_parse_plugin(
                         &a,
                         STR("{\"name\":\"p\",\"version\":\"1.0\",\"description\":\"d\\n e\",\"license\":\"MIT\","
                             "\"keywords\":[\"a\",1,\"b\"],\"author\":{\"name\":\"n\"},\"commands\":[]}"),
                         &f),
                     0);
    assert_str(f.name, "p");
    assert_str(f.title, "p");
    assert_str(f.version, "1.0");
    assert_str(f.description, "d\n e");
    assert_str(f.license, "MIT");
    assert_str(joined(f.tags), "a|b");
    assert_int_equal(frontmatter_parse_plugin(
                         &a, STR("\xEF\xBB\xBF{\"displayName\":\"P\",\"name\":1,\"license\":{\"type\":\"X\"}}"), &f),
                     0);
    assert_str(f.title, "P");
    assert_null(f.name.p);
    assert_str(f.license, "X");
    assert_int_equal(frontmatter_parse_plugin(&a, STR("{}"), &f), 0);
    assert_null(f.title.p);
}

static void what_is_no_manifest_is_refused(void **state)
{
    (void)state;
    frontmatter f;
    static const char *const texts[] = {
        "", "[]", "null", "\"x\"", "{", "{\"a\":1}x", "{\"name\":\"\\ud800\"}", "{\"a\":1,\"a\":2}"};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (frontmatter_parse_plugin(&a, str_c(texts[i]), &f) != -EINVAL)
            fail_msg("taken: %s", texts[i]);
    char *huge = arena_alloc(&a, FRONTMATTER_MAX + 1);
    memset(huge, ' ', FRONTMATTER_MAX + 1);
    assert_int_equal(frontmatter_parse_plugin(&a, str_of(huge, FRONTMATTER_MAX + 1), &f), -EFBIG);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "---\nname: x\xff\ndescription: d\ntags: [a, b]\nmetadata: {version: 1}\n---\n",
        "---\nname: x\ndescription: a: b\ntags:\n- a\n- b\n---\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (long nth = 0; unit_next_fault(&nth);) {
            frontmatter f;
            arena b;
            arena_init(&b, 0);
            int r = frontmatter_parse(&b, str_c(texts[i]), &f);
            assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
            arena_done(&b);
        }
    }
    for (long nth = 0; unit_next_fault(&nth);) {
        frontmatter f;
        arena b;
        arena_init(&b, 0);
        int r = frontmatter_parse_plugin(&b, STR("{\"name\":\"x\",\"keywords\":[\"a\"]}"), &f);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        arena_done(&b);
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        int r = -ENOMEM;
        for (size_t left = 0; r != 0; left += 16) {
            frontmatter f;
            arena b;
            unit_tight_arena(&b, left);
            r = frontmatter_parse(&b, str_c(texts[i]), &f);
            assert_true(r == 0 || r == -ENOMEM);
            arena_done(&b);
        }
    }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_known_keys_are_taken),
        T(the_name_is_the_title_where_there_is_none),
        T(a_block_may_be_framed_in_many_ways),
        T(without_a_block_there_is_none),
        T(a_block_without_a_mapping_says_nothing),
        T(yaml_is_read_as_yaml),
        T(tags_come_as_a_list_or_as_text),
        T(metadata_fills_what_the_top_leaves_out),
        T(telling_keys_are_noticed),
        T(broken_yaml_still_gives_its_known_lines),
        T(references_are_refused_and_read_by_lines),
        T(depth_and_number_of_events_are_limited),
        T(a_huge_block_is_refused_at_its_limit),
        T(texts_are_cut_at_code_points),
        T(bytes_that_are_no_utf8_are_replaced),
        T(a_plugin_manifest_gives_the_same_fields),
        T(what_is_no_manifest_is_refused),
        T(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
