/* Options into rooms, at the start and again on SIGHUP. Whatever may fail comes before the first room is changed. */
#include <sys/resource.h>
#include <unistd.h>

#include "larder/log.h"
#include "larder/sources.h"
#include "server.h"

/* Choices are kept by number; these are in the order of their enums. */
_Static_assert(LOG_ERROR == 0 && LOG_WARN == 1 && LOG_INFO == 2 && LOG_DEBUG == 3, "log.level");
_Static_assert(LOG_TEXT == 0 && LOG_JSON == 1, "log.format");
_Static_assert(ACCESS_AUTO == 0 && ACCESS_OPEN == 1 && ACCESS_REQUIRED == 2, "access.sources, access.metrics");

#define MAX_BUFFERED (256u << 20) /* bytes that wait in all connections together */
#define OTHER_FILES 512           /* descriptors beside those of connections that count */

/* ---- one room each ---- */
http_options server_http_options(const config *c)
{
    return (http_options){
        .max_header_bytes = (size_t)c->http_max_header_bytes,
        .max_body_bytes = (size_t)c->http_max_body_bytes,
        .header_timeout_ms = c->http_header_timeout,
        .body_timeout_ms = c->http_body_timeout,
        .idle_timeout_ms = c->http_idle_timeout,
        .write_timeout_ms = c->http_body_timeout,
        .max_connections = (size_t)c->http_max_connections,
        .max_buffered = MAX_BUFFERED,
    };
}

access_options server_access_options(const server *s, const config *c)
{
    return (access_options){
        .per_minute = c->limits_per_minute,
        .per_hour = c->limits_per_hour,
        .concurrent = c->limits_concurrent,
        .trusted_proxies = c->http_trusted_proxies.nets,
        .n_trusted_proxies = c->http_trusted_proxies.n_nets,
        .trust_unix = c->http_trusted_proxies.has_unix,
        .sources = (access_mode)c->access_sources,
        .metrics = (access_mode)c->access_metrics,
        .all_local = s->all_local,
    };
}

github_options server_github_options(const config *c)
{
    return (github_options){
        .api_url = c->github_api_url.p,
        .token = c->github_token.n ? c->github_token : STR_NULL,
        .max_entries = (size_t)c->sources_max_entries,
        .max_archive_bytes = (size_t)c->sources_max_archive_bytes,
    };
}

sources_options server_sources_options(const server *s, const config *c)
{
    return (sources_options){
        .loop = s->loop,
        .store = s->store,
        .github = s->github,
        .rescan_interval_ms = c->sources_rescan_interval,
        .concurrency = (unsigned)c->github_concurrency,
        .max_entries = (size_t)c->sources_max_entries,
        .max_archive_bytes = (size_t)c->sources_max_archive_bytes,
    };
}

projects_options server_projects_options(const server *s, const config *c)
{
    return (projects_options){
        .loop = s->loop,
        .store = s->store,
        .github = s->github,
        .roots = c->projects_roots.v,
        .n_roots = c->projects_roots.n,
        .refresh_interval_ms = c->projects_refresh_interval,
        .ttl_ms = c->projects_ttl,
        .concurrency = (unsigned)c->projects_refresh_concurrency,
    };
}

int server_make_trust(const config *c, config_id option, arena *a, tls_trust **ret_trust, str *why)
{
    const str file = option == OPTION_github_ca_file ? c->github_ca_file : c->recache_ca_file;
    const int r = tls_trust_new(file.n ? file.p : NULL, clk_real(), ret_trust);

    if (r < 0)
        *why = arena_printf(a, STR_FMT "%s: %s: %s", STR_ARG(config_place(c, option, a)), config_options[option].name,
                            file.n ? file.p : "-",
                            r == -EINVAL ? "there is no certificate in it" : err_text(r));
    return r;
}

void server_raise_file_limit(const config *c)
{
    const rlim_t want = (rlim_t)c->http_max_connections + OTHER_FILES;
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) < 0 || lim.rlim_cur >= want)
        return;
    lim.rlim_cur = want < lim.rlim_max ? want : lim.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < (rlim_t)c->http_max_connections)
        log_warn("fewer files may be open than http.max_connections asks for", LOG_INT("limit", lim.rlim_cur));
}

void server_set_log(const config *c)
{
    log_setup((log_level)c->log_level, (log_format)c->log_format);
    for (size_t i = 0; i < c->n_warnings; i++)
        log_warn("configuration", LOG_STR("warning", c->warnings[i]));
}

