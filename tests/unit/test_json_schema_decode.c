/* Bodies: what is taken, what is refused, and with which words. */
#include "unit.h"

#include "thing.h"

typedef struct body {
    arena a;
    thing t;
    schema_error err;
    int r;
} body;

/* Single quotes stand for double ones. */
static void decode(body *b, const char *text, unsigned flags)
{
    *b = (body){0};
    arena_init(&b->a, 0);
    char *json_text = arena_cstr(&b->a, str_c(text));
    for (char *p = json_text; *p; p++)
        if (*p == '\'')
            *p = '"';
    const json_value *v;
    json_error why;
    if (json_parse(&b->a, str_c(json_text), &v, &why) < 0)
        fail_msg("%s: %s", text, why.text);
    b->r = schema_decode(&thing_schema, &b->a, v, flags, &b->t, &b->err);
}

static void every_kind_is_decoded(void **state)
{
    (void)state;
    body b;
    decode(&b,
           "{'name':'n\\u00e9','note':'abcde','active':false,'size':500,'offset':9223372036854775807,'ratio':1,"
           "'level':'high','made':'2025-01-18T11:00:00+01:00','tags':['a','bb'],'seen':['x'],"
           "'totals':{'skill':3,'':-1},'map':{'dir/a':'skill'},'extra':{'z':[1,2.5,'\\n']},"
           "'main':{'label':'core','weight':0,'marks':[]},"
           "'parts':[{'label':'a','marks':['b']},{'label':'c','weight':9}]}",
           0);
    assert_int_equal(b.r, 0);
    const thing *t = &b.t;
    assert_str(t->name, "n\xc3\xa9");
    assert_str(t->note, "abcde");
    assert_false(t->active);
    assert_int_equal(t->size, 500);
    assert_true(t->offset == INT64_MAX);
    assert_true(t->ratio == 1.0);
    assert_str(t->level, "high");
    assert_true(t->made == 1737194400000);
    assert_int_equal(t->tags.n, 2);
    assert_str(t->tags.v[1], "bb");
    assert_str(t->seen.v[0], "x");
    assert_int_equal(t->totals.n, 2);
    assert_str(t->totals.v[0].name, "skill");
    assert_int_equal(t->totals.v[1].n, -1);
    assert_str(t->map.v[0].key, "dir/a");
    assert_str(t->map.v[0].value, "skill");
    assert_str(t->extra, "{\"z\":[1,2.5,\"\\n\"]}");
    assert_str(t->main.label, "core");
    assert_int_equal(t->main.weight, 0);
    assert_non_null(t->main.marks.v);
    assert_int_equal(t->main.marks.n, 0);
    assert_true(HAS(t, thing, name) && HAS(t, thing, main) && HAS(t, thing, extra));
    assert_true(HAS(&t->main, part, marks));
    assert_int_equal(t->parts.n, 2);
    const part *parts = t->parts.v;
    assert_str(parts[0].label, "a");
    assert_int_equal(parts[0].weight, 7);
    assert_str(parts[0].marks.v[0], "b");
    assert_str(parts[1].label, "c");
    assert_int_equal(parts[1].weight, 9);
    assert_true(HAS(&parts[1], part, weight) && !HAS(&parts[0], part, weight));
    assert_true(HAS(t, thing, parts) && !HAS(t, thing, secret));
    assert_int_equal(t->nulls, 0);
    arena_done(&b.a);
}

static void absent_fields_get_their_defaults(void **state)
{
    (void)state;
    body b;
    decode(&b, "{'name':'x','main':{'label':'y'}}", 0);
    assert_int_equal(b.r, 0);
    assert_true(b.t.active);
    assert_int_equal(b.t.size, 50);
    assert_int_equal(b.t.offset, 0);
    assert_true(b.t.ratio == 0.25);
    assert_str(b.t.level, "mid");
    assert_null(b.t.note.p);
    assert_int_equal(b.t.made, 0);
    assert_null(b.t.tags.v);
    assert_non_null(b.t.seen.v);
    assert_int_equal(b.t.seen.n, 0);
    assert_null(b.t.map.v);
    assert_null(b.t.extra.p);
    assert_int_equal(b.t.main.weight, 7);
    assert_false(HAS(&b.t, thing, size) || HAS(&b.t, thing, level) || WAS_NULL(&b.t, thing, note));
    arena_done(&b.a);
}

