/* Normalising a URL: cut into its parts, each part rewritten, put together again. The path and the query are looked
 * at decoded, and written anew only where that changes them. Most URLs are spelled as they come out, which a look at
 * them tells: no rule may change what is_normal says yes to. */
#include "larder/recache_url.h"

#include <stdlib.h>

#include "larder/hash.h"

static const str TRACKING[] = {
    STR_INIT("utm_*"), STR_INIT("gclid"), STR_INIT("fbclid"), STR_INIT("msclkid"),
    STR_INIT("_ga"), STR_INIT("_gl"),
    STR_INIT("mc_cid"), STR_INIT("mc_eid"), STR_INIT("_ke"), STR_INIT("ref"), STR_INIT("referrer"),
};
const strs recache_tracking_default = {TRACKING, COUNT_OF(TRACKING)};

typedef struct parts {
    str scheme, user, host, path, query; /* as written; host with its port */
    bool has_user, has_query;            /* has_query: there is a '?' to keep, with nothing behind it */
} parts;

/* ---- characters ---- */
/* 'y': what may stand unescaped in a part, 32 bytes to a line; nothing outside ASCII may (zero here). That is letters,
 * digits and -_.~ everywhere, and beside them in a path $&+,/:;=@ (of one whose spelling is kept also !'()*[]% ),
 * in user information $&+,;= (as written also !'()*:%@ ), in a host !$&'()*+,;=<>" */
static const char SAFE_IN_FORM[256] =
    "................................"
    ".............yy.yyyyyyyyyy......"
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy....y"
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy...y.";
static const char SAFE_IN_PATH[256] =
    "................................"
    "....y.y....yyyyyyyyyyyyyyyyy.y.."
    "yyyyyyyyyyyyyyyyyyyyyyyyyyy....y"
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy...y.";
static const char SAFE_IN_RAW_PATH[256] = /* a spelling that is kept */
    "................................"
    ".y..yyyyyyyyyyyyyyyyyyyyyyyy.y.."
    "yyyyyyyyyyyyyyyyyyyyyyyyyyyy.y.y"
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy...y.";
static const char SAFE_IN_USER[256] =
    "................................"
    "....y.y....yyyy.yyyyyyyyyy.y.y.."
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy....y"
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy...y.";
static const char SAFE_IN_RAW_USER[256] =
    "................................"
    ".y..yyyyyyyyyyy.yyyyyyyyyyyy.y.."
    "yyyyyyyyyyyyyyyyyyyyyyyyyyy....y"
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy...y.";
static const char SAFE_IN_HOST[256] =
    "................................"
    ".yy.y.yyyyyyyyy.yyyyyyyyyy.yyyy."
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy....y"
    ".yyyyyyyyyyyyyyyyyyyyyyyyyy...y.";

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_safe(char c, const char safe[256])
{
    return safe[(unsigned char)c] == 'y';
}

static bool is_made_of(str s, const char safe[256])
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_safe(s.p[i], safe))
            return false;
    return true;
}

static void escape(buf *out, str s, const char safe[256])
{
    static const char HEX[] = "0123456789ABCDEF";

    while (s.n > 0) {
        size_t n = 0;
        while (n < s.n && is_safe(s.p[n], safe))
            n++;
        buf_put(out, s.p, n);
        if (n < s.n) {
            const unsigned char c = (unsigned char)s.p[n++];
            const char escaped[3] = {'%', HEX[c >> 4], HEX[c & 15]};
            buf_put(out, escaped, sizeof(escaped));
        }
        s = str_from(s, n);
    }
}

static void escape_form(buf *out, str s)
{
    for (ptrdiff_t blank; (blank = str_chr(s, ' ')) >= 0; s = str_from(s, (size_t)blank + 1)) {
        escape(out, str_head(s, (size_t)blank), SAFE_IN_FORM);
        buf_char(out, '+');
    }
    escape(out, s, SAFE_IN_FORM);
}

/* No memory is noted in `out`, which counts more than that the text was not decoded. */
static int decode(arena *a, buf *out, str text, str *ret_text)
{
    const int r = percent_decode(a, text, false, ret_text);

    if (r == -ENOMEM)
        out->err = r;
    return r;
}

/* ---- cutting ---- */
static str cut_scheme(str *rest)
{
    for (size_t i = 0; i < rest->n; i++) {
        const char c = rest->p[i];
        if (c == ':' && i > 0) {
            const str scheme = str_head(*rest, i);
            *rest = str_from(*rest, i + 1);
            return scheme;
        }
        if (!is_letter(c) && (i == 0 || !(is_digit(c) || c == '+' || c == '-' || c == '.')))
            break;
    }
    return STR_NULL;
}

