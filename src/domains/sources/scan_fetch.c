/* A scan's archive, on the loop: pieces from GitHub gather while a worker reads those before, one job at a
 * time, and GitHub is held back when the worker can't keep up. Then the detector's job. */
#include "service.h"

#define CUTS_MAX 2              /* downloads that may be cut off, and are begun anew */
#define PAUSE_ABOVE (1u << 20) /* bytes that wait for the worker */

static void on_detected(job *j, int status)
{
    scan *sc = CONTAINER_OF(j, scan, job);
    const int r = status < 0 ? status : sc->work_status;

    if (scan_ended_by_cancel(sc))
        return;
    if (r == 0)
        scan_write(sc);
    else
        scan_fail(sc, str_c(err_text(r)));
}

static void feed_on(scan *sc);

static void on_fed(job *j, int status)
{
    scan *sc = CONTAINER_OF(j, scan, job);

    sc->feeds = false;
    if (sc->feed_error == 0)
        sc->feed_error = status < 0 ? status : sc->work_status;
    feed_on(sc);
}

static void feed(scan *sc)
{
    const buf fed = sc->feeding;

    sc->feeding = sc->gathering;
    sc->gathering = fed;
    buf_reset(&sc->gathering);
    const int r = loop_job(sc->owner->o.loop, &sc->job, scan_feed_work, on_fed);
    sc->feeds = r == 0;
    if (r < 0) {
        sc->feed_error = r;
        feed_on(sc);
    } else if (sc->paused && sc->asks) {
        sc->paused = false;
        github_resume(&sc->github);
    }
}

/* The last byte is read. */
static void finish(scan *sc)
{
    sc->feed_error = archive_finish(sc->reader);
    if (sc->feed_error < 0) {
        feed_on(sc);
        return;
    }
    scan_move(sc, SCAN_DETECT);
    if (loop_job(sc->owner->o.loop, &sc->job, scan_detect_work, on_detected) < 0)
        scan_fail(sc, STR("out of memory"));
}

/* Called whenever a piece came, a job ended, or the download did. */
static void feed_on(scan *sc)
{
    if (sc->feeds)
        return;
    if (sc->asks && (sc->cancelled || sc->feed_error)) {
        github_cancel(&sc->github); /* on_archive comes back here */
        return;
    }
    if (scan_ended_by_cancel(sc))
        return;
    if (sc->feed_error) {
        const char *problem = archive_problem(sc->reader);
        scan_fail(sc, arena_printf(&sc->arena, "the archive cannot be read: %s%s",
                                   *problem ? problem : err_text(sc->feed_error),
                                   sc->feed_error == -EFBIG ? " (see sources.max_archive_bytes, max_entries)" : ""));
    } else if (sc->received && sc->github.cut_off && sc->cuts < CUTS_MAX) {
        sc->cuts++;
        scan_fetch_archive(sc);
    } else if (sc->received && sc->github.result != GITHUB_OK) {
        if (scan_answered(sc, &sc->github))
            scan_fail(sc, STR("GitHub: the archive is not there"));
    } else if (sc->gathering.n > 0) {
        feed(sc);
    } else if (sc->received) {
        finish(sc);
    }
}

static int on_piece(github_op *op, str piece)
{
    scan *sc = op->user;

    buf_str(&sc->gathering, piece);
    if (sc->gathering.err && sc->feed_error == 0)
        sc->feed_error = sc->gathering.err;
    if (sc->feed_error)
        return sc->feed_error;
    if (sc->gathering.n > PAUSE_ABOVE && !sc->paused) {
        sc->paused = true;
        github_pause(op);
    }
    if (!sc->cancelled)
        feed_on(sc);
    return 0;
}

static void on_archive(github_op *op)
{
    scan *sc = op->user;

    sc->asks = false;
    sc->received = true;
    feed_on(sc);
}

void scan_fetch_archive(scan *sc)
{
    const int r = scan_reader_open(sc);

    github_op_done(&sc->github);
    sc->github = (github_op){.ref = sc->sha, .on_piece = on_piece};
    buf_reset(&sc->gathering);
    sc->received = sc->paused = false;
    if (r < 0) {
        scan_move(sc, SCAN_ARCHIVE);
        scan_fail(sc, str_c(err_text(r)));
        return;
    }
    scan_ask(sc, SCAN_ARCHIVE, &sc->github, github_get_archive, on_archive);
}
