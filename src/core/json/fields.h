/* fields: what the files that walk a schema share. */
#ifndef LARDER_JSON_FIELDS_H
#define LARDER_JSON_FIELDS_H

#include "larder/schema.h"

/* How every struct of SCHEMA_STRUCT begins. */
typedef struct schema_bits {
    uint64_t given, nulls;
} schema_bits;

#define FIELD_BIT(i) (UINT64_C(1) << (i))

#define FIELD_ECHO_MAX 100 /* code points of a stranger's text that an error text repeats */

static inline bool field_is_bounded(const field *f)
{
    return f->min != 0 || f->max != 0;
}

/* Hidden fields come from inside only. */
static inline bool field_is_input(const field *f)
{
    return !(f->flags & HIDDEN);
}

bool field_has_choice(const field *f, str text);
/* In any case; the choice as it is listed. */
bool field_choice_of(const field *f, str text, str *ret_choice);

/* Puts the default, where there is one, at the zeroed member. For lists and objects the only default is the
 * empty one. */
void field_set_default(const field *f, void *member);

/* Words of query and default texts: true/false/1/0/t/f/y/n/yes/no/on/off in any case; decimal numbers. */
bool field_bool_of(str text, bool *ret_value);
bool field_real_of(str text, double *ret_value);

#endif
