/* Bytes come in through archive_feed, are inflated into a window, and walk through a small machine:
 *
 *     HEADER --(512 bytes)--> BODY --(its size)--> PADDING --(to 512)--> HEADER ... --(a block of zeros)-->
 *     DONE
 *
 * A body is content (for the sink), a note (a pax header or a GNU long name, about the next entry), or
 * dropped. What is wrong ends in fail(), which makes the error stick; what is only unwanted (odd paths) is
 * counted and dropped. */
#include "larder/archive.h"

#include <stdio.h>
#define ZLIB_CONST
#include <zlib.h>

#define BLOCK 512
#define NOTE_MAX 65536 /* bytes of a pax header or a long name */
#define RATIO_FROM (1 << 20)

typedef enum { IN_HEADER, IN_BODY, IN_PADDING, DONE } tar_state;
typedef enum { BODY_DROPPED, BODY_CONTENT, BODY_NOTE } body_use;

/* Where fields stand in a header: POSIX.1-1988's, which ustar and GNU extend. */
typedef struct tar_header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, target[100];
    char magic[8], owner[32], group[32], device[16], prefix[155], rest[12];
} tar_header;
_Static_assert(sizeof(tar_header) == BLOCK, "a tar header is one block");

struct archive {
    archive_limits limits;
    archive_sink sink;
    z_stream z;
    bool z_ended;
    uint64_t compressed, inflated, entries;
    uint64_t skipped[REPO_PATH_FAULT_COUNT];
    int err;
    char problem[160];

    tar_state state;
    body_use use;
    size_t header_filled;
    uint64_t body_left;
    unsigned padding_left;
    tar_header header;

    /* said by notes, for the next entry */
    buf note, path, target;
    bool has_path, has_target;
    int64_t size; /* -1: not said */

    archive_entry entry;
    uint64_t want_left;
    sha git_sha;
    unsigned char window[32768];
};

static int fail(archive *a, int err, const char *what, const char *detail)
{
    a->err = err;
    snprintf(a->problem, sizeof(a->problem), "%s%s%s, %llu bytes in", what, detail ? ": " : "", detail ? detail : "",
             (unsigned long long)a->compressed);
    return err;
}

static int fail_limit(archive *a, const char *what, uint64_t limit)
{
    char detail[48];

    snprintf(detail, sizeof(detail), "the limit is %llu", (unsigned long long)limit);
    return fail(a, -EFBIG, what, detail);
}

/* ---- fields of a header ---- */

static str field_text(const char *p, size_t size)
{
    return str_of(p, strnlen(p, size));
}

/* Octal text, or GNU's base 256 where the first bit is set. */
static int field_number(const char *p, size_t size, uint64_t *ret_number)
{
    uint64_t n = 0;
    size_t i = 0;
    if ((unsigned char)p[0] == 0x80) {
        for (i = 1; i < size; i++) {
            if (n > UINT64_MAX >> 8)
                return -EPROTO;
            n = n << 8 | (unsigned char)p[i];
        }
        *ret_number = n;
        return 0;
    }
    while (i < size && p[i] == ' ')
        i++;
    for (; i < size && p[i] >= '0' && p[i] <= '7'; i++)
        n = n << 3 | (uint64_t)(p[i] - '0'); /* at most 12 digits: 36 bits */
    if (i < size && p[i] != ' ' && p[i] != '\0')
        return -EPROTO;
    *ret_number = n;
    return 0;
}

static bool checksum_fits(const tar_header *h)
{
    uint64_t wanted, sum = 0;
    const unsigned char *bytes = (const unsigned char *)h;
    for (size_t i = 0; i < BLOCK; i++)
        sum += bytes[i];
    for (size_t i = 0; i < sizeof(h->checksum); i++) /* counts as blanks */
        sum = sum - (unsigned char)h->checksum[i] + ' ';
    return field_number(h->checksum, sizeof(h->checksum), &wanted) == 0 && wanted == sum;
}

static bool is_zero(const tar_header *h)
{
    const char *bytes = (const char *)h;
    return bytes[0] == '\0' && memcmp(bytes, bytes + 1, BLOCK - 1) == 0;
}

/* ---- notes about the next entry ---- */

static void forget_notes(archive *a)
{
    a->has_path = a->has_target = false;
    a->size = -1;
}

static int keep_text(archive *a, buf *to, bool *has, str text)
{
    buf_reset(to);
    buf_str(to, text);
    *has = true;
    return to->err < 0 ? fail(a, to->err, "no memory for a long name", NULL) : 0;
}

