/* seed DATA_DIR ENTRIES [SOURCES]: a data_dir as many scans would have left it, written through the sources room's own
 * functions, so that `larder serve` finds records, indexes and totals that belong together. The same arguments always
 * give the same records. Names are like those people give: a few combinations are common, most occur once. */
#include <stdio.h>
#include <stdlib.h>

#include "app/cli.h"
#include "domains/sources/records.h"
#include "larder/hash.h"

#include "seed_names.h"

#define STEP 200000 /* entries a commit */
#define MAX_SIZE (INT64_C(16) << 30)
#define BEGAN INT64_C(1750000000000) /* wall ms: when the first source was registered */
#define NEXT_SCAN INT64_C(4102444800000)

typedef struct seeding {
    store_op op; /* op.at: entries written */
    uint64_t entries, sources;
} seeding;

static const char *const tags[] = {"automation",   "beginner",     "daily",   "documents",
                                   "experimental", "productivity", "quality", "team"};

static detect_type type_of(uint64_t x)
{
    const unsigned of_ten = (unsigned)(x >> 44) % 10;

    return of_ten < 6 ? DETECT_SKILL : of_ten < 8 ? DETECT_COMMAND : of_ten < 9 ? DETECT_AGENT : DETECT_HOOK;
}

static int count_types(arena *a, uint64_t first, uint64_t entries, counts *ret)
{
    count_of *v = arena_array(a, count_of, DETECT_TYPE_COUNT);
    int64_t n[DETECT_TYPE_COUNT] = {0};
    size_t used = 0;

    if (!v)
        return -ENOMEM;
    for (uint64_t i = first; i < first + entries; i++)
        n[type_of(mix(i))]++;
    for (size_t type = 0; type < DETECT_TYPE_COUNT; type++)
        if (n[type])
            v[used++] = (count_of){detect_type_name((detect_type)type), n[type]};
    *ret = (counts){v, used};
    return 0;
}

/* The id is null without memory, here and below. */
static source source_of(arena *a, uint64_t number, uint64_t first, uint64_t entries)
{
    const uint64_t x = mix(~number);
    const str owner = arena_printf(a, "%s-%s", PICK(teams, number), PICK(doings, number / COUNT_OF(teams)));
    const str repo = arena_printf(a, "%s-kit-%03u", PICK(subjects, x), (unsigned)number);
    const int64_t scanned = BEGAN + (int64_t)(number * 60000);
    str *topics = arena_array(a, str, 2);
    counts by_type;

    if (!topics || count_types(a, first, entries, &by_type) < 0)
        return (source){.id = STR_NULL};
    topics[0] = str_c(PICK(subjects, x >> 8));
    topics[1] = str_c(PICK(tags, x >> 16));
    return (source){
        .id = arena_printf(a, "src_" STR_FMT "_" STR_FMT, STR_ARG(owner), STR_ARG(repo)),
        .repo_url = arena_printf(a, "https://github.com/" STR_FMT "/" STR_FMT, STR_ARG(owner), STR_ARG(repo)),
        .owner = owner,
        .repo_name = repo,
        .ref = STR("main"),
        .trust_level = STR("basic"),
        .visibility = STR("public"),
        .scan_status = STR("success"),
        .artifact_count = (int64_t)entries,
        .artifact_count_from_cache = (int64_t)entries,
        .new_artifact_count = (int64_t)entries,
        .counts_by_type = by_type,
        .last_sync_at = scanned,
        .last_indexed_at = scanned,
        .created_at = BEGAN,
        .updated_at = scanned,
        .next_scan_at = NEXT_SCAN,
        .indexing_enabled = true,
        .indexing_strategy = STR("archive"),
        .last_indexed_tree_sha =
            arena_printf(a, "%016llx%016llx%08x", (unsigned long long)x, (unsigned long long)mix(x), (unsigned)x),
        .topics = {topics, 2},
        .license = STR("MIT"),
        .ref_given = true,
        .scan_number = 1,
    };
}

