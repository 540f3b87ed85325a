/* The record codec. Decoding trusts nothing: every length and count is held against the bytes that are left
 * before it is used, so a damaged record costs no more memory than a sound one of its size. */
#include "larder/record.h"

#define VARINT_MAX 10 /* bytes of the longest uint64_t */

/* How every struct of SCHEMA_STRUCT begins. */
typedef struct head {
    uint64_t given, nulls;
} head;

/* ---- writing ---- */

static void put_varint(buf *out, uint64_t v)
{
    char *p = buf_reserve(out, VARINT_MAX);
    if (!p)
        return;
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        p[n++] = (char)(v | 0x80);
    p[n++] = (char)v;
    out->n += n;
}

/* Small numbers of either sign become small: 0, -1, 1, -2 … are 0, 1, 2, 3 … */
static void put_signed(buf *out, int64_t v)
{
    put_varint(out, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static void put_text(buf *out, str s)
{
    put_varint(out, s.p ? s.n + 1 : 0);
    buf_str(out, s);
}

static void put_real(buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    char bytes[8];
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (char)(bits >> 8 * i);
    buf_put(out, bytes, sizeof(bytes));
}

static void put_strs(buf *out, const strs *v)
{
    put_varint(out, v->v ? v->n + 1 : 0);
    for (size_t i = 0; i < v->n; i++)
        put_text(out, v->v[i]);
}

static void put_counts(buf *out, const counts *v)
{
    put_varint(out, v->v ? v->n + 1 : 0);
    for (size_t i = 0; i < v->n; i++) {
        put_text(out, v->v[i].name);
        put_signed(out, v->v[i].n);
    }
}

static void put_pairs(buf *out, const pairs *v)
{
    put_varint(out, v->v ? v->n + 1 : 0);
    for (size_t i = 0; i < v->n; i++) {
        put_text(out, v->v[i].key);
        put_text(out, v->v[i].value);
    }
}

static void put_fields(buf *out, const schema *s, const void *in);

static void put_field(buf *out, const field *f, const void *member, bool is_null)
{
    switch (f->kind) {
    case FIELD_BOOL:
        put_varint(out, *(const bool *)member);
        break;
    case FIELD_I64:
    case FIELD_TIME:
        put_signed(out, *(const int64_t *)member);
        break;
    case FIELD_F64:
        put_real(out, *(const double *)member);
        break;
    case FIELD_STR:
    case FIELD_CHOICE:
    case FIELD_RAW:
        put_text(out, *(const str *)member);
        break;
    case FIELD_STRS:
        put_strs(out, member);
        break;
    case FIELD_COUNTS:
        put_counts(out, member);
        break;
    case FIELD_PAIRS:
        put_pairs(out, member);
        break;
    case FIELD_OBJECT:
        put_varint(out, is_null ? 0 : f->sub->n + 1);
        if (!is_null)
            put_fields(out, f->sub, member);
        break;
    case FIELD_ROWS:
        break;
    }
}

static void put_fields(buf *out, const schema *s, const void *in)
{
    const head *h = in;
    for (size_t i = 0; i < s->n; i++)
        put_field(out, &s->fields[i], (const char *)in + s->fields[i].offset, h->nulls >> i & 1);
}

void record_encode(const schema *s, const void *in, buf *out)
{
    buf_char(out, RECORD_VERSION);
    put_varint(out, s->n);
    put_fields(out, s, in);
}

/* ---- reading: each take_ cuts what it reads off the front of `rest` ---- */

typedef struct reading {
    arena *a;
    const unsigned char *at, *end;
} reading;

static size_t left(const reading *rd)
{
    return (size_t)(rd->end - rd->at);
}

static int take_long_varint(reading *rd, uint64_t *ret_v)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 7 * VARINT_MAX && rd->at < rd->end; shift += 7) {
        uint64_t low = *rd->at & 0x7f;
        if (low << shift >> shift != low)
            return -EPROTO;
        v |= low << shift;
        if (*rd->at++ < 0x80) {
            *ret_v = v;
            return 0;
        }
    }
    return -EPROTO;
}

static inline int take_varint(reading *rd, uint64_t *ret_v)
{
    if (rd->at < rd->end && *rd->at < 0x80) { /* most are that small */
        *ret_v = *rd->at++;
        return 0;
    }
    return take_long_varint(rd, ret_v);
}

static int take_signed(reading *rd, int64_t *ret_v)
{
    uint64_t v;
    int r = take_varint(rd, &v);
    if (r == 0)
        *ret_v = (int64_t)(v >> 1 ^ (0 - (v & 1)));
    return r;
}

static int take_bool(reading *rd, bool *ret_v)
{
    uint64_t v;
    int r = take_varint(rd, &v);
    if (r < 0 || v > 1)
        return -EPROTO;
    *ret_v = v;
    return 0;
}

