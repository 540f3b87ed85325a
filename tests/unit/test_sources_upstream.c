/* What the catalogue says of an artifact that was deployed from a repository. */
#include "shop.h"

typedef struct said {
    bool is_registered;
    char version[60];
    bool has_hash;
} said;

static said ask(shop *w, const char *owner, const char *repo, const char *path, const char *ref)
{
    entry_upstream u = {0};
    said s = {0};
    arena a;
    arena_init(&a, 0);
    store_view *v = store_read_begin(w->store);
    assert_int_equal(entry_upstream_of(v, &a, str_c(owner), str_c(repo), str_c(path), str_c(ref), &u), 0);
    s.is_registered = u.is_registered;
    s.has_hash = u.content_hash.n == 64;
    snprintf(s.version, sizeof(s.version), STR_FMT, STR_ARG(u.version.p ? u.version : STR("-")));
    store_read_end(v);
    arena_done(&a);
    return s;
}

static fake_repo *stock(shop *w)
{
    fake_repo *r = fake_repo_new(&w->github, "Acme", "tools");
    fake_put(r, "skills/pdf/SKILL.md", "---\nname: pdf\ndescription: Reads them\nversion: 1.2.0\n---\n");
    fake_put(r, "skills/xls/SKILL.md", "---\nname: xls\ndescription: Sheets\n---\n");
    fake_put(r, "commands/deploy.md", "# Deploy\n");
    fake_commit(r);
    return r;
}

static void the_manifest_s_version_or_the_commit_is_told(void **state)
{
    (void)state;
    shop w;
    char head[8];
    shop_open(&w);
    fake_repo *r = stock(&w);
    assert_false(ask(&w, "acme", "tools", "skills/pdf", NULL).is_registered);
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/Acme/tools\"}"), 0);
    snprintf(head, sizeof(head), "%.7s", r->sha);

    said s = ask(&w, "ACME", "Tools", "skills/pdf", NULL);
    assert_true(s.is_registered);
    assert_true(s.has_hash);
    assert_string_equal(s.version, "1.2.0");
    assert_string_equal(ask(&w, "acme", "tools", "skills/xls", "latest").version, head);
    assert_string_equal(ask(&w, "acme", "tools", "commands/deploy.md", "main").version, head);
    assert_string_equal(ask(&w, "acme", "tools", "commands/deploy", head).version, head);
    /* What is not in it is known not to be there. */
    s = ask(&w, "acme", "tools", "skills/none", NULL);
    assert_true(s.is_registered);
    assert_string_equal(s.version, "-");
    /* Another ref, another repository: others must be asked. */
    assert_false(ask(&w, "acme", "tools", "skills/pdf", "v1.0.0").is_registered);
    assert_false(ask(&w, "acme", "tools", "skills/pdf", "m").is_registered);
    assert_false(ask(&w, "acme", "other", "skills/pdf", NULL).is_registered);
    assert_false(ask(&w, "a b", "//", "skills/pdf", NULL).is_registered);
    shop_close(&w);
}

static void what_has_gone_upstream_has_no_version(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    fake_repo *r = stock(&w);
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/Acme/tools\"}"), 0);
    fake_remove(r, "skills/pdf/SKILL.md");
    fake_commit(r);
    (void)shop_rescan(&w, "src_acme_tools");
    const said s = ask(&w, "acme", "tools", "skills/pdf", NULL);
    assert_true(s.is_registered);
    assert_string_equal(s.version, "-");
    shop_close(&w);
}

static void a_catalogue_of_one_folder_says_nothing_of_others(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    stock(&w);
    assert_int_equal(shop_create(&w, "{\"repo_url\":\"https://github.com/Acme/tools\",\"root_hint\":\"skills\"}"), 0);
    assert_true(ask(&w, "acme", "tools", "skills/pdf", NULL).is_registered);
    assert_false(ask(&w, "acme", "tools", "commands/deploy.md", NULL).is_registered);
    assert_false(ask(&w, "acme", "tools", "skillset", NULL).is_registered);
    assert_false(ask(&w, "acme", "tools", NULL, NULL).is_registered);
    shop_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manifest_s_version_or_the_commit_is_told),
        cmocka_unit_test(what_has_gone_upstream_has_no_version),
        cmocka_unit_test(a_catalogue_of_one_folder_says_nothing_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
