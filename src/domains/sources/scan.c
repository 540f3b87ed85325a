/* A scan, from its queue to its end, on the loop. The happy path:
 *
 *     QUEUED -> REPOSITORY -> COMMIT -> TREE -> ARCHIVE -> DETECT -> WRITE -> ENDED
 *
 * A rescan begins at COMMIT, asks conditionally, and goes on to WRITE at once when GitHub says that nothing
 * changed. With no quota left it WAITs outside the concurrency limit, is queued again, and goes on where it
 * was. A task that needs to know whether its manual_map fits the tree is told after TREE, and the scan stands
 * at CHECKED until it answers. Any failure before WRITE only writes the source's error. A cancelled scan ends
 * at the next callback and writes nothing.
 *
 * This file: the queue, the waits, and the questions up to TREE. ARCHIVE and DETECT are in scan_fetch.c,
 * WRITE is in scan_write.c; the workers' part is in scan_read.c, the writer's in merge_txn.c. */
#include "service.h"

static const flow_state FLOW[] = {
    [SCAN_QUEUED] = {"queued",
                     TO(SCAN_REPOSITORY) | TO(SCAN_COMMIT) | TO(SCAN_TREE) | TO(SCAN_ARCHIVE) | TO(SCAN_ENDED)},
    [SCAN_REPOSITORY] = {"repository", TO(SCAN_COMMIT) | TO(SCAN_WRITE) | TO(SCAN_WAIT) | TO(SCAN_ENDED)},
    [SCAN_COMMIT] = {"commit", TO(SCAN_COMMIT) | TO(SCAN_REPOSITORY) | TO(SCAN_TREE) | TO(SCAN_ARCHIVE) |
                                   TO(SCAN_WRITE) | TO(SCAN_WAIT) | TO(SCAN_ENDED)},
    [SCAN_TREE] = {"tree", TO(SCAN_CHECKED) | TO(SCAN_ARCHIVE) | TO(SCAN_WRITE) | TO(SCAN_WAIT) | TO(SCAN_ENDED)},
    [SCAN_CHECKED] = {"checked", TO(SCAN_ARCHIVE) | TO(SCAN_ENDED)},
    [SCAN_ARCHIVE] = {"archive", TO(SCAN_ARCHIVE) | TO(SCAN_DETECT) | TO(SCAN_WRITE) | TO(SCAN_WAIT) | TO(SCAN_ENDED)},
    [SCAN_DETECT] = {"detect", TO(SCAN_WRITE) | TO(SCAN_ENDED)},
    [SCAN_WRITE] = {"write", TO(SCAN_ENDED)},
    [SCAN_WAIT] = {"wait", TO(SCAN_QUEUED) | TO(SCAN_WRITE) | TO(SCAN_ENDED)},
    [SCAN_ENDED] = {"ended", 0},
};

void scan_move(scan *sc, unsigned state)
{
    flow_move(FLOW, &sc->state, state);
}

/* ---- begin and end ---- */
scan *scan_find(sources *s, str source_id)
{
    list *const lists[] = {&s->active, &s->queue};

    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        for (list *l = lists[i]->next; l != lists[i]; l = l->next) {
            scan *sc = CONTAINER_OF(l, scan, link);
            if (str_eq(sc->src.id, source_id) && !sc->cancelled && !sc->check && sc->state != SCAN_CHECKED)
                return sc;
        }
    }
    return NULL;
}

static void free_now(void *what)
{
    scan *sc = what;

    if (sc->token.p)
        mem_wipe((void *)(uintptr_t)sc->token.p, sc->token.n);
    github_op_done(&sc->github);
    github_op_done(&sc->tree);
    archive_free(sc->reader);
    github_read_done(&sc->reading);
    buf_done(&sc->content);
    change_log_free(sc->changes);
    arena_done(&sc->arena);
    mem_free(sc);
}

