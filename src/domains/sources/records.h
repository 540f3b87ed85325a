/* What the files of this room share about records: how they are keyed, encoded and counted. */
#ifndef LARDER_SOURCES_RECORDS_H
#define LARDER_SOURCES_RECORDS_H

#include "larder/detect.h"
#include "larder/record.h"
#include "larder/sources.h"

#define ENTRY_ID_LEN 28 /* "cat_", 8 characters of the source, 16 of type and path */
#define ENTRY_PREFIX_LEN 12

/* The first characters of all entry ids of a source, so that a source's entries lie side by side in
 * entries_ks. */
void entry_prefix(str source_id, char out[ENTRY_PREFIX_LEN]);
void entry_id_make(str source_id, str type, str path, char out[ENTRY_ID_LEN]);

typedef enum entry_status {
    ENTRY_NEW,
    ENTRY_UPDATED,
    ENTRY_REMOVED,
    ENTRY_IMPORTED,
    ENTRY_EXCLUDED,
    ENTRY_STATUSES
} entry_status;
str entry_status_text(entry_status s);
entry_status entry_status_of(const entry *e);
static inline bool entry_is_live(const entry *e)
{
    entry_status s = entry_status_of(e);
    return s != ENTRY_REMOVED && s != ENTRY_EXCLUDED;
}

/* What the per-source indexes carry beside their key, so that filters need not fetch the record. */
typedef struct entry_cover {
    uint8_t type, status, confidence;
    int64_t updated_at;
} entry_cover;
bool entry_cover_read(str cover, entry_cover *ret_cover);

/* The key of an entry in one of its orders (ENTRIES_BY_*). */
void entry_order_key(int order, const entry *e, store_key *k);

bool entry_equal(const entry *a, const entry *b); /* as stored */

int source_put(store_txn *t, const source *s);
int entry_put(store_txn *t, const entry *e);
/* Rows of a source by type and status, from the tallies: no walk. */
int64_t entry_tally(store_view *v, str source_id, unsigned type, entry_status status);

/* What to ask "has this changed?" with, one for each source: of use only for the same question by the same
 * credential. */
#define VALIDATOR_FIELDS(X, S)                                                                  \
    X(S, str, asked,    REQUIRED, 0, 0, NONE, "credential fingerprint and path of the question") \
    X(S, str, etag,     REQUIRED, 0, 0, NONE, "what GitHub gave")                               \
    X(S, str, sha,      NULLABLE, 0, 0, NONE, "commit: the SHA it named")                       \
    X(S, str, tree_sha, NULLABLE, 0, 0, NONE, "commit: its tree")
SCHEMA_STRUCT(validator, VALIDATOR_FIELDS);
/* -ENOENT: none of use */
int validator_load(store_view *v, arena *a, str source_id, str asked, validator *ret_validator);
int validator_put(store_txn *t, str source_id, const validator *value);

#endif
