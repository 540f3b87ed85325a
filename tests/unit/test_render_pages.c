/* One page: what a service is asked, what its answers mean, and every way for an operation to end. */
#include "farm.h"

#include <stdio.h>

/* ---- the request ---- */

static void a_page_comes_back_with_what_is_told_of_it(void **state)
{
    (void)state;
    farm f;
    page p;
    const str patterns[] = {STR("*.ads.example/*")};
    farm_open(&f, 1);
    f.services[0].key = (client_header){STR("X-Render-Key"), STR("secret")};
    buf answer =
        farm_frame("\"success\":true,\"error_type\":null,\"render_time\":1234567890,\"html_size\":13,"
                   "\"metrics\":{\"status_code\":200,\"final_url\":\"https://example.com/x\"},"
                   "\"headers\":{\"Content-Type\":[\"text/html\"],\"Set-Cookie\":[\"a=b\"],\"X-Bad\":[\"a\\nb\"],"
                   "\"Link\":[\"<a>\",\"<b>\"]},\"page_seo\":{\"title\":\"T\",\"index_status\":4}",
                   STR("<html></html>"));
    farm_says(&f, 0, &answer);
    farm_start(&f);
    page_init(&p, "https://example.com/x?a=\"b\"");
    p.op.blocked_patterns = patterns;
    p.op.n_blocked_patterns = 1;
    p.op.strip_scripts = true;
    page_run(&p, &f);
    assert_int_equal(p.op.result, RENDER_OK);
    assert_null(p.op.why.p);
    assert_null(p.op.error_type.p);
    assert_int_equal(p.op.status, 200);
    assert_str(p.op.final_url, "https://example.com/x");
    assert_str(p.op.title, "T");
    assert_int_equal(p.op.index_status, 4);
    assert_int_equal(p.op.render_ms, 1234);
    assert_int_equal(p.op.n_headers, 3);
    assert_str(p.op.headers[0].name, "Content-Type");
    assert_str(p.op.headers[2].value, "<b>");
    assert_str(buf_view(&p.html), "<html></html>");
    assert_int_equal(p.op.html_bytes, 13);

    char wanted[700];
    snprintf(wanted, sizeof(wanted),
             "{\"request_id\":\"%s\",\"url\":\"https://example.com/x?a=\\\"b\\\"\",\"tab_id\":0,"
             "\"viewport_width\":1920,\"viewport_height\":1080,\"user_agent\":\"Bot/1\",\"timeout\":15000000000,"
             "\"wait_for\":\"networkIdle\",\"extra_wait\":250000000,\"blocked_patterns\":[\"*.ads.example/*\"],"
             "\"strip_scripts\":true}",
             p.op.request_id);
    assert_true(str_ends(str_c(f.farmers[0].asked), str_c(wanted)));
    assert_str(peer_header(str_c(f.farmers[0].asked), "Content-Type"), "application/json");
    assert_str(peer_header(str_c(f.farmers[0].asked), "Accept"), "application/octet-stream, application/json");
    assert_string_equal(peer_header(str_c(f.farmers[0].asked), "X-Request-ID").p ? "yes" : "no", "yes");
    assert_str(peer_header(str_c(f.farmers[0].asked), "X-Render-Key"), "secret");
    page_done(&p);
    farm_close(&f);
    buf_done(&answer);
}

/* ---- answers ---- */

