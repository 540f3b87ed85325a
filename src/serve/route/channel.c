/* Channels and the streams that follow them.
 *
 * Events are written once, as the bytes that all streams send, into a ring. A stream is a place in it. What is sent
 * within a turn of the loop leaves in the next one, a few streams a turn; a stream whose client doesn't read waits
 * until its socket takes bytes again, and costs nothing meanwhile.
 *
 * Ids are "RUN-N": the run is drawn at the start, so that an id of another process is known to be one. */
#include "router.h"

#include <stdio.h>

#define RUN_LEN 8
#define ID_MAX (RUN_LEN + 1 + 20)
#define STREAMS_A_TURN 32
#define BYTES_A_TURN ((size_t)16384) /* of one stream */
#define OUT_MAX (BYTES_A_TURN + 2 * CHANNEL_EVENT_MAX)
#define RETRY_MS 3000 /* what clients are asked to wait before they come back */

typedef struct kept_event {
    char *p; /* the whole block, with the empty line behind it */
    size_t n;
} kept_event;

struct channel {
    loop *loop;
    char run[RUN_LEN];
    kept_event ring[CHANNEL_EVENTS]; /* event n stands at n % CHANNEL_EVENTS */
    uint64_t first, next;            /* kept are those from first on; next is the number of the next one */
    list streams;                    /* first those whose turn is next */
    size_t n_streams, to_visit;
    timer beat;
    post pump;
    bool pump_posted;
    buf out; /* OUT_MAX, never more */
};

typedef struct stream {
    list link;
    channel *channel;
    call *call;
    uint64_t at;  /* the next event to send */
    bool blocked; /* until its socket takes bytes */
    bool beat;    /* it is time for a sign of life */
} stream;

/* ---- events ---- */
static void forget_all(channel *ch)
{
    for (; ch->first < ch->next; ch->first++)
        mem_free(ch->ring[ch->first % CHANNEL_EVENTS].p);
}

static size_t put_id(const channel *ch, uint64_t n, char id[ID_MAX + 1])
{
    return (size_t)snprintf(id, ID_MAX + 1, "%.*s-%llu", RUN_LEN, ch->run, (unsigned long long)n);
}

/* "id: ...\nevent: ...\ndata: ...\n\n". -ENOMEM; -EFBIG. */
static int write_event(const channel *ch, uint64_t n, const char *event, str data, kept_event *ret_event)
{
    char id[ID_MAX + 1];
    buf b = {.max = CHANNEL_EVENT_MAX};

    (void)put_id(ch, n, id);
    buf_printf(&b, "id: %s\nevent: %s\ndata: ", id, event);
    buf_str(&b, data);
    buf_str(&b, STR("\n\n"));
    if (b.err) {
        const int err = b.err;
        buf_done(&b);
        return err;
    }
    *ret_event = (kept_event){b.p, b.n};
    return 0;
}

static void post_pump(channel *ch)
{
    if (ch->to_visit == 0 || ch->pump_posted)
        return;
    ch->pump_posted = true;
    loop_post(ch->loop, &ch->pump);
}

/* All streams have a turn soon. */
static void wake(channel *ch)
{
    ch->to_visit = ch->n_streams;
    post_pump(ch);
}

/* An event that can't be kept leaves a gap: nobody may go on across it. */
void channel_send(channel *ch, const char *event, str data)
{
    kept_event e;

    if (ch->next - ch->first == CHANNEL_EVENTS)
        mem_free(ch->ring[ch->first++ % CHANNEL_EVENTS].p);
    if (data.p && write_event(ch, ch->next, event, data, &e) == 0) {
        ch->ring[ch->next++ % CHANNEL_EVENTS] = e;
    } else {
        forget_all(ch);
        ch->first = ++ch->next;
    }
    wake(ch);
}

