/* See url.h. */
#include "url.h"

#include <arpa/inet.h>
#include <ctype.h>

#include "larder/client.h"

static int refuse(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EINVAL;
}

static bool is_hex(char c)
{
    return isxdigit((unsigned char)c) != 0;
}

/* ---- the host ---- */

static bool is_host_byte(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

/* Resolvers take "127.1" and "0x7f.1" for addresses; we don't want to know names that end in a number. */
static bool ends_in_number(str host)
{
    ptrdiff_t dot = str_rchr(host, '.');
    str last = str_from(host, (size_t)(dot + 1));
    if (str_starts(last, STR("0x")))
        return true;
    for (size_t i = 0; i < last.n; i++)
        if (!isdigit((unsigned char)last.p[i]))
            return false;
    return true;
}

static bool labels_are_sound(str host)
{
    str rest = host, label;
    if (host.n == 0 || host.n > URL_HOST_MAX || host.p[host.n - 1] == '.')
        return false;
    while (str_cut(&rest, '.', &label))
        if (label.n == 0 || label.n > 63)
            return false;
    return true;
}

static int take_host(arena *a, str text, url *u, const char **ret_why)
{
    unsigned char address[16];
    char *host = arena_cstr(a, text);
    if (!host)
        return -ENOMEM;
    for (size_t i = 0; i < text.n; i++)
        host[i] = (char)tolower((unsigned char)host[i]);
    u->host = str_of(host, text.n);

    if (u->is_v6)
        return strlen(host) == text.n && inet_pton(AF_INET6, host, address) == 1
                   ? 0
                   : refuse(ret_why, "bad IPv6 address in the URL");
    for (size_t i = 0; i < text.n; i++)
        if (!is_host_byte(host[i]))
            return refuse(ret_why, "bad host name in the URL");
    if (!labels_are_sound(u->host))
        return refuse(ret_why, "bad host name in the URL");
    if (ends_in_number(u->host) && inet_pton(AF_INET, host, address) != 1)
        return refuse(ret_why, "bad IPv4 address in the URL");
    return 0;
}

static int take_port(str text, url *u, const char **ret_why)
{
    int64_t port;
    for (size_t i = 0; i < text.n; i++)
        if (!isdigit((unsigned char)text.p[i]))
            return refuse(ret_why, "bad port in the URL");
    if (text.n == 0)
        return 0;
    if (str_to_i64(text, &port) < 0 || port < 1 || port > UINT16_MAX)
        return refuse(ret_why, "bad port in the URL");
    u->port = (uint16_t)port;
    return 0;
}

static uint16_t port_of_scheme(bool https)
{
    return https ? 443 : 80;
}

static int take_authority(arena *a, str text, url *u, const char **ret_why)
{
    if (str_chr(text, '@') >= 0)
        return refuse(ret_why, "a URL with user name or password is not accepted");
    str host = text, port = {text.p, 0};
    if (str_starts(text, STR("["))) {
        ptrdiff_t end = str_chr(text, ']');
        if (end < 0)
            return refuse(ret_why, "bad IPv6 address in the URL");
        u->is_v6 = true;
        host = str_of(text.p + 1, (size_t)end - 1);
        port = str_from(text, (size_t)end + 1);
        if (port.n > 0 && port.p[0] != ':')
            return refuse(ret_why, "bad port in the URL");
        port = str_from(port, 1);
    } else if (str_chr(text, ':') >= 0) {
        size_t colon = (size_t)str_chr(text, ':');
        host = str_head(text, colon);
        port = str_from(text, colon + 1);
    }
    u->port = port_of_scheme(u->https);
    int r = take_host(a, host, u, ret_why);
    if (r == 0)
        r = take_port(port, u, ret_why);
    if (r < 0)
        return r;
    const char *open = u->is_v6 ? "[" : "", *close = u->is_v6 ? "]" : "";
    u->authority = u->port == port_of_scheme(u->https) ? arena_printf(a, "%s%s%s", open, u->host.p, close)
                                                       : arena_printf(a, "%s%s%s:%u", open, u->host.p, close, u->port);
    return u->authority.p ? 0 : -ENOMEM;
}

/* ---- path and query ---- */

static bool is_target_byte(char c)
{
    return c > ' ' && c < 127 && !strchr("\"<>\\^`{|}", c);
}

static int take_target(arena *a, str text, url *u, const char **ret_why)
{
    for (size_t i = 0; i < text.n; i++) {
        if (!is_target_byte(text.p[i]))
            return refuse(ret_why, "a byte in the URL is not allowed there; escape it");
        if (text.p[i] == '%' && !(i + 2 < text.n && is_hex(text.p[i + 1]) && is_hex(text.p[i + 2])))
            return refuse(ret_why, "broken escape in the URL");
    }
    bool has_path = text.n > 0 && text.p[0] == '/';
    u->target = arena_printf(a, "%s" STR_FMT, has_path ? "" : "/", STR_ARG(text));
    return u->target.p ? 0 : -ENOMEM;
}

static size_t first_of(str s, const char *any)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\0' && strchr(any, s.p[i]))
            return i;
    return s.n;
}

