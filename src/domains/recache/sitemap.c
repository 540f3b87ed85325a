/* Queueing what a sitemap lists: it is fetched as a page of the bypass is, unpacked and read in a job, its pages are
 * queued; an index's sitemaps follow one after the other. */
#include "sitemap.h"

#include "service.h"

#define SITEMAPS_MAX 500 /* of an index */
#define FETCHED_MAX ((size_t)32 << 20)

typedef struct sitemap_run {
    list link; /* recache.sitemaps */
    recache *owner;
    recache_task *task;
    settings *config;
    const recache_host *host;
    str *files; /* to be read; in the task's arena */
    size_t n_files, at, n_read;
    bool is_index; /* a sitemap of an index can't be one itself */
    bool asks;
    render_op op;
    buf fetched;
    post late;
    job job;
    int status;
    str why;
    /* of the file at hand */
    arena arena;
    buf text;
    sitemap map;
    str *urls;
    int64_t *dues;
    recache_task part;
    recache_rejected *rejected;
} sitemap_run;

static void next_file(sitemap_run *s);

static void run_end(sitemap_run *s)
{
    recache *r = s->owner;
    recache_task *t = s->task;

    t->status = s->status;
    t->rejected = s->rejected;
    list_remove(&s->link);
    settings_unref(s->config);
    arena_done(&s->arena);
    buf_done(&s->fetched);
    buf_done(&s->text);
    mem_free(s);
    t->on_done(t);
    recache_check_stopped(r);
}

static void on_late(post *p)
{
    run_end(CONTAINER_OF(p, sitemap_run, late));
}

static void end_later(sitemap_run *s, int status)
{
    s->status = status;
    s->late.fn = on_late;
    loop_post(s->config->o.loop, &s->late);
}

static void reject(sitemap_run *s, str url, str why)
{
    recache_task *t = s->task;

    if (t->n_rejected_listed < RECACHE_REJECTED_LISTED) {
        recache_rejected *place = &s->rejected[t->n_rejected_listed];
        *place = (recache_rejected){arena_dup(t->arena, url), arena_dup(t->arena, why)};
        t->n_rejected_listed += place->url.p && place->reason.p;
    }
    t->n_rejected++;
}

/* This file is done with; the next one, or the end. One that can't be had is an error only where there is no other. */
static void file_done(sitemap_run *s, int status, str why)
{
    if (why.p)
        reject(s, s->files[s->at], why);
    s->n_read += status == 0;
    s->at++;
    arena_reset(&s->arena);
    buf_reset(&s->fetched);
    buf_done(&s->text);
    if (status == -ENOSPC || status == -EIO || status == -ENOMEM || status == -ECANCELED)
        end_later(s, status);
    else if (s->owner->stopping)
        end_later(s, -ECANCELED);
    else if (s->at < s->n_files)
        next_file(s);
    else
        end_later(s, s->n_read > 0 ? 0 : -EREMOTEIO);
}

/* ---- queueing ---- */
static void on_part(recache_task *part)
{
    sitemap_run *s = CONTAINER_OF(part, sitemap_run, part);
    recache_task *t = s->task;

    t->accepted += part->accepted;
    t->changed += part->status == 0 ? part->accepted : part->changed;
    t->deduplicated += part->deduplicated;
    t->n_dimensions_used = part->n_dimensions_used;
    for (size_t i = 0; i < part->n_rejected_listed; i++)
        reject(s, part->rejected[i].url, part->rejected[i].reason);
    t->n_rejected += part->n_rejected - part->n_rejected_listed;
    file_done(s, part->status, STR_NULL);
}

static void queue_pages(sitemap_run *s)
{
    const recache_task *t = s->task;

    s->part = (recache_task){.arena = &s->arena,
                             .host_id = t->host_id,
                             .urls = {s->urls, s->map.n},
                             .dimensions = t->dimensions,
                             .n_dimensions = t->n_dimensions,
                             .priority = t->priority,
                             .on_done = on_part};
    change_enqueue(s->owner, &s->part, s->dues);
}

/* The sitemaps of an index come after the index itself, each once. */
static int take_index(sitemap_run *s)
{
    const size_t n = s->map.n < SITEMAPS_MAX ? s->map.n : SITEMAPS_MAX;
    str *files = arena_array(s->task->arena, str, n + 1);

    if (!files)
        return -ENOMEM;
    files[0] = s->files[0];
    for (size_t i = 0; i < n; i++) {
        files[i + 1] = arena_dup(s->task->arena, s->map.v[i].loc);
        if (!files[i + 1].p)
            return -ENOMEM;
    }
    s->files = files;
    s->n_files = n + 1;
    s->is_index = true;
    return 0;
}

/* ---- reading, in a job ---- */
static int list_pages(sitemap_run *s, int64_t now)
{
    s->urls = arena_array(&s->arena, str, s->map.n);
    s->dues = arena_array(&s->arena, int64_t, s->map.n);
    if (!s->urls || !s->dues)
        return -ENOMEM;
    for (size_t i = 0; i < s->map.n; i++) {
        s->urls[i] = s->map.v[i].loc;
        s->dues[i] = sitemap_due(&s->map.v[i], now);
    }
    return 0;
}

