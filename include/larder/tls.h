/* tls: a TLS client session (mbedTLS 2.28, TLS 1.2) over a byte pipe. It owns no socket and calls nobody back: bytes
 * from the peer go in, bytes for the peer come out.
 *
 * Words
 *   trust     which authorities we believe: the system's bundle (SSL_CERT_FILE, or /etc/ssl/certs/ca-certificates.crt)
 *             and an extra file. The bundle's 150 certificates take 10 ms to parse: the first handshake does that.
 *   session   one connection. Full handshakes cost milliseconds: run tls_handshake as a job. All else is cheap enough
 *             for the loop (16 KiB in 0.1 ms). One thread at a time; different sessions run on different threads
 *             freely.
 *   ticket    what a later session to the same host and port resumes from, without the costly part.
 *
 * Certificates are always verified: chain, dates by the trust's clock, and the host's name (or, for an address, that
 * the certificate names the address). There is no switch for that. Suites and curves are few and fast: ECDHE with
 * AES-GCM or ChaCha20-Poly1305, over X25519, P-256 or, last, P-384. Renegotiation is refused. */
#ifndef LARDER_TLS_H
#define LARDER_TLS_H

#include "larder/clock.h"

typedef struct tls_trust tls_trust; /* reference counted; references are taken and dropped on one thread */
typedef struct tls_session tls_session;
typedef struct tls_ticket tls_ticket;

/* `extra_ca_file` (PEM) NULL for none; it is read now. The clock, thread-safe, outlives the trust. -EINVAL (no
 * certificate in it), -ENOMEM, or why it can't be read (-ENOENT...). */
int tls_trust_new(const char *extra_ca_file, clk *clock, tls_trust **ret_trust);
tls_trust *tls_trust_ref(tls_trust *t);
void tls_trust_unref(tls_trust *t); /* NULL is fine */

/* `host`: a DNS name, or an IP address without brackets. `resume` NULL, or a ticket of the same host and port
 * (copied). */
int tls_session_new(tls_trust *t, str host, const tls_ticket *resume, tls_session **ret_session); /* -EINVAL, -ENOMEM */
void tls_session_free(tls_session *s);                                                            /* NULL is fine */
int tls_input(tls_session *s, str bytes); /* from the peer; copied. -ENOMEM */
str tls_output(const tls_session *s);     /* for the peer, until the next call with this session */
void tls_output_taken(tls_session *s, size_t n);

/* Goes on as far as the input allows. 1: finished; 0: needs more input. -EKEYREJECTED (certificate not trusted),
 * -EPROTO, -ENOMEM; tls_session_why tells more. Whatever the result, what is in the output should be sent. */
int tls_handshake(tls_session *s);
bool tls_was_resumed(const tls_session *s); /* asked by tests: nothing else shows it */
/* after the handshake; -ENOENT: none given; -ENOMEM */
int tls_ticket_take(const tls_session *s, tls_ticket **ret_ticket);
void tls_ticket_free(tls_ticket *t); /* NULL is fine */

int tls_write(tls_session *s, str plain); /* encrypts all of it into the output. -EPROTO, -ENOMEM */
/* Decrypts at most one record into `out` (n > 0): >0 bytes; 0: needs more input; -ENODATA: the peer closed properly,
 * nothing follows; -EPROTO, -ENOMEM. An end of the connection without -ENODATA is a truncation. */
ptrdiff_t tls_read(tls_session *s, void *out, size_t n);
void tls_close(tls_session *s); /* puts the goodbye (close_notify) into the output */
/* the last failure, for people: "the certificate has expired". Static */
const char *tls_session_why(const tls_session *s);

#endif
