/* The same tests over the code for machines without SSE2. */
#define EMIT_PORTABLE
#include "test_json_emit.c"
