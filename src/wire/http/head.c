/* Line by line: the request line, then one header per line, each ended by CR LF, until the empty line. llhttp has
 * already checked the bytes of names and values. */
#include "head.h"

#define NO_LINE ((size_t)-1)

/* 'y': what may stand in a host with its port, 32 bytes to a line; nothing outside ASCII may (zero here). */
static const char HOST[256] = "................................"
                              ".y..yyyyyyyy.yy.yyyyyyyyyyyy.y.."
                              ".yyyyyyyyyyyyyyyyyyyyyyyyyyy.y.y"
                              ".yyyyyyyyyyyyyyyyyyyyyyyyyy...y.";

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static int refuse(const char **ret_why, int status, const char *why)
{
    *ret_why = why;
    return status;
}

/* Length of the line at p, without its CR LF; NO_LINE when there is none that ends so. */
static size_t line_length(const char *p, const char *end)
{
    const char *lf = memchr(p, '\n', (size_t)(end - p));
    return lf && lf > p && lf[-1] == '\r' ? (size_t)(lf - p) - 1 : NO_LINE;
}

/* ---- the request line ---- */

static int check_host(str host, const char **ret_why)
{
    for (const char *p = host.p, *end = p + host.n; p < end; p++) {
        if (HOST[(uint8_t)*p] != 'y')
            return refuse(ret_why, 400, "Host is malformed");
    }
    const ptrdiff_t colon = host.n && host.p[host.n - 1] != ']' ? str_rchr(host, ':') : -1;
    uint32_t port = 0;
    for (size_t i = (size_t)(colon + 1); colon >= 0 && i < host.n; i++) {
        port = port * 10 + (uint32_t)(host.p[i] - '0'); /* of a digit; below 2^20 */
        if (host.p[i] < '0' || host.p[i] > '9' || port > UINT16_MAX)
            return refuse(ret_why, 400, "Host has a malformed port");
    }
    return 0;
}

/* Escapes in the query are the business of who decodes that, and can name the parameter. */
static int check_escapes(str path, const char **ret_why)
{
    for (ptrdiff_t at; (at = str_chr(path, '%')) >= 0;) {
        path = str_from(path, (size_t)at);
        if (path.n < 3 || !is_hex(path.p[1]) || !is_hex(path.p[2]))
            return refuse(ret_why, 400, "the path holds a broken percent escape");
        path = str_from(path, 3);
    }
    return 0;
}

/* "http://host/path?query" (RFC 9112 section 3.2.2): its host counts, not the header's. */
static int split_absolute(http_request *req, str *ret_host, const char **ret_why)
{
    str before_query = req->path;
    ptrdiff_t colon = str_find(before_query, STR("://"));
    str scheme = str_head(before_query, colon < 0 ? 0 : (size_t)colon);
    if (!str_eq_nocase(scheme, STR("http")) && !str_eq_nocase(scheme, STR("https")))
        return refuse(ret_why, 400, "the request target is malformed");

    str rest = str_from(before_query, scheme.n + 3);
    ptrdiff_t slash = str_chr(rest, '/');
    str host = slash < 0 ? rest : str_head(rest, (size_t)slash);
    if (host.n == 0)
        return refuse(ret_why, 400, "the request target names no host");
    *ret_host = host;
    req->path = slash < 0 ? STR("/") : str_from(rest, (size_t)slash);
    return check_host(host, ret_why);
}

/* llhttp has seen to it that the target holds only printable ASCII, but it allows more blanks around it. */
static int split_target(http_request *req, str *ret_host, const char **ret_why)
{
    str target = req->target;
    if (target.n > HTTP_MAX_TARGET)
        return refuse(ret_why, 414, "the request target is too long");
    if (target.p[0] == ' ' || target.p[target.n - 1] == ' ')
        return refuse(ret_why, 400, "the request line is malformed");
    if (str_chr(target, '#') >= 0)
        return refuse(ret_why, 400, "the request target has a fragment");
    ptrdiff_t query = str_chr(target, '?');
    req->path = query < 0 ? target : str_head(target, (size_t)query);
    req->query = query < 0 ? STR_NULL : str_from(target, (size_t)query + 1);

    if (target.p[0] == '/')
        return check_escapes(req->path, ret_why);
    if (target.n == 1 && target.p[0] == '*')
        return req->method == HTTP_M_OPTIONS ? 0 : refuse(ret_why, 400, "only OPTIONS may ask for *");
    int r = split_absolute(req, ret_host, ret_why);
    return r ? r : check_escapes(req->path, ret_why);
}

