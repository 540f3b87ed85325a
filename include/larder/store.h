/* store: everything that must survive. One LMDB environment under data_dir, readers that never wait, one writer thread.
 *
 * Words
 *   keyspace   a named table of records, key -> value bytes (see record.h for the usual value codec).
 *   index      a second order over a keyspace: each record emits entries (key, cover); the store keeps them in step.
 *   cover      bytes kept in the index entry itself, so that a filter need not fetch the record.
 *   tally      an exact count kept per bucket: each record names the buckets it counts in. Totals cost one look-up.
 *   view       what reads go through: a read scope's snapshot, or a write transaction's own state.
 *   read scope store_read_begin .. store_read_end within one loop callback (or one job). Slices into the map die with it.
 *   op         a write: apply(txn, op) runs on the writer thread, done(op) on the loop after the commit is durable.
 *   generation for a keyspace, a number that names its content: equal numbers, equal content (see store_generation).
 *
 * Atomicity. The writer takes all waiting ops, applies them in order in one transaction and commits once with fsync (group
 * commit). Each apply call is all or nothing: one that fails after writing is taken out and the rest is applied again, so
 * apply must be repeatable: it reads and writes only the transaction, its input, and output fields that it sets anew each
 * time. A large op returns STORE_MORE after at most about STORE_STEP_PUTS writes (store_txn_is_full says when): that step
 * is committed, the ops that wait go first, then it is called again. So a stepped op is atomic per step, not as a whole, and
 * its steps must leave records that are valid at each boundary.
 *
 * Full. The map is an address range of store.max_size; the file behind it grows as pages are used. When less than a
 * reserve is left, or the disk refuses, ops get -ENOSPC, but those flagged STORE_FREES may use the reserve; reads go on; a
 * probe write every second finds out when there is space again. Any other I/O error at commit: -EIO, same treatment.
 *
 * To add a keyspace: define it beside its domain and name it in the list that app/ gives to store_open. Changed indexes
 * (emit_version) are rebuilt at open. All puts and deletes pass through store_put and store_del: who must follow changes
 * (a replica) would listen there. */
#ifndef LARDER_STORE_H
#define LARDER_STORE_H

#include "larder/base.h"
#include "larder/clock.h"
#include "larder/loop.h"

#define STORE_SCHEMA_VERSION 1
#define STORE_KEY_MAX 511    /* LMDB's limit, index keys included: emitters hash or cut longer texts */
#define STORE_STEP_PUTS 256  /* records a step of a large op writes: about 5 ms of the writer */

typedef struct store store;
typedef struct store_view store_view;
typedef struct store_txn store_txn;
typedef struct store_emit store_emit;

/* ---- declaring ---- */
typedef struct keyspace {
    const char *name;
    const char *const *indexes; /* their names, in the order of the numbers that emit and store_walk use */
    size_t n_indexes;
    /* Says all index entries and tally buckets of one record, by the two calls below. NULL for a plain keyspace. Pure; runs
     * on the writer (for the old and the new record), in check and in rebuilds. Raise emit_version when it changes: the
     * indexes and tallies are then rebuilt at open. */
    int (*emit)(str key, str value, store_emit *out);
    unsigned emit_version;
    unsigned slot; /* the store's own, set by store_open */
} keyspace;
/* Entry keys must be unique in their index: they end with the record's key. Bytes are copied. */
void store_emit_entry(store_emit *out, unsigned index, str index_key, str cover);
void store_emit_bucket(store_emit *out, str bucket); /* this record counts in it; at most STORE_KEY_MAX - 16 bytes */

/* Keys made of parts that sort part by part: texts end with 0x00 0x00 ... see keys.c; numbers are big-endian. */
typedef struct store_key {
    char bytes[STORE_KEY_MAX];
    size_t n;
    bool overflow; /* a text was cut: still unique only if what follows is */
} store_key;
void store_key_init(store_key *k);
void store_key_str(store_key *k, str text);   /* any bytes; sorts as the bytes do; a shorter text before its extensions */
void store_key_u64(store_key *k, uint64_t v); /* ascending; give ~v for descending */
void store_key_u8(store_key *k, uint8_t v);
void store_key_tail(store_key *k, str rest);  /* the last part: raw bytes */
static inline str store_key_view(const store_key *k)
{
    return (str){k->bytes, k->n};
}
/* Reading the parts back, for cursors and covers: each cuts the front of *rest. -EPROTO when malformed. */
int store_key_cut_str(str *rest, arena *a, str *ret_text);
int store_key_cut_u64(str *rest, uint64_t *ret_v);

/* ---- opening ---- */
typedef struct store_migration {
    unsigned from; /* takes a store of this schema version to from + 1 */
    int (*migrate)(store_txn *t);
} store_migration;
typedef struct store_options {
    const char *dir;           /* created, mode 0700, when missing */
    uint64_t max_size;         /* bytes of the map */
    keyspace *const *keyspaces;
    size_t n_keyspaces;
    unsigned schema_version;   /* what this program writes: STORE_SCHEMA_VERSION, or a test's */
    const store_migration *migrations;
    size_t n_migrations;
    bool read_only;            /* check, status: no writer, nothing created */
} store_options;
/* `l` NULL: a command-line process: no writer thread, store_run only. Errors: -ENOENT (read_only, nothing there), -EPROTO
 * (not a store of ours), -EOVERFLOW (newer schema), -ENOSPC, errno; *ret_why, when given, gets a text (static or in `a`). */
