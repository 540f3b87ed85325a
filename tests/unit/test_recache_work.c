/* Entries on their way: what becomes of answers, retries, dead letters, pages and their files. */
#include "unit.h"

#include "recache_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define URL "https://www.1.example/a"

static recache_world w;

static void render_once(world_answer a)
{
    w.answer = a;
    assert_true(world_enqueue(&w, 1, URL, 1, RECACHE_HIGH) >= 0);
    assert_true(world_drain(&w, MINUTES(5)));
}

static recache_dead only_dead(arena *a)
{
    recache_dead_page page = {0};
    store_view *v = store_read_begin(w.store);

    assert_int_equal(recache_dead_list(v, a, 1, STR_NULL, 10, &page), 0);
    store_read_end(v);
    assert_int_equal(page.n, 1);
    return page.items[0];
}

static size_t files_in_pages(void)
{
    char path[160];
    size_t n = 0;

    for (unsigned i = 0; i < 256; i++) {
        snprintf(path, sizeof(path), "%s/%02x", w.pages, i);
        DIR *d = opendir(path);
        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));)
            n += e->d_name[0] != '.';
        closedir(d);
    }
    return n;
}

/* Housekeeping is not waited for by world_turn: some real time, and a fifth of a second on the clock. */
static void wait_a_little(void)
{
    world_turn(&w, 200);
    usleep(1000);
}

/* ---- pages ---- */
#define PARTIAL \
    ((world_answer){.result = RENDER_SOFT_TIMEOUT, .status = 200, .html = "<half", .error_type = "soft_timeout"})

static void test_a_rendered_page_is_stored_with_its_file(void **state)
{
    char html[64];
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    render_once(w.answer);
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    assert_str(p.url, URL);
    assert_int_equal(p.status_code, 200);
    assert_int_equal(p.size, strlen(w.answer.html));
    assert_int_equal(p.expires_at - p.created_at, HOURS(24));
    assert_int_equal(p.gone_at - p.expires_at, HOURS(1));
    assert_str(p.source, "render");
    assert_int_equal(recache_page_state_at(&p, p.created_at), RECACHE_PAGE_FRESH);
    assert_int_equal(recache_page_state_at(&p, p.expires_at), RECACHE_PAGE_STALE);
    assert_int_equal(recache_page_state_at(&p, p.gone_at), RECACHE_PAGE_MISS);
    gzFile f = gzopen(recache_page_path(&a, str_c(w.pages), &p, true).p, "rb");
    assert_non_null(f);
    const int n = gzread(f, html, sizeof(html));
    gzclose(f);
    assert_true(str_eq(str_of(html, (size_t)n), str_c(w.answer.html)));
    assert_int_equal(recache_figures_of(w.recache).rendered, 1);
    assert_int_equal(recache_figures_of(w.recache).pages_bytes, 4096);
    arena_done(&a);
    world_end(&w);
}

static void test_a_large_page_goes_through_the_disk(void **state)
{
    enum { N = 3 << 20 };
    char *html = mem_alloc(N + 1), *back = mem_alloc(N + 1);
    recache_page p;
    arena a;

    (void)state;
    for (size_t i = 0; i < N; i++)
        html[i] = (char)('a' + i * i % 23);
    html[N] = '\0';
    arena_init(&a, 0);
    world_begin(&w, 1);
    render_once((world_answer){.result = RENDER_OK, .status = 200, .html = html, .takes_ms = 10});
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    assert_int_equal(p.size, N);
    gzFile f = gzopen(recache_page_path(&a, str_c(w.pages), &p, true).p, "rb");
    assert_non_null(f);
    assert_int_equal(gzread(f, back, N + 1), N);
    gzclose(f);
    assert_memory_equal(html, back, N);
    arena_done(&a);
    world_end(&w);
    mem_free(html);
    mem_free(back);
}

