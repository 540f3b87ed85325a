/* Texts, booleans, numbers and times. */
#include "toml_private.h"

/* ---- texts ---- */

static bool is_triple(const char *at, const char *end, char quote)
{
    return end - at >= 3 && at[0] == quote && at[1] == quote && at[2] == quote;
}

/* Where the quotes stand that end the text from `at`; NULL: nowhere. A long text may end with up to two quotes of its
 * own. */
static const char *find_close(const char *at, const char *end, char quote, bool is_long)
{
    for (; at < end; at++) {
        if (*at == '\\' && quote == '"') {
            at++;
        } else if (!is_long) {
            if (*at == quote)
                return at;
            if (*at == '\n')
                return NULL;
        } else if (is_triple(at, end, quote)) {
            for (int own = 0; own < 2 && at + 3 < end && at[3] == quote; own++)
                at++;
            return at;
        }
    }
    return NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* \u and so many digits: r is behind the u. */
static int put_code_point(toml_reader *r, const char *close, int digits, char **out)
{
    uint32_t c = 0;
    for (int i = 0; i < digits; i++) {
        int digit = r->at < close ? hex_digit(*r->at++) : -1;
        if (digit < 0)
            return toml_fail(r, "an escape has too few digits");
        c = c << 4 | (uint32_t)digit;
    }
    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return toml_fail(r, "an escape is no character");
    unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3; /* bytes behind the first */
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    *(*out)++ = (char)(first[more] | c >> (6 * more));
    while (more-- > 0)
        *(*out)++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
    return 0;
}

/* A backslash ends the line: so do the blanks and lines behind it. */
static int skip_line_end(toml_reader *r, const char *close)
{
    bool ends = false;
    for (; r->at < close; r->at++) {
        if (*r->at == '\n') {
            ends = true;
            r->line++;
        } else if (*r->at != ' ' && *r->at != '\t' && !(*r->at == '\r' && r->at[1] == '\n')) {
            break;
        }
    }
    return ends ? 0 : toml_fail(r, "an escape that does not exist");
}

/* r is at the backslash, and something stands behind it. */
static int put_escape(toml_reader *r, const char *close, bool is_long, char **out)
{
    static const char names[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
    char c = *++r->at;
    const char *name = memchr(names, c, sizeof(names) - 1);
    if (name) {
        r->at++;
        *(*out)++ = meanings[name - names];
        return 0;
    }
    if (c == 'u' || c == 'U') {
        r->at++;
        return put_code_point(r, close, c == 'u' ? 4 : 8, out);
    }
    return is_long ? skip_line_end(r, close) : toml_fail(r, "an escape that does not exist");
}

/* What stands before `close`; never longer than it is written. */
static int copy_text(toml_reader *r, const char *close, char quote, bool is_long, str *ret_text)
{
    char *text = arena_alloc(r->arena, (size_t)(close - r->at) + 1), *out = text;
    if (!text)
        return -ENOMEM;
    while (r->at < close) {
        int status = 0;
        if (*r->at == '\\' && quote == '"') {
            status = put_escape(r, close, is_long, &out);
        } else if (is_long && *r->at == '\r' && r->at[1] == '\n') {
            r->at++;
        } else if (is_long && *r->at == '\n') {
            r->line++;
            *out++ = *r->at++;
        } else if (toml_is_control(*r->at)) {
            status = toml_fail(r, "a control character");
        } else {
            *out++ = *r->at++;
        }
        if (status < 0)
            return status;
    }
    *out = '\0';
    *ret_text = str_of(text, (size_t)(out - text));
    return 0;
}

int toml_read_text(toml_reader *r, bool may_be_long, str *ret_text)
{
    char quote = *r->at;
    bool is_long = may_be_long && is_triple(r->at, r->end, quote);
    r->at += is_long ? 3 : 1;
    const char *close = find_close(r->at, r->end, quote, is_long);
    if (!close)
        return toml_fail(r, "a text has no end");
    if (is_long && str_starts(str_of(r->at, (size_t)(close - r->at)), STR("\r\n")))
        r->at++;
    if (is_long && r->at < close && *r->at == '\n') { /* right behind the quotes it does not count */
        r->at++;
        r->line++;
    }
    int status = copy_text(r, close, quote, is_long, ret_text);
    if (status == 0)
        r->at = close + (is_long ? 3 : 1);
    return status;
}

/* ---- numbers ---- */

static bool take_one(str *s, const char *of)
{
    if (s->n == 0 || !strchr(of, s->p[0]))
        return false;
    *s = str_from(*s, 1);
    return true;
}

/* Digits of that base, single underscores between them: how many bytes; 0: none. */
static size_t take_digits(str *s, int base)
{
    size_t n = 0;
    for (;; n++) {
        bool is_gap = n > 0 && n + 1 < s->n && s->p[n] == '_';
        size_t at = is_gap ? n + 1 : n;
        int digit = at < s->n ? hex_digit(s->p[at]) : -1;
        if (digit < 0 || digit >= base)
            break;
        n = at;
    }
    *s = str_from(*s, n);
    return n;
}

static bool is_number(str s)
{
    static const struct {
        str prefix;
        int base;
    } bases[] = {{STR_INIT("0x"), 16}, {STR_INIT("0o"), 8}, {STR_INIT("0b"), 2}};
    for (size_t i = 0; i < COUNT_OF(bases); i++)
        if (str_starts(s, bases[i].prefix)) {
            s = str_from(s, bases[i].prefix.n);
            return take_digits(&s, bases[i].base) > 0 && s.n == 0;
        }

    take_one(&s, "+-");
    if (str_eq(s, STR("inf")) || str_eq(s, STR("nan")))
        return true;
    bool leads_with_zero = s.n > 0 && s.p[0] == '0';
    size_t whole = take_digits(&s, 10);
    if (whole == 0 || (whole > 1 && leads_with_zero))
        return false;
    if (take_one(&s, ".") && take_digits(&s, 10) == 0)
        return false;
    if (take_one(&s, "eE")) {
        take_one(&s, "+-");
        if (take_digits(&s, 10) == 0)
            return false;
    }
    return s.n == 0;
}

/* ---- times ---- */

/* Exactly n digits; -1: there are none. */
static int take_field(str *s, size_t n)
{
    int64_t value;
    if (s->n < n || s->p[0] == '-' || str_to_i64(str_head(*s, n), &value) < 0)
        return -1;
    *s = str_from(*s, n);
    return (int)value;
}

static bool take_date(str *s)
{
    static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = take_field(s, 4);
    if (year < 0 || !take_one(s, "-"))
        return false;
    int month = take_field(s, 2);
    if (month < 1 || month > 12 || !take_one(s, "-"))
        return false;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    int day = take_field(s, 2);
    return day >= 1 && day <= lengths[month - 1] - (month == 2 && !is_leap);
}

static bool take_hour_and_minute(str *s)
{
    int hour = take_field(s, 2);
    if (hour < 0 || hour > 23 || !take_one(s, ":"))
        return false;
    int minute = take_field(s, 2);
    return minute >= 0 && minute <= 59;
}

static bool take_clock(str *s)
{
    if (!take_hour_and_minute(s) || !take_one(s, ":"))
        return false;
    int second = take_field(s, 2);
    if (second < 0 || second > 59)
        return false;
    if (!take_one(s, "."))
        return true;
    size_t fraction = 0;
    while (take_one(s, "0123456789"))
        fraction++;
    return fraction > 0;
}

static bool is_time(str s)
{
    str date = s;
    if (!take_date(&date))
        return take_clock(&s) && s.n == 0;
    if (date.n == 0)
        return true;
    if (!take_one(&date, "Tt ") || !take_clock(&date))
        return false;
    if (date.n == 0 || str_eq_nocase(date, STR("Z")))
        return true;
    return take_one(&date, "+-") && take_hour_and_minute(&date) && date.n == 0;
}

/* ---- all of them ---- */

static str word_at(const toml_reader *r)
{
    const char *end = r->at;
    while (end < r->end && !toml_is_control(*end) && !strchr(" \t,]}#", *end))
        end++;
    return str_of(r->at, (size_t)(end - r->at));
}

/* A date may be followed by a blank and the time. */
static str take_word(toml_reader *r)
{
    str word = word_at(r), date = word;
    r->at += word.n;
    if (take_date(&date) && date.n == 0 && r->end - r->at >= 2 && r->at[0] == ' ' && hex_digit(r->at[1]) >= 0 &&
        hex_digit(r->at[1]) < 10) {
        r->at++;
        word.n += 1 + word_at(r).n;
        r->at = word.p + word.n;
    }
    return word;
}

int toml_read_scalar(toml_reader *r, toml_value *v)
{
    if (r->at < r->end && (*r->at == '"' || *r->at == '\'')) {
        v->kind = TOML_STRING;
        return toml_read_text(r, true, &v->text);
    }
    v->text = take_word(r);
    v->is_true = str_eq(v->text, STR("true"));
    if (v->is_true || str_eq(v->text, STR("false")))
        v->kind = TOML_BOOL;
    else if (is_number(v->text))
        v->kind = TOML_NUMBER;
    else if (is_time(v->text))
        v->kind = TOML_TIME;
    else
        return toml_fail(r, v->text.n > 0 ? "a value that TOML does not know" : "a value is missing");
    return 0;
}
