/* `larder serve`: makes the rooms in the order in which they stand on each other, and takes them down the other way
 * round.
 *
 * Start: loop and signals, store, the first key, outbound client, GitHub, sources, projects, search, access, router,
 * HTTP server, listeners; then the scans that were cut off go on, and one line per listener says that it serves. A
 * start that fails takes the same way out as a server that stops, with whatever rooms there are.
 *
 * SIGHUP reads the configuration again (reload.c). SIGTERM and SIGINT drain: no new connections, requests under way get
 * DRAIN_MS; then those that wait for a refresh are told that it won't be, and the rest is cut off. Then sources,
 * projects, search, client and store stop one after the other, for which there is REST_MS. A second signal waits for no
 * client, and not longer than CUT_MS for the rest. Who is not done by then is named in the log, and the process ends
 * all the same: the store survives that. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "larder/log.h"
#include "larder/version.h"
#include "server.h"

#define WORKERS 6
#define DRAIN_MS SECONDS(10)
#define REST_MS SECONDS(10)
#define DISMISSED_MS 500 /* for the answers of those that have waited in vain */
#define CUT_MS SECONDS(2)

/* ---- events from room to room ---- */
static void on_entries(void *arg, const entry_change *changes, size_t n)
{
    feed_entries(&((server *)arg)->feed, changes, n);
}

static void on_reindex(void *arg)
{
    feed_reload(&((server *)arg)->feed);
}

/* What is deployed from there may have another version upstream now. */
static void tell_projects(server *s, str source_id)
{
    SCOPED(arena_done)
    arena a;
    source src = {0};
    store_view *v = store_read_begin(s->store);

    arena_init(&a, 0);
    if (s->api.projects && source_load(v, &a, source_id, &src) == 0)
        projects_upstream_changed(s->api.projects, src.owner, src.repo_name);
    store_read_end(v);
}

static void on_scan_end(void *arg, str source_id, const scan_result *result)
{
    server *s = arg;

    api_tell_scan(&s->api, source_id, result);
    if (str_eq(result->status, STR("success")) && !result->not_modified)
        tell_projects(s, source_id);
}

/* On a worker. */
static int catalogue(void *arg, store_view *v, arena *a, str owner, str repo, str path, str ref,
                     upstream_answer *ret_answer)
{
    entry_upstream u;

    (void)arg;
    const int r = entry_upstream_of(v, a, owner, repo, path, ref, &u);
    if (r == 0)
        *ret_answer = (upstream_answer){u.is_registered, u.version, u.content_hash};
    return r;
}

static void on_artifacts(void *arg, const artifact_change *changes, size_t n)
{
    feed_artifacts(&((server *)arg)->feed, changes, n);
}

static void on_project_event(void *arg, const projects_event *e)
{
    api_tell_projects(&((server *)arg)->api, e);
}

/* ---- stop: each step begins when the one before has ended; a room that was never made is passed over ---- */
static void on_store_closed(void *arg)
{
    server *s = arg;

    s->store = NULL;
    s->waits_for = "configuration";
    if (s->reload)
        return; /* its end comes here again */
    loop_timer_cancel(s->loop, &s->deadline);
    loop_close_idle(s->loop);
}

static void on_client_closed(void *arg)
{
    server *s = arg;

    s->waits_for = "store";
    if (s->store)
        store_close(s->store, on_store_closed, s);
    else
        on_store_closed(s);
}

static void on_feed_stopped(void *arg)
{
    server *s = arg;

    s->waits_for = "client";
    if (s->client)
        client_close(s->client, on_client_closed, s);
    else
        on_client_closed(s);
}

static void on_projects_stopped(void *arg)
{
    server *s = arg;

    s->waits_for = "search";
    if (s->feed.app)
        feed_stop(&s->feed, on_feed_stopped, s);
    else
        on_feed_stopped(s);
}

static void on_sources_stopped(void *arg)
{
    server *s = arg;

    s->waits_for = "projects";
    if (s->api.projects)
        projects_stop(s->api.projects, on_projects_stopped, s);
    else
        on_projects_stopped(s);
}

static void on_recaching_stopped(void *arg)
{
    server *s = arg;

    s->waits_for = "sources";
    if (s->api.sources)
        sources_stop(s->api.sources, on_sources_stopped, s);
    else
        on_sources_stopped(s);
}

static void on_deadline(timer *t);

static void on_drained(void *arg)
{
    server *s = arg;

    s->waits_for = "recaching";
    if (s->signals <= 1) /* it was set, so there is room for it; but for a start that failed */
        (void)loop_timer_set(s->loop, &s->deadline, REST_MS, on_deadline);
    recaching_stop(&s->recaching, on_recaching_stopped, s);
}

static void begin_stop(server *s)
{
    if (s->ops.draining)
        return;
    s->ops.draining = true;
    watch_stop(&s->watch);
    progress_stop(&s->progress);
    s->waits_for = "requests";
    if (s->http)
        http_server_drain(s->http, on_drained, s);
    else
        on_drained(s);
}

