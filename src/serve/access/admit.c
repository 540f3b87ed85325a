/* Who asks: the key that was presented, the address behind the proxies, and whether that may. */
#include "private.h"

int access_new(store *s, clk *clock, const access_options *o, access_control **ret_access)
{
    access_control *a = mem_new(access_control);

    if (!a)
        return -ENOMEM;
    a->store = s;
    a->clock = clock;
    a->o = *o;
    random_bytes(&a->sip, sizeof(a->sip));
    list_init(&a->idle);
    *ret_access = a;
    return 0;
}

void access_set_options(access_control *a, const access_options *o)
{
    a->o = *o;
}

void access_free(access_control *a)
{
    access_client *c, *next;

    if (!a)
        return;
    HASH_ITER(hh, a->clients, c, next)
    {
        HASH_DEL(a->clients, c);
        mem_free(c);
    }
    mem_wipe(&a->sip, sizeof(a->sip));
    mem_free(a);
}

/* ---- the client's address ---- */
static bool is_trusted(const access_control *a, const net_addr *addr)
{
    if (addr->is_unix)
        return a->o.trust_unix;
    for (size_t i = 0; i < a->o.n_trusted_proxies; i++)
        if (net_cidr_has(&a->o.trusted_proxies[i], addr))
            return true;
    return false;
}

net_addr access_client_addr(const access_control *a, const http_request *req)
{
    str chain = http_header_of(req, HTTP_H_X_FORWARDED_FOR);
    net_addr at = req->peer;

    while (chain.n && is_trusted(a, &at)) {
        const ptrdiff_t comma = str_rchr(chain, ',');
        net_addr before;
        if (net_addr_parse(str_trim(str_from(chain, comma < 0 ? 0 : (size_t)comma + 1)), &before) < 0)
            break; /* not an address: what stands left of it can't be believed either */
        at = before;
        chain = str_head(chain, comma < 0 ? 0 : (size_t)comma);
    }
    return at;
}

/* ---- open or not ---- */
static access_mode mode_of(const access_control *a, access_scope need)
{
    switch (need) {
    case SCOPE_PUBLIC:
        return ACCESS_OPEN;
    case SCOPE_SOURCES_READ:
    case SCOPE_SOURCES_WRITE:
        return a->o.sources;
    case SCOPE_METRICS:
        return a->o.metrics;
    default:
        return ACCESS_REQUIRED;
    }
}

bool access_is_open_here(const access_control *a, access_scope need)
{
    return mode_of(a, need) == ACCESS_AUTO && a->o.all_local && a->o.n_trusted_proxies == 0 && !a->o.trust_unix;
}

bool access_is_open(const access_control *a, access_scope need)
{
    return mode_of(a, need) == ACCESS_OPEN || access_is_open_here(a, need);
}

/* An address by its look: nobody looks up a name whose last label is a number, nor what stands in brackets. */
static bool is_address(str host)
{
    for (size_t i = 0; i < host.n; i++)
        if ((host.p[i] < '0' || host.p[i] > '9') && host.p[i] != '.')
            return host.p[0] == '[';
    return true;
}

bool access_names_here(const http_request *req)
{
    str host = http_header_of(req, HTTP_H_HOST);
    const ptrdiff_t colon = str_starts(host, STR("[")) ? -1 : str_rchr(host, ':');

    if (colon >= 0)
        host = str_head(host, (size_t)colon);
    return req->peer.is_unix || is_address(host) || str_eq_nocase(host, STR("localhost")) ||
           str_ends_nocase(host, STR(".localhost"));
}

/* ---- keys and scopes ---- */

/* Null when no key is given. Authorization of another scheme may be meant for a proxy in front of us. */
static str presented(const http_request *req)
{
    const str authorization = http_header_of(req, HTTP_H_AUTHORIZATION);

    if (str_starts_nocase(authorization, STR("Bearer ")))
        return str_trim(str_from(authorization, 7));
    return http_header_of(req, HTTP_H_X_API_KEY);
}

static int64_t limit_of(int64_t own, int64_t servers)
{
    return own < 0 ? INT64_MAX : own > 0 ? own : servers;
}

int access_admit(access_control *a, const http_request *req, store_view *v, access_scope need, bool open,
                 access_grant *ret_grant)
{
    access_grant *g = ret_grant;
    const str secret = presented(req);
    const known_key *k = NULL;

    *g = (access_grant){.per_minute = a->o.per_minute, .per_hour = a->o.per_hour, .concurrent = a->o.concurrent};
    const int r = secret.p ? access_find_key(a, v, secret, &k) : -EACCES;
    if (r < 0) {
        const net_addr addr = access_client_addr(a, req);
        /* of IPv6 the network: whoever has one address has the 2^64 of its /64 */
        memcpy(g->identity, addr.ip, net_addr_is_v4(&addr) ? sizeof(addr.ip) : sizeof(addr.ip) / 2);
        return open && !secret.p ? 0 : r;
    }
    g->has_key = true;
    memcpy(g->identity, k->id, sizeof(k->id));
    g->scopes = k->scopes;
    g->per_minute = limit_of(k->per_minute, a->o.per_minute);
    g->per_hour = limit_of(k->per_hour, a->o.per_hour);
    g->concurrent = limit_of(k->concurrent, a->o.concurrent);
    if (open || (g->scopes & (1u << SCOPE_ADMIN)) || (need < SCOPE_COUNT && (g->scopes & (1u << need))))
        return 0;
    return -EPERM;
}
