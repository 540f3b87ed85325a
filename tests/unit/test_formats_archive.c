/* The archive reader: what a tar.gz holds, whatever the pieces it comes in, and what it refuses. */
#include "unit.h"

#include <zlib.h>

#include "larder/archive.h"

/* ---- making archives ---- */

static void put_octal(char *field, size_t size, uint64_t n)
{
    for (size_t i = size - 1; i-- > 0; n >>= 3)
        field[i] = (char)('0' + (n & 7));
}

static void seal(char *h)
{
    unsigned sum = 0;
    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    put_octal(h + 148, 7, sum);
}

static void pad(buf *b)
{
    while (b->n % 512 != 0)
        buf_char(b, '\0');
}

/* Returns the header, which may be changed and sealed again until the next put. */
static char *put_header(buf *b, const char *name, char type, const char *target, uint64_t size)
{
    char h[512] = {0};
    memcpy(h, name, strnlen(name, 100));
    put_octal(h + 100, 8, 0644);
    put_octal(h + 124, 12, size);
    h[156] = type;
    memcpy(h + 157, target, strnlen(target, 100));
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    seal(h);
    buf_put(b, h, sizeof(h));
    return b->p + b->n - 512;
}

static void put_body(buf *b, str content)
{
    buf_str(b, content);
    pad(b);
}

static void put_file(buf *b, const char *name, str content)
{
    put_header(b, name, '0', "", content.n);
    put_body(b, content);
}

static void put_note(buf *b, char type, str text)
{
    put_header(b, "note", type, "", text.n);
    put_body(b, text);
}

static void put_end(buf *b)
{
    for (int i = 0; i < 1024; i++)
        buf_char(b, '\0');
}

static void gzip(str text, buf *out)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, text.n);
    z.next_in = (Bytef *)(uintptr_t)text.p;
    z.avail_in = (unsigned)text.n;
    z.next_out = (Bytef *)buf_reserve(out, room);
    z.avail_out = (unsigned)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += z.total_out;
    deflateEnd(&z);
}

/* ---- reading them ---- */

typedef struct seen {
    buf log; /* "file a/b 3 abc; link c -> d; " */
    int64_t want;
    int status; /* what a callback returns, once it is `status_at` */
    const char *status_at;
    uint8_t git_sha[SHA1_LEN]; /* of the last entry */
    archive *a;
    int result;
    bool is_open;
} seen;

static int turn(seen *s, const char *at)
{
    return s->status_at && strcmp(s->status_at, at) == 0 ? s->status : 0;
}

static int on_entry(void *ctx, const archive_entry *e, int64_t *ret_want)
{
    static const char *const kinds[] = {"file", "link", "dir", "other"};
    seen *s = ctx;
    assert_false(s->is_open);
    buf_printf(&s->log, "%s " STR_FMT, kinds[e->kind], STR_ARG(e->path));
    if (e->kind == ARCHIVE_LINK)
        buf_printf(&s->log, " -> " STR_FMT, STR_ARG(e->target));
    if (e->kind == ARCHIVE_FILE)
        buf_printf(&s->log, " %lld ", (long long)e->size);
    *ret_want = s->want;
    s->is_open = turn(s, "entry") == 0;
    return turn(s, "entry");
}

static int on_data(void *ctx, const archive_entry *e, str bytes)
{
    seen *s = ctx;
    assert_true(s->is_open && e->kind == ARCHIVE_FILE && bytes.n > 0);
    buf_str(&s->log, bytes);
    return turn(s, "data");
}

static int on_end(void *ctx, const archive_entry *e)
{
    seen *s = ctx;
    assert_true(s->is_open);
    s->is_open = false;
    memcpy(s->git_sha, e->git_sha, SHA1_LEN);
    buf_str(&s->log, STR("; "));
    return turn(s, "end");
}

/* Feeds `bytes` in pieces of `piece`; the archive stays in s->a for questions. */
static void read_bytes(seen *s, str bytes, size_t piece, const archive_limits *limits)
{
    const archive_sink sink = {s, on_entry, on_data, on_end};
    s->result = archive_new(limits, &sink, &s->a);
    for (size_t at = 0; at < bytes.n && s->result == 0; at += piece)
        s->result = archive_feed(s->a, bytes.p + at, bytes.n - at < piece ? bytes.n - at : piece);
    if (s->result == 0)
        s->result = archive_finish(s->a);
}

