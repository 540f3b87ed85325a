/* What is read, and what may be written: snapshots, generations, limits of keys and values, emitters that
 * break the rules, lack of memory. */
#include "unit.h"

#include "store_fixture.h"

static char A[] = "a", B[] = "b";

static int put_thing(store_txn *t, test_op *o)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    thing content = {'r', STR("xy"), 40, STR("rest")};
    return store_put(t, &things, str_c(o->arg), thing_value(&content, &value));
}

static bool has(store_view *v, const char *key)
{
    return store_has(v, &things, str_c(key));
}

/* ---- snapshots ---- */

static void a_scope_sees_what_was_committed_when_it_began(void **state)
{
    fixture *f = *state;
    store_view *outer = store_read_begin(f->store);
    assert_int_equal(do_op(f, 0, put_thing, A), 0);
    assert_false(has(outer, A));
    store_view *inner = store_read_begin(f->store); /* nested: the same */
    assert_false(has(inner, A));
    store_read_end(inner);
    assert_false(has(outer, A));
    store_read_end(outer);
    outer = store_read_begin(f->store);
    assert_true(has(outer, A));
    store_read_end(outer);
}

static void a_job_reads_its_own_snapshot(void **state)
{
    fixture *f = *state;
    store_view *reader, *later;
    store_cursor *c;
    store_item item;
    assert_int_equal(store_read_begin_job(f->store, &reader), 0);
    assert_int_equal(do_op(f, 0, put_thing, A), 0);
    assert_int_equal(store_read_begin_job(f->store, &later), 0);
    assert_false(has(reader, A));
    assert_true(has(later, A));
    mem_fail_at(0);
    store_view *none;
    assert_int_equal(store_read_begin_job(f->store, &none), -ENOMEM);
    mem_fail_at(-1);
    assert_int_equal(store_walk(reader, &things, BY_WORD, STR_NULL, STR_NULL, false, &c), 0);
    assert_false(store_next(c, &item));
    assert_int_equal(store_walk(later, &things, BY_WORD, STR_NULL, STR_NULL, false, &c), 0);
    assert_true(store_next(c, &item)); /* the cursors end with their views */
    store_read_end(reader);
    store_read_end(later);
}

static int look_while_writing(store_txn *t, test_op *o)
{
    store_view *v = store_txn_view(t);
    int r = put_thing(t, o);
    assert_true(has(v, o->arg));
    assert_int_equal(store_count(v, &things), 1);
    assert_int_equal(store_tally(v, &things, STR("words")), 2);
    assert_int_equal(store_generation(v, &things), 1);
    r = r < 0 ? r : store_del(t, &things, str_c(o->arg));
    assert_int_equal(store_tally(v, &things, STR("words")), 0);
    assert_false(has(v, o->arg));
    return r;
}

static void an_op_sees_its_own_writes(void **state)
{
    assert_int_equal(do_op(*state, 0, look_while_writing, A), 0);
}

static int copy_within(store_txn *t, test_op *o)
{
    str value;
    (void)o;
    int r = store_get(store_txn_view(t), &plain, STR("from"), &value);
    if (r == 0)
        r = store_put(t, &plain, STR("from"), str_from(value, 100)); /* the value itself, cut: its place moves */
    if (r == 0)
        r = store_get(store_txn_view(t), &plain, STR("from"), &value);
    if (r == 0)
        r = store_put(t, &plain, STR("fran"), value);
    return r;
}

static void a_value_of_the_view_may_be_put(void **state)
{
    fixture *f = *state;
    char bytes[1000];
    str got;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7 + i / 256);
    assert_int_equal(do_put(f, &plain, STR("from"), str_of(bytes, sizeof(bytes))), 0);
    assert_int_equal(do_put(f, &plain, STR("front"), STR("a neighbour")), 0);
    assert_int_equal(do_op(f, 0, copy_within, NULL), 0);
    store_view *v = store_read_begin(f->store);
    assert_int_equal(store_get(v, &plain, STR("fran"), &got), 0);
    assert_true(str_eq(got, str_of(bytes + 100, sizeof(bytes) - 100)));
    assert_int_equal(store_get(v, &plain, STR("from"), &got), 0);
    assert_true(str_eq(got, str_of(bytes + 100, sizeof(bytes) - 100)));
    store_read_end(v);
}

/* ---- generations ---- */

static uint64_t generation(fixture *f, const keyspace *ks)
{
    store_view *v = store_read_begin(f->store);
    uint64_t g = store_generation(v, ks);
    store_read_end(v);
    return g;
}

static int put_thing_then_fail(store_txn *t, test_op *o)
{
    int r = put_thing(t, o);
    return r < 0 ? r : -EPERM;
}

