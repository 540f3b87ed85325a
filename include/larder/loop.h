/* loop: the one event loop. Everything but jobs runs on its thread.
 *
 * Words
 *   job    work for the worker pool: `work` runs there, touching only the job's own memory, then `done` on
 *          the loop, exactly once, never before loop_job returned. Cancelling asks; done still runs (with
 *          -ECANCELED if work never ran).
 *   post   how another thread (the store's writer) wakes the loop: the node's `fn` runs on the loop.
 *   watch  notices changes in one folder: entries that come, go, or are written. What lies in its folders is theirs.
 *   timer  see clock.h; loop_timer_set puts one on the loop's heap, driven by one uv timer.
 *   turn   one round of the loop: wait, then all callbacks that have become due.
 *
 * Ending: the loop's own handles keep it alive, so loop_run goes on until loop_close_idle has been called
 * and all other handles and jobs are done too. If it does not drain, loop_report_handles names what still
 * lives. A thread that posts is joined before loop_close_idle. All but loop_post belongs to the loop's
 * thread. */
#ifndef LARDER_LOOP_H
#define LARDER_LOOP_H

#include <sys/select.h> /* sigset_t; <signal.h> would bring all of <unistd.h> */

#include "larder/clock.h"

typedef struct loop loop;
struct uv_loop_s;

/* `workers`: threads for jobs, 1..64; they start with the first one, as many of them as the system gives then. (Names
 * are looked up, and folders without events polled, on libuv's own pool, which the first loop of the process makes as
 * large, unless UV_THREADPOOL_SIZE says otherwise.) SIGPIPE is ignored from then on. `clock` outlives the loop.
 * -EINVAL, -ENOMEM, or what the system says (-EMFILE...). */
int loop_new(clk *clock, unsigned workers, loop **ret_loop);
/* After loop_run has returned; closes the loop's own handles where that wasn't done. NULL is fine. Where
 * foreign handles or jobs are still alive nothing is freed: libuv or a worker would come back to that memory. */
void loop_free(loop *l);
int loop_run(loop *l);                 /* 0: drained; >0: stopped while something is alive */
int loop_run_once(loop *l, bool wait); /* tests: one turn; >0 while something is alive */
void loop_stop(loop *l);               /* tests: loop_run returns after this turn */
/* Asks timers, wake-up and signal handles to close, so that loop_run can end; timers don't fire any more. */
void loop_close_idle(loop *l);
/* One line for each handle that is not closed, and one for the jobs under way; `text` is valid within
 * `line` only. */
void loop_report_handles(loop *l, void (*line)(void *arg, const char *text), void *arg);
clk *loop_clk(const loop *l);
struct uv_loop_s *loop_uv(loop *l); /* for net and client only */

/* The time at which this turn's callbacks began, for stamps that need not be exact within a turn. Next to
 * free. */
int64_t loop_now_mono_ms(const loop *l);
int64_t loop_now_wall_ms(loop *l);

/* Fires once, in a later turn, when `delay_ms` (>= 0) have passed since loop_now_mono_ms. Moves it when
 * set already. -ENOMEM, as timer_set. */
int loop_timer_set(loop *l, timer *t, int64_t delay_ms, void (*fn)(timer *));
void loop_timer_cancel(loop *l, timer *t);

typedef struct job job;
struct job {
    void (*work)(job *j);             /* on a worker thread */
    void (*done)(job *j, int status); /* on the loop: 0, or -ECANCELED when work never ran */
    void *impl;                       /* the loop's own; NULL when no job is under way */
};
/* The job's memory is the caller's again when done runs. Giving a job never waits for a worker. -ENOMEM, also where no
 * thread can be had: done will not run. */
int loop_job(loop *l, job *j, void (*work)(job *), void (*done)(job *, int));
void loop_job_cancel(job *j); /* harmless when work has begun, or done has run */

/* For an end: fn(what) gives back memory of about `bytes`, which takes milliseconds where it is much. On a worker when
 * it is more than LOOP_FREES_MAX, and here and now when it is not, or when no memory is left for a job. What fn touches
 * is its alone from now on; nobody is told when it has run. */
#define LOOP_FREES_MAX ((size_t)1 << 20) /* bytes */
void loop_give_back(loop *l, size_t bytes, void (*fn)(void *what), void *what);

typedef struct post post;
struct post {
    void (*fn)(post *p); /* on the loop; p is the caller's again when it runs */
    post *next;
};
void loop_post(loop *l, post *p); /* any thread; a post may be under way only once */

/* For a thread that is to take no signals: they are the loop's. Those that a thread itself causes by a fault stay open.
 * *ret_before: to go back to once the thread is started. */
void loop_block_signals(sigset_t *ret_before);

/* fn runs on the loop; a second call for the same signal replaces the first. -ENOMEM, -EINVAL. */
int loop_on_signal(loop *l, int signum, void (*fn)(void *arg, int signum), void *arg);

/* Watching a folder. Changes are told LOOP_WATCH_QUIET_MS after the last one, and at the latest LOOP_WATCH_LATEST_MS
 * after the first; the folder's own end is one. Where the system has no events left to give, the folder itself is
 * looked at every LOOP_WATCH_POLL_MS: then files that are written in place go unnoticed. */
#define LOOP_WATCH_QUIET_MS 100
#define LOOP_WATCH_LATEST_MS 1000
#define LOOP_WATCH_POLL_MS 1000
#define LOOP_WATCHES_MAX 16384 /* of a loop; of them at most LOOP_POLLS_MAX without events */
#define LOOP_POLLS_MAX 256
typedef struct folder_watch folder_watch;
struct folder_watch { /* set before loop_watch; the memory is the caller's again in on_closed */
    /* Whether a change of this entry counts; NULL: all do. The folder's own name when it is about the folder. */
    bool (*is_relevant)(folder_watch *w, str name);
    bool only_names; /* entries that come, go and are renamed count, those that are written don't */
    void (*on_change)(folder_watch *w);
    void (*on_closed)(folder_watch *w);
    void *impl; /* the loop's own; NULL when nothing is watched */
};
/* `path` is copied; looking it up is done here and now, so let thousands wait for their turn. -ENOENT and the like;
 * -ENOSPC: too many; -ENOMEM: then on_closed will not run. */
int loop_watch(loop *l, folder_watch *w, const char *path);
/* No more on_change; then on_closed, once, in a later turn. Harmless when nothing is watched. */
void loop_watch_close(folder_watch *w);

/* How long the loop was held, by one callback after the other where they say so, else by all of a turn (the
 * time between two waits). For the metric larder_loop_lag_seconds. */
#define LOOP_LAG_BUCKETS 16
typedef struct loop_lag {
    uint64_t buckets[LOOP_LAG_BUCKETS]; /* holds of at most 2^i * 32 us; the last one is the rest */
    uint64_t holds, total_us, max_us;
} loop_lag;
const loop_lag *loop_lag_of(const loop *l);
/* A callback of its own begins: what it takes is not the one's before it. For rooms whose callbacks come many
 * to a turn; jobs and posts do it by themselves. Returns now, as clk_mono_ns. */
int64_t loop_mark(loop *l);

#endif
