/* From structs to JSON, and to JSON Schema. */
#include "unit.h"

#include <math.h>

#include "thing.h"

static str written(arena *a, const schema *s, const void *in)
{
    buf text = BUF_INIT;
    json w;
    json_begin(&w, &text);
    schema_write(s, in, &w);
    assert_int_equal(json_finish(&w), 0);
    str copy = arena_dup(a, buf_view(&text));
    buf_done(&text);
    return copy;
}

static void all_fields_are_written_in_order(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    static const str tags[] = {{"a\"b", 3}, {"\xc3\xa9", 2}};
    static const count_of totals[] = {{{"skill", 5}, 8}, {{"a\nb", 3}, -1}};
    static const pair map[] = {{{"dir", 3}, {"skill", 5}}};
    static const part parts[] = {{.label = {"p", 1}, .weight = -2}, {.label = {"q", 1}}};
    thing t = {
        .name = STR("n"),
        .note = STR("line\n"),
        .active = true,
        .size = 42,
        .offset = INT64_MAX,
        .ratio = 0.5,
        .level = STR("mid"),
        .made = 1737194400000,
        .tags = {tags, 2},
        .seen = {tags, 0},
        .totals = {totals, 2},
        .map = {map, 1},
        .extra = STR("[1, 2]"),
        .main = {.label = STR("core"), .weight = 7, .marks = {tags, 1}},
        .secret = STR("hidden"),
        .parts = {parts, 2},
    };
    assert_str(written(&a, &thing_schema, &t),
               "{\"name\":\"n\",\"note\":\"line\\n\",\"active\":true,\"size\":42,\"offset\":9223372036854775807,"
               "\"ratio\":0.5,\"level\":\"mid\",\"made\":\"2025-01-18T10:00:00Z\","
               "\"tags\":[\"a\\\"b\",\"\xc3\xa9\"],"
               "\"seen\":[],\"totals\":{\"skill\":8,\"a\\nb\":-1},\"map\":{\"dir\":\"skill\"},\"extra\":[1, 2],"
               "\"main\":{\"label\":\"core\",\"weight\":7,\"marks\":[\"a\\\"b\"]},"
               "\"parts\":[{\"label\":\"p\",\"weight\":-2,\"marks\":[]},"
               "{\"label\":\"q\",\"weight\":0,\"marks\":[]}]}");
    arena_done(&a);
}

static void what_is_absent_is_null_or_empty(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    thing t = {.nulls = UINT64_C(1) << 13};
    assert_str(written(&a, &thing_schema, &t),
               "{\"name\":null,\"note\":null,\"active\":false,\"size\":0,\"offset\":0,\"ratio\":0.0,\"level\":null,"
               "\"made\":null,\"tags\":null,\"seen\":[],\"totals\":{},\"map\":null,\"extra\":null,\"main\":null,"
               "\"parts\":[]}");
    arena_done(&a);
}

static void members_join_an_open_object(void **state)
{
    (void)state;
    buf text = BUF_INIT;
    json w;
    part p = {.label = STR("x")};
    json_begin(&w, &text);
    json_object(&w);
    schema_write_members(&part_schema, &p, &w);
    json_pair_int(&w, "more", 1);
    schema_write_members(&part_schema, &p, &w);
    json_end(&w);
    assert_int_equal(json_finish(&w), 0);
    assert_str(buf_view(&text), "{\"label\":\"x\",\"weight\":0,\"marks\":[],\"more\":1,"
                                "\"label\":\"x\",\"weight\":0,\"marks\":[]}");
    buf_done(&text);
}

/* clang-format off */
#define LONG_FIELDS(X, S)                                                                                   \
    X(S, bool, a_name_of_exactly_twenty_nine, OPTIONAL, 0, 0, NONE, "with quotes and colon, 32 bytes")      \
    X(S, str,  a_name_that_is_a_good_deal_longer_than_that_of_any_other, OPTIONAL, 0, 0, NONE, "62 bytes")  \
    X(S, f64,  ratio, OPTIONAL, 0, 0, NONE, "a number")
SCHEMA_STRUCT(long_named, LONG_FIELDS);
SCHEMA(long_named, LONG_FIELDS, "Long names");
/* clang-format on */