static void where_it_is_said_texts_hold_no_control_characters(void **state)
{
    (void)state;
    static const struct {
        const char *member, *error; /* NULL: it fits */
    } cases[] = {
        {"\"line\":\"\u00a0\u00df~\"", NULL},
        {"\"words\":[\"a b\",\"\u65e5\"]", NULL},
        {"\"line\":\"a\\n\"", "line: String should not contain control characters"},
        {"\"line\":\"\\u007f\"", "line: String should not contain control characters"},
        {"\"line\":\"\\u009b1m\"", "line: String should not contain control characters"},
        {"\"line\":\"\\u0000\"", "line: String should not contain null characters"},
        {"\"words\":[\"ok\",\"\\u001b\"]", "words[1]: String should not contain control characters"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        arena a;
        arena_init(&a, 0);
        const json_value *v;
        odd o = {0};
        schema_error err = {0};
        const str text = arena_printf(&a, "{\"only\":{\"label\":\"l\"},%s}", cases[i].member);
        assert_int_equal(json_parse(&a, text, &v, NULL), 0);
        assert_int_equal(schema_decode(&odd_schema, &a, v, 0, &o, &err), cases[i].error ? -EINVAL : 0);
        if (cases[i].error)
            unit_assert_str(err.text, str_c(cases[i].error), __FILE__, __LINE__);
        arena_done(&a);
    }
}

static void defaults_exist_for_texts_lists_and_raw(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *v;
    odd o = {0};
    schema_error err;
    assert_int_equal(json_parse(&a, STR("{\"only\":{\"label\":\"l\"},\"level\":null}"), &v, NULL), 0);
    assert_int_equal(schema_decode(&odd_schema, &a, v, 0, &o, &err), 0);
    assert_str(o.greeting, "hello");
    assert_non_null(o.totals.v);
    assert_int_equal(o.totals.n, 0);
    assert_non_null(o.map.v);
    assert_int_equal(o.map.n, 0);
    assert_str(o.extra, "{\"a\":[1]}");
    assert_null(o.level.p);
    assert_true(WAS_NULL(&o, odd, level));

    o = (odd){0};
    assert_int_equal(json_parse(&a, STR("{\"only\":{\"label\":\"l\"},\"level\":\"mid\"}"), &v, NULL), 0);
    assert_int_equal(schema_decode(&odd_schema, &a, v, 0, &o, &err), -EINVAL);
    assert_str(err.text, "level: Input should be 'low'");
    assert_int_equal(json_parse(&a, STR("{\"totals\":{}}"), &v, NULL), 0);
    assert_int_equal(schema_decode(&odd_schema, &a, v, 0, &o, &err), -EINVAL);
    assert_str(err.text, "totals: Dictionary should have at least 1 item");
    assert_int_equal(json_parse(&a, STR("{\"greeting\":\"\"}"), &v, NULL), 0);
    assert_int_equal(schema_decode(&odd_schema, &a, v, 0, &o, &err), -EINVAL);
    assert_str(err.text, "only: Field required");
    arena_done(&a);
}

static void null_is_told_from_absent(void **state)
{
    (void)state;
    body b;
    decode(&b, "{'name':'x','note':null,'offset':null,'made':null,'tags':null,'map':null,'extra':null,'main':null}", 0);
    assert_int_equal(b.r, 0);
    assert_true(WAS_NULL(&b.t, thing, note) && WAS_NULL(&b.t, thing, offset) && WAS_NULL(&b.t, thing, made));
    assert_true(WAS_NULL(&b.t, thing, tags) && WAS_NULL(&b.t, thing, map) && WAS_NULL(&b.t, thing, extra));
    assert_true(WAS_NULL(&b.t, thing, main) && !WAS_NULL(&b.t, thing, name) && !HAS(&b.t, thing, note));
    assert_null(b.t.note.p);
    assert_null(b.t.extra.p);
    arena_done(&b.a);
}

typedef struct refusal {
    const char *body, *field, *text; /* field NULL: the whole */
} refusal;

/* clang-format off */
static const refusal refusals[] = {
    {"[]", NULL, "Input should be a valid dictionary"},
    {"null", NULL, "Input should be a valid dictionary"},
    {"'x'", NULL, "Input should be a valid dictionary"},
    {"{}", "name", "name: Field required"},
    {"{'Name':'x'}", "name", "name: Field required"},
    {"{'name':null}", "name", "name: Input should be a valid string"},
    {"{'name':1}", "name", "name: Input should be a valid string"},
    {"{'name':['x']}", "name", "name: Input should be a valid string"},
    {"{'name':''}", "name", "name: String should have at least 1 character"},
    {"{'name':'123456789012345678901'}", "name", "name: String should have at most 20 characters"},
    {"{'name':'x','note':'123456'}", "note", "note: String should have at most 5 characters"},
    {"{'name':'x','active':null}", "active", "active: Input should be a valid boolean"},
    {"{'name':'x','active':1}", "active", "active: Input should be a valid boolean"},
    {"{'name':'x','active':0}", "active", "active: Input should be a valid boolean"},
    {"{'name':'x','active':'true'}", "active", "active: Input should be a valid boolean"},
    {"{'name':'x','size':1.0}", "size", "size: Input should be a valid integer"},
    {"{'name':'x','size':1e2}", "size", "size: Input should be a valid integer"},
    {"{'name':'x','size':'1'}", "size", "size: Input should be a valid integer"},
    {"{'name':'x','size':true}", "size", "size: Input should be a valid integer"},
    {"{'name':'x','size':0}", "size", "size: Input should be greater than or equal to 1"},
    {"{'name':'x','size':-9223372036854775808}", "size", "size: Input should be greater than or equal to 1"},
    {"{'name':'x','size':501}", "size", "size: Input should be less than or equal to 500"},
    {"{'name':'x','offset':-1}", "offset", "offset: Input should be greater than or equal to 0"},
    {"{'name':'x','ratio':'0.5'}", "ratio", "ratio: Input should be a valid number"},
    {"{'name':'x','ratio':-0.1}", "ratio", "ratio: Input should be greater than or equal to 0"},
    {"{'name':'x','ratio':2}", "ratio", "ratio: Input should be less than or equal to 1"},
    {"{'name':'x','level':'LOW'}", "level", "level: Input should be 'low', 'mid' or 'high'"},
    {"{'name':'x','level':''}", "level", "level: Input should be 'low', 'mid' or 'high'"},
    {"{'name':'x','level':'low|mid'}", "level", "level: Input should be 'low', 'mid' or 'high'"},
    {"{'name':'x','level':3}", "level", "level: Input should be 'low', 'mid' or 'high'"},
    {"{'name':'x','made':'yesterday'}", "made", "made: Input should be a valid datetime"},
    {"{'name':'x','made':1737194400}", "made", "made: Input should be a valid datetime"},
    {"{'name':'x','tags':'a'}", "tags", "tags: Input should be a valid list"},
    {"{'name':'x','tags':{}}", "tags", "tags: Input should be a valid list"},
    {"{'name':'x','tags':[]}", "tags", "tags: List should have at least 1 item"},
    {"{'name':'x','tags':['a','b','c','d']}", "tags", "tags: List should have at most 3 items"},
    {"{'name':'x','tags':['a','b',1]}", "tags[2]", "tags[2]: Input should be a valid string"},
    {"{'name':'x','tags':[null]}", "tags[0]", "tags[0]: Input should be a valid string"},
    {"{'name':'x','tags':['a','']}", "tags[1]", "tags[1]: String should have at least 1 character"},
    {"{'name':'x','tags':['12345']}", "tags[0]", "tags[0]: String should have at most 4 characters"},
    {"{'name':'x','seen':null}", "seen", "seen: Input should be a valid list"},
    {"{'name':'x','totals':[]}", "totals", "totals: Input should be a valid dictionary"},
    {"{'name':'x','totals':{'a':1.5}}", "totals.a", "totals.a: Input should be a valid integer"},
    {"{'name':'x','totals':{'a':1,'b':2,'c':3}}", "totals", "totals: Dictionary should have at most 2 items"},
    {"{'name':'x','map':'a'}", "map", "map: Input should be a valid dictionary"},
    {"{'name':'x','map':{'key':1}}", "map.key", "map.key: Input should be a valid string"},
    {"{'name':'x','map':{'key':['a']}}", "map.key", "map.key: Input should be a valid string"},
    {"{'name':'x','map':{'a':'','b':'1234567'}}", "map.b", "map.b: String should have at most 6 characters"},
    {"{'name':'x','main':[]}", "main", "main: Input should be a valid dictionary"},
    {"{'name':'x','main':{}}", "main.label", "main.label: Field required"},
    {"{'name':'x','main':{'label':'a','weight':'1'}}", "main.weight",
     "main.weight: Input should be a valid integer"},
    {"{'name':'x','main':{'label':'a','marks':['ok','']}}", "main.marks[1]",
     "main.marks[1]: String should have at least 1 character"},
    {"{'name':'x','main':{'label':'a','colour':1}}", "main.colour",
     "main.colour: Extra inputs are not permitted"},
    {"{'name':'x','colour':1}", "colour", "colour: Extra inputs are not permitted"},
    {"{'name':'x','':1}", "", ": Extra inputs are not permitted"},
    {"{'name':'x','secret':'y'}", "secret", "secret: Extra inputs are not permitted"},
    {"{'name':'x','parts':{}}", "parts", "parts: Input should be a valid list"},
    {"{'name':'x','parts':[1]}", "parts[0]", "parts[0]: Input should be a valid dictionary"},
    {"{'name':'x','parts':[{'label':'a'},{}]}", "parts[1].label", "parts[1].label: Field required"},
    {"{'name':'x','parts':[{'label':'a','marks':['']}]}", "parts[0].marks[0]",
     "parts[0].marks[0]: String should have at least 1 character"},
    {"{'name':'x','parts':[{'label':'a','x':1}]}", "parts[0].x", "parts[0].x: Extra inputs are not permitted"},
    {"{'name':'x','parts':[{},{},{},{}]}", "parts", "parts: List should have at most 3 items"},
    {"{'colour':1,'size':0,'name':2}", "name", "name: Input should be a valid string"},
    {"{'size':0,'name':'x','colour':2}", "size", "size: Input should be greater than or equal to 1"},
};
/* clang-format on */

static void the_first_fault_is_named_in_the_schemas_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(refusals); i++) {
        const refusal *want = &refusals[i];
        body b;
        decode(&b, want->body, 0);
        if (b.r != -EINVAL || !str_eq(b.err.text, str_c(want->text)) || !str_eq(b.err.field, str_c(want->field)))
            fail_msg("%s: %d, field " STR_FMT ", \"" STR_FMT "\"", want->body, b.r, STR_ARG(b.err.field),
                     STR_ARG(b.err.text));
        assert_true((b.err.field.p == NULL) == (want->field == NULL));
        arena_done(&b.a);
    }
}

