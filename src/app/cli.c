/* Parses the command line by a table, loads the configuration, runs the command. */
#include "cli.h"

#include <stdio.h>
#include <unistd.h>


#include "larder/version.h"

static int command_config_show(cli *c)
{
    buf out = BUF_INIT;

    config_show(&c->config, &out);
    const int r = out.err;
    (void)fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
    return r < 0 ? cli_fail("%s", err_text(r)) : EXIT_DONE;
}

static int command_config_check(cli *c)
{
    (void)c; /* it was checked as it was loaded */
    puts("configuration: ok");
    return EXIT_DONE;
}

static int command_version(cli *c)
{
    (void)c;
    puts("larder " LARDER_VERSION);
    return EXIT_DONE;
}

enum { TAKES_KEY = 1, TAKES_OPERAND = 2, NO_CONFIG = 4 };
typedef struct command {
    const char *group, *name; /* group NULL: a command of one word */
    unsigned flags;
    int (*run)(cli *c);
    const char *operand, *options, *doc;
} command;
static const command COMMANDS[] = {
    {NULL, "serve", 0, command_serve, "", "", "serve until SIGTERM"},
    {"key", "new", TAKES_KEY, command_key_new, "", " --label L [--scope S]... [--rate unlimited]",
     "make a key; it is shown once, as the last word"},
    {"key", "list", 0, command_key_list, "", "", "list the keys, without their secrets"},
    {"key", "revoke", TAKES_OPERAND, command_key_revoke, " ID", "", "revoke a key; a running server refuses it at once"},
    {NULL, "check", 0, command_check, "", "", "check every index entry against its record and back"},
    {NULL, "backup", TAKES_OPERAND, command_backup, " DIR", "", "copy the store, consistently, also while serving"},
    {"config", "show", 0, command_config_show, "", "", "show all options and where their values come from"},
    {"config", "check", 0, command_config_check, "", "", "check the configuration"},
    {NULL, "version", NO_CONFIG, command_version, "", "", "show the version"},
};

/* ---- words ---- */
int cli_fail(const char *fmt, ...)
{
    va_list args;

    fputs("larder: ", stderr);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    return EXIT_FAILED;
}

static int wrong_usage(const char *what, const char *which)
{
    fprintf(stderr, "larder: %s%s%s (try larder --help)\n", what, which ? ": " : "", which ? which : "");
    return EXIT_USAGE;
}

static void print_command(const command *c)
{
    printf("  larder %s%s%s%s%s\n      %s\n", c->group ? c->group : "", c->group ? " " : "", c->name, c->operand, c->options,
           c->doc);
}

static int help(const char *group, const command *only)
{
    puts("larder keeps caches fresh and says how fresh they are.\n\nusage:");
    for (size_t i = 0; i < COUNT_OF(COMMANDS); i++) {
        const command *c = &COMMANDS[i];
        if (only ? c == only : !group || (c->group && str_eq(str_c(c->group), str_c(group))))
            print_command(c);
    }
    puts("\nevery command takes\n"
         "  -c FILE           configuration file (YAML; etc/larder.yaml describes all options)\n"
         "  --set KEY=VALUE   an option, e.g. --set 'listen=[127.0.0.1:8080, unix:/run/larder.sock]'\n"
         "  --help            this text");
    if (only && (only->flags & TAKES_KEY)) {
        puts("\nscopes:");
#define SCOPE_LINE(id, text, doc) printf("  %-16s  %s\n", text, doc);
        ACCESS_SCOPES(SCOPE_LINE)
#undef SCOPE_LINE
        puts("without --scope a key gets all of them but admin");
    }
    return EXIT_DONE;
}

/* ---- parsing ---- */
static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static const command *find(const char *group, const char *name)
{
    for (size_t i = 0; i < COUNT_OF(COMMANDS); i++) {
        const command *c = &COMMANDS[i];
        if (is(c->name, name) && (group ? c->group && is(c->group, group) : !c->group))
            return c;
    }
    return NULL;
}

static bool is_group(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(COMMANDS); i++)
        if (COMMANDS[i].group && is(COMMANDS[i].group, name))
            return true;
    return false;
}

