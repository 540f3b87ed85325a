/* What the files of this room share. */
#ifndef LARDER_GITHUB_PRIVATE_H
#define LARDER_GITHUB_PRIVATE_H

#include "larder/github.h"

#define QUOTAS_MAX 64

struct github {
    loop *loop;
    client *client;
    github_options o;
    github_quota quotas[QUOTAS_MAX]; /* the one used last at the end */
    size_t n_quotas;
};

/* What is the same for all operations of a kind. */
typedef struct github_kind {
    const char *what; /* "repository", for texts */
    const char *accept;
    int (*parse)(github_op *op, str body, size_t max_entries); /* on a worker; NULL: the body goes to on_piece */
    size_t max_body;                                           /* 0: options.max_archive_bytes */
    int64_t total_ms;
} github_kind;

typedef struct operation { /* github_op.impl */
    github *owner;
    github_op *op;
    const github_kind *kind;
    char credential[GITHUB_FINGERPRINT_LEN + 1];
    char *secret; /* "Bearer TOKEN", wiped at the end; NULL: anonymous */
    client_call call;
    client_header headers[4];
    arena arena; /* URL, headers */
    size_t max_entries;
    job job;
    timer timer; /* a result that needs no request */
    int parsed;
    bool calls, parses; /* the call, the job is under way */
    bool gave;          /* on_piece has been called */
    bool cancelled;
} operation;

github_quota *github_quota_of(github *g, const char *credential); /* makes a row; never NULL */
void github_quota_learn(github_quota *q, const client_call *call);
/* Until when (wall ms) it is no use to ask; 0: ask. */
int64_t github_quota_blocks(const github_quota *q, int64_t now);

/* Bodies -> the op's out part, whose texts live in op->arena. -EPROTO: not what GitHub sends; -ENOMEM. */
int github_parse_repository(github_op *op, str body, size_t max_entries);
int github_parse_commit(github_op *op, str body, size_t max_entries);
int github_parse_tree(github_op *op, str body, size_t max_entries);
int github_parse_readme(github_op *op, str body, size_t max_entries);

#endif
