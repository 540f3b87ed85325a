/* Commands that need no server, and don't mind one: keys, check, backup. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "larder/projects.h"
#include "larder/recache.h"
#include "larder/sources.h"
#include "progress.h"

static keyspace *const KEYSPACES[] = {
    &access_keys_ks,  &sources_ks,         &entries_ks,       &validators_ks, &projects_ks,
    &artifacts_ks,    &project_changes_ks, &refresh_state_ks, &upstream_ks,   &recache_queue_ks,
    &recache_dead_ks, &recache_pages_ks,   &recache_facts_ks, &progress_ks,
};

int app_open_store(const config *c, loop *l, app_use use, arena *a, store **ret_store, str *why)
{
    const store_options o = {
        .dir = c->data_dir.p,
        .max_size = (uint64_t)c->store_max_size,
        .keyspaces = KEYSPACES,
        .n_keyspaces = COUNT_OF(KEYSPACES),
        .schema_version = STORE_SCHEMA_VERSION,
        .read_only = use == APP_READS,
        .must_exist = use != APP_MAKES,
    };

    *why = STR_NULL;
    const int r = store_open(&o, l, a, ret_store, why);
    if (r < 0 && !why->p)
        *why = str_c(err_text(r));
    return r;
}

/* For a command: complains itself, and gives NULL. */
static store *open_store(const cli *c, app_use use, arena *a)
{
    store *s;
    str why;

    if (app_open_store(&c->config, NULL, use, a, &s, &why) == 0)
        return s;
    (void)cli_fail(STR_FMT, STR_ARG(why));
    return NULL;
}

/* ---- keys ---- */
static void key_from_cli(const cli *c, str scopes[SCOPE_COUNT + CLI_SCOPES_MAX], access_key *k)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_scopes; i++)
        scopes[n++] = str_c(access_scope_name(c->scopes[i]));
    for (unsigned s = 0; c->n_scopes == 0 && s < SCOPE_COUNT; s++)
        if (s != SCOPE_ADMIN)
            scopes[n++] = str_c(access_scope_name((access_scope)s));
    *k = c->limits;
    k->label = str_c(c->label);
    k->scopes = (strs){scopes, n};
}

/* A key that nobody could read is taken back. */
static int tell_key(store *s, str id, const char *label, const char *secret)
{
    printf("key " STR_FMT " (%s): %s\n", STR_ARG(id), label, secret);
    if (fflush(stdout) == 0)
        return EXIT_DONE;
    const int err = -errno;
    (void)access_key_revoke(s, id);
    return cli_fail("standard output: %s; the key was revoked", err_text(err));
}

int command_key_new(cli *c)
{
    SCOPED(arena_done)
    arena a;
    char secret[ACCESS_SECRET_LEN + 1];
    str scopes[SCOPE_COUNT + CLI_SCOPES_MAX], id;
    access_key k;

    arena_init(&a, 0);
    store *s = open_store(c, APP_MAKES, &a);
    if (!s)
        return EXIT_FAILED;
    key_from_cli(c, scopes, &k);
    access_secret_make(secret);
    const int r = access_key_add(s, clk_real(), &k, secret, &a, &id);
    const int status =
        r < 0 ? cli_fail("the key could not be stored: %s", store_refusal_text(r)) : tell_key(s, id, c->label, secret);
    mem_wipe(secret, sizeof(secret));
    store_close(s, NULL, NULL);
    return status;
}

static void print_key(void *arg, const access_key *k)
{
    char at[RFC3339_LEN + 1];
    const size_t width = utf8_length(k->label);

    (void)arg;
    rfc3339_format(k->created_at, at);
    printf("%-12.*s  %s  %-9s  " STR_FMT "%*s  ", STR_ARG(k->id), at,
           k->per_minute < 0   ? "unlimited"
           : k->per_minute > 0 ? "own rate"
                               : "limited",
           STR_ARG(k->label), width < 20 ? (int)(20 - width) : 0, "");
    for (size_t i = 0; i < k->scopes.n; i++)
        printf("%s" STR_FMT, i ? "," : "", STR_ARG(k->scopes.v[i]));
    putchar('\n');
}

int command_key_list(cli *c)
{
    SCOPED(arena_done)
    arena a;

    arena_init(&a, 0);
    store *s = open_store(c, APP_READS, &a);
    if (!s)
        return EXIT_FAILED;
    printf("%-12s  %-20s  %-9s  %-20s  %s\n", "ID", "CREATED", "RATE", "LABEL", "SCOPES");
    store_view *v = store_read_begin(s);
    const int r = access_key_each(v, &a, print_key, NULL);
    store_read_end(v);
    store_close(s, NULL, NULL);
    return r < 0 ? cli_fail("the keys can't be read: %s", store_err_text(r)) : EXIT_DONE;
}

