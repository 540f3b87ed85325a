/* What config.c and config_yaml.c share. */
#ifndef LARDER_APP_CONFIG_PRIVATE_H
#define LARDER_APP_CONFIG_PRIVATE_H

#include "larder/config.h"

bool config_find(str name, size_t *ret_option);
const char *config_nearest(str name); /* NULL when nothing is near */
/* Values must live in c's arena. -EINVAL with *why ("KEY: ..."), -ENOMEM. */
int config_set(config *c, size_t option, const str *values, size_t n, bool is_list, config_origin origin, str *why);
int config_check(config *c, size_t option, str *why); /* the meaning of a value that was set */
/* `text` read as YAML: a flow list or a scalar. */
int config_set_text(config *c, size_t option, str text, config_origin origin, str *why);
int config_load_yaml(config *c, const char *path, str *why);

#endif
