/* Discovery on disk: discover_bench ROOT. Looks for the projects below ROOT (make_projects.py makes some) and reads
 * each of them, several times over. CPU and wall time, medians of the rounds; the first, which may find nothing in the
 * page cache, is told by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "larder/discover.h"

#define ROUNDS 5

typedef struct round {
    double find_cpu, find_wall, read_cpu, read_wall; /* ms; reading: of all projects */
    size_t projects, artifacts, faults, memory;      /* memory: bytes, the largest project's */
} round;

static double ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(int r, const char *what)
{
    if (r < 0) {
        fprintf(stderr, "discover_bench: %s: %s\n", what, err_text(r));
        exit(1);
    }
}

static void read_all(str root, strs paths, round *ret)
{
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < paths.n; i++) {
        found_project p;
        check(discover_read(&a, root, paths.v[i], &p), "discover_read");
        ret->artifacts += p.n;
        ret->faults += p.why.p != NULL;
        if (a.total > ret->memory)
            ret->memory = a.total;
        arena_reset(&a);
    }
    arena_done(&a);
}

static round run(str root)
{
    arena a;
    strs paths, folders;
    str why;
    round r = {0};
    arena_init(&a, 0);
    double cpu = ms(CLOCK_PROCESS_CPUTIME_ID), wall = ms(CLOCK_MONOTONIC);
    check(discover_projects(&a, root, &paths, &folders, &why), "discover_projects");
    double cpu_found = ms(CLOCK_PROCESS_CPUTIME_ID), wall_found = ms(CLOCK_MONOTONIC);
    read_all(root, paths, &r);
    r.find_cpu = cpu_found - cpu;
    r.find_wall = wall_found - wall;
    r.read_cpu = ms(CLOCK_PROCESS_CPUTIME_ID) - cpu_found;
    r.read_wall = ms(CLOCK_MONOTONIC) - wall_found;
    r.projects = paths.n;
    arena_done(&a);
    return r;
}

static int by_read_cpu(const void *x, const void *y)
{
    const round *a = x, *b = y;
    return (a->read_cpu > b->read_cpu) - (a->read_cpu < b->read_cpu);
}

static void print(const char *what, const round *r)
{
    double n = r->projects > 0 ? (double)r->projects : 1;
    printf("%-6s find %7.1f ms cpu %7.1f ms; read, a project: %6.3f ms cpu %6.3f ms\n", what, r->find_cpu, r->find_wall,
           r->read_cpu / n, r->read_wall / n);
}

int main(int argc, char **argv)
{
    round rounds[ROUNDS];
    if (argc != 2) {
        fprintf(stderr, "discover_bench ROOT\n");
        return 2;
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        rounds[i] = run(str_c(argv[1]));
        if (i == 0)
            print("first", &rounds[0]);
    }
    qsort(rounds, ROUNDS, sizeof(*rounds), by_read_cpu);
    const round *m = &rounds[ROUNDS / 2];
    print("median", m);
    printf("%zu projects, %zu artifacts, %zu with faults; at most %zu KiB for one\n", m->projects, m->artifacts,
           m->faults, m->memory / 1024);
    return 0;
}
