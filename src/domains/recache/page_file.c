#include "page_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define GATHER_MAX ((size_t)256 << 10) /* of a page in memory */
#define PIECE ((size_t)64 << 10)
#define LEVEL 6
#define PATH_LEN 4096

enum { RAW, GZ, PLACE };

/* The file's three names. -ENAMETOOLONG. */
static int path_of(const page_file *f, int which, char out[PATH_LEN])
{
    const int n = which == PLACE ? snprintf(out, PATH_LEN, STR_FMT "/%s.gz", STR_ARG(f->dir), f->name)
                                 : snprintf(out, PATH_LEN, STR_FMT "/tmp/%llu.%s", STR_ARG(f->dir),
                                            (unsigned long long)f->number, which == RAW ? "raw" : "gz");
    return n < 0 || n >= PATH_LEN ? -ENAMETOOLONG : 0;
}

static int open_file(const page_file *f, int which, int flags, int *ret_fd)
{
    char path[PATH_LEN];

    const int r = path_of(f, which, path);
    if (r < 0)
        return r;
    const int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

static int write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        const ssize_t wrote = write(fd, p, n);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return -errno;
        p += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

static void remove_file(const page_file *f, int which)
{
    char path[PATH_LEN];

    if (path_of(f, which, path) == 0)
        (void)unlink(path); /* what stays is removed at the next start */
}

/* ---- workers: what was gathered goes to the raw file ---- */
static void append_work(job *j)
{
    page_file *f = CONTAINER_OF(j, page_file, job);
    int fd;

    f->err = open_file(f, RAW, O_WRONLY | O_CREAT | (f->has_raw ? O_APPEND : O_TRUNC), &fd);
    if (f->err < 0)
        return;
    f->has_raw = true;
    f->err = write_all(fd, f->writing.p, f->writing.n);
    close(fd);
}

/* ---- workers: compressing ---- */
typedef struct packer {
    z_stream z;
    sha sum;
    int fd;
    uint64_t in, out;
    char piece[PIECE];
} packer;

static int pack(packer *p, str bytes, int flush)
{
    sha256_add(&p->sum, bytes.p, bytes.n);
    p->in += bytes.n;
    p->z.next_in = (unsigned char *)(uintptr_t)bytes.p;
    p->z.avail_in = (unsigned)bytes.n; /* at most GATHER_MAX */
    do {
        p->z.next_out = (unsigned char *)p->piece;
        p->z.avail_out = sizeof(p->piece);
        if (deflate(&p->z, flush) == Z_STREAM_ERROR)
            return -EIO;
        const size_t n = sizeof(p->piece) - p->z.avail_out;
        const int r = write_all(p->fd, p->piece, n);
        if (r < 0)
            return r;
        p->out += n;
    } while (p->z.avail_out == 0);
    return 0;
}

static int pack_raw(page_file *f, packer *p)
{
    char *bytes = mem_alloc(PIECE);
    int fd, r = bytes ? open_file(f, RAW, O_RDONLY, &fd) : -ENOMEM;

    if (r == 0) {
        ssize_t n;
        while (r == 0 && (n = read(fd, bytes, PIECE)) > 0)
            r = pack(p, str_of(bytes, (size_t)n), Z_NO_FLUSH);
        if (r == 0 && n < 0)
            r = -errno;
        close(fd);
    }
    mem_free(bytes);
    return r;
}

static int pack_all(page_file *f, packer *p)
{
    p->z.zalloc = mem_zlib_alloc;
    p->z.zfree = mem_zlib_free;
    if (deflateInit2(&p->z, LEVEL, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    int r = f->has_raw ? pack_raw(f, p) : 0;
    if (r == 0)
        r = pack(p, buf_view(&f->gathered), Z_FINISH);
    deflateEnd(&p->z);
    return r;
}

/* The folder that `path` lies in. */
static int sync_folder(const char *path)
{
    char folder[PATH_LEN];

    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    return sync_path(folder);
}

static int put_in_place(const page_file *f)
{
    char from[PATH_LEN], to[PATH_LEN];

    int r = path_of(f, GZ, from);
    if (r == 0)
        r = path_of(f, PLACE, to);
    if (r < 0)
        return r;
    return rename(from, to) < 0 ? -errno : sync_folder(to);
}

static void keep_work(job *j)
{
    page_file *f = CONTAINER_OF(j, page_file, job);
    packer *p = mem_new(packer);
    uint8_t digest[SHA256_LEN];

    f->err = p ? open_file(f, GZ, O_WRONLY | O_CREAT | O_TRUNC, &p->fd) : -ENOMEM;
    if (f->err == 0) {
        sha256_init(&p->sum);
        f->err = pack_all(f, p);
        if (f->err == 0 && fsync(p->fd) < 0)
            f->err = -errno;
        close(p->fd);
        sha256_end(&p->sum, digest);
        hex_encode(digest, sizeof(f->etag) / 2, f->etag);
        f->size = p->in;
        f->disk_size = p->out;
        if (f->err == 0)
            f->err = put_in_place(f);
        if (f->err < 0)
            remove_file(f, GZ);
    }
    mem_free(p);
    if (f->has_raw)
        remove_file(f, RAW);
}

static void drop_work(job *j)
{
    remove_file(CONTAINER_OF(j, page_file, job), RAW);
}

/* ---- the loop's side ---- */
static void end(page_file *f, int status)
{
    buf_done(&f->gathered);
    buf_done(&f->writing);
    f->on_end(f, status);
}

static void on_ended(job *j, int status)
{
    page_file *f = CONTAINER_OF(j, page_file, job);

    end(f, f->err < 0 ? f->err : status);
}

static void on_late(post *p)
{
    page_file *f = CONTAINER_OF(p, page_file, late);

    end(f, f->err);
}

static void finish(page_file *f)
{
    const bool keeps = f->keeps && f->err == 0;
    const int r = keeps || f->has_raw ? loop_job(f->loop, &f->job, keeps ? keep_work : drop_work, on_ended) : 0;

    if (r < 0) /* a raw file is left for the next start */
        f->err = r;
    if (r < 0 || !(keeps || f->has_raw)) {
        f->late.fn = on_late;
        loop_post(f->loop, &f->late);
    }
}

static void on_appended(job *j, int status)
{
    page_file *f = CONTAINER_OF(j, page_file, job);
    const bool waited = f->waits;

    if (status < 0)
        f->err = status;
    f->works = f->waits = false;
    buf_reset(&f->writing);
    if (f->ended)
        finish(f);
    else if (waited)
        f->on_room(f);
}

void page_file_init(page_file *f, loop *l, str dir)
{
    *f = (page_file){.loop = l, .dir = dir};
}

int page_file_put(page_file *f, str bytes)
{
    if (f->err < 0 && !f->works)
        return f->err;
    buf_str(&f->gathered, bytes);
    if (f->gathered.err) {
        if (!f->works)
            f->err = f->gathered.err;
        return f->gathered.err;
    }
    if (f->gathered.n < GATHER_MAX)
        return 0;
    if (!f->works) {
        const buf full = f->gathered;
        f->gathered = f->writing;
        f->writing = full;
        f->works = true;
        const int r = loop_job(f->loop, &f->job, append_work, on_appended);
        if (r < 0) {
            f->works = false;
            return f->err = r;
        }
    }
    f->waits = true;
    return 1;
}

void page_file_end(page_file *f, bool keep)
{
    if (f->gathered.err)
        keep = false;
    f->ended = true;
    f->keeps = keep;
    f->waits = false;
    if (!f->works)
        finish(f);
}

/* ---- folders ---- */
static int make_folder(const char *path)
{
    return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static void empty_folder(const char *path)
{
    DIR *d = opendir(path);
    char file[PATH_LEN + 256];

    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            (void)unlink(file);
    }
    closedir(d);
}

int page_folders_make(str dir)
{
    char path[PATH_LEN];

    if (dir.n == 0 || dir.n > PATH_LEN - PAGE_NAME_MAX - 8)
        return -ENAMETOOLONG;
    snprintf(path, sizeof(path), STR_FMT, STR_ARG(dir));
    int r = make_folder(path);
    snprintf(path, sizeof(path), STR_FMT "/tmp", STR_ARG(dir));
    if (r == 0)
        r = make_folder(path);
    empty_folder(path);
    for (unsigned i = 0; i < 256 && r == 0; i++) {
        snprintf(path, sizeof(path), STR_FMT "/%02x", STR_ARG(dir), i);
        r = make_folder(path);
    }
    if (r == 0)
        r = sync_folder(path);
    if (r < 0)
        return r;
    snprintf(path, sizeof(path), STR_FMT "/../", STR_ARG(dir));
    r = sync_folder(path);
    return r == -EACCES ? 0 : r; /* where we may not look, it was somebody else who made the folder */
}
