/* Error texts, the two assertions, lists. */
#include "unit.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void known_errors_have_lower_case_texts(void **state)
{
    (void)state;
    static const int known[] = {ENOENT,    EEXIST,    EBUSY,     EINVAL,       ENOMEM,       ENOSPC,    EFBIG,
                                ETIMEDOUT, ECANCELED, EPROTO,    ECONNREFUSED, EHOSTUNREACH, EMSGSIZE,  EACCES,
                                EPERM,     EROFS,     EOVERFLOW, EIO,          ECONNRESET,   EPIPE,     EMFILE,
                                ENFILE,    ERANGE,    ENOSYS,    EBADMSG,      EAGAIN,       EADDRINUSE};
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        const char *text = err_text(-known[i]);
        assert_true(text[0] >= 'a' && text[0] <= 'z');
        assert_string_not_equal(text, "unknown error");
        for (size_t j = 0; j < i; j++) /* told apart from each other */
            assert_string_not_equal(text, err_text(-known[j]));
    }
    assert_string_equal(err_text(-ENOSPC), "no space left on device");
    assert_string_equal(err_text(0), "no error");
}

static void rare_errors_have_the_systems_text_and_others_none(void **state)
{
    (void)state;
    assert_string_equal(err_text(-EXFULL), "Exchange full");
    static const int none[] = {-4095, -100000, INT_MIN, INT_MAX, 1, ENOENT};
    for (size_t i = 0; i < COUNT_OF(none); i++)
        assert_string_equal(err_text(none[i]), "unknown error");
}

/* Runs fn in a child with its standard error shut off; true when it was aborted. */
static bool aborts(void (*fn)(void))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void require_false(void)
{
    REQUIRE(1 + 1 == 3);
}

static void require_true(void)
{
    REQUIRE(1 + 1 == 2);
}

static void expect_false(void)
{
    if (EXPECT(1 + 1 == 3) || base_expect_failures() != 1)
        raise(SIGKILL);
    const char *last = base_expect_last();
    if (!strstr(last, "test_base_err.c:64: ") || !strstr(last, ": 1 + 1 == 3"))
        raise(SIGKILL);
}

static void require_aborts_and_expect_only_where_bugs_are_hunted(void **state)
{
    (void)state;
    assert_true(aborts(require_false));
    assert_false(aborts(require_true));
    assert_true(EXPECT(1 + 1 == 2));
    assert_int_equal(base_expect_failures(), 0);
#ifdef NDEBUG
    assert_false(aborts(expect_false));
#else
    assert_true(aborts(expect_false));
#endif
}

typedef struct item {
    int n;
    list link;
} item;

static void lists_keep_their_order_and_take_items_out_anywhere(void **state)
{
    (void)state;
    list head;
    item items[4] = {{.n = 0}, {.n = 1}, {.n = 2}, {.n = 3}};
    list_init(&head);
    assert_true(list_empty(&head));
    assert_null(list_pop(&head));
    for (int i = 0; i < 4; i++)
        list_push(&head, &items[i].link);
    list_remove(&items[1].link);
    list_remove(&items[1].link); /* harmless */
    list_remove(&items[3].link);
    assert_int_equal(CONTAINER_OF(list_pop(&head), item, link)->n, 0);
    assert_int_equal(CONTAINER_OF(list_pop(&head), item, link)->n, 2);
    assert_true(list_empty(&head));
}

static int scoped_value;

static void note_scoped(int **n)
{
    **n = -1;
}

static void scoped_runs_its_destructor_at_the_end_of_the_block(void **state)
{
    (void)state;
    scoped_value = 5;
    {
        SCOPED(note_scoped)
        int *p = &scoped_value;
        assert_int_equal(*p, 5);
    }
    assert_int_equal(scoped_value, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_errors_have_lower_case_texts),
        cmocka_unit_test(rare_errors_have_the_systems_text_and_others_none),
        cmocka_unit_test(require_aborts_and_expect_only_where_bugs_are_hunted),
        cmocka_unit_test(lists_keep_their_order_and_take_items_out_anywhere),
        cmocka_unit_test(scoped_runs_its_destructor_at_the_end_of_the_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
