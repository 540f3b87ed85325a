/* projects: folders and machines where artifacts are deployed, what is deployed there, and how it compares with
 * upstream.
 *
 * Words
 *   project    a folder with deployed artifacts: discovered on this machine, or reported from elsewhere
 *   artifact   one thing deployed in a project (skill, command, agent, hook, mcp, ...)
 *   fresh      fetched within projects.ttl and not marked; stale otherwise
 *   refresh    learning anew what a project holds (discovered ones: its files; reported ones: nothing to read) and
 *              which versions upstream has; one run a project at a time, who asks meanwhile shares it
 *   outdated   upstream has another content or a higher version (artifact_version.h)
 *
 * Truth of upstream: the catalogue where the repository is a registered source, which the wiring asks through
 * projects_options.catalogue (domain rooms don't know each other); else GitHub, one conditional request per
 * repository and run, shared by all artifacts in it.
 *
 * The scheduler. Each project is due at next_refresh_at: a refresh that ends well puts it refresh_interval further,
 * give or take a tenth; one that fails 5 s * 2^n with jitter, at most PROJECTS_RETRY_MAX_MS; what GitHub answers and
 * refuses, at most the interval. A failure before that time, as of who forces a refresh, and a call that the client's
 * breaker did not let through are no further step. What was due while the server was down is refreshed once, spread
 * out; what lies on this machine is read from the disk at each start, since nobody watched it, without asking GitHub.
 * So is what was just discovered, which then waits for its turn to ask. An answer of GitHub's is good for a tenth of
 * the interval, but not for what a client has invalidated since.
 *
 * The entities below are stored as they are (record.h): append fields, never move them. */
#ifndef LARDER_PROJECTS_H
#define LARDER_PROJECTS_H

#include "larder/artifact_version.h"
#include "larder/discover.h"
#include "larder/github.h"
#include "larder/schema.h"
#include "larder/store.h"

#define PROJECT_STATUS "active|stale|error"
#define PROJECT_ARTIFACTS_MAX 10000 /* of one project */
#define PROJECT_ID_MAX 200          /* bytes */
#define PROJECTS_RETRY_MAX_MS MINUTES(10) /* or the interval where that is shorter */

/* clang-format off */
#define PROJECT_FIELDS(X, S) \
    X(S, str,    id,             REQUIRED, 0, 0, NONE, "as reported, or the base64url of the path") \
    X(S, str,    name,           REQUIRED, 0, 0, NONE, "its name") \
    X(S, str,    path,           REQUIRED, 0, 0, NONE, "where it lies") \
    X(S, choice, status,         REQUIRED, 0, 0, CHOICES(PROJECT_STATUS), "active, stale or error") \
    X(S, time,   last_fetched,   NULLABLE, 0, 0, NONE, "when its content was last learnt") \
    X(S, i64,    artifact_count, REQUIRED, 0, 0, NONE, "its artifacts") \
    X(S, str,    error_message,  NULLABLE, 0, 0, NONE, "why the last refresh failed") \
    X(S, choice, origin,         REQUIRED, 0, 0, CHOICES("discovered|reported"), "how it got in") \
    X(S, i64,    outdated_count, REQUIRED, 0, 0, NONE, "its outdated artifacts") \
    X(S, time,   created_at,     REQUIRED, 0, 0, NONE, "when it was first seen") \
    X(S, time,   updated_at,     REQUIRED, 0, 0, NONE, "when its content last changed") \
    X(S, bool,   marked,         HIDDEN, 0, 0, NONE, "invalidated since it was last fetched") \
    X(S, time,   next_refresh_at, HIDDEN, 0, 0, NONE, "when the scheduler takes it up") \
    X(S, i64,    failures,       HIDDEN, 0, 0, NONE, "refreshes that failed in a row") \
    X(S, i64,    version,        HIDDEN, 0, 0, NONE, "raised by each change of its content: its ETag") \
    X(S, time,   doubted_at,     HIDDEN, 0, 0, NONE, "when a client invalidated it: upstream is asked anew") \
    X(S, bool,   awaits_upstream, HIDDEN, 0, 0, NONE, "upstream has not been asked about all that it holds")
SCHEMA_STRUCT(project, PROJECT_FIELDS);