static void read_tar(seen *s, const buf *tar, size_t piece, const archive_limits *limits)
{
    buf gz = BUF_INIT;
    gzip(buf_view(tar), &gz);
    read_bytes(s, buf_view(&gz), piece, limits);
    buf_done(&gz);
}

static void seen_done(seen *s)
{
    archive_free(s->a);
    buf_done(&s->log);
}

static const archive_limits no_limits = {0};

/* Everything in `tar`, ended here, gives `wanted`, in whatever pieces; tar is done with. */
static void gives(buf *tar, const char *wanted, int line)
{
    put_end(tar);
    for (size_t piece = 1; piece < 3000; piece = piece * 3 + 1) {
        seen s = {.want = INT64_MAX};
        read_tar(&s, tar, piece, &no_limits);
        if (s.result != 0)
            print_error("%s\n", archive_problem(s.a));
        assert_int_equal(s.result, 0);
        unit_assert_str(s.log.n ? buf_view(&s.log) : STR(""), str_c(wanted), __FILE__, line);
        assert_string_equal(archive_problem(s.a), "");
        seen_done(&s);
    }
    buf_done(tar);
}
#define GIVES(tar, wanted) gives(tar, wanted, __LINE__)

static void entries_come_without_their_top_folder(void **state)
{
    (void)state;
    buf tar = BUF_INIT;
    put_note(&tar, 'g', STR("52 comment=0123456789012345678901234567890123456789\n"));
    put_header(&tar, "o-r-1/", '5', "", 0);
    put_file(&tar, "o-r-1/README.md", STR("hello"));
    put_header(&tar, "o-r-1/a/", '5', "", 0);
    put_file(&tar, "o-r-1/a/empty", STR(""));
    put_header(&tar, "o-r-1/a/l", '2', "../x", 0);
    put_header(&tar, "o-r-1/hard", '1', "o-r-1/a", 5); /* a size, but no bytes */
    put_header(&tar, "o-r-1/fifo", '6', "", 0);
    put_header(&tar, "o-r-1/odd", 'Z', "", 3);
    put_body(&tar, STR("abc"));
    GIVES(&tar,
          "file README.md 5 hello; dir a; file a/empty 0 ; link a/l -> ../x; other hard; other fifo; other odd; ");
}

static void sizes_at_the_edges_of_blocks_are_right(void **state)
{
    (void)state;
    static const size_t sizes[] = {511, 512, 513, 1023, 1024, 1025, 32768, 32769, 70000};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        buf tar = BUF_INIT, wanted = BUF_INIT, body = BUF_INIT;
        for (size_t j = 0; j < sizes[i]; j++)
            buf_char(&body, (char)('a' + j % 23));
        put_file(&tar, "t/x", buf_view(&body));
        put_file(&tar, "t/y", STR("z"));
        buf_printf(&wanted, "file x %zu ", sizes[i]);
        buf_str(&wanted, buf_view(&body));
        buf_put(&wanted, "; file y 1 z; ", 15); /* and its NUL */
        GIVES(&tar, wanted.p);
        buf_done(&wanted);
        buf_done(&body);
    }
}

static void long_names_come_in_all_dialects(void **state)
{
    (void)state;
    buf tar = BUF_INIT;
    put_note(&tar, 'x',
             STR("12 path=t/p\n"
                 "16 linkpath=far\n"
                 "9 other=\n"
                 "19 path=t/pax/\xc3\xa4/x\n"));
    put_file(&tar, "t/short", STR("1"));
    put_file(&tar, "t/after", STR("2")); /* the note was for one entry only */
    put_note(&tar, 'L', STR("t/gnu/name\0"));
    put_note(&tar, 'K', STR("gnu target\0"));
    put_header(&tar, "t/short", '2', "short", 0);
    put_note(&tar, 'x', STR("10 size=4\n"));
    put_header(&tar, "t/sized", '0', "", 1);
    put_body(&tar, STR("four"));
    char *h = put_header(&tar, "name", '0', "", 0);
    memcpy(h + 345, "t/prefix", 8);
    seal(h);
    h = put_header(&tar, "t/gnu-magic", '0', "", 0);
    memcpy(h + 257, "ustar  ", 8);
    memcpy(h + 345, "not a prefix", 12);
    seal(h);
    h = put_header(&tar, "t/old/", '\0', "", 0);
    memset(h + 257, 0, 8);
    seal(h);
    put_note(&tar, 'x', STR("14 linkpath=q\n"));
    put_header(&tar, "t/l", '2', "short", 0);
    GIVES(&tar, "file pax/\xc3\xa4/x 1 1; file after 1 2; link gnu/name -> gnu target; file sized 4 four; "
                "file prefix/name 0 ; file gnu-magic 0 ; dir old; link l -> q; ");
}

