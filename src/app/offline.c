/* Commands that need no server, and don't mind one. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "larder/sources.h"

keyspace *const app_keyspaces[] = {&access_keys_ks, &sources_ks, &entries_ks, &validators_ks};
const size_t app_n_keyspaces = COUNT_OF(app_keyspaces);

int app_open_store(const cli *c, bool read_only, arena *a, store **ret_store)
{
    const store_options o = {
        .dir = arena_cstr(a, c->config.data_dir),
        .max_size = (uint64_t)c->config.store_max_size,
        .keyspaces = app_keyspaces,
        .n_keyspaces = app_n_keyspaces,
        .schema_version = STORE_SCHEMA_VERSION,
        .read_only = read_only,
    };
    str why = STR_NULL;

    const int r = o.dir ? store_open(&o, NULL, a, ret_store, &why) : -ENOMEM;
    if (r < 0)
        (void)cli_fail("%s: " STR_FMT, o.dir ? o.dir : "?", STR_ARG(why.p ? why : str_c(err_text(r))));
    return r;
}

/* ---- keys ---- */
static void key_from_cli(const cli *c, str *scopes, access_key *k)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_scopes; i++)
        scopes[n++] = str_c(c->scopes[i]);
    for (unsigned s = 0; c->n_scopes == 0 && s < SCOPE_COUNT; s++)
        if (s != SCOPE_ADMIN)
            scopes[n++] = str_c(access_scope_name((access_scope)s));
    *k = (access_key){.label = str_c(c->label), .scopes = {scopes, n}};
    if (c->rate && str_eq(str_c(c->rate), STR("unlimited")))
        k->per_minute = k->per_hour = k->concurrent = -1;
}

int command_key_new(cli *c)
{
    SCOPED(arena_done) arena a;
    char secret[ACCESS_SECRET_LEN + 1];
    str scopes[CLI_SCOPES_MAX], id;
    access_key k;
    store *s;

    arena_init(&a, 0);
    if (app_open_store(c, false, &a, &s) < 0)
        return EXIT_FAILED;
    key_from_cli(c, scopes, &k);
    access_secret_make(secret);
    const int r = access_key_add(s, clk_real(), &k, secret, &a, &id);
    if (r == 0)
        printf("key " STR_FMT " (%s): %s\n", STR_ARG(id), c->label, secret);
    mem_wipe(secret, sizeof(secret));
    store_close(s, NULL, NULL);
    return r < 0 ? cli_fail("the key could not be stored: %s", err_text(r)) : EXIT_DONE;
}

static void print_key(void *arg, const access_key *k)
{
    char at[RFC3339_LEN + 1];

    (void)arg;
    rfc3339_format(k->created_at, at);
    printf("%-12.*s  %s  %-9s  " STR_FMT "  ", STR_ARG(k->id), at, k->per_minute < 0 ? "unlimited" : "limited",
           STR_ARG(k->label));
    for (size_t i = 0; i < k->scopes.n; i++)
        printf("%s" STR_FMT, i ? "," : "", STR_ARG(k->scopes.v[i]));
    putchar('\n');
}

int command_key_list(cli *c)
{
    SCOPED(arena_done) arena a;
    store *s;

    arena_init(&a, 0);
    if (app_open_store(c, true, &a, &s) < 0)
        return EXIT_FAILED;
    store_view *v = store_read_begin(s);
    const int r = access_key_each(v, &a, print_key, NULL);
    store_read_end(v);
    store_close(s, NULL, NULL);
    return r < 0 ? cli_fail("%s", err_text(r)) : EXIT_DONE;
}

int command_key_revoke(cli *c)
{
    SCOPED(arena_done) arena a;
    store *s;

    arena_init(&a, 0);
    if (app_open_store(c, false, &a, &s) < 0)
        return EXIT_FAILED;
    const int r = access_key_revoke(s, str_c(c->operand));
    store_close(s, NULL, NULL);
    if (r < 0)
        return cli_fail("%s: %s", c->operand, r == -ENOENT ? "there is no such key" : err_text(r));
    printf("revoked %s\n", c->operand);
    return EXIT_DONE;
}

/* The file comes first: a crash in between leaves a key that no store knows, and the next start makes another one. The other way
 * round it would leave a store whose only key nobody knows. */
static int write_key_file(const char *path, const char *secret)
{
    char line[ACCESS_SECRET_LEN + 1];
    int err = 0;

    (void)unlink(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    memcpy(line, secret, ACCESS_SECRET_LEN);
    line[ACCESS_SECRET_LEN] = '\n';
    if (write(fd, line, sizeof(line)) != (ssize_t)sizeof(line) || fsync(fd) < 0)
        err = errno ? -errno : -EIO;
    mem_wipe(line, sizeof(line));
    (void)close(fd);
    return err;
}

static void count_key(void *arg, const access_key *k)
{
    (void)k;
    ++*(size_t *)arg;
}

int app_first_key(store *s, const char *data_dir, arena *a, str *ret_path)
{
    const str all[] = {STR("admin")};
    const access_key k = {.label = STR("admin"), .scopes = {all, 1}};
    char secret[ACCESS_SECRET_LEN + 1];
    size_t n = 0;
    str id;

    store_view *v = store_read_begin(s);
    int r = access_key_each(v, a, count_key, &n);
    store_read_end(v);
    *ret_path = STR_NULL;
    if (r < 0 || n > 0)
        return r;
    const str path = arena_printf(a, "%s/admin.key", data_dir);
    if (!path.p)
        return -ENOMEM;
    access_secret_make(secret);
    r = write_key_file(path.p, secret);
    if (r == 0)
        r = access_key_add(s, clk_real(), &k, secret, a, &id);
    mem_wipe(secret, sizeof(secret));
    if (r == 0)
        *ret_path = path;
    return r;
}

/* ---- the store ---- */
static void print_fault(void *arg, const char *text)
{
    (void)arg;
    puts(text);
}

int command_check(cli *c)
{
    SCOPED(arena_done) arena a;
    store *s;

    arena_init(&a, 0);
    if (app_open_store(c, true, &a, &s) < 0)
        return EXIT_FAILED;
    const int r = store_check(s, print_fault, NULL);
    store_close(s, NULL, NULL);
    if (r < 0)
        return cli_fail("the check could not be finished: %s", err_text(r));
    if (r > 0)
        return cli_fail("%d faults", r);
    puts("check: ok");
    return EXIT_DONE;
}

int command_backup(cli *c)
{
    SCOPED(arena_done) arena a;
    store *s;

    arena_init(&a, 0);
    if (app_open_store(c, true, &a, &s) < 0)
        return EXIT_FAILED;
    const int r = store_backup(s, c->operand);
    store_close(s, NULL, NULL);
    if (r < 0)
        return cli_fail("%s: %s", c->operand, r == -EEXIST ? "holds a store already" : err_text(r));
    printf("backup: %s\n", c->operand);
    return EXIT_DONE;
}
