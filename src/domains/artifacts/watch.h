/* Watching the folders of discovered projects, on the loop. */
#ifndef LARDER_ARTIFACTS_WATCH_H
#define LARDER_ARTIFACTS_WATCH_H

#include "project_write.h"

#define WATCHED_PROJECTS_MAX 2048 /* and of their folders LOOP_WATCHES_MAX */

/* From now on these folders are watched for the project, and no others; none: it isn't watched any more. */
void watch_project(projects *p, str id, strs paths);
/* On a worker: the folders that are there now, without reading what they hold. -ENOMEM */
int watch_folders(arena *a, str path, strs *ret_folders);
bool watch_has(projects *p, str id);
void watch_close_all(projects *p); /* projects.n_watches is 0 when they are closed */

#endif
