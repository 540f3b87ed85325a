/* The loop around uv's. Timers and the account of turns hang on three handles:
 *
 *   prepare  before each wait: sets `alarm` to the first timer's due time if that changed, and books how
 *            long the turn took
 *   alarm    a uv timer; does nothing but end the wait
 *   check    after each wait: fires the timers that are due by our clock, which may be a fake one
 *
 * Posts are a stack that other threads push to without a lock; the loop takes it whole and turns it round.
 * Jobs and their threads are in job.c, signals in signal.c. */
#include "loop_private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define NOT_ARMED INT64_MAX

static void on_handle_closed(uv_handle_t *h)
{
    loop *l = h->data;
    l->open_handles--;
}

void loop_close_own(loop *l, uv_handle_t *h)
{
    if (!uv_is_closing(h)) {
        h->data = l;
        uv_close(h, on_handle_closed);
    }
}

/* ---- turns ---- */

static unsigned lag_bucket(uint64_t us)
{
    if (us <= 32)
        return 0;
    unsigned i = 64 - (unsigned)__builtin_clzll((us - 1) / 32);
    return i < LOOP_LAG_BUCKETS ? i : LOOP_LAG_BUCKETS - 1;
}

/* Called when a wait is over, before uv reads the time again: the hold begins where it ended. uv counts the wait, but
 * begins anew when a signal cuts it short; then the time that uv read at its end tells, to the millisecond. */
static void end_wait(loop *l)
{
    if (!l->waited)
        return;
    uint64_t counted = uv_metrics_idle_time(&l->uv) - l->idle_before;
    uint64_t woke = uv_now(&l->uv) * 1000000;
    uint64_t passed = woke > l->held_from ? woke - l->held_from : 0;
    l->held_from += counted > passed ? counted : passed;
    l->waited = false;
}

/* Called where one hold ends and the next begins. */
static void book(loop *l, uint64_t now)
{
    end_wait(l);
    uint64_t us = (now - l->held_from) / 1000;
    l->held_from = now;

    l->lag.buckets[lag_bucket(us)]++;
    l->lag.holds++;
    l->lag.total_us += us;
    if (us > l->lag.max_us)
        l->lag.max_us = us;
}

/* Called between the turn's callbacks and the wait. */
static void book_turn(loop *l)
{
    book(l, uv_hrtime());
    l->idle_before = uv_metrics_idle_time(&l->uv);
    l->waited = true;
    l->marked = false;
}

/* The first of a turn ends no other's hold, but takes over what the wait itself cost. */
int64_t loop_mark(loop *l)
{
    int64_t now = clk_mono_ns(l->clock);
    if (l->real_time && l->marked)
        book(l, (uint64_t)now);
    l->marked = true;
    return now;
}

/* Time outside loop_run is nobody's turn. */
static void begin_turns(loop *l)
{
    l->held_from = uv_hrtime();
    l->waited = false;
}

const loop_lag *loop_lag_of(const loop *l)
{
    return &l->lag;
}

/* ---- time and timers ---- */

int64_t loop_now_mono_ms(const loop *l)
{
    return l->real_time ? (int64_t)uv_now(&l->uv) : clk_mono_ms(l->clock);
}

/* The system is asked at most once for each millisecond of the loop's time. */
int64_t loop_now_wall_ms(loop *l)
{
    if (!l->real_time)
        return clk_wall_ms(l->clock);
    uint64_t now = uv_now(&l->uv);
    if (now != l->wall_read_at) {
        l->wall_ms = clk_wall_ms(l->clock);
        l->wall_read_at = now;
    }
    return l->wall_ms;
}

static void on_alarm(uv_timer_t *alarm)
{
    loop *l = alarm->data;
    l->armed_for = NOT_ARMED;
}

static void arm(loop *l)
{
    int64_t due = timers_next(&l->timers);
    if (due == l->armed_for && (l->real_time || due == NOT_ARMED)) /* a fake clock jumps: the alarm can't follow it */
        return;
    l->armed_for = due;
    if (due == NOT_ARMED) {
        uv_timer_stop(&l->alarm);
        return;
    }
    int64_t delay = due - loop_now_mono_ms(l);
    uv_timer_start(&l->alarm, on_alarm, delay > 0 ? (uint64_t)delay : 0, 0);
}

static void on_prepare(uv_prepare_t *h)
{
    loop *l = h->data;
    arm(l);
    book_turn(l);
}

static void on_check(uv_check_t *h)
{
    loop *l = h->data;
    end_wait(l);
    timers_run(&l->timers, loop_now_mono_ms(l));
}

int loop_timer_set(loop *l, timer *t, int64_t delay_ms, void (*fn)(timer *))
{
    int64_t due;
    if (__builtin_add_overflow(loop_now_mono_ms(l), delay_ms, &due) || due == NOT_ARMED)
        due = NOT_ARMED - 1;
    int r = timer_set(&l->timers, t, due, fn);
    if (r == 0 && l->armed_for == NOT_ARMED && !l->closed)
        arm(l); /* otherwise a loop with nothing but this timer would not even start */
    return r;
}

void loop_timer_cancel(loop *l, timer *t)
{
    timer_cancel(&l->timers, t);
}

/* ---- posts ---- */

