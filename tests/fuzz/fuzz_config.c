/* Configuration files: what is taken must be shown as a file that says the same, and what is refused be refused with a
 * line. The first byte chooses an option that the rest is given to, as by --set, besides. */
#include "app/config_private.h"

static void check_shown(const config *c)
{
    config again;
    str why;
    buf shown = BUF_INIT;

    config_show(c, &shown);
    REQUIRE(shown.err == 0);
    REQUIRE(config_load(&again, &(config_sources){0}, &why) == 0);
    REQUIRE(config_read_yaml(&again, "shown", buf_view(&shown), &why) == 0);
    for (unsigned i = 0; i < CONFIG_OPTION_COUNT; i++)
        REQUIRE(i == OPTION_github_token || !config_differs(c, &again, (config_id)i));
    buf_done(&shown);
    config_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    config c;
    str why = STR_NULL;

    REQUIRE(config_load(&c, &(config_sources){0}, &why) == 0);
    char *copy = mem_alloc(n); /* in memory whose end is watched */
    REQUIRE(copy);
    if (n > 0)
        memcpy(copy, p, n);
    const int r = config_read_yaml(&c, "f", str_of(copy, n), &why);
    REQUIRE(r == 0 || (r == -EINVAL && str_starts(why, STR("f:"))));
    if (r == 0)
        check_shown(&c);
    if (n > 0) {
        const config_id option = (config_id)(p[0] % CONFIG_OPTION_COUNT);
        const int set = config_set_text(&c, option, str_of(copy + 1, n - 1), FROM_SET, &why);
        REQUIRE(set == 0 || (set == -EINVAL && str_starts(why, str_c(config_options[option].name))));
        if (set == 0 && r == 0)
            check_shown(&c);
    }
    mem_free(copy);
    config_done(&c);
    return 0;
}
