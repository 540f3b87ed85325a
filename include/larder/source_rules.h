/* source_rules: what the fields of a source must keep, and in what form they are stored.
 *
 * A check returns 0 with the normalised value, -EINVAL with a text for people in *problem, or -ENOMEM. The texts are
 * part of the interface: clients compare them. Pure functions; results live in the arena. Thread-safe. */
#ifndef LARDER_SOURCE_RULES_H
#define LARDER_SOURCE_RULES_H

#include "larder/detect.h"
#include "larder/schema.h"

#define SOURCE_TAGS_MAX 20
#define SOURCE_TAG_LEN_MAX 50
#define SOURCE_MAP_MAX 200 /* entries of a manual_map */

/* A directory of the repository: relative, no "..", none of < > " | ? *, as text or percent-encoded. Stored without
 * blanks around it, without "." and empty segments; STR_NULL when nothing is left, which is the whole repository. */
int source_root_hint_check(arena *a, str in, str *ret_root_hint, str *problem);

/* A branch, tag or commit, as git names them. It becomes part of a URL, so what git refuses never gets there. */
int source_ref_check(str in, str *problem);

/* Lower case, the first of equal ones kept. */
int source_tags_check(arena *a, strs in, strs *ret_tags, str *problem);

/* Accepts {dir: type}, {dir: [type]} and {type: [dir, ...]}, also mixed; the result is dir -> type, in the order given,
 * each directory once. Types are those of DETECT_TYPES; mcp and mcp-server are stored as mcp_server. The directory "."
 * is the whole repository. JSON null gives {NULL, 0}. */
int source_manual_map_check(arena *a, const json_value *in, pairs *ret_map, str *problem);

/* Whether the map's directories exist in a listing: 0, or -EINVAL naming those that don't. -ENOMEM. */
int source_manual_map_exists(arena *a, pairs map, const detect_file *files, size_t n, str *problem);

#endif
