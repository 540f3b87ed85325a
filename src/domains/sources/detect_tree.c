#include "detect_tree.h"

#include <stdlib.h>

#include "larder/repo_path.h"

/* ---- the listing, filtered and sorted ---- */

/* The order in which the lines "path:sha" sort; equal paths in the order of the listing. */
static int compare_lines(const void *x, const void *y)
{
    const detect_file *a = ((const tree_file *)x)->file, *b = ((const tree_file *)y)->file;
    int order = repo_path_cmp_ended(a->path, ':', b->path, ':');
    return order != 0 ? order : (a > b) - (a < b);
}

static int collect_files(arena *a, const detect_file *files, size_t n, str root_hint, tree *t)
{
    t->files = arena_array(a, tree_file, n + 1);
    if (!t->files)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        if (repo_path_check(files[i].path) != REPO_PATH_OK)
            t->skipped++;
        else if (repo_path_is_below(files[i].path, root_hint))
            t->files[t->n_files++].file = &files[i];
    }
    qsort(t->files, t->n_files, sizeof(*t->files), compare_lines);

    uint32_t kept = 0; /* a path can't stand in a listing twice; if it does, the first is taken */
    for (uint32_t i = 0; i < t->n_files; i++) {
        if (kept > 0 && str_eq(t->files[i].file->path, t->files[kept - 1].file->path))
            t->skipped++;
        else
            t->files[kept++] = t->files[i];
    }
    t->n_files = kept;
    return 0;
}

/* ---- directories ---- */

/* How many directories add_file will make. Sorted, files of one directory stand together, so a directory is new exactly
 * when its '/' lies past what the path shares with the one before. */
static size_t count_dirs(const tree *t)
{
    size_t count = 1;
    str before = STR("");
    for (uint32_t i = 0; i < t->n_files; i++) {
        str path = t->files[i].file->path;
        unsigned parts = 0;
        size_t shared = 0;
        while (shared < path.n && shared < before.n && path.p[shared] == before.p[shared])
            shared++;
        for (size_t at = 0; at < path.n && parts < TREE_MAX_PARTS; at++) {
            if (path.p[at] != '/')
                continue;
            parts++;
            count += at >= shared;
        }
        before = path;
    }
    return count;
}

/* A new directory below `parent`, whose name ends at path.p[end]. */
static uint32_t add_dir(tree *t, uint32_t parent, str path, size_t end, uint32_t first_file)
{
    tree_dir *up = &t->dirs[parent];
    size_t start = up->path.n > 0 ? up->path.n + 1 : 0;
    str name = str_of(path.p + start, end - start);
    t->dirs[t->n_dirs] = (tree_dir){
        .path = str_head(path, end),
        .name = name,
        .word = detect_dir_word(name),
        .parent = parent,
        .first = first_file,
        .mapped_at = TREE_NONE,
        .container_at = TREE_NONE,
        .parts = (uint8_t)(up->parts + 1),
        .hints = (uint8_t)((parent == TREE_ROOT ? 0 : up->hints) | detect_name_hints(name)),
        .mapped_type = DETECT_NO_TYPE,
    };
    if (t->dirs[t->n_dirs].word)
        up->plugin_parts |= t->dirs[t->n_dirs].word->plugin_part;
    up->has_odd_child = up->has_odd_child || !detect_is_usual_subdir(name);
    return t->n_dirs++;
}

static void add_own_file(tree *t, uint32_t index, uint32_t dir)
{
    tree_file *f = &t->files[index];
    tree_dir *d = &t->dirs[dir];
    f->name_at = (uint16_t)(d->path.n > 0 ? d->path.n + 1 : 0);
    if (f->file->is_link)
        return;
    f->bits = (uint16_t)detect_file_bits(tree_file_name(f));
    d->has |= f->bits;
    if ((f->bits & HAS_CODE) && d->code_files < UINT8_MAX)
        d->code_files++;
    if ((f->bits & HAS_PLUGIN_JSON) && dir != TREE_ROOT && detect_is_plugin_folder(d->name))
        t->dirs[d->parent].has_plugin_folder = true;
}

