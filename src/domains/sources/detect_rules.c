#include "detect_rules.h"

#include "larder/repo_path.h"

#define MIN_CONFIDENCE 30
#define RAW_MAX 160

/* ---- 1: composites ---- */

static int composite_confidence(const tree_dir *x)
{
    if (x->has_plugin_folder)
        return 98;
    if (x->has & HAS_PLUGIN_JSON)
        return 95;
    if (x->has & HAS_COMPOSITE)
        return 90;
    bool has_two_parts = (x->plugin_parts & (x->plugin_parts - 1)) != 0;
    return has_two_parts && x->has && !(x->has & HAS_SKILL) ? 70 : 0;
}

static int add_directory(detector *d, uint32_t dir, detect_type type, int confidence, detect_score score)
{
    const tree_dir *x = &d->tree.dirs[dir];
    score.normalized_score = (int16_t)confidence;
    found f = {.artifact = {.type = type,
                            .name = x->name,
                            .path = dir == TREE_ROOT ? STR(".") : x->path,
                            .confidence = confidence,
                            .score = score},
               .dir = dir};
    f.artifact.is_manual = x->mapped_at != TREE_NONE || x->mapped_type == DETECT_COMPOSITE;
    return detect_add(d, &f);
}

static int find_composite(detector *d, uint32_t dir)
{
    tree_dir *x = &d->tree.dirs[dir];
    bool is_mapped = x->mapped_type == DETECT_COMPOSITE;
    bool is_container = x->word && x->word->is_container;
    if (dir == TREE_ROOT || (is_container && !is_mapped))
        return 0;

    int confidence = is_mapped ? 95 : composite_confidence(x);
    if (confidence == 0)
        return 0;
    x->is_composite = true;
    detect_score score = {
        .manifest_score = (int16_t)confidence,
        .raw_total = confidence >= 90 ? RAW_MAX : 112,
    };
    return add_directory(d, dir, DETECT_COMPOSITE, confidence, score);
}

/* ---- 2 and 6: single files ---- */

typedef struct file_scope {
    detect_type type; /* DETECT_NO_TYPE: outside any container or mapped directory */
    unsigned depth;   /* below it */
    bool is_manual;
} file_scope;

/* The closest of containers and mapped directories decides; for one directory that is both, the map. */
static file_scope scope_of(const tree *t, const tree_dir *x)
{
    const tree_dir *mapped = x->mapped_at != TREE_NONE ? &t->dirs[x->mapped_at] : NULL;
    const tree_dir *container = x->container_at != TREE_NONE ? &t->dirs[x->container_at] : NULL;
    if (mapped && (!container || mapped->parts >= container->parts))
        return (file_scope){(detect_type)mapped->mapped_type, (unsigned)(x->parts - mapped->parts), true};
    if (container)
        return (file_scope){container->word->type, (unsigned)(x->parts - container->parts), false};
    return (file_scope){.type = DETECT_NO_TYPE};
}

static int at_least(int floor, int value)
{
    return value > floor ? value : floor;
}

static int manual_confidence(unsigned depth)
{
    return at_least(86, 95 - 3 * (int)depth);
}

static int single_confidence(file_scope scope)
{
    if (scope.is_manual)
        return manual_confidence(scope.depth);
    return scope.depth == 0 ? 75 : at_least(50, 70 - 5 * ((int)scope.depth - 1));
}

static int add_file(detector *d, const tree_file *file, file_scope scope, int confidence, detect_score score)
{
    str name = tree_file_name(file);
    if (scope.type != DETECT_MCP)
        name.n -= strlen(".md");
    score.extensions_score = 5;
    score.raw_total = 30;
    score.normalized_score = (int16_t)confidence;
    score.single_file_detection = 1;
    found f = {.artifact = {.type = scope.type,
                            .is_manual = scope.is_manual,
                            .name = name,
                            .path = file->file->path,
                            .confidence = confidence,
                            .score = score},
               .dir = file->dir,
               .file = file};
    return detect_add(d, &f);
}

static int find_loose_file(detector *d, const tree_file *file)
{
    detect_type type = d->options->frontmatter ? detect_front_type(file->file->front) : DETECT_NO_TYPE;
    if (type == DETECT_NO_TYPE)
        return 0;
    return add_file(d, file, (file_scope){.type = type}, 65, (detect_score){.frontmatter_score = 25});
}

static int find_single_file(detector *d, const tree_file *file)
{
    const tree_dir *x = &d->tree.dirs[file->dir];
    if (!(file->bits & HAS_LOOSE_MD) || (x->has & HAS_MD_MANIFEST) || x->is_inside || x->is_in_skill)
        return 0;
    file_scope scope = scope_of(&d->tree, x);
    if (scope.type == DETECT_NO_TYPE)
        return find_loose_file(d, file);
    if (scope.type == DETECT_SKILL)
        return 0;
    int penalty = !scope.is_manual && scope.depth > 1 ? 5 * ((int)scope.depth - 1) : 0;
    return add_file(d, file, scope, single_confidence(scope),
                    (detect_score){.container_hint_score = 25, .depth_penalty = (int16_t)penalty});
}

/* ---- 3, 4 and 5: directories ---- */

