/* What the writer thread promises about ops that are committed together: order, all or nothing, steps, the
 * end. */
#include "unit.h"

#include "store_fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

/* ---- holding the writer, so that ops pile up behind the first ---- */

typedef struct gate {
    test_op op;
    sem_t reached, go;
} gate;

static int wait_at_gate(store_txn *t, test_op *o)
{
    gate *g = o->arg;
    (void)t;
    if (o->calls == 1) { /* not again when the batch is repeated */
        sem_post(&g->reached);
        sem_wait(&g->go);
    }
    return 0;
}

static void gate_close(fixture *f, gate *g)
{
    *g = (gate){0};
    sem_init(&g->reached, 0, 0);
    sem_init(&g->go, 0, 0);
    test_op_submit(f->store, &g->op, wait_at_gate, g);
    sem_wait(&g->reached);
}

static void gate_open(gate *g)
{
    sem_post(&g->go);
}

static void gate_wait(fixture *f, gate *g)
{
    test_op_wait(f, &g->op);
    sem_destroy(&g->reached);
    sem_destroy(&g->go);
}

/* ---- ops that say in which order they were applied ---- */

static char journal[256]; /* written by the writer thread, read when the ops are done */

static void note(const char *what)
{
    strncat(journal, what, sizeof(journal) - strlen(journal) - 1);
}

static int put_name(store_txn *t, test_op *o)
{
    note(o->arg);
    return store_put(t, &plain, str_c(o->arg), str_c(o->arg));
}

static int put_name_then_fail(store_txn *t, test_op *o)
{
    int r = put_name(t, o);
    return r < 0 ? r : -EPERM;
}

static int fail_at_once(store_txn *t, test_op *o)
{
    (void)t;
    (void)o;
    note("b");
    return -EACCES;
}

/* Four steps, each a record. */
static int put_in_steps(store_txn *t, test_op *o)
{
    char key[8];
    snprintf(key, sizeof(key), "%s%u", (const char *)o->arg, (unsigned)o->op.at);
    note(key);
    int r = store_put(t, &plain, str_c(key), STR("step"));
    if (r < 0)
        return r;
    return ++o->op.at < 4 ? STORE_MORE : 0;
}

static bool is_there(fixture *f, const char *key)
{
    store_view *v = store_read_begin(f->store);
    bool there = store_has(v, &plain, str_c(key));
    store_read_end(v);
    return there;
}

static uint64_t commits(fixture *f)
{
    store_stats st;
    store_stats_of(f->store, &st);
    return st.commits;
}

static char A[] = "a", B[] = "b", C[] = "c", S[] = "s", T[] = "t";

/* ---- tests ---- */

static void ops_that_wait_are_committed_together_in_order(void **state)
{
    fixture *f = *state;
    gate g;
    test_op a = {0}, b = {0}, c = {0};
    store_stats st;
    gate_close(f, &g);
    test_op_submit(f->store, &a, put_name, A);
    test_op_submit(f->store, &b, put_name, B);
    test_op_submit(f->store, &c, put_name, C);
    gate_open(&g);
    test_op_wait(f, &c);
    gate_wait(f, &g);
    assert_true(a.done && b.done && !a.status && !b.status && !c.status);
    assert_string_equal(journal, "abc");
    store_stats_of(f->store, &st);
    assert_int_equal(st.commits, 1);
    assert_int_equal(st.ops, 4);
    assert_int_equal(st.puts, 3);
    assert_int_equal(st.batch[2], 1); /* one commit of 3 or 4 ops */
}

static void an_op_that_fails_before_it_writes_concerns_nobody_else(void **state)
{
    fixture *f = *state;
    gate g;
    test_op a = {0}, b = {0}, c = {0};
    gate_close(f, &g);
    test_op_submit(f->store, &a, put_name, A);
    test_op_submit(f->store, &b, fail_at_once, B);
    test_op_submit(f->store, &c, put_name, C);
    gate_open(&g);
    test_op_wait(f, &c);
    gate_wait(f, &g);
    assert_int_equal(b.status, -EACCES);
    assert_string_equal(journal, "abc"); /* nothing was applied twice */
    assert_true(is_there(f, A) && is_there(f, C));
    assert_int_equal(commits(f), 1);
}

