/* writer: what the files that write through a writer's own buffer need of it. */
#ifndef LARDER_JSON_WRITER_H
#define LARDER_JSON_WRITER_H

#include "larder/json.h"

/* From now on the writer writes nothing, and json_finish says -EPROTO. */
void writer_misuse(json *w);

/* A key was written past the writer: its value comes next. */
static inline void writer_value_is_due(json *w)
{
    w->filled |= 1;
    w->due = JSON_DUE_VALUE;
}

#endif
