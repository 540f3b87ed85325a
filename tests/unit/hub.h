/* What tests of GitHub's operations share: a world whose peer plays GitHub, and operations that note how they ended. */
#ifndef LARDER_TESTS_HUB_H
#define LARDER_TESTS_HUB_H

#include "fetch.h"
#include "larder/github.h"

#define SHA1_A "0123456789abcdef0123456789abcdef01234567"
#define SHA1_B "89abcdef0123456789abcdef0123456789abcdef"
#define HUB_REPOSITORY                                                                                                 \
    "{\"name\":\"Renamed\",\"owner\":{\"login\":\"New-Owner\",\"id\":1},\"private\":true,\"visibility\":\"internal\"," \
    "\"description\":\"Says \\u00e4 \\\"word\\\"\",\"default_branch\":\"trunk\",\"topics\":[\"one\",\"two\",3],"       \
    "\"license\":{\"key\":\"mit\",\"spdx_id\":\"MIT\"},\"stargazers_count\":5}"
#define HUB_COMMIT                                                                                             \
    "{\"sha\":\"" SHA1_A "\",\"commit\":{\"message\":\"m\",\"committer\":{\"date\":\"2026-01-15T10:00:00Z\"}," \
    "\"tree\":{\"sha\":\"" SHA1_B "\",\"url\":\"u\"}}}"

typedef struct hub {
    world w;
    github *github;
    peer_step steps[4];
} hub;

typedef struct asking {
    github_op op;
    unsigned done;
    buf pieces;         /* of an archive */
    size_t pause_after; /* bytes; 0: don't */
    int refuse;         /* on_piece's result, when not 0 */
} asking;

typedef int hub_starter(github *g, github_op *op);

void hub_open(hub *h, str token); /* at most 4 entries of a tree, 1 MiB of an archive */
void hub_close(hub *h);
/* The answers, request by request; the last one stays. */
void hub_answers(hub *h, size_t n, const peer_step *steps);
#define HUB_ANSWERS(h, ...) hub_answers((h), COUNT_OF(((peer_step[]){__VA_ARGS__})), (peer_step[]){__VA_ARGS__})
/* A step's text: status, header lines, and a body with its length. Lives until the eighth call after it. */
const char *hub_reply(const char *status, const char *headers, const char *body);

asking hub_asking(const char *ref);                  /* about o/r.x */
void hub_ask(hub *h, asking *a, hub_starter *start); /* until it is done, time passing */
void asking_done(asking *a);
int asking_on_piece(github_op *op, str piece);

#endif
