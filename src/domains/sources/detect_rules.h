/* detect_rules: the rules of detect.h over a tree. What they find is not yet hashed, compared or sorted. */
#ifndef LARDER_SOURCES_DETECT_RULES_H
#define LARDER_SOURCES_DETECT_RULES_H

#include "detect_tree.h"

typedef struct found {
    detected artifact;
    uint32_t dir;          /* it is this directory, or a file in it */
    const tree_file *file; /* NULL: a directory */
} found;

typedef struct detector {
    arena *arena;
    const detect_options *options;
    tree tree;
    found *v;
    size_t n, cap;
} detector;

int detect_add(detector *d, const found *f); /* -ENOMEM */
int detect_run_rules(detector *d);

#endif
