/* What the files of projects share about records: keys, encoding, and which rows readers see.
 *
 * One write replaces all artifacts of a project, up to PROJECT_ARTIFACTS_MAX, and no reader may see half of it; but one
 * step of the writer may only take some 5 ms. So a large change goes in three parts:
 *
 *   stage   step by step, new rows are written as COMING, and those that they replace, or that go, marked as GOING
 *   flip    one step writes the project, and says in the change record that it has happened
 *   settle  step by step, rows that are COMING become SETTLED, and those that are GOING are deleted
 *
 * Readers see SETTLED rows; besides them GOING ones before the flip and COMING ones after it. There is one change
 * record, so at most one large change at a time, and the rows that are not settled belong to it. Tallies count rows by
 * state: totals are exact at any moment. What a crash or an error left behind is settled by project_recover_apply:
 * taken out again before the flip, finished after it. A small change writes settled rows, all in one step.
 *
 * An artifact has one of two keys: its id, or its id with a '~' behind it. So both its rows can stand side by side. */
#ifndef LARDER_ARTIFACTS_PROJECT_RECORDS_H
#define LARDER_ARTIFACTS_PROJECT_RECORDS_H

#include "larder/artifact_type.h"
#include "larder/projects.h"
#include "larder/record.h"

/* "art_", 12 characters of the project, 12 of type and name. 60 bits each: who makes two projects that agree in
 * theirs, in 2^30 tries, has mixed up their artifacts, and nobody else's. */
#define ARTIFACT_ID_LEN 28
#define ARTIFACT_PREFIX_LEN 16
typedef struct artifact_id {
    char bytes[ARTIFACT_ID_LEN];
} artifact_id;
typedef struct artifact_prefix { /* how all ids of a project begin; in indexes and tallies it stands for the project */
    char bytes[ARTIFACT_PREFIX_LEN];
} artifact_prefix;
artifact_prefix artifact_prefix_of(str project_id);
artifact_id artifact_id_of(const artifact_prefix *prefix, str type, str name);
static inline str artifact_prefix_view(const artifact_prefix *p)
{
    return str_of(p->bytes, sizeof(p->bytes));
}
static inline str artifact_id_view(const artifact_id *id)
{
    return str_of(id->bytes, sizeof(id->bytes));
}

typedef enum row_state { ROW_SETTLED, ROW_COMING, ROW_GOING, ROW_STATES } row_state;

/* Names in keys are cut to so many bytes, those of artifacts_ks folded: names that agree in them sort by id. */
#define NAME_IN_KEY 230

/* Orders of artifacts_ks. Behind what is said here their keys end with the name and the record's key. */
enum {
    ARTIFACTS_BY_NAME,       /* u8 outdated */
    ARTIFACTS_BY_TYPE,       /* u8 outdated, u8 type */
    ARTIFACTS_BY_PROJECT,    /* u8 outdated, the project's prefix */
    OUTDATED_BY_PROJECT,     /* outdated ones: text project_name */
    OUTDATED_BY_DIFFERENCE,  /* outdated ones: u8 difference */
    ARTIFACTS_BY_UPSTREAM,   /* those from GitHub: text "owner/repo" in lower case, the record's key, and no name */
    ARTIFACTS_UNSETTLED,     /* those that are not SETTLED: nothing, and no name either */
};
/* "owner/repo" in lower case, as the index has it: its length; 0: longer than GitHub has any. */
#define REPO_IN_KEY 160
size_t repo_in_key(str owner, str repo, char out[REPO_IN_KEY]);
typedef struct artifact_cover {
    uint8_t state, type, difference;
    /* Record of the first ARTIFACT_SHOWN_FIELDS, so that a page needs no look-up for each of its items; without what
     * the entry says already: id, type, and a name that is in the key as it is. Empty where it would be too long, and
     * within one project, whose records lie side by side. */
    str shown;
} artifact_cover;
int artifact_cover_read(str cover, artifact_cover *ret_cover); /* -EPROTO */

/* Orders of projects_ks. Their keys end with the project's id. */
enum {
    PROJECTS_BY_NAME,         /* text name */
    PROJECTS_BY_FETCHED,      /* those that were ever fetched: u64 last_fetched */
    PROJECTS_BY_NEXT_REFRESH, /* those that have one: u64 next_refresh_at */
    PROJECTS_BY_CREATED,      /* u64 created_at */
    PROJECTS_NEW,             /* those that were never fetched, and are neither marked nor failed: as BY_NEXT_REFRESH */
};
typedef enum project_standing {
    STANDS_BY_TIME, /* active, or stale once it is old */
    STANDS_STALE,   /* marked, or never fetched */
    STANDS_ERROR,
    STANDINGS
} project_standing;
project_standing project_standing_of(const project *p);
typedef struct project_cover { /* of PROJECTS_BY_NAME and PROJECTS_BY_FETCHED */
    uint8_t standing;
    int64_t last_fetched;
} project_cover;
int project_cover_read(str cover, project_cover *ret_cover); /* -EPROTO */
int64_t projects_standing(store_view *v, project_standing s); /* how many */
/* Those that stand by time and were last fetched before `time`. */
int projects_fetched_before(store_view *v, int64_t time, int64_t *ret_n);

/* Rows in that state by whether they are outdated and by type, of one project (NULL: of all). */
#define ANY_TYPE 0xff
int64_t artifact_tally(store_view *v, row_state state, bool outdated, unsigned type, const artifact_prefix *of);
int64_t artifacts_of_project(store_view *v, const artifact_prefix *of); /* rows in any state */

/* ---- the large change under way ---- */
#define PROJECT_CHANGE_FIELDS(X, S) \
    X(S, str,  project_id, REQUIRED, 0, 0, NONE, "whose content changes") \
    X(S, bool, flipped,    REQUIRED, 0, 0, NONE, "the new one is what readers see")
SCHEMA_STRUCT(project_change, PROJECT_CHANGE_FIELDS);
int project_change_load(store_view *v, arena *a, project_change *ret_change); /* -ENOENT: none */
int project_change_put(store_txn *t, const project_change *c); /* NULL: deletes it */
/* The state of rows that are seen besides SETTLED: SETTLED again when no change is under way. */
int rows_shown(store_view *v, row_state *ret_state);

/* ---- storing ---- */
int project_put(store_txn *t, const project *p);
int artifact_put(store_txn *t, str key, const artifact *a);
/* Its row in one of two states (the same twice is fine), with the key it has. -ENOENT. */
typedef struct artifact_key {
    char bytes[ARTIFACT_ID_LEN + 1];
    size_t n;
} artifact_key;
static inline str artifact_key_view(const artifact_key *k)
{
    return str_of(k->bytes, k->n);
}
artifact_key artifact_key_of(str id, bool other); /* other: the one with the '~' */
int artifact_row(store_view *v, arena *a, str id, row_state one, row_state other, artifact *ret_artifact,
                 artifact_key *ret_key, str *ret_value);

#endif
