/* What clients ask for: checks, then a write, then the scan that follows. */
#include "larder/repo_url.h"
#include "larder/source_rules.h"
#include "service.h"

void sources_task_end(source_task *t, int status, str why)
{
    sources *s = t->owner;

    t->status = status;
    t->why = why.p ? arena_dup(t->arena, why) : STR_NULL;
    github_op_done(&t->github);
    list_remove(&t->link);
    t->on_done(t);
    sources_check_stopped(s);
}

int sources_apply_nothing(store_txn *t, store_op *op)
{
    (void)t;
    (void)op;
    return 0;
}

static void on_nothing(store_op *op, int status)
{
    source_task *t = CONTAINER_OF(op, source_task, op);

    sources_task_end(t, t->status < 0 ? t->status : status, t->why);
}

static void submit(source_task *t, int (*apply)(store_txn *, store_op *), void (*done)(store_op *, int), unsigned flags)
{
    t->op = (store_op){.apply = apply, .done = done, .flags = flags};
    store_submit(t->owner->o.store, &t->op);
}

/* Ends a task that failed before anything asynchronous: on the next turn, for on_done never runs inside the
 * call. */
static void fail(source_task *t, int status, str why)
{
    t->status = status;
    t->why = why;
    submit(t, sources_apply_nothing, on_nothing, STORE_FREES);
}

static void begin(sources *s, source_task *t)
{
    t->owner = s;
    t->now = loop_now_wall_ms(s->o.loop);
    list_push(&s->tasks, &t->link);
}

void sources_cancel(source_task *t)
{
    t->cancelled = true;
    if (t->scan && t->scan->check == t)
        scan_cancel(t->scan);
    github_cancel(&t->github);
}

/* ---- create ---- */
#define BAD_TOKEN STR("access_token: only visible ASCII characters are allowed")

/* It becomes a request header. */
static bool is_token(str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return false;
    return true;
}

/* Text rules first (they belong to the body), then the URL. */
static int check_rules(source_task *t, str *why)
{
    const source_create *c = t->create;
    source *d = &t->draft;

    int r = source_root_hint_check(t->arena, c->root_hint, &d->root_hint, why);
    if (r == 0 && c->ref.p)
        r = source_ref_check(c->ref, why);
    if (r == 0)
        r = source_tags_check(t->arena, c->tags, &d->tags, why);
    if (r == 0 && t->manual_map)
        r = source_manual_map_check(t->arena, t->manual_map, &t->map, why);
    if (r == 0 && !is_token(c->access_token)) {
        *why = BAD_TOKEN;
        r = -EINVAL;
    }
    if (r == 0 && c->single_artifact_mode && !c->single_artifact_type.p) {
        *why = STR("single_artifact_type is required when single_artifact_mode is True");
        r = -EINVAL;
    }
    return r;
}

static int draft(source_task *t, str *why)
{
    const source_create *c = t->create;
    source *d = &t->draft;
    repo_url url;

    int r = check_rules(t, why);
    if (r < 0)
        return r;
    r = repo_url_parse(t->arena, c->repo_url, &url);
    if (r < 0) {
        *why = arena_printf(
            t->arena, "Invalid GitHub repository URL format. Expected: https://github.com/owner/repo, got: " STR_FMT,
            STR_ARG(c->repo_url));
        return r == -EINVAL ? -EDESTADDRREQ : r;
    }
    d->id = t->ret_id = url.id;
    d->repo_url = url.url;
    d->owner = url.owner;
    d->repo_name = url.name;
    d->ref_given = c->ref.p != NULL;
    d->ref = c->ref.p ? c->ref : STR("main");
    d->trust_level = c->trust_level;
    d->visibility = STR("public");
    d->scan_status = STR("scanning");
    d->created_at = d->updated_at = t->now;
    d->description = c->description;
    d->notes = c->notes;
    d->enable_frontmatter_detection = c->enable_frontmatter_detection;
    d->manual_map = t->map.n ? t->map : (pairs){0};
    d->indexing_enabled = !HAS(c, source_create, indexing_enabled) || c->indexing_enabled;
    d->import_repo_description = c->import_repo_description;
    d->import_repo_readme = c->import_repo_readme;
    d->single_artifact_mode = c->single_artifact_mode;
    d->single_artifact_type = c->single_artifact_type;
    d->deep_indexing_enabled = c->deep_indexing_enabled;
    d->scan_number = 1;
    return 0;
}

