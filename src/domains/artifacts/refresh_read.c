/* The worker's part of a refresh: what the project holds now, where each artifact is from, and its new content once
 * upstream has been asked. Touches nothing but the refresh. */
#include <limits.h>
#include <stdlib.h>

#include "larder/repo_path.h"
#include "refresh.h"

/* ---- what it holds ---- */
static int copy_project(arena *a, const project *p, project *ret)
{
    project c = *p;
    str *const texts[] = {&c.id, &c.name, &c.path, &c.status, &c.error_message, &c.origin};

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!arena_own(a, texts[i]))
            return -ENOMEM;
    *ret = c;
    return 0;
}

static int copy_artifact(arena *a, const artifact *x, artifact *ret)
{
    artifact c = *x;
    str *const texts[] = {&c.id,         &c.name,         &c.type,   &c.deployed_version, &c.upstream_version,
                          &c.project_id, &c.project_name, &c.source, &c.content_hash,     &c.upstream_hash,
                          &c.description};

    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (!arena_own(a, texts[i]))
            return -ENOMEM;
    str *tags = arena_array(a, str, c.tags.n);
    if (!tags)
        return -ENOMEM;
    for (size_t i = 0; i < c.tags.n; i++) {
        tags[i] = c.tags.v[i];
        if (!arena_own(a, &tags[i]))
            return -ENOMEM;
    }
    c.tags.v = c.tags.v ? tags : NULL;
    *ret = c;
    return 0;
}

/* All rows that readers see. */
static int load_held(refresh *r, store_view *v)
{
    const artifact_prefix prefix = artifact_prefix_of(r->id);
    const int64_t most = artifacts_of_project(v, &prefix);
    store_cursor *c;
    store_item item;
    row_state shown;

    int err = rows_shown(v, &shown);
    if (err < 0)
        return err;
    r->n = 0;
    r->held = arena_array(&r->arena, artifact, (size_t)most);
    if (!r->held)
        return -ENOMEM;
    err = store_walk(v, &artifacts_ks, STORE_BY_KEY, artifact_prefix_view(&prefix), STR_NULL, false, &c);
    if (err < 0)
        return err;
    while (err == 0 && r->n < (size_t)most && store_next(c, &item)) {
        artifact a = {0};
        err = record_decode(&artifact_schema, &r->arena, item.value, &a);
        if (err == 0 && (a.state == (int64_t)shown || a.state == ROW_SETTLED))
            err = copy_artifact(&r->arena, &a, &r->held[r->n++]);
    }
    err = err == 0 ? store_cursor_error(c) : err;
    store_cursor_end(c);
    return err;
}

static str without_slash(str root)
{
    while (root.n > 0 && root.p[root.n - 1] == '/')
        root.n--;
    return root;
}

/* The deepest root that holds it: projects have canonical paths, roots may be written otherwise. *ret_missing: that
 * root, where it is not there; or, where none holds it, one that is not there, as it may hold anything. */
static int root_of(refresh *r, str path, str *ret_root, str *ret_missing)
{
    char real[PATH_MAX];
    str best = STR_NULL, best_missing = STR_NULL, any_missing = STR_NULL;

    for (size_t i = 0; i < r->n_roots; i++) {
        str root = r->roots[i];
        const bool is_there = realpath(root.p, real);
        if (is_there)
            root = arena_dup(&r->arena, str_c(real));
        else
            any_missing = root;
        if (!root.p)
            return -ENOMEM;
        if (repo_path_is_in(path, without_slash(root)) && (!best.p || root.n > best.n)) {
            best = root;
            best_missing = is_there ? STR_NULL : root;
        }
    }
    *ret_root = best;
    *ret_missing = best.p ? best_missing : any_missing;
    return 0;
}

static int read_found(refresh *r)
{
    str root, missing;
    int err = root_of(r, r->was.path, &root, &missing);

    if (err < 0)
        return err;
    err = root.p ? discover_read(&r->arena, root, r->was.path, &r->found) : -ENOENT;
    if (err == -ENOMEM)
        return err;
    if (err == -ENOENT && !missing.p) {
        r->is_gone = true;
        return 0;
    }
    if (err < 0) { /* what is stored stays */
        r->why = missing.p ? arena_printf(&r->arena, STR_FMT " is not there", STR_ARG(missing))
                           : arena_printf(&r->arena, "it cannot be read: %s", err_text(err));
        return r->why.p ? 0 : -ENOMEM;
    }
    _Static_assert(DISCOVER_ARTIFACTS_MAX <= PROJECT_ARTIFACTS_MAX, "a project can have all that is found");
    r->why = r->found.why;
    r->n = r->found.n; /* names are unique for their type */
    return 0;
}

