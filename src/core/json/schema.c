/* What decoders and writers ask about a schema's rows. */
#include "larder/schema.h"

#include <math.h>
#include <stdlib.h>

#include "fields.h"

bool schema_has(const schema *s, uint64_t bits, size_t offset)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->fields[i].offset == offset)
            return bits & FIELD_BIT(i);
    return false;
}

bool field_has_choice(const field *f, str text)
{
    str rest = str_c(f->choices), choice;
    while (str_cut(&rest, '|', &choice))
        if (str_eq(choice, text))
            return true;
    return false;
}

bool field_choice_of(const field *f, str text, str *ret_choice)
{
    str rest = str_c(f->choices), choice;
    while (str_cut(&rest, '|', &choice)) {
        if (str_eq_nocase(choice, text)) {
            *ret_choice = choice;
            return true;
        }
    }
    return false;
}

bool field_bool_of(str text, bool *ret_value)
{
    static const char *const words[] = {"false", "true", "0", "1", "f", "t", "n", "y", "no", "yes", "off", "on"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (str_eq_nocase(text, str_c(words[i]))) {
            *ret_value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

bool field_real_of(str text, double *ret_value)
{
    char digits[64]; /* strtod wants a NUL; it would take hexadecimal, blanks and words too */
    if (text.n == 0 || text.n >= sizeof(digits))
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (!memchr("0123456789+-.eE", text.p[i], 15))
            return false;
    memcpy(digits, text.p, text.n);
    digits[text.n] = '\0';
    char *end;
    double v = strtod(digits, &end);
    if (*end != '\0' || !isfinite(v))
        return false;
    *ret_value = v;
    return true;
}

void field_set_default(const field *f, void *member)
{
    static const str no_text;
    static const count_of no_count;
    static const pair no_pair;
    str text = str_c(f->def);
    if (!text.p)
        return;
    switch (f->kind) {
    case FIELD_BOOL:
        (void)EXPECT(field_bool_of(text, member));
        break;
    case FIELD_I64:
        (void)EXPECT(str_to_i64(text, member) == 0);
        break;
    case FIELD_F64:
        (void)EXPECT(field_real_of(text, member));
        break;
    case FIELD_STR:
    case FIELD_CHOICE:
        *(str *)member = text;
        break;
    case FIELD_STRS:
        *(strs *)member = (strs){&no_text, 0};
        break;
    case FIELD_COUNTS:
        *(counts *)member = (counts){&no_count, 0};
        break;
    case FIELD_PAIRS:
        *(pairs *)member = (pairs){&no_pair, 0};
        break;
    case FIELD_RAW:
        *(str *)member = text;
        break;
    case FIELD_TIME:
    case FIELD_OBJECT:
    case FIELD_ROWS:
        (void)EXPECT(!f->def); /* these have none */
        break;
    }
}