static void on_created(store_op *op, int status)
{
    source_task *t = CONTAINER_OF(op, source_task, op);
    sources *s = t->owner;

    if (t->scan) /* it has looked at the tree and waits */
        scan_checked(t->scan, status == 0);
    else if (status == 0)
        scan_queue_stored(s, &t->draft, t->create->access_token);
    sources_task_end(t, status, STR_NULL);
}

/* t->scan is the scan that looked, and waits to hear what to do; NULL: it failed, and ends itself. Where GitHub could
 * not be asked nobody can tell: the source is made, and its scan will say what is wrong, or wait. */
static void on_create_checked(source_task *t, int status, str why)
{
    scan *sc = t->scan;

    if (status == 0 || status == -EREMOTEIO || status == -EAGAIN) {
        submit(t, task_create_apply, on_created, 0);
        return;
    }
    t->scan = NULL;
    sources_task_end(t, status, why);
    if (sc)
        scan_checked(sc, false);
}

static bool is_known(sources *s, str id)
{
    store_view *v = store_read_begin(s->o.store);
    const bool known = store_has(v, &sources_ks, id);

    store_read_end(v);
    return known;
}

void sources_create(sources *s, source_task *t)
{
    str why = STR_NULL;

    begin(s, t);
    int r = draft(t, &why);
    if (r == 0 && is_known(s, t->ret_id))
        r = -EEXIST;
    if (r == 0 && t->map.n > 0) { /* its folders are looked for first, by a scan that then goes on */
        t->on_checked = on_create_checked;
        r = scan_queue(s, &t->draft, t->create->access_token, t, &t->scan);
        if (r == 0) {
            scan_pump(s);
            return;
        }
    }
    if (r < 0)
        fail(t, r, why);
    else
        submit(t, task_create_apply, on_created, 0);
}

/* ---- change ---- */
static void on_changed(store_op *op, int status)
{
    source_task *t = CONTAINER_OF(op, source_task, op);

    if (status == 0 && t->reindex && t->owner->o.on_reindex)
        t->owner->o.on_reindex(t->owner->o.arg);
    sources_task_end(t, status, STR_NULL);
}

/* What GitHub tells is taken over now; what it does not tell is left as it is: the change is made all the
 * same. */
static void on_readme(github_op *op)
{
    source_task *t = op->user;

    if (op->result == GITHUB_OK && readme_text(t->arena, op->readme, &t->draft.repo_readme) == 0)
        t->has_readme = true;
    github_op_done(op);
    submit(t, task_change_apply, on_changed, 0);
}

static void fetch_readme(source_task *t)
{
    if (t->update->import_repo_readme && !t->cancelled) {
        t->github = (github_op){.owner = t->draft.owner,
                                .repo = t->draft.repo_name,
                                .ref = t->draft.ref,
                                .on_done = on_readme,
                                .user = t};
        if (github_get_readme(t->owner->o.github, &t->github) == 0)
            return;
    }
    submit(t, task_change_apply, on_changed, 0);
}

static void on_description(github_op *op)
{
    source_task *t = op->user;
    github_repository r;

    if (op->result == GITHUB_OK && repository_copy(t->arena, &op->repository, &r) == 0) {
        t->draft.repo_description = r.description;
        t->draft.topics = (strs){r.topics, r.n_topics};
        t->has_description = true;
    }
    github_op_done(op);
    fetch_readme(t);
}

static void fetch_then_write(source_task *t)
{
    if (t->update->import_repo_description && !t->cancelled) {
        t->github = (github_op){
            .owner = t->draft.owner, .repo = t->draft.repo_name, .on_done = on_description, .user = t};
        if (github_get_repository(t->owner->o.github, &t->github) == 0)
            return;
    }
    fetch_readme(t);
}

