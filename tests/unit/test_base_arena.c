/* Arenas: alignment, limits, reuse, defers, every allocation failing once. */
#include "unit.h"

#if ARENA_POISONS
#include <sanitizer/asan_interface.h>
#endif

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    unsigned char *previous = NULL;
    size_t previous_n = 0;
    for (size_t n = 0; n < 3000; n += 7) {
        unsigned char *p = arena_alloc(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % ARENA_ALIGN, 0);
        memset(p, (int)(n & 255), n);
        for (size_t i = 0; i < previous_n; i++)
            assert_int_equal(previous[i], (n - 7) & 255);
        previous = p;
        previous_n = n;
    }
    arena_done(&a);
}

static void nothing_is_taken_from_the_heap_before_the_first_use(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    assert_int_equal(a.total, 0);
    arena_done(&a);
    arena_done(&a);
    arena_done(NULL);
}

static void impossible_sizes_give_null(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    assert_non_null(arena_alloc(&a, 1));
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 8));
    assert_null(arena_alloc(&a, SIZE_MAX / 2 + 1));
    assert_null(arena_calloc(&a, SIZE_MAX / 2, 4));
    assert_null(arena_cstr(&a, str_of("x", SIZE_MAX)));
    assert_non_null(arena_alloc(&a, 0));
    arena_done(&a);
}

static void zalloc_is_zero_even_in_used_memory(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    memset(arena_alloc(&a, 2000), 0xff, 2000);
    arena_reset(&a);
    const unsigned char *p = arena_zalloc(&a, 2000);
    for (size_t i = 0; i < 2000; i++)
        assert_int_equal(p[i], 0);
    int64_t *numbers = arena_array(&a, int64_t, 10);
    assert_int_equal(numbers[9], 0);
    arena_done(&a);
}

static void the_limit_holds_for_small_and_large_pieces(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 20000);
    assert_null(arena_alloc(&a, 20001));
    size_t small = 0;
    while (arena_alloc(&a, 100))
        small++;
    assert_true(small > 120); /* most of it was usable */
    assert_true(a.total <= 20000);
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 10000)); /* the limit counts what is held, not what was */
    arena_done(&a);
}

static void reset_keeps_one_chunk_and_asks_the_heap_no_more(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    void *first = arena_alloc(&a, 100);
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&a, 1000));
    arena_reset(&a);
    assert_true(a.total > 0 && a.total <= 4096);
    size_t total = a.total;
    mem_fail_at(0);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    assert_non_null(arena_alloc(&a, 3000));
    assert_false(mem_failed());
    mem_fail_at(-1);
    assert_int_equal(a.total, total);
    arena_done(&a);
    assert_int_equal(a.total, 0);
}

static void a_large_piece_does_not_end_the_chunk_being_filled(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    char *before = arena_alloc(&a, 16);
    char *large = arena_alloc(&a, 1000000);
    char *after = arena_alloc(&a, 16);
    memset(large, 1, 1000000);
    assert_true(after > before && after - before < 4096);
    arena_done(&a);
}

static void a_first_large_piece_alone_is_given_back_by_reset(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    assert_non_null(arena_alloc(&a, 1000000));
    arena_reset(&a);
    assert_int_equal(a.total, 0);
    assert_non_null(arena_alloc(&a, 10));
    arena_done(&a);
}

static void copies_are_nul_terminated_and_null_stays_null(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    str copy = arena_dup(&a, STR("hello"));
    assert_str(copy, "hello");
    assert_int_equal(copy.p[5], '\0');
    assert_null(arena_dup(&a, STR_NULL).p);
    char text[] = "hello";
    str own = str_c(text), none = STR_NULL;
    assert_true(arena_own(&a, &own) && arena_own(&a, &none));
    text[0] = 'j';
    assert_str(own, "hello");
    assert_null(none.p);
    assert_str(arena_dup(&a, STR("")), "");
    assert_string_equal(arena_cstr(&a, STR("hello")), "hello");
    assert_string_equal(arena_cstr(&a, STR_NULL), "");
    assert_str(arena_lower(&a, STR("MiXed \xc3\x84 [Z]")), "mixed \xc3\x84 [z]");
    assert_null(arena_lower(&a, STR_NULL).p);
    arena_done(&a);
}

static void joined_parts_are_one_text(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 100);
    const str joined = arena_join(&a, STR("ab"), STR_NULL, STR(""), STR("c"));
    assert_str(joined, "abc");
    assert_int_equal(joined.p[joined.n], '\0');
    assert_non_null(arena_join(&a, STR_NULL).p);
    char long_part[101] = {0};
    assert_null(arena_join(&a, str_of(long_part, sizeof(long_part))).p);
    arena_done(&a);
}

