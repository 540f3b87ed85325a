/* sources: GitHub repositories, and the catalogue of artifacts found in them.
 *
 * Words
 *   source     a repository at a ref, registered by a client; its id reads src_<owner>_<repo> (see
 *              repo_url.h)
 *   scan       learning what a source holds now: repository, commit, tree, archive -> detector -> merge into
 *              the catalogue
 *   entry      one artifact of a source: a skill, command, agent, hook, mcp server or composite, with where
 *              it was found
 *   live       an entry that is neither removed nor excluded: what the marketplace and search show
 *   validator  what GitHub gave to ask "has this changed?" with: an ETag by URL and credential fingerprint
 *
 * Life of a source: create writes it with scan_status "scanning" and queues a scan; a scan that ends well
 * merges the catalogue in steps and last writes the source (success, counts, next_scan_at); one that fails
 * only writes scan_status "error" and last_error. When it is the merge that fails (the store is full), the
 * entries it added are taken back, what it changed stays, and the next scan compares all. What is "scanning"
 * when the server starts is scanned again. Every source is rescanned after sources.rescan_interval, give or
 * take a tenth; after a failure that may pass by itself (no answer of GitHub's, a 5xx, a full store) in a
 * minute, then in two, and so on, up to that interval.
 *
 * The entities below are stored as they are (record.h): append fields, never move them. */
#ifndef LARDER_SOURCES_H
#define LARDER_SOURCES_H

#include "larder/artifact_type.h"
#include "larder/github.h"
#include "larder/schema.h"
#include "larder/store.h"

#define SOURCE_TRUST "untrusted|basic|verified|official"
#define SOURCE_SCAN_STATUS "pending|scanning|success|error"
#define SOURCE_MAP_TYPES "skill|command|agent|mcp_server|hook|composite" /* as clients write them */
#define ARTIFACT_TYPES "skill|command|agent|mcp|hook|composite"

