/* Finds options in YAML: one document that is a map of sections. libyaml's events are read one by one, so that every
 * complaint knows its line. What YAML could do besides (aliases, tags, more documents) is refused. */
#include <yaml.h>

#include "config_private.h"

typedef struct reader {
    config *c;
    const char *file; /* NULL: none */
    str text;
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    config_origin from;
    size_t line; /* of what is complained about */
    str *why;
    size_t seen[CONFIG_OPTION_COUNT];         /* line an option was given in */
    size_t seen_section[CONFIG_OPTION_COUNT]; /* and a section, by its first option */
} reader;

static void drop_event(reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
}

static int complain(reader *r, str name, const char *text)
{
    *r->why = arena_printf(&r->c->arena, STR_FMT "%s%s", STR_ARG(name), name.n ? ": " : "", text);
    return -EINVAL;
}

/* What is no UTF-8 is found before the scanner, which counts lines, gets there. */
static size_t line_of_problem(const reader *r)
{
    size_t line = 1;

    if (r->parser.error != YAML_READER_ERROR)
        return r->parser.problem_mark.line + 1;
    for (size_t i = 0; i < r->parser.problem_offset && i < r->text.n; i++)
        line += r->text.p[i] == '\n';
    return line;
}

static int next(reader *r)
{
    drop_event(r);
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        r->line = line_of_problem(r);
        return r->parser.error == YAML_MEMORY_ERROR ? -ENOMEM : complain(r, STR(""), r->parser.problem);
    }
    r->has_event = true;
    r->line = r->event.start_mark.line + 1;
    return 0;
}

/* ---- values ---- */
static str scalar_text(const reader *r)
{
    return str_of((const char *)r->event.data.scalar.value, r->event.data.scalar.length);
}

