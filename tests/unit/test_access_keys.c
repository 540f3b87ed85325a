/* Who may: keys, scopes, open families, and the address behind proxies. */
#include "unit.h"

#include "larder/access.h"
#include "larder/record.h"
#include "store_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static keyspace *const keyspaces[] = {&access_keys_ks};
static const store_options store_of_keys = {
    .max_size = 64 * MIB, .keyspaces = keyspaces, .n_keyspaces = COUNT_OF(keyspaces), .schema_version = 1};
static const access_options defaults = {.per_minute = 100, .per_hour = 5000, .concurrent = 10};

typedef struct world {
    char dir[64];
    store *store;
    fake_clk clock;
    access_control *access;
    arena arena;
    access_grant grant; /* of the last request */
} world;

static store *open_store(const char *dir)
{
    store_options o = store_of_keys;
    store *s = NULL;
    str why = STR_NULL;
    SCOPED(arena_done)
    arena a;
    arena_init(&a, 0);
    o.dir = dir;
    if (store_open(&o, NULL, &a, &s, &why) < 0)
        print_error("store_open: " STR_FMT "\n", STR_ARG(why));
    return s;
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    scratch_folder(w->dir);
    w->store = open_store(w->dir);
    assert_non_null(w->store);
    fake_clk_init(&w->clock, 1750000000000);
    arena_init(&w->arena, 0);
    assert_int_equal(access_new(w->store, &w->clock.base, &defaults, &w->access), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    access_free(w->access);
    arena_done(&w->arena);
    store_close(w->store, NULL, NULL);
    remove_folder(w->dir);
    free(w);
    return 0;
}

/* ---- helpers ---- */
/* A key with these scopes, at most 4: "sources:read metrics". The secret lives in the arena. */
static str new_key(world *w, const char *scopes, const access_key *limits, str *ret_id)
{
    access_key k = limits ? *limits : (access_key){0};
    char *secret = arena_alloc(&w->arena, ACCESS_SECRET_LEN + 1);
    str words[4], rest = str_c(scopes), id;
    size_t n = 0;
    while (n < COUNT_OF(words) && str_cut(&rest, ' ', &words[n]))
        n++;
    k.label = STR("a test's");
    k.scopes = (strs){words, n};
    access_secret_make(secret);
    assert_int_equal(access_key_add(w->store, &w->clock.base, &k, secret, &w->arena, &id), 0);
    if (ret_id)
        *ret_id = id;
    return str_of(secret, ACCESS_SECRET_LEN);
}

static int admit(world *w, const http_request *req, access_scope need, bool open)
{
    store_view *v = store_read_begin(w->store);
    const int r = access_admit(w->access, req, v, need, open, &w->grant);
    store_read_end(v);
    return r;
}

static http_request with_header(http_known header, str value)
{
    http_request req = {0};
    req.known[header] = value;
    return req;
}

static int try_bearer(world *w, str secret, access_scope need)
{
    const http_request req =
        with_header(HTTP_H_AUTHORIZATION, arena_printf(&w->arena, "Bearer " STR_FMT, STR_ARG(secret)));
    return admit(w, &req, need, false);
}

static net_addr address(const char *text)
{
    net_addr a = {0};
    assert_int_equal(net_addr_parse(str_c(text), &a), 0);
    return a;
}

/* ---- the secret ---- */
static void a_key_is_admitted_by_either_header(void **state)
{
    world *w = *state;
    const str secret = new_key(w, "cache:read", NULL, NULL);
    static const char *const PREFIXES[] = {"Bearer ", "bearer ", "BEARER ", "Bearer   "};

    for (size_t i = 0; i < COUNT_OF(PREFIXES); i++) {
        const http_request req =
            with_header(HTTP_H_AUTHORIZATION, arena_printf(&w->arena, "%s" STR_FMT, PREFIXES[i], STR_ARG(secret)));
        assert_int_equal(admit(w, &req, SCOPE_CACHE_READ, false), 0);
        assert_true(w->grant.has_key);
    }
    http_request req = with_header(HTTP_H_X_API_KEY, secret);
    assert_int_equal(admit(w, &req, SCOPE_CACHE_READ, false), 0);
    req.known[HTTP_H_AUTHORIZATION] = STR("Basic bmdpbng6cHJveHk="); /* for the proxy in front */
    assert_int_equal(admit(w, &req, SCOPE_CACHE_READ, false), 0);
}

static void what_is_no_key_of_ours_is_refused(void **state)
{
    world *w = *state;
    const str secret = new_key(w, "admin", NULL, NULL);
    char other[ACCESS_SECRET_LEN];

    for (size_t i = 0; i < sizeof(other); i++) { /* each character counts */
        memcpy(other, secret.p, sizeof(other));
        other[i] = other[i] == 'A' ? 'B' : 'A';
        assert_int_equal(try_bearer(w, str_of(other, sizeof(other)), SCOPE_CACHE_READ), -EACCES);
        assert_false(w->grant.has_key);
    }
    assert_int_equal(try_bearer(w, str_head(secret, ACCESS_SECRET_LEN - 1), SCOPE_CACHE_READ), -EACCES);
    assert_int_equal(try_bearer(w, STR(""), SCOPE_CACHE_READ), -EACCES);
    assert_int_equal(try_bearer(w, arena_printf(&w->arena, STR_FMT "A", STR_ARG(secret)), SCOPE_CACHE_READ), -EACCES);
    http_request req = with_header(HTTP_H_AUTHORIZATION, secret); /* no scheme */
    assert_int_equal(admit(w, &req, SCOPE_CACHE_READ, false), -EACCES);
    req = with_header(HTTP_H_X_API_KEY, STR(""));
    assert_int_equal(admit(w, &req, SCOPE_CACHE_READ, false), -EACCES);
    req = (http_request){0};
    assert_int_equal(admit(w, &req, SCOPE_CACHE_READ, false), -EACCES);
    assert_int_equal(try_bearer(w, secret, SCOPE_CACHE_READ), 0);
}

static void secrets_are_long_and_never_twice_the_same(void **state)
{
    char one[ACCESS_SECRET_LEN + 1], two[ACCESS_SECRET_LEN + 1];
    bool seen[256] = {false};
    size_t different = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        access_secret_make(one);
        access_secret_make(two);
        assert_int_equal(strlen(one), ACCESS_SECRET_LEN);
        assert_memory_equal(one, "lk_", 3);
        assert_string_not_equal(one, two);
        assert_int_equal(strspn(one + 3, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), 43);
        for (const char *c = one + 3; *c; c++)
            seen[(unsigned char)*c] = true;
    }
    for (size_t i = 0; i < sizeof(seen); i++)
        different += seen[i];
    assert_int_equal(different, 64);
}

