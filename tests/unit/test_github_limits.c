/* GitHub's operations: quotas and limits, archives, and how operations end. */
#include <stdio.h>

#include "hub.h"

/* ---- limits ---- */

#define LEFT(n) \
    "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: " n "\r\nX-RateLimit-Reset: 1768476030\r\n" /* in an hour */
#define RESET_AT INT64_C(1768476030000)

static const github_quota *quota_row(hub *h, const char *credential)
{
    const github_quota *rows;
    size_t n = github_quotas(h->github, &rows);
    for (size_t i = 0; i < n; i++)
        if (strcmp(rows[i].credential, credential) == 0)
            return &rows[i];
    return NULL;
}

static void the_quota_is_read_from_every_answer(void **state)
{
    (void)state;
    hub h;
    hub_open(&h, STR_NULL);
    static const char *const statuses[] = {"200 OK", "304 X", "404 X", "403 X"};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        asking a = hub_asking("main");
        char headers[200];
        snprintf(headers, sizeof(headers),
                 "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: %zu\r\nX-RateLimit-Reset: 1768476030\r\n", 50 - i);
        HUB_ANSWERS(&h, SAY_AND(hub_reply(statuses[i], headers, ""), PEER_CLOSE));
        hub_ask(&h, &a, github_get_commit);
        asking_done(&a);
        const github_quota *q = quota_row(&h, "anonymous");
        assert_int_equal(q->limit, 60);
        assert_int_equal(q->remaining, 50 - i);
        assert_int_equal(q->reset_at, RESET_AT);
    }
    hub_close(&h);
}

static void nonsense_about_quotas_is_not_believed(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: -1\r\nX-RateLimit-Reset: 1768476030\r\n",
        "X-RateLimit-Limit: x\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1768476030\r\n",
        "X-RateLimit-Limit: 60\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 9223372036854775807\r\n",
        "X-RateLimit-Remaining: 0\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(headers); i++) {
        hub h;
        asking a = hub_asking("main");
        hub_open(&h, STR_NULL);
        HUB_ANSWERS(&h, SAY(hub_reply("404 X", headers[i], "")));
        hub_ask(&h, &a, github_get_commit);
        assert_int_equal(quota_row(&h, "anonymous")->remaining, -1);
        asking_done(&a);
        hub_close(&h);
    }
}

static void with_no_quota_left_nothing_is_asked_until_the_reset(void **state)
{
    (void)state;
    hub h;
    hub_open(&h, STR_NULL);
    HUB_ANSWERS(&h, SAY(hub_reply("200 OK", LEFT("0"), HUB_COMMIT)));
    asking a = hub_asking("main");
    hub_ask(&h, &a, github_get_commit);
    assert_int_equal(a.op.result, GITHUB_OK);
    asking_done(&a);

    a = hub_asking("main");
    hub_ask(&h, &a, github_get_commit);
    assert_int_equal(a.op.result, GITHUB_RATE_LIMITED);
    const int64_t retry_at = a.op.retry_at;
    assert_in_range(retry_at, RESET_AT + SECONDS(1), RESET_AT + SECONDS(2)); /* not within the second of the reset */
    assert_str(a.op.why, "GitHub's rate limit is used up");
    assert_int_equal(h.w.peer.requests, 1);
    asking_done(&a);

    a = hub_asking("main"); /* another credential has its own */
    a.op.token = STR("mine");
    HUB_ANSWERS(&h, SAY(hub_reply("200 OK", LEFT("4999"), HUB_COMMIT)));
    hub_ask(&h, &a, github_get_commit);
    assert_int_equal(a.op.result, GITHUB_OK);
    asking_done(&a);

    fake_clk_advance(&h.w.clock, RESET_AT - h.w.clock.wall_ms);
    a = hub_asking("main");
    hub_ask(&h, &a, github_get_commit);
    assert_int_equal(a.op.result, GITHUB_RATE_LIMITED);
    assert_int_equal(a.op.retry_at, retry_at);
    asking_done(&a);
    fake_clk_advance(&h.w.clock, retry_at - RESET_AT);
    a = hub_asking("main");
    hub_ask(&h, &a, github_get_commit);
    assert_int_equal(a.op.result, GITHUB_OK);
    assert_int_equal(h.w.peer.requests, 2);
    asking_done(&a);
    hub_close(&h);
}

