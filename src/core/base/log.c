/* Log lines are put together on the stack, so that logging needs no memory, and leave as a whole (log_out.c), so that
 * threads don't mix theirs. A field that would run over the end is taken back as a whole: JSON stays
 * JSON. */
#include "log_out.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define STAMP_LEN 24
#define TAIL 32 /* bytes kept for `truncated` and the end of the line */

static _Atomic log_level max_level = LOG_INFO;
static _Atomic log_format format = LOG_TEXT;
static int64_t (*_Atomic wall_clock)(void);

static const char *const level_names[] = {"error", "warn", "info", "debug"};

typedef struct line {
    size_t n, tail; /* bytes written, and bytes kept free */
    bool full;      /* something did not fit */
    char *p;   /* LOG_LINE_MAX bytes */
} line;

void log_setup(log_level level, log_format f)
{
    atomic_store(&max_level, level);
    atomic_store(&format, f);
}

bool log_enabled(log_level level)
{
    return level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

void log_set_time(int64_t (*wall_ms)(void))
{
    atomic_store(&wall_clock, wall_ms);
}

static void put(line *l, const char *p, size_t n)
{
    if (l->full || n > LOG_LINE_MAX - l->tail - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->p + l->n, p, n);
    l->n += n;
}

static void put_c(line *l, const char *c)
{
    put(l, c, strlen(c));
}

/* Bytes from the start that leave as they are: printable ASCII but quotes and backslashes. */
static size_t plain_bytes(str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= ' ' && s.p[n] < 127 && s.p[n] != '"' && s.p[n] != '\\')
        n++;
    return n;
}

/* Control characters, quotes, backslashes and what is no UTF-8 leave as escapes that both formats read alike. */
static void put_escaped(line *l, str s)
{
    bool cut = s.n > LOG_VALUE_MAX;
    if (cut) {
        s.n = LOG_VALUE_MAX;
        while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xC0) == 0x80) /* not in the middle of a code point */
            s.n--;
    }
    for (;;) {
        const size_t plain = plain_bytes(s);
        put(l, s.p, plain);
        s = str_from(s, plain);
        if (s.n == 0)
            break;
        unsigned char c = (unsigned char)s.p[0];
        size_t n = utf8_sequence(s);
        if (n == 0 || str_has_control(str_head(s, n))) {
            char escape[8];
            unsigned code = n == 0 ? 0xfffdU : n == 1 ? c : (unsigned char)s.p[1]; /* of two bytes: U+0080 to U+009F */
            put(l, escape, (size_t)snprintf(escape, sizeof(escape), "\\u%04x", code));
            n = n == 0 ? 1 : n;
        } else if (c == '"' || c == '\\') {
            put(l, "\\", 1);
            put(l, s.p, 1);
        } else {
            put(l, s.p, n);
        }
        s = str_from(s, n);
    }
    if (cut)
        put_c(l, "...");
}

static void put_quoted(line *l, str s)
{
    put(l, "\"", 1);
    put_escaped(l, s);
    put(l, "\"", 1);
}

/* Text format: what reads as one plain word stays bare. */
static bool is_plain(str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == ' ' || c == '"' || c == '=' || c == '\\')
            return false;
    }
    return s.n > 0 && !str_has_control(s) && utf8_valid(s);
}

static void put_value(line *l, const log_field *f, log_format as)
{
    if (!f->text.p) {
        char digits[24];
        put(l, digits, (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)f->number));
    } else if (as == LOG_TEXT && is_plain(f->text)) {
        put_escaped(l, f->text);
    } else {
        put_quoted(l, f->text);
    }
}

static void put_field(line *l, const log_field *f, log_format as)
{
    if (as == LOG_JSON) {
        put(l, ",", 1);
        put_quoted(l, str_c(f->key));
        put(l, ":", 1);
    } else {
        put(l, " ", 1);
        put_c(l, f->key);
        put(l, "=", 1);
    }
    put_value(l, f, as);
}

/* 2026-01-15T10:20:30.123Z; false when no clock is set. The second's text is made once for its lines. */
static bool time_text(char out[STAMP_LEN + 1])
{
    static _Thread_local char text[STAMP_LEN + 1]; /* of `second` */
    static _Thread_local time_t second;
    int64_t (*now)(void) = atomic_load_explicit(&wall_clock, memory_order_relaxed);
    if (!now)
        return false;
    int64_t ms = now();
    int64_t fraction = (ms % 1000 + 1000) % 1000;
    time_t seconds = (time_t)((ms - fraction) / 1000);
    if (!text[0] || seconds != second) {
        struct tm tm;
        if (!gmtime_r(&seconds, &tm) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.000Z", &tm) != STAMP_LEN) {
            text[0] = '\0';
            return false;
        }
        second = seconds;
    }
    memcpy(out, text, sizeof(text));
    char *digit = out + STAMP_LEN - 2;
    for (int i = 0; i < 3; i++, fraction /= 10)
        *digit-- = (char)('0' + fraction % 10);
    return true;
}

static void put_head(line *l, log_level level, const char *message, log_format as)
{
    char stamp[STAMP_LEN + 1];
    bool timed = time_text(stamp);
    if (as == LOG_TEXT) {
        char head[56];
        int n = snprintf(head, sizeof(head), "%s%s%-5s ", timed ? stamp : "", timed ? " " : "",
                         level_names[level]);
        put(l, head, (size_t)n);
        put_escaped(l, str_c(message));
        return;
    }
    put(l, "{", 1);
    if (timed) {
        put_c(l, "\"time\":");
        put_quoted(l, str_c(stamp));
        put(l, ",", 1);
    }
    put_c(l, "\"level\":");
    put_quoted(l, str_c(level_names[level]));
    put_c(l, ",\"message\":");
    put_quoted(l, str_c(message));
}

size_t log_line_make(char out[LOG_LINE_MAX], log_level level, const char *message, const log_field *fields)
{
    log_format as = atomic_load_explicit(&format, memory_order_relaxed);
    line l = {.p = out, .tail = TAIL};
    put_head(&l, level, message, as);
    for (; fields->key && !l.full; fields++) {
        size_t before = l.n;
        put_field(&l, fields, as);
        if (l.full)
            l.n = before;
    }
    const log_field truncated = LOG_INT("truncated", 1);
    bool cut = l.full;
    l.full = false;
    l.tail = 0;
    if (cut)
        put_field(&l, &truncated, as);
    put_c(&l, as == LOG_JSON ? "}\n" : "\n");
    return l.n;
}

void log_write(log_level level, const char *message, const log_field *fields)
{
    int saved_errno = errno;
    char text[LOG_LINE_MAX];
    log_out(text, log_line_make(text, level, message, fields));
    errno = saved_errno;
}
