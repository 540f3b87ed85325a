/* The store on a disk that is full, or fails. LMDB's own calls into the system are made to fail: this
 * program defines them, and the library, linked to it, takes them from here. */
#include "unit.h"

#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* ---- faults: writes from the n-th on fail, `times` of them ---- */

typedef enum fault_kind { ON_ANY, ON_PAGES, ON_META, ON_SYNC, ON_OPEN } fault_kind;

static struct {
    atomic_int in, times, hits;
    atomic_int kind, error;
} fault;

static void fault_set(fault_kind kind, int in, int times, int error)
{
    atomic_store(&fault.kind, (int)kind);
    atomic_store(&fault.error, error);
    atomic_store(&fault.hits, 0);
    atomic_store(&fault.in, in);
    atomic_store(&fault.times, times);
}

static void fault_clear(void)
{
    atomic_store(&fault.times, 0);
}

static bool is_due(fault_kind kind)
{
    if (atomic_load(&fault.times) <= 0)
        return false;
    int wanted = atomic_load(&fault.kind);
    if (wanted != ON_ANY && wanted != (int)kind)
        return false;
    if (atomic_fetch_sub(&fault.in, 1) > 0)
        return false;
    atomic_fetch_sub(&fault.times, 1);
    atomic_fetch_add(&fault.hits, 1);
    errno = atomic_load(&fault.error);
    return true;
}

/* LMDB writes its two meta pages' heads in place, with one small pwrite. */
ssize_t pwrite(int fd, const void *p, size_t n, off_t at);
ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    if (is_due(at < 8192 && n < 4096 ? ON_META : ON_PAGES))
        return -1;
    return syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    return is_due(ON_PAGES) ? -1 : syscall(SYS_writev, fd, v, n);
}

int fdatasync(int fd)
{
    return is_due(ON_SYNC) ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    int mode = flags & O_CREAT ? va_arg(args, int) : 0;
    va_end(args);
    bool of_store = strstr(path, "data.mdb") != NULL;
    return of_store && is_due(ON_OPEN) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* ---- helpers ---- */

#define LARGE 3000

static int put_large(fixture *f, unsigned number)
{
    char key[24], value[LARGE];
    memset(value, (char)('a' + number % 26), sizeof(value));
    snprintf(key, sizeof(key), "large-%06u", number);
    return do_put(f, &plain, str_c(key), str_of(value, sizeof(value)));
}

static int del_large(fixture *f, unsigned number)
{
    char key[24];
    snprintf(key, sizeof(key), "large-%06u", number);
    return do_del(f, &plain, str_c(key));
}

/* The number of large records; all are whole. */
static unsigned count_large(fixture *f)
{
    store_cursor *c;
    store_item item;
    unsigned n = 0;
    store_view *v = store_read_begin(f->store);
    assert_int_equal(store_walk(v, &plain, STORE_BY_KEY, STR("large-"), STR_NULL, false, &c), 0);
    while (store_next(c, &item)) {
        assert_int_equal(item.value.n, LARGE);
        assert_int_equal(item.value.p[0], item.value.p[LARGE - 1]);
        n++;
    }
    assert_int_equal(store_cursor_error(c), 0);
    store_read_end(v);
    return n;
}

static void on_tick(timer *t)
{
    (void)t;
}

static void wait_until_writable(fixture *f)
{
    for (int i = 0; i < 1000 && !store_is_writable(f->store); i++) {
        timer t = {0};
        loop_timer_set(f->loop, &t, 10, on_tick);
        loop_run_once(f->loop, true);
        loop_timer_cancel(f->loop, &t);
    }
    assert_true(store_is_writable(f->store));
}

static uint64_t used_bytes(fixture *f)
{
    store_stats st;
    store_stats_of(f->store, &st);
    return st.used_bytes;
}

static int count_call(store_txn *t, test_op *o)
{
    (void)t;
    (void)o;
    return 0;
}

static int put_thing(store_txn *t, test_op *o)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    thing content = {'r', STR("ab"), 7, STR("rest")};
    return store_put(t, &things, str_c(o->arg), thing_value(&content, &value));
}

static bool is_there(fixture *f, const char *key)
{
    store_view *v = store_read_begin(f->store);
    bool there = store_has(v, &things, str_c(key));
    store_read_end(v);
    return there;
}

