/* Errno in words. libc's own texts are kept for the rare ones. */
#include "larder/base.h"

#define ERR_TEXTS(X)                                    \
    X(EACCES, "permission denied")                      \
    X(EADDRINUSE, "address already in use")             \
    X(EADDRNOTAVAIL, "address not available here")      \
    X(EAGAIN, "temporarily not possible, try again")    \
    X(EBADF, "bad file descriptor")                     \
    X(EBADMSG, "damaged data")                          \
    X(EBUSY, "busy")                                    \
    X(ECANCELED, "cancelled")                           \
    X(ECONNABORTED, "connection aborted")               \
    X(ECONNREFUSED, "connection refused")               \
    X(ECONNRESET, "connection reset by the other side") \
    X(EDQUOT, "disk quota exceeded")                    \
    X(EEXIST, "already exists")                         \
    X(EFAULT, "bad address")                            \
    X(EFBIG, "too large")                               \
    X(EHOSTUNREACH, "host not reachable")               \
    X(EINTR, "interrupted")                             \
    X(EINVAL, "invalid value")                          \
    X(EIO, "input/output error")                        \
    X(EISDIR, "is a directory")                         \
    X(ELOOP, "too many links or redirects")             \
    X(EMFILE, "out of file descriptors")                \
    X(EMLINK, "too many links")                         \
    X(EMSGSIZE, "message too large")                    \
    X(ENAMETOOLONG, "name too long")                    \
    X(ENETDOWN, "network is down")                      \
    X(ENETUNREACH, "network not reachable")             \
    X(ENFILE, "the system is out of file descriptors")  \
    X(ENODATA, "no data")                               \
    X(ENODEV, "no such device")                         \
    X(ENOENT, "not found")                              \
    X(ENOLCK, "no locks available")                     \
    X(ENOMEM, "out of memory")                          \
    X(ENOSPC, "no space left on device")                \
    X(ENOSYS, "not supported by this system")           \
    X(ENOTCONN, "not connected")                        \
    X(ENOTDIR, "not a directory")                       \
    X(ENOTEMPTY, "directory not empty")                 \
    X(ENOTSUP, "not supported")                         \
    X(EOVERFLOW, "value too large for its type")        \
    X(EPERM, "operation not permitted")                 \
    X(EPIPE, "connection closed by the other side")     \
    X(EPROTO, "protocol error")                         \
    X(ERANGE, "out of range")                           \
    X(EROFS, "read-only file system")                   \
    X(ESHUTDOWN, "already shut down")                   \
    X(ESTALE, "out of date")                            \
    X(ETIMEDOUT, "timed out")                           \
    X(EXDEV, "on another file system")

const char *err_text(int err)
{
    switch (-(int64_t)err) { /* wide: the negative of INT_MIN is no int */
    case 0:
        return "no error";
#define TEXT_OF(number, text) \
    case number:              \
        return text;
        ERR_TEXTS(TEXT_OF)
#undef TEXT_OF
    default:
        break;
    }
    const char *text = err < 0 && err > -4096 ? strerrordesc_np(-err) : NULL;
    return text ? text : "unknown error";
}
