#include "below.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "larder/repo_path.h"

#define OPEN_TRIES 16 /* while others rename what lies on the way */

/* ---- texts ---- */

int texts_add(arena *a, texts *t, str text)
{
    if (!text.p)
        return -ENOMEM;
    if (t->n == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        str *v = arena_array(a, str, cap);
        if (!v)
            return -ENOMEM;
        if (t->n > 0)
            memcpy(v, t->v, t->n * sizeof(*v));
        t->v = v;
        t->cap = cap;
    }
    t->v[t->n++] = text;
    return 0;
}

/* ---- faults ---- */

int faults_say(faults *f, str where, str what)
{
    f->n++;
    if (f->first.p)
        return 0;
    f->first = arena_printf(f->arena, STR_FMT ": " STR_FMT, STR_ARG(where), STR_ARG(what));
    return f->first.p ? 0 : -ENOMEM;
}

int faults_add(faults *f, str where, int err)
{
    return err == -ENOMEM ? -ENOMEM : faults_say(f, where, str_c(err_text(err)));
}

int faults_say_odd(faults *f, str where, size_t odd)
{
    if (odd == 0)
        return 0;
    const str what =
        arena_printf(f->arena, "%zu name%s left out: control characters, or no UTF-8", odd, odd == 1 ? "" : "s");
    return what.p ? faults_say(f, where, what) : -ENOMEM;
}

int faults_text(const faults *f, str *ret_text)
{
    str text = f->first;
    if (f->n > 1)
        text = arena_printf(f->arena, STR_FMT " (and %zu more)", STR_ARG(f->first), f->n - 1);
    if (f->n > 0 && !text.p)
        return -ENOMEM;
    *ret_text = text;
    return 0;
}

/* ---- opening ---- */

bool below_is_absent(int err)
{
    return err == -ENOENT || err == -ENOTDIR || err == -EXDEV || err == -ELOOP;
}

/* Where the kernel knows no openat2: segment by segment, following no link at all. */
static int open_by_steps(int root, const char *path, int flags)
{
    char segment[NAME_MAX + 1];
    int at = root;
    str rest = str_c(path), part;
    for (;;) {
        if (!str_cut(&rest, '/', &part) || part.n > NAME_MAX || str_eq(part, STR("..")))
            break;
        memcpy(segment, part.p, part.n);
        segment[part.n] = '\0';
        bool is_last = rest.n == 0;
        int fd = openat(at, segment, (is_last ? flags : O_RDONLY | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        int err = -errno;
        if (at != root)
            close(at);
        if (fd < 0)
            return err;
        if (is_last)
            return fd;
        at = fd;
    }
    if (at != root)
        close(at);
    return -ENOENT;
}

int below_open(int root, const char *path, int flags)
{
    int never_wait = flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY; /* openat2 is strict about flags of no use */
    struct open_how how = {
        .flags = (unsigned)(flags | never_wait | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    for (int i = 0; i < OPEN_TRIES; i++) {
        long fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
        if (fd >= 0)
            return (int)fd;
        if (errno == ENOSYS)
            return open_by_steps(root, path, flags);
        if (errno != EAGAIN)
            return -errno;
    }
    return -EAGAIN;
}

/* ---- files ---- */

/* Up to n bytes; fewer only at the file's end. */
static ssize_t read_full(int fd, char *to, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = read(fd, to + got, n - got);
        if (r < 0 && errno != EINTR)
            return -errno;
        if (r == 0)
            break;
        got += r > 0 ? (size_t)r : 0;
    }
    return (ssize_t)got;
}

static int read_fd(arena *a, int fd, size_t max, str *ret_text)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if ((uint64_t)st.st_size > max)
        return -EFBIG;
    char *text = arena_alloc(a, (size_t)st.st_size + 1);
    if (!text)
        return -ENOMEM;
    ssize_t n = read_full(fd, text, (size_t)st.st_size);
    if (n < 0)
        return (int)n;
    text[n] = '\0';
    *ret_text = str_of(text, (size_t)n);
    return 0;
}

int below_read(arena *a, int root, const char *path, size_t max, str *ret_text)
{
    int fd = below_open(root, path, O_RDONLY);
    if (fd < 0)
        return fd;
    int r = read_fd(a, fd, max, ret_text);
    close(fd);
    return r;
}

/* ---- folders ---- */

str below_join(arena *a, str folder, str name)
{
    if (str_eq(folder, STR(".")))
        return arena_dup(a, name);
    return arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(folder), str_ends(folder, STR("/")) ? "" : "/", STR_ARG(name));
}

/* False for what is neither file, folder nor link. */
static bool kind_of(DIR *d, const struct dirent *e, entry_kind *ret_kind)
{
    unsigned type = e->d_type;
    struct stat st;
    if (type == DT_UNKNOWN && fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        type = IFTODT(st.st_mode);
    *ret_kind = type == DT_REG ? ENTRY_FILE : type == DT_DIR ? ENTRY_FOLDER : ENTRY_LINK;
    return type == DT_REG || type == DT_DIR || type == DT_LNK;
}

static int add_entry(arena *a, folder_entries *entries, size_t *cap, str name, entry_kind kind)
{
    if (entries->n == FOLDER_ENTRIES_MAX)
        return -EFBIG;
    if (entries->n == *cap) {
        size_t wider = *cap ? 2 * *cap : 32;
        folder_entry *v = arena_array(a, folder_entry, wider);
        if (!v)
            return -ENOMEM;
        if (entries->n > 0)
            memcpy(v, entries->v, entries->n * sizeof(*v));
        entries->v = v;
        *cap = wider;
    }
    str kept = arena_dup(a, name);
    if (!kept.p)
        return -ENOMEM;
    entries->v[entries->n++] = (folder_entry){kept, kind};
    return 0;
}

static int compare_entries(const void *x, const void *y)
{
    return str_cmp(((const folder_entry *)x)->name, ((const folder_entry *)y)->name);
}

int below_list_fd(arena *a, int fd, folder_entries *ret_entries)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        int err = -errno;
        close(fd);
        return err;
    }
    folder_entries entries = {0};
    size_t cap = 0;
    int r = 0;
    while (r == 0) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            r = -errno;
            break;
        }
        str name = str_c(e->d_name);
        entry_kind kind;
        const repo_path_fault fault = repo_path_check(name);
        if (fault == REPO_PATH_SEGMENT || !kind_of(d, e, &kind)) /* "." and ".." */
            continue;
        entries.odd += fault != REPO_PATH_OK;
        entries.odd_folders += fault != REPO_PATH_OK && kind == ENTRY_FOLDER;
        if (fault == REPO_PATH_OK)
            r = add_entry(a, &entries, &cap, name, kind);
    }
    closedir(d);
    if (r < 0)
        return r;
    if (entries.n > 0)
        qsort(entries.v, entries.n, sizeof(*entries.v), compare_entries);
    *ret_entries = entries;
    return 0;
}

int below_list(arena *a, int root, const char *path, folder_entries *ret_entries)
{
    int fd = below_open(root, path, O_RDONLY | O_DIRECTORY);
    return fd < 0 ? fd : below_list_fd(a, fd, ret_entries);
}
