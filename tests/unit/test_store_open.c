/* Opening: what is made, refused, migrated, rebuilt; who may have it open beside whom. */
#include "unit.h"

#include "store_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct folder {
    char dir[64];
    arena a;
    str why;
} folder;

static int open_without_loop(folder *d, store_options o, store **ret_store)
{
    o.dir = d->dir;
    d->why = STR_NULL;
    return store_open(&o, NULL, &d->a, ret_store, &d->why);
}

static store *must_open(folder *d, store_options o)
{
    store *s = NULL;
    int r = open_without_loop(d, o, &s);
    if (r < 0)
        fail_msg("store_open: " STR_FMT, STR_ARG(d->why));
    return s;
}

static void refused(folder *d, store_options o, int wanted, const char *part_of_why)
{
    store *s = NULL;
    assert_int_equal(open_without_loop(d, o, &s), wanted);
    assert_null(s);
    assert_true(str_find(d->why, str_c(part_of_why)) >= 0);
}

static void close_store(store *s)
{
    store_close(s, NULL, NULL);
}

/* ---- writing without a loop ---- */

static int put_thing(store_txn *t, test_op *o)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    thing content = {'r', STR("xy"), 40, STR_NULL};
    return store_put(t, &things, str_c(o->arg), thing_value(&content, &value));
}

static int apply_fn(store_txn *t, store_op *op)
{
    test_op *o = CONTAINER_OF(op, test_op, op);
    o->calls++;
    return o->fn(t, o);
}

static int run(store *s, int (*fn)(store_txn *t, test_op *o), void *arg)
{
    test_op o = {.op.apply = apply_fn, .fn = fn, .arg = arg};
    return store_run(s, &o.op);
}

static int put_three(store *s)
{
    char a[] = "a", b[] = "b", c[] = "c";
    int r = run(s, put_thing, a);
    if (r == 0)
        r = run(s, put_thing, b);
    return r < 0 ? r : run(s, put_thing, c);
}

static uint64_t count_index(store *s, int index)
{
    store_cursor *c;
    store_item item;
    uint64_t n = 0;
    store_view *v = store_read_begin(s);
    assert_int_equal(store_walk(v, &things, index, STR_NULL, STR_NULL, false, &c), 0);
    while (store_next(c, &item))
        n++;
    assert_int_equal(store_cursor_error(c), 0);
    store_read_end(v);
    return n;
}

/* ---- tests ---- */