/* Plain `key:`, `key: ~` and `key: null` say that there is no value. */
static bool is_null(const reader *r)
{
    if (r->event.type != YAML_SCALAR_EVENT || r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    const str text = scalar_text(r);
    return text.n == 0 || str_eq(text, STR("~")) || str_eq_nocase(text, STR("null"));
}

static int take_scalar(reader *r, str name, str *ret_text)
{
    if (r->event.type == YAML_ALIAS_EVENT)
        return complain(r, name, "aliases are not taken here");
    if (r->event.type != YAML_SCALAR_EVENT)
        return complain(r, name,
                        r->event.type == YAML_MAPPING_START_EVENT ? "takes a value, not a map"
                                                                  : "takes a value, not a list");
    if (r->event.data.scalar.tag)
        return complain(r, name, "tags are not taken here");
    const str copy = is_null(r) ? STR("") : arena_dup(&r->c->arena, scalar_text(r));
    if (!copy.p)
        return -ENOMEM;
    *ret_text = copy;
    return 0;
}

/* ---- trees ---- */
#define TREE_DEPTH 8
#define TREE_ITEMS 4096 /* of one list or map */

static int read_node(reader *r, str name, unsigned depth, config_node *ret_node);

/* The elements of the list or map that the present event begins, up to its end. */
static int read_items(reader *r, str name, unsigned depth, config_node *node)
{
    const yaml_event_type_t end = node->shape == CONFIG_MAP ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT;
    config_node *items = NULL;
    size_t n = 0, cap = 0;
    str key = STR_NULL;
    int err;

    while ((err = next(r)) == 0 && r->event.type != end) {
        if (n == TREE_ITEMS || depth == TREE_DEPTH)
            return complain(r, name, depth == TREE_DEPTH ? "is nested too deeply" : "has too many elements");
        if (n == cap) {
            cap = cap ? cap * 2 : 8;
            config_node *more = arena_array(&r->c->arena, config_node, cap);
            if (!more)
                return -ENOMEM;
            if (n)
                memcpy(more, items, n * sizeof(*more));
            items = more;
        }
        if (node->shape == CONFIG_MAP) {
            err = take_scalar(r, name, &key);
            if (err == 0)
                err = next(r);
        }
        if (err == 0)
            err = read_node(r, name, depth + 1, &items[n]);
        if (err < 0)
            break;
        items[n++].key = key;
    }
    node->items = items;
    node->n = n;
    return err;
}

/* The node that begins with the present event. */
static int read_node(reader *r, str name, unsigned depth, config_node *ret_node)
{
    config_node node = {.shape = CONFIG_SCALAR, .file = r->file, .line = r->line};
    int err = 0;

    if (r->event.type == YAML_SEQUENCE_START_EVENT)
        node.shape = CONFIG_LIST;
    else if (r->event.type == YAML_MAPPING_START_EVENT)
        node.shape = CONFIG_MAP;
    err = node.shape == CONFIG_SCALAR ? take_scalar(r, name, &node.text) : read_items(r, name, depth, &node);
    if (err == 0)
        *ret_node = node;
    return err;
}

/* Nothing at all is an empty list. */
static void keep_tree(config *c, config_id option, config_node *node, config_origin from)
{
    if (node->shape == CONFIG_SCALAR && node->text.n == 0)
        node->shape = CONFIG_LIST;
    *(const config_node **)config_member(c, option) = node;
    c->origin[option] = from;
}

static int read_tree(reader *r, config_id option)
{
    config_node *node = arena_new(&r->c->arena, config_node);
    const int err = node ? read_node(r, str_c(config_options[option].name), 0, node) : -ENOMEM;

    if (err < 0)
        return err;
    keep_tree(r->c, option, node, r->from);
    return 0;
}

/* The value that begins with the present event. */
static int read_value(reader *r, config_id option)
{
    const str name = str_c(config_options[option].name);
    if (config_options[option].kind->is_tree)
        return read_tree(r, option);
    const bool is_list = config_options[option].kind->is_list && r->event.type == YAML_SEQUENCE_START_EVENT;
    str texts[CONFIG_LIST_MAX];
    size_t lines[CONFIG_LIST_MAX] = {r->line}, n = 0, bad;
    int err = 0;

    if (!is_list)
        err = take_scalar(r, name, &texts[n++]);
    while (is_list && err == 0 && (err = next(r)) == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
        if (n == CONFIG_LIST_MAX)
            return complain(r, name, "has too many elements");
        lines[n] = r->line;
        err = take_scalar(r, name, &texts[n++]);
    }
    if (err < 0)
        return err;
    if (!is_list && config_options[option].kind->is_list && texts[0].n == 0)
        n = 0;
    err = config_set(r->c, option, texts, n, r->from, &bad, r->why);
    r->c->line[option] = lines[0];
    r->line = lines[bad];
    return err;
}

/* ---- maps ---- */
/* The first option of the section. */
static bool find_section(str name, config_id *ret_first)
{
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const str option = str_c(config_options[i].name);
        if (option.n > name.n && str_starts(option, name) && option.p[name.n] == '.') {
            *ret_first = (config_id)i;
            return true;
        }
    }
    return false;
}

/* A key may come once. */
static int see(reader *r, str name, size_t *seen)
{
    if (*seen) {
        *r->why = arena_printf(&r->c->arena, STR_FMT ": given twice, first in line %zu", STR_ARG(name), *seen);
        return -EINVAL;
    }
    *seen = r->line;
    return 0;
}

static int read_option(reader *r, str name)
{
    config_id option;

    if (!config_find(name, &option)) {
        const str meant = config_suggestion(&r->c->arena, name);
        *r->why =
            arena_printf(&r->c->arena, STR_FMT ": there is no such option" STR_FMT, STR_ARG(name), STR_ARG(meant));
        return -EINVAL;
    }
    int err = see(r, name, &r->seen[option]);
    if (err == 0)
        err = next(r);
    return err < 0 ? err : read_value(r, option);
}

