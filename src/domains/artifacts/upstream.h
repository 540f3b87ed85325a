/* What GitHub has of the artifacts that are deployed somewhere: learnt by questions, kept in upstream_ks.
 *
 * Words
 *   place     a repository at a ref, "owner/repo@ref" in lower case but for the ref; HEAD where none is given
 *   known     what is stored of a path at a place: whether it is there, its version and its content's hash
 *   question  asking GitHub about a place, once for all who want to know meanwhile
 *
 * What a question costs: one conditional request when nothing changed. When the commit is another one, the tree (one
 * more), which tells by git's names which paths have other content; and only when some have, the archive (one more),
 * which is left as soon as all manifests have passed that are of use. Paths that were known before are looked at on the
 * occasion, and what else looks like an artifact there (a few thousand at most): the first who asks about a repository
 * learns it for others who name other paths. What the commit does not have is known by a filter of its paths, without
 * another look at the tree.
 *
 * What no artifact refers to any longer is not asked for any longer either: a sweep in each interval forgets what
 * nobody has asked for in UPSTREAM_KEPT_MS, or ten intervals where that is more. */
#ifndef LARDER_ARTIFACTS_UPSTREAM_H
#define LARDER_ARTIFACTS_UPSTREAM_H

#include "larder/artifact_version.h"
#include "larder/github.h"
#include "larder/schema.h"
#include "larder/store.h"

/* The fingerprint of who asked stands by the etag: it is of use only to the same credential. */
#define PLACE_FIELDS(X, S)                                                   \
    X(S, str, name, REQUIRED, 0, 0, NONE, "owner/repo@ref")                  \
    X(S, str, asked_as, REQUIRED, 0, 0, NONE, "credential's fingerprint")    \
    X(S, str, etag, NULLABLE, 0, 0, NONE, "what GitHub gave")                \
    X(S, str, sha, REQUIRED, 0, 0, NONE, "the commit it named")              \
    X(S, str, tree_sha, REQUIRED, 0, 0, NONE, "its tree")                    \
    X(S, time, asked_at, REQUIRED, 0, 0, NONE, "to the day: for forgetting") \
    X(S, str, branch, NULLABLE, 0, 0, NONE, "the default one, where HEAD is nothing it knows") \
    X(S, str, paths, NULLABLE, 0, 0, NONE, "which ones the tree may have: a Bloom filter")
SCHEMA_STRUCT(place, PLACE_FIELDS);
#define KNOWN_FIELDS(X, S)                                                                               \
    X(S, str, path, REQUIRED, 0, 0, NONE, "in the repository; empty: all of it")                         \
    X(S, str, sha, REQUIRED, 0, 0, NONE, "commit at which this was true last")                           \
    X(S, bool, is_there, REQUIRED, 0, 0, NONE, "false: no such path, or no place")                       \
    X(S, str, version, NULLABLE, 0, 0, NONE, "manifest's, else the tag, else the commit of its content") \
    X(S, str, content_hash, NULLABLE, 0, 0, NONE, "null: GitHub's listing was cut")                      \
    X(S, time, asked_at, NULLABLE, 0, 0, NONE, "to the day: for forgetting")                             \
    X(S, bool, asked_for, REQUIRED, 0, 0, NONE, "false: only seen beside what was asked for")
SCHEMA_STRUCT(known, KNOWN_FIELDS);

/* "owner/repo@ref" of a source, null without memory. */
str place_name(arena *a, const artifact_source *s);

#define UPSTREAM_KEY_MAX 40
typedef struct upstream_key {
    char bytes[UPSTREAM_KEY_MAX];
    size_t n;
} upstream_key;
upstream_key place_key(str name);
upstream_key known_key(str name, str path);
upstream_key known_prefix(str name);                                           /* of all paths of a place */
int place_load(store_view *v, arena *a, str name, place *ret_place);           /* -ENOENT */
int known_load(store_view *v, arena *a, str name, str path, known *ret_known); /* -ENOENT */
int place_put(store_txn *t, const place *p);
int known_put(store_txn *t, str name, const known *k);

