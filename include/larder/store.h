/* store: everything that must survive. One LMDB environment under data_dir, readers that never wait,
 * one writer thread.
 *
 * Words
 *   keyspace   a named table of records, key -> value bytes (see record.h for the usual value codec).
 *   index      a second order over a keyspace: each record emits entries (key, cover); the store keeps them in step.
 *   cover      bytes kept in the index entry itself, so that a filter need not fetch the record.
 *   unique     bytes of the key that no two records share: the writer finds a record by them in memory.
 *   tally      an exact count kept per bucket: each record names the buckets it counts in. Totals cost one look-up.
 *   view       what reads go through: a read scope's snapshot, or a write transaction's own state.
 *   read scope store_read_begin .. store_read_end within one loop callback (or one job). Slices into
 *              the map die with it.
 *   op         a write: apply(txn, op) runs on the writer thread, done(op) on the loop after the commit is durable.
 *   generation for a keyspace, a number that names its content: equal numbers, equal content (see store_generation).
 *
 * Atomicity. The writer takes all waiting ops, applies them in order in one transaction and commits once
 * with fsync (group commit). Each apply call is all or nothing: one that fails after writing is taken out
 * and the rest is applied again, so apply must be repeatable: it reads and writes only the transaction, its
 * input, op->at, and output fields that it sets anew each time. A large op does its work in steps: when
 * store_txn_is_full, apply notes in op->at where to go on and returns STORE_MORE; that step is committed,
 * ops that wait go first, then it is called again. So a stepped op is atomic per step, not as a whole, and
 * must leave records that are valid at each boundary. Before a step is repeated, the store puts op->at back
 * to what it was: another value than in the last call means that the step before is committed. So it does
 * when the op ends with an error: done sees where the step began that failed. (An op flagged STORE_JOINS
 * carries nothing but op->at from step to step; while nobody else waits, several of its steps share a
 * commit, which is faster.)
 *
 * Full. The map is an address range of store.max_size, rounded up to pages; the file behind it grows as
 * pages are used. When an op would leave less than a reserve (1/64 of the map, 1 to 16 MiB), or the disk
 * refuses, it gets -ENOSPC; ops flagged STORE_FREES may use the reserve. While there is no space (or the
 * disk fails: -EIO) other ops are refused untried and reads go on; each second a probe write finds out
 * whether there is space again.
 *
 * Processes. One process may have the store open with a loop (the server: -EBUSY for a second one);
 * command-line processes may read and write beside it. They take turns through LMDB's own lock.
 *
 * To add a keyspace: define it beside its domain and name it in the list that app/ gives to store_open. All
 * puts and deletes pass through store_put and store_del: who must follow changes (a replica) would listen
 * there. */
#ifndef LARDER_STORE_H
#define LARDER_STORE_H

#include "larder/base.h"
#include "larder/clock.h"
#include "larder/loop.h"

#define STORE_SCHEMA_VERSION 1
#define STORE_KEY_MAX 511 /* LMDB's limit, index keys included: emitters hash or cut longer texts */
#define STORE_BUCKET_MAX 400
#define STORE_VALUE_MAX (16u << 20)
#define STORE_STEP_WRITES 256 /* rows a step of a large op writes, index entries included: about 5 ms */

typedef struct store store;
typedef struct store_view store_view;
typedef struct store_txn store_txn;
typedef struct store_emit store_emit;

/* ---- declaring ---- */
/* Of keys that all have key_n bytes, at most STORE_UNIQUE_KEY_MAX: two runs of bytes that no two records share. The
 * writer keeps a table of them in memory, 1 + key_n bytes a slot; between an eighth and three quarters of the slots are
 * in use. It is for what is looked for in no order while much is written: an index would have a page to write for each.
 */
#define STORE_UNIQUE_KEY_MAX 64
typedef struct keyspace_unique {
    unsigned key_n; /* 0: there is none */
    struct {
        unsigned char at, n;
    } parts[2];
} keyspace_unique;
typedef struct keyspace {
    const char *name;
    const char *const *indexes; /* their names, in the order of the numbers that emit and store_walk use */
    size_t n_indexes;
    /* Says all index entries and tally buckets of one record, by the two calls below. NULL for a plain
     * keyspace. Pure; runs on the writer (for the old and the new record), in check and in rebuilds. Raise
     * emit_version when it changes: the indexes and tallies are then rebuilt at open. */
    int (*emit)(str key, str value, store_emit *out);
    unsigned emit_version;
    keyspace_unique unique;
    unsigned slot; /* the store's own, set by store_open */
} keyspace;
/* Entry keys must be unique in their index: they end with the record's key. Bytes are copied. */
void store_emit_entry(store_emit *out, unsigned index, str index_key, str cover);
void store_emit_bucket(store_emit *out, str bucket); /* this record counts in it; 1 to STORE_BUCKET_MAX bytes */

