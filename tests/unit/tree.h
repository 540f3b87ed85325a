/* A root with folders and files in it on a real disk, made anew for each test of discovery. */
#ifndef LARDER_TESTS_TREE_H
#define LARDER_TESTS_TREE_H

#include <limits.h>

#include "larder/discover.h"

extern arena tree_arena;
extern char tree_top[PATH_MAX]; /* holds "root" and "outside" */
extern str tree_root;

int tree_setup(void **state);
int tree_teardown(void **state);

/* Paths are relative to the root. */
const char *tree_path(const char *path); /* absolute */
void tree_folder(const char *path);
void tree_put(const char *path, const char *text); /* with the folders on the way */
void tree_link(const char *path, const char *target);

/* "a b/c": the projects below the root; a fault fails the test unless `ret_why` is wanted. */
str projects_found(str *ret_why);
int read_at(const char *path, found_project *p);
found_project project_at(const char *path); /* without faults */
str artifacts_of(const found_project *p);   /* "command:review skill:pdf" */
const found_artifact *artifact_named(const found_project *p, const char *name);

#endif
