/* github: the few operations of GitHub's REST API that Larder needs (API version 2022-11-28), and its quota.
 *
 * Words
 *   credential   the token of a request, or none; known by its fingerprint, the first 8 bytes of the token's SHA-256 in
 *                hex, or "anonymous". Tokens are copied into the operation, wiped when it is done, never logged or
 *                stored.
 *   quota        requests left per credential until a reset, read from X-RateLimit-* of every answer. With none left,
 *                and while a secondary limit (403 or 429 with Retry-After, or one that says so) holds, an operation
 *                ends as GITHUB_RATE_LIMITED without asking, with the time from when it is worth asking again: at most
 *                a day.
 *
 * An operation is one struct of the caller's: zero it, fill the `in` part, start it; on_done runs exactly once, later,
 * also after github_cancel. github_op_done frees the `out` part. */
#ifndef LARDER_GITHUB_H
#define LARDER_GITHUB_H

#include "larder/client.h"

typedef struct github github;
typedef struct github_op github_op;

typedef enum github_result {
    GITHUB_OK,
    GITHUB_NOT_MODIFIED,
    GITHUB_NOT_FOUND,
    GITHUB_UNAUTHORIZED,
    GITHUB_RATE_LIMITED,
    GITHUB_FAILED,
    GITHUB_CANCELLED,
} github_result;

typedef struct github_repository { /* GET /repos/O/R */
    str owner, name;               /* as GitHub spells them now: a renamed repository answers under its new name */
    str description, default_branch, visibility, license; /* null where GitHub has none; license is the SPDX id */
    bool is_private;
    const str *topics;
    size_t n_topics;
} github_repository;
typedef struct github_commit { /* GET /repos/O/R/commits/REF */
    str sha, tree_sha;
    int64_t date_ms;
} github_commit;
typedef struct github_file {
    str path;
    char sha[40]; /* hex */
    int64_t size; /* -1 unknown */
    enum { GITHUB_BLOB, GITHUB_SYMLINK, GITHUB_TREE, GITHUB_SUBMODULE } kind;
} github_file;
typedef struct github_tree { /* GET /repos/O/R/git/trees/SHA?recursive=1, parsed on a worker */
    const github_file *files;
    size_t n;
    bool truncated; /* GitHub cut the list, or options.max_entries did */
} github_tree;

struct github_op {
    /* in; texts are copied by the starting call */
    str owner, repo;
    str ref;   /* commit, readme: a branch, tag or SHA; tree, archive: a SHA */
    str token; /* null: the configured one, if any */
    str etag;  /* repository, commit: ask conditionally; null: don't */
    /* archive: the next bytes of the tar.gz; negative ends it. See github_pause */
    int (*on_piece)(github_op *op, str piece);
    void (*on_done)(github_op *op);
    void *user;
    /* out */
    github_result result;
    str why;          /* for people, without secrets: "GitHub API: repository not found"; null when OK */
    int status;       /* HTTP status, 0 when none */
    bool passes;      /* FAILED: may go well by itself in a while: no answer, half of one, a 5xx, no memory here */
    bool cut_off;     /* archive: the connection was lost after some pieces; it may be asked for anew */
    bool not_asked;   /* FAILED: the client's breaker is open; this says nothing new about GitHub */
    int64_t retry_at; /* RATE_LIMITED: wall ms from when it is worth asking again */
    str new_etag;     /* what to ask with next time; null when none */
    github_repository repository;
    github_commit commit;
    github_tree tree;
    str readme;  /* GET /repos/O/R/readme, raw: any bytes */
    arena arena; /* backs the out part */
    void *impl;  /* the room's own */
};

typedef struct github_options { /* texts are borrowed until the next github_set_options, or github_free */
    const char *api_url; /* https://api.github.com, or a stand-in; no trailing slash */
    str token;           /* configured; null for none */
    size_t max_entries;  /* of a tree */
    size_t max_archive_bytes;
} github_options;
int github_new(loop *l, client *c, const github_options *o, github **ret_github);
void github_set_options(github *g, const github_options *o); /* for operations started from now on */
void github_free(github *g);                                 /* after client_close: no operation is under way */

int github_get_repository(github *g, github_op *op); /* all starters: -ENOMEM, -EINVAL: on_done will not run */
int github_get_commit(github *g, github_op *op);
int github_get_tree(github *g, github_op *op);
int github_get_archive(github *g, github_op *op);
int github_get_readme(github *g, github_op *op); /* at `ref` */
void github_pause(github_op *op);                /* archive: no pieces until github_resume */
void github_resume(github_op *op);
void github_cancel(github_op *op);
void github_op_done(github_op *op);

/* An archive that a worker reads as it arrives: pieces gather on the loop while a job reads those before, one job at a
 * time, and GitHub is held back when the job can't keep up. Zeroed at first; may be used again after on_done. */
typedef struct github_reading {
    /* in */
    loop *loop;
    github_op *op; /* its `in` part but for the callbacks and `user`, which are the reading's */
    int (*read)(struct github_reading *r, str bytes); /* on a worker; negative: nothing more is wanted */
    /* Once, later: neither download nor job is under way. */
    void (*on_done)(struct github_reading *r);
    void *user;
    /* out; what there is to know of the download is in op */
    int status; /* negative: what read() returned, or -ENOMEM; 0: with op->result OK all was read */
    /* the room's own */
    buf reading, gathering;
    job job;
    int job_status;
    bool reads, downloads, paused, cancelled;
} github_reading;
int github_read_archive(github *g, github_reading *r); /* as github_get_archive */
void github_read_cancel(github_reading *r);            /* on_done comes all the same */
void github_read_done(github_reading *r);              /* frees the buffers */

#define GITHUB_FINGERPRINT_LEN 16
/* "anonymous" or 16 hex digits, NUL-terminated; of `token`, or of the configured one when null. */
void github_fingerprint(const github *g, str token, char out[GITHUB_FINGERPRINT_LEN + 1]);

typedef struct github_quota {
    char credential[GITHUB_FINGERPRINT_LEN + 1];
    int64_t limit, remaining; /* -1 not known yet */
    int64_t reset_at;         /* wall ms */
    int64_t ask_at;           /* wall ms: 1 to 2 s after reset_at, since clocks differ */
    int64_t blocked_until;    /* wall ms: a secondary limit holds until then; 0: none */
} github_quota;
size_t github_quotas(const github *g, const github_quota **ret_rows); /* at most 64, the longest unused forgotten */

#endif
