/* See tls_site.h. */
#include "tls_site.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>

/* ---- the site ---- */

static int parse_ticket(void *p, mbedtls_ssl_session *session, unsigned char *bytes, size_t n)
{
    tls_site *s = p;
    int r = mbedtls_ssl_ticket_parse(&s->tickets, session, bytes, n);
    if (r == 0)
        atomic_fetch_add(&s->resumed, 1);
    return r;
}

static int write_ticket(void *p, const mbedtls_ssl_session *session, unsigned char *start, const unsigned char *end,
                        size_t *n, uint32_t *lifetime)
{
    tls_site *s = p;
    return mbedtls_ssl_ticket_write(&s->tickets, session, start, end, n, lifetime);
}

void tls_site_init(tls_site *s, const cert *const *chain, size_t n, tls_memory memory)
{
    unsigned char key[4096];
    *s = (tls_site){0};
    mbedtls_ssl_config_init(&s->config);
    mbedtls_x509_crt_init(&s->chain);
    mbedtls_pk_init(&s->key);
    mbedtls_ssl_ticket_init(&s->tickets);
    mbedtls_ssl_cache_init(&s->cache);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(
            mbedtls_x509_crt_parse(&s->chain, (const unsigned char *)chain[i]->pem, strlen(chain[i]->pem) + 1), 0);
    assert_int_equal(mbedtls_pk_write_key_pem((mbedtls_pk_context *)(uintptr_t)&chain[0]->key, key, sizeof(key)), 0);
    assert_int_equal(mbedtls_pk_parse_key(&s->key, key, strlen((char *)key) + 1, NULL, 0), 0);

    assert_int_equal(mbedtls_ssl_config_defaults(&s->config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                                 MBEDTLS_SSL_PRESET_DEFAULT),
                     0);
    mbedtls_ssl_conf_rng(&s->config, cert_random, NULL);
    mbedtls_ssl_conf_ca_chain(&s->config, s->chain.next, NULL);
    assert_int_equal(mbedtls_ssl_conf_own_cert(&s->config, &s->chain, &s->key), 0);
    if (memory == TLS_TICKETS) {
        assert_int_equal(mbedtls_ssl_ticket_setup(&s->tickets, cert_random, NULL, MBEDTLS_CIPHER_AES_256_GCM, 86400),
                         0);
        mbedtls_ssl_conf_session_tickets_cb(&s->config, write_ticket, parse_ticket, s);
    } else if (memory == TLS_SESSION_IDS) {
        mbedtls_ssl_conf_session_cache(&s->config, &s->cache, mbedtls_ssl_cache_get, mbedtls_ssl_cache_set);
    }
}

void tls_site_done(tls_site *s)
{
    mbedtls_ssl_config_free(&s->config);
    mbedtls_x509_crt_free(&s->chain);
    mbedtls_pk_free(&s->key);
    mbedtls_ssl_ticket_free(&s->tickets);
    mbedtls_ssl_cache_free(&s->cache);
}

/* ---- in memory ---- */

static int pipe_send(void *p, const unsigned char *bytes, size_t n)
{
    tls_pipe_end *e = p;
    buf_put(&e->out, bytes, n);
    return (int)n;
}

