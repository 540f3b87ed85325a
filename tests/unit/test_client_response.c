/* Responses: the same events and bytes however the input was cut; framing, interim answers, codings, limits,
 * garbage. */
#include <zlib.h>

#include "unit.h"

#include "wire/client/response.h"

#define BODY_MAX ((size_t)1 << 20)

typedef struct outcome {
    int result; /* RESPONSE_END, RESPONSE_MORE (wants more, and no end of the connection was tried), or the error */
    int status;
    size_t n_headers;
    buf headers; /* "name=value|" */
    buf body;
    bool keep_alive;
    size_t left; /* input behind the answer */
} outcome;

typedef struct how {
    bool to_head, raw, closes; /* the connection ends behind the input */
    size_t max_head, max_body;
} how;

static void take_head(const response *r, outcome *o)
{
    o->status = r->status;
    o->n_headers = r->n_headers;
    for (size_t i = 0; i < r->n_headers; i++)
        buf_printf(&o->headers, STR_FMT "=" STR_FMT "|", STR_ARG(r->headers[i].name), STR_ARG(r->headers[i].value));
}

/* Gives `bytes` in parts: the first of `first` bytes, the others of `step`. Each part lies in memory of its own, so
 * that a sanitizer sees who looks past its end. */
static outcome read_all(str bytes, how h, size_t first, size_t step)
{
    arena a;
    response r;
    outcome o = {.result = RESPONSE_MORE};
    arena_init(&a, 0);
    client_response_init(&r, &a, h.to_head, h.max_head ? h.max_head : 65536, h.max_body ? h.max_body : BODY_MAX);
    r.decode = !h.raw;
    for (size_t at = 0, n = first; at < bytes.n && o.result == RESPONSE_MORE; at += n, n = step) {
        if (n > bytes.n - at)
            n = bytes.n - at;
        char *part = mem_alloc(n);
        memcpy(part, bytes.p + at, n);
        str input = str_of(part, n);
        while ((o.result = client_response_next(&r, &input)) > RESPONSE_MORE && o.result != RESPONSE_END) {
            if (o.result == RESPONSE_HEAD)
                take_head(&r, &o);
            else
                buf_str(&o.body, r.piece);
        }
        o.left = input.n + (bytes.n - at - n);
        mem_free(part);
    }
    if (o.result == RESPONSE_MORE && h.closes)
        o.result = client_response_eof(&r);
    if (o.result < 0)
        assert_non_null(r.why);
    o.keep_alive = r.keep_alive;
    client_response_done(&r);
    arena_done(&a);
    return o;
}

static void outcome_done(outcome *o)
{
    buf_done(&o->headers);
    buf_done(&o->body);
}

/* Whole, byte by byte, and cut in two at every place: all must agree. The caller frees the result. */
static outcome read_every_way(str bytes, how h)
{
    outcome whole = read_all(bytes, h, bytes.n, 1);
    for (size_t first = 1; first <= bytes.n; first++) {
        outcome parts = read_all(bytes, h, first, first == bytes.n ? 1 : bytes.n);
        if (first == bytes.n) { /* the last round: one by one */
            outcome_done(&parts);
            parts = read_all(bytes, h, 1, 1);
        }
        if (parts.result != whole.result)
            fail_msg("result %d, in parts (%zu) %d: %.60s", whole.result, first, parts.result, bytes.p);
        assert_int_equal(parts.status, whole.status);
        if (whole.result >= 0) {
            assert_int_equal(parts.keep_alive, whole.keep_alive);
            assert_int_equal(parts.left, whole.left);
            assert_true(str_eq(buf_view(&parts.body), buf_view(&whole.body)));
        }
        assert_true(str_eq(buf_view(&parts.headers), buf_view(&whole.headers)));
        outcome_done(&parts);
    }
    return whole;
}

