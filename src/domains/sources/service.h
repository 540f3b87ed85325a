/* The service and its scans, as the files of this room share them. */
#ifndef LARDER_SOURCES_SERVICE_H
#define LARDER_SOURCES_SERVICE_H

#include "larder/archive.h"
#include "larder/detect.h"
#include "larder/sources.h"
#include "larder/source_rules.h"
#include "records.h"

/* Entries that a stepped op changes, gathered on the writer, given to the options' on_entries on the loop. */
typedef struct change_log {
    list link; /* in sources.outbox once the op is durable */
    arena arena;
    entry_change *v;
    size_t n, cap;
    size_t kept;   /* those of steps that are committed */
    uint64_t step;
    size_t given;  /* to on_entries */
    bool indexed;  /* the source's entries are shown in search */
} change_log;
int change_log_new(change_log **ret_log);
void change_log_free(change_log *log);
void change_log_step(change_log *log, uint64_t step); /* at the start of apply: forgets what a repeated step had added */
int change_log_add(change_log *log, const entry *e, bool live);

struct sources {
    sources_options o;
    list queue;   /* scans not begun */
    list active;  /* scans under way, those that wait for quota too */
    unsigned running;
    list waiters; /* scan_waiter.link, see waiter's scan in service.c */
    list outbox;  /* change_log.link */
    timer rescan, deliver;
    sources_stats stats;
    bool stopping;
    unsigned tasks; /* under way */
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- scans ---- */
enum { SCAN_QUEUED, SCAN_REPOSITORY, SCAN_COMMIT, SCAN_TREE, SCAN_CHECKED, SCAN_ARCHIVE, SCAN_DETECT, SCAN_WRITE, SCAN_WAIT, SCAN_ENDED };
#define SCAN_ERRORS_MAX 8

typedef struct scan {
    list link;
    sources *owner;
    arena arena;           /* everything the scan learns; the worker's alone while a job runs */
    source src;            /* as it was at the start */
    str token;             /* wiped at the end; null: the configured one */
    unsigned state, resume;
    bool cancelled, is_running; /* is_running: counts against the concurrency */
    source_task *check;    /* create or change waits to hear whether its manual_map fits the tree */
    list waiters;          /* scan_waiter.link */
    github_op github, tree; /* the tree's is kept: `files` points into it */
    bool asks;             /* one of them is under way */
    timer wait;
    int64_t begun_mono, waiting_since, waiting_until;

    /* learnt */
    github_repository repository; /* owner null: not asked */
    str ref, sha, tree_sha, commit_etag, settings;
    str credential, commit_path; /* what the commit's validator is kept under */
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

    /* reading the archive: one piece is fed by a job while the next gathers */
    archive *reader;
    buf feeding, gathering;
    buf content;           /* of the file that is being read */
    job job;
    bool feeds, paused, received; /* a job runs; GitHub was paused; the last byte is here */
    int feed_error;

    /* writing */
    store_op op;
    change_log *changes;
    struct scan_merge {    /* how far the merge has come */
        unsigned phase;
        size_t at;                  /* entries compared */
        char last[ENTRY_ID_LEN];    /* stored entry looked at last, once begun */
        bool begun;
        int64_t fresh, updated, unchanged, removed;
    } kept, merge;         /* after the last committed step; in the present one */
    uint64_t merge_step;
    int64_t now, rescan_at;
} scan;

scan *scan_find(sources *s, str source_id);
/* Queues a scan of `src` (copied). With `check`, the scan tells that task after the tree whether its manual_map fits, and then waits for
 * scan_checked. -ENOMEM. */
int scan_queue(sources *s, const source *src, str token, source_task *check, scan **ret_scan);
void scan_begin(scan *sc);   /* a queued one, or one that waited */
void scan_checked(scan *sc, bool go_on); /* the task's answer: read on, or end without a trace */
void scan_cancel(scan *sc);
void scan_pump(sources *s);  /* begins queued scans while there is room */

#define README_BYTES 262144 /* of a README that are looked at */
/* Made valid UTF-8, and cut at 50,000 characters with a mark that says so. -ENOMEM. */
int readme_text(arena *a, str raw, str *ret_text);

/* ---- the worker's part (scan_read.c) ---- */
void scan_files_work(job *j);  /* the tree's listing -> files */
int scan_reader_open(scan *sc);
void scan_feed_work(job *j);   /* `feeding` -> what describing files say */
void scan_detect_work(job *j); /* files -> entries */
void scan_note_error(scan *sc, str text); /* one more line in the result's errors, up to SCAN_ERRORS_MAX */

/* ---- the writer's part (merge_txn.c, task_txn.c): apply functions ---- */
int scan_merge_apply(store_txn *t, store_op *op);
int scan_fail_apply(store_txn *t, store_op *op);    /* scan_status error, last_error */
int scan_waits_apply(store_txn *t, store_op *op);   /* waiting_since, waiting_until */
int task_create_apply(store_txn *t, store_op *op);
int task_change_apply(store_txn *t, store_op *op);
int task_remove_apply(store_txn *t, store_op *op);
int task_rescan_apply(store_txn *t, store_op *op);

/* What decides, besides the commit, what a scan finds: a scan with other settings must not stop at "not modified". */
str scan_settings(arena *a, const source *s);
void sources_task_end(source_task *t, int status, str why); /* on the loop */
void sources_check_stopped(sources *s);
void sources_deliver(sources *s, change_log *log); /* takes the log */

#endif
