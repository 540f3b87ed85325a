/* Group commit. The ops that wait are applied in order in one transaction and committed once; what happens
 * then depends:
 *
 *   an op fails, having written nothing    it gets its error, the rest isn't concerned
 *   an op fails after it has written       the transaction is dropped; all before it are applied again
 *   that fails too, or there is no space,  all are applied again one by one, each with a commit of its own,
 *   or the commit fails                    so that only those get the error that can't be done
 *
 * In the last case an answer given in the first try counts for nothing: it may rest on an op that then
 * failed. A stepped op goes back to the end of the queue after its step; one flagged STORE_JOINS first goes
 * on within the same transaction, as long as nobody else waits. */
#include "impl.h"

static bool is_trouble(int r)
{
    return r == -ENOSPC || r == -EIO;
}

/* ---- figures ---- */

static unsigned log2_up(uint64_t n)
{
    return n <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(n - 1);
}

static void count_in(uint64_t *buckets, size_t n, uint64_t value)
{
    unsigned i = log2_up(value);
    buckets[i < n ? i : n - 1]++;
}

static void book_commit(store *s, size_t ops, int r)
{
    const store_txn *t = s->txn;
    store_stats *st = &s->stats;
    pthread_mutex_lock(&s->lock);
    if (r < 0) {
        st->failed_commits++;
    } else {
        st->commits++;
        st->ops += ops;
        st->puts += t->changes;
        st->commit_us_total += t->commit_us;
        count_in(st->batch, COUNT_OF(st->batch), ops);
        count_in(st->commit_us, COUNT_OF(st->commit_us), t->commit_us);
    }
    if (t->longest_hold_us > st->longest_hold_us)
        st->longest_hold_us = t->longest_hold_us;
    pthread_mutex_unlock(&s->lock);
}

/* ---- one by one ---- */

static int alone(store *s, store_op *op)
{
    if (s->trouble && !(op->flags & STORE_FREES))
        return s->trouble;
    int r = s->parked ? ENV_DEAD : store_txn_step(s->txn, op);
    if (r == ENV_DEAD && !s->trouble) {
        store_writer_probe(s); /* has it opened anew */
        r = s->trouble ? s->trouble : store_txn_step(s->txn, op);
    }
    if (r == ENV_DEAD)
        r = -EIO;
    if (r >= 0 || is_trouble(r))
        book_commit(s, 1, r);
    if (is_trouble(r) != (s->trouble != 0)) /* is it the op's alone, or everybody's? is it over? */
        store_writer_probe(s);
    return r;
}

static void one_by_one(store *s)
{
    store_txn_abort(s->txn);
    for (size_t i = 0; i < s->batch_n; i++) {
        store_op *op = s->batch[i];
        op->at = op->at_before;
        op->status = alone(s, op);
    }
}

/* ---- together ---- */

static store_op *next_op(store *s)
{
    if (!s->taken.first)
        store_writer_take(s);
    store_op *op = s->batch_n < BATCH_OPS ? store_list_take(&s->taken) : NULL;
    if (op && !(op->flags & STORE_JOINS))
        s->company_at = clk_mono_ms(clk_real());
    return op;
}

/* A commit takes as long as it is large. One who comes while a large one is made waits for it; those who come soon
 * after him don't. */
static uint64_t writes_in_a_row(const store *s)
{
    return clk_mono_ms(clk_real()) - s->company_at > LONE_MS ? LONE_WRITES : STORE_STEP_WRITES;
}

static bool may_go_on(store *s, const store_op *op)
{
    if (!(op->flags & STORE_JOINS))
        return false;
    if (!s->taken.first)
        store_writer_take(s);
    return !s->taken.first && s->txn->writes < writes_in_a_row(s);
}

/* False when the op's failure leaves traces: the transaction has to be dropped. */
static bool apply_steps(store *s, store_op *op, bool more_than_one)
{
    bool left_traces, any = false;
    op->at_before = op->at;
    do {
        op->status = store_txn_apply(s->txn, op, &left_traces);
        any = any || left_traces;
    } while (op->status == STORE_MORE && more_than_one && may_go_on(s, op));
    return op->status >= 0 || !any;
}

/* False when it ends with an op that left traces. */
static bool gather(store *s)
{
    store_op *op;
    while (s->txn->writes < BATCH_WRITES && (op = next_op(s))) {
        s->batch[s->batch_n++] = op;
        if (!apply_steps(s, op, true))
            return false;
    }
    return true;
}

/* All but those that have failed. */
static bool apply_again(store *s)
{
    store_txn_abort(s->txn);
    if (store_txn_begin(s->txn) < 0)
        return false;
    for (size_t i = 0; i < s->batch_n; i++) {
        store_op *op = s->batch[i];
        if (op->status < 0)
            continue;
        op->at = op->at_before;
        if (!apply_steps(s, op, false) || op->status < 0)
            return false;
    }
    return true;
}

static bool together(store *s)
{
    if (!gather(s) && (is_trouble(s->batch[s->batch_n - 1]->status) || !apply_again(s)))
        return false;
    if (s->txn->changes == 0) {
        store_txn_abort(s->txn);
        return true;
    }
    int r = store_txn_commit(s->txn);
    book_commit(s, s->batch_n, r);
    return r == 0;
}

static void answer(store *s)
{
    op_list finished = {0}, again = {0};
    s->last_batch = s->batch_n;
    for (size_t i = 0; i < s->batch_n; i++) {
        store_op *op = s->batch[i];
        if (op->status < 0)
            op->at = op->at_before;
        store_list_add(op->status == STORE_MORE ? &again : &finished, op);
    }
    store_writer_answer(s, &finished, &again);
}

void store_run_batch(store *s)
{
    s->batch_n = 0;
    if (s->trouble || s->parked || store_txn_begin(s->txn) < 0) {
        for (store_op *op; (op = next_op(s));) {
            op->at_before = op->at;
            s->batch[s->batch_n++] = op;
        }
        one_by_one(s);
    } else if (!together(s)) {
        one_by_one(s);
    }
    if (s->batch_n > 0)
        answer(s);
}
