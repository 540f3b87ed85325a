/* Figures for the metrics. */
#include "impl.h"

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
    ret_stats->used_bytes = v->open ? store_pages_used(s, v->txn) * s->page_size : 0;
    store_read_end(v);
}
