/* The command line: which words make which command, and what is said when they don't. */
#include "unit.h"

#include "app/cli.h"

#include <stdio.h>
#include <unistd.h>

/* What was written to standard output and error meanwhile. */
typedef struct said {
    cli c;
    cli_command *run;
    int status;
    char out[8192], err[2048];
} said;

static FILE *redirect(int fd, int *ret_saved)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    *ret_saved = dup(fd);
    assert_true(dup2(fileno(file), fd) == fd);
    return file;
}

static void bring_back(FILE *file, int fd, int saved, char *text, size_t size)
{
    (void)dup2(saved, fd);
    (void)close(saved);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

/* `line`: words with single blanks between them; ~ stands for a blank in a word. */
static void parse(said *s, const char *line)
{
    static char copy[2048];
    char *argv[CLI_SETS_MAX + 8] = {(char *)(uintptr_t) "larder"};
    int argc = 1, saved_out, saved_err;

    (void)snprintf(copy, sizeof(copy), "%s", line);
    for (char *p = copy; *p;) {
        argv[argc++] = p;
        for (; *p && *p != ' '; p++)
            *p = *p == '~' ? ' ' : *p;
        if (*p)
            *p++ = '\0';
    }
    (void)fflush(stdout);
    FILE *out = redirect(STDOUT_FILENO, &saved_out), *err = redirect(STDERR_FILENO, &saved_err);
    s->status = cli_parse(&s->c, argc, argv, &s->run);
    (void)fflush(stdout);
    bring_back(out, STDOUT_FILENO, saved_out, s->out, sizeof(s->out));
    bring_back(err, STDERR_FILENO, saved_err, s->err, sizeof(s->err));
}

static size_t lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

static bool holds(const char *text, const char *piece)
{
    return str_find(str_c(text), str_c(piece)) >= 0;
}

static void words_make_commands(void **state)
{
    static const struct {
        const char *line;
        cli_command *run;
    } cases[] = {{"serve", command_serve},       {"key new --label x", command_key_new},
                 {"key list", command_key_list}, {"key revoke 0123", command_key_revoke},
                 {"check", command_check},       {"backup /b", command_backup},
                 {"backup -", command_backup}};
    said s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        parse(&s, cases[i].line);
        assert_int_equal(s.status, EXIT_DONE);
        assert_ptr_equal(s.run, cases[i].run);
        assert_int_equal(strlen(s.out) + strlen(s.err), 0);
    }
    assert_string_equal(s.c.operand, "-");
    for (size_t i = 0; i < 3; i++) {
        static const char *const others[] = {"config show", "config check", "version"};
        parse(&s, others[i]);
        assert_int_equal(s.status, EXIT_DONE);
        assert_non_null(s.run);
    }
}

static void options_stand_anywhere_behind_the_command(void **state)
{
    said s;
    (void)state;
    parse(&s, "backup --set a=b -c file /b --set=c=d=e --set f=");
    assert_int_equal(s.status, EXIT_DONE);
    assert_string_equal(s.c.from.file, "file");
    assert_string_equal(s.c.operand, "/b");
    assert_int_equal(s.c.from.n_sets, 3);
    assert_string_equal(s.c.sets[0], "a=b");
    assert_string_equal(s.c.sets[1], "c=d=e");
    assert_string_equal(s.c.sets[2], "f=");
}

static void a_key_has_label_scopes_and_rate(void **state)
{
    said s;
    (void)state;
    parse(&s, "key new --scope cache:read --label a~label --scope=sources:read --rate unlimited");
    assert_int_equal(s.status, EXIT_DONE);
    assert_string_equal(s.c.label, "a label");
    assert_int_equal(s.c.n_scopes, 2);
    assert_int_equal(s.c.scopes[1], SCOPE_SOURCES_READ);
    assert_int_equal(s.c.limits.per_minute, -1);
    assert_int_equal(s.c.limits.concurrent, -1);
    parse(&s, "key new --label x --rate unlimited --rate default");
    assert_int_equal(s.c.limits.per_minute, 0);
    parse(&s, "key new --label x --rate 200/5000");
    assert_int_equal(s.c.limits.per_minute, 200);
    assert_int_equal(s.c.limits.per_hour, 5000);
    assert_int_equal(s.c.limits.concurrent, 0);
    assert_int_equal(s.c.n_scopes, 0);
}

