/* What tests of the render fleet share: services played by peers, each with its own health and script, and pages that
 * note how they ended. */
#ifndef LARDER_TESTS_FARM_H
#define LARDER_TESTS_FARM_H

#include "fetch.h"
#include "larder/render.h"

#define FARM_PEERS 3
#define META_OK "\"success\":true,\"metrics\":{\"status_code\":200}"

typedef struct farm farm;
typedef struct farmer { /* one service */
    peer peer;
    const char *health; /* the body of /health; NULL: it says nothing; "": status 500 */
    const char *say;    /* to each /render, with n bytes; NULL: it is held */
    size_t n;
    peer_then then;
    peer_conn *held[16];
    unsigned n_held;
    unsigned renders, polls;
    char asked[2048]; /* the last /render */
} farmer;

struct farm {
    world w;
    farmer farmers[FARM_PEERS];
    size_t n;
    render_service_options services[FARM_PEERS];
    render_options options;
    render_fleet *fleet;
    unsigned told; /* on_capacity */
    bool closed;
};

typedef struct page {
    render_op op;
    unsigned done, heads;
    buf html;
    size_t pause_after; /* bytes; 0: don't */
    int refuse_head, refuse_piece;
    bool cancel_at_piece;
} page;

void farm_open(farm *f, size_t n); /* n services of 10 tabs each; private addresses allowed. Not polled yet */
void farm_start(farm *f);          /* the fleet, and waits until all services were heard of */
void farm_close(farm *f);
void farm_close_fleet(farm *f);
void farm_pass(farm *f, int64_t ms);

/* "LENGTH JSON HTML" as HTTP's answer, `json` without its braces. The caller frees with buf_done. */
buf farm_frame(const char *json, str html);
void farm_says(farm *f, size_t i, const buf *answer);        /* which stays until it is replaced */
const char *farm_json(const char *status, const char *json); /* until the eighth call after it */

void page_init(page *p, const char *url);
int page_start(page *p, farm *f);
void page_wait(page *p, farm *f);
void page_run(page *p, farm *f);
void page_done(page *p);

render_service farm_service(farm *f, size_t i); /* the i-th row; its texts until the loop goes on */

#endif
