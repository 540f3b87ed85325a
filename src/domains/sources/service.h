/* The service and its scans, as the files of this room share them. */
#ifndef LARDER_SOURCES_SERVICE_H
#define LARDER_SOURCES_SERVICE_H

#include "larder/archive.h"
#include "larder/detect.h"
#include "larder/sources.h"
#include "larder/source_rules.h"
#include "records.h"

#define STEP_READS 4096 /* stored entries that one step of an op looks at, whatever it writes */

/* Where a walk over a source's stored entries goes on. */
typedef struct entries_walk {
    char last[ENTRY_ID_LEN]; /* looked at last, once begun */
    bool begun;
} entries_walk;

/* Entries that a stepped op changes, gathered on the writer, given to the options' on_entries on the loop. */
typedef struct change_log {
    list link; /* in sources.outbox once the op is durable */
    arena arena;
    str source_id;
    entry_change *v;
    size_t n, cap;
    size_t kept;   /* those of steps that are committed */
    entries_walk walk, kept_walk; /* of entries_remove_step, likewise */
    uint64_t step;
    size_t given;  /* to on_entries */
} change_log;
int change_log_new(str source_id, change_log **ret_log);
void change_log_free(change_log *log);
/* At the start of apply, with op->at: what the step before added is kept, what a failed try of this one added
 * is forgotten. */
void change_log_step(change_log *log, uint64_t step);
/* When the op has failed at `step`, and may be submitted anew, which begins its steps at 0. */
void change_log_rewind(change_log *log, uint64_t step);
int change_log_add(change_log *log, const entry *e, bool live);

struct sources {
    sources_options o;
    list queue;   /* scans not begun */
    list active;  /* scans under way, those that wait for quota too */
    list tasks;   /* source_task.link: under way */
    list outbox;  /* change_log.link */
    unsigned scans, running; /* of scans: queued and active; those that count against the concurrency */
    timer rescan, deliver;
    sources_stats stats;
    bool missed;  /* a source may be stored as "scanning" without a scan: the rescan timer looks for such */
    char missed_at[STORE_KEY_MAX];
    size_t missed_at_n; /* the source it looked at last; 0: it is not in the midst of looking */
    bool marking; /* the rescan timer's write is under way */
    bool stopping;
    post stop;
    void (*tell_stopped)(void *arg), (*stopped)(void *arg); /* stopped: from the turn after sources_stop on */
    void *stopped_arg;
};

/* ---- scans ---- */
enum {
    SCAN_QUEUED,
    SCAN_REPOSITORY,
    SCAN_COMMIT,
    SCAN_TREE,
    SCAN_CHECKED,
    SCAN_ARCHIVE,
    SCAN_DETECT,
    SCAN_WRITE,
    SCAN_WAIT,
    SCAN_ENDED
};
#define SCAN_ERRORS_MAX 8
/* In memory at once, but for those that bring a token or are waited for; the others stay in the store. */
#define SCANS_MAX 512

typedef struct scan {
    list link;
    sources *owner;
    arena arena;           /* everything the scan learns; the worker's alone while a job runs */
    source src;            /* as it was at the start */
    str token;             /* wiped at the end; null: the configured one */
    unsigned state;
    unsigned resume;       /* QUEUED: where it goes on after a wait; SCAN_QUEUED: at the beginning */
    unsigned waits;        /* in a row */
    bool cancelled, is_running; /* is_running: counts against the concurrency */
    source_task *check;    /* create or change waits to hear whether its manual_map fits the tree */
    int check_status;      /* what it hears when the scan fails before it knows */
    list waiters;          /* scan_waiter.link */
    github_op github, tree; /* the tree's is kept: `files` points into it */
    bool asks;             /* one of them is under way */
    timer wait;
    post cancel;           /* ends it where nothing else will */
    int64_t begun_mono, waiting_since, waiting_until;

    /* learnt */
    github_repository repository; /* owner null: not asked */
    str ref, sha, tree_sha, commit_etag, settings;
    str asked;             /* for the commit: the validator's question */
    bool not_modified, has_tree, skip_tree;
    detect_file *files;
    size_t n_files, cap_files, max_files;
    uint32_t *by_path;     /* with has_tree: indexes into files, in the order of paths */
    str readme;
    unsigned readme_rank;
    entry *entries;        /* by id */
    size_t n_entries;
    int64_t composite_members;
    unsigned composite_types;
    scan_result result;
    str errors[SCAN_ERRORS_MAX];
    str why;               /* of a failure */
    bool passes;           /* the failure may pass: the next scan comes sooner than by the interval */

    /* reading the archive */
    archive *reader;
    github_reading reading;
    buf content;           /* of the file that is being read */
    job job;               /* takes the tree; detects */
    int work_status;       /* of the last job */
    size_t left_out;       /* files past max_entries */
    unsigned cuts;         /* downloads that were cut off */

    /* writing */
    store_op op;
    change_log *changes;
    bool is_partial; /* the merge failed on the way: see scan_fail_apply */
    struct scan_merge {    /* how far the merge has come */
        unsigned phase;
        size_t at;                  /* entries compared */
        entries_walk walk;          /* over those stored */
        int64_t fresh, updated, unchanged, removed;
    } kept, merge;         /* after the last committed step; in the present one */
    int64_t live, hidden;  /* entries afterwards, as stored: shown, excluded */
    uint64_t merge_step;
    int64_t now, rescan_at, merged_at;
} scan;