static entry entry_of(arena *a, const source *of, uint64_t number)
{
    const uint64_t x = mix(number);
    const str name = name_of(a, x);
    const str type = detect_type_name(type_of(x));
    const str path = arena_printf(a, STR_FMT "s/%s/" STR_FMT "-%llu", STR_ARG(type), PICK(tags, x >> 12), STR_ARG(name),
                                  (unsigned long long)number);
    char *id = arena_alloc(a, ENTRY_ID_LEN);
    str *own_tags = arena_array(a, str, 1);
    count_of *points = arena_array(a, count_of, 2);

    if (!id || !own_tags || !points)
        return (entry){.id = STR_NULL};
    entry_id_make(of->id, type, path, id);
    own_tags[0] = str_c(PICK(tags, x >> 20));
    points[0] = (count_of){STR("dir_name_score"), 10};
    points[1] = (count_of){STR("manifest_score"), 20};
    return (entry){
        .id = str_of(id, ENTRY_ID_LEN),
        .source_id = of->id,
        .artifact_type = type,
        .name = name,
        .path = path,
        .upstream_url = arena_printf(a, STR_FMT "/tree/main/" STR_FMT, STR_ARG(of->repo_url), STR_ARG(path)),
        .detected_version =
            arena_printf(a, "%u.%u.%u", (unsigned)(x >> 50) % 4, (unsigned)(x >> 54) % 10, (unsigned)(x >> 58)),
        .detected_sha = of->last_indexed_tree_sha,
        .detected_at = of->last_sync_at,
        .confidence_score = 60 + (int64_t)(x >> 33) % 41,
        .raw_score = 30,
        .score_breakdown = {points, 2},
        .status = entry_status_text(ENTRY_NEW),
        .description = arena_printf(a, "Use when the %s has to go through the %s before the %s is written",
                                    PICK(subjects, x >> 8), PICK(doings, x >> 16), PICK(subjects, x >> 24)),
        .tags = {own_tags, 1},
        .license = STR("MIT"),
        .content_hash =
            arena_printf(a, "%016llx%016llx%016llx%016llx", (unsigned long long)x, (unsigned long long)mix(x + 1),
                         (unsigned long long)mix(x + 2), (unsigned long long)mix(x + 3)),
        .created_at = of->last_sync_at,
        .updated_at = of->last_sync_at,
    };
}

/* One source after the other; of a source, the record first. */
static int apply(store_txn *t, store_op *op)
{
    const seeding *s = CONTAINER_OF(op, seeding, op);
    const uint64_t each = (s->entries + s->sources - 1) / s->sources;
    const uint64_t end = op->at + STEP < s->entries ? op->at + STEP : s->entries;
    arena of_source, of_entry;
    source src = {0};
    int r = 0;

    arena_init(&of_source, 0);
    arena_init(&of_entry, 0);
    for (; r == 0 && op->at < end; op->at++) {
        const uint64_t number = op->at / each, first = number * each;
        if (!src.id.p || op->at == first) {
            arena_reset(&of_source);
            src = source_of(&of_source, number, first, s->entries - first < each ? s->entries - first : each);
            r = src.id.p ? source_put(t, &src) : -ENOMEM;
        }
        const entry e = entry_of(&of_entry, &src, op->at);
        if (r == 0)
            r = e.id.p ? entry_put(t, &e) : -ENOMEM;
        arena_reset(&of_entry);
    }
    arena_done(&of_source);
    arena_done(&of_entry);
    return r < 0 || op->at == s->entries ? r : STORE_MORE;
}

int main(int argc, char **argv)
{
    SCOPED(arena_done)
    arena a;
    store *st;
    str why = STR_NULL;
    seeding s = {.op = {.apply = apply}};

    arena_init(&a, 0);
    if (argc < 3) {
        fprintf(stderr, "usage: seed DATA_DIR ENTRIES [SOURCES]\n");
        return 2;
    }
    s.entries = strtoull(argv[2], NULL, 10);
    s.sources = argc > 3 ? strtoull(argv[3], NULL, 10) : 200;
    if (s.entries < 1 || s.sources < 1 || s.sources > s.entries) {
        fprintf(stderr, "seed: at least one entry for each source\n");
        return 2;
    }
    const config c = {.data_dir = str_c(argv[1]), .store_max_size = MAX_SIZE};
    int r = app_open_store(&c, NULL, false, &a, &st, &why);
    if (r == 0) {
        r = store_run(st, &s.op);
        store_close(st, NULL, NULL);
    }
    if (r < 0)
        fprintf(stderr, "seed: " STR_FMT "\n", STR_ARG(why.p ? why : str_c(err_text(r))));
    return r < 0;
}
