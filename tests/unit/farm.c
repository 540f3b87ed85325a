/* See farm.h. */
#include "farm.h"

#include <stdio.h>

static void on_request(peer *p, peer_conn *c, str request)
{
    farmer *x = p->user;
    if (str_starts(request, STR("GET /health "))) {
        x->polls++;
        if (x->health)
            peer_say(c, str_c(x->health[0] ? farm_json("200 OK", x->health) : farm_json("500 Broken", "{}")));
        return;
    }
    assert_true(str_starts(request, STR("POST /render ")));
    x->renders++;
    snprintf(x->asked, sizeof(x->asked), STR_FMT, STR_ARG(request));
    if (!x->say) {
        assert_true(x->n_held < COUNT_OF(x->held));
        x->held[x->n_held++] = c;
        return;
    }
    peer_say(c, str_of(x->say, x->n));
    if (x->then != PEER_KEEP)
        peer_end(c, x->then);
}

static void on_capacity(void *arg)
{
    ((farm *)arg)->told++;
}

void farm_open(farm *f, size_t n)
{
    *f = (farm){.n = n};
    world_open(&f->w, NULL);
    for (size_t i = 0; i < n; i++) {
        farmer *x = &f->farmers[i];
        x->health = "{\"status\":\"ok\",\"pool_size\":10,\"available_instances\":10,\"active_instances\":0}";
        x->peer.on_request = on_request;
        x->peer.user = x;
        peer_open(&x->peer, f->w.loop);
        f->services[i].url = str_c(x->peer.url);
    }
    f->options = (render_options){
        .services = f->services, .n_services = n, .allow_private = true, .on_capacity = on_capacity, .arg = f};
}

void farm_start(farm *f)
{
    assert_int_equal(render_fleet_new(f->w.loop, &f->options, &f->fleet), 0);
    for (size_t i = 0; i < f->n; i++)
        if (f->farmers[i].health)
            peer_run_until(f->w.loop, farm_service(f, i).heard_at > 0);
}

static void on_closed(void *arg)
{
    ((farm *)arg)->closed = true;
}

void farm_close_fleet(farm *f)
{
    f->closed = false;
    render_fleet_close(f->fleet, on_closed, f);
    assert_false(f->closed); /* only on the loop */
    peer_run_until(f->w.loop, f->closed);
    f->fleet = NULL;
}

void farm_close(farm *f)
{
    mem_fail_at(-1);
    if (f->fleet)
        farm_close_fleet(f);
    for (size_t i = 0; i < f->n; i++)
        peer_close(&f->farmers[i].peer);
    world_close(&f->w);
}

void farm_pass(farm *f, int64_t ms)
{
    world_pass(&f->w, ms);
}

buf farm_frame(const char *json, str html)
{
    buf b = BUF_INIT;
    const uint32_t n = (uint32_t)strlen(json) + 2;
    const char prefix[4] = {(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
    buf_printf(&b, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
               4 + n + html.n);
    buf_put(&b, prefix, 4);
    buf_printf(&b, "{%s}", json);
    buf_str(&b, html);
    assert_int_equal(b.err, 0);
    return b;
}

void farm_says(farm *f, size_t i, const buf *answer)
{
    f->farmers[i].say = answer->p;
    f->farmers[i].n = answer->n;
}

const char *farm_json(const char *status, const char *json)
{
    static char texts[8][4096];
    static unsigned at;
    char *text = texts[at++ % 8];
    snprintf(text, sizeof(texts[0]), "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             status, strlen(json), json);
    return text;
}

static int on_head(render_op *op)
{
    page *p = CONTAINER_OF(op, page, op);
    assert_int_equal(p->done, 0);
    assert_int_equal(p->html.n, 0);
    p->heads++;
    return p->refuse_head;
}

static int on_piece(render_op *op, str html)
{
    page *p = CONTAINER_OF(op, page, op);
    assert_int_equal(p->heads, 1);
    assert_int_equal(p->done, 0);
    assert_true(html.n > 0);
    buf_str(&p->html, html);
    if (p->pause_after > 0 && p->html.n >= p->pause_after)
        render_pause(op);
    if (p->cancel_at_piece)
        render_cancel(op);
    return p->refuse_piece;
}

static void on_done(render_op *op)
{
    CONTAINER_OF(op, page, op)->done++;
}

void page_init(page *p, const char *url)
{
    *p = (page){.op = {.url = str_c(url),
                       .user_agent = STR("Bot/1"),
                       .timeout_ms = 15000,
                       .width = 1920,
                       .height = 1080,
                       .extra_wait_ms = 250,
                       .wait_for = STR("networkIdle"),
                       .on_head = on_head,
                       .on_piece = on_piece,
                       .on_done = on_done}};
}

int page_start(page *p, farm *f)
{
    const int r = render_start(f->fleet, &p->op);
    assert_int_equal(p->done, 0);
    return r;
}

void page_wait(page *p, farm *f)
{
    peer_run_until(f->w.loop, p->done > 0);
    assert_int_equal(p->done, 1);
}

void page_run(page *p, farm *f)
{
    assert_int_equal(page_start(p, f), 0);
    page_wait(p, f);
}

void page_done(page *p)
{
    render_op_done(&p->op);
    render_op_done(&p->op); /* harmless */
    buf_done(&p->html);
}

typedef struct wanted {
    size_t left;
    bool found;
    render_service row;
} wanted;

static void on_row(void *arg, const render_service *s)
{
    wanted *w = arg;
    if (w->left-- == 0) {
        w->row = *s;
        w->found = true;
    }
}

render_service farm_service(farm *f, size_t i)
{
    wanted w = {.left = i};
    render_fleet_services(f->fleet, on_row, &w);
    assert_true(w.found);
    return w.row;
}