static void nothing_of_a_secret_is_in_the_store_s_files(void **state)
{
    static const char *const FILES[] = {"data.mdb", "lock.mdb"};
    world *w = *state;
    const str secret = new_key(w, "admin", NULL, NULL);
    size_t looked_at = 0;

    assert_int_equal(try_bearer(w, secret, SCOPE_ADMIN), 0);
    for (size_t i = 0; i < COUNT_OF(FILES); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", w->dir, FILES[i]);
        FILE *f = fopen(path, "re");
        if (!f)
            continue;
        char *bytes = malloc(4 * MIB);
        const size_t n = fread(bytes, 1, 4 * MIB, f);
        fclose(f);
        looked_at += n;
        assert_null(memmem(bytes, n, secret.p + 3, 12));
        assert_null(memmem(bytes, n, secret.p + secret.n - 12, 12));
        free(bytes);
    }
    assert_true(looked_at > 4096);
}

/* ---- the table of known keys ---- */
static void more_keys_than_the_table_holds_are_all_known(void **state)
{
    enum { N = 1500 }; /* the table has 1,024 places */
    world *w = *state;
    static str secrets[N];

    for (size_t i = 0; i < N; i++)
        secrets[i] = new_key(w, i % 2 ? "cache:read" : "sources:read", NULL, NULL);
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(try_bearer(w, secrets[i], SCOPE_CACHE_READ), i % 2 ? 0 : -EPERM);
            assert_int_equal(try_bearer(w, secrets[i], SCOPE_SOURCES_READ), i % 2 ? -EPERM : 0);
        }
}

