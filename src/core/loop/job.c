/* Jobs, and the threads that work on them. The loop gives and takes without ever waiting for a worker: what it gives
 * goes on a stack without a lock, and a semaphore counts it; what is finished comes back on another such stack.
 * (libuv's own pool wakes its threads through a condition variable, whose signal may wait until a thread that was woken
 * before has had its turn on a processor: some milliseconds where all are busy.)
 *
 * A request comes back to the loop once, from the worker that took it from the queue; and where it was cancelled before
 * that once more, at once. The last time it is freed. */
#include "loop_private.h"

#include <signal.h>

enum { WAITS, RUNS, CANCELLED };

typedef struct job_request {
    post link; /* in the queue, then among the finished */
    post told; /* among the finished: it was cancelled */
    loop *loop;
    job *job;
    atomic_int state;
    unsigned comes_back; /* so many times still: the loop's own */
} job_request;

/* ---- a worker ---- */
/* The oldest; NULL when there is none. */
static post *take(job_pool *p)
{
    pthread_mutex_lock(&p->lock);
    if (!p->waiting)
        p->waiting = posts_take(&p->given);
    post *first = p->waiting;
    if (first)
        p->waiting = first->next;
    pthread_mutex_unlock(&p->lock);
    return first;
}

/* Wakes the loop also where the stack was not empty: who pushed first may wait for a processor before he can do it. */
static void tell(job_pool *p, post *what)
{
    (void)posts_push(&p->finished, what);
    uv_async_send(&p->wake);
}

/* Each count of the semaphore stands for a request, or for the end of one thread. */
static void *worker_main(void *arg)
{
    job_pool *p = arg;

    for (;;) {
        post *first = NULL;
        int waits = WAITS;
        while (sem_wait(&p->ready) != 0) {
        } /* a signal: again */
        first = take(p);
        if (!first)
            return NULL;
        job_request *request = CONTAINER_OF(first, job_request, link);
        if (atomic_compare_exchange_strong(&request->state, &waits, RUNS))
            request->job->work(request->job);
        tell(p, first);
    }
}

/* ---- on the loop ---- */
static void finish(job_request *request, int status)
{
    loop *l = request->loop;
    job *j = request->job;

    if (--l->jobs == 0)
        uv_unref((uv_handle_t *)&l->pool.wake);
    loop_mark(l);
    j->impl = NULL;
    j->done(j, status); /* may free the job */
}

static void came_back(job_request *request)
{
    if (--request->comes_back == 0)
        mem_free(request);
}

static void on_back(post *p)
{
    job_request *request = CONTAINER_OF(p, job_request, link);

    if (atomic_load(&request->state) == RUNS)
        finish(request, 0);
    came_back(request);
}

static void on_cancelled(post *p)
{
    job_request *request = CONTAINER_OF(p, job_request, told);

    finish(request, -ECANCELED);
    came_back(request);
}

static void on_finished(uv_async_t *h)
{
    loop *l = h->data;

    for (post *p = posts_take(&l->pool.finished), *next; p; p = next) {
        next = p->next;
        p->fn(p);
    }
}

/* As many as can be had now; false when that is none. */
static bool start_workers(job_pool *p)
{
    sigset_t before;

    loop_block_signals(&before);
    while (p->n_workers < p->wanted && pthread_create(&p->workers[p->n_workers], NULL, worker_main, p) == 0)
        p->n_workers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p->n_workers > 0;
}

int loop_job(loop *l, job *j, void (*work)(job *), void (*done)(job *, int))
{
    job_pool *p = &l->pool;
    job_request *request = mem_new(job_request);

    if (!request || (p->n_workers == 0 && !start_workers(p))) {
        mem_free(request);
        return -ENOMEM;
    }
    request->loop = l;
    request->job = j;
    request->comes_back = 1;
    request->link.fn = on_back;
    request->told.fn = on_cancelled;
    *j = (job){work, done, request};
    if (l->jobs++ == 0)
        uv_ref((uv_handle_t *)&p->wake);
    (void)posts_push(&p->given, &request->link);
    sem_post(&p->ready);
    return 0;
}

void loop_job_cancel(job *j)
{
    job_request *request = j->impl;
    int waits = WAITS;

    if (!request || !atomic_compare_exchange_strong(&request->state, &waits, CANCELLED))
        return;
    request->comes_back++;
    tell(&request->loop->pool, &request->told);
}

/* ---- life ---- */
int loop_pool_init(loop *l, unsigned workers)
{
    job_pool *p = &l->pool;
    const int r = uv_async_init(&l->uv, &p->wake, on_finished);

    if (r < 0)
        return r;
    p->wake.data = l;
    uv_unref((uv_handle_t *)&p->wake);
    p->wanted = workers;
    sem_init(&p->ready, 0, 0);
    pthread_mutex_init(&p->lock, NULL);
    return 0;
}

/* Requests that were cancelled may be in the queue still: the workers clear it before they end. */
void loop_pool_done(loop *l)
{
    job_pool *p = &l->pool;

    for (unsigned i = 0; i < p->n_workers; i++)
        sem_post(&p->ready);
    for (unsigned i = 0; i < p->n_workers; i++)
        pthread_join(p->workers[i], NULL);
    p->n_workers = 0;
    on_finished(&p->wake);
    sem_destroy(&p->ready);
    pthread_mutex_destroy(&p->lock);
    loop_close_own(l, (uv_handle_t *)&p->wake);
}

/* ---- giving back ---- */
typedef struct gift {
    job job;
    void (*fn)(void *);
    void *what;
} gift;

static void give_back(job *j)
{
    gift *g = CONTAINER_OF(j, gift, job);
    g->fn(g->what);
}

static void on_given_back(job *j, int status)
{
    (void)status; /* it ran: nobody can cancel it */
    mem_free(CONTAINER_OF(j, gift, job));
}

void loop_give_back(loop *l, size_t bytes, void (*fn)(void *), void *what)
{
    gift *g = bytes > LOOP_FREES_MAX ? mem_new(gift) : NULL;
    if (g) {
        g->fn = fn;
        g->what = what;
        if (loop_job(l, &g->job, give_back, on_given_back) == 0)
            return;
    }
    mem_free(g);
    fn(what);
}
