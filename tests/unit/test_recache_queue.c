/* What clients ask for: entries, deduplication, priorities, lists, invalidation, dead letters, pause. */
#include "unit.h"

#include "larder/hash.h"
#include "recache_world.h"

#include <stdio.h>

static recache_world w;

static void pause_it(recache *r, recache_task *t)
{
    recache_pause(r, true, t);
}

static void resume_it(recache *r, recache_task *t)
{
    recache_pause(r, false, t);
}

static void paused_world(size_t n_hosts)
{
    recache_task t = {0};

    world_begin(&w, n_hosts);
    assert_int_equal(world_task(&w, &t, pause_it), 0);
}

static recache_entry first_entry(recache_priority p)
{
    store_view *v = store_read_begin(w.store);
    recache_queue_page page = {0};
    static char url[512];
    arena a;

    arena_init(&a, 0);
    assert_int_equal(recache_queue_list(v, &a, 1, 1u << p, STR_NULL, 1, &page), 0);
    assert_int_equal(page.n, 1);
    recache_entry e = page.items[0];
    snprintf(url, sizeof(url), STR_FMT, STR_ARG(e.url));
    e.url = str_c(url);
    arena_done(&a);
    store_read_end(v);
    return e;
}

/* ---- queueing ---- */
static void test_spellings_of_one_url_are_one_entry(void **state)
{
    static const str urls[] = {STR_INIT("https://www.1.example/a"), STR_INIT("www.1.example/a#x"),
                               STR_INIT("HTTPS://WWW.1.EXAMPLE:443/./a?utm_source=1"), STR_INIT("not a url"),
                               STR_INIT("https://www.1.example/b")};
    recache_task t = {.host_id = 1, .urls = {urls, COUNT_OF(urls)}, .priority = RECACHE_NORMAL};
    arena a;

    (void)state;
    paused_world(1);
    arena_init(&a, 0);
    t.arena = &a;
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    assert_int_equal(t.n_dimensions_used, 3); /* bypass is among them, the blocked one is not */
    assert_int_equal(t.accepted, 12);
    assert_int_equal(t.deduplicated, 6);
    assert_int_equal(t.n_rejected, 1);
    assert_str(t.rejected[0].url, "not a url");
    assert_str(t.rejected[0].reason, "its host holds a character that can't be");
    assert_int_equal(world_queued(&w), 6);
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    assert_int_equal(t.accepted, 12);
    assert_int_equal(t.deduplicated, 12);
    assert_int_equal(world_queued(&w), 6);
    arena_done(&a);
    world_end(&w);
}

static void test_a_higher_priority_takes_an_entry_over(void **state)
{
    (void)state;
    paused_world(1);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/", 1, RECACHE_NORMAL), 1);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/", 1, RECACHE_HIGH), 0);
    assert_int_equal(world_queued(&w), 1);
    assert_int_equal(first_entry(RECACHE_HIGH).due, WORLD_NOW);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/", 1, RECACHE_NORMAL), 0);
    assert_int_equal(first_entry(RECACHE_HIGH).due, WORLD_NOW);
    assert_int_equal(world_queued(&w), 1);
    world_end(&w);
}

/* In a paused world. */
static void store_a_page(const char *url, uint16_t dimension)
{
    recache_task t = {0};

    assert_int_equal(world_enqueue(&w, 1, url, dimension, RECACHE_HIGH), 1);
    assert_int_equal(world_task(&w, &t, resume_it), 0);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(world_task(&w, &t, pause_it), 0);
}

static void test_of_two_hits_the_earlier_time_wins(void **state)
{
    const uint16_t desktop = 1;
    static const str urls[] = {STR_INIT("https://www.1.example/?utm_medium=x")};
    recache_task t = {.host_id = 1, .urls = {urls, 1}, .dimensions = &desktop, .n_dimensions = 1};

    (void)state;
    paused_world(1);
    assert_int_equal(world_task(&w, &t, recache_hit), 0);
    assert_int_equal(t.due_at, 0); /* no page, and no hit on it */
    assert_int_equal(world_queued(&w), 0);
    store_a_page("https://www.1.example/", desktop);
    const int64_t then = clk_wall_ms(&w.clock.base);
    assert_int_equal(world_task(&w, &t, recache_hit), 0);
    assert_int_equal(t.due_at, then + HOURS(12));
    fake_clk_advance(&w.clock, HOURS(1));
    assert_int_equal(world_task(&w, &t, recache_hit), 0);
    assert_int_equal(t.due_at, then + HOURS(12));
    recache_entry e = first_entry(RECACHE_AUTO);
    assert_int_equal(e.due, then + HOURS(12));
    assert_str(e.url, "https://www.1.example/");
    assert_int_equal(world_queued(&w), 1);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/", 1, RECACHE_NORMAL), 0);
    assert_int_equal(first_entry(RECACHE_NORMAL).due, then + HOURS(1));
    assert_int_equal(world_task(&w, &t, recache_hit), 0);
    assert_int_equal(t.due_at, then + HOURS(1));
    world_end(&w);
}