static void a_revoked_key_is_refused_at_once(void **state)
{
    world *w = *state;
    str id, other_id;
    const str secret = new_key(w, "admin", NULL, &id), other = new_key(w, "admin", NULL, &other_id);

    assert_int_equal(id.n, ACCESS_ID_LEN);
    assert_int_equal(try_bearer(w, secret, SCOPE_ADMIN), 0);
    assert_int_equal(access_key_revoke(w->store, id), 0);
    assert_int_equal(try_bearer(w, secret, SCOPE_ADMIN), -EACCES);
    assert_int_equal(try_bearer(w, other, SCOPE_ADMIN), 0);
    assert_int_equal(access_key_revoke(w->store, id), -ENOENT);
    assert_int_equal(access_key_revoke(w->store, STR("000000000000")), -ENOENT);
    assert_int_equal(access_key_revoke(w->store, str_head(other_id, ACCESS_ID_LEN - 2)), -ENOENT);
    assert_int_equal(access_key_revoke(w->store, STR("not a hex id")), -ENOENT);
    assert_int_equal(access_key_revoke(w->store, STR("")), -ENOENT);
    assert_int_equal(try_bearer(w, other, SCOPE_ADMIN), 0);
}

static void revoke_in_another_process(const char *dir, const char *id)
{
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/proc/self/exe", "test_access_keys", dir, id, (char *)NULL);
        _exit(9);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_key_revoked_by_another_process_is_refused_at_once(void **state)
{
    world *w = *state;
    str id;
    const str secret = new_key(w, "admin", NULL, &id);

    assert_int_equal(try_bearer(w, secret, SCOPE_ADMIN), 0);
    revoke_in_another_process(w->dir, id.p);
    assert_int_equal(try_bearer(w, secret, SCOPE_ADMIN), -EACCES);
}

typedef struct listed {
    size_t n;
    str labels, ids;
    arena *arena;
} listed;

static void list_key(void *arg, const access_key *k)
{
    listed *l = arg;
    l->n++;
    l->ids = arena_printf(l->arena, STR_FMT " " STR_FMT, STR_ARG(l->ids), STR_ARG(k->id));
    assert_str(k->label, "a test's");
    assert_int_equal(k->created_at, 1750000000000);
    assert_int_equal(k->scopes.n, 2);
    assert_str(k->scopes.v[1], "metrics");
    assert_int_equal(k->per_minute, 7);
}

static void keys_are_listed_with_what_they_were_made_with(void **state)
{
    world *w = *state;
    str one, two;
    listed l = {.ids = STR(""), .arena = &w->arena};

    new_key(w, "sources:read metrics", &(access_key){.per_minute = 7}, &one);
    new_key(w, "sources:read metrics", &(access_key){.per_minute = 7}, &two);
    store_view *v = store_read_begin(w->store);
    assert_int_equal(access_key_each(v, &w->arena, list_key, &l), 0);
    store_read_end(v);
    assert_int_equal(l.n, 2);
    assert_true(str_find(l.ids, one) >= 0);
    assert_true(str_find(l.ids, two) >= 0);
}

/* ---- scopes ---- */
static void a_key_may_what_its_scopes_say_and_no_more(void **state)
{
    world *w = *state;
    const str admin = new_key(w, "admin", NULL, NULL), none = new_key(w, "", NULL, NULL);
    const str future = new_key(w, "orders:write cache:read", NULL, NULL); /* of a newer version */

    for (unsigned need = 0; need < SCOPE_COUNT; need++) {
        const str only = new_key(w, access_scope_name((access_scope)need), NULL, NULL);
        for (unsigned other = 0; other < SCOPE_COUNT; other++)
            assert_int_equal(try_bearer(w, only, (access_scope)other),
                             other == need || need == SCOPE_ADMIN ? 0 : -EPERM);
        assert_int_equal(try_bearer(w, admin, (access_scope)need), 0);
        assert_int_equal(try_bearer(w, none, (access_scope)need), -EPERM);
        assert_int_equal(try_bearer(w, future, (access_scope)need), need == SCOPE_CACHE_READ ? 0 : -EPERM);
    }
    assert_true(w->grant.has_key); /* refused or not, it is this key's request */
}

static void scopes_have_names_both_ways(void **state)
{
    access_scope s;

    (void)state;
    for (unsigned i = 0; i < SCOPE_COUNT; i++) {
        assert_int_equal(access_scope_parse(str_c(access_scope_name((access_scope)i)), &s), 0);
        assert_int_equal(s, i);
    }
    assert_int_equal(access_scope_parse(STR("public"), &s), -EINVAL); /* not a key's */
    assert_int_equal(access_scope_parse(STR("Admin"), &s), -EINVAL);
    assert_int_equal(access_scope_parse(STR(""), &s), -EINVAL);
}

static void a_key_s_own_limits_are_in_its_grant(void **state)
{
    world *w = *state;
    const str usual = new_key(w, "admin", NULL, NULL);
    const str own = new_key(w, "admin", &(access_key){.per_minute = 3, .per_hour = -1, .concurrent = 1}, NULL);

    assert_int_equal(try_bearer(w, usual, SCOPE_ADMIN), 0);
    assert_int_equal(w->grant.per_minute, 100);
    assert_int_equal(w->grant.per_hour, 5000);
    assert_int_equal(w->grant.concurrent, 10);
    assert_int_equal(try_bearer(w, own, SCOPE_ADMIN), 0);
    assert_int_equal(w->grant.per_minute, 3);
    assert_int_equal(w->grant.per_hour, INT64_MAX);
    assert_int_equal(w->grant.concurrent, 1);
    access_options o = defaults;
    o.per_minute = 50;
    access_set_options(w->access, &o);
    assert_int_equal(try_bearer(w, usual, SCOPE_ADMIN), 0);
    assert_int_equal(w->grant.per_minute, 50);
}

/* ---- open families ---- */
static void an_open_family_wants_no_key_but_no_wrong_one_either(void **state)
{
    world *w = *state;
    const str secret = new_key(w, "cache:read", NULL, NULL); /* lacks the scope */
    http_request req = {0};

    assert_int_equal(admit(w, &req, SCOPE_SOURCES_WRITE, true), 0);
    assert_false(w->grant.has_key);
    assert_int_equal(w->grant.per_minute, 100);
    req = with_header(HTTP_H_AUTHORIZATION, STR("Basic dXNlcjpwYXNz"));
    assert_int_equal(admit(w, &req, SCOPE_SOURCES_WRITE, true), 0);
    req = with_header(HTTP_H_AUTHORIZATION, STR("Bearer wrong"));
    assert_int_equal(admit(w, &req, SCOPE_SOURCES_WRITE, true), -EACCES);
    req = with_header(HTTP_H_X_API_KEY, secret);
    assert_int_equal(admit(w, &req, SCOPE_SOURCES_WRITE, true), 0);
    assert_true(w->grant.has_key);
}

static void what_is_open_follows_mode_listeners_and_proxies(void **state)
{
    static const struct {
        access_mode mode;
        bool all_local, trust_unix;
        size_t n_proxies;
        bool open;
    } CASES[] = {
        {ACCESS_AUTO, true, false, 0, true}, {ACCESS_AUTO, false, false, 0, false},
        {ACCESS_AUTO, true, true, 0, false}, {ACCESS_AUTO, true, false, 1, false},
        {ACCESS_OPEN, false, true, 1, true}, {ACCESS_REQUIRED, true, false, 0, false},
    };
    world *w = *state;
    net_cidr proxy;

    assert_int_equal(net_cidr_parse(STR("10.0.0.0/8"), &proxy), 0);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        access_options o = defaults;
        o.all_local = CASES[i].all_local;
        o.trust_unix = CASES[i].trust_unix;
        o.trusted_proxies = &proxy;
        o.n_trusted_proxies = CASES[i].n_proxies;
        o.sources = CASES[i].mode;
        o.metrics = ACCESS_REQUIRED;
        access_set_options(w->access, &o);
        assert_int_equal(access_is_open(w->access, SCOPE_SOURCES_READ), CASES[i].open);
        assert_int_equal(access_is_open(w->access, SCOPE_SOURCES_WRITE), CASES[i].open);
        assert_int_equal(access_is_open_here(w->access, SCOPE_SOURCES_WRITE),
                         CASES[i].open && CASES[i].mode == ACCESS_AUTO);
        assert_false(access_is_open_here(w->access, SCOPE_PUBLIC));
        assert_false(access_is_open(w->access, SCOPE_METRICS));
        o.sources = ACCESS_REQUIRED;
        o.metrics = CASES[i].mode;
        access_set_options(w->access, &o);
        assert_int_equal(access_is_open(w->access, SCOPE_METRICS), CASES[i].open);
        assert_false(access_is_open(w->access, SCOPE_SOURCES_READ));
        assert_true(access_is_open(w->access, SCOPE_PUBLIC));
        assert_false(access_is_open(w->access, SCOPE_CACHE_READ));
        assert_false(access_is_open(w->access, SCOPE_ADMIN));
    }
}

