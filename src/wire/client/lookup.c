/* Names and addresses: what the resolver's result means, which addresses are public, and looking up for others.
 *
 * A name server that doesn't answer can't take the workers from everybody else: libuv, whose pool they are, has at most
 * half of them look up names at once. */
#include "client_private.h"

#include <netdb.h>

/* ---- which addresses are public ---- */

typedef struct block {
    uint8_t prefix[8], bits;
} block;

static bool is_in(const uint8_t *ip, const block *b)
{
    const unsigned whole = b->bits / 8, rest = b->bits % 8;
    return memcmp(ip, b->prefix, whole) == 0 && (rest == 0 || (ip[whole] ^ b->prefix[whole]) >> (8 - rest) == 0);
}

static bool is_public_v4(const uint8_t ip[4])
{
    static const block others[] = {
        {{0}, 8},             /* "this network" */
        {{10}, 8},            /* private */
        {{100, 64}, 10},      /* behind a carrier's NAT */
        {{127}, 8},           /* loopback */
        {{169, 254}, 16},     /* link-local, and where clouds keep their metadata */
        {{172, 16}, 12},      /* private */
        {{192, 0, 0}, 24},    /* protocol assignments */
        {{192, 0, 2}, 24},    /* documentation */
        {{192, 88, 99}, 24},  /* 6to4 relays */
        {{192, 168}, 16},     /* private */
        {{198, 18}, 15},      /* benchmarks */
        {{198, 51, 100}, 24}, /* documentation */
        {{203, 0, 113}, 24},  /* documentation */
        {{224}, 3},           /* multicast, reserved, broadcast */
    };
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (is_in(ip, &others[i]))
            return false;
    return true;
}

