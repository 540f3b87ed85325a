/* How full the map is. Pages in use are those of the file less those on LMDB's list of free pages. That list may
 * be long, so it is walked once, when the store is opened: it tells how many pages are in use beside the tables
 * that are open (LMDB's own, tables of another version), and that stays so. From then on the tables' own counts,
 * which LMDB keeps, say the rest. */
#include <stdio.h>
#include <sys/stat.h>

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

/* Those with numbers from `from` on. */
static uint64_t free_pages(MDB_txn *reading, uint64_t from)
{
    MDB_cursor *c;
    MDB_val key, value;
    uint64_t sum = 0;
    if (mdb_cursor_open(reading, FREE_LIST, &c) != 0)
        return 0;
    while (mdb_cursor_get(c, &key, &value, MDB_NEXT) == 0) {
        size_t n, page; /* n page numbers follow, descending */
        memcpy(&n, value.mv_data, sizeof(n));
        for (size_t i = 1; i <= n; i++) {
            memcpy(&page, (const char *)value.mv_data + i * sizeof(page), sizeof(page));
            if (page < from)
                break;
            sum++;
        }
    }
    mdb_cursor_close(c);
    return sum;
}

/* LMDB reads its file through memory: a page that isn't there would be a SIGBUS. Only pages that were freed in the
 * transaction that first took them may be missing at the file's end: nothing was ever written there. (To know that,
 * the list of free pages is read, which may itself be what is missing; the program then ends by cli.c's handler.) */
int store_space_check_file(MDB_env *env)
{
    MDB_stat page;
    MDB_txn *txn;
    struct stat st;
    int fd;
    const uint64_t all = file_pages(env); /* before the file's length: that only grows */
    int rc = mdb_env_stat(env, &page);
    if (rc == 0)
        rc = mdb_env_get_fd(env, &fd);
    if (rc == 0 && fstat(fd, &st) < 0)
        rc = errno;
    const uint64_t there = rc == 0 ? (uint64_t)st.st_size / page.ms_psize : 0;
    if (rc != 0 || there >= all)
        return store_errno(rc);
    rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return store_errno(rc);
    const bool is_whole = free_pages(txn, there) >= all - there;
    mdb_txn_abort(txn);
    return is_whole ? 0 : -EPROTO;
}

static uint64_t pages_of(MDB_txn *txn, MDB_dbi table)
{
    MDB_stat st;
    return mdb_stat(txn, table, &st) == 0 ? st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages : 0;
}

static int64_t table_pages(const store *s, MDB_txn *txn)
{
    uint64_t sum = 0;
    for (size_t table = 0; table < s->n_tables; table++)
        sum += pages_of(txn, (MDB_dbi)table);
    return (int64_t)sum;
}

uint64_t store_bytes(store_view *v, const keyspace *ks)
{
    const space *sp = store_space(v->owner, ks);
    if (!v->open || sp->records == NO_TABLE)
        return 0;
    uint64_t sum = pages_of(v->txn, sp->records);
    for (size_t i = 0; i < ks->n_indexes; i++)
        sum += pages_of(v->txn, sp->indexes[i]);
    return sum * v->owner->page_size;
}

void store_space_begin(store_txn *t)
{
    t->high_water = file_pages(t->owner->env);
}

static int find_other_pages(const store *s, int64_t *ret_pages)
{
    MDB_txn *last;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &last);
    if (rc != 0)
        return store_errno(rc);
    *ret_pages = (int64_t)file_pages(s->env) - (int64_t)free_pages(last, 0) - table_pages(s, last);
    mdb_txn_abort(last);
    return 0;
}

int store_space_measure(store *s)
{
    const int r = find_other_pages(s, &s->other_pages);
    s->is_measured = r == 0;
    return r;
}

uint64_t store_pages_used(const store *s, MDB_txn *txn)
{
    const int64_t used = s->other_pages + table_pages(s, txn);
    return used > 0 ? (uint64_t)used : 0;
}

static bool fits(store_txn *t, uint64_t more)
{
    const store *s = t->owner;
    uint64_t at_most = t->high_water + 2 * t->bytes / s->page_size + WASTE_PER_WRITE * t->writes + more;
    if (at_most < s->limit_pages)
        return true;
    int64_t other = s->other_pages;
    if (!s->is_measured && find_other_pages(s, &other) < 0) /* it is being upgraded */
        return false;
    return other + table_pages(s, t->view.txn) + (int64_t)more <= (int64_t)s->limit_pages;
}

bool store_space_fits(store_txn *t)
{
    return fits(t, 0);
}

bool store_txn_has_room(store_txn *t, uint64_t bytes)
{
    return fits(t, bytes / t->owner->page_size + 1);
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
