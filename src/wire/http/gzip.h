/* gzip: whole bodies, by libdeflate. */
#ifndef LARDER_HTTP_GZIP_H
#define LARDER_HTTP_GZIP_H

#include "larder/base.h"

#define HTTP_GZIP_MIN 1024              /* bytes: a smaller body is not worth it */
#define HTTP_GZIP_ON_LOOP (size_t)65536 /* bytes: a larger one is a job's work */

typedef struct http_gzip http_gzip;
void http_gzip_setup(void);              /* once, before the first http_gzip_new of any thread */
int http_gzip_new(http_gzip **ret_gzip); /* about 1 MB, of which little is touched; one thread at a time. -ENOMEM */
void http_gzip_free(http_gzip *z);       /* NULL is fine */
/* Appends the compressed text to out. -ENOMEM; -E2BIG when it is no smaller than the text (out is as before). */
int http_gzip_pack(http_gzip *z, str text, buf *out);

#endif
