/* What recache costs: URLs queued, 10,000 a request, and how long another's small write takes meanwhile; memory with
 * all of them queued; the service's own work for each page, with a renderer that answers at once.
 *
 *   queue_bench DIR ENTRIES PAGES    prints one figure per line: name, value, unit
 *
 * DIR must not exist. */
#include "larder/hash.h"
#include "larder/recache.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define URLS_AT_ONCE 10000
#define SAMPLES_MAX 1000000

static loop *l;
static store *s;
static recache *r;

static double now(void)
{
    return (double)clk_mono_ns(clk_real()) / 1e9;
}

static double cpu(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double private_mb(void)
{
    char line[256];
    double kb = 0;
    FILE *f = fopen("/proc/self/status", "r");

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "RssAnon:", 8) == 0)
            kb = strtod(line + 8, NULL);
    if (f)
        fclose(f);
    return kb / 1024;
}

static void must(int err, const char *what)
{
    if (err >= 0)
        return;
    fprintf(stderr, "%s: %s\n", what, err_text(err));
    exit(1);
}

static void figure(const char *name, double value, const char *unit)
{
    printf("%-44s %12.2f %s\n", name, value, unit);
    fflush(stdout);
}

static int cmp_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct samples {
    double v[SAMPLES_MAX];
    size_t n;
} samples;

static void add_sample(samples *x, double v)
{
    if (x->n < SAMPLES_MAX)
        x->v[x->n++] = v;
}

static void figure_of(const char *name, samples *x)
{
    char text[64];

    if (x->n == 0)
        return;
    qsort(x->v, x->n, sizeof(*x->v), cmp_doubles);
    snprintf(text, sizeof(text), "%s, p50", name);
    figure(text, x->v[x->n / 2] * 1e3, "ms");
    snprintf(text, sizeof(text), "%s, p99", name);
    figure(text, x->v[x->n * 99 / 100] * 1e3, "ms");
    snprintf(text, sizeof(text), "%s, longest", name);
    figure(text, x->v[x->n - 1] * 1e3, "ms");
}

/* ---- another's small writes: one each 5 ms ---- */
static keyspace small_ks = {.name = "small"};
typedef struct small_write {
    store_op op;
    timer timer;
    double from;
    uint64_t n;
    bool stop, waits;
    samples took;
} small_write;
static small_write small;

static int apply_small(store_txn *t, store_op *op)
{
    const small_write *w = CONTAINER_OF(op, small_write, op);
    char key[16];

    snprintf(key, sizeof(key), "%15llx", (unsigned long long)(w->n * UINT64_C(0x9E3779B97F4A7C15) >> 4));
    return store_put(t, &small_ks, str_of(key, 15), STR("a small record"));
}

static void on_small_time(timer *t)
{
    small_write *w = CONTAINER_OF(t, small_write, timer);

    w->from = now();
    w->n++;
    w->waits = true;
    store_submit(s, &w->op);
}

static void on_small(store_op *op, int status)
{
    small_write *w = CONTAINER_OF(op, small_write, op);

    must(status, "small write");
    add_sample(&w->took, now() - w->from);
    w->waits = false;
    if (!w->stop)
        must(loop_timer_set(l, &w->timer, 5, on_small_time), "timer");
}

static void small_begin(void)
{
    small.op = (store_op){.apply = apply_small, .done = on_small};
    small.stop = false;
    small.took.n = 0;
    on_small_time(&small.timer);
}

static void small_end(const char *name)
{
    small.stop = true;
    loop_timer_cancel(l, &small.timer);
    while (small.waits)
        loop_run_once(l, true);
    figure_of(name, &small.took);
}

/* ---- queueing ---- */
static void on_task(recache_task *t)
{
    *(bool *)t->user = true;
}

static void run_task(recache_task *t, void (*fn)(recache *, recache_task *))
{
    bool done = false;

    t->on_done = on_task;
    t->user = &done;
    fn(r, t);
    while (!done)
        loop_run_once(l, true);
    must(t->status, "task");
}