static void numbers_come_in_base_256_too(void **state)
{
    (void)state;
    buf tar = BUF_INIT;
    char *h = put_header(&tar, "t/x", '0', "", 0);
    memset(h + 124, 0, 12);
    h[124] = (char)0x80;
    h[135] = 2;
    seal(h);
    put_body(&tar, STR("ab"));
    GIVES(&tar, "file x 2 ab; ");
}

static void paths_that_lead_elsewhere_are_skipped_and_counted(void **state)
{
    (void)state;
    buf tar = BUF_INIT;
    put_file(&tar, "t/../../etc/passwd", STR("x"));
    put_file(&tar, "../t/x", STR("x"));
    put_file(&tar, "/etc/passwd", STR("x"));
    put_file(&tar, "t//x", STR("x"));
    put_file(&tar, "t/./x", STR("x"));
    put_file(&tar, "t/x/", STR("x"));
    put_file(&tar, "outside", STR("x"));
    put_file(&tar, "t/\xff", STR("x"));
    put_file(&tar, "t/a\nb", STR("x"));
    put_file(&tar, "", STR("x"));
    buf longer = BUF_INIT;
    buf_str(&longer, STR("1039 path=t/"));
    while (longer.n < 1038)
        buf_char(&longer, 'x');
    buf_char(&longer, '\n');
    put_note(&tar, 'x', buf_view(&longer));
    put_file(&tar, "t/s", STR("x"));
    put_file(&tar, "t/good", STR("x"));
    put_end(&tar);

    seen s = {.want = 0};
    read_tar(&s, &tar, 100, &no_limits);
    assert_int_equal(s.result, 0);
    assert_str(buf_view(&s.log), "file good 1 ; ");
    assert_int_equal(archive_skipped(s.a, REPO_PATH_ABSOLUTE), 2); /* "t//x" too, below its top */
    assert_int_equal(archive_skipped(s.a, REPO_PATH_SEGMENT), 6);
    assert_int_equal(archive_skipped(s.a, REPO_PATH_BYTES), 2);
    assert_int_equal(archive_skipped(s.a, REPO_PATH_LONG), 1);
    assert_int_equal(archive_skipped(s.a, REPO_PATH_OK), 0);
    seen_done(&s);
    buf_done(&longer);
    buf_done(&tar);
}

static void no_more_is_handed_over_than_was_wanted(void **state)
{
    (void)state;
    for (int64_t want = -1; want <= 6; want++) {
        buf tar = BUF_INIT;
        put_file(&tar, "t/a", STR("12345"));
        put_end(&tar);
        for (size_t piece = 1; piece < 200; piece += 13) {
            seen s = {.want = want};
            read_tar(&s, &tar, piece, &no_limits);
            assert_int_equal(s.result, 0);
            size_t given = want < 0 ? 0 : want > 5 ? 5 : (size_t)want;
            assert_int_equal(s.log.n, strlen("file a 5 ; ") + given);
            seen_done(&s);
        }
        buf_done(&tar);
    }
}

static void contents_get_gits_name(void **state)
{
    (void)state;
    static const struct {
        const char *content, *sha; /* as `git hash-object` prints it */
        char type;
    } cases[] = {
        {"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", '0'},
        {"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a", '0'},
        {"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a", '2'}, /* a link's content is its target */
    };
    const archive_limits limits = {.git_sha = true};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        buf tar = BUF_INIT;
        str content = str_c(cases[i].content);
        if (cases[i].type == '2')
            put_header(&tar, "t/x", '2', cases[i].content, 0);
        else
            put_file(&tar, "t/x", content);
        put_end(&tar);
        seen s = {.want = 1};
        char hex[HEX_LEN(SHA1_LEN)];
        read_tar(&s, &tar, 50, &limits);
        assert_int_equal(s.result, 0);
        hex_encode(s.git_sha, SHA1_LEN, hex);
        assert_memory_equal(hex, cases[i].sha, sizeof(hex));
        seen_done(&s);
        buf_done(&tar);
    }
}

