/* Certificates made for a test: any names, any dates, signed by whoever the test wants. */
#ifndef LARDER_TESTS_CERTS_H
#define LARDER_TESTS_CERTS_H

#include <mbedtls/pk.h>

#include "unit.h"

typedef struct cert {
    mbedtls_pk_context key;
    char name[80]; /* "CN=..." */
    char pem[4096];
} cert;

typedef struct cert_spec { /* zero fields: as said */
    const char *name;      /* common name */
    const char *dns;       /* subject alternative name; NULL: none */
    const char *address;   /* the same, "127.0.0.1" or "::1" */
    const char *from, *to; /* "20260101000000" */
    bool is_ca;
    bool is_rsa; /* RSA-2048 instead of P-256: slow to make */
} cert_spec;

#define CERT_FROM "20260101000000" /* the test's clock stands at 15 January 2026 */
#define CERT_TO "20260201000000"

void cert_make(cert *c, const cert_spec *spec, const cert *issuer); /* issuer NULL: self-signed */
void cert_done(cert *c);
/* Writes the certificates to a new file in /tmp; `path` has room for 40 bytes. The caller removes it. */
void cert_file(const cert *const *certs, size_t n, char *path);
int cert_random(void *arg, unsigned char *out, size_t n); /* for mbedTLS */

#endif
