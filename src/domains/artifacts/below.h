/* below: looking at folders and files below a root without leaving it, whatever links say. For discovery, in jobs.
 *
 * Paths are relative to the root, which is an open folder; "." is the root itself. */
#ifndef LARDER_ARTIFACTS_BELOW_H
#define LARDER_ARTIFACTS_BELOW_H

#include "larder/base.h"

/* Texts that come one by one. */
typedef struct texts {
    str *v;
    size_t n, cap;
} texts;
int texts_add(arena *a, texts *t, str text); /* not copied; a null one: out of memory. -ENOMEM */

/* What went wrong on the way: the first fault in words, and how many there were. */
typedef struct faults {
    arena *arena;
    str first;
    size_t n;
} faults;
int faults_add(faults *f, str where, int err);   /* -ENOMEM */
int faults_say(faults *f, str where, str what);  /* -ENOMEM */
int faults_say_odd(faults *f, str where, size_t odd); /* names that cannot be shown; 0: no fault. -ENOMEM */
int faults_text(const faults *f, str *ret_text); /* null: none. -ENOMEM */

/* True for what counts as not there: a name, or a link, that leads nowhere or out of the root. */
bool below_is_absent(int err);

/* A file descriptor, or a negative errno. Never waits for the other end of a FIFO. */
int below_open(int root, const char *path, int flags);
/* A whole file. -EINVAL: no regular file; -EFBIG. */
int below_read(arena *a, int root, const char *path, size_t max, str *ret_text);

typedef enum entry_kind { ENTRY_FILE, ENTRY_FOLDER, ENTRY_LINK } entry_kind;
typedef struct folder_entry {
    str name; /* one that repo_path_check takes; NUL-terminated */
    entry_kind kind;
} folder_entry;
typedef struct folder_entries {
    folder_entry *v; /* by name */
    size_t n;
    size_t odd, odd_folders; /* left out for their names: all; folders among them */
} folder_entries;
#define FOLDER_ENTRIES_MAX 100000
/* What else is in the folder is left out. -EFBIG: too much; -ENOMEM. */
int below_list(arena *a, int root, const char *path, folder_entries *ret_entries);
int below_list_fd(arena *a, int fd, folder_entries *ret_entries); /* closes fd */

str below_join(arena *a, str folder, str name); /* NUL-terminated; p NULL: out of memory */

/* What lies at a place, as git would name it. */
typedef struct content {
    bool is_folder;
    char hash[64]; /* discover.h says of what */
    str manifest;  /* path of the file that speaks for it: itself, or the folder's; null */
} content;
/* `manifest`: what that file is called in a folder, in any letter case. -EINVAL: neither file nor folder; -ENOMEM; what
 * below_open says. With any other error *ret_culprit is the path that could not be read, and all but the hash is
 * there. */
int content_read(arena *a, int root, str path, str manifest, content *ret_content, str *ret_culprit);
bool content_leaves_out(str name); /* part of no content: .git and the like */

#endif
