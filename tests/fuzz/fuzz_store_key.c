/* Keys come back from clients, as cursors of lists: cutting one reads nothing past its end, and what was
 * cut, put together again, is what was there. The bytes: 'n' cuts a number, anything else a text, then the
 * rest of the key. */
#include "larder/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    SCOPED(arena_done)
    arena a;
    str rest = {(const char *)p, n};
    arena_init(&a, 1 << 20);
    while (rest.n > 0) {
        bool number = rest.p[0] == 'n';
        rest = str_from(rest, 1);
        str before = rest, text;
        uint64_t v;
        store_key again;
        store_key_init(&again);
        if (number ? store_key_cut_u64(&rest, &v) : store_key_cut_str(&rest, &a, &text)) {
            REQUIRE(rest.p == before.p && rest.n == before.n);
            break;
        }
        if (number)
            store_key_u64(&again, v);
        else
            store_key_str(&again, text);
        REQUIRE(again.overflow || str_eq(store_key_view(&again), str_head(before, before.n - rest.n)));
    }
    return 0;
}
