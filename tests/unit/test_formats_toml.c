/* TOML: what is read, what is refused and where, and that a key given twice never passes. */
#include "unit.h"

#include "larder/toml.h"

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

static const toml_value *parsed(const char *text)
{
    const toml_value *document = NULL;
    str why = STR("?");
    if (toml_parse(&a, str_c(text), &document, &why) < 0)
        fail_msg("refused: " STR_FMT "\n%s", STR_ARG(why), text);
    return document;
}

/* "a.0.b": members by name, elements by number. */
static const toml_value *at(const toml_value *v, const char *path)
{
    str rest = str_c(path), part;
    while (v && str_cut(&rest, '.', &part)) {
        int64_t nth;
        if (v->kind != TOML_ARRAY) {
            v = toml_get(v, part);
            continue;
        }
        assert_int_equal(str_to_i64(part, &nth), 0);
        for (v = v->first; v && nth > 0; nth--)
            v = v->next;
    }
    assert_non_null(v);
    return v;
}

static void a_document_becomes_a_tree_in_its_own_order(void **state)
{
    (void)state;
    const toml_value *d = parsed("# a comment\n"
                                 "title = \"x\" # behind\r\n"
                                 "a . \"b c\" . 'd' = 1\n"
                                 "\n"
                                 "[owner]\n"
                                 "ok = true\n"
                                 "list = [ 1, [\"x\", 'y'], # inside\n"
                                 "  { z = false, p.q = 2 },\n"
                                 "]\n"
                                 "[[deployed]]\n"
                                 "name = 'one'\n"
                                 "[deployed.more]\n"
                                 "at = 2025-01-31T10:00:00Z\n"
                                 "[[deployed]]\n"
                                 "name = 'two'");
    assert_str(at(d, "title")->text, "x");
    assert_str(at(d, "a.b c.d")->text, "1");
    assert_true(at(d, "owner.ok")->is_true);
    assert_str(at(d, "owner.list.1.1")->text, "y");
    assert_false(at(d, "owner.list.2.z")->is_true);
    assert_str(at(d, "owner.list.2.p.q")->text, "2");
    assert_str(at(d, "deployed.0.name")->text, "one");
    assert_str(at(d, "deployed.0.more.at")->text, "2025-01-31T10:00:00Z");
    assert_str(at(d, "deployed.1.name")->text, "two");
    assert_null(toml_get(at(d, "deployed.1"), STR("more")));
    assert_null(toml_get(at(d, "deployed"), STR("name"))); /* no table */
    assert_null(toml_get(NULL, STR("name")));

    assert_int_equal(at(d, "title")->line, 2);
    assert_int_equal(at(d, "owner.list.2.z")->line, 8);
    assert_int_equal(at(d, "deployed.1.name")->line, 15);
    assert_str(d->first->key, "title");
    assert_str(d->first->next->key, "a");
    assert_null(d->key.p);
}

static void an_empty_document_is_an_empty_table(void **state)
{
    (void)state;
    assert_null(parsed("")->first);
    assert_null(parsed("\xEF\xBB\xBF\r\n \t\n# x")->first);
    const toml_value *document;
    str why;
    assert_int_equal(toml_parse(&a, STR_NULL, &document, &why), 0);
}

