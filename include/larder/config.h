/* config: what can be set, from where, and what it is set to.
 *
 * Words
 *   option   a row of CONFIG_OPTIONS. From the rows come the struct, the readers of YAML, --set and LARDER_ variables,
 *            `config show`, the help, and the test that etc/larder.yaml tells the truth.
 *   kind     what an option's text means: how it is read, checked and shown; a row in src/app/config_kinds.c.
 *   source   where a value comes from. Later ones win: default, file (-c), environment, --set.
 *
 * In the file an option is found by its sections ("http:" and in it "idle_timeout:") or by its dotted name. In the
 * environment it is LARDER_ and the name in capitals, dots as underscores: LARDER_HTTP_IDLE_TIMEOUT. A variable that
 * begins like a section's (LARDER_HTTP_...) and is no option is an error; others (LARDER_LOGLEVEL, LARDER_HOME) may
 * have been meant for somebody else: a warning.
 *
 * All is checked when it is read: who uses a config need not look again. An error names the place:
 * "larder.yaml:12: http.idle_timeout: '5 parsecs' is no duration, such as 30s or 6h".
 *
 * To add an option: a row here, a line in etc/larder.yaml, and in serve.c what it does. */
#ifndef LARDER_CONFIG_H
#define LARDER_CONFIG_H

#include "larder/net.h"
#include "larder/recache_hosts.h"
#include "larder/render.h"
#include "larder/schema.h"

/* Columns: kind, name, member, default, min, max, LIVE (SIGHUP changes it) or RESTART, choices, documentation.
 * Kinds and their C types:
 *     number     int64_t
 *     size       int64_t, bytes: "64MiB", "1GB", "1024"
 *     span       int64_t, milliseconds: "250ms", "30s", "6h"
 *     flag       bool
 *     choice     unsigned, which of the choices
 *     real       double: "0.3"
 *     text, path, url  str; an url is http:// or https://, and has no '/' at its end
 *     secret     str, printable ASCII; never shown
 *     secrets    strs, a list of such
 *     addresses  config_addresses, a list: where to listen
 *     networks   config_networks, a list: addresses, networks, `unix`
 *     folders    strs, a list: absolute paths
 *     tree       config_node: YAML as it stands; what it means is read by a file of its own (config_recache.c)
 * min and max bound numbers, sizes and spans, the bytes of a text, the elements of a list.
 * All texts live in the config's arena and have a NUL behind them. */
