/* The rows, and the sources that set them one after the other: defaults, file, environment, --set, the token's file. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_private.h"

#define LIVE true
#define RESTART false
const config_option config_options[CONFIG_OPTION_COUNT] = {
#define CONFIG_ROW(kind_, name_, member, def_, min_, max_, live_, choices_, doc_) \
    {.kind = &config_kind_##kind_,                                                \
     .name = name_,                                                               \
     .def = def_,                                                                 \
     .choices = choices_,                                                         \
     .doc = doc_,                                                                 \
     .offset = offsetof(config, member),                                          \
     .min = min_,                                                                 \
     .max = max_,                                                                 \
     .live = live_},
    CONFIG_OPTIONS(CONFIG_ROW)
#undef CONFIG_ROW
};

/* "http" of "http.idle_timeout"; empty where there is no section. */
static str section_of(const char *name)
{
    const ptrdiff_t dot = str_chr(str_c(name), '.');

    return str_head(str_c(name), dot < 0 ? 0 : (size_t)dot);
}

bool config_find(str name, config_id *ret_option)
{
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        if (str_eq(str_c(config_options[i].name), name)) {
            *ret_option = (config_id)i;
            return true;
        }
    }
    return false;
}

/* ---- what was meant ---- */
#define NAME_MAX_BYTES 64

/* Levenshtein's, of texts of at most NAME_MAX_BYTES. */
static size_t distance(str a, str b)
{
    size_t row[NAME_MAX_BYTES + 1];

    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            const size_t swapped = diagonal + (a.p[i - 1] != b.p[j - 1]);
            const size_t shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = swapped < shorter ? swapped : shorter;
        }
    }
    return row[b.n];
}

str config_suggestion(arena *a, str name)
{
    str best = STR_NULL;
    size_t least = 4; /* farther is no typing error */

    for (size_t i = 0; i < CONFIG_OPTION_COUNT && name.n <= NAME_MAX_BYTES; i++) {
        const str candidates[] = {str_c(config_options[i].name), section_of(config_options[i].name)};
        for (size_t k = 0; k < COUNT_OF(candidates) && candidates[k].n > 0; k++) {
            const size_t d = distance(name, candidates[k]);
            if (d > 0 && d < least && d < candidates[k].n) {
                least = d;
                best = candidates[k];
            }
        }
    }
    return best.n ? arena_printf(a, "; did you mean " STR_FMT "?", STR_ARG(best)) : STR("");
}

/* ---- one value ---- */
int config_set(config *c, config_id option, const str *texts, size_t n, config_origin from, size_t *bad, str *why)
{
    const config_option *o = &config_options[option];
    const str none = STR("");
    const bool is_none = n == 0 && !o->kind->is_list;
    config_value v = {.c = c, .o = o, .texts = is_none ? &none : texts, .n = is_none ? 1 : n};

    const int r = o->kind->read(&v, config_member(c, option));
    *bad = v.bad;
    if (r == 0)
        c->origin[option] = from;
    else
        *why = v.why;
    return r;
}

/* ---- the sources ---- */
/* For a failure without a text. */
static int no_memory(str *why)
{
    *why = str_c(err_text(-ENOMEM));
    return -ENOMEM;
}

static int load_defaults(config *c, str *why)
{
    size_t bad;
    int r = 0;

    for (unsigned i = 0; i < CONFIG_OPTION_COUNT && r == 0; i++) {
        const str value = str_c(config_options[i].def);
        r = config_options[i].kind->is_tree
                ? config_set_text(c, (config_id)i, value, FROM_DEFAULT, why)
                : config_set(c, (config_id)i, &value, value.n ? 1 : 0, FROM_DEFAULT, &bad, why);
    }
    return r;
}

