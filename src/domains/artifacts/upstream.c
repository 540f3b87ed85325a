/* Questions, on the loop. The happy path:
 *
 *     LOOK -> COMMIT -> TREE -> COMPARE -> ARCHIVE -> WRITE -> ENDED
 *
 * LOOK reads what is known. COMMIT asks conditionally; when nothing changed and all paths are known at that commit, the
 * question ends there. COMPARE finds which paths have other content: without any the archive isn't asked for. Where
 * COMMIT hears that there is nothing, GONE says so of all that was known of it. What is learnt is written, then all who
 * wait are told. One that fails leaves what is known as it was, and is not asked again by the patient for 5 s * 2^n. */
#include "question.h"

#define BRANCH_MAX 250 /* bytes */

static const flow_state FLOW[] = {
    [QUESTION_LOOK] = {"look", TO(QUESTION_COMMIT) | TO(QUESTION_TREE) | TO(QUESTION_WRITE) | TO(QUESTION_ENDED)},
    [QUESTION_REPOSITORY] = {"repository", TO(QUESTION_COMMIT) | TO(QUESTION_GONE) | TO(QUESTION_ENDED)},
    [QUESTION_COMMIT] = {"commit", TO(QUESTION_REPOSITORY) | TO(QUESTION_TREE) | TO(QUESTION_GONE) |
                                       TO(QUESTION_WRITE) | TO(QUESTION_ENDED)},
    [QUESTION_GONE] = {"gone", TO(QUESTION_WRITE) | TO(QUESTION_ENDED)},
    [QUESTION_TREE] = {"tree", TO(QUESTION_COMPARE) | TO(QUESTION_ENDED)},
    [QUESTION_COMPARE] = {"compare", TO(QUESTION_ARCHIVE) | TO(QUESTION_WRITE) | TO(QUESTION_ENDED)},
    [QUESTION_ARCHIVE] = {"archive", TO(QUESTION_WRITE) | TO(QUESTION_ENDED)},
    [QUESTION_WRITE] = {"write", TO(QUESTION_ENDED)},
    [QUESTION_ENDED] = {"ended", 0},
};

static void move(question *q, unsigned state)
{
    flow_move(FLOW, &q->state, state);
}

/* ---- begin and end ---- */
static void question_free(void *what)
{
    question *q = what;

    github_op_done(&q->commit);
    github_op_done(&q->repository);
    github_op_done(&q->tree);
    github_op_done(&q->archive);
    archive_free(q->reader);
    github_read_done(&q->reading);
    buf_done(&q->content);
    arena_done(&q->arena);
    mem_free(q);
}

static void answer(upstream_wait *w, upstream_outcome outcome, str why, int64_t retry_at)
{
    w->outcome = outcome;
    w->why = why;
    w->retry_at = retry_at;
    w->on_answer(w);
}

/* They came while this question was under way: that it has just been answered is good enough for them. */
static void ask_late(question *q, upstream_wait *w)
{
    if (q->outcome == UPSTREAM_CANCELLED) {
        answer(w, UPSTREAM_CANCELLED, STR_NULL, 0);
        return;
    }
    w->since = w->since < q->begun ? w->since : q->begun;
    const int r = upstream_ask(q->owner, w);
    if (r < 0)
        answer(w, UPSTREAM_FAILED, str_c(err_text(r)), 0);
    else if (r > 0)
        w->on_answer(w);
}

static void end(question *q)
{
    upstream *u = q->owner;
    list *l;

    move(q, QUESTION_ENDED);
    list_remove(&q->link);
    memo_set(q);
    while ((l = list_pop(&q->waits)))
        answer(CONTAINER_OF(l, upstream_wait, link), q->outcome, q->why, q->retry_at);
    while ((l = list_pop(&q->late)))
        ask_late(q, CONTAINER_OF(l, upstream_wait, link));
    /* GitHub's whole tree, at its largest */
    loop_give_back(u->loop, q->arena.total + q->tree.arena.total, question_free, q);
    u->on_idle(u->arg);
}

void question_fail(question *q, str why)
{
    q->outcome = UPSTREAM_FAILED;
    q->why = why.p ? why : STR("out of memory");
    end(q);
}

