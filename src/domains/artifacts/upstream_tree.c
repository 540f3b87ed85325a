/* What a commit's tree says of the paths of a place: which of them are there, their contents' hashes, and which files
 * would tell their versions. On a worker. */
#include <stdlib.h>

#include "larder/hash.h"
#include "larder/repo_path.h"
#include "layout.h"
#include "question.h"

typedef struct listing {
    const github_file **files; /* blobs and links, in the order of the lines "path:blob" */
    size_t n;
} listing;

static int compare_files(const void *x, const void *y)
{
    const github_file *const *a = x, *const *b = y;

    return repo_path_cmp_ended((*a)->path, ':', (*b)->path, ':');
}

static int make_listing(arena *a, const github_tree *tree, listing *ret)
{
    *ret = (listing){.files = arena_array(a, const github_file *, tree->n)};
    if (!ret->files)
        return -ENOMEM;
    for (size_t i = 0; i < tree->n; i++)
        if (tree->files[i].kind == GITHUB_BLOB || tree->files[i].kind == GITHUB_SYMLINK)
            ret->files[ret->n++] = &tree->files[i];
    qsort(ret->files, ret->n, sizeof(*ret->files), compare_files);
    return 0;
}

/* The first file that does not come before `path` with that character behind it: ':' for a file's own, '/' for those of
 * a folder. */
