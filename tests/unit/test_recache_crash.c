/* kill -9 at random moments under load, 20 times on one store: nothing that was accepted is lost, nothing is stored
 * half. Who works and who checks are processes of their own. */
#include "unit.h"

#include "domains/recache/queue.h"
#include "larder/hash.h"
#include "recache_world.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#define ROUNDS 20
#define AT_ONCE 100 /* URLs of a request */

static recache_world w;
static const uint16_t DESKTOP = 1;

static void url_of(unsigned request, unsigned i, char out[64])
{
    snprintf(out, 64, "https://www.1.example/%u/%u", request, i);
}

/* ---- who works ---- */
static world_answer decide(recache_world *world, const render_op *op)
{
    static const world_answer ANSWERS[] = {
        {.result = RENDER_OK, .status = 200, .html = "<html>a page</html>", .takes_ms = 40},
        {.result = RENDER_OK, .status = 200, .html = "<html>a page that takes longer</html>", .takes_ms = 400},
        {.result = RENDER_OK, .status = 301, .final_url = "https://www.1.example/", .takes_ms = 40},
        {.result = RENDER_FAILED_FOR_NOW, .error_type = "network_error", .takes_ms = 40},
        {.result = RENDER_FAILED, .error_type = "invalid_url", .takes_ms = 40},
    };

    (void)world;
    (void)op;
    const uint64_t luck = random_below(20);
    return ANSWERS[luck < 12 ? 0 : luck < 15 ? 1 : luck < 17 ? 2 : luck < 19 ? 3 : 4];
}

static void request(unsigned number)
{
    static char texts[AT_ONCE][64];
    static str urls[AT_ONCE];
    recache_task t = {
        .host_id = 1, .urls = {urls, AT_ONCE}, .dimensions = &DESKTOP, .n_dimensions = 1, .priority = number % 2};

    for (unsigned i = 0; i < AT_ONCE; i++) {
        url_of(number, i, texts[i]);
        urls[i] = str_c(texts[i]);
    }
    assert_int_equal(world_task(&w, &t, recache_enqueue), 0);
}

/* Tells each request that was accepted, until it is killed. */
static void work(const char *dir, unsigned from, int told)
{
    world_begin_in(&w, 1, dir);
    w.tabs = 40;
    w.decide = decide;
    for (unsigned number = from;; number++) {
        request(number);
        if (write(told, &number, sizeof(number)) != (ssize_t)sizeof(number))
            _exit(1);
        for (int i = 0; i < 10; i++)
            world_turn(&w, 20);
    }
}

/* ---- who checks ---- */
static void check_file(arena *a, const recache_page *p)
{
    char html[128], path[256];
    uint8_t digest[SHA256_LEN];
    char hex[HEX_LEN(16)];

    if (!p->file.p)
        return;
    snprintf(path, sizeof(path), STR_FMT, STR_ARG(recache_page_path(a, str_c(w.pages), p, true)));
    gzFile f = gzopen(path, "rb");
    assert_non_null(f);
    const int n = gzread(f, html, sizeof(html));
    gzclose(f);
    assert_int_equal(n, p->size);
    sha256(html, (size_t)n, digest);
    hex_encode(digest, sizeof(hex) / 2, hex);
    assert_true(str_eq(p->etag, str_of(hex, sizeof(hex))));
}

static bool is_queued(store_view *v, uint64_t hash)
{
    store_cursor *c;
    store_item item;
    recache_entry e;
    bool found = false;

    assert_int_equal(store_walk(v, &recache_queue_ks, STORE_BY_KEY, STR_NULL, STR_NULL, false, &c), 0);
    while (!found && store_next(c, &item)) {
        assert_int_equal(queue_decode(item.key, item.value, &e), 0);
        found = e.host == 1 && e.hash == hash && e.dimension == DESKTOP;
    }
    store_cursor_end(c);
    return found;
}

static bool is_dead(store_view *v, uint64_t hash)
{
    char key[URL_KEY_LEN];

    url_key(1, hash, DESKTOP, key);
    return store_has(v, &recache_dead_ks, str_of(key, sizeof(key)));
}

static void check_entry(arena *a, store_view *v, unsigned number, unsigned i)
{
    recache_page p = {0};
    recache_url u;
    char url[64];
    str why;

    url_of(number, i, url);
    assert_int_equal(recache_url_parse(a, str_c(url), (strs){NULL, 0}, &u, &why), 0);
    const int r = recache_page_load(v, a, 1, DESKTOP, u.hash, &p);
    assert_true(r == 0 || r == -ENOENT);
    if (r == 0)
        check_file(a, &p);
    /* each request has URLs of its own: one end for each */
    assert_int_equal((r == 0) + is_queued(v, u.hash) + is_dead(v, u.hash), 1);
}

static void check(const char *dir, unsigned accepted, bool drain)
{
    arena a;

    world_begin_in(&w, 1, dir);
    w.tabs = drain ? 40 : 0;
    w.decide = decide;
    if (drain)
        assert_true(world_drain(&w, MINUTES(60)));
    assert_int_equal(check_faults(w.store, NULL), 0);
    arena_init(&a, 0);
    store_view *v = store_read_begin(w.store);
    for (unsigned number = 0; number < accepted; number++) {
        for (unsigned i = 0; i < AT_ONCE; i++)
            check_entry(&a, v, number, i);
        arena_reset(&a);
    }
    if (drain)
        assert_int_equal(store_count(v, &recache_queue_ks), 0);
    store_read_end(v);
    arena_done(&a);
    world_leave(&w);
}

/* ---- processes ---- */
static char scratch[64];
static unsigned check_accepted;
static bool check_drains;

static void test_check(void **state)
{
    (void)state;
    check(scratch, check_accepted, check_drains);
}

static void run_check(unsigned accepted, bool drain)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_check)};
    int status = 0;

    check_accepted = accepted;
    check_drains = drain;
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(cmocka_run_group_tests(tests, NULL, NULL));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Returns the number of the next request. */
static unsigned work_and_kill(unsigned from)
{
    const unsigned requests = 1 + (unsigned)random_below(6);
    unsigned accepted = from;
    int ends[2], status;

    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        work(scratch, from, ends[1]);
    }
    close(ends[1]);
    for (unsigned i = 0; i < requests; i++) {
        unsigned number;
        assert_int_equal(read(ends[0], &number, sizeof(number)), sizeof(number));
        accepted = number + 1;
    }
    usleep((unsigned)random_below(40000));
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    for (unsigned number; read(ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number);)
        accepted = number + 1;
    close(ends[0]);
    return accepted;
}

static void test_nothing_accepted_is_lost_and_nothing_is_stored_half(void **state)
{
    unsigned accepted = 0;

    (void)state;
    scratch_folder(scratch);
    for (int round = 0; round < ROUNDS; round++) {
        /* the request that was under way may be queued in part: the next ones begin behind it */
        const unsigned before = accepted;
        accepted = work_and_kill(before);
        run_check(accepted, false);
    }
    run_check(accepted, true);
    print_message("crash: killed %d times, %u entries, all accounted for\n", ROUNDS, accepted * AT_ONCE);
    remove_folder(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_accepted_is_lost_and_nothing_is_stored_half),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
