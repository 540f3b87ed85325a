/* Opening and closing. The order: the folder, the server's lock (with a loop), LMDB's environment, the
 * tables (upgrade.c brings them up to date), the loop's snapshot, the writer thread.
 *
 * When a commit fails while LMDB writes its meta page, LMDB declares the environment dead, for readers too:
 * it must be closed and opened anew, and that only while nobody uses it. The writer then parks and asks the
 * loop, which does it between two callbacks (store_env_reopen). The same helps when another process has
 * grown the map past ours. */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "impl.h"

#define MAX_READERS 254
#define MIN_SIZE (1u << 20)
#define MAX_KEYSPACES 255 /* a slot is a byte in the log of unique parts */
#define MAX_NAME 64
#define MIB ((uint64_t)1 << 20)

/* ---- errors ---- */

int store_errno(int rc)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_KEYEXIST:
        return -EEXIST;
    case MDB_MAP_FULL:
    case EDQUOT:
    case EFBIG: /* the file size limit; an op of too many pages is MDB_TXN_FULL */
        return -ENOSPC;
    case MDB_TXN_FULL:
        return -EFBIG;
    case MDB_READERS_FULL:
        return -EAGAIN;
    case MDB_BAD_VALSIZE:
        return -EINVAL;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
        return -EPROTO;
    default:
        return rc > 0 ? -rc : -EIO;
    }
}

bool store_is_fatal(int rc)
{
    return rc == MDB_PANIC || rc == MDB_MAP_RESIZED;
}

/* ---- the environment ---- */

/* Its bytes; -1: there is none. */
static int64_t data_file_size(const store *s)
{
    char path[PATH_MAX];
    struct stat st;
    int n = snprintf(path, sizeof(path), "%s/data.mdb", s->dir);
    return n > 0 && (size_t)n < sizeof(path) && stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static uint64_t whole_pages(uint64_t n)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (n + page - 1) / page * page;
}

/* A command-line process takes the map's size from the file, so that it never outgrows a server's. */
static int env_open(store *s)
{
    unsigned flags = MDB_NOTLS | (s->read_only ? MDB_RDONLY : 0);
    MDB_env *env;
    int dead;
    int rc = mdb_env_create(&env);
    if (rc != 0)
        return store_errno(rc);
    rc = mdb_env_set_maxdbs(env, (MDB_dbi)s->n_tables);
    if (rc == 0)
        rc = mdb_env_set_maxreaders(env, MAX_READERS);
    if (rc == 0 && (s->loop || data_file_size(s) < 0))
        rc = mdb_env_set_mapsize(env, s->max_size);
    if (rc == 0)
        rc = mdb_env_open(env, s->dir, flags, 0600);
    if (rc == 0)
        rc = mdb_reader_check(env, &dead);
    const int r = rc == 0 ? store_space_check_file(env) : store_errno(rc);
    if (r < 0) {
        mdb_env_close(env);
        return r;
    }
    s->env = env;

    MDB_stat st;
    MDB_envinfo info;
    mdb_env_stat(env, &st);
    mdb_env_info(env, &info);
    s->page_size = st.ms_psize;
    s->map_size = info.me_mapsize;
    uint64_t size = s->max_size < s->map_size ? s->max_size : s->map_size;
    uint64_t reserve = size / 64;
    reserve = reserve < MIB ? MIB : reserve > 16 * MIB ? 16 * MIB : reserve;
    s->limit_pages = (size > 2 * reserve ? size - reserve : size / 2) / s->page_size;
    return 0;
}

/* A table that isn't there: created when `create`, else NO_TABLE. */
static int table_open(MDB_txn *txn, const char *name, bool create, MDB_dbi *ret_table)
{
    MDB_dbi table = NO_TABLE;
    int rc = mdb_dbi_open(txn, name, create ? MDB_CREATE : 0, &table);
    if (rc != 0 && (rc != MDB_NOTFOUND || create))
        return store_errno(rc);
    *ret_table = table;
    return 0;
}

