/* Walks. A cursor of the loop's view goes back to a shelf when it ends, one for each table, and the next
 * walk over that table takes it from there.
 *
 * In a write transaction a put or del between two steps may move what the cursor stands on: then it finds
 * its place anew behind the last item. */
#include "impl.h"

struct store_cursor {
    store_view *view;
    const keyspace *ks;
    MDB_cursor *lmdb;
    MDB_dbi table;
    bool by_key, down;
    bool placed, at_end; /* lmdb stands on the last item */
    bool include_place;  /* an item at `place` itself counts */
    uint64_t changes;    /* of the write transaction when it was placed */
    int err;
    store_cursor *next; /* in the view's list, or on the shelf */
    size_t prefix_n, place_n;
    char prefix[STORE_KEY_MAX];
    char place[STORE_KEY_MAX]; /* where to go to when it isn't placed; empty: where the walk begins */
};

/* ---- coming and going ---- */

static int cursor_new(store_view *v, MDB_dbi table, store_cursor **ret_cursor)
{
    store *s = v->owner;
    store_cursor *c = v == &s->view ? s->idle_cursors[table] : NULL;
    if (c) {
        int rc = mdb_cursor_renew(v->txn, c->lmdb);
        if (rc != 0)
            return store_errno(rc);
        s->idle_cursors[table] = c->next;
    } else {
        c = mem_new(store_cursor);
        if (!c)
            return -ENOMEM;
        int rc = mdb_cursor_open(v->txn, table, &c->lmdb);
        if (rc != 0) {
            mem_free(c);
            return store_errno(rc);
        }
    }
    c->table = table;
    c->view = v;
    c->next = v->cursors;
    v->cursors = c;
    *ret_cursor = c;
    return 0;
}

static void cursor_free(store_cursor *c)
{
    mdb_cursor_close(c->lmdb);
    mem_free(c);
}

static void put_away(store_view *v, store_cursor *c)
{
    store *s = v->owner;
    if (v != &s->view) {
        cursor_free(c);
        return;
    }
    c->next = s->idle_cursors[c->table];
    s->idle_cursors[c->table] = c;
}

void store_cursor_end(store_cursor *c)
{
    if (!c)
        return;
    store_cursor **at = &c->view->cursors;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    put_away(c->view, c);
}

void store_view_end_cursors(store_view *v)
{
    while (v->cursors)
        store_cursor_end(v->cursors);
}

void store_idle_cursors_close(store *s)
{
    for (size_t table = 0; s->idle_cursors && table < s->n_tables; table++) {
        while (s->idle_cursors[table]) {
            store_cursor *c = s->idle_cursors[table];
            s->idle_cursors[table] = c->next;
            cursor_free(c);
        }
    }
}

int store_walk(store_view *v, const keyspace *ks, int index, str prefix, str from, bool down, store_cursor **ret_cursor)
{
    const space *sp = store_space(v->owner, ks);
    if (!v->open)
        return -EIO;
    REQUIRE(index == STORE_BY_KEY || (index >= 0 && (size_t)index < ks->n_indexes));
    store_cursor *c = NULL;
    MDB_dbi table = index == STORE_BY_KEY ? sp->records : sp->indexes[index];
    int r = cursor_new(v, table == NO_TABLE ? v->owner->sums : table, &c);
    if (r < 0)
        return r;
    c->ks = ks;
    c->by_key = index == STORE_BY_KEY;
    c->down = down;
    c->placed = false;
    c->err = 0;
    c->at_end = prefix.n > STORE_KEY_MAX || table == NO_TABLE; /* no key is that long */
    c->prefix_n = c->at_end ? 0 : prefix.n;
    if (c->prefix_n > 0)
        memcpy(c->prefix, prefix.p, c->prefix_n);
    c->include_place = from.n <= STORE_KEY_MAX || down; /* cut, `from` sorts before itself */
    c->place_n = str_head(from, STORE_KEY_MAX).n;
    if (c->place_n > 0)
        memcpy(c->place, from.p, c->place_n);
    *ret_cursor = c;
    return 0;
}

/* ---- finding the place ---- */

/* The first key after all that start with the prefix; false when there can be none. */
static bool behind_prefix(const store_cursor *c, char out[STORE_KEY_MAX], str *ret_key)
{
    size_t n = c->prefix_n;
    while (n > 0 && (unsigned char)c->prefix[n - 1] == 0xff)
        n--;
    if (n == 0)
        return false;
    memcpy(out, c->prefix, n);
    out[n - 1] = (char)((unsigned char)out[n - 1] + 1);
    *ret_key = (str){out, n};
    return true;
}

