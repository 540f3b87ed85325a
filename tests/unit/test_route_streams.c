/* Channels: what streams get, where they go on, and when they end. */
#include "http_site.h"
#include "larder/route.h"
#include "store_fixture.h"

#include <stdio.h>
#include <unistd.h>

#define EVENTS "/api/v1/events"

typedef struct world {
    site site;
    char dir[64];
    store *store;
    access_control *access;
    router *router;
    http_hooks hooks;
    channel *channel;
    str secret, key_id;
} world;

/* ---- the application: one row ---- */
static int get_events(call *c)
{
    world *w = c->app;
    return reply_stream(c, w->channel);
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
    {HTTP_M_GET, EVENTS, &family_of_test, SCOPE_CACHE_READ, LIMIT_CLIENT, .reply_type = "text/event-stream",
     .handle = get_events, .summary = "Events"},
};

/* The site's own paths lie elsewhere. */
static world *the_world;
static void pass_on(site *s, http_request *req)
{
    (void)s;
    the_world->hooks.on_request(the_world->hooks.arg, req);
}

static void make_key(world *w)
{
    const str scopes[] = {STR("cache:read")};
    const access_key k = {.label = STR("test"), .scopes = {scopes, 1}};
    char *secret = arena_alloc(&w->site.arena, ACCESS_SECRET_LEN + 1);
    access_secret_make(secret);
    assert_int_equal(access_key_add(w->store, &w->site.clock.base, &k, secret, &w->site.arena, &w->key_id), 0);
    w->secret = str_of(secret, ACCESS_SECRET_LEN);
}

static void open_store_of(world *w)
{
    static keyspace *const spaces[] = {&access_keys_ks};
    store_options o = fixture_options;
    str why;
    scratch_folder(w->dir);
    o.dir = w->dir;
    o.keyspaces = spaces;
    o.n_keyspaces = COUNT_OF(spaces);
    assert_int_equal(store_open(&o, NULL, &w->site.arena, &w->store, &why), 0);
}

static int set_up(void **state)
{
    static world w;
    static const route_table table = {rows_of_test, COUNT_OF(rows_of_test)};
    static const family *const families[] = {&family_of_test};
    memset(&w, 0, sizeof(w));
    the_world = &w;
    site_init(&w.site);
    w.site.handler = pass_on;
    site_open(&w.site);
    open_store_of(&w);
    make_key(&w);
    const access_options o = {.per_minute = 1000, .per_hour = 1000, .concurrent = 3};
    assert_int_equal(access_new(w.store, &w.site.clock.base, &o, &w.access), 0);
    assert_int_equal(channel_new(w.site.loop, &w.channel), 0);
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
    assert_int_equal(channel_streams(w->channel), 0);
    channel_free(w->channel);
    router_free(w->router);
    access_free(w->access);
    store_close(w->store, NULL, NULL);
    remove_folder(w->dir);
    return 0;
}

/* ---- clients ---- */
typedef struct client {
    int fd;
    buf got;
} client;

static void ask_for_events(world *w, client *c, const char *last_id)
{
    char text[512];
    const int n =
        snprintf(text, sizeof(text), "GET " EVENTS " HTTP/1.1\r\nHost: a\r\nX-API-Key: " STR_FMT "\r\n%s%s%s\r\n",
                 STR_ARG(w->secret), last_id ? "Last-Event-ID: " : "", last_id ? last_id : "", last_id ? "\r\n" : "");
    *c = (client){.fd = site_connect(&w->site)};
    site_send(&w->site, c->fd, str_of(text, (size_t)n));
}

static void follow(world *w, client *c, const char *last_id)
{
    ask_for_events(w, c, last_id);
    site_read_until(&w->site, c->fd, &c->got, "\nid: ");
    site_read(&w->site, c->fd, &c->got);
    assert_has(c->got.p, "HTTP/1.1 200 OK");
    assert_has(c->got.p, "Content-Type: text/event-stream\r\n");
}

static void leave(world *w, client *c)
{
    close(c->fd);
    site_turn(&w->site, 5);
    buf_done(&c->got);
}

static void wait_for(world *w, client *c, const char *text)
{
    site_read_until(&w->site, c->fd, &c->got, text);
}

static void send_number(world *w, int n)
{
    char text[32];
    channel_send(w->channel, "number", str_of(text, (size_t)snprintf(text, sizeof(text), "{\"n\":%d}", n)));
}

