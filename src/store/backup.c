/* A backup: LMDB copies a snapshot, page by page and without the holes, into a file beside the place where
 * it shall stand. Only when it is whole, on disk, and has an id of its own (two stores that go different
 * ways must not share their ETags), is it given its name. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "impl.h"

static int path_in(const char *dir, const char *name, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

/* The file that is written, empty; what a backup that was cut off left is used. While it is open nobody else writes it:
 * -EBUSY. */
static int open_part(const char *path, int *ret_fd)
{
    struct stat opened, named;
    int r = 0, fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        r = errno == EWOULDBLOCK ? -EBUSY : -errno;
    else if (fstat(fd, &opened) < 0)
        r = -errno;
    else if (stat(path, &named) < 0 || named.st_ino != opened.st_ino) /* the other one has just been done with it */
        r = -EBUSY;
    else if (ftruncate(fd, 0) < 0)
        r = -errno;
    if (r < 0)
        close(fd);
    else
        *ret_fd = fd;
    return r;
}

static int copy_to(store *s, int fd)
{
    pthread_mutex_lock(&s->env_lock);
    int r = s->env ? 0 : -EIO;
    if (r == 0)
        s->job_views++; /* keeps the environment from being reopened */
    pthread_mutex_unlock(&s->env_lock);
    if (r == 0) {
        r = store_errno(mdb_env_copyfd2(s->env, fd, MDB_CP_COMPACT));
        pthread_mutex_lock(&s->env_lock);
        s->job_views--;
        pthread_mutex_unlock(&s->env_lock);
    }
    return r;
}

/* Opened as a store of its own, with no keyspaces. Nobody else knows of it: it needs no lock file. Its
 * commit syncs all. */
static int give_id(const store *s, const char *path)
{
    store copy = {.n_tables = 4, .limit_pages = UINT64_MAX, .page_size = s->page_size};
    store_txn *t = NULL;
    int rc = mdb_env_create(&copy.env);
    if (rc != 0)
        return store_errno(rc);
    rc = mdb_env_set_maxdbs(copy.env, 2);
    if (rc == 0)
        rc = mdb_env_set_mapsize(copy.env, s->map_size);
    if (rc == 0)
        rc = mdb_env_open(copy.env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS, 0600);
    int r = rc == 0 ? store_txn_new(&copy, &t) : store_errno(rc);
    if (r == 0)
        r = store_txn_begin(t);
    if (r == 0) {
        r = store_tables_open_own(&copy, t->view.txn, false);
        if (r == 0)
            r = store_meta_put(t, STR("id"), random_u64());
        if (r == 0)
            r = store_txn_commit(t);
        else
            store_txn_abort(t);
    }
    store_txn_free(t);
    mdb_env_close(copy.env);
    return r;
}

static int make_whole(store *s, int fd, const char *part, const char *whole)
{
    struct stat st;
    if (stat(whole, &st) == 0) /* asked with the part in hand: nobody makes one meanwhile */
        return -EEXIST;
    int r = copy_to(s, fd);
    if (r == 0)
        r = give_id(s, part);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r == 0 && rename(part, whole) < 0 ? -errno : r;
}

int store_backup(store *s, const char *dir)
{
    char part[PATH_MAX], whole[PATH_MAX];
    int fd = -1, r = path_in(dir, "data.mdb.part", part);
    if (r == 0)
        r = path_in(dir, "data.mdb", whole);
    if (r == 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0)
        r = open_part(part, &fd);
    if (r < 0)
        return r;
    r = make_whole(s, fd, part, whole);
    if (r < 0) {
        unlink(part);
    } else {
        r = store_sync_folder(dir);
        if (r < 0)
            unlink(whole); /* what is said to have failed is not there */
    }
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}
