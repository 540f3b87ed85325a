/* One entry on its way: taken from its queue in memory only, asked for, its page made a file, and then acknowledged in
 * one transaction. Until that is durable it is in the queue, so that whatever happens it is not lost. */
#include "service.h"

#include "larder/log.h"

/* ---- what is under way ---- */
static list *bucket_of(const recache *r, uint32_t host, uint64_t hash, uint16_t dimension)
{
    const size_t at = (hash ^ hash >> 32 ^ host * 31u ^ dimension * 131u) % WORK_BUCKETS;

    return (list *)(uintptr_t)&r->buckets[at];
}

work *work_find(const recache *r, uint32_t host, uint64_t hash, uint16_t dimension)
{
    const list *bucket = bucket_of(r, host, hash, dimension);

    for (list *l = bucket->next; l != bucket; l = l->next) {
        work *w = CONTAINER_OF(l, work, in_bucket);
        if (w->e.hash == hash && w->e.host == host && w->e.dimension == dimension)
            return w;
    }
    return NULL;
}

static bool is_fetch(const work *w)
{
    return w->op.bypass;
}

static void work_free(work *w)
{
    recache *r = w->owner;

    list_remove(&w->link);
    list_remove(&w->in_bucket);
    r->in_flight--;
    r->answered -= w->answered;
    r->fetching -= is_fetch(w);
    w->site->in_flight--;
    if (w->asked)
        w->config->o.renderer.op_done(&w->op);
    settings_unref(w->config);
    arena_done(&w->arena);
    mem_free(w);
}

static void work_end(work *w, bool queued)
{
    recache *r = w->owner;
    const uint32_t host = w->e.host;
    const bool is_moved = w->is_moved;

    if (w->asked)
        rota_charge(w->site, w->charged, loop_now_mono_ms(r->config->o.loop) - w->begun);
    else
        w->site->used -= w->charged;
    work_free(w);
    if (queued || is_moved)
        rota_wake(r, host);
    else
        recache_pump(r);
    recache_check_stopped(r);
}

/* ---- acknowledging ---- */
static void book_duration(recache *r, int64_t ms)
{
    recache_durations *d = &r->durations;
    unsigned i = 0;

    while (i + 1 < RECACHE_DURATION_BUCKETS && ms > (int64_t)5 << i)
        i++;
    d->buckets[i]++;
    d->n++;
    d->total_ms += (uint64_t)(ms > 0 ? ms : 0);
}

#define TELL_EVERY_MS MINUTES(10)

/* The oldest dead letters had to make room: nobody will see them any more. */
static void book_dropped(recache *r, const work *w)
{
    const int64_t now = loop_now_mono_ms(r->config->o.loop);

    r->figures.dropped_dead_letters += w->dropped;
    if (w->dropped == 0 || (r->drops_told_at > 0 && now - r->drops_told_at < TELL_EVERY_MS))
        return;
    r->drops_told_at = now > 0 ? now : 1;
    log_warn("a host has recache.max_dead_letters, and loses the oldest", LOG_INT("host_id", w->e.host),
             LOG_INT("lost_since_start", (int64_t)r->figures.dropped_dead_letters));
}

static void on_acked(store_op *op, int status)
{
    work *w = CONTAINER_OF(op, work, ack);
    recache *r = w->owner;
    recache_figures *f = &r->figures;

    if (status < 0) {
        recache_hold(r);
    } else if (w->verdict.kind == VERDICT_KEEP) {
        f->rendered += !is_fetch(w);
        f->fetched += is_fetch(w);
        f->by_priority[w->e.priority]++;
        r->hold_ms = 0;
        book_duration(r, loop_now_mono_ms(r->config->o.loop) - w->begun);
    } else {
        f->failed_attempts += w->asked;
        f->dead_letters += w->verdict.kind == VERDICT_DEAD;
        f->given_up_of[w->e.priority] += w->verdict.kind == VERDICT_DEAD;
        book_dropped(r, w);
    }
    work_end(w, status < 0 || w->verdict.kind == VERDICT_AGAIN || w->wanted_again || w->refresh);
}

