/* detect_tree: a flat listing as a tree of directories, each knowing its own files at a glance, the stretch of the
 * sorted listing below it, and what it inherits from above. A parent stands before its children. */
#ifndef LARDER_SOURCES_DETECT_TREE_H
#define LARDER_SOURCES_DETECT_TREE_H

#include "detect_words.h"

#define TREE_ROOT 0u
#define TREE_NONE UINT32_MAX
#define TREE_MAX_PARTS 16 /* deeper files count for hashes, and for nothing else */

typedef struct tree_dir {
    str path; /* "" for the root */
    str name; /* the root's is the repository's */
    const dir_word *word;
    uint32_t parent;       /* TREE_NONE for the root */
    uint32_t first, end;   /* of the files below, in tree.files */
    uint32_t mapped_at;    /* the closest mapped directory, itself or above; TREE_NONE */
    uint32_t container_at; /* the closest container, itself or above; TREE_NONE */
    uint16_t has;          /* HAS_ bits of its own files */
    uint8_t parts;
    uint8_t code_files;         /* own files with HAS_CODE; stops at 255 */
    uint8_t plugin_parts;       /* its children's */
    uint8_t hints;              /* of its own name and those above */
    uint8_t mapped_type;        /* by manual_map, for this very path; or DETECT_NO_TYPE */
    bool is_composite : 1;      /* found to be one */
    bool has_plugin_folder : 1; /* a child like .claude-plugin with a plugin.json */
    bool has_odd_child : 1;     /* a child that no usual_subdir is */
    bool is_inside : 1;         /* below a directory with a manifest, and no container in between */
    bool is_in_skill : 1;       /* anywhere below a directory with SKILL.md (the repository's own doesn't count) */
} tree_dir;

typedef struct tree_file {
    const detect_file *file;
    uint32_t dir;
    uint16_t bits; /* 0: a link, or too deep: judged as nothing */
    uint16_t name_at;
} tree_file;

typedef struct tree {
    tree_file *files; /* in the order in which the lines "path:sha" sort */
    uint32_t n_files;
    tree_dir *dirs;
    uint32_t n_dirs;
    unsigned root_parts; /* segments of root_hint */
    size_t skipped;
} tree;

/* -ENOMEM, -EFBIG (DETECT_MAX_). */
int tree_build(arena *a, const detect_file *files, size_t n, const detect_options *o, tree *ret_tree);

static inline str tree_file_name(const tree_file *f)
{
    return str_from(f->file->path, f->name_at);
}

#endif