static void printf_gives_short_and_long_texts_whole(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    assert_str(arena_printf(&a, "%d-%s", 42, "x"), "42-x");
    assert_str(arena_printf(&a, "%s", ""), "");
    for (int n = 250; n < 260; n++) { /* around the end of the first guess */
        str s = arena_printf(&a, "%*s|", n, "x");
        assert_int_equal(s.n, n + 1);
        assert_int_equal(s.p[s.n - 1], '|');
        assert_int_equal(s.p[s.n], '\0');
    }
    arena_done(&a);
}

typedef struct trace {
    arena *a;
    char order[8];
    size_t n;
} trace;

typedef struct step {
    trace *t;
    char name;
} step;

static void note(void *arg)
{
    step *s = arg;
    s->t->order[s->t->n++] = s->name;
}

static void note_and_defer_again(void *arg)
{
    step *s = arg;
    static step again;
    note(s);
    again = (step){s->t, 'z'};
    assert_int_equal(arena_defer(s->t->a, note, &again), 0);
}

static void defers_run_newest_first_once_on_reset_and_done(void **state)
{
    (void)state;
    arena a;
    arena_init(&a, 0);
    trace t = {&a, "", 0};
    step one = {&t, '1'}, two = {&t, '2'}, three = {&t, '3'};
    assert_int_equal(arena_defer(&a, note, &one), 0);
    assert_int_equal(arena_defer(&a, note_and_defer_again, &two), 0);
    arena_reset(&a);
    assert_string_equal(t.order, "2z1");
    arena_reset(&a);
    assert_int_equal(t.n, 3);
    assert_int_equal(arena_defer(&a, note, &three), 0);
    arena_done(&a);
    arena_done(&a);
    assert_string_equal(t.order, "2z13");
}

static void every_failing_allocation_is_reported(void **state)
{
    (void)state;
    for (long nth = 0; unit_next_fault(&nth);) {
        arena a;
        arena_init(&a, 0);
        step s = {NULL, 'x'};
        bool all = arena_new(&a, trace) && arena_alloc(&a, 5000) && arena_alloc(&a, 100000) &&
                   arena_dup(&a, STR("x")).p && arena_printf(&a, "%5000d", 1).p && arena_cstr(&a, STR("y"));
        all = all && arena_defer(&a, note, &s) == 0;
        assert_int_equal(all, !mem_failed());
        a.defers = NULL; /* `s` has no trace to note in */
        arena_done(&a);
    }
}

static void a_wiped_arena_holds_nothing_but_zeros(void **state)
{
    static const char none[20000];
    trace t = {0};
    step s = {&t, 'x'};
    arena a;

    (void)state;
    arena_init(&a, 0);
    char *p = arena_alloc(&a, 20), *large = arena_alloc(&a, sizeof(none)), *q = arena_alloc(&a, 5000);
    assert_int_equal(arena_defer(&a, note, &s), 0);
    memset(p, 's', 20);
    memset(large, 's', sizeof(none));
    memset(q, 's', 5000);
    arena_wipe(&a);
    assert_memory_equal(p, none, 20);
    assert_memory_equal(large, none, sizeof(none));
    assert_memory_equal(q, none, 5000);
    arena_reset(&a);
    memset(arena_alloc(&a, 20), 's', 20); /* it serves anew */
    arena_done(&a);
    assert_string_equal(t.order, "x");
}

static void what_is_not_handed_out_is_poisoned(void **state)
{
    (void)state;
#if ARENA_POISONS
    arena a;
    arena_init(&a, 0);
    char *p = arena_alloc(&a, 20);
    assert_null(__asan_region_is_poisoned(p, 20));
    assert_true(__asan_address_is_poisoned(p + 32));
    char *q = arena_alloc(&a, 32);
    assert_true(q >= p + 48); /* a gap, so that running over p is seen */
    arena_reset(&a);
    assert_true(__asan_address_is_poisoned(p));
    assert_true(__asan_address_is_poisoned(q));
    arena_done(&a);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(nothing_is_taken_from_the_heap_before_the_first_use),
        cmocka_unit_test(impossible_sizes_give_null),
        cmocka_unit_test(zalloc_is_zero_even_in_used_memory),
        cmocka_unit_test(the_limit_holds_for_small_and_large_pieces),
        cmocka_unit_test(reset_keeps_one_chunk_and_asks_the_heap_no_more),
        cmocka_unit_test(a_large_piece_does_not_end_the_chunk_being_filled),
        cmocka_unit_test(a_first_large_piece_alone_is_given_back_by_reset),
        cmocka_unit_test(copies_are_nul_terminated_and_null_stays_null),
        cmocka_unit_test(joined_parts_are_one_text),
        cmocka_unit_test(printf_gives_short_and_long_texts_whole),
        cmocka_unit_test(defers_run_newest_first_once_on_reset_and_done),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(a_wiped_arena_holds_nothing_but_zeros),
        cmocka_unit_test(what_is_not_handed_out_is_poisoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
