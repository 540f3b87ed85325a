/* recache: keeps the pages of the configured hosts rendered and fresh.
 *
 * Words
 *   host, dimension       see recache_hosts.h
 *   entry, dead letter    see recache_queue.h
 *   page                  see recache_pages.h
 *   renderer              who renders or fetches one page
 *   task                  a change that a client asks for
 *
 * The scheduler. Whenever capacity is free, the next entry is taken: strictly by priority, but each eighth goes to
 * the one that has waited longest, once that is over five minutes, so that nothing starves; among hosts to the one
 * that has used the least rendering time, unless its rate limit is reached. The renderer says how many tabs may be
 * used: a share of all is kept free for others. When the answer is there, the page's file is made durable in a job,
 * and one transaction stores the page and removes the entry. What fails and can pass later is tried again after
 * base * 2^n, with jitter, up to max_attempts times in all; the rest, and what failed too often, becomes a dead
 * letter. While the store or the pages' disk fails nothing is begun, and no attempt is counted. A good copy is never
 * replaced by an empty page or by one that has not finished loading.
 *
 * All calls on the loop. */
#ifndef LARDER_RECACHE_H
#define LARDER_RECACHE_H

#include "larder/recache_hosts.h"
#include "larder/recache_pages.h"
#include "larder/recache_queue.h"
#include "larder/recache_url.h"
#include "larder/render.h"
#include "larder/store.h"

typedef struct recache recache;

/* ---- who renders: the fleet (render.h), or a test ---- */
typedef struct recache_renderer {
    int (*start)(void *arg, render_op *op); /* as render_start */
    void (*pause)(render_op *op);
    void (*resume)(render_op *op);
    void (*cancel)(render_op *op);
    void (*op_done)(render_op *op);
    render_capacity (*capacity)(void *arg);
    void *arg;
} recache_renderer;
recache_renderer recache_renderer_of(render_fleet *f);

/* ---- the service ---- */
typedef struct recache_options {
    store *store; /* with the keyspaces recache_queue, _dead, _pages and _facts */
    loop *loop;
    recache_renderer renderer;
    const recache_host *hosts; /* copied, with all they point to */
    size_t n_hosts;
    str pages_dir; /* made when missing */
    int64_t tick_ms;         /* a heartbeat: work is begun when capacity frees up, not by it */
    int64_t max_in_flight;
    unsigned max_attempts;   /* in all */
    int64_t retry_base_ms, timeout_per_url_ms;
    int64_t max_fetches;     /* pages fetched at once without rendering */
    uint64_t max_bytes;      /* of all page files; 0: any */
    int64_t max_dead_letters; /* of a host */
} recache_options;
extern keyspace recache_facts_ks; /* what else must survive: the pause */

/* Nothing runs before recache_start. -EINVAL (a host or an option that makes no sense), -ENOMEM, or what making
 * pages_dir says. */
int recache_new(const recache_options *o, recache **ret_recache);
/* From now on; entries of hosts that went away wait for their return. store, loop, renderer and pages_dir stay as
 * they were. -EINVAL, -ENOMEM: everything stays as it was. */
int recache_configure(recache *r, const recache_options *o);
int recache_start(recache *r); /* work begins in the next turn. -ENOMEM */
/* Cancels what is being rendered (it stays queued), waits for it and for tasks; then stopped(arg), in a later turn. */
void recache_stop(recache *r, void (*stopped)(void *arg), void *arg);
void recache_free(recache *r); /* stopped, or never started. NULL is fine */
/* Capacity may have come free outside: a render service has come, another room's render has ended. */
void recache_poke(recache *r);

/* Until the next recache_configure. NULL: none. */
const recache_host *recache_host_by_id(const recache *r, int64_t id);
const recache_host *recache_hosts(const recache *r, size_t *ret_n);

/* ---- tasks ---- */
#define RECACHE_URLS_MAX 10000    /* of a task */
#define RECACHE_REJECTED_LISTED 100
typedef struct recache_rejected {
    str url, reason;
} recache_rejected;
/* The struct, its arena, and what it points to are the caller's until on_done, which runs exactly once, later.
 * Status: 0, -ENOENT (no such host), -EINVAL (a dimension or URL that is none), -ENOSPC, -EIO, -ENOMEM, -ECANCELED
 * (shutting down). */
