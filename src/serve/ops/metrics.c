/* A metric is a row: name, kind, help, and the function that writes its samples. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "larder/ops.h"

/* What a scrape reads: figures of one room are taken once, so that they fit each other. */
typedef struct scrape {
    const ops_taps *taps;
    store_stats store;
    recache_figures recache;
    int64_t queued[RECACHE_PRIORITIES]; /* of all hosts */
} scrape;

typedef struct metric {
    const char *name, *kind, *help;
    void (*samples)(const scrape *in, const char *name, buf *out);
} metric;

/* ---- writing samples ---- */
/* Label values: backslash, quote and line feed are escaped (the format's only three). */
static void put_label(buf *out, const char *label, str value, bool first)
{
    buf_printf(out, "%s%s=\"", first ? "{" : ",", label);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\n')
            buf_str(out, STR("\\n"));
        else if (value.p[i] == '"' || value.p[i] == '\\')
            buf_printf(out, "\\%c", value.p[i]);
        else
            buf_char(out, value.p[i]);
    }
    buf_char(out, '"');
}

static void put_value(buf *out, uint64_t v)
{
    buf_printf(out, " %llu\n", (unsigned long long)v);
}

static void put_sample(buf *out, const char *name, uint64_t v)
{
    buf_str(out, str_c(name));
    put_value(out, v);
}

static void put_labelled(buf *out, const char *name, const char *label, str value, uint64_t v)
{
    buf_str(out, str_c(name));
    put_label(out, label, value, true);
    buf_char(out, '}');
    put_value(out, v);
}

/* A histogram's lines: cumulative buckets of bounds in units of `scale` per whole, then +Inf, sum and count.
 * `labels` stands before le, without braces ("route=\"x\","), or is empty. */
static void put_histogram(buf *out, const char *name, str labels, const double *bounds, size_t n,
                          const uint64_t *buckets, double sum)
{
    uint64_t total = 0;

    for (size_t i = 0; i <= n; i++) {
        total += buckets[i];
        if (i < n)
            buf_printf(out, "%s_bucket{" STR_FMT "le=\"%g\"}", name, STR_ARG(labels), bounds[i]);
        else
            buf_printf(out, "%s_bucket{" STR_FMT "le=\"+Inf\"}", name, STR_ARG(labels));
        put_value(out, total);
    }
    const str plain = labels.n ? str_head(labels, labels.n - 1) : labels; /* without the comma */
    const char *open = labels.n ? "{" : "", *close = labels.n ? "}" : "";
    buf_printf(out, "%s_sum%s" STR_FMT "%s %.6f\n", name, open, STR_ARG(plain), close, sum);
    buf_printf(out, "%s_count%s" STR_FMT "%s %llu\n", name, open, STR_ARG(plain), close, (unsigned long long)total);
}

/* ---- requests ---- */
static void put_route(buf *out, const route *row)
{
    put_label(out, "method", str_c(row ? http_method_name(row->method) : "-"), true);
    put_label(out, "route", str_c(row ? row->path : "none"), false);
}

static void requests(const scrape *in, const char *name, buf *out)
{
    const route_stats *stats;
    const size_t n = router_stats(in->taps->router, &stats);

    for (size_t i = 0; i < n; i++) {
        for (size_t s = 0; s < COUNT_OF(stats[i].by_status) && stats[i].by_status[s].status; s++) {
            buf_str(out, str_c(name));
            put_route(out, stats[i].route);
            buf_printf(out, ",status=\"%d\"}", stats[i].by_status[s].status);
            put_value(out, stats[i].by_status[s].n);
        }
    }
}

