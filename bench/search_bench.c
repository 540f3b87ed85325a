/* Search in names, side by side with SQLite (FTS5 with trigrams, and LIKE), in one run: search_bench
 * [COUNT] [KIND] KIND: unique (adjective-noun-xx00000, all different), or usual (names as people give them,
 * many of them the same). Both sides answer "how many, and the first 50"; ours in order of relevance,
 * SQLite in any order. SQLite's database is in memory and its statements are prepared. Milliseconds of CPU
 * time, medians of several rounds. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "larder/search.h"

#define ROUNDS 9
#define LIKE_ROUNDS 3
#define ROUND_MS 2
#define EXACT_QUERIES 200000
#define PUTS 20000
#define PIECES 50000

static uint64_t seed = 88172645463325252u;

static uint64_t rnd(uint64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % n;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void check(int r, const char *what)
{
    if (r < 0) {
        fprintf(stderr, "search_bench: %s: %s\n", what, err_text(r));
        exit(1);
    }
}

/* ---- names ---- */
/* clang-format off */
static const char *const adjectives[] = {
    "iron", "dark", "mist", "void", "sun", "moon", "storm", "frost", "ember", "ash", "rune", "bone",
    "gold", "jade", "onyx", "dusk", "dawn", "wild", "grim", "holy",
};
static const char *const nouns[] = {
    "blade", "shield", "helm", "ring", "amulet", "staff", "bow", "axe", "cloak", "boots", "orb", "tome",
    "crown", "spear", "dagger", "gauntlet", "belt", "horn", "lens", "chalice",
};
static const char *const subjects[] = {
    "code", "pdf", "docker", "test", "api", "react", "python", "rust", "sql", "git", "security", "data",
    "cloud", "aws", "deploy", "frontend", "backend", "design", "docs", "commit", "issue", "release",
    "browser", "email", "excel", "slack", "kubernetes", "terraform", "typescript", "golang", "mobile",
    "ios", "android", "machine-learning", "prompt", "agent", "workflow", "research", "seo", "marketing",
    "legal", "finance", "game", "unity", "shader", "audio", "video", "image", "canvas", "theme",
    "brand", "linux", "network", "database",
};
static const char *const doings[] = {
    "reviewer", "tools", "builder", "writer", "helper", "expert", "generator", "analyzer", "runner",
    "architect", "debugger", "optimizer", "manager", "guide", "patterns", "testing", "engineer",
    "planner", "checker", "creator", "auditor", "migrator", "formatter", "assistant", "specialist",
    "scanner", "monitor", "converter", "summarizer", "linter",
};
/* clang-format on */

static str make_name(bool usual, char *out, size_t cap)
{
    int n;
    if (!usual) {
        n = snprintf(out, cap, "%s-%s-%c%c%05u", adjectives[rnd(COUNT_OF(adjectives))],
                     nouns[rnd(COUNT_OF(nouns))], (char)('a' + rnd(26)), (char)('a' + rnd(26)),
                     (unsigned)rnd(100000));
    } else {
        /* a few combinations make most of the names */
        const char *a = subjects[rnd(rnd(COUNT_OF(subjects)) + 1)],
                   *b = doings[rnd(rnd(COUNT_OF(doings)) + 1)];
        const char *c = subjects[rnd(COUNT_OF(subjects))];
        switch (rnd(10)) {
        case 0:
            n = snprintf(out, cap, "%s-%s-%s", a, c, b);
            break;
        case 1:
            n = snprintf(out, cap, "%s_%s_%s", c, a, b);
            break;
        case 2:
            n = snprintf(out, cap, "%c%s %s", a[0] - 32, a + 1, b);
            break;
        case 3:
            n = snprintf(out, cap, "%s-%s-%s-%u", a, b, c, (unsigned)rnd(50));
            break;
        case 4:
            n = snprintf(out, cap, "%s.%s-%06x", a, b, (unsigned)rnd(1u << 24));
            break;
        default:
            n = snprintf(out, cap, "%s-%s", a, b);
        }
    }
    return str_of(out, (size_t)n);
}

typedef struct names {
    arena texts;
    str *name, *id;
    size_t n;
} names;

