/* What we check of certificates ourselves: dates, by our own clock; and where the host is an IP address, that the
 * certificate names it (mbedTLS compares names only). Chains, signatures, key usage and names are mbedTLS's part. */
#include "tls_private.h"

#include <stdio.h>

#define SAN_IP_ADDRESS (MBEDTLS_ASN1_CONTEXT_SPECIFIC | 7) /* RFC 5280 section 4.2.1.6: [7] iPAddress, 4 or 16 bytes */

/* As rfc3339_format writes it: such texts sort like the times they stand for. */
static void date_text(const mbedtls_x509_time *t, char out[RFC3339_LEN + 1])
{
    char text[80];
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", t->year, t->mon, t->day, t->hour, t->min, t->sec);
    memcpy(out, text, RFC3339_LEN);
    out[RFC3339_LEN] = '\0';
}

static uint32_t date_flaws(const mbedtls_x509_crt *crt, clk *clock)
{
    char now[RFC3339_LEN + 1], from[RFC3339_LEN + 1], to[RFC3339_LEN + 1];
    rfc3339_format(clk_wall_ms(clock), now);
    date_text(&crt->valid_from, from);
    date_text(&crt->valid_to, to);
    if (strcmp(now, to) > 0)
        return MBEDTLS_X509_BADCERT_EXPIRED;
    return strcmp(now, from) < 0 ? MBEDTLS_X509_BADCERT_FUTURE : 0;
}

static bool names_address(const mbedtls_x509_crt *crt, const unsigned char *address, size_t n)
{
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next)
        if (s->buf.tag == SAN_IP_ADDRESS && s->buf.len == n && memcmp(s->buf.p, address, n) == 0)
            return true;
    return false;
}

int tls_on_certificate(void *p, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    tls_session *s = p;
    *flags &= ~(uint32_t)(MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE);
    *flags |= date_flaws(crt, s->trust->clock);
    if (depth == 0) {
        s->verified = true;
        s->self_signed = crt->issuer_raw.len == crt->subject_raw.len &&
                         memcmp(crt->issuer_raw.p, crt->subject_raw.p, crt->issuer_raw.len) == 0;
        if (s->address_len > 0 && !names_address(crt, s->address, s->address_len))
            *flags |= MBEDTLS_X509_BADCERT_CN_MISMATCH;
    }
    s->flaws |= *flags;
    return 0;
}

const char *tls_flaw_text(const tls_session *s)
{
    static const struct {
        uint32_t flaw;
        const char *text;
    } texts[] = {
        {MBEDTLS_X509_BADCERT_EXPIRED, "the certificate has expired"},
        {MBEDTLS_X509_BADCERT_FUTURE, "the certificate is not valid yet"},
        {MBEDTLS_X509_BADCERT_CN_MISMATCH, "the certificate is for another host name"},
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "the certificate is not signed by a known authority"},
        {MBEDTLS_X509_BADCERT_MISSING, "the server sent no certificate"},
        {MBEDTLS_X509_BADCERT_BAD_MD, "the certificate is signed with a hash that is not safe"},
        {MBEDTLS_X509_BADCERT_BAD_KEY, "the certificate's key is too weak"},
    };
    if (s->flaws & MBEDTLS_X509_BADCERT_NOT_TRUSTED) {
        if (s->self_signed)
            return "the certificate is self-signed";
        if (!s->trust->bundle_read)
            return "the certificate can't be checked: the system's list of authorities can't be read";
    }
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (s->flaws & texts[i].flaw)
            return texts[i].text;
    return "the certificate is not acceptable";
}
