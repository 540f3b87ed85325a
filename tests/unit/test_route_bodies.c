/* Bodies of calls: short ones, long ones, and what they may ask for. */
#include "http_site.h"
#include "larder/route.h"
#include "store_fixture.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define THINGS "/api/v1/things"
#define SECRETS "/api/v1/secrets"
#define REPORTS "/api/v1/reports"
#define CAP (1 << 20) /* of bodies, where a row says nothing else */

typedef struct world {
    site site;
    char dir[64];
    store *store;
    access_control *access;
    router *router;
    http_hooks hooks;
} world;

/* ---- the application: one row that tells how many names it was given ---- */
/* clang-format off */
#define NAMES_FIELDS(X, S) \
    X(S, strs, names, REQUIRED, 0, 0, NONE, "names")
SCHEMA_STRUCT(names_in, NAMES_FIELDS);
SCHEMA(names_in, NAMES_FIELDS, "Names");
/* clang-format on */

static const char *body_at;

static void work_nothing(call *c)
{
    (void)c;
}

static int then_done(call *c)
{
    return reply_empty(c, 204);
}

static int post_secrets(call *c)
{
    const names_in *in = c->body;
    body_at = c->req->body.p; /* that of a deferred call has moved */
    return str_eq(in->names.v[0], STR("later")) ? call_job(c, work_nothing, then_done) : then_done(c);
}

static int post_things(call *c)
{
    const names_in *in = c->body;
    const str last = in->names.v[in->names.n - 1];
    if (str_eq(in->names.v[0], STR("forgotten")))
        return 0; /* and that is all */
    if (str_eq(in->names.v[0], STR("unfinished"))) {
        json_object(c->w);
        assert_int_equal(reply_tagged(c, 200, STR("tag")), 0); /* answered, as all reply_... do */
        return 0;
    }
    json_object(c->w);
    json_pair_int(c->w, "n", (int64_t)in->names.n);
    json_pair_str(c->w, "last", last);
    json_end(c->w);
    return reply_json(c, 200);
}

static const family family_of_test = {
    .name = "test",
    .prefix = "/api/v1",
    .error_body = error_body_detail,
    .error = &error_detail_schema,
    .bad_params = 400,
    .bad_body = 422,
    .not_authorised = "no",
};
static const route rows_of_test[] = {
    {HTTP_M_POST, THINGS, &family_of_test, SCOPE_PUBLIC, LIMIT_NONE, .body = &names_in_schema, .handle = post_things,
     .summary = "Things"},
    {HTTP_M_POST, SECRETS, &family_of_test, SCOPE_PUBLIC, LIMIT_NONE, .body = &names_in_schema, .flags = HAS_SECRET,
     .handle = post_secrets, .summary = "Secrets"},
    {HTTP_M_POST, REPORTS, &family_of_test, SCOPE_CACHE_WRITE, LIMIT_CLIENT, .body = &names_in_schema,
     .max_body = 8 * CAP, .handle = post_things, .summary = "Reports"},
};

/* The site's own paths lie elsewhere. */
static world *the_world;
static void pass_on(site *s, http_request *req)
{
    (void)s;
    body_at = req->body.p;
    the_world->hooks.on_request(the_world->hooks.arg, req);
}

static int pass_head_on(site *s, http_request *req, size_t *ret_max_body)
{
    (void)s;
    return the_world->hooks.on_head(the_world->hooks.arg, req, ret_max_body);
}

