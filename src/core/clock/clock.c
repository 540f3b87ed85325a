/* The two clocks: the system's, and one that tests move by hand. */
#include "larder/clock.h"

#include <time.h>

static int64_t real_wall_ms(clk *c)
{
    (void)c;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t real_mono_ns(clk *c)
{
    (void)c;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

clk *clk_real(void)
{
    static clk real = {real_wall_ms, real_mono_ns};
    return &real;
}

static int64_t fake_wall_ms(clk *c)
{
    return CONTAINER_OF(c, fake_clk, base)->wall_ms;
}

static int64_t fake_mono_ns(clk *c)
{
    return CONTAINER_OF(c, fake_clk, base)->mono_ns;
}

void fake_clk_init(fake_clk *f, int64_t wall_ms)
{
    *f = (fake_clk){{fake_wall_ms, fake_mono_ns}, wall_ms, SECONDS(1) * 1000000};
}

void fake_clk_advance(fake_clk *f, int64_t ms)
{
    f->wall_ms += ms;
    f->mono_ns += ms * 1000000;
}

int64_t backoff_ms(int64_t base, int64_t cap, unsigned attempt)
{
    if (base <= 0 || cap <= 0)
        return 0;
    int64_t limit = attempt < 63 && base <= cap >> attempt ? base << attempt : cap;
    return (int64_t)random_below((uint64_t)limit + 1);
}