static void acknowledge(work *w)
{
    recache *r = w->owner;
    const recache_options *o = &w->config->o;

    if (w->is_void && w->verdict.kind == VERDICT_KEEP)
        w->verdict.kind = VERDICT_BACK;
    if (w->verdict.kind == VERDICT_BACK) {
        work_end(w, true);
        return;
    }
    w->now = recache_now(r);
    w->attempts = w->e.attempts + w->asked;
    if (w->verdict.kind == VERDICT_AGAIN) {
        w->retry_at = w->now + outcome_delay(o, w->attempts, w->op.service_failed);
        if (w->attempts >= o->max_attempts)
            w->verdict.kind = VERDICT_DEAD;
    }
    w->refresh = w->verdict.kind == VERDICT_KEEP && w->host->refresh_ahead_ms > 0;
    w->wanted_again = w->is_again;
    w->ack = (store_op){.apply = work_ack_apply, .done = on_acked};
    store_submit(r->store, &w->ack);
}

/* ---- the page ---- */
static str header(const render_op *op, str name)
{
    for (size_t i = 0; i < op->n_headers; i++)
        if (str_eq_nocase(op->headers[i].name, name))
            return op->headers[i].value;
    return STR_NULL;
}

/* Those that say something about the content, and that whoever serves the page doesn't make himself. */
static bool is_kept_header(str name)
{
    static const str KEPT[] = {STR_INIT("content-language"), STR_INIT("last-modified"), STR_INIT("link"),
                               STR_INIT("x-robots-tag"), STR_INIT("cache-control")};

    for (size_t i = 0; i < COUNT_OF(KEPT); i++)
        if (str_eq_nocase(name, KEPT[i]))
            return true;
    return false;
}

static pairs kept_headers(work *w)
{
    const render_op *op = &w->op;
    pair *v = arena_array(&w->arena, pair, op->n_headers);
    size_t n = 0;

    for (size_t i = 0; v && i < op->n_headers; i++)
        if (is_kept_header(op->headers[i].name))
            v[n++] = (pair){op->headers[i].name, op->headers[i].value};
    return (pairs){v, n};
}

/* Texts lie in the operation, which stays until the work ends. */
static void fill_page(work *w)
{
    const render_op *op = &w->op;
    const recache_host *h = w->host;
    const int64_t now = recache_now(w->owner);
    const int64_t ttl = is_fetch(w) && h->bypass_ttl_ms > 0 ? h->bypass_ttl_ms : h->ttl_ms;

    w->page = (recache_page){
        .host_id = w->e.host,
        .dimension_id = w->e.dimension,
        .url = w->e.url,
        .created_at = now,
        .expires_at = now + ttl,
        .gone_at = now + ttl + h->stale_ttl_ms,
        .status_code = op->status,
        .source = is_fetch(w) ? STR("bypass") : STR("render"),
        .is_partial = op->result == RENDER_SOFT_TIMEOUT,
        .size = (int64_t)w->file.size,
        .disk_size = (int64_t)w->file.disk_size,
        /* What is rendered is HTML in UTF-8, whatever it was made of. */
        .content_type = is_fetch(w) ? header(op, STR("content-type")) : STR("text/html; charset=utf-8"),
        .location = op->status >= 300 && op->status < 400 ? op->final_url : STR_NULL,
        .headers = kept_headers(w),
        .title = op->title,
        .index_status = op->index_status,
        .request_id = str_c(op->request_id),
        .last_access = now,
    };
    if (w->file.size > 0) {
        w->page.file = str_c(w->file.name);
        w->page.etag = str_of(w->file.etag, sizeof(w->file.etag));
    }
}

/* Too large for a file, or for the room that is left: since the disk failed last, others have found theirs. */
static bool is_the_pages_fault(const work *w, int err)
{
    const bool lacks_room = err == -ENOSPC || err == -EDQUOT || err == -ENOMEM;

    return err == -EFBIG || (lacks_room && w->owner->files_made > w->owner->files_at_failure);
}

/* Where the disk is to blame it is no attempt of the page's: its entry stays as it is, and nothing is begun for a
 * while. Where the page is, it counts, or it would be rendered for ever. */
static void disk_failed(work *w, int err)
{
    const bool is_attempt = is_the_pages_fault(w, err);

    w->verdict = (verdict){is_attempt ? VERDICT_AGAIN : VERDICT_BACK, STR("disk_error")};
    w->detail = arena_printf(&w->arena, "its file could not be written: %s", err_text(err));
    w->owner->files_at_failure = w->owner->files_made;
    w->owner->figures.disk_errors++;
    if (!is_attempt)
        recache_hold(w->owner);
}

