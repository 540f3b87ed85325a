/* What the files of this room share.
 *
 *     fleet ─┬─ services, fixed and registered ─── breaker
 *            ├─ names, whose addresses were judged
 *            └─ operations, all under way ─── answer (how a reply is read)
 *
 * A service that has gone stays until its operations and its poll have come back. */
#ifndef LARDER_RENDER_PRIVATE_H
#define LARDER_RENDER_PRIVATE_H

#include "larder/render.h"

#define CONNECT_MS SECONDS(3)
#define TABS_MAX 1000 /* of one service */

/* ---- breaker: pure, times in mono ms ---- */

typedef struct breaker {
    unsigned failures;            /* in a row */
    int64_t open_until, pause_ms; /* 0: closed */
    bool probing;                 /* the one page of the half-open state is under way */
} breaker;

render_breaker render_breaker_at(const breaker *b, int64_t now);
void render_breaker_succeeded(breaker *b);
void render_breaker_failed(breaker *b, int64_t now);

/* ---- answer: what services send. Pure ---- */

/* The length-prefixed metadata in front of the HTML. */
typedef struct frame {
    unsigned n_prefix;
    uint32_t length;
    buf metadata;
} frame;
/* 1: the metadata is whole and *input is what follows it; 0: more is needed, *input is used up. -EPROTO (no metadata),
 * -EMSGSIZE (over RENDER_METADATA_MAX), -ENOMEM. */
int render_frame_feed(frame *f, str *input);

/* Metadata in front of a page, or the JSON of a failure. Texts are in the op's arena. */
typedef struct answer {
    bool success;
    str request_id, error, error_type; /* null when not told */
    int64_t html_size;                 /* -1 when not told */
} answer;
/* Fills `status` ... `render_ms` of the op too. -EPROTO, -ENOMEM. Any thread. */
int render_answer_parse(render_op *op, str text, answer *ret_answer);
/* What a page's word for its failure means. */
typedef struct verdict {
    render_result result; /* FAILED or FAILED_FOR_NOW */
    bool counts;          /* for the breaker */
    bool service_failed;
} verdict;
verdict render_verdict(str error_type);

bool render_header_is_kept(str header, str value); /* of a page */

typedef struct health {
    unsigned capacity, load;
} health;
int render_health_parse(str text, health *ret_health); /* -EPROTO, -ENOMEM */

typedef struct registration {
    str id, url; /* in the arena */
    health health;
} registration;
/* -EINVAL with a text for people (static), -ENOMEM. */
int render_registration_parse(arena *a, str text, str peer, registration *ret_registration, const char **ret_why);

/* ---- names: may a page's host be rendered? One look-up for all who ask at a time ---- */

typedef struct host_name host_name;
typedef struct name_wait name_wait;
struct name_wait {
    list link;
    void (*fn)(name_wait *w, client_failure failure, const char *why); /* once; not after render_names_leave */
};
typedef struct names {
    loop *loop;
    client *client;
    host_name *known[256];
    size_t n;
} names;
/* 1: known, the verdict is told; 0: w->fn will be called; -EBUSY (too many are being looked up), -ENOMEM. */
int render_names_ask(names *ns, str url, name_wait *w, client_failure *ret_failure, const char **ret_why);
void render_names_leave(name_wait *w); /* harmless when told already */
void render_names_done(names *ns);     /* when the client is closed */

/* ---- fleet ---- */

typedef struct service service;
struct service {
    render_fleet *fleet;
    char *id, *url, *health_url;
    char *key_name, *key_value; /* NULL: none */
    bool registered, gone;
    bool is_reachable;
    unsigned capacity, others, in_flight; /* others: tabs in use, but not by us */
    unsigned misses;                      /* polls in a row without an answer */
    int64_t heard_at;                     /* wall ms */
    uint64_t pages, failures;
    char last_error[RENDER_ERROR_TEXT];
    int64_t last_error_at;
    breaker breaker;
    timer timer; /* the next poll, or the end of a registration */
    client_call poll;
    client_header header;
    bool polling;
};

struct render_fleet {
    loop *loop;
    client *services_client, *origins_client;
    tls_trust *services_trust, *origins_trust;
    double reserved;
    int64_t poll_ms, max_timeout_ms;
    bool allow_private;
    void (*on_capacity)(void *arg);
    void *arg;
    service *services[RENDER_SERVICES_MAX]; /* fixed ones first */
    size_t n_services;
    size_t n_leaving; /* gone, but not freed yet */
    size_t turn;      /* where the search for a service begins, so that equals take turns */
    names names;
    list operations;
    post tell; /* on_capacity */
    bool telling;
    bool closing;
    unsigned open_clients;
    void (*closed)(void *arg);
    void *closed_arg;
};

void render_fleet_check_closed(render_fleet *f);
void render_fleet_tell_capacity(render_fleet *f);

void render_fleet_forget(service *s); /* one that registered itself, and is heard of no more */

/* service.c */
service *render_service_new(render_fleet *f, str id, str url, const client_header *key); /* NULL: out of memory */
int render_service_watch(service *s);  /* begins to poll, or to wait for the next heartbeat. -ENOMEM */
void render_service_leave(service *s); /* it is in no list any more; freed now or later */
void render_service_free(service *s);  /* one that has not polled yet; NULL is fine */
void render_service_heard(service *s, const health *h);
void render_service_note(service *s, const char *why); /* as its last error */
/* Its tabs that count: with an open breaker none, with a half-open one at most one. */
void render_service_tabs(const service *s, unsigned *ret_all, unsigned *ret_free);
service *render_service_pick(render_fleet *f); /* NULL: no tab is free above the reserve */
bool render_service_take(service *s);          /* one tab; true: as the probe of a half-open breaker */
typedef enum outcome { OUTCOME_WELL, OUTCOME_ITS_FAULT, OUTCOME_NOTHING /* nothing is known from it */ } outcome;
void render_service_give_back(service *s, bool probe, outcome how, const char *why);

/* operation.c */
void render_operations_cancel(render_fleet *f);

#endif
