/* Repository URLs: what names a repository, its key and id, and what a browser's address says. */
#include "unit.h"

#include "larder/repo_url.h"

#define LONG_OWNER "a23456789012345678901234567890123456789" /* 39 */
#define HUNDRED "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static void a_repository_has_one_url_key_and_id_however_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *text, *url, *key, *id;
    } cases[] = {
        {"https://github.com/anthropics/skills", "https://github.com/anthropics/skills", "anthropics/skills",
         "src_anthropics_skills"},
        {"https://github.com/anthropics/skills/", "https://github.com/anthropics/skills", "anthropics/skills",
         "src_anthropics_skills"},
        {"https://github.com/anthropics/skills.git", "https://github.com/anthropics/skills", "anthropics/skills",
         "src_anthropics_skills"},
        {"https://github.com/anthropics/skills.git///", "https://github.com/anthropics/skills", "anthropics/skills",
         "src_anthropics_skills"},
        {"HTTPS://GitHub.com/Anthropics/Skills.GIT", "https://github.com/Anthropics/Skills", "anthropics/skills",
         "src_anthropics_skills"},
        {"https://github.com/me/me.github.io", "https://github.com/me/me.github.io", "me/me.github.io",
         "src_me_me.github.io"},
        {"https://github.com/me/me.github.io.git", "https://github.com/me/me.github.io", "me/me.github.io",
         "src_me_me.github.io"},
        {"https://github.com/a/x.git.git", "https://github.com/a/x.git", "a/x.git", "src_a_x.git"},
        {"https://github.com/a/b_c", "https://github.com/a/b_c", "a/b_c", "src_a_b_c"},
        {"https://github.com/a_b/c", "https://github.com/a_b/c", "a_b/c", "src_a.b_c"},
        {"https://github.com/a-/-b", "https://github.com/a-/-b", "a-/-b", "src_a-_-b"},
        {"https://github.com/" LONG_OWNER "/" HUNDRED, "https://github.com/" LONG_OWNER "/" HUNDRED,
         LONG_OWNER "/" HUNDRED, "src_" LONG_OWNER "_" HUNDRED},
    };
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        repo_url u;
        assert_int_equal(repo_url_parse(&a, str_c(cases[i].text), &u), 0);
        unit_assert_str(u.url, str_c(cases[i].url), cases[i].text, (int)i);
        unit_assert_str(u.key, str_c(cases[i].key), cases[i].text, (int)i);
        unit_assert_str(u.id, str_c(cases[i].id), cases[i].text, (int)i);
        assert_true(
            str_eq(str_from(u.url, 19), arena_printf(&a, STR_FMT "/" STR_FMT, STR_ARG(u.owner), STR_ARG(u.name))));
    }
    arena_done(&a);
}

static void what_is_no_repository_on_github_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "https://",
        "https://github.com",
        "https://github.com/",
        "https://github.com/a",
        "https://github.com/a/",
        "https://github.com//a/b",
        "http://github.com/a/b",
        "ssh://git@github.com/a/b",
        "git@github.com:a/b.git",
        "https://www.github.com/a/b",
        "https://github.com.evil.example/a/b",
        "https://github.com@evil.example/a/b",
        "https://user@github.com/a/b",
        "https://github.com:443/a/b",
        "https://gitlab.com/a/b",
        " https://github.com/a/b",
        "https://github.com/a/b ",
        "https://github.com/a/b?x=1",
        "https://github.com/a/b#readme",
        "https://github.com/a/b/c",
        "https://github.com/a/b/tree/main",
        "https://github.com/-a/b",
        "https://github.com/a.b/c",
        "https://github.com/_a/c",
        "https://github.com/a%20b/c",
        "https://github.com/a/b%2fc",
        "https://github.com/a/b\\c",
        "https://github.com/a/.",
        "https://github.com/a/..",
        "https://github.com/a/.git",
        "https://github.com/../..",
        "https://github.com/a/b\n",
        "https://github.com/\xc3\xa4/b",
        "https://github.com/" LONG_OWNER "x/b",
        "https://github.com/a/" HUNDRED "x",
    };
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        repo_url u = {.url = STR("untouched")};
        if (repo_url_parse(&a, str_c(texts[i]), &u) != -EINVAL)
            fail_msg("taken: %s", texts[i]);
        assert_str(u.url, "untouched");
    }
    assert_int_equal(repo_url_parse(&a, str_of("https://github.com/a/b\0c", 24), &(repo_url){0}), -EINVAL);
    arena_done(&a);
}

