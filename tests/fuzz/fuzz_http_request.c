/* HTTP requests: any bytes are parsed or refused without harm, and however they are cut into pieces the outcome is the
 * same. The first byte of the input says how to cut. */
#include "http_transcript.h"

#define MAX_HEAD 2048
#define MAX_BODY 4096

static void feed_copy(http_transcript *t, const uint8_t *p, size_t n)
{
    char *piece = mem_alloc(n); /* of its own, so that a byte too many is seen, and gone afterwards */
    REQUIRE(piece);
    memcpy(piece, p, n);
    transcript_feed(t, piece, n);
    mem_free(piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 2)
        return 0;
    unsigned seed = *p++;
    n--;

    http_transcript whole, cut;
    transcript_begin(&whole, MAX_HEAD, MAX_BODY);
    feed_copy(&whole, p, n);

    transcript_begin(&cut, MAX_HEAD, MAX_BODY);
    for (size_t at = 0, piece; at < n && !cut.refused; at += piece) {
        seed = seed * 1103515245u + 12345u; /* pieces of 1 to 32 bytes, or all of one byte */
        piece = whole.requests % 2 ? 1 : 1 + (seed >> 16) % 32;
        if (piece > n - at)
            piece = n - at;
        feed_copy(&cut, p + at, piece);
    }
    REQUIRE(whole.text.err == 0 && cut.text.err == 0);
    REQUIRE(str_eq(buf_view(&whole.text), buf_view(&cut.text)));
    REQUIRE(whole.requests == cut.requests && whole.refused == cut.refused);
    transcript_end(&whole);
    transcript_end(&cut);
    return 0;
}
