/* What every unit test includes: cmocka with the headers it wants before it, and checks for our own types. */
#ifndef LARDER_TESTS_UNIT_H
#define LARDER_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "larder/base.h"

/* assert_str(value, "literal"): length and bytes. */
#define assert_str(value, literal) unit_assert_str((value), STR(literal), __FILE__, __LINE__)

static inline void unit_assert_str(str value, str wanted, const char *file, int line)
{
    if (str_eq(value, wanted) && value.p)
        return;
    print_error("got \"%.*s\"%s, wanted \"%.*s\"\n", STR_ARG(value), value.p ? "" : " (null)",
                STR_ARG(wanted));
    _fail(file, line);
}

/* for (long nth = 0; unit_next_fault(&nth);) { ... }: the body again and again, first with its first
 * allocation failing, then with its second, ..., last with none. Inside, mem_failed() says whether this
 * round was hit. */
static inline bool unit_next_fault(long *nth)
{
    bool again = *nth == 0 || (mem_failed() && *nth < 1000);
    mem_fail_at(again ? (*nth)++ : -1);
    return again;
}

/* An arena with room for `left` more bytes and no way to grow: with left = 0, 16, 32, ... each allocation in it fails
 * in turn, also those that would fit the first chunk. */
static inline void unit_tight_arena(arena *a, size_t left)
{
    arena_init(a, 0);
    assert_non_null(arena_alloc(a, 1));
    size_t room = (size_t)(a->end - a->at);
    if (room > left + 32)
        assert_non_null(arena_alloc(a, room - left - 32)); /* 32: what an arena may keep between two allocations */
    a->limit = a->total;
}

#endif
