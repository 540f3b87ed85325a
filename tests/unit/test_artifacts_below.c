/* Opening below a root, with the kernel's help and without. */
#include "unit.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domains/artifacts/below.h"

static char top[] = "/tmp/larder-below-XXXXXX";
static int root;

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(top));
    int at = open(top, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkdirat(at, "root", 0755) | mkdirat(at, "root/a", 0755) | mkdirat(at, "root/a/b", 0755), 0);
    close(openat(at, "root/a/b/file", O_CREAT | O_WRONLY, 0644));
    close(openat(at, "outside", O_CREAT | O_WRONLY, 0644));
    assert_int_equal(symlinkat("a/b", at, "root/inner"), 0);
    assert_int_equal(symlinkat("../outside", at, "root/out"), 0);
    assert_int_equal(symlinkat("/etc", at, "root/absolute"), 0);
    assert_int_equal(mkfifoat(at, "root/fifo", 0644), 0);
    root = openat(at, "root", O_RDONLY | O_DIRECTORY);
    close(at);
    return root < 0;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const files[] = {"a/b/file", "inner", "out", "absolute", "fifo", "../outside"};
    static const char *const folders[] = {"a/b", "a"};
    for (size_t i = 0; i < COUNT_OF(files); i++)
        unlinkat(root, files[i], 0);
    for (size_t i = 0; i < COUNT_OF(folders); i++)
        unlinkat(root, folders[i], AT_REMOVEDIR);
    int above = openat(root, "..", O_RDONLY | O_DIRECTORY);
    unlinkat(above, "root", AT_REMOVEDIR);
    close(above);
    close(root);
    return rmdir(top);
}

/* 0 when it opens, and closes it. */
static int opens(const char *path)
{
    int fd = below_open(root, path, O_RDONLY);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

static bool stays_below(void)
{
    return opens(".") == 0 && opens("a/b/file") == 0 && opens("a/b") == 0 && opens("fifo") == 0 &&
           below_is_absent(opens("missing")) && below_is_absent(opens("a/b/file/x")) && below_is_absent(opens("out")) &&
           below_is_absent(opens("absolute/passwd")) && below_is_absent(opens("../outside")) &&
           below_is_absent(opens("a/../../outside")) && below_is_absent(opens("/etc/passwd"));
}

static void nothing_outside_is_opened_and_a_fifo_does_not_wait(void **state)
{
    (void)state;
    assert_true(stays_below());
    assert_int_equal(opens("inner/file"), 0);
}

/* From now on, in this process, the kernel knows no openat2. */
static int forbid_openat2(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT_OF(code), code};
    int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return r < 0 ? r : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void without_openat2_no_link_is_followed(void **state)
{
    (void)state;
    enum { FINE = 0, WRONG = 1, NO_FILTER = 77 };
    pid_t child = fork();
    if (child == 0) {
        if (forbid_openat2() < 0)
            _exit(NO_FILTER);
        _exit(stays_below() && below_is_absent(opens("inner/file")) ? FINE : WRONG);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_FILTER)
        skip();
    assert_int_equal(WEXITSTATUS(status), FINE);
}

static void a_file_is_read_whole_or_not_at_all(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    int fd = openat(root, "a/b/file", O_WRONLY);
    assert_int_equal(write(fd, "12345", 5), 5);
    close(fd);
    str text;
    assert_int_equal(below_read(&a, root, "a/b/file", 5, &text), 0);
    assert_str(text, "12345");
    assert_int_equal(below_read(&a, root, "a/b/file", 4, &text), -EFBIG);
    assert_int_equal(below_read(&a, root, "a/b", 4, &text), -EINVAL);
    assert_int_equal(below_read(&a, root, "fifo", 4, &text), -EINVAL);
    assert_int_equal(below_read(&a, root, "missing", 4, &text), -ENOENT);
    arena_done(&a);
}

static void a_folder_lists_files_folders_and_links_by_name(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    folder_entries entries;
    assert_int_equal(below_list(&a, root, ".", &entries), 0);
    assert_int_equal(entries.n, 4);
    assert_str(entries.v[0].name, "a");
    assert_int_equal(entries.v[0].kind, ENTRY_FOLDER);
    assert_str(entries.v[1].name, "absolute");
    assert_int_equal(entries.v[1].kind, ENTRY_LINK);
    assert_str(entries.v[3].name, "out");
    assert_int_equal(below_list(&a, root, "a/b/file", &entries), -ENOTDIR);
    arena_done(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_outside_is_opened_and_a_fifo_does_not_wait),
        cmocka_unit_test(without_openat2_no_link_is_followed),
        cmocka_unit_test(a_file_is_read_whole_or_not_at_all),
        cmocka_unit_test(a_folder_lists_files_folders_and_links_by_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