static void names_may_be_long(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    long_named v = {.a_name_that_is_a_good_deal_longer_than_that_of_any_other = STR("x")};
    assert_str(written(&a, &long_named_schema, &v),
               "{\"a_name_of_exactly_twenty_nine\":false,"
               "\"a_name_that_is_a_good_deal_longer_than_that_of_any_other\":\"x\",\"ratio\":0.0}");
    arena_done(&a);
}

static void a_number_that_is_none_is_misuse(void **state)
{
    (void)state;
    buf text = BUF_INIT;
    json w;
    json_begin(&w, &text);
    schema_write(&long_named_schema, &(long_named){.ratio = (double)NAN}, &w);
    assert_int_equal(json_finish(&w), -EPROTO);
    buf_done(&text);
}

static void members_without_an_object_are_misuse(void **state)
{
    (void)state;
    buf text = BUF_INIT;
    json w;
    part p = {.label = STR("x")};
    json_begin(&w, &text);
    json_array(&w);
    schema_write_members(&part_schema, &p, &w);
    json_end(&w);
    assert_int_equal(json_finish(&w), -EPROTO);
    assert_str(buf_view(&text), "[");

    buf_reset(&text);
    json_begin(&w, &text);
    json_object(&w);
    json_key(&w, STR("k"));
    schema_write_members(&part_schema, &p, &w);
    json_end(&w);
    assert_int_equal(json_finish(&w), -EPROTO);
    buf_done(&text);
}

static void what_is_written_decodes_to_the_same(void **state)
{
    (void)state;
    random_seed_for_tests(5);
    for (int round = 0; round < 5000; round++) {
        arena a;
        arena_init(&a, 0);
        thing t, back = {0};
        thing_random(&a, &t);
        str text = written(&a, &thing_schema, &t);
        const json_value *v;
        schema_error err;
        assert_int_equal(json_parse(&a, text, &v, NULL), 0);
        int r = schema_decode(&thing_schema, &a, v, 0, &back, &err);
        if (r != 0)
            fail_msg(STR_FMT ": %d " STR_FMT, STR_ARG(text), r, STR_ARG(err.text));
        assert_true(str_eq(written(&a, &thing_schema, &back), text));
        arena_done(&a);
    }
    random_seed_for_tests(0);
}

static void every_failed_allocation_is_the_writers_result(void **state)
{
    (void)state;
    random_seed_for_tests(6);
    arena a;
    arena_init(&a, 0);
    part *parts = arena_array(&a, part, 100);
    thing t;
    thing_random(&a, &t);
    t.parts = (rows){parts, 100};
    random_seed_for_tests(0);
    for (long nth = 0; unit_next_fault(&nth);) {
        buf text = BUF_INIT;
        json w;
        json_begin(&w, &text);
        schema_write(&thing_schema, &t, &w);
        int r = json_finish(&w);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        buf_done(&text);
    }
    arena_done(&a);
}

/* ---- the description ---- */

static const json_value *described(arena *a, const schema *s)
{
    buf text = BUF_INIT;
    json w;
    json_begin(&w, &text);
    schema_describe(s, &w);
    assert_int_equal(json_finish(&w), 0);
    const json_value *v;
    assert_int_equal(json_parse(a, buf_view(&text), &v, NULL), 0); /* keeps nothing of the text */
    buf_done(&text);
    return v;
}

typedef struct property {
    const char *name, *wanted; /* single quotes stand for double ones */
} property;

/* clang-format off */
static const property properties[] = {
    {"name", "{'type':'string','minLength':1,'maxLength':20,'description':'its name'}"},
    {"note", "{'type':['string','null'],'maxLength':5,'format':'uri','description':'a remark'}"},
    {"active", "{'type':'boolean','default':true,'description':'in use'}"},
    {"size", "{'type':'integer','minimum':1,'maximum':500,'default':50,'description':'how large'}"},
    {"offset", "{'type':['integer','null'],'minimum':0,'description':'where'}"},
    {"ratio", "{'type':'number','minimum':0,'maximum':1,'default':0.25,'description':'how much'}"},
    {"level", "{'type':'string','enum':['low','mid','high'],'default':'mid','description':'how loud'}"},
    {"made", "{'type':['string','null'],'format':'date-time','description':'when'}"},
    {"tags", "{'type':['array','null'],'minItems':1,'maxItems':3,"
             "'items':{'type':'string','minLength':1,'maxLength':4},'description':'labels'}"},
    {"seen", "{'type':'array','items':{'type':'string'},'default':[],'description':'places'}"},
    {"totals", "{'type':'object','maxProperties':2,'additionalProperties':{'type':'integer'},"
               "'description':'by type'}"},
    {"map", "{'type':['object','null'],'maxProperties':2,"
            "'additionalProperties':{'type':'string','maxLength':6},'description':'directory to type'}"},
    {"extra", "{'description':'anything'}"},
    {"main", "{'anyOf':[{'$ref':'#/components/schemas/part'},{'type':'null'}],"
             "'description':'the main part'}"},
    {"parts", "{'type':'array','maxItems':3,'items':{'$ref':'#/components/schemas/part'},'description':'all parts'}"},
};
/* clang-format on */