static void refusals_for_limits_say_until_when_and_hold_for_the_credential(void **state)
{
    (void)state;
    static const struct {
        const char *status, *headers, *body;
        int64_t wait_ms;
    } cases[] = {
        {"403 X", LEFT("0"), "{\"message\":\"API rate limit exceeded\"}", RESET_AT - FETCH_NOW},
        {"429 X", LEFT("0"), "{}", RESET_AT - FETCH_NOW},
        {"403 X", LEFT("30") "Retry-After: 90\r\n", "{\"message\":\"You have exceeded a secondary rate limit\"}",
         90000},
        {"429 X", "Retry-After: 30\r\n", "{}", 30000},
        {"429 X", "Retry-After: 0\r\n", "{}", 1000},
        {"429 X", "Retry-After: 99999999\r\n", "{}", HOURS(24)},
        {"429 X", "", "{}", 60000},
        {"403 X", LEFT("30"), "{\"message\":\"You have exceeded a secondary rate limit\"}", 60000},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        hub h;
        asking a = hub_asking("main");
        hub_open(&h, STR_NULL);
        HUB_ANSWERS(&h, SAY(hub_reply(cases[i].status, cases[i].headers, cases[i].body)));
        assert_int_equal(github_get_commit(h.github, &a.op), 0);
        peer_run_until(h.w.loop, a.done);
        assert_int_equal(a.op.result, GITHUB_RATE_LIMITED);
        const int64_t wait = a.op.retry_at - FETCH_NOW;
        const int64_t slack = cases[i].wait_ms == RESET_AT - FETCH_NOW ? SECONDS(1) : 0;
        assert_in_range(wait, cases[i].wait_ms + slack, cases[i].wait_ms + 2 * slack);
        assert_int_equal(h.w.peer.requests, 1); /* not asked again behind the caller's back */
        asking_done(&a);

        a = hub_asking("other");
        assert_int_equal(github_get_tree(h.github, &a.op), 0);
        peer_run_until(h.w.loop, a.done);
        assert_int_equal(a.op.result, GITHUB_RATE_LIMITED);
        assert_int_equal(a.op.retry_at - FETCH_NOW, wait);
        assert_int_equal(h.w.peer.requests, 1);
        asking_done(&a);

        fake_clk_advance(&h.w.clock, wait);
        a = hub_asking("main");
        HUB_ANSWERS(&h, SAY(hub_reply("200 OK", LEFT("59"), HUB_COMMIT)));
        hub_ask(&h, &a, github_get_commit);
        assert_int_equal(a.op.result, GITHUB_OK);
        asking_done(&a);
        hub_close(&h);
    }
}

static void the_longest_unused_credential_is_forgotten(void **state)
{
    (void)state;
    hub h;
    hub_open(&h, STR_NULL);
    HUB_ANSWERS(&h, SAY(hub_reply("404 X", LEFT("9"), "")));
    for (int i = 0; i < 70; i++) {
        asking a = hub_asking("main");
        char token[20];
        snprintf(token, sizeof(token), "token%d", i);
        a.op.token = str_c(token);
        hub_ask(&h, &a, github_get_commit);
        asking_done(&a);
        a = hub_asking("main"); /* used all the time */
        hub_ask(&h, &a, github_get_commit);
        asking_done(&a);
    }
    const github_quota *rows;
    char print[GITHUB_FINGERPRINT_LEN + 1];
    assert_int_equal(github_quotas(h.github, &rows), 64);
    assert_non_null(quota_row(&h, "anonymous"));
    github_fingerprint(h.github, STR("token69"), print);
    assert_non_null(quota_row(&h, print));
    github_fingerprint(h.github, STR("token0"), print);
    assert_null(quota_row(&h, print));
    hub_close(&h);
}

/* ---- archives ---- */

static void an_archive_comes_from_where_github_says_without_the_token(void **state)
{
    (void)state;
    hub h;
    peer codeload = {0};
    asking a = hub_asking(SHA1_A);
    char redirect[300];
    static const char body[] = "HTTP/1.1 200 OK\r\nContent-Type: application/x-gzip\r\nContent-Encoding: gzip\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n4\r\n\x1f\x8b\x08\x08\r\n3\r\nabc\r\n0\r\n\r\n";
    hub_open(&h, STR("secret"));
    peer_open(&codeload, h.w.loop);
    const peer_step there = SAY(body);
    codeload.steps = &there;
    codeload.n_steps = 1;
    snprintf(redirect, sizeof(redirect),
             "HTTP/1.1 302 Found\r\n" LEFT("7") "Location: %s/o/r/legacy.tar.gz/x?token=T\r\nContent-Length: 0\r\n\r\n",
             codeload.url);
    HUB_ANSWERS(&h, SAY(redirect));
    a.op.on_piece = asking_on_piece;
    hub_ask(&h, &a, github_get_archive);
    assert_int_equal(a.op.result, GITHUB_OK);
    assert_str(buf_view(&a.pieces), "\x1f\x8b\x08\x08"
                                    "abc"); /* as sent: unpacking is the reader's */
    assert_str(peer_request_line(h.w.peer.last), "GET /repos/o/r.x/tarball/" SHA1_A " HTTP/1.1");
    assert_str(peer_header(h.w.peer.last, "Authorization"), "Bearer secret");
    assert_str(peer_request_line(codeload.last), "GET /o/r/legacy.tar.gz/x?token=T HTTP/1.1");
    assert_null(peer_header(codeload.last, "Authorization").p);
    asking_done(&a);
    peer_close(&codeload);
    hub_close(&h);
}

