/* GitHub's operations against a scripted server: what is asked, and what each answer means. */
#include <stdio.h>

#include "hub.h"
#include "larder/hash.h"
#include "remote/github/github_private.h"

/* ---- what is asked ---- */

static void requests_are_as_github_wants_them(void **state)
{
    (void)state;
    static const struct {
        hub_starter *start;
        const char *ref, *line, *accept;
    } cases[] = {
        {github_get_repository, "", "GET /repos/o/r.x HTTP/1.1", "application/vnd.github+json"},
        {github_get_commit, "main", "GET /repos/o/r.x/commits/main?per_page=1 HTTP/1.1", "application/vnd.github+json"},
        {github_get_commit, "feat/a b#c%?", "GET /repos/o/r.x/commits/feat/a%20b%23c%25%3F?per_page=1 HTTP/1.1",
         "application/vnd.github+json"},
        {github_get_tree, SHA1_A, "GET /repos/o/r.x/git/trees/" SHA1_A "?recursive=1 HTTP/1.1",
         "application/vnd.github+json"},
        {github_get_readme, "a/b", "GET /repos/o/r.x/readme?ref=a/b HTTP/1.1", "application/vnd.github.raw+json"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        hub h;
        asking a = hub_asking(cases[i].ref);
        hub_open(&h, STR_NULL);
        HUB_ANSWERS(&h, SAY(hub_reply("404 X", "", "{}")));
        hub_ask(&h, &a, cases[i].start);
        assert_true(str_eq(peer_request_line(h.w.peer.last), str_c(cases[i].line)));
        assert_true(str_eq(peer_header(h.w.peer.last, "Accept"), str_c(cases[i].accept)));
        assert_str(peer_header(h.w.peer.last, "X-GitHub-Api-Version"), "2022-11-28");
        assert_str(peer_header(h.w.peer.last, "User-Agent"), "larder");
        assert_null(peer_header(h.w.peer.last, "Authorization").p);
        assert_null(peer_header(h.w.peer.last, "If-None-Match").p);
        assert_int_equal(a.op.result, GITHUB_NOT_FOUND);
        asking_done(&a);
        hub_close(&h);
    }
}

static void the_operations_token_goes_before_the_configured_one(void **state)
{
    (void)state;
    hub h;
    asking a = hub_asking("main"), b = hub_asking("main");
    char print[GITHUB_FINGERPRINT_LEN + 1], wanted[GITHUB_FINGERPRINT_LEN + 1] = "";
    uint8_t digest[SHA256_LEN];
    char mine[] = "mine";
    hub_open(&h, STR("configured"));
    HUB_ANSWERS(&h, SAY(hub_reply("404 X", "", "{}")));
    hub_ask(&h, &a, github_get_commit);
    assert_str(peer_header(h.w.peer.last, "Authorization"), "Bearer configured");
    b.op.token = str_c(mine);
    assert_int_equal(github_get_commit(h.github, &b.op), 0);
    memset(mine, 'x', 4); /* the text was copied */
    peer_run_until(h.w.loop, b.done);
    assert_str(peer_header(h.w.peer.last, "Authorization"), "Bearer mine");

    sha256("mine", 4, digest);
    hex_encode(digest, 8, wanted);
    github_fingerprint(h.github, STR("mine"), print);
    assert_string_equal(print, wanted);
    asking_done(&a);
    asking_done(&b);
    hub_close(&h);
    hub_open(&h, STR_NULL);
    github_fingerprint(h.github, STR_NULL, print);
    assert_string_equal(print, "anonymous");
    hub_close(&h);
}

static void names_that_lead_elsewhere_are_not_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *owner, *repo, *ref;
    } cases[] = {{"..", "r", "main"},  {"o", ".", "main"},       {"o", "..", "main"}, {"o", "r", ".."},
                 {"o", "r", "a/../b"}, {"o", "r", "../../user"}, {"o", "r", "/main"}, {"o", "r", "main/"},
                 {"o", "r", "a//b"},   {"o", "r", "./a"}};
    hub h;
    hub_open(&h, STR("secret"));
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        asking a = hub_asking(cases[i].ref);
        a.op.owner = str_c(cases[i].owner);
        a.op.repo = str_c(cases[i].repo);
        hub_ask(&h, &a, github_get_commit);
        assert_int_equal(a.op.result, GITHUB_NOT_FOUND);
        assert_str(a.op.why, "GitHub: the commit was not found");
        asking_done(&a);
    }
    assert_int_equal(h.w.peer.requests, 0);
    hub_close(&h);
}