static void test_redirects_and_pages_not_found_are_kept_as_they_are(void **state)
{
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    render_once((world_answer){
        .result = RENDER_OK, .status = 301, .final_url = "https://www.1.example/b", .takes_ms = 10});
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    assert_int_equal(p.status_code, 301);
    assert_str(p.location, "https://www.1.example/b");
    assert_null(p.file.p);
    render_once((world_answer){.result = RENDER_OK, .status = 404, .html = "gone", .takes_ms = 10});
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    assert_int_equal(p.status_code, 404);
    assert_int_equal(p.size, 4);
    arena_done(&a);
    world_end(&w);
}

static void test_bypass_pages_are_fetched_and_have_their_own_ttl(void **state)
{
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.tabs = 0; /* fetching needs none */
    assert_int_equal(world_enqueue(&w, 1, URL, RECACHE_DIMENSION_BYPASS, RECACHE_NORMAL), 1);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(world_page(&w, 1, URL, RECACHE_DIMENSION_BYPASS, &a, &p), 0);
    assert_str(p.source, "bypass");
    assert_int_equal(p.expires_at - p.created_at, HOURS(2));
    assert_int_equal(recache_figures_of(w.recache).fetched, 1);
    arena_done(&a);
    world_end(&w);
}

static void test_a_good_copy_is_not_replaced_by_a_worse_one(void **state)
{
    recache_page good, p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    /* without a copy a partial page is better than none */
    render_once(PARTIAL);
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    assert_true(p.is_partial);
    render_once((world_answer){.result = RENDER_OK, .status = 200, .html = "<whole>"});
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &good), 0);
    assert_false(good.is_partial);
    render_once(PARTIAL);
    assert_int_equal(world_dead(&w, 1), 1);
    assert_str(only_dead(&a).reason, "soft_timeout");
    render_once((world_answer){.result = RENDER_EMPTY, .status = 200, .error_type = "empty_response"});
    render_once((world_answer){.result = RENDER_OK, .status = 500, .html = "<error>"});
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    assert_true(str_eq(p.etag, good.etag) && str_eq(p.file, good.file));
    arena_done(&a);
    world_end(&w);
}

/* ---- attempts ---- */
static int64_t attempt_at[8];
static unsigned attempts;

static world_answer fails_twice(recache_world *world, const render_op *op)
{
    world_answer a = world->answer;

    (void)op;
    store_view *v = store_read_begin(world->store);
    assert_int_equal(recache_queue_tried(v, 1), attempts > 0);
    store_read_end(v);
    attempt_at[attempts] = clk_wall_ms(&world->clock.base);
    if (++attempts < 3)
        a = (world_answer){.result = RENDER_FAILED_FOR_NOW, .error_type = "network_error"};
    return a;
}

static void test_what_can_pass_is_tried_again_later_and_later(void **state)
{
    (void)state;
    world_begin(&w, 1);
    attempts = 0;
    w.decide = fails_twice;
    assert_int_equal(world_enqueue(&w, 1, URL, 1, RECACHE_HIGH), 1);
    assert_true(world_drain(&w, MINUTES(2)));
    assert_int_equal(attempts, 3);
    assert_true(attempt_at[1] - attempt_at[0] >= 2500 && attempt_at[1] - attempt_at[0] <= 5100);
    assert_true(attempt_at[2] - attempt_at[1] >= 5000 && attempt_at[2] - attempt_at[1] <= 10100);
    assert_int_equal(world_dead(&w, 1), 0);
    assert_int_equal(recache_figures_of(w.recache).failed_attempts, 2);
    store_view *v = store_read_begin(w.store);
    assert_int_equal(recache_queue_tried(v, 1), 0);
    store_read_end(v);
    world_end(&w);
}

static void test_what_fails_too_often_becomes_a_dead_letter_that_can_be_retried(void **state)
{
    recache_task t = {.host_id = 1, .priority = RECACHE_NORMAL};
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    render_once((world_answer){.result = RENDER_FAILED_FOR_NOW, .error_type = "chrome_crash"});
    assert_int_equal(w.started, 3);
    const recache_dead d = only_dead(&a);
    assert_str(d.reason, "chrome_crash");
    assert_str(d.url, URL);
    assert_str(d.priority, "high");
    assert_int_equal(d.attempts, 3);
    assert_int_equal(d.dimension_id, 1);
    w.answer = (world_answer){.result = RENDER_OK, .status = 200, .html = "<x>"};
    assert_int_equal(world_task(&w, &t, recache_dead_retry), 0);
    assert_int_equal(t.changed, 1);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(world_dead(&w, 1), 0);
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    arena_done(&a);
    world_end(&w);
}

