/* The fleet: polls, registrations, capacity and reserve, who gets the next page, breakers, options that change. */
#include "farm.h"
#include "remote/render/render_private.h"

#include <stdio.h>

#define HEALTH(pool, active) \
    "{\"status\":\"ok\",\"pool_size\":" #pool ",\"available_instances\":0,\"active_instances\":" #active "}"
#define REGISTRATION(id, address, capacity, load)                                                             \
    "{\"id\":\"" id "\",\"address\":\"" address "\",\"port\":9080,\"capacity\":" #capacity ",\"load\":" #load \
    ",\"last_seen\":1768472430,\"version\":\"1\",\"metadata\":{\"pool_size\":5,\"available\":5,\"hostname\":\"h\"}}"

static void assert_capacity(farm *f, unsigned all, unsigned tabs_free, unsigned reserved, unsigned available)
{
    const render_capacity c = render_fleet_capacity(f->fleet);
    assert_int_equal(c.all, all);
    assert_int_equal(c.free, tabs_free);
    assert_int_equal(c.reserved, reserved);
    assert_int_equal(c.available, available);
}

/* ---- polls ---- */

static void a_fixed_service_counts_from_its_first_poll(void **state)
{
    (void)state;
    farm f;
    farm_open(&f, 2);
    f.farmers[1].health = HEALTH(4, 3);
    assert_int_equal(render_fleet_new(f.w.loop, &f.options, &f.fleet), 0);
    assert_capacity(&f, 0, 0, 0, 0);
    page p;
    page_init(&p, "https://example.com/");
    assert_int_equal(page_start(&p, &f), -EBUSY);
    peer_run_until(f.w.loop, farm_service(&f, 0).heard_at && farm_service(&f, 1).heard_at);
    peer_turns(f.w.loop);
    assert_true(f.told > 0);
    assert_capacity(&f, 14, 11, 0, 11);
    const render_service s = farm_service(&f, 1);
    assert_string_equal(s.url, f.farmers[1].peer.url);
    assert_true(s.is_reachable);
    assert_false(s.registered);
    assert_int_equal(s.capacity, 4);
    assert_int_equal(s.load, 3);
    assert_int_equal(s.heard_at, FETCH_NOW);
    farm_close(&f);
}

static void polls_go_on_and_are_never_all_at_once(void **state)
{
    (void)state;
    farm f;
    int64_t first[FARM_PEERS] = {0};
    farm_open(&f, 3);
    farm_start(&f);
    for (int64_t ms = 0; ms < 1300; ms += 20) {
        farm_pass(&f, 20);
        for (size_t i = 0; i < 3; i++)
            if (f.farmers[i].polls > 1 && first[i] == 0)
                first[i] = ms;
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(first[i], 760, 1240);
    assert_true(first[0] != first[1] || first[1] != first[2]);
    farm_close(&f);
}

static void a_service_that_misses_two_polls_is_out_until_it_answers_again(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "no json", "{\"status\":\"starting\"}", HEALTH(-1, 0), HEALTH(true, 0)};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        farm f;
        farm_open(&f, 1);
        farm_start(&f);
        f.farmers[0].health = bad[i];
        const unsigned before = f.farmers[0].polls;
        while (f.farmers[0].polls < before + 1)
            farm_pass(&f, 100);
        assert_true(farm_service(&f, 0).is_reachable);
        assert_true(farm_service(&f, 0).last_error[0] != '\0');
        while (f.farmers[0].polls < before + 2)
            farm_pass(&f, 100);
        assert_false(farm_service(&f, 0).is_reachable);
        assert_capacity(&f, 0, 0, 0, 0);
        for (int s = 0; s < 60; s++)
            farm_pass(&f, SECONDS(1));
        assert_in_range(f.farmers[0].polls - before, 7, 14); /* it is asked less and less, but asked */
        f.farmers[0].health = HEALTH(10, 0);
        for (int s = 0; s < 10; s++)
            farm_pass(&f, SECONDS(1));
        assert_capacity(&f, 10, 10, 0, 10);
        farm_close(&f);
    }
}

static void a_poll_without_an_answer_is_given_up(void **state)
{
    (void)state;
    farm f;
    farm_open(&f, 1);
    farm_start(&f);
    f.farmers[0].health = NULL;
    for (int s = 0; s < 14; s++)
        farm_pass(&f, SECONDS(1));
    assert_false(farm_service(&f, 0).is_reachable);
    f.farmers[0].health = HEALTH(10, 0);
    for (int s = 0; s < 14; s++)
        farm_pass(&f, SECONDS(1));
    assert_true(farm_service(&f, 0).is_reachable);
    farm_close(&f);
}

