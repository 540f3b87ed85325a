/* One project: what its layouts hold and what its deployment files say, put together. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "larder/artifact_type.h"
#include "larder/discover.h"
#include "larder/frontmatter.h"
#include "larder/repo_path.h"
#include "larder/toml.h"
#include "layout.h"

#define MANIFEST_MAX (4 * 1024 * 1024) /* bytes of a file that is read for its frontmatter */

typedef struct reading {
    arena *arena;
    int root;
    str root_path;
    str folder;   /* the project's, below the root */
    str *folders; /* room for DISCOVER_WATCHED_MAX */
    size_t n_folders;
    faults faults;
    found_artifact *v;
    size_t n, cap;
    bool is_project, misses_folders, misses_lineage;

    /* of the profile that is read */
    str profile; /* its name */
    deployed_record *records;
    bool *is_taken; /* the record speaks of an artifact that a layout has */
    size_t n_records;
} reading;

/* Paths are told as they are below the project's folder. */
static str shown(const reading *d, str path)
{
    return str_eq(d->folder, STR(".")) ? path : str_from(path, d->folder.n + 1);
}

static int add_folder(reading *d, str path)
{
    if (d->n_folders == DISCOVER_WATCHED_MAX)
        return 0;
    d->folders[d->n_folders] =
        str_eq(path, STR(".")) ? d->root_path : below_join(d->arena, d->root_path, path);
    return d->folders[d->n_folders++].p ? 0 : -ENOMEM;
}

bool discover_notices(str name)
{
    bool is_passing = str_ends(name, STR("~")) || str_ends(name, STR(".tmp")) || str_ends(name, STR(".swp")) ||
                      str_ends(name, STR(".swx")) || str_starts(name, STR(".#"));
    return !is_passing && !content_leaves_out(name);
}

/* ---- one artifact ---- */

static int add_artifact(reading *d, const found_artifact *f)
{
    if (d->n == DISCOVER_ARTIFACTS_MAX)
        return faults_say(&d->faults, d->profile, STR("too many artifacts"));
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 16;
        found_artifact *v = arena_array(d->arena, found_artifact, cap);
        if (!v)
            return -ENOMEM;
        if (d->n > 0)
            memcpy(v, d->v, d->n * sizeof(*v));
        d->v = v;
        d->cap = cap;
    }
    d->v[d->n++] = *f;
    return 0;
}

static int read_frontmatter(reading *d, str path, found_artifact *f)
{
    str text;
    frontmatter front;
    arena scratch;
    arena_init(&scratch, 0);
    int r = below_read(&scratch, d->root, path.p, MANIFEST_MAX, &text);
    if (r == 0)
        r = frontmatter_parse(d->arena, text, &front);
    arena_done(&scratch);
    if (r == 0) {
        f->version = front.version;
        f->description = front.description;
        f->tags = front.tags;
    }
    if (r == 0 || below_is_absent(r)) /* the file has none, or has just gone, or is a link that leads out */
        return 0;
    return faults_add(&d->faults, shown(d, path), r);
}

static void use_record(const deployed_record *r, found_artifact *f)
{
    f->source = r->source;
    f->deployed_hash = r->content_hash;
    if (!f->version.p)
        f->version = r->version;
}

static bool fits(const layout *l, const content *c)
{
    if (!c->is_folder)
        return l->extension.p != NULL;
    return l->may_be_folders && (c->manifest.p || !l->needs_manifest);
}

/* `path` below the profile; `l` NULL: any kind of content will do. */
static int read_artifact(reading *d, const layout *l, str type, str name, str path, const deployed_record *record)
{
    content c = {0};
    str culprit = STR_NULL, profile = below_join(d->arena, d->folder, d->profile);
    str full = below_join(d->arena, profile, path);
    if (!profile.p || !full.p)
        return -ENOMEM;
    int r = content_read(d->arena, d->root, full, layout_manifest(type), &c, &culprit);
    if (r == -ENOMEM)
        return r;
    if (r == -EINVAL || below_is_absent(r) || (r == 0 && l && !fits(l, &c)))
        return 0;

    found_artifact f = {.name = name, .type = type, .path = shown(d, full)};
    if (r < 0)
        r = faults_add(&d->faults, shown(d, culprit.p ? culprit : full), r);
    else if (!(f.content_hash = arena_dup(d->arena, str_of(c.hash, sizeof(c.hash)))).p)
        r = -ENOMEM;
    if (r == 0 && c.is_folder)
        r = add_folder(d, full);
    if (r == 0 && c.manifest.p)
        r = read_frontmatter(d, c.manifest, &f);
    if (r < 0)
        return r;
    if (record)
        use_record(record, &f);
    d->is_project = true;
    return add_artifact(d, &f);
}

