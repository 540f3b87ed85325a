/* What GitHub lets a credential ask, as its answers tell. */
#include "github_private.h"

#define SLACK_MS SECONDS(1) /* and a random part as long: GitHub's clock is not ours, nor are its seconds */

github_quota *github_quota_of(github *g, const char *credential)
{
    github_quota found = {.limit = -1, .remaining = -1};
    size_t at = 0;

    while (at < g->n_quotas && strcmp(g->quotas[at].credential, credential) != 0)
        at++;
    if (at < g->n_quotas)
        found = g->quotas[at];
    else if (g->n_quotas < QUOTAS_MAX)
        g->n_quotas++;
    else
        at = 0; /* the longest unused is forgotten */
    memcpy(found.credential, credential, sizeof(found.credential));
    memmove(&g->quotas[at], &g->quotas[at + 1], (g->n_quotas - 1 - at) * sizeof(found));
    g->quotas[g->n_quotas - 1] = found;
    return &g->quotas[g->n_quotas - 1];
}

static bool number_of(const client_call *call, const char *header, int64_t *ret_number)
{
    return str_to_i64(client_reply_header(call, header), ret_number) == 0 && *ret_number >= 0;
}

void github_quota_learn(github_quota *q, const client_call *call)
{
    int64_t limit, remaining, reset;

    if (number_of(call, "x-ratelimit-limit", &limit) && number_of(call, "x-ratelimit-remaining", &remaining) &&
        number_of(call, "x-ratelimit-reset", &reset) && reset < INT64_MAX / 1000 - SLACK_MS) {
        q->limit = limit;
        q->remaining = remaining;
        if (q->reset_at != reset * 1000)
            q->ask_at = reset * 1000 + SLACK_MS + (int64_t)random_below((uint64_t)SLACK_MS);
        q->reset_at = reset * 1000;
    } else if (call->status == 200 && q->remaining > 0) {
        q->remaining--; /* an archive comes from a host that does not tell; the redirect to it was counted */
    }
}

int64_t github_quota_blocks(const github_quota *q, int64_t now)
{
    if (q->blocked_until > now)
        return q->blocked_until;
    return q->remaining == 0 && q->ask_at > now ? q->ask_at : 0;
}

size_t github_quotas(const github *g, const github_quota **ret_rows)
{
    *ret_rows = g->quotas;
    return g->n_quotas;
}
