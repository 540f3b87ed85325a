#include "tree.h"

#include "unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

arena tree_arena;
char tree_top[PATH_MAX];
str tree_root;

const char *tree_path(const char *path)
{
    return arena_printf(&tree_arena, "%s/root/%s", tree_top, path).p;
}

void tree_folder(const char *path)
{
    char *full = arena_cstr(&tree_arena, str_c(tree_path(path)));
    for (char *p = full + strlen(tree_top) + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            mkdir(full, 0755);
            *p = '/';
        }
    mkdir(full, 0755);
}

void tree_put(const char *path, const char *text)
{
    ptrdiff_t slash = str_rchr(str_c(path), '/');
    tree_folder(arena_cstr(&tree_arena, str_head(str_c(path), slash > 0 ? (size_t)slash : 0)));
    FILE *f = fopen(tree_path(path), "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    fclose(f);
}

void tree_link(const char *path, const char *target)
{
    assert_int_equal(symlink(target, tree_path(path)), 0);
}

int tree_setup(void **state)
{
    (void)state;
    arena_init(&tree_arena, 0);
    char made[] = "/tmp/larder-discover-XXXXXX";
    assert_non_null(mkdtemp(made));
    assert_non_null(realpath(made, tree_top));
    chmod(tree_top, 0755);
    tree_root = arena_printf(&tree_arena, "%s/root", tree_top);
    tree_folder("");
    assert_int_equal(mkdir(arena_printf(&tree_arena, "%s/outside", tree_top).p, 0755), 0);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *at)
{
    (void)st, (void)flag, (void)at;
    return remove(path);
}

int tree_teardown(void **state)
{
    (void)state;
    nftw(tree_top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    arena_done(&tree_arena);
    return 0;
}

str projects_found(str *ret_why)
{
    strs paths, folders;
    str why = STR_NULL, all = STR("");
    assert_int_equal(discover_projects(&tree_arena, tree_root, &paths, &folders, &why), 0);
    if (ret_why)
        *ret_why = why;
    else if (why.p)
        fail_msg(STR_FMT, STR_ARG(why));
    for (size_t i = 0; i < paths.n; i++) {
        str path = str_from(paths.v[i], tree_root.n);
        path = path.n > 0 ? str_from(path, 1) : STR(".");
        all = arena_printf(&tree_arena, STR_FMT "%s" STR_FMT, STR_ARG(all), i > 0 ? " " : "", STR_ARG(path));
    }
    return all;
}

int read_at(const char *path, found_project *p)
{
    str full = *path ? arena_printf(&tree_arena, STR_FMT "/%s", STR_ARG(tree_root), path) : tree_root;
    *p = (found_project){0};
    return discover_read(&tree_arena, tree_root, full, p);
}

found_project project_at(const char *path)
{
    found_project p;
    assert_int_equal(read_at(path, &p), 0);
    if (p.why.p)
        fail_msg(STR_FMT, STR_ARG(p.why));
    return p;
}

str artifacts_of(const found_project *p)
{
    str all = STR("");
    for (size_t i = 0; i < p->n; i++)
        all = arena_printf(&tree_arena, STR_FMT "%s" STR_FMT ":" STR_FMT, STR_ARG(all), i > 0 ? " " : "",
                           STR_ARG(p->artifacts[i].type), STR_ARG(p->artifacts[i].name));
    return all;
}

const found_artifact *artifact_named(const found_project *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->artifacts[i].name, str_c(name)))
            return &p->artifacts[i];
    fail_msg("no %s", name);
    return NULL;
}