static void lengths_are_counted_in_code_points(void **state)
{
    (void)state;
    body b;
    decode(&b, "{'name':'x','note':'\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xf0\x9f\x98\x80'}", 0);
    assert_int_equal(b.r, 0);
    assert_int_equal(b.t.note.n, 16);
    arena_done(&b.a);
}

static void unknown_keys_may_be_allowed(void **state)
{
    (void)state;
    body b;
    decode(&b, "{'colour':1,'name':'x','main':{'label':'a','more':[]}}", ALLOW_EXTRA);
    assert_int_equal(b.r, 0);
    assert_str(b.t.name, "x");
    arena_done(&b.a);
}

/* A stranger's key is repeated in the error only up to a length. */
static void long_keys_are_cut_in_error_texts(void **state)
{
    (void)state;
    static const char *const patterns[] = {"{'name':'x','%s':1}", "{'name':'x','map':{'%s':1}}"};
    for (size_t i = 0; i < COUNT_OF(patterns); i++) {
        buf key = BUF_INIT, text = BUF_INIT;
        for (int n = 0; n < 100000; n++)
            buf_str(&key, STR("\xc3\xa9"));
        str pattern = str_c(patterns[i]);
        ptrdiff_t hole = str_find(pattern, STR("%s"));
        buf_str(&text, str_head(pattern, (size_t)hole));
        buf_str(&text, buf_view(&key));
        buf_str(&text, str_from(pattern, (size_t)hole + 2));
        buf_char(&text, '\0');
        body b;
        decode(&b, text.p, 0);
        assert_int_equal(b.r, -EINVAL);
        assert_true(b.err.text.n < 300);
        assert_true(utf8_valid(b.err.text));
        arena_done(&b.a);
        buf_done(&key);
        buf_done(&text);
    }
}

