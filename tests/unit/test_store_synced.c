/* What is made anew outlives a power cut: the names of files, and of the folder they are in, are synced too. */
#include "unit.h"

#include "store_fixture.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- which folders were synced: in this program the store's calls come here ---- */
static struct stat synced[16];
static size_t n_synced;

int fsync(int fd)
{
    if (n_synced < COUNT_OF(synced))
        assert_int_equal(fstat(fd, &synced[n_synced++]), 0);
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

static store *open_store(folder *d)
{
    store_options o = fixture_options;
    store *s = NULL;
    str why;
    o.dir = d->data;
    n_synced = 0;
    assert_int_equal(store_open(&o, NULL, &d->a, &s, &why), 0);
    return s;
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

static int begin(void **state)
{
    static folder d;
    scratch_folder(d.dir);
    (void)snprintf(d.data, sizeof(d.data), "%s/data", d.dir);
    (void)snprintf(d.copy, sizeof(d.copy), "%s/copy", d.dir);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_stores_names_are_synced, begin, end),
        cmocka_unit_test_setup_teardown(a_backups_names_are_synced, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
