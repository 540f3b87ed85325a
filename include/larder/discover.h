/* discover: projects and their deployed artifacts, read from this machine's folders. These functions block: call them
 * in jobs. Thread-safe; results live in the arena.
 *
 * Words
 *   root      a folder under which projects are looked for, DISCOVER_DEPTH levels deep and itself included; not in
 *             folders like node_modules (the list is in discover.c)
 *   profile   .claude .codex .gemini .cursor in a project's folder. What lies in two is taken from the first
 *   project   a folder with a profile that holds .skillmeat-deployed.toml or a deployed artifact, or that cannot be
 *             looked into
 *   artifact  skills/<name>/ with a SKILL.md, commands/<name>.md, agents/<name>.md, hooks/<name>[.*], mcp/<name>[.*]
 *             in a profile, and whatever else the deployment file names that is there
 *
 * Links are followed as long as they stay within the root; what lies outside, or nowhere, counts as not there. (Where
 * the kernel has no openat2 no link is followed.) In an artifact's folder, links are content, as they are for git.
 * What is neither file, folder nor link is passed over, and opening it never waits. What has a name that is no UTF-8
 * text (or has control characters) is left out, and said: of folders on the way, and of artifacts.
 *
 * The content hash is that of the catalogue's entries, so that the two can be compared: SHA-256 over the lines
 * "path:blob", sorted and joined by newlines, where path is relative to the artifact's folder (of a single file: its
 * name) and blob is git's name of the content. .git, __pycache__, node_modules and .DS_Store are left out. */
#ifndef LARDER_DISCOVER_H
#define LARDER_DISCOVER_H

#include "larder/schema.h"

#define DISCOVER_DEPTH 3
#define DISCOVER_PROJECTS_MAX 100000          /* of one root */
#define DISCOVER_FOLDERS_MAX 1000000          /* looked into for one root */
#define DISCOVER_ARTIFACTS_MAX 10000          /* of one project */
#define DISCOVER_FILES_MAX 2000               /* of one artifact; and as many folders */
#define DISCOVER_BYTES_MAX (64 * 1024 * 1024) /* of one artifact */
#define DISCOVER_WATCHED_MAX 256
#define DISCOVER_NOTICED_MAX 8192 /* folders of one root where projects may come to be seen */

typedef struct found_artifact {
    str name, type;    /* as artifact_type_name gives it */
    str path;          /* below the project's folder */
    str source;        /* from the deployment file; null */
    str version;       /* frontmatter's, else the newest of the deployment file's lineage (of a hash: 7 digits); null */
    str content_hash;  /* hex; null: it could not be read */
    str deployed_hash; /* what the deployment file says it was when it was deployed; null */
    str description;   /* null */
    strs tags;
} found_artifact;
typedef struct found_project {
    str path;                  /* absolute, canonical */
    str name;                  /* .skillmeat-project.toml's, else the folder's */
    found_artifact *artifacts; /* by type, then name, which is unique for its type */
    size_t n;
    strs folders; /* as discover_folders_of gives them, but of artifacts' folders only the outermost */
    bool misses_folders; /* a profile or layout could not be looked into: there may be more artifacts */
    bool misses_lineage; /* a deployment file could not be read: artifacts may have a source */
    str why;      /* null, or what of it could not be read (the rest is there all the same) */
} found_project;

/* The folders that are projects, canonical and sorted. *ret_folders: where a project that comes shows, those that lie
 * less deep first: the root and the folders below it, and the profiles of those that are no projects. *ret_why: null,
 * or what could not be looked at (the first such, and how many more; a root that is not there is one): then a project
 * that is missing here may be there all the same. -ENOMEM. */
int discover_projects(arena *a, str root, strs *ret_paths, strs *ret_folders, str *ret_why);
/* `path` as discover_projects gave it for that root. -ENOENT: no such folder, or no longer a project; -EACCES, -EIO
 * and the like: what the system says of the folder; -ENOMEM. */
int discover_read(arena *a, str root, str path, found_project *ret_project);

/* Where changes of a project show: first its folder (as given, read or not), of which only profiles count; then its
 * profiles with the folders in them, two deep, only those that are there. Absolute, sorted, at most
 * DISCOVER_WATCHED_MAX. -ENOMEM */
int discover_folders_of(arena *a, str path, strs *ret_folders);
bool discover_is_profile(str name);
/* Whether a change of that entry in one of a profile's folders may change what discover_read says: not what editors and
 * tools leave for a moment. */
bool discover_notices(str name);
/* Whether a project may come with an entry of that name, in one of discover_projects' folders. */
bool discover_leads_on(str name);

/* One [[deployed]] table of a deployment file. Keys that are not listed here are not looked at. */
typedef struct deployed_record {
    str artifact_name;        /* without .md, .txt, .json, .yaml, .yml */
    str artifact_type;        /* as artifact_type_name gives it */
    str artifact_path;        /* below the profile; null */
    str content_hash, source; /* null */
    str version;              /* the newest of its version_lineage; null */
} deployed_record;
/* -EINVAL with *ret_why ("line 3: artifact_name must be there"), also for wrong kinds of values, unknown types, paths
 * that lead out of the profile and texts that are too long; -EFBIG; -ENOMEM. */
int deployment_parse(arena *a, str text, deployed_record **ret_records, size_t *ret_n, str *ret_why);
/* [project] name of .skillmeat-project.toml. -ENOENT: it has none; -EINVAL, -EFBIG, -ENOMEM. */
int project_file_name(arena *a, str text, str *ret_name, str *ret_why);

#endif
