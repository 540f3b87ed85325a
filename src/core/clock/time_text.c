/* Dates as text, without libc's calendar: RFC 3339 is written into every JSON reply, so it has to cost
 * next to nothing. */
#include "larder/clock.h"

#define MS_PER_DAY ((int64_t)86400000)
#define ERA_DAYS 146097                   /* in the 400 years after which the calendar repeats */
#define MIN_MS ((int64_t)-62167219200000) /* 0000-01-01T00:00:00Z */
#define MAX_MS ((int64_t)253402300799999) /* 9999-12-31T23:59:59.999Z */

static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char day_names[7][10] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                      "Friday", "Saturday", "Sunday"};

typedef struct date {
    int year, month, day; /* months and days count from 1 */
    int hour, minute, second;
} date;

/* ---- calendar: proleptic Gregorian; inside, years begin in March, so that a leap day is the last one ---- */

/* Days since 1970-01-01. Year 0..9999. */
static int64_t days_of(int year, int month, int day)
{
    int y = month > 2 ? year + 400 : year + 399; /* counted from the year -400: nothing below is negative */
    int m = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * m + 2) / 5 + day - 1;
    return (int64_t)365 * y + y / 4 - y / 100 + y / 400 + day_of_year - (719468 + ERA_DAYS);
}

static inline date date_of(int64_t wall_ms)
{
    wall_ms = wall_ms < MIN_MS ? MIN_MS : wall_ms > MAX_MS ? MAX_MS : wall_ms;
    uint64_t since = (uint64_t)(wall_ms - MIN_MS);
    uint32_t seconds = (uint32_t)(since % (uint64_t)MS_PER_DAY / 1000);
    /* Counted from 1 March of the year -400: January and February of year 0 come out positive too. */
    uint32_t days = (uint32_t)(since / (uint64_t)MS_PER_DAY) + ERA_DAYS - 60;
    uint32_t era = days / ERA_DAYS, of_era = days % ERA_DAYS;
    uint32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    uint32_t m = (5 * of_year + 2) / 153;
    date d;
    d.day = (int)(of_year - (153 * m + 2) / 5 + 1);
    d.month = (int)(m < 10 ? m + 3 : m - 9);
    d.year = (int)(year + era * 400) - 400 + (m < 10 ? 0 : 1);
    d.hour = (int)(seconds / 3600);
    d.minute = (int)(seconds / 60 % 60);
    d.second = (int)(seconds % 60);
    return d;
}