static void scan_free(scan *sc, loop *l)
{
    loop_give_back(l, sc->arena.total + sc->github.arena.total + sc->tree.arena.total, free_now, sc);
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
    scan *sc = s->stopping ? NULL : mem_new(scan);

    if (!sc)
        return s->stopping ? -ECANCELED : -ENOMEM;
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
        sc->live = sc->src.artifact_count;
        sc->waiting_since = sc->src.waiting_since; /* a stop does not end a wait for quota */
        sc->ref = sc->src.ref;
        sc->settings = scan_settings(&sc->arena, &sc->src, sc->ref);
        r = sc->settings.p ? change_log_new(sc->src.id, &sc->changes) : -ENOMEM;
    }
    if (r < 0) {
        free_now(sc);
        return r;
    }
    s->scans++;
    list_push(check ? s->queue.next : &s->queue, &sc->link); /* a client waits for a check: it goes first */
    if (ret_scan)
        *ret_scan = sc;
    return 0;
}

void scan_queue_stored(sources *s, const source *src, str token)
{
    if ((s->scans >= SCANS_MAX && !token.p) || scan_queue(s, src, token, NULL, NULL) < 0)
        s->missed = true;
    scan_pump(s);
}

void scan_set_running(scan *sc, bool on)
{
    if (sc->is_running == on)
        return;
    sc->is_running = on;
    if (on)
        sc->owner->running++;
    else
        sc->owner->running--;
}

void scan_end(scan *sc, const scan_result *result)
{
    sources *s = sc->owner;
    list *l;

    scan_move(sc, SCAN_ENDED);
    scan_set_running(sc, false);
    loop_timer_cancel(s->o.loop, &sc->wait);
    list_remove(&sc->link);
    s->scans--;
    if (!result)
        s->stats.interrupted++;
    else if (!str_eq(result->status, STR("success")))
        s->stats.failed++;
    else if (result->not_modified)
        s->stats.unchanged++;
    else
        s->stats.succeeded++;
    if (result && s->o.on_scan_end)
        s->o.on_scan_end(s->o.arg, sc->src.id, result);
    while ((l = list_pop(&sc->waiters))) {
        scan_waiter *w = CONTAINER_OF(l, scan_waiter, link);
        w->on_end(w, result);
    }
    scan_free(sc, s->o.loop);
    scan_pump(s);
    sources_check_stopped(s);
}

bool scan_ended_by_cancel(scan *sc)
{
    if (!sc->cancelled)
        return false;
    if (sc->check)
        sources_task_end(sc->check, -ECANCELED, STR_NULL);
    scan_end(sc, NULL);
    return true;
}

static void on_cancelled(post *p)
{
    (void)scan_ended_by_cancel(CONTAINER_OF(p, scan, cancel));
}

void scan_cancel(scan *sc)
{
    sources *s = sc->owner;

    if (sc->cancelled)
        return;
    sc->cancelled = true;
    if (sc->state == SCAN_QUEUED || timer_is_set(&sc->wait)) { /* nothing is due that would end it */
        loop_timer_cancel(s->o.loop, &sc->wait);
        list_remove(&sc->link);
        list_push(&s->active, &sc->link);
        sc->cancel.fn = on_cancelled;
        loop_post(s->o.loop, &sc->cancel);
    } else if (sc->state == SCAN_ARCHIVE) {
        github_read_cancel(&sc->reading);
    } else if (sc->asks) {
        github_cancel(sc->state == SCAN_TREE ? &sc->tree : &sc->github);
    }
    /* otherwise a job, a write or a task's answer is due: its callback ends the scan */
}

static void ask_repository(scan *sc);
static void ask_commit(scan *sc);
static void ask_tree(scan *sc);

void scan_begin(scan *sc)
{
    void (*const ask[])(scan *) = {[SCAN_REPOSITORY] = ask_repository,
                                   [SCAN_COMMIT] = ask_commit,
                                   [SCAN_TREE] = ask_tree,
                                   [SCAN_ARCHIVE] = scan_fetch_archive};
    const unsigned first = sc->src.scanned_as.p ? SCAN_COMMIT : SCAN_REPOSITORY;

    scan_set_running(sc, true);
    ask[sc->resume != SCAN_QUEUED ? sc->resume : first](sc);
}