/* What a page of another site may be called, and what it may not. */
static void only_hosts_that_no_page_can_have_name_this_machine(void **state)
{
    static const str OURS[] = {
        STR_INIT("localhost"), STR_INIT("LocalHost:8080"),    STR_INIT("a.localhost:1"),
        STR_INIT("127.0.0.1"), STR_INIT("127.0.0.1:80"),      STR_INIT("192.0.2.1"),
        STR_INIT("[::1]"),     STR_INIT("[2001:db8::1]:443"), STR_INIT(""),
    };
    static const str THEIRS[] = {
        STR_INIT("evil.test"),  STR_INIT("evil.test:80"), STR_INIT("127.0.0.1.evil.test"),
        STR_INIT("127.0.0.1x"), STR_INIT("xlocalhost"),   STR_INIT("localhost.evil.test:80"),
        STR_INIT("0x7f.1"),     STR_INIT("a[::1]"),
    };
    http_request req = {0};

    (void)state;
    assert_true(access_names_here(&req)); /* HTTP/1.0 without a Host */
    for (size_t i = 0; i < COUNT_OF(OURS); i++) {
        req = with_header(HTTP_H_HOST, OURS[i]);
        assert_true(access_names_here(&req));
    }
    for (size_t i = 0; i < COUNT_OF(THEIRS); i++) {
        req = with_header(HTTP_H_HOST, THEIRS[i]);
        assert_false(access_names_here(&req));
        req.peer.is_unix = true;
        assert_true(access_names_here(&req));
    }
}

