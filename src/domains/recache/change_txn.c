/* What clients ask for, on the writer thread. Large ones go in steps; op->at tells how far they have come and what they
 * have counted, so that a step may be repeated. */
#include "service.h"

#include "larder/record.h"

static uint64_t at_of(uint64_t place, uint64_t count)
{
    return place | count << 32;
}

int change_enqueue_apply(store_txn *t, store_op *op)
{
    const recache_change *c = CONTAINER_OF(op, recache_change, op);
    const recache_task *task = c->task;
    const uint64_t end = (uint64_t)c->n_urls * c->n_dimensions;
    uint64_t at = AT_PLACE(op->at), there = AT_COUNT(op->at);
    int r = queue_check_room(t);

    for (; r == 0 && at < end && !store_txn_is_full(t); at++) {
        const size_t i = (size_t)(at / c->n_dimensions);
        bool was_there = false;
        const recache_entry e = {
            .host = c->host->id,
            .priority = task->priority,
            .due = c->urls[i].due,
            .hash = c->urls[i].url.hash,
            .dimension = c->dimensions[at % c->n_dimensions],
            .queued_at = c->now,
            .url = c->urls[i].url.text,
        };
        r = queue_want(t, &e, &was_there);
        there += was_there;
    }
    if (r < 0)
        return r;
    op->at = at_of(at, there);
    return at < end ? STORE_MORE : 0;
}

int change_invalidate_apply(store_txn *t, store_op *op)
{
    const recache_change *c = CONTAINER_OF(op, recache_change, op);
    const uint64_t end = (uint64_t)c->n_urls * c->n_dimensions;
    uint64_t at = AT_PLACE(op->at), gone = AT_COUNT(op->at);

    for (; at < end && !store_txn_is_full(t); at++) {
        const int r =
            page_del(t, c->host->id, c->dimensions[at % c->n_dimensions], c->urls[at / c->n_dimensions].url.hash);
        if (r < 0 && r != -ENOENT)
            return r;
        gone += r == 0;
    }
    op->at = at_of(at, gone);
    return at < end ? STORE_MORE : 0;
}

/* ---- walks over what is kept ---- */
/* Where this step begins: at (host, from), or where the one before has come to. That one is committed, and this one no
 * repetition of it, when op->at is another. */
static void walk_on(recache_change *c, uint64_t from)
{
    if (c->op.at == 0) {
        memset(c->walk_from, 0, sizeof(c->walk_from));
        be_put(c->walk_from, 4, c->host->id);
        be_put(c->walk_from + 4, 8, from);
    } else if (c->op.at != c->walk_at) {
        memcpy(c->walk_from, c->walk_reached, sizeof(c->walk_from));
    }
    c->walk_at = c->op.at;
    memcpy(c->walk_reached, c->walk_from, sizeof(c->walk_from));
}

/* Whether the page was made after the request: it shows nothing old. */
static int is_newer(const recache_change *c, str value, bool *ret_newer)
{
    recache_page p = {0};
    arena a;

    arena_init(&a, 0);
    const int r = record_decode(&recache_page_schema, &a, value, &p);
    if (r == 0)
        *ret_newer = p.created_at > c->now;
    arena_done(&a);
    return r;
}

/* Deletes pages whose keys begin so, as many as fit. */
static int invalidate_prefix(store_txn *t, recache_change *c, str prefix, unsigned *looks, uint64_t *gone)
{
    const str from = str_of(c->walk_from, PAGE_KEY_LEN);
    store_cursor *cursor;
    store_item item;
    bool newer, more = true;

    int r = store_walk(store_txn_view(t), &recache_pages_ks, STORE_BY_KEY, prefix,
                       str_starts(from, prefix) ? from : STR_NULL, false, &cursor);
    if (r < 0)
        return r;
    while (r == 0 && *looks < CHANGE_STEP_LOOKS && !store_txn_is_full(t) && (more = store_next(cursor, &item))) {
        ++*looks;
        if (item.key.n != PAGE_KEY_LEN) {
            r = -EPROTO;
            break;
        }
        memcpy(c->walk_reached, item.key.p, PAGE_KEY_LEN);
        r = is_newer(c, item.value, &newer);
        if (r == 0 && !newer) {
            r = store_del(t, &recache_pages_ks, str_of(c->walk_reached, PAGE_KEY_LEN));
            *gone += r == 0;
        }
    }
    if (r == 0)
        r = store_cursor_error(cursor);
    store_cursor_end(cursor);
    return r < 0 ? r : more ? STORE_MORE : 0;
}