/* ---- a full map ---- */

static void a_full_map_refuses_writes_and_recovers_when_something_is_deleted(void **state)
{
    fixture *f = *state;
    unsigned n = 0;
    int r;
    for (int cycle = 0; cycle < 4; cycle++) {
        while ((r = put_large(f, n)) == 0)
            n++;
        assert_int_equal(r, -ENOSPC);
        assert_int_equal(count_large(f), n);
        assert_true(used_bytes(f) <= 7 * MIB);
        assert_true(n > 1000); /* 8 MiB less the reserve */
        assert_false(store_is_writable(f->store));
        for (unsigned i = 0; i < 200 + 200 * (unsigned)cycle; i++)
            assert_int_equal(del_large(f, --n), 0);
        assert_true(store_is_writable(f->store)); /* at once, without waiting for the next probe */
        assert_int_equal(count_large(f), n);
    }
    while (n > 0)
        assert_int_equal(del_large(f, --n), 0);
    assert_true(used_bytes(f) < MIB / 4);
}

static int put_many_large(store_txn *t, test_op *o)
{
    char key[24], value[LARGE] = {0};
    int r = 0;
    for (unsigned i = 0; i < 4000 && r == 0; i++) {
        snprintf(key, sizeof(key), "many-%05u", i);
        r = store_put(t, &plain, str_c(key), str_of(value, sizeof(value)));
    }
    (void)o;
    return r;
}

static void an_op_too_large_for_the_map_fails_alone(void **state)
{
    fixture *f = *state;
    test_op a = {0}, big = {0}, b = {0};
    char ka[] = "a", kb[] = "b";
    test_op_submit(f->store, &a, put_thing, ka);
    test_op_submit(f->store, &big, put_many_large, NULL);
    test_op_submit(f->store, &b, put_thing, kb);
    test_op_wait(f, &b);
    test_op_wait(f, &a);
    test_op_wait(f, &big);
    assert_int_equal(a.status, 0);
    assert_int_equal(big.status, -ENOSPC);
    assert_int_equal(b.status, 0);
    assert_true(store_is_writable(f->store));
    store_view *v = store_read_begin(f->store);
    assert_int_equal(store_count(v, &plain), 0);
    store_read_end(v);
}

static int del_all_large(store_txn *t, test_op *o)
{
    store_cursor *c;
    store_item item;
    (void)o;
    int r = store_walk(store_txn_view(t), &plain, STORE_BY_KEY, STR("large-"), STR_NULL, false, &c);
    if (r < 0)
        return r;
    while (r == 0 && store_next(c, &item)) {
        r = store_del(t, &plain, item.key);
        if (r == 0 && store_txn_is_full(t))
            r = STORE_MORE;
    }
    return r < 0 ? r : store_cursor_error(c) < 0 ? store_cursor_error(c) : r;
}

static void a_large_delete_finds_its_way_through_a_full_map(void **state)
{
    fixture *f = *state;
    unsigned n = 0;
    while (put_large(f, n) == 0)
        n++;
    assert_int_equal(do_op(f, STORE_FREES, del_all_large, NULL), 0);
    assert_int_equal(count_large(f), 0);
    assert_int_equal(put_large(f, 0), 0);
}

static void what_frees_is_tried_in_smaller_steps_when_there_is_no_space(void **state)
{
    fixture *f = *state;
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(put_large(f, i), 0);
    test_op del = {.op.flags = STORE_FREES};
    fault_set(ON_PAGES, 0, 2, ENOSPC); /* together with others, and alone */
    test_op_submit(f->store, &del, del_all_large, NULL);
    test_op_wait(f, &del);
    assert_int_equal(del.status, 0);
    assert_int_equal(atomic_load(&fault.hits), 2);
    assert_true(del.calls > 3); /* the two that failed; the rest is more than one small step */
    assert_int_equal(count_large(f), 0);
}

/* ---- a full disk ---- */