static void test_unknown_hosts_and_dimensions_are_refused(void **state)
{
    const uint16_t blocked = 3;
    static const str urls[] = {STR_INIT("https://www.1.example/")};
    recache_task t = {.host_id = 2, .urls = {urls, 1}};

    (void)state;
    paused_world(1);
    assert_int_equal(world_task(&w, &t, recache_enqueue), -ENOENT);
    t.host_id = 1;
    t.dimensions = &blocked;
    t.n_dimensions = 1;
    assert_int_equal(world_task(&w, &t, recache_enqueue), -EINVAL);
    assert_int_equal(world_queued(&w), 0);
    world_end(&w);
}

static void test_an_ordered_request_is_rendered_in_its_order(void **state)
{
    static char texts[200][48];
    static str urls[200];
    const uint16_t desktop = 1;
    recache_task t = {
        .host_id = 1, .urls = {urls, 200}, .dimensions = &desktop, .n_dimensions = 1, .ordered = true};
    store_view *v;
    recache_queue_page page = {0};
    arena a;

    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        snprintf(texts[i], sizeof(texts[i]), "https://www.1.example/%u", i);
        urls[i] = str_c(texts[i]);
    }
    paused_world(1);
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    v = store_read_begin(w.store);
    arena_init(&a, 0);
    assert_int_equal(recache_queue_list(v, &a, 1, 7, STR_NULL, 200, &page), 0);
    assert_int_equal(page.n, 200);
    assert_null(page.cursor.p);
    for (unsigned i = 0; i < 200; i++)
        assert_true(str_eq(page.items[i].url, urls[i]) && page.items[i].due <= WORLD_NOW);
    arena_done(&a);
    store_read_end(v);
    world_end(&w);
}

/* ---- reading ---- */
static void test_the_queue_is_listed_page_by_page_in_the_order_of_work(void **state)
{
    static const recache_priority ORDER[] = {RECACHE_AUTO, RECACHE_HIGH, RECACHE_NORMAL};
    char url[64];
    unsigned seen = 0, last = 0, n_auto = 0;
    int64_t due = 0;
    str cursor = STR_NULL;
    arena a;

    (void)state;
    paused_world(2);
    for (unsigned i = 0; i < 45; i++) {
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        assert_int_equal(world_enqueue(&w, 1, url, (uint16_t)(i / 3 % 2), ORDER[i % 3]), 1);
        fake_clk_advance(&w.clock, 10);
    }
    assert_int_equal(world_enqueue(&w, 2, "https://www.2.example/", 1, RECACHE_HIGH), 1);
    arena_init(&a, 0);
    store_view *v = store_read_begin(w.store);
    do {
        recache_queue_page page = {0};
        assert_int_equal(recache_queue_list(v, &a, 1, 1u << RECACHE_HIGH | 1u << RECACHE_AUTO, cursor, 7, &page), 0);
        for (size_t i = 0; i < page.n; i++, seen++) {
            assert_int_equal(page.items[i].host, 1);
            assert_true(page.items[i].priority >= last);
            assert_true(page.items[i].priority > last || page.items[i].due > due); /* fetched and rendered ones mixed */
            last = page.items[i].priority;
            due = page.items[i].due;
            n_auto += last == RECACHE_AUTO;
        }
        cursor = page.cursor;
    } while (cursor.p);
    assert_int_equal(seen, 30);
    assert_int_equal(n_auto, 15);
    recache_queue_page page;
    assert_int_equal(recache_queue_list(v, &a, 1, 7, STR("xyz"), 7, &page), -EINVAL);
    assert_int_equal(recache_queue_list(v, &a, 2, 7, STR("000000010000000000000000000000000000000000000000"), 7, &page),
                     -EINVAL);
    store_read_end(v);
    arena_done(&a);
    world_end(&w);
}