/* Keys made of parts that sort part by part. A key into which a part didn't fit becomes empty, and the
 * store refuses it: cut long texts before (the record's key, which comes last, keeps an index entry
 * unique). */
typedef struct store_key {
    char bytes[STORE_KEY_MAX];
    size_t n;
    bool overflow; /* a part didn't fit */
} store_key;
void store_key_init(store_key *k);
void store_key_str(store_key *k, str text);   /* any bytes; sorts as they do, a text before its extensions */
void store_key_u64(store_key *k, uint64_t v); /* ascending; give ~v for descending */
void store_key_u8(store_key *k, uint8_t v);
void store_key_tail(store_key *k, str rest);  /* the last part: raw bytes */
static inline str store_key_view(const store_key *k)
{
    return (str){k->bytes, k->overflow ? 0 : k->n};
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
    bool read_only;            /* check, status: no writer (the loop isn't used), nothing created */
    bool must_exist;           /* nothing created here either */
    unsigned probe_ms;         /* how often a full store looks for space; 0: each second */
} store_options;
/* `l` NULL: a command-line process: no writer thread, store_run only. Errors: -ENOENT (read_only or must_exist,
 * and nothing there), -EPROTO (not a store of ours), -EOVERFLOW (newer schema), -EBUSY (a server has it open; or it
 * must be migrated, or its indexes rebuilt, and a server has it open), -ESTALE (read_only, and it must be
 * migrated), -ENOSPC, -EINVAL (options), errno. *ret_why, when given, gets a text on failure (static or in
 * `a`). The options' strings and lists must outlive the store; a keyspace belongs to one list only.
 * A data file that is cut short is refused (-EPROTO), unless what is missing is needed to see that: then, as when
 * the disk fails while a page is read, the system sends SIGBUS. */
int store_open(const store_options *o, loop *l, arena *a, store **ret_store, str *ret_why);
/* Ops under way finish, their done callbacks run, then closed(arg) on the loop; without a loop it closes at
 * once. */
void store_close(store *s, void (*closed)(void *arg), void *arg);
bool store_is_served(const store *s); /* another process, a server, has it open */
const char *store_err_text(int r); /* as err_text, for what this room returns */
const char *store_refusal_text(int r); /* the same for an op that failed: of the store's limit, not of a file's */

/* ---- reading ---- */
/* On the loop (without one: in the one thread): the newest snapshot; nesting counts, and keeps the outer
 * one's. Never NULL after a successful open. It costs next to nothing while nothing was committed since the
 * last scope. */
store_view *store_read_begin(store *s);
void store_read_end(store_view *v);
/* On a worker: an own snapshot; -ENOMEM, -EAGAIN when all reader slots are taken. End it with
 * store_read_end too. */
int store_read_begin_job(store *s, store_view **ret_view);

int store_get(store_view *v, const keyspace *ks, str key, str *ret_value); /* -ENOENT; -EIO: the disk fails */
bool store_has(store_view *v, const keyspace *ks, str key);
uint64_t store_count(store_view *v, const keyspace *ks);                   /* records */
uint64_t store_bytes(store_view *v, const keyspace *ks); /* of the map, taken by its records and indexes */
int64_t store_tally(store_view *v, const keyspace *ks, str bucket);        /* 0 when none */
/* All that are not 0, by their buckets: a sixth of the price of asking for each. What `fn` returns ends it unless it is
 * 0, and is returned; -EIO, -ENOMEM. */
int store_tally_each(store_view *v, const keyspace *ks, int (*fn)(void *arg, str bucket, int64_t tally), void *arg);
/* Equal numbers mean equal content of the keyspace (also after a restart). For ETags: combine with
 * store_id. */
uint64_t store_generation(store_view *v, const keyspace *ks);
uint64_t store_id(const store *s); /* random, made with the store; a backup gets its own */

typedef struct store_cursor store_cursor;
#define STORE_BY_KEY (-1) /* the keyspace itself instead of an index */
typedef struct store_item {
    str key;    /* the record's key */
    str index_key, cover; /* when walking an index */
    str value;  /* the record; with an index only after store_item_value */
} store_item;
/* Walks from `from` (inclusive; null = the end where the walk begins) within keys that start with `prefix`
 * (may be empty), up or down. The cursor belongs to the view: it ends with it, or earlier with
 * store_cursor_end. -ENOMEM. */