static void answers_are_framed_as_the_rfc_says(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        how h;
        int status;
        const char *body;
        bool keep_alive;
        size_t left;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", {0}, 200, "hello", true, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 500", {0}, 200, "hello", true, 12},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", {0}, 200, "", true, 0},
        {"HTTP/1.1 299 A long reason, \xc3\xa4 too\r\ncontent-length:1\r\n\r\nx", {0}, 299, "x", true, 0},
        {"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", {0}, 404, "no", false, 0},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", {0}, 200, "ok", false, 0},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", {0}, 200, "ok", true, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=\"1\"\r\n world\r\n0\r\n\r\n",
         {0},
         200,
         "hello world",
         true,
         0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\nZ",
         {0},
         200,
         "0123456789",
         true,
         1},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {0}, 200, "", true, 0},
        {"HTTP/1.1 200 OK\r\n\r\nuntil the end", {.closes = true}, 200, "until the end", false, 0},
        {"HTTP/1.1 200 OK\r\n\r\n", {.closes = true}, 200, "", false, 0},
        {"HTTP/1.1 204 No Content\r\n\r\nX", {0}, 204, "", true, 1},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nX", {0}, 204, "", true, 1},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 4096\r\nETag: \"x\"\r\n\r\n", {0}, 304, "", true, 0},
        {"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", {0}, 304, "", true, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n", {.to_head = true}, 200, "", true, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", {.to_head = true}, 200, "", true, 0},
        {"HTTP/1.1 200 OK\r\n\r\n", {.to_head = true}, 200, "", true, 0},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
         {0},
         200,
         "x",
         true,
         0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        outcome o = read_every_way(str_c(cases[i].bytes), cases[i].h);
        if (o.result != RESPONSE_END)
            fail_msg("%d for %s", o.result, cases[i].bytes);
        assert_int_equal(o.status, cases[i].status);
        assert_true(str_eq(buf_view(&o.body), str_c(cases[i].body)));
        assert_int_equal(o.keep_alive, cases[i].keep_alive);
        assert_int_equal(o.left, cases[i].left);
        outcome_done(&o);
    }
}

static void headers_keep_their_order_and_lose_their_blanks(void **state)
{
    (void)state;
    outcome o = read_every_way(STR("HTTP/1.1 100 Continue\r\nOld: 1\r\n\r\n"
                                   "HTTP/1.1 200 OK\r\nA: 1\r\nEmpty:\r\nBlank:  \t \r\nB:  two  words \r\na: again\r\n"
                                   "Folded: one\r\n\t two\r\nContent-Length: 0\r\n\r\n"),
                               (how){0});
    assert_int_equal(o.result, RESPONSE_END);
    assert_int_equal(o.n_headers, 7);
    assert_str(str_head(buf_view(&o.headers), 46), "A=1|Empty=|Blank=|B=two  words|a=again|Folded=");
    assert_true(str_find(buf_view(&o.headers), STR("|Folded=one\t two|")) > 0);
    assert_null(memchr(o.headers.p, '\r', o.headers.n));
    assert_null(memchr(o.headers.p, '\n', o.headers.n));
    outcome_done(&o);
}

static void what_is_no_valid_answer_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int error;
    } cases[] = {
        {"", -ECONNRESET},
        {"HTTP/1.1 2", -ECONNRESET},
        {"HTTP/1.1 200 OK\r\nContent-Le", -ECONNRESET},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", -ECONNRESET},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", -ECONNRESET},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", -ECONNRESET},
        {"HTTP/1.1 100 Continue\r\n\r\n", -ECONNRESET},
        {"SSH-2.0-OpenSSH_9.2\r\n", -EPROTO},
        {"hello, world\r\n\r\n", -EPROTO},
        {"GET / HTTP/1.1\r\n\r\n", -EPROTO},
        {"\x16\x03\x01\x02\x00", -EPROTO},
        {"HTTP/2.0 200 OK\r\n\r\n", -EPROTO},
        {"HTTP/0.9 200 OK\r\n\r\n", -EPROTO},
        {"HTTP/1.1 099 What\r\n\r\n", -EPROTO},
        {"HTTP/1.1 000 What\r\n\r\n", -EPROTO},
        {"HTTP/1.1 20x OK\r\n\r\n", -EPROTO},
        {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", -EPROTO},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld", -EPROTO},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\n: nameless\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: 1\r\n\r\nx", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08", -EPROTO},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        outcome o = read_every_way(str_c(cases[i].bytes), (how){.closes = true});
        if (o.result != cases[i].error)
            fail_msg("%d instead of %d for %s", o.result, cases[i].error, cases[i].bytes);
        outcome_done(&o);
    }
}

/* ---- limits ---- */

static void the_head_has_a_limit(void **state)
{
    (void)state;
    SCOPED(buf_done)
    buf b = BUF_INIT;
    buf_str(&b, STR("HTTP/1.1 200 OK\r\nA: "));
    for (int i = 0; i < 500; i++)
        buf_char(&b, 'x');
    buf_str(&b, STR("\r\nContent-Length: 1\r\n\r\nz"));
    outcome o = read_every_way(buf_view(&b), (how){.max_head = b.n - 1});
    assert_int_equal(o.result, RESPONSE_END);
    outcome_done(&o);
    o = read_every_way(buf_view(&b), (how){.max_head = b.n - 2});
    assert_int_equal(o.result, -EMSGSIZE);
    outcome_done(&o);

    o = read_all(buf_view(&b), (how){.max_head = 100}, 200, 1); /* no waiting for an end that may never come */
    assert_int_equal(o.result, -EMSGSIZE);
    outcome_done(&o);
}

