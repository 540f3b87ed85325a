/* Writing projects: apply functions for the writer thread, and the structs that carry them there. How a large change
 * stays whole for readers is told in project_records.h. */
#ifndef LARDER_ARTIFACTS_PROJECT_WRITE_H
#define LARDER_ARTIFACTS_PROJECT_WRITE_H

#include "project_records.h"
#include "service.h"

/* ---- a project's content ---- */
typedef enum upstream_word {
    UPSTREAM_KEEP,   /* what is stored stays, when the source is the same and no reporter had given it */
    UPSTREAM_GIVEN,  /* the reporter's word */
    UPSTREAM_LEARNT, /* from the catalogue or GitHub */
} upstream_word;
typedef struct artifact_content {
    str name, type; /* type: as artifact_type_parse gives it */
    str source, deployed_version, content_hash, description;
    strs tags;
    upstream_word upstream;
    str upstream_version, upstream_hash;
    size_t place;   /* project_content_sort's: where it stood */
    artifact_id id; /* the same */
} artifact_content;
/* Gives the ids and sorts by them. -EEXIST: *ret_place is where the second of that type and name stood. Takes some
 * microseconds for each: a long list is for a job. */
int project_content_sort(str project_id, artifact_content *v, size_t n, size_t *ret_place);

/* ---- replacing it ---- */
#define PROJECT_ONE_STEP 200 /* rows, old and new together: so many change in one step, some 3 ms; more in several */

typedef struct project_write project_write;
struct project_write {
    store_op op;
    list link; /* while it waits to be alone */
    projects *owner;
    /* In: borrowed until the op is done. */
    void (*on_done)(project_write *w, int status); /* of projects_write; never -EAGAIN */
    str id, name, path, origin;
    bool only_news; /* where the content is as it was nothing is written, of the project neither; but one that failed is
                     * due at next_refresh_at: only a whole refresh tells whether it fails still */
    bool forgets; /* the project goes, with all artifacts: of the above only the id is needed */
    artifact_content *content; /* sorted */
    size_t n;
    int64_t if_match; /* as project_task's */
    int64_t now, next_refresh_at;
    int64_t changed_refresh_at; /* 0, or what takes its place when the project or an artifact is new or changed: those
                                 * alone await upstream then */
    bool asked_upstream; /* about all of it */
    bool alone; /* no other op with this flag is under way: it may make a large change */
    artifact_log *log; /* gets what changed */
    /* Out, good when project_write_status says 0. */
    bool created, status_changed;
    int64_t version;
    int64_t added, removed, changed; /* artifacts; changed: versions, content, or whether it is outdated */
    /* The op's own: how far it has come. A step begins at the place that the one before it left, and notes where the
     * next one begins; op->at tells which step it is, so any of them can be done again. */
    struct project_write_place {
        size_t at;           /* content written */
        artifact_key last;   /* row looked at last */
        size_t rows, logged; /* rows that are other than before; of the log */
        int64_t outdated, added, removed, changed;
    } work, *places;
    size_t n_places;
};
/* Frees what the op has used, its log aside. After projects_write it is done. */
void project_write_done(project_write *w);
/* Status: 0; -EAGAIN: nothing is done, submit it anew with `alone`; -ENOENT (forgets); -ESTALE; -EEXIST: what was
 * discovered does not replace what is reported; the store's errors. */
int project_write_apply(store_txn *t, store_op *op);
/* What done's status means: once readers see the new content, it is written, whatever else failed. */
int project_write_status(const project_write *w, int status);
/* True when project_recover_apply has something to do. */
bool project_write_has_rest(const project_write *w, int status);

/* Settles what a large change left behind; 0 when there is nothing. For any store_op; stepped. Not beside a
 * project_write with `alone`. */
int project_recover_apply(store_txn *t, store_op *op);

/* On the loop: submits it, alone where it must be; on_done runs once, later. */
void projects_write(projects *p, project_write *w);
/* Settles what a crash or an error left behind, when nothing large is under way. */
void projects_recover(projects *p);

/* ---- other changes of a project's row ---- */
typedef struct project_note {
    store_op op;
    /* In. */
    str id;
    str error_message;   /* null: it stays as it is, and so does the status; else status becomes "error" */
    int64_t failures, next_refresh_at;
    /* Out. */
    bool status_changed;
} project_note;
int project_note_apply(store_txn *t, store_op *op); /* -ENOENT */

#define INVALIDATE_SPREAD_MS 50 /* all projects: each is due that much later than the one before it */
typedef struct project_invalidation {
    store_op op;
    /* In. */
    str id; /* null: all */
    int64_t now;
    bool doubts_upstream; /* GitHub is to be asked anew, too */
    /* Out. */
    int64_t count;
    /* The op's own: as above. */
    struct project_invalidation_place {
        int64_t count;
        size_t n;
        char last[PROJECT_ID_MAX];
    } kept, work;
    uint64_t step;
} project_invalidation;
int project_invalidate_apply(store_txn *t, store_op *op); /* -ENOENT; stepped */

#endif
