/* net: listeners, connections and addresses. A listener is a TCP socket (IPv4, IPv6) or a Unix socket; a connection
 * is the accepted socket, never blocking; addresses are values.
 *
 * Texts for listening: "host:port", "[v6]:port", "unix:PATH"; port 0 picks a free one. A Unix socket file left over
 * by a dead server is replaced, a live one is -EADDRINUSE; the file is removed on close.
 *
 * Out of descriptors (or memory) to accept with, a listener rests for NET_REST_MS and tries again; clients wait in
 * the kernel's queue meanwhile. All functions belong to the loop's thread. */
#ifndef LARDER_NET_H
#define LARDER_NET_H

#include <sys/types.h>

#include "larder/loop.h"

/* ---- addresses ---- */
typedef struct net_addr { /* an IP address as 16 bytes, IPv4 mapped (::ffff:a.b.c.d), or none for Unix sockets */
    uint8_t ip[16];
    uint16_t port;
    bool is_unix;
} net_addr;
#define NET_ADDR_TEXT 46
int net_addr_parse(str text, net_addr *ret_addr);                   /* an address without port; -EINVAL */
size_t net_addr_format(const net_addr *a, char out[NET_ADDR_TEXT]); /* without port, IPv4 unmapped; "unix" */
bool net_addr_is_v4(const net_addr *a);
bool net_addr_is_loopback(const net_addr *a); /* Unix sockets too */

typedef struct net_cidr {
    uint8_t ip[16];
    uint8_t bits; /* of 128 */
} net_cidr;
/* "10.0.0.0/8", "2001:db8::/32", or one address; "unix" is not one. -EINVAL, also for bits set behind the prefix. */
int net_cidr_parse(str text, net_cidr *ret_net);
bool net_cidr_has(const net_cidr *n, const net_addr *a);

/* What `listen` says, parsed: -EINVAL with a text for people. Host names are not looked up: addresses, or
 * "localhost". */
typedef struct net_listen {
    net_addr addr;
    str path; /* Unix sockets; NUL-terminated behind n */
} net_listen;
#define NET_UNIX_PATH_MAX 107 /* bytes */
int net_listen_parse(arena *a, str text, net_listen *ret_listen);
/* "http://127.0.0.1:8080", "http://[::1]:8080", "unix:PATH". Null: no memory. */
str net_listen_url(arena *a, const net_listen *where);

/* ---- listeners ---- */
#define NET_REST_MS 100
typedef struct net_listener net_listener;
/* A new connection: fd is the callee's. It is close-on-exec, non-blocking, without Nagle's delay. Or, out of
 * descriptors or memory, fd is the negative errno and `peer` NULL: the listener rests now. */
typedef void (*net_accept_fn)(void *arg, net_listener *ls, int fd, const net_addr *peer);
/* Whether it could be listened on now, for who has something to do before: 0, or why not. Blocks for no time. */
int net_listen_check(const net_listen *where);
/* Listens at once. -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -ENOMEM, ... */
int net_listener_open(loop *l, const net_listen *where, net_accept_fn on_accept, void *arg,
                      net_listener **ret_listener);
const net_listen *net_listener_where(const net_listener *ls); /* with the port that port 0 became; lives with ls */
/* Stops to listen before it returns; closed(arg) runs later, then net_listener_free may be called. */
void net_listener_close(net_listener *ls, void (*closed)(void *arg));
void net_listener_free(net_listener *ls); /* after closed; NULL is fine */

/* ---- connections ---- */
enum { NET_READ = 1, NET_WRITE = 2, NET_HANGUP = 4 /* the other side sends no more; data before it may still wait */ };
typedef struct net_conn net_conn;
struct net_conn { /* embedded in its owner's struct */
    int fd;
    unsigned wanted;
    /* What of `wanted` has come; err is 0, or a negative errno after which only closing is left. May close it. */
    void (*on_event)(net_conn *c, unsigned events, int err);
    void (*on_closed)(net_conn *c);
    alignas(16) unsigned char poll[160]; /* libuv's */
};
typedef void (*net_event_fn)(net_conn *c, unsigned events, int err);
int net_conn_open(net_conn *c, loop *l, int fd, net_event_fn on_event); /* on error fd stays the caller's */
int net_conn_want(net_conn *c, unsigned events);                        /* costs nothing when it changes nothing */
ssize_t net_conn_read(net_conn *c, void *p, size_t n); /* bytes, 0 at the end, -EAGAIN for nothing now, -errno */
/* Writes the parts one behind the other: bytes taken (0: the socket is full), or -errno. Never raises SIGPIPE. */
#define NET_WRITE_PARTS 4
ssize_t net_conn_write(net_conn *c, const str parts[], size_t n);
void net_conn_shutdown(net_conn *c); /* says that we send no more */
/* The socket goes now; the memory is yours again in on_closed. */
void net_conn_close(net_conn *c, void (*on_closed)(net_conn *c));
void net_fd_refuse(int fd); /* turns an accepted socket away before it becomes a connection */

/* Tests: what socket calls do instead of asking the kernel; all zero otherwise. */
typedef struct net_faults {
    int accept_err, accept_times; /* so many accepts fail with it */
    int read_err, write_err;      /* the next one fails with it, once */
    size_t read_max, write_max;   /* bytes a call moves at most; 0: no limit */
} net_faults;
extern net_faults net_faults_for_tests;

#endif
