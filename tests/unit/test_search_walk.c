/* Seeded random walks: puts, removals, loads, merges and views at random moments, every answer compared
 * with a plain model; and the same with each allocation failing once. */
#include "search_model.h"

static const char *const pieces[] = {
    "a",         "b",
    "ab",        "A",
    "-",         "_",
    "%",         ".",
    "12",        "x",
    "é",         "É",
    "ß",         "日本",
    "ΐ",         "code",
    "Code",      "review",
    "tools",     "pdf",
    "\xc3\xa9t", "kubernetes-",
    "reviewer",  "0",
    "00",        "machine-learning-pipeline",
};

typedef struct walk {
    uint64_t seed;
    search *s;
    model now, seen; /* `seen` is what the view shows */
    search_view *view;
    search_build *build;
    bool built;
    unsigned ids; /* ids are drawn from so many: few give many replacements */
    arena a;
} walk;

static uint32_t draw(walk *w, uint32_t n)
{
    w->seed = w->seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((w->seed >> 33) % n);
}

static void draw_name(walk *w, char *out)
{
    size_t n = 0, count = 1 + draw(w, draw(w, 8) == 0 ? 8 : 3);
    out[0] = '\0';
    for (size_t i = 0; i < count && n < MODEL_TEXT - 30; i++)
        n += (size_t)snprintf(out + n, MODEL_TEXT - n, "%s", pieces[draw(w, COUNT_OF(pieces))]);
}

static model_doc draw_doc(walk *w)
{
    model_doc d = {.updated_ms = draw(w, 50), .project = draw(w, 4), .type = (uint8_t)draw(w, 5)};
    snprintf(d.id, sizeof(d.id), "%u", draw(w, w->ids));
    const model_doc *other = w->now.n > 0 ? &w->now.docs[draw(w, (uint32_t)w->now.n)] : NULL;
    if (other && draw(w, 3) == 0)
        memcpy(d.name, other->name, sizeof(d.name)); /* the same name again */
    else
        draw_name(w, d.name);
    return d;
}

/* A text that is in some name, mostly: whole code points of one. */
static void draw_text(walk *w, const model *m, char *out)
{
    if (m->n == 0 || draw(w, 6) == 0) {
        draw_name(w, out);
        return;
    }
    str name = str_c(m->docs[draw(w, (uint32_t)m->n)].name);
    size_t length = utf8_length(name), first = draw(w, (uint32_t)length);
    str text = str_from(name, utf8_head(name, first).n);
    text = utf8_head(text, 1 + draw(w, draw(w, 2) ? 4 : (uint32_t)length));
    snprintf(out, MODEL_TEXT, "%.*s", STR_ARG(text));
}

static search_query draw_query(walk *w, const char *text)
{
    return (search_query){
        .text = str_c(text),
        .types = draw(w, 3) == 0 ? draw(w, 32) : 0,
        .project = draw(w, 3) == 0 ? draw(w, 4) : 0,
        .order = (search_order)draw(w, SEARCH_BY_UPDATED + 1),
        .skip = draw(w, 2) ? 0 : draw(w, (uint32_t)w->now.n + 5),
        .limit = draw(w, 30),
    };
}

/* ---- steps; each leaves index and model saying the same, whether or not an allocation failed ---- */
static void step_put(walk *w)
{
    model_doc d = draw_doc(w);
    search_doc doc = model_to_doc(&d);
    int r = search_put(w->s, &doc);
    if (r == 0)
        model_put(&w->now, &d);
    else
        assert_true(r == -ENOMEM && mem_failed());
}

static void step_remove(walk *w)
{
    char id[16];
    snprintf(id, sizeof(id), "%u", draw(w, w->ids));
    int r = search_remove(w->s, str_c(id));
    if (r == -ENOMEM)
        assert_true(mem_failed());
    else
        assert_int_equal(r, model_find(&w->now, id) ? 0 : -ENOENT);
    if (r == 0)
        model_remove(&w->now, id);
}

/* Behind a document that is there, mostly, or may have been. */
static search_hit draw_place(walk *w, const model *m, const model_doc *absent)
{
    static const uint8_t scores[] = {100, 80, 60};
    const model_doc *d = m->n > 0 && draw(w, 4) ? &m->docs[draw(w, (uint32_t)m->n)] : absent;

    return (search_hit){.id = str_c(d->id),
                        .name = str_c(d->name),
                        .updated_ms = d->updated_ms,
                        .type = d->type,
                        .score = scores[draw(w, COUNT_OF(scores))]};
}

static void step_query(walk *w)
{
    char text[MODEL_TEXT];
    bool of_view = w->view && draw(w, 2);
    const model *m = of_view ? &w->seen : &w->now;
    draw_text(w, m, text);
    search_query q = draw_query(w, text);
    const model_doc absent = draw_doc(w);
    const search_hit place = draw_place(w, m, &absent);
    if (draw(w, 3) == 0)
        q.after = &place;
    search_page page;
    int r = of_view ? search_view_find(w->view, &q, &w->a, &page) : search_find(w->s, &q, &w->a, &page);
    if (r == 0)
        model_check_page(m, text, &q, &page);
    else
        assert_true(r == -ENOMEM && mem_failed());
    arena_reset(&w->a);
}

static void step_view(walk *w)
{
    search_view_free(w->view);
    w->view = search_view_new(w->s);
    assert_true(w->view || mem_failed());
    memcpy(w->seen.docs, w->now.docs, w->now.n * sizeof(w->now.docs[0]));
    w->seen.n = w->now.n;
}

static void drop_build(walk *w)
{
    search_build_free(w->build);
    w->build = NULL;
    w->built = false;
}

