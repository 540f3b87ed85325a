/* head: takes a request's complete head apart, and is strict about it: what two readers could understand
 * differently is refused. */
#ifndef LARDER_HTTP_HEAD_H
#define LARDER_HTTP_HEAD_H

#include "larder/http.h"

#define HTTP_MAX_HEADERS 100
#define HTTP_MAX_TARGET 8192 /* bytes */

/* `head`: from the method to the empty line, both included, as llhttp accepted it. Fills target, path, query,
 * headers (into `headers`), known; their texts point into head, joined ones into req->arena. *ret_minor is of
 * HTTP/1.minor. 0, or the status to refuse with and *ret_why for people. *req is all zero but for method and arena. */
int http_head_parse(str head, http_request *req, http_header headers[HTTP_MAX_HEADERS], int *ret_minor,
                    const char **ret_why);
/* The client means to send more by this connection (RFC 9112 section 9.3). llhttp's word is not taken: it misses a
 * "close" before a tab. */
bool http_head_keeps_alive(const http_request *req, int minor);

#endif
