/* See config_fixture.h. */
#include "unit.h"

#include "config_fixture.h"
#include "store_fixture.h"

#include <stdio.h>

void config_fixture_begin(config_fixture *f)
{
    *f = (config_fixture){0};
    scratch_folder(f->dir);
    snprintf(f->path, sizeof(f->path), "%s/larder.yaml", f->dir);
    f->from.sets = f->sets;
}

void config_fixture_end(config_fixture *f)
{
    if (f->is_loaded)
        config_done(&f->c);
    remove_folder(f->dir);
}

void config_fixture_write(config_fixture *f, str text)
{
    FILE *file = fopen(f->path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text.p, 1, text.n, file), text.n);
    assert_int_equal(fclose(file), 0);
    f->from.file = f->path;
}

void config_fixture_set(config_fixture *f, const char *set)
{
    assert_true(f->from.n_sets < COUNT_OF(f->sets));
    f->sets[f->from.n_sets++] = set;
}

int config_fixture_load(config_fixture *f)
{
    if (f->is_loaded)
        config_done(&f->c);
    f->is_loaded = true;
    const int r = config_load(&f->c, &f->from, &f->why);
    return r < 0 ? r : config_load_secrets(&f->c, &f->why);
}