/* clang-format off */
#define CONFIG_OPTIONS(X) \
    X(addresses, "listen", listen, "127.0.0.1:8080", 1, 64, RESTART, NULL, \
      "host:port, [v6]:port or unix:PATH; port 0 picks a free one") \
    X(path,   "data_dir", data_dir, "./data", 1, 4000, RESTART, NULL, \
      "where everything that must survive lies") \
    X(choice, "log.level", log_level, "info", 0, 0, LIVE, "error|warn|info|debug", "what is worth a line") \
    X(choice, "log.format", log_format, "text", 0, 0, LIVE, "text|json", "how a line looks") \
    X(flag,   "log.access", log_access, "false", 0, 0, LIVE, NULL, "a line per request") \
    X(size,   "http.max_header_bytes", http_max_header_bytes, "16KiB", 1024, 1 << 20, LIVE, NULL, \
      "request line and headers together") \
    X(size,   "http.max_body_bytes", http_max_body_bytes, "1MiB", 1024, 1 << 30, LIVE, NULL, "request body") \
    X(span,   "http.header_timeout", http_header_timeout, "10s", 10, HOURS(1), LIVE, NULL, \
      "for a request's head to arrive") \
    X(span,   "http.body_timeout", http_body_timeout, "30s", 10, HOURS(1), LIVE, NULL, \
      "for its body to arrive, and for a client to take its answer") \
    X(span,   "http.idle_timeout", http_idle_timeout, "75s", 10, HOURS(24), LIVE, NULL, \
      "how long a connection is kept without a request") \
    X(number, "http.max_connections", http_max_connections, "20000", 1, 1000000, LIVE, NULL, \
      "more are refused with 503") \
    X(networks, "http.trusted_proxies", http_trusted_proxies, "", 0, 256, LIVE, NULL, \
      "addresses, networks or `unix` whose X-Forwarded-For is believed") \
    X(choice, "access.sources", access_sources, "auto", 0, 0, LIVE, "auto|open|required", \
      "whether /api/v1/marketplace/sources needs a key; auto: unless all is local") \
    X(choice, "access.metrics", access_metrics, "auto", 0, 0, LIVE, "auto|open|required", "the same for /metrics") \
    X(number, "limits.requests_per_minute", limits_per_minute, "100", 1, 1000000, LIVE, NULL, "per client") \
    X(number, "limits.requests_per_hour", limits_per_hour, "5000", 1, 60000000, LIVE, NULL, "per client") \
    X(number, "limits.concurrent_requests", limits_concurrent, "10", 1, 100000, LIVE, NULL, "per client") \
    X(url,    "github.api_url", github_api_url, "https://api.github.com", 1, 1000, LIVE, NULL, \
      "where GitHub's REST API is") \
    X(secret, "github.token", github_token, "", 0, 1000, LIVE, NULL, "for private repositories and a larger quota") \
    X(path,   "github.token_file", github_token_file, "", 0, 4000, LIVE, NULL, "a file that holds the token, instead") \
    X(path,   "github.ca_file", github_ca_file, "", 0, 4000, LIVE, NULL, "certificates to trust beside the system's") \
    X(number, "github.concurrency", github_concurrency, "3", 1, 64, LIVE, NULL, "scans at once") \
    X(span,   "sources.rescan_interval", sources_rescan_interval, "6h", SECONDS(1), HOURS(24 * 365), LIVE, NULL, \
      "each source is scanned again after it, give or take a tenth") \
    X(size,   "sources.max_archive_bytes", sources_max_archive_bytes, "512MiB", 1 << 16, INT64_C(1) << 36, LIVE, NULL, \
      "of a repository's tar.gz") \
    X(number, "sources.max_entries", sources_max_entries, "200000", 1, 400000, LIVE, NULL, \
      "files of a repository that are looked at") \
    X(folders, "projects.roots", projects_roots, "", 0, 64, LIVE, NULL, \
      "folders below which projects are looked for, three levels deep") \
    X(span,   "projects.refresh_interval", projects_refresh_interval, "6h", SECONDS(1), HOURS(24 * 365), LIVE, NULL, \
      "each project is refreshed again after it, give or take a tenth") \
    X(span,   "projects.ttl", projects_ttl, "6h", SECONDS(1), HOURS(24 * 365), LIVE, NULL, \
      "what was learnt longer ago is stale") \
    X(number, "projects.refresh_concurrency", projects_refresh_concurrency, "3", 1, 64, LIVE, NULL, \
      "projects refreshed at once") \
    X(text,   "recache.daemon_id", recache_daemon_id, "larder", 1, 200, LIVE, NULL, \
      "what the status calls this server") \
    X(secrets, "recache.auth_key", recache_auth_key, "", 0, 16, LIVE, NULL, \
      "X-Internal-Auth of /internal and /status: one, or several while they change") \
    X(path,   "recache.auth_key_file", recache_auth_key_file, "", 0, 4000, LIVE, NULL, \
      "a file that holds them, one a line, instead") \
    X(flag,   "recache.scheduler_control_api", recache_scheduler_control_api, "false", 0, 0, LIVE, NULL, \
      "whether the scheduler may be paused over HTTP") \
    X(span,   "recache.tick_interval", recache_tick_interval, "1s", 100, HOURS(1), LIVE, NULL, \
      "the scheduler's heartbeat; work begins when capacity is free, not by it") \
    X(number, "recache.max_in_flight", recache_max_in_flight, "1000", 1, 100000, LIVE, NULL, \
      "pages under way at once") \
    X(number, "recache.max_attempts", recache_max_attempts, "3", 1, 100, LIVE, NULL, "for a page, in all") \
    X(span,   "recache.retry_base_delay", recache_retry_base_delay, "5s", 1, HOURS(24), LIVE, NULL, \
      "before the second attempt; doubles each time") \
    X(real,   "recache.reserved_for_online", recache_reserved_for_online, "0.30", 0, 1, LIVE, NULL, \
      "share of all tabs that is kept free for others") \
    X(span,   "recache.timeout_per_url", recache_timeout_per_url, "60s", 100, HOURS(1), LIVE, NULL, \
      "for one page, from the ask to its end") \
    X(number, "recache.max_fetches", recache_max_fetches, "20", 1, 10000, LIVE, NULL, \
      "pages fetched at once from their origins, without rendering") \
    X(path,   "recache.pages_dir", recache_pages_dir, "", 0, 4000, RESTART, NULL, \
      "of the pages' files; none: data_dir/pages") \
    X(number, "recache.max_dead_letters", recache_max_dead_letters, "1000000", 1, 100000000, LIVE, NULL, \
      "dead letters of a host, beyond which the oldest go") \
    X(size,   "recache.max_bytes", recache_max_bytes, "0", 0, INT64_C(1) << 50, LIVE, NULL, \
      "of all pages' files, beyond which the least recently used go; 0: no limit") \
    X(span,   "recache.stale_ttl", recache_stale_ttl, "1h", 0, HOURS(24 * 365), LIVE, NULL, \
      "how long a page may be served after its ttl, where its host says nothing else") \
    X(real,   "recache.rate", recache_rate, "0", 0, 100000, LIVE, NULL, \
      "pages per second of a host that says nothing else; 0: no limit") \
    X(path,   "recache.accel_prefix", recache_accel_prefix, "", 0, 1000, LIVE, NULL, \
      "internal location of the web server in front that sends the files; none: sent by ourselves") \
    X(flag,   "recache.allow_private", recache_allow_private, "false", 0, 0, LIVE, NULL, \
      "whether pages may come from addresses that are not public") \
    X(path,   "recache.ca_file", recache_ca_file, "", 0, 4000, LIVE, NULL, \
      "certificates to trust beside the system's, of render services and origins") \
    X(tree,   "recache.render_services", recache_render_services, "", 0, 256, LIVE, NULL, \
      "addresses of fixed ones: a list of maps with url, key_header, key") \
    X(tree,   "recache.hosts", recache_hosts, "", 0, 1024, LIVE, NULL, "the sites whose pages are kept") \
    X(path,   "recache.hosts_include", recache_hosts_include, "", 0, 4000, LIVE, NULL, \
      "a file with more of them, or a folder of such (*.yaml)") \
    X(size,   "store.max_size", store_max_size, "16GiB", 1 << 20, INT64_C(1) << 44, RESTART, NULL, \
      "how far the data file may grow")
