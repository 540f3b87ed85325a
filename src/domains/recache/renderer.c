/* The fleet of render services as this room's renderer. */
#include "larder/recache.h"

static int start(void *arg, render_op *op)
{
    return render_start(arg, op);
}

static render_capacity capacity(void *arg)
{
    return render_fleet_capacity(arg);
}

recache_renderer recache_renderer_of(render_fleet *f)
{
    return (recache_renderer){
        .start = start,
        .pause = render_pause,
        .resume = render_resume,
        .cancel = render_cancel,
        .op_done = render_op_done,
        .capacity = capacity,
        .arg = f,
    };
}
