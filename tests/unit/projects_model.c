/* See projects_model.h. */
#include "unit.h"

#include "projects_model.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- numbers ---- */
static uint64_t seed_state;

void m_seed(uint64_t seed)
{
    seed_state = seed;
}

uint64_t pick(uint64_t n)
{
    seed_state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t z = seed_state;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (z ^ z >> 31) % n;
}

bool chance(unsigned percent)
{
    return pick(100) < percent;
}

/* ---- texts ---- */
static str text_of(const char *const *table, int i)
{
    return i < 0 ? STR_NULL : str_c(table[i]);
}

/* Some are the beginning of others, some differ by letter case, some only behind what a key holds. */
str m_name(int i)
{
    static char texts[M_NAMES][560];
    static size_t lengths[M_NAMES];
    static const char *const stems[] = {"a", "A", "code-review", "code", "Zebra", "\xc3\xa9t\xc3\xa9", "x y", "~"};

    if (lengths[i] == 0 && i % 40 == 7) {
        for (int j = 0; j < 120; j++)
            memcpy(texts[i] + 2 * j, "\xc3\xb6", 2);
        lengths[i] = 240 + (size_t)snprintf(texts[i] + 240, 20, "%d", i);
    } else if (lengths[i] == 0) {
        lengths[i] = (size_t)snprintf(texts[i], sizeof(texts[i]), "%s%d", stems[i % 8], i / 8);
    }
    return str_of(texts[i], lengths[i]);
}

str m_version(int i)
{
    static const char *const table[M_VERSIONS] = {"1.0.0",      "1.0.1", "1.1.0",   "2.0.0", "v1.0.0", "1.0.0-rc.1",
                                                  "2.0.0-beta", "main",  "abc1234", "1.2",   "10.0.0", "0.9.9"};
    return text_of(table, i);
}

str m_hash(int i)
{
    static const char *const table[M_HASHES] = {"aa", "bb", "cc", "dd"};
    return text_of(table, i);
}

str m_source(int i)
{
    static const char *const table[M_SOURCES] = {"github:o/r/skills/x@latest", "github:o/r", "local"};
    return text_of(table, i);
}

str m_description(int i)
{
    static const char *const table[M_DESCRIPTIONS] = {"does this", "does that", ""};
    return text_of(table, i);
}

str m_project_name(int i)
{
    static const char *const table[M_PROJECT_NAMES] = {"alpha", "alphabet", "Beta",   "beta",
                                                       "gamma", "\xc3\xa4", "alpha b"};
    return text_of(table, i);
}

str m_path(int i)
{
    static const char *const table[] = {"/srv/a", "/srv/b"};
    return text_of(table, i);
}

str m_project_id(int p)
{
    static const char *const table[M_PROJECTS] = {"p0",         "p1",  "p10",  "P1", "L2hvbWUvYS9i", "\xc3\xa9",
                                                  "with space", "a/b", "p0-x", "~",  "zz",           "00"};
    return text_of(table, p);
}

static strs tags_of(int i)
{
    static const str both[] = {STR_INIT("one"), STR_INIT("two")};
    return i < 0 ? (strs){0} : (strs){both, (size_t)i};
}

/* ---- changes ---- */
static int draw(int n, unsigned percent_null)
{
    return chance(percent_null) ? -1 : (int)pick((uint64_t)n);
}

static void draw_row(m_row *r)
{
    r->source = draw(M_SOURCES, 30);
    r->hash = draw(M_HASHES, 20);
    r->deployed = draw(M_VERSIONS, 20);
    r->description = draw(M_DESCRIPTIONS, 50);
    r->tags = draw(3, 50);
}

static void draw_word(m_row *r, upstream_word *word)
{
    *word = (upstream_word)pick(3);
    r->upstream = *word == UPSTREAM_KEEP ? -1 : draw(M_VERSIONS, *word == UPSTREAM_GIVEN ? 0 : 20);
    r->upstream_hash = *word == UPSTREAM_LEARNT ? draw(M_HASHES, 30) : -1;
}

static bool has_row(const m_content *c, int name, int type)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].row.name == name && c->v[i].row.type == type)
            return true;
    return false;
}