/* The next of: begin, run, end. */
static void step_merge(walk *w)
{
    int r;
    if (!w->build) {
        r = search_merge_begin(w->s, &w->build);
        assert_true(r == 0 || r == -ENOENT || (r == -ENOMEM && mem_failed()));
    } else if (!w->built) {
        r = search_build_run(w->build);
        w->built = r == 0;
        if (r < 0) {
            assert_true(r == -ENOMEM && mem_failed());
            drop_build(w);
        }
    } else {
        r = search_build_end(w->build);
        assert_true(r == 0 || r == -EAGAIN || (r == -ENOMEM && mem_failed()));
        if (r == 0)
            drop_build(w);
    }
}

/* A load of n documents, with puts and removals meanwhile. */
static void load(walk *w, unsigned n)
{
    static model old;
    old.n = 0;
    if (search_load_begin(w->s, &w->build) < 0)
        return;
    bool *touched = calloc(w->ids, sizeof(*touched));
    for (unsigned i = 0; i < n; i++) {
        model_doc d = draw_doc(w);
        if (model_find(&old, d.id))
            continue;
        search_doc doc = model_to_doc(&d);
        int r = search_load_add(w->build, &doc);
        assert_true(r == 0 || (r == -ENOMEM && mem_failed()));
        if (r == 0)
            model_put(&old, &d);
        if (draw(w, 10) == 0) {
            size_t before = w->now.n;
            uint64_t seed = w->seed;
            step_put(w);
            w->seed = seed; /* the same document again, only to know its id */
            d = draw_doc(w);
            touched[atoi(d.id)] |= w->now.n > before || model_find(&w->now, d.id);
        }
    }
    for (unsigned i = 0; i < n / 20; i++) {
        char id[16];
        unsigned no = draw(w, w->ids);
        snprintf(id, sizeof(id), "%u", no);
        if (search_remove(w->s, str_c(id)) != -ENOMEM) {
            touched[no] = true;
            model_remove(&w->now, id);
        }
    }
    int r = search_build_run(w->build);
    while (r == 0 && (r = search_build_end(w->build)) != 0 && (r == -EAGAIN || r == -ENOMEM))
        r = 0;
    assert_true(r == 0 || mem_failed());
    drop_build(w);
    for (size_t i = 0; r == 0 && i < old.n; i++)
        if (!touched[atoi(old.docs[i].id)])
            model_put(&w->now, &old.docs[i]);
    free(touched);
}

static void start(walk *w, uint64_t seed, unsigned ids)
{
    w->now.n = w->seen.n = 0;
    w->view = NULL;
    w->build = NULL;
    w->built = false;
    w->seed = seed;
    w->ids = ids;
    w->s = search_new();
    arena_init(&w->a, 0);
}

static void stop(walk *w)
{
    drop_build(w);
    search_view_free(w->view);
    search_free(w->s);
    arena_done(&w->a);
}

static void run(walk *w, unsigned steps, unsigned puts, unsigned removals)
{
    for (unsigned i = 0; i < steps; i++) {
        unsigned what = draw(w, 100);
        if (what < puts)
            step_put(w);
        else if (what < puts + removals)
            step_remove(w);
        else if (what < 91)
            step_query(w);
        else if (what < 99)
            step_merge(w);
        else
            step_view(w);
    }
    assert_int_equal(search_measure(w->s).docs, w->now.n);
}

static walk w; /* models are large */

static void a_growing_index_answers_as_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        start(&w, seed, 3000);
        run(&w, 4000, 60, 5);
        stop(&w);
    }
}

static void an_index_that_changes_all_the_time_answers_as_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 10; seed <= 13; seed++) {
        start(&w, seed, 400);
        run(&w, 6000, 45, 30);
        stop(&w);
    }
}

static void a_loaded_index_answers_as_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 20; seed <= 22; seed++) {
        start(&w, seed, 2500);
        load(&w, 2000);
        run(&w, 500, 0, 0);
        run(&w, 1500, 40, 20);
        stop(&w);
    }
}

static void an_index_can_be_emptied_and_filled_again(void **state)
{
    (void)state;
    start(&w, 30, 600);
    for (int round = 0; round < 3; round++) {
        run(&w, 1500, 70, 2);
        for (unsigned i = 0; i < w.ids; i++) {
            char id[16];
            snprintf(id, sizeof(id), "%u", i);
            assert_int_equal(search_remove(w.s, str_c(id)), model_find(&w.now, id) ? 0 : -ENOENT);
            model_remove(&w.now, id);
        }
        run(&w, 50, 0, 0);
        assert_int_equal(search_measure(w.s).docs, 0);
    }
    stop(&w);
}

/* Each kind of step by itself, as a random walk may leave one out. */
static void walk_with_faults(walk *wk)
{
    load(wk, 120);
    for (int i = 0; i < 6; i++) {
        step_view(wk); /* what is removed next must be copied for it */
        run(wk, 8, 0, 100);
    }
    wk->ids = 5000;
    run(wk, 280, 100, 0); /* more than are kept outside a segment */
    for (int i = 0; i < 6; i++)
        step_merge(wk);
    run(wk, 40, 10, 20);
}

static void every_allocation_may_fail_once(void **state)
{
    (void)state;
    long nth = 0;
    while (unit_next_fault(&nth)) {
        start(&w, 40, 300);
        if (w.s)
            walk_with_faults(&w);
        stop(&w);
    }
    assert_true(nth < 1000); /* the last round had none fail */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_growing_index_answers_as_the_model),
        cmocka_unit_test(an_index_that_changes_all_the_time_answers_as_the_model),
        cmocka_unit_test(a_loaded_index_answers_as_the_model),
        cmocka_unit_test(an_index_can_be_emptied_and_filled_again),
        cmocka_unit_test(every_allocation_may_fail_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