static void cut_authority(str authority, parts *p)
{
    const ptrdiff_t at = str_rchr(authority, '@');

    p->has_user = at >= 0;
    p->user = at >= 0 ? str_head(authority, (size_t)at) : STR_NULL;
    p->host = at >= 0 ? str_from(authority, (size_t)at + 1) : authority;
}

static bool has_control(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return true;
    return false;
}

static const char *cut_url(arena *a, buf *out, str text, parts *p)
{
    const ptrdiff_t hash = str_chr(text, '#');
    str rest = hash < 0 ? text : str_head(text, (size_t)hash), unused;

    if (has_control(rest))
        return "it holds a control character";
    if (hash >= 0 && decode(a, out, str_from(text, (size_t)hash + 1), &unused) < 0)
        return "its fragment holds a broken escape";
    p->scheme = cut_scheme(&rest);
    const ptrdiff_t mark = str_chr(rest, '?');
    if (mark >= 0) {
        p->query = str_from(rest, (size_t)mark + 1);
        p->has_query = p->query.n == 0;
        rest = str_head(rest, (size_t)mark);
    }
    if (!str_starts(rest, STR("//")))
        return "it has no host";
    rest = str_from(rest, 2);
    const ptrdiff_t slash = str_chr(rest, '/');
    p->path = slash < 0 ? STR("") : str_from(rest, (size_t)slash);
    cut_authority(slash < 0 ? rest : str_head(rest, (size_t)slash), p);
    return NULL;
}

/* ---- host and user ---- */
static bool port_is_valid(str port)
{
    for (size_t i = 0; i < port.n; i++)
        if (!is_digit(port.p[i]))
            return false;
    return true;
}

static const char *check_host(str host)
{
    const ptrdiff_t colon = str_rchr(host, ':');
    const str name = colon < 0 ? host : str_head(host, (size_t)colon);

    if (name.n == 0 || str_eq(name, STR(".")))
        return "it has no host";
    if (str_starts(host, STR("[")))
        return "its host is an IPv6 address, not a domain";
    if (colon >= 0 && !port_is_valid(str_from(host, (size_t)colon + 1)))
        return "its port is no number";
    for (size_t i = 0; i < name.n; i++) {
        const char c = name.p[i];
        /* only bytes beyond ASCII may be escaped */
        if (c == '%' ? i + 1 < name.n && name.p[i + 1] < '8' : (unsigned char)c < 0x80 && !is_safe(c, SAFE_IN_HOST))
            return "its host holds a character that can't be";
    }
    if (str_chr(name, '.') < 0 && !str_eq(name, STR("localhost")))
        return "its host is no domain";
    return NULL;
}

static const char *put_host(arena *a, buf *out, const parts *p, str scheme, size_t *ret_n)
{
    const size_t from = out->n;
    buf scratch = BUF_INIT;
    str host;

    const char *why = check_host(p->host);
    if (why)
        return why;
    if (decode(a, out, p->host, &host) < 0)
        return "its host holds a broken escape";
    host = str_fold(host, &scratch);
    if (str_ends(host, STR(".")))
        host.n--;
    if ((str_eq(scheme, STR("http")) && str_ends(host, STR(":80"))) ||
        (str_eq(scheme, STR("https")) && str_ends(host, STR(":443"))))
        host.n = (size_t)str_rchr(host, ':');
    const ptrdiff_t colon = str_rchr(host, ':');
    const str name = colon < 0 ? host : str_head(host, (size_t)colon);
    if (name.p && str_chr(name, '.') < 0 && !str_eq(name, STR("localhost"))) /* its only dot was the one at the end */
        why = "its host is no domain";
    escape(out, name, SAFE_IN_HOST);
    *ret_n = out->n - from;
    if (colon >= 0)
        buf_str(out, str_from(host, (size_t)colon));
    if (!host.p)
        out->err = -ENOMEM;
    buf_done(&scratch);
    return why;
}

static const char *put_user(arena *a, buf *out, str user)
{
    const ptrdiff_t colon = str_chr(user, ':');
    str name = colon < 0 ? user : str_head(user, (size_t)colon), password = STR("");

    if (!is_made_of(user, SAFE_IN_RAW_USER) || decode(a, out, name, &name) < 0 ||
        (colon >= 0 && decode(a, out, str_from(user, (size_t)colon + 1), &password) < 0))
        return "its user information is malformed";
    escape(out, name, SAFE_IN_USER);
    if (colon >= 0) {
        buf_char(out, ':');
        escape(out, password, SAFE_IN_USER);
    }
    buf_char(out, '@');
    return NULL;
}