/* On the first key >= `from`. */
static int seek(store_cursor *c, str from, MDB_val *key, MDB_val *value)
{
    *key = store_val(from);
    return mdb_cursor_get(c->lmdb, key, value, from.n > 0 ? MDB_SET_RANGE : MDB_FIRST);
}

static int place_up(store_cursor *c, MDB_val *key, MDB_val *value)
{
    str prefix = {c->prefix, c->prefix_n}, place = {c->place, c->place_n};
    bool from_place = str_cmp(place, prefix) >= 0;
    int rc = seek(c, from_place ? place : prefix, key, value);
    if (rc == 0 && from_place && !c->include_place && str_eq(store_str(*key), place))
        rc = mdb_cursor_get(c->lmdb, key, value, MDB_NEXT);
    return rc;
}

static int place_down(store_cursor *c, MDB_val *key, MDB_val *value)
{
    char bytes[STORE_KEY_MAX];
    str prefix = {c->prefix, c->prefix_n}, place = {c->place, c->place_n}, start = place;
    bool from_place = place.n > 0 && (str_starts(place, prefix) || str_cmp(place, prefix) < 0);
    if (!from_place && !behind_prefix(c, bytes, &start))
        return mdb_cursor_get(c->lmdb, key, value, MDB_LAST);
    int rc = seek(c, start, key, value);
    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(c->lmdb, key, value, MDB_LAST);
    if (rc == 0 && !(from_place && c->include_place && str_eq(store_str(*key), place)))
        rc = mdb_cursor_get(c->lmdb, key, value, MDB_PREV);
    return rc;
}

static int move(store_cursor *c, MDB_val *key, MDB_val *value)
{
    const store_txn *t = c->view->writing;
    if (c->placed && !(t && c->changes != t->changes))
        return mdb_cursor_get(c->lmdb, key, value, c->down ? MDB_PREV : MDB_NEXT);
    if (t)
        c->changes = t->changes;
    c->placed = true;
    return c->down ? place_down(c, key, value) : place_up(c, key, value);
}

/* ---- items ---- */

static int fill(bool by_key, str key, str value, store_item *ret_item)
{
    store_item item = {0};
    int r = 0;
    if (by_key) {
        item.key = key;
        item.value = value;
    } else {
        item.index_key = key;
        r = store_entry_split(key, value, &item.key, &item.cover);
    }
    if (r == 0)
        *ret_item = item;
    return r;
}

bool store_next(store_cursor *c, store_item *ret_item)
{
    MDB_val k, v;
    if (c->at_end)
        return false;
    int rc = move(c, &k, &v);
    str key = rc == 0 ? store_str(k) : STR_NULL;
    if (rc == 0 && str_starts(key, (str){c->prefix, c->prefix_n})) {
        c->err = fill(c->by_key, key, store_str(v), ret_item);
        if (c->view->writing) {
            memcpy(c->place, key.p, key.n);
            c->place_n = key.n;
            c->include_place = false;
        }
    } else {
        c->at_end = true;
        c->err = rc == MDB_NOTFOUND ? 0 : store_errno(rc);
    }
    c->at_end = c->at_end || c->err < 0;
    return !c->at_end;
}

int store_cursor_error(const store_cursor *c)
{
    return c->err;
}

int store_item_value(store_cursor *c, store_item *item)
{
    return item->value.p ? 0 : store_get(c->view, c->ks, item->key, &item->value);
}

/* On the cursor that the transaction writes with: a look-up near the last write, and the write that follows it, don't
 * go down from the root. */
static int first_written(store_txn *t, const keyspace *ks, int index, str prefix, store_item *ret_item)
{
    const space *sp = store_space(t->owner, ks);
    MDB_cursor *lmdb = NULL;
    MDB_val key = store_val(prefix), value;
    const bool by_key = index == STORE_BY_KEY;

    int r = store_txn_cursor(t, by_key ? sp->records : sp->indexes[index], &lmdb);
    if (r == 0)
        r = store_errno(mdb_cursor_get(lmdb, &key, &value, prefix.n > 0 ? MDB_SET_RANGE : MDB_FIRST));
    if (r == 0 && !str_starts(store_str(key), prefix))
        r = -ENOENT;
    return r < 0 ? r : fill(by_key, store_str(key), store_str(value), ret_item);
}

int store_first(store_view *v, const keyspace *ks, int index, str prefix, store_item *ret_item)
{
    store_cursor *c;

    if (v->open && v->writing && prefix.n <= STORE_KEY_MAX)
        return first_written(v->writing, ks, index, prefix, ret_item);
    int r = store_walk(v, ks, index, prefix, STR_NULL, false, &c);
    if (r < 0)
        return r;
    if (!store_next(c, ret_item))
        r = store_cursor_error(c) < 0 ? store_cursor_error(c) : -ENOENT;
    store_cursor_end(c);
    return r;
}