/* ---- capacity ---- */

static void the_reserve_is_a_share_of_all_tabs(void **state)
{
    (void)state;
    static const struct {
        double share;
        const char *health;
        unsigned all, tabs_free, reserved, available;
    } cases[] = {
        {0.30, HEALTH(10, 0), 10, 10, 3, 7}, {0.30, HEALTH(10, 6), 10, 4, 3, 1},
        {0.30, HEALTH(10, 7), 10, 3, 3, 0},  {0.30, HEALTH(10, 10), 10, 0, 3, 0},
        {0.30, HEALTH(10, 12), 10, 0, 3, 0}, {0.31, HEALTH(10, 0), 10, 10, 4, 6},
        {0.30, HEALTH(1, 0), 1, 1, 0, 1},    {0.99, HEALTH(2, 0), 2, 2, 1, 1},
        {1.0, HEALTH(10, 0), 10, 10, 10, 0}, {0, HEALTH(10, 3), 10, 7, 0, 7},
        {0.5, HEALTH(0, 0), 0, 0, 0, 0},     {0, HEALTH(99999, 0), 1000, 1000, 0, 1000},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        farm f;
        farm_open(&f, 1);
        f.options.reserved = cases[i].share;
        f.farmers[0].health = cases[i].health;
        farm_start(&f);
        assert_capacity(&f, cases[i].all, cases[i].tabs_free, cases[i].reserved, cases[i].available);
        farm_close(&f);
    }
}

static void pages_go_to_the_least_loaded_and_never_into_the_reserve(void **state)
{
    (void)state;
    farm f;
    page pages[16];
    farm_open(&f, 2);
    f.options.reserved = 0.25; /* 4 of 16 */
    f.farmers[0].health = HEALTH(4, 0);
    f.farmers[1].health = HEALTH(12, 0);
    farm_start(&f);
    size_t n = 0;
    for (; n < 16; n++) {
        page_init(&pages[n], "https://example.com/");
        if (page_start(&pages[n], &f) < 0)
            break;
    }
    assert_int_equal(n, 12);
    assert_int_equal(farm_service(&f, 0).in_flight, 3);
    assert_int_equal(farm_service(&f, 1).in_flight, 9);
    assert_capacity(&f, 16, 4, 4, 0);
    f.told = 0;
    render_cancel(&pages[0].op);
    page_wait(&pages[0], &f);
    peer_turns(f.w.loop);
    assert_true(f.told > 0);
    assert_capacity(&f, 16, 5, 4, 1);
    farm_close_fleet(&f);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(pages[i].done, 1);
        assert_int_equal(pages[i].op.result, RENDER_CANCELLED);
        page_done(&pages[i]);
    }
    farm_close(&f);
}

static void our_own_pages_count_once(void **state)
{
    (void)state;
    farm f;
    page pages[3];
    farm_open(&f, 1);
    farm_start(&f);
    for (size_t i = 0; i < 3; i++) {
        page_init(&pages[i], "https://example.com/");
        assert_int_equal(page_start(&pages[i], &f), 0);
    }
    assert_capacity(&f, 10, 7, 0, 7);
    f.farmers[0].health = HEALTH(10, 5); /* ours, and two of others */
    farm_pass(&f, 1300);
    assert_capacity(&f, 10, 5, 0, 5);
    f.farmers[0].health = HEALTH(10, 1); /* told before ours began */
    farm_pass(&f, 1300);
    assert_capacity(&f, 10, 7, 0, 7);
    farm_close_fleet(&f);
    for (size_t i = 0; i < 3; i++)
        page_done(&pages[i]);
    farm_close(&f);
}

/* ---- breakers ---- */

