/* Parses the command line by its tables, loads the configuration, runs the command. */
#include "server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "larder/version.h"

/* ---- small commands ---- */
static int command_config_show(cli *c)
{
    buf out = BUF_INIT;

    config_show(&c->config, &out);
    const int r = out.err;
    if (r == 0)
        (void)fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
    return r < 0 ? cli_fail("%s", err_text(r)) : EXIT_DONE;
}

/* All but the files that options name was checked as it was loaded. */
static int command_config_check(cli *c)
{
    config *conf = &c->config;
    tls_trust *trust = NULL, *page_trust = NULL;
    str why;

    int r = config_load_secrets(conf, &why);
    if (r == 0)
        r = server_make_trust(conf, OPTION_github_ca_file, &conf->arena, &trust, &why);
    if (r == 0)
        r = server_make_trust(conf, OPTION_recache_ca_file, &conf->arena, &page_trust, &why);
    tls_trust_unref(trust);
    tls_trust_unref(page_trust);
    if (r < 0)
        return cli_fail(STR_FMT, STR_ARG(why.p ? why : str_c(err_text(r))));
    for (size_t i = 0; i < conf->n_warnings; i++)
        (void)cli_fail(STR_FMT, STR_ARG(conf->warnings[i]));
    puts("configuration: ok");
    return EXIT_DONE;
}

static int command_version(cli *c)
{
    (void)c;
    puts("larder " LARDER_VERSION);
    return EXIT_DONE;
}

/* ---- the tables ---- */
enum { MAKES_KEY = 1, TAKES_OPERAND = 2, SHOWS_OPTIONS = 4 };
typedef struct command {
    const char *group, *name; /* group NULL: a command of one word */
    unsigned flags;
    cli_command *run;
    const char *usage, *doc;
} command;
static const command COMMANDS[] = {
    {NULL, "serve", SHOWS_OPTIONS, command_serve, "", "serve until SIGTERM"},
    {"key", "new", MAKES_KEY, command_key_new, " --label L [--scope S]... [--rate RATE]",
     "make a key; it is shown once, as the last word. RATE: unlimited, or PER_MINUTE[/PER_HOUR[/AT_ONCE]]"},
    {"key", "list", 0, command_key_list, "", "list the keys, without their secrets"},
    {"key", "revoke", TAKES_OPERAND, command_key_revoke, " ID", "revoke a key; a running server refuses it at once"},
    {NULL, "status", 0, command_status, "",
     "show what is cached and how fresh it is; on a terminal also what goes on, until it is done"},
    {NULL, "check", 0, command_check, "", "check every index entry against its record and back"},
    {NULL, "backup", TAKES_OPERAND, command_backup, " DIR", "copy the store, consistently, also while serving"},
    {"config", "show", SHOWS_OPTIONS, command_config_show, "", "show all options and where their values come from"},
    {"config", "check", SHOWS_OPTIONS, command_config_check, "", "check the configuration"},
    {NULL, "version", 0, command_version, "", "show the version"},
};

/* ---- words ---- */
/* Whatever it repeats, it stays one line and leaves the terminal alone. */
__attribute__((format(printf, 1, 0))) static void complain(const char *fmt, va_list args, const char *hint)
{
    char line[1024];

    (void)vsnprintf(line, sizeof(line), fmt, args);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    fprintf(stderr, "larder: %s%s\n", line, hint);
}

int cli_fail(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    complain(fmt, args, "");
    va_end(args);
    return EXIT_FAILED;
}

PRINTF_LIKE(1, 2) static int wrong_usage(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    complain(fmt, args, " (larder --help tells more)");
    va_end(args);
    return EXIT_USAGE;
}

static void print_scopes(void)
{
    puts("\nscopes:");
#define SCOPE_LINE(id, text, doc) printf("  %-16s  %s\n", text, doc);
    ACCESS_SCOPES(SCOPE_LINE)
#undef SCOPE_LINE
    puts("without --scope a key gets all of them but admin");
}

static void print_options(void)
{
    puts("\noptions (SIGHUP changes them while serving, but for those marked *):");
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const config_option *o = &config_options[i];
        printf("  %s %-28s %s", o->live ? " " : "*", o->name, o->doc);
        if (o->choices)
            printf("; %s", o->choices);
        if (*o->def)
            printf(" (%s)", o->def);
        putchar('\n');
    }
}

