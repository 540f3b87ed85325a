/* The first key: made once, told in a file of its owner's only, and never stored without that file. */
#include "unit.h"

#include "app/cli.h"
#include "config_fixture.h"
#include "store_fixture.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct world {
    config_fixture f;
    char data[128], key_file[160];
    arena arena;
    store *store;
    str path, why;
} world;

static int setup(void **state)
{
    static world w;
    char set[160];
    w = (world){0};
    config_fixture_begin(&w.f);
    snprintf(w.data, sizeof(w.data), "%s/data", w.f.dir);
    snprintf(w.key_file, sizeof(w.key_file), "%s/admin.key", w.data);
    snprintf(set, sizeof(set), "data_dir=%s", w.data);
    config_fixture_set(&w.f, set);
    config_fixture_set(&w.f, "store.max_size=16MiB");
    assert_int_equal(config_fixture_load(&w.f), 0);
    arena_init(&w.arena, 0);
    assert_int_equal(app_open_store(&w.f.c, NULL, false, &w.arena, &w.store, &w.why), 0);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    store_close(w->store, NULL, NULL);
    arena_done(&w->arena);
    config_fixture_end(&w->f);
    return 0;
}

static int first_key(world *w)
{
    return app_first_key(w->store, w->data, &w->arena, &w->path, &w->why);
}

static void count(void *arg, const access_key *k)
{
    (void)k;
    ++*(size_t *)arg;
}

static size_t stored_keys(world *w)
{
    size_t n = 0;
    store_view *v = store_read_begin(w->store);
    assert_int_equal(access_key_each(v, &w->arena, count, &n), 0);
    store_read_end(v);
    return n;
}

static bool file_exists(const world *w)
{
    struct stat st;
    return lstat(w->key_file, &st) == 0;
}

/* What the file says is admitted, as a request would be. */
static int try_key_of_file(world *w, uint32_t *ret_scopes)
{
    char text[100] = "Bearer ";
    access_control *a;
    access_grant grant = {0};
    FILE *file = fopen(w->key_file, "re");
    assert_non_null(file);
    const size_t n = fread(text + 7, 1, sizeof(text) - 8, file);
    assert_int_equal(n, ACCESS_SECRET_LEN + 1);
    assert_int_equal(text[7 + ACCESS_SECRET_LEN], '\n');
    (void)fclose(file);

    const access_options o = {.per_minute = 1, .per_hour = 1, .concurrent = 1};
    assert_int_equal(access_new(w->store, clk_real(), &o, &a), 0);
    http_request req = {0};
    req.known[HTTP_H_AUTHORIZATION] = str_of(text, 7 + ACCESS_SECRET_LEN);
    store_view *v = store_read_begin(w->store);
    const int r = access_admit(a, &req, v, SCOPE_CACHE_READ, false, &grant);
    store_read_end(v);
    access_free(a);
    *ret_scopes = grant.scopes;
    return r;
}

static void an_empty_store_gets_a_key_that_works(void **state)
{
    world *w = *state;
    struct stat st;
    uint32_t scopes;
    assert_int_equal(first_key(w), 0);
    unit_assert_str(w->path, str_c(w->key_file), __FILE__, __LINE__);
    assert_int_equal(stat(w->key_file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(try_key_of_file(w, &scopes), 0);
    assert_int_equal(scopes, 1u << SCOPE_ADMIN);
    assert_int_equal(stored_keys(w), 1);
}

static void there_is_one_first_key_only(void **state)
{
    world *w = *state;
    assert_int_equal(first_key(w), 0);
    assert_int_equal(unlink(w->key_file), 0);
    assert_int_equal(first_key(w), 0);
    assert_null(w->path.p);
    assert_false(file_exists(w));
    assert_int_equal(stored_keys(w), 1);
}

static void what_a_cut_short_start_left_is_replaced_and_no_link_followed(void **state)
{
    world *w = *state;
    char target[160];
    uint32_t scopes;
    struct stat st;
    snprintf(target, sizeof(target), "%s/target", w->data);
    assert_int_equal(symlink(target, w->key_file), 0);
    assert_int_equal(first_key(w), 0);
    assert_int_equal(try_key_of_file(w, &scopes), 0);
    assert_true(lstat(w->key_file, &st) == 0 && S_ISREG(st.st_mode));
    assert_true(lstat(target, &st) < 0);
}

static void without_its_file_no_key_is_stored(void **state)
{
    world *w = *state;
    assert_int_equal(mkdir(w->key_file, 0700), 0);
    assert_true(first_key(w) < 0);
    assert_true(str_starts(w->why, str_c(w->key_file)));
    assert_int_equal(stored_keys(w), 0);
    assert_int_equal(rmdir(w->key_file), 0);
    assert_int_equal(first_key(w), 0);
    assert_int_equal(stored_keys(w), 1);
}

static void lack_of_memory_leaves_both_or_neither(void **state)
{
    world *w = *state;
    long nth = 0;
    int r;
    do {
        mem_fail_at(nth++);
        r = first_key(w);
        const bool hit = mem_failed();
        mem_fail_at(-1);
        assert_true(r == 0 || hit);
        assert_int_equal(file_exists(w), r == 0);
        assert_int_equal(stored_keys(w), r == 0);
    } while (r < 0);
    assert_true(nth > 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_store_gets_a_key_that_works, setup, teardown),
        cmocka_unit_test_setup_teardown(there_is_one_first_key_only, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_cut_short_start_left_is_replaced_and_no_link_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(without_its_file_no_key_is_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(lack_of_memory_leaves_both_or_neither, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