#define SOURCE_FIELDS(X, S)                                                                                            \
    X(S, str,    id,                   REQUIRED, 0, 0, NONE, "src_<owner>_<repo>") \
    X(S, str,    repo_url,             REQUIRED, 0, 0, FORMAT("uri"), "https://github.com/<owner>/<repo>") \
    X(S, str,    owner,                REQUIRED, 0, 0, NONE, "repository owner") \
    X(S, str,    repo_name,            REQUIRED, 0, 0, NONE, "repository name") \
    X(S, str,    ref,                  REQUIRED, 0, 0, NONE, "branch, tag or SHA that is scanned") \
    X(S, str,    root_hint,            NULLABLE, 0, 0, NONE, "folder the scan is limited to") \
    X(S, choice, trust_level,          REQUIRED, 0, 0, CHOICES(SOURCE_TRUST), "how its artifacts are treated") \
    X(S, choice, visibility,           REQUIRED, 0, 0, CHOICES("public|private|internal"), "as GitHub says") \
    X(S, choice, scan_status,          REQUIRED, 0, 0, CHOICES(SOURCE_SCAN_STATUS), "the last or current scan") \
    X(S, i64,    artifact_count,       REQUIRED, 0, 0, NONE, "live entries") \
    X(S, time,   last_sync_at,         NULLABLE, 0, 0, NONE, "end of the last successful scan") \
    X(S, str,    last_error,           NULLABLE, 0, 0, NONE, "why the last scan failed") \
    X(S, time,   created_at,           REQUIRED, 0, 0, NONE, "when it was registered") \
    X(S, time,   updated_at,           REQUIRED, 0, 0, NONE, "when it last changed") \
    X(S, str,    description,          NULLABLE, 0, 500, NONE, "the user's description") \
    X(S, str,    notes,                NULLABLE, 0, 2000, NONE, "internal notes") \
    X(S, bool,   enable_frontmatter_detection, REQUIRED, 0, 0, NONE, "Markdown frontmatter makes artifacts too") \
    X(S, pairs,  manual_map,           NULLABLE, 0, 0, NONE, "directory -> artifact type") \
    X(S, str,    repo_description,     NULLABLE, 0, 0, NONE, "GitHub's description, when asked for") \
    X(S, str,    repo_readme,          NULLABLE, 0, 0, NONE, "README, when asked for; cut at 50000 characters") \
    X(S, strs,   tags,                 REQUIRED, 0, 20, EACH(1, 50), "tags, lower case") \
    X(S, counts, counts_by_type,       REQUIRED, 0, 0, NONE, "live entries by artifact type") \
    X(S, bool,   indexing_enabled,     REQUIRED, 0, 0, NONE, "whether search shows its entries") \
    X(S, time,   last_indexed_at,      NULLABLE, 0, 0, NONE, "when search last learnt its entries") \
    X(S, i64,    new_artifact_count,   REQUIRED, 0, 0, NONE, "entries with status new") \
    X(S, i64,    updated_artifact_count, REQUIRED, 0, 0, NONE, "entries with status updated") \
    X(S, i64,    imported_count,       REQUIRED, 0, 0, NONE, "entries with status imported") \
    X(S, bool,   single_artifact_mode, REQUIRED, 0, 0, NONE, "the whole repository is one artifact") \
    X(S, str,    single_artifact_type, NULLABLE, 0, 0, NONE, "its type then") \
    X(S, bool,   deep_indexing_enabled, REQUIRED, 0, 0, NONE, "kept for clients that send it") \
    X(S, str,    artifacts_root,       NULLABLE, 0, 0, NONE, "deepest folder all live entries share") \
    X(S, i64,    artifact_count_from_cache, REQUIRED, 0, 0, NONE, "the same as artifact_count") \
    X(S, str,    indexing_strategy,    NULLABLE, 0, 0, NONE, "how content is fetched: archive") \
    X(S, str,    last_indexed_tree_sha, NULLABLE, 0, 0, NONE, "commit of the last successful scan") \
    X(S, i64,    composite_member_count, REQUIRED, 0, 0, NONE, "entries that lie inside composites") \
    X(S, strs,   composite_child_types, REQUIRED, 0, 0, NONE, "their types") \
    X(S, strs,   topics,               REQUIRED, 0, 0, NONE, "GitHub topics") \
    X(S, str,    license,              NULLABLE, 0, 0, NONE, "SPDX id GitHub gives") \
    X(S, time,   waiting_since,        NULLABLE, 0, 0, NONE, "the scan waits for GitHub's quota since") \
    X(S, time,   waiting_until,        NULLABLE, 0, 0, NONE, "and goes on then") \
    X(S, time,   next_scan_at,         NULLABLE, 0, 0, NONE, "when it is rescanned by itself") \
    X(S, bool,   import_repo_description, HIDDEN, 0, 0, NONE, "fetch the description at each scan") \
    X(S, bool,   import_repo_readme,   HIDDEN, 0, 0, NONE, "fetch the README at each scan") \
    X(S, bool, ref_given, HIDDEN, 0, 0, NONE, "the client named the ref: no fallback to the default branch") \
    X(S, str,    tree_sha,             HIDDEN, 0, 0, NONE, "tree of the last successful scan") \
    X(S, str,    scanned_as,           HIDDEN, 0, 0, NONE, "fingerprint of the settings of the last successful scan") \
    X(S, i64,    scan_number,          HIDDEN, 0, 0, NONE, "which scan may write: raised by each start and removal") \
    X(S, i64,    failed_scans,         HIDDEN, 0, 0, NONE, "in a row, for reasons that may pass")
SCHEMA_STRUCT(source, SOURCE_FIELDS);