/* What cannot be read now is what was read last, of artifacts that are there still. */
static int keep_lineage(refresh *r, store_view *v)
{
    const artifact_prefix prefix = artifact_prefix_of(r->id);
    row_state shown;
    int err = rows_shown(v, &shown);

    for (size_t i = 0; err == 0 && i < r->n; i++) {
        found_artifact *f = &r->found.artifacts[i];
        artifact held = {0};
        artifact_key key;
        str type, value;
        if (f->source.p || artifact_type_parse(f->type, &type) < 0)
            continue;
        const artifact_id id = artifact_id_of(&prefix, type, f->name);
        err = artifact_row(v, &r->arena, artifact_id_view(&id), shown, ROW_SETTLED, &held, &key, &value);
        if (err == -ENOENT) {
            err = 0;
            continue;
        }
        f->source = held.source;
        f->version = f->version.p ? f->version : held.deployed_version;
        if (err == 0 && (!arena_own(&r->arena, &f->source) || !arena_own(&r->arena, &f->version)))
            err = -ENOMEM;
    }
    return err;
}

/* ---- where it is from ---- */
static int note_origin(refresh *r, store_view *v, str source, bool is_given, origin *ret)
{
    const projects_options *o = &r->owner->o;
    origin g = {0};

    if (is_given || !source.n || artifact_source_parse(source, &g.of) < 0) {
        *ret = (origin){0};
        return 0;
    }
    if (o->catalogue) {
        const int err =
            o->catalogue(o->arg, v, &r->arena, g.of.owner, g.of.repo, g.of.path, g.of.version, &g.catalogue);
        if (err < 0)
            return err;
        if (!arena_own(&r->arena, &g.catalogue.version) || !arena_own(&r->arena, &g.catalogue.content_hash))
            return -ENOMEM;
    }
    g.place = place_name(&r->arena, &g.of);
    g.path = g.of.path.p ? g.of.path : STR("");
    *ret = g;
    return g.place.p ? 0 : -ENOMEM;
}

static int note_origins(refresh *r, store_view *v)
{
    int err = 0;

    r->origins = arena_array(&r->arena, origin, r->n);
    if (!r->origins)
        return -ENOMEM;
    for (size_t i = 0; err == 0 && i < r->n; i++)
        err = r->is_discovered ? note_origin(r, v, r->found.artifacts[i].source, false, &r->origins[i])
                               : note_origin(r, v, r->held[i].source, r->held[i].upstream_given, &r->origins[i]);
    return err;
}

static int compare_origins(const void *x, const void *y)
{
    const origin *a = *(const origin *const *)x, *b = *(const origin *const *)y;
    const int c = str_cmp(a->place, b->place);

    return c ? c : str_cmp(a->path, b->path);
}

/* One for each place that the catalogue does not know. */
static int make_asks(refresh *r)
{
    const origin **sorted = arena_array(&r->arena, const origin *, r->n);
    str *paths = arena_array(&r->arena, str, r->n);
    size_t n = 0;

    r->asks = arena_array(&r->arena, place_ask, r->n);
    if (!sorted || !paths || !r->asks)
        return -ENOMEM;
    for (size_t i = 0; i < r->n; i++)
        if (r->origins[i].place.p && !r->origins[i].catalogue.is_registered)
            sorted[n++] = &r->origins[i];
    qsort(sorted, n, sizeof(*sorted), compare_origins);
    for (size_t i = 0; i < n; i++) {
        place_ask *last = r->n_asks ? &r->asks[r->n_asks - 1] : NULL;
        paths[i] = sorted[i]->path;
        if (!last || !str_eq(last->wait.name, sorted[i]->place)) {
            last = &r->asks[r->n_asks++];
            *last =
                (place_ask){.wait = {.of = sorted[i]->of, .name = sorted[i]->place, .paths = &paths[i]}, .refresh = r};
        }
        last->wait.n_paths++;
    }
    return 0;
}

