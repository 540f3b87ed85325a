/* A question's archive, on the loop. Once the manifests have passed, the rest is not waited for; and where it cannot be
 * read to its end, it is enough that those have which somebody has asked for. */
#include "question.h"

static void unreadable(question *q, int err)
{
    const char *problem = archive_problem(q->reader);

    question_fail(q, arena_printf(&q->arena, "the archive of " STR_FMT " cannot be read: %s", STR_ARG(q->name),
                                  *problem ? problem : err_text(err)));
}

static void on_archive(github_reading *r)
{
    question *q = r->user;
    int status = r->status;

    q->asking = NULL;
    if (question_ended_by_cancel(q))
        return;
    if (q->n_needed > 0 && status == 0 && q->archive.result != GITHUB_OK) {
        if (question_answered(q, &q->archive))
            question_fail(q, STR("GitHub: the archive is not there"));
        return;
    }
    if (q->n_needed > 0 && status == 0)
        status = archive_finish(q->reader);
    if (q->n_needed > 0 && status < 0) {
        unreadable(q, status);
        return;
    }
    question_archive_over(q);
    question_write(q);
}

static int start_reading(github *g, github_op *op)
{
    question *q = op->user;

    q->reading.loop = q->owner->loop;
    q->reading.op = op;
    q->reading.read = question_read_piece;
    q->reading.on_done = on_archive;
    q->reading.user = q;
    return github_read_archive(g, &q->reading);
}

void question_read_archive(question *q)
{
    const int r = question_reader_open(q);

    if (r < 0) {
        question_fail(q, str_c(err_text(r)));
        return;
    }
    q->archive = (github_op){.ref = q->place.sha};
    question_ask(q, QUESTION_ARCHIVE, &q->archive, start_reading, NULL);
}