/* At most n bytes, without stdio, which would keep a copy of what may be secrets. */
static int read_file(const char *path, char *p, size_t n, size_t *ret_n, mode_t *ret_mode)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    size_t have = 0;
    ssize_t got = 1;

    if (fd < 0)
        return -errno;
    while (have < n && (got > 0 || (got < 0 && errno == EINTR))) {
        got = read(fd, p + have, n - have);
        have += got > 0 ? (size_t)got : 0;
    }
    const int r = got < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    (void)close(fd);
    if (r < 0) {
        mem_wipe(p, have);
        return r;
    }
    *ret_n = have;
    *ret_mode = st.st_mode & 0777;
    return 0;
}

int config_file_text(config *c, const char *path, buf *ret_text, str *why)
{
    enum { MOST = 1 << 20 };
    buf text = {.max = MOST + 1}; /* a byte too many tells */
    char *at = buf_reserve(&text, MOST + 1);
    mode_t mode;
    int r = at ? read_file(path, at, MOST + 1, &text.n, &mode) : text.err;

    if (r == 0 && text.n > MOST)
        r = -EFBIG;
    if (r < 0)
        *why = arena_printf(&c->arena, "%s: %s", path, err_text(r));
    *ret_text = text;
    return r;
}

static int load_file(config *c, const char *path, str *why)
{
    buf text;
    int r = config_file_text(c, path, &text, why);

    if (r == 0)
        r = config_read_yaml(c, path, buf_view(&text), why);
    if (text.p)
        mem_wipe(text.p, text.n); /* there may be a token in it */
    buf_done(&text);
    return r;
}

/* HTTP_IDLE_TIMEOUT names http.idle_timeout. `n`: of so many characters of the name. */
static bool spells(str variable, const char *name, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char c = name[i];
        if (i >= variable.n || variable.p[i] != (c == '.' ? '_' : c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c))
            return false;
    }
    return true;
}

void config_warn(config *c, str text)
{
    if (text.p && c->n_warnings < CONFIG_WARNINGS_MAX)
        c->warnings[c->n_warnings++] = text;
}

/* Variables that are no options: all in one warning, for whoever runs containers may have dozens (LARDER_PORT and the
 * like of a service of that name), and these must not push out what else there is to warn of. */
typedef struct strangers {
    buf names;
    size_t n;
} strangers;
#define STRANGERS_SHOWN 8

/* LOGLEVEL may have been meant for log.level. */
static void add_stranger(config *c, strangers *all, str variable)
{
    char name[NAME_MAX_BYTES];
    const str shown = str_head(variable, sizeof(name));

    if (all->n++ >= STRANGERS_SHOWN)
        return;
    for (size_t i = 0; i < shown.n; i++)
        name[i] = (char)(shown.p[i] >= 'A' && shown.p[i] <= 'Z' ? shown.p[i] - 'A' + 'a' : shown.p[i]);
    const str meant = config_suggestion(&c->arena, str_of(name, shown.n));
    buf_printf(&all->names, "%sLARDER_" STR_FMT, all->n > 1 ? ", " : "", STR_ARG(shown));
    if (meant.n > 2) /* without its "; " */
        buf_printf(&all->names, " (" STR_FMT ")", STR_ARG(str_from(meant, 2)));
}

static void warn_of_strangers(config *c, strangers *all)
{
    if (all->n > STRANGERS_SHOWN)
        buf_printf(&all->names, " and %zu more", all->n - STRANGERS_SHOWN);
    if (all->n > 0 && all->names.err == 0)
        config_warn(c, arena_printf(&c->arena, "environment: no such option%s: " STR_FMT, all->n > 1 ? "s" : "",
                                    STR_ARG(buf_view(&all->names))));
    buf_done(&all->names);
}

typedef enum variable_is { NOT_OURS, OF_A_SECTION, AN_OPTION } variable_is;

static variable_is what_is(str variable, config_id *ret_option)
{
    variable_is what = NOT_OURS;

    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const char *name = config_options[i].name;
        const size_t section = section_of(name).n;
        if (variable.n == strlen(name) && spells(variable, name, variable.n)) {
            *ret_option = (config_id)i;
            return AN_OPTION;
        }
        if (section && spells(variable, name, section + 1))
            what = OF_A_SECTION;
    }
    return what;
}

