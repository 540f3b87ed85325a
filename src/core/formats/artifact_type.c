#include "larder/artifact_type.h"

static const str NAMES[ARTIFACT_TYPE_COUNT] = {
    STR_INIT("agent"),     STR_INIT("command"), STR_INIT("composite"),         STR_INIT("context_file"),
    STR_INIT("hook"),      STR_INIT("mcp"),     STR_INIT("progress_template"), STR_INIT("project_config"),
    STR_INIT("rule_file"), STR_INIT("skill"),   STR_INIT("spec_file"),         STR_INIT("workflow"),
};

str artifact_type_name(unsigned number)
{
    return number < ARTIFACT_TYPE_COUNT ? NAMES[number] : STR_NULL;
}

unsigned artifact_type_number(str type)
{
    unsigned n = 0;

    while (n + 1 < ARTIFACT_TYPE_COUNT && !str_eq(type, NAMES[n])) /* what is stored is one of them */
        n++;
    return n;
}

int artifact_type_parse(str text, str *ret_type)
{
    if (str_eq_nocase(text, STR("mcp_server")) || str_eq_nocase(text, STR("mcp-server")))
        text = STR("mcp");
    for (unsigned n = 0; n < ARTIFACT_TYPE_COUNT; n++) {
        if (str_eq_nocase(text, NAMES[n])) {
            *ret_type = NAMES[n];
            return 0;
        }
    }
    return -EINVAL;
}
