/* An accepted socket, watched by one uv_poll_t. Reads and writes are direct calls: who owns the connection knows
 * best into which memory, and how much. */
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <uv.h>

#include "larder/net.h"

static uv_poll_t *poll_of(net_conn *c)
{
    _Static_assert(sizeof(uv_poll_t) <= sizeof(c->poll), "net_conn holds a uv_poll_t");
    _Static_assert((int)UV_READABLE == (int)NET_READ && (int)UV_WRITABLE == (int)NET_WRITE &&
                       (int)UV_DISCONNECT == (int)NET_HANGUP,
                   "our bits are libuv's");
    return (uv_poll_t *)(void *)c->poll;
}

static void on_poll(uv_poll_t *p, int status, int events)
{
    net_conn *c = p->data;
    if (status < 0)
        c->wanted = 0; /* libuv has stopped watching: the kernel reported an error, which a read would name */
    c->on_event(c, (unsigned)events, status < 0 ? -ECONNRESET : 0);
}

int net_conn_open(net_conn *c, loop *l, int fd, void (*on_event)(net_conn *c, unsigned events, int err))
{
    int r = uv_poll_init(loop_uv(l), poll_of(c), fd);
    if (r < 0)
        return r;
    poll_of(c)->data = c;
    c->fd = fd;
    c->wanted = 0;
    c->on_event = on_event;
    c->on_closed = NULL;
    return 0;
}

int net_conn_want(net_conn *c, unsigned events)
{
    if (events == c->wanted)
        return 0;
    int r = events ? uv_poll_start(poll_of(c), (int)events, on_poll) : uv_poll_stop(poll_of(c));
    if (r == 0)
        c->wanted = events;
    return r;
}

static bool take_fault(int *err)
{
    if (*err == 0)
        return false;
    errno = *err;
    *err = 0;
    return true;
}

ssize_t net_conn_read(net_conn *c, void *p, size_t n)
{
    net_faults *f = &net_faults_for_tests;
    if (f->read_max > 0 && n > f->read_max)
        n = f->read_max;
    ssize_t got;
    do
        got = take_fault(&f->read_err) ? -1 : recv(c->fd, p, n, 0);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* Copies the non-empty parts to iov, at most `max` bytes of them. */
static size_t to_iov(const str parts[], size_t n, size_t max, struct iovec iov[NET_WRITE_PARTS])
{
    REQUIRE(n <= NET_WRITE_PARTS);
    size_t used = 0;
    for (size_t i = 0; i < n && max > 0; i++) {
        if (parts[i].n == 0)
            continue;
        size_t take = parts[i].n < max ? parts[i].n : max;
        iov[used].iov_base = (void *)(uintptr_t)parts[i].p; /* the kernel only reads it */
        iov[used++].iov_len = take;
        max -= take;
    }
    return used;
}

ssize_t net_conn_write(net_conn *c, const str parts[], size_t n)
{
    net_faults *f = &net_faults_for_tests;
    struct iovec iov[NET_WRITE_PARTS];
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = to_iov(parts, n, f->write_max ? f->write_max : SIZE_MAX, iov)};
    ssize_t sent;
    do
        sent = take_fault(&f->write_err) ? -1
               : msg.msg_iovlen == 1     ? send(c->fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL)
                                         : sendmsg(c->fd, &msg, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
}

void net_conn_shutdown(net_conn *c)
{
    shutdown(c->fd, SHUT_WR); /* fails only when the other side is gone, which the next read will say */
}

static void on_poll_closed(uv_handle_t *h)
{
    net_conn *c = h->data;
    c->on_closed(c);
}

void net_conn_close(net_conn *c, void (*on_closed)(net_conn *c))
{
    REQUIRE(c->fd >= 0);
    c->on_closed = on_closed;
    uv_close((uv_handle_t *)poll_of(c), on_poll_closed);
    close(c->fd); /* after uv_close, which takes it out of the poll set */
    c->fd = -1;
}

void net_fd_refuse(int fd)
{
    close(fd);
}
