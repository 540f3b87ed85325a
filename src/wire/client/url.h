/* URLs of http and https, parsed strictly: what a URL means must not depend on who reads it.
 *
 * Refused: user names and passwords, blanks, control bytes, bytes over 127, broken escapes, hosts that only look like
 * an IPv4 address ("127.1", "0x7f.0.0.1"), zone ids. The fragment is dropped. */
#ifndef LARDER_CLIENT_URL_H
#define LARDER_CLIENT_URL_H

#include "larder/base.h"

#define URL_MAX ((size_t)8192)
#define URL_HOST_MAX ((size_t)253)

typedef struct url {
    bool https;
    bool is_v6;    /* the host is an IPv6 address */
    uint16_t port; /* the scheme's when the text has none */
    str host;      /* lower case, IPv6 without its brackets; NUL-terminated */
    str authority; /* host, and the port where it is not the scheme's: what the Host header says */
    str target;    /* path and query as sent, at least "/" */
} url;

/* -EINVAL with a text for people in *ret_why, -ENOMEM. All texts of the url are in the arena. */
int client_url_parse(arena *a, str text, url *ret_url, const char **ret_why);
/* The URL that `reference` means on the page `base` (RFC 3986 section 5.2). Bytes that a URL may not hold, but that
 * servers put into Location all the same (blanks, UTF-8), are escaped. */
int client_url_resolve(arena *a, const url *base, str reference, url *ret_url, const char **ret_why);
bool client_url_same_origin(const url *a, const url *b);
/* "https://host:port/path?query", the port only where it is not the scheme's. Null: out of memory. */
str client_url_text(arena *a, const url *u);

#endif