static void pause_it(recache *x, recache_task *t)
{
    recache_pause(x, true, t);
}

static void resume_it(recache *x, recache_task *t)
{
    recache_pause(x, false, t);
}

static uint64_t url_number;

static void enqueue_request(samples *took, const uint16_t *dimensions, size_t n_dimensions, uint64_t *n_entries)
{
    static char texts[URLS_AT_ONCE][112];
    static str urls[URLS_AT_ONCE];
    recache_task t = {.host_id = 1, .urls = {urls, URLS_AT_ONCE}, .dimensions = dimensions,
                      .n_dimensions = n_dimensions, .priority = RECACHE_NORMAL};
    arena a;

    for (size_t i = 0; i < URLS_AT_ONCE; i++, url_number++) {
        const int n = snprintf(texts[i], sizeof(texts[i]),
                               "https://www.shop.example/category/outdoor-equipment/product-%08llu.html?v=%llu",
                               (unsigned long long)url_number, (unsigned long long)url_number % 10);
        urls[i] = str_of(texts[i], (size_t)n);
    }
    arena_init(&a, 0);
    t.arena = &a;
    const double from = now();
    run_task(&t, recache_enqueue);
    add_sample(took, now() - from);
    *n_entries += t.accepted - t.deduplicated;
    arena_done(&a);
}

static void enqueue_until(const char *name, uint64_t wanted, size_t n_dimensions, bool beside)
{
    static samples took;
    static const uint16_t DIMENSIONS[] = {1, 2, 3};
    uint64_t n = 0;
    char text[80];
    double in_tasks = 0;

    took.n = 0;
    const double cpu_from = cpu();
    if (beside)
        small_begin();
    while (n < wanted)
        enqueue_request(&took, DIMENSIONS, n_dimensions, &n);
    for (size_t i = 0; i < took.n; i++)
        in_tasks += took.v[i];
    snprintf(text, sizeof(text), "%s, entries", name);
    figure(text, (double)n / in_tasks, "/s");
    snprintf(text, sizeof(text), "%s, CPU per entry", name);
    figure(text, (cpu() - cpu_from) * 1e6 / (double)n, "us");
    snprintf(text, sizeof(text), "%s, request", name);
    figure_of(text, &took);
    if (beside)
        small_end("a small write meanwhile");
}

/* ---- rendering ---- */
static struct pending {
    render_op *op;
} pending[256];
static unsigned n_pending, n_tabs = 256;
static post answers;
static bool posted, with_html;
static str html;

static void answer_all(post *p)
{
    (void)p;
    posted = false;
    for (unsigned n = n_pending; n > 0; n--) {
        render_op *op = pending[--n_pending].op;
        op->status = with_html ? 200 : 404;
        if (with_html)
            must(op->on_piece(op, html), "piece");
        op->html_bytes = with_html ? html.n : 0;
        op->on_done(op);
    }
}

static int start(void *arg, render_op *op)
{
    (void)arg;
    if (n_pending == n_tabs)
        return -EBUSY;
    arena_init(&op->arena, 0);
    op->result = RENDER_OK;
    pending[n_pending++].op = op;
    if (!posted) {
        posted = true;
        answers.fn = answer_all;
        loop_post(l, &answers);
    }
    return 0;
}

static void no_op(render_op *op)
{
    (void)op;
}

static void op_done(render_op *op)
{
    arena_done(&op->arena);
}

static render_capacity capacity(void *arg)
{
    (void)arg;
    return (render_capacity){n_tabs, n_tabs - n_pending, 0, n_tabs - n_pending};
}

