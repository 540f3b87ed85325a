/* Unique parts of keys: whatever is put, deleted, dropped with its transaction, or written by another process, the
 * record that has them is found, and no other. */
#include "unit.h"

#include "store_fixture.h"

#include <sys/wait.h>
#include <unistd.h>

/* A parcel's key: shelf (1 byte), number (2), place on the shelf (1), colour (1). Number and colour are unique. */
#define KEY_N 5
#define NUMBERS 600
#define COLOURS 2
static keyspace parcels = {.name = "parcels", .unique = {KEY_N, {{1, 2}, {4, 1}}}};
static keyspace *const keyspaces[] = {&parcels};
static const store_options options = {
    .max_size = 32 * MIB, .keyspaces = keyspaces, .n_keyspaces = 1, .schema_version = 1, .probe_ms = 20};

typedef struct parcel {
    char key[KEY_N];
} parcel;

static parcel parcel_of(unsigned number, unsigned colour, unsigned where)
{
    return (parcel){{(char)(where >> 8), (char)(number >> 8), (char)number, (char)where, (char)colour}};
}

static str key_of(const parcel *p)
{
    return str_of(p->key, KEY_N);
}

/* ---- a model, and changes that are drawn by chance ---- */
typedef struct model {
    int where[NUMBERS][COLOURS]; /* -1: it is not there */
} model;

static void model_clear(model *m)
{
    memset(m->where, -1, sizeof(m->where));
}

typedef struct changes {
    test_op op;
    uint64_t seed;
    unsigned n;
    bool fails; /* when all has been written */
    model *m;   /* what the op finds, and leaves behind it where it doesn't fail */
} changes;

static uint64_t draw(uint64_t *seed, uint64_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % n;
}

/* -ENOMEM, if anything. */
static int must_be_found(store_txn *t, const model *m, unsigned number, unsigned colour)
{
    const parcel asked = parcel_of(number, colour, 0xffff);
    const int where = m->where[number][colour];
    str found;
    const int r = store_find_unique(t, &parcels, key_of(&asked), &found);
    if (r == -ENOMEM)
        return r;
    assert_int_equal(r, where < 0 ? -ENOENT : 0);
    if (where >= 0) {
        const parcel wanted = parcel_of(number, colour, (unsigned)where);
        assert_true(str_eq(found, key_of(&wanted)));
    }
    return 0;
}

static int change_one(store_txn *t, model *m, uint64_t *seed)
{
    const unsigned number = (unsigned)draw(seed, NUMBERS), colour = (unsigned)draw(seed, COLOURS);
    int *where = &m->where[number][colour];
    const unsigned there = (unsigned)draw(seed, 3000);
    int r = draw(seed, 2) ? must_be_found(t, m, number, colour) : 0;
    if (r < 0)
        return r;
    if (*where >= 0) {
        const parcel old = parcel_of(number, colour, (unsigned)*where);
        r = store_del(t, &parcels, key_of(&old));
        if (r < 0)
            return r;
        *where = -1;
        if (draw(seed, 3) == 0)
            return 0;
    }
    const parcel new = parcel_of(number, colour, there);
    *where = (int)there;
    return store_put(t, &parcels, key_of(&new), STR("x"));
}

/* The model changes with it; a failed one is not the model's. */
static int change_some(store_txn *t, test_op *o)
{
    changes *c = CONTAINER_OF(o, changes, op);
    uint64_t seed = c->seed;
    model after = *c->m;
    int r = 0;
    c->m[1] = *c->m;
    for (unsigned i = 0; r == 0 && i < c->n; i++)
        r = change_one(t, &after, &seed);
    if (r == 0 && c->fails)
        r = -EDOM;
    if (r == 0)
        c->m[1] = after;
    return r;
}

static int compare_all(store_txn *t, test_op *o)
{
    const model *m = o->arg;
    size_t n = 0;
    for (unsigned number = 0; number < NUMBERS; number++)
        for (unsigned colour = 0; colour < COLOURS; colour++) {
            assert_int_equal(must_be_found(t, m, number, colour), 0);
            n += m->where[number][colour] >= 0;
        }
    assert_int_equal(store_count(store_txn_view(t), &parcels), n);
    return 0;
}