static int read_all(refresh *r, store_view *v)
{
    project stored = {0};

    int err = project_load(v, &r->arena, r->id, &stored);
    if (err == 0)
        err = copy_project(&r->arena, &stored, &r->was);
    if (err < 0)
        return err;
    r->is_discovered = str_eq(r->was.origin, STR("discovered"));
    err = r->is_discovered ? read_found(r) : load_held(r, v);
    if (err < 0 || r->is_gone || (r->is_discovered && !r->found.path.p))
        return err;
    if (r->is_discovered && r->found.misses_lineage)
        err = keep_lineage(r, v);
    if (err < 0)
        return err;
    err = note_origins(r, v);
    return err < 0 ? err : make_asks(r);
}

/* Files are read in the view's time: it is the same job, and a snapshot costs little. */
void refresh_read_work(job *j)
{
    refresh *r = CONTAINER_OF(j, refresh, job);
    store_view *v;

    r->work_status = store_read_begin_job(r->owner->o.store, &v);
    if (r->work_status < 0)
        return;
    r->work_status = read_all(r, v);
    store_read_end(v);
}

/* ---- its new content ---- */
static int add_upstream(refresh *r, store_view *v, const origin *g, artifact_content *c)
{
    known k = {0};

    c->upstream = UPSTREAM_LEARNT;
    c->upstream_version = c->upstream_hash = STR_NULL; /* of a reported one there is what was known before */
    if (!g->place.p)
        return 0;
    if (g->catalogue.is_registered) {
        c->upstream_version = g->catalogue.version;
        c->upstream_hash = g->catalogue.content_hash;
        return 0;
    }
    const int err = known_load(v, &r->arena, g->place, g->path, &k);
    if (err == -ENOENT)
        c->upstream = UPSTREAM_KEEP;
    if (err < 0 || !k.is_there)
        return err == -ENOENT ? 0 : err;
    c->upstream_version = k.version;
    c->upstream_hash = k.content_hash;
    return arena_own(&r->arena, &c->upstream_version) && arena_own(&r->arena, &c->upstream_hash) ? 0 : -ENOMEM;
}

static artifact_content content_of_found(const found_artifact *f)
{
    return (artifact_content){.name = f->name,
                              .source = f->source,
                              .deployed_version = f->version,
                              .content_hash = f->content_hash,
                              .description = f->description,
                              .tags = f->tags};
}

static artifact_content content_of_held(const artifact *a)
{
    return (artifact_content){.name = a->name,
                              .type = a->type,
                              .source = a->source,
                              .deployed_version = a->deployed_version,
                              .content_hash = a->content_hash,
                              .description = a->description,
                              .tags = a->tags,
                              .upstream = UPSTREAM_GIVEN,
                              .upstream_version = a->upstream_version,
                              .upstream_hash = a->upstream_hash};
}

static int make_one(refresh *r, store_view *v, size_t i, artifact_content *c)
{
    if (!r->is_discovered) {
        *c = content_of_held(&r->held[i]);
        return r->held[i].upstream_given ? 0 : add_upstream(r, v, &r->origins[i], c);
    }
    *c = content_of_found(&r->found.artifacts[i]);
    const int err = artifact_type_parse(r->found.artifacts[i].type, &c->type);
    return err < 0 ? err : add_upstream(r, v, &r->origins[i], c);
}

static int make_all(refresh *r, store_view *v)
{
    project stored = {0};
    size_t equal;
    int err = project_load(v, &r->arena, r->id, &stored);

    if (err == 0)
        err = copy_project(&r->arena, &stored, &r->is);
    if (err == 0 && !r->is_discovered)
        err = load_held(r, v);
    if (err == 0 && !r->is_discovered) /* a report may have come since */
        err = note_origins(r, v);
    if (err < 0)
        return err;
    r->n_content = 0;
    r->content = arena_array(&r->arena, artifact_content, r->n);
    if (!r->content)
        return -ENOMEM;
    for (size_t i = 0; err == 0 && i < r->n; i++) {
        artifact_content *c = &r->content[r->n_content];
        err = make_one(r, v, i, c);
        r->n_content += err == 0;
        err = err == -EINVAL ? 0 : err; /* of a type that is none */
    }
    return err < 0 ? err : project_content_sort(r->id, r->content, r->n_content, &equal);
}

void refresh_make_work(job *j)
{
    refresh *r = CONTAINER_OF(j, refresh, job);
    store_view *v;

    r->work_status = store_read_begin_job(r->owner->o.store, &v);
    if (r->work_status < 0)
        return;
    r->work_status = make_all(r, v);
    store_read_end(v);
}
