/* The request parser: what it accepts and refuses, and that this doesn't depend on how bytes are cut into pieces. */
#include "unit.h"

#include "http_transcript.h"

#define MAX_HEAD 1024
#define MAX_BODY 64

typedef struct row {
    const char *what;
    str bytes;
    const char *wanted; /* where the transcript begins; for refusals the status */
} row;
#define ROW(what, bytes, wanted)                 \
    {                                            \
        what, {bytes, sizeof(bytes) - 1}, wanted \
    }

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* Feeds the bytes in pieces whose length `next` gives; each piece is memory of its own, freed after use. */
static void run(http_transcript *t, str bytes, size_t (*next)(size_t left))
{
    transcript_begin(t, MAX_HEAD, MAX_BODY);
    for (size_t at = 0; at < bytes.n && !t->refused;) {
        size_t n = next(bytes.n - at);
        char *piece = mem_alloc(n);
        memcpy(piece, bytes.p + at, n);
        transcript_feed(t, piece, n);
        mem_free(piece);
        at += n;
    }
    buf_char(&t->text, '\0');
    assert_int_equal(t->text.err, 0);
}

static size_t whole(size_t left)
{
    return left;
}

static size_t byte_by_byte(size_t left)
{
    (void)left;
    return 1;
}

static size_t at_random(size_t left)
{
    size_t n = 1 + random_below(random_below(2) ? 3 : 40);
    return n < left ? n : left;
}

static void check(const row *r)
{
    http_transcript t, other;
    run(&t, r->bytes, whole);
    if (strncmp(t.text.p, r->wanted, strlen(r->wanted)) != 0) {
        print_error("%s: got\n%s\nwanted\n%s\n", r->what, t.text.p, r->wanted);
        fail();
    }
    for (int i = 0; i < 20; i++) {
        run(&other, r->bytes, i == 0 ? byte_by_byte : at_random);
        if (strcmp(t.text.p, other.text.p) != 0) {
            print_error("%s: in one piece\n%s\ncut in pieces\n%s\n", r->what, t.text.p, other.text.p);
            fail();
        }
        transcript_end(&other);
    }
    transcript_end(&t);
}

static void check_all(const row *rows, size_t n)
{
    random_seed_for_tests(42);
    for (size_t i = 0; i < n; i++)
        check(&rows[i]);
    random_seed_for_tests(0);
}

