/* What tests of the client share: a loop on a fake clock, a client, a scripted server, and calls that note how they
 * ended. */
#ifndef LARDER_TESTS_FETCH_H
#define LARDER_TESTS_FETCH_H

#include "larder/client.h"
#include "peer.h"
#include "unit.h"

#define FETCH_NOW INT64_C(1768472430000) /* Thu, 15 Jan 2026 10:20:30 GMT */

typedef struct world {
    fake_clk clock;
    loop *loop;
    client *client;
    peer peer;
    bool closed;
} world;

typedef struct fetch {
    client_call call; /* its user is the world */
    unsigned done;    /* times on_done ran */
    char url[300];
    buf streamed;
    unsigned pieces;
    size_t pause_after; /* bytes; 0: don't */
    int refuse;         /* on_body's result, when not 0 */
} fetch;

void world_open(world *w, const client_options *o); /* o NULL: defaults */
void world_close(world *w);                         /* the client too, if it is still there */
void world_close_client(world *w);                  /* waits until it is closed */
void world_pass(world *w, int64_t ms);              /* time, and what it brings */

void fetch_init(fetch *f, world *w, const char *path); /* an absolute URL, or a path on the world's peer */
void fetch_stream(fetch *f);
void fetch_start(fetch *f, world *w);
void fetch_wait(fetch *f, world *w); /* until done, without time passing */
void fetch_run(fetch *f, world *w);  /* start, wait */
void fetch_done(fetch *f);
/* The whole of it: GET path, wait, check status and body. */
void fetch_expect(world *w, const char *path, int status, const char *body);
uint64_t world_count(world *w, const char *origin, const char *result); /* from client_metrics; origin NULL: the peer */

#define SCRIPT(w, ...)                                   \
    do {                                                 \
        static const peer_step script[] = {__VA_ARGS__}; \
        (w)->peer.steps = script;                        \
        (w)->peer.n_steps = COUNT_OF(script);            \
        (w)->peer.requests = 0;                          \
    } while (0)

#endif