/* ---- forgetting: upstream_sweep.c ---- */
#define UPSTREAM_KEPT_MS HOURS(24 * 30)
typedef struct upstream_sweep {
    store_op op;
    int64_t now, before; /* in: wall ms; what was asked for last before that goes */
    int64_t forgotten;   /* out: records */
    struct upstream_sweep_place { /* the op's own: behind which record the steps go on */
        upstream_key last;
        int64_t forgotten;
    } kept, work;
    uint64_t step;
} upstream_sweep;
int upstream_sweep_apply(store_txn *t, store_op *op); /* stepped */

/* ---- questions, on the loop ---- */
typedef enum upstream_outcome {
    UPSTREAM_TOLD,    /* what is known is how it stands */
    UPSTREAM_MISSING, /* there is no such place, or none that may be read: the same, and `why` says so */
    UPSTREAM_LIMITED, /* no quota */
    UPSTREAM_FAILED,
    UPSTREAM_CANCELLED,
} upstream_outcome;

/* Who wants to know. The struct and what it points to are the caller's until on_answer, which runs once. */
typedef struct upstream_wait upstream_wait;
struct upstream_wait {
    /* in */
    artifact_source of; /* its path and version are not looked at */
    str name;           /* the place */
    const str *paths;
    size_t n_paths;
    int64_t since; /* mono ms: an answer as new as this is good */
    int64_t doubted; /* mono ms: when somebody said that answers are wrong; INT64_MIN: nobody did */
    bool patient;  /* after a failure it need not be asked anew before its time */
    void (*on_answer)(upstream_wait *w);
    void *user;
    /* out */
    upstream_outcome outcome;
    str why;          /* until on_answer returns */
    int64_t retry_at; /* wall ms, of LIMITED and FAILED: when it is worth asking again */
    /* the room's own */
    list link;
};

/* That there is no such place costs two requests, and no condition saves them: it is good for so long whoever asks. */
#define UPSTREAM_MISSING_MS MINUTES(1)

/* What is remembered of answers: a few slots per hash of the name, so that it cannot grow. Whose slot has gone to
 * another one asks again. */
#define UPSTREAM_MEMO_SETS 4096
#define UPSTREAM_MEMO_WAYS 4
#define UPSTREAM_WHY_MAX 480
typedef struct upstream_memo {
    uint64_t hash;
    int64_t answered, retry; /* mono ms; answered 0: nothing is remembered */
    unsigned failures;       /* in a row, each at its time */
    upstream_outcome outcome;
    char why[UPSTREAM_WHY_MAX];
} upstream_memo;

typedef struct upstream {
    loop *loop;
    store *store;
    github *github;
    int64_t retry_max_ms, retry_refused_ms; /* between two tries: at most; where GitHub answers, but refuses */
    list questions; /* under way */
    upstream_memo (*memos)[UPSTREAM_MEMO_WAYS];
    int64_t quota_at; /* wall ms: GitHub need not be asked before */
    char quota_of[GITHUB_FINGERPRINT_LEN + 1];
    void (*on_idle)(void *arg); /* a question has ended */
    void *arg;
} upstream;
int upstream_init(upstream *u); /* the rest is filled in. -ENOMEM */
void upstream_done(upstream *u);
/* 0: on_answer follows; 1: answered at once, on_answer does not run; -ENOMEM. */
int upstream_ask(upstream *u, upstream_wait *w);
void upstream_forget(upstream *u); /* what was answered, or refused, so far: all is asked anew */
void upstream_cancel_all(upstream *u); /* all who wait hear it, later */
/* A few seconds, twice as many each time, less a random part; at most `cap`. */
int64_t upstream_backoff(unsigned failures, int64_t cap);

#endif
