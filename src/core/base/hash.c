/* The one file of base that knows mbedTLS and xxHash; see hash.h. The software implementations cannot
 * fail, so a failure would be a broken library. */
#include "larder/hash.h"

#include <mbedtls/sha1.h>
#include <mbedtls/sha256.h>
#include <xxhash.h>

_Static_assert(sizeof(mbedtls_sha256_context) <= sizeof(((sha *)0)->state), "sha too small");
_Static_assert(sizeof(mbedtls_sha1_context) <= sizeof(((sha *)0)->state), "sha too small");

void sha256(const void *p, size_t n, uint8_t out[SHA256_LEN])
{
    int r = mbedtls_sha256_ret(p, n, out, 0);
    REQUIRE(r == 0);
}

static mbedtls_sha256_context *as_sha256(sha *s)
{
    return (mbedtls_sha256_context *)(void *)s->state;
}

static mbedtls_sha1_context *as_sha1(sha *s)
{
    return (mbedtls_sha1_context *)(void *)s->state;
}

void sha256_init(sha *s)
{
    mbedtls_sha256_init(as_sha256(s));
    int r = mbedtls_sha256_starts_ret(as_sha256(s), 0);
    REQUIRE(r == 0);
}

void sha256_add(sha *s, const void *p, size_t n)
{
    int r = mbedtls_sha256_update_ret(as_sha256(s), p, n);
    REQUIRE(r == 0);
}

void sha256_end(sha *s, uint8_t out[SHA256_LEN])
{
    int r = mbedtls_sha256_finish_ret(as_sha256(s), out);
    REQUIRE(r == 0);
    mbedtls_sha256_free(as_sha256(s));
}

void sha1_init(sha *s)
{
    mbedtls_sha1_init(as_sha1(s));
    int r = mbedtls_sha1_starts_ret(as_sha1(s));
    REQUIRE(r == 0);
}

void sha1_add(sha *s, const void *p, size_t n)
{
    int r = mbedtls_sha1_update_ret(as_sha1(s), p, n);
    REQUIRE(r == 0);
}

void sha1_end(sha *s, uint8_t out[SHA1_LEN])
{
    int r = mbedtls_sha1_finish_ret(as_sha1(s), out);
    REQUIRE(r == 0);
    mbedtls_sha1_free(as_sha1(s));
}

uint64_t hash64(const void *p, size_t n)
{
    return XXH64(p, n, 0);
}
