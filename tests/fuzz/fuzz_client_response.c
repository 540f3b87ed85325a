/* Responses: any bytes are an answer or are refused without harm, within the limits, and however they are cut into
 * pieces the outcome is the same. The first byte says how to read, the second how to cut. */
#include "wire/client/response.h"

#define MAX_HEAD 2048
#define MAX_BODY 4096

typedef struct reading {
    int result;
    int status;
    size_t n_headers, left;
    buf body;
    bool keep_alive;
} reading;

static void read_piece(response *r, reading *got, const uint8_t *p, size_t n)
{
    char *piece = mem_alloc(n); /* of its own, so that a byte too many is seen, and gone afterwards */
    REQUIRE(piece);
    memcpy(piece, p, n);
    str input = str_of(piece, n);
    while ((got->result = client_response_next(r, &input)) > RESPONSE_MORE && got->result != RESPONSE_END) {
        if (got->result == RESPONSE_HEAD) {
            REQUIRE(r->status >= 200 && r->status <= 999);
            got->status = r->status;
            got->n_headers = r->n_headers;
            for (size_t i = 0; i < r->n_headers; i++) /* nothing that could begin another line */
                REQUIRE(r->headers[i].name.n > 0 && str_chr(r->headers[i].value, '\n') < 0 &&
                        str_chr(r->headers[i].value, '\r') < 0);
        } else {
            REQUIRE(r->piece.n > 0);
            buf_str(&got->body, r->piece);
        }
    }
    got->left = input.n;
    mem_free(piece);
}

static reading read_in_pieces(const uint8_t *p, size_t n, unsigned how, unsigned seed, size_t most)
{
    arena a;
    response r;
    reading got = {.result = RESPONSE_MORE};
    arena_init(&a, 0);
    client_response_init(&r, &a, how & 1, MAX_HEAD, MAX_BODY);
    r.decode = (how & 2) != 0;
    for (size_t at = 0, piece; at < n && got.result == RESPONSE_MORE; at += piece) {
        seed = seed * 1103515245u + 12345u;
        piece = 1 + (seed >> 16) % most;
        if (piece > n - at || most == SIZE_MAX)
            piece = n - at;
        read_piece(&r, &got, p + at, piece);
        got.left += n - at - piece;
    }
    if (got.result == RESPONSE_MORE)
        got.result = client_response_eof(&r);
    got.keep_alive = r.keep_alive;
    REQUIRE(got.body.n <= MAX_BODY);
    REQUIRE(got.result == RESPONSE_END || (got.result < 0 && r.why));
    client_response_done(&r);
    arena_done(&a);
    return got;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 2)
        return 0;
    unsigned how = p[0], seed = p[1];
    reading whole = read_in_pieces(p + 2, n - 2, how, 0, SIZE_MAX);
    reading cut = read_in_pieces(p + 2, n - 2, how, seed, how & 4 ? 1 : 40);
    REQUIRE((whole.result < 0) == (cut.result < 0)); /* which of two limits is met first may depend on the pieces */
    if (whole.result == RESPONSE_END) {
        REQUIRE(whole.status == cut.status && whole.n_headers == cut.n_headers && whole.left == cut.left);
        REQUIRE(whole.keep_alive == cut.keep_alive && str_eq(buf_view(&whole.body), buf_view(&cut.body)));
    }
    buf_done(&whole.body);
    buf_done(&cut.body);
    return 0;
}