static void an_archive_can_be_paused_refused_and_is_limited(void **state)
{
    (void)state;
    hub h;
    SCOPED(buf_done)
    buf large = BUF_INIT;
    size_t n = (1 << 20) + 1;
    buf_printf(&large, "HTTP/1.1 200 OK\r\n\r\n");
    memset(buf_reserve(&large, n), 'x', n);
    large.n += n;
    hub_open(&h, STR_NULL);

    asking a = hub_asking(SHA1_A);
    a.op.on_piece = asking_on_piece;
    a.pause_after = 100000;
    HUB_ANSWERS(&h, {.say = large.p, .n = large.n - 1, .then = PEER_CLOSE});
    assert_int_equal(github_get_archive(h.github, &a.op), 0);
    peer_run_until(h.w.loop, a.pieces.n >= a.pause_after);
    size_t got = a.pieces.n;
    peer_turns(h.w.loop);
    assert_int_equal(a.pieces.n, got);
    a.pause_after = 0;
    github_resume(&a.op);
    peer_run_until(h.w.loop, a.done);
    assert_int_equal(a.op.result, GITHUB_OK);
    assert_int_equal(a.pieces.n, 1 << 20);
    asking_done(&a);

    a = hub_asking(SHA1_A);
    a.op.on_piece = asking_on_piece;
    a.refuse = -EPROTO;
    hub_ask(&h, &a, github_get_archive);
    assert_int_equal(a.op.result, GITHUB_FAILED);
    asking_done(&a);

    a = hub_asking(SHA1_A);
    a.op.on_piece = asking_on_piece;
    HUB_ANSWERS(&h, {.say = large.p, .n = large.n, .then = PEER_CLOSE});
    hub_ask(&h, &a, github_get_archive);
    assert_int_equal(a.op.result, GITHUB_FAILED);
    assert_str(a.op.why, "GitHub's archive is larger than max_archive_bytes, which is 1048576");
    assert_false(a.op.cut_off); /* it would be too large again */
    asking_done(&a);
    hub_close(&h);
}

static void an_archive_that_ends_before_its_end_is_told_from_other_failures(void **state)
{
    (void)state;
    hub h;
    hub_open(&h, STR_NULL);
    asking a = hub_asking(SHA1_A);
    a.op.on_piece = asking_on_piece;
    static const char half[] = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf of it";
    HUB_ANSWERS(&h, {.say = half, .n = sizeof(half) - 1, .then = PEER_CLOSE});
    hub_ask(&h, &a, github_get_archive);
    assert_int_equal(a.op.result, GITHUB_FAILED);
    assert_true(a.op.cut_off);
    assert_int_equal(h.w.peer.requests, 1);
    asking_done(&a);
    hub_close(&h);
}

static void an_archive_uses_up_quota_though_nobody_says_so(void **state)
{
    (void)state;
    hub h;
    asking a = hub_asking("main"), b = hub_asking(SHA1_A);
    hub_open(&h, STR_NULL);
    HUB_ANSWERS(&h, SAY(hub_reply("404 X", LEFT("2"), "")), SAY(hub_reply("200 OK", "", "tar")));
    hub_ask(&h, &a, github_get_commit);
    b.op.on_piece = asking_on_piece;
    hub_ask(&h, &b, github_get_archive);
    assert_int_equal(quota_row(&h, "anonymous")->remaining, 1);
    asking_done(&a);
    asking_done(&b);
    hub_close(&h);
}

/* ---- life ---- */

static void an_operation_can_be_cancelled_wherever_it_is(void **state)
{
    (void)state;
    for (int turns = 0; turns < 30; turns++) {
        hub h;
        asking a = hub_asking("main");
        hub_open(&h, STR_NULL);
        HUB_ANSWERS(&h, SAY(hub_reply("200 OK", "", HUB_COMMIT)));
        assert_int_equal(github_get_commit(h.github, &a.op), 0);
        for (int i = 0; i < turns; i++)
            loop_run_once(h.w.loop, false);
        bool was_done = a.done > 0;
        github_cancel(&a.op);
        github_cancel(&a.op);
        peer_run_until(h.w.loop, a.done);
        assert_int_equal(a.done, 1);
        assert_int_equal(a.op.result, was_done ? GITHUB_OK : GITHUB_CANCELLED);
        asking_done(&a);
        hub_close(&h);
    }
}

