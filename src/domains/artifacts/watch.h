/* Watching folders, on the loop: those of discovered projects (watch.c), and those where projects may come to be seen
 * (watch_roots.c). */
#ifndef LARDER_ARTIFACTS_WATCH_H
#define LARDER_ARTIFACTS_WATCH_H

#include "project_write.h"

#define WATCHED_PROJECTS_MAX 2048 /* and of their folders what the roots leave of LOOP_WATCHES_MAX */
#define ROOT_FOLDERS_MAX 8192 /* of all roots, each its share; what lies less deep comes first */
#define WATCH_LOOK_UPS 16 /* a turn: each asks the disk */

/* From now on these folders are watched for the project, and no others; none: it isn't watched any more. The first is
 * its own. What could not be watched is tried again in each call. */
void watch_project(projects *p, str id, strs paths);
/* Projects that are known to have folders which were not watched for a while, and are now: reread.c reads them. The
 * first of them, until watch_is_read; null: none. */
str watch_first_unread(projects *p);
void watch_is_read(projects *p);
bool watch_has(projects *p, str id);
/* The same for the roots' folders: sorted, each once; a part in each call. True: call it again in another turn. */
bool watch_roots(projects *p, strs paths, size_t *at);
void watch_close_all(projects *p); /* n_watches and n_root_folders are 0 when they are closed */

/* ---- what the two share ---- */
typedef struct watched_folder {
    folder_watch watch;
    list link; /* in projects.opening until it has been tried */
    str path;  /* NUL-terminated */
    void (*on_tried)(struct watched_folder *f, int status);
} watched_folder;
void watch_open(projects *p, watched_folder *f); /* soon; on_tried follows unless it is taken off the list */
void watch_roots_opened(projects *p);            /* nothing is left to be opened */
void watch_roots_close_all(projects *p);

#endif
