/* negotiate: what a request's headers say about the form of its reply (RFC 9110 sections 12.5.3, 13.1.2). */
#ifndef LARDER_HTTP_NEGOTIATE_H
#define LARDER_HTTP_NEGOTIATE_H

#include "larder/http.h"

bool http_is_compressible(str content_type); /* text, JSON, YAML, XML */

typedef enum http_etag_match { HTTP_ETAG_NONE, HTTP_ETAG_PLAIN, HTTP_ETAG_GZIP } http_etag_match;
/* Whether the list names `etag`, or "<etag>-gz" (HTTP_ETAG_GZIP, if it doesn't name the plain one too). Weak
 * comparison. "*" names the plain one. */
http_etag_match http_match_etag(str if_none_match, str etag);

#endif
