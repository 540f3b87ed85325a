/* The worker's part of a scan: the tree's listing becomes files, the archive's describing files are read as
 * they pass, and what the detector makes of it becomes entries. Touches nothing but the scan. */
#include "service.h"

#include <stdlib.h>

#include "larder/frontmatter.h"

#define CONTENT_MAX (FRONTMATTER_MAX + 1024) /* of a describing file: its beginning */
#define MAX_RATIO 200                        /* text compresses 3 to 20 times */
#define RATIO_FROM (64u << 20)
#define LINKS_NAMED 5

/* ---- the listing ---- */
static detect_file *add_file(scan *sc)
{
    if (sc->n_files == sc->cap_files) {
        const size_t cap = sc->cap_files ? sc->cap_files * 2 : 1024;
        detect_file *files = arena_array(&sc->arena, detect_file, cap);
        if (!files)
            return NULL;
        if (sc->n_files)
            memcpy(files, sc->files, sc->n_files * sizeof(*files));
        sc->files = files;
        sc->cap_files = cap;
    }
    return &sc->files[sc->n_files++];
}

static int compare_paths(const void *a, const void *b, void *files)
{
    const detect_file *f = files;

    return str_cmp(f[*(const uint32_t *)a].path, f[*(const uint32_t *)b].path);
}

/* So that find_file finds them. */
static int sort_files(scan *sc)
{
    sc->by_path = arena_array(&sc->arena, uint32_t, sc->n_files);
    if (!sc->by_path)
        return -ENOMEM;
    for (size_t i = 0; i < sc->n_files; i++)
        sc->by_path[i] = (uint32_t)i;
    qsort_r(sc->by_path, sc->n_files, sizeof(*sc->by_path), compare_paths, sc->files);
    return 0;
}

static int take_tree(scan *sc)
{
    const github_tree *tree = &sc->tree.tree;

    sc->files = arena_array(&sc->arena, detect_file, tree->n);
    if (!sc->files)
        return -ENOMEM;
    sc->n_files = 0;
    sc->cap_files = tree->n;
    for (size_t i = 0; i < tree->n; i++) {
        const github_file *g = &tree->files[i];
        if (g->kind != GITHUB_BLOB && g->kind != GITHUB_SYMLINK)
            continue;
        detect_file *f = &sc->files[sc->n_files];
        *f = (detect_file){.path = g->path, .is_link = g->kind == GITHUB_SYMLINK};
        if (hex_decode(str_of(g->sha, sizeof(g->sha)), f->sha, sizeof(f->sha)) < 0)
            continue;
        sc->n_files++;
    }
    return sort_files(sc);
}

void scan_files_work(job *j)
{
    scan *sc = CONTAINER_OF(j, scan, job);

    sc->work_status = take_tree(sc);
    /* Of a listing that was cut nobody can say what is missing. */
    if (sc->work_status == 0 && sc->check && !sc->tree.tree.truncated)
        sc->work_status = source_manual_map_exists(&sc->arena, sc->check->map, sc->files, sc->n_files, &sc->why);
}

static detect_file *find_file(scan *sc, str path)
{
    size_t lo = 0, hi = sc->n_files;

    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        detect_file *f = &sc->files[sc->by_path[mid]];
        const int c = str_cmp(path, f->path);
        if (c == 0)
            return f;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* ---- the archive ---- */
/* In the order of preference; 0 is no README. */
static unsigned readme_rank(const scan *sc, str path)
{
    static const str NAMES[] = {{"readme.md", 9}, {"readme.rst", 10}, {"readme.txt", 10}, {"readme", 6}};

    if (!sc->src.import_repo_readme)
        return 0;
    for (unsigned i = 0; i < COUNT_OF(NAMES); i++)
        if (str_eq_nocase(path, NAMES[i]))
            return COUNT_OF(NAMES) - i;
    return 0;
}

static int on_entry(void *ctx, const archive_entry *e, int64_t *ret_want)
{
    scan *sc = ctx;

    buf_reset(&sc->content);
    if (e->kind != ARCHIVE_FILE)
        return 0;
    if (readme_rank(sc, e->path) > sc->readme_rank)
        *ret_want = README_BYTES;
    else if (detect_is_describing(e->path))
        *ret_want = CONTENT_MAX;
    return 0;
}

static int on_data(void *ctx, const archive_entry *e, str bytes)
{
    scan *sc = ctx;

    (void)e;
    buf_str(&sc->content, bytes);
    return sc->content.err;
}

static int take_readme(scan *sc, unsigned rank)
{
    sc->readme_rank = rank;
    return readme_text(&sc->arena, buf_view(&sc->content), &sc->readme);
}

/* What stays of a file, once what reading it took is freed: a repository may hold thousands of them. */
static int keep_front(scan *sc, const frontmatter *front, const frontmatter **ret_kept)
{
    frontmatter *kept = arena_new(&sc->arena, frontmatter);
    str *tags = arena_array(&sc->arena, str, front->tags.n);

    if (!kept || !tags)
        return -ENOMEM;
    *kept = *front;
    str *const texts[] = {&kept->name, &kept->title, &kept->description, &kept->version, &kept->license, &kept->type};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!arena_own(&sc->arena, texts[i]))
            return -ENOMEM;
    for (size_t i = 0; i < front->tags.n; i++) {
        tags[i] = front->tags.v[i];
        if (!arena_own(&sc->arena, &tags[i]))
            return -ENOMEM;
    }
    if (front->tags.v)
        kept->tags = (strs){tags, front->tags.n};
    *ret_kept = kept;
    return 0;
}