#define ENTRY_FIELDS(X, S)                                                                                             \
    X(S, str, id, REQUIRED, 0, 0, NONE, "cat_ and 24 characters: the same for the same source, type and path") \
    X(S, str,    source_id,        REQUIRED, 0, 0, NONE, "its source") \
    X(S, choice, artifact_type,    REQUIRED, 0, 0, CHOICES(ARTIFACT_TYPES), "what it is") \
    X(S, str,    name,             REQUIRED, 0, 0, NONE, "its name") \
    X(S, str,    path,             REQUIRED, 0, 0, NONE, "where it lies in the repository") \
    X(S, str,    upstream_url,     REQUIRED, 0, 0, FORMAT("uri"), "where a person can look at it") \
    X(S, str,    detected_version, NULLABLE, 0, 0, NONE, "version its manifest names") \
    X(S, str,    detected_sha,     NULLABLE, 0, 0, NONE, "commit at which its present content was first seen") \
    X(S, time,   detected_at,      REQUIRED, 0, 0, NONE, "when that was") \
    X(S, i64,    confidence_score, REQUIRED, 0, 100, NONE, "how sure the detector is") \
    X(S, i64,    raw_score,        REQUIRED, 0, 0, NONE, "its points") \
    X(S, counts, score_breakdown,  REQUIRED, 0, 0, NONE, "where they come from") \
    X(S, choice, status, REQUIRED, 0, 0, CHOICES("new|updated|removed|imported|excluded"), "since it was first seen") \
    X(S, time,   import_date,      NULLABLE, 0, 0, NONE, "when it was imported") \
    X(S, str,    import_id,        NULLABLE, 0, 0, NONE, "by which import") \
    X(S, time,   excluded_at,      NULLABLE, 0, 0, NONE, "when it was excluded") \
    X(S, str,    excluded_reason,  NULLABLE, 0, 0, NONE, "why") \
    X(S, bool,   is_duplicate,     REQUIRED, 0, 0, NONE, "excluded for having the content of another entry") \
    X(S, bool,   in_collection,    REQUIRED, 0, 0, NONE, "in a local collection") \
    X(S, str,    title,            NULLABLE, 0, 200, NONE, "from its frontmatter") \
    X(S, str,    description,      NULLABLE, 0, 2000, NONE, "from its frontmatter") \
    X(S, strs,   tags,             REQUIRED, 0, 50, NONE, "from its frontmatter") \
    X(S, str,    license,          NULLABLE, 0, 0, NONE, "its own, else the repository's") \
    X(S, str,    content_hash,     NULLABLE, 0, 0, NONE, "SHA-256 over its files' paths and git blob names") \
    X(S, time,   created_at,       REQUIRED, 0, 0, NONE, "when it was first seen") \
    X(S, time,   updated_at,       REQUIRED, 0, 0, NONE, "when it last changed")
SCHEMA_STRUCT(entry, ENTRY_FIELDS);

/* What a scan found out: for those who wait for its end, and not kept. All counts are of a scan that succeeded; of one
 * that failed only artifacts_found is told. new_count + updated_count + unchanged_count = artifacts_found =
 * total_unique, and total_detected = total_unique + duplicates_within_source, whether the repository was read or GitHub
 * said that nothing changed. An entry that is hidden is counted as a duplicate and as nothing else. */
#define SCAN_RESULT_FIELDS(X, S)                                                                                       \
    X(S, str,    source_id,        REQUIRED, 0, 0, NONE, "the source that was scanned") \
    X(S, choice, status,           REQUIRED, 0, 0, CHOICES("success|error"), "how the scan ended") \
    X(S, i64,    artifacts_found,  REQUIRED, 0, 0, NONE, "live entries now: neither removed nor excluded") \
    X(S, i64,    new_count,        REQUIRED, 0, 0, NONE, "of these, seen for the first time") \
    X(S, i64,    updated_count,    REQUIRED, 0, 0, NONE, "of these, with other content, or back in the list") \
    X(S, i64,    removed_count,    REQUIRED, 0, 0, NONE, "entries that were live, and are not found any more") \
    X(S, i64,    unchanged_count,  REQUIRED, 0, 0, NONE, "live entries that are neither new nor updated") \
    X(S, i64,    total_detected,   REQUIRED, 0, 0, NONE, "artifacts in the repository, duplicates too") \
    X(S, i64,    total_unique,     REQUIRED, 0, 0, NONE, "without the duplicates: artifacts_found") \
    X(S, i64,    duplicates_within_source, REQUIRED, 0, 0, NONE, "excluded for having another's content") \
    X(S, i64, duplicates_cross_source, REQUIRED, 0, 0, NONE, "always 0: sources don't hide each other's artifacts") \
    X(S, i64,    scan_duration_ms, REQUIRED, 0, 0, NONE, "from its start, waiting included") \
    X(S, strs,   errors,           REQUIRED, 0, 0, NONE, "what went wrong or was skipped, in words") \
    X(S, time,   scanned_at,       REQUIRED, 0, 0, NONE, "when it ended") \
    X(S, str,    actual_ref,       NULLABLE, 0, 0, NONE, "the ref that was scanned") \
    X(S, bool,   not_modified,     REQUIRED, 0, 0, NONE, "GitHub said that nothing changed")
SCHEMA_STRUCT(scan_result, SCAN_RESULT_FIELDS);