int client_url_parse(arena *a, str text, url *ret_url, const char **ret_why)
{
    url u = {0};
    if (text.n > URL_MAX)
        return refuse(ret_why, "the URL is too long");
    if (str_starts_nocase(text, STR("https://")))
        u.https = true;
    else if (!str_starts_nocase(text, STR("http://")))
        return refuse(ret_why, "the URL must begin with http:// or https://");
    str rest = str_from(text, u.https ? 8 : 7);
    rest = str_head(rest, first_of(rest, "#"));
    size_t end = first_of(rest, "/?");
    int r = take_authority(a, str_head(rest, end), &u, ret_why);
    if (r == 0)
        r = take_target(a, str_from(rest, end), &u, ret_why);
    if (r == 0)
        *ret_url = u;
    return r;
}

int client_url_check(arena *a, str text, const char **ret_why)
{
    url parsed;

    return client_url_parse(a, text, &parsed, ret_why);
}

/* ---- references ---- */

static bool has_scheme(str s)
{
    size_t i = 0;
    if (s.n == 0 || !isalpha((unsigned char)s.p[0]))
        return false;
    while (i < s.n && (isalnum((unsigned char)s.p[i]) || s.p[i] == '+' || s.p[i] == '-' || s.p[i] == '.'))
        i++;
    return i < s.n && s.p[i] == ':';
}

/* RFC 3986 section 5.2.4, on whole segments. `path` begins with a slash. */
static void put_without_dots(buf *out, str path)
{
    size_t start = out->n; /* of the path; nothing before it is taken back */
    str rest = str_from(path, 1), segment;
    bool open = true; /* the path so far ends in a slash that is not written yet */
    while (str_cut(&rest, '/', &segment)) {
        bool up = str_eq(segment, STR(".."));
        open = up || str_eq(segment, STR("."));
        if (!open) {
            buf_char(out, '/');
            buf_str(out, segment);
        }
        while (up && out->n > start && out->p[--out->n] != '/') {
        }
    }
    if (open || str_ends(path, STR("/")))
        buf_char(out, '/');
}

static void put_escaped(buf *out, str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (is_target_byte(text.p[i]))
            buf_char(out, text.p[i]);
        else
            buf_printf(out, "%%%02X", (unsigned char)text.p[i]);
}

int client_url_resolve(arena *a, const url *base, str reference, url *ret_url, const char **ret_why)
{
    SCOPED(buf_done)
    buf clean = BUF_INIT, out = BUF_INIT;
    if (reference.n > URL_MAX)
        return refuse(ret_why, "the URL is too long");
    put_escaped(&clean, str_trim(reference));
    str ref = buf_view(&clean);
    ref = str_head(ref, first_of(ref, "#"));
    const char *scheme = base->https ? "https:" : "http:";

    if (has_scheme(ref)) {
        buf_str(&out, ref);
    } else if (str_starts(ref, STR("//"))) {
        buf_printf(&out, "%s" STR_FMT, scheme, STR_ARG(ref));
    } else {
        buf_printf(&out, "%s//" STR_FMT, scheme, STR_ARG(base->authority));
        str path = str_head(base->target, first_of(base->target, "?"));
        str query = str_from(base->target, path.n);
        size_t end = first_of(ref, "?");
        if (end == 0) { /* the same path; its query too when the reference is empty */
            buf_str(&out, path);
            buf_str(&out, ref.n > 0 ? ref : query);
        } else {
            SCOPED(buf_done)
            buf merged = BUF_INIT;
            if (ref.p[0] != '/')
                buf_str(&merged, str_head(path, (size_t)str_rchr(path, '/') + 1));
            buf_str(&merged, str_head(ref, end));
            if (merged.err < 0)
                return merged.err;
            put_without_dots(&out, buf_view(&merged));
            buf_str(&out, str_from(ref, end));
        }
    }
    if (clean.err < 0 || out.err < 0)
        return clean.err < 0 ? clean.err : out.err;
    return client_url_parse(a, buf_view(&out), ret_url, ret_why);
}

bool client_url_same_origin(const url *a, const url *b)
{
    return a->https == b->https && a->port == b->port && str_eq(a->host, b->host);
}

str client_url_text(arena *a, const url *u)
{
    return arena_printf(a, "%s://" STR_FMT STR_FMT, u->https ? "https" : "http", STR_ARG(u->authority),
                        STR_ARG(u->target));
}

int client_url_join(arena *a, str base, str reference, str *ret_url, const char **ret_why)
{
    url at, to;

    int r = client_url_parse(a, base, &at, ret_why);
    if (r == 0)
        r = client_url_resolve(a, &at, reference, &to, ret_why);
    const str whole = r == 0 ? client_url_text(a, &to) : STR_NULL;
    if (whole.p)
        *ret_url = whole;
    return r == 0 && !whole.p ? -ENOMEM : r;
}