/* Pages that are made between two steps stay. */
int change_invalidate_all_apply(store_txn *t, store_op *op)
{
    recache_change *c = CONTAINER_OF(op, recache_change, op);
    const bool all = c->task->n_dimensions == 0; /* those of dimensions that are gone too */
    uint64_t gone = AT_COUNT(op->at);
    unsigned looks = 0;
    char prefix[6];
    int r = 0;

    walk_on(c, 0);
    be_put(prefix, 4, c->host->id);
    for (size_t i = 0; r == 0 && i < (all ? 1 : c->n_dimensions); i++) { /* in rising order, as the keys are */
        be_put(prefix + 4, 2, c->dimensions[i]);
        if (all || memcmp(prefix, c->walk_from, sizeof(prefix)) >= 0)
            r = invalidate_prefix(t, c, str_of(prefix, all ? 4 : 6), &looks, &gone);
    }
    if (r < 0)
        return r;
    op->at = at_of(AT_PLACE(op->at) + 1, gone); /* each step has a place of its own */
    return r;
}

/* The entry that comes of a hit may have to be made. */
static int check_hit_room(store_txn *t, const recache_change *c)
{
    recache_entry unused;

    if (c->host->hit_interval_ms <= 0)
        return 0;
    const int r = queue_find(t, c->host->id, c->urls[0].url.hash, c->dimensions[0], &unused);
    return r == -ENOENT ? queue_check_room(t) : r;
}

/* The page remembers that it was wanted; the earlier time wins. What is not stored can't have been served. */
int change_hit_apply(store_txn *t, store_op *op)
{
    recache_change *c = CONTAINER_OF(op, recache_change, op);
    const uint16_t dimension = c->dimensions[0];
    recache_page page = {0};
    recache_entry stands;
    bool was_there;
    arena a;

    c->due_at = 0;
    arena_init(&a, 0);
    int r = recache_page_load(store_txn_view(t), &a, c->host->id, dimension, c->urls[0].url.hash, &page);
    const bool is_miss = r == -ENOENT || (r == 0 && recache_page_state_at(&page, c->now) == RECACHE_PAGE_MISS);
    if (r == 0 && !is_miss)
        r = check_hit_room(t, c);
    if (r == 0 && !is_miss) {
        page.last_bot_hit = c->now;
        r = page_put(t, c->urls[0].url.hash, &page);
    }
    arena_done(&a);
    if (is_miss || r < 0 || c->host->hit_interval_ms <= 0)
        return is_miss ? 0 : r;
    const recache_entry e = {.host = c->host->id,
                             .priority = RECACHE_AUTO,
                             .due = c->now + c->host->hit_interval_ms,
                             .hash = c->urls[0].url.hash,
                             .dimension = dimension,
                             .queued_at = c->now,
                             .url = c->urls[0].url.text};
    r = queue_want(t, &e, &was_there);
    if (r == 0)
        r = queue_find(t, e.host, e.hash, e.dimension, &stands);
    c->due_at = r == 0 ? stands.due : 0;
    return r;
}

/* ---- dead letters ---- */
static int retry_one(store_txn *t, const recache_change *c, str key, str value)
{
    char kept_key[URL_KEY_LEN];
    recache_dead d = {0};
    bool was_there;
    arena a;

    if (key.n != sizeof(kept_key))
        return -EPROTO;
    memcpy(kept_key, key.p, sizeof(kept_key));
    arena_init(&a, 0);
    value = arena_dup(&a, value);
    int r = value.p ? record_decode(&recache_dead_schema, &a, value, &d) : -ENOMEM;
    if (r == 0) {
        const recache_entry e = {.host = c->host->id,
                                 .priority = c->task->priority,
                                 .due = c->now,
                                 .hash = be_get(kept_key + 4, 8),
                                 .dimension = (uint16_t)d.dimension_id,
                                 .queued_at = c->now,
                                 .url = d.url};
        r = queue_want(t, &e, &was_there);
    }
    if (r == 0)
        r = store_del(t, &recache_dead_ks, str_of(kept_key, sizeof(kept_key)));
    arena_done(&a);
    return r;
}