/* The name that the present event begins with. */
static int take_name(reader *r, str section, str *ret_name)
{
    str name;
    int err = r->event.type == YAML_SCALAR_EVENT ? take_scalar(r, section, &name)
                                                 : complain(r, section, "an option's name was expected");
    if (err == 0 && section.n) {
        name = arena_printf(&r->c->arena, STR_FMT "." STR_FMT, STR_ARG(section), STR_ARG(name));
        err = name.p ? 0 : -ENOMEM;
    }
    if (err == 0)
        *ret_name = name;
    return err;
}

static int read_section(reader *r, str section)
{
    str name;
    int err = next(r);

    if (err == 0 && is_null(r))
        return 0; /* an empty one */
    if (err == 0 && r->event.type != YAML_MAPPING_START_EVENT)
        return complain(r, section, "is a section: a map of options was expected");
    while (err == 0 && (err = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
        err = take_name(r, section, &name);
        if (err == 0)
            err = read_option(r, name);
    }
    return err;
}

static int read_map(reader *r)
{
    config_id first;
    str name;
    int err;

    while ((err = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
        err = take_name(r, STR(""), &name);
        if (err == 0 && find_section(name, &first)) {
            err = see(r, name, &r->seen_section[first]);
            if (err == 0)
                err = read_section(r, name);
        } else if (err == 0) {
            err = read_option(r, name);
        }
        if (err < 0)
            break;
    }
    return err;
}

static int read_document(reader *r)
{
    size_t documents = 0;
    int err;

    while ((err = next(r)) == 0 && r->event.type != YAML_STREAM_END_EVENT) {
        if (r->event.type == YAML_STREAM_START_EVENT || r->event.type == YAML_DOCUMENT_END_EVENT)
            continue;
        if (r->event.type == YAML_DOCUMENT_START_EVENT)
            err = documents++ ? complain(r, STR(""), "there is a second document") : 0;
        else if (r->event.type == YAML_MAPPING_START_EVENT)
            err = read_map(r);
        else if (!is_null(r)) /* an empty document is one empty scalar */
            err = complain(r, STR(""), "a map of options was expected");
        if (err < 0)
            break;
    }
    return err;
}

/* ---- from a text ---- */
static int open_reader(reader *r, str text)
{
    if (!yaml_parser_initialize(&r->parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    r->text = text.p ? text : STR("");
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text.p, r->text.n);
    return 0;
}

static void close_reader(reader *r)
{
    drop_event(r);
    yaml_parser_delete(&r->parser);
}

int config_read_yaml(config *c, const char *name, str text, str *why)
{
    reader r = {.c = c, .file = name, .from = FROM_FILE, .why = why};
    int err = open_reader(&r, text);

    if (err < 0)
        return err;
    err = read_document(&r);
    close_reader(&r);
    if (err == -EINVAL)
        *why = arena_printf(&c->arena, "%s:%zu: " STR_FMT, name, r.line, STR_ARG(*why));
    return err;
}

/* The one value of a document, and nothing behind it. */
static int read_only_node(reader *r, str name, config_node *ret_node)
{
    int err;

    do
        err = next(r);
    while (err == 0 && (r->event.type == YAML_STREAM_START_EVENT || r->event.type == YAML_DOCUMENT_START_EVENT));
    if (err == 0 && r->event.type != YAML_STREAM_END_EVENT)
        err = read_node(r, name, 0, ret_node);
    if (err == 0 && r->event.type != YAML_STREAM_END_EVENT)
        err = next(r);
    if (err == 0 && r->event.type == YAML_DOCUMENT_END_EVENT)
        err = next(r);
    if (err == 0 && r->event.type != YAML_STREAM_END_EVENT)
        err = complain(r, name, "something stands behind its value");
    return err;
}

int config_read_tree(config *c, const char *name, str text, const config_node **ret_node, str *why)
{
    reader r = {.c = c, .file = name, .from = FROM_FILE, .why = why};
    config_node *node = arena_new(&c->arena, config_node);
    int err = node ? open_reader(&r, text) : -ENOMEM;

    if (err < 0)
        return err;
    err = read_only_node(&r, STR(""), node);
    close_reader(&r);
    if (err == -EINVAL)
        *why = arena_printf(&c->arena, "%s:%zu: " STR_FMT, name, r.line, STR_ARG(*why));
    else if (err == 0)
        *ret_node = node;
    return err;
}

/* "[a, b]", and nothing behind it. */
static int read_flow_list(reader *r, config_id option)
{
    const str name = str_c(config_options[option].name);
    int err = 0;

    while (err == 0 && (!r->has_event || r->event.type != YAML_SEQUENCE_START_EVENT))
        err = next(r);
    if (err == 0)
        err = read_value(r, option);
    if (err == 0)
        err = next(r);
    if (err == 0 && r->event.type == YAML_DOCUMENT_END_EVENT)
        err = next(r);
    if (err == 0 && r->event.type != YAML_STREAM_END_EVENT)
        err = complain(r, STR(""), "something stands behind the list");
    if (err == -EINVAL && r->why->p && !str_starts(*r->why, name))
        *r->why = arena_printf(&r->c->arena, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(*r->why));
    return err;
}

/* A tree as a text: YAML, which in one line is its flow style. */
static int set_tree_text(config *c, config_id option, str text, config_origin from, str *why)
{
    const str name = str_c(config_options[option].name);
    reader r = {.c = c, .from = from, .why = why};
    config_node *node = arena_new(&c->arena, config_node);
    int err = node ? open_reader(&r, text) : -ENOMEM;

    if (err < 0)
        return err;
    *node = (config_node){.text = STR("")};
    err = read_only_node(&r, name, node);
    close_reader(&r);
    if (err == -EINVAL && !str_starts(*why, name))
        *why = arena_printf(&c->arena, STR_FMT ": " STR_FMT, STR_ARG(name), STR_ARG(*why));
    if (err < 0)
        return err;
    keep_tree(c, option, node, from);
    return 0;
}

/* "a, b" or "[a, b]", where colons and brackets in the elements mean nothing. */
static int set_split(config *c, config_id option, str text, config_origin from, str *why)
{
    str texts[CONFIG_LIST_MAX], rest = text, item;
    size_t n = 0, bad;

    if (str_starts(text, STR("[")) && str_ends(text, STR("]")))
        rest = str_trim(str_of(text.p + 1, text.n - 2));
    while (rest.n > 0 && str_cut(&rest, ',', &item)) {
        if (n == CONFIG_LIST_MAX) {
            *why = arena_printf(&c->arena, "%s: has too many elements", config_options[option].name);
            return -EINVAL;
        }
        texts[n] = arena_dup(&c->arena, str_trim(item));
        if (!texts[n++].p)
            return -ENOMEM;
    }
    return config_set(c, option, texts, n, from, &bad, why);
}

int config_set_text(config *c, config_id option, str text, config_origin from, str *why)
{
    reader r = {.c = c, .from = from, .why = why};
    const bool is_list = config_options[option].kind->is_list;
    size_t bad;

    if (config_options[option].kind->is_tree)
        return set_tree_text(c, option, text, from, why);

    text = text.p ? text : STR("");
    const str value = arena_dup(&c->arena, is_list ? str_trim(text) : text);
    if (!value.p)
        return -ENOMEM;
    const bool is_yaml = is_list && str_starts(value, STR("["));
    const bool has_quotes = str_chr(value, '"') >= 0 || str_chr(value, '\'') >= 0;
    if (config_options[option].kind->has_commas && !(is_yaml && has_quotes))
        return set_split(c, option, value, from, why);
    if (!is_yaml) /* taken as it stands: no quoting to think of */
        return config_set(c, option, &value, is_list && value.n == 0 ? 0 : 1, from, &bad, why);
    int err = open_reader(&r, value);
    if (err < 0)
        return err;
    err = read_flow_list(&r, option);
    close_reader(&r);
    return err;
}
