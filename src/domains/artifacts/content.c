/* The hash of a deployed artifact: over its files' paths and git's names of their contents, as the catalogue has it. */
#include "below.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "larder/discover.h"
#include "larder/hash.h"

#define DEPTH_MAX 16
#define READ_SIZE 32768

typedef struct walk {
    arena scratch;
    str manifest_name, manifest, culprit; /* in the scratch */
    str *lines;                           /* "path:blob"; room for DISCOVER_FILES_MAX */
    size_t n, folders;
    uint64_t bytes;
} walk;

static const str never_in_git[] = {
    STR_INIT(".git"),
    STR_INIT("__pycache__"),
    STR_INIT("node_modules"),
    STR_INIT(".DS_Store"),
};

bool content_leaves_out(str name)
{
    for (size_t i = 0; i < COUNT_OF(never_in_git); i++)
        if (str_eq(name, never_in_git[i]))
            return true;
    return false;
}

/* ---- git's names ---- */

static void begin_blob(sha *s, uint64_t size)
{
    char head[32];
    int n = snprintf(head, sizeof(head), "blob %llu", (unsigned long long)size);
    sha1_init(s);
    sha1_add(s, head, (size_t)n + 1); /* with its NUL */
}

/* -EBUSY: somebody writes it. */
static int hash_fd(int fd, uint64_t size, uint8_t digest[SHA1_LEN])
{
    char piece[READ_SIZE];
    uint64_t left = size;
    sha s;
    begin_blob(&s, size);
    for (;;) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if ((uint64_t)n > left || (n == 0 && left > 0))
            return -EBUSY;
        if (n == 0)
            break;
        sha1_add(&s, piece, (size_t)n);
        left -= (uint64_t)n;
    }
    sha1_end(&s, digest);
    return 0;
}

static int add_line(walk *w, str path, const uint8_t digest[SHA1_LEN])
{
    char hex[HEX_LEN(SHA1_LEN)];
    if (w->n == DISCOVER_FILES_MAX)
        return -EFBIG;
    hex_encode(digest, SHA1_LEN, hex);
    w->lines[w->n] = arena_printf(&w->scratch, STR_FMT ":%.*s", STR_ARG(path), (int)sizeof(hex), hex);
    return w->lines[w->n++].p ? 0 : -ENOMEM;
}

static int add_file(walk *w, int fd, str path)
{
    struct stat st;
    uint8_t digest[SHA1_LEN];
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode)) /* it was a moment ago */
        return -EBUSY;
    w->bytes += (uint64_t)st.st_size;
    if (w->bytes > DISCOVER_BYTES_MAX)
        return -EFBIG;
    int r = hash_fd(fd, (uint64_t)st.st_size, digest);
    return r < 0 ? r : add_line(w, path, digest);
}

static int add_link(walk *w, int folder, str name, str path)
{
    char target[PATH_MAX];
    uint8_t digest[SHA1_LEN];
    ssize_t n = readlinkat(folder, name.p, target, sizeof(target));
    if (n < 0)
        return -errno;
    sha s;
    begin_blob(&s, (uint64_t)n);
    sha1_add(&s, target, (size_t)n);
    sha1_end(&s, digest);
    return add_line(w, path, digest);
}

/* ---- folders ---- */

static int add_folder(walk *w, int fd, str full, str path, unsigned depth);

/* `full` is the entry's path below the root, `path` below the artifact. What has just gone is passed over. */
static int add_entry(walk *w, int folder, const folder_entry *e, str full, str path, unsigned depth)
{
    if (e->kind == ENTRY_LINK)
        return add_link(w, folder, e->name, path);
    int fd = openat(folder, e->name.p, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return below_is_absent(-errno) ? 0 : -errno;
    int r = e->kind == ENTRY_FILE ? add_file(w, fd, path) : add_folder(w, fd, full, path, depth + 1);
    close(fd);
    return r;
}

static int find_manifest(walk *w, const folder_entries *entries, str full)
{
    size_t i = 0;
    while (i < entries->n &&
           (entries->v[i].kind == ENTRY_FOLDER || !str_eq_nocase(entries->v[i].name, w->manifest_name)))
        i++;
    if (i == entries->n)
        return 0;
    w->manifest = below_join(&w->scratch, full, entries->v[i].name);
    return w->manifest.p ? 0 : -ENOMEM;
}

static int add_folder(walk *w, int fd, str full, str path, unsigned depth)
{
    folder_entries entries;
    if (depth > DEPTH_MAX || w->folders++ == DISCOVER_FILES_MAX) /* empty ones too cost a look */
        return -EFBIG;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the list closes its own */
    int r = copy < 0 ? -errno : below_list_fd(&w->scratch, copy, &entries);
    if (r == 0 && depth == 1)
        r = find_manifest(w, &entries, full);
    for (size_t i = 0; r == 0 && i < entries.n; i++) {
        const folder_entry *e = &entries.v[i];
        if (content_leaves_out(e->name))
            continue;
        str inner_full = below_join(&w->scratch, full, e->name), inner_path = below_join(&w->scratch, path, e->name);
        if (!inner_full.p || !inner_path.p)
            return -ENOMEM;
        r = add_entry(w, fd, e, inner_full, inner_path, depth);
        if (r < 0 && !w->culprit.p)
            w->culprit = inner_full;
    }
    return r;
}

/* ---- an artifact ---- */

static int compare_lines(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static void hash_lines(walk *w, char hash[HEX_LEN(SHA256_LEN)])
{
    uint8_t digest[SHA256_LEN];
    sha s;
    if (w->n > 0)
        qsort(w->lines, w->n, sizeof(*w->lines), compare_lines);
    sha256_init(&s);
    for (size_t i = 0; i < w->n; i++) {
        if (i > 0)
            sha256_add(&s, "\n", 1);
        sha256_add(&s, w->lines[i].p, w->lines[i].n);
    }
    sha256_end(&s, digest);
    hex_encode(digest, sizeof(digest), hash);
}

static int read_content(walk *w, int fd, str path, content *ret)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    ret->is_folder = S_ISDIR(st.st_mode);
    if (!ret->is_folder && !S_ISREG(st.st_mode))
        return -EINVAL;
    w->lines = arena_array(&w->scratch, str, DISCOVER_FILES_MAX);
    if (!w->lines)
        return -ENOMEM;
    if (ret->is_folder)
        return add_folder(w, fd, path, STR("."), 1);
    if (str_ends_nocase(path, STR(".md")))
        w->manifest = path;
    return add_file(w, fd, str_behind_last(path, '/'));
}

/* The walk's findings move to the caller's arena. */
static int keep_paths(arena *a, const walk *w, str path, content *c, str *ret_culprit)
{
    str culprit = arena_dup(a, w->culprit.p ? w->culprit : path);
    c->manifest = arena_dup(a, w->manifest);
    if (!culprit.p || (w->manifest.p && !c->manifest.p))
        return -ENOMEM;
    *ret_culprit = culprit;
    return 0;
}

int content_read(arena *a, int root, str path, str manifest, content *ret_content, str *ret_culprit)
{
    int fd = below_open(root, path.p, O_RDONLY);
    if (fd < 0)
        return fd;
    walk w = {.manifest_name = manifest};
    content c = {0};
    arena_init(&w.scratch, 0);
    int r = read_content(&w, fd, path, &c);
    close(fd);
    if (r == 0)
        hash_lines(&w, c.hash);
    if (keep_paths(a, &w, path, &c, ret_culprit) < 0)
        r = -ENOMEM;
    arena_done(&w.scratch);
    if (r != -ENOMEM)
        *ret_content = c;
    return r;
}
