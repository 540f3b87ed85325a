/* How the queue changes, on the writer thread. */
#include "queue.h"

#include "larder/record.h"

static int drop(store_txn *t, const recache_entry *e)
{
    char key[QUEUE_KEY_LEN];

    queue_key(e, key);
    return store_del(t, &recache_queue_ks, str_of(key, sizeof(key)));
}

int queue_warm_up_apply(store_txn *t, store_op *op)
{
    (void)op;
    return store_unique_make(t, &recache_queue_ks);
}

/* From one place in the order to another; the URL may lie in the old record. */
static int move(store_txn *t, const recache_entry *old, recache_entry e)
{
    char url[4096];

    if (e.url.n > sizeof(url))
        return -EPROTO;
    memcpy(url, e.url.p, e.url.n);
    e.url.p = url;
    const int r = drop(t, old);
    return r < 0 ? r : queue_put(t, &e);
}

/* A page's record takes more than an entry does, and its index entries, a title or headers come beside. What the queue
 * frees as it is worked off is not counted on: its leaves empty only slowly. */
#define PAGE_PER_ENTRY 2
#define PAGE_EXTRA 640
#define ROOM_LEAST (256u << 10)

int queue_check_room(store_txn *t)
{
    store_view *v = store_txn_view(t);
    const uint64_t pages = PAGE_PER_ENTRY * store_bytes(v, &recache_queue_ks) +
                           PAGE_EXTRA * store_count(v, &recache_queue_ks);

    return store_txn_has_room(t, pages + ROOM_LEAST) ? 0 : -ENOSPC;
}

int queue_want(store_txn *t, const recache_entry *e, bool *ret_was_there)
{
    recache_entry old, wanted;

    const int r = queue_find(t, e->host, e->hash, e->dimension, &old);
    *ret_was_there = r == 0;
    if (r == -ENOENT)
        return queue_put(t, e);
    if (r < 0)
        return r;
    if (e->priority > old.priority || (e->priority == old.priority && e->due >= old.due))
        return 0;
    wanted = old;
    wanted.priority = e->priority;
    wanted.due = e->due < old.due ? e->due : old.due;
    wanted.attempts = 0;
    return move(t, &old, wanted);
}

/* The stored entry, when it is still where it was taken from. -ENOENT. */
static int taken(store_txn *t, const recache_entry *e, recache_entry *ret_entry)
{
    char key[QUEUE_KEY_LEN];
    str value;

    queue_key(e, key);
    const int r = store_get(store_txn_view(t), &recache_queue_ks, str_of(key, sizeof(key)), &value);
    return r < 0 ? r : queue_decode(str_of(key, sizeof(key)), value, ret_entry);
}

int queue_done(store_txn *t, const recache_entry *e)
{
    const int r = drop(t, e);
    return r == -ENOENT ? 0 : r;
}

int queue_again(store_txn *t, const recache_entry *e, int64_t due, unsigned attempts)
{
    recache_entry old, wanted;

    const int r = taken(t, e, &old);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    wanted = old;
    wanted.due = due;
    wanted.attempts = attempts;
    return move(t, &old, wanted);
}

/* ---- dead letters ---- */
#define DROPS_MAX 16 /* for one that comes: where the limit was lowered it is reached little by little */

static int drop_oldest(store_txn *t, str host_prefix)
{
    char key[URL_KEY_LEN];
    store_cursor *c;
    store_item item;

    int r = store_walk(store_txn_view(t), &recache_dead_ks, RECACHE_DEAD_BY_TIME, host_prefix, STR_NULL, true, &c);
    if (r < 0)
        return r;
    const bool found = store_next(c, &item) && item.key.n == sizeof(key);
    if (found)
        memcpy(key, item.key.p, sizeof(key));
    r = store_cursor_error(c);
    store_cursor_end(c);
    if (r < 0 || !found)
        return r < 0 ? r : -ENOENT;
    return store_del(t, &recache_dead_ks, str_of(key, sizeof(key)));
}

static int make_room(store_txn *t, uint32_t host, int64_t most, unsigned *dropped)
{
    char prefix[4];
    int r = 0;

    be_put(prefix, sizeof(prefix), host);
    while (r == 0 && *dropped < DROPS_MAX && recache_dead_count(store_txn_view(t), host) >= most) {
        r = drop_oldest(t, str_of(prefix, sizeof(prefix)));
        *dropped += r == 0;
    }
    return r == -ENOENT ? 0 : r;
}

int queue_dead(store_txn *t, const recache_entry *e, const recache_dead *why, int64_t most, unsigned *ret_dropped)
{
    SCOPED(buf_done) buf record = BUF_INIT;
    char key[URL_KEY_LEN];
    recache_dead d = *why;
    recache_entry old;

    *ret_dropped = 0;
    int r = taken(t, e, &old);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    d.host_id = e->host;
    d.url = old.url;
    d.dimension_id = e->dimension;
    d.priority = recache_priority_name(e->priority);
    d.queued_at = old.queued_at;
    record_encode(&recache_dead_schema, &d, &record);
    if (record.err)
        return record.err;
    url_key(e->host, e->hash, e->dimension, key);
    r = drop(t, e);
    if (r == 0 && !store_has(store_txn_view(t), &recache_dead_ks, str_of(key, sizeof(key))))
        r = make_room(t, e->host, most, ret_dropped);
    return r < 0 ? r : store_put(t, &recache_dead_ks, str_of(key, sizeof(key)), buf_view(&record));
}