static void a_generation_changes_with_its_keyspace_and_only_then(void **state)
{
    fixture *f = *state;
    uint64_t g = generation(f, &things), p = generation(f, &plain);
    assert_int_equal(do_op(f, 0, put_thing, A), 0);
    assert_true(generation(f, &things) > g);
    assert_int_equal(generation(f, &plain), p);
    g = generation(f, &things);

    assert_int_equal(do_op(f, 0, put_thing, A), 0); /* what is there already */
    assert_int_equal(do_del(f, &things, STR("not there")), -ENOENT);
    assert_int_equal(do_op(f, 0, put_thing_then_fail, B), -EPERM);
    assert_int_equal(do_put(f, &plain, STR("p"), STR("1")), 0);
    assert_int_equal(generation(f, &things), g);
    assert_true(generation(f, &plain) > p);

    store_view *v = store_read_begin(f->store); /* and belongs to the snapshot */
    assert_int_equal(do_op(f, 0, put_thing, B), 0);
    assert_int_equal(store_generation(v, &things), g);
    store_read_end(v);
    assert_true(generation(f, &things) > g);
    g = generation(f, &things);

    fixture_close(f);
    fixture_open(f, NULL);
    assert_int_equal(generation(f, &things), g);
    assert_int_equal(do_del(f, &things, str_c(A)), 0);
    assert_true(generation(f, &things) > g);
}

/* ---- limits ---- */

static void keys_and_values_have_limits(void **state)
{
    fixture *f = *state;
    static char big[STORE_VALUE_MAX + 1];
    char key[STORE_KEY_MAX + 1];
    str got;
    memset(key, 'k', sizeof(key));
    assert_int_equal(do_put(f, &plain, STR(""), STR("x")), -EINVAL);
    assert_int_equal(do_put(f, &plain, str_of(key, STORE_KEY_MAX + 1), STR("x")), -EINVAL);
    assert_int_equal(do_put(f, &plain, str_of(key, STORE_KEY_MAX), STR("")), 0);
    assert_int_equal(do_put(f, &plain, STR("big"), str_of(big, STORE_VALUE_MAX + 1)), -EFBIG);
    assert_int_equal(do_put(f, &plain, STR("big"), str_of(big, STORE_VALUE_MAX)), 0);
    assert_int_equal(do_del(f, &plain, STR("")), -ENOENT);
    assert_int_equal(do_del(f, &plain, str_of(key, STORE_KEY_MAX + 1)), -ENOENT);

    store_view *v = store_read_begin(f->store);
    assert_int_equal(store_get(v, &plain, STR(""), &got), -ENOENT);
    assert_int_equal(store_get(v, &plain, str_of(key, STORE_KEY_MAX + 1), &got), -ENOENT);
    assert_int_equal(store_get(v, &plain, str_of(key, STORE_KEY_MAX), &got), 0);
    assert_int_equal(got.n, 0);
    assert_non_null(got.p);
    assert_int_equal(store_get(v, &plain, STR("big"), &got), 0);
    assert_int_equal(got.n, STORE_VALUE_MAX);
    assert_int_equal(store_tally(v, &plain, STR("")), 0);
    assert_int_equal(store_tally(v, &plain, str_of(key, STORE_KEY_MAX)), 0);
    store_read_end(v);
}

static size_t count_walk(store_view *v, str prefix, str from, bool down)
{
    store_cursor *c;
    store_item item;
    size_t n = 0;
    assert_int_equal(store_walk(v, &plain, STORE_BY_KEY, prefix, from, down, &c), 0);
    while (store_next(c, &item))
        n++;
    assert_int_equal(store_cursor_error(c), 0);
    store_cursor_end(c);
    return n;
}

static void a_walk_takes_places_longer_than_any_key(void **state)
{
    fixture *f = *state;
    char key[STORE_KEY_MAX + 100];
    memset(key, 'k', sizeof(key));
    str longest = str_of(key, STORE_KEY_MAX), beyond = str_of(key, sizeof(key));
    assert_int_equal(do_put(f, &plain, longest, STR("x")), 0);
    assert_int_equal(do_put(f, &plain, STR("l"), STR("x")), 0);
    store_view *v = store_read_begin(f->store);
    assert_int_equal(count_walk(v, STR_NULL, longest, false), 2);
    assert_int_equal(count_walk(v, STR_NULL, beyond, false), 1); /* the longest key sorts before it */
    assert_int_equal(count_walk(v, STR_NULL, beyond, true), 1);
    assert_int_equal(count_walk(v, STR_NULL, longest, true), 1);
    assert_int_equal(count_walk(v, beyond, STR_NULL, false), 0);
    assert_int_equal(count_walk(v, longest, STR_NULL, true), 1);
    store_read_end(v);
}

/* ---- emitters that break the rules; `key` says how ---- */

