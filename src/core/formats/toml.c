/* A document is read line by line: a header chooses the table, the other lines put values into it. Texts, numbers and
 * times are toml_scalar.c's. */
#include "toml_private.h"

/* A value with what is needed while the tree grows. */
typedef struct node {
    toml_value value;
    struct node *last;
    size_t count;
    unsigned section; /* the last one that defined it */
    bool is_defined;  /* by a header or a dotted key: not only by a header below it */
    bool is_whole;    /* written as a value, [..] or {..}: nothing may be added */
} node;

int toml_fail(toml_reader *r, const char *why)
{
    r->why = why;
    return -EINVAL;
}

static node *node_of(toml_value *v)
{
    return v ? CONTAINER_OF(v, node, value) : NULL;
}

/* ---- blanks, comments, ends of lines ---- */

static bool take(toml_reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static void skip_blanks(toml_reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t'))
        r->at++;
}

static bool take_newline(toml_reader *r)
{
    const char *at = r->at;
    if (at + 1 < r->end && *at == '\r' && at[1] == '\n')
        at++;
    if (at == r->end || *at != '\n')
        return false;
    r->at = at + 1;
    r->line++;
    return true;
}

static int skip_comment(toml_reader *r)
{
    if (!take(r, '#'))
        return 0;
    for (; r->at < r->end && *r->at != '\n'; r->at++) {
        bool ends_line = *r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n';
        if (toml_is_control(*r->at) && !ends_line)
            return toml_fail(r, "a control character");
    }
    if (r->at[-1] == '\r')
        r->at--;
    return 0;
}

/* Blanks, comments and newlines, as many as there are. */
static int skip_lines(toml_reader *r)
{
    int status = 0;
    do {
        skip_blanks(r);
        status = skip_comment(r);
    } while (status == 0 && take_newline(r));
    return status;
}

static int end_line(toml_reader *r)
{
    skip_blanks(r);
    int status = skip_comment(r);
    if (status == 0 && r->at < r->end && !take_newline(r))
        status = toml_fail(r, "something behind the end of a value or a header");
    return status;
}

/* ---- keys ---- */

typedef struct toml_key {
    str parts[TOML_DEPTH];
    size_t n;
} toml_key;

static bool is_bare(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static int read_key_part(toml_reader *r, str *ret_part)
{
    if (r->at < r->end && (*r->at == '"' || *r->at == '\''))
        return toml_read_text(r, false, ret_part);
    const char *from = r->at;
    while (r->at < r->end && is_bare(*r->at))
        r->at++;
    if (r->at == from)
        return toml_fail(r, "a key is missing");
    *ret_part = str_of(from, (size_t)(r->at - from));
    return 0;
}

/* a . "b" . c, and the blanks behind */
static int read_key(toml_reader *r, toml_key *key)
{
    key->n = 0;
    do {
        if (key->n == TOML_DEPTH)
            return toml_fail(r, "a key has too many parts");
        skip_blanks(r);
        int status = read_key_part(r, &key->parts[key->n++]);
        if (status < 0)
            return status;
        skip_blanks(r);
    } while (take(r, '.'));
    return 0;
}

/* ---- the tree ---- */

static node *find(const node *table, str key)
{
    for (toml_value *v = table->value.first; v; v = v->next)
        if (str_eq(v->key, key))
            return node_of(v);
    return NULL;
}

/* At the end of `parent`; `key` null in arrays. */
static int add(toml_reader *r, node *parent, str key, toml_kind kind, node **ret_node)
{
    if (key.p && parent->count == TOML_MEMBERS_MAX)
        return toml_fail(r, "a table has too many members");
    node *n = arena_new(r->arena, node);
    if (!n)
        return -ENOMEM;
    n->value = (toml_value){.kind = kind, .line = r->line, .key = key};
    if (parent->last)
        parent->last->value.next = &n->value;
    else
        parent->value.first = &n->value;
    parent->last = n;
    parent->count++;
    *ret_node = n;
    return 0;
}

static int twice(toml_reader *r)
{
    return toml_fail(r, "a key is given twice");
}

/* The table that the first n parts of a dotted key lead to. It may be added to what this section, or only a header
 * below it, has made. */
static int open_dotted(toml_reader *r, node *table, const toml_key *key, size_t n, node **ret_table)
{
    for (size_t i = 0; i < n; i++) {
        node *next = find(table, key->parts[i]);
        int status = next ? 0 : add(r, table, key->parts[i], TOML_TABLE, &next);
        if (status < 0)
            return status;
        if (next->value.kind != TOML_TABLE || next->is_whole || (next->is_defined && next->section != r->section))
            return twice(r);
        next->is_defined = true;
        next->section = r->section;
        table = next;
    }
    *ret_table = table;
    return 0;
}

/* The table that holds the header's last part: an array stands for its last element. */
static int open_parents(toml_reader *r, node *table, const toml_key *key, node **ret_table)
{
    for (size_t i = 0; i + 1 < key->n; i++) {
        node *next = find(table, key->parts[i]);
        int status = next ? 0 : add(r, table, key->parts[i], TOML_TABLE, &next);
        if (status < 0)
            return status;
        if (next->is_whole || (next->value.kind != TOML_TABLE && next->value.kind != TOML_ARRAY))
            return twice(r);
        table = next->value.kind == TOML_ARRAY ? next->last : next;
    }
    *ret_table = table;
    return 0;
}

static int open_header(toml_reader *r, node *document, const toml_key *key, bool is_array, node **ret_table)
{
    node *parent = NULL, *found = NULL;
    int status = open_parents(r, document, key, &parent);
    if (status < 0)
        return status;
    str name = key->parts[key->n - 1];
    toml_kind kind = is_array ? TOML_ARRAY : TOML_TABLE;
    found = find(parent, name);
    if (!found)
        status = add(r, parent, name, kind, &found);
    else if (found->value.kind != kind || found->is_whole || (!is_array && found->is_defined))
        status = twice(r);
    if (status == 0 && is_array)
        status = add(r, found, STR_NULL, TOML_TABLE, &found);
    if (status < 0)
        return status;
    found->is_defined = true;
    found->section = r->section;
    *ret_table = found;
    return 0;
}

/* ---- values ---- */

static int read_value(toml_reader *r, node *v);

static int read_array(toml_reader *r, node *array)
{
    array->value.kind = TOML_ARRAY;
    array->is_whole = true;
    for (;;) {
        node *element;
        int status = skip_lines(r);
        if (status < 0 || take(r, ']'))
            return status;
        status = add(r, array, STR_NULL, TOML_STRING, &element);
        if (status == 0)
            status = read_value(r, element);
        if (status == 0)
            status = skip_lines(r);
        if (status < 0)
            return status;
        if (!take(r, ',') && (r->at == r->end || *r->at != ']'))
            return toml_fail(r, "an array has no end");
    }
}

/* key = value, up to the value's end */
static int read_member(toml_reader *r, node *table)
{
    toml_key key;
    node *member;
    int status = read_key(r, &key);
    if (status == 0 && !take(r, '='))
        status = toml_fail(r, "'=' is missing");
    if (status == 0)
        status = open_dotted(r, table, &key, key.n - 1, &table);
    if (status < 0)
        return status;
    if (find(table, key.parts[key.n - 1]))
        return twice(r);
    status = add(r, table, key.parts[key.n - 1], TOML_STRING, &member);
    skip_blanks(r);
    return status < 0 ? status : read_value(r, member);
}

static int read_members(toml_reader *r, node *table)
{
    skip_blanks(r);
    if (take(r, '}'))
        return 0;
    for (;;) {
        int status = read_member(r, table);
        if (status < 0)
            return status;
        skip_blanks(r);
        if (take(r, '}'))
            return 0;
        if (!take(r, ','))
            return toml_fail(r, "an inline table has no end");
    }
}

static int read_inline_table(toml_reader *r, node *table)
{
    unsigned outside = r->section;
    table->value.kind = TOML_TABLE;
    table->is_whole = true;
    r->section = ++r->sections;
    int status = read_members(r, table);
    r->section = outside;
    return status;
}

static int read_value(toml_reader *r, node *v)
{
    if (r->depth == TOML_DEPTH)
        return toml_fail(r, "values are nested too deeply");
    r->depth++;
    int status;
    if (take(r, '['))
        status = read_array(r, v);
    else if (take(r, '{'))
        status = read_inline_table(r, v);
    else
        status = toml_read_scalar(r, &v->value);
    r->depth--;
    return status;
}

/* ---- the document ---- */

static int read_header(toml_reader *r, node *document, node **ret_table)
{
    toml_key key;
    bool is_array = take(r, '[');
    r->section = ++r->sections;
    int status = read_key(r, &key);
    if (status == 0 && !(take(r, ']') && (!is_array || take(r, ']'))))
        status = toml_fail(r, "a header has no end");
    return status < 0 ? status : open_header(r, document, &key, is_array, ret_table);
}

static int read_document(toml_reader *r, node *document)
{
    node *table = document;
    for (;;) {
        int status = skip_lines(r);
        if (status < 0 || r->at == r->end)
            return status;
        status = take(r, '[') ? read_header(r, document, &table) : read_member(r, table);
        if (status == 0)
            status = end_line(r);
        if (status < 0)
            return status;
    }
}

int toml_parse(arena *a, str text, const toml_value **ret_document, str *ret_why)
{
    if (text.n > TOML_MAX)
        return -EFBIG;
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_from(text, 3);
    if (text.n == 0)
        text = STR(""); /* a null text has no end to look at */
    toml_reader r = {.arena = a, .at = text.p, .end = text.p + text.n, .line = 1};
    node *document = arena_new(a, node);
    if (!document)
        return -ENOMEM;
    document->value = (toml_value){.kind = TOML_TABLE, .line = 1};
    int status = utf8_valid(text) ? read_document(&r, document) : toml_fail(&r, "the file is no UTF-8");
    if (status == -EINVAL) {
        str why = arena_printf(a, "line %u: %s", r.line, r.why);
        if (!why.p)
            return -ENOMEM;
        *ret_why = why;
    }
    if (status == 0)
        *ret_document = &document->value;
    return status;
}

const toml_value *toml_get(const toml_value *table, str key)
{
    if (!table || table->kind != TOML_TABLE)
        return NULL;
    const toml_value *v = table->first;
    while (v && !str_eq(v->key, key))
        v = v->next;
    return v;
}
