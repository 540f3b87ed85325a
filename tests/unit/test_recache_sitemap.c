/* Sitemaps: reading them, and queueing what they list. */
#include "unit.h"

#include "domains/recache/sitemap.h"
#include "recache_world.h"

#include <stdio.h>
#include <zlib.h>

static recache_world w;

static sitemap read_map(arena *a, const char *text)
{
    sitemap s = {0};

    assert_int_equal(sitemap_read(a, str_c(text), &s), 0);
    return s;
}

static void test_pages_come_with_priority_and_date(void **state)
{
    arena a;

    (void)state;
    arena_init(&a, 0);
    const sitemap s = read_map(
        &a, "\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- <url> --><urlset xmlns=\"x\">\n"
            "<url>\n <loc> https://www.1.example/a?x=1&amp;y=&#50;&#x33; </loc><lastmod>2025-01-02</lastmod>"
            "<priority>0.8</priority><image:image><image:loc>https://cdn/x.png</image:loc></image:image></url>"
            "<url><loc><![CDATA[https://www.1.example/b?x&y]]></loc><priority>1.0</priority></url>"
            "<url><priority>7</priority><loc>https://www.1.example/c</loc><lastmod>nonsense</lastmod></url>"
            "<url></url><ns:url><ns:loc>https://www.1.example/d&unknown;</ns:loc></ns:url></urlset>");
    assert_false(s.is_index);
    assert_int_equal(s.n, 4);
    assert_str(s.v[0].loc, "https://www.1.example/a?x=1&y=23");
    assert_int_equal(s.v[0].priority, 800);
    assert_int_equal(s.v[0].lastmod, INT64_C(1735776000000));
    assert_str(s.v[1].loc, "https://www.1.example/b?x&y");
    assert_int_equal(s.v[1].priority, 1000);
    assert_str(s.v[2].loc, "https://www.1.example/c");
    assert_int_equal(s.v[2].priority, 500);
    assert_int_equal(s.v[2].lastmod, 0);
    assert_str(s.v[3].loc, "https://www.1.example/d&unknown;");
    arena_done(&a);
}

static void test_an_index_is_told_from_a_list(void **state)
{
    arena a;

    (void)state;
    arena_init(&a, 0);
    const sitemap s = read_map(&a, "<sitemapindex><sitemap><loc>https://www.1.example/1.xml</loc></sitemap>"
                                   "<sitemap><loc>https://www.1.example/2.xml</loc></sitemap></sitemapindex>");
    assert_true(s.is_index);
    assert_int_equal(s.n, 2);
    assert_str(s.v[1].loc, "https://www.1.example/2.xml");
    arena_done(&a);
}

static void test_plain_lines_are_a_sitemap_and_other_texts_are_none(void **state)
{
    sitemap s;
    arena a;

    (void)state;
    arena_init(&a, 0);
    s = read_map(&a, "https://www.1.example/a\r\n\r\nhttps://www.1.example/b\n");
    assert_int_equal(s.n, 2);
    assert_str(s.v[0].loc, "https://www.1.example/a");
    assert_int_equal(sitemap_read(&a, STR("<html><body>no</body></html>"), &s), -EINVAL);
    assert_int_equal(sitemap_read(&a, STR("nothing of that kind"), &s), -EINVAL);
    assert_int_equal(sitemap_read(&a, STR(""), &s), -EINVAL);
    arena_done(&a);
}

static void test_a_list_that_ends_too_early_is_told_from_a_whole_one(void **state)
{
    arena a;

    (void)state;
    arena_init(&a, 0);
    sitemap s = read_map(&a, "<urlset><url><loc>https://x.y/1</loc></url><url><loc>https://x.y/");
    assert_true(s.is_cut);
    assert_int_equal(s.n, 1);
    s = read_map(&a, "<sitemapindex>");
    assert_true(s.is_cut);
    s = read_map(&a, "<s:urlset xmlns:s='x'><s:url><s:loc>https://x.y/1</s:loc></s:url></s:urlset>\n");
    assert_false(s.is_cut);
    assert_false(read_map(&a, "<urlset/>").is_cut);
    assert_false(read_map(&a, "https://x.y/1").is_cut);
    arena_done(&a);
}

