/* Whom we believe, and with which suites and curves we talk. */
#include "tls_private.h"

#include <stdlib.h>
#include <unistd.h>

#include <mbedtls/aes.h>

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

/* In order of preference. AES first: the processors this runs on have instructions for it. No suite without forward
 * secrecy or authenticated encryption. */
static const int suites[] = {
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

/* In order of preference: here a handshake over X25519 costs two thirds of one over P-256, and P-384 four times as
 * much. The curves of servers' certificates must be in the list too. */
static const mbedtls_ecp_group_id curves[] = {
    MBEDTLS_ECP_DP_CURVE25519,
    MBEDTLS_ECP_DP_SECP256R1,
    MBEDTLS_ECP_DP_SECP384R1,
    MBEDTLS_ECP_DP_NONE,
};

static int on_random(void *arg, unsigned char *out, size_t n)
{
    (void)arg;
    random_bytes(out, n);
    return 0;
}

static int configure(tls_trust *t)
{
    mbedtls_ssl_config *c = &t->config;
    if (mbedtls_ssl_config_defaults(c, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT) != 0)
        return -ENOMEM;
    mbedtls_ssl_conf_rng(c, on_random, NULL);
    mbedtls_ssl_conf_min_version(c, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_ciphersuites(c, suites);
    mbedtls_ssl_conf_curves(c, curves);
    mbedtls_ssl_conf_authmode(c, MBEDTLS_SSL_VERIFY_REQUIRED);
    mbedtls_ssl_conf_ca_chain(c, &t->authorities, NULL);
    mbedtls_ssl_conf_session_tickets(c, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
    mbedtls_ssl_conf_renegotiation(c, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    return 0;
}

/* The extra file is an order of the operator: anything wrong with it is an error. */
static int read_extra(tls_trust *t, const char *path)
{
    if (access(path, R_OK) < 0)
        return -errno;
    int r = mbedtls_x509_crt_parse_file(&t->authorities, path);
    if (r == MBEDTLS_ERR_X509_ALLOC_FAILED)
        return -ENOMEM;
    return r == 0 ? 0 : -EINVAL;
}

/* Of the system's bundle, what can be parsed is taken: a certificate of a kind that mbedTLS does not know is no reason
 * to distrust the others. */
void tls_trust_read_bundle(tls_trust *t)
{
    if (t->bundle_tried)
        return;
    t->bundle_tried = true;
    t->bundle_read = mbedtls_x509_crt_parse_file(&t->authorities, t->bundle_file) >= 0;
}

static void trust_free(tls_trust *t)
{
    mbedtls_ssl_config_free(&t->config);
    mbedtls_x509_crt_free(&t->authorities);
    pthread_mutex_destroy(&t->lock);
    mem_free(t->bundle_file);
    mem_free(t);
}

/* AES's tables are made by the first who sets a key: here, before there are threads. */
static void make_tables(void)
{
    static const unsigned char key[16];
    mbedtls_aes_context aes;
    mbedtls_aes_init(&aes);
    (void)mbedtls_aes_setkey_enc(&aes, key, 128);
    mbedtls_aes_free(&aes);
}

int tls_trust_new(const char *extra_ca_file, clk *clock, tls_trust **ret_trust)
{
    const char *bundle = getenv("SSL_CERT_FILE");
    if (!bundle || !*bundle)
        bundle = SYSTEM_BUNDLE;
    tls_trust *t = mem_new(tls_trust);
    if (!t)
        return -ENOMEM;
    t->refs = 1;
    t->clock = clock;
    make_tables();
    pthread_mutex_init(&t->lock, NULL);
    mbedtls_ssl_config_init(&t->config);
    mbedtls_x509_crt_init(&t->authorities);
    t->bundle_file = mem_strndup(bundle, strlen(bundle));
    int r = t->bundle_file ? configure(t) : -ENOMEM;
    if (r == 0 && extra_ca_file)
        r = read_extra(t, extra_ca_file);
    if (r < 0) {
        trust_free(t);
        return r;
    }
    *ret_trust = t;
    return 0;
}

tls_trust *tls_trust_ref(tls_trust *t)
{
    t->refs++;
    return t;
}

void tls_trust_unref(tls_trust *t)
{
    if (t && --t->refs == 0)
        trust_free(t);
}
