/* The folders of pages outlive a power cut: their names are synced, and that of the folder that holds them. */
#include "unit.h"

#include "domains/recache/page_file.h"
#include "store_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- which folders were synced: in this program the room's calls come here ---- */
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

static void the_folders_names_are_synced(void **state)
{
    char dir[64], pages[80], last[96];
    struct stat st;

    (void)state;
    scratch_folder(dir);
    (void)snprintf(pages, sizeof(pages), "%s/pages", dir);
    (void)snprintf(last, sizeof(last), "%s/ff", pages);
    for (int i = 0; i < 2; i++) { /* the second time nothing is new, but who knows whether the first got so far */
        n_synced = 0;
        assert_int_equal(page_folders_make(str_c(pages)), 0);
        assert_int_equal(stat(last, &st), 0);
        assert_true(was_synced(pages));
        assert_true(was_synced(dir));
    }
    (void)snprintf(pages, sizeof(pages), "%s/none/pages", dir);
    assert_int_equal(page_folders_make(str_c(pages)), -ENOENT);
    remove_folder(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_folders_names_are_synced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