/* ---- path ---- */
/* Slashes collapsed, dots resolved; a slash at the end stays. Null: no memory. */
static str resolve(arena *a, str path)
{
    char *out = arena_alloc(a, path.n + 2);
    const bool is_folder = str_ends(path, STR("/"));
    size_t n = 0;
    str part;

    if (!out)
        return STR_NULL;
    while (str_cut(&path, '/', &part)) {
        if (part.n == 0 || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR(".."))) {
            while (n > 0 && out[--n] != '/') {}
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    if (n == 0 || is_folder)
        out[n++] = '/';
    return str_of(out, n);
}

static const char *put_path(arena *a, buf *out, str raw)
{
    str path;

    if (decode(a, out, raw, &path) < 0)
        return "its path holds a broken escape";
    const str resolved = resolve(a, path);
    if (!resolved.p)
        out->err = -ENOMEM;
    if (str_eq(resolved, path) && is_made_of(raw, SAFE_IN_RAW_PATH))
        buf_str(out, raw);
    else
        escape(out, resolved, SAFE_IN_PATH);
    return NULL;
}

/* ---- query ---- */
static bool glob_nocase(str pattern, str text)
{
    if (pattern.n > 0 && pattern.p[0] != '*' && (text.n == 0 || (pattern.p[0] | 0x20) != (text.p[0] | 0x20)))
        return false; /* most end here: letters of any case are alike, and little else is */
    const ptrdiff_t star = str_chr(pattern, '*');
    if (star < 0)
        return str_eq_nocase(pattern, text);
    if (!str_starts_nocase(text, str_head(pattern, (size_t)star)))
        return false;
    pattern = str_from(pattern, (size_t)star + 1);
    text = str_from(text, (size_t)star);
    for (size_t i = 0; i <= text.n; i++)
        if (glob_nocase(pattern, str_from(text, i)))
            return true;
    return false;
}

static bool is_tracking(strs tracking, str name)
{
    for (size_t i = 0; i < tracking.n; i++)
        if (glob_nocase(tracking.v[i], name))
            return true;
    return false;
}

typedef struct parameter {
    str name, value;
    size_t at;
} parameter;

static int cmp_parameters(const void *a, const void *b)
{
    const parameter *x = a, *y = b;
    const int c = str_cmp(x->name, y->name);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

/* -EINVAL where a pair can't be parsed. -ENOMEM. */
static int parse_query(arena *a, str query, parameter **ret_v, size_t *ret_n)
{
    size_t n = 1;
    int err = 0;
    str part;

    for (size_t i = 0; i < query.n; i++)
        n += query.p[i] == '&';
    parameter *v = arena_array(a, parameter, n);
    if (!v)
        return -ENOMEM;
    for (n = 0; str_cut(&query, '&', &part);) {
        const ptrdiff_t equals = str_chr(part, '=');
        parameter p = {equals < 0 ? part : str_head(part, (size_t)equals), STR(""), n};
        if (part.n == 0)
            continue;
        int r = str_chr(part, ';') >= 0 ? -EINVAL : percent_decode(a, p.name, true, &p.name);
        if (r == 0 && equals >= 0)
            r = percent_decode(a, str_from(part, (size_t)equals + 1), true, &p.value);
        if (r == -ENOMEM)
            return r;
        if (r == 0)
            v[n++] = p;
        else
            err = r;
    }
    qsort(v, n, sizeof(*v), cmp_parameters);
    *ret_v = v;
    *ret_n = n;
    return err;
}

static void put_query(arena *a, buf *out, const parts *p, strs tracking)
{
    parameter *v = NULL;
    size_t n = 0, from = out->n;
    bool first = true;

    if (p->query.n == 0) {
        if (p->has_query)
            buf_char(out, '?');
        return;
    }
    const int r = parse_query(a, p->query, &v, &n);
    if (r == -ENOMEM)
        out->err = r;
    buf_char(out, '?');
    if (r == -EINVAL) {
        buf_str(out, p->query);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_tracking(tracking, v[i].name))
            continue;
        if (!first)
            buf_char(out, '&');
        first = false;
        escape_form(out, v[i].name);
        if (v[i].value.n > 0) {
            buf_char(out, '=');
            escape_form(out, v[i].value);
        }
    }
    if (!out->err && out->n == from + 1)
        out->n = from;
}

/* ---- all of it ---- */
/* Whether this is a host as it comes out: of letters in lower case, digits, dots and '-', with no dot at the end. */
static bool host_is_normal(str name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!((name.p[i] >= 'a' && name.p[i] <= 'z') || is_digit(name.p[i]) || name.p[i] == '.' || name.p[i] == '-'))
            return false;
    return (str_chr(name, '.') >= 0 && !str_ends(name, STR("."))) || str_eq(name, STR("localhost"));
}

