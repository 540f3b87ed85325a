/* The first line holds options, each further line is a path: 'f' asks for frontmatter, 's' for one single artifact; of
 * the words behind, "DIR=TYPE" is a row of the manual_map, any other the root_hint. The result must keep its promises,
 * and must not depend on the order of the listing. */
#include "larder/detect.h"

#define MAX_PATHS 2000
#define MAX_MAP 16

static const frontmatter telling = {.name = {"n", 1}, .description = {"d", 1}, .keys = FRONT_TOOLS};

static detect_options read_options(str line, pair *map)
{
    detect_options o = {.repo_name = STR("repo"), .manual_map = {map, 0}};
    str word, flags = STR("");
    (void)str_cut(&line, ' ', &flags);
    o.frontmatter = str_chr(flags, 'f') >= 0;
    o.is_single = str_chr(flags, 's') >= 0;
    while (str_cut(&line, ' ', &word)) {
        ptrdiff_t equals = str_chr(word, '=');
        if (equals < 0)
            o.root_hint = utf8_valid(word) ? word : STR(""); /* it came as JSON */
        else if (o.manual_map.n < MAX_MAP)
            map[o.manual_map.n++] = (pair){str_head(word, (size_t)equals), str_from(word, (size_t)equals + 1)};
    }
    return o;
}

static size_t read_paths(str text, detect_file *files)
{
    str line;
    size_t n = 0;
    while (n < MAX_PATHS && str_cut(&text, '\n', &line)) {
        uint64_t h = hash64(line.p, line.n / 2); /* so that some contents are equal */
        files[n] = (detect_file){.path = line, .is_link = line.n % 16 == 15, .front = line.n % 2 ? &telling : NULL};
        memcpy(files[n++].sha, &h, sizeof(h));
    }
    return n;
}

/* A single artifact's folder is looked for by who asks: see detect.h. */
static void check(const detect_result *r, bool is_single)
{
    for (size_t i = 0; i < r->n; i++) {
        const detected *d = &r->v[i];
        REQUIRE(d->confidence >= 30 && d->confidence <= 100 && d->type < DETECT_TYPE_COUNT);
        REQUIRE(d->name.n > 0 && d->path.n > 0 && (d->files > 0 || is_single) && utf8_valid(d->path));
        if (i == 0)
            continue;
        const detected *before = &r->v[i - 1];
        int order =
            before->confidence != d->confidence ? before->confidence - d->confidence : -str_cmp(before->path, d->path);
        REQUIRE(order > 0 || (order == 0 && before->type < d->type));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    arena_init(&a, 0);
    str text = str_of((const char *)p, n), line = STR("");
    detect_file *files = arena_array(&a, detect_file, MAX_PATHS);
    pair map[MAX_MAP];
    (void)str_cut(&text, '\n', &line);
    detect_options o = read_options(line, map);
    size_t count = read_paths(text, files);

    detect_result once, again;
    REQUIRE(files && detect_artifacts(&a, files, count, &o, &once) == 0);
    check(&once, o.is_single);
    for (size_t i = 0; i < count / 2; i++) {
        detect_file f = files[i];
        files[i] = files[count - 1 - i];
        files[count - 1 - i] = f;
    }
    REQUIRE(detect_artifacts(&a, files, count, &o, &again) == 0);
    REQUIRE(again.n == once.n && again.skipped == once.skipped);
    for (size_t i = 0; i < once.n; i++)
        REQUIRE(str_eq(once.v[i].path, again.v[i].path) && once.v[i].type == again.v[i].type);
    arena_done(&a);
    return 0;
}