/* Of all commands, of a group, or of one. */
static int help(const char *group, const command *only)
{
    unsigned flags = 0;

    puts("larder keeps caches fresh and says how fresh they are.\n\nusage:");
    for (size_t i = 0; i < COUNT_OF(COMMANDS); i++) {
        const command *c = &COMMANDS[i];
        if (only ? c != only : group && (!c->group || strcmp(c->group, group) != 0))
            continue;
        flags |= only || group ? c->flags : 0;
        printf("  larder %s%s%s%s\n      %s\n", c->group ? c->group : "", c->group ? " " : "", c->name, c->usage,
               c->doc);
    }
    puts("\nevery command takes\n"
         "  -c FILE           configuration file (YAML; etc/larder.yaml describes all options)\n"
         "  --set KEY=VALUE   an option, e.g. --set log.level=debug; lists as --set listen=[A,B]\n"
         "  --help            this text");
    if (flags & MAKES_KEY)
        print_scopes();
    if (flags & SHOWS_OPTIONS)
        print_options();
    return EXIT_DONE;
}

/* ---- options of the command line ---- */
static int take_file(cli *c, const char *value)
{
    c->from.file = value;
    return 0;
}

static int take_set(cli *c, const char *value)
{
    if (!strchr(value, '='))
        return wrong_usage("--set takes KEY=VALUE, not %s", value);
    if (c->from.n_sets == CLI_SETS_MAX)
        return wrong_usage("more than %d --set", CLI_SETS_MAX);
    c->sets[c->from.n_sets++] = value;
    return 0;
}

static int take_label(cli *c, const char *value)
{
    const str label = str_c(value);

    for (size_t i = 0; i < label.n; i++)
        if ((unsigned char)label.p[i] < 0x20 || label.p[i] == 0x7f)
            return wrong_usage("--label takes no control characters: byte %zu is 0x%02x%s", i + 1,
                               (unsigned)(unsigned char)label.p[i], label.p[i] == '\n' ? ", a line end" : "");
    if (!utf8_valid(label))
        return wrong_usage("--label takes UTF-8 only");
    if (str_has_control(label))
        return wrong_usage("--label takes no control characters, U+0080 to U+009F neither");
    if (label.n == 0 || utf8_length(label) > CLI_LABEL_MAX)
        return wrong_usage("--label takes 1 to %d characters, not %zu", CLI_LABEL_MAX, utf8_length(label));
    c->label = value;
    return 0;
}

static int take_scope(cli *c, const char *value)
{
    if (c->n_scopes == CLI_SCOPES_MAX)
        return wrong_usage("more than %d --scope", CLI_SCOPES_MAX);
    if (access_scope_parse(str_c(value), &c->scopes[c->n_scopes]) < 0)
        return wrong_usage("there is no scope %s", value);
    c->n_scopes++;
    return 0;
}

#define RATE_MAX 60000000 /* both as the options limits.* have it */
#define CONCURRENT_MAX 100000

/* "200", "200/5000", "200/5000/20": a minute, an hour, at once; what is left out is as configured. */
static int take_rate(cli *c, const char *value)
{
    int64_t *const limits[] = {&c->limits.per_minute, &c->limits.per_hour, &c->limits.concurrent};
    const int64_t most[] = {RATE_MAX, RATE_MAX, CONCURRENT_MAX};
    const bool ends_open = str_ends(str_c(value), STR("/"));
    const bool unlimited = strcmp(value, "unlimited") == 0;
    str rest = str_c(value), part;

    for (size_t i = 0; i < COUNT_OF(limits); i++)
        *limits[i] = unlimited ? -1 : 0;
    if (unlimited || strcmp(value, "default") == 0)
        return 0;
    for (size_t i = 0; str_cut(&rest, '/', &part); i++)
        if (ends_open || i == COUNT_OF(limits) || str_to_i64(part, limits[i]) < 0 || *limits[i] < 1 ||
            *limits[i] > most[i])
            return wrong_usage("--rate is unlimited, default, or PER_MINUTE[/PER_HOUR[/AT_ONCE]], at most %d/%d/%d, "
                               "not %s",
                               RATE_MAX, RATE_MAX, CONCURRENT_MAX, value);
    return 0;
}

static const struct {
    const char *name;
    bool is_of_key;
    int (*take)(cli *c, const char *value);
} OPTIONS[] = {
    {"-c", false, take_file},      {"--set", false, take_set},  {"--label", true, take_label},
    {"--scope", true, take_scope}, {"--rate", true, take_rate},
};

/* "--set k=v" or "--set=k=v"; *i moves on to the option's last word. */
static int take_option(cli *c, const command *cmd, int argc, char **argv, int *i)
{
    const char *arg = argv[*i];

    for (size_t o = 0; o < COUNT_OF(OPTIONS); o++) {
        const size_t n = strlen(OPTIONS[o].name);
        if (strncmp(arg, OPTIONS[o].name, n) != 0 || (arg[n] && arg[n] != '='))
            continue;
        if (OPTIONS[o].is_of_key && !(cmd->flags & MAKES_KEY))
            break;
        if (arg[n] == '=')
            return OPTIONS[o].take(c, arg + n + 1);
        if (*i + 1 == argc)
            return wrong_usage("%s needs a value", arg);
        return OPTIONS[o].take(c, argv[++*i]);
    }
    return wrong_usage("there is no option %s here", arg);
}

