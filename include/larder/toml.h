/* toml: a strict reader of TOML 1.0, for the small files that tools leave in project folders.
 *
 * Words
 *   table    members by name: the document itself, [header], {inline = "table"}, and what dotted keys make
 *   header   [a.b] or [[a.b]]: the keys below belong to that table, or to a new element of that array
 *
 * Everything of TOML 1.0 is read and checked, and a key given twice is refused, however the two are spelt. Numbers and
 * times are checked for their form and given as written: nobody here calculates with them. Besides what the format
 * forbids, NUL in a text, more than TOML_DEPTH levels, and tables with more than TOML_MEMBERS_MAX members are refused.
 *
 * Pure; the tree lives in the arena and may point into the text. Thread-safe. */
#ifndef LARDER_TOML_H
#define LARDER_TOML_H

#include "larder/base.h"

#define TOML_MAX (1024 * 1024) /* bytes of a document */
#define TOML_DEPTH 32          /* arrays and tables in each other; parts of a dotted key */
#define TOML_MEMBERS_MAX 1000  /* of one table */

typedef enum toml_kind { TOML_STRING, TOML_BOOL, TOML_NUMBER, TOML_TIME, TOML_ARRAY, TOML_TABLE } toml_kind;

typedef struct toml_value toml_value;
struct toml_value {
    toml_kind kind;
    bool is_true;      /* BOOL */
    unsigned line;     /* where it begins, from 1 */
    str key;           /* its name in its table; null for elements and for the document */
    str text;          /* STRING: what it says. NUMBER, TIME: as written */
    toml_value *first; /* ARRAY: elements, TABLE: members, in the order of the document */
    toml_value *next;  /* beside it */
};

/* The document's table. -EINVAL with *ret_why ("line 3: a key is given twice", in the arena); -EFBIG; -ENOMEM. */
int toml_parse(arena *a, str text, const toml_value **ret_document, str *ret_why);
/* The member of that name; NULL: none, or `table` is NULL or no table. */
const toml_value *toml_get(const toml_value *table, str key);

#endif