static void a_full_disk_refuses_writes_untried_until_there_is_space(void **state)
{
    fixture *f = *state;
    test_op refused = {0}, freeing = {.op.flags = STORE_FREES};
    char before[] = "before", during[] = "during", after[] = "after";
    assert_int_equal(do_op(f, 0, put_thing, before), 0);
    fault_set(ON_PAGES, 0, INT32_MAX, ENOSPC);
    assert_int_equal(do_op(f, 0, put_thing, during), -ENOSPC);
    assert_false(store_is_writable(f->store));
    test_op_submit(f->store, &refused, count_call, NULL);
    test_op_wait(f, &refused);
    assert_int_equal(refused.status, -ENOSPC);
    assert_int_equal(refused.calls, 0);
    test_op_submit(f->store, &freeing, count_call, NULL);
    test_op_wait(f, &freeing);
    assert_int_equal(freeing.calls, 1); /* those that free get their try */
    assert_true(is_there(f, before) && !is_there(f, during));
    fault_clear();
    wait_until_writable(f);
    assert_int_equal(do_op(f, 0, put_thing, after), 0);
    assert_true(is_there(f, after));
}

static void a_file_size_limit_is_a_full_disk(void **state)
{
    fixture *f = *state;
    struct rlimit usual, low;
    unsigned n = 0;
    int r;
    assert_int_equal(put_large(f, n++), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
    low = usual;
    low.rlim_cur = 2 * MIB;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    while ((r = put_large(f, n)) == 0)
        n++;
    assert_int_equal(r, -ENOSPC);
    assert_false(store_is_writable(f->store));
    assert_int_equal(count_large(f), n);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
    wait_until_writable(f);
    assert_int_equal(put_large(f, n++), 0);
    assert_int_equal(count_large(f), n);
}

/* ---- a failing disk ---- */

static void one_failed_sync_fails_nobody(void **state)
{
    fixture *f = *state;
    test_op ops[5] = {{.calls = 0}};
    char keys[5][4];
    fault_set(ON_SYNC, 0, 1, EIO);
    for (int i = 0; i < 5; i++) {
        snprintf(keys[i], sizeof(keys[i]), "k%d", i);
        test_op_submit(f->store, &ops[i], put_thing, keys[i]);
    }
    for (int i = 0; i < 5; i++) {
        test_op_wait(f, &ops[i]);
        assert_int_equal(ops[i].status, 0);
        assert_true(is_there(f, keys[i]));
    }
    assert_int_equal(atomic_load(&fault.hits), 1);
    assert_true(store_is_writable(f->store));
}

/* When the meta page can't be written, LMDB wants the environment closed and opened anew. */
static void a_failed_meta_page_needs_no_restart(void **state)
{
    fixture *f = *state;
    char before[] = "before", during[] = "during", after[] = "after";
    assert_int_equal(do_op(f, 0, put_thing, before), 0);
    fault_set(ON_META, 0, 1, EIO);
    assert_int_equal(do_op(f, 0, put_thing, during), 0); /* tried again */
    assert_true(atomic_load(&fault.hits) == 1);
    assert_true(is_there(f, before) && is_there(f, during));

    fault_set(ON_META, 0, INT32_MAX, ENOSPC);
    assert_int_equal(do_op(f, 0, put_thing, after) < 0, true);
    assert_false(store_is_writable(f->store));
    assert_true(is_there(f, before)); /* reads go on */
    fault_clear();
    wait_until_writable(f);
    assert_int_equal(do_op(f, 0, put_thing, after), 0);
    assert_true(is_there(f, before) && is_there(f, during) && is_there(f, after));
}

static void reopening_waits_for_the_reads_of_jobs(void **state)
{
    fixture *f = *state;
    char before[] = "before", during[] = "during";
    store_view *reader;
    str value;
    assert_int_equal(do_op(f, 0, put_thing, before), 0);
    assert_int_equal(store_read_begin_job(f->store, &reader), 0);
    fault_set(ON_META, 0, 1, EIO);
    assert_int_equal(do_op(f, 0, put_thing, during), -EIO);
    assert_false(store_is_writable(f->store));
    assert_int_equal(store_get(reader, &things, str_c(before), &value), 0); /* its snapshot lives on */
    store_read_end(reader);
    wait_until_writable(f);
    assert_int_equal(do_op(f, 0, put_thing, during), 0);
    assert_true(is_there(f, before) && is_there(f, during));
}

static void a_store_that_cannot_be_reopened_tries_again(void **state)
{
    fixture *f = *state;
    char before[] = "before", during[] = "during";
    str value;
    store_stats st;
    assert_int_equal(do_op(f, 0, put_thing, before), 0);
    fault_set(ON_META, 0, 1, EIO);
    test_op o = {0};
    test_op_submit(f->store, &o, put_thing, during);
    while (atomic_load(&fault.hits) == 0)
        continue;
    fault_set(ON_OPEN, 0, INT32_MAX, EMFILE);
    test_op_wait(f, &o);
    assert_int_equal(o.status, -EIO);
    assert_false(store_is_writable(f->store));
    store_view *v = store_read_begin(f->store), *reader;
    assert_int_equal(store_get(v, &things, str_c(before), &value), -EIO);
    assert_int_equal(store_count(v, &things), 0);
    store_read_end(v);
    assert_int_equal(store_read_begin_job(f->store, &reader), -EIO);
    assert_int_equal(store_backup(f->store, f->dir), -EMFILE);
    store_stats_of(f->store, &st);
    assert_int_equal(st.used_bytes, 0);
    fault_clear();
    wait_until_writable(f);
    assert_true(is_there(f, before));
    assert_int_equal(do_op(f, 0, put_thing, during), 0);
}

static void set_flag(void *flag)
{
    *(bool *)flag = true;
}

static void closing_a_store_that_waits_to_be_reopened(void **state)
{
    fixture *f = *state;
    char before[] = "before", during[] = "during";
    store_view *reader;
    assert_int_equal(do_op(f, 0, put_thing, before), 0);
    assert_int_equal(store_read_begin_job(f->store, &reader), 0);
    fault_set(ON_META, 0, INT32_MAX, EIO);
    test_op o = {0};
    test_op_submit(f->store, &o, put_thing, during);
    store_close(f->store, set_flag, &f->closed);
    struct timespec a_while = {.tv_nsec = 200000000}; /* the writer asks, waits in vain, and ends */
    nanosleep(&a_while, NULL);
    store_read_end(reader);
    test_op_wait(f, &o);
    turn_until(f, &f->closed);
    assert_int_equal(o.status, -EIO);
    fault_clear();
    store_options again = fixture_options;
    again.max_size = 8 * MIB;
    fixture_open(f, &again);
    assert_true(is_there(f, before) && !is_there(f, during));
}

/* Each of LMDB's writes fails in turn: what was answered as stored is there, what wasn't is not, and all
 * fits together. */
static void whichever_write_fails_answers_are_true(void **state)
{
    fixture *f = *state;
    static const int errors[] = {ENOSPC, EIO};
    for (int nth = 0, hits = 1; hits > 0; nth++) {
        char key[3][32];
        test_op ops[3] = {{.calls = 0}};
        fault_set(ON_ANY, nth, 2, errors[nth % 2]);
        for (int i = 0; i < 3; i++) {
            snprintf(key[i], sizeof(key[i]), "n%d-%d", nth, i);
            test_op_submit(f->store, &ops[i], put_thing, key[i]);
        }
        for (int i = 0; i < 3; i++)
            test_op_wait(f, &ops[i]);
        hits = atomic_load(&fault.hits);
        fault_clear();
        wait_until_writable(f);
        for (int i = 0; i < 3; i++)
            assert_int_equal(is_there(f, key[i]), ops[i].status == 0);
        assert_true(nth < 200);
    }
}

/* ---- */

static int begin(void **state)
{
    static fixture f;
    store_options o = fixture_options;
    o.max_size = 8 * MIB;
    fault_clear();
    fixture_begin(&f, &o);
    *state = &f;
    return 0;
}

static int end(void **state)
{
    fixture *f = *state;
    fault_clear();
    assert_int_equal(check_faults(f->store, NULL), 0);
    fixture_end(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_full_map_refuses_writes_and_recovers_when_something_is_deleted),
        TEST(an_op_too_large_for_the_map_fails_alone),
        TEST(a_large_delete_finds_its_way_through_a_full_map),
        TEST(what_frees_is_tried_in_smaller_steps_when_there_is_no_space),
        TEST(a_full_disk_refuses_writes_untried_until_there_is_space),
        TEST(a_file_size_limit_is_a_full_disk),
        TEST(one_failed_sync_fails_nobody),
        TEST(a_failed_meta_page_needs_no_restart),
        TEST(reopening_waits_for_the_reads_of_jobs),
        TEST(a_store_that_cannot_be_reopened_tries_again),
        TEST(closing_a_store_that_waits_to_be_reopened),
        TEST(whichever_write_fails_answers_are_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