static int take_front(scan *sc, str path, detect_file *file)
{
    SCOPED(arena_done) arena scratch;
    const str text = buf_view(&sc->content);
    frontmatter front = {0};

    arena_init(&scratch, 0);
    int r = str_ends_nocase(path, STR(".json")) ? frontmatter_parse_plugin(&scratch, text, &front)
                                                : frontmatter_parse(&scratch, text, &front);
    if (r == -EFBIG)
        scan_note_error(sc, arena_printf(&sc->arena, STR_FMT ": its frontmatter is too large, and was not read",
                                         STR_ARG(str_head(path, 200))));
    if (r < 0)
        return r == -ENOMEM ? r : 0; /* a file that says nothing is no error */
    return keep_front(sc, &front, &file->front);
}

static int on_end(void *ctx, const archive_entry *e)
{
    scan *sc = ctx;
    detect_file *file = sc->has_tree ? find_file(sc, e->path) : NULL;
    const unsigned rank = readme_rank(sc, e->path);
    int r = 0;

    if (e->kind != ARCHIVE_FILE && e->kind != ARCHIVE_LINK)
        return 0;
    if (!sc->has_tree) {
        if (sc->n_files == sc->max_files) {
            sc->left_out++;
            return 0;
        }
        file = add_file(sc);
        if (!file)
            return -ENOMEM;
        *file = (detect_file){.path = arena_dup(&sc->arena, e->path), .is_link = e->kind == ARCHIVE_LINK};
        if (!file->path.p)
            return -ENOMEM;
        memcpy(file->sha, e->git_sha, sizeof(file->sha));
    }
    if (e->kind == ARCHIVE_FILE && rank > sc->readme_rank)
        r = take_readme(sc, rank);
    if (r == 0 && file && e->kind == ARCHIVE_FILE && detect_is_describing(e->path))
        r = take_front(sc, e->path, file);
    return r;
}

int scan_reader_open(scan *sc)
{
    const archive_limits limits = {
        .max_compressed = sc->owner->o.max_archive_bytes,
        .max_inflated = sc->owner->o.max_archive_bytes * 8,
        .max_entries = sc->owner->o.max_entries * 2, /* folders count here too */
        .max_ratio = MAX_RATIO,
        .ratio_from = RATIO_FROM,
        .git_sha = !sc->has_tree,
    };
    const archive_sink sink = {.ctx = sc, .on_entry = on_entry, .on_data = on_data, .on_end = on_end};

    archive_free(sc->reader);
    sc->reader = NULL;
    sc->max_files = sc->owner->o.max_entries; /* the worker's own: the option may change meanwhile */
    if (!sc->has_tree)
        sc->n_files = 0;
    sc->readme_rank = 0;
    sc->left_out = 0;
    sc->result.errors = (strs){0}; /* what a download that was cut off had noted */
    return archive_new(&limits, &sink, &sc->reader);
}

int scan_read_piece(github_reading *r, str bytes)
{
    scan *sc = r->user;

    return archive_feed(sc->reader, bytes.p, bytes.n);
}

/* ---- entries ---- */
static const frontmatter *front_of(scan *sc, const detected *d)
{
    const detect_file *f = d->manifest.p ? find_file(sc, d->manifest) : NULL;

    return f ? f->front : NULL;
}

static int make_entry(scan *sc, const detected *d, entry *e)
{
    const frontmatter *front = front_of(sc, d);
    char *id = arena_alloc(&sc->arena, ENTRY_ID_LEN);
    buf url = BUF_INIT;

    if (!id)
        return -ENOMEM;
    *e = (entry){
        .source_id = sc->src.id,
        .artifact_type = detect_type_name(d->type),
        .name = d->name,
        .path = d->path,
        .confidence_score = d->confidence,
        .raw_score = d->score.raw_total,
        .content_hash = str_of(d->hash, sizeof(d->hash)),
        .is_duplicate = d->is_duplicate,
        .license = sc->repository.owner.p ? sc->repository.license : sc->src.license,
    };
    entry_id_make(sc->src.id, e->artifact_type, d->path, id);
    e->id = str_of(id, ENTRY_ID_LEN);
    buf_printf(&url, STR_FMT "/tree/", STR_ARG(sc->src.repo_url));
    percent_encode_path(&url, sc->ref);
    if (!str_eq(d->path, STR("."))) {
        buf_char(&url, '/');
        percent_encode_path(&url, d->path);
    }
    if (!url.err)
        e->upstream_url = arena_dup(&sc->arena, buf_view(&url));
    buf_done(&url);
    if (front) {
        e->title = front->title;
        e->description = front->description;
        e->detected_version = front->version;
        e->tags = front->tags;
        if (front->license.p)
            e->license = front->license;
    }
    return e->upstream_url.p ? detect_score_counts(&sc->arena, &d->score, &e->score_breakdown) : -ENOMEM;
}

