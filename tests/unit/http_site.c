#include "http_site.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATIENCE 3000 /* milliseconds a client waits before the test fails */

/* ---- the application ---- */

static void on_gone(http_request *req)
{
    site *w = req->user;
    w->gone++;
}

static void reply_bytes(http_request *req, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_char(req->out, (char)('a' + i % 26));
    http_reply_send(req, &(http_reply){.status = 200, .content_type = STR("text/plain"), .body = buf_view(req->out)});
}

static void on_request(void *arg, http_request *req)
{
    site *w = arg;
    http_reply hello = {.status = 200, .content_type = STR("text/plain"), .body = STR("hello\n"), .etag = STR("abc")};
    int64_t n;
    if (str_eq(req->path, STR("/hello"))) {
        http_reply_send(req, &hello);
    } else if (str_eq(req->path, STR("/echo"))) {
        buf_str(req->out, req->body);
        hello.body = buf_view(req->out);
        http_reply_send(req, &hello);
    } else if (str_starts(req->path, STR("/bytes/")) && str_to_i64(str_from(req->path, 7), &n) == 0) {
        reply_bytes(req, (size_t)n);
    } else if (str_starts(req->path, STR("/later")) && w->n_held < SITE_HELD && http_request_defer(req) == 0) {
        req->user = w;
        req->on_gone = on_gone;
        w->held[w->n_held++] = req;
    } else if (w->handler) {
        w->handler(w, req);
    } else {
        http_reply_send(req, &(http_reply){.status = 404});
    }
}

static int on_head(void *arg, http_request *req, size_t *ret_max_body)
{
    site *w = arg;
    return w->on_head ? w->on_head(w, req, ret_max_body) : 0;
}

static str error_body(void *arg, str path, int status, str text, buf *out)
{
    (void)arg;
    buf_printf(out, "error %d at " STR_FMT ": " STR_FMT "\n", status, STR_ARG(path), STR_ARG(text));
    return STR("text/plain");
}

static void on_replied(void *arg, http_request *req, int status, size_t body_bytes)
{
    site *w = arg;
    if (req) { /* for the log: it can all still be read */
        assert_true(req->request_id.n > 0 && req->path.n > 0);
        assert_true(req->path.p[0] == '/' || req->path.p[0] == '*');
        assert_true(req->request_id.p[req->request_id.n - 1] > ' ');
    }
    w->replied++;
    w->last_status = status;
    w->last_bytes = body_bytes;
}

static void on_drained(void *arg)
{
    site *w = arg;
    w->drained++;
}

/* ---- the site's life ---- */

void site_init(site *w)
{
    *w = (site){.options = {.max_header_bytes = 8192,
                            .max_body_bytes = 1 << 20,
                            .header_timeout_ms = SECONDS(10),
                            .body_timeout_ms = SECONDS(20),
                            .idle_timeout_ms = SECONDS(60),
                            .write_timeout_ms = SECONDS(30),
                            .max_connections = 1000,
                            .max_buffered = 64 << 20}};
    w->where.addr.ip[10] = w->where.addr.ip[11] = 0xff;
    w->where.addr.ip[12] = 127;
    w->where.addr.ip[15] = 1;
}

void site_open(site *w)
{
    http_hooks hooks = {
        .arg = w, .on_head = on_head, .on_request = on_request, .error_body = error_body, .on_replied = on_replied};
    fake_clk_init(&w->clock, 1768472430000);
    arena_init(&w->arena, 0);
    assert_int_equal(loop_new(&w->clock.base, 2, &w->loop), 0);
    assert_int_equal(http_server_new(w->loop, &w->options, &hooks, &w->server), 0);
    assert_int_equal(http_server_listen(w->server, &w->where, &w->arena, &w->url), 0);
    if (!w->where.addr.is_unix) {
        int64_t port;
        assert_int_equal(str_to_i64(str_from(w->url, (size_t)str_rchr(w->url, ':') + 1), &port), 0);
        w->where.addr.port = (uint16_t)port;
    }
}

void site_drain(site *w)
{
    http_server_drain(w->server, on_drained, w);
    assert_int_equal(w->drained, 0);
}

