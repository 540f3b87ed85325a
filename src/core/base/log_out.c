/* Where lines go. At first each is written by whom it is from. From log_start to log_stop they pass through a ring that
 * a thread of its own empties: whoever reads standard error may stall, and nobody here waits for him. A line that finds
 * no room is lost and counted, and the next one that finds some comes after a line that says how many. */
#include "log_out.h"

#include <poll.h>
#include <pthread.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define RING ((size_t)256 << 10) /* bytes, a power of two */
#define AT_ONCE ((size_t)16 << 10) /* bytes of one write: a pipe's reader makes room in such steps */
#define FLUSH_S 2 /* without a byte taken: whoever reads is not there any more */
#define DIRECT_WAIT_MS 500 /* for room, where there is no thread to wait in */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t has_lines = PTHREAD_COND_INITIALIZER, has_written = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static bool started, stopping, sleeping; /* these and what follows: under the lock */
static bool fails; /* the thread's last write did: only a line that is written shows that telling of loss makes sense */
static char ring[RING];
static size_t put_to, taken_to; /* bytes since the start */
static uint64_t lost;           /* lines that nobody has been told of */

static size_t count_lines(const struct iovec *parts, int n)
{
    size_t lines = 0;

    for (int i = 0; i < n; i++)
        for (size_t k = 0; k < parts[i].iov_len; k++)
            lines += ((const char *)parts[i].iov_base)[k] == '\n';
    return lines;
}

/* True: writing is worth another try. Standard error is non-blocking where whoever has its other end made it so. */
static bool can_go_on(int err, int wait_ms)
{
    if (err == EINTR)
        return true;
    if (err != EAGAIN)
        return false;
    struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};
    const int r = poll(&p, 1, wait_ms);
    return r > 0 || (r < 0 && errno == EINTR);
}

/* How many lines could not be written, or not wholly. wait_ms: as poll has it. */
static size_t write_all(struct iovec *parts, int n, int wait_ms)
{
    while (n > 0) {
        const ssize_t r = writev(STDERR_FILENO, parts, n);
        if (r < 0 && can_go_on(errno, wait_ms))
            continue;
        if (r <= 0)
            return count_lines(parts, n);
        size_t done = (size_t)r;
        while (n > 0 && done >= parts->iov_len) {
            done -= parts->iov_len;
            parts++;
            n--;
        }
        if (n > 0)
            *parts = (struct iovec){(char *)parts->iov_base + done, parts->iov_len - done};
    }
    return 0;
}

/* ---- the ring ---- */
static bool put(const char *line, size_t n)
{
    const size_t at = put_to % RING, to_end = RING - at;

    if (n > RING - (put_to - taken_to))
        return false;
    memcpy(ring + at, line, n < to_end ? n : to_end);
    if (n > to_end)
        memcpy(ring, line + to_end, n - to_end);
    put_to += n;
    return true;
}

/* True when there is no loss to tell of any more. */
static bool tell_of_loss(void)
{
    char line[LOG_LINE_MAX];

    if (lost == 0)
        return true;
    const log_field fields[] = {LOG_INT("lines", lost), LOG_END};
    if (!put(line, log_line_make(line, LOG_WARN, "log lines were lost: standard error was not read", fields)))
        return false;
    lost = 0;
    return true;
}

/* What is written next: *parts of the ring; how many. */
static int next_parts(struct iovec parts[2], size_t *ret_n)
{
    const size_t all = put_to - taken_to, n = all < AT_ONCE ? all : AT_ONCE;
    const size_t at = taken_to % RING, first = n < RING - at ? n : RING - at;

    parts[0] = (struct iovec){ring + at, first};
    parts[1] = (struct iovec){ring, n - first};
    *ret_n = n;
    return n > first ? 2 : 1;
}

static void *drain(void *arg)
{
    struct iovec parts[2];
    size_t n;

    pthread_mutex_lock(&lock);
    for (;;) {
        if (put_to == taken_to && lost > 0 && !fails)
            (void)tell_of_loss(); /* there is room */
        if (put_to == taken_to) {
            if (stopping)
                break;
            sleeping = true;
            pthread_cond_wait(&has_lines, &lock);
            sleeping = false;
            continue;
        }
        const int n_parts = next_parts(parts, &n);
        pthread_mutex_unlock(&lock);
        const size_t unwritten = write_all(parts, n_parts, -1);
        pthread_mutex_lock(&lock);
        lost += unwritten;
        fails = unwritten > 0;
        taken_to += n;
        pthread_cond_broadcast(&has_written);
    }
    pthread_mutex_unlock(&lock);
    return arg;
}

void log_out(const char *line, size_t n)
{
    pthread_mutex_lock(&lock);
    if (!started) {
        pthread_mutex_unlock(&lock);
        const size_t unwritten = write_all(&(struct iovec){(char *)(uintptr_t)line, n}, 1, DIRECT_WAIT_MS);
        pthread_mutex_lock(&lock);
        lost += unwritten; /* told of by the thread, when there is one */
        pthread_mutex_unlock(&lock);
        return;
    }
    if ((!fails && !tell_of_loss()) || !put(line, n))
        lost++;
    const bool wake = sleeping;
    sleeping = false;
    pthread_mutex_unlock(&lock);
    if (wake)
        pthread_cond_signal(&has_lines);
}

/* ---- life ---- */
int log_start(void)
{
    pthread_mutex_lock(&lock);
    const int r = started ? EALREADY : pthread_create(&thread, NULL, drain, NULL);
    started |= r == 0;
    stopping = false;
    pthread_mutex_unlock(&lock);
    return -r;
}

/* With the lock. */
static void flush(void)
{
    size_t before;
    int r = 0;

    while (started && (put_to != taken_to || (lost > 0 && !fails)) && r == 0) {
        struct timespec until;
        before = taken_to;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += FLUSH_S;
        while (taken_to == before && r == 0)
            r = pthread_cond_clockwait(&has_written, &lock, CLOCK_MONOTONIC, &until);
    }
}

void log_flush(void)
{
    pthread_mutex_lock(&lock);
    flush();
    pthread_mutex_unlock(&lock);
}

void log_stop(void)
{
    pthread_mutex_lock(&lock);
    flush();
    const bool has_ended = started && put_to == taken_to;
    if (has_ended) {
        stopping = true;
        pthread_cond_signal(&has_lines);
    }
    pthread_mutex_unlock(&lock);
    if (!has_ended) /* never started, or its last write hangs: it ends with the process */
        return;
    pthread_join(thread, NULL);
    pthread_mutex_lock(&lock);
    started = false;
    pthread_mutex_unlock(&lock);
}