static void test_dead_letters_of_one_dimension_are_retried_alone(void **state)
{
    static const uint16_t mobile = 2;
    recache_task t = {.host_id = 1, .priority = RECACHE_NORMAL, .dimensions = &mobile, .n_dimensions = 1};
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.answer = (world_answer){.result = RENDER_FAILED, .error_type = "invalid_url"};
    for (uint16_t d = 0; d <= 2; d++)
        assert_int_equal(world_enqueue(&w, 1, URL, d, RECACHE_HIGH), 1);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(world_dead(&w, 1), 3);
    w.answer = (world_answer){.result = RENDER_OK, .status = 200, .html = "<x>"};
    assert_int_equal(world_task(&w, &t, recache_dead_retry), 0);
    assert_int_equal(t.changed, 1);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(world_dead(&w, 1), 2);
    t.n_dimensions = 0;
    assert_int_equal(world_task(&w, &t, recache_dead_retry), 0);
    assert_int_equal(t.changed, 2);
    arena_done(&a);
    world_end(&w);
}

static void test_of_too_many_dead_letters_the_oldest_make_room_and_are_counted(void **state)
{
    char url[64];
    recache_dead_page page = {0};
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 2);
    w.options.max_dead_letters = 3;
    assert_int_equal(recache_configure(w.recache, &w.options), 0);
    w.answer = (world_answer){.result = RENDER_FAILED, .error_type = "invalid_url"};
    for (int i = 0; i < 5; i++) {
        snprintf(url, sizeof(url), "https://www.1.example/%d", i < 4 ? i : 3); /* the last one twice */
        assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_HIGH), 1);
        assert_true(world_drain(&w, SECONDS(10)));
    }
    assert_int_equal(recache_figures_of(w.recache).dead_letters, 5);
    assert_int_equal(recache_figures_of(w.recache).dropped_dead_letters, 1);
    store_view *v = store_read_begin(w.store);
    assert_int_equal(recache_dead_list(v, &a, 1, STR_NULL, 10, &page), 0);
    store_read_end(v);
    assert_int_equal(page.n, 3);
    assert_str(page.items[0].url, "https://www.1.example/3");
    assert_str(page.items[2].url, "https://www.1.example/1");
    arena_done(&a);
    world_end(&w);
}

static void test_what_will_fail_again_is_not_tried_again(void **state)
{
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    render_once((world_answer){.result = RENDER_FAILED, .error_type = "address_not_public"});
    assert_int_equal(w.started, 1);
    assert_str(only_dead(&a).reason, "address_not_public");
    render_once((world_answer){.result = RENDER_OK, .status = 403, .html = "no"});
    assert_int_equal(w.started, 2);
    assert_str(only_dead(&a).reason, "origin_4xx");
    render_once((world_answer){.result = RENDER_OK, .status = 301, .html = "where?"});
    assert_int_equal(w.started, 3);
    assert_str(only_dead(&a).reason, "redirect_without_location");
    arena_done(&a);
    world_end(&w);
}

static void test_urls_of_other_hosts_are_never_asked_for(void **state)
{
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    assert_int_equal(world_enqueue(&w, 1, "https://internal.example/", 1, RECACHE_HIGH), 1);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(w.started, 0);
    assert_str(only_dead(&a).reason, "host_not_allowed");
    assert_int_equal(only_dead(&a).attempts, 0);
    assert_int_equal(world_enqueue(&w, 1, "ftp://www.1.example/", 1, RECACHE_HIGH), 1);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(w.started, 0);
    assert_int_equal(world_dead(&w, 1), 2);
    arena_done(&a);
    world_end(&w);
}

