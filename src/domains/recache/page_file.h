/* One page's file while it is being made: what comes is gathered, large pages in a file of their own; at the end one
 * job compresses it, makes it durable and puts it in its place. At any time before that it leaves nothing but a file
 * in the folder "tmp", which is emptied at start. */
#ifndef LARDER_RECACHE_PAGE_FILE_H
#define LARDER_RECACHE_PAGE_FILE_H

#include "larder/hash.h"
#include "larder/loop.h"

#include "pages.h"

typedef struct page_file page_file;
struct page_file {
    /* in */
    loop *loop;
    str dir;                   /* pages_dir; stays */
    char name[PAGE_NAME_MAX];  /* below it, without .gz */
    uint64_t number;           /* of no other file that is being made */
    void (*on_room)(page_file *f); /* after page_file_put has asked to pause */
    void (*on_end)(page_file *f, int status); /* see below */
    /* out, when kept */
    uint64_t size, disk_size;
    char etag[HEX_LEN(16)];
    /* the room's own */
    buf gathered, writing;
    bool has_raw, works, waits, ended, keeps;
    int err;
    job job;
    post late;
};
void page_file_init(page_file *f, loop *l, str dir);
/* The bytes are copied. 1: no more for now, until on_room; negative: they can't be kept, and page_file_end will say so
 * again. */
int page_file_put(page_file *f, str bytes);
/* Nothing is put any more. on_end runs once, later: the file is where its name says, durable (keep), or there is
 * nothing. */
void page_file_end(page_file *f, bool keep);

/* The folders: pages_dir itself, tmp (emptied), 00 to ff. errno. Blocks: for the start. */
int page_folders_make(str dir);

#endif
