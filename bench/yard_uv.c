/* yard_uv PORT DIR TOKEN <RECORDS: the least that a server on libuv, llhttp and LMDB can do for an authorised read, as
 * a yardstick for what everything else in Larder costs. Per request: parse, compare the key, find the route, one LMDB
 * read, answer; per read from the socket, one write. No limits, no timers, no metrics, no checks of foreign bytes: it
 * is not a server to run.
 *
 * RECORDS, until the end of standard input: lengths of target and body as decimal text with a blank behind each, 16
 * characters of ETag, target, body. They go into a fresh LMDB environment in DIR; then it says "listening". */
#include <llhttp.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define OUT_MAX (4u << 20)
#define HEAD_MAX 512
#define ETAG_LEN 16
#define TEXT_MAX 256
#define BACKLOG 1024

enum { NO_FIELD, AUTHORIZATION, IF_NONE_MATCH };

typedef struct text {
    char p[TEXT_MAX];
    size_t n;
} text;

typedef struct peer {
    uv_tcp_t tcp;
    llhttp_t parser;
    text target, name, key, tag; /* of the request that is being read */
    int field;
} peer;

typedef struct rest {
    uv_write_t write;
    char bytes[];
} rest;

static MDB_env *env;
static MDB_dbi dbi;
static MDB_txn *snapshot;
static llhttp_settings_t settings;
static char in[65536], out[OUT_MAX];
static size_t out_n;
static text wanted; /* the Authorization that may read */

static void must(int r, const char *what)
{
    if (r == 0)
        return;
    fprintf(stderr, "yard_uv: %s: %d\n", what, r);
    exit(1);
}

/* ---- the parser's events ---- */
static int text_add(text *t, const char *at, size_t n)
{
    if (n > sizeof(t->p) - t->n)
        return -1;
    memcpy(t->p + t->n, at, n);
    t->n += n;
    return 0;
}

static int on_begin(llhttp_t *parser)
{
    peer *p = parser->data;

    p->target.n = p->name.n = p->key.n = p->tag.n = 0;
    return 0;
}

static int on_target(llhttp_t *parser, const char *at, size_t n)
{
    peer *p = parser->data;

    return text_add(&p->target, at, n);
}

static int on_name(llhttp_t *parser, const char *at, size_t n)
{
    peer *p = parser->data;

    return text_add(&p->name, at, n);
}

static int on_name_end(llhttp_t *parser)
{
    peer *p = parser->data;

    p->field = p->name.n == 13 && strncasecmp(p->name.p, "authorization", 13) == 0   ? AUTHORIZATION
               : p->name.n == 13 && strncasecmp(p->name.p, "if-none-match", 13) == 0 ? IF_NONE_MATCH
                                                                                     : NO_FIELD;
    p->name.n = 0;
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n)
{
    peer *p = parser->data;

    if (p->field == NO_FIELD)
        return 0;
    return text_add(p->field == AUTHORIZATION ? &p->key : &p->tag, at, n);
}

/* ---- answers ---- */
static bool is_wanted(const text *key)
{
    unsigned differs = key->n != wanted.n;

    for (size_t i = 0; i < wanted.n; i++)
        differs |= (unsigned char)(key->p[i] ^ wanted.p[i]);
    return differs == 0;
}

static const struct {
    llhttp_method_t method;
    const char *prefix;
} routes[] = {
    {HTTP_GET, "/healthz"},
    {HTTP_GET, "/readyz"},
    {HTTP_GET, "/metrics"},
    {HTTP_GET, "/openapi.json"},
    {HTTP_POST, "/api/v1/marketplace/sources"},
    {HTTP_PATCH, "/api/v1/marketplace/sources/"},
    {HTTP_DELETE, "/api/v1/marketplace/sources/"},
    {HTTP_GET, "/api/v1/cache/status"},
    {HTTP_GET, "/api/v1/cache/search"},
    {HTTP_GET, "/api/v1/cache/marketplace"},
    {HTTP_GET, "/api/v1/cache/artifacts"},
    {HTTP_GET, "/api/v1/cache/stale-artifacts"},
    {HTTP_GET, "/internal/cache/page"},
    {HTTP_GET, "/api/v1/marketplace/sources/"},
    {HTTP_GET, "/api/v1/marketplace/sources"},
};

static bool has_route(const llhttp_t *parser, const text *target)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(*routes); i++) {
        const size_t n = strlen(routes[i].prefix);
        if (parser->method == routes[i].method && target->n >= n && memcmp(target->p, routes[i].prefix, n) == 0)
            return true;
    }
    return false;
}

static void put_head(const char *status, const char *etag, size_t body_n)
{
    out_n += (size_t)snprintf(out + out_n, HEAD_MAX,
                              "HTTP/1.1 %s\r\nServer: yard/1.0\r\nDate: Thu, 15 Jan 2026 10:20:30 GMT\r\n"
                              "Content-Type: application/json\r\nETag: \"%.16s\"\r\nContent-Length: %zu\r\n"
                              "Connection: keep-alive\r\n\r\n",
                              status, etag, body_n);
}

