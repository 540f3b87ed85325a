/* The fleet: which services there are, what they can take together, and its own life. */
#include "render_private.h"

#include <limits.h>

#define POLL_MS SECONDS(1)
#define MAX_TIMEOUT_MS SECONDS(50)

/* ---- capacity ---- */

/* The reserve in whole tabs, rounded up; but one stays usable unless all are reserved. */
static unsigned reserve_of(double share, unsigned all)
{
    if (share >= 1.0 || all == 0)
        return all;
    unsigned tabs = (unsigned)(share * all);
    if (share * all - tabs > 1e-9)
        tabs++;
    return tabs < all ? tabs : all - 1;
}

render_capacity render_fleet_capacity(const render_fleet *f)
{
    render_capacity c = {0};

    for (size_t i = 0; i < f->n_services; i++) {
        unsigned all, tabs_free;
        render_service_tabs(f->services[i], &all, &tabs_free);
        c.all += all;
        c.free += tabs_free;
    }
    c.reserved = reserve_of(f->reserved, c.all);
    c.available = c.free > c.reserved ? c.free - c.reserved : 0;
    return c;
}

static void on_tell(post *p)
{
    render_fleet *f = CONTAINER_OF(p, render_fleet, tell);

    f->telling = false;
    if (f->closing)
        render_fleet_check_closed(f);
    else if (f->on_capacity)
        f->on_capacity(f->arg);
}

/* Once a turn, and within no other function of ours. */
void render_fleet_tell_capacity(render_fleet *f)
{
    if (f->telling || f->closing)
        return;
    f->telling = true;
    f->tell.fn = on_tell;
    loop_post(f->loop, &f->tell);
}

void render_fleet_services(const render_fleet *f, void (*fn)(void *arg, const render_service *s), void *arg)
{
    for (size_t i = 0; i < f->n_services; i++) {
        const service *s = f->services[i];
        const render_service row = {
            .id = s->id,
            .url = s->url,
            .registered = s->registered,
            .is_reachable = s->is_reachable,
            .breaker = render_breaker_at(&s->breaker, loop_now_mono_ms(f->loop)),
            .capacity = s->capacity,
            .load = s->others + s->in_flight,
            .in_flight = s->in_flight,
            .heard_at = s->heard_at,
            .pages = s->pages,
            .failures = s->failures,
            .last_error = s->last_error,
            .last_error_at = s->last_error_at,
        };
        fn(arg, &row);
    }
}

/* ---- the table ---- */

static void remove_at(render_fleet *f, size_t i)
{
    service *s = f->services[i];

    f->n_services--;
    memmove(&f->services[i], &f->services[i + 1], (f->n_services - i) * sizeof(*f->services));
    render_service_leave(s);
}

void render_fleet_forget(service *s)
{
    render_fleet *f = s->fleet;

    for (size_t i = 0; i < f->n_services; i++) {
        if (f->services[i] == s) {
            remove_at(f, i);
            break;
        }
    }
    render_fleet_tell_capacity(f);
}

/* ---- options ---- */

static str without_slash(str url)
{
    return str_ends(url, STR("/")) ? str_head(url, url.n - 1) : url;
}

bool render_is_service_url(str url)
{
    const str host = without_slash(str_from(url, str_starts(url, STR("https://")) ? 8 : 7));

    if (!str_starts(url, STR("http://")) && !str_starts(url, STR("https://")))
        return false;
    for (size_t i = 0; i < host.n; i++)
        if ((uint8_t)host.p[i] <= ' ' || host.p[i] == 127 || strchr("/?#@\\", host.p[i]))
            return false;
    return host.n > 0;
}

static bool is_same(const service *s, const render_service_options *o)
{
    return !s->registered && str_eq(str_c(s->url), without_slash(o->url)) && str_eq(str_c(s->key_name), o->key.name) &&
           str_eq(str_c(s->key_value), o->key.value);
}

static bool has(service *const *table, size_t n, const service *s)
{
    for (size_t i = 0; i < n; i++)
        if (table[i] == s)
            return true;
    return false;
}

