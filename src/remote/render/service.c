/* One render service: what is known of it, its polls, its tabs; and which one is given the next page. */
#include "render_private.h"

#include <stdio.h>

#define REGISTRATION_MS SECONDS(3)
#define HEALTH_MAX ((size_t)65536)
#define MISSES_ALLOWED 1 /* one poll may get lost */
#define SLOWEST_POLL 3   /* powers of two */

static int64_t now_of(const service *s)
{
    return loop_now_mono_ms(s->fleet->loop);
}

/* ---- life ---- */

void render_service_free(service *s)
{
    if (!s)
        return;
    loop_timer_cancel(s->fleet->loop, &s->timer);
    mem_free(s->id);
    mem_free(s->url);
    mem_free(s->health_url);
    mem_free(s->key_name);
    if (s->key_value)
        mem_wipe(s->key_value, strlen(s->key_value));
    mem_free(s->key_value);
    mem_free(s);
}

static char *join(str a, str b)
{
    char *both = mem_alloc(a.n + b.n + 1);

    if (both) {
        memcpy(both, a.p, a.n);
        memcpy(both + a.n, b.p, b.n);
        both[a.n + b.n] = '\0';
    }
    return both;
}

service *render_service_new(render_fleet *f, str id, str url, const client_header *key)
{
    service *s = mem_new(service);

    if (!s)
        return NULL;
    s->fleet = f;
    s->id = mem_strndup(id.p, id.n);
    s->url = mem_strndup(url.p, url.n);
    s->health_url = join(url, STR("/health"));
    if (key && key->name.n > 0) {
        s->key_name = mem_strndup(key->name.p, key->name.n);
        s->key_value = mem_strndup(key->value.p ? key->value.p : "", key->value.n);
    }
    if (!s->id || !s->url || !s->health_url || (key && key->name.n > 0 && (!s->key_name || !s->key_value))) {
        render_service_free(s);
        return NULL;
    }
    return s;
}

static void free_if_left(service *s)
{
    render_fleet *f = s->fleet;

    if (!s->gone || s->polling || s->in_flight > 0)
        return;
    render_service_free(s);
    f->n_leaving--;
    render_fleet_check_closed(f);
}

void render_service_leave(service *s)
{
    s->gone = true;
    s->fleet->n_leaving++;
    loop_timer_cancel(s->fleet->loop, &s->timer);
    if (s->polling)
        client_cancel(&s->poll);
    free_if_left(s);
}

void render_service_note(service *s, const char *why)
{
    snprintf(s->last_error, sizeof(s->last_error), "%s", why);
    s->last_error_at = loop_now_wall_ms(s->fleet->loop);
}

void render_service_heard(service *s, const health *h)
{
    s->heard_at = loop_now_wall_ms(s->fleet->loop);
    s->is_reachable = true;
    s->misses = 0;
    s->capacity = h->capacity;
    s->others = h->load > s->in_flight ? h->load - s->in_flight : 0;
}

/* ---- polls ---- */

static void on_poll_due(timer *t);

/* Moves the timer, which on_poll_due has set. */
static void poll_again(service *s)
{
    const unsigned slower = s->misses < SLOWEST_POLL ? s->misses : SLOWEST_POLL;
    const int64_t usual = s->fleet->poll_ms << slower;
    const int64_t pause = usual * 8 / 10 + (int64_t)random_below((uint64_t)usual * 4 / 10 + 1);

    (void)loop_timer_set(s->fleet->loop, &s->timer, pause, on_poll_due);
}

static void miss(service *s, const char *why)
{
    s->misses++;
    if (s->misses > MISSES_ALLOWED)
        s->is_reachable = false;
    render_service_note(s, why);
}

static void take_health(service *s)
{
    const client_call *c = &s->poll;
    char text[RENDER_ERROR_TEXT];
    health h;

    if (c->failure != CLIENT_NONE) {
        snprintf(text, sizeof(text), "/health: " STR_FMT, STR_ARG(c->why));
        miss(s, text);
    } else if (c->status != 200) {
        snprintf(text, sizeof(text), "/health: status %d", c->status);
        miss(s, text);
    } else if (render_health_parse(buf_view(&c->reply), &h) < 0) {
        miss(s, "/health: not what a render service says");
    } else {
        render_service_heard(s, &h);
    }
}

