/* An archive on its way from GitHub to a worker. Two buffers: one gathers pieces, the other is read, and they change
 * places when a job ends. Whatever happens, `reads` and `downloads` are both false before the caller hears of the
 * end. */
#include "larder/github.h"

#define PAUSE_ABOVE (1u << 20) /* bytes that wait for the worker */

static void go_on(github_reading *r);

static void read_work(job *j)
{
    github_reading *r = CONTAINER_OF(j, github_reading, job);

    r->job_status = r->read(r, buf_view(&r->reading));
}

static void on_read(job *j, int status)
{
    github_reading *r = CONTAINER_OF(j, github_reading, job);

    r->reads = false;
    if (r->status == 0)
        r->status = status < 0 ? status : r->job_status;
    go_on(r);
}

static void read_gathered(github_reading *r)
{
    const buf was_read = r->reading;

    r->reading = r->gathering;
    r->gathering = was_read;
    buf_reset(&r->gathering);
    const int e = loop_job(r->loop, &r->job, read_work, on_read);
    r->reads = e == 0;
    if (e < 0) {
        r->status = e;
        go_on(r);
    } else if (r->paused && r->downloads) {
        r->paused = false;
        github_resume(r->op);
    }
}

/* Called whenever a piece came, a job ended, or the download did. */
static void go_on(github_reading *r)
{
    const bool stops = r->cancelled || r->status < 0;

    if (r->reads)
        return;
    if (r->downloads && stops)
        github_cancel(r->op); /* on_archive comes back here */
    else if (!stops && r->gathering.n > 0 && (r->downloads || r->op->result == GITHUB_OK))
        read_gathered(r);
    else if (!r->downloads)
        r->on_done(r);
}

static int on_piece(github_op *op, str piece)
{
    github_reading *r = op->user;

    if (r->cancelled)
        return 0; /* it is on its way out */
    buf_str(&r->gathering, piece);
    if (r->gathering.err && r->status == 0)
        r->status = r->gathering.err;
    if (r->status < 0)
        return r->status;
    if (r->gathering.n > PAUSE_ABOVE && !r->paused) {
        r->paused = true;
        github_pause(op);
    }
    go_on(r);
    return 0;
}

static void on_archive(github_op *op)
{
    github_reading *r = op->user;

    r->downloads = false;
    go_on(r);
}

int github_read_archive(github *g, github_reading *r)
{
    REQUIRE(r->read && r->on_done);
    buf_reset(&r->gathering);
    r->status = 0;
    r->cancelled = r->paused = false;
    r->op->on_piece = on_piece;
    r->op->on_done = on_archive;
    r->op->user = r;
    const int e = github_get_archive(g, r->op);
    r->downloads = e == 0;
    return e;
}

void github_read_cancel(github_reading *r)
{
    r->cancelled = true;
    if (r->downloads)
        github_cancel(r->op);
}

void github_read_done(github_reading *r)
{
    buf_done(&r->reading);
    buf_done(&r->gathering);
}
