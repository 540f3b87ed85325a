/* A question's archive, on the loop: pieces from GitHub gather while a worker reads those before, one job at a time.
 * GitHub is held back when the worker can't keep up. Once the manifests have passed, the rest is not waited for. */
#include "question.h"

#define PAUSE_ABOVE (1u << 20) /* bytes that wait for the worker */

static void feed_on(question *q);

static void on_fed(job *j, int status)
{
    question *q = CONTAINER_OF(j, question, job);

    q->feeds = false;
    q->complete = status == 0 && q->work_status == QUESTION_COMPLETE;
    if (q->feed_error == 0 && !q->complete)
        q->feed_error = status < 0 ? status : q->work_status;
    feed_on(q);
}

static void feed(question *q)
{
    const buf fed = q->feeding;

    q->feeding = q->gathering;
    q->gathering = fed;
    buf_reset(&q->gathering);
    const int r = loop_job(q->owner->loop, &q->job, question_feed_work, on_fed);
    q->feeds = r == 0;
    if (r < 0) {
        q->feed_error = r;
        feed_on(q);
    } else if (q->paused && q->asking) {
        q->paused = false;
        github_resume(&q->archive);
    }
}

/* The last byte is read, or nothing more is needed. */
static void finish(question *q)
{
    if (!q->complete)
        q->feed_error = archive_finish(q->reader);
    if (q->feed_error < 0) {
        feed_on(q);
        return;
    }
    question_fall_back(q);
    question_write(q);
}

/* Called whenever a piece came, a job ended, or the download did. */
static void feed_on(question *q)
{
    if (q->feeds)
        return;
    if (q->asking && (q->cancelled || q->feed_error || q->complete)) {
        github_cancel(&q->archive); /* on_archive comes back here */
        return;
    }
    if (question_ended_by_cancel(q))
        return;
    if (q->complete) {
        finish(q);
    } else if (q->feed_error) {
        const char *problem = archive_problem(q->reader);
        question_fail(q, arena_printf(&q->arena, "the archive of " STR_FMT " cannot be read: %s", STR_ARG(q->name),
                                      *problem ? problem : err_text(q->feed_error)));
    } else if (q->received && q->archive.result != GITHUB_OK) {
        if (question_answered(q, &q->archive))
            question_fail(q, STR("GitHub: the archive is not there"));
    } else if (q->gathering.n > 0) {
        feed(q);
    } else if (q->received) {
        finish(q);
    }
}

static int on_piece(github_op *op, str piece)
{
    question *q = op->user;

    if (q->complete || q->cancelled)
        return 0; /* it is on its way out */
    buf_str(&q->gathering, piece);
    if (q->gathering.err && q->feed_error == 0)
        q->feed_error = q->gathering.err;
    if (q->feed_error)
        return q->feed_error;
    if (q->gathering.n > PAUSE_ABOVE && !q->paused) {
        q->paused = true;
        github_pause(op);
    }
    feed_on(q);
    return 0;
}

static void on_archive(github_op *op)
{
    question *q = op->user;

    q->asking = NULL;
    q->received = true;
    feed_on(q);
}

void question_read_archive(question *q)
{
    const int r = question_reader_open(q);

    if (r < 0) {
        question_fail(q, str_c(err_text(r)));
        return;
    }
    q->archive = (github_op){.ref = q->place.sha, .on_piece = on_piece};
    question_ask(q, QUESTION_ARCHIVE, &q->archive, github_get_archive, on_archive);
}