static void on_polled(client_call *call)
{
    service *s = call->user;
    render_fleet *f = s->fleet;

    s->polling = false;
    if (s->gone) {
        client_call_done(call);
        free_if_left(s);
        return;
    }
    take_health(s);
    client_call_done(call);
    poll_again(s);
    render_fleet_tell_capacity(f);
}

static void on_poll_due(timer *t)
{
    service *s = CONTAINER_OF(t, service, timer);

    /* First the timer, whose place in the loop's heap has just become free: no lack of memory ends the polling. */
    if (loop_timer_set(s->fleet->loop, t, 2 * CONNECT_MS, on_poll_due) < 0)
        render_service_note(s, "/health: out of memory, polled no more");
    if (s->polling)
        return;
    s->header = (client_header){str_c(s->key_name), str_c(s->key_value)};
    s->poll = (client_call){
        .url = str_c(s->health_url),
        .headers = &s->header,
        .n_headers = s->key_name ? 1 : 0,
        .keeps_redirects = true,
        .connect_ms = CONNECT_MS,
        .total_ms = CONNECT_MS,
        .max_body = HEALTH_MAX,
        .on_done = on_polled,
        .user = s,
    };
    s->polling = client_start(s->fleet->services_client, &s->poll) == 0;
    if (!s->polling) {
        miss(s, "/health: out of memory");
        poll_again(s);
    }
}

static void on_expired(timer *t)
{
    render_fleet_forget(CONTAINER_OF(t, service, timer));
}

int render_service_watch(service *s)
{
    if (s->registered)
        return loop_timer_set(s->fleet->loop, &s->timer, REGISTRATION_MS, on_expired);
    return loop_timer_set(s->fleet->loop, &s->timer, 0, on_poll_due);
}

/* ---- tabs ---- */

static unsigned load_of(const service *s)
{
    return s->others + s->in_flight;
}

void render_service_tabs(const service *s, unsigned *ret_all, unsigned *ret_free)
{
    unsigned all = s->is_reachable ? s->capacity : 0;
    const render_breaker at = render_breaker_at(&s->breaker, now_of(s));

    if (at == RENDER_BREAKER_OPEN || (at == RENDER_BREAKER_HALF_OPEN && s->breaker.probing))
        all = 0;
    const unsigned tabs_free = all > load_of(s) ? all - load_of(s) : 0;
    const bool half = at == RENDER_BREAKER_HALF_OPEN;
    *ret_all = half && all > 1 ? 1 : all;
    *ret_free = half && tabs_free > 1 ? 1 : tabs_free;
}

/* The smaller share of tabs in use; capacities are > 0. */
static bool is_less_loaded(const service *a, const service *b)
{
    return (uint64_t)load_of(a) * b->capacity < (uint64_t)load_of(b) * a->capacity;
}

service *render_service_pick(render_fleet *f)
{
    service *best = NULL;

    if (render_fleet_capacity(f).available == 0)
        return NULL;
    for (size_t i = 0; i < f->n_services; i++) {
        service *s = f->services[(f->turn + i) % f->n_services];
        unsigned all, tabs_free;
        render_service_tabs(s, &all, &tabs_free);
        if (tabs_free > 0 && (!best || is_less_loaded(s, best)))
            best = s;
    }
    f->turn++;
    return best;
}

bool render_service_take(service *s)
{
    const bool probe = render_breaker_at(&s->breaker, now_of(s)) == RENDER_BREAKER_HALF_OPEN;

    s->in_flight++;
    s->breaker.probing = s->breaker.probing || probe;
    return probe;
}

void render_service_give_back(service *s, bool probe, outcome how, const char *why)
{
    s->in_flight--;
    if (probe)
        s->breaker.probing = false;
    if (how == OUTCOME_WELL) {
        render_breaker_succeeded(&s->breaker);
        s->pages++;
    } else if (how == OUTCOME_ITS_FAULT) {
        render_breaker_failed(&s->breaker, now_of(s));
        render_service_note(s, why);
        s->failures++;
    }
    free_if_left(s);
}