static names make_names(size_t n, bool usual)
{
    names ns = {.n = n, .name = mem_alloc(n * sizeof(str)), .id = mem_alloc(n * sizeof(str))};
    arena_init(&ns.texts, 0);
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        char text[128];
        ns.name[i] = arena_dup(&ns.texts, make_name(usual, text, sizeof(text)));
        int id_n =
            snprintf(text, sizeof(text), "cat_%016llx%08x", (unsigned long long)rnd(UINT64_MAX), (unsigned)i);
        ns.id[i] = arena_dup(&ns.texts, str_of(text, (size_t)id_n));
        bytes += ns.name[i].n;
    }
    printf("names %zu (%s), mean length %.1f, ids of 28 bytes\n", n, usual ? "usual" : "unique",
           (double)bytes / (double)n);
    return ns;
}

static search_doc doc_of(const names *ns, size_t i)
{
    return (search_doc){ns->id[i], ns->name[i], 1700000000000 + (int64_t)(i * 7919 % 1000003), 0,
                        (uint8_t)(i % 6)};
}

/* ---- ours ---- */
static void load(search *s, const names *ns)
{
    search_build *b = NULL;
    double t0 = now_ms();
    check(search_load_begin(s, &b), "load");
    for (size_t i = 0; i < ns->n; i++) {
        search_doc doc = doc_of(ns, i);
        check(search_load_add(b, &doc), "load");
    }
    double t1 = now_ms();
    check(search_build_run(b), "build");
    double t2 = now_ms();
    check(search_build_end(b), "end");
    search_build_free(b);
    uint64_t text = 0, bytes = search_measure(s).bytes;
    for (size_t i = 0; i < ns->n; i++)
        text += ns->name[i].n + ns->id[i].n;
    printf("larder: given in %.2f s, sorted and built in %.2f s (from no order)\n"
           "larder: %.1f MB, %.1f bytes a document besides its name and id\n",
           (t1 - t0) / 1e3, (t2 - t1) / 1e3, (double)bytes / 1e6,
           ((double)bytes - (double)text) / (double)ns->n);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Median over rounds of what one call takes; short ones are repeated within a round. */
static double measure(void (*call)(void *), void *arg, size_t rounds)
{
    double t[ROUNDS];
    double t0 = now_ms();
    call(arg);
    size_t times = (size_t)(ROUND_MS / (now_ms() - t0 + 1e-4)) + 1;
    for (size_t i = 0; i < rounds; i++) {
        t0 = now_ms();
        for (size_t j = 0; j < times; j++)
            call(arg);
        t[i] = (now_ms() - t0) / (double)times;
    }
    qsort(t, rounds, sizeof(*t), compare_doubles);
    return t[rounds / 2];
}

typedef struct our_query {
    search *s;
    search_query q;
    search_page page;
    bool on_loop;
    arena a;
} our_query;

static void ask_ours(void *arg)
{
    our_query *o = arg;
    arena_reset(&o->a);
    o->on_loop = search_find(o->s, &o->q, &o->a, &o->page) == 0;
    if (o->on_loop)
        return;
    search_view *v = search_view_new(o->s);
    check(v ? search_view_find(v, &o->q, &o->a, &o->page) : -ENOMEM, "view");
    search_view_free(v);
}

static double ours(search *s, search_query q, uint64_t *ret_total, bool *ret_on_loop)
{
    our_query o = {.s = s, .q = q};
    double t = measure(ask_ours, &o, ROUNDS);
    *ret_total = o.page.total;
    *ret_on_loop = o.on_loop;
    arena_done(&o.a);
    return t;
}

static void exact_names(search *s, const names *ns)
{
    arena a;
    arena_init(&a, 0);
    size_t on_worker = 0;
    double t0 = now_ms();
    for (size_t i = 0; i < EXACT_QUERIES; i++) {
        search_page page;
        search_query q = {.text = ns->name[rnd(ns->n)], .limit = 50};
        int r = search_find(s, &q, &a, &page);
        on_worker += r == -E2BIG;
        if (r != -E2BIG)
            check(r, "find");
        arena_reset(&a);
    }
    printf("larder: by exact name, random ones: %.2f us a query; %zu of %d for a worker\n",
           (now_ms() - t0) * 1e3 / EXACT_QUERIES, on_worker, EXACT_QUERIES);
    arena_done(&a);
}

/* Pieces of names, one to eight bytes long, in every order: what the loop keeps, and what it is spared. */
static void holds_of_the_loop(search *s, const names *ns)
{
    arena a;
    arena_init(&a, 0);
    double longest = 0, all = 0;
    size_t on_loop = 0;
    for (size_t i = 0; i < PIECES; i++) {
        str name = ns->name[rnd(ns->n)];
        search_page page;
        search_query q = {
            .text = str_head(str_from(name, rnd(name.n)), 1 + rnd(8)),
            .order = (search_order)rnd(SEARCH_BY_UPDATED + 1),
            .types = rnd(4) == 0 ? 1 + rnd(63) : 0,
            .skip = rnd(4) == 0 ? rnd(1000) : 0,
            .limit = 50,
        };
        double t = now_ms();
        on_loop += search_find(s, &q, &a, &page) == 0;
        t = now_ms() - t;
        all += t;
        longest = t > longest ? t : longest;
        arena_reset(&a);
    }
    printf("larder: %d random pieces: %.1f %% on the loop, held %.3f ms at most, %.4f on average\n", PIECES,
           100.0 * (double)on_loop / PIECES, longest, all / PIECES);
    arena_done(&a);
}

static void changes(search *s, const names *ns)
{
    double t0 = now_ms(), worst = 0, merging = 0;
    for (size_t i = 0; i < PUTS; i++) {
        search_doc doc = doc_of(ns, rnd(ns->n));
        doc.updated_ms += 1;
        double t = now_ms();
        check(search_put(s, &doc), "put");
        t = now_ms() - t;
        worst = t > worst ? t : worst;
        search_build *b;
        if (search_merge_begin(s, &b) < 0)
            continue;
        double t1 = now_ms();
        check(search_build_run(b), "merge");
        merging += now_ms() - t1;
        while (search_build_end(b) == -EAGAIN)
            ;
        search_build_free(b);
    }
    printf("larder: %d documents changed: %.2f us each, %.0f us at most; %.2f us of a worker; %zu segments\n",
           PUTS, (now_ms() - t0 - merging) * 1e3 / PUTS, worst * 1e3, merging * 1e3 / PUTS,
           search_measure(s).segments);
}

/* ---- SQLite ---- */
static sqlite3 *db;

static void sql(const char *text)
{
    char *message = NULL;
    if (sqlite3_exec(db, text, NULL, NULL, &message) != SQLITE_OK) {
        fprintf(stderr, "search_bench: sqlite: %s\n", message);
        exit(1);
    }
}

static sqlite3_stmt *prepare(const char *text)
{
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db, text, -1, &st, NULL) != SQLITE_OK)
        check(-EINVAL, sqlite3_errmsg(db));
    return st;
}

