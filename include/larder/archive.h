/* archive: a repository's tar.gz, read as it arrives. Push-driven: the bytes come from a socket, in pieces of any size,
 * so the reader must be able to stop at every byte; libarchive pulls, and would hold a thread for the length of a
 * download. What a tar needs beyond zlib is small: ustar, pax headers, GNU's long names.
 *
 * Words
 *   top    the one folder that GitHub wraps a repository in ("owner-name-sha/"): taken off every path
 *   want   how many bytes of an entry's content the sink asks for; the rest is inflated and dropped
 *   fault  why an entry was skipped (repo_path.h); skipped entries are counted, not reported
 *
 * Foreign bytes are hostile: every limit below is enforced as the bytes pass, nothing is written to a disk, links are
 * reported and never followed. One archive belongs to one thread at a time. */
#ifndef LARDER_ARCHIVE_H
#define LARDER_ARCHIVE_H

#include "larder/hash.h"
#include "larder/repo_path.h"

typedef struct archive archive;

typedef enum archive_kind { ARCHIVE_FILE, ARCHIVE_LINK, ARCHIVE_DIR, ARCHIVE_OTHER } archive_kind;

typedef struct archive_entry { /* texts are valid until on_end returns */
    str path;                  /* below the top */
    archive_kind kind;
    int64_t size; /* of the content; 0 unless a file */
    uint32_t mode;
    str target;                /* of a link, as it stands there */
    uint8_t git_sha[SHA1_LEN]; /* in on_end, with archive_limits.git_sha: git's name of a file's or link's content */
} archive_entry;

/* Called from archive_feed. A negative return stops the reading with that error. */
typedef struct archive_sink {
    void *ctx;
    int (*on_entry)(void *ctx, const archive_entry *e, int64_t *ret_want); /* want is 0 unless written */
    int (*on_data)(void *ctx, const archive_entry *e, str bytes);          /* the next piece, up to `want` in all */
    int (*on_end)(void *ctx, const archive_entry *e);                      /* once for every on_entry that returned 0 */
} archive_sink;

typedef struct archive_limits {            /* 0: no limit */
    uint64_t max_compressed, max_inflated; /* bytes */
    uint64_t max_entries;
    uint64_t max_ratio;  /* inflated : compressed; deflate cannot pass 1032 */
    uint64_t ratio_from; /* inflated bytes from which it is judged: little that compresses well is no bomb; 0: 1 MiB */
    bool git_sha;       /* hash every content */
} archive_limits;

int archive_new(const archive_limits *limits, const archive_sink *sink, archive **ret_archive); /* -ENOMEM */
void archive_free(archive *a);

/* The next piece. -EPROTO: damaged; -EFBIG: past a limit; -ENOMEM; or what the sink returned. Errors are sticky. */
int archive_feed(archive *a, const void *p, size_t n);
/* No more bytes will come: 0 when the archive was whole, else -EPROTO or the error from before. */
int archive_finish(archive *a);

/* What went wrong, for people; "" when nothing did. Valid as long as the archive. */
const char *archive_problem(const archive *a);
uint64_t archive_skipped(const archive *a, repo_path_fault fault);

#endif
