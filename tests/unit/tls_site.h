/* A TLS server for tests (mbedTLS): its identity and settings, and two ways to run it. In memory, one connection, on
 * the test's own thread; or on a socket, on threads of its own, speaking just enough HTTP. */
#ifndef LARDER_TESTS_TLS_SITE_H
#define LARDER_TESTS_TLS_SITE_H

#include <pthread.h>
#include <stdatomic.h>

#include <mbedtls/ssl.h>
#include <mbedtls/ssl_cache.h>
#include <mbedtls/ssl_ticket.h>

#include "certs.h"

typedef struct tls_site {
    mbedtls_ssl_config config;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_ssl_ticket_context tickets;
    mbedtls_ssl_cache_context cache;
    atomic_uint resumed; /* handshakes that began with a ticket of ours */
} tls_site;

typedef enum tls_memory { TLS_FORGETS, TLS_TICKETS, TLS_SESSION_IDS } tls_memory;

/* `chain`: the server's certificate first. */
void tls_site_init(tls_site *s, const cert *const *chain, size_t n, tls_memory memory);
void tls_site_done(tls_site *s);

/* ---- in memory ---- */
typedef struct tls_pipe_end {
    mbedtls_ssl_context ssl;
    buf in, out;
    size_t taken;
} tls_pipe_end;
void tls_pipe_end_init(tls_pipe_end *e, tls_site *s);
void tls_pipe_end_done(tls_pipe_end *e);

/* ---- on a socket ---- */
#define TLS_SERVER_THREADS 64
typedef enum tls_after { TLS_KEEP, TLS_GOODBYE, TLS_CUT } tls_after; /* close with close_notify; without */
typedef struct tls_server {
    tls_site *site;
    _Atomic(const char *) say; /* to each request */
    _Atomic(tls_after) after;
    atomic_bool hang_up_at_once; /* instead of a handshake */
    char url[60];                /* https://localhost:PORT */
    int port;

    atomic_uint connections, handshakes, requests;
    char last[2048]; /* the last request; look when nothing is under way */
    int fd;
    atomic_bool stopping;
    pthread_mutex_t lock;
    pthread_t acceptor, threads[TLS_SERVER_THREADS];
    unsigned n_threads;
    int fds[TLS_SERVER_THREADS];
} tls_server;
void tls_server_start(tls_server *t, tls_site *s); /* zeroed, say and after set */
void tls_server_stop(tls_server *t);

#endif
