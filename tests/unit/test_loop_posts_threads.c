/* Posts from other threads: none lost, each thread's in its order. */
#include "unit.h"

#include "larder/loop.h"

#include <uv.h>

enum { THREADS = 4, POSTS = 20000 };

typedef struct numbered {
    post p;
    int thread, number;
} numbered;

static loop *l;
static numbered posts[THREADS][POSTS];
static int next_number[THREADS];
static int seen;

static void on_numbered(post *p)
{
    numbered *n = CONTAINER_OF(p, numbered, p);
    assert_int_equal(n->number, next_number[n->thread]);
    next_number[n->thread]++;
    seen++;
}

static void post_all(void *arg)
{
    numbered *mine = arg;
    for (int i = 0; i < POSTS; i++)
        loop_post(l, &mine[i].p);
}

static void all_posts_of_all_threads_arrive_in_each_ones_order(void **state)
{
    (void)state;
    uv_thread_t threads[THREADS];
    assert_int_equal(loop_new(clk_real(), 1, &l), 0);
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < POSTS; i++)
            posts[t][i] = (numbered){{on_numbered, NULL}, t, i};
        assert_int_equal(uv_thread_create(&threads[t], post_all, posts[t]), 0);
    }
    while (seen < THREADS * POSTS)
        loop_run_once(l, true);
    for (int t = 0; t < THREADS; t++) {
        uv_thread_join(&threads[t]);
        assert_int_equal(next_number[t], POSTS);
    }
    loop_free(l);
}

typedef struct again {
    post p;
    int times;
} again;

static void on_again(post *p)
{
    again *a = CONTAINER_OF(p, again, p);
    a->times++;
    loop_post(l, p); /* ours again: may be posted at once, for the next turn */
}

static void a_post_that_posts_itself_lets_the_loop_turn(void **state)
{
    (void)state;
    assert_int_equal(loop_new(clk_real(), 1, &l), 0);
    again a = {.p = {on_again, NULL}};
    loop_post(l, &a.p);
    for (int i = 1; i <= 3; i++) {
        loop_run_once(l, true);
        assert_int_equal(a.times, i);
    }
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_posts_of_all_threads_arrive_in_each_ones_order),
        cmocka_unit_test(a_post_that_posts_itself_lets_the_loop_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
