/* How full the map is. Pages in use are those of the file less those on LMDB's list of free pages. That
 * list can't be read within a write transaction; there the tables' own counts tell how much has come since
 * the last commit. */
#include <stdio.h>

#include "impl.h"

#define FREE_LIST 0
#define PAGE_HEAD 16      /* of a page that holds one value alone */
#define WASTE_PER_WRITE 4 /* pages that one row may need beyond twice its bytes: splits on the way up */

static uint64_t file_pages(MDB_env *env)
{
    MDB_envinfo info;
    mdb_env_info(env, &info);
    return info.me_last_pgno + 1;
}

static uint64_t free_pages(MDB_txn *reading)
{
    MDB_cursor *c;
    MDB_val key, value;
    uint64_t sum = 0;
    if (mdb_cursor_open(reading, FREE_LIST, &c) != 0)
        return 0;
    while (mdb_cursor_get(c, &key, &value, MDB_NEXT) == 0) {
        size_t n; /* of the page numbers that follow */
        memcpy(&n, value.mv_data, sizeof(n));
        sum += n;
    }
    mdb_cursor_close(c);
    return sum;
}

uint64_t store_pages_used(store *s, MDB_txn *reading)
{
    uint64_t all = file_pages(s->env), unused = free_pages(reading);
    return all > unused ? all - unused : 0;
}

static int64_t table_pages(const store *s, MDB_txn *txn)
{
    uint64_t sum = 0;
    MDB_stat st;
    for (size_t table = 0; table < s->n_tables; table++)
        if (mdb_stat(txn, (MDB_dbi)table, &st) == 0)
            sum += st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages;
    return (int64_t)sum;
}

void store_space_begin(store_txn *t)
{
    t->high_water = file_pages(t->owner->env);
    t->base_known = false;
}

/* What was in use before this transaction, less what its tables had then: their count now is to be added. */
static int find_base(store_txn *t)
{
    MDB_txn *last;
    int rc = mdb_txn_begin(t->owner->env, NULL, MDB_RDONLY, &last);
    if (rc != 0)
        return store_errno(rc);
    t->base_pages = (int64_t)store_pages_used(t->owner, last) - table_pages(t->owner, last);
    t->base_known = true;
    mdb_txn_abort(last);
    return 0;
}

static bool fits(store_txn *t, uint64_t more)
{
    const store *s = t->owner;
    uint64_t at_most = t->high_water + 2 * t->bytes / s->page_size + WASTE_PER_WRITE * t->writes + more;
    if (at_most < s->limit_pages)
        return true;
    if (!t->base_known && find_base(t) < 0)
        return false;
    return t->base_pages + table_pages(s, t->view.txn) + (int64_t)more <= (int64_t)s->limit_pages;
}

bool store_space_fits(store_txn *t)
{
    return fits(t, 0);
}

/* Large enough that where it fits, a good many small records do; and in pieces of a page, as after much writing
 * the free pages lie scattered. */
static int write_pieces(store_txn *t, str piece, bool on)
{
    store *s = t->owner;
    char name[16];
    int r = store_txn_begin(t);

    if (r < 0)
        return r;
    r = !on || fits(t, PROBE_PAGES) ? 0 : -ENOSPC;
    for (int i = 0; r == 0 && i < PROBE_PAGES; i++) {
        const str key = str_of(name, (size_t)snprintf(name, sizeof(name), "probe%d", i));
        r = on ? store_txn_row(t, s->meta, key, piece, 0) : store_txn_row_del(t, s->meta, key);
    }
    if (r == 0)
        return store_txn_commit(t);
    store_txn_abort(t);
    return r;
}

int store_space_probe(store_txn *t)
{
    const size_t n = t->owner->page_size - PAGE_HEAD;
    char *bytes = mem_zalloc(n);

    if (!bytes)
        return -ENOMEM;
    const int r = write_pieces(t, str_of(bytes, n), true);
    mem_free(bytes);
    return r < 0 ? r : write_pieces(t, STR_NULL, false);
}