int command_key_revoke(cli *c)
{
    SCOPED(arena_done)
    arena a;

    arena_init(&a, 0);
    store *s = open_store(c, APP_CHANGES, &a);
    if (!s)
        return EXIT_FAILED;
    const int r = access_key_revoke(s, str_c(c->operand));
    store_close(s, NULL, NULL);
    if (r < 0)
        return cli_fail("%s: %s", c->operand, r == -ENOENT ? "there is no such key" : store_refusal_text(r));
    printf("revoked %s\n", c->operand);
    return EXIT_DONE;
}

/* ---- the first key ---- */
/* What a start that was cut short left there is replaced; a link is not followed. */
static int write_key_file(const char *path, const char *secret)
{
    char line[ACCESS_SECRET_LEN + 1];

    (void)unlink(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    memcpy(line, secret, ACCESS_SECRET_LEN);
    line[ACCESS_SECRET_LEN] = '\n';
    const ssize_t written = write(fd, line, sizeof(line));
    const int r = written < 0 || (written == sizeof(line) && fsync(fd) < 0) ? -errno : 0;
    mem_wipe(line, sizeof(line));
    (void)close(fd);
    return r < 0 || written == sizeof(line) ? r : -ENOSPC;
}

static void count_key(void *arg, const access_key *k)
{
    (void)k;
    ++*(size_t *)arg;
}

static int count_keys(store *s, arena *a, size_t *ret_n)
{
    store_view *v = store_read_begin(s);
    const int r = access_key_each(v, a, count_key, ret_n);

    store_read_end(v);
    return r;
}

/* The file comes first, and is on disk before the key is stored: a crash in between leaves a file whose key no store
 * knows, and the next start makes both anew. The other way round it could leave a store whose only key nobody knows. */
int app_first_key(store *s, const char *data_dir, arena *a, str *ret_path, str *why)
{
    const str admin[] = {STR("admin")};
    const access_key k = {.label = STR("admin"), .scopes = {admin, 1}};
    char secret[ACCESS_SECRET_LEN + 1];
    size_t n = 0;
    str id;

    *ret_path = STR_NULL;
    const str path = arena_printf(a, "%s/admin.key", data_dir);
    int r = path.p ? count_keys(s, a, &n) : -ENOMEM;
    if (r < 0) {
        *why = arena_printf(a, "%s: the keys can't be read: %s", data_dir, store_err_text(r));
        return r;
    }
    if (n > 0)
        return 0;
    access_secret_make(secret);
    r = write_key_file(path.p, secret);
    if (r == 0)
        r = sync_path(data_dir);
    if (r == 0)
        r = access_key_add(s, clk_real(), &k, secret, a, &id);
    mem_wipe(secret, sizeof(secret));
    if (r < 0) {
        *why = arena_printf(a, "%s: the first key can't be left there: %s", path.p, err_text(r));
        (void)unlink(path.p);
        return r;
    }
    *ret_path = path;
    return 0;
}

/* ---- the store ---- */
static void print_fault(void *arg, const char *text)
{
    (void)arg;
    puts(text);
}

static void print_counts(store *s)
{
    store_view *v = store_read_begin(s);

    fputs("check: ok", stdout);
    for (size_t i = 0; i < COUNT_OF(KEYSPACES); i++)
        printf("%s %llu %s", i ? "," : ":", (unsigned long long)store_count(v, KEYSPACES[i]), KEYSPACES[i]->name);
    putchar('\n');
    store_read_end(v);
}

int command_check(cli *c)
{
    SCOPED(arena_done)
    arena a;

    arena_init(&a, 0);
    store *s = open_store(c, APP_READS, &a);
    if (!s)
        return EXIT_FAILED;
    const int r = store_check(s, print_fault, NULL);
    if (r == 0)
        print_counts(s);
    store_close(s, NULL, NULL);
    if (r < 0)
        return cli_fail("the check could not be finished: %s", store_err_text(r));
    return r > 0 ? cli_fail("check: %d faults", r) : EXIT_DONE;
}

int command_backup(cli *c)
{
    SCOPED(arena_done)
    arena a;

    arena_init(&a, 0);
    store *s = open_store(c, APP_READS, &a);
    if (!s)
        return EXIT_FAILED;
    const int r = store_backup(s, c->operand);
    store_close(s, NULL, NULL);
    if (r < 0)
        return cli_fail("%s: %s", c->operand, r == -EEXIST ? "there is a store already" : store_err_text(r));
    printf("backup: %s\n", c->operand);
    return EXIT_DONE;
}
