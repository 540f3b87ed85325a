/* Several processes, and processes that are killed. A child is forked before this process has opened
 * anything. */
#include "unit.h"

#include "store_fixture.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a child and two pipes ---- */

typedef struct child {
    pid_t pid;
    int from, to; /* our ends */
} child;

static void child_start(child *c, const char *dir, void (*life)(const char *dir, int in, int out))
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    c->pid = fork();
    assert_true(c->pid >= 0);
    if (c->pid == 0) {
        close(up[0]);
        close(down[1]);
        life(dir, down[0], up[1]);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    c->from = up[0];
    c->to = down[1];
}

static void tell(int fd, uint32_t word)
{
    if (write(fd, &word, sizeof(word)) != sizeof(word))
        _exit(9);
}

static bool hear(int fd, uint32_t *ret_word)
{
    return read(fd, ret_word, sizeof(*ret_word)) == sizeof(*ret_word);
}

/* The child's end: its exit status, or minus the signal that killed it. */
static int child_end(child *c)
{
    int status;
    close(c->from);
    close(c->to);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void child_fails(const char *what)
{
    fprintf(stderr, "child: %s\n", what);
    _exit(8);
}

static void child_fixture(fixture *f, const char *dir)
{
    *f = (fixture){0};
    snprintf(f->dir, sizeof(f->dir), "%s", dir);
    if (loop_new(clk_real(), 1, &f->loop) < 0)
        child_fails("no loop");
    store_options o = fixture_options;
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    o.dir = f->dir;
    if (store_open(&o, f->loop, &a, &f->store, NULL) < 0)
        child_fails("no store");
}

static store *open_here(const char *dir)
{
    SCOPED(arena_done)
    arena a;
    store_options o = fixture_options;
    store *s = NULL;
    str why = STR_NULL;
    arena_init(&a, 0);
    o.dir = dir;
    if (store_open(&o, NULL, &a, &s, &why) < 0)
        fail_msg("store_open: " STR_FMT, STR_ARG(why));
    return s;
}

static int apply_fn(store_txn *t, store_op *op)
{
    test_op *o = CONTAINER_OF(op, test_op, op);
    return o->fn(t, o);
}

static int run(store *s, int (*fn)(store_txn *t, test_op *o), void *arg)
{
    test_op o = {.op.apply = apply_fn, .fn = fn, .arg = arg};
    return store_run(s, &o.op);
}

/* ---- kill -9 under load ---- */

#define IN_FLIGHT 32

typedef struct write_op {
    store_op op;
    fixture *f;
    int out;
    uint32_t number;
} write_op;

static uint32_t next_number;

static void number_key(uint32_t number, char key[16])
{
    snprintf(key, 16, "n-%08x", number);
}

static int put_number(store_txn *t, store_op *op)
{
    const write_op *w = CONTAINER_OF(op, write_op, op);
    SCOPED(buf_done)
    buf value = BUF_INIT;
    char key[16], rest[300];
    memset(rest, (char)w->number, sizeof(rest));
    thing content = {(char)('a' + w->number % 3), STR("pq"), w->number, str_of(rest, sizeof(rest))};
    number_key(w->number, key);
    return store_put(t, &things, str_c(key), thing_value(&content, &value));
}

static void on_stored(store_op *op, int status)
{
    write_op *w = CONTAINER_OF(op, write_op, op);
    if (status < 0)
        child_fails("a write failed");
    tell(w->out, w->number);
    w->number = next_number++;
    store_submit(w->f->store, &w->op);
}

static void write_for_ever(const char *dir, int in, int out)
{
    fixture f;
    write_op w[IN_FLIGHT];
    if (!hear(in, &next_number))
        _exit(7);
    child_fixture(&f, dir);
    for (size_t i = 0; i < IN_FLIGHT; i++) {
        w[i] = (write_op){.op = {.apply = put_number, .done = on_stored}, .f = &f, .out = out};
        w[i].number = next_number++;
        store_submit(f.store, &w[i].op);
    }
    for (;;)
        loop_run_once(f.loop, true);
}

static void what_was_answered_survives_a_kill(void **state)
{
    const char *dir = *state;
    static bool acknowledged[1 << 20];
    uint32_t from = 0, number, total = 0;
    for (int round = 0; round < 5; round++) {
        child c;
        uint32_t wanted = 200 + (uint32_t)round * 317, heard = 0;
        child_start(&c, dir, write_for_ever);
        tell(c.to, from);
        while (hear(c.from, &number)) {
            assert_true(number < COUNT_OF(acknowledged));
            acknowledged[number] = true;
            if (++heard == wanted)
                kill(c.pid, SIGKILL);
            from = number >= from ? number + IN_FLIGHT : from;
        }
        assert_int_equal(child_end(&c), -SIGKILL);
        assert_true(heard >= wanted);
        total += heard;

        store *s = open_here(dir);
        store_view *v = store_read_begin(s);
        uint32_t found = 0;
        for (uint32_t i = 0; i < from; i++) {
            char key[16];
            number_key(i, key);
            found += acknowledged[i];
            if (acknowledged[i] && !store_has(v, &things, str_c(key)))
                fail_msg("%u was answered and is not there", i);
        }
        assert_int_equal(found, total);
        assert_true(store_count(v, &things) <= total + (uint32_t)(round + 1) * IN_FLIGHT);
        store_read_end(v);
        assert_int_equal(check_faults(s, NULL), 0);
        store_close(s, NULL, NULL);
    }
}

/* ---- a command-line process beside a server ---- */

static int add_one(store_txn *t, test_op *o)
{
    str value;
    (void)o;
    int r = store_get(store_txn_view(t), &plain, STR("counter"), &value);
    unsigned n = r == 0 ? (unsigned char)value.p[0] + 256u * (unsigned char)value.p[1] : 0;
    char next[2] = {(char)(n + 1), (char)((n + 1) / 256)};
    return r < 0 && r != -ENOENT ? r : store_put(t, &plain, STR("counter"), str_of(next, 2));
}

/* Adds as often as it is told, then goes on until it reads the word "stop" that the other process writes. */
static void serve_and_count(const char *dir, int in, int out)
{
    fixture f;
    uint32_t times;
    child_fixture(&f, dir);
    tell(out, 1);
    if (!hear(in, &times))
        _exit(7);
    for (uint32_t i = 0; i < times; i++)
        if (do_op(&f, 0, add_one, NULL) < 0)
            child_fails("adding");
    for (bool stop = false; !stop;) {
        store_view *v = store_read_begin(f.store);
        stop = store_has(v, &plain, STR("stop"));
        store_read_end(v);
    }
    fixture_close(&f);
    loop_free(f.loop);
    tell(out, 2);
}

static int put_stop(store_txn *t, test_op *o)
{
    (void)o;
    return store_put(t, &plain, STR("stop"), STR("1"));
}

static void two_processes_take_turns_and_see_each_other(void **state)
{
    const char *dir = *state;
    child c;
    uint32_t word;
    str value;
    child_start(&c, dir, serve_and_count);
    assert_true(hear(c.from, &word));
    store *s = open_here(dir);
    tell(c.to, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(run(s, add_one, NULL), 0);
    store_view *v = store_read_begin(s);
    uint64_t before = store_generation(v, &plain);
    store_read_end(v);
    assert_int_equal(run(s, put_stop, NULL), 0);
    assert_true(hear(c.from, &word)); /* it has read it */
    assert_int_equal(word, 2);
    v = store_read_begin(s);
    assert_int_equal(store_get(v, &plain, STR("counter"), &value), 0);
    assert_int_equal((unsigned char)value.p[0] + 256 * (unsigned char)value.p[1], 600);
    assert_true(store_generation(v, &plain) > before);
    assert_int_equal(store_generation(v, &plain), 601);
    store_read_end(v);
    store_close(s, NULL, NULL);
    assert_int_equal(child_end(&c), 0);
}

static void an_upgrade_is_refused_while_a_server_runs(void **state)
{
    const char *dir = *state;
    SCOPED(arena_done)
    arena a;
    store_options o = fixture_options;
    store *s;
    str why = STR_NULL;
    child c;
    uint32_t word;
    arena_init(&a, 0);
    s = open_here(dir);
    write_op w = {.number = 5};
    w.op.apply = put_number;
    assert_int_equal(store_run(s, &w.op), 0);
    store_close(s, NULL, NULL);

    child_start(&c, dir, serve_and_count);
    assert_true(hear(c.from, &word));
    o.dir = dir;
    things.emit_version = 2;
    assert_int_equal(store_open(&o, NULL, &a, &s, &why), -EBUSY);
    assert_true(str_find(why, STR("a server has it open")) >= 0);
    things.emit_version = 1;
    s = open_here(dir); /* without an upgrade it may */
    assert_int_equal(run(s, put_stop, NULL), 0);
    store_close(s, NULL, NULL);
    tell(c.to, 0);
    assert_true(hear(c.from, &word));
    assert_int_equal(child_end(&c), 0);
}

/* ---- a process that dies in the middle of a write ---- */

static int put_and_die(store_txn *t, test_op *o)
{
    (void)o;
    store_put(t, &plain, STR("half"), STR("1"));
    kill(getpid(), SIGKILL);
    return 0;
}

static void write_and_die(const char *dir, int in, int out)
{
    uint32_t word;
    SCOPED(arena_done)
    arena a;
    store_options o = fixture_options;
    store *s;
    arena_init(&a, 0);
    o.dir = dir;
    tell(out, 1);
    if (!hear(in, &word) || store_open(&o, NULL, &a, &s, NULL) < 0)
        _exit(7);
    store_view *v = store_read_begin(s); /* and in the middle of a read */
    (void)v;
    run(s, put_and_die, NULL);
}

static void a_writer_that_dies_holds_nobody_up(void **state)
{
    const char *dir = *state;
    child c;
    uint32_t word;
    fixture f = {0};
    child_start(&c, dir, write_and_die);
    assert_true(hear(c.from, &word));
    snprintf(f.dir, sizeof(f.dir), "%s", dir);
    assert_int_equal(loop_new(clk_real(), 1, &f.loop), 0);
    fixture_open(&f, NULL);
    assert_int_equal(do_op(&f, 0, add_one, NULL), 0);
    tell(c.to, 1);
    assert_false(hear(c.from, &word));
    assert_int_equal(child_end(&c), -SIGKILL);
    assert_int_equal(do_op(&f, 0, add_one, NULL), 0);
    store_view *v = store_read_begin(f.store);
    assert_false(store_has(v, &plain, STR("half")));
    store_read_end(v);
    fixture_close(&f);
    loop_free(f.loop);
}

static int begin(void **state)
{
    static char dir[64];
    scratch_folder(dir);
    *state = dir;
    return 0;
}

static int end(void **state)
{
    remove_folder(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_answered_survives_a_kill),
        TEST(two_processes_take_turns_and_see_each_other),
        TEST(an_upgrade_is_refused_while_a_server_runs),
        TEST(a_writer_that_dies_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
