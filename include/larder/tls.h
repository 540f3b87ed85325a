/* tls: a TLS client session (mbedTLS 2.28, TLS 1.2) over a byte pipe. It owns no socket and calls nobody back: bytes from
 * the peer go in, bytes for the peer come out, and each step may run on any one thread at a time, so that the heavy steps
 * of a handshake run on the worker pool.
 *
 * Certificates are always verified: against the system's bundle plus the extra file, with the host's name. There is no
 * switch for that. Suites and curves are few and fast (ECDHE with AES-128-GCM or ChaCha20, P-256/X25519). */
#ifndef LARDER_TLS_H
#define LARDER_TLS_H

#include "larder/clock.h"

typedef struct tls_trust tls_trust;     /* parsed certificates and configuration; shared, immutable, reference counted */
typedef struct tls_session tls_session; /* one connection */
typedef struct tls_ticket tls_ticket;   /* what a later session to the same host resumes from */

/* `extra_ca_file` NULL for none. -ENOENT, -EINVAL (no certificate in it), -ENOMEM; *ret_why is a static text. */
int tls_trust_new(const char *extra_ca_file, clk *clock, tls_trust **ret_trust, const char **ret_why);
tls_trust *tls_trust_ref(tls_trust *t);
void tls_trust_unref(tls_trust *t);

int tls_session_new(tls_trust *t, str host, const tls_ticket *resume, tls_session **ret_session);
void tls_session_free(tls_session *s);
/* Bytes from the peer (copied); bytes for the peer: take them from tls_output, then tls_output_taken. */
int tls_input(tls_session *s, str bytes);
str tls_output(tls_session *s);
void tls_output_taken(tls_session *s, size_t n);
/* One step as far as the input allows. 1: finished; 0: needs more input (send the output first); -EPROTO, -EKEYREJECTED
 * (certificate not trusted: tls_session_why says why), -ENOMEM. */
int tls_handshake(tls_session *s);
bool tls_was_resumed(const tls_session *s);
int tls_ticket_take(tls_session *s, tls_ticket **ret_ticket); /* after the handshake; -ENOENT when the server gave none */
void tls_ticket_free(tls_ticket *t);
int tls_write(tls_session *s, str plain);                       /* encrypts all into the output */
/* Decrypts into `out`: >0 bytes, 0 needs more input, -ENODATA the peer closed properly, -EPROTO. */
ptrdiff_t tls_read(tls_session *s, void *out, size_t n);
const char *tls_session_why(const tls_session *s); /* the last failure for people: "certificate has expired" */

#endif
