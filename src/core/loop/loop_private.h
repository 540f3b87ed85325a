/* What the files of this room share. */
#ifndef LARDER_LOOP_PRIVATE_H
#define LARDER_LOOP_PRIVATE_H

#include <stdatomic.h>

#include <uv.h>

#include "larder/loop.h"

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
    bool waited, marked; /* a wait is not accounted for; marked in this turn */
    loop_lag lag;

    uv_async_t wake;
    post *_Atomic posted; /* newest first */

    struct signal_watch *signals;
    size_t jobs; /* under way */
    size_t watches, polls; /* open; those that poll are among the watches */
};

/* Closes a handle of the loop's own; h->data becomes the loop. */
void loop_close_own(loop *l, uv_handle_t *h);
void loop_close_signals(loop *l);

#endif
