/* What bodies of the recache family ask for. They are read by hand: names, nulls and texts of refusals are what the
 * family's clients rely on. */
#ifndef LARDER_API_RECACHE_ASKED_H
#define LARDER_API_RECACHE_ASKED_H

#include "recache_shared.h"

/* Reading and checking: 0, a negative errno, or RECACHE_ANSWERED: then the call may be gone, as one that was deferred
 * is (its body was long) once it has its reply. */
enum { RECACHE_ANSWERED = 1 };
#define recache_refuse(c, ...) ((void)reply_error(c, 400, __VA_ARGS__), (int)RECACHE_ANSWERED)

/* What bodies of the family may say: all of it, wherever it counts. */
typedef struct recache_asked {
    int64_t host_id, dimension_id;
    strs urls;
    str url, priority;
    const int64_t *dimension_ids;
    size_t n_dimension_ids;
} recache_asked;

/* As clients of the family know it: a name's letters are of any case, what is unknown is passed over, null says nothing
 * (and within a list: '' or 0). But a name given twice, and what is no UTF-8, are refused as no JSON. */
int recache_read_asked(call *c, recache_asked *ret);

#endif