static bool is_public_v6(const uint8_t ip[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nat64[12] = {[1] = 0x64, [2] = 0xff, [3] = 0x9b};
    static const block unicast = {{0x20}, 3};
    static const block others[] = {
        {{0x20, 0x01, 0x00}, 23},       /* protocol assignments, Teredo */
        {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
        {{0x20, 0x02}, 16},             /* 6to4: an IPv4 address inside */
        {{0x3f, 0xff, 0x00}, 20},       /* documentation */
    };
    if (memcmp(ip, mapped, sizeof(mapped)) == 0 || memcmp(ip, nat64, sizeof(nat64)) == 0)
        return is_public_v4(ip + 12);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        if (is_in(ip, &others[i]))
            return false;
    return is_in(ip, &unicast);
}

bool client_address_is_public(const struct sockaddr_storage *a)
{
    switch (a->ss_family) {
    case AF_INET:
        return is_public_v4((const uint8_t *)&((const struct sockaddr_in *)a)->sin_addr);
    case AF_INET6:
        return is_public_v6((const uint8_t *)&((const struct sockaddr_in6 *)a)->sin6_addr);
    default:
        return false;
    }
}

/* ---- names ---- */

client_failure client_lookup_failure(int status, const char **ret_why)
{
    switch (status) {
    case 0:
        return CLIENT_NONE;
    case UV_EAI_MEMORY:
    case UV_ENOMEM:
        *ret_why = "out of memory";
        return CLIENT_MEMORY;
    case UV_EAI_AGAIN:
    case UV_EAI_FAIL:
        *ret_why = "the name server does not answer";
        return CLIENT_CONNECT;
    default:
        *ret_why = "there is no such host name";
        return CLIENT_DNS;
    }
}

bool client_lookup_literal(const url *u, struct sockaddr_storage *ret_address)
{
    return u->is_v6 ? uv_ip6_addr(u->host.p, u->port, (struct sockaddr_in6 *)ret_address) == 0
                    : uv_ip4_addr(u->host.p, u->port, (struct sockaddr_in *)ret_address) == 0;
}

/* ---- looking up for others ---- */

typedef struct lookup { /* its memory goes when the resolver and the post have come back */
    client *client;
    client_lookup *face; /* NULL once told */
    list link;           /* in client->lookups */
    uv_getaddrinfo_t resolve;
    timer timer;
    post turn;
    bool resolving, posted;
} lookup;

static void free_if_done(lookup *k)
{
    client *c = k->client;
    if (k->face || k->resolving || k->posted)
        return;
    list_remove(&k->link);
    mem_free(k);
    client_check_closed(c);
}

static void on_turn(post *p)
{
    lookup *k = CONTAINER_OF(p, lookup, turn);
    client_lookup *face = k->face;
    k->posted = false;
    k->face = NULL;
    face->on_done(face); /* the struct is the caller's again */
    free_if_done(k);
}

static void tell(lookup *k, client_failure failure, const char *why)
{
    if (k->posted || !k->face)
        return;
    loop_timer_cancel(k->client->loop, &k->timer);
    k->face->failure = failure;
    k->face->why = why;
    k->posted = true;
    k->turn.fn = on_turn;
    loop_post(k->client->loop, &k->turn);
}

static void judge(lookup *k, bool is_public)
{
    tell(k, is_public ? CLIENT_NONE : CLIENT_ADDRESS, is_public ? NULL : "the address is not a public one");
}

static void on_resolved(uv_getaddrinfo_t *r, int status, struct addrinfo *found)
{
    lookup *k = CONTAINER_OF(r, lookup, resolve);
    const char *why = NULL;
    const client_failure failure = client_lookup_failure(status == 0 && !found ? UV_EAI_NODATA : status, &why);
    bool is_public = true;

    k->resolving = false;
    for (const struct addrinfo *a = found; a; a = a->ai_next) {
        struct sockaddr_storage address = {0};
        memcpy(&address, a->ai_addr, a->ai_addrlen);
        is_public = is_public && client_address_is_public(&address);
    }
    uv_freeaddrinfo(found);
    if (failure != CLIENT_NONE)
        tell(k, failure, why);
    else
        judge(k, is_public);
    free_if_done(k);
}

static void on_timer(timer *t)
{
    tell(CONTAINER_OF(t, lookup, timer), CLIENT_TIMEOUT, "the name was not found in time");
}

static int begin(lookup *k, int64_t timeout_ms)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct sockaddr_storage literal;
    const char *why = NULL;
    SCOPED(arena_done)
    arena a;
    url u;

    arena_init(&a, 0);
    int r = client_url_parse(&a, k->face->url, &u, &why);
    if (r == -EINVAL) {
        tell(k, CLIENT_URL, why);
        return 0;
    }
    if (r == 0 && client_lookup_literal(&u, &literal)) {
        judge(k, client_address_is_public(&literal));
        return 0;
    }
    if (r == 0)
        r = loop_timer_set(k->client->loop, &k->timer, timeout_ms, on_timer);
    if (r == 0 && uv_getaddrinfo(loop_uv(k->client->loop), &k->resolve, on_resolved, u.host.p, NULL, &hints) < 0) {
        loop_timer_cancel(k->client->loop, &k->timer);
        r = -ENOMEM;
    }
    k->resolving = r == 0;
    return r;
}

int client_lookup_start(client *c, client_lookup *face)
{
    lookup *k = c->closing ? NULL : mem_new(lookup);
    if (!k)
        return c->closing ? -ECANCELED : -ENOMEM;
    k->client = c;
    k->face = face;
    const int r = begin(k, face->timeout_ms > 0 ? face->timeout_ms : c->options.connect_ms);
    if (r < 0) {
        mem_free(k);
        return r;
    }
    list_push(&c->lookups, &k->link);
    return 0;
}

static void cancel(lookup *k)
{
    if (k->resolving)
        uv_cancel((uv_req_t *)&k->resolve); /* when it is too late for that, it comes back by itself */
    tell(k, CLIENT_CANCELLED, "cancelled");
}

void client_lookup_close_all(client *c)
{
    for (list *l = c->lookups.next; l != &c->lookups; l = l->next) /* they leave the list later */
        cancel(CONTAINER_OF(l, lookup, link));
}
