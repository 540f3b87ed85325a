/* What the files of this room share.
 *
 *   env.c        the LMDB environment: opening, tables, reopening, closing; LMDB's errors as ours
 *   upgrade.c    schema version, store id, migrations, building of indexes and tallies
 *   keys.c       keys made of parts
 *   emit.c       what a record emits: index entries and buckets, in order
 *   unique.c     what is unique in keys: a table in memory, kept in step with the write transaction
 *   tally.c      the deltas of a transaction, and the table of sums where tallies and generations are kept
 *   write_txn.c  a write transaction: put and del, which keep indexes and tallies in step; alone writes rows
 *   read.c       views: the loop's snapshot, those of jobs, point reads
 *   walk.c       cursors
 *   writer.c     the queue and the writer thread;  batch_txn.c  what it does with what it took from the queue
 *   space.c      how full the map is
 *   check.c, backup.c, stats.c
 *
 * Tables. "meta" holds facts about the store, "sums" tallies and generations, "r:<keyspace>" the records,
 * "i:<keyspace>:<index>" an index: its values are [u16 length of the record's key, little-endian][cover],
 * and the record's key is the end of the entry's key. */
#ifndef LARDER_STORE_IMPL_H
#define LARDER_STORE_IMPL_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>

#include "larder/store.h"

#define NO_TABLE 0 /* one that a read-only store doesn't have; LMDB's number for its list of free pages */
#define BATCH_OPS 1024
#define BATCH_WRITES (4 * STORE_STEP_WRITES)
#define LONE_WRITES (32 * STORE_STEP_WRITES) /* by steps that share a commit, while nobody else has come for LONE_MS */
#define LONE_MS 1000
#define SMALL_STEP_WRITES 16 /* when there is little space left */
#define PROBE_PAGES 64
#define ENV_DEAD (-ENOTRECOVERABLE) /* the room's own: the environment must be opened anew */

/* ---- emit.c ---- */
#define EMIT_TALLY UINT32_MAX /* in place of an index's number: a bucket */
typedef struct emission {
    uint32_t index;
    uint32_t key_at, key_n; /* in bytes: the entry's key, or the bucket. Its value as stored follows it */
    uint32_t value_n;
} emission;
struct store_emit {
    buf bytes;
    emission *v;
    size_t n, cap;
    int err;
    const keyspace *ks; /* the record that emits */
    str key;
};
void store_emit_done(store_emit *e);
void store_emit_clear(store_emit *e);
/* All that the record emits, in place of what e held; sorted by index and key. -EINVAL: the emitter breaks
 * a rule; or its own error, or -ENOMEM. */
int store_emit_record(store_emit *e, const keyspace *ks, str key, str value);
str store_emission_key(const store_emit *e, const emission *m);
str store_emission_value(const store_emit *e, const emission *m);
int store_emission_cmp(const store_emit *e, const emission *m, const store_emit *f, const emission *n);
/* The parts of an index entry. -EPROTO. */
int store_entry_split(str index_key, str value, str *ret_key, str *ret_cover);

/* ---- tally.c ---- */
typedef struct tally_delta {
    uint64_t hash;
    unsigned slot; /* of the keyspace */
    size_t at, n;  /* the bucket, in bytes */
    int64_t value;
} tally_delta;
typedef struct tally_table {
    tally_delta *v;
    size_t n, cap;
    uint32_t *places; /* 1 + place in v; a power of two of them */
    size_t n_places;
    buf bytes;
} tally_table;
void store_tally_table_done(tally_table *t);
void store_tally_table_clear(tally_table *t);
int store_tally_table_add(tally_table *t, unsigned slot, str bucket, int64_t value); /* -ENOMEM */
int64_t store_tally_table_get(const tally_table *t, unsigned slot, str bucket);
str store_tally_bucket(const tally_table *t, const tally_delta *d);
/* Keys in the table of sums. */
void store_sum_key(store_key *k, const keyspace *ks, char kind, str bucket);
#define SUM_GENERATION 'g'
#define SUM_TALLY 't'
int store_tally_flush(store_txn *t);                    /* writes deltas and generations; before the commit */
int store_tally_drop(store_txn *t, const keyspace *ks); /* all tallies of the keyspace */
int store_sum_get(store_view *v, const keyspace *ks, char kind, str bucket, uint64_t *ret_value);

