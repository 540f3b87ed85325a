/* The two halves of the log: log.c makes a line, log_out.c brings it away. */
#ifndef LARDER_BASE_LOG_OUT_H
#define LARDER_BASE_LOG_OUT_H

#include "larder/log.h"

/* A whole line with its end; its length. Takes no lock. */
size_t log_line_make(char out[LOG_LINE_MAX], log_level level, const char *message, const log_field *fields);
void log_out(const char *line, size_t n);

#endif