static bool is_chosen(const recache_change *c, str dead_key)
{
    const uint64_t dimension = dead_key.n == URL_KEY_LEN ? be_get(dead_key.p + 12, 2) : UINT64_MAX;

    for (size_t i = 0; i < c->n_dimensions; i++)
        if (c->dimensions[i] == dimension)
            return true;
    return c->task->n_dimensions == 0; /* those of dimensions that are gone too */
}

/* Those that have died since the request stay: the walk begins behind them. */
int change_retry_all_apply(store_txn *t, store_op *op)
{
    recache_change *c = CONTAINER_OF(op, recache_change, op);
    uint64_t retried = AT_COUNT(op->at);
    store_cursor *cursor;
    store_item item;
    unsigned looks = 0;
    bool more = true;

    walk_on(c, ~(uint64_t)c->now);
    int r = queue_check_room(t);
    if (r == 0)
        r = store_walk(store_txn_view(t), &recache_dead_ks, RECACHE_DEAD_BY_TIME, str_of(c->walk_from, 4),
                       str_of(c->walk_from, sizeof(c->walk_from)), false, &cursor);
    if (r < 0)
        return r;
    while (r == 0 && looks < CHANGE_STEP_LOOKS && !store_txn_is_full(t) && (more = store_next(cursor, &item))) {
        looks++;
        if (item.index_key.n == sizeof(c->walk_reached))
            memcpy(c->walk_reached, item.index_key.p, sizeof(c->walk_reached));
        if (!is_chosen(c, item.key))
            continue;
        r = store_item_value(cursor, &item);
        if (r == 0)
            r = retry_one(t, c, item.key, item.value);
        retried += r == 0;
    }
    if (r == 0)
        r = store_cursor_error(cursor);
    store_cursor_end(cursor);
    if (r < 0)
        return r;
    op->at = at_of(AT_PLACE(op->at) + 1, retried);
    return more ? STORE_MORE : 0;
}

int change_retry_urls_apply(store_txn *t, store_op *op)
{
    const recache_change *c = CONTAINER_OF(op, recache_change, op);
    const uint64_t end = (uint64_t)c->n_urls * c->n_dimensions;
    uint64_t at = AT_PLACE(op->at), retried = AT_COUNT(op->at);
    char key[URL_KEY_LEN];
    str value;

    if (queue_check_room(t) < 0)
        return -ENOSPC;
    for (; at < end && !store_txn_is_full(t); at++) {
        url_key(c->host->id, c->urls[at / c->n_dimensions].url.hash, c->dimensions[at % c->n_dimensions], key);
        int r = store_get(store_txn_view(t), &recache_dead_ks, str_of(key, sizeof(key)), &value);
        if (r == 0)
            r = retry_one(t, c, str_of(key, sizeof(key)), value);
        if (r < 0 && r != -ENOENT)
            return r;
        retried += r == 0;
    }
    op->at = at_of(at, retried);
    return at < end ? STORE_MORE : 0;
}

/* ---- pause ---- */
keyspace recache_facts_ks = {.name = "recache_facts"};
#define PAUSED STR("paused")

int change_pause_apply(store_txn *t, store_op *op)
{
    const recache_change *c = CONTAINER_OF(op, recache_change, op);

    if (c->paused)
        return store_put(t, &recache_facts_ks, PAUSED, STR("1"));
    const int r = store_del(t, &recache_facts_ks, PAUSED);
    return r == -ENOENT ? 0 : r;
}

bool facts_paused(store_view *v)
{
    return store_has(v, &recache_facts_ks, PAUSED);
}