static void on_change_checked(source_task *t, int status, str why)
{
    scan *sc = t->scan;

    t->scan = NULL;
    if (status == 0)
        fetch_then_write(t);
    else
        sources_task_end(t, status, why);
    if (sc)
        scan_checked(sc, false);
}

static int check_update(source_task *t, source_update *u, str *why)
{
    str root_hint = STR_NULL;
    strs tags = {0};

    int r = HAS(u, source_update, root_hint) ? source_root_hint_check(t->arena, u->root_hint, &root_hint, why) : 0;
    if (r == 0 && HAS(u, source_update, ref))
        r = source_ref_check(u->ref, why);
    if (r == 0 && HAS(u, source_update, tags))
        r = source_tags_check(t->arena, u->tags, &tags, why);
    if (r == 0 && t->manual_map)
        r = source_manual_map_check(t->arena, t->manual_map, &t->map, why);
    if (r == 0) {
        u->root_hint = root_hint;
        u->tags = tags;
    }
    return r;
}

void sources_change(sources *s, source_task *t)
{
    str why = STR_NULL;
    store_view *v;

    begin(s, t);
    source_update *u = arena_alloc(t->arena, sizeof(*u));
    int r = u ? 0 : -ENOMEM;
    if (r == 0) {
        *u = *t->update;
        t->update = u;
        r = check_update(t, u, &why);
    }
    if (r == 0) {
        v = store_read_begin(s->o.store);
        r = source_load(v, t->arena, t->id, &t->draft);
        if (r == 0 && HAS(u, source_update, ref)) {
            t->draft.ref = u->ref;
            t->draft.ref_given = true;
        }
        if (r == 0) { /* what is needed after the read scope */
            t->draft.owner = arena_dup(t->arena, t->draft.owner);
            t->draft.repo_name = arena_dup(t->arena, t->draft.repo_name);
            t->draft.ref = arena_dup(t->arena, t->draft.ref);
            if (!t->draft.owner.p || !t->draft.repo_name.p || !t->draft.ref.p)
                r = -ENOMEM;
        }
        if (r == 0 && t->map.n > 0) {
            t->on_checked = on_change_checked;
            r = scan_queue(s, &t->draft, STR_NULL, t, &t->scan);
        }
        store_read_end(v);
    }
    if (r < 0)
        fail(t, r, why);
    else if (t->scan)
        scan_pump(s);
    else
        fetch_then_write(t);
}

/* ---- rescan, remove ---- */
static void on_rescan(store_op *op, int status)
{
    source_task *t = CONTAINER_OF(op, source_task, op);
    sources *s = t->owner;
    source src = {0};

    if (status == 0) {
        store_view *v = store_read_begin(s->o.store);
        if (source_load(v, t->arena, t->id, &src) == 0)
            scan_queue_stored(s, &src, t->access_token);
        else
            s->missed = true;
        store_read_end(v);
    }
    sources_task_end(t, status, STR_NULL);
}

void sources_rescan(sources *s, source_task *t)
{
    begin(s, t);
    if (!is_token(t->access_token)) {
        fail(t, -EINVAL, BAD_TOKEN);
        return;
    }
    submit(t, task_rescan_apply, on_rescan, 0);
}

static void on_removed(store_op *op, int status)
{
    source_task *t = CONTAINER_OF(op, source_task, op);

    if (status < 0) { /* what is gone is told; the rest is found again by a scan */
        change_log_rewind(t->changes, op->at);
        t->owner->missed = true;
    }
    sources_deliver(t->owner, t->changes);
    t->changes = NULL;
    sources_task_end(t, status, STR_NULL);
}

void sources_remove(sources *s, source_task *t)
{
    scan *sc = scan_find(s, t->id);

    begin(s, t);
    const int r = change_log_new(t->id, &t->changes);
    if (r < 0) {
        fail(t, r, STR_NULL);
        return;
    }
    if (sc)
        scan_cancel(sc);
    submit(t, task_remove_apply, on_removed, STORE_FREES);
}
