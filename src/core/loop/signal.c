/* Signals, delivered on the loop. */
#include "loop_private.h"

#include <signal.h>

typedef struct signal_watch signal_watch;
struct signal_watch {
    uv_signal_t uv;
    loop *loop;
    void (*fn)(void *arg, int signum);
    void *arg;
    signal_watch *next;
};

static void on_signal(uv_signal_t *uv, int signum)
{
    signal_watch *w = CONTAINER_OF(uv, signal_watch, uv);
    w->fn(w->arg, signum);
}

static void on_closed(uv_handle_t *h)
{
    signal_watch *w = CONTAINER_OF(h, signal_watch, uv);
    w->loop->open_handles--;
    mem_free(w);
}

int loop_on_signal(loop *l, int signum, void (*fn)(void *arg, int signum), void *arg)
{
    for (signal_watch *w = l->signals; w; w = w->next)
        if (w->uv.signum == signum) {
            w->fn = fn;
            w->arg = arg;
            return 0;
        }
    signal_watch *w = mem_new(signal_watch);
    if (!w)
        return -ENOMEM;
    int r = uv_signal_init(&l->uv, &w->uv);
    if (r < 0) {
        mem_free(w);
        return r;
    }
    w->loop = l;
    w->fn = fn;
    w->arg = arg;
    l->open_handles++;
    r = uv_signal_start(&w->uv, on_signal, signum);
    if (r < 0) {
        uv_close((uv_handle_t *)&w->uv, on_closed);
        return r;
    }
    w->next = l->signals;
    l->signals = w;
    return 0;
}

void loop_close_signals(loop *l)
{
    while (l->signals) {
        signal_watch *w = l->signals;
        l->signals = w->next;
        uv_close((uv_handle_t *)&w->uv, on_closed);
    }
}

void loop_block_signals(sigset_t *ret_before)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigset_t blocked;

    sigfillset(&blocked);
    for (size_t i = 0; i < COUNT_OF(faults); i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, ret_before);
}
