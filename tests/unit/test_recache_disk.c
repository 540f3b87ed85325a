/* Pages that the disk does not take: whose fault it is, and what becomes of the others. */
#include "unit.h"

#include "recache_world.h"

#include "domains/recache/service.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#define LARGE "https://www.1.example/large"
#define LARGE_LEN ((size_t)12 << 20)

static recache_world w;
static char *large;

static world_answer large_or_small(recache_world *world, const render_op *op)
{
    world_answer a = world->answer;

    if (str_eq(op->url, STR(LARGE)))
        a.html = large;
    return a;
}

static void begin(void)
{
    large = mem_alloc(LARGE_LEN + 1);
    assert_non_null(large);
    memset(large, 'x', LARGE_LEN);
    large[LARGE_LEN] = '\0';
    world_begin(&w, 1);
    w.decide = large_or_small;
}

static void end(void)
{
    world_end(&w);
    mem_free(large);
}

static void queue_small(unsigned from, unsigned to)
{
    char url[64];

    for (unsigned i = from; i < to; i++) {
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_HIGH), 1);
    }
}

static void assert_dead_of_the_disk(unsigned attempts)
{
    recache_dead_page page = {0};
    store_view *v = store_read_begin(w.store);
    arena a;

    arena_init(&a, 0);
    assert_int_equal(recache_dead_list(v, &a, 1, STR_NULL, 10, &page), 0);
    store_read_end(v);
    assert_int_equal(page.n, 1);
    assert_str(page.items[0].reason, "disk_error");
    assert_int_equal(page.items[0].attempts, attempts);
    arena_done(&a);
}

static void test_a_page_larger_than_a_file_may_be_is_given_up(void **state)
{
    struct rlimit old, low;

    (void)state;
    begin();
    signal(SIGXFSZ, SIG_IGN); /* as the program does */
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 4 << 20; /* the store's file is smaller */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_int_equal(world_enqueue(&w, 1, LARGE, 1, RECACHE_HIGH), 1);
    const bool drained = world_drain(&w, MINUTES(2));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_true(drained);
    assert_int_equal(w.started, w.options.max_attempts);
    assert_dead_of_the_disk(w.options.max_attempts);
    end();
}

/* What is gathered of large pages goes to a disk that is full, small pages don't. */
static void fill_the_disk_for_large_pages(void)
{
    char path[160];

    for (unsigned i = 1; i <= 200; i++) {
        snprintf(path, sizeof(path), "%s/tmp/%llu.raw", w.pages, (unsigned long long)w.recache->last_number + i);
        assert_int_equal(symlink("/dev/full", path), 0);
    }
}

static void test_a_page_without_room_is_given_up_where_others_find_room(void **state)
{
    (void)state;
    begin();
    fill_the_disk_for_large_pages();
    assert_int_equal(world_enqueue(&w, 1, LARGE, 1, RECACHE_HIGH), 1);
    world_turn(&w, MINUTES(1)); /* alone it may be the disk's fault as well */
    assert_in_range(w.started, 2, 10);
    assert_int_equal(world_queued(&w), 1);
    assert_int_equal(recache_figures_of(w.recache).failed_attempts, 0);

    w.tabs = 1;
    queue_small(0, 150);
    world_turn(&w, MINUTES(2));
    assert_int_equal(recache_figures_of(w.recache).rendered, 150);
    for (unsigned i = 150; i < 160 && world_queued(&w) > 0; i++) { /* a disk that goes on taking others */
        queue_small(i, i + 1);
        world_turn(&w, MINUTES(1));
    }
    assert_int_equal(world_queued(&w), 0);
    assert_dead_of_the_disk(w.options.max_attempts);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_larger_than_a_file_may_be_is_given_up),
        cmocka_unit_test(test_a_page_without_room_is_given_up_where_others_find_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
