/* Which entry is next. Of each lane of each host a window of due entries is in memory, read anew when it has become
 * empty; entries under way stay in the store, and are passed over. */
#include "service.h"

#define AGED_MS MINUTES(5) /* who has waited so long comes first.. */
#define AGED_TURN 8        /* ..each so many picks */
#define FIRST_COST SECONDS(1)
#define LOOKED_AT_MAX 32   /* entries in a pump, for whether they would be refused */

/* ---- sites ---- */
site *rota_site(const recache *r, uint32_t host)
{
    for (size_t i = 0; i < r->n_sites; i++)
        if (r->sites[i]->id == host)
            return r->sites[i];
    return NULL;
}

static void window_wake(window *w)
{
    w->is_dry = false;
}

static site *site_new(recache *r, uint32_t id)
{
    site *s = mem_new(site);

    if (s) {
        s->id = id;
        s->cost = FIRST_COST;
        s->used = r->virtual_time;
        s->tokens_at = INT64_MIN;
    }
    return s;
}

/* The sites of `c`'s hosts, old ones where there are, then those that are still at work though their host is gone. */
int rota_configure(recache *r, const settings *c)
{
    site **v = mem_alloc((c->n_hosts + r->n_sites + 1) * sizeof(*v));
    size_t n = 0;

    if (!v)
        return -ENOMEM;
    for (; n < c->n_hosts; n++) {
        site *old = rota_site(r, c->hosts[n].id);
        v[n] = old ? old : site_new(r, c->hosts[n].id);
        if (!v[n])
            break;
    }
    if (n < c->n_hosts) {
        while (n-- > 0)
            if (rota_site(r, v[n]->id) != v[n])
                mem_free(v[n]);
        mem_free(v);
        return -ENOMEM;
    }
    for (size_t i = 0; i < r->n_sites; i++)
        r->sites[i]->host = NULL;
    for (size_t i = 0; i < c->n_hosts; i++)
        v[i]->host = &c->hosts[i];
    for (size_t i = 0; i < r->n_sites; i++) {
        site *s = r->sites[i];
        if (!s->host && s->in_flight > 0)
            v[n++] = s;
        else if (!s->host)
            mem_free(s);
    }
    mem_free(r->sites);
    r->sites = v;
    r->n_sites = n;
    return 0;
}

void rota_done(recache *r)
{
    for (size_t i = 0; i < r->n_sites; i++)
        mem_free(r->sites[i]);
    mem_free(r->sites);
}

void rota_wake(recache *r, uint32_t host)
{
    site *s = rota_site(r, host);

    for (unsigned lane = 0; s && lane < QUEUE_LANES; lane++)
        window_wake(&s->windows[lane]);
    recache_pump(r);
}

void rota_wake_all(recache *r)
{
    for (size_t i = 0; i < r->n_sites; i++)
        for (unsigned lane = 0; lane < QUEUE_LANES; lane++)
            window_wake(&r->sites[i]->windows[lane]);
    recache_pump(r);
}

/* ---- windows ---- */
static bool site_is_idle(const site *s)
{
    unsigned n = s->in_flight;

    for (unsigned lane = 0; lane < QUEUE_LANES; lane++)
        n += s->windows[lane].n;
    return n == 0;
}

static int window_read(recache *r, const site *s, window *w, str prefix, int64_t now)
{
    store_view *v = store_read_begin(r->store);
    store_cursor *c = NULL;
    store_item item;
    recache_entry e;

    w->next_due = INT64_MAX;
    int err = store_walk(v, &recache_queue_ks, STORE_BY_KEY, prefix, STR_NULL, false, &c);
    while (err == 0 && w->n < WINDOW && store_next(c, &item)) {
        err = queue_decode_key(item.key, &e);
        if (err == 0 && e.due > now) {
            w->next_due = e.due;
            break;
        }
        if (err < 0)
            continue;
        work *under_way = work_find(r, s->id, e.hash, e.dimension);
        if (!under_way)
            w->slots[w->n++] = (slot){e.due, e.hash, e.dimension};
        else
            under_way->is_moved |= under_way->e.priority != e.priority || under_way->e.due != e.due;
    }
    if (err == 0)
        err = store_cursor_error(c);
    w->is_dry = err == 0 && w->n < WINDOW;
    store_cursor_end(c);
    store_read_end(v);
    return err;
}