static int set_up(void **state)
{
    static world w;
    static const route_table table = {rows_of_test, COUNT_OF(rows_of_test)};
    static const family *const families[] = {&family_of_test};
    static keyspace *const spaces[] = {&access_keys_ks};
    const access_options limits = {.per_minute = 1000, .per_hour = 1000, .concurrent = 3};
    store_options o = fixture_options;
    str why;
    memset(&w, 0, sizeof(w));
    the_world = &w;
    site_init(&w.site);
    w.site.options.max_body_bytes = 8 << 20;
    w.site.handler = pass_on;
    site_open(&w.site);
    scratch_folder(w.dir);
    o.dir = w.dir;
    o.keyspaces = spaces;
    o.n_keyspaces = COUNT_OF(spaces);
    assert_int_equal(store_open(&o, NULL, &w.site.arena, &w.store, &why), 0);
    assert_int_equal(access_new(w.store, &w.site.clock.base, &limits, &w.access), 0);
    assert_int_equal(router_new(&(router_options){.loop = w.site.loop,
                                                  .store = w.store,
                                                  .access = w.access,
                                                  .app = &w,
                                                  .tables = &table,
                                                  .n_tables = 1,
                                                  .families = families,
                                                  .n_families = 1},
                                &w.router),
                     0);
    w.hooks = router_hooks(w.router);
    *state = &w;
    return 0;
}

static int tear_down(void **state)
{
    world *w = *state;
    site_close(&w->site);
    router_free(w->router);
    access_free(w->access);
    store_close(w->store, NULL, NULL);
    remove_folder(w->dir);
    return 0;
}

