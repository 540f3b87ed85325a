/* From a struct to JSON. Every read of the API ends here, so the end of the buffer is kept in a local from field to
 * field, and a field costs one look for room: for its key and, with scalars and texts, its value. What holds other
 * values is written piece by piece, and needs no checks of its own: it is well-formed by its making. */
#include "larder/schema.h"

#include "emit.h"
#include "fields.h"
#include "writer.h"

#define SCALAR_MAX 32 /* at least EMIT_REAL_MAX, EMIT_TIME_MAX, EMIT_INT_MAX and "null" */

/* ---- lists and objects ---- */

/* What is not there is null where null is allowed, else empty. */
static str nothing(const field *f, const void *items, str empty)
{
    return !items && f->flags & NULLABLE ? STR("null") : empty;
}

static void write_strs(const field *f, const strs *v, buf *b)
{
    if (v->n == 0) {
        buf_str(b, nothing(f, v->v, STR("[]")));
        return;
    }
    for (size_t i = 0; i < v->n; i++)
        emit_text(b, i == 0 ? '[' : ',', v->v[i]);
    buf_char(b, ']');
}

static void write_counts(const counts *v, buf *b)
{
    for (size_t i = 0; i < v->n; i++) {
        emit_text(b, i == 0 ? '{' : ',', v->v[i].name);
        char *out = emit_room(b, EMIT_INT_MAX + 1);
        if (!out)
            return;
        *out++ = ':';
        emit_done(b, emit_i64(out, v->v[i].n));
    }
    buf_str(b, v->n == 0 ? STR("{}") : STR("}"));
}

static void write_pairs(const field *f, const pairs *v, buf *b)
{
    if (v->n == 0) {
        buf_str(b, nothing(f, v->v, STR("{}")));
        return;
    }
    for (size_t i = 0; i < v->n; i++) {
        emit_text(b, i == 0 ? '{' : ',', v->v[i].key);
        emit_text(b, ':', v->v[i].value);
    }
    buf_char(b, '}');
}

static void write_rows(const schema *sub, const rows *v, json *w)
{
    json_array(w);
    for (size_t i = 0; i < v->n; i++)
        schema_write(sub, (const char *)v->v + i * sub->size, w);
    json_end(w);
}

/* The value of a field whose key is written. The kinds that schema_write_members writes itself are not among them. */
static void write_composite(const field *f, const void *member, bool is_null, json *w)
{
    switch (f->kind) {
    case FIELD_STRS:
        write_strs(f, member, w->out);
        break;
    case FIELD_COUNTS:
        write_counts(member, w->out);
        break;
    case FIELD_PAIRS:
        write_pairs(f, member, w->out);
        break;
    case FIELD_RAW:
        writer_value_is_due(w);
        json_put_raw(w, *(const str *)member);
        break;
    case FIELD_F64:
        writer_value_is_due(w);
        json_put_real(w, *(const double *)member);
        break;
    case FIELD_ROWS:
        writer_value_is_due(w);
        write_rows(f->sub, member, w);
        break;
    case FIELD_OBJECT:
        writer_value_is_due(w);
        if (is_null)
            json_put_null(w);
        else
            schema_write(f->sub, member, w);
        break;
    default:
        break;
    }
}

/* ---- all fields ---- */

/* Copies up to 32 bytes behind the key too: its pad, to where the value will stand. */
static inline char *write_key(char *at, str quoted)
{
    _Static_assert(sizeof(SCHEMA_PAD) > SCALAR_MAX, "less room behind a key than is read");
    memcpy(at, quoted.p, SCALAR_MAX);
    if (__builtin_expect(quoted.n > SCALAR_MAX, 0))
        memcpy(at, quoted.p, quoted.n);
    return at + quoted.n;
}

/* Room for comma, key and value; longer escapes and composites make their own. */
static inline size_t room_of(const field *f, const void *member)
{
    bool is_text = f->kind == FIELD_STR || f->kind == FIELD_CHOICE;
    return f->quoted.n + SCALAR_MAX + (is_text ? ((const str *)member)->n : 0);
}

void schema_write_members(const schema *s, const void *in, json *w)
{
    if (w->due != JSON_DUE_KEY) {
        writer_misuse(w);
        return;
    }
    const schema_bits *bits = in;
    buf *b = w->out;
    size_t comma = w->filled & 1;
    char *at = emit_room(b, 0);
    const field *const end = s->fields + s->n;
    for (const field *f = s->fields; at && f < end; f++) {
        const void *member = (const char *)in + f->offset;
        if (f->flags & HIDDEN)
            continue;
        size_t room = room_of(f, member);
        if (__builtin_expect((size_t)(b->p + b->cap - at) < room, 0)) {
            emit_done(b, at);
            at = emit_room(b, room);
            if (!at)
                return;
        }
        *at = ',';
        at = write_key(at + comma, f->quoted);
        comma = 1;
        switch (f->kind) {
        case FIELD_BOOL:
            at = emit_bool(at, *(const bool *)member);
            break;
        case FIELD_I64:
            at = emit_i64(at, *(const int64_t *)member);
            break;
        case FIELD_TIME:
            at = emit_time(at, *(const int64_t *)member);
            break;
        case FIELD_STR:
        case FIELD_CHOICE:
            at = emit_text_at(b, at, *(const str *)member);
            break;
        default:
            emit_done(b, at);
            write_composite(f, member, bits->nulls & FIELD_BIT(f - s->fields), w);
            at = w->due == JSON_DUE_KEY ? emit_room(b, 0) : NULL; /* NULL: a value that can't be written */
            break;
        }
    }
    if (!at)
        return;
    emit_done(b, at);
    w->filled |= comma;
}

void schema_write(const schema *s, const void *in, json *w)
{
    json_object(w);
    schema_write_members(s, in, w);
    json_end(w);
}
