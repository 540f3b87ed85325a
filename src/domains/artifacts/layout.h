/* layout: where in a project's folder deployed artifacts lie. To add a profile or a place, add a row in layout.c. */
#ifndef LARDER_ARTIFACTS_LAYOUT_H
#define LARDER_ARTIFACTS_LAYOUT_H

#include "below.h"
#include "larder/schema.h"

#define PROFILE_COUNT 4
extern const str profile_names[PROFILE_COUNT];
#define DEPLOYMENT_FILE STR(".skillmeat-deployed.toml")
#define PROJECT_FILE STR(".skillmeat-project.toml")

typedef struct layout {
    str folder; /* in a profile */
    str type;
    str extension;       /* of artifacts that are files; empty: any; null: none is a file */
    bool may_be_folders; /* artifacts may be folders */
    bool needs_manifest; /* a folder without its manifest is no artifact */
} layout;
#define LAYOUT_COUNT 5
extern const layout layouts[LAYOUT_COUNT];

/* The name of the artifact that this entry may be; null when it can be none. What a link leads to decides later. */
str layout_name(const layout *l, const folder_entry *e);
/* Sorts them: the one that the others lie below is the first. */
strs folders_in_order(str *v, size_t n);
/* What the file is called that speaks for artifacts of that type which are folders. */
str layout_manifest(str type);

/* The folder's canonical path, at most PATH_MAX bytes at `out`, and the open folder. */
int root_open(arena *a, str root, str *ret_path, int *ret_fd);

#endif
