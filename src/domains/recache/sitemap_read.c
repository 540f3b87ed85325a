/* A sitemap's few elements are looked for where they stand; the rest of XML is passed over. */
#include "sitemap.h"

#include <zlib.h>

#include "larder/clock.h"

/* ---- tags ---- */
typedef struct tag {
    str name; /* without a prefix */
    bool closes, is_empty;
} tag;

static bool skip_until(str *rest, str mark)
{
    const ptrdiff_t at = str_find(*rest, mark);

    if (at < 0)
        return false;
    *rest = str_from(*rest, (size_t)at + mark.n);
    return true;
}

/* *ret_before: the text up to the tag. False: there is none any more. */
static bool next_tag(str *rest, tag *ret_tag, str *ret_before)
{
    const char *from = rest->p;
    ptrdiff_t at;

    while ((at = str_chr(*rest, '<')) >= 0) {
        const char *here = rest->p + at;
        *rest = str_from(*rest, (size_t)at);
        if (str_starts(*rest, STR("<!--"))) {
            if (!skip_until(rest, STR("-->")))
                return false;
        } else if (str_starts(*rest, STR("<![CDATA["))) {
            if (!skip_until(rest, STR("]]>")))
                return false;
        } else if (str_starts(*rest, STR("<?")) || str_starts(*rest, STR("<!"))) {
            if (!skip_until(rest, STR(">")))
                return false;
        } else {
            const ptrdiff_t end = str_chr(*rest, '>');
            if (end < 0)
                return false;
            str inside = str_from(str_head(*rest, (size_t)end), 1);
            *ret_before = str_of(from, (size_t)(here - from));
            *rest = str_from(*rest, (size_t)end + 1);
            *ret_tag = (tag){.closes = str_starts(inside, STR("/")), .is_empty = str_ends(inside, STR("/"))};
            inside = str_from(inside, ret_tag->closes);
            size_t n = 0;
            while (n < inside.n && !strchr(" \t\r\n/", inside.p[n]))
                n++;
            ret_tag->name = str_behind_last(str_head(inside, n), ':');
            return true;
        }
    }
    return false;
}

/* ---- text ---- */
static void put_code_point(buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_char(out, (char)c);
    } else if (c < 0x800) {
        buf_char(out, (char)(0xc0 | c >> 6));
        buf_char(out, (char)(0x80 | (c & 63)));
    } else if (c < 0x10000) {
        buf_char(out, (char)(0xe0 | c >> 12));
        buf_char(out, (char)(0x80 | (c >> 6 & 63)));
        buf_char(out, (char)(0x80 | (c & 63)));
    } else {
        buf_char(out, (char)(0xf0 | c >> 18));
        buf_char(out, (char)(0x80 | (c >> 12 & 63)));
        buf_char(out, (char)(0x80 | (c >> 6 & 63)));
        buf_char(out, (char)(0x80 | (c & 63)));
    }
}

static bool parse_code(str digits, uint32_t *ret_code)
{
    const bool is_hex = str_starts_nocase(digits, STR("x"));
    uint32_t c = 0;

    digits = str_from(digits, is_hex);
    for (size_t i = 0; i < digits.n; i++) {
        const char d = digits.p[i];
        const unsigned v = d >= '0' && d <= '9' ? (unsigned)(d - '0') : (unsigned)((d | 32) - 'a') + 10;
        if (v >= (is_hex ? 16u : 10u) || c > 0x10ffff)
            return false;
        c = c * (is_hex ? 16 : 10) + v;
    }
    *ret_code = c;
    return digits.n > 0 && c > 0 && c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000);
}

/* `name` is what stands between & and ; */
static bool put_entity(buf *out, str name)
{
    static const struct {
        str name;
        char c;
    } NAMED[] = {{STR_INIT("amp"), '&'}, {STR_INIT("lt"), '<'}, {STR_INIT("gt"), '>'}, {STR_INIT("quot"), '"'},
                 {STR_INIT("apos"), '\''}};
    uint32_t code;

    for (size_t i = 0; i < COUNT_OF(NAMED); i++) {
        if (str_eq(name, NAMED[i].name)) {
            buf_char(out, NAMED[i].c);
            return true;
        }
    }
    if (!str_starts(name, STR("#")) || !parse_code(str_from(name, 1), &code))
        return false;
    put_code_point(out, code);
    return true;
}

/* What an element's text means: references resolved, CDATA taken as it is. Null: no memory. */
static str text_of(arena *a, str raw)
{
    SCOPED(buf_done) buf out = BUF_INIT;

    raw = str_trim(raw);
    if (str_chr(raw, '&') < 0 && str_chr(raw, '<') < 0)
        return raw;
    while (raw.n > 0) {
        if (str_starts(raw, STR("<![CDATA["))) {
            raw = str_from(raw, 9);
            const ptrdiff_t end = str_find(raw, STR("]]>"));
            buf_str(&out, end < 0 ? raw : str_head(raw, (size_t)end));
            raw = end < 0 ? str_from(raw, raw.n) : str_from(raw, (size_t)end + 3);
            continue;
        }
        const ptrdiff_t end = raw.p[0] == '&' ? str_chr(str_head(raw, 12), ';') : -1;
        if (end > 0 && put_entity(&out, str_of(raw.p + 1, (size_t)end - 1))) {
            raw = str_from(raw, (size_t)end + 1);
        } else {
            buf_char(&out, raw.p[0]);
            raw = str_from(raw, 1);
        }
    }
    return out.err ? STR_NULL : arena_dup(a, str_trim(buf_view(&out)));
}

