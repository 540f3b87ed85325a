/* The order of things: the listing becomes a tree (detect_tree.c), the rules find artifacts in it (detect_rules.c), and
 * here each gets its content hash and manifest, equals are told apart, and the whole is put in order. */
#include "larder/detect.h"

#include <stdlib.h>

#include "detect_rules.h"

int detect_add(detector *d, const found *f)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 64;
        found *v = arena_array(d->arena, found, cap);
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

/* ---- content ---- */

static void add_line(sha *s, const detect_file *f, size_t from, bool is_first)
{
    char hex[HEX_LEN(SHA1_LEN)];
    hex_encode(f->sha, sizeof(f->sha), hex);
    if (!is_first)
        sha256_add(s, "\n", 1);
    sha256_add(s, f->path.p + from, f->path.n - from);
    sha256_add(s, ":", 1);
    sha256_add(s, hex, sizeof(hex));
}

/* SHA-256 over the lines "relative path:git's name of the content", sorted, joined by newlines. */
static void describe_content(const tree *t, uint32_t first, uint32_t end, size_t from, detected *ret)
{
    sha s;
    sha256_init(&s);
    unsigned best = 0;
    for (uint32_t i = first; i < end; i++) {
        const detect_file *f = t->files[i].file;
        add_line(&s, f, from, i == first);
        unsigned rank = t->files[i].bits ? detect_manifest_rank(ret->type, str_from(f->path, from)) : 0;
        if (rank > 0 && f->front) /* one that says something before one that says nothing */
            rank += MANIFEST_RANKS;
        if (rank > best) {
            best = rank;
            ret->manifest = f->path;
        }
    }
    uint8_t digest[SHA256_LEN];
    sha256_end(&s, digest);
    hex_encode(digest, sizeof(digest), ret->hash);
    ret->files = end - first;
}

static void describe(const tree *t, found *f)
{
    if (f->file) {
        uint32_t at = (uint32_t)(f->file - t->files);
        describe_content(t, at, at + 1, f->file->name_at, &f->artifact);
        f->artifact.manifest = f->artifact.path;
        return;
    }
    const tree_dir *x = &t->dirs[f->dir];
    describe_content(t, x->first, x->end, x->path.n > 0 ? x->path.n + 1 : 0, &f->artifact);
}

static bool lies_in_composite(const tree *t, const found *f)
{
    uint32_t dir = f->file ? f->dir : t->dirs[f->dir].parent;
    while (dir != TREE_NONE && !t->dirs[dir].is_composite)
        dir = t->dirs[dir].parent;
    return dir != TREE_NONE;
}

/* ---- equals ---- */

/* Same content together, the one to keep first: the surer, then the mapped, then the shorter path. */
static int compare_content(const void *x, const void *y)
{
    const detected *a = *(detected *const *)x, *b = *(detected *const *)y;
    int order = memcmp(a->hash, b->hash, sizeof(a->hash));
    if (order == 0)
        order = b->confidence - a->confidence;
    if (order == 0)
        order = b->is_manual - a->is_manual;
    if (order == 0)
        order = (a->path.n > b->path.n) - (a->path.n < b->path.n);
    return order != 0 ? order : str_cmp(a->path, b->path);
}

static int mark_duplicates(arena *a, detected *v, size_t n)
{
    detected **by_content = arena_array(a, detected *, n + 1);
    if (!by_content)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        by_content[i] = &v[i];
    qsort(by_content, n, sizeof(*by_content), compare_content);
    for (size_t i = 1; i < n; i++)
        by_content[i]->is_duplicate = memcmp(by_content[i]->hash, by_content[i - 1]->hash, sizeof(v->hash)) == 0;
    return 0;
}

static int compare_result(const void *x, const void *y)
{
    const detected *a = x, *b = y;
    int order = b->confidence - a->confidence;
    if (order == 0)
        order = str_cmp(a->path, b->path);
    return order != 0 ? order : (int)a->type - (int)b->type;
}

static int finish(detector *d, detect_result *ret)
{
    detected *v = arena_array(d->arena, detected, d->n + 1);
    if (!v)
        return -ENOMEM;
    for (size_t i = 0; i < d->n; i++) {
        describe(&d->tree, &d->v[i]);
        v[i] = d->v[i].artifact;
        v[i].is_member = lies_in_composite(&d->tree, &d->v[i]);
    }
    int r = mark_duplicates(d->arena, v, d->n);
    if (r < 0)
        return r;
    qsort(v, d->n, sizeof(*v), compare_result);
    *ret = (detect_result){v, d->n, d->tree.skipped};
    return 0;
}

/* ---- single-artifact mode ---- */

static int whole_artifact(detector *d, detect_result *ret)
{
    const detect_options *o = d->options;
    ptrdiff_t slash = str_rchr(o->root_hint, '/');
    str folder = slash < 0 ? o->root_hint : str_from(o->root_hint, (size_t)slash + 1);
    detected *v = arena_new(d->arena, detected);
    if (!v)
        return -ENOMEM;
    *v = (detected){
        .type = o->single_type,
        .name = folder.n == 0 || folder.p[0] == '.' ? o->repo_name : folder,
        .path = o->root_hint.n > 0 ? o->root_hint : STR("."),
        .confidence = 100,
        .score = {.raw_total = 100, .normalized_score = 100},
    };
    describe_content(&d->tree, 0, d->tree.n_files, o->root_hint.n > 0 ? o->root_hint.n + 1 : 0, v);
    *ret = (detect_result){.v = v, .n = 1, .skipped = d->tree.skipped};
    return 0;
}

int detect_artifacts(arena *a, const detect_file *files, size_t n, const detect_options *o, detect_result *ret_result)
{
    detector d = {.arena = a, .options = o};
    int r = tree_build(a, files, n, o, &d.tree);
    if (r < 0)
        return r;
    if (o->is_single)
        return whole_artifact(&d, ret_result);
    r = detect_run_rules(&d);
    return r < 0 ? r : finish(&d, ret_result);
}

/* ---- the score, as clients see it ---- */

#define SCORE_NAME(name) {#name, sizeof(#name) - 1},
#define SCORE_VALUE(name) s->name,
static const str score_names[] = {DETECT_SCORES(SCORE_NAME)};

int detect_score_counts(arena *a, const detect_score *s, counts *ret_counts)
{
    const int16_t values[] = {DETECT_SCORES(SCORE_VALUE)};
    count_of *v = arena_array(a, count_of, COUNT_OF(values));
    if (!v)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        bool only_where_set =
            str_eq(score_names[i], STR("single_file_detection")) || str_eq(score_names[i], STR("standalone_bonus"));
        if (values[i] != 0 || !only_where_set)
            v[n++] = (count_of){score_names[i], values[i]};
    }
    *ret_counts = (counts){v, n};
    return 0;
}
