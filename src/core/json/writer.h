/* writer: what the files that write through a writer's own buffer need of it. */
#ifndef LARDER_JSON_WRITER_H
#define LARDER_JSON_WRITER_H

#include "larder/json.h"

/* From now on the writer writes nothing, and json_finish says -EPROTO. */
void writer_misuse(json *w);

#endif