static void each_kind_of_answer_means_what_it_should(void **state)
{
    (void)state;
    static const struct {
        const char *meta, *html; /* of a framed answer */
        const char *status, *json;
        render_result result;
        int page_status;
        const char *error_type;
        bool service_failed;
        unsigned failures; /* of the service's own */
    } cases[] = {
        {META_OK, "x", NULL, NULL, RENDER_OK, 200, NULL, false, 0},
        {"\"success\":true,\"metrics\":{\"status_code\":301,\"final_url\":\"/n\"}", "", NULL, NULL, RENDER_OK, 301,
         NULL, false, 0},
        {"\"success\":true,\"error_type\":\"origin_4xx\",\"metrics\":{\"status_code\":404}", "gone", NULL, NULL,
         RENDER_OK, 404, NULL, false, 0},
        {"\"success\":true,\"error_type\":\"soft_timeout\",\"metrics\":{\"status_code\":200,\"timed_out\":true}", "x",
         NULL, NULL, RENDER_SOFT_TIMEOUT, 200, "soft_timeout", false, 0},
        {"\"success\":true,\"error_type\":\"empty_response\",\"metrics\":{\"status_code\":200}", "", NULL, NULL,
         RENDER_EMPTY, 200, "empty_response", false, 0},
        {"\"success\":true", "x", NULL, NULL, RENDER_FAILED_FOR_NOW, 0, "bad_answer", false, 1},
        {"\"success\":true,\"request_id\":\"another\",\"metrics\":{\"status_code\":200}", "x", NULL, NULL,
         RENDER_FAILED_FOR_NOW, 200, "bad_answer", false, 1},
        {"\"success\":false,\"error_type\":\"chrome_crash\"", "", NULL, NULL, RENDER_FAILED_FOR_NOW, 0, "chrome_crash",
         false, 1},
        {"\"success", "x", NULL, NULL, RENDER_FAILED_FOR_NOW, 0, "bad_answer", false, 1},
        {NULL, NULL, "200 OK", "{\"success\":false,\"error\":\"e\",\"error_type\":\"network_error\"}",
         RENDER_FAILED_FOR_NOW, 0, "network_error", false, 0},
        {NULL, NULL, "200 OK", "{\"success\":false,\"error_type\":\"origin_5xx\",\"metrics\":{\"status_code\":502}}",
         RENDER_FAILED_FOR_NOW, 502, "origin_5xx", false, 0},
        {NULL, NULL, "200 OK", "{\"success\":false,\"error_type\":\"response_too_large\"}", RENDER_FAILED, 0,
         "response_too_large", false, 0},
        {NULL, NULL, "200 OK", "{\"success\":false,\"error_type\":\"pool_unavailable\"}", RENDER_FAILED_FOR_NOW, 0,
         "pool_unavailable", true, 1},
        {NULL, NULL, "200 OK", "{\"success\":true,\"html\":\"x\"}", RENDER_FAILED_FOR_NOW, 0, "bad_answer", false, 1},
        {NULL, NULL, "200 OK", "not json", RENDER_FAILED_FOR_NOW, 0, "bad_answer", false, 1},
        {NULL, NULL, "400 Bad",
         "{\"success\":false,\"error\":\"url field is required\",\"error_type\":\"invalid_url\"}", RENDER_FAILED, 0,
         "invalid_url", false, 0},
        {NULL, NULL, "400 Bad", "{\"success\":false}", RENDER_FAILED, 0, "invalid_url", false, 0},
        {NULL, NULL, "503 No", "{\"success\":false,\"error_type\":\"chrome_restart_failed\"}", RENDER_FAILED_FOR_NOW, 0,
         "chrome_restart_failed", true, 1},
        {NULL, NULL, "504 Late", "{\"success\":false,\"error_type\":\"hard_timeout\"}", RENDER_FAILED_FOR_NOW, 0,
         "hard_timeout", false, 1},
        {NULL, NULL, "504 Late", "<html>a proxy</html>", RENDER_FAILED_FOR_NOW, 0, "bad_answer", false, 1},
        {NULL, NULL, "500 Oh", "{}", RENDER_FAILED_FOR_NOW, 0, "service_error", false, 1},
        {NULL, NULL, "404 Who", "{}", RENDER_FAILED_FOR_NOW, 0, "service_error", true, 1},
        {NULL, NULL, "204 Empty", "{}", RENDER_FAILED_FOR_NOW, 0, "service_error", true, 1},
        {NULL, NULL, "302 There\r\nLocation: /x", "{}", RENDER_FAILED_FOR_NOW, 0, "service_error", true, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        farm f;
        page p;
        farm_open(&f, 1);
        buf answer = cases[i].meta ? farm_frame(cases[i].meta, str_c(cases[i].html)) : BUF_INIT;
        if (!cases[i].meta)
            buf_str(&answer, str_c(farm_json(cases[i].status, cases[i].json)));
        farm_says(&f, 0, &answer);
        farm_start(&f);
        page_init(&p, "https://example.com/");
        page_run(&p, &f);
        if (p.op.result != cases[i].result || p.op.status != cases[i].page_status ||
            p.op.service_failed != cases[i].service_failed || farm_service(&f, 0).failures != cases[i].failures ||
            !str_eq(p.op.error_type, str_c(cases[i].error_type)))
            fail_msg("case %zu: %s, status %d, " STR_FMT ", " STR_FMT, i, render_result_name(p.op.result), p.op.status,
                     STR_ARG(p.op.error_type), STR_ARG(p.op.why));
        assert_int_equal(p.op.why.p == NULL, cases[i].result == RENDER_OK);
        if (cases[i].result == RENDER_OK)
            assert_true(str_eq(buf_view(&p.html), str_c(cases[i].html)));
        assert_int_equal(farm_service(&f, 0).in_flight, 0);
        page_done(&p);
        farm_close(&f);
        buf_done(&answer);
    }
}

static void a_failure_is_explained_with_the_service_it_came_from(void **state)
{
    (void)state;
    farm f;
    page p;
    farm_open(&f, 1);
    buf answer = BUF_INIT;
    buf_str(&answer, str_c(farm_json("503 No", "{\"success\":false,\"error\":\"no Chrome\"}")));
    farm_says(&f, 0, &answer);
    farm_start(&f);
    page_init(&p, "https://example.com/");
    page_run(&p, &f);
    char wanted[100];
    snprintf(wanted, sizeof(wanted), "%s: no Chrome", f.farmers[0].peer.url);
    assert_string_equal(p.op.why.p, wanted);
    assert_string_equal(farm_service(&f, 0).last_error, wanted);
    page_done(&p);
    farm_close(&f);
    buf_done(&answer);
}

static void what_is_cut_off_or_no_frame_is_no_page(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *error_type;
        render_result result;
    } cases[] = {
#define OCTETS "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
#define CASE(text, type, result) {text, sizeof(text) - 1, type, result}
        CASE(OCTETS "Content-Length: 3\r\n\r\n\0\0\0", "bad_answer", RENDER_FAILED_FOR_NOW),
        CASE(OCTETS "Content-Length: 0\r\n\r\n", "bad_answer", RENDER_FAILED_FOR_NOW),
        CASE(OCTETS "Content-Length: 6\r\n\r\n\0\0\0\5{}", "bad_answer", RENDER_FAILED_FOR_NOW),
        CASE(OCTETS "Content-Length: 6\r\n\r\n\0\0\0\0{}", "bad_answer", RENDER_FAILED_FOR_NOW),
        CASE(OCTETS "Content-Length: 6\r\n\r\n\xff\xff\xff\xff{}", "metadata_too_large", RENDER_FAILED),
        CASE(OCTETS "Content-Length: 6\r\n\r\n\0\x10\0\1{}", "metadata_too_large", RENDER_FAILED),
        CASE(OCTETS "Content-Length: 100\r\n\r\n\0\0\0\x2e{" META_OK "}ht", "service_error", RENDER_FAILED_FOR_NOW),
        CASE(OCTETS "\r\n\0\0\0\x3d{" META_OK ",\"html_size\":99}ht", "service_error", RENDER_FAILED_FOR_NOW),
        CASE("HTTP/1.1 200 OK\r\n", "service_error", RENDER_FAILED_FOR_NOW),
        CASE("rubbish\r\n\r\n", "service_error", RENDER_FAILED_FOR_NOW),
        CASE("", "service_error", RENDER_FAILED_FOR_NOW),
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        farm f;
        page p;
        farm_open(&f, 1);
        f.farmers[0].say = cases[i].bytes;
        f.farmers[0].n = cases[i].n;
        f.farmers[0].then = PEER_CLOSE;
        farm_start(&f);
        page_init(&p, "https://example.com/");
        page_run(&p, &f);
        if (p.op.result != cases[i].result || !str_eq(p.op.error_type, str_c(cases[i].error_type)))
            fail_msg("case %zu: %s, " STR_FMT ", " STR_FMT, i, render_result_name(p.op.result),
                     STR_ARG(p.op.error_type), STR_ARG(p.op.why));
        assert_false(p.op.service_failed); /* it may have been the page's doing */
        page_done(&p);
        farm_close(&f);
    }
}