static void texts_are_unescaped(void **state)
{
    (void)state;
    static const struct {
        const char *written, *meant;
    } cases[] = {
        {"\"\"", ""},
        {"''", ""},
        {"\"a\\tb\\\\c\\\"\\b\\f\\r\\n\"", "a\tb\\c\"\b\f\r\n"},
        {"\"\\u00e9\\U0001F600\\u20ac\\u0041\"", "\xc3\xa9\xf0\x9f\x98\x80\xe2\x82\xac"
                                                 "A"},
        {"'C:\\no\\escape'", "C:\\no\\escape"},
        {"\"tab\there\"", "tab\there"},
        {"\"\"\"\"\"\"", ""},
        {"\"\"\"one\"\"\"", "one"},
        {"\"\"\"\none\r\ntwo\n\"\"\"", "one\ntwo\n"},
        {"\"\"\"\r\none\"\"\"", "one"},
        {"\"\"\"one \\  \n\n \t two\"\"\"", "one two"},
        {"\"\"\"one\\\r\n  two\"\"\"", "onetwo"},
        {"\"\"\"\"quoted\"\"\"\"\"", "\"quoted\"\""},
        {"\"\"\"a \\\"\"\" b\"\"\"", "a \"\"\" b"},
        {"'''\nit's ''two'' \\n'''", "it's ''two'' \\n"},
        {"'''x'''''", "x''"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str text = arena_printf(&a, "k = %s", cases[i].written);
        const toml_value *v = at(parsed(text.p), "k");
        assert_int_equal(v->kind, TOML_STRING);
        unit_assert_str(v->text, str_c(cases[i].meant), cases[i].written, (int)i);
    }
}

static void numbers_and_times_are_checked_and_given_as_written(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "0",    "+0",  "-17",  "1_000",   "9223372036854775807", "0xDEAD_beef", "0o755", "0b1101", "3.14",
        "-0.0", "5e3", "1E6",  "6.6e-34", "9_224.445_991",       "inf",         "-inf",  "+inf",   "nan",
        "-nan", "0e0", "1e06",
    };
    static const char *const times[] = {
        "1979-05-27T07:32:00Z",
        "1979-05-27t07:32:00z",
        "1979-05-27T00:32:00.999999-07:00",
        "1979-05-27 07:32:00Z",
        "1979-05-27T07:32:00",
        "1979-05-27",
        "07:32:00",
        "00:32:00.5",
        "2024-02-29",
        "2000-02-29",
    };
    for (size_t i = 0; i < COUNT_OF(numbers) + COUNT_OF(times); i++) {
        bool is_number = i < COUNT_OF(numbers);
        const char *written = is_number ? numbers[i] : times[i - COUNT_OF(numbers)];
        const toml_value *v = at(parsed(arena_printf(&a, "k = %s # x", written).p), "k");
        assert_int_equal(v->kind, is_number ? TOML_NUMBER : TOML_TIME);
        unit_assert_str(v->text, str_c(written), written, (int)i);
    }
}

static void what_is_no_toml_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"a", "line 1: '=' is missing"},
        {"\n\n= 1", "line 3: a key is missing"},
        {"a. = 1", "line 1: a key is missing"},
        {"a =", "line 1: a value is missing"},
        {"a = \n", "line 1: a value is missing"},
        {"a = 1 b = 2", "line 1: something behind the end of a value or a header"},
        {"[a] b = 2", "line 1: something behind the end of a value or a header"},
        {"[a", "line 1: a header has no end"},
        {"[[a]", "line 1: a header has no end"},
        {"[a.]", "line 1: a key is missing"},
        {"[]", "line 1: a key is missing"},
        {"a = [1\n, 2", "line 2: an array has no end"},
        {"a = [1 2]", "line 1: an array has no end"},
        {"a = [,]", "line 1: a value is missing"},
        {"a = {b = 1", "line 1: an inline table has no end"},
        {"a = {b = 1,}", "line 1: a key is missing"},
        {"a = {b = 1\n}", "line 1: an inline table has no end"},
        {"a = \"x", "line 1: a text has no end"},
        {"a = \"x\ny\"", "line 1: a text has no end"},
        {"a = '''x''", "line 1: a text has no end"},
        {"\"\"\"a\"\"\" = 1", "line 1: '=' is missing"},
        {"a = \"\\x41\"", "line 1: an escape that does not exist"},
        {"a = \"\"\"\nx\\ y\"\"\"", "line 2: an escape that does not exist"},
        {"a = \"\\u12\"", "line 1: an escape has too few digits"},
        {"a = \"\\ud800\"", "line 1: an escape is no character"},
        {"a = \"\\U00110000\"", "line 1: an escape is no character"},
        {"a = \"\\u0000\"", "line 1: an escape is no character"},
        {"a = \"\x01\"", "line 1: a control character"},
        {"a = '\x7f'", "line 1: a control character"},
        {"a = '''\n\rx'''", "line 2: a control character"},
        {"# \x02", "line 1: a control character"},
        {"# x\ry\n", "line 1: a control character"},
        {"a = 1\r", "line 1: something behind the end of a value or a header"},
        {"a = True", "line 1: a value that TOML does not know"},
        {"a = yes", "line 1: a value that TOML does not know"},
        {"a = \xff", "line 1: the file is no UTF-8"},
        {"caf\xc3\xa9 = 1", "line 1: '=' is missing"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const toml_value *document;
        str why = STR_NULL;
        assert_int_equal(toml_parse(&a, str_c(cases[i].text), &document, &why), -EINVAL);
        unit_assert_str(why, str_c(cases[i].why), cases[i].text, (int)i);
    }
}

