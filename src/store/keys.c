/* Keys whose bytes sort as their parts do, part by part. A number is 8 bytes, big-endian. A text ends with
 * 00 00, and a zero byte in it is written as 00 ff: the end sorts before any byte that could follow, so "a"
 * comes before "a\0" and "ab". */
#include "impl.h"

#define TEXT_END "\0\0"
#define TEXT_END_LEN 2
#define ESCAPED_ZERO '\xff'

void store_key_init(store_key *k)
{
    k->n = 0;
    k->overflow = false;
}

void store_key_tail(store_key *k, str rest)
{
    if (rest.n > STORE_KEY_MAX - k->n) {
        k->overflow = true;
        return;
    }
    if (rest.n > 0)
        memcpy(k->bytes + k->n, rest.p, rest.n);
    k->n += rest.n;
}

void store_key_u8(store_key *k, uint8_t v)
{
    store_key_tail(k, (str){(const char *)&v, 1});
}

void store_key_u64(store_key *k, uint64_t v)
{
    char bytes[8];
    store_number_bytes(v, bytes);
    store_key_tail(k, (str){bytes, sizeof(bytes)});
}

void store_key_str(store_key *k, str text)
{
    ptrdiff_t zero;
    while ((zero = str_chr(text, '\0')) >= 0) {
        store_key_tail(k, str_head(text, (size_t)zero + 1));
        store_key_u8(k, (uint8_t)ESCAPED_ZERO);
        text = str_from(text, (size_t)zero + 1);
    }
    store_key_tail(k, text);
    store_key_tail(k, (str){TEXT_END, TEXT_END_LEN});
}

int store_key_cut_u64(str *rest, uint64_t *ret_v)
{
    if (rest->n < 8)
        return -EPROTO;
    *ret_v = store_number(*rest);
    *rest = str_from(*rest, 8);
    return 0;
}

/* Where the text at the front ends, and how many zero bytes it holds. */
static int find_text_end(str s, size_t *ret_end, size_t *ret_zeros)
{
    size_t zeros = 0;
    for (size_t at = 0; at + 1 < s.n; at++) {
        if (s.p[at] != '\0')
            continue;
        at++;
        if (s.p[at] == '\0') {
            *ret_end = at - 1;
            *ret_zeros = zeros;
            return 0;
        }
        if (s.p[at] != ESCAPED_ZERO)
            return -EPROTO;
        zeros++;
    }
    return -EPROTO;
}

int store_key_cut_str(str *rest, arena *a, str *ret_text)
{
    size_t end, zeros;
    int r = find_text_end(*rest, &end, &zeros);
    if (r < 0)
        return r;
    str text = str_head(*rest, end);
    if (zeros > 0) {
        char *plain = arena_alloc(a, end - zeros);
        if (!plain)
            return -ENOMEM;
        size_t n = 0;
        for (size_t at = 0; at < end; at++) {
            plain[n++] = text.p[at];
            at += text.p[at] == '\0'; /* the ff behind it */
        }
        text = (str){plain, n};
    }
    *ret_text = text;
    *rest = str_from(*rest, end + TEXT_END_LEN);
    return 0;
}

/* ---- places in lists ---- */

int page_place_text(arena *a, uint8_t mark, str bytes, str *ret_text)
{
    char *all = arena_alloc(a, 1 + bytes.n);
    if (!all)
        return -ENOMEM;
    all[0] = (char)mark;
    if (bytes.n > 0)
        memcpy(all + 1, bytes.p, bytes.n);
    const str text = base64url_encode(a, str_of(all, 1 + bytes.n));
    if (!text.p)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

int page_place_bytes(arena *a, uint8_t mark, str text, str *ret_bytes)
{
    str all = STR_NULL;
    int r = text.p ? base64url_decode(a, text, &all) : 0;
    if (r == 0 && text.p && (all.n < 2 || (uint8_t)all.p[0] != mark))
        r = -EINVAL;
    if (r == 0)
        *ret_bytes = text.p ? str_from(all, 1) : STR_NULL;
    return r;
}

/* ---- plain numbers, as rows of meta and sums hold them ---- */

uint64_t store_number(str bytes)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 8 && i < bytes.n; i++)
        v = v << 8 | (unsigned char)bytes.p[i];
    return v;
}

void store_number_bytes(uint64_t v, char out[8])
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        out[i] = (char)(unsigned char)v;
}