static void a_page_of_twenty_mebibytes_is_given_and_one_byte_more_is_not(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        farm f;
        page p;
        farm_open(&f, 1);
        buf html = BUF_INIT;
        char *all = buf_reserve(&html, RENDER_HTML_MAX + more);
        assert_non_null(all);
        memset(all, 'x', RENDER_HTML_MAX + more);
        buf answer = farm_frame(META_OK, str_of(all, RENDER_HTML_MAX + more));
        buf_done(&html);
        farm_says(&f, 0, &answer);
        farm_start(&f);
        page_init(&p, "https://example.com/");
        page_run(&p, &f);
        assert_int_equal(p.op.result, more ? RENDER_FAILED : RENDER_OK);
        if (more)
            assert_str(p.op.error_type, "response_too_large");
        else
            assert_int_equal(p.html.n, RENDER_HTML_MAX);
        page_done(&p);
        farm_close(&f);
        buf_done(&answer);
    }
}

static void a_service_that_is_not_there_is_to_blame(void **state)
{
    (void)state;
    farm f;
    page p;
    farm_open(&f, 1);
    farm_start(&f);
    peer_deafen(&f.farmers[0].peer);
    peer_drop_all(&f.farmers[0].peer);
    peer_turns(f.w.loop);
    page_init(&p, "https://example.com/");
    page_run(&p, &f);
    assert_int_equal(p.op.result, RENDER_FAILED_FOR_NOW);
    assert_str(p.op.error_type, "service_unreachable");
    assert_true(p.op.service_failed);
    assert_int_equal(farm_service(&f, 0).failures, 1);
    page_done(&p);
    farm_close(&f);
}