/* ---- again ---- */
static size_t log_changes(const server *s, const config *fresh)
{
    size_t changed = 0;

    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const config_option *o = &config_options[i];
        if (!config_differs(o->live ? s->config : &s->cli->config, fresh, (config_id)i))
            continue;
        changed += o->live;
        if (o->live)
            log_info("changed", LOG_C("option", o->name));
        else
            log_warn("takes effect at the next start only", LOG_C("option", o->name));
    }
    if (s->config->included != fresh->included && !config_differs(s->config, fresh, OPTION_recache_hosts_include)) {
        log_info("changed", LOG_C("files", config_options[OPTION_recache_hosts_include].name));
        changed++;
    }
    return changed;
}

/* ---- read on a worker, taken over on the loop ---- */
typedef struct reload {
    job job;
    server *server;
    config *fresh;
    tls_trust *trust, *page_trust;
    int status;
    str why;
} reload;

static void work_read(job *j)
{
    reload *r = CONTAINER_OF(j, reload, job);

    r->status = config_load(r->fresh, &r->server->cli->from, &r->why);
    if (r->status == 0)
        r->status = config_load_secrets(r->fresh, &r->why);
    if (r->status == 0)
        r->status = server_make_trust(r->fresh, OPTION_github_ca_file, &r->fresh->arena, &r->trust, &r->why);
    if (r->status == 0)
        r->status =
            server_make_trust(r->fresh, OPTION_recache_ca_file, &r->fresh->arena, &r->page_trust, &r->why);
}

/* Takes what was read over, or leaves everything as it is: only what comes first can fail. */
static int apply(server *s, const config *fresh, tls_trust *trust, tls_trust *page_trust)
{
    const http_options http = server_http_options(fresh);
    const access_options acc = server_access_options(s, fresh);
    const github_options gh = server_github_options(fresh);
    const projects_options pro = server_projects_options(s, fresh);
    const sources_options src = server_sources_options(s, fresh);

    const int r = recaching_configure(&s->recaching, fresh, page_trust);
    if (r < 0)
        return r;
    github_set_options(s->github, &gh);
    server_set_log(fresh);
    server_raise_file_limit(fresh);
    client_set_trust(s->client, trust);
    tls_trust_unref(s->trust);
    s->trust = tls_trust_ref(trust);
    tls_trust_unref(s->page_trust);
    s->page_trust = tls_trust_ref(page_trust);
    http_server_set_options(s->http, &http);
    access_set_options(s->access, &acc);
    router_set_log_access(s->router, fresh->log_access);
    sources_configure(s->api.sources, &src);
    projects_configure(s->api.projects, &pro);
    return 0;
}

/* True when it was taken over: `fresh` is the server's then. */
static bool take_over(server *s, const reload *r)
{
    int status = r->status;
    str why = r->why;

    if (status == 0) {
        status = apply(s, r->fresh, r->trust, r->page_trust);
        why = str_c(err_text(status));
    }
    if (status < 0) {
        log_error("the configuration stays as it was", LOG_STR("why", why));
        return false;
    }
    log_info("the configuration was read again", LOG_INT("changed", log_changes(s, r->fresh)));
    if (s->config != &s->cli->config) {
        config_done(s->config);
        mem_free(s->config);
    }
    s->config = r->fresh;
    return true;
}

static void reload_free(reload *r)
{
    tls_trust_unref(r->trust);
    tls_trust_unref(r->page_trust);
    if (r->fresh)
        config_done(r->fresh);
    mem_free(r->fresh);
    mem_free(r);
}

static void on_read(job *j, int status)
{
    reload *r = CONTAINER_OF(j, reload, job);
    server *s = r->server;

    if (status == 0 && !s->ops.draining && take_over(s, r)) /* else the rooms are being taken down */
        r->fresh = NULL;
    reload_free(r);
    s->reload = NULL;
    if (s->reload_again)
        server_reload(s);
    server_reload_ended(s);
}

void server_reload(server *s)
{
    s->reload_again = s->reload && !s->ops.draining;
    if (s->reload || s->ops.draining)
        return;
    reload *r = mem_new(reload);
    if (r) {
        *r = (reload){.server = s, .fresh = mem_new(config), .why = STR("out of memory")};
        s->cli->from.environment = environ; /* it may have moved */
    }
    if (r && r->fresh && loop_job(s->loop, &r->job, work_read, on_read) == 0) {
        s->reload = r;
        return;
    }
    log_error("the configuration stays as it was", LOG_ERR(-ENOMEM));
    if (r)
        reload_free(r);
}
