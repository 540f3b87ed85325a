/* See decode.h. */
#include "decode.h"

#define ZLIB_CONST
#include <zlib.h>

#define PIECE_MAX 32768
#define WINDOW_BITS 15

enum { WRAP_NONE = -WINDOW_BITS, WRAP_ZLIB = WINDOW_BITS, WRAP_GZIP = WINDOW_BITS + 16 };

struct decoder {
    z_stream z;
    bool is_deflate; /* zlib or bare: the first byte tells */
    bool started;    /* the stream under way has had input */
    bool complete;   /* the last stream has ended, none has begun since */
    bool more;       /* the last piece was full: there may be output without further input */
    unsigned char out[PIECE_MAX];
};

int client_decoder_new(str coding, decoder **ret_decoder)
{
    bool is_gzip = str_eq_nocase(coding, STR("gzip")) || str_eq_nocase(coding, STR("x-gzip"));
    bool is_deflate = str_eq_nocase(coding, STR("deflate"));
    if (!is_gzip && !is_deflate) {
        if (coding.n > 0 && !str_eq_nocase(coding, STR("identity")))
            return -ENOTSUP;
        *ret_decoder = NULL;
        return 0;
    }
    decoder *d = mem_new(decoder);
    if (!d)
        return -ENOMEM;
    d->is_deflate = is_deflate;
    d->z.zalloc = mem_zlib_alloc;
    d->z.zfree = mem_zlib_free;
    if (inflateInit2(&d->z, is_gzip ? WRAP_GZIP : WRAP_ZLIB) != Z_OK) {
        mem_free(d);
        return -ENOMEM;
    }
    *ret_decoder = d;
    return 0;
}

void client_decoder_free(decoder *d)
{
    if (!d)
        return;
    inflateEnd(&d->z);
    mem_free(d);
}

/* Some servers send deflate without the zlib wrapping that RFC 9110 asks for: then the first byte is no zlib header. */
static bool is_zlib_header(unsigned char first)
{
    return (first & 0x0f) == Z_DEFLATED && first >> 4 <= WINDOW_BITS - 8;
}

static int begin_stream(decoder *d, unsigned char first)
{
    bool again = d->complete; /* gzip may be several streams, one after the other (RFC 1952 section 2.2) */
    d->started = true;
    d->complete = false;
    if (d->is_deflate && !again)
        return inflateReset2(&d->z, is_zlib_header(first) ? WRAP_ZLIB : WRAP_NONE);
    return again ? inflateReset(&d->z) : Z_OK;
}

int client_decoder_run(decoder *d, str *raw, str *ret_piece)
{
    size_t n = 0;
    while (n == 0 && (raw->n > 0 || d->more)) {
        const unsigned char *from = (const unsigned char *)raw->p;
        int z = d->started ? Z_OK : begin_stream(d, from[0]);
        unsigned part = raw->n < UINT32_MAX ? (unsigned)raw->n : UINT32_MAX;
        d->z.next_in = from;
        d->z.avail_in = part;
        d->z.next_out = d->out;
        d->z.avail_out = PIECE_MAX;
        if (z == Z_OK)
            z = inflate(&d->z, Z_NO_FLUSH);
        *raw = str_from(*raw, part - d->z.avail_in);
        n = PIECE_MAX - d->z.avail_out;
        d->more = z == Z_OK && d->z.avail_out == 0;
        if (z == Z_STREAM_END) {
            d->complete = true;
            d->started = false;
        } else if (z == Z_MEM_ERROR) {
            return -ENOMEM;
        } else if (z != Z_OK && (z != Z_BUF_ERROR || raw->n > 0)) {
            return -EPROTO;
        }
    }
    *ret_piece = str_of((const char *)d->out, n);
    return 0;
}

bool client_decoder_is_complete(const decoder *d)
{
    return d->complete || (!d->started && d->z.total_in == 0);
}
