/* Compressed replies, small ones made on the loop, large ones by a job. */
#include "http_site.h"

#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#define CLOSE "Host: a\r\nConnection: close\r\n"
#define GZIP CLOSE "Accept-Encoding: gzip\r\n"

static int set_up(void **state)
{
    static site w;
    site_init(&w);
    site_open(&w);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    site_close(*state);
    return 0;
}

/* N bytes of JSON for /json/N, with an ETag; /own/N: the body is the handler's own memory, not req->out. */
static void json_reply(site *w, http_request *req)
{
    (void)w;
    ptrdiff_t slash = str_rchr(req->path, '/');
    int64_t n;
    assert_int_equal(str_to_i64(str_from(req->path, (size_t)slash + 1), &n), 0);
    while (req->out->n < (size_t)n)
        buf_printf(req->out, "{\"n\":%zu}\n", req->out->n);
    req->out->n = (size_t)n;
    http_reply r = {
        .status = 200, .content_type = STR("application/json"), .body = buf_view(req->out), .etag = STR("v1")};
    if (http_etag_matches(req, r.etag)) {
        r.status = 304;
        r.body = STR_NULL;
    }
    if (!str_starts(req->path, STR("/own/"))) {
        http_reply_send(req, &r);
        return;
    }
    char *own = mem_strndup(r.body.p, r.body.n);
    r.body.p = own;
    http_reply_send(req, &r);
    memset(own, 'X', (size_t)n);
    mem_free(own);
}

static void reply(site *w, str request, buf *got)
{
    w->handler = json_reply;
    int fd = site_connect(w);
    site_send(w, fd, request);
    site_read_until(w, fd, got, NULL);
    close(fd);
}

/* The unpacked body of a reply that is in `got`. */
static void unpack_reply(const buf *got, buf *out)
{
    const char *body = strstr(got->p, "\r\n\r\n") + 4;
    const char *length = strstr(got->p, "Content-Length: ") + 16;
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)body;
    z.avail_in = (uInt)(got->n - (size_t)(body - got->p));
    assert_int_equal(z.avail_in, atoi(length));
    z.next_out = (Bytef *)buf_reserve(out, 1 << 20);
    z.avail_out = 1 << 20;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    out->n = z.total_out;
    inflateEnd(&z);
}

static void a_body_worth_it_is_compressed(void **state)
{
    site *w = *state;
    const str WAYS[] = {
        STR("GET /json/1024 HTTP/1.1\r\n" GZIP "\r\n"),  STR("GET /json/65536 HTTP/1.1\r\n" GZIP "\r\n"),
        STR("GET /json/65537 HTTP/1.1\r\n" GZIP "\r\n"), STR("GET /json/500000 HTTP/1.1\r\n" GZIP "\r\n"),
        STR("GET /own/5000 HTTP/1.1\r\n" GZIP "\r\n"),   STR("GET /own/500000 HTTP/1.1\r\n" GZIP "\r\n")};
    static const size_t SIZES[] = {1024, 65536, 65537, 500000, 5000, 500000};
    for (size_t i = 0; i < COUNT_OF(WAYS); i++) {
        buf got = BUF_INIT, body = BUF_INIT;
        reply(w, WAYS[i], &got);
        assert_has(got.p, "Content-Encoding: gzip\r\n");
        assert_has(got.p, "Vary: Accept-Encoding\r\n");
        assert_has(got.p, "ETag: \"v1-gz\"\r\n");
        assert_has(got.p, "Content-Type: application/json\r\n");
        unpack_reply(&got, &body);
        assert_int_equal(body.n, SIZES[i]);
        assert_memory_equal(body.p, "{\"n\":0}\n{\"n\":8}\n", 16);
        buf_done(&got);
        buf_done(&body);
    }
}

static void what_is_not_accepted_or_not_worth_it_is_not_compressed(void **state)
{
    site *w = *state;
    static const struct {
        str request;
        bool varies;
    } ROWS[] = {
        {STR_INIT("GET /json/1023 HTTP/1.1\r\n" GZIP "\r\n"), false},
        {STR_INIT("GET /json/5000 HTTP/1.1\r\n" CLOSE "\r\n"), true},
        {STR_INIT("GET /json/5000 HTTP/1.1\r\n" CLOSE "Accept-Encoding: gzip;q=0\r\n\r\n"), true},
        {STR_INIT("GET /json/500000 HTTP/1.1\r\n" CLOSE "Accept-Encoding: br\r\n\r\n"), true},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        buf got = BUF_INIT;
        reply(w, ROWS[i].request, &got);
        assert_lacks(got.p, "Content-Encoding");
        assert_has(got.p, "ETag: \"v1\"\r\n");
        assert_int_equal(count_text(got.p, "Vary: Accept-Encoding\r\n"), ROWS[i].varies);
        buf_done(&got);
    }
}