static int pax_record(archive *a, str key, str value)
{
    int64_t size;
    if (str_eq(key, STR("path")))
        return keep_text(a, &a->path, &a->has_path, value);
    if (str_eq(key, STR("linkpath")))
        return keep_text(a, &a->target, &a->has_target, value);
    if (!str_eq(key, STR("size")))
        return 0;
    if (str_to_i64(value, &size) < 0 || size < 0)
        return fail(a, -EPROTO, "damaged archive", "bad size in a pax header");
    a->size = size;
    return 0;
}

/* "LENGTH key=value\n" again and again; LENGTH counts itself too. */
static int pax_records(archive *a, str text)
{
    while (text.n > 0) {
        int64_t length;
        ptrdiff_t blank = str_chr(str_head(text, 20), ' ');
        if (blank <= 0 || str_to_i64(str_head(text, (size_t)blank), &length) < 0 || length <= blank + 1 ||
            (uint64_t)length > text.n || text.p[length - 1] != '\n')
            return fail(a, -EPROTO, "damaged archive", "bad pax header");
        str record = str_from(str_head(text, (size_t)length - 1), (size_t)blank + 1);
        ptrdiff_t equals = str_chr(record, '=');
        if (equals < 0)
            return fail(a, -EPROTO, "damaged archive", "bad pax header");
        int r = pax_record(a, str_head(record, (size_t)equals), str_from(record, (size_t)equals + 1));
        if (r < 0)
            return r;
        text = str_from(text, (size_t)length);
    }
    return 0;
}

static int take_note(archive *a)
{
    str text = buf_view(&a->note);
    if (a->header.type == 'x')
        return pax_records(a, text);
    text = text.n > 0 ? field_text(text.p, text.n) : text; /* GNU ends its long names with a NUL */
    return a->header.type == 'L' ? keep_text(a, &a->path, &a->has_path, text)
                                 : keep_text(a, &a->target, &a->has_target, text);
}

/* ---- entries ---- */

static int begin_note(archive *a, uint64_t size)
{
    if (size > NOTE_MAX)
        return fail(a, -EFBIG, "an archive's extended header is too large", NULL);
    buf_reset(&a->note);
    a->use = BODY_NOTE;
    a->body_left = size;
    return 0;
}

static archive_kind kind_of(const tar_header *h, str path)
{
    switch (h->type) {
    case '0':
    case '7':
        return ARCHIVE_FILE;
    case '\0': /* before POSIX, a directory was a file whose name ends so */
        return str_ends(path, STR("/")) ? ARCHIVE_DIR : ARCHIVE_FILE;
    case '2':
        return ARCHIVE_LINK;
    case '5':
        return ARCHIVE_DIR;
    default:
        return ARCHIVE_OTHER;
    }
}

/* Hard links, devices, directories and FIFOs may name a size, but no bytes follow. */
static bool has_body(char type)
{
    return type < '1' || type > '6';
}

static int take_path(archive *a)
{
    const tar_header *h = &a->header;
    if (a->has_path)
        return 0;
    str prefix = memcmp(h->magic, "ustar", 6) == 0 ? field_text(h->prefix, sizeof(h->prefix)) : STR("");
    int r = keep_text(a, &a->path, &a->has_path, prefix);
    if (r < 0)
        return r;
    if (prefix.n > 0)
        buf_char(&a->path, '/');
    buf_str(&a->path, field_text(h->name, sizeof(h->name)));
    return a->path.err < 0 ? fail(a, a->path.err, "no memory for a name", NULL) : 0;
}

/* Takes off the top folder. False: not for the sink, counted unless it is the top itself. */
static bool strip_top(archive *a, archive_kind kind, str *path)
{
    if (kind == ARCHIVE_DIR)
        while (path->n > 1 && str_ends(*path, STR("/")))
            path->n--;
    ptrdiff_t slash = str_chr(*path, '/');
    str top = slash < 0 ? *path : str_head(*path, (size_t)slash);
    str rest = slash < 0 ? STR("") : str_from(*path, (size_t)slash + 1);
    repo_path_fault fault = str_starts(*path, STR("/")) ? REPO_PATH_ABSOLUTE : repo_path_check(top);
    if (fault == REPO_PATH_OK && slash < 0 && kind == ARCHIVE_DIR)
        return false;
    if (fault == REPO_PATH_OK)
        fault = repo_path_check(rest);
    if (fault != REPO_PATH_OK)
        a->skipped[fault]++;
    *path = rest;
    return fault == REPO_PATH_OK;
}

static void begin_git_sha(archive *a, int64_t size)
{
    char head[32];
    int n = snprintf(head, sizeof(head), "blob %lld", (long long)size);
    sha1_init(&a->git_sha);
    sha1_add(&a->git_sha, head, (size_t)n + 1); /* with its NUL */
}

