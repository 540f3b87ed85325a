/* A scan, from its queue to its end, on the loop. The happy path:
 *
 *     QUEUED -> REPOSITORY -> COMMIT -> TREE -> ARCHIVE -> DETECT -> WRITE -> ENDED
 *
 * A rescan begins at COMMIT, asks conditionally, and goes on to WRITE at once when GitHub says that nothing changed. With no quota
 * left it WAITs outside the concurrency limit and comes back to where it was. A task that needs to know whether its
 * manual_map fits the tree is told after TREE, and the scan stands at CHECKED until it answers. Any failure before
 * WRITE only writes the source's error. A cancelled scan ends at the next callback and writes nothing. */
#include "larder/hash.h"
#include "service.h"

#define PAUSE_ABOVE (1u << 20)  /* bytes of archive that wait for the worker */
#define RESUME_BELOW (1u << 18)
#define WRITE_AGAIN_MS SECONDS(30)

static const flow_state FLOW[] = {
    [SCAN_QUEUED] = {"queued", TO(SCAN_REPOSITORY) | TO(SCAN_COMMIT) | TO(SCAN_ENDED)},
    [SCAN_REPOSITORY] = {"repository", TO(SCAN_COMMIT) | TO(SCAN_WRITE) | TO(SCAN_WAIT) | TO(SCAN_ENDED)},
    [SCAN_COMMIT] = {"commit", TO(SCAN_COMMIT) | TO(SCAN_REPOSITORY) | TO(SCAN_TREE) | TO(SCAN_ARCHIVE) | TO(SCAN_WRITE) |
                                   TO(SCAN_WAIT) | TO(SCAN_ENDED)},
    [SCAN_TREE] = {"tree", TO(SCAN_CHECKED) | TO(SCAN_ARCHIVE) | TO(SCAN_WRITE) | TO(SCAN_WAIT) | TO(SCAN_ENDED)},
    [SCAN_CHECKED] = {"checked", TO(SCAN_ARCHIVE) | TO(SCAN_ENDED)},
    [SCAN_ARCHIVE] = {"archive", TO(SCAN_DETECT) | TO(SCAN_WRITE) | TO(SCAN_WAIT) | TO(SCAN_ENDED)},
    [SCAN_DETECT] = {"detect", TO(SCAN_WRITE) | TO(SCAN_ENDED)},
    [SCAN_WRITE] = {"write", TO(SCAN_ENDED)},
    [SCAN_WAIT] = {"wait", TO(SCAN_WRITE) | TO(SCAN_REPOSITORY) | TO(SCAN_COMMIT) | TO(SCAN_TREE) | TO(SCAN_ARCHIVE) | TO(SCAN_ENDED)},
    [SCAN_ENDED] = {"ended", 0},
};

static void ask_repository(scan *sc);
static void ask_commit(scan *sc);
static void ask_tree(scan *sc);
static void ask_archive(scan *sc);
static void write_result(scan *sc);
static void fail(scan *sc, str why);

/* ---- begin and end ---- */
scan *scan_find(sources *s, str source_id)
{
    list *const lists[] = {&s->active, &s->queue};

    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (list *l = lists[i]->next; l != lists[i]; l = l->next) {
            scan *sc = CONTAINER_OF(l, scan, link);
            if (str_eq(sc->src.id, source_id) && !sc->cancelled && !sc->check)
                return sc;
        }
    }
    return NULL;
}

static void scan_free(scan *sc)
{
    if (!sc)
        return;
    if (sc->token.p)
        mem_wipe((void *)(uintptr_t)sc->token.p, sc->token.n);
    github_op_done(&sc->github);
    github_op_done(&sc->tree);
    archive_free(sc->reader);
    buf_done(&sc->feeding);
    buf_done(&sc->gathering);
    buf_done(&sc->content);
    change_log_free(sc->changes);
    arena_done(&sc->arena);
    mem_free(sc);
}

/* A deep copy: its record, decoded again. */
static int copy_source(arena *a, const source *src, source *ret)
{
    buf b = BUF_INIT;

    record_encode(&source_schema, src, &b);
    str bytes = b.err ? STR_NULL : arena_dup(a, buf_view(&b));
    buf_done(&b);
    return bytes.p ? record_decode(&source_schema, a, bytes, ret) : -ENOMEM;
}