static void noise(site *w, http_request *req)
{
    (void)w;
    int64_t n;
    assert_int_equal(str_to_i64(str_from(req->path, 1), &n), 0);
    random_bytes(buf_reserve(req->out, (size_t)n), (size_t)n);
    req->out->n = (size_t)n;
    http_reply_send(req, &(http_reply){.status = 200, .content_type = STR("text/plain"), .body = buf_view(req->out)});
}

static void what_does_not_get_smaller_goes_as_it_is(void **state)
{
    site *w = *state;
    w->handler = noise;
    static const size_t SIZES[] = {5000, 200000};
    for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
        buf got = BUF_INIT;
        int fd = site_connect(w);
        site_send(w, fd, arena_printf(&w->arena, "GET /%zu HTTP/1.1\r\n" GZIP "\r\n", SIZES[i]));
        site_read_until(w, fd, &got, NULL);
        close(fd);
        assert_lacks(got.p, "Content-Encoding");
        assert_has(got.p, "Vary: Accept-Encoding\r\n");
        assert_int_equal(got.n - (size_t)(strstr(got.p, "\r\n\r\n") + 4 - got.p), SIZES[i]);
        buf_done(&got);
    }
}

static void head_tells_the_length_of_the_compressed_body(void **state)
{
    site *w = *state;
    static const char *const SIZES[] = {"5000", "500000"};
    for (size_t i = 0; i < COUNT_OF(SIZES); i++) {
        buf get = BUF_INIT, head = BUF_INIT;
        reply(w, arena_printf(&w->arena, "GET /json/%s HTTP/1.1\r\n" GZIP "\r\n", SIZES[i]), &get);
        reply(w, arena_printf(&w->arena, "HEAD /json/%s HTTP/1.1\r\n" GZIP "\r\n", SIZES[i]), &head);
        const char *of_get = strstr(get.p, "Content-Length: "), *of_head = strstr(head.p, "Content-Length: ");
        assert_memory_equal(of_get, of_head, strcspn(of_get, "\n"));
        assert_has(head.p, "Content-Encoding: gzip\r\n");
        assert_true(str_ends(buf_view(&head), STR("\r\n\r\n")));
        buf_done(&get);
        buf_done(&head);
    }
}

static void not_modified_names_the_etag_the_client_has(void **state)
{
    site *w = *state;
    buf gz = BUF_INIT, plain = BUF_INIT;
    reply(w, STR("GET /json/5000 HTTP/1.1\r\n" GZIP "If-None-Match: \"v1-gz\"\r\n\r\n"), &gz);
    assert_has(gz.p, "HTTP/1.1 304 Not Modified\r\n");
    assert_has(gz.p, "ETag: \"v1-gz\"\r\n");
    assert_has(gz.p, "Vary: Accept-Encoding\r\n");
    assert_lacks(gz.p, "Content-");
    reply(w, STR("GET /json/5000 HTTP/1.1\r\n" GZIP "If-None-Match: W/\"v1\"\r\n\r\n"), &plain);
    assert_has(plain.p, "ETag: \"v1\"\r\n");
    buf_done(&gz);
    buf_done(&plain);
}

static void a_reply_being_compressed_keeps_its_place(void **state)
{
    site *w = *state;
    buf got = BUF_INIT;
    reply(w,
          STR("GET /json/300000 HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\nGET /hello HTTP/1.1\r\n"
              "" CLOSE "\r\n"),
          &got);
    assert_has(got.p, "Content-Encoding: gzip\r\n");
    assert_true(str_ends(buf_view(&got), STR("\r\n\r\nhello\n")));
    buf_done(&got);
}

static void a_client_may_leave_while_its_reply_is_compressed(void **state)
{
    site *w = *state;
    w->handler = json_reply;
    for (int i = 0; i < 4; i++) {
        int fd = site_connect(w);
        site_send(w, fd, STR("GET /json/900000 HTTP/1.1\r\n" GZIP "\r\n"));
        close(fd);
    }
    site_close(w); /* wants all of it given back; the tear-down does it again on a new one */
    assert_int_equal(w->replied, 4);
    assert_int_equal(w->gone, 0);
    set_up(state);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_body_worth_it_is_compressed),
        TEST(what_is_not_accepted_or_not_worth_it_is_not_compressed),
        TEST(what_does_not_get_smaller_goes_as_it_is),
        TEST(head_tells_the_length_of_the_compressed_body),
        TEST(not_modified_names_the_etag_the_client_has),
        TEST(a_reply_being_compressed_keeps_its_place),
        TEST(a_client_may_leave_while_its_reply_is_compressed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
