/* The only place that asks the heap. The fault counter costs one relaxed load while it is off. */
#include "larder/base.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>

static atomic_long fail_in = -1; /* allocations that still succeed; negative: no fault is planned */
static atomic_bool failed;

void mem_fail_at(long n)
{
    atomic_store(&failed, false);
    atomic_store(&fail_in, n < 0 ? -1 : n);
}

bool mem_failed(void)
{
    return atomic_load(&failed);
}

static bool fault_is_due(void)
{
    if (__builtin_expect(atomic_load_explicit(&fail_in, memory_order_relaxed) < 0, 1))
        return false;
    /* The step from 0 to -1 happens in one thread only, and switches the counter off. */
    if (atomic_fetch_sub(&fail_in, 1) != 0)
        return false;
    atomic_store(&failed, true);
    return true;
}

void *mem_alloc(size_t n)
{
    return fault_is_due() ? NULL : malloc(n ? n : 1);
}

void *mem_zalloc(size_t n)
{
    return fault_is_due() ? NULL : calloc(1, n ? n : 1);
}

void *mem_realloc(void *p, size_t n)
{
    return fault_is_due() ? NULL : realloc(p, n ? n : 1);
}

void mem_free(void *p)
{
    free(p);
}

void mem_free_wiped(void *p)
{
    mem_wipe(p, malloc_usable_size(p));
    free(p);
}

void *mem_zlib_alloc(void *unused, unsigned items, unsigned size)
{
    (void)unused;
    return mem_alloc((size_t)items * size);
}

void mem_zlib_free(void *unused, void *p)
{
    (void)unused;
    mem_free(p);
}

char *mem_strndup(const char *p, size_t n)
{
    if (n == SIZE_MAX)
        return NULL;
    char *copy = mem_alloc(n + 1);
    if (!copy)
        return NULL;
    if (n > 0)
        memcpy(copy, p, n);
    copy[n] = '\0';
    return copy;
}
