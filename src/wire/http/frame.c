/* One pass of copies, no format strings: this runs once per request. */
#include "frame.h"

#define FIXED_MAX 384 /* all literals below together, with the longest status line and the digits */

static char *put(char *at, str s)
{
    memcpy(at, s.p, s.n);
    return at + s.n;
}

#define PUT(at, literal) (memcpy((at), (literal), sizeof(literal) - 1), (at) + sizeof(literal) - 1)

static char *put_number(char *at, size_t v)
{
    return at + decimal_write(v, at);
}

static char *put_etag(char *at, const http_frame *f)
{
    at = put(PUT(at, "ETag: \""), f->etag);
    return f->etag_of_gzip ? PUT(at, "-gz\"\r\n") : PUT(at, "\"\r\n");
}

size_t http_frame_max(const http_frame *f)
{
    return FIXED_MAX + f->request_id.n + f->content_type.n + f->headers.n + f->etag.n;
}

size_t http_frame_write(const http_frame *f, char *out)
{
    char *at = put(out, http_status_line(f->status));
    at = PUT(at, "Date: ");
    at = put(at, str_of(f->date, HTTP_DATE_LEN));
    at = put(PUT(at, "\r\nX-Request-ID: "), f->request_id);
    if (f->has_length)
        at = put_number(PUT(at, "\r\nContent-Length: "), f->length);
    if (f->content_type.p)
        at = put(PUT(at, "\r\nContent-Type: "), f->content_type);
    at = PUT(at, "\r\n");
    if (f->etag.p)
        at = put_etag(at, f);
    if (f->gzip)
        at = PUT(at, "Content-Encoding: gzip\r\n");
    if (f->vary)
        at = PUT(at, "Vary: Accept-Encoding\r\n");
    if (f->persistence == HTTP_CLOSE)
        at = PUT(at, "Connection: close\r\n");
    else if (f->persistence == HTTP_KEEP_ALIVE)
        at = PUT(at, "Connection: keep-alive\r\n");
    if (f->headers.n > 0)
        at = put(at, f->headers);
    at = PUT(at, "\r\n");
    return (size_t)(at - out);
}