int scan_queue(sources *s, const source *src, str token, source_task *check, scan **ret_scan)
{
    scan *sc = mem_new(scan);

    if (!sc)
        return -ENOMEM;
    sc->owner = s;
    arena_init(&sc->arena, 0);
    list_init(&sc->waiters);
    sc->check = check;
    sc->begun_mono = loop_now_mono_ms(s->o.loop);
    int r = copy_source(&sc->arena, src, &sc->src);
    if (r == 0 && token.p) {
        sc->token = arena_dup(&sc->arena, token);
        r = sc->token.p ? 0 : -ENOMEM;
    }
    if (r == 0) {
        sc->settings = scan_settings(&sc->arena, &sc->src);
        r = sc->settings.p ? change_log_new(&sc->changes) : -ENOMEM;
    }
    if (r < 0) {
        scan_free(sc);
        return r;
    }
    sc->ref = sc->src.ref;
    list_push(&s->queue, &sc->link);
    if (ret_scan)
        *ret_scan = sc;
    return 0;
}

static void set_running(scan *sc, bool on)
{
    if (sc->is_running == on)
        return;
    sc->is_running = on;
    if (on)
        sc->owner->running++;
    else
        sc->owner->running--;
}

static void scan_end(scan *sc, const scan_result *result)
{
    sources *s = sc->owner;
    list *l;

    flow_move(FLOW, &sc->state, SCAN_ENDED);
    set_running(sc, false);
    loop_timer_cancel(s->o.loop, &sc->wait);
    list_remove(&sc->link);
    if (!result)
        s->stats.interrupted++;
    else if (!str_eq(result->status, STR("success")))
        s->stats.failed++;
    else if (result->not_modified)
        s->stats.unchanged++;
    else
        s->stats.succeeded++;
    while ((l = list_pop(&sc->waiters))) {
        scan_waiter *w = CONTAINER_OF(l, scan_waiter, link);
        w->on_end(w, result);
    }
    scan_free(sc);
    scan_pump(s);
    sources_check_stopped(s);
}

/* True when a callback must go no further. */
static bool ended_by_cancel(scan *sc)
{
    if (!sc->cancelled)
        return false;
    if (sc->check)
        sources_task_end(sc->check, -ECANCELED, STR_NULL);
    scan_end(sc, NULL);
    return true;
}

void scan_cancel(scan *sc)
{
    if (sc->cancelled)
        return;
    sc->cancelled = true;
    if (sc->state == SCAN_QUEUED || timer_is_set(&sc->wait))
        (void)ended_by_cancel(sc);
    else if (sc->asks)
        github_cancel(sc->state == SCAN_TREE ? &sc->tree : &sc->github);
    /* otherwise a job, a write or a task's answer is due: its callback ends the scan */
}

void scan_begin(scan *sc)
{
    void (*const ask[])(scan *) = {
        [SCAN_REPOSITORY] = ask_repository, [SCAN_COMMIT] = ask_commit, [SCAN_TREE] = ask_tree, [SCAN_ARCHIVE] = ask_archive};
    const unsigned first = sc->src.scanned_as.p ? SCAN_COMMIT : SCAN_REPOSITORY;

    set_running(sc, true);
    ask[sc->state == SCAN_WAIT ? sc->resume : first](sc);
}

/* ---- asking GitHub ---- */
static void start(scan *sc, unsigned state, github_op *op, int (*starter)(github *, github_op *), void (*on_done)(github_op *))
{
    flow_move(FLOW, &sc->state, state);
    op->owner = sc->src.owner;
    op->repo = sc->src.repo_name;
    op->token = sc->token;
    op->on_done = on_done;
    op->user = sc;
    const int r = starter(sc->owner->o.github, op);
    if (r < 0)
        fail(sc, str_c(err_text(r)));
    else
        sc->asks = true;
}

static void on_wait_over(timer *t)
{
    scan *sc = CONTAINER_OF(t, scan, wait);

    list_remove(&sc->link);
    list_push(&sc->owner->queue, &sc->link);
    scan_pump(sc->owner);
}

