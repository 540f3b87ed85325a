/* A block goes through libyaml event by event (read_yaml). Where that says no, it is read again line by line
 * (read_lines), which takes less but always ends. Both put what they find in place through the table of keys. */
#include "larder/frontmatter.h"

#include <yaml.h>

#include "larder/json.h"

#define YAML_MAX_DEPTH 16
#define YAML_MAX_EVENTS 10000

/* ---- keys ---- */

typedef struct front_key {
    const char *name;
    unsigned flag; /* FRONT_ bit that its presence sets; or 0 */
    size_t limit;  /* code points of a text; 0: not a text that we keep */
    size_t offset; /* of that text in the struct */
    bool is_tags;
    bool in_metadata; /* also looked for inside `metadata` */
} front_key;

#define TEXT(member, limit_) .limit = (limit_), .offset = offsetof(frontmatter, member)
static const front_key front_keys[] = {
    {"name", TEXT(name, FRONTMATTER_WORD_MAX)},
    {"title", TEXT(title, FRONTMATTER_TITLE_MAX)},
    {"displayName", TEXT(title, FRONTMATTER_TITLE_MAX)},
    {"description", TEXT(description, FRONTMATTER_DESCRIPTION_MAX)},
    {"version", TEXT(version, FRONTMATTER_WORD_MAX), .in_metadata = true},
    {"license", TEXT(license, FRONTMATTER_WORD_MAX), .flag = FRONT_LICENSE},
    {"type", TEXT(type, FRONTMATTER_WORD_MAX)},
    {"tags", .is_tags = true, .in_metadata = true},
    {"keywords", .is_tags = true, .in_metadata = true},
    {"allowed-tools", .flag = FRONT_ALLOWED_TOOLS},
    {"argument-hint", .flag = FRONT_ARGUMENT_HINT},
    {"tools", .flag = FRONT_TOOLS},
    {"disallowedTools", .flag = FRONT_TOOLS},
    {"color", .flag = FRONT_COLOR},
    {"model", .flag = FRONT_MODEL},
    {"permissionMode", .flag = FRONT_PERMISSION_MODE},
    {"metadata", .flag = FRONT_METADATA},
};

static const front_key *find_key(str name)
{
    for (size_t i = 0; i < COUNT_OF(front_keys); i++)
        if (str_eq_nocase(name, str_c(front_keys[i].name)))
            return &front_keys[i];
    return NULL;
}

typedef struct front_reader {
    arena *arena;
    frontmatter *front;
    str *tags; /* room for FRONTMATTER_TAGS_MAX */
} front_reader;

static str *text_of(frontmatter *f, const front_key *k)
{
    return (str *)(void *)((char *)f + k->offset);
}

/* A copy without control characters, cut to so many code points. p NULL: out of memory. */
static str tidy_text(arena *a, str text, size_t limit, bool keeps_lines)
{
    str kept = str_trim(utf8_head(str_trim(text), limit));
    char *p = arena_cstr(a, kept);
    for (size_t i = 0; p && i < kept.n; i++)
        if (((unsigned char)p[i] < 0x20 && !(keeps_lines && p[i] == '\n')) || p[i] == 0x7f)
            p[i] = ' ';
    return str_of(p, p ? kept.n : 0);
}

static int put_text(front_reader *r, const front_key *k, str value)
{
    str text = tidy_text(r->arena, value, k->limit, k->limit == FRONTMATTER_DESCRIPTION_MAX);
    if (!text.p)
        return -ENOMEM;
    if (text.n > 0)
        *text_of(r->front, k) = text;
    return 0;
}

static int add_tag(front_reader *r, str value)
{
    strs *tags = &r->front->tags;
    str tag = tidy_text(r->arena, value, FRONTMATTER_TAG_LEN_MAX, false);
    if (!tag.p)
        return -ENOMEM;
    if (tag.n == 0 || tags->n == FRONTMATTER_TAGS_MAX)
        return 0;
    for (size_t i = 0; i < tags->n; i++)
        if (str_eq(tags->v[i], tag))
            return 0;
    tags->v = r->tags;
    r->tags[tags->n++] = tag;
    return 0;
}