static int load_environment(config *c, char *const *environment, str *why)
{
    strangers all = {.names = BUF_INIT};
    config_id option;
    int r = 0;

    for (size_t i = 0; r == 0 && environment && environment[i]; i++) {
        str value = str_c(environment[i]), name;
        if (!str_starts(value, STR("LARDER_")) || !str_cut(&value, '=', &name))
            continue;
        const variable_is what = what_is(str_from(name, 7), &option);
        if (what == AN_OPTION) {
            r = config_set_text(c, option, value, FROM_ENVIRONMENT, why);
        } else if (what == OF_A_SECTION) {
            *why = STR("there is no such option");
            r = -EINVAL;
        } else {
            add_stranger(c, &all, str_from(name, 7));
        }
        if (r == -EINVAL)
            *why = arena_printf(&c->arena, "environment: " STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(*why));
    }
    warn_of_strangers(c, &all);
    return r;
}

static int load_sets(config *c, const char *const *sets, size_t n, str *why)
{
    config_id option;
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        str value = str_c(sets[i]), name = STR("");
        if (str_chr(value, '=') < 0 || !str_cut(&value, '=', &name)) {
            *why = arena_printf(&c->arena, "%s: not of the form key=value", sets[i]);
            r = -EINVAL;
        } else if (!config_find(name = str_trim(name), &option)) {
            const str meant = config_suggestion(&c->arena, name);
            *why = arena_printf(&c->arena, STR_FMT ": there is no such option" STR_FMT, STR_ARG(name), STR_ARG(meant));
            r = -EINVAL;
        } else {
            r = config_set_text(c, option, value, FROM_SET, why);
        }
        if (r == -EINVAL)
            *why = arena_printf(&c->arena, "--set: " STR_FMT, STR_ARG(*why));
    }
    return r;
}

/* ---- files of secrets ---- */
#define SECRET_FILE_MAX 16384

/* Sets the option from the lines of a file; blank ones don't count. */
static int set_secrets(config *c, config_id option, str text, const char **ret_what, str *why)
{
    const bool is_list = config_options[option].kind->is_list;
    str secrets[CONFIG_LIST_MAX], line;
    size_t n = 0, bad;

    while (str_cut(&text, '\n', &line)) {
        line = str_trim(line);
        if (line.n == 0)
            continue;
        if (n == (is_list ? (size_t)config_options[option].max : 1)) {
            *ret_what = is_list ? "has too many lines" : "has more than one line";
            return -EINVAL;
        }
        secrets[n] = arena_dup(&c->arena, line);
        if (!secrets[n++].p)
            return -ENOMEM;
    }
    if (n == 0) {
        *ret_what = "is empty";
        return -EINVAL;
    }
    const int r = config_set(c, option, secrets, n, FROM_SECRET_FILE, &bad, why);
    *ret_what = r == -EINVAL ? why->p : NULL;
    return r;
}

str config_place(const config *c, config_id option, arena *a)
{
    switch (c->origin[option]) {
    case FROM_FILE:
        return arena_printf(a, "%s:%zu: ", c->file, c->line[option]);
    case FROM_ENVIRONMENT:
        return STR("environment: ");
    case FROM_SET:
        return STR("--set: ");
    case FROM_DEFAULT:
    case FROM_SECRET_FILE:
        break;
    }
    return STR("");
}

static int load_secret_file(config *c, config_id file, config_id option, str *why)
{
    const char *path = ((const str *)config_member(c, file))->p, *name = config_options[file].name, *what = NULL;
    char text[SECRET_FILE_MAX];
    size_t n = 0;
    mode_t mode = 0;

    if (path[0] == '\0')
        return 0;
    int r = read_file(path, text, sizeof(text), &n, &mode);
    if (r == 0 && n == sizeof(text)) {
        what = "too long for a secret";
        r = -EINVAL;
    }
    if (r == 0)
        r = set_secrets(c, option, str_of(text, n), &what, why);
    mem_wipe(text, sizeof(text));
    if (r == 0 && (mode & 077))
        config_warn(c, arena_printf(&c->arena, "%s: %s: others may read it (mode %03o)", name, path, mode));
    if (r < 0)
        *why = arena_printf(&c->arena, STR_FMT "%s: %s: %s", STR_ARG(config_place(c, file, &c->arena)), name, path,
                            what ? what : err_text(r));
    return r < 0 && !why->p ? no_memory(why) : r;
}