static void a_breaker_opens_after_five_failures_and_pauses_longer_each_time(void **state)
{
    (void)state;
    breaker b = {0};
    int64_t now = 1000, pause = 1000;
    random_seed_for_tests(7);
    for (int i = 0; i < 4; i++)
        render_breaker_failed(&b, now);
    assert_int_equal(render_breaker_at(&b, now), RENDER_BREAKER_CLOSED);
    render_breaker_succeeded(&b);
    for (int i = 0; i < 5; i++)
        render_breaker_failed(&b, now);
    for (int round = 0; round < 10; round++) {
        assert_int_equal(render_breaker_at(&b, now), RENDER_BREAKER_OPEN);
        render_breaker_failed(&b, now); /* what was under way says nothing new */
        assert_int_equal(render_breaker_at(&b, now + pause * 8 / 10 - 1), RENDER_BREAKER_OPEN);
        now += pause * 12 / 10;
        assert_int_equal(render_breaker_at(&b, now), RENDER_BREAKER_HALF_OPEN);
        render_breaker_failed(&b, now);
        pause = pause * 2 < 60000 ? pause * 2 : 60000;
    }
    now += 72000;
    assert_int_equal(render_breaker_at(&b, now), RENDER_BREAKER_HALF_OPEN);
    render_breaker_succeeded(&b);
    assert_int_equal(render_breaker_at(&b, now), RENDER_BREAKER_CLOSED);
    render_breaker_failed(&b, now);
    assert_int_equal(render_breaker_at(&b, now), RENDER_BREAKER_CLOSED);
    random_seed_for_tests(0);
}

static void fail_pages(farm *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        page p;
        page_init(&p, "https://example.com/");
        page_run(&p, f);
        assert_int_equal(p.op.result, RENDER_FAILED_FOR_NOW);
        page_done(&p);
    }
}

static void a_failing_service_is_taken_out_and_tried_with_one_page(void **state)
{
    (void)state;
    farm f;
    page p, second;
    farm_open(&f, 1);
    buf bad = BUF_INIT, good = farm_frame(META_OK, STR("x"));
    buf_str(&bad, str_c(farm_json("503 No", "{\"success\":false,\"error_type\":\"pool_unavailable\"}")));
    farm_says(&f, 0, &bad);
    f.options.reserved = 0.3;
    farm_start(&f);
    fail_pages(&f, 5);
    assert_int_equal(farm_service(&f, 0).breaker, RENDER_BREAKER_OPEN);
    assert_int_equal(farm_service(&f, 0).failures, 5);
    assert_capacity(&f, 0, 0, 0, 0);
    page_init(&p, "https://example.com/");
    assert_int_equal(page_start(&p, &f), -EBUSY);

    f.told = 0;
    farm_pass(&f, 1200);
    assert_true(f.told > 0); /* by the next poll at the latest */
    assert_int_equal(farm_service(&f, 0).breaker, RENDER_BREAKER_HALF_OPEN);
    assert_capacity(&f, 1, 1, 0, 1);
    f.farmers[0].say = NULL;
    assert_int_equal(page_start(&p, &f), 0);
    assert_capacity(&f, 0, 0, 0, 0);
    page_init(&second, "https://example.com/");
    assert_int_equal(page_start(&second, &f), -EBUSY);
    render_cancel(&p.op); /* says nothing: the next one may try */
    page_wait(&p, &f);
    page_done(&p);
    assert_capacity(&f, 1, 1, 0, 1);

    farm_says(&f, 0, &good);
    page_run(&second, &f);
    assert_int_equal(second.op.result, RENDER_OK);
    page_done(&second);
    assert_int_equal(farm_service(&f, 0).breaker, RENDER_BREAKER_CLOSED);
    assert_int_equal(farm_service(&f, 0).pages, 1);
    assert_capacity(&f, 10, 10, 3, 7);
    farm_close(&f);
    buf_done(&bad);
    buf_done(&good);
}

static void work_goes_to_the_others_while_one_is_out(void **state)
{
    (void)state;
    farm f;
    farm_open(&f, 2);
    buf bad = BUF_INIT, good = farm_frame(META_OK, STR("x"));
    buf_str(&bad, str_c(farm_json("504 Late", "{\"success\":false,\"error_type\":\"hard_timeout\"}")));
    farm_says(&f, 0, &bad);
    farm_says(&f, 1, &good);
    farm_start(&f);
    unsigned failed = 0;
    for (unsigned i = 0; i < 30; i++) {
        page p;
        page_init(&p, "https://example.com/");
        page_run(&p, &f);
        failed += p.op.result != RENDER_OK;
        page_done(&p);
    }
    assert_int_equal(failed, 5);
    assert_int_equal(farm_service(&f, 0).breaker, RENDER_BREAKER_OPEN);
    assert_int_equal(farm_service(&f, 1).pages, 25);
    farm_close(&f);
    buf_done(&bad);
    buf_done(&good);
}