static void latency(const scrape *in, const char *name, buf *out)
{
    static const int64_t bounds_us[] = ROUTE_LATENCY_US;
    double bounds[COUNT_OF(bounds_us)];
    const route_stats *stats;
    const size_t n = router_stats(in->taps->router, &stats);
    buf labels = BUF_INIT;

    for (size_t b = 0; b < COUNT_OF(bounds_us); b++)
        bounds[b] = (double)bounds_us[b] / 1e6;
    for (size_t i = 0; i < n; i++) {
        if (stats[i].by_status[0].status == 0)
            continue; /* never called */
        buf_reset(&labels);
        put_route(&labels, stats[i].route);
        buf_char(&labels, ',');
        if (labels.err)
            continue;
        put_histogram(out, name, str_from(buf_view(&labels), 1), bounds, COUNT_OF(bounds_us), stats[i].latency,
                      (double)stats[i].latency_us_total / 1e6);
    }
    buf_done(&labels);
}

static void unanswered(const scrape *in, const char *name, buf *out)
{
    put_sample(out, name, router_unanswered(in->taps->router));
}

/* ---- the loop, connections ---- */
static void loop_lag_samples(const scrape *in, const char *name, buf *out)
{
    const loop_lag *lag = loop_lag_of(in->taps->loop);
    double bounds[COUNT_OF(lag->buckets) - 1];

    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        bounds[i] = (double)(UINT64_C(32) << i) / 1e6;
    put_histogram(out, name, STR(""), bounds, COUNT_OF(bounds), lag->buckets, (double)lag->total_us / 1e6);
}

#define HTTP_SAMPLE(fn, member)                                       \
    static void fn(const scrape *in, const char *name, buf *out)          \
    {                                                                 \
        put_sample(out, name, http_stats_of(in->taps->http)->member);   \
    }
HTTP_SAMPLE(connections, connections)
HTTP_SAMPLE(accepted, accepted)
HTTP_SAMPLE(refused, refused_connections)
HTTP_SAMPLE(bad_requests, bad_requests)
HTTP_SAMPLE(timeouts, timeouts)
HTTP_SAMPLE(failed_accepts, failed_accepts)
HTTP_SAMPLE(buffered, buffered_bytes)
HTTP_SAMPLE(bytes_in, bytes_in)
HTTP_SAMPLE(bytes_out, bytes_out)

/* ---- the store ---- */
#define STORE_SAMPLE(fn, member)                                     \
    static void fn(const scrape *in, const char *name, buf *out)     \
    {                                                                \
        put_sample(out, name, in->store.member);                     \
    }
STORE_SAMPLE(commits, commits)
STORE_SAMPLE(failed_commits, failed_commits)
STORE_SAMPLE(store_ops, ops)
STORE_SAMPLE(map_size, map_size)
STORE_SAMPLE(used_bytes, used_bytes)
STORE_SAMPLE(store_waiting, waiting)

static void batches(const scrape *in, const char *name, buf *out)
{
    const store_stats *st = &in->store;
    double bounds[COUNT_OF(st->batch) - 1];

    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        bounds[i] = (double)(UINT64_C(1) << i);
    put_histogram(out, name, STR(""), bounds, COUNT_OF(bounds), st->batch, (double)st->ops);
}

static void commit_latency(const scrape *in, const char *name, buf *out)
{
    const store_stats *st = &in->store;
    double bounds[COUNT_OF(st->commit_us) - 1];

    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        bounds[i] = (double)(UINT64_C(1) << i) / 1e6;
    put_histogram(out, name, STR(""), bounds, COUNT_OF(bounds), st->commit_us, (double)st->commit_us_total / 1e6);
}

static void longest_hold(const scrape *in, const char *name, buf *out)
{
    buf_printf(out, "%s %.6f\n", name, (double)in->store.longest_hold_us / 1e6);
}

static void writable(const scrape *in, const char *name, buf *out)
{
    put_sample(out, name, store_is_writable(in->taps->store));
}

/* ---- outward ---- */
typedef struct sampling {
    const char *name;
    buf *out;
} sampling;

