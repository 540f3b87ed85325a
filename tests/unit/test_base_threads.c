/* What base promises to several threads at once: memory with its fault counter, randomness, log lines. */
#include "unit.h"

#include "larder/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 5000 };

static void run_threads(void *(*fn)(void *), void *args[THREADS])
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fn, args[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void *allocate(void *arg)
{
    int *failures = arg;
    for (int i = 0; i < ROUNDS; i++) {
        void *p = mem_alloc(16);
        *failures += !p;
        mem_free(p);
    }
    return NULL;
}

static void one_allocation_of_all_threads_fails(void **state)
{
    (void)state;
    int failures[THREADS] = {0};
    void *args[THREADS];
    int sum = 0;
    for (int i = 0; i < THREADS; i++)
        args[i] = &failures[i];
    mem_fail_at(ROUNDS);
    run_threads(allocate, args);
    for (int i = 0; i < THREADS; i++)
        sum += failures[i];
    assert_int_equal(sum, 1);
    assert_true(mem_failed());
    mem_fail_at(-1);
}

static void *draw(void *arg)
{
    uint64_t *numbers = arg;
    for (int i = 0; i < 500; i++)
        numbers[i] = random_u64();
    return NULL;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void threads_never_draw_the_same_number(void **state)
{
    (void)state;
    static uint64_t numbers[THREADS][500];
    for (uint64_t seed = 0; seed < 2; seed++) { /* the kernel's, then a test's sequence */
        void *args[THREADS];
        for (int i = 0; i < THREADS; i++)
            args[i] = numbers[i];
        random_seed_for_tests(seed);
        run_threads(draw, args);
        uint64_t *all = numbers[0];
        qsort(all, sizeof(numbers) / sizeof(*all), sizeof(*all), compare);
        for (size_t i = 1; i < sizeof(numbers) / sizeof(*all); i++)
            assert_true(all[i - 1] != all[i]);
    }
    random_seed_for_tests(0);
}

static void *write_lines(void *arg)
{
    const char *letter = arg;
    for (int i = 0; i < 50; i++)
        log_info("line", LOG_C("a", letter), LOG_C("b", letter), LOG_INT("n", 7));
    return NULL;
}

static void log_lines_of_threads_are_not_mixed(void **state)
{
    (void)state;
    static char letters[THREADS][101];
    void *args[THREADS];
    int ends[2], saved = dup(STDERR_FILENO);
    for (int i = 0; i < THREADS; i++) {
        memset(letters[i], 'a' + i, 100);
        args[i] = letters[i];
    }
    assert_int_equal(pipe(ends), 0); /* 50 KB in all: a pipe holds 64 */
    dup2(ends[1], STDERR_FILENO);
    run_threads(write_lines, args);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);

    static char text[THREADS * 50 * 300];
    size_t n = 0;
    for (ssize_t got; (got = read(ends[0], text + n, sizeof(text) - n)) > 0;)
        n += (size_t)got;
    close(ends[0]);
    str rest = str_of(text, n), line;
    int lines = 0;
    for (; str_cut(&rest, '\n', &line); lines++) {
        char wanted[300];
        char letter = line.p[line.n - 8];
        memset(wanted, letter, sizeof(wanted));
        memcpy(wanted, "info  line a=", 13);
        memcpy(wanted + 113, " b=", 3);
        memcpy(wanted + 216, " n=7", 4);
        assert_true(str_eq(line, str_of(wanted, 220)));
    }
    assert_int_equal(lines, THREADS * 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_allocation_of_all_threads_fails),
        cmocka_unit_test(threads_never_draw_the_same_number),
        cmocka_unit_test(log_lines_of_threads_are_not_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
