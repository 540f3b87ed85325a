/* `larder serve`: makes the rooms, in the order in which they stand on each other, and takes them down the other way round.
 *
 * Start: loop, store, the first key, outbound client, GitHub, sources, search, access, router, HTTP server, listeners; then what
 * scans were cut off goes on. SIGHUP reads the configuration again. SIGTERM and SIGINT drain: no new connections, requests under
 * way get DRAIN_MS, then sources, search, client and store stop one after the other. A second signal waits for nobody. */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli.h"
#include "feed.h"
#include "larder/client.h"
#include "larder/log.h"
#include "larder/ops.h"
#include "larder/version.h"

#define WORKERS 6
#define DRAIN_MS SECONDS(10)
#define CUT_MS SECONDS(2)

typedef struct server {
    cli *cli;
    config *config;     /* what is in force */
    arena arena;
    loop *loop;
    store *store;
    tls_trust *trust;
    client *client;
    github *github;
    access_control *access;
    router *router;
    http_server *http;
    api api;
    feed feed;
    ops ops;
    net_cidr *proxies;
    bool all_local;
    timer deadline;     /* of the drain */
    unsigned signals;
    int status;
} server;

/* ---- options into rooms ---- */
static http_options http_options_of(const config *c)
{
    return (http_options){
        .max_header_bytes = (size_t)c->http_max_header_bytes,
        .max_body_bytes = (size_t)c->http_max_body_bytes,
        .header_timeout_ms = c->http_header_timeout,
        .body_timeout_ms = c->http_body_timeout,
        .idle_timeout_ms = c->http_idle_timeout,
        .write_timeout_ms = c->http_body_timeout,
        .max_connections = (size_t)c->http_max_connections,
        .max_buffered = 256u << 20,
    };
}

static access_mode mode_of(str text)
{
    return str_eq(text, STR("open")) ? ACCESS_OPEN : str_eq(text, STR("required")) ? ACCESS_REQUIRED : ACCESS_AUTO;
}

/* The networks are kept in an allocation of their own: a reload replaces them. */
static int access_options_of(server *s, const config *c, access_options *ret)
{
    net_cidr *nets = mem_zalloc((c->http_trusted_proxies.n + 1) * sizeof(*nets));
    size_t n = 0;

    if (!nets)
        return -ENOMEM;
    *ret = (access_options){
        .per_minute = c->limits_per_minute,
        .per_hour = c->limits_per_hour,
        .concurrent = c->limits_concurrent,
        .sources = mode_of(c->access_sources),
        .metrics = mode_of(c->access_metrics),
        .all_local = s->all_local,
    };
    for (size_t i = 0; i < c->http_trusted_proxies.n; i++) {
        if (str_eq(c->http_trusted_proxies.v[i], STR("unix")))
            ret->trust_unix = true;
        else if (net_cidr_parse(c->http_trusted_proxies.v[i], &nets[n]) == 0)
            n++;
    }
    ret->trusted_proxies = nets;
    ret->n_trusted_proxies = n;
    mem_free(s->proxies);
    s->proxies = nets;
    return 0;
}

static github_options github_options_of(server *s, const config *c)
{
    str url = c->github_api_url;

    while (str_ends(url, STR("/")))
        url.n--;
    return (github_options){
        .api_url = arena_cstr(&s->arena, url),
        .token = c->github_token.n ? c->github_token : STR_NULL,
        .max_entries = (size_t)c->sources_max_entries,
        .max_archive_bytes = (size_t)c->sources_max_archive_bytes,
    };
}

static void set_log(const config *c)
{
    const log_level level = str_eq(c->log_level, STR("error"))   ? LOG_ERROR
                            : str_eq(c->log_level, STR("warn"))  ? LOG_WARN
                            : str_eq(c->log_level, STR("debug")) ? LOG_DEBUG
                                                                 : LOG_INFO;

    log_setup(level, str_eq(c->log_format, STR("json")) ? LOG_JSON : LOG_TEXT);
}

static int make_trust(server *s, const config *c, tls_trust **ret)
{
    const char *file = c->github_ca_file.n ? arena_cstr(&s->arena, c->github_ca_file) : NULL;

    const int r = c->github_ca_file.n && !file ? -ENOMEM : tls_trust_new(file, clk_real(), ret);
    if (r < 0)
        log_error("github.ca_file cannot be used", LOG_C("file", file), LOG_ERR(r));
    return r;
}

/* ---- events from room to room ---- */
static void on_entries(void *arg, const entry_change *changes, size_t n)
{
    feed_entries(&((server *)arg)->feed, changes, n);
}

static void on_reindex(void *arg)
{
    feed_reload(&((server *)arg)->feed);
}