static void every_failed_allocation_is_reported_as_such(void **state)
{
    (void)state;
    static const struct {
        int result;
        const char *text;
    } bodies[] = {
        {0, "{\"name\":\"x\",\"tags\":[\"a\"],\"totals\":{\"a\":1},\"map\":{\"a\":\"b\"}}"},
        {0, "{\"name\":\"x\",\"extra\":[1,{}],\"main\":{\"label\":\"l\",\"marks\":[\"m\"]}}"},
        {-EINVAL, "{\"name\":\"x\",\"level\":\"none\"}"},
        {-EINVAL, "{\"name\":\"x\",\"main\":{\"label\":\"a\",\"marks\":[\"\"]}}"},
        {-EINVAL, "{\"name\":\"x\",\"map\":{\"k\":1}}"},
        {0, "{\"name\":\"x\",\"parts\":[{\"label\":\"a\",\"marks\":[\"b\"]}]}"},
        {-EINVAL, "{\"name\":\"x\",\"parts\":[{\"label\":\"a\",\"marks\":[\"\"]}]}"},
        {-EINVAL, "{\"name\":\"x\",\"parts\":[{}]}"},
        {-EINVAL, "{\"name\":\"x\",\"size\":0}"},
        {-EINVAL, "{\"name\":\"x\",\"unknown\":1}"},
    };
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        arena tree;
        arena_init(&tree, 0);
        const json_value *v;
        assert_int_equal(json_parse(&tree, str_c(bodies[i].text), &v, NULL), 0);
        for (long nth = 0; unit_next_fault(&nth);) {
            arena a;
            arena_init(&a, 0);
            thing t = {0};
            schema_error err;
            int r = schema_decode(&thing_schema, &a, v, 0, &t, &err);
            assert_int_equal(r, mem_failed() ? -ENOMEM : bodies[i].result);
            arena_done(&a);
        }
        /* An arena without room fails at every place that asks it, not only where it grows. */
        for (size_t limit = 1; limit < 1500; limit++) {
            arena a;
            arena_init(&a, limit);
            thing t = {0};
            schema_error err = {0};
            int r = schema_decode(&thing_schema, &a, v, 0, &t, &err);
            assert_true(r == bodies[i].result || r == -ENOMEM);
            assert_true(r != -EINVAL || err.text.p);
            arena_done(&a);
        }
        arena_done(&tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_is_decoded),
        cmocka_unit_test(absent_fields_get_their_defaults),
        cmocka_unit_test(where_it_is_said_texts_hold_no_control_characters),
        cmocka_unit_test(defaults_exist_for_texts_lists_and_raw),
        cmocka_unit_test(null_is_told_from_absent),
        cmocka_unit_test(the_first_fault_is_named_in_the_schemas_order),
        cmocka_unit_test(lengths_are_counted_in_code_points),
        cmocka_unit_test(unknown_keys_may_be_allowed),
        cmocka_unit_test(long_keys_are_cut_in_error_texts),
        cmocka_unit_test(every_failed_allocation_is_reported_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
