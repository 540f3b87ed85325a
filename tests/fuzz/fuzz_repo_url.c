/* Any text as a repository URL, address, root_hint, ref. What is taken must be stable, and safe to build paths of. */
#include "larder/repo_path.h"
#include "larder/repo_url.h"
#include "larder/source_rules.h"

static void check_repo(arena *a, const repo_url *u)
{
    repo_url again;
    REQUIRE(repo_url_parse(a, u->url, &again) == 0);
    REQUIRE(str_eq(again.url, u->url) && str_eq(again.key, u->key) && str_eq(again.id, u->id));
    REQUIRE(u->owner.n <= REPO_OWNER_MAX && u->name.n <= REPO_NAME_MAX);
    REQUIRE(str_starts(u->id, STR("src_")) && u->id.n == u->key.n + strlen("src_"));
    REQUIRE(repo_path_check(u->key) == REPO_PATH_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    str text = str_of((const char *)p, n), problem, root;
    arena a;
    arena_init(&a, 0);

    repo_url u;
    repo_place place;
    if (repo_url_parse(&a, text, &u) == 0)
        check_repo(&a, &u);
    if (repo_url_infer(&a, text, &place) == 0) {
        check_repo(&a, &place.repo);
        REQUIRE(source_ref_check(place.ref, &problem) == 0);
        REQUIRE(repo_path_check(place.ref) == REPO_PATH_OK);
        REQUIRE(!place.root_hint.p || source_root_hint_check(&a, place.root_hint, &root, &problem) == 0);
    }
    if (source_ref_check(text, &problem) == 0)
        REQUIRE(repo_path_check(text) == REPO_PATH_OK);
    if (utf8_valid(text) && source_root_hint_check(&a, text, &root, &problem) == 0 && root.p) {
        str again;
        REQUIRE(repo_path_check(root) == REPO_PATH_OK);
        REQUIRE(source_root_hint_check(&a, root, &again, &problem) == 0 && str_eq(root, again));
    }
    arena_done(&a);
    return 0;
}