int store_tables_open_own(store *s, MDB_txn *txn, bool create)
{
    int r = table_open(txn, "meta", create, &s->meta);
    return r < 0 ? r : table_open(txn, "sums", create, &s->sums);
}

int store_tables_open(store *s, MDB_txn *txn, bool create)
{
    char name[2 * MAX_NAME + 8];
    int r = 0;
    for (size_t i = 0; i < s->n_spaces && r == 0; i++) {
        space *sp = &s->spaces[i];
        snprintf(name, sizeof(name), "r:%s", sp->ks->name);
        r = table_open(txn, name, create, &sp->records);
        for (size_t x = 0; x < sp->ks->n_indexes && r == 0; x++) {
            snprintf(name, sizeof(name), "i:%s:%s", sp->ks->name, sp->ks->indexes[x]);
            r = table_open(txn, name, create, &sp->indexes[x]);
        }
    }
    return r;
}

/* The tables were there before: only their handles are needed. */
static int reopen_tables(store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc != 0)
        return store_errno(rc);
    int r = store_tables_open_own(s, txn, false);
    if (r == 0)
        r = store_tables_open(s, txn, false);
    if (r < 0) {
        mdb_txn_abort(txn);
        return r;
    }
    return store_errno(mdb_txn_commit(txn)); /* makes the handles known to later transactions */
}

static void env_close(store *s)
{
    store_view_close(&s->view);
    if (s->env)
        mdb_env_close(s->env);
    s->env = NULL;
}

int store_env_reopen(store *s)
{
    REQUIRE(s->view.depth == 0);
    pthread_mutex_lock(&s->env_lock);
    int r = s->job_views > 0 ? -EBUSY : 0;
    if (r == 0) {
        env_close(s);
        r = env_open(s);
        if (r == 0)
            r = reopen_tables(s);
        if (r == 0)
            r = store_space_measure(s);
        if (r == 0)
            r = store_view_open(s);
        if (r < 0)
            env_close(s);
    }
    pthread_mutex_unlock(&s->env_lock);
    return r;
}

/* ---- the folder and its lock ---- */

/* Held by a server as long as it runs, by a command-line process while it upgrades. The kernel lets go of
 * it with the process, whatever its end. Who only looks whether it is held (store_is_served) has it for a moment. */
#define LOCK_TRIES 10
#define LOCK_PAUSE_MS 5
int store_lock_server(store *s)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/server.lock", s->dir);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    for (int tries = 1; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        if (errno != EWOULDBLOCK || tries == LOCK_TRIES) {
            int r = errno == EWOULDBLOCK ? -EBUSY : -errno;
            close(fd);
            return r;
        }
        (void)poll(NULL, 0, LOCK_PAUSE_MS);
    }
    s->server_lock = fd;
    return 0;
}

bool store_is_served(const store *s)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/server.lock", s->dir);
    int fd = n < 0 || (size_t)n >= sizeof(path) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool is_held = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    close(fd);
    return is_held;
}

void store_unlock_server(store *s)
{
    if (s->server_lock >= 0)
        close(s->server_lock);
    s->server_lock = -1;
}

int store_sync_folder(const char *dir)
{
    char parent[PATH_MAX];
    int n = snprintf(parent, sizeof(parent), "%s/..", dir);
    if (n < 0 || (size_t)n >= sizeof(parent))
        return -ENAMETOOLONG;
    int r = sync_path(dir);
    if (r < 0)
        return r;
    r = sync_path(parent);
    return r == -EACCES || r == -EPERM ? 0 : r; /* where we may not look, it was somebody else who made the folder */
}

#define LOCK_FILE_BYTES 20480 /* LMDB's table of MAX_READERS, and some */

/* LMDB writes to its lock file through memory: on a full disk that would be a SIGBUS, so its blocks are asked
 * for here. */