scan *scan_find(sources *s, str source_id); /* the one that will write the source */
/* Queues a scan of `src` (copied). With `check`, the scan tells that task after the tree whether its
 * manual_map fits, and then waits for scan_checked. -ENOMEM; -ECANCELED while stopping. */
int scan_queue(sources *s, const source *src, str token, source_task *check, scan **ret_scan);
/* The same for a source that is stored as "scanning"; what cannot be queued now is taken up later. */
void scan_queue_stored(sources *s, const source *src, str token);
void scan_begin(scan *sc);   /* a queued one */
void scan_checked(scan *sc, bool go_on); /* the task's answer: read on, or end without a trace */
void scan_cancel(scan *sc);  /* it ends later, and writes nothing */
void scan_pump(sources *s);  /* begins queued scans while there is room */
void scans_wait_no_longer(sources *s); /* for GitHub's quota: there may be another token */

/* Steps of a scan, in scan.c, scan_fetch.c, scan_write.c. After those marked so it may be gone. */
void scan_move(scan *sc, unsigned state);
void scan_end(scan *sc, const scan_result *result);   /* gone */
bool scan_ended_by_cancel(scan *sc);                  /* true: gone, the callback goes no further */
void scan_set_running(scan *sc, bool on);
void scan_ask(scan *sc, unsigned state, github_op *op, int (*starter)(github *, github_op *),
              void (*on_done)(github_op *));
/* true: OK, NOT_MODIFIED or NOT_FOUND; false: dealt with, perhaps gone */
bool scan_answered(scan *sc, github_op *op);
void scan_fetch_archive(scan *sc);
void scan_write(scan *sc);
void scan_fail(scan *sc, str why);          /* for a reason that may pass */
void scan_fail_lasting(scan *sc, str why);  /* for one that somebody has to do something about */
void scan_fail_for_good(scan *sc, str why); /* such a one: GitHub says that what was asked for is not there */

#define README_BYTES 262144 /* of a README that are looked at */
/* Made valid UTF-8, and cut at 50,000 characters with a mark that says so. -ENOMEM. */
int readme_text(arena *a, str raw, str *ret_text);

/* ---- the worker's part (scan_read.c) ---- */
void scan_files_work(job *j);  /* the tree's listing -> files */
int scan_reader_open(scan *sc);
int scan_read_piece(github_reading *r, str bytes); /* of the archive -> what describing files say */
void scan_detect_work(job *j); /* files -> entries */
void scan_note_error(scan *sc, str text); /* one more line in the result's errors, up to SCAN_ERRORS_MAX */

/* ---- the writer's part (merge_txn.c, task_txn.c): apply functions ---- */
int scan_merge_apply(store_txn *t, store_op *op);
int scan_fail_apply(store_txn *t, store_op *op);    /* scan_status error, last_error */
int scan_waits_apply(store_txn *t, store_op *op);   /* waiting_since, waiting_until */
int task_create_apply(store_txn *t, store_op *op);
int task_change_apply(store_txn *t, store_op *op);
int task_remove_apply(store_txn *t, store_op *op);
/* Deletes entries of a source (created_at given: of those, the ones made just then), as many as fit a step; notes
 * them, and how far it has come, in the log. */
int entries_remove_step(store_txn *t, str source_id, const int64_t *created_at, change_log *log, bool *ret_more);
int task_rescan_apply(store_txn *t, store_op *op);

/* What decides, besides the commit, what a scan of `ref` finds: one with other settings must not stop at "not
 * modified". */
str scan_settings(arena *a, const source *s, str ref);
/* A copy that needs nothing but the arena. -ENOMEM. */
int repository_copy(arena *a, const github_repository *r, github_repository *ret_copy);
void sources_task_end(source_task *t, int status, str why); /* on the loop */
int sources_apply_nothing(store_txn *t, store_op *op); /* for an answer that comes later, though nothing is written */
void sources_check_stopped(sources *s);
void sources_deliver(sources *s, change_log *log); /* takes the log */

#endif
