/* The service of projects, as the files of this room share it.
 *
 *     service.c    its life, and telling others what changed
 *     tasks.c      report, forget, invalidate: what clients ask for
 *     schedule.c   which projects are refreshed next, and when; who waits hears how it went from refresh_ends.c
 *     refresh.c    one project's refresh, on the loop; its worker's part in refresh_read.c, its writer's
 *                  in project_txn.c
 *     upstream.c   what GitHub is asked, once for all who want to know; question.h tells its files, and
 *                  upstream_sweep.c forgets
 *     reread.c     what is known is read once after the start
 *     discovery.c  which folders are projects; watch.c notices when they change, watch_roots.c when others come */
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

/* A refresh of all projects that somebody asked for; who asks meanwhile, shares it. */
#define RUN_ERRORS_MAX 100
typedef struct run_error {
    str what, name; /* name: of the first project it happened to; null: it is about none */
    size_t n; /* projects */
} run_error;
typedef struct all_run {
    bool is_on, walked; /* walked: all have begun or need no refresh */
    list tasks;         /* refresh_task.link */
    arena arena;        /* of the errors */
    run_error errors[RUN_ERRORS_MAX]; /* each cause once */
    size_t n_errors, n_others;        /* others: there was no room for them */
    char behind[PROJECT_ID_MAX]; /* the walk goes on behind this id */
    size_t behind_n;
    unsigned under_way; /* refreshes that count in it */
    int64_t begun; /* mono ms */
    int64_t total, done, refreshed, limited, retry_at;
    bool changed;
} all_run;

struct projects {
    projects_options o;
    projects_stats stats;
    list tasks;  /* project_task.link: under way */
    list outbox; /* artifact_log.link */
    timer deliver;
    list large;                    /* project_write.link: wait to be alone */
    bool large_runs, large_is_due; /* one of them, or the recovery; something is to be recovered */
    store_op recovery;

    /* refreshes: schedule.c */
    upstream upstream;
    list refreshes; /* refresh.link: under way, `running` of them */
    unsigned running;
    /* refresh_task.link: not looked at yet; until the roots have been walked; for want of room */
    list asked, seeking, waiting;
    all_run all[2];      /* by their force */
    post pump;
    bool pump_is_posted;
    timer look;
    unsigned turn;                /* whose turn it is to begin one */
    int64_t pick_at, hold_until; /* mono ms: when the next that is due may begin; nothing that is due before */
    store_op last_run;
    int64_t run_ended_at;
    bool has_run, notes_run; /* since the last one was noted; it is being noted */
    list dues; /* due_op.link: under way */
    struct projects_reread { /* reread.c */
        bool is_on;
        int64_t from; /* wall ms: what was read since need not be again */
        char behind[PROJECT_ID_MAX]; /* the walk goes on behind this id */
        size_t behind_n;
    } reread;

    upstream_sweep sweep;
    bool sweeps;
    int64_t sweep_at; /* mono ms: not before */

    /* discovery.c */
    struct discovery *discovery; /* under way, or NULL */
    timer discover;
    bool discovers_again;  /* the roots are others now, or somebody waits for what they hold */
    uint64_t discoveries; /* begun */
    bool has_discovered;  /* since the start */

    int64_t discover_free_at; /* mono ms: before, changes below the roots start none */
    bool has_news;            /* something changed below them while it was under way */
    uint64_t told_whys;       /* hash of what could not be looked at, as the log says */

    list watches; /* watch.c */
    list unread;  /* project_watch.unread: has folders that were not watched for a while */
    size_t n_watches;
    list opening; /* watched_folder.link */
    timer open_next;

    list root_folders, root_closing; /* watch_roots.c: by path; those that are being closed */
    list *root_at;                   /* how far watch_roots has come */
    size_t n_root_folders;           /* in both */
    bool has_opened_roots;           /* since the last discovery */

    bool stopping;
    post stop;
    void (*tell_stopped)(void *arg), (*stopped)(void *arg); /* stopped: from the turn after projects_stop on */
    void *stopped_arg;
};

/* ---- for all files of the room, on the loop ---- */
void projects_deliver(projects *p, artifact_log *log); /* takes the log */
void projects_deliver_on(projects *p);                 /* in case there was no memory for it */
void projects_tell(projects *p, const projects_event *e);
void projects_wake(projects *p); /* something may be due earlier than was known: the scheduler looks again */
void projects_check_stopped(projects *p);
int64_t projects_retry_max(const projects *p); /* ms: after a failure, at most */

/* ---- discovery.c ---- */
void discovery_start(projects *p); /* soon, and then each interval */
void discovery_notice(projects *p); /* something may be new below the roots: soon, but not all the time */
void refresh_seekers_go_on(projects *p); /* schedule.c: a discovery has ended */
/* Ids of discovered projects: the path's base64url; of a longer one its hash's. -ENOMEM */
int discovered_id(arena *a, str path, str *ret_id);

/* ---- refresh.c, schedule.c ---- */
/* Invalidated (id null: all): refreshes under way may have read it, and asked upstream, before. */
void refresh_once_more(projects *p, str id, bool doubts_upstream);
void reread_start(projects *p);      /* reread.c: once, when it is known what is watched */
bool reread_begin_next(projects *p); /* true: one has begun */
void sweep_start(projects *p);      /* what nobody asks upstream for any more is forgotten; once in an interval */
void schedule_stop(projects *p);    /* asks refreshes to end */
void schedule_stopped(projects *p); /* in a later turn: who still waits hears it */
bool schedule_is_idle(const projects *p);
void schedule_done(projects *p);

#endif