/* clang-format on */

typedef struct config_addresses {
    const str *texts;
    const net_listen *v;
    size_t n;
} config_addresses;
typedef struct config_networks {
    const str *texts;
    size_t n;
    const net_cidr *nets; /* all but `unix` */
    size_t n_nets;
    bool has_unix;
} config_networks;

/* A piece of YAML: a scalar's text, a list's elements, or a map's values with their keys. Arrays of the arena. */
typedef struct config_node {
    enum { CONFIG_SCALAR, CONFIG_LIST, CONFIG_MAP } shape;
    str key;  /* in a map */
    str text; /* of a scalar */
    const struct config_node *items;
    size_t n;
    const char *file; /* where it stands; NULL: not in a file */
    size_t line;
} config_node;

#define CONFIG_C_number int64_t
#define CONFIG_C_size int64_t
#define CONFIG_C_span int64_t
#define CONFIG_C_flag bool
#define CONFIG_C_choice unsigned
#define CONFIG_C_path str
#define CONFIG_C_url str
#define CONFIG_C_secret str
#define CONFIG_C_addresses config_addresses
#define CONFIG_C_networks config_networks
#define CONFIG_C_folders strs
#define CONFIG_C_real double
#define CONFIG_C_text str
#define CONFIG_C_secrets strs
#define CONFIG_C_tree const config_node *

/* The numbers of the options, in the order of the rows: OPTION_log_level. */
typedef enum config_id {
#define CONFIG_ID(kind, name, member, def, min, max, live, choices, doc) OPTION_##member,
    CONFIG_OPTIONS(CONFIG_ID)
#undef CONFIG_ID
        CONFIG_OPTION_COUNT
} config_id;

typedef struct config_kind config_kind; /* of app/ */
typedef struct config_option {
    const config_kind *kind;
    const char *name, *def, *choices, *doc;
    size_t offset; /* of the member */
    int64_t min, max;
    bool live;
} config_option;
extern const config_option config_options[CONFIG_OPTION_COUNT];

/* SECRET_FILE: github.token was read from github.token_file, or recache.auth_key from its file. */
typedef enum config_origin { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_SET, FROM_SECRET_FILE } config_origin;

#define CONFIG_WARNINGS_MAX 8 /* more are not told */
typedef struct config {
    arena arena;
#define CONFIG_MEMBER(kind, name, member, def, min, max, live, choices, doc) CONFIG_C_##kind member;
    CONFIG_OPTIONS(CONFIG_MEMBER)
#undef CONFIG_MEMBER
    config_origin origin[CONFIG_OPTION_COUNT];
    const char *file;                  /* config_sources.file */
    size_t line[CONFIG_OPTION_COUNT];  /* in it, FROM_FILE */
    /* what recache.hosts, the included files and recache.render_services mean */
    const recache_host *hosts;
    const render_service_options *services;
    size_t n_hosts, n_services;
    uint64_t included; /* a hash of the included files: another one, other content */
    /* what is allowed but unwise, or was hardly meant: a line each in the log */
    str warnings[CONFIG_WARNINGS_MAX];
    size_t n_warnings;
} config;

/* Where values come from, besides the defaults: kept, so that a reload reads the same again. */
typedef struct config_sources {
    const char *file;         /* NULL: none */
    const char *const *sets;  /* "key=value" */
    size_t n_sets;
    char *const *environment; /* ends with NULL, as environ; NULL: none */
} config_sources;

/* Fills *c; config_done frees it, also after a failure. -EINVAL with *why (in c's arena, or static), -ENOMEM, or why a
 * file can't be read (-ENOENT, -EACCES...), with *why too. */
int config_load(config *c, const config_sources *from, str *why);
void config_done(config *c);
/* Reads github.token_file and recache.auth_key_file, where there are such, into github_token and recache_auth_key: for
 * the server. Errors as config_load's. */
int config_load_secrets(config *c, str *why);

/* A configuration file that says the same, and in comments where each value comes from. Secrets are left out. */
void config_show(const config *c, buf *out);
/* Where an option was set, to begin a complaint with: "larder.yaml:12: ", "--set: ", "environment: ", or nothing. */
str config_place(const config *c, config_id option, arena *a);
bool config_differs(const config *a, const config *b, config_id option);

#endif