static void failures_of_pages_are_not_the_services(void **state)
{
    (void)state;
    farm f;
    farm_open(&f, 1);
    buf bad = BUF_INIT;
    buf_str(&bad, str_c(farm_json("200 OK", "{\"success\":false,\"error_type\":\"network_error\"}")));
    farm_says(&f, 0, &bad);
    farm_start(&f);
    fail_pages(&f, 12);
    assert_int_equal(farm_service(&f, 0).breaker, RENDER_BREAKER_CLOSED);
    farm_close(&f);
    buf_done(&bad);
}

/* ---- registration ---- */

static int enrol(farm *f, const char *json)
{
    const char *why = NULL;
    const int r = render_fleet_register(f->fleet, str_c(json), STR("192.0.2.7"), &why);
    assert_int_equal(r == -EINVAL, why != NULL);
    return r;
}

static void a_registered_service_is_there_until_three_seconds_after_its_last_word(void **state)
{
    (void)state;
    farm f;
    farm_open(&f, 0);
    farm_start(&f);
    assert_int_equal(enrol(&f, REGISTRATION("a", "10.1.2.3", 5, 1)), 0);
    peer_turns(f.w.loop);
    assert_int_equal(f.told, 1);
    assert_capacity(&f, 5, 4, 0, 4);
    render_service s = farm_service(&f, 0);
    assert_true(s.registered);
    assert_string_equal(s.id, "a");
    assert_string_equal(s.url, "http://10.1.2.3:9080");
    farm_pass(&f, 2999);
    assert_int_equal(enrol(&f, REGISTRATION("a", "10.1.2.3", 5, 2)), 0);
    assert_capacity(&f, 5, 3, 0, 3);
    farm_pass(&f, 2999);
    assert_capacity(&f, 5, 3, 0, 3);
    farm_pass(&f, 1);
    assert_capacity(&f, 0, 0, 0, 0);
    farm_close(&f);
}

static void a_service_that_listens_everywhere_is_where_it_called_from(void **state)
{
    (void)state;
    static const struct {
        const char *address, *peer, *url;
    } cases[] = {
        {"0.0.0.0", "192.0.2.7", "http://192.0.2.7:1"},
        {"::", "192.0.2.7", "http://192.0.2.7:1"},
        {"", "2001:db8::1", "http://[2001:db8::1]:1"},
        {"10.0.0.9", "192.0.2.7", "http://10.0.0.9:1"},
        {"fd00::9", "192.0.2.7", "http://[fd00::9]:1"},
        {"render-1.internal", "192.0.2.7", "http://render-1.internal:1"},
    };
    farm f;
    farm_open(&f, 0);
    farm_start(&f);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char text[200];
        const char *why;
        snprintf(text, sizeof(text), "{\"id\":\"x\",\"address\":\"%s\",\"port\":1,\"capacity\":1}", cases[i].address);
        assert_int_equal(render_fleet_register(f.fleet, str_c(text), str_c(cases[i].peer), &why), 0);
        assert_string_equal(farm_service(&f, 0).url, cases[i].url); /* it has moved: still one */
        assert_int_equal(render_fleet_capacity(f.fleet).all, 1);
    }
    farm_close(&f);
}

static void registrations_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{",
        "{}",
        "{\"id\":\"\",\"address\":\"a\",\"port\":1}",
        "{\"id\":\"a\\u0001\",\"address\":\"a\",\"port\":1}",
        "{\"id\":7,\"address\":\"a\",\"port\":1}",
        "{\"id\":\"a\",\"address\":\"a b\",\"port\":1}",
        "{\"id\":\"a\",\"address\":\"a/b\",\"port\":1}",
        "{\"id\":\"a\",\"address\":\"u@h\",\"port\":1}",
        "{\"id\":\"a\",\"address\":\"a\"}",
        "{\"id\":\"a\",\"address\":\"a\",\"port\":0}",
        "{\"id\":\"a\",\"address\":\"a\",\"port\":65536}",
        "{\"id\":\"a\",\"address\":\"a\",\"port\":\"80\"}",
        "{\"id\":\"a\",\"address\":\"a\",\"port\":1,\"capacity\":-1}",
        "{\"id\":\"a\",\"address\":\"a\",\"port\":1,\"capacity\":\"5\"}",
        "{\"id\":\"a\",\"address\":\"a\",\"port\":1,\"load\":1.5}",
    };
    farm f;
    farm_open(&f, 0);
    farm_start(&f);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (enrol(&f, bad[i]) != -EINVAL)
            fail_msg("%s", bad[i]);
    assert_capacity(&f, 0, 0, 0, 0);
    farm_close(&f);
}

