/* A connection's life.
 *
 * The happy path: readable -> one read into the server's buffer -> each request in it is parsed, handed to
 * on_request, answered into the gather buffer -> one write. A request that is deferred stops that: the rest of what
 * was read waits in c->in, nothing more is read, and the reply makes the connection take another turn
 * (http_conn_replied). So does a client that doesn't read: with bytes waiting in c->out nothing is parsed.
 *
 * The failures: what can't be parsed is refused and the connection closed, after draining it for a while so that
 * the client, still sending, gets to read the refusal; what is too slow is refused or cut by http_conn_expired; a
 * write that fails or no memory aborts. An aborted connection's struct stays until net says it is closed, so that
 * whoever is on the stack may look at c->state. */
#include "internal.h"

static const char NO_MEMORY[] = "the server is out of memory";
static const char TOO_MUCH_BUFFERED[] = "the server holds too many bytes for slow clients";

/* ---- closing ---- */

static void count_buffered(http_conn *c)
{
    size_t now = c->out.n - c->out_at + c->in.n - c->in_at + c->parser.stash.n + c->parser.collected.n;
    c->server->stats.buffered_bytes += now - c->counted; /* unsigned arithmetic: right for less, too */
    c->counted = now;
}

static void on_closed(net_conn *net)
{
    http_conn *c = CONTAINER_OF(net, http_conn, net);
    http_server *s = c->server;
    s->stats.buffered_bytes -= c->counted;
    s->stats.connections--;
    buf_done(&c->in);
    buf_done(&c->out);
    http_body_done(s, &c->parser.collected);
    http_parser_done(&c->parser);
    mem_free(c);
    http_server_check_drained(s);
}

/* The buffers stay until on_closed: a handler that is on the stack may still read its request's texts in them. */
void http_conn_abort(http_conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    c->server->lingering -= c->state == CONN_LINGERING;
    c->state = CONN_CLOSED;
    list_remove(&c->all);
    list_remove(&c->ready);
    list_remove(&c->slot);
    net_conn_close(&c->net, on_closed);
    http_exchange *ex = c->ex;
    c->ex = NULL;
    if (ex)
        http_exchange_leave(ex);
}

static int64_t linger_until(const http_server *s)
{
    return loop_now_mono_ms(s->loop) + (s->draining ? HTTP_LINGER_DRAINING_MS : HTTP_LINGER_MS);
}

/* All has been written. Closing right away would make the kernel answer what the client still sends with a reset, and
 * that can overtake our last bytes: so only our side is closed, and the client's is read until it closes, too. */
static void end(http_conn *c)
{
    http_server *s = c->server;
    if (s->lingering >= HTTP_LINGERING) {
        http_conn_abort(c);
        return;
    }
    net_conn_shutdown(&c->net);
    c->state = CONN_LINGERING;
    s->lingering++;
    buf_done(&c->in);
    c->in_at = 0;
    http_parser_done(&c->parser);
    http_deadline_set(c, linger_until(s));
}

static void linger(http_conn *c)
{
    http_server *s = c->server;
    ssize_t n = net_conn_read(&c->net, s->in, HTTP_READ_SIZE);
    if (n > 0) {
        s->stats.bytes_in += (uint64_t)n;
        c->lingered += (size_t)n;
    }
    if ((n <= 0 && n != -EAGAIN) || c->lingered > HTTP_LINGER_BYTES)
        http_conn_abort(c);
}

/* ---- what comes next ---- */

static unsigned interest(const http_conn *c)
{
    unsigned hangup = c->hung_up ? 0 : NET_HANGUP;
    if (c->state == CONN_LINGERING)
        return NET_READ;
    if (c->out.n > 0)
        return NET_WRITE | hangup;
    if (c->state == CONN_WAITING && c->has_more)
        return hangup;
    return NET_READ | hangup;
}

