/* What the parts of config share: config.c (the sources), config_kinds.c (what a text means), config_yaml.c (files). */
#ifndef LARDER_APP_CONFIG_PRIVATE_H
#define LARDER_APP_CONFIG_PRIVATE_H

#include "larder/config.h"

#define CONFIG_LIST_MAX 256 /* elements of any list */

/* A value on its way in. */
typedef struct config_value {
    config *c;
    const config_option *o;
    const str *texts; /* in c's arena */
    size_t n;         /* 1 where the option is no list */
    size_t bad;       /* out, on -EINVAL: which of the texts is wrong, and why ("KEY: ...") */
    str why;
} config_value;

/* `member` points to the kind's C type. */
struct config_kind {
    bool is_list;
    int (*read)(config_value *v, void *member);                         /* -EINVAL, -ENOMEM */
    void (*show)(const config_option *o, const void *member, buf *out); /* as YAML */
    bool (*same)(const void *a, const void *b);
    int (*parse)(str text, int64_t *ret_value); /* of numbers, and what else they could have been: "no integer" */
    const char *expected;
};
#define CONFIG_KINDS(X)                                                                                               \
    X(number) X(size) X(span) X(flag) X(choice) X(path) X(url) X(secret) X(addresses) X(networks) X(folders)
#define CONFIG_KIND_DECLARE(name) extern const config_kind config_kind_##name;
CONFIG_KINDS(CONFIG_KIND_DECLARE)
#undef CONFIG_KIND_DECLARE

static inline void *config_member(config *c, config_id option)
{
    return (char *)c + config_options[option].offset;
}
static inline const void *config_member_of(const config *c, config_id option)
{
    return (const char *)c + config_options[option].offset;
}
bool config_find(str name, config_id *ret_option);
/* What was meant by a name that is no option's: "; did you mean http.idle_timeout?", or nothing. In the arena. */
str config_suggestion(arena *a, str name);

/* Sets an option from texts, which must live in c's arena; no text at all is an empty list or an empty text. -EINVAL
 * with *why ("KEY: ...") and the number of the offending text in *bad; -ENOMEM. */
int config_set(config *c, config_id option, const str *texts, size_t n, config_origin from, size_t *bad, str *why);
/* The same from a single text: a list may be written as YAML's "[a, b]". */
int config_set_text(config *c, config_id option, str text, config_origin from, str *why);

/* Sets what a file says: -EINVAL with *why ("NAME:LINE: KEY: ..."), -ENOMEM. */
int config_read_yaml(config *c, const char *name, str text, str *why);

#endif