static void test_counts_tell_what_is_due(void **state)
{
    recache_counts n[RECACHE_PRIORITIES];
    char url[64];

    (void)state;
    paused_world(1);
    for (unsigned i = 0; i < 30; i++) {
        const uint16_t desktop = 1;
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        const str urls[] = {str_c(url)};
        recache_task t = {.host_id = 1,
                          .urls = {urls, 1},
                          .dimensions = &desktop,
                          .n_dimensions = 1,
                          .priority = RECACHE_AUTO,
                          .due = WORLD_NOW + SECONDS(i)};
        assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    }
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/x", 1, RECACHE_HIGH), 1);
    store_view *v = store_read_begin(w.store);
    for (int64_t due = 0; due <= 30; due++) {
        assert_int_equal(recache_queue_counts(v, 1, WORLD_NOW + SECONDS(due) - 1, n), 0);
        assert_int_equal(n[RECACHE_AUTO].total, 30);
        assert_int_equal(n[RECACHE_AUTO].due, due);
        assert_int_equal(n[RECACHE_NORMAL].total, 0);
        assert_int_equal(n[RECACHE_HIGH].total, 1);
    }
    store_read_end(v);
    world_end(&w);
}

/* ---- pause ---- */
static void test_a_pause_survives_a_restart(void **state)
{
    recache_task t = {0};

    (void)state;
    paused_world(1);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/", 1, RECACHE_HIGH), 1);
    world_turn(&w, SECONDS(5));
    assert_int_equal(w.started, 0);
    world_stop(&w);
    world_start(&w);
    assert_true(recache_figures_of(w.recache).paused);
    world_turn(&w, SECONDS(5));
    assert_int_equal(w.started, 0);
    assert_int_equal(world_task(&w, &t, resume_it), 0);
    assert_true(world_drain(&w, SECONDS(5)));
    assert_int_equal(w.started, 1);
    world_end(&w);
}

/* ---- invalidating ---- */
static void test_invalidated_pages_are_gone_at_once_and_their_entries_stay(void **state)
{
    static const str urls[] = {STR_INIT("https://www.1.example/a?utm_source=mail"),
                               STR_INIT("https://www.1.example/c")};
    recache_task t = {.host_id = 1, .urls = {urls, 2}};
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 2);
    for (uint16_t d = 1; d <= 2; d++) {
        assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/a", d, RECACHE_HIGH), 1);
        assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/b", d, RECACHE_HIGH), 1);
        assert_int_equal(world_enqueue(&w, 2, "https://www.2.example/a", d, RECACHE_HIGH), 1);
    }
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(world_page(&w, 1, "https://www.1.example/a", 1, &a, &p), 0);
    assert_int_equal(world_task(&w, &t, recache_invalidate), 0);
    assert_int_equal(t.changed, 2);
    assert_int_equal(t.accepted, 6);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/a", 1, &a, &p), -ENOENT);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/b", 1, &a, &p), 0);

    const uint16_t desktop = 1;
    recache_task all = {.host_id = 1, .dimensions = &desktop, .n_dimensions = 1};
    assert_int_equal(world_task(&w, &all, recache_invalidate_all), 0);
    assert_int_equal(all.changed, 1);
    assert_int_equal(world_page(&w, 1, "https://www.1.example/b", 2, &a, &p), 0);
    all.n_dimensions = 0;
    assert_int_equal(world_task(&w, &all, recache_invalidate_all), 0);
    assert_int_equal(all.changed, 1);
    assert_int_equal(world_page(&w, 2, "https://www.2.example/a", 1, &a, &p), 0);
    arena_done(&a);
    world_end(&w);
}

/* ---- many ---- */
static void test_ten_thousand_urls_are_one_request(void **state)
{
    enum { N = RECACHE_URLS_MAX };
    static char texts[N][64];
    static str urls[N];
    recache_task t = {.host_id = 1, .urls = {urls, N}, .priority = RECACHE_NORMAL};

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        snprintf(texts[i], sizeof(texts[i]), "https://www.1.example/products/%u.html?page=1", i);
        urls[i] = str_c(texts[i]);
    }
    paused_world(1);
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    assert_int_equal(t.accepted, 3 * N);
    assert_int_equal(t.deduplicated, 0);
    assert_int_equal(world_queued(&w), 3 * N);
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    assert_int_equal(t.deduplicated, 3 * N);
    assert_int_equal(check_faults(w.store, NULL), 0);
    recache_task all = {.host_id = 1};
    assert_int_equal(world_task(&w, &all, recache_invalidate_all), 0);
    assert_int_equal(all.changed, 0);
    world_end(&w);
}