static int begin_entry(archive *a, uint64_t size)
{
    a->entries++;
    if (a->limits.max_entries > 0 && a->entries > a->limits.max_entries)
        return fail_limit(a, "the archive has too many entries", a->limits.max_entries);
    int r = take_path(a);
    if (r < 0)
        return r;
    str path = buf_view(&a->path);
    archive_kind kind = kind_of(&a->header, path);
    if (a->size >= 0 && has_body(a->header.type))
        size = (uint64_t)a->size;
    a->body_left = has_body(a->header.type) ? size : 0;
    a->use = BODY_DROPPED;
    if (!strip_top(a, kind, &path))
        return 0;

    uint64_t mode;
    if (field_number(a->header.mode, sizeof(a->header.mode), &mode) < 0)
        return fail(a, -EPROTO, "damaged archive", "bad mode in a header");
    a->entry = (archive_entry){.path = path, .kind = kind, .mode = (uint32_t)mode & 07777};
    if (kind == ARCHIVE_FILE)
        a->entry.size = (int64_t)a->body_left;
    if (kind == ARCHIVE_LINK)
        a->entry.target = a->has_target ? buf_view(&a->target) : field_text(a->header.target, sizeof(a->header.target));
    if (a->limits.git_sha)
        begin_git_sha(a, kind == ARCHIVE_LINK ? (int64_t)a->entry.target.n : a->entry.size);

    int64_t want = 0;
    r = a->sink.on_entry(a->sink.ctx, &a->entry, &want);
    if (r < 0)
        return fail(a, r, "the reading was stopped", NULL);
    a->want_left = want > 0 && kind == ARCHIVE_FILE ? (uint64_t)want : 0;
    a->use = BODY_CONTENT;
    return 0;
}

static int end_entry(archive *a)
{
    if (a->limits.git_sha) {
        if (a->entry.kind == ARCHIVE_LINK)
            sha1_add(&a->git_sha, a->entry.target.p, a->entry.target.n);
        sha1_end(&a->git_sha, a->entry.git_sha);
    }
    int r = a->sink.on_end(a->sink.ctx, &a->entry);
    return r < 0 ? fail(a, r, "the reading was stopped", NULL) : 0;
}

/* ---- the machine ---- */

static int end_body(archive *a)
{
    int r = 0;
    a->state = a->padding_left > 0 ? IN_PADDING : IN_HEADER;
    if (a->use == BODY_NOTE)
        return take_note(a);
    if (a->use == BODY_CONTENT)
        r = end_entry(a);
    forget_notes(a);
    return r;
}

static int take_header(archive *a)
{
    const tar_header *h = &a->header;
    uint64_t size;
    if (is_zero(h)) {
        a->state = DONE;
        return 0;
    }
    if (!checksum_fits(h))
        return fail(a, -EPROTO, "damaged archive", "bad checksum of a header");
    if (field_number(h->size, sizeof(h->size), &size) < 0 || size > INT64_MAX)
        return fail(a, -EPROTO, "damaged archive", "bad size in a header");

    int r;
    if (h->type == 'x' || h->type == 'L' || h->type == 'K') {
        r = begin_note(a, size);
    } else if (h->type == 'g') { /* says something of the whole archive, nothing that we need */
        a->use = BODY_DROPPED;
        a->body_left = size;
        r = 0;
    } else {
        r = begin_entry(a, size);
    }
    if (r < 0)
        return r;
    a->padding_left = (unsigned)(-a->body_left & (BLOCK - 1));
    a->state = IN_BODY;
    return a->body_left == 0 ? end_body(a) : 0;
}

static int take_body(archive *a, const unsigned char *p, size_t n)
{
    a->body_left -= n;
    if (a->use == BODY_NOTE) {
        buf_put(&a->note, p, n);
        if (a->note.err < 0)
            return fail(a, a->note.err, "no memory for a header", NULL);
    } else if (a->use == BODY_CONTENT) {
        if (a->limits.git_sha && a->entry.kind == ARCHIVE_FILE)
            sha1_add(&a->git_sha, p, n);
        size_t wanted = n < a->want_left ? n : (size_t)a->want_left;
        a->want_left -= wanted;
        int r = wanted > 0 ? a->sink.on_data(a->sink.ctx, &a->entry, str_of((const char *)p, wanted)) : 0;
        if (r < 0)
            return fail(a, r, "the reading was stopped", NULL);
    }
    return a->body_left == 0 ? end_body(a) : 0;
}