static service *find_old(const render_fleet *f, const render_service_options *o)
{
    for (size_t i = 0; i < f->n_services; i++)
        if (is_same(f->services[i], o))
            return f->services[i];
    return NULL;
}

static service *add_new(render_fleet *f, const render_service_options *o)
{
    const str url = without_slash(o->url);
    service *s = render_service_new(f, url, url, &o->key);

    if (s && render_service_watch(s) == 0)
        return s;
    render_service_free(s);
    return NULL;
}

/* The services that the options want: those that are there already, and new ones. */
static int make_table(render_fleet *f, const render_options *o, service **table, size_t *ret_n)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n_services && n < RENDER_SERVICES_MAX; i++) {
        service *s = find_old(f, &o->services[i]);
        if (s && has(table, n, s))
            continue; /* named twice */
        table[n] = s ? s : add_new(f, &o->services[i]);
        if (!table[n++]) {
            for (n--; n > 0; n--)
                if (!has(f->services, f->n_services, table[n - 1]))
                    render_service_free(table[n - 1]);
            return -ENOMEM;
        }
    }
    *ret_n = n;
    return 0;
}

/* Puts the new fixed services in the place of the old ones; the registered ones follow, as far as there is room. */
static void change_table(render_fleet *f, service **table, size_t n)
{
    service *old[RENDER_SERVICES_MAX];
    const size_t n_old = f->n_services;

    memcpy(old, f->services, n_old * sizeof(*old));
    for (size_t i = 0; i < n_old && n < RENDER_SERVICES_MAX; i++)
        if (old[i]->registered)
            table[n++] = old[i];
    memcpy(f->services, table, n * sizeof(*table));
    f->n_services = n;
    for (size_t i = 0; i < n_old; i++)
        if (!has(table, n, old[i]))
            render_service_leave(old[i]);
}

static void take_trust(tls_trust **mine, tls_trust *theirs, client *c)
{
    if (*mine == theirs)
        return;
    tls_trust_unref(*mine);
    *mine = theirs ? tls_trust_ref(theirs) : NULL;
    client_set_trust(c, theirs);
}

struct render_change {
    render_options o;
    service *table[RENDER_SERVICES_MAX];
    size_t n;
};

int render_fleet_prepare(render_fleet *f, const render_options *o, render_change **ret_change)
{
    for (size_t i = 0; i < o->n_services; i++)
        if (!render_is_service_url(o->services[i].url))
            return -EINVAL;
    render_change *c = mem_new(render_change);
    if (!c)
        return -ENOMEM;
    c->o = *o;
    const int r = make_table(f, o, c->table, &c->n);
    if (r < 0)
        mem_free(c);
    else
        *ret_change = c;
    return r;
}

void render_fleet_drop(render_fleet *f, render_change *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (!has(f->services, f->n_services, c->table[i]))
            render_service_free(c->table[i]);
    mem_free(c);
}

void render_fleet_commit(render_fleet *f, render_change *c)
{
    const render_options *o = &c->o;

    f->reserved = o->reserved;
    f->poll_ms = o->poll_ms > 0 ? o->poll_ms : POLL_MS;
    f->max_timeout_ms = o->max_timeout_ms > 0 ? o->max_timeout_ms : MAX_TIMEOUT_MS;
    f->allow_private = o->allow_private;
    f->on_capacity = o->on_capacity;
    f->arg = o->arg;
    take_trust(&f->services_trust, o->services_trust, f->services_client);
    take_trust(&f->origins_trust, o->origins_trust, f->origins_client);
    client_set_public_only(f->origins_client, !o->allow_private);
    change_table(f, c->table, c->n);
    mem_free(c);
}

int render_fleet_set_options(render_fleet *f, const render_options *o)
{
    render_change *c = NULL;
    const int r = render_fleet_prepare(f, o, &c);

    if (r == 0)
        render_fleet_commit(f, c);
    return r;
}

/* ---- registration ---- */