/* Ops that share a transaction, of which some fail after they have written, see what those before them left. */
static void what_is_unique_is_found_whatever_comes_and_fails(void **state)
{
    enum { OPS = 8, ROUNDS = 300 };
    static model states[OPS + 1];
    static changes ops[OPS];
    fixture *f = *state;
    uint64_t seed = 1;
    model_clear(&states[0]);
    for (unsigned round = 0; round < ROUNDS; round++) {
        const unsigned n = 1 + (unsigned)draw(&seed, OPS);
        for (unsigned i = 0; i < n; i++) {
            ops[i] = (changes){.seed = draw(&seed, UINT32_MAX),
                               .n = 1 + (unsigned)draw(&seed, 40),
                               .fails = draw(&seed, 5) == 0,
                               .m = &states[i]};
        }
        for (unsigned i = 0; i < n; i++)
            test_op_submit(f->store, &ops[i].op, change_some, NULL);
        for (unsigned i = 0; i < n; i++) {
            test_op_wait(f, &ops[i].op);
            assert_int_equal(ops[i].op.status, ops[i].fails ? -EDOM : 0);
        }
        states[0] = states[n];
        if (round % 50 == 49) {
            fixture_close(f);
            fixture_open(f, &options);
        }
        assert_int_equal(do_op(f, 0, compare_all, &states[0]), 0);
    }
    assert_int_equal(check_faults(f->store, NULL), 0);
}

/* ---- growing and shrinking ---- */
typedef struct span {
    unsigned from, to;
    bool puts;
} span;

static int change_span(store_txn *t, test_op *o)
{
    const span *s = o->arg;
    int r = 0;
    for (unsigned i = s->from; r == 0 && i < s->to; i++) {
        const parcel p = parcel_of(i, 0, 7);
        r = s->puts ? store_put(t, &parcels, key_of(&p), STR("x")) : store_del(t, &parcels, key_of(&p));
    }
    return r;
}

static int find_span(store_txn *t, test_op *o)
{
    const span *s = o->arg;
    for (unsigned i = 0; i < 60000; i += 7) {
        const parcel p = parcel_of(i, 0, 0);
        str found;
        assert_int_equal(store_find_unique(t, &parcels, key_of(&p), &found), i >= s->from && i < s->to ? 0 : -ENOENT);
    }
    return 0;
}

static void many_come_and_go(void **state)
{
    fixture *f = *state;
    assert_int_equal(do_op(f, 0, find_span, &(span){0}), 0);
    assert_int_equal(do_op(f, 0, change_span, &(span){0, 60000, true}), 0);
    assert_int_equal(do_op(f, 0, find_span, &(span){0, 60000, true}), 0);
    for (unsigned to = 60000; to > 0; to /= 3)
        assert_int_equal(do_op(f, 0, change_span, &(span){to / 3, to, false}), 0);
    assert_int_equal(do_op(f, 0, find_span, &(span){0}), 0);
}

/* ---- what is refused ---- */
static int put_a_second_one(store_txn *t, test_op *o)
{
    const parcel first = parcel_of(1, 1, 10), second = parcel_of(1, 1, 11);
    str found;
    (void)o;
    assert_int_equal(store_find_unique(t, &parcels, key_of(&first), &found), -ENOENT);
    assert_int_equal(store_put(t, &parcels, key_of(&first), STR("x")), 0);
    assert_int_equal(store_put(t, &parcels, key_of(&first), STR("y")), 0); /* the same record */
    return store_put(t, &parcels, key_of(&second), STR("x"));
}

static int put_a_short_key(store_txn *t, test_op *o)
{
    str found;
    (void)o;
    assert_int_equal(store_find_unique(t, &parcels, STR("abc"), &found), -EINVAL);
    return store_put(t, &parcels, STR("abc"), STR("x"));
}

static void a_second_one_and_keys_of_another_length_are_refused(void **state)
{
    fixture *f = *state;
    assert_int_equal(do_op(f, 0, put_a_second_one, NULL), -EPROTO);
    assert_int_equal(do_op(f, 0, put_a_short_key, NULL), -EINVAL);
    model none;
    model_clear(&none);
    assert_int_equal(do_op(f, 0, compare_all, &none), 0);
}

/* While nobody has looked for any, nothing says that a second one comes. */
static int put_two(store_txn *t, test_op *o)
{
    const parcel first = parcel_of(1, 1, 10), second = parcel_of(1, 1, 11);
    (void)o;
    const int r = store_put(t, &parcels, key_of(&first), STR("x"));
    return r < 0 ? r : store_put(t, &parcels, key_of(&second), STR("x"));
}

