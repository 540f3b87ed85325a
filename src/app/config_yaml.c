/* Finds options in YAML. Events of libyaml are read one by one, so that each error knows its line. */
#include <stdio.h>
#include <yaml.h>

#include "config_private.h"

typedef struct reader {
    config *c;
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    config_origin origin;
    str *why;
    size_t seen[CONFIG_OPTION_COUNT]; /* line each option was given at */
} reader;

static void drop_event(reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
}

static size_t line_of(const reader *r)
{
    return r->event.start_mark.line + 1;
}

static int next(reader *r)
{
    drop_event(r);
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        *r->why = arena_printf(&r->c->arena, "%zu: %s", r->parser.problem_mark.line + 1,
                               r->parser.problem ? r->parser.problem : "this is no YAML");
        return r->parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL;
    }
    r->has_event = true;
    return 0;
}

static int complain(reader *r, const char *text)
{
    *r->why = arena_printf(&r->c->arena, "%zu: %s", line_of(r), text);
    return -EINVAL;
}

static str scalar(reader *r)
{
    return arena_dup(&r->c->arena,
                     str_of((const char *)r->event.data.scalar.value, r->event.data.scalar.length));
}

#define LIST_MAX 256

/* The value that begins with the present event; at_line is where its key stands. */
static int read_value(reader *r, size_t option, size_t at_line)
{
    str values[LIST_MAX];
    size_t n = 0;
    const bool is_list = r->event.type == YAML_SEQUENCE_START_EVENT;
    int err = 0;

    if (!is_list && r->event.type != YAML_SCALAR_EVENT)
        return complain(r, r->event.type == YAML_ALIAS_EVENT ? "aliases are not taken here" : "a value was expected, not a map");
    if (!is_list) {
        values[n++] = scalar(r);
    } else {
        while ((err = next(r)) == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
            if (r->event.type != YAML_SCALAR_EVENT)
                return complain(r, "a plain value was expected in the list");
            if (n == LIST_MAX)
                return complain(r, "the list is too long");
            values[n++] = scalar(r);
        }
    }
    for (size_t i = 0; i < n && err == 0; i++)
        err = values[i].p ? 0 : -ENOMEM;
    if (err == 0)
        err = config_set(r->c, option, values, n, is_list, r->origin, r->why);
    if (err == 0)
        err = config_check(r->c, option, r->why);
    if (err == -EINVAL && at_line && r->why->p && r->why->p[0] && (r->why->p[0] < '0' || r->why->p[0] > '9'))
        *r->why = arena_printf(&r->c->arena, "%zu: " STR_FMT, at_line, STR_ARG(*r->why));
    return err;
}

static bool is_section(str name)
{
    for (size_t i = 0; i < CONFIG_OPTION_COUNT; i++) {
        const str option = str_c(config_options[i].name);
        if (option.n > name.n && str_starts(option, name) && option.p[name.n] == '.')
            return true;
    }
    return false;
}

static int unknown(reader *r, str name)
{
    const char *nearest = config_nearest(name);

    *r->why = arena_printf(&r->c->arena, "%zu: " STR_FMT ": there is no such option%s%s%s", line_of(r), STR_ARG(name),
                           nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
    return -EINVAL;
}

static int read_map(reader *r, str prefix);

static int read_member(reader *r, str name)
{
    const size_t line = line_of(r);
    size_t option;
    int err;

    if (is_section(name)) {
        err = next(r);
        if (err == 0 && r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0)
            return 0; /* an empty section */
        if (err == 0 && r->event.type != YAML_MAPPING_START_EVENT)
            return complain(r, "a map was expected here");
        return err < 0 ? err : read_map(r, name);
    }
    if (!config_find(name, &option))
        return unknown(r, name);
    if (r->seen[option]) {
        *r->why = arena_printf(&r->c->arena, "%zu: " STR_FMT ": given twice, first in line %zu", line, STR_ARG(name),
                               r->seen[option]);
        return -EINVAL;
    }
    r->seen[option] = line;
    err = next(r);
    return err < 0 ? err : read_value(r, option, line);
}

static int read_map(reader *r, str prefix)
{
    int err = 0;

    while (err == 0 && (err = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
        if (r->event.type != YAML_SCALAR_EVENT)
            return complain(r, "an option's name was expected");
        const str name = prefix.n ? arena_printf(&r->c->arena, STR_FMT ".%s", STR_ARG(prefix),
                                                 (const char *)r->event.data.scalar.value)
                                  : scalar(r);
        err = name.p ? read_member(r, name) : -ENOMEM;
    }
    return err;
}

/* One document that is a map, or empty. */
static int read_document(reader *r)
{
    int err;

    while ((err = next(r)) == 0 && r->event.type != YAML_STREAM_END_EVENT) {
        switch (r->event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_MAPPING_START_EVENT:
            err = read_map(r, STR_NULL);
            break;
        case YAML_SCALAR_EVENT:
            if (r->event.data.scalar.length == 0)
                break;
            return complain(r, "a map of options was expected");
        default:
            return complain(r, "a map of options was expected");
        }
        if (err < 0)
            break;
    }
    return err;
}

#define FILE_MAX_BYTES (1u << 20)

static int read_file(const char *path, buf *out)
{
    FILE *f = fopen(path, "re");
    int err = f ? 0 : -errno;

    out->max = FILE_MAX_BYTES;
    while (f && err == 0 && !feof(f)) {
        char *at = buf_reserve(out, 4096);
        if (!at) {
            err = out->err;
            break;
        }
        out->n += fread(at, 1, 4096, f);
        if (ferror(f))
            err = errno ? -errno : -EIO;
    }
    if (f)
        (void)fclose(f);
    return err;
}

int config_load_yaml(config *c, const char *path, str *why)
{
    reader r = {.c = c, .origin = FROM_FILE, .why = why};
    buf text = BUF_INIT;

    int err = read_file(path, &text);
    if (err < 0) {
        *why = arena_printf(&c->arena, "%s: %s", path, err_text(err));
        buf_done(&text);
        return err;
    }
    if (!yaml_parser_initialize(&r.parser)) {
        buf_done(&text);
        return -ENOMEM;
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    err = read_document(&r);
    drop_event(&r);
    yaml_parser_delete(&r.parser);
    buf_done(&text);
    if (err == -EINVAL)
        *why = arena_printf(&c->arena, "%s:" STR_FMT, path, STR_ARG(*why));
    return err;
}

int config_set_text(config *c, size_t option, str text, config_origin origin, str *why)
{
    reader r = {.c = c, .origin = origin, .why = why};
    int err;

    /* Only lists are YAML here: everything else is taken as it stands, with no quoting to think of. */
    if (config_options[option].kind != CONFIG_texts || !str_starts(str_trim(text), STR("["))) {
        const str value = arena_dup(&c->arena, text);
        err = value.p ? config_set(c, option, &value, 1, false, origin, why) : -ENOMEM;
        return err < 0 ? err : config_check(c, option, why);
    }
    if (!yaml_parser_initialize(&r.parser))
        return -ENOMEM;
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p, text.n);
    do
        err = next(&r);
    while (err == 0 && r.event.type != YAML_SEQUENCE_START_EVENT && r.event.type != YAML_STREAM_END_EVENT);
    if (err == 0)
        err = read_value(&r, option, 0);
    if (err == -EINVAL && why->p && why->p[0] >= '0' && why->p[0] <= '9')
        *why = arena_printf(&c->arena, "%s: " STR_FMT, config_options[option].name, STR_ARG(*why));
    drop_event(&r);
    yaml_parser_delete(&r.parser);
    return err;
}