/* ---- clients ---- */
/* {"names":["x", "x", ..., "last"]}; `item` in place of "x". */
static void send_names(world *w, int *ret_fd, const char *item, size_t bytes)
{
    buf body = BUF_INIT, text = BUF_INIT;
    buf_str(&body, STR("{\"names\":["));
    while (body.n < bytes)
        buf_printf(&body, "%s,", item);
    buf_str(&body, STR("\"last\"]}"));
    buf_str(&text, STR("POST " THINGS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"));
    buf_printf(&text, "Content-Length: %zu\r\n\r\n", body.n);
    buf_str(&text, buf_view(&body));
    *ret_fd = site_connect(&w->site);
    site_send(&w->site, *ret_fd, buf_view(&text));
    buf_done(&body);
    buf_done(&text);
}

static void assert_answer(world *w, int fd, const char *status, const char *part)
{
    buf got = BUF_INIT;
    site_read_until(&w->site, fd, &got, NULL);
    assert_has(got.p, status);
    assert_has(got.p, part);
    buf_done(&got);
    close(fd);
}

/* ---- tests ---- */
static void short_and_long_bodies_are_read_alike(void **state)
{
    world *w = *state;
    int fd;
    send_names(w, &fd, "\"x\"", 0);
    assert_answer(w, fd, " 200 OK", "{\"n\":1,\"last\":\"last\"}");
    send_names(w, &fd, "\"x\"", 4 * ROUTE_BODY_ON_LOOP);
    assert_answer(w, fd, " 200 OK", "\"last\":\"last\"}");
    send_names(w, &fd, "7", 4 * ROUTE_BODY_ON_LOOP);
    assert_answer(w, fd, " 422 ", "names[0]: Input should be a valid string");
    send_names(w, &fd, "oops", 4 * ROUTE_BODY_ON_LOOP);
    assert_answer(w, fd, " 400 ", "Invalid JSON at byte ");
}

static void a_body_that_asks_for_much_more_memory_than_it_has_is_refused(void **state)
{
    world *w = *state;
    int fd;
    send_names(w, &fd, "{}", 3000000);
    assert_answer(w, fd, " 413 ", "body: too many values for its size");
    send_names(w, &fd, "\"a name of usual length\"", 3000000);
    assert_answer(w, fd, " 200 OK", "\"last\":\"last\"}");
}

static void a_handler_that_forgets_to_answer_is_found_out(void **state)
{
    world *w = *state;
    int fd;
    send_names(w, &fd, "\"forgotten\"", 12);
    assert_answer(w, fd, " 500 ", "Internal server error");
    assert_int_equal(router_unanswered(w->router), 1);
    send_names(w, &fd, "\"forgotten\"", 4 * ROUTE_BODY_ON_LOOP);
    assert_answer(w, fd, " 500 ", "Internal server error");
    assert_int_equal(router_unanswered(w->router), 2);
}

static void json_that_is_not_finished_is_not_sent(void **state)
{
    world *w = *state;
    int fd;
    send_names(w, &fd, "\"unfinished\"", 12);
    assert_answer(w, fd, " 500 ", "Internal server error");
    assert_int_equal(router_unanswered(w->router), 0);
}

/* A key is tried with each; none sends the body that it announces. */
static void a_head_that_is_refused_counts_as_a_request(void **state)
{
    world *w = *state;
    static const char *const bodies[] = {"Content-Length: 2000000", "Transfer-Encoding: chunked",
                                         "Content-Length: 2000000\r\nExpect: 100-continue"};
    static const char *const left[] = {"X-RateLimit-Remaining: 2\r\n", "X-RateLimit-Remaining: 1\r\n",
                                       "X-RateLimit-Remaining: 0\r\n"};
    const access_options few = {.per_minute = 3, .per_hour = 1000, .concurrent = 1};
    w->site.on_head = pass_head_on;
    w->site.options.max_body_bytes = CAP;
    http_server_set_options(w->site.server, &w->site.options);
    access_set_options(w->access, &few);
    for (size_t i = 0; i < 2 * COUNT_OF(bodies); i++) {
        const bool is_one_too_many = i >= COUNT_OF(left);
        const int fd = site_connect(&w->site);
        buf text = BUF_INIT;
        buf_printf(&text, "POST " REPORTS " HTTP/1.1\r\nHost: a\r\nX-API-Key: lk_guess%zu\r\n%s\r\n\r\n", i,
                   bodies[i % COUNT_OF(bodies)]);
        site_send(&w->site, fd, buf_view(&text));
        buf_reset(&text);
        shutdown(fd, SHUT_WR);
        site_read_until(&w->site, fd, &text, NULL);
        assert_has(text.p, is_one_too_many ? " 429 " : " 401 ");
        assert_has(text.p, is_one_too_many ? "Retry-After: " : "WWW-Authenticate: Bearer\r\n");
        assert_has(text.p, is_one_too_many ? "Maximum 3 requests per minute per user" : left[i]);
        buf_done(&text);
        close(fd);
    }
}

/* The server's read buffer is there as long as the server, so a test may look at what is left in it. */
static void a_secret_does_not_stay_in_the_read_buffer(void **state)
{
    world *w = *state;
    static const char zeros[100];
    static const struct {
        const char *first, *header, *status;
    } cases[] = {{"now", "", " 204 "}, {"later", "", " 204 "}, {"refused", "Origin: http://b\r\n", " 403 "}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char body[100];
        const int n = snprintf(body, sizeof(body), "{\"names\":[\"%s\",\"a secret\"]}", cases[i].first);
        const int fd = site_connect(&w->site);
        buf text = BUF_INIT;
        buf_str(&text, STR("POST " SECRETS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"));
        buf_printf(&text, "%sContent-Length: %d\r\n\r\n%s", cases[i].header, n, body);
        site_send(&w->site, fd, buf_view(&text));
        assert_answer(w, fd, cases[i].status, "");
        assert_memory_equal(body_at, zeros, (size_t)n);
        buf_done(&text);
    }
}

static void note_jobs(void *arg, const char *text)
{
    (void)sscanf(text, "%d jobs under way", (int *)arg);
}

/* When the reply has left, the job that read the body is done. */
static void workers_give_back_a_long_bodys_tree_and_a_very_long_body(void **state)
{
    world *w = *state;
    static const size_t sizes[] = {500000, 5 << 20};
    for (int i = 0; i < 2; i++) {
        int fd, jobs = 0;
        w->site.replied = 0;
        send_names(w, &fd, "\"a name of usual length\"", sizes[i]);
        while (w->site.replied == 0)
            loop_run_once(w->site.loop, true);
        loop_report_handles(w->site.loop, note_jobs, &jobs);
        assert_int_equal(jobs, 1 + i);
        assert_answer(w, fd, " 200 OK", "\"last\":\"last\"}");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(short_and_long_bodies_are_read_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_body_that_asks_for_much_more_memory_than_it_has_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_handler_that_forgets_to_answer_is_found_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_that_is_not_finished_is_not_sent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_head_that_is_refused_counts_as_a_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_secret_does_not_stay_in_the_read_buffer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(workers_give_back_a_long_bodys_tree_and_a_very_long_body, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
