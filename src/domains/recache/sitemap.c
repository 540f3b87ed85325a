/* Queueing what a sitemap lists: it is fetched as a page of the bypass is, unpacked and read in a job, its pages are
 * queued; an index's sitemaps follow one after the other. */
#include "sitemap.h"

#include "service.h"

#define REDIRECTS_MAX 3
#define FETCHED_MAX ((size_t)32 << 20)
/* An index may list thousands of sitemaps, and each may take as long as a page may. */
#define FAILURES_MAX 20 /* in a row */
#define TIME_MAX HOURS(1)

typedef struct sitemap_run {
    list link; /* recache.sitemaps */
    recache *owner;
    recache_task *task;
    settings *config;
    const recache_host *host;
    str *files; /* to be read; in the task's arena */
    size_t n_files, at, n_read;
    unsigned n_failed; /* since the last one that was read */
    int64_t begun;     /* mono ms */
    str address; /* of the file at hand, or where it was redirected to */
    unsigned redirects;
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

static void run_end(sitemap_run *s)
{
    recache *r = s->owner;
    recache_task *t = s->task;

    t->status = s->status;
    t->rejected = s->rejected;
    list_remove(&s->link);
    r->n_sitemaps--;
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

static void on_next(post *p);

static void next_file_later(sitemap_run *s)
{
    s->late.fn = on_next;
    loop_post(s->config->o.loop, &s->late);
}

/* Why no more files are asked for; NULL: they are. */
static const char *had_enough(const sitemap_run *s)
{
    if (s->n_failed >= FAILURES_MAX)
        return "too many in a row could not be had";
    return loop_now_mono_ms(s->config->o.loop) - s->begun >= TIME_MAX ? "it took too long" : NULL;
}

static void drop_files(sitemap_run *s, const char *why)
{
    const size_t n = s->n_files - s->at;
    const str text =
        arena_printf(&s->arena, "%zu of the index's sitemaps, from this one on, were not read: %s", n, why);

    reject(s, s->files[s->at], text.p ? text : str_c(why));
    s->task->n_rejected += n - 1;
    s->n_files = s->at;
}

/* This file is done with; the next one, or the end. One that can't be had is an error only where there is no other. */
static void file_done(sitemap_run *s, int status, str why)
{
    if (why.p)
        reject(s, s->files[s->at], why);
    s->n_read += status == 0;
    s->n_failed = status == 0 ? 0 : s->n_failed + 1;
    s->at++;
    arena_reset(&s->arena);
    buf_reset(&s->fetched);
    buf_done(&s->text);
    const char *enough = s->at < s->n_files ? had_enough(s) : NULL;
    if (enough)
        drop_files(s, enough);
    if (status == -ENOSPC || status == -EIO || status == -ENOMEM || status == -ECANCELED)
        end_later(s, status);
    else if (s->owner->stopping)
        end_later(s, -ECANCELED);
    else if (s->at < s->n_files)
        next_file_later(s); /* a turn for each, however many */
    else
        end_later(s, s->n_read > 0 ? 0 : -EREMOTEIO);
}

/* What of the file was not taken. */
static void reject_rest(sitemap_run *s)
{
    const size_t n = s->map.left_out;

    if (s->map.is_cut)
        reject(s, s->files[s->at], STR("it ends too early: only what comes before was read"));
    if (n == 0)
        return;
    const str why = arena_printf(&s->arena, "%zu more than the %d that a sitemap may list: these were left out", n,
                                 SITEMAP_URLS_MAX);
    reject(s, s->files[s->at], why.p ? why : STR("it lists too many"));
    s->task->n_rejected += n - 1;
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
    const size_t n = s->map.n;
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
    else if (s->status == 0 && !s->is_index)
        s->status = take_index(s);
}

static void use_file(sitemap_run *s)
{
    reject_rest(s);
    s->is_index |= s->map.is_index;
    if (s->map.is_index)
        file_done(s, 0, STR_NULL);
    else
        queue_pages(s);
}

static void on_read(job *j, int status)
{
    sitemap_run *s = CONTAINER_OF(j, sitemap_run, job);

    if (status == 0)
        status = s->status;
    s->status = 0;
    if (status == 0 && s->map.is_index && s->is_index)
        file_done(s, -EINVAL, STR("it is an index in an index"));
    else if (status < 0)
        file_done(s, status, status == -EINVAL ? STR("it is no sitemap") : str_c(err_text(status)));
    else
        use_file(s);
}

/* ---- fetching ---- */
static int on_piece(render_op *op, str bytes)
{
    sitemap_run *s = CONTAINER_OF(op, sitemap_run, op);

    buf_str(&s->fetched, bytes);
    return s->fetched.err;
}

static void fetch(sitemap_run *s);

static bool is_redirect(const render_op *op)
{
    const int s = op->status;

    return op->result == RENDER_OK && (s == 301 || s == 302 || s == 303 || s == 307 || s == 308);
}

/* s->address becomes where it leads. False: it is not followed. */
static bool follow(sitemap_run *s, str *why)
{
    const char *fault = "out of memory";
    int r = -EINVAL;

    if (s->redirects++ == REDIRECTS_MAX)
        fault = "it is redirected too often";
    else
        r = render_redirect_url(&s->arena, &s->op, &s->address, &fault);
    *why = str_c(fault);
    return r == 0;
}

/* False: the answer is of no use; *why may lie in it, and is null when memory ran out. */
static bool is_of_use(sitemap_run *s, str *why)
{
    const render_op *op = &s->op;

    if (op->result != RENDER_OK) {
        *why = s->fetched.err ? STR("it is too large") : op->why.p ? op->why : STR("it can't be fetched");
        return false;
    }
    if (is_redirect(op))
        return follow(s, why);
    if (op->status != 200)
        *why = arena_printf(&s->arena, "status %d", op->status);
    return op->status == 200;
}

/* The file at hand can't be had. */
static void fetch_failed(sitemap_run *s, str why)
{
    if (why.p && !str_eq(s->address, s->files[s->at]))
        why = arena_printf(&s->arena, "redirected to " STR_FMT ": " STR_FMT, STR_ARG(str_head(s->address, 200)),
                           STR_ARG(why));
    file_done(s, s->owner->stopping ? -ECANCELED : -EREMOTEIO, why.p ? why : STR("out of memory"));
}

static void on_fetched(render_op *op)
{
    sitemap_run *s = CONTAINER_OF(op, sitemap_run, op);
    const recache_options *o = &s->config->o;
    const bool moved = is_redirect(op);
    str why = STR_NULL;
    const bool useful = is_of_use(s, &why);

    why = why.p ? arena_dup(&s->arena, why) : why;
    s->asks = false;
    o->renderer.op_done(op);
    s->part.due = loop_now_wall_ms(o->loop);
    if (!useful)
        fetch_failed(s, why);
    else if (moved)
        fetch(s);
    else if (loop_job(o->loop, &s->job, read_work, on_read) < 0)
        file_done(s, -ENOMEM, STR_NULL);
}

/* Only what lies on the host itself is fetched. */
static str check_address(sitemap_run *s, recache_url *u)
{
    const strs nothing = {NULL, 0};
    str why = STR_NULL;

    if (recache_url_parse(&s->arena, s->address, nothing, u, &why) < 0)
        return why.p ? why : STR("out of memory");
    return recache_host_has_domain(s->host, u->host) ? STR_NULL : STR("its host is not one of the host's domains");
}

static void fetch(sitemap_run *s)
{
    const recache_options *o = &s->config->o;
    recache_url u;
    const str why = check_address(s, &u);

    if (why.p || s->owner->stopping) {
        fetch_failed(s, why);
        return;
    }
    const recache_dimension *bypass = recache_dimension_by_id(s->host, RECACHE_DIMENSION_BYPASS);
    s->op = (render_op){.bypass = true,
                        .url = u.text,
                        .user_agent = bypass ? bypass->user_agent : STR_NULL,
                        .timeout_ms = o->timeout_per_url_ms,
                        .on_piece = on_piece,
                        .on_done = on_fetched};
    buf_reset(&s->fetched);
    s->fetched.max = FETCHED_MAX;
    const int r = o->renderer.start(o->renderer.arg, &s->op);
    s->asks = r == 0;
    if (r == -EBUSY) /* -EBUSY of ours says something else */
        fetch_failed(s, STR("too many pages are being fetched: try again later"));
    else if (r < 0)
        end_later(s, r);
}

static void on_next(post *p)
{
    sitemap_run *s = CONTAINER_OF(p, sitemap_run, late);

    s->address = s->files[s->at];
    s->redirects = 0;
    fetch(s);
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
    s->begun = loop_now_mono_ms(r->config->o.loop);
    s->n_files = 1;
    s->files = arena_array(t->arena, str, 1);
    s->rejected = arena_array(t->arena, recache_rejected, RECACHE_REJECTED_LISTED);
    arena_init(&s->arena, 0);
    list_push(&r->sitemaps, &s->link);
    r->n_sitemaps++;
    if (!s->files || !s->rejected) {
        end_later(s, -ENOMEM);
    } else if (r->n_sitemaps > RECACHE_SITEMAPS_MAX) {
        end_later(s, -EBUSY);
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