/* To make room for it all others would go, and then it. Its file is swept as one that no record names. */
static bool is_too_large(const work *w)
{
    const uint64_t most = w->owner->config->o.max_bytes;

    return most > 0 && page_file_room(w->file.disk_size) > most;
}

static void on_file_end(page_file *f, int status)
{
    work *w = CONTAINER_OF(f, work, file);

    if (w->verdict.kind == VERDICT_KEEP && status < 0) {
        disk_failed(w, status);
    } else if (w->verdict.kind == VERDICT_KEEP && is_too_large(w)) {
        w->verdict = (verdict){VERDICT_DEAD, STR("page_larger_than_max_bytes")};
        w->detail = arena_printf(&w->arena, "its file takes %llu bytes, and all of them may take %llu",
                                 (unsigned long long)w->file.disk_size,
                                 (unsigned long long)w->owner->config->o.max_bytes);
    } else if (w->verdict.kind == VERDICT_KEEP) {
        w->owner->files_made += w->file.size > 0;
        fill_page(w);
    }
    acknowledge(w);
}

static bool has_good_copy(work *w)
{
    store_view *v = store_read_begin(w->owner->store);
    recache_page p = {0};
    arena a;

    arena_init(&a, 0);
    const int r = recache_page_load(v, &a, w->e.host, w->e.dimension, w->e.hash, &p);
    const bool good = r == 0 && !p.is_partial && p.status_code == 200 &&
                      recache_page_state_at(&p, recache_now(w->owner)) != RECACHE_PAGE_MISS;
    arena_done(&a);
    store_read_end(v);
    return good;
}

/* ---- the renderer's calls ---- */
static int on_piece(render_op *op, str html)
{
    work *w = CONTAINER_OF(op, work, op);

    const int r = page_file_put(&w->file, html);
    if (r < 0 && w->broke == 0)
        w->broke = r;
    if (r > 0)
        w->owner->config->o.renderer.pause(op);
    return r < 0 ? r : 0;
}

static void on_room(page_file *f)
{
    work *w = CONTAINER_OF(f, work, file);

    w->owner->config->o.renderer.resume(&w->op);
}

static void on_done(render_op *op)
{
    work *w = CONTAINER_OF(op, work, op);
    const bool good = op->result == RENDER_SOFT_TIMEOUT && has_good_copy(w);

    w->answered = true;
    w->owner->answered++;
    w->owner->figures.kept_good_copy += good;
    w->verdict = outcome_of(op, w->host, good);
    w->detail = op->why.p || !op->status ? op->why : arena_printf(&w->arena, "the page's status is %d", op->status);
    if (w->broke < 0)
        disk_failed(w, w->broke);
    page_file_end(&w->file, w->verdict.kind == VERDICT_KEEP && op->html_bytes > 0);
}

void work_cancel(work *w)
{
    if (w->asked)
        w->owner->config->o.renderer.cancel(&w->op);
}

/* ---- beginning ---- */
/* The entry as it is stored, its URL in the arena. -ENOENT: it has been moved or done meanwhile. */
static int read_entry(recache *r, arena *a, const pick *p, recache_entry *ret_entry)
{
    store_view *v = store_read_begin(r->store);
    recache_entry e = {.host = p->site->id,
                       .priority = LANE_PRIORITY(p->lane),
                       .due = p->slot.due,
                       .hash = p->slot.hash,
                       .dimension = p->slot.dimension};
    char key[QUEUE_KEY_LEN];
    str value;

    queue_key(&e, key);
    int err = store_get(v, &recache_queue_ks, str_of(key, sizeof(key)), &value);
    if (err == 0)
        err = queue_decode(str_of(key, sizeof(key)), value, &e);
    if (err == 0) {
        e.url = arena_dup(a, e.url);
        err = e.url.p ? 0 : -ENOMEM;
    }
    if (err == 0)
        *ret_entry = e;
    store_read_end(v);
    return err;
}

