/* See hub.h. */
#include "hub.h"

#include <stdio.h>

void hub_open(hub *h, str token)
{
    world_open(&h->w, NULL);
    github_options o = {.api_url = h->w.peer.url, .token = token, .max_entries = 4, .max_archive_bytes = 1 << 20};
    assert_int_equal(github_new(h->w.loop, h->w.client, &o, &h->github), 0);
}

void hub_close(hub *h)
{
    world_close_client(&h->w);
    github_free(h->github);
    world_close(&h->w);
}

void hub_answers(hub *h, size_t n, const peer_step *steps)
{
    assert_true(n <= COUNT_OF(h->steps));
    memcpy(h->steps, steps, n * sizeof(*steps));
    h->w.peer.steps = h->steps;
    h->w.peer.n_steps = n;
    h->w.peer.requests = 0;
}

const char *hub_reply(const char *status, const char *headers, const char *body)
{
    static char texts[8][4096];
    static unsigned at;
    char *text = texts[at++ % 8];
    snprintf(text, sizeof(texts[0]), "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status, headers, strlen(body),
             body);
    return text;
}

static void on_done(github_op *op)
{
    asking *a = CONTAINER_OF(op, asking, op);
    a->done++;
}

asking hub_asking(const char *ref)
{
    return (asking){.op = {.owner = STR("o"), .repo = STR("r.x"), .ref = str_c(ref), .on_done = on_done}};
}

void hub_ask(hub *h, asking *a, hub_starter *start)
{
    assert_int_equal(start(h->github, &a->op), 0);
    assert_int_equal(a->done, 0);
    for (int i = 0; i < 4000 && !a->done; i++) {
        peer_turn(h->w.loop);
        if (i % 10 == 9)
            fake_clk_advance(&h->w.clock, 20); /* for the pauses between tries */
    }
    assert_int_equal(a->done, 1);
}

void asking_done(asking *a)
{
    github_op_done(&a->op);
    github_op_done(&a->op); /* harmless */
    buf_done(&a->pieces);
}

int asking_on_piece(github_op *op, str piece)
{
    asking *a = CONTAINER_OF(op, asking, op);
    buf_str(&a->pieces, piece);
    if (a->pause_after > 0 && a->pieces.n >= a->pause_after)
        github_pause(op);
    return a->refuse;
}
