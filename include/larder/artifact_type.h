/* artifact_type: the kinds of artifacts there are, for all who keep, count or sort them.
 *
 * To add one: a name in ARTIFACT_TYPE_NAMES, in alphabetical order, so that keys with the number sort as those with the
 * name would; and raise emit_version of the keyspaces whose keys hold numbers (entries_ks, artifacts_ks). */
#ifndef LARDER_ARTIFACT_TYPE_H
#define LARDER_ARTIFACT_TYPE_H

#include "larder/base.h"

/* As they are stored and shown. */
#define ARTIFACT_TYPE_NAMES                                                                                       \
    "agent|command|composite|context_file|hook|mcp|progress_template|project_config|rule_file|skill|spec_file|" \
    "workflow"
#define ARTIFACT_TYPE_COUNT 12

unsigned artifact_type_number(str type); /* of one that artifact_type_parse gave */
str artifact_type_name(unsigned number); /* null past the last */
/* In any letter case; "mcp_server" and "mcp-server" mean mcp. -EINVAL for what is no type. The text lives forever. */
int artifact_type_parse(str text, str *ret_type);

#endif