/* ---- what answers mean ---- */

static void a_repository_is_read(void **state)
{
    (void)state;
    hub h;
    asking a = hub_asking("");
    hub_open(&h, STR_NULL);
    HUB_ANSWERS(&h, SAY(hub_reply("200 OK", "ETag: W/\"tag\"\r\n", HUB_REPOSITORY)));
    a.op.etag = STR("\"old\"");
    hub_ask(&h, &a, github_get_repository);
    assert_int_equal(a.op.result, GITHUB_OK);
    assert_null(a.op.why.p);
    assert_int_equal(a.op.status, 200);
    assert_str(peer_header(h.w.peer.last, "If-None-Match"), "\"old\"");
    assert_str(a.op.new_etag, "W/\"tag\"");
    const github_repository *r = &a.op.repository;
    assert_str(r->owner, "New-Owner");
    assert_str(r->name, "Renamed");
    assert_str(r->description, "Says \xc3\xa4 \"word\"");
    assert_str(r->default_branch, "trunk");
    assert_str(r->visibility, "internal");
    assert_str(r->license, "MIT");
    assert_true(r->is_private);
    assert_int_equal(r->n_topics, 2);
    assert_str(r->topics[0], "one");
    assert_str(r->topics[1], "two");
    asking_done(&a);
    hub_close(&h);
}

static void what_a_repository_may_lack_is_null(void **state)
{
    (void)state;
    hub h;
    asking a = hub_asking("");
    hub_open(&h, STR_NULL);
    HUB_ANSWERS(&h, SAY(hub_reply("200 OK", "",
                                  "{\"name\":\"n\",\"owner\":{\"login\":\"o\"},\"description\":null,\"default_branch\":"
                                  "\"main\",\"license\":{\"spdx_id\":\"NOASSERTION\"}}")));
    hub_ask(&h, &a, github_get_repository);
    assert_int_equal(a.op.result, GITHUB_OK);
    assert_null(a.op.repository.description.p);
    assert_null(a.op.repository.license.p);
    assert_null(a.op.new_etag.p);
    assert_false(a.op.repository.is_private);
    assert_int_equal(a.op.repository.n_topics, 0);
    asking_done(&a);
    hub_close(&h);
}

static void a_commit_is_read_or_not_modified(void **state)
{
    (void)state;
    hub h;
    asking a = hub_asking("main"), b = hub_asking("main");
    hub_open(&h, STR_NULL);
    HUB_ANSWERS(&h, SAY(hub_reply("200 OK", "ETag: \"1\"\r\n", HUB_COMMIT)),
                SAY("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n"));
    hub_ask(&h, &a, github_get_commit);
    assert_int_equal(a.op.result, GITHUB_OK);
    assert_str(a.op.commit.sha, SHA1_A);
    assert_str(a.op.commit.tree_sha, SHA1_B);
    assert_int_equal(a.op.commit.date_ms, INT64_C(1768471200000));
    b.op.etag = a.op.new_etag;
    hub_ask(&h, &b, github_get_commit);
    assert_int_equal(b.op.result, GITHUB_NOT_MODIFIED);
    assert_int_equal(b.op.status, 304);
    assert_str(peer_header(h.w.peer.last, "If-None-Match"), "\"1\"");
    asking_done(&a);
    asking_done(&b);
    hub_close(&h);
}