/* ---- time ---- */

static void the_deadline_is_the_pages_time_and_ten_seconds(void **state)
{
    (void)state;
    static const struct {
        int64_t timeout, most, total;
    } cases[] = {{15000, 50000, 25250}, {90000, 50000, 60250}, {0, 20000, 30250}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        farm f;
        page p;
        farm_open(&f, 1);
        f.options.max_timeout_ms = cases[i].most;
        farm_start(&f);
        page_init(&p, "https://example.com/");
        p.op.timeout_ms = cases[i].timeout;
        assert_int_equal(page_start(&p, &f), 0);
        peer_run_until(f.w.loop, f.farmers[0].n_held == 1);
        farm_pass(&f, cases[i].total - 1);
        assert_int_equal(p.done, 0);
        farm_pass(&f, 1);
        page_wait(&p, &f);
        assert_int_equal(p.op.result, RENDER_FAILED_FOR_NOW);
        assert_str(p.op.error_type, "service_timeout");
        page_done(&p);
        farm_close(&f);
    }
}

/* ---- the caller ---- */

/* Good metadata, so large that a worker parses it, or small. */
static const char *metadata(bool large)
{
    static char text[20100];
    snprintf(text, sizeof(text), META_OK ",\"headers\":{\"A\":[\"b\"]},\"har\":\"%0*d\"", large ? 20000 : 2, 0);
    return text;
}

static void a_pause_holds_the_page_wherever_it_falls(void **state)
{
    (void)state;
    for (int when = 0; when < 6; when++) {
        farm f;
        page p;
        farm_open(&f, 1);
        buf html = BUF_INIT;
        for (int i = 0; i < 300000; i++)
            buf_char(&html, (char)('a' + i % 26));
        buf answer = farm_frame(metadata(when >= 3), buf_view(&html));
        farm_says(&f, 0, &answer);
        farm_start(&f);
        page_init(&p, "https://example.com/");
        p.pause_after = when % 3 == 0 ? 0 : when % 3 == 1 ? 1 : 100000;
        assert_int_equal(page_start(&p, &f), 0);
        if (when % 3 == 0)
            render_pause(&p.op);
        peer_run_until(f.w.loop, f.farmers[0].renders == 1 && p.html.n >= p.pause_after);
        peer_turns(f.w.loop);
        assert_int_equal(p.done, 0);
        assert_in_range(p.html.n, p.pause_after, p.pause_after + 65536);
        p.pause_after = 0;
        render_resume(&p.op);
        render_resume(&p.op); /* harmless */
        page_wait(&p, &f);
        assert_int_equal(p.op.result, RENDER_OK);
        assert_true(str_eq(buf_view(&p.html), buf_view(&html)));
        page_done(&p);
        farm_close(&f);
        buf_done(&answer);
        buf_done(&html);
    }
}

static void a_cancelled_page_ends_once_wherever_it_is(void **state)
{
    (void)state;
    for (int turns = 0; turns < 60; turns++) {
        farm f;
        page p;
        farm_open(&f, 1);
        f.options.allow_private = turns % 2 == 0; /* else its host is looked up */
        buf answer = farm_frame(metadata(turns % 4 > 1), STR("<html></html>"));
        farm_says(&f, 0, &answer);
        farm_start(&f);
        page_init(&p, "https://localhost/");
        assert_int_equal(page_start(&p, &f), 0);
        for (int i = 0; i < turns / 2 && !p.done; i++)
            peer_turn(f.w.loop);
        const bool was_done = p.done > 0;
        if (turns % 3 == 0)
            farm_close_fleet(&f);
        else
            render_cancel(&p.op);
        page_wait(&p, &f);
        peer_turns(f.w.loop);
        assert_int_equal(p.done, 1);
        if (!was_done)
            assert_int_equal(p.op.result, RENDER_CANCELLED);
        page_done(&p);
        farm_close(&f);
        buf_done(&answer);
    }
}