/* clang-format off */
static const property odd_properties[] = {
    {"greeting", "{'type':'string','maxLength':9,'default':'hello','description':'a default text'}"},
    {"totals", "{'type':'object','minProperties':1,'additionalProperties':{'type':'integer'},'default':{},"
               "'description':'empty by default'}"},
    {"map", "{'type':['object','null'],'additionalProperties':{'type':'string'},'default':{},"
            "'description':'empty by default'}"},
    {"extra", "{'default':{'a':[1]},'description':'some by default'}"},
    {"level", "{'type':['string','null'],'enum':['low',null],'description':'one or none'}"},
    {"only", "{'$ref':'#/components/schemas/part','description':'must be there'}"},
    {"line", "{'type':'string','maxLength':5,'pattern':'^[^\\\\u0000-\\\\u001f\\\\u007f-\\\\u009f]*$',"
             "'description':'shown as it is'}"},
    {"words", "{'type':'array','items':{'type':'string','minLength':1,"
              "'pattern':'^[^\\\\u0000-\\\\u001f\\\\u007f-\\\\u009f]*$'},'description':'these too'}"},
};
/* clang-format on */

static void check_property(const json_value *members, const property *p)
{
    buf text = BUF_INIT;
    json w;
    json_begin(&w, &text);
    json_put_value(&w, json_get(members, p->name));
    assert_int_equal(json_finish(&w), 0);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '"')
            text.p[i] = '\'';
    if (!str_eq(buf_view(&text), str_c(p->wanted)))
        fail_msg("%s: " STR_FMT, p->name, STR_ARG(buf_view(&text)));
    buf_done(&text);
}

static void each_kind_is_described(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *v = described(&a, &thing_schema);
    assert_str(json_string(json_get(v, "type")), "object");
    assert_str(json_string(json_get(v, "description")), "A thing");
    assert_int_equal(json_count(json_get(v, "required")), 1);
    assert_str(json_string(json_at(json_get(v, "required"), 0)), "name");
    const json_value *members = json_get(v, "properties");
    for (size_t i = 0; i < COUNT_OF(properties); i++)
        check_property(members, &properties[i]);
    assert_int_equal(json_count(members), COUNT_OF(properties)); /* the hidden field is not among them */
    members = json_get(described(&a, &odd_schema), "properties");
    for (size_t i = 0; i < COUNT_OF(odd_properties); i++)
        check_property(members, &odd_properties[i]);
    arena_done(&a);
}

static SCHEMA_BESIDE(both, odd, thing, "One, and perhaps the other");

static void what_may_stand_beside_is_there_whole_or_not(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    const json_value *parts = json_get(described(&a, &both_schema), "allOf");
    assert_int_equal(json_count(parts), 2);
    assert_str(json_string(json_get(json_at(parts, 0), "$ref")), "#/components/schemas/odd");
    const json_value *beside = json_at(parts, 1);
    assert_int_equal(json_count(json_get(beside, "properties")), COUNT_OF(properties));
    assert_null(json_get(beside, "required"));
    assert_non_null(json_get(beside, "dependentRequired"));
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_are_written_in_order),
        cmocka_unit_test(what_is_absent_is_null_or_empty),
        cmocka_unit_test(members_join_an_open_object),
        cmocka_unit_test(names_may_be_long),
        cmocka_unit_test(a_number_that_is_none_is_misuse),
        cmocka_unit_test(members_without_an_object_are_misuse),
        cmocka_unit_test(what_is_written_decodes_to_the_same),
        cmocka_unit_test(every_failed_allocation_is_the_writers_result),
        cmocka_unit_test(each_kind_is_described),
        cmocka_unit_test(what_may_stand_beside_is_there_whole_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
