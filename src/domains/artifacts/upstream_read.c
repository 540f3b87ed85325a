/* The worker's part of a question: what is known of the place, what the tree says of the paths, and the versions in the
 * archive's manifests. */
#include <stdlib.h>

#include "larder/frontmatter.h"
#include "larder/hash.h"
#include "larder/projects.h"
#include "larder/record.h"
#include "larder/repo_path.h"
#include "question.h"

#define CONTENT_MAX (FRONTMATTER_MAX + 1024) /* of a manifest: its beginning */
#define SHORT_SHA 7

/* ---- what is known ---- */
static int compare_asked(const void *x, const void *y)
{
    return str_cmp(((const asked_path *)x)->path, ((const asked_path *)y)->path);
}

static asked_path *find_path(question *q, size_t n, str path)
{
    const asked_path key = {.path = path};

    return n ? bsearch(&key, q->paths, n, sizeof(key), compare_asked) : NULL;
}

static int decode_known(question *q, str value, known *ret)
{
    known k = {0};
    const int r = record_decode(&known_schema, &q->arena, value, &k);

    if (r < 0)
        return r;
    if (!arena_own(&q->arena, &k.path) || !arena_own(&q->arena, &k.sha) || !arena_own(&q->arena, &k.version) ||
        !arena_own(&q->arena, &k.content_hash))
        return -ENOMEM;
    *ret = k;
    return 0;
}

/* Those asked for are in q->paths, with room for `room`; those that are only known come behind them. */
static int look_at_known(question *q, store_view *v, size_t room)
{
    const upstream_key prefix = known_prefix(q->name);
    const size_t wanted = q->n_paths;
    store_cursor *c;
    store_item item;
    int r = store_walk(v, &upstream_ks, STORE_BY_KEY, str_of(prefix.bytes, prefix.n), STR_NULL, false, &c);

    if (r < 0)
        return r;
    while (r == 0 && q->n_paths < room && store_next(c, &item)) {
        known k = {0};
        r = decode_known(q, item.value, &k);
        asked_path *p = r == 0 ? find_path(q, wanted, k.path) : NULL;
        if (p) {
            p->was = k;
            continue;
        }
        p = &q->paths[q->n_paths];
        if (r == 0)
            *p = (asked_path){.path = k.path, .was = k};
        q->n_paths += r == 0;
    }
    r = r == 0 ? store_cursor_error(c) : r;
    store_cursor_end(c);
    return r;
}

static int copy_place(question *q, const place *p)
{
    place c = *p;

    if (!arena_own(&q->arena, &c.name) || !arena_own(&q->arena, &c.asked_as) || !arena_own(&q->arena, &c.etag) ||
        !arena_own(&q->arena, &c.sha) || !arena_own(&q->arena, &c.tree_sha) || !arena_own(&q->arena, &c.branch))
        return -ENOMEM;
    q->place = c;
    return 0;
}

static size_t count_known(store_view *v, const question *q)
{
    const upstream_key prefix = known_prefix(q->name);
    store_cursor *c;
    store_item item;
    size_t n = 0;

    if (store_walk(v, &upstream_ks, STORE_BY_KEY, str_of(prefix.bytes, prefix.n), STR_NULL, false, &c) < 0)
        return 0;
    while (n < QUESTION_PATHS_MAX && store_next(c, &item))
        n++;
    store_cursor_end(c);
    return n;
}

static int look(question *q, store_view *v)
{
    place stored = {0};
    int r = place_load(v, &q->arena, q->name, &stored);

    if (r == 0)
        r = copy_place(q, &stored);
    else if (r == -ENOENT)
        r = 0;
    if (r < 0)
        return r;
    const size_t room = q->n_paths + count_known(v, q);
    asked_path *all = arena_array(&q->arena, asked_path, room);
    if (!all)
        return -ENOMEM;
    size_t n = 0;
    qsort(q->paths, q->n_paths, sizeof(*q->paths), compare_asked);
    for (size_t i = 0; i < q->n_paths; i++)
        if (n == 0 || !str_eq(all[n - 1].path, q->paths[i].path))
            all[n++] = q->paths[i];
    q->paths = all;
    q->n_paths = n;
    r = look_at_known(q, v, room);
    qsort(q->paths, q->n_paths, sizeof(*q->paths), compare_asked);
    return r;
}

void question_look_work(job *j)
{
    question *q = CONTAINER_OF(j, question, job);
    store_view *v;

    q->work_status = store_read_begin_job(q->owner->store, &v);
    if (q->work_status < 0)
        return;
    q->work_status = look(q, v);
    store_read_end(v);
}

/* ---- versions ---- */
/* A version in the source that is no commit and no branch. */
static bool is_tag(str ref)
{
    semver v;

    return semver_parse(ref, &v) == 0 || str_chr(ref, '.') >= 0 ||
           (ref.n > 1 && ref.p[0] == 'v' && ref.p[1] >= '0' && ref.p[1] <= '9');
}

