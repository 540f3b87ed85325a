/* A GitHub that lives in the test: the functions of larder/github.h over repositories in memory. A test program that
 * includes this file gets it instead of the real room (and must not link that otherwise). It answers in later turns of
 * the loop, archives in pieces; it can hold answers back, refuse, run out of quota, and it counts what it is asked. */
#ifndef LARDER_TESTS_FAKE_GITHUB_H
#define LARDER_TESTS_FAKE_GITHUB_H

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "larder/github.h"
#include "larder/hash.h"
#include "unit.h"

enum { ASK_REPOSITORY, ASK_COMMIT, ASK_TREE, ASK_ARCHIVE, ASK_README, ASK_KINDS, ASK_NONE = -1 };

typedef struct fake_file { /* memory from libc: failures injected into the program's don't hit GitHub */
    char *path, *text; /* text: of a link, where it leads */
    size_t n;
    bool is_link;
} fake_file;

typedef struct fake_repo {
    list link;
    char owner[40], name[60], branch[40];
    fake_file *files;
    size_t n, cap;
    char sha[41], tree_sha[41];
    const char *description, *license, *readme, *topic;
    bool truncated;      /* its tree is too long to be told */
    bool is_private;     /* only with a token */
    const char *renamed; /* the name it goes by today */
    const char *tag;     /* of the newest commit */
    bool has_no_head;    /* as if it were another server */
    unsigned commits, under_way, most_under_way;
    unsigned asked[ASK_KINDS];
    int64_t last_asked; /* for the commit: wall ms */
} fake_repo;

struct github {
    loop *loop;
    list repos, asks;
    int hold;      /* the kind that gets no answer; ASK_NONE */
    int fail_kind; /* the next `fail_times` of this kind end with fail_result */
    unsigned fail_times;
    github_result fail_result;
    int64_t retry_after; /* ms, of a fault that is RATE_LIMITED */
    bool is_dead;        /* everything ends as FAILED, */
    bool not_asked;      /* as the breaker has it; */
    int dead_status;     /* 0: no answer */
    const char *dead_why; /* NULL: the connection is refused */
    int64_t quota;       /* requests left; -1: any number */
    int64_t quota_reset; /* wall ms */
    unsigned asked[ASK_KINDS], asked_in_all, not_modified;
    char last_token[80], configured[80];
    size_t piece;      /* bytes of an archive in one turn */
    bool cut_archives; /* their second half never comes, and nobody says so */
    unsigned cut_times; /* the next archives are cut off in the middle, and it is noticed */
    unsigned paused;
};

typedef struct fake_ask {
    list link;
    timer timer;
    github *owner;
    github_op *op;
    fake_repo *repo;
    int kind;
    char ref[300];
    bool cancelled, paused;
    unsigned char *packed;
    size_t packed_n, sent;
} fake_ask;

/* ---- repositories ---- */
static inline void fake_init(github *g, loop *l)
{
    *g = (github){.loop = l, .hold = ASK_NONE, .fail_kind = ASK_NONE, .quota = -1, .piece = 700};
    list_init(&g->repos);
    list_init(&g->asks);
}

static inline fake_repo *fake_repo_new(github *g, const char *owner, const char *name)
{
    fake_repo *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    snprintf(r->owner, sizeof(r->owner), "%s", owner);
    snprintf(r->name, sizeof(r->name), "%s", name);
    snprintf(r->branch, sizeof(r->branch), "main");
    list_push(&g->repos, &r->link);
    return r;
}

static inline fake_file *fake_find(fake_repo *r, const char *path)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->files[i].path, path) == 0)
            return &r->files[i];
    return NULL;
}

static inline void fake_remove(fake_repo *r, const char *path)
{
    fake_file *f = fake_find(r, path);
    assert_non_null(f);
    free(f->path);
    free(f->text);
    *f = r->files[--r->n];
}

static inline void fake_put(fake_repo *r, const char *path, const char *text)
{
    fake_file *f = fake_find(r, path);
    if (!f) {
        if (r->n == r->cap) {
            r->cap = r->cap ? r->cap * 2 : 16;
            r->files = realloc(r->files, r->cap * sizeof(*r->files));
            assert_non_null(r->files);
        }
        f = &r->files[r->n++];
        *f = (fake_file){.path = strdup(path)};
    }
    free(f->text);
    f->text = strdup(text);
    f->n = strlen(text);
}

static inline void fake_put_link(fake_repo *r, const char *path, const char *target)
{
    fake_put(r, path, target);
    fake_find(r, path)->is_link = true;
}

