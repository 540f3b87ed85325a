/* log: one line per thing worth knowing, to standard error. Only handlers, schedulers and main write any.
 *
 *   log_info("scan finished", LOG_STR("source", id), LOG_INT("entries", n));
 *   text:  2026-01-15T10:20:30.123Z info  scan finished source=src_a_b entries=12
 *   json:  {"time":"…","level":"info","message":"scan finished","source":"src_a_b","entries":12}
 *
 * Values are escaped in both formats: a stranger's bytes can't forge a line. Secrets are never passed.
 * Thread-safe. A line is one write(2) of its caller, who waits for it, until log_start: from then on nobody waits. */
#ifndef LARDER_LOG_H
#define LARDER_LOG_H

#include "larder/base.h"

typedef enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG } log_level;
typedef enum log_format { LOG_TEXT, LOG_JSON } log_format;

typedef struct log_field {
    const char *key;
    str text; /* used when text.p is set, otherwise `number` */
    int64_t number;
} log_field;
static inline log_field log_field_str(const char *key, str s)
{
    return (log_field){key, s.p ? s : STR("-"), 0};
}
#define LOG_STR(key, s) log_field_str((key), (s))
#define LOG_C(key, c) log_field_str((key), str_c(c))
#define LOG_INT(key, n) ((log_field){(key), STR_NULL, (int64_t)(n)})
#define LOG_ERR(err) ((log_field){"error", str_c(err_text(err)), 0})

void log_setup(log_level level, log_format format);
bool log_enabled(log_level level);
/* wall_ms gives the time of a line, from any thread; set once at start. NULL (as at first): lines bear no
 * time. */
void log_set_time(int64_t (*wall_ms)(void));
/* Fields end with one whose key is NULL. A value is cut after LOG_VALUE_MAX bytes; of a line longer than
 * LOG_LINE_MAX the last fields are left out, and it says truncated=1. */
#define LOG_VALUE_MAX 1000
#define LOG_LINE_MAX 8192
void log_write(log_level level, const char *message, const log_field *fields);
/* From here to log_stop a thread of its own writes the lines. 256 KiB of them may wait for whoever reads standard
 * error; further ones are lost, and a line says how many. A killed process loses what waits. -EALREADY, -EAGAIN (no
 * thread) */
int log_start(void);
/* Waits until all lines are written, as long as some still are: 2 s without that, and it gives up. */
void log_flush(void);
void log_stop(void); /* flushes; lines are their callers' again */
#define LOG_END ((log_field){NULL, STR_NULL, 0})
#define LOG_AT(level, message, ...) \
    (log_enabled(level) ? log_write((level), (message), (const log_field[]){__VA_ARGS__}) : (void)0)
/* log_line(level, message, fields...) */
#define log_line(level, ...) LOG_AT(level, __VA_ARGS__, LOG_END)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
