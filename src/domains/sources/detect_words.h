/* detect_words: the names that mean something, as tables. Everything is compared in any letter case. */
#ifndef LARDER_SOURCES_DETECT_WORDS_H
#define LARDER_SOURCES_DETECT_WORDS_H

#include "larder/detect.h"

#define DETECT_NO_TYPE DETECT_TYPE_COUNT

/* ---- directories ---- */
typedef struct dir_word {
    const char *name;
    detect_type type; /* what such a name suggests; or DETECT_NO_TYPE */
    bool is_container;
    uint8_t plugin_part; /* bit: two different ones in one directory make it a plugin; or 0 */
} dir_word;
const dir_word *detect_dir_word(str name); /* NULL: an ordinary name */

/* Bits for words inside a directory's name that hint at a type: 1 << type, and HINT_ANY for those that go with all. */
#define HINT_ANY (1u << DETECT_TYPE_COUNT)
unsigned detect_name_hints(str name);

/* May stand below a command, agent or hook without making it look like something bigger. */
bool detect_is_usual_subdir(str name);
/* .claude-plugin and its kin: describe the directory above. */
bool detect_is_plugin_folder(str name);

/* ---- files: what a directory's own files tell, as bits ---- */
enum {
    HAS_SKILL = 1 << 0, /* the five Markdown manifests */
    HAS_COMMAND = 1 << 1,
    HAS_AGENT = 1 << 2,
    HAS_MCP = 1 << 3,
    HAS_HOOK = 1 << 4,
    HAS_MCP_JSON = 1 << 5,
    HAS_HOOK_JSON = 1 << 6,
    HAS_PLUGIN_JSON = 1 << 7,
    HAS_COMPOSITE = 1 << 8,
    HAS_PLAIN_DOC = 1 << 9, /* README and the like: Markdown that is no artifact */
    HAS_MARKDOWN = 1 << 10, /* any .md */
    HAS_OTHER = 1 << 11,    /* anything that is not .md */
    HAS_CODE = 1 << 12,     /* an extension that artifacts have */
    HAS_LOOSE_MD = 1 << 13, /* .md that is neither a manifest nor a plain document */
};
#define HAS_MD_MANIFEST (HAS_SKILL | HAS_COMMAND | HAS_AGENT | HAS_MCP | HAS_HOOK)
#define HAS_JSON_MANIFEST (HAS_MCP_JSON | HAS_HOOK_JSON | HAS_PLUGIN_JSON | HAS_COMPOSITE) /* and it ends in .json */
unsigned detect_file_bits(str name);

/* The type a directory's manifests give, the first in the order of types; DETECT_NO_TYPE without one. */
detect_type detect_manifest_type(unsigned has);

/* How well a file describes a directory of this type: 0 not at all, up to MANIFEST_RANKS. `name` is relative to it. */
#define MANIFEST_RANKS 6u
unsigned detect_manifest_rank(detect_type type, str name);

/* The type that frontmatter alone makes of a Markdown file; DETECT_NO_TYPE when it lacks something. */
detect_type detect_front_type(const frontmatter *f);

#endif
