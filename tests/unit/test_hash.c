/* Digests against the values that their standards and authors publish. */
#include "unit.h"

#include "larder/hash.h"

static void assert_hex(const void *p, size_t n, const char *wanted)
{
    char text[128];
    hex_encode(p, n, text);
    if (!str_eq(str_of(text, 2 * n), str_c(wanted)))
        fail_msg("got %.*s, wanted %s", (int)(2 * n), text, wanted);
}

static void sha256_agrees_with_fips_180(void **state)
{
    (void)state;
    static const struct {
        const char *text, *digest;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint8_t out[SHA256_LEN];
        sha256(rows[i].text, strlen(rows[i].text), out);
        assert_hex(out, sizeof(out), rows[i].digest);
    }
    uint8_t out[SHA256_LEN];
    sha256(NULL, 0, out);
    assert_hex(out, sizeof(out), rows[0].digest);
}

static void pieces_give_the_digest_of_the_whole(void **state)
{
    (void)state;
    char text[300];
    uint8_t whole[SHA256_LEN], pieces[SHA256_LEN];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)i;
    sha256(text, sizeof(text), whole);
    for (size_t cut = 0; cut <= sizeof(text); cut += 7) {
        sha s;
        sha256_init(&s);
        sha256_add(&s, text, cut);
        sha256_add(&s, NULL, 0);
        sha256_add(&s, text + cut, sizeof(text) - cut);
        sha256_end(&s, pieces);
        assert_memory_equal(whole, pieces, sizeof(whole));
    }
}

static void sha1_names_git_blobs(void **state)
{
    (void)state;
    sha s;
    uint8_t out[SHA1_LEN];
    sha1_init(&s);
    sha1_end(&s, out);
    assert_hex(out, sizeof(out), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    sha1_init(&s);
    sha1_add(&s, "blob 12\0", 8);
    sha1_add(&s, "hello world\n", 12);
    sha1_end(&s, out);
    assert_hex(out, sizeof(out), "3b18e512dba79e4c8300dd08aeb37f8e728b8dad");
}

static void hash64_is_xxh64_with_seed_0(void **state)
{
    (void)state;
    assert_true(hash64(NULL, 0) == UINT64_C(0xef46db3751d8e999));
    assert_true(hash64("a", 1) == UINT64_C(0xd24ec4f1a98c6e5b));
    assert_true(hash64("abc", 3) == UINT64_C(0x44bc2cf5ad770999));
}

/* The key and texts of the reference implementation's tables: key bytes 00..0f, text bytes 00, 01, 02... */
static const siphash_key key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static void siphash_agrees_with_the_reference_tables(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint64_t hash;
    } rows[] = {
        {0, UINT64_C(0x726fdb47dd0e0e31)},  {1, UINT64_C(0x74f839c593dc67fd)}, {2, UINT64_C(0x0d6c8009d9a94f5a)},
        {7, UINT64_C(0xab0200f58b01d137)},  {8, UINT64_C(0x93f5f5799a932462)}, {15, UINT64_C(0xa129ca6149be45e5)},
        {63, UINT64_C(0x958a324ceb064572)},
    };
    unsigned char text[64];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)i;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (siphash24(&key, text, rows[i].n) != rows[i].hash)
            fail_msg("length %zu: %016llx", rows[i].n, (unsigned long long)siphash24(&key, text, rows[i].n));
}

static void long_siphash_agrees_with_the_reference_tables(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        const char *hash; /* its 16 bytes as they are stored */
    } rows[] = {
        {0, "a3817f04ba25a8e66df67214c7550293"},
        {1, "da87c1d86b99af44347659119b22fc45"},
        {15, "5493e99933b0a8117e08ec0f97cfc3d9"},
        {63, "5150d1772f50834a503e069a973fbd7c"},
    };
    unsigned char text[64];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)i;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t out[2];
        unsigned char bytes[16];
        siphash24_128(&key, text, rows[i].n, out);
        for (size_t j = 0; j < 16; j++)
            bytes[j] = (unsigned char)(out[j / 8] >> (8 * (j % 8)));
        assert_hex(bytes, sizeof(bytes), rows[i].hash);
    }
}

static void another_key_gives_another_hash(void **state)
{
    (void)state;
    siphash_key other = {key.k0, key.k1 + 1};
    assert_true(siphash24(&key, "x", 1) != siphash24(&other, "x", 1));
    assert_true(siphash24(&key, NULL, 0) != siphash24(&other, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_agrees_with_fips_180),
        cmocka_unit_test(pieces_give_the_digest_of_the_whole),
        cmocka_unit_test(sha1_names_git_blobs),
        cmocka_unit_test(hash64_is_xxh64_with_seed_0),
        cmocka_unit_test(siphash_agrees_with_the_reference_tables),
        cmocka_unit_test(long_siphash_agrees_with_the_reference_tables),
        cmocka_unit_test(another_key_gives_another_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