/* A commit of the files as they are now. */
static inline void fake_commit(fake_repo *r)
{
    snprintf(r->sha, sizeof(r->sha), "%08zx%032x", (size_t)hash64(r->name, strlen(r->name)) & 0xffffffff, ++r->commits);
    snprintf(r->tree_sha, sizeof(r->tree_sha), "%040x", 0xabc000u + r->commits);
}

static inline void fake_done(github *g)
{
    list *l;
    assert_true(list_empty(&g->asks));
    while ((l = list_pop(&g->repos))) {
        fake_repo *r = CONTAINER_OF(l, fake_repo, link);
        while (r->n > 0)
            fake_remove(r, r->files[0].path);
        free(r->files);
        free(r);
    }
}

/* ---- what is in an archive ---- */
static inline void fake_blob_sha(const fake_file *f, uint8_t out[SHA1_LEN])
{
    char head[40];
    sha s;
    sha1_init(&s);
    sha1_add(&s, head, (size_t)snprintf(head, sizeof(head), "blob %zu", f->n) + 1);
    sha1_add(&s, f->text, f->n);
    sha1_end(&s, out);
}

static inline void fake_tar_header(char block[512], const fake_repo *r, const fake_file *f)
{
    unsigned sum = 0;
    memset(block, 0, 512);
    assert_true(snprintf(block, 100, "%s-%s-top/%s", r->owner, r->name, f->path) < 100);
    snprintf(block + 100, 8, "%07o", 0644u);
    snprintf(block + 124, 12, "%011zo", f->is_link ? 0 : f->n);
    snprintf(block + 136, 12, "%011o", 0u);
    memset(block + 148, ' ', 8);
    block[156] = f->is_link ? '2' : '0';
    if (f->is_link)
        snprintf(block + 157, 100, "%s", f->text);
    memcpy(block + 257, "ustar\00000", 8);
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum);
}

static inline void fake_pack(fake_ask *a)
{
    const fake_repo *r = a->repo;
    size_t size = 1024, at = 0;
    z_stream z = {0};
    for (size_t i = 0; i < r->n; i++)
        size += 512 + (r->files[i].n + 511) / 512 * 512;
    char *tar = calloc(1, size);
    assert_non_null(tar);
    for (size_t i = 0; i < r->n; i++) {
        fake_tar_header(tar + at, r, &r->files[i]);
        if (r->files[i].is_link) {
            at += 512;
            continue;
        }
        memcpy(tar + at + 512, r->files[i].text, r->files[i].n);
        at += 512 + (r->files[i].n + 511) / 512 * 512;
    }
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    a->packed_n = deflateBound(&z, size);
    a->packed = malloc(a->packed_n);
    assert_non_null(a->packed);
    z.next_in = (unsigned char *)tar;
    z.avail_in = (unsigned)size;
    z.next_out = a->packed;
    z.avail_out = (unsigned)a->packed_n;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    a->packed_n = z.total_out;
    if (a->owner->cut_archives)
        a->packed_n /= 2;
    deflateEnd(&z);
    free(tar);
}

/* ---- answers ---- */
static inline void fake_end(fake_ask *a, github_result result, const char *why)
{
    github_op *op = a->op;
    op->result = a->cancelled ? GITHUB_CANCELLED : result;
    op->passes = result == GITHUB_FAILED;
    op->why = str_c(why);
    op->impl = NULL;
    loop_timer_cancel(a->owner->loop, &a->timer); /* a reader that cancelled has set it */
    list_remove(&a->link);
    if (a->repo)
        a->repo->under_way--;
    free(a->packed);
    free(a);
    op->on_done(op);
}

static inline str fake_text(github_op *op, const char *text)
{
    return arena_dup(&op->arena, str_c(text));
}

static inline github_result fake_repository(fake_ask *a)
{
    github_op *op = a->op;
    fake_repo *r = a->repo;
    str *topics = arena_array(&op->arena, str, 1);
    if (!topics)
        return GITHUB_FAILED;
    topics[0] = fake_text(op, r->topic);
    op->repository = (github_repository){
        .owner = fake_text(op, r->owner),
        .name = fake_text(op, r->renamed ? r->renamed : r->name),
        .description = fake_text(op, r->description),
        .default_branch = fake_text(op, r->branch),
        .visibility = fake_text(op, r->is_private ? "private" : "public"),
        .license = fake_text(op, r->license),
        .is_private = r->is_private,
        .topics = topics,
        .n_topics = r->topic ? 1 : 0,
    };
    return op->repository.owner.p && op->repository.name.p && op->repository.default_branch.p ? GITHUB_OK
                                                                                              : GITHUB_FAILED;
}