static void test_what_is_queued_while_it_is_rendered_is_rendered_once_more(void **state)
{
    (void)state;
    world_begin(&w, 1);
    w.answer.takes_ms = SECONDS(2);
    assert_int_equal(world_enqueue(&w, 1, URL, 1, RECACHE_HIGH), 1);
    world_turn(&w, SECONDS(1));
    assert_int_equal(w.started, 1);
    assert_int_equal(world_enqueue(&w, 1, URL, 1, RECACHE_HIGH), 0);
    assert_int_equal(world_enqueue(&w, 1, URL, 1, RECACHE_HIGH), 0);
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(w.started, 2);
    world_end(&w);
}

/* Its dead letter is queued again, before others, while the page is rendered for the entry that was there. */
static void test_an_entry_that_is_moved_while_it_is_rendered_is_rendered_once_more(void **state)
{
    recache_task t = {.host_id = 1, .priority = RECACHE_HIGH};
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    render_once((world_answer){.result = RENDER_FAILED, .error_type = "invalid_url"});
    assert_str(only_dead(&a).reason, "invalid_url");
    w.answer = (world_answer){.result = RENDER_OK, .status = 200, .html = "<x>", .takes_ms = SECONDS(2)};
    assert_int_equal(world_enqueue(&w, 1, URL, 1, RECACHE_NORMAL), 1);
    world_turn(&w, SECONDS(1));
    assert_int_equal(w.n_under_way, 1);
    assert_int_equal(world_task(&w, &t, recache_dead_retry), 0);
    assert_int_equal(t.changed, 1);
    assert_true(world_drain(&w, SECONDS(20)));
    assert_int_equal(w.started, 3);
    arena_done(&a);
    world_end(&w);
}

static void test_a_stop_loses_nothing_that_is_under_way(void **state)
{
    (void)state;
    world_begin(&w, 1);
    w.answer.takes_ms = SECONDS(30);
    for (unsigned i = 0; i < 20; i++) {
        char url[64];
        snprintf(url, sizeof(url), "https://www.1.example/%u", i);
        assert_int_equal(world_enqueue(&w, 1, url, 1, RECACHE_NORMAL), 1);
    }
    world_turn(&w, SECONDS(1));
    assert_int_equal(w.n_under_way, 10);
    world_stop(&w);
    world_start(&w);
    assert_int_equal(world_queued(&w), 20);
    w.answer.takes_ms = 10;
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(world_dead(&w, 1), 0);
    world_end(&w);
}

/* ---- keeping ---- */
static void grow_old(const char *folder)
{
    const struct timespec times[2] = {{.tv_sec = WORLD_NOW / 1000 - 1000}, {.tv_sec = WORLD_NOW / 1000 - 1000}};
    DIR *d = opendir(folder);

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            assert_int_equal(utimensat(dirfd(d), e->d_name, times, 0), 0);
    closedir(d);
}

static void grow_all_old(void)
{
    char path[160];

    for (unsigned i = 0; i < 256; i++) {
        snprintf(path, sizeof(path), "%s/%02x", w.pages, i);
        grow_old(path);
    }
}

static void test_files_that_no_record_names_are_swept(void **state)
{
    char path[256];
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    render_once(w.answer);
    render_once(w.answer); /* the first copy's file is named no more */
    snprintf(path, sizeof(path), "%s/ab/ab00000000000000-1-1-1.html.gz", w.pages);
    close(open(path, O_CREAT | O_WRONLY, 0644));
    snprintf(path, sizeof(path), "%s/cd/rubbish", w.pages);
    close(open(path, O_CREAT | O_WRONLY, 0644));
    assert_int_equal(files_in_pages(), 4);
    for (unsigned i = 0; i < 600; i++) /* all young: files of now may be about to be named */
        world_turn(&w, SECONDS(1));
    assert_int_equal(files_in_pages(), 4);
    grow_all_old();
    for (unsigned i = 0; i < 20000 && files_in_pages() > 1; i++)
        wait_a_little();
    assert_int_equal(files_in_pages(), 1);
    assert_true(recache_figures_of(w.recache).swept_files >= 2);
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    assert_int_equal(access(recache_page_path(&a, str_c(w.pages), &p, true).p, R_OK), 0);
    arena_done(&a);
    world_end(&w);
}

