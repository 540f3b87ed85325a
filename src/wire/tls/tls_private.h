/* What the files of this room share. */
#ifndef LARDER_TLS_PRIVATE_H
#define LARDER_TLS_PRIVATE_H

#include <pthread.h>

#include <mbedtls/ssl.h>

#include "larder/tls.h"

#define HOST_MAX 253

struct tls_trust {
    unsigned refs;
    clk *clock;
    mbedtls_ssl_config config;
    /* Held while a certificate is checked: before the first the bundle is read, and mbedTLS, though built for threads,
     * keeps tables of multiples in the authorities' elliptic keys, which two threads must not make at once. What else
     * sessions share, they only read. */
    pthread_mutex_t lock;
    mbedtls_x509_crt authorities; /* the extra file's, then the bundle's */
    char *bundle_file;
    bool bundle_tried, bundle_read;
};

struct tls_session {
    tls_trust *trust;
    mbedtls_ssl_context ssl;
    buf in, out;
    size_t in_taken, out_taken;
    char host[HOST_MAX + 1];
    unsigned char address[16]; /* the host, when it is an IP address: */
    size_t address_len;        /* 4 or 16; 0: it is a name */
    bool may_resume;           /* a ticket was given */
    bool verified;             /* the certificate check has run */
    uint32_t flaws;            /* MBEDTLS_X509_BADCERT_* of all certificates in the chain */
    bool self_signed;          /* the server's own certificate is */
    bool peer_closed;          /* properly */
    const char *why;
};

struct tls_ticket {
    mbedtls_ssl_session session;
};

/* Certificate checks of our own beside mbedTLS's, in its callback; p is the session. */
int tls_on_certificate(void *p, mbedtls_x509_crt *crt, int depth, uint32_t *flags);
/* The worst of the flaws, for people. */
const char *tls_flaw_text(const tls_session *s);
void tls_trust_read_bundle(tls_trust *t); /* under the lock */

#endif
