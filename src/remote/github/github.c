/* One operation is one call of the client: prepare (URL, headers, credential), ask unless it is known to be no use,
 * classify the answer, parse the body on a worker, tell the caller. */
#include "github_private.h"

#include <stdio.h>

#include "larder/hash.h"

#define RETRIES 3
#define FIRST_BYTE_MS SECONDS(60)
#define SECONDARY_WAIT_MS SECONDS(60) /* a secondary limit without a time: what GitHub's guide asks for */
#define WAIT_MAX_MS HOURS(24)         /* whatever GitHub says, then it is worth another look */
#define MIB ((size_t)1 << 20)

#define JSON_TYPE "application/vnd.github+json"
#define RAW_TYPE "application/vnd.github.raw+json"
static const github_kind a_repository = {"repository", JSON_TYPE, github_parse_repository, 4 * MIB, MINUTES(2)};
static const github_kind a_commit = {"commit", JSON_TYPE, github_parse_commit, 8 * MIB, MINUTES(2)};
static const github_kind a_tree = {"tree", JSON_TYPE, github_parse_tree, 64 * MIB, MINUTES(5)};
static const github_kind a_readme = {"README", RAW_TYPE, github_parse_readme, 1 * MIB, MINUTES(2)};
static const github_kind an_archive = {"archive", JSON_TYPE, NULL, 0, MINUTES(30)};

/* ---- life ---- */

static void free_secret(char *text)
{
    if (text)
        mem_wipe(text, strlen(text));
    mem_free(text);
}

void github_set_options(github *g, const github_options *o)
{
    g->o = *o;
}

int github_new(loop *l, client *c, const github_options *o, github **ret_github)
{
    github *g = mem_new(github);

    if (!g)
        return -ENOMEM;
    g->loop = l;
    g->client = c;
    g->o = *o;
    *ret_github = g;
    return 0;
}

void github_free(github *g)
{
    mem_free(g);
}

void github_fingerprint(const github *g, str token, char out[GITHUB_FINGERPRINT_LEN + 1])
{
    uint8_t digest[SHA256_LEN];

    if (!token.n)
        token = g->o.token;
    if (!token.n) {
        memcpy(out, "anonymous", sizeof("anonymous"));
        return;
    }
    sha256(token.p, token.n, digest);
    hex_encode(digest, GITHUB_FINGERPRINT_LEN / 2, out);
    out[GITHUB_FINGERPRINT_LEN] = '\0';
}

/* ---- the end of an operation ---- */
static void operation_free(operation *x)
{
    if (!x)
        return;
    client_call_done(&x->call);
    free_secret(x->secret);
    arena_done(&x->arena);
    mem_free(x);
}

static void finish(operation *x)
{
    github_op *op = x->op;

    if (x->cancelled) {
        op->result = GITHUB_CANCELLED;
        op->why = STR("cancelled");
    }
    op->impl = NULL;
    operation_free(x);
    op->on_done(op);
}