static int reserve_lock_file(const store *s)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof(path), "%s/lock.mdb", s->dir);

    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    const int r = posix_fallocate(fd, 0, LOCK_FILE_BYTES);
    close(fd);
    return r == EOPNOTSUPP || r == EINVAL ? 0 : -r; /* a file system that can't: as before */
}

static int prepare_folder(store *s, const store_options *o, const char **ret_why)
{
    const int64_t size = data_file_size(s);
    if (size == 0) { /* LMDB would begin a new store in it, and nobody would hear that the old one is lost */
        *ret_why = "its data file is empty: restore it from a backup, or delete it to begin anew";
        return -EPROTO;
    }
    if ((o->read_only || o->must_exist) && size < 0) {
        *ret_why = "there is no store";
        return -ENOENT;
    }
    if (!s->read_only && mkdir(s->dir, 0700) < 0 && errno != EEXIST) {
        *ret_why = "the folder can't be created";
        return -errno;
    }
    int r = s->loop ? store_lock_server(s) : 0;
    if (r < 0)
        *ret_why = r == -EBUSY ? "another server has it open" : "its lock file can't be opened";
    if (r == 0 && !s->read_only) {
        r = reserve_lock_file(s);
        if (r < 0)
            *ret_why = "its lock file can't be made";
    }
    return r;
}

/* ---- open ---- */

static bool unique_is_good(const keyspace_unique *u)
{
    unsigned n = 0;

    for (size_t i = 0; i < COUNT_OF(u->parts); i++) {
        if (u->parts[i].at + u->parts[i].n > u->key_n)
            return false;
        n += u->parts[i].n;
    }
    return u->key_n <= STORE_UNIQUE_KEY_MAX && n <= u->key_n && (n > 0 || u->key_n == 0);
}

static bool options_are_good(const store_options *o)
{
    if (!o->dir || o->max_size < MIN_SIZE || o->schema_version == 0 || o->n_keyspaces > MAX_KEYSPACES)
        return false;
    for (size_t i = 0; i < o->n_keyspaces; i++) {
        const keyspace *ks = o->keyspaces[i];
        size_t n = strlen(ks->name);
        if (n == 0 || n > MAX_NAME || strchr(ks->name, ':') || (ks->n_indexes > 0 && !ks->emit))
            return false;
        if (!unique_is_good(&ks->unique))
            return false;
        for (size_t x = 0; x < ks->n_indexes; x++)
            if (strlen(ks->indexes[x]) == 0 || strlen(ks->indexes[x]) > MAX_NAME)
                return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(o->keyspaces[j]->name, ks->name) == 0)
                return false;
    }
    return true;
}

static int make_spaces(store *s, const store_options *o)
{
    size_t n_indexes = 0;
    for (size_t i = 0; i < o->n_keyspaces; i++)
        n_indexes += o->keyspaces[i]->n_indexes;
    s->n_spaces = o->n_keyspaces;
    s->n_tables = 2 + 2 + s->n_spaces + n_indexes; /* LMDB's own two, meta and sums, and the keyspaces' */
    s->spaces = mem_zalloc(s->n_spaces * sizeof(*s->spaces));
    s->index_tables = mem_zalloc(n_indexes * sizeof(*s->index_tables));
    s->idle_cursors = mem_zalloc(s->n_tables * sizeof(*s->idle_cursors));
    s->dir = mem_strndup(o->dir, strlen(o->dir));
    if (!s->spaces || !s->index_tables || !s->idle_cursors || !s->dir)
        return -ENOMEM;
    MDB_dbi *next = s->index_tables;
    for (size_t i = 0; i < s->n_spaces; i++) {
        s->spaces[i] = (space){.ks = o->keyspaces[i], .indexes = next};
        next += o->keyspaces[i]->n_indexes;
        if (o->keyspaces[i]->slot != (unsigned)i) /* a job's thread may be reading it through another store */
            o->keyspaces[i]->slot = (unsigned)i;
    }
    return 0;
}

