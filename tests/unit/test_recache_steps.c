/* What clients ask for that takes the writer many steps. */
#include "unit.h"

#include "domains/recache/service.h"
#include "larder/record.h"
#include "recache_world.h"

static recache_world w;

static void pause_it(recache *r, recache_task *t)
{
    recache_pause(r, true, t);
}

typedef struct planting {
    store_op op;
    unsigned n;
    uint64_t first_hash;
    uint16_t dimension;
    int64_t time;
    bool done;
} planting;

static void planted(store_op *op, int status)
{
    assert_int_equal(status, 0);
    CONTAINER_OF(op, planting, op)->done = true;
}

static int plant_pages(store_txn *t, store_op *op)
{
    const planting *p = CONTAINER_OF(op, planting, op);
    int r = 0;

    for (unsigned i = 0; r == 0 && i < p->n; i++)
        r = page_put(t, p->first_hash + i,
                     &(recache_page){.host_id = 1, .dimension_id = p->dimension, .url = STR("https://www.1.example/"),
                                     .source = STR("render"), .created_at = p->time, .gone_at = p->time + HOURS(1)});
    return r;
}

static int plant_dead(store_txn *t, store_op *op)
{
    const planting *p = CONTAINER_OF(op, planting, op);
    SCOPED(buf_done) buf record = BUF_INIT;
    char key[URL_KEY_LEN];
    int r = 0;

    record_encode(&recache_dead_schema,
                  &(recache_dead){.host_id = 1, .url = STR("https://www.1.example/"), .dimension_id = p->dimension,
                                  .priority = STR("high"), .reason = STR("x"), .died_at = p->time},
                  &record);
    for (unsigned i = 0; r == 0 && i < p->n; i++) {
        url_key(1, p->first_hash + i, p->dimension, key);
        r = store_put(t, &recache_dead_ks, str_of(key, sizeof(key)), buf_view(&record));
    }
    return r;
}

static void plant(int (*apply)(store_txn *, store_op *), planting p)
{
    p.op = (store_op){.apply = apply, .done = planted};
    store_submit(w.store, &p.op);
    while (!p.done)
        loop_run_once(w.loop, true);
}

static void test_a_page_made_while_all_are_being_invalidated_stays(void **state)
{
    enum { N = 1000, LATE = 10 };
    static const uint16_t both[] = {1, 2};

    (void)state;
    for (unsigned chosen = 0; chosen <= 2; chosen += 2) {
        recache_task t = {.host_id = 1, .dimensions = both, .n_dimensions = chosen, .on_done = world_task_ended};
        bool done = false;
        t.user = &done;
        world_begin(&w, 1);
        const int64_t now = clk_wall_ms(&w.clock.base);
        plant(plant_pages, (planting){.n = N, .dimension = 1, .time = now});
        plant(plant_pages, (planting){.n = N, .dimension = 2, .time = now});
        recache_invalidate_all(w.recache, &t); /* the first step goes before the next op, the others behind it */
        plant(plant_pages, (planting){.n = LATE, .first_hash = UINT64_MAX - LATE, .dimension = 2, .time = now + 1});
        while (!done)
            loop_run_once(w.loop, true);
        assert_int_equal(t.status, 0);
        assert_int_equal(t.changed, 2 * N);
        store_view *v = store_read_begin(w.store);
        assert_int_equal(store_count(v, &recache_pages_ks), LATE);
        store_read_end(v);
        world_end(&w);
    }
}

static void retried(store_op *op, int status)
{
    assert_int_equal(status, 0);
    *(bool *)CONTAINER_OF(op, recache_change, op)->task->user = true;
}

/* Each letter is looked at once, by steps of a bounded length, whether it is chosen or not. */
static void test_dead_letters_that_are_not_chosen_are_passed_over_once(void **state)
{
    enum { OTHERS = 2 * CHANGE_STEP_LOOKS, CHOSEN = 10 };
    bool done = false;
    recache_task pause = {0}, t = {.host_id = 1, .n_dimensions = 1, .priority = RECACHE_NORMAL, .user = &done};

    (void)state;
    world_begin(&w, 1);
    assert_int_equal(world_task(&w, &pause, pause_it), 0);
    const int64_t now = clk_wall_ms(&w.clock.base);
    plant(plant_dead, (planting){.n = OTHERS, .dimension = 1, .time = now - 1});
    plant(plant_dead, (planting){.n = CHOSEN, .dimension = 2, .time = now - 2}); /* behind the others */
    recache_change c = {.op = {.apply = change_retry_all_apply, .done = retried},
                        .task = &t,
                        .host = &w.hosts[0],
                        .now = now,
                        .dimensions = {2},
                        .n_dimensions = 1};
    store_submit(w.store, &c.op);
    while (!done)
        loop_run_once(w.loop, true);
    assert_int_equal(AT_COUNT(c.op.at), CHOSEN);
    assert_int_equal(AT_PLACE(c.op.at), 3); /* steps */
    assert_int_equal(world_dead(&w, 1), OTHERS);
    assert_int_equal(check_faults(w.store, NULL), 0);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_made_while_all_are_being_invalidated_stays),
        cmocka_unit_test(test_dead_letters_that_are_not_chosen_are_passed_over_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
