/* The check finds what was broken behind the store's back, and names it; and a backup is a store that
 * stands the check. */
#include "unit.h"

#include "store_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static char A[] = "a", B[] = "b", C[] = "c";

static int put_thing(store_txn *t, test_op *o)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    thing content = {'r', STR("xy"), 40, STR("rest")};
    return store_put(t, &things, str_c(o->arg), thing_value(&content, &value));
}

static void put_three(fixture *f)
{
    assert_int_equal(do_op(f, 0, put_thing, A), 0);
    assert_int_equal(do_op(f, 0, put_thing, B), 0);
    assert_int_equal(do_op(f, 0, put_thing, C), 0);
}

/* ---- writing past the store, while it is closed: `value` null deletes the row, `key` null all rows ---- */

static void raw_with(fixture *f, const store_options *o, const char *table, str key, str value)
{
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    MDB_val k = {key.n, (void *)(uintptr_t)key.p}, v = {value.n, (void *)(uintptr_t)value.p};
    fixture_close(f);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 4), 0);
    assert_int_equal(mdb_env_open(env, f->dir, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    if (!key.p)
        assert_int_equal(mdb_drop(txn, dbi, 0), 0);
    else
        assert_int_equal(value.p ? mdb_put(txn, dbi, &k, &v, 0) : mdb_del(txn, dbi, &k, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    fixture_open(f, o);
}

static void raw(fixture *f, const char *table, str key, str value)
{
    raw_with(f, NULL, table, key, value);
}

static void faults_are(fixture *f, const char *wanted)
{
    SCOPED(buf_done)
    buf lines = BUF_INIT;
    int n = 0, faults = check_faults(f->store, &lines);
    for (const char *p = wanted; *p; p++)
        n += *p == '\n';
    if (!str_eq(buf_view(&lines), str_c(wanted)))
        fail_msg("the check said:\n" STR_FMT, STR_ARG(buf_view(&lines)));
    assert_int_equal(faults, n);
}

#define NUMBER_40 "\0\0\0\0\0\0\0\50"

static void a_missing_entry_is_named(void **state)
{
    fixture *f = *state;
    raw(f, "i:things:by_word", STR("x\0\0b"), STR_NULL);
    faults_are(f, "things: index by_word: lacks entry \"x\\x00\\x00b\" of record \"b\"\n");
}

static void a_cover_that_differs_is_named(void **state)
{
    fixture *f = *state;
    raw(f, "i:things:by_number", STR(NUMBER_40 "b"), STR("\1\0g"));
    faults_are(f, "things: index by_number: another cover than emitted, "
                  "entry \"\\x00\\x00\\x00\\x00\\x00\\x00\\x00(b\" of record \"b\"\n");
}

static void entries_nobody_emits_are_named(void **state)
{
    fixture *f = *state;
    raw(f, "i:things:by_word", STR("z\0\0b"), STR("\1\0"));
    raw(f, "i:things:by_word", STR("z\0\0gone"), STR("\4\0"));
    faults_are(f, "things: index by_word: no longer emitted, entry \"z\\x00\\x00b\"\n"
                  "things: index by_word: without a record, entry \"z\\x00\\x00gone\"\n");
}

static void a_row_that_is_no_entry_is_named(void **state)
{
    fixture *f = *state;
    raw(f, "i:things:by_word", STR("zz"), STR("\7\0"));
    faults_are(f, "things: index by_word: holds a row that is no entry\n");
}

static void a_lost_record_shows_everywhere(void **state)
{
    fixture *f = *state;
    raw(f, "r:things", STR("b"), STR_NULL);
    faults_are(f, "things: index by_number: without a record, entry \"\\x00\\x00\\x00\\x00\\x00\\x00\\x00(b\"\n"
                  "things: index by_word: without a record, entry \"x\\x00\\x00b\"\n"
                  "things: index by_word: without a record, entry \"y\\x00\\x00b\"\n"
                  "things: tally \"r\" says 3, there are 2\n"
                  "things: tally \"words\" says 6, there are 4\n");
}

static void a_record_that_cannot_be_read_is_named(void **state)
{
    fixture *f = *state;
    SCOPED(buf_done)
    buf lines = BUF_INIT;
    raw(f, "r:things", STR("b"), STR("?"));
    assert_true(check_faults(f->store, &lines) > 1);
    assert_true(str_starts(buf_view(&lines), STR("things: can't be read (")));
    assert_true(str_find(buf_view(&lines), STR("): record \"b\"\n")) > 0);
}

static void wrong_missing_and_superfluous_tallies_are_named(void **state)
{
    fixture *f = *state;
    raw(f, "sums", STR("things\0\0tr"), STR("\0\0\0\0\0\0\0\11"));
    raw(f, "sums", STR("things\0\0twords"), STR_NULL);
    raw(f, "sums", STR("things\0\0tnone"), STR("\0\0\0\0\0\0\0\1"));
    faults_are(f, "things: tally \"none\" says 1, there are 0\n"
                  "things: tally \"r\" says 9, there are 3\n"
                  "things: tally \"words\" says 0, there are 6\n");
}

static void a_sound_store_has_no_faults(void **state)
{
    faults_are(*state, "");
}

/* ---- tallies of more buckets than are held at once ---- */

enum { MANY = 150000 };

static int many_emit(str key, str value, store_emit *out)
{
    (void)value;
    store_emit_bucket(out, key);
    return 0;
}
static keyspace many = {.name = "many", .emit = many_emit, .emit_version = 1};
static keyspace *const with_many[] = {&things, &plain, &many};

static int put_many(store_txn *t, test_op *o)
{
    char key[24];
    int r = 0;
    while (r == 0 && o->op.at < MANY && !store_txn_is_full(t)) {
        snprintf(key, sizeof(key), "%08u", (unsigned)o->op.at++);
        r = store_put(t, &many, str_c(key), STR("1"));
    }
    return r < 0 || o->op.at == MANY ? r : STORE_MORE;
}

static void many_tallies_are_checked_in_parts(void **state)
{
    fixture f;
    store_options o = fixture_options;
    (void)state;
    o.keyspaces = with_many;
    o.n_keyspaces = 3;
    fixture_begin(&f, &o);
    assert_int_equal(do_op(&f, STORE_JOINS, put_many, NULL), 0);
    store_view *v = store_read_begin(f.store);
    assert_int_equal(store_count(v, &many), MANY);
    assert_int_equal(store_tally(v, &many, STR("00077777")), 1);
    store_read_end(v);
    assert_int_equal(check_faults(f.store, NULL), 0);
    SCOPED(buf_done)
    buf lines = BUF_INIT;
    raw_with(&f, &o, "sums", STR_NULL, STR_NULL); /* now it can't foresee how many there are */
    assert_int_equal(check_faults(f.store, &lines), MANY);
    fixture_end(&f);
}

/* ---- backup ---- */

static int put_next(store_txn *t, test_op *o)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    char key[24];
    unsigned *n = o->arg;
    thing content = {'b', STR("q"), *n, STR("some bytes")};
    snprintf(key, sizeof(key), "next-%06u", (*n)++);
    return store_put(t, &things, str_c(key), thing_value(&content, &value));
}

typedef struct backup_job {
    job j;
    store *s;
    const char *dir;
    int result;
    bool done;
} backup_job;

static void backup_work(job *j)
{
    backup_job *b = CONTAINER_OF(j, backup_job, j);
    b->result = store_backup(b->s, b->dir);
}

static void backup_done(job *j, int status)
{
    backup_job *b = CONTAINER_OF(j, backup_job, j);
    assert_int_equal(status, 0);
    b->done = true;
}

static void a_backup_taken_while_writing_is_whole_and_has_its_own_id(void **state)
{
    fixture *f = *state;
    unsigned n = 0;
    char dir[96];
    snprintf(dir, sizeof(dir), "%s/copy", f->dir);
    backup_job b = {.s = f->store, .dir = dir};
    for (int i = 0; i < 200; i++)
        assert_int_equal(do_op(f, 0, put_next, &n), 0);
    assert_int_equal(loop_job(f->loop, &b.j, backup_work, backup_done), 0);
    while (!b.done)
        assert_int_equal(do_op(f, 0, put_next, &n), 0);
    assert_int_equal(b.result, 0);
    assert_int_equal(store_backup(f->store, dir), -EEXIST);

    SCOPED(arena_done)
    arena a;
    store *copy;
    store_options o = fixture_options;
    arena_init(&a, 0);
    o.dir = dir;
    o.read_only = true;
    assert_int_equal(store_open(&o, NULL, &a, &copy, NULL), 0);
    assert_true(store_id(copy) != store_id(f->store));
    store_view *v = store_read_begin(copy);
    assert_true(store_count(v, &things) >= 3 + 200 && store_count(v, &things) <= 3 + n);
    store_read_end(v);
    assert_int_equal(check_faults(copy, NULL), 0);
    store_close(copy, NULL, NULL);
    o.read_only = false; /* and it can be written to */
    assert_int_equal(store_open(&o, NULL, &a, &copy, NULL), 0);
    store_close(copy, NULL, NULL);
}

static void note_no_line(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

static void a_backup_that_fails_leaves_nothing(void **state)
{
    fixture *f = *state;
    char dir[96], path[128];
    struct stat st;
    snprintf(dir, sizeof(dir), "%s/no/such", f->dir);
    assert_int_equal(store_backup(f->store, dir), -ENOENT);
    snprintf(dir, sizeof(dir), "%s/copy", f->dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    mem_fail_at(0);
    assert_int_equal(store_backup(f->store, dir), -ENOMEM);
    mem_fail_at(-1);
    snprintf(path, sizeof(path), "%s/data.mdb.part", dir);
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(store_backup(f->store, dir), 0);
}

static void two_backups_do_not_write_one_file(void **state)
{
    fixture *f = *state;
    char dir[96], path[128], text[8] = "";
    struct stat st;
    snprintf(dir, sizeof(dir), "%s/copy", f->dir);
    snprintf(path, sizeof(path), "%s/data.mdb.part", dir);
    assert_int_equal(mkdir(dir, 0700), 0);
    const int other = open(path, O_RDWR | O_CREAT, 0600); /* another one's, and he is at it */
    assert_int_equal(flock(other, LOCK_EX), 0);
    assert_int_equal(write(other, "his", 3), 3);
    assert_int_equal(store_backup(f->store, dir), -EBUSY);
    assert_int_equal(pread(other, text, sizeof(text), 0), 3);
    assert_string_equal(text, "his");
    close(other); /* he was cut off: what is left of his stands in nobody's way */
    assert_int_equal(store_backup(f->store, dir), 0);
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(store_backup(f->store, dir), -EEXIST);
    assert_int_equal(stat(path, &st), -1);
}

static int (*usual_emit)(str key, str value, store_emit *out);
static int emits_left;
static int emit_or_no_memory(str key, str value, store_emit *out)
{
    return emits_left-- == 0 ? -ENOMEM : usual_emit(key, value, out);
}

static void without_memory_nothing_sound_is_called_a_fault(void **state)
{
    fixture *f = *state;
    int faults = -ENOMEM;
    raw(f, "i:things:by_word", STR("z\0\0gone"), STR("\4\0")); /* so that all entries of it are looked at */
    usual_emit = things.emit;
    things.emit = emit_or_no_memory;
    for (int nth = 0; faults == -ENOMEM; nth++) {
        emits_left = nth;
        faults = store_check(f->store, note_no_line, NULL);
    }
    things.emit = usual_emit;
    assert_int_equal(faults, 1);
}

static int begin(void **state)
{
    static fixture f;
    fixture_begin(&f, NULL);
    put_three(&f);
    *state = &f;
    return 0;
}

static int end(void **state)
{
    fixture_end(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sound_store_has_no_faults),
        TEST(a_missing_entry_is_named),
        TEST(a_cover_that_differs_is_named),
        TEST(entries_nobody_emits_are_named),
        TEST(a_row_that_is_no_entry_is_named),
        TEST(a_lost_record_shows_everywhere),
        TEST(a_record_that_cannot_be_read_is_named),
        TEST(wrong_missing_and_superfluous_tallies_are_named),
        cmocka_unit_test(many_tallies_are_checked_in_parts),
        TEST(a_backup_taken_while_writing_is_whole_and_has_its_own_id),
        TEST(a_backup_that_fails_leaves_nothing),
        TEST(two_backups_do_not_write_one_file),
        TEST(without_memory_nothing_sound_is_called_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
