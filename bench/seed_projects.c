/* seed_projects DATA_DIR PROJECTS [ARTIFACTS]: a data_dir as reports of so many projects, with so many artifacts each,
 * would have left it, written by what writes reports. The same arguments always give the same projects, fetched when
 * this runs. A fifth of a project's artifacts are ones that many projects have; every tenth is outdated. */
#include <stdio.h>
#include <stdlib.h>

#include "app/cli.h"
#include "domains/artifacts/project_write.h"
#include "larder/clock.h"

#include "seed_names.h"

#define STEP 1000 /* projects a commit */
#define MAX_SIZE (INT64_C(16) << 30)
#define NEXT_REFRESH INT64_C(4102444800000)
#define COMMON 2000 /* artifacts that many projects have */

typedef struct seeding {
    store_op op; /* op.at: projects written */
    uint64_t projects, artifacts;
    int64_t now;
} seeding;

static const char *const kinds[] = {"service", "web", "worker", "gateway", "mobile", "infra", "docs", "tools"};

static str type_of(uint64_t x)
{
    const unsigned of_twenty = (unsigned)(x >> 44) % 20;

    return of_twenty < 12   ? STR("skill")
           : of_twenty < 16 ? STR("command")
           : of_twenty < 18 ? STR("agent")
           : of_twenty < 19 ? STR("hook")
                            : STR("mcp");
}

/* The name is null without memory. */
static artifact_content content_of(arena *a, uint64_t owner, uint64_t number)
{
    const uint64_t what = mix(number % 5 == 0 ? number + mix(owner) % COMMON * 5 : owner << 20 | number);
    const uint64_t x = mix(what ^ owner << 32); /* versions differ from project to project */
    const unsigned major = (unsigned)(x >> 50) % 4, minor = (unsigned)(x >> 54) % 12;
    const str name = name_of(a, what), type = type_of(what);
    artifact_content c = {
        .name = name,
        .type = type,
        .source = arena_printf(a, "github:%s-tools/%s-kit/" STR_FMT "s/" STR_FMT "@latest", PICK(teams, what >> 12),
                               PICK(subjects, what >> 20), STR_ARG(type), STR_ARG(name)),
        .deployed_version = arena_printf(a, "%u.%u.%u", major, minor, (unsigned)(x >> 58) % 20),
        .content_hash =
            arena_printf(a, "%016llx%016llx%016llx%016llx", (unsigned long long)x, (unsigned long long)mix(x + 1),
                         (unsigned long long)mix(x + 2), (unsigned long long)mix(x + 3)),
        .description = arena_printf(a, "Helps the %s with the %s", PICK(doings, what >> 16), PICK(subjects, what >> 8)),
        .upstream = UPSTREAM_GIVEN,
    };

    c.upstream_version =
        x % 10 ? c.deployed_version : arena_printf(a, "%u.%u.0", major + (unsigned)(x >> 8) % 2, minor + 1);
    return c;
}

/* Texts in the arena. Artifacts that fall together in name and type are left out. */
static int contents_of(arena *a, str id, uint64_t owner, uint64_t n, artifact_content *v, size_t *ret_n)
{
    size_t second, used = 0;

    for (uint64_t i = 0; i < n; i++, used++) {
        v[used] = content_of(a, owner, i);
        if (!v[used].name.p || !v[used].upstream_version.p || !v[used].content_hash.p)
            return -ENOMEM;
    }
    int r;
    while ((r = project_content_sort(id, v, used, &second)) == -EEXIST)
        for (size_t i = 0; i < used; i++)
            if (v[i].place == second) {
                v[i] = v[--used];
                break;
            }
    *ret_n = used;
    return r;
}

static int put_project(store_txn *t, const seeding *s, uint64_t number)
{
    const uint64_t x = mix(~number);
    const char *team = PICK(teams, x), *kind = PICK(kinds, x >> 8);
    SCOPED(arena_done)
    arena a;

    arena_init(&a, 0);
    project_write w = {
        .id = arena_printf(&a, "bench-%06llu", (unsigned long long)number),
        .name = arena_printf(&a, "%s-%s-%s", team, PICK(subjects, x >> 16), kind),
        .path = arena_printf(&a, "/srv/checkouts/%s/%s-%llu", team, kind, (unsigned long long)number),
        .origin = STR("reported"),
        .content = arena_array(&a, artifact_content, s->artifacts),
        .now = s->now,
        .next_refresh_at = NEXT_REFRESH,
    };
    if (!w.id.p || !w.name.p || !w.path.p || !w.content)
        return -ENOMEM;
    int r = contents_of(&a, w.id, number, s->artifacts, w.content, &w.n);
    if (r == 0)
        r = artifact_log_new(&w.log);
    if (r == 0) {
        r = project_write_apply(t, &w.op);
        artifact_log_free(w.log);
        project_write_done(&w);
    }
    return r;
}

static int apply(store_txn *t, store_op *op)
{
    const seeding *s = CONTAINER_OF(op, seeding, op);
    const uint64_t end = op->at + STEP < s->projects ? op->at + STEP : s->projects;
    int r = 0;

    for (; r == 0 && op->at < end; op->at++)
        r = put_project(t, s, op->at);
    return r < 0 || op->at == s->projects ? r : STORE_MORE;
}

int main(int argc, char **argv)
{
    SCOPED(arena_done)
    arena a;
    store *st;
    str why = STR_NULL;
    seeding s = {.op = {.apply = apply}, .now = clk_wall_ms(clk_real())};

    arena_init(&a, 0);
    if (argc < 3) {
        fprintf(stderr, "usage: seed_projects DATA_DIR PROJECTS [ARTIFACTS]\n");
        return 2;
    }
    s.projects = strtoull(argv[2], NULL, 10);
    s.artifacts = argc > 3 ? strtoull(argv[3], NULL, 10) : 100;
    if (s.projects < 1 || s.artifacts < 1 || s.artifacts > PROJECT_ONE_STEP) {
        fprintf(stderr, "seed_projects: at least one project, of 1 to %d artifacts\n", PROJECT_ONE_STEP);
        return 2;
    }
    const config c = {.data_dir = str_c(argv[1]), .store_max_size = MAX_SIZE};
    int r = app_open_store(&c, NULL, false, &a, &st, &why);
    if (r == 0) {
        r = store_run(st, &s.op);
        store_close(st, NULL, NULL);
    }
    if (r < 0)
        fprintf(stderr, "seed_projects: " STR_FMT "\n", STR_ARG(why.p ? why : str_c(err_text(r))));
    return r < 0;
}
