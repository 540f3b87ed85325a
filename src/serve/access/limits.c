/* Sliding windows, and the table of clients. Windows go by the clock that never jumps. */
#include "private.h"

static const struct {
    int64_t slot_ms;
    const char *counted;
} SPANS[WINDOWS] = {
    [BY_MINUTE] = {2000, "requests per minute"},
    [BY_HOUR] = {120000, "requests per hour"},
};

/* ---- windows ---- */
static size_t place_of(int64_t number) /* in the ring; at the clock's beginning numbers reach below 0 */
{
    return (size_t)(number + WINDOW_SLOTS) % WINDOW_SLOTS;
}

static void drop_slot(window *w, int64_t number)
{
    const size_t i = place_of(number);

    w->sum -= w->slot[i].n;
    w->slot[i].n = 0;
}

/* Lets out what has become too old. */
static void window_turn(window *w, int64_t now_ms, int64_t slot_ms)
{
    const int64_t now = now_ms / slot_ms;

    if (now - w->newest >= WINDOW_SLOTS) {
        memset(w->slot, 0, sizeof(w->slot));
        w->sum = 0;
        w->newest = now;
    }
    while (w->newest < now)
        drop_slot(w, ++w->newest); /* its place was the oldest one's */
    if (w->slot[place_of(now + 1)].last_ms <= now_ms - now * slot_ms)
        drop_slot(w, now + 1);
}

/* When there will be room under the limit: slots leave one after the other. */
static int64_t window_room_at(const window *w, int64_t slot_ms, int64_t limit)
{
    int64_t sum = w->sum, number = w->newest - WINDOW_SLOTS, last_ms = 0;

    while (sum >= limit && number < w->newest) {
        const size_t i = place_of(++number);
        sum -= w->slot[i].n;
        last_ms = w->slot[i].last_ms;
    }
    return (number + WINDOW_SLOTS - 1) * slot_ms + last_ms;
}

static void window_add(window *w, int64_t now_ms, int64_t slot_ms)
{
    const size_t i = place_of(w->newest);

    w->slot[i].n++;
    w->slot[i].last_ms = (uint32_t)(now_ms - w->newest * slot_ms);
    w->sum++;
}

/* ---- clients ---- */
/* Their ids come from strangers, so the table is hashed under a key of this process. */
static unsigned hash_of(const access_control *a, const client_id *id)
{
    return (unsigned)siphash24(&a->sip, id, sizeof(*id));
}

static void forget_longest_idle(access_control *a)
{
    list *l = list_pop(&a->idle);

    if (!l)
        return;
    access_client *c = CONTAINER_OF(l, access_client, idle);
    HASH_DEL(a->clients, c);
    if (a->last == c)
        a->last = NULL;
    mem_free(c);
    a->n_clients--;
}

static access_client *client_add(access_control *a, const client_id *id, unsigned hash)
{
    if (a->n_clients >= CLIENTS_MAX)
        forget_longest_idle(a);
    /* full of clients with requests under way */
    access_client *c = a->n_clients < CLIENTS_MAX ? mem_new(access_client) : NULL;
    if (!c)
        return NULL;
    c->id = *id;
    HASH_ADD_BYHASHVALUE(hh, a->clients, id, sizeof(c->id), hash, c);
    if (!c->hh.tbl) {
        mem_free(c);
        return NULL;
    }
    list_push(&a->idle, &c->idle);
    a->n_clients++;
    return c;
}

static access_client *client_of(access_control *a, const access_grant *g)
{
    client_id id = {.has_key = g->has_key};
    access_client *c = a->last;

    memcpy(id.bytes, g->identity, sizeof(id.bytes));
    if (c && memcmp(&c->id, &id, sizeof(id)) == 0)
        return c;
    const unsigned hash = hash_of(a, &id);
    HASH_FIND_BYHASHVALUE(hh, a->clients, &id, sizeof(id), hash, c);
    if (!c)
        c = client_add(a, &id, hash);
    a->last = c;
    return c;
}

/* ---- counting ---- */
static void refuse(access_grant *g, int64_t wait_s, int64_t maximum, const char *counted)
{
    g->why = counted;
    g->maximum = maximum;
    g->retry_after_s = wait_s;
}

/* Of windows with room the tightest is told about, of full ones the one that stays full longest. */
static void look_at_window(access_client *c, unsigned span, int64_t limit, int64_t now_ms, access_grant *g)
{
    const int64_t slot_ms = SPANS[span].slot_ms;
    window *w = &c->windows[span];

    window_turn(w, now_ms, slot_ms);
    const int64_t left = limit - w->sum;
    if (left <= 0) {
        const int64_t wait_s = (window_room_at(w, slot_ms, limit) - now_ms + 999) / 1000;
        if (g->why && wait_s <= g->retry_after_s)
            return;
        refuse(g, wait_s, limit, SPANS[span].counted);
        g->limit = limit;
        g->remaining = 0;
        g->reset_s = wait_s;
    } else if (!g->why && (g->limit == 0 || left < g->remaining)) {
        g->limit = limit;
        g->remaining = left;
        g->reset_s = slot_ms * (WINDOW_SLOTS - 1) / 1000;
    }
}

int access_enter(access_control *a, access_grant *g)
{
    const int64_t now_ms = clk_mono_ms(a->clock);

    if (g->per_minute == INT64_MAX && g->per_hour == INT64_MAX && g->concurrent == INT64_MAX)
        return 0;
    access_client *c = client_of(a, g);
    if (!c)
        return -ENOMEM;
    look_at_window(c, BY_MINUTE, g->per_minute, now_ms, g);
    look_at_window(c, BY_HOUR, g->per_hour, now_ms, g);
    if (g->limit == INT64_MAX)
        g->limit = 0;
    g->reset_s += (clk_wall_ms(a->clock) + 999) / 1000; /* it was from now */
    if (!g->why && c->under_way >= g->concurrent)
        refuse(g, 1, g->concurrent, "concurrent requests");
    list_remove(&c->idle);
    if (g->why) {
        if (c->under_way == 0)
            list_push(&a->idle, &c->idle);
        return -EDQUOT;
    }
    for (unsigned span = 0; span < WINDOWS; span++)
        window_add(&c->windows[span], now_ms, SPANS[span].slot_ms);
    g->remaining--;
    c->under_way++;
    g->client = c;
    return 0;
}

void access_leave(access_control *a, access_grant *g)
{
    access_client *c = g->client;

    g->client = NULL;
    if (c && --c->under_way == 0)
        list_push(&a->idle, &c->idle);
}