static void read_work(job *j)
{
    sitemap_run *s = CONTAINER_OF(j, sitemap_run, job);

    s->status = sitemap_unpack(buf_view(&s->fetched), &s->text);
    if (s->status == 0)
        s->status = sitemap_read(&s->arena, buf_view(&s->text), &s->map);
    if (s->status == 0 && !s->map.is_index)
        s->status = list_pages(s, s->part.due);
}

static void on_read(job *j, int status)
{
    sitemap_run *s = CONTAINER_OF(j, sitemap_run, job);

    if (status == 0)
        status = s->status;
    s->status = 0;
    if (status == 0 && s->map.is_index && s->is_index)
        file_done(s, -EINVAL, STR("it is an index in an index"));
    else if (status == 0 && s->map.is_index)
        file_done(s, take_index(s), STR_NULL);
    else if (status == 0)
        queue_pages(s);
    else
        file_done(s, status, status == -EINVAL ? STR("it is no sitemap") : str_c(err_text(status)));
}

/* ---- fetching ---- */
static int on_piece(render_op *op, str bytes)
{
    sitemap_run *s = CONTAINER_OF(op, sitemap_run, op);

    buf_str(&s->fetched, bytes);
    return s->fetched.err;
}

static void on_fetched(render_op *op)
{
    sitemap_run *s = CONTAINER_OF(op, sitemap_run, op);
    const recache_options *o = &s->config->o;
    str why = STR_NULL;

    if (op->result != RENDER_OK)
        why = s->fetched.err ? STR("it is too large") : op->why.p ? op->why : STR("it can't be fetched");
    else if (op->status != 200)
        why = arena_printf(&s->arena, "status %d", op->status);
    why = why.p ? arena_dup(&s->arena, why) : why;
    s->asks = false;
    o->renderer.op_done(op);
    s->part.due = loop_now_wall_ms(o->loop);
    if (why.p)
        file_done(s, s->owner->stopping ? -ECANCELED : -EREMOTEIO, why);
    else if (loop_job(o->loop, &s->job, read_work, on_read) < 0)
        file_done(s, -ENOMEM, STR_NULL);
}

/* Only what lies on the host itself is fetched. */
static str check_address(sitemap_run *s, recache_url *u)
{
    const strs nothing = {NULL, 0};
    str why = STR_NULL;

    if (recache_url_parse(&s->arena, s->files[s->at], nothing, u, &why) < 0)
        return why.p ? why : STR("out of memory");
    return recache_host_has_domain(s->host, u->host) ? STR_NULL : STR("its host is not one of the host's domains");
}

static void on_next(post *p)
{
    next_file(CONTAINER_OF(p, sitemap_run, late));
}

static void next_file_later(sitemap_run *s)
{
    s->late.fn = on_next;
    loop_post(s->config->o.loop, &s->late);
}

static void next_file(sitemap_run *s)
{
    const recache_options *o = &s->config->o;
    recache_url u;
    const str why = check_address(s, &u);

    if (why.p) {
        reject(s, s->files[s->at++], why);
        if (s->at < s->n_files)
            next_file_later(s); /* a turn for each, however many */
        else
            end_later(s, s->n_read > 0 ? 0 : -EREMOTEIO);
        return;
    }
    const recache_dimension *bypass = recache_dimension_by_id(s->host, RECACHE_DIMENSION_BYPASS);
    s->op = (render_op){.bypass = true,
                        .url = u.text,
                        .user_agent = bypass ? bypass->user_agent : STR_NULL,
                        .timeout_ms = o->timeout_per_url_ms,
                        .on_piece = on_piece,
                        .on_done = on_fetched};
    s->fetched.max = FETCHED_MAX;
    const int r = o->renderer.start(o->renderer.arg, &s->op);
    s->asks = r == 0;
    if (r < 0)
        end_later(s, r);
}

void recache_sitemap(recache *r, recache_task *t)
{
    sitemap_run *s = mem_new(sitemap_run);

    recache_task_clear(t);
    if (!s) {
        t->late.fn = recache_task_late;
        loop_post(r->config->o.loop, &t->late);
        return;
    }
    s->owner = r;
    s->task = t;
    s->config = r->config;
    s->config->refs++;
    s->host = recache_host_by_id(r, t->host_id);
    s->n_files = 1;
    s->files = arena_array(t->arena, str, 1);
    s->rejected = arena_array(t->arena, recache_rejected, RECACHE_REJECTED_LISTED);
    arena_init(&s->arena, 0);
    list_push(&r->sitemaps, &s->link);
    if (!s->files || !s->rejected) {
        end_later(s, -ENOMEM);
    } else if (r->stopping || !s->host || t->urls.n != 1) {
        end_later(s, r->stopping ? -ECANCELED : s->host ? -EINVAL : -ENOENT);
    } else {
        s->files[0] = t->urls.v[0];
        next_file_later(s);
    }
}

void sitemaps_cancel(recache *r)
{
    for (list *l = r->sitemaps.next; l != &r->sitemaps; l = l->next) {
        sitemap_run *s = CONTAINER_OF(l, sitemap_run, link);
        if (s->asks)
            s->config->o.renderer.cancel(&s->op);
    }
}