static void put_outbound(void *arg, str origin, const char *result, uint64_t n)
{
    const sampling *s = arg;

    buf_str(s->out, str_c(s->name));
    put_label(s->out, "origin", origin, true);
    put_label(s->out, "status", str_c(result), false); /* "2xx", or a failure's name */
    buf_char(s->out, '}');
    put_value(s->out, n);
}

static void outbound(const scrape *in, const char *name, buf *out)
{
    client_metrics(in->taps->client, put_outbound, &(sampling){name, out});
}

static void quota_left(const scrape *in, const char *name, buf *out)
{
    const github_quota *quotas;
    const size_t n = github_quotas(in->taps->github, &quotas);

    for (size_t i = 0; i < n; i++)
        if (quotas[i].remaining >= 0)
            put_labelled(out, name, "credential", str_c(quotas[i].credential), (uint64_t)quotas[i].remaining);
}

static void scans_ended(const scrape *in, const char *name, buf *out)
{
    const sources_stats *s = sources_stats_of(in->taps->sources);

    put_labelled(out, name, "result", STR("success"), s->succeeded);
    put_labelled(out, name, "result", STR("not_modified"), s->unchanged);
    put_labelled(out, name, "result", STR("error"), s->failed);
    put_labelled(out, name, "result", STR("interrupted"), s->interrupted);
}

static void scans_now(const scrape *in, const char *name, buf *out)
{
    const sources_stats *s = sources_stats_of(in->taps->sources);

    put_labelled(out, name, "state", STR("running"), s->running);
    put_labelled(out, name, "state", STR("queued"), s->queued);
    put_labelled(out, name, "state", STR("waiting"), s->waiting);
}

static void refreshes_ended(const scrape *in, const char *name, buf *out)
{
    const projects_stats *s = projects_stats_of(in->taps->projects);

    put_labelled(out, name, "result", STR("success"), s->refreshed);
    put_labelled(out, name, "result", STR("error"), s->failed);
    put_labelled(out, name, "result", STR("limited"), s->limited);
}

static void refreshes_now(const scrape *in, const char *name, buf *out)
{
    const projects_stats *s = projects_stats_of(in->taps->projects);

    put_labelled(out, name, "state", STR("running"), s->refreshing);
    put_labelled(out, name, "state", STR("queued"), s->queued);
}

static void watched_projects(const scrape *in, const char *name, buf *out)
{
    put_sample(out, name, projects_stats_of(in->taps->projects)->watched);
}

static void search_documents(const scrape *in, const char *name, buf *out)
{
    put_sample(out, name, search_measure(*in->taps->search).docs);
}

static void search_bytes(const scrape *in, const char *name, buf *out)
{
    put_sample(out, name, search_measure(*in->taps->search).bytes);
}

static void forgotten_upstream(const scrape *in, const char *name, buf *out)
{
    put_sample(out, name, projects_stats_of(in->taps->projects)->forgotten);
}

static void event_streams(const scrape *in, const char *name, buf *out)
{
    put_sample(out, name, channel_streams(in->taps->events));
}

/* ---- pages kept rendered ---- */
static void by_priority(const char *name, const char *label, const int64_t values[RECACHE_PRIORITIES], buf *out)
{
    for (unsigned p = 0; p < RECACHE_PRIORITIES; p++)
        put_labelled(out, name, label, recache_priority_name((recache_priority)p), (uint64_t)values[p]);
}

static void count_queued(scrape *in)
{
    size_t n;
    const recache_host *hosts = recache_hosts(in->taps->recache, &n);
    store_view *v = store_read_begin(in->taps->store);
    (void)recache_queue_totals_of(v, hosts, n, in->queued); /* else 0: the disk's errors are told elsewhere */
    store_read_end(v);
}

static void queue_entries(const scrape *in, const char *name, buf *out)
{
    by_priority(name, "priority", in->queued, out);
}

