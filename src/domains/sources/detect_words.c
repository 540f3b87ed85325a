#include "detect_words.h"

/* ---- types ---- */

#define TYPE_NAME(name, text) {text, sizeof(text) - 1},
static const str type_names[] = {DETECT_TYPES(TYPE_NAME)};

static const struct {
    const char *text;
    detect_type type;
} type_synonyms[] = {
    {"mcp_server", DETECT_MCP},
    {"mcp-server", DETECT_MCP},
};

str detect_type_name(detect_type type)
{
    return type_names[type];
}

bool detect_type_parse(str text, detect_type *ret_type)
{
    for (size_t i = 0; i < COUNT_OF(type_names); i++) {
        if (str_eq_nocase(text, type_names[i])) {
            *ret_type = (detect_type)i;
            return true;
        }
    }
    for (size_t i = 0; i < COUNT_OF(type_synonyms); i++) {
        if (str_eq_nocase(text, str_c(type_synonyms[i].text))) {
            *ret_type = type_synonyms[i].type;
            return true;
        }
    }
    return false;
}

/* ---- directories ---- */

enum { PART_COMMANDS = 1, PART_AGENTS = 2, PART_SKILLS = 4, PART_HOOKS = 8, PART_RULES = 16, PART_MCP = 32 };

/* clang-format off */
static const dir_word dir_words[] = {
    {"skills", DETECT_SKILL, true, PART_SKILLS},
    {"skill", DETECT_SKILL, false, 0},
    {"claude-skills", DETECT_SKILL, false, 0},
    {"commands", DETECT_COMMAND, true, PART_COMMANDS},
    {"command", DETECT_COMMAND, false, 0},
    {"claude-commands", DETECT_COMMAND, false, 0},
    {"agents", DETECT_AGENT, true, PART_AGENTS},
    {"agent", DETECT_AGENT, false, 0},
    {"claude-agents", DETECT_AGENT, false, 0},
    {"mcp", DETECT_MCP, true, PART_MCP},
    {"mcp-servers", DETECT_MCP, true, 0},
    {"servers", DETECT_MCP, true, 0},
    {"hooks", DETECT_HOOK, true, PART_HOOKS},
    {"hook", DETECT_HOOK, false, 0},
    {"claude-hooks", DETECT_HOOK, false, 0},
    {"rules", DETECT_NO_TYPE, false, PART_RULES},
};
/* clang-format on */

const dir_word *detect_dir_word(str name)
{
    for (size_t i = 0; i < COUNT_OF(dir_words); i++)
        if (str_eq_nocase(name, str_c(dir_words[i].name)))
            return &dir_words[i];
    return NULL;
}

/* clang-format off */
static const struct {
    const char *text;
    unsigned hint;
} hint_words[] = {
    {"claude", HINT_ANY},
    {"anthropic", HINT_ANY},
    {"artifacts", HINT_ANY},
    {"skill", 1u << DETECT_SKILL},
    {"command", 1u << DETECT_COMMAND},
    {"agent", 1u << DETECT_AGENT},
    {"mcp", 1u << DETECT_MCP},
    {"servers", 1u << DETECT_MCP},
    {"hook", 1u << DETECT_HOOK},
};
/* clang-format on */

unsigned detect_name_hints(str name)
{
    unsigned hints = 0;
    for (size_t at = 0; at < name.n; at++)
        for (size_t i = 0; i < COUNT_OF(hint_words); i++)
            if (str_starts_nocase(str_from(name, at), str_c(hint_words[i].text)))
                hints |= hint_words[i].hint;
    return hints;
}

static bool is_one_of(str name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(name, str_c(names[i])))
            return true;
    return false;
}

bool detect_is_usual_subdir(str name)
{
    static const char *const usual[] = {"tests", "test", "__tests__", "lib", "dist", "build"};
    return is_one_of(name, usual, COUNT_OF(usual));
}

bool detect_is_plugin_folder(str name)
{
    return str_starts(name, STR(".")) && str_ends_nocase(name, STR("-plugin"));
}

/* ---- files ---- */

/* clang-format off */
static const struct {
    const char *name;
    unsigned bits;
} file_words[] = {
    {"skill.md", HAS_SKILL},
    {"command.md", HAS_COMMAND},
    {"agent.md", HAS_AGENT},
    {"mcp.md", HAS_MCP},
    {"hook.md", HAS_HOOK},
    {"server.json", HAS_MCP_JSON},
    {"hooks.json", HAS_HOOK_JSON},
    {"plugin.json", HAS_PLUGIN_JSON},
    {"composite.json", HAS_COMPOSITE},
    {"composite.md", HAS_COMPOSITE | HAS_LOOSE_MD},
    {"plugin.md", HAS_COMPOSITE | HAS_LOOSE_MD},
    {"readme.md", HAS_PLAIN_DOC},
    {"changelog.md", HAS_PLAIN_DOC},
    {"license.md", HAS_PLAIN_DOC},
    {"contributing.md", HAS_PLAIN_DOC},
    {"claude.md", HAS_PLAIN_DOC},
    {"agents.md", HAS_PLAIN_DOC},
    {"gemini.md", HAS_PLAIN_DOC},
};
/* clang-format on */

