/* Log lines are put together on the stack and leave with one write(2), so that threads don't mix theirs
 * and logging needs no memory. A field that would run over the end is taken back as a whole: JSON stays
 * JSON. */
#include "larder/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define TAIL 32 /* bytes kept for `truncated` and the end of the line */

static _Atomic log_level max_level = LOG_INFO;
static _Atomic log_format format = LOG_TEXT;
static int64_t (*_Atomic wall_clock)(void);

static const char *const level_names[] = {"error", "warn", "info", "debug"};

typedef struct line {
    size_t n, tail; /* bytes written, and bytes kept free */
    bool full;      /* something did not fit */
    char p[LOG_LINE_MAX];
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
    if (l->full || n > sizeof(l->p) - l->tail - l->n) {
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

/* Control characters, quotes, backslashes and what is no UTF-8 leave as escapes that both formats read alike. */
static void put_escaped(line *l, str s)
{
    bool cut = s.n > LOG_VALUE_MAX;
    if (cut) {
        s.n = LOG_VALUE_MAX;
        while (s.n > 0 && ((unsigned char)s.p[s.n] & 0xC0) == 0x80) /* not in the middle of a code point */
            s.n--;
    }
    while (s.n > 0) {
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

/* 2026-01-15T10:20:30.123Z; false when no clock is set. */
static bool time_text(char *out, size_t size)
{
    int64_t (*now)(void) = atomic_load_explicit(&wall_clock, memory_order_relaxed);
    if (!now)
        return false;
    int64_t ms = now();
    int64_t fraction = (ms % 1000 + 1000) % 1000;
    time_t seconds = (time_t)((ms - fraction) / 1000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm))
        return false;
    size_t n = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    return n > 0 && snprintf(out + n, size - n, ".%03dZ", (int)fraction) > 0;
}

static void put_head(line *l, log_level level, const char *message, log_format as)
{
    char stamp[40];
    bool timed = time_text(stamp, sizeof(stamp));
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

static void write_all(const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(STDERR_FILENO, p, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return; /* nobody left to tell */
        p += done;
        n -= (size_t)done;
    }
}

void log_write(log_level level, const char *message, const log_field *fields)
{
    int saved_errno = errno;
    log_format as = atomic_load_explicit(&format, memory_order_relaxed);
    line l;
    l.n = 0;
    l.tail = TAIL;
    l.full = false;
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
    write_all(l.p, l.n);
    errno = saved_errno;
}
