/* Keys of parts: their bytes sort as the parts do, and the parts come back. */
#include "unit.h"

#include "larder/store.h"

typedef struct parts {
    char text[12];
    size_t n;
    uint64_t number;
    uint8_t small;
} parts;

/* Few different bytes, so that texts are often equal, or prefixes of one another. */
static parts draw(void)
{
    static const char bytes[] = {'\0', '\1', 'a', '\xfe', '\xff'};
    parts p = {.n = random_below(5), .number = random_below(3) << random_below(64), .small = (uint8_t)random_below(3)};
    for (size_t i = 0; i < p.n; i++)
        p.text[i] = bytes[random_below(sizeof(bytes))];
    return p;
}

static store_key key_of(const parts *p)
{
    store_key k;
    store_key_init(&k);
    store_key_str(&k, str_of(p->text, p->n));
    store_key_u64(&k, p->number);
    store_key_u8(&k, p->small);
    store_key_str(&k, str_of(p->text, p->n / 2));
    return k;
}

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static int cmp_parts(const parts *a, const parts *b)
{
    int c = str_cmp(str_of(a->text, a->n), str_of(b->text, b->n));
    if (c == 0)
        c = a->number < b->number ? -1 : a->number > b->number;
    return c ? c : (int)a->small - (int)b->small;
}

static void keys_sort_as_their_parts_do(void **state)
{
    (void)state;
    random_seed_for_tests(1);
    for (int i = 0; i < 200000; i++) {
        parts a = draw(), b = draw();
        store_key x = key_of(&a), y = key_of(&b);
        assert_int_equal(sign(str_cmp(store_key_view(&x), store_key_view(&y))), sign(cmp_parts(&a, &b)));
    }
    random_seed_for_tests(0);
}

static void parts_come_back(void **state)
{
    (void)state;
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    random_seed_for_tests(2);
    for (int i = 0; i < 20000; i++) {
        parts p = draw();
        store_key k = key_of(&p);
        str rest = store_key_view(&k), text;
        uint64_t number;
        assert_int_equal(store_key_cut_str(&rest, &a, &text), 0);
        assert_true(str_eq(text, str_of(p.text, p.n)));
        assert_int_equal(store_key_cut_u64(&rest, &number), 0);
        assert_int_equal(number, p.number);
        rest = str_from(rest, 1);
        assert_int_equal(store_key_cut_str(&rest, &a, &text), 0);
        assert_true(str_eq(text, str_of(p.text, p.n / 2)));
        assert_int_equal(rest.n, 0);
    }
    random_seed_for_tests(0);
}

static void malformed_keys_are_refused_and_nothing_is_cut(void **state)
{
    (void)state;
    static const str bad[] = {{"", 0}, {"abc", 3}, {"abc\0", 4}, {"\0\1\0\0", 4}, {"\0", 1}, {"a\0\xff", 3}};
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        str rest = bad[i], text;
        assert_int_equal(store_key_cut_str(&rest, &a, &text), -EPROTO);
        assert_true(rest.p == bad[i].p && rest.n == bad[i].n);
    }
    str rest = STR("1234567");
    uint64_t v;
    assert_int_equal(store_key_cut_u64(&rest, &v), -EPROTO);
    assert_str(rest, "1234567");
}

static void a_part_that_does_not_fit_makes_the_key_empty(void **state)
{
    (void)state;
    char long_text[STORE_KEY_MAX + 1];
    store_key k;
    memset(long_text, 'x', sizeof(long_text));

    store_key_init(&k);
    store_key_tail(&k, str_of(long_text, STORE_KEY_MAX));
    assert_false(k.overflow);
    assert_int_equal(store_key_view(&k).n, STORE_KEY_MAX);
    store_key_u8(&k, 1);
    assert_true(k.overflow);
    assert_int_equal(store_key_view(&k).n, 0);

    store_key_init(&k);
    store_key_str(&k, str_of(long_text, STORE_KEY_MAX - 1)); /* its end needs two bytes */
    assert_int_equal(store_key_view(&k).n, 0);
    store_key_init(&k);
    store_key_str(&k, str_of(long_text, STORE_KEY_MAX - 2));
    assert_int_equal(store_key_view(&k).n, STORE_KEY_MAX);
}

static void cutting_a_text_with_zeros_tells_when_there_is_no_memory(void **state)
{
    (void)state;
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    store_key k;
    store_key_init(&k);
    store_key_str(&k, STR("a\0b"));
    str rest = store_key_view(&k), text;
    mem_fail_at(0);
    assert_int_equal(store_key_cut_str(&rest, &a, &text), -ENOMEM);
    mem_fail_at(-1);
    assert_int_equal(store_key_cut_str(&rest, &a, &text), 0);
    assert_str(text, "a\0b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_sort_as_their_parts_do),
        cmocka_unit_test(parts_come_back),
        cmocka_unit_test(malformed_keys_are_refused_and_nothing_is_cut),
        cmocka_unit_test(a_part_that_does_not_fit_makes_the_key_empty),
        cmocka_unit_test(cutting_a_text_with_zeros_tells_when_there_is_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
