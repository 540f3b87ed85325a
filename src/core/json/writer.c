/* The writer: what may come next is one byte of state, looked at by every call. A call that does not fit sets
 * it to JSON_DUE_NOTHING with levels still open or nothing written, a state that json_finish refuses and no
 * call leaves again. */
#include "larder/json.h"

#include <math.h>

#include "emit.h"
#include "writer.h"

#define MISUSED UINT8_MAX /* depth of a writer that was misused: no object or array ends there */

void json_begin(json *w, buf *out)
{
    *w = (json){.out = out, .due = JSON_DUE_VALUE};
}

int json_finish(json *w)
{
    if (w->out->err != 0)
        return w->out->err;
    return w->due == JSON_DUE_NOTHING && w->depth == 0 ? 0 : -EPROTO;
}

void writer_misuse(json *w)
{
    w->due = JSON_DUE_NOTHING;
    w->depth = MISUSED;
}

static void value_done(json *w)
{
    if (w->depth == 0)
        w->due = JSON_DUE_NOTHING;
    else
        w->due = w->objects & 1 ? JSON_DUE_KEY : JSON_DUE_VALUE;
}

/* Room for a value of up to n bytes, the comma before it written; NULL when none is due, or no memory. */
static inline char *value_room(json *w, size_t n)
{
    if (w->due != JSON_DUE_VALUE) {
        writer_misuse(w);
        return NULL;
    }
    char *out = emit_room(w->out, n + 1);
    if (!out)
        return NULL;
    if (!(w->objects & 1)) { /* in an object the key has written it */
        if (w->filled & 1)
            *out++ = ',';
        w->filled |= 1;
    }
    value_done(w);
    return out;
}

static void open_level(json *w, char bracket, bool is_object)
{
    if (w->depth >= JSON_WRITE_DEPTH) {
        writer_misuse(w);
        return;
    }
    char *out = value_room(w, 1);
    if (!out)
        return;
    *out++ = bracket;
    emit_done(w->out, out);
    w->objects = w->objects << 1 | is_object;
    w->filled <<= 1;
    w->depth++;
    value_done(w);
}

void json_object(json *w)
{
    open_level(w, '{', true);
}

void json_array(json *w)
{
    open_level(w, '[', false);
}

void json_end(json *w)
{
    bool is_object = w->objects & 1;
    if (w->depth == 0 || w->depth == MISUSED || (is_object && w->due != JSON_DUE_KEY)) {
        writer_misuse(w);
        return;
    }
    buf_char(w->out, is_object ? '}' : ']');
    w->objects >>= 1;
    w->filled >>= 1;
    w->depth--;
    value_done(w);
}

/* Room for a key of up to n bytes, the comma before it written; NULL when none is due, or no memory. */
static char *key_room(json *w, size_t n)
{
    if (w->due != JSON_DUE_KEY) {
        writer_misuse(w);
        return NULL;
    }
    char *out = emit_room(w->out, n + 1);
    if (!out)
        return NULL;
    if (w->filled & 1)
        *out++ = ',';
    w->filled |= 1;
    w->due = JSON_DUE_VALUE;
    return out;
}

void json_key(json *w, str key)
{
    char *out = key_room(w, key.n + 5);
    if (!out)
        return;
    out = emit_text_at(w->out, out, key.p ? key : STR(""));
    if (!out)
        return;
    emit_done(w->out, out);
    buf_char(w->out, ':');
}

void json_put_null(json *w)
{
    char *out = value_room(w, 4);
    if (out)
        emit_done(w->out, emit_null(out));
}

void json_put_bool(json *w, bool v)
{
    char *out = value_room(w, 5);
    if (out)
        emit_done(w->out, emit_bool(out, v));
}

void json_put_int(json *w, int64_t v)
{
    char *out = value_room(w, EMIT_INT_MAX);
    if (out)
        emit_done(w->out, emit_i64(out, v));
}

void json_put_real(json *w, double v)
{
    if (!isfinite(v)) {
        writer_misuse(w);
        return;
    }
    char *out = value_room(w, EMIT_REAL_MAX);
    if (out)
        emit_done(w->out, emit_real(out, v));
}

void json_put_str(json *w, str s)
{
    char *out = value_room(w, s.n + 4);
    if (out)
        out = emit_text_at(w->out, out, s);
    if (out)
        emit_done(w->out, out);
}

void json_put_raw(json *w, str json_text)
{
    if (!json_text.p) {
        json_put_null(w);
        return;
    }
    char *out = value_room(w, json_text.n);
    if (out)
        emit_done(w->out, emit_copy(out, json_text.p, json_text.n));
}

/* ---- a value that was read: well-formed by its making, so that only its place is checked ---- */

static void emit_value(buf *b, const json_value *v);

static void emit_array(buf *b, const json_value *array)
{
    size_t n = json_count(array);
    buf_char(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_char(b, ',');
        emit_value(b, json_at(array, i));
    }
    buf_char(b, ']');
}

static void emit_object(buf *b, const json_value *object)
{
    void *it = NULL;
    str key;
    const json_value *value;
    char before = '{';
    while ((it = json_next(object, it, &key, &value))) {
        emit_text(b, before, key);
        before = ',';
        buf_char(b, ':');
        emit_value(b, value);
    }
    buf_str(b, before == '{' ? STR("{}") : STR("}"));
}

static void emit_value(buf *b, const json_value *v)
{
    str text = json_string(v);
    char *out = emit_room(b, text.n + EMIT_REAL_MAX);
    if (!out)
        return;
    switch (json_type_of(v)) {
    case JSON_NULL:
        emit_done(b, emit_null(out));
        break;
    case JSON_BOOL:
        emit_done(b, emit_bool(out, json_bool(v)));
        break;
    case JSON_INT:
        emit_done(b, emit_i64(out, json_int(v)));
        break;
    case JSON_REAL:
        emit_done(b, emit_real(out, json_number(v)));
        break;
    case JSON_STRING:
        out = emit_text_at(b, out, text);
        if (out)
            emit_done(b, out);
        break;
    case JSON_ARRAY:
        emit_array(b, v);
        break;
    case JSON_OBJECT:
        emit_object(b, v);
        break;
    }
}

void json_put_value(json *w, const json_value *v)
{
    char *out = value_room(w, 1);
    if (!out)
        return;
    emit_done(w->out, out);
    emit_value(w->out, v);
}
