/* detect: which files and directories of a repository are artifacts, judged by their paths alone (and, where asked for,
 * by the frontmatter of loose Markdown files). Pure: no clock, no store, no network; deterministic. Thread-safe.
 *
 * Words
 *   container   a directory named skills, commands, agents, hooks, mcp, mcp-servers or servers: holds artifacts of that
 *               type, is none itself
 *   manifest    the file that says what a directory is (SKILL.md, AGENT.md, plugin.json, ...), in any letter case
 *   composite   a plugin: a directory that bundles artifacts; its members stay artifacts of their own
 *   mapped      below a directory of the source's manual_map; the closest mapped ancestor decides the type
 *   raw score   the sum of signals, out of 160; confidence is its percentage, and below 30 is not reported
 *
 * Rules, in order; the tables behind them are in src/domains/sources/detect_words.c, where a name is added by a row:
 *   1. composite: X/.claude-plugin/plugin.json 98, X/plugin.json 95, a COMPOSITE or PLUGIN manifest 90, two or more of
 *      the directories commands agents skills hooks rules mcp beside at least one file (but no SKILL.md) 70. Never the
 *      repository itself.
 *   2. a Markdown file below a container (not skills): 75, 70 one level down, then 5 less a level, at least 50. Not
 *      beside or below a manifest (but again in a container below one, unless that one is a skill's), and no README or
 *      the like.
 *   3. a directory by its signals: own or parent's name, manifest, kinds of files, container, depth.
 *   4. SKILL.md at the root makes the repository one skill named like it, path ".".
 *   5. mapped: directories with SKILL.md for skill, Markdown files for the other types, the directory itself for
 *      composite; 95, 3 less a level, at least 86.
 *   6. frontmatter: a loose Markdown file with name, description and a key that tells its type: 65. In this
 *      order argument-hint says command; tools, color, permissionMode agent; license, metadata, allowed-tools skill;
 *      model agent. */
#ifndef LARDER_DETECT_H
#define LARDER_DETECT_H

#include "larder/base.h"
#include "larder/frontmatter.h"
#include "larder/hash.h"
#include "larder/schema.h"

#define DETECT_MAX_FILES 400000 /* in one listing */
#define DETECT_MAX_DIRS 500000
#define DETECT_MAX_PARTS 10 /* path segments of a directory that is an artifact */

/* ---- types ---- */
#define DETECT_TYPES(X)          \
    X(DETECT_SKILL, "skill")     \
    X(DETECT_COMMAND, "command") \
    X(DETECT_AGENT, "agent")     \
    X(DETECT_MCP, "mcp")         \
    X(DETECT_HOOK, "hook")       \
    X(DETECT_COMPOSITE, "composite")
#define DETECT_TYPE_ENUM(name, text) name,
typedef enum detect_type { DETECT_TYPES(DETECT_TYPE_ENUM) DETECT_TYPE_COUNT } detect_type;

str detect_type_name(detect_type type);
/* Any letter case; mcp_server and mcp-server mean mcp. False when it is no type. */
bool detect_type_parse(str text, detect_type *ret_type);

/* ---- in ---- */
typedef struct detect_file {
    str path;
    uint8_t sha[SHA1_LEN];    /* git's name of the content */
    bool is_link;             /* counts for the content hash, is never followed, is never an artifact */
    const frontmatter *front; /* NULL: none, or not read */
} detect_file;

typedef struct detect_options {
    str repo_name;
    str root_hint;    /* as source_root_hint_check gives it: only files below count */
    pairs manual_map; /* as source_manual_map_check gives it */
    bool frontmatter; /* rule 6 */
    bool is_single;   /* the whole (or root_hint, which must be there) is one artifact of single_type, unasked */
    detect_type single_type;
} detect_options;

/* ---- out ---- */
/* The parts of a raw score, and what a client sees them called. All but the last four add up to raw_total, where the
 * rule goes by signals at all. */
#define DETECT_SCORES(X)    \
    X(dir_name_score)       \
    X(manifest_score)       \
    X(skill_manifest_bonus) \
    X(extensions_score)     \
    X(parent_hint_score)    \
    X(frontmatter_score)    \
    X(container_hint_score) \
    X(standalone_bonus)     \
    X(depth_penalty)        \
    X(raw_total)            \
    X(normalized_score)     \
    X(single_file_detection)
#define DETECT_SCORE_MEMBER(name) int16_t name;
typedef struct detect_score {
    DETECT_SCORES(DETECT_SCORE_MEMBER)
} detect_score;

typedef struct detected {
    detect_type type;
    bool is_manual;
    bool is_duplicate; /* another one of this result has the same content hash, and is preferred */
    str name;
    str path;     /* of the directory or file; "." for the repository */
    str manifest; /* the file whose frontmatter or JSON describes it; STR_NULL: none */
    int confidence;
    detect_score score;
    char hash[HEX_LEN(SHA256_LEN)]; /* of the content: equal exactly when names and contents of all its files are */
    size_t files;
    bool is_member; /* lies in a composite */
} detected;

typedef struct detect_result {
    const detected *v; /* by confidence, highest first, then path, then type */
    size_t n;
    size_t skipped; /* files that were left out for what repo_path.h says of their paths */
} detect_result;

/* The result's texts point into the arena or into `files`. O(n log n). -ENOMEM; -EFBIG past a limit above. */
int detect_artifacts(arena *a, const detect_file *files, size_t n, const detect_options *o, detect_result *ret_result);

/* The parts of a score under their names; single_file_detection and standalone_bonus only where they are not 0. */
int detect_score_counts(arena *a, const detect_score *s, counts *ret_counts);

/* Whether a file's content could say something about an artifact: what to read of an archive as it passes. */
bool detect_is_describing(str path);

#endif
