/* /api/v1/cache/events: what happens in the cache, as it happens. Each event is a row below: its name, and the shape of
 * its data. */
#include "larder/api.h"

#define WHY_MAX 500 /* characters of a reason */

/* clang-format off */
#define REFRESH_STARTED_FIELDS(X, S) \
    X(S, str, project_id,   NULLABLE, 0, 0, NONE, "the project; null for a run over all") \
    X(S, str, project_name, NULLABLE, 0, 0, NONE, "its name") \
    X(S, i64, total,        REQUIRED, 0, 0, NONE, "projects of the run")
SCHEMA_STRUCT(refresh_started, REFRESH_STARTED_FIELDS);
SCHEMA(refresh_started, REFRESH_STARTED_FIELDS, "A refresh began");

#define REFRESH_PROGRESS_FIELDS(X, S) \
    X(S, str, project_id,   NULLABLE, 0, 0, NONE, "the project that was done last") \
    X(S, str, project_name, NULLABLE, 0, 0, NONE, "its name") \
    X(S, i64, done,         REQUIRED, 0, 0, NONE, "projects of the run that are done") \
    X(S, i64, total,        REQUIRED, 0, 0, NONE, "projects of the run") \
    X(S, i64, errors,       REQUIRED, 0, 0, NONE, "those that failed")
SCHEMA_STRUCT(refresh_progress, REFRESH_PROGRESS_FIELDS);
SCHEMA(refresh_progress, REFRESH_PROGRESS_FIELDS, "A refresh goes on");

#define REFRESH_FINISHED_FIELDS(X, S) \
    X(S, str,  project_id,         NULLABLE, 0, 0, NONE, "the project; null for a run over all") \
    X(S, str,  project_name,       NULLABLE, 0, 0, NONE, "its name") \
    X(S, i64,  projects_refreshed, REQUIRED, 0, 0, NONE, "projects that were refreshed") \
    X(S, bool, changes_detected,   REQUIRED, 0, 0, NONE, "something is other than it was") \
    X(S, i64,  errors,             REQUIRED, 0, 0, NONE, "projects that failed") \
    X(S, str,  error,              NULLABLE, 0, 0, NONE, "why, of the last one")
SCHEMA_STRUCT(refresh_finished, REFRESH_FINISHED_FIELDS);
SCHEMA(refresh_finished, REFRESH_FINISHED_FIELDS, "A refresh ended");

#define ARTIFACT_OUTDATED_FIELDS(X, S) \
    X(S, str, id,               REQUIRED, 0, 0, NONE, "artifact id") \
    X(S, str, name,             REQUIRED, 0, 0, NONE, "its name") \
    X(S, str, type,             REQUIRED, 0, 0, NONE, "what it is") \
    X(S, str, project_id,       REQUIRED, 0, 0, NONE, "where it is deployed") \
    X(S, str, project_name,     NULLABLE, 0, 0, NONE, "that project's name") \
    X(S, str, deployed_version, NULLABLE, 0, 0, NONE, "version deployed there") \
    X(S, str, upstream_version, NULLABLE, 0, 0, NONE, "version upstream has")
SCHEMA_STRUCT(artifact_outdated, ARTIFACT_OUTDATED_FIELDS);
SCHEMA(artifact_outdated, ARTIFACT_OUTDATED_FIELDS, "An artifact became outdated");

#define PROJECT_CHANGED_FIELDS(X, S) \
    X(S, str, project_id,   NULLABLE, 0, 0, NONE, "the project; null: all") \
    X(S, str, project_name, NULLABLE, 0, 0, NONE, "its name")
SCHEMA_STRUCT(project_changed, PROJECT_CHANGED_FIELDS);
SCHEMA(project_changed, PROJECT_CHANGED_FIELDS, "A project was reported, forgotten or invalidated");