/* ---- what is refused ---- */

static void refused(str bytes, const archive_limits *limits, int wanted, const char *problem, int line)
{
    for (size_t piece = 7; piece < 5000; piece = piece * 5) {
        seen s = {.want = 10};
        read_bytes(&s, bytes, piece, limits);
        if (s.result != wanted || !strstr(archive_problem(s.a), problem))
            fail_msg("line %d: %d, %s", line, s.result, archive_problem(s.a));
        assert_int_equal(archive_feed(s.a, "x", 1), wanted); /* the error sticks */
        assert_int_equal(archive_finish(s.a), wanted);
        seen_done(&s);
    }
}

static void refused_tar(buf *tar, const archive_limits *limits, int wanted, const char *problem, int line)
{
    buf gz = BUF_INIT;
    gzip(buf_view(tar), &gz);
    refused(buf_view(&gz), limits, wanted, problem, line);
    buf_done(&gz);
    buf_done(tar);
}
#define REFUSED(tar, problem) refused_tar(tar, &no_limits, -EPROTO, problem, __LINE__)

static void what_is_no_tar_is_damaged(void **state)
{
    (void)state;
    refused(STR("this is no gzip at all"), &no_limits, -EPROTO, "damaged archive: incorrect header check", __LINE__);
    refused(STR("<html>rate limited</html>"), &no_limits, -EPROTO, "damaged archive", __LINE__);
    buf tar = BUF_INIT;
    for (int i = 0; i < 2000; i++)
        buf_char(&tar, (char)i);
    REFUSED(&tar, "bad checksum of a header");

    put_header(&tar, "t/x", '0', "", 0)[0] = 'u';
    REFUSED(&tar, "bad checksum of a header");

    char *h = put_header(&tar, "t/x", '0', "", 0);
    h[130] = '9';
    seal(h);
    REFUSED(&tar, "bad size in a header");

    h = put_header(&tar, "t/x", '0', "", 0);
    h[124] = (char)0xff; /* negative */
    seal(h);
    REFUSED(&tar, "bad size in a header");

    h = put_header(&tar, "t/x", '0', "", 0);
    memset(h + 124, 0xff, 12);
    h[124] = (char)0x80;
    seal(h);
    REFUSED(&tar, "bad size in a header");

    h = put_header(&tar, "t/x", '0', "", 0);
    h[103] = 'x';
    seal(h);
    REFUSED(&tar, "bad mode in a header");

    static const char *const notes[] = {
        "x",      "5 a=b",  "99 path=x\n",   "4 ab\n",      "0 a=b\n",  "-6 a=b\n",
        " a=b\n", "6a=b\n", "12 size=-10\n", "10 size=x\n", "6 a=b\nx", "18446744073709551622 a=b\n"};
    for (size_t i = 0; i < COUNT_OF(notes); i++) {
        put_note(&tar, 'x', str_c(notes[i]));
        put_file(&tar, "t/x", STR(""));
        put_end(&tar);
        refused_tar(&tar, &no_limits, -EPROTO, "pax header", (int)i);
    }
}

static void an_archive_must_end(void **state)
{
    (void)state;
    buf tar = BUF_INIT, gz = BUF_INIT;
    put_file(&tar, "t/a", STR("12345"));
    put_end(&tar);
    gzip(buf_view(&tar), &gz);
    for (size_t n = 0; n < gz.n; n++) {
        seen s = {.want = 10};
        read_bytes(&s, str_of(gz.p, n), n + 1, &no_limits);
        assert_int_equal(s.result, -EPROTO);
        assert_non_null(strstr(archive_problem(s.a), "ends too early"));
        seen_done(&s);
    }
    gz.p[gz.n - 6] ^= 1; /* in gzip's own checksum */
    refused(buf_view(&gz), &no_limits, -EPROTO, "incorrect data check", __LINE__);
    gz.p[gz.n - 6] ^= 1;
    buf_char(&gz, 'x');
    refused(buf_view(&gz), &no_limits, -EPROTO, "bytes behind its end", __LINE__);
    tar.n = 1024; /* no block of zeros */
    buf_reset(&gz);
    gzip(buf_view(&tar), &gz);
    refused(buf_view(&gz), &no_limits, -EPROTO, "ends too early", __LINE__);
    tar.n = 600; /* in mid-body */
    buf_reset(&gz);
    gzip(buf_view(&tar), &gz);
    refused(buf_view(&gz), &no_limits, -EPROTO, "ends too early", __LINE__);
    buf_done(&gz);
    buf_done(&tar);
}

