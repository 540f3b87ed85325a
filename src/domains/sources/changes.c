/* What a stepped op did to entries, remembered so that others can be told once it is durable. */
#include "service.h"

int change_log_new(str source_id, change_log **ret_log)
{
    change_log *log = mem_new(change_log);

    if (!log)
        return -ENOMEM;
    arena_init(&log->arena, 0);
    list_init(&log->link);
    log->source_id = arena_dup(&log->arena, source_id);
    if (!log->source_id.p) {
        change_log_free(log);
        return -ENOMEM;
    }
    *ret_log = log;
    return 0;
}

void change_log_free(change_log *log)
{
    if (!log)
        return;
    list_remove(&log->link);
    arena_done(&log->arena);
    mem_free(log->v);
    mem_free(log);
}

void change_log_step(change_log *log, uint64_t step)
{
    if (step != log->step) {
        log->step = step;
        log->kept = log->n;
        log->kept_walk = log->walk;
    }
    log->n = log->kept;
    log->walk = log->kept_walk;
}

void change_log_rewind(change_log *log, uint64_t step)
{
    change_log_step(log, step);
    log->step = 0;
    log->walk = log->kept_walk = (entries_walk){0};
}

int change_log_add(change_log *log, const entry *e, bool live)
{
    entry_change *c;

    if (log->n == log->cap) {
        const size_t cap = log->cap ? log->cap * 2 : 64;
        entry_change *v = mem_realloc(log->v, cap * sizeof(*v));
        if (!v)
            return -ENOMEM;
        log->v = v;
        log->cap = cap;
    }
    c = &log->v[log->n];
    *c = (entry_change){
        .id = arena_dup(&log->arena, e->id),
        .name = arena_dup(&log->arena, e->name),
        .type = arena_dup(&log->arena, e->artifact_type),
        .updated_at = e->updated_at,
        .live = live,
    };
    if (!c->id.p || !c->name.p || !c->type.p)
        return -ENOMEM;
    log->n++;
    return 0;
}
