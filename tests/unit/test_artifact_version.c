/* Versions of artifacts: what is a version, which of two is higher, how the difference is told, when an artifact is
 * outdated, and what a source names. */
#include "unit.h"

#include "larder/artifact_version.h"

static void a_version_has_three_numbers_and_may_have_a_v_a_prerelease_and_a_build(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *major, *minor, *patch, *pre, *build;
    } cases[] = {
        {"1.2.3", "1", "2", "3", NULL, NULL},
        {"v1.2.3", "1", "2", "3", NULL, NULL},
        {" \t1.2.3\r\n", "1", "2", "3", NULL, NULL},
        {"01.002.0003", "1", "2", "3", NULL, NULL},
        {"0.0.0", "0", "0", "0", NULL, NULL},
        {"1.2.3-rc.1", "1", "2", "3", "rc.1", NULL},
        {"1.2.3-rc-1", "1", "2", "3", "rc-1", NULL},
        {"1.2.3--", "1", "2", "3", "-", NULL},
        {"1.2.3+build-7.a", "1", "2", "3", NULL, "build-7.a"},
        {"v1.2.3-a.b+c.d", "1", "2", "3", "a.b", "c.d"},
        {"18446744073709551615.0.0", "18446744073709551615", "0", "0", NULL, NULL},
        {"0018446744073709551616.00.1", "18446744073709551616", "0", "1", NULL, NULL},
        {"1.2.99999999999999999999999999", "1", "2", "99999999999999999999999999", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        semver v;
        if (semver_parse(str_c(cases[i].text), &v) < 0)
            fail_msg("\"%s\" is a version", cases[i].text);
        assert_true(str_eq(v.major, str_c(cases[i].major)));
        assert_true(str_eq(v.minor, str_c(cases[i].minor)));
        assert_true(str_eq(v.patch, str_c(cases[i].patch)));
        assert_true(str_eq(v.pre, str_c(cases[i].pre)) && !v.pre.p == !cases[i].pre);
        assert_true(str_eq(v.build, str_c(cases[i].build)) && !v.build.p == !cases[i].build);
    }
}

static void what_is_no_version_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",        " ",      "v",        "1",        "1.2",         "1.2.",    "1.2.3.4",   "1..3",
        ".1.2",    "1.2.x",  "vv1.2.3",  "V1.2.3",   "v 1.2.3",     "1.2 .3",  "-1.2.3",    "+1.2.3",
        "1.2.3-",  "1.2.3+", "1.2.3-+b", "1.2.3-a+", "1.2.3-a+b+c", "1.2.3 4", "1.2.3-a_",  "1.2.3-\xc3\xa9",
        "1.2.3rc", "latest", "abc1234",  "main",     "1.2.3+a/b",   "1,2,3",   "1.2.3-a b", "-.0.0",
    };
    semver v;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (semver_parse(str_c(texts[i]), &v) != -EINVAL)
            fail_msg("\"%s\" is no version", texts[i]);
    assert_int_equal(semver_parse(STR_NULL, &v), -EINVAL);
}

static int sign(int r)
{
    return (r > 0) - (r < 0);
}

static void versions_are_ordered_as_semver_says(void **state)
{
    (void)state;
    /* each is lower than all that follow */
    static const char *const rising[] = {
        "0.0.0",
        "0.0.1",
        "0.9.9",
        "1.0.0-0",
        "1.0.0-1",
        "1.0.0-2",
        "1.0.0-10",
        "1.0.0-18446744073709551615",
        "1.0.0-18446744073709551616",
        "1.0.0-99999999999999999999999999",
        "1.0.0--",
        "1.0.0-1a",
        "1.0.0-Alpha",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.1.0",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-beta.11x",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1-rc.1",
        "1.0.1",
        "1.2.0",
        "1.10.0",
        "2.0.0",
        "10.0.0",
        "20261122093000.0.0",
        "18446744073709551615.9.9",
        "18446744073709551616.0.0",
        "18446744073709551616.0.99999999999999999998",
        "18446744073709551616.0.99999999999999999999",
        "100000000000000000000.0.0",
    };
    for (size_t i = 0; i < COUNT_OF(rising); i++)
        for (size_t j = 0; j < COUNT_OF(rising); j++) {
            semver a, b;
            assert_int_equal(semver_parse(str_c(rising[i]), &a), 0);
            assert_int_equal(semver_parse(str_c(rising[j]), &b), 0);
            if (sign(semver_compare(&a, &b)) != (i > j) - (i < j))
                fail_msg("%s against %s", rising[i], rising[j]);
        }
}

