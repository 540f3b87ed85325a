/* A session over two buffers: mbedTLS reads what tls_input brought and writes what tls_output gives. */
#include "tls_private.h"

#include <arpa/inet.h>

/* ---- the pipe ---- */

static int on_receive(void *p, unsigned char *out, size_t n)
{
    tls_session *s = p;
    size_t left = s->in.n - s->in_taken;
    if (left == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (n > left)
        n = left;
    memcpy(out, s->in.p + s->in_taken, n);
    s->in_taken += n;
    if (s->in_taken == s->in.n) {
        buf_reset(&s->in);
        s->in_taken = 0;
    }
    return (int)n;
}

static int on_send(void *p, const unsigned char *bytes, size_t n)
{
    tls_session *s = p;
    buf_put(&s->out, bytes, n);
    return s->out.err < 0 ? MBEDTLS_ERR_SSL_ALLOC_FAILED : (int)n;
}

int tls_input(tls_session *s, str bytes)
{
    if (s->in_taken > 0) { /* part of a record at most */
        memmove(s->in.p, s->in.p + s->in_taken, s->in.n - s->in_taken);
        s->in.n -= s->in_taken;
        s->in_taken = 0;
    }
    buf_str(&s->in, bytes);
    return s->in.err;
}

str tls_output(const tls_session *s)
{
    return str_from(buf_view(&s->out), s->out_taken);
}

void tls_output_taken(tls_session *s, size_t n)
{
    s->out_taken += n;
    if (s->out_taken >= s->out.n) {
        buf_reset(&s->out);
        s->out_taken = 0;
    }
}

/* ---- failures ---- */

static int fail(tls_session *s, int mbed)
{
    static const struct {
        int mbed, err;
        const char *why;
    } failures[] = {
        {MBEDTLS_ERR_SSL_ALLOC_FAILED, -ENOMEM, "out of memory"},
        {MBEDTLS_ERR_MPI_ALLOC_FAILED, -ENOMEM, "out of memory"},
        {MBEDTLS_ERR_X509_ALLOC_FAILED, -ENOMEM, "out of memory"},
        {MBEDTLS_ERR_ECP_ALLOC_FAILED, -ENOMEM, "out of memory"},
        {MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE, -EPROTO, "the server ended the TLS session with an alert"},
        {MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY, -EPROTO, "the server ended the TLS session"},
        {MBEDTLS_ERR_SSL_BAD_HS_PROTOCOL_VERSION, -EPROTO, "the server does not speak TLS 1.2"},
        {MBEDTLS_ERR_SSL_INVALID_RECORD, -EPROTO, "the server does not speak TLS 1.2"},
        {MBEDTLS_ERR_SSL_INVALID_MAC, -EPROTO, "the data was changed on the way"},
    };
    if (mbed == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
        s->why = tls_flaw_text(s);
        return -EKEYREJECTED;
    }
    for (size_t i = 0; i < COUNT_OF(failures); i++)
        if (failures[i].mbed == mbed) {
            s->why = failures[i].why;
            return failures[i].err;
        }
    s->why = "the TLS session failed";
    return -EPROTO;
}

static bool wants_more(int mbed)
{
    return mbed == MBEDTLS_ERR_SSL_WANT_READ || mbed == MBEDTLS_ERR_SSL_WANT_WRITE;
}

const char *tls_session_why(const tls_session *s)
{
    return s->why ? s->why : "no failure";
}

/* ---- life ---- */

static int set_host(tls_session *s, str host)
{
    if (host.n == 0 || host.n > HOST_MAX || str_chr(host, '\0') >= 0)
        return -EINVAL;
    memcpy(s->host, host.p, host.n); /* the session came zeroed */
    if (inet_pton(AF_INET, s->host, s->address) == 1)
        s->address_len = 4;
    else if (inet_pton(AF_INET6, s->host, s->address) == 1)
        s->address_len = 16;
    /* No server name for an address (RFC 6066 section 3); tls_on_certificate does the comparing then. */
    return mbedtls_ssl_set_hostname(&s->ssl, s->address_len > 0 ? NULL : s->host) == 0 ? 0 : -ENOMEM;
}

int tls_session_new(tls_trust *t, str host, const tls_ticket *resume, tls_session **ret_session)
{
    tls_session *s = mem_new(tls_session);
    if (!s)
        return -ENOMEM;
    mbedtls_ssl_init(&s->ssl);
    s->trust = tls_trust_ref(t);
    int r = mbedtls_ssl_setup(&s->ssl, &t->config) == 0 ? set_host(s, host) : -ENOMEM;
    if (r == 0 && resume) {
        s->may_resume = true;
        if (mbedtls_ssl_set_session(&s->ssl, &resume->session) != 0)
            r = -ENOMEM;
    }
    if (r < 0) {
        tls_session_free(s);
        return r;
    }
    mbedtls_ssl_set_bio(&s->ssl, s, on_send, on_receive, NULL);
    mbedtls_ssl_set_verify(&s->ssl, tls_on_certificate, s);
    *ret_session = s;
    return 0;
}

void tls_session_free(tls_session *s)
{
    if (!s)
        return;
    mbedtls_ssl_free(&s->ssl);
    buf_done(&s->in);
    buf_done(&s->out);
    tls_trust_unref(s->trust);
    mem_free(s);
}

/* ---- handshake ---- */

/* Of all steps only the one that checks certificates touches what sessions share: one thread at a time takes it. */
static int step(tls_session *s)
{
    if (s->ssl.state != MBEDTLS_SSL_SERVER_CERTIFICATE)
        return mbedtls_ssl_handshake_step(&s->ssl);
    pthread_mutex_lock(&s->trust->lock);
    tls_trust_read_bundle(s->trust);
    int r = mbedtls_ssl_handshake_step(&s->ssl);
    pthread_mutex_unlock(&s->trust->lock);
    return r;
}

int tls_handshake(tls_session *s)
{
    int r = 0;
    while (r == 0 && s->ssl.state != MBEDTLS_SSL_HANDSHAKE_OVER)
        r = step(s);
    if (wants_more(r))
        return 0;
    if (r != 0)
        return fail(s, r);
    /* A handshake without a certificate check must be one that resumed a session which had it. */
    if (!s->verified && !s->may_resume) {
        s->why = "the server's certificate was not checked";
        return -EKEYREJECTED;
    }
    return 1;
}

bool tls_was_resumed(const tls_session *s)
{
    return s->may_resume && !s->verified;
}

int tls_ticket_take(const tls_session *s, tls_ticket **ret_ticket)
{
    tls_ticket *t = mem_new(tls_ticket);
    if (!t)
        return -ENOMEM;
    mbedtls_ssl_session_init(&t->session);
    int r = mbedtls_ssl_get_session(&s->ssl, &t->session) == 0 ? 0 : -ENOMEM;
    if (r == 0 && t->session.ticket_len == 0 && t->session.id_len == 0)
        r = -ENOENT;
    if (r < 0) {
        tls_ticket_free(t);
        return r;
    }
    *ret_ticket = t;
    return 0;
}

void tls_ticket_free(tls_ticket *t)
{
    if (!t)
        return;
    mbedtls_ssl_session_free(&t->session);
    mem_free(t);
}

/* ---- records ---- */

int tls_write(tls_session *s, str plain)
{
    while (plain.n > 0) {
        int r = mbedtls_ssl_write(&s->ssl, (const unsigned char *)plain.p, plain.n);
        if (r <= 0)
            return fail(s, r);
        plain = str_from(plain, (size_t)r);
    }
    return 0;
}

ptrdiff_t tls_read(tls_session *s, void *out, size_t n)
{
    if (s->peer_closed)
        return -ENODATA;
    int r = mbedtls_ssl_read(&s->ssl, out, n);
    if (r > 0)
        return r;
    if (wants_more(r))
        return 0;
    s->peer_closed = r == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY;
    return s->peer_closed ? -ENODATA : fail(s, r);
}

void tls_close(tls_session *s)
{
    /* Without room in the output there is just no goodbye. */
    (void)mbedtls_ssl_close_notify(&s->ssl);
}