static void fill_sqlite(const names *ns)
{
    double t0 = now_ms();
    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        check(-ENOMEM, "sqlite");
    sql("CREATE TABLE n(id INTEGER PRIMARY KEY, name TEXT); BEGIN");
    sqlite3_stmt *st = prepare("INSERT INTO n(name) VALUES(?)");
    for (size_t i = 0; i < ns->n; i++) {
        sqlite3_bind_text(st, 1, ns->name[i].p, (int)ns->name[i].n, SQLITE_STATIC);
        sqlite3_step(st);
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    sql("COMMIT");
    double t1 = now_ms();
    sql("CREATE VIRTUAL TABLE f USING fts5(name, content='n', content_rowid='id', tokenize='trigram');"
        "INSERT INTO f(f) VALUES('rebuild'); INSERT INTO f(f) VALUES('optimize')");
    printf("sqlite %s: table in %.2f s, trigram index in %.2f s; %.1f MB\n\n", sqlite3_libversion(),
           (t1 - t0) / 1e3, (now_ms() - t1) / 1e3, (double)sqlite3_memory_used() / 1e6);
}

static int64_t rows(sqlite3_stmt *st, const char *text, bool counts)
{
    int64_t n = 0;
    sqlite3_bind_text(st, 1, text, -1, SQLITE_STATIC);
    while (sqlite3_step(st) == SQLITE_ROW)
        n += counts ? sqlite3_column_int64(st, 0) : 1;
    sqlite3_reset(st);
    return n;
}

typedef struct their_query {
    sqlite3_stmt *count, *page;
    const char *text;
    int64_t total;
} their_query;

static void ask_theirs(void *arg)
{
    their_query *t = arg;
    t->total = rows(t->count, t->text, true);
    rows(t->page, t->text, false);
}

static double theirs(sqlite3_stmt *count, sqlite3_stmt *page, const char *text, size_t rounds,
                     int64_t *ret_total)
{
    their_query q = {count, page, text, 0};
    double t = measure(ask_theirs, &q, rounds);
    *ret_total = q.total;
    return t;
}

static void compare(search *s, bool usual)
{
    static const char *const unique_queries[] = {"gau",    "-fr",    "q42",   "blade", "zx123",
                                                 "qqqq",   "mon-ax", "storm", "d-b",   "on-",
                                                 "iron-b", "dagger", "b1234", "99",    "x"};
    static const char *const usual_queries[] = {"pdf",    "code",  "reviewer", "rev", "e-r",
                                                "docker", "kuber", "qqq",      "ios", "a1b2",
                                                "python", "ing",   "t-w",      "ab",  "x"};
    sqlite3_stmt *fts_count = prepare("SELECT count(*) FROM f WHERE f MATCH ?");
    sqlite3_stmt *fts_page = prepare("SELECT rowid FROM f WHERE f MATCH ? LIMIT 50");
    sqlite3_stmt *like_count = prepare("SELECT count(*) FROM n WHERE name LIKE ?");
    sqlite3_stmt *like_page = prepare("SELECT id FROM n WHERE name LIKE ? LIMIT 50");
    printf("%-10s %9s %10s %10s %10s %8s  %s\n", "query", "total", "larder", "fts5", "LIKE", "ratio",
           "where");
    for (size_t i = 0; i < COUNT_OF(unique_queries); i++) {
        const char *text = usual ? usual_queries[i] : unique_queries[i];
        char phrase[64], pattern[64];
        snprintf(phrase, sizeof(phrase), "\"%s\"", text);
        snprintf(pattern, sizeof(pattern), "%%%s%%", text);
        uint64_t total;
        int64_t fts_total = 0, like_total;
        bool on_loop;
        double larder = ours(s, (search_query){.text = str_c(text), .limit = 50}, &total, &on_loop);
        bool has_fts = strlen(text) >= 3;
        double fts = has_fts ? theirs(fts_count, fts_page, phrase, ROUNDS, &fts_total) : 0;
        double like = theirs(like_count, like_page, pattern, LIKE_ROUNDS, &like_total);
        bool agree = (int64_t)total == like_total && (!has_fts || fts_total == like_total);
        printf("%-10s %9llu %10.4f %10.4f %10.2f %8.3f  %s%s\n", text, (unsigned long long)total, larder, fts,
               like, larder / (has_fts ? fts : like), on_loop ? "loop" : "worker",
               agree ? "" : "  TOTALS DIFFER");
    }
    sqlite3_finalize(fts_count);
    sqlite3_finalize(fts_page);
    sqlite3_finalize(like_count);
    sqlite3_finalize(like_page);
}

static void other_orders(search *s, bool usual)
{
    static const char *const order_names[] = {"relevance", "name", "type", "updated"};
    const char *text = usual ? "rev" : "gau";
    for (int order = SEARCH_BY_RELEVANCE; order <= SEARCH_BY_UPDATED; order++) {
        uint64_t total;
        bool on_loop, deep_on_loop;
        search_query q = {.text = str_c(text), .limit = 50, .order = (search_order)order};
        double first = ours(s, q, &total, &on_loop);
        q.skip = total / 2;
        double deep = ours(s, q, &total, &deep_on_loop);
        printf("\"%s\" by %-9s: first page %.3f ms (%s), from the middle %.3f ms (%s)\n", text,
               order_names[order], first, on_loop ? "loop" : "worker", deep,
               deep_on_loop ? "loop" : "worker");
    }
}

int main(int argc, char **argv)
{
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;
    bool usual = argc > 2 && strcmp(argv[2], "usual") == 0;
    names ns = make_names(n, usual);
    search *s = search_new();
    check(s ? 0 : -ENOMEM, "new");
    load(s, &ns);
    exact_names(s, &ns);
    holds_of_the_loop(s, &ns);
    fill_sqlite(&ns);
    compare(s, usual);
    printf("\n");
    other_orders(s, usual);
    changes(s, &ns);
    exact_names(s, &ns);
    search_free(s);
    sqlite3_close(db);
    arena_done(&ns.texts);
    mem_free(ns.name);
    mem_free(ns.id);
    return 0;
}
