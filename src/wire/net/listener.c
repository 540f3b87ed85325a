/* A listening socket, watched by one uv_poll_t: readable means accept until there is nothing left, a bounded number
 * per turn.
 *
 * Accepting is ours rather than uv_listen's, because that one spins when descriptors run out and its reserve is
 * gone. Failures: a client that left before we accepted it is skipped; for want of descriptors or memory the
 * listener stops polling and a timer starts it again; anything else waits for the next turn. */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "larder/net.h"

#define BACKLOG 1024
#define ACCEPTS_PER_TURN 16

struct net_listener {
    loop *loop;
    net_listen where;
    char path[NET_UNIX_PATH_MAX + 1];
    int fd;
    dev_t path_dev; /* what file we bound: only that one is removed */
    ino_t path_ino;
    uv_poll_t poll;
    timer rest;
    net_accept_fn on_accept;
    void (*closed)(void *arg);
    void *arg;
};

typedef union any_addr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un un;
} any_addr;

net_faults net_faults_for_tests;

/* ---- opening ---- */

static socklen_t to_sockaddr(const net_listen *where, any_addr *sa)
{
    memset(sa, 0, sizeof(*sa));
    if (where->addr.is_unix) {
        sa->un.sun_family = AF_UNIX;
        memcpy(sa->un.sun_path, where->path.p, where->path.n);
        return sizeof(sa->un);
    }
    if (net_addr_is_v4(&where->addr)) {
        sa->v4.sin_family = AF_INET;
        sa->v4.sin_port = htons(where->addr.port);
        memcpy(&sa->v4.sin_addr, where->addr.ip + 12, 4);
        return sizeof(sa->v4);
    }
    sa->v6.sin6_family = AF_INET6;
    sa->v6.sin6_port = htons(where->addr.port);
    memcpy(&sa->v6.sin6_addr, where->addr.ip, 16);
    return sizeof(sa->v6);
}

static void from_sockaddr(const any_addr *sa, net_addr *a)
{
    memset(a, 0, sizeof(*a));
    if (sa->any.sa_family == AF_INET) {
        a->ip[10] = a->ip[11] = 0xff;
        memcpy(a->ip + 12, &sa->v4.sin_addr, 4);
        a->port = ntohs(sa->v4.sin_port);
    } else if (sa->any.sa_family == AF_INET6) {
        memcpy(a->ip, &sa->v6.sin6_addr, 16);
        a->port = ntohs(sa->v6.sin6_port);
    } else {
        a->is_unix = true;
    }
}

static int set_option(int fd, int level, int name)
{
    int on = 1;
    return setsockopt(fd, level, name, &on, sizeof(on)) < 0 ? -errno : 0;
}

static int set_tcp_options(int fd, int family)
{
    int r = set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    if (r == 0)
        r = set_option(fd, IPPROTO_TCP, TCP_NODELAY); /* accepted sockets inherit it: no call per connection */
    if (r == 0 && family == AF_INET6)
        r = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY); /* so that [::]:80 and 0.0.0.0:80 can both be listened on */
    return r;
}