static void wrong_usage_is_2_and_one_line_that_names_the_word(void **state)
{
    static const struct {
        const char *line, *names;
    } cases[] = {{"", "command"},
                 {"frob", "frob"},
                 {"-c", "-c"},
                 {"-x --set a=b", "-x"},
                 {"key", "key"},
                 {"key frob", "key frob"},
                 {"config", "config"},
                 {"config frob", "frob"},
                 {"serve extra", "extra"},
                 {"serve --frob", "--frob"},
                 {"serve --setx=1", "--setx"},
                 {"serve -c", "-c"},
                 {"serve --set", "--set"},
                 {"serve --set foo", "foo"},
                 {"serve --label x", "--label"},
                 {"check extra", "extra"},
                 {"version extra", "extra"},
                 {"backup", "DIR"},
                 {"backup a b", "b"},
                 {"key revoke", "ID"},
                 {"key list --label x", "--label"},
                 {"key new", "--label"},
                 {"key new --label", "--label"},
                 {"key new --label=", "1 to"},
                 {"key new --label a\nb", "no control characters: byte 2 is 0x0a, a line end"},
                 {"key new --label \x7f", "byte 1 is 0x7f"},
                 {"key new --label \xff", "UTF-8"},
                 {"key new --label a\xc2\x85", "U+0080"},
                 {"key new --label x --scope nonsense", "nonsense"},
                 {"key new --label x --rate sometimes", "sometimes"},
                 {"key new --label x --rate 0", "0"},
                 {"key new --label x --rate 1/2/3/4", "1/2/3/4"},
                 {"key new --label x --rate 5/", "not 5/"},
                 {"key new --label x --rate /5", "not /5"},
                 {"key new --label x --rate 99999999999", "at most 60000000"},
                 {"key new --label x --rate 1/2/100001", "60000000/100000"},
                 {"frob\nb\x1b[2J", "frob?b?[2J"}};
    said s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        parse(&s, cases[i].line);
        if (s.status != EXIT_USAGE || s.run || *s.out || lines(s.err) != 1 || !holds(s.err, cases[i].names) ||
            !str_starts(str_c(s.err), STR("larder: ")))
            fail_msg("'%s': %d, '%s', '%s'", cases[i].line, s.status, s.out, s.err);
    }
}

static void too_many_of_a_kind_are_refused(void **state)
{
    static const struct {
        const char *option;
        size_t most;
    } cases[] = {{"--set=a=b", CLI_SETS_MAX}, {"--scope=admin", CLI_SCOPES_MAX}};
    said s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char line[CLI_SETS_MAX * 16 + 64] = "key new --label x";
        for (size_t k = 0; k <= cases[i].most; k++) {
            parse(&s, line);
            assert_int_equal(s.status, EXIT_DONE);
            (void)snprintf(line + strlen(line), sizeof(line) - strlen(line), " %s", cases[i].option);
        }
        parse(&s, line);
        assert_int_equal(s.status, EXIT_USAGE);
    }
}

static void help_is_everywhere(void **state)
{
    static const struct {
        const char *line, *holds, *holds_not;
    } cases[] = {
        {"--help", "larder backup DIR", "sources:read"},        {"-h", "larder serve", "sources:read"},
        {"serve --help", "http.idle_timeout", "larder check"},  {"serve --frob --help", "larder serve", "larder check"},
        {"key --help", "larder key revoke ID", "larder serve"}, {"key new --help", "sources:write", "larder key list"},
        {"key list -h", "larder key list", "larder key new"},   {"config --help", "log.level", "larder key"},
        {"version --help", "larder version", "larder key"},     {"frob --help", "larder serve", "sources:read"}};
    said s;
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        parse(&s, cases[i].line);
        if (s.status != EXIT_DONE || s.run || *s.err || !holds(s.out, "usage:") || !holds(s.out, cases[i].holds) ||
            holds(s.out, cases[i].holds_not))
            fail_msg("'%s': %d, '%s', '%s'", cases[i].line, s.status, s.out, s.err);
    }
}

static void help_names_every_option_and_scope(void **state)
{
    said s;
    (void)state;
    parse(&s, "config show --help");
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++)
        assert_true(holds(s.out, config_options[i].name));
    parse(&s, "key new --help");
    for (unsigned i = 0; i < SCOPE_COUNT; i++)
        assert_true(holds(s.out, access_scope_name((access_scope)i)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_make_commands),
        cmocka_unit_test(options_stand_anywhere_behind_the_command),
        cmocka_unit_test(a_key_has_label_scopes_and_rate),
        cmocka_unit_test(wrong_usage_is_2_and_one_line_that_names_the_word),
        cmocka_unit_test(too_many_of_a_kind_are_refused),
        cmocka_unit_test(help_is_everywhere),
        cmocka_unit_test(help_names_every_option_and_scope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
