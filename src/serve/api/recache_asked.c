/* Bodies of the recache family, member by member. */
#include "recache_asked.h"

static int is_no(call *c, const char *name, const char *expected)
{
    return recache_refuse(c, "invalid json: %s: %s was expected", name, expected);
}

static int take_integer(call *c, const char *name, const json_value *v, int64_t *ret)
{
    if (!json_is(v, JSON_INT))
        return is_no(c, name, "an integer");
    *ret = json_int(v);
    return 0;
}

static int take_text(call *c, const char *name, const json_value *v, str *ret)
{
    if (!json_is(v, JSON_STRING))
        return is_no(c, name, "a string");
    *ret = json_string(v);
    return 0;
}

static int take_texts(call *c, const char *name, const json_value *v, strs *ret)
{
    const size_t n = json_count(v);
    str *texts = json_is(v, JSON_ARRAY) ? arena_array(c->arena, str, n + 1) : NULL;

    if (!texts)
        return json_is(v, JSON_ARRAY) ? -ENOMEM : is_no(c, name, "an array of strings");
    for (size_t i = 0; i < n; i++) {
        const json_value *one = json_at(v, i);
        texts[i] = STR("");
        const int r = json_is(one, JSON_NULL) ? 0 : take_text(c, name, one, &texts[i]);
        if (r != 0)
            return r;
    }
    *ret = (strs){texts, n};
    return 0;
}

static int take_integers(call *c, const char *name, const json_value *v, const int64_t **ret, size_t *ret_n)
{
    const size_t n = json_count(v);
    int64_t *numbers = json_is(v, JSON_ARRAY) ? arena_array(c->arena, int64_t, n + 1) : NULL;

    if (!numbers)
        return json_is(v, JSON_ARRAY) ? -ENOMEM : is_no(c, name, "an array of integers");
    for (size_t i = 0; i < n; i++) {
        const json_value *one = json_at(v, i);
        numbers[i] = 0;
        const int r = json_is(one, JSON_NULL) ? 0 : take_integer(c, name, one, &numbers[i]);
        if (r != 0)
            return r;
    }
    *ret = numbers;
    *ret_n = n;
    return 0;
}

/* One member, known by its name in letters of any case. */
static int take_member(call *c, str key, const json_value *v, recache_asked *ret)
{
    if (str_eq_nocase(key, STR("host_id")))
        return take_integer(c, "host_id", v, &ret->host_id);
    if (str_eq_nocase(key, STR("urls")))
        return take_texts(c, "urls", v, &ret->urls);
    if (str_eq_nocase(key, STR("url")))
        return take_text(c, "url", v, &ret->url);
    if (str_eq_nocase(key, STR("priority")))
        return take_text(c, "priority", v, &ret->priority);
    if (str_eq_nocase(key, STR("dimension_id")))
        return take_integer(c, "dimension_id", v, &ret->dimension_id);
    if (str_eq_nocase(key, STR("dimension_ids")))
        return take_integers(c, "dimension_ids", v, &ret->dimension_ids, &ret->n_dimension_ids);
    return 0; /* others are none of ours */
}

int recache_read_asked(call *c, recache_asked *ret)
{
    const json_value *v;
    void *it = NULL;
    str key;
    int r = 0;

    *ret = (recache_asked){0};
    if (!json_is(c->body_json, JSON_OBJECT) && !json_is(c->body_json, JSON_NULL))
        return recache_refuse(c, "invalid json: an object was expected");
    while (r == 0 && (it = json_next(c->body_json, it, &key, &v)))
        r = json_is(v, JSON_NULL) ? 0 : take_member(c, key, v, ret);
    return r;
}