static void test_pages_are_forgotten_when_they_are_gone(void **state)
{
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    render_once(w.answer);
    fake_clk_advance(&w.clock, HOURS(24) + MINUTES(30));
    world_turn(&w, SECONDS(3));
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    fake_clk_advance(&w.clock, HOURS(1));
    for (int i = 0; i < 20000 && world_page(&w, 1, URL, 1, &a, &p) == 0; i++)
        wait_a_little();
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), -ENOENT);
    assert_int_equal(recache_figures_of(w.recache).pages_bytes, 0);
    arena_done(&a);
    world_end(&w);
}

static void test_a_page_invalidated_while_it_is_rendered_is_rendered_once_more(void **state)
{
    static const str urls[] = {STR_INIT(URL)};
    recache_task one = {.host_id = 1, .urls = {urls, 1}}, all = {.host_id = 1};
    recache_page p;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.answer.takes_ms = SECONDS(2);
    assert_int_equal(world_enqueue(&w, 1, URL, 1, RECACHE_HIGH), 1);
    for (unsigned i = 1; i <= 2; i++) {
        world_turn(&w, SECONDS(1));
        assert_int_equal(w.started, i);
        assert_int_equal(world_task(&w, i == 1 ? &one : &all, i == 1 ? recache_invalidate : recache_invalidate_all), 0);
        world_turn(&w, SECONDS(1) + 200);
        assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), -ENOENT);
    }
    assert_true(world_drain(&w, SECONDS(10)));
    assert_int_equal(w.started, 3);
    assert_int_equal(world_page(&w, 1, URL, 1, &a, &p), 0);
    assert_int_equal(world_dead(&w, 1), 0);
    arena_done(&a);
    world_end(&w);
}