static inline github_result fake_answer_commit(fake_ask *a)
{
    github_op *op = a->op;
    const fake_repo *r = a->repo;
    if (strcmp(a->ref, r->branch) != 0 && strcmp(a->ref, r->sha) != 0 &&
        (r->has_no_head || strcmp(a->ref, "HEAD") != 0) && (!r->tag || strcmp(a->ref, r->tag) != 0))
        return GITHUB_NOT_FOUND;
    if (op->etag.p && str_eq(op->etag, str_c(a->repo->sha))) { /* its tags are the commits' names */
        a->owner->not_modified++;
        return GITHUB_NOT_MODIFIED;
    }
    op->commit.sha = fake_text(op, a->repo->sha);
    op->commit.tree_sha = fake_text(op, a->repo->tree_sha);
    op->new_etag = fake_text(op, a->repo->sha);
    return op->commit.sha.p && op->commit.tree_sha.p ? GITHUB_OK : GITHUB_FAILED;
}

static inline github_result fake_tree(fake_ask *a)
{
    github_op *op = a->op;
    fake_repo *r = a->repo;
    github_file *files = arena_array(&op->arena, github_file, r->n + 1);
    if (!files || strcmp(a->ref, r->tree_sha) != 0)
        return files ? GITHUB_NOT_FOUND : GITHUB_FAILED;
    op->tree = (github_tree){.files = files, .n = r->truncated ? r->n / 2 : r->n, .truncated = r->truncated};
    for (size_t i = 0; i < op->tree.n; i++) {
        uint8_t digest[SHA1_LEN];
        fake_blob_sha(&r->files[i], digest);
        files[i] =
            (github_file){.path = fake_text(op, r->files[i].path),
                          .size = (int64_t)r->files[i].n,
                          .kind = r->files[i].is_link ? GITHUB_SYMLINK : GITHUB_BLOB};
        hex_encode(digest, sizeof(digest), files[i].sha);
        if (!files[i].path.p)
            return GITHUB_FAILED;
    }
    return GITHUB_OK;
}

static inline github_result fake_readme(fake_ask *a)
{
    if (!a->repo->readme)
        return GITHUB_NOT_FOUND;
    a->op->readme = fake_text(a->op, a->repo->readme);
    return a->op->readme.p ? GITHUB_OK : GITHUB_FAILED;
}

static inline void fake_turn(timer *t);

/* One piece of an archive a turn. */
static inline void fake_stream(fake_ask *a)
{
    github *g = a->owner;
    if (!a->packed)
        fake_pack(a);
    const size_t left = a->packed_n - a->sent, n = left < g->piece ? left : g->piece;
    if (n == 0) {
        fake_end(a, GITHUB_OK, NULL);
        return;
    }
    if (g->cut_times > 0 && a->sent > a->packed_n / 2) {
        g->cut_times--;
        a->op->cut_off = true;
        fake_end(a, GITHUB_FAILED, "GitHub could not be asked: connection closed");
        return;
    }
    a->sent += n;
    const int r = a->op->on_piece(a->op, str_of((char *)a->packed + a->sent - n, n));
    if (r < 0 || a->cancelled)
        fake_end(a, GITHUB_FAILED, "the reader does not want it");
    else if (!a->paused)
        assert_int_equal(loop_timer_set(g->loop, &a->timer, 0, fake_turn), 0);
}

static github_result (*const fake_answers[])(fake_ask *) = {[ASK_REPOSITORY] = fake_repository,
                                                            [ASK_COMMIT] = fake_answer_commit,
                                                            [ASK_TREE] = fake_tree,
                                                            [ASK_README] = fake_readme};

static inline void fake_turn(timer *t)
{
    fake_ask *a = CONTAINER_OF(t, fake_ask, timer);
    github *g = a->owner;
    const int64_t now = loop_now_wall_ms(g->loop);
    const bool begins = a->sent == 0;

    if (a->cancelled) {
        fake_end(a, GITHUB_CANCELLED, NULL);
    } else if (g->hold == a->kind && (a->kind != ASK_ARCHIVE || a->sent > 0)) {
        return; /* until fake_release; an archive after its first piece */
    } else if (g->is_dead) {
        a->op->not_asked = g->not_asked;
        a->op->status = g->dead_status;
        fake_end(a, GITHUB_FAILED, g->dead_why ? g->dead_why : "GitHub could not be asked: connection refused");
    } else if (begins && g->fail_kind == a->kind && g->fail_times > 0) {
        g->fail_times--;
        a->op->retry_at = now + g->retry_after;
        fake_end(a, g->fail_result, "GitHub does not want to");
    } else if (begins && g->quota == 0 && g->quota_reset > now) {
        a->op->retry_at = g->quota_reset;
        fake_end(a, GITHUB_RATE_LIMITED, "GitHub's rate limit is used up");
    } else if (!a->repo || (a->repo->is_private && !g->last_token[0])) {
        fake_end(a, GITHUB_NOT_FOUND, "GitHub: not found");
    } else {
        g->quota -= begins && g->quota > 0;
        if (a->kind == ASK_ARCHIVE) {
            fake_stream(a);
            return;
        }
        const github_result r = fake_answers[a->kind](a);
        fake_end(a, r, r == GITHUB_OK ? NULL : "GitHub: out of memory, or not found");
    }
}