/* ---- waiting for quota ---- */
static void on_wait_over(timer *t)
{
    scan *sc = CONTAINER_OF(t, scan, wait);

    scan_move(sc, SCAN_QUEUED);
    list_remove(&sc->link);
    list_push(&sc->owner->queue, &sc->link);
    scan_pump(sc->owner);
}

void scans_wait_no_longer(sources *s)
{
    for (list *l = s->active.next, *next; l != &s->active; l = next) {
        scan *sc = CONTAINER_OF(l, scan, link);
        next = l->next;
        if (sc->state == SCAN_WAIT && timer_is_set(&sc->wait)) /* it was set, so there is room for it */
            (void)loop_timer_set(s->o.loop, &sc->wait, 0, on_wait_over);
    }
}

static void on_wait_noted(store_op *op, int status)
{
    scan *sc = CONTAINER_OF(op, scan, op);
    const int64_t now = loop_now_wall_ms(sc->owner->o.loop);
    const int64_t delay = sc->waiting_until > now ? sc->waiting_until - now : 0;

    (void)status; /* that nobody can see it is no reason not to wait */
    if (scan_ended_by_cancel(sc))
        return;
    /* A reset is told in whole seconds; and those that wait for the same one come back one after the
     * other. */
    if (loop_timer_set(sc->owner->o.loop, &sc->wait, delay + 1000 + (int64_t)random_below(1000), on_wait_over) < 0)
        scan_fail(sc, STR("out of memory"));
}

/* Whatever GitHub says: the first time at least a second, then longer and longer, so that its mistakes cost
 * little. */
static void wait_for_quota(scan *sc, int64_t until)
{
    const int64_t now = loop_now_wall_ms(sc->owner->o.loop);
    const int64_t least = now + (SECONDS(1) << (sc->waits < 6 ? sc->waits : 6));

    sc->waits++;
    sc->resume = sc->state;
    scan_move(sc, SCAN_WAIT);
    scan_set_running(sc, false);
    sc->waiting_since = sc->waiting_since ? sc->waiting_since : now;
    sc->waiting_until = until > least ? until : least;
    sc->now = now;
    sc->op = (store_op){.apply = scan_waits_apply, .done = on_wait_noted};
    store_submit(sc->owner->o.store, &sc->op);
    scan_pump(sc->owner);
}

/* ---- asking GitHub ---- */
void scan_ask(scan *sc, unsigned state, github_op *op, int (*starter)(github *, github_op *),
              void (*on_done)(github_op *))
{
    const bool is_known = sc->repository.owner.p != NULL; /* a renamed one is asked under its new name */

    scan_move(sc, state);
    op->owner = is_known ? sc->repository.owner : sc->src.owner;
    op->repo = is_known ? sc->repository.name : sc->src.repo_name;
    op->token = sc->token;
    op->on_done = on_done;
    op->user = sc;
    const int r = starter(sc->owner->o.github, op);
    if (r < 0)
        scan_fail(sc, str_c(err_text(r)));
    else
        sc->asks = true;
}

bool scan_answered(scan *sc, github_op *op)
{
    sc->asks = false;
    if (scan_ended_by_cancel(sc))
        return false;
    switch (op->result) {
    case GITHUB_OK:
    case GITHUB_NOT_MODIFIED:
    case GITHUB_NOT_FOUND:
        sc->waits = 0;
        return true;
    case GITHUB_RATE_LIMITED:
        if (!sc->check) {
            wait_for_quota(sc, op->retry_at);
            return false;
        }
        sc->waiting_until = op->retry_at; /* a client waits for the answer: it hears no instead of nothing */
        break;
    default:
        break;
    }
    if (op->status == 409) /* the repository is empty */
        scan_fail_for_good(sc, op->why);
    else if (op->why.p && !op->passes)
        scan_fail_lasting(sc, op->why);
    else
        scan_fail(sc, op->why.p ? op->why : STR("GitHub could not be asked"));
    return false;
}

