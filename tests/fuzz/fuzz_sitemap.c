/* Any bytes as a sitemap, packed or not. */
#include "domains/recache/sitemap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    buf text = BUF_INIT;
    sitemap s;
    arena a;

    arena_init(&a, 64u << 20);
    if (sitemap_unpack(str_of((const char *)data, n), &text) == 0 && sitemap_read(&a, buf_view(&text), &s) == 0) {
        REQUIRE(s.n <= SITEMAP_URLS_MAX);
        for (size_t i = 0; i < s.n; i++) {
            REQUIRE(s.v[i].loc.n > 0 && s.v[i].priority >= 0 && s.v[i].priority <= 1000);
            REQUIRE(sitemap_due(&s.v[i], INT64_C(1750000000000)) <= INT64_C(1750000000000));
        }
    }
    arena_done(&a);
    buf_done(&text);
    return 0;
}