static int days_in_month(int year, int month)
{
    static const int8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

/* Checks every field. Second 60 is taken for what it is, the second before the next minute, and only where
 * UTC can have one: at the end of a month's last day. `offset` is in minutes east of UTC. */
static int date_to_ms(const date *d, int offset, int millis, int64_t *ret_wall_ms)
{
    if (d->month < 1 || d->month > 12 || d->day < 1 || d->day > days_in_month(d->year, d->month) ||
        d->hour > 23 || d->minute > 59 || d->second > 60)
        return -EINVAL;
    int64_t seconds =
        days_of(d->year, d->month, d->day) * 86400 + d->hour * 3600 + d->minute * 60 + d->second;
    int64_t ms = (seconds - (int64_t)offset * 60) * 1000;
    if (d->second == 60) {
        date next = date_of(ms);
        if (next.day != 1 || next.hour != 0 || next.minute != 0)
            return -EINVAL;
    }
    *ret_wall_ms = ms + millis;
    return 0;
}

/* ---- writing ---- */

static void put2(char *out, int v)
{
    memcpy(out, digit_pairs[v], 2);
}

static void put4(char *out, int v)
{
    put2(out, v / 100);
    put2(out + 2, v % 100);
}

void rfc3339_format(int64_t wall_ms, char out[RFC3339_LEN + 1])
{
    date d = date_of(wall_ms);
    memcpy(out, "0000-00-00T00:00:00Z", RFC3339_LEN + 1);
    put4(out, d.year);
    put2(out + 5, d.month);
    put2(out + 8, d.day);
    put2(out + 11, d.hour);
    put2(out + 14, d.minute);
    put2(out + 17, d.second);
}

void http_date_format(int64_t wall_ms, char out[HTTP_DATE_LEN + 1])
{
    date d = date_of(wall_ms);
    /* Monday is 0; the multiple of 7 keeps year 0 positive. */
    int64_t weekday = (days_of(d.year, d.month, d.day) + 3 + 7 * 102790) % 7;
    memcpy(out, "ddd, 00 mmm 0000 00:00:00 GMT", HTTP_DATE_LEN + 1);
    memcpy(out, day_names[weekday], 3);
    put2(out + 5, d.day);
    memcpy(out + 8, month_names[d.month - 1], 3);
    put4(out + 12, d.year);
    put2(out + 17, d.hour);
    put2(out + 20, d.minute);
    put2(out + 23, d.second);
}

/* ---- reading ---- */

static bool take(str *s, str what)
{
    if (!str_starts(*s, what))
        return false;
    *s = str_from(*s, what.n);
    return true;
}

static bool take_digits(str *s, size_t count, int *ret_value)
{
    int v = 0;
    if (s->n < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        v = v * 10 + (s->p[i] - '0');
    }
    *s = str_from(*s, count);
    *ret_value = v;
    return true;
}

static bool take_month_name(str *s, int *ret_month)
{
    for (int i = 0; i < 12; i++)
        if (take(s, str_of(month_names[i], 3))) {
            *ret_month = i + 1;
            return true;
        }
    return false;
}

static bool take_field(str *s, char which, date *d)
{
    switch (which) {
    case 'Y': /* four digits */
        return take_digits(s, 4, &d->year);
    case 'y': /* two digits: 70..99 are of the last century */
        if (!take_digits(s, 2, &d->year))
            return false;
        d->year += d->year < 70 ? 2000 : 1900;
        return true;
    case 'm':
        return take_digits(s, 2, &d->month);
    case 'b': /* English, three letters */
        return take_month_name(s, &d->month);
    case 'd':
        return take_digits(s, 2, &d->day);
    case 'e': /* two places, a blank before a single digit */
        return take(s, STR(" ")) ? take_digits(s, 1, &d->day) : take_digits(s, 2, &d->day);
    case 'H':
        return take_digits(s, 2, &d->hour);
    case 'M':
        return take_digits(s, 2, &d->minute);
    default:
        REQUIRE(which == 'S');
        return take_digits(s, 2, &d->second);
    }
}

/* Like strptime, but to the letter: no blanks skipped, no digits left out, no locale. */
static bool take_date(str *s, const char *pattern, date *d)
{
    for (; *pattern; pattern++)
        if (*pattern == '%' ? !take_field(s, *++pattern, d) : !take(s, str_of(pattern, 1)))
            return false;
    return true;
}

/* Any number of digits; those past milliseconds are dropped. */
static bool take_fraction(str *s, int *ret_millis)
{
    int millis = 0, scale = 100, digit;
    if (!take_digits(s, 1, &digit))
        return false;
    do {
        millis += digit * scale;
        scale /= 10;
    } while (take_digits(s, 1, &digit));
    *ret_millis = millis;
    return true;
}

static bool take_offset(str *s, int *ret_minutes)
{
    if (take(s, STR("Z")) || take(s, STR("z"))) {
        *ret_minutes = 0;
        return true;
    }
    int sign = take(s, STR("-")) ? -1 : take(s, STR("+")) ? 1 : 0;
    date d;
    if (sign == 0 || !take_date(s, "%H:%M", &d) || d.hour > 23 || d.minute > 59)
        return false;
    *ret_minutes = sign * (d.hour * 60 + d.minute);
    return true;
}

int rfc3339_parse(str text, int64_t *ret_wall_ms)
{
    date d;
    int millis = 0, offset;
    str s = text;
    if (!take_date(&s, "%Y-%m-%d", &d) || !(take(&s, STR("T")) || take(&s, STR("t"))) ||
        !take_date(&s, "%H:%M:%S", &d))
        return -EINVAL;
    if (take(&s, STR(".")) && !take_fraction(&s, &millis))
        return -EINVAL;
    if (!take_offset(&s, &offset) || s.n > 0)
        return -EINVAL;
    return date_to_ms(&d, offset, millis, ret_wall_ms);
}

static bool is_date(str s, const char *pattern, date *d)
{
    return take_date(&s, pattern, d) && s.n == 0;
}

int http_date_parse(str text, int64_t *ret_wall_ms)
{
    date d;
    for (size_t i = 0; i < COUNT_OF(day_names); i++) {
        str name = str_c(day_names[i]), rest = text;
        bool ok = false;
        if (take(&rest, name))
            ok = is_date(rest, ", %d-%b-%y %H:%M:%S GMT", &d); /* as in RFC 850 */
        else if (take(&rest, str_head(name, 3)))
            ok = is_date(rest, ", %d %b %Y %H:%M:%S GMT", &d) || /* as it is written today */
                 is_date(rest, " %b %e %H:%M:%S %Y", &d);        /* as by asctime */
        if (ok)
            return date_to_ms(&d, 0, 0, ret_wall_ms);
    }
    return -EINVAL;
}
