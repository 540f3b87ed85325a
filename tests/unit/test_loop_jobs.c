/* Jobs on the worker pool: once, later, cancelled or not. */
#include "unit.h"

#include "larder/loop.h"

#include <stdatomic.h>

#include <uv.h>

typedef struct counted {
    job j;
    int value, doubled;
    int calls, status;
    uv_thread_t thread;
} counted;

static loop *l;

static int set_up(void **state)
{
    (void)state;
    return loop_new(clk_real(), 2, &l);
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(l);
    return 0;
}

static void double_it(job *j)
{
    counted *c = CONTAINER_OF(j, counted, j);
    c->doubled = c->value * 2;
    c->thread = uv_thread_self();
}

static void on_doubled(job *j, int status)
{
    counted *c = CONTAINER_OF(j, counted, j);
    c->calls++;
    c->status = status;
}

static void work_runs_on_a_worker_and_done_once_on_the_loop(void **state)
{
    (void)state;
    counted c[20] = {0};
    for (int i = 0; i < 20; i++) {
        c[i].value = i;
        assert_int_equal(loop_job(l, &c[i].j, double_it, on_doubled), 0);
        assert_int_equal(c[i].calls, 0);
    }
    loop_close_idle(l);
    assert_int_equal(loop_run(l), 0); /* drains: all jobs are done then */
    for (int i = 0; i < 20; i++) {
        uv_thread_t self = uv_thread_self();
        assert_int_equal(c[i].calls, 1);
        assert_int_equal(c[i].status, 0);
        assert_int_equal(c[i].doubled, 2 * i);
        assert_false(uv_thread_equal(&c[i].thread, &self));
        assert_null(c[i].j.impl);
    }
}

static uv_sem_t gate;

static void wait_at_gate(job *j)
{
    (void)j;
    uv_sem_wait(&gate);
}

static void a_job_cancelled_in_the_queue_never_works_but_is_done(void **state)
{
    (void)state;
    assert_int_equal(uv_sem_init(&gate, 0), 0);
    counted busy[2] = {0}, queued = {.value = 4};
    for (int i = 0; i < 2; i++) /* the whole pool */
        assert_int_equal(loop_job(l, &busy[i].j, wait_at_gate, on_doubled), 0);
    assert_int_equal(loop_job(l, &queued.j, double_it, on_doubled), 0);
    loop_job_cancel(&queued.j);
    assert_int_equal(queued.calls, 0); /* not before the call has returned */
    while (queued.calls == 0)
        loop_run_once(l, true);
    assert_int_equal(queued.status, -ECANCELED);
    assert_int_equal(queued.doubled, 0);
    loop_job_cancel(&queued.j); /* nothing is under way: harmless */

    uv_sem_post(&gate);
    uv_sem_post(&gate);
    loop_close_idle(l);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(busy[0].calls + busy[1].calls, 2);
    assert_int_equal(queued.calls, 1);
    uv_sem_destroy(&gate);
}

/* Whoever is first, the worker or who cancels: each is done once, and worked on or cancelled. */
static void many_are_cancelled_while_workers_take_them(void **state)
{
    enum { MANY = 4000 };
    static counted c[MANY];
    (void)state;
    memset(c, 0, sizeof(c));
    for (int i = 0; i < MANY; i++) {
        c[i].value = i + 1;
        assert_int_equal(loop_job(l, &c[i].j, double_it, on_doubled), 0);
        if (i >= 3)
            loop_job_cancel(&c[i - i % 4].j);
        if (i % 64 == 0)
            (void)loop_run_once(l, false);
    }
    loop_close_idle(l);
    assert_int_equal(loop_run(l), 0);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(c[i].calls, 1);
        assert_true(c[i].status == 0 || c[i].status == -ECANCELED);
        assert_int_equal(c[i].doubled, c[i].status == 0 ? 2 * c[i].value : 0);
    }
}

static uv_sem_t started;