/* "0.8" -> 800; what is no number between 0 and 1 is the protocol's default. */
static int priority_of(str text)
{
    int value = 0, scale = 1000;

    text = str_trim(text);
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '.' && scale == 1000) {
            scale = 100;
        } else if (text.p[i] >= '0' && text.p[i] <= '9' && i < 8) {
            value += (text.p[i] - '0') * scale;
            scale = scale == 1000 ? 1000 : scale / 10;
        } else {
            return 500;
        }
    }
    return text.n > 0 && value <= 1000 ? value : 500;
}

static int64_t lastmod_of(str text)
{
    char whole[32];
    int64_t ms;

    text = str_trim(text);
    if (text.n == 10) {
        memcpy(whole, text.p, 10);
        memcpy(whole + 10, "T00:00:00Z", 10);
        text = str_of(whole, 20);
    }
    return rfc3339_parse(text, &ms) == 0 && ms > 0 ? ms : 0;
}

/* ---- the whole ---- */
static int add_url(arena *a, sitemap *s, const sitemap_url *u)
{
    if (u->loc.n == 0)
        return 0;
    if (s->n == SITEMAP_URLS_MAX) {
        s->left_out++;
        return 0;
    }
    if ((s->n & (s->n - 1)) == 0) { /* room is doubled when it is full: at powers of two */
        sitemap_url *v = arena_array(a, sitemap_url, s->n ? 2 * s->n : 1);
        if (!v)
            return -ENOMEM;
        if (s->n > 0)
            memcpy(v, s->v, s->n * sizeof(*v));
        s->v = v;
    }
    s->v[s->n++] = *u;
    return 0;
}

static int read_xml(arena *a, str text, sitemap *s)
{
    static const sitemap_url EMPTY = {.priority = 500};
    sitemap_url u = EMPTY;
    bool is_sitemap = false;
    str before;
    tag t;

    while (next_tag(&text, &t, &before)) {
        if (str_eq(t.name, STR("urlset")) || str_eq(t.name, STR("sitemapindex"))) {
            s->is_index = t.name.n == 12;
            s->is_cut = !t.closes && !t.is_empty;
            is_sitemap = true;
        } else if (str_eq(t.name, STR("url")) || str_eq(t.name, STR("sitemap"))) {
            const int r = t.closes ? add_url(a, s, &u) : 0;
            if (r < 0)
                return r;
            u = EMPTY;
        } else if (t.closes && str_eq(t.name, STR("loc")) && u.loc.n == 0) { /* image:loc comes later */
            u.loc = text_of(a, before);
            if (!u.loc.p)
                return -ENOMEM;
        } else if (t.closes && str_eq(t.name, STR("priority"))) {
            u.priority = priority_of(before);
        } else if (t.closes && str_eq(t.name, STR("lastmod"))) {
            u.lastmod = lastmod_of(before);
        }
    }
    return is_sitemap ? 0 : -EINVAL;
}

static int read_lines(arena *a, str text, sitemap *s)
{
    str line;

    while (str_cut(&text, '\n', &line)) {
        const sitemap_url u = {.loc = str_trim(line), .priority = 500};
        if (u.loc.n > 0 && !str_starts_nocase(u.loc, STR("http")))
            return -EINVAL;
        const int r = add_url(a, s, &u);
        if (r < 0)
            return r;
    }
    return s->n > 0 ? 0 : -EINVAL;
}

int sitemap_read(arena *a, str text, sitemap *ret_sitemap)
{
    sitemap s = {0};

    if (str_starts(text, STR("\xef\xbb\xbf")))
        text = str_from(text, 3);
    text = str_trim(text);
    const int r = str_starts(text, STR("<")) ? read_xml(a, text, &s) : read_lines(a, text, &s);
    if (r == 0)
        *ret_sitemap = s;
    return r;
}

#define PRIORITY_MS 59 /* a thousandth of priority; the ms between tell days of age */

int64_t sitemap_due(const sitemap_url *u, int64_t now)
{
    const int64_t days = u->lastmod > 0 && u->lastmod < now ? (now - u->lastmod) / HOURS(24) : PRIORITY_MS;

    return now - (int64_t)u->priority * PRIORITY_MS - (days < PRIORITY_MS ? PRIORITY_MS - 1 - days : 0);
}

/* ---- unpacking ---- */
static int inflate_all(z_stream *z, buf *out)
{
    for (;;) {
        char *room = buf_reserve(out, (size_t)64 << 10);
        if (!room)
            return out->err;
        z->next_out = (unsigned char *)room;
        z->avail_out = 64u << 10;
        const int r = inflate(z, Z_NO_FLUSH);
        out->n += (64u << 10) - z->avail_out;
        if (r == Z_STREAM_END && z->avail_in > 0 && inflateReset(z) == Z_OK)
            continue; /* another member */
        if (r == Z_STREAM_END)
            return 0;
        if (r != Z_OK)
            return r == Z_MEM_ERROR ? -ENOMEM : -EINVAL;
    }
}

int sitemap_unpack(str bytes, buf *out)
{
    z_stream z = {.zalloc = mem_zlib_alloc, .zfree = mem_zlib_free};

    out->max = SITEMAP_BYTES_MAX;
    if (!str_starts(bytes, STR("\x1f\x8b"))) {
        buf_str(out, bytes);
        return out->err;
    }
    if (bytes.n > UINT32_MAX)
        return -EFBIG;
    z.next_in = (unsigned char *)(uintptr_t)bytes.p;
    z.avail_in = (unsigned)bytes.n;
    if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
        return -ENOMEM;
    const int r = inflate_all(&z, out);
    inflateEnd(&z);
    return r;
}
