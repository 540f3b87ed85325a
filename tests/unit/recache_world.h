/* A recache service with a store, a fake clock and a renderer that does as it is told. */
#ifndef LARDER_TESTS_RECACHE_WORLD_H
#define LARDER_TESTS_RECACHE_WORLD_H

#include "larder/recache.h"

#include "store_fixture.h"

#define WORLD_NOW INT64_C(1750000000000)
#define WORLD_TABS_MAX 1024

typedef struct world_answer { /* what becomes of an operation */
    render_result result;
    int status;
    const char *html, *error_type, *final_url;
    int64_t takes_ms;
    bool service_failed;
} world_answer;

typedef struct recache_world {
    char dir[64], pages[96];
    fake_clk clock;
    loop *loop;
    store *store;
    recache *recache;
    bool closed, stopped;
    recache_host hosts[64];
    size_t n_hosts;
    uint64_t store_size; /* from the next world_start on */
    recache_options options;
    /* the renderer */
    unsigned tabs; /* that may be used */
    world_answer answer; /* of all operations, unless there is `decide` */
    world_answer (*decide)(struct recache_world *w, const render_op *op);
    void (*on_finish)(struct recache_world *w, const render_op *op); /* just before on_done; may be NULL */
    int64_t step_ms; /* the clock moves by so much at once; 20 */
    struct world_tab {
        render_op *op;
        world_answer answer;
        int64_t ends_at;
        bool cancelled, bypass;
    } under_way[WORLD_TABS_MAX];
    unsigned n_under_way, most_under_way, started, busy;
    uint64_t starts_of[64]; /* by host number */
} recache_world;

void world_begin(recache_world *w, size_t n_hosts); /* hosts 1 to n: www.<id>.example, dimensions 0, 1 and 2 */
void world_begin_in(recache_world *w, size_t n_hosts, const char *dir); /* in a folder that is there */
void world_leave(recache_world *w);                 /* stops; the folder stays */
void world_end(recache_world *w);                   /* stops and removes all */
void world_start(recache_world *w);                 /* opens store and service, starts it */
void world_stop(recache_world *w);                  /* in good order */
/* Turns the loop, lets what has ended end, and moves the clock by `ms` in small steps. */
void world_turn(recache_world *w, int64_t ms);
/* Until nothing is queued (dead letters aside), at most `ms`; false: there still is. */
bool world_drain(recache_world *w, int64_t ms);
int64_t world_queued(recache_world *w);

typedef void (*world_task_fn)(recache *r, recache_task *t);
/* Runs the task to its end and returns its status. */
int world_task(recache_world *w, recache_task *t, world_task_fn fn);
void world_task_ended(recache_task *t); /* sets the bool that t->user points to */
/* Queues `url` (1 of it) for all dimensions given. */
int world_enqueue(recache_world *w, int64_t host, const char *url, uint16_t dimension, recache_priority p);
int world_page(recache_world *w, int64_t host, const char *url, uint16_t dimension, arena *a, recache_page *ret_page);
int64_t world_dead(recache_world *w, int64_t host);

#endif
