/* Memory: sizes at the edges, and the injected failure that all other fault tests rely on. */
#include "unit.h"

static void zero_bytes_give_a_pointer(void **state)
{
    (void)state;
    void *a = mem_alloc(0), *b = mem_zalloc(0), *c = mem_realloc(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    void *d = mem_realloc(c, 0);
    assert_non_null(d);
    mem_free(a);
    mem_free(b);
    mem_free(d);
    mem_free(NULL);
}

static void zalloc_gives_zeros(void **state)
{
    (void)state;
    unsigned char zeros[100] = {0};
    void *p = mem_zalloc(sizeof(zeros));
    assert_memory_equal(p, zeros, sizeof(zeros));
    mem_free(p);
}

static void strndup_ends_with_nul_and_takes_null_for_nothing(void **state)
{
    (void)state;
    char *a = mem_strndup("abcdef", 3), *b = mem_strndup(NULL, 0);
    assert_string_equal(a, "abc");
    assert_string_equal(b, "");
    assert_null(mem_strndup("", SIZE_MAX));
    mem_free(a);
    mem_free(b);
}

static void exactly_the_nth_allocation_fails_and_only_once(void **state)
{
    (void)state;
    mem_fail_at(2);
    void *a = mem_alloc(1), *b = mem_zalloc(1);
    assert_non_null(a);
    assert_non_null(b);
    assert_false(mem_failed());
    assert_null(mem_realloc(a, 100)); /* a is still ours */
    assert_true(mem_failed());
    void *c = mem_alloc(1);
    assert_non_null(c);
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

static void each_kind_of_allocation_can_fail(void **state)
{
    (void)state;
    mem_fail_at(0);
    assert_null(mem_alloc(1));
    mem_fail_at(0);
    assert_null(mem_zalloc(1));
    mem_fail_at(0);
    assert_null(mem_realloc(NULL, 1));
    mem_fail_at(0);
    assert_null(mem_strndup("x", 1));
}

static void a_negative_number_switches_the_fault_off(void **state)
{
    (void)state;
    mem_fail_at(0);
    mem_fail_at(-7);
    void *p = mem_alloc(1);
    assert_non_null(p);
    assert_false(mem_failed());
    mem_free(p);
}

static void fault_rounds_end_with_an_untouched_one(void **state)
{
    (void)state;
    int rounds = 0, hits = 0;
    for (long nth = 0; unit_next_fault(&nth);) {
        void *a = mem_alloc(1), *b = mem_alloc(1);
        rounds++;
        hits += !a + !b;
        assert_int_equal(!a + !b, mem_failed());
        mem_free(a);
        mem_free(b);
    }
    assert_int_equal(rounds, 3);
    assert_int_equal(hits, 2);
    void *p = mem_alloc(1);
    assert_non_null(p); /* nothing is left armed */
    mem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_bytes_give_a_pointer),
        cmocka_unit_test(zalloc_gives_zeros),
        cmocka_unit_test(strndup_ends_with_nul_and_takes_null_for_nothing),
        cmocka_unit_test(exactly_the_nth_allocation_fails_and_only_once),
        cmocka_unit_test(each_kind_of_allocation_can_fail),
        cmocka_unit_test(a_negative_number_switches_the_fault_off),
        cmocka_unit_test(fault_rounds_end_with_an_untouched_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