static void render(const char *name, uint64_t pages, bool has_html)
{
    recache_task t = {0};
    char text[80];
    const uint64_t before = recache_figures_of(r).rendered;
    uint64_t n = 0;

    with_html = has_html;
    const double from = now(), cpu_from = cpu();
    run_task(&t, resume_it);
    while ((n = recache_figures_of(r).rendered - before) < pages)
        loop_run_once(l, true);
    snprintf(text, sizeof(text), "%s, pages", name);
    figure(text, (double)n / (now() - from), "/s");
    snprintf(text, sizeof(text), "%s, CPU per page", name);
    figure(text, (cpu() - cpu_from) * 1e6 / (double)n, "us");
    run_task(&t, pause_it);
    recache_figures f;
    while (f = recache_figures_of(r), f.in_flight + f.storing > 0)
        loop_run_once(l, true);
}

/* ---- all of it ---- */
static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static void open_all(const char *dir, arena *a)
{
    static const recache_dimension DIMENSIONS[] = {
        {.id = 1, .name = STR_INIT("a"), .width = 1920, .height = 1080},
        {.id = 2, .name = STR_INIT("b"), .width = 1920, .height = 1080},
        {.id = 3, .name = STR_INIT("c"), .width = 400, .height = 800},
    };
    static const int64_t STATUSES[] = {200, 404};
    static const str DOMAINS[] = {STR_INIT("www.shop.example")};
    static const recache_host HOSTS[] = {{.id = 1, .domains = {DOMAINS, 1}, .dimensions = DIMENSIONS, .n_dimensions = 3,
                                          .ttl_ms = HOURS(24), .status_codes = STATUSES, .n_status_codes = 2}};
    static keyspace *const SPACES[] = {&recache_facts_ks, &recache_queue_ks, &recache_dead_ks, &recache_pages_ks,
                                       &small_ks};
    str why = STR_NULL;
    const store_options so = {.dir = dir, .max_size = (uint64_t)16 << 30, .keyspaces = SPACES,
                              .n_keyspaces = COUNT_OF(SPACES), .schema_version = 1};
    must(loop_new(clk_real(), 4, &l), "loop");
    const int err = store_open(&so, l, a, &s, &why);
    if (err < 0)
        fprintf(stderr, STR_FMT "\n", STR_ARG(why));
    must(err, "open");
    const recache_options o = {
        .store = s, .loop = l, .renderer = {start, no_op, no_op, no_op, op_done, capacity, NULL}, .hosts = HOSTS,
        .n_hosts = 1, .pages_dir = arena_printf(a, "%s/pages", dir), .tick_ms = 1000, .max_in_flight = 1000,
        .max_attempts = 3, .retry_base_ms = 5000, .timeout_per_url_ms = 60000, .max_dead_letters = 1000000};
    must(recache_new(&o, &r), "recache");
    must(recache_start(r), "start");
}

int main(int argc, char **argv)
{
    bool stopped = false, closed = false;
    recache_task t = {0};
    arena a;
    buf b = BUF_INIT;

    if (argc < 4)
        return 2;
    const uint64_t entries = strtoull(argv[2], NULL, 10), pages = strtoull(argv[3], NULL, 10);
    arena_init(&a, 0);
    open_all(argv[1], &a);
    for (int i = 0; i < 800; i++)
        buf_printf(&b, "<p class=\"c%d\">Paragraph %d of a page that is rendered.</p>\n", i % 7, i);
    html = buf_view(&b);
    run_task(&t, pause_it);
    small_begin();
    for (const double from = now(); now() - from < 2;)
        loop_run_once(l, true);
    small_end("a small write alone");
    const double before = private_mb();
    enqueue_until("one dimension", entries / 2, 1, false);
    enqueue_until("three dimensions", entries / 4, 3, false);
    enqueue_until("beside others", entries / 4, 1, true);
    figure("memory for them", private_mb() - before, "MB");
    render("pages without a file", pages, false);
    render("pages of 48 KB", pages / 4, true);
    recache_stop(r, set_flag, &stopped);
    while (!stopped)
        loop_run_once(l, true);
    recache_free(r);
    store_close(s, set_flag, &closed);
    while (!closed)
        loop_run_once(l, true);
    buf_done(&b);
    arena_done(&a);
    loop_free(l);
    return 0;
}