static void interim_answers_and_trailers_count_as_head(void **state)
{
    (void)state;
    SCOPED(buf_done)
    buf b = BUF_INIT;
    for (int i = 0; i < 100; i++)
        buf_str(&b, STR("HTTP/1.1 102 Processing\r\n\r\n"));
    outcome o = read_all(buf_view(&b), (how){.max_head = 1000}, b.n, 1);
    assert_int_equal(o.result, -EMSGSIZE);
    outcome_done(&o);

    buf_reset(&b);
    buf_str(&b, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"));
    for (int i = 0; i < 100; i++)
        buf_str(&b, STR("Trailer: value\r\n"));
    o = read_all(buf_view(&b), (how){.max_head = 1000}, 100, 10);
    assert_int_equal(o.result, -EMSGSIZE);
    outcome_done(&o);
}

static void the_number_of_headers_has_a_limit(void **state)
{
    (void)state;
    for (int n = RESPONSE_HEADERS_MAX; n <= RESPONSE_HEADERS_MAX + 1; n++) {
        SCOPED(buf_done)
        buf b = BUF_INIT;
        buf_str(&b, STR("HTTP/1.1 204 No Content\r\n"));
        for (int i = 0; i < n; i++)
            buf_str(&b, STR("A:1\r\n"));
        buf_str(&b, STR("\r\n"));
        outcome o = read_every_way(buf_view(&b), (how){0});
        assert_int_equal(o.result, n == RESPONSE_HEADERS_MAX ? RESPONSE_END : -EMSGSIZE);
        outcome_done(&o);
    }
}

static void the_body_has_a_limit_however_it_is_framed(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello world",
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        outcome o = read_every_way(str_c(cases[i]), (how){.max_body = 11, .closes = true});
        assert_int_equal(o.result, RESPONSE_END);
        outcome_done(&o);
        o = read_every_way(str_c(cases[i]), (how){.max_body = 10, .closes = true});
        assert_int_equal(o.result, -EFBIG);
        outcome_done(&o);
    }
}

/* ---- content codings ---- */

static void compress_to(buf *out, str plain, int window_bits)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, plain.n);
    char *p = buf_reserve(out, room);
    SCOPED(buf_done)
    buf in = BUF_INIT;
    buf_str(&in, plain);
    z.next_in = (unsigned char *)in.p;
    z.avail_in = (unsigned)in.n;
    z.next_out = (unsigned char *)p;
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += room - z.avail_out;
    deflateEnd(&z);
}

static void put_answer(buf *out, const char *coding, str body)
{
    buf_printf(out, "HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", coding, body.n);
    buf_str(out, body);
}

static void content_codings_are_undone(void **state)
{
    (void)state;
    static const struct {
        const char *coding;
        int window_bits;
    } cases[] = {{"gzip", 31}, {"x-gzip", 31}, {"GZIP", 31}, {"deflate", 15}, {"deflate", -15}, {"identity", 0}};
    str plain = STR("the same words, the same words, the same words again");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        SCOPED(buf_done)
        buf packed = BUF_INIT, answer = BUF_INIT;
        if (cases[i].window_bits)
            compress_to(&packed, plain, cases[i].window_bits);
        else
            buf_str(&packed, plain);
        put_answer(&answer, cases[i].coding, buf_view(&packed));
        outcome o = read_every_way(buf_view(&answer), (how){0});
        assert_int_equal(o.result, RESPONSE_END);
        assert_true(str_eq(buf_view(&o.body), plain));
        outcome_done(&o);

        o = read_every_way(buf_view(&answer), (how){.raw = true});
        assert_int_equal(o.result, RESPONSE_END);
        assert_true(str_eq(buf_view(&o.body), buf_view(&packed)));
        outcome_done(&o);
    }
}

static void gzip_may_be_several_streams_but_not_followed_by_others(void **state)
{
    (void)state;
    SCOPED(buf_done)
    buf packed = BUF_INIT, answer = BUF_INIT;
    compress_to(&packed, STR("first "), 31);
    compress_to(&packed, STR(""), 31);
    compress_to(&packed, STR("second"), 31);
    put_answer(&answer, "gzip", buf_view(&packed));
    outcome o = read_every_way(buf_view(&answer), (how){0});
    assert_int_equal(o.result, RESPONSE_END);
    assert_str(buf_view(&o.body), "first second");
    outcome_done(&o);

    buf_str(&packed, STR("trailing garbage"));
    buf_reset(&answer);
    put_answer(&answer, "gzip", buf_view(&packed));
    o = read_every_way(buf_view(&answer), (how){0});
    assert_int_equal(o.result, -EPROTO);
    outcome_done(&o);
}

