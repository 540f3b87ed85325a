/* Writes of projects on their way to the store: small ones at once, large ones one after the other; between them, what
 * one that failed left behind is settled. */
#include "project_write.h"

#include "larder/log.h"

static void next_large(projects *p);

static void on_recovered(store_op *op, int status)
{
    projects *p = CONTAINER_OF(op, projects, recovery);

    p->large_runs = false;
    p->large_is_due = status < 0;
    if (status < 0 && status != -ECANCELED)
        log_warn("a cut-off change of a project could not be settled, and is tried again", LOG_ERR(status));
    if (status == 0 || !list_empty(&p->large)) /* a large write settles it too, or fails with an answer */
        next_large(p);
    projects_check_stopped(p);
}

static void on_write(store_op *op, int status)
{
    project_write *w = CONTAINER_OF(op, project_write, op);
    projects *p = w->owner;

    if (status == -EAGAIN && !w->alone) {
        list_push(&p->large, &w->link);
        next_large(p);
        return;
    }
    if (w->alone) {
        p->large_runs = false;
        p->large_is_due |= project_write_has_rest(w, status);
    }
    next_large(p);
    status = project_write_status(w, status);
    project_write_done(w);
    w->on_done(w, status);
}

static void submit(project_write *w)
{
    w->op = (store_op){.apply = project_write_apply,
                       .done = on_write,
                       .flags = STORE_JOINS | (w->forgets ? (unsigned)STORE_FREES : 0)};
    store_submit(w->owner->o.store, &w->op);
}

static void next_large(projects *p)
{
    list *l;

    if (p->large_runs || !(l = list_pop(&p->large)))
        return;
    project_write *w = CONTAINER_OF(l, project_write, link);
    p->large_runs = true;
    w->alone = true;
    submit(w);
}

void projects_write(projects *p, project_write *w)
{
    w->owner = p;
    w->alone = false;
    submit(w);
}

void projects_recover(projects *p)
{
    if (p->large_runs || !p->large_is_due || p->stopping)
        return;
    p->large_runs = true;
    p->recovery = (store_op){.apply = project_recover_apply, .done = on_recovered, .flags = STORE_FREES | STORE_JOINS};
    store_submit(p->o.store, &p->recovery);
}
