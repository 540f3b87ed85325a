/* frame: writes the head of a reply. Knows no connection; the caller provides room for http_frame_max bytes. */
#ifndef LARDER_HTTP_FRAME_H
#define LARDER_HTTP_FRAME_H

#include "larder/http.h"

typedef enum http_persistence {
    HTTP_AS_USUAL,   /* HTTP/1.1 stays open, nothing to say */
    HTTP_KEEP_ALIVE, /* for HTTP/1.0 clients that asked for it */
    HTTP_CLOSE
} http_persistence;

typedef struct http_frame {
    int status;
    const char *date; /* HTTP_DATE_LEN characters */
    str request_id;
    str content_type; /* null: none */
    str headers;      /* further lines, each with its CR LF */
    str etag;         /* opaque text; null: none */
    bool etag_of_gzip;
    bool gzip; /* the body is */
    bool vary; /* by Accept-Encoding */
    bool has_length;
    size_t length;
    http_persistence persistence;
} http_frame;

size_t http_frame_max(const http_frame *f);              /* bytes the head has at most */
size_t http_frame_write(const http_frame *f, char *out); /* bytes written */

str http_status_line(int status); /* "HTTP/1.1 200 OK\r\n"; that of 500 for statuses not in our table */

#endif