static void numbers_and_times_of_a_wrong_form_are_refused(void **state)
{
    (void)state;
    static const char *const written[] = {
        "01",
        "+01",
        "1__0",
        "_1",
        "1_",
        "1.",
        ".5",
        "1.e5",
        "1e",
        "1e+",
        "1._5",
        "1_.5",
        "0x",
        "0xg",
        "+0x1",
        "0X1",
        "0b2",
        "0o8",
        "infinity",
        "Inf",
        "--1",
        "1 000",
        "1,0",
        "2025-1-01",
        "25-01-01",
        "2025-13-01",
        "2025-00-01",
        "2025-01-00",
        "2025-01-32",
        "2023-02-29",
        "1900-02-29",
        "24:00:00",
        "12:60:00",
        "12:00:60",
        "12:00",
        "12:00:00.",
        "12:00:00Z",
        "2025-01-01T",
        "2025-01-01T12:00:00+24:00",
        "2025-01-01T12:00:00+0100",
        "2025-01-01T12:00:00Zx",
        "2025-01-01  12:00:00",
        "-025-01-01",
    };
    for (size_t i = 0; i < COUNT_OF(written); i++) {
        const toml_value *document;
        str why, text = arena_printf(&a, "k = %s\n", written[i]);
        if (toml_parse(&a, text, &document, &why) != -EINVAL)
            fail_msg("%s is no value", written[i]);
    }
}

static void a_key_is_never_given_twice(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a = 1\na = 2",
        "a = 1\n\"a\" = 2",
        "a = 1\n'\\u0061' = 2\n\"\\u0061\" = 2",
        "a.b = 1\na.b = 2",
        "a = 1\na.b = 2",
        "a.b = 1\na = 2",
        "a.b = 1\na.b.c = 2",
        "[a]\n[a]",
        "a = 1\n[a]",
        "[a]\nb = 1\n[a.b]",
        "[a.b]\n[a]\nb = 1",
        "a.b = 1\n[a]",
        "[a]\nb.c = 1\n[a.b]",
        "[a.b.c]\nz = 9\n[a]\nb.c.t = 1",
        "[a.b.c.d]\nz = 9\n[a]\nb.c.d.k.t = 1",
        "[[a]]\n[a]",
        "[a]\n[[a]]",
        "[a.b]\n[[a]]",
        "a = []\n[[a]]",
        "a = [{}]\n[a.b]",
        "[[a.b]]\n[a]\nb.y = 2",
        "a = {}\n[a]",
        "a = {}\n[a.b]",
        "a = {}\na.b = 1",
        "a = {b = 1, b = 2}",
        "a = {b = {c = 1}, b.d = 2}",
        "a = {b.c = 1}\na.b.d = 2",
        "[[a]]\nb = {}\n[a.b]",
        "[a]\nx.y = 1\n[b]\n[a.x]",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const toml_value *document;
        str why = STR_NULL;
        assert_int_equal(toml_parse(&a, str_c(texts[i]), &document, &why), -EINVAL);
        if (!str_ends(why, STR(": a key is given twice")))
            fail_msg("%s: " STR_FMT, texts[i], STR_ARG(why));
    }
}