bool question_ended_by_cancel(question *q)
{
    if (!q->cancelled)
        return false;
    q->outcome = UPSTREAM_CANCELLED;
    end(q);
    return true;
}

/* The end of a job. False: the question has ended, and is gone. */
static bool has_worked(question *q, int status)
{
    const int r = status < 0 ? status : q->work_status;

    if (question_ended_by_cancel(q))
        return false;
    if (r < 0)
        question_fail(q, str_c(err_text(r)));
    return r >= 0;
}

/* ---- asking GitHub ---- */
void question_ask(question *q, unsigned state, github_op *op, int (*starter)(github *, github_op *),
                  void (*on_done)(github_op *))
{
    move(q, state);
    op->owner = q->of.owner;
    op->repo = q->of.repo;
    op->on_done = on_done;
    op->user = q;
    const int r = starter(q->owner->github, op);
    if (r == 0)
        q->asking = op;
    else
        question_fail(q, r == -EINVAL ? arena_printf(&q->arena, "'" STR_FMT "' is nothing GitHub can be asked for",
                                                     STR_ARG(q->name))
                                      : str_c(err_text(r)));
}

bool question_answered(question *q, github_op *op)
{
    upstream *u = q->owner;

    q->asking = NULL;
    if (question_ended_by_cancel(q))
        return false;
    switch (op->result) {
    case GITHUB_OK:
    case GITHUB_NOT_MODIFIED:
    case GITHUB_NOT_FOUND:
        return true;
    case GITHUB_RATE_LIMITED:
        /* Whatever GitHub says, it isn't asked within the next second: its mistakes shall cost little. */
        q->retry_at = loop_now_wall_ms(u->loop) + SECONDS(1);
        q->retry_at = op->retry_at > q->retry_at ? op->retry_at : q->retry_at;
        u->quota_at = q->retry_at;
        memcpy(u->quota_of, q->asked_as, sizeof(u->quota_of));
        q->outcome = UPSTREAM_LIMITED;
        end(q);
        return false;
    default:
        q->not_asked = op->not_asked;
        q->is_refused = op->status >= 400 && op->status < 500 && op->status != 401; /* a token may be replaced */
        question_fail(q, op->why.p ? op->why : STR("GitHub could not be asked"));
        return false;
    }
}

/* ---- writing ---- */
static int write_apply(store_txn *t, store_op *op)
{
    question *q = CONTAINER_OF(op, question, op);
    int r = 0;

    for (size_t i = (size_t)op->at; r == 0 && i < q->n_paths; i++) {
        if (!q->paths[i].is_to_be_written)
            continue;
        if (store_txn_is_full(t)) {
            op->at = i;
            return STORE_MORE;
        }
        known k = q->paths[i].now;
        k.asked_at = q->paths[i].is_wanted || !q->paths[i].was.asked_at ? q->asked_at : q->paths[i].was.asked_at;
        k.asked_for = q->paths[i].is_wanted || q->paths[i].was.asked_for;
        r = known_put(t, q->name, &k);
    }
    if (r == 0 && q->place_changed)
        r = place_put(t, &q->place);
    return r;
}

static void on_written(store_op *op, int status)
{
    question *q = CONTAINER_OF(op, question, op);

    if (question_ended_by_cancel(q))
        return;
    if (status < 0)
        question_fail(q, str_c(err_text(status)));
    else
        end(q);
}

void question_write(question *q)
{
    move(q, QUESTION_WRITE);
    q->op = (store_op){.apply = write_apply, .done = on_written};
    store_submit(q->owner->store, &q->op);
}

/* ---- the tree ---- */
static void on_compared(job *j, int status)
{
    question *q = CONTAINER_OF(j, question, job);

    if (!has_worked(q, status))
        return;
    if (q->n_manifests > 0)
        question_read_archive(q);
    else
        question_write(q);
}

static void on_tree(github_op *op)
{
    question *q = op->user;

    if (!question_answered(q, op))
        return;
    if (op->result != GITHUB_OK) {
        question_fail(q, STR("GitHub: the commit's tree is not there"));
        return;
    }
    move(q, QUESTION_COMPARE);
    if (loop_job(q->owner->loop, &q->job, question_compare_work, on_compared) < 0)
        question_fail(q, STR("out of memory"));
}