static inline void fake_release(github *g)
{
    g->hold = ASK_NONE;
    for (list *l = g->asks.next; l != &g->asks; l = l->next) {
        fake_ask *a = CONTAINER_OF(l, fake_ask, link);
        if (!timer_is_set(&a->timer) && !a->paused)
            assert_int_equal(loop_timer_set(g->loop, &a->timer, 0, fake_turn), 0);
    }
}

static inline bool fake_holds(const github *g) /* something waits for fake_release */
{
    for (list *l = g->asks.next; l != &g->asks; l = l->next)
        if (!timer_is_set(&CONTAINER_OF(l, fake_ask, link)->timer))
            return true;
    return false;
}

/* ---- the room's face ---- */
static inline fake_repo *fake_repo_of(github *g, str owner, str name)
{
    for (list *l = g->repos.next; l != &g->repos; l = l->next) {
        fake_repo *r = CONTAINER_OF(l, fake_repo, link);
        if (str_eq_nocase(str_c(r->owner), owner) &&
            (str_eq_nocase(str_c(r->name), name) || (r->renamed && str_eq_nocase(str_c(r->renamed), name))))
            return r;
    }
    return NULL;
}

static inline int fake_start(github *g, github_op *op, int kind)
{
    fake_ask *a = calloc(1, sizeof(*a));
    assert_non_null(a);
    arena_init(&op->arena, 0);
    a->owner = g;
    a->op = op;
    a->kind = kind;
    a->repo = fake_repo_of(g, op->owner, op->repo);
    snprintf(a->ref, sizeof(a->ref), STR_FMT, STR_ARG(op->ref));
    const int r = loop_timer_set(g->loop, &a->timer, 0, fake_turn);
    if (r < 0) {
        free(a);
        return r;
    }
    op->impl = a;
    op->result = GITHUB_OK;
    list_push(&g->asks, &a->link);
    g->asked[kind]++;
    g->asked_in_all++;
    snprintf(g->last_token, sizeof(g->last_token), STR_FMT, STR_ARG(op->token.n ? op->token : str_c(g->configured)));
    if (a->repo) {
        a->repo->asked[kind]++;
        a->repo->last_asked = kind == ASK_COMMIT ? loop_now_wall_ms(g->loop) : a->repo->last_asked;
        a->repo->under_way++;
        if (a->repo->under_way > a->repo->most_under_way)
            a->repo->most_under_way = a->repo->under_way;
    }
    return 0;
}

int github_get_repository(github *g, github_op *op)
{
    return fake_start(g, op, ASK_REPOSITORY);
}
int github_get_commit(github *g, github_op *op)
{
    return fake_start(g, op, ASK_COMMIT);
}
int github_get_tree(github *g, github_op *op)
{
    return fake_start(g, op, ASK_TREE);
}
int github_get_archive(github *g, github_op *op)
{
    return fake_start(g, op, ASK_ARCHIVE);
}
int github_get_readme(github *g, github_op *op)
{
    return fake_start(g, op, ASK_README);
}

void github_pause(github_op *op)
{
    fake_ask *a = op->impl;
    a->paused = true;
    a->owner->paused++;
}

void github_resume(github_op *op)
{
    fake_ask *a = op->impl;
    a->paused = false;
    assert_int_equal(loop_timer_set(a->owner->loop, &a->timer, 0, fake_turn), 0);
}

void github_cancel(github_op *op)
{
    fake_ask *a = op->impl;
    if (!a)
        return;
    a->cancelled = true;
    assert_int_equal(loop_timer_set(a->owner->loop, &a->timer, 0, fake_turn), 0);
}

void github_op_done(github_op *op)
{
    arena_done(&op->arena);
}

void github_fingerprint(const github *g, str token, char out[GITHUB_FINGERPRINT_LEN + 1])
{
    const str used = token.n ? token : str_c(g->configured);
    snprintf(out, GITHUB_FINGERPRINT_LEN + 1, "%016zx", (size_t)hash64(used.p, used.n));
}

#endif
