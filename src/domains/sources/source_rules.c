#include "larder/source_rules.h"

#include <stdlib.h>

#include "larder/repo_path.h"

static int refuse(str *problem, str text)
{
    if (!text.p)
        return -ENOMEM;
    *problem = text;
    return -EINVAL;
}

/* ---- directories ---- */

static bool has_parent_reference(str path)
{
    size_t start = 0;
    for (size_t i = 0; path.n > 0 && i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/' && path.p[i] != '\\')
            continue;
        if (str_eq(str_trim(str_of(path.p + start, i - start)), STR("..")))
            return true;
        start = i + 1;
    }
    return false;
}

/* What is wrong with `path` as it stands; NULL for nothing. */
static const char *directory_fault(str path)
{
    if (has_parent_reference(path))
        return "cannot contain parent directory references (..)";
    if (path.n > 0 && (path.p[0] == '/' || (path.n > 1 && path.p[1] == ':')))
        return "must be a relative path";
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '\0')
            return "cannot contain null bytes";
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c < 0x20 || c == 0x7f || strchr("<>\"?*|", c))
            return "contains invalid characters";
    }
    return path.n > REPO_PATH_MAX ? "is too long" : NULL;
}

/* Without blanks around it, and without empty, blank and "." segments. */
static int tidy(arena *a, str path, str *ret_path)
{
    char *p = arena_alloc(a, path.n + 1);
    if (!p)
        return -ENOMEM;
    size_t n = 0;
    str segment;
    while (str_cut(&path, '/', &segment)) {
        str word = str_trim(segment);
        if (word.n == 0 || str_eq(word, STR(".")))
            continue;
        if (n > 0)
            p[n++] = '/';
        memcpy(p + n, segment.p, segment.n);
        n += segment.n;
    }
    *ret_path = str_trim(str_of(p, n));
    return 0;
}

/* The path is judged as it stands, tidied, and percent-decoded: somebody behind us may decode it. The stored text is
 * never decoded: a directory may well be called "100%25". */
static int check_directory(arena *a, str what, str in, str *ret_path, str *problem)
{
    str decoded, tidied;
    int r = tidy(a, in, &tidied);
    if (r == 0)
        r = percent_decode(a, in, false, &decoded);
    if (r == -ENOMEM)
        return r;
    const char *fault = directory_fault(str_trim(in));
    if (!fault)
        fault = directory_fault(tidied);
    if (!fault && r == 0)
        fault = directory_fault(str_trim(decoded));
    if (fault)
        return refuse(problem, arena_printf(a, STR_FMT " %s", STR_ARG(what), fault));
    *ret_path = tidied;
    return 0;
}

int source_root_hint_check(arena *a, str in, str *ret_root_hint, str *problem)
{
    str path;
    int r = check_directory(a, STR("root_hint"), in, &path, problem);
    if (r == 0)
        *ret_root_hint = path.n == 0 ? STR_NULL : path;
    return r;
}

/* ---- ref: the rules of git's check-ref-format ---- */

#define REF_MAX 255

static bool ref_segment_is_valid(str segment)
{
    return segment.n > 0 && segment.p[0] != '.' && !str_ends(segment, STR(".")) && !str_ends(segment, STR(".lock"));
}

int source_ref_check(str in, str *problem)
{
    bool valid = in.n > 0 && in.n <= REF_MAX && utf8_valid(in) && !str_eq(in, STR("@")) && in.p[0] != '-' &&
                 str_find(in, STR("..")) < 0 && str_find(in, STR("@{")) < 0 && in.p[in.n - 1] != '/';
    for (size_t i = 0; valid && i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];
        valid = c > 0x20 && c != 0x7f && !strchr("~^:?*[\\", c);
    }
    str segment;
    for (str rest = in; valid && str_cut(&rest, '/', &segment);)
        valid = ref_segment_is_valid(segment);
    return valid ? 0 : refuse(problem, STR("ref is not a valid name of a branch, tag or commit"));
}

/* ---- tags ---- */

static bool tag_is_valid(str tag)
{
    for (size_t i = 0; i < tag.n; i++) {
        char c = tag.p[i];
        bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter_or_digit && (i == 0 || (c != '-' && c != '_')))
            return false;
    }
    return true;
}

static bool is_among(str s, const str *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(s, v[i]))
            return true;
    return false;
}

int source_tags_check(arena *a, strs in, strs *ret_tags, str *problem)
{
    if (in.n > SOURCE_TAGS_MAX)
        return refuse(problem, STR("Maximum 20 tags allowed per source"));
    str *v = arena_array(a, str, in.n + 1);
    if (!v)
        return -ENOMEM;

    size_t n = 0;
    for (size_t i = 0; i < in.n; i++) {
        str shown = utf8_head(in.v[i], 2 * SOURCE_TAG_LEN_MAX);
        if (in.v[i].n == 0 || utf8_length(in.v[i]) > SOURCE_TAG_LEN_MAX)
            return refuse(problem, arena_printf(a, "Tag '" STR_FMT "' must be 1-50 characters", STR_ARG(shown)));
        if (!tag_is_valid(in.v[i]))
            return refuse(problem,
                          arena_printf(a, "Tag '" STR_FMT "' must be alphanumeric with optional hyphens/underscores",
                                       STR_ARG(shown)));
        str tag = arena_lower(a, in.v[i]);
        if (!tag.p)
            return -ENOMEM;
        if (!is_among(tag, v, n))
            v[n++] = tag;
    }
    *ret_tags = (strs){v, n};
    return 0;
}

