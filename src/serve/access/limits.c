/* Sliding windows, and the table of clients. Windows go by the clock that never jumps. */
#include "private.h"

static const struct {
    int64_t slot_ms;
    const char *counted;
} SPANS[WINDOWS] = {
    [BY_MINUTE] = {1000, "requests per minute"},
    [BY_HOUR] = {60000, "requests per hour"},
};

/* ---- windows ---- */
/* Lets old slots fall out. */
static void window_turn(window *w, int64_t now)
{
    if (now - w->newest >= WINDOW_SLOTS) {
        memset(w->slot, 0, sizeof(w->slot));
        w->sum = 0;
        w->newest = now;
    }
    while (w->newest < now) {
        uint32_t *slot = &w->slot[++w->newest % WINDOW_SLOTS];
        w->sum -= *slot;
        *slot = 0;
    }
}

/* The number of the slot with which there is room again: the oldest fall out one after the other. */
static int64_t window_room_at(const window *w, int64_t limit)
{
    int64_t sum = w->sum, at = w->newest;

    while (sum >= limit && at < w->newest + WINDOW_SLOTS)
        sum -= w->slot[++at % WINDOW_SLOTS]; /* the slot numbered `at` takes the place of this one */
    return at;
}

static void window_add(window *w)
{
    w->slot[w->newest % WINDOW_SLOTS]++;
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

    window_turn(w, now_ms / slot_ms);
    const int64_t left = limit - w->sum;
    if (left <= 0) {
        const int64_t wait_s = (window_room_at(w, limit) * slot_ms - now_ms + 999) / 1000;
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
    window_add(&c->windows[BY_MINUTE]);
    window_add(&c->windows[BY_HOUR]);
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