/* Fills the window when it is empty and there may be something to fill it with. */
static int window_fill(recache *r, site *s, unsigned lane, int64_t now)
{
    window *w = &s->windows[lane];
    char prefix[QUEUE_DUE_AT];

    if (w->n > 0 || (w->is_dry && now < w->next_due))
        return 0;
    if (r->reads_left == 0) {
        r->lacks_reads = true;
        return 0;
    }
    r->reads_left--;
    const bool was_idle = site_is_idle(s);
    lane_prefix(s->id, lane, prefix);
    const int err = window_read(r, s, w, str_of(prefix, sizeof(prefix)), now);
    if (was_idle && s->used < r->virtual_time) /* what it did not use while it had no work is lost */
        s->used = r->virtual_time;
    return err;
}

void rota_turn(recache *r)
{
    if (r->lacks_reads) /* they shall not go to the same sites again */
        r->first_site += ROTA_READS;
    r->lacks_reads = false;
    r->reads_left = ROTA_READS;
    r->looks_left = LOOKED_AT_MAX;
}

/* ---- picking ---- */
static site *nth_site(const recache *r, size_t i)
{
    return r->sites[(r->first_site + i) % r->n_sites];
}

static bool rate_permits(const recache *r, site *s)
{
    const int64_t now = loop_now_mono_ms(r->config->o.loop);
    const double burst = (double)(s->host->burst > 1 ? s->host->burst : 1);

    if (s->host->rate <= 0)
        return true;
    if (s->tokens_at == INT64_MIN)
        s->tokens = burst;
    else
        s->tokens += (double)(now - s->tokens_at) * s->host->rate / 1000;
    if (s->tokens > burst)
        s->tokens = burst;
    s->tokens_at = now;
    return s->tokens >= 1;
}

typedef struct choice {
    site *site;
    unsigned lane;
} choice;

/* Among the hosts that have an entry in this lane, the one that was given least. */
static int choose_fair(recache *r, unsigned lane, int64_t now, choice *best)
{
    for (size_t i = 0; i < r->n_sites; i++) {
        site *s = nth_site(r, i);
        const int err = s->host ? window_fill(r, s, lane, now) : 0;
        if (err < 0)
            return err;
        if (s->host && s->windows[lane].n > 0 && (!best->site || s->used < best->site->used) && rate_permits(r, s))
            *best = (choice){s, lane};
    }
    return 0;
}

/* The host of this lane's entry that has waited longest, when that is long, and longer than in `best`. */
static int choose_aged(recache *r, unsigned lane, int64_t now, choice *best)
{
    int64_t oldest = best->site ? best->site->windows[best->lane].slots[0].due : now - AGED_MS;

    for (size_t i = 0; i < r->n_sites; i++) {
        site *s = nth_site(r, i);
        const window *w = &s->windows[lane];
        const int err = s->host ? window_fill(r, s, lane, now) : 0;
        if (err < 0)
            return err;
        if (s->host && w->n > 0 && w->slots[0].due < oldest && rate_permits(r, s)) {
            *best = (choice){s, lane};
            oldest = w->slots[0].due;
        }
    }
    return 0;
}

static bool lane_is_usable(unsigned lane, bool may_render, bool may_fetch)
{
    return LANE_IS_FETCHED(lane) ? may_fetch : may_render;
}

static int choose(recache *r, bool may_render, bool may_fetch, choice *ret_choice)
{
    const int64_t now = recache_now(r);
    const bool aged = r->picks % AGED_TURN == AGED_TURN - 1;
    int err = 0;

    for (unsigned lane = 0; err == 0 && aged && lane < QUEUE_LANES; lane++)
        if (lane_is_usable(lane, may_render, may_fetch))
            err = choose_aged(r, lane, now, ret_choice);
    for (unsigned lane = 0; err == 0 && !ret_choice->site && lane < QUEUE_LANES; lane++)
        if (lane_is_usable(lane, may_render, may_fetch))
            err = choose_fair(r, lane, now, ret_choice);
    return err;
}