/* ---- streams ---- */
/* The client has the event in front of that one, or there was none. False: what it has missed is lost. */
static bool place_of(const channel *ch, str last_id, uint64_t *ret_at)
{
    int64_t n;

    if (last_id.n <= RUN_LEN || memcmp(last_id.p, ch->run, RUN_LEN) != 0 || last_id.p[RUN_LEN] != '-' ||
        str_to_i64(str_from(last_id, RUN_LEN + 1), &n) < 0 || n < 0)
        return false;
    const uint64_t at = (uint64_t)n + 1;
    if (at < ch->first || at > ch->next)
        return false;
    *ret_at = at;
    return true;
}

/* Ends the call as well. */
static void end(stream *s)
{
    channel *ch = s->channel;

    list_remove(&s->link);
    if (--ch->n_streams == 0)
        loop_timer_cancel(ch->loop, &ch->beat);
    http_stream_end(s->call->req);
}

static bool may_stay(const call *c)
{
    const router *r = c->router;
    access_control *a = r->o.access;
    access_grant grant;
    store_view *v = store_read_begin(r->o.store);
    const access_scope scope = c->route->scope;
    const int allowed = scope == SCOPE_PUBLIC ? 0 : access_admit(a, c->req, v, scope, access_is_open(a, scope), &grant);

    store_read_end(v);
    return allowed != -EACCES && allowed != -EPERM;
}

static void put_reset(const channel *ch, buf *out)
{
    char id[ID_MAX + 1];
    json w;

    (void)put_id(ch, ch->next - 1, id);
    buf_printf(out, "id: %s\nevent: reset\ndata: ", id);
    json_begin(&w, out);
    json_object(&w);
    json_pair_str(&w, "reason", STR("events were missed: read the state anew"));
    json_end(&w);
    (void)json_finish(&w);
    buf_str(out, STR("\n\n"));
}

/* Sends what there is for this client, up to BYTES_A_TURN. The stream may have ended then. */
static void advance(stream *s)
{
    channel *ch = s->channel;
    buf *out = &ch->out;
    uint64_t at = s->at;

    if (s->blocked)
        return;
    if (s->beat && !may_stay(s->call)) {
        end(s);
        return;
    }
    buf_reset(out);
    if (at < ch->first) {
        put_reset(ch, out);
        at = ch->next;
    }
    for (; at < ch->next && out->n < BYTES_A_TURN; at++)
        buf_put(out, ch->ring[at % CHANNEL_EVENTS].p, ch->ring[at % CHANNEL_EVENTS].n);
    if (out->n == 0 && s->beat)
        buf_str(out, STR(":\n\n"));
    if (out->n == 0 || !EXPECT(out->err == 0))
        return;
    const int r = http_stream_send(s->call->req, buf_view(out));
    if (r == -EPIPE) {
        end(s);
        return;
    }
    s->blocked = r == -EAGAIN;
    if (!s->blocked) {
        s->at = at;
        s->beat = false;
    }
}

static bool has_work(const channel *ch)
{
    for (list *l = ch->streams.next; l != &ch->streams; l = l->next) {
        const stream *s = CONTAINER_OF(l, stream, link);
        if (!s->blocked && s->at < ch->next)
            return true;
    }
    return false;
}

static void on_pump(post *p)
{
    channel *ch = CONTAINER_OF(p, channel, pump);

    ch->pump_posted = false;
    for (size_t i = 0; i < STREAMS_A_TURN && ch->to_visit > 0; i++) {
        list *l = list_pop(&ch->streams);
        ch->to_visit--;
        if (!l)
            continue; /* some have left since */
        list_push(&ch->streams, l);
        advance(CONTAINER_OF(l, stream, link));
    }
    if (ch->to_visit > 0)
        post_pump(ch);
    else if (has_work(ch))
        wake(ch);
}

static void on_beat(timer *t)
{
    channel *ch = CONTAINER_OF(t, channel, beat);

    for (list *l = ch->streams.next; l != &ch->streams; l = l->next)
        CONTAINER_OF(l, stream, link)->beat = true;
    wake(ch);
    (void)loop_timer_set(ch->loop, t, CHANNEL_BEAT_MS, on_beat); /* it was set, so there is room for it */
}

static void on_stream_gone(http_request *req)
{
    call *c = req->user;

    end(c->user);
}

static void on_stream_writable(http_request *req)
{
    call *c = req->user;
    stream *s = c->user;

    s->blocked = false;
    if (s->beat || s->at < s->channel->next)
        wake(s->channel);
}