static int take_real(reading *rd, double *ret_v)
{
    uint64_t bits = 0;
    if (left(rd) < sizeof(bits))
        return -EPROTO;
    for (unsigned i = 0; i < sizeof(bits); i++)
        bits |= (uint64_t)*rd->at++ << 8 * i;
    memcpy(ret_v, &bits, sizeof(bits));
    return 0;
}

/* A null text leaves *ret_s as it is: the zeroed struct's. */
static int take_text(reading *rd, str *ret_s)
{
    uint64_t n;
    int r = take_varint(rd, &n);
    if (r < 0 || n == 0)
        return r;
    if (--n > left(rd))
        return -EPROTO;
    *ret_s = str_of((const char *)rd->at, (size_t)n);
    rd->at += n;
    return 0;
}

/* The array of a list whose elements take at least `least` bytes each; *ret_items is NULL for a null list. */
static int take_list(reading *rd, size_t size, size_t least, void **ret_items, size_t *ret_n)
{
    uint64_t n;
    int r = take_varint(rd, &n);
    if (r < 0)
        return r;
    *ret_items = NULL;
    *ret_n = 0;
    if (n == 0)
        return 0;
    if (--n > left(rd) / least)
        return -EPROTO;
    void *items = arena_calloc(rd->a, (size_t)n, size);
    if (!items)
        return -ENOMEM;
    *ret_items = items;
    *ret_n = (size_t)n;
    return 0;
}

static int take_strs(reading *rd, strs *ret_v)
{
    void *block;
    size_t n;
    int r = take_list(rd, sizeof(str), 1, &block, &n);
    if (r < 0)
        return r;
    str *items = block;
    for (size_t i = 0; i < n && r == 0; i++)
        r = take_text(rd, &items[i]);
    *ret_v = (strs){items, n};
    return r;
}

static int take_counts(reading *rd, counts *ret_v)
{
    void *block;
    size_t n;
    int r = take_list(rd, sizeof(count_of), 2, &block, &n);
    if (r < 0)
        return r;
    count_of *items = block;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = take_text(rd, &items[i].name);
        if (r == 0)
            r = take_signed(rd, &items[i].n);
    }
    *ret_v = (counts){items, n};
    return r;
}

static int take_pairs(reading *rd, pairs *ret_v)
{
    void *block;
    size_t n;
    int r = take_list(rd, sizeof(pair), 2, &block, &n);
    if (r < 0)
        return r;
    pair *items = block;
    for (size_t i = 0; i < n && r == 0; i++) {
        r = take_text(rd, &items[i].key);
        if (r == 0)
            r = take_text(rd, &items[i].value);
    }
    *ret_v = (pairs){items, n};
    return r;
}

static int take_fields(reading *rd, const schema *s, uint64_t n, void *out);

static int take_object(reading *rd, const field *f, void *member, bool *ret_null)
{
    uint64_t n;
    int r = take_varint(rd, &n);
    if (r < 0)
        return r;
    *ret_null = n == 0;
    return n == 0 ? 0 : take_fields(rd, f->sub, n - 1, member);
}

static int take_field(reading *rd, const field *f, void *member, bool *ret_null)
{
    switch (f->kind) {
    case FIELD_BOOL:
        return take_bool(rd, member);
    case FIELD_I64:
    case FIELD_TIME:
        return take_signed(rd, member);
    case FIELD_F64:
        return take_real(rd, member);
    case FIELD_STR:
    case FIELD_CHOICE:
    case FIELD_RAW:
        return take_text(rd, member);
    case FIELD_STRS:
        return take_strs(rd, member);
    case FIELD_COUNTS:
        return take_counts(rd, member);
    case FIELD_PAIRS:
        return take_pairs(rd, member);
    case FIELD_OBJECT:
        return take_object(rd, f, member, ret_null);
    case FIELD_ROWS:
        break;
    }
    return 0;
}

static int take_fields(reading *rd, const schema *s, uint64_t n, void *out)
{
    if (n > s->n)
        return -EPROTO;
    head *h = out;
    for (size_t i = 0; i < n; i++) {
        bool is_null = false;
        int r = take_field(rd, &s->fields[i], (char *)out + s->fields[i].offset, &is_null);
        if (r < 0)
            return r;
        *(is_null ? &h->nulls : &h->given) |= UINT64_C(1) << i;
    }
    return 0;
}

int record_decode(const schema *s, arena *a, str bytes, void *out)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    uint64_t n;
    if (bytes.n == 0 || p[0] != RECORD_VERSION)
        return -EPROTO;
    reading rd = {a, p + 1, p + bytes.n};
    int r = take_varint(&rd, &n);
    if (r == 0)
        r = take_fields(&rd, s, n, out);
    if (r == 0 && left(&rd) > 0)
        r = -EPROTO;
    return r;
}