typedef struct recache_task recache_task;
struct recache_task {
    /* in */
    arena *arena;
    int64_t host_id;
    strs urls; /* as given */
    const uint16_t *dimensions;
    size_t n_dimensions; /* 0: all that are kept */
    recache_priority priority;
    int64_t due;   /* wall ms, 0: now */
    bool ordered;  /* URLs are rendered in the given order; else in any, which is queued faster */
    void (*on_done)(recache_task *t);
    void *user;
    /* out */
    int status;
    size_t n_dimensions_used; /* with all of them: how many these were */
    uint64_t accepted;        /* entries asked for by URLs that could be parsed */
    uint64_t deduplicated;    /* of these: were queued already, or asked for twice */
    uint64_t changed;         /* invalidate: pages removed; retry: dead letters queued again; both also of a task
                               * that failed half-way. Enqueue, sitemap: of one that failed, the entries that are
                               * queued all the same. A task that failed may be asked for again as it is */
    const recache_rejected *rejected; /* at most RECACHE_REJECTED_LISTED, in the arena */
    size_t n_rejected, n_rejected_listed;
    int64_t due_at; /* hit: when the new copy is due, the earlier time where there was one; 0: none is asked for, or no
                    * page is stored */
    /* the room's own */
    struct recache_change *change;
    post late; /* when there is no memory for a change */
};
void recache_enqueue(recache *r, recache_task *t);
/* Pages of these URLs are gone at once; entries stay. What is being rendered is not kept, but rendered once more. */
void recache_invalidate(recache *r, recache_task *t);
/* All pages of the host, or (n_dimensions > 0) of these dimensions. */
void recache_invalidate_all(recache *r, recache_task *t);
/* A bot was served one page (urls[0]): autorecache after the host's hit_interval, earlier time wins. Of a page that is
 * not stored nothing is asked for. */
void recache_hit(recache *r, recache_task *t);
/* Dead letters of these URLs, or (no URL given) of the whole host, in these dimensions; in the given priority, attempts
 * counted anew. */
void recache_dead_retry(recache *r, recache_task *t);
/* urls[0]: a sitemap, or an index of such, plain or gzip; its URLs are queued, by their priority and lastmod. At most
 * three redirects within the host are followed. What a file has too much of, or is missing at its end, is told in
 * `rejected`; so is the rest of an index after an hour, or when 20 in a row can't be had. One that cannot be fetched
 * or read: -EREMOTEIO, with one line there that says why; -EBUSY: RECACHE_SITEMAPS_MAX are being read, and nothing
 * else. */
#define RECACHE_SITEMAPS_MAX 4
void recache_sitemap(recache *r, recache_task *t);
/* Nothing new is begun while paused, also after a restart. */
void recache_pause(recache *r, bool paused, recache_task *t);

/* ---- figures ---- */
typedef struct recache_figures {
    int64_t last_tick; /* wall ms; 0: none yet */
    bool paused;
    int64_t in_flight; /* being rendered or fetched */
    int64_t storing;   /* answered, and not committed yet. Both together never exceed.. */
    int64_t max_in_flight;
    render_capacity capacity;
    uint64_t pages_bytes; /* of files, as far as known */
    /* since the start */
    uint64_t rendered, fetched, failed_attempts, dead_letters, evicted, expired, swept_files, kept_good_copy;
    uint64_t dropped_dead_letters; /* the oldest of a host that had too many */
    /* pages that could not be written: their entries stay, and nothing is begun for a while; but where a page is
     * too large it is an attempt that failed */
    uint64_t disk_errors;
    uint64_t by_priority[RECACHE_PRIORITIES];   /* entries done */
    uint64_t given_up_of[RECACHE_PRIORITIES];   /* and those that became dead letters */
} recache_figures;
recache_figures recache_figures_of(recache *r);
int64_t recache_under_way(recache *r, uint32_t host); /* of that host: in flight, or being stored */

/* How long pages took from the ask to the stored record. */
#define RECACHE_DURATION_BUCKETS 16
typedef struct recache_durations {
    uint64_t buckets[RECACHE_DURATION_BUCKETS]; /* at most 2^i * 5 ms; the last one is the rest */
    uint64_t n, total_ms;
} recache_durations;
const recache_durations *recache_durations_of(const recache *r);

/* A page was served whose record says this last_access: it moves on. Not awaited; in the record coarse, and dropped
 * where memory or space is short. What is evicted is told by the time itself, of the pages read of late. */
void recache_touch(recache *r, uint32_t host, uint16_t dimension, uint64_t hash, int64_t last_access);

#endif