bool posts_push(post *_Atomic *newest, post *p)
{
    post *head = atomic_load(newest);
    do
        p->next = head;
    while (!atomic_compare_exchange_weak(newest, &head, p));
    return !head;
}

post *posts_take(post *_Atomic *newest)
{
    post *p = atomic_exchange(newest, NULL), *oldest = NULL;
    while (p) {
        post *next = p->next;
        p->next = oldest;
        oldest = p;
        p = next;
    }
    return oldest;
}

void loop_post(loop *l, post *p)
{
    if (posts_push(&l->posted, p)) /* who pushed on an empty stack wakes the loop for all that follow */
        uv_async_send(&l->wake);
}

static void on_wake(uv_async_t *h)
{
    loop *l = h->data;
    for (post *p = posts_take(&l->posted), *next; p; p = next) {
        next = p->next; /* p is its owner's again in fn */
        loop_mark(l);
        p->fn(p);
    }
}

/* ---- life ---- */

/* Of these only the first wake-up can fail: it needs a file descriptor. */
static int open_handles(loop *l, unsigned workers)
{
    int r = uv_async_init(&l->uv, &l->wake, on_wake);
    if (r == 0)
        r = loop_pool_init(l, workers);
    if (r < 0)
        return r;
    uv_timer_init(&l->uv, &l->alarm);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    l->wake.data = l->alarm.data = l->prepare.data = l->check.data = l;
    l->open_handles = 5;
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
    return 0;
}

static void set_up_process(unsigned workers)
{
    static bool done;
    char text[12];
    if (done)
        return;
    done = true;
    snprintf(text, sizeof(text), "%u", workers);
    setenv("UV_THREADPOOL_SIZE", text, 0);
    signal(SIGPIPE, SIG_IGN);
}

int loop_new(clk *clock, unsigned workers, loop **ret_loop)
{
    if (workers < 1 || workers > MAX_WORKERS)
        return -EINVAL;
    set_up_process(workers);
    loop *l = mem_new(loop);
    if (!l)
        return -ENOMEM;
    l->clock = clock;
    l->real_time = clock == clk_real();
    l->armed_for = NOT_ARMED;
    timers_init(&l->timers);
    int r = uv_loop_init(&l->uv);
    if (r < 0) {
        mem_free(l);
        return r;
    }
    r = uv_loop_configure(&l->uv, UV_METRICS_IDLE_TIME);
    if (r == 0)
        r = open_handles(l, workers);
    if (r < 0) {
        uv_loop_close(&l->uv);
        mem_free(l);
        return r;
    }
    *ret_loop = l;
    return 0;
}

void loop_close_idle(loop *l)
{
    l->closed = true;
    loop_close_signals(l);
    loop_close_own(l, (uv_handle_t *)&l->wake);
    loop_close_own(l, (uv_handle_t *)&l->alarm);
    loop_close_own(l, (uv_handle_t *)&l->prepare);
    loop_close_own(l, (uv_handle_t *)&l->check);
}

void loop_free(loop *l)
{
    if (!l)
        return;
    loop_close_idle(l);
    if (!EXPECT(l->jobs == 0)) /* what they touch may be gone, but not this */
        return;
    loop_pool_done(l);
    while (l->open_handles > 0)
        uv_run(&l->uv, UV_RUN_NOWAIT);
    /* With a handle still alive the memory cannot go: uv would come back to it. */
    if (!EXPECT(uv_loop_close(&l->uv) == 0))
        return;
    timers_done(&l->timers);
    mem_free(l);
}

int loop_run(loop *l)
{
    begin_turns(l);
    return uv_run(&l->uv, UV_RUN_DEFAULT);
}

int loop_run_once(loop *l, bool wait)
{
    begin_turns(l);
    return uv_run(&l->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void loop_stop(loop *l)
{
    uv_stop(&l->uv);
}

clk *loop_clk(const loop *l)
{
    return l->clock;
}

struct uv_loop_s *loop_uv(loop *l)
{
    return &l->uv;
}

/* ---- what is alive ---- */

typedef struct report {
    const loop *l;
    void (*line)(void *arg, const char *text);
    void *arg;
} report;

static const char *own_name(const loop *l, const uv_handle_t *h)
{
    const void *at = h;
    return at == &l->wake || at == &l->alarm || at == &l->prepare || at == &l->check ? " of the loop" : "";
}

static void report_handle(uv_handle_t *h, void *arg)
{
    const report *r = arg;
    if (h == (const uv_handle_t *)&r->l->pool.wake) /* jobs have a line of their own */
        return;
    char text[96], where[32] = "";
    uv_os_fd_t fd;
    if (uv_fileno(h, &fd) == 0)
        snprintf(where, sizeof(where), ", fd %d", fd);
    snprintf(text, sizeof(text), "%s%s, %s%s", uv_handle_type_name(h->type), own_name(r->l, h),
             uv_is_closing(h)  ? "closing"
             : uv_is_active(h) ? "active"
                               : "idle",
             where);
    r->line(r->arg, text);
}

void loop_report_handles(loop *l, void (*line)(void *arg, const char *text), void *arg)
{
    report r = {l, line, arg};
    uv_walk(&l->uv, report_handle, &r);
    if (l->jobs > 0) {
        char text[48];
        snprintf(text, sizeof(text), "%zu jobs under way", l->jobs);
        line(arg, text);
    }
}
