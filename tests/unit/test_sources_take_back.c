/* Entries that a merge cut off had added are taken out again, in steps that are bounded in what they read. */
#include "shop.h"

#define ACME "src_acme_tools"
#define OLD_ENTRIES 9000
#define NEW_EVERY 1000
#define MADE_NOW 2

typedef struct taking_back {
    store_op op;
    change_log *log;
    unsigned steps;
    bool ended;
    int status;
} taking_back;

static int put_apply(store_txn *t, store_op *op)
{
    for (; op->at < OLD_ENTRIES; op->at++) {
        SCOPED(arena_done) arena a;
        char id[ENTRY_ID_LEN];
        if (store_txn_is_full(t))
            return STORE_MORE;
        arena_init(&a, 0);
        const str path = arena_printf(&a, "skills/%llu", (unsigned long long)op->at);
        entry_id_make(STR(ACME), STR("skill"), path, id);
        const entry e = {.id = str_of(id, sizeof(id)),
                         .source_id = STR(ACME),
                         .artifact_type = STR("skill"),
                         .name = path,
                         .path = path,
                         .upstream_url = STR("u"),
                         .status = STR("new"),
                         .created_at = op->at % NEW_EVERY == 0 ? MADE_NOW : MADE_NOW - 1};
        const int r = entry_put(t, &e);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_back_apply(store_txn *t, store_op *op)
{
    taking_back *b = CONTAINER_OF(op, taking_back, op);
    const int64_t made = MADE_NOW;
    bool more;

    change_log_step(b->log, op->at);
    const int r = entries_remove_step(t, STR(ACME), &made, b->log, &more);
    if (r < 0 || !more)
        return r;
    op->at++;
    return STORE_MORE;
}

static void on_taken_back(store_op *op, int status)
{
    taking_back *b = CONTAINER_OF(op, taking_back, op);
    b->steps = (unsigned)op->at + 1;
    b->status = status;
    b->ended = true;
}

static void taking_back_a_few_of_many_goes_on_where_it_was(void **state)
{
    (void)state;
    shop w;
    shop_open(&w);
    taking_back b = {.op = {.apply = put_apply, .done = on_taken_back}};
    assert_int_equal(change_log_new(STR(ACME), &b.log), 0);
    store_submit(w.store, &b.op);
    peer_run_until(w.loop, b.ended);
    assert_int_equal(b.status, 0);

    b.ended = false;
    b.op = (store_op){.apply = take_back_apply, .done = on_taken_back, .flags = STORE_FREES};
    store_submit(w.store, &b.op);
    peer_run_until(w.loop, b.ended);
    assert_int_equal(b.status, 0);
    assert_int_equal(b.log->n, OLD_ENTRIES / NEW_EVERY);
    assert_int_equal(b.steps, OLD_ENTRIES / STEP_READS + 1); /* each reads so many, and none twice */
    store_view *v = store_read_begin(w.store);
    assert_int_equal(store_count(v, &entries_ks), OLD_ENTRIES - OLD_ENTRIES / NEW_EVERY);
    store_read_end(v);
    change_log_free(b.log);
    shop_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taking_back_a_few_of_many_goes_on_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