/* An option with its value, "--set k=v" or "--set=k=v"; *i moves on. 0, 1 when it is none of ours, EXIT_USAGE. */
static int take_option(cli *c, const command *cmd, int argc, char **argv, int *i)
{
    static const char *const NAMES[] = {"-c", "--config", "--set", "--label", "--scope", "--rate"};
    const char *arg = argv[*i], *value = NULL;
    size_t which;

    for (which = 0; which < COUNT_OF(NAMES); which++) {
        const size_t n = strlen(NAMES[which]);
        if (is(arg, NAMES[which])) {
            if (*i + 1 >= argc)
                return wrong_usage("an option without its value", arg);
            value = argv[++*i];
            break;
        }
        if (strncmp(arg, NAMES[which], n) == 0 && arg[n] == '=') {
            value = arg + n + 1;
            break;
        }
    }
    if (!value || (which >= 3 && !(cmd->flags & TAKES_KEY)))
        return wrong_usage("unknown option", arg);
    if (which <= 1) {
        c->from.file = value;
    } else if (which == 2) {
        if (c->from.n_sets == CLI_SETS_MAX)
            return wrong_usage("too many --set", NULL);
        c->sets[c->from.n_sets++] = value;
    } else if (which == 3) {
        c->label = value;
    } else if (which == 4) {
        access_scope s;
        if (access_scope_parse(str_c(value), &s) < 0)
            return wrong_usage("no such scope", value);
        if (c->n_scopes == CLI_SCOPES_MAX)
            return wrong_usage("too many --scope", NULL);
        c->scopes[c->n_scopes++] = value;
    } else {
        if (!is(value, "unlimited") && !is(value, "default"))
            return wrong_usage("--rate takes unlimited or default, not", value);
        c->rate = value;
    }
    return 0;
}

static int parse(cli *c, const command *cmd, int argc, char **argv, int i)
{
    for (; i < argc; i++) {
        if (is(argv[i], "--help") || is(argv[i], "-h"))
            return -1;
        if (argv[i][0] == '-' && argv[i][1]) {
            const int r = take_option(c, cmd, argc, argv, &i);
            if (r)
                return r;
        } else if ((cmd->flags & TAKES_OPERAND) && !c->operand) {
            c->operand = argv[i];
        } else {
            return wrong_usage("one word too many", argv[i]);
        }
    }
    if ((cmd->flags & TAKES_OPERAND) && !c->operand)
        return wrong_usage("a word is missing", cmd->operand + 1);
    if ((cmd->flags & TAKES_KEY) && (!c->label || !*c->label))
        return wrong_usage("a key needs a --label", NULL);
    return 0;
}

static int run(cli *c, const command *cmd)
{
    str why = STR_NULL;
    int status;

    c->from.sets = c->sets;
    c->from.environment = environ;
    if (!(cmd->flags & NO_CONFIG) && config_load(&c->config, &c->from, &why) < 0)
        status = cli_fail(STR_FMT, STR_ARG(why));
    else
        status = cmd->run(c);
    config_done(&c->config);
    return status;
}

int cli_main(int argc, char **argv)
{
    static cli c; /* large */
    const command *cmd;
    int at = 1;

    if (argc < 2)
        return wrong_usage("a command is missing", NULL);
    if (is(argv[1], "--help") || is(argv[1], "-h") || is(argv[1], "help"))
        return help(NULL, NULL);
    if (is(argv[1], "--version"))
        return command_version(&c);
    if (is_group(argv[1])) {
        if (argc > 2 && (is(argv[2], "--help") || is(argv[2], "-h")))
            return help(argv[1], NULL);
        cmd = argc > 2 ? find(argv[1], argv[2]) : NULL;
        at = 3;
        if (!cmd)
            return wrong_usage(argc > 2 ? "unknown command" : "a command is missing after", argc > 2 ? argv[2] : argv[1]);
    } else {
        cmd = find(NULL, argv[1]);
        at = 2;
        if (!cmd)
            return wrong_usage("unknown command", argv[1]);
    }
    const int r = parse(&c, cmd, argc, argv, at);
    return r < 0 ? help(NULL, cmd) : r > 0 ? r : run(&c, cmd);
}
