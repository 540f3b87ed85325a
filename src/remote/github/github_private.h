/* What the files of this room share. */
#ifndef LARDER_GITHUB_PRIVATE_H
#define LARDER_GITHUB_PRIVATE_H

#include "larder/github.h"

#define QUOTAS_MAX 64

struct github {
    loop *loop;
    client *client;
    github_options o;
    char *api_url, *token; /* what o points to */
    github_quota quotas[QUOTAS_MAX]; /* the one used last at the end */
    size_t n_quotas;
};

typedef struct operation { /* github_op.impl */
    github *owner;
    github_op *op;
    int (*parse)(github_op *op, str body); /* on a worker; NULL: nothing to parse */
    const char *what;      /* "repository", for texts */
    const char *accept;
    char fingerprint[GITHUB_FINGERPRINT_LEN + 1];
    char *secret;          /* "Bearer TOKEN", wiped at the end; NULL: anonymous */
    client_call call;
    client_header headers[4];
    arena arena;           /* url, headers */
    job job;
    timer timer;           /* a result that needs no request */
    int parsed;
    bool calls, cancelled; /* the call is under way */
} operation;

github_quota *quota_of(github *g, const char *fingerprint); /* makes a row; never NULL */
void quota_learn(github *g, const char *fingerprint, const client_call *call);

/* Bodies -> the op's out part, whose texts live in op->arena. -EPROTO: not what GitHub sends; -ENOMEM. */
int parse_repository(github_op *op, str body);
int parse_commit(github_op *op, str body);
int parse_tree(github_op *op, str body);
int parse_readme(github_op *op, str body);
size_t github_max_entries(const github_op *op);

#endif