/* METHOD SP target SP HTTP/1.x, with exactly these two blanks. */
static int split_request_line(str line, http_request *req, int *ret_minor, str *ret_host, const char **ret_why)
{
    ptrdiff_t first = str_chr(line, ' ');
    str version = str_from(line, line.n < 9 ? 0 : line.n - 9); /* " HTTP/1.1" */
    if (first < 0 || !str_starts(version, STR(" HTTP/")) || version.p <= line.p + first + 1)
        return refuse(ret_why, 400, "the request line is malformed");
    if (version.p[6] != '1' || (version.p[8] != '0' && version.p[8] != '1'))
        return refuse(ret_why, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    *ret_minor = version.p[8] - '0';
    const char *target = line.p + first + 1;
    req->target = str_of(target, (size_t)(version.p - target));
    return split_target(req, ret_host, ret_why);
}

/* ---- header lines ---- */

/* name, any case, against a lower-case text of the same length, 4 at least. Or-ing 0x20 maps upper on lower case,
 * and of the bytes a name may hold no other onto a letter or '-'. */
static bool name_is(const char *name, const char *lower, size_t n)
{
    if (n >= 8) {
        const uint64_t bit5 = 0x2020202020202020u;
        uint64_t a, b;
        for (size_t i = 0;; i += 8) {
            if (i + 8 > n)
                i = n - 8;
            memcpy(&a, name + i, 8);
            memcpy(&b, lower + i, 8);
            if ((a | bit5) != b)
                return false;
            if (i + 8 == n)
                return true;
        }
    }
    uint32_t a, b, c, d;
    memcpy(&a, name, 4);
    memcpy(&b, lower, 4);
    memcpy(&c, name + n - 4, 4);
    memcpy(&d, lower + n - 4, 4);
    return (a | 0x20202020u) == b && (c | 0x20202020u) == d;
}

/* Which of the known headers this is; HTTP_KNOWN_COUNT when none. */
static http_known find_known(str name)
{
#define KEY(n, letter) ((unsigned)(n) << 8 | (unsigned)(letter))
    if (name.n > 255)
        return HTTP_KNOWN_COUNT;
    switch (KEY(name.n, name.p[0] | 0x20)) {
#define CASE(id, text, letter, repeated) \
    case KEY(sizeof(text) - 1, letter):  \
        return name_is(name.p, text, sizeof(text) - 1) ? HTTP_H_##id : HTTP_KNOWN_COUNT;
        HTTP_KNOWN(CASE)
#undef CASE
#undef KEY
    default:
        return HTTP_KNOWN_COUNT;
    }
}

enum { ONE, LIST, FIRST };
static const uint8_t REPEATED[HTTP_KNOWN_COUNT] = {
#define ROW(id, text, letter, repeated) [HTTP_H_##id] = repeated,
    HTTP_KNOWN(ROW)
#undef ROW
};
static const char *const REPEATED_WHY[HTTP_KNOWN_COUNT] = {
#define ROW(id, text, letter, repeated) [HTTP_H_##id] = "the header " text " is repeated",
    HTTP_KNOWN(ROW)
#undef ROW
};

static str trim_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return str_of(p, (size_t)(end - p));
}

/* The values of all headers that are `known`, joined with ", ". */
static int join_values(http_request *req, http_known known)
{
    size_t n = 0;
    for (size_t i = 0; i < req->n_headers; i++) {
        if (find_known(req->headers[i].name) == known)
            n += req->headers[i].value.n + 2;
    }
    char *joined = arena_alloc(req->arena, n), *at = joined;
    if (!joined)
        return -ENOMEM;
    for (size_t i = 0; i < req->n_headers; i++) {
        str value = req->headers[i].value;
        if (find_known(req->headers[i].name) != known)
            continue;
        memcpy(at, value.p, value.n);
        memcpy(at + value.n, ", ", 2);
        at += value.n + 2;
    }
    req->known[known] = str_of(joined, n - 2);
    return 0;
}