void m_content_draw(const m_project *p, size_t size, m_content *ret_content)
{
    m_content *c = ret_content;
    const bool keeps_names = p->exists && chance(80);
    const unsigned keep = p->n > size ? (unsigned)(100 * size / p->n) : chance(50) ? 100 : 90;
    const unsigned change = chance(30) ? 0 : chance(50) ? 5 : 60;

    c->n = 0;
    c->name = keeps_names ? p->name : (int)pick(M_PROJECT_NAMES);
    c->path = keeps_names ? p->path : (int)pick(2);
    for (size_t i = 0; i < p->n; i++) {
        if (!chance(keep))
            continue;
        c->v[c->n].row = p->rows[i];
        c->v[c->n].word = p->rows[i].given ? UPSTREAM_GIVEN : UPSTREAM_KEEP;
        if (chance(change)) {
            draw_row(&c->v[c->n].row);
            draw_word(&c->v[c->n].row, &c->v[c->n].word);
        }
        c->n++;
    }
    while (c->n < size) {
        m_row r = {.name = (int)pick(M_NAMES), .type = (int)pick(chance(80) ? 3 : ARTIFACT_TYPE_COUNT)};
        if (has_row(c, r.name, r.type))
            continue;
        draw_row(&r);
        c->v[c->n].row = r;
        draw_word(&c->v[c->n].row, &c->v[c->n].word);
        c->n++;
    }
}

void m_content_texts(arena *a, int p, const m_content *c, project_write *w)
{
    size_t twin;

    w->id = m_project_id(p);
    w->name = m_project_name(c->name);
    w->path = m_path(c->path);
    w->n = c->n;
    w->content = arena_array(a, artifact_content, c->n);
    assert_non_null(w->content);
    for (size_t i = 0; i < c->n; i++) {
        const m_row *r = &c->v[i].row;
        w->content[i] = (artifact_content){
            .name = m_name(r->name),
            .type = artifact_type_name((unsigned)r->type),
            .source = m_source(r->source),
            .deployed_version = m_version(r->deployed),
            .content_hash = m_hash(r->hash),
            .description = m_description(r->description),
            .tags = tags_of(r->tags),
            .upstream = c->v[i].word,
            .upstream_version = m_version(r->upstream),
            .upstream_hash = m_hash(r->upstream_hash),
        };
    }
    assert_int_equal(project_content_sort(w->id, w->content, w->n, &twin), 0);
}

static bool is_outdated(const m_row *r)
{
    return version_is_outdated(m_version(r->deployed), m_version(r->upstream), m_hash(r->hash),
                               m_hash(r->upstream_hash));
}

static int difference(const m_row *r)
{
    return (int)version_magnitude_of(m_version(r->deployed), m_version(r->upstream));
}

static bool same_row(const m_row *a, const m_row *b)
{
    return a->source == b->source && a->hash == b->hash && a->deployed == b->deployed && a->upstream == b->upstream &&
           a->upstream_hash == b->upstream_hash && a->given == b->given && a->description == b->description &&
           a->tags == b->tags && a->project_name == b->project_name;
}

static m_row next_row(const m_row *said, upstream_word word, const m_row *old, int project_name, int64_t now)
{
    m_row r = *said;

    r.given = word == UPSTREAM_GIVEN;
    r.project_name = project_name;
    if (word == UPSTREAM_KEEP) {
        const bool keeps = old && !old->given && old->source == r.source;
        r.upstream = keeps ? old->upstream : -1;
        r.upstream_hash = keeps ? old->upstream_hash : -1;
    } else if (word == UPSTREAM_GIVEN) {
        r.upstream_hash = -1;
    }
    r.created = old ? old->created : now;
    r.updated = old && same_row(&r, old) ? old->updated : now;
    return r;
}

m_effect m_write(m_project *p, const m_content *c, const char *origin, int64_t now, int64_t due)
{
    m_effect e = {.created = !p->exists, .status_changed = p->exists && p->error};
    static m_row next[M_ROWS];
    size_t kept = 0, rewritten = 0;

    for (size_t i = 0; i < c->n; i++) {
        const m_row *old = NULL;
        for (size_t j = 0; j < p->n && !old; j++)
            if (p->rows[j].name == c->v[i].row.name && p->rows[j].type == c->v[i].row.type)
                old = &p->rows[j];
        next[i] = next_row(&c->v[i].row, c->v[i].word, old, c->name, now);
        kept += old != NULL;
        e.added += !old;
        rewritten += !old || !same_row(&next[i], old);
        e.changed += old && (next[i].deployed != old->deployed || next[i].upstream != old->upstream ||
                             next[i].hash != old->hash || is_outdated(&next[i]) != is_outdated(old));
    }
    e.removed = (int64_t)(p->n - kept);
    if (!p->exists || rewritten || e.removed || p->name != c->name || p->path != c->path) {
        p->version = p->exists && p->version >= now ? p->version + 1 : now;
        p->updated = now;
    }
    memcpy(p->rows, next, c->n * sizeof(*next));
    p->created = p->exists ? p->created : now;
    p->exists = true;
    p->n = c->n;
    p->name = c->name;
    p->path = c->path;
    p->origin = origin;
    p->error = p->marked = false;
    p->failures = 0;
    p->last_fetched = now;
    p->next_refresh = due;
    return e;
}

