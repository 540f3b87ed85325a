#include "watch.h"

#include "larder/log.h"

/* True, and noted, when a line may be written again. */
static bool may_speak(const watch *w, int64_t *at)
{
    const int64_t now = loop_now_mono_ms(w->loop);

    if (*at && now - *at < WATCH_QUIET_MS)
        return false;
    *at = now;
    return true;
}

static void look_at_store(watch *w)
{
    const int trouble = store_trouble(w->store);

    if (trouble == w->trouble || !may_speak(w, &w->store_at))
        return;
    w->trouble = trouble;
    if (trouble)
        log_error("the store refuses writes until it can write again", LOG_ERR(trouble));
    else
        log_info("the store takes writes again");
}

static void look_at_listeners(watch *w)
{
    const http_stats *st = http_stats_of(w->http);

    if (st->failed_accepts == w->failed_accepts || !may_speak(w, &w->accept_at))
        return;
    log_error("connections wait: none can be accepted now", LOG_ERR(st->accept_error),
              LOG_INT("failures", st->failed_accepts - w->failed_accepts));
    w->failed_accepts = st->failed_accepts;
}

static void look_at_ourselves(watch *w)
{
    const uint64_t failures = base_expect_failures();

    if (failures == w->expect_failures || !may_speak(w, &w->expect_at))
        return;
    log_error("an assumption of the program failed: a bug", LOG_C("last", base_expect_last()),
              LOG_INT("failures", failures - w->expect_failures));
    w->expect_failures = failures;
}

static void on_look(timer *t)
{
    watch *w = CONTAINER_OF(t, watch, next);

    look_at_store(w);
    look_at_listeners(w);
    look_at_ourselves(w);
    (void)loop_timer_set(w->loop, &w->next, WATCH_MS, on_look); /* itself again: there is room */
}

int watch_start(watch *w, loop *l, store *s, http_server *http)
{
    *w = (watch){.loop = l, .store = s, .http = http, .expect_failures = base_expect_failures()};
    return loop_timer_set(l, &w->next, WATCH_MS, on_look);
}

void watch_stop(watch *w)
{
    if (w->loop)
        loop_timer_cancel(w->loop, &w->next);
}
