/* The circuit breaker of one service. */
#include "render_private.h"

#define FAILURES_TO_OPEN 5
#define PAUSE_MS SECONDS(1)
#define PAUSE_MAX_MS SECONDS(60)

render_breaker render_breaker_at(const breaker *b, int64_t now)
{
    if (b->open_until == 0)
        return RENDER_BREAKER_CLOSED;
    return now < b->open_until ? RENDER_BREAKER_OPEN : RENDER_BREAKER_HALF_OPEN;
}

void render_breaker_succeeded(breaker *b)
{
    b->failures = 0;
    b->open_until = b->pause_ms = 0;
}

void render_breaker_failed(breaker *b, int64_t now)
{
    const render_breaker at = render_breaker_at(b, now);

    if (at == RENDER_BREAKER_OPEN)
        return; /* pages that were under way when it opened */
    b->failures++;
    if (at == RENDER_BREAKER_CLOSED && b->failures < FAILURES_TO_OPEN)
        return;
    b->pause_ms = b->pause_ms == 0 ? PAUSE_MS : b->pause_ms * 2;
    if (b->pause_ms > PAUSE_MAX_MS)
        b->pause_ms = PAUSE_MAX_MS;
    /* 80 to 120 %: a fleet that failed together is not tried again together. */
    b->open_until = now + b->pause_ms * 8 / 10 + (int64_t)random_below((uint64_t)b->pause_ms * 4 / 10 + 1);
}
