/* Trees are read on the worker pool and on the loop at once: each thread has its own limit, one set-up serves all. */
#include "unit.h"

#include <pthread.h>

#include "larder/json.h"

#define THREADS 4
#define ROUNDS 300

typedef struct reader {
    pthread_t thread;
    size_t limit; /* of its arena; 0: none */
    int wanted;
    int failures;
} reader;

static void *read_again_and_again(void *arg)
{
    reader *rd = arg;
    buf text = BUF_INIT;
    buf_str(&text, STR("[{\"key\":1}"));
    for (int i = 0; i < 50; i++)
        buf_str(&text, STR(",{\"key\":[1,2,\"text\"],\"more\":null}"));
    buf_str(&text, STR("]"));
    for (int i = 0; i < ROUNDS; i++) {
        arena a;
        arena_init(&a, rd->limit);
        const json_value *v = NULL;
        int r = json_parse(&a, buf_view(&text), &v, NULL);
        rd->failures += r != rd->wanted || (r == 0 && json_int(json_get(json_at(v, 0), "key")) != 1);
        arena_done(&a);
    }
    buf_done(&text);
    return NULL;
}

static void threads_do_not_share_limits_or_trees(void **state)
{
    (void)state;
    reader readers[THREADS] = {{.limit = 0}, {.limit = 4096, .wanted = -EFBIG}, {.limit = 1 << 20}, {.limit = 0}};
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_again_and_again, &readers[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].failures, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_share_limits_or_trees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