/* ---- a profile ---- */

/* The record that names its path, or that has no path and names it; NULL: none. */
static const deployed_record *take_record(reading *d, str type, str name, str path)
{
    for (size_t i = 0; i < d->n_records; i++) {
        const deployed_record *r = &d->records[i];
        if (!d->is_taken[i] && str_eq(r->artifact_type, type) &&
            (r->artifact_path.p ? str_eq(r->artifact_path, path) : str_eq(r->artifact_name, name))) {
            d->is_taken[i] = true;
            return r;
        }
    }
    return NULL;
}

static int read_layout(reading *d, const layout *l)
{
    folder_entries entries = {0};
    str profile = below_join(d->arena, d->folder, d->profile), folder = below_join(d->arena, profile, l->folder);
    if (!profile.p || !folder.p)
        return -ENOMEM;
    int r = below_list(d->arena, d->root, folder.p, &entries);
    if (below_is_absent(r))
        return 0;
    d->misses_folders |= r < 0;
    if (r < 0)
        return faults_add(&d->faults, shown(d, folder), r);
    r = faults_say_odd(&d->faults, shown(d, folder), entries.odd);
    if (r == 0)
        r = add_folder(d, folder);
    for (size_t i = 0; i < entries.n && r == 0; i++) {
        str name = layout_name(l, &entries.v[i]), path = below_join(d->arena, l->folder, entries.v[i].name);
        if (!path.p)
            return -ENOMEM;
        if (name.p)
            r = read_artifact(d, l, l->type, name, path, take_record(d, l->type, name, path));
    }
    return r;
}

/* What the deployment file names and no layout has. */
static int read_others(reading *d)
{
    int r = 0;
    for (size_t i = 0; i < d->n_records && r == 0; i++) {
        const deployed_record *x = &d->records[i];
        if (x->artifact_path.p && !d->is_taken[i])
            r = read_artifact(d, NULL, x->artifact_type, x->artifact_name, x->artifact_path, x);
    }
    return r;
}

/* The text of a file of the profile; null where there is none, or it could not be read. */
static int read_profile_file(reading *d, str name, str *ret_path, str *ret_text)
{
    str profile = below_join(d->arena, d->folder, d->profile), path = below_join(d->arena, profile, name);
    *ret_text = STR_NULL;
    if (!profile.p || !path.p)
        return -ENOMEM;
    *ret_path = shown(d, path);
    int r = below_read(d->arena, d->root, path.p, TOML_MAX, ret_text);
    if (r == -EINVAL)
        return faults_say(&d->faults, *ret_path, STR("not a file"));
    return r == 0 || below_is_absent(r) ? 0 : faults_add(&d->faults, *ret_path, r);
}

/* -EINVAL and -EFBIG are faults of the file. */
static int check_parsed(reading *d, str path, int r, str why)
{
    if (r == -EINVAL)
        return faults_say(&d->faults, path, why);
    return r < 0 ? faults_add(&d->faults, path, r) : 0;
}

static int read_deployment(reading *d)
{
    str text, path, why = STR_NULL;
    d->n_records = 0;
    const size_t before = d->faults.n;
    int r = read_profile_file(d, DEPLOYMENT_FILE, &path, &text);
    d->misses_lineage |= d->faults.n > before;
    if (r < 0 || !text.p)
        return r;
    d->is_project = true;
    r = deployment_parse(d->arena, text, &d->records, &d->n_records, &why);
    d->misses_lineage |= r < 0;
    r = check_parsed(d, path, r, why);
    d->is_taken = arena_array(d->arena, bool, d->n_records);
    return d->is_taken ? r : -ENOMEM;
}

static int read_name(reading *d, found_project *p)
{
    str text, path, why = STR_NULL;
    int r = p->name.p ? 0 : read_profile_file(d, PROJECT_FILE, &path, &text);
    if (r < 0 || p->name.p || !text.p)
        return r;
    r = project_file_name(d->arena, text, &p->name, &why);
    return r == -ENOENT ? 0 : check_parsed(d, path, r, why);
}