static void limits_are_kept(void **state)
{
    (void)state;
    archive_limits l = {.max_entries = 2};
    buf tar = BUF_INIT;
    put_header(&tar, "t/", '5', "", 0);
    put_file(&tar, "t/a", STR("x"));
    put_file(&tar, "t/b", STR("x"));
    put_end(&tar);
    refused_tar(&tar, &l, -EFBIG, "too many entries", __LINE__);

    l = (archive_limits){.max_compressed = 20};
    put_file(&tar, "t/a", STR("x"));
    refused_tar(&tar, &l, -EFBIG, "too large", __LINE__);

    l = (archive_limits){.max_inflated = 3000};
    put_file(&tar, "t/a", STR("x"));
    for (int i = 0; i < 2500; i++)
        buf_char(&tar, '\0');
    refused_tar(&tar, &l, -EFBIG, "too many bytes", __LINE__);

    l = (archive_limits){.max_ratio = 100};
    put_header(&tar, "t/bomb", '0', "", 5 << 20);
    for (int i = 0; i < 5 << 20; i++)
        buf_char(&tar, '0');
    refused_tar(&tar, &l, -EFBIG, "suspiciously well", __LINE__);

    put_header(&tar, "t/note", 'x', "", 65537);
    refused_tar(&tar, &no_limits, -EFBIG, "extended header is too large", __LINE__);
}

static void the_sink_can_stop_the_reading(void **state)
{
    (void)state;
    static const char *const at[] = {"entry", "data", "end"};
    for (size_t i = 0; i < COUNT_OF(at); i++) {
        buf tar = BUF_INIT;
        put_file(&tar, "t/a", STR("12345"));
        put_file(&tar, "t/b", STR("12345"));
        put_end(&tar);
        seen s = {.want = 9, .status = -ECANCELED, .status_at = at[i]};
        read_tar(&s, &tar, 64, &no_limits);
        assert_int_equal(s.result, -ECANCELED);
        assert_true(str_find(buf_view(&s.log), STR("file b")) < 0);
        seen_done(&s);
        buf_done(&tar);
    }
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    buf tar = BUF_INIT, gz = BUF_INIT;
    put_note(&tar, 'x',
             STR("12 path=t/p\n"
                 "16 linkpath=far\n"));
    put_file(&tar, "t/a", STR("12345"));
    put_end(&tar);
    gzip(buf_view(&tar), &gz);
    for (long nth = 0; unit_next_fault(&nth);) {
        seen s = {.want = 0};
        buf_reserve(&s.log, 4000);
        read_bytes(&s, buf_view(&gz), 1000, &no_limits);
        if (s.log.p)
            assert_int_equal(s.result, mem_failed() ? -ENOMEM : 0);
        seen_done(&s);
    }
    buf_done(&gz);
    buf_done(&tar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_without_their_top_folder),
        cmocka_unit_test(sizes_at_the_edges_of_blocks_are_right),
        cmocka_unit_test(long_names_come_in_all_dialects),
        cmocka_unit_test(numbers_come_in_base_256_too),
        cmocka_unit_test(paths_that_lead_elsewhere_are_skipped_and_counted),
        cmocka_unit_test(no_more_is_handed_over_than_was_wanted),
        cmocka_unit_test(contents_get_gits_name),
        cmocka_unit_test(what_is_no_tar_is_damaged),
        cmocka_unit_test(an_archive_must_end),
        cmocka_unit_test(limits_are_kept),
        cmocka_unit_test(the_sink_can_stop_the_reading),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