/* As clients of the family know it. */
static void queue_depth(const scrape *in, const char *name, buf *out)
{
    by_priority(name, "queue_type", in->queued, out);
}

static void recache_requests(const scrape *in, const char *name, buf *out)
{
    const recache_figures *f = &in->recache;

    for (unsigned p = 0; p < RECACHE_PRIORITIES; p++) {
        for (unsigned failed = 0; failed < 2; failed++) {
            buf_str(out, str_c(name));
            put_label(out, "status", failed ? STR("error") : STR("success"), true);
            put_label(out, "queue_type", recache_priority_name((recache_priority)p), false);
            buf_char(out, '}');
            put_value(out, failed ? f->given_up_of[p] : f->by_priority[p]);
        }
    }
}

static void recache_pages(const scrape *in, const char *name, buf *out)
{
    put_labelled(out, name, "source", STR("render"), in->recache.rendered);
    put_labelled(out, name, "source", STR("bypass"), in->recache.fetched);
}

static void pages_gone(const scrape *in, const char *name, buf *out)
{
    put_labelled(out, name, "reason", STR("expired"), in->recache.expired);
    put_labelled(out, name, "reason", STR("evicted"), in->recache.evicted);
}

static void recache_duration(const scrape *in, const char *name, buf *out)
{
    const recache_durations *d = recache_durations_of(in->taps->recache);
    double bounds[RECACHE_DURATION_BUCKETS - 1];

    for (size_t i = 0; i < COUNT_OF(bounds); i++)
        bounds[i] = (double)(INT64_C(5) << i) / 1e3;
    put_histogram(out, name, STR(""), bounds, COUNT_OF(bounds), d->buckets, (double)d->total_ms / 1e3);
}

#define RECACHE_SAMPLE(fn, member)                               \
    static void fn(const scrape *in, const char *name, buf *out) \
    {                                                            \
        put_sample(out, name, (uint64_t)in->recache.member);     \
    }
RECACHE_SAMPLE(failed_attempts, failed_attempts)
RECACHE_SAMPLE(dead_letters, dead_letters)
RECACHE_SAMPLE(kept_good_copies, kept_good_copy)
RECACHE_SAMPLE(disk_errors, disk_errors)
RECACHE_SAMPLE(dropped_dead_letters, dropped_dead_letters)
RECACHE_SAMPLE(page_bytes, pages_bytes)
RECACHE_SAMPLE(recache_in_flight, in_flight)
RECACHE_SAMPLE(recache_storing, storing)
RECACHE_SAMPLE(recache_paused, paused)

static void render_tabs(const scrape *in, const char *name, buf *out)
{
    const render_capacity *c = &in->recache.capacity;

    put_labelled(out, name, "state", STR("all"), c->all);
    put_labelled(out, name, "state", STR("free"), c->free);
    put_labelled(out, name, "state", STR("reserved"), c->reserved);
}

/* Each service has a line in several metrics; which one is asked for is in `of`. */
typedef struct service_sampling {
    sampling to;
    enum { SERVICE_UP, SERVICE_BREAKER, SERVICE_PAGES, SERVICE_FAILURES } of;
} service_sampling;

static void put_service(void *arg, const render_service *s)
{
    const service_sampling *to = arg;
    const uint64_t values[] = {[SERVICE_UP] = s->is_reachable,
                               [SERVICE_BREAKER] = s->breaker != RENDER_BREAKER_CLOSED,
                               [SERVICE_PAGES] = s->pages,
                               [SERVICE_FAILURES] = s->failures};

    put_labelled(to->to.out, to->to.name, "service", str_c(s->id), values[to->of]);
}

#define SERVICE_SAMPLE(fn, which)                                                                        \
    static void fn(const scrape *in, const char *name, buf *out)                                         \
    {                                                                                                    \
        render_fleet_services(in->taps->fleet, put_service, &(service_sampling){{name, out}, which});    \
    }
