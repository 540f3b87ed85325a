/* Watches on real folders under a fake clock: what counts, when it is told, and how a watch ends. */
#include "unit.h"

#include "larder/loop.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
    fake_clk clock;
    loop *l;
    char folder[32];
    folder_watch w;
    unsigned seen, told, closed; /* entries that is_relevant was asked for; on_change; on_closed */
    bool closes_when_told;
} fixture;

static fixture *of(folder_watch *w)
{
    return CONTAINER_OF(w, fixture, w);
}

static bool is_relevant(folder_watch *w, str name)
{
    of(w)->seen++;
    return !str_ends(name, STR("~"));
}

static void on_change(folder_watch *w)
{
    of(w)->told++;
    if (of(w)->closes_when_told)
        loop_watch_close(w);
}

static void on_closed(folder_watch *w)
{
    of(w)->closed++;
    assert_null(w->impl);
}

static int set_up(void **state)
{
    fixture *f = mem_new(fixture);
    fake_clk_init(&f->clock, 1700000000000);
    assert_int_equal(loop_new(&f->clock.base, 2, &f->l), 0);
    snprintf(f->folder, sizeof(f->folder), "/tmp/larder-watch-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->w = (folder_watch){.is_relevant = is_relevant, .on_change = on_change, .on_closed = on_closed};
    *state = f;
    return 0;
}

static void end_watch(fixture *f)
{
    loop_watch_close(&f->w);
    while (f->w.impl)
        loop_run_once(f->l, false);
}

static int tear_down(void **state)
{
    fixture *f = *state;
    end_watch(f);
    char path[64];
    for (char name[] = "a"; name[0] <= 'z'; name[0]++) {
        snprintf(path, sizeof(path), "%s/%s", f->folder, name);
        remove(path);
        snprintf(path, sizeof(path), "%s/%s~", f->folder, name);
        remove(path);
    }
    rmdir(f->folder);
    loop_free(f->l);
    mem_free(f);
    return 0;
}

static void write_file(fixture *f, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_APPEND, 0644);
    assert_true(fd >= 0 && write(fd, "x", 1) == 1);
    close(fd);
}

/* Turns until the watch has been asked about what has just happened. */
static void wait_for_events(fixture *f)
{
    unsigned before = f->seen;
    while (f->seen == before)
        loop_run_once(f->l, true);
    loop_run_once(f->l, false); /* those that came with it */
}

static void advance(fixture *f, int64_t ms)
{
    fake_clk_advance(&f->clock, ms);
    loop_run_once(f->l, false);
}

static void a_change_is_told_once_when_things_are_quiet(void **state)
{
    fixture *f = *state;
    assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
    write_file(f, "a");
    write_file(f, "b");
    wait_for_events(f);
    assert_int_equal(f->told, 0);
    advance(f, LOOP_WATCH_QUIET_MS - 1);
    assert_int_equal(f->told, 0);
    write_file(f, "a"); /* begins the wait anew */
    wait_for_events(f);
    advance(f, LOOP_WATCH_QUIET_MS - 1);
    assert_int_equal(f->told, 0);
    advance(f, 1);
    assert_int_equal(f->told, 1);
    advance(f, 10 * LOOP_WATCH_QUIET_MS);
    assert_int_equal(f->told, 1);

    write_file(f, "c");
    wait_for_events(f);
    advance(f, LOOP_WATCH_QUIET_MS);
    assert_int_equal(f->told, 2);
}

static void changes_that_never_end_are_told_all_the_same(void **state)
{
    fixture *f = *state;
    assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
    int64_t passed = 0;
    for (; f->told == 0 && passed < 10 * LOOP_WATCH_LATEST_MS; passed += 50) {
        write_file(f, "a");
        wait_for_events(f);
        advance(f, 50);
    }
    assert_int_equal(f->told, 1);
    assert_int_equal(passed, LOOP_WATCH_LATEST_MS);
}

static void entries_that_do_not_count_are_not_told(void **state)
{
    fixture *f = *state;
    assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
    write_file(f, "a~");
    wait_for_events(f);
    advance(f, LOOP_WATCH_LATEST_MS);
    assert_int_equal(f->told, 0);
}

static void what_comes_goes_and_is_renamed_counts(void **state)
{
    fixture *f = *state;
    char from[64], to[64];
    snprintf(from, sizeof(from), "%s/a", f->folder);
    snprintf(to, sizeof(to), "%s/b", f->folder);
    assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
    mkdir(from, 0755);
    wait_for_events(f);
    rename(from, to);
    wait_for_events(f);
    rmdir(to);
    wait_for_events(f);
    advance(f, LOOP_WATCH_QUIET_MS);
    assert_int_equal(f->told, 1);
}