static void a_store_is_made_private_and_keeps_its_id(void **state)
{
    folder *d = *state;
    struct stat st;
    assert_int_equal(rmdir(d->dir), 0);
    store *s = must_open(d, fixture_options);
    uint64_t id = store_id(s);
    close_store(s);
    assert_int_equal(stat(d->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    char path[128];
    snprintf(path, sizeof(path), "%s/data.mdb", d->dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    s = must_open(d, fixture_options);
    assert_int_equal(store_id(s), id);
    close_store(s);
}

static void bad_options_are_refused(void **state)
{
    folder *d = *state;
    keyspace colon = {.name = "a:b"}, twin = {.name = "plain"}, nameless = {.name = ""};
    static const char *const names[] = {"x"};
    keyspace no_emit = {.name = "no_emit", .indexes = names, .n_indexes = 1};
    keyspace *const bad[] = {&colon, &nameless, &no_emit, &twin};
    store *s;
    store_options o = fixture_options;
    o.max_size = 1000;
    assert_int_equal(open_without_loop(d, o, &s), -EINVAL);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        keyspace *const two[] = {&plain, bad[i]};
        o = fixture_options;
        o.keyspaces = two;
        assert_int_equal(open_without_loop(d, o, &s), -EINVAL);
    }
}

static void read_only_needs_a_store_and_cannot_write(void **state)
{
    folder *d = *state;
    store_options ro = fixture_options;
    ro.read_only = true;
    refused(d, ro, -ENOENT, "there is no store");
    store_options there = fixture_options;
    there.must_exist = true;
    refused(d, there, -ENOENT, "there is no store");
    store *s = must_open(d, fixture_options);
    assert_int_equal(put_three(s), 0);
    close_store(s);
    s = must_open(d, ro);
    assert_int_equal(put_three(s), -EROFS);
    assert_int_equal(count_index(s, BY_WORD), 6);
    assert_int_equal(check_faults(s, NULL), 0);
    close_store(s);
}

static void what_is_no_store_is_refused(void **state)
{
    folder *d = *state;
    char path[128], page[8192];
    memset(page, 'x', sizeof(page));
    snprintf(path, sizeof(path), "%s/data.mdb", d->dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
    close(fd);
    refused(d, fixture_options, -EPROTO, "is no store");
    refused(d, fixture_options, -EPROTO, d->dir);
}

static void data_path(const folder *d, char out[128])
{
    snprintf(out, 128, "%s/data.mdb", d->dir);
}

static void a_file_that_is_cut_short_is_refused(void **state)
{
    folder *d = *state;
    char path[128];
    struct stat st;
    data_path(d, path);
    store *s = must_open(d, fixture_options);
    assert_int_equal(put_three(s), 0);
    close_store(s);
    assert_int_equal(stat(path, &st), 0);
    for (int page = 1; page >= 0; page--) { /* by a byte, and down to the one with LMDB's name on it */
        assert_int_equal(truncate(path, page ? st.st_size - 1 : 4096), 0);
        refused(d, fixture_options, -EPROTO, "cut short");
    }
    assert_int_equal(truncate(path, 0), 0);
    refused(d, fixture_options, -EPROTO, "is empty");
}

static int put_and_take_back(store_txn *t, test_op *o)
{
    static char large[1 << 18];
    (void)o;
    int r = store_put(t, &plain, STR("large"), str_of(large, sizeof(large)));
    if (r == 0)
        r = store_put(t, &plain, STR("small"), STR("stays"));
    return r < 0 ? r : store_del(t, &plain, STR("large"));
}

static void a_file_that_lacks_only_pages_that_were_never_written_is_whole(void **state)
{
    folder *d = *state;
    char path[128];
    struct stat st;
    MDB_env *env;
    MDB_envinfo info;
    data_path(d, path);
    store *s = must_open(d, fixture_options);
    assert_int_equal(put_three(s), 0); /* leaves free pages: LMDB then notes what is freed at once */
    assert_int_equal(run(s, put_and_take_back, NULL), 0);
    close_store(s);

    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_open(env, d->dir, MDB_RDONLY, 0600), 0);
    mdb_env_info(env, &info);
    mdb_env_close(env);
    assert_int_equal(stat(path, &st), 0);
    assert_true((uint64_t)st.st_size < (info.me_last_pgno + 1) * 4096); /* else there is nothing to show here */

    s = must_open(d, fixture_options);
    assert_int_equal(count_index(s, BY_WORD), 6);
    assert_int_equal(check_faults(s, NULL), 0);
    close_store(s);
}

static void another_programs_database_is_refused(void **state)
{
    folder *d = *state;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 1), 0);
    assert_int_equal(mdb_env_open(env, d->dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "other", MDB_CREATE, &dbi), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    refused(d, fixture_options, -EPROTO, "not a store of this program");
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    folder *d = *state, other = {.a = d->a};
    snprintf(other.dir, sizeof(other.dir), "%.50s/no/such", d->dir);
    refused(&other, fixture_options, -ENOENT, "no/such: the folder can't be created");
    d->a = other.a;
}

static void a_newer_schema_is_refused(void **state)
{
    folder *d = *state;
    store_options newer = fixture_options;
    newer.schema_version = 2;
    close_store(must_open(d, newer));
    refused(d, fixture_options, -EOVERFLOW, "newer version");
}

/* ---- migrations ---- */

static int migrate_calls;

/* Rewrites all things. */
static int one_to_two(store_txn *t)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    store_cursor *c;
    store_item item;
    thing content = {'g', STR("abc"), 3, STR("migrated")};
    migrate_calls++;
    int r = store_walk(store_txn_view(t), &things, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c);
    while (r == 0 && store_next(c, &item))
        r = store_put(t, &things, item.key, thing_value(&content, &value));
    return r;
}

static int two_to_three(store_txn *t)
{
    migrate_calls++;
    return store_put(t, &plain, STR("three"), STR("3"));
}

static int fails(store_txn *t)
{
    store_put(t, &plain, STR("trace"), STR("1"));
    return -EIO;
}

static void an_older_store_is_migrated_step_by_step(void **state)
{
    folder *d = *state;
    static const store_migration steps[] = {{2, two_to_three}, {1, one_to_two}};
    store_options three = fixture_options, ro;
    store *s = must_open(d, fixture_options);
    assert_int_equal(put_three(s), 0);
    close_store(s);

    three.schema_version = 3;
    three.migrations = steps;
    three.n_migrations = 2;
    ro = three;
    ro.read_only = true;
    refused(d, ro, -ESTALE, "upgraded");

    migrate_calls = 0;
    s = must_open(d, three);
    assert_int_equal(migrate_calls, 2);
    store_view *v = store_read_begin(s);
    assert_int_equal(store_tally(v, &things, STR("g")), 3);
    assert_int_equal(store_tally(v, &things, STR("r")), 0);
    assert_true(store_has(v, &plain, STR("three")));
    store_read_end(v);
    assert_int_equal(count_index(s, BY_WORD), 9);
    assert_int_equal(check_faults(s, NULL), 0);
    close_store(s);

    close_store(must_open(d, three));
    assert_int_equal(migrate_calls, 2);
    close_store(must_open(d, ro));
}

