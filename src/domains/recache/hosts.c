/* Looking things up in a host, and copying hosts so that they outlive the configuration they came from. */
#include "hosts.h"

const recache_dimension *recache_dimension_by_id(const recache_host *h, int64_t id)
{
    for (size_t i = 0; i < h->n_dimensions; i++)
        if (h->dimensions[i].id == id)
            return &h->dimensions[i];
    return NULL;
}

const recache_dimension *recache_dimension_by_name(const recache_host *h, str name)
{
    for (size_t i = 0; i < h->n_dimensions; i++)
        if (str_eq(h->dimensions[i].name, name))
            return &h->dimensions[i];
    return NULL;
}

bool recache_host_has_domain(const recache_host *h, str hostname)
{
    for (size_t i = 0; i < h->domains.n; i++)
        if (str_eq_nocase(h->domains.v[i], hostname))
            return true;
    return false;
}

bool recache_host_keeps_status(const recache_host *h, int64_t status)
{
    for (size_t i = 0; i < h->n_status_codes; i++)
        if (h->status_codes[i] == status)
            return true;
    return false;
}

size_t recache_host_kept_dimensions(const recache_host *h, uint16_t out[RECACHE_DIMENSIONS_MAX])
{
    size_t n = 0;

    for (size_t i = 0; i < h->n_dimensions && n < RECACHE_DIMENSIONS_MAX; i++)
        if (h->dimensions[i].action != RECACHE_BLOCK)
            out[n++] = h->dimensions[i].id;
    return n;
}

/* ---- copying ---- */
static bool copy_texts(arena *a, strs *texts)
{
    str *v = arena_array(a, str, texts->n);

    if (!v)
        return false;
    for (size_t i = 0; i < texts->n; i++) {
        v[i] = texts->v[i];
        if (!arena_own(a, &v[i]))
            return false;
    }
    texts->v = v;
    return true;
}

static bool copy_dimensions(arena *a, recache_host *h)
{
    recache_dimension *v = arena_array(a, recache_dimension, h->n_dimensions);

    if (!v)
        return false;
    for (size_t i = 0; i < h->n_dimensions; i++) {
        v[i] = h->dimensions[i];
        if (!arena_own(a, &v[i].name) || !arena_own(a, &v[i].user_agent) || !copy_texts(a, &v[i].match_ua))
            return false;
    }
    h->dimensions = v;
    return true;
}

static bool copy_host(arena *a, recache_host *h)
{
    int64_t *codes = arena_array(a, int64_t, h->n_status_codes);

    if (!codes)
        return false;
    if (h->n_status_codes > 0)
        memcpy(codes, h->status_codes, h->n_status_codes * sizeof(*codes));
    h->status_codes = codes;
    return copy_texts(a, &h->domains) && copy_dimensions(a, h) && copy_texts(a, &h->tracking) &&
           arena_own(a, &h->wait_for) && copy_texts(a, &h->blocked_patterns) &&
           copy_texts(a, &h->blocked_resource_types);
}

int recache_hosts_copy(arena *a, const recache_host *hosts, size_t n, recache_host **ret_hosts)
{
    recache_host *v = arena_array(a, recache_host, n);

    if (!v)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        v[i] = hosts[i];
        if (!copy_host(a, &v[i]))
            return -ENOMEM;
    }
    *ret_hosts = v;
    return 0;
}

int recache_hosts_check(const recache_host *hosts, size_t n)
{
    if (n > RECACHE_HOSTS_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        const recache_host *h = &hosts[i];
        if (h->id == 0 || h->domains.n == 0 || h->n_dimensions > RECACHE_DIMENSIONS_MAX || h->ttl_ms <= 0 ||
            h->stale_ttl_ms < 0 || h->rate < 0)
            return -EINVAL;
        for (size_t k = 0; k < i; k++)
            if (hosts[k].id == h->id)
                return -EINVAL;
    }
    return 0;
}
