/* Addresses as values: texts, networks, what `listen` says. */
#include <arpa/inet.h>
#include <sys/un.h>

#include "larder/net.h"

static const uint8_t V4_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool net_addr_is_v4(const net_addr *a)
{
    return !a->is_unix && memcmp(a->ip, V4_PREFIX, sizeof(V4_PREFIX)) == 0;
}

int net_addr_parse(str text, net_addr *ret_addr)
{
    char copy[NET_ADDR_TEXT];
    if (text.n == 0 || text.n >= sizeof(copy) || memchr(text.p, '\0', text.n))
        return -EINVAL;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';

    net_addr a = {0};
    memcpy(a.ip, V4_PREFIX, sizeof(V4_PREFIX));
    if (inet_pton(AF_INET, copy, a.ip + sizeof(V4_PREFIX)) != 1 && inet_pton(AF_INET6, copy, a.ip) != 1)
        return -EINVAL;
    *ret_addr = a;
    return 0;
}

size_t net_addr_format(const net_addr *a, char out[NET_ADDR_TEXT])
{
    if (a->is_unix)
        memcpy(out, "unix", sizeof("unix"));
    else if (net_addr_is_v4(a))
        inet_ntop(AF_INET, a->ip + sizeof(V4_PREFIX), out, NET_ADDR_TEXT);
    else
        inet_ntop(AF_INET6, a->ip, out, NET_ADDR_TEXT);
    return strlen(out);
}

bool net_addr_is_loopback(const net_addr *a)
{
    static const uint8_t V6_LOOPBACK[16] = {[15] = 1};
    return a->is_unix || (net_addr_is_v4(a) && a->ip[12] == 127) || memcmp(a->ip, V6_LOOPBACK, sizeof(a->ip)) == 0;
}

/* True when a and b agree in their first `bits` bits. */
static bool same_prefix(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(a, b, whole) == 0 && (rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0);
}

static bool is_clear_behind(const uint8_t *ip, unsigned bits)
{
    for (unsigned i = bits; i < 128; i++) {
        if (ip[i / 8] & (0x80 >> (i % 8)))
            return false;
    }
    return true;
}

int net_cidr_parse(str text, net_cidr *ret_net)
{
    ptrdiff_t slash = str_chr(text, '/');
    net_addr a;
    int r = net_addr_parse(slash < 0 ? text : str_head(text, (size_t)slash), &a);
    if (r < 0)
        return r;

    int64_t most = net_addr_is_v4(&a) ? 32 : 128, bits = most;
    if (slash >= 0) {
        str digits = str_from(text, (size_t)slash + 1);
        r = str_to_i64(digits, &bits);
        if (r < 0 || bits < 0 || bits > most || (digits.n > 1 && digits.p[0] == '0'))
            return -EINVAL;
    }
    net_cidr net = {.bits = (uint8_t)(bits + 128 - most)};
    memcpy(net.ip, a.ip, sizeof(net.ip));
    if (!is_clear_behind(net.ip, net.bits))
        return -EINVAL;
    *ret_net = net;
    return 0;
}

bool net_cidr_has(const net_cidr *n, const net_addr *a)
{
    return !a->is_unix && same_prefix(n->ip, a->ip, n->bits);
}

static int parse_unix(arena *a, str path, net_listen *ret_listen)
{
    _Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == NET_UNIX_PATH_MAX + 1, "sun_path has its NUL");
    if (path.n == 0 || path.n > NET_UNIX_PATH_MAX || memchr(path.p, '\0', path.n))
        return -EINVAL;
    str copy = arena_dup(a, path);
    if (!copy.p)
        return -ENOMEM;
    *ret_listen = (net_listen){.addr.is_unix = true, .path = copy};
    return 0;
}

int net_listen_parse(arena *a, str text, net_listen *ret_listen)
{
    if (str_starts(text, STR("unix:")))
        return parse_unix(a, str_from(text, 5), ret_listen);

    ptrdiff_t colon = str_rchr(text, ':');
    if (colon < 0)
        return -EINVAL;
    str host = str_head(text, (size_t)colon), digits = str_from(text, (size_t)colon + 1);
    int64_t port;
    if (digits.n == 0 || digits.p[0] == '-' || str_to_i64(digits, &port) < 0 || port > UINT16_MAX)
        return -EINVAL;

    bool bracketed = str_starts(host, STR("[")) && str_ends(host, STR("]"));
    net_addr addr;
    int r = str_eq(host, STR("localhost")) ? net_addr_parse(STR("127.0.0.1"), &addr)
            : bracketed                    ? net_addr_parse(str_of(host.p + 1, host.n - 2), &addr)
                                           : net_addr_parse(host, &addr);
    if (r < 0 || bracketed == net_addr_is_v4(&addr)) /* v6 and only v6 stands in brackets */
        return -EINVAL;
    addr.port = (uint16_t)port;
    *ret_listen = (net_listen){.addr = addr};
    return 0;
}

str net_listen_url(arena *a, const net_listen *where)
{
    if (where->addr.is_unix)
        return arena_printf(a, "unix:" STR_FMT, STR_ARG(where->path));
    char ip[NET_ADDR_TEXT];
    net_addr_format(&where->addr, ip);
    return arena_printf(a, net_addr_is_v4(&where->addr) ? "http://%s:%u" : "http://[%s]:%u", ip, where->addr.port);
}