static void an_op_that_fails_after_writing_leaves_no_trace(void **state)
{
    fixture *f = *state;
    gate g;
    test_op a = {0}, b = {0}, c = {0};
    gate_close(f, &g);
    test_op_submit(f->store, &a, put_name, A);
    test_op_submit(f->store, &b, put_name_then_fail, B);
    test_op_submit(f->store, &c, put_name, C);
    gate_open(&g);
    test_op_wait(f, &c);
    gate_wait(f, &g);
    assert_int_equal(a.status, 0);
    assert_int_equal(b.status, -EPERM);
    assert_int_equal(c.status, 0);
    assert_true(is_there(f, A) && !is_there(f, B) && is_there(f, C));
    assert_string_equal(journal, "abac"); /* a, which was dropped with b, again; then c */
    assert_int_equal(b.calls, 1);
}

static void a_step_that_is_repeated_begins_where_it_began(void **state)
{
    fixture *f = *state;
    gate g;
    test_op s = {0}, b = {0};
    gate_close(f, &g);
    test_op_submit(f->store, &s, put_in_steps, S);
    test_op_submit(f->store, &b, put_name_then_fail, B);
    gate_open(&g);
    test_op_wait(f, &s);
    test_op_wait(f, &b);
    gate_wait(f, &g);
    assert_int_equal(s.status, 0);
    assert_string_equal(journal, "s0bs0s1s2s3");
    assert_true(is_there(f, "s0") && is_there(f, "s3") && !is_there(f, B));
}

static void others_go_between_the_steps_of_a_large_op(void **state)
{
    fixture *f = *state;
    gate g;
    test_op s = {0}, t = {0}, a = {0}, b = {0};
    gate_close(f, &g);
    test_op_submit(f->store, &s, put_in_steps, S);
    test_op_submit(f->store, &a, put_name, A);
    test_op_submit(f->store, &t, put_in_steps, T);
    test_op_submit(f->store, &b, put_name, B);
    gate_open(&g);
    test_op_wait(f, &s);
    test_op_wait(f, &t);
    gate_wait(f, &g);
    assert_string_equal(journal, "s0at0bs1t1s2t2s3t3");
    assert_int_equal(commits(f), 4);
}

static void a_step_is_committed_before_the_next_one(void **state)
{
    fixture *f = *state;
    test_op s = {0};
    test_op_submit(f->store, &s, put_in_steps, S);
    test_op_wait(f, &s);
    assert_int_equal(commits(f), 4);
}

static void steps_of_an_op_that_joins_share_a_commit_when_nobody_waits(void **state)
{
    fixture *f = *state;
    gate g;
    test_op s = {.op.flags = STORE_JOINS}, a = {0};
    gate_close(f, &g);
    test_op_submit(f->store, &s, put_in_steps, S);
    test_op_submit(f->store, &a, put_name, A);
    gate_open(&g);
    test_op_wait(f, &s);
    gate_wait(f, &g);
    assert_string_equal(journal, "s0as1s2s3");
    assert_int_equal(commits(f), 2);
}

static int put_and_ignore_the_error(store_txn *t, test_op *o)
{
    store_put(t, &plain, str_c(o->arg), STR("1"));
    store_put(t, &plain, STR(""), STR("2")); /* an empty key */
    return 0;
}

static void an_error_that_apply_ignores_fails_the_op_all_the_same(void **state)
{
    fixture *f = *state;
    assert_int_equal(do_op(f, 0, put_and_ignore_the_error, A), -EINVAL);
    assert_false(is_there(f, A));
}

static int put_if_absent(store_txn *t, test_op *o)
{
    if (store_has(store_txn_view(t), &plain, str_c(o->arg)))
        return -EEXIST;
    return store_put(t, &plain, str_c(o->arg), STR("first"));
}

static void an_op_sees_what_those_before_it_in_the_batch_wrote(void **state)
{
    fixture *f = *state;
    gate g;
    test_op a = {0}, b = {0};
    gate_close(f, &g);
    test_op_submit(f->store, &a, put_if_absent, A);
    test_op_submit(f->store, &b, put_if_absent, A);
    gate_open(&g);
    test_op_wait(f, &b);
    gate_wait(f, &g);
    assert_int_equal(a.status, 0);
    assert_int_equal(b.status, -EEXIST);
}

static void ops_without_a_done_are_applied_too(void **state)
{
    fixture *f = *state;
    test_op a = {0}, b = {0};
    test_op_submit(f->store, &a, put_name, A);
    a.op.done = NULL;
    test_op_submit(f->store, &b, put_name, B);
    test_op_wait(f, &b);
    assert_true(is_there(f, A));
}

static void set_flag(void *flag)
{
    *(bool *)flag = true;
}

