/* config: what can be set, from where, and what it is set to.
 *
 * An option is a row of CONFIG_OPTIONS: kind, dotted name, member, default, bounds, whether it changes live, one line of
 * documentation. From the rows come the struct, the reader of YAML, --set and LARDER_ variables, `config show`, and the check
 * that etc/larder.yaml tells the truth. To add an option, add a row there and a line in etc/larder.yaml.
 *
 * Later sources win: default, file (-c), environment (LARDER_HTTP_IDLE_TIMEOUT), --set. Everything is checked when it is
 * read, and an error names where: "larder.yaml:12: http.idle_timeout: ...". */
#ifndef LARDER_CONFIG_H
#define LARDER_CONFIG_H

#include "larder/schema.h"

/* kinds: text, secret (a text that is never shown), number, size (bytes: 64MiB), span (duration in ms: 6h), flag, choice, and
 * texts (a list). min and max bound numbers, sizes and spans. For choices the bounds' place holds nothing. */
/* clang-format off */
#define CONFIG_OPTIONS(X) \
    X(texts,  "listen", listen, "127.0.0.1:8080", 0, 0, RESTART, NULL, "host:port, [v6]:port or unix:PATH; port 0 picks a free one") \
    X(text,   "data_dir", data_dir, "./data", 0, 0, RESTART, NULL, "where everything that must survive lies") \
    X(choice, "log.level", log_level, "info", 0, 0, LIVE, "error|warn|info|debug", "what is worth a line") \
    X(choice, "log.format", log_format, "text", 0, 0, LIVE, "text|json", "how a line looks") \
    X(flag,   "log.access", log_access, "false", 0, 0, LIVE, NULL, "a line per request") \
    X(size,   "http.max_header_bytes", http_max_header_bytes, "16KiB", 1024, 1 << 20, LIVE, NULL, "request line and headers together") \
    X(size,   "http.max_body_bytes", http_max_body_bytes, "1MiB", 1024, INT64_C(1) << 30, LIVE, NULL, "request body, unless an endpoint says otherwise") \
    X(span,   "http.header_timeout", http_header_timeout, "10s", 10, HOURS(1), LIVE, NULL, "for a request's head to arrive") \
    X(span,   "http.body_timeout", http_body_timeout, "30s", 10, HOURS(1), LIVE, NULL, "for its body, and for a client to take its answer") \
    X(span,   "http.idle_timeout", http_idle_timeout, "75s", 10, HOURS(24), LIVE, NULL, "how long a connection is kept without a request") \
    X(number, "http.max_connections", http_max_connections, "20000", 1, 1000000, LIVE, NULL, "more are refused with 503") \
    X(texts,  "http.trusted_proxies", http_trusted_proxies, "", 0, 0, LIVE, NULL, "addresses, networks or `unix` whose X-Forwarded-For is believed") \
    X(choice, "access.sources", access_sources, "auto", 0, 0, LIVE, "auto|open|required", "whether /marketplace/sources needs a key; auto: unless all is local") \
    X(choice, "access.metrics", access_metrics, "auto", 0, 0, LIVE, "auto|open|required", "the same for /metrics") \
    X(number, "limits.requests_per_minute", limits_per_minute, "100", 1, 1000000, LIVE, NULL, "per client") \
    X(number, "limits.requests_per_hour", limits_per_hour, "5000", 1, 60000000, LIVE, NULL, "per client") \
    X(number, "limits.concurrent_requests", limits_concurrent, "10", 1, 100000, LIVE, NULL, "per client") \
    X(text,   "github.api_url", github_api_url, "https://api.github.com", 0, 0, LIVE, NULL, "where GitHub's REST API is") \
    X(secret, "github.token", github_token, "", 0, 0, LIVE, NULL, "for private repositories and a larger quota") \
    X(text,   "github.token_file", github_token_file, "", 0, 0, LIVE, NULL, "a file that holds the token, instead") \
    X(text,   "github.ca_file", github_ca_file, "", 0, 0, LIVE, NULL, "certificates to trust beside the system's") \
    X(number, "github.concurrency", github_concurrency, "3", 1, 64, LIVE, NULL, "scans at once") \
    X(span,   "sources.rescan_interval", sources_rescan_interval, "6h", SECONDS(1), HOURS(24 * 365), LIVE, NULL, "each source is scanned again after it, give or take a tenth") \
    X(size,   "sources.max_archive_bytes", sources_max_archive_bytes, "512MiB", 1 << 16, INT64_C(1) << 36, LIVE, NULL, "of a repository's tar.gz") \
    X(number, "sources.max_entries", sources_max_entries, "200000", 1, 400000, LIVE, NULL, "files of a repository that are looked at") \
    X(size,   "store.max_size", store_max_size, "16GiB", 1 << 20, INT64_C(1) << 44, RESTART, NULL, "how far the data file may grow")
/* clang-format on */

#define CONFIG_C_texts strs
#define CONFIG_C_text str
#define CONFIG_C_secret str
#define CONFIG_C_choice str
#define CONFIG_C_number int64_t
#define CONFIG_C_size int64_t
#define CONFIG_C_span int64_t
#define CONFIG_C_flag bool

typedef enum config_kind { CONFIG_texts, CONFIG_text, CONFIG_secret, CONFIG_number, CONFIG_size, CONFIG_span, CONFIG_flag, CONFIG_choice } config_kind;
typedef enum config_origin { FROM_DEFAULT, FROM_FILE, FROM_ENVIRONMENT, FROM_SET } config_origin;

typedef struct config_option {
    config_kind kind;
    const char *name, *def, *choices, *doc;
    size_t offset;
    int64_t min, max;
    bool live;
} config_option;
#define CONFIG_COUNT_ONE(kind, name, member, def, min, max, live, choices, doc) +1
#define CONFIG_OPTION_COUNT (0 CONFIG_OPTIONS(CONFIG_COUNT_ONE))
extern const config_option config_options[];

#define CONFIG_MEMBER(kind, name, member, def, min, max, live, choices, doc) CONFIG_C_##kind member;
typedef struct config {
    arena arena; /* backs all texts */
    CONFIG_OPTIONS(CONFIG_MEMBER)
    config_origin origin[CONFIG_OPTION_COUNT];
} config;

/* Where values come from, besides the defaults: kept, so that a reload reads the same again. */
typedef struct config_sources {
    const char *file;         /* NULL: none */
    const char *const *sets;  /* "key=value" */
    size_t n_sets;
    char *const *environment; /* NULL-terminated, as environ; NULL: none */
} config_sources;

/* Fills *c; config_done frees it, also after a failure. -EINVAL with *why ("FILE:LINE: KEY: what is wrong", in c's arena), -ENOENT,
 * -EACCES and the like for the file (with *why), -ENOMEM. A variable LARDER_X that is no option is an error too. */
int config_load(config *c, const config_sources *from, str *why);
void config_done(config *c);

void config_show(const config *c, buf *out); /* YAML with a comment on where each value comes from; secrets as (set) */
void config_value_text(const config *c, size_t option, buf *out);
bool config_differs(const config *a, const config *b, size_t option);

/* Parsed once more by their users; checked here already. */
bool config_size_parse(str text, int64_t *ret_bytes); /* "64MiB" "1GB" "1024" */

#endif
