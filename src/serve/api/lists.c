/* What lists of all resources share. */
#include "larder/api.h"

str api_given(str text)
{
    return text.n ? text : STR_NULL;
}

page_at api_page_at(int64_t skip, int64_t limit, str cursor)
{
    return (page_at){.skip = (uint64_t)skip, .after = api_given(cursor), .limit = (size_t)limit};
}

int api_bad_cursor(call *c, int err)
{
    if (err != -EINVAL)
        return err;
    return reply_error(c, 400, "Invalid cursor: not the next_cursor of a page of this list");
}
