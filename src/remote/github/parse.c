/* GitHub's JSON. Foreign bytes: what is not as it should be is -EPROTO, never followed. */
#include "github_private.h"
#include "larder/json.h"

/* A text of the object, copied; null when absent. */
static str text_of(github_op *op, const json_value *v, const char *key)
{
    return arena_dup(&op->arena, json_string(json_get(v, key)));
}

static int parse(arena *scratch, str body, const json_value **ret)
{
    const int r = json_parse(scratch, body, ret, NULL);

    if (r == -EINVAL || (r == 0 && !json_is(*ret, JSON_OBJECT)))
        return -EPROTO;
    return r;
}

static int take_repository(github_op *op, const json_value *v)
{
    github_repository *repo = &op->repository;
    const json_value *topics = json_get(v, "topics");
    const str license = json_string(json_get(json_get(v, "license"), "spdx_id"));

    str *names = arena_array(&op->arena, str, json_count(topics));
    if (!names)
        return -ENOMEM;
    *repo = (github_repository){
        .owner = text_of(op, json_get(v, "owner"), "login"),
        .name = text_of(op, v, "name"),
        .description = text_of(op, v, "description"),
        .default_branch = text_of(op, v, "default_branch"),
        .visibility = text_of(op, v, "visibility"),
        .license = str_eq(license, STR("NOASSERTION")) ? STR_NULL : arena_dup(&op->arena, license),
        .is_private = json_bool(json_get(v, "private")),
        .topics = names,
    };
    for (size_t i = 0; i < json_count(topics); i++) {
        const str topic = arena_dup(&op->arena, json_string(json_at(topics, i)));
        if (topic.p)
            names[repo->n_topics++] = topic;
    }
    return repo->owner.p && repo->name.p && repo->default_branch.p ? 0 : -EPROTO;
}

int parse_repository(github_op *op, str body)
{
    SCOPED(arena_done) arena scratch;
    const json_value *v;

    arena_init(&scratch, 0);
    const int r = parse(&scratch, body, &v);
    return r < 0 ? r : take_repository(op, v);
}

static bool is_sha(str s)
{
    uint8_t bytes[20];

    return hex_decode(s, bytes, sizeof(bytes)) == 0;
}

int parse_commit(github_op *op, str body)
{
    SCOPED(arena_done) arena scratch;
    const json_value *v, *commit;

    arena_init(&scratch, 0);
    const int r = parse(&scratch, body, &v);
    if (r < 0)
        return r;
    commit = json_get(v, "commit");
    op->commit.sha = text_of(op, v, "sha");
    op->commit.tree_sha = text_of(op, json_get(commit, "tree"), "sha");
    (void)rfc3339_parse(json_string(json_get(json_get(commit, "committer"), "date")), &op->commit.date_ms);
    return is_sha(op->commit.sha) && is_sha(op->commit.tree_sha) ? 0 : -EPROTO;
}

/* False for what is no file of ours (an unknown type, a broken SHA): it is left out. */
static bool take_file(github_op *op, const json_value *v, github_file *f)
{
    const str path = json_string(json_get(v, "path")), mode = json_string(json_get(v, "mode"));
    const str type = json_string(json_get(v, "type")), sha = json_string(json_get(v, "sha"));
    const json_value *size = json_get(v, "size");

    if (path.n == 0 || !is_sha(sha))
        return false;
    if (str_eq(type, STR("tree")))
        f->kind = GITHUB_TREE;
    else if (str_eq(type, STR("commit")))
        f->kind = GITHUB_SUBMODULE;
    else if (str_eq(type, STR("blob")))
        f->kind = str_eq(mode, STR("120000")) ? GITHUB_SYMLINK : GITHUB_BLOB;
    else
        return false;
    memcpy(f->sha, sha.p, sizeof(f->sha));
    f->size = json_is(size, JSON_INT) ? json_int(size) : -1;
    f->path = arena_dup(&op->arena, path);
    return true;
}

int parse_tree(github_op *op, str body)
{
    SCOPED(arena_done) arena scratch;
    const json_value *v, *tree;
    size_t n, kept = 0;

    arena_init(&scratch, 0);
    const int r = parse(&scratch, body, &v);
    if (r < 0)
        return r;
    tree = json_get(v, "tree");
    if (!json_is(tree, JSON_ARRAY))
        return -EPROTO;
    n = json_count(tree);
    op->tree.truncated = json_bool(json_get(v, "truncated"));
    github_file *files = arena_array(&op->arena, github_file, n);
    if (!files)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (!take_file(op, json_at(tree, i), &files[kept]))
            continue;
        if (!files[kept].path.p)
            return -ENOMEM;
        if (kept == github_max_entries(op)) {
            op->tree.truncated = true;
            break;
        }
        kept++;
    }
    op->tree.files = files;
    op->tree.n = kept;
    return 0;
}

int parse_readme(github_op *op, str body)
{
    op->readme = arena_dup(&op->arena, body.p ? body : STR(""));
    return op->readme.p ? 0 : -ENOMEM;
}
