/* Pages' files, read back for those that no proxy sends. */
#include "larder/recache_pages.h"

#include <stdio.h>
#include <zlib.h>

#include "larder/render.h"

#define PIECE 65536

static int read_packed(const char *path, buf *out)
{
    FILE *f = fopen(path, "re");
    int r = f ? 0 : -errno;

    while (r == 0 && !feof(f)) {
        char *at = buf_reserve(out, PIECE);
        if (at)
            out->n += fread(at, 1, PIECE, f);
        r = !at ? out->err : ferror(f) ? -EIO : 0;
    }
    if (f)
        (void)fclose(f);
    return r;
}

static int read_plain(const char *path, buf *out)
{
    gzFile f = gzopen(path, "re");
    int n = f ? 1 : 0, r = f ? 0 : -errno;

    while (r == 0 && n > 0) {
        char *at = buf_reserve(out, PIECE);
        n = at ? gzread(f, at, PIECE) : 0;
        r = !at ? out->err : n < 0 ? -EPROTO : 0;
        out->n += n > 0 ? (size_t)n : 0;
    }
    if (f && gzclose(f) != Z_OK && r == 0)
        r = -EPROTO; /* it ends too early */
    return r;
}

int recache_page_read(arena *a, str pages_dir, const recache_page *p, bool plain, buf *ret_body)
{
    const str path = recache_page_path(a, pages_dir, p, true);
    buf out = {.max = RENDER_HTML_MAX + PIECE};

    if (!path.p)
        return -ENOMEM;
    const int r = plain ? read_plain(path.p, &out) : read_packed(path.p, &out);
    if (r < 0)
        buf_done(&out);
    else
        *ret_body = out;
    return r;
}
