/* The files that the deploying tool leaves in projects. */
#include "unit.h"

#include "larder/discover.h"

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

#define HASH "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

static void records_say_what_was_deployed_from_where(void **state)
{
    (void)state;
    deployed_record *v = NULL;
    size_t n = 0;
    str why = STR_NULL;
    str text = STR("[[deployed]]\n"
                   "artifact_name = \"review.md\"\n"
                   "artifact_type = \"Command\"\n"
                   "from_collection = \"default\"\n"
                   "deployed_at = \"2025-11-29T12:00:00.123456\"\n"
                   "artifact_path = \"commands/review.md\"\n"
                   "content_hash = \"" HASH "\"\n"
                   "local_modifications = false\n"
                   "version_lineage = [\n  \"1.2.0\",\n  \"1.1.0\",\n]\n"
                   "source = \"github:o/r/commands/review@v1.2.0\"\n"
                   "some_day = {more = [1, 2.5]}\n"
                   "\n"
                   "[[deployed]]\n"
                   "artifact_name = 'db'\n"
                   "artifact_type = 'mcp_server'\n"
                   "artifact_path = 'mcp/db/'\n"
                   "content_hash = ''\n"
                   "version_lineage = ['" HASH "']\n");
    assert_int_equal(deployment_parse(&a, text, &v, &n, &why), 0);
    assert_int_equal(n, 2);
    assert_str(v[0].artifact_name, "review");
    assert_str(v[0].artifact_type, "command");
    assert_str(v[0].artifact_path, "commands/review.md");
    assert_str(v[0].content_hash, HASH);
    assert_str(v[0].version, "1.2.0");
    assert_str(v[0].source, "github:o/r/commands/review@v1.2.0");
    assert_str(v[1].artifact_type, "mcp");
    assert_str(v[1].artifact_path, "mcp/db");
    assert_str(v[1].version, "9f86d08");
    assert_null(v[1].content_hash.p);
    assert_null(v[1].source.p);
}

static void a_file_without_records_is_fine(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "deployed = []\n", "[other]\nx = 1\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        deployed_record *v = NULL;
        size_t n = 7;
        str why;
        assert_int_equal(deployment_parse(&a, str_c(texts[i]), &v, &n, &why), 0);
        assert_int_equal(n, 0);
    }
}

#define BEGIN "[[deployed]]\nartifact_name = 'x'\nartifact_type = 'skill'\n"

static void what_does_not_fit_is_refused_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"a = \n", "line 1: a value is missing"},
        {"deployed = 1", "line 1: deployed must be a list of tables"},
        {"[deployed]\nartifact_name = 'x'", "line 1: deployed must be a list of tables"},
        {"deployed = [1]", "line 1: deployed must be a list of tables"},
        {"[[deployed]]\nartifact_type = 'skill'", "line 1: artifact_name must be there"},
        {"\n[[deployed]]\nartifact_name = ''\n", "line 2: artifact_name must be there"},
        {"[[deployed]]\nartifact_name = 'x'", "line 1: artifact_type must be there"},
        {"[[deployed]]\nartifact_name = 1", "line 2: artifact_name must be a text of one line, not too long"},
        {"[[deployed]]\nartifact_name = \"a\\nb\"", "line 2: artifact_name must be a text of one line, not too long"},
        {"[[deployed]]\nartifact_name = 'x'\nartifact_type = 'gizmo'",
         "line 1: artifact_type must be a type of artifacts"},
        {BEGIN "artifact_path = '../../x'", "line 1: artifact_path must be a path below the profile"},
        {BEGIN "artifact_path = '/etc/passwd'", "line 1: artifact_path must be a path below the profile"},
        {BEGIN "artifact_path = '/'", "line 1: artifact_path must be a path below the profile"},
        {BEGIN "artifact_path = 'a//b'", "line 1: artifact_path must be a path below the profile"},
        {BEGIN "content_hash = true", "line 4: content_hash must be a text of one line, not too long"},
        {BEGIN "source = []", "line 4: source must be a text of one line, not too long"},
        {BEGIN "version_lineage = '1.0.0'", "line 4: version_lineage must be a list of texts"},
        {BEGIN "version_lineage = ['1.0.0',\n2]", "line 5: version_lineage must be a list of texts"},
        {BEGIN "[[deployed]]\n", "line 4: artifact_name must be there"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        deployed_record *v;
        size_t n;
        str why = STR_NULL;
        assert_int_equal(deployment_parse(&a, str_c(cases[i].text), &v, &n, &why), -EINVAL);
        unit_assert_str(why, str_c(cases[i].why), cases[i].text, (int)i);
    }
}

static void texts_have_a_limit(void **state)
{
    (void)state;
    char name[502];
    memset(name, 'a', sizeof(name));
    deployed_record *v;
    size_t n;
    str why;
    for (size_t length = 500; length <= 501; length++) {
        str text = arena_printf(&a, "[[deployed]]\nartifact_name = '%.*s'\nartifact_type = 'skill'", (int)length, name);
        assert_int_equal(deployment_parse(&a, text, &v, &n, &why), length == 500 ? 0 : -EINVAL);
    }
}

static void a_project_may_have_a_name_of_its_own(void **state)
{
    (void)state;
    str name, why = STR_NULL;
    assert_int_equal(project_file_name(&a, STR("[project]\npath = '/x'\nname = ' My shop '\n"), &name, &why), 0);
    assert_str(name, "My shop");
    assert_int_equal(project_file_name(&a, STR("name = 'x'\n"), &name, &why), -ENOENT);
    assert_int_equal(project_file_name(&a, STR("[project]\nname = ' '\n"), &name, &why), -ENOENT);
    assert_int_equal(project_file_name(&a, STR("project = 'x'\n"), &name, &why), -ENOENT);
    assert_int_equal(project_file_name(&a, STR("[project]\nname = 1\n"), &name, &why), -EINVAL);
    assert_str(why, "line 2: name must be a text of one line, not too long");
    assert_int_equal(project_file_name(&a, STR("[project\n"), &name, &why), -EINVAL);
    assert_str(why, "line 1: a header has no end");
}

static void missing_memory_is_an_error_at_every_step(void **state)
{
    (void)state;
    int status = -ENOMEM, refused;
    for (size_t left = 0; status == -ENOMEM && left < 8192; left += 16) {
        arena tight;
        unit_tight_arena(&tight, left);
        deployed_record *v;
        size_t n;
        str why, name;
        status = deployment_parse(&tight, STR(BEGIN "version_lineage = ['1']"), &v, &n, &why);
        refused = deployment_parse(&tight, STR(BEGIN "source = 1"), &v, &n, &why);
        assert_true(refused == -ENOMEM || refused == -EINVAL);
        refused = project_file_name(&tight, STR("[project]\nname = 1"), &name, &why);
        assert_true(refused == -ENOMEM || refused == -EINVAL);
        arena_done(&tight);
    }
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_say_what_was_deployed_from_where),
        cmocka_unit_test(a_file_without_records_is_fine),
        cmocka_unit_test(what_does_not_fit_is_refused_with_its_line),
        cmocka_unit_test(texts_have_a_limit),
        cmocka_unit_test(a_project_may_have_a_name_of_its_own),
        cmocka_unit_test(missing_memory_is_an_error_at_every_step),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