#define ARTIFACT_SHOWN_FIELDS 8 /* up to project_name: what lists show */
#define ARTIFACT_FIELDS(X, S) \
    X(S, str,    id,               REQUIRED, 0, 0, NONE, "art_ and 24 characters, of project, type and name") \
    X(S, str,    name,             REQUIRED, 0, 0, NONE, "its name") \
    X(S, str,    type,             REQUIRED, 0, 0, NONE, "what it is") \
    X(S, str,    project_id,       REQUIRED, 0, 0, NONE, "where it is deployed") \
    X(S, str,    deployed_version, NULLABLE, 0, 0, NONE, "version deployed there") \
    X(S, str,    upstream_version, NULLABLE, 0, 0, NONE, "version upstream has") \
    X(S, bool,   is_outdated,      REQUIRED, 0, 0, NONE, "upstream has a newer one") \
    X(S, str,    project_name,     HIDDEN, 0, 0, NONE, "its project's name") \
    X(S, str,    source,           HIDDEN, 0, 0, NONE, "github:owner/repo/path@version") \
    X(S, str,    content_hash,     HIDDEN, 0, 0, NONE, "of what is deployed") \
    X(S, str,    upstream_hash,    HIDDEN, 0, 0, NONE, "of what upstream has") \
    X(S, str,    description,      HIDDEN, 0, 0, NONE, "from its frontmatter or the reporter") \
    X(S, strs,   tags,             HIDDEN, 0, 0, NONE, "the same") \
    X(S, bool,   upstream_given,   HIDDEN, 0, 0, NONE, "the reporter knows the upstream version itself") \
    X(S, i64,    difference,       HIDDEN, 0, 0, NONE, "enum version_magnitude of deployed against upstream") \
    X(S, time,   created_at,       HIDDEN, 0, 0, NONE, "when it was first seen") \
    X(S, time,   updated_at,       HIDDEN, 0, 0, NONE, "when it last changed") \
    X(S, i64,    state,            HIDDEN, 0, 0, NONE, "0, but while a large change of its project is under way")
SCHEMA_STRUCT(artifact, ARTIFACT_FIELDS);

/* What a reporter says: PUT /api/v1/cache/projects/{id}. */
#define REPORT_ARTIFACT_FIELDS(X, S) \
    X(S, str,  name,             REQUIRED | NO_CONTROL, 1, 200, NONE, "its name, unique for its type in the project") \
    X(S, str,  type,             REQUIRED | NO_CONTROL, 1, 50, NONE, "skill, command, agent, hook, mcp, ...") \
    X(S, str,  source,           OPTIONAL | NULLABLE | NO_CONTROL, 0, 500, NONE, "github:owner/repo/path@version") \
    X(S, str,  deployed_version, OPTIONAL | NULLABLE | NO_CONTROL, 0, 200, NONE, "version deployed there") \
    X(S, str,  upstream_version, OPTIONAL | NULLABLE | NO_CONTROL, 0, 200, NONE, "where the reporter knows it itself") \
    X(S, str,  content_hash,     OPTIONAL | NULLABLE | NO_CONTROL, 0, 200, NONE, "of what is deployed") \
    X(S, str,  description,      OPTIONAL | NULLABLE, 0, 2000, NONE, "one line") \
    X(S, strs, tags,             OPTIONAL | NULLABLE | NO_CONTROL, 0, 50, EACH(1, 50), "labels")
SCHEMA_STRUCT(report_artifact, REPORT_ARTIFACT_FIELDS);
#define FIELD_C_report_artifacts rows
#define FIELD_KIND_report_artifacts FIELD_ROWS
#define FIELD_SUB_report_artifacts &report_artifact_schema
#define PROJECT_REPORT_FIELDS(X, S) \
    X(S, str, name, REQUIRED | NO_CONTROL, 1, 200, NONE, "its name") \
    X(S, str, path, REQUIRED | NO_CONTROL, 1, 1000, NONE, "where it lies") \
    X(S, report_artifacts, artifacts, REQUIRED, 0, PROJECT_ARTIFACTS_MAX, NONE, "all that is deployed there")
SCHEMA_STRUCT(project_report, PROJECT_REPORT_FIELDS);

/* What the scheduler remembers over a restart; one record, its key "state". */
#define REFRESH_STATE_FIELDS(X, S) \
    X(S, time, last_run, NULLABLE, 0, 0, NONE, "end of the last run over all projects that were due")
SCHEMA_STRUCT(refresh_state, REFRESH_STATE_FIELDS);
/* clang-format on */

extern keyspace projects_ks, artifacts_ks, project_changes_ks, refresh_state_ks, upstream_ks;