#define TEXT_MAX 1000 /* characters; GitHub's own limits are lower */
#define TOPICS_MAX 100

/* False without memory; null stays null. */
static bool keep(arena *a, str text, str *ret_copy)
{
    *ret_copy = utf8_head(text, TEXT_MAX);
    return arena_own(a, ret_copy);
}

int repository_copy(arena *a, const github_repository *r, github_repository *ret_copy)
{
    const size_t n = r->n_topics < TOPICS_MAX ? r->n_topics : TOPICS_MAX;
    github_repository c = {.is_private = r->is_private, .n_topics = n};
    str *topics = arena_array(a, str, c.n_topics);

    bool ok = topics && keep(a, r->owner, &c.owner) && keep(a, r->name, &c.name) &&
              keep(a, r->description, &c.description) &&
              keep(a, r->default_branch, &c.default_branch) && keep(a, r->visibility, &c.visibility) &&
              keep(a, r->license, &c.license);
    for (size_t i = 0; ok && i < c.n_topics; i++)
        ok = keep(a, r->topics[i], &topics[i]);
    if (!ok)
        return -ENOMEM;
    c.topics = topics;
    *ret_copy = c;
    return 0;
}

static void on_repository(github_op *op)
{
    scan *sc = op->user;

    if (!scan_answered(sc, op))
        return;
    if (op->result != GITHUB_OK)
        scan_fail_for_good(sc, STR("GitHub: repository not found, or not visible without a token that may read it"));
    else if (repository_copy(&sc->arena, &op->repository, &sc->repository) < 0)
        scan_fail(sc, STR("out of memory"));
    else
        ask_commit(sc);
}

static void ask_repository(scan *sc)
{
    github_op_done(&sc->github);
    sc->github = (github_op){0};
    scan_ask(sc, SCAN_REPOSITORY, &sc->github, github_get_repository, on_repository);
}

/* The ref was named by nobody, and is not there: the default branch is meant. It has cost one request, so the
 * listing is taken from the archive instead of the tree. */
static bool falls_back(scan *sc)
{
    const str branch = sc->repository.default_branch;
    str why;

    if (sc->src.ref_given || !branch.p || str_eq(branch, sc->ref) || source_ref_check(branch, &why) < 0)
        return false;
    sc->ref = branch;
    sc->skip_tree = !sc->check;
    return true;
}

static void no_commit(scan *sc)
{
    if (falls_back(sc))
        ask_commit(sc);
    else if (!sc->repository.owner.p) /* perhaps it is the repository that is not there */
        ask_repository(sc);
    else
        scan_fail_for_good(sc, arena_printf(&sc->arena, "GitHub: ref '" STR_FMT "' not found in " STR_FMT "/" STR_FMT,
                                            STR_ARG(sc->ref), STR_ARG(sc->src.owner), STR_ARG(sc->src.repo_name)));
}

static int keep_commit(scan *sc, const github_op *op)
{
    sc->sha = arena_dup(&sc->arena, op->commit.sha);
    sc->tree_sha = arena_dup(&sc->arena, op->commit.tree_sha);
    sc->commit_etag = arena_dup(&sc->arena, op->new_etag);
    return sc->sha.p && sc->tree_sha.p && (sc->commit_etag.p || !op->new_etag.p) ? 0 : -ENOMEM;
}

static void on_commit(github_op *op)
{
    scan *sc = op->user;

    if (!scan_answered(sc, op))
        return;
    if (op->result == GITHUB_NOT_FOUND) {
        no_commit(sc);
        return;
    }
    if (op->result == GITHUB_OK && keep_commit(sc, op) < 0) {
        scan_fail(sc, STR("out of memory"));
        return;
    }
    if (!sc->sha.p) {
        scan_fail(sc, STR("GitHub says that nothing changed since an answer it never gave"));
        return;
    }
    sc->not_modified = op->result == GITHUB_NOT_MODIFIED ||
                       (str_eq(sc->settings, sc->src.scanned_as) && str_eq(sc->sha, sc->src.last_indexed_tree_sha));
    if (sc->not_modified && !sc->check)
        scan_write(sc);
    else if (sc->skip_tree)
        scan_fetch_archive(sc);
    else
        ask_tree(sc);
}