static int bad_emit(str key, str value, store_emit *out)
{
    static const char long_text[STORE_KEY_MAX + 1];
    (void)value;
    switch (key.p[0]) {
    case '1':
        store_emit_entry(out, 0, STR("does not end with the key"), STR_NULL);
        break;
    case '2':
        store_emit_entry(out, 0, key, STR_NULL);
        store_emit_entry(out, 0, key, STR_NULL);
        break;
    case '3':
        store_emit_entry(out, 1, key, STR_NULL);
        break;
    case '4':
        store_emit_bucket(out, str_of(long_text, STORE_BUCKET_MAX + 1));
        break;
    case '5':
        store_emit_bucket(out, STR(""));
        break;
    case '6':
        return -EPROTO;
    case '7':
        store_emit_entry(out, 0, key, str_of(long_text, sizeof(long_text)));
        break;
    default: /* the same entry for x1 and 1: each ends with its key, but they are not unique */
        store_emit_entry(out, 0, STR("x8"), STR_NULL);
    }
    return 0;
}

static const char *const bad_indexes[] = {"one"};
static keyspace bad = {.name = "bad", .indexes = bad_indexes, .n_indexes = 1, .emit = bad_emit, .emit_version = 1};
static keyspace *const with_bad[] = {&things, &plain, &bad};

static void an_emitter_that_breaks_a_rule_fails_the_put(void **state)
{
    fixture f;
    store_options o = fixture_options;
    (void)state;
    o.keyspaces = with_bad;
    o.n_keyspaces = 3;
    fixture_begin(&f, &o);
    for (char how = '1'; how <= '7'; how++)
        assert_int_equal(do_put(&f, &bad, str_of(&how, 1), STR("v")), how == '6' ? -EPROTO : -EINVAL);
    assert_int_equal(do_put(&f, &bad, STR("x8"), STR("v")), 0);
    assert_int_equal(do_put(&f, &bad, STR("8"), STR("v")), -EPROTO);
    store_view *v = store_read_begin(f.store);
    assert_int_equal(store_count(v, &bad), 1);
    store_read_end(v);
    assert_int_equal(check_faults(f.store, NULL), 0);
    fixture_end(&f);
}

/* ---- no memory ---- */

static int apply_fn(store_txn *t, store_op *op)
{
    test_op *o = CONTAINER_OF(op, test_op, op);
    return o->fn(t, o);
}

/* Values are made before: what fails then is the store. */
static int put_prepared(store_txn *t, test_op *o)
{
    const str *value = o->arg;
    int r = 0;
    for (char key = 'a'; key <= 'z' && r == 0; key++)
        r = store_put(t, &things, str_of(&key, 1), *value);
    return r;
}

static int open_put_walk_and_check(const store_options *o, str value, store **ret_store)
{
    SCOPED(arena_done)
    arena a;
    SCOPED(buf_done)
    buf lines = BUF_INIT;
    test_op put = {.op.apply = apply_fn, .fn = put_prepared, .arg = &value};
    store *s;
    store_item item;
    store_cursor *c;
    arena_init(&a, 0);
    int r = store_open(o, NULL, &a, &s, NULL);
    if (r < 0)
        return r;
    *ret_store = s;
    r = store_run(s, &put.op);
    store_view *v = store_read_begin(s);
    if (r == 0)
        r = store_walk(v, &things, BY_WORD, STR_NULL, STR_NULL, false, &c);
    if (r == 0)
        assert_true(store_next(c, &item));
    store_read_end(v);
    return r < 0 ? r : check_faults(s, &lines);
}

static void each_failed_allocation_is_an_error_and_breaks_nothing(void **state)
{
    fixture *f = *state;
    SCOPED(buf_done)
    buf first = BUF_INIT, second = BUF_INIT;
    thing content = {'r', STR("xy"), 40, STR("rest")}, other = {'g', STR("yz"), 41, STR("more than before")};
    store_options o = fixture_options;
    str values[2] = {thing_value(&content, &first), thing_value(&other, &second)};
    bool hit = true;
    int round = 0;
    fixture_close(f);
    o.dir = f->dir;
    for (; hit; round++) {
        store *s = NULL;
        mem_fail_at(round);
        int r = open_put_walk_and_check(&o, values[round % 2], &s);
        hit = mem_failed();
        mem_fail_at(-1);
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(hit || r == 0);
        if (s) {
            assert_int_equal(check_faults(s, NULL), 0);
            store_close(s, NULL, NULL);
        }
    }
    assert_true(round > 15);
    fixture_open(f, NULL);
}

static int begin(void **state)
{
    static fixture f;
    fixture_begin(&f, NULL);
    *state = &f;
    return 0;
}

static int end(void **state)
{
    fixture *f = *state;
    assert_int_equal(check_faults(f->store, NULL), 0);
    fixture_end(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_scope_sees_what_was_committed_when_it_began),
        TEST(a_job_reads_its_own_snapshot),
        TEST(an_op_sees_its_own_writes),
        TEST(a_value_of_the_view_may_be_put),
        TEST(a_generation_changes_with_its_keyspace_and_only_then),
        TEST(keys_and_values_have_limits),
        TEST(a_walk_takes_places_longer_than_any_key),
        cmocka_unit_test(an_emitter_that_breaks_a_rule_fails_the_put),
        TEST(each_failed_allocation_is_an_error_and_breaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