static void a_cut_or_damaged_stream_is_no_answer(void **state)
{
    (void)state;
    SCOPED(buf_done)
    buf packed = BUF_INIT;
    compress_to(&packed, STR("some words that are packed, and then damaged"), 31);
    for (size_t n = 1; n < packed.n; n++) {
        SCOPED(buf_done)
        buf answer = BUF_INIT;
        put_answer(&answer, "gzip", str_head(buf_view(&packed), n));
        outcome o = read_all(buf_view(&answer), (how){0}, answer.n, 1);
        assert_int_equal(o.result, -EPROTO);
        outcome_done(&o);
    }
    packed.p[packed.n - 6] ^= 1; /* in its checksum */
    SCOPED(buf_done)
    buf answer = BUF_INIT;
    put_answer(&answer, "gzip", buf_view(&packed));
    outcome o = read_every_way(buf_view(&answer), (how){0});
    assert_int_equal(o.result, -EPROTO);
    outcome_done(&o);
}

static void a_compression_bomb_meets_the_limit_of_the_body(void **state)
{
    (void)state;
    SCOPED(buf_done)
    buf zeros = BUF_INIT, packed = BUF_INIT, answer = BUF_INIT;
    memset(buf_reserve(&zeros, BODY_MAX + 1), 0, BODY_MAX + 1);
    zeros.n = BODY_MAX + 1;
    compress_to(&packed, buf_view(&zeros), 31);
    assert_true(packed.n < BODY_MAX / 500);
    put_answer(&answer, "gzip", buf_view(&packed));
    outcome o = read_all(buf_view(&answer), (how){0}, answer.n, 1);
    assert_int_equal(o.result, -EFBIG);
    assert_true(o.body.n <= BODY_MAX);
    outcome_done(&o);
    o = read_all(buf_view(&answer), (how){.max_body = BODY_MAX + 1}, answer.n, 1);
    assert_int_equal(o.result, RESPONSE_END);
    assert_true(str_eq(buf_view(&o.body), buf_view(&zeros)));
    outcome_done(&o);
}

static void an_empty_body_needs_no_coding(void **state)
{
    (void)state;
    outcome o = read_every_way(STR("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"), (how){0});
    assert_int_equal(o.result, RESPONSE_END);
    outcome_done(&o);
    o = read_every_way(STR("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 99\r\n\r\n"),
                       (how){.to_head = true});
    assert_int_equal(o.result, RESPONSE_END);
    outcome_done(&o);
}

static void no_memory_is_reported_at_every_step(void **state)
{
    (void)state;
    SCOPED(buf_done)
    buf packed = BUF_INIT, answer = BUF_INIT;
    compress_to(&packed, STR("packed"), 31);
    put_answer(&answer, "gzip", buf_view(&packed));
    for (long n = 0; unit_next_fault(&n);) {
        arena a;
        response r;
        str input = buf_view(&answer);
        arena_init(&a, 0);
        client_response_init(&r, &a, false, 65536, BODY_MAX);
        int e;
        while ((e = client_response_next(&r, &input)) > RESPONSE_MORE && e != RESPONSE_END) {
        }
        assert_int_equal(e, mem_failed() ? -ENOMEM : RESPONSE_END);
        client_response_done(&r);
        arena_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_framed_as_the_rfc_says),
        cmocka_unit_test(headers_keep_their_order_and_lose_their_blanks),
        cmocka_unit_test(what_is_no_valid_answer_is_refused),
        cmocka_unit_test(the_head_has_a_limit),
        cmocka_unit_test(interim_answers_and_trailers_count_as_head),
        cmocka_unit_test(the_number_of_headers_has_a_limit),
        cmocka_unit_test(the_body_has_a_limit_however_it_is_framed),
        cmocka_unit_test(content_codings_are_undone),
        cmocka_unit_test(gzip_may_be_several_streams_but_not_followed_by_others),
        cmocka_unit_test(a_cut_or_damaged_stream_is_no_answer),
        cmocka_unit_test(a_compression_bomb_meets_the_limit_of_the_body),
        cmocka_unit_test(an_empty_body_needs_no_coding),
        cmocka_unit_test(no_memory_is_reported_at_every_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