bool work_is_allowed(const recache_host *h, const recache_url *u, str *ret_why)
{
    if (!str_starts(u->text, STR("http://")) && !str_starts(u->text, STR("https://")))
        *ret_why = STR("scheme_not_supported");
    else
        *ret_why = recache_host_has_domain(h, u->host) ? STR_NULL : STR("host_not_allowed");
    return !ret_why->p;
}

int work_refusal(arena *a, const recache_host *h, const recache_entry *e, str *ret_why)
{
    const recache_dimension *d = recache_dimension_by_id(h, e->dimension);
    const strs nothing = {NULL, 0};
    recache_url u;
    str why;

    const int r = recache_url_parse(a, e->url, nothing, &u, &why);
    if (r == -ENOMEM)
        return r;
    if (!d)
        *ret_why = STR("dimension_not_configured");
    else if (d->action == RECACHE_BLOCK)
        *ret_why = STR("dimension_blocked");
    else if (r < 0)
        *ret_why = STR("invalid_url");
    else
        (void)work_is_allowed(h, &u, ret_why);
    return 0;
}

static int ask(recache *r, work *w)
{
    const recache_host *h = w->host;
    const recache_options *o = &r->config->o;
    const int64_t limit = o->timeout_per_url_ms;

    w->op.url = w->e.url;
    w->op.user_agent = w->dimension->user_agent;
    w->op.timeout_ms = h->timeout_ms > 0 && h->timeout_ms < limit ? h->timeout_ms : limit;
    w->op.width = (unsigned)w->dimension->width;
    w->op.height = (unsigned)w->dimension->height;
    w->op.extra_wait_ms = h->extra_wait_ms;
    w->op.wait_for = h->wait_for;
    w->op.blocked_patterns = h->blocked_patterns.v;
    w->op.n_blocked_patterns = h->blocked_patterns.n;
    w->op.blocked_resource_types = h->blocked_resource_types.v;
    w->op.n_blocked_resource_types = h->blocked_resource_types.n;
    w->op.strip_scripts = h->strip_scripts;
    w->op.on_piece = on_piece;
    w->op.on_done = on_done;
    return o->renderer.start(o->renderer.arg, &w->op);
}

static void work_link(recache *r, work *w, const pick *p)
{
    w->owner = r;
    w->config = r->config;
    w->config->refs++;
    w->host = p->site->host;
    w->site = p->site;
    w->charged = p->charged;
    w->dimension = recache_dimension_by_id(w->host, w->e.dimension);
    w->op.bypass = w->dimension && w->dimension->action == RECACHE_BYPASS;
    w->begun = loop_now_mono_ms(r->config->o.loop);
    list_push(&r->working, &w->link);
    list_push(bucket_of(r, w->e.host, w->e.hash, w->e.dimension), &w->in_bucket);
    r->in_flight++;
    r->fetching += is_fetch(w);
    p->site->in_flight++;
    page_file_init(&w->file, r->config->o.loop, str_c(r->pages_dir));
    w->file.number = ++r->last_number;
    w->file.on_room = on_room;
    w->file.on_end = on_file_end;
    page_file_name(w->e.host, w->e.dimension, w->e.hash, (int64_t)w->file.number, w->file.name);
}

int work_begin(recache *r, const pick *p)
{
    const bool is_under_way = work_find(r, p->site->id, p->slot.hash, p->slot.dimension) != NULL;
    work *w = is_under_way ? NULL : mem_new(work);
    int err = is_under_way ? -ENOENT : -ENOMEM;

    if (w) {
        arena_init(&w->arena, 0);
        err = read_entry(r, &w->arena, p, &w->e);
    }
    if (err < 0) { /* moved or done meanwhile: no harm */
        p->site->used -= p->charged;
        if (w)
            arena_done(&w->arena);
        mem_free(w);
        return err == -ENOENT ? 0 : err;
    }
    work_link(r, w, p);
    str why = STR_NULL;
    err = work_refusal(&w->arena, w->host, &w->e, &why);
    if (err == 0 && why.p) {
        w->answered = true;
        r->answered++;
        w->verdict = (verdict){VERDICT_DEAD, why};
        acknowledge(w);
        return 0;
    }
    if (err == 0)
        err = ask(r, w);
    if (err < 0) {
        p->site->used -= p->charged;
        work_free(w);
        return err;
    }
    w->asked = true;
    return 0;
}