/* A request that the store takes only in part says how much of it; the same one again takes the rest. */
static void test_a_request_that_is_cut_off_tells_what_is_queued(void **state)
{
    enum { N = RECACHE_URLS_MAX };
    static char texts[N][1024];
    static str urls[N];
    recache_task t = {.host_id = 1, .urls = {urls, N}, .priority = RECACHE_NORMAL};

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        const int n = snprintf(texts[i], sizeof(texts[i]), "https://www.1.example/%u/%0900u", i, i);
        urls[i] = str_of(texts[i], (size_t)n);
    }
    paused_world(1);
    world_stop(&w);
    w.store_size = 12 * MIB;
    world_start(&w);
    assert_int_equal(world_task(&w, &t, recache_enqueue), -ENOSPC);
    assert_in_range(t.changed, 1, 3 * N - 1);
    assert_int_equal(world_queued(&w), t.changed);
    world_stop(&w);
    w.store_size = 256 * MIB;
    world_start(&w);
    const uint64_t before = t.changed;
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
    assert_int_equal(t.deduplicated, before);
    assert_int_equal(world_queued(&w), 3 * N);
    world_end(&w);
}

/* URLs of about `length` bytes in a small store, until it takes no more of them. */
static uint64_t fill_with(int length)
{
    enum { N = 500 };
    static char texts[N][1024];
    static str urls[N];
    recache_task t = {.host_id = 1, .urls = {urls, N}, .priority = RECACHE_NORMAL};
    uint64_t queued = 0;

    for (unsigned from = 0; t.status == 0; from += N) {
        for (unsigned i = 0; i < N; i++) {
            const int n = snprintf(texts[i], sizeof(texts[i]), "https://www.1.example/%0*u", length, from + i);
            urls[i] = str_of(texts[i], (size_t)n);
        }
        (void)world_task(&w, &t, recache_enqueue);
        queued += t.status == 0 ? t.accepted : t.changed;
    }
    assert_int_equal(t.status, -ENOSPC);
    return queued;
}

/* Whatever is accepted has room for the page that comes of it, so that a queue never stands in its own way. */
static void test_a_store_full_of_entries_is_worked_off(void **state)
{
    static const int lengths[] = {8, 250, 900};
    recache_task t = {.host_id = 1};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        world_begin(&w, 1);
        assert_int_equal(world_task(&w, &t, pause_it), 0);
        world_stop(&w);
        w.store_size = 4 * MIB;
        w.tabs = 200;
        w.answer = (world_answer){
            .result = RENDER_OK, .status = 301, .final_url = "https://www.1.example/", .takes_ms = 100};
        world_start(&w);
        const uint64_t queued = fill_with(lengths[i]);
        assert_true(store_is_writable(w.store));
        assert_int_equal(world_queued(&w), queued);
        assert_int_equal(world_task(&w, &t, resume_it), 0);
        assert_true(world_drain(&w, MINUTES(60)));
        const recache_figures f = recache_figures_of(w.recache);
        assert_int_equal(f.rendered + f.fetched, queued);
        assert_int_equal(w.started, queued); /* none of them twice */
        assert_int_equal(world_dead(&w, 1), 0);
        assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/one-more", 1, RECACHE_HIGH), 1);
        world_end(&w);
    }
}

static int hit(const char *url)
{
    const str urls[] = {str_c(url)};
    const uint16_t desktop = 1;
    recache_task t = {.host_id = 1, .urls = {urls, 1}, .dimensions = &desktop, .n_dimensions = 1};

    return world_task(&w, &t, recache_hit);
}

static void test_a_hit_needs_room_only_where_it_makes_an_entry(void **state)
{
    recache_task t = {.host_id = 1};

    (void)state;
    world_begin(&w, 1);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/a", 1, RECACHE_HIGH), 1);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/b", 1, RECACHE_HIGH), 1);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(world_task(&w, &t, pause_it), 0);
    assert_int_equal(hit("https://www.1.example/b"), 0);
    world_stop(&w);
    w.store_size = 4 * MIB;
    world_start(&w);
    (void)fill_with(250);
    assert_int_equal(hit("https://www.1.example/a"), -ENOSPC);
    assert_int_equal(hit("https://www.1.example/b"), 0);
    assert_int_equal(hit("https://www.1.example/never-stored"), 0);
    world_end(&w);
}

/* ---- a store that somebody else has filled ---- */
typedef struct stuffing {
    store_op op;
    bool takes_out, done;
    int status;
} stuffing;

