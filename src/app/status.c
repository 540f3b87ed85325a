/* `larder status`: what GET /api/v1/cache/status knows, for people. It looks at the store, so that it needs neither key
 * nor server; what a server is busy with comes from progress.h. Where standard output is no terminal, it looks once. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "progress.h"

#define LOOK_MS 250
#define BAR 24 /* characters */

/* ---- figures ---- */
static void print_time(const char *name, int64_t at)
{
    char text[RFC3339_LEN + 1];

    if (at)
        rfc3339_format(at, text);
    printf("%-14s %s\n", name, at ? text : "never");
}

static int print_figures(store *s, const config *c)
{
    api_figures f;

    const int r = api_figures_of(s, clk_wall_ms(clk_real()), c->projects_ttl, &f);
    if (r < 0)
        return r;
    printf("%-14s %" PRId64 ", %" PRId64 " stale\n", "projects", f.projects, f.stale);
    printf("%-14s %" PRId64 ", %" PRId64 " outdated\n", "artifacts", f.artifacts, f.outdated);
    printf("%-14s %" PRId64 ", with %" PRId64 " entries\n", "sources", f.sources, f.entries);
    printf("%-14s %.1f MB\n", "cache size", (double)f.used_bytes / 1e6);
    print_time("oldest entry", f.oldest_entry);
    print_time("newest entry", f.newest_entry);
    print_time("last refresh", f.last_refresh);
    print_time("last run", f.last_run);
    print_time("next run", f.next_run);
    printf("%-14s %s\n", "scheduler",
           store_is_served(s) ? "running" : "not running: no server serves this store");
    return 0;
}

/* ---- what goes on ---- */
static bool is_busy(const progress_note *n)
{
    return n->refreshing > 0 || n->scanning > 0;
}

/* "refreshing 7 of 12 projects, 1 failed; scanning 2 sources" */
static void print_progress(const progress_note *n)
{
    const int64_t all = n->done + n->refreshing;

    if (n->refreshing > 0)
        printf("refreshing     %" PRId64 " of %" PRId64 " projects done, %" PRId64 " failed", n->done, all, n->failed);
    if (n->scanning > 0)
        printf("%s%" PRId64 " sources", n->refreshing > 0 ? "; scanning " : "scanning       ", n->scanning);
}

static void draw(const progress_note *n)
{
    const int64_t all = n->done + n->refreshing;
    const int filled = all > 0 ? (int)(n->done * BAR / all) : 0;

    fputs("\r\033[K", stdout); /* the line anew */
    for (int i = 0; n->refreshing > 0 && i < BAR; i++)
        putchar(i < filled ? '#' : '.');
    putchar(' ');
    print_progress(n);
    (void)fflush(stdout);
}

static int follow(store *s, progress_note *n)
{
    int r = 0;

    while (r == 0 && is_busy(n)) {
        draw(n);
        (void)poll(NULL, 0, LOOK_MS);
        r = progress_read(s, clk_wall_ms(clk_real()), n);
    }
    fputs("\r\033[K", stdout);
    return r;
}

static int show(store *s, const config *c)
{
    progress_note n;

    int r = progress_read(s, clk_wall_ms(clk_real()), &n);
    if (r == 0)
        r = print_figures(s, c);
    if (r < 0 || !is_busy(&n))
        return r;
    if (!isatty(STDOUT_FILENO)) {
        print_progress(&n);
        putchar('\n');
        return 0;
    }
    putchar('\n');
    r = follow(s, &n);
    return r < 0 ? r : print_figures(s, c);
}

int command_status(cli *c)
{
    SCOPED(arena_done)
    arena a;
    store *s;
    str why;

    arena_init(&a, 0);
    if (app_open_store(&c->config, NULL, APP_READS, &a, &s, &why) < 0)
        return cli_fail(STR_FMT, STR_ARG(why));
    const int r = show(s, &c->config);
    store_close(s, NULL, NULL);
    return r < 0 ? cli_fail("the store can't be read: %s", store_err_text(r)) : EXIT_DONE;
}