SERVICE_SAMPLE(service_up, SERVICE_UP)
SERVICE_SAMPLE(service_breaker, SERVICE_BREAKER)
SERVICE_SAMPLE(service_pages, SERVICE_PAGES)
SERVICE_SAMPLE(service_failures, SERVICE_FAILURES)

/* ---- the process ---- */
static void failed_expectations(const scrape *in, const char *name, buf *out)
{
    (void)in;
    put_sample(out, name, base_expect_failures());
}

static void cpu(const scrape *in, const char *name, buf *out)
{
    struct rusage u;

    (void)in;
    if (getrusage(RUSAGE_SELF, &u) == 0)
        buf_printf(out, "%s %.6f\n", name,
                   (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
}

/* On the loop: this file is the kernel's own words, and no disk is asked for it. */
static void resident(const scrape *in, const char *name, buf *out)
{
    char text[128];
    str rest, size, pages;
    int64_t n;
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text));

    (void)in;
    if (fd >= 0)
        (void)close(fd);
    rest = str_of(text, got < 0 ? 0 : (size_t)got);
    if (str_cut(&rest, ' ', &size) && str_cut(&rest, ' ', &pages) && str_to_i64(pages, &n) == 0)
        put_sample(out, name, (uint64_t)n * (uint64_t)sysconf(_SC_PAGESIZE));
}