/* A directory that only groups single files of a container. */
static bool is_grouping(const tree_dir *x)
{
    return x->container_at != TREE_NONE && !(x->has & (HAS_MD_MANIFEST | HAS_OTHER)) && (x->has & HAS_LOOSE_MD);
}

static int16_t sum(const detect_score *s)
{
    int raw = s->dir_name_score + s->manifest_score + s->skill_manifest_bonus + s->extensions_score +
              s->parent_hint_score + s->container_hint_score + s->standalone_bonus - s->depth_penalty;
    return (int16_t)at_least(0, raw);
}

/* The type, and where its points come from. */
static detect_type score_directory(const tree *t, const tree_dir *x, detect_score *s)
{
    const dir_word *own = x->parent == TREE_NONE ? detect_dir_word(x->name) : x->word;
    const dir_word *above = x->parent == TREE_NONE ? NULL : t->dirs[x->parent].word;
    detect_type container = x->container_at != TREE_NONE ? t->dirs[x->container_at].word->type : DETECT_NO_TYPE;
    detect_type manifest = detect_manifest_type(x->has);
    detect_type type = DETECT_NO_TYPE;

    if (own && own->type != DETECT_NO_TYPE) {
        type = own->type;
        s->dir_name_score = 10;
    } else if (above && above->type != DETECT_NO_TYPE) {
        type = above->type;
        s->dir_name_score = 5;
    }
    if (manifest != DETECT_NO_TYPE) {
        type = manifest;
        s->manifest_score = 20;
        s->skill_manifest_bonus = manifest == DETECT_SKILL ? 40 : 0;
        s->standalone_bonus = container == DETECT_NO_TYPE ? 25 : 0;
    }
    s->extensions_score = x->code_files < 5 ? x->code_files : 5;
    if (container != DETECT_NO_TYPE && type == DETECT_NO_TYPE) {
        type = container;
        s->container_hint_score = 12;
    } else if (container != DETECT_NO_TYPE && type == container) {
        s->container_hint_score = 25;
    }
    if (type != DETECT_NO_TYPE && (x->hints & (HINT_ANY | 1u << type)))
        s->parent_hint_score = 15;
    int depth = x->parts - (int)t->root_parts;
    s->depth_penalty = (int16_t)(container != DETECT_NO_TYPE ? depth / 2 : depth);
    s->raw_total = sum(s);
    return type;
}

/* raw as a percentage of RAW_MAX, which the signals together don't reach; halves to the even side. */
static int percentage(int raw)
{
    int whole = raw * 100 / RAW_MAX, rest = raw * 100 % RAW_MAX;
    bool up = 2 * rest > RAW_MAX || (2 * rest == RAW_MAX && whole % 2 == 1);
    return whole + up;
}

static bool is_flat_type(detect_type type)
{
    return type == DETECT_COMMAND || type == DETECT_AGENT || type == DETECT_HOOK;
}

static int find_by_signals(detector *d, uint32_t dir)
{
    const tree_dir *x = &d->tree.dirs[dir];
    if ((x->word && x->word->is_container) || is_grouping(x))
        return 0;
    detect_score score = {0};
    detect_type type = score_directory(&d->tree, x, &score);
    int confidence = percentage(score.raw_total);
    if (type == DETECT_NO_TYPE || confidence < MIN_CONFIDENCE)
        return 0;
    if (is_flat_type(type) && x->has_odd_child)
        confidence = at_least(MIN_CONFIDENCE, confidence - 15);
    return add_directory(d, dir, type, confidence, score);
}

static int find_mapped(detector *d, uint32_t dir)
{
    const tree_dir *x = &d->tree.dirs[dir], *mapped = &d->tree.dirs[x->mapped_at];
    bool is_container = x->word && x->word->is_container && x != mapped;
    if (mapped->mapped_type != DETECT_SKILL || !(x->has & HAS_SKILL) || is_container)
        return 0;
    return add_directory(d, dir, DETECT_SKILL, manual_confidence((unsigned)(x->parts - mapped->parts)),
                         (detect_score){.raw_total = RAW_MAX});
}

static int find_directory(detector *d, uint32_t dir)
{
    const tree_dir *x = &d->tree.dirs[dir];
    if (x->is_composite || x->has == 0 || (dir == TREE_ROOT && !(x->has & HAS_SKILL)))
        return 0;
    return x->mapped_at != TREE_NONE ? find_mapped(d, dir) : find_by_signals(d, dir);
}

/* ---- all of them ---- */

static bool is_eligible(const tree *t, uint32_t dir)
{
    const tree_dir *x = &t->dirs[dir];
    return x->parts >= t->root_parts && x->parts <= DETECT_MAX_PARTS &&
           !(dir != TREE_ROOT && detect_is_plugin_folder(x->name));
}

int detect_run_rules(detector *d)
{
    int r = 0;
    for (uint32_t i = 0; i < d->tree.n_dirs && r == 0; i++) {
        if (!is_eligible(&d->tree, i))
            continue;
        r = find_composite(d, i);
        if (r == 0)
            r = find_directory(d, i);
    }
    for (uint32_t i = 0; i < d->tree.n_files && r == 0; i++)
        r = find_single_file(d, &d->tree.files[i]);
    return r;
}
