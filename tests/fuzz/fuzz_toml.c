/* Any bytes as TOML: the tree has sound texts, no key twice in a table, and no more depth than it may. As a deployment
 * file: its records name types that exist and paths that stay where they may. */
#include "larder/artifact_type.h"
#include "larder/discover.h"
#include "larder/repo_path.h"
#include "larder/toml.h"

static void check_key(const toml_value *v, bool is_member)
{
    REQUIRE(is_member == (v->key.p != NULL) && utf8_valid(v->key));
    size_t looked_at = 0; /* a few behind it: all of them would take too long */
    for (const toml_value *other = v->next; is_member && other && looked_at++ < 32; other = other->next)
        REQUIRE(!str_eq(v->key, other->key));
}

/* Headers and values nest to TOML_DEPTH each. */
static void check(const toml_value *v, unsigned depth)
{
    REQUIRE(depth <= 2 * TOML_DEPTH + 1 && v->line > 0);
    bool is_nest = v->kind == TOML_ARRAY || v->kind == TOML_TABLE;
    REQUIRE(is_nest || !v->first);
    REQUIRE(is_nest || (v->text.p && utf8_valid(v->text) && !memchr(v->text.p, 0, v->text.n)));
    for (const toml_value *child = v->first; child; child = child->next) {
        check_key(child, v->kind == TOML_TABLE);
        check(child, depth + 1);
    }
}

static void check_records(arena *a, str text)
{
    deployed_record *v = NULL;
    size_t n = 0;
    str why, type;
    if (deployment_parse(a, text, &v, &n, &why) < 0)
        return;
    for (size_t i = 0; i < n; i++) {
        REQUIRE(v[i].artifact_name.n > 0 && artifact_type_parse(v[i].artifact_type, &type) == 0);
        REQUIRE(!v[i].artifact_path.p || repo_path_check(v[i].artifact_path) == REPO_PATH_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    arena_init(&a, 0);
    const toml_value *document;
    str why = STR_NULL;
    int r = toml_parse(&a, str_of((const char *)p, n), &document, &why);
    REQUIRE(r == 0 || (r == -EINVAL && str_starts(why, STR("line "))));
    if (r == 0)
        check(document, 0);
    check_records(&a, str_of((const char *)p, n));
    arena_done(&a);
    return 0;
}
