/* The two grades of assertion; see base.h. */
#include "larder/base.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_ullong expect_failures;

_Noreturn void base_abort(const char *file, int line, const char *what)
{
    fprintf(stderr, "larder: %s:%d: must hold and does not: %s\n", file, line, what);
    abort();
}

bool base_expect_failed(const char *file, int line, const char *what)
{
    atomic_fetch_add_explicit(&expect_failures, 1, memory_order_relaxed);
#ifdef NDEBUG
    (void)file, (void)line, (void)what;
    return false;
#else
    base_abort(file, line, what);
#endif
}

uint64_t base_expect_failures(void)
{
    return atomic_load_explicit(&expect_failures, memory_order_relaxed);
}