static void build_v_blanks_and_leading_zeros_play_no_part_in_the_order(void **state)
{
    (void)state;
    static const char *const same[] = {"1.0.0-rc.1",      "v1.0.0-rc.1",  " 1.0.0-rc.1 ",
                                       "01.00.000-rc.01", "1.0.0-rc.1+a", "1.0.0-rc.1+b"};
    for (size_t i = 0; i < COUNT_OF(same); i++)
        for (size_t j = 0; j < COUNT_OF(same); j++) {
            semver a, b;
            assert_int_equal(semver_parse(str_c(same[i]), &a), 0);
            assert_int_equal(semver_parse(str_c(same[j]), &b), 0);
            assert_int_equal(semver_compare(&a, &b), 0);
        }
}

static const struct {
    const char *deployed, *upstream;
    const char *text; /* NULL: none */
    version_magnitude magnitude;
} differences[] = {
    {"18446744073709551616.0.0", "18446744073709551617.0.0",
     "major version upgrade (18446744073709551616 -> 18446744073709551617)", VERSION_MAJOR},
    {"1.0.99999999999999999999", "1.0.099999999999999999998",
     "patch version downgrade (99999999999999999999 -> 99999999999999999998)", VERSION_PATCH},
    /* one is missing, or they are equal */
    {NULL, NULL, NULL, VERSION_SAME},
    {NULL, "1.0.0", NULL, VERSION_SAME},
    {"1.0.0", NULL, NULL, VERSION_SAME},
    {"", "1.0.0", NULL, VERSION_SAME},
    {"1.0.0", "", NULL, VERSION_SAME},
    {"1.0.0", "1.0.0", NULL, VERSION_SAME},
    {"main", "main", NULL, VERSION_SAME},
    /* one is no semver: the texts as they are */
    {"main", "abc1234", "main -> abc1234", VERSION_UNKNOWN},
    {"1.0.0", "abc1234", "1.0.0 -> abc1234", VERSION_UNKNOWN},
    {"1.2", "1.2.0", "1.2 -> 1.2.0", VERSION_UNKNOWN},
    {" x ", "1.2.0", " x  -> 1.2.0", VERSION_UNKNOWN},
    /* the first number that differs, and only that */
    {"2.3.4", "3.0.0", "major version upgrade (2 -> 3)", VERSION_MAJOR},
    {"2.0.0", "1.9.9", "major version downgrade (2 -> 1)", VERSION_MAJOR},
    {"1.0.0-rc.1", "2.0.0", "major version upgrade (1 -> 2)", VERSION_MAJOR},
    {"1.0.5", "1.2.0", "minor version upgrade (0 -> 2)", VERSION_MINOR},
    {"1.2.0", "1.0.5", "minor version downgrade (2 -> 0)", VERSION_MINOR},
    {"1.0.0", "1.0.3", "patch version upgrade (0 -> 3)", VERSION_PATCH},
    {"1.0.3", "1.0.0-rc.1", "patch version downgrade (3 -> 0)", VERSION_PATCH},
    {"v01.0.0", "002.0.0", "major version upgrade (1 -> 2)", VERSION_MAJOR},
    {"18446744073709551614.0.0", "18446744073709551615.0.0",
     "major version upgrade (18446744073709551614 -> 18446744073709551615)", VERSION_MAJOR},
    /* pre-release */
    {"1.0.0", "1.0.0-rc.1", "downgrade to pre-release (rc.1)", VERSION_PRERELEASE},
    {"1.0.0-rc.1", "1.0.0", "upgrade to stable from pre-release (rc.1)", VERSION_PRERELEASE},
    {"1.0.0-a", "1.0.0-b", "pre-release change (a -> b)", VERSION_PRERELEASE},
    {"1.0.0-rc.2", "1.0.0-rc.1", "pre-release change (rc.2 -> rc.1)", VERSION_PRERELEASE},
    /* only build, blanks or the v */
    {"1.0.0", "v1.0.0", NULL, VERSION_SAME},
    {"1.0.0+a", "1.0.0+b", NULL, VERSION_SAME},
    {"1.0.0-rc.1+a", "v1.0.0-rc.1", NULL, VERSION_SAME},
    {" 1.0.0", "1.0.0", NULL, VERSION_SAME},
};

