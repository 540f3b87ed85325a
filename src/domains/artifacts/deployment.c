/* The files that the deploying tool leaves in a profile. */
#include "larder/artifact_type.h"
#include "larder/discover.h"
#include "larder/repo_path.h"
#include "larder/toml.h"

#define TEXT_MAX 500   /* bytes */
#define HASH_DIGITS 40 /* at least: then a version is the hash of a content */
#define SHORT_HASH 7

typedef struct record_reader {
    arena *arena;
    str why;
} record_reader;

static int wrong(record_reader *r, unsigned line, const char *key, const char *must)
{
    r->why = arena_printf(r->arena, "line %u: %s must be %s", line, key, must);
    return r->why.p ? -EINVAL : -ENOMEM;
}

static bool is_clean(str s)
{
    return s.n <= TEXT_MAX && !str_has_control(s);
}

/* Null where it is missing or empty. */
static int read_text(record_reader *r, const toml_value *table, const char *key, str *ret_text)
{
    const toml_value *v = toml_get(table, str_c(key));
    *ret_text = STR_NULL;
    if (!v)
        return 0;
    if (v->kind != TOML_STRING || !is_clean(v->text))
        return wrong(r, v->line, key, "a text of one line, not too long");
    if (v->text.n > 0)
        *ret_text = v->text;
    return 0;
}

static int read_needed(record_reader *r, const toml_value *table, const char *key, str *ret_text)
{
    int status = read_text(r, table, key, ret_text);
    return status == 0 && !ret_text->p ? wrong(r, table->line, key, "there") : status;
}

static str without_extension(str name)
{
    static const str extensions[] = {
        STR_INIT(".md"), STR_INIT(".txt"), STR_INIT(".json"), STR_INIT(".yaml"), STR_INIT(".yml"),
    };
    for (size_t i = 0; i < COUNT_OF(extensions); i++)
        if (name.n > extensions[i].n && str_ends(name, extensions[i]))
            return str_head(name, name.n - extensions[i].n);
    return name;
}

static bool is_hash(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (str_chr(STR("0123456789abcdef"), s.p[i]) < 0)
            return false;
    return s.n >= HASH_DIGITS;
}

/* The newest stands first. */
static int read_lineage(record_reader *r, const toml_value *table, str *ret_version)
{
    const char *key = "version_lineage";
    const toml_value *v = toml_get(table, str_c(key));
    *ret_version = STR_NULL;
    if (!v)
        return 0;
    if (v->kind != TOML_ARRAY)
        return wrong(r, v->line, key, "a list of texts");
    for (const toml_value *e = v->first; e; e = e->next)
        if (e->kind != TOML_STRING || !is_clean(e->text))
            return wrong(r, e->line, key, "a list of texts");
    if (v->first && v->first->text.n > 0)
        *ret_version = is_hash(v->first->text) ? str_head(v->first->text, SHORT_HASH) : v->first->text;
    return 0;
}

static int read_record(record_reader *r, const toml_value *table, deployed_record *ret)
{
    deployed_record d = {0};
    str type = STR_NULL;
    int status = read_needed(r, table, "artifact_name", &d.artifact_name);
    if (status == 0)
        status = read_needed(r, table, "artifact_type", &type);
    if (status == 0 && artifact_type_parse(type, &d.artifact_type) < 0)
        status = wrong(r, table->line, "artifact_type", "a type of artifacts");
    if (status == 0)
        status = read_text(r, table, "artifact_path", &d.artifact_path);
    if (status == 0 && d.artifact_path.p) {
        if (str_ends(d.artifact_path, STR("/")))
            d.artifact_path.n--;
        if (repo_path_check(d.artifact_path) != REPO_PATH_OK)
            status = wrong(r, table->line, "artifact_path", "a path below the profile");
    }
    if (status == 0)
        status = read_text(r, table, "content_hash", &d.content_hash);
    if (status == 0)
        status = read_text(r, table, "source", &d.source);
    if (status == 0)
        status = read_lineage(r, table, &d.version);
    if (status < 0)
        return status;
    d.artifact_name = without_extension(d.artifact_name);
    *ret = d;
    return 0;
}

static int read_records(record_reader *r, const toml_value *tables, deployed_record **ret_records, size_t *ret_n)
{
    size_t n = 0;
    for (const toml_value *v = tables ? tables->first : NULL; v; v = v->next)
        n++;
    if (tables && tables->kind != TOML_ARRAY)
        return wrong(r, tables->line, "deployed", "a list of tables");
    deployed_record *records = arena_array(r->arena, deployed_record, n);
    if (!records)
        return -ENOMEM;
    n = 0;
    for (const toml_value *v = tables ? tables->first : NULL; v; v = v->next) {
        int status = v->kind == TOML_TABLE ? read_record(r, v, &records[n++])
                                           : wrong(r, v->line, "deployed", "a list of tables");
        if (status < 0)
            return status;
    }
    *ret_records = records;
    *ret_n = n;
    return 0;
}

int deployment_parse(arena *a, str text, deployed_record **ret_records, size_t *ret_n, str *ret_why)
{
    const toml_value *document;
    record_reader r = {.arena = a};
    int status = toml_parse(a, text, &document, &r.why);
    if (status == 0)
        status = read_records(&r, toml_get(document, STR("deployed")), ret_records, ret_n);
    if (status == -EINVAL)
        *ret_why = r.why;
    return status;
}

int project_file_name(arena *a, str text, str *ret_name, str *ret_why)
{
    const toml_value *document;
    record_reader r = {.arena = a};
    str name = STR_NULL;
    int status = toml_parse(a, text, &document, &r.why);
    if (status == 0)
        status = read_text(&r, toml_get(document, STR("project")), "name", &name);
    if (status == -EINVAL)
        *ret_why = r.why;
    if (status == 0 && str_trim(name).n == 0)
        status = -ENOENT;
    if (status == 0)
        *ret_name = str_trim(name);
    return status;
}