/* Adds one header line; a bit in *joins for a known list that came again. */
static int add_header(http_request *req, http_header *h, str line, uint32_t *joins, const char **ret_why)
{
    const char *colon = memchr(line.p, ':', line.n);
    if (!colon || colon == line.p || line.p[0] == ' ' || line.p[0] == '\t')
        return refuse(ret_why, 400, "a header line is malformed");
    h->name = str_of(line.p, (size_t)(colon - line.p));
    h->value = trim_blanks(colon + 1, line.p + line.n);

    http_known known = find_known(h->name);
    if (known == HTTP_KNOWN_COUNT)
        return 0;
    if (!req->known[known].p)
        req->known[known] = h->value;
    else if (REPEATED[known] == ONE)
        return refuse(ret_why, 400, REPEATED_WHY[known]);
    else if (REPEATED[known] == LIST)
        *joins |= 1u << known;
    return 0;
}

static int split_headers(const char *p, const char *end, http_request *req, http_header headers[], const char **ret_why)
{
    _Static_assert(HTTP_KNOWN_COUNT <= 32, "a bit for each known header");
    uint32_t joins = 0;
    for (;;) {
        size_t n = line_length(p, end);
        if (n == NO_LINE)
            return refuse(ret_why, 400, "a header line does not end with CR LF");
        if (n == 0)
            break;
        if (req->n_headers == HTTP_MAX_HEADERS)
            return refuse(ret_why, 431, "too many headers");
        int r = add_header(req, &headers[req->n_headers], str_of(p, n), &joins, ret_why);
        if (r)
            return r;
        req->n_headers++;
        p += n + 2;
    }
    if (p + 2 != end) /* llhttp and we must mean the same end */
        return refuse(ret_why, 400, "a header line does not end with CR LF");
    for (unsigned k = 0; joins; k++, joins >>= 1) {
        if ((joins & 1) && join_values(req, (http_known)k) < 0)
            return refuse(ret_why, 503, "out of memory");
    }
    return 0;
}

/* ---- what the headers say together ---- */

static int check_framing(const http_request *req, int minor, const char **ret_why)
{
    str te = req->known[HTTP_H_TRANSFER_ENCODING];
    if (!te.p)
        return 0;
    if (minor == 0)
        return refuse(ret_why, 400, "HTTP/1.0 knows no Transfer-Encoding");
    if (req->known[HTTP_H_CONTENT_LENGTH].p)
        return refuse(ret_why, 400, "Content-Length stands beside Transfer-Encoding");
    if (str_eq_nocase(te, STR("chunked")))
        return 0;
    str last = str_trim(str_behind_last(te, ','));
    return str_eq_nocase(last, STR("chunked")) ? refuse(ret_why, 501, "the only transfer coding understood is chunked")
                                               : refuse(ret_why, 400, "Transfer-Encoding does not end with chunked");
}

static int check_host_header(http_request *req, int minor, str target_host, const char **ret_why)
{
    str *host = &req->known[HTTP_H_HOST];
    if (!host->p && minor == 1)
        return refuse(ret_why, 400, "the header Host is missing");
    if (host->p && check_host(*host, ret_why))
        return 400;
    if (target_host.p)
        *host = target_host;
    return 0;
}

int http_head_parse(str head, http_request *req, http_header headers[HTTP_MAX_HEADERS], int *ret_minor,
                    const char **ret_why)
{
    const char *end = head.p + head.n;
    size_t n = line_length(head.p, end);
    if (n == NO_LINE)
        return refuse(ret_why, 400, "the request line does not end with CR LF");
    req->headers = headers;

    int minor = 0;
    str target_host = STR_NULL;
    int r = split_request_line(str_of(head.p, n), req, &minor, &target_host, ret_why);
    if (r == 0)
        r = split_headers(head.p + n + 2, end, req, headers, ret_why);
    if (r == 0)
        r = check_framing(req, minor, ret_why);
    if (r == 0)
        r = check_host_header(req, minor, target_host, ret_why);
    *ret_minor = minor;
    return r;
}

static bool names_option(str connection, str option)
{
    str one;
    while (str_cut(&connection, ',', &one))
        if (str_eq_nocase(str_trim(one), option))
            return true;
    return false;
}

bool http_head_keeps_alive(const http_request *req, int minor)
{
    str options = req->known[HTTP_H_CONNECTION];
    if (!options.p)
        return minor == 1;
    return !names_option(options, STR("close")) && (minor == 1 || names_option(options, STR("keep-alive")));
}