extern keyspace sources_ks, entries_ks, validators_ks;
enum { SOURCES_BY_NEXT_SCAN, SOURCES_BY_SCANNING, SOURCES_BY_LAST_SYNC };
/* Orders of entries_ks, for store_walk. Names sort by their bytes; all end with the entry's id. */
enum {
    ENTRIES_BY_NAME,             /* live entries: name */
    ENTRIES_BY_TYPE_NAME,        /* live entries: type, name */
    ENTRIES_BY_UPDATED,          /* live entries: updated_at */
    ENTRIES_BY_SOURCE_CONFIDENCE, /* source, confidence */
    ENTRIES_BY_SOURCE_NAME,      /* source, name */
    ENTRIES_BY_SOURCE_DATE,      /* source, detected_at */
};

/* ---- reading (any view; texts live as long as the view, lists in the arena) ---- */
/* What the catalogue says of what was deployed from OWNER/REPO[/PATH][@REF], for who compares versions. */
typedef struct entry_upstream {
    bool is_registered; /* the repository is a source, scanned, and at that ref; else ask GitHub */
    str version;        /* its manifest's, else the first digits of the commit of its content; null: no such entry */
    str content_hash;   /* null: not known */
} entry_upstream;
/* Null path: the repository itself; null ref, or "latest": whatever is scanned. Letter case doesn't matter in owner and
 * repo. Texts lie in the view or in `a`. -ENOMEM, -EIO. */
int entry_upstream_of(store_view *v, arena *a, str owner, str repo, str path, str ref, entry_upstream *ret_upstream);

int source_load(store_view *v, arena *a, str id, source *ret_source); /* -ENOENT, -EPROTO */
int entry_load(store_view *v, arena *a, str id, entry *ret_entry);

typedef struct source_filter { /* all that are given must match */
    str artifact_type, trust_level, search; /* null: any */
    strs tags;
} source_filter;
typedef struct source_page {
    const source *items;
    size_t n;
    bool more;
    int64_t total; /* -1: not counted, without filters */
} source_page;
/* In the order of ids, those above `after` (null: from the first; need not exist). With filters every source is
 * looked at. */
int sources_list(store_view *v, arena *a, const source_filter *f, str after, size_t limit, source_page *ret_page);

typedef enum entry_sort { ENTRY_SORT_CONFIDENCE, ENTRY_SORT_NAME, ENTRY_SORT_DATE } entry_sort;
typedef struct entry_filter {
    str artifact_type, status, search; /* null: any; search: substring of the name, any case */
    int64_t min_confidence, max_confidence;
    bool include_excluded;
} entry_filter;
typedef struct entry_page {
    const entry *items;
    size_t n;
    bool more;
    int64_t total;
    counts by_status, by_type; /* of all that match */
} entry_page;
/* One source's catalogue. `after`: id of the last entry of the page before; -ENOENT when that is not known
 * any more. */
int entries_list(store_view *v, arena *a, str source_id, const entry_filter *f, entry_sort sort, bool down, str after,
                 size_t limit, entry_page *ret_page);
/* rows, removed ones too: to decide between loop and job */
int64_t entries_of_source(store_view *v, str source_id);

/* The marketplace: live entries of all sources, by name then id. */
typedef struct market_page {
    const entry *items;
    size_t n;
    int64_t total; /* exact */
    str next;      /* null: the last page */
} market_page;
int64_t entries_live(store_view *v, str type); /* null: all types */
int entries_live_page(store_view *v, arena *a, str type, const page_at *at, market_page *ret_page); /* -EINVAL: after */

/* All live entries of indexed sources, by name: for who keeps an index of them. A negative result of fn ends
 * it. */
typedef struct entry_live {
    str id, name; /* until fn returns */
    unsigned type; /* artifact_type_number */
    int64_t updated_at;
} entry_live;
int entries_live_each(store_view *v, int (*fn)(void *arg, const entry_live *e), void *arg);

typedef struct sources_times { /* wall ms, 0 for none */
    int64_t oldest_entry, newest_entry; /* live ones, by their last change */
    int64_t last_sync, next_scan;
} sources_times;
void sources_times_of(store_view *v, sources_times *ret_times);