static void closing_the_client_cancels_operations(void **state)
{
    (void)state;
    hub h;
    asking a = hub_asking("main");
    hub_open(&h, STR_NULL);
    HUB_ANSWERS(&h, SAY(""));
    assert_int_equal(github_get_commit(h.github, &a.op), 0);
    peer_turns(h.w.loop);
    hub_close(&h);
    assert_int_equal(a.done, 1);
    assert_int_equal(a.op.result, GITHUB_CANCELLED);
    asking_done(&a);
}

static void options_change_for_later_operations(void **state)
{
    (void)state;
    hub h;
    peer other = {0};
    asking a = hub_asking("main");
    hub_open(&h, STR("old"));
    peer_open(&other, h.w.loop);
    HUB_ANSWERS(&h, SAY(hub_reply("404 X", "", "")));
    other.steps = h.steps;
    other.n_steps = 1;
    char url[60];
    snprintf(url, sizeof(url), "%s/api/v3", other.url);
    github_set_options(h.github, &(github_options){.api_url = url, .token = STR("new")});
    hub_ask(&h, &a, github_get_commit);
    assert_int_equal(h.w.peer.requests, 0);
    assert_str(peer_request_line(other.last), "GET /api/v3/repos/o/r.x/commits/main?per_page=1 HTTP/1.1");
    assert_str(peer_header(other.last, "Authorization"), "Bearer new");
    asking_done(&a);
    peer_close(&other);
    hub_close(&h);
}

static void without_memory_there_is_no_github(void **state)
{
    (void)state;
    hub h;
    hub_open(&h, STR("old"));
    for (long n = 0; unit_next_fault(&n);) {
        github *g = NULL;
        int r = github_new(h.w.loop, h.w.client, &(github_options){.api_url = "http://x", .token = STR("t")}, &g);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        github_free(g);
    }
    hub_close(&h);
}

static void no_memory_is_told_at_every_step(void **state)
{
    (void)state;
    unsigned failed = 0;
    bool hit = true;
    for (long n = 0; hit; n++) {
        hub h;
        asking a = hub_asking("main");
        hub_open(&h, STR("secret"));
        HUB_ANSWERS(&h, SAY(hub_reply("200 OK", "ETag: \"1\"\r\n", HUB_REPOSITORY)));
        a.op.etag = STR("\"old\"");
        mem_fail_at(n);
        int r = github_get_repository(h.github, &a.op);
        for (int i = 0; r == 0 && i < 20000 && !a.done; i++)
            peer_turn(h.w.loop);
        hit = mem_failed();
        mem_fail_at(-1);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            assert_int_equal(a.done, 0);
            failed++;
        } else {
            assert_int_equal(a.done, 1);
            failed += a.op.result == GITHUB_FAILED;
            assert_true(a.op.result == GITHUB_FAILED || a.op.result == GITHUB_OK);
            assert_int_equal(a.op.why.p != NULL, a.op.result == GITHUB_FAILED);
            if (a.op.result == GITHUB_OK)
                assert_int_equal(a.op.repository.n_topics, 2);
        }
        asking_done(&a);
        hub_close(&h);
    }
    assert_true(failed > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quota_is_read_from_every_answer),
        cmocka_unit_test(nonsense_about_quotas_is_not_believed),
        cmocka_unit_test(with_no_quota_left_nothing_is_asked_until_the_reset),
        cmocka_unit_test(refusals_for_limits_say_until_when_and_hold_for_the_credential),
        cmocka_unit_test(the_longest_unused_credential_is_forgotten),
        cmocka_unit_test(an_archive_comes_from_where_github_says_without_the_token),
        cmocka_unit_test(an_archive_can_be_paused_refused_and_is_limited),
        cmocka_unit_test(an_archive_that_ends_before_its_end_is_told_from_other_failures),
        cmocka_unit_test(an_archive_uses_up_quota_though_nobody_says_so),
        cmocka_unit_test(an_operation_can_be_cancelled_wherever_it_is),
        cmocka_unit_test(closing_the_client_cancels_operations),
        cmocka_unit_test(options_change_for_later_operations),
        cmocka_unit_test(without_memory_there_is_no_github),
        cmocka_unit_test(no_memory_is_told_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
