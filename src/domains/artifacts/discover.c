/* Looking for projects: a walk over folders that follows no link, and a quick look into each. */
#include "larder/discover.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder/artifact_type.h"
#include "layout.h"

/* clang-format off */
const str profile_names[PROFILE_COUNT] = {
    STR_INIT(".claude"), STR_INIT(".codex"), STR_INIT(".gemini"), STR_INIT(".cursor"),
};

const layout layouts[LAYOUT_COUNT] = {
    {STR_INIT("agents"),   STR_INIT("agent"),   .extension = STR_INIT(".md")},
    {STR_INIT("commands"), STR_INIT("command"), .extension = STR_INIT(".md")},
    {STR_INIT("hooks"),    STR_INIT("hook"),    .extension = STR_INIT(""), .may_be_folders = true},
    {STR_INIT("mcp"),      STR_INIT("mcp"),     .extension = STR_INIT(""), .may_be_folders = true},
    {STR_INIT("skills"),   STR_INIT("skill"),   .may_be_folders = true, .needs_manifest = true},
};

static const str never_descended[] = {
    STR_INIT("node_modules"), STR_INIT(".git"),    STR_INIT("venv"),   STR_INIT(".venv"),  STR_INIT("__pycache__"),
    STR_INIT(".npm"),         STR_INIT(".cargo"),  STR_INIT(".rustup"), STR_INIT(".cache"), STR_INIT(".local"),
    STR_INIT("vendor"),       STR_INIT("dist"),    STR_INIT("build"),  STR_INIT(".next"),  STR_INIT(".nuxt"),
    STR_INIT("target"),       STR_INIT("Pods"),    STR_INIT(".gradle"),
    STR_INIT(".claude"),      STR_INIT(".codex"),  STR_INIT(".gemini"), STR_INIT(".cursor"),
};

/* Texts about a folder, not artifacts. */
static const str no_artifacts[] = {
    STR_INIT("readme.md"), STR_INIT("changelog.md"), STR_INIT("license.md"), STR_INIT("contributing.md"),
};
/* clang-format on */

/* ---- layouts ---- */

str layout_name(const layout *l, const folder_entry *e)
{
    str name = e->name;
    if (name.p[0] == '.' || (e->kind == ENTRY_FOLDER && !l->may_be_folders) ||
        (e->kind == ENTRY_FILE && !l->extension.p))
        return STR_NULL;
    for (size_t i = 0; i < COUNT_OF(no_artifacts); i++)
        if (str_eq_nocase(name, no_artifacts[i]))
            return STR_NULL;
    if (e->kind == ENTRY_FOLDER || !l->extension.p)
        return name;
    if (l->extension.n == 0) {
        ptrdiff_t dot = str_rchr(name, '.');
        return dot > 0 ? str_head(name, (size_t)dot) : name;
    }
    return name.n > l->extension.n && str_ends(name, l->extension) ? str_head(name, name.n - l->extension.n) : STR_NULL;
}

str layout_manifest(str type)
{
    static const struct {
        str type, manifest;
    } manifests[] = {
        {STR_INIT("agent"), STR_INIT("AGENT.md")}, {STR_INIT("command"), STR_INIT("COMMAND.md")},
        {STR_INIT("hook"), STR_INIT("HOOK.md")},   {STR_INIT("mcp"), STR_INIT("MCP.md")},
        {STR_INIT("skill"), STR_INIT("SKILL.md")},
    };
    for (size_t i = 0; i < COUNT_OF(manifests); i++)
        if (str_eq(type, manifests[i].type))
            return manifests[i].manifest;
    return STR("README.md");
}

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

/* ---- the walk ---- */

typedef struct walk {
    arena *arena;
    arena scratch; /* for one folder's profiles */
    str root;
    int fd;
    faults faults;
    str *v;
    size_t n, cap;
    size_t folders;
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
        r = mode_of(w, file.p);
        r = r < 0 ? r : r == S_IFREG;
        for (size_t j = 0; j < LAYOUT_COUNT && r == 0; j++)
            r = holds_artifact(w, &layouts[j], profile);
        if (r == 0)
            r = w->faults.n > before;
    }
    return r;
}

static int add_project(walk *w, str folder)
{
    if (w->n == DISCOVER_PROJECTS_MAX)
        return faults_say(&w->faults, w->root, STR("too many projects"));
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 64;
        str *v = arena_array(w->arena, str, cap);
        if (!v)
            return -ENOMEM;
        if (w->n > 0)
            memcpy(v, w->v, w->n * sizeof(*v));
        w->v = v;
        w->cap = cap;
    }
    str path = str_eq(folder, STR(".")) ? w->root : below_join(w->arena, w->root, folder);
    if (!path.p)
        return -ENOMEM;
    w->v[w->n++] = path;
    return 0;
}

static bool is_descended(const folder_entry *e)
{
    for (size_t i = 0; i < COUNT_OF(never_descended); i++)
        if (str_eq(e->name, never_descended[i]))
            return false;
    return e->kind == ENTRY_FOLDER;
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
    if (r == 1)
        r = add_project(w, folder);
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

static int compare_texts(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

int discover_projects(arena *a, str root, strs *ret_paths, str *ret_why)
{
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
    if (r < 0)
        return r;
    if (w.n > 0)
        qsort(w.v, w.n, sizeof(*w.v), compare_texts);
    *ret_paths = (strs){w.v ? w.v : &w.root, w.n};
    *ret_why = why;
    return 0;
}
