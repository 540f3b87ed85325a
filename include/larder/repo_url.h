/* repo_url: what a GitHub repository is called: in a URL, in our conflict check, in a source's id.
 *
 * Words
 *   key   lower-case owner/name. GitHub ignores case: two URLs mean one repository exactly when their keys are equal.
 *   id    src_<owner>_<name>, lower case, made from the key alone: one repository has one id, for ever. Injective: the
 *         first '_' behind "src_" ends the owner, because an owner's own '_' (managed users have one) is written '.',
 *         which no owner contains.
 *
 * Pure functions; texts live in the arena. Thread-safe. */
#ifndef LARDER_REPO_URL_H
#define LARDER_REPO_URL_H

#include "larder/base.h"


typedef struct repo_url {
    str owner, name; /* as written */
    str url;         /* https://github.com/OWNER/NAME */
    str key;
    str id;
} repo_url;

/* Takes https://github.com/OWNER/NAME; letter case of scheme and host, trailing slashes and one ".git" don't matter.
 * Anything more (user, port, query, fragment, further segments) is refused. -EINVAL; -ENOMEM. */
int repo_url_parse(arena *a, str text, repo_url *ret_url);

typedef struct repo_place {
    repo_url repo;
    str ref;       /* "main" where the URL names none */
    str root_hint; /* STR_NULL: the whole repository */
} repo_place;

/* What somebody copied from a browser's address bar: also http, www., a query or fragment (ignored), blanks around it,
 * /tree/REF[/PATH] and /blob/REF/PATH, where the file's name is dropped. REF is one segment: a URL doesn't tell where
 * the name of a branch with '/' in it ends, so for those only the first part is taken. -EINVAL; -ENOMEM. */
int repo_url_infer(arena *a, str text, repo_place *ret_place);

#endif