static size_t smaller(size_t n, uint64_t limit)
{
    return n < limit ? n : (size_t)limit;
}

static int take_bytes(archive *a, const unsigned char *p, size_t n)
{
    int r = 0;
    while (n > 0 && r == 0 && a->state != DONE) {
        size_t step = 0;
        if (a->state == IN_HEADER) {
            step = smaller(n, BLOCK - a->header_filled);
            memcpy((char *)&a->header + a->header_filled, p, step);
            a->header_filled += step;
            if (a->header_filled == BLOCK) {
                a->header_filled = 0;
                r = take_header(a);
            }
        } else if (a->state == IN_BODY) {
            step = smaller(n, a->body_left);
            r = take_body(a, p, step);
        } else {
            step = smaller(n, a->padding_left);
            a->padding_left -= (unsigned)step;
            if (a->padding_left == 0)
                a->state = IN_HEADER;
        }
        p += step;
        n -= step;
    }
    return r;
}

/* ---- inflating ---- */

static int check_limits(archive *a)
{
    const archive_limits *l = &a->limits;
    if (l->max_inflated > 0 && a->inflated > l->max_inflated)
        return fail_limit(a, "the archive unpacks to too many bytes", l->max_inflated);
    if (l->max_ratio > 0 && a->inflated > (l->ratio_from ? l->ratio_from : RATIO_FROM) &&
        a->inflated / l->max_ratio > a->compressed)
        return fail_limit(a, "the archive is compressed suspiciously well", l->max_ratio);
    return 0;
}

/* One window full; *ret_more: call again, there may be more in it. */
static int inflate_some(archive *a, bool *ret_more)
{
    a->z.next_out = a->window;
    a->z.avail_out = sizeof(a->window);
    int z = inflate(&a->z, Z_NO_FLUSH);
    size_t n = sizeof(a->window) - a->z.avail_out;
    if (z == Z_MEM_ERROR)
        return fail(a, -ENOMEM, "no memory to unpack", NULL);
    if (z != Z_OK && z != Z_STREAM_END && z != Z_BUF_ERROR)
        return fail(a, -EPROTO, "damaged archive", a->z.msg ? a->z.msg : "not gzip");
    a->inflated += n;
    a->z_ended = z == Z_STREAM_END;
    int r = check_limits(a);
    if (r == 0)
        r = take_bytes(a, a->window, n);
    *ret_more = !a->z_ended && a->z.avail_out == 0;
    return r;
}

int archive_feed(archive *a, const void *p, size_t n)
{
    if (a->err < 0 || n == 0)
        return a->err;
    a->compressed += n;
    if (a->limits.max_compressed > 0 && a->compressed > a->limits.max_compressed)
        return fail_limit(a, "the archive is too large", a->limits.max_compressed);
    const unsigned char *bytes = p;
    while (n > 0) {
        if (a->z_ended)
            return fail(a, -EPROTO, "damaged archive", "bytes behind its end");
        size_t piece = n < (1u << 30) ? n : 1u << 30; /* zlib counts in unsigned int */
        a->z.next_in = bytes;
        a->z.avail_in = (unsigned)piece;
        bool more = true;
        while (more || (a->z.avail_in > 0 && !a->z_ended)) {
            int r = inflate_some(a, &more);
            if (r < 0)
                return r;
        }
        size_t taken = piece - a->z.avail_in;
        bytes += taken;
        n -= taken;
    }
    return 0;
}

int archive_finish(archive *a)
{
    if (a->err < 0)
        return a->err;
    return a->z_ended && a->state == DONE ? 0 : fail(a, -EPROTO, "damaged archive", "it ends too early");
}

/* ---- life ---- */

int archive_new(const archive_limits *limits, const archive_sink *sink, archive **ret_archive)
{
    archive *a = mem_new(archive);
    if (!a)
        return -ENOMEM;
    a->limits = *limits;
    a->sink = *sink;
    a->z.zalloc = mem_zlib_alloc;
    a->z.zfree = mem_zlib_free;
    forget_notes(a);
    if (inflateInit2(&a->z, 16 + MAX_WBITS) != Z_OK) { /* 16: gzip and nothing else */
        mem_free(a);
        return -ENOMEM;
    }
    *ret_archive = a;
    return 0;
}

void archive_free(archive *a)
{
    if (!a)
        return;
    inflateEnd(&a->z);
    buf_done(&a->note);
    buf_done(&a->path);
    buf_done(&a->target);
    mem_free(a);
}

const char *archive_problem(const archive *a)
{
    return a->problem;
}

uint64_t archive_skipped(const archive *a, repo_path_fault fault)
{
    return a->skipped[fault];
}