/* ---- the table ---- */
static const metric METRICS[] = {
    {"larder_http_requests_total", "counter", "Requests answered, by route and status.", requests},
    {"larder_http_request_duration_seconds", "histogram", "From a request's first byte to its reply, by route.",
     latency},
    {"larder_http_unanswered_total", "counter", "Handlers that gave no answer; a bug when not 0.", unanswered},
    {"larder_http_connections", "gauge", "Open client connections.", connections},
    {"larder_event_streams", "gauge", "Connections that follow the event stream.", event_streams},
    {"larder_http_connections_accepted_total", "counter", "Connections accepted.", accepted},
    {"larder_http_connections_refused_total", "counter", "Connections refused past http.max_connections.", refused},
    {"larder_http_failed_accepts_total", "counter", "Times that no connection could be accepted for want of resources.",
     failed_accepts},
    {"larder_http_bad_requests_total", "counter", "Requests refused by the parser.", bad_requests},
    {"larder_http_timeouts_total", "counter", "Connections that were too slow.", timeouts},
    {"larder_http_buffered_bytes", "gauge", "Bytes that wait in connections, unsent or unparsed.", buffered},
    {"larder_http_received_bytes_total", "counter", "Bytes received.", bytes_in},
    {"larder_http_sent_bytes_total", "counter", "Bytes sent.", bytes_out},
    {"larder_loop_lag_seconds", "histogram", "How long one callback held the loop.", loop_lag_samples},
    {"larder_store_commits_total", "counter", "Durable commits.", commits},
    {"larder_store_failed_commits_total", "counter", "Commits that failed.", failed_commits},
    {"larder_store_operations_total", "counter", "Write operations applied.", store_ops},
    {"larder_store_batch_operations", "histogram", "Write operations a commit.", batches},
    {"larder_store_commit_duration_seconds", "histogram", "How long a commit took, fsync included.", commit_latency},
    {"larder_store_longest_hold_seconds", "gauge", "The longest one operation held the writer.", longest_hold},
    {"larder_store_waiting_operations", "gauge", "Write operations in the queue.", store_waiting},
    {"larder_store_map_bytes", "gauge", "How far the data file may grow.", map_size},
    {"larder_store_used_bytes", "gauge", "Bytes of it in use.", used_bytes},
    {"larder_store_writable", "gauge", "1 while the store takes writes.", writable},
    {"larder_outbound_requests_total", "counter", "Requests sent, by origin and status or failure.", outbound},
    {"larder_github_quota_remaining", "gauge", "Requests GitHub allows until its reset, by credential.", quota_left},
    {"larder_scans_total", "counter", "Scans that ended, by result.", scans_ended},
    {"larder_scans", "gauge", "Scans now, by state.", scans_now},
    {"larder_refreshes_total", "counter", "Refreshes of projects that ended, by result.", refreshes_ended},
    {"larder_refreshes", "gauge", "Refreshes of projects now, by state.", refreshes_now},
    {"larder_watched_projects", "gauge", "Discovered projects whose folders are watched.", watched_projects},
    {"larder_search_documents", "gauge", "Artifacts and entries that search finds.", search_documents},
    {"larder_search_bytes", "gauge", "Memory that the search index takes, roughly.", search_bytes},
    {"larder_upstream_forgotten_total", "counter", "Upstream's answers that nobody asked for any more, forgotten.",
     forgotten_upstream},
    {"larder_recache_queue_entries", "gauge", "Pages queued, by priority.", queue_entries},
    {"larder_recache_in_flight", "gauge", "Pages being rendered or fetched.", recache_in_flight},
    {"larder_recache_storing", "gauge", "Pages on their way into the store.", recache_storing},
    {"larder_recache_paused", "gauge", "1 while nothing new is begun.", recache_paused},
    {"larder_recache_pages_total", "counter", "Pages made and stored, by how.", recache_pages},
    {"larder_recache_duration_seconds", "histogram", "From the ask to the stored page.", recache_duration},
    {"larder_recache_failed_attempts_total", "counter", "Attempts that failed.", failed_attempts},
    {"larder_recache_dead_letters_total", "counter", "Pages given up.", dead_letters},
    {"larder_recache_dropped_dead_letters_total", "counter", "Dead letters that made room for newer ones.",
     dropped_dead_letters},
    {"larder_recache_kept_good_copies_total", "counter", "Bad answers that did not replace a good copy.",
     kept_good_copies},
    {"larder_recache_disk_errors_total", "counter", "Pages that could not be written; they stay queued.", disk_errors},
    {"larder_recache_forgotten_pages_total", "counter", "Stored pages that were forgotten, by reason.", pages_gone},
    {"larder_recache_page_bytes", "gauge", "What the pages' files take on the disk.", page_bytes},
    {"larder_render_tabs", "gauge", "Tabs of the healthy render services.", render_tabs},
    {"larder_render_service_up", "gauge", "1 while the service answers.", service_up},
    {"larder_render_service_breaker_open", "gauge", "1 while the service gets no work, or one page to try.",
     service_breaker},
    {"larder_render_service_pages_total", "counter", "Pages the service has given back well.", service_pages},
    {"larder_render_service_failures_total", "counter", "Failures of the service's own.", service_failures},
    /* what dashboards of the family ask for */
    {"edgecomet_cd_queue_depth", "gauge", "Pages queued, by queue.", queue_depth},
    {"edgecomet_cd_recache_requests_total", "counter", "Pages stored and pages given up, by queue.", recache_requests},
    {"edgecomet_cd_recache_duration_seconds", "histogram", "From the ask to the stored page.", recache_duration},
    {"larder_failed_expectations_total", "counter", "Assumptions of the program that failed; a bug when not 0.",
     failed_expectations},
    {"process_cpu_seconds_total", "counter", "User and system time.", cpu},
    {"process_resident_memory_bytes", "gauge", "Resident memory.", resident},
};

int ops_write_metrics(const ops *o, buf *out)
{
    scrape in = {.taps = &o->taps};

    store_stats_of(o->taps.store, &in.store);
    in.recache = recache_figures_of(o->taps.recache);
    count_queued(&in);
    for (size_t i = 0; i < COUNT_OF(METRICS); i++) {
        buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", METRICS[i].name, METRICS[i].help, METRICS[i].name,
                   METRICS[i].kind);
        METRICS[i].samples(&in, METRICS[i].name, out);
    }
    return out->err;
}
