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

static void put_fields(buf *out, const schema *s, size_t n, const void *in);

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
            put_fields(out, f->sub, f->sub->n, member);
        break;
    case FIELD_ROWS:
        break;
    }
}

static void put_fields(buf *out, const schema *s, size_t n, const void *in)
{
    const head *h = in;
    for (size_t i = 0; i < n; i++)
        put_field(out, &s->fields[i], (const char *)in + s->fields[i].offset, h->nulls >> i & 1);
}

void record_encode_first(const schema *s, size_t n, const void *in, buf *out)
{
    REQUIRE(n <= s->n);
    buf_char(out, RECORD_VERSION);
    put_varint(out, n);
    put_fields(out, s, n, in);
}

void record_encode(const schema *s, const void *in, buf *out)
{
    record_encode_first(s, s->n, in, out);
}

/* ---- reading: each take_ reads at `at` and returns the place behind, or NULL with rd->err set ---- */

typedef const unsigned char *place;

typedef struct reading {
    arena *a;
    place end;
    int err;
} reading;

static place malformed(reading *rd)
{
    rd->err = -EPROTO;
    return NULL;
}

static place take_long_varint(reading *rd, place at, uint64_t *ret_v)
{
    uint64_t v = 0;
    place end = (size_t)(rd->end - at) > VARINT_MAX ? at + VARINT_MAX : rd->end;
    for (unsigned shift = 0; at < end; shift += 7) {
        uint64_t byte = *at++;
        v |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (shift == 63 && byte > 1) /* past 64 bits */
                break;
            *ret_v = v;
            return at;
        }
    }
    return malformed(rd);
}

static inline place take_varint(reading *rd, place at, uint64_t *ret_v)
{
    if (at < rd->end && *at < 0x80) { /* most are that small */
        *ret_v = *at;
        return at + 1;
    }
    return take_long_varint(rd, at, ret_v);
}

static inline place take_signed(reading *rd, place at, int64_t *ret_v)
{
    uint64_t v;
    at = take_varint(rd, at, &v);
    if (at)
        *ret_v = (int64_t)(v >> 1 ^ (0 - (v & 1)));
    return at;
}

static place take_bool(reading *rd, place at, bool *ret_v)
{
    if (at == rd->end || *at > 1)
        return malformed(rd);
    *ret_v = *at;
    return at + 1;
}

static place take_real(reading *rd, place at, double *ret_v)
{
    uint64_t bits = 0;
    if ((size_t)(rd->end - at) < sizeof(bits))
        return malformed(rd);
    for (unsigned i = 0; i < sizeof(bits); i++)
        bits |= (uint64_t)at[i] << 8 * i;
    memcpy(ret_v, &bits, sizeof(bits));
    return at + sizeof(bits);
}

/* A null text leaves *ret_s as it is: the zeroed struct's. */
static inline place take_text(reading *rd, place at, str *ret_s)
{
    uint64_t n;
    at = take_varint(rd, at, &n);
    if (!at || n == 0)
        return at;
    if (--n > (size_t)(rd->end - at))
        return malformed(rd);
    *ret_s = str_of((const char *)at, (size_t)n);
    return at + n;
}

/* The array of a list whose elements take at least `least` bytes each; *ret_items is NULL for a null list. */
static place take_list(reading *rd, place at, size_t size, size_t least, void **ret_items, size_t *ret_n)
{
    uint64_t n;
    at = take_varint(rd, at, &n);
    if (!at)
        return NULL;
    *ret_items = NULL;
    *ret_n = 0;
    if (n == 0)
        return at;
    if (--n > (size_t)(rd->end - at) / least)
        return malformed(rd);
    void *items = arena_calloc(rd->a, (size_t)n, size);
    if (!items) {
        rd->err = -ENOMEM;
        return NULL;
    }
    *ret_items = items;
    *ret_n = (size_t)n;
    return at;
}

static place take_strs(reading *rd, place at, strs *ret_v)
{
    void *block = NULL;
    size_t n = 0;
    at = take_list(rd, at, sizeof(str), 1, &block, &n);
    str *items = block;
    for (size_t i = 0; at && i < n; i++)
        at = take_text(rd, at, &items[i]);
    *ret_v = (strs){items, n};
    return at;
}