static int compare_ids(const void *a, const void *b)
{
    return str_cmp(((const entry *)a)->id, ((const entry *)b)->id);
}

/* Links lie in the listing, but what they point to is not looked at again under their name, wherever it is: most would
 * only give duplicates, of which GitHub has no page to show, and an artifact's hash is over its links as they are. */
static void note_links(scan *sc)
{
    SCOPED(buf_done) buf names = BUF_INIT;
    size_t n = 0;

    for (size_t i = 0; i < sc->n_files; i++) {
        const detect_file *f = &sc->files[sc->by_path[i]];
        if (!f->is_link || !repo_path_is_below(f->path, sc->src.root_hint))
            continue;
        if (n++ < LINKS_NAMED)
            buf_printf(&names, "%s" STR_FMT, n > 1 ? ", " : "", STR_ARG(utf8_head(f->path, 100)));
    }
    if (n > 0 && !names.err)
        scan_note_error(sc,
                        arena_printf(&sc->arena, "%zu symbolic links not followed, wherever they lead: " STR_FMT "%s",
                                     n, STR_ARG(buf_view(&names)), n > LINKS_NAMED ? ", ..." : ""));
}

/* The root_hint's folder may be mistyped, or gone: 0 when it is there (or none is named), else -ENOENT with `why`. */
static int find_root(scan *sc, str *ret_why)
{
    const str root = sc->src.root_hint;

    for (size_t i = 0; i < sc->n_files; i++)
        if (repo_path_is_below(sc->files[i].path, root))
            return 0;
    if (root.n == 0)
        return 0;
    *ret_why = arena_printf(&sc->arena, "root_hint: there is no folder " STR_FMT " in the repository",
                            STR_ARG(utf8_head(root, 200)));
    return -ENOENT;
}

static void note_skipped(scan *sc)
{
    str why;

    if (find_root(sc, &why) < 0) /* no failure: but who looks for its artifacts is told */
        scan_note_error(sc, why);
    for (unsigned f = REPO_PATH_OK + 1; f < REPO_PATH_FAULT_COUNT; f++) {
        const uint64_t n = archive_skipped(sc->reader, (repo_path_fault)f);
        if (n > 0)
            scan_note_error(sc, arena_printf(&sc->arena, "%llu files skipped: the path %s", (unsigned long long)n,
                                             repo_path_fault_text((repo_path_fault)f)));
    }
    note_links(sc);
    if (sc->left_out > 0)
        scan_note_error(sc,
                        arena_printf(&sc->arena, "%zu files left out: there are more than sources.max_entries allows",
                                     sc->left_out));
}

static int detect(scan *sc)
{
    detect_type single = DETECT_SKILL;
    detect_options o = {
        .repo_name = sc->src.repo_name,
        .root_hint = sc->src.root_hint,
        .manual_map = sc->src.manual_map,
        .frontmatter = sc->src.enable_frontmatter_detection,
        .is_single = sc->src.single_artifact_mode && detect_type_parse(sc->src.single_artifact_type, &single),
    };
    detect_result found;

    o.single_type = single;
    int r = sc->has_tree ? 0 : sort_files(sc);
    if (r == 0 && o.is_single) /* the detector would take it for an artifact, unseen */
        r = find_root(sc, &sc->why);
    if (r == 0)
        r = detect_artifacts(&sc->arena, sc->files, sc->n_files, &o, &found);
    if (r < 0)
        return r;
    sc->entries = arena_array(&sc->arena, entry, found.n);
    if (!sc->entries)
        return -ENOMEM;
    for (size_t i = 0; i < found.n && r == 0; i++) {
        const detected *d = &found.v[i];
        r = make_entry(sc, d, &sc->entries[i]);
        if (d->is_member && !d->is_duplicate) {
            sc->composite_members++;
            sc->composite_types |= 1u << artifact_type_number(detect_type_name(d->type));
        }
    }
    sc->n_entries = found.n;
    qsort(sc->entries, sc->n_entries, sizeof(*sc->entries), compare_ids);
    note_skipped(sc);
    return r;
}

void scan_detect_work(job *j)
{
    scan *sc = CONTAINER_OF(j, scan, job);

    sc->work_status = detect(sc);
}