#define KEY_BYTES 32

static void warn_of_keys(config *c)
{
    size_t n_short = 0;

    for (size_t i = 0; i < c->recache_auth_key.n; i++)
        n_short += c->recache_auth_key.v[i].n < KEY_BYTES;
    if (n_short > 0)
        config_warn(c, arena_printf(&c->arena, "recache.auth_key: %zu of %zu shorter than %d bytes: easy to guess",
                                    n_short, c->recache_auth_key.n, KEY_BYTES));
    if (c->n_hosts > 0 && c->recache_auth_key.n == 0)
        config_warn(c, STR("recache.auth_key: there is none, so that all that is asked about recache.hosts is a 401"));
}

int config_load_secrets(config *c, str *why)
{
    int r = load_secret_file(c, OPTION_github_token_file, OPTION_github_token, why);

    if (r == 0)
        r = load_secret_file(c, OPTION_recache_auth_key_file, OPTION_recache_auth_key, why);
    if (r == 0)
        warn_of_keys(c);
    return r;
}

static int both_set(config *c, config_id one, config_id other, str *why)
{
    *why = arena_printf(&c->arena, STR_FMT "%s and %s are both set", STR_ARG(config_place(c, other, &c->arena)),
                        config_options[one].name, config_options[other].name);
    return -EINVAL;
}

int config_load(config *c, const config_sources *from, str *why)
{
    memset(c, 0, sizeof(*c));
    arena_init(&c->arena, 0);
    c->file = from->file;
    *why = STR_NULL;
    int r = load_defaults(c, why);
    if (r == 0 && from->file)
        r = load_file(c, from->file, why);
    if (r == 0)
        r = load_environment(c, from->environment, why);
    if (r == 0)
        r = load_sets(c, from->sets, from->n_sets, why);
    if (r == 0 && c->github_token.n && c->github_token_file.n)
        r = both_set(c, OPTION_github_token, OPTION_github_token_file, why);
    if (r == 0 && c->recache_auth_key.n && c->recache_auth_key_file.n)
        r = both_set(c, OPTION_recache_auth_key, OPTION_recache_auth_key_file, why);
    if (r == 0)
        r = config_read_recache(c, from->file, why);
    return r < 0 && !why->p ? no_memory(why) : r;
}

void config_done(config *c)
{
    arena_wipe(&c->arena); /* there are secrets in it, of one option more than once */
    arena_done(&c->arena);
    memset(c, 0, sizeof(*c));
}

/* ---- showing and comparing ---- */
bool config_differs(const config *a, const config *b, config_id option)
{
    return !config_options[option].kind->same(config_member_of(a, option), config_member_of(b, option));
}

void config_show(const config *c, buf *out)
{
    static const char *const ORIGINS[] = {"default", "file", "environment", "--set", "file of secrets"};
    str section = STR("");

    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const config_option *o = &config_options[i];
        const str head = section_of(o->name);
        const bool is_left_out =
            (i == OPTION_github_token && c->github_token.n) || (i == OPTION_recache_auth_key && c->recache_auth_key.n);
        if (head.n && !str_eq(head, section))
            buf_printf(out, STR_FMT ":\n", STR_ARG(head));
        section = head;
        buf_printf(out, "%s%s%s: ", head.n ? "  " : "", is_left_out ? "# " : "", o->name + (head.n ? head.n + 1 : 0));
        o->kind->show(o, config_member_of(c, (config_id)i), out);
        buf_printf(out, "  # %s\n", ORIGINS[c->origin[i]]);
    }
}