void site_close(site *w)
{
    net_faults_for_tests = (net_faults){0};
    if (w->drained == 0) {
        site_drain(w);
        http_server_cut(w->server);
    }
    while (w->n_held > 0)
        site_answer(w, STR("late"));
    for (int i = 0; i < PATIENCE && w->drained == 0; i++) {
        site_turn(w, 1);
        if (w->drained == 0)
            poll(NULL, 0, 1);
    }
    assert_int_equal(w->drained, 1);
    assert_int_equal(http_stats_of(w->server)->connections, 0);
    assert_int_equal(http_stats_of(w->server)->buffered_bytes, 0);
    http_server_free(w->server);
    loop_close_idle(w->loop);
    assert_int_equal(loop_run(w->loop), 0);
    loop_free(w->loop);
    arena_done(&w->arena);
}

void site_turn(site *w, int turns)
{
    while (turns-- > 0)
        loop_run_once(w->loop, false);
}

void site_pass(site *w, int64_t ms)
{
    for (int64_t step; ms > 0; ms -= step) {
        step = ms < 250 ? ms : 250;
        fake_clk_advance(&w->clock, step);
        site_turn(w, 2);
    }
}

void site_answer(site *w, str body)
{
    REQUIRE(w->n_held > 0);
    http_request *req = w->held[0];
    memmove(w->held, w->held + 1, --w->n_held * sizeof(*w->held));
    http_reply_send(req, &(http_reply){.status = 200, .content_type = STR("text/plain"), .body = body});
}

/* ---- clients ---- */

int site_connect(site *w)
{
    union {
        struct sockaddr any;
        struct sockaddr_in in;
        struct sockaddr_un un;
    } sa;
    memset(&sa, 0, sizeof(sa));
    socklen_t len = sizeof(sa.in);
    if (w->where.addr.is_unix) {
        sa.un.sun_family = AF_UNIX;
        memcpy(sa.un.sun_path, w->where.path.p, w->where.path.n);
        len = sizeof(sa.un);
    } else {
        sa.in.sin_family = AF_INET;
        sa.in.sin_port = htons(w->where.addr.port);
        sa.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    int fd = socket(sa.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, &sa.any, len), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    if (!w->where.addr.is_unix)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    site_turn(w, 3);
    return fd;
}

void site_send(site *w, int fd, str bytes)
{
    for (int i = 0; bytes.n > 0 && i < PATIENCE; i++) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; /* the server doesn't want to hear it; what it says is for the test to judge */
        bytes = str_from(bytes, n > 0 ? (size_t)n : 0);
        if (n < 0)
            poll(NULL, 0, 1);
        site_turn(w, 2);
    }
}

/* One try: true when something came, or the stream's end (*ret_end). */
static bool read_some(int fd, buf *into, bool *ret_end)
{
    char *room = buf_reserve(into, 65536);
    assert_non_null(room);
    ssize_t n = recv(fd, room, 65536, 0);
    *ret_end = n == 0 || (n < 0 && errno != EAGAIN);
    if (n > 0)
        into->n += (size_t)n;
    buf_char(into, '\0'); /* so that it can be searched; not counted */
    into->n--;
    return n > 0;
}

bool site_read_until(site *w, int fd, buf *into, const char *text)
{
    bool end = false;
    for (int dry = 0; dry < PATIENCE;) {
        size_t before = into->n > 64 ? into->n - 64 : 0; /* what was searched already; texts are short */
        site_turn(w, 2);
        dry = read_some(fd, into, &end) ? 0 : dry + 1;
        if (end || (text && memmem(into->p + before, into->n - before, text, strlen(text))))
            break;
        if (dry > 5)
            poll(&(struct pollfd){fd, POLLIN, 0}, 1, 1);
    }
    if (!text)
        assert_true(end);
    else if (!memmem(into->p, into->n, text, strlen(text)))
        fail_msg("\"%s\" doesn't come; got:\n%s", text, into->p);
    return end;
}

bool site_read(site *w, int fd, buf *into)
{
    bool end = false;
    for (int dry = 0; dry < 20 && !end;) {
        site_turn(w, 2);
        dry = read_some(fd, into, &end) ? 0 : dry + 1;
    }
    return end;
}

char *site_ask(site *w, str bytes)
{
    buf got = BUF_INIT;
    int fd = site_connect(w);
    site_send(w, fd, bytes);
    site_read_until(w, fd, &got, NULL);
    close(fd);
    site_turn(w, 3);
    return got.p;
}

size_t count_text(const char *in, const char *text)
{
    size_t n = 0;
    for (const char *at = in; (at = strstr(at, text)); at += strlen(text))
        n++;
    return n;
}

void assert_has_at(const char *text, const char *part, const char *file, int line)
{
    if (strstr(text, part))
        return;
    print_error("\"%s\" is not in:\n%s\n", part, text);
    _fail(file, line);
}
