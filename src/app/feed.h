/* feed: keeps the search index in step with the catalogue and the projects. It loads all live entries and all artifacts
 * after a start, on a worker, while calls for search wait; then takes over what changes, and lets the index merge its
 * segments on a worker. */
#ifndef LARDER_APP_FEED_H
#define LARDER_APP_FEED_H

#include "larder/api.h"

typedef struct feed {
    api *app;
    search *fresh;       /* being loaded, to take the place of app->search */
    search_build *build; /* under way, or ended and being freed */
    job job;
    timer end, again; /* to end a build in another turn; to load after a failure */
    bool is_load, reload, stopping;
    int status; /* the worker's */
    post stop_turn;
    void (*stopped)(void *arg);
    void *stopped_arg;
} feed;

int feed_start(feed *f, api *app); /* makes app->search. -ENOMEM */
void feed_entries(feed *f, const entry_change *changes, size_t n);
void feed_artifacts(feed *f, const artifact_change *changes, size_t n);
void feed_reload(feed *f);                                      /* learn all anew: what is indexed has changed */
void feed_release(feed *f);                                     /* calls that wait for search go on without */
void feed_stop(feed *f, void (*stopped)(void *arg), void *arg); /* later, when no job is under way */
void feed_done(feed *f);                                        /* after that */

#endif