/* ---- the service ---- */
typedef struct sources sources;
#define SOURCES_BATCH 256
typedef struct entry_change { /* texts live until the callback returns */
    str id, name, type;
    int64_t updated_at;
    bool live; /* false: no longer shown */
} entry_change;
typedef struct sources_options {
    loop *loop;
    store *store;
    github *github;
    int64_t rescan_interval_ms;
    unsigned concurrency;    /* scans at once */
    size_t max_entries, max_archive_bytes;
    /* Entries that appeared, changed or went, after they are durable; in batches of at most SOURCES_BATCH a
     * turn. */
    void (*on_entries)(void *arg, const entry_change *changes, size_t n);
    void (*on_reindex)(void *arg); /* a source began or ceased to be indexed: learn all entries anew */
    /* Optional: a scan ended, well or badly; not when it was cut off. Texts live during the callback. */
    void (*on_scan_end)(void *arg, str source_id, const scan_result *result);
    void *arg;
} sources_options;
int sources_new(const sources_options *o, sources **ret_sources);
/* Takes over rescan_interval_ms, concurrency, max_entries and max_archive_bytes; limits are for archives
 * asked for from now on, the interval for scans that end from now on. Scans that wait for quota ask again: GitHub's
 * token may have changed too. */
void sources_configure(sources *s, const sources_options *o);
int sources_start(sources *s); /* from the next turn on unfinished scans are taken up, and sources rescanned. -ENOMEM */
/* cancels scans; they are taken up at the next start */
void sources_stop(sources *s, void (*stopped)(void *arg), void *arg);
void sources_free(sources *s);

/* What a client may say when it registers a source, and when it changes one. Text rules that a length does
 * not say (URL, root_hint, tags, manual_map) are in repo_url.h and source_rules.h; sources_create and sources_change
 * apply them. */
#define SOURCE_CREATE_FIELDS(X, S)                                                                                     \
    X(S, str,    repo_url,      REQUIRED, 1, 500, FORMAT("uri"), "https://github.com/<owner>/<repo>") \
    X(S, str,    ref,           OPTIONAL, 1, 250, NONE, "branch, tag or SHA; default main, else the default branch") \
    X(S, str,    root_hint,     OPTIONAL | NULLABLE, 0, 500, NONE, "folder to limit the scan to") \
    X(S, str,    access_token,  OPTIONAL | NULLABLE, 1, 500, NONE, "for this scan; never stored") \
    X(S, raw,    manual_map,    OPTIONAL | NULLABLE, 0, 0, NONE, "directory -> type, or type -> directories") \
    X(S, choice, trust_level, OPTIONAL, 0, 0, CHOICES_DEFAULT(SOURCE_TRUST, "basic"), "how its artifacts are treated") \
    X(S, str,    description,   OPTIONAL | NULLABLE, 0, 500, NONE, "the user's description") \
    X(S, str,    notes,         OPTIONAL | NULLABLE, 0, 2000, NONE, "internal notes") \
    X(S, bool,   enable_frontmatter_detection, OPTIONAL, 0, 0, NONE, "Markdown frontmatter makes artifacts too") \
    X(S, bool,   indexing_enabled, OPTIONAL | NULLABLE, 0, 0, NONE, "whether search shows its entries; default true") \
    X(S, bool,   import_repo_description, OPTIONAL, 0, 0, NONE, "take over GitHub's description and topics") \
    X(S, bool,   import_repo_readme, OPTIONAL, 0, 0, NONE, "take over the README") \
    X(S, strs,   tags,          OPTIONAL | NULLABLE, 0, 0, NONE, "at most 20 tags of 1 to 50 characters") \
    X(S, bool,   single_artifact_mode, OPTIONAL, 0, 0, NONE, "the whole repository (or root_hint) is one artifact") \
    X(S, choice, single_artifact_type, OPTIONAL | NULLABLE, 0, 0, CHOICES(SOURCE_MAP_TYPES), "its type then") \
    X(S, bool,   deep_indexing_enabled, OPTIONAL, 0, 0, NONE, "kept for clients that send it")
SCHEMA_STRUCT(source_create, SOURCE_CREATE_FIELDS);

