/* The router, as the files of this room share it. */
#ifndef LARDER_ROUTE_ROUTER_H
#define LARDER_ROUTE_ROUTER_H

#include "kept.h"

#define PATH_PARAMS_MAX 4

/* A tree of path segments. A literal child wins over the parameter. */
typedef struct node {
    str segment;
    struct node *children; /* literals; a list */
    struct node *next;
    struct node *param;    /* any one segment */
    const route *rows[HTTP_METHODS];
    uint16_t stats[HTTP_METHODS]; /* index into router.stats */
    bool has_rows;
    str names[PATH_PARAMS_MAX]; /* of the parameters on the way here; the same for all rows */
    str allow;             /* "GET, HEAD, POST, OPTIONS" */
} node;

struct router {
    router_options o;
    arena arena;
    node root;
    route_stats *stats; /* [0]: requests that matched no row; then one for each row */
    size_t n_rows;
    uint64_t unanswered;
    const call *in_then; /* the deferred call whose turn it is, until it replies: then its memory is gone */
    bool has_body_caps; /* some row has a max_body of its own */
    kept *kept;
    uint64_t etag_seed; /* this store, as this version of the program tells of it */
    str document, document_tag; /* made once */
};

typedef struct match {
    const node *node; /* NULL: no such path */
    str values[PATH_PARAMS_MAX]; /* of the parameters, still encoded */
    size_t n_values;
} match;
void route_match(const router *r, str path, match *ret_match);
const family *route_family_of(const router *r, str path);
/* The name of the i-th {parameter} of the row's path. */
str route_param_name(const route *row, size_t i);

/* How reading the body ended. */
typedef struct body_read {
    int result, status; /* status: of the reply, with -EINVAL */
    schema_error err;
    struct long_body *tree; /* NULL: it is in the call's arena */
} body_read;

/* What a call needs beside what handlers see. */
typedef struct call_state {
    call call;          /* first */
    json writer;
    reply_basis basis;  /* of the call's etag */
    bool in_request;    /* on_request has not returned: its read scope is open */
    uint16_t stats;
    const family *family;
    body_read body;
    void (*work)(call *c);
    int (*then)(call *c);
    job job;
    bool has_more;  /* the handler has asked for a later reply since this was cleared */
    struct reading *reading; /* call_read's */
} call_state;
static inline call_state *state_of(call *c)
{
    return CONTAINER_OF(c, call_state, call);
}
/* What the reply to this call would be made of now. False when its row has no ETag. */
bool route_basis(const call *c, reply_basis *ret_basis);
/* What a handler returned, of a call that it has not answered: an error is; so is a promise that was not made. */
void route_answer_result(call *c, int r);
int route_read_body(call *c);              /* then the handler; as a handler */
void route_send(call *c, http_reply *rep); /* the one way out of this room */
/* The same for replies that go on: what is left to do is to hand over the head. */
void route_open(call *c, http_reply *rep);
void route_send_tagged(call *c, str body); /* a body for c->etag: 200, or 304 to who has it */

void route_header_number(call *c, str name, int64_t value);
void route_put_limits(call *c); /* X-RateLimit-* */
/* The OpenAPI document of all rows. -EINVAL when two schemas go by one name, -ENOMEM. */
int route_describe(const router *r, arena *a, str *ret_document);

#endif
