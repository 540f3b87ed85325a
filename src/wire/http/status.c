/* Statuses and methods as texts. To add a status: a row. */
#include "larder/http.h"

#include "frame.h"

/* clang-format off */
#define STATUSES(X)                                                                                                \
    X(100, "Continue") X(200, "OK") X(201, "Created") X(202, "Accepted") X(204, "No Content")                      \
    X(206, "Partial Content") X(301, "Moved Permanently") X(302, "Found") X(303, "See Other")                      \
    X(304, "Not Modified") X(307, "Temporary Redirect") X(308, "Permanent Redirect") X(400, "Bad Request")         \
    X(401, "Unauthorized") X(402, "Payment Required") X(403, "Forbidden") X(404, "Not Found")                      \
    X(405, "Method Not Allowed") X(406, "Not Acceptable") X(408, "Request Timeout") X(409, "Conflict")             \
    X(410, "Gone") X(411, "Length Required") X(412, "Precondition Failed") X(413, "Content Too Large")             \
    X(414, "URI Too Long") X(415, "Unsupported Media Type") X(416, "Range Not Satisfiable")                        \
    X(417, "Expectation Failed") X(421, "Misdirected Request") X(422, "Unprocessable Content") X(423, "Locked")    \
    X(424, "Failed Dependency") X(425, "Too Early") X(426, "Upgrade Required") X(428, "Precondition Required")     \
    X(429, "Too Many Requests") X(431, "Request Header Fields Too Large") X(500, "Internal Server Error")          \
    X(501, "Not Implemented") X(502, "Bad Gateway") X(503, "Service Unavailable") X(504, "Gateway Timeout")        \
    X(505, "HTTP Version Not Supported") X(507, "Insufficient Storage")
/* clang-format on */

#define MIN_STATUS 100
#define MAX_STATUS 507

static const str LINES[MAX_STATUS - MIN_STATUS + 1] = {
#define ROW(status, text) [status - MIN_STATUS] = {"HTTP/1.1 " #status " " text "\r\n", sizeof(#status text) + 11},
    STATUSES(ROW)
#undef ROW
};

str http_status_line(int status)
{
    if (status < MIN_STATUS || status > MAX_STATUS || !LINES[status - MIN_STATUS].p)
        return LINES[500 - MIN_STATUS];
    return LINES[status - MIN_STATUS];
}

const char *http_status_text(int status)
{
    switch (status) {
#define ROW(code, text) \
    case code:          \
        return text;
        STATUSES(ROW)
#undef ROW
    default:
        return "Unknown";
    }
}

const char *http_method_name(http_method m)
{
    static const char *const NAMES[] = {
        [HTTP_M_GET] = "GET",     [HTTP_M_HEAD] = "HEAD",     [HTTP_M_POST] = "POST",       [HTTP_M_PUT] = "PUT",
        [HTTP_M_PATCH] = "PATCH", [HTTP_M_DELETE] = "DELETE", [HTTP_M_OPTIONS] = "OPTIONS", [HTTP_M_OTHER] = "OTHER",
    };
    return NAMES[m];
}
