/* The first byte says what the rest is: even, a tar.gz; odd, a tar that is gzipped here first, so that the fuzzer gets
 * past gzip's checksum. Its other bits choose the size of the pieces. Whatever comes, the sink's protocol is kept, and
 * the outcome doesn't depend on the pieces. */
#include <zlib.h>

#include "larder/archive.h"

typedef struct watcher {
    bool is_open;
    int64_t left;
    uint64_t entries, bytes;
} watcher;

static int on_entry(void *ctx, const archive_entry *e, int64_t *ret_want)
{
    watcher *w = ctx;
    REQUIRE(!w->is_open && repo_path_check(e->path) == REPO_PATH_OK && e->size >= 0);
    w->is_open = true;
    w->entries++;
    w->left = *ret_want = (int64_t)(w->entries % 3) * 700;
    return 0;
}

static int on_data(void *ctx, const archive_entry *e, str bytes)
{
    watcher *w = ctx;
    REQUIRE(w->is_open && e->kind == ARCHIVE_FILE && bytes.n > 0 && (int64_t)bytes.n <= w->left);
    w->left -= (int64_t)bytes.n;
    w->bytes += bytes.n;
    return 0;
}

static int on_end(void *ctx, const archive_entry *e)
{
    watcher *w = ctx;
    REQUIRE(w->is_open && e->size >= 0);
    w->is_open = false;
    return 0;
}

static int read_in_pieces(str bytes, size_t piece, watcher *w)
{
    /* No ratio: it is judged piece by piece, so a damaged bomb may be called either. */
    static const archive_limits limits = {
        .max_compressed = 1 << 20, .max_inflated = 8 << 20, .max_entries = 1000, .git_sha = true};
    const archive_sink sink = {w, on_entry, on_data, on_end};
    archive *a;
    REQUIRE(archive_new(&limits, &sink, &a) == 0);
    int r = 0;
    for (size_t at = 0; at < bytes.n && r == 0; at += piece)
        r = archive_feed(a, bytes.p + at, bytes.n - at < piece ? bytes.n - at : piece);
    int end = archive_finish(a);
    REQUIRE(r == 0 || end == r);
    REQUIRE((end == 0) == (archive_problem(a)[0] == '\0'));
    archive_free(a);
    return end;
}

static void gzip(str text, buf *out)
{
    z_stream z = {0};
    REQUIRE(deflateInit2(&z, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    size_t room = deflateBound(&z, text.n);
    z.next_in = (Bytef *)(uintptr_t)text.p;
    z.avail_in = (unsigned)text.n;
    z.next_out = (Bytef *)buf_reserve(out, room);
    z.avail_out = (unsigned)room;
    REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out->n += z.total_out;
    deflateEnd(&z);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n == 0)
        return 0;
    str bytes = str_of((const char *)p + 1, n - 1);
    buf gz = BUF_INIT;
    if (p[0] & 1) {
        gzip(bytes, &gz);
        bytes = buf_view(&gz);
    }
    watcher whole = {0}, parts = {0};
    int r = read_in_pieces(bytes, bytes.n + 1, &whole);
    REQUIRE(read_in_pieces(bytes, (size_t)(p[0] >> 1) + 1, &parts) == r);
    if (r == 0)
        REQUIRE(whole.entries == parts.entries && whole.bytes == parts.bytes);
    buf_done(&gz);
    return 0;
}