static service *find_registered(const render_fleet *f, str id)
{
    for (size_t i = 0; i < f->n_services; i++)
        if (f->services[i]->registered && str_eq(str_c(f->services[i]->id), id))
            return f->services[i];
    return NULL;
}

static int add_registered(render_fleet *f, const registration *x, service **ret_service)
{
    if (f->n_services == RENDER_SERVICES_MAX)
        return -ENOSPC;
    service *s = render_service_new(f, x->id, x->url, NULL);
    if (!s)
        return -ENOMEM;
    s->registered = true;
    f->services[f->n_services++] = s;
    *ret_service = s;
    return 0;
}

int render_fleet_register(render_fleet *f, str text, str peer, const char **ret_why)
{
    SCOPED(arena_done)
    arena a;
    registration x;

    arena_init(&a, 0);
    int r = render_registration_parse(&a, text, peer, &x, ret_why);
    if (r < 0)
        return r;
    service *s = find_registered(f, x.id);
    if (s && !str_eq(str_c(s->url), x.url)) { /* it came back elsewhere: what was known of it is of no use */
        render_fleet_forget(s);
        s = NULL;
    }
    if (!s)
        r = add_registered(f, &x, &s);
    if (r == 0) {
        r = render_service_watch(s);
        if (r == 0)
            render_service_heard(s, &x.health);
        else
            render_fleet_forget(s);
        render_fleet_tell_capacity(f);
    }
    return r;
}

/* ---- life ---- */

static void fleet_free(render_fleet *f)
{
    render_names_done(&f->names);
    tls_trust_unref(f->services_trust);
    tls_trust_unref(f->origins_trust);
    mem_free(f);
}

static void on_client_gone(void *arg) /* one that a fleet never used */
{
    (void)arg;
}

static int make_clients(render_fleet *f)
{
    const client_options services = {
        .per_origin = TABS_MAX + 8, /* tabs decide, not connections */
        .max_body = RENDER_HTML_MAX + RENDER_METADATA_MAX + 4,
        .breaker_failures = UINT_MAX, /* there is our own */
    };
    const client_options origins = {.max_body = RENDER_HTML_MAX};

    int r = client_new(f->loop, NULL, &services, &f->services_client);
    if (r < 0)
        return r;
    r = client_new(f->loop, NULL, &origins, &f->origins_client);
    if (r < 0)
        client_close(f->services_client, on_client_gone, NULL);
    return r;
}

int render_fleet_new(loop *l, const render_options *o, render_fleet **ret_fleet)
{
    render_fleet *f = mem_new(render_fleet);

    if (!f)
        return -ENOMEM;
    f->loop = l;
    list_init(&f->operations);
    int r = make_clients(f);
    if (r < 0) {
        mem_free(f);
        return r;
    }
    f->names = (names){.loop = l, .client = f->origins_client};
    r = render_fleet_set_options(f, o);
    if (r < 0) {
        client_close(f->services_client, on_client_gone, NULL);
        client_close(f->origins_client, on_client_gone, NULL);
        fleet_free(f);
        return r;
    }
    *ret_fleet = f;
    return 0;
}

void render_fleet_check_closed(render_fleet *f)
{
    if (!f->closing || f->open_clients > 0 || f->n_leaving > 0 || f->telling || !list_empty(&f->operations))
        return;
    void (*closed)(void *) = f->closed;
    void *arg = f->closed_arg;
    fleet_free(f);
    closed(arg);
}

static void on_client_closed(void *arg)
{
    render_fleet *f = arg;

    f->open_clients--;
    render_fleet_check_closed(f);
}

void render_fleet_close(render_fleet *f, void (*closed)(void *arg), void *arg)
{
    f->closing = true;
    f->closed = closed;
    f->closed_arg = arg;
    f->open_clients = 2;
    render_operations_cancel(f);
    while (f->n_services > 0)
        remove_at(f, f->n_services - 1);
    client_close(f->services_client, on_client_closed, f);
    client_close(f->origins_client, on_client_closed, f);
}
