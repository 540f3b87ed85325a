/* Timers in a binary heap; heap[0] is due first.
 *
 * timers_run first moves all that are due from the heap to the list `firing`, in order, then calls them
 * from there. So a timer that a callback sets anew, however early, waits for the next call; and one that a
 * callback cancels or frees just leaves the list. Their places in the heap stay theirs until their callbacks have
 * returned: a timer that sets itself again is never without memory. */
#include "larder/clock.h"

void timers_init(timers *ts)
{
    *ts = (timers){0};
    list_init(&ts->firing);
}

void timers_done(timers *ts)
{
    for (size_t i = 0; i < ts->n; i++)
        ts->heap[i]->slot = 0;
    mem_free(ts->heap);
    timers_init(ts);
}

static void place(timers *ts, size_t i, timer *t)
{
    ts->heap[i] = t;
    t->slot = i + 1;
}

static void sift_up(timers *ts, size_t i, timer *t)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (ts->heap[parent]->due <= t->due)
            break;
        place(ts, i, ts->heap[parent]);
        i = parent;
    }
    place(ts, i, t);
}

static void sift_down(timers *ts, size_t i, timer *t)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= ts->n)
            break;
        if (child + 1 < ts->n && ts->heap[child + 1]->due < ts->heap[child]->due)
            child++;
        if (t->due <= ts->heap[child]->due)
            break;
        place(ts, i, ts->heap[child]);
        i = child;
    }
    place(ts, i, t);
}

/* Puts t, whose due time may have changed, where it belongs around i. */
static void settle(timers *ts, size_t i, timer *t)
{
    if (i > 0 && t->due < ts->heap[(i - 1) / 2]->due)
        sift_up(ts, i, t);
    else
        sift_down(ts, i, t);
}

static int make_room(timers *ts)
{
    if (ts->n + ts->n_firing + (ts->fires_now != NULL) < ts->cap)
        return 0;
    size_t cap = ts->cap ? ts->cap * 2 : 64;
    timer **heap = cap <= SIZE_MAX / sizeof(*heap) ? mem_realloc(ts->heap, cap * sizeof(*heap)) : NULL;
    if (!heap)
        return -ENOMEM;
    ts->heap = heap;
    ts->cap = cap;
    return 0;
}

int timer_set(timers *ts, timer *t, int64_t due, void (*fn)(timer *))
{
    bool in_heap = t->slot != 0 && t->slot != TIMER_FIRING;
    if (t == ts->fires_now) {
        ts->fires_now = NULL; /* its place is used */
    } else if (t->slot == TIMER_FIRING) {
        list_remove(&t->link);
        ts->n_firing--;
    } else if (!in_heap) {
        int r = make_room(ts);
        if (r < 0)
            return r;
    }
    t->due = due;
    t->fn = fn;
    if (in_heap)
        settle(ts, t->slot - 1, t);
    else
        sift_up(ts, ts->n++, t);
    return 0;
}

static void remove_at(timers *ts, size_t i)
{
    ts->heap[i]->slot = 0;
    timer *last = ts->heap[--ts->n];
    if (i < ts->n)
        settle(ts, i, last);
}

void timer_cancel(timers *ts, timer *t)
{
    if (t->slot == TIMER_FIRING) {
        list_remove(&t->link);
        ts->n_firing--;
        t->slot = 0;
    } else if (t->slot != 0) {
        remove_at(ts, t->slot - 1);
    }
}

void timers_run(timers *ts, int64_t now)
{
    while (ts->n > 0 && ts->heap[0]->due <= now) {
        timer *t = ts->heap[0];
        remove_at(ts, 0);
        t->slot = TIMER_FIRING;
        list_push(&ts->firing, &t->link);
        ts->n_firing++;
    }
    for (list *l; (l = list_pop(&ts->firing)) != NULL;) {
        timer *t = CONTAINER_OF(l, timer, link);
        t->slot = 0;
        ts->n_firing--;
        ts->fires_now = t;
        t->fn(t);
        ts->fires_now = NULL;
    }
}

int64_t timers_next(const timers *ts)
{
    return ts->n > 0 ? ts->heap[0]->due : INT64_MAX;
}