/* ---- expectations ---- */
typedef struct seen {
    int p;
    const m_row *row;
    char id[ARTIFACT_ID_LEN];
} seen;
static seen *wanted;
static size_t n_wanted;
static artifact_sort list_sort;
static bool list_down;

/* Until the next call but one. */
static str key_name(str name)
{
    static buf texts[2];
    static unsigned at;
    return str_head(str_fold(name, &texts[at++ % 2]), NAME_IN_KEY);
}

static int sign(int64_t n)
{
    return (n > 0) - (n < 0);
}

static int by_name(const seen *a, const seen *b)
{
    const int c = str_cmp(key_name(m_name(a->row->name)), key_name(m_name(b->row->name)));
    return c ? c : memcmp(a->id, b->id, sizeof(a->id));
}

static int order(const void *x, const void *y)
{
    const seen *a = x, *b = y;
    int c = 0;

    if (list_sort == ARTIFACTS_NAME)
        return list_down ? by_name(b, a) : by_name(a, b);
    if (list_sort == ARTIFACTS_TYPE)
        c = str_cmp(artifact_type_name((unsigned)a->row->type), artifact_type_name((unsigned)b->row->type));
    else if (list_sort == ARTIFACTS_DIFFERENCE)
        c = difference(a->row) - difference(b->row);
    else
        c = str_cmp(key_name(m_project_name(a->row->project_name)), key_name(m_project_name(b->row->project_name)));
    if (c == 0)
        return by_name(a, b);
    return list_down ? -sign(c) : sign(c);
}

static void collect(const model *m, int only, int type, int outdated)
{
    static seen all[M_PROJECTS * M_ROWS];

    wanted = all;
    n_wanted = 0;
    for (int p = 0; p < M_PROJECTS; p++) {
        const artifact_prefix prefix = artifact_prefix_of(m_project_id(p));
        for (size_t i = 0; m->projects[p].exists && (only == -1 || only == p) && i < m->projects[p].n; i++) {
            const m_row *r = &m->projects[p].rows[i];
            if ((type >= -1 && type != -1 && r->type != type) || type < -1 ||
                (outdated != -1 && is_outdated(r) != (outdated == 1)))
                continue;
            const artifact_id id = artifact_id_of(&prefix, artifact_type_name((unsigned)r->type), m_name(r->name));
            wanted[n_wanted] = (seen){.p = p, .row = r};
            memcpy(wanted[n_wanted++].id, id.bytes, sizeof(id.bytes));
        }
    }
}

static void assert_text(str got, str want)
{
    if (!str_eq(got, want) || !got.p != !want.p)
        fail_msg("got '" STR_FMT "', want '" STR_FMT "'", STR_ARG(got), STR_ARG(want));
}

static void assert_shown(const artifact *a, const seen *s)
{
    assert_text(a->id, str_of(s->id, sizeof(s->id)));
    assert_text(a->name, m_name(s->row->name));
    assert_text(a->type, artifact_type_name((unsigned)s->row->type));
    assert_text(a->project_id, m_project_id(s->p));
    assert_text(a->project_name, m_project_name(s->row->project_name));
    assert_text(a->deployed_version, m_version(s->row->deployed));
    assert_text(a->upstream_version, m_version(s->row->upstream));
    assert_int_equal(a->is_outdated, is_outdated(s->row));
}

static void assert_artifact(const artifact *a, const seen *s)
{
    assert_shown(a, s);
    assert_text(a->source, m_source(s->row->source));
    assert_text(a->content_hash, m_hash(s->row->hash));
    assert_text(a->description, m_description(s->row->description));
    assert_int_equal(a->difference, difference(s->row));
    assert_int_equal(a->tags.n, tags_of(s->row->tags).n);
    assert_int_equal(a->created_at, s->row->created);
    assert_int_equal(a->updated_at, s->row->updated);
}

/* ---- artifacts ---- */
typedef struct question {
    artifact_filter f;
    artifact_sort sort;
    bool down;
} question;

