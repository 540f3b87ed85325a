#include "negotiate.h"

#include "larder/http.h"

/* ---- Accept-Encoding ---- */

/* "q=0.5" in thousandths; 1000 where there is none, 0 for what is no number. */
static int quality_of(str params)
{
    str part;
    while (str_cut(&params, ';', &part)) {
        part = str_trim(part);
        if (part.n < 2 || (part.p[0] | 0x20) != 'q' || part.p[1] != '=')
            continue;
        str q = str_from(part, 2);
        if (q.n == 0 || (q.p[0] != '0' && q.p[0] != '1') || (q.n > 1 && q.p[1] != '.'))
            return 0;
        int value = (q.p[0] - '0') * 1000, unit = 100;
        for (size_t i = 2; i < q.n && i < 5 && value < 1000; i++, unit /= 10) {
            if (q.p[i] < '0' || q.p[i] > '9')
                return 0;
            value += (q.p[i] - '0') * unit;
        }
        return value;
    }
    return 1000;
}

bool http_accepts_gzip(str accept_encoding)
{
    enum { UNSAID = -1 };
    int gzip = UNSAID, identity = UNSAID, any = UNSAID;
    str item;
    while (str_cut(&accept_encoding, ',', &item)) {
        ptrdiff_t semicolon = str_chr(item, ';');
        str coding = str_trim(semicolon < 0 ? item : str_head(item, (size_t)semicolon));
        int q = semicolon < 0 ? 1000 : quality_of(str_from(item, (size_t)semicolon + 1));
        if (str_eq_nocase(coding, STR("gzip")) || str_eq_nocase(coding, STR("x-gzip")))
            gzip = q;
        else if (str_eq_nocase(coding, STR("identity")))
            identity = q;
        else if (str_eq(coding, STR("*")))
            any = q;
    }
    if (gzip == UNSAID)
        gzip = any;
    return gzip > 0 && gzip >= identity;
}

bool http_is_compressible(str type)
{
    ptrdiff_t semicolon = str_chr(type, ';');
    if (semicolon >= 0)
        type = str_trim(str_head(type, (size_t)semicolon));
    return str_eq(type, STR("application/json")) || str_starts(type, STR("text/")) || str_ends(type, STR("+json")) ||
           str_eq(type, STR("application/yaml")) || str_eq(type, STR("application/xml"));
}

/* ---- If-None-Match ---- */

static str skip_to_tag(str tags)
{
    while (tags.n > 0 && (*tags.p == ' ' || *tags.p == '\t' || *tags.p == ','))
        tags = str_from(tags, 1);
    return str_starts(tags, STR("W/")) ? str_from(tags, 2) : tags;
}

http_etag_match http_match_etag(str tags, str etag)
{
    if (str_eq(str_trim(tags), STR("*")))
        return HTTP_ETAG_PLAIN;
    http_etag_match found = HTTP_ETAG_NONE;
    for (;;) {
        tags = skip_to_tag(tags);
        if (tags.n < 2 || *tags.p != '"')
            return found; /* the end, or nothing we understand */
        tags = str_from(tags, 1);
        ptrdiff_t quote = str_chr(tags, '"');
        if (quote < 0)
            return found;
        str tag = str_head(tags, (size_t)quote);
        if (str_eq(tag, etag))
            return HTTP_ETAG_PLAIN;
        if (tag.n == etag.n + 3 && str_starts(tag, etag) && str_ends(tag, STR("-gz")))
            found = HTTP_ETAG_GZIP;
        tags = str_from(tags, (size_t)quote + 1);
    }
}

bool http_etag_matches(const http_request *req, str etag)
{
    str tags = req->known[HTTP_H_IF_NONE_MATCH];
    return tags.p && etag.p && http_match_etag(tags, etag) != HTTP_ETAG_NONE;
}
