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
    bool has_commas; /* as one text the list needs neither brackets nor quotes: no element has a comma */
    bool is_tree; /* takes a node as it is, and nothing else */
    int (*read)(config_value *v, void *member);                         /* -EINVAL, -ENOMEM */
    void (*show)(const config_option *o, const void *member, buf *out); /* as YAML */
    bool (*same)(const void *a, const void *b);
    int (*parse)(str text, int64_t *ret_value); /* of numbers, and what else they could have been: "no integer" */
    const char *expected;
};
#define CONFIG_KINDS(X)                                                                                               \
    X(number) X(size) X(span) X(real) X(flag) X(choice) X(text) X(path) X(url) X(secret) X(secrets)                   \
    X(addresses) X(networks) X(folders) X(tree)
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
/* The whole of a file as a tree; its name must live as long as c. Errors as above. */
int config_read_tree(config *c, const char *name, str text, const config_node **ret_node, str *why);

/* config_tree.c: a map's values by their keys, checked. */
typedef enum tree_kind {
    TREE_NUMBER,  /* int64_t */
    TREE_SPAN,    /* int64_t, ms */
    TREE_REAL,    /* double */
    TREE_FLAG,    /* bool */
    TREE_CHOICE,  /* unsigned */
    TREE_TEXT,    /* str */
    TREE_TEXTS,   /* strs: a list, or one text */
    TREE_NUMBERS, /* config_numbers: a list, or one */
    TREE_NODE,    /* const config_node *: a map or list that the caller reads; NULL: absent */
} tree_kind;
typedef struct config_numbers {
    const int64_t *v;
    size_t n;
} config_numbers;
typedef struct tree_field {
    const char *name;
    tree_kind kind;
    size_t offset;
    int64_t min, max;    /* of a number or span, a real, a text's bytes, a list's elements */
    const char *choices; /* "a|b" */
    bool is_required;    /* else what the struct holds already is the default */
} tree_field;
/* -EINVAL with *why ("FILE:LINE: ..."): a key that is no field's, one given twice, a value that does not fit, one
 * that is missing. */
int tree_decode(arena *a, const config_node *map, const tree_field *fields, size_t n, void *out, str *why);
int tree_complain(arena *a, const config_node *at, str *why, const char *format, ...) PRINTF_LIKE(4, 5);

/* A decimal number; the text has a NUL behind it, as all of a config have. -EINVAL. */
int config_real(str text, double *ret_value);

/* config_recache.c: what recache.hosts, the files of recache.hosts_include and recache.render_services mean. */
int config_read_recache(config *c, const char *config_file, str *why);
/* In words of its own memory, or null: a warning is not worth a failure. */
void config_warn(config *c, str text);
/* Reads a file of at most 1 MiB. -errno with *why. */
int config_file_text(config *c, const char *path, buf *ret_text, str *why);

#endif
