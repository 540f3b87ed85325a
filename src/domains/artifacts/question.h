/* A question to GitHub about one place, from its beginning to its end: upstream.c asks, upstream_memo.c remembers the
 * answer, upstream_read.c and upstream_tree.c are the worker's part, upstream_archive.c reads the archive. */
#ifndef LARDER_ARTIFACTS_QUESTION_H
#define LARDER_ARTIFACTS_QUESTION_H

#include "larder/archive.h"
#include "upstream.h"

#define QUESTION_COMPLETE (-EALREADY) /* question_read_piece: all manifests have passed */
#define QUESTION_DAY_MS HOURS(24)
#define QUESTION_PATHS_MAX 20000 /* that are looked at besides those asked for */
#define QUESTION_SEEN_MAX 4000   /* none are added that were only seen where there are so many */

enum {
    QUESTION_LOOK,
    QUESTION_COMMIT,
    QUESTION_REPOSITORY,
    QUESTION_GONE,
    QUESTION_TREE,
    QUESTION_COMPARE,
    QUESTION_ARCHIVE,
    QUESTION_WRITE,
    QUESTION_ENDED
};

typedef struct asked_path {
    str path;
    known was;      /* as stored; path null: nothing is */
    known now;      /* as it will be, when it is to be written */
    bool is_wanted; /* somebody waits for it */
    bool is_to_be_written;
    bool is_read; /* its manifest has passed */
    str manifest; /* where the archive holds it, while its version is looked for there; else null */
} asked_path;

typedef struct question {
    list link;
    upstream *owner;
    arena arena; /* the worker's alone while a job runs */
    unsigned state;
    str name, ref;
    artifact_source of;
    list waits, late; /* upstream_wait.link; late: came when it had begun, and are asked anew when it ends */
    bool cancelled, skips_commit; /* skips_commit: what is stored of the place is new enough */
    int64_t begun, asked_at;      /* mono, wall ms */
    char asked_as[GITHUB_FINGERPRINT_LEN + 1];
    place place; /* name null: nothing is stored */
    bool place_changed, has_asked_repository;
    asked_path *paths; /* in the order of paths, but for those that were only seen, which come last */
    size_t n_paths;
    str branch; /* asked for instead of HEAD; null: HEAD is */
    github_op commit, repository, tree, archive;
    github_op *asking; /* one of them, or NULL */
    job job;
    int work_status; /* of the last job */

    archive *reader;
    github_reading reading;
    buf content;                          /* of the file that is being read */
    asked_path **by_manifest;             /* those that are looked for */
    size_t n_manifests, n_read, n_needed; /* needed: of those that are not read yet, what somebody has asked for */

    store_op op;
    upstream_outcome outcome;
    str why;
    bool not_asked, is_refused; /* FAILED: as github_op says; GitHub answered that it won't */
    int64_t retry_at;
} question;

/* ---- on the loop (upstream.c) ---- */
void question_ask(question *q, unsigned state, github_op *op, int (*starter)(github *, github_op *),
                  void (*on_done)(github_op *));
bool question_answered(question *q, github_op *op); /* false: it has ended, and is gone */
bool question_ended_by_cancel(question *q);         /* true: gone */
void question_fail(question *q, str why);           /* gone */
void question_write(question *q);
void question_read_archive(question *q); /* upstream_archive.c */

/* ---- on the loop: upstream_memo.c ---- */
/* True: what is remembered answers it: its `out` is filled. *ret_is_new: the place was asked about since w->since. */
bool memo_answers(upstream *u, upstream_wait *w, bool *ret_is_new);
void memo_set(question *q); /* it has ended */

/* ---- on a worker: upstream_read.c ---- */
void question_look_work(job *j);  /* what is known of the place, and of the paths asked for */
int question_gather(question *q); /* and of all its other paths: they are in q->paths then */
void question_gone_work(job *j);  /* all of them are not there */
bool question_notes(const question *q, const asked_path *p); /* that it is asked for: for the first time, or still */
asked_path *question_find_path(question *q, size_t n, str path); /* among the first n; or NULL */
int question_read_piece(github_reading *r, str bytes);           /* of the archive */
int question_reader_open(question *q);                           /* on the loop */
void question_fall_back(const question *q, asked_path *p);       /* a version where no manifest gives one */
void question_archive_over(question *q); /* it has ended: what of it was not read, and is not needed, stays as it was */

/* ---- on a worker: upstream_tree.c ---- */
void question_compare_work(job *j);
bool question_is_asked_for(const asked_path *p);       /* now or before; else it was only seen */
bool question_tree_lacks(const question *q, str path); /* for certain: it is no path of the place's commit */

#endif