/* ---- behind proxies ---- */
static void the_client_is_the_first_address_that_no_trusted_proxy_vouches_beyond(void **state)
{
    static const struct {
        const char *peer, *chain, *client;
    } CASES[] = {
        {"203.0.113.7", NULL, "203.0.113.7"},
        {"203.0.113.7", "198.51.100.1", "203.0.113.7"}, /* not a proxy of ours: may say what it likes */
        {"10.1.2.3", NULL, "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1", "198.51.100.1"},
        {"10.1.2.3", "6.6.6.6, 198.51.100.1", "198.51.100.1"},  /* what the client claimed is not believed */
        {"10.1.2.3", "198.51.100.1, 10.9.9.9", "198.51.100.1"}, /* two proxies */
        {"10.1.2.3", "10.7.7.7 ,\t10.9.9.9", "10.7.7.7"},       /* nobody but proxies */
        {"10.1.2.3", "198.51.100.1, junk", "10.1.2.3"},
        {"10.1.2.3", "198.51.100.1, junk, 10.9.9.9", "10.9.9.9"},
        {"10.1.2.3", "", "10.1.2.3"},
        {"10.1.2.3", ",", "10.1.2.3"},
        {"10.1.2.3", "2001:db8::5", "2001:db8::5"},
        {"2001:db8:1::9", "198.51.100.1", "198.51.100.1"},
        {"2001:db8:2::9", "198.51.100.1", "2001:db8:2::9"},
        {"unix", "198.51.100.1", "198.51.100.1"},
    };
    world *w = *state;
    net_cidr proxies[2];
    access_options o = defaults;

    assert_int_equal(net_cidr_parse(STR("10.0.0.0/8"), &proxies[0]), 0);
    assert_int_equal(net_cidr_parse(STR("2001:db8:1::/48"), &proxies[1]), 0);
    o.trusted_proxies = proxies;
    o.n_trusted_proxies = COUNT_OF(proxies);
    o.trust_unix = true;
    access_set_options(w->access, &o);
    for (size_t i = 0; i < COUNT_OF(CASES); i++) {
        char text[NET_ADDR_TEXT];
        http_request req = with_header(HTTP_H_X_FORWARDED_FOR, str_c(CASES[i].chain));
        if (strcmp(CASES[i].peer, "unix") == 0)
            req.peer.is_unix = true;
        else
            req.peer = address(CASES[i].peer);
        const net_addr client = access_client_addr(w->access, &req);
        const str got = str_of(text, net_addr_format(&client, text));
        if (!str_eq(got, str_c(CASES[i].client)))
            fail_msg("case %zu: got " STR_FMT ", wanted %s", i, STR_ARG(got), CASES[i].client);
    }
}

