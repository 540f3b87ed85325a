#include "larder/repo_path.h"
#include "larder/repo_url.h"
#include "larder/source_rules.h"

#define GITHUB "https://github.com/"

/* The next segment of *rest, which loses it and all slashes behind. */
static str next_segment(str *rest)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '/')
        n++;
    str segment = str_head(*rest, n);
    while (n < rest->n && rest->p[n] == '/')
        n++;
    *rest = str_from(*rest, n);
    return segment;
}

static str id_of(arena *a, str key, size_t owner_length)
{
    const str prefix = STR("src_");
    char *id = arena_alloc(a, prefix.n + key.n);
    if (!id)
        return STR_NULL;
    memcpy(id, prefix.p, prefix.n);
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (i == owner_length)
            c = '_';
        else if (i < owner_length && c == '_')
            c = '.';
        id[prefix.n + i] = c;
    }
    return str_of(id, prefix.n + key.n);
}

static int fill(arena *a, str owner, str name, repo_url *ret)
{
    if (str_ends_nocase(name, STR(".git")))
        name = str_head(name, name.n - strlen(".git"));
    if (!repo_owner_is_valid(owner) || !repo_name_is_valid(name))
        return -EINVAL;

    str url = arena_printf(a, GITHUB STR_FMT "/" STR_FMT, STR_ARG(owner), STR_ARG(name));
    if (!url.p)
        return -ENOMEM;
    str path = str_from(url, strlen(GITHUB));
    str key = arena_lower(a, path);
    if (!key.p)
        return -ENOMEM;
    str id = id_of(a, key, owner.n);
    if (!id.p)
        return -ENOMEM;
    *ret = (repo_url){str_head(path, owner.n), str_from(path, owner.n + 1), url, key, id};
    return 0;
}

int repo_url_parse(arena *a, str text, repo_url *ret_url)
{
    if (!str_starts_nocase(text, STR(GITHUB)))
        return -EINVAL;
    str rest = str_from(text, strlen(GITHUB));
    str owner = next_segment(&rest);
    str name = next_segment(&rest);
    return rest.n > 0 ? -EINVAL : fill(a, owner, name, ret_url);
}

static bool skip_host(str *text)
{
    static const char *const hosts[] = {
        GITHUB,
        "http://github.com/",
        "https://www.github.com/",
        "http://www.github.com/",
    };
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        if (str_starts_nocase(*text, str_c(hosts[i]))) {
            *text = str_from(*text, strlen(hosts[i]));
            return true;
        }
    }
    return false;
}

/* tree/REF[/DIR] or blob/REF/DIR/FILE */
static int infer_place(arena *a, str rest, repo_place *place)
{
    str word = next_segment(&rest);
    str ref = next_segment(&rest);
    bool is_file = str_eq(word, STR("blob"));
    if (!is_file && !str_eq(word, STR("tree")))
        return -EINVAL;
    if (is_file) {
        ptrdiff_t slash = str_rchr(rest, '/');
        rest = str_head(rest, slash < 0 ? 0 : (size_t)slash);
    }

    str dir, problem;
    int r = percent_decode(a, ref, false, &place->ref);
    if (r == 0)
        r = source_ref_check(place->ref, &problem);
    if (r == 0)
        r = percent_decode(a, rest, false, &dir);
    if (r == 0)
        r = source_root_hint_check(a, dir, &place->root_hint, &problem);
    return r;
}

int repo_url_infer(arena *a, str text, repo_place *ret_place)
{
    str rest = str_trim(text);
    for (size_t i = 0; i < rest.n; i++)
        if (rest.p[i] == '?' || rest.p[i] == '#')
            rest.n = i;
    if (!skip_host(&rest))
        return -EINVAL;

    repo_place place = {.ref = STR("main"), .root_hint = STR_NULL};
    str owner = next_segment(&rest);
    str name = next_segment(&rest);
    int r = fill(a, owner, name, &place.repo);
    if (r == 0 && rest.n > 0)
        r = infer_place(a, rest, &place);
    if (r == 0)
        *ret_place = place;
    return r;
}
