#include "larder/artifact_version.h"
#include "larder/repo_path.h"

#define VERSION_MAX_BYTES 255

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* True when `s` is not empty and has only letters, digits and characters of `others`. */
static bool has_only(str s, str others)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && str_chr(others, s.p[i]) < 0)
            return false;
    return s.n > 0;
}

/* ---- semver ---- */

/* Without its leading zeros. */
static int take_number(str *rest, str *ret_number)
{
    size_t n = 0, zeros = 0;
    while (n < rest->n && is_digit(rest->p[n]))
        n++;
    if (n == 0)
        return -EINVAL;
    while (zeros + 1 < n && rest->p[zeros] == '0')
        zeros++;
    *ret_number = str_of(rest->p + zeros, n - zeros);
    *rest = str_from(*rest, n);
    return 0;
}

static bool take_char(str *rest, char c)
{
    if (rest->n == 0 || rest->p[0] != c)
        return false;
    *rest = str_from(*rest, 1);
    return true;
}

int semver_parse(str text, semver *ret_semver)
{
    semver v = {0};
    str rest = str_trim(text);
    take_char(&rest, 'v');
    if (take_number(&rest, &v.major) < 0 || !take_char(&rest, '.') || take_number(&rest, &v.minor) < 0 ||
        !take_char(&rest, '.') || take_number(&rest, &v.patch) < 0)
        return -EINVAL;

    ptrdiff_t plus = str_chr(rest, '+');
    if (plus >= 0) {
        v.build = str_from(rest, (size_t)plus + 1);
        rest = str_head(rest, (size_t)plus);
        if (!has_only(v.build, STR(".-")))
            return -EINVAL;
    }
    if (take_char(&rest, '-')) {
        if (!has_only(rest, STR(".-")))
            return -EINVAL;
        v.pre = rest;
    } else if (rest.n > 0) {
        return -EINVAL;
    }
    *ret_semver = v;
    return 0;
}

static bool is_number(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_digit(s.p[i]))
            return false;
    return s.n > 0;
}

/* Digits of any length, by value. */
static int compare_numbers(str a, str b)
{
    while (take_char(&a, '0'))
        ;
    while (take_char(&b, '0'))
        ;
    return a.n != b.n ? (a.n < b.n ? -1 : 1) : str_cmp(a, b);
}

/* Numbers by value, texts by bytes, and a number is lower than a text. */
static int compare_identifiers(str a, str b)
{
    bool a_is_number = is_number(a), b_is_number = is_number(b);
    if (a_is_number && b_is_number)
        return compare_numbers(a, b);
    if (a_is_number != b_is_number)
        return a_is_number ? -1 : 1;
    return str_cmp(a, b);
}

static int compare_pre(str a, str b)
{
    if (!a.p || !b.p) /* a stable version is higher than those that lead to it */
        return (a.p == NULL) - (b.p == NULL);
    for (;;) {
        str x, y;
        bool has_x = str_cut(&a, '.', &x), has_y = str_cut(&b, '.', &y);
        if (!has_x || !has_y) /* more identifiers are higher than fewer */
            return has_x - has_y;
        int r = compare_identifiers(x, y);
        if (r != 0)
            return r;
    }
}

int semver_compare(const semver *a, const semver *b)
{
    int r = compare_numbers(a->major, b->major);
    if (r == 0)
        r = compare_numbers(a->minor, b->minor);
    if (r == 0)
        r = compare_numbers(a->patch, b->patch);
    return r != 0 ? r : compare_pre(a->pre, b->pre);
}

/* ---- two versions ---- */

static version_magnitude semver_magnitude(const semver *a, const semver *b)
{
    if (!str_eq(a->major, b->major))
        return VERSION_MAJOR;
    if (!str_eq(a->minor, b->minor))
        return VERSION_MINOR;
    if (!str_eq(a->patch, b->patch))
        return VERSION_PATCH;
    return str_eq(a->pre, b->pre) ? VERSION_SAME : VERSION_PRERELEASE;
}

