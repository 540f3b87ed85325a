/* watch: says in the log what an operator should hear of at once: that the store refuses writes, and takes them again;
 * that connections can't be accepted; that one of our own assumptions failed. It looks once a second, and a line of a
 * kind comes at most every WATCH_QUIET_MS. */
#ifndef LARDER_APP_WATCH_H
#define LARDER_APP_WATCH_H

#include "larder/http.h"
#include "larder/store.h"

#define WATCH_MS SECONDS(1)
#define WATCH_QUIET_MS SECONDS(10)

typedef struct watch {
    loop *loop;
    store *store;
    http_server *http;
    timer next;
    int trouble; /* of the store, as it was told */
    uint64_t failed_accepts, expect_failures;
    int64_t store_at, accept_at, expect_at; /* mono ms of the last line; 0: none yet */
} watch;

int watch_start(watch *w, loop *l, store *s, http_server *http); /* -ENOMEM */
void watch_stop(watch *w);                                       /* harmless when it was never started */

#endif
