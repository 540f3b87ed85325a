/* What `larder serve` is made of: serve.c starts and stops it, reload.c turns options into rooms. */
#ifndef LARDER_APP_SERVER_H
#define LARDER_APP_SERVER_H

#include "cli.h"
#include "feed.h"
#include "larder/client.h"
#include "larder/ops.h"
#include "progress.h"
#include "recaching.h"
#include "watch.h"

typedef struct server {
    cli *cli;       /* with the configuration it was started with: what can't change live is in force as it says */
    config *config; /* what is in force otherwise */
    arena arena;
    loop *loop;
    store *store;
    tls_trust *trust, *page_trust; /* of GitHub; of render services and origins */
    client *client;
    github *github;
    access_control *access;
    router *router;
    http_server *http;
    api api;
    feed feed;
    recaching recaching;
    ops ops;
    watch watch;
    progress progress;
    bool all_local; /* every listener is */
    struct reload *reload; /* a configuration that is being read */
    bool reload_again;     /* there was another SIGHUP meanwhile */
    timer deadline;        /* of the drain, and of all that follows */
    unsigned signals;
    bool is_dismissed;     /* who waits for a refresh has been told that it won't be */
    bool is_cut;           /* requests are waited for no longer */
    const char *waits_for; /* which room's end */
    str why; /* of a failed start */
} server;

/* ---- options into rooms (reload.c) ---- */
http_options server_http_options(const config *c);
access_options server_access_options(const server *s, const config *c); /* borrows the config's networks */
github_options server_github_options(const config *c);                  /* borrows its texts */
sources_options server_sources_options(const server *s, const config *c);
projects_options server_projects_options(const server *s, const config *c); /* borrows its texts */
/* Of an option that names a file, or is empty. Blocks. */
int server_make_trust(const config *c, config_id option, arena *a, tls_trust **ret_trust, str *why);
void server_set_log(const config *c);
void server_raise_file_limit(const config *c); /* as far as http.max_connections asks, and the system allows */

/* SIGHUP: reads the configuration again, on a worker, and takes over what can change. All of it, or, when something is
 * wrong, nothing; nothing while the server stops. */
void server_reload(server *s);
void server_reload_ended(server *s); /* serve.c's: it may have been waiting for that */

#endif