static place take_counts(reading *rd, place at, counts *ret_v)
{
    void *block = NULL;
    size_t n = 0;
    at = take_list(rd, at, sizeof(count_of), 2, &block, &n);
    count_of *items = block;
    for (size_t i = 0; at && i < n; i++) {
        at = take_text(rd, at, &items[i].name);
        if (at)
            at = take_signed(rd, at, &items[i].n);
    }
    *ret_v = (counts){items, n};
    return at;
}

static place take_pairs(reading *rd, place at, pairs *ret_v)
{
    void *block = NULL;
    size_t n = 0;
    at = take_list(rd, at, sizeof(pair), 2, &block, &n);
    pair *items = block;
    for (size_t i = 0; at && i < n; i++) {
        at = take_text(rd, at, &items[i].key);
        if (at)
            at = take_text(rd, at, &items[i].value);
    }
    *ret_v = (pairs){items, n};
    return at;
}

static place take_fields(reading *rd, place at, const schema *s, uint64_t n, void *out);

static place take_object(reading *rd, place at, const field *f, void *member, bool *ret_null)
{
    uint64_t n;
    at = take_varint(rd, at, &n);
    if (!at)
        return NULL;
    *ret_null = n == 0;
    return n == 0 ? at : take_fields(rd, at, f->sub, n - 1, member);
}

static inline place take_field(reading *rd, place at, const field *f, void *member, bool *ret_null)
{
    switch (f->kind) {
    case FIELD_BOOL:
        return take_bool(rd, at, member);
    case FIELD_I64:
    case FIELD_TIME:
        return take_signed(rd, at, member);
    case FIELD_F64:
        return take_real(rd, at, member);
    case FIELD_STR:
    case FIELD_CHOICE:
    case FIELD_RAW:
        return take_text(rd, at, member);
    case FIELD_STRS:
        return take_strs(rd, at, member);
    case FIELD_COUNTS:
        return take_counts(rd, at, member);
    case FIELD_PAIRS:
        return take_pairs(rd, at, member);
    case FIELD_OBJECT:
        return take_object(rd, at, f, member, ret_null);
    case FIELD_ROWS:
        break;
    }
    return at;
}

static place take_fields(reading *rd, place at, const schema *s, uint64_t n, void *out)
{
    if (n > s->n)
        return malformed(rd);
    uint64_t nulls = 0;
    for (size_t i = 0; at && i < n; i++) {
        bool is_null = false;
        at = take_field(rd, at, &s->fields[i], (char *)out + s->fields[i].offset, &is_null);
        nulls |= (uint64_t)is_null << i;
    }
    head *h = out;
    h->nulls = nulls;
    h->given = n == 0 ? 0 : UINT64_MAX >> (64 - n) & ~nulls;
    return at;
}

int record_decode(const schema *s, arena *a, str bytes, void *out)
{
    if (bytes.n == 0 || bytes.p[0] != RECORD_VERSION)
        return -EPROTO;
    reading rd = {a, (place)bytes.p + bytes.n, 0};
    uint64_t n = 0;
    place at = take_varint(&rd, (place)bytes.p + 1, &n);
    if (at)
        at = take_fields(&rd, at, s, n, out);
    if (at && at != rd.end)
        at = malformed(&rd);
    return at ? 0 : rd.err;
}

/* ---- in the store ---- */
int record_load(store_view *v, const keyspace *ks, const schema *s, arena *a, str key, void *out)
{
    str bytes;

    if (key.n == 0 || key.n > STORE_KEY_MAX)
        return -ENOENT;
    const int r = store_get(v, ks, key, &bytes);
    return r < 0 ? r : record_decode(s, a, bytes, out);
}

int record_put(store_txn *t, const keyspace *ks, const schema *s, str key, const void *in)
{
    buf b = BUF_INIT;

    record_encode(s, in, &b);
    const int r = b.err ? b.err : store_put(t, ks, key, buf_view(&b));
    buf_done(&b);
    return r;
}
