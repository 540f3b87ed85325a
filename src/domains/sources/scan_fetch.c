/* A scan's archive, on the loop, read by a worker as it arrives; then the detector's job. */
#include "service.h"

#define CUTS_MAX 2 /* downloads that may be cut off, and are begun anew */

static void on_detected(job *j, int status)
{
    scan *sc = CONTAINER_OF(j, scan, job);
    const int r = status < 0 ? status : sc->work_status;

    if (scan_ended_by_cancel(sc))
        return;
    if (r == 0)
        scan_write(sc);
    else if (r == -ENOENT)
        scan_fail_lasting(sc, sc->why);
    else
        scan_fail(sc, str_c(err_text(r)));
}

static void unreadable(scan *sc, int err)
{
    const char *problem = archive_problem(sc->reader);
    const bool lasts = err == -EFBIG;
    const str why = arena_printf(&sc->arena, "the archive cannot be read: %s%s", *problem ? problem : err_text(err),
                                 lasts ? " (see sources.max_archive_bytes, max_entries)" : "");

    if (lasts)
        scan_fail_lasting(sc, why);
    else
        scan_fail(sc, why);
}

/* The last byte is read. */
static void finish(scan *sc)
{
    const int r = archive_finish(sc->reader);

    if (r < 0) {
        unreadable(sc, r);
        return;
    }
    scan_move(sc, SCAN_DETECT);
    if (loop_job(sc->owner->o.loop, &sc->job, scan_detect_work, on_detected) < 0)
        scan_fail(sc, STR("out of memory"));
}

static void on_archive(github_reading *r)
{
    scan *sc = r->user;

    sc->asks = false;
    if (scan_ended_by_cancel(sc))
        return;
    if (r->status < 0) {
        unreadable(sc, r->status);
    } else if (sc->github.cut_off && sc->cuts < CUTS_MAX) {
        sc->cuts++;
        scan_fetch_archive(sc);
    } else if (sc->github.result == GITHUB_OK) {
        finish(sc);
    } else if (scan_answered(sc, &sc->github)) {
        scan_fail(sc, STR("GitHub: the archive is not there"));
    }
}

static int start_reading(github *g, github_op *op)
{
    scan *sc = op->user;

    sc->reading.loop = sc->owner->o.loop;
    sc->reading.op = op;
    sc->reading.read = scan_read_piece;
    sc->reading.on_done = on_archive;
    sc->reading.user = sc;
    return github_read_archive(g, &sc->reading);
}

void scan_fetch_archive(scan *sc)
{
    const int r = scan_reader_open(sc);

    github_op_done(&sc->github);
    sc->github = (github_op){.ref = sc->sha};
    if (r < 0) {
        scan_move(sc, SCAN_ARCHIVE);
        scan_fail(sc, str_c(err_text(r)));
        return;
    }
    scan_ask(sc, SCAN_ARCHIVE, &sc->github, start_reading, NULL);
}
