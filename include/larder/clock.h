/* clock: where time comes from, and timers as pure data.
 *
 * Words
 *   wall    milliseconds since 1970-01-01 UTC; may jump
 *   mono    time that never goes back, for deadlines
 *   clk     where a room gets both from: it never asks the system itself, and a test moves a fake one by hand
 *   timers  a heap that knows no loop: timers_run(now) fires what is due, timers_next says when to call
 *           again. The loop room drives one such heap with a single uv timer.
 *
 * Not thread-safe, but clk_real may be read from any thread, and the texts are pure functions. */
#ifndef LARDER_CLOCK_H
#define LARDER_CLOCK_H

#include "larder/base.h"

typedef struct clk {
    int64_t (*wall_ms)(struct clk *c);
    int64_t (*mono_ns)(struct clk *c);
} clk;
static inline int64_t clk_wall_ms(clk *c)
{
    return c->wall_ms(c);
}
static inline int64_t clk_mono_ns(clk *c)
{
    return c->mono_ns(c);
}
static inline int64_t clk_mono_ms(clk *c)
{
    return c->mono_ns(c) / 1000000;
}
clk *clk_real(void);

typedef struct fake_clk {
    clk base;
    int64_t wall_ms, mono_ns;
} fake_clk;
void fake_clk_init(fake_clk *f, int64_t wall_ms); /* mono starts at 1 s */
void fake_clk_advance(fake_clk *f, int64_t ms);   /* both */

#define SECONDS(n) ((int64_t)(n) * 1000)
#define MINUTES(n) ((int64_t)(n) * 60000)
#define HOURS(n) ((int64_t)(n) * 3600000)

/* ---- timers ---- */
typedef struct timer timer;
/* Caller-owned, all zero before the first use. Not to be freed while set. */
struct timer {
    int64_t due;          /* mono ms */
    size_t slot;          /* place in the heap + 1; 0: not set; TIMER_FIRING: off the heap, about to fire */
    list link;            /* while about to fire */
    void (*fn)(timer *t); /* t is not set any more; may set, cancel or free any timer, itself included */
};
#define TIMER_FIRING SIZE_MAX
typedef struct timers {
    timer **heap;
    size_t n, cap;
    list firing; /* due in the timers_run under way and not called yet */
    size_t n_firing;
    timer *fires_now; /* its fn is running, and it has not been set again */
} timers;
void timers_init(timers *ts);
void timers_done(timers *ts); /* not from a timer's fn; timers that are still set are so no more */
/* Moves it when set already. -ENOMEM: the timer is as it was; never when it is set, or sets itself again from
 * its own fn. */
int timer_set(timers *ts, timer *t, int64_t due, void (*fn)(timer *));
void timer_cancel(timers *ts, timer *t); /* harmless when not set */
static inline bool timer_is_set(const timer *t)
{
    return t->slot != 0;
}
/* Fires, in order of due time, all that are due at `now`; timers that they set for <= now wait for the
 * next call. */
void timers_run(timers *ts, int64_t now);
int64_t timers_next(const timers *ts); /* due time of the first, INT64_MAX when none */

/* ---- texts ---- */
#define RFC3339_LEN 20 /* 2025-01-18T10:00:00Z */
/* Whole seconds (rounded down), UTC; years 0000..9999, clamped. */
void rfc3339_format(int64_t wall_ms, char out[RFC3339_LEN + 1]);
int rfc3339_parse(str text, int64_t *ret_wall_ms); /* RFC 3339 section 5.6, any offset; to the ms. -EINVAL */
#define HTTP_DATE_LEN 29 /* Thu, 15 Jan 2026 10:20:30 GMT */
void http_date_format(int64_t wall_ms, char out[HTTP_DATE_LEN + 1]); /* RFC 9110 section 5.6.7, IMF-fixdate */
/* All three forms of 5.6.7; a year of two digits lies in 1970..2069. -EINVAL. */
int http_date_parse(str text, int64_t *ret_wall_ms);
/* "250ms" "30s" "5m" "6h" "7d" "2w", with a fraction "1.5d", several in a row "1h30m", or a bare number of seconds
 * -> milliseconds; what is less than one is dropped. -EINVAL, -ERANGE. */
int duration_parse(str text, int64_t *ret_ms);
#define DURATION_MAX 24
void duration_format(int64_t ms, char out[DURATION_MAX]); /* in the largest unit that keeps it whole */

/* Exponential backoff with full jitter: uniform in [0, min(cap, base * 2^attempt)]; attempt counts from 0. */
int64_t backoff_ms(int64_t base, int64_t cap, unsigned attempt);

#endif
