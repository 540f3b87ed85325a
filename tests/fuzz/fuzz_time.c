/* Dates and durations: what the readers take, the writers write, and the readers read as the same again. */
#include "larder/clock.h"

#define YEAR_0 INT64_C(-62167219200000)
#define YEAR_10000 INT64_C(253402300800000)

static void check_date(int64_t ms)
{
    if (ms < YEAR_0 || ms >= YEAR_10000) /* an offset can lead a day out of the range that can be written */
        return;
    char rfc3339[RFC3339_LEN + 1], http[HTTP_DATE_LEN + 1];
    int64_t again, seconds = ms - ((ms % 1000) + 1000) % 1000;
    rfc3339_format(ms, rfc3339);
    REQUIRE(strlen(rfc3339) == RFC3339_LEN);
    REQUIRE(rfc3339_parse(str_c(rfc3339), &again) == 0 && again == seconds);
    http_date_format(ms, http);
    REQUIRE(strlen(http) == HTTP_DATE_LEN);
    REQUIRE(http_date_parse(str_c(http), &again) == 0 && again == seconds);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *copy = mem_alloc(n); /* in memory whose end is watched */
    REQUIRE(copy);
    if (n > 0)
        memcpy(copy, p, n);
    str in = str_of(copy, n);
    int64_t ms, again;
    if (rfc3339_parse(in, &ms) == 0)
        check_date(ms);
    if (http_date_parse(in, &ms) == 0)
        check_date(ms);
    if (duration_parse(in, &ms) == 0) {
        char text[DURATION_MAX];
        duration_format(ms, text);
        REQUIRE(ms >= 0 && duration_parse(str_c(text), &again) == 0 && again == ms);
    }
    mem_free(copy);
    return 0;
}
