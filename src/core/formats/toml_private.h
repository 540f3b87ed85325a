/* What the two files of the TOML reader share. */
#ifndef LARDER_TOML_PRIVATE_H
#define LARDER_TOML_PRIVATE_H

#include "larder/toml.h"

typedef struct toml_reader {
    arena *arena;
    const char *at, *end;
    unsigned line;
    unsigned section, sections; /* which header's or inline table's keys are read; how many there were */
    unsigned depth;
    const char *why; /* of -EINVAL */
} toml_reader;

int toml_fail(toml_reader *r, const char *why); /* -EINVAL */
/* One that may stand nowhere: tabs may, newlines are looked for before. */
static inline bool toml_is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* A text in quotes, which r is at. Several lines (""") only where `may_be_long`. */
int toml_read_text(toml_reader *r, bool may_be_long, str *ret_text);
/* A text, boolean, number or time: fills kind, text and is_true. */
int toml_read_scalar(toml_reader *r, toml_value *v);

#endif
