/* Readers on the loop and on other threads while ops are committed: each snapshot is of one moment, and
 * equal generations mean equal content. Run under the thread sanitizer, it also shows who touches what. */
#include "unit.h"

#include "store_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { READERS = 3, WRITES = 1500, IN_FLIGHT = 8 };

/* content[g]: what a reader found at generation g of the keyspace; 0: nobody has seen it yet. */
static atomic_uint content[2 * WRITES];
static atomic_bool over;
static atomic_uint snapshots;

static unsigned read_counter(store_view *v, const keyspace *ks, str key)
{
    str value;
    unsigned n = 0;
    if (store_get(v, ks, key, &value) < 0)
        return 0;
    for (size_t i = 2; i < 6; i++)
        n = n << 8 | (unsigned char)value.p[i];
    return n;
}

static void look(store_view *v)
{
    unsigned n = read_counter(v, &things, STR("counter")), same = read_counter(v, &plain, STR("counter"));
    uint64_t g = store_generation(v, &things);
    unsigned before = 0;
    assert_int_equal(n, same);
    assert_int_equal(store_count(v, &things), n > 0);
    assert_int_equal(store_tally(v, &things, STR("c")), n > 0);
    assert_true(g < COUNT_OF(content));
    if (!atomic_compare_exchange_strong(&content[g], &before, n + 1))
        assert_int_equal(before, n + 1);
    atomic_fetch_add(&snapshots, 1);
}

static void *read_on(void *arg)
{
    store *s = arg;
    while (!atomic_load(&over)) {
        store_view *v;
        if (store_read_begin_job(s, &v) < 0)
            return "no view";
        look(v);
        store_read_end(v);
    }
    return NULL;
}

/* Both keyspaces in one op; every third op writes only a neighbour in the second. */
static int count_up(store_txn *t, test_op *o)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    unsigned *round = o->arg;
    if (*round % 3 == 2)
        return store_put(t, &plain, STR("other"), str_of((char *)round, sizeof(*round)));
    thing content_now = {'c', STR(""), read_counter(store_txn_view(t), &things, STR("counter")) + 1, STR_NULL};
    str bytes = thing_value(&content_now, &value);
    int r = store_put(t, &things, STR("counter"), bytes);
    return r < 0 ? r : store_put(t, &plain, STR("counter"), bytes);
}

static void snapshots_are_of_one_moment_on_every_thread(void **state)
{
    (void)state;
    fixture f;
    pthread_t readers[READERS];
    test_op ops[IN_FLIGHT] = {{.calls = 0}};
    unsigned rounds[IN_FLIGHT];
    fixture_begin(&f, NULL);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, read_on, f.store), 0);
    for (unsigned i = 0; i < WRITES; i++) {
        test_op *o = &ops[i % IN_FLIGHT];
        if (i >= IN_FLIGHT) {
            test_op_wait(&f, o);
            assert_int_equal(o->status, 0);
        }
        rounds[i % IN_FLIGHT] = i;
        test_op_submit(f.store, o, count_up, &rounds[i % IN_FLIGHT]);
        store_view *v = store_read_begin(f.store);
        look(v);
        store_read_end(v);
    }
    for (int i = 0; i < IN_FLIGHT; i++)
        test_op_wait(&f, &ops[i]);
    atomic_store(&over, true);
    for (int i = 0; i < READERS; i++) {
        void *trouble;
        pthread_join(readers[i], &trouble);
        assert_null(trouble);
    }
    assert_true(atomic_load(&snapshots) > WRITES);
    store_view *v = store_read_begin(f.store);
    assert_int_equal(read_counter(v, &things, STR("counter")), WRITES / 3 * 2);
    store_read_end(v);
    assert_int_equal(check_faults(f.store, NULL), 0);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snapshots_are_of_one_moment_on_every_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