/* The id of the last event that came, as the client would send it. */
static const char *last_id_of(client *c, char out[64])
{
    const char *at = c->got.p, *found = NULL;
    while ((at = strstr(at, "\nid: ")))
        found = at += 5;
    assert_non_null(found);
    (void)snprintf(out, 64, "%.*s", (int)strcspn(found, "\n"), found);
    return out;
}

/* ---- tests ---- */
static void events_reach_all_streams_in_order(void **state)
{
    world *w = *state;
    client a, b;
    follow(w, &a, NULL);
    follow(w, &b, NULL);
    assert_int_equal(channel_streams(w->channel), 2);
    for (int i = 1; i <= 3; i++)
        send_number(w, i);
    wait_for(w, &a, "event: number\ndata: {\"n\":3}\n\n");
    wait_for(w, &b, "event: number\ndata: {\"n\":3}\n\n");
    assert_true(strstr(a.got.p, "{\"n\":1}") < strstr(a.got.p, "{\"n\":2}"));
    assert_int_equal(count_text(a.got.p, "event: "), 3);
    leave(w, &a);
    leave(w, &b);
}

static void what_came_before_a_stream_is_not_told(void **state)
{
    world *w = *state;
    client c;
    send_number(w, 1);
    follow(w, &c, NULL);
    assert_has(c.got.p, "\r\n\r\nretry: 3000\nid: ");
    send_number(w, 2);
    wait_for(w, &c, "{\"n\":2}");
    assert_lacks(c.got.p, "{\"n\":1}");
    leave(w, &c);
}

static void who_comes_back_gets_what_was_missed(void **state)
{
    world *w = *state;
    client c;
    char id[64];
    follow(w, &c, NULL);
    send_number(w, 1);
    wait_for(w, &c, "{\"n\":1}");
    last_id_of(&c, id);
    leave(w, &c);
    send_number(w, 2);
    send_number(w, 3);
    follow(w, &c, id);
    wait_for(w, &c, "{\"n\":3}");
    assert_lacks(c.got.p, "{\"n\":1}");
    assert_has(c.got.p, "{\"n\":2}");
    assert_lacks(c.got.p, "event: reset");
    leave(w, &c);
}

static void the_id_of_a_quiet_stream_is_a_place_too(void **state)
{
    world *w = *state;
    client c;
    char id[64];
    follow(w, &c, NULL);
    last_id_of(&c, id);
    leave(w, &c);
    send_number(w, 1);
    follow(w, &c, id);
    wait_for(w, &c, "{\"n\":1}");
    leave(w, &c);
}

static void an_id_too_old_gets_a_reset_and_then_what_comes(void **state)
{
    world *w = *state;
    client c;
    char id[64];
    follow(w, &c, NULL);
    last_id_of(&c, id);
    leave(w, &c);
    for (int i = 1; i <= CHANNEL_EVENTS + 1; i++)
        send_number(w, i);
    follow(w, &c, id);
    assert_has(c.got.p, "event: reset\ndata: {\"reason\":");
    send_number(w, 5000);
    wait_for(w, &c, "{\"n\":5000}");
    assert_int_equal(count_text(c.got.p, "event: number"), 1);
    leave(w, &c);
}

static void an_id_that_is_none_of_this_run_gets_a_reset(void **state)
{
    world *w = *state;
    static const char *const IDS[] = {"0", "deadbeef-1", "deadbeef", "-1", "deadbeef--5", "x"};
    client c;
    char id[64];
    for (size_t i = 0; i < COUNT_OF(IDS); i++) {
        follow(w, &c, IDS[i]);
        assert_has(c.got.p, "event: reset\n");
        last_id_of(&c, id);
        leave(w, &c);
    }
    const size_t n = strlen(id);
    memcpy(id + n, "9", 2); /* of this run, but not given yet */
    follow(w, &c, id);
    assert_has(c.got.p, "event: reset\n");
    leave(w, &c);
}

static void a_client_that_falls_behind_gets_a_reset(void **state)
{
    world *w = *state;
    static char data[CHANNEL_EVENT_MAX - 200];
    client c;
    follow(w, &c, NULL);
    memset(data, 'x', sizeof(data));
    for (int i = 0; i < 3 * CHANNEL_EVENTS; i++) { /* some 24 MB: more than sockets hold */
        channel_send(w->channel, "big", str_of(data, sizeof(data)));
        site_turn(&w->site, 1);
    }
    assert_int_equal(channel_streams(w->channel), 1);
    wait_for(w, &c, "event: reset\n");
    send_number(w, 1);
    wait_for(w, &c, "{\"n\":1}");
    leave(w, &c);
}