/* ---- reload ---- */
static void apply(server *s, config *fresh)
{
    const http_options http = http_options_of(fresh);
    const github_options gh = github_options_of(s, fresh);
    access_options acc;
    tls_trust *trust;

    set_log(fresh);
    http_server_set_options(s->http, &http);
    if (access_options_of(s, fresh, &acc) == 0)
        access_set_options(s->access, &acc);
    if (github_set_options(s->github, &gh) < 0)
        log_error("the GitHub options stay as they were", LOG_ERR(-ENOMEM));
    if (make_trust(s, fresh, &trust) == 0) {
        client_set_trust(s->client, trust);
        tls_trust_unref(s->trust);
        s->trust = trust;
    }
    router_set_log_access(s->router, fresh->log_access);
    sources_configure(s->api.sources, fresh->sources_rescan_interval, (unsigned)fresh->github_concurrency);
}

static void on_reload(void *arg, int signum)
{
    server *s = arg;
    config *fresh = mem_new(config);
    str why;
    size_t changed = 0;

    (void)signum;
    if (!fresh || config_load(fresh, &s->cli->from, &why) < 0) {
        log_error("the configuration stays as it was", LOG_STR("why", fresh ? why : STR("out of memory")));
        if (fresh)
            config_done(fresh);
        mem_free(fresh);
        return;
    }
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (!config_differs(s->config, fresh, i))
            continue;
        changed++;
        if (config_options[i].live)
            log_info("changed", LOG_C("option", config_options[i].name));
        else
            log_warn("takes effect at the next start only", LOG_C("option", config_options[i].name));
    }
    apply(s, fresh);
    log_info("configuration read again", LOG_INT("changed", (int64_t)changed));
    if (s->config != &s->cli->config) {
        config_done(s->config);
        mem_free(s->config);
    } else {
        config_done(s->config);
    }
    s->config = fresh;
}

/* ---- stop: each step begins when the one before has ended ---- */
static void on_store_closed(void *arg)
{
    server *s = arg;

    s->store = NULL;
    loop_timer_cancel(s->loop, &s->deadline);
    loop_close_idle(s->loop);
}

static void on_client_closed(void *arg)
{
    server *s = arg;

    if (s->store)
        store_close(s->store, on_store_closed, s);
}

static void on_feed_stopped(void *arg)
{
    server *s = arg;

    client_close(s->client, on_client_closed, s);
}

static void on_sources_stopped(void *arg)
{
    server *s = arg;

    feed_stop(&s->feed, on_feed_stopped, s);
}

static void on_drained(void *arg)
{
    server *s = arg;

    sources_stop(s->api.sources, on_sources_stopped, s);
}

static void on_deadline(timer *t)
{
    server *s = CONTAINER_OF(t, server, deadline);

    if (s->signals > 1)
        _exit(EXIT_FAILED); /* the store survives that */
    log_warn("requests under way are cut off", LOG_INT("after_ms", DRAIN_MS));
    http_server_cut(s->http);
}

static void on_stop(void *arg, int signum)
{
    server *s = arg;

    if (++s->signals > 1) {
        log_warn("stopping at once", LOG_INT("signal", signum));
        http_server_cut(s->http);
        (void)loop_timer_set(s->loop, &s->deadline, CUT_MS, on_deadline);
        return;
    }
    log_info("draining", LOG_INT("signal", signum));
    s->ops.draining = true;
    http_server_drain(s->http, on_drained, s);
    (void)loop_timer_set(s->loop, &s->deadline, DRAIN_MS, on_deadline);
}

/* ---- start ---- */
static void raise_file_limit(int64_t connections)
{
    struct rlimit lim;
    const rlim_t want = (rlim_t)connections + 256;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= want)
        return;
    lim.rlim_cur = want < lim.rlim_max ? want : lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < want)
        log_warn("fewer files may be open than http.max_connections asks for", LOG_INT("limit", (int64_t)lim.rlim_cur));
}

static int open_store(server *s)
{
    const store_options o = {
        .dir = arena_cstr(&s->arena, s->config->data_dir),
        .max_size = (uint64_t)s->config->store_max_size,
        .keyspaces = app_keyspaces,
        .n_keyspaces = app_n_keyspaces,
        .schema_version = STORE_SCHEMA_VERSION,
    };
    str why = STR_NULL, key_file;

    int r = o.dir ? store_open(&o, s->loop, &s->arena, &s->store, &why) : -ENOMEM;
    if (r < 0) {
        log_error("the store cannot be opened", LOG_C("data_dir", o.dir), LOG_STR("why", why.p ? why : str_c(err_text(r))));
        return r;
    }
    r = app_first_key(s->store, o.dir, &s->arena, &key_file);
    if (r < 0)
        log_error("the first key cannot be made", LOG_C("data_dir", o.dir), LOG_ERR(r));
    else if (key_file.p)
        log_info("an admin key was made: read it from this file, then keep it elsewhere", LOG_STR("file", key_file));
    return r;
}

static int make_outbound(server *s)
{
    const client_options o = {.user_agent = "larder/" LARDER_VERSION};
    const github_options gh = github_options_of(s, s->config);

    int r = make_trust(s, s->config, &s->trust);
    if (r == 0)
        r = client_new(s->loop, s->trust, &o, &s->client);
    return r < 0 ? r : github_new(s->loop, s->client, &gh, &s->github);
}

