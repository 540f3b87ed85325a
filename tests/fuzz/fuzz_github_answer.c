/* GitHub's answers: any body is read or refused without harm, and what was read is sound. The first byte says as
 * what. */
#include "remote/github/github_private.h"

#define MAX_ENTRIES 20

static void check_text(str s) /* whole and ours, or absent */
{
    char *copy = mem_strndup(s.p ? s.p : "", s.n);
    REQUIRE(copy);
    mem_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static int (*const parsers[])(github_op *, str, size_t) = {github_parse_repository, github_parse_commit,
                                                               github_parse_tree, github_parse_readme};
    if (n < 1)
        return 0;
    github_op op = {0};
    arena_init(&op.arena, 0);
    char *body = mem_alloc(n - 1); /* gone before what was read is looked at */
    REQUIRE(body);
    memcpy(body, p + 1, n - 1);
    int r = parsers[p[0] % 4](&op, str_of(body, n - 1), MAX_ENTRIES);
    mem_free(body);
    REQUIRE(r == 0 || r == -EPROTO);

    if (r == 0 && p[0] % 4 == 0) {
        const github_repository *repo = &op.repository;
        REQUIRE(repo->owner.n > 0 && repo->name.n > 0 && repo->default_branch.n > 0);
        check_text(repo->owner);
        check_text(repo->description);
        check_text(repo->license);
        for (size_t i = 0; i < repo->n_topics; i++)
            check_text(repo->topics[i]);
    } else if (r == 0 && p[0] % 4 == 1) {
        REQUIRE(op.commit.sha.n == 40 && op.commit.tree_sha.n == 40);
        check_text(op.commit.sha);
    } else if (r == 0 && p[0] % 4 == 2) {
        REQUIRE(op.tree.n <= MAX_ENTRIES);
        for (size_t i = 0; i < op.tree.n; i++) {
            REQUIRE(op.tree.files[i].path.n > 0 && op.tree.files[i].size >= -1);
            check_text(op.tree.files[i].path);
        }
    } else if (r == 0) {
        REQUIRE(op.readme.n == n - 1);
        check_text(op.readme);
    }
    arena_done(&op.arena);
    return 0;
}