static void where_only_names_count_what_is_written_does_not(void **state)
{
    fixture *f = *state;
    write_file(f, "a");
    f->w.only_names = true;
    assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
    write_file(f, "a");
    write_file(f, "b~"); /* comes, and is written */
    wait_for_events(f);
    assert_int_equal(f->seen, 1);
    assert_int_equal(f->told, 0);
    write_file(f, "c");
    wait_for_events(f);
    advance(f, LOOP_WATCH_QUIET_MS);
    assert_int_equal(f->told, 1);
}

static void the_end_of_the_folder_itself_is_told(void **state)
{
    fixture *f = *state;
    assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
    rmdir(f->folder);
    wait_for_events(f);
    advance(f, LOOP_WATCH_QUIET_MS);
    assert_int_equal(f->told, 1);
}

static void nothing_is_told_after_close_which_ends_once(void **state)
{
    fixture *f = *state;
    assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
    write_file(f, "a");
    wait_for_events(f);
    loop_watch_close(&f->w);
    loop_watch_close(&f->w);
    assert_int_equal(f->closed, 0);
    write_file(f, "b");
    advance(f, LOOP_WATCH_LATEST_MS);
    end_watch(f);
    assert_int_equal(f->told, 0);
    assert_int_equal(f->closed, 1);
    loop_watch_close(&f->w);
    assert_int_equal(f->closed, 1);
}

static void a_watch_may_be_closed_while_it_tells_and_set_anew(void **state)
{
    fixture *f = *state;
    f->closes_when_told = true;
    for (unsigned round = 1; round <= 2; round++) {
        assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
        write_file(f, "a");
        wait_for_events(f);
        advance(f, LOOP_WATCH_QUIET_MS);
        while (f->w.impl)
            loop_run_once(f->l, false);
        assert_int_equal(f->told, round);
        assert_int_equal(f->closed, round);
    }
}

static void a_folder_that_is_not_there_is_an_error(void **state)
{
    fixture *f = *state;
    assert_int_equal(loop_watch(f->l, &f->w, "/tmp/larder-watch-missing/x"), -ENOENT);
    assert_null(f->w.impl);
    loop_run_once(f->l, false);
    assert_int_equal(f->closed, 0);
}

static void out_of_memory_is_reported(void **state)
{
    fixture *f = *state;
    for (long nth = 0; unit_next_fault(&nth);) {
        int r = loop_watch(f->l, &f->w, f->folder);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        end_watch(f);
    }
}

/* The first watch of a loop needs a file descriptor for events. */
static void without_events_the_folder_is_polled(void **state)
{
    fixture *f = *state;
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int next = dup(0);
    close(next);
    struct rlimit few = {(rlim_t)next, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int r = loop_watch(f->l, &f->w, f->folder);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(r, 0);

    for (char name[] = "a"; f->told == 0 && name[0] <= 'z'; name[0]++) { /* one of them comes after the first look */
        write_file(f, name);
        loop_run_once(f->l, true);
        advance(f, LOOP_WATCH_LATEST_MS);
    }
    assert_int_equal(f->told, 1);
    assert_int_equal(f->seen, 0); /* names are not known */
}

static void watches_are_bounded(void **state)
{
    fixture *f = *state;
    struct rlimit old;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int next = dup(0);
    close(next);
    struct rlimit few = {(rlim_t)next, old.rlim_max};
    static fixture many[LOOP_POLLS_MAX + 1];
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    int r = 0;
    size_t n = 0;
    for (; n < COUNT_OF(many) && r == 0; n += r == 0) {
        many[n].w = f->w;
        r = loop_watch(f->l, &many[n].w, f->folder);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(r, -ENOSPC);
    assert_int_equal(n, LOOP_POLLS_MAX);
    for (size_t i = 0; i < n; i++) {
        many[i].l = f->l;
        end_watch(&many[i]);
    }
    assert_int_equal(loop_watch(f->l, &f->w, f->folder), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_told_once_when_things_are_quiet),
        TEST(changes_that_never_end_are_told_all_the_same),
        TEST(entries_that_do_not_count_are_not_told),
        TEST(what_comes_goes_and_is_renamed_counts),
        TEST(where_only_names_count_what_is_written_does_not),
        TEST(the_end_of_the_folder_itself_is_told),
        TEST(nothing_is_told_after_close_which_ends_once),
        TEST(a_watch_may_be_closed_while_it_tells_and_set_anew),
        TEST(a_folder_that_is_not_there_is_an_error),
        TEST(out_of_memory_is_reported),
        TEST(without_events_the_folder_is_polled),
        TEST(watches_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