static void the_difference_is_told_by_the_first_part_that_differs(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < COUNT_OF(differences); i++) {
        str deployed = str_c(differences[i].deployed), upstream = str_c(differences[i].upstream), text = STR("unset");
        assert_int_equal(version_difference(&a, deployed, upstream, &text), 0);
        if (differences[i].text)
            unit_assert_str(text, str_c(differences[i].text), differences[i].deployed, (int)i);
        else
            assert_null(text.p);
        assert_int_equal(version_magnitude_of(deployed, upstream), differences[i].magnitude);
    }
    arena_done(&a);
}

static void magnitudes_rise_from_nothing_to_major(void **state)
{
    (void)state;
    assert_true(VERSION_SAME < VERSION_UNKNOWN && VERSION_UNKNOWN < VERSION_PRERELEASE);
    assert_true(VERSION_PRERELEASE < VERSION_PATCH && VERSION_PATCH < VERSION_MINOR && VERSION_MINOR < VERSION_MAJOR);
}

static void no_memory_for_the_text_is_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(differences); i++) {
        if (!differences[i].text)
            continue;
        arena a;
        unit_tight_arena(&a, 0);
        while (arena_alloc(&a, 1))
            ;
        str text = STR("unset");
        assert_int_equal(version_difference(&a, str_c(differences[i].deployed), str_c(differences[i].upstream), &text),
                         -ENOMEM);
        assert_str(text, "unset");
        arena_done(&a);
    }
}