/* ---- manual_map ---- */

/* What a manual_map stores for a type: detect.h's names, but for MCP servers the word that the interface documents. */
static str map_type_name(detect_type type)
{
    return type == DETECT_MCP ? STR("mcp_server") : detect_type_name(type);
}

typedef struct map_reader {
    arena *a;
    pair *v;
    size_t n;
    str *problem;
} map_reader;

static int refuse_type(map_reader *m, str text)
{
    return refuse(m->problem, arena_printf(m->a,
                                           "Invalid artifact type: " STR_FMT
                                           ". Allowed: agent, command, composite, hook, mcp_server, skill",
                                           STR_ARG(utf8_head(text, 100))));
}

static int refuse_kind(map_reader *m, str key, const char *kind)
{
    return refuse(m->problem, arena_printf(m->a, "manual_map." STR_FMT ": Input should be a valid %s",
                                           STR_ARG(utf8_head(key, 100)), kind));
}

static int add_directory(map_reader *m, str in, detect_type type)
{
    str dir;
    const str what = arena_printf(m->a, "manual_map directory '" STR_FMT "'", STR_ARG(utf8_head(in, 100)));
    int r = what.p ? check_directory(m->a, what, in, &dir, m->problem) : -ENOMEM;
    if (r < 0)
        return r;
    if (dir.n == 0)
        dir = STR(".");
    for (size_t i = 0; i < m->n; i++) {
        if (!str_eq(m->v[i].key, dir))
            continue;
        if (str_eq(m->v[i].value, map_type_name(type)))
            return 0;
        return refuse(
            m->problem,
            arena_printf(m->a, "manual_map gives directory '" STR_FMT "' more than one artifact type", STR_ARG(dir)));
    }
    if (m->n == SOURCE_MAP_MAX)
        return refuse(m->problem, STR("manual_map can have at most 200 directories"));
    m->v[m->n++] = (pair){dir, map_type_name(type)};
    return 0;
}

/* A key that is a type holds directories; any other key is a directory and holds its type, bare or in a list of one. */
static int add_list(map_reader *m, str key, const json_value *items)
{
    detect_type type;
    bool key_is_type = detect_type_parse(key, &type);
    size_t n = json_count(items);
    if (!key_is_type && n != 1)
        return refuse(m->problem,
                      arena_printf(m->a, "manual_map." STR_FMT ": List should have exactly 1 item, the artifact type",
                                   STR_ARG(utf8_head(key, 100))));
    for (size_t i = 0; i < n; i++) {
        const json_value *item = json_at(items, i);
        if (!json_is(item, JSON_STRING))
            return refuse_kind(m, key, "list of strings");
        str text = json_string(item);
        if (!key_is_type && !detect_type_parse(text, &type))
            return refuse_type(m, text);
        int r = add_directory(m, key_is_type ? text : key, type);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_member(map_reader *m, str key, const json_value *value)
{
    detect_type type;
    if (json_is(value, JSON_ARRAY))
        return add_list(m, key, value);
    if (!json_is(value, JSON_STRING))
        return refuse_kind(m, key, "string");
    if (!detect_type_parse(json_string(value), &type))
        return refuse_type(m, json_string(value));
    return add_directory(m, key, type);
}

int source_manual_map_check(arena *a, const json_value *in, pairs *ret_map, str *problem)
{
    if (json_is(in, JSON_NULL)) {
        *ret_map = (pairs){NULL, 0};
        return 0;
    }
    if (!json_is(in, JSON_OBJECT))
        return refuse(problem, STR("manual_map: Input should be a valid dictionary"));

    map_reader m = {a, arena_array(a, pair, SOURCE_MAP_MAX), 0, problem};
    if (!m.v)
        return -ENOMEM;
    str key;
    const json_value *value;
    for (void *it = NULL; (it = json_next(in, it, &key, &value));) {
        int r = add_member(&m, key, value);
        if (r < 0)
            return r;
    }
    *ret_map = (pairs){m.v, m.n};
    return 0;
}

static bool directory_exists(str dir, const detect_file *files, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (repo_path_is_below(files[i].path, str_eq(dir, STR(".")) ? STR("") : dir))
            return true;
    return false;
}

static int compare_strs(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

int source_manual_map_exists(arena *a, pairs map, const detect_file *files, size_t n, str *problem)
{
    str *missing = arena_array(a, str, map.n + 1);
    if (!missing)
        return -ENOMEM;
    size_t count = 0;
    for (size_t i = 0; i < map.n; i++)
        if (!directory_exists(map.v[i].key, files, n))
            missing[count++] = map.v[i].key;
    if (count == 0)
        return 0;

    qsort(missing, count, sizeof(*missing), compare_strs);
    SCOPED(buf_done)
    buf text = BUF_INIT;
    buf_str(&text, STR("Invalid directory path(s) not found in repository: "));
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s'" STR_FMT "'", i > 0 ? ", " : "", STR_ARG(missing[i]));
    return text.err < 0 ? text.err : refuse(problem, arena_dup(a, buf_view(&text)));
}
