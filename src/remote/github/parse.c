/* GitHub's JSON. Foreign bytes: what is not as it should be is -EPROTO, never followed. */
#include "github_private.h"
#include "larder/json.h"

/* Copies into the operation's memory; the first failure stays in `err`. */
typedef struct copier {
    github_op *op;
    int err;
} copier;

static str copy(copier *c, str s)
{
    str dup = arena_dup(&c->op->arena, s);
    if (s.p && !dup.p)
        c->err = -ENOMEM;
    return dup;
}

static str copy_of(copier *c, const json_value *object, const char *key) /* null when absent */
{
    return copy(c, json_string(json_get(object, key)));
}

static int parse_object(arena *scratch, str body, const json_value **ret_root)
{
    const int r = json_parse(scratch, body, ret_root, NULL);

    if (r == -EINVAL || (r == 0 && !json_is(*ret_root, JSON_OBJECT)))
        return -EPROTO;
    return r;
}

/* ---- repository ---- */

static int take_topics(copier *c, const json_value *topics)
{
    github_repository *repo = &c->op->repository;
    str *names = arena_array(&c->op->arena, str, json_count(topics));

    if (!names)
        return -ENOMEM;
    for (size_t i = 0; i < json_count(topics); i++) {
        const str topic = json_string(json_at(topics, i));
        if (topic.n > 0)
            names[repo->n_topics++] = copy(c, topic);
    }
    repo->topics = names;
    return c->err;
}

static int take_repository(copier *c, const json_value *v)
{
    const str license = json_string(json_get(json_get(v, "license"), "spdx_id"));
    github_repository *repo = &c->op->repository;

    *repo = (github_repository){
        .owner = copy_of(c, json_get(v, "owner"), "login"),
        .name = copy_of(c, v, "name"),
        .description = copy_of(c, v, "description"),
        .default_branch = copy_of(c, v, "default_branch"),
        .visibility = copy_of(c, v, "visibility"),
        .license = str_eq(license, STR("NOASSERTION")) ? STR_NULL : copy(c, license),
        .is_private = json_bool(json_get(v, "private")),
    };
    const int r = take_topics(c, json_get(v, "topics"));
    if (r < 0)
        return r;
    return repo->owner.n > 0 && repo->name.n > 0 && repo->default_branch.n > 0 ? 0 : -EPROTO;
}

int github_parse_repository(github_op *op, str body, size_t max_entries)
{
    SCOPED(arena_done)
    arena scratch;
    const json_value *v;

    (void)max_entries;
    arena_init(&scratch, json_tree_limit(body.n));
    const int r = parse_object(&scratch, body, &v);
    return r < 0 ? r : take_repository(&(copier){op, 0}, v);
}

/* ---- commit ---- */

static bool is_sha(str s)
{
    uint8_t bytes[20];

    return hex_decode(s, bytes, sizeof(bytes)) == 0;
}

int github_parse_commit(github_op *op, str body, size_t max_entries)
{
    SCOPED(arena_done)
    arena scratch;
    const json_value *v, *commit;
    copier c = {op, 0};

    (void)max_entries;
    arena_init(&scratch, json_tree_limit(body.n));
    const int r = parse_object(&scratch, body, &v);
    if (r < 0)
        return r;
    commit = json_get(v, "commit");
    op->commit.sha = copy_of(&c, v, "sha");
    op->commit.tree_sha = copy_of(&c, json_get(commit, "tree"), "sha");
    (void)rfc3339_parse(json_string(json_get(json_get(commit, "committer"), "date")), &op->commit.date_ms);
    if (c.err < 0)
        return c.err;
    return is_sha(op->commit.sha) && is_sha(op->commit.tree_sha) ? 0 : -EPROTO;
}

/* ---- tree ---- */

/* False for what is no file of ours (an unknown type, a broken SHA): it is left out. */
static bool take_file(copier *c, const json_value *v, github_file *f)
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
    f->size = json_is(size, JSON_INT) && json_int(size) >= 0 ? json_int(size) : -1;
    f->path = copy(c, path);
    return true;
}

int github_parse_tree(github_op *op, str body, size_t max_entries)
{
    SCOPED(arena_done)
    arena scratch;
    const json_value *v, *entries;
    copier c = {op, 0};
    size_t n, kept = 0;

    arena_init(&scratch, json_tree_limit(body.n));
    const int r = parse_object(&scratch, body, &v);
    if (r < 0)
        return r;
    entries = json_get(v, "tree");
    if (!json_is(entries, JSON_ARRAY))
        return -EPROTO;
    n = json_count(entries);
    op->tree.truncated = json_bool(json_get(v, "truncated")) || n > max_entries;
    if (n > max_entries)
        n = max_entries;
    github_file *files = arena_array(&op->arena, github_file, n);
    if (!files)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        kept += take_file(&c, json_at(entries, i), &files[kept]);
    op->tree.files = files;
    op->tree.n = kept;
    return c.err;
}

/* ---- README ---- */

int github_parse_readme(github_op *op, str body, size_t max_entries)
{
    (void)max_entries;
    op->readme = arena_dup(&op->arena, body.p ? body : STR(""));
    return op->readme.p ? 0 : -ENOMEM;
}
