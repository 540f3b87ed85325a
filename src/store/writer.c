/* The writer thread and the way to and from it. The loop puts ops on `queue`; the writer takes all that
 * wait, applies and commits them (batch_txn.c), puts them on `finished` and posts once, however many they
 * are; the loop then runs their done callbacks, a slice a turn, so that a large batch doesn't hold it.
 *
 * Trouble: while the disk refuses writes, ops that don't free are refused untried. Each second, and after
 * each op that freed something, a probe is written; when it succeeds the trouble is over. */
#include <signal.h>
#include <time.h>

#include "impl.h"

#define DONE_SLICE 64
#define READER_CHECK_MS MINUTES(1)
#define COMPANY_NS 150000 /* about as long as a commit takes */

/* ---- lists ---- */

void store_list_add(op_list *l, store_op *op)
{
    op->next = NULL;
    if (l->last)
        l->last->next = op;
    else
        l->first = op;
    l->last = op;
    l->n++;
}

store_op *store_list_take(op_list *l)
{
    store_op *op = l->first;
    if (op) {
        l->first = op->next;
        if (!l->first)
            l->last = NULL;
        l->n--;
    }
    return op;
}

void store_list_append(op_list *l, op_list *more)
{
    if (!more->first)
        return;
    if (l->last)
        l->last->next = more->first;
    else
        l->first = more->first;
    l->last = more->last;
    l->n += more->n;
    *more = (op_list){0};
}

/* ---- the loop's side ---- */

static void close_on_loop(store *s)
{
    pthread_join(s->thread, NULL);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->wake);
    void (*closed)(void *) = s->closed;
    void *arg = s->closed_arg;
    store_free(s);
    if (closed)
        closed(arg);
}

/* Called with the lock held. */
static void post_finished(store *s)
{
    if (!s->finished_posted) {
        s->finished_posted = true;
        loop_post(s->loop, &s->finished_post);
    }
}

static op_list take_slice(store *s)
{
    op_list slice = {0};
    pthread_mutex_lock(&s->lock);
    for (store_op *op; slice.n < DONE_SLICE && (op = store_list_take(&s->finished));)
        store_list_add(&slice, op);
    s->finished_posted = false;
    if (s->finished.first)
        post_finished(s);
    pthread_mutex_unlock(&s->lock);
    return slice;
}

static bool has_ended(store *s)
{
    pthread_mutex_lock(&s->lock);
    bool ended = s->writer_ended && !s->finished_posted && !s->reopen_posted;
    pthread_mutex_unlock(&s->lock);
    return ended;
}

static void on_finished(post *p)
{
    store *s = CONTAINER_OF(p, store, finished_post);
    op_list slice = take_slice(s);
    store_view_refresh(&s->view); /* what it shows is not the newest any more, and keeps old pages in use */
    for (store_op *op; (op = store_list_take(&slice));)
        if (op->done)
            op->done(op, op->status); /* op is its owner's again, and may be gone; it may also submit again */
    if (has_ended(s))
        close_on_loop(s);
}

/* The writer asks for this while it is parked. */
static void on_reopen(post *p)
{
    store *s = CONTAINER_OF(p, store, reopen_post);
    int r = store_env_reopen(s);
    pthread_mutex_lock(&s->lock);
    s->reopen_posted = false;
    if (r == 0) {
        s->parked = false;
        pthread_cond_signal(&s->wake);
    }
    if (s->writer_ended) /* it didn't wait for this; the end did */
        post_finished(s);
    pthread_mutex_unlock(&s->lock);
}

void store_submit(store *s, store_op *op)
{
    op->at = 0;
    pthread_mutex_lock(&s->lock);
    if (s->closing) {
        op->status = -ECANCELED;
        store_list_add(&s->finished, op);
        post_finished(s);
    } else {
        store_list_add(&s->queue, op);
        if (s->queue.n == 1 || s->queue.n == s->wanted)
            pthread_cond_signal(&s->wake);
    }
    pthread_mutex_unlock(&s->lock);
}

int store_trouble(const store *s)
{
    return atomic_load(&s->refuses);
}

bool store_is_writable(const store *s)
{
    return store_trouble(s) == 0;
}

