/* Looking for projects: a walk over folders that follows no link, and a quick look into each. */
#include "larder/discover.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout.h"

/* clang-format off */
static const str never_descended[] = { /* beside the profiles themselves */
    STR_INIT("node_modules"), STR_INIT(".git"),    STR_INIT("venv"),   STR_INIT(".venv"),  STR_INIT("__pycache__"),
    STR_INIT(".npm"),         STR_INIT(".cargo"),  STR_INIT(".rustup"), STR_INIT(".cache"), STR_INIT(".local"),
    STR_INIT("vendor"),       STR_INIT("dist"),    STR_INIT("build"),  STR_INIT(".next"),  STR_INIT(".nuxt"),
    STR_INIT("target"),       STR_INIT("Pods"),    STR_INIT(".gradle"),
};
/* clang-format on */

int root_open(arena *a, str root, str *ret_path, int *ret_fd)
{
    char canonical[PATH_MAX];
    char *given = arena_cstr(a, root);
    if (!given)
        return -ENOMEM;
    if (root.n == 0 || root.p[0] != '/' || memchr(root.p, '\0', root.n))
        return -ENOENT;
    if (!realpath(given, canonical))
        return -errno;
    str path = arena_dup(a, str_c(canonical));
    if (!path.p)
        return -ENOMEM;
    int fd = open(canonical, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    *ret_path = path;
    *ret_fd = fd;
    return 0;
}

static int compare_texts(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

/* ---- folders to watch ---- */
strs folders_in_order(str *v, size_t n)
{
    qsort(v, n, sizeof(*v), compare_texts);
    return (strs){v, n};
}

#define PROFILE_DEPTH 2 /* below a profile: layout, artifact */

/* Without links, and what cannot be read is left out. */
static int add_folders(arena *a, str path, unsigned depth, str *v, size_t *n)
{
    if (*n == DISCOVER_WATCHED_MAX)
        return 0;
    const int fd = open(path.p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int r = 0;

    if (!dir) {
        if (fd >= 0)
            (void)close(fd);
        return 0;
    }
    v[(*n)++] = path;
    for (struct dirent *e; r == 0 && depth < PROFILE_DEPTH && (e = readdir(dir));) {
        if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
            continue;
        const str below = arena_printf(a, STR_FMT "/%s", STR_ARG(path), e->d_name);
        r = below.p ? add_folders(a, below, depth + 1, v, n) : -ENOMEM;
    }
    (void)closedir(dir);
    return r;
}

int discover_folders_of(arena *a, str path, strs *ret_folders)
{
    str *v = arena_array(a, str, DISCOVER_WATCHED_MAX);
    size_t n = 0;
    int r = v ? 0 : -ENOMEM;

    if (r == 0)
        v[n++] = path; /* the first, even where it cannot be read: who watches tells it from the others by that */
    for (size_t i = 0; r == 0 && i < PROFILE_COUNT; i++) {
        const str profile = below_join(a, path, profile_names[i]);
        r = profile.p ? add_folders(a, profile, 0, v, &n) : -ENOMEM;
    }
    if (r == 0)
        *ret_folders = folders_in_order(v, n);
    return r;
}

bool discover_is_profile(str name)
{
    for (size_t i = 0; i < PROFILE_COUNT; i++)
        if (str_eq(name, profile_names[i]))
            return true;
    return false;
}

static bool is_passed_by(str name)
{
    for (size_t i = 0; i < COUNT_OF(never_descended); i++)
        if (str_eq(name, never_descended[i]))
            return true;
    return discover_is_profile(name);
}

bool discover_leads_on(str name)
{
    return discover_is_profile(name) || (!is_passed_by(name) && discover_notices(name));
}

/* ---- the walk ---- */

typedef struct walk {
    arena *arena;
    arena scratch; /* for one folder's profiles */
    str root;
    int fd;
    faults faults;
    texts projects;
    texts noticed[DISCOVER_DEPTH + 1]; /* folders to watch, by how deep they lie */
    size_t folders;
    bool has_profile; /* the folder that was looked at last */
} walk;

/* What could not be looked at is no reason to stop: 0. -ENOMEM. */
static int unless_fault(walk *w, const char *path, int r)
{
    return r < 0 && !below_is_absent(r) ? faults_add(&w->faults, str_c(path), r) : r > 0;
}

/* The kind of what is there, as an S_IF number; 0: nothing. -ENOMEM. */
static int mode_of(walk *w, const char *path)
{
    struct stat st = {0};
    int fd = below_open(w->fd, path, O_PATH);
    if (fd < 0)
        return unless_fault(w, path, fd);
    int r = fstat(fd, &st) < 0 ? unless_fault(w, path, -errno) : (int)(st.st_mode & S_IFMT);
    close(fd);
    return r;
}

/* 1 or 0; -ENOMEM. */
static int has_manifest(walk *w, str folder, str manifest)
{
    folder_entries entries = {0};
    int r = below_list(&w->scratch, w->fd, folder.p, &entries);
    for (size_t i = 0; i < entries.n; i++)
        if (entries.v[i].kind != ENTRY_FOLDER && str_eq_nocase(entries.v[i].name, manifest))
            return 1;
    return unless_fault(w, folder.p, r);
}

/* 1 or 0; -ENOMEM. */
static int is_artifact(walk *w, const layout *l, str folder, const folder_entry *e)
{
    str path = below_join(&w->scratch, folder, e->name);
    if (!path.p)
        return -ENOMEM;
    if (!layout_name(l, e).p)
        return 0;
    int mode = mode_of(w, path.p);
    if (mode == S_IFREG)
        return l->extension.p != NULL;
    if (mode != S_IFDIR || !l->may_be_folders)
        return mode < 0 ? mode : 0;
    return l->needs_manifest ? has_manifest(w, path, layout_manifest(l->type)) : 1;
}

/* 1 or 0; -ENOMEM. */
static int holds_artifact(walk *w, const layout *l, str profile)
{
    folder_entries entries = {0};
    str folder = below_join(&w->scratch, profile, l->folder);
    if (!folder.p)
        return -ENOMEM;
    int r = unless_fault(w, folder.p, below_list(&w->scratch, w->fd, folder.p, &entries));
    for (size_t i = 0; i < entries.n && r == 0; i++)
        r = is_artifact(w, l, folder, &entries.v[i]);
    return r;
}

/* 1 or 0; -ENOMEM. A profile that cannot be looked into may be one: reading it says why it can't. */
static int is_project(walk *w, str folder)
{
    int r = 0;
    w->has_profile = false;
    for (size_t i = 0; i < PROFILE_COUNT && r == 0; i++) {
        const size_t before = w->faults.n;
        str profile = below_join(&w->scratch, folder, profile_names[i]);
        str file = below_join(&w->scratch, profile, DEPLOYMENT_FILE);
        if (!profile.p || !file.p)
            return -ENOMEM;
        r = mode_of(w, profile.p);
        if (r != S_IFDIR) {
            r = r < 0 ? r : 0;
            continue;
        }
        w->has_profile = true;
        r = mode_of(w, file.p);
        r = r < 0 ? r : r == S_IFREG;
        for (size_t j = 0; j < LAYOUT_COUNT && r == 0; j++)
            r = holds_artifact(w, &layouts[j], profile);
        if (r == 0)
            r = w->faults.n > before;
    }
    return r;
}

static str absolute(walk *w, str folder)
{
    return str_eq(folder, STR(".")) ? w->root : below_join(w->arena, w->root, folder);
}

static int add_project(walk *w, str folder)
{
    if (w->projects.n == DISCOVER_PROJECTS_MAX)
        return faults_say(&w->faults, w->root, STR("too many projects"));
    return texts_add(w->arena, &w->projects, absolute(w, folder));
}

/* The folder itself, and what may make it a project. */
static int notice(walk *w, str folder, unsigned depth, bool is_project)
{
    strs more = {0};
    texts *t = &w->noticed[depth];
    int r = 0;
    if (t->n == DISCOVER_NOTICED_MAX)
        return 0;
    const str path = absolute(w, folder);
    r = texts_add(w->arena, t, path);
    if (r == 0 && w->has_profile && !is_project)
        r = discover_folders_of(w->arena, path, &more);
    t = &w->noticed[DISCOVER_DEPTH];
    for (size_t i = 1; i < more.n && r == 0 && t->n < DISCOVER_NOTICED_MAX; i++) /* behind itself */
        r = texts_add(w->arena, t, more.v[i]);
    return r;
}

static bool is_descended(const folder_entry *e)
{
    return e->kind == ENTRY_FOLDER && !is_passed_by(e->name);
}

static int look_at(walk *w, int fd, str folder, unsigned depth);

static int descend(walk *w, arena *names, int fd, str folder, const folder_entries *entries, unsigned depth)
{
    int r = 0;
    for (size_t i = 0; i < entries->n && r == 0; i++) {
        const folder_entry *e = &entries->v[i];
        if (!is_descended(e))
            continue;
        str inner = below_join(names, folder, e->name);
        if (!inner.p)
            return -ENOMEM;
        int inner_fd = openat(fd, e->name.p, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (inner_fd >= 0)
            r = look_at(w, inner_fd, inner, depth + 1);
        else if (!below_is_absent(-errno))
            r = faults_add(&w->faults, inner, -errno);
    }
    return r;
}

/* A folder and what is below it. Closes fd. */
static int look_at(walk *w, int fd, str folder, unsigned depth)
{
    folder_entries entries = {0};
    arena names;
    arena_init(&names, 0);
    int r = 0;
    if (++w->folders > DISCOVER_FOLDERS_MAX)
        r = w->folders == DISCOVER_FOLDERS_MAX + 1 ? faults_say(&w->faults, w->root, STR("too many folders")) : 0;
    else
        r = is_project(w, folder);
    arena_reset(&w->scratch);
    const bool is_one = r == 1;
    if (is_one)
        r = add_project(w, folder);
    if (r == 0 && w->folders <= DISCOVER_FOLDERS_MAX)
        r = notice(w, folder, depth, is_one);
    if (r == 0 && depth < DISCOVER_DEPTH && w->folders <= DISCOVER_FOLDERS_MAX) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        r = copy < 0 ? -errno : below_list_fd(&names, copy, &entries);
        r = r < 0 ? faults_add(&w->faults, folder, r) : faults_say_odd(&w->faults, folder, entries.odd_folders);
        if (r == 0)
            r = descend(w, &names, fd, folder, &entries, depth);
    }
    arena_done(&names);
    close(fd);
    return r;
}

static int all_noticed(walk *w, strs *ret_folders)
{
    size_t n = 0, all = 0;
    for (unsigned depth = 0; depth <= DISCOVER_DEPTH; depth++)
        all += w->noticed[depth].n;
    str *v = arena_array(w->arena, str, all);
    if (!v)
        return -ENOMEM;
    for (unsigned depth = 0; depth <= DISCOVER_DEPTH; depth++)
        for (size_t i = 0; i < w->noticed[depth].n && n < DISCOVER_NOTICED_MAX; i++)
            v[n++] = w->noticed[depth].v[i];
    *ret_folders = (strs){v, n};
    return 0;
}

int discover_projects(arena *a, str root, strs *ret_paths, strs *ret_folders, str *ret_why)
{
    strs folders = {0};
    walk w = {.arena = a, .faults = {.arena = a}};
    str why = STR_NULL;
    arena_init(&w.scratch, 0);
    int r = root_open(a, root, &w.root, &w.fd);
    if (r < 0) {
        r = faults_add(&w.faults, root, r);
    } else {
        int copy = fcntl(w.fd, F_DUPFD_CLOEXEC, 0);
        r = copy < 0 ? faults_add(&w.faults, root, -errno) : look_at(&w, copy, STR("."), 0);
        close(w.fd);
    }
    arena_done(&w.scratch);
    if (r == 0)
        r = faults_text(&w.faults, &why);
    if (r == 0)
        r = all_noticed(&w, &folders);
    if (r < 0)
        return r;
    if (w.projects.n > 0)
        qsort(w.projects.v, w.projects.n, sizeof(*w.projects.v), compare_texts);
    *ret_paths = (strs){w.projects.v, w.projects.n};
    *ret_folders = folders;
    *ret_why = why;
    return 0;
}