static const char *const code_extensions[] = {".md", ".py", ".ts", ".js", ".json", ".yaml", ".yml"};

static bool has_extension(str name, str extension)
{
    return name.n > extension.n && str_ends_nocase(name, extension);
}

unsigned detect_file_bits(str name)
{
    unsigned bits = 0;
    for (size_t i = 0; i < COUNT_OF(file_words); i++)
        if (str_eq_nocase(name, str_c(file_words[i].name)))
            bits = file_words[i].bits;
    for (size_t i = 0; i < COUNT_OF(code_extensions); i++)
        if (has_extension(name, str_c(code_extensions[i])))
            bits |= HAS_CODE;
    if (!has_extension(name, STR(".md")))
        return bits | HAS_OTHER;
    return bits | HAS_MARKDOWN | (bits & (HAS_MD_MANIFEST | HAS_PLAIN_DOC) ? 0 : HAS_LOOSE_MD);
}

detect_type detect_manifest_type(unsigned has)
{
    static const struct {
        unsigned bits;
        detect_type type;
    } order[] = {
        {HAS_SKILL, DETECT_SKILL},
        {HAS_COMMAND, DETECT_COMMAND},
        {HAS_AGENT, DETECT_AGENT},
        {HAS_MCP | HAS_MCP_JSON, DETECT_MCP},
        {HAS_HOOK | HAS_HOOK_JSON, DETECT_HOOK},
    };
    for (size_t i = 0; i < COUNT_OF(order); i++)
        if (has & order[i].bits)
            return order[i].type;
    return DETECT_NO_TYPE;
}

/* Per type, best first. */
static const char *const describing[DETECT_TYPE_COUNT][MANIFEST_RANKS] = {
    [DETECT_SKILL] = {"SKILL.md", "README.md"},
    [DETECT_COMMAND] = {"COMMAND.md", "README.md"},
    [DETECT_AGENT] = {"AGENT.md", "README.md"},
    [DETECT_MCP] = {"MCP.md", "server.json", "README.md", "CLAUDE.md"},
    [DETECT_HOOK] = {"HOOK.md", "hooks.json", "README.md"},
    [DETECT_COMPOSITE] = {".claude-plugin/plugin.json", "plugin.json", "composite.json", "COMPOSITE.md", "PLUGIN.md",
                          "README.md"},
};

unsigned detect_manifest_rank(detect_type type, str name)
{
    for (unsigned i = 0; i < MANIFEST_RANKS && describing[type][i]; i++)
        if (str_eq_nocase(name, str_c(describing[type][i])))
            return MANIFEST_RANKS - i;
    return 0;
}

bool detect_is_describing(str path)
{
    ptrdiff_t slash = str_rchr(path, '/');
    str name = slash < 0 ? path : str_from(path, (size_t)slash + 1);
    return has_extension(name, STR(".md")) ||
           (has_extension(name, STR(".json")) && (detect_file_bits(name) & HAS_JSON_MANIFEST));
}

/* ---- frontmatter: the first row with a key that is there decides ----
 * Commands and skills both have allowed-tools; but a command is called as its file is, and a name beside its
 * description is what skills have. So with a name only an argument-hint makes a command. */

static const struct {
    unsigned keys;
    detect_type type;
} front_words[] = {
    {FRONT_ARGUMENT_HINT, DETECT_COMMAND},
    {FRONT_TOOLS | FRONT_COLOR | FRONT_PERMISSION_MODE, DETECT_AGENT},
    {FRONT_LICENSE | FRONT_METADATA | FRONT_ALLOWED_TOOLS, DETECT_SKILL},
    {FRONT_MODEL, DETECT_AGENT},
};

detect_type detect_front_type(const frontmatter *f)
{
    if (!f || f->name.n == 0 || f->description.n == 0)
        return DETECT_NO_TYPE;
    detect_type declared;
    if (detect_type_parse(f->type, &declared) && declared != DETECT_COMPOSITE)
        return declared;
    for (size_t i = 0; i < COUNT_OF(front_words); i++)
        if (f->keys & front_words[i].keys)
            return front_words[i].type;
    return DETECT_NO_TYPE;
}
