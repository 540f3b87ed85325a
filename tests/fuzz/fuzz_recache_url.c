/* Any bytes as a URL to be queued: the first byte chooses whether tracking parameters are taken out. What comes out is
 * a URL of printable ASCII whose hostname lies in it, and is taken again; with an empty fragment behind it too, which
 * takes the long way, and makes no difference. */
#include "larder/recache_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const strs none = {NULL, 0};
    const strs tracking = n > 0 && data[0] & 1 ? recache_tracking_default : none;
    const str text = n > 0 ? str_of((const char *)data + 1, n - 1) : STR("");
    recache_url u, again;
    str why = STR_NULL;
    arena a;

    arena_init(&a, 0);
    if (recache_url_parse(&a, text, tracking, &u, &why) == 0) {
        const ptrdiff_t at = u.host.p - u.text.p;
        REQUIRE(at >= 4 && (size_t)at + u.host.n <= u.text.n && u.host.n > 0);
        for (size_t i = 0; i < u.host.n; i++)
            REQUIRE((unsigned char)u.host.p[i] > 0x20 && (unsigned char)u.host.p[i] < 0x7f);
        const int r = recache_url_parse(&a, u.text, tracking, &again, &why);
        /* a second dot at the end of the host goes the second time */
        REQUIRE(r == 0 || str_ends(u.host, STR(".")));
        const str longer = arena_join(&a, u.text, STR("#"));
        if (r == 0 && longer.n <= RECACHE_URL_MAX) {
            REQUIRE(recache_url_parse(&a, longer, tracking, &u, &why) == 0);
            REQUIRE(str_eq(u.text, again.text) && str_eq(u.host, again.host) && u.hash == again.hash);
        }
    } else {
        REQUIRE(why.p || text.n == 0);
    }
    arena_done(&a);
    return 0;
}
