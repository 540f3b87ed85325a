/* The store against a plain model: seeded random writes, then everything that can be asked is compared. */
#include "unit.h"

#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#define KEYS 300

typedef struct model_row {
    char key[24];
    size_t key_n;
    bool there;
    char colour, words[4], rest[600];
    size_t words_n, rest_n;
    uint32_t number;
} model_row;

typedef struct model {
    model_row rows[KEYS]; /* sorted by key */
} model;

/* What a walk should give. */
typedef struct expected {
    char index_key[64];
    size_t index_key_n;
    const model_row *row;
} expected;

static uint64_t seed_state;
static uint64_t pick(uint64_t n) /* own numbers: the store draws from random_* itself */
{
    seed_state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = seed_state;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % n;
}

static str row_key(const model_row *r)
{
    return str_of(r->key, r->key_n);
}

static int cmp_rows(const void *a, const void *b)
{
    return str_cmp(row_key(a), row_key(b));
}

/* Few different bytes, so that keys are prefixes of one another, and zero and ff among them. */
static void make_keys(model *m)
{
    static const char bytes[] = {'\0', 'a', 'b', '\xff'};
    for (size_t i = 0; i < KEYS; i++) {
        model_row *r = &m->rows[i];
        bool taken = true;
        while (taken) {
            r->key_n = 1 + pick(7);
            for (size_t j = 0; j < r->key_n; j++)
                r->key[j] = bytes[pick(4)];
            taken = false;
            for (size_t j = 0; j < i; j++)
                taken = taken || cmp_rows(r, &m->rows[j]) == 0;
        }
    }
    qsort(m->rows, KEYS, sizeof(*m->rows), cmp_rows);
}

static void draw_content(model_row *r)
{
    r->colour = (char)('r' + pick(3));
    r->words_n = pick(4);
    for (size_t i = 0; i < r->words_n; i++)
        r->words[i] = (char)("\0am\xff"[i] + (i == 1 ? (char)pick(3) : 0));
    r->number = (uint32_t)pick(50);
    r->rest_n = pick(10) == 0 ? pick(sizeof(r->rest)) : pick(12);
    memset(r->rest, (char)pick(256), r->rest_n);
}

static str row_value(const model_row *r, buf *out)
{
    thing t = {r->colour, str_of(r->words, r->words_n), r->number, str_of(r->rest, r->rest_n)};
    return thing_value(&t, out);
}

/* ---- comparing ---- */

static int cmp_expected(const void *a, const void *b)
{
    const expected *x = a, *y = b;
    return str_cmp(str_of(x->index_key, x->index_key_n), str_of(y->index_key, y->index_key_n));
}

static void expect(expected *e, size_t *n, const char *head, size_t head_n, const model_row *r)
{
    expected *x = &e[(*n)++];
    memcpy(x->index_key, head, head_n);
    memcpy(x->index_key + head_n, r->key, r->key_n);
    x->index_key_n = head_n + r->key_n;
    x->row = r;
}

static size_t expect_all(const model *m, int index, expected *e)
{
    size_t n = 0;
    for (size_t i = 0; i < KEYS; i++) {
        const model_row *r = &m->rows[i];
        if (!r->there)
            continue;
        if (index == STORE_BY_KEY) {
            expect(e, &n, "", 0, r);
        } else if (index == BY_NUMBER) {
            char number[8] = {0, 0, 0, 0, 0, 0, 0, (char)r->number};
            expect(e, &n, number, 8, r);
        } else {
            for (size_t w = 0; w < r->words_n; w++) {
                char word[4] = {r->words[w], '\0', '\0', '\0'};
                if (r->words[w] == '\0')
                    expect(e, &n, "\0\xff\0\0", 4, r);
                else
                    expect(e, &n, word, 3, r);
            }
        }
    }
    qsort(e, n, sizeof(*e), cmp_expected);
    return n;
}

static void compare_item(const store_item *item, const expected *x, int index, store_cursor *c)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    store_item copy = *item;
    str key = row_key(x->row);
    assert_true(str_eq(item->key, key));
    if (index != STORE_BY_KEY)
        assert_true(str_eq(item->index_key, str_of(x->index_key, x->index_key_n)));
    if (index == BY_NUMBER)
        assert_true(str_eq(item->cover, str_of(&x->row->colour, 1)));
    assert_int_equal(store_item_value(c, &copy), 0);
    assert_true(str_eq(copy.value, row_value(x->row, &value)));
}

static void compare_walk(store_view *v, const expected *e, size_t n, int index, str prefix, str from, bool down)
{
    store_cursor *c;
    store_item item;
    assert_int_equal(store_walk(v, &things, index, prefix, from, down, &c), 0);
    for (size_t i = 0; i < n; i++) {
        const expected *x = &e[down ? n - 1 - i : i];
        str key = str_of(x->index_key, x->index_key_n);
        int side = str_cmp(key, from);
        if (!str_starts(key, prefix) || (from.n > 0 && (down ? side > 0 : side < 0)))
            continue;
        assert_true(store_next(c, &item));
        compare_item(&item, x, index, c);
    }
    assert_false(store_next(c, &item));
    assert_false(store_next(c, &item));
    assert_int_equal(store_cursor_error(c), 0);
    store_cursor_end(c);
}