static void test_what_a_list_has_too_many_of_is_counted(void **state)
{
    buf text = BUF_INIT;
    arena a;

    (void)state;
    arena_init(&a, 0);
    for (int i = 0; i < SITEMAP_URLS_MAX + 7; i++)
        buf_printf(&text, "https://x.y/%d\n", i);
    buf_char(&text, '\0');
    const sitemap s = read_map(&a, text.p);
    assert_int_equal(s.n, SITEMAP_URLS_MAX);
    assert_int_equal(s.left_out, 7);
    buf_done(&text);
    arena_done(&a);
}

static void test_what_is_important_is_due_first_then_what_is_new(void **state)
{
    const int64_t now = WORLD_NOW;
    const sitemap_url top = {.priority = 1000}, top_new = {.priority = 1000, .lastmod = now - HOURS(1)},
                      usual = {.priority = 500, .lastmod = now - HOURS(1)},
                      usual_old = {.priority = 500, .lastmod = now - HOURS(24 * 20)};

    (void)state;
    assert_true(sitemap_due(&top_new, now) < sitemap_due(&top, now));
    assert_true(sitemap_due(&top, now) < sitemap_due(&usual, now));
    assert_true(sitemap_due(&usual, now) < sitemap_due(&usual_old, now));
    assert_true(sitemap_due(&usual_old, now) <= now && sitemap_due(&top_new, now) > now - MINUTES(1));
}

static void test_memory_that_runs_out_is_told(void **state)
{
    sitemap s;
    arena a;

    (void)state;
    for (size_t left = 0;; left += 16) {
        unit_tight_arena(&a, left);
        const int r = sitemap_read(&a, STR("<urlset><url><loc>https://x.y/&amp;</loc></url><url><loc>https://x.y/b"
                                           "</loc></url></urlset>"),
                                   &s);
        arena_done(&a);
        if (r == 0)
            break;
        assert_int_equal(r, -ENOMEM);
    }
    assert_int_equal(s.n, 2);
}

/* ---- the whole way ---- */
static char packed[512];

static const char *large;
static char far_away[RECACHE_URL_MAX / 2]; /* lies on the host, and is not there */

static world_answer site(recache_world *world, const render_op *op)
{
    static const char *const hops[] = {"/a.xml", "hop0", "//www.1.example/hop1", "https://www.1.example/hop2"};
    world_answer a = {.result = RENDER_OK, .status = 200, .takes_ms = 20};
    int hop;

    (void)world;
    if (str_ends(op->url, STR("/index.xml")))
        a.html = "<sitemapindex><sitemap><loc>https://www.1.example/a.xml</loc></sitemap>"
                 "<sitemap><loc>https://www.1.example/gone.xml</loc></sitemap>"
                 "<sitemap><loc>https://elsewhere.example/b.xml</loc></sitemap></sitemapindex>";
    else if (str_ends(op->url, STR("/a.xml")))
        a.html = "<urlset><url><loc>https://www.1.example/low</loc><priority>0.1</priority></url>"
                 "<url><loc>https://www.1.example/high</loc><priority>0.9</priority></url>"
                 "<url><loc>https://www.1.example/high?utm_source=x</loc></url><url><loc>no url</loc></url></urlset>";
    else if (str_ends(op->url, STR("/nested.xml")))
        a.html = "<sitemapindex><sitemap><loc>https://www.1.example/index.xml</loc></sitemap></sitemapindex>";
    else if (str_ends(op->url, STR("/large.xml")))
        a.html = large;
    else if (str_ends(op->url, STR("/cut.xml")))
        a.html = "<urlset><url><loc>https://www.1.example/1</loc></url><url><loc>https://www.1.exa";
    else if (str_ends(op->url, STR("/away.xml")))
        a = (world_answer){.result = RENDER_OK, .status = 301, .final_url = "https://elsewhere.example/a.xml"};
    else if (str_ends(op->url, STR("/nowhere.xml")))
        a = (world_answer){.result = RENDER_OK, .status = 301};
    else if (str_ends(op->url, STR("/slow")))
        a = (world_answer){.result = RENDER_OK, .status = 200, .html = "https://www.1.example/a\n",
                           .takes_ms = MINUTES(1)};
    else if (str_ends(op->url, STR("/far.xml")))
        a = (world_answer){.result = RENDER_OK, .status = 302, .final_url = far_away};
    else if (sscanf(op->url.p, "https://www.1.example/hop%d", &hop) == 1)
        a = (world_answer){.result = RENDER_OK, .status = 302, .html = "moved", .final_url = hops[hop]};
    else
        a.status = 404;
    return a;
}

