/* What the files that make an operation share. */
#ifndef LARDER_RENDER_OPERATION_H
#define LARDER_RENDER_OPERATION_H

#include "render_private.h"

#define ERROR_JSON_MAX ((size_t)65536) /* of a failure: read on the loop */

enum { BODY_UNKNOWN, BODY_FRAME, BODY_PAGE, BODY_ERROR };

typedef struct operation { /* render_op.impl */
    render_fleet *fleet;
    render_op *op;
    list link;        /* in fleet->operations */
    service *service; /* NULL: bypass */
    bool probe;
    int64_t deadline; /* mono ms */
    arena arena;      /* texts of the request */
    buf request;
    client_header headers[5];
    client_call call;
    name_wait name;
    unsigned body;
    frame frame;
    buf error_json;
    buf rest; /* of the page, not given yet */
    answer answer;
    int parsed;
    job job;
    post post;
    bool calling, ended; /* the call is under way; is over */
    bool parsing, posted;
    bool paused, cancelled, settled; /* settled: the result is there */
    bool has_head;
    outcome outcome;
} operation;

/* operation.c */
/* The first result stays. `error_type` is static. */
void render_settle(operation *x, render_result result, const char *error_type, outcome how, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
void render_no_memory(operation *x);
void render_stop(operation *x); /* no more of the answer is wanted: the call's on_done follows */
void render_tell_head(operation *x);
void render_give(operation *x, str piece);
void render_go_on(operation *x); /* after the metadata, or a pause, as far as the caller lets us */
void render_finish_if_over(operation *x);
int64_t render_wait_of(const operation *x); /* the page's own time, ms */
/* Lack of memory shows in the header. */
void render_add_header(operation *x, const char *name, str value);

/* rendering.c: by a service; origin.c: the bypass. They fill x->call. */
int render_prepare_service(operation *x); /* -ENOMEM */
void render_prepare_origin(operation *x);

#endif