static void an_event_that_is_too_large_is_told_as_a_reset(void **state)
{
    world *w = *state;
    static char data[CHANNEL_EVENT_MAX];
    client c;
    follow(w, &c, NULL);
    memset(data, 'x', sizeof(data));
    channel_send(w->channel, "big", str_of(data, sizeof(data)));
    wait_for(w, &c, "event: reset\n");
    send_number(w, 1);
    wait_for(w, &c, "{\"n\":1}");
    leave(w, &c);
}

static void quiet_streams_get_comments(void **state)
{
    world *w = *state;
    client c;
    follow(w, &c, NULL);
    for (int i = 1; i <= 3; i++) {
        site_pass(&w->site, CHANNEL_BEAT_MS + 250);
        site_read(&w->site, c.fd, &c.got);
        assert_int_equal(count_text(c.got.p, ":\n\n"), i);
    }
    leave(w, &c);
    assert_int_equal(channel_streams(w->channel), 0);
}

static void a_revoked_key_ends_its_streams(void **state)
{
    world *w = *state;
    client c;
    follow(w, &c, NULL);
    assert_int_equal(access_key_revoke(w->store, w->key_id), 0);
    site_pass(&w->site, CHANNEL_BEAT_MS + 250);
    site_read_until(&w->site, c.fd, &c.got, NULL);
    leave(w, &c);
}

/* Three may be under way: three streams, and still three requests. */
static void streams_have_a_limit_of_their_own(void **state)
{
    world *w = *state;
    client c[3], more;
    for (int i = 0; i < 3; i++)
        follow(w, &c[i], NULL);
    ask_for_events(w, &more, NULL);
    site_read_until(&w->site, more.fd, &more.got, "}");
    assert_has(more.got.p, "HTTP/1.1 429 ");
    assert_has(more.got.p, "Retry-After: ");
    assert_has(more.got.p, "{\"detail\":\"Rate limit exceeded. Maximum 3 event streams per user\"}");
    leave(w, &more);
    leave(w, &c[0]);
    follow(w, &more, NULL);
    leave(w, &more);
    leave(w, &c[1]);
    leave(w, &c[2]);
}

static void head_gets_only_the_head(void **state)
{
    world *w = *state;
    client c = {.fd = site_connect(&w->site)};
    buf text = BUF_INIT;
    buf_printf(&text, "HEAD " EVENTS " HTTP/1.1\r\nHost: a\r\nX-API-Key: " STR_FMT "\r\n\r\n", STR_ARG(w->secret));
    site_send(&w->site, c.fd, buf_view(&text));
    site_read_until(&w->site, c.fd, &c.got, NULL);
    assert_has(c.got.p, "200 OK");
    assert_has(c.got.p, "text/event-stream");
    assert_lacks(c.got.p, "retry:");
    assert_int_equal(channel_streams(w->channel), 0);
    buf_done(&text);
    leave(w, &c);
}

static void draining_ends_streams(void **state)
{
    world *w = *state;
    client c;
    follow(w, &c, NULL);
    site_drain(&w->site);
    site_read_until(&w->site, c.fd, &c.got, NULL);
    leave(w, &c);
    assert_int_equal(w->site.drained, 1);
    send_number(w, 1); /* rooms that stop later may still tell */
}

static void without_memory_for_an_event_streams_are_reset(void **state)
{
    world *w = *state;
    client c;
    follow(w, &c, NULL);
    mem_fail_at(0);
    send_number(w, 1);
    mem_fail_at(-1);
    wait_for(w, &c, "event: reset\n");
    leave(w, &c);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_reach_all_streams_in_order),
        TEST(what_came_before_a_stream_is_not_told),
        TEST(who_comes_back_gets_what_was_missed),
        TEST(the_id_of_a_quiet_stream_is_a_place_too),
        TEST(an_id_too_old_gets_a_reset_and_then_what_comes),
        TEST(an_id_that_is_none_of_this_run_gets_a_reset),
        TEST(a_client_that_falls_behind_gets_a_reset),
        TEST(an_event_that_is_too_large_is_told_as_a_reset),
        TEST(quiet_streams_get_comments),
        TEST(a_revoked_key_ends_its_streams),
        TEST(streams_have_a_limit_of_their_own),
        TEST(head_gets_only_the_head),
        TEST(draining_ends_streams),
        TEST(without_memory_for_an_event_streams_are_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