static str unquote(str s)
{
    s = str_trim(s);
    bool quoted = s.n >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.n - 1] == s.p[0];
    return quoted ? str_of(s.p + 1, s.n - 2) : s;
}

/* "a, b" or "[a, 'b']" */
static int add_tag_text(front_reader *r, str text)
{
    text = str_trim(text);
    if (str_starts(text, STR("["))) /* its end may be missing */
        text = str_of(text.p + 1, text.n - (str_ends(text, STR("]")) ? 2 : 1));
    str tag;
    int status = 0;
    while (status == 0 && str_cut(&text, ',', &tag))
        status = add_tag(r, unquote(tag));
    return status;
}

static int put_value(front_reader *r, const front_key *k, str value)
{
    if (k->is_tags)
        return add_tag_text(r, value);
    return k->limit > 0 ? put_text(r, k, value) : 0;
}

/* ---- YAML ---- */

typedef struct yaml_reader {
    front_reader *out;
    yaml_parser_t parser;
    yaml_event_t event; /* the current one; deleted by the next step */
    unsigned events, depth;
} yaml_reader;

static int next_event(yaml_reader *y)
{
    yaml_event_delete(&y->event);
    if (!yaml_parser_parse(&y->parser, &y->event))
        return y->parser.error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL;
    yaml_event_type_t type = y->event.type;
    if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT)
        y->depth++;
    else if (type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT)
        y->depth--;
    if (type == YAML_ALIAS_EVENT || y->depth > YAML_MAX_DEPTH || ++y->events > YAML_MAX_EVENTS)
        return -EINVAL;
    return 0;
}

/* The rest of the node whose first event is the current one. */
static int skip_node(yaml_reader *y)
{
    if (y->event.type != YAML_MAPPING_START_EVENT && y->event.type != YAML_SEQUENCE_START_EVENT)
        return 0;
    unsigned outside = y->depth - 1;
    int r = 0;
    while (r == 0 && y->depth > outside)
        r = next_event(y);
    return r;
}

static str scalar_text(const yaml_event_t *e)
{
    return str_of((const char *)e->data.scalar.value, e->data.scalar.length);
}

static bool is_null(const yaml_event_t *e)
{
    str text = scalar_text(e);
    return e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text.n == 0 || str_eq(text, STR("~")) || str_eq_nocase(text, STR("null")));
}

static int read_tags(yaml_reader *y)
{
    for (;;) {
        int r = next_event(y);
        if (r < 0 || y->event.type == YAML_SEQUENCE_END_EVENT)
            return r;
        r = y->event.type == YAML_SCALAR_EVENT ? add_tag(y->out, scalar_text(&y->event)) : skip_node(y);
        if (r < 0)
            return r;
    }
}

/* What stands in `metadata` counts only where the top says nothing. */
static bool is_taken(const yaml_reader *y, const front_key *k, bool in_metadata)
{
    if (!in_metadata)
        return true;
    if (!k->in_metadata)
        return false;
    return k->is_tags ? y->out->front->tags.n == 0 : text_of(y->out->front, k)->n == 0;
}

static int read_mapping(yaml_reader *y, bool in_metadata);

static int read_value(yaml_reader *y, const front_key *k, bool in_metadata)
{
    if (!k || !is_taken(y, k, in_metadata))
        return skip_node(y);
    if (!in_metadata)
        y->out->front->keys |= k->flag;
    switch ((int)y->event.type) {
    case YAML_SCALAR_EVENT:
        return is_null(&y->event) ? 0 : put_value(y->out, k, scalar_text(&y->event));
    case YAML_SEQUENCE_START_EVENT:
        return k->is_tags ? read_tags(y) : skip_node(y);
    case YAML_MAPPING_START_EVENT:
        return k->flag == FRONT_METADATA ? read_mapping(y, true) : skip_node(y);
    default:
        return -EINVAL;
    }
}

