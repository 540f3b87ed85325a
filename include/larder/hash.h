/* hash: digests and keyed hashes, a thin layer so that only this helper knows who computes them.
 *
 * sha256, sha1 (mbedTLS): where an adversary chooses the bytes, or a standard names them. hash64 (XXH64,
 * seed 0): where the page key's definition or a cheap fingerprint asks for it. siphash (keyed with a
 * per-process secret): for tables whose keys come from strangers. All functions are pure and thread-safe;
 * p may be NULL when n is 0. */
#ifndef LARDER_HASH_H
#define LARDER_HASH_H

#include "larder/base.h"

#define SHA256_LEN 32
#define SHA1_LEN 20
void sha256(const void *p, size_t n, uint8_t out[SHA256_LEN]);

typedef struct sha { /* opaque; sha_init, sha_add.., sha_end */
    alignas(16) unsigned char state[256];
} sha;
void sha256_init(sha *s);
void sha256_add(sha *s, const void *p, size_t n);
void sha256_end(sha *s, uint8_t out[SHA256_LEN]);
void sha1_init(sha *s); /* only for git's object names, which are not secrets */
void sha1_add(sha *s, const void *p, size_t n);
void sha1_end(sha *s, uint8_t out[SHA1_LEN]);

uint64_t hash64(const void *p, size_t n);

typedef struct siphash_key {
    uint64_t k0, k1;
} siphash_key;
uint64_t siphash24(const siphash_key *key, const void *p, size_t n);
/* 128 bits of SipHash-2-4: enough that two texts colliding is not a thing that happens. */
void siphash24_128(const siphash_key *key, const void *p, size_t n, uint64_t out[2]);

#endif
