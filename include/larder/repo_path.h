/* repo_path: which foreign repositories, and which paths of theirs, we are ready to speak of. Listings and archives are
 * filtered with it, so that everything behind sees relative paths of plain segments in valid UTF-8. */
#ifndef LARDER_REPO_PATH_H
#define LARDER_REPO_PATH_H

#include "larder/base.h"

#define REPO_PATH_MAX 1024 /* bytes */

/* One row per reason: name, what it says to people. */
#define REPO_PATH_FAULTS(X)                                      \
    X(REPO_PATH_OK, "fine")                                      \
    X(REPO_PATH_ABSOLUTE, "begins with '/'")                     \
    X(REPO_PATH_SEGMENT, "has an empty segment, or '.' or '..'") \
    X(REPO_PATH_LONG, "is too long")                             \
    X(REPO_PATH_BYTES, "has control characters or is not UTF-8")

#define REPO_PATH_ENUM(name, text) name,
typedef enum repo_path_fault { REPO_PATH_FAULTS(REPO_PATH_ENUM) REPO_PATH_FAULT_COUNT } repo_path_fault;

repo_path_fault repo_path_check(str path);
bool repo_path_is_below(str path, str folder); /* below the folder, at any depth; all is below an empty one */
bool repo_path_is_in(str path, str folder);    /* the same, or the folder itself */
/* As if each were followed by its end character. With ':' for both: the order of the lines "path:blob" that a content's
 * hash is made of, which is not that of the paths ("run.sh" comes before "run"). */
int repo_path_cmp_ended(str a, char end_a, str b, char end_b);
const char *repo_path_fault_text(repo_path_fault fault);

/* What GitHub may call an account and its repository, for names come from clients and become parts of URLs. */
#define REPO_OWNER_MAX 39 /* GitHub's own limits, in bytes */
#define REPO_NAME_MAX 100
bool repo_owner_is_valid(str owner);
bool repo_name_is_valid(str name);

#endif