static void on_wait_noted(store_op *op, int status)
{
    scan *sc = CONTAINER_OF(op, scan, op);
    const int64_t now = loop_now_wall_ms(sc->owner->o.loop);
    const int64_t delay = sc->waiting_until > now ? sc->waiting_until - now : 0;

    (void)status; /* that nobody can see it is no reason not to wait */
    if (ended_by_cancel(sc))
        return;
    /* Those that wait for the same reset come back one after the other. */
    if (loop_timer_set(sc->owner->o.loop, &sc->wait, delay + (int64_t)random_below(1000), on_wait_over) < 0)
        fail(sc, STR("out of memory"));
}

static void wait_for_quota(scan *sc, int64_t until)
{
    const int64_t now = loop_now_wall_ms(sc->owner->o.loop);

    sc->resume = sc->state;
    flow_move(FLOW, &sc->state, SCAN_WAIT);
    set_running(sc, false);
    sc->waiting_since = sc->waiting_since ? sc->waiting_since : now;
    sc->waiting_until = until;
    sc->now = now;
    sc->op = (store_op){.apply = scan_waits_apply, .done = on_wait_noted};
    store_submit(sc->owner->o.store, &sc->op);
    scan_pump(sc->owner);
}

/* The part of every answer that is the same: true when the caller may look at the result (OK, NOT_MODIFIED, NOT_FOUND). */
static bool answered(scan *sc, github_op *op)
{
    sc->asks = false;
    if (ended_by_cancel(sc))
        return false;
    switch (op->result) {
    case GITHUB_OK:
    case GITHUB_NOT_MODIFIED:
    case GITHUB_NOT_FOUND:
        return true;
    case GITHUB_RATE_LIMITED:
        if (sc->check) {
            fail(sc, op->why);
            return false;
        }
        wait_for_quota(sc, op->retry_at);
        return false;
    default:
        fail(sc, op->why.p ? op->why : STR("GitHub could not be asked"));
        return false;
    }
}

static int copy_repository(scan *sc, const github_repository *r)
{
    str *topics = arena_array(&sc->arena, str, r->n_topics);

    if (!topics)
        return -ENOMEM;
    for (size_t i = 0; i < r->n_topics; i++)
        topics[i] = arena_dup(&sc->arena, r->topics[i]);
    sc->repository = (github_repository){
        .owner = arena_dup(&sc->arena, r->owner),
        .name = arena_dup(&sc->arena, r->name),
        .description = arena_dup(&sc->arena, r->description),
        .default_branch = arena_dup(&sc->arena, r->default_branch),
        .visibility = arena_dup(&sc->arena, r->visibility),
        .license = arena_dup(&sc->arena, r->license),
        .is_private = r->is_private,
        .topics = topics,
        .n_topics = r->n_topics,
    };
    return sc->repository.owner.p ? 0 : -ENOMEM;
}

static void on_repository(github_op *op)
{
    scan *sc = op->user;

    if (!answered(sc, op))
        return;
    if (op->result != GITHUB_OK)
        fail(sc, STR("GitHub: repository not found, or not visible without a token that may read it"));
    else if (copy_repository(sc, &op->repository) < 0)
        fail(sc, STR("out of memory"));
    else
        ask_commit(sc);
}

static void ask_repository(scan *sc)
{
    github_op_done(&sc->github);
    sc->github = (github_op){0};
    start(sc, SCAN_REPOSITORY, &sc->github, github_get_repository, on_repository);
}

/* `main` was not asked for by anybody, and is not there: the default branch is meant. It has cost one request, so the listing is
 * taken from the archive instead of the tree. */
static bool falls_back(scan *sc)
{
    const str branch = sc->repository.default_branch;

    if (sc->src.ref_given || !str_eq(sc->ref, STR("main")) || !branch.p || str_eq(branch, sc->ref))
        return false;
    sc->ref = branch;
    sc->skip_tree = !sc->check;
    return true;
}

