/* The layouts that projects have, and what of a folder's entries they call an artifact. */
#include "layout.h"

/* clang-format off */
const str profile_names[PROFILE_COUNT] = {
    STR_INIT(".claude"), STR_INIT(".codex"), STR_INIT(".gemini"), STR_INIT(".cursor"),
};

const layout layouts[LAYOUT_COUNT] = {
    {STR_INIT("agents"),   STR_INIT("agent"),   .extension = STR_INIT(".md")},
    {STR_INIT("commands"), STR_INIT("command"), .extension = STR_INIT(".md")},
    {STR_INIT("hooks"),    STR_INIT("hook"),    .extension = STR_INIT(""), .may_be_folders = true},
    {STR_INIT("mcp"),      STR_INIT("mcp"),     .extension = STR_INIT(""), .may_be_folders = true},
    {STR_INIT("skills"),   STR_INIT("skill"),   .may_be_folders = true, .needs_manifest = true},
};

/* Texts about a folder, not artifacts. */
static const str no_artifacts[] = {
    STR_INIT("readme.md"), STR_INIT("changelog.md"), STR_INIT("license.md"), STR_INIT("contributing.md"),
};
/* clang-format on */

str layout_name(const layout *l, const folder_entry *e)
{
    str name = e->name;
    if (name.p[0] == '.' || (e->kind == ENTRY_FOLDER && !l->may_be_folders) ||
        (e->kind == ENTRY_FILE && !l->extension.p))
        return STR_NULL;
    for (size_t i = 0; i < COUNT_OF(no_artifacts); i++)
        if (str_eq_nocase(name, no_artifacts[i]))
            return STR_NULL;
    if (e->kind == ENTRY_FOLDER || !l->extension.p)
        return name;
    if (l->extension.n == 0) {
        ptrdiff_t dot = str_rchr(name, '.');
        return dot > 0 ? str_head(name, (size_t)dot) : name;
    }
    return name.n > l->extension.n && str_ends(name, l->extension) ? str_head(name, name.n - l->extension.n) : STR_NULL;
}

str layout_manifest(str type)
{
    static const struct {
        str type, manifest;
    } manifests[] = {
        {STR_INIT("agent"), STR_INIT("AGENT.md")}, {STR_INIT("command"), STR_INIT("COMMAND.md")},
        {STR_INIT("hook"), STR_INIT("HOOK.md")},   {STR_INIT("mcp"), STR_INIT("MCP.md")},
        {STR_INIT("skill"), STR_INIT("SKILL.md")},
    };
    for (size_t i = 0; i < COUNT_OF(manifests); i++)
        if (str_eq(type, manifests[i].type))
            return manifests[i].manifest;
    return STR("README.md");
}
