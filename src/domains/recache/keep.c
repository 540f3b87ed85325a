/* Housekeeping, a little each second: pages that are gone are forgotten; where the files take more than they may, those
 * asked for least recently are; and of one folder a second the files that no record names are deleted. Files are
 * only ever deleted here, so that a crash between file and record leaves nothing for ever. */
#include "service.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define EVERY_MS SECONDS(1)
#define FORGET_MAX 64 /* pages in one go */
/* A file without a record may be about to get one; and who was told of it may be reading it. */
#define SWEEP_AGE_S 120
#define TOUCHES_MAX 64 /* under way */

/* ---- who was read when ---- */
static last_read *read_place(last_read *v, uint32_t host, uint16_t dimension, uint64_t hash)
{
    return &v[(hash ^ hash >> 32 ^ host * 31u ^ dimension * 131u) % LAST_READS];
}

/* 0: not known. */
static int64_t read_last(last_read *v, uint32_t host, uint16_t dimension, uint64_t hash)
{
    const last_read *l = read_place(v, host, dimension, hash);

    return l->hash == hash && l->host == host && l->dimension == dimension ? l->at : 0;
}

/* ---- forgetting ---- */
/* Whether the first page in the order must go, and which it is. */
static bool first_to_go(store_view *v, const keeper *k, char key[PAGE_KEY_LEN], int64_t *ret_time)
{
    if (k->evicts)
        return page_bytes(v) > k->max_bytes && page_first(v, RECACHE_PAGES_BY_ACCESS, key, ret_time) == 0;
    return page_first(v, RECACHE_PAGES_BY_GONE, key, ret_time) == 0 && *ret_time <= k->now;
}

/* Whether the page was read later than its record says, and now stands where it belongs. */
static bool spare(store_txn *t, keeper *k, const char *key, int64_t time)
{
    const uint32_t host = (uint32_t)be_get(key, 4);
    const uint16_t dimension = (uint16_t)be_get(key + 4, 2);
    const uint64_t hash = be_get(key + 6, 8);
    const int64_t read_at = read_last(k->known_reads, host, dimension, hash);
    recache_page p = {0};
    arena a;

    if (read_at <= time)
        return false;
    arena_init(&a, 0);
    int r = recache_page_load(store_txn_view(t), &a, host, dimension, hash, &p);
    if (r == 0) {
        p.last_access = read_at;
        r = page_put(t, hash, &p);
    }
    arena_done(&a);
    return r == 0;
}

static int forget_apply(store_txn *t, store_op *op)
{
    keeper *k = CONTAINER_OF(op, keeper, op);
    char key[PAGE_KEY_LEN];
    int64_t time;
    int r = 0;

    k->gone = k->spared = 0;
    while (r == 0 && k->gone + k->spared < FORGET_MAX && first_to_go(store_txn_view(t), k, key, &time)) {
        if (k->evicts && spare(t, k, key, time)) {
            k->spared++;
            continue;
        }
        r = store_del(t, &recache_pages_ks, str_of(key, sizeof(key)));
        k->gone++;
    }
    return r;
}

static bool forget(recache *r, bool evicts);

static void on_forgotten(store_op *op, int status)
{
    recache *r = CONTAINER_OF(op, recache, keeper.op);
    keeper *k = &r->keeper;

    k->writes = false;
    if (status == 0)
        *(k->evicts ? &r->figures.evicted : &r->figures.expired) += k->gone;
    if (status == 0 && k->gone + k->spared == FORGET_MAX && !r->stopping)
        (void)forget(r, k->evicts);
    recache_check_stopped(r);
}

/* False: there is nothing to forget. */
static bool forget(recache *r, bool evicts)
{
    keeper *k = &r->keeper;
    store_view *v = store_read_begin(r->store);
    char key[PAGE_KEY_LEN];
    int64_t time;

    k->evicts = evicts;
    k->max_bytes = r->config->o.max_bytes;
    k->now = recache_now(r);
    const bool any = (!evicts || k->max_bytes > 0) && first_to_go(v, k, key, &time);
    store_read_end(v);
    if (any) {
        memcpy(k->known_reads, k->reads, sizeof(k->reads)); /* the writer is another thread */
        k->writes = true;
        k->op = (store_op){.apply = forget_apply, .done = on_forgotten, .flags = STORE_FREES};
        store_submit(r->store, &k->op);
    }
    return any;
}