static void compare_walks(store_view *v, const model *m, int rounds)
{
    static expected e[KEYS * 3];
    for (int index = STORE_BY_KEY; index <= BY_WORD; index++) {
        size_t n = expect_all(m, index, e);
        compare_walk(v, e, n, index, STR_NULL, STR_NULL, false);
        compare_walk(v, e, n, index, STR_NULL, STR_NULL, true);
        for (int i = 0; i < rounds && n > 0; i++) {
            const expected *one = &e[pick(n)], *other = &e[pick(n)];
            char near[70];
            str prefix = str_of(one->index_key, pick(one->index_key_n + 1));
            str from = str_of(other->index_key, pick(other->index_key_n + 1));
            compare_walk(v, e, n, index, prefix, STR_NULL, pick(2));
            compare_walk(v, e, n, index, prefix, from, pick(2));
            from = str_of(other->index_key, other->index_key_n); /* an entry itself, and just behind it */
            compare_walk(v, e, n, index, pick(2) ? prefix : STR_NULL, from, pick(2));
            memcpy(near, from.p, from.n);
            near[from.n] = '\0';
            compare_walk(v, e, n, index, pick(2) ? prefix : STR_NULL, str_of(near, from.n + 1), pick(2));
        }
    }
}

static void compare_points(store_view *v, const model *m)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    uint64_t count = 0;
    int64_t colours[3] = {0}, words = 0;
    for (size_t i = 0; i < KEYS; i++) {
        const model_row *r = &m->rows[i];
        str got;
        assert_int_equal(store_get(v, &things, row_key(r), &got), r->there ? 0 : -ENOENT);
        if (!r->there)
            continue;
        assert_true(str_eq(got, row_value(r, &value)));
        count++;
        colours[r->colour - 'r']++;
        words += (int64_t)r->words_n;
    }
    assert_int_equal(store_count(v, &things), count);
    assert_int_equal(store_tally(v, &things, STR("words")), words);
    for (int i = 0; i < 3; i++) {
        char colour = (char)('r' + i);
        assert_int_equal(store_tally(v, &things, str_of(&colour, 1)), colours[i]);
    }
}

/* ---- writing ---- */

/* Some random writes in one transaction; the view of the transaction must agree with the model all the
 * time. */
static int write_some(store_txn *t, test_op *o)
{
    model *m = o->arg;
    SCOPED(buf_done)
    buf value = BUF_INIT;
    uint64_t n = 1 + pick(30);
    for (uint64_t i = 0; i < n; i++) {
        model_row *r = &m->rows[pick(KEYS)];
        if (pick(3) == 0) {
            assert_int_equal(store_del(t, &things, row_key(r)), r->there ? 0 : -ENOENT);
            r->there = false;
        } else {
            if (!r->there || pick(4) > 0)
                draw_content(r);
            assert_int_equal(store_put(t, &things, row_key(r), row_value(r, &value)), 0);
            r->there = true;
        }
    }
    compare_points(store_txn_view(t), m);
    if (pick(8) == 0)
        compare_walks(store_txn_view(t), m, 2);
    return 0;
}

static void random_writes_agree_with_a_model(void **state)
{
    (void)state;
    static model m;
    fixture f;
    seed_state = 20260101;
    make_keys(&m);
    fixture_begin(&f, NULL);
    for (int round = 0; round < 150; round++) {
        assert_int_equal(do_op(&f, 0, write_some, &m), 0);
        store_view *v = store_read_begin(f.store);
        compare_points(v, &m);
        compare_walks(v, &m, 3);
        store_read_end(v);
        if (round % 50 == 0) {
            assert_int_equal(check_faults(f.store, NULL), 0);
            fixture_close(&f);
            fixture_open(&f, NULL);
        }
    }
    assert_int_equal(check_faults(f.store, NULL), 0);
    fixture_end(&f);
}

/* Walks within the transaction that changes what is walked over. */
static int delete_while_walking(store_txn *t, test_op *o)
{
    model *m = o->arg;
    SCOPED(buf_done)
    buf value = BUF_INIT;
    store_cursor *c;
    store_item item;
    bool down = pick(2);
    int index = (int)pick(3) - 1;
    assert_int_equal(store_walk(store_txn_view(t), &things, index, STR_NULL, STR_NULL, down, &c), 0);
    while (store_next(c, &item)) {
        model_row wanted = {.key_n = item.key.n};
        memcpy(wanted.key, item.key.p, item.key.n);
        model_row *r = bsearch(&wanted, m->rows, KEYS, sizeof(*m->rows), cmp_rows);
        assert_non_null(r);
        assert_true(r->there); /* what was deleted meanwhile doesn't come */
        if (pick(2)) {
            assert_int_equal(store_del(t, &things, item.key), 0);
            r->there = false;
        }
        model_row *elsewhere = &m->rows[pick(KEYS)];
        if (pick(3) == 0 && elsewhere->there) {
            draw_content(elsewhere);
            assert_int_equal(store_put(t, &things, row_key(elsewhere), row_value(elsewhere, &value)), 0);
        }
    }
    assert_int_equal(store_cursor_error(c), 0);
    return 0; /* the cursor ends with the view */
}

static void a_walk_goes_on_while_its_transaction_writes(void **state)
{
    (void)state;
    static model m;
    fixture f;
    seed_state = 7;
    make_keys(&m);
    fixture_begin(&f, NULL);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < 6; i++)
            assert_int_equal(do_op(&f, 0, write_some, &m), 0);
        assert_int_equal(do_op(&f, 0, delete_while_walking, &m), 0);
        store_view *v = store_read_begin(f.store);
        compare_points(v, &m);
        compare_walks(v, &m, 1);
        store_read_end(v);
    }
    assert_int_equal(check_faults(f.store, NULL), 0);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_writes_agree_with_a_model),
        cmocka_unit_test(a_walk_goes_on_while_its_transaction_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
