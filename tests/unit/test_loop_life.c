/* The loop's beginning and end: faults while opening, signals, draining, the report of what is alive. */
#include "unit.h"

#include "larder/loop.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uv.h>

static void an_unused_loop_can_be_freed(void **state)
{
    (void)state;
    loop *l;
    assert_int_equal(loop_new(clk_real(), 4, &l), 0);
    loop_free(l);
    loop_free(NULL);
}

static void the_number_of_workers_has_bounds(void **state)
{
    (void)state;
    loop *l = NULL;
    assert_int_equal(loop_new(clk_real(), 0, &l), -EINVAL);
    assert_int_equal(loop_new(clk_real(), 65, &l), -EINVAL);
    assert_null(l);
}

static void out_of_memory_is_reported(void **state)
{
    (void)state;
    for (long nth = 0; unit_next_fault(&nth);) {
        loop *l = NULL;
        int r = loop_new(clk_real(), 4, &l);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        loop_free(l);
    }
}

static void out_of_file_descriptors_is_reported(void **state)
{
    (void)state;
    struct rlimit old;
    loop *l = NULL;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int next = dup(0); /* the lowest free one */
    close(next);
    for (int room = 0; room < 3; room++) { /* a loop needs more than that */
        struct rlimit few = {(rlim_t)(next + room), old.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int r = loop_new(clk_real(), 4, &l);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
        assert_int_equal(r, -EMFILE);
        assert_null(l);
    }
    assert_int_equal(loop_new(clk_real(), 4, &l), 0);
    loop_free(l);
}

typedef struct caught {
    loop *l;
    int signum, times;
} caught;

static void on_caught(void *arg, int signum)
{
    caught *c = arg;
    c->signum = signum;
    c->times++;
    loop_stop(c->l);
}

static void signals_arrive_on_the_loop_and_the_last_handler_counts(void **state)
{
    (void)state;
    caught first = {0}, second = {0};
    assert_int_equal(loop_new(clk_real(), 4, &first.l), 0);
    second.l = first.l;
    assert_int_equal(loop_on_signal(first.l, SIGUSR1, on_caught, &first), 0);
    raise(SIGUSR1);
    assert_int_equal(first.times, 0);
    assert_true(loop_run(first.l) > 0);
    assert_int_equal(first.times, 1);
    assert_int_equal(first.signum, SIGUSR1);

    assert_int_equal(loop_on_signal(first.l, SIGUSR1, on_caught, &second), 0);
    raise(SIGUSR1);
    loop_run(first.l);
    assert_int_equal(first.times, 1);
    assert_int_equal(second.times, 1);
    loop_close_idle(first.l);
    assert_int_equal(loop_run(first.l), 0);
    loop_free(first.l);
}

static void signals_that_cannot_be_caught_are_refused(void **state)
{
    (void)state;
    caught c = {0};
    assert_int_equal(loop_new(clk_real(), 4, &c.l), 0);
    assert_int_equal(loop_on_signal(c.l, SIGKILL, on_caught, &c), -EINVAL);
    mem_fail_at(0);
    assert_int_equal(loop_on_signal(c.l, SIGUSR2, on_caught, &c), -ENOMEM);
    mem_fail_at(-1);
    loop_free(c.l);
}

static void a_broken_pipe_does_not_kill(void **state)
{
    (void)state;
    loop *l;
    int ends[2];
    assert_int_equal(loop_new(clk_real(), 4, &l), 0);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1);
    assert_int_equal(errno, EPIPE);
    close(ends[1]);
    loop_free(l);
}

typedef struct lines {
    int total, own, pipes;
} lines;

static void count_line(void *arg, const char *text)
{
    lines *n = arg;
    n->total++;
    n->own += strstr(text, "of the loop") != NULL;
    n->pipes += strstr(text, "pipe, active, fd ") != NULL;
}

static void ignore_connection(uv_stream_t *server, int status)
{
    (void)server, (void)status;
}

static void what_keeps_the_loop_from_draining_is_named(void **state)
{
    (void)state;
    loop *l;
    assert_int_equal(loop_new(clk_real(), 4, &l), 0);
    char path[64];
    snprintf(path, sizeof(path), "/tmp/larder-test-loop-%d", getpid());
    unlink(path);
    uv_pipe_t listener;
    assert_int_equal(uv_pipe_init(loop_uv(l), &listener, 0), 0);
    assert_int_equal(uv_pipe_bind(&listener, path), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&listener, 1, ignore_connection), 0);

    lines n = {0};
    loop_report_handles(l, count_line, &n);
    assert_int_equal(n.total, 5);
    assert_int_equal(n.own, 4);
    assert_int_equal(n.pipes, 1);

    loop_close_idle(l);
    loop_close_idle(l);
    assert_true(loop_run_once(l, false) > 0);
    n = (lines){0};
    loop_report_handles(l, count_line, &n);
    assert_int_equal(n.total, 1);
    assert_int_equal(n.pipes, 1);

    uv_close((uv_handle_t *)&listener, NULL);
    assert_int_equal(loop_run(l), 0);
    n = (lines){0};
    loop_report_handles(l, count_line, &n);
    assert_int_equal(n.total, 0);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unused_loop_can_be_freed),
        cmocka_unit_test(the_number_of_workers_has_bounds),
        cmocka_unit_test(out_of_memory_is_reported),
        cmocka_unit_test(out_of_file_descriptors_is_reported),
        cmocka_unit_test(signals_arrive_on_the_loop_and_the_last_handler_counts),
        cmocka_unit_test(signals_that_cannot_be_caught_are_refused),
        cmocka_unit_test(a_broken_pipe_does_not_kill),
        cmocka_unit_test(what_keeps_the_loop_from_draining_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