static size_t lower_bound(const listing *l, str path, char end)
{
    size_t lo = 0, hi = l->n;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (repo_path_cmp_ended(l->files[mid]->path, ':', path, end) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* What says of a folder which version it is, the best first. */
static const str MANIFESTS[] = {STR_INIT("skill.md"),      STR_INIT("command.md"), STR_INIT("agent.md"),
                                STR_INIT("hook.md"),       STR_INIT("mcp.md"),     STR_INIT("plugin.json"),
                                STR_INIT("composite.json")};

static unsigned manifest_rank(str name)
{
    for (unsigned i = 0; i < COUNT_OF(MANIFESTS); i++)
        if (str_eq_nocase(name, MANIFESTS[i]))
            return COUNT_OF(MANIFESTS) - i;
    return 0;
}

/* The catalogue's hash: SHA-256 over the lines "relative path:git's name", sorted, joined by newlines. */
static void add_line(sha *s, const github_file *f, size_t from, bool is_first)
{
    if (!is_first)
        sha256_add(s, "\n", 1);
    sha256_add(s, f->path.p + from, f->path.n - from);
    sha256_add(s, ":", 1);
    sha256_add(s, f->sha, sizeof(f->sha));
}

static int end_hash(arena *a, sha *s, str *ret_hash)
{
    uint8_t digest[SHA256_LEN];
    char *hex = arena_alloc(a, HEX_LEN(SHA256_LEN));

    sha256_end(s, digest);
    if (!hex)
        return -ENOMEM;
    hex_encode(digest, sizeof(digest), hex);
    *ret_hash = str_of(hex, HEX_LEN(SHA256_LEN));
    return 0;
}

static int describe_file(question *q, asked_path *p, const github_file *f)
{
    const ptrdiff_t slash = str_rchr(f->path, '/');
    sha s;

    sha256_init(&s);
    add_line(&s, f, slash < 0 ? 0 : (size_t)slash + 1, true);
    p->now.is_there = true;
    p->manifest = str_ends_nocase(f->path, STR(".md")) ? f->path : STR_NULL;
    return end_hash(&q->arena, &s, &p->now.content_hash);
}

static int describe_folder(question *q, asked_path *p, const listing *l)
{
    const str folder = p->path;
    const size_t within = folder.n ? folder.n + 1 : 0; /* where paths go on in it */
    const size_t first = folder.n ? lower_bound(l, folder, '/') : 0;
    unsigned best = 0;
    sha s;
    size_t i = first;

    sha256_init(&s);
    for (; i < l->n && repo_path_is_below(l->files[i]->path, folder); i++) {
        const unsigned rank = manifest_rank(str_from(l->files[i]->path, within));
        add_line(&s, l->files[i], within, i == first);
        if (rank > best) {
            best = rank;
            p->manifest = l->files[i]->path;
        }
    }
    p->now.is_there = i > first;
    return p->now.is_there ? end_hash(&q->arena, &s, &p->now.content_hash) : 0;
}

/* A path is a folder's or a file's; a command's may stand without its ".md". */
static int describe(question *q, asked_path *p, const listing *l)
{
    const str with_md = arena_printf(&q->arena, STR_FMT ".md", STR_ARG(p->path));
    const str files[] = {p->path, with_md};

    if (!with_md.p)
        return -ENOMEM;
    for (size_t i = 0; p->path.n && i < COUNT_OF(files); i++) {
        const size_t at = lower_bound(l, files[i], ':');
        if (at < l->n && str_eq(l->files[at]->path, files[i]))
            return describe_file(q, p, l->files[at]);
    }
    return describe_folder(q, p, l);
}

/* ---- what is not there ----
 * A Bloom filter over the paths of all files and folders: what it does not have the tree doesn't have either. */
#define FILTER_BITS 10 /* for each path: one in 120 that are not there seems to be */
#define FILTER_HASHES 7
#define FILTER_MAX (16u << 10) /* bytes; a larger tree has none */

static size_t filter_bit(uint64_t hash, unsigned i, size_t n)
{
    return (size_t)((hash + i * (hash >> 32 | 1)) % (n * 8));
}

static void filter_add(char *filter, size_t n, str path)
{
    const uint64_t hash = hash64(path.p, path.n);

    for (unsigned i = 0; i < FILTER_HASHES; i++) {
        const size_t bit = filter_bit(hash, i, n);
        filter[bit / 8] = (char)(filter[bit / 8] | 1 << bit % 8);
    }
}

static bool filter_has(str filter, str path)
{
    const uint64_t hash = hash64(path.p, path.n);
    bool has = true;

    for (unsigned i = 0; has && i < FILTER_HASHES; i++) {
        const size_t bit = filter_bit(hash, i, filter.n);
        has = filter.p[bit / 8] >> bit % 8 & 1;
    }
    return has;
}

/* How many bytes of b a has at its beginning, up to the end of a folder. */
static size_t shared_folders(str a, str b)
{
    size_t shared = 0;

    for (size_t i = 0; i < a.n && i < b.n && a.p[i] == b.p[i]; i++)
        if (a.p[i] == '/')
            shared = i + 1;
    return shared;
}

/* The paths of all files and of their folders, about once each, into the filter; where it is NULL they are counted. */
static size_t each_path(const listing *l, char *filter, size_t bytes)
{
    str before = STR("");
    size_t n = 0;

    for (size_t i = 0; i < l->n; i++) {
        const str path = l->files[i]->path;
        for (size_t at = shared_folders(before, path); at <= path.n; at++) {
            if (at < path.n && path.p[at] != '/')
                continue;
            n++;
            if (filter)
                filter_add(filter, bytes, str_head(path, at));
        }
        before = path;
    }
    return n;
}

static int make_filter(question *q, const listing *l)
{
    const size_t bytes = each_path(l, NULL, 0) * FILTER_BITS / 8 + 8;

    q->place.paths = STR_NULL;
    q->place_changed = true;
    if (bytes > FILTER_MAX || q->tree.tree.truncated)
        return 0;
    char *filter = arena_array(&q->arena, char, bytes);
    if (!filter)
        return -ENOMEM;
    (void)each_path(l, filter, bytes);
    q->place.paths = str_of(filter, bytes);
    return 0;
}

bool question_tree_lacks(const question *q, str path)
{
    char with_md[REPO_PATH_MAX + 3];

    if (!q->place.paths.n || path.n == 0 || path.n > REPO_PATH_MAX)
        return false;
    memcpy(with_md, path.p, path.n);
    memcpy(with_md + path.n, ".md", 3);
    return !filter_has(q->place.paths, path) && !filter_has(q->place.paths, str_of(with_md, path.n + 3));
}

/* ---- what else looks like an artifact ----
 * Other projects are likely to have other artifacts of this repository: who names them next finds them known. Only what
 * costs nothing more is learnt of them, so it does not matter that this is a guess. */
#define SEEN_DEPTH 8 /* path segments: each file is hashed once for each such folder above it */

static bool is_layout(str folder)
{
    for (size_t i = 0; i < LAYOUT_COUNT; i++)
        if (str_eq_nocase(folder, layouts[i].folder))
            return true;
    return false;
}

/* A loose one is called with its extension and without it. */
static int add_file(arena *a, texts *t, str path)
{
    static const str MD = STR_INIT(".md");
    const int r = texts_add(a, t, path);

    return r == 0 && str_ends_nocase(path, MD) ? texts_add(a, t, str_head(path, path.n - MD.n)) : r;
}

/* A folder with a manifest; what lies in a folder of a layout (skills/pdf, hooks/run.sh); Markdown anywhere below one
 * (commands/git/commit.md). */
static int guess(arena *a, texts *t, str path)
{
    bool is_below = false, was_layout = false;
    size_t depth = 0;
    str rest = path, segment;
    int r = 0;

    if (repo_path_check(path) != REPO_PATH_OK)
        return 0;
    while (r == 0 && str_cut(&rest, '/', &segment) && depth++ < SEEN_DEPTH) {
        const str so_far = str_head(path, (size_t)(segment.p - path.p) + segment.n);
        const bool is_file = so_far.n == path.n;
        if (is_file && depth > 1 && manifest_rank(segment) > 0)
            r = texts_add(a, t, str_head(path, (size_t)(segment.p - path.p) - 1));
        else if (is_file && (was_layout || (is_below && str_ends_nocase(segment, STR(".md")))))
            r = add_file(a, t, path);
        else if (!is_file && was_layout)
            r = texts_add(a, t, so_far);
        was_layout = is_layout(segment);
        is_below |= was_layout;
    }
    return r;
}

static int compare_paths(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

/* Of those, the ones that are neither asked for nor known, behind the others. */
static int add_seen(question *q, const listing *l)
{
    const size_t n_old = q->n_paths;
    texts t = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < l->n; i++)
        r = guess(&q->arena, &t, l->files[i]->path);
    if (r < 0 || t.n == 0)
        return r;
    qsort(t.v, t.n, sizeof(*t.v), compare_paths);
    asked_path *all = arena_array(&q->arena, asked_path, n_old + t.n);
    if (!all)
        return -ENOMEM;
    memcpy(all, q->paths, n_old * sizeof(*all));
    for (size_t i = 0; i < t.n && q->n_paths < QUESTION_SEEN_MAX; i++)
        if ((i == 0 || !str_eq(t.v[i], t.v[i - 1])) && !question_find_path(q, n_old, t.v[i]))
            all[q->n_paths++] = (asked_path){.path = t.v[i]};
    q->paths = all;
    return 0;
}

/* ---- what is news, and which manifests say its version ---- */
static int compare_manifests(const void *x, const void *y)
{
    return str_cmp((*(asked_path *const *)x)->manifest, (*(asked_path *const *)y)->manifest);
}

bool question_is_asked_for(const asked_path *p)
{
    return p->is_wanted || p->was.asked_for;
}

/* Same content, same version: only the others are looked for in the archive. */
static void keep_version(asked_path *p)
{
    if (p->was.is_there && p->now.content_hash.p && str_eq(p->was.content_hash, p->now.content_hash)) {
        p->now.version = p->was.version;
        p->manifest = STR_NULL;
    }
}

/* The archive is read for what somebody asks for. The others take part in it, or remain what they were. */
static int note_manifests(question *q)
{
    q->by_manifest = arena_array(&q->arena, asked_path *, q->n_paths);
    q->n_manifests = q->n_needed = 0;
    if (!q->by_manifest)
        return -ENOMEM;
    for (size_t i = 0; i < q->n_paths; i++) {
        const asked_path *p = &q->paths[i];
        q->n_needed += p->is_to_be_written && p->manifest.p && question_is_asked_for(p);
    }
    for (size_t i = 0; i < q->n_paths; i++) {
        asked_path *p = &q->paths[i];
        p->is_to_be_written = p->is_to_be_written && (q->n_needed > 0 || !p->manifest.p);
        if (p->is_to_be_written && p->manifest.p)
            q->by_manifest[q->n_manifests++] = p;
        else if (p->is_to_be_written)
            question_fall_back(q, p);
    }
    qsort(q->by_manifest, q->n_manifests, sizeof(*q->by_manifest), compare_manifests);
    return 0;
}

static int describe_news(question *q, const listing *l)
{
    for (size_t i = 0; i < q->n_paths; i++) {
        asked_path *p = &q->paths[i];
        p->manifest = STR_NULL;
        p->is_to_be_written = true;
        if (p->was.path.p && str_eq(p->was.sha, q->place.sha)) {
            p->now = p->was;
            p->is_to_be_written = question_notes(q, p);
            continue;
        }
        p->now = (known){.path = p->path, .sha = q->place.sha};
        const int r = describe(q, p, l);
        if (r < 0)
            return r;
        if (q->tree.tree.truncated) { /* nobody can say what is missing: it is taken to be there, without a hash */
            p->now.content_hash = STR_NULL;
            p->now.is_there = true;
        }
        keep_version(p);
    }
    return 0;
}

void question_compare_work(job *j)
{
    question *q = CONTAINER_OF(j, question, job);
    listing l;
    int r = question_gather(q);

    if (r == 0)
        r = make_listing(&q->arena, &q->tree.tree, &l);
    if (r == 0)
        r = make_filter(q, &l);
    if (r == 0 && !q->tree.tree.truncated)
        r = add_seen(q, &l);
    if (r == 0)
        r = describe_news(q, &l);
    q->work_status = r == 0 ? note_manifests(q) : r;
}