int store_walk(store_view *v, const keyspace *ks, int index, str prefix, str from, bool down,
               store_cursor **ret_cursor);
bool store_next(store_cursor *c, store_item *ret_item); /* false at the end; then store_cursor_error tells why */
int store_cursor_error(const store_cursor *c);
int store_item_value(store_cursor *c, store_item *item); /* fetches item->value of an index entry */
void store_cursor_end(store_cursor *c); /* NULL is fine */
/* The first item whose key starts with `prefix`, up, without a cursor of one's own: as store_walk and one store_next.
 * -ENOENT, -EIO, -ENOMEM. */
int store_first(store_view *v, const keyspace *ks, int index, str prefix, store_item *ret_item);

/* ---- pages of lists ---- */
/* By `skip`; or, when `after` is not null, behind the record that it names: it is the `next` of the page before, and
 * stays good when records come and go. */
typedef struct page_at {
    uint64_t skip;
    str after;
    size_t limit;
} page_at;
/* Such a text, of bytes that say the place, and of a mark that tells one list from another; in the arena. -ENOMEM */
int page_place_text(arena *a, uint8_t mark, str bytes, str *ret_text);
/* And back; null for null. -EINVAL: not a place of that list. */
int page_place_bytes(arena *a, uint8_t mark, str text, str *ret_bytes);

/* ---- writing ---- */
enum { STORE_MORE = 1 };
enum {
    STORE_FREES = 1, /* makes space: may use the reserve */
    STORE_JOINS = 2, /* its steps may share a commit */
};
typedef struct store_op store_op;
struct store_op {
    int (*apply)(store_txn *t, store_op *op);   /* writer thread: 0, STORE_MORE, or -errno */
    void (*done)(store_op *op, int status);     /* loop: 0 = durable; may be NULL */
    unsigned flags;
    uint64_t at;      /* apply's own: where this step begins; 0 before the first */
    int status;       /* the store's own from here */
    uint64_t at_before;
    store_op *next;
};
/* Queues it, from any thread; done runs exactly once, later. The op is the store's until then. After
 * store_close has begun: done with -ECANCELED. */
void store_submit(store *s, store_op *op);
/* Applies and commits in the calling thread, all steps; for the command line and start-up. Returns apply's
 * or commit's error; done is not called. */
int store_run(store *s, store_op *op);

store_view *store_txn_view(store_txn *t);
/* Bytes are copied, and may lie in the view. What was read from the view is valid until the next put or del
 * in the same txn; walks go on behind the last item. Putting what is there already writes nothing. -ENOSPC,
 * -EINVAL (key empty or too long, or an emitter breaks its rules), -EFBIG, -ENOMEM, the emitter's error:
 * the step fails then, whatever apply returns. */
int store_put(store_txn *t, const keyspace *ks, str key, str value);
int store_del(store_txn *t, const keyspace *ks, str key); /* -ENOENT: it wasn't there, which fails nothing */
/* The key of the record that has the unique parts of `key`, whose other bytes don't matter; good until the next put or
 * del of the keyspace. -ENOENT, -ENOMEM, -EIO, -EPROTO, -EINVAL (length). The table is made by the first call, which
 * reads all keys then (0.3 us each): where another process has written to the keyspace, or a transaction was dropped in
 * which it was made, by the next one again. Once it is there, a put of a second record with these parts is -EPROTO. */
int store_find_unique(store_txn *t, const keyspace *ks, str key, str *ret_key);
int store_unique_make(store_txn *t, const keyspace *ks); /* the table, so that nobody waits for it later */
bool store_txn_is_full(const store_txn *t); /* this step has written enough; fewer rows when there is little space */
/* So many bytes more would leave the reserve alone. For ops that are the first to be refused, as what they write needs
 * room later: they return -ENOSPC before they have written anything, which concerns no other op. */
bool store_txn_has_room(store_txn *t, uint64_t bytes);

/* ---- keeping ---- */
/* Every index entry and tally against its record and back; line() gets one text per fault. Returns the
 * number of faults, or -errno. Works beside a running server (one snapshot). */
int store_check(store *s, void (*line)(void *arg, const char *text), void *arg);
/* a consistent compacted copy; dir must not hold a store (-EEXIST), nor may another backup be going there (-EBUSY) */
int store_backup(store *s, const char *dir);
/* Why writes are refused now: 0 while they are not; -ENOSPC, -EIO or what else the disk says; -ECANCELED once closing
 * has begun; -EROFS. Any thread. */
int store_trouble(const store *s);
bool store_is_writable(const store *s); /* there is no trouble */

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