static void on_commit(github_op *op)
{
    scan *sc = op->user;

    if (!answered(sc, op))
        return;
    if (op->result == GITHUB_NOT_FOUND) {
        if (falls_back(sc))
            ask_commit(sc);
        else if (!sc->src.ref_given && !sc->repository.owner.p && str_eq(sc->ref, STR("main")))
            ask_repository(sc);
        else
            fail(sc, arena_printf(&sc->arena, "GitHub: ref '" STR_FMT "' not found in " STR_FMT "/" STR_FMT, STR_ARG(sc->ref),
                                  STR_ARG(sc->src.owner), STR_ARG(sc->src.repo_name)));
        return;
    }
    if (op->result == GITHUB_OK) {
        sc->sha = arena_dup(&sc->arena, op->commit.sha);
        sc->tree_sha = arena_dup(&sc->arena, op->commit.tree_sha);
        sc->commit_etag = arena_dup(&sc->arena, op->new_etag);
    }
    if (!sc->sha.p) {
        fail(sc, STR("out of memory"));
        return;
    }
    sc->not_modified = op->result == GITHUB_NOT_MODIFIED ||
                       (str_eq(sc->settings, sc->src.scanned_as) && str_eq(sc->sha, sc->src.last_indexed_tree_sha));
    if (sc->not_modified && !sc->check)
        write_result(sc);
    else if (sc->skip_tree)
        ask_archive(sc);
    else
        ask_tree(sc);
}

static void ask_commit(scan *sc)
{
    char fingerprint[GITHUB_FINGERPRINT_LEN + 1];
    store_view *v;
    validator known = {0};

    github_op_done(&sc->github);
    sc->github = (github_op){.ref = sc->ref};
    github_fingerprint(sc->owner->o.github, sc->token, fingerprint);
    sc->credential = arena_dup(&sc->arena, str_c(fingerprint));
    sc->commit_path = arena_printf(&sc->arena, "/repos/" STR_FMT "/" STR_FMT "/commits/" STR_FMT, STR_ARG(sc->src.owner),
                                   STR_ARG(sc->src.repo_name), STR_ARG(sc->ref));
    if (!sc->credential.p || !sc->commit_path.p) {
        flow_move(FLOW, &sc->state, SCAN_COMMIT);
        fail(sc, STR("out of memory"));
        return;
    }
    /* Only where the stored catalogue is what that validator stands for. */
    if (str_eq(sc->settings, sc->src.scanned_as) && !sc->check) {
        v = store_read_begin(sc->owner->o.store);
        if (validator_load(v, &sc->arena, sc->credential, sc->commit_path, &known) == 0 &&
            str_eq(known.sha, sc->src.last_indexed_tree_sha)) {
            sc->github.etag = sc->commit_etag = arena_dup(&sc->arena, known.etag);
            sc->sha = arena_dup(&sc->arena, known.sha);
            sc->tree_sha = arena_dup(&sc->arena, known.tree_sha);
        }
        store_read_end(v);
    }
    start(sc, SCAN_COMMIT, &sc->github, github_get_commit, on_commit);
}

/* ---- the listing ---- */
static void on_files(job *j, int status)
{
    scan *sc = CONTAINER_OF(j, scan, job);
    str problem = STR_NULL;

    if (ended_by_cancel(sc))
        return;
    if (status < 0 || sc->feed_error < 0) {
        fail(sc, str_c(err_text(sc->feed_error ? sc->feed_error : status)));
        return;
    }
    if (!sc->check) {
        ask_archive(sc);
        return;
    }
    const int r = source_manual_map_exists(&sc->arena, sc->check->map, sc->files, sc->n_files, &problem);
    source_task *task = sc->check;
    flow_move(FLOW, &sc->state, SCAN_CHECKED);
    sc->check = NULL;
    task->on_checked(task, r, problem);
}

void scan_checked(scan *sc, bool go_on)
{
    if (!go_on || sc->cancelled)
        scan_end(sc, NULL);
    else
        ask_archive(sc);
}

static void on_tree(github_op *op)
{
    scan *sc = op->user;

    if (!answered(sc, op))
        return;
    if (op->result != GITHUB_OK) {
        fail(sc, STR("GitHub: the commit's tree is not there"));
        return;
    }
    sc->has_tree = !op->tree.truncated;
    if (!sc->has_tree && !sc->check)
        ask_archive(sc);
    else if (loop_job(sc->owner->o.loop, &sc->job, scan_files_work, on_files) < 0)
        fail(sc, STR("out of memory"));
}