static void say_and_wait(job *j)
{
    uv_sem_post(&started);
    wait_at_gate(j);
}

static void a_job_that_has_begun_is_not_cut_off(void **state)
{
    (void)state;
    assert_int_equal(uv_sem_init(&gate, 0), 0);
    assert_int_equal(uv_sem_init(&started, 0), 0);
    counted c = {0};
    assert_int_equal(loop_job(l, &c.j, say_and_wait, on_doubled), 0);
    uv_sem_wait(&started);
    loop_job_cancel(&c.j);
    uv_sem_post(&gate);
    loop_close_idle(l);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.calls, 1);
    assert_int_equal(c.status, 0);
    uv_sem_destroy(&gate);
    uv_sem_destroy(&started);
}

static void on_done_again(job *j, int status)
{
    counted *c = CONTAINER_OF(j, counted, j);
    on_doubled(j, status);
    if (c->calls < 3) {
        c->value = c->doubled;
        assert_int_equal(loop_job(l, j, double_it, on_done_again), 0);
    }
}

static void the_job_is_the_callers_again_in_done(void **state)
{
    (void)state;
    counted c = {.value = 1};
    assert_int_equal(loop_job(l, &c.j, double_it, on_done_again), 0);
    loop_close_idle(l);
    assert_int_equal(loop_run(l), 0);
    assert_int_equal(c.calls, 3);
    assert_int_equal(c.doubled, 8);
}

static void without_memory_no_job_is_taken(void **state)
{
    (void)state;
    counted c = {.value = 1};
    mem_fail_at(0);
    assert_int_equal(loop_job(l, &c.j, double_it, on_doubled), -ENOMEM);
    mem_fail_at(-1);
    loop_run_once(l, false);
    assert_int_equal(c.calls, 0);
}

static void count_line(void *arg, const char *text)
{
    if (strstr(text, "1 jobs under way"))
        ++*(int *)arg;
}

static void a_job_under_way_is_reported(void **state)
{
    (void)state;
    int lines = 0;
    counted c = {.value = 1};
    assert_int_equal(loop_job(l, &c.j, double_it, on_doubled), 0);
    loop_report_handles(l, count_line, &lines);
    assert_int_equal(lines, 1);
    loop_close_idle(l);
    loop_run(l);
    loop_report_handles(l, count_line, &lines);
    assert_int_equal(lines, 1);
}

typedef struct freed {
    int calls;
    uv_thread_t thread;
} freed;

static void free_it(void *what)
{
    freed *f = what;
    f->calls++;
    f->thread = uv_thread_self();
}

static bool is_freed_on_a_worker(size_t bytes)
{
    const uv_thread_t self = uv_thread_self();
    freed f = {0};
    loop_give_back(l, bytes, free_it, &f);
    while (f.calls == 0)
        loop_run_once(l, true);
    loop_run_once(l, false);
    assert_int_equal(f.calls, 1);
    return !uv_thread_equal(&f.thread, &self);
}

static void much_memory_is_given_back_on_a_worker_once(void **state)
{
    (void)state;
    assert_false(is_freed_on_a_worker(LOOP_FREES_MAX));
    assert_true(is_freed_on_a_worker(LOOP_FREES_MAX + 1));
    for (long i = 0; i < 2; i++) { /* without memory for a job it is given back all the same */
        mem_fail_at(i);
        assert_false(is_freed_on_a_worker(LOOP_FREES_MAX + 1));
        assert_true(mem_failed());
        mem_fail_at(-1);
    }
    loop_close_idle(l);
    assert_int_equal(loop_run(l), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(work_runs_on_a_worker_and_done_once_on_the_loop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_cancelled_in_the_queue_never_works_but_is_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(many_are_cancelled_while_workers_take_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_that_has_begun_is_not_cut_off, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_job_is_the_callers_again_in_done, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_no_job_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_job_under_way_is_reported, set_up, tear_down),
        cmocka_unit_test_setup_teardown(much_memory_is_given_back_on_a_worker_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