/* ---- the reply ---- */
static size_t streams_of(const channel *ch, const access_grant *g)
{
    size_t n = 0;

    for (list *l = ch->streams.next; l != &ch->streams; l = l->next) {
        const access_grant *other = &CONTAINER_OF(l, stream, link)->call->grant;
        n += other->has_key == g->has_key && memcmp(other->identity, g->identity, sizeof(g->identity)) == 0;
    }
    return n;
}

/* True when there are too many already, and the client knows. */
static bool turn_away(call *c, const channel *ch)
{
    const access_grant *g = &c->grant;

    if (ch->n_streams < CHANNEL_STREAMS && (g->concurrent == 0 || streams_of(ch, g) < (uint64_t)g->concurrent))
        return false;
    reply_header(c, STR("Retry-After"), STR("15"));
    if (ch->n_streams >= CHANNEL_STREAMS)
        (void)reply_error(c, 503, "The server has as many event streams as it may");
    else
        (void)reply_error(c, 429, "Rate limit exceeded. Maximum %lld event streams per user", (long long)g->concurrent);
    return true;
}

/* The first bytes: how soon to come back, and where the stream stands, for who is cut off before the first event. */
static int greet(stream *s, str last_id)
{
    channel *ch = s->channel;
    char id[ID_MAX + 1];
    buf *out = &ch->out;

    buf_reset(out);
    buf_printf(out, "retry: %d\n", RETRY_MS);
    s->at = ch->next;
    if (last_id.n && !place_of(ch, last_id, &s->at)) {
        put_reset(ch, out);
    } else {
        (void)put_id(ch, s->at - 1, id);
        buf_printf(out, "id: %s\n\n", id);
    }
    return http_stream_send(s->call->req, buf_view(out));
}

static int open_stream(call *c, http_reply *rep)
{
    reply_header(c, STR("Cache-Control"), STR("no-store"));
    reply_header(c, STR("X-Accel-Buffering"), STR("no")); /* nginx: don't wait for more */
    route_open(c, rep);
    return http_stream_begin(c->req, rep);
}

int reply_stream(call *c, channel *ch)
{
    http_reply rep = {.status = 200, .content_type = STR("text/event-stream")};
    stream *s;

    if (turn_away(c, ch))
        return 0;
    s = arena_new(c->arena, stream);
    if (!s || call_defer(c) < 0)
        return -ENOMEM;
    if (ch->n_streams == 0 && loop_timer_set(ch->loop, &ch->beat, CHANNEL_BEAT_MS, on_beat) < 0)
        return -ENOMEM;
    s->channel = ch;
    s->call = c;
    c->user = s;
    c->req->on_gone = on_stream_gone;
    c->req->on_writable = on_stream_writable;
    list_push(&ch->streams, &s->link);
    ch->n_streams++;
    int r = open_stream(c, &rep);
    if (r == 0)
        r = greet(s, http_header_of(c->req, HTTP_H_LAST_EVENT_ID));
    if (r < 0 || c->req->method == HTTP_M_HEAD)
        end(s);
    else if (s->at < ch->next)
        wake(ch);
    return 0;
}

/* ---- life ---- */
int channel_new(loop *l, channel **ret_channel)
{
    channel *ch = mem_new(channel);
    uint8_t random[RUN_LEN / 2];

    if (!ch || !buf_reserve(&ch->out, OUT_MAX)) {
        mem_free(ch);
        return -ENOMEM;
    }
    ch->loop = l;
    random_bytes(random, sizeof(random));
    hex_encode(random, sizeof(random), ch->run);
    ch->first = ch->next = 1;
    list_init(&ch->streams);
    ch->pump.fn = on_pump;
    *ret_channel = ch;
    return 0;
}

size_t channel_streams(const channel *ch)
{
    return ch->n_streams;
}

void channel_free(channel *ch)
{
    if (!ch)
        return;
    REQUIRE(ch->n_streams == 0);
    forget_all(ch);
    buf_done(&ch->out);
    mem_free(ch);
}