/* ---- reading (any view; texts live as long as the view, lists in the arena) ---- */
int project_load(store_view *v, arena *a, str id, project *ret_project); /* -ENOENT */
int artifact_load(store_view *v, arena *a, str id, artifact *ret_artifact);
/* `status` as it is at `now`: stale once last_fetched is older than ttl_ms. */
str project_status_at(const project *p, int64_t now, int64_t ttl_ms);

/* Pages: page_at in store.h. -EINVAL: `after` is not one of ours. */
typedef struct project_filter {
    str status; /* null: any */
    int64_t now, ttl_ms;
} project_filter;
typedef struct project_page {
    const project *items; /* status as at filter.now */
    size_t n;
    int64_t total; /* exact */
    str next;      /* null: the last page */
} project_page;
/* By name, byte by byte, then id. */
int projects_list(store_view *v, arena *a, const project_filter *f, const page_at *at, project_page *ret_page);

typedef struct artifact_filter {
    str project_id, type; /* null: any; what is no type or project has no artifacts */
    enum { OUTDATED_ANY, OUTDATED_YES, OUTDATED_NO } outdated;
} artifact_filter;
typedef enum artifact_sort { ARTIFACTS_NAME, ARTIFACTS_TYPE, ARTIFACTS_PROJECT, ARTIFACTS_DIFFERENCE } artifact_sort;
typedef struct artifact_page {
    const artifact *items; /* of each at least the first ARTIFACT_SHOWN_FIELDS */
    size_t n;
    int64_t total;
    str next;
} artifact_page;
/* Sorts other than NAME only with OUTDATED_YES: the stale artifacts. Names sort as str_fold has them, upper case as
 * lower, by the first 230 bytes; then ids. `down` turns round what is sorted by; ties stay by name, then id (a list by
 * name turns round whole). */
int artifacts_list(store_view *v, arena *a, const artifact_filter *f, artifact_sort sort, bool down, const page_at *at,
                   artifact_page *ret_page);
int artifacts_total(store_view *v, const artifact_filter *f, int64_t *ret_total); /* exact */
/* Roughly how many records the page has to pass over: to decide between loop and job. */
uint64_t artifacts_list_cost(store_view *v, const artifact_filter *f, artifact_sort sort, const page_at *at);

typedef struct projects_totals { /* exact; times wall ms, 0 for none */
    int64_t projects, artifacts, stale, outdated;
    int64_t oldest_entry, newest_entry, last_fetched, next_refresh, last_run;
} projects_totals;
int projects_totals_of(store_view *v, int64_t now, int64_t ttl_ms, projects_totals *ret_totals);
int64_t projects_next_refresh(store_view *v); /* when the next one is due, wall ms; 0: none is, or it cannot be read */
/* When the project was last fetched that time alone makes stale next; INT64_MAX: there is none. While neither this nor
 * projects_ks changes, the same projects are stale. */
int64_t projects_next_stale(store_view *v, int64_t now, int64_t ttl_ms);

/* All artifacts, for who keeps an index of them. A negative result of fn ends it. Texts live until fn returns. */
typedef struct artifact_live {
    str id, name, type, project_id;
    int64_t updated_at;
} artifact_live;
int artifacts_each(store_view *v, int (*fn)(void *arg, const artifact_live *x), void *arg);

/* ---- the service ---- */
typedef struct projects projects;
#define PROJECTS_BATCH 64
typedef struct artifact_change { /* texts live until the callback returns */
    str id, name, type, project_id;
    int64_t updated_at;
    bool live;
    bool became_outdated;                   /* by this change; then also: */
    str deployed_version, upstream_version; /* null: not known */
} artifact_change;

/* What happens, for who wants to watch (the event stream). Texts live until the callback returns. */
typedef enum projects_event_kind {
    REFRESH_STARTED,
    REFRESH_PROGRESS,
    REFRESH_FINISHED,
    ARTIFACT_OUTDATED, /* became outdated */
    PROJECT_CHANGED,   /* reported, forgotten, invalidated */
} projects_event_kind;
typedef struct projects_event {
    projects_event_kind kind;
    str project_id, project_name;          /* null for a run over all */
    str artifact_id, artifact_name, artifact_type, deployed_version, upstream_version;
    int64_t done, total, refreshed, errors; /* of the run */
    bool changes_detected;
    str why;
} projects_event;

