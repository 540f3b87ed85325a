/* Room for pages is limited: who goes, and who may not come. */
#include "unit.h"

#include "recache_world.h"

#include <stdio.h>
#include <unistd.h>

#define URL "https://www.1.example/a"

static recache_world w;

static void store_page(const char *url)
{
    assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_HIGH), 1);
    assert_true(world_drain(&w, SECONDS(20)));
}

/* Housekeeping is not waited for by world_turn: some real time, and a fifth of a second on the clock. */
static void wait_a_little(void)
{
    world_turn(&w, 200);
    usleep(1000);
}

static void test_the_pages_asked_for_least_recently_make_room(void **state)
{
    char url[64];
    recache_url u;
    recache_page p;
    str why;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        store_page(url);
        fake_clk_advance(&w.clock, MINUTES(20));
    }
    assert_int_equal(recache_url_parse(&a, STR("https://www.1.example/0"), (strs){NULL, 0}, &u, &why), 0);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/0", 1, &a, &p), 0);
    recache_touch(w.recache, 1, 1, u.hash, p.last_access);
    do
        assert_int_equal(world_page(&w, 1, "https://www.1.example/0", 1, &a, &p), 0);
    while (p.last_access < clk_wall_ms(&w.clock.base) - MINUTES(16) && usleep(1000) == 0 &&
           loop_run_once(w.loop, false) >= 0);
    w.options.max_bytes = 4 * 4096;
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    for (int i = 0; i < 20000 && recache_figures_of(w.recache).evicted < 6; i++)
        wait_a_little();
    assert_int_equal(recache_figures_of(w.recache).pages_bytes, 4 * 4096);
    assert_int_equal(recache_figures_of(w.recache).evicted, 6);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/0", 1, &a, &p), 0);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/1", 1, &a, &p), -ENOENT);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/6", 1, &a, &p), -ENOENT);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/7", 1, &a, &p), 0);
    arena_done(&a);
    world_end(&w);
}

static void test_pages_read_or_stored_a_moment_ago_are_not_the_first_to_go(void **state)
{
    char url[64];
    recache_url u;
    recache_page p;
    str why;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    assert_int_equal(recache_url_parse(&a, STR("https://www.1.example/0"), (strs){NULL, 0}, &u, &why), 0);
    for (unsigned i = 0; i < 8; i++) { /* within a second or two */
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        store_page(url);
        assert_int_equal(world_page(&w, 1, "https://www.1.example/0", 1, &a, &p), 0);
        recache_touch(w.recache, 1, 1, u.hash, p.last_access);
    }
    w.options.max_bytes = 3 * 4096;
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    for (int i = 0; i < 20000 && recache_figures_of(w.recache).evicted < 5; i++)
        wait_a_little();
    assert_int_equal(recache_figures_of(w.recache).evicted, 5);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/0", 1, &a, &p), 0);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/5", 1, &a, &p), -ENOENT);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/6", 1, &a, &p), 0);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/7", 1, &a, &p), 0);
    arena_done(&a);
    world_end(&w);
}

/* Its last read is as old as before; it is worth more than one that was neither read nor rendered since. */
static void test_a_page_just_rendered_anew_is_not_the_first_to_go(void **state)
{
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    store_page("https://www.1.example/0");
    fake_clk_advance(&w.clock, MINUTES(20));
    store_page("https://www.1.example/1");
    fake_clk_advance(&w.clock, MINUTES(20));
    store_page("https://www.1.example/0");
    w.options.max_bytes = 4096;
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    for (int i = 0; i < 20000 && recache_figures_of(w.recache).evicted < 1; i++)
        wait_a_little();
    assert_int_equal(world_page(&w, 1, "https://www.1.example/0", 1, &a, &p), 0);
    assert_true(p.last_access < p.created_at);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/1", 1, &a, &p), -ENOENT);
    arena_done(&a);
    world_end(&w);
}

static void test_a_page_larger_than_all_may_be_is_refused_and_makes_nobody_go(void **state)
{
    static char large[40000];
    recache_dead_page dead = {0};
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.options.max_bytes = 4 * 4096;
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    store_page("https://www.1.example/small");
    for (size_t i = 0; i + 1 < sizeof(large); i++) /* what doesn't get smaller */
        large[i] = (char)('!' + random_below(90));
    w.answer.html = large;
    store_page(URL);
    store_view *v = store_read_begin(w.store);
    assert_int_equal(recache_dead_list(v, &a, 1, STR_NULL, 10, &dead), 0);
    store_read_end(v);
    assert_int_equal(dead.n, 1);
    assert_str(dead.items[0].reason, "page_larger_than_max_bytes");
    assert_int_equal(dead.items[0].attempts, 1);
    for (int i = 0; i < 20; i++)
        wait_a_little();
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), -ENOENT);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/small", 1, &a, &p), 0);
    assert_int_equal(recache_figures_of(w.recache).evicted, 0);
    arena_done(&a);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_pages_asked_for_least_recently_make_room),
        cmocka_unit_test(test_pages_read_or_stored_a_moment_ago_are_not_the_first_to_go),
        cmocka_unit_test(test_a_page_just_rendered_anew_is_not_the_first_to_go),
        cmocka_unit_test(test_a_page_larger_than_all_may_be_is_refused_and_makes_nobody_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
