/* What GitHub lets a credential ask, as its answers tell. */
#include "github_private.h"

github_quota *quota_of(github *g, const char *fingerprint)
{
    github_quota found = {.limit = -1, .remaining = -1};
    size_t at = 0;

    while (at < g->n_quotas && strcmp(g->quotas[at].credential, fingerprint) != 0)
        at++;
    if (at < g->n_quotas)
        found = g->quotas[at];
    else if (g->n_quotas < QUOTAS_MAX)
        g->n_quotas++;
    else
        at = 0; /* the longest unused is forgotten */
    memcpy(found.credential, fingerprint, sizeof(found.credential));
    memmove(&g->quotas[at], &g->quotas[at + 1], (g->n_quotas - 1 - at) * sizeof(found));
    g->quotas[g->n_quotas - 1] = found;
    return &g->quotas[g->n_quotas - 1];
}

void quota_learn(github *g, const char *fingerprint, const client_call *call)
{
    int64_t limit, remaining, reset;

    if (str_to_i64(client_reply_header(call, "x-ratelimit-limit"), &limit) < 0 ||
        str_to_i64(client_reply_header(call, "x-ratelimit-remaining"), &remaining) < 0 ||
        str_to_i64(client_reply_header(call, "x-ratelimit-reset"), &reset) < 0 || reset < 0 || reset > INT64_MAX / 1000)
        limit = -1;
    github_quota *q = quota_of(g, fingerprint);
    if (limit < 0) { /* an archive comes from a host that does not tell; the redirect to it was counted */
        q->remaining -= q->remaining > 0 && call->status == 200;
        return;
    }
    q->limit = limit;
    q->remaining = remaining < 0 ? 0 : remaining;
    q->reset_at = reset * 1000;
}

size_t github_quotas(const github *g, const github_quota **ret_rows)
{
    *ret_rows = g->quotas;
    return g->n_quotas;
}