void store_close(store *s, void (*closed)(void *arg), void *arg)
{
    if (!s->loop) {
        store_free(s);
        if (closed)
            closed(arg);
        return;
    }
    s->closed = closed;
    s->closed_arg = arg;
    atomic_store(&s->refuses, -ECANCELED);
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_cond_signal(&s->wake);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the writer's side ---- */

void store_writer_take(store *s)
{
    pthread_mutex_lock(&s->lock);
    store_list_append(&s->taken, &s->queue);
    pthread_mutex_unlock(&s->lock);
}

/* Posts even when no op has finished: the loop's snapshot is to be let go after each commit. */
void store_writer_answer(store *s, op_list *finished, op_list *again)
{
    pthread_mutex_lock(&s->lock);
    store_list_append(&s->queue, again);
    store_list_append(&s->finished, finished);
    post_finished(s);
    pthread_mutex_unlock(&s->lock);
}

static int64_t now_ns(void)
{
    return clk_mono_ns(clk_real());
}

static int64_t now_ms(void)
{
    return now_ns() / 1000000;
}

/* With the lock held; until `due` or until somebody signals. */
static void wait_until(store *s, int64_t due_ns)
{
    struct timespec at = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
    pthread_cond_timedwait(&s->wake, &s->lock, &at);
}

/* Has the loop do it, and waits. False when it takes too long, or fails. */
static bool reopen(store *s)
{
    int64_t due = now_ms() + s->probe_ms;
    pthread_mutex_lock(&s->lock);
    s->parked = true;
    if (!s->reopen_posted) {
        s->reopen_posted = true;
        loop_post(s->loop, &s->reopen_post);
    }
    while (s->parked && now_ms() < due)
        wait_until(s, due * 1000000);
    bool reopened = !s->parked;
    pthread_mutex_unlock(&s->lock);
    return reopened;
}

static bool env_is_dead(store *s)
{
    int r = store_txn_begin(s->txn);
    store_txn_abort(s->txn);
    return r == ENV_DEAD;
}

void store_writer_probe(store *s)
{
    int r = s->parked ? ENV_DEAD : store_space_probe(s->txn);
    if (r == ENV_DEAD)
        r = reopen(s) ? store_space_probe(s->txn) : -EIO;
    if (r < 0 && !s->parked && env_is_dead(s))
        reopen(s); /* for the readers */
    s->trouble = r == ENV_DEAD ? -EIO : r;
    s->probe_at = now_ms() + s->probe_ms;
    int told = atomic_load(&s->refuses);
    while (told != -ECANCELED && !atomic_compare_exchange_weak(&s->refuses, &told, s->trouble)) {
    } /* once closing has begun, that stays */
}

/* With the lock held. Those whose writes the last batch answered are likely to come again, but not all in the same
 * instant: without this the first would have a commit alone, and all others would wait for it. */
static void wait_for_company(store *s)
{
    int64_t due = now_ns() + COMPANY_NS;
    s->wanted = s->last_batch;
    while (s->queue.n < s->wanted && !s->closing && now_ns() < due)
        wait_until(s, due);
    s->wanted = 0;
}

/* False when there is nothing left to do. */
static bool wait_for_work(store *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->queue.first && !s->closing && !(s->trouble && now_ms() >= s->probe_at)) {
        if (s->trouble)
            wait_until(s, s->probe_at * 1000000);
        else
            pthread_cond_wait(&s->wake, &s->lock);
    }
    bool work = s->queue.first || !s->closing;
    if (s->queue.n < s->last_batch / 2 && !s->trouble)
        wait_for_company(s);
    pthread_mutex_unlock(&s->lock);
    return work;
}

static void *writer_main(void *arg)
{
    store *s = arg;
    while (s->taken.first || wait_for_work(s)) {
        if (s->trouble && now_ms() >= s->probe_at)
            store_writer_probe(s);
        store_run_batch(s);
        if (!s->parked && now_ms() - s->readers_checked_at > READER_CHECK_MS) {
            int dead; /* processes that ended in mid-read keep old pages from being used again */
            mdb_reader_check(s->env, &dead);
            s->readers_checked_at = now_ms();
        }
    }
    pthread_mutex_lock(&s->lock);
    s->writer_ended = true;
    post_finished(s);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* The signal for a file that grows past its limit, which would end the process, is a write error then. */
static int start_thread(store *s)
{
    sigset_t before;
    loop_block_signals(&before);
    int r = -pthread_create(&s->thread, NULL, writer_main, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int store_writer_start(store *s)
{
    pthread_condattr_t monotonic;
    int r = store_txn_new(s, &s->txn);
    if (r < 0)
        return r;
    s->finished_post.fn = on_finished;
    s->reopen_post.fn = on_reopen;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->readers_checked_at = now_ms();
    r = start_thread(s);
    if (r < 0) {
        pthread_mutex_destroy(&s->lock);
        pthread_cond_destroy(&s->wake);
    }
    return r;
}