/* The two are written only when the answer is of PRERELEASE or more. */
static version_magnitude compare_versions(str deployed, str upstream, semver *from, semver *to)
{
    if (deployed.n == 0 || upstream.n == 0 || str_eq(deployed, upstream))
        return VERSION_SAME;
    if (semver_parse(deployed, from) < 0 || semver_parse(upstream, to) < 0)
        return VERSION_UNKNOWN;
    return semver_magnitude(from, to);
}

version_magnitude version_magnitude_of(str deployed, str upstream)
{
    semver from, to;
    return compare_versions(deployed, upstream, &from, &to);
}

static str number_text(arena *a, const char *part, str from, str to)
{
    return arena_printf(a, "%s version %s (" STR_FMT " -> " STR_FMT ")", part,
                        compare_numbers(from, to) < 0 ? "upgrade" : "downgrade", STR_ARG(from), STR_ARG(to));
}

static str pre_text(arena *a, str from, str to)
{
    if (!from.p)
        return arena_printf(a, "downgrade to pre-release (" STR_FMT ")", STR_ARG(to));
    if (!to.p)
        return arena_printf(a, "upgrade to stable from pre-release (" STR_FMT ")", STR_ARG(from));
    return arena_printf(a, "pre-release change (" STR_FMT " -> " STR_FMT ")", STR_ARG(from), STR_ARG(to));
}

int version_difference(arena *a, str deployed, str upstream, str *ret_text)
{
    semver from, to;
    str text = STR_NULL;
    switch (compare_versions(deployed, upstream, &from, &to)) {
    case VERSION_SAME:
        *ret_text = STR_NULL;
        return 0;
    case VERSION_UNKNOWN:
        text = arena_printf(a, STR_FMT " -> " STR_FMT, STR_ARG(deployed), STR_ARG(upstream));
        break;
    case VERSION_PRERELEASE:
        text = pre_text(a, from.pre, to.pre);
        break;
    case VERSION_PATCH:
        text = number_text(a, "patch", from.patch, to.patch);
        break;
    case VERSION_MINOR:
        text = number_text(a, "minor", from.minor, to.minor);
        break;
    case VERSION_MAJOR:
        text = number_text(a, "major", from.major, to.major);
        break;
    }
    if (!text.p)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

bool version_is_outdated(str deployed, str upstream, str deployed_hash, str upstream_hash)
{
    semver from, to;
    if (semver_parse(deployed, &from) == 0 && semver_parse(upstream, &to) == 0)
        return semver_compare(&from, &to) < 0;
    return deployed_hash.n > 0 && upstream_hash.n > 0 && !str_eq(deployed_hash, upstream_hash);
}

/* ---- source ---- */

/* What git takes as the name of a branch or a tag, roughly: it ends up in a URL's path. */
static bool ref_is_valid(str ref)
{
    if (repo_path_check(ref) != REPO_PATH_OK || ref.n > VERSION_MAX_BYTES || str_find(ref, STR("..")) >= 0)
        return false;
    for (size_t i = 0; i < ref.n; i++)
        if (str_chr(STR(" ~^:?*[\\"), ref.p[i]) >= 0)
            return false;
    return true;
}

int artifact_source_parse(str text, artifact_source *ret_source)
{
    const str scheme = STR("github:");
    str rest = str_trim(text);
    if (!str_starts(rest, scheme))
        return -EINVAL;
    rest = str_from(rest, scheme.n);

    artifact_source s = {0};
    ptrdiff_t at = str_rchr(rest, '@');
    if (at >= 0) {
        str version = str_from(rest, (size_t)at + 1);
        rest = str_head(rest, (size_t)at);
        if (!ref_is_valid(version))
            return -EINVAL;
        if (!str_eq(version, STR("latest")))
            s.version = version;
    }
    if (!str_cut(&rest, '/', &s.owner) || !str_cut(&rest, '/', &s.repo) || !repo_owner_is_valid(s.owner) ||
        !repo_name_is_valid(s.repo))
        return -EINVAL;
    if (rest.n > 0) {
        if (repo_path_check(rest) != REPO_PATH_OK)
            return -EINVAL;
        s.path = rest;
    }
    *ret_source = s;
    return 0;
}
