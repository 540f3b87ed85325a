/* What an answer means: keep the page, try again later, or give up. Pure. */
#include "service.h"

#define DELAY_MAX HOURS(1)

/* Statuses that may be others in a while. */
static bool status_can_pass(int status)
{
    return status >= 500 || status == 408 || status == 425 || status == 429;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static verdict page_verdict(const render_op *op, const recache_host *h)
{
    if (is_redirect(op->status) && op->final_url.n == 0)
        return (verdict){VERDICT_DEAD, STR("redirect_without_location")};
    if (recache_host_keeps_status(h, op->status))
        return (verdict){VERDICT_KEEP, STR_NULL};
    if (status_can_pass(op->status))
        return (verdict){VERDICT_AGAIN, op->status >= 500 ? STR("origin_5xx") : STR("origin_4xx")};
    return (verdict){VERDICT_DEAD, op->status >= 400 ? STR("origin_4xx") : STR("status_not_kept")};
}

verdict outcome_of(const render_op *op, const recache_host *h, bool has_good_copy)
{
    const str reason = op->error_type.p ? op->error_type : str_c(render_result_name(op->result));

    switch (op->result) {
    case RENDER_OK:
        return page_verdict(op, h);
    case RENDER_SOFT_TIMEOUT: /* better than nothing, and than nothing only */
        return has_good_copy ? (verdict){VERDICT_AGAIN, reason} : page_verdict(op, h);
    case RENDER_EMPTY:
    case RENDER_FAILED_FOR_NOW:
        return (verdict){VERDICT_AGAIN, reason};
    case RENDER_FAILED:
        return (verdict){VERDICT_DEAD, reason};
    case RENDER_CANCELLED:
    case RENDER_RESULT_COUNT:
        break;
    }
    return (verdict){VERDICT_BACK, reason};
}

/* Half of it is chance, so that what failed together doesn't come back together. Where the service was to blame another
 * one may do it at once. */
int64_t outcome_delay(const recache_options *o, unsigned failed, bool service_failed)
{
    int64_t delay = o->retry_base_ms;

    if (service_failed && failed <= 1)
        return 0;
    for (unsigned i = 1; i < failed && delay < DELAY_MAX; i++)
        delay *= 2;
    if (delay > DELAY_MAX)
        delay = DELAY_MAX;
    return delay / 2 + (int64_t)random_below((uint64_t)delay / 2 + 1);
}
