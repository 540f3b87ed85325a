/* net: listeners and addresses. A listener is a TCP socket (IPv4, IPv6) or a Unix socket; addresses are values.
 *
 * Texts for listening: "host:port", "[v6]:port", "unix:PATH"; port 0 picks a free one. A Unix socket file left over by a
 * dead server is replaced, a live one is -EADDRINUSE; the file is removed on close. */
#ifndef LARDER_NET_H
#define LARDER_NET_H

#include "larder/loop.h"

typedef struct net_addr { /* an IP address as 16 bytes, IPv4 mapped (::ffff:a.b.c.d), or none for Unix sockets */
    uint8_t ip[16];
    uint16_t port;
    bool is_unix;
} net_addr;
#define NET_ADDR_TEXT 46
int net_addr_parse(str text, net_addr *ret_addr);                  /* an address without port; -EINVAL */
size_t net_addr_format(const net_addr *a, char out[NET_ADDR_TEXT]); /* without port, IPv4 unmapped; "unix" */
bool net_addr_is_loopback(const net_addr *a);                       /* Unix sockets too */

typedef struct net_cidr {
    uint8_t ip[16];
    uint8_t bits; /* of 128 */
} net_cidr;
int net_cidr_parse(str text, net_cidr *ret_net); /* "10.0.0.0/8", "::1", "unix" is not one; -EINVAL */
bool net_cidr_has(const net_cidr *n, const net_addr *a);

/* What `listen` says, parsed: -EINVAL with a text for people. Host names are not looked up: addresses, or "localhost". */
typedef struct net_listen {
    net_addr addr;
    str path; /* Unix sockets */
} net_listen;
int net_listen_parse(arena *a, str text, net_listen *ret_listen);

#endif
