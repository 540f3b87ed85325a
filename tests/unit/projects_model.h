/* A plain model of projects and their artifacts: arrays, and sorting all for each question. What the store is held
 * against. */
#ifndef LARDER_TESTS_PROJECTS_MODEL_H
#define LARDER_TESTS_PROJECTS_MODEL_H

#include "domains/artifacts/project_write.h"

#define M_PROJECTS 12
#define M_NAMES 400
#define M_ROWS 700 /* of one project */
#define M_TTL 100000

typedef struct m_row {
    int name, type, source, hash, deployed; /* numbers of texts; -1: null */
    int upstream, upstream_hash;
    bool given;
    int description, tags, project_name;
    int64_t created, updated;
} m_row;

typedef struct m_project {
    bool exists, error, marked;
    int name, path;
    const char *origin;
    int64_t last_fetched, created, updated, version, next_refresh, failures;
    size_t n;
    m_row rows[M_ROWS];
} m_project;

typedef struct model {
    m_project projects[M_PROJECTS];
} model;

/* ---- own numbers: the store draws from random_* itself ---- */
void m_seed(uint64_t seed);
uint64_t pick(uint64_t n);
bool chance(unsigned percent);

/* ---- texts ---- */
str m_name(int i);
str m_version(int i);
str m_hash(int i);
str m_source(int i);
str m_description(int i);
str m_project_id(int p);
str m_project_name(int i);
str m_path(int i);
#define M_VERSIONS 12
#define M_HASHES 4
#define M_SOURCES 3
#define M_DESCRIPTIONS 3
#define M_PROJECT_NAMES 7

/* ---- changes ---- */
/* What a write says of a project, as numbers; content_of makes it texts. */
typedef struct m_content {
    int name, path;
    size_t n;
    struct {
        m_row row;
        upstream_word word;
    } v[M_ROWS];
} m_content;
/* A content that differs from what the project holds by some rows; `size`: about how many it gets. */
void m_content_draw(const m_project *p, size_t size, m_content *ret_content);
void m_content_texts(arena *a, int p, const m_content *c, project_write *w); /* sorted */
typedef struct m_effect {
    bool created, status_changed;
    int64_t added, removed, changed;
} m_effect;
m_effect m_write(m_project *p, const m_content *c, const char *origin, int64_t now, int64_t due);

/* ---- questions: each compares one with what the store says ---- */
void m_check_totals(const model *m, store_view *v, int64_t now);
void m_check_projects(const model *m, store_view *v, int64_t now); /* a page drawn by chance, and all pages */
void m_check_artifacts(const model *m, store_view *v);
void m_check_rows(const model *m, store_view *v); /* every project and artifact, field by field */

#endif
