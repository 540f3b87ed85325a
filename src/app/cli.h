/* The command line: a table of commands. Exit status: 0 done, 1 it failed, 2 it was called wrongly; 1 and 2 come with
 * one line on standard error. */
#ifndef LARDER_APP_CLI_H
#define LARDER_APP_CLI_H

#include "larder/access.h"
#include "larder/config.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };
#define CLI_SCOPES_MAX 16
#define CLI_SETS_MAX 64
#define CLI_LABEL_MAX 200 /* characters */

/* What was said on the command line. */
typedef struct cli {
    config_sources from;
    const char *sets[CLI_SETS_MAX];
    const char *label;
    access_key limits; /* its per_minute, per_hour, concurrent: 0 as configured, -1 none */
    access_scope scopes[CLI_SCOPES_MAX];
    size_t n_scopes;
    const char *operand; /* of revoke, backup */
    config config;       /* loaded */
} cli;

int cli_main(int argc, char **argv);
/* Looks at the words only: 0 with *ret_run, the command to run; EXIT_DONE or EXIT_USAGE with *ret_run NULL when all is
 * said. */
typedef int cli_command(cli *c);
int cli_parse(cli *c, int argc, char **argv, cli_command **ret_run);
int cli_fail(const char *fmt, ...) PRINTF_LIKE(1, 2); /* one line on standard error; EXIT_FAILED */

cli_command command_serve, command_key_new, command_key_list, command_key_revoke, command_check, command_backup,
    command_status;

typedef enum app_use { APP_MAKES, APP_CHANGES, APP_READS } app_use; /* a store that isn't there: by MAKES only */
/* The store of the configuration's data_dir. `l` NULL: without a server. *why: in the arena or static. */
int app_open_store(const config *c, loop *l, app_use use, arena *a, store **ret_store, str *why);
/* With no key in the store: makes an admin key and leaves it in <data_dir>/admin.key. *ret_path is null when there were
 * keys. */
int app_first_key(store *s, const char *data_dir, arena *a, str *ret_path, str *why);

#endif