/* ---- sweeping ---- */
static bool is_named(store_view *v, str folder, str name)
{
    recache_page p = {0};
    uint32_t host;
    uint16_t dimension;
    uint64_t hash;
    arena a;

    if (page_file_parse(name, &host, &dimension, &hash) < 0)
        return false;
    arena_init(&a, 0);
    const int r = recache_page_load(v, &a, host, dimension, hash, &p);
    const bool named = r == 0 ? p.file.n == folder.n + 1 + name.n - 3 && str_starts(p.file, folder) &&
                                    str_ends(p.file, str_head(name, name.n - 3))
                              : r != -ENOENT;
    arena_done(&a);
    return named;
}

static bool is_old(int folder, const char *name, int64_t now)
{
    struct stat st;

    return fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           now / 1000 - st.st_mtim.tv_sec > SWEEP_AGE_S;
}

static void sweep_work(job *j)
{
    recache *r = CONTAINER_OF(j, recache, keeper.job);
    keeper *k = &r->keeper;
    char path[4096];
    store_view *v;
    DIR *d;

    snprintf(path, sizeof(path), "%s/%02x", r->pages_dir, k->folder);
    if (store_read_begin_job(r->store, &v) < 0)
        return;
    if ((d = opendir(path))) {
        const str folder = str_c(strrchr(path, '/') + 1);
        for (struct dirent *e; (e = readdir(d));) {
            if (e->d_name[0] == '.' || is_named(v, folder, str_c(e->d_name)))
                continue;
            if (is_old(dirfd(d), e->d_name, k->sweep_now))
                k->swept += unlinkat(dirfd(d), e->d_name, 0) == 0;
        }
        closedir(d);
    }
    store_read_end(v);
}

static void on_swept(job *j, int status)
{
    recache *r = CONTAINER_OF(j, recache, keeper.job);
    keeper *k = &r->keeper;

    (void)status;
    k->sweeps = false;
    k->folder = (k->folder + 1) % 256;
    r->figures.swept_files += k->swept;
    recache_check_stopped(r);
}

static void sweep(recache *r)
{
    keeper *k = &r->keeper;

    k->swept = 0;
    k->sweep_now = recache_now(r);
    k->sweeps = loop_job(r->config->o.loop, &k->job, sweep_work, on_swept) == 0;
}

/* ---- each second ---- */
void keep_tick(recache *r)
{
    keeper *k = &r->keeper;
    const int64_t now = loop_now_mono_ms(r->config->o.loop);

    if (now < k->next_at)
        return;
    k->next_at = now + EVERY_MS;
    if (!k->writes && store_is_writable(r->store) && !forget(r, false))
        (void)forget(r, true);
    if (!k->sweeps)
        sweep(r);
}

bool keep_is_idle(const recache *r)
{
    return !r->keeper.writes && !r->keeper.sweeps && r->keeper.touches == 0;
}

/* ---- touching ---- */
typedef struct touch {
    store_op op;
    recache *owner;
    uint32_t host;
    uint16_t dimension;
    uint64_t hash;
    int64_t now;
} touch;

static bool is_worth_a_write(const touch *to, int64_t last_access)
{
    return last_access <= to->now - ACCESS_GRAIN_MS;
}

static int touch_apply(store_txn *t, store_op *op)
{
    const touch *to = CONTAINER_OF(op, touch, op);
    recache_page p = {0};
    arena a;

    arena_init(&a, 0);
    int r = recache_page_load(store_txn_view(t), &a, to->host, to->dimension, to->hash, &p);
    if (r == 0 && is_worth_a_write(to, p.last_access)) {
        p.last_access = to->now;
        r = page_put(t, to->hash, &p);
    }
    arena_done(&a);
    return r;
}

static void on_touched(store_op *op, int status)
{
    touch *to = CONTAINER_OF(op, touch, op);
    recache *r = to->owner;

    (void)status;
    r->keeper.touches--;
    mem_free(to);
    recache_check_stopped(r);
}

void recache_touch(recache *r, uint32_t host, uint16_t dimension, uint64_t hash, int64_t last_access)
{
    touch to = {.owner = r, .host = host, .dimension = dimension, .hash = hash, .now = recache_now(r)};

    *read_place(r->keeper.reads, host, dimension, hash) = (last_read){hash, to.now, host, dimension};
    if (r->stopping || r->keeper.touches >= TOUCHES_MAX || !store_is_writable(r->store) ||
        !is_worth_a_write(&to, last_access))
        return;
    touch *queued = mem_new(touch);
    if (!queued)
        return;
    *queued = to;
    queued->op = (store_op){.apply = touch_apply, .done = on_touched};
    r->keeper.touches++;
    store_submit(r->store, &queued->op);
}