static int answer(llhttp_t *parser)
{
    peer *p = parser->data;
    MDB_val key = {p->target.n, p->target.p}, value = {0, NULL};

    if (out_n + HEAD_MAX > OUT_MAX)
        return -1;
    if (!is_wanted(&p->key) || !has_route(parser, &p->target)) {
        put_head("401 Unauthorized", "----------------", 0);
        return 0;
    }
    if (mdb_txn_renew(snapshot))
        return -1;
    const int r = key.mv_size ? mdb_get(snapshot, dbi, &key, &value) : MDB_NOTFOUND;
    const char *etag = value.mv_data, *body = etag + ETAG_LEN;
    const size_t body_n = r ? 0 : value.mv_size - ETAG_LEN;

    if (r) {
        put_head("404 Not Found", "----------------", 0);
    } else if (p->tag.n == ETAG_LEN + 2 && memcmp(p->tag.p + 1, etag, ETAG_LEN) == 0) {
        out_n +=
            (size_t)snprintf(out + out_n, HEAD_MAX,
                             "HTTP/1.1 304 Not Modified\r\nServer: yard/1.0\r\nDate: Thu, 15 Jan 2026 10:20:30 GMT\r\n"
                             "ETag: \"%.16s\"\r\nConnection: keep-alive\r\n\r\n",
                             etag);
    } else {
        put_head("200 OK", etag, body_n);
        if (body_n > OUT_MAX - out_n)
            return -1;
        memcpy(out + out_n, body, body_n);
        out_n += body_n;
    }
    mdb_txn_reset(snapshot);
    return 0;
}

/* ---- sockets ---- */
static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void on_written(uv_write_t *w, int status)
{
    (void)status;
    free(w);
}

static void on_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
    (void)h, (void)n;
    *b = uv_buf_init(in, sizeof(in));
}

static void send_out(uv_stream_t *s)
{
    uv_buf_t all = uv_buf_init(out, (unsigned)out_n);
    const int r = uv_try_write(s, &all, 1);
    const size_t sent = r < 0 ? 0 : (size_t)r;

    if (sent == out_n)
        return;
    rest *left = malloc(sizeof(*left) + out_n - sent);
    must(left ? 0 : UV_ENOMEM, "write");
    memcpy(left->bytes, out + sent, out_n - sent);
    uv_buf_t b = uv_buf_init(left->bytes, (unsigned)(out_n - sent));
    must(uv_write(&left->write, s, &b, 1, on_written), "write");
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    peer *p = s->data;

    if (n == 0)
        return;
    out_n = 0;
    if (n < 0 || llhttp_execute(&p->parser, b->base, (size_t)n) != HPE_OK)
        uv_close((uv_handle_t *)s, on_closed);
    else if (out_n)
        send_out(s);
}

static void on_connection(uv_stream_t *listener, int status)
{
    peer *p = calloc(1, sizeof(*p));

    must(p ? status : UV_ENOMEM, "accept");
    must(uv_tcp_init(listener->loop, &p->tcp), "accept");
    p->tcp.data = p;
    must(uv_accept(listener, (uv_stream_t *)&p->tcp), "accept");
    uv_tcp_nodelay(&p->tcp, 1);
    llhttp_init(&p->parser, HTTP_REQUEST, &settings);
    p->parser.data = p;
    must(uv_read_start((uv_stream_t *)&p->tcp, on_alloc, on_read), "read");
}

/* ---- records ---- */
static void load(const char *dir)
{
    MDB_txn *txn;
    unsigned target_n, body_n;

    must(mdb_env_create(&env), "env");
    must(mdb_env_set_mapsize(env, (size_t)1 << 30), "map size");
    must(mdb_env_open(env, dir, MDB_NOSYNC | MDB_NOTLS, 0644), dir);
    must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &dbi), "dbi");
    while (scanf("%u %u", &target_n, &body_n) == 2 && getchar() == ' ') {
        char target[TEXT_MAX], etag[ETAG_LEN];
        char *value = malloc(ETAG_LEN + body_n);
        must(value && target_n <= TEXT_MAX ? 0 : 1, "record");
        must(fread(etag, ETAG_LEN, 1, stdin) == 1 && fread(target, 1, target_n, stdin) == target_n ? 0 : 1, "record");
        memcpy(value, etag, ETAG_LEN);
        must(fread(value + ETAG_LEN, 1, body_n, stdin) == body_n ? 0 : 1, "record");
        must(mdb_put(txn, dbi, &(MDB_val){target_n, target}, &(MDB_val){ETAG_LEN + body_n, value}, 0), "put");
        free(value);
    }
    must(mdb_txn_commit(txn), "commit");
    must(mdb_txn_begin(env, NULL, MDB_RDONLY, &snapshot), "begin");
    mdb_txn_reset(snapshot);
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    struct sockaddr_in where;
    uv_tcp_t listener;

    if (argc != 4 || strlen(argv[3]) > TEXT_MAX - 8) {
        fprintf(stderr, "usage: yard_uv PORT DIR TOKEN <RECORDS\n");
        return 2;
    }
    wanted.n = (size_t)snprintf(wanted.p, sizeof(wanted.p), "Bearer %s", argv[3]);
    load(argv[2]);
    llhttp_settings_init(&settings);
    settings.on_message_begin = on_begin;
    settings.on_url = on_target;
    settings.on_header_field = on_name;
    settings.on_header_field_complete = on_name_end;
    settings.on_header_value = on_value;
    settings.on_message_complete = answer;
    must(uv_tcp_init(loop, &listener), "socket");
    must(uv_ip4_addr("127.0.0.1", atoi(argv[1]), &where), "address");
    must(uv_tcp_bind(&listener, (const struct sockaddr *)&where, 0), "bind");
    must(uv_listen((uv_stream_t *)&listener, BACKLOG, on_connection), "listen");
    puts("listening");
    fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