/* ---- unique.c: the writer's own ---- */
typedef struct unique_shard {
    char *slots;
    size_t n_slots; /* a power of two */
    size_t n;
} unique_shard;
typedef struct unique_table {
    unique_shard *shards; /* NULL: it is not made yet */
    bool may_shrink;      /* some of them */
    uint64_t generation; /* of the keyspace that it shows, but for what the transaction has changed */
    uint64_t seen_by;    /* the number of the transaction that has looked whether it is so */
    uint64_t unsure;     /* and of one that had written before it was made: it must come to stay, or the table goes */
} unique_table;
void store_unique_done(unique_table *u);

/* ---- the parts of a store ---- */
typedef struct space {
    const keyspace *ks;
    MDB_dbi records;
    MDB_dbi *indexes;
    unique_table unique;
    uint64_t generation, generation_of; /* as the loop's view saw it in that snapshot; NO_SNAPSHOT: not yet */
} space;
#define NO_SNAPSHOT UINT64_MAX

struct store_view {
    store *owner;
    MDB_txn *txn;
    store_txn *writing;    /* the write transaction it looks into, or NULL */
    store_cursor *cursors; /* live */
    uint64_t snapshot;     /* LMDB's transaction id */
    unsigned depth;        /* of nested read scopes */
    bool open;             /* txn holds a snapshot */
};

struct store_txn {
    store *owner;
    store_view view;
    MDB_cursor **cursors; /* by table, opened when first needed */
    store_emit before, after;
    buf value; /* a copy of what is put: the original may lie in a page that the put moves */
    tally_table tallies;
    uint64_t number; /* of the transactions of this store, in this process */
    buf unique_log;  /* what it has changed in tables of unique parts */
    bool *touched;      /* by slot: the keyspace's generation goes on */
    uint64_t changes;   /* puts and dels that changed something */
    uint64_t writes;    /* to LMDB, index entries included */
    uint64_t bytes;     /* written so far */
    uint64_t step_from; /* `writes` when this step began */
    unsigned step_writes;
    uint64_t high_water; /* pages of the file before this transaction */
    int err;     /* of the op that is at work: sticky */
    bool broken; /* LMDB refused a write: there is nothing but to abort */
    bool plain;  /* a migration: indexes and tallies are left alone, and rebuilt later */
    uint64_t commit_us, longest_hold_us;
};

typedef struct op_list {
    store_op *first, *last;
    size_t n;
} op_list;

struct store {
    char *dir;
    uint64_t max_size; /* as asked for, in whole pages */
    bool read_only;
    int server_lock; /* file descriptor, -1 when not held */
    uint64_t id;
    loop *loop;
    unsigned probe_ms;

    MDB_env *env; /* NULL only after a reopening that failed */
    size_t page_size;
    uint64_t pages_used, pages_used_of; /* in the loop's snapshot of that number */
    uint64_t map_size;
    uint64_t limit_pages; /* for ops that don't free */
    int64_t other_pages;  /* in use beside the tables (space.c); is_measured: known, which it is once open */
    bool is_measured;
    MDB_dbi meta, sums;
    MDB_dbi *index_tables;
    space *spaces;
    size_t n_spaces, n_tables; /* tables: LMDB's two included */

    store_view view;             /* the loop's */
    store_cursor **idle_cursors; /* by table, for the loop's view */
    pthread_mutex_t env_lock;    /* guards job_views against a reopening */
    unsigned job_views;

