/* A week of scheduling in seconds: nothing starves, nothing runs twice, jitter spreads the load, and upstream is
 * asked in proportion to its repositories, not to projects. */
#include "depot.h"

#define PROJECTS 40
#define REPOS 3

static void stock(depot *d)
{
    static const char *const names[REPOS] = {"tools", "more", "rest"};
    for (unsigned i = 0; i < REPOS; i++) {
        fake_repo *r = fake_repo_new(&d->github, "acme", names[i]);
        fake_put(r, "skills/pdf/SKILL.md", "---\nname: pdf\nversion: 1.2.0\n---\n");
        fake_commit(r);
    }
    const deployed all[] = {{"a", "github:acme/tools/skills/pdf", "1.0.0", NULL, NULL},
                            {"b", "github:acme/more/skills/pdf", "1.0.0", NULL, NULL},
                            {"c", "github:acme/rest/skills/pdf", "1.2.0", NULL, NULL}};
    for (unsigned i = 0; i < PROJECTS - 10; i++) {
        char id[20];
        snprintf(id, sizeof(id), "p%02u", i);
        assert_int_equal(depot_report(d, id, all, COUNT_OF(all)), 0);
    }
    for (unsigned i = 0; i < 10; i++) {
        char path[20];
        snprintf(path, sizeof(path), "/sr/f%u", i);
        disk_put(disk_add(path), "a", "github:acme/tools/skills/pdf", "1.0.0", NULL);
    }
    projects_configure(d->projects, &d->options);
}

/* Refreshes that began in each of the last day's 48 half hours. */
static void load(depot *d, unsigned out[48])
{
    for (unsigned i = 0; i < 48; i++) {
        const unsigned before = d->events[REFRESH_STARTED];
        depot_live(d, MINUTES(30));
        out[i] = d->events[REFRESH_STARTED] - before;
    }
}

static void check_gaps(const depot *d, unsigned least, unsigned most)
{
    assert_int_equal(d->n_seen, PROJECTS);
    for (size_t i = 0; i < d->n_seen; i++) {
        assert_in_range(d->seen[i].n, least, most);
        /* Ten times as fast as need be: who is due waits for a tenth of the interval at worst. */
        assert_in_range(d->seen[i].longest, DEPOT_INTERVAL, DEPOT_INTERVAL * 12 / 10);
        assert_in_range(d->seen[i].shortest, DEPOT_INTERVAL * 9 / 10 - MINUTES(1), DEPOT_INTERVAL * 11 / 10);
    }
}

static void a_week_passes(void **state)
{
    (void)state;
    unsigned by_half_hour[48], sum = 0, most = 0;
    depot d;
    depot_open(&d);
    stock(&d);
    depot_live(&d, MINUTES(10));          /* all have been refreshed for the first time */
    for (size_t i = 0; i < d.n_seen; i++) /* from a report on it isn't an interval */
        d.seen[i] = (struct depot_seen){.n = 1, .last = d.seen[i].last, .shortest = INT64_MAX};
    d.n_seen = 0;
    depot_live(&d, HOURS(24 * 6));
    load(&d, by_half_hour);
    check_gaps(&d, 25, 32);
    for (unsigned i = 0; i < 48; i++) {
        sum += by_half_hour[i];
        most = by_half_hour[i] > most ? by_half_hour[i] : most;
    }
    assert_in_range(sum, PROJECTS * 4 * 8 / 10, PROJECTS * 4 * 12 / 10);
    assert_in_range(most, 1, PROJECTS / 3); /* they began within one minute */
    assert_in_range(d.most_running, 1, 3);
    /* At most ten conditional requests a repository and interval, plus what the first ones cost. */
    assert_in_range(d.github.asked_in_all, REPOS * 28, REPOS * 28 * 11);
    assert_in_range(d.github.not_modified, d.github.asked_in_all - REPOS * 3 - 5, d.github.asked_in_all);
    assert_int_equal(projects_stats_of(d.projects)->failed, 0);
    depot_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_week_passes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
