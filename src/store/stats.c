/* Figures for the metrics. */
#include "impl.h"

/* As the loop's view sees it: counted once a snapshot, for it asks every table. */
static uint64_t pages_used(store *s, const store_view *v)
{
    if (s->pages_used_of != v->snapshot) {
        s->pages_used = store_pages_used(s, v->txn);
        s->pages_used_of = v->snapshot;
    }
    return s->pages_used;
}

void store_stats_of(store *s, store_stats *ret_stats)
{
    if (s->loop) {
        pthread_mutex_lock(&s->lock);
        *ret_stats = s->stats;
        ret_stats->waiting = s->queue.n;
        pthread_mutex_unlock(&s->lock);
    } else {
        *ret_stats = (store_stats){0};
    }
    store_view *v = store_read_begin(s);
    ret_stats->map_size = s->map_size;
    ret_stats->used_bytes = v->open ? pages_used(s, v) * s->page_size : 0;
    store_read_end(v);
}