static void ask_tree(scan *sc)
{
    github_op_done(&sc->tree);
    sc->tree = (github_op){.ref = sc->tree_sha.n ? sc->tree_sha : sc->sha};
    start(sc, SCAN_TREE, &sc->tree, github_get_tree, on_tree);
}

/* ---- the archive ---- */
static void feed_on(scan *sc);

static void on_detected(job *j, int status)
{
    scan *sc = CONTAINER_OF(j, scan, job);

    if (ended_by_cancel(sc))
        return;
    if (status == 0 && sc->feed_error == 0)
        write_result(sc);
    else
        fail(sc, str_c(err_text(sc->feed_error ? sc->feed_error : status)));
}

static void on_fed(job *j, int status)
{
    scan *sc = CONTAINER_OF(j, scan, job);

    sc->feeds = false;
    if (status < 0 && sc->feed_error == 0)
        sc->feed_error = status;
    feed_on(sc);
}

/* Called whenever a piece came, a job ended, or the download did. */
static void feed_on(scan *sc)
{
    if (sc->feeds)
        return;
    if (sc->asks && (sc->cancelled || sc->feed_error)) {
        github_cancel(&sc->github); /* on_archive comes back here */
        return;
    }
    if (ended_by_cancel(sc))
        return;
    if (sc->received && sc->github.result != GITHUB_OK && sc->feed_error == 0) {
        if (answered(sc, &sc->github))
            fail(sc, STR("GitHub: the archive is not there"));
        return;
    }
    if (sc->feed_error == 0 && sc->gathering.n == 0 && sc->received)
        sc->feed_error = archive_finish(sc->reader);
    if (sc->feed_error < 0) {
        if (!sc->asks)
            fail(sc, arena_printf(&sc->arena, "the archive cannot be read: %s",
                                  *archive_problem(sc->reader) ? archive_problem(sc->reader) : err_text(sc->feed_error)));
        return;
    }
    if (sc->gathering.n > 0) {
        const buf fed = sc->feeding;
        sc->feeding = sc->gathering;
        sc->gathering = fed;
        buf_reset(&sc->gathering);
        sc->feeds = loop_job(sc->owner->o.loop, &sc->job, scan_feed_work, on_fed) == 0;
        if (!sc->feeds) {
            sc->feed_error = -ENOMEM;
            feed_on(sc);
        }
        if (sc->paused && sc->asks) {
            sc->paused = false;
            github_resume(&sc->github);
        }
    } else if (sc->received) {
        flow_move(FLOW, &sc->state, SCAN_DETECT);
        if (loop_job(sc->owner->o.loop, &sc->job, scan_detect_work, on_detected) < 0)
            fail(sc, STR("out of memory"));
    }
}

static int on_piece(github_op *op, str piece)
{
    scan *sc = op->user;

    buf_str(&sc->gathering, piece);
    if (sc->gathering.err || sc->feed_error)
        return sc->gathering.err ? sc->gathering.err : sc->feed_error;
    if (sc->gathering.n > PAUSE_ABOVE && !sc->paused) {
        sc->paused = true;
        github_pause(op);
    }
    if (!sc->feeds && !sc->cancelled)
        feed_on(sc);
    return 0;
}

static void on_archive(github_op *op)
{
    scan *sc = op->user;

    sc->asks = false;
    sc->received = true;
    feed_on(sc);
}

static void ask_archive(scan *sc)
{
    const int r = scan_reader_open(sc);

    github_op_done(&sc->github);
    sc->github = (github_op){.ref = sc->sha, .on_piece = on_piece};
    buf_reset(&sc->gathering);
    sc->received = sc->paused = false;
    if (r < 0) {
        flow_move(FLOW, &sc->state, SCAN_ARCHIVE);
        fail(sc, str_c(err_text(r)));
        return;
    }
    start(sc, SCAN_ARCHIVE, &sc->github, github_get_archive, on_archive);
}