/* The files are sorted, so one walk with the current directory in hand meets every directory once, parents first. */
static int make_dirs(arena *a, str repo_name, tree *t)
{
    size_t count = count_dirs(t);
    if (count > DETECT_MAX_DIRS)
        return -EFBIG;
    t->dirs = arena_array(a, tree_dir, count);
    if (!t->dirs)
        return -ENOMEM;
    t->dirs[t->n_dirs++] = (tree_dir){
        .path = STR(""),
        .name = repo_name,
        .parent = TREE_NONE,
        .mapped_at = TREE_NONE,
        .container_at = TREE_NONE,
        .hints = (uint8_t)detect_name_hints(repo_name),
        .mapped_type = DETECT_NO_TYPE,
    };

    uint32_t at = TREE_ROOT;
    for (uint32_t i = 0; i < t->n_files; i++) {
        str path = t->files[i].file->path;
        while (!repo_path_is_below(path, t->dirs[at].path)) {
            t->dirs[at].end = i;
            at = t->dirs[at].parent;
        }
        size_t start = t->dirs[at].path.n;
        bool too_deep = false;
        for (size_t end = start > 0 ? start + 1 : 0; end < path.n && !too_deep; end++) {
            if (path.p[end] != '/')
                continue;
            too_deep = t->dirs[at].parts == TREE_MAX_PARTS;
            if (!too_deep)
                at = add_dir(t, at, path, end, i);
        }
        t->files[i].dir = at;
        if (!too_deep)
            add_own_file(t, i, at);
    }
    for (; at != TREE_NONE; at = t->dirs[at].parent)
        t->dirs[at].end = t->n_files;
    return 0;
}

/* ---- what comes from above ---- */

static unsigned count_parts(str path)
{
    unsigned parts = path.n > 0;
    for (size_t i = 0; i < path.n; i++)
        parts += path.p[i] == '/';
    return parts;
}

/* The directory of this path, found through its first file; TREE_NONE when there is none. */
static uint32_t find_dir(const tree *t, str path)
{
    uint32_t low = 0, high = t->n_files;
    while (low < high) { /* the first file that does not sort before "path/" */
        uint32_t middle = low + (high - low) / 2;
        if (repo_path_cmp_ended(t->files[middle].file->path, ':', path, '/') < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == t->n_files || !repo_path_is_below(t->files[low].file->path, path))
        return TREE_NONE;
    uint32_t dir = t->files[low].dir;
    while (dir != TREE_NONE && t->dirs[dir].path.n > path.n)
        dir = t->dirs[dir].parent;
    return dir != TREE_NONE && t->dirs[dir].path.n == path.n ? dir : TREE_NONE;
}

static void apply_map(tree *t, pairs map)
{
    for (size_t i = 0; i < map.n; i++) {
        detect_type type;
        uint32_t dir = str_eq(map.v[i].key, STR(".")) ? TREE_ROOT : find_dir(t, map.v[i].key);
        if (dir != TREE_NONE && detect_type_parse(map.v[i].value, &type))
            t->dirs[dir].mapped_type = (uint8_t)type;
    }
}

static void inherit(tree *t)
{
    for (uint32_t i = 0; i < t->n_dirs; i++) {
        tree_dir *d = &t->dirs[i];
        bool is_container = d->word && d->word->is_container;
        if (i != TREE_ROOT) {
            const tree_dir *up = &t->dirs[d->parent];
            bool up_is_root = d->parent == TREE_ROOT;
            d->mapped_at = up->mapped_at;
            d->container_at = up->container_at;
            d->is_inside = up->is_inside || (!up_is_root && (up->has & HAS_MD_MANIFEST) && !is_container);
            d->is_in_skill = up->is_in_skill || (!up_is_root && (up->has & HAS_SKILL));
        }
        /* A mapped composite says something of that directory only. */
        if (d->mapped_type != DETECT_NO_TYPE && d->mapped_type != DETECT_COMPOSITE)
            d->mapped_at = i;
        if (is_container)
            d->container_at = i;
    }
}

int tree_build(arena *a, const detect_file *files, size_t n, const detect_options *o, tree *ret_tree)
{
    tree t = {.root_parts = count_parts(o->root_hint)};
    if (n > DETECT_MAX_FILES)
        return -EFBIG;
    int r = collect_files(a, files, n, o->root_hint, &t);
    if (r == 0)
        r = make_dirs(a, o->repo_name, &t);
    if (r < 0)
        return r;
    apply_map(&t, o->manual_map);
    inherit(&t);
    *ret_tree = t;
    return 0;
}
