/* discover: projects and their deployed artifacts, read from this machine's folders. These functions block: call them
 * in jobs. Links that lead out of the root are not followed. Thread-safe; results live in the arena.
 *
 * A folder is a project when one of .claude .codex .gemini .cursor in it holds .skillmeat-deployed.toml or deployed
 * artifacts: skills/<name>/SKILL.md, commands/<name>.md, agents/<name>.md, hooks/<name>.*, mcp/<name>/. It lies at most
 * DISCOVER_DEPTH below its root. */
#ifndef LARDER_DISCOVER_H
#define LARDER_DISCOVER_H

#include "larder/schema.h"

#define DISCOVER_DEPTH 3
#define DISCOVER_PROJECTS_MAX 100000 /* of one root; more is an error of the run, said in words */

typedef struct found_artifact {
    str name, type;  /* skill, command, agent, hook, mcp */
    str path;        /* below the project's folder */
    str source;      /* from the deployment file; null */
    str version;     /* frontmatter's, else the deployment file's lineage; null */
    str content_hash; /* SHA-256 of what is deployed, hex */
    str deployed_hash; /* what the deployment file says it was when it was deployed; null */
    str description; /* null */
    strs tags;
} found_artifact;
typedef struct found_project {
    str path; /* absolute, canonical */
    str name; /* .skillmeat-project.toml's, else the folder's */
    found_artifact *artifacts; /* by type, then name */
    size_t n;
    str why;  /* null, or what of it could not be read (the rest is there all the same) */
} found_project;

/* The folders that are projects, sorted. *ret_why: null, or what could not be read. -ENOMEM; a root that is not there
 * is said in ret_why. */
int discover_projects(arena *a, str root, strs *ret_paths, str *ret_why);
/* -ENOENT: no such folder, or no longer a project; -EACCES, -EIO; -ENOMEM. `root`: links must stay within it. */
int discover_read(arena *a, str root, str path, found_project *ret_project);

/* The deployment file: TOML, of which is read what it uses: [[deployed]] tables of strings, numbers, booleans, dates,
 * and arrays of strings. Strict: anything else is an error with its line. */
typedef struct deployed_record {
    str artifact_name, artifact_type, from_collection, artifact_path, content_hash, source;
    strs version_lineage; /* newest first */
    bool local_modifications;
} deployed_record;
/* -EINVAL, -ENOMEM */
int deployment_parse(arena *a, str text, deployed_record **ret_records, size_t *ret_n, str *ret_why);
int project_file_name(arena *a, str text, str *ret_name); /* -ENOENT, -EINVAL */

#endif
