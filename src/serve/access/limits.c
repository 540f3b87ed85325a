/* Sliding windows, and the table of clients. */
#include "private.h"

/* ---- windows ---- */
void window_turn(window *w, int64_t now_ms, int64_t slot_ms)
{
    const int64_t now = now_ms / slot_ms;

    if (now - w->newest >= WINDOW_SLOTS) {
        memset(w->slot, 0, sizeof(w->slot));
        w->sum = 0;
        w->newest = now;
    }
    while (w->newest < now) {
        uint16_t *slot = &w->slot[++w->newest % WINDOW_SLOTS];
        w->sum -= *slot;
        *slot = 0;
    }
}

/* The oldest slots fall out one after the other: how long until the sum is below the limit? */
int64_t window_room_at(const window *w, int64_t now_ms, int64_t slot_ms, uint32_t limit)
{
    uint32_t sum = w->sum;
    int64_t oldest = w->newest - WINDOW_SLOTS + 1;

    while (sum >= limit && oldest <= w->newest) {
        sum -= w->slot[(oldest < 0 ? oldest + WINDOW_SLOTS : oldest) % WINDOW_SLOTS];
        oldest++;
    }
    const int64_t at = (oldest - 1 + WINDOW_SLOTS) * slot_ms;
    return at > now_ms ? at - now_ms : 0;
}

static void window_add(window *w)
{
    uint16_t *slot = &w->slot[w->newest % WINDOW_SLOTS];

    if (*slot < UINT16_MAX) {
        (*slot)++;
        w->sum++;
    }
}

/* ---- clients ---- */
static access_client *client_find(access_control *a, const client_id *id)
{
    access_client *c = a->last;

    if (c && memcmp(&c->id, id, sizeof(*id)) == 0)
        return c;
    HASH_FIND(hh, a->clients, id, sizeof(*id), c);
    if (c)
        return c;
    if (a->n_clients >= CLIENTS_MAX) {
        list *l = list_pop(&a->idle);
        if (!l)
            return NULL; /* all have requests under way */
        access_client *old = CONTAINER_OF(l, access_client, idle);
        HASH_DEL(a->clients, old);
        if (a->last == old)
            a->last = NULL;
        mem_free(old);
        a->n_clients--;
    }
    c = mem_new(access_client);
    if (!c)
        return NULL;
    c->id = *id;
    list_init(&c->idle);
    HASH_ADD(hh, a->clients, id, sizeof(c->id), c);
    a->n_clients++;
    return c;
}

/* The tighter of two limits is what the headers tell. */
static int refuse(access_grant *g, int64_t wait_ms, const char *why)
{
    g->remaining = 0;
    g->retry_after_s = (wait_ms + 999) / 1000;
    if (g->retry_after_s < 1)
        g->retry_after_s = 1;
    g->why = why;
    return -EDQUOT;
}

#define MINUTE_SLOT_MS 1000
#define HOUR_SLOT_MS 60000

int access_enter(access_control *a, const http_request *req, access_grant *g)
{
    const int64_t now = clk_wall_ms(a->clock);
    client_id id;

    (void)req;
    if (g->unlimited)
        return 0;
    memset(&id, 0, sizeof(id));
    memcpy(id.bytes, g->identity, sizeof(id.bytes));
    id.kind = g->has_key;
    access_client *c = client_find(a, &id);
    if (!c)
        return -ENOMEM;
    a->last = c;
    window_turn(&c->minute, now, MINUTE_SLOT_MS);
    window_turn(&c->hour, now, HOUR_SLOT_MS);
    list_remove(&c->idle);
    list_push(&a->idle, &c->idle);
    g->limit = g->per_minute;
    g->reset_s = (now + 60 * MINUTE_SLOT_MS) / 1000;
    if (c->under_way >= g->concurrent)
        return refuse(g, 1000, "concurrent");
    if (c->minute.sum >= g->per_minute) {
        const int64_t wait = window_room_at(&c->minute, now, MINUTE_SLOT_MS, (uint32_t)g->per_minute);
        g->reset_s = (now + wait + 999) / 1000;
        return refuse(g, wait, "minute");
    }
    if (c->hour.sum >= g->per_hour) {
        const int64_t wait = window_room_at(&c->hour, now, HOUR_SLOT_MS, (uint32_t)g->per_hour);
        g->limit = g->per_hour;
        g->reset_s = (now + wait + 999) / 1000;
        return refuse(g, wait, "hour");
    }
    window_add(&c->minute);
    window_add(&c->hour);
    g->remaining = g->per_minute - c->minute.sum;
    c->under_way++;
    list_remove(&c->idle);
    g->client = c;
    return 0;
}

void access_leave(access_control *a, access_grant *g)
{
    access_client *c = g->client;

    if (!c)
        return;
    g->client = NULL;
    if (--c->under_way == 0)
        list_push(&a->idle, &c->idle);
}