static void pause_it(recache *r, recache_task *t)
{
    recache_pause(r, true, t);
}

static int run_sitemap(recache_task *t, arena *a, const char *url)
{
    static const uint16_t desktop = 1;
    static str urls[1];
    bool done = false;

    urls[0] = str_c(url);
    *t = (recache_task){.arena = a,
                        .host_id = 1,
                        .urls = {urls, 1},
                        .dimensions = &desktop,
                        .n_dimensions = 1,
                        .priority = RECACHE_NORMAL,
                        .on_done = world_task_ended,
                        .user = &done};
    recache_sitemap(w.recache, t);
    for (int i = 0; i < 2000000 && !done; i++)
        world_turn(&w, 20);
    assert_true(done);
    return t->status;
}

static void test_the_sitemaps_of_an_index_are_queued(void **state)
{
    recache_queue_page page = {0};
    recache_task t = {0};
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.decide = site;
    assert_int_equal(world_task(&w, &t, pause_it), 0);
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/index.xml"), 0);
    assert_int_equal(t.accepted, 3);
    assert_int_equal(t.deduplicated, 1);
    assert_int_equal(t.n_rejected, 3); /* a text that is no URL, a sitemap that is gone, one of another host */
    store_view *v = store_read_begin(w.store);
    assert_int_equal(recache_queue_list(v, &a, 1, 7, STR_NULL, 10, &page), 0);
    assert_int_equal(page.n, 2);
    assert_str(page.items[0].url, "https://www.1.example/high");
    assert_str(page.items[1].url, "https://www.1.example/low");
    store_read_end(v);
    arena_done(&a);
    world_end(&w);
}

static void test_a_sitemap_that_cannot_be_had_is_an_error_with_its_reason(void **state)
{
    recache_task t;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.decide = site;
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/none.xml"), -EREMOTEIO);
    assert_int_equal(t.n_rejected_listed, 1);
    assert_str(t.rejected[0].reason, "status 404");
    assert_int_equal(run_sitemap(&t, &a, "https://elsewhere.example/a.xml"), -EREMOTEIO);
    assert_str(t.rejected[0].reason, "its host is not one of the host's domains");
    arena_done(&a);
    world_end(&w);
}

/* The n-th allocation fails, for each n, while a sitemap that is not there is asked for: it never passes for one that
 * is. */
static void test_memory_that_runs_out_makes_no_answer_a_good_one(void **state)
{
    const int n = snprintf(far_away, sizeof(far_away), "https://www.1.example/");
    recache_task t;
    bool was_hit = true;
    long nth = 0;
    arena a;

    (void)state;
    memset(far_away + n, 'x', sizeof(far_away) - (size_t)n - 1);
    world_begin(&w, 1);
    w.decide = site;
    for (; was_hit && nth < 400; nth++) {
        arena_init(&a, 0);
        mem_fail_at(nth);
        const int r = run_sitemap(&t, &a, "https://www.1.example/far.xml");
        was_hit = mem_failed();
        mem_fail_at(-1);
        assert_true(r == -EREMOTEIO || (was_hit && r == -ENOMEM));
        assert_int_equal(t.accepted, 0);
        arena_done(&a);
    }
    assert_true(nth > 2 && nth < 400);
    world_end(&w);
}

