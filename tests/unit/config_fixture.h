/* What the tests of config share: loading from a text in a scratch folder, and what was complained about. */
#ifndef LARDER_TESTS_CONFIG_FIXTURE_H
#define LARDER_TESTS_CONFIG_FIXTURE_H

#include "larder/config.h"

typedef struct config_fixture {
    char dir[64], path[96]; /* of the file, "…/larder.yaml" */
    config c;
    str why;
    const char *sets[8];
    config_sources from;
    bool is_loaded;
} config_fixture;

void config_fixture_begin(config_fixture *f);
void config_fixture_end(config_fixture *f);
void config_fixture_write(config_fixture *f, str text); /* the file; it is read from then on */
void config_fixture_set(config_fixture *f, const char *set);
int config_fixture_load(config_fixture *f); /* into f->c, anew */

#endif
