/* thing: an entity with a field of every kind, and a query; what the tests of schemas and records work on. */
#ifndef LARDER_TESTS_THING_H
#define LARDER_TESTS_THING_H

#include "larder/schema.h"

/* clang-format off */
#define PART_FIELDS(X, S)                                                                        \
    X(S, str,    label,  REQUIRED, 1, 10, NONE,                      "what it is called")        \
    X(S, i64,    weight, OPTIONAL, 0, 0,  DEFAULT("7"),              "in grams")                 \
    X(S, strs,   marks,  OPTIONAL, 0, 3,  EACH(1, 4),                "seen on it")
SCHEMA_STRUCT(part, PART_FIELDS);
#define FIELD_C_part part
#define FIELD_KIND_part FIELD_OBJECT
#define FIELD_SUB_part &part_schema
#define FIELD_C_parts rows
#define FIELD_KIND_parts FIELD_ROWS
#define FIELD_SUB_parts &part_schema

#define THING_FIELDS(X, S)                                                                                 \
    X(S, str,    name,    REQUIRED,            1, 20,  NONE,                          "its name")          \
    X(S, str,    note,    OPTIONAL | NULLABLE, 0, 5,   FORMAT("uri"),                 "a remark")          \
    X(S, bool,   active,  OPTIONAL,            0, 0,   DEFAULT("true"),               "in use")            \
    X(S, i64,    size,    OPTIONAL,            1, 500, DEFAULT("50"),                 "how large")         \
    X(S, i64,    offset,  OPTIONAL | NULLABLE, 0, INT64_MAX, NONE,                    "where")             \
    X(S, f64,    ratio,   OPTIONAL,            0, 1,   DEFAULT("0.25"),               "how much")          \
    X(S, choice, level,   OPTIONAL,            0, 0,   CHOICES_DEFAULT("low|mid|high", "mid"), "how loud") \
    X(S, time,   made,    OPTIONAL | NULLABLE, 0, 0,   NONE,                          "when")              \
    X(S, strs,   tags,    OPTIONAL | NULLABLE, 1, 3,   EACH(1, 4),                    "labels")            \
    X(S, strs,   seen,    OPTIONAL,            0, 0,   DEFAULT(""),                   "places")            \
    X(S, counts, totals,  OPTIONAL,            0, 2,   NONE,                          "by type")           \
    X(S, pairs,  map,     OPTIONAL | NULLABLE, 0, 2,   EACH(0, 6),                    "directory to type") \
    X(S, raw,    extra,   OPTIONAL,            0, 0,   NONE,                          "anything")          \
    X(S, part,   main,    OPTIONAL | NULLABLE, 0, 0,   NONE,                          "the main part")     \
    X(S, str,    secret,  HIDDEN,              0, 0,   NONE,                          "never shown")       \
    X(S, parts,  parts,   OPTIONAL,            0, 3,   NONE,                          "all parts")
SCHEMA_STRUCT(thing, THING_FIELDS);

#define LOOKUP_FIELDS(X, S)                                                                              \
    X(S, str,    query,  REQUIRED, 1, 200,       NONE,                               "what to look for") \
    X(S, i64,    limit,  OPTIONAL, 1, 500,       DEFAULT("100"),                     "page size")        \
    X(S, i64,    skip,   OPTIONAL, 0, INT64_MAX, NONE,                               "left out")         \
    X(S, i64,    any,    OPTIONAL, 0, 0,         NONE,                               "any integer")      \
    X(S, f64,    above,  OPTIONAL, 0, 1,         NONE,                               "least score")      \
    X(S, bool,   is_old, OPTIONAL, 0, 0,         NONE,                               "old ones")         \
    X(S, choice, sort,   OPTIONAL, 0, 0,         CHOICES_DEFAULT("name|type", "name"), "order")          \
    X(S, time,   since,  OPTIONAL, 0, 0,         NONE,                               "not before")       \
    X(S, str,    cursor, OPTIONAL, 0, 8,         NONE,                               "where to go on")   \
    X(S, strs,   tags,   OPTIONAL, 0, 3,         EACH(2, 4),                         "all of them")
SCHEMA_STRUCT(lookup, LOOKUP_FIELDS);

/* What the others lack. */
#define ODD_FIELDS(X, S)                                                                          \
    X(S, str,    greeting, OPTIONAL,            0, 9, DEFAULT("hello"),       "a default text")   \
    X(S, counts, totals,   OPTIONAL,            1, 0, DEFAULT(""),            "empty by default") \
    X(S, pairs,  map,      OPTIONAL | NULLABLE, 0, 0, DEFAULT(""),            "empty by default") \
    X(S, raw,    extra,    OPTIONAL,            0, 0, DEFAULT("{\"a\":[1]}"), "some by default")  \
    X(S, choice, level,    OPTIONAL | NULLABLE, 0, 0, CHOICES("low"),         "one or none")      \
    X(S, part,   only,     REQUIRED,            0, 0, NONE,                   "must be there")      \
    X(S, str,    line,     OPTIONAL | NO_CONTROL, 0, 5, NONE,                 "shown as it is")     \
    X(S, strs,   words,    OPTIONAL | NO_CONTROL, 0, 0, EACH(1, 0),           "these too")
SCHEMA_STRUCT(odd, ODD_FIELDS);

#define FIND_FIELDS(X, S)                                                  \
    X(S, str,  prefix, OPTIONAL, 3, 0, NONE,       "at least so much")     \
    X(S, str,  code,   OPTIONAL, 5, 5, NONE,       "exactly so much")      \
    X(S, str,  flag,   OPTIONAL, 0, 1, NONE,       "a character")          \
    X(S, str,  any,    OPTIONAL, 0, 0, NONE,       "anything")             \
    X(S, bool, all,    REQUIRED, 0, 0, NONE,       "must be there")        \
    X(S, strs, ids,    REQUIRED, 2, 0, NONE,       "two or more")
SCHEMA_STRUCT(find, FIND_FIELDS);
/* clang-format on */

/* Values within the bounds, from the test's seeded randomness; texts hold what is hard to write. Lists lie in
 * `a`. */
void thing_random(arena *a, thing *t);

#endif
