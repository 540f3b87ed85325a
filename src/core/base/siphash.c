/* SipHash-2-4 with 64 and 128 bits of output, after the paper by Aumasson and Bernstein. */
#include "larder/hash.h"

typedef struct sip {
    uint64_t a, b, c, d;
} sip;

static inline uint64_t rotl(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t load_le64(const unsigned char *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline void rounds(sip *s, int n)
{
    while (n-- > 0) {
        s->a += s->b;
        s->c += s->d;
        s->b = rotl(s->b, 13) ^ s->a;
        s->d = rotl(s->d, 16) ^ s->c;
        s->a = rotl(s->a, 32);
        s->c += s->b;
        s->a += s->d;
        s->b = rotl(s->b, 17) ^ s->c;
        s->d = rotl(s->d, 21) ^ s->a;
        s->c = rotl(s->c, 32);
    }
}

static inline void compress(sip *s, uint64_t word)
{
    s->d ^= word;
    rounds(s, 2);
    s->a ^= word;
}

/* `form`: 0 for the short output, 0xee for the long one. */
static inline void absorb(sip *s, const siphash_key *key, uint64_t form, const void *p, size_t n)
{
    *s = (sip){
        key->k0 ^ UINT64_C(0x736f6d6570736575),
        key->k1 ^ form ^ UINT64_C(0x646f72616e646f6d),
        key->k0 ^ UINT64_C(0x6c7967656e657261),
        key->k1 ^ UINT64_C(0x7465646279746573),
    };
    const unsigned char *in = p;
    uint64_t last = (uint64_t)n << 56; /* the length's low byte on top, the odd bytes below */
    for (; n >= 8; n -= 8, in += 8)
        compress(s, load_le64(in));
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)in[i] << (8 * i);
    compress(s, last);
}

static inline uint64_t squeeze(sip *s)
{
    rounds(s, 4);
    return s->a ^ s->b ^ s->c ^ s->d;
}

uint64_t siphash24(const siphash_key *key, const void *p, size_t n)
{
    sip s;
    absorb(&s, key, 0, p, n);
    s.c ^= 0xff;
    return squeeze(&s);
}

void siphash24_128(const siphash_key *key, const void *p, size_t n, uint64_t out[2])
{
    sip s;
    absorb(&s, key, 0xee, p, n);
    s.c ^= 0xee;
    out[0] = squeeze(&s);
    s.b ^= 0xdd;
    out[1] = squeeze(&s);
}