#define SOURCE_UPDATE_FIELDS(X, S)                                                                                     \
    X(S, str,    ref,           OPTIONAL | NULLABLE, 1, 250, NONE, "branch, tag or SHA") \
    X(S, str,    root_hint,     OPTIONAL | NULLABLE, 0, 500, NONE, "folder to limit the scan to; empty: none") \
    X(S, raw,    manual_map,    OPTIONAL | NULLABLE, 0, 0, NONE, "directory -> type; {} clears") \
    X(S, choice, trust_level,   OPTIONAL | NULLABLE, 0, 0, CHOICES(SOURCE_TRUST), "how its artifacts are treated") \
    X(S, str,    description,   OPTIONAL | NULLABLE, 0, 500, NONE, "the user's description") \
    X(S, str,    notes,         OPTIONAL | NULLABLE, 0, 2000, NONE, "internal notes") \
    X(S, bool, enable_frontmatter_detection, OPTIONAL | NULLABLE, 0, 0, NONE, "frontmatter makes artifacts") \
    X(S, bool,   indexing_enabled, OPTIONAL | NULLABLE, 0, 0, NONE, "whether search shows its entries") \
    X(S, bool, import_repo_description, OPTIONAL | NULLABLE, 0, 0, NONE, "true: fetch the description and topics now") \
    X(S, bool,   import_repo_readme, OPTIONAL | NULLABLE, 0, 0, NONE, "true: fetch the README now, and at each scan") \
    X(S, strs,   tags,          OPTIONAL | NULLABLE, 0, 0, NONE, "replaces all tags") \
    X(S, bool,   deep_indexing_enabled, OPTIONAL | NULLABLE, 0, 0, NONE, "kept for clients that send it")
SCHEMA_STRUCT(source_update, SOURCE_UPDATE_FIELDS);

/* A change asked for by a client. The struct, its arena and what it points to are the caller's until on_done,
 * which runs exactly once, later. Status: 0; -EEXIST, -ENOENT, -EBUSY (a scan is running); -EINVAL with `why`
 * (what the client sent does not fit: a manual_map's folders, or the ref or repository they are looked for in, are not
 * there), -EDESTADDRREQ (the URL is no repository's); of a change whose manual_map GitHub was to be asked about, with
 * why: -EREMOTEIO (it could not be asked), -EAGAIN (its quota is used up, until retry_at); -ENOSPC, -EIO, -ENOMEM,
 * -ECANCELED (shutting down). */
typedef struct source_task source_task;
struct source_task {
    /* in */
    arena *arena;
    str id;                      /* update, remove, rescan */
    const source_create *create;
    const source_update *update;
    const json_value *manual_map; /* the body's member, when there is one */
    str access_token;            /* rescan; create has its own */
    void (*on_done)(source_task *t);
    void *user;
    /* out */
    int status;
    str why;
    int64_t retry_at;            /* -EAGAIN: wall ms */
    str ret_id;                  /* create: the new source's id, also with -EEXIST */
    /* the room's own */
    list link;
    struct sources *owner;
    store_op op;
    source draft;
    pairs map;                   /* checked */
    struct change_log *changes;
    struct scan *scan;
    void (*on_checked)(source_task *t, int status, str why); /* manual_map against the tree */
    github_op github;
    bool has_description, has_readme, reindex, cancelled;
    int64_t now;
};
/* done: the source is stored as "scanning", its scan queued */
void sources_create(sources *s, source_task *t);
void sources_change(sources *s, source_task *t); /* does not rescan */
void sources_remove(sources *s, source_task *t); /* with its entries; cancels a running scan */
void sources_rescan(sources *s, source_task *t); /* done: stored as "scanning", its scan queued */
/* The client has left: GitHub is not waited for any more. on_done still runs. */
void sources_cancel(source_task *t);

/* Waits for the end of the scan that is under way or queued for `id`; false when there is none. on_end runs
 * once, later (result NULL: it was cut off, by a stop or by the source's removal), unless sources_wait_cancel
 * came first. */
typedef struct scan_waiter {
    list link;
    /* the result's texts live during the callback */
    void (*on_end)(struct scan_waiter *w, const scan_result *result);
    void *user;
} scan_waiter;
bool sources_wait(sources *s, str id, scan_waiter *w);
void sources_wait_cancel(scan_waiter *w); /* harmless after on_end */

typedef struct sources_stats {
    uint64_t succeeded, failed, unchanged, interrupted; /* scans that ended */
    uint64_t running, queued, waiting;                  /* scans now */
} sources_stats;
const sources_stats *sources_stats_of(sources *s); /* as of now, until the next call */

#endif