static void closing_finishes_what_was_submitted_and_refuses_the_rest(void **state)
{
    fixture *f = *state;
    gate g;
    test_op a = {0}, s = {0}, late = {0};
    gate_close(f, &g);
    test_op_submit(f->store, &a, put_name, A);
    test_op_submit(f->store, &s, put_in_steps, S);
    gate_open(&g);
    assert_true(store_is_writable(f->store));
    store_close(f->store, set_flag, &f->closed);
    assert_false(store_is_writable(f->store));
    test_op_submit(f->store, &late, put_name, B);
    test_op_wait(f, &late);
    test_op_wait(f, &s);
    gate_wait(f, &g);
    assert_int_equal(a.status, 0);
    assert_int_equal(s.status, 0);
    assert_int_equal(late.status, -ECANCELED);
    assert_int_equal(late.calls, 0);
    turn_until(f, &f->closed);
    fixture_open(f, NULL);
    assert_true(is_there(f, A) && is_there(f, "s3") && !is_there(f, B));
}

static test_op resubmitted;

static void on_done_submit_again(store_op *op, int status)
{
    test_op *o = CONTAINER_OF(op, test_op, op);
    fixture *f = o->arg;
    o->done = true;
    o->status = status;
    test_op_submit(f->store, &resubmitted, fail_at_once, A);
}

static void an_op_submitted_by_the_last_done_is_answered_before_the_end(void **state)
{
    fixture *f = *state;
    gate g;
    test_op last = {0};
    resubmitted = (test_op){0};
    gate_close(f, &g);
    test_op_submit(f->store, &last, fail_at_once, A);
    last.op.done = on_done_submit_again;
    last.arg = f;
    store_close(f->store, set_flag, &f->closed);
    gate_open(&g);
    turn_until(f, &f->closed);
    assert_true(last.done && resubmitted.done && g.op.done);
    assert_int_equal(resubmitted.status, -ECANCELED);
    sem_destroy(&g.reached);
    sem_destroy(&g.go);
    fixture_open(f, NULL);
}

/* More ops than a batch holds, from several threads; each is answered once, and all are there. */
enum { SUBMITTERS = 3, EACH = 1500 };

typedef struct submitter {
    fixture *f;
    pthread_t thread;
    test_op *ops;
    char (*names)[8];
} submitter;

static int put_quietly(store_txn *t, test_op *o)
{
    return store_put(t, &plain, str_c(o->arg), STR("1"));
}

static void *submit_all(void *arg)
{
    submitter *s = arg;
    for (int i = 0; i < EACH; i++)
        test_op_submit(s->f->store, &s->ops[i], put_quietly, s->names[i]);
    return NULL;
}

static void threads_may_submit_more_than_a_batch_holds(void **state)
{
    fixture *f = *state;
    submitter s[SUBMITTERS];
    for (int k = 0; k < SUBMITTERS; k++) {
        s[k] = (submitter){.f = f, .ops = mem_zalloc(EACH * sizeof(test_op)), .names = mem_zalloc(EACH * 8)};
        for (int i = 0; i < EACH; i++)
            snprintf(s[k].names[i], 8, "%d-%d", k, i);
        assert_int_equal(pthread_create(&s[k].thread, NULL, submit_all, &s[k]), 0);
    }
    for (int k = 0; k < SUBMITTERS; k++) {
        pthread_join(s[k].thread, NULL);
        for (int i = 0; i < EACH; i++) {
            test_op_wait(f, &s[k].ops[i]);
            assert_int_equal(s[k].ops[i].status, 0);
            assert_int_equal(s[k].ops[i].calls, 1);
            assert_true(is_there(f, s[k].names[i]));
        }
        mem_free(s[k].ops);
        mem_free(s[k].names);
    }
}

static int begin(void **state)
{
    static fixture f;
    fixture_begin(&f, NULL);
    journal[0] = '\0';
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
        TEST(ops_that_wait_are_committed_together_in_order),
        TEST(an_op_that_fails_before_it_writes_concerns_nobody_else),
        TEST(an_op_that_fails_after_writing_leaves_no_trace),
        TEST(a_step_that_is_repeated_begins_where_it_began),
        TEST(others_go_between_the_steps_of_a_large_op),
        TEST(a_step_is_committed_before_the_next_one),
        TEST(steps_of_an_op_that_joins_share_a_commit_when_nobody_waits),
        TEST(an_error_that_apply_ignores_fails_the_op_all_the_same),
        TEST(an_op_sees_what_those_before_it_in_the_batch_wrote),
        TEST(ops_without_a_done_are_applied_too),
        TEST(closing_finishes_what_was_submitted_and_refuses_the_rest),
        TEST(an_op_submitted_by_the_last_done_is_answered_before_the_end),
        TEST(threads_may_submit_more_than_a_batch_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
