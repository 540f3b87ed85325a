/* The rooms behind /internal: a fleet of render services, and the service that keeps pages rendered by it. */
#ifndef LARDER_APP_RECACHING_H
#define LARDER_APP_RECACHING_H

#include "larder/api.h"
#include "larder/config.h"
#include "larder/recache.h"

typedef struct recaching {
    recache *service;
    render_fleet *fleet;
    api_recache api; /* its texts and keys lie in `arena` */
    arena arena;
    loop *loop;
    void (*stopped)(void *arg);
    void *stopped_arg;
} recaching;

/* `trust` is for render services and origins; a reference is taken. On failure *why says what is wrong, or is null. */
int recaching_make(recaching *r, loop *l, store *s, const config *c, tls_trust *trust, str *why);
int recaching_start(recaching *r); /* -ENOMEM */
/* From now on. On error all stays as it was. */
int recaching_configure(recaching *r, const config *c, tls_trust *trust);
/* Stops what was made, then stopped(arg), at once where nothing was. */
void recaching_stop(recaching *r, void (*stopped)(void *arg), void *arg);
void recaching_done(recaching *r); /* after that */

#endif
