/* Watches on folders: uv's events, or its polling where there are none, gathered until things are quiet. */
#include "loop_private.h"

typedef struct watcher {
    union {
        uv_handle_t handle;
        uv_fs_event_t event;
        uv_fs_poll_t poll;
    } uv;
    loop *loop;
    folder_watch *watch; /* NULL: it never started, nobody waits for its end */
    bool polls;
    bool has_news;
    int64_t news_since; /* mono ms */
    timer quiet;
} watcher;

static void tell(watcher *w)
{
    w->has_news = false;
    w->watch->on_change(w->watch);
}

static void on_quiet(timer *t)
{
    tell(CONTAINER_OF(t, watcher, quiet));
}

static void note(watcher *w)
{
    int64_t now = loop_now_mono_ms(w->loop);
    if (!w->has_news)
        w->news_since = now;
    w->has_news = true;
    int64_t left = w->news_since + LOOP_WATCH_LATEST_MS - now;
    int64_t delay = left < LOOP_WATCH_QUIET_MS ? left : LOOP_WATCH_QUIET_MS;
    if (loop_timer_set(w->loop, &w->quiet, delay > 0 ? delay : 0, on_quiet) < 0)
        tell(w); /* better early than never */
}

static void on_event(uv_fs_event_t *h, const char *name, int events, int status)
{
    watcher *w = CONTAINER_OF(h, watcher, uv.event);
    loop_mark(w->loop);
    if (w->watch->only_names && status == 0 && !(events & UV_RENAME)) /* an error is a reason to look, too */
        return;
    if (!name || !w->watch->is_relevant || w->watch->is_relevant(w->watch, str_c(name)))
        note(w);
}

static void on_poll(uv_fs_poll_t *h, int status, const uv_stat_t *before, const uv_stat_t *now)
{
    (void)status, (void)before, (void)now;
    watcher *w = CONTAINER_OF(h, watcher, uv.poll);
    loop_mark(w->loop);
    note(w);
}

static void on_closed(uv_handle_t *h)
{
    watcher *w = CONTAINER_OF(h, watcher, uv.handle);
    folder_watch *watch = w->watch;
    w->loop->watches--;
    w->loop->polls -= w->polls;
    mem_free(w);
    if (watch) {
        watch->impl = NULL;
        watch->on_closed(watch);
    }
}

/* A watcher that does not start closes by itself. */
static int start(loop *l, folder_watch *watch, const char *path, bool polls)
{
    if (l->watches == LOOP_WATCHES_MAX || (polls && l->polls == LOOP_POLLS_MAX))
        return -ENOSPC;
    watcher *w = mem_new(watcher);
    if (!w)
        return -ENOMEM;
    w->loop = l;
    w->polls = polls;
    l->watches++;
    l->polls += polls;
    if (polls)
        uv_fs_poll_init(&l->uv, &w->uv.poll);
    else
        uv_fs_event_init(&l->uv, &w->uv.event);
    int r = polls ? uv_fs_poll_start(&w->uv.poll, on_poll, path, LOOP_WATCH_POLL_MS)
                  : uv_fs_event_start(&w->uv.event, on_event, path, 0);
    if (r < 0) {
        uv_close(&w->uv.handle, on_closed);
        return r;
    }
    w->watch = watch;
    watch->impl = w;
    return 0;
}

int loop_watch(loop *l, folder_watch *w, const char *path)
{
    int r = start(l, w, path, false);
    bool has_no_events = r == UV_ENOSPC || r == UV_EMFILE || r == UV_ENFILE || r == UV_ENOSYS || r == UV_ENOTSUP;
    return has_no_events ? start(l, w, path, true) : r;
}

void loop_watch_close(folder_watch *watch)
{
    watcher *w = watch->impl;
    if (!w || uv_is_closing(&w->uv.handle))
        return;
    loop_timer_cancel(w->loop, &w->quiet);
    uv_close(&w->uv.handle, on_closed);
}
