/* A search index in a fixture, and short ways to fill and ask it. */
#ifndef LARDER_TESTS_SEARCH_FIXTURE_H
#define LARDER_TESTS_SEARCH_FIXTURE_H

#include <stdio.h>

#include "larder/search.h"
#include "unit.h"

typedef struct fixture {
    search *s;
    arena a;
    search_page page;
} fixture;

static inline int set_up(void **state)
{
    fixture *f = mem_new(fixture);
    f->s = search_new();
    arena_init(&f->a, 0);
    *state = f;
    return f->s ? 0 : -1;
}

static inline int tear_down(void **state)
{
    fixture *f = *state;
    search_free(f->s);
    arena_done(&f->a);
    mem_free(f);
    return 0;
}

static inline void put(fixture *f, const char *id, const char *name)
{
    assert_int_equal(search_put(f->s, &(search_doc){.id = str_c(id), .name = str_c(name)}), 0);
}

static inline void find(fixture *f, search_query q)
{
    if (q.limit == 0)
        q.limit = 50;
    arena_reset(&f->a);
    int r = search_find(f->s, &q, &f->a, &f->page);
    if (r == -E2BIG) {
        search_view *v = search_view_new(f->s);
        assert_non_null(v);
        r = search_view_find(v, &q, &f->a, &f->page);
        search_view_free(v);
    }
    assert_int_equal(r, 0);
}

/* The hits of `text`, in order, are those of the ids, written "a b c". */
static inline void assert_found(fixture *f, const char *text, const char *ids)
{
    find(f, (search_query){.text = str_c(text)});
    buf got = BUF_INIT;
    for (size_t i = 0; i < f->page.n; i++) {
        buf_str(&got, i > 0 ? STR(" ") : STR(""));
        buf_str(&got, f->page.hits[i].id);
    }
    buf_char(&got, '\0');
    assert_string_equal(got.p, ids);
    assert_int_equal(f->page.total, f->page.n);
    buf_done(&got);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

#endif
