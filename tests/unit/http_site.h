/* A server on a real loop and a fake clock, with clients on real sockets, all in one thread: a client's call turns the
 * loop while it waits. */
#ifndef LARDER_TESTS_HTTP_SITE_H
#define LARDER_TESTS_HTTP_SITE_H

#include "unit.h"

#include "larder/http.h"

#define SITE_HELD 64

typedef struct site site;
struct site {
    loop *loop;
    fake_clk clock;
    http_options options;
    http_server *server;
    arena arena;
    net_listen where;
    str url;
    /* What a request to an unknown path does. The known ones: /hello, /echo (the body), /bytes/N, /later (held until
     * site_answer). */
    void (*handler)(site *w, http_request *req);
    int (*on_head)(site *w, http_request *req, size_t *ret_max_body);
    http_request *held[SITE_HELD];
    size_t n_held;
    int gone, replied, drained;
    int last_status;
    size_t last_bytes;
};

/* Options are set before; site_init gives usual ones. */
void site_init(site *w);
void site_open(site *w);
void site_drain(site *w);
void site_close(site *w); /* drains, cuts, and wants nothing left */

int site_connect(site *w);
void site_send(site *w, int fd, str bytes);
void site_turn(site *w, int turns);
void site_pass(site *w, int64_t ms); /* time goes by */
/* Reads what the server sends, after what is in `into`: until it holds `text` (NULL: until the stream's end). Fails the
 * test when that doesn't come. True at the end of the stream. */
bool site_read_until(site *w, int fd, buf *into, const char *text);
/* The same until nothing more comes. */
bool site_read(site *w, int fd, buf *into);
/* Sends, reads to the end of the stream, closes; NUL-terminated. The caller frees. */
char *site_ask(site *w, str bytes);
#define ask(w, literal) site_ask((w), STR(literal))
/* Answers the oldest held request. */
void site_answer(site *w, str body);

size_t count_text(const char *in, const char *text);
#define assert_has(text, part) assert_has_at((text), (part), __FILE__, __LINE__)
#define assert_lacks(text, part) assert_int_equal(count_text((text), (part)), 0)
void assert_has_at(const char *text, const char *part, const char *file, int line);

#endif
