/* The two grades of assertion; see base.h. */
#include "larder/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_ullong expect_failures;
static _Atomic(const char *) expect_last;

_Noreturn void base_abort(const char *what)
{
    log_flush(); /* what led to it comes first */
    fprintf(stderr, "larder: must hold and does not: %s\n", what);
    abort();
}

bool base_expect_failed(const char *what)
{
    atomic_fetch_add_explicit(&expect_failures, 1, memory_order_relaxed);
    atomic_store_explicit(&expect_last, what, memory_order_relaxed);
#ifdef NDEBUG
    return false;
#else
    base_abort(what);
#endif
}

uint64_t base_expect_failures(void)
{
    return atomic_load_explicit(&expect_failures, memory_order_relaxed);
}

const char *base_expect_last(void)
{
    return atomic_load_explicit(&expect_last, memory_order_relaxed);
}