static int64_t body_deadline(const http_conn *c, int64_t now)
{
    int64_t timeout = c->server->options.body_timeout_ms;
    int64_t no_bytes = now + timeout;
    /* A trickle doesn't count as progress: each byte buys a millisecond. */
    int64_t too_few = c->body_began_ms + timeout + (int64_t)c->parser.collected.n;
    return no_bytes < too_few ? no_bytes : too_few;
}

static void set_deadline(http_conn *c)
{
    const http_options *o = &c->server->options;
    if (c->state == CONN_WAITING) {
        c->due = HTTP_NEVER;
        return;
    }
    int64_t now = loop_now_mono_ms(c->server->loop);
    switch (c->parser.phase) {
    case PARSE_START:
        http_deadline_set(c, now + o->idle_timeout_ms);
        break;
    case PARSE_HEAD:
        http_deadline_set(c, c->started_ns / 1000000 + o->header_timeout_ms);
        break;
    case PARSE_BODY:
    case PARSE_TRAILERS:
        http_deadline_set(c, body_deadline(c, now));
        break;
    }
}

/* Nothing has come of a next request. */
static bool is_idle(const http_conn *c)
{
    return c->state == CONN_READING && c->parser.phase == PARSE_START && c->in.n == 0;
}

/* Called when an event has been dealt with: what the connection waits for now. */
static void settle(http_conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    if (c->out.n == 0 && c->state != CONN_LINGERING) {
        if (c->state == CONN_READING && (c->closing || (c->server->draining && is_idle(c))))
            end(c);
        else
            set_deadline(c);
    }
    if (c->state == CONN_CLOSED)
        return;
    if (c->state == CONN_READING && c->parser.phase == PARSE_START && c->parser.stash.cap + c->parser.collected.cap > 0)
        http_parser_done(&c->parser); /* an idle connection is small */
    count_buffered(c);
    if (net_conn_want(&c->net, interest(c)) < 0)
        http_conn_abort(c);
}

/* ---- refusing ---- */

static size_t send_refusal(http_conn *c, http_exchange *ex, int status, const char *why)
{
    http_server *s = c->server;
    char id[HTTP_ID_LEN];
    buf_reset(&s->errors);
    str type = s->hooks.error_body(s->hooks.arg, ex ? ex->req.path : STR_NULL, status, str_c(why), &s->errors);
    str body = s->errors.err ? STR_NULL : buf_view(&s->errors);
    http_frame f = {
        .status = status,
        .date = http_server_date(s),
        .request_id = ex ? ex->req.request_id : STR_NULL,
        .content_type = body.n > 0 ? type : STR_NULL,
        .headers = status == 503 ? STR("Retry-After: 1\r\n") : ex ? ex->req.refusal : STR_NULL,
        .has_length = true,
        .length = body.n,
        .persistence = HTTP_CLOSE,
    };
    if (!f.request_id.p) {
        http_server_new_id(s, id);
        f.request_id = str_of(id, sizeof(id));
    }
    if (ex && ex->req.method == HTTP_M_HEAD)
        body = STR_NULL;
    http_output_reply(c, &f, body);
    return body.n;
}

/* Answers with an error body of ours and closes. `why` is for people. */
static void refuse(http_conn *c, int status, const char *why)
{
    http_server *s = c->server;
    http_exchange *ex = c->ex;
    c->ex = NULL;
    c->closing = true;
    c->state = CONN_READING;
    if (status == 408)
        s->stats.timeouts++;
    else if (status < 500)
        s->stats.bad_requests++;
    size_t body_bytes = send_refusal(c, ex, status, why);
    if (s->hooks.on_replied) /* a request has its id once its head is understood */
        s->hooks.on_replied(s->hooks.arg, ex && ex->req.request_id.p ? &ex->req : NULL, status, body_bytes);
    if (ex)
        http_exchange_free(ex);
}

/* ---- requests ---- */

