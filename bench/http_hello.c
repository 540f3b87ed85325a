/* http_hello PORT: the http room with a fixed reply, for measuring what this room alone costs per request. The
 * reply has what a point read of the whole server has: body of about 420 bytes, ETag, request id, date, three lines
 * of limits. */
#include <stdio.h>
#include <stdlib.h>

#include "larder/http.h"

static const char BODY[] =
    "{\"id\":\"00123456\",\"name\":\"artifact-linux-x64\",\"kind\":\"binary\",\"state\":\"ready\",\"size\":1048576,"
    "\"created_at\":\"2026-01-15T10:20:30Z\",\"updated_at\":\"2026-01-16T11:21:31Z\","
    "\"etag\":\"9f86d081884c7d659a2feaa0c55ad015\","
    "\"owner\":{\"id\":42,\"login\":\"example-owner\"},\"labels\":[\"stable\",\"linux\",\"x64\"],"
    "\"url\":\"https://example.test/v1/items/00123456\","
    "\"download_url\":\"https://cdn.example.test/a/00123456.tar.gz\",\"count\":12345,\"expired\":false}\n";

static const char LIMITS[] = "X-RateLimit-Limit: 100\r\nX-RateLimit-Remaining: 99\r\nX-RateLimit-Reset: 1768472430\r\n";

static void on_request(void *arg, http_request *req)
{
    (void)arg;
    http_reply_send(req, &(http_reply){.status = 200,
                                       .content_type = STR("application/json"),
                                       .body = str_of(BODY, sizeof(BODY) - 1),
                                       .headers = str_of(LIMITS, sizeof(LIMITS) - 1),
                                       .etag = STR("9f86d081884c7d65")});
}

static str error_body(void *arg, str path, int status, str text, buf *out)
{
    (void)arg, (void)path, (void)status;
    buf_str(out, text);
    return STR("text/plain");
}

static void on_drained(void *arg)
{
    loop_stop(arg);
}

static http_server *server;

static void on_signal(void *arg, int signum)
{
    (void)signum;
    http_server_drain(server, on_drained, arg);
    http_server_cut(server);
}

int main(int argc, char **argv)
{
    loop *l;
    net_listen where;
    arena a;
    str url;
    arena_init(&a, 0);
    http_options o = {
        .max_header_bytes = 16384,
        .max_body_bytes = 1 << 20,
        .header_timeout_ms = SECONDS(10),
        .body_timeout_ms = SECONDS(30),
        .idle_timeout_ms = MINUTES(5),
        .write_timeout_ms = SECONDS(30),
        .max_connections = 20000,
        .max_buffered = 64 << 20,
    };
    http_hooks hooks = {.on_request = on_request, .error_body = error_body};
    str text = arena_printf(&a, "127.0.0.1:%s", argc > 1 ? argv[1] : "0");
    if (loop_new(clk_real(), 1, &l) < 0 || http_server_new(l, &o, &hooks, &server) < 0 ||
        net_listen_parse(&a, text, &where) < 0 || http_server_listen(server, &where, &a, &url) < 0 ||
        loop_on_signal(l, 15, on_signal, l) < 0) {
        fprintf(stderr, "http_hello: can't start\n");
        return 1;
    }
    printf("listening on " STR_FMT "\n", STR_ARG(url));
    fflush(stdout);
    loop_run(l);
    http_server_free(server);
    loop_close_idle(l);
    loop_run(l);
    loop_free(l);
    arena_done(&a);
    return 0;
}