/* Nothing vanishes without a word. */
static void test_what_is_left_out_of_a_sitemap_is_told(void **state)
{
    buf text = BUF_INIT;
    recache_task t;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.decide = site;
    assert_int_equal(world_task(&w, &t, pause_it), 0);
    for (int i = 0; i < SITEMAP_URLS_MAX + 120; i++)
        buf_printf(&text, "https://www.1.example/%d\n", i);
    buf_char(&text, '\0');
    large = text.p;
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/large.xml"), 0);
    assert_int_equal(t.accepted, SITEMAP_URLS_MAX);
    assert_int_equal(t.n_rejected, 120);
    assert_int_equal(t.n_rejected_listed, 1);
    assert_str(t.rejected[0].url, "https://www.1.example/large.xml");
    assert_str(t.rejected[0].reason, "120 more than the 50000 that a sitemap may list: these were left out");
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/cut.xml"), 0);
    assert_int_equal(t.accepted, 1);
    assert_int_equal(t.n_rejected, 1);
    assert_str(t.rejected[0].reason, "it ends too early: only what comes before was read");
    buf_done(&text);
    arena_done(&a);
    world_end(&w);
}

static void test_a_sitemap_may_be_redirected_within_the_host(void **state)
{
    recache_task t;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.decide = site;
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/hop2"), 0); /* three times */
    assert_int_equal(t.accepted, 3);
    assert_int_equal(t.n_rejected, 1);
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/hop3"), -EREMOTEIO);
    assert_str(t.rejected[0].reason, "redirected to https://www.1.example/hop0: it is redirected too often");
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/away.xml"), -EREMOTEIO);
    assert_str(t.rejected[0].reason,
               "redirected to https://elsewhere.example/a.xml: its host is not one of the host's domains");
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/nowhere.xml"), -EREMOTEIO);
    assert_str(t.rejected[0].reason, "it does not say where");
    arena_done(&a);
    world_end(&w);
}

/* An index of `n` sitemaps. */
static void run_index(recache_task *t, arena *a, unsigned n, const char *name)
{
    SCOPED(buf_done) buf text = BUF_INIT;

    buf_printf(&text, "<sitemapindex>");
    for (unsigned i = 1; i <= n; i++)
        buf_printf(&text, "<sitemap><loc>https://www.1.example/%u/%s</loc></sitemap>", i, name);
    buf_printf(&text, "</sitemapindex>");
    buf_char(&text, '\0');
    large = text.p;
    assert_int_equal(run_sitemap(t, a, "https://www.1.example/large.xml"), 0);
}

static void test_an_index_is_not_followed_for_ever(void **state)
{
    recache_task t;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.decide = site;
    assert_int_equal(world_task(&w, &t, pause_it), 0);
    run_index(&t, &a, 1000, "gone.xml");
    assert_int_equal(w.started, 1 + 20);
    assert_int_equal(t.n_rejected, 1000);
    assert_int_equal(t.n_rejected_listed, 21);
    assert_str(t.rejected[20].url, "https://www.1.example/21/gone.xml");
    assert_str(t.rejected[20].reason, "980 of the index's sitemaps, from this one on, were not read: too many in a row "
                                      "could not be had");
    w.started = 0;
    w.step_ms = SECONDS(1);
    run_index(&t, &a, 100, "slow");
    assert_true(w.started > 30 && w.started <= 61);
    assert_int_equal(t.n_rejected, 100 + 1 - w.started);
    assert_int_equal(t.n_rejected_listed, 1);
    assert_true(str_ends(t.rejected[0].reason, STR("were not read: it took too long")));
    assert_int_equal(t.accepted, w.started - 1);
    arena_done(&a);
    world_end(&w);
}

