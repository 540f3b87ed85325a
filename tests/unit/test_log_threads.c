/* The log's own thread: a reader of standard error that stalls holds up nobody, and an end in order loses no line. */
#include "unit.h"

#include "larder/log.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 3, LINES = 4000 };

static int saved_stderr = -1, ends[2];
static long long seen, said_lost; /* lines of ours; of how many a line said that they were lost */
static long long last_of[THREADS];
static bool in_order;

static int set_up(void **state)
{
    (void)state;
    seen = said_lost = 0;
    in_order = true;
    for (int i = 0; i < THREADS; i++)
        last_of[i] = -1;
    log_set_time(NULL);
    log_setup(LOG_INFO, LOG_TEXT);
    saved_stderr = dup(STDERR_FILENO);
    return pipe(ends) || dup2(ends[1], STDERR_FILENO) < 0;
}

static int tear_down(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(ends[0]);
    return 0;
}

static void take_line(const char *line)
{
    long long thread, n;
    if (sscanf(line, "warn  log lines were lost: standard error was not read lines=%lld", &n) == 1) {
        said_lost += n;
    } else if (sscanf(line, "info  a line thread=%lld n=%lld", &thread, &n) == 2 && thread < THREADS) {
        in_order = in_order && n > last_of[thread];
        last_of[thread] = n;
        seen++;
    } else {
        in_order = false; /* torn */
    }
}

/* Reads all there is until the pipe's last writer closes it. */
static void *read_all(void *arg)
{
    FILE *f = fdopen(dup(ends[0]), "r");
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, f) > 0)
        take_line(line);
    free(line);
    fclose(f);
    return arg;
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("a line", LOG_INT("thread", (intptr_t)arg), LOG_INT("n", i), LOG_C("with", "some text to be long"));
    return NULL;
}

static void write_from_all_threads(void)
{
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void stop_and_close(void)
{
    log_stop();
    dup2(saved_stderr, STDERR_FILENO);
    close(ends[1]);
}

static void whoever_does_not_read_holds_up_nobody_and_is_told_what_he_missed(void **state)
{
    (void)state;
    pthread_t reader;
    assert_int_equal(log_start(), 0);
    assert_int_equal(log_start(), -EALREADY);
    write_from_all_threads(); /* more than pipe and ring hold: without a thread it would never return */
    assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
    stop_and_close();
    pthread_join(reader, NULL);
    assert_true(said_lost > 0);
    assert_int_equal(seen + said_lost, THREADS * LINES);
    assert_true(in_order);
}

static void whoever_makes_it_non_blocking_gets_whole_lines_too(void **state)
{
    (void)state;
    pthread_t reader;
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(log_start(), 0);
    write_from_all_threads();
    assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
    stop_and_close();
    pthread_join(reader, NULL);
    assert_int_equal(seen + said_lost, THREADS * LINES);
    assert_true(in_order);
}

static void lines_that_could_not_be_written_are_told_of_when_one_can(void **state)
{
    (void)state;
    int broken[2];
    pthread_t reader;
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(broken), 0);
    close(broken[0]);
    assert_true(dup2(broken[1], STDERR_FILENO) >= 0);
    close(broken[1]);
    log_info("a line", LOG_INT("thread", 0), LOG_INT("n", 0));
    assert_int_equal(log_start(), 0);
    for (int i = 1; i < 5; i++) {
        log_info("a line", LOG_INT("thread", 0), LOG_INT("n", i));
        log_flush();
    }
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_info("a line", LOG_INT("thread", 0), LOG_INT("n", 5));
    assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
    stop_and_close();
    pthread_join(reader, NULL);
    assert_int_equal(seen, 1);
    assert_int_equal(said_lost, 5);
    assert_true(in_order);
}

static void an_end_in_order_loses_nothing(void **state)
{
    (void)state;
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, read_all, NULL), 0);
    assert_int_equal(log_start(), 0);
    for (int i = 0; i < LINES; i++) {
        if (i % 500 == 0)
            log_flush(); /* a reader that keeps up */
        log_info("a line", LOG_INT("thread", 0), LOG_INT("n", i));
    }
    log_stop();
    log_info("a line", LOG_INT("thread", 0), LOG_INT("n", LINES)); /* by itself again */
    stop_and_close();
    pthread_join(reader, NULL);
    assert_int_equal(said_lost, 0);
    assert_int_equal(seen, LINES + 1);
    assert_true(in_order);
}

static void what_led_to_an_abort_is_written_before_it(void **state)
{
    (void)state;
    char text[4096];
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (log_start() == 0) {
            for (int i = 0; i < 20; i++)
                log_info("before", LOG_INT("n", i));
            base_abort("a test");
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    const ssize_t n = read(ends[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    text[n] = '\0';
    const char *last = strstr(text, "before n=19\n");
    assert_non_null(last);
    assert_non_null(strstr(last, "must hold and does not: a test"));
    stop_and_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_led_to_an_abort_is_written_before_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whoever_does_not_read_holds_up_nobody_and_is_told_what_he_missed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(whoever_makes_it_non_blocking_gets_whole_lines_too, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lines_that_could_not_be_written_are_told_of_when_one_can, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_in_order_loses_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
