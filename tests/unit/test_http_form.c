/* What form a reply takes, as pure functions: negotiation, validators, heads, compression. */
#include "unit.h"

#include <zlib.h>

#include "wire/http/frame.h"
#include "wire/http/gzip.h"
#include "wire/http/negotiate.h"

static void gzip_is_chosen_by_quality(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool accepted;
    } ROWS[] = {
        {"gzip", true},
        {"GZip", true},
        {"x-gzip", true},
        {"deflate, gzip, br", true},
        {"gzip;q=0.5", true},
        {"gzip ; q=1.000", true},
        {"gzip;q=0.001", true},
        {"*", true},
        {"*;q=0.3, br", true},
        {"gzip, identity;q=0.5", true},
        {"identity;q=0.2, gzip;q=0.2", true},
        {"br;q=1.0, gzip;q=0.8, *;q=0.1", true},
        {"gzip;foo=bar", true},
        {"", false},
        {"identity", false},
        {"br, deflate", false},
        {"gzip;q=0", false},
        {"gzip;q=0.000", false},
        {"gzip;q=0, *", false},
        {"*;q=0", false},
        {"identity, gzip;q=0.5", false},
        {"gzip;q=x", false},
        {"gzip;q=", false},
        {"gzip;q=-1", false},
        {"gzipped", false},
        {"gzi p", false},
        {",,;q=1,", false},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        if (http_accepts_gzip(str_c(ROWS[i].header)) != ROWS[i].accepted)
            fail_msg("%s", ROWS[i].header);
    }
    assert_false(http_accepts_gzip(STR_NULL));
}

static void texts_are_compressible_and_the_rest_is_not(void **state)
{
    (void)state;
    static const char *const YES[] = {"application/json",    "application/json; charset=utf-8", "text/plain",
                                      "text/html;charset=x", "application/problem+json",        "application/yaml"};
    static const char *const NO[] = {"image/png", "application/octet-stream", "application/gzip", "application/jsonx",
                                     ""};
    for (size_t i = 0; i < COUNT_OF(YES); i++)
        assert_true(http_is_compressible(str_c(YES[i])));
    for (size_t i = 0; i < COUNT_OF(NO); i++)
        assert_false(http_is_compressible(str_c(NO[i])));
}

static void etags_match_as_the_list_says(void **state)
{
    (void)state;
    static const struct {
        const char *tags;
        http_etag_match match;
    } ROWS[] = {
        {"\"abc\"", HTTP_ETAG_PLAIN},
        {"W/\"abc\"", HTTP_ETAG_PLAIN},
        {"\"x\", \"abc\"", HTTP_ETAG_PLAIN},
        {"\"a,b\",W/\"abc\"", HTTP_ETAG_PLAIN},
        {" \t*\t", HTTP_ETAG_PLAIN},
        {"\"abc-gz\"", HTTP_ETAG_GZIP},
        {"\"x\", \"abc-gz\"", HTTP_ETAG_GZIP},
        {"\"abc-gz\", \"abc\"", HTTP_ETAG_PLAIN},
        {"", HTTP_ETAG_NONE},
        {"abc", HTTP_ETAG_NONE},
        {"\"abcd\"", HTTP_ETAG_NONE},
        {"\"ab\"", HTTP_ETAG_NONE},
        {"\"abc", HTTP_ETAG_NONE},
        {"\"abc-gz-gz\"", HTTP_ETAG_NONE},
        {"\"x\" *", HTTP_ETAG_NONE},
        {"W/", HTTP_ETAG_NONE},
        {",,,", HTTP_ETAG_NONE},
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        if (http_match_etag(str_c(ROWS[i].tags), STR("abc")) != ROWS[i].match)
            fail_msg("%s", ROWS[i].tags);
    }
    http_request req = {0};
    assert_false(http_etag_matches(&req, STR("abc")));
    req.known[HTTP_H_IF_NONE_MATCH] = STR("\"abc-gz\"");
    assert_true(http_etag_matches(&req, STR("abc")));
    assert_false(http_etag_matches(&req, STR("x")));
    assert_false(http_etag_matches(&req, STR_NULL));
}

#define DATE "Thu, 15 Jan 2026 10:20:30 GMT"

static void check_frame(const http_frame *f, const char *wanted)
{
    size_t max = http_frame_max(f);
    char *out = mem_alloc(max); /* exactly, so that a sanitizer sees a byte too many */
    size_t n = http_frame_write(f, out);
    assert_true(n <= max);
    assert_int_equal(n, strlen(wanted));
    assert_memory_equal(out, wanted, n);
    mem_free(out);
}