/* Removes a socket file that nobody answers on. Anything else at that path is left alone. */
static int remove_dead_socket(const any_addr *sa, socklen_t len)
{
    struct stat st;
    if (lstat(sa->un.sun_path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EADDRINUSE;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    bool dead = connect(fd, &sa->any, len) < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!dead)
        return -EADDRINUSE;
    return unlink(sa->un.sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_and_listen(net_listener *ls)
{
    any_addr sa;
    socklen_t len = to_sockaddr(&ls->where, &sa);
    int r = sa.any.sa_family == AF_UNIX ? remove_dead_socket(&sa, len) : set_tcp_options(ls->fd, sa.any.sa_family);
    if (r < 0)
        return r;
    if (bind(ls->fd, &sa.any, len) < 0)
        return -errno;
    if (listen(ls->fd, BACKLOG) < 0)
        return -errno;

    if (sa.any.sa_family == AF_UNIX) {
        struct stat st;
        if (stat(ls->path, &st) == 0) {
            ls->path_dev = st.st_dev;
            ls->path_ino = st.st_ino;
        }
        return 0;
    }
    len = sizeof(sa);
    if (getsockname(ls->fd, &sa.any, &len) < 0)
        return -errno;
    from_sockaddr(&sa, &ls->where.addr);
    return 0;
}

static void remove_own_socket(const net_listener *ls)
{
    struct stat st;
    if (ls->where.addr.is_unix && stat(ls->path, &st) == 0 && st.st_dev == ls->path_dev && st.st_ino == ls->path_ino)
        unlink(ls->path);
}

/* ---- accepting ---- */

static int accept_one(net_listener *ls, net_addr *ret_peer)
{
    if (net_faults_for_tests.accept_times > 0) {
        net_faults_for_tests.accept_times--;
        return -net_faults_for_tests.accept_err;
    }
    any_addr sa = {.any.sa_family = AF_UNIX};
    socklen_t len = sizeof(sa);
    int fd = accept4(ls->fd, &sa.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return -errno;
    from_sockaddr(&sa, ret_peer);
    return fd;
}

static void on_poll(uv_poll_t *p, int status, int events);

static void end_rest(timer *t)
{
    net_listener *ls = CONTAINER_OF(t, net_listener, rest);
    if (uv_poll_start(&ls->poll, UV_READABLE, on_poll) < 0)
        loop_timer_set(ls->loop, &ls->rest, NET_REST_MS, end_rest);
}

static void rest(net_listener *ls)
{
    uv_poll_stop(&ls->poll);
    if (loop_timer_set(ls->loop, &ls->rest, NET_REST_MS, end_rest) < 0)
        uv_poll_start(&ls->poll, UV_READABLE, on_poll); /* no memory for a timer: better awake than deaf */
}

static void on_poll(uv_poll_t *p, int status, int events)
{
    (void)status, (void)events;
    net_listener *ls = p->data;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        net_addr peer;
        int fd = accept_one(ls, &peer);
        if (fd == -ECONNABORTED || fd == -EINTR || fd == -EPROTO)
            continue;
        if (fd == -EMFILE || fd == -ENFILE || fd == -ENOBUFS || fd == -ENOMEM) {
            rest(ls);
            ls->on_accept(ls->arg, ls, fd, NULL);
        }
        if (fd < 0)
            return;
        ls->on_accept(ls->arg, ls, fd, &peer);
        if (ls->fd < 0)
            return; /* closed meanwhile */
    }
}

/* ---- the face ---- */

/* Where the socket's file will be made. */
static int check_folder(const char *path)
{
    char folder[NET_UNIX_PATH_MAX + 2];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0'; /* "/" stays */
    return access(slash ? folder : ".", W_OK | X_OK) < 0 ? -errno : 0;
}

int net_listen_check(const net_listen *where)
{
    any_addr sa;
    if (where->addr.is_unix && where->path.n > NET_UNIX_PATH_MAX)
        return -EINVAL;
    socklen_t len = to_sockaddr(where, &sa);
    if (where->addr.is_unix) {
        const int r = remove_dead_socket(&sa, len);
        return r < 0 ? r : check_folder(sa.un.sun_path);
    }
    int fd = socket(sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int r = set_tcp_options(fd, sa.any.sa_family);
    if (r == 0 && bind(fd, &sa.any, len) < 0)
        r = -errno;
    close(fd);
    return r;
}

int net_listener_open(loop *l, const net_listen *where, net_accept_fn on_accept, void *arg, net_listener **ret_listener)
{
    if (where->addr.is_unix && where->path.n > NET_UNIX_PATH_MAX)
        return -EINVAL;
    net_listener *ls = mem_new(net_listener);
    if (!ls)
        return -ENOMEM;
    ls->loop = l;
    ls->on_accept = on_accept;
    ls->arg = arg;
    ls->where = *where;
    if (where->addr.is_unix) {
        memcpy(ls->path, where->path.p, where->path.n);
        ls->where.path = str_of(ls->path, where->path.n);
    }
    int family = where->addr.is_unix ? AF_UNIX : net_addr_is_v4(&where->addr) ? AF_INET : AF_INET6;
    ls->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = ls->fd < 0 ? -errno : bind_and_listen(ls);
    if (r == 0)
        r = uv_poll_init(loop_uv(l), &ls->poll, ls->fd);
    if (r < 0) {
        if (ls->fd >= 0)
            close(ls->fd);
        mem_free(ls);
        return r;
    }
    ls->poll.data = ls;
    uv_poll_start(&ls->poll, UV_READABLE, on_poll); /* can't fail: the descriptor is new to the loop */
    *ret_listener = ls;
    return 0;
}

const net_listen *net_listener_where(const net_listener *ls)
{
    return &ls->where;
}

static void on_closed(uv_handle_t *h)
{
    net_listener *ls = h->data;
    ls->closed(ls->arg);
}

void net_listener_close(net_listener *ls, void (*closed)(void *arg))
{
    REQUIRE(ls->fd >= 0);
    ls->closed = closed;
    loop_timer_cancel(ls->loop, &ls->rest);
    remove_own_socket(ls);
    uv_close((uv_handle_t *)&ls->poll, on_closed);
    close(ls->fd);
    ls->fd = -1;
}

void net_listener_free(net_listener *ls)
{
    mem_free(ls);
}
