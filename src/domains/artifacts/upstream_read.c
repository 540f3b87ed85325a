/* The worker's part of a question: what is known of the place, and the versions in the archive's manifests. What the
 * tree says is upstream_tree.c's. */
#include <stdlib.h>

#include "larder/frontmatter.h"
#include "larder/projects.h"
#include "larder/record.h"
#include "question.h"

#define CONTENT_MAX (FRONTMATTER_MAX + 1024) /* of a manifest: its beginning */
#define SHORT_SHA 7

/* ---- what is known ---- */
static int own_known(question *q, known *k)
{
    return arena_own(&q->arena, &k->path) && arena_own(&q->arena, &k->sha) && arena_own(&q->arena, &k->version) &&
                   arena_own(&q->arena, &k->content_hash)
               ? 0
               : -ENOMEM;
}

static int own_place(question *q, place *p)
{
    return arena_own(&q->arena, &p->name) && arena_own(&q->arena, &p->asked_as) && arena_own(&q->arena, &p->etag) &&
                   arena_own(&q->arena, &p->sha) && arena_own(&q->arena, &p->tree_sha) &&
                   arena_own(&q->arena, &p->branch) && arena_own(&q->arena, &p->paths)
               ? 0
               : -ENOMEM;
}

static int compare_asked(const void *x, const void *y)
{
    return str_cmp(((const asked_path *)x)->path, ((const asked_path *)y)->path);
}

asked_path *question_find_path(question *q, size_t n, str path)
{
    const asked_path key = {.path = path};

    return n ? bsearch(&key, q->paths, n, sizeof(key), compare_asked) : NULL;
}

/* Those asked for, each once. */
static void sort_paths(question *q)
{
    size_t n = 0;

    qsort(q->paths, q->n_paths, sizeof(*q->paths), compare_asked);
    for (size_t i = 0; i < q->n_paths; i++)
        if (n == 0 || !str_eq(q->paths[n - 1].path, q->paths[i].path))
            q->paths[n++] = q->paths[i];
    q->n_paths = n;
}

static int look(question *q, store_view *v)
{
    int r = place_load(v, &q->arena, q->name, &q->place);

    if (r == 0)
        r = own_place(q, &q->place);
    sort_paths(q);
    for (size_t i = 0; i < q->n_paths && (r == 0 || r == -ENOENT); i++) {
        r = known_load(v, &q->arena, q->name, q->paths[i].path, &q->paths[i].was);
        if (r == 0)
            r = own_known(q, &q->paths[i].was);
    }
    return r == -ENOENT ? 0 : r;
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

static int walk_known(question *q, store_view *v, store_cursor **ret_cursor)
{
    const upstream_key prefix = known_prefix(q->name);

    return store_walk(v, &upstream_ks, STORE_BY_KEY, str_of(prefix.bytes, prefix.n), STR_NULL, false, ret_cursor);
}

static int count_known(question *q, store_view *v, size_t *ret_n)
{
    store_cursor *c;
    store_item item;
    size_t n = 0;
    int r = walk_known(q, v, &c);

    if (r < 0)
        return r;
    while (n < QUESTION_PATHS_MAX && store_next(c, &item))
        n++;
    r = store_cursor_error(c);
    store_cursor_end(c);
    *ret_n = n;
    return r;
}

/* Those asked for come first and are in order, while the others are put behind them. */
static int add_known(question *q, store_view *v, size_t most)
{
    const size_t asked = q->n_paths;
    store_cursor *c;
    store_item item;
    int r = walk_known(q, v, &c);

    if (r < 0)
        return r;
    while (r == 0 && q->n_paths < asked + most && store_next(c, &item)) {
        known k = {0};
        r = record_decode(&known_schema, &q->arena, item.value, &k);
        if (r == 0 && question_find_path(q, asked, k.path))
            continue;
        if (r == 0)
            r = own_known(q, &k);
        q->paths[q->n_paths] = (asked_path){.path = k.path, .was = k};
        q->n_paths += r == 0;
    }
    r = r == 0 ? store_cursor_error(c) : r;
    store_cursor_end(c);
    qsort(q->paths, q->n_paths, sizeof(*q->paths), compare_asked);
    return r;
}

static int gather(question *q, store_view *v)
{
    size_t most;
    int r = count_known(q, v, &most);
    asked_path *all = r == 0 ? arena_array(&q->arena, asked_path, q->n_paths + most) : NULL;

    if (!all)
        return r < 0 ? r : -ENOMEM;
    memcpy(all, q->paths, q->n_paths * sizeof(*all));
    q->paths = all;
    return add_known(q, v, most);
}

int question_gather(question *q)
{
    store_view *v;
    int r = store_read_begin_job(q->owner->store, &v);

    if (r < 0)
        return r;
    r = gather(q, v);
    store_read_end(v);
    return r;
}

bool question_notes(const question *q, const asked_path *p)
{
    const int64_t at = p->was.asked_at;

    return p->is_wanted && (!p->was.asked_for || q->asked_at - at > QUESTION_DAY_MS || q->asked_at < at);
}

void question_gone_work(job *j)
{
    question *q = CONTAINER_OF(j, question, job);

    q->work_status = question_gather(q);
    for (size_t i = 0; i < q->n_paths; i++) {
        asked_path *p = &q->paths[i];
        p->is_to_be_written = !p->was.path.p || p->was.is_there || question_notes(q, p);
        p->now = (known){.path = p->path, .sha = STR("")};
    }
}

/* ---- versions ---- */
/* A version in the source that is no commit and no branch. */
static bool is_tag(str ref)
{
    semver v;

    return semver_parse(ref, &v) == 0 || str_chr(ref, '.') >= 0 ||
           (ref.n > 1 && ref.p[0] == 'v' && ref.p[1] >= '0' && ref.p[1] <= '9');
}

void question_fall_back(const question *q, asked_path *p)
{
    if (p->now.is_there && !p->now.version.p)
        p->now.version = is_tag(q->ref) ? q->ref : str_head(q->place.sha, SHORT_SHA);
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
        asked_path *p = q->by_manifest[at];
        if (p->is_read) /* an archive may hold a path twice: the first one counts */
            continue;
        p->now.version = version;
        p->is_read = true;
        q->n_read++;
        q->n_needed -= question_is_asked_for(p);
    }
    return q->n_read == q->n_manifests ? QUESTION_COMPLETE : 0;
}

void question_archive_over(question *q)
{
    for (size_t i = 0; i < q->n_manifests; i++) {
        asked_path *p = q->by_manifest[i];
        p->is_to_be_written = p->is_read || question_is_asked_for(p);
        question_fall_back(q, p);
    }
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