static void a_head_has_the_lines_it_is_given(void **state)
{
    (void)state;
    check_frame(&(http_frame){.status = 204, .date = DATE, .request_id = STR("id")},
                "HTTP/1.1 204 No Content\r\nDate: " DATE "\r\nX-Request-ID: id\r\n\r\n");
    check_frame(&(http_frame){.status = 431,
                              .date = DATE,
                              .request_id = STR("id"),
                              .content_type = STR("text/plain"),
                              .headers = STR("A: b\r\nC: d\r\n"),
                              .etag = STR("tag"),
                              .etag_of_gzip = true,
                              .gzip = true,
                              .vary = true,
                              .has_length = true,
                              .length = SIZE_MAX,
                              .persistence = HTTP_KEEP_ALIVE},
                "HTTP/1.1 431 Request Header Fields Too Large\r\nDate: " DATE "\r\nX-Request-ID: id\r\n"
                "Content-Length: 18446744073709551615\r\nContent-Type: text/plain\r\nETag: \"tag-gz\"\r\n"
                "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\nConnection: keep-alive\r\nA: b\r\nC: d\r\n\r\n");
    check_frame(&(http_frame){.status = 200,
                              .date = DATE,
                              .request_id = STR("id"),
                              .etag = STR("tag"),
                              .has_length = true,
                              .persistence = HTTP_CLOSE},
                "HTTP/1.1 200 OK\r\nDate: " DATE "\r\nX-Request-ID: id\r\nContent-Length: 0\r\nETag: \"tag\"\r\n"
                "Connection: close\r\n\r\n");
}

static void every_status_has_a_line_and_a_text(void **state)
{
    (void)state;
    assert_string_equal(http_status_text(404), "Not Found");
    assert_string_equal(http_status_text(777), "Unknown");
    assert_str(http_status_line(200), "HTTP/1.1 200 OK\r\n");
    for (int status = -1; status < 1000; status++) { /* one we have no row for is our mistake: a 500 */
        str line = http_status_line(status);
        assert_true(str_starts(line, STR("HTTP/1.1 ")) && str_ends(line, STR("\r\n")));
        if (strcmp(http_status_text(status), "Unknown") == 0)
            assert_str(line, "HTTP/1.1 500 Internal Server Error\r\n");
        else
            assert_true(str_find(line, str_c(http_status_text(status))) == 13);
    }
    assert_string_equal(http_method_name(HTTP_M_DELETE), "DELETE");
    assert_string_equal(http_method_name(HTTP_M_OTHER), "OTHER");
}

static void unpack(str packed, buf *out)
{
    z_stream z = {0};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)packed.p;
    z.avail_in = (uInt)packed.n;
    z.next_out = (Bytef *)buf_reserve(out, 1 << 20);
    z.avail_out = 1 << 20;
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    out->n = z.total_out;
    inflateEnd(&z);
}

static void packed_bodies_unpack_to_the_same(void **state)
{
    (void)state;
    http_gzip_setup();
    buf text = BUF_INIT, packed = BUF_INIT, again = BUF_INIT;
    for (int i = 0; i < 1000; i++)
        buf_printf(&text, "{\"id\":%d,\"name\":\"entry number %d\"},", i, i * i);
    http_gzip *z;
    assert_int_equal(http_gzip_new(&z), 0);
    buf_str(&packed, STR("before"));
    assert_int_equal(http_gzip_pack(z, buf_view(&text), &packed), 0);
    assert_true(packed.n < text.n / 2);
    unpack(str_from(buf_view(&packed), 6), &again);
    assert_int_equal(again.n, text.n);
    assert_memory_equal(again.p, text.p, text.n);
    assert_memory_equal(packed.p, "before", 6);
    http_gzip_free(z);
    http_gzip_free(NULL);
    buf_done(&text);
    buf_done(&packed);
    buf_done(&again);
}

static void what_gets_no_smaller_is_left_alone(void **state)
{
    (void)state;
    http_gzip_setup();
    http_gzip *z;
    buf out = BUF_INIT;
    char noise[2000];
    random_bytes(noise, sizeof(noise));
    assert_int_equal(http_gzip_new(&z), 0);
    assert_int_equal(http_gzip_pack(z, str_of(noise, sizeof(noise)), &out), -E2BIG);
    assert_int_equal(http_gzip_pack(z, STR(""), &out), -E2BIG);
    assert_int_equal(http_gzip_pack(z, STR("x"), &out), -E2BIG);
    assert_int_equal(out.n, 0);
    http_gzip_free(z);
    buf_done(&out);
}

static void packing_survives_a_lack_of_memory(void **state)
{
    (void)state;
    http_gzip_setup();
    char text[3000] = {0};
    int failures = 0;
    for (long nth = 0; unit_next_fault(&nth);) {
        http_gzip *z = NULL;
        buf out = BUF_INIT;
        int r = http_gzip_new(&z);
        if (r == 0)
            r = http_gzip_pack(z, str_of(text, sizeof(text)), &out);
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        failures += mem_failed();
        http_gzip_free(z);
        buf_done(&out);
    }
    assert_true(failures >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_is_chosen_by_quality),
        cmocka_unit_test(texts_are_compressible_and_the_rest_is_not),
        cmocka_unit_test(etags_match_as_the_list_says),
        cmocka_unit_test(a_head_has_the_lines_it_is_given),
        cmocka_unit_test(every_status_has_a_line_and_a_text),
        cmocka_unit_test(packed_bodies_unpack_to_the_same),
        cmocka_unit_test(what_gets_no_smaller_is_left_alone),
        cmocka_unit_test(packing_survives_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