/* At this commit: is all known that somebody waits for? Then nothing more is asked. */
static void go_on_from_commit(question *q)
{
    bool has_news = q->place_changed;

    for (size_t i = 0; i < q->n_paths; i++) {
        asked_path *p = &q->paths[i];
        const bool is_known = p->was.path.p && str_eq(p->was.sha, q->place.sha);
        if (!is_known && !question_tree_lacks(q, p->path)) {
            q->tree = (github_op){.ref = q->place.tree_sha};
            question_ask(q, QUESTION_TREE, &q->tree, github_get_tree, on_tree);
            return;
        }
        p->is_to_be_written = !is_known || question_notes(q, p);
        p->now = is_known ? p->was : (known){.path = p->path, .sha = q->place.sha};
        has_news |= p->is_to_be_written;
    }
    if (has_news)
        question_write(q);
    else
        end(q);
}

/* ---- the commit ---- */
static bool keep_commit(question *q, const github_op *op)
{
    place p = {
        .name = q->name,
        .asked_as = arena_dup(&q->arena, str_c(q->asked_as)),
        .etag = arena_dup(&q->arena, op->new_etag),
        .sha = arena_dup(&q->arena, op->commit.sha),
        .tree_sha = arena_dup(&q->arena, op->commit.tree_sha),
        .asked_at = loop_now_wall_ms(q->owner->loop),
        .branch = q->branch,
    };
    if (str_eq(q->place.sha, p.sha))
        p.paths = q->place.paths;

    if (!p.asked_as.p || !p.sha.p || !p.tree_sha.p || (op->new_etag.p && !p.etag.p))
        return false;
    q->place = p;
    q->place_changed = true;
    return true;
}

static void on_gone(job *j, int status)
{
    question *q = CONTAINER_OF(j, question, job);

    if (!has_worked(q, status))
        return;
    q->outcome = UPSTREAM_MISSING;
    q->why = arena_printf(&q->arena, "GitHub: " STR_FMT " is not there, or may not be read without another token",
                          STR_ARG(q->name));
    q->place_changed = false;
    question_write(q);
}

/* There is nothing: that is known then, for all paths. */
static void no_place(question *q)
{
    move(q, QUESTION_GONE);
    if (loop_job(q->owner->loop, &q->job, question_gone_work, on_gone) < 0)
        question_fail(q, STR("out of memory"));
}

static void ask_commit(question *q);

static void on_repository(github_op *op)
{
    question *q = op->user;

    if (!question_answered(q, op))
        return;
    const str branch = op->repository.default_branch;
    if (op->result != GITHUB_OK || !branch.n || branch.n > BRANCH_MAX || str_eq(branch, q->branch)) {
        no_place(q);
        return;
    }
    q->branch = arena_dup(&q->arena, branch);
    if (q->branch.p)
        ask_commit(q);
    else
        question_fail(q, STR("out of memory"));
}

/* Not every server in GitHub's place knows HEAD, and default branches are renamed: it is asked how the branch is
 * called, and that is remembered. */
static void no_commit(question *q)
{
    if (!str_eq(q->ref, STR("HEAD")) || q->has_asked_repository) {
        no_place(q);
        return;
    }
    q->has_asked_repository = true;
    question_ask(q, QUESTION_REPOSITORY, &q->repository, github_get_repository, on_repository);
}

static void on_commit(github_op *op)
{
    question *q = op->user;
    const int64_t now = loop_now_wall_ms(q->owner->loop);

    if (!question_answered(q, op))
        return;
    if (op->result == GITHUB_NOT_FOUND) {
        no_commit(q);
        return;
    }
    if (op->result == GITHUB_OK && !keep_commit(q, op)) {
        question_fail(q, STR("out of memory"));
        return;
    }
    if (!q->place.sha.p) {
        question_fail(q, STR("GitHub says that nothing changed since an answer it never gave"));
        return;
    }
    if (op->result == GITHUB_NOT_MODIFIED && now - q->place.asked_at > QUESTION_DAY_MS) {
        q->place.asked_at = now;
        q->place_changed = true;
    }
    go_on_from_commit(q);
}