static int make_domains(server *s)
{
    const sources_options o = {
        .loop = s->loop,
        .store = s->store,
        .github = s->github,
        .rescan_interval_ms = s->config->sources_rescan_interval,
        .concurrency = (unsigned)s->config->github_concurrency,
        .max_entries = (size_t)s->config->sources_max_entries,
        .max_archive_bytes = (size_t)s->config->sources_max_archive_bytes,
        .on_entries = on_entries,
        .on_reindex = on_reindex,
        .arg = s,
    };
    const int r = sources_new(&o, &s->api.sources);

    s->api.loop = s->loop;
    s->api.store = s->store;
    return r < 0 ? r : feed_start(&s->feed, &s->api);
}

static int make_serving(server *s)
{
    static const family *const families[] = {&family_cache, &family_sources, &family_ops};
    const route_table tables[] = {sources_routes, cache_routes, ops_routes};
    const http_options http = http_options_of(s->config);
    access_options acc;

    int r = access_options_of(s, s->config, &acc);
    if (r == 0)
        r = access_new(s->store, clk_real(), &acc, &s->access);
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
    return http_server_new(s->loop, &http, &hooks, &s->http);
}

/* auto access is decided by what is listened on, before anything is. */
static int parse_listeners(server *s, net_listen *where)
{
    s->all_local = true;
    for (size_t i = 0; i < s->config->listen.n; i++) {
        const int r = net_listen_parse(&s->arena, s->config->listen.v[i], &where[i]);
        if (r < 0)
            return r;
        s->all_local = s->all_local && net_addr_is_loopback(&where[i].addr);
    }
    return 0;
}

static int listen_all(server *s, const net_listen *where, str *urls)
{
    for (size_t i = 0; i < s->config->listen.n; i++) {
        const int r = http_server_listen(s->http, &where[i], &s->arena, &urls[i]);
        if (r < 0) {
            log_error("cannot listen", LOG_STR("address", s->config->listen.v[i]), LOG_ERR(r));
            return r;
        }
    }
    return 0;
}

static int start(server *s)
{
    const size_t n = s->config->listen.n;
    net_listen *where = arena_array(&s->arena, net_listen, n);
    str *urls = arena_array(&s->arena, str, n);

    int r = where && urls ? parse_listeners(s, where) : -ENOMEM;
    if (r == 0)
        r = loop_new(clk_real(), WORKERS, &s->loop);
    if (r == 0)
        r = open_store(s);
    if (r == 0)
        r = make_outbound(s);
    if (r == 0)
        r = make_domains(s);
    if (r == 0)
        r = make_serving(s);
    s->ops.taps = (ops_taps){.loop = s->loop, .store = s->store, .http = s->http, .router = s->router,
                             .client = s->client, .github = s->github, .sources = s->api.sources};
    s->api.ops = &s->ops;
    if (r == 0)
        r = loop_on_signal(s->loop, SIGTERM, on_stop, s);
    if (r == 0)
        r = loop_on_signal(s->loop, SIGINT, on_stop, s);
    if (r == 0)
        r = loop_on_signal(s->loop, SIGHUP, on_reload, s);
    if (r == 0)
        r = listen_all(s, where, urls);
    if (r == 0)
        r = sources_start(s->api.sources);
    for (size_t i = 0; r == 0 && i < n; i++)
        printf("larder: listening on " STR_FMT "\n", STR_ARG(urls[i]));
    (void)fflush(stdout);
    return r;
}

static int64_t wall_ms(void)
{
    return clk_wall_ms(clk_real());
}

static void print_handle(void *arg, const char *text)
{
    (void)arg;
    log_error("still alive at the end", LOG_C("handle", text));
}

static void done(server *s)
{
    http_server_free(s->http);
    router_free(s->router);
    access_free(s->access);
    feed_done(&s->feed);
    sources_free(s->api.sources);
    github_free(s->github);
    tls_trust_unref(s->trust);
    loop_free(s->loop);
    mem_free(s->proxies);
    arena_done(&s->arena);
    if (s->config != &s->cli->config) {
        config_done(s->config);
        mem_free(s->config);
    }
    mem_free(s);
}

int command_serve(cli *c)
{
    server *s = mem_new(server);

    if (!s)
        return cli_fail("out of memory");
    s->cli = c;
    s->config = &c->config;
    arena_init(&s->arena, 0);
    log_set_time(wall_ms);
    set_log(s->config);
    (void)signal(SIGPIPE, SIG_IGN);
    raise_file_limit(s->config->http_max_connections);
    const int r = start(s);
    if (r < 0) {
        /* What was half made is the system's to clean up: nothing durable hangs on it. */
        return cli_fail("cannot start: %s", err_text(r));
    }
    int ran = loop_run(s->loop);
    if (ran != 0)
        loop_report_handles(s->loop, print_handle, NULL);
    log_info("stopped", LOG_INT("signals", s->signals));
    done(s);
    return EXIT_DONE;
}
