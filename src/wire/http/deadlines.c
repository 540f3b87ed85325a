/* Deadlines: a wheel of slots, each a list of the connections to look at in that tick. A connection that is looked
 * at early (its deadline has moved away since) goes to the slot of its new deadline; so a request on a kept-alive
 * connection only stores a number. Deadlines are up to a tick late. */
#include "internal.h"

static void place(http_conn *c)
{
    http_server *s = c->server;
    int64_t tick = c->due / HTTP_WHEEL_TICK_MS + 1, last = s->wheel_at + HTTP_WHEEL_SLOTS - 1;
    if (tick <= s->wheel_at)
        tick = s->wheel_at + 1;
    if (tick > last)
        tick = last; /* further than the wheel reaches: it will be looked at and placed again */
    c->looked_at = tick * HTTP_WHEEL_TICK_MS;
    list_push(&s->wheel[tick % HTTP_WHEEL_SLOTS], &c->slot);
}

void http_deadline_set_slow(http_conn *c, int64_t due)
{
    c->due = due;
    list_remove(&c->slot);
    place(c);
}

static void look_at(http_server *s, int64_t tick, int64_t now)
{
    list due;
    list_init(&due);
    for (list *l; (l = list_pop(&s->wheel[tick % HTTP_WHEEL_SLOTS]));)
        list_push(&due, l);
    for (list *l; (l = list_pop(&due));) {
        http_conn *c = CONTAINER_OF(l, http_conn, slot);
        bool expired = c->due <= now;
        if (expired)
            c->due = HTTP_NEVER; /* unless it is set again */
        place(c);
        if (expired)
            http_conn_expired(c);
    }
}

static void on_tick(timer *t)
{
    http_server *s = CONTAINER_OF(t, http_server, tick);
    int64_t now = loop_now_mono_ms(s->loop), until = now / HTTP_WHEEL_TICK_MS;
    if (until - s->wheel_at > HTTP_WHEEL_SLOTS)
        s->wheel_at = until - HTTP_WHEEL_SLOTS; /* we were stopped for long: one round meets all */
    while (s->wheel_at < until) {
        s->wheel_at++;
        look_at(s, s->wheel_at, now);
    }
    if (!list_empty(&s->conns))
        (void)loop_timer_set(s->loop, &s->tick, HTTP_WHEEL_TICK_MS, on_tick); /* itself again: there is room */
}

void http_deadlines_init(http_server *s)
{
    for (size_t i = 0; i < HTTP_WHEEL_SLOTS; i++)
        list_init(&s->wheel[i]);
}

int http_deadlines_wake(http_server *s)
{
    if (timer_is_set(&s->tick))
        return 0;
    s->wheel_at = loop_now_mono_ms(s->loop) / HTTP_WHEEL_TICK_MS; /* it stood still: there were no connections */
    return loop_timer_set(s->loop, &s->tick, HTTP_WHEEL_TICK_MS, on_tick);
}