static int too_busy(void *arg, render_op *op)
{
    (void)arg;
    (void)op;
    return -EBUSY;
}

static void test_a_fetch_that_cannot_begin_is_not_told_as_too_many_sitemaps(void **state)
{
    recache_task t;
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    world_stop(&w);
    w.options.renderer.start = too_busy;
    world_start(&w);
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/a.xml"), -EREMOTEIO);
    assert_str(t.rejected[0].reason, "too many pages are being fetched: try again later");
    arena_done(&a);
    world_end(&w);
}

static void test_only_so_many_sitemaps_are_read_at_once(void **state)
{
    enum { N = RECACHE_SITEMAPS_MAX + 1 };
    static const str urls[] = {STR_INIT("https://www.1.example/a.xml")};
    recache_task tasks[N], t;
    bool done[N] = {false};
    arena a;

    (void)state;
    arena_init(&a, 0);
    world_begin(&w, 1);
    w.decide = site;
    for (unsigned i = 0; i < N; i++) {
        tasks[i] = (recache_task){
            .arena = &a, .host_id = 1, .urls = {urls, 1}, .on_done = world_task_ended, .user = &done[i]};
        recache_sitemap(w.recache, &tasks[i]);
    }
    for (int i = 0; i < 100000 && !(done[0] && done[1] && done[2] && done[3] && done[4]); i++)
        world_turn(&w, 20);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(tasks[i].status, i < RECACHE_SITEMAPS_MAX ? 0 : -EBUSY);
    assert_int_equal(run_sitemap(&t, &a, "https://www.1.example/a.xml"), 0);
    arena_done(&a);
    world_end(&w);
}

static void test_gzip_is_unpacked(void **state)
{
    z_stream z = {0};
    buf out = BUF_INIT;

    (void)state;
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    static char text[] = "<urlset></urlset>";
    z.next_in = (unsigned char *)text;
    z.avail_in = sizeof(text) - 1;
    z.next_out = (unsigned char *)packed;
    z.avail_out = sizeof(packed);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    const size_t n = sizeof(packed) - z.avail_out;
    deflateEnd(&z);
    assert_int_equal(sitemap_unpack(str_of(packed, n), &out), 0);
    assert_str(buf_view(&out), "<urlset></urlset>");
    buf_done(&out);
    assert_int_equal(sitemap_unpack(str_of(packed, n - 3), &out), -EINVAL);
    buf_done(&out);
    assert_int_equal(sitemap_unpack(STR("plain"), &out), 0);
    assert_str(buf_view(&out), "plain");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_come_with_priority_and_date),
        cmocka_unit_test(test_an_index_is_told_from_a_list),
        cmocka_unit_test(test_plain_lines_are_a_sitemap_and_other_texts_are_none),
        cmocka_unit_test(test_what_is_important_is_due_first_then_what_is_new),
        cmocka_unit_test(test_memory_that_runs_out_is_told),
        cmocka_unit_test(test_the_sitemaps_of_an_index_are_queued),
        cmocka_unit_test(test_a_sitemap_that_cannot_be_had_is_an_error_with_its_reason),
        cmocka_unit_test(test_memory_that_runs_out_makes_no_answer_a_good_one),
        cmocka_unit_test(test_a_list_that_ends_too_early_is_told_from_a_whole_one),
        cmocka_unit_test(test_what_a_list_has_too_many_of_is_counted),
        cmocka_unit_test(test_what_is_left_out_of_a_sitemap_is_told),
        cmocka_unit_test(test_a_sitemap_may_be_redirected_within_the_host),
        cmocka_unit_test(test_an_index_is_not_followed_for_ever),
        cmocka_unit_test(test_a_fetch_that_cannot_begin_is_not_told_as_too_many_sitemaps),
        cmocka_unit_test(test_only_so_many_sitemaps_are_read_at_once),
        cmocka_unit_test(test_gzip_is_unpacked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