static int pipe_receive(void *p, unsigned char *out, size_t n)
{
    tls_pipe_end *e = p;
    size_t left = e->in.n - e->taken;
    if (left == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    n = n < left ? n : left;
    memcpy(out, e->in.p + e->taken, n);
    e->taken += n;
    return (int)n;
}

void tls_pipe_end_init(tls_pipe_end *e, tls_site *s)
{
    *e = (tls_pipe_end){0};
    mbedtls_ssl_init(&e->ssl);
    assert_int_equal(mbedtls_ssl_setup(&e->ssl, &s->config), 0);
    mbedtls_ssl_set_bio(&e->ssl, e, pipe_send, pipe_receive, NULL);
}

void tls_pipe_end_done(tls_pipe_end *e)
{
    mbedtls_ssl_free(&e->ssl);
    buf_done(&e->in);
    buf_done(&e->out);
}

/* ---- on a socket ---- */

typedef struct visit {
    tls_server *server;
    int fd;
} visit;

static int socket_send(void *p, const unsigned char *bytes, size_t n)
{
    ssize_t r = send(*(int *)p, bytes, n, MSG_NOSIGNAL);
    return r < 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : (int)r;
}

static int socket_receive(void *p, unsigned char *out, size_t n)
{
    ssize_t r = recv(*(int *)p, out, n, 0);
    return r < 0 ? MBEDTLS_ERR_SSL_INTERNAL_ERROR : (int)r; /* 0: the end */
}

/* Reads one request's head; false at the end of the session. */
static bool read_request(tls_server *t, mbedtls_ssl_context *ssl)
{
    char text[sizeof(t->last)];
    size_t n = 0;
    while (n < sizeof(text) - 1) {
        int r = mbedtls_ssl_read(ssl, (unsigned char *)text + n, sizeof(text) - 1 - n);
        if (r <= 0)
            return false;
        n += (size_t)r;
        text[n] = '\0';
        if (strstr(text, "\r\n\r\n"))
            break;
    }
    pthread_mutex_lock(&t->lock);
    memcpy(t->last, text, n + 1);
    pthread_mutex_unlock(&t->lock);
    atomic_fetch_add(&t->requests, 1);
    return true;
}

static bool answer(tls_server *t, mbedtls_ssl_context *ssl)
{
    const char *say = atomic_load(&t->say);
    const unsigned char *at = (const unsigned char *)say;
    tls_after after = atomic_load(&t->after);
    for (size_t left = strlen(say); left > 0;) {
        int r = mbedtls_ssl_write(ssl, at, left);
        if (r <= 0)
            return false;
        at += r;
        left -= (size_t)r;
    }
    if (after == TLS_GOODBYE)
        (void)mbedtls_ssl_close_notify(ssl);
    return after == TLS_KEEP;
}

static void *serve(void *p)
{
    visit v = *(visit *)p;
    tls_server *t = v.server;
    mbedtls_ssl_context ssl;
    free(p);
    mbedtls_ssl_init(&ssl);
    if (!atomic_load(&t->hang_up_at_once) && mbedtls_ssl_setup(&ssl, &t->site->config) == 0) {
        mbedtls_ssl_set_bio(&ssl, &v.fd, socket_send, socket_receive, NULL);
        if (mbedtls_ssl_handshake(&ssl) == 0) {
            atomic_fetch_add(&t->handshakes, 1);
            while (read_request(t, &ssl) && answer(t, &ssl)) {
            }
        }
    }
    mbedtls_ssl_free(&ssl);
    shutdown(v.fd, SHUT_RDWR); /* the descriptor itself is tls_server_stop's */
    return NULL;
}

static void *accept_all(void *p)
{
    tls_server *t = p;
    while (!atomic_load(&t->stopping) && t->n_threads < TLS_SERVER_THREADS) {
        int fd = accept(t->fd, NULL, NULL), on = 1;
        if (fd < 0)
            break;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        atomic_fetch_add(&t->connections, 1);
        visit *v = malloc(sizeof(*v)); /* not the program's: failures injected there don't hit the server */
        *v = (visit){t, fd};
        t->fds[t->n_threads] = fd;
        if (pthread_create(&t->threads[t->n_threads], NULL, serve, v) != 0)
            break;
        t->n_threads++;
    }
    return NULL;
}

void tls_server_start(tls_server *t, tls_site *s)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(addr);
    t->site = s;
    t->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(t->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(t->fd, 64), 0);
    getsockname(t->fd, (struct sockaddr *)&addr, &n);
    t->port = ntohs(addr.sin_port);
    snprintf(t->url, sizeof(t->url), "https://localhost:%d", t->port);
    pthread_mutex_init(&t->lock, NULL);
    assert_int_equal(pthread_create(&t->acceptor, NULL, accept_all, t), 0);
}

void tls_server_stop(tls_server *t)
{
    atomic_store(&t->stopping, true);
    shutdown(t->fd, SHUT_RDWR);
    pthread_join(t->acceptor, NULL);
    close(t->fd);
    for (unsigned i = 0; i < t->n_threads; i++) {
        shutdown(t->fds[i], SHUT_RDWR);
        pthread_join(t->threads[i], NULL);
        close(t->fds[i]);
    }
    pthread_mutex_destroy(&t->lock);
}