static void an_address_gives_repository_ref_and_directory(void **state)
{
    (void)state;
    static const struct {
        const char *text, *url, *ref, *root; /* url NULL: refused; root NULL: none */
    } cases[] = {
        {"https://github.com/a/b", "https://github.com/a/b", "main", NULL},
        {"  http://www.github.com/a/b.git/  ", "https://github.com/a/b", "main", NULL},
        {"https://github.com/a/b?tab=readme-ov-file#usage", "https://github.com/a/b", "main", NULL},
        {"https://github.com/a/b/tree/v1.2", "https://github.com/a/b", "v1.2", NULL},
        {"https://github.com/a/b/tree/dev/skills/pdf", "https://github.com/a/b", "dev", "skills/pdf"},
        {"https://github.com/a/b/tree/dev/skills//pdf/?x=1", "https://github.com/a/b", "dev", "skills/pdf"},
        {"https://github.com/a/b/blob/dev/skills/pdf/SKILL.md#L3", "https://github.com/a/b", "dev", "skills/pdf"},
        {"https://github.com/a/b/blob/dev/README.md", "https://github.com/a/b", "dev", NULL},
        {"https://github.com/a/b/tree/main/my%20skills", "https://github.com/a/b", "main", "my skills"},
        {"https://github.com/a/b/tree/feature/x/skills", "https://github.com/a/b", "feature", "x/skills"},
        {"https://github.com/a/b/tree", NULL, NULL, NULL},
        {"https://github.com/a/b/issues/1", NULL, NULL, NULL},
        {"https://github.com/a", NULL, NULL, NULL},
        {"https://gist.github.com/a/b", NULL, NULL, NULL},
        {"github.com/a/b", NULL, NULL, NULL},
        {"https://github.com/a/b/tree/main/../../etc", NULL, NULL, NULL},
        {"https://github.com/a/b/tree/main/%2e%2e/x", NULL, NULL, NULL},
        {"https://github.com/a/b/tree/%2e%2e/x", NULL, NULL, NULL},
        {"https://github.com/a/b/tree/main/%zz", NULL, NULL, NULL},
        {"", NULL, NULL, NULL},
    };
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        repo_place p;
        int r = repo_url_infer(&a, str_c(cases[i].text), &p);
        if (r != (cases[i].url ? 0 : -EINVAL))
            fail_msg("%s: %d", cases[i].text, r);
        if (r < 0)
            continue;
        unit_assert_str(p.repo.url, str_c(cases[i].url), cases[i].text, (int)i);
        unit_assert_str(p.ref, str_c(cases[i].ref), cases[i].text, (int)i);
        if (cases[i].root)
            unit_assert_str(p.root_hint, str_c(cases[i].root), cases[i].text, (int)i);
        else
            assert_null(p.root_hint.p);
    }
    arena_done(&a);
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    for (long nth = 0; unit_next_fault(&nth);) {
        arena a;
        arena_init(&a, 0);
        repo_place p;
        int r = repo_url_infer(&a, STR("https://github.com/Some-Body/some.Thing/tree/a%20b/c%20d"), &p);
        assert_int_equal(r, mem_failed() ? -ENOMEM : -EINVAL); /* a ref has no blanks */
        arena_done(&a);
    }
    for (long nth = 0; unit_next_fault(&nth);) {
        arena a;
        arena_init(&a, 0);
        repo_place p;
        int r = repo_url_infer(&a, STR("https://github.com/Some-Body/some.Thing/tree/a/c%20d"), &p);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        arena_done(&a);
    }
    int r = -ENOMEM;
    for (size_t left = 0; r != 0; left += 16) {
        arena a;
        unit_tight_arena(&a, left);
        repo_place p;
        r = repo_url_infer(&a, STR("https://github.com/Some-Body/some.Thing/tree/%61/c%20d"), &p);
        assert_true(r == 0 || r == -ENOMEM);
        arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repository_has_one_url_key_and_id_however_it_is_written),
        cmocka_unit_test(what_is_no_repository_on_github_is_refused),
        cmocka_unit_test(an_address_gives_repository_ref_and_directory),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
