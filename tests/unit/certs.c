/* See certs.h. */
#include "certs.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <mbedtls/oid.h>
#include <mbedtls/x509_crt.h>

int cert_random(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    random_bytes(out, n);
    return 0;
}

static void make_key(mbedtls_pk_context *key, bool is_rsa)
{
    mbedtls_pk_init(key);
    assert_int_equal(mbedtls_pk_setup(key, mbedtls_pk_info_from_type(is_rsa ? MBEDTLS_PK_RSA : MBEDTLS_PK_ECKEY)), 0);
    assert_int_equal(is_rsa ? mbedtls_rsa_gen_key(mbedtls_pk_rsa(*key), cert_random, NULL, 2048, 65537)
                            : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), cert_random, NULL),
                     0);
}

/* SEQUENCE OF GeneralName (RFC 5280 section 4.2.1.6): [2] a name, [7] an address. */
static size_t alternative_names(const cert_spec *spec, unsigned char *out)
{
    unsigned char *at = out + 2;
    if (spec->dns) {
        size_t n = strlen(spec->dns);
        assert_true(n < 60);
        *at++ = 0x82;
        *at++ = (unsigned char)n;
        memcpy(at, spec->dns, n);
        at += n;
    }
    if (spec->address) {
        bool is_v6 = strchr(spec->address, ':') != NULL;
        *at++ = 0x87;
        *at++ = is_v6 ? 16 : 4;
        assert_int_equal(inet_pton(is_v6 ? AF_INET6 : AF_INET, spec->address, at), 1);
        at += is_v6 ? 16 : 4;
    }
    out[0] = 0x30;
    out[1] = (unsigned char)(at - out - 2);
    return (size_t)(at - out);
}

void cert_make(cert *c, const cert_spec *spec, const cert *issuer)
{
    static int serial = 1;
    mbedtls_x509write_cert w;
    mbedtls_mpi number;
    unsigned char names[128];
    mbedtls_pk_context *signer;

    *c = (cert){0};
    make_key(&c->key, spec->is_rsa);
    snprintf(c->name, sizeof(c->name), "CN=%s", spec->name ? spec->name : "somebody");
    signer = issuer ? (mbedtls_pk_context *)(uintptr_t)&issuer->key : &c->key;

    mbedtls_x509write_crt_init(&w);
    mbedtls_mpi_init(&number);
    assert_int_equal(mbedtls_mpi_lset(&number, serial++), 0);
    mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&w, &c->key);
    mbedtls_x509write_crt_set_issuer_key(&w, signer);
    assert_int_equal(mbedtls_x509write_crt_set_serial(&w, &number), 0);
    assert_int_equal(mbedtls_x509write_crt_set_subject_name(&w, c->name), 0);
    assert_int_equal(mbedtls_x509write_crt_set_issuer_name(&w, issuer ? issuer->name : c->name), 0);
    assert_int_equal(
        mbedtls_x509write_crt_set_validity(&w, spec->from ? spec->from : CERT_FROM, spec->to ? spec->to : CERT_TO), 0);
    assert_int_equal(mbedtls_x509write_crt_set_basic_constraints(&w, spec->is_ca, -1), 0);
    if (spec->dns || spec->address) {
        size_t n = alternative_names(spec, names);
        assert_int_equal(mbedtls_x509write_crt_set_extension(&w, MBEDTLS_OID_SUBJECT_ALT_NAME,
                                                             MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_ALT_NAME), 0, names,
                                                             n),
                         0);
    }
    assert_int_equal(mbedtls_x509write_crt_pem(&w, (unsigned char *)c->pem, sizeof(c->pem), cert_random, NULL), 0);
    mbedtls_mpi_free(&number);
    mbedtls_x509write_crt_free(&w);
}

void cert_done(cert *c)
{
    mbedtls_pk_free(&c->key);
}

void cert_file(const cert *const *certs, size_t n, char *path)
{
    strcpy(path, "/tmp/larder-test-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(write(fd, certs[i]->pem, strlen(certs[i]->pem)), strlen(certs[i]->pem));
    close(fd);
}