static int read_profile(reading *d, str profile, found_project *p)
{
    d->profile = profile;
    int r = read_deployment(d);
    if (r == 0)
        r = read_name(d, p);
    for (size_t i = 0; i < LAYOUT_COUNT && r == 0; i++)
        r = read_layout(d, &layouts[i]);
    return r < 0 ? r : read_others(d);
}

static int read_profiles(reading *d, found_project *p)
{
    int r = 0;
    for (size_t i = 0; i < PROFILE_COUNT && r == 0; i++) {
        str profile = below_join(d->arena, d->folder, profile_names[i]);
        if (!profile.p)
            return -ENOMEM;
        int fd = below_open(d->root, profile.p, O_RDONLY | O_DIRECTORY);
        if (fd >= 0) {
            close(fd);
            r = add_folder(d, profile);
            if (r == 0)
                r = read_profile(d, profile_names[i], p);
        } else if (!below_is_absent(fd)) {
            d->misses_folders = true;
            r = faults_add(&d->faults, profile_names[i], fd);
        }
    }
    return r;
}

/* ---- the project ---- */

/* Of two with the same name the one that was found first comes first. */
static int compare_artifacts(const void *x, const void *y)
{
    const found_artifact *a = *(found_artifact *const *)x, *b = *(found_artifact *const *)y;
    int r = str_cmp(a->type, b->type);
    if (r == 0)
        r = str_cmp(a->name, b->name);
    return r != 0 ? r : (a > b) - (a < b);
}

/* By type and name, each once. */
static int put_in_order(const reading *d, found_project *p)
{
    found_artifact **order = arena_array(d->arena, found_artifact *, d->n);
    found_artifact *v = arena_array(d->arena, found_artifact, d->n);
    if (!order || !v)
        return -ENOMEM;
    for (size_t i = 0; i < d->n; i++)
        order[i] = &d->v[i];
    if (d->n > 0)
        qsort(order, d->n, sizeof(*order), compare_artifacts);
    size_t n = 0;
    for (size_t i = 0; i < d->n; i++)
        if (n == 0 || !str_eq(v[n - 1].type, order[i]->type) || !str_eq(v[n - 1].name, order[i]->name))
            v[n++] = *order[i];
    p->artifacts = v;
    p->n = n;
    return 0;
}

/* Where `path` lies below `root`; null: it doesn't. */
static str below_root(str root, str path)
{
    if (str_eq(path, root))
        return STR(".");
    if (!str_starts(path, root))
        return STR_NULL;
    str rest = str_from(path, root.n);
    if (!str_ends(root, STR("/"))) {
        if (rest.p[0] != '/')
            return STR_NULL;
        rest = str_from(rest, 1);
    }
    return repo_path_check(rest) == REPO_PATH_OK ? rest : STR_NULL;
}

static int read_project(reading *d, found_project *p)
{
    int fd = below_open(d->root, d->folder.p, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        return below_is_absent(fd) ? -ENOENT : fd;
    close(fd);
    d->folders = arena_array(d->arena, str, DISCOVER_WATCHED_MAX);
    int r = d->folders ? add_folder(d, d->folder) : -ENOMEM;
    if (r == 0)
        r = read_profiles(d, p);
    if (r == 0 && !d->is_project && d->faults.n == 0)
        r = -ENOENT;
    if (r == 0 && !p->name.p) {
        p->name = str_behind_last(p->path, '/');
        p->name = p->name.n > 0 ? p->name : p->path;
    }
    if (r == 0)
        r = put_in_order(d, p);
    if (r == 0)
        p->folders = folders_in_order(d->folders, d->n_folders);
    p->misses_folders = d->misses_folders;
    p->misses_lineage = d->misses_lineage;
    return r < 0 ? r : faults_text(&d->faults, &p->why);
}

int discover_read(arena *a, str root, str path, found_project *ret_project)
{
    reading d = {.arena = a, .faults = {.arena = a}};
    int r = root_open(a, root, &d.root_path, &d.root);
    if (r < 0)
        return below_is_absent(r) ? -ENOENT : r;
    found_project p = {.path = arena_dup(a, path)};
    d.folder = below_root(d.root_path, p.path);
    if (!p.path.p)
        r = -ENOMEM;
    else
        r = d.folder.p ? read_project(&d, &p) : -ENOENT;
    close(d.root);
    if (r == 0)
        *ret_project = p;
    return r;
}
