/* The request as text: what may be sent, and where which headers go. */
#include "client_private.h"

#include <ctype.h>

#define HEADERS_MAX ((size_t)65536)

static bool is_token(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && (s.p[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", s.p[i])))
            return false;
    return s.n > 0;
}

/* RFC 9110 section 5.5: no control bytes but tabs, so nothing that could begin another line. */
static bool is_header_value(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return false;
    }
    return true;
}

static bool is_one_of(str name, const char *const *names)
{
    for (; *names; names++)
        if (str_eq_nocase(name, str_c(*names)))
            return true;
    return false;
}

const char *client_request_check(const client_call *face)
{
    static const char *const ours[] = {
        "Host", "Connection", "Content-Length", "Transfer-Encoding", "Accept-Encoding", "Expect", "Upgrade",
        "TE",   NULL};
    size_t bytes = 0;
    if (face->method.p && (!is_token(face->method) || face->method.n > 32 || str_eq(face->method, STR("CONNECT"))))
        return "bad request method";
    for (size_t i = 0; i < face->n_headers; i++) {
        const client_header *h = &face->headers[i];
        if (!is_token(h->name) || !is_header_value(h->value))
            return "a request header has bytes that can't be sent";
        if (is_one_of(h->name, ours))
            return "a request header that the caller may not set";
        bytes += h->name.n + h->value.n;
    }
    return bytes > HEADERS_MAX ? "the request's headers are too large" : NULL;
}

str client_request_method(const call *k)
{
    if (k->as_get)
        return STR("GET");
    return k->face->method.p ? k->face->method : STR("GET");
}

bool client_request_is_idempotent(const call *k)
{
    str method = client_request_method(k);
    return k->face->idempotent || str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"));
}

/* What the caller sent may be secret; another origin than the one he asked gets only what can't be. */
static bool goes_out(const call *k, str name)
{
    static const char *const harmless[] = {"Accept", "Accept-Language", "Content-Type", "User-Agent", NULL};
    if (k->as_get && str_eq_nocase(name, STR("Content-Type")))
        return false;
    return client_url_same_origin(&k->first, &k->at) || is_one_of(name, harmless);
}

static void put_header(buf *out, const char *name, str value)
{
    buf_str(out, str_c(name));
    buf_str(out, STR(": "));
    buf_str(out, value);
    buf_str(out, STR("\r\n"));
}

void client_request_wipe(call *k)
{
    if (k->request.p)
        mem_wipe(k->request.p, k->request.cap);
    buf_done(&k->request);
}

int client_request_write(call *k)
{
    const client_call *face = k->face;
    buf *out = &k->request;
    str method = client_request_method(k), body = k->as_get ? STR_NULL : face->body;
    bool has_agent = false, has_accept = false;
    size_t room = method.n + k->at.target.n + k->at.authority.n + strlen(k->client->user_agent) + 256;
    for (size_t i = 0; i < face->n_headers; i++)
        room += face->headers[i].name.n + face->headers[i].value.n + 4;

    client_request_wipe(k);
    buf_reserve(out, room); /* it never moves then: a token in it is in one place, and wiped there */
    buf_str(out, method);
    buf_char(out, ' ');
    buf_str(out, k->at.target);
    buf_str(out, STR(" HTTP/1.1\r\n"));
    put_header(out, "Host", k->at.authority);
    for (size_t i = 0; i < face->n_headers; i++) {
        const client_header *h = &face->headers[i];
        if (!goes_out(k, h->name))
            continue;
        has_agent = has_agent || str_eq_nocase(h->name, STR("User-Agent"));
        has_accept = has_accept || str_eq_nocase(h->name, STR("Accept"));
        buf_str(out, h->name);
        buf_str(out, STR(": "));
        buf_str(out, h->value);
        buf_str(out, STR("\r\n"));
    }
    if (!has_agent)
        put_header(out, "User-Agent", str_c(k->client->user_agent));
    if (!has_accept)
        put_header(out, "Accept", STR("*/*"));
    put_header(out, "Accept-Encoding", face->raw_body ? STR("identity") : STR("gzip, deflate"));
    if (body.n > 0 || (!str_eq(method, STR("GET")) && !str_eq(method, STR("HEAD"))))
        buf_printf(out, "Content-Length: %zu\r\n", body.n);
    buf_str(out, STR("\r\n"));
    return out->err;
}
