/* The service of projects, as the files of this room share it.
 *
 *     service.c    its life, and telling others what changed
 *     tasks.c      report, forget, invalidate: what clients ask for
 *     schedule.c   which projects are refreshed next, and when
 *     refresh.c    one project's refresh, on the loop; its worker's part in refresh_read.c, its writer's
 *                  in refresh_txn.c
 *     upstream.c   what GitHub is asked, once for all who want to know; its worker's part in upstream_read.c
 *     discovery.c  which folders are projects; watch.c notices when they change */
#ifndef LARDER_ARTIFACTS_SERVICE_H
#define LARDER_ARTIFACTS_SERVICE_H

#include "larder/projects.h"
#include "upstream.h"

/* Artifacts that an op changes, gathered on the writer, given to the options' on_artifacts and on_event on the loop. */
typedef struct artifact_log {
    list link; /* in projects.outbox once the op is durable */
    arena arena;
    str project_name; /* for the events; may be null */
    artifact_change *v;
    size_t n, cap;
    size_t given; /* to on_artifacts */
} artifact_log;
int artifact_log_new(artifact_log **ret_log); /* -ENOMEM */
void artifact_log_free(artifact_log *log);    /* NULL is fine */
void artifact_log_cut(artifact_log *log, size_t n); /* at the start of apply: what a failed try added is forgotten */
int artifact_log_add(artifact_log *log, const artifact *a, bool live, bool became_outdated);

struct projects {
    projects_options o;
    projects_stats stats;
    list tasks;  /* project_task.link: under way */
    list outbox; /* artifact_log.link */
    timer deliver;
    list large;                    /* project_write.link: wait to be alone */
    bool large_runs, large_is_due; /* one of them, or the recovery; something is to be recovered */
    store_op recovery;
    bool stopping;
    post stop;
    void (*tell_stopped)(void *arg), (*stopped)(void *arg); /* stopped: from the turn after projects_stop on */
    void *stopped_arg;
};

/* ---- for all files of the room, on the loop ---- */
void projects_deliver(projects *p, artifact_log *log); /* takes the log */
void projects_tell(projects *p, const projects_event *e);
void projects_wake(projects *p); /* something may be due earlier than was known: the scheduler looks again */
void projects_check_stopped(projects *p);

#endif
