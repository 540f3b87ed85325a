/* URLs: any text is a URL or is refused without harm; what was accepted has a sound host and means the same when it is
 * written out and read again; and so does what a reference from it means. The input is a URL and, behind a line feed, a
 * reference. */
#include "wire/client/url.h"

static void check(const url *u)
{
    REQUIRE(u->host.n > 0 && u->host.n <= URL_HOST_MAX && u->port > 0 && u->target.n > 0 && u->target.p[0] == '/');
    for (size_t i = 0; i < u->host.n; i++)
        REQUIRE(!strchr("/\\@?#%[] \t\r\n", u->host.p[i])); /* NUL too: it is the end of that list */
    for (size_t i = 0; i < u->target.n; i++)
        REQUIRE(u->target.p[i] > ' ' && u->target.p[i] < 127 && u->target.p[i] != '#');
}

static void check_again(arena *a, const url *u)
{
    const char *why;
    url again;
    str text = client_url_text(a, u);
    REQUIRE(text.p);
    int r = client_url_parse(a, text, &again, &why);
    if (r == -EINVAL && text.n > URL_MAX) /* a slash was added */
        return;
    REQUIRE(r == 0);
    REQUIRE(client_url_same_origin(u, &again) && str_eq(u->target, again.target) && u->is_v6 == again.is_v6);
    REQUIRE(str_eq(u->authority, again.authority));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    arena a;
    url base, next;
    const char *why = NULL;
    str rest = str_of((const char *)p, n), text = STR("");
    arena_init(&a, 0);
    str_cut(&rest, '\n', &text);
    if (client_url_parse(&a, text, &base, &why) == 0) {
        check(&base);
        check_again(&a, &base);
        if (client_url_resolve(&a, &base, rest, &next, &why) == 0) {
            check(&next);
            check_again(&a, &next);
        }
    } else {
        REQUIRE(why);
    }
    arena_done(&a);
    return 0;
}