static void an_artifact_is_outdated_by_version_or_else_by_content(void **state)
{
    (void)state;
    static const struct {
        const char *deployed, *upstream, *deployed_hash, *upstream_hash;
        bool is_outdated;
    } cases[] = {
        {"1.0.0", "1.0.1", NULL, NULL, true},
        {"1.0.1", "1.0.0", NULL, NULL, false},
        {"1.0.0", "v1.0.0", NULL, NULL, false},
        {"1.0.0-rc.1", "1.0.0", NULL, NULL, true},
        {"1.0.0-rc.9", "1.0.0-rc.10", NULL, NULL, true},
        {"1.0.0", "1.0.0-rc.1", NULL, NULL, false},
        {"1.9.0", "1.10.0", "a", "a", true},
        /* equal or higher: the author's word counts, not the content */
        {"1.0.0", "1.0.0", "a", "b", false},
        {"1.0.0+a", "1.0.0+b", "a", "b", false},
        {"2.0.0", "1.0.0", "a", "b", false},
        /* no two versions: the content */
        {"1.0.0", "abc1234", "a", "a", false},
        {"1.0.0", "abc1234", "a", "b", true},
        {"main", "abc1234", "a", "b", true},
        {"main", "main", "a", "b", true},
        {NULL, "1.0.0", "a", "b", true},
        {"1.0.0", NULL, "a", "b", true},
        {NULL, NULL, "a", "b", true},
        {NULL, NULL, "a", "a", false},
        /* no content known: texts that differ say nothing */
        {"1.0.0", "abc1234", NULL, NULL, false},
        {"1.0.0", "abc1234", "a", NULL, false},
        {"1.0.0", "abc1234", NULL, "b", false},
        {"1.0.0", "abc1234", "", "b", false},
        {NULL, "1.0.0", NULL, NULL, false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (version_is_outdated(str_c(cases[i].deployed), str_c(cases[i].upstream), str_c(cases[i].deployed_hash),
                                str_c(cases[i].upstream_hash)) != cases[i].is_outdated)
            fail_msg("case %zu: %s against %s", i, cases[i].deployed, cases[i].upstream);
}

#define HUNDRED "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

static void a_source_names_owner_repository_path_and_version(void **state)
{
    (void)state;
    static const struct {
        const char *text, *owner, *repo, *path, *version;
    } cases[] = {
        {"github:anthropics/skills", "anthropics", "skills", NULL, NULL},
        {"github:anthropics/skills/pdf", "anthropics", "skills", "pdf", NULL},
        {"github:anthropics/skills/document-skills/pdf@v1.2.0", "anthropics", "skills", "document-skills/pdf",
         "v1.2.0"},
        {"github:anthropics/skills@main", "anthropics", "skills", NULL, "main"},
        {"github:anthropics/skills/pdf@latest", "anthropics", "skills", "pdf", NULL},
        {"github:a_b/x.github.io/c@abc1234", "a_b", "x.github.io", "c", "abc1234"},
        {"github:o/r/agents/a@b.md@v1", "o", "r", "agents/a@b.md", "v1"},
        {"github:o/r/p@feature/x", "o", "r", "p", "feature/x"},
        {"github:o/r/caf\xc3\xa9 au lait/x", "o", "r", "caf\xc3\xa9 au lait/x", NULL},
        {" github:o/r \n", "o", "r", NULL, NULL},
        {"github:o/" HUNDRED "/x", "o", HUNDRED, "x", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        artifact_source s;
        if (artifact_source_parse(str_c(cases[i].text), &s) < 0)
            fail_msg("\"%s\" is a source", cases[i].text);
        assert_true(str_eq(s.owner, str_c(cases[i].owner)));
        assert_true(str_eq(s.repo, str_c(cases[i].repo)));
        assert_true(str_eq(s.path, str_c(cases[i].path)) && !s.path.p == !cases[i].path);
        assert_true(str_eq(s.version, str_c(cases[i].version)) && !s.version.p == !cases[i].version);
    }
}

static void what_is_no_source_on_github_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "github:",
        "github:/",
        "github:o",
        "github:o/",
        "github:o//p",
        "github:/r/p",
        "GitHub:o/r",
        "gitlab:o/r",
        "local:/some/where",
        "o/r/p",
        "https://github.com/o/r",
        "github:-o/r",
        "github:o.o/r",
        "github:o o/r",
        "github:o/r r",
        "github:o/.",
        "github:o/..",
        "github:o/" HUNDRED "x",
        "github:o/r//p",
        "github:o/r/p/",
        "github:o/r/./p",
        "github:o/r/../p",
        "github:o/r/p\x01",
        "github:o/r/\xff",
        "github:o/r/p@",
        "github:o/r/p@..",
        "github:o/r/p@a..b",
        "github:o/r/p@a b",
        "github:o/r/p@a^{}",
        "github:o/r/p@a?b",
        "github:o/r/p@/a",
        "github:o/r/p@" HUNDRED HUNDRED HUNDRED,
        "github:@v1",
        "github:o@v1",
    };
    artifact_source s;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (artifact_source_parse(str_c(texts[i]), &s) != -EINVAL)
            fail_msg("\"%s\" is no source", texts[i]);
    assert_int_equal(artifact_source_parse(STR_NULL, &s), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_version_has_three_numbers_and_may_have_a_v_a_prerelease_and_a_build),
        cmocka_unit_test(what_is_no_version_is_refused),
        cmocka_unit_test(versions_are_ordered_as_semver_says),
        cmocka_unit_test(build_v_blanks_and_leading_zeros_play_no_part_in_the_order),
        cmocka_unit_test(the_difference_is_told_by_the_first_part_that_differs),
        cmocka_unit_test(magnitudes_rise_from_nothing_to_major),
        cmocka_unit_test(no_memory_for_the_text_is_an_error),
        cmocka_unit_test(an_artifact_is_outdated_by_version_or_else_by_content),
        cmocka_unit_test(a_source_names_owner_repository_path_and_version),
        cmocka_unit_test(what_is_no_source_on_github_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