/* Its own answer to the same question by the same credential, if the stored catalogue is what that answer
 * stands for, or a task only wants to know the tree. */
static int find_validator(scan *sc)
{
    char fingerprint[GITHUB_FINGERPRINT_LEN + 1];
    const bool is_known = sc->repository.owner.p != NULL;
    const str owner = is_known ? sc->repository.owner : sc->src.owner;
    const str name = is_known ? sc->repository.name : sc->src.repo_name;
    validator known = {0};

    github_fingerprint(sc->owner->o.github, sc->token, fingerprint);
    sc->settings = scan_settings(&sc->arena, &sc->src, sc->ref);
    sc->asked = arena_printf(&sc->arena, "%s " STR_FMT "/" STR_FMT "/commits/" STR_FMT, fingerprint, STR_ARG(owner),
                             STR_ARG(name), STR_ARG(sc->ref));
    if (!sc->settings.p || !sc->asked.p)
        return -ENOMEM;
    if (!str_eq(sc->settings, sc->src.scanned_as) && !sc->check)
        return 0;
    store_view *v = store_read_begin(sc->owner->o.store);
    int r = validator_load(v, &sc->arena, sc->src.id, sc->asked, &known);
    if (r == 0 && (sc->check || str_eq(known.sha, sc->src.last_indexed_tree_sha))) {
        sc->commit_etag = arena_dup(&sc->arena, known.etag);
        sc->sha = arena_dup(&sc->arena, known.sha);
        sc->tree_sha = arena_dup(&sc->arena, known.tree_sha);
        r = sc->commit_etag.p && sc->sha.p && sc->tree_sha.p ? 0 : -ENOMEM;
    }
    store_read_end(v);
    return r == -ENOMEM ? r : 0;
}

static void ask_commit(scan *sc)
{
    sc->commit_etag = STR_NULL;
    if (find_validator(sc) < 0) {
        scan_move(sc, SCAN_COMMIT);
        scan_fail(sc, STR("out of memory"));
        return;
    }
    github_op_done(&sc->github);
    sc->github = (github_op){.ref = sc->ref, .etag = sc->commit_etag};
    scan_ask(sc, SCAN_COMMIT, &sc->github, github_get_commit, on_commit);
}

/* ---- the listing ---- */
static void on_files(job *j, int status)
{
    scan *sc = CONTAINER_OF(j, scan, job);
    source_task *task = sc->check;
    const int r = status < 0 ? status : sc->work_status;

    if (scan_ended_by_cancel(sc))
        return;
    if (task) {
        scan_move(sc, SCAN_CHECKED);
        sc->check = NULL;
        task->on_checked(task, r, sc->why);
    } else if (r < 0) {
        scan_fail(sc, str_c(err_text(r)));
    } else {
        scan_fetch_archive(sc);
    }
}

void scan_checked(scan *sc, bool go_on)
{
    if (!go_on || sc->cancelled)
        scan_end(sc, NULL);
    else
        scan_fetch_archive(sc);
}

static void on_tree(github_op *op)
{
    scan *sc = op->user;

    if (!scan_answered(sc, op))
        return;
    if (op->result != GITHUB_OK) {
        scan_fail(sc, STR("GitHub: the commit's tree is not there"));
        return;
    }
    sc->has_tree = !op->tree.truncated;
    if (!sc->has_tree && !sc->check)
        scan_fetch_archive(sc);
    else if (loop_job(sc->owner->o.loop, &sc->job, scan_files_work, on_files) < 0)
        scan_fail(sc, STR("out of memory"));
}

static void ask_tree(scan *sc)
{
    github_op_done(&sc->tree);
    sc->tree = (github_op){.ref = sc->tree_sha};
    scan_ask(sc, SCAN_TREE, &sc->tree, github_get_tree, on_tree);
}