static void who_does_not_want_the_page_gets_no_more_of_it(void **state)
{
    (void)state;
    for (int how = 0; how < 6; how++) {
        farm f;
        page p;
        farm_open(&f, 1);
        buf answer = farm_frame(metadata(how >= 3), STR("<html></html>"));
        farm_says(&f, 0, &answer);
        farm_start(&f);
        page_init(&p, "https://example.com/");
        p.refuse_head = how % 3 == 0 ? -ENOSPC : 0;
        p.refuse_piece = how % 3 == 1 ? -ENOSPC : 0;
        p.cancel_at_piece = how % 3 == 2;
        page_run(&p, &f);
        assert_int_equal(p.op.result, RENDER_CANCELLED);
        assert_str(p.op.error_type, "cancelled");
        assert_int_equal(p.html.n, how % 3 == 0 ? 0 : 13);
        assert_int_equal(farm_service(&f, 0).failures, 0);
        page_done(&p);
        farm_close(&f);
        buf_done(&answer);
    }
}

static void run_out_of_memory(bool large)
{
    farm f;
    farm_open(&f, 1);
    buf answer = farm_frame(metadata(large), STR("<html></html>"));
    farm_says(&f, 0, &answer);
    farm_start(&f);
    for (long nth = 0; unit_next_fault(&nth);) {
        page p;
        page_init(&p, "https://example.com/");
        const int r = page_start(&p, &f);
        if (r == 0)
            page_wait(&p, &f);
        const bool hit = mem_failed();
        mem_fail_at(-1);
        if (r < 0)
            assert_int_equal(r, -ENOMEM);
        else if (p.op.result == RENDER_OK && p.html.err == 0)
            assert_str(buf_view(&p.html), "<html></html>");
        else
            assert_true(hit);
        page_done(&p);
        if (!hit)
            break;
        if (farm_service(&f, 0).breaker != RENDER_BREAKER_CLOSED)
            fail_msg("our own lack of memory is held against the service");
    }
    farm_close(&f);
    buf_done(&answer);
}

static void lack_of_memory_is_told_or_refused(void **state)
{
    (void)state;
    run_out_of_memory(false);
    run_out_of_memory(true);
}

/* ---- which hosts ---- */

static void pages_of_hosts_that_are_not_public_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *url, *error_type;
    } cases[] = {
        {"http://127.0.0.1/", "address_not_public"},
        {"http://169.254.169.254/x", "address_not_public"},
        {"https://localhost:8443/", "address_not_public"},
        {"http://[::1]/?q=1", "address_not_public"},
        {"http://[::ffff:10.0.0.1]#x", "address_not_public"},
        {"http://2130706433/", "invalid_url"},
        {"http://0x7f.1/", "invalid_url"},
        {"http://user@8.8.8.8/", "invalid_url"},
        {"http://8.8.8.8\\@127.0.0.1/", "invalid_url"},
        {"http://8.8.8.8 /", "invalid_url"},
        {"http://8.8.8.8/a b", "invalid_url"},
        {"file:///etc/passwd", "invalid_url"},
        {"http:/\\127.0.0.1/", "invalid_url"},
        {"javascript:1", "invalid_url"},
        {"", "invalid_url"},
    };
    farm f;
    farm_open(&f, 1);
    f.options.allow_private = false;
    farm_start(&f);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        page p;
        page_init(&p, cases[i].url);
        page_run(&p, &f);
        assert_int_equal(p.op.result, RENDER_FAILED);
        if (!str_eq(p.op.error_type, str_c(cases[i].error_type)))
            fail_msg("%s: " STR_FMT, cases[i].url, STR_ARG(p.op.error_type));
        assert_false(p.op.service_failed);
        page_done(&p);
    }
    assert_int_equal(f.farmers[0].renders, 0);

    page p;
    buf answer = farm_frame(META_OK, STR("x"));
    farm_says(&f, 0, &answer);
    page_init(&p, "http://8.8.8.8/?a|b");
    page_run(&p, &f);
    assert_int_equal(p.op.result, RENDER_OK);
    page_done(&p);
    farm_close(&f);
    buf_done(&answer);
}