static void without_a_key_the_address_is_the_identity(void **state)
{
    world *w = *state;
    http_request req = with_header(HTTP_H_X_API_KEY, STR("wrong"));
    uint8_t first[16];

    req.peer = address("203.0.113.7");
    assert_int_equal(admit(w, &req, SCOPE_CACHE_READ, false), -EACCES);
    memcpy(first, w->grant.identity, sizeof(first));
    req.peer = address("203.0.113.8");
    assert_int_equal(admit(w, &req, SCOPE_CACHE_READ, false), -EACCES);
    assert_memory_not_equal(first, w->grant.identity, sizeof(first));
}

static bool same_client(world *w, const char *one, const char *other)
{
    http_request req = with_header(HTTP_H_X_API_KEY, STR_NULL);
    uint8_t first[16];

    req.peer = address(one);
    assert_int_equal(admit(w, &req, SCOPE_PUBLIC, true), 0);
    memcpy(first, w->grant.identity, sizeof(first));
    req.peer = address(other);
    assert_int_equal(admit(w, &req, SCOPE_PUBLIC, true), 0);
    return memcmp(first, w->grant.identity, sizeof(first)) == 0;
}

static void the_addresses_of_an_ipv6_network_are_one_client(void **state)
{
    assert_true(same_client(*state, "2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
    assert_false(same_client(*state, "2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_false(same_client(*state, "198.51.100.1", "198.51.100.2"));
}

/* ---- faults ---- */
static void without_memory_a_key_is_neither_admitted_nor_lost(void **state)
{
    world *w = *state;
    const str secret = new_key(w, "cache:read", NULL, NULL);

    for (long nth = 0; unit_next_fault(&nth);) {
        access_control *a = NULL;
        access_grant g;
        const http_request req = with_header(HTTP_H_X_API_KEY, secret);
        int r = access_new(w->store, &w->clock.base, &defaults, &a);
        if (r == 0) {
            store_view *v = store_read_begin(w->store);
            r = access_admit(a, &req, v, SCOPE_CACHE_READ, false, &g);
            store_read_end(v);
        }
        assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
        access_free(a);
    }
}

static int revoke_main(const char *dir, const char *id)
{
    store *s = open_store(dir);
    const int r = s ? access_key_revoke(s, str_c(id)) : -EIO;

    if (s)
        store_close(s, NULL, NULL);
    return r == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_admitted_by_either_header, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_of_ours_is_refused, setup, teardown),
        cmocka_unit_test(secrets_are_long_and_never_twice_the_same),
        cmocka_unit_test_setup_teardown(nothing_of_a_secret_is_in_the_store_s_files, setup, teardown),
        cmocka_unit_test_setup_teardown(more_keys_than_the_table_holds_are_all_known, setup, teardown),
        cmocka_unit_test_setup_teardown(a_revoked_key_is_refused_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_revoked_by_another_process_is_refused_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_listed_with_what_they_were_made_with, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_may_what_its_scopes_say_and_no_more, setup, teardown),
        cmocka_unit_test(scopes_have_names_both_ways),
        cmocka_unit_test_setup_teardown(a_key_s_own_limits_are_in_its_grant, setup, teardown),
        cmocka_unit_test_setup_teardown(an_open_family_wants_no_key_but_no_wrong_one_either, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_open_follows_mode_listeners_and_proxies, setup, teardown),
        cmocka_unit_test(only_hosts_that_no_page_can_have_name_this_machine),
        cmocka_unit_test_setup_teardown(the_client_is_the_first_address_that_no_trusted_proxy_vouches_beyond, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_key_the_address_is_the_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(the_addresses_of_an_ipv6_network_are_one_client, setup, teardown),
        cmocka_unit_test_setup_teardown(without_memory_a_key_is_neither_admitted_nor_lost, setup, teardown),
    };
    if (argc == 3) /* the other process */
        return revoke_main(argv[1], argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