    /* The writer. What `lock` guards: */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    op_list queue, finished;
    size_t wanted; /* the writer waits for so many */
    bool closing, writer_ended, finished_posted;
    bool reopen_posted;
    store_stats stats;
    /* The writer's own: */
    pthread_t thread;
    store_txn *txn;
    uint64_t txn_number; /* of the last one */
    op_list taken;
    store_op *batch[BATCH_OPS]; /* in order of application */
    size_t batch_n, last_batch;
    int64_t company_at; /* mono ms: when an op last came that is not one of many steps */
    int trouble;                          /* 0, or why ops are refused: -ENOSPC, -EIO, .. */
    int64_t probe_at, readers_checked_at; /* mono ms */
    atomic_int refuses; /* what store_trouble tells */
    atomic_bool parked; /* the writer keeps its hands off env until the loop has reopened it */
    post finished_post, reopen_post;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- env.c ---- */
int store_errno(int lmdb_error);
bool store_is_fatal(int lmdb_error); /* the environment must be opened anew */
space *store_space(const store *s, const keyspace *ks);
int store_tables_open_own(store *s, MDB_txn *txn, bool create); /* meta and sums; missing ones: NO_TABLE */
int store_tables_open(store *s, MDB_txn *txn, bool create);     /* the keyspaces' */
int store_lock_server(store *s);                                /* -EBUSY */
void store_unlock_server(store *s);
int store_sync_folder(const char *dir); /* its names, and its own: where files were made in it, and perhaps it itself */
/* On the loop, while the writer is parked. -EBUSY while jobs read; after any other error there is no env. */
int store_env_reopen(store *s);
void store_free(store *s); /* the writer has ended */
static inline MDB_val store_val(str s)
{
    return (MDB_val){.mv_size = s.n, .mv_data = (void *)(uintptr_t)s.p};
}
static inline str store_str(MDB_val v)
{
    return (str){v.mv_data, v.mv_size};
}

/* ---- keys.c: rows of meta and sums hold a number, 8 bytes, big-endian ---- */
uint64_t store_number(str bytes);
void store_number_bytes(uint64_t v, char out[8]);

/* ---- upgrade.c ---- */
int store_upgrade(store *s, const store_options *o, const char **ret_why);
int store_meta_put(store_txn *t, str name, uint64_t value);

/* ---- read.c ---- */
int store_view_open(store *s);          /* makes the loop's view */
void store_view_refresh(store_view *v); /* the loop's: to the newest snapshot, unless a scope is open */
void store_view_let_go(store_view *v);  /* drops the snapshot, unless a scope is open; keeps the slot */
void store_view_close(store_view *v);

/* ---- walk.c ---- */
void store_view_end_cursors(store_view *v);
void store_idle_cursors_close(store *s);

/* ---- write_txn.c ---- */
int store_txn_new(store *s, store_txn **ret_txn);
void store_txn_free(store_txn *t);  /* NULL is fine */
int store_txn_begin(store_txn *t);  /* ENV_DEAD, .. */
int store_txn_commit(store_txn *t); /* in any case the transaction has ended */
void store_txn_abort(store_txn *t); /* harmless when none is under way */
/* One step within t: apply's result, or why it can't stay. *ret_left_traces: t is not what it was before. */
int store_txn_apply(store_txn *t, store_op *op, bool *ret_left_traces);
int store_txn_step(store_txn *t, store_op *op); /* one step with a transaction of its own */
int store_txn_row(store_txn *t, MDB_dbi table, str key, str value, unsigned flags);
int store_txn_cursor(store_txn *t, MDB_dbi table, MDB_cursor **ret_cursor); /* the one kept for the table */
int store_txn_row_del(store_txn *t, MDB_dbi table, str key); /* missing is fine */
int store_txn_drop(store_txn *t, MDB_dbi table);             /* all rows */
/* Makes the entries and counts of a record that has none yet. */
int store_txn_emit(store_txn *t, const space *sp, str key, str value);

/* ---- unique.c ---- */
/* Before a record that is there is deleted, or one that is not there put: what follows can't fail then. */
int store_unique_before_del(store_txn *t, space *sp);
int store_unique_before_put(store_txn *t, space *sp, str key); /* -EPROTO: another one has these parts */
void store_unique_put(store_txn *t, space *sp, str key);
void store_unique_del(store_txn *t, space *sp, str key);
void store_unique_undo(store_txn *t); /* the transaction is dropped */
void store_unique_keep(store_txn *t); /* it is committed */
/* In a job: twice() gets each key whose parts another one before it has. */
int store_unique_check(store_view *v, const keyspace *ks, void (*twice)(void *arg, str key), void *arg);

/* ---- space.c ---- */
void store_space_begin(store_txn *t);
bool store_space_fits(store_txn *t); /* what t has written leaves the reserve alone */
int store_space_check_file(MDB_env *env); /* -EPROTO: pages of it are missing */
int store_space_measure(store *s);        /* when all tables are open */
uint64_t store_pages_used(const store *s, MDB_txn *txn);
int store_space_probe(store_txn *t); /* writes PROBE_PAGES pages and takes them back; t is not under way */

/* ---- writer.c, batch_txn.c: on the writer thread, but for the first ---- */
int store_writer_start(store *s);
void store_writer_take(store *s); /* moves the queue to the end of s->taken */
void store_writer_answer(store *s, op_list *finished, op_list *again);
void store_writer_probe(store *s); /* sets s->trouble */
void store_run_batch(store *s);    /* with what has been taken and what comes meanwhile */
void store_list_add(op_list *l, store_op *op);
store_op *store_list_take(op_list *l);             /* NULL when empty */
void store_list_append(op_list *l, op_list *more); /* empties `more` */

#endif