static void a_failed_migration_changes_nothing(void **state)
{
    folder *d = *state;
    static const store_migration bad[] = {{1, fails}};
    store_options two = fixture_options;
    close_store(must_open(d, fixture_options));
    two.schema_version = 2;
    two.migrations = bad;
    two.n_migrations = 1;
    refused(d, two, -EIO, "migrated");
    two.n_migrations = 0;
    refused(d, two, -EPROTO, "migrated");
    store *s = must_open(d, fixture_options);
    store_view *v = store_read_begin(s);
    assert_false(store_has(v, &plain, STR("trace")));
    store_read_end(v);
    close_store(s);
}

/* ---- rebuilding ---- */

static int (*usual_emit)(str key, str value, store_emit *out);

/* One entry less than before, one bucket more, and counts how often it is asked. */
static int emit_calls;
static int other_emit(str key, str value, store_emit *out)
{
    store_key k;
    emit_calls++;
    store_emit_bucket(out, STR("all"));
    store_key_init(&k);
    store_key_u64(&k, 1);
    store_key_tail(&k, key);
    store_emit_entry(out, BY_NUMBER, store_key_view(&k), str_head(value, 1));
    return 0;
}

static void a_changed_emitter_rebuilds_indexes_and_tallies(void **state)
{
    folder *d = *state;
    store *s = must_open(d, fixture_options);
    assert_int_equal(put_three(s), 0);
    close_store(s);

    usual_emit = things.emit;
    things.emit = other_emit;
    things.emit_version = 2;
    emit_calls = 0;
    s = must_open(d, fixture_options);
    assert_int_equal(emit_calls, 3);
    assert_int_equal(count_index(s, BY_WORD), 0);
    assert_int_equal(count_index(s, BY_NUMBER), 3);
    store_view *v = store_read_begin(s);
    assert_int_equal(store_tally(v, &things, STR("all")), 3);
    assert_int_equal(store_tally(v, &things, STR("r")), 0);
    assert_int_equal(store_tally(v, &things, STR("words")), 0);
    store_read_end(v);
    assert_int_equal(check_faults(s, NULL), 0);
    close_store(s);
    close_store(must_open(d, fixture_options));
    assert_int_equal(emit_calls, 3 + 2 * 3); /* the check's, which asks twice; opening again rebuilds nothing */

    things.emit = usual_emit;
    things.emit_version = 1;
    s = must_open(d, fixture_options);
    assert_int_equal(count_index(s, BY_WORD), 6);
    assert_int_equal(check_faults(s, NULL), 0);
    close_store(s);
}

/* Three rows each: more than one commit of a rebuilding writes. */
static int put_nine_thousand(store_txn *t, test_op *o)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    thing content = {'r', STR("xy"), 40, STR_NULL};
    char key[32];
    int r = 0;
    (void)o;
    for (int i = 0; i < 9000 && r == 0; i++) {
        snprintf(key, sizeof(key), "key-%05d", i);
        r = store_put(t, &things, str_c(key), thing_value(&content, &value));
    }
    return r;
}

static void a_rebuilding_of_many_records_takes_several_commits(void **state)
{
    folder *d = *state;
    store *s = must_open(d, fixture_options);
    assert_int_equal(run(s, put_nine_thousand, NULL), 0);
    close_store(s);
    things.emit_version = 2;
    s = must_open(d, fixture_options);
    assert_int_equal(count_index(s, BY_WORD), 18000);
    assert_int_equal(check_faults(s, NULL), 0);
    close_store(s);
    things.emit_version = 1;
}

/* ---- several processes ---- */

static void one_server_at_a_time(void **state)
{
    folder *d = *state;
    fixture f = {0};
    memcpy(f.dir, d->dir, sizeof(f.dir));
    assert_int_equal(loop_new(clk_real(), 1, &f.loop), 0);
    fixture_open(&f, NULL);

    store_options o = fixture_options;
    store *second;
    o.dir = d->dir;
    assert_int_equal(store_open(&o, f.loop, &d->a, &second, &d->why), -EBUSY);
    assert_true(str_find(d->why, STR("another server")) >= 0);

    fixture_close(&f);
    fixture_open(&f, NULL);
    fixture_close(&f);
    loop_free(f.loop);
}

static int begin(void **state)
{
    static folder d;
    scratch_folder(d.dir);
    arena_init(&d.a, 0);
    *state = &d;
    return 0;
}

static int end(void **state)
{
    folder *d = *state;
    arena_done(&d->a);
    remove_folder(d->dir);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_store_is_made_private_and_keeps_its_id),
        TEST(bad_options_are_refused),
        TEST(read_only_needs_a_store_and_cannot_write),
        TEST(what_is_no_store_is_refused),
        TEST(a_file_that_is_cut_short_is_refused),
        TEST(a_file_that_lacks_only_pages_that_were_never_written_is_whole),
        TEST(another_programs_database_is_refused),
        TEST(a_folder_that_cannot_be_made_is_named),
        TEST(a_newer_schema_is_refused),
        TEST(an_older_store_is_migrated_step_by_step),
        TEST(a_failed_migration_changes_nothing),
        TEST(a_changed_emitter_rebuilds_indexes_and_tallies),
        TEST(a_rebuilding_of_many_records_takes_several_commits),
        TEST(one_server_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