static void tables_may_be_told_in_any_order_and_in_parts(void **state)
{
    (void)state;
    assert_str(at(parsed("[a.b]\nx = 1\n[a]\ny = 2"), "a.y")->text, "2");
    assert_str(at(parsed("a.b = 1\na.c = 2"), "a.c")->text, "2");
    assert_str(at(parsed("[f]\na.c = 1\na.t.s = 2\n[f.a.x]\nz = 3"), "f.a.x.z")->text, "3");
    assert_str(at(parsed("[[a]]\n[a.b]\n[[a]]\n[a.b]\nx = 1"), "a.1.b.x")->text, "1");
    assert_str(at(parsed("[[a]]\nb.c = 1\n[[a]]\nb.c = 2"), "a.1.b.c")->text, "2");
    assert_str(at(parsed("[a.b.c]\n[a]\nb.x = 1"), "a.b.x")->text, "1");
    assert_str(at(parsed("a = {b.c = 1, b.d = 2}"), "a.b.d")->text, "2");
    assert_str(at(parsed("1.2 = 3"), "1.2")->text, "3");
}

static str repeated(const char *piece, size_t n, const char *end)
{
    buf b = BUF_INIT;
    for (size_t i = 0; i < n; i++)
        buf_str(&b, str_c(piece));
    buf_str(&b, str_c(end));
    str text = arena_dup(&a, buf_view(&b));
    buf_done(&b);
    assert_non_null(text.p);
    return text;
}

static int status_of(str text)
{
    const toml_value *document;
    str why;
    return toml_parse(&a, text, &document, &why);
}

static void depth_members_and_size_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(
        status_of(arena_printf(&a, "a=%s%s", repeated("[", TOML_DEPTH - 1, "").p, repeated("]", TOML_DEPTH - 1, "").p)),
        0);
    assert_int_equal(status_of(arena_printf(&a, "a=%s", repeated("[", 100000, "").p)), -EINVAL);
    assert_int_equal(status_of(arena_printf(&a, "a=%s", repeated("{a=", 100000, "").p)), -EINVAL);
    assert_int_equal(status_of(repeated("a.", TOML_DEPTH - 1, "a=1")), 0);
    assert_int_equal(status_of(repeated("a.", TOML_DEPTH, "a=1")), -EINVAL);

    buf b = BUF_INIT;
    for (int i = 0; i < TOML_MEMBERS_MAX; i++)
        buf_printf(&b, "k%d = %d\n", i, i);
    assert_int_equal(status_of(buf_view(&b)), 0);
    buf_str(&b, STR("more = 1\n"));
    assert_int_equal(status_of(buf_view(&b)), -EINVAL);
    buf_done(&b);

    assert_int_equal(status_of(repeated("#", TOML_MAX, "")), 0);
    assert_int_equal(status_of(repeated("#", TOML_MAX, "#")), -EFBIG);
}

static void missing_memory_is_an_error_at_every_step(void **state)
{
    (void)state;
    str text = STR("a.b = 'x'\nc = [1, {d = \"y\"}]\n[[e]]\nf = '''z'''\n");
    str broken = STR("a = 'x'\na = 2");
    int status = -ENOMEM;
    for (size_t left = 0; status == -ENOMEM && left < 8192; left += 16) {
        arena tight;
        unit_tight_arena(&tight, left);
        const toml_value *document = NULL;
        str why = STR_NULL;
        status = toml_parse(&tight, text, &document, &why);
        assert_true(status == 0 || status == -ENOMEM);
        assert_true((status == 0) == (document != NULL));
        int refused = toml_parse(&tight, broken, &document, &why);
        assert_true(refused == -ENOMEM || refused == -EINVAL);
        arena_done(&tight);
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_becomes_a_tree_in_its_own_order),
        cmocka_unit_test(an_empty_document_is_an_empty_table),
        cmocka_unit_test(texts_are_unescaped),
        cmocka_unit_test(numbers_and_times_are_checked_and_given_as_written),
        cmocka_unit_test(what_is_no_toml_is_refused_with_its_line),
        cmocka_unit_test(numbers_and_times_of_a_wrong_form_are_refused),
        cmocka_unit_test(a_key_is_never_given_twice),
        cmocka_unit_test(tables_may_be_told_in_any_order_and_in_parts),
        cmocka_unit_test(depth_members_and_size_are_bounded),
        cmocka_unit_test(missing_memory_is_an_error_at_every_step),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