static void check_page(store_view *v, arena *a, const question *q, const page_at *at, size_t begin, str *ret_next)
{
    artifact_page page;
    const size_t left = begin < n_wanted ? n_wanted - begin : 0;

    assert_int_equal(artifacts_list(v, a, &q->f, q->sort, q->down, at, &page), 0);
    assert_int_equal(page.total, n_wanted);
    assert_int_equal(page.n, left < at->limit ? left : at->limit);
    for (size_t i = 0; i < page.n; i++) {
        artifact whole;
        assert_shown(&page.items[i], &wanted[begin + i]);
        assert_int_equal(artifact_load(v, a, page.items[i].id, &whole), 0);
        assert_artifact(&whole, &wanted[begin + i]);
    }
    assert_int_equal(page.next.p != NULL, left > at->limit);
    *ret_next = page.next;
}

void m_check_artifacts(const model *m, store_view *v)
{
    static const char *const odd[] = {"mcp_server", "no-type", "SKILL"};
    const int odd_number[] = {(int)artifact_type_number(STR("mcp")), -2, (int)artifact_type_number(STR("skill"))};
    const int outdated = (int)pick(3) - 1, p = chance(50) ? -1 : (int)pick(M_PROJECTS);
    int type = chance(50) ? -1 : (int)pick(chance(80) ? 3 : ARTIFACT_TYPE_COUNT);
    question q = {.f.project_id = m_project_id(p),
                  .sort = outdated == 1 ? (artifact_sort)pick(4) : ARTIFACTS_NAME,
                  .down = chance(50)};
    SCOPED(arena_done) arena a;
    str next = STR_NULL;

    arena_init(&a, 0);
    q.f.outdated = outdated == -1 ? OUTDATED_ANY : outdated == 1 ? OUTDATED_YES : OUTDATED_NO;
    if (type >= 0)
        q.f.type = artifact_type_name((unsigned)type);
    if (chance(5)) {
        const size_t i = pick(COUNT_OF(odd));
        q.f.type = str_c(odd[i]);
        type = odd_number[i];
    }
    collect(m, p, type, outdated);
    list_sort = q.sort;
    list_down = q.down;
    qsort(wanted, n_wanted, sizeof(*wanted), order);

    page_at at = {.skip = pick(n_wanted + 3), .limit = 1 + pick(40)};
    check_page(v, &a, &q, &at, at.skip, &next);
    /* on from there, by cursor, or all pages from the first */
    size_t begin = at.skip + at.limit;
    if (chance(30)) {
        next = STR_NULL;
        begin = 0;
        at.limit = 1 + n_wanted / (1 + pick(5));
        at.skip = 0;
        check_page(v, &a, &q, &at, 0, &next);
        begin = at.limit;
    }
    for (; next.p; begin += at.limit) {
        at.after = next;
        at.skip = 5; /* counts for nothing beside a cursor */
        check_page(v, &a, &q, &at, begin, &next);
    }
    assert_true(artifacts_list_cost(v, &q.f, q.sort, &at) <= 15 * M_PROJECTS * M_ROWS);
}

/* ---- projects ---- */
static str status_of(const m_project *p, int64_t now)
{
    if (p->error)
        return STR("error");
    return p->marked || !p->last_fetched || p->last_fetched < now - M_TTL ? STR("stale") : STR("active");
}

static const model *sorting;

static int project_order(const void *x, const void *y)
{
    const int a = *(const int *)x, b = *(const int *)y;
    const int c = str_cmp(m_project_name(sorting->projects[a].name), m_project_name(sorting->projects[b].name));
    return c ? c : str_cmp(m_project_id(a), m_project_id(b));
}

static void assert_project(const project *got, int p, const m_project *want, str status)
{
    int64_t outdated = 0;

    for (size_t i = 0; i < want->n; i++)
        outdated += is_outdated(&want->rows[i]);
    assert_text(got->id, m_project_id(p));
    assert_text(got->name, m_project_name(want->name));
    assert_text(got->path, m_path(want->path));
    assert_text(got->status, status);
    assert_text(got->origin, str_c(want->origin));
    assert_int_equal(got->error_message.p != NULL, want->error);
    assert_int_equal(got->artifact_count, want->n);
    assert_int_equal(got->outdated_count, outdated);
    assert_int_equal(got->last_fetched, want->last_fetched);
    assert_int_equal(got->created_at, want->created);
    assert_int_equal(got->updated_at, want->updated);
    assert_int_equal(got->version, want->version);
    assert_int_equal(got->marked, want->marked);
    assert_int_equal(got->failures, want->failures);
    assert_int_equal(got->next_refresh_at, want->next_refresh);
}