static void well_formed_requests_are_taken_apart(void **state)
{
    (void)state;
    static const row ROWS[] = {
        ROW("plain", GET "\r\n", "GET / path=/ query=null 1.1\n  Host=a\n  host: a\n  body 0"),
        ROW("query", "GET /a/b?c=d&e?f HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a/b?c=d&e?f path=/a/b query=c=d&e?f 1.1\n"),
        ROW("empty query", "GET /a? HTTP/1.1\r\nHost: a\r\n\r\n", "GET /a? path=/a query= 1.1\n"),
        ROW("1.0", "GET / HTTP/1.0\r\n\r\n", "GET / path=/ query=null 1.0 close\n  body 0"),
        ROW("1.0 kept alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / path=/ query=null 1.0\n"),
        ROW("1.1 closing", GET "Connection: x, Close\r\n\r\n", "GET / path=/ query=null 1.1 close\n"),
        ROW("empty lines first", "\r\n\r\n" GET "\r\n", "GET / path=/"),
        ROW("blanks around a value", "GET / HTTP/1.1\r\nHost: \t a \t\r\n\r\n",
            "GET / path=/ query=null 1.1\n  Host=a\n"),
        ROW("no blank", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", "GET / path=/ query=null 1.1\n  Host=a\n"),
        ROW("empty value", GET "X:\r\nY: \r\n\r\n", "GET / path=/ query=null 1.1\n  Host=a\n  X=\n  Y=\n"),
        ROW("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / path=/ query=null 1.1\n  Host=\n"),
        ROW("bytes over 127 in a value", GET "X: \xc3\xa4\xff\r\n\r\n",
            "GET / path=/ query=null 1.1\n  Host=a\n  X=\xc3\xa4\xff\n"),
        ROW("a colon in a value", GET "X: a:b\r\n\r\n", "GET / path=/ query=null 1.1\n  Host=a\n  X=a:b\n"),
        ROW("absolute form", "GET http://h:80/a?b HTTP/1.1\r\nHost: other\r\n\r\n",
            "GET http://h:80/a?b path=/a query=b 1.1\n  Host=other\n  host: h:80\n"),
        ROW("absolute form, no path", "GET HTTPS://h?b HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET HTTPS://h?b path=/ query=b 1.1\n"),
        ROW("the last port", "GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", "GET / path=/ query=null 1.1\n  Host=a:65535"),
        ROW("v6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "GET / path=/ query=null 1.1\n  Host=[::1]:80\n"),
        ROW("asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * path=* query=null 1.1\n"),
        ROW("escapes", "GET /%41%2f?%zz HTTP/1.1\r\nHost: a\r\n\r\n", "GET /%41%2f?%zz path=/%41%2f query=%zz 1.1\n"),
        ROW("unescaped but harmless", "GET /{a}|\"<>^`\\ HTTP/1.1\r\nHost: a\r\n\r\n", "GET /{a}|\"<>^`\\ path="),
        ROW("a method nobody uses here", "PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", "PROPFIND / path=/"),
        ROW("Upgrade is ignored", GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" GET "\r\n",
            "GET / path=/ query=null 1.1\n  Host=a\n  Connection=Upgrade\n  Upgrade=h2c\n  host: a\n"
            "  connection: Upgrade\n"
            "  body 0\n\nGET / path=/"),
    };
    check_all(ROWS, COUNT_OF(ROWS));
}

static void bodies_are_found_and_what_follows_is_the_next_request(void **state)
{
    (void)state;
#define THEN GET "\r\n"
#define CHUNKED_HEAD                                                                   \
    "POST / path=/ query=null 1.1\n  Host=a\n  Transfer-Encoding=chunked\n  host: a\n" \
    "  transfer-encoding: chunked\n"
#define BODY(n, text) "  body " n "\n" text "\nGET / path=/"
    static const row ROWS[] = {
        ROW("length", POST "Content-Length: 5\r\n\r\nhello" THEN,
            "POST / path=/ query=null 1.1\n  Host=a\n  Content-Length=5\n  host: a\n  content-length: 5\n" BODY(
                "5", "hello")),
        ROW("length 0", POST "Content-Length: 0\r\n\r\n" THEN,
            "POST / path=/ query=null 1.1\n  Host=a\n  Content-Length=0\n  host: a\n  content-length: 0\n" BODY("0",
                                                                                                                "")),
        ROW("chunks", CHUNKED "3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n" THEN, CHUNKED_HEAD BODY("5", "hello")),
        ROW("one chunk, leading zeros", CHUNKED "00000005\r\nhello\r\n0000\r\n\r\n" THEN,
            CHUNKED_HEAD BODY("5", "hello")),
        ROW("no chunks", CHUNKED "0\r\n\r\n" THEN, CHUNKED_HEAD BODY("0", "")),
        ROW("trailers are dropped", CHUNKED "5\r\nhello\r\n0\r\nX: y\r\nHost: evil\r\n\r\n" THEN,
            CHUNKED_HEAD BODY("5", "hello")),
        ROW("blanks behind a coding", POST "Transfer-Encoding:\tchunked\t \t\r\n\r\n5\r\nhello\r\n0\r\n\r\n" THEN,
            CHUNKED_HEAD BODY("5", "hello")),
        ROW("blanks around a length", POST "Content-Length:\t5 \t\t \t\r\n\r\nhello" THEN,
            "POST / path=/ query=null 1.1\n  Host=a\n  Content-Length=5\n  host: a\n  content-length: 5\n" BODY(
                "5", "hello")),
        ROW("a tab behind a length, and tabs elsewhere",
            POST "X: a\t\r\nContent-Length: 5\t\r\nY: b\tc\r\n\r\nhello" THEN,
            "POST / path=/ query=null 1.1\n  Host=a\n  X=a\n  Content-Length=5\n  Y=b\tc\n  host: a\n"
            "  content-length: 5\n" BODY("5", "hello")),
        ROW("any case", "POST / HTTP/1.1\r\nhOST: a\r\ntransfer-encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n" THEN,
            "POST / path=/ query=null 1.1\n  hOST=a\n  transfer-encoding=Chunked\n  host: a\n"
            "  transfer-encoding: Chunked\n" BODY("5", "hello")),
        ROW("a body with GET", GET "Content-Length: 2\r\n\r\nhi" THEN,
            "GET / path=/ query=null 1.1\n  Host=a\n  Content-Length=2\n  host: a\n  content-length: 2\n" BODY("2",
                                                                                                               "hi")),
    };
    check_all(ROWS, COUNT_OF(ROWS));
}

static void repeated_headers_are_joined_or_refused(void **state)
{
    (void)state;
    static const row ROWS[] = {
        ROW("joined", GET "If-None-Match: \"a\"\r\nX: 1\r\nif-none-match: \"b\", \"c\"\r\n\r\n",
            "GET / path=/ query=null 1.1\n  Host=a\n  If-None-Match=\"a\"\n  X=1\n  if-none-match=\"b\", \"c\"\n"
            "  host: a\n  if-none-match: \"a\", \"b\", \"c\"\n"),
        ROW("the first counts", GET "User-Agent: a\r\nUser-Agent: b\r\n\r\n",
            "GET / path=/ query=null 1.1\n  Host=a\n  User-Agent=a\n  User-Agent=b\n  host: a\n  user-agent: a\n"),
        ROW("unknown ones stay apart", GET "X: 1\r\nX: 2\r\n\r\n",
            "GET / path=/ query=null 1.1\n  Host=a\n  X=1\n  X=2\n  host"),
        ROW("two hosts", GET "Host: a\r\n\r\n", "400"),
        ROW("two keys", GET "X-API-Key: a\r\nX-API-Key: b\r\n\r\n", "400"),
        ROW("two authorizations", GET "Authorization: a\r\nauthorization: a\r\n\r\n", "400"),
    };
    check_all(ROWS, COUNT_OF(ROWS));
}

static void a_refusal_says_why(void **state)
{
    (void)state;
    static const row ROWS[] = {
        ROW("two hosts", GET "Host: a\r\n\r\n", "the header host is repeated"),
        ROW("no host", "GET / HTTP/1.1\r\n\r\n", "the header Host is missing"),
        ROW("blank lines", "\n\n", "empty lines instead of a request line"),
        ROW("length", POST "Content-Length: x\r\n\r\n", "Content-Length is not a number"),
        ROW("chunk size", CHUNKED "x\r\n", "a chunk's size is malformed"),
        ROW("version", "GET / HTTP/3.0\r\n\r\n", "only HTTP/1.1 and HTTP/1.0 are spoken here"),
        ROW("method", "BREW / HTTP/1.1\r\n\r\n", "no such method is known here"),
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        http_transcript t;
        run(&t, ROWS[i].bytes, whole);
        assert_true(t.refused);
        assert_string_equal(t.why, ROWS[i].wanted);
        transcript_end(&t);
    }
}

/* What could be read as one request by a proxy and as two by us, or the other way round. */
static void ambiguous_framing_is_refused(void **state)
{
    (void)state;
    static const row ROWS[] = {
        ROW("two lengths", POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "400"),
        ROW("two different lengths", POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "400"),
        ROW("a list of lengths", POST "Content-Length: 5, 5\r\n\r\nhello", "400"),
        ROW("plus", POST "Content-Length: +5\r\n\r\nhello", "400"),
        ROW("minus", POST "Content-Length: -5\r\n\r\nhello", "400"),
        ROW("hex", POST "Content-Length: 0x5\r\n\r\nhello", "400"),
        ROW("blank inside", POST "Content-Length: 5 5\r\n\r\nhello", "400"),
        ROW("tab inside", POST "Content-Length: 5\t5\r\n\r\nhello", "400"),
        ROW("nothing but tabs", POST "Content-Length:\t\t\r\n\r\nhello", "400"),
        ROW("a tab and a list", POST "Content-Length: 5\t, 5\r\n\r\nhello", "400"),
        ROW("two lengths with tabs", POST "Content-Length: 5\t\r\nContent-Length: 5\t\r\n\r\nhello", "400"),
        ROW("length with a tab and chunks", POST "Content-Length: 5\t\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n",
            "400"),
        ROW("tab within a coding", POST "Transfer-Encoding: chun\tked\r\n\r\n0\r\n\r\n", "400"),
        ROW("tab and more behind a coding", POST "Transfer-Encoding: chunked\tx\r\n\r\n0\r\n\r\n", "400"),
        ROW("fraction", POST "Content-Length: 5.0\r\n\r\nhello", "400"),
        ROW("empty", POST "Content-Length:\r\n\r\nhello", "400"),
        ROW("folded", POST "Content-Length:\r\n 5\r\n\r\nhello", "400"),
        ROW("overflow", POST "Content-Length: 18446744073709551617\r\n\r\nhello", "400"),
        ROW("blank before the colon", POST "Content-Length : 5\r\n\r\nhello", "400"),
        ROW("length and chunks", POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ROW("chunks and length", POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", "400"),
        ROW("identity", POST "Transfer-Encoding: identity\r\n\r\n", "400"),
        ROW("identity and length", POST "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", "400"),
        ROW("empty coding", POST "Transfer-Encoding:\r\n\r\n", "400"),
        ROW("empty coding and length", POST "Transfer-Encoding:\r\nContent-Length: 5\r\n\r\nhello", "400"),
        ROW("chunked not last", POST "Transfer-Encoding: chunked, gzip\r\n\r\n", "400"),
        ROW("gzip and chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501"),
        ROW("chunked twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
        ROW("almost chunked", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", "400"),
        ROW("quoted", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", "400"),
        ROW("control byte",
            POST "Transfer-Encoding: \x0b"
                 "chunked\r\n\r\n0\r\n\r\n",
            "400"),
        ROW("blank before the colon", POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400"),
        ROW("folded", POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", "400"),
        ROW("in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
    };
    check_all(ROWS, COUNT_OF(ROWS));
}

/* Each must end in a refusal, and no request may come of what stands behind the flaw. */
static void broken_chunks_are_refused(void **state)
{
    (void)state;
    static const row ROWS[] = {
        ROW("bare LF behind the size", CHUNKED "5\nhello\r\n0\r\n\r\n", ""),
        ROW("bare CR behind the size", CHUNKED "5\rhello\r\n0\r\n\r\n", ""),
        ROW("bare LF behind the data", CHUNKED "5\r\nhello\n0\r\n\r\n", ""),
        ROW("data longer than its size", CHUNKED "5\r\nhello!\r\n0\r\n\r\n", ""),
        ROW("data shorter than its size", CHUNKED "5\r\nhell\r\n0\r\n\r\n", ""),
        ROW("bare LF in an extension", CHUNKED "5;a\nb\r\nhello\r\n0\r\n\r\n", ""),
        ROW("bare LF in an extension's value", CHUNKED "5;a=b\nc\r\nhello\r\n0\r\n\r\n", ""),
        ROW("bare LF in a quoted value", CHUNKED "5;a=\"b\n\"\r\nhello\r\n0\r\n\r\n", ""),
        ROW("unended quote", CHUNKED "5;a=\"b\r\nhello\r\n0\r\n\r\n", ""),
        ROW("blank behind the size", CHUNKED "5 \r\nhello\r\n0\r\n\r\n", ""),
        ROW("blank before the size", CHUNKED " 5\r\nhello\r\n0\r\n\r\n", ""),
        ROW("no size", CHUNKED "\r\nhello\r\n0\r\n\r\n", ""),
        ROW("extension without a name", CHUNKED "5;=b\r\nhello\r\n0\r\n\r\n", ""),
        ROW("second extension without a name", CHUNKED "5;a=b;=c\r\nhello\r\n0\r\n\r\n", ""),
        ROW("no size but an extension", CHUNKED ";a\r\nhello\r\n0\r\n\r\n", ""),
        ROW("sign", CHUNKED "-5\r\nhello\r\n0\r\n\r\n", ""),
        ROW("hex prefix", CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", ""),
        ROW("not hex", CHUNKED "5g\r\nhello\r\n0\r\n\r\n", ""),
        ROW("overflow", CHUNKED "10000000000000005\r\nhello\r\n0\r\n\r\n", ""),
        ROW("bare LF ends the body", CHUNKED "0\r\n\n" GET "\r\n", ""),
        ROW("bare LF in the trailers", CHUNKED "0\r\nX: y\n\r\n" GET "\r\n", ""),
        ROW("bare LFs end the trailers", CHUNKED "0\r\nX: y\r\n\n" GET "\r\n", ""),
        ROW("folded trailer", CHUNKED "0\r\nX: y\r\n z\r\n\r\n" GET "\r\n", ""),
        ROW("folded empty trailer", CHUNKED "0\r\nX:\r\n z\r\n\r\n" GET "\r\n", ""),
        ROW("trailer without a name", CHUNKED "0\r\n: z\r\n\r\n" GET "\r\n", ""),
        ROW("trailer that begins with a blank", CHUNKED "0\r\n X: z\r\n\r\n" GET "\r\n", ""),
        ROW("length among the trailers", CHUNKED "0\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n" GET "\r\n", ""),
        ROW("bare CR in a trailer", CHUNKED "0\r\nX: y\rz\r\n\r\n" GET "\r\n", ""),
    };
    check_all(ROWS, COUNT_OF(ROWS));
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        http_transcript t;
        run(&t, ROWS[i].bytes, whole);
        if (!t.refused || t.requests > 0)
            print_error("%s: %s\n", ROWS[i].what, t.text.p);
        assert_true(t.refused);
        assert_int_equal(t.requests, 0);
        transcript_end(&t);
    }
}

static void malformed_lines_are_refused(void **state)
{
    (void)state;
    static const row ROWS[] = {
        ROW("bare LFs", "GET / HTTP/1.1\nHost: a\n\n", "400"),
        ROW("bare LF behind the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"),
        ROW("bare LF behind a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "400"),
        ROW("bare LF behind an empty header", "GET / HTTP/1.1\r\nHost: a\r\nX:\nY: y\r\n\r\n", "400"),
        ROW("bare LF at the end", GET "\n", "400"),
        ROW("bare CR in a value", GET "X: a\rb\r\n\r\n", "400"),
        ROW("bare CR behind the request line", "GET / HTTP/1.1\rHost: a\r\n\r\n", "400"),
        ROW("folded", GET "X: a\r\n b\r\n\r\n", "400"),
        ROW("folded with a tab", GET "X: a\r\n\tb\r\n\r\n", "400"),
        ROW("folded, empty", GET "X:\r\n b\r\n\r\n", "400"),
        ROW("folded into nothing", GET "X: a\r\n \r\n\r\n", "400"),
        ROW("first header begins with a blank", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", "400"),
        ROW("blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"),
        ROW("tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", "400"),
        ROW("no name", GET ": a\r\n\r\n", "400"),
        ROW("no colon", GET "X\r\n\r\n", "400"),
        ROW("blank in a name", GET "X Y: a\r\n\r\n", "400"),
        ROW("bracket in a name", GET "X(: a\r\n\r\n", "400"),
        ROW("byte over 127 in a name", GET "X\xc3\xa4: a\r\n\r\n", "400"),
        ROW("NUL in a name", GET "X\0: a\r\n\r\n", "400"),
        ROW("NUL in a value", GET "X: a\0b\r\n\r\n", "400"),
        ROW("control byte in a value", GET "X: a\x01\r\n\r\n", "400"),
        ROW("DEL in a value", GET "X: a\x7f\r\n\r\n", "400"),
        ROW("no host", "GET / HTTP/1.1\r\n\r\n", "400"),
        ROW("bad host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"),
        ROW("bad port", "GET / HTTP/1.1\r\nHost: a:xx\r\n\r\n", "400"),
        ROW("no such port", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", "400"),
        ROW("a giant port", "GET / HTTP/1.1\r\nHost: a:4294967297\r\n\r\n", "400"),
        ROW("host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", "400"),
        ROW("two hosts in one", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "400"),
        ROW("bad host beside an absolute target", "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n", "400"),
        ROW("no host beside an absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", "400"),
    };
    check_all(ROWS, COUNT_OF(ROWS));
}

static void malformed_request_lines_are_refused(void **state)
{
    (void)state;
    static const row ROWS[] = {
        ROW("HTTP/0.9", "GET /\r\n", ""),
        ROW("HTTP/0.9 with headers", "GET /\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/0.9 by name", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "505"),
        ROW("HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
        ROW("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505"),
        ROW("HTTP/1.10", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/01.1", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/3.1", "GET / HTTP/3.1\r\nHost: a\r\n\r\n", "505"),
        ROW("HTTP/1", "GET / HTTP/1\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/1.", "GET / HTTP/1.\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/1.x", "GET / HTTP/1.x\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/x.1", "GET / HTTP/x.1\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/", "GET / HTTP/\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/1.1x", "GET / HTTP/1.1x\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/2.0x", "GET / HTTP/2.0x\r\nHost: a\r\n\r\n", "400"),
        ROW("HTTP/1,1", "GET / HTTP/1,1\r\nHost: a\r\n\r\n", "400"),
        ROW("no version", "GET / \r\nHost: a\r\n\r\n", "400"),
        ROW("lower case version", "GET / http/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("another protocol", "GET / HTTPS/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("RTSP", "OPTIONS / RTSP/1.0\r\nHost: a\r\n\r\n", "400"),
        ROW("ICE", "SOURCE / ICE/1.0\r\nHost: a\r\n\r\n", "400"),
        ROW("blank behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"),
        ROW("two blanks before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("two blanks behind the target", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("a blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("tab instead of a blank", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
        ROW("blank before the method", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("lower case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
        ROW("method with a tail", "GETS / HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
        ROW("a TLS hello", "\x16\x03\x01\x02\x00\x01", "400"),
        ROW("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        ROW("fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("byte over 127", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("NUL", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("DEL", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("broken escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("broken escape before a query", "GET /%4?1 HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("no escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("relative", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("asterisk with a tail", "OPTIONS *a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("ftp", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("no authority", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("user in the authority", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("many empty lines", "\r\n\r\n\r\n\r\n\r\n\r\n\r\n", "400"),
        ROW("bare CR first", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
        ROW("bare LF first", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    };
    check_all(ROWS, COUNT_OF(ROWS));
}

static str repeated(buf *b, const char *before, char c, size_t n, const char *after)
{
    buf_reset(b);
    buf_str(b, str_c(before));
    for (size_t i = 0; i < n; i++)
        buf_char(b, c);
    buf_str(b, str_c(after));
    return buf_view(b);
}

static void limits_hold_to_the_byte(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    const char *end = " HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t fits = MAX_HEAD - strlen("GET /") - strlen(end);
    check(&(row){"a head that just fits", repeated(&b, "GET /", 'x', fits, end), "GET /xxx"});
    check(&(row){"a byte too many", repeated(&b, "GET /", 'x', fits + 1, end), "431"});
    check(&(row){"a target without end", repeated(&b, "GET /", 'x', 2000, ""), "414"});
    check(&(row){"a header without end", repeated(&b, GET "X: ", 'x', 2000, ""), "431"});
    check(&(row){"headers without end", repeated(&b, GET "X: ", '\r', 1, "\nY: z\r\n"), "" /* not yet */});
    check(&(row){"a name without end", repeated(&b, GET, 'x', 2000, ""), "431"});

    check(&(row){"a body that just fits", repeated(&b, POST "Content-Length: 64\r\n\r\n", 'x', 64, ""), "POST"});
    check(&(row){"a chunk that just fits", repeated(&b, CHUNKED "40\r\n", 'x', 64, "\r\n0\r\n\r\n"), "POST"});
    buf_done(&b);
}

static void check_refused(const char *what, str bytes, const char *wanted)
{
    check(&(row){what, bytes, ""});
    http_transcript t;
    run(&t, bytes, whole);
    if (!t.refused || !strstr(t.text.p, wanted)) {
        print_error("%s: wanted %s in\n%s\n", what, wanted, t.text.p);
        fail();
    }
    transcript_end(&t);
}

static void too_large_bodies_are_refused_as_soon_as_it_shows(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    check_refused("a body too large", STR(POST "Content-Length: 65\r\n\r\n"), "\n413\n");
    check_refused("an announced giant", STR(POST "Content-Length: 18446744073709551615\r\n\r\n"), "\n413\n");
    check_refused("a chunk too large", STR(CHUNKED "41\r\n"), "\n413\n");
    check_refused("a giant chunk", STR(CHUNKED "ffffffffffffffff\r\n"), "\n413\n");
    check_refused("trailers without end", repeated(&b, CHUNKED "0\r\nX: ", 'x', 2000, ""), "\n431\n");
    check_refused("extensions without end", repeated(&b, CHUNKED "5;x=", 'x', 5000, ""), "\n400\n");
    buf_done(&b);
}

static void the_sum_of_chunks_is_limited(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    buf_str(&b, STR(CHUNKED));
    for (int i = 0; i < 64; i++)
        buf_str(&b, STR("1\r\nx\r\n"));
    http_transcript t;
    run(&t, buf_view(&b), whole);
    assert_false(t.refused);
    transcript_end(&t);
    buf_str(&b, STR("1\r\n"));
    run(&t, buf_view(&b), byte_by_byte);
    assert_true(t.refused);
    assert_non_null(strstr(t.text.p, "413"));
    transcript_end(&t);
    buf_done(&b);
}

static void one_header_more_than_allowed_is_refused(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    buf_str(&b, STR(GET));
    for (int i = 1; i < HTTP_MAX_HEADERS; i++)
        buf_str(&b, STR("X:\r\n"));
    buf_str(&b, STR("\r\n"));
    check(&(row){"as many as allowed", buf_view(&b), "GET"});
    b.n -= 2;
    buf_str(&b, STR("X:\r\n\r\n"));
    check(&(row){"one more", buf_view(&b), "431"});
    buf_done(&b);
}

static void many_pipelined_requests_come_out_in_order(void **state)
{
    (void)state;
    buf b = BUF_INIT;
    for (int i = 0; i < 1000; i++) {
        if (i % 3 == 2)
            buf_printf(&b, "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%0*d", i, 1 + i % 60, 1 + i % 60,
                       7);
        else
            buf_printf(&b, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", i);
    }
    http_transcript t, other;
    run(&t, buf_view(&b), whole);
    assert_int_equal(t.requests, 1000);
    random_seed_for_tests(7);
    run(&other, buf_view(&b), at_random);
    random_seed_for_tests(0);
    assert_string_equal(t.text.p, other.text.p);
    transcript_end(&t);
    transcript_end(&other);
    buf_done(&b);
}

/* With the n-th allocation failing the parser says 503, and nothing is lost or read twice. */
static void no_memory_is_a_refusal(void **state)
{
    (void)state;
    static const row ROWS[] = {
        ROW("a head in pieces", GET "Prefer: a\r\nPrefer: b\r\n\r\n", ""),
        ROW("a body in pieces", POST "Content-Length: 5\r\n\r\nhello", ""),
    };
    for (size_t i = 0; i < COUNT_OF(ROWS); i++) {
        int refusals = 0;
        for (long nth = 0; unit_next_fault(&nth);) {
            http_transcript t;
            transcript_begin(&t, MAX_HEAD, MAX_BODY);
            t.text.max = 0;
            char text[1024]; /* the transcript's own memory comes from here, so that only the parser's can fail */
            t.text = (buf){.p = text, .cap = sizeof(text), .max = sizeof(text)};
            for (size_t at = 0; at < ROWS[i].bytes.n && !t.refused; at += 7)
                transcript_feed(&t, ROWS[i].bytes.p + at, ROWS[i].bytes.n - at < 7 ? ROWS[i].bytes.n - at : 7);
            assert_true(t.refused == mem_failed());
            if (t.refused) {
                refusals++;
                assert_true(str_find(buf_view(&t.text), STR("503")) >= 0);
            }
            t.text = BUF_INIT;
            transcript_end(&t);
        }
        assert_true(refusals > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_requests_are_taken_apart),
        cmocka_unit_test(bodies_are_found_and_what_follows_is_the_next_request),
        cmocka_unit_test(repeated_headers_are_joined_or_refused),
        cmocka_unit_test(a_refusal_says_why),
        cmocka_unit_test(ambiguous_framing_is_refused),
        cmocka_unit_test(broken_chunks_are_refused),
        cmocka_unit_test(malformed_lines_are_refused),
        cmocka_unit_test(malformed_request_lines_are_refused),
        cmocka_unit_test(limits_hold_to_the_byte),
        cmocka_unit_test(too_large_bodies_are_refused_as_soon_as_it_shows),
        cmocka_unit_test(the_sum_of_chunks_is_limited),
        cmocka_unit_test(one_header_more_than_allowed_is_refused),
        cmocka_unit_test(many_pipelined_requests_come_out_in_order),
        cmocka_unit_test(no_memory_is_a_refusal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