int store_open(const store_options *o, loop *l, arena *a, store **ret_store, str *ret_why);
/* Ops under way finish, their done callbacks run, then closed(arg) on the loop; without a loop it closes at once. */
void store_close(store *s, void (*closed)(void *arg), void *arg);
bool store_was_created(const store *s); /* by this open */

/* ---- reading ---- */
/* On the loop: renews the one cached snapshot (nesting counts). Never NULL after a successful open. */
store_view *store_read_begin(store *s);
void store_read_end(store_view *v);
/* On a worker: an own snapshot; -ENOMEM, -EAGAIN when all reader slots are taken. End it with store_read_end too. */
int store_read_begin_job(store *s, store_view **ret_view);

int store_get(store_view *v, const keyspace *ks, str key, str *ret_value); /* -ENOENT */
bool store_has(store_view *v, const keyspace *ks, str key);
uint64_t store_count(store_view *v, const keyspace *ks);                   /* records */
int64_t store_tally(store_view *v, const keyspace *ks, str bucket);        /* 0 when none */
/* Equal numbers mean equal content of the keyspace (also after a restart). For ETags: combine with store_id. */
uint64_t store_generation(store_view *v, const keyspace *ks);
uint64_t store_id(const store *s); /* random, made with the store; a backup gets its own */

typedef struct store_cursor store_cursor;
#define STORE_BY_KEY (-1) /* the keyspace itself instead of an index */
typedef struct store_item {
    str key;    /* the record's key */
    str index_key, cover; /* when walking an index */
    str value;  /* the record; with an index only after store_item_value */
} store_item;
/* Walks from `from` (inclusive; null = the end where the walk begins) within keys that start with `prefix` (may be empty),
 * up or down. The cursor belongs to the view: it ends with it, or earlier with store_cursor_end. -ENOMEM. */
int store_walk(store_view *v, const keyspace *ks, int index, str prefix, str from, bool down, store_cursor **ret_cursor);
bool store_next(store_cursor *c, store_item *ret_item); /* false at the end; then store_cursor_error tells why */
int store_cursor_error(const store_cursor *c);
int store_item_value(store_cursor *c, store_item *item); /* fetches item->value of an index entry */
void store_cursor_end(store_cursor *c); /* NULL is fine */

/* ---- writing ---- */
enum { STORE_MORE = 1 };
enum { STORE_FREES = 1 /* makes space: may use the reserve */ };
typedef struct store_op store_op;
struct store_op {
    int (*apply)(store_txn *t, store_op *op);   /* writer thread: 0, STORE_MORE, or -errno */
    void (*done)(store_op *op, int status);     /* loop: 0 = durable; may be NULL */
    unsigned flags;
    unsigned steps;   /* steps of this op committed so far: how apply tells a repeated step from the next one */
    int status;       /* the store's own from here */
    post wake;
    store_op *next;
    store *owner;
};
/* Queues it; done runs exactly once, later. The op's memory stays yours and untouched until then. After store_close has
 * begun: done with -ECANCELED. */
void store_submit(store *s, store_op *op);
/* Applies and commits in the calling thread, all steps; for the command line and start-up. Returns apply's or commit's error. */
int store_run(store *s, store_op *op);

store_view *store_txn_view(store_txn *t);
/* Value bytes are copied. Values in the view stay valid until the next put or del in the same txn. -ENOSPC, -EINVAL (key
 * empty or too long), -ENOMEM; an apply must pass these on. */
int store_put(store_txn *t, const keyspace *ks, str key, str value);
int store_del(store_txn *t, const keyspace *ks, str key); /* -ENOENT */
bool store_txn_is_full(const store_txn *t); /* this step has written STORE_STEP_PUTS records */

/* ---- keeping ---- */
/* Every index entry and tally against its record and back; line() gets one text per fault. Returns the number of faults, or -errno.
 * Works beside a running server (one snapshot). */
int store_check(store *s, void (*line)(void *arg, const char *text), void *arg);
int store_backup(store *s, const char *dir); /* a consistent compacted copy; dir must not hold a store; -EEXIST */
bool store_is_writable(const store *s);      /* false while full, failing, or closing; any thread */

typedef struct store_stats {
    uint64_t commits, ops, failed_commits, puts;
    uint64_t batch[16];     /* commits of at most 2^i ops; last: more */
    uint64_t commit_us[24]; /* commits that took at most 2^i us; last: more */
    uint64_t commit_us_total;
    uint64_t map_size, used_bytes; /* used: pages in use, the data file's live part */
    uint64_t waiting;       /* ops in the queue */
    uint64_t longest_hold_us; /* the writer by one apply call */
} store_stats;
void store_stats_of(store *s, store_stats *ret_stats); /* loop thread; a snapshot */

#endif
