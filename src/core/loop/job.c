/* Jobs on uv's worker pool. uv's request lives beside the job, so that faces need not know uv's types. */
#include "loop_private.h"

typedef struct job_request {
    uv_work_t uv;
    loop *loop;
    job *job;
} job_request;

static void on_work(uv_work_t *uv)
{
    job *j = CONTAINER_OF(uv, job_request, uv)->job;
    j->work(j);
}

static void on_done(uv_work_t *uv, int status)
{
    job_request *request = CONTAINER_OF(uv, job_request, uv);
    job *j = request->job;
    request->loop->jobs--;
    loop_mark(request->loop);
    mem_free(request);
    j->impl = NULL;
    j->done(j, status == UV_ECANCELED ? -ECANCELED : 0); /* may free the job */
}

int loop_job(loop *l, job *j, void (*work)(job *), void (*done)(job *, int))
{
    job_request *request = mem_new(job_request);
    if (!request)
        return -ENOMEM;
    request->loop = l;
    request->job = j;
    *j = (job){work, done, request};
    int r = uv_queue_work(&l->uv, &request->uv, on_work, on_done);
    REQUIRE(r == 0); /* uv refuses only a missing function */
    l->jobs++;
    return 0;
}

void loop_job_cancel(job *j)
{
    job_request *request = j->impl;
    if (request) /* uv refuses when a worker has it already: then done comes by itself */
        uv_cancel((uv_req_t *)&request->uv);
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