static http_method method_of(const llhttp_t *ll)
{
    switch (ll->method) {
    case HTTP_GET:
        return HTTP_M_GET;
    case HTTP_HEAD:
        return HTTP_M_HEAD;
    case HTTP_POST:
        return HTTP_M_POST;
    case HTTP_PUT:
        return HTTP_M_PUT;
    case HTTP_PATCH:
        return HTTP_M_PATCH;
    case HTTP_DELETE:
        return HTTP_M_DELETE;
    case HTTP_OPTIONS:
        return HTTP_M_OPTIONS;
    default:
        return HTTP_M_OTHER;
    }
}

static bool is_sane_id(str id)
{
    if (id.n < 1 || id.n > 128)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        char c = id.p[i], lower = c | 0x20;
        if (!((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return false;
    }
    return true;
}

static void set_request_id(http_exchange *ex)
{
    str given = ex->req.known[HTTP_H_X_REQUEST_ID];
    if (!is_sane_id(given)) {
        http_server_new_id(ex->server, ex->id);
        given = str_of(ex->id, HTTP_ID_LEN);
    }
    ex->req.request_id = given;
}

/* The body is announced: may it come? 0, or the status to refuse with. */
static int admit_body(http_conn *c, bool is_here, size_t *ret_max, const char **ret_why)
{
    http_server *s = c->server;
    http_request *req = &c->ex->req;
    size_t max = s->options.max_body_bytes;
    int status = s->hooks.on_head ? s->hooks.on_head(s->hooks.arg, req, &max) : 0;
    if (status) {
        *ret_why = req->refusal_text ? req->refusal_text : http_status_text(status);
        return status;
    }
    const str coding = req->known[HTTP_H_CONTENT_ENCODING];
    if (coding.n > 0 && !str_eq_nocase(coding, STR("identity"))) {
        *ret_why = "a body is taken as it stands: no Content-Encoding is understood";
        req->refusal = STR("Accept-Encoding: identity\r\n");
        return 415;
    }
    if (http_parse_content_length(&c->parser) > max) {
        *ret_why = "the body is larger than allowed";
        return 413;
    }
    str expect = req->known[HTTP_H_EXPECT];
    if (expect.p && c->ex->minor == 1) {
        if (!str_eq_nocase(expect, STR("100-continue"))) {
            *ret_why = "the only expectation understood is 100-continue";
            return 417;
        }
        if (!is_here)
            http_output_text(c, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    *ret_max = max;
    return 0;
}

/* Makes an exchange of a parsed head: 0, or the status to refuse with. */
static int begin_request(http_conn *c, const char **ret_why)
{
    http_server *s = c->server;
    if (s->stats.buffered_bytes > s->options.max_buffered) {
        *ret_why = TOO_MUCH_BUFFERED;
        return 503;
    }
    if (c->parser.ll.method == HTTP_CONNECT) {
        *ret_why = "this is no proxy";
        return 501;
    }
    *ret_why = NO_MEMORY;
    http_exchange *ex = http_exchange_new(c);
    if (!ex)
        return 503;
    c->ex = ex;
    ex->head = c->parser.head;
    ex->req.method = method_of(&c->parser.ll);
    int status = http_head_parse(ex->head, &ex->req, ex->headers, &ex->minor, ret_why);
    if (status)
        return status;
    ex->keep_alive = http_head_keeps_alive(&ex->req, ex->minor);
    set_request_id(ex);
    return 0;
}

/* The client sends no more. It may still read: a reply is sent if one comes, but who works for it should know. */
static void on_hangup(http_conn *c)
{
    c->hung_up = true;
    if (c->ex && c->ex->state != EX_READING)
        http_exchange_gone(c->ex);
}

/* Hands the request up. False when parsing must stop: it waits for its reply, or the connection ends. */
static bool run_request(http_conn *c)
{
    http_server *s = c->server;
    http_exchange *ex = c->ex;
    s->stats.requests++;
    ex->state = EX_RUNNING;
    ex->in_handler = true;
    s->hooks.on_request(s->hooks.arg, &ex->req);
    ex->in_handler = false;

    if (ex->state == EX_REPLIED) {
        c->ex = NULL;
        http_exchange_free(ex);
    } else if (!EXPECT(ex->state != EX_RUNNING)) { /* neither replied nor deferred */
        if (c->ex)
            refuse(c, 500, http_status_text(500));
        else
            http_exchange_free(ex);
    } else if (c->ex) { /* otherwise the connection has gone, and the exchange awaits its reply alone */
        c->state = CONN_WAITING;
        c->has_more = false;
        if (c->hung_up)
            on_hangup(c);
    }
    return c->state == CONN_READING && !c->closing && c->out.n == 0;
}

/* The head is complete. False: as run_request. */
static bool on_head(http_conn *c, bool body_is_here)
{
    const char *why;
    size_t max_body = 0;
    bool body = http_parse_has_body(&c->parser);
    int status = begin_request(c, &why);
    if (status == 0 && body)
        status = admit_body(c, body_is_here, &max_body, &why);
    if (c->state == CONN_CLOSED)
        return false;
    if (status) {
        refuse(c, status, why);
        return false;
    }
    if (!http_parse_body(&c->parser, max_body))
        return run_request(c);
    c->body_began_ms = loop_now_mono_ms(c->server->loop);
    return true;
}

static bool on_body(http_conn *c)
{
    http_exchange *ex = c->ex;
    ex->req.body = c->parser.body;
    if (c->parser.collected.n > 0) {
        ex->body = c->parser.collected;
        ex->owns_body = true;
        c->parser.collected = BUF_INIT;
    }
    return run_request(c);
}

/* A request stays incomplete for now: its texts must outlive the buffer that is being parsed. */
static void wait_for_body(http_conn *c)
{
    if (http_exchange_own(c->ex) < 0)
        refuse(c, 503, NO_MEMORY);
    else if (c->server->stats.buffered_bytes > c->server->options.max_buffered)
        refuse(c, 503, TOO_MUCH_BUFFERED);
}

/* Parses from p until it is used up or something stops it; the number of bytes used. */
static size_t parse(http_conn *c, const char *p, size_t n)
{
    size_t at = 0, used;
    bool go_on = !c->closing;
    for (int steps = 0; go_on && at < n && steps < HTTP_STEPS_PER_TURN; steps++) {
        if (c->parser.phase == PARSE_START)
            c->started_ns = c->server->turn_ns;
        switch (http_parse(&c->parser, p + at, n - at, &used)) {
        case PARSED_MORE:
            go_on = false;
            break;
        case PARSED_HEAD:
            go_on = on_head(c, at + used < n);
            break;
        case PARSED_REQUEST:
            go_on = on_body(c);
            break;
        case PARSED_BAD:
            refuse(c, c->parser.status, c->parser.why);
            go_on = false;
            break;
        }
        at += used;
    }
    if (c->ex && c->ex->state == EX_READING)
        wait_for_body(c);
    return at;
}

/* Parses, answers, writes what was gathered, keeps what was not parsed. p may lie in c->in. */
static void work_on(http_conn *c, const char *p, size_t n)
{
    http_server *s = c->server;
    REQUIRE(!s->gathering);
    s->gathering = c;
    size_t used = parse(c, p, n);
    s->gathering = NULL;
    http_output_flush(c);
    if (c->state == CONN_CLOSED)
        return;

    if (c->in.n > 0) {
        c->in_at += used;
        if (c->in_at == c->in.n || c->closing) {
            buf_done(&c->in);
            c->in_at = 0;
        }
    } else if (used < n && !c->closing) {
        buf_put(&c->in, p + used, n - used);
        if (c->in.err) {
            http_conn_abort(c);
            return;
        }
    }
    if (c->in.n > 0 && c->state == CONN_READING && c->out.n == 0)
        http_server_schedule(c);
    settle(c);
}

void http_conn_take_turn(http_conn *c)
{
    if (c->state != CONN_READING || c->out.n > 0 || c->in.n == 0)
        return;
    c->server->turn_ns = loop_mark(c->server->loop);
    work_on(c, c->in.p + c->in_at, c->in.n - c->in_at);
}

void http_conn_replied(http_conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    c->state = CONN_READING;
    if (c->server->gathering == c)
        return; /* work_on goes on with it */
    if (c->in.n > 0 && c->out.n == 0 && !c->closing)
        http_server_schedule(c);
    settle(c);
}

void http_conn_sent(http_conn *c)
{
    if (c->server->gathering != c) /* else work_on goes on with it */
        settle(c);
}

/* ---- events ---- */

static void on_readable(http_conn *c)
{
    http_server *s = c->server;
    ssize_t n = net_conn_read(&c->net, s->in, HTTP_READ_SIZE);
    if (n == -EAGAIN)
        return;
    if (n <= 0) { /* gone, and nothing is owed to it: there is no reply under way in this state */
        http_conn_abort(c);
        return;
    }
    s->stats.bytes_in += (uint64_t)n;
    work_on(c, s->in, (size_t)n);
}

static void on_writable(http_conn *c)
{
    http_output_writable(c);
    if (c->ex && c->ex->state == EX_STREAMING && c->out.n == 0)
        http_stream_writable(c->ex);
    if (c->state == CONN_READING && c->out.n == 0 && c->in.n > 0 && !c->closing)
        http_server_schedule(c);
    settle(c);
}

static void on_event(net_conn *net, unsigned events, int err)
{
    http_conn *c = CONTAINER_OF(net, http_conn, net);
    c->server->turn_ns = loop_mark(c->server->loop);
    if (err) {
        http_conn_abort(c);
        return;
    }
    if (events & NET_WRITE)
        on_writable(c);
    if (c->state == CONN_LINGERING) {
        linger(c);
    } else if (c->state == CONN_READING && c->out.n == 0 && c->in.n == 0) {
        if (events & (NET_READ | NET_HANGUP))
            on_readable(c);
    } else if (c->state != CONN_CLOSED) {
        if (events & NET_HANGUP)
            on_hangup(c);
        else if (events & NET_READ)
            c->has_more = true;
        settle(c);
    }
}

void http_conn_expired(http_conn *c)
{
    bool idle = c->state == CONN_READING && c->parser.phase == PARSE_START;
    if (c->out.n > 0 || c->state == CONN_LINGERING || idle) {
        http_conn_abort(c);
        return;
    }
    bool in_head = c->parser.phase == PARSE_HEAD;
    refuse(c, 408, in_head ? "the request's header section came too slowly" : "the request's body came too slowly");
    settle(c);
}

void http_conn_drain(http_conn *c)
{
    if (c->ex && c->ex->state == EX_STREAMING)
        http_exchange_gone(c->ex);
    else if (c->state == CONN_LINGERING)
        http_deadline_set(c, linger_until(c->server));
    else if (is_idle(c) && c->out.n == 0) /* what still has a reply to write ends when that is out: see settle */
        http_conn_abort(c);
}

void http_conn_accept(http_listener *ls, int fd, const net_addr *peer)
{
    http_server *s = ls->server;
    http_conn *c = mem_new(http_conn);
    bool full = http_server_busy(s) >= s->options.max_connections;
    if (!c || http_deadlines_wake(s) < 0 || net_conn_open(&c->net, s->loop, fd, on_event) < 0) {
        mem_free(c);
        s->stats.refused_connections++;
        net_fd_refuse(fd);
        return;
    }
    c->server = s;
    c->listener = net_listener_where(ls->net);
    c->peer = *peer;
    c->looked_at = HTTP_NEVER;
    list_init(&c->ready);
    list_init(&c->slot);
    list_push(&s->conns, &c->all);
    http_parser_init(&c->parser, s->options.max_header_bytes);
    s->stats.connections++;
    if (full) {
        s->stats.refused_connections++;
        refuse(c, 503, "the server has as many connections as it may");
    }
    settle(c);
}
