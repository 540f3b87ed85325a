/* One project's refresh, from its beginning to its end: refresh.c on the loop, refresh_read.c on a worker. */
#ifndef LARDER_ARTIFACTS_REFRESH_H
#define LARDER_ARTIFACTS_REFRESH_H

#include "project_write.h"

enum { REFRESH_READ, REFRESH_ASK, REFRESH_MAKE, REFRESH_WRITE, REFRESH_NOTE, REFRESH_ENDED };
#define REFRESH_ASKS 4     /* questions of one refresh at once */
#define REFRESH_MAKES 5    /* times that content is made anew because a report came between */
#define REFRESH_REMARKS 10 /* places that are not there, as the run's errors name them */

/* What one artifact stands for upstream. */
typedef struct origin {
    artifact_source of;
    str place, path; /* place null: it is from nowhere, or the reporter knows the upstream version itself */
    upstream_answer catalogue;
} origin;

typedef struct place_ask {
    upstream_wait wait;
    struct refresh *refresh;
} place_ask;

typedef struct refresh {
    list link; /* in projects.refreshes */
    projects *owner;
    arena arena; /* the worker's alone while a job runs */
    str id, name;
    unsigned state;
    list tasks;      /* refresh_task.link: who waits for it */
    bool for_all[2]; /* runs over all that it counts in, by their force */
    bool is_quiet; /* no event tells of it: those of the run over all do, or there is nothing to tell */
    bool cancelled;
    bool again;    /* it changed meanwhile: refresh it once more, soon, */
    bool doubts;   /* and ask upstream anew */
    bool only_reads; /* what is new: who waits behind others to ask upstream is shown meanwhile; and reread.c's */
    int64_t doubted; /* mono ms: when a client invalidated it; INT64_MIN: none did since it was refreshed */
    int64_t since; /* mono ms: upstream's answers that are as new as this are good */
    bool patient;
    job job;
    int work_status;

    /* what was read */
    str *roots; /* a copy for the worker */
    size_t n_roots;
    project was, is; /* as stored when it was read; when content was made */
    bool is_discovered;
    bool is_gone; /* its folder is no project any more */
    found_project found;
    artifact *held;  /* as stored, of a reported one; by id */
    size_t n;        /* artifacts, found or held; */
    origin *origins; /* and one for each */
    str why;         /* why it failed: null, it didn't */

    place_ask *asks;
    size_t n_asks, next_ask, answered;
    bool is_limited;
    int64_t retry_at; /* wall ms: when upstream is worth asking again; 0: at any time */
    str remarks[REFRESH_REMARKS];
    size_t n_remarks;

    artifact_content *content;
    size_t n_content;
    unsigned makes;
    project_write write;
    project_note note;
    project_invalidation mark;
    bool changed;
} refresh;

/* The worker's part. */
void refresh_read_work(job *j); /* files or rows -> origins -> asks */
void refresh_make_work(job *j); /* with what upstream has by now -> content */

/* On the loop. */
refresh *refresh_find(projects *p, str id);
/* Somebody wants it whole, and of upstream what is as new as `since` (mono ms), as far as it has not asked yet. False:
 * it only reads, and it is too late for more: wait until it has ended. */
bool refresh_join(refresh *r, int64_t since);
int64_t refresh_doubted(const projects *p, const project *of); /* as refresh.doubted */
int refresh_begin(projects *p, const project *of, bool patient, refresh **ret_refresh); /* -ENOMEM */
void refresh_cancel_all(projects *p);

/* ---- refresh_ends.c: who waits hears how it went ---- */
void refresh_over(refresh *r); /* it has ended, and is freed after this */
void refresh_task_end(refresh_task *t, int status);
void run_add_error(all_run *run, str name, str what); /* name: of the project, or null */
void run_tell(projects *p, const all_run *run, projects_event_kind kind, const refresh *r); /* r: null, or of whom */
void run_end(projects *p, all_run *run, int status);

#endif