static void check_names_what_is_there_twice(void **state)
{
    fixture *f = *state;
    buf lines = BUF_INIT;
    assert_int_equal(do_op(f, 0, put_two, NULL), 0);
    assert_int_equal(check_faults(f->store, &lines), 1);
    assert_true(str_find(buf_view(&lines), STR("another record has the unique part of")) >= 0);
    buf_done(&lines);
    assert_int_equal(do_op(f, 0, change_span, &(span){0}), 0);
    const parcel first = parcel_of(1, 1, 10), second = parcel_of(1, 1, 11);
    assert_int_equal(do_del(f, &parcels, key_of(&second)), 0); /* and the first one is found still */
    model m;
    model_clear(&m);
    m.where[1][1] = 10;
    assert_int_equal(do_op(f, 0, compare_all, &m), 0);
    assert_int_equal(do_del(f, &parcels, key_of(&first)), 0);
}

/* ---- without memory ---- */
static void each_failed_allocation_leaves_it_right(void **state)
{
    static model states[2];
    fixture *f = *state;
    bool hit = true;
    long round = 0;
    model_clear(&states[0]);
    for (uint64_t seed = 1; hit; seed++, round++) {
        changes c = {.seed = seed, .n = 900, .m = states};
        fixture_close(f); /* so that the table is made anew */
        fixture_open(f, &options);
        mem_fail_at(round);
        test_op_submit(f->store, &c.op, change_some, NULL);
        test_op_wait(f, &c.op);
        hit = mem_failed();
        mem_fail_at(-1);
        assert_true(c.op.status == 0 || (hit && c.op.status == -ENOMEM));
        if (c.op.status == 0)
            states[0] = states[1];
        assert_int_equal(do_op(f, 0, compare_all, &states[0]), 0);
    }
    assert_true(round > 3);
}

/* ---- another process ---- */
static int move_one(store_txn *t, store_op *op)
{
    const parcel old = parcel_of(3, 0, 1), new = parcel_of(3, 0, 2);
    (void)op;
    const int r = store_del(t, &parcels, key_of(&old));
    return r < 0 ? r : store_put(t, &parcels, key_of(&new), STR("x"));
}

static int write_beside(const char *dir)
{
    store_options o = options;
    store *s = NULL;
    store_op op = {.apply = move_one};
    o.dir = dir;
    int r = store_open(&o, NULL, NULL, &s, NULL);
    if (r == 0)
        r = store_run(s, &op);
    if (s)
        store_close(s, NULL, NULL);
    return r;
}

static void what_another_process_has_moved_is_found_where_it_is(void **state)
{
    static model m;
    fixture f;
    int way[2];
    char go = 0;
    (void)state;
    assert_int_equal(pipe(way), 0);
    scratch_folder(f.dir);
    const pid_t pid = fork();
    if (pid == 0) { /* once the table is there */
        (void)close(way[1]);
        _exit(read(way[0], &go, 1) == 1 && write_beside(f.dir) == 0 ? 0 : 1);
    }
    char dir[64];
    memcpy(dir, f.dir, sizeof(dir));
    f = (fixture){0};
    memcpy(f.dir, dir, sizeof(dir));
    store_options o = options;
    o.dir = dir;
    assert_int_equal(loop_new(clk_real(), 1, &f.loop), 0);
    fixture_open(&f, &o);
    model_clear(&m);
    assert_int_equal(do_op(&f, 0, change_span, &(span){0}), 0);
    const parcel one = parcel_of(3, 0, 1);
    assert_int_equal(do_put(&f, &parcels, key_of(&one), STR("x")), 0);
    m.where[3][0] = 1;
    assert_int_equal(do_op(&f, 0, compare_all, &m), 0);
    int status;
    assert_int_equal(write(way[1], &go, 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    m.where[3][0] = 2;
    assert_int_equal(do_op(&f, 0, compare_all, &m), 0);
    fixture_end(&f);
}

static int begin(void **state)
{
    static fixture f;
    fixture_begin(&f, &options);
    *state = &f;
    return 0;
}

static int end(void **state)
{
    fixture_end(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_process_has_moved_is_found_where_it_is), /* it forks: before any thread */
        cmocka_unit_test_setup_teardown(what_is_unique_is_found_whatever_comes_and_fails, begin, end),
        cmocka_unit_test_setup_teardown(many_come_and_go, begin, end),
        cmocka_unit_test_setup_teardown(a_second_one_and_keys_of_another_length_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(check_names_what_is_there_twice, begin, end),
        cmocka_unit_test_setup_teardown(each_failed_allocation_leaves_it_right, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