static void there_is_a_most_of_services(void **state)
{
    (void)state;
    farm f;
    farm_open(&f, 0);
    farm_start(&f);
    for (int i = 0; i < RENDER_SERVICES_MAX + 1; i++) {
        char text[200];
        snprintf(text, sizeof(text), "{\"id\":\"s%d\",\"address\":\"10.0.0.1\",\"port\":1,\"capacity\":1}", i);
        assert_int_equal(enrol(&f, text), i < RENDER_SERVICES_MAX ? 0 : -ENOSPC);
    }
    assert_int_equal(enrol(&f, "{\"id\":\"s0\",\"address\":\"10.0.0.1\",\"port\":1,\"capacity\":2}"), 0);
    assert_int_equal(render_fleet_capacity(f.fleet).all, RENDER_SERVICES_MAX + 1);
    farm_close(&f);
}

static void a_registered_service_renders_and_may_leave_meanwhile(void **state)
{
    (void)state;
    farm f;
    page p;
    char text[200];
    farm_open(&f, 1); /* the peer, but no fixed service */
    f.options.n_services = 0;
    f.farmers[0].health = NULL;
    farm_start(&f);
    snprintf(text, sizeof(text), "{\"id\":\"s\",\"address\":\"127.0.0.1\",\"port\":%d,\"capacity\":1}",
             f.farmers[0].peer.port);
    assert_int_equal(enrol(&f, text), 0);
    page_init(&p, "https://example.com/");
    assert_int_equal(page_start(&p, &f), 0);
    peer_run_until(f.w.loop, f.farmers[0].n_held == 1);
    farm_pass(&f, SECONDS(3));
    assert_capacity(&f, 0, 0, 0, 0);
    assert_int_equal(p.done, 0);
    buf good = farm_frame(META_OK, STR("x"));
    peer_say(f.farmers[0].held[0], buf_view(&good));
    page_wait(&p, &f);
    assert_int_equal(p.op.result, RENDER_OK);
    page_done(&p);
    farm_close(&f);
    buf_done(&good);
}

/* ---- options ---- */

static void changed_options_keep_the_services_that_stay(void **state)
{
    (void)state;
    farm f;
    page p;
    farm_open(&f, 3);
    f.options.n_services = 2;
    f.n = 2;
    farm_start(&f);
    f.n = 3;
    assert_int_equal(enrol(&f, REGISTRATION("r", "10.1.2.3", 5, 0)), 0);
    page_init(&p, "https://example.com/");
    assert_int_equal(page_start(&p, &f), 0); /* on the first */
    peer_run_until(f.w.loop, f.farmers[0].n_held + f.farmers[1].n_held == 1);
    const size_t busy = f.farmers[0].n_held ? 0 : 1;

    /* The busy one goes, the other one stays, a third one comes, named twice. */
    char slash[60];
    snprintf(slash, sizeof(slash), "%s/", f.farmers[2].peer.url);
    const render_service_options changed[] = {{.url = str_c(slash)},
                                              {.url = str_c(f.farmers[1 - busy].peer.url)},
                                              {.url = str_c(f.farmers[1 - busy].peer.url)}};
    f.options.services = changed;
    f.options.n_services = 3;
    assert_int_equal(render_fleet_set_options(f.fleet, &f.options), 0);
    assert_string_equal(farm_service(&f, 0).url, f.farmers[2].peer.url);
    assert_int_equal(farm_service(&f, 0).heard_at, 0);
    assert_string_equal(farm_service(&f, 1).url, f.farmers[1 - busy].peer.url);
    assert_true(farm_service(&f, 1).heard_at > 0);
    assert_string_equal(farm_service(&f, 2).id, "r");
    assert_capacity(&f, 15, 15, 0, 15);

    buf good = farm_frame(META_OK, STR("x")); /* the page that is under way ends well all the same */
    peer_say(f.farmers[busy].held[0], buf_view(&good));
    page_wait(&p, &f);
    assert_int_equal(p.op.result, RENDER_OK);
    page_done(&p);
    farm_close(&f);
    buf_done(&good);
}

