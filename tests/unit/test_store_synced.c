/* What is made anew outlives a power cut: the names of files, and of the folder they are in, are synced too. */
#include "unit.h"

#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- which folders were synced: in this program the store's calls come here ---- */
static struct stat synced[16];
static size_t n_synced;
static int error_of_folders; /* what syncing one says */

int fsync(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    if (error_of_folders && S_ISDIR(st.st_mode)) {
        errno = error_of_folders;
        return -1;
    }
    if (n_synced < COUNT_OF(synced))
        synced[n_synced++] = st;
    return (int)syscall(SYS_fsync, fd);
}

static bool was_synced(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (size_t i = 0; i < n_synced; i++)
        if (synced[i].st_dev == st.st_dev && synced[i].st_ino == st.st_ino)
            return true;
    return false;
}

/* ---- tests ---- */
typedef struct folder {
    char dir[64], data[80], copy[80];
    arena a;
} folder;

static int try_open(folder *d, store **ret_store)
{
    store_options o = fixture_options;
    str why;
    o.dir = d->data;
    n_synced = 0;
    return store_open(&o, NULL, &d->a, ret_store, &why);
}

static store *open_store(folder *d)
{
    store *s = NULL;
    assert_int_equal(try_open(d, &s), 0);
    return s;
}

static bool is_in(const char *dir, const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void a_new_stores_names_are_synced(void **state)
{
    folder *d = *state;
    store_close(open_store(d), NULL, NULL);
    assert_true(was_synced(d->data));
    assert_true(was_synced(d->dir));
    store_close(open_store(d), NULL, NULL);
    assert_int_equal(n_synced, 0); /* nothing is new the second time */
}

static void a_backups_names_are_synced(void **state)
{
    folder *d = *state;
    store *s = open_store(d);
    n_synced = 0;
    assert_int_equal(store_backup(s, d->copy), 0);
    store_close(s, NULL, NULL);
    assert_true(was_synced(d->copy));
    assert_true(was_synced(d->dir));
}

static void a_file_system_that_cannot_sync_folders_is_no_hindrance(void **state)
{
    static const int errors[] = {EINVAL, EROFS};
    folder *d = *state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        (void)snprintf(d->data, sizeof(d->data), "%s/data%zu", d->dir, i);
        (void)snprintf(d->copy, sizeof(d->copy), "%s/copy%zu", d->dir, i);
        error_of_folders = errors[i];
        store *s = open_store(d);
        assert_int_equal(store_backup(s, d->copy), 0);
        store_close(s, NULL, NULL);
        assert_true(is_in(d->copy, "data.mdb"));
    }
}

static void what_could_not_be_synced_is_not_left_there(void **state)
{
    folder *d = *state;
    store *s = NULL;
    for (int i = 0; i < 2; i++) { /* the second time as the first */
        error_of_folders = EIO;
        assert_int_equal(try_open(d, &s), -EIO);
        assert_false(is_in(d->data, "data.mdb"));
    }
    error_of_folders = 0;
    s = open_store(d);
    error_of_folders = EIO;
    assert_int_equal(store_backup(s, d->copy), -EIO);
    assert_false(is_in(d->copy, "data.mdb"));
    assert_false(is_in(d->copy, "data.mdb.part"));
    error_of_folders = 0;
    assert_int_equal(store_backup(s, d->copy), 0); /* no -EEXIST */
    store_close(s, NULL, NULL);
}

static int begin(void **state)
{
    static folder d;
    scratch_folder(d.dir);
    (void)snprintf(d.data, sizeof(d.data), "%s/data", d.dir);
    (void)snprintf(d.copy, sizeof(d.copy), "%s/copy", d.dir);
    arena_init(&d.a, 0);
    error_of_folders = 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_stores_names_are_synced, begin, end),
        cmocka_unit_test_setup_teardown(a_backups_names_are_synced, begin, end),
        cmocka_unit_test_setup_teardown(a_file_system_that_cannot_sync_folders_is_no_hindrance, begin, end),
        cmocka_unit_test_setup_teardown(what_could_not_be_synced_is_not_left_there, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
