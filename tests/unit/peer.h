/* An HTTP server for tests of whoever calls one: plain TCP on a free port of 127.0.0.1, on the test's own loop. It
 * answers by script, byte for byte what the test says, however wrong. */
#ifndef LARDER_TESTS_PEER_H
#define LARDER_TESTS_PEER_H

#include "larder/loop.h"

typedef struct peer peer;
typedef struct peer_conn peer_conn;

typedef enum peer_then { PEER_KEEP, PEER_CLOSE, PEER_RESET } peer_then;
typedef struct peer_step { /* what one request gets */
    const char *say;
    size_t n; /* bytes of it; 0: up to its NUL */
    peer_then then;
    size_t drip; /* bytes per write, one write in each turn of the loop; 0: all at once */
} peer_step;
/* clang-format off */
#define SAY(text) {.say = (text)}
#define SAY_AND(text, what) {.say = (text), .then = (what)}
/* clang-format on */

struct peer {
    loop *loop;
    int port;
    char url[40];           /* http://127.0.0.1:PORT */
    const peer_step *steps; /* request by request, over all connections; the last one stays */
    size_t n_steps;
    /* Instead of the steps. `request` is whole, head and body. */
    void (*on_request)(peer *p, peer_conn *c, str request);
    void *user;
    bool head_only; /* a request is whole with its head; what follows of its body is thrown away */

    unsigned connections, requests, open, most_open;
    str last; /* the last request */
    struct peer_impl *impl;
};

void peer_open(peer *p, loop *l);               /* zeroed, or with `steps` and others set */
void peer_close(peer *p);                       /* ends all connections; returns when they are gone (runs the loop) */
void peer_deafen(peer *p);                      /* listens no more: connections from now on are refused */
void peer_listen_again(peer *p);                /* on the same port */
void peer_say(peer_conn *c, str text);          /* copied */
void peer_end(peer_conn *c, peer_then then);    /* after what was said has gone out */
void peer_drop_all(peer *p);                    /* closes the connections, properly */
size_t peer_backlog(const peer_conn *c);        /* bytes said that the client has not taken yet */
str peer_header(str request, const char *name); /* null when absent */
str peer_request_line(str request);

/* Runs the loop until *flag, at most 20 s of real time. */
#define peer_run_until(l, condition)                            \
    do {                                                        \
        for (int peer_tries = 0; !(condition); peer_tries++) {  \
            if (peer_tries == 40000)                            \
                fail_msg("waited in vain for: %s", #condition); \
            peer_turn(l);                                       \
        }                                                       \
    } while (0)
void peer_turn(loop *l);  /* one turn, and half a millisecond for the other threads */
void peer_turns(loop *l); /* a few dozen of turns: what can happen without time passing has happened */

#endif