static int stuff_apply(store_txn *t, store_op *op)
{
    static const char bytes[100000];
    char key[16];

    for (unsigned i = 0; i < (op->flags ? 30u : 31u); i++) {
        const str name = str_of(key, (size_t)snprintf(key, sizeof(key), "stuff %u", i));
        const int r = CONTAINER_OF(op, stuffing, op)->takes_out
                          ? store_del(t, &recache_facts_ks, name)
                          : store_put(t, &recache_facts_ks, name, str_of(bytes, sizeof(bytes)));
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return 0;
}

static void stuffed(store_op *op, int status)
{
    stuffing *s = CONTAINER_OF(op, stuffing, op);

    s->status = status;
    s->done = true;
}

static int stuff(bool takes_out, unsigned flags)
{
    stuffing s = {.op = {.apply = stuff_apply, .done = stuffed, .flags = flags}, .takes_out = takes_out};

    store_submit(w.store, &s.op);
    while (!s.done)
        loop_run_once(w.loop, true);
    return s.status;
}

static void test_nothing_is_begun_while_the_store_takes_no_writes(void **state)
{
    recache_task t = {0};

    (void)state;
    world_begin(&w, 1);
    world_stop(&w);
    w.store_size = 4 * MIB;
    world_start(&w);
    assert_int_equal(world_task(&w, &t, pause_it), 0);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/a", 1, RECACHE_HIGH), 1);
    assert_int_equal(stuff(false, STORE_FREES), 0);
    assert_int_equal(world_enqueue(&w, 1, "https://www.1.example/b", 1, RECACHE_HIGH), -ENOSPC);
    assert_true(store_is_writable(w.store)); /* queueing is the first to be refused */
    assert_int_equal(stuff(false, 0), -ENOSPC);
    assert_false(store_is_writable(w.store));
    assert_int_equal(world_task(&w, &t, resume_it), 0);
    world_turn(&w, SECONDS(60));
    assert_int_equal(w.started, 0);
    assert_int_equal(stuff(true, STORE_FREES), 0);
    for (int i = 0; i < 2000000 && !store_is_writable(w.store); i++)
        loop_run_once(w.loop, false);
    assert_true(world_drain(&w, SECONDS(60)));
    assert_int_equal(w.started, 1);
    world_end(&w);
}

/* Several pages end at once: those that were answered are under no tab any more, and count as being stored. */
static void check_figures(recache_world *world, const render_op *op)
{
    const recache_figures f = recache_figures_of(world->recache);

    (void)op;
    assert_int_equal(f.in_flight, world->n_under_way + 1); /* this one included */
    assert_int_equal(f.in_flight + f.storing, 5);
}

static void test_pages_on_their_way_into_the_store_are_not_in_flight(void **state)
{
    char url[64];

    (void)state;
    paused_world(1);
    w.tabs = 5;
    w.on_finish = check_figures;
    for (unsigned i = 0; i < 5; i++) {
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_HIGH), 1);
    }
    recache_task t = {0};
    assert_int_equal(world_task(&w, &t, resume_it), 0);
    assert_true(world_drain(&w, MINUTES(1)));
    assert_int_equal(w.started, 5);
    const recache_figures f = recache_figures_of(w.recache);
    assert_int_equal(f.in_flight, 0);
    assert_int_equal(f.storing, 0);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings_of_one_url_are_one_entry),
        cmocka_unit_test(test_a_higher_priority_takes_an_entry_over),
        cmocka_unit_test(test_of_two_hits_the_earlier_time_wins),
        cmocka_unit_test(test_unknown_hosts_and_dimensions_are_refused),
        cmocka_unit_test(test_an_ordered_request_is_rendered_in_its_order),
        cmocka_unit_test(test_the_queue_is_listed_page_by_page_in_the_order_of_work),
        cmocka_unit_test(test_counts_tell_what_is_due),
        cmocka_unit_test(test_a_pause_survives_a_restart),
        cmocka_unit_test(test_invalidated_pages_are_gone_at_once_and_their_entries_stay),
        cmocka_unit_test(test_ten_thousand_urls_are_one_request),
        cmocka_unit_test(test_a_request_that_is_cut_off_tells_what_is_queued),
        cmocka_unit_test(test_a_store_full_of_entries_is_worked_off),
        cmocka_unit_test(test_a_hit_needs_room_only_where_it_makes_an_entry),
        cmocka_unit_test(test_pages_on_their_way_into_the_store_are_not_in_flight),
        cmocka_unit_test(test_nothing_is_begun_while_the_store_takes_no_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