#define SCAN_FINISHED_FIELDS(X, S) \
    X(S, str,  source_id,       REQUIRED, 0, 0, NONE, "the source") \
    X(S, str,  status,          REQUIRED, 0, 0, NONE, "success or error") \
    X(S, i64,  artifacts_found, REQUIRED, 0, 0, NONE, "live entries now") \
    X(S, i64,  new_count,       REQUIRED, 0, 0, NONE, "entries seen for the first time") \
    X(S, i64,  updated_count,   REQUIRED, 0, 0, NONE, "entries that changed") \
    X(S, i64,  removed_count,   REQUIRED, 0, 0, NONE, "entries that are gone") \
    X(S, bool, not_modified,    REQUIRED, 0, 0, NONE, "GitHub said that nothing changed") \
    X(S, str,  error,           NULLABLE, 0, 0, NONE, "the first of what went wrong")
SCHEMA_STRUCT(scan_finished, SCAN_FINISHED_FIELDS);
SCHEMA(scan_finished, SCAN_FINISHED_FIELDS, "A scan of a source ended");
/* clang-format on */

/* Without memory the event is lost, and an empty one makes the channel say so. */
static void tell(api *app, const char *event, const schema *s, const void *data)
{
    buf text = BUF_INIT;
    json w;

    json_begin(&w, &text);
    schema_write(s, data, &w);
    (void)json_finish(&w);
    channel_send(app->events, event, text.err ? STR_NULL : buf_view(&text));
    buf_done(&text);
}

static void tell_refresh(api *app, const projects_event *e)
{
    if (e->kind == REFRESH_STARTED)
        tell(app, "refresh_started", &refresh_started_schema,
             &(refresh_started){.project_id = e->project_id, .project_name = e->project_name, .total = e->total});
    else if (e->kind == REFRESH_PROGRESS)
        tell(app, "refresh_progress", &refresh_progress_schema,
             &(refresh_progress){.project_id = e->project_id,
                                 .project_name = e->project_name,
                                 .done = e->done,
                                 .total = e->total,
                                 .errors = e->errors});
    else
        tell(app, "refresh_finished", &refresh_finished_schema,
             &(refresh_finished){.project_id = e->project_id,
                                 .project_name = e->project_name,
                                 .projects_refreshed = e->refreshed,
                                 .changes_detected = e->changes_detected,
                                 .errors = e->errors,
                                 .error = utf8_head(e->why, WHY_MAX)});
}

void api_tell_projects(api *app, const projects_event *e)
{
    switch (e->kind) {
    case REFRESH_STARTED:
    case REFRESH_PROGRESS:
    case REFRESH_FINISHED:
        tell_refresh(app, e);
        break;
    case ARTIFACT_OUTDATED:
        tell(app, "artifact_outdated", &artifact_outdated_schema,
             &(artifact_outdated){.id = e->artifact_id,
                                  .name = e->artifact_name,
                                  .type = e->artifact_type,
                                  .project_id = e->project_id,
                                  .project_name = e->project_name,
                                  .deployed_version = e->deployed_version,
                                  .upstream_version = e->upstream_version});
        break;
    case PROJECT_CHANGED:
        tell(app, "project_changed", &project_changed_schema,
             &(project_changed){.project_id = e->project_id, .project_name = e->project_name});
        break;
    }
}

void api_tell_scan(api *app, str source_id, const scan_result *r)
{
    tell(app, "scan_finished", &scan_finished_schema,
         &(scan_finished){.source_id = source_id,
                          .status = r->status,
                          .artifacts_found = r->artifacts_found,
                          .new_count = r->new_count,
                          .updated_count = r->updated_count,
                          .removed_count = r->removed_count,
                          .not_modified = r->not_modified,
                          .error = r->errors.n ? utf8_head(r->errors.v[0], WHY_MAX) : STR_NULL});
}

static int get_events(call *c)
{
    const api *app = c->app;

    return reply_stream(c, app->events);
}

static const route rows_of_events[] = {
    {HTTP_M_GET, "/api/v1/cache/events", &family_cache, SCOPE_CACHE_READ, LIMIT_CLIENT,
     .reply_type = "text/event-stream", .errors = "503", .handle = get_events,
     .summary = "What happens, as Server-Sent Events; Last-Event-ID goes on where the client was"},
};
const route_table events_routes = {rows_of_events, COUNT_OF(rows_of_events)};
