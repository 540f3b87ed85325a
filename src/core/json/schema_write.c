/* From a struct to JSON. Every read of the API ends here, so that a field costs one look for room: its key
 * and, for scalars and texts, its value are written into the same piece of the buffer. */
#include "larder/schema.h"

#include "emit.h"
#include "fields.h"
#include "writer.h"

/* Writes  ,"name":  into room for it and n bytes more; NULL when out of memory. */
static inline char *open_member(json *w, const field *f, size_t n)
{
    char *out = emit_room(w->out, f->quoted.n + n + 1);
    if (!out)
        return NULL;
    *out = ',';
    out += w->filled & 1;
    w->filled |= 1;
    return emit_copy(out, f->quoted.p, f->quoted.n);
}

static void write_i64(json *w, const field *f, const int64_t *v)
{
    char *out = open_member(w, f, EMIT_INT_MAX);
    if (out)
        emit_done(w->out, emit_i64(out, *v));
}

static void write_bool(json *w, const field *f, const bool *v)
{
    char *out = open_member(w, f, 5);
    if (out)
        emit_done(w->out, emit_bool(out, *v));
}

static void write_time(json *w, const field *f, const int64_t *v)
{
    char *out = open_member(w, f, EMIT_TIME_MAX);
    if (out)
        emit_done(w->out, emit_time(out, *v));
}

static void write_str(json *w, const field *f, const str *v)
{
    char *out = open_member(w, f, v->n + 4);
    if (!out)
        return;
    if (v->p)
        emit_text_at(w->out, out, *v);
    else
        emit_done(w->out, emit_null(out));
}

/* What is not there is null where null is allowed, else empty. */
static bool is_null_list(const field *f, const void *items)
{
    return !items && f->flags & NULLABLE;
}

static void write_strs(json *w, const field *f, const strs *v)
{
    if (is_null_list(f, v->v)) {
        json_put_null(w);
        return;
    }
    json_array(w);
    for (size_t i = 0; i < v->n; i++)
        json_put_str(w, v->v[i]);
    json_end(w);
}

static void write_counts(json *w, const counts *v)
{
    json_object(w);
    for (size_t i = 0; i < v->n; i++) {
        json_key(w, v->v[i].name);
        json_put_int(w, v->v[i].n);
    }
    json_end(w);
}

static void write_pairs(json *w, const field *f, const pairs *v)
{
    if (is_null_list(f, v->v)) {
        json_put_null(w);
        return;
    }
    json_object(w);
    for (size_t i = 0; i < v->n; i++) {
        json_key(w, v->v[i].key);
        json_put_str(w, v->v[i].value);
    }
    json_end(w);
}

static void write_rows(json *w, const schema *sub, const rows *v)
{
    json_array(w);
    for (size_t i = 0; i < v->n; i++)
        schema_write(sub, (const char *)v->v + i * sub->size, w);
    json_end(w);
}

static void write_composite(json *w, const field *f, const void *member, bool is_null)
{
    json_key_quoted(w, f->quoted);
    switch (f->kind) {
    case FIELD_F64:
        json_put_real(w, *(const double *)member);
        break;
    case FIELD_STRS:
        write_strs(w, f, member);
        break;
    case FIELD_COUNTS:
        write_counts(w, member);
        break;
    case FIELD_PAIRS:
        write_pairs(w, f, member);
        break;
    case FIELD_RAW:
        json_put_raw(w, *(const str *)member);
        break;
    case FIELD_ROWS:
        write_rows(w, f->sub, member);
        break;
    case FIELD_OBJECT:
        if (is_null)
            json_put_null(w);
        else
            schema_write(f->sub, member, w);
        break;
    default: /* write_member's */
        break;
    }
}

static void write_member(json *w, const field *f, const void *member, bool is_null)
{
    switch (f->kind) {
    case FIELD_BOOL:
        write_bool(w, f, member);
        break;
    case FIELD_I64:
        write_i64(w, f, member);
        break;
    case FIELD_TIME:
        write_time(w, f, member);
        break;
    case FIELD_STR:
    case FIELD_CHOICE:
        write_str(w, f, member);
        break;
    default:
        write_composite(w, f, member, is_null);
        break;
    }
}

void schema_write_members(const schema *s, const void *in, json *w)
{
    if (w->due != JSON_DUE_KEY) {
        writer_misuse(w);
        return;
    }
    const schema_bits *bits = in;
    for (size_t i = 0; i < s->n; i++) {
        const field *f = &s->fields[i];
        if (!(f->flags & HIDDEN))
            write_member(w, f, (const char *)in + f->offset, bits->nulls & FIELD_BIT(i));
    }
}

void schema_write(const schema *s, const void *in, json *w)
{
    json_object(w);
    schema_write_members(s, in, w);
    json_end(w);
}
