/* A server on a real loop and a fake clock, with clients on real sockets, all in one thread: a client's call turns the
 * loop while it waits. */
#ifndef LARDER_TESTS_HTTP_WORLD_H
#define LARDER_TESTS_HTTP_WORLD_H

#include "unit.h"

#include "larder/http.h"

#define WORLD_HELD 64

typedef struct world world;
struct world {
    loop *loop;
    fake_clk clock;
    http_options options;
    http_server *server;
    arena arena;
    net_listen where;
    str url;
    /* What a request to an unknown path does. The known ones: /hello, /echo (the body), /bytes/N, /later (held until
     * world_answer). */
    void (*handler)(world *w, http_request *req);
    int (*on_head)(world *w, http_request *req, size_t *ret_max_body);
    http_request *held[WORLD_HELD];
    size_t n_held;
    int gone, replied, drained;
    int last_status;
    size_t last_bytes;
};

/* Options are set before; world_init gives usual ones. */
void world_init(world *w);
void world_open(world *w);
void world_drain(world *w);
void world_close(world *w); /* drains, cuts, and wants nothing left */

int world_connect(world *w);
void world_send(world *w, int fd, str bytes);
void world_turn(world *w, int turns);
void world_pass(world *w, int64_t ms); /* time goes by */
/* Reads what the server sends, after what is in `into`: until it holds `text` (NULL: until the end of the stream). Fails the test
 * when that doesn't come. True at the end of the stream. */
bool world_read_until(world *w, int fd, buf *into, const char *text);
/* The same until nothing more comes. */
bool world_read(world *w, int fd, buf *into);
/* Sends, reads to the end of the stream, closes; NUL-terminated. The caller frees. */
char *world_ask(world *w, str bytes);
#define ask(w, literal) world_ask((w), STR(literal))
/* Answers the oldest held request. */
void world_answer(world *w, str body);

size_t count_text(const char *in, const char *text);
#define assert_has(text, part) assert_has_at((text), (part), __FILE__, __LINE__)
#define assert_lacks(text, part) assert_int_equal(count_text((text), (part)), 0)
void assert_has_at(const char *text, const char *part, const char *file, int line);

#endif