/* Requests that wait for search to be ready would wait on: they don't see that their client is gone. */
static void cut(server *s)
{
    s->is_cut = true;
    if (s->http)
        http_server_cut(s->http);
    if (s->feed.app)
        feed_release(&s->feed);
}

static void print_handle(void *arg, const char *text)
{
    (void)arg;
    log_error("still alive at the end", LOG_C("handle", text));
}

static void on_deadline(timer *t)
{
    server *s = CONTAINER_OF(t, server, deadline);

    if (s->is_cut || strcmp(s->waits_for, "requests") != 0) {
        loop_report_handles(s->loop, print_handle, NULL);
        log_error("the end is not waited for any longer", LOG_C("waits_for", s->waits_for));
        log_flush();
        _exit(EXIT_FAILED);
    }
    if (!s->is_dismissed && s->api.projects) {
        s->is_dismissed = true;
        projects_refresh_cancel_all(s->api.projects);
        (void)loop_timer_set(s->loop, &s->deadline, DISMISSED_MS, on_deadline); /* it was set: there is room for it */
        return;
    }
    log_warn("requests under way are cut off", LOG_INT("after_ms", DRAIN_MS));
    (void)loop_timer_set(s->loop, &s->deadline, REST_MS, on_deadline);
    cut(s);
}

static void on_stop(void *arg, int signum)
{
    server *s = arg;
    const bool again = ++s->signals > 1;

    log_info(again ? "stopping at once" : "draining", LOG_INT("signal", signum));
    if (again)
        cut(s);
    else
        begin_stop(s);
    if (loop_timer_set(s->loop, &s->deadline, again ? CUT_MS : DRAIN_MS, on_deadline) < 0)
        cut(s);
}

static void on_reload(void *arg, int signum)
{
    (void)signum;
    server_reload(arg);
}

void server_reload_ended(server *s)
{
    if (s->ops.draining && !s->store)
        on_store_closed(s);
}

/* ---- start ---- */
static int watch_signals(server *s)
{
    static const int ignored[] = {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPOLL};

    for (size_t i = 0; i < COUNT_OF(ignored); i++)
        (void)signal(ignored[i], SIG_IGN);
    int r = loop_on_signal(s->loop, SIGTERM, on_stop, s);
    if (r == 0)
        r = loop_on_signal(s->loop, SIGINT, on_stop, s);
    return r < 0 ? r : loop_on_signal(s->loop, SIGHUP, on_reload, s);
}

static int open_store(server *s)
{
    str key_file;

    int r = app_open_store(s->config, s->loop, APP_MAKES, &s->arena, &s->store, &s->why);
    if (r == 0)
        r = app_first_key(s->store, s->config->data_dir.p, &s->arena, &key_file, &s->why);
    if (r == 0 && key_file.p)
        log_info("an admin key was made: read it in this file, and keep it elsewhere", LOG_STR("file", key_file));
    return r;
}

static int make_outbound(server *s)
{
    const client_options o = {.user_agent = "larder/" LARDER_VERSION};
    const github_options gh = server_github_options(s->config);

    int r = server_make_trust(s->config, OPTION_github_ca_file, &s->arena, &s->trust, &s->why);
    if (r == 0)
        r = server_make_trust(s->config, OPTION_recache_ca_file, &s->arena, &s->page_trust, &s->why);
    if (r == 0)
        r = client_new(s->loop, s->trust, &o, &s->client);
    return r < 0 ? r : github_new(s->loop, s->client, &gh, &s->github);
}

static int make_sources(server *s)
{
    sources_options o = server_sources_options(s, s->config);

    o.on_entries = on_entries;
    o.on_reindex = on_reindex;
    o.on_scan_end = on_scan_end;
    o.arg = s;
    return sources_new(&o, &s->api.sources);
}

static int make_projects(server *s)
{
    projects_options o = server_projects_options(s, s->config);

    o.catalogue = catalogue;
    o.on_artifacts = on_artifacts;
    o.on_event = on_project_event;
    o.arg = s;
    return projects_new(&o, &s->api.projects);
}

static int make_domains(server *s)
{
    s->api.loop = s->loop;
    s->api.store = s->store;
    s->api.ops = &s->ops;
    int r = channel_new(s->loop, &s->api.events);
    if (r == 0)
        r = make_sources(s);
    if (r == 0)
        r = make_projects(s);
    if (r < 0)
        return r;
    s->api.recache = &s->recaching.api;
    r = recaching_make(&s->recaching, s->loop, s->store, s->config, s->page_trust, &s->why);
    return r < 0 ? r : feed_start(&s->feed, &s->api);
}

