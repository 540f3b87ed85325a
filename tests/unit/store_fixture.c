/* See store_fixture.h. */
#include "unit.h"

#include "store_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- things ---- */

static int thing_emit(str key, str value, store_emit *out)
{
    store_key k;
    size_t words = value.n >= 2 ? (unsigned char)value.p[1] : 0;
    if (value.n < 6 + words)
        return -EPROTO;
    store_emit_bucket(out, str_head(value, 1));
    for (size_t i = 0; i < words; i++) {
        store_key_init(&k);
        store_key_str(&k, str_of(value.p + 2 + i, 1));
        store_key_tail(&k, key);
        store_emit_entry(out, BY_WORD, store_key_view(&k), STR_NULL);
        store_emit_bucket(out, STR("words"));
    }
    uint32_t number = 0;
    for (size_t i = 0; i < 4; i++)
        number = number << 8 | (unsigned char)value.p[2 + words + i];
    store_key_init(&k);
    store_key_u64(&k, number);
    store_key_tail(&k, key);
    store_emit_entry(out, BY_NUMBER, store_key_view(&k), str_head(value, 1));
    return 0;
}

static const char *const thing_indexes[] = {[BY_NUMBER] = "by_number", [BY_WORD] = "by_word"};
keyspace things = {.name = "things", .indexes = thing_indexes, .n_indexes = 2, .emit = thing_emit, .emit_version = 1};
keyspace plain = {.name = "plain"};

str thing_value(const thing *t, buf *out)
{
    buf_reset(out);
    buf_char(out, t->colour);
    buf_char(out, (char)t->words.n);
    buf_str(out, t->words);
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_char(out, (char)(unsigned char)(t->number >> shift));
    buf_str(out, t->rest);
    assert_int_equal(out->err, 0);
    return buf_view(out);
}

/* ---- folder, loop, store ---- */

static keyspace *const all_keyspaces[] = {&things, &plain};
const store_options fixture_options = {
    .max_size = 64 * MIB,
    .keyspaces = all_keyspaces,
    .n_keyspaces = 2,
    .schema_version = 1,
    .probe_ms = 20,
};

void scratch_folder(char out[64])
{
    const char *base = getenv("TMPDIR");
    snprintf(out, 64, "%.40s/larder-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(out));
}

void remove_folder(const char *dir)
{
    char path[512];
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        if (e->d_name[0] != '.' && unlink(path) != 0)
            remove_folder(path);
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}

void fixture_open(fixture *f, const store_options *o)
{
    store_options with_dir = o ? *o : fixture_options;
    str why = STR_NULL;
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    with_dir.dir = f->dir;
    f->closed = false;
    int r = store_open(&with_dir, f->loop, &a, &f->store, &why);
    if (r < 0)
        fail_msg("store_open: " STR_FMT, STR_ARG(why));
}

void fixture_begin(fixture *f, const store_options *o)
{
    *f = (fixture){0};
    scratch_folder(f->dir);
    assert_int_equal(loop_new(clk_real(), 1, &f->loop), 0);
    fixture_open(f, o);
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

void fixture_close(fixture *f)
{
    store_close(f->store, on_closed, &f->closed);
    turn_until(f, &f->closed);
    f->store = NULL;
}

void fixture_end(fixture *f)
{
    if (f->store)
        fixture_close(f);
    loop_free(f->loop);
    remove_folder(f->dir);
}

static void on_too_late(timer *t)
{
    (void)t;
    fail_msg("what was waited for did not happen");
}

void turn_until(fixture *f, const bool *flag)
{
    timer limit = {0};
    assert_int_equal(loop_timer_set(f->loop, &limit, SECONDS(20), on_too_late), 0);
    while (!*flag)
        loop_run_once(f->loop, true);
    loop_timer_cancel(f->loop, &limit);
}

/* ---- ops ---- */

static int apply_fn(store_txn *t, store_op *op)
{
    test_op *o = CONTAINER_OF(op, test_op, op);
    o->calls++;
    return o->fn(t, o);
}

static void on_done(store_op *op, int status)
{
    test_op *o = CONTAINER_OF(op, test_op, op);
    assert_false(o->done);
    o->done = true;
    o->status = status;
}

void test_op_submit(store *s, test_op *o, int (*fn)(store_txn *t, test_op *o), void *arg)
{
    o->op.apply = apply_fn;
    o->op.done = on_done;
    o->fn = fn;
    o->arg = arg;
    o->done = false;
    store_submit(s, &o->op);
    assert_false(o->done);
}

void test_op_wait(fixture *f, test_op *o)
{
    turn_until(f, &o->done);
}

int do_op(fixture *f, unsigned flags, int (*fn)(store_txn *t, test_op *o), void *arg)
{
    test_op o = {.op.flags = flags};
    test_op_submit(f->store, &o, fn, arg);
    test_op_wait(f, &o);
    return o.status;
}

typedef struct row {
    const keyspace *ks;
    str key, value;
} row;

static int put_row(store_txn *t, test_op *o)
{
    const row *r = o->arg;
    return store_put(t, r->ks, r->key, r->value);
}

static int del_row(store_txn *t, test_op *o)
{
    const row *r = o->arg;
    return store_del(t, r->ks, r->key);
}

int do_put(fixture *f, const keyspace *ks, str key, str value)
{
    row r = {ks, key, value};
    return do_op(f, 0, put_row, &r);
}

int do_del(fixture *f, const keyspace *ks, str key)
{
    row r = {.ks = ks, .key = key};
    return do_op(f, STORE_FREES, del_row, &r);
}

/* ---- check ---- */

static void add_line(void *arg, const char *text)
{
    buf *out = arg;
    if (out)
        buf_printf(out, "%s\n", text);
    else
        print_message("check: %s\n", text);
}

int check_faults(store *s, buf *out)
{
    return store_check(s, add_line, out);
}