/* Behind MAPPING_START, to its end. */
static int read_mapping(yaml_reader *y, bool in_metadata)
{
    for (;;) {
        int r = next_event(y);
        if (r < 0 || y->event.type == YAML_MAPPING_END_EVENT)
            return r;
        const front_key *k = NULL;
        if (y->event.type == YAML_SCALAR_EVENT)
            k = find_key(scalar_text(&y->event));
        r = skip_node(y);
        if (r == 0)
            r = next_event(y);
        if (r == 0)
            r = read_value(y, k, in_metadata);
        if (r < 0)
            return r;
    }
}

static int read_yaml(front_reader *out, str block)
{
    yaml_reader y = {.out = out};
    if (!yaml_parser_initialize(&y.parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&y.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&y.parser, (const unsigned char *)block.p, block.n);

    int r = 0;
    do
        r = next_event(&y);
    while (r == 0 && (y.event.type == YAML_STREAM_START_EVENT || y.event.type == YAML_DOCUMENT_START_EVENT));
    if (r == 0 && y.event.type == YAML_MAPPING_START_EVENT)
        r = read_mapping(&y, false);
    while (r == 0 && y.event.type != YAML_STREAM_END_EVENT)
        r = next_event(&y);

    yaml_event_delete(&y.event);
    yaml_parser_delete(&y.parser);
    return r;
}

/* ---- line by line ---- */

/* "|", ">-" and the like: the text stands in the lines below. */
static bool is_block_header(str value)
{
    if (value.n == 0 || value.n > 3 || (value.p[0] != '|' && value.p[0] != '>'))
        return false;
    for (size_t i = 1; i < value.n; i++)
        if (value.p[i] != '-' && value.p[i] != '+' && (value.p[i] < '1' || value.p[i] > '9'))
            return false;
    return true;
}

/* The lines from *rest that are indented, or list items, belong to the key above. */
static void take_continuation(str *rest, bool keeps_lines, buf *value)
{
    str ahead = *rest, line;
    while (str_cut(&ahead, '\n', &line)) {
        str text = str_trim(line);
        bool is_item = str_starts(line, STR("- "));
        if (text.n > 0 && line.p[0] != ' ' && line.p[0] != '\t' && !is_item)
            return;
        if (text.n > 0 && value->n > 0)
            buf_char(value, keeps_lines ? '\n' : ' ');
        buf_str(value, text);
        *rest = ahead;
    }
}

/* A whole list or map, or one whose end is missing: no text. "[WIP] so and so" is one. */
static bool is_collection(str value)
{
    const char closing = value.n == 0 ? 0 : value.p[0] == '[' ? ']' : value.p[0] == '{' ? '}' : 0;
    const ptrdiff_t end = closing ? str_rchr(value, closing) : 0;

    return closing && (end < 0 || (size_t)end == value.n - 1);
}

static bool is_alias(str value)
{
    return str_starts(value, STR("*")) && str_chr(value, ' ') < 0 && str_rchr(value, '*') == 0;
}

/* What a person would read there: without its quotes, of which one may be missing. Null: nothing to be read. */
static str readable(str value)
{
    if (is_collection(value) || is_block_header(value) || is_alias(value))
        return STR_NULL;
    const str text = unquote(value);
    const bool is_open = text.n == value.n && text.n > 0 && (text.p[0] == '"' || text.p[0] == '\'') &&
                         str_chr(str_from(text, 1), text.p[0]) < 0;
    return is_open ? str_from(text, 1) : text;
}

static int put_lines(front_reader *r, const front_key *k, str value)
{
    if (!k->is_tags)
        return put_value(r, k, readable(value));
    if (!str_starts(value, STR("- ")))
        return add_tag_text(r, value);
    str line;
    int status = 0;
    while (status == 0 && str_cut(&value, '\n', &line)) {
        line = str_starts(line, STR("- ")) ? str_from(line, 2) : line;
        status = add_tag(r, unquote(line));
    }
    return status;
}

static int read_line(front_reader *r, str line, str *rest, buf *value)
{
    ptrdiff_t colon = str_chr(line, ':');
    const front_key *k = colon > 0 ? find_key(str_head(line, (size_t)colon)) : NULL;
    if (!k)
        return 0;
    r->front->keys |= k->flag;
    str inline_value = str_trim(str_from(line, (size_t)colon + 1));
    bool is_block = is_block_header(inline_value);
    buf_reset(value);
    if (!is_block)
        buf_str(value, inline_value);
    take_continuation(rest, k->is_tags || (is_block && inline_value.p[0] == '|'), value);
    return value->err < 0 ? value->err : put_lines(r, k, buf_view(value));
}

static int read_lines(front_reader *r, str block)
{
    SCOPED(buf_done)
    buf value = BUF_INIT;
    str line;
    int status = 0;
    while (status == 0 && str_cut(&block, '\n', &line))
        status = read_line(r, line, &block, &value);
    return status;
}

/* ---- the block ---- */

static bool is_fence(str line)
{
    while (line.n > 0 && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t'))
        line.n--;
    return str_eq(line, STR("---"));
}

static int find_block(str text, str *ret_block)
{
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_from(text, 3);
    str line = STR_NULL;
    while (str_cut(&text, '\n', &line) && str_trim(line).n == 0)
        ;
    if (!is_fence(str_trim(line)))
        return -ENOENT;

    const char *start = text.p;
    size_t n = 0;
    while (n <= FRONTMATTER_MAX && str_cut(&text, '\n', &line)) {
        if (is_fence(line)) {
            *ret_block = str_of(start, n);
            return 0;
        }
        n = (size_t)(line.p + line.n - start) + 1;
    }
    return n > FRONTMATTER_MAX ? -EFBIG : -ENOENT;
}

static int reader_init(front_reader *r, arena *a, frontmatter *f)
{
    *f = (frontmatter){0};
    *r = (front_reader){a, f, arena_array(a, str, FRONTMATTER_TAGS_MAX)};
    return r->tags ? 0 : -ENOMEM;
}

static void name_is_title(frontmatter *f)
{
    if (!f->title.p)
        f->title = f->name;
}

int frontmatter_parse(arena *a, str text, frontmatter *ret_front)
{
    str block;
    frontmatter f;
    front_reader reader;
    int r = find_block(text, &block);
    if (r == 0 && !(block = arena_utf8(a, block)).p)
        r = -ENOMEM;
    if (r == 0)
        r = reader_init(&reader, a, &f);
    if (r < 0)
        return r;

    r = read_yaml(&reader, block);
    if (r == -EINVAL) {
        f = (frontmatter){.is_partial = true};
        r = read_lines(&reader, block);
    }
    if (r < 0)
        return r;
    name_is_title(&f);
    *ret_front = f;
    return 0;
}

/* ---- plugin manifests ---- */

static int put_json(front_reader *r, const front_key *k, const json_value *v)
{
    if (json_is(v, JSON_STRING))
        return put_value(r, k, json_string(v));
    if (json_is(v, JSON_OBJECT)) /* an older form: {"type": "MIT", "url": ...} */
        return k->flag == FRONT_LICENSE ? put_value(r, k, json_string(json_get(v, "type"))) : 0;
    int status = 0;
    for (size_t i = 0; status == 0 && k->is_tags && i < json_count(v); i++)
        status = add_tag(r, json_string(json_at(v, i)));
    return status;
}

int frontmatter_parse_plugin(arena *a, str text, frontmatter *ret_front)
{
    const json_value *root, *value;
    frontmatter f;
    front_reader reader;
    if (text.n > FRONTMATTER_MAX)
        return -EFBIG;
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_from(text, 3);
    int r = json_parse(a, text, &root, NULL);
    if (r == 0 && !json_is(root, JSON_OBJECT))
        r = -EINVAL;
    if (r == 0)
        r = reader_init(&reader, a, &f);

    str key;
    for (void *it = NULL; r == 0 && (it = json_next(root, it, &key, &value));) {
        const front_key *k = find_key(key);
        if (!k)
            continue;
        f.keys |= k->flag;
        r = put_json(&reader, k, value);
    }
    if (r < 0)
        return r;
    name_is_title(&f);
    *ret_front = f;
    return 0;
}