static void many_pages_of_one_host_share_one_verdict(void **state)
{
    (void)state;
    farm f;
    page pages[8];
    farm_open(&f, 1);
    f.options.allow_private = false;
    farm_start(&f);
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(pages); i++) {
            page_init(&pages[i], "http://localhost/");
            assert_int_equal(page_start(&pages[i], &f), 0);
        }
        for (size_t i = 0; i < COUNT_OF(pages); i++) {
            page_wait(&pages[i], &f);
            assert_str(pages[i].op.error_type, "address_not_public");
            page_done(&pages[i]);
        }
        farm_pass(&f, SECONDS(11)); /* the second time it is looked up anew */
    }
    farm_close(&f);
}

/* ---- the bypass ---- */

static void the_bypass_gives_what_the_origin_says(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        int status;
        const char *body, *where;
        render_result result;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\nhello", 200,
         "hello", NULL, RENDER_OK},
        {"HTTP/1.1 404 No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\ngone", 404, "gone", NULL, RENDER_OK},
        {"HTTP/1.1 301 X\r\nContent-Type: text/html\r\nLocation: /n\r\nContent-Length: 0\r\n\r\n", 301, "", "/n",
         RENDER_OK},
        {"HTTP/1.1 503 X\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nbusy", 503, "busy", NULL, RENDER_OK},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n", 200, "", NULL, RENDER_EMPTY},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", 200, "hello", NULL, RENDER_FAILED_FOR_NOW},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        farm f;
        page p;
        char url[100];
        farm_open(&f, 0);
        farm_start(&f);
        const peer_step step = SAY_AND(cases[i].answer, PEER_CLOSE);
        f.w.peer.steps = &step;
        f.w.peer.n_steps = 1;
        snprintf(url, sizeof(url), "%s/a?b", f.w.peer.url);
        page_init(&p, url);
        p.op.bypass = true;
        page_run(&p, &f);
        assert_int_equal(p.op.result, cases[i].result);
        assert_int_equal(p.heads, 1);
        assert_int_equal(p.op.status, cases[i].status);
        assert_true(str_eq(buf_view(&p.html), str_c(cases[i].body)));
        assert_true(str_eq(p.op.final_url, str_c(cases[i].where)));
        for (size_t h = 0; h < p.op.n_headers; h++)
            assert_false(str_eq_nocase(p.op.headers[h].name, STR("Set-Cookie")) ||
                         str_eq_nocase(p.op.headers[h].name, STR("Content-Length")));
        assert_str(peer_request_line(f.w.peer.last), "GET /a?b HTTP/1.1");
        assert_str(peer_header(f.w.peer.last, "User-Agent"), "Bot/1");
        page_done(&p);
        farm_close(&f);
    }
}

static void the_bypass_goes_to_public_addresses_only(void **state)
{
    (void)state;
    farm f;
    page p;
    char url[100];
    farm_open(&f, 0);
    f.options.allow_private = false;
    farm_start(&f);
    snprintf(url, sizeof(url), "http://localhost:%d/", f.w.peer.port);
    page_init(&p, url);
    p.op.bypass = true;
    page_run(&p, &f);
    assert_int_equal(p.op.result, RENDER_FAILED);
    assert_str(p.op.error_type, "address_not_public");
    assert_int_equal(f.w.peer.connections, 0);
    page_done(&p);
    farm_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_comes_back_with_what_is_told_of_it),
        cmocka_unit_test(each_kind_of_answer_means_what_it_should),
        cmocka_unit_test(a_failure_is_explained_with_the_service_it_came_from),
        cmocka_unit_test(what_is_cut_off_or_no_frame_is_no_page),
        cmocka_unit_test(a_page_of_twenty_mebibytes_is_given_and_one_byte_more_is_not),
        cmocka_unit_test(a_service_that_is_not_there_is_to_blame),
        cmocka_unit_test(the_deadline_is_the_pages_time_and_ten_seconds),
        cmocka_unit_test(a_pause_holds_the_page_wherever_it_falls),
        cmocka_unit_test(a_cancelled_page_ends_once_wherever_it_is),
        cmocka_unit_test(who_does_not_want_the_page_gets_no_more_of_it),
        cmocka_unit_test(lack_of_memory_is_told_or_refused),
        cmocka_unit_test(pages_of_hosts_that_are_not_public_are_refused),
        cmocka_unit_test(many_pages_of_one_host_share_one_verdict),
        cmocka_unit_test(the_bypass_gives_what_the_origin_says),
        cmocka_unit_test(the_bypass_goes_to_public_addresses_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