static void ask_commit(question *q)
{
    const place *p = &q->place;

    github_op_done(&q->commit);
    q->commit = (github_op){.ref = q->branch.n ? q->branch : q->ref};
    if (p->name.p && str_eq(p->asked_as, str_c(q->asked_as)) && str_eq(p->branch, q->branch))
        q->commit.etag = p->etag;
    question_ask(q, QUESTION_COMMIT, &q->commit, github_get_commit, on_commit);
}

static void on_looked(job *j, int status)
{
    question *q = CONTAINER_OF(j, question, job);

    if (!has_worked(q, status))
        return;
    q->skips_commit = q->skips_commit && q->place.name.p;
    if (q->skips_commit) {
        go_on_from_commit(q);
        return;
    }
    q->branch = q->place.branch;
    ask_commit(q);
}

/* ---- who asks ---- */
static question *find_question(upstream *u, str name)
{
    for (list *l = u->questions.next; l != &u->questions; l = l->next) {
        question *q = CONTAINER_OF(l, question, link);
        if (str_eq(q->name, name))
            return q;
    }
    return NULL;
}

static int question_new(upstream *u, const upstream_wait *w, question **ret_question)
{
    question *q = mem_new(question);

    if (!q)
        return -ENOMEM;
    q->owner = u;
    arena_init(&q->arena, 0);
    list_init(&q->waits);
    list_init(&q->late);
    q->begun = loop_now_mono_ms(u->loop);
    q->asked_at = loop_now_wall_ms(u->loop);
    github_fingerprint(u->github, STR_NULL, q->asked_as);
    q->name = arena_dup(&q->arena, w->name);
    q->of = (artifact_source){.owner = arena_dup(&q->arena, w->of.owner), .repo = arena_dup(&q->arena, w->of.repo)};
    q->ref = str_from(q->name, q->name.p ? (size_t)str_chr(q->name, '@') + 1 : 0);
    q->paths = arena_array(&q->arena, asked_path, w->n_paths);
    q->n_paths = w->n_paths;
    bool ok = q->name.p && q->of.owner.p && q->of.repo.p && q->paths;
    for (size_t i = 0; ok && i < w->n_paths; i++) {
        q->paths[i] = (asked_path){.path = arena_dup(&q->arena, w->paths[i]), .is_wanted = true};
        ok = q->paths[i].path.p != NULL;
    }
    if (!ok) {
        question_free(q);
        return -ENOMEM;
    }
    *ret_question = q;
    return 0;
}

int upstream_ask(upstream *u, upstream_wait *w)
{
    question *q = find_question(u, w->name);
    bool is_new;

    list_init(&w->link);
    w->why = STR_NULL;
    w->retry_at = 0;
    if (q) {
        list_push(&q->late, &w->link);
        return 0;
    }
    if (memo_answers(u, w, &is_new))
        return 1;
    int r = question_new(u, w, &q);
    if (r < 0)
        return r;
    q->skips_commit = is_new;
    r = loop_job(u->loop, &q->job, question_look_work, on_looked);
    if (r < 0) {
        question_free(q);
        return r;
    }
    list_push(&q->waits, &w->link);
    list_push(&u->questions, &q->link);
    return 0;
}

void upstream_cancel_all(upstream *u)
{
    for (list *l = u->questions.next, *next; l != &u->questions; l = next) {
        question *q = CONTAINER_OF(l, question, link);
        next = l->next;
        q->cancelled = true;
        if (q->state == QUESTION_ARCHIVE)
            github_read_cancel(&q->reading);
        else if (q->asking)
            github_cancel(q->asking);
        /* otherwise a job or a write is under way: its callback ends the question */
    }
}

int upstream_init(upstream *u)
{
    list_init(&u->questions);
    u->memos = mem_zalloc(UPSTREAM_MEMO_SETS * sizeof(*u->memos));
    return u->memos ? 0 : -ENOMEM;
}

void upstream_done(upstream *u)
{
    mem_free(u->memos);
}
