/* The service, as the files of this room share it.
 *
 *   url.c hosts.c         pure: normalising, looking up
 *   queue.c queue_txn.c   the queue's records;  pages.c: the pages'
 *   service.c             its life, its configuration, its heartbeat
 *   rota.c                which entry is next: windows into the queues, fairness, rates
 *   work.c work_txn.c     one entry on its way: asked for, saved, acknowledged;  outcome.c: what an answer means
 *   page_file.c           the file that a page becomes
 *   change.c change_txn.c what clients ask for
 *   sitemap.c sitemap_read.c
 *   keep.c                what is old is forgotten, what is too much evicted, what nobody names swept */
#ifndef LARDER_RECACHE_SERVICE_H
#define LARDER_RECACHE_SERVICE_H

#include "larder/recache.h"

#include "hosts.h"
#include "page_file.h"
#include "queue.h"

#include "larder/record.h"

/* What recache_configure was given. Work under way keeps the one it began with. */
typedef struct settings {
    unsigned refs;
    arena arena;
    recache_options o;
    recache_host *hosts;
    size_t n_hosts;
} settings;
int settings_new(const recache_options *o, settings **ret_config); /* -EINVAL, -ENOMEM */
void settings_unref(settings *c); /* NULL is fine */

/* ---- the rota ---- */
#define WINDOW 32
typedef struct slot { /* an entry that is due */
    int64_t due;
    uint64_t hash;
    uint16_t dimension;
} slot;
/* The first entries of one lane that are due and not under way. */
typedef struct window {
    slot slots[WINDOW];
    unsigned n;
    bool is_dry;      /* nothing more is due before next_due, unless something is queued */
    int64_t next_due; /* wall ms; INT64_MAX: nothing is queued */
} window;
typedef struct site { /* a host's part of it */
    uint32_t id;
    const recache_host *host; /* in the present configuration; NULL: it is not there any more */
    window windows[QUEUE_LANES];
    double tokens; /* pages that the rate permits now */
    int64_t tokens_at; /* mono ms */
    int64_t used;      /* rendering time it was given, in ms: the least comes first */
    int64_t cost;      /* what a page of it takes, in ms: the average of late */
    unsigned in_flight;
} site;

typedef struct pick {
    site *site;
    unsigned lane;
    slot slot;
    int64_t charged; /* to the site, beforehand */
} pick;
/* The next entry to work on, taken out of its window. -ENOENT: none now; -EIO, -ENOMEM. */
int rota_pick(recache *r, bool may_render, bool may_fetch, pick *ret_pick);
/* A pump begins: it may read so many windows. Entries in the others are not seen by rota_pick until a next pump, which
 * is wanted at once when lacks_reads. */
#define ROTA_READS 128
void rota_turn(recache *r);
/* What is refused needs no tab. After rota_check_again all queues are gone through for it, once, due or not, and once
 * more if it was called meanwhile: the next such entry; -EAGAIN: this pump has looked at enough, go on in a next
 * one; -ENOENT: all were looked at; -EIO, -ENOMEM. */
int rota_pick_refused(recache *r, pick *ret_pick);
void rota_check_again(recache *r);
void rota_charge(site *s, int64_t charged, int64_t ms); /* what the page has really taken */
void rota_wake(recache *r, uint32_t host); /* something was queued */
void rota_wake_all(recache *r);
/* ms until something may be due by itself that rota_pick would then find; INT64_MAX. After its -ENOENT only. */
int64_t rota_delay(const recache *r, bool may_render, bool may_fetch);
int rota_configure(recache *r, const settings *c); /* -ENOMEM */
void rota_done(recache *r);
site *rota_site(const recache *r, uint32_t host);

/* ---- work ---- */
typedef enum verdict_kind { VERDICT_KEEP, VERDICT_AGAIN, VERDICT_DEAD, VERDICT_BACK } verdict_kind;
typedef struct verdict {
    verdict_kind kind;
    str reason;
} verdict;
/* What the answer to an attempt means. `has_good_copy`: a whole page is stored. */
verdict outcome_of(const render_op *op, const recache_host *h, bool has_good_copy);
/* ms until the next attempt, after `failed` ones. */
int64_t outcome_delay(const recache_options *o, unsigned failed, bool service_failed);

typedef struct work {
    list link;      /* recache.working */
    list in_bucket; /* recache.buckets */
    recache *owner;
    settings *config;
    const recache_host *host;
    const recache_dimension *dimension;
    site *site;
    recache_entry e; /* as it was when it was taken */
    arena arena;
    bool asked, answered, is_again; /* again: queued anew meanwhile */
    int broke; /* why the page can't be written; or 0 */
    bool is_void;  /* its page was invalidated meanwhile: what was rendered before is not kept, but rendered again */
    bool is_moved; /* its entry waits elsewhere in the queues, and was passed over there */
    int64_t begun, charged;      /* mono ms; ms */
    render_op op;
    page_file file;
    verdict verdict;
    /* for the writer */
    store_op ack;
    int64_t now, retry_at;
    unsigned attempts;  /* that have failed, this one included */
    bool wanted_again;
    bool refresh; /* queue it again for when it is about to expire */
    unsigned dropped; /* dead letters, for this one */
    str detail;
    recache_page page;
} work;
/* 0: begun, or there was nothing to be done; -EBUSY: the renderer has no room; other errors: not now. */
int work_begin(recache *r, const pick *p);
/* 0 with *ret_why null: it may be asked for; else why it may not. -ENOMEM. */
int work_refusal(arena *a, const recache_host *h, const recache_entry *e, str *ret_why);
bool work_is_allowed(const recache_host *h, const recache_url *u, str *ret_why); /* as far as the URL tells */
void work_cancel(work *w);
work *work_find(const recache *r, uint32_t host, uint64_t hash, uint16_t dimension);
int work_ack_apply(store_txn *t, store_op *op);

