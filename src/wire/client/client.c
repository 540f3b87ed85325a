/* The face: making, closing, options, metrics. */
#include "client_private.h"

const char *client_failure_name(client_failure f)
{
    static const char *const names[] = {
#define NAME_OF(id, label) [CLIENT_##id] = label,
        CLIENT_FAILURES(NAME_OF)
#undef NAME_OF
    };
    return f >= 0 && f < CLIENT_FAILURE_COUNT ? names[f] : "unknown";
}

static client_options with_defaults(client_options o)
{
    static const client_options usual = {
        .user_agent = "larder",
        .per_origin = 6,
        .idle_ms = SECONDS(30),
        .connect_ms = SECONDS(10),
        .first_byte_ms = SECONDS(30),
        .total_ms = SECONDS(120),
        .max_body = (size_t)64 << 20,
        .max_head = (size_t)64 << 10,
        .retry_base_ms = 500,
        .retry_cap_ms = SECONDS(30),
        .breaker_failures = 8,
    };
#define TAKE_DEFAULT(field) o.field = o.field ? o.field : usual.field
    TAKE_DEFAULT(user_agent);
    TAKE_DEFAULT(per_origin);
    TAKE_DEFAULT(idle_ms);
    TAKE_DEFAULT(connect_ms);
    TAKE_DEFAULT(first_byte_ms);
    TAKE_DEFAULT(total_ms);
    TAKE_DEFAULT(max_body);
    TAKE_DEFAULT(max_head);
    TAKE_DEFAULT(retry_base_ms);
    TAKE_DEFAULT(retry_cap_ms);
    TAKE_DEFAULT(breaker_failures);
#undef TAKE_DEFAULT
    return o;
}

static void client_free(client *c)
{
    for (size_t i = 0; i < c->n_origins; i++)
        client_origin_free(c->origins[i]);
    for (size_t i = 0; i < c->n_stats; i++)
        mem_free((char *)(uintptr_t)c->stats[i].origin.p); /* its own copy */
    mem_free(c->origins);
    mem_free(c->user_agent);
    mem_free(c->scratch);
    tls_trust_unref(c->trust);
    mem_free(c);
}

int client_new(loop *l, tls_trust *trust, const client_options *o, client **ret_client)
{
    client *c = mem_new(client);
    if (!c)
        return -ENOMEM;
    c->loop = l;
    c->options = with_defaults(*o);
    c->trust = trust ? tls_trust_ref(trust) : NULL;
    c->stats[STATS_ORIGINS].origin = STR("other");
    list_init(&c->calls);
    list_init(&c->lookups);
    c->user_agent = mem_strndup(c->options.user_agent, strlen(c->options.user_agent));
    c->options.user_agent = c->user_agent;
    c->scratch = mem_alloc(CLIENT_INPUT_SIZE);
    if (!c->user_agent || !c->scratch) {
        client_free(c);
        return -ENOMEM;
    }
    *ret_client = c;
    return 0;
}

void client_set_public_only(client *c, bool on)
{
    if (on && !c->options.public_only)
        for (size_t i = 0; i < c->n_origins; i++)
            client_origin_drop_idle(c->origins[i]);
    c->options.public_only = on;
}

void client_set_trust(client *c, tls_trust *trust)
{
    tls_trust *old = c->trust;
    c->trust = trust ? tls_trust_ref(trust) : NULL;
    tls_trust_unref(old);
    for (size_t i = 0; i < c->n_origins; i++) {
        client_origin_keep_ticket(c->origins[i], NULL);
        client_origin_forgive(c->origins[i]);
        client_origin_drop_idle(c->origins[i]);
    }
}

/* ---- close ---- */

static void on_closed(post *p)
{
    client *c = CONTAINER_OF(p, client, closed_post);
    void (*closed)(void *) = c->closed;
    void *arg = c->closed_arg;
    client_free(c);
    closed(arg);
}

void client_check_closed(client *c)
{
    if (!c->closing || c->closed_posted || !list_empty(&c->calls) || !list_empty(&c->lookups) || c->open_conns > 0)
        return;
    c->closed_posted = true;
    c->closed_post.fn = on_closed;
    loop_post(c->loop, &c->closed_post);
}

void client_close(client *c, void (*closed)(void *arg), void *arg)
{
    c->closing = true;
    c->closed = closed;
    c->closed_arg = arg;
    for (list *l = c->calls.next; l != &c->calls; l = l->next) /* they leave the list later, in their own turn */
        client_call_finish(CONTAINER_OF(l, call, link), CLIENT_CANCELLED, "shutting down");
    client_lookup_close_all(c);
    for (size_t i = 0; i < c->n_origins; i++)
        client_origin_drop_idle(c->origins[i]);
    client_check_closed(c);
}

/* ---- metrics ---- */

void client_metrics(const client *c, client_metric_fn *fn, void *arg)
{
    static const char *const classes[] = {"2xx", "3xx", "4xx", "5xx"};
    for (size_t i = 0; i <= STATS_ORIGINS; i++) {
        const stats *s = &c->stats[i];
        for (size_t r = 0; r < STATS_RESULTS; r++)
            if (s->counts[r] > 0)
                fn(arg, s->origin,
                   r < CLIENT_FAILURE_COUNT ? client_failure_name((client_failure)r)
                                            : classes[r - CLIENT_FAILURE_COUNT],
                   s->counts[r]);
    }
}
