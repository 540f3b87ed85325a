/* What the files of this room share. */
#ifndef LARDER_LOOP_PRIVATE_H
#define LARDER_LOOP_PRIVATE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <uv.h>

#include "larder/loop.h"

/* ---- stacks of posts, without a lock: any thread pushes, one takes all ---- */
/* True: it was empty, so whoever takes must be woken. */
bool posts_push(post *_Atomic *newest, post *p);
post *posts_take(post *_Atomic *newest); /* the oldest first, linked by next */

/* ---- job.c ---- */
#define MAX_WORKERS 64
typedef struct job_pool {
    pthread_t workers[MAX_WORKERS];
    unsigned n_workers, wanted; /* they start with the first job */
    sem_t ready;
    post *_Atomic given;  /* by the loop */
    pthread_mutex_t lock; /* among the workers */
    post *waiting;        /* the oldest first; before those in `given` */
    post *_Atomic finished;
    uv_async_t wake; /* keeps the loop alive only while jobs are under way */
} job_pool;
int loop_pool_init(loop *l, unsigned workers);
void loop_pool_done(loop *l); /* no job is under way */

struct loop {
    uv_loop_t uv;
    clk *clock;
    bool real_time;      /* clock is the system's: then uv's cached time is the same, and cheaper */
    size_t open_handles; /* own ones whose close callback has not run; signal handles included */
    bool closed;         /* loop_close_idle was called */

    timers timers;
    uv_timer_t alarm;
    int64_t armed_for; /* due time the alarm is set to */

    int64_t wall_ms;       /* cached wall time, */
    uint64_t wall_read_at; /* and uv's time when it was read */

    uv_prepare_t prepare;
    uv_check_t check;
    uint64_t held_from, idle_before; /* ns; idle_before: what uv had counted when the wait began */
    bool waited, marked;             /* a wait is not accounted for; marked in this turn */
    loop_lag lag;

    uv_async_t wake;
    post *_Atomic posted; /* newest first */

    struct signal_watch *signals;
    size_t jobs; /* under way */
    job_pool pool;
    size_t watches, polls; /* open; those that poll are among the watches */
};

/* Closes a handle of the loop's own; h->data becomes the loop. */
void loop_close_own(loop *l, uv_handle_t *h);
void loop_close_signals(loop *l);

#endif
