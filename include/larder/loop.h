/* loop: the one event loop. Everything but jobs runs on its thread.
 *
 * Words
 *   job    work for the worker pool: `work` runs there, touching only the job's own memory, then `done` on the loop,
 *          exactly once, never before loop_job returned. Cancelling asks; done still runs (with -ECANCELED if work never ran).
 *   post   how another thread (the store's writer) wakes the loop: the node's `fn` runs on the loop. Any thread.
 *   timer  see clock.h; loop_timer_set puts one on the loop's heap, driven by one uv timer.
 * Freeing: loop_close_idle asks all of the loop's own handles to close; loop_run returns when nothing is alive. If it
 * does not drain, loop_report_handles names what still lives. */
#ifndef LARDER_LOOP_H
#define LARDER_LOOP_H

#include "larder/clock.h"

typedef struct loop loop;
struct uv_loop_s;

/* `workers`: threads of the pool, 1..64, fixed at the first loop of the process. -ENOMEM or uv's error. */
int loop_new(clk *clock, unsigned workers, loop **ret_loop);
void loop_free(loop *l); /* after loop_run has returned; NULL is fine */
int loop_run(loop *l);   /* until loop_stop or nothing is alive */
int loop_run_once(loop *l, bool wait); /* tests: one turn; >0 while something is alive */
void loop_stop(loop *l);
void loop_close_idle(loop *l); /* closes timers, wake-up and signal handles so that loop_run can end */
void loop_report_handles(loop *l, void (*line)(void *arg, const char *text), void *arg);
clk *loop_clk(const loop *l);
struct uv_loop_s *loop_uv(loop *l); /* for net and client only */

/* Cached at the start of each turn, for stamps that need not be exact within a turn. */
int64_t loop_now_mono_ms(const loop *l);
int64_t loop_now_wall_ms(const loop *l);

int loop_timer_set(loop *l, timer *t, int64_t delay_ms, void (*fn)(timer *)); /* -ENOMEM */
void loop_timer_cancel(loop *l, timer *t);

typedef struct job job;
struct job {
    void (*work)(job *j);             /* on a worker thread */
    void (*done)(job *j, int status); /* on the loop: 0, or -ECANCELED when work never ran */
    void *impl;                       /* the loop's own */
};
int loop_job(loop *l, job *j, void (*work)(job *), void (*done)(job *, int)); /* -ENOMEM: done will not run */
void loop_job_cancel(job *j);

typedef struct post post;
struct post {
    void (*fn)(post *p); /* on the loop; p is the caller's again when it runs */
    post *next;
};
void loop_post(loop *l, post *p); /* any thread; a post may be under way only once */

int loop_on_signal(loop *l, int signum, void (*fn)(void *arg, int signum), void *arg);

/* How late the loop was: the time between when a timer was due and when it ran, and the longest callback turn, sampled
 * on every turn. For the metric larder_loop_lag_seconds. */
typedef struct loop_lag {
    uint64_t buckets[16]; /* turns of at most 2^i * 32 us; the last one is the rest */
    uint64_t turns, total_us, max_us;
} loop_lag;
const loop_lag *loop_lag_of(const loop *l);

#endif
