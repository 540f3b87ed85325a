/* artifact_version: what an artifact's source and versions say, and how two versions compare. Pure functions; texts
 * returned point into what was given, or into the arena.
 *
 * Words
 *   semver      semver 2.0.0, with an optional single "v" in front, blanks around it, and leading zeros allowed
 *   magnitude   how far deployed is from upstream: the first part that differs
 *   source      "github:owner/repo[/path][@version]": where an artifact comes from; no version means latest */
#ifndef LARDER_ARTIFACT_VERSION_H
#define LARDER_ARTIFACT_VERSION_H

#include "larder/base.h"

typedef struct semver {
    str major, minor, patch; /* digits, as many as there are, without leading zeros */
    str pre;   /* null: a stable version */
    str build; /* plays no part in comparing */
} semver;
int semver_parse(str text, semver *ret_semver);       /* -EINVAL */
int semver_compare(const semver *a, const semver *b); /* <0, 0, >0: semver 2.0.0, section 11 */

/* From small to big, as stale artifacts are sorted. */
typedef enum version_magnitude {
    VERSION_SAME,       /* or one is not known */
    VERSION_UNKNOWN,    /* they differ, and one is no semver */
    VERSION_PRERELEASE,
    VERSION_PATCH,
    VERSION_MINOR,
    VERSION_MAJOR,
} version_magnitude;
version_magnitude version_magnitude_of(str deployed, str upstream);
/* "minor version upgrade (0 -> 2)"; null when one is missing, or when there is nothing to say. In the arena; *ret_text
 * may be null with 0. -ENOMEM. */
int version_difference(arena *a, str deployed, str upstream, str *ret_text);
/* Both semver: deployed is lower. Otherwise: both hashes are known and differ (texts that differ say nothing). Where
 * both versions are semver but equal, hashes that differ don't count: the manifest's version is the author's word. */
bool version_is_outdated(str deployed, str upstream, str deployed_hash, str upstream_hash);

typedef struct artifact_source {
    str owner, repo, path; /* path null: the repository itself */
    str version;           /* null: latest */
} artifact_source;
int artifact_source_parse(str text, artifact_source *ret_source); /* -EINVAL: no such source, or not GitHub's */

#endif
