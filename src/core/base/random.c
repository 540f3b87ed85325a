/* Randomness. The kernel is asked for a page at a time per thread, and what has been handed out is wiped:
 * a request id costs a copy, not a system call. The program never forks without exec; a child would repeat
 * its parent's bytes. */
#include "larder/base.h"

#include <stdatomic.h>
#include <sys/random.h>

#define POOL_SIZE 1024

static _Thread_local struct {
    unsigned char bytes[POOL_SIZE];
    size_t left; /* the last `left` bytes are fresh */
} pool;

/* Tests: SplitMix64, whose state is a counter, so that threads may share it. */
static atomic_bool seeded;
static _Atomic uint64_t test_state;

void random_seed_for_tests(uint64_t seed)
{
    atomic_store(&test_state, seed);
    atomic_store(&seeded, seed != 0);
}

static uint64_t next_for_tests(void)
{
    const uint64_t step = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = atomic_fetch_add(&test_state, step) + step;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static void fill_for_tests(unsigned char *out, size_t n)
{
    while (n > 0) {
        uint64_t word = next_for_tests();
        size_t part = n < sizeof(word) ? n : sizeof(word);
        memcpy(out, &word, part);
        out += part;
        n -= part;
    }
}

static void fill_from_kernel(unsigned char *out, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        REQUIRE(got > 0);
        out += got;
        n -= (size_t)got;
    }
}

void random_bytes(void *p, size_t n)
{
    if (n == 0)
        return;
    if (atomic_load_explicit(&seeded, memory_order_relaxed)) {
        fill_for_tests(p, n);
        return;
    }
    if (n > POOL_SIZE / 4) {
        fill_from_kernel(p, n);
        return;
    }
    if (pool.left < n) {
        fill_from_kernel(pool.bytes, POOL_SIZE);
        pool.left = POOL_SIZE;
    }
    unsigned char *from = pool.bytes + POOL_SIZE - pool.left;
    memcpy(p, from, n);
    mem_wipe(from, n);
    pool.left -= n;
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof(v));
    return v;
}

uint64_t random_below(uint64_t n)
{
    REQUIRE(n > 0);
    uint64_t uneven = (0 - n) % n; /* 2^64 mod n: the values below it would favour small results */
    uint64_t v;
    do
        v = random_u64();
    while (v < uneven);
    return v % n;
}

bool ct_equal(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *x = a, *y = b; /* volatile: no early way out may be found */
    unsigned difference = 0;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned)(x[i] ^ y[i]);
    return difference == 0;
}

void mem_wipe(void *p, size_t n)
{
    if (n > 0)
        explicit_bzero(p, n);
}
