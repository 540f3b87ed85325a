/* progress: what the server is busy with, written down for `larder status`, which looks at the store from a process of
 * its own. A record is written at most once a second, and only while there is something to tell; one that is older than
 * PROGRESS_FRESH_MS, or of a server that no longer runs, says nothing. */
#ifndef LARDER_APP_PROGRESS_H
#define LARDER_APP_PROGRESS_H

#include "larder/api.h"

#define PROGRESS_MS SECONDS(1)
#define PROGRESS_AGAIN_MS SECONDS(5) /* where nothing has changed */
#define PROGRESS_FRESH_MS SECONDS(15)

/* clang-format off */
#define PROGRESS_FIELDS(X, S) \
    X(S, i64,  refreshing, REQUIRED, 0, 0, NONE, "refreshes under way or queued") \
    X(S, i64,  done,       REQUIRED, 0, 0, NONE, "refreshes that ended since there was nothing to do") \
    X(S, i64,  failed,     REQUIRED, 0, 0, NONE, "those of them that failed") \
    X(S, i64,  scanning,   REQUIRED, 0, 0, NONE, "scans under way, queued or waiting") \
    X(S, time, written_at, REQUIRED, 0, 0, NONE, "when this was true")
SCHEMA_STRUCT(progress_note, PROGRESS_FIELDS);
/* clang-format on */
extern keyspace progress_ks; /* one record */

typedef struct progress {
    api *app;
    timer next;
    store_op op;
    bool is_writing;
    progress_note note;         /* what the op writes; the last that was written */
    uint64_t refreshed, failed; /* when there was nothing to do */
} progress;

int progress_start(progress *p, api *app); /* -ENOMEM */
void progress_stop(progress *p);           /* harmless when it was never started; the store may still be writing */

/* What a server that runs has last said; all zero when nothing goes on. */
int progress_read(store *s, int64_t now, progress_note *ret_note);

#endif
