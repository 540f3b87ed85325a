/* frontmatter: what a foreign file says of itself: the YAML block on top of a Markdown file, or a plugin's JSON
 * manifest. Both give the same struct, every text cut to its limit and valid UTF-8.
 *
 * The YAML is read event by event; aliases, deep nesting and huge blocks are refused. A block that isn't YAML (an
 * unquoted ": " in a description is common) is still read line by line for the known keys. To add a key, add a row to
 * the table in frontmatter.c. Pure functions; results live in the arena. Thread-safe. */
#ifndef LARDER_FRONTMATTER_H
#define LARDER_FRONTMATTER_H

#include "larder/base.h"
#include "larder/schema.h"

#define FRONTMATTER_MAX 65536     /* bytes of the block, and of a JSON manifest */
#define FRONTMATTER_TITLE_MAX 200 /* code points, as the ones below */
#define FRONTMATTER_DESCRIPTION_MAX 2000
#define FRONTMATTER_WORD_MAX 200 /* name, version, license, type */
#define FRONTMATTER_TAGS_MAX 50
#define FRONTMATTER_TAG_LEN_MAX 50

/* Keys whose mere presence tells something about the type. */
enum {
    FRONT_ALLOWED_TOOLS = 1 << 0,
    FRONT_ARGUMENT_HINT = 1 << 1,
    FRONT_TOOLS = 1 << 2,
    FRONT_COLOR = 1 << 3,
    FRONT_MODEL = 1 << 4,
    FRONT_PERMISSION_MODE = 1 << 5,
    FRONT_LICENSE = 1 << 6,
    FRONT_METADATA = 1 << 7,
};

typedef struct frontmatter {
    str name, title, description, version, license; /* p NULL: absent. title is name where there is no title */
    str type;                                       /* as declared */
    strs tags;                                      /* {NULL, 0}: absent */
    unsigned keys;                                  /* FRONT_ bits */
    bool is_partial;                                /* the YAML was broken */
} frontmatter;

/* `text` is the file or its beginning. -ENOENT: no block (or its end is not in the text); -EFBIG: the block is larger
 * than FRONTMATTER_MAX; -ENOMEM. */
int frontmatter_parse(arena *a, str text, frontmatter *ret_front);

/* plugin.json, composite.json. -EINVAL: not a JSON object; -EFBIG; -ENOMEM. */
int frontmatter_parse_plugin(arena *a, str text, frontmatter *ret_front);

#endif