static void test_a_disk_that_takes_no_page_loses_no_entry(void **state)
{
    char path[160];

    (void)state;
    world_begin(&w, 1);
    snprintf(path, sizeof(path), "%s/tmp", w.pages);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(world_enqueue(&w, 1, URL, 1, RECACHE_HIGH), 1);
    world_turn(&w, SECONDS(1));
    assert_int_equal(w.started, 1);
    assert_int_equal(world_queued(&w), 1);
    world_turn(&w, MINUTES(5)); /* tried gently, and no attempt of the entry's */
    assert_in_range(w.started, 10, 20);
    assert_int_equal(recache_figures_of(w.recache).disk_errors, w.started);
    assert_int_equal(world_dead(&w, 1), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_true(world_drain(&w, SECONDS(60)));
    assert_int_equal(world_dead(&w, 1), 0);
    assert_int_equal(recache_figures_of(w.recache).rendered, 1);
    world_end(&w);
}

/* The n-th allocation fails, for each n, in what is queued and in what is rendered: told, or made up for later. */
static void test_memory_that_runs_out_loses_no_entry(void **state)
{
    unsigned queued = 0, rounds = 0;
    bool was_hit = true;

    (void)state;
    world_begin(&w, 1);
    for (long nth = 0; was_hit && nth < 400; nth++, rounds++) {
        char url[64];
        snprintf(url, sizeof(url), "https://www.1.example/%ld", nth);
        mem_fail_at(nth);
        const int r = world_enqueue(&w, 1, url, 1, RECACHE_HIGH);
        world_turn(&w, SECONDS(1));
        was_hit = mem_failed();
        mem_fail_at(-1);
        assert_true(r == 1 || r == -ENOMEM);
        queued += r == 1;
        if (!world_drain(&w, MINUTES(2)))
            fail_msg("the entry is not rendered after allocation %ld failed", nth);
    }
    assert_true(rounds > 10 && rounds < 400);
    assert_int_equal(recache_figures_of(w.recache).rendered, queued);
    assert_int_equal(world_dead(&w, 1), 0);
    world_end(&w);
}

/* ---- lists ---- */
static void test_pages_are_listed_by_filter_and_summed_up(void **state)
{
    recache_page_filter f = RECACHE_PAGE_FILTER_ANY;
    recache_page_list found = {0};
    recache_page_summary sum;
    str cursor = STR_NULL;
    unsigned seen = 0;
    char url[64];
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 2);
    for (unsigned i = 0; i < 25; i++) {
        snprintf(url, sizeof(url), "https://www.1.example/%s/%u", i % 5 == 0 ? "Shoes" : "hats", i);
        assert_int_equal(world_enqueue(&w, 1, url, (uint16_t)(1 + i % 2), RECACHE_HIGH), 1);
    }
    assert_int_equal(world_enqueue(&w, 2, "https://www.2.example/shoes", 1, RECACHE_HIGH), 1);
    assert_true(world_drain(&w, SECONDS(60)));
    store_view *v = store_read_begin(w.store);
    const int64_t now = clk_wall_ms(&w.clock.base);
    do {
        assert_int_equal(recache_pages_list(v, &a, 1, &f, now, cursor, 4, &found), 0);
        seen += (unsigned)found.n;
        cursor = found.cursor;
    } while (cursor.p);
    assert_int_equal(seen, 25);
    f.url_contains = STR("shoes");
    assert_int_equal(recache_pages_list(v, &a, 1, &f, now, STR_NULL, 100, &found), 0);
    assert_int_equal(found.n, 5);
    f.stale = true;
    assert_int_equal(recache_pages_list(v, &a, 1, &f, now, STR_NULL, 100, &found), 0);
    assert_int_equal(found.n, 0);
    assert_int_equal(recache_pages_list(v, &a, 1, &f, now + HOURS(24), STR_NULL, 100, &found), 0);
    assert_int_equal(found.n, 5);
    assert_int_equal(recache_pages_list(v, &a, 1, &f, now, STR("0"), 100, &found), -EINVAL);
    assert_int_equal(recache_pages_summary(v, 1, now, &sum), 0);
    assert_int_equal(sum.total, 25);
    assert_int_equal(sum.fresh, 25);
    assert_int_equal(sum.render, 25);
    assert_int_equal(sum.n_dimensions, 2);
    store_read_end(v);
    assert_int_equal(check_faults(w.store, NULL), 0);
    arena_done(&a);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rendered_page_is_stored_with_its_file),
        cmocka_unit_test(test_a_large_page_goes_through_the_disk),
        cmocka_unit_test(test_redirects_and_pages_not_found_are_kept_as_they_are),
        cmocka_unit_test(test_bypass_pages_are_fetched_and_have_their_own_ttl),
        cmocka_unit_test(test_a_good_copy_is_not_replaced_by_a_worse_one),
        cmocka_unit_test(test_what_can_pass_is_tried_again_later_and_later),
        cmocka_unit_test(test_what_fails_too_often_becomes_a_dead_letter_that_can_be_retried),
        cmocka_unit_test(test_dead_letters_of_one_dimension_are_retried_alone),
        cmocka_unit_test(test_of_too_many_dead_letters_the_oldest_make_room_and_are_counted),
        cmocka_unit_test(test_what_will_fail_again_is_not_tried_again),
        cmocka_unit_test(test_urls_of_other_hosts_are_never_asked_for),
        cmocka_unit_test(test_what_is_queued_while_it_is_rendered_is_rendered_once_more),
        cmocka_unit_test(test_an_entry_that_is_moved_while_it_is_rendered_is_rendered_once_more),
        cmocka_unit_test(test_a_stop_loses_nothing_that_is_under_way),
        cmocka_unit_test(test_files_that_no_record_names_are_swept),
        cmocka_unit_test(test_pages_are_forgotten_when_they_are_gone),
        cmocka_unit_test(test_a_page_invalidated_while_it_is_rendered_is_rendered_once_more),
        cmocka_unit_test(test_a_disk_that_takes_no_page_loses_no_entry),
        cmocka_unit_test(test_memory_that_runs_out_loses_no_entry),
        cmocka_unit_test(test_pages_are_listed_by_filter_and_summed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