void m_check_projects(const model *m, store_view *v, int64_t now)
{
    static const char *const statuses[] = {NULL, "active", "stale", "error", "other"};
    const project_filter f = {str_c(statuses[pick(5)]), now, M_TTL};
    int ids[M_PROJECTS];
    size_t n = 0;
    SCOPED(arena_done) arena a;
    project_page page;

    arena_init(&a, 0);
    for (int p = 0; p < M_PROJECTS; p++)
        if (m->projects[p].exists && (!f.status.p || str_eq(f.status, status_of(&m->projects[p], now))))
            ids[n++] = p;
    sorting = m;
    qsort(ids, n, sizeof(*ids), project_order);
    page_at at = {.skip = pick(n + 2), .limit = 1 + pick(M_PROJECTS)};
    for (size_t begin = at.skip;; begin += at.limit) {
        const size_t left = begin < n ? n - begin : 0;
        assert_int_equal(projects_list(v, &a, &f, &at, &page), 0);
        assert_int_equal(page.total, n);
        assert_int_equal(page.n, left < at.limit ? left : at.limit);
        for (size_t i = 0; i < page.n; i++)
            assert_project(&page.items[i], ids[begin + i], &m->projects[ids[begin + i]],
                           status_of(&m->projects[ids[begin + i]], now));
        assert_int_equal(page.next.p != NULL, left > at.limit);
        if (!page.next.p)
            break;
        at.after = page.next;
    }
}

void m_check_totals(const model *m, store_view *v, int64_t now)
{
    projects_totals got, want = {0};

    for (int i = 0; i < M_PROJECTS; i++) {
        const m_project *p = &m->projects[i];
        if (!p->exists)
            continue;
        want.projects++;
        want.artifacts += (int64_t)p->n;
        want.stale += str_eq(status_of(p, now), STR("stale"));
        for (size_t j = 0; j < p->n; j++)
            want.outdated += is_outdated(&p->rows[j]);
        if (!want.oldest_entry || p->created < want.oldest_entry)
            want.oldest_entry = p->created;
        if (p->created > want.newest_entry)
            want.newest_entry = p->created;
        if (p->last_fetched > want.last_fetched)
            want.last_fetched = p->last_fetched;
        if (p->next_refresh && (!want.next_refresh || p->next_refresh < want.next_refresh))
            want.next_refresh = p->next_refresh;
    }
    assert_int_equal(projects_totals_of(v, now, M_TTL, &got), 0);
    assert_int_equal(got.projects, want.projects);
    assert_int_equal(got.artifacts, want.artifacts);
    assert_int_equal(got.stale, want.stale);
    assert_int_equal(got.outdated, want.outdated);
    assert_int_equal(got.oldest_entry, want.oldest_entry);
    assert_int_equal(got.newest_entry, want.newest_entry);
    assert_int_equal(got.last_fetched, want.last_fetched);
    assert_int_equal(got.next_refresh, want.next_refresh);
    assert_int_equal(got.last_run, 0);
}

/* ---- one by one ---- */
typedef struct each {
    size_t n;
    int64_t updated; /* their sum: they come in no order that the model knows */
} each;

static int on_each(void *arg, const artifact_live *x)
{
    each *e = arg;

    e->n++;
    e->updated += x->updated_at;
    return 0;
}

void m_check_rows(const model *m, store_view *v)
{
    SCOPED(arena_done) arena a;
    each all = {0}, want = {0};

    arena_init(&a, 0);
    for (int p = 0; p < M_PROJECTS; p++) {
        project got;
        const int r = project_load(v, &a, m_project_id(p), &got);
        assert_int_equal(r, m->projects[p].exists ? 0 : -ENOENT);
        if (r == 0)
            assert_project(&got, p, &m->projects[p], m->projects[p].error ? STR("error") : STR("active"));
    }
    collect(m, -1, -1, -1);
    for (size_t i = 0; i < n_wanted; i++) {
        artifact got = {0};
        assert_int_equal(artifact_load(v, &a, str_of(wanted[i].id, sizeof(wanted[i].id)), &got), 0);
        assert_artifact(&got, &wanted[i]);
        want.updated += wanted[i].row->updated;
    }
    assert_int_equal(artifacts_each(v, on_each, &all), 0);
    assert_int_equal(all.n, n_wanted);
    assert_int_equal(all.updated, want.updated);
}