static void fail(operation *x, github_result result, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void fail(operation *x, github_result result, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    x->op->result = result;
    x->op->why = arena_dup(&x->op->arena, str_c(text));
    if (!x->op->why.p)
        x->op->why = STR("out of memory");
}

static void fail_limited(operation *x, int64_t retry_at)
{
    const int64_t latest = loop_now_wall_ms(x->owner->loop) + WAIT_MAX_MS;

    x->op->retry_at = retry_at < latest ? retry_at : latest;
    fail(x, GITHUB_RATE_LIMITED, "GitHub's rate limit is used up");
}

/* ---- what an answer means ---- */

/* 403 and 429: no quota left, a secondary limit (which holds for all who use the credential), or simply forbidden. */
static void refused(operation *x)
{
    const client_call *c = &x->call;
    const int64_t now = loop_now_wall_ms(x->owner->loop);
    const bool says_limit = str_find(buf_view(&c->reply), STR("rate limit")) >= 0;
    github_quota *q = github_quota_of(x->owner, x->credential);
    int64_t seconds;

    if (str_to_i64(client_reply_header(c, "retry-after"), &seconds) == 0) {
        seconds = seconds < 1 ? 1 : seconds;
        q->blocked_until = now + (seconds < WAIT_MAX_MS / 1000 ? seconds * 1000 : WAIT_MAX_MS);
    }
    if (github_quota_blocks(q, now) == 0 && (c->status == 429 || says_limit))
        q->blocked_until = now + SECONDARY_WAIT_MS;
    const int64_t until = github_quota_blocks(q, now);
    if (until > 0)
        fail_limited(x, until);
    else
        fail(x, GITHUB_UNAUTHORIZED, "GitHub refused access to the %s (403): the token may not read it", x->kind->what);
}

static void classify(operation *x)
{
    const client_call *c = &x->call;
    const char *what = x->kind->what;
    github_op *op = x->op;

    op->status = c->status;
    op->not_asked = c->failure == CLIENT_BREAKER;
    if (c->failure == CLIENT_CANCELLED) {
        x->cancelled = true;
        return;
    }
    if (c->failure == CLIENT_TOO_LARGE && c->status == 200 && x->op->on_piece) {
        fail(x, GITHUB_FAILED, "GitHub's %s is larger than max_archive_bytes, which is %zu", what, x->call.max_body);
        return;
    }
    if (c->failure != CLIENT_NONE) {
        op->passes = c->failure != CLIENT_TOO_LARGE;
        op->cut_off = x->gave && (c->failure == CLIENT_CLOSED || c->failure == CLIENT_TIMEOUT);
        fail(x, GITHUB_FAILED, "GitHub could not be asked for the %s: " STR_FMT, what, STR_ARG(c->why));
        return;
    }
    github_quota_learn(github_quota_of(x->owner, x->credential), c);
    switch (c->status) {
    case 200:
        op->result = GITHUB_OK;
        op->new_etag = arena_dup(&op->arena, client_reply_header(c, "etag"));
        return;
    case 304:
        op->result = GITHUB_NOT_MODIFIED;
        return;
    case 404:
    case 410:
    case 422: /* "No commit found for SHA" */
        fail(x, GITHUB_NOT_FOUND, "GitHub: the %s was not found", what);
        return;
    case 401:
        fail(x, GITHUB_UNAUTHORIZED, "GitHub does not accept the token (401)");
        return;
    case 403:
    case 429:
        refused(x);
        return;
    case 409:
        fail(x, GITHUB_FAILED, "GitHub: the repository is empty");
        return;
    case 451:
        fail(x, GITHUB_FAILED, "GitHub: the repository is not available for legal reasons (451)");
        return;
    default:
        op->passes = c->status >= 500;
        fail(x, GITHUB_FAILED, "GitHub answered %d when asked for the %s", c->status, what);
    }
}

static void parse_work(job *j)
{
    operation *x = CONTAINER_OF(j, operation, job);

    x->parsed = x->kind->parse(x->op, buf_view(&x->call.reply), x->max_entries);
    buf_done(&x->call.reply); /* here: a large one takes a while to give back */
}

static void on_parsed(job *j, int status)
{
    operation *x = CONTAINER_OF(j, operation, job);
    const int r = status < 0 ? status : x->parsed;

    x->parses = false;
    x->op->passes = r == -ENOMEM; /* what GitHub did say stays so */
    if (r == -EPROTO)
        fail(x, GITHUB_FAILED, "GitHub's answer for the %s is not what was expected", x->kind->what);
    else if (r < 0)
        fail(x, GITHUB_FAILED, "GitHub's answer for the %s could not be read: %s", x->kind->what, err_text(r));
    finish(x);
}

static void on_answer(client_call *call)
{
    operation *x = call->user;

    x->calls = false;
    classify(x);
    if (x->op->result != GITHUB_OK || !x->kind->parse || x->cancelled) {
        finish(x);
        return;
    }
    x->parses = true;
    const int r = loop_job(x->owner->loop, &x->job, parse_work, on_parsed);
    if (r < 0)
        on_parsed(&x->job, r);
}

static int on_body(client_call *call, str piece)
{
    operation *x = call->user;

    x->gave = true;
    return x->op->on_piece(x->op, piece);
}

/* ---- the beginning of an operation ---- */

static int set_headers(operation *x)
{
    size_t n = 0;

    x->headers[n++] = (client_header){STR("Accept"), str_c(x->kind->accept)};
    x->headers[n++] = (client_header){STR("X-GitHub-Api-Version"), STR("2022-11-28")};
    if (x->op->etag.p) {
        x->headers[n] = (client_header){STR("If-None-Match"), arena_dup(&x->arena, x->op->etag)};
        if (!x->headers[n++].value.p)
            return -ENOMEM;
    }
    if (x->secret)
        x->headers[n++] = (client_header){STR("Authorization"), str_c(x->secret)};
    x->call.headers = x->headers;
    x->call.n_headers = n;
    return 0;
}

static int set_secret(operation *x)
{
    const str token = x->op->token.n ? x->op->token : x->owner->o.token;

    github_fingerprint(x->owner, x->op->token, x->credential);
    if (!token.n)
        return 0;
    x->secret = mem_alloc(token.n + sizeof("Bearer "));
    if (!x->secret)
        return -ENOMEM;
    memcpy(x->secret, "Bearer ", 7);
    memcpy(x->secret + 7, token.p, token.n);
    x->secret[7 + token.n] = '\0';
    return 0;
}

static int set_url(operation *x, const char *before, str part, const char *after)
{
    buf url = BUF_INIT;

    buf_str(&url, str_c(x->owner->o.api_url));
    buf_str(&url, STR("/repos/"));
    percent_encode(&url, x->op->owner);
    buf_char(&url, '/');
    percent_encode(&url, x->op->repo);
    buf_str(&url, str_c(before));
    percent_encode_path(&url, part);
    buf_str(&url, str_c(after));
    x->call.url = url.err ? STR_NULL : arena_dup(&x->arena, buf_view(&url));
    buf_done(&url);
    return x->call.url.p ? 0 : -ENOMEM;
}

/* A name that would lead to another place of the API. */
static bool is_dots(str name)
{
    return str_eq(name, STR(".")) || str_eq(name, STR(".."));
}

/* The same for branches and tags; git allows none of these. */
static bool leads_astray(str ref)
{
    str segment;

    if (str_starts(ref, STR("/")) || str_ends(ref, STR("/")))
        return true;
    while (str_cut(&ref, '/', &segment))
        if (segment.n == 0 || is_dots(segment))
            return true;
    return false;
}

/* True when the result is known without asking. */
static bool is_known(operation *x)
{
    const github_op *op = x->op;
    const int64_t blocked =
        github_quota_blocks(github_quota_of(x->owner, x->credential), loop_now_wall_ms(x->owner->loop));

    if (is_dots(op->owner) || is_dots(op->repo) || leads_astray(op->ref))
        fail(x, GITHUB_NOT_FOUND, "GitHub: the %s was not found", x->kind->what);
    else if (blocked > 0)
        fail_limited(x, blocked);
    return op->result != GITHUB_OK;
}

static void on_timer(timer *t)
{
    finish(CONTAINER_OF(t, operation, timer));
}

static void prepare_call(operation *x)
{
    const github_op *op = x->op;
    const bool streams = x->kind->parse == NULL;

    x->call.retries = RETRIES;
    x->call.keeps_quota = true;
    x->call.first_byte_ms = FIRST_BYTE_MS;
    x->call.total_ms = x->kind->total_ms;
    x->call.max_body = streams ? x->owner->o.max_archive_bytes : x->kind->max_body;
    x->call.raw_body = streams;
    x->call.on_body = op->on_piece ? on_body : NULL;
    x->call.on_done = on_answer;
    x->call.user = x;
}

/* Asks for api_url/repos/OWNER/REPO`before``part``after`. */
static int start(github *g, github_op *op, const github_kind *kind, const char *before, str part, const char *after)
{
    operation *x = mem_new(operation);

    if (!x)
        return -ENOMEM;
    arena_init(&x->arena, 0);
    arena_init(&op->arena, 0);
    x->owner = g;
    x->op = op;
    x->kind = kind;
    x->max_entries = g->o.max_entries;
    op->impl = x;
    op->result = GITHUB_OK;
    prepare_call(x);
    int r = set_secret(x);
    if (r == 0)
        r = set_headers(x);
    if (r == 0)
        r = set_url(x, before, part, after);
    if (r == 0 && is_known(x)) {
        r = loop_timer_set(g->loop, &x->timer, 0, on_timer);
    } else if (r == 0) {
        r = client_start(g->client, &x->call);
        x->calls = r == 0;
    }
    if (r < 0) {
        op->impl = NULL;
        operation_free(x);
        arena_done(&op->arena);
    }
    return r;
}

int github_get_repository(github *g, github_op *op)
{
    return start(g, op, &a_repository, "", STR(""), "");
}

int github_get_commit(github *g, github_op *op)
{
    return start(g, op, &a_commit, "/commits/", op->ref, "?per_page=1"); /* one changed file of thousands is enough */
}

int github_get_tree(github *g, github_op *op)
{
    return start(g, op, &a_tree, "/git/trees/", op->ref, "?recursive=1");
}

int github_get_archive(github *g, github_op *op)
{
    REQUIRE(op->on_piece);
    return start(g, op, &an_archive, "/tarball/", op->ref, "");
}

int github_get_readme(github *g, github_op *op)
{
    return start(g, op, &a_readme, "/readme?ref=", op->ref, "");
}

void github_pause(github_op *op)
{
    operation *x = op->impl;

    if (x && x->calls)
        client_pause(&x->call);
}

void github_resume(github_op *op)
{
    operation *x = op->impl;

    if (x && x->calls)
        client_resume(&x->call);
}

void github_cancel(github_op *op)
{
    operation *x = op->impl;

    if (!x || x->cancelled)
        return;
    x->cancelled = true;
    if (x->calls)
        client_cancel(&x->call);
    else if (x->parses)
        loop_job_cancel(&x->job);
}

void github_op_done(github_op *op)
{
    arena_done(&op->arena);
}