/* ---- the end ---- */
static void fill_result(scan *sc, bool ok)
{
    scan_result *r = &sc->result;

    r->status = ok ? STR("success") : STR("error");
    r->new_count = sc->merge.fresh;
    r->updated_count = sc->merge.updated;
    r->removed_count = sc->merge.removed;
    r->unchanged_count = sc->merge.unchanged;
    if (sc->not_modified) /* all is as it was */
        r->unchanged_count = r->artifacts_found = r->total_detected = r->total_unique = sc->src.artifact_count;
    r->scan_duration_ms = loop_now_mono_ms(sc->owner->o.loop) - sc->begun_mono;
    r->scanned_at = sc->now;
    r->actual_ref = sc->ref;
    r->not_modified = sc->not_modified;
}

/* Between 0.9 and 1.1 intervals from now. */
static int64_t next_rescan(const scan *sc)
{
    const int64_t interval = sc->owner->o.rescan_interval_ms;

    return sc->now + interval - interval / 10 + (int64_t)random_below((uint64_t)(interval / 5) + 1);
}

static void submit(scan *sc, int (*apply)(store_txn *, store_op *), void (*done)(store_op *, int))
{
    sc->now = loop_now_wall_ms(sc->owner->o.loop);
    sc->rescan_at = next_rescan(sc);
    sc->op = (store_op){.apply = apply, .done = done};
    store_submit(sc->owner->o.store, &sc->op);
}

static void on_failure_written(store_op *op, int status);

static void on_write_again(timer *t)
{
    scan *sc = CONTAINER_OF(t, scan, wait);

    submit(sc, scan_fail_apply, on_failure_written);
}

static void on_failure_written(store_op *op, int status)
{
    scan *sc = CONTAINER_OF(op, scan, op);

    if (ended_by_cancel(sc))
        return;
    /* The source must not stay "scanning" with nobody scanning it: it is tried until the store takes it. */
    if ((status == -ENOSPC || status == -EIO || status == -ENOMEM) &&
        loop_timer_set(sc->owner->o.loop, &sc->wait, WRITE_AGAIN_MS, on_write_again) == 0) {
        set_running(sc, false);
        scan_pump(sc->owner);
        return;
    }
    fill_result(sc, false);
    scan_end(sc, status == -ECANCELED ? NULL : &sc->result);
}

static void fail(scan *sc, str why)
{
    source_task *task = sc->check;

    if (task) {
        sc->check = NULL;
        task->on_checked(task, -EREMOTEIO, why);
        scan_end(sc, NULL);
        return;
    }
    if (sc->state != SCAN_WRITE)
        flow_move(FLOW, &sc->state, SCAN_WRITE);
    sc->why = arena_dup(&sc->arena, why);
    if (!sc->why.p)
        sc->why = STR("out of memory");
    scan_note_error(sc, sc->why);
    submit(sc, scan_fail_apply, on_failure_written);
}

static void on_merged(store_op *op, int status)
{
    scan *sc = CONTAINER_OF(op, scan, op);

    /* What is durable is told, even when the rest failed. */
    sc->changes->indexed = sc->src.indexing_enabled;
    if (status < 0)
        sc->changes->n = sc->changes->kept;
    sources_deliver(sc->owner, sc->changes);
    sc->changes = NULL;
    if (status == -ECANCELED) {
        sc->cancelled = true;
        (void)ended_by_cancel(sc);
        return;
    }
    if (status < 0) {
        fail(sc, arena_printf(&sc->arena, "the catalogue could not be written: %s", err_text(status)));
        return;
    }
    fill_result(sc, true);
    scan_end(sc, &sc->result);
}

static void write_result(scan *sc)
{
    flow_move(FLOW, &sc->state, SCAN_WRITE);
    submit(sc, scan_merge_apply, on_merged);
}

void scan_note_error(scan *sc, str text)
{
    strs *e = &sc->result.errors;

    if (e->n == SCAN_ERRORS_MAX)
        return;
    sc->errors[e->n] = arena_dup(&sc->arena, text);
    if (!sc->errors[e->n].p)
        return;
    *e = (strs){sc->errors, e->n + 1};
}