/* ---- changes ---- */
typedef struct wanted_url {
    recache_url url;
    int64_t due;
} wanted_url;
typedef struct recache_change {
    list link; /* recache.changes */
    recache *owner;
    recache_task *task;
    settings *config;
    const recache_host *host;
    void (*parsed)(struct recache_change *c); /* the URLs are there */
    job job;
    post late;
    store_op op;
    int status;
    int64_t now;
    wanted_url *urls; /* by hash, without repetitions */
    size_t n_urls;
    const int64_t *dues; /* of task->urls, in place of task->due; or NULL */
    uint16_t dimensions[RECACHE_DIMENSIONS_MAX];
    size_t n_dimensions;
    bool paused, has_refused; /* of the URLs, some will not be asked for */
    int64_t due_at; /* of a hit: the writer's answer */
    /* of a walk in steps, on the writer: the step at walk_at began here, and has come so far */
    uint64_t walk_at;
    char walk_from[DEAD_TIME_KEY_LEN], walk_reached[DEAD_TIME_KEY_LEN];
} recache_change;
/* op->at of the stepped ones: how far, and how many counted. */
#define AT_PLACE(at) ((at) & UINT32_MAX)
#define AT_COUNT(at) ((at) >> 32)
#define CHANGE_STEP_LOOKS 2048 /* records a step of a walk looks at; it writes less */
void recache_task_late(post *p); /* ends it with -ENOMEM */
void recache_task_clear(recache_task *t); /* its out part */
void change_enqueue(recache *r, recache_task *t, const int64_t *dues); /* recache_enqueue with times of their own */
int change_enqueue_apply(store_txn *t, store_op *op);
int change_invalidate_apply(store_txn *t, store_op *op);
int change_invalidate_all_apply(store_txn *t, store_op *op);
int change_hit_apply(store_txn *t, store_op *op);
int change_retry_all_apply(store_txn *t, store_op *op);
int change_retry_urls_apply(store_txn *t, store_op *op);
int change_pause_apply(store_txn *t, store_op *op);
void sitemaps_cancel(recache *r);
bool facts_paused(store_view *v);

/* ---- keeping ---- */
/* Who was read when, to the millisecond; what else falls into the same place takes it. Records follow slowly. */
#define LAST_READS 2048
typedef struct last_read {
    uint64_t hash;
    int64_t at; /* wall ms; 0: nobody */
    uint32_t host;
    uint16_t dimension;
} last_read;
typedef struct keeper {
    store_op op;
    job job;
    bool writes, sweeps;
    unsigned folder; /* to be swept next */
    uint64_t swept;  /* by the job under way */
    uint64_t gone;   /* by the op under way */
    uint64_t spared; /* and those that were read since their record was written */
    bool evicts;     /* the op under way */
    last_read reads[LAST_READS], known_reads[LAST_READS]; /* the second: for the op under way */
    uint64_t max_bytes;
    int64_t now;       /* of the op under way */
    int64_t sweep_now; /* of the job under way */
    int64_t next_at;
    unsigned touches;
} keeper;
void keep_tick(recache *r); /* about each second */
bool keep_is_idle(const recache *r);

/* ---- the service ---- */
#define WORK_BUCKETS 1024
struct recache {
    store *store; /* never another one */
    settings *config;
    char *pages_dir;
    site **sites; /* by id */
    size_t n_sites;
    bool checks_again; /* once more when it is through */
    bool checks; /* what is refused is being looked for, behind.. */
    char checked[QUEUE_KEY_LEN];
    uint64_t picks; /* for ageing's turn */
    size_t first_site;   /* where looking for the next one begins */
    unsigned reads_left; /* windows that may still be read in this pump */
    unsigned looks_left; /* entries that may still be looked at in it for being refused */
    bool lacks_reads;    /* not all that had to be read could be */
    int64_t virtual_time; /* `used` of the site that came last: who comes late begins there */
    list working, buckets[WORK_BUCKETS];
    unsigned in_flight, fetching;
    unsigned answered; /* of in_flight: the renderer is done with them */
    uint64_t last_number; /* of files */
    uint64_t files_made, files_at_failure; /* of pages, since the start; and when one could last not be written */
    list changes, sitemaps;
    unsigned n_sitemaps;
    keeper keeper;
    timer tick, pump;
    int64_t hold_until, hold_ms; /* mono ms: the store or the disk fails; ms: the pause, longer each time */
    recache_figures figures;
    recache_durations durations;
    int64_t drops_told_at; /* mono ms: when it was last logged that dead letters make room; 0: never */
    store_op warm_up;
    bool warms_up; /* the writer reads which URLs are queued */
    bool started, paused, stopping, told_stopped, pump_soon;
    post stop;
    void (*stopped)(void *arg);
    void *stopped_arg;
};
static inline int64_t recache_now(recache *r)
{
    return loop_now_wall_ms(r->config->o.loop);
}
void recache_pump(recache *r);  /* begins work in a later turn */
void recache_hold(recache *r);  /* not for a second, or longer: what was rendered can't be written */
void recache_check_stopped(recache *r);

#endif