static void a_tree_is_read_up_to_its_limit(void **state)
{
    (void)state;
    static const char tree[] =
        "{\"sha\":\"" SHA1_A "\",\"tree\":["
        "{\"path\":\"a\",\"mode\":\"040000\",\"type\":\"tree\",\"sha\":\"" SHA1_A "\"},"
        "{\"path\":\"a/b c.md\",\"mode\":\"100644\",\"type\":\"blob\",\"sha\":\"" SHA1_B "\",\"size\":12},"
        "{\"path\":\"a/l\",\"mode\":\"120000\",\"type\":\"blob\",\"sha\":\"" SHA1_B
        "\",\"size\":3}%s],\"truncated\":%s}";
    static const struct {
        const char *more, *truncated;
        size_t n;
        bool is_truncated;
    } cases[] = {
        {"", "false", 3, false},
        {"", "true", 3, true},
        {",{\"path\":\"s\",\"mode\":\"160000\",\"type\":\"commit\",\"sha\":\"" SHA1_B "\"}", "false", 4, false},
        {",{\"path\":\"s\",\"mode\":\"160000\",\"type\":\"what\",\"sha\":\"" SHA1_B "\"}", "false", 3, false},
        {",{\"path\":\"s\",\"mode\":\"100644\",\"type\":\"blob\",\"sha\":\"short\"}", "false", 3, false},
        {",{\"path\":\"\",\"mode\":\"100644\",\"type\":\"blob\",\"sha\":\"" SHA1_B "\"},7", "false", 3, true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        hub h;
        asking a = hub_asking(SHA1_A);
        char text[1500];
        hub_open(&h, STR_NULL);
        snprintf(text, sizeof(text), tree, cases[i].more, cases[i].truncated);
        HUB_ANSWERS(&h, SAY(hub_reply("200 OK", "", text)));
        hub_ask(&h, &a, github_get_tree);
        assert_int_equal(a.op.result, GITHUB_OK);
        assert_int_equal(a.op.tree.n, cases[i].n);
        assert_int_equal(a.op.tree.truncated, cases[i].is_truncated);
        const github_file *f = a.op.tree.files;
        assert_int_equal(f[0].kind, GITHUB_TREE);
        assert_int_equal(f[0].size, -1);
        assert_str(f[1].path, "a/b c.md");
        assert_int_equal(f[1].kind, GITHUB_BLOB);
        assert_int_equal(f[1].size, 12);
        assert_memory_equal(f[1].sha, SHA1_B, 40);
        assert_int_equal(f[2].kind, GITHUB_SYMLINK);
        if (a.op.tree.n == 4)
            assert_int_equal(f[3].kind, GITHUB_SUBMODULE);
        asking_done(&a);
        hub_close(&h);
    }
}

static void a_readme_is_given_as_it_is(void **state)
{
    (void)state;
    hub h;
    asking a = hub_asking("main");
    hub_open(&h, STR_NULL);
    HUB_ANSWERS(&h, SAY(hub_reply("200 OK", "", "# Title\n\xff not UTF-8")), SAY(hub_reply("200 OK", "", "")));
    hub_ask(&h, &a, github_get_readme);
    assert_int_equal(a.op.result, GITHUB_OK);
    assert_str(a.op.readme, "# Title\n\xff not UTF-8");
    asking_done(&a);
    a = hub_asking("main");
    hub_ask(&h, &a, github_get_readme);
    assert_int_equal(a.op.result, GITHUB_OK);
    assert_str(a.op.readme, "");
    asking_done(&a);
    hub_close(&h);
}

static void statuses_mean_what_the_table_says(void **state)
{
    (void)state;
    static const struct {
        const char *status, *body, *why;
        github_result result;
        unsigned requests;
    } cases[] = {
        {"401 X", "{\"message\":\"Bad credentials\"}", "GitHub does not accept the token (401)", GITHUB_UNAUTHORIZED,
         1},
        {"403 X", "{\"message\":\"Resource not accessible\"}",
         "GitHub refused access to the commit (403): the token may not read it", GITHUB_UNAUTHORIZED, 1},
        {"404 X", "{}", "GitHub: the commit was not found", GITHUB_NOT_FOUND, 1},
        {"422 X", "{}", "GitHub: the commit was not found", GITHUB_NOT_FOUND, 1},
        {"409 X", "{}", "GitHub: the repository is empty", GITHUB_FAILED, 1},
        {"451 X", "{}", "GitHub: the repository is not available for legal reasons (451)", GITHUB_FAILED, 1},
        {"418 X", "{}", "GitHub answered 418 when asked for the commit", GITHUB_FAILED, 1},
        {"500 X", "", "GitHub answered 500 when asked for the commit", GITHUB_FAILED, 4},
        {"502 X", "<html>", "GitHub answered 502 when asked for the commit", GITHUB_FAILED, 4},
        {"200 OK", "", "GitHub's answer for the commit is not what was expected", GITHUB_FAILED, 1},
        {"200 OK", "not json", "GitHub's answer for the commit is not what was expected", GITHUB_FAILED, 1},
        {"200 OK", "{\"sha\":\"" SHA1_A "\"}", "GitHub's answer for the commit is not what was expected", GITHUB_FAILED,
         1},
        {"200 OK", "[]", "GitHub's answer for the commit is not what was expected", GITHUB_FAILED, 1},
        {"200 OK", "{}", "GitHub's answer for the commit is not what was expected", GITHUB_FAILED, 1},
        {"200 OK", "{\"sha\":\"" SHA1_A "\",\"commit\":{\"tree\":{\"sha\":\"../../x\"}}}",
         "GitHub's answer for the commit is not what was expected", GITHUB_FAILED, 1},
        {"999 X", "", "GitHub answered 999 when asked for the commit", GITHUB_FAILED, 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        hub h;
        asking a = hub_asking("main");
        hub_open(&h, STR_NULL);
        HUB_ANSWERS(&h, SAY(hub_reply(cases[i].status, "", cases[i].body)));
        hub_ask(&h, &a, github_get_commit);
        assert_int_equal(a.op.result, cases[i].result);
        assert_string_equal(a.op.why.p, cases[i].why);
        assert_int_equal(h.w.peer.requests, cases[i].requests);
        const char server = cases[i].status[0]; /* what GitHub says of the request stays so; its own trouble passes */
        assert_int_equal(a.op.passes, server == '5' || server == '9');
        asking_done(&a);
        hub_close(&h);
    }
}

static void bodies_are_read_whole_or_not_at_all_without_memory(void **state)
{
    (void)state;
    static const struct {
        int (*parse)(github_op *op, str body, size_t max_entries);
        const char *body;
    } cases[] = {
        {github_parse_repository, HUB_REPOSITORY},
        {github_parse_commit, HUB_COMMIT},
        {github_parse_tree,
         "{\"tree\":[{\"path\":\"a\",\"mode\":\"100644\",\"type\":\"blob\",\"sha\":\"" SHA1_A "\"}]}"},
        {github_parse_readme, "# Title"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (long n = 0; unit_next_fault(&n);) {
            github_op op = {0};
            arena_init(&op.arena, 0);
            int r = cases[i].parse(&op, str_c(cases[i].body), 10);
            assert_int_equal(r, mem_failed() ? -ENOMEM : 0);
            arena_done(&op.arena);
        }
}

static void no_answer_is_a_failure_in_words(void **state)
{
    (void)state;
    hub h;
    asking a = hub_asking("main");
    hub_open(&h, STR_NULL);
    peer_deafen(&h.w.peer);
    hub_ask(&h, &a, github_get_commit);
    assert_int_equal(a.op.result, GITHUB_FAILED);
    assert_int_equal(a.op.status, 0);
    assert_str(a.op.why, "GitHub could not be asked for the commit: 127.0.0.1: connection refused");
    assert_true(a.op.passes);
    asking_done(&a);
    hub_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_as_github_wants_them),
        cmocka_unit_test(the_operations_token_goes_before_the_configured_one),
        cmocka_unit_test(names_that_lead_elsewhere_are_not_asked_for),
        cmocka_unit_test(a_repository_is_read),
        cmocka_unit_test(what_a_repository_may_lack_is_null),
        cmocka_unit_test(a_commit_is_read_or_not_modified),
        cmocka_unit_test(a_tree_is_read_up_to_its_limit),
        cmocka_unit_test(a_readme_is_given_as_it_is),
        cmocka_unit_test(statuses_mean_what_the_table_says),
        cmocka_unit_test(bodies_are_read_whole_or_not_at_all_without_memory),
        cmocka_unit_test(no_answer_is_a_failure_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
