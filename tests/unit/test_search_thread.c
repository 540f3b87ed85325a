/* Views are asked and builds run on other threads while the index changes; for the thread sanitizer. */
#include <pthread.h>
#include <stdio.h>

#include "larder/search.h"
#include "unit.h"

#define ROUNDS 40
#define CHANGES 150
#define IDS 2000

typedef struct question {
    const search_view *view;
    uint64_t expected;
    bool answered_well;
} question;

static void *ask(void *arg)
{
    question *q = arg;
    q->answered_well = true;
    arena a;
    arena_init(&a, 0);
    for (int order = SEARCH_BY_RELEVANCE; order <= SEARCH_BY_UPDATED; order++) {
        search_page page = {0};
        search_query all = {.text = STR("ame"), .order = (search_order)order, .skip = 5, .limit = 20};
        int r = search_view_find(q->view, &all, &a, &page);
        q->answered_well &= r == 0 && page.total == q->expected;
        for (size_t i = 1; i < page.n && order == SEARCH_BY_NAME; i++)
            q->answered_well &= str_cmp(page.hits[i - 1].name, page.hits[i].name) <= 0;
        arena_reset(&a);
    }
    arena_done(&a);
    return NULL;
}

static void *build(void *arg)
{
    return search_build_run(arg) == 0 ? arg : NULL;
}

static void *free_build(void *arg)
{
    search_build_free(arg);
    return NULL;
}

static void *free_view(void *arg)
{
    search_view_free(arg);
    return NULL;
}

static void change(search *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char id[16], name[32];
        unsigned no = (unsigned)random_below(IDS);
        snprintf(id, sizeof(id), "%u", no);
        snprintf(name, sizeof(name), "name-%u-%u", no % 100, (unsigned)random_below(10));
        if (random_below(3) == 0)
            assert_true(search_remove(s, str_c(id)) != -ENOMEM);
        else
            assert_int_equal(search_put(s, &(search_doc){.id = str_c(id), .name = str_c(name)}), 0);
    }
}

static void views_and_builds_leave_the_index_alone(void **state)
{
    (void)state;
    random_seed_for_tests(7);
    search *s = search_new();
    change(s, 3000);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t first, second, builder, last;
        search_build *b = NULL;
        void *built = NULL;
        bool merges = search_merge_begin(s, &b) == 0;
        search_view *v = search_view_new(s);
        assert_non_null(v);
        question q1 = {v, search_measure(s).docs, false}, q2 = q1;
        assert_int_equal(pthread_create(&first, NULL, ask, &q1), 0);
        assert_int_equal(pthread_create(&second, NULL, ask, &q2), 0);
        if (merges)
            assert_int_equal(pthread_create(&builder, NULL, build, b), 0);
        change(s, CHANGES);
        pthread_join(first, NULL);
        pthread_join(second, NULL);
        assert_true(q1.answered_well && q2.answered_well);
        assert_int_equal(pthread_create(&last, NULL, free_view, v), 0);
        if (merges) {
            pthread_join(builder, &built);
            assert_ptr_equal(built, b);
            while (search_build_end(b) == -EAGAIN)
                change(s, 1);
            assert_int_equal(pthread_create(&builder, NULL, free_build, b), 0);
        }
        change(s, CHANGES);
        pthread_join(last, NULL);
        if (merges)
            pthread_join(builder, NULL);
    }
    search_free(s);
    random_seed_for_tests(0);
}

static void a_load_runs_beside_changes(void **state)
{
    (void)state;
    search *s = search_new();
    search_build *b = NULL;
    assert_int_equal(search_load_begin(s, &b), 0);
    for (unsigned i = 0; i < IDS; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%u", i);
        assert_int_equal(search_load_add(b, &(search_doc){.id = str_c(id), .name = STR("loaded name")}), 0);
    }
    pthread_t builder;
    void *built = NULL;
    assert_int_equal(pthread_create(&builder, NULL, build, b), 0);
    for (unsigned i = 0; i < IDS; i += 4) {
        char id[16];
        snprintf(id, sizeof(id), "%u", i);
        if (i % 8 == 0)
            search_remove(s, str_c(id));
        else
            assert_int_equal(search_put(s, &(search_doc){.id = str_c(id), .name = STR("put name")}), 0);
    }
    pthread_join(builder, &built);
    assert_ptr_equal(built, b);
    while (search_build_end(b) == -EAGAIN)
        ;
    search_build_free(b);
    assert_int_equal(search_measure(s).docs, IDS * 7 / 8);
    search_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_and_builds_leave_the_index_alone),
        cmocka_unit_test(a_load_runs_beside_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