/* ---- commands ---- */
static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static bool is_group(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(COMMANDS); i++)
        if (COMMANDS[i].group && strcmp(COMMANDS[i].group, name) == 0)
            return true;
    return false;
}

/* *at moves behind the command's words. NULL: there is none. */
static const command *find(int argc, char **argv, int *at)
{
    const char *group = argc > 1 && is_group(argv[1]) ? argv[1] : NULL;
    const int name = group ? 2 : 1;

    for (size_t i = 0; i < COUNT_OF(COMMANDS) && name < argc; i++) {
        const command *c = &COMMANDS[i];
        if (strcmp(c->name, argv[name]) == 0 && (group ? c->group && strcmp(c->group, group) == 0 : !c->group)) {
            *at = name + 1;
            return c;
        }
    }
    return NULL;
}

static int parse_words(cli *c, const command *cmd, int argc, char **argv, int i)
{
    for (; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            const int r = take_option(c, cmd, argc, argv, &i);
            if (r)
                return r;
        } else if ((cmd->flags & TAKES_OPERAND) && !c->operand) {
            c->operand = argv[i];
        } else {
            return wrong_usage("one word too many: %s", argv[i]);
        }
    }
    if ((cmd->flags & TAKES_OPERAND) && (!c->operand || !*c->operand))
        return wrong_usage("%s%s%s needs%s", cmd->group ? cmd->group : "", cmd->group ? " " : "", cmd->name,
                           cmd->usage);
    if ((cmd->flags & MAKES_KEY) && !c->label)
        return wrong_usage("a key needs a --label");
    return 0;
}

int cli_parse(cli *c, int argc, char **argv, cli_command **ret_run)
{
    int at = 0;

    memset(c, 0, sizeof(*c));
    *ret_run = NULL;
    const command *cmd = find(argc, argv, &at);
    for (int i = 1; i < argc; i++) /* wherever it stands: who asks for help gets no complaint */
        if (is_help(argv[i]))
            return help(argc > 1 && is_group(argv[1]) ? argv[1] : NULL, cmd);
    if (argc > 1 && strcmp(argv[1], "--version") == 0)
        return command_version(c);
    if (!cmd)
        return argc < 2             ? wrong_usage("a command is missing")
               : !is_group(argv[1]) ? wrong_usage("there is no command %s", argv[1])
               : argc == 2          ? wrong_usage("%s needs a second word", argv[1])
                                    : wrong_usage("there is no command %s %s", argv[1], argv[2]);
    const int status = parse_words(c, cmd, argc, argv, at);
    if (status == 0)
        *ret_run = cmd->run;
    return status;
}

/* ---- running ---- */
/* Whoever opens a file with standard output closed would get its number, and the next printf would go into that file.
 * What is put there instead can't be written to, so that a command whose output is lost fails. */
static void open_standard_files(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        (void)close(fd);
}

static int run(cli *c, cli_command *fn)
{
    str why = STR_NULL;
    int status;

    c->from.sets = c->sets;
    c->from.environment = environ;
    if (fn != command_version && config_load(&c->config, &c->from, &why) < 0)
        status = cli_fail(STR_FMT, STR_ARG(why));
    else
        status = fn(c);
    config_done(&c->config);
    return status;
}

/* The data file is read through memory (store.h): what the disk can't give, or isn't there, comes as this signal. It
 * may come in any thread and anywhere: only write and _exit are safe. */
static void on_bus_error(int signum, siginfo_t *info, void *context)
{
    static const char WHY[] = "larder: the data file can't be read: it is cut short, or its disk fails\n";

    (void)context;
    if (info->si_code != BUS_ADRERR) { /* not that: the second time it ends the process */
        (void)signal(signum, SIG_DFL);
        return;
    }
    const ssize_t n = write(STDERR_FILENO, WHY, sizeof(WHY) - 1);
    (void)n;
    _exit(EXIT_FAILED);
}

static void watch_for_bus_errors(void)
{
    struct sigaction on = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO};

    (void)sigaction(SIGBUS, &on, NULL);
}

int cli_main(int argc, char **argv)
{
    cli_command *fn;
    cli c;

    open_standard_files();
    watch_for_bus_errors();
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error like others: EFBIG */
    int status = cli_parse(&c, argc, argv, &fn);
    if (fn)
        status = run(&c, fn);
    if (fflush(stdout) != 0 && status == EXIT_DONE)
        status = cli_fail("standard output: %s", err_text(-errno));
    return status;
}
