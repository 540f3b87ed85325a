/* Replies that are given again: only to the same question on the same basis, and within the bounds. */
#include "unit.h"

#include "larder/hash.h"
#include "serve/route/kept.h"

static const str TARGET = STR_INIT("/api/v1/cache/marketplace?limit=100");

static reply_basis basis_of(str target)
{
    return (reply_basis){.seed = 1, .generations = {2, 3}, .version = 4, .target = hash64(target.p, target.n)};
}

static void add(kept *k, const reply_basis *b, str target, str body)
{
    kept_add(k, b, target, &(kept_reply){STR("tag"), body});
}

/* As two requests do: the first is seen, the second kept. */
static void keep(kept *k, const reply_basis *b, str target, str body)
{
    add(k, b, target, body);
    add(k, b, target, body);
}

static bool find(const kept *k, const reply_basis *b, str target, str *ret_body)
{
    kept_reply found;

    if (!kept_find(k, b, target, &found))
        return false;
    assert_str(found.etag, "tag");
    *ret_body = found.body;
    return true;
}

static int begin(void **state)
{
    kept *k;

    if (kept_new(&k) < 0)
        return -1;
    *state = k;
    return 0;
}

static int end(void **state)
{
    kept_free(*state);
    return 0;
}

static void a_reply_is_kept_when_it_is_made_the_second_time(void **state)
{
    kept *k = *state;
    const reply_basis b = basis_of(TARGET);
    str body = STR_NULL;

    assert_false(find(k, &b, TARGET, &body));
    add(k, &b, TARGET, STR("[1]"));
    assert_false(find(k, &b, TARGET, &body));
    add(k, &b, TARGET, STR("[1]"));
    assert_true(find(k, &b, TARGET, &body));
    assert_str(body, "[1]");
}

static void whatever_of_the_basis_changes_makes_it_another_reply(void **state)
{
    kept *k = *state;
    const reply_basis b = basis_of(TARGET);
    str body = STR_NULL;

    keep(k, &b, TARGET, STR("old"));
    for (size_t i = 0; i < sizeof(b) / sizeof(uint64_t); i++) {
        reply_basis other = b;
        uint64_t *number = (uint64_t *)(void *)&other + i;
        *number += KEPT_SLOTS; /* the same set, also for the target's hash */
        assert_false(find(k, &other, TARGET, &body));
    }
    reply_basis next = b;
    next.generations[0]++;
    keep(k, &next, TARGET, STR("new"));
    assert_true(find(k, &next, TARGET, &body));
    assert_str(body, "new");
    assert_false(find(k, &b, TARGET, &body));
}

static void targets_that_share_a_hash_are_told_apart(void **state)
{
    kept *k = *state;
    const reply_basis b = basis_of(TARGET);
    str body = STR_NULL;

    keep(k, &b, TARGET, STR("[]"));
    assert_false(find(k, &b, STR("/api/v1/cache/marketplace?limit=101"), &body));
    assert_false(find(k, &b, str_head(TARGET, TARGET.n - 1), &body));
}

static void what_is_asked_for_once_pushes_nothing_out(void **state)
{
    kept *k = *state;
    const reply_basis b = basis_of(TARGET);
    reply_basis passing = b;
    str body = STR_NULL;

    keep(k, &b, TARGET, STR("[]"));
    for (int i = 0; i < 10; i++) {
        passing.target += KEPT_SLOTS;
        add(k, &passing, STR("/other"), STR("[2]"));
        assert_true(find(k, &b, TARGET, &body));
    }
}

static void bodies_are_kept_within_the_bounds(void **state)
{
    kept *k = *state;
    char *large = mem_zalloc(KEPT_BODY_MAX + 1);
    const size_t asked = 2 * KEPT_BYTES / KEPT_BODY_MAX;
    size_t found = 0;
    str body = STR_NULL;

    assert_non_null(large);
    for (size_t i = 0; i < asked; i++) {
        const reply_basis b = {.target = i};
        keep(k, &b, TARGET, str_of(large, KEPT_BODY_MAX));
        assert_true(find(k, &b, TARGET, &body));
        assert_int_equal(body.n, KEPT_BODY_MAX);
    }
    for (size_t i = 0; i < asked; i++) {
        const reply_basis b = {.target = i};
        found += find(k, &b, TARGET, &body);
    }
    assert_in_range(found, 1, KEPT_BYTES / KEPT_BODY_MAX);
    const reply_basis b = {.target = asked};
    keep(k, &b, TARGET, str_of(large, KEPT_BODY_MAX + 1));
    assert_false(find(k, &b, TARGET, &body));
    mem_free(large);
}

static void without_memory_nothing_is_kept_and_nothing_breaks(void **state)
{
    kept *k = *state, *none = NULL;
    const reply_basis b = basis_of(TARGET);
    str body = STR_NULL;

    add(k, &b, TARGET, STR("[]"));
    mem_fail_at(0);
    add(k, &b, TARGET, STR("[]"));
    assert_true(mem_failed());
    assert_false(find(k, &b, TARGET, &body));
    add(k, &b, TARGET, STR("[]"));
    assert_true(find(k, &b, TARGET, &body));
    mem_fail_at(0);
    assert_int_equal(kept_new(&none), -ENOMEM);
    mem_fail_at(-1);
    kept_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_reply_is_kept_when_it_is_made_the_second_time, begin, end),
        cmocka_unit_test_setup_teardown(whatever_of_the_basis_changes_makes_it_another_reply, begin, end),
        cmocka_unit_test_setup_teardown(targets_that_share_a_hash_are_told_apart, begin, end),
        cmocka_unit_test_setup_teardown(what_is_asked_for_once_pushes_nothing_out, begin, end),
        cmocka_unit_test_setup_teardown(bodies_are_kept_within_the_bounds, begin, end),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_kept_and_nothing_breaks, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
