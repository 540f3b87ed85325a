/* The command line: a table of commands. Exit status: 0 done, 1 it failed, 2 it was called wrongly. */
#ifndef LARDER_APP_CLI_H
#define LARDER_APP_CLI_H

#include "larder/access.h"
#include "larder/config.h"

int cli_main(int argc, char **argv);

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
#define CLI_SCOPES_MAX 16
#define CLI_SETS_MAX 64

/* What was said on the command line. */
typedef struct cli {
    config_sources from;
    const char *sets[CLI_SETS_MAX];
    const char *label, *rate;
    const char *scopes[CLI_SCOPES_MAX];
    size_t n_scopes;
    const char *operand; /* of revoke, backup */
    config config;       /* loaded */
} cli;
int cli_fail(const char *fmt, ...) PRINTF_LIKE(1, 2); /* one line on standard error; EXIT_FAILED */

/* The keyspaces of all rooms, for whoever opens the store. */
extern keyspace *const app_keyspaces[];
extern const size_t app_n_keyspaces;
/* The store of the configuration's data_dir without a server; complains itself. */
int app_open_store(const cli *c, bool read_only, arena *a, store **ret_store);

int command_serve(cli *c);
int command_key_new(cli *c);
int command_key_list(cli *c);
int command_key_revoke(cli *c);
int command_check(cli *c);
int command_backup(cli *c);

/* With no key in the store: makes an admin key and leaves it in <data_dir>/admin.key. *ret_path is null when there were keys. */
int app_first_key(store *s, const char *data_dir, arena *a, str *ret_path);

#endif