static int make_serving(server *s)
{
    static const family *const families[] = {&family_cache, &family_sources, &family_recache, &family_recache_status,
                                             &family_ops};
    const route_table tables[] = {sources_routes,      cache_routes,        projects_routes, artifacts_routes,
                                  search_routes,       refresh_routes,      events_routes,   recache_routes,
                                  recache_list_routes, recache_page_routes, ops_routes};
    const http_options http = server_http_options(s->config);
    const access_options access = server_access_options(s, s->config);

    int r = access_new(s->store, clk_real(), &access, &s->access);
    if (r < 0)
        return r;
    const router_options o = {
        .loop = s->loop,
        .store = s->store,
        .access = s->access,
        .app = &s->api,
        .tables = tables,
        .n_tables = COUNT_OF(tables),
        .families = families,
        .n_families = COUNT_OF(families),
        .log_access = s->config->log_access,
    };
    r = router_new(&o, &s->router);
    if (r < 0)
        return r;
    const http_hooks hooks = router_hooks(s->router);
    r = http_server_new(s->loop, &http, &hooks, &s->http);
    s->ops.taps = (ops_taps){
        .loop = s->loop,
        .store = s->store,
        .http = s->http,
        .router = s->router,
        .client = s->client,
        .github = s->github,
        .sources = s->api.sources,
        .projects = s->api.projects,
        .events = s->api.events,
        .search = &s->api.search,
        .recache = s->recaching.service,
        .fleet = s->recaching.fleet,
    };
    return r;
}

/* Without `urls` only looks whether it could: a start that can't must not leave a store behind. */
static int listen_all(server *s, str *urls)
{
    const config_addresses *where = &s->config->listen;

    for (size_t i = 0; i < where->n; i++) {
        const int r = urls ? http_server_listen(s->http, &where->v[i], &s->arena, &urls[i])
                           : net_listen_check(&where->v[i]);
        if (r < 0) {
            s->why = arena_printf(&s->arena, "listen: " STR_FMT ": %s", STR_ARG(where->texts[i]), err_text(r));
            return r;
        }
    }
    return 0;
}

/* `auto` access goes by what is listened on, before anything is. */
static bool is_all_local(const config_addresses *where)
{
    bool local = true;

    for (size_t i = 0; i < where->n; i++)
        local = local && net_addr_is_loopback(&where->v[i].addr);
    return local;
}

static void announce(const str *urls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (dprintf(STDOUT_FILENO, "larder: listening on " STR_FMT "\n", STR_ARG(urls[i])) < 0)
            log_warn("nobody reads standard output", LOG_STR("listening", urls[i]));
}

static int start(server *s)
{
    str *urls = arena_array(&s->arena, str, s->config->listen.n);

    s->all_local = is_all_local(&s->config->listen);
    int r = urls ? loop_new(clk_real(), WORKERS, &s->loop) : -ENOMEM;
    if (r == 0)
        r = watch_signals(s);
    if (r == 0)
        r = listen_all(s, NULL);
    if (r == 0)
        r = open_store(s);
    if (r == 0)
        r = make_outbound(s);
    if (r == 0)
        r = make_domains(s);
    if (r == 0)
        r = make_serving(s);
    if (r == 0)
        r = listen_all(s, urls);
    if (r == 0)
        r = sources_start(s->api.sources);
    if (r == 0)
        r = projects_start(s->api.projects);
    if (r == 0)
        r = recaching_start(&s->recaching);
    if (r == 0)
        r = watch_start(&s->watch, s->loop, s->store, s->http);
    if (r == 0)
        r = progress_start(&s->progress, &s->api);
    if (r < 0)
        return r;
    server_raise_file_limit(s->config);
    announce(urls, s->config->listen.n);
    return 0;
}

/* ---- life ---- */
static int64_t wall_ms(void)
{
    return clk_wall_ms(clk_real());
}

static void done(server *s)
{
    http_server_free(s->http);
    router_free(s->router);
    access_free(s->access);
    feed_done(&s->feed);
    projects_free(s->api.projects);
    sources_free(s->api.sources);
    recaching_done(&s->recaching);
    channel_free(s->api.events);
    github_free(s->github);
    tls_trust_unref(s->trust);
    tls_trust_unref(s->page_trust);
    loop_free(s->loop);
    arena_done(&s->arena);
    if (s->config != &s->cli->config) {
        config_done(s->config);
        mem_free(s->config);
    }
    mem_free(s);
}

int command_serve(cli *c)
{
    int status = EXIT_DONE;
    str why;

    if (config_load_secrets(&c->config, &why) < 0)
        return cli_fail(STR_FMT, STR_ARG(why));
    server *s = mem_new(server);
    if (!s)
        return cli_fail("out of memory");
    s->cli = c;
    s->config = &c->config;
    arena_init(&s->arena, 0);
    log_set_time(wall_ms);
    server_set_log(s->config);
    const int r = start(s);
    if (r < 0) {
        status = cli_fail("cannot start: " STR_FMT, STR_ARG(s->why.p ? s->why : str_c(err_text(r))));
        if (s->loop)
            begin_stop(s);
    }
    if (r == 0 && log_start() < 0)
        log_warn("no thread writes the log: the server waits for whoever reads it");
    if (s->loop && loop_run(s->loop) != 0) {
        loop_report_handles(s->loop, print_handle, NULL);
        status = EXIT_FAILED;
    }
    if (r == 0)
        log_info("stopped");
    done(s);
    log_stop();
    return status;
}