/* What the catalogue says of one artifact upstream. `path` may be null: the repository itself. */
typedef struct upstream_answer {
    bool is_registered; /* the repository is a source: no need to ask GitHub */
    str version;        /* manifest's version, else the short commit; null: no such artifact */
    str content_hash;   /* null: not known */
} upstream_answer;

typedef struct projects_options {
    loop *loop;
    store *store;
    github *github;
    const str *roots; /* borrowed until the next projects_configure; absolute */
    size_t n_roots;
    int64_t refresh_interval_ms, ttl_ms;
    unsigned concurrency; /* refreshes at once */
    /* Runs on workers. Texts in the view, or in `a`. -ENOMEM, -EIO */
    int (*catalogue)(void *arg, store_view *v, arena *a, str owner, str repo, str path, str ref,
                     upstream_answer *ret_answer);
    void (*on_artifacts)(void *arg, const artifact_change *changes, size_t n); /* PROJECTS_BATCH a turn */
    void (*on_event)(void *arg, const projects_event *e);
    void *arg;
} projects_options;
int projects_new(const projects_options *o, projects **ret_projects); /* -ENOMEM */
void projects_configure(projects *p, const projects_options *o); /* roots, interval, ttl, concurrency */
int projects_start(projects *p); /* discovers, and refreshes what is due. -ENOMEM */
void projects_stop(projects *p, void (*stopped)(void *arg), void *arg);
void projects_free(projects *p);
int64_t projects_ttl(const projects *p);

/* A change asked for by a client: as source_task. Status: 0; -ENOENT; -EINVAL with `why`; -ESTALE (if_match does not
 * match); -ENOSPC, -EIO, -ENOMEM, -ECANCELED. */
typedef struct project_task project_task;
struct project_task {
    /* in; the struct, its arena and what it points to are the caller's until on_done, which runs once, later */
    arena *arena;
    str id;                       /* 1 to PROJECT_ID_MAX bytes */
    const project_report *report; /* projects_report */
    int64_t if_match;             /* the version it must have; 0: any; -1: it must not exist; -2: it must exist */
    void (*on_done)(project_task *t);
    void *user;
    /* out */
    int status;
    str why;
    bool ret_created;
    int64_t ret_version;
    int64_t ret_count; /* projects_invalidate */
    /* the room's own */
    list link;
    struct projects *owner;
    post post;
};
/* Replaces the project's content in one write: readers see all of it or nothing, whatever its size. Reported under the
 * id of a discovered one the project is the reporter's: what lies in the folder plays no part until it is forgotten,
 * and then is found by the next discovery. */
void projects_report(projects *p, project_task *t);
void projects_forget(projects *p, project_task *t);     /* with its artifacts */
void projects_invalidate(projects *p, project_task *t); /* id null: all. Marks stale, deletes nothing */

/* POST /refresh: waits for the run. `id` null: all projects, those included that are below the roots now. on_done runs
 * exactly once, later. */
typedef struct refresh_task refresh_task;
struct refresh_task {
    arena *arena;
    str id;
    bool force; /* fresh ones too */
    void (*on_done)(refresh_task *t);
    void *user;
    /* out */
    int status; /* 0; -ENOENT; -ENOMEM, -ECANCELED */
    int64_t projects_refreshed;
    bool changes_detected;
    strs errors; /* in arena; each cause once, with how many projects it concerns; at most 100, the last then says how
                  * many more */
    int64_t duration_ms;
    /* the room's own */
    list link;
    struct projects *owner;
    int64_t begun;
    bool is_cancelled;
    uint64_t seeks; /* which discovery must have ended first; 0: not known yet */
};
void projects_refresh(projects *p, refresh_task *t);
void projects_refresh_cancel_all(projects *p); /* who waits for one hears -ECANCELED, soon; the refreshes go on */
void projects_refresh_cancel(refresh_task *t); /* the client has left; the run goes on; on_done still runs */

/* The catalogue knows something else of a repository now: projects that hold artifacts from it are due. */
void projects_upstream_changed(projects *p, str owner, str repo);

typedef struct projects_stats {
    uint64_t refreshed, failed, changed; /* projects, since the start */
    uint64_t limited;                    /* those that wait for GitHub's quota, counted each time */
    uint64_t refreshing, queued;         /* now */
    uint64_t forgotten;                  /* records of upstream that nobody asked for any more, since the start */
    uint64_t watched;                    /* now: discovered projects whose folders are */
} projects_stats;
const projects_stats *projects_stats_of(projects *p);

#endif