int rota_pick(recache *r, bool may_render, bool may_fetch, pick *ret_pick)
{
    choice c = {0};

    const int err = choose(r, may_render, may_fetch, &c);
    if (err < 0 || !c.site)
        return err < 0 ? err : -ENOENT;

    window *w = &c.site->windows[c.lane];
    *ret_pick = (pick){c.site, c.lane, w->slots[0], c.site->cost};
    w->n--;
    memmove(&w->slots[0], &w->slots[1], w->n * sizeof(w->slots[0]));
    r->picks++;
    if (c.site->used > r->virtual_time)
        r->virtual_time = c.site->used;
    c.site->used += c.site->cost;
    c.site->tokens -= c.site->host->rate > 0;
    return 0;
}

/* ---- what is refused ---- */
static void check_from_start(recache *r)
{
    r->checks = true;
    r->checks_again = false;
    memset(r->checked, 0, sizeof(r->checked));
}

void rota_check_again(recache *r)
{
    if (r->checks) /* else a stream of refused URLs would keep it at the beginning */
        r->checks_again = true;
    else
        check_from_start(r);
}

static int check_entry(recache *r, const store_item *item, pick *ret_pick)
{
    recache_entry e;
    str why = STR_NULL;
    arena a;

    int err = queue_decode(item->key, item->value, &e);
    if (err < 0)
        return -ENOENT; /* it is not begun either */
    site *s = rota_site(r, e.host);
    if (!s || !s->host || work_find(r, e.host, e.hash, e.dimension))
        return -ENOENT;
    arena_init(&a, 0);
    err = work_refusal(&a, s->host, &e, &why);
    arena_done(&a);
    if (err == 0 && why.p)
        *ret_pick = (pick){s, LANE_OF(e.priority, e.dimension), {e.due, e.hash, e.dimension}, 0};
    return err < 0 || why.p ? err : -ENOENT;
}

int rota_pick_refused(recache *r, pick *ret_pick)
{
    const str from = str_of(r->checked, sizeof(r->checked));
    store_cursor *c;
    store_item item;
    bool more = true;

    if (!r->checks)
        return -ENOENT;
    store_view *v = store_read_begin(r->store);
    int err = store_walk(v, &recache_queue_ks, STORE_BY_KEY, STR_NULL, from, false, &c);
    int found = -ENOENT;
    while (err == 0 && found == -ENOENT && r->looks_left > 0 && (more = store_next(c, &item))) {
        if (item.key.n != sizeof(r->checked) || str_eq(item.key, from))
            continue;
        found = check_entry(r, &item, ret_pick);
        memcpy(r->checked, item.key.p, sizeof(r->checked));
        r->looks_left--;
    }
    if (err == 0) {
        err = store_cursor_error(c);
        store_cursor_end(c);
    }
    store_read_end(v);
    if (err < 0 || found != -ENOENT)
        return err < 0 ? err : found;
    r->checks = more;
    if (!more && r->checks_again)
        check_from_start(r);
    return r->checks ? -EAGAIN : -ENOENT;
}

void rota_charge(site *s, int64_t charged, int64_t ms)
{
    s->used += ms - charged;
    s->cost += (ms - s->cost) / 8;
    if (s->cost < 1)
        s->cost = 1;
}

int64_t rota_delay(const recache *r, bool may_render, bool may_fetch)
{
    const int64_t now = loop_now_wall_ms(r->config->o.loop);
    int64_t delay = INT64_MAX;

    for (size_t i = 0; i < r->n_sites; i++) {
        const site *s = r->sites[i];
        for (unsigned lane = 0; s->host && lane < QUEUE_LANES; lane++) {
            const window *w = &s->windows[lane];
            int64_t d = INT64_MAX;
            if (!lane_is_usable(lane, may_render, may_fetch)) /* nor read: what it says may be past */
                continue;
            if (w->n > 0 && s->host->rate > 0 && s->tokens < 1)
                d = (int64_t)((1 - s->tokens) * 1000 / s->host->rate) + 1;
            else if (w->n == 0 && w->is_dry && w->next_due < INT64_MAX)
                d = w->next_due > now ? w->next_due - now : 0;
            if (d < delay)
                delay = d;
        }
    }
    return delay;
}