static void options_that_make_no_sense_change_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "ftp://x",       "http://",    "https:///", "http://a/b",
                                      "http://a?", "http://u@h:90", "http://a b", "render-1",  "http://a\\b"};
    farm f;
    farm_open(&f, 1);
    farm_start(&f);
    render_options o = f.options;
    o.n_services = 1;
    o.reserved = 0.9;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        const render_service_options one = {.url = str_c(bad[i])};
        render_fleet *other;
        o.services = &one;
        if (render_fleet_set_options(f.fleet, &o) != -EINVAL)
            fail_msg("%s", bad[i]);
        assert_int_equal(render_fleet_new(f.w.loop, &o, &other), -EINVAL);
    }
    assert_capacity(&f, 10, 10, 0, 10);
    peer_turns(f.w.loop);
    farm_close(&f);
}

static void a_change_that_is_dropped_changes_nothing(void **state)
{
    (void)state;
    farm f;
    farm_open(&f, 2);
    render_options o = f.options;
    render_change *change;
    f.options.n_services = 1;
    assert_int_equal(render_fleet_new(f.w.loop, &f.options, &f.fleet), 0);
    peer_run_until(f.w.loop, farm_service(&f, 0).heard_at > 0);
    o.reserved = 0.9;
    assert_int_equal(render_fleet_prepare(f.fleet, &o, &change), 0);
    render_fleet_drop(f.fleet, change);
    peer_turns(f.w.loop);
    assert_capacity(&f, 10, 10, 0, 10);
    assert_int_equal(render_fleet_prepare(f.fleet, &o, &change), 0);
    render_fleet_commit(f.fleet, change);
    peer_run_until(f.w.loop, farm_service(&f, 1).heard_at > 0);
    assert_capacity(&f, 20, 20, 18, 2);
    farm_close(&f);
}

static void lack_of_memory_changes_nothing(void **state)
{
    (void)state;
    farm f;
    farm_open(&f, 2);
    f.options.n_services = 1;
    for (long nth = 0; unit_next_fault(&nth);) {
        const int r = render_fleet_new(f.w.loop, &f.options, &f.fleet);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            continue;
        }
        mem_fail_at(-1);
        peer_run_until(f.w.loop, farm_service(&f, 0).heard_at > 0);
        break;
    }
    f.options.n_services = 2;
    f.options.reserved = 0.5;
    for (long nth = 0; unit_next_fault(&nth);) {
        const int r = render_fleet_set_options(f.fleet, &f.options);
        const int enrolled = enrol(&f, REGISTRATION("r", "10.1.2.3", 6, 0));
        if (mem_failed() && r < 0)
            assert_int_equal(render_fleet_capacity(f.fleet).reserved, enrolled == 0 ? 0 : 0);
        if (r == 0 && enrolled == 0)
            break;
    }
    mem_fail_at(-1);
    peer_run_until(f.w.loop, farm_service(&f, 1).heard_at > 0);
    assert_capacity(&f, 26, 26, 13, 13);
    farm_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_service_counts_from_its_first_poll),
        cmocka_unit_test(polls_go_on_and_are_never_all_at_once),
        cmocka_unit_test(a_service_that_misses_two_polls_is_out_until_it_answers_again),
        cmocka_unit_test(a_poll_without_an_answer_is_given_up),
        cmocka_unit_test(the_reserve_is_a_share_of_all_tabs),
        cmocka_unit_test(pages_go_to_the_least_loaded_and_never_into_the_reserve),
        cmocka_unit_test(our_own_pages_count_once),
        cmocka_unit_test(a_breaker_opens_after_five_failures_and_pauses_longer_each_time),
        cmocka_unit_test(a_failing_service_is_taken_out_and_tried_with_one_page),
        cmocka_unit_test(work_goes_to_the_others_while_one_is_out),
        cmocka_unit_test(failures_of_pages_are_not_the_services),
        cmocka_unit_test(a_registered_service_is_there_until_three_seconds_after_its_last_word),
        cmocka_unit_test(a_service_that_listens_everywhere_is_where_it_called_from),
        cmocka_unit_test(registrations_that_make_no_sense_are_refused),
        cmocka_unit_test(there_is_a_most_of_services),
        cmocka_unit_test(a_registered_service_renders_and_may_leave_meanwhile),
        cmocka_unit_test(changed_options_keep_the_services_that_stay),
        cmocka_unit_test(options_that_make_no_sense_change_nothing),
        cmocka_unit_test(a_change_that_is_dropped_changes_nothing),
        cmocka_unit_test(lack_of_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