void question_fall_back(question *q)
{
    for (size_t i = 0; i < q->n_paths; i++) {
        known *k = &q->paths[i].now;
        if (q->paths[i].is_news && k->is_there && !k->version.p)
            k->version = is_tag(q->ref) ? q->ref : str_head(q->place.sha, SHORT_SHA);
    }
}

/* ---- the tree ---- */
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

static int compare_manifests(const void *x, const void *y)
{
    return str_cmp((*(asked_path *const *)x)->manifest, (*(asked_path *const *)y)->manifest);
}

/* Same content, same version: only the others are looked for in the archive. */
static int note_manifests(question *q)
{
    q->by_manifest = arena_array(&q->arena, asked_path *, q->n_paths);
    q->n_manifests = 0;
    if (!q->by_manifest)
        return -ENOMEM;
    for (size_t i = 0; i < q->n_paths; i++) {
        asked_path *p = &q->paths[i];
        if (p->is_news && p->was.path.p && p->was.is_there && str_eq(p->was.content_hash, p->now.content_hash)) {
            p->now.version = p->was.version;
            p->manifest = STR_NULL;
        }
        if (p->is_news && p->manifest.p)
            q->by_manifest[q->n_manifests++] = p;
    }
    qsort(q->by_manifest, q->n_manifests, sizeof(*q->by_manifest), compare_manifests);
    return 0;
}

/* Of a listing that was cut nobody can say what is missing: the path is taken to be there, without a hash. */
static void believe(asked_path *p)
{
    p->now.is_there = true;
}

void question_compare_work(job *j)
{
    question *q = CONTAINER_OF(j, question, job);
    listing l;
    int r = make_listing(&q->arena, &q->tree.tree, &l);

    for (size_t i = 0; r == 0 && i < q->n_paths; i++) {
        asked_path *p = &q->paths[i];
        if (!p->is_news)
            continue;
        p->manifest = STR_NULL;
        p->now = (known){.path = p->path, .sha = q->place.sha};
        r = describe(q, p, &l);
        if (q->tree.tree.truncated) {
            p->now.content_hash = STR_NULL;
            believe(p);
        }
    }
    q->work_status = r == 0 ? note_manifests(q) : r;
}

/* ---- the archive ---- */
static size_t first_manifest(const question *q, str path)
{
    size_t lo = 0, hi = q->n_manifests;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (str_cmp(q->by_manifest[mid]->manifest, path) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool is_manifest(const question *q, str path)
{
    const size_t at = first_manifest(q, path);

    return at < q->n_manifests && str_eq(q->by_manifest[at]->manifest, path);
}

static int on_entry(void *ctx, const archive_entry *e, int64_t *ret_want)
{
    question *q = ctx;

    buf_reset(&q->content);
    if (e->kind == ARCHIVE_FILE && is_manifest(q, e->path))
        *ret_want = CONTENT_MAX;
    return 0;
}

static int on_data(void *ctx, const archive_entry *e, str bytes)
{
    question *q = ctx;

    (void)e;
    buf_str(&q->content, bytes);
    return q->content.err;
}

static int read_version(question *q, str path, str *ret_version)
{
    SCOPED(arena_done)
    arena scratch;
    frontmatter front = {0};

    arena_init(&scratch, 0);
    const int r = str_ends_nocase(path, STR(".json"))
                      ? frontmatter_parse_plugin(&scratch, buf_view(&q->content), &front)
                      : frontmatter_parse(&scratch, buf_view(&q->content), &front);
    if (r == -ENOMEM)
        return r;
    if (r < 0 || !front.version.n)
        return 0; /* a file that says nothing is no error */
    *ret_version = arena_dup(&q->arena, front.version);
    return ret_version->p ? 0 : -ENOMEM;
}

static int on_end(void *ctx, const archive_entry *e)
{
    question *q = ctx;
    str version = STR_NULL;
    size_t at = first_manifest(q, e->path);

    if (at == q->n_manifests || !str_eq(q->by_manifest[at]->manifest, e->path))
        return 0;
    const int r = e->kind == ARCHIVE_FILE ? read_version(q, e->path, &version) : 0;
    if (r < 0)
        return r;
    for (; at < q->n_manifests && str_eq(q->by_manifest[at]->manifest, e->path); at++) {
        q->by_manifest[at]->now.version = version;
        q->n_read++;
    }
    return q->n_read == q->n_manifests ? QUESTION_COMPLETE : 0;
}

int question_reader_open(question *q)
{
    const archive_limits limits = {
        .max_inflated = UINT64_C(8) << 30, /* GitHub's room bounds what is downloaded */
        .max_entries = 2000000,
        .max_ratio = 200, /* text compresses 3 to 20 times */
        .ratio_from = 64u << 20,
    };
    const archive_sink sink = {.ctx = q, .on_entry = on_entry, .on_data = on_data, .on_end = on_end};

    q->n_read = 0;
    return archive_new(&limits, &sink, &q->reader);
}

int question_read_piece(github_reading *r, str bytes)
{
    question *q = r->user;

    return archive_feed(q->reader, bytes.p, bytes.n);
}