/* LMDB syncs what is in its file, not that there is one. Where that fails the file is removed, so that the next start
 * doesn't take for safe what is not. */
static int sync_new(store *s)
{
    char path[PATH_MAX];
    const int n = snprintf(path, sizeof(path), "%s/data.mdb", s->dir);
    const int r = store_sync_folder(s->dir);

    if (r < 0 && n > 0 && (size_t)n < sizeof(path)) {
        env_close(s);
        (void)unlink(path);
    }
    return r;
}

static int open_all(store *s, const store_options *o, const char **ret_why)
{
    int r = prepare_folder(s, o, ret_why);
    if (r < 0)
        return r;
    const bool is_new = data_file_size(s) < 0; /* asked under the server's lock: nobody makes one meanwhile */
    r = env_open(s);
    if (r == 0 && is_new)
        r = sync_new(s);
    if (r < 0)
        *ret_why = r == -EPROTO ? "its data file is no store, or damaged, or cut short" : "its file can't be opened";
    if (r == 0)
        r = store_upgrade(s, o, ret_why);
    if (r == 0)
        r = store_space_measure(s);
    if (r == 0)
        r = store_view_open(s);
    if (r == 0 && s->loop)
        r = store_writer_start(s);
    return r;
}

const char *store_err_text(int r)
{
    return r == -EPROTO ? "its data file is damaged" : err_text(r);
}

const char *store_refusal_text(int r)
{
    return r == -ENOSPC ? "the store is full" : r == -EIO ? "the store's disk fails" : store_err_text(r);
}

/* What open_all has to say. Where the error is the store's own, that is all; the system's are added. */
static str reason(const store_options *o, int r, const char *why, arena *a)
{
    const bool is_missing = r == -ENOENT && (o->read_only || o->must_exist);
    const bool is_own = is_missing || r == -EPROTO || r == -EOVERFLOW || r == -ESTALE || r == -EBUSY;

    if (!why || !is_own)
        return arena_printf(a, "%s: %s%s%s", o->dir, why ? why : "", why ? ": " : "", store_err_text(r));
    return arena_printf(a, "%s: %s", o->dir, why);
}

int store_open(const store_options *o, loop *l, arena *a, store **ret_store, str *ret_why)
{
    const char *why = NULL;
    if (!options_are_good(o))
        return -EINVAL;
    store *s = mem_new(store);
    if (!s)
        return -ENOMEM;
    s->server_lock = -1;
    s->loop = o->read_only ? NULL : l;
    s->max_size = whole_pages(o->max_size);
    s->read_only = o->read_only;
    atomic_store(&s->refuses, o->read_only ? -EROFS : 0);
    s->probe_ms = o->probe_ms ? o->probe_ms : 1000;
    s->view.owner = s;
    pthread_mutex_init(&s->env_lock, NULL);
    int r = make_spaces(s, o);
    if (r == 0)
        r = open_all(s, o, &why);
    if (r < 0) {
        if (ret_why)
            *ret_why = reason(o, r, why, a);
        store_free(s);
        return r;
    }
    *ret_store = s;
    return 0;
}

void store_free(store *s)
{
    REQUIRE(s->job_views == 0);
    env_close(s);
    store_unlock_server(s);
    store_txn_free(s->txn);
    for (size_t i = 0; s->spaces && i < s->n_spaces; i++)
        store_unique_done(&s->spaces[i].unique);
    pthread_mutex_destroy(&s->env_lock);
    mem_free(s->spaces);
    mem_free(s->index_tables);
    mem_free(s->idle_cursors);
    mem_free(s->dir);
    mem_free(s);
}

space *store_space(const store *s, const keyspace *ks)
{
    REQUIRE(ks->slot < s->n_spaces && s->spaces[ks->slot].ks == ks);
    return &s->spaces[ks->slot];
}

uint64_t store_id(const store *s)
{
    return s->id;
}