static bool path_is_normal(str path)
{
    for (size_t i = 0; i < path.n; i++)
        if (!is_safe(path.p[i], SAFE_IN_PATH) ||
            (path.p[i] == '/' && i + 1 < path.n && (path.p[i + 1] == '/' || path.p[i + 1] == '.')))
            return false;
    return path.n > 0;
}

/* Of names in order, each with a value or without '='; or of nothing. */
static bool query_is_normal(str query, strs tracking)
{
    str part, last = STR("");

    if (str_ends(query, STR("&")))
        return false;
    while (str_cut(&query, '&', &part)) {
        const ptrdiff_t equals = str_chr(part, '=');
        const str name = equals < 0 ? part : str_head(part, (size_t)equals), value = str_from(part, name.n + 1);
        if (name.n == 0 || (equals >= 0 && value.n == 0) || !is_made_of(name, SAFE_IN_FORM) ||
            !is_made_of(value, SAFE_IN_FORM) || str_cmp(last, name) > 0 || is_tracking(tracking, name))
            return false;
        last = name;
    }
    return true;
}

/* False says nothing: what holds an escape or user information, say, isn't looked at. */
static bool is_normal(str text, strs tracking, size_t *ret_host_at, size_t *ret_host_n)
{
    const size_t at = str_starts(text, STR("https://")) ? 8 : 7;
    const ptrdiff_t mark = str_chr(text, '?');
    const str rest = str_from(mark < 0 ? text : str_head(text, (size_t)mark), at);
    const ptrdiff_t slash = str_chr(rest, '/');

    if (slash < 0 || (at == 7 && !str_starts(text, STR("http://"))))
        return false;
    const str host = str_head(rest, (size_t)slash);
    const ptrdiff_t colon = str_chr(host, ':');
    const str name = colon < 0 ? host : str_head(host, (size_t)colon);
    const str port = str_from(host, name.n + 1);
    if (colon >= 0 && (!port_is_valid(port) || str_eq(port, STR("80")) || str_eq(port, STR("443"))))
        return false;
    *ret_host_at = at;
    *ret_host_n = name.n;
    return host_is_normal(name) && path_is_normal(str_from(rest, (size_t)slash)) &&
           (mark < 0 || query_is_normal(str_from(text, (size_t)mark + 1), tracking));
}

static const char *put_url(arena *a, buf *out, const parts *p, strs tracking, size_t *ret_host_at, size_t *ret_host_n)
{
    const str scheme = p->scheme.n ? arena_lower(a, p->scheme) : STR("https");

    if (!scheme.p)
        out->err = -ENOMEM;
    buf_str(out, scheme);
    buf_str(out, STR("://"));
    const char *why = p->has_user ? put_user(a, out, p->user) : NULL;
    *ret_host_at = out->n;
    if (!why)
        why = put_host(a, out, p, scheme, ret_host_n);
    if (!why)
        why = put_path(a, out, p->path);
    if (!why)
        put_query(a, out, p, tracking);
    return why;
}

static int give(arena *a, str normal, size_t host_at, size_t host_n, recache_url *ret_url)
{
    const str whole = arena_dup(a, normal);

    if (!whole.p)
        return -ENOMEM;
    *ret_url = (recache_url){whole, str_of(whole.p + host_at, host_n), hash64(whole.p, whole.n)};
    return 0;
}

int recache_url_parse(arena *a, str text, strs tracking, recache_url *ret_url, str *ret_why)
{
    SCOPED(buf_done) buf out = BUF_INIT;
    size_t host_at = 0, host_n = 0;
    parts p = {0};

    if (text.n > RECACHE_URL_MAX) {
        *ret_why = STR("it is longer than 4096 bytes");
        return -ENAMETOOLONG;
    }
    if (is_normal(text, tracking, &host_at, &host_n))
        return give(a, text, host_at, host_n, ret_url);
    if (str_find(text, STR("://")) < 0 && !str_starts(text, STR("//")))
        text = arena_join(a, STR("https://"), text);
    if (!text.p)
        return -ENOMEM;
    const char *why = cut_url(a, &out, text, &p);
    if (!why)
        why = put_url(a, &out, &p, tracking, &host_at, &host_n);
    if (out.err)
        return out.err;
    if (!why && out.n > RECACHE_URL_MAX)
        why = "it is longer than 4096 bytes when its characters are escaped";
    if (why) {
        *ret_why = str_c(why);
        return -EINVAL;
    }
    return give(a, buf_view(&out), host_at, host_n, ret_url);
}

void recache_hash_text(uint64_t hash, char out[RECACHE_HASH_LEN])
{
    unsigned char bytes[8];

    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(hash >> (56 - 8 * i));
    hex_encode(bytes, sizeof(bytes), out);
}
